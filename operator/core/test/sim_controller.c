/*
 * The controller under everything that goes wrong, with a toy reconciler: it keeps one service, one
 * secret by an id that is persisted first, and as many pods as wanted; and a toy job that only looks
 * at a cluster. Planted bugs must be found.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/plants.h"
#include "core/sim/opsim.h"

enum operator_plant operator_planted;

#define CLUSTERS "/apis/ray.io/v1/rayclusters"
#define JOBS     "/apis/ray.io/v1/rayjobs"
#define ROOT     "/apis/ray.io/v1/namespaces/d/"
#define PODS     "/api/v1/pods"
#define SERVICES "/api/v1/services"
#define SECRETS  "/api/v1/secrets"
#define HOLD     "toy/hold"
#define NAMES    4

static int64_t number(const struct json *tree, const char *path)
{
    int64_t n = -1;
    (void)json_int(json_at(tree, path), &n);
    return n;
}

/* ---- the reconciler ---- */

struct memory {
    int64_t told; /* the epoch that the head has heard of */
};

static struct json *child(const struct seen *s, const char *name, const char *prefix)
{
    struct json *o = json_new_object(), *meta = json_new_object(), *owner = json_new_object();
    struct json *owners = json_new_array(), *labels = json_new_object();
    json_set_str(meta, "namespace", s->meta->ns);
    json_set_str(meta, name ? "name" : "generateName", name ? name : prefix);
    json_set_str(labels, RAY_CLUSTER_LABEL, s->meta->name);
    json_set_str(labels, "ray.io/node-type", "head");
    json_set_str(owner, "kind", "RayCluster");
    json_set_str(owner, "name", s->meta->name);
    json_set_str(owner, "uid", s->meta->uid);
    json_set_bool(owner, "controller", true);
    json_append(owners, owner);
    json_set(meta, "ownerReferences", owners);
    json_set(meta, "labels", labels);
    json_set(o, "metadata", meta);
    return o;
}

static int hold(struct plan *p, bool on)
{
    struct json *m = json_new_object(), *list = json_new_array();
    if (on)
        json_append_str(list, HOLD);
    json_set(m, "finalizers", list);
    return plan_metadata(p, m);
}

static int plan_end(const struct seen *s, struct plan *p)
{
    const struct seen_list *secrets = &s->of[SEEN_SECRETS];
    if (!secrets->n)
        return json_size(json_at(s->tree, "metadata.finalizers")) ? hold(p, false) : 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < secrets->n; i++)
        r = plan_delete(p, 0, &kube_secrets, s->meta->ns, secrets->at[i].meta->name,
                        secrets->at[i].meta->uid, -1);
    return r;
}

/* One secret, of this id; others go. */
static int plan_secret(const struct seen *s, struct plan *p, const char *id, int64_t epoch)
{
    bool there = false;
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->of[SEEN_SECRETS].n; i++) {
        const struct kube_object *o = s->of[SEEN_SECRETS].at[i].meta;
        if (strcmp(o->name, id) == 0)
            there = true;
        else if (!o->deleting)
            r = plan_delete(p, 0, &kube_secrets, o->ns, o->name, o->uid, -1);
    }
    if (there || r < 0)
        return r;
    struct json *secret = child(s, id, NULL), *data = json_new_object();
    json_set_str(data, "auth_token", "dDBrZW4=");
    json_set(secret, "data", data);
    json_set_int(secret, "epoch", epoch);
    return plan_create(p, 0, &kube_secrets, secret);
}

static int plan_pods(const struct seen *s, struct plan *p, int64_t wanted, int64_t *ret_ready)
{
    int64_t have = 0, ready = 0;
    int r = 0;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s-pod-", s->meta->name);
    for (size_t i = 0; r == 0 && i < s->of[SEEN_PODS].n; i++) {
        const struct seen_object *o = &s->of[SEEN_PODS].at[i];
        const char *phase = json_str(json_at(o->tree, "status.phase"));
        if (o->meta->deleting)
            continue;
        if (++have > wanted)
            r = plan_delete(p, 1, &kube_pods, o->meta->ns, o->meta->name, o->meta->uid, 0);
        else
            ready += phase && strcmp(phase, "Running") == 0;
    }
    for (; r == 0 && have < wanted; have++)
        r = plan_create(p, 1, &kube_pods, child(s, NULL, prefix));
    *ret_ready = ready;
    return r;
}

