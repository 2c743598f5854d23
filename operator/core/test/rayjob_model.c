/*
 * The RayJob's world: objects, plans carried out, calls (rayjob_model.h).
 */
#include "test/rayjob_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/fields.h"
#include "core/rayjob.h"
#include "kube/wall_time.h"

#define WALL_0 INT64_C(1790000000) /* s since the epoch, when `now` is 0 */

void model_broken(struct model *w, const char *fmt, ...)
{
    va_list ap;

    if (*w->broken)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(w->broken, sizeof w->broken, fmt, ap);
    va_end(ap);
}

static struct json *parse(const char *text)
{
    struct raia_error e = {0};
    struct json *j = NULL;

    if (json_parse(text, strlen(text), NULL, &j, &e) < 0) {
        (void)fprintf(stderr, "%s: %s\n", e.text, text);
        abort();
    }
    return j;
}

void model_set(struct json *root, const char *path, const char *json_text)
{
    char parent[200];
    char *dot;

    (void)snprintf(parent, sizeof parent, "%s", path);
    dot = strrchr(parent, '.');
    if (dot)
        *dot = '\0';
    if (json_set(dot ? json_at(root, parent) : root, dot ? dot + 1 : path, parse(json_text)) < 0)
        abort();
}

static void merge(struct json *to, const struct json *patch)
{
    JSON_FOREACH(it, patch)
    {
        struct json *have = json_get(to, json_key(it));

        if (json_is(it, JSON_NULL))
            json_free(json_detach(to, json_key(it)));
        else if (json_is(it, JSON_OBJECT) && json_is(have, JSON_OBJECT))
            merge(have, it);
        else if (json_set(to, json_key(it), json_copy(it)) < 0)
            abort();
    }
}

static void fill_meta(struct kube_object *m, const struct json *tree)
{
    m->ns = json_str(json_at(tree, "metadata.namespace"));
    m->name = json_str(json_at(tree, "metadata.name"));
    m->uid = json_str(json_at(tree, "metadata.uid"));
    m->resource_version = "1";
    (void)json_int(json_at(tree, "metadata.generation"), &m->generation);
}

struct model *model_new(uint64_t seed, const char *spec)
{
    struct model *w = mem_new(struct model);

    prng_seed(&w->prng, seed);
    w->now = CLOCK_NS_PER_S;
    w->config = (struct operator_config){.raia_image = "raia.io/raia:dev",
                                         .raia_pull_policy = "IfNotPresent",
                                         .cluster_domain = "cluster.local",
                                         .tokens = true,
                                         .tls = true};
    w->r = rayjob_reconciler(&w->config);
    w->job = parse("{\"apiVersion\":\"ray.io/v1\",\"kind\":\"RayJob\",\"metadata\":{\"name\":"
                   "\"demo\",\"namespace\":\"ns\",\"uid\":\"u-1\",\"generation\":1,"
                   "\"labels\":{\"mine\":\"1\"}}}");
    model_set(w->job, "spec", spec);
    fill_meta(&w->job_meta, w->job);
    w->dirty = true;
    w->again = CLOCK_NEVER;
    w->run_ms = 20000;
    return w;
}

static void drop_object(struct model_object *o)
{
    json_free(o->tree);
    *o = (struct model_object){0};
}

void model_free(struct model *w)
{
    for (size_t i = 0; i < MODEL_OBJECTS; i++)
        drop_object(&w->o[i]);
    for (size_t i = 0; i < MODEL_CALLS; i++)
        mem_free(w->calls[i].body);
    if (w->memory)
        w->r->forget(w->r, w->memory);
    plan_free(w->p);
    json_free(w->job);
    mem_free(w->r);
    mem_free(w);
}

