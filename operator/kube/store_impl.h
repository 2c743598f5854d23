/*
 * Private to kube/: the store's parts.
 */
#ifndef KUBE_STORE_IMPL_H
#define KUBE_STORE_IMPL_H

#include "kube/pack.h"
#include "kube/plants.h"
#include "kube/store.h"

/* The objects with one value of one index. */
struct kube_bucket {
    HASH_HANDLE hh;      /* in the index, by value */
    struct list objects; /* of kube_index_link */
    char value[];        /* "namespace/value", or the value */
};

struct kube_store {
    struct kube_store_options options;             /* as given */
    struct json *keep;                             /* what to keep, as a tree; NULL: everything */
    struct kube_object *objects;                   /* by key */
    struct kube_bucket *indexes[KUBE_INDEXES_MAX]; /* by value */
    uint64_t round;                                /* number of the relist */
    struct kube_packer *packer;                    /* of texts; NULL: not so many yet */
    unsigned puts;                                 /* until there is one */
    size_t bytes;                                  /* of the objects */
    kube_change_fn on_change;                      /* may be NULL */
    void *arg;                                     /* handed to it */
};

/* {"metadata": {"labels": true}, ...} of "metadata.labels", ...; NULL of none. */
int kube_keep_new__(const char *const *paths, size_t n, struct json **ret_keep);
/* The same of an event of a watch, for json_limits.keep: with all metadata, and of an ERROR all that
 * tells why. */
int kube_keep_event__(const char *const *paths, size_t n, struct json **ret_keep);
/* One allocation with all of an object in it, in no index yet. */
int kube_object_pack__(struct kube_store *s, const struct json *object, struct kube_object **ret_o,
                       struct raia_error *e);
/* Finds the buckets for its values, or makes them; nothing may be removed before it is added. */
int kube_index_find__(struct kube_store *s, struct kube_object *o, const struct json *object);
void kube_index_add__(struct kube_store *s, struct kube_object *o);
void kube_index_del__(struct kube_store *s, struct kube_object *o);

#endif
