/*
 * The supervisor's life (supervisor.h): daemons up, orders obeyed, deaths told, everything ended.
 * How a child is started is child.c's; what the raylet says arrives through raylet_link.c; the
 * command lines of the daemons are made in command.c.
 */
#define LOG_MODULE "agent"
#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/child.h"
#include "supervisor/command.h"
#include "supervisor/daemon.h"
#include "supervisor/kids.h"
#include "supervisor/raylet_link.h"

#define STOP_GRACE_MS    3000u  /* from SIGTERM to SIGKILL when the node stops */
#define GCS_READY_MS     30000u /* for the GCS to write gcs.json */
#define GCS_POLL_MS      10u    /* between looks at gcs.json; only while the GCS starts */
#define EXIT_BAD_OPTIONS 2      /* a daemon that says so will say so again: do not restart it */

enum stage { RUNNING, STOPPING_RAYLET, STOPPING_GCS, STOPPING_REST };

struct supervisor {
    struct loop *loop;                 /* borrowed */
    const struct agent_config *config; /* borrowed */
    struct command_env env;            /* what every child gets */
    struct daemon gcs;                 /* head only */
    struct gcs_ports ports;            /* as it bound them; zero: not yet */
    bool gcs_ready;                    /* gcs.json is of the running one */
    uint64_t gcs_deadline_ms;          /* for gcs_ready */
    struct daemon raylet;
    struct raylet_link *link; /* NULL: no raylet */
    uint8_t node_id[16];      /* of the raylet that runs or ran last */
    bool has_node_id;         /* it said Ready once */
    struct kids kids;         /* what raylets ordered */
    enum stage stage;
    bool failed;                    /* stop with an error */
    struct loop_timer gcs_timer;    /* next start, or look at gcs.json */
    struct loop_timer raylet_timer; /* next start */
    struct loop_timer kill_timer;   /* the earliest kill_at_ms, or the end of STOP_GRACE_MS */
    struct loop_signal *sigchld;
};

static void start_gcs(struct loop_timer *t);
static void start_raylet(struct loop_timer *t);
static void advance_stop(struct supervisor *s);

/* ---- messages to the raylet */

static void send_up(struct supervisor *s, const Raia__Agent__SupervisorUp *m)
{
    if (s->link && raylet_link_send(s->link, m) < 0)
        log_warn("a message to the raylet was not sent", "kind=%d", (int)m->body_case);
}

static void send_spawn_failed(struct supervisor *s, uint64_t id, const struct raia_error *e)
{
    Raia__Error err = RAIA__ERROR__INIT;
    err.code = e->code;
    err.text = (char *)(uintptr_t)e->text;
    err.retryable = e->retryable;
    Raia__Agent__SpawnFailed f = RAIA__AGENT__SPAWN_FAILED__INIT;
    f.id = id;
    f.error = &err;
    Raia__Agent__SupervisorUp up = RAIA__AGENT__SUPERVISOR_UP__INIT;
    up.body_case = RAIA__AGENT__SUPERVISOR_UP__BODY_SPAWN_FAILED;
    up.spawn_failed = &f;
    send_up(s, &up);
}

static void send_exited(struct supervisor *s, const struct kid *k, pid_t pid)
{
    Raia__Agent__Exited x = RAIA__AGENT__EXITED__INIT;
    x.id = k->id;
    x.pid = pid;
    x.status = k->status;
    x.signaled = k->signaled;
    if (k->submission_id)
        x.submission_id = k->submission_id;
    x.attempt = k->attempt;
    Raia__Agent__SupervisorUp up = RAIA__AGENT__SUPERVISOR_UP__INIT;
    up.body_case = RAIA__AGENT__SUPERVISOR_UP__BODY_EXITED;
    up.exited = &x;
    send_up(s, &up);
}

