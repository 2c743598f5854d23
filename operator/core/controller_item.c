/*
 * Keys: an object with a reconciler, and which cluster a RayJob's looks at.
 */
#include <string.h>

#include "base/err.h"
#include "core/controller_impl.h"

struct item *controller_item__(struct controller *c, const char *uid)
{
    return uid ? HASH_GET_STR(c->items, uid) : NULL;
}

void controller_item_cancel__(struct item *it)
{
    struct call_op *op, *next;
    it->holds++;
    if (it->run)
        controller_run_cut__(it->run);
    LIST_FOREACH_SAFE (op, next, &it->calls, link)
        controller_call_cancel__(op);
    it->holds--;
}

static void unwatch(struct item *it)
{
    struct watch *w = it->watch;
    if (!w)
        return;
    list_del(&it->watch_link);
    it->watch = NULL;
    if (list_empty(&w->items)) {
        HASH_DEL(it->c->watches, w);
        mem_free(w);
    }
}

static void free_item(struct item *it)
{
    if (it->source->r && it->source->r->forget)
        it->source->r->forget(it->source->r, it->memory);
    list_del(&it->watch_link); /* of the dying */
    for (unsigned i = 0; i < it->n_stale; i++)
        mem_free(it->stale[i]);
    mem_free(it->uid);
    mem_free(it->ns);
    mem_free(it->name);
    mem_free(it->failure);
    mem_free(it->failed);
    mem_free(it);
}

void controller_release__(struct item *it)
{
    if (it->gone && !it->holds && !it->run && list_empty(&it->calls))
        free_item(it);
}

/* Which cluster a RayJob looks at may change with its status. */
int controller_item_watch__(struct item *it, const struct kube_object *o)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    _cleanup_(mem_freep) char *key = NULL;
    if (it->source->fields->resource != &ray_jobs)
        return 0;
    int r = kube_object_tree(o, &tree, NULL);
    const char *name = r < 0 ? NULL : controller_cluster_of__(tree);
    if (name && !(key = mem_printf("%s/%s", it->ns, name)))
        return -RAIA_ERR_NOMEM;
    if (r < 0 || (key && it->watch && strcmp(it->watch->key, key) == 0))
        return r;
    unwatch(it);
    struct watch *w = key ? HASH_GET_STR(it->c->watches, key) : NULL;
    if (key && !w) {
        size_t n = strlen(key) + 1;
        if (!(w = mem_zalloc(sizeof *w + n)))
            return -RAIA_ERR_NOMEM;
        memcpy(w->key, key, n);
        list_init(&w->items);
        if (HASH_PUT_STR(it->c->watches, key, w) < 0) {
            mem_free(w);
            return -RAIA_ERR_NOMEM;
        }
    }
    if (w)
        list_add_tail(&w->items, &it->watch_link);
    it->watch = w;
    return 0;
}

struct item *controller_item_new__(struct source *s, const struct kube_object *o)
{
    struct controller *c = s->c;
    struct item *it = mem_new(struct item);
    if (!it)
        return NULL;
    it->c = c;
    it->source = s;
    list_init(&it->calls);
    list_init(&it->watch_link);
    list_init(&it->lag_link);
    it->uid = mem_strdup(o->uid);
    it->ns = mem_strdup(o->ns);
    it->name = mem_strdup(o->name);
    if (!it->uid || !it->name || (o->ns && !it->ns) || HASH_PUT_STR(c->items, uid, it) < 0) {
        mem_free(it->uid);
        mem_free(it->ns);
        mem_free(it->name);
        mem_free(it);
        return NULL;
    }
    return it;
}

void controller_item_gone__(struct item *it)
{
    struct controller *c = it->c;
    HASH_DEL(c->items, it);
    unwatch(it);
    list_add_tail(&c->dying, &it->watch_link);
    list_del(&it->lag_link);
    kube_queue_forget(c->queue, it->uid);
    for (size_t i = 0; i < c->n_sources; i++)
        kube_expect_drop(c->sources[i].expected, it->uid);
    it->gone = true;
    controller_item_cancel__(it);
    controller_release__(it);
}

void controller_items_free__(struct controller *c)
{
    struct item *it, *next;
    HASH_FOREACH (c->items, it, next) {
        HASH_DEL(c->items, it);
        unwatch(it);
        list_del(&it->lag_link);
        free_item(it);
    }
}
