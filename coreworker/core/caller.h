/*
 * Calls to one actor, as their caller sees them: order, reconnecting, at most once. A pure core.
 *
 * Calls start at the actor in the order in which they were added; one whose arguments are not there
 * yet holds back those behind it. Each sent call has a sequence number; what was sent and not
 * answered stands in a window.
 *     the link broke, the process lives   connect again; its WELCOME says what it has received: the
 *                                         rest is sent again (the receiver drops duplicates)
 *     the process died                    calls that may be retried wait for the next incarnation,
 *                                         in order; the others go to limbo until the GCS has said
 *                                         whether the actor restarts (ACTOR_UNAVAILABLE) or is dead
 *                                         (ACTOR_DIED), and fail with maybe_executed
 *
 * Ownership: tasks between caller_add and ops.failed / caller_replied. Threads: one at a time.
 */
#ifndef CORE_CALLER_H
#define CORE_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/task.h"
#include "core/window.h"

enum caller_state {
    CALLER_PENDING,    /* no address yet: being created, or restarting */
    CALLER_CONNECTING, /* has an address; WELCOME has not come */
    CALLER_CONNECTED,
    CALLER_RESTING, /* nothing to say; it connects again with the next call */
    CALLER_LOST,    /* the process died or the link broke; the GCS has not said what follows */
    CALLER_DEAD,    /* for good; or the caller has ended */
};

struct caller;

struct caller_ops {
    /* Reaches c->address, says HELLO(incarnation, first): then caller_welcome or caller_broke. */
    void (*connect)(void *ctx, struct caller *c, uint64_t first);
    /* 0, -LIMIT (no room: caller_room later), or what failed. */
    int (*push)(void *ctx, struct caller *c, struct task *t);
    void (*cancel)(void *ctx, struct caller *c, struct task *t, const struct wire_cancel *how);
    void (*failed)(void *ctx, struct task *t, const struct raia_error *e);
};

struct caller {
    const struct caller_ops *ops;
    void *ctx;
    uint8_t state;                 /* enum caller_state */
    bool full;                     /* the last push found no room */
    struct record_address address; /* of the incarnation */
    uint64_t incarnation;          /* of what address belongs to; 0: none yet */
    struct list queue;             /* tasks not sent, in order */
    uint64_t queued;               /* how many */
    struct window window;          /* sent and not answered */
    struct list limbo;             /* tasks */
    uint64_t pending;              /* queue + window + limbo */
    uint64_t with_deadline;        /* of these */
    struct raia_error death;       /* DEAD: why */
};

void caller_init(struct caller *c, const struct caller_ops *ops, void *ctx);
void caller_fini(struct caller *c);

void caller_add(struct caller *c, struct task *t);
/* Taken out of the queue: it is the caller's again. */
void caller_drop(struct caller *c, struct task *t);
/* Its arguments are there. */
void caller_ready(struct caller *c, struct task *t);
void caller_pump(struct caller *c);
void caller_room(struct caller *c);

/* The GCS says: it runs there. */
void caller_alive(struct caller *c, uint64_t incarnation, const struct record_address *address);
/* It will run again, later. */
void caller_restarting(struct caller *c, uint64_t incarnation, const struct raia_error *why);
/* It is dead for good. */
void caller_dead(struct caller *c, const struct raia_error *why);

/* The receiver's answer to HELLO: it has received all before `next`. */
void caller_welcome(struct caller *c, uint64_t next);
/* The link broke, or was never made; `died`: the process is dead for sure. */
void caller_broke(struct caller *c, bool died);

/* Connected, and every call is answered. */
static inline bool caller_idle(const struct caller *c)
{
    return c->pending == 0 && c->state == CALLER_CONNECTED;
}
/* The link of an idle caller is given up: with the next call it is made again. */
void caller_rest(struct caller *c);

/* An answer: the task, taken out; NULL: unknown. */
struct task *caller_replied(struct caller *c, uint64_t sequence);
/* All before it is answered: what the receiver need not keep. */
static inline uint64_t caller_acked(const struct caller *c)
{
    return c->window.base;
}
bool caller_retry(struct caller *c, struct task *t);
void caller_cancel(struct caller *c, struct task *t, const struct wire_cancel *how);
/* Calls fn for every call that is queued or sent; those in limbo will fail. */
void caller_each(struct caller *c, void (*fn)(void *arg, struct task *t), void *arg);
/* Is a call with that counter among them? */
bool caller_has(struct caller *c, uint64_t counter);
/* The end of the caller: every call fails, nothing is sent any more, and later calls fail at once. */
void caller_fail_all(struct caller *c, const struct raia_error *e);

#endif
