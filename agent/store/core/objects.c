/*
 * The object table: pins, and every way in which an object ends.
 *
 * An object is kept by those who wait for it, those who read it (npins), its creator, and by being
 * sealed here and neither freed nor soft. store_object_settle__ is the one place that decides.
 */
#include <string.h>

#include "store/core/state.h"

struct store_object *store_object_find__(struct store_core *core, const struct object_id *id)
{
    return HASH_GET(core->objects, id, id);
}

struct store_object *store_object_new__(struct store_core *core, const struct object_id *id,
                                        const struct job_id *job,
                                        const struct record_address *owner)
{
    struct store_object *o;

    if (HASH_SIZE(core->objects) >= core->c.max_objects)
        return NULL;
    o = mem_new(struct store_object);
    if (!o)
        return NULL;
    o->id = *id;
    o->job = *job;
    o->settle.kind = STORE_TIMER_SETTLE;
    list_init(&o->owned);
    list_init(&o->pins);
    list_init(&o->lru);
    list_init(&o->doubts);
    list_init(&o->gets);
    list_init(&o->serves);
    if (HASH_PUT(core->objects, id, o) < 0) {
        mem_free(o);
        return NULL;
    }
    if (owner && store_object_own__(core, o, owner) < 0) {
        HASH_DEL(core->objects, o);
        mem_free(o);
        return NULL;
    }
    return o;
}

int store_object_own__(struct store_core *core, struct store_object *o,
                       const struct record_address *owner)
{
    struct worker_id id;
    struct store_owner *w;

    memcpy(id.bytes, owner->worker, sizeof id.bytes);
    if (list_linked(&o->owned) || worker_id_is_nil(&id))
        return 0;
    w = HASH_GET(core->owners, id, &id);
    if (!w) {
        w = mem_new(struct store_owner);
        if (!w)
            return -RAIA_ERR_NOMEM;
        w->id = id;
        memcpy(w->node.bytes, owner->node, sizeof w->node.bytes);
        list_init(&w->objects);
        if (HASH_PUT(core->owners, id, w) < 0) {
            mem_free(w);
            return -RAIA_ERR_NOMEM;
        }
    }
    o->owner = *owner;
    list_add_tail(&w->objects, &o->owned);
    return 0;
}

void store_object_disown__(struct store_core *core, struct store_object *o)
{
    struct worker_id id;
    struct store_owner *w;

    if (!list_linked(&o->owned))
        return;
    list_del(&o->owned);
    memcpy(id.bytes, o->owner.worker, sizeof id.bytes);
    w = HASH_GET(core->owners, id, &id);
    if (w && list_empty(&w->objects)) {
        HASH_DEL(core->owners, w);
        mem_free(w);
    }
}

/* A copy that goes by itself: its source need not tell it of the end, and those who had theirs
 * from here will not be told by anybody. */
static void leave_tree(struct store_core *core, struct store_object *o)
{
    struct store_link_copy_freed r = {.flags = 0};
    struct store_peer *peer = o->copied ? store_peer_get__(core, &o->source) : NULL;

    memcpy(r.object, o->id.bytes, sizeof r.object);
    if (peer) /* if it is lost, so is the link, and with it what the source knows */
        (void)store_peer_send__(core, peer, STORE_LINK_COPY_FREED, &r, sizeof r, NULL, 0);
    for (uint32_t i = 0; i < o->nforwards; i++)
        store_peer_send_soft__(core, &o->forwards[i], &o->id, STORE_FREE_SOFT);
    o->nforwards = 0;
}

static void lru_remove(struct store_core *core, struct store_object *o)
{
    if (!list_linked(&o->lru))
        return;
    list_del(&o->lru);
    core->evictable_bytes -= o->extent->size;
}

static void lru_add(struct store_core *core, struct store_object *o)
{
    if (list_linked(&o->lru))
        return;
    list_add_tail(&core->evictable, &o->lru);
    core->evictable_bytes += o->extent->size;
    core->memory_freed = true;
}

void store_object_remove__(struct store_core *core, struct store_object *o)
{
    lru_remove(core, o);
    store_timer_clear(&core->timers, &o->settle);
    store_serves_end__(core, o, o->freed ? -RAIA_ERR_OBJECT_LOST : -RAIA_ERR_NOT_FOUND);
    if (o->pull)
        store_pull_end__(core, o->pull);
    if (!o->freed)
        leave_tree(core, o);
    if (o->extent)
        store_give__(core, STEAL(o->extent));
    store_object_disown__(core, o);
    list_del(&o->doubts);
    HASH_DEL(core->objects, o);
    mem_free(o->sources);
    mem_free(o->forwards);
    mem_free(o);
}

void store_evict__(struct store_core *core, struct store_object *o)
{
    core->totals.evicted++;
    store_object_remove__(core, o);
}

