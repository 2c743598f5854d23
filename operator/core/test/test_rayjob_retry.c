/*
 * The RayJob reconciler, look by look: retries, deadlines, suspension, many jobs.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/rayjob.h"
#include "test/rayjob_hand.h"

/* -- retries, deadlines, suspension ------------------------------------------------------------------ */

/* Each retry has another cluster and another id; failures are counted once each. */
Test(rayjob_retry, backoff_limit)
{
    struct model *w = running("HTTPMode", ",\"backoffLimit\":1");
    _cleanup_(mem_freep) char *cluster = mem_strdup(model_status(w, "rayClusterName"));
    _cleanup_(mem_freep) char *id = mem_strdup(model_status(w, "jobId"));

    answer_status(w, "FAILED");
    expect_status(w, STATE, "Retrying");
    cr_assert_eq(model_count(w, "failed"), 1);
    expect_status(w, "endTime", "");
    w->now += S;
    steps(w, 1);
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    cr_assert(strstr(w->events, "DeletedRayCluster"));
    steps(w, 1);
    expect_status(w, STATE, "Initializing");
    expect_status(w, "jobStatus", "");
    expect_status(w, "reason", "");
    cr_assert_str_neq(model_status(w, "rayClusterName"), cluster);
    cr_assert_str_neq(model_status(w, "jobId"), id);
    steps(w, 1);
    model_cluster_ready(w);
    steps(w, 2);
    cr_assert_str_eq(json_str(json_at(model_object(w, SEEN_SERVICES)->tree,
                                      "spec.selector[\"ray.io/cluster\"]")),
                     model_status(w, "rayClusterName"));
    answer_status(w, "FAILED");
    expect_status(w, STATE, "Failed");
    cr_assert_eq(model_count(w, "failed"), 2);
    steps(w, 1);
    cr_assert_eq(model_count(w, "failed"), 2);
    model_free(w);
}

/* The deadline of all of it is not tried again; what runs is stopped. */
Test(rayjob_retry, active_deadline)
{
    struct model *w = running("HTTPMode", ",\"backoffLimit\":3,\"activeDeadlineSeconds\":60");

    answer_status(w, "RUNNING");
    after(w, 50);
    expect_status(w, STATE, "Running");
    after(w, 20);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "DeadlineExceeded");
    expect_status(w, "message",
                  "The RayJob has passed the activeDeadlineSeconds. StartTime: 2026-09-21 14:13:21 "
                  "+0000 UTC. ActiveDeadlineSeconds: 60");
    steps(w, 1);
    model_answer(w, "POST", "/stop", 200, "{\"stopped\":true}");
    after(w, 10);
    cr_assert_null(model_find_call(w, "POST", "/stop"));
    model_free(w);
}

/* A cluster that does not come up in time fails the attempt. */
Test(rayjob_retry, pre_running_deadline)
{
    struct model *w = by_hand("K8sJobMode", ",\"preRunningDeadlineSeconds\":30");

    steps(w, 3);
    cr_assert_leq(w->p->again, w->now + 31 * S);
    after(w, 31);
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "PreRunningDeadlineExceeded");
    model_free(w);
}

/* Suspended: all is gone before it says so; resumed: with another cluster. */
Test(rayjob_retry, suspend)
{
    struct model *w = running("K8sJobMode", ",\"shutdownAfterJobFinishes\":true");
    _cleanup_(mem_freep) char *cluster = mem_strdup(model_status(w, "rayClusterName"));

    answer_status(w, "RUNNING");
    w->now += S;
    model_spec(w, "suspend", "true");
    steps(w, 1);
    expect_status(w, STATE, "Suspending");
    model_spec(w, "suspend", "false"); /* too late: all of it or nothing */
    model_plan(w);
    model_apply(w, 1); /* the operator dies after the first deletion */
    model_restart(w);
    steps(w, 1);
    cr_assert_null(model_object(w, SEEN_CLUSTERS));
    cr_assert_null(model_object(w, SEEN_JOBS));
    steps(w, 1);
    expect_status(w, STATE, "Suspended");
    expect_status(w, "jobId", "");
    expect_status(w, "rayClusterName", "");
    steps(w, 1);
    expect_status(w, STATE, "Initializing");
    cr_assert_str_neq(model_status(w, "rayClusterName"), cluster);
    model_free(w);
}

/* Resumed twice within a second: with another cluster, and another id, each time. */
Test(rayjob_retry, resumed_at_once)
{
    struct model *w = by_hand("HTTPMode", ",\"suspend\":true,\"shutdownAfterJobFinishes\":true");
    char cluster[100] = "", id[100] = "";

    for (int i = 0; i < 3; i++) {
        steps(w, 5);
        expect_status(w, STATE, "Suspended");
        model_spec(w, "suspend", "false");
        steps(w, 2);
        expect_status(w, STATE, "Initializing");
        cr_assert(model_object(w, SEEN_CLUSTERS));
        cr_assert_str_neq(model_status(w, "rayClusterName"), cluster);
        cr_assert_str_neq(model_status(w, "jobId"), id);
        (void)snprintf(cluster, sizeof cluster, "%s", model_status(w, "rayClusterName"));
        (void)snprintf(id, sizeof id, "%s", model_status(w, "jobId"));
        model_spec(w, "suspend", "true");
    }
    model_free(w);
}

/* More jobs than the controller can have requests under way for: some are asked with a wait, the
 * others at a pace; who ends makes room. */
Test(rayjob_retry, many)
{
    enum { N = 60 };
    struct model *w[N];
    unsigned waiting = 0, quick = 0;

    for (int i = 0; i < N; i++) {
        w[i] = by_hand("SidecarMode", "");
        if (i) {
            mem_free(w[i]->r);
            w[i]->r = w[0]->r;
        }
        steps(w[i], 3);
        model_cluster_ready(w[i]);
        steps(w[i], 2);
        struct model_call *c = model_find_call(w[i], "GET", "/api/jobs/");
        cr_assert(c);
        waiting += strstr(c->url, "wait_ms") != NULL;
        quick += strstr(c->url, "wait_ms") == NULL;
    }
    cr_assert_eq(waiting, 48);
    cr_assert_eq(quick, 12);
    answer_status(w[0], "SUCCEEDED");
    answer_status(w[N - 1], "RUNNING");
    cr_assert(strstr(model_find_call(w[N - 1], "GET", "/")->url, "wait_ms"));
    for (int i = N; i-- > 0;) {
        if (i)
            w[i]->r->forget(w[i]->r, STEAL(w[i]->memory));
        struct reconciler *r = i ? STEAL(w[i]->r) : NULL;
        (void)r;
        model_free(w[i]);
    }
}
