/*
 * The real program against a model API server over HTTP: it waits for what is missing, leads, tells
 * how it is, and ends in order.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "http/http_client.h"
#include "http/http_server.h"
#include "kube/sim/model_server.h"

#define DEADLINE_S 120
#define WATCHES    32
#define LEASES     "/apis/coordination.k8s.io/v1/leases"
#define CRDS       "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

/* ---- the model behind HTTP, stepped by the test ---- */

static struct kube_model *model;
static struct http_server *server;
static struct {
    struct http_stream *stream;     /* to the operator */
    struct kube_model_watch *watch; /* of the model */
} watches[WATCHES];

static void on_any(struct http_exchange *x, void *arg)
{
    static const char *const names[] = {"watch",    "resourceVersion", "sendInitialEvents",
                                        "continue", "limit",           "labelSelector"};
    char target[1024];
    size_t len = 0, n = (size_t)snprintf(target, sizeof target, "%s?x=1", http_path(x));
    struct kube_model_answer a;
    (void)arg;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *v = http_query(x, names[i]);
        if (v) {
            _cleanup_(mem_freep) char *coded = http_escape(v);
            n += (size_t)snprintf(target + n, sizeof target - n, "&%s=%s", names[i], coded);
        }
    }
    const char *body = http_body(x, &len);
    struct kube_request rq = {.method = http_method(x),
                              .target = target,
                              .content_type = http_header_of(x, "Content-Type"),
                              .body = len ? body : NULL,
                              .body_len = len};
    kube_model_handle(model, &rq, clock_unix_ms(), &a);
    for (size_t i = 0; a.watch && i < WATCHES; i++) {
        if (watches[i].stream)
            continue;
        watches[i].watch = STEAL(a.watch);
        watches[i].stream = http_answer_stream(x, 200, "application/json", 1 << 20, NULL, NULL);
        kube_model_answer_done(&a);
        return;
    }
    http_answer(x, a.status, "application/json", a.body ? a.body : "", a.body ? strlen(a.body) : 0);
    kube_model_answer_done(&a);
}

static void step(void)
{
    struct pollfd p = {.fd = http_server_fd(server), .events = POLLIN};
    poll(&p, 1, 10);
    http_server_step(server);
    for (size_t i = 0; i < WATCHES; i++) {
        bool expired = false, failed = false;
        char *line;
        while (watches[i].stream && !failed &&
               (line = kube_model_watch_next(watches[i].watch, &expired))) {
            failed = http_stream_write(watches[i].stream, line, strlen(line)) < 0 || expired;
            mem_free(line);
        }
        if (failed) {
            http_stream_end(watches[i].stream);
            kube_model_watch_free(watches[i].watch);
            watches[i].stream = NULL;
        }
    }
}

static void tell(const char *method, const char *target, const char *body)
{
    struct kube_request rq = {.method = method,
                              .target = target,
                              .content_type = "application/merge-patch+json",
                              .body = body,
                              .body_len = strlen(body)};
    struct kube_model_answer a;
    kube_model_handle(model, &rq, clock_unix_ms(), &a);
    cr_assert_lt(a.status, 300, "%s %s: %s", method, target, a.body);
    kube_model_answer_done(&a);
}

static void add_definition(const char *name)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"metadata\":{\"name\":\"%s\","
             "\"annotations\":{\"ray.io/raia-schema-version\":\"1000\"}}}",
             name);
    tell("POST", CRDS, text);
    snprintf(text, sizeof text, CRDS "/%s/status", name);
    tell("PATCH", text,
         "{\"status\":{\"conditions\":[{\"type\":\"Established\",\"status\":\"True\"}]}}");
}

/* ---- the program ---- */

struct program {
    pid_t pid;         /* of it */
    int out;           /* its log */
    char log[1 << 16]; /* so far */
    size_t len;        /* bytes of it */
    char dir[64];      /* its kubeconfig's folder */
};

static void begin(struct program *p)
{
    static const struct http_route routes[] = {
        {.method = "GET", .pattern = "/{rest...}", .handle = on_any, .open = true},
        {.method = "POST", .pattern = "/{rest...}", .handle = on_any, .open = true},
        {.method = "PATCH", .pattern = "/{rest...}", .handle = on_any, .open = true},
        {.method = "DELETE", .pattern = "/{rest...}", .handle = on_any, .open = true}};
    struct http_server_options o = {0};
    char path[128], text[512];
    int fds[2];
    kube_model_new(&model);
    cr_assert_eq(http_server_new(&o, routes, 4, NULL, &server, NULL), 0);
    snprintf(p->dir, sizeof p->dir, "/tmp/raia-operator-XXXXXX");
    cr_assert_not_null(mkdtemp(p->dir));
    snprintf(path, sizeof path, "%s/kubeconfig", p->dir);
    int n = snprintf(text, sizeof text,
                     "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:%u'}}]\n"
                     "users: [{name: u, user: {}}]\n"
                     "contexts: [{name: x, context: {cluster: c, user: u, namespace: raia}}]\n"
                     "current-context: x\n",
                     http_server_port(server));
    cr_assert_eq(io_write_file(path, text, (size_t)n, 0600, 0, NULL), 0);
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    p->pid = fork();
    cr_assert_geq(p->pid, 0);
    if (p->pid == 0) {
        dup2(fds[1], 2);
        unsetenv("POD_NAMESPACE");
        execl(RAIA_OPERATOR_PROGRAM, "raia-operator", "--kubeconfig", path,
              "--metrics-addr=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0", NULL);
        _exit(127);
    }
    close(fds[1]);
    p->out = fds[0];
    cr_assert_eq(fcntl(p->out, F_SETFL, O_NONBLOCK), 0);
}

