/* How processes reach each other: ring pairs within a node, channels between nodes (as
 * agent/raylet's peers.c does it, without credits). */
#include <string.h>

#include "base/mem.h"
#include "sim/node_impl.h"

static void tell_closed(struct session *s, uint64_t tag, uint32_t conn, int status,
                        const struct record_address *peer)
{
    struct rec_peer_closed rec = {.number = conn, .status = status, .peer = *peer};

    session_send(s, REC_PEER_CLOSED, conn, tag, &rec, sizeof rec);
}

static struct record_address address_of(const struct session *s)
{
    return *proc_address(s->p);
}

/* ---- pairs */

static void open_pair(struct session *s, uint64_t tag, struct session *other)
{
    struct pair_end *a, *b;
    struct record_address x = address_of(s), y = address_of(other);

    LIST_FOREACH (a, &s->ends, link)
        if (a->other == other) {
            session_send(s, REC_PEER_PAIR, a->conn, tag, &y, sizeof y);
            return;
        }
    a = mem_new(struct pair_end);
    if (a && other == s) { /* a process whose own actor it calls */
        *a = (struct pair_end){.other = s, .conn = s->n->next_conn++};
        list_add_tail(&s->ends, &a->link);
        proc_add_pair(s->p, a->conn, s->p);
        session_send(s, REC_PEER_PAIR, a->conn, tag, &y, sizeof y);
        return;
    }
    b = mem_new(struct pair_end);
    if (!a || !b) {
        mem_free(a);
        mem_free(b);
        sim_fail(s->n->c->sim, "out of memory");
        return;
    }
    a->conn = b->conn = s->n->next_conn++;
    a->other = other;
    b->other = s;
    list_add_tail(&s->ends, &a->link);
    list_add_tail(&other->ends, &b->link);
    proc_add_pair(s->p, a->conn, other->p);
    proc_add_pair(other->p, a->conn, s->p);
    session_send(other, REC_PEER_PAIR, a->conn, 0, &x, sizeof x);
    session_send(s, REC_PEER_PAIR, a->conn, tag, &y, sizeof y);
}

static void pair_close(struct session *s, struct pair_end *a, int status)
{
    struct session *other = a->other;
    struct record_address me = address_of(s);
    struct pair_end *b, *next;

    LIST_FOREACH_SAFE (b, next, &other->ends, link)
        if (b != a && b->conn == a->conn) {
            list_del(&b->link);
            mem_free(b);
        }
    if (other != s && s->n->c->plant != PLANT_MISSED_DEATH)
        tell_closed(other, 0, a->conn, status, &me);
    list_del(&a->link);
    mem_free(a);
}

/* ---- channels */

static struct channel *channel_new(struct session *s, const struct record_address *peer)
{
    struct channel *ch = mem_new(struct channel);

    if (!ch) {
        sim_fail(s->n->c->sim, "out of memory");
        return NULL;
    }
    ch->s = s;
    ch->mine = s->n->next_conn++;
    ch->peer = *peer;
    list_add_tail(&s->channels, &ch->link);
    return ch;
}

static void channel_free(struct channel *ch)
{
    list_del(&ch->link);
    mem_free(ch);
}

static void channel_drop(struct channel *ch, int status)
{
    if (status == -RAIA_ERR_UNAVAILABLE && ch->open)
        oracle_broke(ch->s->n->c, proc_address(ch->s->p)->worker, ch->peer.worker);
    tell_closed(ch->s, ch->open ? 0 : ch->tag, ch->open ? ch->mine : 0, status, &ch->peer);
    channel_free(ch);
}

static void open_channel(struct session *s, uint64_t tag, const struct record_address *to)
{
    struct peer *p = node_peer(s->n, to->node);
    struct hop h = {.type = HOP_CH_OPEN, .to = *to};
    struct channel *ch;

    if (p && p->dead) {
        tell_closed(s, tag, 0, -RAIA_ERR_NODE_DIED, to);
        return;
    }
    LIST_FOREACH (ch, &s->channels, link)
        if (!memcmp(&ch->peer, to, sizeof *to)) { /* the peer was first */
            session_send(s, REC_CHANNEL_OPENED, ch->mine, tag, to, sizeof *to);
            return;
        }
    ch = channel_new(s, to);
    if (!ch)
        return;
    ch->tag = tag;
    h.mine = ch->mine;
    h.from = address_of(s);
    if (node_hop(s->n, to->node, &h, NULL, 0) < 0)
        channel_drop(ch, -RAIA_ERR_UNAVAILABLE);
}

