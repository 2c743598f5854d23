/*
 * Tests of core/raycluster.h: from the pods that are seen to those that are planned.
 */
#include "raycluster_specs.h"

/* A new cluster: secrets and services first, then head and workers side by side; nothing twice, and
 * when all are ready the status says so and nothing is done any more. */
Test(raycluster, from_nothing)
{
    struct world w;
    world_init(&w, TWO);
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 4);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_services), 1);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), 4);
    cr_assert(world_event(&w, "CreatedHeadPod"));
    cr_assert_not(world_event(&w, "CreatedWorkerPod"), "one event tells of all pods");
    cr_assert(world_is(&w, RAIA_COND_ACCEPTED));
    cr_assert_str_eq(
        json_str(json_get(conditions_get(json_get(w.p->status, "conditions"), RAY_COND_HEAD_READY),
                          "reason")),
        RAY_REASON_HEAD_NOT_FOUND);
    cr_assert_str_eq(world_reason(&w, RAY_COND_HEAD_READY), RAY_REASON_UNKNOWN);
    cr_assert_str_eq(text(&w, "status.head.podName"), world_name(world_pod(&w, "headgroup", 0)));
    cr_assert_str_eq(text(&w, "status.head.serviceName"), "demo-head-svc");
    cr_assert_str_eq(text(&w, "status.endpoints.dashboard"), "8265");
    cr_assert_str_eq(world_reason(&w, RAY_COND_PROVISIONED), RAY_REASON_PROVISIONING);
    cr_assert_str_eq(text(&w, "status.state"), "");

    world_rest(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_eq(world_count(&w, "headgroup"), 1);
    cr_assert_eq(world_count(&w, "a"), 2);
    cr_assert_str_eq(text(&w, "status.state"), "ready");
    cr_assert(world_is(&w, RAY_COND_PROVISIONED));
    cr_assert(world_is(&w, RAY_COND_HEAD_READY));
    cr_assert_eq(number(&w, "status.readyWorkerReplicas"), 3);
    cr_assert_eq(number(&w, "status.availableWorkerReplicas"), 3);
    cr_assert_eq(number(&w, "status.desiredWorkerReplicas"), 3);
    cr_assert_eq(number(&w, "status.maxWorkerReplicas"), 18);
    cr_assert_eq(number(&w, "status.observedGeneration"), 1);
    cr_assert_str_eq(text(&w, "status.desiredCPU"), "6500m");
    cr_assert_str_eq(text(&w, "status.desiredMemory"), "4Gi");
    cr_assert_str_eq(text(&w, "status.desiredGPU"), "0");
    cr_assert_str_eq(text(&w, "status.endpoints.dashboard"), "8265");
    cr_assert_str_eq(text(&w, "status.head.podIP"), "10.0.0.1");
    cr_assert_str_eq(text(&w, "status.head.serviceIP"), "10.0.0.1");
    cr_assert_str_eq(text(&w, "status.head.serviceName"), "demo-head-svc");
    cr_assert_str_eq(text(&w, "status.head.podName"), world_name(world_pod(&w, "headgroup", 0)));
    world_done(&w);
}

/* The same plan twice names the same pods: a creation of unknown outcome can be repeated. */
Test(raycluster, same_names)
{
    struct world w;
    char names[4][POD_NAME_SIZE];
    struct plan_action *a;
    size_t n = 0;
    world_init(&w, TWO);
    cr_assert_eq(world_try(&w, NULL), 0);
    LIST_FOREACH (a, &w.p->actions, link)
        if (a->resource == &kube_pods)
            snprintf(names[n++], POD_NAME_SIZE, "%s", a->name);
    w.r->forget(w.r, w.memory); /* another operator */
    w.memory = NULL;
    cr_assert_eq(world_try(&w, NULL), 0);
    n = 0;
    LIST_FOREACH (a, &w.p->actions, link)
        if (a->resource == &kube_pods)
            cr_assert_str_eq(a->name, names[n++]);
    cr_assert_eq(n, 4);
    world_done(&w);
}