/* -- looking -------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct seen_object *x = a, *y = b;

    return strcmp(x->meta->name, y->meta->name);
}

void model_plan(struct model *w)
{
    struct seen_object lists[SEEN_KINDS][MODEL_OBJECTS];
    struct seen s = {.meta = &w->job_meta,
                     .tree = w->job,
                     .now = w->now,
                     .wall_ns = WALL_0 * CLOCK_NS_PER_S + w->now};
    const char *cluster = model_status(w, "rayClusterName");
    struct raia_error e = {0};

    w->job_meta.deleting = json_at(w->job, "metadata.deletionTimestamp") != NULL;
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *o = &w->o[i];
        struct seen_object x = {&o->meta, o->tree};
        const char *of =
            o->used ? json_str(json_at(o->tree, "metadata.labels[\"ray.io/cluster\"]")) : NULL;

        if (!o->used)
            continue;
        fill_meta(&o->meta, o->tree);
        o->meta.deleting = o->gone_at != 0;
        if (o->kind == SEEN_PODS) {
            if (of && strcmp(of, cluster) == 0)
                s.head = x;
        } else if (json_at(o->tree, "metadata.ownerReferences")) {
            lists[o->kind][s.of[o->kind].n++] = x;
        } else if (o->kind == SEEN_CLUSTERS) {
            s.selected = x;
        }
    }
    for (int k = 0; k < SEEN_KINDS; k++) {
        s.of[k].at = lists[k];
        qsort(lists[k], s.of[k].n, sizeof lists[k][0], by_name);
    }
    s.failure = w->failed ? &w->failure : NULL;
    s.failed = w->failed;
    w->looks++;
    w->dirty = false;
    plan_free(w->p);
    w->p = plan_new();
    mem_fail_nth(w->fail_nth);
    int r = w->r->plan(w->r, &s, &w->memory, w->p, &e);
    w->allocations = mem_fail_count();
    mem_fail_nth(0);
    if (r < 0)
        model_broken(w, "no plan: %s", e.text);
    w->failed = NULL;
    w->again = w->p->again;
}

/* -- carrying out ----------------------------------------------------------------------------------- */

static enum seen_kind kind_of(const struct kube_resource *r)
{
    return !strcmp(r->plural, "rayclusters") ? SEEN_CLUSTERS
           : !strcmp(r->plural, "jobs")      ? SEEN_JOBS
           : !strcmp(r->plural, "services")  ? SEEN_SERVICES
                                             : SEEN_PODS;
}

static struct model_object *find(struct model *w, enum seen_kind kind, const char *name)
{
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        const char *has = w->o[i].used ? json_str(json_at(w->o[i].tree, "metadata.name")) : NULL;

        if (has && w->o[i].kind == kind && strcmp(has, name) == 0)
            return &w->o[i];
    }
    return NULL;
}

static struct model_object *place(struct model *w)
{
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        if (!w->o[i].used)
            return &w->o[i];
    }
    abort();
}

static void create(struct model *w, const struct plan_action *a)
{
    enum seen_kind kind = kind_of(a->resource);
    const char *name = json_str(json_at(a->object, "metadata.name"));
    struct model_object *o = find(w, kind, name);
    char uid[32];

    if (kind == SEEN_CLUSTERS && strcmp(name, model_status(w, "rayClusterName")) != 0)
        model_broken(w, "RayCluster %s is made before its name is written", name);
    if (kind == SEEN_JOBS && !*model_status(w, "jobId"))
        model_broken(w, "a Job is made before its id is written");
    if (o)
        return; /* it exists: it will be seen */
    o = place(w);
    o->used = true;
    o->kind = kind;
    o->tree = json_copy(a->object);
    (void)snprintf(uid, sizeof uid, "\"o-%u\"", ++w->serial);
    model_set(o->tree, "metadata.uid", uid);
    model_set(o->tree, "metadata.generation", "1");
    o->ready_at = w->now + prng_range(&w->prng, 100, 20000) * MODEL_MS;
    o->sub.begins_at = w->now + prng_range(&w->prng, 100, 5000) * MODEL_MS;
    w->dirty = true;
}

