/*
 * The hash for upgradeStrategy Recreate.
 */
#include "objects.h"

static const char *hash_of(const char *yaml, const char *path, const char *value)
{
    static char hash[RAY_HASH_SIZE];
    struct json *tree = tree_of(yaml);
    if (path)
        put(tree, path, value);
    struct ray_cluster *c = cluster_of(tree);
    cr_assert_eq(ray_cluster_hash(&c->spec, hash), 0);
    ray_cluster_free(c);
    json_free(tree);
    return hash;
}

/* What changes no pod leaves it; what changes one changes it. */
Test(hash, what_counts)
{
    char base[RAY_HASH_SIZE];
    static const char *const same[][2] = {
        {"spec.suspend", "true"},
        {"spec.managedBy", "ray.io/kuberay-operator"},
        {"spec.upgradeStrategy", "{type: Recreate}"},
        {"spec.workerGroupSpecs[0].replicas", "4"},
        {"spec.workerGroupSpecs[0].minReplicas", "2"},
        {"spec.workerGroupSpecs[1].maxReplicas", "200"},
        {"spec.workerGroupSpecs[1].scaleStrategy", "{workersToDelete: [a]}"},
        {"spec.workerGroupSpecs[1].suspend", "true"},
        {"spec.rayVersion", "2.52.0"},
        {"spec.authOptions", "null"},
        {"metadata.labels", "{a: b}"},
    };
    static const char *const other[][2] = {
        {"spec.rayVersion", "2.53.0"},
        {"spec.headGroupSpec.template.spec.containers[0].image", "b"},
        {"spec.headGroupSpec.template.metadata", "{labels: {a: b}}"},
        {"spec.workerGroupSpecs[0].template.spec.containers[0].image", "b"},
        {"spec.workerGroupSpecs[0].rayStartParams", "{a: b}"},
        {"spec.workerGroupSpecs[1].numOfHosts", "2"},
        {"spec.workerGroupSpecs[1].groupName", "bigger"},
        {"spec.workerGroupSpecs", "[]"},
        {"spec.headGroupSpec.template.spec.replicas", "3"},
    };
    strcpy(base, hash_of(cluster_yaml, NULL, NULL));
    cr_assert_eq(strlen(base), 64);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        cr_assert_str_eq(hash_of(cluster_yaml, same[i][0], same[i][1]), base, "%s", same[i][0]);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        cr_assert_str_neq(hash_of(cluster_yaml, other[i][0], other[i][1]), base, "%s", other[i][0]);
}

/* It is free of the order of keys, but not of that of items. */
Test(hash, order)
{
    char a[RAY_HASH_SIZE];
    strcpy(a, hash_of("metadata: {name: a}\n"
                      "spec: {rayVersion: x, headGroupSpec: {template: {a: 1, b: [1, 2]}}}",
                      NULL, NULL));
    cr_assert_str_eq(hash_of("metadata: {name: b}\n"
                             "spec: {headGroupSpec: {template: {b: [1, 2], a: 1}}, rayVersion: x}",
                             NULL, NULL),
                     a);
    cr_assert_str_neq(hash_of("metadata: {name: b}\n"
                              "spec: {headGroupSpec: {template: {b: [2, 1], a: 1}}, rayVersion: x}",
                              NULL, NULL),
                      a);
}

/* The value itself: another one would make all pods of all clusters anew. */
Test(hash, is_stable)
{
    cr_assert_str_eq(hash_of(cluster_yaml, NULL, NULL),
                     "505587aa9c3b477be905cd10325689331503903adea574d1b98163ebfb023c6e");
}

/* Memory that runs out is told. */
Test(hash, no_memory)
{
    struct json *tree = tree_of(cluster_yaml);
    struct ray_cluster *c = cluster_of(tree);
    char hash[RAY_HASH_SIZE];
    int r = -1;
    for (uint64_t n = 1; r < 0 && n < 300; n++) {
        mem_fail_nth(n);
        r = ray_cluster_hash(&c->spec, hash);
        mem_fail_nth(0);
        cr_assert(r == 0 || r == -RAIA_ERR_NOMEM);
    }
    cr_assert_eq(r, 0);
    ray_cluster_free(c);
    json_free(tree);
}
