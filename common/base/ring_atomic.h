/*
 * The operations on shared memory that rings and doorbells are made of; private to ring.c and
 * doorbell.c. Built with RING_MODEL, each one becomes a step of the interleaving test
 * (test/ring_model.h), which sees the place and the name of what is touched.
 *
 * Orders are those of C11. Read-modify-write is always sequentially consistent, as x86 has no
 * weaker one. The operations are not fences on purpose: ThreadSanitizer cannot see fences.
 */
#ifndef BASE_RING_ATOMIC_H
#define BASE_RING_ATOMIC_H

#define RELAXED __ATOMIC_RELAXED
#define ACQUIRE __ATOMIC_ACQUIRE
#define RELEASE __ATOMIC_RELEASE
#define SEQ_CST __ATOMIC_SEQ_CST

#ifdef RING_MODEL
#include "base/test/ring_model.h"
#define RA_LOAD(p, order)             model_load(p, sizeof *(p), __func__, #p)
#define RA_STORE(p, v, order)         model_store(p, sizeof *(p), v, order, __func__, #p)
#define RA_XCHG(p, v)                 model_rmw(p, sizeof *(p), MODEL_XCHG, v, 0, __func__, #p)
#define RA_OR(p, v)                   model_rmw(p, sizeof *(p), MODEL_OR, v, 0, __func__, #p)
#define RA_AND(p, v)                  model_rmw(p, sizeof *(p), MODEL_AND, v, 0, __func__, #p)
#define RA_CAS(p, from, to)           model_rmw(p, sizeof *(p), MODEL_CAS, to, from, __func__, #p)
#define RA_PAUSE()                    model_pause()
#define RA_FUTEX_WAIT(p, v, deadline) ((void)(deadline), model_futex_wait(p, v))
#define RA_FUTEX_WAKE(p)              model_futex_wake(p, __func__)
#define RA_EVENTFD_WRITE(fd)          model_eventfd_write(fd)
#define RA_EVENTFD_CLEAR(fd)          model_eventfd_clear(fd)

#else
#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define RA_LOAD(p, order)     __atomic_load_n(p, order)
#define RA_STORE(p, v, order) __atomic_store_n(p, v, order)
#define RA_XCHG(p, v)         __atomic_exchange_n(p, v, SEQ_CST)
#define RA_OR(p, v)           ((void)__atomic_fetch_or(p, v, SEQ_CST))
#define RA_AND(p, v)          ((void)__atomic_fetch_and(p, v, SEQ_CST))
/* Compare and swap: the value that was there, `from` on success. */
#define RA_CAS(p, from, to)                                                                        \
    ({                                                                                             \
        __typeof__(*(p)) was__ = (from);                                                           \
        __atomic_compare_exchange_n(p, &was__, to, false, SEQ_CST, SEQ_CST);                       \
        was__;                                                                                     \
    })

#if defined(__x86_64__) || defined(__i386__)
#define RA_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RA_PAUSE() __asm__ volatile("yield" ::: "memory")
#else
#define RA_PAUSE() __asm__ volatile("" ::: "memory")
#endif

/* Sleeps while *p == v, until the deadline; false only if the deadline has come. */
static inline bool ra_futex_wait(uint32_t *p, uint32_t v, int64_t deadline)
{
    struct timespec t = clock_timespec(deadline);

    /* The bitset form takes an absolute time of the monotonic clock. Not PRIVATE: shared memory. */
    long r = syscall(SYS_futex, p, FUTEX_WAIT_BITSET, v, deadline == CLOCK_NEVER ? NULL : &t, NULL,
                     FUTEX_BITSET_MATCH_ANY);
    return r == 0 || errno != ETIMEDOUT;
}

static inline void ra_eventfd_write(int fd)
{
    uint64_t one = 1;

    /* Non-blocking: EAGAIN means that the counter is full, so its reader is awake anyway. */
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static inline void ra_eventfd_clear(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
}

#define RA_FUTEX_WAIT(p, v, deadline) ra_futex_wait(p, v, deadline)
/* At most one thread sleeps on a page. */
#define RA_FUTEX_WAKE(p)              ((void)syscall(SYS_futex, p, FUTEX_WAKE, 1, NULL, NULL, 0))
#define RA_EVENTFD_WRITE(fd)          ra_eventfd_write(fd)
#define RA_EVENTFD_CLEAR(fd)          ra_eventfd_clear(fd)
#endif

#endif