static void delete (struct model *w, const struct plan_action *a)
{
    struct model_object *o;

    w->dirty = true;
    if (a->resource == &ray_jobs) {
        model_set(w->job, "metadata.deletionTimestamp", "\"2026-11-22T00:00:00Z\"");
        return;
    }
    o = find(w, kind_of(a->resource), a->name);
    if (o && strcmp(json_str(json_at(o->tree, "metadata.uid")), a->uid) == 0 && !o->gone_at)
        o->gone_at = w->now + prng_range(&w->prng, 1, 8000) * MODEL_MS;
    if (o && w->by_hand)
        drop_object(o);
}

static void begin_call(struct model *w, const struct plan_action *a)
{
    const char *known = strstr(a->url, "known_status="), *wait = strstr(a->url, "wait_ms=");

    for (size_t i = 0; i < MODEL_CALLS; i++) {
        if (w->calls[i].used && !w->calls[i].dead && w->calls[i].tag == a->tag)
            return; /* one at a time */
    }
    for (size_t i = 0; i < MODEL_CALLS; i++) {
        struct model_call *c = &w->calls[i];

        if (c->used)
            continue;
        *c = (struct model_call){.used = true, .tag = a->tag, .body = mem_strdup(a->body)};
        (void)snprintf(c->method, sizeof c->method, "%s", a->method);
        (void)snprintf(c->url, sizeof c->url, "%s", a->url);
        if (known)
            (void)snprintf(c->known, sizeof c->known, "%s", known + 13);
        c->begins =
            w->now + prng_range(&w->prng, 1, prng_chance(&w->prng, 0.1) ? 4000 : 50) * MODEL_MS;
        c->waits = wait && !w->no_long_poll ? c->begins + strtol(wait + 8, NULL, 10) * MODEL_MS : 0;
        c->deadline = w->now + a->timeout_ms * MODEL_MS;
        c->no_answer = prng_chance(&w->prng, w->lose);
        return;
    }
    model_broken(w, "%d calls are under way", MODEL_CALLS);
}

void model_apply(struct model *w, unsigned actions)
{
    struct plan *p = w->p;
    struct plan_action *a;
    struct plan_event *e;
    struct json *was = json_copy(json_get(w->job, "status"));

    if (p->metadata && actions-- > 0) {
        struct json *meta = json_get(w->job, "metadata");

        merge(meta, p->metadata);
        w->writes++;
        w->dirty = true;
        if (w->job_meta.deleting && !json_first(json_get(meta, "finalizers"))) {
            json_free(w->job);
            w->job = NULL;
            json_free(was);
            return;
        }
    }
    LIST_FOREACH (a, &p->actions, link) {
        if (actions == 0 || actions == (unsigned)-1)
            break;
        actions--;
        w->writes += a->kind != PLAN_CALL;
        if (a->kind == PLAN_CREATE)
            create(w, a);
        else if (a->kind == PLAN_DELETE)
            delete (w, a);
        else if (a->kind == PLAN_CALL)
            begin_call(w, a);
        else if (find(w, kind_of(a->resource),
                      a->name ? a->name : json_str(json_at(a->object, "metadata.name"))))
            merge(find(w, kind_of(a->resource),
                       a->name ? a->name : json_str(json_at(a->object, "metadata.name")))
                      ->tree,
                  a->object);
    }
    if (actions == 0 || actions == (unsigned)-1) {
        json_free(was);
        return; /* the operator died before the status */
    }
    LIST_FOREACH (e, &p->events, link) {
        size_t n = strlen(w->events);

        (void)snprintf(w->events + n, sizeof w->events - n, "%s ", e->reason);
    }
    if (p->status && !json_equal(p->status, was)) {
        model_check_status(w, was, p->status);
        if (json_set(w->job, "status", json_copy(p->status)) < 0)
            abort();
        w->writes++;
        w->dirty = true;
    }
    json_free(was);
}

void model_step(struct model *w)
{
    model_plan(w);
    model_apply(w, 1000);
}

