/*
 * The controller's life: informers, which keys their changes wake, and when keys have their turn.
 */
#include "core/controller_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

#define PARALLEL_DEFAULT 32
#define STALE_LOOK_NS    (1 * CLOCK_NS_PER_S) /* between looks at whether our write is seen */
#define SERVER_PAGE      500
/* Pods change one after the other: their owner waits for more of them, as long as some requests take,
 * so that an API server that is busy with pods is not asked for a status at each. */
#define PODS_WAIT_ANSWERS 10
#define PODS_WAIT_NS      (50 * CLOCK_NS_PER_MS)
#define PODS_WAIT_MAX_NS  (2 * CLOCK_NS_PER_S)

static void on_timer(struct kube_timer *t);
static void on_child(void *arg, enum kube_change change, const struct kube_object *old,
                     const struct kube_object *now);
static void on_node(void *arg, enum kube_change change, const struct kube_object *old,
                    const struct kube_object *now);
static void on_sync(void *arg, int64_t began);
static void on_trouble(void *arg, const struct kube_error *error);

static const struct kube_index pod_indexes[] = {
    {.kind = KUBE_BY_OWNER}, {.kind = KUBE_BY_LABEL, .label = RAY_CLUSTER_LABEL}};

int64_t controller_now__(const struct controller *c)
{
    return kube_client_now(c->o.client);
}

bool controller_leads__(const struct controller *c)
{
    return c->running &&
           (!c->o.leading || OPERATOR_PLANTED(OPERATOR_PLANT_NO_FENCE) || c->o.leading(c->o.arg));
}

void controller_trouble__(struct controller *c, const struct item *it, const char *text)
{
    if (!c->o.on_trouble)
        return;
    if (it)
        c->o.on_trouble(c->o.arg, it->source->fields->resource, it->ns, it->name, text);
    else
        c->o.on_trouble(c->o.arg, NULL, NULL, NULL, text);
}

/* ---- what is watched ---- */

