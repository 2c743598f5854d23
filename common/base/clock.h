/*
 * Time: the monotonic clock in nanoseconds, wall clock for people, and deadlines.
 *
 * A deadline is a point of the monotonic clock in nanoseconds; CLOCK_NEVER never comes. Pure cores
 * take `now` instead of calling these.
 *
 *     int64_t deadline = clock_deadline_ms(500);
 *     poll(&p, 1, clock_left_ms(deadline, clock_now_ns()));
 *
 * Threads: any. Failure: none. All of it is inline, and a vDSO call at most.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER     INT64_MAX
#define CLOCK_NS_PER_US INT64_C(1000)
#define CLOCK_NS_PER_MS INT64_C(1000000)
#define CLOCK_NS_PER_S  INT64_C(1000000000)

/* The monotonic clock, ns; never goes back, does not count while the machine is suspended. */
static inline int64_t clock_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * CLOCK_NS_PER_S + t.tv_nsec;
}

/* The wall clock, ms since 1970 UTC; may jump. */
static inline int64_t clock_unix_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / CLOCK_NS_PER_MS;
}

/* now + ns, but CLOCK_NEVER when that cannot be told, or ns < 0 (which means "no limit"). */
static inline int64_t clock_add_ns(int64_t now, int64_t ns)
{
    int64_t sum;

    return ns < 0 || __builtin_add_overflow(now, ns, &sum) ? CLOCK_NEVER : sum;
}

/* The same in milliseconds. */
static inline int64_t clock_add_ms(int64_t now, int64_t ms)
{
    return ms < 0 || ms > INT64_MAX / CLOCK_NS_PER_MS ? CLOCK_NEVER
                                                      : clock_add_ns(now, ms * CLOCK_NS_PER_MS);
}

/* The deadline `ms` from now; negative: never. */
static inline int64_t clock_deadline_ms(int64_t ms)
{
    return clock_add_ms(clock_now_ns(), ms);
}

static inline bool clock_expired(int64_t deadline, int64_t now)
{
    return now >= deadline;
}

/* Nanoseconds left, at least 0; CLOCK_NEVER for never. */
static inline int64_t clock_left_ns(int64_t deadline, int64_t now)
{
    int64_t left;

    if (deadline == CLOCK_NEVER)
        return CLOCK_NEVER;
    if (now >= deadline)
        return 0;
    return __builtin_sub_overflow(deadline, now, &left) ? INT64_MAX : left;
}

/* Milliseconds left for poll(2): rounded up so that no wait ends early; -1 for never. */
static inline int clock_left_ms(int64_t deadline, int64_t now)
{
    int64_t left = clock_left_ns(deadline, now), ms;

    if (left == CLOCK_NEVER)
        return -1;
    ms = left / CLOCK_NS_PER_MS + (left % CLOCK_NS_PER_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* A deadline as the absolute timespec that futexes and condition variables (MONOTONIC) take. */
static inline struct timespec clock_timespec(int64_t deadline)
{
    if (deadline < 0)
        deadline = 0;
    return (struct timespec){.tv_sec = (time_t)(deadline / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(deadline % CLOCK_NS_PER_S)};
}

#endif
