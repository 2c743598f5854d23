/*
 * Informer, store, queue and expectations over a model API server with faults, seeded: whatever is
 * lost, late, told twice, compacted or refused, in the end the store is what the server has, and
 * the last change of every object has led to a reconcile that saw it. A controller that keeps three
 * pods for each ConfigMap must end with three each, and never count wrong. KUBE_SIM_SEEDS chooses
 * how many seeds. Planted bugs must be found.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/expectations.h"
#include "kube/informer.h"
#include "kube/plants.h"
#include "kube/sim/faulty.h"
#include "kube/workqueue.h"

enum kube_plant kube_planted;

#define MAPS    "/api/v1/configmaps"
#define PODS    "/api/v1/pods"
#define WANTED  3
#define CHAOS_S 120

/* What the last reconcile of a key saw. */
struct seen {
    HASH_HANDLE hh;  /* by key */
    char *text;      /* the object's; NULL: it was not there */
    unsigned asking; /* writes under way for it */
    char key[];      /* "namespace/name" */
};

struct world {
    struct sim *s;              /* time and chance */
    struct kube_model *m;       /* the server */
    struct kube_faults faults;  /* as they are now */
    struct kube_transport *t;   /* of the controller */
    struct kube_client *c;      /* of the controller */
    struct kube_informer *maps; /* what it serves */
    struct kube_informer *pods; /* what it makes */
    struct kube_queue *q;       /* keys of maps */
    struct kube_expect *x;      /* pods made and removed */
    struct seen *seen;          /* by key */
    unsigned reconciles;        /* how many */
    unsigned serial;            /* of names */
    unsigned too_many;          /* most pods of one map at a time */
    bool quiet;                 /* the outside has stopped */
};

struct write {
    struct kube_call call; /* the request */
    struct world *w;       /* whose */
    bool deletion;         /* of a pod; else its creation */
    char key[64];          /* of the map */
    char id[64];           /* name to create, uid to delete */
};

/* ---- the server's side ---- */

static void tell_server(struct world *w, const char *method, const char *target, const char *body)
{
    struct kube_request rq = {.method = method,
                              .target = target,
                              .body = body,
                              .body_len = body ? strlen(body) : 0,
                              .content_type = "application/merge-patch+json"};
    struct kube_model_answer a;
    kube_model_handle(w->m, &rq, 0, &a);
    kube_model_answer_done(&a);
}

/* Somebody makes, changes and removes maps, kills pods, and compacts. */
static void outside(void *arg)
{
    struct world *w = arg;
    struct prng *p = sim_prng(w->s);
    char target[128], body[256];
    unsigned n = (unsigned)prng_below(p, 8);
    if (sim_now(w->s) > CHAOS_S * CLOCK_NS_PER_S)
        return;
    snprintf(target, sizeof target, "/api/v1/namespaces/n/configmaps");
    switch (prng_below(p, 8)) {
    case 0:
    case 1:
        snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"m%u\"},\"data\":{\"v\":\"%u\"}}", n,
                 ++w->serial);
        tell_server(w, "POST", target, body);
        break;
    case 2:
    case 3:
    case 4:
        snprintf(target, sizeof target, "/api/v1/namespaces/n/configmaps/m%u", n);
        snprintf(body, sizeof body, "{\"data\":{\"v\":\"%u\"}}", ++w->serial);
        tell_server(w, "PATCH", target, body);
        break;
    case 5:
        snprintf(target, sizeof target, "/api/v1/namespaces/n/configmaps/m%u", n);
        tell_server(w, "DELETE", target, NULL);
        break;
    case 6:
        snprintf(target, sizeof target, "/api/v1/namespaces/n/pods/m%u-%u", n,
                 (unsigned)prng_below(p, w->serial + 1));
        tell_server(w, "DELETE", target, NULL);
        break;
    case 7:
        if (prng_chance(p, 0.2))
            kube_model_compact(w->m);
        break;
    }
    sim_after(w->s, NULL, prng_range(p, 10, 1500) * CLOCK_NS_PER_MS, outside, w, NULL);
}

/* ---- the controller ---- */

static void pump(void *arg);

static struct seen *seen_of(struct world *w, const char *key)
{
    struct seen *o = HASH_GET_STR(w->seen, key);
    if (!o) {
        size_t n = strlen(key) + 1;
        o = mem_zalloc(sizeof *o + n);
        memcpy(o->key, key, n);
        if (HASH_PUT_STR(w->seen, key, o) < 0)
            abort();
    }
    return o;
}

