/* A RayCluster's status, as KubeRay computes it, and always as the pods are now. */
#include "core/raycluster_impl.h"

#include <stdio.h>
#include <string.h>

#include "api/blame.h"
#include "api/conditions.h"
#include "api/quantity.h"
#include "base/clock.h"
#include "core/inject.h"
#include "kube/wall_time.h"

#define REASON_NAME_TAKEN "NameTaken"
#define REASON_REJECTED   "ObjectRejected"

/* -- conditions -------------------------------------------------------------------------------- */

void rc_set__(struct rc_pass *x, const char *type, bool value, const char *reason,
              const char *message)
{
    rc_ok__(x, conditions_set(x->conditions, type, value ? CONDITION_TRUE : CONDITION_FALSE, reason,
                              message, x->s->meta->generation, x->s->wall_ns));
}

static bool says(const struct json *condition, const char *key, const char *text)
{
    return rc_is(json_str(json_get(condition, key)), text);
}

void rc_accepted__(struct rc_pass *x, bool value, const char *reason, const char *message)
{
    const struct json *old =
        conditions_get(json_get(json_get(x->s->tree, "status"), "conditions"), RAIA_COND_ACCEPTED);

    if (!value && (!says(old, "reason", reason) || !says(old, "message", message)))
        rc_ok__(x, plan_event(x->p, KUBE_WARNING,
                              strcmp(reason, RAIA_REASON_INVALID) == 0 ? "InvalidRayClusterSpec"
                                                                       : reason,
                              "%s", message));
    rc_set__(x, RAIA_COND_ACCEPTED, value, reason, message);
}

static const struct rc_pod *head_of(const struct rc_pass *x)
{
    const struct rc_pod *best = NULL;

    for (size_t i = 0; i < x->n_pods; i++) {
        const struct rc_pod *pod = &x->pods[i];
        if (pod->head && (!best || (best->fate != RC_FINE && pod->fate == RC_FINE)))
            best = pod;
    }
    return best;
}

static void head_condition(struct rc_pass *x, const struct rc_pod *head)
{
    const struct json *list =
        json_get(json_get(head ? head->seen->tree : NULL, "status"), "conditions");
    const struct json *ready = inject_find(list, "type", "Ready");
    const char *message = NULL, *reason;
    char words[RC_WORDS_SIZE];

    if (!head) {
        rc_set__(x, RAY_COND_HEAD_READY, false, RAY_REASON_HEAD_NOT_FOUND, "Head Pod not found");
        return;
    }
    if (head->fate == RC_LOST) {
        rc_set__(x, RAY_COND_HEAD_READY, false, "NodeLost", "the head pod's node is lost");
        return;
    }
    if (head->ready) {
        rc_set__(x, RAY_COND_HEAD_READY, true, RAY_REASON_HEAD_READY, "");
        return;
    }
    reason = rc_waiting__(head->seen->tree, words, &message);
    if (!reason)
        reason = rc_unplaced__(head->seen->tree, &message);
    if (!reason) {
        reason = json_str(json_get(ready, "reason"));
        message = json_str(json_get(ready, "message"));
    }
    rc_set__(x, RAY_COND_HEAD_READY, false, reason && reason[0] ? reason : RAY_REASON_UNKNOWN,
             message ? message : "");
}

/* -- failures ---------------------------------------------------------------------------------- */

/* Will the same request do as well a little later? */
static bool passes(enum kube_reason reason)
{
    switch (reason) {
    case KUBE_TRANSPORT:
    case KUBE_CONFLICT:
    case KUBE_TOO_MANY:
    case KUBE_INTERNAL:
    case KUBE_UNAVAILABLE:
    case KUBE_TIMEOUT:
        return true;
    default:
        return false;
    }
}

/* Refused for what is in the template, not for want of room. */
static bool is_rejection(const struct kube_error *why)
{
    return why->reason == KUBE_INVALID || why->reason == KUBE_BAD_REQUEST ||
           (why->reason == KUBE_FORBIDDEN && !strstr(why->base.text, "exceeded quota"));
}

static void tell_rejection(struct rc_pass *x)
{
    char name[POD_NAME_SIZE];
    struct pod_place at = {.name = name, .replica = -1};
    _cleanup_(json_freep) struct json *pod = NULL;
    struct api_report report = {0};

    pod_name(x->c, x->failed, "0", 0, name);
    int r = pod_build(&x->site, x->failed, &at, &pod, NULL);
    if (r < 0 && r != -RAIA_ERR_INVALID) {
        rc_ok__(x, r);
        return;
    }
    blame_group(x->failed, pod, x->s->failure, &report);
    rc_accepted__(x, false, RAIA_REASON_POD_REJECTED, report.text);
}

