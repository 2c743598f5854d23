/*
 * The RayCluster reconciler over many seeds without a server or a controller between: plans are cut
 * off after any action, and creations whose outcome is not known arrive later, when the next operator
 * has made its own plan, and carried it out.
 */
#include "raycluster_world.h"

#include "base/sim.h"
#include "core/raycluster_plants.h"

#define LATE_MAX 32
#define STEPS    60 /* of trouble */
#define GROUP(name, n)                                                                             \
    "- {groupName: " name ", replicas: " n ", minReplicas: 0, maxReplicas: 9, "                    \
    "rayStartParams: {}, template: {spec: {containers: [{name: r, image: i}]}}}\n"
#define SPEC                                                                                       \
    "headGroupSpec: {template: {spec: {containers: [{name: r, image: i}]}}}\n"                     \
    "workerGroupSpecs:\n" GROUP("a", "2") GROUP("b", "1")

/* Creations on their way: each arrives once, if its name is free. */
struct late {
    struct json *object; /* NULL: a free place */
    int kind;            /* enum seen_kind */
    bool old;            /* a plan was made since: it arrives, or never will */
};

struct trouble {
    struct world w;
    struct prng *p;
    struct late late[LATE_MAX];
    int64_t wanted; /* replicas of group a; the most of them so far is `most` */
    int64_t most;
};

/* After a plan: those from before it arrive now. */
static void arrive(struct trouble *t)
{
    for (size_t i = 0; i < LATE_MAX; i++) {
        struct late *l = &t->late[i];
        if (!l->object)
            continue;
        if (!l->old) {
            l->old = true;
            continue;
        }
        if (!world_get(&t->w, l->kind, json_str(json_at(l->object, "metadata.name"))))
            world_put(&t->w, l->kind, STEAL(l->object));
        json_free(STEAL(l->object));
    }
}

/* A creation that is lost for the one who asked: it comes later, or never. */
static void delay(struct trouble *t, const struct plan_action *a)
{
    for (size_t i = 0; i < LATE_MAX && prng_chance(t->p, 0.7); i++)
        if (!t->late[i].object) {
            t->late[i] = (struct late){json_copy(a->object), world_kind(a->resource), false};
            return;
        }
}

/* A plan, carried out as far as it comes; then perhaps the operator dies. */
static void step(struct trouble *t)
{
    struct plan_action *a;
    struct raia_error e = {0};
    bool lost = false;
    unsigned stage = 0;

    cr_assert_eq(world_try(&t->w, &e), 0, "%s", e.text);
    LIST_FOREACH (a, &t->w.p->actions, link) {
        if (lost && a->stage != stage)
            break; /* the next stage waits for this one */
        stage = a->stage;
        if (!prng_chance(t->p, 0.15)) {
            world_act(&t->w, a);
            continue;
        }
        lost = true;
        if (a->kind == PLAN_CREATE)
            delay(t, a);
    }
    const struct json *status = t->w.p->hope ? t->w.p->hope : t->w.p->status;
    if (!lost && status)
        json_set(t->w.cluster, "status", json_copy(status));
    if (prng_chance(t->p, lost ? 0.5 : 0.05)) {
        t->w.r->forget(t->w.r, t->w.memory);
        t->w.memory = NULL;
    }
}

static bool any_late(const struct trouble *t)
{
    for (size_t i = 0; i < LATE_MAX; i++)
        if (t->late[i].object)
            return true;
    return false;
}

/* Pods run, fail and go (not while creations are on their way: a name that is free again would be taken
 * first, and one pod be made and deleted); the user changes the number of one group, and removes the other. */
static void outside(struct trouble *t)
{
    struct world *w = &t->w;

    for (size_t i = 0; i < w->n[SEEN_PODS]; i++) {
        struct json *pod = w->objects[SEEN_PODS][i];
        if (json_at(pod, "metadata.deletionTimestamp") && !any_late(t) && prng_chance(t->p, 0.4))
            world_remove(w, SEEN_PODS, world_name(pod));
        else if (!json_get(pod, "status") && prng_chance(t->p, 0.5))
            world_status(pod, WORLD_RUNNING);
        else if (prng_chance(t->p, 0.02))
            world_status(pod, "{phase: Failed}");
    }
    if (prng_chance(t->p, 0.1)) {
        t->wanted = (int64_t)prng_below(t->p, 5);
        t->most = t->wanted > t->most ? t->wanted : t->most;
        world_spec(w, "workerGroupSpecs[0]", "replicas", json_new_int(t->wanted));
    }
    if (prng_chance(t->p, 0.01) && json_at(w->cluster, "spec.workerGroupSpecs[1]")) {
        world_spec(w, "", "workerGroupSpecs", world_yaml(GROUP("a", "0")));
        world_spec(w, "workerGroupSpecs[0]", "replicas", json_new_int(t->wanted));
    }
}

