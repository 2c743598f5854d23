/*
 * The RayJob reconciler, look by look: what becomes of the head that has the job.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/rayjob.h"
#include "test/rayjob_hand.h"

/* A head pod by hand. */
static struct model_object *head_pod(struct model *w, const char *uid)
{
    char text[400];
    struct model_object *o = model_object(w, SEEN_PODS);

    if (!o) {
        o = &w->o[MODEL_OBJECTS - 1];
        *o = (struct model_object){.kind = SEEN_PODS, .used = true};
    }
    (void)snprintf(text, sizeof text,
                   "{\"metadata\":{\"name\":\"demo-head\",\"namespace\":\"ns\",\"uid\":\"%s\","
                   "\"labels\":{\"ray.io/cluster\":\"%s\",\"ray.io/node-type\":\"head\"}},"
                   "\"status\":{\"phase\":\"Running\"}}",
                   uid, model_status(w, "rayClusterName"));
    json_free(o->tree);
    cr_assert_eq(json_parse(text, strlen(text), NULL, &o->tree, NULL), 0);
    return o;
}

static void no_pod(struct model_object *o)
{
    json_free(o->tree);
    *o = (struct model_object){0};
}

/* The head is deleted, has failed, or was replaced. */
static void lose(struct model *w, struct model_object *pod, int how)
{
    if (how == 0)
        no_pod(pod);
    else if (how == 1)
        model_set(pod->tree, "status.phase", "\"Failed\"");
    else
        head_pod(w, "p-2");
}

static void expect_lost(const struct model *w)
{
    expect_status(w, STATE, "Failed");
    expect_status(w, "reason", "AppFailed");
    cr_assert(strstr(model_status(w, "message"), "its head was lost"));
}

/* A job that its head knew and knows no more is lost: it fails, and is not submitted again. */
Test(rayjob_head, head_lost)
{
    struct model *w = running("HTTPMode", "");

    answer_status(w, "RUNNING");
    model_answer(w, "GET", "/api/jobs/", 404, "none");
    steps(w, 1);
    expect_lost(w);
    cr_assert_null(model_find_call(w, "POST", "8265/api/jobs/?"));
    model_free(w);
}

/* Without a submitter that may know better, a head that is deleted, has failed or was replaced ends
 * the attempt in the same look, whatever a request to it still waits for. */
Test(rayjob_head, head_gone_at_once)
{
    for (int i = 0; i < 3; i++) {
        struct model *w = running("HTTPMode", "");
        struct model_object *pod = head_pod(w, "p-1");

        answer_status(w, "RUNNING");
        after(w, 4);
        cr_assert(model_find_call(w, "GET", "/api/jobs/"), "a request waits");
        expect_status(w, STATE, "Running");
        lose(w, pod, i);
        steps(w, 1);
        expect_lost(w);
        model_free(w);
    }
}

/* A submitter that may have seen the end just before is waited for, but for 5 s only; so is a head
 * that is only about to go. */
Test(rayjob_head, head_gone_and_submitter)
{
    for (int i = 0; i < 2; i++) {
        struct model *w = running("K8sJobMode", "");
        struct model_object *pod = head_pod(w, "p-1");

        answer_status(w, "RUNNING");
        steps(w, 1);
        no_pod(pod);
        steps(w, 1);
        expect_status(w, STATE, "Running");
        cr_assert_leq(w->again, w->now + 5 * S, "it looks again in time");
        after(w, 4);
        expect_status(w, STATE, "Running");
        if (i) {
            model_job_condition(w, "Complete", "CompletionsReached");
            steps(w, 1);
            expect_status(w, STATE, "Complete");
        } else {
            after(w, 1);
            expect_status(w, STATE, "Failed");
            expect_status(w, "reason", "AppFailed");
        }
        model_free(w);
    }
    struct model *w = running("HTTPMode", "");
    struct model_object *pod = head_pod(w, "p-1");
    answer_status(w, "RUNNING");
    steps(w, 1);
    pod->gone_at = w->now + 30 * S;
    after(w, 4);
    expect_status(w, STATE, "Running");
    answer_status(w, "SUCCEEDED");
    expect_status(w, STATE, "Complete");
    model_free(w);
}

/* A head whose tables are on a volume is only asked anew. */
Test(rayjob_head, head_replaced_with_volume)
{
    struct model *w = running("HTTPMode", "");
    struct model_object *pod = head_pod(w, "p-1");

    model_set(model_object(w, SEEN_CLUSTERS)->tree, "spec.gcsFaultToleranceOptions",
              "{\"backend\":\"rocksdb\",\"storage\":{}}");
    answer_status(w, "RUNNING");
    after(w, 4);
    no_pod(pod);
    after(w, 10);
    expect_status(w, STATE, "Running");
    pod = head_pod(w, "p-2");
    steps(w, 1);
    expect_status(w, STATE, "Running");
    unsigned asked = 0;
    for (int i = 0; i < MODEL_CALLS; i++)
        asked += w->calls[i].used && !strcmp(w->calls[i].method, "GET");
    cr_assert_eq(asked, 2, "the new head is asked while the old one's answer is still out");
    answer_status(w, "RUNNING");
    steps(w, 1);
    expect_status(w, STATE, "Running");
    no_pod(pod);
    model_free(w);
}

