/*
 * Timers on a heap, ordered by time and then by when they were set.
 */
#include "base/timers.h"

#include "base/clock.h"
#include "base/list.h"

static bool due_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct timer *x = container_of(a, struct timer, node);
    const struct timer *y = container_of(b, struct timer, node);

    return x->due != y->due ? x->due < y->due : x->seq < y->seq;
}

void timers_init(struct timers *t)
{
    t->seq = 0;
    heap_init(&t->heap, due_before);
}

void timers_fini(struct timers *t)
{
    heap_fini(&t->heap);
}

int timers_reserve(struct timers *t, size_t n)
{
    return heap_reserve(&t->heap, n);
}

int timers_set(struct timers *t, struct timer *timer, int64_t due)
{
    timer->due = due;
    timer->seq = ++t->seq;
    if (!timer_is_set(timer))
        return heap_insert(&t->heap, &timer->node);
    heap_moved(&t->heap, &timer->node);
    return 0;
}

void timers_cancel(struct timers *t, struct timer *timer)
{
    heap_remove(&t->heap, &timer->node);
}

int64_t timers_next(const struct timers *t)
{
    struct heap_node *first = heap_min(&t->heap);

    return first ? container_of(first, struct timer, node)->due : CLOCK_NEVER;
}

struct timer *timers_pop(struct timers *t, int64_t now)
{
    struct heap_node *first = heap_min(&t->heap);
    struct timer *timer = first ? container_of(first, struct timer, node) : NULL;

    if (!timer || timer->due > now)
        return NULL;
    heap_remove(&t->heap, first);
    return timer;
}
