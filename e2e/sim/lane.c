/* Lanes: the rings of a node. What was written stays readable when its writer dies, as in shared
 * memory; all of it ends with the node. */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct lane {
    struct list link; /* world.lanes */
    struct world *c;
    struct sim_node *home; /* the node that it is in */
    lane_fn fn;            /* who reads */
    void *to;              /* of fn */
    int64_t last;          /* when the last one arrives, ns */
    struct list queue;     /* struct item, oldest first */
};

struct item {
    struct list link;
    struct lane *lane;
    uint16_t type;
    uint32_t conn;
    uint64_t tag;
    size_t size; /* bytes of data */
    _Alignas(16) uint8_t data[];
};

struct lane *lane_new(struct world *c, struct sim_node *home, lane_fn fn, void *to)
{
    struct lane *l = mem_new(struct lane);

    if (!l) {
        sim_fail(c->sim, "out of memory");
        return NULL;
    }
    l->c = c;
    l->home = home;
    l->fn = fn;
    l->to = to;
    list_init(&l->queue);
    list_add_tail(&c->lanes, &l->link);
    return l;
}

static void take(struct lane *l)
{
    struct item *i = LIST_FIRST(&l->queue, struct item, link);

    if (!i)
        return;
    list_del(&i->link);
    if (l->c->trace)
        fprintf(stderr, "%14.6f ms %s: to %p type %u conn %u tag %llx size %zu\n",
                (double)world_now(l->c) / CLOCK_NS_PER_MS, sim_node_name(l->home), l->to, i->type,
                i->conn, (unsigned long long)i->tag, i->size);
    l->fn(l->to, i->type, i->conn, i->tag, i->data, i->size);
    mem_free(i);
}

/* Each item has an event; one that was drained leaves its event to nobody, or to the next. */
static void on_event(void *ctx)
{
    take(ctx);
}

void lane_send(struct lane *l, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
               size_t size)
{
    struct item *i = mem_alloc(sizeof(*i) + size);
    struct world *c = l->c;
    int64_t at = sim_now(c->sim) + prng_range(c->prng, 2000, 200000);

    if (!i) {
        sim_fail(c->sim, "out of memory");
        return;
    }
    /* Now and then somebody does not look for a while. */
    if (prng_chance(c->prng, 0.01))
        at += prng_range(c->prng, 0, 5 * CLOCK_NS_PER_MS);
    if (at < l->last)
        at = l->last;
    l->last = at;
    i->lane = l;
    i->type = type;
    i->conn = conn;
    i->tag = tag;
    i->size = size;
    if (size)
        memcpy(i->data, data, size);
    list_add_tail(&l->queue, &i->link);
    sim_after(c->sim, l->home, at - sim_now(c->sim), on_event, l, NULL);
}

void lane_drain(struct lane *l)
{
    while (l && !list_empty(&l->queue))
        take(l);
}

void lanes_free(struct world *c)
{
    struct list *at, *item;

    while ((at = list_pop(&c->lanes))) {
        struct lane *l = container_of(at, struct lane, link);

        while ((item = list_pop(&l->queue)))
            mem_free(container_of(item, struct item, link));
        mem_free(l);
    }
}
