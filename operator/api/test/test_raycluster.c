/*
 * Reading RayClusters.
 */
#include "objects.h"

/* All that is said is read, with defaults for what is not. */
Test(raycluster, view)
{
    struct json *tree = tree_of(cluster_yaml);
    struct ray_cluster *c = cluster_of(tree);
    cr_assert_str_eq(c->name, "demo");
    cr_assert_str_eq(c->ns, "ns");
    cr_assert_str_eq(c->uid, "u-1");
    cr_assert_eq(c->generation, 3);
    cr_assert_not(c->deleting);
    cr_assert_not(c->of_job);
    const struct ray_cluster_spec *s = &c->spec;
    cr_assert_str_eq(s->head.path, "spec.headGroupSpec");
    cr_assert_str_eq(s->head.name, "headgroup");
    cr_assert_eq(s->head.desired, 1);
    cr_assert_str_eq(json_str(json_get(s->head.container, "name")), "ray-head");
    cr_assert_str_eq(ray_group_param(&s->head, "dashboard-host"), "0.0.0.0");
    cr_assert_null(ray_group_param(&s->head, "x"));
    cr_assert_eq(s->n_workers, 2);
    cr_assert_str_eq(s->workers[1].path, "spec.workerGroupSpecs[1]");
    cr_assert_eq(s->workers[0].desired, 2);
    cr_assert_eq(s->workers[1].desired_replicas, 2, "at most maxReplicas");
    cr_assert_eq(s->workers[1].desired, 8);
    cr_assert_eq(s->desired_workers, 10);
    cr_assert_eq(s->min_workers, 1);
    cr_assert_eq(s->max_workers, 13);
    cr_assert(s->managed);
    cr_assert_eq(s->auth, RAY_AUTH_DEFAULT);
    cr_assert_not(s->ft.on);
    cr_assert_eq(ray_cluster_group(s, "big"), &s->workers[1]);
    cr_assert_eq(ray_cluster_group(s, "headgroup"), &s->head);
    cr_assert_null(ray_cluster_group(s, "gone"));
    ray_cluster_free(c);
    json_free(tree);
}

/* The options are read as they are said. */
Test(raycluster, options)
{
    struct json *tree = tree_of(cluster_yaml);
    put(tree, "metadata.deletionTimestamp", "'2026-01-01T00:00:00Z'");
    put(tree, "metadata.labels", "{ray.io/originated-from-crd: RayJob}");
    put(tree, "spec.suspend", "true");
    put(tree, "spec.managedBy", "kueue.x-k8s.io/multikueue");
    put(tree, "spec.upgradeStrategy", "{type: Recreate}");
    put(tree, "spec.authOptions", "{mode: disabled, secretName: s}");
    put(tree, "spec.gcsFaultToleranceOptions",
        "{backend: rocksdb, storage: {size: 5Gi, storageClassName: fast, accessModes: [RWX],"
        " subPath: a, deletionPolicy: Retain}}");
    put(tree, "spec.headServiceAnnotations", "{a: b}");
    put(tree, "spec.headGroupSpec.serviceType", "NodePort");
    put(tree, "spec.headGroupSpec.headService", "{spec: {}}");
    put(tree, "spec.headGroupSpec.enableIngress", "true");
    put(tree, "spec.tlsOptions", "{enabled: true}");
    put(tree, "spec.workerGroupSpecs[0].suspend", "true");
    put(tree, "spec.workerGroupSpecs[1].scaleStrategy", "{workersToDelete: [p-1, p-2]}");
    put(tree, "spec.workerGroupSpecs[1].template.spec.containers[0].env",
        "[{name: A, value: x}, {name: B, valueFrom: {}}, {name: A, value: z}]");
    struct ray_cluster *c = cluster_of(tree);
    const struct ray_cluster_spec *s = &c->spec;
    cr_assert(c->deleting);
    cr_assert(c->of_job);
    cr_assert(s->suspend);
    cr_assert_not(s->managed);
    cr_assert(s->recreate);
    cr_assert_eq(s->auth, RAY_AUTH_DISABLED);
    cr_assert_str_eq(s->auth_secret, "s");
    cr_assert(s->ft.on && s->ft.retain);
    cr_assert_str_eq(json_str(s->ft.size), "5Gi");
    cr_assert_str_eq(s->ft.storage_class, "fast");
    cr_assert_str_eq(s->ft.sub_path, "a");
    cr_assert_null(s->ft.claim);
    cr_assert_eq(json_size(s->ft.access_modes), 1);
    cr_assert_str_eq(s->service_type, "NodePort");
    cr_assert_not_null(s->service);
    cr_assert_not_null(s->service_annotations);
    cr_assert(s->ingress);
    cr_assert(s->tls_wanted);
    cr_assert_eq(s->workers[0].desired, 0);
    cr_assert_eq(s->desired_workers, 8);
    cr_assert_eq(s->min_workers, 0);
    cr_assert(ray_group_to_delete(&s->workers[1], "p-2"));
    cr_assert_not(ray_group_to_delete(&s->workers[1], "p-3"));
    cr_assert_not(ray_group_to_delete(&s->workers[0], "p-1"));
    cr_assert_str_eq(ray_group_env(&s->workers[1], "A"), "z");
    cr_assert_null(ray_group_env(&s->workers[1], "B"));
    ray_cluster_free(c);
    json_free(tree);
}

/* The annotation of old turns fault tolerance on, in any case. */
Test(raycluster, annotation)
{
    struct json *tree = tree_of(cluster_yaml);
    put(tree, "metadata.annotations", "{ray.io/ft-enabled: 'True'}");
    struct ray_cluster *c = cluster_of(tree);
    cr_assert(c->spec.ft.on);
    ray_cluster_free(c);
    json_free(tree);
}

