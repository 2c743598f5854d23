/*
 * Tables of the fields that informers keep.
 */
#include "core/fields.h"

const struct kube_resource ray_clusters = {"ray.io", "v1", "rayclusters", "RayCluster", false};
const struct kube_resource ray_jobs = {"ray.io", "v1", "rayjobs", "RayJob", false};
/* Watched beside the pods of clusters, which have another label. */
static const struct kube_resource submitters = {NULL, "v1", "pods", "Pod", false};

#define METADATA                                                                                   \
    "metadata.labels", "metadata.annotations", "metadata.creationTimestamp",                       \
        "metadata.deletionTimestamp"
#define CONTAINER_STATUS(list)                                                                     \
    "status." list ".name", "status." list ".ready", "status." list ".restartCount",               \
        "status." list ".state", "status." list ".lastState.terminated"

static const char *const pods[] = {METADATA,
                                   "spec.nodeName",
                                   "spec.restartPolicy",
                                   "spec.containers.name",
                                   "spec.containers.resources",
                                   "spec.initContainers.name",
                                   "status.phase",
                                   "status.podIP",
                                   "status.reason",
                                   "status.message",
                                   "status.startTime",
                                   "status.conditions.type",
                                   "status.conditions.status",
                                   "status.conditions.reason",
                                   "status.conditions.message",
                                   "status.conditions.lastTransitionTime",
                                   CONTAINER_STATUS("containerStatuses"),
                                   CONTAINER_STATUS("initContainerStatuses")};
static const char *const services[] = {METADATA,        "spec.clusterIP", "spec.type",
                                       "spec.selector", "spec.ports",     "status.loadBalancer"};
static const char *const secrets[] = {METADATA};
static const char *const pvcs[] = {METADATA, "status.phase"};
static const char *const jobs[] = {METADATA, "spec.backoffLimit", "spec.suspend", "status"};
static const char *const submitter_pods[] = {"metadata.labels", "spec.nodeName", "status.phase"};
static const char *const nodes[] = {"metadata.labels",
                                    "metadata.deletionTimestamp",
                                    "spec.taints",
                                    "spec.unschedulable",
                                    "status.conditions.type",
                                    "status.conditions.status",
                                    "status.conditions.reason",
                                    "status.conditions.lastTransitionTime"};

#define LIST(list) .keep = (list), .n_keep = sizeof(list) / sizeof *(list)

static const struct fields table[SEEN_KINDS] = {
    [SEEN_PODS] = {.resource = &kube_pods, .label = RAY_CLUSTER_LABEL, LIST(pods)},
    [SEEN_SERVICES] = {.resource = &kube_services, .label = RAY_CLUSTER_LABEL, LIST(services)},
    [SEEN_SECRETS] = {.resource = &kube_secrets,
                      .label = RAY_CLUSTER_LABEL,
                      .metadata_only = true,
                      LIST(secrets)},
    [SEEN_PVCS] = {.resource = &kube_pvcs, .label = RAY_CLUSTER_LABEL, LIST(pvcs)},
    [SEEN_JOBS] = {.resource = &kube_jobs, .label = RAY_ORIGIN_LABEL, LIST(jobs)},
    [SEEN_CLUSTERS] = {.resource = &ray_clusters},
    [SEEN_SUBMITTERS] = {.resource = &submitters, .label = RAY_ORIGIN_LABEL, LIST(submitter_pods)},
};
const struct fields fields_nodes = {.resource = &kube_nodes, LIST(nodes)};

const struct fields *fields_of(enum seen_kind kind)
{
    return &table[kind];
}
