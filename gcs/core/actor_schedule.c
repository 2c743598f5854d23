/* Placing actors: which node, and the command to its raylet. */
#include "core/actor_table.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/pb.h"

/* Nodes used less than this count as equally empty, so that actors spread by number there. */
#define PACK_THRESHOLD 0.5
/* Waiting actors looked at in one tick. */
#define SCHEDULE_BATCH 1000

/* How a node suits; lower is better. */
struct score {
    double used;     /* the largest used fraction of any resource; 0 below the threshold */
    size_t actors;   /* on it */
    bool not_owners; /* it is not the owner's node */
};

static double used_fraction(const Raia__Gcs__ResourceReport *view)
{
    double most = 0;

    for (size_t i = 0; i < view->n_total; i++) {
        int64_t total = view->total[i]->quantity, left;

        if (total <= 0)
            continue;
        left = resources_get(view->available, view->n_available, view->total[i]->name);
        if (1.0 - (double)left / (double)total > most)
            most = 1.0 - (double)left / (double)total;
    }
    return most < PACK_THRESHOLD ? 0 : most;
}

static bool better(const struct score *a, const struct score *b)
{
    if (a->used != b->used)
        return a->used < b->used;
    if (a->actors != b->actors)
        return a->actors < b->actors;
    return !a->not_owners && b->not_owners;
}

/* What is needed to be placed: at least what is held while running. */
static bool fits(const Raia__Gcs__ActorSpec *spec, Raia__Resource *const *have, size_t n)
{
    return resources_fit(spec->placement, spec->n_placement, have, n) &&
           resources_fit(spec->resources, spec->n_resources, have, n);
}

static struct view *choose(struct actor_table *t, const struct actor_entry *entry,
                           bool *ret_feasible)
{
    const Raia__Gcs__ActorSpec *spec = entry->row->spec;
    struct score best_score = {0}, score;
    struct node_entry *node;
    struct view *best = NULL, *view;

    *ret_feasible = false;
    LIST_FOREACH (node, &t->nodes->alive, link) {
        view = view_table_find(t->views, &node->id);
        if (node->row->state != RAIA__GCS__NODE_STATE__NODE_ALIVE || !view)
            continue;
        if (!fits(spec, view->last->total, view->last->n_total))
            continue;
        *ret_feasible = true;
        if (!fits(spec, view->last->available, view->last->n_available) ||
            !pubsub_find(t->pubsub, &node->id))
            continue;
        score = (struct score){.used = used_fraction(view->last),
                               .actors = node->actors,
                               .not_owners =
                                   !spec->owner || !pb_bytes_equal(spec->owner->node_id,
                                                                   node->id.bytes, NODE_ID_SIZE)};
        if (!best || better(&score, &best_score)) {
            best = view;
            best_score = score;
        }
    }
    return best;
}

void actor_send_create__(struct actor_entry *entry, struct commit *c)
{
    Raia__Gcs__SessionDown down = RAIA__GCS__SESSION_DOWN__INIT;
    Raia__Gcs__CreateActor create = RAIA__GCS__CREATE_ACTOR__INIT;
    struct node_id node;

    if (node_id_from_bytes(entry->row->address->node_id.data, entry->row->address->node_id.len,
                           &node) < 0)
        return;
    create.actor = entry->row;
    down.body_case = RAIA__GCS__SESSION_DOWN__BODY_CREATE_ACTOR;
    down.create_actor = &create;
    commit_send(c, &node, &down);
}

/* Tells the job, once, that it waits for a node that is not there. */
static void warn_infeasible(struct actor_entry *entry, struct gcs_now now, struct commit *c)
{
    Raia__Gcs__JobError error = RAIA__GCS__JOB_ERROR__INIT;
    char text[256];

    if (entry->warned)
        return;
    entry->warned = true;
    (void)snprintf(
        text, sizeof text,
        "actor '%.100s' waits: no node of the cluster has the resources that it asks for",
        entry->row->spec->class_name);
    error.job_id = entry->row->spec->job_id;
    error.kind = (char *)(uintptr_t) "infeasible_actor";
    error.text = text;
    error.unix_ms = now.unix_ms;
    commit_publish(c, RAIA__GCS__CHANNEL__CHANNEL_ERROR, error.job_id.data, error.job_id.len,
                   pb_copy(&error.base));
}

void actor_place__(struct actor_table *t, struct gcs_now now, struct actor_entry *entry,
                   struct commit *c)
{
    Raia__Gcs__Actor *row = entry->row;
    bool feasible;
    struct view *view = choose(t, entry, &feasible);

    if (!view) {
        if (!feasible && t->nodes->n_alive)
            warn_infeasible(entry, now, c);
        return;
    }
    /* Until the node's next report, which knows better. */
    resources_take(row->spec->resources, row->spec->n_resources, view->last->available,
                   view->last->n_available);
    if (pb_set_bytes(&row->address->node_id, view->id.bytes, NODE_ID_SIZE) < 0)
        commit_fail(c, RAIA_ERR_NOMEM);
    actor_count__(t, entry, 1);
    row->incarnation++;
    list_del(&entry->link);
    list_add_tail(&t->placed, &entry->link);
    actor_store__(entry, c);
    actor_send_create__(entry, c);
}

void actor_table_resources_changed(struct actor_table *t)
{
    t->dirty = true;
}

bool actor_table_wants_schedule(const struct actor_table *t, struct gcs_now now)
{
    struct actor_entry *entry;

    if (t->counts[RAIA__GCS__ACTOR_STATE__ACTOR_DEAD] > t->max_dead)
        return true;
    if (t->dirty)
        return !list_empty(&t->waiting);
    LIST_FOREACH (entry, &t->waiting, link) {
        if (entry->retry_ms)
            return now.mono_ms >= entry->retry_ms;
    }
    return false;
}

void actor_table_schedule(struct actor_table *t, struct gcs_now now, struct commit *c)
{
    struct actor_entry *entry, *next;
    int n = 0;

    t->dirty = false;
    actor_trim__(t, c); /* here, where nobody walks over the table */
    LIST_FOREACH_SAFE (entry, next, &t->waiting, link) {
        if (++n > SCHEDULE_BATCH) {
            t->dirty = true;
            return;
        }
        if (now.mono_ms < entry->retry_ms)
            continue;
        entry->retry_ms = 0;
        actor_place__(t, now, entry, c);
    }
}
