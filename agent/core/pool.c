/*
 * The worker pool's state machine.
 */
#include "core/pool.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "raia/error.h"

#define NS_PER_MS INT64_C(1000000)

struct worker {
    uint64_t number;       /* the pool's name for it, never reused */
    int64_t since;         /* when it entered its state, ns */
    enum pool_state state; /* see pool.h */
    bool blocked;          /* leased, and waits for others */
    bool kept;             /* outlives its job */
    bool forced;           /* stopping, whatever it does */
    uint8_t job[4];        /* whose program it runs */
    struct worker *next;   /* all workers, oldest first */
};

struct request {
    uint64_t number;      /* the caller's */
    uint8_t job[4];       /* whose worker it wants */
    struct request *next; /* in order of arrival */
};

/* What is remembered of a job: only while it has workers or requests. */
struct job {
    uint8_t id[4];
    uint32_t failures;  /* starts that failed in a row */
    int64_t not_before; /* the next start, ns */
    struct job *next;
};

struct pool {
    struct pool_config config;
    const struct pool_ops *ops;
    void *arg; /* for ops */
    struct worker *workers;
    struct request *requests;
    struct job *jobs;
    struct pool_stats stats;
    uint64_t next_number; /* of a worker */
};

struct pool *pool_new(const struct pool_config *config, const struct pool_ops *ops, void *arg)
{
    struct pool *p = mem_new(struct pool);

    if (!p)
        return NULL;
    p->config = *config;
    if (p->config.workers_max > POOL_WORKERS_MAX)
        p->config.workers_max = POOL_WORKERS_MAX;
    p->ops = ops;
    p->arg = arg;
    p->next_number = 1;
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    for (struct worker *w = p->workers, *next; w; w = next) {
        next = w->next;
        mem_free(w);
    }
    for (struct request *q = p->requests, *next; q; q = next) {
        next = q->next;
        mem_free(q);
    }
    for (struct job *j = p->jobs, *next; j; j = next) {
        next = j->next;
        mem_free(j);
    }
    mem_free(p);
}

static struct worker *worker_find(const struct pool *p, uint64_t number)
{
    struct worker *w = p->workers;

    while (w && w->number != number)
        w = w->next;
    return w;
}

static uint32_t *state_count(struct pool *p, enum pool_state state)
{
    switch (state) {
    case POOL_STARTING:
        return &p->stats.starting;
    case POOL_IDLE:
        return &p->stats.idle;
    case POOL_LEASED:
        return &p->stats.leased;
    case POOL_STOPPING:
    default:
        return &p->stats.stopping;
    }
}

static void set_state(struct pool *p, struct worker *w, enum pool_state state, int64_t now)
{
    --*state_count(p, w->state);
    if (w->blocked) {
        p->stats.blocked--;
        w->blocked = false;
    }
    w->state = state;
    w->since = now;
    ++*state_count(p, state);
}

static uint32_t workers_total(const struct pool *p)
{
    return p->stats.starting + p->stats.idle + p->stats.leased + p->stats.stopping;
}

static struct job *job_find(struct pool *p, const uint8_t id[4])
{
    struct job *j = p->jobs;

    while (j && memcmp(j->id, id, 4))
        j = j->next;
    return j;
}

static struct job *job_get(struct pool *p, const uint8_t id[4])
{
    struct job *j = job_find(p, id);

    if (j)
        return j;
    j = mem_new(struct job);
    if (!j)
        return NULL;
    memcpy(j->id, id, 4);
    j->next = p->jobs;
    p->jobs = j;
    return j;
}

static int worker_start(struct pool *p, int64_t now, const uint8_t job[4])
{
    struct worker *w = mem_new(struct worker), **end = &p->workers;

    if (!w)
        return -RAIA_ERR_NOMEM;
    w->number = p->next_number++;
    w->since = now;
    w->state = POOL_STARTING;
    memcpy(w->job, job, 4);
    while (*end)
        end = &(*end)->next;
    *end = w;
    p->stats.starting++;
    p->stats.started++;
    p->ops->spawn(p->arg, w->number, w->job);
    return 0;
}

/* The youngest idle worker of a job: its memory is the warmest. */
static struct worker *idle_of(struct pool *p, const uint8_t job[4])
{
    struct worker *best = NULL;

    for (struct worker *w = p->workers; w; w = w->next)
        if (w->state == POOL_IDLE && !memcmp(w->job, job, 4) && (!best || w->since >= best->since))
            best = w;
    return best;
}

static void worker_stop(struct pool *p, struct worker *w, int64_t now, bool force, const char *why)
{
    set_state(p, w, POOL_STOPPING, now);
    w->forced = force;
    p->ops->stop(p->arg, w->number, force, why);
}

/* At the cap: an idle worker that nobody waits for makes room. */
static bool make_room(struct pool *p, int64_t now, const uint8_t job[4])
{
    for (struct worker *w = p->workers; w; w = w->next)
        if (w->state == POOL_IDLE && memcmp(w->job, job, 4)) {
            p->stats.reaped++;
            worker_stop(p, w, now, false, "its place is needed for another job");
            return true;
        }
    return false;
}