static int plan_cluster(struct reconciler *rec, const struct seen *s, void **memory, struct plan *p,
                        struct raia_error *e)
{
    struct memory *m = *memory = *memory ? *memory : mem_new(struct memory);
    int64_t epoch = number(s->tree, "spec.epoch"), told = number(s->tree, "status.told"), ready = 0;
    int64_t wanted = number(s->tree, "spec.replicas");
    const char *id = json_str(json_at(s->tree, "status.id"));
    struct json *status = json_new_object();
    char text[64];
    (void)rec, (void)e;
    if (s->meta->deleting) {
        json_free(status);
        return plan_end(s, p);
    }
    if (json_size(json_at(s->tree, "metadata.finalizers")) == 0 && hold(p, true) < 0)
        return -RAIA_ERR_NOMEM;
    if (!id || number(s->tree, "status.epoch") != epoch) { /* persisted before it is used */
        snprintf(text, sizeof text, "%s-%lld", s->meta->name, (long long)s->wall_ns);
        json_set_str(status, "id", text);
        json_set_int(status, "epoch", epoch);
        return plan_status(p, status);
    }
    snprintf(text, sizeof text, "%s-svc", s->meta->name);
    int r = plan_secret(s, p, id, epoch);
    if (r == 0 && !s->of[SEEN_SERVICES].n)
        r = plan_create(p, 0, &kube_services, child(s, text, NULL));
    if (r == 0)
        r = plan_pods(s, p, wanted, &ready);
    if (r == 0 && number(s->tree, "spec.odd") == 1) /* asks for what it may not have */
        r = plan_create(p, 1, &kube_services, child(s, "taken", NULL));
    if (m->told > told)
        told = m->told;
    if (r == 0 && ready == wanted && told != epoch) {
        snprintf(text, sizeof text, "http://%s-svc.d.svc.x:8265/%lld", s->meta->name,
                 (long long)epoch);
        r = plan_call(p, 2, (uint64_t)epoch, s->meta->ns, "GET", text, NULL, id, 1000);
        plan_again(p, s->now + 5 * CLOCK_NS_PER_S);
    }
    json_set_str(status, "id", id);
    json_set_int(status, "epoch", epoch);
    json_set_int(status, "ready", ready);
    json_set_int(status, "told", told);
    json_set_int(status, "failed", s->failure != NULL);
    json_set_int(status, "observedGeneration", s->meta->generation);
    json_set_int(status, "lastUpdateTime", s->wall_ns);
    if (told == number(s->tree, "status.told") &&
        number(s->tree, "status.observedGeneration") == s->meta->generation)
        plan_status_waits(p, ready == wanted ? PLAN_SOON : PLAN_LATER); /* no more than a number */
    return r < 0 ? (json_free(status), r) : plan_status(p, status);
}

static void answered(struct reconciler *r, void **memory, const struct plan_answer *a)
{
    struct memory *m = *memory;
    (void)r;
    if (a->http_status == 200)
        m->told = (int64_t)a->tag;
}

static void forget(struct reconciler *r, void *memory)
{
    (void)r;
    mem_free(memory);
}

static int plan_job(struct reconciler *rec, const struct seen *s, void **memory, struct plan *p,
                    struct raia_error *e)
{
    struct json *status = json_new_object();
    (void)rec, (void)memory, (void)e;
    json_set_int(status, "ready", s->selected.meta ? number(s->selected.tree, "status.ready") : -2);
    if (s->head.meta)
        json_set_str(status, "head", s->head.meta->name);
    return plan_status(p, status);
}

static struct reconciler cluster_reconciler = {.wants = 1u << SEEN_PODS | 1u << SEEN_SERVICES |
                                                        1u << SEEN_SECRETS,
                                               .plan = plan_cluster,
                                               .answered = answered,
                                               .forget = forget};
static struct reconciler job_reconciler = {.plan = plan_job};
static struct reconciler *const all[] = {&cluster_reconciler, &job_reconciler};

/* ---- users ---- */

static const struct json *cluster(struct opsim *w, const char *name)
{
    return kube_model_get(opsim_model(w), CLUSTERS, "d", name);
}

