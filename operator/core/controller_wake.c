/*
 * Which keys the changes of what is watched wake.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/controller_impl.h"

/* A key that cannot be taken down is not lost: all are added a little later. */
void controller_add__(struct controller *c, const char *uid)
{
    int64_t now = controller_now__(c);
    if (kube_queue_add(c->queue, uid, now) < 0) {
        c->rescan = true;
        now += CLOCK_NS_PER_S;
    }
    controller_pump_soon__(c, now);
}

/* Pods change one after the other: their owner waits for more of them. */
static void add_soon(struct controller *c, const char *uid)
{
    int64_t now = controller_now__(c);
    int64_t due = now + controller_pods_wait__(c);
    if (kube_queue_add_at(c->queue, uid, due, now) < 0) {
        c->rescan = true;
        due = now + CLOCK_NS_PER_S;
    }
    controller_pump_soon__(c, due);
}

void controller_add_all__(struct controller *c)
{
    struct item *it, *next;
    c->rescan = false;
    HASH_FOREACH (c->items, it, next)
        controller_add__(c, it->uid);
}

static void on_own(struct source *s, enum kube_change change, const struct kube_object *old,
                   const struct kube_object *now)
{
    struct controller *c = s->c;
    struct item *it = controller_item__(c, (now ? now : old)->uid);
    if (change == KUBE_REMOVED) {
        if (it)
            controller_item_gone__(it);
        return;
    }
    if (!it)
        it = controller_item_new__(s, now);
    if (now->deleting) /* by a plan of its own, perhaps: nobody owns it who would wait for that */
        kube_expect_deleted(s->expected, now->uid, now->uid);
    if (!it || controller_item_watch__(it, now) < 0)
        c->rescan = true; /* with items made of the stores */
    if (it)
        controller_add__(c, it->uid);
}

static void wake_watchers(struct controller *c, const char *ns, const char *cluster)
{
    char key[512];
    struct item *it;
    snprintf(key, sizeof key, "%s/%s", ns ? ns : "", cluster);
    struct watch *w = c->watches ? HASH_GET_STR(c->watches, key) : NULL;
    if (w)
        LIST_FOREACH (it, &w->items, watch_link)
            controller_add__(c, it->uid);
}

/* A pod with a cluster's label that is not the cluster's own; and heads, for RayJobs. */
static void on_pod(struct controller *c, const struct kube_object *pod, bool owned)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    if (owned && (!c->watches || !controller_maybe_head__(pod)))
        return;
    if (kube_object_tree(pod, &tree, NULL) < 0) {
        c->rescan = true;
        return;
    }
    const char *cluster = json_str(json_get(json_at(tree, "metadata.labels"), RAY_CLUSTER_LABEL));
    if (!cluster)
        return;
    if (controller_maybe_head__(pod))
        wake_watchers(c, pod->ns, cluster);
    struct source *s = controller_source__(c, &ray_clusters, pod->ns);
    const struct kube_object *o =
        owned || !s || !s->r ? NULL : kube_store_get(kube_informer_store(s->inf), pod->ns, cluster);
    if (o)
        controller_add__(c, o->uid);
}

/* Whose key it wakes: its owner's. Of a submitter's pod that is a Job: the RayJob is named by a
 * label. */
static struct item *owner_of(struct source *s, const struct kube_object *o)
{
    struct controller *c = s->c;
    _cleanup_(json_freep) struct json *tree = NULL;
    if (s->kind != SEEN_SUBMITTERS)
        return controller_item__(c, o->owner_uid);
    struct source *jobs = controller_source__(c, &ray_jobs, o->ns);
    if (!jobs)
        return NULL;
    if (kube_object_tree(o, &tree, NULL) < 0) {
        c->rescan = true;
        return NULL;
    }
    const char *name = json_str(json_get(json_at(tree, "metadata.labels"), RAY_ORIGIN_LABEL));
    const struct kube_object *job =
        name ? kube_store_get(kube_informer_store(jobs->inf), o->ns, name) : NULL;
    return job ? controller_item__(c, job->uid) : NULL;
}

/* Any change of anything: what was waited for, its owner's key, and the key of its own. */
void controller_on_child__(void *arg, enum kube_change change, const struct kube_object *old,
                           const struct kube_object *now)
{
    struct source *s = arg;
    struct controller *c = s->c;
    const struct kube_object *o = now ? now : old;
    struct item *owner = owner_of(s, o);
    bool removed = change == KUBE_REMOVED;
    if (owner) {
        if (change == KUBE_ADDED)
            kube_expect_created(s->expected, owner->uid, now->name);
        if (removed || now->deleting)
            kube_expect_deleted(s->expected, owner->uid, o->uid);
        if (s->kind == SEEN_PODS && change == KUBE_CHANGED && !now->deleting)
            add_soon(c, owner->uid);
        else if (!removed || !OPERATOR_PLANTED(OPERATOR_PLANT_NO_CHILD))
            controller_add__(c, owner->uid);
    }
    /* One that has changed hands. */
    struct item *before = old && now ? controller_item__(c, old->owner_uid) : NULL;
    if (before && before != owner)
        controller_add__(c, before->uid);
    if (s->kind == SEEN_PODS)
        on_pod(c, o, owner != NULL);
    if (s->kind == SEEN_CLUSTERS && c->watches)
        wake_watchers(c, o->ns, o->name);
    if (s->r)
        on_own(s, change, old, now);
}

/* The owners of the pods on a node. */
void controller_on_node__(void *arg, enum kube_change change, const struct kube_object *old,
                          const struct kube_object *now)
{
    struct controller *c = ((struct source *)arg)->c;
    char text[300]; /* a node's name has 253 bytes at most */
    (void)change;
    if (!controller_synced(c))
        return; /* all keys are still to have their first turn */
    snprintf(text, sizeof text, "\"nodeName\":\"%s\"", (now ? now : old)->name);
    for (size_t i = 0; i < c->n_sources; i++) {
        struct source *s = &c->sources[i];
        if (s->kind != SEEN_PODS && s->kind != SEEN_SUBMITTERS)
            continue;
        KUBE_STORE_FOREACH(pod, kube_informer_store(s->inf))
        {
            struct item *owner = owner_of(s, pod);
            if (!owner)
                continue;
            _cleanup_(mem_freep) char *whole = kube_object_text(pod);
            if (!whole || strstr(whole, text)) /* without memory: perhaps */
                controller_add__(c, owner->uid);
        }
    }
}

void controller_on_sync__(void *arg, int64_t began)
{
    struct source *s = arg;
    struct controller *c = s->c;
    if (s->expected) {
        size_t before = kube_expect_count(s->expected);
        kube_expect_settle(s->expected, began);
        if (kube_expect_count(s->expected) < before)
            controller_add_all__(c); /* those that waited */
    }
    controller_pump_soon__(c, controller_now__(c));
}

void controller_on_trouble__(void *arg, const struct kube_error *error)
{
    struct controller *c = ((struct source *)arg)->c;
    if (error->reason == KUBE_EXPIRED)
        return; /* it happens: a list mends it */
    c->stats.informer_failures++;
    controller_trouble__(c, NULL, error->base.text);
}
