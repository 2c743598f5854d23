/*
 * The controller's life: what is watched, its beginning, its end.
 */
#include "core/controller_impl.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"

#define PARALLEL_DEFAULT 32
#define SERVER_PAGE      500

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
        .on_change = controller_on_child__,
        .on_sync = controller_on_sync__,
        .on_trouble = controller_on_trouble__,
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
                                          .on_change = controller_on_node__,
                                          .on_sync = controller_on_sync__,
                                          .on_trouble = controller_on_trouble__,
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
    list_init(&c->lagging);
    list_init(&c->calls_waiting);
    prng_seed(&c->prng, o->seed);
    struct kube_queue_options q = {.max_ns = c->o.backoff_max_ns, .parallel = c->o.parallel};
    int r = kube_queue_new(&q, &c->queue);
    if (r == 0)
        r = kube_timer_attach(o->client, &c->timer, controller_on_timer__);
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

void controller_wake(struct controller *c)
{
    struct item *it, *next;
    if (!controller_leads__(c))
        HASH_FOREACH (c->items, it, next)
            controller_item_cancel__(it);
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
        controller_item_cancel__(it);
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

void controller_free(struct controller *c)
{
    if (!c)
        return;
    controller_items_free__(c);
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
