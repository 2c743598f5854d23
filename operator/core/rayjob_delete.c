/*
 * What a RayJob deletes: everything, between attempts and to be suspended; what its rules say, once
 * it has ended; and nothing of its own accord when it is deleted itself, but the Ray job is stopped.
 */
#include <string.h>

#include "base/err.h"
#include "core/fields.h"
#include "core/rayjob_impl.h"

#define STOP_NS (2 * RAYJOB_S) /* that its own deletion waits for the Ray job to be stopped */

static void check(struct rayjob_pass *x, int r)
{
    if (r < 0 && x->r == 0)
        x->r = err_set(x->e, -r, "RayJob '%s': its plan", x->job->name);
}

static void delete_all(struct rayjob_pass *x, enum seen_kind kind,
                       const struct kube_resource *resource, const char *reason, const char *what)
{
    const struct seen_list *all = &x->s->of[kind];

    for (size_t i = 0; i < all->n && x->r == 0; i++) {
        const struct kube_object *o = all->at[i].meta;

        if (o->deleting)
            continue;
        check(x, plan_delete(x->p, 0, resource, o->ns, o->name, o->uid, -1));
        check(x, plan_event(x->p, KUBE_NORMAL, reason, "Deleted %s %s/%s", what, o->ns, o->name));
    }
}

bool rayjob_release(struct rayjob_pass *x)
{
    delete_all(x, SEEN_CLUSTERS, &ray_clusters, "DeletedRayCluster", "cluster");
    delete_all(x, SEEN_JOBS, &kube_jobs, "DeletedRayJobSubmitter", "submitter K8s Job");
    return x->s->of[SEEN_CLUSTERS].n == 0 && x->s->of[SEEN_JOBS].n == 0;
}

/* -- after the end ------------------------------------------------------------------------------- */

static bool applies(const struct rayjob_pass *x, const struct ray_deletion_rule *rule)
{
    const char *status = rayjob_get(x, "jobStatus");

    switch (rule->when) {
    case RAY_WHEN_SUCCEEDED:
        return strcmp(status, "SUCCEEDED") == 0;
    case RAY_WHEN_FAILED:
        return strcmp(status, "FAILED") == 0;
    default:
        return x->state == RAYJOB_FAILED;
    }
}

static bool workers_suspended(const struct rayjob_pass *x)
{
    for (size_t i = 0; x->view && i < x->view->spec.n_workers; i++) {
        if (!x->view->spec.workers[i].suspended)
            return false;
    }
    return true;
}

/* Is there anything left of it to do. */
static bool is_done(const struct rayjob_pass *x, enum ray_deletion policy)
{
    bool there = x->cluster && !x->cluster->meta->deleting;

    return policy == RAY_DELETE_NONE || (policy == RAY_DELETE_CLUSTER && !there) ||
           (policy == RAY_DELETE_WORKERS && (!there || workers_suspended(x)));
}

/* The groups with `suspend`; a merge patch replaces lists as a whole, so only of what was seen. */
static struct json *suspension(const struct rayjob_pass *x)
{
    _cleanup_(json_freep) struct json *patch = json_new_object();
    struct json *meta = json_new_object(), *spec = json_new_object();
    struct json *groups = json_copy(json_at(x->cluster->tree, "spec.workerGroupSpecs"));
    const char *version = x->cluster->meta->resource_version;
    int r = groups ? 0 : -RAIA_ERR_NOMEM;

    JSON_FOREACH(it, groups)
    {
        if (r == 0)
            r = json_set_bool(it, "suspend", true);
    }
    if (r == 0 && version)
        r = json_set_str(meta, "resourceVersion", version);
    if (r < 0 || !meta || !spec) {
        json_free(meta);
        json_free(spec);
        json_free(groups);
        return NULL;
    }
    if ((r = json_set(spec, "workerGroupSpecs", groups)) < 0) {
        json_free(meta);
        json_free(spec);
        return NULL;
    }
    if ((r = json_set(patch, "metadata", meta)) < 0) {
        json_free(spec);
        return NULL;
    }
    return json_set(patch, "spec", spec) < 0 ? NULL : STEAL(patch);
}

