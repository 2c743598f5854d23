/*
 * The real raia-keeper with real agents, GCS and raylets: what it replaces, and that nothing stays.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "json/json.h"

#define WAIT_MS 60000 /* for what must happen; far beyond what it takes */
#define STEP_MS 10

extern char **environ;

static char dir[64]; /* the state folder */
static pid_t keeper; /* raia-keeper */

static void write_plan(void)
{
    char text[2048], path[128];
    int n = snprintf(text, sizeof text, "{\"nodes\":[");
    static const char *const names[] = {"head", "w-0"};
    for (int i = 0; i < 2; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "%s{\"name\":\"%s\",\"head\":%s,\"argv\":[\"--node-name=%s\","
                      "\"--session-dir=%s/nodes/%s\",\"--num-cpus=1\",\"--memory=100000000\""
                      "%s]}",
                      i ? "," : "", names[i], i ? "false" : "true", names[i], dir, names[i],
                      i ? "" : ",\"--head\",\"--port=0\",\"--dashboard-port=0\"");
        snprintf(path, sizeof path, "%s/nodes/%s/logs", dir, names[i]);
        cr_assert(io_mkdir_p(path, 0700, NULL) == 0);
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "]}");
    snprintf(path, sizeof path, "%s/plan.json", dir);
    cr_assert(io_write_file(path, text, (size_t)n, 0600, 0, NULL) == 0);
}

static pid_t start_keeper(void)
{
    char log[96], *argv[] = {"raia-keeper", dir, NULL};
    posix_spawn_file_actions_t fa;
    pid_t pid;
    snprintf(log, sizeof log, "%s/keeper.log", dir);
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&fa, 1, 2);
    cr_assert(posix_spawn(&pid, RAIA_KEEPER, &fa, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&fa);
    return pid;
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/raia-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    write_plan();
    cr_assert(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    keeper = start_keeper();
}

/* The pids of this test's processes: their command line names its folder. `with` (or NULL) must be
 * in it too. */
static size_t processes(const char *with, pid_t *pids, size_t max)
{
    size_t n = 0;
    char want[96];
    snprintf(want, sizeof want, "--session-dir=%s/", dir);
    DIR *d = opendir("/proc");
    for (struct dirent *it; d && (it = readdir(d));) {
        char path[300], *text = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "/proc/%s/cmdline", it->d_name);
        if (it->d_name[0] < '1' || it->d_name[0] > '9' ||
            io_read_file(path, 1 << 20, &text, &size, NULL) < 0)
            continue;
        for (size_t i = 0; i + 1 < size; i++)
            if (!text[i])
                text[i] = ' ';
        if (strstr(text, want) && (!with || strstr(text, with)) && n < max)
            pids[n++] = (pid_t)strtol(it->d_name, NULL, 10);
        mem_free(text);
    }
    if (d)
        closedir(d);
    return n;
}

static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static bool all_gone(void)
{
    pid_t pids[64];
    for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
        reap();
        if (processes(NULL, pids, 64) == 0)
            return true;
        poll(NULL, 0, STEP_MS);
    }
    return false;
}

static void cleanup(void)
{
    if (keeper > 0)
        kill(keeper, SIGKILL);
    cr_assert(all_gone());
    cr_assert(io_remove_tree(dir, NULL) == 0);
}

TestSuite(keeper, .init = setup, .fini = cleanup, .timeout = 300);

/* The ports of the head's GCS, once one other than `not` serves; its pid. */
static int gcs(int not, int64_t *port, int64_t *dashboard)
{
    char path[128];
    snprintf(path, sizeof path, "%s/nodes/head/gcs.json", dir);
    for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
        struct json *root = NULL;
        int64_t pid = 0;
        if (json_load(path, NULL, &root, NULL) == 0 && json_get_int(root, "pid", &pid, NULL) == 0 &&
            pid != not &&kill((pid_t)pid, 0) == 0 && json_get_int(root, "port", port, NULL) == 0 &&
            json_get_int(root, "dashboard_port", dashboard, NULL) == 0) {
            json_free(root);
            return (int)pid;
        }
        json_free(root);
        poll(NULL, 0, STEP_MS);
    }
    cr_assert_fail("the GCS does not serve");
    return 0;
}

/* The only process that has all of this in its command line, and is not `not`. */
static pid_t one(const char *program_and_node, pid_t not )
{
    for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
        pid_t pids[8];
        size_t n = processes(program_and_node, pids, 8);
        if (n == 1 && pids[0] != not )
            return pids[0];
        poll(NULL, 0, STEP_MS);
    }
    cr_assert_fail("no '%s'", program_and_node);
    return 0;
}

/* Waits until both raylets have joined: "joined the cluster" is in their logs `times` times. */
static void joined(const char *node, int times)
{
    char path[128];
    snprintf(path, sizeof path, "%s/nodes/%s/logs/raylet.log", dir, node);
    for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
        char *text = NULL;
        int n = 0;
        if (io_read_file(path, 1 << 24, &text, NULL, NULL) == 0)
            for (const char *p = text; (p = strstr(p, "joined the cluster")); p++)
                n++;
        mem_free(text);
        if (n >= times)
            return;
        poll(NULL, 0, STEP_MS);
    }
    cr_assert_fail("'%s' has not joined %d times", node, times);
}

#define AGENT(node)  "raia-agent --node-name=" node
#define RAYLET(node) "raia-raylet --node-name=" node

/* A killed supervisor is replaced with all its node, and the head keeps its ports. */
Test(keeper, replaces_a_killed_supervisor)
{
    int64_t port, dashboard, port2, dashboard2;
    int pid = gcs(0, &port, &dashboard);
    joined("head", 1);
    joined("w-0", 1);
    pid_t head = one(AGENT("head"), 0), raylet = one(RAYLET("head"), 0);
    kill(head, SIGKILL);
    one(AGENT("head"), head);
    gcs(pid, &port2, &dashboard2);
    cr_assert(port == port2 && dashboard == dashboard2);
    joined("head", 2);
    cr_assert(one(RAYLET("head"), raylet) != raylet);

    pid_t worker = one(AGENT("w-0"), 0);
    kill(worker, SIGKILL);
    one(AGENT("w-0"), worker);
    joined("w-0", 2);
}

/* SIGTERM ends every process, with status 0. */
Test(keeper, ends_in_order)
{
    int64_t port, dashboard;
    int status;
    gcs(0, &port, &dashboard);
    joined("w-0", 1);
    kill(keeper, SIGTERM);
    cr_assert(waitpid(keeper, &status, 0) == keeper);
    keeper = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    pid_t pids[8];
    cr_assert_eq(processes(NULL, pids, 8), 0);
}

/* kill -9 of the keeper takes everything with it. */
Test(keeper, its_death_is_the_clusters)
{
    int64_t port, dashboard;
    gcs(0, &port, &dashboard);
    joined("w-0", 1);
    kill(keeper, SIGKILL);
    cr_assert(waitpid(keeper, NULL, 0) == keeper);
    keeper = 0;
    cr_assert(all_gone());
}

/* A second keeper of the same folder ends at once, and the first goes on. */
Test(keeper, one_for_each_folder)
{
    int64_t port, dashboard;
    int status;
    int pid = gcs(0, &port, &dashboard);
    pid_t second = start_keeper();
    cr_assert(waitpid(second, &status, 0) == second);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    cr_assert(kill(pid, 0) == 0 && kill(keeper, 0) == 0);
}
