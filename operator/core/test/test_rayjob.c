/*
 * The RayJob reconciler, look by look: modes, moves, reasons, counters (core/rayjob.h).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/rayjob.h"
#include "test/rayjob_hand.h"

#define EXISTS "Job with submission_id x already exists. Please use a different submission_id."

/* -- the way to Running ------------------------------------------------------------------------------ */

/* The finalizer, then the names, then the cluster: each is written before the next is begun. */
Test(rayjob, names_first)
{
    struct model *w = by_hand("K8sJobMode", "");

    model_plan(w);
    cr_assert(w->p->metadata);
    cr_assert(list_empty(&w->p->actions));
    model_apply(w, 100);
    model_plan(w);
    cr_assert(list_empty(&w->p->actions));
    cr_assert_str_eq(json_str(json_get(w->p->status, STATE)), "Initializing");
    _cleanup_(mem_freep) char *id = mem_strdup(json_str(json_get(w->p->status, "jobId")));
    model_plan(w); /* the write was lost: another look makes the same names */
    cr_assert_str_eq(json_str(json_get(w->p->status, "jobId")), id);
    model_apply(w, 100);
    cr_assert_eq(strncmp(id, "demo-", 5), 0);
    cr_assert_eq(strlen(id), 10);
    cr_assert_str_neq(id, model_status(w, "rayClusterName"));
    expect_status(w, "startTime", "2026-09-21T14:13:21Z");
    cr_assert_eq(model_count(w, "failed"), 0);
    cr_assert_eq(model_count(w, "succeeded"), 0);
    cr_assert_eq(model_count(w, "observedGeneration"), 1);
    steps(w, 1);
    const struct json *c = model_object(w, SEEN_CLUSTERS)->tree;
    cr_assert_str_eq(json_str(json_at(c, "metadata.name")), model_status(w, "rayClusterName"));
    cr_assert_str_eq(json_str(json_at(c, "metadata.ownerReferences[0].uid")), "u-1");
    cr_assert_str_eq(json_str(json_at(c, "metadata.labels.mine")), "1");
    cr_assert_str_eq(json_str(json_at(c, "metadata.labels[\"ray.io/originated-from-cr-name\"]")),
                     "demo");
    cr_assert_str_eq(json_str(json_at(c, "metadata.labels[\"ray.io/originated-from-crd\"]")),
                     "RayJob");
    cr_assert_str_eq(json_str(json_at(c, "metadata.labels[\"ray.io/job-submission-mode\"]")),
                     "K8sJobMode");
    cr_assert(json_equal(json_get(c, "spec"), json_at(w->job, "spec.rayClusterSpec")));
    steps(w, 1);
    cr_assert(strstr(w->events, "CreatedRayCluster"));
    expect_status(w, STATE, "Initializing");
    model_free(w);
}

/* K8sJobMode from the ready cluster to the end: the Job is there before the job is called Running,
 * and the job is not called Complete before its log was read. */
Test(rayjob, k8s_job_mode)
{
    struct model *w = by_hand("K8sJobMode", ",\"runtimeEnvYAML\":\"env_vars:\\n  A: b\\n\","
                                            "\"entrypointNumCpus\":1.5,\"jobId\":\"mine\"");

    steps(w, 3);
    model_cluster_ready(w);
    steps(w, 1);
    cr_assert(model_object(w, SEEN_JOBS));
    expect_status(w, STATE, "Initializing");
    _cleanup_(mem_freep) char *url =
        mem_printf("%s-head-svc.ns.svc.cluster.local:8265", model_status(w, "rayClusterName"));
    expect_status(w, "dashboardURL", url);
    steps(w, 2);
    expect_status(w, STATE, "Running");
    expect_status(w, "rayClusterStatus.state", "ready");
    cr_assert(strstr(w->events, "CreatedRayJobSubmitter"));
    cr_assert(strstr(model_find_call(w, "GET", "/api/jobs/")->url,
                     "/api/jobs/mine?wait_ms=25000&known_status="));
    answer_status(w, "RUNNING");
    expect_status(w, "jobStatus", "RUNNING");
    expect_status(w, "message", "so it is");
    cr_assert(strstr(model_find_call(w, "GET", "/api/jobs/")->url, "known_status=RUNNING"));
    answer_status(w, "SUCCEEDED");
    expect_status(w, "jobStatus", "SUCCEEDED");
    expect_status(w, STATE, "Running");
    model_job_condition(w, "Complete", "CompletionsReached");
    steps(w, 1);
    expect_status(w, STATE, "Complete");
    expect_status(w, "reason", "");
    expect_status(w, "rayJobInfo.endTime", "2026-09-21T14:13:29Z");
    cr_assert_eq(model_count(w, "succeeded"), 1);
    cr_assert_eq(model_count(w, "failed"), 0);
    cr_assert(*model_status(w, "endTime"));
    steps(w, 1);
    cr_assert_eq(model_count(w, "succeeded"), 1);
    cr_assert(model_object(w, SEEN_CLUSTERS)); /* nobody said that it should go */
    model_free(w);
}

