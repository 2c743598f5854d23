/*
 * Clusters of local processes (cluster.h). The processes are the keeper's; this starts the keeper,
 * waits, and ends it.
 */
#include "cli/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/controller.h"
#include "cli/plan_make.h"
#include "cli/process.h"

#define READY_MS 60000       /* for all nodes to be there */
#define DOWN_MS  20000       /* for the keeper to end in order; then it is killed */
#define POLL_MS  20          /* between looks */
#define LOG_MAX  (16u << 20) /* bytes of a log that is searched for errors */

extern char **environ;

volatile int cluster_interrupted;

static void on_interrupt(int signo)
{
    (void)signo;
    cluster_interrupted = 1;
}

void cluster_catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_interrupt}; /* no SA_RESTART: waits must end */
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

bool cluster_port_free(const char *host, int port)
{
    _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    if (fd < 0 || inet_pton(AF_INET, host, &a.sin_addr) != 1)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

/* The port if it can be bound on this machine, else 0 (any) after saying so. */
static int free_port(int port, const char *what)
{
    if (cluster_port_free(PLAN_NODE_IP, port))
        return port;
    fprintf(stderr, "port %d (%s) is taken: using another\n", port, what);
    return 0;
}

static int make_folders(const struct json *plan, const char *dir, struct raia_error *e)
{
    int r = 0;
    JSON_FOREACH(it, json_get(plan, "nodes"))
    {
        _cleanup_(mem_freep) char *logs =
            mem_printf("%s/nodes/%s/logs", dir, json_str(json_get(it, "name")));
        r = logs ? io_mkdir_p(logs, 0700, e) : err_set(e, RAIA_ERR_NOMEM, "folders");
        if (r < 0)
            break;
    }
    return r;
}

/* Whether the plan of a running cluster has the same nodes as this one, whatever its ports. */
static bool same_nodes(const char *dir, const struct manifest_cluster *c)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/plan.json", dir);
    _cleanup_(json_freep) struct json *old = NULL, *new = NULL;
    int64_t port[2] = {0, 0};
    if (!path || json_load(path, NULL, &old, NULL) < 0)
        return false;
    (void)json_opt_int(old, "port", 0, &port[0], NULL);
    (void)json_opt_int(old, "dashboard_port", 0, &port[1], NULL);
    if (plan_make(c, dir, (int)port[0], (int)port[1], &new, NULL) < 0)
        return false;
    return json_equal(json_get(old, "nodes"), json_get(new, "nodes"));
}

/* The plan's owner, a process that the cluster ends with, as a pidfd; -1: it has none. */
static int open_owner(const struct json *plan, int *ret_fd, struct raia_error *e)
{
    int64_t pid = 0;

    *ret_fd = -1;
    if (json_opt_int(plan, "owner", 0, &pid, NULL) < 0 || pid == 0)
        return 0;
    *ret_fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    /* While it is our parent its number cannot be another's. */
    if (*ret_fd >= 0 && getppid() == pid)
        return 0;
    fd_closep(ret_fd);
    return err_set(e, RAIA_ERR_INVALID,
                   "--owner %lld: that process is not the caller, or has ended", (long long)pid);
}

static int start_keeper(const char *dir, int owner, pid_t *ret_pid, struct raia_error *e)
{
    _cleanup_(mem_freep) char *program = process_program("raia-keeper", e);
    if (!program)
        return -e->code;
    _cleanup_(mem_freep) char *log = mem_printf("%s/keeper.log", dir);
    if (!log)
        return err_set(e, RAIA_ERR_NOMEM, "the keeper");
    char *argv[] = {program, (char *)(uintptr_t)dir, NULL, NULL};
    char number[] = "3";
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&at);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&fa, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&fa, 1, 2);
    if (owner >= 0) {
        posix_spawn_file_actions_adddup2(&fa, owner, 3);
        argv[2] = number;
    }
    posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSID); /* Ctrl-C here is not meant for it */
    int r = posix_spawn(ret_pid, program, &fa, &at, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&at);
    return r ? err_errno(e, r, "cannot start '%s'", program) : 0;
}

/* The last line of a log that tells of an error (any: the last line at all); NULL: none. mem_free. */
static char *last_error(const char *dir, const char *log, bool any)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", dir, log);
    _cleanup_(mem_freep) char *text = NULL;
    const char *found = NULL;
    if (!path || io_read_file(path, LOG_MAX, &text, NULL, NULL) < 0)
        return NULL;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *mark = strstr(line, "level=error");
        if (*line != '\n' && (any || (mark && mark < line + strcspn(line, "\n"))))
            found = line;
    }
    return found ? mem_strndup(found, strcspn(found, "\n")) : NULL;
}