void model_restart(struct model *w)
{
    if (w->memory)
        w->r->forget(w->r, w->memory);
    w->memory = NULL;
    w->dirty = true;
    w->restarts++;
    for (size_t i = 0; i < MODEL_CALLS; i++)
        w->calls[i].dead = true;
}

void model_run(struct model *w, int64_t ms)
{
    int64_t end = w->now + ms * MODEL_MS;

    while (w->now < end && w->job && !*w->broken) {
        model_environment(w);
        for (int i = 0; i < 20 && w->job && (w->dirty || w->now >= w->again); i++) {
            model_plan(w);
            if (prng_chance(&w->prng, w->crash)) {
                model_apply(w, (unsigned)prng_below(&w->prng, 3));
                model_restart(w);
            } else {
                model_apply(w, 1000);
            }
            model_check(w);
        }
        w->now += prng_range(&w->prng, 10, 400) * MODEL_MS;
    }
}

/* -- reading ---------------------------------------------------------------------------------------- */

struct model_object *model_object(struct model *w, enum seen_kind kind)
{
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        if (w->o[i].used && w->o[i].kind == kind && !w->o[i].gone_at)
            return &w->o[i];
    }
    return NULL;
}

const char *model_status(const struct model *w, const char *path)
{
    const char *text = json_str(json_at(json_get(w->job, "status"), path));

    return text ? text : "";
}

int64_t model_count(const struct model *w, const char *path)
{
    int64_t n;

    return json_int(json_at(json_get(w->job, "status"), path), &n) < 0 ? -1 : n;
}

void model_spec(struct model *w, const char *key, const char *json_text)
{
    char path[100], generation[32];

    (void)snprintf(path, sizeof path, "spec.%s", key);
    model_set(w->job, path, json_text);
    (void)snprintf(generation, sizeof generation, "%lld", (long long)w->job_meta.generation + 1);
    model_set(w->job, "metadata.generation", generation);
    fill_meta(&w->job_meta, w->job);
    w->dirty = true;
}

/* -- by hand ------------------------------------------------------------------------------------------ */

void model_cluster_ready(struct model *w)
{
    model_set(model_object(w, SEEN_CLUSTERS)->tree, "status",
              "{\"state\":\"ready\",\"lastUpdateTime\":\"2026-11-22T00:00:00Z\",\"conditions\":[{"
              "\"type\":\"HeadPodReady\",\"status\":\"True\",\"reason\":"
              "\"HeadPodRunningAndReady\"}]}");
}

struct model_call *model_find_call(struct model *w, const char *method, const char *part)
{
    for (size_t i = 0; i < MODEL_CALLS; i++) {
        struct model_call *c = &w->calls[i];

        if (c->used && !c->dead && !strcmp(c->method, method) && strstr(c->url, part))
            return c;
    }
    return NULL;
}

void model_answer(struct model *w, const char *method, const char *part, int http, const char *body)
{
    struct model_call *c = model_find_call(w, method, part);
    struct plan_answer a = {.http_status = http,
                            .body = http ? body : NULL,
                            .body_len = http ? strlen(body) : 0,
                            .error = http ? NULL : body};

    if (!c) {
        model_broken(w, "no %s %s is under way", method, part);
        return;
    }
    a.tag = c->tag;
    a.now = ++w->now;
    c->used = false;
    mem_free(STEAL(c->body));
    w->r->answered(w->r, &w->memory, &a);
}

void model_job_condition(struct model *w, const char *type, const char *reason)
{
    char text[400], when[KUBE_WALL_TIME_SIZE];

    (void)snprintf(text, sizeof text,
                   "{\"conditions\":[{\"type\":\"%s\",\"status\":\"True\",\"reason\":\"%s\","
                   "\"message\":\"because\",\"lastTransitionTime\":\"%s\"}]}",
                   type, reason, kube_wall_time(WALL_0 * 1000 + w->now / MODEL_MS, when));
    model_set(model_object(w, SEEN_JOBS)->tree, "status", text);
    w->dirty = true;
}
