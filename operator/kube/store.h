/*
 * The objects that an informer has seen, each cut down to the fields that are wanted and kept as
 * text: about a tenth of its tree. When there are many, their texts are packed (pack.h), for they are
 * much alike. Pure.
 *
 *     static const char *const keep[] = {"metadata.labels", "spec.nodeName", "status.phase",
 *                                        "status.containerStatuses.restartCount"};
 *     static const struct kube_index indexes[] = {{.kind = KUBE_BY_OWNER},
 *                                                 {.kind = KUBE_BY_LABEL, .label = "ray.io/cluster"}};
 *     struct kube_store_options o = {keep, 4, indexes, 2};
 *     ...
 *     const struct kube_object *pod = kube_store_get(s, "default", "a");
 *     _cleanup_(json_freep) struct json *tree = NULL;
 *     r = kube_object_tree(pod, &tree, e);
 *     KUBE_INDEX_FOREACH (o, s, 1, "default", "demo") ...
 *
 * A keep path goes through arrays: it holds for each item. apiVersion, kind, resourceVersion and
 * managedFields are never kept; name, namespace, uid, resourceVersion, generation, the time of
 * deletion and the controlling owner are members of kube_object, and name, namespace and uid stay
 * in the tree. Without keep paths all the rest stays.
 *
 * Ownership: the store's; objects and what they point to live until they are replaced or removed.
 * Threads: the owner's. Failure: -NOMEM, -INVALID (an object without a name).
 */
#ifndef KUBE_STORE_H
#define KUBE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "json/json.h"

#define KUBE_INDEXES_MAX 4

enum kube_index_kind {
    KUBE_BY_OWNER, /* the uid of the controlling owner (or the first one); no namespace */
    KUBE_BY_LABEL  /* namespace and a label's value */
};

struct kube_index {
    enum kube_index_kind kind;
    const char *label; /* KUBE_BY_LABEL: which */
};

/* All of it must outlive the store. */
struct kube_store_options {
    const char *const *keep;          /* paths of members, without [] */
    size_t n_keep;                    /* 0: everything */
    const struct kube_index *indexes; /* what objects can be found by */
    size_t n_indexes;                 /* at most KUBE_INDEXES_MAX */
};

struct kube_store;
struct kube_bucket;
struct kube_packer;

/* An object's place in one index. */
struct kube_index_link {
    struct list link;           /* in the bucket; not linked: the object has no such value */
    struct kube_bucket *bucket; /* private */
};

struct kube_object {
    HASH_HANDLE hh;                   /* private: by key */
    uint64_t round;                   /* private: the relist that saw it last */
    const char *key;                  /* "namespace/name", or "name" */
    const char *ns;                   /* NULL: cluster-scoped */
    const char *name;                 /* metadata.name */
    const char *uid;                  /* metadata.uid */
    const char *owner_uid;            /* of the controlling owner; NULL: none */
    const char *resource_version;     /* opaque: only to be sent back */
    int64_t generation;               /* metadata.generation; 0: none */
    bool deleting;                    /* metadata.deletionTimestamp is set */
    const char *packed;               /* private: the text, as it is or packed */
    size_t packed_len;                /* private: bytes of it */
    const struct kube_packer *packer; /* private: who packed it; NULL: nobody */
    size_t text_len;                  /* bytes of the text */
    struct kube_index_link links[];   /* private: one for each index */
};

enum kube_change { KUBE_ADDED, KUBE_CHANGED, KUBE_REMOVED };

/* old is NULL for KUBE_ADDED, now for KUBE_REMOVED. Both readable until it returns. It may read the
 * store, in which the change has happened, and must not change it. */
typedef void (*kube_change_fn)(void *arg, enum kube_change change, const struct kube_object *old,
                               const struct kube_object *now);

int kube_store_new(const struct kube_store_options *options, kube_change_fn on_change, void *arg,
                   struct kube_store **ret_s, struct raia_error *e);
void kube_store_free(struct kube_store *s); /* accepts NULL; tells no changes */

size_t kube_store_size(const struct kube_store *s);
size_t kube_store_bytes(const struct kube_store *s); /* of the objects */
const struct kube_object *kube_store_get(const struct kube_store *s, const char *ns,
                                         const char *name);
const struct kube_object *kube_store_get_key(const struct kube_store *s, const char *key);
const struct kube_object *kube_store_first(const struct kube_store *s); /* in no special order */
const struct kube_object *kube_store_next(const struct kube_object *o);
#define KUBE_STORE_FOREACH(o, s)                                                                   \
    for (const struct kube_object *o = kube_store_first(s); o; o = kube_store_next(o))

/* The objects with a value in index i; ns NULL for KUBE_BY_OWNER and cluster-scoped kinds. */
const struct kube_object *kube_index_first(const struct kube_store *s, unsigned i, const char *ns,
                                           const char *value);
const struct kube_object *kube_index_next(const struct kube_object *o, unsigned i);
#define KUBE_INDEX_FOREACH(o, s, i, ns, value)                                                     \
    for (const struct kube_object *o = kube_index_first(s, i, ns, value); o;                       \
         o = kube_index_next(o, i))

/* What was kept, JSON: the caller's (mem_free); NULL when memory runs out. */
char *kube_object_text(const struct kube_object *o);
/* The same as a tree: the caller's. */
int kube_object_tree(const struct kube_object *o, struct json **ret_tree, struct raia_error *e);

/* -- for informers --------------------------------------------------------------------------- */

/* Adds or replaces. The same incarnation and content only takes the new resourceVersion: no change
 * is told. Another uid under the same name is a removal and an addition. */
int kube_store_put(struct kube_store *s, const struct json *object, struct raia_error *e);
/* An object that the server says is gone; another incarnation of that name stays. */
int kube_store_remove(struct kube_store *s, const struct json *object, struct raia_error *e);
/* A full list begins: what is put from now on is marked ... */
void kube_store_begin(struct kube_store *s);
/* ... and ends: what was not is removed. */
void kube_store_sweep(struct kube_store *s);

#endif