/* What the submitter's pod is, when the user says nothing about it. */
Test(rayjob, submitter)
{
    struct model *w = running("K8sJobMode", ",\"metadata\":{\"a\":\"b\"},\"submitterConfig\":{"
                                            "\"backoffLimit\":5}");
    const struct json *job = model_object(w, SEEN_JOBS)->tree;
    const struct json *c = json_at(job, "spec.template.spec.containers[0]");
    _cleanup_(mem_freep) char *args = json_print(json_get(c, "args"), JSON_COMPACT, NULL);
    _cleanup_(mem_freep) char *want = mem_printf(
        "[\"--attach\",\"--address\",\"http://%s\",\"--submission-id\",\"%s\",\"--metadata-json\","
        "\"{\\\"a\\\":\\\"b\\\"}\",\"--\",\"count words\"]",
        model_status(w, "dashboardURL"), model_status(w, "jobId"));
    _cleanup_(mem_freep) char *command = json_print(json_get(c, "command"), JSON_COMPACT, NULL);
    _cleanup_(mem_freep) char *env = json_print(json_get(c, "env"), JSON_COMPACT, NULL);
    _cleanup_(mem_freep) char *lost = json_print(
        json_at(job, "spec.podFailurePolicy.rules[1].onExitCodes.values"), JSON_COMPACT, NULL);
    int64_t limit = 0;

    cr_assert_str_eq(json_str(json_at(job, "metadata.name")), "demo");
    cr_assert_str_eq(json_str(json_get(c, "name")), "ray-job-submitter");
    cr_assert_str_eq(json_str(json_get(c, "image")), "any");
    cr_assert_str_eq(json_str(json_at(c, "resources.limits.memory")), "1Gi");
    cr_assert_str_eq(command, "[\"/opt/raia/bin/raia\",\"job\",\"submit\"]");
    cr_assert_str_eq(args, want);
    cr_assert(strstr(env, "RAY_JOB_SUBMISSION_ID") && strstr(env, "RAY_DASHBOARD_ADDRESS") &&
              strstr(env, "PYTHONUNBUFFERED") && strstr(env, "RAY_AUTH_TOKEN"));
    cr_assert_eq(json_int(json_at(job, "spec.backoffLimit"), &limit), 0);
    cr_assert_eq(limit, 5);
    cr_assert_str_eq(json_str(json_at(job, "spec.template.spec.restartPolicy")), "Never");
    cr_assert_str_eq(json_str(json_at(job, "spec.template.spec.initContainers[0].name")),
                     "raia-init");
    cr_assert_str_eq(json_str(json_at(job, "spec.podFailurePolicy.rules[1].action")), "FailJob");
    cr_assert_str_eq(lost, "[75,128,130,134,137,139,143,255]");
    cr_assert_str_eq(
        json_str(json_at(job, "spec.template.metadata.labels[\"ray.io/originated-from-cr-name\"]")),
        "demo");
    model_free(w);
}

/* A submitter that the user wrote keeps its command; whether it tells the job's end is not known. */
Test(rayjob, own_submitter)
{
    struct model *w = running(
        "K8sJobMode", ",\"submitterPodTemplate\":{\"spec\":{\"restartPolicy\":\"OnFailure\","
                      "\"containers\":[{\"name\":\"mine\",\"image\":\"i\",\"command\":["
                      "\"submit\"],\"args\":[\"x\"]}]}}");
    const struct json *job = model_object(w, SEEN_JOBS)->tree;
    const struct json *c = json_at(job, "spec.template.spec.containers[0]");

    cr_assert_str_eq(json_str(json_at(c, "command[0]")), "submit");
    cr_assert_str_eq(json_str(json_at(c, "args[0]")), "x");
    cr_assert_null(json_at(job, "spec.podFailurePolicy"));
    model_job_condition(w, "Complete", "CompletionsReached");
    w->now++;
    steps(w, 1);
    model_answer(w, "GET", "wait_ms", 404, "no such job");
    steps(w, 1);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    expect_status(w, "message", "Submitter completed but Ray job not found in RayCluster.");
    model_free(w);
}

