/* The unary rpcs. Each is idempotent, and is answered by its commit. */
#include "core/core_impl.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* Rows of a list when the asker names no limit, and the most. */
#define LIST_DEFAULT 10000u
#define LIST_MAX     100000u

/* What a handler gets. */
struct request {
    struct gcs_core *core; /* the core */
    struct gcs_now now;    /* the time */
    const void *message;   /* unpacked */
    struct gcs_waiter *w;  /* to be answered through c */
    struct commit *c;      /* to be submitted by the caller */
};

static void fail(struct request *q, int code, const char *text)
{
    commit_reply_error(q->c, q->w, code, "%s", text);
}

static size_t list_limit(uint32_t asked)
{
    return asked == 0 ? LIST_DEFAULT : asked > LIST_MAX ? LIST_MAX : asked;
}

static void reply_empty(struct request *q)
{
    Raia__Gcs__Empty reply = RAIA__GCS__EMPTY__INIT;

    commit_reply(q->c, q->w, &reply.base);
}

/* ---- nodes ---- */

static size_t collect_nodes(struct list *from, Raia__Gcs__Node **nodes, size_t n, size_t max)
{
    struct node_entry *entry;

    LIST_FOREACH (entry, from, link) {
        if (n == max)
            break;
        nodes[n++] = entry->row;
    }
    return n;
}

static void register_node(struct request *q)
{
    const Raia__Gcs__RegisterNodeRequest *m = q->message;
    Raia__Gcs__RegisterNodeReply reply = RAIA__GCS__REGISTER_NODE_REPLY__INIT;
    _cleanup_(mem_freep) Raia__Gcs__Node **nodes = NULL;
    struct gcs_core *core = q->core;
    struct node_entry *entry, *replaced;
    struct raia_error e = {0};
    struct node_id old;

    if (m->replaces.len &&
        (!m->node || m->node->node_id.len != m->replaces.len ||
         memcmp(m->node->node_id.data, m->replaces.data, m->replaces.len)) &&
        node_id_from_bytes(m->replaces.data, m->replaces.len, &old) == 0) {
        replaced = node_table_find_alive(&core->nodes, &old);
        if (replaced)
            core_node_dies(core, q->now, replaced, "Its raylet died, and its supervisor says so",
                           q->c);
    }
    if (node_table_register(&core->nodes, q->now, m->node, q->c, &entry, &e) < 0) {
        fail(q, e.code, e.text);
        return;
    }
    nodes = mem_calloc(core->nodes.n_alive, sizeof *nodes);
    if (!nodes) {
        fail(q, RAIA_ERR_NOMEM, "register node: out of memory");
        return;
    }
    reply.nodes = nodes;
    reply.n_nodes = collect_nodes(&core->nodes.alive, nodes, 0, core->nodes.n_alive);
    reply.cluster_id = core->meta->cluster_id;
    reply.lease_ms = core->config.lease_ms;
    reply.heartbeat_ms = core->config.heartbeat_ms;
    commit_reply(q->c, q->w, &reply.base);
}

static void heartbeat(struct request *q)
{
    const Raia__Gcs__HeartbeatRequest *m = q->message;
    Raia__Gcs__HeartbeatReply reply = RAIA__GCS__HEARTBEAT_REPLY__INIT;
    struct node_id id;

    reply.unknown = node_id_from_bytes(m->node_id.data, m->node_id.len, &id) < 0 ||
                    !node_table_heartbeat(&q->core->nodes, q->now, &id);
    commit_reply(q->c, q->w, &reply.base);
}

static void unregister_node(struct request *q)
{
    const Raia__Gcs__UnregisterNodeRequest *m = q->message;
    struct node_entry *entry = NULL;
    struct node_id id;

    if (node_id_from_bytes(m->node_id.data, m->node_id.len, &id) == 0)
        entry = node_table_find_alive(&q->core->nodes, &id);
    if (entry)
        core_node_dies(q->core, q->now, entry, m->reason[0] ? m->reason : "It left", q->c);
    reply_empty(q);
}

