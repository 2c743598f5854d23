/*
 * Which task goes to which worker: queues by scheduling class, leases, retries. A pure core.
 *
 * A CLASS is a shape of resources and a strategy. Its ready tasks wait in one queue. The submitter
 * tells the raylet how many more leases it could use (a level: proto/record.h), and pushes tasks to
 * the workers that it is granted, several ahead of each other when they are short: as many as fill
 * SUBMITTER_AHEAD_US, judged by how long those before took. A worker that turns out slow has what
 * it has not begun taken away again (steal). A lease with nothing to do is kept for a while.
 *
 * When a worker dies the task that it was running costs a retry, or fails; those that it had ended
 * without answering run again if they may; the others cost nothing. Which are which its board says
 * (core/board.h). Without one (another node) the oldest task that it had not answered is the one that
 * it was running, and those behind it had not begun, or may run again. When its node dies or the link to it breaks, answers
 * may have been lost, so that any of them may have begun: those that must not run twice fail.
 *
 *     submitter_add(&s, task);                 // owned by the submitter until `done` or failed
 *     submitter_granted(&s, &lease_record);    // -> ops.open -> submitter_opened -> ops.push ...
 *     task = submitter_replied(&s, tag, ...);  // the caller completes it and frees it
 *
 * Ownership: tasks between submitter_add and ops.failed / submitter_replied. Threads: one at a
 * time. Failure: -NOMEM; a task that cannot be queued stays the caller's.
 */
#ifndef CORE_SUBMITTER_H
#define CORE_SUBMITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/board.h"
#include "core/task.h"
#include "core/window.h"

#define SUBMITTER_AHEAD_US  2000u               /* work to keep in front of a worker */
#define SUBMITTER_DEPTH_MAX 512u                /* tasks in front of a worker */
#define SUBMITTER_WANT_MAX  256u                /* leases asked for at one time, for one class */
#define SUBMITTER_LEASES    4096u               /* leases held at one time */
#define SUBMITTER_LINGER_NS INT64_C(20000000)   /* an idle lease is kept this long */
#define SUBMITTER_STEAL_NS  INT64_C(2000000)    /* no answer for so long, others idle: steal */
#define SUBMITTER_LOST_NS   INT64_C(1000000000) /* LEASE_LOST comes at most so long after */
#define SUBMITTER_RESOURCES 16u                 /* kinds of resources in one class */

struct sched_resource {
    char name[56];    /* ended by 0 */
    int64_t quantity; /* 1/10000 */
};

struct sched_class {
    uint32_t number;                                      /* from 1 */
    uint16_t strategy;                                    /* as in struct rec_class */
    uint16_t nresources;                                  /* entries of resources */
    struct sched_resource resources[SUBMITTER_RESOURCES]; /* in order of name */
    struct list queue;                                    /* tasks that are ready */
    uint64_t queued;                                      /* how many */
    struct list leases;                                   /* struct lease */
    uint32_t nleases;                                     /* how many */
    uint32_t stated;       /* what the raylet believes that we want */
    uint64_t granted_seen; /* grants received */
    uint64_t answers;      /* answers received */
    uint64_t mean_us;      /* running mean of how long a task runs, 1/16 us */
    bool defined;          /* the raylet knows the number */
};

enum lease_state { LEASE_OPENING, LEASE_OPEN, LEASE_DRAINING };

struct lease {
    struct list in_class;
    struct list opening; /* the runtime's: waits for a link; unlinked when the lease goes */
    uint64_t id;         /* the node's number for it */
    struct record_address worker;
    struct sched_class *class;
    struct window window; /* struct task */
    uint32_t slot;        /* index in submitter.leases */
    uint8_t state;        /* enum lease_state */
    bool full;            /* the last push found no room */
    bool known;           /* dead_since: the tasks' TASK_BEGUN and TASK_RUNNING are right */
    bool cut;             /* dead_since: what its worker said last may not have come */
    bool stealing;        /* asked to give back; not answered in full yet */
    int64_t idle_since;   /* ns; when it had nothing to do; 0: it has */
    int64_t dead_since;   /* ns; the link is gone, LEASE_LOST has not come; 0: it is not */
    int64_t progress;     /* ns; of its last answer, or first push */
    void *link;           /* the runtime's; set when open */
};