/* HTTPMode: what the head does not know is submitted; that it exists already is as good. */
Test(rayjob, http_mode)
{
    struct model *w = running("HTTPMode", ",\"runtimeEnvYAML\":\"env_vars: {A: b}\"");

    cr_assert_null(model_object(w, SEEN_JOBS));
    model_answer(w, "GET", "/api/jobs/", 404, "Job x does not exist");
    steps(w, 1);
    struct model_call *c = model_find_call(w, "POST", ":8265/api/jobs/");
    cr_assert(c);
    _cleanup_(mem_freep) char *body =
        mem_printf("{\"entrypoint\":\"count words\",\"submission_id\":\"%s\",\"runtime_env\":{"
                   "\"env_vars\":{\"A\":\"b\"}}}",
                   model_status(w, "jobId"));
    cr_assert_str_eq(c->body, body);
    model_answer(w, "POST", "/api/jobs/", 500, EXISTS);
    steps(w, 1);
    answer_status(w, "PENDING");
    expect_status(w, "jobStatus", "PENDING");
    answer_status(w, "FAILED");
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    cr_assert_eq(model_count(w, "failed"), 1);
    model_free(w);
}

/* A lost answer to a submission is not taken for anything: the head is asked, and told again. */
Test(rayjob, http_answer_lost)
{
    struct model *w = running("HTTPMode", "");

    model_answer(w, "GET", "/api/jobs/", 404, "none");
    steps(w, 1);
    model_answer(w, "POST", "/api/jobs/", 0, "reset");
    after(w, 4);
    model_answer(w, "GET", "/api/jobs/", 404, "none");
    after(w, 4);
    cr_assert(model_find_call(w, "POST", "/api/jobs/"));
    model_answer(w, "POST", "/api/jobs/", 200, "{}");
    steps(w, 1);
    answer_status(w, "STOPPED");
    expect_status(w, STATE, "Complete");
    expect_status(w, "jobStatus", "STOPPED");
    cr_assert_eq(model_count(w, "succeeded"), 0);
    model_free(w);
}

/* What the head will never accept is the end. */
Test(rayjob, http_refused)
{
    struct model *w = running("HTTPMode", "");

    model_answer(w, "GET", "/api/jobs/", 404, "none");
    steps(w, 1);
    model_answer(w, "POST", "/api/jobs/", 400, "submission_id has a slash");
    steps(w, 1);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "SubmissionFailed");
    cr_assert(strstr(model_status(w, "message"), "submission_id has a slash"));
    model_free(w);
}

/* SidecarMode: the submitter is a container of the head, which is not made again. */
Test(rayjob, sidecar_mode)
{
    struct model *w = running("SidecarMode", "");
    const struct json *o = model_object(w, SEEN_CLUSTERS)->tree;
    const struct json *pod = json_at(o, "spec.headGroupSpec.template.spec");

    cr_assert_null(model_object(w, SEEN_JOBS));
    cr_assert_str_eq(json_str(json_get(pod, "restartPolicy")), "Never");
    cr_assert_str_eq(json_str(json_at(pod, "containers[1].name")), "ray-job-submitter");
    cr_assert_str_eq(json_str(json_at(pod, "containers[1].args[2]")), "http://127.0.0.1:8265");
    cr_assert_str_eq(
        json_str(json_at(o, "metadata.annotations[\"ray.io/disable-provisioned-head-restart\"]")),
        "true");
    answer_status(w, "RUNNING");
    model_set(model_object(w, SEEN_CLUSTERS)->tree, "status.conditions",
              "[{\"type\":\"HeadPodReady\",\"status\":\"False\",\"reason\":\"HeadPodNotFound\"}]");
    steps(w, 1);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    expect_status(w, "message", "Ray head pod not found.");
    model_free(w);
}

/* SidecarMode: a submitter that ended before all workers were ready left a head that never is: its end is
 * looked at all the same. */
Test(rayjob, sidecar_ends_early)
{
    struct model *w = by_hand("SidecarMode", "");
    struct model_object *pod = &w->o[MODEL_OBJECTS - 1];

    steps(w, 3);
    pod->used = true;
    pod->kind = SEEN_PODS;
    pod->tree = json_new_object();
    model_set(pod->tree, "metadata",
              "{\"name\":\"the-head\",\"namespace\":\"ns\",\"uid\":\"p\",\"labels\":{}}");
    cr_assert_eq(json_set_str(json_at(pod->tree, "metadata.labels"), "ray.io/cluster",
                              model_status(w, "rayClusterName")),
                 0);
    model_set(pod->tree, "status",
              "{\"containerStatuses\":[{\"name\":\"ray-job-submitter\",\"state\":{\"terminated\":"
              "{\"exitCode\":1,\"reason\":\"Error\",\"finishedAt\":\"2026-11-22T00:00:00Z\"}}}]}");
    steps(w, 2);
    expect_status(w, STATE, "Running");
    steps(w, 1);
    answer_status(w, "FAILED");
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    model_free(w);
}

