/*
 * Entrypoints: the commands of submitted jobs, which the supervisor runs and keeps while raylets
 * come and go. Each is known here until the GCS has stored its end.
 */
#define LOG_MODULE "raylet.entrypoints"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "raylet/raylet.h"
#include "raylet/words.h"

#define STOP_GRACE_MS 3000
#define ENV_MAX       4096

static struct entrypoint *find(struct raylet *r, const char *submission, uint32_t attempt)
{
    struct entrypoint *p, *next;

    HASH_FOREACH (r->entrypoints, p, next)
        if (p->attempt == attempt && !strcmp(p->submission, submission))
            return p;
    return NULL;
}

static struct entrypoint *by_id(struct raylet *r, uint64_t id)
{
    return HASH_GET(r->entrypoints, id, &id);
}

static struct entrypoint *add(struct raylet *r, uint64_t id, const char *submission,
                              uint32_t attempt)
{
    struct entrypoint *p = mem_new(struct entrypoint);

    if (!p)
        return NULL;
    p->id = id;
    p->attempt = attempt;
    p->submission = mem_strdup(submission);
    if (!p->submission || HASH_PUT(r->entrypoints, id, p) < 0) {
        mem_free(p->submission);
        mem_free(p);
        return NULL;
    }
    return p;
}

/* It does not run, or not any more: what was held for it is free, what it was to be forgotten. */
static void release(struct raylet *r, struct entrypoint *p)
{
    proto_free(STEAL(p->m));
    mem_free(STEAL(p->dir));
    p->waiting = p->due = false;
    if (!p->reserved)
        return;
    p->reserved = false;
    sched_unreserve(r->sched, raylet_now(r), p->id);
    raylet_touch(r);
}

static void drop(struct raylet *r, struct entrypoint *p)
{
    HASH_DEL(r->entrypoints, p);
    release(r, p);
    mem_free(p->submission);
    mem_free(p);
}

void entrypoints_free(struct raylet *r)
{
    struct entrypoint *p, *next;

    HASH_FOREACH (r->entrypoints, p, next) {
        p->reserved = false; /* the scheduler goes as a whole */
        drop(r, p);
    }
}

void entrypoint_event(const struct raylet *r, const struct entrypoint *p,
                      Raia__Gcs__EntrypointEvent *ret_event, Raia__Error *ret_error)
{
    raia__gcs__entrypoint_event__init(ret_event);
    raia__error__init(ret_error);
    ret_event->submission_id = p->submission;
    ret_event->attempt = p->attempt;
    ret_event->pid = p->pid;
    ret_event->node_id = (ProtobufCBinaryData){16, (uint8_t *)r->node.bytes};
    ret_event->state = p->failed   ? RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_START_FAILED
                       : p->exited ? RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_EXITED
                                   : RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_STARTED;
    ret_event->exit_status = p->status;
    if (p->failed) {
        ret_error->code = p->error.code;
        ret_error->text = (char *)p->error.text;
        ret_event->error = ret_error;
        ret_event->message = (char *)p->error.text;
    }
}

static void fail(struct raylet *r, struct entrypoint *p, const struct raia_error *e)
{
    release(r, p);
    p->failed = true;
    p->error = *e;
    log_warn("an entrypoint could not be started", "submission=%s error=%s", LOG_Q(p->submission),
             LOG_Q(e->text));
    gcs_entrypoint(r, p);
}

/* The first line of its log says what was asked for and is not done. */
static void warn_ignored(const char *log, const char *keys)
{
    _cleanup_(mem_freep) char *line = mem_printf("raia: ignored: %s\n", keys);
    _cleanup_(fd_closep) int fd =
        open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (line && fd >= 0)
        (void)io_write_full(fd, line, strlen(line));
}

/* The folder that it runs in: a local one, or the session folder. */
static int working_dir(const struct raylet *r, const Raia__RuntimeEnv *env, const char **ret_dir,
                       struct raia_error *e)
{
    struct stat st;

