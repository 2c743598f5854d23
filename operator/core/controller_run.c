/*
 * A key's turn: a plan is made, and carried out: metadata, the stages, the status.
 */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/controller_impl.h"
#include "core/merge_patch.h"

#define WINDOW 32 /* actions of one plan that are under way */

static void free_run(struct run *r)
{
    plan_free(r->plan);
    mem_free(r->version);
    json_free(r->metadata);
    json_free(r->status);
    json_free(r->hope);
    mem_free(r->error);
    mem_free(r->failed);
    mem_free(r);
}

/* The key has had its turn; when it comes again depends on how it went. */
static void end(struct item *it, bool failed, int64_t again)
{
    struct controller *c = it->c;
    int64_t now = controller_now__(c);
    if (it->gone) {
        kube_queue_forget(c->queue, it->uid);
    } else if (failed) {
        c->stats.failures++;
        if (!OPERATOR_PLANTED(OPERATOR_PLANT_FORGET) &&
            kube_queue_retry(c->queue, it->uid, now) < 0)
            c->rescan = true;
    } else {
        kube_queue_forget(c->queue, it->uid);
    }
    if (!it->gone && again != CLOCK_NEVER && kube_queue_add_at(c->queue, it->uid, again, now) < 0)
        c->rescan = true;
    kube_queue_done(c->queue, it->uid, now);
    controller_pump_soon__(c, now);
    controller_release__(it);
}

static void set_failure(struct item *it, struct kube_error *error, char *failed)
{
    mem_free(it->failure);
    mem_free(it->failed);
    it->failure = error;
    it->failed = failed;
}

static void tell_events(struct run *r, const char *version)
{
    struct item *it = r->it;
    struct kube_about about = {.resource = it->source->fields->resource,
                               .ns = it->ns,
                               .name = it->name,
                               .uid = it->uid,
                               .resource_version = version};
    struct plan_event *v;
    if (!it->c->o.recorder)
        return;
    LIST_FOREACH (v, &r->plan->events, link)
        kube_recorder_event(it->c->o.recorder, &about, v->severity, v->reason, "%s", v->text);
}

static void finish(struct run *r)
{
    struct item *it = r->it;
    struct controller *c = it->c;
    bool failed = r->error || r->conflict;
    bool over = it->failure && !failed && !r->cut;
    int64_t again =
        over ? controller_now__(c) : r->plan->again; /* over: its status says it failed */
    if (!r->cut && !it->gone)
        tell_events(r, r->version);
    c->stats.conflicts += r->conflict;
    if (r->error && !it->gone)
        controller_trouble__(c, it, r->error->base.text);
    if (r->cut) /* as if it had never begun: comes again when we lead again */
        failed = false, again = controller_now__(c);
    else if (!r->conflict)
        set_failure(it, STEAL(r->error), STEAL(r->failed));
    it->run = NULL;
    c->runs--;
    free_run(r);
    end(it, failed, again);
}

void controller_run_fail__(struct run *r, const struct kube_error *error, const char *kind,
                           const char *name)
{
    if (r->error || r->cut)
        return; /* the first one counts */
    r->error = mem_dup(error, sizeof *error);
    r->failed = mem_printf("%s %s", kind, name ? name : "");
    if (!r->error) /* then the key comes again all the same */
        r->conflict = true;
}

void controller_run_cut__(struct run *r)
{
    struct op *op, *next;
    r->cut = true;
    LIST_FOREACH_SAFE (op, next, &r->ops, link)
        controller_op_cancel__(op);
}

/* An action could not even be begun. */
static void not_begun(struct run *r, const struct plan_action *a, int code)
{
    struct kube_error error = {0};
    struct raia_error why = {0};
    const char *kind = a && a->resource ? a->resource->kind : "call";
    err_set(&why, -code, "cannot begin the request for %s %s: %s", kind,
            a && a->name ? a->name : "", raia_strerror(code));
    (void)kube_error_from_transport(&why, &error);
    controller_run_fail__(r, &error, kind, a ? a->name : NULL);
}

/* Begins what may be under way now; true when the stages are through. */
static bool step_stages(struct run *r)
{
    while (r->next != &r->plan->actions && r->n_ops < WINDOW) {
        struct plan_action *a = container_of(r->next, struct plan_action, link);
        bool drop = r->cut || r->conflict || (r->error && !OPERATOR_PLANTED(OPERATOR_PLANT_GO_ON));
        if (drop) {
            r->next = &r->plan->actions;
            break;
        }
        if (a->stage != r->stage && r->n_ops)
            break; /* the stage before it is not through */
        r->stage = a->stage;
        r->next = r->next->next;
        int res = controller_action__(r, a);
        if (res < 0)
            not_begun(r, a, res);
    }
    return r->next == &r->plan->actions && r->n_ops == 0;
}

