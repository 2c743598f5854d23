/*
 * Reading objects: GET, its end, RELEASE; and where to look for what is not here.
 */
#include <stdio.h>
#include <string.h>

#include "store/core/state.h"

void store_send_at__(struct store_core *core, struct store_client *client, uint16_t type,
                     uint64_t tag, struct store_object *o)
{
    struct rec_store_at r = {
        .segment = o->extent->segment->number, .offset = o->extent->offset, .size = o->size};

    memcpy(r.object, o->id.bytes, sizeof r.object);
    core->ops->send(core->arg, client->number, type, tag, &r, sizeof r);
}

void store_send_failed__(struct store_core *core, struct store_client *client, uint16_t type,
                         uint64_t tag, const struct object_id *id, int status, const char *text)
{
    struct rec_store_at r = {.status = status};
    uint8_t record[sizeof r + RAIA_ERROR_TEXT_MAX];
    size_t n = strnlen(text, RAIA_ERROR_TEXT_MAX - 1);

    if (client->closed)
        return;
    memcpy(r.object, id->bytes, sizeof r.object);
    memcpy(record, &r, sizeof r);
    memcpy(record + sizeof r, text, n);
    core->ops->send(core->arg, client->number, type, tag, record, sizeof r + n);
}

/* Pins it for the process and tells it where it is. */
static void got(struct store_core *core, struct store_client *client, uint64_t tag,
                struct store_object *o)
{
    int r = store_map__(core, client, o->extent->segment);

    if (r == 0)
        r = store_pin__(core, client, o);
    if (r < 0)
        store_send_failed__(core, client, REC_STORE_GOT, tag, &o->id, r, "no memory for a read");
    else
        store_send_at__(core, client, REC_STORE_GOT, tag, o);
}

static void get_delete(struct store_core *core, struct store_get *get)
{
    get->client->waiting--;
    core->totals.waiting_get--;
    store_timer_clear(&core->timers, &get->timer);
    list_del(&get->of_object);
    list_del(&get->of_client);
    mem_free(get);
}

void store_gets_answer__(struct store_core *core, struct store_object *o)
{
    struct store_get *get;

    while ((get = LIST_FIRST(&o->gets, struct store_get, of_object))) {
        struct store_client *client = get->client;
        uint64_t tag = get->tag;

        get_delete(core, get);
        got(core, client, tag, o);
    }
}

void store_gets_fail__(struct store_core *core, struct store_object *o, int status,
                       const char *text)
{
    struct store_get *get;

    while ((get = LIST_FIRST(&o->gets, struct store_get, of_object))) {
        store_send_failed__(core, get->client, REC_STORE_GOT, get->tag, &o->id, status, text);
        get_delete(core, get);
    }
}

/* One waits no longer. If nobody does, it is not fetched any more. */
void store_get_drop__(struct store_core *core, struct store_get *get)
{
    struct store_object *o = get->object;

    store_keep__(core, o);
    get_delete(core, get);
    if (list_empty(&o->gets) && o->state == STORE_ABSENT) {
        if (o->pull)
            store_pull_end__(core, o->pull);
        if (o->extent)
            store_give__(core, STEAL(o->extent));
    }
    store_unkeep__(core, o);
}

void store_get_expired__(struct store_core *core, struct store_get *get)
{
    const struct store_object *o = get->object;
    const char *text = "the object was not made here in time";

    if (o->pull && o->pull->state == PULL_MEMORY)
        text = "the object waited for memory in the object store: free objects or release reads";
    else if (o->pull)
        text = "the object did not come from its node in time";
    else if (o->state == STORE_CREATING)
        text = "the object was not finished in time";
    store_send_failed__(core, get->client, REC_STORE_GOT, get->tag, &o->id, -RAIA_ERR_TIMEOUT,
                        text);
    store_get_drop__(core, get);
}

void store_get_cancel__(struct store_core *core, struct store_client *client, uint64_t tag)
{
    struct store_get *get;

    LIST_FOREACH (get, &client->gets, of_client) {
        if (get->tag != tag)
            continue;
        store_send_failed__(core, client, REC_STORE_GOT, tag, &get->object->id, -RAIA_ERR_CANCELED,
                            "canceled");
        store_get_drop__(core, get);
        return;
    }
}

static int add_sources(struct store_object *o, const struct node_id *nodes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct store_source *s = NULL;

        for (uint32_t k = 0; k < o->nsources && !s; k++)
            if (node_id_equal(&o->sources[k].node, &nodes[i]))
                s = &o->sources[k];
        if (s) {
            if (s->state == STORE_SOURCE_EMPTY)
                *s = (struct store_source){.node = nodes[i]}; /* news: it has it now */
            continue;
        }
        if (o->nsources >= STORE_NODES_MAX)
            return 0; /* enough to look at */
        if (!o->sources) {
            o->sources = mem_calloc(STORE_NODES_MAX, sizeof *o->sources);
            if (!o->sources)
                return -RAIA_ERR_NOMEM;
        }
        o->sources[o->nsources++].node = nodes[i];
    }
    return 0;
}

static bool may_come(const struct store_core *core, const struct store_object *o, bool here)
{
    for (uint32_t i = 0; i < o->nsources; i++)
        if (o->sources[i].state == STORE_SOURCE_OK &&
            node_id_equal(&o->sources[i].node, &core->node) == here)
            return true;
    return false;
}

