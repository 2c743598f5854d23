/*
 * The RayCluster reconciler under everything that goes wrong: lost and late answers, stale caches,
 * deaths of the operator, users who change their minds, pods that fail, a node that comes and goes.
 * Planted bugs must be found.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/conditions.h"
#include "api/names.h"
#include "base/clock.h"
#include "core/inject.h"
#include "core/raycluster.h"
#include "core/raycluster_plants.h"
#include "core/sim/opsim.h"
#include "fake_maker.h"
#include "kube/wall_time.h"

enum raycluster_plant raycluster_plant;

#define CLUSTERS "/apis/ray.io/v1/rayclusters"
#define ROOT     "/apis/ray.io/v1/namespaces/d/rayclusters"
#define PODS     "/api/v1/pods"
#define SECRETS  "/api/v1/secrets"
#define SERVICES "/api/v1/services"
#define NAMES    2 /* clusters */
#define GROUPS   3 /* a, b, c */
#define MOST     4 /* more than the replicas of a group at any time */
#define BAD_NODE "n3"

static const struct operator_config config = {.raia_image = "raia",
                                              .cluster_domain = "x",
                                              .version = "1",
                                              .probes = true,
                                              .tls = true,
                                              .tokens = true,
                                              .node_lost_ns = 5 * CLOCK_NS_PER_S,
                                              .backoff_max_ns = 20 * CLOCK_NS_PER_S,
                                              .restarts_max = 5};
static struct fake_maker maker;
static struct reconciler *all[1];

/* -- users ------------------------------------------------------------------------------------- */

/* Group g of `hosts` hosts with n replicas; "" if n is negative. */
static void group(char *to, size_t size, unsigned g, int n, bool first)
{
    if (n < 0) {
        to[0] = 0;
        return;
    }
    snprintf(to, size,
             "%s{\"groupName\":\"%c\",\"replicas\":%d,\"minReplicas\":0,\"maxReplicas\":%d,"
             "\"numOfHosts\":%u,\"rayStartParams\":{},\"template\":{\"spec\":{\"containers\":"
             "[{\"name\":\"r\",\"image\":\"i\"}]}}}",
             first ? "" : ",", 'a' + (int)g, n, MOST, g == 2 ? 2u : 1u);
}

/* Three groups, some of them not there, as a list. */
static void groups(char *to, size_t size, const int n[GROUPS])
{
    size_t len = 0;

    to[0] = 0;
    for (unsigned g = 0; g < GROUPS; g++) {
        group(to + len, size - len, g, n[g], len == 0);
        len += strlen(to + len);
    }
}

static void make(struct opsim *w, const char *name, const int n[GROUPS])
{
    char list[2048];

    groups(list, sizeof list, n);
    opsim_ask(w, "POST", ROOT,
              "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"upgradeStrategy\":{\"type\":"
              "\"%s\"},\"headGroupSpec\":{\"rayStartParams\":{},\"template\":{\"spec\":"
              "{\"containers\":[{\"name\":\"r\",\"image\":\"i\"}]}}},\"workerGroupSpecs\":[%s]}}",
              name, strcmp(name, "c0") == 0 ? "Recreate" : "None", list);
}

static void regroup(struct opsim *w, const char *name, const int n[GROUPS])
{
    char list[2048], target[128];

    groups(list, sizeof list, n);
    snprintf(target, sizeof target, ROOT "/%s", name);
    opsim_ask(w, "PATCH", target, "{\"spec\":{\"workerGroupSpecs\":[%s]}}", list);
}

static void patch(struct opsim *w, const char *name, const char *spec)
{
    char target[128];

    snprintf(target, sizeof target, ROOT "/%s", name);
    opsim_ask(w, "PATCH", target, "{\"spec\":%s}", spec);
}

struct pick {
    unsigned left;    /* to be passed over */
    const char *type; /* node type; NULL: any */
    char target[192]; /* of the one */
};

static const char *label(const struct json *o, const char *key)
{
    const char *v = json_str(json_get(json_at(o, "metadata.labels"), key));

    return v ? v : "";
}

static void pick_one(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct pick *k = arg;
    const char *kind = json_str(json_get(o, "kind"));
    bool secret = kind && strcmp(kind, "Secret") == 0;
    bool service = kind && strcmp(kind, "Service") == 0;

    if (k->type && strcmp(label(o, RAY_LABEL_NODE_TYPE), k->type) != 0)
        return;
    if (!k->target[0] && k->left-- == 0)
        snprintf(k->target, sizeof k->target, "/api/v1/namespaces/%s/%s/%s", ns,
                 secret    ? "secrets"
                 : service ? "services"
                           : "pods",
                 name);
}

