/*
 * What was sent and not answered, by sequence number: a ring of pointers that grows.
 *
 *     seq = window.next;
 *     window_put(&w, item);              // takes seq; -NOMEM
 *     item = window_take(&w, seq);       // NULL: no such one; in any order
 *     item = window_first(&w);           // the oldest one left, or NULL
 *
 * Sequences rise by one from 1. Memory is in proportion to next - base, where base is the oldest
 * unanswered one. Ownership: the items stay the caller's. Threads: one at a time.
 */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include <stdint.h>

#include "base/mem.h"
#include "raia/error.h"

struct window {
    void **slots;   /* a power of two of them; owned */
    uint64_t size;  /* slots */
    uint64_t base;  /* everything before it was taken */
    uint64_t next;  /* the next sequence */
    uint64_t count; /* items in it */
};

static inline void window_init(struct window *w)
{
    *w = (struct window){.base = 1, .next = 1};
}

static inline void window_fini(struct window *w)
{
    mem_free(w->slots);
    w->slots = NULL;
    w->size = 0;
}

int window_grow(struct window *w);

static inline int window_put(struct window *w, void *item)
{
    if (w->next - w->base >= w->size && window_grow(w) < 0)
        return -RAIA_ERR_NOMEM;
    w->slots[w->next++ & (w->size - 1)] = item;
    w->count++;
    return 0;
}

static inline void *window_get(const struct window *w, uint64_t sequence)
{
    return sequence >= w->base && sequence < w->next ? w->slots[sequence & (w->size - 1)] : NULL;
}

static inline void *window_take(struct window *w, uint64_t sequence)
{
    void *item = window_get(w, sequence);

    if (!item)
        return NULL;
    w->slots[sequence & (w->size - 1)] = NULL;
    w->count--;
    while (w->base < w->next && !w->slots[w->base & (w->size - 1)])
        w->base++;
    return item;
}

static inline void *window_first(const struct window *w)
{
    return w->count ? w->slots[w->base & (w->size - 1)] : NULL;
}

/* The youngest one whose sequence is below `before`, or NULL. */
void *window_last_before(const struct window *w, uint64_t before);

#endif