void store_object_seek__(struct store_core *core, struct store_object *o)
{
    char text[RAIA_ERROR_TEXT_MAX];
    uint32_t dead = 0;

    if (o->state != STORE_ABSENT || o->pull || o->freed)
        return;
    if (!list_empty(&o->gets) && may_come(core, o, false)) {
        store_pull_start__(core, o);
        return;
    }
    if (!list_empty(&o->serves) || may_come(core, o, true)) {
        if (!o->settle.pos)
            (void)store_timer_set(&core->timers, &o->settle,
                                  clock_add_ms(core->now, core->c.settle_ms));
        if (may_come(core, o, true))
            return;
    }
    if (!o->nsources)
        return; /* waits to be made here */
    for (uint32_t i = 0; i < o->nsources; i++)
        dead += o->sources[i].state == STORE_SOURCE_DEAD;
    if (dead == o->nsources)
        snprintf(text, sizeof text, "the %u node%s that had the object %s dead", dead,
                 dead == 1 ? "" : "s", dead == 1 ? "is" : "are");
    else
        snprintf(text, sizeof text,
                 "none of the %u nodes that were said to have the object has it (%u of them dead)",
                 o->nsources, dead);
    store_keep__(core, o);
    store_gets_fail__(core, o, dead == o->nsources ? -RAIA_ERR_NODE_DIED : -RAIA_ERR_OBJECT_LOST,
                      text);
    mem_free(STEAL(o->sources));
    o->nsources = 0;
    if (o->extent)
        store_give__(core, STEAL(o->extent));
    store_unkeep__(core, o);
}

/* An object that is not here, nor said to come: why it cannot be had; 0: it may come. */
static int refuse(struct store_core *core, const struct rec_store_get *r,
                  const struct object_id *id, const char **ret_text)
{
    if (store_dead__(core, &r->owner)) {
        *ret_text = "the process that owned the object died";
        return -RAIA_ERR_OWNER_DIED;
    }
    if (store_tomb__(core, id)) {
        *ret_text = "the object was freed by its owner";
        return -RAIA_ERR_OBJECT_LOST;
    }
    return 0;
}

/* A GET that cannot be answered now. */
static int wait_for(struct store_core *core, struct store_client *client, uint64_t tag,
                    const struct rec_store_get *r, struct store_object *o,
                    const struct node_id *nodes)
{
    int64_t ms = r->deadline_ms == UINT32_MAX ? -1 : (int64_t)r->deadline_ms;
    struct store_get *get, *before;

    if (client->waiting >= core->c.max_waiting)
        return -RAIA_ERR_LIMIT;
    if (add_sources(o, nodes, r->nnodes) < 0)
        return -RAIA_ERR_NOMEM;
    get = mem_new(struct store_get);
    if (!get)
        return -RAIA_ERR_NOMEM;
    get->timer.kind = STORE_TIMER_GET;
    get->object = o;
    get->client = client;
    get->tag = tag;
    get->priority = r->priority;
    if (store_timer_set(&core->timers, &get->timer, clock_add_ms(core->now, ms)) < 0) {
        mem_free(get);
        return -RAIA_ERR_NOMEM;
    }
    client->waiting++;
    core->totals.waiting_get++;
    LIST_FOREACH (before, &o->gets, of_object)
        if (before->priority > get->priority)
            break;
    list_add_before(&before->of_object, &get->of_object);
    list_add_tail(&client->gets, &get->of_client);
    return 0;
}

int store_get__(struct store_core *core, struct store_client *client, uint64_t tag,
                const struct rec_store_get *r, const struct node_id *nodes)
{
    struct store_object *o;
    struct object_id id;
    const char *text = NULL;
    int status;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    if (r->priority > 2)
        return -RAIA_ERR_PROTOCOL;
    o = store_object_find__(core, &id);
    if (o && core->c.isolate_jobs && !job_id_is_nil(&o->job) &&
        !job_id_equal(&o->job, &client->job)) {
        status = -RAIA_ERR_PERMISSION;
        text = "the object belongs to another job: pass it by value";
    } else if (o && o->freed) {
        status = -RAIA_ERR_OBJECT_LOST;
        text = "the object was freed by its owner";
        if (store_dead__(core, &o->owner)) {
            status = -RAIA_ERR_OWNER_DIED;
            text = "the process that owned the object died";
        }
    } else if (o && o->state == STORE_SEALED) {
        store_keep__(core, o); /* to the young end of the list, too */
        got(core, client, tag, o);
        store_unkeep__(core, o);
        return 0;
    } else {
        status = refuse(core, r, &id, &text);
    }
    if (status == 0 && !o) {
        o = store_object_new__(core, &id, &client->job, &r->owner);
        if (!o) {
            status = -RAIA_ERR_LIMIT;
            text = "the table of objects is full: free some";
        }
    }
    if (status == 0) {
        store_keep__(core, o);
        if (job_id_is_nil(&o->job))
            o->job = client->job; /* so far only another node had asked for it */
        (void)store_object_own__(core, o, &r->owner);
        status = wait_for(core, client, tag, r, o, nodes);
        text = "too many reads wait in this process";
        if (status < 0)
            store_send_failed__(core, client, REC_STORE_GOT, tag, &id, status, text);
        else
            store_object_seek__(core, o);
        store_unkeep__(core, o);
        return 0;
    }
    store_send_failed__(core, client, REC_STORE_GOT, tag, &id, status, text);
    return 0;
}

int store_release__(struct store_core *core, struct store_client *client,
                    const struct rec_object *r)
{
    struct store_object *o;
    struct object_id id;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    o = store_object_find__(core, &id);
    /* What it still writes is held by CREATE; that is not given back by RELEASE. */
    if (!o || (o->create && o->create->client == client) || r->flags ||
        !store_unpin__(core, client, o))
        return -RAIA_ERR_PROTOCOL;
    return 0;
}
