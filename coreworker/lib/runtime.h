/*
 * The runtime of a process: what all files of lib/ and api/ share. Private to libraia. Its parts have
 * headers of their own: registry.h (functions), link.h (other processes), store.h (values and objects),
 * gcs.h (questions to the control store), task.h (what we submit), call.h (what we run), actors.h.
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
#include "lib/actors.h"
#include "lib/call.h"
#include "lib/gcs.h"
#include "lib/link.h"
#include "lib/registry.h"
#include "lib/store.h"
#include "lib/task.h"
#include "proto/message.h"
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
/* Waits until the object is ready, and readable here if `fetch`. 1: there is a value, but it could not
 * be brought here; more->refusal says why, and the next one tries anew. */
int rt_wait_object(struct runtime *rt, raia_ref *o, bool fetch, int64_t deadline);

/* ---- the runtime itself: runtime.c, session.c, thread.c */

/* listing.c: answers the raylet's REC_LIST. */
void listing_asked(struct runtime *rt, uint64_t tag, const struct rec_list *m);

struct host; /* the actor that lives here */

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
