/*
 * The runtime of a process: what all files of lib/ and api/ share. Private to libraia.
 *
 * The token. All state below is guarded by one mutex, the runtime token. A thread that calls in
 * takes it (rt_enter), steps the cores, and gives it back (rt_leave); it is never held across user
 * code or a sleep. A thread that waits (rt_wait) becomes the poller if nobody is: it sleeps on the
 * doorbell without the token, takes it again, and drains the rings. Others sleep on a condition of
 * their own; when the poller leaves, it hands the role to one of them. Only who holds the token
 * while nobody polls, or the poller itself, touches the doorbell.
 *
 * The library's own thread (thread.c) wakes for urgent records, for the end of the raylet, and, as
 * long as work is under way, every few milliseconds: it drains when nobody else does, and keeps the
 * timers.
 *
 * Lifetime. There is one runtime, a static one; raylet is NULL before raia_init and after
 * raia_shutdown. Handles may outlive a session: the pool stays until the last one is released.
 */
#ifndef LIB_RUNTIME_H
#define LIB_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/doorbell.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/ring.h"
#include "core/caller.h"
#include "core/chain.h"
#include "core/object.h"
#include "core/pool.h"
#include "core/receiver.h"
#include "core/submitter.h"
#include "core/wire.h"
#include "proto/record.h"
#include "raia/raia.h"

#define RT_OUTBOX_MAX  (128u << 20) /* bytes that wait for room towards one process */
#define RT_INLINE_MAX  (100u << 10) /* bytes of a value that its owner keeps */
#define RT_ARG_MAX     (64u << 10)  /* bytes of an argument that travels in pieces */
#define RT_TINY_MAX    1024u        /* bytes of a value that its owner keeps in any case */
#define RT_OWNER_BYTES (256u << 20) /* of small values in one process, if the raylet says nothing */
#define RT_PENDING_MAX INT64_C(10000000)
#define RT_CREATE_MS   10000u /* how long a create waits for memory */
#define RT_GCS_MS      30000  /* how long a request to the GCS waits */
#define RT_DRAIN_BATCH 256u   /* records of one pair before the others have a turn */
/* ---- functions: registry.c */

struct function {
    char *name;                     /* owned */
    raia_fn *fn;                    /* NULL: known by name only */
    void (*destructor)(void *self); /* of a class */
    uint32_t number;                /* from 1: what links call it; in order of first use */
    bool is_class;                  /* fn is a constructor */
    struct function *next;          /* chain by name */
    struct function *next_fn;       /* chain by address */
};

struct function *function_of(raia_fn *fn);
struct function *function_named(const char *name, size_t size);
/* As function_named, but made (without a body) if it is not registered. */
struct function *function_intern(const char *name, size_t size);
int function_register(const char *name, raia_fn *fn, bool is_class, void (*destructor)(void *));
struct function *function_by_number(uint32_t number);
/* Of the registered names, in order. */
uint64_t function_table_hash(void);
/* ---- links: link.c (sending), drain.c (receiving) */

enum link_kind {
    LINK_OPENING,
    LINK_PAIR,
    LINK_RESTING, /* a pair that we offered to give back: nothing is sent until the answer */
    LINK_CHANNEL,
    LINK_CLOSED,
};

struct out_message {
    struct list link; /* link.outbox */
    uint64_t tag;
    uint16_t type;
    bool begun;    /* pieces of it have gone */
    uint32_t size; /* bytes of data */
    uint32_t sent; /* those of them that have gone */
    uint8_t data[];
};

/* The bit of the link of a process to itself: the raylet gives out those below. */
#define LINK_SELF_BIT RECORD_PAIRS_MAX

