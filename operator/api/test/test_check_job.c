/*
 * The rules of RayJobs: for each, an object that breaks it alone, and what it is told.
 */
#include "objects.h"

#define STRATEGY "spec.deletionStrategy"
#define RULES    STRATEGY ".deletionRules"
#define NO_SPEC  "spec.rayClusterSpec=null"
#define SELECT   "spec.clusterSelector={ray.io/cluster: c}"
#define RULE(policy, cond)                                                                         \
    STRATEGY "={deletionRules: [{policy: " policy ", condition: {" cond "}}]}"

struct rule {
    const char *changes[4]; /* "PATH=VALUE" */
    const char *want;       /* all that is told; "": nothing */
};

static const struct rule rules[] = {
    {{NULL}, ""},
    {{"metadata.name=abcdefghijabcdefghijabcdefghijabcdefghijabcdefgh"},
     "metadata.name: expected at most 47 characters, found 48"},
    {{NO_SPEC}, "spec: expected rayClusterSpec or clusterSelector"},
    {{NO_SPEC, SELECT}, ""},
    {{NO_SPEC, "spec.clusterSelector={a: b}"},
     "spec.clusterSelector: expected the name of a RayCluster under ray.io/cluster"},
    {{"spec.suspend=true"}, "spec.suspend: expected shutdownAfterJobFinishes with it"},
    {{"spec.suspend=true", "spec.shutdownAfterJobFinishes=true"}, ""},
    {{"spec.ttlSecondsAfterFinished=5"},
     "spec.ttlSecondsAfterFinished: expected shutdownAfterJobFinishes with it"},
    {{"spec.ttlSecondsAfterFinished=-5"},
     "spec.ttlSecondsAfterFinished: expected 0 or more, found -5"},
    {{"spec.backoffLimit=-1"}, "spec.backoffLimit: expected 0 or more, found -1"},
    {{"spec.submitterConfig={backoffLimit: -1}"},
     "spec.submitterConfig.backoffLimit: expected 0 or more, found -1"},
    {{"spec.entrypointNumCpus=-1"}, "spec.entrypointNumCpus: expected 0 or more"},
    {{"spec.entrypointNumGpus=-1"}, "spec.entrypointNumGpus: expected 0 or more"},
    {{"spec.runtimeEnvYAML='[a]'"}, "spec.runtimeEnvYAML: expected a YAML mapping: found a list"},
    {{"spec.runtimeEnvYAML='# nothing'"}, ""},
    {{"spec.runtimeEnvYAML='~'"}, ""},
    {{"spec.entrypointResources='3'"},
     "spec.entrypointResources: expected a JSON object: found a number"},
    /* a selected cluster */
    {{NO_SPEC, SELECT, "spec.backoffLimit=1"},
     "spec.backoffLimit: expected 0 with clusterSelector"},
    {{NO_SPEC, SELECT, "spec.submissionMode=SidecarMode"},
     "spec.submissionMode: expected another one than SidecarMode with clusterSelector"},
    {{SELECT, "spec.suspend=true", "spec.shutdownAfterJobFinishes=true"},
     "spec.suspend: expected false with clusterSelector"},
    {{SELECT, RULE("DeleteWorkers", "jobStatus: FAILED")},
     RULES "[0].policy: expected DeleteSelf or DeleteNone with clusterSelector, found "
           "DeleteWorkers"},
    {{SELECT, STRATEGY "={onSuccess: {policy: DeleteSelf}, onFailure: {policy: DeleteCluster}}"},
     STRATEGY ".onFailure.policy: expected DeleteSelf or DeleteNone with clusterSelector, found "
              "DeleteCluster"},
    /* modes */
    {{"spec.submissionMode=InteractiveMode", "spec.backoffLimit=1"},
     "spec.backoffLimit: expected 0 with submissionMode InteractiveMode"},
    {{"spec.submissionMode=SidecarMode", "spec.submitterPodTemplate={}"},
     "spec.submitterPodTemplate: expected nothing with submissionMode SidecarMode"},
    {{"spec.submissionMode=SidecarMode", "spec.submitterConfig={}"},
     "spec.submitterConfig: expected nothing with submissionMode SidecarMode"},
    {{"spec.submissionMode=SidecarMode",
      "spec.rayClusterSpec.headGroupSpec.template.spec.restartPolicy=OnFailure"},
     "spec.rayClusterSpec.headGroupSpec.template.spec.restartPolicy: expected Never, or nothing, "
     "with submissionMode SidecarMode; found 'OnFailure'"},
    /* deletion */
    {{RULE("DeleteSelf", "jobStatus: FAILED, ttlSeconds: -1")},
     RULES "[0].condition.ttlSeconds: expected 0 or more, found -1"},
    {{RULE("DeleteWorkers", "jobStatus: FAILED"),
      "spec.rayClusterSpec.enableInTreeAutoscaling=true"},
     RULES "[0].policy: expected no DeleteWorkers with enableInTreeAutoscaling"},
    {{RULE("DeleteSelf", "jobStatus: FAILED"), "spec.shutdownAfterJobFinishes=true"},
     "spec.shutdownAfterJobFinishes: expected false with deletionStrategy.deletionRules"},
    {{STRATEGY "={onSuccess: {policy: DeleteNone}, onFailure: {policy: DeleteSelf}}",
      "spec.shutdownAfterJobFinishes=true"},
     STRATEGY ".onSuccess.policy: expected no DeleteNone with shutdownAfterJobFinishes"},
    {{STRATEGY "={deletionRules: [{policy: DeleteSelf, condition: {jobStatus: FAILED}},"
               "{policy: DeleteSelf, condition: {jobStatus: FAILED, ttlSeconds: 9}}]}"},
     RULES "[1].policy: expected no second rule for jobStatus FAILED and DeleteSelf"},
    {{STRATEGY
      "={deletionRules: [{policy: DeleteSelf, condition: {jobStatus: FAILED, ttlSeconds: 5}"
      "},{policy: DeleteCluster, condition: {jobStatus: FAILED, ttlSeconds: 9}}]}"},
     RULES
     "[1].condition.ttlSeconds: expected DeleteSelf (5 s) not before DeleteCluster (9 s) after "
     "jobStatus FAILED"},
    {{STRATEGY
      "={deletionRules: [{policy: DeleteSelf, condition: {jobStatus: FAILED, ttlSeconds: 5}"
      "},{policy: DeleteCluster, condition: {jobStatus: SUCCEEDED, ttlSeconds: 9}},"
      "{policy: DeleteNone, condition: {jobStatus: FAILED, ttlSeconds: 99}}]}"},
     ""},
    /* what the cluster's rules say lies under its own path */
    {{"spec.rayClusterSpec.workerGroupSpecs[0].minReplicas=-2"},
     "spec.rayClusterSpec.workerGroupSpecs[0].minReplicas: expected 0 or more, found -2"},
    {{"spec.rayClusterSpec.authOptions={mode: token, enableK8sTokenAuth: true}",
      "spec.rayClusterSpec.rayVersion=2.60.0"},
     "spec.rayClusterSpec.authOptions.enableK8sTokenAuth: expected false in a RayJob"},
    {{"spec.rayClusterSpec.upgradeStrategy={type: None}"},
     "spec.rayClusterSpec.upgradeStrategy.type: expected nothing in a RayJob"},
};

/* Every rule tells the field and what was expected, and nothing else is told. */
Test(check_job, rules)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const char *got = job_complaint(rules[i].changes);
        cr_expect_str_eq(got, rules[i].want, "%s\n  told: %s\n  want: %s",
                         rules[i].changes[0] ? rules[i].changes[0] : "unchanged", got,
                         rules[i].want);
    }
}

/* A runtime environment that is no YAML is told with the place in it. */
Test(check_job, bad_yaml)
{
    const char *got = JOB_WITH("spec.runtimeEnvYAML='a: [b'");
    cr_assert(strstr(got, "spec.runtimeEnvYAML: expected a YAML mapping: runtimeEnvYAML:2:1: "),
              "%s", got);
}
