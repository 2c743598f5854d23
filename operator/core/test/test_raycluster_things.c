/*
 * Tests of core/raycluster.h: services, secrets and claims.
 */
#include "raycluster_specs.h"

static const char *service_text(struct world *w, const char *path)
{
    const char *v = json_str(json_at(world_get(w, SEEN_SERVICES, "demo-head-svc"), path));
    return v ? v : "";
}

/* The head service follows the spec: annotations, ports, what headService adds; what is taken out of
 * the spec goes, what others have added stays, and then there is rest. */
Test(raycluster_things, service_follows)
{
    struct world w;
    world_init(&w,
               "headServiceAnnotations: {a: one, b: two}\n"
               "headGroupSpec: {headService: {spec: {sessionAffinity: ClientIP, selector: {x: z}}, "
               "metadata: {labels: {l: m}}}, template: {spec: {containers: [{name: r, image: "
               "i}]}}}\n");
    world_rest(&w);
    struct json *s = world_get(&w, SEEN_SERVICES, "demo-head-svc");
    json_set_str(json_at(s, "metadata.annotations"), "cloud", "theirs");
    json_set_str(json_get(s, "spec"), "ipFamilyPolicy", "SingleStack");
    json_set_str(json_get(s, "spec"), "clusterIP", "10.96.0.7");
    cr_assert_str_eq(service_text(&w, "spec.sessionAffinity"), "ClientIP");
    world_step(&w);
    cr_assert(list_empty(&w.p->actions), "the server's own additions are no difference");

    world_spec(&w, "", "headServiceAnnotations", world_yaml("{b: three}"));
    world_spec(&w, "headGroupSpec", "headService", world_yaml("{metadata: {labels: {p: q}}}"));
    world_spec(&w, "headGroupSpec.template.spec.containers[0]", "ports",
               world_yaml("[{name: extra, containerPort: 7777}]"));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_PATCH, -1, &kube_services), 1);
    cr_assert(world_event(&w, "UpdatedService"));
    cr_assert_str_eq(service_text(&w, "metadata.annotations.a"), "");
    cr_assert_str_eq(service_text(&w, "metadata.annotations.b"), "three");
    cr_assert_str_eq(service_text(&w, "metadata.annotations.cloud"), "theirs");
    cr_assert_str_eq(service_text(&w, "metadata.labels.l"), "");
    cr_assert_str_eq(service_text(&w, "metadata.labels.p"), "q");
    cr_assert_str_eq(service_text(&w, "spec.sessionAffinity"), "");
    cr_assert_str_eq(service_text(&w, "spec.selector.x"), "");
    cr_assert_str_eq(service_text(&w, "spec.selector[\"ray.io/node-type\"]"), "head");
    cr_assert_str_eq(service_text(&w, "spec.ipFamilyPolicy"), "SingleStack");
    cr_assert_str_eq(service_text(&w, "spec.ports[0].name"), "extra");
    cr_assert_str_eq(service_text(&w, "spec.clusterIP"), "10.96.0.7");
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    world_done(&w);
}

/* A headless service cannot become one with an address, nor the other way round: it is made anew, once
 * it is gone. Another type of one that has an address is no more than a change. */
Test(raycluster_things, service_made_anew)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    cr_assert_str_eq(service_text(&w, "spec.clusterIP"), "None");
    world_spec(&w, "headGroupSpec", "serviceType", json_new_str("NodePort"));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_services), 1);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, -1, &kube_services), 0);
    world_step(&w);
    cr_assert(list_empty(&w.p->actions), "it is still going");
    world_remove(&w, SEEN_SERVICES, "demo-head-svc");
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_services), 1);
    cr_assert_str_eq(service_text(&w, "spec.type"), "NodePort");
    json_set_str(json_get(world_get(&w, SEEN_SERVICES, "demo-head-svc"), "spec"), "clusterIP",
                 "10.96.0.7");
    world_spec(&w, "headGroupSpec", "serviceType", json_new_str("LoadBalancer"));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_PATCH, -1, &kube_services), 1);
    cr_assert_str_eq(service_text(&w, "spec.type"), "LoadBalancer");
    world_spec(&w, "headGroupSpec", "serviceType", json_new_null());
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, -1, &kube_services), 1);
    world_done(&w);
}

/* The service of groups with several hosts, and that of Serve, go when nothing asks for them any more;
 * a service of somebody else's with the same owner and label stays. */