void store_object_settle__(struct store_core *core, struct store_object *o)
{
    if (o->npins || o->create || !list_empty(&o->gets))
        return;
    switch (o->state) {
    case STORE_CREATING:
        return;
    case STORE_ABSENT:
        if (list_empty(&o->serves) || o->freed)
            store_object_remove__(core, o);
        return;
    case STORE_SEALED:
        if (o->freed || (o->soft && !o->primary))
            store_object_remove__(core, o);
        else if (!o->primary)
            lru_add(core, o);
        return;
    }
}

void store_keep__(struct store_core *core, struct store_object *o)
{
    o->npins++;
    lru_remove(core, o);
}

void store_unkeep__(struct store_core *core, struct store_object *o)
{
    if (--o->npins == 0)
        store_object_settle__(core, o);
}

int store_pin__(struct store_core *core, struct store_client *client, struct store_object *o)
{
    struct store_pin *pin;

    LIST_FOREACH (pin, &o->pins, of_object) {
        if (pin->client != client)
            continue;
        pin->count++;
        store_keep__(core, o);
        return 0;
    }
    pin = mem_new(struct store_pin);
    if (!pin)
        return -RAIA_ERR_NOMEM;
    pin->object = o;
    pin->client = client;
    pin->count = 1;
    list_add_head(&o->pins, &pin->of_object);
    list_add_head(&client->pins, &pin->of_client);
    store_keep__(core, o);
    return 0;
}

static void pin_lower(struct store_core *core, struct store_pin *pin, uint32_t by)
{
    struct store_object *o = pin->object;

    pin->count -= by;
    o->npins -= by - 1;
    if (!pin->count) {
        list_del(&pin->of_object);
        list_del(&pin->of_client);
        mem_free(pin);
    }
    store_unkeep__(core, o);
}

void store_pin_remove__(struct store_core *core, struct store_pin *pin)
{
    pin_lower(core, pin, pin->count);
}

bool store_unpin__(struct store_core *core, struct store_client *client, struct store_object *o)
{
    struct store_pin *pin;

    LIST_FOREACH (pin, &o->pins, of_object) {
        if (pin->client != client)
            continue;
        if (core->bug != STORE_BUG_LOST_RELEASE || pin->count > 1)
            pin_lower(core, pin, 1);
        return true;
    }
    return false;
}

void store_object_sealed__(struct store_core *core, struct store_object *o)
{
    o->state = STORE_SEALED;
    store_timer_clear(&core->timers, &o->settle);
    mem_free(STEAL(o->sources));
    o->nsources = 0;
    store_tomb_clear__(core, &o->id);
    store_keep__(core, o);
    store_gets_answer__(core, o);
    store_serves_offer__(core, o);
    store_unkeep__(core, o);
}

void store_object_free__(struct store_core *core, struct store_object *o, int status,
                         const char *text)
{
    if (core->bug != STORE_BUG_LOST_FREE)
        for (uint32_t i = 0; i < o->nforwards; i++)
            store_peer_send_soft__(core, &o->forwards[i], &o->id, 0);
    o->nforwards = 0;
    store_keep__(core, o);
    o->freed = true;
    store_gets_fail__(core, o, status, text);
    store_serves_end__(core, o, -RAIA_ERR_OBJECT_LOST);
    if (o->pull)
        store_pull_end__(core, o->pull);
    if (o->state == STORE_ABSENT && o->extent)
        store_give__(core, STEAL(o->extent));
    if (core->bug == STORE_BUG_EARLY_FREE && o->state == STORE_SEALED && o->extent)
        store_give__(core, STEAL(o->extent));
    store_unkeep__(core, o);
}

void store_object_soften__(struct store_core *core, struct store_object *o)
{
    if (o->state != STORE_SEALED || o->primary || o->freed)
        return;
    o->primary = core->bug == STORE_BUG_COPY_STAYS;
    o->soft = true;
    store_object_settle__(core, o);
}

int store_forward_add__(struct store_object *o, const struct node_id *node)
{
    struct node_id *more;

    for (uint32_t i = 0; i < o->nforwards; i++)
        if (node_id_equal(&o->forwards[i], node))
            return 0;
    if (o->nforwards >= STORE_FORWARDS_MAX)
        return -RAIA_ERR_LIMIT;
    if ((o->nforwards & (o->nforwards - 1)) == 0) { /* 0, or a power of two: full */
        uint32_t room = o->nforwards ? 2 * o->nforwards : 1;
        more = mem_realloc(o->forwards, room * sizeof *more);
        if (!more)
            return -RAIA_ERR_NOMEM;
        o->forwards = more;
    }
    o->forwards[o->nforwards++] = *node;
    return 0;
}

void store_forward_remove__(struct store_object *o, const struct node_id *node)
{
    for (uint32_t i = 0; i < o->nforwards; i++)
        if (node_id_equal(&o->forwards[i], node)) {
            o->forwards[i] = o->forwards[--o->nforwards];
            return;
        }
}
