/*
 * The model's objects and events, and its writes.
 */
#include <stdio.h>
#include <string.h>

#include "kube/sim/model_impl.h"
#include "kube/wall_time.h"

/* ---- versions: a bijection of 32 bits, so that their texts are in no order ---- */

void model_version_text__(uint64_t version, char to[24])
{
    snprintf(to, 24, "%u", (uint32_t)version * 2654435761u ^ 0x5bd1e995u);
}

uint64_t model_version_of__(const char *text)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (end == text || *end || v > UINT32_MAX)
        return UINT64_MAX;
    return (uint32_t)(((uint32_t)v ^ 0x5bd1e995u) * 244002641u);
}

/* ---- life ---- */

void kube_model_new(struct kube_model **ret_m)
{
    struct kube_model *m = MODEL_NEED(mem_new(struct kube_model));
    list_init(&m->lists);
    m->first = 1;
    *ret_m = m;
}

static void free_item(struct kube_model *m, struct model_item *it)
{
    HASH_DEL(m->items, it);
    mem_free(it->key);
    mem_free(it->collection);
    mem_free(it->ns);
    mem_free(it->name);
    json_free(it->object);
    mem_free(it->text);
    mem_free(it);
}

void kube_model_compact(struct kube_model *m)
{
    struct model_list *l;
    for (size_t i = 0; i < m->n_events; i++) {
        mem_free(m->events[i].collection);
        mem_free(m->events[i].ns);
        json_free(m->events[i].labels);
        mem_free(m->events[i].text);
    }
    m->n_events = 0;
    m->first = m->version + 1;
    while ((l = LIST_FIRST(&m->lists, struct model_list, link))) {
        list_del(&l->link);
        for (size_t i = 0; i < l->n; i++)
            mem_free(l->items[i]);
        mem_free(l->items);
        mem_free(l);
    }
}

void kube_model_free(struct kube_model *m)
{
    struct model_item *it, *next;
    if (!m)
        return;
    kube_model_compact(m);
    HASH_FOREACH (m->items, it, next)
        free_item(m, it);
    mem_free(m->events);
    mem_free(m);
}

void kube_model_on_write(struct kube_model *m, void (*fn)(void *arg), void *arg)
{
    m->on_write = fn;
    m->on_write_arg = arg;
}

void kube_model_answer_done(struct kube_model_answer *a)
{
    mem_free(a->body);
    kube_model_watch_free(a->watch);
    *a = (struct kube_model_answer){0};
}

/* ---- looking ---- */

static char *key_of(const char *collection, const char *ns, const char *name)
{
    return MODEL_NEED(mem_printf("%s|%s|%s", collection, ns ? ns : "", name));
}

struct model_item *model_find__(const struct kube_model *m, const char *collection, const char *ns,
                                const char *name)
{
    _cleanup_(mem_freep) char *key = key_of(collection, ns, name);
    struct model_item *items = m->items;
    return HASH_GET_STR(items, key);
}

const struct json *kube_model_get(const struct kube_model *m, const char *collection,
                                  const char *ns, const char *name)
{
    const struct model_item *it = model_find__(m, collection, ns, name);
    return it ? it->object : NULL;
}

void kube_model_each(const struct kube_model *m, const char *collection, kube_model_fn fn,
                     void *arg)
{
    struct model_item *it, *next;
    HASH_FOREACH (m->items, it, next)
        if (strcmp(it->collection, collection) == 0)
            fn(arg, it->ns, it->name, it->object);
}

static void count_one(void *arg, const char *ns, const char *name, const struct json *object)
{
    (void)ns, (void)name, (void)object;
    ++*(unsigned *)arg;
}

unsigned kube_model_count(const struct kube_model *m, const char *collection)
{
    unsigned n = 0;
    kube_model_each(m, collection, count_one, &n);
    return n;
}

uint64_t kube_model_writes(const struct kube_model *m)
{
    return m->version;
}

/* ---- writing ---- */

const char *model_text__(struct model_item *it)
{
    if (!it->text)
        it->text = MODEL_NEED(json_print(it->object, JSON_COMPACT, NULL));
    return it->text;
}

static void note_event(struct kube_model *m, const char *type, struct model_item *it)
{
    char version[24];
    model_version_text__(++m->version, version);
    json_set_str(json_get(it->object, "metadata"), "resourceVersion", version);
    mem_free(STEAL(it->text));
    if (m->n_events == m->cap_events) {
        m->cap_events = m->cap_events ? 2 * m->cap_events : 64;
        m->events = MODEL_NEED(mem_realloc(m->events, m->cap_events * sizeof *m->events));
    }
    m->events[m->n_events++] =
        (struct model_event){type, MODEL_NEED(mem_strdup(it->collection)), mem_strdup(it->ns),
                             json_copy(json_at(it->object, "metadata.labels")),
                             MODEL_NEED(mem_strdup(model_text__(it)))};
}

static void wake(struct kube_model *m)
{
    if (m->on_write)
        m->on_write(m->on_write_arg);
}

void model_add__(struct kube_model *m, const struct model_target *t, const char *name,
                 struct json *object)
{
    struct model_item *it = MODEL_NEED(mem_new(struct model_item));
    it->key = key_of(t->collection, t->ns, name);
    it->collection = MODEL_NEED(mem_strdup(t->collection));
    it->ns = mem_strdup(t->ns);
    it->name = MODEL_NEED(mem_strdup(name));
    it->object = object;
    if (HASH_PUT_STR(m->items, key, it) < 0)
        abort();
    note_event(m, "ADDED", it);
    wake(m);
}

void model_remove__(struct kube_model *m, struct model_item *it)
{
    note_event(m, "DELETED", it);
    free_item(m, it);
    wake(m);
}

/* Is it the same but for its version. */
static bool same(const struct json *a, struct json *b)
{
    const char *version = json_str(json_at(a, "metadata.resourceVersion"));
    json_set_str(json_get(b, "metadata"), "resourceVersion", version);
    return json_equal(a, b);
}

void model_store__(struct kube_model *m, struct model_item *it, struct json *object)
{
    if (same(it->object, object)) {
        json_free(object);
        return;
    }
    if (!json_equal(json_get(it->object, "spec"), json_get(object, "spec"))) {
        int64_t generation = 0;
        (void)json_int(json_at(object, "metadata.generation"), &generation);
        json_set_int(json_get(object, "metadata"), "generation", generation + 1);
    }
    json_free(it->object);
    it->object = object;
    mem_free(STEAL(it->text));
    if (json_at(object, "metadata.deletionTimestamp") &&
        json_size(json_at(object, "metadata.finalizers")) == 0) {
        model_remove__(m, it);
        return;
    }
    note_event(m, "MODIFIED", it);
    wake(m);
}

unsigned kube_model_collect(struct kube_model *m)
{
    unsigned n = 0;
    struct model_item *it, *next, *other, *after;
    bool again = true;
    while (again) {
        again = false;
        HASH_FOREACH (m->items, it, next) {
            bool owned = false, alive = false;
            JSON_FOREACH(o, json_at(it->object, "metadata.ownerReferences"))
            {
                const char *uid = json_str(json_get(o, "uid"));
                owned = true;
                HASH_FOREACH (m->items, other, after)
                    alive |=
                        uid && strcmp(json_str(json_at(other->object, "metadata.uid")), uid) == 0;
            }
            if (owned && !alive) {
                model_remove__(m, it);
                n++;
                again = true;
                break;
            }
        }
    }
    return n;
}