/* The first message to every raylet: who it replaces, and which entrypoints live or wait. */
static int send_survivors(struct supervisor *s)
{
    _cleanup_(mem_freep) Raia__Agent__Entrypoint *rows =
        mem_calloc(s->kids.count + 1, sizeof *rows);
    _cleanup_(mem_freep) Raia__Agent__Entrypoint **at = mem_calloc(s->kids.count + 1, sizeof *at);
    if (!rows || !at)
        return -RAIA_ERR_NOMEM;
    Raia__Agent__Survivors v = RAIA__AGENT__SURVIVORS__INIT;
    if (s->has_node_id) {
        v.dead_node_id.data = s->node_id;
        v.dead_node_id.len = sizeof s->node_id;
    }
    struct kid *k;
    LIST_FOREACH (k, &s->kids.all, link) {
        if (!k->entrypoint)
            continue;
        Raia__Agent__Entrypoint *row = &rows[v.n_entrypoints];
        raia__agent__entrypoint__init(row);
        row->submission_id = k->submission_id;
        row->attempt = k->attempt;
        row->pid = k->pid;
        row->exited = k->exited;
        row->status = k->status;
        row->id = k->id;
        at[v.n_entrypoints++] = row;
    }
    v.entrypoints = at;
    Raia__Agent__SupervisorUp up = RAIA__AGENT__SUPERVISOR_UP__INIT;
    up.body_case = RAIA__AGENT__SUPERVISOR_UP__BODY_SURVIVORS;
    up.survivors = &v;
    return raylet_link_send(s->link, &up);
}

/* ---- orders from the raylet */

static void arm_kill_timer(struct supervisor *s);

static void kill_overdue(struct loop_timer *t)
{
    struct supervisor *s = LOOP_OF(t, struct supervisor, kill_timer);
    uint64_t now = loop_now_ms(s->loop);
    struct kid *k;
    LIST_FOREACH (k, &s->kids.all, link) {
        if (k->kill_at_ms && k->kill_at_ms <= now && k->pid) {
            child_signal(k->pid, SIGKILL);
            k->kill_at_ms = 0;
        }
    }
    if (s->stage != RUNNING)
        advance_stop(s);
    else
        arm_kill_timer(s);
}

static void arm_kill_timer(struct supervisor *s)
{
    uint64_t first = 0, now = loop_now_ms(s->loop);
    struct kid *k;
    LIST_FOREACH (k, &s->kids.all, link)
        if (k->kill_at_ms && (!first || k->kill_at_ms < first))
            first = k->kill_at_ms;
    if (first)
        loop_timer_start(s->loop, &s->kill_timer, first > now ? first - now : 0, 0, kill_overdue);
}

static void spawn(struct supervisor *s, const Raia__Agent__Spawn *m)
{
    struct raia_error e = {0};
    struct kid *k = NULL;
    pid_t pid = 0;
    const char *submission = m->entrypoint ? m->submission_id : NULL;
    _cleanup_(command_env_done) struct command_env env = {0};
    _cleanup_(mem_freep) char **argv = mem_calloc(m->n_argv + 1, sizeof *argv);

    int r = argv && m->n_argv ? command_env_copy(&s->env, &env) : -RAIA_ERR_INVALID;
    for (size_t i = 0; r == 0 && i < m->n_env; i++)
        r = command_env_set(&env, m->env[i]->name, m->env[i]->value);
    if (r < 0) {
        err_set(&e, -r, "the order to start a process");
    } else {
        memcpy(argv, m->argv, m->n_argv * sizeof *argv);
        struct child_spec spec = {
            .argv = argv,
            .env = env.vars,
            .cwd = m->cwd[0] ? m->cwd : s->config->session_dir,
            .stdout_path = m->stdout_path[0] ? m->stdout_path : NULL,
            .stderr_path = m->stderr_path[0] ? m->stderr_path : NULL,
            .fd3 = -1,
        };
        r = child_start(&spec, &pid, &e);
    }
    if (r == 0 && (r = kids_add(&s->kids, m->id, pid, submission, m->attempt, &k)) < 0) {
        err_set(&e, -r, "%d processes of this node are running or waiting", KIDS_MAX);
        child_signal(pid, SIGKILL);
    }
    if (r < 0) {
        log_warn("cannot start a process", "program=%s error=%s", m->n_argv ? m->argv[0] : "",
                 LOG_Q(e.text));
        send_spawn_failed(s, m->id, &e);
        return;
    }
    log_debug("started", "pid=%d program=%s", (int)pid, m->argv[0]);
    Raia__Agent__Spawned ok = RAIA__AGENT__SPAWNED__INIT;
    ok.id = m->id;
    ok.pid = pid;
    Raia__Agent__SupervisorUp up = RAIA__AGENT__SUPERVISOR_UP__INIT;
    up.body_case = RAIA__AGENT__SUPERVISOR_UP__BODY_SPAWNED;
    up.spawned = &ok;
    send_up(s, &up);
}