/* The object's own metadata or status; true when there is nothing more to wait for. */
static bool step_own(struct run *r, const char *subresource, const char *member,
                     const struct json *patch)
{
    if (!patch || r->cut || r->conflict)
        return true;
    if (r->asked)
        return r->n_ops == 0;
    r->asked = true;
    int res = controller_write__(r, subresource, member, patch);
    if (res < 0)
        not_begun(r, NULL, res);
    return res < 0;
}

void controller_run_step__(struct run *r)
{
    if (!controller_leads__(r->it->c))
        r->cut = true;
    for (;;) {
        bool through = true;
        switch (r->phase) {
        case RUN_METADATA:
            through = step_own(r, NULL, "metadata", r->metadata);
            break;
        case RUN_STAGES:
            through = step_stages(r);
            break;
        case RUN_STATUS:
            through =
                step_own(r, "status", "status", r->error || !r->plan->hope ? r->status : r->hope);
            break;
        case RUN_END:
            finish(r);
            return;
        }
        if (!through)
            return;
        r->phase++;
        r->asked = false;
    }
}

/* What the status patch must be, with lastUpdateTime left out of the comparison. */
static int status_patch(const struct json *old, struct json *wanted, struct json **ret_patch)
{
    static const char key[] = "lastUpdateTime";
    struct json *patch = NULL;
    int r = merge_patch_between(old, wanted, &patch);
    if (r == 0 && patch && json_get(patch, key) && json_size(patch) == 1) {
        json_free(patch);
        patch = NULL;
    }
    if (r == 0)
        *ret_patch = patch;
    return r;
}

/* The patches that are to be written now, if any. */
static int make_status(struct item *it, const struct json *old, struct run *r)
{
    struct plan *p = r->plan;
    int res = p->status ? status_patch(old, p->status, &r->status) : 0;
    if (res == 0 && p->hope)
        res = status_patch(old, p->hope, &r->hope);
    if (res < 0)
        return res;
    if (!r->status && !r->hope) {
        controller_status_current__(it);
        return 0;
    }
    int64_t due = controller_status_due__(it, p->haste);
    if (due) {
        json_free(STEAL(r->status));
        json_free(STEAL(r->hope));
        plan_again(p, due);
    }
    return 0;
}

static int make_plan(struct item *it, const struct kube_object *o, struct run *r,
                     struct raia_error *e)
{
    struct controller *c = it->c;
    struct reconciler *rec = it->source->r;
    struct seen_room room = {0};
    struct seen seen;
    int64_t began = controller_now__(c);
    r->plan = plan_new();
    r->version = mem_strdup(o->resource_version);
    int res = r->plan && r->version ? 0 : err_set(e, RAIA_ERR_NOMEM, "out of memory for a plan");
    if (res == 0)
        res = controller_see__(it, o, &seen, &room, e);
    if (res == 0) {
        c->stats.reconciles++;
        res = rec->plan(rec, &seen, &it->memory, r->plan, e);
    }
    if (res == 0 && r->plan->metadata &&
        !merge_patch_is_idle(json_get(seen.tree, "metadata"), r->plan->metadata))
        r->metadata = STEAL(r->plan->metadata);
    if (res == 0 && (res = make_status(it, json_get(seen.tree, "status"), r)) < 0)
        err_set(e, -res, "out of memory for a status");
    c->stats.plan_ns += controller_now__(c) - began;
    controller_see_done__(&room);
    return res;
}

void controller_run__(struct item *it, const struct kube_object *o)
{
    struct controller *c = it->c;
    struct raia_error e = {0};
    struct run *r = mem_new(struct run);
    int res = r ? make_plan(it, o, r, &e) : err_set(&e, RAIA_ERR_NOMEM, "out of memory for a plan");
    if (res < 0) {
        controller_trouble__(c, it, e.text[0] ? e.text : raia_strerror(res));
        if (r)
            free_run(r);
        end(it, true, CLOCK_NEVER);
        return;
    }
    r->it = it;
    r->next = r->plan->actions.next;
    list_init(&r->ops);
    it->run = r;
    c->runs++;
    controller_run_step__(r);
}