static int add_source(struct controller *c, const struct fields *fields, int kind, const char *ns,
                      struct raia_error *e)
{
    struct source *s = &c->sources[c->n_sources];
    *s = (struct source){.c = c, .fields = fields, .kind = kind, .ns = ns};
    for (size_t i = 0; i < c->o.n_reconcilers; i++)
        if (c->o.reconcilers[i]->resource == fields->resource)
            s->r = c->o.reconcilers[i];
    if (fields->label && !(s->selector = mem_strdup(fields->label)))
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an informer");
    c->n_sources++; /* its own frees what is made of it */
    struct kube_informer_options o = {
        .resource = fields->resource,
        .ns = ns,
        .label_selector = s->selector,
        .store = {fields->keep, fields->n_keep, pod_indexes, kind == SEEN_PODS ? 2 : 1},
        .on_change = on_child,
        .on_sync = on_sync,
        .on_trouble = on_trouble,
        .arg = s,
        .metadata_only = fields->metadata_only,
        .page = SERVER_PAGE,
        .idle_ms = c->o.idle_ms,
        .seed = prng_next(&c->prng)};
    if (kube_expect_new(c->o.expect_ns, &s->expected) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an informer");
    return kube_informer_new(c->o.client, &o, &s->inf, e);
}

/* The kinds that any reconciler wants, and those of the reconcilers themselves. */
static int add_sources(struct controller *c, struct raia_error *e)
{
    size_t spaces = c->o.n_namespaces ? c->o.n_namespaces : 1;
    unsigned wants = 0;
    for (size_t i = 0; i < c->o.n_reconcilers; i++) {
        wants |= c->o.reconcilers[i]->wants;
        if (c->o.reconcilers[i]->resource == &ray_clusters)
            wants |= 1u << SEEN_CLUSTERS;
        if (c->o.reconcilers[i]->resource == &ray_jobs) /* the cluster's head */
            wants |= 1u << SEEN_CLUSTERS | 1u << SEEN_PODS;
    }
    c->sources = mem_calloc(spaces * (SEEN_KINDS + RECONCILERS_MAX), sizeof *c->sources);
    int r = c->sources ? 0 : err_set(e, RAIA_ERR_NOMEM, "out of memory for informers");
    for (size_t n = 0; r == 0 && n < spaces; n++) {
        const char *ns = c->o.n_namespaces ? c->o.namespaces[n] : NULL;
        for (int kind = 0; r == 0 && kind < SEEN_KINDS; kind++)
            if (wants & 1u << kind)
                r = add_source(c, fields_of(kind), kind, ns, e);
        for (size_t i = 0; r == 0 && i < c->o.n_reconcilers; i++) {
            const struct kube_resource *own = c->o.reconcilers[i]->resource;
            if (controller_source__(c, own, ns))
                continue;
            c->own[i].resource = own;
            r = add_source(c, &c->own[i], -1, ns, e);
        }
    }
    if (r < 0)
        return r;
    struct kube_informer_options nodes = {.resource = fields_nodes.resource,
                                          .store = {fields_nodes.keep, fields_nodes.n_keep},
                                          .on_change = on_node,
                                          .on_sync = on_sync,
                                          .on_trouble = on_trouble,
                                          .arg = &c->nodes_source,
                                          .page = SERVER_PAGE,
                                          .idle_ms = c->o.idle_ms,
                                          .seed = prng_next(&c->prng)};
    c->nodes_source = (struct source){.c = c, .fields = &fields_nodes, .kind = -1};
    return kube_informer_new(c->o.client, &nodes, &c->nodes, e);
}

struct source *controller_source__(struct controller *c, const struct kube_resource *r,
                                   const char *ns)
{
    for (size_t i = 0; i < c->n_sources; i++) {
        struct source *s = &c->sources[i];
        if (s->fields->resource == r && (!s->ns || (ns && strcmp(s->ns, ns) == 0)))
            return s;
    }
    return NULL;
}

/* ---- life ---- */

int controller_new(const struct controller_options *o, struct controller **ret_c,
                   struct raia_error *e)
{
    if (o->n_reconcilers > RECONCILERS_MAX || o->n_namespaces > NAMESPACES_MAX)
        return err_set(e, RAIA_ERR_LIMIT, "at most %d reconcilers and %d namespaces",
                       RECONCILERS_MAX, NAMESPACES_MAX);
    struct controller *c = mem_new(struct controller);
    if (!c)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a controller");
    c->o = *o;
    c->o.parallel = o->parallel ? o->parallel : PARALLEL_DEFAULT;
    c->o.backoff_max_ns = o->backoff_max_ns ? o->backoff_max_ns : 300 * CLOCK_NS_PER_S;
    c->o.expect_ns = o->expect_ns ? o->expect_ns : 300 * CLOCK_NS_PER_S;
    list_init(&c->dying);
    list_init(&c->calls_waiting);
    prng_seed(&c->prng, o->seed);
    struct kube_queue_options q = {.max_ns = c->o.backoff_max_ns, .parallel = c->o.parallel};
    int r = kube_queue_new(&q, &c->queue);
    if (r == 0)
        r = kube_timer_attach(o->client, &c->timer, on_timer);
    r = r < 0 ? err_set(e, -r, "out of memory for a controller") : add_sources(c, e);
    if (r < 0)
        controller_free(c);
    else
        *ret_c = c;
    return r;
}

void controller_start(struct controller *c)
{
    if (c->running)
        return;
    c->running = true;
    for (size_t i = 0; i < c->n_sources; i++)
        kube_informer_start(c->sources[i].inf);
    kube_informer_start(c->nodes);
}

bool controller_synced(const struct controller *c)
{
    for (size_t i = 0; i < c->n_sources; i++)
        if (!kube_informer_synced(c->sources[i].inf))
            return false;
    return kube_informer_synced(c->nodes);
}

static void cancel_all(struct item *it)
{
    struct call_op *op, *next;
    it->holds++;
    if (it->run)
        controller_run_cut__(it->run);
    LIST_FOREACH_SAFE (op, next, &it->calls, link)
        controller_call_cancel__(op);
    it->holds--;
}

void controller_wake(struct controller *c)
{
    struct item *it, *next;
    if (!controller_leads__(c))
        HASH_FOREACH (c->items, it, next)
            cancel_all(it);
    controller_pump_soon__(c, controller_now__(c));
}

void controller_stop(struct controller *c)
{
    struct item *it, *next;
    c->running = false;
    for (size_t i = 0; i < c->n_sources; i++)
        kube_informer_stop(c->sources[i].inf);
    kube_informer_stop(c->nodes);
    kube_timer_stop(c->o.client, &c->timer);
    HASH_FOREACH (c->items, it, next)
        cancel_all(it);
}

bool controller_idle(const struct controller *c)
{
    if (c->running || c->runs || !list_empty(&c->dying))
        return false;
    for (size_t i = 0; i < c->n_sources; i++)
        if (!kube_informer_idle(c->sources[i].inf))
            return false;
    for (struct item *it = c->items; it; it = it->hh.next)
        if (!list_empty(&it->calls))
            return false;
    return kube_informer_idle(c->nodes);
}

static void unwatch(struct item *it)
{
    struct watch *w = it->watch;
    if (!w)
        return;
    list_del(&it->watch_link);
    it->watch = NULL;
    if (list_empty(&w->items)) {
        HASH_DEL(it->c->watches, w);
        mem_free(w);
    }
}

static void free_item(struct item *it)
{
    if (it->source->r && it->source->r->forget)
        it->source->r->forget(it->source->r, it->memory);
    list_del(&it->watch_link); /* of the dying */
    for (unsigned i = 0; i < it->n_stale; i++)
        mem_free(it->stale[i]);
    mem_free(it->uid);
    mem_free(it->ns);
    mem_free(it->name);
    mem_free(it->failure);
    mem_free(it->failed);
    mem_free(it);
}

void controller_release__(struct item *it)
{
    if (it->gone && !it->holds && !it->run && list_empty(&it->calls))
        free_item(it);
}

void controller_free(struct controller *c)
{
    struct item *it, *next;
    if (!c)
        return;
    HASH_FOREACH (c->items, it, next) {
        HASH_DEL(c->items, it);
        unwatch(it);
        free_item(it);
    }
    for (size_t i = 0; i < c->n_sources; i++) {
        kube_informer_free(c->sources[i].inf);
        kube_expect_free(c->sources[i].expected);
        mem_free(c->sources[i].selector);
    }
    mem_free(c->sources);
    kube_informer_free(c->nodes);
    kube_timer_detach(c->o.client, &c->timer);
    kube_queue_free(c->queue);
    mem_free(c);
}

/* ---- keys ---- */

struct item *controller_item__(struct controller *c, const char *uid)
{
    return uid ? HASH_GET_STR(c->items, uid) : NULL;
}

/* A key that cannot be taken down is not lost: all are added a little later. */
void controller_add__(struct controller *c, const char *uid)
{
    int64_t now = controller_now__(c);
    if (kube_queue_add(c->queue, uid, now) < 0) {
        c->rescan = true;
        now += CLOCK_NS_PER_S;
    }
    controller_pump_soon__(c, now);
}

static void add_soon(struct controller *c, const char *uid)
{
    int64_t now = controller_now__(c);
    int64_t wait = PODS_WAIT_ANSWERS * c->answer_ns;
    wait = wait < PODS_WAIT_NS ? PODS_WAIT_NS : wait > PODS_WAIT_MAX_NS ? PODS_WAIT_MAX_NS : wait;
    int64_t due = now + wait;
    if (kube_queue_add_at(c->queue, uid, due, now) < 0) {
        c->rescan = true;
        due = now + CLOCK_NS_PER_S;
    }
    controller_pump_soon__(c, due);
}

static void add_all(struct controller *c)
{
    struct item *it, *next;
    c->rescan = false;
    HASH_FOREACH (c->items, it, next)
        controller_add__(c, it->uid);
}

/* Which cluster a RayJob looks at may change with its status. */
static int rewatch(struct item *it, const struct kube_object *o)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    _cleanup_(mem_freep) char *key = NULL;
    if (it->source->fields->resource != &ray_jobs)
        return 0;
    int r = kube_object_tree(o, &tree, NULL);
    const char *name = r < 0 ? NULL : controller_cluster_of__(tree);
    if (name && !(key = mem_printf("%s/%s", it->ns, name)))
        return -RAIA_ERR_NOMEM;
    if (r < 0 || (key && it->watch && strcmp(it->watch->key, key) == 0))
        return r;
    unwatch(it);
    struct watch *w = key ? HASH_GET_STR(it->c->watches, key) : NULL;
    if (key && !w) {
        size_t n = strlen(key) + 1;
        if (!(w = mem_zalloc(sizeof *w + n)))
            return -RAIA_ERR_NOMEM;
        memcpy(w->key, key, n);
        list_init(&w->items);
        if (HASH_PUT_STR(it->c->watches, key, w) < 0) {
            mem_free(w);
            return -RAIA_ERR_NOMEM;
        }
    }
    if (w)
        list_add_tail(&w->items, &it->watch_link);
    it->watch = w;
    return 0;
}

