/*
 * Plans: lists of actions, in order of their stages.
 */
#include "core/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

#define EVENT_MAX 1024 /* bytes of an event's text */

struct plan *plan_new(void)
{
    struct plan *p = mem_new(struct plan);
    if (!p)
        return NULL;
    list_init(&p->actions);
    list_init(&p->events);
    p->again = CLOCK_NEVER;
    return p;
}

static void free_action(struct plan_action *a)
{
    list_del(&a->link);
    mem_free(a->ns);
    mem_free(a->name);
    mem_free(a->uid);
    json_free(a->object);
    mem_free(a->method);
    mem_free(a->url);
    mem_free(a->body);
    mem_free(a->token_secret);
    mem_free(a);
}

void plan_free(struct plan *p)
{
    struct plan_action *a, *next;
    struct plan_event *v, *after;
    if (!p)
        return;
    LIST_FOREACH_SAFE (a, next, &p->actions, link)
        free_action(a);
    LIST_FOREACH_SAFE (v, after, &p->events, link) {
        mem_free(v->reason);
        mem_free(v->text);
        mem_free(v);
    }
    json_free(p->status);
    json_free(p->hope);
    json_free(p->metadata);
    mem_free(p);
}

/* A copy of a text that may be absent. */
static int copy(char **to, const char *text)
{
    *to = mem_strdup(text);
    return text && !*to ? -RAIA_ERR_NOMEM : 0;
}

/* In order of stages, after those of the same stage. Takes `object` over. */
static int add(struct plan *p, enum plan_kind kind, unsigned stage, const struct kube_resource *r,
               const char *ns, const char *name, struct json *object, struct plan_action **ret_a)
{
    struct plan_action *a = mem_new(struct plan_action), *at;
    if (!a) {
        json_free(object);
        return -RAIA_ERR_NOMEM;
    }
    a->kind = kind;
    a->stage = stage < PLAN_STAGES ? stage : PLAN_STAGES - 1;
    a->resource = r;
    a->object = object;
    a->grace_s = -1;
    if (copy(&a->ns, ns) < 0 || copy(&a->name, name) < 0) {
        free_action(a);
        return -RAIA_ERR_NOMEM;
    }
    struct list *before = p->actions.prev;
    for (; before != &p->actions; before = before->prev) {
        at = container_of(before, struct plan_action, link);
        if (at->stage <= a->stage)
            break;
    }
    list_add_before(before->next, &a->link);
    *ret_a = a;
    return 0;
}

static int add_object(struct plan *p, enum plan_kind kind, unsigned stage,
                      const struct kube_resource *r, struct json *object)
{
    struct plan_action *a;
    const struct json *meta = json_get(object, "metadata");
    if (!object)
        return -RAIA_ERR_NOMEM; /* a builder's failure */
    return add(p, kind, stage, r, json_str(json_get(meta, "namespace")),
               json_str(json_get(meta, "name")), object, &a);
}

int plan_create(struct plan *p, unsigned stage, const struct kube_resource *r, struct json *object)
{
    return add_object(p, PLAN_CREATE, stage, r, object);
}

int plan_apply(struct plan *p, unsigned stage, const struct kube_resource *r, struct json *object)
{
    return add_object(p, PLAN_APPLY, stage, r, object);
}

int plan_patch(struct plan *p, unsigned stage, const struct kube_resource *r, const char *ns,
               const char *name, struct json *patch)
{
    struct plan_action *a;
    return patch ? add(p, PLAN_PATCH, stage, r, ns, name, patch, &a) : -RAIA_ERR_NOMEM;
}

int plan_delete(struct plan *p, unsigned stage, const struct kube_resource *r, const char *ns,
                const char *name, const char *uid, int64_t grace_s)
{
    struct plan_action *a;
    int res = add(p, PLAN_DELETE, stage, r, ns, name, NULL, &a);
    if (res < 0)
        return res;
    a->grace_s = grace_s;
    return copy(&a->uid, uid);
}

int plan_call(struct plan *p, unsigned stage, uint64_t tag, const char *ns, const char *method,
              const char *url, const char *body, const char *token_secret, int timeout_ms)
{
    struct plan_action *a;
    int r = add(p, PLAN_CALL, stage, NULL, ns, NULL, NULL, &a);
    if (r < 0)
        return r;
    a->tag = tag;
    a->timeout_ms = timeout_ms;
    r = copy(&a->method, method);
    if (r == 0)
        r = copy(&a->url, url);
    if (r == 0)
        r = copy(&a->body, body);
    return r < 0 ? r : copy(&a->token_secret, token_secret);
}

int plan_status(struct plan *p, struct json *status)
{
    if (!status)
        return -RAIA_ERR_NOMEM;
    json_free(p->status);
    p->status = status;
    return 0;
}

void plan_status_waits(struct plan *p, enum plan_haste haste)
{
    p->haste = haste;
}

int plan_hope(struct plan *p, struct json *status)
{
    if (!status)
        return -RAIA_ERR_NOMEM;
    json_free(p->hope);
    p->hope = status;
    return 0;
}

int plan_metadata(struct plan *p, struct json *metadata)
{
    if (!metadata)
        return -RAIA_ERR_NOMEM;
    json_free(p->metadata);
    p->metadata = metadata;
    return 0;
}

int plan_event(struct plan *p, enum kube_severity severity, const char *reason, const char *fmt,
               ...)
{
    char text[EVENT_MAX];
    struct plan_event *v = mem_new(struct plan_event);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!v)
        return -RAIA_ERR_NOMEM;
    v->severity = severity;
    list_add_tail(&p->events, &v->link);
    int r = copy(&v->reason, reason);
    return r < 0 ? r : copy(&v->text, text);
}

void plan_again(struct plan *p, int64_t due)
{
    if (due < p->again)
        p->again = due;
}