static void read_log(struct program *p)
{
    ssize_t n = read(p->out, p->log + p->len, sizeof p->log - 1 - p->len);
    if (n > 0)
        p->len += (size_t)n;
}

static void wait_log(struct program *p, const char *text)
{
    int64_t deadline = clock_now_ns() + DEADLINE_S * CLOCK_NS_PER_S;
    for (read_log(p); !strstr(p->log, text); read_log(p)) {
        cr_assert_lt(clock_now_ns(), deadline, "'%s' is not in the log:\n%s", text, p->log);
        step();
    }
}

static unsigned port_of(struct program *p, const char *name)
{
    wait_log(p, name);
    return (unsigned)strtoul(strstr(p->log, name) + strlen(name), NULL, 10);
}

/* A GET of the operator's, which is another process: no stepping is needed for it. */
static int look(unsigned port, const char *path, char *text, size_t size)
{
    char url[128];
    struct raia_error e = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    struct http_request rq = {.url = url, .timeout_ms = DEADLINE_S * 1000};
    _cleanup_(http_reply_done) struct http_reply rp = {0};
    cr_assert_eq(http_do(&rq, &rp, &e), 0, "%s", e.text);
    snprintf(text, size, "%s", rp.body ? rp.body : "");
    return rp.status;
}

static int ended(struct program *p)
{
    int64_t deadline = clock_now_ns() + DEADLINE_S * CLOCK_NS_PER_S;
    int status = 0;
    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        cr_assert_lt(clock_now_ns(), deadline, "it does not end:\n%s", p->log);
        step();
    }
    read_log(p);
    cr_assert(WIFEXITED(status), "it was killed by signal %d:\n%s", WTERMSIG(status), p->log);
    return WEXITSTATUS(status);
}

static void finish(struct program *p)
{
    close(p->out);
    (void)io_remove_tree(p->dir, NULL);
    for (size_t i = 0; i < WATCHES; i++)
        if (watches[i].stream) {
            http_stream_end(watches[i].stream);
            kube_model_watch_free(watches[i].watch);
        }
    http_server_free(server);
    kube_model_free(model);
}

static const char *holder(void)
{
    return json_str(json_at(kube_model_get(model, LEASES, "raia", "raia-operator-leader"),
                            "spec.holderIdentity"));
}

static void wait_ready(unsigned port)
{
    int64_t deadline = clock_now_ns() + DEADLINE_S * CLOCK_NS_PER_S;
    char text[256];
    while (look(port, "/readyz", text, sizeof text) != 200) {
        cr_assert_lt(clock_now_ns(), deadline, "not ready: %s", text);
        step();
    }
}

/* Without definitions it waits, alive and not ready, and says what to apply; then it leads, has
 * numbers, and gives the lease up when it is told to end. */
Test(daemon, life, .timeout = 300)
{
    static struct program p;
    static char text[1 << 18];
    begin(&p);
    unsigned health = port_of(&p, "health_port="), metrics = port_of(&p, "metrics_port=");
    wait_log(&p, "waiting for a resource definition");
    cr_assert(strstr(p.log, "name=rayclusters.ray.io") && strstr(p.log, "kubectl apply"));
    cr_assert_eq(look(health, "/healthz", text, sizeof text), 200);
    cr_assert_eq(look(health, "/readyz", text, sizeof text), 503);
    cr_assert(!holder());
    add_definition("rayclusters.ray.io");
    add_definition("rayjobs.ray.io");
    wait_log(&p, "holds the lease");
    cr_assert(holder() && holder()[0]);
    wait_ready(health);
    cr_assert_eq(look(metrics, "/metrics", text, sizeof text), 200);
    cr_assert(strstr(text, "leader_election_master_status{name=\"raia-operator-leader\"} 1\n"));
    cr_assert_eq(kill(p.pid, SIGTERM), 0);
    cr_assert_eq(ended(&p), 0, "%s", p.log);
    cr_assert(strstr(p.log, "stopped"));
    cr_assert_str_eq(holder(), "");
    finish(&p);
}

/* Whoever loses the lease ends, with a failure, for another one may act. */
Test(daemon, deposed, .timeout = 300)
{
    static struct program p;
    begin(&p);
    add_definition("rayclusters.ray.io");
    add_definition("rayjobs.ray.io");
    wait_log(&p, "holds the lease");
    tell("PATCH", "/apis/coordination.k8s.io/v1/namespaces/raia/leases/raia-operator-leader",
         "{\"spec\":{\"holderIdentity\":\"another\"}}");
    cr_assert_eq(ended(&p), 1, "%s", p.log);
    cr_assert(strstr(p.log, "the lease is lost"));
    cr_assert_str_eq(holder(), "another");
    finish(&p);
}