/* Ends with what the logs say of the reason: that of the process which knows it best. */
static int keeper_died(const char *dir, struct raia_error *e)
{
    static const struct {
        const char *log;
        bool any; /* whatever a daemon writes there is its last word */
    } logs[] = {{"nodes/head/logs/gcs.log", false},
                {"nodes/head/logs/gcs.out", true},
                {"nodes/head/logs/raylet.log", false},
                {"nodes/head/logs/raylet.out", true},
                {"nodes/head/logs/agent.log", false},
                {"keeper.log", false},
                {"keeper.log", true}};
    _cleanup_(mem_freep) char *why = NULL;
    size_t i = 0;
    for (; i < sizeof logs / sizeof *logs; i++)
        if ((why = last_error(dir, logs[i].log, logs[i].any)))
            break;
    return err_set(e, RAIA_ERR_UNAVAILABLE, "it did not come up: %s: %.300s (more under %s)",
                   why ? logs[i].log : "the keeper ended", why ? why : "it wrote no log", dir);
}

/* The ports of the head, once its GCS serves. */
static int read_ports(const char *dir, struct state_address *a)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/nodes/head/gcs.json", dir);
    _cleanup_(json_freep) struct json *root = NULL;
    int64_t port, dashboard;
    int r = path ? json_load(path, NULL, &root, NULL) : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = json_get_int(root, "port", &port, NULL);
    if (r == 0)
        r = json_get_int(root, "dashboard_port", &dashboard, NULL);
    if (r == 0) {
        a->port = (int)port;
        a->dashboard_port = (int)dashboard;
    }
    return r;
}

static int wait_ready(const char *name, const char *dir, struct state_address a, pid_t keeper,
                      size_t nodes, struct state_cluster *ret_c, struct raia_error *e)
{
    int64_t until = clock_now_ns() + READY_MS * INT64_C(1000000);
    bool published = false;
    _cleanup_(state_cluster_done) struct state_cluster c = {0};
    size_t alive = 0;
    while (clock_now_ns() < until) {
        int status;
        if (cluster_interrupted)
            return err_set(e, RAIA_ERR_CANCELED, "interrupted");
        if (waitpid(keeper, &status, WNOHANG) == keeper)
            return keeper_died(dir, e);
        if (!published && read_ports(dir, &a) == 0) {
            int r = state_publish(dir, name, &a, e);
            if (r < 0)
                return r;
            published = state_alive(dir, NULL) && state_open(name, &c, NULL) == 0;
        }
        if (published && api_alive_nodes(&c, &alive, NULL) == 0 && alive >= nodes) {
            *ret_c = c;
            c = (struct state_cluster){0};
            return 0;
        }
        poll(NULL, 0, POLL_MS);
    }
    return err_set(e, RAIA_ERR_TIMEOUT,
                   "%zu of %zu nodes came up in %d s: see the logs under %s/nodes", alive, nodes,
                   READY_MS / 1000, dir);
}

int cluster_clear(const char *dir, struct raia_error *e)
{
    int r = io_remove_tree(dir, e);
    return r < 0 && r != -RAIA_ERR_NOT_FOUND ? err_wrap(e, "clearing what an earlier run left") : 0;
}

/* All programs of a node are there: one that is missing would be tried again and again. */
static int check_programs(struct raia_error *e)
{
    static const char *const names[] = {"raia-keeper", "raia-agent", "raia-shim", "raia-gcs",
                                        "raia-raylet"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        _cleanup_(mem_freep) char *path = process_program(names[i], e);
        if (!path)
            return -e->code;
    }
    return 0;
}

int cluster_start(const char *dir, const struct json *plan, pid_t *ret_keeper, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/plan.json", dir);
    _cleanup_(mem_freep) char *text = json_print(plan, JSON_PRETTY, NULL);
    if (!path || !text)
        return err_set(e, RAIA_ERR_NOMEM, "the plan");
    _cleanup_(fd_closep) int owner = -1;
    int r = check_programs(e);
    if (r == 0)
        r = open_owner(plan, &owner, e);
    if (r == 0)
        r = make_folders(plan, dir, e);
    if (r == 0)
        r = io_write_file(path, text, strlen(text), 0600, 0, e);
    return r == 0 ? start_keeper(dir, owner, ret_keeper, e) : r;
}

