/*
 * Deadlines of the store core: a binary heap of timers that live in what they belong to.
 *
 *     store_timer_set(&core->timers, &get->timer, deadline);   // again: moves it
 *     store_timer_clear(&core->timers, &get->timer);
 *     while ((t = store_timer_expired(&core->timers, now)))    // clears it
 *         switch (t->kind) ...
 *
 * Ownership: the caller's; clear a timer before what it is in goes. Failure: set, -NOMEM.
 */
#ifndef STORE_CORE_TIMERS_H
#define STORE_CORE_TIMERS_H

#include <stdint.h>

struct store_timer {
    int64_t at;   /* ns */
    uint32_t pos; /* in the heap, from 1; 0: not set */
    int kind;     /* the user's */
};

struct store_timers {
    struct store_timer **heap; /* [0] is not used */
    uint32_t n;                /* timers set */
    uint32_t room;             /* entries allocated */
};

/* CLOCK_NEVER clears it. */
int store_timer_set(struct store_timers *h, struct store_timer *t, int64_t at);
void store_timer_clear(struct store_timers *h, struct store_timer *t);
/* The earliest that is due, cleared; or NULL. */
struct store_timer *store_timer_expired(struct store_timers *h, int64_t now);
/* CLOCK_NEVER if none is set. */
int64_t store_timer_next(const struct store_timers *h);
/* Clears all that are set. */
void store_timers_fini(struct store_timers *h);

#endif
