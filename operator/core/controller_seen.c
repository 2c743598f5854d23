/*
 * What a reconciler is shown: the object, what belongs to it, and what it looks at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/controller_impl.h"

#define NODE_TYPE_LABEL "ray.io/node-type"

const char *controller_cluster_of__(const struct json *tree)
{
    const char *selected =
        json_str(json_get(json_at(tree, "spec.clusterSelector"), RAY_CLUSTER_LABEL));
    const char *own = json_str(json_at(tree, "status.rayClusterName"));
    const char *name = selected && selected[0] ? selected : own;
    return name && name[0] ? name : NULL;
}

/* Without reading its tree: stores keep compact text. */
bool controller_maybe_head__(const struct kube_object *pod)
{
    _cleanup_(mem_freep) char *text = kube_object_text(pod);
    return !text || strstr(text, "\"" NODE_TYPE_LABEL "\":\"head\"");
}

static int parse(struct seen_room *room, const struct kube_object *o, struct seen_object *ret_s,
                 struct raia_error *e)
{
    if (room->n == room->cap) {
        size_t cap = room->cap ? 2 * room->cap : 32;
        struct json **more = mem_realloc(room->trees, cap * sizeof *more);
        if (!more)
            return err_set(e, RAIA_ERR_NOMEM, "out of memory for what is seen");
        room->trees = more;
        room->cap = cap;
    }
    int r = kube_object_tree(o, &room->trees[room->n], e);
    if (r < 0)
        return r;
    *ret_s = (struct seen_object){o, room->trees[room->n++]};
    return 0;
}

static int put(struct seen_room *room, const struct kube_object *o, struct raia_error *e)
{
    if (room->n_objects == room->cap_objects) {
        size_t cap = room->cap_objects ? 2 * room->cap_objects : 32;
        struct seen_object *more = mem_realloc(room->objects, cap * sizeof *more);
        if (!more)
            return err_set(e, RAIA_ERR_NOMEM, "out of memory for what is seen");
        room->objects = more;
        room->cap_objects = cap;
    }
    int r = parse(room, o, &room->objects[room->n_objects], e);
    room->n_objects += r == 0;
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct seen_object *)a)->meta->name,
                  ((const struct seen_object *)b)->meta->name);
}

static void sort(struct seen_room *room, size_t from)
{
    if (room->n_objects - from > 1)
        qsort(room->objects + from, room->n_objects - from, sizeof *room->objects, by_name);
}

static int see_owned(struct item *it, int kind, struct seen_room *room, struct raia_error *e)
{
    struct source *s = controller_source__(it->c, fields_of(kind)->resource, it->ns);
    size_t from = room->n_objects;
    int r = 0;
    if (!s)
        return 0;
    KUBE_INDEX_FOREACH(o, kube_informer_store(s->inf), INDEX_OWNER, NULL, it->uid)
    if (r == 0)
        r = put(room, o, e);
    sort(room, from);
    return r;
}

/* The pods of the Jobs that are seen: objects from begin to end. */
static int see_submitters(struct item *it, size_t begin, size_t end, struct seen_room *room,
                          struct raia_error *e)
{
    struct source *s = controller_source__(it->c, fields_of(SEEN_SUBMITTERS)->resource, it->ns);
    size_t from = room->n_objects;
    int r = 0;
    for (size_t i = begin; s && i < end; i++) {
        const char *job = room->objects[i].meta->uid;
        KUBE_INDEX_FOREACH(o, kube_informer_store(s->inf), INDEX_OWNER, NULL, job)
        if (r == 0)
            r = put(room, o, e);
    }
    sort(room, from);
    return r;
}

static int see_foreign(struct item *it, struct seen_room *room, struct raia_error *e)
{
    struct source *s = controller_source__(it->c, &kube_pods, it->ns);
    size_t from = room->n_objects;
    int r = 0;
    if (!s)
        return 0;
    KUBE_INDEX_FOREACH(o, kube_informer_store(s->inf), INDEX_CLUSTER, it->ns, it->name)
    if (r == 0 && (!o->owner_uid || strcmp(o->owner_uid, it->uid) != 0))
        r = put(room, o, e);
    sort(room, from);
    return r;
}