Test(raycluster_things, service_not_wanted)
{
    struct world w;
    world_init(&w, "headGroupSpec: {template: {spec: {containers: [{name: r, image: i}]}}}\n"
                   "workerGroupSpecs: [{groupName: a, replicas: 1, minReplicas: 0, maxReplicas: 1, "
                   "numOfHosts: 2, template: {spec: {containers: [{name: r, image: i}]}}}]\n");
    json_set(json_get(w.cluster, "metadata"), "annotations",
             world_yaml("{ray.io/enable-serve-service: 'true'}"));
    world_rest(&w);
    cr_assert_eq(w.n[SEEN_SERVICES], 3);
    world_put(&w, SEEN_SERVICES,
              world_yaml("{metadata: {name: demo-theirs, namespace: team, uid: t, labels: "
                         "{ray.io/cluster: demo}}, spec: {}}"));
    world_step(&w);
    cr_assert(list_empty(&w.p->actions), "nothing is unwanted");
    world_spec(&w, "workerGroupSpecs[0]", "numOfHosts", json_new_int(1));
    json_set(json_get(w.cluster, "metadata"), "annotations", world_yaml("{}"));
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_DELETE, 2, &kube_services), 2);
    cr_assert(world_event(&w, "DeletedService"));
    world_remove(&w, SEEN_SERVICES, "demo-headless");
    world_remove(&w, SEEN_SERVICES, "demo-serve-svc");
    world_rest(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert(world_get(&w, SEEN_SERVICES, "demo-theirs"));
    cr_assert(world_get(&w, SEEN_SERVICES, "demo-head-svc"));
    world_done(&w);
}

/* A head service of another name is made at once; the old one stays as long as there are pods that
 * know the head by it. */
Test(raycluster_things, head_service_renamed)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    world_spec(&w, "headGroupSpec", "headService", world_yaml("{metadata: {name: other}}"));
    w.now += 60 * CLOCK_NS_PER_S;
    w.wall_ns += 60 * CLOCK_NS_PER_S;
    world_rest(&w);
    cr_assert(world_get(&w, SEEN_SERVICES, "other") &&
              world_get(&w, SEEN_SERVICES, "demo-head-svc"));
    while (w.n[SEEN_PODS])
        world_remove(&w, SEEN_PODS, world_name(w.objects[SEEN_PODS][0]));
    w.now += 60 * CLOCK_NS_PER_S;
    w.wall_ns += 60 * CLOCK_NS_PER_S;
    world_rest(&w);
    cr_assert_eq(world_count(&w, "a"), 2);
    cr_assert(json_at(world_get(&w, SEEN_SERVICES, "demo-head-svc"), "metadata.deletionTimestamp"));
    cr_assert_not(json_at(world_get(&w, SEEN_SERVICES, "other"), "metadata.deletionTimestamp"));
    world_done(&w);
}

/* Labels of our secrets that somebody has changed come back; what others have added stays. */
Test(raycluster_things, secret_labels)
{
    static const char *const names[] = {"demo", "demo-raia-ca", "demo-raia-tls-head",
                                        "demo-raia-tls-worker"};
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    for (size_t i = 0; i < 4; i++) {
        struct json *labels = json_at(world_get(&w, SEEN_SECRETS, names[i]), "metadata.labels");
        json_set_str(labels, RAY_LABEL_CREATED_BY, "somebody");
        json_set_str(labels, "theirs", "1");
    }
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_PATCH, 2, &kube_secrets), 4);
    for (size_t i = 0; i < 4; i++) {
        struct json *labels = json_at(world_get(&w, SEEN_SECRETS, names[i]), "metadata.labels");
        cr_assert_str_eq(json_str(json_get(labels, RAY_LABEL_CREATED_BY)), POD_CREATED_BY);
        cr_assert_str_eq(json_str(json_get(labels, "theirs")), "1");
    }
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_eq(w.maker.cas, 1, "no key was made anew");
    world_done(&w);
}

/* A service that the API server does not take is told with its field; pods come all the same. */
Test(raycluster_things, service_rejected)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    world_spec(&w, "", "headServiceAnnotations", world_yaml("{x: z}"));
    world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "a", 0)));
    world_fail(&w, KUBE_INVALID, "Service demo-head-svc", "spec.ports[0].port: Invalid value: 0");
    world_step(&w);
    cr_assert_not(world_is(&w, RAIA_COND_ACCEPTED));
    cr_assert_str_eq(world_says(&w, RAIA_COND_ACCEPTED),
                     "spec.headGroupSpec.headService: Service demo-head-svc: spec.ports[0].port: "
                     "Invalid value: 0");
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), 1);
    cr_assert_eq(world_planned(&w, PLAN_PATCH, 2, &kube_services), 1, "after them");
    world_done(&w);
}

