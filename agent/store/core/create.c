/*
 * Making objects: CREATE, SEAL, ABORT, and the queue for memory.
 *
 * The queue is strictly first in, first out: a large CREATE is not starved by small ones.
 */
#include <string.h>

#include "store/core/state.h"

static void id_of(const uint8_t bytes[28], struct object_id *ret_id)
{
    memcpy(ret_id->bytes, bytes, sizeof ret_id->bytes);
}

/* Whether the object may be made here; takes over an entry that only waits for it. */
static int claim(struct store_core *core, struct store_client *client, const struct object_id *id,
                 const struct record_address *owner, struct store_object **ret_object,
                 const char **ret_text)
{
    struct store_object *o = store_object_find__(core, id);

    if (o && (o->state != STORE_ABSENT || o->freed)) {
        *ret_text = o->freed                     ? "the object was freed and is still being read"
                    : o->state == STORE_CREATING ? "the object is being made by a process"
                                                 : "the object is here already";
        return -RAIA_ERR_EXISTS;
    }
    if (!o && !(o = store_object_new__(core, id, &client->job, owner))) {
        *ret_text = "the table of objects is full: free some";
        return -RAIA_ERR_LIMIT;
    }
    if (o->pull)
        store_pull_end__(core, o->pull); /* the new one serves as well, and sooner */
    if (o->extent)
        store_give__(core, STEAL(o->extent));
    store_timer_clear(&core->timers, &o->settle);
    o->job = client->job;
    (void)store_object_own__(core, o, owner); /* else its owner's death frees it later */
    *ret_object = o;
    return 0;
}

static int create_start(struct store_core *core, struct store_create *create)
{
    struct store_object *o = create->object;
    struct store_client *client = create->client;
    int r = store_take__(core, &client->arena, o->size, &o->extent);

    if (r < 0)
        return r;
    r = store_map__(core, client, o->extent->segment);
    if (r == 0)
        r = store_pin__(core, client, o);
    if (r < 0) {
        store_give__(core, STEAL(o->extent));
        return r;
    }
    list_add_tail(&client->writing, &create->link);
    store_send_at__(core, client, REC_STORE_CREATED, create->tag, o);
    return 0;
}

/* The object is not made after all: those who wait for it look elsewhere. */
static void unclaim(struct store_core *core, struct store_object *o)
{
    o->create = NULL;
    o->state = STORE_ABSENT;
    o->size = 0;
    if (o->extent)
        store_give__(core, STEAL(o->extent));
    store_keep__(core, o);
    store_object_seek__(core, o);
    store_unkeep__(core, o);
}

/* Takes the record away, as long as it waits, with its place in the queue. */
static void create_delete(struct store_core *core, struct store_create *create)
{
    if (!create->object->extent) {
        create->client->waiting--;
        core->totals.waiting_create--;
    }
    store_timer_clear(&core->timers, &create->timer);
    list_del(&create->link);
    create->object->create = NULL;
    mem_free(create);
}

static int fail(struct store_core *core, struct store_client *client, uint64_t tag,
                const struct object_id *id, int status, const char *text)
{
    store_send_failed__(core, client, REC_STORE_CREATED, tag, id, status, text);
    return 0;
}

static int fail_full(struct store_core *core, struct store_client *client, uint64_t tag,
                     const struct object_id *id, uint64_t size, int status)
{
    char text[RAIA_ERROR_TEXT_MAX];

    if (status != -RAIA_ERR_STORE_FULL)
        return fail(core, client, tag, id, status, "no memory for an object");
    store_full_text__(core, size, text, sizeof text);
    return fail(core, client, tag, id, status, text);
}

static int create_wait(struct store_core *core, struct store_create *create, uint32_t deadline_ms)
{
    struct store_client *client = create->client;
    int64_t ms = deadline_ms == UINT32_MAX ? -1 : (int64_t)deadline_ms;

    if (client->waiting >= core->c.max_waiting)
        return -RAIA_ERR_LIMIT;
    if (store_timer_set(&core->timers, &create->timer, clock_add_ms(core->now, ms)) < 0)
        return -RAIA_ERR_NOMEM;
    client->waiting++;
    core->totals.waiting_create++;
    list_add_tail(&core->creates, &create->link);
    return 0;
}