static int see_named(struct item *it, const struct kube_resource *resource, const char *name,
                     struct seen_object *ret_s, struct seen_room *room, struct raia_error *e)
{
    struct source *s = name ? controller_source__(it->c, resource, it->ns) : NULL;
    const struct kube_object *o =
        s ? kube_store_get(kube_informer_store(s->inf), it->ns, name) : NULL;
    return o ? parse(room, o, ret_s, e) : 0;
}

/* The head pod of a cluster: of several one that is not going. */
static int see_head(struct item *it, const char *cluster, struct seen_object *ret_s,
                    struct seen_room *room, struct raia_error *e)
{
    struct source *s = cluster ? controller_source__(it->c, &kube_pods, it->ns) : NULL;
    int r = 0;
    if (!s)
        return 0;
    KUBE_INDEX_FOREACH(o, kube_informer_store(s->inf), INDEX_CLUSTER, it->ns, cluster)
    {
        struct seen_object pod = {0};
        if (!controller_maybe_head__(o))
            continue;
        if ((r = parse(room, o, &pod, e)) < 0)
            return r;
        const char *type =
            json_str(json_get(json_at(pod.tree, "metadata.labels"), NODE_TYPE_LABEL));
        if (type && strcmp(type, "head") == 0 && (!ret_s->meta || ret_s->meta->deleting))
            *ret_s = pod;
    }
    return 0;
}

int controller_see__(struct item *it, const struct kube_object *o, struct seen *ret_s,
                     struct seen_room *room, struct raia_error *e)
{
    struct controller *c = it->c;
    struct kube_transport *t = kube_client_transport(c->o.client);
    const struct kube_resource *own = it->source->fields->resource;
    size_t begin[SEEN_KINDS + 1] = {0}, foreign;
    struct seen_object self = {0};
    int r = parse(room, o, &self, e);
    *ret_s = (struct seen){.meta = o,
                           .tree = self.tree,
                           .nodes = kube_informer_store(c->nodes),
                           .failure = it->failure,
                           .failed = it->failed,
                           .now = controller_now__(c),
                           .wall_ns = t->ops->unix_ms(t) * CLOCK_NS_PER_MS};
    for (int kind = 0; r == 0 && kind < SEEN_KINDS; kind++) {
        if (it->source->r->wants & 1u << kind)
            r = kind == SEEN_SUBMITTERS
                    ? see_submitters(it, begin[SEEN_JOBS], begin[SEEN_JOBS + 1], room, e)
                    : see_owned(it, kind, room, e);
        begin[kind + 1] = room->n_objects;
    }
    foreign = room->n_objects;
    if (r == 0 && own == &ray_clusters && it->source->r->wants & 1u << SEEN_PODS)
        r = see_foreign(it, room, e);
    if (r == 0 && own == &ray_jobs) {
        const char *selected =
            json_str(json_get(json_at(self.tree, "spec.clusterSelector"), RAY_CLUSTER_LABEL));
        const char *cluster = json_str(json_at(self.tree, "status.rayClusterName"));
        r = see_named(it, &ray_clusters, selected, &ret_s->selected, room, e);
        if (r == 0)
            r = see_head(it, cluster && cluster[0] ? cluster : selected, &ret_s->head, room, e);
    }
    /* Only now: the array has moved while it grew. */
    for (int kind = 0; r == 0 && kind < SEEN_KINDS; kind++)
        ret_s->of[kind] =
            (struct seen_list){room->objects + begin[kind], begin[kind + 1] - begin[kind]};
    if (r == 0)
        ret_s->foreign = (struct seen_list){room->objects + foreign, room->n_objects - foreign};
    return r;
}

void controller_see_done__(struct seen_room *room)
{
    for (size_t i = 0; i < room->n; i++)
        json_free(room->trees[i]);
    mem_free(room->trees);
    mem_free(room->objects);
}