void channel_peer_open(struct session *s, uint64_t tag, const struct record_address *to)
{
    struct session *other;

    if (memcmp(to->node, s->n->id, 16)) {
        open_channel(s, tag, to);
        return;
    }
    other = node_session_of(s->n, to->worker);
    if (!other)
        tell_closed(s, tag, 0, -RAIA_ERR_WORKER_CRASHED, to);
    else
        open_pair(s, tag, other);
}

void channel_up(struct session *s, uint32_t conn, const void *data, size_t size)
{
    struct channel *ch;

    LIST_FOREACH (ch, &s->channels, link)
        if (ch->mine == conn && ch->open) {
            struct hop h = {.type = HOP_CH_DATA, .yours = ch->yours};

            node_hop(s->n, ch->peer.node, &h, data, size);
            return;
        }
}

static struct channel *channel_of(struct node *n, uint32_t mine, const uint8_t node[16])
{
    struct session *s;
    struct channel *ch;

    LIST_FOREACH (s, &n->sessions, link)
        LIST_FOREACH (ch, &s->channels, link)
            if (ch->mine == mine && !memcmp(ch->peer.node, node, 16))
                return ch;
    return NULL;
}

static void refuse(struct node *n, const uint8_t node[16], uint32_t theirs, int status)
{
    struct hop h = {.type = HOP_CH_CLOSED, .yours = theirs, .status = status};

    node_hop(n, node, &h, NULL, 0);
}

static void on_open(struct node *n, const uint8_t node[16], const struct hop *h)
{
    struct session *s = node_session_of(n, h->to.worker);
    struct hop back = {.type = HOP_CH_OPENED, .yours = h->mine};
    struct channel *ch, *mine = NULL;

    if (!s) {
        refuse(n, node, h->mine, -RAIA_ERR_WORKER_CRASHED);
        return;
    }
    LIST_FOREACH (ch, &s->channels, link)
        if (!ch->open && !memcmp(&ch->peer, &h->from, sizeof h->from))
            mine = ch;
    if (mine && memcmp(h->from.worker, proc_address(s->p)->worker, 16) > 0)
        return; /* both asked: the smaller one's stands, and that is ours */
    if (!mine)
        mine = channel_new(s, &h->from);
    if (!mine)
        return;
    mine->yours = h->mine;
    mine->open = true;
    session_send(s, REC_CHANNEL_OPENED, mine->mine, mine->tag, &mine->peer, sizeof mine->peer);
    back.mine = mine->mine;
    node_hop(n, node, &back, NULL, 0);
}

void channel_hop(struct node *n, const uint8_t node[16], const struct hop *h, const void *data,
                 size_t size)
{
    struct channel *ch;

    if (h->type == HOP_CH_OPEN) {
        on_open(n, node, h);
        return;
    }
    ch = channel_of(n, h->yours, node);
    if (h->type == HOP_CH_OPENED) {
        if (!ch) {
            refuse(n, node, h->mine, -RAIA_ERR_WORKER_CRASHED); /* who asked has gone */
            return;
        }
        if (ch->open)
            return;
        ch->open = true;
        ch->yours = h->mine;
        session_send(ch->s, REC_CHANNEL_OPENED, ch->mine, ch->tag, &ch->peer, sizeof ch->peer);
    } else if (ch && h->type == HOP_CH_CLOSED) {
        channel_drop(ch, h->status);
    } else if (ch && h->type == HOP_CH_DATA && ch->open) {
        session_send(ch->s, REC_CHANNEL_DATA, ch->mine, 0, data, size);
    }
}

/* The process is gone: its peers are told. */
void channel_gone(struct session *s, int status)
{
    struct pair_end *a, *anext;
    struct channel *ch, *next;

    LIST_FOREACH_SAFE (a, anext, &s->ends, link)
        pair_close(s, a, status);
    LIST_FOREACH_SAFE (ch, next, &s->channels, link) {
        struct hop h = {.type = HOP_CH_CLOSED, .yours = ch->yours, .status = status};

        if (ch->open && s->n->c->plant != PLANT_MISSED_DEATH)
            node_hop(s->n, ch->peer.node, &h, NULL, 0);
        channel_free(ch);
    }
}

void channel_node_lost(struct node *n, const uint8_t node[16], int status)
{
    struct session *s;
    struct channel *ch, *next;

    LIST_FOREACH (s, &n->sessions, link)
        LIST_FOREACH_SAFE (ch, next, &s->channels, link)
            if (!memcmp(ch->peer.node, node, 16))
                channel_drop(ch, status);
}