static const char *pick(struct opsim *w, const char *kind, const char *type, struct pick *k)
{
    unsigned n = kube_model_count(opsim_model(w), kind);

    *k = (struct pick){.type = type, .left = (unsigned)prng_below(sim_prng(opsim_sim(w)), n + 1)};
    if (type && strcmp(type, "head") == 0)
        k->left %= NAMES;
    kube_model_each(opsim_model(w), kind, pick_one, k);
    return k->target[0] ? k->target : NULL;
}

static void fail_pod(struct opsim *w, const char *target, bool crash)
{
    char status[224];

    snprintf(status, sizeof status, "%s/status", target);
    opsim_ask(w, "PATCH", status, "{\"status\":%s}",
              crash ? "{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":"
                      "\"False\"}],\"containerStatuses\":[{\"name\":\"r\",\"ready\":false,"
                      "\"restartCount\":5,\"state\":{\"waiting\":{\"reason\":"
                      "\"CrashLoopBackOff\"}}}]}"
                    : "{\"phase\":\"Failed\"}");
}

static void set_node(struct opsim *w, bool ready)
{
    char now[KUBE_WALL_TIME_SIZE];

    opsim_ask(w, "PATCH", "/api/v1/nodes/" BAD_NODE "/status",
              "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\","
              "\"lastTransitionTime\":\"%s\"}]}}",
              ready ? "True" : "Unknown", kube_wall_time(opsim_unix_ms(w), now));
}

static void outside(struct opsim *w)
{
    static const char *const types[] = {"{\"headGroupSpec\":{\"serviceType\":\"NodePort\"}}",
                                        "{\"headGroupSpec\":{\"serviceType\":\"LoadBalancer\"}}",
                                        "{\"headGroupSpec\":{\"serviceType\":null}}",
                                        "{\"headServiceAnnotations\":{\"a\":\"b\"}}"};
    struct prng *p = sim_prng(opsim_sim(w));
    struct pick k;
    const char *target;
    char name[16], path[128];
    int n[GROUPS];

    snprintf(name, sizeof name, "c%u", (unsigned)prng_below(p, NAMES));
    for (unsigned g = 0; g < GROUPS; g++)
        n[g] = prng_chance(p, 0.3) ? -1 : (int)prng_below(p, g == 2 ? 3 : MOST);
    if (prng_chance(p, 0.5))
        return;
    switch (prng_below(p, 16)) {
    case 0:
    case 1:
        make(w, name, n);
        break;
    case 2:
    case 3:
    case 4:
        regroup(w, name, n);
        break;
    case 5:
        snprintf(path, sizeof path, ROOT "/%s", name);
        if (prng_chance(p, 0.4))
            opsim_ask(w, "DELETE", path, NULL);
        break;
    case 6:
        patch(w, name, prng_chance(p, 0.5) ? "{\"suspend\":true}" : "{\"suspend\":false}");
        break;
    case 7: /* another spec of all pods */
        snprintf(path, sizeof path, "{\"rayVersion\":\"2.%u.0\"}", (unsigned)prng_below(p, 3));
        if (prng_chance(p, 0.3))
            patch(w, name, path);
        break;
    case 8:
        set_node(w, prng_chance(p, 0.6));
        break;
    case 9:
        if (prng_chance(p, 0.3) && (target = pick(w, SECRETS, NULL, &k)))
            opsim_ask(w, "DELETE", target, NULL);
        break;
    case 14:
        if (prng_chance(p, 0.3) && (target = pick(w, SERVICES, NULL, &k)))
            opsim_ask(w, "DELETE", target, NULL);
        break;
    case 15:
        patch(w, name, types[prng_below(p, 4)]);
        break;
    case 10:
        if ((target = pick(w, PODS, "head", &k)))
            opsim_ask(w, "DELETE", target, NULL);
        break;
    case 11:
        if ((target = pick(w, PODS, NULL, &k)))
            opsim_ask(w, "DELETE", target, NULL);
        break;
    default:
        if ((target = pick(w, PODS, NULL, &k)))
            fail_pod(w, target, prng_chance(p, 0.5));
    }
}