/* InteractiveMode waits for the id of a job that the user submits. */
Test(rayjob, interactive_mode)
{
    struct model *w = by_hand("InteractiveMode", ",\"jobId\":\"\"");

    steps(w, 3);
    expect_status(w, "jobId", "");
    model_cluster_ready(w);
    steps(w, 2);
    expect_status(w, STATE, "Waiting");
    cr_assert_null(model_find_call(w, "GET", "/"));
    model_spec(w, "jobId", "\"theirs\"");
    steps(w, 2);
    expect_status(w, STATE, "Running");
    expect_status(w, "jobId", "theirs");
    model_answer(w, "GET", "/api/jobs/theirs", 404, "not yet");
    after(w, 4);
    cr_assert_null(model_find_call(w, "POST", "/"));
    answer_status(w, "SUCCEEDED");
    expect_status(w, STATE, "Complete");
    model_free(w);
}

/* A cluster that is there already is used, waited for, and left alone. */
Test(rayjob, cluster_selector)
{
    struct model *w = model_new(1, "{\"entrypoint\":\"x\",\"submissionMode\":\"HTTPMode\","
                                   "\"clusterSelector\":{\"ray.io/cluster\":\"theirs\"}}");
    struct model *other = by_hand("K8sJobMode", "");

    w->by_hand = true;
    steps(w, 3);
    expect_status(w, "rayClusterName", "theirs");
    cr_assert(strstr(w->events, "RayClusterNotFound"));
    w->o[0].used = true;
    w->o[0].kind = SEEN_CLUSTERS;
    w->o[0].tree = json_new_object();
    model_set(w->o[0].tree, "metadata", "{\"name\":\"theirs\",\"namespace\":\"ns\",\"uid\":\"c\"}");
    cr_assert_eq(
        json_set(w->o[0].tree, "spec", json_copy(json_at(other->job, "spec.rayClusterSpec"))), 0);
    model_cluster_ready(w);
    steps(w, 3);
    expect_status(w, STATE, "Running");
    cr_assert_null(model_object(w, SEEN_SERVICES));
    answer_status(w, "SUCCEEDED");
    expect_status(w, STATE, "Complete");
    after(w, 1000);
    cr_assert(model_object(w, SEEN_CLUSTERS));
    model_free(other);
    model_free(w);
}

/* -- trouble ---------------------------------------------------------------------------------------- */

/* A silent head is noted in the status, forgiven when it answers, and given up after 300 s; that is
 * not tried again. */
Test(rayjob, silent_head)
{
    struct model *w = running("HTTPMode", ",\"backoffLimit\":2");

    answer_status(w, "RUNNING");
    model_answer(w, "GET", "/api/jobs/", 0, "refused");
    steps(w, 1);
    expect_status(w, "jobStatusCheckFailureStartTime", "");
    after(w, 4);
    cr_assert(*model_status(w, "jobStatusCheckFailureStartTime"));
    answer_status(w, "RUNNING");
    expect_status(w, "jobStatusCheckFailureStartTime", "");
    model_answer(w, "GET", "/api/jobs/", 503, "no");
    after(w, 4);
    model_answer(w, "GET", "/api/jobs/", 200, "not JSON");
    after(w, 290);
    expect_status(w, STATE, "Running");
    after(w, 10);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "JobStatusCheckTimeoutExceeded");
    expect_status(w, "jobStatus", "RUNNING");
    cr_assert(strstr(model_status(w, "message"), "exceeded timeout of 300s"));
    cr_assert_eq(model_count(w, "failed"), 1);
    model_free(w);
}

/* The operator's own death loses nothing that matters: the timer of a silent head goes on. */
Test(rayjob, silent_head_and_restart)
{
    struct model *w = running("HTTPMode", "");

    answer_status(w, "RUNNING");
    model_answer(w, "GET", "/api/jobs/", 0, "refused");
    after(w, 4);
    w->now += 400 * S;
    model_restart(w);
    steps(w, 1);
    expect_status(w, STATE, "Running"); /* it has not been asked yet */
    model_answer(w, "GET", "/api/jobs/", 0, "refused");
    after(w, 1);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "JobStatusCheckTimeoutExceeded");
    model_free(w);
}

