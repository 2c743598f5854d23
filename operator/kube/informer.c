/*
 * The informer's life: what is done next, failures and their waits; the list.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/informer_impl.h"
#include "kube/store_impl.h"

#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000
#define WAIT_MAX_MS    60000 /* the longest Retry-After that is believed */
#define METADATA_LIST  "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

static void on_timer(struct kube_timer *t);

int kube_informer_new(struct kube_client *c, const struct kube_informer_options *options,
                      struct kube_informer **ret_i, struct raia_error *e)
{
    struct kube_informer *i = mem_new(struct kube_informer);
    if (!i)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an informer");
    i->client = c;
    i->o = *options;
    i->o.page = i->o.page ? i->o.page : 500;
    i->o.max_page = i->o.max_page ? i->o.max_page : (size_t)64 << 20;
    i->o.max_event = i->o.max_event ? i->o.max_event : (size_t)4 << 20;
    i->o.watch_s = i->o.watch_s ? i->o.watch_s : 300;
    i->o.idle_ms = i->o.idle_ms ? i->o.idle_ms : 150000;
    i->page = i->o.page;
    i->streaming = !i->o.no_streaming;
    prng_seed(&i->prng, i->o.seed);
    int r = kube_store_new(&options->store, options->on_change, options->arg, &i->store, e);
    int keep = kube_keep_event__(options->store.keep, options->store.n_keep, &i->keep);
    kube_stream_init(&i->stream, i->o.max_event, i->keep);
    if (r == 0 && ((r = keep) < 0 || (r = kube_timer_attach(c, &i->timer, on_timer)) < 0))
        err_set(e, -r, "out of memory for an informer");
    if (r < 0)
        kube_informer_free(i);
    else
        *ret_i = i;
    return r;
}

void kube_informer_free(struct kube_informer *i)
{
    if (!i)
        return;
    kube_timer_detach(i->client, &i->timer);
    kube_stream_done(&i->stream);
    json_free(i->keep);
    kube_store_free(i->store);
    mem_free(i->version);
    mem_free(i->next_page);
    mem_free(i);
}

static void proceed(struct kube_informer *i)
{
    if (i->version || i->streaming)
        kube_informer_watch__(i);
    else
        kube_informer_list__(i);
}

static void on_timer(struct kube_timer *t)
{
    struct kube_informer *i = container_of(t, struct kube_informer, timer);
    if (i->in_flight) /* a cancelled one has not ended yet */
        kube_timer_set(i->client, t, kube_client_now(i->client) + 10 * CLOCK_NS_PER_MS);
    else if (i->phase == KUBE_PHASE_WAITING)
        proceed(i);
}

void kube_informer_start(struct kube_informer *i)
{
    if (i->phase != KUBE_PHASE_STOPPED)
        return;
    i->phase = KUBE_PHASE_WAITING;
    kube_timer_set(i->client, &i->timer, kube_client_now(i->client));
}

void kube_informer_stop(struct kube_informer *i)
{
    struct kube_transport *t = kube_client_transport(i->client);
    i->phase = KUBE_PHASE_STOPPED;
    kube_timer_stop(i->client, &i->timer);
    if (i->in_flight)
        t->ops->cancel(t, &i->x);
}

bool kube_informer_idle(const struct kube_informer *i)
{
    return i->phase == KUBE_PHASE_STOPPED && !i->in_flight;
}

const struct kube_store *kube_informer_store(const struct kube_informer *i)
{
    return i->store;
}

bool kube_informer_synced(const struct kube_informer *i)
{
    return i->synced;
}

void kube_informer_get_stats(const struct kube_informer *i, struct kube_informer_stats *ret)
{
    *ret = i->stats;
}

/* -- what both use --------------------------------------------------------------------------- */

char *kube_informer_path__(const struct kube_informer *i, const struct kube_param *more, size_t n)
{
    struct kube_param params[12] = {{"labelSelector", i->o.label_selector},
                                    {"fieldSelector", i->o.field_selector}};
    for (size_t k = 0; k < n; k++)
        params[2 + k] = more[k];
    struct kube_target t = {
        .resource = i->o.resource, .ns = i->o.ns, .params = params, .n_params = 2 + n};
    return kube_path(&t);
}

int kube_informer_version__(struct kube_informer *i, const char *version)
{
    if (!version || !version[0])
        return 0;
    if (i->version && strcmp(i->version, version) == 0)
        return 0;
    char *copy = mem_strdup(version);
    if (!copy)
        return -RAIA_ERR_NOMEM;
    mem_free(i->version);
    i->version = copy;
    return 0;
}

int kube_informer_full__(struct kube_informer *i, const char *version)
{
    int r = kube_informer_version__(i, version);
    if (r < 0)
        return r;
    kube_store_sweep(i->store);
    i->synced = true;
    i->stats.lists++;
    i->failures = 0;
    i->page = i->o.page;
    if (i->o.on_sync)
        i->o.on_sync(i->o.arg, i->began);
    return 0;
}