int store_create__(struct store_core *core, struct store_client *client, uint64_t tag,
                   const struct rec_store_create *r)
{
    struct store_create *create;
    struct store_object *o;
    struct object_id id;
    const char *text;
    int status;

    id_of(r->object, &id);
    if (r->flags)
        return -RAIA_ERR_PROTOCOL;
    if (!store_alloc_rounded(r->size) || store_alloc_rounded(r->size) > core->c.capacity)
        return fail_full(core, client, tag, &id, r->size, -RAIA_ERR_STORE_FULL);
    if (store_dead__(core, &r->owner)) /* who would free it? */
        return fail(core, client, tag, &id, -RAIA_ERR_OWNER_DIED,
                    "the process that would own the object died");
    status = claim(core, client, &id, &r->owner, &o, &text);
    if (status < 0)
        return fail(core, client, tag, &id, status, text);
    create = mem_new(struct store_create);
    if (!create) {
        unclaim(core, o);
        return fail(core, client, tag, &id, -RAIA_ERR_NOMEM, "no memory for an object");
    }
    list_init(&create->link);
    create->timer.kind = STORE_TIMER_CREATE;
    create->client = client;
    create->object = o;
    create->tag = tag;
    o->create = create;
    o->state = STORE_CREATING;
    o->size = r->size;
    status = -RAIA_ERR_STORE_FULL;
    if (list_empty(&core->creates))
        status = create_start(core, create);
    if (status == -RAIA_ERR_STORE_FULL && r->deadline_ms)
        status = create_wait(core, create, r->deadline_ms);
    if (status == 0)
        return 0;
    o->create = NULL;
    mem_free(create);
    unclaim(core, o);
    return fail_full(core, client, tag, &id, r->size, status);
}

void store_creates_run__(struct store_core *core)
{
    struct store_create *create;

    while ((create = LIST_FIRST(&core->creates, struct store_create, link))) {
        struct store_client *client = create->client;
        int r;

        list_del(&create->link);
        r = create_start(core, create);
        if (r == -RAIA_ERR_STORE_FULL) {
            list_add_head(&core->creates, &create->link);
            return;
        }
        client->waiting--;
        core->totals.waiting_create--;
        store_timer_clear(&core->timers, &create->timer);
        if (r < 0) {
            struct store_object *o = create->object;
            fail_full(core, client, create->tag, &o->id, o->size, r);
            o->create = NULL;
            mem_free(create);
            unclaim(core, o);
        }
    }
}

void store_create_expired__(struct store_core *core, struct store_create *create)
{
    struct store_object *o = create->object;

    fail_full(core, create->client, create->tag, &o->id, o->size, -RAIA_ERR_STORE_FULL);
    create_delete(core, create);
    unclaim(core, o);
}

void store_create_drop__(struct store_core *core, struct store_create *create)
{
    struct store_object *o = create->object;
    struct store_client *client = create->client;
    bool written = o->extent != NULL;

    store_keep__(core, o);
    create_delete(core, create);
    if (written)
        (void)store_unpin__(core, client, o);
    unclaim(core, o);
    store_unkeep__(core, o);
}

/* The object that this process is making, with memory; NULL: it is not. */
static struct store_object *find_written(struct store_core *core, struct store_client *client,
                                         const uint8_t bytes[28])
{
    struct object_id id;
    struct store_object *o;

    id_of(bytes, &id);
    o = store_object_find__(core, &id);
    return o && o->create && o->create->client == client ? o : NULL;
}

int store_seal__(struct store_core *core, struct store_client *client, const struct rec_object *r)
{
    struct store_object *o = find_written(core, client, r->object);

    if (!o || !o->extent || r->flags & ~REC_OBJECT_RELEASE)
        return -RAIA_ERR_PROTOCOL;
    store_keep__(core, o);
    create_delete(core, o->create);
    o->primary = true;
    if (memcmp(o->owner.worker, client->address.worker, sizeof o->owner.worker) != 0)
        o->maker = client->number;
    store_object_sealed__(core, o);
    if (r->flags & REC_OBJECT_RELEASE)
        (void)store_unpin__(core, client, o);
    store_unkeep__(core, o);
    return 0;
}

int store_abort__(struct store_core *core, struct store_client *client, const struct rec_object *r)
{
    struct store_object *o = find_written(core, client, r->object);

    if (!o)
        return r->flags ? -RAIA_ERR_PROTOCOL : 0; /* its CREATE failed meanwhile */
    if (!o->extent)
        fail(core, client, o->create->tag, &o->id, -RAIA_ERR_CANCELED, "canceled");
    store_create_drop__(core, o->create);
    return 0;
}
