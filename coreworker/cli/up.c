/*
 * raia up: manifests to clusters of local processes, and the jobs in them to their end.
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/cluster.h"
#include "cli/job_run.h"
#include "cli/manifest.h"
#include "cli/verb.h"

#define EXIT_INTERRUPTED 130

static void print_ignored(const struct manifest *m)
{
    if (json_size(m->ignored) == 0)
        return;
    fprintf(stderr, "no meaning on one machine, ignored: ");
    const char *comma = "";
    JSON_FOREACH(it, m->ignored)
    {
        fprintf(stderr, "%s%s", comma, json_str(it));
        comma = ", ";
    }
    fprintf(stderr, "\n");
}

static int bring_up(const struct manifest_cluster *c, struct state_cluster *ret_c,
                    struct raia_error *e)
{
    size_t nodes = 0;
    bool reused = false;
    for (size_t i = 0; i < c->ngroups; i++)
        nodes += (size_t)c->groups[i].replicas;
    int64_t begin = clock_now_ns();
    int r = cluster_up(c, ret_c, &reused, e);
    if (r < 0)
        return r;
    if (reused)
        fprintf(stderr, "cluster '%s' runs already: %zu node%s, API %s\n", c->name, nodes,
                nodes == 1 ? "" : "s", ret_c->api_url);
    else
        fprintf(stderr, "cluster '%s' is up: %zu node%s in %.1f s, API %s\n", c->name, nodes,
                nodes == 1 ? "" : "s", (double)(clock_now_ns() - begin) / 1e9, ret_c->api_url);
    return 0;
}

static struct json *submission(const struct manifest_job *j, int64_t attempt)
{
    _cleanup_(json_freep) struct json *b = json_new_object();
    int r = b ? json_set_str(b, "entrypoint", j->entrypoint) : -1;
    if (r == 0 && j->submission_id) {
        _cleanup_(mem_freep) char *id =
            attempt ? mem_printf("%s-%lld", j->submission_id, (long long)attempt)
                    : mem_strdup(j->submission_id);
        r = id ? json_set_str(b, "submission_id", id) : -1;
    }
    if (r == 0)
        r = json_set(b, "runtime_env", json_copy(j->runtime_env));
    if (r == 0)
        r = json_set(b, "metadata", json_copy(j->metadata));
    JSON_FOREACH(it, r == 0 ? j->submit_resources : NULL)
    r = r == 0 ? json_set(b, json_key(it), json_copy(it)) : r;
    return r == 0 ? STEAL(b) : NULL;
}

static void stop_job(const struct state_cluster *c, const char *id)
{
    _cleanup_(mem_freep) char *path = mem_printf("/api/jobs/%s/stop", id);
    if (path)
        (void)api_call(c, "POST", path, NULL, NULL, NULL);
}

/* Submits and follows, again while backoffLimit allows. Returns the exit status of `raia up`. */
static int run_job(const struct state_cluster *c, const struct manifest_job *j)
{
    struct raia_error e = {0};
    struct job_result res = {0};
    int64_t deadline = j->active_deadline_s ? clock_unix_ms() + j->active_deadline_s * 1000 : 0;
    for (int64_t attempt = 0;; attempt++) {
        _cleanup_(json_freep) struct json *body = submission(j, attempt);
        char id[JOB_ID_MAX];
        if (!body) {
            err_set(&e, RAIA_ERR_NOMEM, "job '%s'", j->name);
            return verb_fail("up", &e);
        }
        if (job_submit(c, body, id, &e) < 0)
            return verb_fail("up", &e);
        fprintf(stderr, "job '%s' submitted as %s\n", j->name, id);
        int r = job_follow(c, id, deadline, stdout, &res, &e);
        if (r == -RAIA_ERR_CANCELED) {
            fprintf(stderr,
                    "\ninterrupted; the job goes on: raia job logs --follow %s, raia job stop %s\n",
                    id, id);
            return EXIT_INTERRUPTED;
        }
        if (r == -RAIA_ERR_TIMEOUT) {
            stop_job(c, id);
            fprintf(stderr, "job '%s' failed: DeadlineExceeded: it ran longer than %lld s\n",
                    j->name, (long long)j->active_deadline_s);
            return 1;
        }
        if (r < 0)
            return verb_fail("up", &e);
        if (!strcmp(res.status, "SUCCEEDED")) {
            fprintf(stderr, "job '%s' succeeded\n", j->name);
            return 0;
        }
        fprintf(stderr, "job '%s' %s (attempt %lld of %lld): %s\n", j->name,
                !strcmp(res.status, "STOPPED") ? "was stopped" : "failed", (long long)attempt + 1,
                (long long)j->backoff_limit + 1, res.message);
        if (!strcmp(res.status, "STOPPED") || attempt >= j->backoff_limit)
            return res.exit_status;
    }
}