/* A service, a secret or a claim that the API server does not take. */
static void tell_thing(struct rc_pass *x, const struct kube_error *why)
{
    const char *what = x->s->failed ? x->s->failed : "";
    const char *own_type = json_str(json_at(x->c->spec.service, "spec.type"));
    bool type = why->n_causes > 0 && strcmp(why->causes[0].field, "spec.type") == 0;
    const char *field =
        strncmp(what, "Service ", 8) == 0
            ? type && !own_type ? ".headGroupSpec.serviceType" : ".headGroupSpec.headService"
        : strncmp(what, "PersistentVolumeClaim ", 22) == 0 ? ".gcsFaultToleranceOptions.storage"
                                                           : "";
    char text[API_REPORT_MAX];

    snprintf(text, sizeof text, "%s%s: %s: %s", x->c->spec.path, field, what, why->base.text);
    rc_accepted__(x, false, REASON_REJECTED, text);
}

void rc_tell_failure__(struct rc_pass *x)
{
    const struct kube_error *why = x->s->failure;
    char reason[64], event[64];

    if (!why || why->reason == KUBE_OK || passes(why->reason))
        return;
    if (!x->failed) {
        if (why->reason == KUBE_ALREADY_EXISTS)
            rc_accepted__(x, false, REASON_NAME_TAKEN, why->base.text);
        else if (is_rejection(why))
            tell_thing(x, why);
        return;
    }
    if (why->reason == KUBE_ALREADY_EXISTS)
        return; /* the next name will do */
    snprintf(reason, sizeof reason, "Failed%s%sPod", x->failed_create ? "Create" : "Delete",
             x->failed->is_head ? "Head" : "Worker");
    snprintf(event, sizeof event, "FailedTo%s", reason + strlen("Failed"));
    const struct json *old =
        conditions_get(json_get(x->c->status, "conditions"), RAY_COND_REPLICA_FAILURE);
    if (!says(old, "reason", reason) || !says(old, "status", "True"))
        rc_ok__(x, plan_event(x->p, KUBE_WARNING, event, "%s", why->base.text));
    rc_set__(x, RAY_COND_REPLICA_FAILURE, true, reason, why->base.text);
    if (x->failed_create && is_rejection(why))
        tell_rejection(x);
}

/* -- counts ------------------------------------------------------------------------------------ */

static int64_t total(const struct rc_pass *x, int64_t (*of)(const struct json *, const char *),
                     const char *what)
{
    const struct ray_cluster_spec *spec = &x->c->spec;
    int64_t sum = of(spec->head.pod_template, what), one;

    for (size_t i = 0; i < spec->n_workers; i++)
        if (__builtin_mul_overflow(of(spec->workers[i].pod_template, what),
                                   spec->workers[i].desired, &one) ||
            __builtin_add_overflow(sum, one, &sum))
            return INT64_MAX;
    return sum;
}

static void set_resources(struct rc_pass *x, struct json *status)
{
    char text[QUANTITY_SIZE];

    rc_ok__(x, json_set_str(status, "desiredCPU",
                            quantity_text(total(x, quantity_of_pod, "cpu"), false, text)));
    rc_ok__(x, json_set_str(status, "desiredMemory",
                            quantity_text(total(x, quantity_of_pod, "memory"), true, text)));
    rc_ok__(x, json_set_str(status, "desiredGPU",
                            quantity_text(total(x, quantity_of_pod_like, "gpu"), false, text)));
    rc_ok__(x,
            json_set_str(status, "desiredTPU",
                         quantity_text(total(x, quantity_of_pod, "google.com/tpu"), false, text)));
}

static void set_counts(struct rc_pass *x, struct json *status)
{
    int64_t ready = 0, available = 0;

    for (size_t i = 0; i < x->n_pods; i++) {
        const struct rc_pod *pod = &x->pods[i];
        if (pod->head || pod->fate == RC_LOST)
            continue;
        available += pod->running;
        ready += pod->ready;
    }
    if (!RAYCLUSTER_PLANTED(RAYCLUSTER_PLANT_STALE_STATUS) ||
        !json_get(status, "readyWorkerReplicas") || ready == x->c->spec.desired_workers) {
        rc_ok__(x, json_set_int(status, "readyWorkerReplicas", ready));
        rc_ok__(x, json_set_int(status, "availableWorkerReplicas", available));
    }
    if (!x->c)
        return;
    rc_ok__(x, json_set_int(status, "desiredWorkerReplicas", x->c->spec.desired_workers));
    rc_ok__(x, json_set_int(status, "minWorkerReplicas", x->c->spec.min_workers));
    rc_ok__(x, json_set_int(status, "maxWorkerReplicas", x->c->spec.max_workers));
}