    *ret_dir = r->config.session_dir;
    if (!env || !*env->working_dir)
        return 0;
    if (strstr(env->working_dir, "://"))
        return err_set(e, RAIA_ERR_RUNTIME_ENV,
                       "working_dir '%s': expected a local folder, or an uploaded one (gcs://...)",
                       env->working_dir);
    if (stat(env->working_dir, &st) < 0)
        return err_set(e, RAIA_ERR_RUNTIME_ENV, "working_dir '%s': %s", env->working_dir,
                       strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(e, RAIA_ERR_RUNTIME_ENV, "working_dir '%s' is not a folder",
                       env->working_dir);
    *ret_dir = env->working_dir;
    return 0;
}

static void words_freep(char ***words)
{
    words_free(*words);
}

/* Through the shell, as Ray does; where an image has none, the program itself. */
static int command(const char *entrypoint, char ***ret_words, size_t *ret_n, struct raia_error *e)
{
    static const char shell[] = "/bin/sh";
    const char *const by_shell[] = {shell, "-c", entrypoint};
    char **words = NULL;
    int got = 0;

    if (access(shell, X_OK) < 0) {
        got = words_split(entrypoint, &words, e);
    } else {
        words = mem_calloc(4, sizeof *words);
        for (size_t i = 0; words && got == 0 && i < 3; i++)
            if (!(words[i] = mem_strdup(by_shell[i])))
                got = -RAIA_ERR_NOMEM;
        if (!words || got < 0)
            got = err_set(e, RAIA_ERR_NOMEM, "start an entrypoint");
    }
    if (got < 0) {
        words_free(words);
        return got;
    }
    *ret_n = 0;
    while (words[*ret_n])
        ++*ret_n;
    *ret_words = words;
    return 0;
}

/* dir: where its package was unpacked, or NULL. The program is told the package, not the folder: its
 * workers may run on other nodes. */
static int spawn(struct raylet *r, const struct entrypoint *p, const Raia__Gcs__StartEntrypoint *m,
                 const char *dir, struct raia_error *e)
{
    const Raia__RuntimeEnv *env = m->runtime_env;
    Raia__Agent__Spawn spawn = RAIA__AGENT__SPAWN__INIT;
    _cleanup_(words_freep) char **words = NULL;
    size_t given = env ? env->n_env_vars : 0, n = given, max = given + 6;
    _cleanup_(mem_freep) Raia__EnvVar *var = mem_calloc(max, sizeof *var);
    _cleanup_(mem_freep) Raia__EnvVar **list = mem_calloc(max, sizeof *list);
    _cleanup_(mem_freep) char *address = mem_printf("unix:%s", r->socket_path);
    _cleanup_(mem_freep) char *log =
        mem_printf("%s/logs/job-driver-%s.log", r->config.session_dir, p->submission);
    _cleanup_(mem_freep) char *config = runtime_env_print(env, m->metadata_json);
    int got = dir ? 0 : working_dir(r, env, &dir, e);

    if (got < 0)
        return got;
    if (given > ENV_MAX)
        return err_set(e, RAIA_ERR_RUNTIME_ENV, "more than %d environment variables", ENV_MAX);
    if (!var || !list || !address || !log || !config)
        return err_set(e, RAIA_ERR_NOMEM, "start an entrypoint");
    if (env && *env->unsupported)
        warn_ignored(log, env->unsupported);
    const char *const ours[][2] = {{"RAIA_ADDRESS", address},
                                   {"RAIA_API_SERVER", r->config.api_server},
                                   {"RAIA_SUBMISSION_ID", p->submission},
                                   {"RAIA_JOB_CONFIG_JSON", config},
                                   {"RAIA_SESSION_DIR", r->config.session_dir},
                                   {"RAIA_NODE_NAME", r->config.node_name}};
    for (size_t i = 0; i < max; i++) {
        raia__env_var__init(&var[i]);
        list[i] = &var[i];
    }
    for (size_t i = 0; i < given; i++)
        var[i] = *env->env_vars[i];
    for (size_t i = 0; i < 6; i++, n++) {
        var[n].name = (char *)ours[i][0];
        var[n].value = (char *)ours[i][1];
    }
    spawn.id = p->id;
    got = command(m->entrypoint, &words, &spawn.n_argv, e);
    if (got < 0)
        return got;
    spawn.argv = words;
    spawn.env = list;
    spawn.n_env = n;
    spawn.cwd = (char *)dir;
    spawn.stdout_path = log;
    spawn.entrypoint = 1;
    spawn.submission_id = p->submission;
    spawn.attempt = p->attempt;
    got = sup_spawn(r, &spawn);
    return got < 0 ? err_set(e, -got, "ask the supervisor to start the entrypoint") : 0;
}

/* ---- waiting: first for resources, then for the working_dir */

/* A start that waits for its working_dir. */
struct waiting {
    struct raylet *r;
    uint64_t id;
};

static void start(struct raylet *r, struct entrypoint *p, const char *dir)
{
    Raia__Gcs__StartEntrypoint *m = STEAL(p->m);
    struct raia_error e = {0};

    p->waiting = false;
    p->dir = dir ? mem_strdup(dir) : NULL;
    if (spawn(r, p, m, dir, &e) < 0)
        fail(r, p, &e);
    proto_free(m);
}

static void on_dir(void *arg, int status, const char *dir, const struct raia_error *e)
{
    struct waiting *w = arg;
    struct entrypoint *p = by_id(w->r, w->id);

    if (p && p->waiting && status < 0) /* else it was stopped meanwhile */
        fail(w->r, p, e);
    else if (p && p->waiting)
        start(w->r, p, dir);
    mem_free(w);
}

/* Its resources are there, or it needs none. */
static void prepare(struct raylet *r, struct entrypoint *p)
{
    struct raia_error e = {0};
    struct waiting *w;

    log_info("starting an entrypoint", "submission=%s attempt=%u", LOG_Q(p->submission),
             p->attempt);
    if (!p->m->runtime_env || !package_is(p->m->runtime_env->working_dir)) {
        start(r, p, NULL);
        return;
    }
    w = mem_new(struct waiting);
    if (!w) {
        err_set(&e, RAIA_ERR_NOMEM, "start an entrypoint");
        fail(r, p, &e);
        return;
    }
    *w = (struct waiting){.r = r, .id = p->id};
    package_get(r, p->m->runtime_env->working_dir, on_dir, w);
}

/* `force`: it runs already. */
static int reserve(struct raylet *r, struct entrypoint *p, const Raia__Gcs__StartEntrypoint *m,
                   bool force, struct raia_error *e)
{
    struct res_set need;
    int got = leases_resources(r, m->resources, m->n_resources, &need);

    if (got == 0) {
        p->reserved = true;
        got = sched_reserve(r->sched, raylet_now(r), p->id, &need, force);
        p->reserved = got == 0;
        raylet_touch(r);
    }
    return got < 0 ? err_set(e, -got, "the resources of the entrypoint") : 0;
}

void entrypoints_reserved(void *arg, uint64_t id)
{
    struct raylet *r = arg;
    struct entrypoint *p = by_id(r, id);

    if (p)
        p->due = true;
    raylet_touch(r);
}

void entrypoints_turn(struct raylet *r)
{
    struct entrypoint *p, *next;

    HASH_FOREACH (r->entrypoints, p, next)
        if (p->due) {
            p->due = false;
            prepare(r, p);
        }
}

void entrypoints_start(struct raylet *r, const Raia__Gcs__StartEntrypoint *m)
{
    struct entrypoint *p = find(r, m->submission_id, m->attempt);
    struct raia_error e = {0};

    if (p) { /* said again after a break */
        if (m->n_resources && !p->reserved && !p->exited && !p->failed && !p->waiting &&
            reserve(r, p, m, true, &e) < 0)
            log_warn("an entrypoint runs without its resources", "submission=%s error=%s",
                     LOG_Q(p->submission), LOG_Q(e.text));
        if (!p->waiting)
            gcs_entrypoint(r, p);
        return;
    }
    p = add(r, r->next_entrypoint++, m->submission_id, m->attempt);
    if (!p)
        return; /* the GCS asks again with the next session */
    p->waiting = true;
    p->m = proto_copy(&m->base);
    if (!p->m)
        err_set(&e, RAIA_ERR_NOMEM, "start an entrypoint");
    else if (!m->n_resources)
        prepare(r, p);
    else
        (void)reserve(r, p, m, false, &e);
    if (e.code)
        fail(r, p, &e);
}

void entrypoints_stop(struct raylet *r, const char *submission, uint32_t attempt)
{
    struct entrypoint *p = find(r, submission, attempt);

    struct raia_error e = {0};

    if (!p || p->exited || p->failed)
        return;
    if (p->waiting) {
        err_set(&e, RAIA_ERR_CANCELED, "it was stopped before it had started");
        fail(r, p, &e);
        return;
    }
    sup_signal(r, p->id, SIGTERM, true, STOP_GRACE_MS);
}

void entrypoints_ack(struct raylet *r, const char *submission, uint32_t attempt)
{
    struct entrypoint *p = find(r, submission, attempt);

    sup_forget(r, submission, attempt);
    if (p && (p->exited || p->failed))
        drop(r, p);
}

void entrypoints_survivors(struct raylet *r, const Raia__Agent__Survivors *m)
{
    for (size_t i = 0; i < m->n_entrypoints; i++) {
        const Raia__Agent__Entrypoint *was = m->entrypoints[i];
        struct entrypoint *p;
        if (find(r, was->submission_id, was->attempt))
            continue;
        p = add(r, was->id, was->submission_id, was->attempt);
        if (!p)
            continue;
        p->pid = was->pid;
        p->exited = was->exited;
        p->status = was->status;
        if (was->id >= r->next_entrypoint)
            r->next_entrypoint = was->id + 1;
    }
}

void entrypoints_spawned(struct raylet *r, uint64_t id, int32_t pid)
{
    struct entrypoint *p = by_id(r, id);

    if (!p)
        return;
    p->pid = pid;
    gcs_entrypoint(r, p);
}

void entrypoints_failed(struct raylet *r, uint64_t id, const Raia__Error *e)
{
    struct entrypoint *p = by_id(r, id);
    struct raia_error error = {0};

    if (!p)
        return;
    err_set(&error, e ? e->code : RAIA_ERR_INTERNAL, "%s", e ? e->text : "it could not be started");
    fail(r, p, &error);
}

void entrypoints_exited(struct raylet *r, const Raia__Agent__Exited *m)
{
    struct entrypoint *p = by_id(r, m->id);

    if (!p)
        p = find(r, m->submission_id, m->attempt);
    if (!p)
        return;
    release(r, p);
    p->exited = true;
    p->status = m->status;
    log_info("an entrypoint ended", "submission=%s status=%d", LOG_Q(p->submission), m->status);
    gcs_entrypoint(r, p);
}