/* When all is quiet the node is well again. */
static void tick(struct opsim *w)
{
    const struct json *node = kube_model_get(opsim_model(w), "/api/v1/nodes", NULL, BAD_NODE);
    const char *ready = json_str(json_at(node, "status.conditions[0].status"));

    if (opsim_quiet(w) && ready && strcmp(ready, "True") != 0)
        set_node(w, true);
}

static bool story(struct opsim *w, unsigned step)
{
    static const int first[GROUPS] = {2, 1, 1}, more[GROUPS] = {3, 1, 2}, less[GROUPS] = {1, -1, 1};
    struct pick k;
    const char *target;

    switch (step) {
    case 0:
        make(w, "c1", first);
        break;
    case 1:
        regroup(w, "c1", more);
        break;
    case 2:
        if ((target = pick(w, PODS, "head", &k)))
            fail_pod(w, target, true);
        break;
    case 3:
        regroup(w, "c1", less);
        break;
    case 4:
        patch(w, "c1", "{\"suspend\":true}");
        break;
    case 5:
        patch(w, "c1", "{\"suspend\":false}");
        break;
    case 6:
        make(w, "c0", less);
        break;
    case 7:
        patch(w, "c0", "{\"rayVersion\":\"2.9.0\"}");
        break;
    case 8:
        if ((target = pick(w, PODS, "worker", &k)))
            fail_pod(w, target, false);
        break;
    default:
        return false;
    }
    return true;
}

/* -- verdicts ---------------------------------------------------------------------------------- */

/* What one cluster has. */
struct count {
    struct opsim *w;
    const char *uid;            /* of the cluster */
    bool rest;                  /* the bad node is well */
    unsigned pods, heads;       /* going ones too */
    unsigned live[GROUPS];      /* workers that count: not going, failed, or on a bad node */
    unsigned ready;             /* workers */
    unsigned secrets, services; /* owned */
    const struct json *service; /* of the head */
    char ids[8][24];            /* of the authority, by secret */
    unsigned n_ids;
    bool rotates; /* a next authority is trusted already, and signs in a quarter of an hour */
};

static bool owned(const struct json *o, const char *uid)
{
    const char *u = json_str(json_at(o, "metadata.ownerReferences[0].uid"));

    return u && strcmp(u, uid) == 0;
}

static bool on_bad_node(const struct json *pod)
{
    const char *node = json_str(json_at(pod, "spec.nodeName"));

    return node && strcmp(node, BAD_NODE) == 0;
}

static void count_pod(void *arg, const char *ns, const char *name, const struct json *pod)
{
    struct count *c = arg;
    const char *phase = json_str(json_at(pod, "status.phase"));
    const char *ready = json_str(
        json_get(inject_find(json_at(pod, "status.conditions"), "type", "Ready"), "status"));
    int64_t restarts = 0;
    (void)ns, (void)name;

    if (!owned(pod, c->uid))
        return;
    c->pods++;
    (void)json_int(json_at(pod, "status.containerStatuses[0].restartCount"), &restarts);
    if (strcmp(label(pod, RAY_LABEL_NODE_TYPE), "head") == 0) {
        c->heads++;
        return;
    }
    const char *g = label(pod, RAY_LABEL_GROUP);
    c->ready += phase && strcmp(phase, "Running") == 0 && ready && strcmp(ready, "True") == 0;
    if (json_at(pod, "metadata.deletionTimestamp") || (phase && strcmp(phase, "Failed") == 0) ||
        restarts > 0 || (!c->rest && on_bad_node(pod)))
        return;
    c->live[g[0] >= 'a' && g[0] < 'a' + GROUPS ? g[0] - 'a' : 0]++;
}

static void count_secret(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct count *c = arg;
    const char *id = json_str(json_get(json_at(o, "metadata.annotations"), SECRET_ANNOTATION_ID));
    (void)ns, (void)name;

    if (!owned(o, c->uid))
        return;
    c->secrets++;
    if (id && c->n_ids < 8)
        snprintf(c->ids[c->n_ids++], sizeof c->ids[0], "%s", id);
    c->rotates |= json_get(json_at(o, "metadata.annotations"), SECRET_ANNOTATION_NEXT) != NULL;
}

static void count_service(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct count *c = arg;
    (void)ns, (void)name;

    c->services += owned(o, c->uid);
    if (owned(o, c->uid) && strcmp(label(o, RAY_LABEL_NODE_TYPE), "head") == 0)
        c->service = o;
}