/* All that is wanted is there, and ready. */
static bool all_ready(const struct rc_pass *x)
{
    size_t heads = 0, workers = 0;

    for (size_t i = 0; i < x->n_pods; i++) {
        if (!x->pods[i].ready || x->pods[i].fate != RC_FINE)
            return false;
        heads += x->pods[i].head;
        workers += !x->pods[i].head;
    }
    return heads == 1 && (int64_t)workers == x->c->spec.desired_workers;
}

/* -- addresses --------------------------------------------------------------------------------- */

static void set_endpoints(struct rc_pass *x, struct json *status, const struct json *service)
{
    _cleanup_(json_freep) struct json *map = json_new_object();
    int r = map ? 0 : -RAIA_ERR_NOMEM;

    JSON_FOREACH(port, json_get(json_get(service, "spec"), "ports"))
    {
        const char *name = json_str(json_get(port, "name"));
        const struct json *target = json_get(port, "nodePort");
        char text[32];
        if (!target)
            target = json_get(port, "targetPort");
        if (!target)
            target = json_get(port, "port");
        if (r < 0 || !name || !name[0])
            continue;
        if (json_number_text(target, text, sizeof text) == 0)
            r = json_set_str(map, name, text);
        else if (json_str(target))
            r = json_set_str(map, name, json_str(target));
    }
    rc_ok__(x, r == 0 ? json_set(status, "endpoints", STEAL(map)) : r);
}

