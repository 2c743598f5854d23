/* The worker pool. */
#include "core/pool.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "raia/error.h"

#define MS INT64_C(1000000)

struct seen {
    uint64_t spawned[64];
    int nspawned;
    uint64_t stopped[64];
    bool forced[64];
    int nstopped;
    uint64_t request[64], worker[64];
    int nassigned;
    int status[64];
    int nfailed;
    char text[256];
};

static void on_spawn(void *arg, uint64_t worker, const uint8_t job[4])
{
    struct seen *s = arg;

    (void)job;
    s->spawned[s->nspawned++] = worker;
}

static void on_stop(void *arg, uint64_t worker, bool force, const char *why)
{
    struct seen *s = arg;

    (void)why;
    s->forced[s->nstopped] = force;
    s->stopped[s->nstopped++] = worker;
}

static void on_assign(void *arg, uint64_t request, uint64_t worker)
{
    struct seen *s = arg;

    s->request[s->nassigned] = request;
    s->worker[s->nassigned++] = worker;
}

static void on_fail(void *arg, uint64_t request, int status, const char *text)
{
    struct seen *s = arg;

    (void)request;
    s->status[s->nfailed++] = status;
    snprintf(s->text, sizeof s->text, "%s", text);
}

static const struct pool_ops ops = {on_spawn, on_stop, on_assign, on_fail};
static const struct pool_config config = {.idle_max = 2,
                                          .starting_max = 2,
                                          .workers_max = 4,
                                          .start_tries = 3,
                                          .idle_ms = 1000,
                                          .start_ms = 60000};
static const uint8_t job1[4] = {0, 0, 0, 1}, job2[4] = {0, 0, 0, 2};

/* Requests start workers, a few at a time, and get them in order; a worker given back is reused. */
Test(pool, starts_and_reuses)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);

    for (uint64_t i = 1; i <= 3; i++)
        cr_assert_eq(pool_want(p, 0, job1, i), 0);
    cr_assert_eq(s.nspawned, 2);
    cr_assert_eq(pool_ready(p, 0, s.spawned[0]), 0);
    cr_assert_eq(s.nassigned, 1);
    cr_assert_eq(s.request[0], 1);
    cr_assert_eq(s.nspawned, 3);
    cr_assert_eq(pool_ready(p, 0, s.spawned[0]), -RAIA_ERR_STATE);
    pool_release(p, 0, s.spawned[0], false);
    cr_assert_eq(s.nassigned, 2);
    cr_assert_eq(s.request[1], 2);
    cr_assert_eq(s.worker[1], s.spawned[0]);
    cr_assert(pool_check(p));
    pool_free(p);
}

/* Workers of another job are of no use: at the cap an idle one makes room. */
Test(pool, jobs_do_not_share)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);

    pool_prestart(p, 0, job1, 2);
    pool_ready(p, 0, s.spawned[0]);
    pool_ready(p, 0, s.spawned[1]);
    pool_prestart(p, 0, job1, 4);
    pool_ready(p, 0, s.spawned[2]);
    pool_ready(p, 0, s.spawned[3]);
    cr_assert_eq(s.nspawned, 4);
    cr_assert_eq(pool_want(p, 0, job2, 1), 0);
    cr_assert_eq(s.nspawned, 4);
    cr_assert_eq(s.nstopped, 1);
    pool_exited(p, 0, s.stopped[0], "left");
    cr_assert_eq(s.nspawned, 5);
    pool_ready(p, 0, s.spawned[4]);
    cr_assert_eq(s.nassigned, 1);
    pool_free(p);
}

/* Idle workers beyond idle_max are told to leave after a second, no others. */
Test(pool, reaps_idle)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);

    pool_prestart(p, 0, job1, 4);
    pool_ready(p, 0, s.spawned[0]);
    pool_ready(p, 0, s.spawned[1]);
    cr_assert_eq(pool_tick(p, 10 * MS), INT64_MAX);
    pool_prestart(p, 10 * MS, job1, 3);
    pool_ready(p, 10 * MS, s.spawned[2]);
    cr_assert_eq(pool_tick(p, 20 * MS), 1000 * MS);
    cr_assert_eq(s.nstopped, 0);
    pool_tick(p, 1000 * MS);
    cr_assert_eq(s.nstopped, 1);
    cr_assert_eq(pool_tick(p, 9000 * MS), INT64_MAX);
    cr_assert_eq(s.nstopped, 1);
    pool_free(p);
}