struct link {
    uint8_t kind;            /* enum link_kind */
    bool dirty;              /* reserved, not committed; in rt.dirty */
    bool was_full;           /* somebody found no room */
    bool raylet;             /* pair 0: speaks proto/record.h, not core/wire.h */
    uint32_t number;         /* of the pair or channel */
    uint32_t serial;         /* PAIR: of the pair, for the raylet */
    uint64_t open_tag;       /* OPENING: of the request */
    struct process *process; /* NULL: the raylet */
    struct ring_pair pair;   /* PAIR */
    uint64_t quiet_at;       /* PAIR: bytes that had gone over it, at quiet_since */
    int64_t quiet_since;     /* PAIR, ns: as far as is known */
    unsigned refused;        /* PAIR: times that the other one needed it */
    void *memory;            /* PAIR: the mapped region */
    size_t memory_size;      /* bytes */
    void *page;              /* PAIR: the peer's process page, mapped */
    int bell;                /* PAIR: the peer's eventfd, or -1 */
    uint64_t credit;         /* CHANNEL: bytes that may be sent */
    struct list outbox;      /* struct out_message */
    size_t outbox_bytes;     /* of it */
    struct buf partial;      /* message whose pieces are coming */
    uint16_t partial_type;   /* 0: none */
    uint64_t partial_tag;
    uint8_t arena_told;            /* how far the peer is with our arena: arena.c */
    struct arena_view *arena_view; /* the peer's arena; NULL: not told of any; owned */
    struct function **theirs;      /* by their number - 1: what they call functions; owned */
    uint32_t ntheirs;
    uint64_t *told;       /* bits: which of our numbers they know; owned */
    uint32_t ntold;       /* words */
    struct list leases;   /* lease.opening: wait for it to open */
    struct list callers;  /* raia_actor.on_link: use it, or wait for it to open */
    struct list hosted;   /* struct caller_seat: callers of our actors, behind it */
    struct list in_dirty; /* rt.dirty */
    HASH_HANDLE hh;       /* rt.channels, by number */
};

static inline bool link_is_pair(const struct link *l)
{
    return l->kind == LINK_PAIR || l->kind == LINK_RESTING;
}

struct runtime;

/* Room for one record in the ring or channel itself, whatever waits in the outbox. -LIMIT: none now. */
int link_reserve(struct runtime *rt, struct link *l, uint16_t type, uint16_t flags, uint64_t tag,
                 size_t size, void **ret_payload);
/* Room for one record that fits a piece, to be written before link_commit. -LIMIT: none now, or
 * others wait before it. */
int link_begin(struct runtime *rt, struct link *l, uint16_t type, uint16_t flags, uint64_t tag,
               size_t size, void **ret_payload);
/* Publishes what was begun. */
void link_commit(struct runtime *rt, struct link *l, bool urgent);
/* Sends in any case: what finds no room waits in the outbox. -LIMIT: the outbox is full. */
int link_send(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag, const void *data,
              size_t size, bool urgent);
/* Sends what waits; true if nothing is left. */
bool link_flush(struct runtime *rt, struct link *l);
/* Commits all that is reserved. */
void rt_flush(struct runtime *rt);
/* Makes links again that could not be made before. */
void links_tick(struct runtime *rt);
/* The link to a process, opened if need be (LINK_OPENING then). NULL: out of memory, or dead. */
struct link *link_to(struct runtime *rt, struct process *p);
struct link *link_new(struct runtime *rt, struct process *p);
/* Ends it: everybody concerned is told. status: as in struct rec_peer_closed. */
void link_closed(struct runtime *rt, struct link *l, int status);
void link_free(struct runtime *rt, struct link *l);
/* Makes the function's number known there; 0 or -NOMEM. */
int link_tell_function(struct runtime *rt, struct link *l, struct function *f);
/* Idle pairs: rest.c. A pair is there; when it is time; what the other one says. */
void rest_opened(struct runtime *rt, struct link *l);
void rest_tick(struct runtime *rt, int64_t now);
void rest_received(struct runtime *rt, struct link *l, enum wire_type type);
/* Takes what has come on all rings. */
void rt_drain(struct runtime *rt);

