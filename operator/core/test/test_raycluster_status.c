/*
 * Tests of core/raycluster.h: what is refused, and what is told.
 */
#include "raycluster_specs.h"

/* Clusters of others: managed by somebody else, being deleted, or with pods that KubeRay made. */
Test(raycluster_status, not_ours)
{
    struct world w;
    world_init(&w, "managedBy: kueue.x-k8s.io/multikueue\n" TWO);
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_not(w.p->status);
    world_done(&w);

    world_init(&w, TWO);
    json_set_str(json_get(w.cluster, "metadata"), "deletionTimestamp", "x");
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_not(w.p->status);
    world_done(&w);

    world_init(&w, TWO);
    world_put(&w, SEEN_PODS,
              world_yaml("{metadata: {name: x, namespace: team, labels: {ray.io/cluster: demo, "
                         "ray.io/node-type: head, app.kubernetes.io/created-by: "
                         "kuberay-operator}}}"));
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_str_eq(world_reason(&w, RAIA_COND_ACCEPTED), RAIA_REASON_FOREIGN_PODS);
    world_done(&w);
}

static const struct {
    const char *spec;
    const char *reason; /* of RaiaAccepted */
    const char *field;  /* that its message begins with */
} refusals[] = {
    {"headGroupSpec: {template: {spec: {containers: []}}}", RAIA_REASON_INVALID,
     "spec.headGroupSpec.template.spec.containers"},
    {"suspend: maybe\n" TWO, RAIA_REASON_INVALID, "spec.suspend"},
    {"gcs: {replicas: 3}\n" TWO, RAIA_REASON_REFUSED, "spec.gcs"},
    {"networkPolicy: {mode: DenyAll}\n" TWO, RAIA_REASON_REFUSED, "spec.networkPolicy"},
    {"headGroupSpec: {template: {spec: {containers: [{name: r}], volumes: [{name: raia}]}}}",
     RAIA_REASON_INVALID, "spec.headGroupSpec.template.spec.volumes"},
};

/* What cannot be done is told with its field, once, and no pod is made. */
Test(raycluster_status, refused)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct world w;
        world_init(&w, refusals[i].spec);
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_pods), 0, "case %zu", i);
        cr_assert_not(world_is(&w, RAIA_COND_ACCEPTED));
        cr_assert_str_eq(world_reason(&w, RAIA_COND_ACCEPTED), refusals[i].reason, "case %zu: %s",
                         i, world_says(&w, RAIA_COND_ACCEPTED));
        cr_assert_eq(strncmp(world_says(&w, RAIA_COND_ACCEPTED), refusals[i].field,
                             strlen(refusals[i].field)),
                     0, "case %zu: %s", i, world_says(&w, RAIA_COND_ACCEPTED));
        cr_assert_eq(number(&w, "status.observedGeneration"), 1);
        cr_assert_not(list_empty(&w.p->events));
        world_step(&w);
        cr_assert(list_empty(&w.p->events), "case %zu: told again", i);
        world_done(&w);
    }
}

/* A cluster whose spec becomes invalid, or unreadable, is not changed, and its counts and its head's
 * condition stay current. */
Test(raycluster_status, refused_counts)
{
    static const char *const bad[] = {"{mode: DenyAll}", "nonsense"};
    static const char *const keys[] = {"networkPolicy", "suspend"};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_init(&w, TWO);
        world_rest(&w);
        world_spec(&w, "", keys[i], world_yaml(bad[i]));
        world_status(world_pod(&w, "a", 0), "{phase: Failed}");
        world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "headgroup", 0)));
        world_step(&w);
        cr_assert(list_empty(&w.p->actions));
        cr_assert_not(world_is(&w, RAIA_COND_ACCEPTED));
        cr_assert_eq(number(&w, "status.readyWorkerReplicas"), 2);
        cr_assert_eq(number(&w, "status.availableWorkerReplicas"), 2);
        cr_assert_eq(number(&w, "status.observedGeneration"), 2);
        cr_assert_not(world_is(&w, RAY_COND_HEAD_READY));
        cr_assert(world_is(&w, RAY_COND_PROVISIONED), "never taken back");
        cr_assert_str_eq(text(&w, "status.reason"), world_reason(&w, RAIA_COND_ACCEPTED));
        world_spec(&w, "", keys[i], json_new_null());
        world_rest(&w);
        cr_assert(world_is(&w, RAIA_COND_ACCEPTED));
        cr_assert_eq(number(&w, "status.readyWorkerReplicas"), 3);
        cr_assert_str_eq(text(&w, "status.reason"), "");
        world_done(&w);
    }
}