static void add(struct world *w, const char *key)
{
    kube_queue_add(w->q, key, sim_now(w->s));
    sim_after(w->s, NULL, 0, pump, w, NULL);
}

static void on_map(void *arg, enum kube_change c, const struct kube_object *old,
                   const struct kube_object *now)
{
    (void)c;
    add(arg, (now ? now : old)->key);
}

/* "n/m3-17" belongs to "n/m3". */
static void map_of(const struct kube_object *pod, char to[64])
{
    snprintf(to, 64, "%s", pod->key);
    to[strcspn(to, "-")] = '\0';
}

static void on_pod(void *arg, enum kube_change c, const struct kube_object *old,
                   const struct kube_object *now)
{
    struct world *w = arg;
    char key[64];
    map_of(now ? now : old, key);
    if (c == KUBE_ADDED)
        kube_expect_created(w->x, key, now->name);
    if (c == KUBE_REMOVED)
        kube_expect_deleted(w->x, key, old->uid);
    add(w, key);
}

static void on_pods_sync(void *arg, int64_t began)
{
    struct world *w = arg;
    kube_expect_settle(w->x, began);
    KUBE_STORE_FOREACH(o, kube_informer_store(w->maps)) add(w, o->key);
}

static void nothing_synced(void *arg, int64_t began)
{
    (void)arg, (void)began;
}

static void on_written(struct kube_call *call, struct json *object, const struct kube_error *error,
                       void *arg)
{
    struct write *x = arg;
    struct world *w = x->w;
    (void)call, (void)object;
    bool unknown = error->reason == KUBE_TRANSPORT;
    if (!error->base.code)
        kube_expect_acked(w->x, x->key, x->id, sim_now(w->s));
    else if (!unknown && x->deletion)
        kube_expect_deleted(w->x, x->key, x->id);
    else if (!unknown)
        kube_expect_created(w->x, x->key, x->id);
    /* Of an unknown outcome the expectation stays: it is seen, or given up after a while. */
    if (error->base.code)
        kube_queue_retry(w->q, x->key, sim_now(w->s));
    else
        add(w, x->key); /* its event may have come before */
    seen_of(w, x->key)->asking--;
    sim_after(w->s, NULL, 0, pump, w, NULL);
    mem_free(x);
}

static void write_pod(struct world *w, const char *key, const struct kube_object *pod)
{
    struct write *x = mem_new(struct write);
    char name[64], text[128];
    struct json *o = NULL;
    x->w = w;
    x->deletion = pod != NULL;
    snprintf(x->key, sizeof x->key, "%s", key);
    snprintf(name, sizeof name, "%s-%u", key + 2, ++w->serial);
    snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"%s\"}}", name);
    struct kube_ask ask = {.verb = KUBE_CREATE, .target = {.resource = &kube_pods, .ns = "n"}};
    if (pod) {
        snprintf(x->id, sizeof x->id, "%s", pod->uid);
        ask.verb = KUBE_DELETE;
        ask.target.name = pod->name;
        ask.uid = pod->uid;
        kube_expect_delete(w->x, key, x->id, sim_now(w->s));
    } else {
        snprintf(x->id, sizeof x->id, "%s", name);
        if (json_parse(text, strlen(text), NULL, &o, NULL) < 0)
            abort();
        ask.object = o;
        kube_expect_create(w->x, key, x->id, sim_now(w->s));
    }
    seen_of(w, key)->asking++;
    if (kube_ask(w->c, &x->call, &ask, on_written, x, NULL) < 0)
        abort();
    json_free(o);
}

static unsigned pods_of(struct world *w, const char *key, const struct kube_object **ret_any)
{
    unsigned n = 0;
    char owner[64];
    KUBE_STORE_FOREACH(o, kube_informer_store(w->pods))
    {
        map_of(o, owner);
        if (strcmp(owner, key) == 0) {
            *ret_any = o;
            n++;
        }
    }
    return n;
}

/* Makes or removes pods until the map has as many as it wants; 0 ones when it is gone. */
static void reconcile(struct world *w, const char *key)
{
    const struct kube_object *map = kube_store_get_key(kube_informer_store(w->maps), key);
    const struct kube_object *any = NULL;
    struct seen *o = seen_of(w, key);
    int64_t now = sim_now(w->s);
    w->reconciles++;
    mem_free(o->text);
    o->text = map ? kube_object_text(map) : NULL;
    if (!kube_informer_synced(w->maps) || !kube_informer_synced(w->pods))
        return; /* on_sync adds all */
    if (!kube_expect_met(w->x, key, now)) {
        kube_queue_add_at(w->q, key, kube_expect_deadline(w->x, key), now);
        return;
    }
    if (o->asking)
        return;
    unsigned have = pods_of(w, key, &any), want = map ? WANTED : 0;
    for (unsigned n = have; n < want; n++)
        write_pod(w, key, NULL);
    if (have > want)
        write_pod(w, key, any);
}

