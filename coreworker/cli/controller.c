/*
 * Starting, watching and ending controllers (controller.h). What one does is in control_job.c.
 */
#include "cli/controller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/process.h"
#include "json/json.h"

#define BEGIN_MS 20000 /* for a controller to begin; it is milliseconds on an idle machine */
#define END_MS   3000  /* for a controller to end in order */
#define POLL_MS  5     /* between looks */

/* What is submitted: the body that the job API takes, and how it is to be controlled. */
static struct json *make_spec(const struct state_cluster *c, const struct manifest_job *j)
{
    _cleanup_(json_freep) struct json *s = json_new_object();
    struct json *body = json_new_object();
    int r = s ? json_set(s, "body", body) : -RAIA_ERR_NOMEM; /* takes it in any case */
    if (!s)
        json_free(body);
    if (r == 0)
        r = json_set_str(body, "entrypoint", j->entrypoint);
    if (r == 0)
        r = json_set(body, "runtime_env", json_copy(j->runtime_env));
    if (r == 0)
        r = json_set(body, "metadata", json_copy(j->metadata));
    JSON_FOREACH(it, r == 0 ? j->submit_resources : NULL)
    r = r == 0 ? json_set(body, json_key(it), json_copy(it)) : r;
    if (r == 0)
        r = json_set_str(s, "cluster", c->name);
    if (r == 0 && j->submission_id)
        r = json_set_str(s, "submission_id", j->submission_id);
    if (r == 0)
        r = json_set_int(s, "backoff_limit", j->backoff_limit);
    if (r == 0)
        r = json_set_int(s, "active_deadline_s", j->active_deadline_s);
    if (r == 0)
        r = json_set_int(s, "ttl_s", j->ttl_after_finished_s);
    if (r == 0)
        r = json_set_bool(s, "shutdown", j->own_cluster && j->shutdown_after_finished);
    return r == 0 ? STEAL(s) : NULL;
}

static int spawn(const char *dir, const char *name, struct proc_child *ret_child,
                 struct raia_error *e)
{
    _cleanup_(mem_freep) char *log = mem_printf("%s/jobs/%s.log", dir, name);
    _cleanup_(mem_freep) char *program = process_program("raia", e);
    if (!log || !program)
        return e->code ? -e->code : err_set(e, RAIA_ERR_NOMEM, "job '%s'", name);
    _cleanup_(fd_closep) int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "open '%s'", log);
    const char *argv[] = {program, "job-controller", dir, name, NULL};
    struct proc_fd fds[] = {{.from = -1, .to = 0}, {.from = fd, .to = 1}, {.from = fd, .to = 2}};
    struct proc_spec s = {.argv = argv, .fds = fds, .n_fds = 3, .new_session = true};
    return proc_spawn(&s, ret_child, e);
}

int controller_start(const struct state_cluster *c, const struct manifest_job *j, pid_t *ret_pid,
                     struct raia_error *e)
{
    _cleanup_(json_freep) struct json *spec = make_spec(c, j);
    _cleanup_(mem_freep) char *text = spec ? json_print(spec, JSON_PRETTY, NULL) : NULL;
    _cleanup_(mem_freep) char *jobs = mem_printf("%s/jobs", c->dir);
    _cleanup_(mem_freep) char *path = mem_printf("%s/jobs/%s.spec.json", c->dir, j->name);
    _cleanup_(mem_freep) char *state = mem_printf("%s/jobs/%s.state.json", c->dir, j->name);
    _cleanup_(mem_freep) char *lock = mem_printf("%s/jobs/%s.pid", c->dir, j->name);
    if (!text || !jobs || !path || !state || !lock)
        return err_set(e, RAIA_ERR_NOMEM, "job '%s'", j->name);
    if (fd_lock_holder(lock))
        return err_set(e, RAIA_ERR_EXISTS,
                       "job '%s' runs already: `raia job list` shows it, `raia job stop` ends it",
                       j->name);
    struct proc_child child;
    int r = io_mkdir_p(jobs, 0700, e);
    if (r == 0)
        r = io_remove_tree(state, e);
    if (r == 0)
        r = io_write_file(path, text, strlen(text), 0600, 0, e);
    if (r == 0)
        r = spawn(c->dir, j->name, &child, e);
    int64_t until = clock_deadline_ms(BEGIN_MS);
    while (r == 0 && access(state, F_OK) < 0) {
        int status;
        if (proc_wait(&child, 0, &status) == 0)
            return err_set(e, RAIA_ERR_UNAVAILABLE, "job '%s': its controller ended: see %s/%s.log",
                           j->name, jobs, j->name);
        if (clock_now_ns() > until) {
            proc_kill(&child);
            return err_set(e, RAIA_ERR_TIMEOUT, "job '%s': its controller does not begin", j->name);
        }
        poll(NULL, 0, POLL_MS);
    }
    if (r < 0)
        return err_wrap(e, "job '%s'", j->name);
    fd_closep(&child.pidfd);
    *ret_pid = child.pid;
    return 0;
}

