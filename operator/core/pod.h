/*
 * Head and worker pods of a RayCluster, made of its templates.
 *
 *     struct pod_site site = {.cluster = c, .config = config, .service = "demo-head-svc", ...};
 *     struct pod_place at = {.name = name, .replica = -1};
 *     pod_name(c, group, "3", 0, name);
 *     r = pod_build(&site, group, &at, &pod, e);
 *
 * The template is opaque: only the paths that the operator owns are touched. Labels, annotations,
 * variables, ports, probes and the command are KubeRay's; where Raia differs is in docs.
 *
 * Names are made of the cluster's uid, the group and a slot, so that a creation whose outcome is not
 * known can be repeated without a second pod; they look like KubeRay's, whose ends are random. (A slot
 * that becomes free between the two costs one pod, which is deleted as one too many.)
 * Ownership: results are the caller's. Threads: any. Failure: -NOMEM; -INVALID when something in the
 * template is in the way, with its path in the pod.
 */
#ifndef OPERATOR_POD_H
#define OPERATOR_POD_H

#include "api/raycluster.h"
#include "core/config.h"
#include "json/json.h"

#define POD_NAME_SIZE     64                    /* with the end mark */
#define POD_ANNOTATION    "ray.io/raia-version" /* on every pod that we made */
#define POD_CREATED_BY    "raia-operator"
#define POD_KUBERAY       "kuberay-operator" /* in RAY_LABEL_CREATED_BY: KubeRay made it */
#define POD_STORAGE       "raia-gcs"         /* the volume of the GCS' tables */
#define POD_STORAGE_DIR   "/data/gcs"        /* where it is mounted */
#define POD_STORAGE_PATH  POD_STORAGE_DIR "/raia.db"
#define POD_STORAGE_LEASE "60s" /* RAIA_LEASE of its head */

/* What all pods of one cluster share. */
struct pod_site {
    const struct ray_cluster *cluster;    /* they are its */
    const struct operator_config *config; /* images, TLS, probes */
    const char *service;                  /* of the head: its name */
    const char *token_secret;             /* whose auth_token they have; NULL: no token */
    const char *hash;                     /* of the spec: ray_cluster_hash */
};

/* Which of its group's pods it is. */
struct pod_place {
    const char *name;         /* metadata.name */
    int64_t replica;          /* of a group with several hosts: 0 and up; -1: not such a group */
    int64_t host;             /* in that replica */
    const char *replica_name; /* of that replica: pod_replica_name */
};

/* slot: what tells it from its group's other pods; salt: 0, or more where the name is taken. */
void pod_name(const struct ray_cluster *c, const struct ray_group *g, const char *slot,
              unsigned salt, char ret[POD_NAME_SIZE]);
/* What the names of a group's pods begin with: "demo-small-worker-". */
void pod_prefix(const struct ray_cluster *c, const struct ray_group *g, char ret[POD_NAME_SIZE]);
/* "small-x7k2p", for the label. */
void pod_replica_name(const struct ray_cluster *c, const struct ray_group *g, int64_t replica,
                      char ret[POD_NAME_SIZE]);

int pod_build(const struct pod_site *s, const struct ray_group *g, const struct pod_place *at,
              struct json **ret_pod, struct raia_error *e);

/* Do the GCS' tables lie on a volume? Not if the options ask for Redis, which Raia has no use for. */
bool pod_has_storage(const struct ray_cluster *c);
/* The claim of that volume: the user's, or CLUSTER-gcs-pvc. */
void pod_storage_claim(const struct ray_cluster *c, char *buf, size_t size);

/* Has one that is there ended: is its phase Failed or Succeeded? Any pod's, whoever made it. */
bool pod_has_ended(const struct json *pod);

/* metadata.ownerReferences with the cluster as the controller; for all that is made for it. */
int pod_set_owner(struct json *metadata, const struct ray_cluster *c);
/* "demo-head-svc.default.svc.cluster.local"; mem_free. */
char *pod_head_host(const struct pod_site *s);

#endif
