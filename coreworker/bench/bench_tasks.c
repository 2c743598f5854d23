/* Tasks: one after the other, many at a time, by several clients, and a million in the queue. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/timing.h"

#define BATCH   1000u
#define CLIENTS 4u
#define NESTED  10000u
#define QUEUED  1000000u

/* ------------------------------------------------------------------ tasks and methods */

static int client_new(raia_call *c)
{
    (void)c;
    return 0;
}
RAIA_ACTOR(TaskClient, client_new, NULL)

/* Submits n small tasks and gets them all. */
static int small_value_batch(raia_call *c)
{
    int64_t n = 0;
    int r = 0;

    if (raia_arg_int(c, 0, &n) < 0 || n < 0)
        return raia_fail(c, "how many?");
    raia_ref **refs = calloc((size_t)n + 1, sizeof *refs);
    struct raia_view *views = calloc((size_t)n + 1, sizeof *views);
    if (!refs || !views)
        r = raia_fail(c, "out of memory");
    for (int64_t i = 0; i < n && r == 0; i++)
        if (!(refs[i] = raia_submit(small_value)))
            r = raia_fail(c, "submit");
    if (r == 0 && raia_get_all(refs, (size_t)n, views, RAIA_FOREVER) < 0)
        r = raia_fail(c, "get");
    for (int64_t i = 0; i < n && r == 0; i++)
        raia_view_release(&views[i]);
    if (refs)
        raia_release_all(refs, (size_t)n);
    free(refs);
    free(views);
    return r;
}
RAIA_METHOD(small_value_batch)

/* Holds its CPU until the file is gone. */
static int hold_cpu(raia_call *c)
{
    const char *path = raia_arg_str(c, 0);

    if (!path)
        return raia_fail(c, "which file?");
    while (access(path, F_OK) == 0 && !raia_canceled(c))
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    return 0;
}
RAIA_TASK(hold_cpu)

/* ------------------------------------------------------------------ cases */

static int small_batch(struct bench *b)
{
    for (unsigned i = 0; i < BATCH; i++)
        b->refs[i] = raia_submit(small_value);
    return bench_get_all(b, BATCH);
}

static double small_batch_weight(const struct bench *b)
{
    (void)b;
    return BATCH;
}

static int small_task(struct bench *b)
{
    (void)b;
    return bench_finish(raia_submit(small_value));
}

static int multi_open(struct bench *b)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        b->actors[i] = raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.num_cpus = RAIA_NONE), client_new);
        if (!b->actors[i])
            return -raia_last_error()->code;
    }
    return 0;
}

static int multi_task(struct bench *b)
{
    int64_t n = (int64_t)bench_size(b, NESTED);

    for (unsigned i = 0; i < CLIENTS; i++)
        b->refs[i] = raia_actor_call(b->actors[i], small_value_batch, raia_int(n));
    return bench_get_all(b, CLIENTS);
}

static double multi_weight(const struct bench *b)
{
    return CLIENTS * (double)bench_size(b, NESTED);
}

/* ------------------------------------------------------------------ a million in the queue */

/* Highest resident size of this process since the last peak_reset, MiB. */
static double peak_mib(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long kib = 0;

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

static void peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");

    malloc_trim(0);
    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

static int queue_and_drain(raia_ref **refs, size_t n, const char *gate)
{
    int r = 0;
    size_t i = 0;

    for (; i < n && r == 0; i++)
        if (!(refs[i] = raia_submit(small_value)))
            r = -raia_last_error()->code;
    unlink(gate); /* all are queued: let them run */
    for (size_t k = 0; k < i && r == 0; k++)
        r = raia_get_done(refs[k], RAIA_FOREVER);
    raia_release_all(refs, i);
    return r;
}

/* Fills every CPU with a task that holds it, submits a million, lets go, and gets each. */
static int queued(struct bench *b, struct bench_result *ret)
{
    char gate[] = "/tmp/raia-bench-XXXXXX";
    size_t n = bench_size(b, QUEUED);
    raia_ref *holders[BENCH_ACTORS] = {NULL};
    unsigned cpus = b->cpus < BENCH_ACTORS ? b->cpus : BENCH_ACTORS;

    int fd = mkstemp(gate);
    if (fd < 0)
        return -RAIA_ERR_INTERNAL;
    close(fd);
    peak_reset();
    raia_ref **refs = calloc(n, sizeof *refs);
    int r = refs ? 0 : -RAIA_ERR_NOMEM;
    for (unsigned i = 0; i < cpus && r == 0; i++)
        if (!(holders[i] = raia_submit(hold_cpu, raia_str(gate))))
            r = -raia_last_error()->code;
    double start = timing_now();
    if (r == 0)
        r = queue_and_drain(refs, n, gate);
    double took = timing_now() - start;
    unlink(gate);
    for (unsigned i = 0; i < cpus; i++)
        if (holders[i] && bench_finish(holders[i]) < 0 && r == 0)
            r = -raia_last_error()->code;
    free(refs);
    if (r == 0)
        *ret = (struct bench_result){
            .per_second = (double)n / took, .seconds = took, .peak_mib = peak_mib()};
    return r;
}

static const struct bench_case cases[] = {
    {.name = "single client tasks and get batch", .unit = "batches of 1,000", .step = small_batch},
    {.name = "single client tasks sync", .unit = "tasks", .step = small_task},
    {.name = "single client tasks async",
     .unit = "tasks",
     .step = small_batch,
     .weight = small_batch_weight},
    {.name = "multi client tasks async",
     .unit = "tasks",
     .open = multi_open,
     .step = multi_task,
     .weight = multi_weight},
    {.name = "queued 1M tasks", .unit = "tasks", .once = queued},
};

const struct bench_group bench_tasks = {cases, sizeof cases / sizeof *cases};