void kube_informer_fail__(struct kube_informer *i, const struct kube_error *error, bool relist)
{
    int64_t ms = prng_backoff_ms(&i->prng, i->failures, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
    if (error->retry_after_ms > ms) /* and some more, so that not all come back together */
        ms = error->retry_after_ms + prng_range(&i->prng, 0, BACKOFF_MIN_MS);
    if (ms > WAIT_MAX_MS)
        ms = WAIT_MAX_MS;
    i->failures += i->failures < 16;
    i->stats.failures++;
    if (relist) {
        mem_free(STEAL(i->version));
        mem_free(STEAL(i->next_page));
    }
    i->phase = KUBE_PHASE_WAITING;
    kube_timer_set(i->client, &i->timer, kube_client_now(i->client) + ms * CLOCK_NS_PER_MS);
    if (i->o.on_trouble)
        i->o.on_trouble(i->o.arg, error);
}

/* -- the list -------------------------------------------------------------------------------- */

static int take_page(struct kube_informer *i, const struct kube_reply *rp, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *root = NULL;
    struct json_limits limits = {
        .max_bytes = rp->body_len, .max_nodes = 20000000, .repair = true, .skip = "managedFields"};
    if (!rp->body)
        return err_set(e, RAIA_ERR_PROTOCOL, "a list of %s is empty text", i->o.resource->plural);
    int r = json_parse(rp->body, rp->body_len, &limits, &root, e);
    if (r < 0)
        return err_wrap(e, "a list of %s", i->o.resource->plural);
    const struct json *meta = json_get(root, "metadata"), *items = json_get(root, "items");
    const char *more = json_str(json_get(meta, "continue"));
    if (!json_is(items, JSON_ARRAY) && !json_is(items, JSON_NULL))
        return err_set(e, RAIA_ERR_PROTOCOL, "a list of %s has no items", i->o.resource->plural);
    JSON_FOREACH(item, items)
    if ((r = kube_store_put(i->store, item, e)) < 0)
        return r;
    mem_free(STEAL(i->next_page));
    if (more && more[0])
        return (i->next_page = mem_strdup(more)) ? 0 : err_set(e, RAIA_ERR_NOMEM, "out of memory");
    const char *version = json_str(json_get(meta, "resourceVersion"));
    if (!version || !version[0])
        return err_set(e, RAIA_ERR_PROTOCOL, "a list of %s has no resourceVersion",
                       i->o.resource->plural);
    r = kube_informer_full__(i, version);
    return r < 0 ? err_set(e, -r, "a list of %s: out of memory", i->o.resource->plural) : 0;
}

static void on_page(struct kube_exchange *x, const struct kube_reply *rp,
                    const struct raia_error *transport_error)
{
    struct kube_informer *i = container_of(x, struct kube_informer, x);
    struct kube_error error = {0};
    struct raia_error e = {0};
    i->in_flight = false;
    if (i->phase != KUBE_PHASE_LISTING)
        return; /* stopped */
    if (transport_error->code)
        (void)kube_error_from_transport(transport_error, &error);
    else
        (void)kube_error_from(rp->status, rp->body, rp->body_len, rp->retry_after_s, &error);
    if (!error.base.code && take_page(i, rp, &e) < 0)
        (void)kube_error_from_transport(&e, &error);
    if (i->phase != KUBE_PHASE_LISTING)
        return; /* a callback stopped it */
    if (error.base.code) {
        if (error.base.code == RAIA_ERR_LIMIT && error.reason == KUBE_TRANSPORT && i->page > 1)
            i->page /= 2;
        i->stats.expired += error.reason == KUBE_EXPIRED;
        err_wrap(&error.base, "list %s", i->o.resource->plural);
        /* The pages that came belong to a list that may not go on: all of it again. */
        kube_informer_fail__(i, &error, true);
        return;
    }
    i->stats.last_event_ns = kube_client_now(i->client);
    if (i->next_page)
        kube_informer_list__(i);
    else
        kube_informer_watch__(i);
}

void kube_informer_list__(struct kube_informer *i)
{
    struct kube_transport *t = kube_client_transport(i->client);
    char limit[16];
    snprintf(limit, sizeof limit, "%u", i->page);
    struct kube_param params[] = {{"limit", limit}, {"continue", i->next_page}};
    _cleanup_(mem_freep) char *path = kube_informer_path__(i, params, 2);
    struct kube_request rq = {.method = "GET",
                              .target = path,
                              .accept = i->o.metadata_only ? METADATA_LIST : NULL,
                              .timeout_ms = 60000,
                              .max_reply = i->o.max_page};
    struct kube_error error = {0};
    struct raia_error e = {0};
    if (!i->next_page) {
        kube_store_begin(i->store);
        i->began = kube_client_now(i->client);
    }
    i->phase = KUBE_PHASE_LISTING;
    i->x = (struct kube_exchange){.done = on_page};
    int r = path ? t->ops->start(t, &i->x, &rq, &e) : err_set(&e, RAIA_ERR_NOMEM, "out of memory");
    i->in_flight = r == 0;
    if (r < 0) {
        (void)kube_error_from_transport(&e, &error);
        kube_informer_fail__(i, &error, true);
    }
}