/* The same when a new head runs it once more: the operator tells by the time of its start. */
Test(rayjob_head, another_incarnation)
{
    struct model *w = running("K8sJobMode", "");

    answer_status(w, "RUNNING");
    model_answer(w, "GET", "/api/jobs/", 200,
                 "{\"status\":\"RUNNING\",\"start_time\":1790000099000}");
    steps(w, 1);
    expect_status(w, STATE, "Failed");
    cr_assert(strstr(model_status(w, "message"), "its head was lost"));
    steps(w, 1);
    cr_assert(model_find_call(w, "POST", "/stop")); /* what runs there is not wanted */
    model_free(w);
}

/* -- while the operator was away ------------------------------------------------------------------- */

/* An operator that has just begun knows the head that had the job by the status: what became of it
 * meanwhile ends the attempt at the first look, before anybody answers. */
Test(rayjob_head, gone_while_away)
{
    for (int i = 0; i < 3; i++) {
        struct model *w = running("HTTPMode", "");
        struct model_object *pod = head_pod(w, "p-1");

        answer_status(w, "RUNNING");
        expect_status(w, "raia.head", "p-1");
        lose(w, pod, i);
        model_restart(w);
        w->now += 100 * S;
        steps(w, 1);
        expect_lost(w);
        model_free(w);
    }
}

/* A submitter that may have seen the end just before is given its 5 s by the new operator, too; one
 * that has told it meanwhile is believed at once. */
Test(rayjob_head, gone_while_away_and_submitter)
{
    for (int i = 0; i < 3; i++) {
        struct model *w = running("K8sJobMode", "");

        head_pod(w, "p-1");
        answer_status(w, "RUNNING");
        steps(w, 1);
        head_pod(w, "p-2");
        model_restart(w);
        if (i == 0)
            model_job_condition(w, "Complete", "CompletionsReached");
        steps(w, 1);
        expect_status(w, STATE, i ? "Running" : "Complete");
        if (i)
            after(w, 4);
        expect_status(w, STATE, i ? "Running" : "Complete");
        if (i == 1)
            model_job_condition(w, "Complete", "CompletionsReached");
        if (i)
            after(w, 1);
        expect_status(w, STATE, i == 2 ? "Failed" : "Complete");
        expect_status(w, "reason", i == 2 ? "AppFailed" : "");
        model_free(w);
    }
}

/* The head that is still there ends nothing, nor does one that nobody has noted; and the first
 * request of a new operator is answered at once, also by a head that knows no such job. */
Test(rayjob_head, there_after_away)
{
    struct model *w = running("K8sJobMode", "");
    struct model_object *pod = head_pod(w, "p-1");

    cr_assert(strstr(model_find_call(w, "GET", "/api/jobs/")->url, "wait_ms"));
    answer_status(w, "RUNNING");
    for (int i = 0; i < 2; i++) {
        model_restart(w);
        if (i) { /* a status of an older operator */
            json_free(json_detach(json_get(w->job, "status"), "raia"));
            head_pod(w, "p-2");
        }
        steps(w, 1);
        after(w, 10);
        expect_status(w, STATE, "Running");
        cr_assert_not(strstr(model_find_call(w, "GET", "/api/jobs/")->url, "wait_ms"));
    }
    answer_status(w, "RUNNING");
    expect_status(w, "raia.head", "p-2");
    cr_assert(strstr(model_find_call(w, "GET", "/api/jobs/")->url, "wait_ms"));
    no_pod(pod);
    model_free(w);
}

/* The next attempt knows nothing of the last one's head. */
Test(rayjob_head, of_an_attempt)
{
    struct model *w = running("HTTPMode", ",\"backoffLimit\":1");

    head_pod(w, "p-1");
    answer_status(w, "RUNNING");
    expect_status(w, "raia.head", "p-1");
    head_pod(w, "p-2");
    steps(w, 1);
    expect_status(w, STATE, "Retrying");
    steps(w, 2);
    expect_status(w, STATE, "Initializing");
    expect_status(w, "raia.head", "");
    model_free(w);
}

/* With a volume, a new operator asks the new head, and notes it when it has answered. */
Test(rayjob_head, replaced_with_volume_while_away)
{
    struct model *w = running("K8sJobMode", "");

    model_set(model_object(w, SEEN_CLUSTERS)->tree, "spec.gcsFaultToleranceOptions",
              "{\"backend\":\"rocksdb\",\"storage\":{}}");
    head_pod(w, "p-1");
    answer_status(w, "RUNNING");
    head_pod(w, "p-2");
    model_restart(w);
    steps(w, 1);
    after(w, 10);
    expect_status(w, STATE, "Running");
    expect_status(w, "raia.head", "p-1");
    answer_status(w, "RUNNING");
    steps(w, 1);
    expect_status(w, STATE, "Running");
    expect_status(w, "raia.head", "p-2");
    model_free(w);
}
