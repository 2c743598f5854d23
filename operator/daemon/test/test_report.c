/*
 * Numbers, addresses, the proxy's paths, and the look at resource definitions.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "daemon/calls.h"
#include "daemon/report.h"
#include "daemon/schema.h"
#include "daemon/web.h"

static struct json *parse(const char *text)
{
    struct json *o = NULL;
    cr_assert_eq(json_parse(text, strlen(text), NULL, &o, NULL), 0);
    return o;
}

static const struct kube_object object = {.ns = "n", .name = "a", .uid = "u"};

/* A cluster has its three lines, with the time from its creation to the first time all was ready. */
Test(report, cluster)
{
    struct buf b;
    struct json *o =
        parse("{\"metadata\":{\"creationTimestamp\":\"2026-11-22T10:00:00Z\","
              "\"labels\":{\"ray.io/originated-from-crd\":\"RayJob\"}},"
              "\"status\":{\"conditions\":[{\"type\":\"RayClusterProvisioned\","
              "\"status\":\"True\",\"lastTransitionTime\":\"2026-11-22T10:00:42Z\"}]}}");
    buf_init(&b, 4096);
    report_put_cluster(&b, &object, o);
    cr_assert_str_eq(
        buf_cstr(&b),
        "kuberay_cluster_info{name=\"a\",namespace=\"n\",uid=\"u\",owner_kind=\"RayJob\"}"
        " 1\n"
        "kuberay_cluster_condition_provisioned{name=\"a\",namespace=\"n\",uid=\"u\","
        "condition=\"true\"} 1\n"
        "kuberay_cluster_provisioned_duration_seconds{name=\"a\",namespace=\"n\","
        "uid=\"u\"} 42\n");
    json_free(o);
    buf_fini(&b);
}

/* A failed job's last failure is no retry; one that runs has no duration. */
Test(report, job)
{
    struct buf b;
    struct json *o = parse("{\"status\":{\"jobDeploymentStatus\":\"Failed\",\"failed\":3,"
                           "\"startTime\":\"2026-11-22T10:00:00Z\","
                           "\"endTime\":\"2026-11-22T10:01:00Z\"}}");
    struct json *running = parse("{\"status\":{\"jobDeploymentStatus\":\"Running\","
                                 "\"startTime\":\"2026-11-22T10:00:00Z\"}}");
    buf_init(&b, 4096);
    report_put_job(&b, &object, o);
    cr_assert(strstr(buf_cstr(&b),
                     "kuberay_job_execution_duration_seconds{name=\"a\",namespace=\"n\",uid=\"u\","
                     "job_deployment_status=\"Failed\",retry_count=\"2\"} 60\n"));
    buf_reset(&b);
    report_put_job(&b, &object, running);
    cr_assert(strstr(buf_cstr(&b), "deployment_status=\"Running\"} 1\n"));
    cr_assert_null(strstr(buf_cstr(&b), "duration"));
    json_free(o);
    json_free(running);
    buf_fini(&b);
}

/* Addresses are HOST:PORT, :PORT, [V6]:PORT, or 0. */
Test(web, address)
{
    char host[64];
    unsigned port = 0;
    bool on = false;
    cr_assert_eq(web_address(":8080", host, sizeof host, &port, &on, NULL), 0);
    cr_assert(on && port == 8080 && strcmp(host, "0.0.0.0") == 0);
    cr_assert_eq(web_address("[::1]:9", host, sizeof host, &port, &on, NULL), 0);
    cr_assert(on && port == 9 && strcmp(host, "::1") == 0);
    cr_assert_eq(web_address("0", host, sizeof host, &port, &on, NULL), 0);
    cr_assert(!on);
    cr_assert_lt(web_address("8080", host, sizeof host, &port, &on, NULL), 0);
    cr_assert_lt(web_address(":99999", host, sizeof host, &port, &on, NULL), 0);
    cr_assert_lt(web_address(":80x", host, sizeof host, &port, &on, NULL), 0);
}

/* A service's URL becomes the API server's path to it; what is none is refused. */
Test(calls, proxy_path)
{
    _cleanup_(mem_freep) char *path =
        calls_proxy_path("http://demo-head-svc.ns1.svc.cluster.local:8265/api/jobs/a?wait=1");
    cr_assert_str_eq(path, "/api/v1/namespaces/ns1/services/demo-head-svc:8265/proxy/api/jobs/"
                           "a?wait=1");
    cr_assert_null(calls_proxy_path("https://a.b.svc:1/"));
    cr_assert_null(calls_proxy_path("http://127.0.0.1:8265"));
    cr_assert_null(calls_proxy_path("http://a.b.svc/x:1"));
    cr_assert_null(calls_proxy_path("http://.b.svc:1/"));
}

/* A definition must be Raia's, new enough, and established. */
Test(schema, check)
{
    struct json *theirs = parse("{\"metadata\":{},\"status\":{\"conditions\":[{\"type\":"
                                "\"Established\",\"status\":\"True\"}]}}");
    struct json *old =
        parse("{\"metadata\":{\"annotations\":{\"ray.io/raia-schema-version\":\"0\"}}}");
    struct json *fresh =
        parse("{\"metadata\":{\"annotations\":{\"ray.io/raia-schema-version\":\"99\"}}}");
    struct json *good =
        parse("{\"metadata\":{\"annotations\":{\"ray.io/raia-schema-version\":\"99\"}},"
              "\"status\":{\"conditions\":[{\"type\":\"Established\","
              "\"status\":\"True\"}]}}");
    cr_assert(strstr(schema_check(theirs), "another project"));
    cr_assert(strstr(schema_check(old), "older"));
    cr_assert(strstr(schema_check(fresh), "established"));
    cr_assert_null(schema_check(good));
    json_free(theirs);
    json_free(old);
    json_free(fresh);
    json_free(good);
}