/* Three starts that fail in a row, with growing pauses, fail what waits, with the reason. */
Test(pool, start_failures)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);
    int64_t now = 0;

    pool_want(p, now, job1, 1);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(s.nspawned, i + 1);
        pool_exited(p, now, s.spawned[i], "exit status 127");
        if (i < 2) {
            int64_t next = pool_tick(p, now);
            cr_assert_gt(next, now);
            cr_assert_neq(next, INT64_MAX);
            now = next;
            pool_tick(p, now);
        }
    }
    cr_assert_eq(s.nfailed, 1);
    cr_assert_eq(s.status[0], -RAIA_ERR_RUNTIME_ENV);
    cr_assert(strstr(s.text, "exit status 127"));
    cr_assert(pool_check(p));
    pool_free(p);
}

/* A worker that does not say hello in time is killed, and another one started. */
Test(pool, start_timeout)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);

    pool_want(p, 0, job1, 1);
    cr_assert_eq(pool_tick(p, 1), 60000 * MS);
    pool_tick(p, 60000 * MS);
    cr_assert_eq(s.nstopped, 1);
    cr_assert_eq(pool_ready(p, 60000 * MS, s.spawned[0]), -RAIA_ERR_STATE);
    pool_tick(p, 61000 * MS);
    cr_assert_eq(s.nspawned, 2);
    pool_free(p);
}

/* When all workers are blocked at the cap, a request fails and says so; with one that is not, it
 * waits. */
Test(pool, all_blocked)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);

    for (uint64_t i = 1; i <= 5; i++)
        pool_want(p, 0, job1, i);
    for (int i = 0; i < 4; i++)
        pool_ready(p, 0, s.spawned[i]);
    cr_assert_eq(s.nassigned, 4);
    for (int i = 0; i < 3; i++)
        pool_blocked(p, 0, s.spawned[i], true);
    cr_assert_eq(s.nfailed, 0);
    pool_blocked(p, 0, s.spawned[3], true);
    cr_assert_eq(s.nfailed, 1);
    cr_assert_eq(s.status[0], -RAIA_ERR_LIMIT);
    cr_assert(strstr(s.text, "blocked"));
    pool_free(p);
}

/* A worker that was asked to leave when it is needed no more, and may take its time for that, is
 * stopped when its job ends; once. */
Test(pool, job_end_while_it_leaves)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);

    for (uint64_t i = 0; i < 3; i++) {
        pool_want(p, 0, job1, i + 1);
        pool_ready(p, 0, s.spawned[i]);
    }
    for (int i = 0; i < 3; i++)
        pool_release(p, 0, s.spawned[i], false);
    pool_tick(p, 3000 * MS);
    cr_assert_eq(s.nstopped, 1, "one is idle beyond the two that stay");
    cr_assert_not(s.forced[0]);
    pool_job_ended(p, 3000 * MS, job1);
    cr_assert_eq(s.nstopped, 4);
    for (int i = 1; i < 4; i++)
        cr_assert(s.forced[i]);
    cr_assert(s.stopped[1] == s.stopped[0] || s.stopped[2] == s.stopped[0] ||
              s.stopped[3] == s.stopped[0]);
    pool_job_ended(p, 3000 * MS, job1);
    cr_assert_eq(s.nstopped, 4, "they have been stopped");
    cr_assert(pool_check(p));
    for (int i = 0; i < 3; i++)
        pool_exited(p, 3000 * MS, s.spawned[i], "killed");
    cr_assert(pool_check(p));
    pool_free(p);
}

/* The end of a job stops its workers and fails what waits; other jobs go on. */
Test(pool, job_end)
{
    struct seen s = {0};
    struct pool *p = pool_new(&config, &ops, &s);

    pool_want(p, 0, job1, 1);
    pool_want(p, 0, job2, 2);
    pool_job_ended(p, 0, job1);
    cr_assert_eq(s.nfailed, 1);
    cr_assert_eq(s.status[0], -RAIA_ERR_CANCELED);
    cr_assert_eq(s.nstopped, 1);
    pool_ready(p, 0, s.spawned[1]);
    cr_assert_eq(s.nassigned, 1);
    cr_assert_eq(s.request[0], 2);
    pool_exited(p, 0, s.stopped[0], "killed");
    cr_assert(pool_check(p));
    pool_free(p);
}