static void request_fail(struct pool *p, struct request **at, int status, const char *text)
{
    struct request *q = *at;
    uint64_t number = q->number;

    *at = q->next;
    mem_free(q);
    p->stats.waiting--;
    p->ops->fail(p->arg, number, status, text);
}

static uint32_t count_starting(const struct pool *p, const uint8_t job[4])
{
    uint32_t n = 0;

    for (const struct worker *w = p->workers; w; w = w->next)
        n += w->state == POOL_STARTING && !memcmp(w->job, job, 4);
    return n;
}

static uint32_t count_waiting(const struct pool *p, const uint8_t job[4], const struct request *end)
{
    uint32_t n = 0;

    for (const struct request *q = p->requests; q != end; q = q->next)
        n += !memcmp(q->job, job, 4);
    return n;
}

/* One more start for this job, if it has fewer under way than requests up to and with `q`. */
static bool start_for(struct pool *p, int64_t now, const struct request *q)
{
    struct job *j = job_find(p, q->job);

    if (count_starting(p, q->job) > count_waiting(p, q->job, q))
        return false;
    if (p->stats.starting >= p->config.starting_max || (j && j->not_before > now))
        return false;
    if (workers_total(p) >= p->config.workers_max)
        return make_room(p, now, q->job);
    return worker_start(p, now, q->job) == 0;
}

/* Gives idle workers to those who wait, in order, and starts what is missing. */
static void serve(struct pool *p, int64_t now)
{
    struct request **at = &p->requests;
    bool stuck;

    while (*at) {
        struct request *q = *at;
        struct worker *w = idle_of(p, q->job);
        if (w) {
            uint64_t number = q->number;
            *at = q->next;
            mem_free(q);
            p->stats.waiting--;
            set_state(p, w, POOL_LEASED, now);
            p->ops->assign(p->arg, number, w->number);
            continue;
        }
        start_for(p, now, q);
        at = &q->next;
    }
    /* Blocked workers wait for what would run on others: without room there is no way out. */
    stuck = p->stats.waiting && workers_total(p) >= p->config.workers_max &&
            p->stats.blocked == p->config.workers_max;
    while (stuck && p->requests) {
        char text[160];
        snprintf(
            text, sizeof text,
            "all %u workers of this node are blocked waiting for other tasks: use fewer nested "
            "waits, or raise max-workers",
            p->config.workers_max);
        request_fail(p, &p->requests, -RAIA_ERR_LIMIT, text);
    }
}

int pool_want(struct pool *p, int64_t now, const uint8_t job[4], uint64_t request)
{
    struct request *q, **end = &p->requests;

    if (p->stats.waiting >= POOL_REQUESTS_MAX)
        return -RAIA_ERR_LIMIT;
    q = mem_new(struct request);
    if (!q || !job_get(p, job)) {
        mem_free(q);
        return -RAIA_ERR_NOMEM;
    }
    q->number = request;
    memcpy(q->job, job, 4);
    while (*end)
        end = &(*end)->next;
    *end = q;
    p->stats.waiting++;
    serve(p, now);
    return 0;
}

bool pool_cancel(struct pool *p, uint64_t request)
{
    for (struct request **at = &p->requests; *at; at = &(*at)->next)
        if ((*at)->number == request) {
            struct request *q = *at;
            *at = q->next;
            mem_free(q);
            p->stats.waiting--;
            return true;
        }
    return false;
}

void pool_prestart(struct pool *p, int64_t now, const uint8_t job[4], uint32_t count)
{
    uint32_t have = 0;

    if (!job_get(p, job))
        return;
    for (struct worker *w = p->workers; w; w = w->next)
        have += (w->state == POOL_STARTING || w->state == POOL_IDLE) && !memcmp(w->job, job, 4);
    while (have < count && p->stats.starting < p->config.starting_max &&
           workers_total(p) < p->config.workers_max && worker_start(p, now, job) == 0)
        have++;
}

int pool_ready(struct pool *p, int64_t now, uint64_t worker)
{
    struct worker *w = worker_find(p, worker);
    struct job *j;

    if (!w)
        return -RAIA_ERR_NOT_FOUND;
    if (w->state != POOL_STARTING)
        return -RAIA_ERR_STATE;
    set_state(p, w, POOL_IDLE, now);
    j = job_find(p, w->job);
    if (j) {
        j->failures = 0;
        j->not_before = 0;
    }
    serve(p, now);
    return 0;
}

void pool_release(struct pool *p, int64_t now, uint64_t worker, bool broken)
{
    struct worker *w = worker_find(p, worker);

    if (!w || w->state != POOL_LEASED)
        return;
    if (broken)
        worker_stop(p, w, now, true, "its owner gave it back as broken");
    else
        set_state(p, w, POOL_IDLE, now);
    serve(p, now);
}

