/*
 * The inside of a loop, shared by the files of this folder only.
 */
#ifndef LOOP_LOOP_IMPL_H
#define LOOP_LOOP_IMPL_H

#include <pthread.h>
#include <uv.h>

#include "loop/loop.h"

struct loop {
    uv_loop_t uv;                       /* the library's loop */
    uv_async_t wake;                    /* wakes the owner for posted tasks and stops */
    uv_prepare_t prepare;               /* runs the hooks, arms `timer` */
    uv_timer_t timer;                   /* the next due of all our timers */
    _Atomic(struct loop_task *) posted; /* newest first; taken as a whole */
    struct loop_timer *timers;          /* pairing heap, the next due on top */
    uint64_t timer_seq;                 /* numbers the starts of timers */
    struct loop_hook *hooks;            /* first of the ring of hooks; NULL: none */
    _Atomic(pthread_t) owner;           /* who runs it */
    atomic_bool stop;                   /* loop_stop was called */
    atomic_uint holds;                  /* loop_hold less loop_release */
    unsigned watchers;                  /* fds and signals not freed */
    unsigned works;                     /* works whose done has not been called */
    uint64_t ran;                       /* callbacks so far: what loop_run_once reports */
};

/* Runs what is due (timer.c), and the time at which the next one is; UINT64_MAX: none. */
void loop_timers_run(struct loop *l);
uint64_t loop_timers_next(const struct loop *l);

#endif
