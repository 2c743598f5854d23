/*
 * For tests of the RayCluster reconciler: one cluster and what belongs to it, by hand. Plans are made
 * of it and carried out in it at once; nothing happens by itself.
 */
#ifndef TEST_RAYCLUSTER_WORLD_H
#define TEST_RAYCLUSTER_WORLD_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/conditions.h"
#include "base/clock.h"
#include "core/inject.h"
#include "core/pod.h"
#include "core/raycluster.h"
#include "fake_maker.h"
#include "yaml/yaml_load.h"

#define WORLD_MAX 64

struct world {
    struct operator_config config;
    struct fake_maker maker;
    struct reconciler *r;
    void *memory;
    struct json *cluster;
    struct json *objects[SEEN_KINDS][WORLD_MAX]; /* in order of names */
    size_t n[SEEN_KINDS];
    struct json *foreign[4];
    size_t n_foreign;
    struct kube_store *nodes;
    int64_t now, wall_ns;
    struct kube_error failure; /* reason KUBE_OK: none */
    char failed[128];
    struct plan *p; /* the latest */
    unsigned uids;
};

static inline struct json *world_yaml(const char *yaml)
{
    struct raia_error e = {0};
    struct json *tree = NULL;

    cr_assert_eq(yaml_load_one(yaml, strlen(yaml), "test", NULL, &tree, &e), 0, "%s", e.text);
    return tree;
}

static inline void world_init(struct world *w, const char *spec_yaml)
{
    static const struct kube_store_options options = {0};

    *w = (struct world){.config = {.raia_image = "raia.io/raia:dev",
                                   .cluster_domain = "cluster.local",
                                   .version = "1",
                                   .tls = true,
                                   .tokens = true,
                                   .probes = true,
                                   .node_lost_ns = 30 * CLOCK_NS_PER_S,
                                   .backoff_max_ns = 300 * CLOCK_NS_PER_S,
                                   .restarts_max = 5},
                        .maker = fake_maker_init(),
                        .now = 1000 * CLOCK_NS_PER_S,
                        .wall_ns = INT64_C(1800000000) * CLOCK_NS_PER_S};
    w->r = raycluster_reconciler(&w->config, &w->maker.base);
    w->cluster = world_yaml("apiVersion: ray.io/v1\nkind: RayCluster\n"
                            "metadata: {name: demo, namespace: team, uid: uid-0, generation: 1}\n");
    json_set(w->cluster, "spec", world_yaml(spec_yaml));
    cr_assert_eq(kube_store_new(&options, NULL, NULL, &w->nodes, NULL), 0);
}

static inline void world_done(struct world *w)
{
    w->r->forget(w->r, w->memory);
    cr_assert_eq(w->maker.alive, 0, "an authority was lost");
    raycluster_free(w->r);
    plan_free(w->p);
    json_free(w->cluster);
    for (int k = 0; k < SEEN_KINDS; k++)
        for (size_t i = 0; i < w->n[k]; i++)
            json_free(w->objects[k][i]);
    for (size_t i = 0; i < w->n_foreign; i++)
        json_free(w->foreign[i]);
    kube_store_free(w->nodes);
}

/* -- what is seen ------------------------------------------------------------------------------ */

static inline struct kube_object world_meta(const struct json *o)
{
    const struct json *m = json_get(o, "metadata");
    struct kube_object meta = {.ns = json_str(json_get(m, "namespace")),
                               .name = json_str(json_get(m, "name")),
                               .uid = json_str(json_get(m, "uid")),
                               .deleting = json_get(m, "deletionTimestamp") != NULL};

    (void)json_int(json_get(m, "generation"), &meta.generation);
    return meta;
}

/* One plan, not carried out. The result is the reconciler's. */
static inline int world_try(struct world *w, struct raia_error *e)
{
    static struct kube_object metas[SEEN_KINDS][WORLD_MAX], foreign[4];
    static struct seen_object seen[SEEN_KINDS][WORLD_MAX], others[4];
    struct kube_object meta = world_meta(w->cluster);
    struct seen s = {.meta = &meta,
                     .tree = w->cluster,
                     .nodes = w->nodes,
                     .now = w->now,
                     .wall_ns = w->wall_ns,
                     .failure = w->failure.reason != KUBE_OK ? &w->failure : NULL,
                     .failed = w->failure.reason != KUBE_OK ? w->failed : NULL};

    for (int k = 0; k < SEEN_KINDS; k++) {
        for (size_t i = 0; i < w->n[k]; i++) {
            metas[k][i] = world_meta(w->objects[k][i]);
            seen[k][i] = (struct seen_object){&metas[k][i], w->objects[k][i]};
        }
        s.of[k] = (struct seen_list){seen[k], w->n[k]};
    }
    for (size_t i = 0; i < w->n_foreign; i++) {
        foreign[i] = world_meta(w->foreign[i]);
        others[i] = (struct seen_object){&foreign[i], w->foreign[i]};
    }
    s.foreign = (struct seen_list){others, w->n_foreign};
    plan_free(w->p);
    w->p = plan_new();
    if (!w->p)
        return -RAIA_ERR_NOMEM;
    return w->r->plan(w->r, &s, &w->memory, w->p, e);
}

