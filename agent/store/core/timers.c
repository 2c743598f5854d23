/* The heap of timers.h. */
#include "store/core/timers.h"

#include "base/clock.h"
#include "base/mem.h"
#include "raia/error.h"

static void put_at(struct store_timers *h, uint32_t i, struct store_timer *t)
{
    h->heap[i] = t;
    t->pos = i;
}

static void sift(struct store_timers *h, uint32_t i)
{
    struct store_timer *t = h->heap[i];

    for (; i > 1 && h->heap[i / 2]->at > t->at; i /= 2)
        put_at(h, i, h->heap[i / 2]);
    for (uint32_t child; (child = 2 * i) <= h->n; i = child) {
        if (child < h->n && h->heap[child + 1]->at < h->heap[child]->at)
            child++;
        if (h->heap[child]->at >= t->at)
            break;
        put_at(h, i, h->heap[child]);
    }
    put_at(h, i, t);
}

int store_timer_set(struct store_timers *h, struct store_timer *t, int64_t at)
{
    if (at == CLOCK_NEVER) {
        store_timer_clear(h, t);
        return 0;
    }
    if (!t->pos) {
        if (h->n + 1 >= h->room) {
            uint32_t room = h->room ? 2 * h->room : 64;
            struct store_timer **heap = mem_realloc(h->heap, room * sizeof *heap);
            if (!heap)
                return -RAIA_ERR_NOMEM;
            h->heap = heap;
            h->room = room;
        }
        put_at(h, ++h->n, t);
    }
    t->at = at;
    sift(h, t->pos);
    return 0;
}

void store_timer_clear(struct store_timers *h, struct store_timer *t)
{
    struct store_timer *last;
    uint32_t i = t->pos;

    if (!i)
        return;
    t->pos = 0;
    last = h->heap[h->n--];
    if (last == t)
        return;
    put_at(h, i, last);
    sift(h, i);
}

struct store_timer *store_timer_expired(struct store_timers *h, int64_t now)
{
    struct store_timer *t = h->n ? h->heap[1] : NULL;

    if (!t || t->at > now)
        return NULL;
    store_timer_clear(h, t);
    return t;
}

int64_t store_timer_next(const struct store_timers *h)
{
    return h->n ? h->heap[1]->at : CLOCK_NEVER;
}

void store_timers_fini(struct store_timers *h)
{
    for (uint32_t i = 1; i <= h->n; i++)
        h->heap[i]->pos = 0;
    mem_free(h->heap);
    *h = (struct store_timers){0};
}
