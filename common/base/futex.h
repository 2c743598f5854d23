/*
 * Futexes in memory that may be shared between processes.
 *
 * A wait may end for no reason: look at the word again, in a loop.
 *
 *     while (atomic_load(&word) == seen)
 *         if (futex_wait(&word, seen, deadline) == -RAIA_ERR_TIMEOUT) ...
 *
 * Threads: any. Failure: -TIMEOUT only; a word that cannot be read counts as a wake-up.
 */
#ifndef BASE_FUTEX_H
#define BASE_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "raia/error.h"

/*
 * Sleeps while *word is `seen`, until woken or the deadline: a point of clock_now_ns(), CLOCK_NEVER
 * for none. 0: woken, or *word is not `seen`, or a signal came. errno is preserved.
 */
static inline int futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t deadline)
{
    int saved = errno, r = 0;
    struct timespec until = clock_timespec(deadline);

    /* FUTEX_WAIT_BITSET is the one that takes an absolute monotonic time. */
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, deadline == CLOCK_NEVER ? NULL : &until,
                NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
        errno == ETIMEDOUT)
        r = -RAIA_ERR_TIMEOUT;
    errno = saved;
    return r;
}

/* Wakes up to n of those who wait; how many there were. errno is preserved. */
static inline int futex_wake(_Atomic uint32_t *word, int n)
{
    int saved = errno;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);

    errno = saved;
    return woken > 0 ? (int)woken : 0;
}

static inline int futex_wake_all(_Atomic uint32_t *word)
{
    return futex_wake(word, INT_MAX);
}

#endif
