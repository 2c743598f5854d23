/*
 * Links: connections between pairs of nodes, counted in epochs.
 *
 * A break begins a new epoch of the pair. Each side learns of it by an event of its own, some time
 * later; until then it stays on the old epoch: it still gets what had been sent on it (a prefix, as
 * the queue is in order), and what it sends is lost. A message of a newer epoch than its receiver
 * knows tells it of the break first.
 */
#include <string.h>

#include "base/sim_impl.h"

static uint64_t *pair_epoch(struct sim_node *a, struct sim_node *b)
{
    struct sim *s = a->sim;

    return a->index < b->index ? &s->epochs[a->index][b->index] : &s->epochs[b->index][a->index];
}

/* Sends `to` word that its connection with peer is not the one it knows, unless it is on the way.
 */
static void tell(struct sim_node *to, struct sim_node *peer)
{
    struct sim *s = to->sim;
    struct sim_side *side = &to->sides[peer->index];
    uint64_t epoch = *pair_epoch(to, peer);
    struct sim_event *e;

    if (!to->alive || side->epoch == epoch || side->told == epoch)
        return;
    e = sim_event_add__(s, s->now + sim_delay__(s), 0);
    if (!e)
        return;
    e->kind = SIM_BROKEN;
    e->from = peer;
    e->to = to;
    e->life = to->life;
    e->epoch = epoch;
    side->told = epoch;
}

void sim_link_break__(struct sim_node *a, struct sim_node *b)
{
    if (a == b)
        return;
    ++*pair_epoch(a, b);
    tell(a, b);
    tell(b, a);
}

void sim_link_renew__(struct sim_node *n)
{
    for (unsigned i = 0; i < n->sim->n_nodes; i++) {
        struct sim_side *side = &n->sides[i];
        side->epoch = side->told = *pair_epoch(n, n->sim->nodes[i]);
    }
}

void sim_send(struct sim_node *from, struct sim_node *to, const void *data, size_t size)
{
    struct sim *s = from->sim;
    struct sim_side *mine = &from->sides[to->index], *theirs = &to->sides[from->index];
    int64_t arrival;
    struct sim_event *e;

    if (!from->alive || s->failed)
        return;
    if (mine->epoch != *pair_epoch(from, to)) {
        sim_trace__(s, "lost", from, to, size);
        tell(from, to);
        return;
    }
    if (!to->alive || mine->partitioned) {
        sim_trace__(s, "lost", from, to, size);
        sim_link_break__(from, to);
        return;
    }
    arrival = s->now + sim_delay__(s);
    if (arrival < theirs->last_arrival)
        arrival = theirs->last_arrival;
    e = sim_event_add__(s, arrival, size);
    if (!e)
        return;
    theirs->last_arrival = arrival;
    e->kind = SIM_MESSAGE;
    e->from = from;
    e->to = to;
    e->epoch = mine->epoch;
    if (size)
        memcpy(e->data, data, size);
}

static void learn(struct sim_node *to, struct sim_node *peer, uint64_t epoch)
{
    to->sides[peer->index].epoch = epoch;
    sim_trace__(to->sim, "broken", peer, to, epoch);
    if (to->ops->broken)
        to->ops->broken(to->ctx, peer);
}

void sim_link_event__(struct sim_event *e)
{
    struct sim_node *to = e->to;
    struct sim_side *side = &to->sides[e->from->index];
    uint64_t life = to->life;

    if (e->kind == SIM_BROKEN) {
        if (to->alive && to->life == e->life && side->epoch < e->epoch)
            learn(to, e->from, e->epoch);
        return;
    }
    if (!to->alive || e->epoch < side->epoch)
        return;
    if (side->epoch < e->epoch)
        learn(to, e->from, e->epoch);
    if (!to->alive || to->life != life) /* it was killed by what it did */
        return;
    sim_trace__(to->sim, "message", e->from, to, e->size);
    to->ops->message(to->ctx, e->from, e->data, e->size);
}

void sim_break(struct sim_node *a, struct sim_node *b)
{
    sim_trace__(a->sim, "break", a, b, 0);
    sim_link_break__(a, b);
}

void sim_partition(struct sim_node *a, struct sim_node *b)
{
    if (a == b || a->sides[b->index].partitioned)
        return;
    sim_trace__(a->sim, "part", a, b, 0);
    a->sides[b->index].partitioned = b->sides[a->index].partitioned = true;
    sim_link_break__(a, b);
}

void sim_heal(struct sim_node *a, struct sim_node *b)
{
    if (!a->sides[b->index].partitioned)
        return;
    sim_trace__(a->sim, "heal", a, b, 0);
    a->sides[b->index].partitioned = b->sides[a->index].partitioned = false;
}

void sim_isolate(struct sim_node *n)
{
    for (unsigned i = 0; i < n->sim->n_nodes; i++)
        sim_partition(n, n->sim->nodes[i]);
}

void sim_heal_all(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++)
        for (unsigned k = i + 1; k < s->n_nodes; k++)
            sim_heal(s->nodes[i], s->nodes[k]);
}
