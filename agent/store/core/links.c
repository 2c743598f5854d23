/*
 * Records of other nodes' stores (store/link_records.h), checked and handed on.
 */
#include <string.h>

#include "store/core/state.h"

static int handle_free(struct store_core *core, struct store_peer *peer,
                       const struct store_link_free *r)
{
    struct store_object *o;
    struct object_id id;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    if (r->flags & ~(STORE_FREE_SOFT | STORE_FREE_ACK))
        return -RAIA_ERR_PROTOCOL;
    o = store_object_find__(core, &id);
    if (r->flags & STORE_FREE_ACK) {
        peer->acks++;
        if (!list_linked(&peer->to_ack))
            list_add_tail(&core->to_ack, &peer->to_ack);
    }
    if (r->flags & STORE_FREE_SOFT) {
        if (!o || !o->copied || !node_id_equal(&o->source, &peer->node))
            return 0; /* not the copy that came from there */
        o->copied = false;
        store_object_soften__(core, o);
        return 0;
    }
    store_tomb_set__(core, &id);
    if (o)
        store_object_free__(core, o, -RAIA_ERR_OBJECT_LOST, "the object was freed by its owner");
    return 0;
}

/* The peer has no copy any more. */
static void handle_copy_freed(struct store_core *core, struct store_peer *peer,
                              const struct store_link_copy_freed *r)
{
    struct store_object *o;
    struct object_id id;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    o = store_object_find__(core, &id);
    if (o)
        store_forward_remove__(o, &peer->node);
}

static int lost(struct store_core *core, struct store_peer *peer, const struct store_link_lost *r)
{
    struct record_address owner;
    struct object_id id;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    memcpy(&owner, r->owner, sizeof owner);
    if (memcmp(owner.node, core->node.bytes, sizeof owner.node) != 0)
        return 0; /* not our process: it is not passed on again */
    if (r->status >= 0 || r->status < -RAIA_ERR_MAX)
        return -RAIA_ERR_PROTOCOL;
    store_lost__(core, &id, &owner, r->status, &peer->node);
    return 0;
}

static void owner(struct store_core *core, struct store_peer *peer, uint16_t type,
                  const struct store_link_owner *r)
{
    const struct store_owner *w;
    struct worker_id id;

    memcpy(id.bytes, r->worker, sizeof id.bytes);
    if (type == STORE_LINK_OWNER_ASK) {
        if (!store_lives__(core, &id))
            (void)store_peer_send__(core, peer, STORE_LINK_OWNER_GONE, r, sizeof *r, NULL, 0);
        return;
    }
    w = HASH_GET(core->owners, id, &id);
    if (w && node_id_equal(&w->node, &peer->node)) /* a node speaks of its own processes only */
        store_owner_gone__(core, &id);
}

union any_head {
    struct store_link_pull pull;
    struct store_link_offer offer;
    struct store_link_credit credit;
    struct store_link_chunk chunk;
    struct store_link_failed failed;
    struct store_link_free free;
    struct store_link_copy_freed copy_freed;
    struct store_link_lost lost;
    struct store_link_freed freed;
    struct store_link_owner owner;
    struct store_link_stray stray;
};

