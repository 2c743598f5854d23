/*
 * For tests that lead a RayJob by hand, look by look, in the world of rayjob_model.h.
 */
#ifndef CORE_TEST_RAYJOB_HAND_H
#define CORE_TEST_RAYJOB_HAND_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "test/rayjob_model.h"

#define S     (1000 * MODEL_MS)
#define STATE "jobDeploymentStatus"

#define expect_status(w, key, value) cr_assert_str_eq(model_status(w, key), value)

/* A world in which nothing happens by itself; `more`: ,"key":value of the spec. */
static inline struct model *by_hand(const char *mode, const char *more)
{
    char spec[2000];

    (void)snprintf(
        spec, sizeof spec,
        "{\"entrypoint\":\"count words\",\"submissionMode\":\"%s\",\"rayClusterSpec\":{"
        "\"headGroupSpec\":{\"rayStartParams\":{},\"template\":{\"spec\":{\"containers\":[{"
        "\"name\":\"head\",\"image\":\"any\"}]}}},\"workerGroupSpecs\":[{\"groupName\":\"w\","
        "\"replicas\":1,\"minReplicas\":1,\"maxReplicas\":1,\"template\":{\"spec\":{\"containers\":"
        "[{\"name\":\"worker\",\"image\":\"any\"}]}}}]}%s}",
        mode, more);
    struct model *w = model_new(1, spec);
    w->by_hand = true;
    return w;
}

static inline void steps(struct model *w, int n)
{
    while (n-- > 0)
        model_step(w);
    cr_assert_str_eq(w->broken, "");
}

/* Until the job is Running, and asked for. */
static inline struct model *running(const char *mode, const char *more)
{
    struct model *w = by_hand(mode, more);

    steps(w, 3);
    cr_assert(model_object(w, SEEN_CLUSTERS));
    model_cluster_ready(w);
    steps(w, 3);
    expect_status(w, STATE, "Running");
    cr_assert(model_find_call(w, "GET", "/api/jobs/"));
    return w;
}

static inline void answer_status(struct model *w, const char *status)
{
    char body[200];

    (void)snprintf(
        body, sizeof body,
        "{\"status\":\"%s\",\"message\":\"so it is\",\"start_time\":1790000001000%s}", status,
        strcmp(status, "RUNNING") && strcmp(status, "PENDING") ? ",\"end_time\":1790000009000"
                                                               : "");
    model_answer(w, "GET", "/api/jobs/", 200, body);
    steps(w, 1);
}

static inline void after(struct model *w, int64_t seconds)
{
    w->now += seconds * S;
    steps(w, 1);
}

#endif
