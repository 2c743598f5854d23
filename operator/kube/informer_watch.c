/*
 * The informer's watch: from a resourceVersion, or with a full list before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/informer_impl.h"

/* A watch that ended sooner than that, and brought nothing, counts as a failure. */
#define SHORT_NS     (1 * CLOCK_NS_PER_S)
#define METADATA_ONE "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

static int on_bookmark(struct kube_informer *i, const struct json *meta)
{
    const char *version = json_str(json_get(meta, "resourceVersion"));
    const char *end =
        json_str(json_get(json_get(meta, "annotations"), "k8s.io/initial-events-end"));
    if (i->phase != KUBE_PHASE_STREAMING)
        return kube_informer_version__(i, version);
    if (!end || strcmp(end, "true") != 0 || !version)
        return 0; /* the list is not through: going on from here would lose its rest */
    i->phase = KUBE_PHASE_WATCHING;
    return kube_informer_full__(i, version);
}

static int on_event(void *arg, enum kube_event type, const struct json *object,
                    struct raia_error *e)
{
    struct kube_informer *i = arg;
    const struct json *meta = json_get(object, "metadata");
    int r = 0;
    if (i->phase == KUBE_PHASE_STOPPED)
        return err_set(e, RAIA_ERR_CANCELED, "stopped");
    i->stats.events++;
    i->stats.last_event_ns = kube_client_now(i->client);
    i->progress = true;
    const char *version = json_str(json_get(meta, "resourceVersion"));
    if (KUBE_PLANTED(KUBE_PLANT_NUMBER) && type < KUBE_EVENT_BOOKMARK && i->version && version &&
        strtoull(version, NULL, 10) <= strtoull(i->version, NULL, 10))
        return 0;
    switch (type) {
    case KUBE_EVENT_ERROR:
        (void)kube_error_from_status(object, &i->event_error);
        return err_set(e, RAIA_ERR_STATE, "the watch ended with an error");
    case KUBE_EVENT_BOOKMARK:
        r = on_bookmark(i, meta);
        return r < 0 ? err_set(e, -r, "out of memory") : 0;
    case KUBE_EVENT_ADDED:
    case KUBE_EVENT_MODIFIED:
        r = kube_store_put(i->store, object, e);
        break;
    case KUBE_EVENT_DELETED:
        r = kube_store_remove(i->store, object, e);
        break;
    }
    if (r < 0 || i->phase != KUBE_PHASE_WATCHING)
        return r;
    r = kube_informer_version__(i, version);
    return r < 0 ? err_set(e, -r, "out of memory") : 0;
}

static int on_data(struct kube_exchange *x, const char *data, size_t len)
{
    struct kube_informer *i = container_of(x, struct kube_informer, x);
    struct raia_error e = {0};
    if (i->phase == KUBE_PHASE_STOPPED)
        return -RAIA_ERR_CANCELED;
    int r = kube_stream_feed(&i->stream, data, len, on_event, i, &e);
    /* An event that cannot be read will come again from here: only a list gets past it. */
    if (r < 0 && !i->event_error.base.code)
        (void)kube_error_from_transport(&e, &i->event_error);
    return r;
}

/* The server ended it, as agreed by timeoutSeconds or because it goes down: go on from there. */
static void resume(struct kube_informer *i)
{
    int64_t now = kube_client_now(i->client), lived = now - i->opened;
    bool streaming = i->phase == KUBE_PHASE_STREAMING;
    if (streaming || (lived < SHORT_NS && !i->progress)) {
        struct kube_error error = {.reason = KUBE_TRANSPORT};
        err_set(&error.base, RAIA_ERR_UNAVAILABLE, "watch %s: the server ended it at once",
                i->o.resource->plural);
        kube_informer_fail__(i, &error, streaming);
        return;
    }
    i->failures = 0;
    i->phase = KUBE_PHASE_WAITING;
    kube_timer_set(i->client, &i->timer, now + prng_range(&i->prng, 0, 50) * CLOCK_NS_PER_MS);
}

static void on_done(struct kube_exchange *x, const struct kube_reply *rp,
                    const struct raia_error *transport_error)
{
    struct kube_informer *i = container_of(x, struct kube_informer, x);
    struct kube_error error = {0};
    bool streaming = i->phase == KUBE_PHASE_STREAMING;
    i->in_flight = false;
    kube_stream_done(&i->stream);
    if (i->phase != KUBE_PHASE_STREAMING && i->phase != KUBE_PHASE_WATCHING)
        return; /* stopped */
    bool unreadable = i->event_error.base.code && i->event_error.reason == KUBE_TRANSPORT;
    if (i->event_error.base.code)
        error = i->event_error;
    else if (transport_error->code)
        (void)kube_error_from_transport(transport_error, &error);
    else
        (void)kube_error_from(rp->status, rp->body, rp->body_len, rp->retry_after_s, &error);
    if (!error.base.code) {
        resume(i);
        return;
    }
    if (i->progress)
        i->failures = 0; /* it had worked: the wait begins small again */
    bool expired = error.reason == KUBE_EXPIRED;
    i->stats.expired += expired;
    if (KUBE_PLANTED(KUBE_PLANT_IGNORE_410))
        expired = false;
    /* A server that does not know sendInitialEvents: the paged list does it as well. */
    if (streaming && (error.reason == KUBE_INVALID || error.reason == KUBE_BAD_REQUEST))
        i->streaming = false;
    err_wrap(&error.base, "watch %s", i->o.resource->plural);
    kube_informer_fail__(i, &error, expired || unreadable || streaming);
}

void kube_informer_watch__(struct kube_informer *i)
{
    struct kube_transport *t = kube_client_transport(i->client);
    bool full = !i->version;
    char life[16];
    snprintf(life, sizeof life, "%d",
             i->o.watch_s + (int)prng_below(&i->prng, (uint64_t)i->o.watch_s));
    struct kube_param params[] = {
        {"watch", "1"},
        {"allowWatchBookmarks", "true"},
        {"timeoutSeconds", life},
        {"resourceVersion", i->version},
        {"sendInitialEvents", full ? "true" : NULL},
        {"resourceVersionMatch", full ? "NotOlderThan" : NULL},
    };
    _cleanup_(mem_freep) char *path =
        kube_informer_path__(i, params, sizeof params / sizeof *params);
    struct kube_request rq = {.method = "GET",
                              .target = path,
                              .accept = i->o.metadata_only ? METADATA_ONE : NULL,
                              .timeout_ms = -1,
                              .idle_timeout_ms = i->o.idle_ms};
    struct kube_error error = {0};
    struct raia_error e = {0};
    i->opened = kube_client_now(i->client);
    i->progress = false;
    i->event_error = (struct kube_error){0};
    kube_stream_done(&i->stream);
    if (full) {
        kube_store_begin(i->store);
        i->began = i->opened;
    }
    i->phase = full ? KUBE_PHASE_STREAMING : KUBE_PHASE_WATCHING;
    i->x = (struct kube_exchange){.done = on_done, .data = on_data};
    int r = path ? t->ops->start(t, &i->x, &rq, &e) : err_set(&e, RAIA_ERR_NOMEM, "out of memory");
    i->in_flight = r == 0;
    i->stats.watches += r == 0;
    if (r < 0) {
        (void)kube_error_from_transport(&e, &error);
        kube_informer_fail__(i, &error, false);
    }
}
