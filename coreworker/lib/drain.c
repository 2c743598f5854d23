/* Taking what has come: rings, channels, and the pieces of messages. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/drain.h"

static void protocol_error(struct runtime *rt, struct link *l)
{
    struct rec_peer_close m = {.number = l->number, .serial = l->serial};

    if (link_is_pair(l))
        ring_pair_break(&l->pair);
    link_send(rt, rt->raylet, REC_PEER_CLOSE, 0, &m, sizeof(m), false);
    link_closed(rt, l, -RAIA_ERR_UNAVAILABLE);
}

/* A record of a process: a message, or a piece of one. */
static void take(struct runtime *rt, struct link *l, uint16_t type, uint16_t flags, uint64_t tag,
                 const uint8_t *data, size_t size)
{
    struct buf whole;

    if (flags & WIRE_EXTENT) { /* over a channel, or to the raylet's own pair */
        protocol_error(rt, l);
        return;
    }
    if (!(flags & WIRE_MORE) && l->partial_type == 0) {
        route_message(rt, l, type, tag, data, size);
        return;
    }
    if (l->partial_type == 0) {
        l->partial_type = type;
        l->partial_tag = tag;
    }
    if (type != l->partial_type || tag != l->partial_tag ||
        buf_put_bytes(&l->partial, data, size) < 0) {
        protocol_error(rt, l);
        return;
    }
    if (flags & WIRE_MORE)
        return;
    /* Routed from a copy of the buffer's handle: what it does may close the link. */
    whole = l->partial;
    buf_init(&l->partial, WIRE_MESSAGE_MAX);
    l->partial_type = 0;
    route_message(rt, l, type, tag, whole.data, whole.size);
    buf_fini(&whole);
}

/* A message that lies in the peer's arena; it is copied out before the record is given back, which
 * frees its slot. */
static void take_extent(struct runtime *rt, struct link *l, const struct ring_header *h,
                        const void *record)
{
    uint8_t *data;
    size_t size;
    int r = h->flags & WIRE_MORE || l->partial_type
                ? -RAIA_ERR_PROTOCOL
                : arena_read(rt, l, record, ring_payload_size(h), &data, &size);

    ring_consume(&l->pair.rx);
    ring_release(&l->pair.rx);
    if (r < 0) {
        protocol_error(rt, l);
        return;
    }
    route_message(rt, l, h->type, h->tag, data, size);
    arena_done(rt, data);
}

static void drain_pair(struct runtime *rt, struct link *l, bool all)
{
    _Alignas(16) uint8_t copy[RING_PAYLOAD_MAX];
    struct ring_header h;
    const void *p;
    unsigned n = 0;
    int r = 0;

    while (link_is_pair(l) && (r = ring_peek(&l->pair.rx, &h, &p)) > 0) {
        size_t size = ring_payload_size(&h);

        if (h.flags & WIRE_EXTENT && !l->raylet) {
            take_extent(rt, l, &h, p);
        } else {
            memcpy(copy, p, size);
            ring_consume(&l->pair.rx);
            if (l->raylet)
                route_raylet(rt, h.type, h.flags, h.tag, copy, size);
            else
                take(rt, l, h.type, h.flags, h.tag, copy, size);
        }
        if (++n == RT_DRAIN_BATCH && !all) {
            doorbell_mark(&rt->bell, l->number);
            break;
        }
    }
    if (r < 0 && l->raylet) {
        struct raia_error e;

        err_set(&e, RAIA_ERR_UNAVAILABLE, "node %s: its raylet has gone", rt->node_name);
        rt_die(rt, &e);
    } else if (r == -RAIA_ERR_PROTOCOL) {
        protocol_error(rt, l);
    }
    /* Any other end of a pair: the raylet will say what it was (REC_PEER_CLOSED). */
}

/* There may be room again. */
static void room(struct runtime *rt, struct link *l)
{
    raia_actor *a, *next;

    if (!list_empty(&l->outbox) && !link_flush(rt, l))
        return;
    if (!l->was_full)
        return;
    l->was_full = false;
    submitter_room(&rt->submitter, l);
    LIST_FOREACH_SAFE (a, next, &l->callers, on_link)
        caller_room(&a->caller);
}

