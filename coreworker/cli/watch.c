/*
 * Watching jobs (watch.h). The log is read from its file: it stays when the cluster goes.
 */
#include "cli/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "cli/cluster.h"
#include "cli/controller.h"
#include "cli/verb.h"

#define EXIT_INTERRUPTED 130
#define LOOK_MS          25    /* between looks at the log and the state */
#define DOWN_MS          60000 /* for a cluster to go down after its job */
#define GAP_MS           30000 /* for a killed controller to be replaced by the keeper */

struct watcher {
    const struct state_cluster *c;
    const struct manifest_job *j;
    char *lock;          /* held by the controller */
    int fd;              /* the attempt's log; -1: not there yet */
    int64_t attempt;     /* that is being shown; 0: none yet */
    char id[JOB_ID_MAX]; /* of this attempt */
    struct controller_state s;
};

static void open_log(struct watcher *w)
{
    _cleanup_(mem_freep) char *path =
        mem_printf("%s/nodes/head/logs/job-driver-%s.log", w->c->dir, w->id);
    if (path && *w->id)
        w->fd = open(path, O_RDONLY | O_CLOEXEC);
}

/* Copies what the log has by now. */
static void drain(struct watcher *w)
{
    char buf[65536];
    if (w->fd < 0)
        open_log(w);
    for (ssize_t n; w->fd >= 0 && (n = read(w->fd, buf, sizeof buf)) > 0;)
        fwrite(buf, 1, (size_t)n, stdout);
    fflush(stdout);
}

static void tell_end(const struct watcher *w, const struct job_result *res, int64_t attempt)
{
    bool stopped = !strcmp(res->status, "STOPPED");
    if (!strcmp(res->status, "SUCCEEDED"))
        fprintf(stderr, "job '%s' succeeded\n", w->j->name);
    else if (w->j->backoff_limit && !stopped)
        fprintf(stderr, "job '%s' failed (attempt %lld of %lld): %s\n", w->j->name,
                (long long)attempt, (long long)w->j->backoff_limit + 1, res->message);
    else
        fprintf(stderr, "job '%s' %s: %s\n", w->j->name, stopped ? "was stopped" : "failed",
                res->message);
}

/* The result of an attempt before the last; NULL: forgotten. */
static const struct job_result *result_of(const struct controller_state *s, int64_t attempt)
{
    int64_t back = s->attempt - attempt;
    return back > 0 && back <= (int64_t)s->n_past ? &s->past[s->n_past - (size_t)back] : NULL;
}

/* Ends the attempt that was shown, and shows the next ones up to the last. */
static void catch_up(struct watcher *w)
{
    while (w->attempt < w->s.attempt) {
        const struct job_result *ended = result_of(&w->s, w->attempt);
        drain(w);
        if (w->attempt && ended)
            tell_end(w, ended, w->attempt);
        fd_closep(&w->fd);
        w->fd = -1;
        w->attempt++;
        const struct job_result *now =
            w->attempt == w->s.attempt ? &w->s.last : result_of(&w->s, w->attempt);
        snprintf(w->id, sizeof w->id, "%s", now ? now->submission_id : "");
        if (now)
            fprintf(stderr, "job '%s' submitted as %s\n", w->j->name, w->id);
    }
    drain(w);
}

/* 0: it has ended; 1: its controller is gone; 130: interrupted. */
static int until_end(struct watcher *w)
{
    for (int64_t until = 0;;) {
        bool lives =
            fd_lock_holder(w->lock) != 0; /* asked before the state: it writes, then ends */
        bool kept = state_alive(w->c->dir, NULL);
        if (controller_look(w->c->dir, w->j->name, &w->s, NULL) == 0) {
            catch_up(w);
            if (w->s.ended)
                return 0;
        }
        if (lives)
            until = 0;
        else if (!until)
            until = clock_deadline_ms(GAP_MS);
        if (!lives && (!kept || clock_now_ns() > until))
            return 1;
        if (cluster_interrupted)
            return EXIT_INTERRUPTED;
        poll(NULL, 0, LOOK_MS);
    }
}

static void wait_down(const struct watcher *w)
{
    int64_t until = clock_deadline_ms(DOWN_MS);
    if (w->j->ttl_after_finished_s) {
        fprintf(stderr, "cluster '%s' goes down in %lld s (ttlSecondsAfterFinished)\n", w->c->name,
                (long long)w->j->ttl_after_finished_s);
        return;
    }
    struct controller_state s = {0};
    while (!s.done && !cluster_interrupted && clock_now_ns() < until) {
        bool lives = fd_lock_holder(w->lock) != 0 || state_alive(w->c->dir, NULL);
        if (controller_look(w->c->dir, w->j->name, &s, NULL) < 0 || !lives)
            break;
        poll(NULL, 0, LOOK_MS);
    }
    if (!state_alive(w->c->dir, NULL))
        fprintf(stderr, "cluster '%s' is down (shutdownAfterJobFinishes); its logs stay\n",
                w->c->name);
}

int watch_job(const struct state_cluster *c, const struct manifest_job *j)
{
    _cleanup_(mem_freep) char *lock = mem_printf("%s/jobs/%s.pid", c->dir, j->name);
    struct watcher w = {.c = c, .j = j, .lock = lock, .fd = -1};
    int r = lock ? until_end(&w) : 1;
    fd_closep(&w.fd);
    if (r == EXIT_INTERRUPTED) {
        const char *id = w.id;
        fprintf(stderr,
                "\ninterrupted; the job goes on in the background, with its retries, its deadline "
                "and what is to follow\n"
                "  raia job logs --cluster %s --follow %s\n  raia job stop --cluster %s %s\n"
                "  raia down %s\n",
                c->name, id, c->name, id, c->name);
        return EXIT_INTERRUPTED;
    }
    if (r) {
        fprintf(stderr,
                "job '%s': its controller ended, so that nobody retries it: `raia job list` tells "
                "how it stands; more in %s/jobs/%s.log\n",
                j->name, c->dir, j->name);
        return 1;
    }
    tell_end(&w, &w.s.last, w.attempt);
    if (strcmp(w.s.last.status, "SUCCEEDED"))
        job_hint(stderr, j->entrypoint);
    if (j->own_cluster && j->shutdown_after_finished)
        wait_down(&w);
    return w.s.last.exit_status;
}
