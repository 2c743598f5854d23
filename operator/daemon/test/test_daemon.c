/*
 * The real program against a model API server over HTTP: it waits for what is missing, leads, tells
 * how it is, and ends in order.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "http/http_client.h"
#include "kube/sim/model_http.h"

#define DEADLINE_S 120
#define LEASES     "/apis/coordination.k8s.io/v1/leases"
#define CRDS       "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

/* ---- the model behind HTTP, stepped by the test ---- */

static struct kube_model *model;
static struct kube_model_http *http;

static void step(void)
{
    kube_model_http_step(http);
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

static void serve(void)
{
    kube_model_new(&model);
    kube_model_http_new(model, NULL, &http);
}

static void begin(struct program *p)
{
    char path[128], text[512];
    int fds[2];
    *p = (struct program){0};
    snprintf(p->dir, sizeof p->dir, "/tmp/raia-operator-XXXXXX");
    cr_assert_not_null(mkdtemp(p->dir));
    snprintf(path, sizeof path, "%s/kubeconfig", p->dir);
    int n = snprintf(text, sizeof text,
                     "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:%u'}}]\n"
                     "users: [{name: u, user: {}}]\n"
                     "contexts: [{name: x, context: {cluster: c, user: u, namespace: raia}}]\n"
                     "current-context: x\n",
                     kube_model_http_port(http));
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

/* As waitpid has it. */
static int status_of(struct program *p)
{
    int64_t deadline = clock_now_ns() + DEADLINE_S * CLOCK_NS_PER_S;
    int status = 0;
    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        cr_assert_lt(clock_now_ns(), deadline, "it does not end:\n%s", p->log);
        step();
    }
    read_log(p);
    return status;
}

static int ended(struct program *p)
{
    int status = status_of(p);
    cr_assert(WIFEXITED(status), "it was killed by signal %d:\n%s", WTERMSIG(status), p->log);
    return WEXITSTATUS(status);
}

static void finish(struct program *p)
{
    close(p->out);
    (void)io_remove_tree(p->dir, NULL);
}

static void serve_no_more(void)
{
    kube_model_http_free(http);
    kube_model_free(model);
}

static const struct json *lease(void)
{
    return kube_model_get(model, LEASES, "raia", "raia-operator-leader");
}

static const char *holder(void)
{
    return json_str(json_at(lease(), "spec.holderIdentity"));
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
    serve();
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
    serve_no_more();
}

/* Whoever loses the lease ends, with a failure, for another one may act. */
Test(daemon, deposed, .timeout = 300)
{
    static struct program p;
    serve();
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
    serve_no_more();
}

static int64_t transitions(void)
{
    int64_t n = -1;
    (void)json_int(json_at(lease(), "spec.leaseTransitions"), &n);
    return n;
}

/* A container that is killed and started again in the same pod goes on under its own Lease, which
 * has not changed hands; the same program elsewhere is another one. */
Test(daemon, restarted, .timeout = 300)
{
    static struct program p;
    _cleanup_(mem_freep) char *before = NULL;
    serve();
    add_definition("rayclusters.ray.io");
    add_definition("rayjobs.ray.io");
    cr_assert(setenv("POD_NAME", "op-1", 1) == 0 && setenv("POD_UID", "u-1", 1) == 0);
    for (int i = 0; i < 2; i++) {
        begin(&p);
        wait_log(&p, "holds the lease");
        cr_assert_str_eq(holder(), "op-1_u-1");
        cr_assert_eq(transitions(), 0, "it was not taken as its own");
        cr_assert_eq(kill(p.pid, i ? SIGTERM : SIGKILL), 0);
        cr_assert_eq(status_of(&p), i ? 0 : SIGKILL);
        finish(&p);
    }
    cr_assert_eq(unsetenv("POD_UID"), 0);
    for (int i = 0; i < 2; i++) {
        begin(&p);
        wait_log(&p, "holds the lease");
        cr_assert_eq(transitions(), i + 1);
        cr_assert(!before || strcmp(before, holder()) != 0, "%s comes again", before);
        mem_free(before);
        before = mem_strdup(holder());
        cr_assert_eq(kill(p.pid, SIGTERM), 0);
        cr_assert_eq(ended(&p), 0, "%s", p.log);
        cr_assert_str_eq(holder(), "");
        finish(&p);
    }
    serve_no_more();
}