static struct item *new_item(struct source *s, const struct kube_object *o)
{
    struct controller *c = s->c;
    struct item *it = mem_new(struct item);
    if (!it)
        return NULL;
    it->c = c;
    it->source = s;
    list_init(&it->calls);
    list_init(&it->watch_link);
    it->uid = mem_strdup(o->uid);
    it->ns = mem_strdup(o->ns);
    it->name = mem_strdup(o->name);
    if (!it->uid || !it->name || (o->ns && !it->ns) || HASH_PUT_STR(c->items, uid, it) < 0) {
        mem_free(it->uid);
        mem_free(it->ns);
        mem_free(it->name);
        mem_free(it);
        return NULL;
    }
    return it;
}

static void item_gone(struct item *it)
{
    struct controller *c = it->c;
    HASH_DEL(c->items, it);
    unwatch(it);
    list_add_tail(&c->dying, &it->watch_link);
    kube_queue_forget(c->queue, it->uid);
    for (size_t i = 0; i < c->n_sources; i++)
        kube_expect_drop(c->sources[i].expected, it->uid);
    it->gone = true;
    cancel_all(it);
    controller_release__(it);
}

static void on_own(struct source *s, enum kube_change change, const struct kube_object *old,
                   const struct kube_object *now)
{
    struct controller *c = s->c;
    struct item *it = controller_item__(c, (now ? now : old)->uid);
    if (change == KUBE_REMOVED) {
        if (it)
            item_gone(it);
        return;
    }
    if (!it)
        it = new_item(s, now);
    if (now->deleting) /* by a plan of its own, perhaps: nobody owns it who would wait for that */
        kube_expect_deleted(s->expected, now->uid, now->uid);
    if (!it || rewatch(it, now) < 0)
        c->rescan = true; /* with items made of the stores */
    if (it)
        controller_add__(c, it->uid);
}

