/*
 * Processes: what they have mapped, what their death frees; jobs and owners that end.
 */
#include <string.h>

#include "store/core/state.h"

struct store_client *store_client_find__(struct store_core *core, uint32_t number)
{
    return HASH_GET(core->clients, number, &number);
}

int store_core_client_add(struct store_core *core, uint32_t client,
                          const struct record_address *address, const uint8_t job[4])
{
    struct store_client *c;

    if (store_client_find__(core, client))
        return -RAIA_ERR_EXISTS;
    c = mem_new(struct store_client);
    if (!c)
        return -RAIA_ERR_NOMEM;
    c->number = client;
    c->address = *address;
    memcpy(c->job.bytes, job, sizeof c->job.bytes);
    list_init(&c->pins);
    list_init(&c->gets);
    list_init(&c->writing);
    list_init(&c->mappings);
    if (HASH_PUT(core->clients, number, c) < 0) {
        mem_free(c);
        return -RAIA_ERR_NOMEM;
    }
    store_arena_init(&core->alloc, &c->arena, true);
    return 0;
}

static void mapping_delete(struct store_mapping *m)
{
    list_del(&m->of_segment);
    list_del(&m->of_client);
    mem_free(m);
}

static void tell_gone(struct store_core *core, struct store_mapping *m)
{
    struct rec_segment r = {.segment = m->segment->number};

    if (!m->client->closed)
        core->ops->send(core->arg, m->client->number, REC_SEGMENT_GONE, 0, &r, sizeof r);
    mapping_delete(m);
}

int store_map__(struct store_core *core, struct store_client *client, struct store_segment *s)
{
    bool writable = s->arena == &client->arena;
    struct store_mapping *m;
    int r;

    LIST_FOREACH (m, &s->mappings, of_segment) {
        if (m->client != client)
            continue;
        if (m->writable == writable)
            return 0;
        tell_gone(core, m); /* it took over a segment that it had read */
        break;
    }
    m = mem_new(struct store_mapping);
    if (!m)
        return -RAIA_ERR_NOMEM;
    m->segment = s;
    m->client = client;
    m->writable = writable;
    list_add_head(&s->mappings, &m->of_segment);
    list_add_head(&client->mappings, &m->of_client);
    r = core->ops->segment_share(core->arg, client->number, s->number, s->size, writable);
    if (r < 0)
        mapping_delete(m);
    return r;
}

void store_unmap_all__(struct store_core *core, struct store_segment *s,
                       const struct store_client *but)
{
    struct store_mapping *m, *next;

    LIST_FOREACH_SAFE (m, next, &s->mappings, of_segment)
        if (m->client != but)
            tell_gone(core, m);
}

struct store_job *store_job_get__(struct store_core *core, const struct job_id *id)
{
    struct store_job *job = HASH_GET(core->jobs, id, id);

    if (job)
        return job;
    job = mem_new(struct store_job);
    if (!job)
        return NULL;
    job->id = *id;
    if (HASH_PUT(core->jobs, id, job) < 0) {
        mem_free(job);
        return NULL;
    }
    store_arena_init(&core->alloc, &job->arena, false);
    return job;
}

static void client_close(struct store_core *core, struct store_client *c)
{
    struct store_get *get;
    struct store_create *create, *next;

    c->closed = true;
    while ((get = LIST_FIRST(&c->gets, struct store_get, of_client)))
        store_get_drop__(core, get);
    LIST_FOREACH_SAFE (create, next, &core->creates, link)
        if (create->client == c)
            store_create_drop__(core, create);
}

void store_core_client_closed(struct store_core *core, int64_t now, uint32_t client)
{
    struct store_client *c = store_client_find__(core, client);

    core->now = now;
    if (c && !c->closed)
        client_close(core, c);
    store_run__(core);
}

/* The raylet writes from now on where the dead process could. */
static void inherit(struct store_core *core, struct store_client *c)
{
    struct store_job *job = NULL;

    if (!store_arena_idle(&c->arena)) {
        job = store_job_get__(core, &c->job);
        if (!job)
            job = &core->orphans;
    }
    if (job)
        store_arena_move(&core->alloc, &c->arena, &job->arena, core->now);
    else
        store_arena_fini(&c->arena);
}

