/* Flags as KubeRay's manifests write them. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "pod/flags.h"

static struct raia_error e;

static int read_flags(struct pod_flags *f, const char *const *words)
{
    char *argv[32] = {(char *)(uintptr_t) "raia-pod"};
    int n = 1;

    for (; *words; words++)
        argv[n++] = (char *)(uintptr_t)*words;
    memset(f, 0, sizeof *f);
    return pod_flags_read(f, n, argv, &e);
}

#define FLAGS(f, ...) read_flags(f, (const char *const[]){__VA_ARGS__, NULL})

/* What the operator generates is read: both spellings of a flag, both of a value, and a shell's
 * quotes. */
Test(flags, generated)
{
    struct pod_flags f;

    cr_assert_eq(FLAGS(&f, "--head", "--num-cpus=2", "--num_gpus", "1", "--memory", "1073741824",
                       "--resources=\"{\\\"a\\\": 2, \\\"b c\\\": 0.5}\"", "--labels",
                       "{\"zone\": \"x\"}", "--dashboard-host=0.0.0.0",
                       "--metrics-export-port=8081", "--object-store-memory=2Gi", "--block=true",
                       "--port=7000"),
                 0, "%s", e.text);
    cr_assert(f.head && f.block);
    cr_assert_eq(f.num_cpus, 2);
    cr_assert_eq(f.memory, 1u << 30);
    cr_assert_eq(f.object_store_memory, 2ull << 30);
    cr_assert_eq(f.port, 7000);
    cr_assert_eq(f.dashboard_port, -1);
    cr_assert_eq(f.metrics_port, 8081);
    cr_assert_str_eq(f.dashboard_host, "0.0.0.0");
    double v = 0;
    cr_assert_eq(json_double(json_get(f.resources, "a"), &v), 0);
    cr_assert_eq(v, 2);
    cr_assert_eq(json_double(json_get(f.resources, "GPU"), &v), 0);
    cr_assert_eq(v, 1);
    cr_assert_str_eq(json_str(json_get(f.labels, "zone")), "x");
    cr_assert_eq(f.n_ignored, 0);
    pod_flags_done(&f);

    cr_assert_eq(FLAGS(&f, "--address=c-head-svc.ns.svc.cluster.local:6379",
                       "--labels=a=b,c=", "--num-cpus", "0"),
                 0);
    cr_assert_str_eq(f.address, "c-head-svc.ns.svc.cluster.local:6379");
    cr_assert_str_eq(json_str(json_get(f.labels, "a")), "b");
    cr_assert_str_eq(json_str(json_get(f.labels, "c")), "");
    cr_assert_eq(f.num_cpus, 0);
    pod_flags_done(&f);
}

/* Ray's other flags are named once each, whether they have values or not, and do not eat what follows. */
Test(flags, ignored)
{
    struct pod_flags f;

    cr_assert_eq(FLAGS(&f, "--no-monitor", "--head", "--dashboard-agent-listen-port=52365",
                       "--redis-password", "secret", "--system_reserved_cpu=1", "--made-up",
                       "--block", "--made-up"),
                 0, "%s", e.text);
    cr_assert(f.head && f.block);
    cr_assert_eq(f.n_ignored, 5);
    cr_assert_str_eq(f.ignored[0], "no-monitor");
    cr_assert_str_eq(f.ignored[2], "redis-password");
    cr_assert_str_eq(f.ignored[3], "system-reserved-cpu");
    cr_assert_str_eq(f.ignored[4], "made-up");
    pod_flags_done(&f);
}

/* What makes no sense is refused with the flag and the value, and nothing crashes. */
Test(flags, refused)
{
    static const char *const bad[] = {
        "--num-cpus=two",
        "--num-cpus=-1",
        "--port=65536",
        "--memory=lots",
        "--memory",
        "--resources={",
        "--resources=[1]",
        "--resources={\"a\":\"b\"}",
        "--labels=a",
        "--labels={\"a\":1}",
        "--metrics-export-port=x",
        "--head=perhaps",
        "head",
        "-v",
        "--",
        "--=1",
        "--num-gpus=",
        "--labels==b",
    };
    struct pod_flags f;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(FLAGS(&f, bad[i]), -RAIA_ERR_INVALID, "%s", bad[i]);
        cr_assert(strstr(e.text, "expected"), "%s", e.text);
        pod_flags_done(&f);
    }
    cr_assert_eq(FLAGS(&f, "--head", "--address=a:1"), -RAIA_ERR_INVALID);
    pod_flags_done(&f);
    pod_flags_done(&f);
}

/* One layer of quotes goes, and only if it is around the whole. */
Test(flags, unquote)
{
    static const char *const of[][2] = {
        {"\"{\\\"a\\\": 2}\"", "{\"a\": 2}"},
        {"'{\"a\": 2}'", "{\"a\": 2}"},
        {"{\"a\": 2}", "{\"a\": 2}"},
        {"\"a\"\"b\"", "\"a\"\"b\""},
        {"\"", "\""},
        {"", ""},
        {"\"\"", ""},
        {"'a\\b'", "a\\b"},
        {"\"a\\b\\\\\"", "a\\b\\"},
        {"\"a'", "\"a'"},
    };

    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        _cleanup_(mem_freep) char *got = pod_unquote(of[i][0]);
        cr_assert_str_eq(got, of[i][1]);
    }
}