static void signal_kid(struct supervisor *s, const Raia__Agent__Signal *m)
{
    struct kid *k = kids_by_id(&s->kids, m->id);
    if (!k || !k->pid || m->signo <= 0 || m->signo > 64)
        return; /* it has ended meanwhile: its Exited is on its way */
    if (m->group)
        child_signal(k->pid, m->signo);
    else
        (void)kill(k->pid, m->signo);
    if (m->kill_after_ms) {
        k->kill_at_ms = loop_now_ms(s->loop) + m->kill_after_ms;
        arm_kill_timer(s);
    }
}

static void forget(struct supervisor *s, const Raia__Agent__Forget *m)
{
    struct kid *k = kids_by_submission(&s->kids, m->submission_id, m->attempt);
    if (k && k->exited)
        kids_remove(&s->kids, k);
}

static void on_message(void *arg, const Raia__Agent__SupervisorDown *m)
{
    struct supervisor *s = arg;
    switch (m->body_case) {
    case RAIA__AGENT__SUPERVISOR_DOWN__BODY_SPAWN:
        if (s->stage == RUNNING)
            spawn(s, m->spawn);
        break;
    case RAIA__AGENT__SUPERVISOR_DOWN__BODY_SIGNAL:
        signal_kid(s, m->signal);
        break;
    case RAIA__AGENT__SUPERVISOR_DOWN__BODY_READY:
        if (m->ready->node_id.len == sizeof s->node_id) {
            memcpy(s->node_id, m->ready->node_id.data, sizeof s->node_id);
            s->has_node_id = true;
            log_info("raylet ready", "address=%s", m->ready->address);
        }
        break;
    case RAIA__AGENT__SUPERVISOR_DOWN__BODY_FORGET:
        forget(s, m->forget);
        break;
    case RAIA__AGENT__SUPERVISOR_DOWN__BODY_FENCE:
        log_warn("the raylet fences itself", "reason=%s", LOG_Q(m->fence->reason));
        child_signal(s->raylet.pid, SIGKILL);
        break;
    default:
        log_warn("unknown order from the raylet", "kind=%d", (int)m->body_case);
    }
}

static void on_broken(void *arg, const char *why)
{
    struct supervisor *s = arg;
    if (s->stage == RUNNING && s->raylet.pid) {
        log_warn("the raylet is killed", "reason=%s", LOG_Q(why));
        child_signal(s->raylet.pid, SIGKILL);
    }
}

static const struct raylet_link_ops link_ops = {.on_message = on_message, .on_broken = on_broken};

/* ---- the daemons */

static void fail(struct supervisor *s, const char *what)
{
    log_error("the node cannot run", "reason=%s", LOG_Q(what));
    s->failed = true;
    supervisor_stop(s);
}

static void watch_gcs(struct loop_timer *t)
{
    struct supervisor *s = LOOP_OF(t, struct supervisor, gcs_timer);
    struct gcs_ports p;
    if (command_read_gcs_ports(s->config, s->gcs.pid, &p) < 0) {
        if (loop_now_ms(s->loop) > s->gcs_deadline_ms) {
            log_error("the GCS does not serve", "after_ms=%u", GCS_READY_MS);
            child_signal(s->gcs.pid, SIGKILL);
            loop_timer_stop(t);
        }
        return;
    }
    loop_timer_stop(t);
    s->gcs_ready = true;
    s->ports = p;
    log_info("GCS ready", "port=%d dashboard_port=%d", p.port, p.dashboard_port);
    if (!s->raylet.pid && !loop_timer_active(&s->raylet_timer))
        start_raylet(&s->raylet_timer);
}

