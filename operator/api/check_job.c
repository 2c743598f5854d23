/*
 * The rules of a RayJob that the schema cannot tell, or not to a server that has an older one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/check.h"
#include "api/rayjob.h"

static const char *const ends[] = {"jobStatus SUCCEEDED", "jobStatus FAILED",
                                   "jobDeploymentStatus Failed"};

/* Where rule i was written. */
static void rule_path(const struct ray_job *j, size_t i, char *buf, size_t size)
{
    if (j->legacy_strategy)
        snprintf(buf, size, "spec.deletionStrategy.%s", i == 0 ? "onSuccess" : "onFailure");
    else
        snprintf(buf, size, "spec.deletionStrategy.deletionRules[%zu]", i);
}

/* One rule against those before it: each (end, policy) once, and in the order of TTLs. */
static void check_order(const struct ray_job *j, size_t i, const char *path, struct api_report *ret)
{
    const struct ray_deletion_rule *rule = &j->rules[i];

    for (size_t k = 0; k < i; k++) {
        const struct ray_deletion_rule *other = &j->rules[k];
        const struct ray_deletion_rule *less = rule->policy < other->policy ? rule : other;
        const struct ray_deletion_rule *more = less == rule ? other : rule;

        if (other->when != rule->when)
            continue;
        if (other->policy == rule->policy)
            api_report_at(ret, path, "policy", "expected no second rule for %s and %s",
                          ends[rule->when], ray_deletion_name(rule->policy));
        else if (less->policy != RAY_DELETE_NONE && less->ttl_s > more->ttl_s)
            api_report_at(ret, path, "condition.ttlSeconds",
                          "expected %s (%" PRId64 " s) not before %s (%" PRId64 " s) after %s",
                          ray_deletion_name(more->policy), more->ttl_s,
                          ray_deletion_name(less->policy), less->ttl_s, ends[rule->when]);
    }
}

static void check_rules(const struct ray_job *j, struct api_report *ret)
{
    char path[96];

    for (size_t i = 0; i < j->n_rules; i++) {
        const struct ray_deletion_rule *rule = &j->rules[i];

        rule_path(j, i, path, sizeof path);
        if (rule->ttl_s < 0)
            api_report_at(ret, path, "condition.ttlSeconds", "expected 0 or more, found %" PRId64,
                          rule->ttl_s);
        if (j->selected &&
            (rule->policy == RAY_DELETE_CLUSTER || rule->policy == RAY_DELETE_WORKERS))
            api_report_at(ret, path, "policy",
                          "expected DeleteSelf or DeleteNone with clusterSelector, found %s",
                          ray_deletion_name(rule->policy));
        if (j->has_cluster && j->cluster.autoscaling && rule->policy == RAY_DELETE_WORKERS)
            api_report_at(ret, path, "policy",
                          "expected no DeleteWorkers with enableInTreeAutoscaling");
        if (j->legacy_strategy && j->shutdown && rule->policy == RAY_DELETE_NONE)
            api_report_at(ret, path, "policy",
                          "expected no DeleteNone with shutdownAfterJobFinishes");
        if (!j->legacy_strategy)
            check_order(j, i, path, ret);
    }
    if (j->n_rules > 0 && !j->legacy_strategy && j->shutdown)
        api_report_add(ret, "spec.shutdownAfterJobFinishes",
                       "expected false with deletionStrategy.deletionRules");
}

static void check_selector(const struct ray_job *j, struct api_report *ret)
{
    if (!j->selected[0])
        api_report_add(ret, "spec.clusterSelector",
                       "expected the name of a RayCluster under " RAY_LABEL_CLUSTER);
    if (j->suspend)
        api_report_add(ret, "spec.suspend", "expected false with clusterSelector");
    if (j->mode == RAY_JOB_SIDECAR)
        api_report_add(ret, "spec.submissionMode",
                       "expected another one than SidecarMode with clusterSelector");
    if (j->backoff_limit > 0)
        api_report_add(ret, "spec.backoffLimit", "expected 0 with clusterSelector");
}

static void check_mode(const struct ray_job *j, struct api_report *ret)
{
    const struct json *spec = json_get(j->tree, "spec");

    if (j->mode == RAY_JOB_INTERACTIVE && j->backoff_limit > 0)
        api_report_add(ret, "spec.backoffLimit", "expected 0 with submissionMode InteractiveMode");
    if (j->mode != RAY_JOB_SIDECAR)
        return;
    if (j->submitter)
        api_report_add(ret, "spec.submitterPodTemplate",
                       "expected nothing with submissionMode SidecarMode");
    if (json_is(json_get(spec, "submitterConfig"), JSON_OBJECT))
        api_report_add(ret, "spec.submitterConfig",
                       "expected nothing with submissionMode SidecarMode");
    if (j->has_cluster)
        check_never__(&j->cluster.head, "with submissionMode SidecarMode", ret);
}

void ray_job_check(const struct ray_job *j, struct api_report *ret)
{
    check_name__(j->name, JOB_NAME_MAX, ret);
    if (!j->has_cluster && !j->selected)
        api_report_add(ret, "spec", "expected rayClusterSpec or clusterSelector");
    if (j->suspend && !j->shutdown)
        api_report_add(ret, "spec.suspend", "expected shutdownAfterJobFinishes with it");
    if (j->ttl_s < 0)
        api_report_add(ret, "spec.ttlSecondsAfterFinished", "expected 0 or more, found %" PRId64,
                       j->ttl_s);
    if (j->ttl_s > 0 && !j->shutdown)
        api_report_add(ret, "spec.ttlSecondsAfterFinished",
                       "expected shutdownAfterJobFinishes with it");
    if (j->backoff_limit < 0)
        api_report_add(ret, "spec.backoffLimit", "expected 0 or more, found %" PRId64,
                       j->backoff_limit);
    if (j->submitter_backoff_limit < 0)
        api_report_add(ret, "spec.submitterConfig.backoffLimit",
                       "expected 0 or more, found %" PRId64, j->submitter_backoff_limit);
    if (j->num_cpus < 0)
        api_report_add(ret, "spec.entrypointNumCpus", "expected 0 or more");
    if (j->num_gpus < 0)
        api_report_add(ret, "spec.entrypointNumGpus", "expected 0 or more");
    if (j->runtime_env_bad[0])
        api_report_add(ret, "spec.runtimeEnvYAML", "expected a YAML mapping: %s",
                       j->runtime_env_bad);
    if (j->resources_bad[0])
        api_report_add(ret, "spec.entrypointResources", "expected a JSON object: %s",
                       j->resources_bad);
    check_rules(j, ret);
    if (j->selected)
        check_selector(j, ret);
    check_mode(j, ret);
    if (j->has_cluster && j->cluster.auth_k8s)
        api_report_add(ret, "spec.rayClusterSpec.authOptions.enableK8sTokenAuth",
                       "expected false in a RayJob");
    if (j->has_cluster && json_str(json_at(j->cluster.node, "upgradeStrategy.type")))
        api_report_add(ret, "spec.rayClusterSpec.upgradeStrategy.type",
                       "expected nothing in a RayJob");
    if (j->has_cluster)
        check_spec__(&j->cluster, j->annotations, ret);
}
