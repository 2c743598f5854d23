/*
 * Objects for tests.
 */
#include "objects.h"

#include <stdio.h>
#include <stdlib.h>

const char cluster_yaml[] =
    "apiVersion: ray.io/v1\n"
    "kind: RayCluster\n"
    "metadata: {name: demo, namespace: ns, uid: u-1, generation: 3}\n"
    "spec:\n"
    "  rayVersion: 2.52.0\n"
    "  headGroupSpec:\n"
    "    rayStartParams: {dashboard-host: 0.0.0.0}\n"
    "    template:\n"
    "      spec:\n"
    "        containers:\n"
    "        - {name: ray-head, image: a, resources: {limits: {cpu: 1, memory: 2Gi}}}\n"
    "  workerGroupSpecs:\n"
    "  - groupName: small\n"
    "    replicas: 2\n"
    "    minReplicas: 1\n"
    "    maxReplicas: 5\n"
    "    template: {spec: {containers: [{name: w, image: a}]}}\n"
    "  - groupName: big\n"
    "    numOfHosts: 4\n"
    "    replicas: 3\n"
    "    maxReplicas: 2\n"
    "    template: {spec: {containers: [{name: w, image: a}]}}\n";

const char job_yaml[] = "apiVersion: ray.io/v1\n"
                        "kind: RayJob\n"
                        "metadata: {name: count, namespace: ns, uid: u-2, generation: 1}\n"
                        "spec:\n"
                        "  entrypoint: count words\n"
                        "  runtimeEnvYAML: |\n"
                        "    working_dir: https://example.com/a.zip\n"
                        "    env_vars: {A: b}\n"
                        "  entrypointResources: '{\"disk\": 1}'\n"
                        "  rayClusterSpec:\n"
                        "    headGroupSpec:\n"
                        "      template: {spec: {containers: [{name: ray-head, image: a}]}}\n"
                        "    workerGroupSpecs:\n"
                        "    - groupName: small\n"
                        "      replicas: 1\n"
                        "      template: {spec: {containers: [{name: w, image: a}]}}\n";

struct json *tree_of(const char *yaml)
{
    struct raia_error e = {0};
    struct json *tree = NULL;

    cr_assert_eq(yaml_load_one(yaml, strlen(yaml), "test", NULL, &tree, &e), 0, "%s", e.text);
    return tree;
}

void put(struct json *root, const char *path, const char *value)
{
    char parent[256], key[128];
    const char *dot = strrchr(path, '.');

    if (path[strlen(path) - 1] == ']') /* ["a.b/c"]: the last step */
        dot = strrchr(path, '[');
    snprintf(parent, sizeof parent, "%.*s", dot ? (int)(dot - path) : 0, path);
    if (dot && *dot == '[')
        snprintf(key, sizeof key, "%.*s", (int)strlen(dot + 2) - 2, dot + 2);
    else
        snprintf(key, sizeof key, "%s", dot ? dot + 1 : path);
    if (dot && !json_at(root, parent))
        put(root, parent, "{}");
    struct json *v = strcmp(value, "null") == 0 ? json_new_null() : tree_of(value);
    cr_assert_eq(json_set(dot ? json_at(root, parent) : root, key, v), 0, "%s", path);
}

struct ray_cluster *cluster_of(const struct json *tree)
{
    struct raia_error e = {0};
    struct ray_cluster *c = NULL;

    cr_assert_eq(ray_cluster_read(tree, &c, &e), 0, "%s", e.text);
    return c;
}

struct ray_job *job_of(const struct json *tree)
{
    struct raia_error e = {0};
    struct ray_job *j = NULL;

    cr_assert_eq(ray_job_read(tree, &j, &e), 0, "%s", e.text);
    return j;
}

static struct json *changed(const char *yaml, const char *const *changes)
{
    struct json *tree = tree_of(yaml);

    for (; *changes; changes++) {
        const char *eq = strchr(*changes, '=');
        char path[256];

        snprintf(path, sizeof path, "%.*s", (int)(eq - *changes), *changes);
        put(tree, path, eq + 1);
    }
    return tree;
}

const char *cluster_complaint(const char *const *changes)
{
    static char text[API_REPORT_MAX];
    struct json *tree = changed(cluster_yaml, changes);
    struct raia_error e = {0};
    struct api_report bad = {0};
    struct ray_cluster *c = NULL;

    if (ray_cluster_read(tree, &c, &e) < 0)
        snprintf(text, sizeof text, "read: %s", e.text);
    else
        ray_cluster_check(c, &bad);
    if (c)
        snprintf(text, sizeof text, "%s", bad.text);
    ray_cluster_free(c);
    json_free(tree);
    return text;
}

const char *job_complaint(const char *const *changes)
{
    static char text[API_REPORT_MAX];
    struct json *tree = changed(job_yaml, changes);
    struct raia_error e = {0};
    struct api_report bad = {0};
    struct ray_job *j = NULL;

    if (ray_job_read(tree, &j, &e) < 0)
        snprintf(text, sizeof text, "read: %s", e.text);
    else
        ray_job_check(j, &bad);
    if (j)
        snprintf(text, sizeof text, "%s", bad.text);
    ray_job_free(j);
    json_free(tree);
    return text;
}
