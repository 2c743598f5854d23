/*
 * Looking after controllers (controllers.h). Whatever happens in the folder, it is read as a whole:
 * there are few files in it, and no event can be missed that way.
 */
#define LOG_MODULE "keeper"
#include "keeper/controllers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "json/json.h"
#include "supervisor/child.h"
#include "supervisor/daemon.h"

#define SUFFIX ".state.json"

/* One that lives, or is to be started again. */
struct controller {
    struct list link; /* controllers.all */
    struct controllers *of;
    char *name;             /* of the job */
    int pidfd;              /* of the one that lives; -1: none */
    struct loop_fd *watch;  /* of pidfd */
    pid_t child;            /* it is a child of this process; 0: it is not */
    struct daemon life;     /* for the back-off; pid is not used */
    struct loop_timer next; /* its next start */
    unsigned tries;         /* short lives in a row */
};

struct controllers {
    struct loop *loop;
    const char *state_dir;
    char *jobs; /* the folder */
    int inotify;
    struct loop_fd *watch;
    struct list all; /* struct controller */
    size_t n;        /* of them */
    bool stopping;
};

static void controller_free(struct controller *c)
{
    list_del(&c->link);
    c->of->n--;
    loop_timer_stop(&c->next);
    loop_fd_free(c->watch);
    fd_closep(&c->pidfd);
    mem_free(c->name);
    mem_free(c);
}

static struct controller *find(const struct controllers *cs, const char *name)
{
    struct controller *c;

    LIST_FOREACH (c, &cs->all, link)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

/* What a controller has written last says that there is nothing left to do; also when it cannot be
 * read: `raia down --purge` removes it. */
static bool is_done(const struct controllers *cs, const char *name)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s" SUFFIX, cs->jobs, name);
    _cleanup_(json_freep) struct json *root = NULL;
    bool done = true;

    if (!path || json_load(path, NULL, &root, NULL) < 0)
        return true;
    (void)json_opt_bool(root, "done", false, &done, NULL);
    return done;
}

static pid_t holder(const struct controllers *cs, const char *name)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s.pid", cs->jobs, name);

    return path ? fd_lock_holder(path) : 0;
}

static void look_after(struct controller *c);

static void on_end(void *arg, int fd, unsigned events)
{
    struct controller *c = arg;

    (void)fd;
    (void)events;
    loop_fd_free(STEAL(c->watch));
    fd_closep(&c->pidfd);
    c->pidfd = -1;
    look_after(c);
}

/* Follows the process that has the lock. False: nobody has it. */
static bool follow(struct controller *c)
{
    for (;;) {
        _cleanup_(fd_closep) int fd = -1;
        pid_t pid = holder(c->of, c->name);

        if (!pid)
            return false;
        /* Its number may be another's by the time that it is opened. */
        if (pidfd_of(pid, &fd) < 0 || holder(c->of, c->name) != pid)
            continue;
        if (loop_fd_new(c->of->loop, fd, LOOP_READ, on_end, c, &c->watch, NULL) < 0)
            return false;
        c->pidfd = STEAL_FD(fd);
        return true;
    }
}

static int spawn(struct controller *c, struct raia_error *e)
{
    char program[4096];
    _cleanup_(mem_freep) char *log = mem_printf("%s/%s.log", c->of->jobs, c->name);
    struct proc_child child;

    if (!log || !child_program_path("raia", program, sizeof program))
        return err_set(e, RAIA_ERR_NOMEM, "job '%s'", c->name);
    _cleanup_(fd_closep) int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "open '%s'", log);
    const char *argv[] = {program, "job-controller", c->of->state_dir, c->name, NULL};
    struct proc_fd fds[] = {{.from = -1, .to = 0}, {.from = fd, .to = 1}, {.from = fd, .to = 2}};
    /* Not through the shim: it may have to outlive this process, to take the cluster down. */
    struct proc_spec s = {.argv = argv, .fds = fds, .n_fds = 3, .new_session = true};
    int r = proc_spawn(&s, &child, e);
    if (r < 0)
        return r;
    /* It has the lock only after a while: followed as the child that it is. */
    r = loop_fd_new(c->of->loop, child.pidfd, LOOP_READ, on_end, c, &c->watch, e);
    if (r < 0) {
        proc_kill(&child);
        fd_closep(&child.pidfd);
        return r;
    }
    c->pidfd = child.pidfd;
    c->child = child.pid;
    return 0;
}

static void start(struct loop_timer *t)
{
    struct controller *c = LOOP_OF(t, struct controller, next);
    struct controllers *cs = c->of;
    struct raia_error e = {0};
    uint64_t now = loop_now_ms(cs->loop);

    if (cs->stopping || is_done(cs, c->name)) {
        controller_free(c);
        return;
    }
    if (follow(c)) /* somebody else was faster */
        return;
    if (spawn(c, &e) < 0) {
        log_error("cannot start a job's controller", "job=%s error=%s", c->name, LOG_Q(e.text));
        loop_timer_start(cs->loop, t, daemon_ended(&c->life, now) + DAEMON_BACKOFF_MIN_MS, 0,
                         start);
        return;
    }
    log_warn("a job's controller was killed: started anew", "job=%s pid=%d", c->name,
             (int)c->child);
    daemon_started(&c->life, c->child, now);
}