static size_t size_of(uint16_t type)
{
    static const uint8_t sizes[] = {
        [STORE_LINK_PULL - STORE_LINK_FIRST] = sizeof(struct store_link_pull),
        [STORE_LINK_OFFER - STORE_LINK_FIRST] = sizeof(struct store_link_offer),
        [STORE_LINK_CREDIT - STORE_LINK_FIRST] = sizeof(struct store_link_credit),
        [STORE_LINK_CHUNK - STORE_LINK_FIRST] = sizeof(struct store_link_chunk),
        [STORE_LINK_PULL_FAILED - STORE_LINK_FIRST] = sizeof(struct store_link_failed),
        [STORE_LINK_PULL_CANCEL - STORE_LINK_FIRST] = sizeof(struct store_link_pull),
        [STORE_LINK_FREE - STORE_LINK_FIRST] = sizeof(struct store_link_free),
        [STORE_LINK_COPY_FREED - STORE_LINK_FIRST] = sizeof(struct store_link_copy_freed),
        [STORE_LINK_LOST - STORE_LINK_FIRST] = sizeof(struct store_link_lost),
        [STORE_LINK_FREED - STORE_LINK_FIRST] = sizeof(struct store_link_freed),
        [STORE_LINK_OWNER_ASK - STORE_LINK_FIRST] = sizeof(struct store_link_owner),
        [STORE_LINK_OWNER_GONE - STORE_LINK_FIRST] = sizeof(struct store_link_owner),
        [STORE_LINK_STRAY - STORE_LINK_FIRST] = sizeof(struct store_link_stray),
        [STORE_LINK_STRAY_IS - STORE_LINK_FIRST] = sizeof(struct store_link_stray),
    };

    if (type < STORE_LINK_FIRST || type - STORE_LINK_FIRST >= (int)sizeof sizes)
        return 0;
    return sizes[type - STORE_LINK_FIRST];
}

static int dispatch(struct store_core *core, struct store_peer *peer, uint16_t type,
                    const union any_head *h, const void *data, size_t data_size)
{
    if (data_size && type != STORE_LINK_CHUNK)
        return -RAIA_ERR_PROTOCOL;
    switch (type) {
    case STORE_LINK_PULL:
        store_serve_pull__(core, peer, &h->pull);
        return 0;
    case STORE_LINK_OFFER:
        return store_pull_offer__(core, peer, &h->offer);
    case STORE_LINK_CREDIT:
        return store_serve_credit__(core, peer, &h->credit);
    case STORE_LINK_CHUNK:
        if (!data_size || data_size != h->chunk.size || data_size > STORE_CHUNK_MAX)
            return -RAIA_ERR_PROTOCOL;
        return store_pull_chunk__(core, peer, &h->chunk, data);
    case STORE_LINK_PULL_FAILED:
        store_pull_refused__(core, peer, &h->failed);
        return 0;
    case STORE_LINK_PULL_CANCEL:
        store_serve_cancel__(core, peer, &h->pull);
        return 0;
    case STORE_LINK_FREE:
        return handle_free(core, peer, &h->free);
    case STORE_LINK_COPY_FREED:
        handle_copy_freed(core, peer, &h->copy_freed);
        return 0;
    case STORE_LINK_LOST:
        return lost(core, peer, &h->lost);
    case STORE_LINK_FREED:
        store_peer_freed__(core, peer, h->freed.count);
        return 0;
    case STORE_LINK_OWNER_ASK:
    case STORE_LINK_OWNER_GONE:
        owner(core, peer, type, &h->owner);
        return 0;
    case STORE_LINK_STRAY:
    case STORE_LINK_STRAY_IS:
        return store_stray_link__(core, peer, type, &h->stray);
    default:
        return -RAIA_ERR_PROTOCOL;
    }
}

int store_core_link_record(struct store_core *core, int64_t now, const uint8_t node[16],
                           uint16_t type, const void *head, size_t head_size, const void *data,
                           size_t data_size)
{
    size_t size = size_of(type);
    struct store_peer *peer;
    union any_head h;
    struct node_id id;
    int r;

    core->now = now;
    memcpy(id.bytes, node, sizeof id.bytes);
    if (!size || head_size < size || (head_size > size && data))
        return -RAIA_ERR_PROTOCOL;
    memcpy(&h, head, size);
    if (head_size > size) { /* in one piece */
        data = (const uint8_t *)head + size;
        data_size = head_size - size;
    }
    peer = store_peer_get__(core, &id);
    if (!peer)
        return -RAIA_ERR_NOMEM;
    r = dispatch(core, peer, type, &h, data, data_size);
    store_run__(core);
    return r;
}