static void room_in_channels(struct runtime *rt)
{
    struct link *l, *next;

    HASH_FOREACH (rt->channels, l, next)
        room(rt, l);
}

void rt_drain(struct runtime *rt)
{
    unsigned bit;
    struct list *c;

    rt->draining++;
    while (doorbell_take(&rt->bell, &bit)) {
        struct link *l = rt->pairs[bit];

        if (!l)
            continue;
        drain_pair(rt, l, false);
        if (l->kind == LINK_PAIR)
            room(rt, l);
        if (l->raylet && rt->channels)
            room_in_channels(rt);
    }
    if (--rt->draining == 0)
        while ((c = list_pop(&rt->closed)))
            link_free(rt, container_of(c, struct link, in_dirty));
}

/* ---- what the raylet says of links */

void drain_channel_data(struct runtime *rt, uint64_t number, const uint8_t *data, size_t size)
{
    const struct record_head *h = (const struct record_head *)(const void *)data;
    uint32_t n = (uint32_t)number;
    struct link *l = HASH_GET(rt->channels, number, &n);

    if (!l || size < sizeof(*h) || h->size != size)
        return;
    take(rt, l, h->type, h->flags, h->tag, data + sizeof(*h), size - sizeof(*h));
}

void drain_channel_credit(struct runtime *rt, uint64_t number, uint64_t bytes)
{
    uint32_t n = (uint32_t)number;
    struct link *l = HASH_GET(rt->channels, number, &n);

    if (!l)
        return;
    l->credit += bytes;
    room(rt, l);
}

/* The link that a new pair or channel belongs to: the one that asked, or a new one. */
struct link *drain_link_for(struct runtime *rt, uint64_t tag, const struct record_address *peer)
{
    struct process *p = objects_process(&rt->objects, peer);
    struct link *l;

    if (!p)
        return NULL;
    l = p->link;
    /* It has given the old pair back before it got a new one: its last word is there to be read. */
    if (l && l->kind == LINK_RESTING)
        drain_pair(rt, l, true);
    l = p->link;
    if (l && l->kind == LINK_OPENING) {
        list_del(&l->in_dirty);
        return l;
    }
    (void)tag;
    l = link_new(rt, p);
    if (l && !p->link) {
        p->link = l;
        if (objects_must_resync(p))
            objects_resync(&rt->objects, p);
    }
    return l;
}

void drain_link_opened(struct runtime *rt, struct link *l)
{
    raia_actor *a, *anext;
    struct list *i;

    /* What waited for it goes first, then what is made of it now. */
    link_flush(rt, l);
    while ((i = list_pop(&l->leases)))
        submitter_opened(&rt->submitter, container_of(i, struct lease, opening), l);
    LIST_FOREACH_SAFE (a, anext, &l->callers, on_link)
        actor_link_opened(rt, a, l);
}

void drain_peer_closed(struct runtime *rt, uint64_t tag, const struct rec_peer_closed *m)
{
    struct link *l, *next;

    if (m->number == 0) {
        LIST_FOREACH_SAFE (l, next, &rt->opening, in_dirty)
            if (l->open_tag == tag) {
                link_closed(rt, l, m->status ? m->status : -RAIA_ERR_UNAVAILABLE);
                return;
            }
        return;
    }
    l = m->number < DOORBELL_BITS ? rt->pairs[m->number] : NULL;
    if (!l) {
        uint32_t n = m->number;

        l = HASH_GET(rt->channels, number, &n);
    }
    if (!l || l->raylet)
        return;
    if (link_is_pair(l)) {
        ring_pair_peer_died(&l->pair);
        drain_pair(rt, l, true);
    }
    link_closed(rt, l, m->status);
}

/* Everything that this link still holds, before its process is declared lost. */
void drain_before_loss(struct runtime *rt, const uint8_t worker[16])
{
    struct process *p = objects_find_process(&rt->objects, worker);
    struct link *l = p ? p->link : NULL;

    if (l && link_is_pair(l) && !l->raylet)
        drain_pair(rt, l, true);
}
