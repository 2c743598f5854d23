/*
 * Tests of core/inject.h.
 */
#include "core/inject.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct operator_config config = {.raia_image = "raia.io/raia:dev",
                                              .raia_pull_policy = "IfNotPresent"};

static struct json *parse(const char *text)
{
    struct raia_error e = {0};
    struct json *j = NULL;

    cr_assert_eq(json_parse(text, strlen(text), NULL, &j, &e), 0, "%s", e.text);
    return j;
}

static void expect(const struct json *have, const char *text)
{
    _cleanup_(json_freep) struct json *want = parse(text);
    _cleanup_(mem_freep) char *shown = json_print(have, JSON_PRETTY, NULL);

    cr_assert(json_equal(have, want), "got %s", shown ? shown : "nothing");
}

/* A pod gets the volume and the init container, before its own, once, and keeps all it had. */
Test(inject, raia)
{
    _cleanup_(json_freep) struct json *spec =
        parse("{\"containers\":[{\"name\":\"a\",\"resources\":{\"limits\":{\"cpu\":\"2\","
              "\"nvidia.com/gpu\":1,\"memory\":\"1Gi\"},\"requests\":{\"cpu\":1}}}],"
              "\"initContainers\":[{\"name\":\"mine\"}],\"hostNetwork\":true}");
    struct raia_error e = {0};

    for (int i = 0; i < 2; i++)
        cr_assert_eq(inject_raia(spec, &config, &e), 0, "%s", e.text);
    expect(
        spec,
        "{\"containers\":[{\"name\":\"a\",\"resources\":{\"limits\":{\"cpu\":\"2\","
        "\"nvidia.com/gpu\":1,\"memory\":\"1Gi\"},\"requests\":{\"cpu\":1}}}],"
        "\"initContainers\":[{\"name\":\"raia-init\",\"image\":\"raia.io/raia:dev\","
        "\"imagePullPolicy\":\"IfNotPresent\","
        "\"command\":[\"/opt/raia/bin/raia-init\",\"/raia\"],"
        "\"resources\":{\"limits\":{\"cpu\":\"2\",\"memory\":\"1Gi\"},\"requests\":{\"cpu\":1}},"
        "\"securityContext\":{\"allowPrivilegeEscalation\":false,"
        "\"readOnlyRootFilesystem\":true,\"runAsNonRoot\":true,"
        "\"capabilities\":{\"drop\":[\"ALL\"]},\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},"
        "\"terminationMessagePolicy\":\"FallbackToLogsOnError\","
        "\"volumeMounts\":[{\"name\":\"raia\",\"mountPath\":\"/raia\"}]},{\"name\":\"mine\"}],"
        "\"hostNetwork\":true,\"volumes\":[{\"name\":\"raia\",\"emptyDir\":{}}]}");
}

/* Where the pod's user is root, the init container still is not. */
Test(inject, root)
{
    _cleanup_(json_freep) struct json *spec =
        parse("{\"containers\":[{}],\"securityContext\":{\"runAsUser\":0}}");
    int64_t user = -1;

    cr_assert_eq(inject_raia(spec, &config, NULL), 0);
    json_int(json_at(spec, "initContainers[0].securityContext.runAsUser"), &user);
    cr_assert_eq(user, 65532);
}

/* What the user has under our names is not touched: the pod is refused, with its path. */
Test(inject, taken)
{
    static const struct {
        const char *spec, *path;
    } cases[] = {
        {"{\"containers\":[{}],\"volumes\":[{\"name\":\"raia\",\"hostPath\":{}}]}", "spec.volumes"},
        {"{\"containers\":[{}],\"initContainers\":[{\"name\":\"a\"},{\"name\":\"raia-init\"}]}",
         "spec.initContainers"},
        {"{\"containers\":[{\"volumeMounts\":[{\"name\":\"x\",\"mountPath\":\"/opt/raia\"}]}]}",
         "spec.containers"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(json_freep) struct json *spec = parse(cases[i].spec);
        struct raia_error e = {0};
        int r = inject_raia(spec, &config, &e);
        if (r == 0)
            r = inject_mount(json_item(json_get(spec, "containers"), 0), INJECT_VOLUME, INJECT_DIR,
                             true, &e);
        cr_assert_eq(r, -RAIA_ERR_INVALID);
        cr_assert_eq(strncmp(e.text, cases[i].path, strlen(cases[i].path)), 0, "%s", e.text);
    }
}

/* A variable of the user's stays, or is replaced where it stands. */
Test(inject, env)
{
    _cleanup_(json_freep) struct json *c =
        parse("{\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\",\"value\":\"2\"}]}");

    cr_assert_eq(inject_env(c, "A", "x", INJECT_DEFAULT), 0);
    cr_assert_eq(inject_env_field(c, "A", "status.podIP", INJECT_DEFAULT), 0);
    cr_assert_eq(inject_env_secret(c, "B", "s", "k", INJECT_FORCE), 0);
    cr_assert_eq(inject_env_field(c, "C", "metadata.name", INJECT_FORCE), 0);
    cr_assert(inject_has_env(c, "C"));
    expect(c, "{\"env\":[{\"name\":\"A\",\"value\":\"1\"},"
              "{\"name\":\"B\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}},"
              "{\"name\":\"C\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}}]}");
}

/* The files of a TLS secret can be read by the pod's user, and by no more than need be. */
Test(inject, tls)
{
    static const struct {
        const char *context;
        int64_t mode;
    } cases[] = {{"{}", 0444},
                 {"{\"fsGroup\":1000,\"runAsUser\":1000}", 0440},
                 {"{\"runAsUser\":0}", 0400},
                 {"{\"runAsUser\":1000}", 0444}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(json_freep) struct json *spec = parse("{\"containers\":[{}]}");
        int64_t mode = 0;
        cr_assert_eq(json_set(spec, "securityContext", parse(cases[i].context)), 0);
        struct json *c = json_item(json_get(spec, "containers"), 0);
        cr_assert_eq(inject_tls(spec, c, "demo-tls", NULL), 0);
        json_int(json_at(spec, "volumes[0].secret.defaultMode"), &mode);
        cr_assert_eq(mode, cases[i].mode, "%s", cases[i].context);
        expect(c, "{\"volumeMounts\":[{\"name\":\"raia-tls\",\"mountPath\":\"/etc/raia/tls\","
                  "\"readOnly\":true}],\"env\":[{\"name\":\"RAIA_TLS_DIR\","
                  "\"value\":\"/etc/raia/tls\"}]}");
    }
}

/* Memory that runs out anywhere is told, and nothing is lost. */
Test(inject, no_memory)
{
    for (uint64_t n = 1;; n++) {
        _cleanup_(json_freep) struct json *spec = parse("{\"containers\":[{}]}");
        struct json *c = json_item(json_get(spec, "containers"), 0);
        mem_fail_nth(n);
        int r = inject_raia(spec, &config, NULL);
        if (r == 0)
            r = inject_mount(c, INJECT_VOLUME, INJECT_DIR, true, NULL);
        if (r == 0)
            r = inject_tls(spec, c, "s", NULL);
        if (r == 0)
            r = inject_env_field(c, "A", "metadata.name", INJECT_FORCE);
        mem_fail_nth(0);
        if (r == 0)
            break;
        cr_assert_eq(r, -RAIA_ERR_NOMEM, "at allocation %lu", (unsigned long)n);
        cr_assert_lt(n, 10000);
    }
}
