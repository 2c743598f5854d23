/* What raia-agent is told. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "pod/plan.h"

static struct raia_error e;
static struct pod_flags flags;
static struct pod_plan plan;

static int make(const char *const *words, const char *const *env)
{
    static const struct pod_facts facts = {
        .hostname = "pod-1", .ip = "10.1.2.3", .agent = "/opt/raia/bin/raia-agent"};
    char *argv[32] = {(char *)(uintptr_t) "raia-pod"}, *vars[32] = {0};
    int n = 1;

    pod_flags_done(&flags);
    pod_plan_done(&plan);
    for (; *words; words++)
        argv[n++] = (char *)(uintptr_t)*words;
    for (int i = 0; env[i]; i++)
        vars[i] = (char *)(uintptr_t)env[i];
    int r = pod_flags_read(&flags, n, argv, &e);
    return r < 0 ? r : pod_plan_make(&flags, vars, &facts, &plan, &e);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool has(const char *word)
{
    for (size_t i = 0; i < plan.argc; i++)
        if (!strcmp(plan.argv[i], word))
            return true;
    return false;
}

static bool has_env(const char *prefix)
{
    for (char **v = plan.env; *v; v++)
        if (!strncmp(*v, prefix, strlen(prefix)))
            return true;
    return false;
}

static void done(void)
{
    pod_flags_done(&flags);
    pod_plan_done(&plan);
}

TestSuite(plan, .fini = done);

/* A head gets its ports, the API on every address, the token by a file and never by a word. */
Test(plan, head)
{
    cr_assert_eq(make(WORDS("--head", "--num-cpus=1.5", "--labels=a=b"),
                      WORDS("RAIA_NODE_NAME=c-head-x", "RAIA_NODE_IP=10.9.9.9",
                            "RAIA_TLS_DIR=/etc/raia/tls", "RAY_AUTH_MODE=token",
                            "RAY_AUTH_TOKEN=tok+en/=", "RAIA_STORAGE_PATH=/data/gcs.db",
                            "RAIA_PORT=tcp://10.96.0.7:80", "RAIA_SERVICE_HOST=10.96.0.7",
                            "RAY_NODE_TYPE_NAME=headgroup", "PATH=/bin")),
                 0, "%s", e.text);
    cr_assert(has("--head") && has("--node-name=c-head-x") && has("--node-ip=10.9.9.9"));
    cr_assert(has("--port=6379") && has("--dashboard-host=0.0.0.0"));
    cr_assert(has("--dashboard-port=8265") && has("--metrics-port=8080"));
    cr_assert(has("--session-dir=/tmp/ray/session_latest") && has("--tls-dir=/etc/raia/tls"));
    cr_assert(has("--token-file=/tmp/ray/session_latest/token") && has("--num-cpus=1.5"));
    cr_assert(has("--labels={\"a\":\"b\",\"ray.io/node-group\":\"headgroup\"}"));
    cr_assert_str_eq(plan.token, "tok+en/=");
    cr_assert_str_eq(plan.storage_dir, "/data/");
    for (size_t i = 0; i < plan.argc; i++)
        cr_assert_not(strstr(plan.argv[i], "tok+en"), "%s", plan.argv[i]);
    cr_assert(has_env("RAIA_STORAGE_PATH=") && has_env("PATH=") && has_env("RAIA_SERVICE_HOST"));
    cr_assert_not(has_env("RAIA_PORT="), "a service's variable is no setting");
    cr_assert_not(has_env("RAIA_TLS_DIR="));
}

/* A worker finds its head in the flag, in our variable, in Ray's, in this order. */
Test(plan, worker)
{
    static const char tls[] = "RAIA_TLS_DIR=/t";

    cr_assert_eq(make(WORDS("--address=a:1"), WORDS(tls, "RAIA_GCS_ADDRESS=b:2")), 0, "%s", e.text);
    cr_assert(has("--gcs-address=a:1") && has("--node-name=pod-1") && has("--node-ip=10.1.2.3"));
    cr_assert_not(has("--head"));
    cr_assert_not(has_env("RAIA_GCS_ADDRESS="));
    cr_assert_eq(make(WORDS(NULL), WORDS(tls, "RAIA_GCS_ADDRESS=b:2", "RAY_ADDRESS=c:3")), 0);
    cr_assert(has("--gcs-address=b:2"));
    cr_assert_eq(make(WORDS(NULL), WORDS(tls, "RAY_ADDRESS=c:3", "FQ_RAY_IP=d")), 0);
    cr_assert(has("--gcs-address=c:3"));
    cr_assert_eq(make(WORDS(NULL), WORDS(tls, "FQ_RAY_IP=d.svc", "RAY_PORT=6380")), 0);
    cr_assert(has("--gcs-address=d.svc:6380"));
    cr_assert_eq(make(WORDS(NULL), WORDS(tls)), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "RAIA_GCS_ADDRESS"));
    cr_assert_eq(make(WORDS("--address=a:1"), WORDS("A=b")), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "RAIA_TLS_DIR"));
}

/* Without certificates a head is alone; without a token the API is closed unless it is said to be open. */
Test(plan, closed_by_default)
{
    cr_assert_eq(make(WORDS("--head"), WORDS("RAIA_NODE_IP=10.9.9.9")), 0);
    cr_assert(has("--node-ip=127.0.0.1"));
    cr_assert(has("--token-file=/tmp/ray/session_latest/token"));
    cr_assert_null(plan.token);
    cr_assert_eq(make(WORDS("--head"), WORDS("RAY_AUTH_MODE=disabled", "RAY_AUTH_TOKEN=x")), 0);
    cr_assert(plan.open && !plan.token);
    cr_assert_not(has("--token-file=/tmp/ray/session_latest/token"));
    cr_assert_eq(make(WORDS("--head"), WORDS("RAY_AUTH_MODE=maybe")), -RAIA_ERR_INVALID);
    cr_assert_eq(make(WORDS("--head"), WORDS("RAY_AUTH_TOKEN=a\nb")), -RAIA_ERR_INVALID);
    cr_assert_not(strstr(e.text, "a\nb"));
    cr_assert_eq(make(WORDS("--head"), WORDS("RAIA_SESSION_DIR=x")), -RAIA_ERR_INVALID);
    cr_assert_eq(make(WORDS("--head"), WORDS("RAIA_STORAGE_PATH=gcs.db")), -RAIA_ERR_INVALID);
}