/* Pods that wait say why: in a condition for each group, bounded, and in one word for kubectl get. */
Test(raycluster_status, pending)
{
    struct world w;
    char long_text[2048], yaml[2400];
    world_init(&w, TWO);
    world_step(&w);
    cr_assert_str_eq(world_reason(&w, RAIA_COND_PENDING), "", "all goes its way");
    world_settle(&w);
    world_status(world_pod(&w, "a", 1),
                 "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: "
                 "Unschedulable, message: '0/2 nodes are available: 2 Insufficient cpu.'}]}");
    world_status(world_pod(&w, "b", 0),
                 "{phase: Pending, containerStatuses: [{name: r, ready: false, state: {waiting: "
                 "{reason: ImagePullBackOff, message: Back-off pulling image}}}]}");
    world_step(&w);
    cr_assert(world_is(&w, RAIA_COND_PENDING));
    cr_assert_str_eq(world_reason(&w, RAIA_COND_PENDING), "Unschedulable");
    cr_assert_str_eq(world_says(&w, RAIA_COND_PENDING),
                     "group a: Unschedulable: 0/2 nodes are available: 2 Insufficient cpu.; "
                     "group b: ImagePullBackOff: Back-off pulling image");
    cr_assert_str_eq(text(&w, "status.reason"), "Unschedulable");
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text + 199, "\xc3\xa9", 2);
    long_text[sizeof long_text - 1] = 0;
    snprintf(yaml, sizeof yaml,
             "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: "
             "Unschedulable, message: %s}]}",
             long_text);
    for (size_t i = 0; i < 2; i++)
        world_status(world_pod(&w, "a", i), yaml);
    world_step(&w);
    cr_assert_lt(strlen(world_says(&w, RAIA_COND_PENDING)), 400);
    cr_assert(strstr(world_says(&w, RAIA_COND_PENDING), "xxx; group b: "));
    cr_assert_not(strstr(world_says(&w, RAIA_COND_PENDING), "\xc3"), "cut between characters");
    world_status(world_pod(&w, "a", 0), WORLD_RUNNING);
    world_status(world_pod(&w, "a", 1), WORLD_RUNNING);
    world_status(world_pod(&w, "b", 0), WORLD_RUNNING);
    world_step(&w);
    cr_assert_str_eq(world_reason(&w, RAIA_COND_PENDING), "");
    cr_assert_str_eq(text(&w, "status.reason"), "");
    world_done(&w);
}

/* What is not supported yet is listed in one condition, and the rest is done. */
Test(raycluster_status, unsupported)
{
    struct world w;
    world_init(&w, "enableInTreeAutoscaling: true\n" TWO);
    world_step(&w);
    cr_assert(world_is(&w, RAIA_COND_UNSUPPORTED));
    cr_assert(strstr(world_says(&w, RAIA_COND_UNSUPPORTED), "spec.enableInTreeAutoscaling"));
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), 4);
    world_done(&w);
}

/* Want of quota is told, and does not keep other groups waiting; it goes with the failure. */
Test(raycluster_status, quota)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "a", 0)));
    world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "b", 0)));
    world_fail(&w, KUBE_FORBIDDEN, "Pod demo-a-worker-zzzzz",
               "pods is forbidden: exceeded quota: q");
    world_step(&w);
    cr_assert(world_is(&w, RAY_COND_REPLICA_FAILURE));
    cr_assert_str_eq(world_reason(&w, RAY_COND_REPLICA_FAILURE), "FailedCreateWorkerPod");
    cr_assert(strstr(world_says(&w, RAY_COND_REPLICA_FAILURE), "exceeded quota"));
    cr_assert(world_event(&w, "FailedToCreateWorkerPod"));
    cr_assert(world_is(&w, RAIA_COND_ACCEPTED));
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), 1);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 2, &kube_pods), 1);
    w.failure.reason = KUBE_OK;
    world_step(&w);
    cr_assert_str_eq(world_reason(&w, RAY_COND_REPLICA_FAILURE), "");
    world_done(&w);
}

/* A template that the API server rejects: the condition names the path in the spec. */
Test(raycluster_status, rejected)
{
    struct world w;
    world_init(&w, TWO);
    world_fail(&w, KUBE_INVALID, "Pod demo-b-worker-zzzzz", "Pod is invalid");
    w.failure.n_causes = 1;
    snprintf(w.failure.causes[0].field, sizeof w.failure.causes[0].field,
             "spec.containers[0].image");
    snprintf(w.failure.causes[0].message, sizeof w.failure.causes[0].message, "Required value");
    world_step(&w);
    cr_assert_str_eq(world_reason(&w, RAIA_COND_ACCEPTED), RAIA_REASON_POD_REJECTED);
    cr_assert(strstr(world_says(&w, RAIA_COND_ACCEPTED),
                     "spec.workerGroupSpecs[1].template.spec.containers[0].image"),
              "%s", world_says(&w, RAIA_COND_ACCEPTED));
    world_done(&w);
}

/* A pod name that somebody else has is not asked for again. */
Test(raycluster_status, name_taken)
{
    struct world w;
    char first[POD_NAME_SIZE];
    struct plan_action *a;
    world_init(&w, HEAD);
    cr_assert_eq(world_try(&w, NULL), 0);
    a = container_of(w.p->actions.prev, struct plan_action, link);
    snprintf(first, sizeof first, "%s", a->name);
    snprintf(w.failed, sizeof w.failed, "Pod %s", first);
    w.failure.reason = KUBE_ALREADY_EXISTS;
    cr_assert_eq(world_try(&w, NULL), 0);
    a = container_of(w.p->actions.prev, struct plan_action, link);
    cr_assert_str_neq(a->name, first);
    cr_assert_not(conditions_get(json_get(w.p->status, "conditions"), RAY_COND_REPLICA_FAILURE));
    world_fail(&w, KUBE_ALREADY_EXISTS, "Service demo-head-svc", "services demo-head-svc exists");
    world_step(&w);
    cr_assert_str_eq(world_reason(&w, RAIA_COND_ACCEPTED), "NameTaken");
    world_done(&w);
}
