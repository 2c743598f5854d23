/*
 * The rules of a RayCluster that the schema cannot tell, or not to a server that has an older one.
 */
#include "api/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_dns1035(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || !is_lower(s[0]) || s[n - 1] == '-')
        return false;
    for (; *s; s++) {
        if (!is_lower(*s) && !(*s >= '0' && *s <= '9') && *s != '-')
            return false;
    }
    return true;
}

/* The second half of a label's key, or a label's value that is not empty. */
static bool is_label_text(const char *s, size_t n)
{
    if (n == 0 || n > 63 || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_alnum(s[i]) && !strchr("-_.", s[i]))
            return false;
    }
    return true;
}

static bool is_dns_subdomain(const char *s, size_t n)
{
    bool inner = false; /* the character before may not end a label */

    if (n == 0 || n > 253)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool word = is_lower(s[i]) || (s[i] >= '0' && s[i] <= '9');

        if (!word &&
            (i == 0 || (s[i] != '-' && s[i] != '.') || (s[i] == '.' && inner) || (s[i - 1] == '.')))
            return false;
        inner = !word;
    }
    return !inner;
}

static bool is_label_key(const char *s)
{
    const char *slash = strchr(s, '/');

    if (slash && !is_dns_subdomain(s, (size_t)(slash - s)))
        return false;
    s = slash ? slash + 1 : s;
    return is_label_text(s, strlen(s));
}

static bool is_label_value(const char *s)
{
    return !s[0] || is_label_text(s, strlen(s));
}

void check_name__(const char *name, size_t max, struct api_report *ret)
{
    if (strlen(name) > max)
        api_report_add(ret, "metadata.name", "expected at most %zu characters, found %zu", max,
                       strlen(name));
    if (!is_dns1035(name))
        api_report_add(ret, "metadata.name",
                       "expected lower-case letters, digits and '-', beginning with a letter "
                       "(a DNS-1035 label), found '%s'",
                       name);
}

const struct json *check_env__(const struct json *list, const char *name)
{
    JSON_FOREACH(item, list)
    {
        const char *key = json_str(json_get(item, "name"));

        if (key && strcmp(key, name) == 0)
            return item;
    }
    return NULL;
}

static bool has_env(const struct ray_group *g, const char *name)
{
    return check_env__(json_get(g->container, "env"), name) != NULL;
}

static bool has_param(const struct ray_group *g, const char *key)
{
    const char *v = ray_group_param(g, key);

    return v && v[0];
}

/* -- groups ------------------------------------------------------------------------------------- */

static void check_resources(const struct ray_group *g, struct api_report *ret)
{
    static const char *const keys[] = {"num-cpus", "num-gpus", "memory", "resources"};

    if (!json_first(g->resources))
        return;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (has_param(g, keys[i]))
            api_report_at(ret, g->path, "resources",
                          "expected only one of resources and rayStartParams[\"%s\"]", keys[i]);
    }
}

static void check_labels(const struct ray_group *g, struct api_report *ret)
{
    if (ray_group_param(g, "labels"))
        api_report_at(ret, g->path, "rayStartParams[\"labels\"]",
                      "expected the group's own labels field in its place");
    JSON_FOREACH(item, g->labels)
    {
        if (!is_label_key(json_key(item)))
            api_report_at(ret, g->path, "labels", "expected the keys of labels, found '%s'",
                          json_key(item));
        if (!is_label_value(json_str(item)))
            api_report_at(ret, g->path, "labels",
                          "expected at most 63 letters, digits, '-', '_' and '.' for '%s', found "
                          "'%s'",
                          json_key(item), json_str(item));
    }
}

static void check_group(const struct ray_group *g, struct api_report *ret)
{
    if (!g->pod_template)
        api_report_at(ret, g->path, "template", "expected a pod template");
    else if (!g->container)
        api_report_at(ret, g->path, "template.spec.containers",
                      "expected at least one container: the first is the Ray container");
    check_resources(g, ret);
    check_labels(g, ret);
}

