/*
 * The RayJob reconciler: one look at a RayJob, by its state.
 */
#include "core/rayjob.h"

#include <stdio.h>
#include <string.h>

#include "api/blame.h"
#include "api/conditions.h"
#include "base/err.h"
#include "core/fields.h"
#include "core/rayjob_impl.h"
#include "core/rayjob_plants.h"

static void check(struct rayjob_pass *x, int r)
{
    if (r < 0 && x->r == 0)
        x->r = err_set(x->e, -r, "RayJob '%s': its plan", x->job->name);
}

/* -- states ---------------------------------------------------------------------------------------- */

static bool has_finalizer(const struct rayjob_pass *x)
{
    JSON_FOREACH(it, json_at(x->s->tree, "metadata.finalizers"))
    {
        const char *name = json_str(it);

        if (name && strcmp(name, RAYJOB_FINALIZER) == 0)
            return true;
    }
    return false;
}

static bool late_to_run(struct rayjob_pass *x)
{
    /* A job that is known at the head has run before. */
    return !*rayjob_get(x, "jobStatus") &&
           rayjob_is_late(x, x->job->pre_running_deadline_s, "PreRunningDeadlineExceeded",
                          "preRunningDeadlineSeconds", "PreRunningDeadlineSeconds");
}

/* The submitter beside the head may end before every worker is ready; the head is not ready after that,
 * so that the cluster would never be. */
static bool sidecar_ended(const struct rayjob_pass *x)
{
    struct rayjob_submitter sub;

    if (x->job->mode != RAY_JOB_SIDECAR || x->cluster->meta->deleting)
        return false;
    rayjob_submitter_state(x, &sub);
    return sub.finished;
}

static void initializing(struct rayjob_pass *x)
{
    if (x->job->suspend) {
        rayjob_move(x, RAYJOB_SUSPENDING);
        return;
    }
    if (rayjob_late_to_end(x) || late_to_run(x))
        return;
    rayjob_drop_strays(x);
    if (!x->cluster) {
        if (!x->job->selected)
            rayjob_create_cluster(x);
        else
            check(x, plan_event(x->p, KUBE_WARNING, "RayClusterNotFound",
                                "RayCluster %s/%s set in the clusterSelector is not found. It must "
                                "be created manually",
                                x->job->ns, x->job->selected));
        return;
    }
    rayjob_copy_cluster_status(x);
    if (!rayjob_cluster_ready(x) && !sidecar_ended(x))
        return;
    if (!*rayjob_get(x, "dashboardURL")) {
        _cleanup_(mem_freep) char *address = rayjob_address(x, x->view);

        if (!address) {
            check(x, -RAIA_ERR_NOMEM);
            return;
        }
        rayjob_put(x, "dashboardURL", address);
    }
    if (x->job->mode == RAY_JOB_INTERACTIVE)
        rayjob_move(x, RAYJOB_WAITING);
    else if (x->job->mode != RAY_JOB_K8S || rayjob_submitter_ensure(x))
        rayjob_move(x, RAYJOB_RUNNING);
}

/* The finalizer first, then the names, then what bears them: each a write of its own. */
static void new_one(struct rayjob_pass *x)
{
    const struct json *have = json_at(x->s->tree, "metadata.finalizers");
    struct json *meta, *list;

    if (has_finalizer(x)) {
        rayjob_begin(x);
        if (RAYJOB_PLANTED(RAYJOB_PLANT_FRESH_NAME))
            initializing(x);
        return;
    }
    list = have ? json_copy(have) : json_new_array();
    if (!(meta = json_new_object()) || !list || json_append_str(list, RAYJOB_FINALIZER) < 0) {
        json_free(meta);
        json_free(list);
        check(x, -RAIA_ERR_NOMEM);
    } else if (json_set(meta, "finalizers", list) < 0) {
        json_free(meta);
        check(x, -RAIA_ERR_NOMEM);
    } else {
        check(x, plan_metadata(x->p, meta));
    }
}

static void waiting(struct rayjob_pass *x)
{
    rayjob_copy_cluster_status(x);
    if (late_to_run(x) || !x->job->job_id || !*x->job->job_id)
        return;
    rayjob_put(x, "jobId", x->job->job_id);
    rayjob_move(x, RAYJOB_RUNNING);
}

/* Suspending and Retrying: all of it goes before anything comes again, whatever suspend says now. */
static void releasing(struct rayjob_pass *x)
{
    if (!rayjob_release(x))
        return;
    rayjob_clear(x);
    if (x->state == RAYJOB_SUSPENDING)
        rayjob_move(x, RAYJOB_SUSPENDED);
    else
        rayjob_begin(x);
}