/* -- what happens ------------------------------------------------------------------------------ */

static inline int world_kind(const struct kube_resource *r)
{
    return r == &kube_pods       ? SEEN_PODS
           : r == &kube_services ? SEEN_SERVICES
           : r == &kube_secrets  ? SEEN_SECRETS
                                 : SEEN_PVCS;
}

static inline struct json *world_get(struct world *w, int kind, const char *name)
{
    for (size_t i = 0; i < w->n[kind]; i++)
        if (strcmp(json_str(json_at(w->objects[kind][i], "metadata.name")), name) == 0)
            return w->objects[kind][i];
    return NULL;
}

/* Puts it in its place by name; takes it over. */
static inline void world_put(struct world *w, int kind, struct json *o)
{
    const char *name = json_str(json_at(o, "metadata.name"));
    char uid[32], time[64];
    size_t i = w->n[kind];

    cr_assert_lt(i, WORLD_MAX);
    cr_assert_not(world_get(w, kind, name), "%s is there twice", name);
    snprintf(uid, sizeof uid, "uid-%u", ++w->uids);
    snprintf(time, sizeof time, "2026-01-01T00:%02u:%02uZ", w->uids / 60 % 60, w->uids % 60);
    json_set_str(json_get(o, "metadata"), "uid", uid);
    json_set_str(json_get(o, "metadata"), "creationTimestamp", time);
    for (; i > 0 && strcmp(json_str(json_at(w->objects[kind][i - 1], "metadata.name")), name) > 0;
         i--)
        w->objects[kind][i] = w->objects[kind][i - 1];
    w->objects[kind][i] = o;
    w->n[kind]++;
}

static inline void world_remove(struct world *w, int kind, const char *name)
{
    for (size_t i = 0; i < w->n[kind]; i++)
        if (strcmp(json_str(json_at(w->objects[kind][i], "metadata.name")), name) == 0) {
            json_free(w->objects[kind][i]);
            memmove(&w->objects[kind][i], &w->objects[kind][i + 1],
                    (--w->n[kind] - i) * sizeof(struct json *));
            return;
        }
    cr_assert_fail("no %s", name);
}

/* RFC 7386. */
static inline void world_merge(struct json *into, const struct json *patch)
{
    JSON_FOREACH(v, patch)
    {
        struct json *old = json_get(into, json_key(v));
        if (json_is(v, JSON_NULL))
            json_free(json_detach(into, json_key(v)));
        else if (json_is(v, JSON_OBJECT) && json_is(old, JSON_OBJECT))
            world_merge(old, v);
        else
            json_set(into, json_key(v), json_copy(v));
    }
}

static inline void world_act(struct world *w, struct plan_action *a)
{
    int kind = world_kind(a->resource);
    struct json *o = world_get(w, kind, a->name);

    if (a->kind == PLAN_CREATE) {
        if (!o)
            world_put(w, kind, json_copy(a->object));
        if (!json_at(a->object, "metadata.ownerReferences"))
            w->r->found(w->r, &w->memory, a->resource, a->name);
    } else if (a->kind == PLAN_APPLY) {
        if (o)
            world_remove(w, kind, a->name);
        world_put(w, kind, json_copy(a->object));
    } else if (a->kind == PLAN_PATCH) {
        world_merge(o, a->object);
    } else if (o) {
        cr_assert_str_eq(json_str(json_at(o, "metadata.uid")), a->uid);
        if (a->grace_s == 0)
            world_remove(w, kind, a->name);
        else
            json_set_str(json_get(o, "metadata"), "deletionTimestamp", "2026-01-01T00:00:00Z");
    }
}

/* One plan, carried out. */
static inline void world_step(struct world *w)
{
    struct raia_error e = {0};
    struct plan_action *a;

    cr_assert_eq(world_try(w, &e), 0, "%s", e.text);
    LIST_FOREACH (a, &w->p->actions, link)
        world_act(w, a);
    const struct json *status = w->p->hope ? w->p->hope : w->p->status;
    if (status)
        json_set(w->cluster, "status", json_copy(status));
}

