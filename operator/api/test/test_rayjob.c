/*
 * Reading RayJobs.
 */
#include "objects.h"

/* All that is said is read, with defaults for what is not; texts that hold trees are parsed. */
Test(rayjob, view)
{
    struct json *tree = tree_of(job_yaml);
    struct ray_job *j = job_of(tree);
    cr_assert_str_eq(j->name, "count");
    cr_assert_str_eq(j->entrypoint, "count words");
    cr_assert_eq(j->mode, RAY_JOB_K8S);
    cr_assert_str_eq(ray_job_mode_name(j->mode), "K8sJobMode");
    cr_assert_eq(j->submitter_backoff_limit, 2);
    cr_assert_eq(j->backoff_limit, 0);
    cr_assert_eq(j->active_deadline_s, 0);
    cr_assert_eq(j->ttl_s, 0);
    cr_assert_not(j->shutdown);
    cr_assert_not(j->has_strategy);
    cr_assert(j->managed);
    cr_assert_null(j->job_id);
    cr_assert_null(j->selected);
    cr_assert_str_eq(json_str(json_at(j->runtime_env, "env_vars.A")), "b");
    cr_assert_not_null(json_get(j->resources, "disk"));
    cr_assert(j->has_cluster);
    cr_assert_str_eq(j->cluster.workers[0].path, "spec.rayClusterSpec.workerGroupSpecs[0]");
    cr_assert_eq(j->cluster.desired_workers, 1);
    ray_job_free(j);
    json_free(tree);
}

/* The rest of the options, with a selector in the place of a cluster. */
Test(rayjob, options)
{
    struct json *tree = tree_of("metadata: {name: j}\n"
                                "spec:\n"
                                "  submissionMode: InteractiveMode\n"
                                "  jobId: mine\n"
                                "  metadata: {a: b}\n"
                                "  entrypointNumCpus: 2\n"
                                "  entrypointNumGpus: 0.5\n"
                                "  clusterSelector: {ray.io/cluster: c}\n"
                                "  backoffLimit: 3\n"
                                "  activeDeadlineSeconds: 60\n"
                                "  preRunningDeadlineSeconds: 30\n"
                                "  shutdownAfterJobFinishes: true\n"
                                "  ttlSecondsAfterFinished: 10\n"
                                "  submitterConfig: {backoffLimit: 5}\n"
                                "  submitterPodTemplate: {spec: {}}\n"
                                "  runtimeEnvYAML: ''\n"
                                "  suspend: true\n");
    struct ray_job *j = job_of(tree);
    cr_assert_eq(j->mode, RAY_JOB_INTERACTIVE);
    cr_assert_str_eq(j->job_id, "mine");
    cr_assert_eq(j->num_cpus, 2.0);
    cr_assert_eq(j->num_gpus, 0.5);
    cr_assert_str_eq(j->selected, "c");
    cr_assert_not(j->has_cluster);
    cr_assert_eq(j->backoff_limit, 3);
    cr_assert_eq(j->active_deadline_s, 60);
    cr_assert_eq(j->pre_running_deadline_s, 30);
    cr_assert(j->shutdown && j->suspend);
    cr_assert_eq(j->ttl_s, 10);
    cr_assert_eq(j->submitter_backoff_limit, 5);
    cr_assert_not_null(j->submitter);
    cr_assert_null(j->runtime_env);
    cr_assert_str_eq(j->runtime_env_bad, "");
    cr_assert_str_eq(j->entrypoint, "");
    cr_assert_str_eq(j->ns, "");
    ray_job_free(j);
    json_free(tree);
}