static void suspended(struct rayjob_pass *x)
{
    if (!x->job->suspend)
        rayjob_begin(x);
}

static void by_state(struct rayjob_pass *x)
{
    switch (x->state) {
    case RAYJOB_NEW:
        new_one(x);
        break;
    case RAYJOB_INITIALIZING:
        initializing(x);
        break;
    case RAYJOB_WAITING:
        waiting(x);
        break;
    case RAYJOB_RUNNING:
        rayjob_running(x);
        break;
    case RAYJOB_SUSPENDING:
    case RAYJOB_RETRYING:
        releasing(x);
        break;
    case RAYJOB_SUSPENDED:
        suspended(x);
        break;
    case RAYJOB_COMPLETE:
    case RAYJOB_FAILED:
        x->all->polled -= x->m->counted;
        x->m->counted = false;
        rayjob_ended(x);
        break;
    default:
        break;
    }
}

/* -- what cannot be --------------------------------------------------------------------------------- */

static bool has_ended(const struct rayjob_pass *x)
{
    return x->state == RAYJOB_COMPLETE || x->state == RAYJOB_FAILED;
}

static void set_condition(struct rayjob_pass *x, const char *type, enum condition value,
                          const char *reason, const char *message)
{
    struct json *list = conditions_of(x->status);
    int r =
        list ? conditions_set(list, type, value, reason, message, x->job->generation, x->s->wall_ns)
             : -RAIA_ERR_NOMEM;

    if (r < 0) {
        json_free(list);
        check(x, r);
        return;
    }
    check(x, json_set(x->status, "conditions", list));
}

/* Nothing more is done with it until its spec changes. What has ended stays as it ended. */
static void refuse(struct rayjob_pass *x, const char *reason, const char *path, const char *text)
{
    const char *event = strncmp(path, "metadata", 8) == 0 ? "InvalidRayJobMetadata"
                        : strncmp(path, "status", 6) == 0 ? "InvalidRayJobStatus"
                                                          : "InvalidRayJobSpec";

    set_condition(x, RAIA_COND_ACCEPTED, CONDITION_FALSE, reason, text);
    if (x->state == RAYJOB_INVALID && strcmp(rayjob_get(x, "message"), text) == 0)
        return;
    check(x, plan_event(x->p, KUBE_WARNING, event, "%s/%s: %s", x->job->ns, x->job->name, text));
    if (has_ended(x))
        return;
    rayjob_put(x, "reason", "ValidationFailed");
    rayjob_put(x, "message", text);
    rayjob_move(x, RAYJOB_INVALID);
}

/* True: the spec is fine. */
static bool validate(struct rayjob_pass *x)
{
    struct api_report bad = {0}, ignored = {0}, refused = {0};

    ray_job_check(x->job, &bad);
    if (x->state == RAYJOB_WAITING && x->job->mode != RAY_JOB_INTERACTIVE)
        api_report_add(&bad, "status.jobDeploymentStatus",
                       "cannot be Waiting when submissionMode is not InteractiveMode");
    ray_job_unsupported(x->job, x->config->tls, &ignored, &refused);
    if (bad.n || refused.n) {
        refuse(x, bad.n ? RAIA_REASON_INVALID : RAIA_REASON_REFUSED,
               bad.n ? bad.path : refused.path, bad.n ? bad.text : refused.text);
        return false;
    }
    if (ignored.n) {
        set_condition(x, RAIA_COND_UNSUPPORTED, CONDITION_TRUE, RAIA_REASON_IGNORED, ignored.text);
    } else {
        struct json *list = json_get(x->status, "conditions");

        if (list)
            conditions_remove(list, RAIA_COND_UNSUPPORTED);
    }
    return true;
}

/* The API server would not have what was made of the spec: then the spec is at fault. True: so it
 * is. */