static void make(struct opsim *w, const char *name, unsigned replicas)
{
    opsim_ask(w, "POST", ROOT "rayclusters",
              "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"replicas\":%u,\"most\":%u,\"epoch\":1}}",
              name, replicas, replicas);
}

static void change(struct opsim *w, const char *name, unsigned replicas, bool epoch)
{
    const struct json *o = cluster(w, name);
    char target[128];
    int64_t most = number(o, "spec.most");
    snprintf(target, sizeof target, ROOT "rayclusters/%s", name);
    if (o)
        opsim_ask(w, "PATCH", target, "{\"spec\":{\"replicas\":%u,\"most\":%lld,\"epoch\":%lld}}",
                  replicas, (long long)(most > replicas ? most : replicas),
                  (long long)number(o, "spec.epoch") + epoch);
}

struct pick {
    unsigned left;    /* to be passed over */
    char target[192]; /* of the one */
};

static void pick_pod(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct pick *k = arg;
    (void)o;
    if (k->left-- == 0)
        snprintf(k->target, sizeof k->target, "/api/v1/namespaces/%s/pods/%s", ns, name);
}

static void kill_pod(struct opsim *w)
{
    unsigned n = kube_model_count(opsim_model(w), PODS);
    struct pick k = {.left = (unsigned)prng_below(sim_prng(opsim_sim(w)), n ? n : 1)};
    kube_model_each(opsim_model(w), PODS, pick_pod, &k);
    if (k.target[0])
        opsim_ask(w, "DELETE", k.target, NULL);
}

static void outside(struct opsim *w)
{
    struct prng *p = sim_prng(opsim_sim(w));
    char name[32], target[128];
    unsigned n = (unsigned)prng_below(p, NAMES), replicas = 1 + (unsigned)prng_below(p, 4);
    snprintf(name, sizeof name, "c%u", n);
    switch (prng_below(p, 10)) {
    case 0:
    case 1:
    case 2:
        make(w, name, replicas);
        break;
    case 3:
    case 4:
        change(w, name, replicas, prng_chance(p, 0.5));
        break;
    case 5:
        snprintf(target, sizeof target, ROOT "rayclusters/%s", name);
        if (prng_chance(p, 0.5))
            opsim_ask(w, "DELETE", target, NULL);
        break;
    case 6:
        opsim_ask(w, "POST", ROOT "rayjobs",
                  "{\"metadata\":{\"name\":\"j%u\"},"
                  "\"spec\":{\"clusterSelector\":{\"ray.io/cluster\":\"%s\"}}}",
                  n, name);
        break;
    case 7: /* the name of the service is taken, until all is quiet */
        if (!cluster(w, name))
            opsim_ask(w, "POST", "/api/v1/namespaces/d/services",
                      "{\"metadata\":{\"name\":\"%s-svc\",\"ownerReferences\":[{\"uid\":\"uid-1\","
                      "\"controller\":true}]}}",
                      name);
        break;
    default:
        kill_pod(w);
    }
}

static void tick(struct opsim *w)
{
    char target[128];
    for (unsigned i = 0; opsim_quiet(w) && i < NAMES; i++) {
        snprintf(target, sizeof target, "c%u-svc", i);
        const struct json *o = kube_model_get(opsim_model(w), SERVICES, "d", target);
        const char *owner = json_str(json_at(o, "metadata.ownerReferences[0].uid"));
        snprintf(target, sizeof target, "/api/v1/namespaces/d/services/c%u-svc", i);
        if (owner && strcmp(owner, "uid-1") == 0)
            opsim_ask(w, "DELETE", target, NULL);
    }
}

static bool story(struct opsim *w, unsigned step)
{
    switch (step) {
    case 0:
        make(w, "c0", 2);
        return true;
    case 1:
        change(w, "c0", 3, false);
        return true;
    case 2:
        kill_pod(w);
        return true;
    case 3:
        change(w, "c0", 1, true);
        return true;
    case 4:
        opsim_ask(w, "DELETE", ROOT "rayclusters/c0", NULL);
        make(w, "c1", 2);
        return true;
    }
    return false;
}

