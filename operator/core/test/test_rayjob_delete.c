/*
 * The RayJob reconciler: deletion rules, its own deletion, specs that cannot be, memory that runs out.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/rayjob.h"
#include "test/rayjob_model.h"

#define S     (1000 * MODEL_MS)
#define STATE "jobDeploymentStatus"

#define expect_status(w, key, value) cr_assert_str_eq(model_status(w, key), value)

#define SPEC(more)                                                                                 \
    "{\"entrypoint\":\"x\",\"submissionMode\":\"HTTPMode\",\"rayClusterSpec\":{\"headGroupSpec\":" \
    "{\"rayStartParams\":{},\"template\":{\"spec\":{\"containers\":[{\"name\":\"head\",\"image\":" \
    "\"any\"}]}}},\"workerGroupSpecs\":[{\"groupName\":\"w\",\"replicas\":1,\"minReplicas\":1,"    \
    "\"maxReplicas\":1,\"template\":{\"spec\":{\"containers\":[{\"name\":\"worker\",\"image\":"    \
    "\"any\"}]}}}]}" more "}"

static void steps(struct model *w, int n)
{
    while (n-- > 0)
        model_step(w);
    cr_assert_str_eq(w->broken, "");
}

static struct model *by_hand(const char *spec)
{
    struct model *w = model_new(1, spec);

    w->by_hand = true;
    return w;
}

static struct model *running(const char *spec)
{
    struct model *w = by_hand(spec);

    steps(w, 3);
    model_cluster_ready(w);
    steps(w, 2);
    expect_status(w, STATE, "Running");
    return w;
}

static struct model *ended(const char *spec, const char *status)
{
    struct model *w = running(spec);
    char body[64];

    (void)snprintf(body, sizeof body, "{\"status\":\"%s\"}", status);
    model_answer(w, "GET", "/api/jobs/", 200, body);
    steps(w, 1);
    cr_assert_str_neq(model_status(w, STATE), "Running");
    return w;
}

static void after(struct model *w, int64_t seconds)
{
    w->now += seconds * S;
    steps(w, 1);
}

/* shutdownAfterJobFinishes: the cluster goes after its time to live, and nothing else. */
Test(rayjob_delete, shutdown)
{
    struct model *w = ended(
        SPEC(",\"shutdownAfterJobFinishes\":true,\"ttlSecondsAfterFinished\":10"), "SUCCEEDED");

    after(w, 9);
    cr_assert(model_object(w, SEEN_CLUSTERS));
    cr_assert_leq(w->p->again, w->now + 2 * S);
    after(w, 2);
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    expect_status(w, STATE, "Complete");
    after(w, 1000);
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    cr_assert(w->job);
    model_free(w);
}

#define RULE(policy, condition, ttl)                                                               \
    "{\"policy\":\"" policy "\",\"condition\":{" condition ",\"ttlSeconds\":" #ttl "}}"

/* Rules come to their time one after the other: workers, cluster, the RayJob itself. */
Test(rayjob_delete, rules)
{
    struct model *w =
        ended(SPEC(",\"deletionStrategy\":{\"deletionRules\":[" RULE(
                  "DeleteSelf", "\"jobStatus\":\"SUCCEEDED\"",
                  30) "," RULE("DeleteWorkers", "\"jobStatus\":\"SUCCEEDED\"",
                               10) "," RULE("DeleteCluster", "\"jobStatus\":\"SUCCEEDED\"",
                                            20) "," RULE("DeleteCluster",
                                                         "\"jobStatus\":\"FAILED\"", 0) "]}"),
              "SUCCEEDED");

    steps(w, 2);
    cr_assert(model_object(w, SEEN_CLUSTERS));
    after(w, 11);
    cr_assert(json_true(
        json_at(model_object(w, SEEN_CLUSTERS)->tree, "spec.workerGroupSpecs[0].suspend")));
    cr_assert_str_eq(json_str(json_at(model_object(w, SEEN_CLUSTERS)->tree,
                                      "spec.workerGroupSpecs[0].groupName")),
                     "w");
    unsigned writes = w->writes;
    steps(w, 1);
    cr_assert_eq(w->writes, writes); /* once */
    after(w, 10);
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    after(w, 10);
    cr_assert(json_at(w->job, "metadata.deletionTimestamp"));
    steps(w, 1);
    cr_assert_null(w->job); /* its job has ended: the finalizer goes at once */
    model_free(w);
}

