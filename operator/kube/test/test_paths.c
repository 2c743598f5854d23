/*
 * Paths, statuses and times.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/wall_time.h"

static void path_is(struct kube_target t, const char *want)
{
    char *path = kube_path(&t);
    cr_assert_str_eq(path, want);
    mem_free(path);
}

/* Paths are built for every scope, and whatever is in a name or a selector stays in its place. */
Test(paths, built)
{
    static const struct kube_resource rc = {"ray.io", "v1", "rayclusters", "RayCluster", false};
    const struct kube_param q[] = {
        {"labelSelector", "a in (b,c),!d"}, {"limit", NULL}, {"continue", "x/y=&"}};
    path_is((struct kube_target){.resource = &kube_pods}, "/api/v1/pods");
    path_is((struct kube_target){.resource = &kube_nodes, .ns = "n", .name = "a"},
            "/api/v1/nodes/a");
    path_is((struct kube_target){.resource = &rc, .ns = "n", .name = "a", .subresource = "status"},
            "/apis/ray.io/v1/namespaces/n/rayclusters/a/status");
    path_is((struct kube_target){.resource = &kube_pods, .ns = "../x", .name = "a?b#c"},
            "/api/v1/namespaces/..%2Fx/pods/a%3Fb%23c");
    path_is((struct kube_target){.resource = &kube_pods, .params = q, .n_params = 3},
            "/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29%2C%21d&continue=x%2Fy%3D%26");
    char name[400];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    char *path = kube_path(&(struct kube_target){.resource = &rc, .ns = name, .name = name});
    cr_assert_eq(strlen(path), strlen("/apis/ray.io/v1/namespaces//rayclusters/") + 2 * 399);
    mem_free(path);
}

static struct kube_error error_of(int status, const char *body, int retry_after)
{
    struct kube_error e = {0};
    int r = kube_error_from(status, body, body ? strlen(body) : 0, retry_after, &e);
    cr_assert_eq(r < 0, status >= 300);
    cr_assert_eq(r, -e.base.code);
    return e;
}

/* Each reason of the API has its own, whatever the status says; causes name the fields. */
Test(status, reasons)
{
    struct kube_error e = error_of(200, "{}", 0);
    cr_assert_eq(e.reason, KUBE_OK);
    e = error_of(409, "{\"reason\":\"AlreadyExists\",\"message\":\"pods \\\"a\\\" exists\"}", 0);
    cr_assert_eq(e.reason, KUBE_ALREADY_EXISTS);
    cr_assert_eq(e.base.code, RAIA_ERR_EXISTS);
    cr_assert_str_eq(e.base.text, "pods \"a\" exists");
    cr_assert_eq(error_of(409, "{\"reason\":\"Conflict\"}", 0).reason, KUBE_CONFLICT);
    cr_assert(error_of(409, NULL, 0).base.retryable);
    cr_assert_eq(error_of(410, "{\"reason\":\"Gone\"}", 0).reason, KUBE_EXPIRED);
    cr_assert_eq(error_of(410, "", 0).reason, KUBE_EXPIRED);
    cr_assert_eq(error_of(404, "page not found\n", 0).reason, KUBE_NOT_FOUND);
    e = error_of(422,
                 "{\"reason\":\"Invalid\",\"message\":\"m\",\"details\":{\"causes\":["
                 "{\"reason\":\"FieldValueRequired\",\"message\":\"Required value\","
                 "\"field\":\"spec.containers[0].name\"},{\"field\":5},{}]}}",
                 0);
    cr_assert_eq(e.reason, KUBE_INVALID);
    cr_assert_not(e.base.retryable);
    cr_assert_eq(e.n_causes, 3);
    cr_assert_str_eq(e.causes[0].field, "spec.containers[0].name");
    cr_assert_str_eq(e.causes[0].reason, "FieldValueRequired");
    cr_assert_str_eq(e.causes[1].field, "");
}

/* What a proxy or an overloaded server says is an error with its wait; what is no JSON too. */
Test(status, others)
{
    struct kube_error e = error_of(429, "{\"reason\":\"TooManyRequests\"}", 3);
    cr_assert_eq(e.reason, KUBE_TOO_MANY);
    cr_assert_eq(e.retry_after_ms, 3000);
    e = error_of(429, "{\"details\":{\"retryAfterSeconds\":9}}", 3);
    cr_assert_eq(e.retry_after_ms, 9000);
    e = error_of(503, "[1]", 0);
    cr_assert_eq(e.reason, KUBE_UNAVAILABLE);
    cr_assert(e.base.retryable);
    e = error_of(502, "<html>\nbad gateway", 0);
    cr_assert_str_eq(e.base.text, "HTTP status 502: <html>");
    e = error_of(418, NULL, 0);
    cr_assert_eq(e.reason, KUBE_OTHER);
    cr_assert_not(e.base.retryable);
    struct json *s = NULL;
    const char *text = "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}";
    cr_assert_eq(json_parse(text, strlen(text), NULL, &s, NULL), 0);
    cr_assert_lt(kube_error_from_status(s, &e), 0);
    cr_assert_eq(e.reason, KUBE_EXPIRED);
    json_free(s);
    struct raia_error none = {0};
    cr_assert_lt(kube_error_from_transport(&none, &e), 0, "an error without a code is one too");
}

/* Times are written as the API writes them, and read back. */
Test(times, both_ways)
{
    char text[KUBE_WALL_TIME_SIZE];
    int64_t back = 0;
    cr_assert_str_eq(kube_wall_time(1790000000123, text), "2026-09-21T14:13:20Z");
    cr_assert_str_eq(kube_wall_time_micro(1790000000123, text), "2026-09-21T14:13:20.123000Z");
    cr_assert_eq(kube_wall_time_read(text, &back), 0);
    cr_assert_eq(back, 1790000000123);
    cr_assert_eq(kube_wall_time_read("2026-09-21T14:13:20Z", &back), 0);
    cr_assert_eq(back, 1790000000000);
    cr_assert_lt(kube_wall_time_read("2026-09-21", &back), 0);
    cr_assert_lt(kube_wall_time_read("2026-09-21T14:13:20+01:00", &back), 0);
    cr_assert_lt(kube_wall_time_read(NULL, &back), 0);
}