static void wake_watchers(struct controller *c, const char *ns, const char *cluster)
{
    char key[512];
    struct item *it;
    snprintf(key, sizeof key, "%s/%s", ns ? ns : "", cluster);
    struct watch *w = c->watches ? HASH_GET_STR(c->watches, key) : NULL;
    if (w)
        LIST_FOREACH (it, &w->items, watch_link)
            controller_add__(c, it->uid);
}

/* A pod with a cluster's label that is not the cluster's own; and heads, for RayJobs. */
static void on_pod(struct controller *c, const struct kube_object *pod, bool owned)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    if (owned && (!c->watches || !controller_maybe_head__(pod)))
        return;
    if (kube_object_tree(pod, &tree, NULL) < 0) {
        c->rescan = true;
        return;
    }
    const char *cluster = json_str(json_get(json_at(tree, "metadata.labels"), RAY_CLUSTER_LABEL));
    if (!cluster)
        return;
    if (controller_maybe_head__(pod))
        wake_watchers(c, pod->ns, cluster);
    struct source *s = controller_source__(c, &ray_clusters, pod->ns);
    const struct kube_object *o =
        owned || !s || !s->r ? NULL : kube_store_get(kube_informer_store(s->inf), pod->ns, cluster);
    if (o)
        controller_add__(c, o->uid);
}