void store_core_client_gone(struct store_core *core, int64_t now, uint32_t client)
{
    struct store_client *c = store_client_find__(core, client);
    struct store_mapping *m;
    struct store_create *create;
    struct store_pin *pin;

    core->now = now;
    if (!c)
        return;
    if (!c->closed)
        client_close(core, c);
    while ((create = LIST_FIRST(&c->writing, struct store_create, link)))
        store_create_drop__(core, create);
    while ((pin = LIST_FIRST(&c->pins, struct store_pin, of_client)))
        store_pin_remove__(core, pin);
    while ((m = LIST_FIRST(&c->mappings, struct store_mapping, of_client)))
        mapping_delete(m);
    store_doubts_maker__(core, c);
    inherit(core, c);
    HASH_DEL(core->clients, c);
    mem_free(c);
    core->memory_freed = true;
    store_run__(core);
}

/*
 * What a process of the job owns goes when it is dead, which it is soon, and not before: it may be
 * read until then. What the job's processes made or fetched for an owner of another job is that
 * one's, alive as it is. So only what has no owner any more goes here.
 */
void store_core_job_gone(struct store_core *core, int64_t now, const uint8_t job[4])
{
    static const struct record_address nobody;
    struct store_object *o, *next;
    struct job_id id;

    core->now = now;
    memcpy(id.bytes, job, sizeof id.bytes);
    /* HASH_FOREACH has read `next` before o goes; freeing one object removes no other. */
    HASH_FOREACH (core->objects, o, next)
        if (job_id_equal(&o->job, &id) &&
            (memcmp(o->owner.worker, nobody.worker, sizeof nobody.worker) == 0 ||
             store_dead__(core, &o->owner)))
            store_object_free__(core, o, -RAIA_ERR_OBJECT_LOST, "the job of the object ended");
    store_run__(core);
}

void store_owner_gone__(struct store_core *core, const struct worker_id *id)
{
    struct store_object *o, *next;
    struct store_owner *w;
    struct list objects;

    store_dead_set__(core, id);
    w = HASH_GET(core->owners, id, id);
    if (!w)
        return;
    HASH_DEL(core->owners, w);
    list_init(&objects);
    list_splice_tail(&objects, &w->objects);
    mem_free(w);
    LIST_FOREACH_SAFE (o, next, &objects, owned) {
        list_del(&o->owned);
        store_object_free__(core, o, -RAIA_ERR_OWNER_DIED,
                            "the process that owned the object died");
    }
}

void store_core_owner_gone(struct store_core *core, int64_t now, const struct record_address *owner)
{
    struct worker_id id;

    core->now = now;
    memcpy(id.bytes, owner->worker, sizeof id.bytes);
    store_owner_gone__(core, &id);
    store_run__(core);
}

void store_owners_gone__(struct store_core *core, const struct node_id *node)
{
    struct store_owner *w, *next;
    struct worker_id id;

    if (core->bug == STORE_BUG_DEAD_OWNER)
        return;
    memcpy(id.bytes, node->bytes, sizeof id.bytes);
    store_dead_set__(core, &id);
    /* HASH_FOREACH has read `next` before w goes; the end of its objects ends no other owner's. */
    HASH_FOREACH (core->owners, w, next) {
        id = w->id;
        if (node_id_equal(&w->node, node))
            store_owner_gone__(core, &id);
    }
}

bool store_lives__(const struct store_core *core, const struct worker_id *id)
{
    struct store_client *c, *next;

    HASH_FOREACH (core->clients, c, next)
        if (!c->closed && memcmp(c->address.worker, id->bytes, sizeof id->bytes) == 0)
            return true;
    return false;
}

void store_lost__(struct store_core *core, const struct object_id *id,
                  const struct record_address *owner, int status, const struct node_id *node)
{
    struct rec_store_lost r = {.status = status};
    struct store_link_lost far = {.status = status};
    struct store_client *c, *next;
    struct node_id home;

    memcpy(home.bytes, owner->node, sizeof home.bytes);
    if (node_id_is_nil(&home))
        return;
    if (!node_id_equal(&home, &core->node)) {
        struct store_peer *peer = store_peer_get__(core, &home);
        memcpy(far.object, id->bytes, sizeof far.object);
        memcpy(far.owner, owner, sizeof far.owner);
        if (peer)
            (void)store_peer_send__(core, peer, STORE_LINK_LOST, &far, sizeof far, NULL, 0);
        return;
    }
    memcpy(r.object, id->bytes, sizeof r.object);
    memcpy(r.node, node->bytes, sizeof r.node);
    HASH_FOREACH (core->clients, c, next)
        if (!c->closed && memcmp(c->address.worker, owner->worker, sizeof owner->worker) == 0)
            core->ops->send(core->arg, c->number, REC_STORE_LOST, 0, &r, sizeof r);
}
