/*
 * The kinds that the operator watches: which objects of them, and which of their fields are kept.
 * A reconciler may read these and no others; metadata.name, namespace and uid are always there.
 *
 * Only objects with the label that is named here are seen, so whoever makes one sets it.
 *
 * Threads: any. Failure: none.
 */
#ifndef OPERATOR_FIELDS_H
#define OPERATOR_FIELDS_H

#include "core/reconciler.h"

extern const struct kube_resource ray_clusters; /* ray.io/v1 RayCluster */
extern const struct kube_resource ray_jobs;     /* ray.io/v1 RayJob */

#define RAY_CLUSTER_LABEL                                                                          \
    "ray.io/cluster" /* on pods, services, secrets, PVCs: the cluster's name */
#define RAY_ORIGIN_LABEL                                                                           \
    "ray.io/originated-from-cr-name" /* on jobs and their pods: the RayJob's name */

struct fields {
    const struct kube_resource *resource; /* the kind */
    const char *label;                    /* that objects have; NULL: all are seen */
    const char *const *keep;              /* paths, as of kube/store.h */
    size_t n_keep;                        /* 0: everything */
    bool metadata_only;                   /* the server is asked for nothing else */
};

/*
 * SEEN_PODS: metadata (labels, annotations, creationTimestamp, deletionTimestamp, ownerReferences),
 * spec (nodeName, restartPolicy, containers: name, resources; initContainers: name), status (phase,
 * podIP, reason, message, startTime, conditions, containerStatuses and initContainerStatuses: name,
 * ready, restartCount, state, lastState.terminated).
 * SEEN_SERVICES: metadata; spec (clusterIP, type, selector, ports); status.loadBalancer.
 * SEEN_SECRETS: metadata. SEEN_PVCS: metadata; status.phase.
 * SEEN_JOBS: metadata; spec (backoffLimit, suspend); status. SEEN_CLUSTERS: everything.
 * SEEN_SUBMITTERS: metadata.labels, spec.nodeName, status.phase.
 */
const struct fields *fields_of(enum seen_kind kind);
/* metadata (labels, deletionTimestamp), spec (taints, unschedulable), status.conditions (type,
 * status, reason, lastTransitionTime: no heartbeats). */
extern const struct fields fields_nodes;

#endif