/* After a long absence the most impactful of the rules that are due is carried out. */
Test(rayjob_delete, overdue)
{
    struct model *w =
        ended(SPEC(",\"deletionStrategy\":{\"deletionRules\":[" RULE(
                  "DeleteWorkers", "\"jobDeploymentStatus\":\"Failed\"",
                  1) "," RULE("DeleteCluster", "\"jobDeploymentStatus\":\"Failed\"", 2) "]}"),
              "FAILED");

    after(w, 100);
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    model_free(w);
}

/* When no rule is for the way the job ended, people are told that its cluster stays. */
Test(rayjob_delete, no_rule)
{
    struct model *w = ended(SPEC(",\"deletionStrategy\":{\"deletionRules\":[" RULE(
                                "DeleteCluster", "\"jobStatus\":\"FAILED\"", 0) "]}"),
                            "SUCCEEDED");

    steps(w, 2);
    cr_assert(strstr(w->events, "NoDeletionRule"));
    cr_assert(model_object(w, SEEN_CLUSTERS));
    model_free(w);
}

/* onSuccess and onFailure, with the time to live of the job. */
Test(rayjob_delete, legacy)
{
    struct model *w =
        ended(SPEC(",\"shutdownAfterJobFinishes\":true,\"ttlSecondsAfterFinished\":5,"
                   "\"deletionStrategy\":{\"onSuccess\":{\"policy\":\"DeleteWorkers\"},"
                   "\"onFailure\":{\"policy\":\"DeleteCluster\"}}"),
              "FAILED");

    after(w, 4);
    cr_assert(model_object(w, SEEN_CLUSTERS));
    after(w, 2);
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    model_free(w);
}

/* A RayJob that is deleted stops its job first, but waits no longer than two seconds. */
Test(rayjob_delete, finalizer)
{
    for (int answered = 0; answered < 2; answered++) {
        struct model *w = running(SPEC(""));

        model_set(w->job, "metadata.finalizers", "[\"ray.io/rayjob-finalizer\",\"other\"]");
        model_set(w->job, "metadata.deletionTimestamp", "\"2026-11-22T00:00:00Z\"");
        steps(w, 1);
        cr_assert(model_find_call(w, "POST", "/stop"));
        steps(w, 1);
        cr_assert_eq(json_size(json_at(w->job, "metadata.finalizers")), 2);
        if (answered)
            model_answer(w, "POST", "/stop", 200, "{\"stopped\":true}");
        else
            w->now += 3 * S;
        steps(w, 1);
        cr_assert_eq(json_size(json_at(w->job, "metadata.finalizers")), 1);
        cr_assert_str_eq(json_str(json_at(w->job, "metadata.finalizers[0]")), "other");
        model_free(w);
    }
}

/* One that is deleted before it has a head to ask goes at once. */
Test(rayjob_delete, finalizer_too_early)
{
    struct model *w = by_hand(SPEC(""));

    steps(w, 4);
    cr_assert(model_object(w, SEEN_CLUSTERS));
    model_set(w->job, "metadata.deletionTimestamp", "\"2026-11-22T00:00:00Z\"");
    steps(w, 1);
    cr_assert_null(w->job);
    model_free(w);
}

/* -- what cannot be ------------------------------------------------------------------------------------ */

