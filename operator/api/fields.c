/*
 * What the operator does with each field.
 */
#include "api/fields.h"

#include <stdio.h>
#include <string.h>

#include "api/raycluster.h"
#include "api/rayjob.h"

#define AUTOSCALER "there is no autoscaler yet; replicas decides"
#define REDIS      "the tables of the GCS lie on a volume, not in Redis"
#define HISTORY    "there is no history server; logs and the state API are in the head"

const struct api_field ray_cluster_fields[] = {
    {"rayVersion", API_HONOURED, "checked where an option needs a version; pods run Raia"},
    {"suspend", API_HONOURED, "all pods are deleted; state suspended"},
    {"managedBy", API_HONOURED, "objects of others are left alone"},
    {"upgradeStrategy.type", API_HONOURED, "Recreate: pods are made anew when the spec changes"},
    {"headServiceAnnotations", API_HONOURED, "on the head service"},
    {"authOptions.mode", API_HONOURED, "token is the default, here as nowhere said"},
    {"authOptions.secretName", API_HONOURED, "the user's own Secret, key auth_token"},
    {"authOptions.enableK8sTokenAuth", API_IGNORED,
     "the cluster stays closed by its own token, which is in its Secret"},
    {"gcsFaultToleranceOptions.backend", API_HONOURED,
     "either one: the tables of the GCS lie in SQLite on a volume that outlives the head pod"},
    {"gcsFaultToleranceOptions.redisAddress", API_IGNORED, REDIS},
    {"gcsFaultToleranceOptions.redisUsername", API_IGNORED, REDIS},
    {"gcsFaultToleranceOptions.redisPassword", API_IGNORED, REDIS},
    {"gcsFaultToleranceOptions.externalStorageNamespace", API_IGNORED, REDIS},
    {"gcsFaultToleranceOptions.storage.claimName", API_HONOURED, "the user's own volume claim"},
    {"gcsFaultToleranceOptions.storage.size", API_HONOURED, "1Gi if not said"},
    {"gcsFaultToleranceOptions.storage.storageClassName", API_HONOURED,
     "the server's default class if not said"},
    {"gcsFaultToleranceOptions.storage.accessModes", API_HONOURED, "ReadWriteOnce if not said"},
    {"gcsFaultToleranceOptions.storage.subPath", API_HONOURED, "folder in the volume"},
    {"gcsFaultToleranceOptions.storage.deletionPolicy", API_HONOURED,
     "Retain: the volume outlives the RayCluster"},
    {"headGroupSpec.template", API_HONOURED, "passed through; any image with glibc"},
    {"headGroupSpec.rayStartParams", API_HONOURED, "as flags of ray start"},
    {"headGroupSpec.serviceType", API_HONOURED, "of the head service; headless if not said"},
    {"headGroupSpec.headService", API_HONOURED, "merged into the head service"},
    {"headGroupSpec.enableIngress", API_IGNORED,
     "make an Ingress for CLUSTER-head-svc port 8265 by hand"},
    {"headGroupSpec.ingressOptions", API_IGNORED, "as enableIngress"},
    {"headGroupSpec.resources", API_HONOURED, "resources of the Ray node"},
    {"headGroupSpec.labels", API_HONOURED, "labels of the Ray node and its pod"},
    {"workerGroupSpecs[].groupName", API_HONOURED, "one group of each name"},
    {"workerGroupSpecs[].template", API_HONOURED, "passed through; any image with glibc"},
    {"workerGroupSpecs[].replicas", API_HONOURED, "between minReplicas and maxReplicas"},
    {"workerGroupSpecs[].minReplicas", API_HONOURED, "0 if not said"},
    {"workerGroupSpecs[].maxReplicas", API_HONOURED, "2147483647 if not said"},
    {"workerGroupSpecs[].numOfHosts", API_HONOURED, "pods of each replica"},
    {"workerGroupSpecs[].suspend", API_HONOURED, "the group has no pods"},
    {"workerGroupSpecs[].scaleStrategy.workersToDelete", API_HONOURED,
     "those pods go, then others fill up to replicas"},
    {"workerGroupSpecs[].scaleStrategy.multihostReplicasToDelete", API_IGNORED,
     "name a pod of the replica in workersToDelete"},
    {"workerGroupSpecs[].rayStartParams", API_HONOURED, "as flags of ray start"},
    {"workerGroupSpecs[].resources", API_HONOURED, "resources of the Ray nodes"},
    {"workerGroupSpecs[].labels", API_HONOURED, "labels of the Ray nodes and their pods"},
    {"workerGroupSpecs[].idleTimeoutSeconds", API_IGNORED, AUTOSCALER},
    {"workerGroupSpecs[].priority", API_IGNORED, AUTOSCALER},
    {"enableInTreeAutoscaling", API_IGNORED, AUTOSCALER},
    {"autoscalerOptions", API_IGNORED, AUTOSCALER},
    {"tlsOptions.enabled", API_HONOURED,
     "nodes always speak mutual TLS with certificates of the operator's own; refused if the "
     "operator was started without TLS"},
    {"networkPolicy", API_REFUSED,
     "no NetworkPolicy would be made, and the pods would be open to others: make one by hand"},
    {"gcs", API_REFUSED,
     "there is no GCS in pods of its own yet, and one in the head pod would not survive what this "
     "asks "
     "for: leave it out, or use gcsFaultToleranceOptions"},
    {"historyServerOptions", API_IGNORED, HISTORY},
    {NULL, API_HONOURED, NULL},
};