/* A record from the raylet, and a message from a process; both private, aligned copies. */
void route_raylet(struct runtime *rt, uint16_t type, uint16_t flags, uint64_t tag,
                  const uint8_t *data, size_t size);
void route_message(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag,
                   const uint8_t *data, size_t size);
/* ---- waiting: wait.c */

struct waiter {
    struct list link;       /* rt.waiters */
    pthread_cond_t cond;    /* of a waiter behind the poller */
    const raia_ref *target; /* wake for this object only; NULL: for any */
    bool woken;
    bool cond_ready; /* cond was initialised */
};

struct raia_call;

/* A wait as the poller or behind it, once: 0, or -TIMEOUT. The token is held before and after. */
int rt_wait(struct runtime *rt, struct waiter *w, int64_t deadline);
void waiter_init(struct waiter *w, const raia_ref *target);
void waiter_fini(struct waiter *w);
/* Wakes those who wait for this object, or all (NULL). */
void rt_wake(struct runtime *rt, const raia_ref *o);
/* The caller is about to sleep in user code's name / has stopped: tells the raylet (workers). */
void rt_blocked(struct runtime *rt, bool *io_told);
void rt_unblocked(struct runtime *rt, bool *io_told);
/* Asks the owner of a borrowed object for its value, once. */
int rt_query(struct runtime *rt, raia_ref *o);
/* Waits until the object is ready, and readable here if `fetch`. */
int rt_wait_object(struct runtime *rt, raia_ref *o, bool fetch, int64_t deadline);
/* ---- requests to the GCS, and other questions to the raylet: gcs.c */

struct question {
    struct list link; /* rt.questions */
    uint64_t tag;
    void (*answer)(struct runtime *rt, struct question *q, uint16_t type, int status,
                   const uint8_t *data, size_t size);
    void *arg;
    bool done;     /* for those who wait */
    int status;    /* what came of it */
    char *text;    /* owned; of a failed status; or NULL */
    uint8_t *data; /* owned copy of the answer; or NULL */
    size_t size;   /* bytes of data */
};

/* Sends a packed request; q->answer is called once. */
int gcs_ask(struct runtime *rt, struct question *q, uint16_t method, const void *packed, size_t n);
/* The same, and waits. On 0 q->data is the packed reply: question_fini. */
int gcs_call(struct runtime *rt, struct question *q, uint16_t method, const void *packed, size_t n);
void question_fini(struct question *q);
void gcs_replied(struct runtime *rt, uint16_t type, uint64_t tag, const uint8_t *data, size_t size);
void questions_fail(struct runtime *rt);
/* ---- values: encode.c */

/* The bytes of a value, before they have a place. */
struct flat {
    uint8_t head[16];      /* MessagePack head, or the whole scalar */
    size_t head_size;      /* bytes */
    const void *body;      /* then these */
    size_t body_size;      /* bytes */
    uint8_t format;        /* enum raia_format */
    raia_ref *const *refs; /* inside */
    size_t nrefs;
    raia_ref *held;    /* the value is that of this object; all else is empty */
    raia_ref *one;     /* storage for refs of an actor handle */
    uint8_t actor[32]; /* storage for body of an actor handle */
};

int value_flatten(struct runtime *rt, const struct raia_value *v, struct flat *ret);
/* A blob of it; the references inside are held. */
struct blob *flat_blob(struct runtime *rt, const struct flat *f);
/* Puts its bytes at `to` (head_size + body_size). */
void flat_write(const struct flat *f, uint8_t *to);
/* Whether a new value of that size stays with its owner: small ones do, up to a limit for all. */
bool rt_keeps(const struct runtime *rt, size_t size);
/* An object of it: inline or in the store. */
int flat_put(struct runtime *rt, const struct flat *f, raia_ref **ret);
/* The same, always in the store. */
int flat_put_stored(struct runtime *rt, const struct flat *f, raia_ref **ret);
/* Puts it into the store, as that object. */
int flat_store(struct runtime *rt, const struct flat *f, raia_ref *o);
/* Gives back the references of an entry that nobody needs. */
void item_drop(struct runtime *rt, struct process *from, const struct wire_item *item);
/* Writes what a received entry is into an object; `from` sent it. */
int item_into_object(struct runtime *rt, struct process *from, const struct wire_item *item,
                     raia_ref *o);