/* Fewer replicas: what does not run goes first, then what is not ready, then the newest. */
Test(raycluster, scale_down)
{
    struct world w;
    world_init(&w, HEAD "workerGroupSpecs:\n" GROUP("a", "4", ""));
    world_rest(&w);
    char pending[POD_NAME_SIZE], unready[POD_NAME_SIZE], newest[POD_NAME_SIZE] = "",
                                                         oldest[64] = "";
    snprintf(pending, sizeof pending, "%s", world_name(world_pod(&w, "a", 0)));
    snprintf(unready, sizeof unready, "%s", world_name(world_pod(&w, "a", 1)));
    world_status(world_pod(&w, "a", 0), "{phase: Pending}");
    world_status(world_pod(&w, "a", 1), "{phase: Running}");
    const char *t2 = json_str(json_at(world_pod(&w, "a", 2), "metadata.creationTimestamp"));
    const char *t3 = json_str(json_at(world_pod(&w, "a", 3), "metadata.creationTimestamp"));
    bool third = strcmp(t2, t3) > 0;
    snprintf(newest, sizeof newest, "%s", world_name(world_pod(&w, "a", third ? 2 : 3)));
    snprintf(oldest, sizeof oldest, "%s", world_name(world_pod(&w, "a", third ? 3 : 2)));
    const char *order[] = {pending, unready, newest};
    for (int64_t left = 3; left > 0; left--) {
        world_spec(&w, "workerGroupSpecs[0]", "replicas", json_new_int(left));
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_DELETE, 1, &kube_pods), 1);
        struct plan_action *a = LIST_FIRST(&w.p->actions, struct plan_action, link);
        cr_assert_str_eq(a->name, order[3 - left], "%lld left", (long long)left);
        cr_assert(world_event(&w, "DeletedWorkerPod"));
        for (size_t i = 0; i < w.n[SEEN_PODS]; i++) /* gone, and no other has changed */
            if (json_at(w.objects[SEEN_PODS][i], "metadata.deletionTimestamp"))
                world_remove(&w, SEEN_PODS, order[3 - left]);
    }
    cr_assert_str_eq(world_name(world_pod(&w, "a", 0)), oldest);
    world_done(&w);
}

/* More replicas, a new group and a removed one. */
Test(raycluster, groups_change)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    world_spec(&w, "", "workerGroupSpecs", world_yaml(GROUP("a", "3", "") GROUP("c", "1", "")));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), 2);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, 1, &kube_pods), 1);
    world_rest(&w);
    cr_assert_eq(world_count(&w, "a"), 3);
    cr_assert_eq(world_count(&w, "b"), 0);
    cr_assert_eq(world_count(&w, "c"), 1);
    cr_assert_eq(number(&w, "status.readyWorkerReplicas"), 4);
    world_done(&w);
}

/* A pod named in workersToDelete goes, and is replaced by one of another name. */
Test(raycluster, workers_to_delete)
{
    struct world w;
    char name[POD_NAME_SIZE];
    world_init(&w, TWO);
    world_rest(&w);
    snprintf(name, sizeof name, "%s", world_name(world_pod(&w, "a", 0)));
    struct json *strategy = world_yaml("{workersToDelete: []}");
    json_append_str(json_get(strategy, "workersToDelete"), name);
    world_spec(&w, "workerGroupSpecs[0]", "scaleStrategy", strategy);
    world_rest(&w);
    cr_assert_eq(world_count(&w, "a"), 2);
    cr_assert_not(world_get(&w, SEEN_PODS, name));
    cr_assert(list_empty(&w.p->actions));
    world_done(&w);
}