static bool was_rejected(struct rayjob_pass *x)
{
    const struct kube_error *why = x->s->failure;
    struct api_report bad = {0};

    if (!why || !x->s->failed || (why->reason != KUBE_INVALID && why->reason != KUBE_BAD_REQUEST))
        return false;
    if (strncmp(x->s->failed, "Job", 3) == 0) {
        blame_submitter(x->job, NULL, why, &bad);
    } else if (strncmp(x->s->failed, "RayCluster", 10) == 0) {
        for (unsigned i = 0; i < why->n_causes; i++) {
            char path[API_PATH_MAX];
            const char *field = why->causes[i].field;
            bool in_spec = strncmp(field, "spec.", 5) == 0;

            (void)snprintf(path, sizeof path, "spec.rayClusterSpec%s%s", in_spec ? "." : "",
                           in_spec ? field + 5 : "");
            api_report_add(&bad, path, "%s", why->causes[i].message);
        }
        if (!bad.n)
            api_report_add(&bad, "spec.rayClusterSpec", "%s", why->base.text);
    }
    if (!bad.n)
        return false;
    refuse(x, RAIA_REASON_POD_REJECTED, bad.path, bad.text);
    return true;
}

/* A spec that was refused has changed: where it was, it goes on. */
static void accept_again(struct rayjob_pass *x)
{
    rayjob_put(x, "reason", "");
    rayjob_put(x, "message", "");
    rayjob_move(x, *rayjob_get(x, "rayClusterName") ? RAYJOB_INITIALIZING : RAYJOB_NEW);
}

/* -- events ------------------------------------------------------------------------------------------ */

/* What was created is told once it is seen, what was not with the failure. */
static void tell(struct rayjob_pass *x)
{
    const struct kube_error *why = x->s->failure;
    const char *failed = why && x->s->failed ? x->s->failed : "";
    struct rayjob_submitter sub;

    if (strncmp(failed, "RayCluster", 10) == 0 && x->m->made_cluster) {
        check(x, plan_event(x->p, KUBE_WARNING, "FailedToCreateRayCluster",
                            "Failed to create %s: %s", failed, why->base.text));
        x->m->made_cluster = false;
    } else if (x->m->made_cluster && x->cluster) {
        check(x, plan_event(x->p, KUBE_NORMAL, "CreatedRayCluster", "Created RayCluster %s/%s",
                            x->job->ns, x->cluster->meta->name));
        x->m->made_cluster = false;
    }
    if (strncmp(failed, "Job", 3) == 0 && x->m->made_submitter) {
        check(x, plan_event(x->p, KUBE_WARNING, "FailedToCreateRayJobSubmitter",
                            "Failed to create new Kubernetes %s: %s", failed, why->base.text));
        x->m->made_submitter = false;
    } else if (x->m->made_submitter) {
        rayjob_submitter_state(x, &sub);
        if (!sub.there)
            return;
        check(x, plan_event(x->p, KUBE_NORMAL, "CreatedRayJobSubmitter",
                            "Created Kubernetes Job %s/%s", x->job->ns, x->job->name));
        x->m->made_submitter = false;
    }
}

/* Paths of the cluster, "spec.x: why; spec.y: why", as paths of this object. */
static void own_paths(const char *text, char *out, size_t size)
{
    static const char in[] = "spec.", own[] = "spec.rayClusterSpec.", between[] = "; ";
    bool begins = true;
    size_t n = 0;

    while (*text && n + sizeof own < size) {
        if (begins && strncmp(text, in, sizeof in - 1) == 0) {
            memcpy(out + n, own, sizeof own - 1);
            n += sizeof own - 1;
            text += sizeof in - 1;
            begins = false;
            continue;
        }
        out[n++] = *text++;
        begins = n >= 2 && memcmp(out + n - 2, between, 2) == 0;
    }
    out[n] = 0;
}

/* The cluster's own refusal is told here too: that is where its spec is. */
static void accepted(struct rayjob_pass *x)
{
    const struct json *list = x->view ? json_get(x->view->status, "conditions") : NULL;
    const struct json *c = conditions_get(list, RAIA_COND_ACCEPTED);
    const char *status = json_str(json_get(c, "status")), *text = json_str(json_get(c, "message"));
    char message[API_REPORT_MAX * 2];

    if (x->state == RAYJOB_INVALID)
        return;
    if (!status || strcmp(status, "False") != 0) {
        set_condition(x, RAIA_COND_ACCEPTED, CONDITION_TRUE, RAIA_REASON_ACCEPTED, "");
        return;
    }
    if (x->job->selected)
        (void)snprintf(message, sizeof message, "RayCluster %s: %s", x->view->name,
                       text ? text : "");
    else
        own_paths(text ? text : "", message, sizeof message);
    set_condition(x, RAIA_COND_ACCEPTED, CONDITION_FALSE,
                  conditions_reason(list, RAIA_COND_ACCEPTED), message);
}

/* -- one look ---------------------------------------------------------------------------------------- */