struct submitter_ops {
    void (*define_class)(void *ctx, struct sched_class *c);
    void (*demand)(void *ctx, struct sched_class *c, uint32_t want);
    /* Connects to lease->worker: then submitter_opened or submitter_open_failed, maybe at once. */
    void (*open)(void *ctx, struct lease *l);
    /* Sends the task under that tag. 0, -LIMIT (no room: submitter_room later), or what failed. */
    int (*push)(void *ctx, struct lease *l, struct task *t, uint64_t tag);
    void (*give_back)(void *ctx, struct lease *l, bool broken);
    void (*steal)(void *ctx, struct lease *l, uint32_t count);
    void (*cancel)(void *ctx, struct lease *l, uint64_t tag, const struct wire_cancel *how);
    /* May be NULL. The worker is dead: what it had said of its tasks (core/board.h). false: unknown;
     * else *ret is of the task with that tag. */
    bool (*begun)(void *ctx, const struct lease *l, uint64_t tag, enum board_state *ret);
    /* The task will never be answered: the receiver completes and frees it. */
    void (*failed)(void *ctx, struct task *t, const struct raia_error *e);
};

struct submitter {
    const struct submitter_ops *ops;
    void *ctx;
    struct sched_class **classes; /* by number - 1; owned */
    uint32_t nclasses;            /* entries */
    struct lease **leases;        /* by slot; NULL: free; owned, SUBMITTER_LEASES of them */
    uint32_t leases_end;          /* slots that were ever used */
    uint64_t pending;             /* tasks: added and neither answered nor failed */
    struct list waiting;          /* tasks whose arguments are not there yet */
    uint64_t with_deadline;       /* tasks that have one */
    int64_t now;                  /* ns; as last told */
    bool closed;                  /* no more pushes */
};

int submitter_init(struct submitter *s, const struct submitter_ops *ops, void *ctx);
/* Frees classes and leases; the tasks must be gone (submitter_fail_all). */
void submitter_fini(struct submitter *s);

/* The class of that shape, made if need be. resources in order of name. NULL: -NOMEM or too many.
 */
struct sched_class *submitter_class(struct submitter *s, uint16_t strategy,
                                    const struct sched_resource *resources, unsigned n);

/* A task whose waits is 0 goes into its queue, any other waits for submitter_ready. */
void submitter_add(struct submitter *s, struct task *t);
void submitter_ready(struct submitter *s, struct task *t);
/* Waits no more: it is the caller's again. */
void submitter_drop(struct submitter *s, struct task *t);
/* To be called after a batch of adds: pushes what can be pushed, states demand. */
void submitter_pump(struct submitter *s, struct sched_class *c);

/* Whether the first task that waits has `least` bytes or more of its arguments in the store of one
 * node: then *ret_node is the one that has most. */
bool submitter_prefers(const struct sched_class *c, uint64_t least, uint8_t ret_node[16]);

void submitter_granted(struct submitter *s, const struct rec_lease *r);
void submitter_opened(struct submitter *s, struct lease *l, void *link);
void submitter_open_failed(struct submitter *s, struct lease *l);
/* There is room again on that link. */
void submitter_room(struct submitter *s, const void *link);
void submitter_reclaim(struct submitter *s, uint64_t lease, const uint8_t node[16]);
void submitter_lost(struct submitter *s, const struct rec_lease_lost *r, const char *text);
/* The link to a worker broke: its leases are lost. If it is said to have died, how is expected from
 * submitter_lost, for SUBMITTER_LOST_NS. */
void submitter_link_broke(struct submitter *s, const void *link, int status);
void submitter_demand_failed(struct submitter *s, const struct rec_demand_failed *r,
                             const char *text);

/*
 * An answer. The task, taken out, to be completed by the caller; NULL: an unknown tag, or it was
 * given back unstarted and has been queued again.
 */
struct task *submitter_replied(struct submitter *s, const void *link, uint64_t tag,
                               bool not_started, uint32_t exec_us);
/* Runs it again if it may: after an error of user code (TASK_RETRY_ERRORS). */
bool submitter_retry(struct submitter *s, struct task *t);

/* Cancels: fails at once, or asks the worker. */
void submitter_cancel(struct submitter *s, struct task *t, const struct wire_cancel *how);
/* Calls fn for every task that is queued or sent. */
void submitter_each(struct submitter *s, void (*fn)(void *arg, struct task *t), void *arg);
/* Is a task with that counter among them? */
bool submitter_has(struct submitter *s, uint64_t counter);
void submitter_fail_all(struct submitter *s, const struct raia_error *e);

/* Gives back idle leases, steals from slow workers. Returns when to be called again, ns. */
int64_t submitter_tick(struct submitter *s, int64_t now);

/* The lease of a tag and its task, for those who asked ops.cancel. */
static inline uint64_t submitter_tag(const struct lease *l, uint64_t sequence)
{
    return (uint64_t)l->slot << 44 | sequence;
}

#endif
