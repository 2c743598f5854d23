/*
 * Worker processes: asking the supervisor for them, stopping them, and what happens when they end.
 */
#define LOG_MODULE "raylet.workers"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "raylet/raylet.h"

#define STOP_GRACE_MS 3000 /* an idle worker told to leave has this long */

struct worker *worker_find(struct raylet *r, uint64_t number)
{
    return HASH_GET(r->workers, number, &number);
}

struct worker *worker_by_token(struct raylet *r, const char *token)
{
    struct worker *w, *next;

    HASH_FOREACH (r->workers, w, next)
        if (*token && !strcmp(w->token, token))
            return w;
    return NULL;
}

/* The pool wants a worker: what is needed for it may have to be fetched first. */
void workers_spawn(void *arg, uint64_t number, const uint8_t job[4])
{
    struct raylet *r = arg;
    struct worker *w = mem_new(struct worker);
    uint8_t token[16];

    raylet_touch(r);
    if (!w)
        return; /* the pool's start timeout ends it */
    w->number = number;
    memcpy(w->job, job, 4);
    w->wanted = true;
    w->started_ns = raylet_now(r);
    if (worker_id_random(&w->id, NULL) < 0 || random_fill(token, sizeof token) < 0 ||
        HASH_PUT(r->workers, number, w) < 0) {
        mem_free(w);
        return;
    }
    id_to_text__(token, sizeof token, w->token);
}

void workers_stop(void *arg, uint64_t number, bool force, const char *why)
{
    struct raylet *r = arg;
    struct worker *w = worker_find(r, number);
    struct rec_exit rec = {.force = force};

    raylet_touch(r);
    if (!w || w->exited)
        return;
    w->stopping = true;
    w->stop_why = why;
    if (!w->spawned)
        return; /* workers_turn ends it */
    log_debug("stopping a worker", "pid=%d force=%d why=%s", w->pid, force, LOG_Q(why));
    if (!force && w->session) {
        session_send(w->session, REC_EXIT, 0, 0, &rec, sizeof rec, NULL, 0);
        sup_signal(r, number, SIGCONT, false, STOP_GRACE_MS); /* a harmless one, then SIGKILL */
        return;
    }
    sup_signal(r, number, SIGKILL, false, 0);
}

/* The variables of a worker; the strings are freed by env_free. */
struct env_list {
    Raia__EnvVar *var;
    Raia__EnvVar **list;
    size_t n;
};

static int env_make(struct raylet *r, const struct worker *w, const struct job *j,
                    struct env_list *ret_env)
{
    size_t n = 4, k = 0;
    struct env_list e;

    for (char **p = j->env; p && *p; p += 2)
        n++;
    e.var = mem_calloc(n, sizeof *e.var);
    e.list = mem_calloc(n, sizeof *e.list);
    if (!e.var || !e.list) {
        mem_free(e.var);
        mem_free(e.list);
        return -RAIA_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        raia__env_var__init(&e.var[i]);
        e.list[i] = &e.var[i];
    }
#define PUT(a, b)                                                                                  \
    do {                                                                                           \
        e.var[k].name = (char *)(a);                                                               \
        e.var[k++].value = (char *)(b);                                                            \
    } while (0)
    for (char **p = j->env; p && *p; p += 2)
        PUT(p[0], p[1]);
    PUT("RAIA_RAYLET_SOCKET", r->socket_path);
    PUT("RAIA_SPAWN_TOKEN", w->token);
    PUT("RAIA_SESSION_DIR", r->config.session_dir);
    PUT("RAIA_NODE_NAME", r->config.node_name);
#undef PUT
    e.n = n;
    *ret_env = e;
    return 0;
}

