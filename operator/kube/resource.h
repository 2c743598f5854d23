/*
 * Names of Kubernetes resources, and the paths of their requests.
 *
 *     static const struct kube_resource pods = {.version = "v1", .plural = "pods", .kind = "Pod"};
 *     struct kube_target t = {.resource = &pods, .ns = "default", .name = "a"};
 *     char *path = kube_path(&t);          // "/api/v1/namespaces/default/pods/a"
 *
 * Everything that goes into a path or a query is percent-encoded, and a path has no length limit.
 * Ownership: texts are the caller's; results are mem_free'd. Threads: any. Failure: NULL when
 * memory runs out.
 */
#ifndef KUBE_RESOURCE_H
#define KUBE_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>

/* One kind of object; usually static. */
struct kube_resource {
    const char *group;   /* "apps", "ray.io"; NULL: the core group */
    const char *version; /* "v1" */
    const char *plural;  /* "pods": as in paths */
    const char *kind;    /* "Pod": as in objects */
    bool cluster_scoped; /* has no namespace */
};

/* The kinds that every operator meets. */
extern const struct kube_resource kube_pods;
extern const struct kube_resource kube_services;
extern const struct kube_resource kube_secrets;
extern const struct kube_resource kube_config_maps;
extern const struct kube_resource kube_nodes;
extern const struct kube_resource kube_events;
extern const struct kube_resource kube_jobs;
extern const struct kube_resource kube_leases;
extern const struct kube_resource kube_pvcs;
extern const struct kube_resource kube_crds;

/* One pair of a query. */
struct kube_param {
    const char *name;  /* as it is */
    const char *value; /* will be encoded; NULL: the pair is left out */
};

/* What a request is for. */
struct kube_target {
    const struct kube_resource *resource; /* the kind */
    const char *ns;                       /* NULL: cluster-scoped, or all namespaces */
    const char *name;                     /* NULL: the collection */
    const char *subresource;              /* "status", "eviction", ...; NULL: none */
    const struct kube_param *params;      /* the query */
    size_t n_params;                      /* how many */
};
char *kube_path(const struct kube_target *t);

/* "v1" or "ray.io/v1": as in objects. mem_free. */
char *kube_api_version(const struct kube_resource *r);

#endif
