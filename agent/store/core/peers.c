/*
 * Other nodes: control records on their way to them, links that end, nodes that die.
 *
 * Control records go before chunks. What the link does not take waits in the outbox. FREEs that
 * must arrive (STORE_FREE_ACK) are kept until FREED says that they did, and are sent again over the
 * next link; everything else may be lost with a link, which both sides make good (link_records.h).
 * So may the word that an owner died: after a break it is asked for.
 */
#include <string.h>

#include "store/core/state.h"

#define AGAIN_MS 200 /* after a link broke, before FREEs are sent again */

struct store_peer *store_peer_find__(struct store_core *core, const struct node_id *node)
{
    return HASH_GET(core->peers, node, node);
}

struct store_peer *store_peer_get__(struct store_core *core, const struct node_id *node)
{
    struct store_peer *p = store_peer_find__(core, node);

    if (p || node_id_equal(node, &core->node))
        return p;
    p = mem_new(struct store_peer);
    if (!p)
        return NULL;
    p->node = *node;
    p->again.kind = STORE_TIMER_PEER;
    list_init(&p->to_run);
    list_init(&p->outbox);
    list_init(&p->unacked);
    list_init(&p->resend);
    list_init(&p->to_ack);
    list_init(&p->ready);
    list_init(&p->pulls);
    list_init(&p->starved);
    if (HASH_PUT(core->peers, node, p) < 0) {
        mem_free(p);
        return NULL;
    }
    return p;
}

static void outs_clear(struct list *outs, uint32_t *count)
{
    struct store_out *out;

    while ((out = LIST_FIRST(outs, struct store_out, link))) {
        list_del(&out->link);
        mem_free(out);
    }
    *count = 0;
}

void store_peer_delete__(struct store_core *core, struct store_peer *p)
{
    outs_clear(&p->outbox, &p->noutbox);
    outs_clear(&p->unacked, &p->nunacked);
    outs_clear(&p->resend, &p->nresend);
    store_timer_clear(&core->timers, &p->again);
    list_del(&p->to_run);
    list_del(&p->to_ack);
    HASH_DEL(core->peers, p);
    mem_free(p);
}

void store_peer_settle__(struct store_core *core, struct store_peer *p)
{
    if (!p->serves && list_empty(&p->pulls) && list_empty(&p->outbox) && list_empty(&p->unacked) &&
        list_empty(&p->resend) && !p->acks && !p->ask && !p->unreachable && !p->blocked)
        store_peer_delete__(core, p);
}

static void unreachable(struct store_core *core, struct store_peer *p)
{
    p->unreachable = true;
    if (!list_linked(&p->to_run))
        list_add_tail(&core->unreachable, &p->to_run);
}

/* 0, -LIMIT, -UNAVAILABLE. */
static int send_now(struct store_core *core, struct store_peer *p, uint16_t type, const void *head,
                    size_t head_size, const void *data, size_t data_size)
{
    int r = core->ops->link_send(core->arg, p->node.bytes, type, head, head_size, data, data_size);

    if (r == -RAIA_ERR_LIMIT)
        p->blocked = true;
    else if (r < 0)
        unreachable(core, p);
    return r;
}

static struct store_out *out_new(uint16_t type, const void *head, size_t head_size,
                                 const void *data, size_t data_size)
{
    struct store_out *out = mem_alloc(sizeof *out + data_size);

    if (!out)
        return NULL;
    *out = (struct store_out){
        .type = type, .head_size = (uint32_t)head_size, .data_size = (uint32_t)data_size};
    list_init(&out->link);
    memcpy(out->head, head, head_size);
    if (data_size)
        memcpy(out->data, data, data_size);
    return out;
}