static void list_nodes(struct request *q)
{
    const Raia__Gcs__ListNodesRequest *m = q->message;
    Raia__Gcs__ListNodesReply reply = RAIA__GCS__LIST_NODES_REPLY__INIT;
    struct node_table *t = &q->core->nodes;
    size_t all = t->n_alive + (m->include_dead ? t->n_dead : 0), max = list_limit(m->limit);
    _cleanup_(mem_freep) Raia__Gcs__Node **nodes = mem_calloc(all + 1, sizeof *nodes);

    if (!nodes) {
        fail(q, RAIA_ERR_NOMEM, "list nodes: out of memory");
        return;
    }
    if (max > all)
        max = all;
    reply.n_nodes = collect_nodes(&t->alive, nodes, 0, max);
    if (m->include_dead)
        reply.n_nodes = collect_nodes(&t->dead, nodes, reply.n_nodes, max);
    reply.nodes = nodes;
    commit_reply(q->c, q->w, &reply.base);
}

/* ---- jobs ---- */

static void add_job(struct request *q)
{
    const Raia__Gcs__AddJobRequest *m = q->message;
    Raia__Gcs__AddJobReply reply = RAIA__GCS__ADD_JOB_REPLY__INIT;
    struct gcs_core *core = q->core;
    struct job_entry *entry;
    struct raia_error e = {0};
    struct node_id node;
    bool is_new;

    if (!m->job || !m->job->driver ||
        node_id_from_bytes(m->job->driver->node_id.data, m->job->driver->node_id.len, &node) < 0 ||
        !node_table_find_alive(&core->nodes, &node)) {
        fail(q, RAIA_ERR_INVALID, "add job: its driver's node is not one that is alive");
        return;
    }
    if (job_table_add(&core->jobs, q->now, m->job, m->token, core->meta->next_job, q->c, &entry,
                      &is_new, &e) < 0) {
        fail(q, e.code, e.text);
        return;
    }
    if (is_new)
        (void)core_next(core, &core->meta->next_job, q->c);
    reply.job_id = PB_BYTES(entry->id.bytes);
    commit_reply(q->c, q->w, &reply.base);
}

static struct job_entry *job_of(struct request *q, ProtobufCBinaryData bytes)
{
    struct job_id id;

    return job_id_from_bytes(bytes.data, bytes.len, &id) < 0 ? NULL
                                                             : job_table_find(&q->core->jobs, &id);
}

static void finish_job(struct request *q)
{
    const Raia__Gcs__FinishJobRequest *m = q->message;
    struct job_entry *entry = job_of(q, m->job_id);

    if (entry && !entry->row->job->dead)
        core_job_ends(q->core, q->now, entry, q->c);
    reply_empty(q);
}

static void get_job(struct request *q)
{
    const Raia__Gcs__GetJobRequest *m = q->message;
    Raia__Gcs__GetJobReply reply = RAIA__GCS__GET_JOB_REPLY__INIT;
    struct job_entry *entry = job_of(q, m->job_id);

    reply.found = entry != NULL;
    reply.job = entry ? entry->row->job : NULL;
    commit_reply(q->c, q->w, &reply.base);
}

static void list_jobs(struct request *q)
{
    const Raia__Gcs__ListJobsRequest *m = q->message;
    Raia__Gcs__ListJobsReply reply = RAIA__GCS__LIST_JOBS_REPLY__INIT;
    struct job_table *t = &q->core->jobs;
    size_t max = list_limit(m->limit), all = t->n_alive + t->n_dead;
    _cleanup_(mem_freep) Raia__Gcs__Job **jobs = mem_calloc(all + 1, sizeof *jobs);
    struct job_entry *entry, *next;

    if (!jobs) {
        fail(q, RAIA_ERR_NOMEM, "list jobs: out of memory");
        return;
    }
    HASH_FOREACH (t->table, entry, next) {
        if (reply.n_jobs < max)
            jobs[reply.n_jobs++] = entry->row->job;
    }
    reply.jobs = jobs;
    commit_reply(q->c, q->w, &reply.base);
}

/* ---- key-value ---- */

static void kv_put(struct request *q)
{
    const Raia__Gcs__KvPutRequest *m = q->message;
    Raia__Gcs__KvPutReply reply = RAIA__GCS__KV_PUT_REPLY__INIT;
    struct raia_error e = {0};
    bool added = false;

    if (kv_table_put(&q->core->kv, m->ns, m->key, m->value, m->overwrite, q->c, &added, &e) < 0) {
        fail(q, e.code, e.text);
        return;
    }
    reply.added = added;
    commit_reply(q->c, q->w, &reply.base);
}

