/*
 * A RayCluster's JSON tree as a struct to read: names, groups, options, with all defaults filled in.
 *
 *     struct ray_cluster *c = NULL;
 *     r = ray_cluster_read(seen->tree, &c, e);      // -INVALID: "spec.suspend: expected a boolean"
 *     ray_cluster_check(c, &bad);                   // KubeRay's rules; bad.n > 0: do nothing
 *     ray_cluster_unsupported(c, config->tls, &ignored, &refused);
 *     for (size_t i = 0; i < c->spec.n_workers; i++)
 *         ... c->spec.workers[i].desired pods of c->spec.workers[i].pod_template
 *     ray_cluster_free(c);
 *
 * Ownership: the view owns its arrays; texts and nodes are the tree's, which must outlive it and
 * not change. Optional nodes are NULL, optional texts NULL unless said otherwise. Threads: any; it
 * is only read. Failure: -INVALID with the path and what was expected, -LIMIT, -NOMEM.
 */
#ifndef API_RAYCLUSTER_H
#define API_RAYCLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/names.h"
#include "api/report.h"
#include "json/json.h"

#define RAY_PODS_MAX   20000 /* that a RayCluster may ask for */
#define RAY_GROUPS_MAX 1000  /* of workers */
#define RAY_HASH_SIZE  65    /* hex SHA-256 and its end mark */

/* The head, or a group of workers. */
struct ray_group {
    bool is_head;                    /* this is headGroupSpec: one pod */
    const char *name;                /* "headgroup", or groupName */
    char path[64];                   /* "spec.workerGroupSpecs[1]", from the object's root */
    const struct json *node;         /* the group as it is */
    const struct json *pod_template; /* {metadata, spec}; NULL only if the check fails */
    const struct json *container;    /* the Ray container: spec.containers[0]; NULL likewise */
    const struct json *params;       /* rayStartParams: an object of texts */
    const struct json *labels;       /* of the Ray node: an object of texts */
    const struct json *resources;    /* of the Ray node: an object of texts */
    int64_t replicas;                /* as asked for; head: 1 */
    int64_t min;                     /* minReplicas; head: 1 */
    int64_t max;                     /* maxReplicas; head: 1 */
    int64_t hosts;                   /* numOfHosts: pods of each replica, at least 1 */
    int64_t desired_replicas;        /* between min and max; 0 if suspended */
    int64_t desired;                 /* pods: desired_replicas x hosts */
    bool suspended;                  /* suspend of the group (not of the cluster) */
    const struct json *to_delete;    /* scaleStrategy.workersToDelete: an array of pod names */
};

enum ray_auth { RAY_AUTH_DEFAULT, RAY_AUTH_TOKEN, RAY_AUTH_DISABLED };

/* gcsFaultToleranceOptions: the GCS' tables on a volume that outlives the head pod. */
struct ray_fault_tolerance {
    bool on;                         /* options are there, or the annotation ray.io/ft-enabled */
    const char *claim;               /* storage.claimName: the user's own volume claim */
    const struct json *size;         /* storage.size: a quantity; NULL: 1Gi */
    const char *storage_class;       /* storage.storageClassName; NULL: the default one */
    const struct json *access_modes; /* storage.accessModes; NULL: ReadWriteOnce */
    const char *sub_path;            /* storage.subPath: folder in the volume */
    bool retain;                     /* storage.deletionPolicy Retain: outlives the RayCluster */
};

