/*
 * What the control store's core needs from outside, and what it gives back to those who ask: the
 * one interface between the pure core and its surroundings (the real ones in gcs/service, simulated
 * ones in tests).
 *
 * Threads: the owner's. None of these may call back into the core.
 */
#ifndef CORE_EFFECTS_H
#define CORE_EFFECTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "raia/error.h"

/* The time, handed in with every call. */
struct gcs_now {
    int64_t mono_ms; /* monotonic, ms */
    int64_t unix_ms; /* wall clock, ms since 1970 */
};

/*
 * Someone who waits for an answer. Embedded in the asker's struct; `done` fires exactly once, maybe
 * before the call that took it returns: e NULL and the packed reply (valid until it returns), or e.
 * It must not call back into the core.
 */
struct gcs_waiter {
    void (*done)(struct gcs_waiter *w, const struct raia_error *e, const void *data, size_t size);
};

struct gcs_effects {
    /* Sends a packed SessionDown to a raylet's session: 0, or -LIMIT: its outbox is full (tell
     * gcs_core_session_room later), or another code: it is broken, and its end will be told. */
    int (*send)(void *arg, const struct node_id *node, const void *data, size_t size);
    /* Breaks a session; gcs_core_session_closed is not called for it. The raylet comes back. */
    void (*disconnect)(void *arg, const struct node_id *node);
    /* The state in memory is no longer what is stored: stop, and start again from storage. */
    void (*broken)(void *arg, const struct raia_error *e);
    void *arg; /* handed to all of them */
};

#endif