/* A spec against the rules is refused with its field; when it is mended, all goes on. */
Test(rayjob_invalid, spec)
{
    struct model *w = by_hand(SPEC(",\"backoffLimit\":-1"));

    steps(w, 2);
    expect_status(w, STATE, "ValidationFailed");
    expect_status(w, "reason", "ValidationFailed");
    cr_assert(strstr(model_status(w, "message"), "spec.backoffLimit"), "%s",
              model_status(w, "message"));
    cr_assert(strstr(w->events, "InvalidRayJobSpec"));
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    unsigned writes = w->writes;
    steps(w, 2);
    cr_assert_eq(w->writes, writes);
    model_spec(w, "backoffLimit", "1");
    steps(w, 3);
    expect_status(w, STATE, "Initializing");
    expect_status(w, "message", "");
    model_free(w);
}

/* A spec that is spoilt while the job runs, and mended: the job is the same. */
Test(rayjob_invalid, while_running)
{
    struct model *w = running(SPEC(""));
    _cleanup_(mem_freep) char *id = mem_strdup(model_status(w, "jobId"));

    model_spec(w, "backoffLimit", "-1");
    steps(w, 2);
    expect_status(w, STATE, "ValidationFailed");
    model_spec(w, "backoffLimit", "0");
    steps(w, 2);
    expect_status(w, STATE, "Running");
    expect_status(w, "jobId", id);
    model_free(w);
}

/* What has ended stays as it ended, whatever becomes of its spec. */
Test(rayjob_invalid, after_the_end)
{
    struct model *w = ended(SPEC(""), "SUCCEEDED");

    model_spec(w, "backoffLimit", "-1");
    steps(w, 2);
    expect_status(w, STATE, "Complete");
    model_free(w);
}

/* What cannot be read is refused too. */
Test(rayjob_invalid, unreadable)
{
    struct model *w = by_hand(SPEC(",\"suspend\":\"yes\""));

    steps(w, 2);
    expect_status(w, STATE, "ValidationFailed");
    cr_assert(strstr(model_status(w, "message"), "spec.suspend"));
    model_free(w);
}

/* A cluster that the API server refuses: the field of the RayJob is named. */
Test(rayjob_invalid, rejected)
{
    struct model *w = by_hand(SPEC(""));

    steps(w, 2);
    model_plan(w);
    w->failure = (struct kube_error){.reason = KUBE_INVALID, .n_causes = 1};
    w->failed = "RayCluster demo-x";
    (void)snprintf(w->failure.causes[0].field, sizeof w->failure.causes[0].field,
                   "spec.headGroupSpec.rayStartParams");
    (void)snprintf(w->failure.causes[0].message, sizeof w->failure.causes[0].message, "is wrong");
    steps(w, 1);
    expect_status(w, STATE, "ValidationFailed");
    expect_status(w, "message", "spec.rayClusterSpec.headGroupSpec.rayStartParams: is wrong");
    model_free(w);
}

/* What another controller manages is not touched. */
Test(rayjob_invalid, managed_by)
{
    struct model *w = by_hand(SPEC(",\"managedBy\":\"kueue.x-k8s.io/multikueue\""));

    steps(w, 3);
    cr_assert_eq(w->writes, 0);
    model_free(w);
}

/* Wherever memory runs out in a look, it fails as a whole and can be made again. */
Test(rayjob_invalid, out_of_memory)
{
    for (int state = 0; state < 6; state++) {
        struct model *w = by_hand(SPEC(""));
        unsigned failures = 0;

        model_set(w->job, "spec.submissionMode", state % 2 ? "\"K8sJobMode\"" : "\"SidecarMode\"");
        for (int i = 0; i < state; i++) {
            steps(w, 1);
            if (i == 2)
                model_cluster_ready(w);
        }
        do {
            w->fail_nth++;
            model_plan(w);
            failures += *w->broken != 0;
            w->broken[0] = '\0';
        } while (w->allocations >= w->fail_nth);
        w->fail_nth = 0;
        cr_assert_gt(failures, 10);
        steps(w, 1);
        model_free(w);
    }
}