/* A RayClusterSpec, of a RayCluster or of a RayJob. */
struct ray_cluster_spec {
    char path[32];                          /* "spec", "spec.rayClusterSpec" */
    const struct json *node;                /* the spec as it is */
    const char *ray_version;                /* "2.52.0"; NULL: not said */
    struct ray_group head;                  /* headGroupSpec */
    struct ray_group *workers;              /* workerGroupSpecs, in their order */
    size_t n_workers;                       /* how many */
    int64_t desired_workers;                /* pods, the sum over the groups; head not counted */
    int64_t min_workers;                    /* pods */
    int64_t max_workers;                    /* pods; at most INT32_MAX */
    bool suspend;                           /* no pods at all */
    const char *managed_by;                 /* spec.managedBy; NULL: not said */
    bool managed;                           /* by us */
    bool recreate;                          /* upgradeStrategy.type Recreate */
    bool autoscaling;                       /* enableInTreeAutoscaling */
    enum ray_auth auth;                     /* authOptions.mode */
    const char *auth_secret;                /* authOptions.secretName: the user's own Secret */
    bool auth_k8s;                          /* authOptions.enableK8sTokenAuth */
    struct ray_fault_tolerance ft;          /* see above */
    const char *service_type;               /* headGroupSpec.serviceType; NULL: headless */
    const struct json *service;             /* headGroupSpec.headService: a Service to merge in */
    const struct json *service_annotations; /* headServiceAnnotations: an object of texts */
    bool ingress;                           /* headGroupSpec.enableIngress */
    const struct json *ingress_options;     /* headGroupSpec.ingressOptions */
    bool tls_wanted;                        /* tlsOptions.enabled */
};

struct ray_cluster {
    const struct json *tree;        /* the whole object */
    const char *ns;                 /* metadata.namespace; "" if there is none */
    const char *name;               /* metadata.name; never NULL */
    const char *uid;                /* metadata.uid; "" if there is none */
    int64_t generation;             /* metadata.generation */
    bool deleting;                  /* metadata.deletionTimestamp is there */
    const struct json *labels;      /* metadata.labels */
    const struct json *annotations; /* metadata.annotations */
    const struct json *status;      /* status */
    bool of_job;                  /* made by a RayJob or RayService (ray.io/originated-from-crd) */
    struct ray_cluster_spec spec; /* spec */
};

int ray_cluster_read(const struct json *tree, struct ray_cluster **ret_c, struct raia_error *e);
void ray_cluster_free(struct ray_cluster *c); /* accepts NULL */
void ray_cluster_freep(void *p);              /* for _cleanup_ */

/* The part of it that a RayJob has too. `path` is where `node` lies. To be ended with _done, on
 * failure too. */
int ray_cluster_spec_read(const struct json *node, const char *path, struct ray_cluster_spec *ret,
                          struct raia_error *e);
void ray_cluster_spec_done(struct ray_cluster_spec *s); /* accepts a zeroed one */

/* Every rule that it breaks is added. */
void ray_cluster_check(const struct ray_cluster *c, struct api_report *ret);
void ray_cluster_spec_check(const struct ray_cluster_spec *s, struct api_report *ret);

/* Fields that are set and that Raia has no use for yet (each with a word why), and those among them
 * for which the cluster must be refused. tls: the operator gives its clusters mutual TLS. */
void ray_cluster_unsupported(const struct ray_cluster *c, bool tls, struct api_report *ret_ignored,
                             struct api_report *ret_refused);
void ray_cluster_spec_unsupported(const struct ray_cluster_spec *s, bool tls,
                                  struct api_report *ret_ignored, struct api_report *ret_refused);

/* For upgradeStrategy Recreate: the same as long as the pods would be the same. Free of replicas,
 * min, max, workersToDelete, suspend, managedBy and upgradeStrategy, and of the order of keys.
 * -NOMEM. */
int ray_cluster_hash(const struct ray_cluster_spec *s, char ret[RAY_HASH_SIZE]);

/* -- small readers ----------------------------------------------------------------------------- */

/* A text of rayStartParams; NULL: not there. */
const char *ray_group_param(const struct ray_group *g, const char *key);
/* The group of that name, NULL: none (any more). "headgroup" is the head. */
const struct ray_group *ray_cluster_group(const struct ray_cluster_spec *s, const char *name);
/* Is the pod named in workersToDelete. */
bool ray_group_to_delete(const struct ray_group *g, const char *pod_name);
/* The value of an env variable of the Ray container that is given as text; NULL otherwise. */
const char *ray_group_env(const struct ray_group *g, const char *name);
/* Is `version` ("2.52.0", "2.9.0rc1") at least major.minor; false for NULL and what is none. */
bool ray_version_at_least(const char *version, unsigned major, unsigned minor);
/* metadata.annotations[key] or labels[key] is "true" (any case). */
bool ray_is_true(const struct json *map, const char *key);

#endif
