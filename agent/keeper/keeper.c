/*
 * Keeping the nodes of one machine (keeper.h). A dead supervisor's leftovers come to the keeper,
 * which is a subreaper; it kills them before it starts the node's next supervisor.
 */
#define LOG_MODULE "keeper"
#include "keeper/keeper.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/json.h"
#include "keeper/controllers.h"
#include "keeper/plan.h"
#include "supervisor/child.h"
#include "supervisor/daemon.h"

#define STOP_GRACE_MS 10000u /* agents give their own children 3 s, twice */
#define HEAD_READY_MS 60000u /* for the head's GCS to serve */
#define HEAD_POLL_MS  10u    /* between looks at its gcs.json; only while it starts */

extern char **environ;

struct node {
    struct keeper *keeper;        /* back */
    const struct plan_node *plan; /* borrowed from keeper.plan */
    struct daemon agent;
    struct loop_timer timer; /* next start */
};

struct keeper {
    struct loop *loop; /* borrowed */
    char *state_dir;   /* absolute */
    struct plan plan;
    struct node *nodes;           /* plan.n of them; the head first */
    int64_t port, dashboard_port; /* of the GCS; 0: not known yet */
    char *gcs_address;            /* HOST:PORT, for the nodes that are not the head */
    uint64_t head_deadline_ms;    /* for gcs.json */
    struct loop_timer head_timer; /* looks at gcs.json */
    struct loop_timer stop_timer; /* the end of the grace */
    struct loop_signal *sigchld;
    struct controllers *controllers; /* of RayJobs */
    int owner;                       /* pidfd of the process that it ends with; -1: none */
    struct loop_fd *owner_watch;
    bool orphaned; /* that process has ended */
    bool stopping, failed;
};

static void start_node(struct loop_timer *t);

/* The value of an option in a node's argv, or NULL. */
static const char *option(const struct plan_node *p, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < p->argc; i++)
        if (!strncmp(p->argv[i], name, n) && p->argv[i][n] == '=')
            return p->argv[i] + n + 1;
    return NULL;
}

static void give_up(struct keeper *k, const char *node, const char *why)
{
    log_error("the cluster cannot run", "node=%s reason=%s", node, LOG_Q(why));
    k->failed = true;
    keeper_stop(k);
}

/* ---- the head's address */

static int read_ports(struct keeper *k)
{
    const struct plan_node *head = k->nodes[0].plan;
    const char *session = option(head, "--session-dir"), *ip = option(head, "--node-ip");
    _cleanup_(mem_freep) char *path = mem_printf("%s/gcs.json", session ? session : k->state_dir);
    _cleanup_(json_freep) struct json *root = NULL;
    int64_t port, dashboard;
    int r = path ? json_load(path, NULL, &root, NULL) : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = json_get_int(root, "port", &port, NULL);
    if (r == 0)
        r = json_get_int(root, "dashboard_port", &dashboard, NULL);
    if (r < 0)
        return r;
    k->gcs_address = mem_printf("--gcs-address=%s:%lld", ip ? ip : "127.0.0.1", (long long)port);
    if (!k->gcs_address)
        return -RAIA_ERR_NOMEM;
    k->port = port;
    k->dashboard_port = dashboard;
    return 0;
}

static void watch_head(struct loop_timer *t)
{
    struct keeper *k = LOOP_OF(t, struct keeper, head_timer);
    if (read_ports(k) < 0) {
        if (loop_now_ms(k->loop) > k->head_deadline_ms) {
            loop_timer_stop(t);
            give_up(k, k->nodes[0].plan->name, "its GCS does not serve: see its logs folder");
        }
        return;
    }
    loop_timer_stop(t);
    log_info("head ready", "port=%lld dashboard_port=%lld", (long long)k->port,
             (long long)k->dashboard_port);
    for (size_t i = 1; i < k->plan.n; i++)
        start_node(&k->nodes[i].timer);
}

/* ---- nodes */