static void set_head(struct rc_pass *x, struct json *status, const struct rc_pod *head)
{
    const struct seen_object *service = rc_find__(&x->s->of[SEEN_SERVICES], x->service);
    _cleanup_(json_freep) struct json *h = json_new_object();
    const char *pod_ip =
        json_str(json_get(json_get(head ? head->seen->tree : NULL, "status"), "podIP"));
    const char *ip =
        json_str(json_get(json_get(service ? service->tree : NULL, "spec"), "clusterIP"));
    int r = h ? 0 : -RAIA_ERR_NOMEM;

    if (rc_is(ip, "None"))
        ip = pod_ip;
    const struct {
        const char *key, *value;
    } all[] = {{"podIP", pod_ip},
               {"podName", head ? head->name : NULL},
               {"serviceIP", ip},
               {"serviceName", service ? x->service : NULL}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (r == 0 && all[i].value && all[i].value[0])
            r = json_set_str(h, all[i].key, all[i].value);
    if (service)
        set_endpoints(x, status, service->tree);
    rc_ok__(x, r == 0 ? json_set(status, "head", STEAL(h)) : r);
}

/* -- its parts ---------------------------------------------------------------------------------- */

static void set_state(struct rc_pass *x, struct json *status, const char *state)
{
    char now[KUBE_WALL_TIME_SIZE];
    const char *old = json_str(json_get(status, "state"));

    if (!rc_is(old, state)) {
        struct json *times = inject_object(status, "stateTransitionTimes");
        rc_ok__(x,
                json_set_str(times, state, kube_wall_time(x->s->wall_ns / CLOCK_NS_PER_MS, now)));
    }
    rc_ok__(x, json_set_str(status, "state", state));
}

static void set_provisioned(struct rc_pass *x, bool ready)
{
    bool suspending = conditions_true(x->conditions, RAY_COND_SUSPENDING) ||
                      conditions_true(x->conditions, RAY_COND_SUSPENDED);

    if (suspending)
        return;
    /* Once true, it stays; it is said again, as nobody who waits believes a condition whose
     * observedGeneration is not the object's. */
    if (ready || conditions_true(x->conditions, RAY_COND_PROVISIONED))
        rc_set__(x, RAY_COND_PROVISIONED, true, RAY_REASON_ALL_READY,
                 "All Ray Pods are ready for the first time");
    else
        rc_set__(x, RAY_COND_PROVISIONED, false, RAY_REASON_PROVISIONING,
                 "RayCluster Pods are being provisioned for first time");
}

static struct json *old_status(struct rc_pass *x)
{
    const struct json *old = json_get(x->s->tree, "status");
    struct json *status = json_is(old, JSON_OBJECT) ? json_copy(old) : json_new_object();

    rc_ok__(x, status ? 0 : -RAIA_ERR_NOMEM);
    return status;
}

/* Takes `status` over. */
static void finish(struct rc_pass *x, struct json *status)
{
    char now[KUBE_WALL_TIME_SIZE];

    if (!x->s->failure)
        conditions_remove(x->conditions, RAY_COND_REPLICA_FAILURE);
    rc_tell_reason__(x, status);
    rc_ok__(x, json_set_int(status, "observedGeneration", x->s->meta->generation));
    rc_ok__(x, json_set_str(status, "lastUpdateTime",
                            kube_wall_time(x->s->wall_ns / CLOCK_NS_PER_MS, now)));
    rc_ok__(x, json_set(status, "conditions", STEAL(x->conditions)));
    if (x->r < 0)
        json_free(status);
    else
        rc_ok__(x, plan_status(x->p, status));
    if (x->r == 0)
        plan_status_waits(x->p, rc_haste__(json_get(x->s->tree, "status"), status,
                                           x->c ? x->c->spec.desired_workers : 0));
}

/* -- what the plan makes ----------------------------------------------------------------------- */

static const struct json *planned(const struct rc_pass *x, const struct kube_resource *kind,
                                  const char *label, const char *value, const char *name)
{
    struct plan_action *a;

    LIST_FOREACH (a, &x->p->actions, link)
        if (a->kind == PLAN_CREATE && a->resource == kind &&
            (!label || rc_is(rc_label__(a->object, label), value)) &&
            (!name || rc_is(a->name, name)))
            return a->object;
    return NULL;
}

/* The status as it will be when the plan has made the head pod and its service. */
static void hope(struct rc_pass *x, const struct rc_pod *head)
{
    const struct json *pod =
        head ? NULL : planned(x, &kube_pods, RAY_LABEL_NODE_TYPE, "head", NULL);
    const struct json *service = planned(x, &kube_services, NULL, NULL, x->service);

    if ((!pod && !service) || !x->p->status || x->r < 0)
        return;
    struct json *status = json_copy(x->p->status), *h = inject_object(status, "head");
    if (pod)
        rc_ok__(x, json_set_str(h, "podName", json_str(json_at(pod, "metadata.name"))));
    if (pod)
        rc_ok__(x,
                conditions_set(json_get(status, "conditions"), RAY_COND_HEAD_READY, CONDITION_FALSE,
                               RAY_REASON_UNKNOWN, "", x->s->meta->generation, x->s->wall_ns));
    if (service)
        rc_ok__(x, json_set_str(h, "serviceName", x->service));
    if (service)
        set_endpoints(x, status, service);
    if (x->r < 0)
        json_free(status);
    else
        rc_ok__(x, plan_hope(x->p, status));
}

/* -- all of it --------------------------------------------------------------------------------- */

void rc_status_conditions__(struct rc_pass *x)
{
    finish(x, old_status(x));
}

void rc_status_refused__(struct rc_pass *x)
{
    struct json *status = old_status(x);
    const struct rc_pod *head = head_of(x);

    set_counts(x, status);
    if (x->c) {
        set_resources(x, status);
        set_head(x, status, head);
    }
    head_condition(x, head);
    rc_tell_pending__(x);
    if (conditions_get(x->conditions, RAY_COND_PROVISIONED))
        set_provisioned(x, false);
    finish(x, status);
}

void rc_status__(struct rc_pass *x)
{
    struct json *status = old_status(x);
    const struct rc_pod *head = head_of(x);
    bool ready = all_ready(x);

    set_counts(x, status);
    set_resources(x, status);
    set_head(x, status, head);
    head_condition(x, head);
    rc_tell_pending__(x);
    set_provisioned(x, ready);
    if (conditions_true(x->conditions, RAY_COND_SUSPENDED) && x->c->spec.suspend &&
        (x->n_pods == 0 || RAYCLUSTER_PLANTED(RAYCLUSTER_PLANT_SUSPEND_EARLY)))
        set_state(x, status, RAY_STATE_SUSPENDED);
    else if (ready && !x->s->failure && !x->c->spec.suspend)
        set_state(x, status, RAY_STATE_READY);
    finish(x, status);
    hope(x, head);
}
