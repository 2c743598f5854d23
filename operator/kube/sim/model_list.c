/*
 * The model's targets, lists and watches.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "kube/sim/model_impl.h"

/* ---- targets ---- */

static char *decoded(const char *text, size_t n)
{
    char *out = MODEL_NEED(mem_strndup(text, n)), *to = out;
    for (const char *at = out; *at; at++) {
        unsigned c;
        if (*at == '%' && sscanf(at + 1, "%2x", &c) == 1) {
            *to++ = (char)c;
            at += 2;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
    return out;
}

static void parse_query(const char *at, struct model_target *t)
{
    while (*at && t->n_params < 16) {
        size_t n = strcspn(at, "&"), k = strcspn(at, "=&");
        t->params[t->n_params][0] = decoded(at, k);
        t->params[t->n_params][1] = k < n ? decoded(at + k + 1, n - k - 1) : decoded("", 0);
        t->n_params++;
        at += n + (at[n] == '&');
    }
}

const char *model_param__(const struct model_target *t, const char *name)
{
    for (size_t i = 0; i < t->n_params; i++)
        if (strcmp(t->params[i][0], name) == 0)
            return t->params[i][1];
    return NULL;
}

void model_target_done__(struct model_target *t)
{
    mem_free(t->collection);
    mem_free(t->ns);
    mem_free(t->name);
    mem_free(t->sub);
    for (size_t i = 0; i < t->n_params; i++) {
        mem_free(t->params[i][0]);
        mem_free(t->params[i][1]);
    }
    *t = (struct model_target){0};
}

int model_target_parse__(const char *target, struct model_target *t)
{
    char *seg[10] = {0};
    size_t n = 0, at = 0, len = strcspn(target, "?");
    while (at < len && target[at] == '/' && n < 10) {
        size_t k = strcspn(target + at + 1, "/?");
        seg[n++] = decoded(target + at + 1, k);
        at += k + 1;
    }
    size_t head = n > 0 && strcmp(seg[0], "apis") == 0 ? 3 : 2, i = head;
    bool ok = n > head && at == len;
    if (ok && n > head + 2 && strcmp(seg[i], "namespaces") == 0) {
        t->ns = STEAL(seg[i + 1]);
        i += 2;
    }
    if (ok) {
        t->collection = MODEL_NEED(head == 3 ? mem_printf("/apis/%s/%s/%s", seg[1], seg[2], seg[i])
                                             : mem_printf("/api/%s/%s", seg[1], seg[i]));
        t->name = i + 1 < n ? STEAL(seg[i + 1]) : NULL;
        t->sub = i + 2 < n ? STEAL(seg[i + 2]) : NULL;
    }
    for (size_t k = 0; k < n; k++)
        mem_free(seg[k]);
    if (target[len] == '?')
        parse_query(target + len + 1, t);
    return ok ? 0 : -1;
}

bool model_selected__(const struct json *labels, const char *selector)
{
    while (selector && *selector) {
        size_t n = strcspn(selector, ","), k = strcspn(selector, "=,");
        _cleanup_(mem_freep) char *key = MODEL_NEED(mem_strndup(selector, k));
        const char *value = json_str(json_get(labels, key));
        size_t v = k + (selector[k] == '=') + (k < n && selector[k + 1] == '=');
        if (!value || (k < n && (strlen(value) != n - v || strncmp(value, selector + v, n - v))))
            return false;
        selector += n + (selector[n] == ',');
    }
    return true;
}

/* ---- lists ---- */

static bool wanted(const struct model_target *t, const char *collection, const char *ns,
                   const struct json *object)
{
    return strcmp(collection, t->collection) == 0 && (!t->ns || (ns && strcmp(ns, t->ns) == 0)) &&
           model_selected__(json_at(object, "metadata.labels"), model_param__(t, "labelSelector"));
}

static struct model_list *snapshot(struct kube_model *m, const struct model_target *t)
{
    struct model_list *l = MODEL_NEED(mem_new(struct model_list));
    struct model_item *it, *next;
    l->items = MODEL_NEED(mem_calloc(HASH_SIZE(m->items) + 1, sizeof *l->items));
    l->version = m->version;
    l->id = ++m->serial;
    HASH_FOREACH (m->items, it, next)
        if (wanted(t, it->collection, it->ns, it->object))
            l->items[l->n++] = MODEL_NEED(mem_strdup(model_text__(it)));
    list_add_tail(&m->lists, &l->link);
    return l;
}

void model_list__(struct kube_model *m, const struct model_target *t, struct kube_model_answer *a)
{
    const char *more = model_param__(t, "continue"), *limit = model_param__(t, "limit");
    unsigned long long id = 0, from = 0;
    struct model_list *l = NULL, *k;
    uint64_t most = UINT64_MAX;
    char version[24];
    if (limit && (str_to_u64(limit, &most) < 0 || most == 0))
        most = UINT64_MAX;
    if (more && sscanf(more, "c%llu:%llu", &id, &from) == 2) {
        LIST_FOREACH (k, &m->lists, link)
            l = k->id == id ? k : l;
        if (!l) {
            model_fail__(a, 410, "Expired", "The provided continue parameter is too old");
            return;
        }
    } else {
        l = snapshot(m, t);
    }
    struct buf b;
    buf_init(&b, (size_t)256 << 20);
    buf_put_text(&b, "{\"kind\":\"List\",\"items\":[");
    for (const char *comma = ""; from < l->n && most > 0; from++, most--, comma = ",") {
        buf_put_text(&b, comma);
        buf_put_text(&b, l->items[from]);
    }
    model_version_text__(l->version, version);
    buf_printf(&b, "],\"metadata\":{\"resourceVersion\":\"%s\"", version);
    bool last = from >= l->n;
    if (!last)
        buf_printf(&b, ",\"continue\":\"c%llu:%llu\"", (unsigned long long)l->id, from);
    buf_put_text(&b, "}}");
    a->status = 200;
    a->body = MODEL_NEED(buf_steal(&b, NULL));
    if (last) {
        list_del(&l->link);
        for (size_t i = 0; i < l->n; i++)
            mem_free(l->items[i]);
        mem_free(l->items);
        mem_free(l);
    }
}

/* ---- watches ---- */

void model_watch__(struct kube_model *m, const struct model_target *t, struct kube_model_answer *a)
{
    const char *version = model_param__(t, "resourceVersion");
    bool initial = model_param__(t, "sendInitialEvents") != NULL;
    uint64_t from = version ? model_version_of__(version) : m->version;
    if (from > m->version) {
        model_fail__(a, 400, "BadRequest", "invalid resourceVersion");
        return;
    }
    if (from + 1 < m->first) {
        model_fail__(a, 410, "Expired", "too old resource version");
        return;
    }
    struct kube_model_watch *w = MODEL_NEED(mem_new(struct kube_model_watch));
    w->m = m;
    w->collection = MODEL_NEED(mem_strdup(t->collection));
    w->ns = mem_strdup(t->ns);
    w->selector = mem_strdup(model_param__(t, "labelSelector"));
    w->next = from + 1;
    if (initial) {
        struct model_list *l = snapshot(m, t);
        list_del(&l->link);
        w->initial = l->items;
        w->n_initial = l->n;
        w->initial_version = l->version;
        w->next = l->version + 1;
        w->end_due = true;
        mem_free(l);
    }
    a->status = 200;
    a->watch = w;
}

void kube_model_watch_free(struct kube_model_watch *w)
{
    if (!w)
        return;
    for (size_t i = w->at; i < w->n_initial; i++)
        mem_free(w->initial[i]);
    mem_free(w->initial);
    mem_free(w->collection);
    mem_free(w->ns);
    mem_free(w->selector);
    mem_free(w);
}

static char *line_of(const char *type, const char *text)
{
    return MODEL_NEED(mem_printf("{\"type\":\"%s\",\"object\":%s}\n", type, text));
}

static char *bookmark(uint64_t version, bool end)
{
    char text[24];
    model_version_text__(version, text);
    return MODEL_NEED(
        mem_printf("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%s\"%s}"
                   "}}\n",
                   text, end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : ""));
}

char *kube_model_watch_bookmark(struct kube_model_watch *w)
{
    bool through = w->at >= w->n_initial && !w->end_due && w->next > w->m->version;
    return through ? bookmark(w->m->version, false) : NULL;
}

char *kube_model_watch_next(struct kube_model_watch *w, bool *ret_expired)
{
    struct kube_model *m = w->m;
    *ret_expired = false;
    if (w->at < w->n_initial) {
        char *line = line_of("ADDED", w->initial[w->at]);
        mem_free(STEAL(w->initial[w->at]));
        w->at++;
        return line;
    }
    if (w->end_due) {
        w->end_due = false;
        return bookmark(w->initial_version, true);
    }
    while (w->next <= m->version) {
        if (w->next < m->first) {
            *ret_expired = true;
            return MODEL_NEED(mem_strdup(
                "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\","
                "\"message\":\"too old resource version\",\"reason\":\"Expired\",\"code\":410}}"
                "\n"));
        }
        const struct model_event *ev = &m->events[w->next++ - m->first];
        if (strcmp(ev->collection, w->collection) != 0 ||
            (w->ns && (!ev->ns || strcmp(ev->ns, w->ns) != 0)))
            continue;
        if (!model_selected__(ev->labels, w->selector)) /* it may have been before */
            return line_of("DELETED", ev->text);
        return line_of(ev->type, ev->text);
    }
    return NULL;
}