/* A submitter that failed without a job at the head: the submission failed. */
Test(rayjob, submission_failed)
{
    struct model *w = running("K8sJobMode", "");

    model_job_condition(w, "Failed", "BackoffLimitExceeded");
    w->now++;
    steps(w, 1);
    expect_status(w, STATE, "Running"); /* the head is asked first */
    model_answer(w, "GET", "/api/jobs/", 404, "none");
    steps(w, 1);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "SubmissionFailed");
    expect_status(w, "message",
                  "Job submission has failed. Reason: BackoffLimitExceeded. Message: because");
    model_free(w);
}

/* A submitter that failed because the job did: that is what is told. */
Test(rayjob, submitter_tells_failure)
{
    struct model *w = running("K8sJobMode", "");

    answer_status(w, "RUNNING");
    model_job_condition(w, "Failed", "PodFailurePolicy");
    w->now++;
    steps(w, 1);
    answer_status(w, "FAILED");
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    expect_status(w, "jobStatus", "FAILED");
    model_free(w);
}

/* One that ended before the first look at the running job: the RayJob has its service all the same. */
Test(rayjob, ended_before_first_look)
{
    struct model *w = by_hand("K8sJobMode", "");

    steps(w, 3);
    model_cluster_ready(w);
    steps(w, 1);
    cr_assert(model_object(w, SEEN_JOBS));
    model_job_condition(w, "Failed", "PodFailurePolicy");
    w->now++;
    steps(w, 2);
    answer_status(w, "FAILED");
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    cr_assert(model_object(w, SEEN_SERVICES));
    model_free(w);
}

/* The job succeeded, its cluster cannot be reached: the submitter's word is enough, after 30 s. */
Test(rayjob, unreachable_after_success)
{
    struct model *w = running("K8sJobMode", "");

    answer_status(w, "RUNNING");
    model_job_condition(w, "Complete", "CompletionsReached");
    w->now++;
    steps(w, 1);
    after(w, 29);
    expect_status(w, STATE, "Running");
    after(w, 2);
    expect_status(w, STATE, "Complete");
    expect_status(w, "jobStatus", "SUCCEEDED");
    cr_assert_eq(model_count(w, "succeeded"), 1);
    model_free(w);
}

/* A submitter that ended well while the job runs: 30 s, then KubeRay's reason; the job is stopped. */
Test(rayjob, submitter_without_end)
{
    struct model *w = running("K8sJobMode", "");

    answer_status(w, "RUNNING");
    model_job_condition(w, "Complete", "CompletionsReached");
    w->now++;
    steps(w, 1);
    after(w, 28);
    answer_status(w, "RUNNING");
    after(w, 3);
    expect_status(w, STATE, "Failed");
    expect_status(w, "jobStatus", "FAILED");
    expect_status(w, "reason", "JobDeploymentStatusTransitionGracePeriodExceeded");
    cr_assert(
        strstr(model_status(w, "message"), "the ray job did not reach terminal state within 30s"));
    steps(w, 1);
    cr_assert(model_find_call(w, "POST", "/stop"));
    model_free(w);
}

/* A job that has ended waits for its submitter, but not for ever. */
Test(rayjob, submitter_never_ends)
{
    struct model *w = running("K8sJobMode", "");

    answer_status(w, "SUCCEEDED");
    w->now = 290 * S;
    steps(w, 1);
    expect_status(w, STATE, "Running");
    w->now = 310 * S;
    steps(w, 1);
    expect_status(w, STATE, "Complete");
    expect_status(w, "reason", "JobDeploymentStatusTransitionGracePeriodExceeded");
    cr_assert_eq(model_count(w, "succeeded"), 1);
    model_free(w);
}

/* A Job that somebody deleted is made again: its pod finds the job at the head. */
Test(rayjob, submitter_deleted)
{
    struct model *w = running("K8sJobMode", "");
    struct model_object *o = model_object(w, SEEN_JOBS);

    answer_status(w, "RUNNING");
    json_free(o->tree);
    *o = (struct model_object){0};
    steps(w, 1);
    cr_assert(model_object(w, SEEN_JOBS));
    expect_status(w, STATE, "Running");
    model_free(w);
}

/* A cluster that somebody deleted takes the job with it. */
Test(rayjob, cluster_deleted)
{
    struct model *w = running("HTTPMode", "");
    struct model_object *o = model_object(w, SEEN_CLUSTERS);

    answer_status(w, "RUNNING");
    json_free(o->tree);
    *o = (struct model_object){0};
    steps(w, 1);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    cr_assert(strstr(model_status(w, "message"), "not found, and the Ray job was lost with it"));
    model_free(w);
}
