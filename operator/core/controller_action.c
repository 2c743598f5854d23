/*
 * One action of a plan: its request, what is expected of it, and what its answer means.
 *
 * Creations are repeated by the same name and deletions by the same uid, so one whose outcome is not
 * known is simply sent again; what it has done already is found then.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "core/controller_impl.h"

#define MANAGER      "raia-operator"
#define ATTEMPTS_MAX 5
#define RETRY_MS     100 /* doubles */
#define PREFIX_MAX   58  /* bytes of a generateName that count, as the API server does it */
#define SUFFIX       5

static void on_answer(struct kube_call *call, struct json *object, const struct kube_error *error,
                      void *arg);
static int ask(struct op *op);

/* ---- life ---- */

static struct op *op_new(struct run *r, struct plan_action *a)
{
    struct op *op = mem_new(struct op);
    if (!op)
        return NULL;
    op->run = r;
    op->a = a;
    list_add_tail(&r->ops, &op->link);
    r->n_ops++;
    return op;
}

static void op_free(struct op *op)
{
    list_del(&op->link);
    op->run->n_ops--;
    kube_timer_detach(op->run->it->c->o.client, &op->retry);
    mem_free(op->id);
    mem_free(op);
}

/* The expectation has no reason any more. */
static void settle(struct op *op)
{
    const char *uid = op->run->it->uid;
    if (!op->id)
        return;
    if (op->a->kind == PLAN_DELETE)
        kube_expect_deleted(op->source->expected, uid, op->id);
    else
        kube_expect_created(op->source->expected, uid, op->id);
}

static void finish(struct op *op)
{
    struct run *r = op->run;
    if (op->a) /* what it was about goes at once: the rest of the plan may take long */
        json_free(STEAL(op->a->object));
    op_free(op);
    controller_run_step__(r);
}

static void fail(struct op *op, const struct kube_error *error)
{
    struct plan_action *a = op->a;
    struct item *it = op->run->it;
    controller_run_fail__(op->run, error,
                          a ? a->resource->kind : it->source->fields->resource->kind,
                          a ? a->name : it->name);
    finish(op);
}

void controller_op_cancel__(struct op *op)
{
    if (kube_call_active(&op->call)) {
        kube_cancel(&op->call);
    } else { /* it waits for its retry: end it from there */
        struct controller *c = op->run->it->c;
        kube_timer_set(c->o.client, &op->retry, controller_now__(c));
    }
}

/* ---- what is expected ---- */

static const char *controller_uid(const struct json *object)
{
    JSON_FOREACH(o, json_at(object, "metadata.ownerReferences"))
    if (json_true(json_get(o, "controller")))
        return json_str(json_get(o, "uid"));
    return NULL;
}

/* Does the store show it: a creation's object, or a deletion's end or beginning. */
static bool seen(const struct op *op)
{
    const struct plan_action *a = op->a;
    const struct kube_object *o =
        kube_store_get(kube_informer_store(op->source->inf), a->ns, a->name);
    if (a->kind == PLAN_DELETE)
        return !o || o->deleting || strcmp(o->uid, a->uid) != 0;
    return o && o->owner_uid && strcmp(o->owner_uid, op->run->it->uid) == 0;
}

/* Will its effect be told by an informer. */
static bool will_be_seen(struct op *op)
{
    const struct plan_action *a = op->a;
    struct item *it = op->run->it;
    if (a->kind != PLAN_CREATE && a->kind != PLAN_APPLY && a->kind != PLAN_DELETE)
        return false;
    op->source = controller_source__(it->c, a->resource, a->ns);
    if (!op->source || OPERATOR_PLANTED(OPERATOR_PLANT_NO_EXPECT))
        return false;
    if (a->kind == PLAN_DELETE)
        return !seen(op) && kube_store_get(kube_informer_store(op->source->inf), a->ns, a->name);
    const char *label = op->source->fields->label, *owner = controller_uid(a->object);
    if (label && !json_str(json_get(json_at(a->object, "metadata.labels"), label)))
        return false;
    return owner && strcmp(owner, it->uid) == 0 && !(a->kind == PLAN_APPLY && seen(op));
}

static int expect(struct op *op)
{
    const struct plan_action *a = op->a;
    const char *uid = op->run->it->uid;
    int64_t now = controller_now__(op->run->it->c);
    if (!op->id && !will_be_seen(op))
        return 0;
    if (op->looking)
        return 0;
    /* When it is sent again, again: it may have been seen, and gone, since. */
    if (!op->id && !(op->id = mem_strdup(a->kind == PLAN_DELETE ? a->uid : a->name)))
        return -RAIA_ERR_NOMEM;
    if (seen(op))
        return 0;
    return a->kind == PLAN_DELETE ? kube_expect_delete(op->source->expected, uid, op->id, now)
                                  : kube_expect_create(op->source->expected, uid, op->id, now);
}

/* Done: now only its being seen is missing. */
static void acknowledged(struct op *op)
{
    if (op->id && seen(op))
        settle(op);
    else if (op->id)
        kube_expect_acked(op->source->expected, op->run->it->uid, op->id,
                          controller_now__(op->run->it->c));
}