static void start_gcs(struct loop_timer *t)
{
    struct supervisor *s = LOOP_OF(t, struct supervisor, gcs_timer);
    struct raia_error e = {0};
    pid_t pid;
    int r = command_start_gcs(s->config, &s->env, &s->ports, &pid, &e);
    uint64_t now = loop_now_ms(s->loop);
    if (r < 0) {
        log_error("cannot start the GCS", "error=%s", LOG_Q(e.text));
        loop_timer_start(s->loop, t, daemon_ended(&s->gcs, now) + DAEMON_BACKOFF_MIN_MS, 0,
                         start_gcs);
        return;
    }
    daemon_started(&s->gcs, pid, now);
    s->gcs_ready = false;
    s->gcs_deadline_ms = now + GCS_READY_MS;
    loop_timer_start(s->loop, t, GCS_POLL_MS, GCS_POLL_MS, watch_gcs);
}

static void start_raylet(struct loop_timer *t)
{
    struct supervisor *s = LOOP_OF(t, struct supervisor, raylet_timer);
    struct raia_error e = {0};
    _cleanup_(fd_closep) int fd = -1;
    pid_t pid;
    int r = raylet_link_new(s->loop, &link_ops, s, &s->link, &fd, &e);
    if (r == 0)
        r = command_start_raylet(s->config, &s->env, &s->ports, fd, &pid, &e);
    uint64_t now = loop_now_ms(s->loop);
    if (r < 0) {
        log_error("cannot start the raylet", "error=%s", LOG_Q(e.text));
        raylet_link_free(STEAL(s->link));
        loop_timer_start(s->loop, t, daemon_ended(&s->raylet, now) + DAEMON_BACKOFF_MIN_MS, 0,
                         start_raylet);
        return;
    }
    daemon_started(&s->raylet, pid, now);
    if (send_survivors(s) < 0)
        child_signal(pid, SIGKILL); /* without it the raylet cannot begin: try again */
}

/* The raylet starts again once the workers of the dead one are reaped. */
static void restart_raylet(struct supervisor *s)
{
    if (s->stage == RUNNING && !s->raylet.pid && !s->link && kids_running(&s->kids, false) == 0 &&
        !loop_timer_active(&s->raylet_timer))
        loop_timer_start(s->loop, &s->raylet_timer, daemon_ended(&s->raylet, loop_now_ms(s->loop)),
                         0, start_raylet);
}

static void gcs_died(struct supervisor *s, int status)
{
    log_warn("GCS ended", "status=%d", status);
    bool served = s->ports.port != 0;
    loop_timer_stop(&s->gcs_timer);
    s->gcs_ready = false;
    uint32_t wait = daemon_ended(&s->gcs, loop_now_ms(s->loop));
    if (s->stage != RUNNING)
        return;
    if (!served || status == EXIT_BAD_OPTIONS)
        fail(s, "the GCS ended before it served: see logs/gcs.log and logs/gcs.out");
    else
        loop_timer_start(s->loop, &s->gcs_timer, wait, 0, start_gcs);
}

static void raylet_died(struct supervisor *s, int status)
{
    log_warn("raylet ended", "status=%d", status);
    bool served = s->has_node_id;
    s->raylet.pid = 0;
    raylet_link_free(STEAL(s->link));
    struct kid *k;
    LIST_FOREACH (k, &s->kids.all, link)
        if (!k->entrypoint && k->pid)
            child_signal(k->pid, SIGKILL);
    if (s->stage != RUNNING)
        return;
    if (status == EXIT_BAD_OPTIONS && !served)
        fail(s, "the raylet refused its options: see logs/raylet.log and logs/raylet.out");
    else
        restart_raylet(s);
}

/* ---- deaths */

static void kid_died(struct supervisor *s, struct kid *k, int status, bool signaled)
{
    pid_t pid = k->pid;
    /* What the child started in its group dies with it: a worker's or an entrypoint's helpers. */
    child_signal_group(pid, SIGKILL);
    k->pid = 0;
    k->status = status;
    k->signaled = signaled;
    k->exited = true;
    k->kill_at_ms = 0;
    send_exited(s, k, pid);
    if (!k->entrypoint)
        kids_remove(&s->kids, k);
}

