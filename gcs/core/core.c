/* The core: its life, loading from storage, ticks, and what involves several tables. */
#include "core/core_impl.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static struct gcs_config with_defaults(const struct gcs_config *given)
{
    struct gcs_config c = given ? *given : (struct gcs_config){0};

#define DEFAULT(member, value)                                                                     \
    if (c.member == 0)                                                                             \
    c.member = (value)
    DEFAULT(heartbeat_ms, 3000);
    DEFAULT(lease_ms, 15000);
    DEFAULT(grace_ms, 5000);
    DEFAULT(max_nodes, 4096);
    DEFAULT(max_dead_nodes, 1000);
    DEFAULT(max_jobs, 10000);
    DEFAULT(max_dead_jobs, 1000);
    DEFAULT(max_submissions, 1000);
    DEFAULT(max_ended_submissions, 1000);
    DEFAULT(max_actors, 100000);
    DEFAULT(max_dead_actors, 10000);
    DEFAULT(kv_bytes, 256u << 20);
    DEFAULT(max_commits, 10000);
    DEFAULT(max_queue, 10000);
    DEFAULT(max_subscriptions, 100000);
#undef DEFAULT
    return c;
}

int gcs_core_new(const struct gcs_config *config, struct storage *storage,
                 const struct gcs_effects *effects, struct gcs_core **ret_core,
                 struct raia_error *e)
{
    struct gcs_core *core = mem_new(struct gcs_core);
    const struct gcs_config *limits;

    if (!core)
        return err_set(e, RAIA_ERR_NOMEM, "control store");
    core->config = with_defaults(config);
    limits = &core->config;
    core->fx = *effects;
    pubsub_init(&core->pubsub, &core->fx, limits->max_queue, limits->max_subscriptions);
    pipeline_init(&core->pipeline, storage, &core->fx, &core->pubsub, limits->max_commits);
    node_table_init(&core->nodes);
    core->nodes.max_alive = limits->max_nodes;
    core->nodes.max_dead = limits->max_dead_nodes;
    core->nodes.lease_ms = limits->lease_ms;
    core->nodes.grace_ms = limits->grace_ms;
    job_table_init(&core->jobs);
    core->jobs.max_alive = limits->max_jobs;
    core->jobs.max_dead = limits->max_dead_jobs;
    submission_table_init(&core->submissions);
    core->submissions.max_live = limits->max_submissions;
    core->submissions.max_ended = limits->max_ended_submissions;
    core->kv.max_bytes = limits->kv_bytes;
    actor_table_init(&core->actors, &core->nodes, &core->views, &core->pubsub);
    core->actors.max_live = limits->max_actors;
    core->actors.max_dead = limits->max_dead_actors;
    *ret_core = core;
    return 0;
}

void gcs_core_free(struct gcs_core *core)
{
    if (!core)
        return;
    pipeline_fini(&core->pipeline);
    pubsub_fini(&core->pubsub);
    for (size_t i = 0; i < WORKER_DEATHS_MAX; i++)
        pub_item_unref(core->worker_deaths[i]);
    actor_table_fini(&core->actors);
    kv_table_fini(&core->kv);
    submission_table_fini(&core->submissions);
    job_table_fini(&core->jobs);
    view_table_fini(&core->views);
    node_table_fini(&core->nodes);
    if (core->meta)
        pb_free(&core->meta->base);
    mem_free(core);
}

/* ---- loading ---- */

static int load_meta(struct gcs_core *core, struct storage_bytes value, struct raia_error *e)
{
    int r = proto_unpack(&raia__storage__meta__descriptor, value.data, value.size, &core->meta);

    if (r < 0)
        return r;
    if (core->meta->schema > 1)
        return err_set(e, RAIA_ERR_VERSION,
                       "the storage was written by a newer version (schema %u, this one knows 1)",
                       core->meta->schema);
    return 0;
}

static bool in_table(struct storage_bytes key, const char *table)
{
    size_t size = strlen(table);

    return key.size >= size && memcmp(key.data, table, size) == 0;
}

static int load_row(struct gcs_core *core, struct gcs_now now, struct storage_bytes key,
                    struct storage_bytes value, struct raia_error *e)
{
    void *row;
    int r;