/* ---- requests ---- */

/* Names are made here, as the API server would, so that a creation can be repeated. */
static int make_name(struct controller *c, struct plan_action *a)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    struct json *meta = json_get(a->object, "metadata");
    const char *prefix = json_str(json_get(meta, "generateName"));
    char suffix[SUFFIX + 1] = {0};
    if (!prefix)
        return -RAIA_ERR_INVALID;
    for (int i = 0; i < SUFFIX; i++)
        suffix[i] = letters[prng_below(&c->prng, sizeof letters - 1)];
    mem_free(a->name);
    a->name = mem_printf("%.*s%s", PREFIX_MAX, prefix, suffix);
    return a->name ? json_set_str(meta, "name", a->name) : -RAIA_ERR_NOMEM;
}

static int ask(struct op *op)
{
    /* A field that the server does not know is an error that names it, not silently dropped. */
    static const struct kube_param strict[] = {{"fieldValidation", "Strict"}};
    struct item *it = op->run->it;
    const struct plan_action *a = op->a;
    struct kube_ask q = {.target = {.resource = a->resource, .ns = a->ns, .name = a->name},
                         .object = a->object,
                         .field_manager = MANAGER,
                         .no_reply = !op->looking};
    switch (a->kind) {
    case PLAN_CREATE:
        q.verb = op->looking ? KUBE_GET : KUBE_CREATE;
        q.target.params = strict;
        q.target.n_params = op->looking ? 0 : 1;
        break;
    case PLAN_APPLY:
        q.verb = KUBE_APPLY;
        q.force = true;
        break;
    case PLAN_PATCH:
        q.verb = KUBE_PATCH;
        break;
    case PLAN_DELETE:
        q.verb = KUBE_DELETE;
        q.uid = a->uid;
        q.has_grace = a->grace_s >= 0;
        q.grace_s = a->grace_s;
        q.propagation = "Background";
        break;
    case PLAN_CALL:
        return -RAIA_ERR_INVALID;
    }
    it->c->stats.writes += !op->looking;
    op->began = controller_now__(it->c);
    return kube_ask(it->c->o.client, &op->call, &q, on_answer, op, NULL);
}

int controller_action__(struct run *r, struct plan_action *a)
{
    if (a->kind == PLAN_CALL)
        return controller_call_start__(r->it, a);
    if (a->kind == PLAN_DELETE && !a->uid)
        return -RAIA_ERR_INVALID;
    struct op *op = op_new(r, a);
    int res = op ? 0 : -RAIA_ERR_NOMEM;
    if (res == 0 && !a->name) {
        op->made_name = true;
        res = a->kind == PLAN_CREATE ? make_name(r->it->c, a) : -RAIA_ERR_INVALID;
    }
    if (res == 0)
        res = expect(op);
    if (res == 0 && (res = ask(op)) < 0)
        settle(op);
    if (res < 0 && op)
        op_free(op);
    return res;
}

static void on_retry(struct kube_timer *t)
{
    struct op *op = container_of(t, struct op, retry);
    struct controller *c = op->run->it->c;
    int r = -RAIA_ERR_CANCELED;
    if (!op->run->cut && controller_leads__(c)) {
        if (OPERATOR_PLANTED(OPERATOR_PLANT_NEW_NAME) && op->made_name && !op->looking)
            settle(op), make_name(c, op->a);
        r = expect(op);
        r = r < 0 ? r : ask(op);
    }
    if (r == 0)
        return;
    op->run->cut |= r == -RAIA_ERR_CANCELED;
    if (r != -RAIA_ERR_CANCELED)
        op->run->conflict = true; /* another try of all of it */
    finish(op);
}

/* The same once more, after a while; false: that was often enough. */
static bool again(struct op *op)
{
    struct controller *c = op->run->it->c;
    if (op->run->cut || op->attempts >= ATTEMPTS_MAX ||
        kube_timer_attach(c->o.client, &op->retry, on_retry) < 0)
        return false;
    int64_t ms = prng_backoff_ms(&c->prng, op->attempts++, RETRY_MS, 32 * RETRY_MS);
    kube_timer_set(c->o.client, &op->retry, controller_now__(c) + ms * CLOCK_NS_PER_MS);
    return true;
}

/* ---- answers ---- */

/* Nobody knows whether it was done. */
static bool unknown(const struct kube_error *error)
{
    return error->reason == KUBE_TRANSPORT || error->reason == KUBE_INTERNAL ||
           error->reason == KUBE_UNAVAILABLE || error->reason == KUBE_TIMEOUT;
}

static void tell_found(const struct op *op)
{
    struct item *it = op->run->it;
    struct reconciler *r = it->source->r;
    if (r->found && !it->gone)
        r->found(r, &it->memory, op->a->resource, op->a->name);
}