static const struct {
    const char *status; /* of a worker's pod */
    const char *policy; /* restartPolicy */
    bool replaced;
} fates[] = {
    {"{phase: Failed}", "Always", true},
    {"{phase: Succeeded}", "Always", true},
    {"{phase: Pending}", "Always", false},
    {"{phase: Running, containerStatuses: [{name: r, state: {terminated: {exitCode: 1}}}]}",
     "Never", true},
    {"{phase: Running, containerStatuses: [{name: r, state: {terminated: {exitCode: 0}}}]}",
     "OnFailure", true},
    {"{phase: Running, containerStatuses: [{name: r, state: {terminated: {exitCode: 1}}}]}",
     "OnFailure", false},
    {"{phase: Running, containerStatuses: [{name: r, restartCount: 5, state: {waiting: {reason: "
     "CrashLoopBackOff}}}]}",
     "Always", true},
    {"{phase: Running, containerStatuses: [{name: r, restartCount: 4, state: {waiting: {reason: "
     "CrashLoopBackOff}}}]}",
     "Always", false},
    {"{phase: Running, containerStatuses: [{name: r, restartCount: 9, state: {running: {}}}]}",
     "Always", false},
    {"{phase: Running, containerStatuses: [{name: side, restartCount: 9, state: {waiting: {reason: "
     "CrashLoopBackOff}}}]}",
     "Always", false},
};

/* Which pods are of no use any more; a worker's replacement comes in the same plan. */
Test(raycluster, fates)
{
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        struct world w;
        world_init(&w, TWO);
        world_rest(&w);
        struct json *pod = world_pod(&w, "a", 0);
        json_set_str(json_get(pod, "spec"), "restartPolicy", fates[i].policy);
        world_status(pod, fates[i].status);
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_DELETE, 1, &kube_pods), fates[i].replaced, "case %zu",
                     i);
        cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), fates[i].replaced, "case %zu",
                     i);
        world_done(&w);
    }
}

/* The head's condition says why its container ended, by the last line of what it said, and not for
 * how long the kubelet waits; without such words it says that. */
Test(raycluster, last_words)
{
    static const struct {
        const char *status, *message;
    } cases[] = {
        {"lastState: {terminated: {message: \"begun\\nno glibc here\\n\"}}, state: {waiting: "
         "{reason: CrashLoopBackOff, message: back-off 10s}}",
         "no glibc here"},
        {"state: {waiting: {reason: CrashLoopBackOff, message: back-off 10s}}", "back-off 10s"},
        {"lastState: {terminated: {message: old}}, state: {waiting: {reason: ErrImagePull, "
         "message: no such image}}",
         "no such image"},
        {"state: {terminated: {reason: Error, message: \"\\n one\\n two \\n\"}}", " two"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        char status[400];
        world_init(&w, TWO);
        world_rest(&w);
        snprintf(status, sizeof status,
                 "{phase: Running, containerStatuses: [{name: r, restartCount: 1, %s}]}",
                 cases[i].status);
        world_status(world_pod(&w, "headgroup", 0), status);
        world_step(&w);
        const struct json *c =
            conditions_get(json_at(w.cluster, "status.conditions"), RAY_COND_HEAD_READY);
        cr_assert_str_eq(json_str(json_get(c, "message")), cases[i].message, "case %zu", i);
        world_done(&w);
    }
}

/* A group whose pods keep failing gets the first replacement at once, the next ones after 1, 2, 4 s
 * and so on, and a pod that the user adds meanwhile does not wait. */
Test(raycluster, backoff)
{
    static const int64_t waits_s[] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
    struct world w;
    world_init(&w, HEAD "workerGroupSpecs:\n" GROUP("a", "1", ""));
    world_rest(&w);
    for (size_t i = 0; i < sizeof waits_s / sizeof *waits_s; i++) {
        world_status(world_pod(&w, "a", 0), "{phase: Failed}");
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_pods), waits_s[i] == 0);
        world_settle(&w);
        if (waits_s[i] > 0) {
            cr_assert_eq(w.p->again, w.now + waits_s[i] * CLOCK_NS_PER_S, "failure %zu", i);
            if (i == 5) {
                world_spec(&w, "workerGroupSpecs[0]", "replicas", json_new_int(2));
                world_step(&w);
                cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_pods), 1);
                world_spec(&w, "workerGroupSpecs[0]", "replicas", json_new_int(1));
                world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "a", 0)));
            }
            w.now += waits_s[i] * CLOCK_NS_PER_S;
            world_step(&w);
            cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_pods), 1, "failure %zu", i);
        }
        world_settle(&w);
    }
    world_done(&w);
}