/* ---- objects in the store: store.c */

struct segment {
    uint32_t number;
    bool writable;
    uint8_t *base;     /* mapped */
    size_t size;       /* bytes */
    HASH_HANDLE hh;    /* rt.segments */
    struct list loose; /* rt.loose_segments */
};

/* What stands before a value in the store; data follows at STORED_HEAD, then a zero byte, then, at
 * the next multiple of 8, nrefs struct wire_ref. */
#define STORED_HEAD  64u
#define STORED_MAGIC 0x31445453u
struct stored_head {
    uint32_t magic;
    uint8_t format; /* enum raia_format */
    uint8_t pad[3];
    uint64_t size; /* bytes of data */
    uint32_t nrefs;
    uint32_t reserved;
    uint8_t fill[40];
};

static inline size_t stored_bytes(size_t size, size_t nrefs)
{
    return STORED_HEAD + wire_pad(size + 1) + nrefs * sizeof(struct wire_ref);
}

struct raia_buffer {
    uint32_t magic;
    raia_ref *object; /* pending, one hold */
    uint8_t *base;    /* the extent */
    size_t size;      /* bytes of data */
    size_t nrefs;     /* room behind it */
    struct list link; /* rt.buffers */
};

int store_init(struct runtime *rt);
/* Where an answer says; NULL if that is nowhere. */
uint8_t *store_at(struct runtime *rt, const struct rec_store_at *m);
int store_segment_came(struct runtime *rt, const uint8_t *data, size_t size, int fd);
void store_record(struct runtime *rt, uint16_t type, uint64_t tag, const uint8_t *data,
                  size_t size);
/* What the stores call an object, and to say that it is something else than the object's id. */
void store_id(const struct runtime *rt, const raia_ref *o, uint8_t to[28]);
int store_alias(struct runtime *rt, raia_ref *o, const uint8_t id[28]);
/* Memory for a new object; waits. The head is written. */
int store_create(struct runtime *rt, raia_ref *o, uint8_t format, size_t size, size_t nrefs,
                 uint8_t **ret_base);
/* Immutable from now on; the object becomes STORED (inner is taken over). */
int store_seal(struct runtime *rt, raia_ref *o, size_t bytes, raia_ref **inner, uint32_t ninner);
void store_abort(struct runtime *rt, raia_ref *o);
/* Asks the raylet to bring the object here; object_more.mapped is set when it has. */
int store_fetch(struct runtime *rt, raia_ref *o);
/* One reader of a mapped object more, less. */
void store_pin(raia_ref *o);
void store_unpin(struct runtime *rt, raia_ref *o);
/* A copy that was fetched and has no reader goes back. */
void store_unread(struct runtime *rt, raia_ref *o);
void store_free(struct runtime *rt, raia_ref *o);
void store_fini(struct runtime *rt);
/* ---- tasks: submit.c, reply.c */

struct raia_options;
int submit_task(struct runtime *rt, struct function *f, raia_actor *actor,
                const struct raia_options *options, const struct raia_value *args, size_t count,
                raia_ref **ret);
/* Encodes arguments; used for constructors too. */
int task_encode(struct runtime *rt, struct task *t, const struct raia_value *args, size_t count);
/* Writes the entries as they go to `to`; NULL payload: only their size. */
int task_write_spec(struct runtime *rt, struct task *t, struct process *to, uint8_t *at,
                    size_t *ret_size);
void task_free(struct runtime *rt, struct task *t);
void task_failed(struct runtime *rt, struct task *t, const struct raia_error *e);
int task_fill_head(struct runtime *rt, struct link *l, struct task *t, struct wire_task *h);
int task_send(struct runtime *rt, struct link *l, struct task *t, uint16_t type, uint64_t tag,
              uint32_t slot, uint64_t acked);
