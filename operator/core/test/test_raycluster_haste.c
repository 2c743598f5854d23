/*
 * Tests of core/raycluster_haste.c: which statuses may wait while the API server is busy.
 */
#include "core/raycluster_impl.h"
#include "raycluster_specs.h"

#define WAS                                                                                        \
    "{state: '', observedGeneration: 1, readyWorkerReplicas: 1, availableWorkerReplicas: 2, "      \
    "lastUpdateTime: a, head: {podName: h, serviceName: s}, conditions: [{type: HeadPodReady, "    \
    "status: 'False', reason: Unknown, message: m, observedGeneration: 1}, {type: RaiaAccepted, "  \
    "status: 'True', reason: Accepted, message: '', observedGeneration: 1}]}"

static const struct {
    const char *from, *to; /* a text in it, and what it becomes */
    enum plan_haste haste; /* of the new status */
} cases[] = {
    {"lastUpdateTime: a", "lastUpdateTime: b", PLAN_LATER},
    {"readyWorkerReplicas: 1", "readyWorkerReplicas: 2", PLAN_LATER},
    {"availableWorkerReplicas: 2", "availableWorkerReplicas: 3", PLAN_LATER},
    {"availableWorkerReplicas: 2", "availableWorkerReplicas: 4", PLAN_SOON}, /* as many as wanted */
    {"readyWorkerReplicas: 1", "readyWorkerReplicas: 0", PLAN_NOW},
    {"podName: h", "podName: h, podIP: i", PLAN_SOON},
    {"podName: h", "podName: other", PLAN_NOW},
    {"podName: h, ", "", PLAN_NOW},
    {"status: 'False', reason: Unknown", "status: 'True', reason: Ready", PLAN_SOON},
    {"reason: Unknown", "reason: ContainersNotReady", PLAN_SOON},
    {"message: m", "message: n", PLAN_SOON},
    {"status: 'True', reason: Accepted", "status: 'False', reason: Invalid", PLAN_NOW},
    {"type: RaiaAccepted", "type: RaiaPodsPending", PLAN_NOW},
    {"observedGeneration: 1,", "observedGeneration: 2,", PLAN_NOW},
    {"message: '', observedGeneration: 1", "message: '', observedGeneration: 2", PLAN_NOW},
    {"observedGeneration: 1,", "observedGeneration: 1, reason: x,", PLAN_NOW},
    {"state: '', ", "state: ready, ", PLAN_NOW},
    {"state: '', ", "", PLAN_NOW},
};

/* What gets better on the way may wait, numbers longest; what gets worse, and whatever is acted upon,
 * may not. */
Test(raycluster_haste, each)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(WAS, cases[i].from);
        char text[1024];
        cr_assert(at, "case %zu", i);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - WAS), WAS, cases[i].to,
                 at + strlen(cases[i].from));
        _cleanup_(json_freep) struct json *was = world_yaml(WAS), *is = world_yaml(text);
        cr_assert_eq(rc_haste__(was, is, 4), cases[i].haste, "case %zu: %s", i, cases[i].to);
    }
}

/* The first status does not wait; nor does one whose head is not ready any more. */
Test(raycluster_haste, first_and_worse)
{
    _cleanup_(json_freep) struct json *was = world_yaml(WAS), *is = world_yaml(WAS);
    struct json *c = (struct json *)conditions_get(json_get(was, "conditions"), "HeadPodReady");
    cr_assert_eq(rc_haste__(NULL, is, 4), PLAN_NOW);
    json_set_str(c, "status", "True");
    cr_assert_eq(rc_haste__(was, is, 4), PLAN_NOW);
}