static void check_worker(const struct ray_cluster_spec *s, size_t i, struct api_report *ret)
{
    const struct ray_group *g = &s->workers[i];

    if (!is_label_text(g->name, strlen(g->name)) || strcmp(g->name, RAY_HEAD_GROUP) == 0)
        api_report_at(ret, g->path, "groupName",
                      "expected 1 to 63 letters, digits, '-', '_' and '.', and not 'headgroup', "
                      "found '%s'",
                      g->name);
    for (size_t k = 0; k < i; k++) {
        if (strcmp(s->workers[k].name, g->name) == 0) {
            api_report_at(ret, g->path, "groupName", "expected another name than that of %s, '%s'",
                          s->workers[k].path, g->name);
            break;
        }
    }
    check_group(g, ret);
    if (g->min < 0)
        api_report_at(ret, g->path, "minReplicas", "expected 0 or more, found %" PRId64, g->min);
    if (g->max < 0)
        api_report_at(ret, g->path, "maxReplicas", "expected 0 or more, found %" PRId64, g->max);
    else if (g->min > g->max)
        api_report_at(ret, g->path, "minReplicas",
                      "expected at most maxReplicas, %" PRId64 ", found %" PRId64, g->max, g->min);
    if (g->suspended && s->autoscaling)
        api_report_at(ret, g->path, "suspend",
                      "expected false while enableInTreeAutoscaling is true");
}

void check_never__(const struct ray_group *g, const char *why, struct api_report *ret)
{
    const char *policy = json_str(json_get(json_get(g->pod_template, "spec"), "restartPolicy"));

    if (policy && policy[0] && strcmp(policy, "Never") != 0)
        api_report_at(ret, g->path, "template.spec.restartPolicy",
                      "expected Never, or nothing, %s; found '%s'", why, policy);
}

/* -- options ------------------------------------------------------------------------------------ */

static const char *text_of(const struct json *o, const char *key)
{
    const char *v = json_str(json_get(o, key));

    return v ? v : "";
}

static bool is_set(const struct json *o, const char *key)
{
    const struct json *n = json_get(o, key);

    return n && !json_is(n, JSON_NULL);
}

static void check_rocksdb(const struct ray_cluster_spec *s, const struct json *options,
                          struct api_report *ret)
{
    static const char *const redis[] = {"redisAddress", "redisUsername", "redisPassword",
                                        "externalStorageNamespace"};
    static const char *const envs[] = {"RAY_gcs_storage", "RAY_gcs_storage_path"};
    char path[96];

    snprintf(path, sizeof path, "%s.gcsFaultToleranceOptions", s->path);
    for (size_t i = 0; i < sizeof redis / sizeof redis[0]; i++) {
        const struct json *n = json_get(options, redis[i]);

        if (is_set(options, redis[i]) && !(json_str(n) && !json_str(n)[0]))
            api_report_at(ret, path, redis[i], "expected nothing with backend rocksdb");
    }
    for (size_t i = 0; i < sizeof envs / sizeof envs[0]; i++) {
        if (has_env(&s->head, envs[i]))
            api_report_at(ret, s->head.path, "template.spec.containers[0].env",
                          "expected no %s with gcsFaultToleranceOptions: the operator sets it",
                          envs[i]);
    }
}

static void check_fault_tolerance(const struct ray_cluster_spec *s, const struct json *annotations,
                                  struct api_report *ret)
{
    const struct json *options = json_get(s->node, "gcsFaultToleranceOptions");
    const struct ray_group *head = &s->head;
    char env[96];