/* Nobody is being followed. */
static void look_after(struct controller *c)
{
    struct controllers *cs = c->of;
    uint64_t now = loop_now_ms(cs->loop);

    if (cs->stopping || is_done(cs, c->name)) {
        controller_free(c);
        return;
    }
    if (follow(c))
        return;
    c->tries = now - c->life.started_ms < DAEMON_STABLE_MS ? c->tries + 1 : 1;
    if (c->tries > CONTROLLERS_TRIES) {
        log_error("a job's controller dies again and again: given up; see its log",
                  "job=%s log=%s/%s.log", c->name, cs->jobs, c->name);
        return; /* stays in the list, so that it is not begun again */
    }
    loop_timer_start(cs->loop, &c->next, daemon_ended(&c->life, now), 0, start);
}

static void add(struct controllers *cs, const char *name)
{
    struct controller *c;

    if (find(cs, name) || cs->n >= CONTROLLERS_MAX || is_done(cs, name))
        return;
    c = mem_new(struct controller);
    if (!c)
        return;
    list_init(&c->link);
    c->of = cs;
    c->pidfd = -1;
    c->name = mem_strdup(name);
    list_add_tail(&cs->all, &c->link);
    cs->n++;
    if (c->name)
        look_after(c);
    else
        controller_free(c);
}

static void scan(struct controllers *cs)
{
    DIR *d = opendir(cs->jobs);

    for (struct dirent *it; d && (it = readdir(d));) {
        _cleanup_(mem_freep) char *name = NULL;

        if (!str_ends_with(it->d_name, SUFFIX) ||
            !(name = mem_strndup(it->d_name, strlen(it->d_name) - strlen(SUFFIX))))
            continue;
        /* A job of the same name, run once more after it was given up. */
        struct controller *c = find(cs, name);
        if (c && !c->watch && c->tries > CONTROLLERS_TRIES &&
            (holder(cs, name) || is_done(cs, name)))
            controller_free(c);
        add(cs, name);
    }
    if (d)
        closedir(d);
}

static void on_change(void *arg, int fd, unsigned events)
{
    struct controllers *cs = arg;
    char buf[4096];

    (void)events;
    while (read(fd, buf, sizeof buf) > 0)
        ;
    if (!cs->stopping)
        scan(cs);
}

int controllers_new(struct loop *l, const char *state_dir, struct controllers **ret_c,
                    struct raia_error *e)
{
    struct controllers *cs = mem_new(struct controllers);

    if (!cs)
        return err_set(e, RAIA_ERR_NOMEM, "controllers");
    cs->loop = l;
    cs->state_dir = state_dir;
    list_init(&cs->all);
    cs->inotify = -1;
    cs->jobs = mem_printf("%s/jobs", state_dir);
    int r = cs->jobs ? io_mkdir_p(cs->jobs, 0700, e) : err_set(e, RAIA_ERR_NOMEM, "controllers");
    if (r == 0) {
        cs->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (cs->inotify < 0 || inotify_add_watch(cs->inotify, cs->jobs, IN_MOVED_TO) < 0)
            r = err_errno(e, errno, "watch '%s'", cs->jobs);
    }
    if (r == 0)
        r = loop_fd_new(l, cs->inotify, LOOP_READ, on_change, cs, &cs->watch, e);
    if (r < 0) {
        controllers_free(cs);
        return r;
    }
    *ret_c = cs;
    return 0;
}

size_t controllers_pids(const struct controllers *cs, pid_t *pids)
{
    struct controller *c;
    size_t n = 0;

    if (!cs)
        return 0;
    LIST_FOREACH (c, &cs->all, link)
        if (c->child)
            pids[n++] = c->child;
    return n;
}

void controllers_reaped(struct controllers *cs, pid_t pid)
{
    struct controller *c;

    LIST_FOREACH (c, &cs->all, link)
        if (c->child == pid)
            c->child = 0;
}

void controllers_stop(struct controllers *cs)
{
    struct controller *c;

    if (!cs)
        return;
    cs->stopping = true;
    LIST_FOREACH (c, &cs->all, link)
        loop_timer_stop(&c->next);
}

void controllers_free(struct controllers *cs)
{
    struct controller *c, *next;

    if (!cs)
        return;
    LIST_FOREACH_SAFE (c, next, &cs->all, link)
        controller_free(c);
    loop_fd_free(cs->watch);
    fd_closep(&cs->inotify);
    mem_free(cs->jobs);
    mem_free(cs);
}
