/*
 * A set of timers in terms of `now`: for pure cores, which have no clock.
 *
 *     timers_set(&t, &lease->expiry, now + LEASE_NS);
 *     ...
 *     wait until timers_next(&t);
 *     for (struct timer *x; (x = timers_pop(&t, now));)
 *         switch (x->kind) ... container_of(x, struct lease, expiry) ...
 *
 * Timers due at the same time come out in the order in which they were set.
 *
 * Ownership: timers are embedded in the caller's structs, which must outlive their being set.
 * Threads: the owner. Failure: timers_set of one more than timers_reserve: -NOMEM.
 */
#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"

struct timer {
    struct heap_node node; /* private */
    int64_t due;           /* when, in the caller's clock; ns by custom */
    uint64_t seq;          /* private: order among equals */
    int kind;              /* the caller's, to tell what it is for */
};

struct timers {
    struct heap heap; /* of struct timer, the next one first */
    uint64_t seq;     /* of the timer set last */
};

void timers_init(struct timers *t);
/* Forgets all of them. */
void timers_fini(struct timers *t);
/* Room for n timers in all: up to there timers_set cannot fail. */
int timers_reserve(struct timers *t, size_t n);
/* Sets a timer, or moves one that is set. */
int timers_set(struct timers *t, struct timer *timer, int64_t due);
/* Does nothing to one that is not set. */
void timers_cancel(struct timers *t, struct timer *timer);
/* When the next one is due; CLOCK_NEVER if there is none. */
int64_t timers_next(const struct timers *t);
/* Takes out and returns the first one with due <= now; NULL if there is none. */
struct timer *timers_pop(struct timers *t, int64_t now);

static inline bool timer_is_set(const struct timer *timer)
{
    return heap_linked(&timer->node);
}

#endif
