/*
 * Keeps a store equal to what the API server has: list, then watch, for ever.
 *
 *     struct kube_informer_options o = {
 *         .resource = &kube_pods, .label_selector = "ray.io/cluster",
 *         .store = {keep, 4, indexes, 2}, .on_change = on_pod, .arg = op};
 *     r = kube_informer_new(client, &o, &inf, e);
 *     kube_informer_start(inf);
 *     ...
 *     if (kube_informer_synced(inf)) ... kube_informer_store(inf) ...
 *
 * First a streaming list (sendInitialEvents) where the server offers it, or a paged one; then a
 * watch from its resourceVersion, an opaque text that is only sent back. A watch that ends is
 * resumed where it was; 410, as status or as event, means a new list, from which removals are
 * computed. A watch on which nothing comes for idle_ms (bookmarks come each minute) is dead.
 * Failures wait with jitter, from 0.5 to 30 s, or as long as Retry-After says; on_trouble tells
 * each, for a log. The store stays as it was meanwhile.
 *
 * Callbacks come in the order of the server's changes for each object. An object may change several
 * times between two callbacks. They may not free the informer.
 * Ownership: the options' texts and tables must outlive the informer; it must be stopped and idle
 * before it is freed. Threads: the client's. Failure: -NOMEM.
 */
#ifndef KUBE_INFORMER_H
#define KUBE_INFORMER_H

#include "kube/client.h"
#include "kube/store.h"

struct kube_informer;

/* Zero members mean the default. */
struct kube_informer_options {
    const struct kube_resource *resource;      /* the kind */
    const char *ns;                            /* NULL: all namespaces */
    const char *label_selector;                /* NULL: all */
    const char *field_selector;                /* NULL: all */
    struct kube_store_options store;           /* what to keep, and the indexes */
    kube_change_fn on_change;                  /* may be NULL */
    void (*on_sync)(void *arg, int64_t began); /* a full list, begun then, is in; may be NULL */
    void (*on_trouble)(void *arg, const struct kube_error *error); /* may be NULL */
    void *arg;                                                     /* handed to the three */
    bool no_streaming;  /* do not try sendInitialEvents */
    bool metadata_only; /* ask for PartialObjectMetadata: secrets' contents do not come at all */
    unsigned page;      /* objects of one page; default 500 */
    size_t max_page;    /* bytes of a page, which shrinks; default 64 MiB */
    size_t max_event;   /* bytes of one event's line; default 4 MiB */
    int watch_s;        /* life of a watch, up to twice that; default 300 */
    int idle_ms;        /* default 150,000 */
    uint64_t seed;      /* of the jitter */
};

int kube_informer_new(struct kube_client *c, const struct kube_informer_options *options,
                      struct kube_informer **ret_i, struct raia_error *e);
void kube_informer_start(struct kube_informer *i);
/* No callback comes after this. */
void kube_informer_stop(struct kube_informer *i);
/* Stopped, and nothing is in flight. */
bool kube_informer_idle(const struct kube_informer *i);
void kube_informer_free(struct kube_informer *i); /* accepts NULL */

const struct kube_store *kube_informer_store(const struct kube_informer *i);
/* The store has been complete once: before that, what is not in it may exist. */
bool kube_informer_synced(const struct kube_informer *i);

/* For metrics. */
struct kube_informer_stats {
    uint64_t lists;        /* full lists completed */
    uint64_t watches;      /* watches begun */
    uint64_t events;       /* that came, bookmarks included */
    uint64_t expired;      /* 410 */
    uint64_t failures;     /* of anything */
    int64_t last_event_ns; /* when something came last; 0: never */
};
void kube_informer_get_stats(const struct kube_informer *i, struct kube_informer_stats *ret);

#endif
