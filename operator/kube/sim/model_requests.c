/*
 * The model's requests that are no lists: what each verb does.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "kube/sim/model_impl.h"
#include "kube/wall_time.h"

void model_fail__(struct kube_model_answer *a, int status, const char *reason, const char *message)
{
    a->status = status;
    a->body = MODEL_NEED(mem_printf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                                    "\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"%s\","
                                    "\"code\":%d}",
                                    message, reason, status));
}

static void answer(struct kube_model_answer *a, int status, struct model_item *it)
{
    a->status = status;
    a->body = MODEL_NEED(mem_strdup(model_text__(it)));
}

/* RFC 7386; with `apply`, null is a value like others. */
static void merge(struct json *into, const struct json *patch, bool apply)
{
    JSON_FOREACH(n, patch)
    {
        const char *key = json_key(n);
        struct json *old = json_get(into, key);
        if (json_is(n, JSON_NULL) && !apply)
            json_free(json_detach(into, key));
        else if (json_is(n, JSON_OBJECT) && json_is(old, JSON_OBJECT))
            merge(old, n, apply);
        else if (json_is(n, JSON_OBJECT)) {
            json_set(into, key, json_new_object());
            merge(json_get(into, key), n, apply);
        } else
            json_set(into, key, json_copy(n));
    }
}

static void create(struct kube_model *m, const struct model_target *t, const struct json *body,
                   int64_t unix_ms, struct kube_model_answer *a)
{
    char time[KUBE_WALL_TIME_SIZE], uid[48], made[300];
    struct json *object = MODEL_NEED(json_copy(body));
    struct json *meta = json_get(object, "metadata");
    const char *name = json_str(json_get(meta, "name"));
    const char *prefix = json_str(json_get(meta, "generateName"));
    if (!name && prefix) {
        snprintf(made, sizeof made, "%s%05llu", prefix, (unsigned long long)++m->serial % 100000);
        json_set_str(meta, "name", made);
        name = json_str(json_get(meta, "name"));
    }
    if (t->name && !name && meta) {
        json_set_str(meta, "name", t->name);
        name = json_str(json_get(meta, "name"));
    }
    if (!name || json_str(json_get(meta, "resourceVersion"))) {
        model_fail__(a, 422, "Invalid", "metadata.name: Required value");
        json_free(object);
        return;
    }
    if (model_find__(m, t->collection, t->ns, name)) {
        model_fail__(a, 409, "AlreadyExists", "it already exists");
        json_free(object);
        return;
    }
    snprintf(uid, sizeof uid, "uid-%llu", (unsigned long long)++m->serial);
    json_set_str(meta, "uid", uid);
    if (t->ns)
        json_set_str(meta, "namespace", t->ns);
    json_set_str(meta, "creationTimestamp", kube_wall_time(unix_ms, time));
    json_set_int(meta, "generation", 1);
    json_free(json_detach(object, "status"));
    char *copy = MODEL_NEED(mem_strdup(name));
    model_add__(m, t, copy, object);
    answer(a, 201, model_find__(m, t->collection, t->ns, copy));
    mem_free(copy);
}

/* What may not be written stays as it was: identity, and all but (or only) the status. */
static struct json *guarded(const struct json *old, struct json *now, bool status)
{
    static const char *const fixed[] = {
        "uid", "name", "namespace", "creationTimestamp", "generation", "deletionTimestamp"};
    if (status) {
        struct json *copy = MODEL_NEED(json_copy(old)), *s = json_detach(now, "status");
        if (s)
            json_set(copy, "status", s);
        json_free(now);
        return copy;
    }
    struct json *meta = json_get(now, "metadata");
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const struct json *v = json_get(json_get(old, "metadata"), fixed[i]);
        json_free(json_detach(meta, fixed[i]));
        if (v)
            json_set(meta, fixed[i], json_copy(v));
    }
    json_free(json_detach(now, "status"));
    if (json_get(old, "status"))
        json_set(now, "status", json_copy(json_get(old, "status")));
    return now;
}