static void carry_out(struct rayjob_pass *x, enum ray_deletion policy)
{
    const struct kube_object *self = x->s->meta;
    struct json *patch;

    switch (policy) {
    case RAY_DELETE_SELF:
        check(x, plan_delete(x->p, 0, &ray_jobs, self->ns, self->name, self->uid, -1));
        break;
    case RAY_DELETE_CLUSTER:
        delete_all(x, SEEN_CLUSTERS, &ray_clusters, "DeletedRayCluster", "cluster");
        break;
    case RAY_DELETE_WORKERS:
        patch = suspension(x);
        check(x, patch
                     ? plan_patch(x->p, 0, &ray_clusters, x->job->ns, x->cluster->meta->name, patch)
                     : -RAIA_ERR_NOMEM);
        check(x, plan_event(x->p, KUBE_NORMAL, "UpdatedRayCluster",
                            "Set the `suspend` field to true for all worker groups in cluster "
                            "%s/%s",
                            x->job->ns, x->cluster->meta->name));
        break;
    default:
        break;
    }
}

/* Of those whose time has come, the one that takes away most; the next pass does the rest. */
static void follow_rules(struct rayjob_pass *x)
{
    const struct ray_job *job = x->job;
    enum ray_deletion most = RAY_DELETE_NONE;
    int64_t end = rayjob_time(x, "endTime"), now = rayjob_wall_ms(x);
    bool any = false;

    for (size_t i = 0; i < job->n_rules; i++) {
        const struct ray_deletion_rule *rule = &job->rules[i];
        int64_t ttl = job->legacy_strategy ? job->ttl_s : rule->ttl_s, due = end + ttl * 1000;

        if (!applies(x, rule))
            continue;
        any = true;
        if (now < due)
            rayjob_again_ms(x, due);
        else if (rule->policy > most && !is_done(x, rule->policy))
            most = rule->policy;
    }
    if (most != RAY_DELETE_NONE)
        carry_out(x, most);
    if (any || x->m->said_no_rule || is_done(x, RAY_DELETE_CLUSTER))
        return;
    x->m->said_no_rule = true;
    check(x, plan_event(x->p, KUBE_WARNING, "NoDeletionRule",
                        "no rule of spec.deletionStrategy is for jobStatus '%s' and "
                        "jobDeploymentStatus '%s': RayCluster %s stays",
                        rayjob_get(x, "jobStatus"), rayjob_state_name(x->state),
                        rayjob_get(x, "rayClusterName")));
}

/* Failed while the Ray job may still run: nobody wants its result any more. */
static bool wants_stop(const struct rayjob_pass *x)
{
    return x->state == RAYJOB_FAILED && x->cluster && !x->cluster->meta->deleting &&
           (!rayjob_status_ended(rayjob_get(x, "jobStatus")) ||
            strcmp(rayjob_get(x, "reason"), "JobDeploymentStatusTransitionGracePeriodExceeded") ==
                0);
}

void rayjob_ended(struct rayjob_pass *x)
{
    const struct ray_job *job = x->job;
    int64_t due = rayjob_time(x, "endTime") + job->ttl_s * 1000;

    if (wants_stop(x))
        (void)rayjob_stop(x);
    if (job->selected)
        return;
    if (job->has_strategy) {
        follow_rules(x);
    } else if (job->shutdown) {
        if (rayjob_wall_ms(x) < due)
            rayjob_again_ms(x, due);
        else if (!is_done(x, RAY_DELETE_CLUSTER))
            carry_out(x, RAY_DELETE_CLUSTER);
    }
}

/* -- its own end ----------------------------------------------------------------------------------- */

void rayjob_deleting(struct rayjob_pass *x)
{
    const struct json *have = json_at(x->s->tree, "metadata.finalizers");
    _cleanup_(json_freep) struct json *rest = json_new_array();
    struct json *meta;
    bool ours = false;

    JSON_FOREACH(it, have)
    {
        const char *name = json_str(it);

        if (name && strcmp(name, RAYJOB_FINALIZER) == 0)
            ours = true;
        else if (name)
            check(x, json_append_str(rest, name));
    }
    if (!ours || x->r < 0)
        return;
    if (x->cluster && !x->cluster->meta->deleting && !x->m->stops &&
        !rayjob_status_ended(rayjob_get(x, "jobStatus")) && !rayjob_stop(x))
        plan_again(x->p, x->s->now + STOP_NS);
    else if (x->m->stops && !x->m->stopped && x->s->now < x->m->stopped_at + STOP_NS)
        plan_again(x->p, x->m->stopped_at + STOP_NS);
    else if (!(meta = json_new_object()))
        check(x, -RAIA_ERR_NOMEM);
    else if (json_set(meta, "finalizers", STEAL(rest)) < 0)
        json_free(meta), check(x, -RAIA_ERR_NOMEM);
    else
        check(x, plan_metadata(x->p, meta));
}