/* Pods of a node that is not ready for the time it may be are deleted by force, those that are going
 * too; before that the plan asks to be called in time. */
Test(raycluster, lost_node)
{
    struct world w;
    world_init(&w, TWO);
    world_node(&w, "n1", true, 1000);
    world_rest(&w);
    for (size_t i = 0; i < 2; i++)
        json_set_str(json_get(world_pod(&w, "a", i), "spec"), "nodeName", "n1");
    json_set_str(json_get(world_pod(&w, "a", 0), "metadata"), "deletionTimestamp", "x");
    world_step(&w);
    world_settle(&w);
    json_set_str(json_get(world_pod(&w, "a", 1), "spec"), "nodeName", "n1");
    json_set_str(json_get(world_pod(&w, "b", 0), "spec"), "nodeName", "n1");
    json_set_str(json_get(world_pod(&w, "b", 0), "metadata"), "deletionTimestamp", "x");
    world_node(&w, "n1", false, 10);
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 0);
    cr_assert_eq(w.p->again, w.now + 30 * CLOCK_NS_PER_S);
    w.now += 30 * CLOCK_NS_PER_S;
    world_step(&w);
    struct plan_action *a;
    unsigned forced = 0;
    LIST_FOREACH (a, &w.p->actions, link)
        if (a->kind == PLAN_DELETE)
            forced += a->grace_s == 0;
    cr_assert_eq(forced, 2 + (world_count(&w, "a") == 3), "both of n1");
    world_rest(&w);
    cr_assert_eq(world_count(&w, "a"), 2);
    cr_assert_eq(world_count(&w, "b"), 1);
    world_done(&w);
}

/* How long a node is not ready is told by the operator's own clock, from when it saw that first: the
 * server's time may be any; another transition begins anew, and so does another operator. */
Test(raycluster, lost_node_clocks)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    json_set_str(json_get(world_pod(&w, "a", 0), "spec"), "nodeName", "n1");
    world_node(&w, "n1", false, 100000); /* the server's clock is far behind, or the wall's ahead */
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 0, "seen just now");
    w.wall_ns += 1000 * CLOCK_NS_PER_S; /* it jumps */
    w.now += 29 * CLOCK_NS_PER_S;
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 0);
    cr_assert_eq(w.p->again, w.now + CLOCK_NS_PER_S);
    world_node(&w, "n1", false, 5); /* it was ready between, unseen */
    world_step(&w);
    cr_assert_eq(w.p->again, w.now + 30 * CLOCK_NS_PER_S);
    w.now += 29 * CLOCK_NS_PER_S;
    world_node(&w, "n1", true, 0);
    world_step(&w);
    world_node(&w, "n1", false, 0);
    w.r->forget(w.r, w.memory);
    w.memory = NULL;
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 0);
    w.wall_ns -= 100000 * CLOCK_NS_PER_S;
    w.now += 30 * CLOCK_NS_PER_S;
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 1);
    world_done(&w);
}

/* A node that nobody knows is not lost at once: it may be newer than what is seen of nodes. */
Test(raycluster, unknown_node)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    json_set_str(json_get(world_pod(&w, "a", 0), "spec"), "nodeName", "new");
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 0);
    cr_assert_eq(w.p->again, w.now + 30 * CLOCK_NS_PER_S);
    w.now += 30 * CLOCK_NS_PER_S;
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 1);
    world_done(&w);
}