/* With a volume: its claim comes before the head, once; one that outlives the cluster has no owner. */
Test(raycluster_things, storage)
{
    struct world w;
    world_init(&w, "gcsFaultToleranceOptions: {backend: rocksdb, storage: {size: 1Gi}}\n" TWO);
    world_rest(&w);
    cr_assert_eq(w.n[SEEN_PVCS], 1);
    cr_assert(list_empty(&w.p->actions));
    world_done(&w);

    world_init(
        &w,
        "gcsFaultToleranceOptions: {backend: rocksdb, storage: {deletionPolicy: Retain}}\n" TWO);
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_pvcs), 1);
    cr_assert_not(json_at(w.objects[SEEN_PVCS][0], "metadata.ownerReferences"));
    world_remove(&w, SEEN_PVCS, "demo-gcs-pvc"); /* it is nobody's, so it is not seen */
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_pvcs), 0);
    world_done(&w);
}

static const char *ca_of(struct world *w, const char *secret)
{
    return json_str(json_at(world_get(w, SEEN_SECRETS, secret), "data[\"ca.pem\"]"));
}

/* A secret that is missing, for whatever reason, comes back, and all three fit together. */
Test(raycluster_things, keys_completed)
{
    static const char *const names[] = {"demo-raia-ca", "demo-raia-tls-head",
                                        "demo-raia-tls-worker"};
    for (size_t i = 0; i < 3; i++) {
        struct world w;
        world_init(&w, TWO);
        world_rest(&w);
        cr_assert_eq(w.maker.cas, 1);
        world_remove(&w, SEEN_SECRETS, names[i]);
        world_rest(&w);
        cr_assert(list_empty(&w.p->actions));
        const char *head = ca_of(&w, names[1]), *worker = ca_of(&w, names[2]);
        cr_assert(strstr(head, "cert of ca 2"), "%s", head);
        cr_assert_str_eq(head, worker);
        cr_assert_eq(strstr(head, "cert of ca 1") != NULL, i != 0, "the old one is trusted on");
        world_done(&w);
    }
}

/* A creation that failed half-way is completed by the same authority. */
Test(raycluster_things, keys_half_made)
{
    struct world w;
    world_init(&w, TWO);
    world_step(&w);
    world_remove(&w, SEEN_SECRETS, "demo-raia-tls-worker");
    world_fail(&w, KUBE_TOO_MANY, "Secret demo-raia-tls-worker", "later");
    world_step(&w);
    cr_assert_eq(w.maker.cas, 1);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 1);
    cr_assert_eq(world_planned(&w, PLAN_APPLY, 0, &kube_secrets), 0);
    world_done(&w);
}

/* Without pods there is nobody to trust anybody: all three are replaced before there are any, for if
 * the operator died in between, the next one would have to introduce yet another authority to them. */
Test(raycluster_things, keys_before_pods)
{
    for (int pods = 0; pods < 2; pods++) {
        struct world w;
        world_init(&w, TWO);
        world_rest(&w);
        unsigned gone = pods ? 0 : (unsigned)w.n[SEEN_PODS];
        while (!pods && w.n[SEEN_PODS])
            world_remove(&w, SEEN_PODS,
                         json_str(json_at(w.objects[SEEN_PODS][0], "metadata.name")));
        world_remove(&w, SEEN_SECRETS, "demo-raia-tls-worker");
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 1);
        cr_assert_eq(world_planned(&w, PLAN_APPLY, 0, &kube_secrets), pods ? 1 : 2);
        cr_assert_eq(world_planned(&w, PLAN_APPLY, 1, &kube_secrets), pods ? 1 : 0);
        cr_assert_eq(world_planned(&w, PLAN_CREATE, 1, &kube_pods), gone);
        world_done(&w);
    }
}

