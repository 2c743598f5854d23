/*
 * The fields of ray.io/v1 (manifest_fields.h), as KubeRay 1.7 has them, and Raia's own.
 */
#include "cli/manifest_fields.h"

#include <stddef.h>

const struct manifest_field manifest_cluster_fields[] = {
    {"headGroupSpec", true},
    {"workerGroupSpecs", true},
    {"suspend", true},
    {"rayVersion", false},
    {"enableInTreeAutoscaling", false},
    {"autoscalerOptions", false},
    {"headServiceAnnotations", false},
    {"gcsFaultToleranceOptions", false},
    {"authOptions", false},
    {"networkPolicy", false},
    {"tlsOptions", false},
    {"historyServerOptions", false},
    {"managedBy", false},
    {"upgradeStrategy", false},
    {"gcs", false},
    {"migration", false},
    {NULL, false},
};

const struct manifest_field manifest_head_fields[] = {
    {"template", true},       {"rayStartParams", true},
    {"resources", true},      {"labels", true},
    {"serviceType", false},   {"headService", false},
    {"enableIngress", false}, {"ingressOptions", false},
    {"groupName", false},     {NULL, false},
};

const struct manifest_field manifest_worker_fields[] = {
    {"groupName", true},
    {"template", true},
    {"replicas", true},
    {"minReplicas", true},
    {"maxReplicas", true},
    {"numOfHosts", true},
    {"rayStartParams", true},
    {"resources", true},
    {"labels", true},
    {"suspend", true},
    {"idleTimeoutSeconds", false},
    {"priority", false},
    {"scaleStrategy", false},
    {NULL, false},
};

const struct manifest_field manifest_job_fields[] = {
    {"entrypoint", true},
    {"runtimeEnvYAML", true},
    {"jobId", true},
    {"metadata", true},
    {"rayClusterSpec", true},
    {"clusterSelector", true},
    {"suspend", true},
    {"backoffLimit", true},
    {"activeDeadlineSeconds", true},
    {"ttlSecondsAfterFinished", true},
    {"shutdownAfterJobFinishes", true},
    {"entrypointNumCpus", true},
    {"entrypointNumGpus", true},
    {"entrypointResources", true},
    {"submissionMode", true},
    {"submitterPodTemplate", false},
    {"submitterConfig", false},
    {"managedBy", false},
    {"preRunningDeadlineSeconds", false},
    {"deletionStrategy", false},
    {NULL, false},
};