/* What cannot be queued is lost as if the link had broken: its kinds are made good by timeouts. */
int store_peer_send__(struct store_core *core, struct store_peer *p, uint16_t type,
                      const void *head, size_t head_size, const void *data, size_t data_size)
{
    struct store_out *out;
    int r;

    if (p->unreachable)
        return -RAIA_ERR_UNAVAILABLE;
    if (!p->blocked && list_empty(&p->outbox)) {
        r = send_now(core, p, type, head, head_size, data, data_size);
        if (r != -RAIA_ERR_LIMIT)
            return r;
    }
    if (p->noutbox >= STORE_OUTBOX_MAX)
        return -RAIA_ERR_LIMIT;
    out = out_new(type, head, head_size, data, data_size);
    if (!out)
        return -RAIA_ERR_NOMEM;
    list_add_tail(&p->outbox, &out->link);
    p->noutbox++;
    return 0;
}

void store_peer_send_soft__(struct store_core *core, const struct node_id *node,
                            const struct object_id *id, uint32_t flags)
{
    struct store_peer *p = store_peer_get__(core, node);
    struct store_link_free r = {.flags = flags};

    if (!p)
        return;
    memcpy(r.object, id->bytes, sizeof r.object);
    (void)store_peer_send__(core, p, STORE_LINK_FREE, &r, sizeof r, NULL, 0);
}

/* Moves what waits to the link, as far as it takes it. */
static void outbox_flush(struct store_core *core, struct store_peer *p)
{
    struct store_out *out;

    while (!p->blocked && !p->unreachable &&
           (out = LIST_FIRST(&p->outbox, struct store_out, link))) {
        int r = send_now(core, p, out->type, out->head, out->head_size, out->data, out->data_size);

        if (r < 0)
            return;
        list_del(&out->link);
        p->noutbox--;
        if (out->acked) {
            list_add_tail(&p->unacked, &out->link);
            p->nunacked++;
        } else {
            mem_free(out);
        }
    }
}

void store_peer_send_free__(struct store_core *core, const struct node_id *node,
                            const struct object_id *id)
{
    struct store_peer *p = store_peer_get__(core, node);
    struct store_link_free r = {.flags = STORE_FREE_ACK};
    struct store_out *out;

    if (!p || p->noutbox + p->nunacked + p->nresend >= 2 * STORE_OUTBOX_MAX)
        return; /* its job's end frees it there */
    memcpy(r.object, id->bytes, sizeof r.object);
    out = out_new(STORE_LINK_FREE, &r, sizeof r, NULL, 0);
    if (!out)
        return;
    out->acked = true;
    list_add_tail(&p->outbox, &out->link);
    p->noutbox++;
    outbox_flush(core, p);
}

void store_peer_freed__(struct store_core *core, struct store_peer *p, uint32_t count)
{
    struct store_out *out;

    (void)core;
    while (count-- && (out = LIST_FIRST(&p->unacked, struct store_out, link))) {
        list_del(&out->link);
        p->nunacked--;
        mem_free(out);
    }
}

static bool owns(const struct store_core *core, const struct node_id *node)
{
    const struct store_owner *w, *next;

    HASH_FOREACH (core->owners, w, next)
        if (node_id_equal(&w->node, node))
            return true;
    return false;
}

/* Ends all that goes on with a peer. `dead`: it will not come back. */
static void peer_lost(struct store_core *core, struct store_peer *p, bool dead)
{
    struct store_pull *pull;
    struct store_out *out, *next;

    p->unreachable = true; /* nothing is sent from in here */
    p->acks = 0;
    list_del(&p->to_ack);
    while (p->serves) /* ending one may end others */
        store_serve_end__(core, p->serves, 0);
    p->in_flight = 0;
    while ((pull = LIST_FIRST(&p->pulls, struct store_pull, of_peer)))
        store_pull_failed__(core, pull, dead ? STORE_SOURCE_DEAD : STORE_SOURCE_OK, !dead);
    LIST_FOREACH_SAFE (out, next, &p->outbox, link) {
        list_del(&out->link);
        if (out->acked) {
            list_add_tail(&p->resend, &out->link);
            p->nresend++;
        } else {
            mem_free(out);
        }
    }
    p->noutbox = 0;
    list_splice_tail(&p->resend, &p->unacked);
    p->nresend += p->nunacked;
    p->nunacked = 0;
    p->blocked = false;
    p->unreachable = false;
    list_del(&p->to_run);
    p->ask = !dead && core->bug != STORE_BUG_DEAD_OWNER && owns(core, &p->node);
    if (dead)
        outs_clear(&p->resend, &p->nresend);
    else if (p->nresend || p->ask)
        (void)store_timer_set(&core->timers, &p->again, clock_add_ms(core->now, AGAIN_MS));
    store_peer_settle__(core, p);
}