/* Whose key it wakes: its owner's. Of a submitter's pod that is a Job: the RayJob is named by a
 * label. */
static struct item *owner_of(struct source *s, const struct kube_object *o)
{
    struct controller *c = s->c;
    _cleanup_(json_freep) struct json *tree = NULL;
    if (s->kind != SEEN_SUBMITTERS)
        return controller_item__(c, o->owner_uid);
    struct source *jobs = controller_source__(c, &ray_jobs, o->ns);
    if (!jobs)
        return NULL;
    if (kube_object_tree(o, &tree, NULL) < 0) {
        c->rescan = true;
        return NULL;
    }
    const char *name = json_str(json_get(json_at(tree, "metadata.labels"), RAY_ORIGIN_LABEL));
    const struct kube_object *job =
        name ? kube_store_get(kube_informer_store(jobs->inf), o->ns, name) : NULL;
    return job ? controller_item__(c, job->uid) : NULL;
}

/* Any change of anything: what was waited for, its owner's key, and the key of its own. */
static void on_child(void *arg, enum kube_change change, const struct kube_object *old,
                     const struct kube_object *now)
{
    struct source *s = arg;
    struct controller *c = s->c;
    const struct kube_object *o = now ? now : old;
    struct item *owner = owner_of(s, o);
    bool removed = change == KUBE_REMOVED;
    if (owner) {
        if (change == KUBE_ADDED)
            kube_expect_created(s->expected, owner->uid, now->name);
        if (removed || now->deleting)
            kube_expect_deleted(s->expected, owner->uid, o->uid);
        if (s->kind == SEEN_PODS && change == KUBE_CHANGED && !now->deleting)
            add_soon(c, owner->uid);
        else if (!removed || !OPERATOR_PLANTED(OPERATOR_PLANT_NO_CHILD))
            controller_add__(c, owner->uid);
    }
    /* One that has changed hands. */
    struct item *before = old && now ? controller_item__(c, old->owner_uid) : NULL;
    if (before && before != owner)
        controller_add__(c, before->uid);
    if (s->kind == SEEN_PODS)
        on_pod(c, o, owner != NULL);
    if (s->kind == SEEN_CLUSTERS && c->watches)
        wake_watchers(c, o->ns, o->name);
    if (s->r)
        on_own(s, change, old, now);
}

/* The owners of the pods on a node. */
static void on_node(void *arg, enum kube_change change, const struct kube_object *old,
                    const struct kube_object *now)
{
    struct controller *c = ((struct source *)arg)->c;
    char text[300]; /* a node's name has 253 bytes at most */
    (void)change;
    if (!controller_synced(c))
        return; /* all keys are still to have their first turn */
    snprintf(text, sizeof text, "\"nodeName\":\"%s\"", (now ? now : old)->name);
    for (size_t i = 0; i < c->n_sources; i++) {
        struct source *s = &c->sources[i];
        if (s->kind != SEEN_PODS && s->kind != SEEN_SUBMITTERS)
            continue;
        KUBE_STORE_FOREACH(pod, kube_informer_store(s->inf))
        {
            struct item *owner = owner_of(s, pod);
            if (!owner)
                continue;
            _cleanup_(mem_freep) char *whole = kube_object_text(pod);
            if (!whole || strstr(whole, text)) /* without memory: perhaps */
                controller_add__(c, owner->uid);
        }
    }
}

static void on_sync(void *arg, int64_t began)
{
    struct source *s = arg;
    struct controller *c = s->c;
    if (s->expected) {
        size_t before = kube_expect_count(s->expected);
        kube_expect_settle(s->expected, began);
        if (kube_expect_count(s->expected) < before)
            add_all(c); /* those that waited */
    }
    controller_pump_soon__(c, controller_now__(c));
}

static void on_trouble(void *arg, const struct kube_error *error)
{
    struct controller *c = ((struct source *)arg)->c;
    if (error->reason == KUBE_EXPIRED)
        return; /* it happens: a list mends it */
    c->stats.informer_failures++;
    controller_trouble__(c, NULL, error->base.text);
}

/* ---- turns ---- */