static void take_down_after(const struct manifest_job *j)
{
    struct raia_error e = {0};
    int64_t until = clock_unix_ms() + j->ttl_after_finished_s * 1000;
    while (!cluster_interrupted && clock_unix_ms() < until)
        poll(NULL, 0, 100);
    if (cluster_down(j->cluster, false, &e) < 0)
        verb_fail("up", &e);
    else
        fprintf(stderr, "cluster '%s' is down (shutdownAfterJobFinishes); its logs stay\n",
                j->cluster);
}

static int run_jobs(const struct manifest *m)
{
    int status = 0;
    for (size_t i = 0; i < m->njobs && status != EXIT_INTERRUPTED; i++) {
        const struct manifest_job *j = &m->jobs[i];
        struct raia_error e = {0};
        struct state_cluster c = {0};
        if (j->suspend || !j->entrypoint)
            continue;
        int s = state_open(j->cluster, &c, &e) < 0 ? verb_fail("up", &e) : run_job(&c, j);
        state_cluster_done(&c);
        if (j->own_cluster && j->shutdown_after_finished && s != EXIT_INTERRUPTED)
            take_down_after(j);
        status = status ? status : s;
    }
    return status;
}

static bool suspended(const struct manifest *m, const struct manifest_cluster *c)
{
    for (size_t i = 0; i < m->njobs; i++)
        if (m->jobs[i].own_cluster && !strcmp(m->jobs[i].cluster, c->name) && m->jobs[i].suspend)
            return true;
    return c->suspend;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"file", required_argument, NULL, 'f'},
                                            {"detach", no_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    const char *file = NULL;
    bool detach = false;
    for (int o; (o = getopt_long(argc, argv, "f:d", options, NULL)) != -1;) {
        if (o == 'f' && !file)
            file = optarg;
        else if (o == 'd')
            detach = true;
        else
            return verb_usage(&verb_up);
    }
    if (!file || optind < argc)
        return verb_usage(&verb_up);

    struct raia_error e = {0};
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    if (manifest_load(file, &m, &e) < 0)
        return verb_fail("up", &e);
    print_ignored(m);
    cluster_catch_signals();
    for (size_t i = 0; i < m->nclusters; i++) {
        struct state_cluster c = {0};
        if (suspended(m, &m->clusters[i])) {
            fprintf(stderr, "cluster '%s' is suspended: not started\n", m->clusters[i].name);
            continue;
        }
        int r = bring_up(&m->clusters[i], &c, &e);
        state_cluster_done(&c);
        if (r < 0)
            return r == -RAIA_ERR_CANCELED ? EXIT_INTERRUPTED : verb_fail("up", &e);
    }
    return detach ? 0 : run_jobs(m);
}

const struct verb verb_up = {
    .name = "up",
    .run = run,
    .usage = "up -f FILE [--detach]",
    .summary = "run RayCluster and RayJob manifests on this machine",
    .help = "Starts the clusters of FILE (YAML or JSON, - is standard input) as local processes, "
            "one node\n"
            "for the head and for each worker replica, runs its jobs, and returns their exit "
            "status when\n"
            "all have ended. The clusters stay until `raia down`, unless a job says\n"
            "shutdownAfterJobFinishes.\n\n"
            "  -f, --file FILE   the manifest\n"
            "  -d, --detach      return once the clusters are ready; do not run the jobs\n\n"
            "Ctrl-C leaves clusters and jobs running, and says how to go on.\n",
};