    snprintf(env, sizeof env, "%s.template.spec.containers[0].env", head->path);
    if (has_param(head, "redis-username") || has_env(head, "REDIS_USERNAME"))
        api_report_add(ret, env,
                       "expected no REDIS_USERNAME (or rayStartParams[\"redis-username\"]): use "
                       "gcsFaultToleranceOptions.redisUsername");
    if (!json_is(options, JSON_OBJECT)) {
        if (!s->ft.on && !ray_is_true(annotations, RAY_ANNOTATION_FT) &&
            has_env(head, "RAY_REDIS_ADDRESS"))
            api_report_add(ret, env,
                           "expected gcsFaultToleranceOptions in place of RAY_REDIS_ADDRESS");
        return;
    }
    if (text_of(annotations, RAY_ANNOTATION_FT)[0])
        api_report_add(ret, "metadata.annotations[\"" RAY_ANNOTATION_FT "\"]",
                       "expected nothing beside %s.gcsFaultToleranceOptions", s->path);
    if (text_of(annotations, RAY_ANNOTATION_STORAGE_NS)[0])
        api_report_add(ret, "metadata.annotations[\"" RAY_ANNOTATION_STORAGE_NS "\"]",
                       "expected gcsFaultToleranceOptions.externalStorageNamespace in its place");
    if (has_param(head, "redis-password"))
        api_report_at(ret, head->path, "rayStartParams[\"redis-password\"]",
                      "expected gcsFaultToleranceOptions.redisPassword in its place");
    if (has_env(head, "REDIS_PASSWORD"))
        api_report_add(ret, env,
                       "expected gcsFaultToleranceOptions.redisPassword in place of "
                       "REDIS_PASSWORD");
    if (has_env(head, "RAY_REDIS_ADDRESS"))
        api_report_add(ret, env,
                       "expected gcsFaultToleranceOptions.redisAddress in place of "
                       "RAY_REDIS_ADDRESS");
    if (s->ft.claim && (s->ft.size || s->ft.storage_class || json_first(s->ft.access_modes)))
        api_report_at(ret, s->path, "gcsFaultToleranceOptions.storage.claimName",
                      "expected alone, without size, storageClassName and accessModes");
    if (strcmp(text_of(options, "backend"), "rocksdb") == 0)
        check_rocksdb(s, options, ret);
}

static void check_auth(const struct ray_cluster_spec *s, struct api_report *ret)
{
    if (s->auth == RAY_AUTH_TOKEN && !ray_version_at_least(s->ray_version, 2, 52))
        api_report_at(ret, s->path, "rayVersion",
                      "expected 2.52.0 or later with authOptions.mode token, found %s",
                      s->ray_version ? s->ray_version : "nothing");
    if (!s->auth_k8s)
        return;
    if (s->auth != RAY_AUTH_TOKEN)
        api_report_at(ret, s->path, "authOptions.mode",
                      "expected token with authOptions.enableK8sTokenAuth");
    else if (!ray_version_at_least(s->ray_version, 2, 55))
        api_report_at(ret, s->path, "rayVersion",
                      "expected 2.55.0 or later with authOptions.enableK8sTokenAuth, found %s",
                      s->ray_version ? s->ray_version : "nothing");
    if (s->auth_secret)
        api_report_at(ret, s->path, "authOptions.secretName",
                      "expected nothing with authOptions.enableK8sTokenAuth");
}

static void check_tls(const struct ray_cluster_spec *s, struct api_report *ret)
{
    static const char *const envs[] = {"RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY",
                                       "RAY_TLS_CA_CERT"};

    if (!s->tls_wanted)
        return;
    for (size_t k = 0; k <= s->n_workers; k++) {
        const struct ray_group *g = k == 0 ? &s->head : &s->workers[k - 1];

        for (size_t i = 0; i < sizeof envs / sizeof envs[0]; i++) {
            if (has_env(g, envs[i]))
                api_report_at(ret, g->path, "template.spec.containers[0].env",
                              "expected no %s with tlsOptions.enabled: the operator sets up TLS",
                              envs[i]);
        }
    }
}

void check_spec__(const struct ray_cluster_spec *s, const struct json *annotations,
                  struct api_report *ret)
{
    check_group(&s->head, ret);
    for (size_t i = 0; i < s->n_workers; i++)
        check_worker(s, i, ret);
    if (s->desired_workers >= RAY_PODS_MAX)
        api_report_at(ret, s->path, "workerGroupSpecs",
                      "expected less than %d pods in all groups, found %" PRId64, RAY_PODS_MAX,
                      s->desired_workers);
    check_fault_tolerance(s, annotations, ret);
    check_auth(s, ret);
    check_tls(s, ret);
    check_options__(s, ret);
}

void ray_cluster_spec_check(const struct ray_cluster_spec *s, struct api_report *ret)
{
    check_spec__(s, NULL, ret);
}

void ray_cluster_check(const struct ray_cluster *c, struct api_report *ret)
{
    check_name__(c->name, CLUSTER_NAME_MAX, ret);
    check_spec__(&c->spec, c->annotations, ret);
    if (c->of_job && text_of(json_get(c->spec.node, "upgradeStrategy"), "type")[0])
        api_report_add(ret, "spec.upgradeStrategy.type",
                       "expected nothing in a RayCluster that was made by a %s",
                       text_of(c->labels, RAY_LABEL_FROM_CRD));
}