void task_replied(struct runtime *rt, struct link *l, struct task *t, const struct wire_reply *h,
                  const uint8_t *data, size_t size);
/* Counts what is still missing of the arguments, to be told of it. */
int task_watch(struct runtime *rt, struct task *t);
void task_creation_ready(struct runtime *rt, struct task *t);
void task_complete_error(struct runtime *rt, struct task *t, const struct chain *c);
/* One of the objects that it waits for is there. */
void task_argument_ready(struct runtime *rt, struct task *t);
/* Options to resources in order of name; cpus as in struct raia_options. */
int sched_resources(double num_cpus, double default_cpus, const struct raia_resource *more,
                    size_t nmore, struct sched_resource *to, unsigned *ret_n);
/* QUERY, and its answer VALUE. */
void query_received(struct runtime *rt, struct process *from, const struct wire_object *m);
void value_received(struct runtime *rt, struct process *from, const uint8_t *data, size_t size);
extern const struct submitter_ops rt_submitter_ops;
extern const struct objects_ops rt_objects_ops;
extern const struct caller_ops rt_caller_ops;
/* Fails what has passed its deadline; when to look again. */
int64_t tasks_check_deadlines(struct runtime *rt, int64_t now);
/* ---- executing: call.c, execute.c, worker.c */

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
/* ---- actors: actor.c (handles), host.c (those that live here) */

struct raia_actor {
    uint32_t magic;
    uint32_t handles; /* the user's */
    uint8_t id[16];
    struct caller caller;
    raia_ref *scope;        /* counts who holds the actor; held; NULL: detached, or found */
    struct function *class; /* of a created one */
    struct link *link;      /* when connected or connecting */
    struct list on_link;    /* link.callers */
    struct list unused;     /* rt.unused_actors */
    uint32_t slot;          /* what links call it: index in rt.actors + 1 */
    int max_task_retries;   /* RAIA_FOREVER: -1 */
    int64_t max_pending;    /* 0: no limit */
    bool block_when_full;
    bool detached;
    bool mine;       /* this process created it and keeps its scope */
    bool registered; /* the GCS knows it */
    bool subscribed;
    bool reconnect;        /* broke: connect again at `retry_at` */
    int64_t retry_at;      /* ns */
    struct task *creation; /* the constructor's arguments, until registered */
    void *options;         /* packed with it: struct actor_plan; owned */
    uint64_t calls;        /* tasks of it that exist */
    bool gone;             /* its session has ended: only to be released */
    struct question ask;   /* REGISTER_ACTOR */
    char *name;            /* owned; or NULL */
    HASH_HANDLE hh;        /* rt.actors, by id */
};
#define ACTOR_MAGIC 0x4143544fu

void actor_release(struct runtime *rt, raia_actor *a);
raia_actor *actor_by_id(struct runtime *rt, const uint8_t id[16]);
/* A handle's bytes, and a handle from them. */
#define ACTOR_BYTES 32u
void actor_pack(const raia_actor *a, uint8_t to[ACTOR_BYTES]);
raia_actor *actor_unpack(struct runtime *rt, const uint8_t *data, size_t size, raia_ref *scope);
void actor_publication(struct runtime *rt, const uint8_t *data, size_t size);
void actor_link_opened(struct runtime *rt, raia_actor *a, struct link *l);
void actor_welcomed(struct runtime *rt, struct link *l, uint64_t slot,
                    const struct wire_actor_welcome *m);
void actor_scope_out(struct runtime *rt, raia_ref *scope);
/* The constructor's arguments are there, or one of them has failed. */
void actor_creation_ready(struct runtime *rt, raia_actor *a);
void actor_argument_failed(struct runtime *rt, raia_actor *a, const struct raia_error *e);
/* One user of it less: it is freed, when none is left, by actors_sweep. */
void actor_check(struct runtime *rt, raia_actor *a);
void actors_sweep(struct runtime *rt);
int64_t actors_tick(struct runtime *rt, int64_t now);
void actors_fini(struct runtime *rt);