static int read_result(const struct json *o, struct job_result *to, struct raia_error *e)
{
    const char *id, *status, *message;
    int64_t code = 0;
    int r = json_opt_str(o, "submission_id", "", &id, e);
    if (r == 0)
        r = json_opt_str(o, "status", "", &status, e);
    if (r == 0)
        r = json_opt_str(o, "message", "", &message, e);
    if (r == 0)
        r = json_opt_int(o, "exit_status", 0, &code, e);
    if (r < 0)
        return r;
    snprintf(to->submission_id, sizeof to->submission_id, "%s", id);
    snprintf(to->status, sizeof to->status, "%s", status);
    snprintf(to->message, sizeof to->message, "%s", message);
    to->exit_status = (int)code;
    return 0;
}

int controller_look(const char *dir, const char *name, struct controller_state *ret_s,
                    struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/jobs/%s.state.json", dir, name);
    _cleanup_(json_freep) struct json *root = NULL;
    struct controller_state s = {0};
    const char *id;
    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "job '%s'", name);
    int r = json_load(path, NULL, &root, e);
    if (r == 0)
        r = json_opt_bool(root, "ended", false, &s.ended, e);
    if (r == 0)
        r = json_opt_int(root, "attempt", 0, &s.attempt, e);
    if (r == 0)
        r = json_opt_bool(root, "done", false, &s.done, e);
    if (r == 0)
        r = json_opt_int(root, "begun", 0, &s.begun, e);
    if (r == 0)
        r = json_opt_int(root, "deadline_ms", 0, &s.deadline_ms, e);
    if (r == 0)
        r = json_opt_int(root, "ended_ms", 0, &s.ended_ms, e);
    if (r == 0)
        r = json_opt_str(root, "id", "", &id, e);
    if (r == 0)
        snprintf(s.id, sizeof s.id, "%s", id);
    if (r == 0)
        r = read_result(json_get(root, "last"), &s.last, e);
    JSON_FOREACH(it, r == 0 ? json_get(root, "past") : NULL)
    if (r == 0 && s.n_past < CONTROLLER_PAST_MAX)
        r = read_result(it, &s.past[s.n_past++], e);
    if (r < 0)
        return err_wrap(e, "job '%s'", name);
    *ret_s = s;
    return 0;
}

void controller_end_all(const char *dir, const char *own)
{
    _cleanup_(mem_freep) char *jobs = mem_printf("%s/jobs", dir);
    DIR *d = jobs ? opendir(jobs) : NULL;
    for (struct dirent *it; d && (it = readdir(d));) {
        _cleanup_(mem_freep) char *path = mem_printf("%s/%s", jobs, it->d_name);
        /* A look at our own lock would end it: closing any descriptor of the file does. */
        if (!path || !str_ends_with(it->d_name, ".pid") || (own && !strcmp(path, own)))
            continue;
        process_end(fd_lock_holder(path), END_MS);
        (void)unlink(path);
    }
    if (d)
        closedir(d);
}
