/* The raylets' sessions: hello and what it reconciles, reports, events, subscriptions. */
#include "core/core_impl.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* A job this young may be missing in a hello because its driver was not yet told its id. */
#define YOUNG_JOB_MS 30000

/* ---- state for subscribers ---- */

static bool about(const void *key, size_t key_size, const void *id, size_t id_size)
{
    return key_size == 0 || (key_size == id_size && memcmp(key, id, id_size) == 0);
}

static void state_nodes(struct gcs_core *core, const void *key, size_t key_size, struct commit *c)
{
    struct node_entry *entry;

    LIST_FOREACH (entry, &core->nodes.alive, link) {
        if (about(key, key_size, entry->id.bytes, NODE_ID_SIZE))
            commit_state(c, pub_item_new(RAIA__GCS__CHANNEL__CHANNEL_NODE, entry->id.bytes,
                                         NODE_ID_SIZE, pb_copy(&entry->row->base)));
    }
    if (key_size == 0)
        return;
    LIST_FOREACH (entry, &core->nodes.dead, link) {
        if (about(key, key_size, entry->id.bytes, NODE_ID_SIZE))
            commit_state(c, pub_item_new(RAIA__GCS__CHANNEL__CHANNEL_NODE, entry->id.bytes,
                                         NODE_ID_SIZE, pb_copy(&entry->row->base)));
    }
}

static void state_views(struct gcs_core *core, const void *key, size_t key_size, struct commit *c)
{
    struct view *view, *next;

    HASH_FOREACH (core->views.views, view, next) {
        if (about(key, key_size, view->id.bytes, NODE_ID_SIZE))
            commit_state(c, pub_item_new(RAIA__GCS__CHANNEL__CHANNEL_RESOURCES, view->id.bytes,
                                         NODE_ID_SIZE, pb_copy(&view->last->base)));
    }
}

static void state_jobs(struct gcs_core *core, const void *key, size_t key_size, struct commit *c)
{
    struct job_entry *job, *next;

    HASH_FOREACH (core->jobs.table, job, next) {
        if (about(key, key_size, job->id.bytes, JOB_ID_SIZE))
            commit_state(c, pub_item_new(RAIA__GCS__CHANNEL__CHANNEL_JOB, job->id.bytes,
                                         JOB_ID_SIZE, pb_copy(&job->row->job->base)));
    }
}

static void state_workers(struct gcs_core *core, const void *key, size_t key_size, struct commit *c)
{
    for (size_t i = 0; i < WORKER_DEATHS_MAX; i++) {
        struct pub_item *item = core->worker_deaths[i];

        if (item && about(key, key_size, item->key, item->key_size))
            commit_state(c, pub_item_ref(item));
    }
}

void core_state(struct gcs_core *core, Raia__Gcs__Channel channel, const void *key, size_t key_size,
                struct commit *c)
{
    switch (channel) {
    case RAIA__GCS__CHANNEL__CHANNEL_NODE:
        state_nodes(core, key, key_size, c);
        break;
    case RAIA__GCS__CHANNEL__CHANNEL_RESOURCES:
        state_views(core, key, key_size, c);
        break;
    case RAIA__GCS__CHANNEL__CHANNEL_JOB:
        state_jobs(core, key, key_size, c);
        break;
    case RAIA__GCS__CHANNEL__CHANNEL_ACTOR:
        actor_table_state(&core->actors, key, key_size, c);
        break;
    case RAIA__GCS__CHANNEL__CHANNEL_WORKER:
        state_workers(core, key, key_size, c);
        break;
    default:
        break; /* errors are told once */
    }
}

