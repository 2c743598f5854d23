/*
 * The event loop of the daemons: timers, descriptors, signals, work handed over from other threads,
 * blocking work handed to a pool. The only code that includes libuv.
 *
 * One thread, the owner, runs a loop; everything that lives on the loop belongs to that thread.
 * Other threads reach it through loop_post.
 *
 *     struct loop *l;
 *     r = loop_new(&l, e);
 *     loop_timer_start(l, &n->heartbeat, 1000, 1000, on_heartbeat);   // n embeds the timer
 *     r = loop_signal_new(l, SIGTERM, on_term, n, &n->term, e);
 *     r = loop_run(l);                                                // until loop_stop(l)
 *     loop_timer_stop(&n->heartbeat);
 *     loop_signal_free(n->term);
 *     r = loop_free(l);
 *
 * Ownership: timers, tasks, hooks and work are embedded in the caller's structs (use container_of:
 * LOOP_OF below), so starting them cannot fail. A zeroed struct is a stopped one. Descriptor and
 * signal watchers are allocated; their owner frees them, from any callback too, and after *_free
 * returns their callback is not called again.
 * Threads: the owner thread only, but for loop_post, loop_stop, loop_hold and loop_release, which
 * any thread may call. The owner is the thread that runs the loop (before that, the one that made
 * it). Failure: loop_new and the watchers can run out of memory or descriptors.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

/* The struct of `type` whose `member` ptr points to. */
#define LOOP_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct loop;

int loop_new(struct loop **ret_l, struct raia_error *e);

/*
 * Ends a loop that is not running. Tasks posted before are still run. -RAIA_ERR_STATE, and nothing
 * done, while a timer is started, a watcher, a hook or a hold exists, or work is under way. NULL is
 * fine.
 */
int loop_free(struct loop *l);

/* Runs callbacks until loop_stop. A stop that came before the run ends it at once. */
int loop_run(struct loop *l);

/*
 * Waits at most max_wait_ms for something to happen, runs the callbacks that are due, and returns.
 * For tests and for draining at the end; true when a callback ran.
 */
bool loop_run_once(struct loop *l, uint32_t max_wait_ms);

/* Makes loop_run return after the callback that runs now. Any thread. */
void loop_stop(struct loop *l);

/* True on the owner thread. */
bool loop_is_owner(const struct loop *l);

/* Monotonic time read now; the same clock for both. */
uint64_t loop_now_ms(const struct loop *l);
uint64_t loop_now_ns(const struct loop *l);

/* Any thread: the loop must outlive something; loop_free refuses until it is released. */
void loop_hold(struct loop *l);
void loop_release(struct loop *l);

/* ---- tasks: work handed to the owner thread ---- */

struct loop_task;
typedef void (*loop_task_fn)(struct loop_task *t);

struct loop_task {
    loop_task_fn fn;        /* set by the caller; runs on the owner thread */
    struct loop_task *next; /* private: the queue */
    atomic_bool pending;    /* private: queued, fn has not started */
};

/*
 * Any thread, the owner included: t->fn(t) will run once on the owner thread, in the order of
 * posting, never from inside loop_post. Returns false if t was pending already: then nothing is
 * added, and the run still to come sees all that was written before this call. Inside fn, t may be
 * posted again or freed. Never allocates, never blocks; a batch of posts costs one wake-up.
 */
bool loop_post(struct loop *l, struct loop_task *t);

/* ---- timers ---- */

struct loop_timer;
typedef void (*loop_timer_fn)(struct loop_timer *t);

struct loop_timer {
    loop_timer_fn fn;          /* private: the callback */
    struct loop *loop;         /* private: where it is started; NULL: stopped */
    uint64_t due_ms;           /* private: when it fires, loop_now_ms */
    uint64_t seq;              /* private: order among equals */
    uint32_t repeat_ms;        /* private: 0 for one shot */
    struct loop_timer *child;  /* private: pairing heap */
    struct loop_timer *sib;    /* private: next sibling */
    struct loop_timer **pprev; /* private: the pointer that points here */
};

/*
 * Fires fn after delay_ms, and then every repeat_ms if that is not 0 (late ones are not made up
 * for). Starting a started timer starts it anew. Timers of the same millisecond fire in order of
 * start.
 */
void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t delay_ms, uint32_t repeat_ms,
                      loop_timer_fn fn);
/* Its callback will not be called (again). Does nothing to a stopped or zeroed timer. */
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);

/* ---- before sleep: flush what was batched ---- */

struct loop_hook;
typedef void (*loop_hook_fn)(struct loop_hook *h);

struct loop_hook {
    loop_hook_fn fn;        /* private: the callback */
    struct loop *loop;      /* private: where it is; NULL: nowhere */
    struct loop_hook *next; /* private: list */
    struct loop_hook *prev; /* private: list */
};

/*
 * Calls fn each time the loop is about to wait (or would wait, were nothing else due): the place to
 * flush batches. A hook that makes more work starts a timer or posts a task; the loop then does not
 * sleep. Hooks run in the order in which they were added and may remove themselves, no others.
 */
void loop_hook_add(struct loop *l, struct loop_hook *h, loop_hook_fn fn);
void loop_hook_remove(struct loop_hook *h);

/* ---- descriptors ---- */

enum loop_event {
    LOOP_READ = 1,   /* readable, or the peer is gone */
    LOOP_WRITE = 2,  /* writable */
    LOOP_HANGUP = 4, /* the peer closed its writing half; can be asked for, comes on its own too */
};

struct loop_fd;
/* events: an or of enum loop_event. Level-triggered. On an error all asked-for events are reported.
 */
typedef void (*loop_fd_fn)(void *arg, int fd, unsigned events);

/* Watches a pollable descriptor (socket, pipe, eventfd, pidfd; not a plain file), which stays the
 * caller's and must be open until loop_fd_free. One watcher per descriptor. */
int loop_fd_new(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *arg,
                struct loop_fd **ret_w, struct raia_error *e);
/* Changes the events; 0 pauses. */
int loop_fd_set(struct loop_fd *w, unsigned events);
/* Stops and frees; the descriptor may be closed as soon as this returns. NULL is fine. */
void loop_fd_free(struct loop_fd *w);

/* ---- signals ---- */

struct loop_signal;
typedef void (*loop_signal_fn)(void *arg, int signum);

int loop_signal_new(struct loop *l, int signum, loop_signal_fn fn, void *arg,
                    struct loop_signal **ret_w, struct raia_error *e);
void loop_signal_free(struct loop_signal *w);

/* ---- blocking work ---- */

struct loop_work;
typedef void (*loop_work_fn)(struct loop_work *w);             /* on a pool thread: may block */
typedef void (*loop_work_done_fn)(struct loop_work *w, int r); /* on the owner thread */

struct loop_work {
    loop_work_fn fn;        /* private */
    loop_work_done_fn done; /* private */
    struct loop *loop;      /* private */
    uint64_t uv[24];        /* private: the library's own request */
};

/*
 * Runs fn on the pool (4 threads shared by all loops of the process; UV_THREADPOOL_SIZE changes
 * it), then done on the owner thread, exactly once, with r 0. There is no order between two works:
 * who needs one (a database) starts the next in done. Never fails.
 */
void loop_work(struct loop *l, struct loop_work *w, loop_work_fn fn, loop_work_done_fn done);
/* If fn has not begun, done will get -RAIA_ERR_CANCELED and fn is never called: returns true. */
bool loop_work_cancel(struct loop_work *w);

#endif