/* Pods of a group that live. */
static int64_t live(struct world *w, const char *group)
{
    int64_t n = 0;

    for (size_t i = 0; world_pod(w, group, i); i++) {
        const struct json *pod = world_pod(w, group, i);
        const char *phase = json_str(json_at(pod, "status.phase"));
        n +=
            !json_at(pod, "metadata.deletionTimestamp") && !(phase && strcmp(phase, "Failed") == 0);
    }
    return n;
}

static int look(struct sim *s, struct trouble *t)
{
    SIM_CHECK(s, world_count(&t->w, "headgroup") <= 1, "%zu heads",
              world_count(&t->w, "headgroup"));
    SIM_CHECK(s, live(&t->w, "a") <= t->most, "%lld pods of a group that never had more than %lld",
              (long long)live(&t->w, "a"), (long long)t->most);
    return 0;
}

static int play(struct sim *s, struct trouble *t)
{
    for (int i = 0; i < STEPS; i++) {
        t->w.now += prng_range(t->p, 1, 5000) * CLOCK_NS_PER_MS;
        step(t);
        if (look(s, t) < 0)
            return -1;
        arrive(t);
        outside(t);
        if (look(s, t) < 0)
            return -1;
    }
    arrive(t);
    arrive(t);
    for (int i = 0; i < 12; i++) {
        t->w.now += 60 * CLOCK_NS_PER_S;
        world_step(&t->w);
        world_settle(&t->w);
    }
    world_step(&t->w);
    SIM_CHECK(s, list_empty(&t->w.p->actions), "it does not come to rest");
    SIM_CHECK(s, live(&t->w, "a") == t->wanted && world_count(&t->w, "headgroup") == 1,
              "%lld pods of %lld", (long long)live(&t->w, "a"), (long long)t->wanted);
    SIM_CHECK(s, json_at(t->w.cluster, "spec.workerGroupSpecs[1]") || world_count(&t->w, "b") == 0,
              "a removed group has pods");
    SIM_CHECK(s, world_is(&t->w, RAY_COND_HEAD_READY) && t->w.n[SEEN_SECRETS] == 4,
              "the head is not ready, or %zu secrets", t->w.n[SEEN_SECRETS]);
    return 0;
}

static int scenario(struct sim *s, void *ctx)
{
    struct trouble t = {.p = sim_prng(s), .wanted = 2, .most = 2};
    (void)ctx;

    world_init(&t.w, SPEC);
    t.w.config.backoff_max_ns = 20 * CLOCK_NS_PER_S;
    int r = play(s, &t);
    for (size_t i = 0; i < LATE_MAX; i++)
        json_free(t.late[i].object);
    world_done(&t.w);
    return r;
}

/* Whatever is lost, late or cut off, there is one head, no pod too many, and the end is as wanted. */
Test(raycluster_plans, late, .timeout = 600)
{
    cr_assert_eq(sim_seeds("raycluster plans", 1, 1000, scenario, NULL), 0);
}

/* Names that are new each time would make pods twice; so would a removed group's be left. */
Test(raycluster_plans, planted, .timeout = 600)
{
    static const enum raycluster_plant bugs[] = {
        RAYCLUSTER_PLANT_RANDOM_NAMES, RAYCLUSTER_PLANT_ORPHANS, RAYCLUSTER_PLANT_TWO_HEADS};

    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        bool found = false;
        raycluster_plant = bugs[i];
        for (uint64_t seed = 1; seed <= 200 && !found; seed++) {
            struct sim *s = NULL;
            cr_assert_eq(sim_new(seed, &s), 0);
            found = scenario(s, NULL) < 0 || sim_failed(s);
            sim_free(s);
        }
        raycluster_plant = RAYCLUSTER_PLANT_NONE;
        cr_assert(found, "planted bug %d was not found", (int)bugs[i]);
    }
}