static void kv_get(struct request *q)
{
    const Raia__Gcs__KvGetRequest *m = q->message;
    Raia__Gcs__KvGetReply reply = RAIA__GCS__KV_GET_REPLY__INIT;

    reply.found = kv_table_get(&q->core->kv, m->ns, m->key, &reply.value);
    commit_reply(q->c, q->w, &reply.base);
}

static void kv_del(struct request *q)
{
    const Raia__Gcs__KvDelRequest *m = q->message;
    Raia__Gcs__KvDelReply reply = RAIA__GCS__KV_DEL_REPLY__INIT;

    reply.deleted = kv_table_delete(&q->core->kv, m->ns, m->key, m->by_prefix, q->c);
    commit_reply(q->c, q->w, &reply.base);
}

static void kv_keys(struct request *q)
{
    const Raia__Gcs__KvKeysRequest *m = q->message;
    Raia__Gcs__KvKeysReply reply = RAIA__GCS__KV_KEYS_REPLY__INIT;
    size_t max = list_limit(m->limit), all = HASH_SIZE(q->core->kv.table);
    _cleanup_(mem_freep) ProtobufCBinaryData *keys = NULL;
    bool truncated = false;

    if (max > all)
        max = all;
    keys = mem_calloc(max + 1, sizeof *keys);
    if (!keys) {
        fail(q, RAIA_ERR_NOMEM, "kv keys: out of memory");
        return;
    }
    reply.n_keys = kv_table_keys(&q->core->kv, m->ns, m->prefix, keys, max, &truncated);
    reply.keys = keys;
    reply.truncated = truncated;
    commit_reply(q->c, q->w, &reply.base);
}

/* ---- actors ---- */

static void register_actor(struct request *q)
{
    const Raia__Gcs__RegisterActorRequest *m = q->message;
    Raia__Gcs__RegisterActorReply reply = RAIA__GCS__REGISTER_ACTOR_REPLY__INIT;
    struct job_entry *job = m->spec ? job_of(q, m->spec->job_id) : NULL;
    Raia__Gcs__Actor view;
    Raia__Gcs__ActorSpec spec;
    struct actor_entry *entry;
    struct raia_error e = {0};
    bool existed = false;

    if (!job) {
        fail(q, RAIA_ERR_INVALID, "register actor: its job is not known");
        return;
    }
    if (actor_table_register(&q->core->actors, q->now, m->spec, m->get_if_exists,
                             job->row->job->dead, q->c, &entry, &existed, &e) < 0) {
        fail(q, e.code, e.text);
        return;
    }
    actor_view(entry, &view, &spec);
    reply.actor = &view;
    reply.existed = existed;
    commit_reply(q->c, q->w, &reply.base);
}

static struct actor_entry *actor_of(struct request *q, ProtobufCBinaryData bytes)
{
    struct actor_id id;

    return actor_id_from_bytes(bytes.data, bytes.len, &id) < 0
               ? NULL
               : actor_table_find(&q->core->actors, &id);
}

static void get_actor(struct request *q)
{
    const Raia__Gcs__GetActorRequest *m = q->message;
    Raia__Gcs__GetActorReply reply = RAIA__GCS__GET_ACTOR_REPLY__INIT;
    struct actor_entry *entry = m->actor_id.len
                                    ? actor_of(q, m->actor_id)
                                    : actor_table_find_name(&q->core->actors, m->ns, m->name);
    Raia__Gcs__Actor view;
    Raia__Gcs__ActorSpec spec;

    if (entry) {
        actor_view(entry, &view, &spec);
        reply.found = true;
        reply.actor = &view;
    }
    commit_reply(q->c, q->w, &reply.base);
}

static bool actor_matches(const struct actor_entry *entry, const Raia__Gcs__ListActorsRequest *m)
{
    const Raia__Gcs__Actor *row = entry->row;

    return (!m->by_state || row->state == m->state) &&
           (m->job_id.len == 0 || pb_bytes_equal(row->spec->job_id, m->job_id.data, m->job_id.len));
}

