/*
 * Results that may be nobody's: what a process made here for another one, whose answer may never
 * have come to the owner (the maker died, the link ended, it was canceled). The owner is asked, and
 * asked again until it knows: a task that will be tried again is not done yet. What it did not take
 * goes as a copy goes; what it took, it frees.
 */
#include <string.h>

#include "store/core/state.h"

#define AGAIN_MS 5000 /* until the owner is asked again */

bool store_tell_stray__(struct store_core *core, const struct object_id *id,
                        const struct record_address *owner, const struct node_id *node)
{
    struct rec_store_stray r = {.flags = 0};
    struct store_client *c, *next;

    memcpy(r.object, id->bytes, sizeof r.object);
    memcpy(r.node, node->bytes, sizeof r.node);
    HASH_FOREACH (core->clients, c, next) {
        if (c->closed || memcmp(c->address.worker, owner->worker, sizeof owner->worker) != 0)
            continue;
        core->ops->send(core->arg, c->number, REC_STORE_STRAY, 0, &r, sizeof r);
        return true;
    }
    return false;
}

static void ask(struct store_core *core, struct store_object *o)
{
    struct store_link_stray r = {.flags = 0};
    struct store_peer *peer;
    struct node_id home;

    memcpy(home.bytes, o->owner.node, sizeof home.bytes);
    if (node_id_equal(&home, &core->node)) {
        (void)store_tell_stray__(core, &o->id, &o->owner, &core->node); /* else its end is known */
        return;
    }
    memcpy(r.object, o->id.bytes, sizeof r.object);
    memcpy(r.owner, &o->owner, sizeof r.owner);
    peer = store_peer_get__(core, &home);
    if (peer)
        (void)store_peer_send__(core, peer, STORE_LINK_STRAY, &r, sizeof r, NULL, 0);
}

static void again_later(struct store_core *core)
{
    if (!list_empty(&core->doubts) && !core->doubt.pos)
        (void)store_timer_set(&core->timers, &core->doubt, clock_add_ms(core->now, AGAIN_MS));
}

void store_doubt__(struct store_core *core, struct store_object *o)
{
    if (o->state != STORE_SEALED || !o->maker || o->freed || core->bug == STORE_BUG_STRAYS)
        return;
    if (!list_linked(&o->doubts))
        list_add_tail(&core->doubts, &o->doubts);
    ask(core, o);
    again_later(core);
}

void store_doubts_again__(struct store_core *core)
{
    struct store_object *o;

    LIST_FOREACH (o, &core->doubts, doubts)
        ask(core, o);
    again_later(core);
}

void store_doubts_maker__(struct store_core *core, const struct store_client *maker)
{
    struct store_object *o, *next;

    HASH_FOREACH (core->objects, o, next)
        if (o->maker == maker->number)
            store_doubt__(core, o);
}

void store_doubts_node__(struct store_core *core, const struct node_id *node)
{
    struct store_object *o, *next;

    HASH_FOREACH (core->objects, o, next)
        if (o->maker && memcmp(o->owner.node, node->bytes, sizeof node->bytes) == 0)
            store_doubt__(core, o);
}

void store_doubt_over__(struct store_core *core, struct store_object *o, bool taken)
{
    list_del(&o->doubts);
    if (list_empty(&core->doubts))
        store_timer_clear(&core->timers, &core->doubt);
    if (!o->maker || o->freed || o->state != STORE_SEALED)
        return;
    o->maker = 0;
    if (taken)
        return;
    o->primary = false;
    store_object_soften__(core, o);
}

int store_stray_answer__(struct store_core *core, const struct store_client *client,
                         const struct rec_store_stray *r)
{
    struct store_link_stray far = {.flags = r->flags};
    struct store_object *o;
    struct store_peer *peer;
    struct object_id id;
    struct node_id node;

    if (r->flags & ~REC_STRAY_TAKEN)
        return -RAIA_ERR_PROTOCOL;
    memcpy(id.bytes, r->object, sizeof id.bytes);
    memcpy(node.bytes, r->node, sizeof node.bytes);
    if (!node_id_equal(&node, &core->node)) {
        memcpy(far.object, id.bytes, sizeof far.object);
        memcpy(far.owner, &client->address, sizeof far.owner);
        peer = store_peer_get__(core, &node);
        if (peer)
            (void)store_peer_send__(core, peer, STORE_LINK_STRAY_IS, &far, sizeof far, NULL, 0);
        return 0;
    }
    o = store_object_find__(core, &id);
    if (o && memcmp(o->owner.worker, client->address.worker, sizeof o->owner.worker) == 0)
        store_doubt_over__(core, o, r->flags & REC_STRAY_TAKEN);
    return 0;
}

int store_stray_link__(struct store_core *core, struct store_peer *peer, uint16_t type,
                       const struct store_link_stray *r)
{
    struct record_address owner;
    struct store_object *o;
    struct object_id id;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    memcpy(&owner, r->owner, sizeof owner);
    if (r->flags & ~REC_STRAY_TAKEN)
        return -RAIA_ERR_PROTOCOL;
    if (type == STORE_LINK_STRAY) {
        struct store_link_owner gone;

        memcpy(gone.worker, owner.worker, sizeof gone.worker);
        if (!store_tell_stray__(core, &id, &owner, &peer->node))
            (void)store_peer_send__(core, peer, STORE_LINK_OWNER_GONE, &gone, sizeof gone, NULL, 0);
        return 0;
    }
    o = store_object_find__(core, &id);
    if (o && memcmp(&o->owner, &owner, sizeof owner) == 0 &&
        memcmp(owner.node, peer->node.bytes, sizeof owner.node) == 0)
        store_doubt_over__(core, o, r->flags & REC_STRAY_TAKEN);
    return 0;
}

int store_made_over__(struct store_core *core, const struct store_client *client,
                      const struct rec_store_give *r)
{
    struct store_object *o;
    struct object_id id;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    o = store_object_find__(core, &id);
    if (!o || o->state != STORE_SEALED || o->freed ||
        memcmp(o->owner.worker, client->address.worker, sizeof o->owner.worker) != 0)
        return r->flags ? -RAIA_ERR_PROTOCOL : 0; /* gone meanwhile */
    store_object_disown__(core, o);
    if (store_dead__(core, &r->owner))
        store_object_free__(core, o, -RAIA_ERR_OWNER_DIED,
                            "the process that owned the object died");
    else
        (void)store_object_own__(core, o, &r->owner);
    return 0;
}