static int start_agent(struct keeper *k, struct node *n, pid_t *ret_pid, struct raia_error *e)
{
    char program[4096], port[32], dashboard[40];
    _cleanup_(mem_freep) char *out = mem_printf("%s/keeper.log", k->state_dir);
    _cleanup_(mem_freep) char **argv = mem_calloc(n->plan->argc + 5, sizeof *argv);
    if (!out || !argv || !child_program_path("raia-agent", program, sizeof program))
        return err_set(e, RAIA_ERR_NOMEM, "start node '%s'", n->plan->name);
    size_t argc = 0;
    argv[argc++] = program;
    memcpy(argv + argc, n->plan->argv, n->plan->argc * sizeof *argv);
    argc += n->plan->argc;
    /* Later options win: a head that is replaced binds what the others know. */
    if (n->plan->head && k->port) {
        snprintf(port, sizeof port, "--port=%lld", (long long)k->port);
        snprintf(dashboard, sizeof dashboard, "--dashboard-port=%lld",
                 (long long)k->dashboard_port);
        argv[argc++] = port;
        argv[argc++] = dashboard;
    } else if (!n->plan->head && k->gcs_address) {
        argv[argc++] = k->gcs_address;
    }
    struct child_spec s = {
        .argv = argv, .env = environ, .cwd = k->state_dir, .stdout_path = out, .fd3 = -1};
    return child_start(&s, ret_pid, e);
}

static void start_node(struct loop_timer *t)
{
    struct node *n = LOOP_OF(t, struct node, timer);
    struct keeper *k = n->keeper;
    struct raia_error e = {0};
    pid_t pid;
    uint64_t now = loop_now_ms(k->loop);
    if (start_agent(k, n, &pid, &e) < 0) {
        log_error("cannot start a node", "node=%s error=%s", n->plan->name, LOG_Q(e.text));
        loop_timer_start(k->loop, t, daemon_ended(&n->agent, now) + DAEMON_BACKOFF_MIN_MS, 0,
                         start_node);
        return;
    }
    log_info("node started", "node=%s pid=%d", n->plan->name, (int)pid);
    daemon_started(&n->agent, pid, now);
}

/* The pids of all living supervisors, for those who kill everything else. */
static size_t living(const struct keeper *k, pid_t *pids)
{
    size_t count = 0;
    for (size_t i = 0; i < k->plan.n; i++)
        if (k->nodes[i].agent.pid)
            pids[count++] = k->nodes[i].agent.pid;
    return count;
}

static size_t kill_orphans(const struct keeper *k)
{
    pid_t pids[KEEPER_NODES_MAX + CONTROLLERS_MAX];
    size_t n = living(k, pids);
    n += controllers_pids(k->controllers, pids + n);
    return child_signal_all(SIGKILL, pids, n);
}

static void node_died(struct keeper *k, struct node *n, int status, bool signaled)
{
    uint32_t wait = daemon_ended(&n->agent, loop_now_ms(k->loop));
    log_warn("node ended", "node=%s status=%d", n->plan->name, status);
    (void)kill_orphans(k);
    if (k->stopping)
        return;
    if (!signaled && (status == 1 || status == 2) && (status == 2 || (n->plan->head && !k->port)))
        give_up(k, n->plan->name, "it cannot run: see its logs folder");
    else
        loop_timer_start(k->loop, &n->timer, wait, 0, start_node);
}

static void check_stopped(struct keeper *k)
{
    pid_t pids[KEEPER_NODES_MAX];
    if (k->stopping && living(k, pids) == 0 && kill_orphans(k) == 0) {
        loop_timer_stop(&k->stop_timer);
        loop_stop(k->loop);
    }
}

static void on_sigchld(void *arg, int signo)
{
    struct keeper *k = arg;
    pid_t pid;
    int status;
    bool signaled;
    (void)signo;
    while (child_reap(&pid, &status, &signaled)) {
        controllers_reaped(k->controllers, pid);
        for (size_t i = 0; i < k->plan.n; i++)
            if (k->nodes[i].agent.pid == pid)
                node_died(k, &k->nodes[i], status, signaled);
    }
    check_stopped(k);
}

