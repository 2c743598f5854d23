/*
 * A daemon that the supervisor keeps alive: the GCS or the raylet. Holds its pid and decides how
 * long to wait before the next start.
 *
 * Back-off: the first restart is immediate; a daemon that dies again within DAEMON_STABLE_MS of its
 * start waits 100 ms, then twice as long each time, up to 5 s.
 *
 * Pure: takes `now` in ms of any monotonic clock. Threads: its owner's.
 */
#ifndef SUPERVISOR_DAEMON_H
#define SUPERVISOR_DAEMON_H

#include <stdint.h>
#include <sys/types.h>

#define DAEMON_BACKOFF_MIN_MS 100u
#define DAEMON_BACKOFF_MAX_MS 5000u
#define DAEMON_STABLE_MS      10000u /* a life this long clears the back-off */

struct daemon {
    pid_t pid;           /* 0: not running */
    uint64_t started_ms; /* of the last start */
    uint32_t backoff_ms; /* before the next start */
    uint64_t starts;     /* in all */
};

static inline void daemon_started(struct daemon *d, pid_t pid, uint64_t now_ms)
{
    d->pid = pid;
    d->started_ms = now_ms;
    d->starts++;
}

/* It died, or could not be started. Returns how long to wait before the next start, in ms. */
static inline uint32_t daemon_ended(struct daemon *d, uint64_t now_ms)
{
    uint32_t wait = d->backoff_ms;
    d->pid = 0;
    if (d->starts && now_ms - d->started_ms >= DAEMON_STABLE_MS) {
        wait = 0;
        d->backoff_ms = 0;
    }
    d->backoff_ms = d->backoff_ms ? d->backoff_ms * 2 : DAEMON_BACKOFF_MIN_MS;
    if (d->backoff_ms > DAEMON_BACKOFF_MAX_MS)
        d->backoff_ms = DAEMON_BACKOFF_MAX_MS;
    return wait;
}

#endif