/* A name is somebody else's, and then nobody's: the operator hears of neither. */
static bool story_of_failure(struct opsim *w, unsigned step)
{
    switch (step) {
    case 0:
        opsim_ask(w, "POST", "/api/v1/namespaces/d/services",
                  "{\"metadata\":{\"name\":\"taken\",\"ownerReferences\":[{\"uid\":\"uid-1\","
                  "\"controller\":true}]}}");
        make(w, "c0", 1);
        return true;
    case 1:
        opsim_ask(w, "PATCH", ROOT "rayclusters/c0", "{\"spec\":{\"odd\":1}}");
        return true;
    case 2:
        opsim_ask(w, "DELETE", "/api/v1/namespaces/d/services/taken", NULL);
        opsim_ask(w, "POST", "/api/v1/namespaces/d/services",
                  "{\"metadata\":{\"name\":\"taken\"}}");
        return true;
    }
    return false;
}

static int call(struct opsim *w, const struct controller_call *x, char **ret_body)
{
    *ret_body = mem_strdup("{}");
    if (!x->token || strcmp(x->token, "t0ken") != 0)
        sim_fail(opsim_sim(w), "a call to %s has no token", x->url);
    return 200;
}

/* ---- what must hold ---- */

struct count {
    struct opsim *w;   /* the world */
    const char *uid;   /* of the owner */
    int64_t epoch;     /* of secrets that count */
    unsigned n, ready; /* of its objects */
    bool rest;         /* nothing may be wrong any more */
    const char *bad;   /* what is wrong; NULL: nothing */
    const char *id;    /* of a secret */
};

static void count_owned(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct count *c = arg;
    const char *uid = json_str(json_at(o, "metadata.ownerReferences[0].uid"));
    const char *phase = json_str(json_at(o, "status.phase"));
    (void)ns;
    if (!uid || strcmp(uid, c->uid) != 0 || json_at(o, "metadata.deletionTimestamp"))
        return;
    if (c->epoch && number(o, "epoch") != c->epoch)
        return;
    c->n++;
    c->ready += phase && strcmp(phase, "Running") == 0;
    c->id = name;
}

static unsigned owned(struct opsim *w, const char *collection, const char *uid, int64_t epoch,
                      struct count *ret_c)
{
    *ret_c = (struct count){.w = w, .uid = uid, .epoch = epoch};
    kube_model_each(opsim_model(w), collection, count_owned, ret_c);
    return ret_c->n;
}

static void check_cluster(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct count *c = arg, k;
    const char *uid = json_str(json_at(o, "metadata.uid"));
    const char *id = json_str(json_at(o, "status.id"));
    int64_t replicas = number(o, "spec.replicas"), epoch = number(o, "spec.epoch");
    (void)ns, (void)name;
    if (owned(c->w, PODS, uid, 0, &k) > number(o, "spec.most"))
        c->bad = "has too many pods";
    if (k.n && !owned(c->w, SERVICES, uid, 0, &k))
        c->bad = "has pods but no service";
    if (owned(c->w, SECRETS, uid, epoch, &k) > 1)
        c->bad = "has two secrets of one epoch";
    if (!c->rest)
        return;
    if (owned(c->w, PODS, uid, 0, &k) != replicas || k.ready != replicas)
        c->bad = "has not as many pods as wanted";
    else if (number(o, "status.ready") != replicas || number(o, "status.told") != epoch)
        c->bad = "has a wrong status";
    else if (number(o, "status.failed") != 0)
        c->bad = "has a status of a failure that is over";
    else if (owned(c->w, SECRETS, uid, 0, &k) != 1 || strcmp(k.id, id) != 0)
        c->bad = "has not its one secret";
    else if (owned(c->w, SERVICES, uid, 0, &k) != 1)
        c->bad = "has not its one service";
    else if (number(o, "status.observedGeneration") != number(o, "metadata.generation"))
        c->bad = "has a status of another generation";
    else if (json_at(o, "metadata.deletionTimestamp"))
        c->bad = "does not go";
}

static void check_job(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct count *c = arg;
    const struct json *k =
        cluster(c->w, json_str(json_get(json_at(o, "spec.clusterSelector"), RAY_CLUSTER_LABEL)));
    const char *head = json_str(json_at(o, "status.head"));
    const struct json *pod = head ? kube_model_get(opsim_model(c->w), PODS, ns, head) : NULL;
    (void)name;
    if (number(o, "status.ready") != (k ? number(k, "status.ready") : -2))
        c->bad = "has seen an old cluster";
    else if (k ? !pod || json_at(pod, "metadata.deletionTimestamp") : head != NULL)
        c->bad = "has seen another head";
}

