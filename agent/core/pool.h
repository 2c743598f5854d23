/*
 * The worker pool: which worker processes a node runs, and who gets one.
 *
 * Workers belong to a job (they run its program, in its environment). A request (pool_want) is met
 * by an idle worker of the job or by a new one; every request ends exactly once: assigned, failed,
 * or cancelled by pool_cancel. Whoever got a worker gives it back (pool_release).
 *
 *     spawn ---> STARTING --pool_ready--> IDLE <--> LEASED      any --pool_exited--> gone
 *
 * How many: starts under way are limited to `starting_max`; idle workers beyond `idle_max` are told
 * to leave after `idle_ms`; there are never more than `workers_max`. At that cap a request waits
 * for a worker to come free (idle ones of other jobs make room), and fails with LIMIT when all are
 * blocked, because then none would ever come free. A worker that has not said hello after
 * `start_ms` is killed. When `start_tries` starts of a job in a row fail, what waits for its
 * workers fails with RUNTIME_ENV, and the next request tries anew.
 *
 * Pure: effects go through pool_ops, called from inside the functions below; they must not call
 * back into the pool. Numbers of workers are never reused.
 * Threads: one at a time. Failure: -NOMEM, -LIMIT (POOL_REQUESTS_MAX).
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#define POOL_WORKERS_MAX  4096
#define POOL_REQUESTS_MAX 65536

struct pool;

struct pool_ops {
    /* Start a worker; pool_ready or pool_exited follows. */
    void (*spawn)(void *arg, uint64_t worker, const uint8_t job[4]);
    /* An idle worker is to leave (force: now; else when it has nothing to say any more). Then
     * pool_exited. */
    void (*stop)(void *arg, uint64_t worker, bool force, const char *why);
    /* The request is met by this worker. */
    void (*assign)(void *arg, uint64_t request, uint64_t worker);
    /* The request cannot be met: a negative -RAIA_ERR_*, and why. */
    void (*fail)(void *arg, uint64_t request, int status, const char *text);
};

struct pool_config {
    uint32_t idle_max;     /* idle workers that are kept (Ray: the number of CPUs) */
    uint32_t starting_max; /* starts under way at a time */
    uint32_t workers_max;  /* workers in all */
    uint32_t start_tries;  /* failed starts in a row before what waits fails */
    int64_t idle_ms;       /* how long a worker beyond idle_max stays */
    int64_t start_ms;      /* how long a start may take */
};

enum pool_state { POOL_STARTING, POOL_IDLE, POOL_LEASED, POOL_STOPPING };

/* NULL: out of memory. */
struct pool *pool_new(const struct pool_config *config, const struct pool_ops *ops, void *arg);
void pool_free(struct pool *p);

/* Asks for a worker. `request` is the caller's, unique among those that wait. Times are ns. */
int pool_want(struct pool *p, int64_t now, const uint8_t job[4], uint64_t request);
/* The request is not needed any more: true if it was still waiting. */
bool pool_cancel(struct pool *p, uint64_t request);
/* Starts workers ahead of demand, until the job has `count` that are idle or starting. */
void pool_prestart(struct pool *p, int64_t now, const uint8_t job[4], uint32_t count);

/* The worker has said hello. -NOT_FOUND, -STATE (it was not starting). */
int pool_ready(struct pool *p, int64_t now, uint64_t worker);
/* The worker is no longer used; broken: do not reuse it. */
void pool_release(struct pool *p, int64_t now, uint64_t worker, bool broken);
/* The worker's process ended, or could not be started: `why` is for people. */
void pool_exited(struct pool *p, int64_t now, uint64_t worker, const char *why);
/* The job ended: its workers are stopped, what waits is failed. */
void pool_job_ended(struct pool *p, int64_t now, const uint8_t job[4]);
/* The worker outlives its job: the job's end does not stop it. */
void pool_keep(struct pool *p, uint64_t worker);
/* A leased worker waits for others (or not any more). */
void pool_blocked(struct pool *p, int64_t now, uint64_t worker, bool blocked);
/* Does what is due; when to call it next (ns; INT64_MAX: nothing is pending). */
int64_t pool_tick(struct pool *p, int64_t now);

/* What a worker is, for listings; false if there is none. */
bool pool_worker(const struct pool *p, uint64_t worker, enum pool_state *ret_state,
                 uint8_t ret_job[4]);

struct pool_stats {
    uint32_t starting; /* workers */
    uint32_t idle;     /* workers */
    uint32_t leased;   /* workers, blocked ones included */
    uint32_t blocked;  /* workers */
    uint32_t stopping; /* workers */
    uint32_t waiting;  /* requests */
    uint64_t started;  /* starts since ever */
    uint64_t failures; /* starts that failed since ever */
    uint64_t reaped;   /* idle workers that were told to leave */
};
void pool_stats(const struct pool *p, struct pool_stats *ret_stats);
/* The accounts agree with the workers (for tests). */
bool pool_check(const struct pool *p);

#endif