static int spawn(struct raylet *r, struct worker *w, struct job *j)
{
    Raia__Agent__Spawn m = RAIA__AGENT__SPAWN__INIT;
    _cleanup_(mem_freep) char *path = code_path(r, j->sha256);
    _cleanup_(mem_freep) char *out = NULL, *err = NULL;
    _cleanup_(mem_freep) char **argv = NULL;
    char id[WORKER_ID_TEXT_MAX];
    struct env_list env;
    size_t n = 0;
    int got;

    worker_id_to_text(&w->id, id);
    out = mem_printf("%s/logs/worker-%s.out", r->config.session_dir, id);
    err = mem_printf("%s/logs/worker-%s.err", r->config.session_dir, id);
    while (j->argv && j->argv[n])
        n++;
    argv = mem_calloc(n + 1, sizeof *argv);
    if (!path || !out || !err || !argv || env_make(r, w, j, &env) < 0)
        return -RAIA_ERR_NOMEM;
    argv[0] = path;
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = j->argv[i];
    m.id = w->number;
    m.argv = argv;
    m.n_argv = n + 1;
    m.env = env.list;
    m.n_env = env.n;
    m.cwd = j->working_dir ? j->working_dir : r->config.session_dir;
    m.stdout_path = out;
    m.stderr_path = err;
    got = sup_spawn(r, &m);
    mem_free(env.var);
    mem_free(env.list);
    if (got == 0) {
        w->spawned = true;
        logs_worker_started(r, w, out, err);
    }
    return got;
}

/* A worker that never became a process. */
static void give_up(struct raylet *r, struct worker *w, const char *why)
{
    uint64_t number = w->number;

    log_warn("a worker cannot be started", "why=%s", LOG_Q(why));
    HASH_DEL(r->workers, w);
    mem_free(w);
    sched_worker_exited(r->sched, raylet_now(r), number, -1, why);
    raylet_touch(r);
}

void workers_turn(struct raylet *r)
{
    struct worker *w, *next;

    HASH_FOREACH (r->workers, w, next) {
        struct job *j;
        if (!w->wanted || w->spawned)
            continue;
        if (w->stopping) {
            give_up(r, w, w->stop_why);
            continue;
        }
        j = job_get(r, w->job);
        if (!j || (j->ended && !j->keep)) {
            give_up(r, w, j ? "its job has ended" : "out of memory");
            continue;
        }
        if (j->code == CODE_FAILED) {
            char why[RAIA_ERROR_TEXT_MAX];
            memcpy(why, j->error.text, sizeof why);
            j->code = CODE_NONE; /* the next one tries again */
            give_up(r, w, why);
            continue;
        }
        if (!j->known || j->code != CODE_READY) {
            job_prepare(r, j);
            continue;
        }
        w->wanted = false;
        if (spawn(r, w, j) < 0)
            give_up(r, w, "the supervisor could not be asked");
    }
}

void workers_spawned(struct raylet *r, uint64_t number, int32_t pid)
{
    struct worker *w = worker_find(r, number);

    if (!w)
        return;
    w->pid = pid;
    logs_worker_renamed(r, w);
    log_info("worker started", "pid=%d", pid);
}

void workers_exited(struct raylet *r, uint64_t number, int status, const char *why)
{
    struct worker *w = worker_find(r, number);
    char text[RAIA_ERROR_TEXT_MAX];
    bool intended;

    if (!w)
        return;
    intended = w->stopping || (status == 0 && !w->actor);
    if (w->stopping)
        snprintf(text, sizeof text, "worker pid %d was stopped: %s", w->pid, w->stop_why);
    else
        snprintf(text, sizeof text, "worker pid %d %s%s", w->pid, why,
                 w->registered ? "" : " before it registered; see its log");
    log_info("worker ended", "pid=%d status=%d why=%s", w->pid, status, LOG_Q(text));
    w->exited = true;
    if (w->session)
        session_dead(w->session, "the process ended");
    logs_worker_ended(r, w);
    actors_worker_exited(r, w, status, text);
    gcs_worker_death(r, w, status, text, intended);
    HASH_DEL(r->workers, w);
    mem_free(w);
    sched_worker_exited(r->sched, raylet_now(r), number, status, text);
    raylet_touch(r);
}

void workers_free(struct raylet *r)
{
    struct worker *w, *next;

    HASH_FOREACH (r->workers, w, next) {
        HASH_DEL(r->workers, w);
        mem_free(w);
    }
}