/* A start failed: later ones wait a little longer each time; after too many, nobody waits. */
static void start_failed(struct pool *p, int64_t now, const uint8_t job[4], const char *why)
{
    struct job *j = job_find(p, job);
    char text[400];

    p->stats.failures++;
    if (!j)
        return;
    j->failures++;
    j->not_before = now + (INT64_C(50) << (j->failures < 6 ? j->failures : 6)) * NS_PER_MS;
    if (j->failures < p->config.start_tries)
        return;
    snprintf(text, sizeof text, "%u workers in a row could not be started; the last: %s",
             j->failures, why);
    j->failures = 0;
    for (struct request **at = &p->requests; *at;)
        if (!memcmp((*at)->job, job, 4))
            request_fail(p, at, -RAIA_ERR_RUNTIME_ENV, text);
        else
            at = &(*at)->next;
}

/* Forgets jobs that have nothing left. */
static void jobs_trim(struct pool *p)
{
    for (struct job **at = &p->jobs; *at;) {
        struct job *j = *at;
        bool used = j->failures > 0 || count_waiting(p, j->id, NULL) > 0;
        for (const struct worker *w = p->workers; w && !used; w = w->next)
            used = !memcmp(w->job, j->id, 4);
        if (used) {
            at = &j->next;
        } else {
            *at = j->next;
            mem_free(j);
        }
    }
}

void pool_exited(struct pool *p, int64_t now, uint64_t worker, const char *why)
{
    for (struct worker **at = &p->workers; *at; at = &(*at)->next) {
        struct worker *w = *at;
        bool starting;
        uint8_t job[4];
        if (w->number != worker)
            continue;
        starting = w->state == POOL_STARTING;
        memcpy(job, w->job, 4);
        set_state(p, w, POOL_STOPPING, now);
        p->stats.stopping--;
        *at = w->next;
        mem_free(w);
        if (starting)
            start_failed(p, now, job, why);
        serve(p, now);
        jobs_trim(p);
        return;
    }
}

void pool_job_ended(struct pool *p, int64_t now, const uint8_t job[4])
{
    struct job *j = job_find(p, job);

    if (j)
        j->failures = 0;
    for (struct request **at = &p->requests; *at;)
        if (!memcmp((*at)->job, job, 4))
            request_fail(p, at, -RAIA_ERR_CANCELED, "the job has ended");
        else
            at = &(*at)->next;
    for (struct worker *w = p->workers; w; w = w->next)
        if (!memcmp(w->job, job, 4) && !w->forced && !w->kept)
            worker_stop(p, w, now, true, "its job has ended");
    serve(p, now);
    jobs_trim(p);
}

void pool_keep(struct pool *p, uint64_t worker)
{
    struct worker *w = worker_find(p, worker);

    if (w)
        w->kept = true;
}

void pool_blocked(struct pool *p, int64_t now, uint64_t worker, bool blocked)
{
    struct worker *w = worker_find(p, worker);

    if (!w || w->state != POOL_LEASED || w->blocked == blocked)
        return;
    w->blocked = blocked;
    if (blocked)
        p->stats.blocked++;
    else
        p->stats.blocked--;
    serve(p, now);
}

int64_t pool_tick(struct pool *p, int64_t now)
{
    int64_t next = INT64_MAX;

    serve(p, now);
    for (struct worker *w = p->workers; w; w = w->next) {
        int64_t due;
        if (w->state == POOL_STARTING)
            due = w->since + p->config.start_ms * NS_PER_MS;
        else if (w->state == POOL_IDLE && p->stats.idle > p->config.idle_max)
            due = w->since + p->config.idle_ms * NS_PER_MS;
        else
            continue;
        if (due > now) {
            next = due < next ? due : next;
            continue;
        }
        if (w->state == POOL_STARTING) {
            struct job *j = job_find(p, w->job);
            worker_stop(p, w, now, true, "it did not register in time");
            if (j)
                start_failed(p, now, w->job, "it did not register in time; see its log");
        } else {
            p->stats.reaped++;
            worker_stop(p, w, now, false, "idle");
        }
    }
    for (struct job *j = p->jobs; j; j = j->next)
        if (j->not_before > now && j->not_before < next && count_waiting(p, j->id, NULL))
            next = j->not_before;
    return next;
}

bool pool_worker(const struct pool *p, uint64_t worker, enum pool_state *ret_state,
                 uint8_t ret_job[4])
{
    const struct worker *w = worker_find(p, worker);

    if (!w)
        return false;
    *ret_state = w->state;
    memcpy(ret_job, w->job, 4);
    return true;
}

void pool_stats(const struct pool *p, struct pool_stats *ret_stats)
{
    *ret_stats = p->stats;
}

bool pool_check(const struct pool *p)
{
    uint32_t n[4] = {0}, blocked = 0, waiting = 0;

    for (const struct worker *w = p->workers; w; w = w->next) {
        n[w->state]++;
        blocked += w->blocked;
        if (w->blocked && w->state != POOL_LEASED)
            return false;
    }
    for (const struct request *q = p->requests; q; q = q->next)
        waiting++;
    return n[POOL_STARTING] == p->stats.starting && n[POOL_IDLE] == p->stats.idle &&
           n[POOL_LEASED] == p->stats.leased && n[POOL_STOPPING] == p->stats.stopping &&
           blocked == p->stats.blocked && waiting == p->stats.waiting &&
           n[0] + n[1] + n[2] + n[3] <= p->config.workers_max;
}