static void list_actors(struct request *q)
{
    const Raia__Gcs__ListActorsRequest *m = q->message;
    Raia__Gcs__ListActorsReply reply = RAIA__GCS__LIST_ACTORS_REPLY__INIT;
    struct actor_table *t = &q->core->actors;
    size_t max = list_limit(m->limit), all = HASH_SIZE(t->table);
    _cleanup_(mem_freep) Raia__Gcs__Actor **actors = NULL;
    _cleanup_(mem_freep) Raia__Gcs__Actor *views = NULL;
    _cleanup_(mem_freep) Raia__Gcs__ActorSpec *specs = NULL;
    struct actor_entry *entry, *next;

    if (max > all)
        max = all;
    actors = mem_calloc(max + 1, sizeof *actors);
    views = mem_calloc(max + 1, sizeof *views);
    specs = mem_calloc(max + 1, sizeof *specs);
    if (!actors || !views || !specs) {
        fail(q, RAIA_ERR_NOMEM, "list actors: out of memory");
        return;
    }
    HASH_FOREACH (t->table, entry, next) {
        size_t n = reply.n_actors;

        if (!actor_matches(entry, m))
            continue;
        reply.total++;
        if (n == max)
            continue;
        actor_view(entry, &views[n], &specs[n]);
        actors[reply.n_actors++] = &views[n];
    }
    reply.actors = actors;
    commit_reply(q->c, q->w, &reply.base);
}

static void kill_actor(struct request *q)
{
    const Raia__Gcs__KillActorRequest *m = q->message;
    struct actor_entry *entry = actor_of(q, m->actor_id);

    if (!entry) {
        fail(q, RAIA_ERR_NOT_FOUND, "kill actor: there is no such actor");
        return;
    }
    actor_table_kill(&q->core->actors, q->now, entry, m->no_restart,
                     m->reason[0] ? m->reason : "it was killed on request", q->c);
    reply_empty(q);
}

static void actor_out_of_scope(struct request *q)
{
    const Raia__Gcs__ActorOutOfScopeRequest *m = q->message;
    struct actor_entry *entry = actor_of(q, m->actor_id);

    if (entry && !entry->row->spec->detached)
        actor_table_kill(&q->core->actors, q->now, entry, true, "its last handle is gone", q->c);
    reply_empty(q);
}

static const struct {
    const char *name;
    void (*fn)(struct request *q);
} handlers[] = {
    {"RegisterNode", register_node},
    {"Heartbeat", heartbeat},
    {"UnregisterNode", unregister_node},
    {"ListNodes", list_nodes},
    {"AddJob", add_job},
    {"FinishJob", finish_job},
    {"GetJob", get_job},
    {"ListJobs", list_jobs},
    {"KvPut", kv_put},
    {"KvGet", kv_get},
    {"KvDel", kv_del},
    {"KvKeys", kv_keys},
    {"RegisterActor", register_actor},
    {"GetActor", get_actor},
    {"ListActors", list_actors},
    {"KillActorByUser", kill_actor},
    {"ActorOutOfScope", actor_out_of_scope},
};
#define N_HANDLERS (sizeof handlers / sizeof handlers[0])

static void refuse(struct gcs_waiter *w, int code, const char *text)
{
    struct raia_error e = {0};

    (void)err_set(&e, code, "%s", text);
    w->done(w, &e, NULL, 0);
}

void gcs_core_call(struct gcs_core *core, struct gcs_now now, unsigned method, const void *data,
                   size_t size, struct gcs_waiter *w)
{
    const ProtobufCServiceDescriptor *service = &raia__gcs__gcs__descriptor;
    struct request q = {.core = core, .now = now, .w = w};
    ProtobufCMessage *message;
    size_t i = 0;
    int r;

    while (method < service->n_methods && i < N_HANDLERS &&
           strcmp(handlers[i].name, service->methods[method].name) != 0)
        i++;
    if (method >= service->n_methods || i == N_HANDLERS) {
        refuse(w, RAIA_ERR_UNSUPPORTED, "no such method");
        return;
    }
    if (pipeline_full(&core->pipeline)) {
        refuse(w, RAIA_ERR_UNAVAILABLE, "the control store is overloaded, or starting again");
        return;
    }
    r = proto_unpack(service->methods[method].input, data, size, &message);
    if (r < 0) {
        refuse(w, -r, r == -RAIA_ERR_NOMEM ? "out of memory" : "malformed request");
        return;
    }
    q.message = message;
    q.c = pipeline_begin(&core->pipeline);
    if (q.c)
        handlers[i].fn(&q);
    else
        refuse(w, RAIA_ERR_NOMEM, "out of memory");
    pb_free(message);
    pipeline_submit(&core->pipeline, q.c);
}