/* ---- the end */

static void grace_over(struct loop_timer *t)
{
    struct keeper *k = LOOP_OF(t, struct keeper, stop_timer);
    pid_t pids[CONTROLLERS_MAX];
    (void)child_signal_all(SIGKILL, pids, controllers_pids(k->controllers, pids));
}

void keeper_stop(struct keeper *k)
{
    if (k->stopping) {
        grace_over(&k->stop_timer);
        return;
    }
    k->stopping = true;
    controllers_stop(k->controllers);
    loop_timer_stop(&k->head_timer);
    for (size_t i = 0; i < k->plan.n; i++) {
        loop_timer_stop(&k->nodes[i].timer);
        if (k->nodes[i].agent.pid)
            (void)kill(k->nodes[i].agent.pid, SIGTERM);
    }
    loop_timer_start(k->loop, &k->stop_timer, STOP_GRACE_MS, 0, grace_over);
    check_stopped(k);
}

static void on_owner(void *arg, int fd, unsigned events)
{
    struct keeper *k = arg;
    (void)fd;
    (void)events;
    loop_fd_set(k->owner_watch, 0);
    k->orphaned = true;
    log_info("the program of this cluster has ended", "pidfd=%d", fd);
    if (!k->stopping)
        keeper_stop(k);
}

int keeper_follow(struct keeper *k, int pidfd, struct raia_error *e)
{
    k->owner = pidfd;
    return loop_fd_new(k->loop, pidfd, LOOP_READ, on_owner, k, &k->owner_watch, e);
}

bool keeper_orphaned(const struct keeper *k)
{
    return k->orphaned;
}

bool keeper_failed(const struct keeper *k)
{
    return k->failed;
}

int keeper_new(struct loop *l, const char *state_dir, struct keeper **ret_k, struct raia_error *e)
{
    struct keeper *k = mem_new(struct keeper);
    if (!k)
        return err_set(e, RAIA_ERR_NOMEM, "the keeper");
    k->loop = l;
    k->owner = -1;
    k->state_dir = mem_strdup(state_dir);
    _cleanup_(mem_freep) char *path = mem_printf("%s/plan.json", state_dir);
    int r = k->state_dir && path ? plan_load(path, &k->plan, e)
                                 : err_set(e, RAIA_ERR_NOMEM, "the keeper");
    if (r == 0 && !(k->nodes = mem_calloc(k->plan.n, sizeof *k->nodes)))
        r = err_set(e, RAIA_ERR_NOMEM, "the keeper");
    if (r == 0)
        r = controllers_new(l, k->state_dir, &k->controllers, e);
    if (r == 0)
        r = loop_signal_new(l, SIGCHLD, on_sigchld, k, &k->sigchld, e);
    if (r < 0) {
        keeper_free(k);
        return r;
    }
    for (size_t i = 0; i < k->plan.n; i++) {
        k->nodes[i].keeper = k;
        k->nodes[i].plan = &k->plan.nodes[i];
    }
    start_node(&k->nodes[0].timer);
    if (k->plan.nodes[0].head) {
        k->head_deadline_ms = loop_now_ms(l) + HEAD_READY_MS;
        loop_timer_start(l, &k->head_timer, HEAD_POLL_MS, HEAD_POLL_MS, watch_head);
    } else {
        for (size_t i = 1; i < k->plan.n; i++)
            start_node(&k->nodes[i].timer);
    }
    *ret_k = k;
    return 0;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    loop_timer_stop(&k->head_timer);
    loop_timer_stop(&k->stop_timer);
    for (size_t i = 0; k->nodes && i < k->plan.n; i++)
        loop_timer_stop(&k->nodes[i].timer);
    loop_signal_free(k->sigchld);
    controllers_free(k->controllers);
    loop_fd_free(k->owner_watch);
    fd_closep(&k->owner);
    plan_done(&k->plan);
    mem_free(k->nodes);
    mem_free(k->gcs_address);
    mem_free(k->state_dir);
    mem_free(k);
}
