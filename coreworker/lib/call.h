/*
 * Tasks and calls that this process runs for others: call.c takes them, execute.c runs and answers
 * them, worker.c is the loop of a worker.
 *
 * Ownership: said at each member. Threads: who holds the token (lib/runtime.h).
 */
#ifndef LIB_CALL_H
#define LIB_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/doorbell.h"
#include "base/list.h"
#include "core/board.h"
#include "core/chain.h"
#include "lib/store.h"

struct call_arg {
    struct wire_item item;  /* in the message */
    raia_ref **inner;       /* item.head->nrefs objects, held; NULL: none */
    raia_ref *stored;       /* STORED: the object, held */
    bool pinned;            /* stored is mapped, and pinned by this */
    struct raia_call *call; /* whose it is */
    struct list waiting;    /* object_more.readers, until it is mapped */
};

struct call_return {
    struct blob *blob; /* the value; or */
    raia_ref *stored;  /* an object in the store, held by us until the answer is sent; or */
                       /* neither: nil */
};

struct seat; /* one caller of an actor that lives here: host.c */

struct raia_call {
    uint32_t magic;
    struct list link;       /* rt.ready, rt.running or nothing */
    struct link *from;      /* NULL: the link is gone; nobody to answer */
    struct process *caller; /* who asked */
    uint64_t tag;           /* of its record */
    struct seat *seat;      /* calls to an actor: whose */
    struct wire_task head;
    struct function *function;
    uint8_t *message;            /* the record's payload, in the same block */
    size_t message_size;         /* bytes */
    struct call_arg *args;       /* head.nargs, in the same block */
    struct call_return *returns; /* head.nreturns, in the same block */
    size_t block;                /* bytes of the pool block */
    uint64_t number;             /* in this process, from 1: for parent links and listings */
    int64_t began;               /* ns */
    int64_t deadline;            /* ns */
    uint32_t waits;              /* stored arguments on their way; later, grants to come */
    int status;                  /* 0, or what it failed with */
    struct chain *error;         /* of a failed status; owned */
    _Atomic bool canceled;       /* asked to stop */
    bool timed_out;              /* because of its deadline */
    bool started;
    bool deferred;  /* raia_defer was called: answered by raia_complete */
    bool finished;  /* the function has returned */
    bool completed; /* raia_complete was called */
    bool constructor;
    bool exit_after; /* raia_actor_exit */
    void *self;      /* of a constructor */
};
#define CALL_MAGIC 0x43414c4cu

/* A task or call has come: queues it. Takes a copy of data. */
void call_received(struct runtime *rt, struct link *l, uint64_t tag, struct seat *seat,
                   const uint8_t *data, size_t size);
/* A call with a copy of the entries, parsed, its references received, what is in the store asked
 * for. NULL: malformed, or out of memory. */
struct raia_call *call_new(struct runtime *rt, struct process *from, const struct wire_task *head,
                           const uint8_t *entries, size_t size);
/* Queues it: to be run when nothing is missing. */
void call_queue(struct runtime *rt, struct raia_call *c);
/* The next one that may run, taken out; NULL: none. */
struct raia_call *call_next(struct runtime *rt);
/* Runs it (without the token) and answers. The token is held before and after. */
void call_run(struct runtime *rt, struct raia_call *c);
/* A large return value, straight into the store; an object sealed before becomes one. */
int return_store(struct runtime *rt, struct raia_call *c, unsigned i, const struct flat *f,
                 raia_ref **ret);
int return_object(struct raia_call *c, unsigned i, raia_ref *o);
/* What a board calls a process. */
static inline uint64_t caller_key(const uint8_t worker[16])
{
    uint64_t k;

    memcpy(&k, worker, sizeof(k));
    return k;
}
/* Tasks that this worker has begun. */
static inline struct board *rt_board(void *page)
{
    return (struct board *)(void *)((uint8_t *)page + DOORBELL_SPARE);
}
_Static_assert(DOORBELL_SPARE + sizeof(struct board) <= DOORBELL_PAGE_BYTES, "the page is full");
/* Answers, after the function has returned and, if deferred, completed. */
void call_answer(struct runtime *rt, struct raia_call *c);
void call_free(struct runtime *rt, struct raia_call *c);
/* The grant that `who` (a call, or a process to be told) waited for has come. */
void object_registered(struct runtime *rt, raia_ref *o, void *who);
/* The store has brought the object, or it failed: calls that wait for it go on. */
void call_object_came(struct runtime *rt, raia_ref *o);
void call_canceled(struct runtime *rt, struct link *l, uint64_t tag, struct seat *seat,
                   const struct wire_cancel *how);
void call_give_back(struct runtime *rt, struct link *l, uint32_t count);
/* Sets status and error of a failed call: e, and under it what this thread failed with last. */
void call_fail(struct raia_call *c, const struct raia_error *e, bool with_last);
/* Its function has returned and, if deferred, was completed. */
void call_finish(struct runtime *rt, struct raia_call *c);
/* Tells the raylet what runs here for a while already, and that it has ended: for listings. */
void call_report(struct runtime *rt, int64_t now);
void call_report_end(struct runtime *rt, const struct raia_call *c);
/* Cancels the task that makes an object of ours. */
void object_cancel(struct runtime *rt, raia_ref *o, bool force, bool recursive);
/* Tasks that this call submitted: cancels them. */
void cancel_children(struct runtime *rt, uint64_t number, bool force);
/* Serves until told to leave; never returns. */
void worker_serve(struct runtime *rt) __attribute__((noreturn));
/* The call that this thread runs; NULL: none. */
extern _Thread_local struct raia_call *current_call;

#endif