/* The word of a death may have gone with the link. If this goes with one, too, it is asked again. */
static void ask_owners(struct store_core *core, struct store_peer *p)
{
    struct store_owner *w, *next;

    p->ask = false;
    store_doubts_node__(core, &p->node);
    HASH_FOREACH (core->owners, w, next) {
        struct store_link_owner r;

        if (!node_id_equal(&w->node, &p->node))
            continue;
        memcpy(r.worker, w->id.bytes, sizeof r.worker);
        (void)store_peer_send__(core, p, STORE_LINK_OWNER_ASK, &r, sizeof r, NULL, 0);
    }
}

void store_peer_again__(struct store_core *core, struct store_peer *p)
{
    list_splice_tail(&p->outbox, &p->resend);
    p->noutbox += p->nresend;
    p->nresend = 0;
    outbox_flush(core, p);
    if (p->ask)
        ask_owners(core, p);
    store_peer_settle__(core, p);
}

/* The forward lists forget the node; copies from there will not be freed by anybody else. */
static void forget_node(struct store_core *core, const struct node_id *node, bool dead)
{
    struct store_object *o, *next;

    HASH_FOREACH (core->objects, o, next) {
        store_forward_remove__(o, node);
        for (uint32_t i = 0; dead && i < o->nsources; i++)
            if (node_id_equal(&o->sources[i].node, node))
                o->sources[i].state = STORE_SOURCE_DEAD;
        if (o->copied && node_id_equal(&o->source, node)) {
            o->copied = false;
            store_object_soften__(core, o);
        }
    }
}

void store_core_link_broken(struct store_core *core, int64_t now, const uint8_t node[16])
{
    struct store_peer *p;
    struct node_id id;

    core->now = now;
    memcpy(id.bytes, node, sizeof id.bytes);
    forget_node(core, &id, false);
    p = owns(core, &id) ? store_peer_get__(core, &id) : store_peer_find__(core, &id);
    if (p)
        peer_lost(core, p, false);
    store_run__(core);
}

void store_core_node_gone(struct store_core *core, int64_t now, const uint8_t node[16])
{
    struct store_peer *p;
    struct node_id id;

    core->now = now;
    memcpy(id.bytes, node, sizeof id.bytes);
    forget_node(core, &id, true);
    store_owners_gone__(core, &id);
    p = store_peer_find__(core, &id);
    if (p)
        peer_lost(core, p, true);
    store_run__(core);
}

void store_core_link_writable(struct store_core *core, int64_t now, const uint8_t node[16])
{
    struct store_peer *p;
    struct node_id id;

    core->now = now;
    memcpy(id.bytes, node, sizeof id.bytes);
    p = store_peer_find__(core, &id);
    if (p) {
        p->blocked = false;
        outbox_flush(core, p);
        store_serve_pump__(core, p);
        store_peer_settle__(core, p);
    }
    store_run__(core);
}

void store_peers_run__(struct store_core *core)
{
    struct store_peer *p;

    while ((p = LIST_FIRST(&core->to_ack, struct store_peer, to_ack))) {
        struct store_link_freed r = {.count = p->acks};
        list_del(&p->to_ack);
        p->acks = 0;
        (void)store_peer_send__(core, p, STORE_LINK_FREED, &r, sizeof r, NULL, 0);
        store_peer_settle__(core, p);
    }
    while ((p = LIST_FIRST(&core->unreachable, struct store_peer, to_run))) {
        struct node_id node = p->node;
        forget_node(core, &node, false);
        p = store_peer_find__(core, &node);
        if (p)
            peer_lost(core, p, true);
    }
}
