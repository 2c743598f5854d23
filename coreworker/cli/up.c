/*
 * raia up: manifests to clusters of local processes, and the jobs in them to their end.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cluster.h"
#include "cli/controller.h"
#include "cli/manifest.h"
#include "cli/verb.h"
#include "cli/watch.h"

#define EXIT_INTERRUPTED 130
#define FILES_MIN        256u /* open files that a small cluster needs in one process, with room */

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

static bool runs(const struct manifest_job *j)
{
    return !j->suspend && j->entrypoint;
}

/* Starts the controllers of all jobs, then watches one after the other (their logs are kept). */
static int run_jobs(const struct manifest *m, bool detach)
{
    int status = 0;
    for (size_t i = 0; i < m->njobs; i++) {
        const struct manifest_job *j = &m->jobs[i];
        struct state_cluster c = {0};
        struct raia_error e = {0};
        pid_t pid;
        int r = runs(j) ? state_open(j->cluster, &c, &e) : 0;
        if (r == 0 && runs(j))
            r = controller_start(&c, j, &pid, &e);
        if (r < 0)
            status = verb_fail("up", &e);
        else if (runs(j) && detach)
            fprintf(stderr, "job '%s' runs in the background: raia job list --cluster %s\n",
                    j->name, c.name);
        state_cluster_done(&c);
        if (r < 0)
            return status;
    }
    for (size_t i = 0; i < m->njobs && !detach && status != EXIT_INTERRUPTED; i++) {
        _cleanup_(state_cluster_done) struct state_cluster c = {0};
        if (!runs(&m->jobs[i]))
            continue;
        c.name = mem_strdup(m->jobs[i].cluster);
        if (!c.name || state_dir(c.name, &c.dir, NULL) < 0)
            return 1;
        int s = watch_job(&c, &m->jobs[i]);
        status = s == EXIT_INTERRUPTED || !status ? s : status;
    }
    return status;
}

/* A job may name a cluster that runs already: it must, before anything is started. */
static int check_selected(const struct manifest *m, struct raia_error *e)
{
    for (size_t i = 0; i < m->njobs; i++) {
        _cleanup_(state_cluster_done) struct state_cluster c = {0};
        bool ours = m->jobs[i].own_cluster || !runs(&m->jobs[i]);
        for (size_t k = 0; k < m->nclusters; k++)
            ours |= !strcmp(m->clusters[k].name, m->jobs[i].cluster);
        if (!ours && state_open(m->jobs[i].cluster, &c, e) < 0)
            return err_wrap(e, "job '%s' selects a cluster", m->jobs[i].name);
    }
    return 0;
}

static bool suspended(const struct manifest *m, const struct manifest_cluster *c)
{
    for (size_t i = 0; i < m->njobs; i++)
        if (m->jobs[i].own_cluster && !strcmp(m->jobs[i].cluster, c->name) && m->jobs[i].suspend)
            return true;
    return c->suspend;
}

/* The daemons get the limit of this process. */
static int enough_files(struct raia_error *e)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= FILES_MIN)
        return 0;
    if (l.rlim_max < FILES_MIN)
        return err_set(e, RAIA_ERR_NO_FILES,
                       "the limit of open files is %llu, and Raia needs %u: raise it with "
                       "`ulimit -n 4096`, or have it raised",
                       (unsigned long long)l.rlim_max, FILES_MIN);
    l.rlim_cur = FILES_MIN;
    return setrlimit(RLIMIT_NOFILE, &l) < 0 ? err_errno(e, errno, "raise the limit of open files")
                                            : 0;
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
    if (enough_files(&e) < 0)
        return verb_fail("up", &e);
    if (manifest_load(file, &m, &e) < 0)
        return verb_fail("up", &e);
    if (check_selected(m, &e) < 0)
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
    return run_jobs(m, detach);
}

const struct verb verb_up = {
    .name = "up",
    .run = run,
    .usage = "up -f FILE [--detach]",
    .summary = "run RayCluster and RayJob manifests on this machine",
    .help = "Starts the clusters of FILE (YAML or JSON, - is standard input) as local processes,\n"
            "one node for the head and for each worker replica, runs its jobs, prints their logs,\n"
            "and returns their exit status when all have ended. The clusters stay until\n"
            "`raia down`, unless a job says shutdownAfterJobFinishes.\n\n"
            "  -f, --file FILE   the manifest\n"
            "  -d, --detach      return once the clusters are ready; the jobs run on in the\n"
            "                    background\n\n"
            "Ctrl-C leaves clusters and jobs running, retries and deadlines included, and says\n"
            "how to go on. An example:\n\n"
            "  raia up -f e2e/samples/rayjob-wordcount.yaml\n",
};