/* A reconcile takes its time, or fails. */
struct job {
    struct world *w; /* whose */
    char key[64];    /* what */
};

static void finish_job(void *arg)
{
    struct job *j = arg;
    int64_t now = sim_now(j->w->s);
    if (prng_chance(sim_prng(j->w->s), j->w->quiet ? 0 : 0.1))
        kube_queue_retry(j->w->q, j->key, now);
    else
        kube_queue_forget(j->w->q, j->key);
    kube_queue_done(j->w->q, j->key, now);
    sim_after(j->w->s, NULL, 0, pump, j->w, NULL);
    mem_free(j);
}

static void pump(void *arg)
{
    struct world *w = arg;
    int64_t now = sim_now(w->s);
    for (const char *key; (key = kube_queue_get(w->q, now));) {
        struct job *j = mem_new(struct job);
        j->w = w;
        snprintf(j->key, sizeof j->key, "%s", key);
        reconcile(w, j->key);
        sim_after(w->s, NULL, prng_range(sim_prng(w->s), 0, 50) * CLOCK_NS_PER_MS, finish_job, j,
                  NULL);
    }
}

/* For keys that wait for their time. */
static void tick(void *arg)
{
    struct world *w = arg;
    pump(w);
    sim_after(w->s, NULL, CLOCK_NS_PER_S, tick, w, NULL);
}

static void start_controller(struct world *w)
{
    struct prng *p = sim_prng(w->s);
    bool paged = prng_chance(p, 0.5);
    struct kube_informer_options maps = {.resource = &kube_config_maps,
                                         .on_change = on_map,
                                         .on_sync = nothing_synced,
                                         .arg = w,
                                         .page = 3,
                                         .idle_ms = 70000,
                                         .max_event = 1 << 16,
                                         .no_streaming = paged,
                                         .seed = prng_next(p)};
    struct kube_informer_options pods = maps;
    pods.resource = &kube_pods;
    pods.on_change = on_pod;
    pods.on_sync = on_pods_sync;
    pods.seed = prng_next(p);
    struct kube_queue_options qo = {.max_ns = 2 * CLOCK_NS_PER_S};
    w->t = kube_faulty_new(w->s, w->m, &w->faults);
    if (kube_client_new(w->t, NULL, &w->c, NULL) < 0 || kube_queue_new(&qo, &w->q) < 0 ||
        kube_expect_new(60 * CLOCK_NS_PER_S, &w->x) < 0 ||
        kube_informer_new(w->c, &maps, &w->maps, NULL) < 0 ||
        kube_informer_new(w->c, &pods, &w->pods, NULL) < 0)
        abort();
    kube_informer_start(w->maps);
    kube_informer_start(w->pods);
    kube_faulty_drive(w->t, w->c);
}

/* ---- the verdict ---- */

struct compared {
    struct world *w;                /* whose */
    const struct kube_store *store; /* against the server's */
    unsigned n;                     /* objects of the server */
    char bad[160];                  /* the first difference; "": none */
};

static void compare(void *arg, const char *ns, const char *name, const struct json *object)
{
    struct compared *c = arg;
    const struct kube_object *o = kube_store_get(c->store, ns, name);
    const char *version = json_str(json_at(object, "metadata.resourceVersion"));
    c->n++;
    if (!o)
        snprintf(c->bad, sizeof c->bad, "%s is missing from the store", name);
    else if (strcmp(o->resource_version, version) != 0)
        snprintf(c->bad, sizeof c->bad, "%s is old in the store", name);
}

