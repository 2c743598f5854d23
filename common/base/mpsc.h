/*
 * A bounded queue of pointers: many threads put, one owner thread takes.
 *
 *     // any thread
 *     r = mpsc_put(&q, msg);                       // -LIMIT: full, and msg is still the caller's
 *     // the owner
 *     while ((msg = mpsc_take(&q))) ...
 *     if (mpsc_prepare_sleep(&q)) sleep until wake was called, then go on
 *
 * `wake` is called, by a putting thread, once for each time the owner went to sleep, whatever the
 * number of puts: make it an eventfd_ring, a futex_wake or a loop_post.
 *
 * No mutex: Dmitry Vyukov's bounded queue (https://www.1024cores.net, "Bounded MPMC queue"), with
 * one consumer. Every cell has a sequence number that says whose turn it is. Puts from one thread
 * are taken in their order. A thread that stops in the middle of a put holds back those behind it.
 *
 * Ownership: the queue owns its cells; the pointers belong to whom they are handed.
 * Threads: as said; init and fini while nobody else uses it. Failure: -LIMIT, -NOMEM, -INVALID.
 */
#ifndef BASE_MPSC_H
#define BASE_MPSC_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct mpsc_cell;
typedef void (*mpsc_wake_fn)(void *ctx);

struct mpsc {
    struct mpsc_cell *cells;          /* capacity of them, a power of two */
    size_t mask;                      /* capacity - 1 */
    mpsc_wake_fn wake;                /* NULL: the owner polls */
    void *wake_ctx;                   /* given to wake */
    alignas(64) atomic_size_t tail;   /* position of the next put; shared by the putting threads */
    alignas(64) size_t head;          /* position of the next take; the owner's alone */
    alignas(64) atomic_bool sleeping; /* the owner wants to be woken */
    atomic_size_t rejected;           /* puts that found it full, since init */
};

/* capacity: a power of two, 2 to 2^24. */
int mpsc_init(struct mpsc *q, size_t capacity, mpsc_wake_fn wake, void *wake_ctx);
/* What is still in it is forgotten: take it out first. Accepts a zeroed struct. */
void mpsc_fini(struct mpsc *q);

/* p is not NULL. */
int mpsc_put(struct mpsc *q, void *p);
/* The owner: the oldest pointer, or NULL. */
void *mpsc_take(struct mpsc *q);
/* The owner: true: the queue is empty and wake will be called. False: look again first. */
bool mpsc_prepare_sleep(struct mpsc *q);

#endif
