/*
 * A task or an actor call, from its submission to its answer, as its owner knows it.
 *
 * One task is one pool block with its arguments in another (spec): entries of core/wire.h, ready to
 * be sent. An argument by reference is an entry of kind WIRE_HELD until it is sent. About 130 bytes
 * and the spec: a million of them may wait.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/object.h"

struct function; /* the runtime's: what a name stands for */
struct sched_class;
struct lease;
struct raia_actor; /* the runtime's */

enum task_state {
    TASK_WAITS_DEPS, /* for arguments */
    TASK_QUEUED,     /* for a lease, or for its actor */
    TASK_SENT,       /* in a window */
    TASK_LIMBO,      /* its actor's process died; the GCS will say what that means */
    TASK_DONE,       /* being taken apart */
};

/* flags of a task */
#define TASK_RETRY_ERRORS 1u  /* also after errors of user code */
#define TASK_CANCELED     2u  /* asked to stop: never retried */
#define TASK_TIMED_OUT    4u  /* canceled because of its deadline */
#define TASK_FOREVER      8u  /* retries without limit */
#define TASK_BEGUN        32u /* its worker is lost, and had begun it */
#define TASK_RUNNING      64u /* and was at it when it died */
#define TASK_CREATION     16u /* an actor's constructor: registered, not sent */

struct task {
    struct list link; /* in a queue, a class or an actor */
    uint64_t counter; /* of its id */
    struct function *function;
    struct sched_class *class; /* tasks */
    struct lease *lease;       /* tasks, SENT */
    struct raia_actor *actor;  /* calls */
    uint64_t sequence;         /* SENT: in the window of the lease, or of the actor */
    uint8_t *spec;             /* entries; pool block of spec_size bytes; NULL: no arguments */
    uint32_t spec_size;        /* bytes */
    uint32_t nheld;            /* entries of held */
    struct raia_ref **held;    /* objects of the arguments, held; mem block */
    union {
        struct raia_ref *one;   /* nreturns 1 */
        struct raia_ref **many; /* else; mem block */
    } returns;                  /* held */
    int64_t deadline;           /* ns; CLOCK_NEVER */
    uint64_t parent;            /* number of the call that submitted it; 0: none */
    const char *name;           /* given by the user; owned; NULL: the function's */
    int32_t retries;            /* left */
    uint16_t nargs;
    uint16_t nreturns;
    uint16_t waits;    /* arguments not ready yet; each has a dep */
    uint16_t attempt;  /* times it was begun before */
    uint8_t state;     /* enum task_state */
    uint8_t flags;     /* TASK_* */
    uint8_t spec_held; /* the spec has WIRE_HELD entries, or references */
};

/* What submitter_has and caller_has look for, and the fn with which they walk. */
struct task_search {
    uint64_t counter; /* of the task */
    bool found;       /* so far */
};

static inline void task_search__(void *arg, struct task *t)
{
    struct task_search *x = arg;

    x->found = x->found || t->counter == x->counter;
}

static inline struct raia_ref *task_return(const struct task *t, unsigned i)
{
    return t->nreturns == 1 ? t->returns.one : t->returns.many[i];
}

#endif