/* Replicas lie between min and max, whatever is asked; sums of huge groups do not overflow. */
Test(raycluster, desired)
{
    static const struct {
        const char *replicas, *min, *max, *hosts;
        int64_t want;
    } cases[] = {
        {"0", "0", "5", "1", 0},
        {"-3", "0", "5", "1", 0},
        {"1", "2", "5", "1", 2},
        {"9", "2", "5", "3", 15},
        {"null", "null", "null", "0", 0},
        {"2147483647", "0", "2147483647", "2147483647", INT32_MAX},
        {"3", "-9", "-5", "1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json *tree = tree_of(cluster_yaml);
        put(tree, "spec.workerGroupSpecs[0].replicas", cases[i].replicas);
        put(tree, "spec.workerGroupSpecs[0].minReplicas", cases[i].min);
        put(tree, "spec.workerGroupSpecs[0].maxReplicas", cases[i].max);
        put(tree, "spec.workerGroupSpecs[0].numOfHosts", cases[i].hosts);
        struct ray_cluster *c = cluster_of(tree);
        cr_assert_eq(c->spec.workers[0].desired, cases[i].want, "case %zu: %ld", i,
                     (long)c->spec.workers[0].desired);
        cr_assert(c->spec.max_workers <= INT32_MAX && c->spec.desired_workers <= INT32_MAX);
        ray_cluster_free(c);
        json_free(tree);
    }
}

/* A value of the wrong type is refused with its path and both types. */
Test(raycluster, wrong_types)
{
    static const struct {
        const char *change, *want;
    } cases[] = {
        {"spec=3", "read: spec: expected an object, found a number"},
        {"spec.suspend='yes'", "read: spec.suspend: expected a boolean, found a string"},
        {"spec.headGroupSpec=null", "read: spec.headGroupSpec: expected an object, found nothing"},
        {"spec.headGroupSpec.template=[]",
         "read: spec.headGroupSpec.template: expected an object, found a list"},
        {"spec.headGroupSpec.template.spec.containers=[3]",
         "read: spec.headGroupSpec.template.spec.containers: expected objects, found a number"},
        {"spec.headGroupSpec.rayStartParams={num-cpus: 1}",
         "read: spec.headGroupSpec.rayStartParams[\"num-cpus\"]: expected a string, found a number:"
         " put it in quotes"},
        {"spec.workerGroupSpecs={}",
         "read: spec.workerGroupSpecs: expected a list, found an object"},
        {"spec.workerGroupSpecs=[3]",
         "read: spec.workerGroupSpecs[0]: expected an object, found a number"},
        {"spec.workerGroupSpecs=[{}]", "read: spec.workerGroupSpecs[0].groupName: expected a name"},
        {"spec.workerGroupSpecs[1].replicas=1.5",
         "read: spec.workerGroupSpecs[1].replicas: expected an integer, found a number"},
        {"spec.workerGroupSpecs[1].replicas=3000000000",
         "read: spec.workerGroupSpecs[1].replicas: expected an integer from -2147483648 to "
         "2147483647"},
        {"spec.workerGroupSpecs[1].scaleStrategy={workersToDelete: [1]}",
         "read: spec.workerGroupSpecs[1].scaleStrategy.workersToDelete: expected names of pods, "
         "found a number"},
        {"spec.authOptions={mode: open}",
         "read: spec.authOptions.mode: expected one of token, disabled, found 'open'"},
        {"spec.upgradeStrategy={type: Rolling}",
         "read: spec.upgradeStrategy.type: expected one of None, Recreate, found 'Rolling'"},
        {"metadata.labels={a: 1}",
         "read: metadata.labels[\"a\"]: expected a string, found a number: put it in quotes"},
        {"metadata.name=null", "read: metadata.name: expected a name"},
        {"metadata=null", "read: metadata: expected an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = CLUSTER_WITH(cases[i].change);
        cr_assert_str_eq(got, cases[i].want, "%s: %s", cases[i].change, got);
    }
    struct raia_error e = {0};
    struct ray_cluster *c = NULL;
    cr_assert_eq(ray_cluster_read(NULL, &c, &e), -RAIA_ERR_INVALID);
    cr_assert_null(c);
}

/* Versions are compared by number; what is none is not at least anything. */
Test(raycluster, versions)
{
    cr_assert(ray_version_at_least("2.52.0", 2, 52));
    cr_assert(ray_version_at_least("2.100", 2, 52));
    cr_assert(ray_version_at_least("3.0.0.dev0", 2, 52));
    cr_assert_not(ray_version_at_least("2.9.0rc1", 2, 52));
    for (const char *const *p = (const char *const[]){"", "x", "2", "2.", "nightly", ".5",
                                                      "99999999999999999999.1", NULL};
         *p; p++)
        cr_assert_not(ray_version_at_least(*p, 2, 52), "'%s'", *p);
    cr_assert_not(ray_version_at_least(NULL, 0, 0));
}

/* Memory that runs out at any point is told and leaves nothing behind. */
Test(raycluster, no_memory)
{
    struct json *tree = tree_of(cluster_yaml);
    int r = -1;
    for (uint64_t n = 1; r < 0 && n < 100; n++) {
        struct ray_cluster *c = NULL;
        mem_fail_nth(n);
        r = ray_cluster_read(tree, &c, NULL);
        mem_fail_nth(0);
        cr_assert(r == 0 || (r == -RAIA_ERR_NOMEM && !c));
        ray_cluster_free(c);
    }
    cr_assert_eq(r, 0);
    json_free(tree);
}