/* The next head is made when the one before it is gone, and workers stay. */
Test(raycluster, head_again)
{
    struct world w;
    char old[POD_NAME_SIZE];
    world_init(&w, TWO);
    world_rest(&w);
    snprintf(old, sizeof old, "%s", world_name(world_pod(&w, "headgroup", 0)));
    world_status(world_pod(&w, "headgroup", 0), "{phase: Failed}");
    world_step(&w);
    cr_assert(world_event(&w, "DeletedHeadPod"));
    cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_pods), 0);
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_pods), 0, "it is still there");
    cr_assert_not(world_is(&w, RAY_COND_HEAD_READY));
    cr_assert_eq(number(&w, "status.readyWorkerReplicas"), 3);
    cr_assert_str_eq(text(&w, "status.state"), "ready", "never taken back");
    world_rest(&w);
    cr_assert_eq(world_count(&w, "headgroup"), 1);
    cr_assert_eq(world_count(&w, "a"), 2);
    cr_assert(world_is(&w, RAY_COND_HEAD_READY));
    world_done(&w);
}

/* With the annotation a head that is lost after the cluster was ready is not made again. */
Test(raycluster, no_head_again)
{
    struct world w;
    world_init(&w, TWO);
    json_set(json_get(w.cluster, "metadata"), "annotations",
             world_yaml("{ray.io/disable-provisioned-head-restart: 'true'}"));
    world_rest(&w);
    cr_assert_eq(world_count(&w, "headgroup"), 1);
    world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "headgroup", 0)));
    world_rest(&w);
    cr_assert_eq(world_count(&w, "headgroup"), 0);
    world_done(&w);
}

/* Suspending is said first, then done to the end, even if it is taken back; then all comes again. */
Test(raycluster, suspend)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    world_spec(&w, "", "suspend", json_new_bool(true));
    world_step(&w);
    cr_assert(list_empty(&w.p->actions), "nothing before it is said");
    cr_assert(world_is(&w, RAY_COND_SUSPENDING));
    world_spec(&w, "", "suspend", json_new_bool(false));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 4);
    cr_assert(world_is(&w, RAY_COND_SUSPENDING));
    cr_assert_not(world_is(&w, RAY_COND_SUSPENDED));
    world_spec(&w, "", "suspend", json_new_bool(true));
    world_rest(&w);
    cr_assert_eq(w.n[SEEN_PODS], 0);
    cr_assert_gt(w.n[SEEN_SERVICES], 0);
    cr_assert(world_is(&w, RAY_COND_SUSPENDED));
    cr_assert_str_eq(world_reason(&w, RAY_COND_SUSPENDING), "");
    cr_assert_str_eq(text(&w, "status.state"), "suspended");
    world_spec(&w, "", "suspend", json_new_bool(false));
    world_rest(&w);
    cr_assert_eq(w.n[SEEN_PODS], 4);
    cr_assert_str_eq(text(&w, "status.state"), "ready");
    cr_assert_str_eq(world_reason(&w, RAY_COND_SUSPENDED), "");
    cr_assert(world_is(&w, RAY_COND_PROVISIONED));
    world_done(&w);
}

/* upgradeStrategy Recreate: another image, and all pods are made anew, the old ones being gone
 * first; another number of replicas is no such change. */
Test(raycluster, recreate)
{
    struct world w;
    world_init(&w, "upgradeStrategy: {type: Recreate}\n" TWO);
    world_rest(&w);
    world_spec(&w, "workerGroupSpecs[1]", "replicas", json_new_int(2));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 0);
    world_rest(&w);
    world_spec(&w, "workerGroupSpecs[0].template.spec.containers[0]", "image", json_new_str("new"));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_pods), 5);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_pods), 0);
    world_rest(&w);
    cr_assert_eq(w.n[SEEN_PODS], 5);
    cr_assert_str_eq(json_str(json_at(world_pod(&w, "a", 0), "spec.containers[0].image")), "new");
    world_done(&w);
}