static void update(struct kube_model *m, const struct model_target *t, struct model_item *it,
                   const struct json *body, const char *type, struct kube_model_answer *a)
{
    const char *asked = json_str(json_at(body, "metadata.resourceVersion"));
    const char *uid = json_str(json_at(body, "metadata.uid"));
    bool put = strcmp(type, "put") == 0;
    if ((asked && strcmp(asked, json_str(json_at(it->object, "metadata.resourceVersion"))) != 0) ||
        (uid && strcmp(uid, json_str(json_at(it->object, "metadata.uid"))) != 0)) {
        model_fail__(a, 409, "Conflict", "the object has been modified");
        return;
    }
    struct json *now = MODEL_NEED(json_copy(put ? body : it->object));
    if (!put)
        merge(now, body, strcmp(type, "apply") == 0);
    bool status = t->sub && strcmp(t->sub, "status") == 0;
    now = guarded(it->object, now, status);
    model_store__(m, it, now);
    it = model_find__(m, t->collection, t->ns, t->name);
    if (it) {
        answer(a, 200, it);
    } else {
        a->status = 200;
        a->body = MODEL_NEED(mem_strdup("{}"));
    }
}

static void delete_item(struct kube_model *m, struct model_item *it, const struct json *body,
                        int64_t unix_ms, struct kube_model_answer *a)
{
    char time[KUBE_WALL_TIME_SIZE];
    const char *uid = json_str(json_at(body, "preconditions.uid"));
    const char *version = json_str(json_at(body, "preconditions.resourceVersion"));
    if ((uid && strcmp(uid, json_str(json_at(it->object, "metadata.uid"))) != 0) ||
        (version &&
         strcmp(version, json_str(json_at(it->object, "metadata.resourceVersion"))) != 0)) {
        model_fail__(a, 409, "Conflict", "Precondition failed");
        return;
    }
    answer(a, 200, it);
    if (json_size(json_at(it->object, "metadata.finalizers")) == 0) {
        model_remove__(m, it);
        return;
    }
    struct json *now = MODEL_NEED(json_copy(it->object));
    if (!json_at(now, "metadata.deletionTimestamp"))
        json_set_str(json_get(now, "metadata"), "deletionTimestamp", kube_wall_time(unix_ms, time));
    model_store__(m, it, now);
}

static void one(struct kube_model *m, const struct kube_request *rq, const struct model_target *t,
                const struct json *body, int64_t unix_ms, struct kube_model_answer *a)
{
    struct model_item *it = t->name ? model_find__(m, t->collection, t->ns, t->name) : NULL;
    const char *type = rq->content_type ? rq->content_type : "";
    bool apply = strstr(type, "apply-patch") != NULL;
    if (strcmp(rq->method, "POST") == 0)
        create(m, t, body, unix_ms, a);
    else if (!it && strcmp(rq->method, "PATCH") == 0 && apply && !t->sub)
        create(m, t, body, unix_ms, a);
    else if (!it)
        model_fail__(a, 404, "NotFound", "not found");
    else if (strcmp(rq->method, "GET") == 0)
        answer(a, 200, it);
    else if (strcmp(rq->method, "DELETE") == 0)
        delete_item(m, it, body, unix_ms, a);
    else if (strcmp(rq->method, "PUT") == 0)
        update(m, t, it, body, "put", a);
    else if (strcmp(rq->method, "PATCH") == 0 && (apply || strstr(type, "merge-patch")))
        update(m, t, it, body, apply ? "apply" : "merge", a);
    else
        model_fail__(a, 415, "UnsupportedMediaType", "unsupported");
}

void kube_model_handle(struct kube_model *m, const struct kube_request *rq, int64_t unix_ms,
                       struct kube_model_answer *ret)
{
    struct model_target t = {0};
    _cleanup_(json_freep) struct json *body = NULL;
    *ret = (struct kube_model_answer){0};
    bool get = strcmp(rq->method, "GET") == 0;
    bool needs = !get && strcmp(rq->method, "DELETE") != 0;
    if (model_target_parse__(rq->target, &t) < 0)
        model_fail__(ret, 404, "NotFound", "no such path");
    else if (rq->body && json_parse(rq->body, rq->body_len, NULL, &body, NULL) < 0)
        model_fail__(ret, 400, "BadRequest", "the body is no JSON");
    else if (needs && !json_is(json_get(body, "metadata"), JSON_OBJECT) &&
             strcmp(rq->method, "PATCH") != 0)
        model_fail__(ret, 422, "Invalid", "metadata: Required value");
    else if (get && !t.name && model_param__(&t, "watch"))
        model_watch__(m, &t, ret);
    else if (get && !t.name)
        model_list__(m, &t, ret);
    else
        one(m, rq, &t, body, unix_ms, ret);
    model_target_done__(&t);
}