static void check_orphan(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct count *c = arg;
    const char *owner = json_str(json_at(o, "metadata.ownerReferences[0].name"));
    const struct json *k = owner ? cluster(c->w, owner) : NULL;
    (void)ns, (void)name;
    if (!k || strcmp(json_str(json_at(k, "metadata.uid")),
                     json_str(json_at(o, "metadata.ownerReferences[0].uid"))) != 0)
        c->bad = "is an orphan";
}

static int always(struct opsim *w)
{
    struct count c = {.w = w};
    kube_model_each(opsim_model(w), CLUSTERS, check_cluster, &c);
    SIM_CHECK(opsim_sim(w), !c.bad, "a cluster %s", c.bad);
    return 0;
}

static int at_rest(struct opsim *w)
{
    struct count c = {.w = w, .rest = true};
    kube_model_each(opsim_model(w), CLUSTERS, check_cluster, &c);
    SIM_CHECK(opsim_sim(w), !c.bad, "a cluster at rest %s", c.bad);
    kube_model_each(opsim_model(w), JOBS, check_job, &c);
    SIM_CHECK(opsim_sim(w), !c.bad, "a job %s", c.bad);
    kube_model_each(opsim_model(w), PODS, check_orphan, &c);
    kube_model_each(opsim_model(w), SECRETS, check_orphan, &c);
    SIM_CHECK(opsim_sim(w), !c.bad, "a pod or secret %s", c.bad);
    return 0;
}

/* Where nobody else writes to an object, no plan may be made on an old one. */
static int at_rest_alone(struct opsim *w)
{
    SIM_CHECK(opsim_sim(w), opsim_conflicts(w) == 0, "%llu conflicts with ourselves",
              (unsigned long long)opsim_conflicts(w));
    return at_rest(w);
}

static const struct opsim_options chaos = {.reconcilers = all,
                                           .n_reconcilers = 2,
                                           .outside = outside,
                                           .tick = tick,
                                           .always = always,
                                           .finally = at_rest,
                                           .call = call};
static const struct opsim_options deaths = {.reconcilers = all,
                                            .n_reconcilers = 2,
                                            .story = story,
                                            .always = always,
                                            .finally = at_rest_alone,
                                            .call = call};

static const struct opsim_options failure = {.reconcilers = all,
                                             .n_reconcilers = 2,
                                             .story = story_of_failure,
                                             .finally = at_rest_alone,
                                             .call = call};

static void set_up(void)
{
    cluster_reconciler.resource = &ray_clusters;
    job_reconciler.resource = &ray_jobs;
}

/* Over many seeds of faults, deaths and handovers nothing is there twice, nothing is left over, and
 * everything comes to what is wanted, and to rest. */
Test(controller_sim, chaos, .init = set_up, .timeout = 600)
{
    cr_assert_eq(sim_seeds("controller", 1, opsim_seeds(500), opsim_chaos, (void *)&chaos), 0);
}

/* The operator may die between any two writes. */
Test(controller_sim, deaths, .init = set_up, .timeout = 600)
{
    cr_assert_eq(opsim_deaths("controller", &deaths), 0);
}

/* A failure that is over is in no status, though nothing was changed any more when it was. */
Test(controller_sim, failure_over, .init = set_up, .timeout = 600)
{
    cr_assert_eq(opsim_deaths("controller, failure", &failure), 0);
}

/* Each bug planted on purpose is found. */
Test(controller_sim, planted, .init = set_up, .timeout = 600)
{
    for (int bug = OPERATOR_PLANT_NONE + 1; bug < OPERATOR_PLANTS_END; bug++) {
        bool found = false;
        operator_planted = (enum operator_plant)bug;
        for (uint64_t seed = 1; seed <= 200 && !found; seed++) {
            struct sim *s = NULL;
            cr_assert_eq(sim_new(seed, &s), 0);
            found = opsim_chaos(s, (void *)&chaos) < 0 || sim_failed(s);
            sim_free(s);
        }
        found = found || opsim_deaths("planted (it should be found)", &deaths) < 0;
        operator_planted = OPERATOR_PLANT_NONE;
        cr_assert(found, "planted bug %d was not found", bug);
    }
}