int cluster_start_head(const char *name, const char *dir, const struct json *plan, const char *host,
                       const char *api_host, struct state_cluster *ret_c, struct raia_error *e)
{
    struct state_address a = {.host = host, .api_host = api_host};
    pid_t keeper;
    int r = state_make_secrets(dir, host, e);
    if (r == 0)
        r = cluster_start(dir, plan, &keeper, e);
    if (r == 0)
        r = wait_ready(name, dir, a, keeper, json_size(json_get(plan, "nodes")), ret_c, e);
    if (r < 0)
        (void)cluster_down(name, false, NULL);
    return r;
}

static int up_at(const struct manifest_cluster *c, const char *dir, int port, int dashboard,
                 struct state_cluster *ret_c, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *plan = NULL;
    /* What an earlier run of this cluster left, processes and logs, makes room for the new one. */
    (void)process_sweep(dir);
    int r = cluster_clear(dir, e);
    if (r == 0)
        r = plan_make(c, dir, port, dashboard, &plan, e);
    if (r == 0 && (json_set_int(plan, "port", port) < 0 ||
                   json_set_int(plan, "dashboard_port", dashboard) < 0))
        r = err_set(e, RAIA_ERR_NOMEM, "the plan");
    if (r == 0)
        r = io_mkdir_p(dir, 0700, e);
    return r < 0 ? r : cluster_start_head(c->name, dir, plan, PLAN_NODE_IP, PLAN_NODE_IP, ret_c, e);
}

int cluster_up(const struct manifest_cluster *c, struct state_cluster *ret_c, bool *ret_reused,
               struct raia_error *e)
{
    _cleanup_(mem_freep) char *dir = NULL;
    int r = state_dir(c->name, &dir, e);
    if (r < 0)
        return r;
    if (state_alive(dir, NULL)) {
        if (!same_nodes(dir, c))
            return err_set(e, RAIA_ERR_EXISTS,
                           "cluster '%s' runs already, with other nodes: `raia down %s` first",
                           c->name, c->name);
        *ret_reused = true;
        return state_open(c->name, ret_c, e);
    }
    int port = free_port(CLUSTER_GCS_PORT, "GCS");
    int dashboard = free_port(CLUSTER_DASHBOARD_PORT, "dashboard");
    r = up_at(c, dir, port, dashboard, ret_c, e);
    /* Another cluster that starts at the same time may have been faster. */
    if (r == -RAIA_ERR_UNAVAILABLE && ((port && !cluster_port_free(PLAN_NODE_IP, port)) ||
                                       (dashboard && !cluster_port_free(PLAN_NODE_IP, dashboard))))
        r = up_at(c, dir, 0, 0, ret_c, e);
    if (r < 0)
        return err_wrap(e, "cluster '%s'", c->name);
    *ret_reused = false;
    return 0;
}

/* What has meaning only while it runs; logs and the plan stay. */
static void sweep(const char *dir)
{
    static const char *const what[] = {"keeper.pid", "cluster.json", "join.json", "token", "tls"};
    for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
        _cleanup_(mem_freep) char *path = mem_printf("%s/%s", dir, what[i]);
        if (path)
            (void)io_remove_tree(path, NULL);
    }
}

static int end_cluster(const char *name, bool purge, const char *own, struct raia_error *e)
{
    _cleanup_(mem_freep) char *dir = NULL;
    int pid = 0, r = state_dir(name, &dir, e);
    if (r < 0)
        return r;
    if (access(dir, F_OK) < 0)
        return err_set(e, RAIA_ERR_NOT_FOUND, "there is no cluster '%s' on this machine", name);
    controller_end_all(dir, own);
    /* Killed, it takes its children with it: each has a parent-death signal. */
    if (state_alive(dir, &pid) && !process_end(pid, DOWN_MS))
        return err_set(e, RAIA_ERR_TIMEOUT, "the keeper, process %d, does not end", pid);
    (void)process_sweep(dir);
    sweep(dir);
    return purge ? io_remove_tree(dir, e) : 0;
}

int cluster_down(const char *name, bool purge, struct raia_error *e)
{
    return end_cluster(name, purge, NULL, e);
}

int cluster_down_from(const char *name, const char *own, struct raia_error *e)
{
    return end_cluster(name, false, own, e);
}