/* What has the name that was to be created. */
static void on_look(struct op *op, const struct json *object, const struct kube_error *error)
{
    const char *owner = controller_uid(object);
    op->looking = false;
    if (error->reason == KUBE_NOT_FOUND || unknown(error)) {
        if (again(op))
            return;
        settle(op);
        fail(op, error);
    } else if (error->base.code) {
        settle(op);
        fail(op, error);
    } else if (owner && strcmp(owner, op->run->it->uid) == 0) {
        acknowledged(op);
        finish(op);
    } else if (!owner) {
        settle(op); /* nobody's: whoever made it wants it used */
        tell_found(op);
        finish(op);
    } else {
        struct kube_error taken = {.reason = KUBE_ALREADY_EXISTS, .http_status = 409};
        err_set(&taken.base, RAIA_ERR_EXISTS,
                "%s %s/%s exists already and belongs to another object (%s)", op->a->resource->kind,
                op->a->ns ? op->a->ns : "", op->a->name, owner);
        settle(op);
        fail(op, &taken);
    }
}

static void on_exists(struct op *op)
{
    op->looking = true;
    if (ask(op) == 0)
        return;
    op->looking = false;
    settle(op);
    op->run->conflict = true;
    finish(op);
}

static void on_answer(struct kube_call *call, struct json *object, const struct kube_error *error,
                      void *arg)
{
    struct op *op = arg;
    enum plan_kind kind = op->a->kind;
    controller_note_answer__(op->run->it->c, op->began);
    if (!error->base.code && !op->looking)
        (void)FAULT("operator.write.answered"); /* a boundary between two writes */
    if (op->run->cut) {
        if (!call->attempts) /* it was never sent */
            settle(op);
        finish(op);
    } else if (op->looking) {
        on_look(op, object, error);
    } else if (!error->base.code) {
        acknowledged(op);
        if (kind == PLAN_CREATE && !controller_uid(op->a->object))
            tell_found(op);
        finish(op);
    } else if (kind == PLAN_CREATE && error->reason == KUBE_ALREADY_EXISTS) {
        on_exists(op);
    } else if (kind == PLAN_DELETE &&
               (error->reason == KUBE_NOT_FOUND || error->reason == KUBE_CONFLICT)) {
        acknowledged(op); /* gone, perhaps with another in its place */
        finish(op);
    } else if (unknown(error) && again(op)) {
        return;
    } else {
        if (!unknown(error)) /* else its being seen, or time, decides */
            settle(op);
        fail(op, error);
    }
}

/* ---- the object itself ---- */

/* The store is behind our write as long as it shows the version that was written over. */
static void wrote(struct run *r, const struct json *object)
{
    struct item *it = r->it;
    const char *version = json_str(json_at(object, "metadata.resourceVersion"));
    if (!version || strcmp(version, r->version) == 0)
        return; /* nothing has changed: no event will come */
    char *copy = mem_strdup(version);
    if (!copy || it->n_stale == sizeof it->stale / sizeof *it->stale) {
        mem_free(copy);
        r->conflict = true;
        return;
    }
    it->stale[it->n_stale++] = r->version;
    it->stale_until = controller_now__(it->c) + it->c->o.expect_ns;
    r->version = copy;
}

static void on_written(struct kube_call *call, struct json *object, const struct kube_error *error,
                       void *arg)
{
    struct op *op = arg;
    struct run *r = op->run;
    (void)call;
    controller_note_answer__(op->run->it->c, op->began);
    if (!error->base.code) {
        (void)FAULT("operator.write.answered");
        wrote(r, object);
    } else if (error->reason == KUBE_CONFLICT || error->reason == KUBE_NOT_FOUND) {
        r->conflict = true; /* it has changed, or is gone, as will be seen: another plan */
    } else if (!r->cut) {
        fail(op, error);
        return;
    }
    finish(op);
}

int controller_write__(struct run *r, const char *subresource, const char *member,
                       const struct json *patch)
{
    struct item *it = r->it;
    _cleanup_(json_freep) struct json *object = json_new_object();
    bool lock = !OPERATOR_PLANTED(OPERATOR_PLANT_NO_LOCK);
    struct op *op = op_new(r, NULL);
    int res = op ? json_set(object, member, json_copy(patch)) : -RAIA_ERR_NOMEM;
    if (res == 0 && !json_get(object, "metadata"))
        res = json_set(object, "metadata", json_new_object());
    struct json *meta = json_get(object, "metadata");
    if (res == 0 && lock)
        res = json_set_str(meta, "resourceVersion", r->version);
    if (res == 0)
        res = json_set_str(meta, "uid", it->uid);
    struct kube_ask q = {.verb = KUBE_PATCH,
                         .target = {.resource = it->source->fields->resource,
                                    .ns = it->ns,
                                    .name = it->name,
                                    .subresource = subresource},
                         .object = object,
                         .field_manager = MANAGER,
                         .metadata_reply = true};
    if (op)
        op->began = controller_now__(it->c);
    if (res == 0)
        res = kube_ask(it->c->o.client, &op->call, &q, on_written, op, NULL);
    it->c->stats.writes += res == 0;
    if (res < 0 && op)
        op_free(op);
    return res;
}
