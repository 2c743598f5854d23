/*
 * `ray` in Ray's spelling (ray.h).
 */
#include "cli/ray.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/remote.h"
#include "cli/verb.h"
#include "http/http_client.h"

#define RAY_VERSION "2.60.0" /* whose APIs these are */
#define SESSION_DIR "/tmp/ray/session_latest"
#define READY_MS    60000 /* for a node that is started in the background */
#define STOP_MS     15000 /* for a node to end */
#define LOOK_MS     100
#define EXIT_NO     127 /* raia-pod is not there */

/* ---- in a pod */

static bool in_pod(void)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *name = getenv("RAIA_NODE_NAME");

    return (host && *host) || (name && *name);
}

static const char *session_dir(void)
{
    const char *dir = getenv("RAIA_SESSION_DIR");

    return dir && *dir ? dir : SESSION_DIR;
}

/* The value of --NAME or --NAME=VALUE; "" for a switch; NULL: not there. */
static const char *flag(int argc, char **argv, const char *name)
{
    size_t n = strlen(name);

    for (int i = 1; i < argc; i++) {
        if (!str_starts_with(argv[i], "--") || strncmp(argv[i] + 2, name, n))
            continue;
        if (argv[i][2 + n] == '=')
            return argv[i] + 3 + n;
        if (!argv[i][2 + n])
            return i + 1 < argc && !str_starts_with(argv[i + 1], "--") ? argv[i + 1] : "";
    }
    return NULL;
}

static int become_pod(char **argv)
{
    struct raia_error e = {0};
    _cleanup_(mem_freep) char *path = proc_beside("raia-pod", &e);

    if (!path) {
        fprintf(stderr, "ray start: %s\n", e.text);
        return EXIT_NO;
    }
    argv[0] = path;
    execv(path, argv);
    fprintf(stderr, "ray start: cannot execute raia-pod: %s\n", strerror(errno));
    return EXIT_NO;
}

static bool answers(const char *url)
{
    struct http_request rq = {.url = url, .timeout_ms = 2000};
    struct http_reply rp = {0};
    bool good = http_do(&rq, &rp, NULL) == 0 && rp.status == 200;

    http_reply_done(&rp);
    return good;
}

/* Its output goes where the logs are, if that can be. */
static void leave_terminal(void)
{
    _cleanup_(mem_freep) char *logs = mem_printf("%s/logs", session_dir());
    _cleanup_(mem_freep) char *path = mem_printf("%s/logs/raia-pod.out", session_dir());
    int fd = -1;

    (void)setsid();
    if (logs && path && io_mkdir_p(logs, 0755, NULL) == 0)
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
    if (fd >= 0) {
        (void)dup2(fd, 1);
        (void)dup2(fd, 2);
        close(fd);
    }
}

/* Without --block: the node goes on when this returns. */
static int start_behind(int argc, char **argv)
{
    const char *port = flag(argc, argv, "metrics-export-port");
    _cleanup_(mem_freep) char *url =
        mem_printf("http://127.0.0.1:%s/healthz", port && *port ? port : "8080");
    int64_t until = clock_deadline_ms(READY_MS);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        leave_terminal();
        _exit(become_pod(argv));
    }
    while (pid > 0 && url && clock_now_ns() < until) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            break;
        if (answers(url)) {
            printf("Ray runtime started.\n");
            return 0;
        }
        poll(NULL, 0, LOOK_MS);
    }
    fprintf(stderr, "ray start: the node has not joined its cluster: see %s/logs\n", session_dir());
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

static int stop_pod(void)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/agent.pid", session_dir());
    _cleanup_(mem_freep) char *text = NULL;
    int64_t until = clock_deadline_ms(STOP_MS), pid = 0;

    if (path && io_read_file(path, 64, &text, NULL, NULL) == 0) {
        text[strcspn(text, "\n")] = '\0';
        (void)str_to_i64(text, &pid);
    }
    if (pid <= 0 || kill((pid_t)pid, SIGTERM) < 0) {
        fprintf(stderr, "ray stop: nothing runs here\n");
        return 0;
    }
    while (kill((pid_t)pid, 0) == 0 && clock_now_ns() < until)
        poll(NULL, 0, LOOK_MS);
    return kill((pid_t)pid, 0) == 0;
}

/* ---- verbs */

static int health_check(int argc, char **argv)
{
    const char *address = flag(argc, argv, "address");
    _cleanup_(state_cluster_done) struct state_cluster c = {0};
    struct raia_error e = {0};
    _cleanup_(mem_freep) char *url = NULL;

    if (!address || !*address)
        address = remote_from_env();
    if ((address ? remote_open(address, &c, &e) : state_open(NULL, &c, &e)) < 0)
        return verb_fail("health-check", &e);
    url = mem_printf("%s/healthz", c.api_url);
    if (url && answers(url))
        return 0;
    fprintf(stderr, "ray health-check: nobody serves at %s\n", c.api_url);
    return 1;
}

bool ray_run(int argc, char **argv, int *ret_status)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (!strcmp(verb, "--version") || !strcmp(verb, "-v")) {
        printf("ray, version " RAY_VERSION "\n");
        *ret_status = 0;
        return true;
    }
    if (!strcmp(verb, "health-check")) {
        *ret_status = health_check(argc - 1, argv + 1);
        return true;
    }
    if (!in_pod())
        return false;
    if (!strcmp(verb, "start")) {
        const char *block = flag(argc - 1, argv + 1, "block");
        bool stay = block && strcmp(block, "false");
        *ret_status = stay ? become_pod(argv + 1) : start_behind(argc - 1, argv + 1);
        return true;
    }
    if (!strcmp(verb, "stop")) {
        *ret_status = stop_pod();
        return true;
    }
    return false;
}