/* Before certificates end a new authority is trusted first, and signs when that has spread. */
Test(raycluster_things, keys_rotated)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    cr_assert_neq(w.p->again, CLOCK_NEVER);
    int64_t step = (SECRET_LEAF_DAYS - SECRET_RENEW_DAYS) * 86400 * CLOCK_NS_PER_S;
    w.now += step;
    w.wall_ns += step;
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_PATCH, 0, &kube_secrets), 2);
    const struct json *worker = world_get(&w, SEEN_SECRETS, "demo-raia-tls-worker");
    cr_assert_str_eq(ca_of(&w, "demo-raia-tls-worker"), "cert of ca 1\ncert of ca 2\n");
    cr_assert_str_eq(json_str(json_at(worker, "data[\"node.pem\"]")), "cert of worker 1\n");
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_eq(w.p->again, w.now + SECRET_SPREAD_NS);
    w.now += SECRET_SPREAD_NS;
    w.wall_ns += SECRET_SPREAD_NS;
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_APPLY, -1, &kube_secrets), 3);
    worker = world_get(&w, SEEN_SECRETS, "demo-raia-tls-worker");
    cr_assert_str_eq(ca_of(&w, "demo-raia-tls-worker"), "cert of ca 1\ncert of ca 2\n");
    cr_assert_str_eq(json_str(json_at(worker, "data[\"node.pem\"]")), "cert of worker 2\n");
    world_rest(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_eq(w.maker.alive, 0, "its key is not kept");
    cr_assert_eq(w.maker.cas, 2);
    world_done(&w);
}

/* Trust that could not be written is written again, and counts from then. */
Test(raycluster_things, keys_trust_refused)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    int64_t step = (SECRET_LEAF_DAYS - SECRET_RENEW_DAYS) * 86400 * CLOCK_NS_PER_S;
    w.now += step;
    w.wall_ns += step;
    world_step(&w);
    for (int i = 0; i < 3; i++) {
        w.now += SECRET_SPREAD_NS / 2;
        world_fail(&w, KUBE_TOO_MANY, "Secret demo-raia-tls-worker", "later");
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_PATCH, 0, &kube_secrets), 2);
    }
    w.failure.reason = KUBE_OK;
    world_step(&w);
    cr_assert(list_empty(&w.p->actions));
    cr_assert_eq(w.p->again, w.now + SECRET_SPREAD_NS);
    cr_assert_eq(w.maker.cas, 2, "one new authority, not one for each trial");
    world_done(&w);
}

/* Certificates that have ended while nobody looked are replaced without waiting for trust to spread. */
Test(raycluster_things, keys_ended)
{
    struct world w;
    world_init(&w, TWO);
    world_rest(&w);
    int64_t step = (SECRET_LEAF_DAYS + 1) * 86400 * CLOCK_NS_PER_S;
    w.now += step;
    w.wall_ns += step;
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_PATCH, 0, &kube_secrets), 2);
    cr_assert_leq(w.p->again, w.now);
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_APPLY, -1, &kube_secrets), 3);
    const struct json *worker = world_get(&w, SEEN_SECRETS, "demo-raia-tls-worker");
    cr_assert_str_eq(json_str(json_at(worker, "data[\"node.pem\"]")), "cert of worker 2\n");
    world_rest(&w);
    cr_assert(list_empty(&w.p->actions));
    world_done(&w);
}

/* A Secret of the token that is the user's own is not ours to see: it is asked for once, and again
 * before a head is made, but not after each failure. One that we have made comes back. */
Test(raycluster_things, own_token)
{
    struct world w;
    world_init(&w, TWO);
    world_step(&w);
    world_remove(&w, SEEN_SECRETS, "demo"); /* somebody else's is there instead */
    w.r->found(w.r, &w.memory, &kube_secrets, "demo");
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 0);
    world_fail(&w, KUBE_FORBIDDEN, "Pod demo-a-worker-zzzzz", "exceeded quota");
    world_step(&w);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 0, "after a failure");
    world_remove(&w, SEEN_PODS, world_name(world_pod(&w, "headgroup", 0)));
    cr_assert_eq(world_try(&w, NULL), 0);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 0, "with no head, either");
    w.failure.reason = KUBE_OK;
    cr_assert_eq(world_try(&w, NULL), 0);
    cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 1, "before the next head");
    world_done(&w);

    world_init(&w, TWO);
    world_rest(&w);
    for (int i = 0; i < 2; i++) { /* the second one is deleted before it was seen */
        world_remove(&w, SEEN_SECRETS, "demo");
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_secrets), 1);
    }
    world_done(&w);
}

/* A service of our name that nobody owns is used, and not asked for again and again. */
Test(raycluster_things, own_service)
{
    struct world w;
    world_init(&w, TWO);
    world_step(&w);
    world_remove(&w, SEEN_SERVICES, "demo-head-svc");
    w.r->found(w.r, &w.memory, &kube_services, "demo-head-svc");
    for (int i = 0; i < 3; i++) {
        world_step(&w);
        cr_assert_eq(world_planned(&w, PLAN_CREATE, 0, &kube_services), 0);
    }
    world_done(&w);
}