void host_create(struct runtime *rt, const uint8_t *data, size_t size);
void host_kill(struct runtime *rt, const uint8_t *data, size_t size);
void host_hello(struct runtime *rt, struct link *l, uint64_t slot,
                const struct wire_actor_hello *m);
struct seat *host_seat(struct runtime *rt, struct link *l, uint32_t slot);
/* The next call may run: NULL if none. */
void host_constructed(struct runtime *rt, struct raia_call *c);
void host_link_closed(struct runtime *rt, struct link *l);
bool seat_accept(struct seat *s, uint64_t sequence, uint64_t acked, bool *ret_broken);
struct link *seat_link(const struct seat *s); /* where answers go; NULL: nowhere now */
void seat_answer(struct runtime *rt, struct seat *s, struct raia_call *c, const void *data,
                 size_t size);
void host_exit(struct runtime *rt, bool intended, const char *why) __attribute__((noreturn));
void *host_self(struct runtime *rt);
const uint8_t *host_id(struct runtime *rt);
/* How often the actor has been started: 1 at first; 0: there is none. */
uint64_t host_incarnation(struct runtime *rt);
/* There is a call to run: wakes threads of an actor that has some. */
void host_work(struct runtime *rt);
/* Whether the thread of raia_init runs calls itself. */
bool host_takes_calls(struct runtime *rt);
void host_fini(struct runtime *rt);

/* listing.c: answers the raylet's REC_LIST. */
void listing_asked(struct runtime *rt, uint64_t tag, const struct rec_list *m);

struct host; /* the actor that lives here */
/* ---- the runtime itself: runtime.c, session.c, thread.c */

struct runtime {
    pthread_mutex_t token;
    struct list waiters;     /* struct waiter: those behind the poller; first of what is reset */
    bool poller;             /* somebody sleeps on the doorbell */
    unsigned inside;         /* threads that wait: shutdown lets them go first */
    bool closing;            /* raia_shutdown is at work */
    bool dead;               /* the raylet is gone */
    bool epoch_ended;        /* raia_shutdown was called after the last raia_init */
    struct raia_error death; /* why; what calls fail with when closing or dead */
    bool worker;             /* a worker, not a driver */
    bool leave;              /* a worker that is to leave when idle */
    pid_t pid;               /* to notice a fork */

    struct pool pool;
    struct pool refs; /* of struct raia_ref alone, so that listings find them */
    struct objects objects;
    struct submitter submitter;
    uint64_t counter;       /* of task ids */
    int64_t now;            /* ns; as of the last step */
    int64_t next_tick;      /* ns */
    int64_t next_deadline;  /* ns; no task's deadline passes before it */
    int64_t next_mend;      /* ns; no process's mend is due before it */
    int64_t next_reconnect; /* ns; no actor's retry_at comes before it */
    int64_t next_rest;      /* ns; idle pairs are looked for then */
    int64_t idle_pair_ns;   /* a pair not used for so long is given back; 0: never */
    uint64_t submits;       /* to drain now and then */
    int64_t max_pending_tasks;
    bool block_when_full;              /* past it: wait, rather than fail */
    uint64_t owner_bytes_max;          /* small values in this process */
    uint64_t tasks;                    /* tasks and calls that exist */
    struct sched_class *default_class; /* 1 CPU; NULL: not used yet */

    struct record_address self;
    uint8_t job[4];
    char ns[128]; /* namespace */
    char node_name[64];
    char session_dir[256];
    bool quiet;
    bool warned; /* of infeasible resources, once */