const struct api_field ray_job_fields[] = {
    {"entrypoint", API_HONOURED, "run by the head"},
    {"runtimeEnvYAML", API_HONOURED, "goes along with the submission"},
    {"jobId", API_HONOURED, "made by the operator if not said; InteractiveMode: the user's"},
    {"metadata", API_HONOURED, "goes along with the submission"},
    {"entrypointNumCpus", API_HONOURED, "reserved for the entrypoint"},
    {"entrypointNumGpus", API_HONOURED, "reserved for the entrypoint"},
    {"entrypointResources", API_HONOURED, "a JSON object; reserved for the entrypoint"},
    {"submissionMode", API_HONOURED, "K8sJobMode, HTTPMode, SidecarMode, InteractiveMode"},
    {"submitterPodTemplate", API_HONOURED, "passed through; K8sJobMode"},
    {"submitterConfig.backoffLimit", API_HONOURED, "of the submitter's Job; 2 if not said"},
    {"rayClusterSpec", API_HONOURED, "as spec of a RayCluster; changes are not followed"},
    {"clusterSelector", API_HONOURED, "key ray.io/cluster names the RayCluster"},
    {"suspend", API_HONOURED, "the cluster is deleted; a new attempt when taken back"},
    {"managedBy", API_HONOURED, "objects of others are left alone"},
    {"backoffLimit", API_HONOURED, "attempts after the first, each with a new cluster"},
    {"activeDeadlineSeconds", API_HONOURED, "from the start of an attempt to its end"},
    {"preRunningDeadlineSeconds", API_HONOURED, "from the start of an attempt to Running"},
    {"shutdownAfterJobFinishes", API_HONOURED, "the cluster is deleted"},
    {"ttlSecondsAfterFinished", API_HONOURED, "that long after the end"},
    {"deletionStrategy", API_HONOURED, "deletionRules, or onSuccess and onFailure"},
    {"schedule", API_IGNORED, "the job runs once"},
    {NULL, API_HONOURED, NULL},
};

/* -- finding those that are set ------------------------------------------------------------------- */

struct finder {
    const struct api_field *field; /* what is looked for */
    const char *base;              /* where the spec lies */
    struct api_report *to;         /* where it is told */
};

static void find(const struct finder *f, const struct json *node, const char *rest, char *path,
                 size_t len);

static void step(const struct finder *f, const struct json *node, const char *rest, char *path,
                 size_t len, const char *fmt_key, size_t index)
{
    int n = fmt_key ? snprintf(path + len, API_PATH_MAX - len, ".%s", fmt_key)
                    : snprintf(path + len, API_PATH_MAX - len, "[%zu]", index);

    if (n > 0 && (size_t)n < API_PATH_MAX - len)
        find(f, node, rest, path, len + (size_t)n);
    path[len] = 0;
}

static void find(const struct finder *f, const struct json *node, const char *rest, char *path,
                 size_t len)
{
    char key[64];
    size_t n, i = 0;

    if (!node || json_is(node, JSON_NULL))
        return;
    if (!rest[0]) {
        int64_t v;

        if (json_is(node, JSON_BOOL) && !json_true(node))
            return;
        if (json_int(node, &v) == 0 && v == 0) /* a default of KubeRay's schema */
            return;
        api_report_add(f->to, path, "%s", f->field->note);
        return;
    }
    if (strncmp(rest, "[]", 2) == 0) {
        JSON_FOREACH(item, node)
        step(f, item, rest + 2 + (rest[2] == '.'), path, len, NULL, i++);
        return;
    }
    n = strcspn(rest, ".[");
    snprintf(key, sizeof key, "%.*s", (int)n, rest);
    step(f, json_get(node, key), rest + n + (rest[n] == '.'), path, len, key, 0);
}

void api_fields_unsupported(const struct api_field *table, const struct json *spec,
                            const char *base, struct api_report *ret_ignored,
                            struct api_report *ret_refused)
{
    char path[API_PATH_MAX];

    for (; table->path; table++) {
        struct finder f = {table, base, table->support == API_REFUSED ? ret_refused : ret_ignored};

        if (table->support == API_HONOURED)
            continue;
        find(&f, spec, table->path, path, (size_t)snprintf(path, sizeof path, "%s", base));
    }
}

void ray_cluster_spec_unsupported(const struct ray_cluster_spec *s, bool tls,
                                  struct api_report *ret_ignored, struct api_report *ret_refused)
{
    api_fields_unsupported(ray_cluster_fields, s->node, s->path, ret_ignored, ret_refused);
    if (s->tls_wanted && !tls)
        api_report_at(ret_refused, s->path, "tlsOptions.enabled",
                      "the operator was started without TLS");
}

void ray_cluster_unsupported(const struct ray_cluster *c, bool tls, struct api_report *ret_ignored,
                             struct api_report *ret_refused)
{
    ray_cluster_spec_unsupported(&c->spec, tls, ret_ignored, ret_refused);
}

void ray_job_unsupported(const struct ray_job *j, bool tls, struct api_report *ret_ignored,
                         struct api_report *ret_refused)
{
    api_fields_unsupported(ray_job_fields, json_get(j->tree, "spec"), "spec", ret_ignored,
                           ret_refused);
    if (j->has_cluster)
        ray_cluster_spec_unsupported(&j->cluster, tls, ret_ignored, ret_refused);
}
