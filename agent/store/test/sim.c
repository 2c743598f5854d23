/* Nodes and links of sim.h, how they live and die; processes are made and killed here, too. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim_impl.h"

void sim_init(struct sim *s, uint64_t seed, int nodes, uint64_t capacity)
{
    memset(s, 0, sizeof *s);
    prng_seed(&s->rng, seed);
    s->now = CLOCK_NS_PER_S;
    s->link_max = 8;
    s->nnodes = nodes;
    for (int i = 0; i < nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        struct store_config c;
        n->sim = s;
        n->index = i;
        n->alive = true;
        prng_fill(&s->rng, n->id, sizeof n->id);
        store_config_default(&c, n->id, capacity);
        c.segment_bytes = 1 << 20;
        c.max_segments = SIM_SEGMENTS - 2;
        c.max_tombstones = 64;
        c.max_serving = 16;
        c.pull_window = STORE_CHUNK_MAX;
        if (store_core_new(&c, &sim_ops__, n, &n->core) < 0)
            abort();
    }
    for (int a = 0; a < SIM_NODES; a++)
        for (int b = 0; b < SIM_NODES; b++)
            list_init(&s->links[a][b].queue);
}

static void drop_messages(struct sim *s, int a, int b)
{
    struct sim_link *l = &s->links[a][b];
    struct list *first;

    while ((first = list_pop(&l->queue))) {
        struct sim_message *m = container_of(first, struct sim_message, link);
        if (m->send && s->nodes[a].alive)
            store_core_sent(m->send);
        free(m);
    }
    l->n = 0;
    l->blocked = false;
}

void sim_fini(struct sim *s)
{
    for (int i = 0; i < s->nnodes; i++)
        for (int k = 0; k < s->nnodes; k++)
            drop_messages(s, i, k);
    for (int i = 0; i < s->nnodes; i++)
        store_core_free(s->nodes[i].core);
}

int sim_client_add(struct sim *s, int node)
{
    int i = s->nclients;
    struct sim_client *c = &s->clients[i];

    if (i == SIM_CLIENTS || !s->nodes[node].alive)
        return -1;
    s->nclients++;
    c->number = (uint32_t)i + 1;
    c->node = node;
    c->alive = true;
    c->job[3] = 1;
    memcpy(c->address.node, s->nodes[node].id, 16);
    prng_fill(&s->rng, c->address.worker, 16);
    for (int k = 0; k < SIM_HELD; k++)
        c->reads[k].object = c->writes[k].object = -1;
    if (store_core_client_add(s->nodes[node].core, c->number, &c->address, c->job) < 0)
        abort();
    return i;
}

static void forget_client(struct sim *s, int client)
{
    s->clients[client].alive = false;
    for (uint64_t t = 0; t < s->ntags; t++)
        if (s->tags[t].client == client)
            s->tags[t].answered = true; /* nobody is there to be answered */
    for (int i = 0; i < s->nobjects; i++)
        if (s->objects[i].state == SIM_CREATING && sim_slot(s->clients[client].writes, i) >= 0)
            s->objects[i].state = SIM_NEVER;
}

void sim_client_kill(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];

    if (!c->alive)
        return;
    if (prng_chance(&s->rng, 0.5))
        store_core_client_closed(core_of(s, client), s->now, c->number);
    c->closed = true;
    for (int i = 0; i < SIM_HELD; i++)
        if (c->reads[i].object >= 0)
            sim_look__(s, c, &c->reads[i]);
    forget_client(s, client);
    store_core_client_gone(core_of(s, client), s->now, c->number);
    for (int i = 0; i < s->nobjects; i++)
        if (s->objects[i].owner == client && s->objects[i].state != SIM_CREATING)
            s->objects[i].state = SIM_FREED;
    store_core_owner_gone(core_of(s, client), s->now, &c->address);
    for (int i = 0; i < s->nnodes; i++) {
        if (!s->nodes[i].alive || i == c->node)
            continue;
        if (s->faults && prng_chance(&s->rng, 0.3))
            sim_link_break(s, c->node, i); /* and the word goes with the link */
        else
            store_core_owner_gone(s->nodes[i].core, s->now, &c->address);
    }
}

void sim_node_kill(struct sim *s, int node)
{
    struct sim_node *n = &s->nodes[node];

    for (int i = 0; i < s->nnodes; i++) {
        drop_messages(s, node, i);
        drop_messages(s, i, node);
    }
    n->alive = false;
    for (int i = 0; i < s->nclients; i++)
        if (s->clients[i].node == node && s->clients[i].alive)
            forget_client(s, i);
    for (int i = 0; i < s->nobjects; i++)
        if (s->clients[s->objects[i].owner].node == node || s->objects[i].node == node)
            s->objects[i].state = SIM_FREED;
    for (int i = 0; i < s->nnodes; i++) {
        if (!s->nodes[i].alive)
            continue;
        store_core_link_broken(s->nodes[i].core, s->now, n->id);
        store_core_node_gone(s->nodes[i].core, s->now, n->id);
    }
}

void sim_link_break(struct sim *s, int a, int b)
{
    while (prng_chance(&s->rng, 0.5) && sim_deliver(s, a, b))
        ;
    while (prng_chance(&s->rng, 0.5) && sim_deliver(s, b, a))
        ;
    drop_messages(s, a, b);
    drop_messages(s, b, a);
    store_core_link_broken(s->nodes[a].core, s->now, s->nodes[b].id);
    /* What a says from now on goes over a new link, and reaches b after it learned of the end. */
    store_core_link_broken(s->nodes[b].core, s->now, s->nodes[a].id);
}

bool sim_deliver(struct sim *s, int a, int b)
{
    struct sim_link *l = &s->links[a][b];
    struct list *first = list_pop(&l->queue);
    struct sim_message *m;

    if (!first)
        return false;
    m = container_of(first, struct sim_message, link);
    l->n--;
    if (store_core_link_record(s->nodes[b].core, s->now, s->nodes[a].id, m->type, m->head,
                               m->head_size, m->data, m->data_size) < 0)
        sim_fail__(s, "link record 0x%x is refused", m->type);
    if (m->send)
        store_core_sent(m->send);
    free(m);
    if (l->blocked && l->n <= s->link_max / 2) {
        l->blocked = false;
        store_core_link_writable(s->nodes[a].core, s->now, s->nodes[b].id);
    }
    return true;
}

void sim_deliver_all(struct sim *s)
{
    bool more = true;

    while (more && !s->failed[0]) {
        more = false;
        for (int a = 0; a < s->nnodes; a++)
            for (int b = 0; b < s->nnodes; b++)
                while (sim_deliver(s, a, b))
                    more = true;
    }
}

void sim_tick(struct sim *s, int64_t now)
{
    s->now = now;
    for (int i = 0; i < s->nnodes; i++)
        if (s->nodes[i].alive && store_core_next_deadline(s->nodes[i].core) <= now)
            store_core_tick(s->nodes[i].core, now);
}