struct check {
    struct opsim *w;
    bool rest;     /* all has come to rest */
    char bad[256]; /* what is wrong; "": nothing */
};

static int64_t number(const struct json *o, const char *path)
{
    int64_t v = -1;

    (void)json_int(json_at(o, path), &v);
    return v;
}

static void complain(struct check *k, const char *name, const char *what, int64_t have,
                     int64_t want)
{
    if (!k->bad[0])
        snprintf(k->bad, sizeof k->bad, "%s: %s: %lld, not %lld", name, what, (long long)have,
                 (long long)want);
}

static void check_service(struct check *k, const char *name, const struct json *o,
                          const struct json *service)
{
    const char *wanted = json_str(json_at(o, "spec.headGroupSpec.serviceType"));
    const char *have = json_str(json_at(service, "spec.type"));
    const char *address = json_str(json_at(service, "spec.clusterIP"));

    if (!have || strcmp(have, wanted ? wanted : "ClusterIP") != 0 || !wanted != !!address)
        complain(k, name, "the head service is not as wanted", 0, 1);
    if (json_size(json_at(o, "spec.headServiceAnnotations")) > 0 &&
        !json_at(service, "metadata.annotations.a"))
        complain(k, name, "the head service has not its annotation", 0, 1);
}

static void check_rest(struct check *k, const char *name, const struct json *o,
                       const struct count *c)
{
    const struct json *conditions = json_at(o, "status.conditions");
    bool suspend = json_true(json_at(o, "spec.suspend"));
    const char *state = json_str(json_at(o, "status.state"));
    int64_t wanted[GROUPS] = {0}, workers = 0;

    JSON_FOREACH(g, json_at(o, "spec.workerGroupSpecs"))
    {
        unsigned i = (unsigned)(json_str(json_get(g, "groupName"))[0] - 'a');
        wanted[i] = number(g, "replicas") * number(g, "numOfHosts");
        workers += wanted[i];
    }
    for (unsigned g = 0; g < GROUPS; g++)
        if (c->live[g] != (suspend ? 0 : wanted[g]))
            complain(k, name, "workers of a group", c->live[g], suspend ? 0 : wanted[g]);
    if (c->pods != (suspend ? 0 : workers + 1))
        complain(k, name, "pods", c->pods, suspend ? 0 : workers + 1);
    if (number(o, "status.readyWorkerReplicas") != c->ready)
        complain(k, name, "ready in status", number(o, "status.readyWorkerReplicas"), c->ready);
    if (number(o, "status.desiredWorkerReplicas") != workers)
        complain(k, name, "desired in status", number(o, "status.desiredWorkerReplicas"), workers);
    if (number(o, "status.observedGeneration") != number(o, "metadata.generation"))
        complain(k, name, "observed generation", number(o, "status.observedGeneration"),
                 number(o, "metadata.generation"));
    if (!state || strcmp(state, suspend ? "suspended" : "ready") != 0)
        complain(k, name, "state", state && state[0] == 's', suspend);
    if (conditions_true(conditions, RAY_COND_SUSPENDED) != suspend)
        complain(k, name, "suspended", !suspend, suspend);
    if (conditions_true(conditions, RAY_COND_HEAD_READY) == suspend)
        complain(k, name, "head ready", suspend, !suspend);
    if (conditions_get(conditions, RAY_COND_SUSPENDING) ||
        conditions_get(conditions, RAY_COND_REPLICA_FAILURE))
        complain(k, name, "conditions that should be gone", 1, 0);
    if (!suspend)
        check_service(k, name, o, c->service);
    if (c->secrets != 4 && !suspend)
        complain(k, name, "secrets", c->secrets, 4);
    for (unsigned i = 1; i < c->n_ids && !suspend && !c->rotates; i++)
        if (strcmp(c->ids[0], c->ids[i]) != 0)
            complain(k, name, "authorities", 2, 1);
}