void controller_pump_soon__(struct controller *c, int64_t due)
{
    if (c->running && (!timer_is_set(&c->timer.timer) || c->timer.timer.due > due))
        kube_timer_set(c->o.client, &c->timer, due);
}

static bool met(struct controller *c, struct item *it, int64_t now)
{
    int64_t wait = 0;
    for (size_t i = 0; i < c->n_sources; i++) {
        if (kube_expect_met(c->sources[i].expected, it->uid, now))
            continue;
        int64_t due = kube_expect_deadline(c->sources[i].expected, it->uid);
        wait = due > wait ? due : wait;
    }
    if (wait)
        (void)kube_queue_add_at(c->queue, it->uid, wait, now);
    return !wait;
}

/* Does the store still show the object as it was before we wrote to it. */
static bool stale(struct controller *c, struct item *it, const struct kube_object *o, int64_t now)
{
    bool old = false;
    for (unsigned i = 0; i < it->n_stale; i++)
        old |= strcmp(it->stale[i], o->resource_version) == 0;
    if (old && now < it->stale_until && !OPERATOR_PLANTED(OPERATOR_PLANT_NO_STALE)) {
        (void)kube_queue_add_at(c->queue, it->uid, now + STALE_LOOK_NS, now);
        return true;
    }
    while (it->n_stale)
        mem_free(it->stale[--it->n_stale]);
    return false;
}

static void turn(struct controller *c, const char *uid, int64_t now)
{
    struct item *it = controller_item__(c, uid);
    const struct kube_object *o =
        it ? kube_store_get(kube_informer_store(it->source->inf), it->ns, it->name) : NULL;
    if (!o || strcmp(o->uid, uid) != 0) {
        kube_queue_forget(c->queue, uid);
        kube_queue_done(c->queue, uid, now);
    } else if (it->run || !met(c, it, now) || stale(c, it, o, now)) {
        kube_queue_done(c->queue, uid, now);
    } else {
        controller_run__(it, o);
    }
}

/* Objects whose item could not be made. */
static void rescan(struct controller *c)
{
    for (size_t i = 0; i < c->n_sources; i++) {
        struct source *s = &c->sources[i];
        if (!s->r)
            continue;
        KUBE_STORE_FOREACH(o, kube_informer_store(s->inf))
        {
            struct item *it = controller_item__(c, o->uid);
            it = it ? it : new_item(s, o);
            if (!it || rewatch(it, o) < 0)
                return; /* and again in a second */
        }
    }
    add_all(c);
}

static void on_timer(struct kube_timer *t)
{
    struct controller *c = container_of(t, struct controller, timer);
    int64_t now = controller_now__(c);
    if (!controller_synced(c) || !controller_leads__(c))
        return; /* on_sync, controller_wake */
    controller_calls_pump__(c);
    if (c->rescan)
        rescan(c);
    for (const char *uid; controller_leads__(c) && (uid = kube_queue_get(c->queue, now));)
        turn(c, uid, now);
    int64_t next = kube_queue_next(c->queue, now);
    if (c->rescan && next > now + CLOCK_NS_PER_S)
        next = now + CLOCK_NS_PER_S;
    if (next != CLOCK_NEVER)
        controller_pump_soon__(c, next > now ? next : now + 1);
}

/* ---- looking ---- */

void controller_get_stats(const struct controller *c, struct controller_stats *ret)
{
    *ret = c->stats;
    ret->objects = HASH_SIZE(c->items);
    for (size_t i = 0; i < c->n_sources; i++) {
        ret->stored += kube_store_size(kube_informer_store(c->sources[i].inf));
        ret->stored_bytes += kube_store_bytes(kube_informer_store(c->sources[i].inf));
    }
    ret->ready = kube_queue_ready(c->queue);
    ret->running = kube_queue_running(c->queue);
    ret->later = kube_queue_later(c->queue);
}

void controller_each(const struct controller *c, const struct kube_resource *resource,
                     controller_object_fn fn, void *arg)
{
    for (size_t i = 0; i < c->n_sources; i++)
        if (c->sources[i].fields->resource == resource)
            KUBE_STORE_FOREACH(o, kube_informer_store(c->sources[i].inf)) fn(arg, o);
}
