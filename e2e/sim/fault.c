/* What goes wrong: deaths of processes and nodes, links that break, partitions. */
#include "sim/world.h"

#define MS CLOCK_NS_PER_MS

struct cut {
    struct world *c;
    struct sim_node *a, *b;
};

static void heal(void *ctx)
{
    struct cut *x = ctx;

    sim_heal(x->a, x->b);
}

static void cut_off(struct world *c, struct sim_node *a, struct sim_node *b, int64_t ns)
{
    struct cut *x = world_alloc(c, sizeof(*x));

    if (!x || a == b)
        return;
    *x = (struct cut){.c = c, .a = a, .b = b};
    c->breaks++;
    sim_partition(a, b);
    sim_after(c->sim, NULL, ns, heal, x, NULL);
}

static struct node *random_node(struct world *c)
{
    struct node *n = c->nodes[prng_below(c->prng, c->n_nodes)];

    return node_alive(n) ? n : NULL;
}

static void kill_one(struct world *c)
{
    struct proc *p = c->n_procs ? c->procs[prng_below(c->prng, c->n_procs)] : NULL;
    unsigned alive = 0;
    struct node *n;

    if (prng_chance(c->prng, 0.04)) {
        gcs_crash(c->gcs);
        return;
    }
    if (prng_chance(c->prng, 0.9)) {
        /* Drivers seldom: much ends with them. */
        if (p && proc_alive(p) && (!proc_is_driver(p) || prng_chance(c->prng, 0.1)))
            proc_kill(p);
        return;
    }
    for (unsigned i = 0; i < c->n_nodes; i++)
        alive += node_alive(c->nodes[i]);
    n = random_node(c);
    if (!n || alive < 2 || c->n_nodes == NODES_MAX || prng_chance(c->prng, 0.7))
        return;
    node_kill(n);
    node_new(c, (unsigned)prng_range(c->prng, 1, 4), prng_chance(c->prng, 0.7) ? n : NULL);
}

static void cut_one(struct world *c)
{
    struct node *a = random_node(c), *b = random_node(c);

    if (!a || !b)
        return;
    if (prng_chance(c->prng, 0.2))
        cut_off(c, node_sim(a), gcs_sim(c->gcs), prng_range(c->prng, 10, 2500) * MS);
    else if (a != b && prng_chance(c->prng, 0.5))
        cut_off(c, node_sim(a), node_sim(b), prng_range(c->prng, 5, 400) * MS);
    else if (a != b) {
        c->breaks++;
        sim_break(node_sim(a), node_sim(b));
    }
}

static void fault(void *ctx)
{
    struct world *c = ctx;

    if (c->quiet)
        return;
    if (c->kills && (!c->partitions || prng_chance(c->prng, 0.5)))
        kill_one(c);
    else if (c->partitions)
        cut_one(c);
    sim_after(c->sim, NULL, prng_range(c->prng, 5, 120) * MS, fault, c, NULL);
}

void fault_start(struct world *c)
{
    if (c->kills || c->partitions)
        sim_after(c->sim, NULL, prng_range(c->prng, 5, 100) * MS, fault, c, NULL);
}

void fault_stop(struct world *c)
{
    c->quiet = true;
    sim_heal_all(c->sim);
}