static void check_cluster(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct check *k = arg;
    struct count c = {.w = k->w, .rest = k->rest, .uid = json_str(json_at(o, "metadata.uid"))};
    const struct json *conditions = json_at(o, "status.conditions");
    (void)ns;

    if (json_at(o, "metadata.deletionTimestamp"))
        return;
    kube_model_each(opsim_model(k->w), PODS, count_pod, &c);
    kube_model_each(opsim_model(k->w), SECRETS, count_secret, &c);
    kube_model_each(opsim_model(k->w), SERVICES, count_service, &c);
    if (c.heads > 1)
        complain(k, name, "heads", c.heads, 1);
    for (unsigned g = 0; g < GROUPS; g++)
        if (c.live[g] > (g == 2 ? 2 * MOST : MOST - 1)) /* a replica's rest goes side by side */
            complain(k, name, "workers of a group at one time", c.live[g], MOST - 1);
    if (c.services > 2)
        complain(k, name, "services", c.services, 2);
    if (conditions_true(conditions, RAY_COND_SUSPENDED) && json_true(json_at(o, "spec.suspend")) &&
        json_str(json_at(o, "status.state")) &&
        strcmp(json_str(json_at(o, "status.state")), "suspended") == 0 && c.pods > 0 &&
        number(o, "status.observedGeneration") == number(o, "metadata.generation"))
        complain(k, name, "pods of a suspended cluster", c.pods, 0);
    if (k->rest)
        check_rest(k, name, o, &c);
}

static void check_orphan(void *arg, const char *ns, const char *name, const struct json *pod)
{
    struct check *k = arg;
    const struct json *cluster =
        kube_model_get(opsim_model(k->w), CLUSTERS, ns, label(pod, RAY_LABEL_CLUSTER));
    const char *uid = json_str(json_at(cluster, "metadata.uid"));

    if (!uid || !owned(pod, uid))
        complain(k, name, "a pod without its cluster", 1, 0);
}

static int always(struct opsim *w)
{
    struct check k = {.w = w};

    kube_model_each(opsim_model(w), CLUSTERS, check_cluster, &k);
    SIM_CHECK(opsim_sim(w), !k.bad[0], "%s", k.bad);
    return 0;
}

static int finally(struct opsim *w)
{
    struct check k = {.w = w, .rest = true};

    kube_model_each(opsim_model(w), CLUSTERS, check_cluster, &k);
    SIM_CHECK(opsim_sim(w), !k.bad[0], "at rest: %s", k.bad);
    kube_model_each(opsim_model(w), PODS, check_orphan, &k);
    SIM_CHECK(opsim_sim(w), !k.bad[0], "at rest: %s", k.bad);
    return 0;
}

static void begin(void)
{
    fake_maker_reset(&maker);
}

static struct opsim_options options = {.reconcilers = all,
                                       .n_reconcilers = 1,
                                       .begin = begin,
                                       .outside = outside,
                                       .story = story,
                                       .tick = tick,
                                       .always = always,
                                       .finally = finally};

/* -- tests ------------------------------------------------------------------------------------- */

static void set_up(void)
{
    maker = fake_maker_init();
    all[0] = raycluster_reconciler(&config, &maker.base);
    cr_assert(all[0]);
}

static void tear_down(void)
{
    cr_assert_eq(maker.alive, 0, "an authority was lost");
    raycluster_free(all[0]);
}

/* Over many seeds there is one head, no pod too many and none left over, and everything comes to what
 * the spec says and the status tells. */
Test(raycluster_sim, chaos, .init = set_up, .fini = tear_down, .timeout = 600)
{
    cr_assert_eq(sim_seeds("raycluster", 1, opsim_seeds(300), opsim_chaos, &options), 0);
}

/* The operator may die between any two writes. */
Test(raycluster_sim, deaths, .init = set_up, .fini = tear_down, .timeout = 600)
{
    cr_assert_eq(opsim_deaths("raycluster", &options), 0);
}

/* Each bug planted on purpose is found; that of the names is found by sim_raycluster_plans.c, where
 * requests of a dead operator arrive late. */
Test(raycluster_sim, planted, .init = set_up, .fini = tear_down, .timeout = 600)
{
    for (int bug = RAYCLUSTER_PLANT_ORPHANS; bug < RAYCLUSTER_PLANTS_END; bug++) {
        bool found = false;
        raycluster_plant = (enum raycluster_plant)bug;
        for (uint64_t seed = 1; seed <= 300 && !found; seed++) {
            struct sim *s = NULL;
            cr_assert_eq(sim_new(seed, &s), 0);
            found = opsim_chaos(s, &options) < 0 || sim_failed(s);
            sim_free(s);
        }
        raycluster_plant = RAYCLUSTER_PLANT_NONE;
        cr_assert(found, "planted bug %d was not found", bug);
    }
}