    int socket;  /* to the raylet */
    int bell_fd; /* our eventfd: urgent records */
    int kick_fd; /* wakes the library's thread */
    void *page;  /* our process page, mapped */
    struct doorbell bell;
    struct link *raylet;               /* pair 0 */
    struct link *pairs[DOORBELL_BITS]; /* by number */
    struct link *channels;             /* hash by number */
    struct list dirty;                 /* links with uncommitted records */
    struct list opening;               /* links that wait for an answer: link.in_dirty */
    struct list closed;                /* links to be freed when nobody is in them: link.in_dirty */
    unsigned draining;                 /* depth of rt_drain */
    uint64_t next_tag;                 /* of requests to the raylet */
    struct list questions;             /* struct question */
    struct segment *segments;          /* hash by number */
    struct list loose_segments;        /* those that the hash had no memory for */
    struct segment *spare_segment;     /* for one that comes when there is no memory */
    struct list buffers;               /* struct raia_buffer */
    struct arena *arena;               /* arena.h; NULL: none yet; owned */
    uint8_t *arena_scratch;            /* for the next message read from one; or NULL; owned */
    int64_t next_arena;                /* ns; it may be idle then */

    pthread_t thread;
    bool thread_runs;
    _Atomic bool thread_sleeps; /* without a timeout: kick it when work begins */
    _Atomic bool thread_stop;

    struct list ready;    /* struct raia_call, to be run */
    struct list running;  /* being run, deferred, or waiting for grants */
    uint64_t call_number; /* of the last one */
    uint64_t reported;    /* number of the call that the raylet was told of; 0: none */
    unsigned blocked;     /* threads in rt_blocked */
    pthread_cond_t work;  /* threads of an actor with concurrency wait here */

    raia_actor *actors;        /* hash by id */
    struct list unused_actors; /* to be freed when nobody is inside their cores */
    raia_actor **slots;        /* by slot - 1; owned */
    uint32_t nslots;
    uint32_t free_slot;    /* index: all before it are taken */
    struct host *host;     /* the actor that lives here; NULL: none */
    pid_t cluster_pid;     /* of a cluster of our own; 0: none */
    char cluster_name[64]; /* of it */
};

extern struct runtime *the_runtime;

/* In a forked child. */
bool rt_forked(void);
/* Lists and numbers of a runtime that is about to start. */
void rt_init_once(struct runtime *rt);
/* Gives back what the pools hold, of those that nothing of a session uses any more. */
void rt_pools_fini(struct runtime *rt);

/*
 * For public functions: the runtime with the token taken, or NULL with the thread's error set
 * (STATE, SHUTDOWN, FORKED, or why the raylet is gone).
 */
struct runtime *rt_enter(void);
/* The same for releasing things: also when closing or dead; NULL: no runtime (any more). */
struct runtime *rt_enter_release(void);
void rt_leave(struct runtime *rt);
/* Tells the library's thread that work is under way. Cheap. */
void rt_stir(struct runtime *rt);
/* Timers. The token is held. */
void rt_tick(struct runtime *rt, int64_t now);
/* The raylet is gone, or we leave: everything that waits fails with it. */
void rt_die(struct runtime *rt, const struct raia_error *e);

int session_open(struct runtime *rt, const struct raia_config *config, const char *path,
                 int64_t deadline, struct raia_error *e);
/* Reads one message from the socket and routes it. */
void session_read(struct runtime *rt);
/* Sends one message on the socket. */
int session_send(struct runtime *rt, uint16_t type, uint16_t flags, uint64_t tag, const void *data,
                 size_t size);
int session_address(const char *address, char *path, size_t size, struct raia_error *e);
void session_close(struct runtime *rt);
int thread_start(struct runtime *rt);
void thread_stop(struct runtime *rt);
int cluster_start(const struct raia_config *config, char *path, size_t size, pid_t *ret_pid,
                  char *name, size_t name_size, struct raia_error *e);
void cluster_stop(struct runtime *rt);

/* The thread's last error: last_error.c. Both return the negative code. */
int last_set(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int last_set_error(const struct raia_error *e);
/* No error: what a call starts with. */
void last_clear(void);
int last_set_chain(const struct chain *c);
/* What stands there. */
void last_get_chain(struct chain *ret);

#endif