static void on_sigchld(void *arg, int signo)
{
    struct supervisor *s = arg;
    pid_t pid;
    int status;
    bool signaled;
    (void)signo;
    while (child_reap(&pid, &status, &signaled)) {
        struct kid *k = kids_by_pid(&s->kids, pid);
        if (k)
            kid_died(s, k, status, signaled);
        else if (pid == s->gcs.pid)
            gcs_died(s, status);
        else if (pid == s->raylet.pid)
            raylet_died(s, status);
        /* else an orphan of a child: reaped, nobody asks for it */
    }
    restart_raylet(s);
    if (s->stage != RUNNING)
        advance_stop(s);
}

/* ---- the end */

static void signal_stage(struct supervisor *s, int signo)
{
    struct kid *k;
    switch (s->stage) {
    case STOPPING_RAYLET:
        child_signal(s->raylet.pid, signo);
        LIST_FOREACH (k, &s->kids.all, link)
            if (k->pid && (k->entrypoint || signo == SIGKILL))
                child_signal(k->pid, signo);
        break;
    case STOPPING_GCS:
        child_signal(s->gcs.pid, signo);
        break;
    default:
        child_signal_all(SIGKILL, NULL, 0);
    }
}

static void enter(struct supervisor *s, enum stage stage)
{
    s->stage = stage;
    signal_stage(s, SIGTERM);
    loop_timer_start(s->loop, &s->kill_timer, STOP_GRACE_MS, 0, kill_overdue);
}

static bool stage_done(const struct supervisor *s)
{
    switch (s->stage) {
    case STOPPING_RAYLET:
        return !s->raylet.pid && !kids_running(&s->kids, false) && !kids_running(&s->kids, true);
    case STOPPING_GCS:
        return !s->gcs.pid;
    default:
        return false;
    }
}

static void advance_stop(struct supervisor *s)
{
    if (!loop_timer_active(&s->kill_timer)) {
        signal_stage(s, SIGKILL); /* the grace is over */
        loop_timer_start(s->loop, &s->kill_timer, STOP_GRACE_MS, 0, kill_overdue);
    }
    while (s->stage < STOPPING_REST && stage_done(s))
        enter(s, s->stage + 1);
    if (s->stage == STOPPING_REST && child_signal_all(SIGKILL, NULL, 0) == 0) {
        loop_timer_stop(&s->kill_timer);
        loop_stop(s->loop);
    }
}

void supervisor_stop(struct supervisor *s)
{
    if (s->stage != RUNNING) { /* asked twice: no more grace */
        loop_timer_stop(&s->kill_timer);
        advance_stop(s);
        return;
    }
    loop_timer_stop(&s->gcs_timer);
    loop_timer_stop(&s->raylet_timer);
    enter(s, STOPPING_RAYLET);
    advance_stop(s);
}

bool supervisor_failed(const struct supervisor *s)
{
    return s->failed;
}

int supervisor_new(struct loop *l, const struct agent_config *c, struct supervisor **ret_s,
                   struct raia_error *e)
{
    struct supervisor *s = mem_new(struct supervisor);
    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "the supervisor");
    s->loop = l;
    s->config = c;
    kids_init(&s->kids);
    int r = command_env_base(c, &s->env, e);
    if (r == 0)
        r = loop_signal_new(l, SIGCHLD, on_sigchld, s, &s->sigchld, e);
    if (r < 0) {
        supervisor_free(s);
        return r;
    }
    *ret_s = s;
    if (c->head)
        start_gcs(&s->gcs_timer);
    else
        start_raylet(&s->raylet_timer);
    return 0;
}

void supervisor_free(struct supervisor *s)
{
    if (!s)
        return;
    loop_timer_stop(&s->gcs_timer);
    loop_timer_stop(&s->raylet_timer);
    loop_timer_stop(&s->kill_timer);
    loop_signal_free(s->sigchld);
    raylet_link_free(s->link);
    kids_clear(&s->kids);
    command_env_done(&s->env);
    mem_free(s);
}
