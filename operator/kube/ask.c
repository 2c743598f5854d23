/*
 * What is asked, as method, path, type and body.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "kube/client_impl.h"

#define PARAMS_MAX 16
/* The server need not print all of what it has just been sent. */
#define METADATA_REPLY                                                                             \
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

static const struct {
    const char *method;       /* of HTTP */
    const char *content_type; /* of the body */
    bool named;               /* needs target.name */
    bool object;              /* needs an object */
} verbs[] = {
    [KUBE_GET] = {"GET", NULL, false, false},
    [KUBE_CREATE] = {"POST", "application/json", false, true},
    [KUBE_UPDATE] = {"PUT", "application/json", true, true},
    [KUBE_DELETE] = {"DELETE", "application/json", true, false},
    [KUBE_APPLY] = {"PATCH", "application/apply-patch+yaml", true, true}, /* JSON is YAML */
    [KUBE_PATCH] = {"PATCH", "application/merge-patch+json", true, true},
};

/* The object's text, with apiVersion and kind. */
static char *object_text(const struct kube_ask *ask, size_t *ret_len)
{
    const struct kube_resource *r = ask->target.resource;
    bool typed = json_get(ask->object, "apiVersion") && json_get(ask->object, "kind");
    if (typed || ask->verb == KUBE_PATCH)
        return json_print(ask->object, JSON_COMPACT, ret_len);
    _cleanup_(json_freep) struct json *copy = json_copy(ask->object);
    _cleanup_(mem_freep) char *version = kube_api_version(r);
    if (!copy || !version || json_set_str(copy, "apiVersion", version) < 0 ||
        json_set_str(copy, "kind", r->kind) < 0)
        return NULL;
    return json_print(copy, JSON_COMPACT, ret_len);
}

static char *delete_text(const struct kube_ask *ask, size_t *ret_len)
{
    _cleanup_(json_freep) struct json *o = json_new_object();
    int r = json_set_str(o, "apiVersion", "v1");
    if (r == 0)
        r = json_set_str(o, "kind", "DeleteOptions");
    if (r == 0 && ask->propagation)
        r = json_set_str(o, "propagationPolicy", ask->propagation);
    if (r == 0 && ask->has_grace)
        r = json_set_int(o, "gracePeriodSeconds", ask->grace_s);
    if (r == 0 && (ask->uid || ask->resource_version)) {
        struct json *p = json_new_object();
        if (ask->uid)
            r = json_set_str(p, "uid", ask->uid);
        if (r == 0 && ask->resource_version)
            r = json_set_str(p, "resourceVersion", ask->resource_version);
        if (r == 0)
            r = json_set(o, "preconditions", p);
        else
            json_free(p);
    }
    return r == 0 ? json_print(o, JSON_COMPACT, ret_len) : NULL;
}

static int check(const struct kube_ask *ask, struct raia_error *e)
{
    const struct kube_target *t = &ask->target;
    const struct kube_resource *r = t->resource;
    if (ask->verb != KUBE_CREATE && verbs[ask->verb].named && !t->name)
        return err_set(e, RAIA_ERR_INVALID, "a %s of %s needs a name", verbs[ask->verb].method,
                       r->plural);
    /* An empty segment would be another path: a deletion of all instead of one. */
    if ((t->name && !t->name[0]) || (t->ns && !t->ns[0]) || (t->subresource && !t->subresource[0]))
        return err_set(e, RAIA_ERR_INVALID, "a request for %s has an empty name or namespace",
                       r->plural);
    if ((t->name && (strcmp(t->name, ".") == 0 || strcmp(t->name, "..") == 0)) ||
        (t->ns && (strcmp(t->ns, ".") == 0 || strcmp(t->ns, "..") == 0)))
        return err_set(e, RAIA_ERR_INVALID, "'.' and '..' are no names");
    if (!r->cluster_scoped && !t->ns && (ask->verb != KUBE_GET || t->name))
        return err_set(e, RAIA_ERR_INVALID, "a request for one of %s needs a namespace", r->plural);
    if (verbs[ask->verb].object && !json_is(ask->object, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "a %s of %s needs an object", verbs[ask->verb].method,
                       r->plural);
    if (ask->verb == KUBE_APPLY && !ask->field_manager)
        return err_set(e, RAIA_ERR_INVALID, "an apply of %s needs a field manager", r->plural);
    if (t->n_params > PARAMS_MAX - 2)
        return err_set(e, RAIA_ERR_LIMIT, "a request for %s has too many parameters", r->plural);
    return 0;
}

int kube_ask(struct kube_client *c, struct kube_call *call, const struct kube_ask *ask,
             kube_call_fn done, void *arg, struct raia_error *e)
{
    int r = check(ask, e);
    if (r < 0)
        return r;
    if (call->client)
        return err_set(e, RAIA_ERR_STATE, "a call that is under way cannot be started");
    struct kube_param params[PARAMS_MAX];
    struct kube_target t = ask->target;
    for (size_t i = 0; i < t.n_params; i++)
        params[i] = t.params[i];
    if (ask->verb != KUBE_GET && ask->verb != KUBE_DELETE)
        params[t.n_params++] = (struct kube_param){"fieldManager", ask->field_manager};
    if (ask->verb == KUBE_APPLY)
        params[t.n_params++] = (struct kube_param){"force", ask->force ? "true" : NULL};
    t.params = params;
    if (ask->verb == KUBE_CREATE)
        t.name = t.subresource ? t.name : NULL; /* a subresource's (eviction) has one */
    *call = (struct kube_call){.method = verbs[ask->verb].method,
                               .content_type = verbs[ask->verb].content_type,
                               .timeout_ms = ask->timeout_ms,
                               .no_reply = ask->no_reply};
    if (verbs[ask->verb].object && (ask->no_reply || ask->metadata_reply))
        call->accept = METADATA_REPLY;
    if (verbs[ask->verb].object)
        call->body = object_text(ask, &call->body_len);
    else if (ask->verb == KUBE_DELETE)
        call->body = delete_text(ask, &call->body_len);
    if (call->body || ask->verb == KUBE_GET)
        call->path = kube_path(&t);
    return kube_call_start__(c, call, done, arg, e);
}

int kube_ask_path(struct kube_client *c, struct kube_call *call, const char *path,
                  kube_call_fn done, void *arg, struct raia_error *e)
{
    if (path[0] != '/' || strpbrk(path, " \r\n#"))
        return err_set(e, RAIA_ERR_INVALID, "'%.100s' is no path", path);
    if (call->client)
        return err_set(e, RAIA_ERR_STATE, "a call that is under way cannot be started");
    *call = (struct kube_call){.method = "GET", .path = mem_strdup(path)};
    return kube_call_start__(c, call, done, arg, e);
}