void core_resync(struct gcs_core *core)
{
    struct subscriber *s;
    struct pub_key *key, *next;

    while (!pipeline_full(&core->pipeline) && (s = pubsub_next_lost(&core->pubsub))) {
        struct commit *c = pipeline_begin(&core->pipeline);

        for (unsigned channel = 0; channel < PUBSUB_CHANNELS; channel++) {
            if (s->all[channel]) {
                core_state(core, channel, NULL, 0, c);
                continue;
            }
            HASH_FOREACH (s->keys[channel], key, next)
                core_state(
                    core, channel, key->bytes,
                    channel == RAIA__GCS__CHANNEL__CHANNEL_JOB ? JOB_ID_SIZE : PUBSUB_KEY_MAX, c);
        }
        commit_state_to(c, &s->node, true);
        pipeline_submit(&core->pipeline, c);
    }
}

static int subscribe(struct gcs_core *core, struct subscriber *s, const Raia__Gcs__Subscribe *m,
                     struct raia_error *e)
{
    struct commit *c;
    int r = pubsub_subscribe(&core->pubsub, s, m->channel, m->key.data, m->key.len, m->off);

    if (r < 0)
        return err_set(e, -r, "subscribe to channel %d with a key of %zu bytes (%zu keys so far)",
                       (int)m->channel, m->key.len, s->n_keys);
    if (m->off)
        return 0;
    c = pipeline_begin(&core->pipeline);
    core_state(core, m->channel, m->key.data, m->key.len, c);
    commit_state_to(c, &s->node, false);
    pipeline_submit(&core->pipeline, c);
    return 0;
}

/* ---- hello ---- */

static void reconcile_jobs(struct gcs_core *core, struct gcs_now now,
                           const Raia__Gcs__SessionHello *hello, const struct node_id *id,
                           struct commit *c)
{
    struct job_entry *job, *next;

    LIST_FOREACH_SAFE (job, next, &core->jobs.alive, link) {
        const Raia__Gcs__Job *row = job->row->job;
        bool here = false;

        if (!row->driver || !pb_bytes_equal(row->driver->node_id, id->bytes, NODE_ID_SIZE) ||
            now.unix_ms - row->start_unix_ms < YOUNG_JOB_MS)
            continue;
        for (size_t i = 0; i < hello->n_driver_jobs; i++)
            here = here || pb_bytes_equal(hello->driver_jobs[i], job->id.bytes, JOB_ID_SIZE);
        if (!here)
            core_job_ends(core, now, job, c);
    }
    for (size_t i = 0; i < hello->n_jobs; i++) {
        struct job_id job_id;

        if (job_id_from_bytes(hello->jobs[i].data, hello->jobs[i].len, &job_id) < 0)
            continue;
        job = job_table_find(&core->jobs, &job_id);
        if (!job || job->row->job->dead)
            job_table_say_ended(&job_id, id, c);
    }
}

int gcs_core_session_hello(struct gcs_core *core, struct gcs_now now,
                           const Raia__Gcs__SessionHello *hello, struct raia_error *e)
{
    struct node_entry *entry = NULL;
    struct commit *c;
    struct node_id id;

    if (node_id_from_bytes(hello->node_id.data, hello->node_id.len, &id) == 0)
        entry = node_table_find_alive(&core->nodes, &id);
    if (!entry)
        return err_set(e, RAIA_ERR_STATE,
                       "session: this node is not registered, or was declared dead");
    if (pipeline_full(&core->pipeline))
        return err_set(e, RAIA_ERR_UNAVAILABLE, "session: the control store is overloaded");
    if (pubsub_open(&core->pubsub, &id) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "session");
    c = pipeline_begin(&core->pipeline);
    if (node_table_head(&core->nodes) == entry)
        submission_table_hello(&core->submissions, now, &id, hello->entrypoints,
                               hello->n_entrypoints, c);
    reconcile_jobs(core, now, hello, &id, c);
    actor_table_hello(&core->actors, now, &id, hello->actors, hello->n_actors, c);
    pipeline_submit(&core->pipeline, c);
    return 0;
}

void gcs_core_session_room(struct gcs_core *core, const struct node_id *node)
{
    pubsub_room(&core->pubsub, node);
}