/* -- what others do ---------------------------------------------------------------------------- */

static inline void world_spec(struct world *w, const char *path, const char *key, struct json *v)
{
    int64_t generation = 0;
    struct json *at =
        path[0] ? json_at(json_get(w->cluster, "spec"), path) : json_get(w->cluster, "spec");

    cr_assert(at, "no %s", path);
    json_set(at, key, v);
    (void)json_int(json_at(w->cluster, "metadata.generation"), &generation);
    json_set_int(json_get(w->cluster, "metadata"), "generation", generation + 1);
}

static inline void world_status(struct json *pod, const char *yaml)
{
    json_set(pod, "status", world_yaml(yaml));
}

#define WORLD_RUNNING                                                                              \
    "{phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: 'True'}], "              \
    "containerStatuses: [{name: r, ready: true, restartCount: 0, state: {running: {}}}]}"

/* All pods run that are not going; those that are go. */
static inline void world_settle(struct world *w)
{
    for (size_t i = 0; i < w->n[SEEN_PODS];) {
        struct json *pod = w->objects[SEEN_PODS][i];
        if (json_at(pod, "metadata.deletionTimestamp")) {
            world_remove(w, SEEN_PODS, json_str(json_at(pod, "metadata.name")));
            continue;
        }
        if (!json_get(pod, "status"))
            world_status(pod, WORLD_RUNNING);
        i++;
    }
}

static inline void world_rest(struct world *w)
{
    for (int i = 0; i < 6; i++) {
        world_step(w);
        world_settle(w);
    }
    world_step(w);
}

/* -- what is there ----------------------------------------------------------------------------- */

/* The i-th pod of a group, going ones too; NULL. */
static inline struct json *world_pod(struct world *w, const char *group, size_t i)
{
    for (size_t k = 0; k < w->n[SEEN_PODS]; k++) {
        struct json *pod = w->objects[SEEN_PODS][k];
        const char *g = json_str(json_get(json_at(pod, "metadata.labels"), RAY_LABEL_GROUP));
        if (g && strcmp(g, group) == 0 && i-- == 0)
            return pod;
    }
    return NULL;
}

static inline const char *world_name(const struct json *o)
{
    return json_str(json_at(o, "metadata.name"));
}

static inline size_t world_count(struct world *w, const char *group)
{
    size_t n = 0;

    while (world_pod(w, group, n))
        n++;
    return n;
}

/* Actions of the latest plan: of a kind, in a stage (-1: any), on a resource. */
static inline unsigned world_planned(struct world *w, enum plan_kind kind, int stage,
                                     const struct kube_resource *r)
{
    struct plan_action *a;
    unsigned n = 0;

    LIST_FOREACH (a, &w->p->actions, link)
        n += a->kind == kind && a->resource == r && (stage < 0 || a->stage == (unsigned)stage);
    return n;
}

static inline const char *world_reason(struct world *w, const char *type)
{
    return conditions_reason(json_at(w->cluster, "status.conditions"), type);
}

static inline bool world_is(struct world *w, const char *type)
{
    return conditions_true(json_at(w->cluster, "status.conditions"), type);
}

static inline const char *world_says(struct world *w, const char *type)
{
    const char *m = json_str(
        json_get(conditions_get(json_at(w->cluster, "status.conditions"), type), "message"));

    return m ? m : "";
}

static inline bool world_event(struct world *w, const char *reason)
{
    struct plan_event *v;

    LIST_FOREACH (v, &w->p->events, link)
        if (strcmp(v->reason, reason) == 0)
            return true;
    return false;
}

static inline void world_fail(struct world *w, enum kube_reason reason, const char *what,
                              const char *text)
{
    w->failure = (struct kube_error){.reason = reason};
    snprintf(w->failure.base.text, sizeof w->failure.base.text, "%s", text);
    snprintf(w->failed, sizeof w->failed, "%s", what);
}

static inline void world_node(struct world *w, const char *name, bool ready, int64_t since_s)
{
    _cleanup_(json_freep) struct json *node = NULL;
    char text[512], time[64];
    time_t t = (time_t)(w->wall_ns / CLOCK_NS_PER_S - since_s);
    struct tm tm;

    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    snprintf(text, sizeof text,
             "{metadata: {name: %s, uid: %s, resourceVersion: '1'}, status: {conditions: "
             "[{type: Ready, status: '%s', lastTransitionTime: '%s'}]}}",
             name, name, ready ? "True" : "Unknown", time);
    node = world_yaml(text);
    cr_assert_eq(kube_store_put(w->nodes, node, NULL), 0);
}

#endif
