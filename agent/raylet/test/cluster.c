/*
 * Starting and stopping the test's cluster.
 */
#include "cluster.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "control/control.h"

#define START_MS 30000

const char *cluster_path(const struct cluster_t *c, int node, const char *file)
{
    static char path[4][160];
    static int turn;
    char *p = path[turn++ % 4];

    snprintf(p, sizeof path[0], "%s/n%d/%s", c->dir, node, file);
    return p;
}

void cluster_start(struct cluster_t *c)
{
    memset(c, 0, sizeof *c);
    snprintf(c->dir, sizeof c->dir, "/tmp/raia-test-XXXXXX");
    cr_assert_not_null(mkdtemp(c->dir));
}

static void exec_agent(const struct cluster_t *c, int node, const char *flags, const char *gcs)
{
    char name[32], dir[128], all[512], address[64];
    char *argv[64];
    int n = 0, out;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(name, sizeof name, "--node-name=n%d", node);
    snprintf(dir, sizeof dir, "--session-dir=%s/n%d", c->dir, node);
    snprintf(all, sizeof all, "%s", flags);
    argv[n++] = RAIA_AGENT;
    argv[n++] = name;
    argv[n++] = dir;
    argv[n++] = "--object-store-memory=64MiB";
    if (node == 0) {
        argv[n++] = "--head";
        argv[n++] = "--port=0";
        argv[n++] = "--dashboard-port=0";
        argv[n++] = "--storage=memory";
    } else {
        snprintf(address, sizeof address, "--gcs-address=%s", gcs);
        argv[n++] = address;
    }
    for (char *p = strtok(all, " "); p && n < 63; p = strtok(NULL, " "))
        argv[n++] = p;
    argv[n] = NULL;
    out = open("/dev/null", O_RDWR);
    dup2(out, 1);
    execv(RAIA_AGENT, argv);
    _exit(127);
}

/* The GCS's address, once the head has told it. */
static void gcs_address(const struct cluster_t *c, char *to, size_t room)
{
    int64_t deadline = clock_deadline_ms(START_MS);
    struct json *j = NULL;
    int64_t port = 0;

    while (json_load(cluster_path(c, 0, "gcs.json"), NULL, &j, NULL) < 0) {
        cr_assert_not(clock_expired(deadline, clock_now_ns()), "the GCS did not come up");
        usleep(20000);
    }
    cr_assert_eq(json_get_int(j, "port", &port, NULL), 0);
    json_free(j);
    snprintf(to, room, "127.0.0.1:%d", (int)port);
}

int cluster_add(struct cluster_t *c, const char *flags)
{
    int node = c->n++;
    char gcs[64] = "";

    if (node > 0)
        gcs_address(c, gcs, sizeof gcs);
    c->agent[node] = fork();
    cr_assert_neq(c->agent[node], -1);
    if (c->agent[node] == 0)
        exec_agent(c, node, flags, gcs);
    return node;
}

void cluster_stop(struct cluster_t *c)
{
    for (int i = c->n - 1; i >= 0; i--)
        if (c->agent[i] > 0)
            kill(c->agent[i], SIGTERM);
    for (int i = c->n - 1; i >= 0; i--)
        if (c->agent[i] > 0)
            waitpid(c->agent[i], NULL, 0);
    if (!getenv("KEEP"))
        (void)io_remove_tree(c->dir, NULL);
}

struct client *cluster_driver(const struct cluster_t *c, int node)
{
    static char *const argv[] = {"--worker", NULL};
    int64_t deadline = clock_deadline_ms(START_MS);
    struct client *k = NULL;
    char text[512];
    int exe = open(FAKE_WORKER, O_RDONLY | O_CLOEXEC);

    cr_assert_geq(exe, 0);
    while (!k) {
        k = client_connect(cluster_path(c, node, "raylet.sock"), NULL, exe, argv, 42, text,
                           sizeof text);
        cr_assert(k || !clock_expired(deadline, clock_now_ns()), "no driver on node %d: %s", node,
                  text);
        if (!k)
            usleep(20000);
    }
    close(exe);
    return k;
}

struct json *cluster_status(const struct cluster_t *c, int node)
{
    struct json *request = json_new_object(), *reply = NULL;

    json_set_str(request, "cmd", "status");
    (void)control_call(cluster_path(c, node, "raylet.ctl"), request, 5000, &reply, NULL);
    json_free(request);
    return reply;
}

bool cluster_until(const struct cluster_t *c, int node, const char *path, double value)
{
    int64_t deadline = clock_deadline_ms(START_MS);

    while (!clock_expired(deadline, clock_now_ns())) {
        struct json *s = cluster_status(c, node);
        double v = -1;
        int r = s ? json_get_double(s, path, &v, NULL) : -1;
        json_free(s);
        if (r == 0 && v > value - 1e-9 && v < value + 1e-9)
            return true;
        usleep(20000);
    }
    return false;
}

pid_t cluster_raylet(const struct cluster_t *c, int node)
{
    struct json *s = cluster_status(c, node);
    int64_t pid = 0;

    (void)json_get_int(s, "pid", &pid, NULL);
    json_free(s);
    return (pid_t)pid;
}