void gcs_core_session_closed(struct gcs_core *core, const struct node_id *node)
{
    struct node_entry *head = node_table_head(&core->nodes);

    if (head && node_id_equal(&head->id, node))
        submission_table_head_lost(&core->submissions);
    pubsub_close(&core->pubsub, node);
}

/* ---- later messages ---- */

static int report(struct gcs_core *core, struct node_entry *entry,
                  const Raia__Gcs__ResourceReport *m, struct raia_error *e)
{
    Raia__Gcs__ResourceReport mine = *m;
    Raia__Gcs__ResourceReport *copy;
    bool changed;

    mine.node_id = PB_BYTES(entry->id.bytes);
    if (view_table_update(&core->views, &entry->id, &mine, &changed) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "resource report");
    if (!changed)
        return 0;
    copy = pb_copy(&mine.base); /* its lists become the node's, the node's go with it */
    if (!copy)
        return err_set(e, RAIA_ERR_NOMEM, "resource report");
    Raia__Resource **old = entry->row->available;
    size_t n_old = entry->row->n_available;

    entry->row->available = copy->available;
    entry->row->n_available = copy->n_available;
    copy->available = old;
    copy->n_available = n_old;
    entry->row->store_used = m->store_used;
    if (m->store_capacity)
        entry->row->store_capacity = m->store_capacity;
    pb_free(&copy->base);
    actor_table_resources_changed(&core->actors);
    return 0;
}

static void worker_death(struct gcs_core *core, struct gcs_now now, const struct node_id *node,
                         const Raia__Gcs__WorkerDeath *m, struct commit *c)
{
    struct worker_id worker;
    struct pub_item *item, **slot;

    if (!m->address ||
        worker_id_from_bytes(m->address->worker_id.data, m->address->worker_id.len, &worker) < 0)
        return;
    actor_table_worker_died(&core->actors, now, node, &worker, m, c);
    item = pub_item_new(RAIA__GCS__CHANNEL__CHANNEL_WORKER, worker.bytes, WORKER_ID_SIZE,
                        pb_copy(&m->base));
    if (!item) {
        commit_fail(c, RAIA_ERR_NOMEM);
        return;
    }
    slot = &core->worker_deaths[core->n_worker_deaths++ % WORKER_DEATHS_MAX];
    pub_item_unref(*slot);
    *slot = item;
    commit_publish(c, RAIA__GCS__CHANNEL__CHANNEL_WORKER, worker.bytes, WORKER_ID_SIZE,
                   pb_copy(&m->base));
}

int gcs_core_session_message(struct gcs_core *core, struct gcs_now now, const struct node_id *node,
                             const Raia__Gcs__SessionUp *up, struct raia_error *e)
{
    struct node_entry *entry = node_table_find_alive(&core->nodes, node);
    struct subscriber *s = pubsub_find(&core->pubsub, node);
    struct commit *c;

    if (!entry || !s)
        return err_set(e, RAIA_ERR_STATE, "session: this node was declared dead");
    if (up->body_case == RAIA__GCS__SESSION_UP__BODY_RESOURCES)
        return report(core, entry, up->resources, e);
    if (pipeline_full(&core->pipeline))
        return err_set(e, RAIA_ERR_UNAVAILABLE, "session: the control store is overloaded");
    if (up->body_case == RAIA__GCS__SESSION_UP__BODY_SUBSCRIBE)
        return subscribe(core, s, up->subscribe, e);
    c = pipeline_begin(&core->pipeline);
    switch (up->body_case) {
    case RAIA__GCS__SESSION_UP__BODY_ENTRYPOINT:
        submission_table_event(&core->submissions, now, node, up->entrypoint, c);
        break;
    case RAIA__GCS__SESSION_UP__BODY_WORKER_DEATH:
        worker_death(core, now, node, up->worker_death, c);
        break;
    case RAIA__GCS__SESSION_UP__BODY_ACTOR:
        actor_table_event(&core->actors, now, node, up->actor, c);
        break;
    default:
        break; /* of a later version */
    }
    pipeline_submit(&core->pipeline, c);
    return 0;
}