static void look(struct rayjob_pass *x)
{
    int64_t observed = 0;

    if (x->job->deleting) {
        rayjob_deleting(x);
        return;
    }
    (void)json_int(json_get(x->job->status, "observedGeneration"), &observed);
    check(x, json_set_int(x->status, "observedGeneration", x->job->generation));
    if (x->state == RAYJOB_INVALID && observed == x->job->generation)
        return;
    if (!validate(x)) {
        if (has_ended(x))
            by_state(x);
        return;
    }
    if (!has_ended(x) && was_rejected(x))
        return;
    if (x->state == RAYJOB_INVALID)
        accept_again(x);
    tell(x);
    accepted(x);
    by_state(x);
}

/* What it is made of cannot even be read. */
static int unreadable(const struct seen *s, const struct raia_error *why, struct plan *p,
                      struct raia_error *e)
{
    _cleanup_(json_freep) struct json *status = json_copy(json_get(s->tree, "status"));
    const char *was;
    int r;

    if (!status && !(status = json_new_object()))
        return err_set(e, RAIA_ERR_NOMEM, "RayJob '%s'", s->meta->name);
    was = json_str(json_get(status, "jobDeploymentStatus"));
    if (s->meta->deleting || (was && (!strcmp(was, "Complete") || !strcmp(was, "Failed"))))
        return 0;
    if (!was || strcmp(was, "ValidationFailed") != 0) {
        r = plan_event(p, KUBE_WARNING, "InvalidRayJobSpec", "%s/%s: %s", s->meta->ns,
                       s->meta->name, why->text);
        if (r < 0)
            return err_set(e, RAIA_ERR_NOMEM, "RayJob '%s'", s->meta->name);
    }
    if ((r = json_set_str(status, "jobDeploymentStatus", "ValidationFailed")) < 0 ||
        (r = json_set_str(status, "reason", "ValidationFailed")) < 0 ||
        (r = json_set_str(status, "message", why->text)) < 0 ||
        (r = json_set_int(status, "observedGeneration", s->meta->generation)) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "RayJob '%s'", s->meta->name);
    return plan_status(p, STEAL(status));
}

static int plan_it(struct reconciler *r, const struct seen *s, void **memory, struct plan *p,
                   struct raia_error *e)
{
    _cleanup_(ray_job_freep) struct ray_job *job = NULL;
    struct raia_error why = {0};
    int err = ray_job_read(s->tree, &job, &why);

    if (err == -RAIA_ERR_NOMEM)
        return err_set(e, RAIA_ERR_NOMEM, "%s", why.text);
    if (err < 0)
        return unreadable(s, &why, p, e);
    if (!job->managed)
        return 0;
    struct rayjob_pass x = {
        .all = (struct rayjobs *)r, .config = r->config, .s = s, .job = job, .p = p, .e = &why};
    x.status = job->status ? json_copy(job->status) : json_new_object();
    if (!x.status)
        return err_set(e, RAIA_ERR_NOMEM, "RayJob '%s'", job->name);
    x.state = rayjob_state_of(x.status);
    rayjob_find_cluster(&x);
    if (x.r == 0)
        rayjob_memory_of(&x, memory);
    if (x.r == 0)
        look(&x);
    if (x.r == -RAIA_ERR_INVALID) { /* what was to be made of its spec cannot be */
        char text[RAIA_ERROR_TEXT_MAX];

        (void)snprintf(text, sizeof text, "%s", why.text);
        x.r = 0;
        refuse(&x, RAIA_REASON_INVALID, "spec", text);
    }
    if (x.r == 0 && !job->deleting)
        check(&x, plan_status(p, STEAL(x.status)));
    if (x.r < 0 && e)
        *e = why;
    ray_cluster_free(x.view);
    json_free(x.status);
    return x.r;
}

static void forget(struct reconciler *r, void *memory)
{
    if (memory)
        rayjob_memory_clear((struct rayjobs *)r, memory);
    mem_free(memory);
}

struct reconciler *rayjob_reconciler(const struct operator_config *config)
{
    struct rayjobs *all = mem_new(struct rayjobs);
    struct reconciler *r;

    if (!all)
        return NULL;
    r = &all->base;
    r->resource = &ray_jobs;
    r->wants = 1u << SEEN_CLUSTERS | 1u << SEEN_JOBS | 1u << SEEN_SERVICES | 1u << SEEN_SUBMITTERS;
    r->plan = plan_it;
    r->answered = rayjob_answered;
    r->forget = forget;
    r->config = config;
    return r;
}
