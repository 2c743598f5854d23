/*
 * KubeRay's rules for the options that Raia ignores so far: what it would reject is rejected.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/check.h"

/* -- the autoscaler ------------------------------------------------------------------------------ */

#define V2_ENV "RAY_enable_autoscaler_v2"

static bool env_says_v2(const struct ray_cluster_spec *s)
{
    const char *v = ray_group_env(&s->head, V2_ENV);

    return v && (strcmp(v, "1") == 0 || strcmp(v, "true") == 0);
}

static void check_group_scaling(const struct ray_cluster_spec *s, const struct ray_group *g,
                                bool v2, struct api_report *ret)
{
    const struct json *idle = json_get(g->node, "idleTimeoutSeconds");
    const struct json *priority = json_get(g->node, "priority");
    int64_t v = 0;

    if (json_int(idle, &v) == 0) {
        if (v < 0)
            api_report_at(ret, g->path, "idleTimeoutSeconds", "expected 0 or more, found %" PRId64,
                          v);
        else if (!v2)
            api_report_at(ret, g->path, "idleTimeoutSeconds",
                          "expected with autoscalerOptions.version v2 only");
    }
    if (json_int(priority, &v) == 0 && v != 0) {
        if (!ray_version_at_least(s->ray_version, 2, 56))
            api_report_at(ret, g->path, "priority",
                          "expected with rayVersion 2.56.0 or later only");
        else if (!v2)
            api_report_at(ret, g->path, "priority",
                          "expected with autoscalerOptions.version v2 only");
    }
}

static void check_autoscaler(const struct ray_cluster_spec *s, struct api_report *ret)
{
    const struct json *o = json_get(s->node, "autoscalerOptions");
    const char *version = json_str(json_get(o, "version"));
    bool v2 = s->autoscaling && ((version && strcmp(version, "v2") == 0) || env_says_v2(s));
    int64_t idle = 0;

    if (!s->autoscaling && env_says_v2(s))
        api_report_at(ret, s->head.path, "template.spec.containers[0].env",
                      "expected " V2_ENV " with enableInTreeAutoscaling only");
    if (s->autoscaling && version && ray_group_env(&s->head, V2_ENV))
        api_report_at(ret, s->head.path, "template.spec.containers[0].env",
                      "expected only one of " V2_ENV " and autoscalerOptions.version");
    if (json_int(json_get(o, "idleTimeoutSeconds"), &idle) == 0 && idle < 0)
        api_report_at(ret, s->path, "autoscalerOptions.idleTimeoutSeconds",
                      "expected 0 or more, found %" PRId64, idle);
    if (check_env__(json_get(o, "env"), "KUBERAY_GEN_AUTOSCALER_START_CMD"))
        api_report_at(ret, s->path, "autoscalerOptions.env",
                      "expected no KUBERAY_GEN_AUTOSCALER_START_CMD: the operator sets it");
    if (v2)
        check_never__(&s->head, "with autoscalerOptions.version v2", ret);
    for (size_t i = 0; i < s->n_workers; i++) {
        if (v2)
            check_never__(&s->workers[i], "with autoscalerOptions.version v2", ret);
        check_group_scaling(s, &s->workers[i], v2 || env_says_v2(s), ret);
    }
}

/* -- the history server's collector --------------------------------------------------------------- */

static bool has_value(const struct json *env, const char *name)
{
    const struct json *item = check_env__(env, name);
    const char *v = json_str(json_get(item, "value"));

    return (v && v[0]) || json_is(json_get(item, "valueFrom"), JSON_OBJECT);
}

/* What a storage backend needs; one line for each variable. */
static const struct {
    const char *backend; /* STORAGE_BACKEND, in any case */
    const char *needs;   /* a variable of the collector */
} storages[] = {
    {"GCS", "GCS_BUCKET"},          {"S3", "S3_REGION"},
    {"ALIYUNOSS", "ALIYUN_BUCKET"}, {"ALIYUNOSS", "ALIYUN_ENDPOINT"},
    {"ALIYUNOSS", "ALIYUN_REGION"},
};

static void check_azure(const char *path, const struct json *env, struct api_report *ret)
{
    static const char text[] = "AZURE_STORAGE_CONNECTION_STRING",
                      url[] = "AZURE_STORAGE_ACCOUNT_URL";
    const char *mode = json_str(json_get(check_env__(env, "AZURE_STORAGE_AUTH_MODE"), "value"));

    if (mode && strcasecmp(mode, "connection_string") == 0) {
        if (!has_value(env, text))
            api_report_at(ret, path, "env", "expected %s", text);
    } else if (mode &&
               (strcasecmp(mode, "workload_identity") == 0 || strcasecmp(mode, "default") == 0)) {
        if (!has_value(env, url))
            api_report_at(ret, path, "env", "expected %s", url);
    } else if (!has_value(env, text) && !has_value(env, url)) {
        api_report_at(ret, path, "env", "expected %s or %s", text, url);
    }
}

static void check_history(const struct ray_cluster_spec *s, struct api_report *ret)
{
    static const char *const ours[] = {"POD_IP",     "FQ_RAY_IP",  "RAY_CLUSTER_NAME",
                                       "RAY_ROLE",   "OWNER_KIND", "RAY_CLUSTER_NAMESPACE",
                                       "OWNER_NAME", "EVENTS_PORT"};
    const struct json *history = json_get(s->node, "historyServerOptions");
    const struct json *o = json_get(history, "collectorOptions"), *env = json_get(o, "env");
    const char *image = json_str(json_get(o, "image")), *backend;
    char path[96];

    if (!json_is(history, JSON_OBJECT))
        return;
    snprintf(path, sizeof path, "%s.historyServerOptions.collectorOptions", s->path);
    if (!json_is(o, JSON_OBJECT)) {
        api_report_add(ret, path, "expected the collector's options");
        return;
    }
    if (!image || !image[0])
        api_report_at(ret, path, "image", "expected an image");
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (check_env__(env, ours[i]))
            api_report_at(ret, path, "env", "expected no %s: the operator sets it", ours[i]);
    }
    backend = json_str(json_get(check_env__(env, "STORAGE_BACKEND"), "value"));
    if (!backend || !backend[0]) {
        api_report_at(ret, path, "env", "expected STORAGE_BACKEND with a value");
        return;
    }
    for (size_t i = 0; i < sizeof storages / sizeof storages[0]; i++) {
        if (strcasecmp(storages[i].backend, backend) == 0 && !has_value(env, storages[i].needs))
            api_report_at(ret, path, "env", "expected %s with STORAGE_BACKEND %s",
                          storages[i].needs, backend);
    }
    if (strcasecmp(backend, "AZUREBLOB") == 0)
        check_azure(path, env, ret);
}

void check_options__(const struct ray_cluster_spec *s, struct api_report *ret)
{
    check_autoscaler(s, ret);
    check_history(s, ret);
}
