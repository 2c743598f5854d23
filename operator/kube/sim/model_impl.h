/*
 * Private to kube/sim/: the model server's state.
 */
#ifndef KUBE_SIM_MODEL_IMPL_H
#define KUBE_SIM_MODEL_IMPL_H

#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "kube/sim/model_server.h"

struct model_item {
    HASH_HANDLE hh;      /* by key */
    char *key;           /* collection|ns|name */
    char *collection;    /* "/api/v1/pods" */
    char *ns, *name;     /* ns NULL: cluster-scoped */
    struct json *object; /* as it is now */
    char *text;          /* that, printed; NULL: not yet */
};

struct model_event {
    const char *type;    /* "ADDED", ... */
    char *collection;    /* of the object */
    char *ns;            /* NULL: cluster-scoped */
    struct json *labels; /* of the object, in metadata: for selectors */
    char *text;          /* of the object after it */
};

/* A list of which pages are still to be fetched. */
struct model_list {
    struct list link; /* in the model */
    uint64_t id;      /* in its continue */
    uint64_t version; /* of all its pages */
    char **items;     /* texts */
    size_t n;         /* how many */
};

struct kube_model {
    struct model_item *items;    /* by key */
    struct model_event *events;  /* versions first..version */
    size_t n_events, cap_events; /* of the array */
    uint64_t first;              /* the version of events[0] */
    uint64_t version;            /* of the last write; the first is 1 */
    uint64_t serial;             /* for uids and names */
    struct list lists;           /* model_list */
    void (*on_write)(void *arg); /* may be NULL */
    void *on_write_arg;          /* handed to it */
};

struct kube_model_watch {
    struct kube_model *m;     /* whose */
    char *collection;         /* what is watched */
    char *ns;                 /* NULL: all */
    char *selector;           /* NULL: all */
    uint64_t next;            /* the version of the next event */
    char **initial;           /* texts, to be sent first */
    size_t n_initial, at;     /* how many, and the next */
    bool end_due;             /* the bookmark that ends the initial events */
    uint64_t initial_version; /* of the initial events */
};

/* A target, taken to pieces. */
struct model_target {
    char *collection, *ns, *name, *sub; /* NULL: none */
    char *params[16][2];                /* the query, decoded */
    size_t n_params;                    /* how many */
};
int model_target_parse__(const char *target, struct model_target *ret);
void model_target_done__(struct model_target *t);
const char *model_param__(const struct model_target *t, const char *name);

#define MODEL_NEED(p)                                                                              \
    ({                                                                                             \
        __typeof__(p) need__ = (p);                                                                \
        if (!need__)                                                                               \
            abort();                                                                               \
        need__;                                                                                    \
    })

bool model_selected__(const struct json *labels, const char *selector);
/* The item's object as text; the item's, until it is written. */
const char *model_text__(struct model_item *it);
void model_version_text__(uint64_t version, char to[24]);
/* UINT64_MAX: not one of ours. */
uint64_t model_version_of__(const char *text);
void model_fail__(struct kube_model_answer *a, int status, const char *reason, const char *message);
struct model_item *model_find__(const struct kube_model *m, const char *collection, const char *ns,
                                const char *name);
/* Stores an object under its name, as a new version (taken over). */
void model_store__(struct kube_model *m, struct model_item *at, struct json *object);
void model_add__(struct kube_model *m, const struct model_target *t, const char *name,
                 struct json *object);
void model_remove__(struct kube_model *m, struct model_item *it);
void model_list__(struct kube_model *m, const struct model_target *t, struct kube_model_answer *a);
void model_watch__(struct kube_model *m, const struct model_target *t, struct kube_model_answer *a);

#endif