/* Rules and the policies of old come out as the same list. */
Test(rayjob, deletion)
{
    struct json *tree = tree_of(job_yaml);
    put(tree, "spec.deletionStrategy",
        "{deletionRules: [{policy: DeleteWorkers, condition: {jobStatus: SUCCEEDED, ttlSeconds: "
        "30}},"
        "{policy: DeleteSelf, condition: {jobDeploymentStatus: Failed}}]}");
    struct ray_job *j = job_of(tree);
    cr_assert(j->has_strategy && !j->legacy_strategy);
    cr_assert_eq(j->n_rules, 2);
    cr_assert_eq(j->rules[0].policy, RAY_DELETE_WORKERS);
    cr_assert_eq(j->rules[0].when, RAY_WHEN_SUCCEEDED);
    cr_assert_eq(j->rules[0].ttl_s, 30);
    cr_assert_eq(j->rules[1].policy, RAY_DELETE_SELF);
    cr_assert_eq(j->rules[1].when, RAY_WHEN_DEPLOYMENT_FAILED);
    cr_assert_eq(j->rules[1].ttl_s, 0);
    ray_job_free(j);
    put(tree, "spec.deletionStrategy",
        "{onSuccess: {policy: DeleteCluster}, onFailure: {policy: DeleteNone}}");
    j = job_of(tree);
    cr_assert(j->legacy_strategy);
    cr_assert_eq(j->rules[0].policy, RAY_DELETE_CLUSTER);
    cr_assert_eq(j->rules[0].when, RAY_WHEN_SUCCEEDED);
    cr_assert_eq(j->rules[1].policy, RAY_DELETE_NONE);
    cr_assert_eq(j->rules[1].when, RAY_WHEN_FAILED);
    cr_assert_str_eq(ray_deletion_name(j->rules[0].policy), "DeleteCluster");
    ray_job_free(j);
    json_free(tree);
}

/* What cannot be read is refused with its path. */
Test(rayjob, refused)
{
    static const struct {
        const char *change, *want;
    } cases[] = {
        {"spec=null", "read: spec: expected an object"},
        {"spec.submissionMode=Batch",
         "read: spec.submissionMode: expected one of K8sJobMode, HTTPMode, InteractiveMode, "
         "SidecarMode, found 'Batch'"},
        {"spec.activeDeadlineSeconds=0", "read: spec.activeDeadlineSeconds: expected 1 or more"},
        {"spec.preRunningDeadlineSeconds=-1",
         "read: spec.preRunningDeadlineSeconds: expected 1 or more"},
        {"spec.deletionStrategy={}",
         "read: spec.deletionStrategy: expected both onSuccess and onFailure, or deletionRules"},
        {"spec.deletionStrategy={onSuccess: {policy: DeleteSelf}}",
         "read: spec.deletionStrategy: expected both onSuccess and onFailure, or deletionRules"},
        {"spec.deletionStrategy={onSuccess: {}, onFailure: {}}",
         "read: spec.deletionStrategy.onSuccess.policy: expected one of DeleteNone, DeleteWorkers, "
         "DeleteCluster, DeleteSelf, found nothing"},
        {"spec.deletionStrategy={onSuccess: {}, deletionRules: []}",
         "read: spec.deletionStrategy: expected only one of deletionRules and "
         "onSuccess/onFailure"},
        {"spec.deletionStrategy={deletionRules: []}",
         "read: spec.deletionStrategy.deletionRules: expected 1 to 100 rules, found 0"},
        {"spec.deletionStrategy={deletionRules: [{policy: DeleteSelf}]}",
         "read: spec.deletionStrategy.deletionRules[0].condition: expected exactly one of "
         "jobStatus "
         "and jobDeploymentStatus"},
        {"spec.deletionStrategy={deletionRules: [{policy: DeleteSelf, condition: {jobStatus: "
         "STOPPED}}]}",
         "read: spec.deletionStrategy.deletionRules[0].condition.jobStatus: expected one of "
         "SUCCEEDED, FAILED, found 'STOPPED'"},
        {"spec.rayClusterSpec={}",
         "read: spec.rayClusterSpec.headGroupSpec: expected an object, found nothing"},
        {"spec.clusterSelector={ray.io/cluster: 1}",
         "read: spec.clusterSelector[\"ray.io/cluster\"]: expected a string, found a number: put "
         "it "
         "in quotes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = JOB_WITH(cases[i].change);
        cr_assert_str_eq(got, cases[i].want, "%s: %s", cases[i].change, got);
    }
}

/* Memory that runs out at any point is told and leaves nothing behind. */
Test(rayjob, no_memory)
{
    struct json *tree = tree_of(job_yaml);
    put(tree, "spec.deletionStrategy",
        "{deletionRules: [{policy: DeleteSelf, condition: {jobStatus: FAILED}}]}");
    int r = -1;
    for (uint64_t n = 1; r < 0 && n < 300; n++) {
        struct ray_job *j = NULL;
        mem_fail_nth(n);
        r = ray_job_read(tree, &j, NULL);
        mem_fail_nth(0);
        cr_assert(r == 0 || (r == -RAIA_ERR_NOMEM && !j), "%d", r);
        ray_job_free(j);
    }
    cr_assert_eq(r, 0);
    json_free(tree);
}