/* Without it nothing happens to pods that are there. */
Test(raycluster, no_recreate)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    world_spec(&w, "workerGroupSpecs[0].template.spec.containers[0]", "image", json_new_str("new"));
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_eq(number(&w, "status.observedGeneration"), 2);
    world_done(&w);
}

/* Multi-host: labels tell the places; a host that is lost takes its replica with it, and the index
 * is used again when all of it is gone; one named in workersToDelete does the same. */
Test(raycluster, hosts)
{
    struct world w;
    char name[POD_NAME_SIZE];
    world_init(&w, HEAD "workerGroupSpecs:\n" GROUP("t", "2", "numOfHosts: 3, "));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_services), 2);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), 7);
    world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "t", 4)));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), 1, "it had not begun: filled up");
    cr_assert_eq(world_planned(&w, PLAN_DELETE, 1, &kube_pods), 0);
    world_rest(&w);
    cr_assert_str_eq(text(&w, "status.state"), "ready");
    cr_assert_eq(number(&w, "status.desiredWorkerReplicas"), 6);

    world_status(world_pod(&w, "t", 0), "{phase: Failed}");
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, 1, &kube_pods), 3);
    world_rest(&w);
    cr_assert_eq(world_count(&w, "t"), 6);
    for (size_t i = 0; i < 6; i++) {
        const struct json *labels = json_at(world_pod(&w, "t", i), "metadata.labels");
        const char *replica = json_str(json_get(labels, RAY_LABEL_REPLICA_INDEX));
        const char *host = json_str(json_get(labels, RAY_LABEL_HOST_INDEX));
        cr_assert(replica[0] >= '0' && replica[0] < '3' && host[0] >= '0' && host[0] < '3');
        for (size_t k = 0; k < i; k++) { /* each place once */
            const struct json *other = json_at(world_pod(&w, "t", k), "metadata.labels");
            cr_assert(strcmp(replica, json_str(json_get(other, RAY_LABEL_REPLICA_INDEX))) != 0 ||
                      strcmp(host, json_str(json_get(other, RAY_LABEL_HOST_INDEX))) != 0);
        }
    }
    world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "t", 1)));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, 1, &kube_pods), 2, "incomplete after it had begun");
    world_rest(&w);
    cr_assert_eq(world_count(&w, "t"), 6);

    snprintf(name, sizeof name, "%s", world_name(world_pod(&w, "t", 0)));
    struct json *strategy = world_yaml("{workersToDelete: []}");
    json_append_str(json_get(strategy, "workersToDelete"), name);
    world_spec(&w, "workerGroupSpecs[0]", "scaleStrategy", strategy);
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, 1, &kube_pods), 3);
    world_rest(&w);
    cr_assert_eq(world_count(&w, "t"), 6);
    world_spec(&w, "workerGroupSpecs[0]", "replicas", json_new_int(1));
    world_rest(&w);
    cr_assert_eq(world_count(&w, "t"), 3);
    cr_assert(list_empty(&w.p->actions));
    world_done(&w);
}

/* Memory that runs out anywhere is told, nothing is lost, and the next plan is as it should be. */
Test(raycluster, no_memory)
{
    for (int running = 0; running < 2; running++)
        for (uint64_t n = 1;; n += 1 + n / 64) {
            struct world w;
            world_init(&w, TWO);
            if (running)
                world_rest(&w);
            if (running)
                world_status(world_pod(&w, "a", 0), "{phase: Failed}");
            mem_fail_nth(n);
            int r = world_try(&w, NULL);
            mem_fail_nth(0);
            cr_assert(r == 0 || r == -RAIA_ERR_NOMEM, "allocation %lu: %d", (unsigned long)n, r);
            world_step(&w);
            world_rest(&w);
            cr_assert_str_eq(text(&w, "status.state"), "ready");
            world_done(&w);
            if (r == 0)
                break;
            cr_assert_lt(n, 1000000);
        }
}