static int verdict(struct world *w)
{
    struct compared c = {.w = w, .store = kube_informer_store(w->maps)};
    struct compared d = {.w = w, .store = kube_informer_store(w->pods)};
    struct seen *o, *next;
    kube_model_each(w->m, MAPS, compare, &c);
    kube_model_each(w->m, PODS, compare, &d);
    SIM_CHECK(w->s, !c.bad[0] && !d.bad[0], "%s%s", c.bad, d.bad);
    SIM_CHECK(w->s, c.n == kube_store_size(c.store), "the store has %zu maps, the server %u",
              kube_store_size(c.store), c.n);
    SIM_CHECK(w->s, d.n == kube_store_size(d.store), "the store has %zu pods, the server %u",
              kube_store_size(d.store), d.n);
    SIM_CHECK(w->s, d.n == c.n * WANTED, "%u maps have %u pods", c.n, d.n);
    KUBE_STORE_FOREACH(map, c.store)
    {
        _cleanup_(mem_freep) char *text = kube_object_text(map);
        o = HASH_GET_STR(w->seen, map->key);
        SIM_CHECK(w->s, o && o->text && text && strcmp(o->text, text) == 0,
                  "the last change of %s was not reconciled", map->key);
    }
    HASH_FOREACH (w->seen, o, next)
        SIM_CHECK(w->s, !o->text || kube_store_get_key(c.store, o->key),
                  "the removal of %s was not reconciled", o->key);
    SIM_CHECK(w->s, kube_expect_count(w->x) == 0, "expectations are left");
    SIM_CHECK(w->s, w->reconciles >= c.n, "only %u reconciles; %u maps", w->reconciles, c.n);
    return 0;
}

static void stop_controller(struct world *w)
{
    struct seen *o, *next;
    kube_informer_stop(w->maps);
    kube_informer_stop(w->pods);
    kube_client_close(w->c);
    int64_t end = sim_now(w->s) + 60 * CLOCK_NS_PER_S;
    while (sim_now(w->s) < end &&
           !(kube_informer_idle(w->maps) && kube_informer_idle(w->pods) && kube_client_idle(w->c)))
        if (!sim_step(w->s))
            break;
    if (!kube_client_idle(w->c))
        sim_fail(w->s, "calls are left after the client was closed");
    kube_informer_free(w->maps);
    kube_informer_free(w->pods);
    kube_client_free(w->c);
    kube_transport_free(w->t);
    kube_queue_free(w->q);
    kube_expect_free(w->x);
    HASH_FOREACH (w->seen, o, next) {
        HASH_DEL(w->seen, o);
        mem_free(o->text);
        mem_free(o);
    }
}

static int scenario(struct sim *s, void *ctx)
{
    struct world w = {.s = s};
    struct prng *p = sim_prng(s);
    double f = 0.05 * prng_double(p);
    (void)ctx;
    kube_model_new(&w.m);
    w.faults = (struct kube_faults){.lost = f,
                                    .unknown = f,
                                    .busy = f,
                                    .error = f,
                                    .slow = f / 4,
                                    .cut = f,
                                    .half_open = f / 4,
                                    .garbled = f,
                                    .large = f / 8,
                                    .twice = f,
                                    .ended = f,
                                    .gone = f,
                                    .no_streaming = prng_chance(p, 0.2)};
    start_controller(&w);
    outside(&w);
    tick(&w);
    sim_run(s, CHAOS_S * CLOCK_NS_PER_S);
    /* Now all goes well; dead watches are found by their idle timeouts, what is not known by the
     * expectations' time-outs. */
    bool no_streaming = w.faults.no_streaming;
    w.faults = (struct kube_faults){.no_streaming = no_streaming};
    w.quiet = true;
    sim_run(s, (CHAOS_S + 400) * CLOCK_NS_PER_S);
    int r = sim_failed(s) ? -1 : verdict(&w);
    stop_controller(&w);
    /* The jobs that are under way, before the world goes. */
    w.q = NULL;
    kube_model_free(w.m);
    return r;
}

/* Over many seeds of faults, the store converges and every change leads to a reconcile. */
Test(sim, converges, .timeout = 600)
{
    kube_planted = KUBE_PLANT_NONE;
    cr_assert_eq(sim_seeds("kube", 1, 300, scenario, NULL), 0);
}

/* Each bug planted on purpose is found within a hundred seeds. */
Test(sim, planted, .timeout = 600)
{
    for (int bug = KUBE_PLANT_NONE + 1; bug < KUBE_PLANTS_END; bug++) {
        bool found = false;
        kube_planted = (enum kube_plant)bug;
        for (uint64_t seed = 1; seed <= 100 && !found; seed++) {
            struct sim *s = NULL;
            cr_assert_eq(sim_new(seed, &s), 0);
            found = scenario(s, NULL) < 0 || sim_failed(s);
            sim_free(s);
        }
        kube_planted = KUBE_PLANT_NONE;
        cr_assert(found, "planted bug %d was not found", bug);
    }
}
