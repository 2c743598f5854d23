/*
 * A reconciler: a pure function from what is seen of one object and what belongs to it to a plan
 * (plan.h). RayCluster and RayJob each have one; the controller (controller.h) drives them, in the
 * daemon and in the simulation alike.
 *
 *     static int plan_it(struct reconciler *r, const struct seen *s, void **memory, struct plan *p,
 *                        struct raia_error *e);
 *     struct reconciler raycluster = {.resource = &ray_clusters, .wants = 1u << SEEN_PODS | ...,
 *                                     .plan = plan_it, .forget = forget_it};
 *
 * Called for an object whenever it, something that belongs to it, or a node of its pods changed,
 * when `again` is due, and after a failure; never while a plan of the same object is under way, or
 * before what the last one created and deleted is seen. So it may take what is seen for the truth.
 * Everything that must survive the operator is in the object's status; `memory` is what may be lost.
 *
 * Threads: one, the controller's. Failure: -NOMEM and other errors: the key comes again after its
 * back-off.
 */
#ifndef OPERATOR_RECONCILER_H
#define OPERATOR_RECONCILER_H

#include "core/plan.h"
#include "kube/status.h"
#include "kube/store.h"

/* Kinds that may belong to an object. */
enum seen_kind {
    SEEN_PODS,
    SEEN_SERVICES,
    SEEN_SECRETS, /* metadata only: contents are not kept */
    SEEN_PVCS,
    SEEN_JOBS,       /* batch/v1 */
    SEEN_CLUSTERS,   /* RayClusters of a RayJob */
    SEEN_SUBMITTERS, /* pods of the Jobs of a RayJob: to look at */
    SEEN_KINDS
};

struct seen_object {
    const struct kube_object *meta; /* name, uid, owner, deleting, ... */
    const struct json *tree;        /* the fields that are kept (fields.h) */
};

struct seen_list {
    struct seen_object *at; /* in order of names */
    size_t n;               /* how many */
};

/* All of it is readable until `plan` returns. */
struct seen {
    const struct kube_object *meta;  /* of the object */
    const struct json *tree;         /* the object: metadata, spec and status as they are */
    struct seen_list of[SEEN_KINDS]; /* whose controlling owner it is; only wanted kinds */
    struct seen_object
        selected; /* RayJob: the RayCluster that clusterSelector names; meta NULL: none */
    struct seen_object head;  /* RayJob: the head pod (label ray.io/node-type=head) of the cluster
                                that status.rayClusterName names; meta NULL: none */
    struct seen_list foreign; /* RayCluster: pods labelled ray.io/cluster=NAME that others own */
    const struct kube_store *nodes;   /* of the whole cluster: conditions (fields.h) */
    const struct kube_error *failure; /* what made the last plan fail; NULL: it did not */
    const char *failed;               /* the kind and name of that action; NULL */
    int64_t now;                      /* ns, monotonic */
    int64_t wall_ns;                  /* ns since the epoch: for times in statuses */
};

/* The answer to a PLAN_CALL. */
struct plan_answer {
    uint64_t tag;      /* the call's */
    int http_status;   /* 0: none came */
    const char *body;  /* of body_len bytes, 0 after them */
    size_t body_len;   /* at most 1 MiB */
    const char *error; /* why none came; NULL otherwise */
    int64_t now;       /* ns, monotonic */
};

struct reconciler {
    const struct kube_resource *resource; /* of the objects */
    unsigned wants;                       /* bits of enum seen_kind */
    int (*plan)(struct reconciler *r, const struct seen *s, void **memory, struct plan *p,
                struct raia_error *e);
    /* Keeps of it what matters in *memory; the object is reconciled again right after. May be NULL. */
    void (*answered)(struct reconciler *r, void **memory, const struct plan_answer *a);
    /* What was to be created is there, and nobody owns it (somebody else has made it, or it shall
     * outlive its object): it serves as it is, but is not among what is seen. May be NULL. */
    void (*found)(struct reconciler *r, void **memory, const struct kube_resource *kind,
                  const char *name);
    void (*forget)(struct reconciler *r, void *memory); /* the object is gone; memory may be NULL */
    const struct operator_config *config;               /* config.h */
};

#endif