    if (in_table(key, "meta"))
        return load_meta(core, value, e);
    if (in_table(key, "kv/"))
        return kv_table_load(&core->kv, (const char *)key.data + 3, key.size - 3, value.data,
                             value.size);
    if (in_table(key, "node/")) {
        r = proto_unpack(&raia__gcs__node__descriptor, value.data, value.size, &row);
        return r < 0 ? r : node_table_load(&core->nodes, now, row);
    }
    if (in_table(key, "job/")) {
        r = proto_unpack(&raia__storage__job_row__descriptor, value.data, value.size, &row);
        return r < 0 ? r : job_table_load(&core->jobs, row);
    }
    if (in_table(key, "sub/")) {
        r = proto_unpack(&raia__storage__submission__descriptor, value.data, value.size, &row);
        return r < 0 ? r : submission_table_load(&core->submissions, row);
    }
    if (in_table(key, "actor/")) {
        r = proto_unpack(&raia__gcs__actor__descriptor, value.data, value.size, &row);
        return r < 0 ? r : actor_table_load(&core->actors, row);
    }
    return 0; /* of a later version: left alone */
}

int gcs_core_load(struct gcs_core *core, struct gcs_now now, struct storage_bytes key,
                  struct storage_bytes value, struct raia_error *e)
{
    int r = load_row(core, now, key, value, e);

    if (r == -RAIA_ERR_PROTOCOL)
        return err_set(e, RAIA_ERR_PROTOCOL,
                       "the stored row '%.*s...' cannot be read: the storage is damaged",
                       (int)(key.size < 5 ? key.size : 5), (const char *)key.data);
    if (r == -RAIA_ERR_NOMEM)
        return err_set(e, RAIA_ERR_NOMEM, "load the stored state");
    return r;
}

int gcs_core_start(struct gcs_core *core, struct gcs_now now, const char *cluster_id,
                   struct raia_error *e)
{
    struct commit *c;

    core->started = true;
    if (!core->meta) {
        Raia__Storage__Meta fresh = RAIA__STORAGE__META__INIT;

        fresh.schema = 1;
        fresh.cluster_id = (char *)(uintptr_t)cluster_id;
        fresh.next_job = 1;
        fresh.next_attempt = 1;
        core->meta = pb_copy(&fresh.base);
        if (!core->meta)
            return err_set(e, RAIA_ERR_NOMEM, "control store");
    }
    c = pipeline_begin(&core->pipeline);
    commit_put_message(c, "meta", NULL, 0, &core->meta->base);
    actor_table_start(&core->actors, now, c);
    pipeline_submit(&core->pipeline, c);
    return 0;
}

/* ---- what involves several tables ---- */

uint32_t core_next(struct gcs_core *core, uint32_t *counter, struct commit *c)
{
    uint32_t number = (*counter)++;

    commit_put_message(c, "meta", NULL, 0, &core->meta->base);
    return number;
}

const struct node_id *core_head_session(struct gcs_core *core)
{
    struct node_entry *head = node_table_head(&core->nodes);

    return head && pubsub_find(&core->pubsub, &head->id) ? &head->id : NULL;
}

void core_job_ends(struct gcs_core *core, struct gcs_now now, struct job_entry *job,
                   struct commit *c)
{
    actor_table_job_ended(&core->actors, now, &job->id, c);
    job_table_finish(&core->jobs, now, job, c);
}

void core_node_dies(struct gcs_core *core, struct gcs_now now, struct node_entry *entry,
                    const char *why, struct commit *c)
{
    struct node_id id = entry->id;
    struct job_entry *job, *next;

    if (entry->row->state == RAIA__GCS__NODE_STATE__NODE_DEAD)
        return;
    node_table_die(&core->nodes, now, entry, why, c);
    view_table_remove(&core->views, &id);
    LIST_FOREACH_SAFE (job, next, &core->jobs.alive, link) {
        if (job->row->job->driver &&
            pb_bytes_equal(job->row->job->driver->node_id, id.bytes, NODE_ID_SIZE))
            core_job_ends(core, now, job, c);
    }
    actor_table_node_died(&core->actors, now, &id, why, c);
    if (pubsub_find(&core->pubsub, &id)) {
        gcs_core_session_closed(core, &id);
        core->fx.disconnect(core->fx.arg, &id);
    }
}

void gcs_core_tick(struct gcs_core *core, struct gcs_now now)
{
    struct node_entry *entry;
    struct commit *c = NULL;

    while ((entry = node_table_expired(&core->nodes, now))) {
        c = pipeline_begin(&core->pipeline);
        if (!c)
            return;
        core_node_dies(core, now, entry,
                       "Nothing was heard of the node for the length of its lease: it crashed, "
                       "hangs or cannot be reached",
                       c);
        pipeline_submit(&core->pipeline, c);
    }
    if (actor_table_wants_schedule(&core->actors, now) && !pipeline_full(&core->pipeline)) {
        c = pipeline_begin(&core->pipeline);
        actor_table_schedule(&core->actors, now, c);
        pipeline_submit(&core->pipeline, c);
    }
    view_table_flush(&core->views, &core->pubsub);
    pubsub_flush(&core->pubsub);
    core_resync(core);
}
