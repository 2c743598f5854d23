/* Whole stores under virtual time: random processes, links that break, nodes that die. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/sim.h"
#include "sim.h"

#define MIB (UINT64_C(1) << 20)

static struct sim world;

static int random_client(struct sim *s)
{
    for (int tries = 0; tries < 50; tries++) {
        int i = (int)prng_below(&s->rng, (uint64_t)s->nclients);
        if (s->clients[i].alive)
            return i;
    }
    return -1;
}

static int random_node(struct sim *s)
{
    for (int tries = 0; tries < 50; tries++) {
        int i = (int)prng_below(&s->rng, (uint64_t)s->nnodes);
        if (s->nodes[i].alive)
            return i;
    }
    return -1;
}

static int full_slot(struct sim *s, const struct sim_held *held)
{
    for (int tries = 0; tries < 4; tries++) {
        int i = (int)prng_below(&s->rng, SIM_HELD);
        for (int k = 0; k < SIM_HELD; k++)
            if (held[(i + k) % SIM_HELD].object >= 0)
                return (i + k) % SIM_HELD;
    }
    return -1;
}

static int room(const struct sim_held *held)
{
    int n = 0;

    for (int i = 0; i < SIM_HELD; i++)
        n += held[i].object < 0;
    return n;
}

static uint64_t random_size(struct sim *s)
{
    static const uint64_t most[] = {2000, 100000, 300000, 1500000};

    return prng_below(&s->rng, most[prng_below(&s->rng, 4)]);
}

static void random_get(struct sim *s, int client)
{
    int object, nodes[4], n = 0, other;
    static const uint32_t deadlines[] = {0, 500, 20000, UINT32_MAX};

    if (!s->nobjects || room(s->clients[client].reads) < 40)
        return;
    object = (int)prng_below(&s->rng, (uint64_t)s->nobjects);
    nodes[n++] = s->objects[object].node;
    if (prng_chance(&s->rng, 0.3) && (other = random_node(s)) != nodes[0])
        nodes[n++] = other;
    nodes[n] = -1;
    sim_get(s, client, object, nodes, deadlines[prng_below(&s->rng, 4)],
            (uint32_t)prng_below(&s->rng, 3));
}

static void process_step(struct sim *s)
{
    int client = random_client(s), slot, owner = random_client(s);
    struct sim_client *c = &s->clients[client < 0 ? 0 : client];

    if (client < 0 || owner < 0)
        return;
    switch (prng_below(&s->rng, 9)) {
    case 0:
    case 1:
        if (room(c->writes) > 40)
            sim_create(s, client, owner, random_size(s), prng_chance(&s->rng, 0.7) ? 3000 : 0);
        break;
    case 2:
    case 3:
        if ((slot = full_slot(s, c->writes)) >= 0)
            sim_seal(s, client, slot, room(c->reads) < 20 || prng_chance(&s->rng, 0.5));
        break;
    case 4:
        if ((slot = full_slot(s, c->writes)) >= 0 && prng_chance(&s->rng, 0.3))
            sim_abort(s, client, slot);
        break;
    case 5:
    case 6:
        random_get(s, client);
        break;
    case 7:
        if ((slot = full_slot(s, c->reads)) >= 0)
            sim_release(s, client, slot);
        break;
    default: {
        int o = s->nobjects ? (int)prng_below(&s->rng, (uint64_t)s->nobjects) : -1;
        if (o >= 0 && s->objects[o].state == SIM_SEALED && s->clients[s->objects[o].owner].alive)
            sim_free_object(s, o);
        else if (s->ntags && prng_chance(&s->rng, 0.3))
            sim_get_cancel(s, prng_below(&s->rng, s->ntags));
    }
    }
}

static void fault_step(struct sim *s)
{
    int a = random_node(s), b = random_node(s);

    switch (prng_below(&s->rng, 8)) {
    case 0:
    case 1:
    case 2:
        if (a >= 0 && b >= 0 && a != b)
            sim_link_break(s, a, b);
        break;
    case 3:
        if (prng_chance(&s->rng, 0.2) && a > 0)
            sim_node_kill(s, a);
        break;
    case 4:
    case 5:
        if (prng_chance(&s->rng, 0.5) && (b = random_client(s)) >= 0)
            sim_client_kill(s, b);
        break;
    default:
        if (a >= 0)
            sim_client_add(s, a);
    }
}

static void run(struct sim *s, uint64_t seed, int steps, bool faults, enum store_bug bug)
{
    sim_init(s, seed, 3 + (int)(seed % 2), (3 + seed % 4) * MIB);
    s->faults = faults;
    for (int i = 0; i < s->nnodes; i++) {
        store_core_plant(s->nodes[i].core, bug);
        sim_client_add(s, i);
        sim_client_add(s, i);
    }
    for (int step = 0; step < steps && !s->failed[0]; step++) {
        uint64_t what = prng_below(&s->rng, 100);
        if (what < 50)
            process_step(s);
        else if (what < 90)
            sim_deliver(s, (int)prng_below(&s->rng, (uint64_t)s->nnodes),
                        (int)prng_below(&s->rng, (uint64_t)s->nnodes));
        else if (what < 97)
            sim_tick(s, s->now + (int64_t)prng_below(&s->rng, 400) * CLOCK_NS_PER_MS);
        else if (faults)
            fault_step(s);
        if (step % 16 == 0)
            sim_check(s);
    }
    if (!s->failed[0])
        sim_finish(s);
}

static uint64_t seeds(uint64_t ordinary)
{
    return sim_seeds_wanted("STORE_SIM_SEEDS", ordinary);
}

/* Without faults: every GET and CREATE is answered once, nobody reads freed memory, what is there
 * is found, and all memory comes back. */
Test(sim, calm, .timeout = 1100)
{
    uint64_t ok = 0, evicted = 0;

    for (uint64_t seed = 1; seed <= seeds(120); seed++) {
        run(&world, seed, 1500, false, STORE_BUG_NONE);
        cr_assert_str_empty(world.failed, "seed %lu: %s", (unsigned long)seed, world.failed);
        ok += world.gets_ok;
        evicted += world.evicted;
        sim_fini(&world);
    }
    cr_assert_gt(ok, 1000);
    cr_assert_gt(evicted, 10);
}

/* The same while links break, processes are killed and nodes die. */
Test(sim, faults, .timeout = 1100)
{
    uint64_t ok = 0;

    for (uint64_t seed = 1000; seed < 1000 + seeds(280); seed++) {
        run(&world, seed, 1500, true, STORE_BUG_NONE);
        cr_assert_str_empty(world.failed, "seed %lu: %s", (unsigned long)seed, world.failed);
        ok += world.gets_ok;
        sim_fini(&world);
    }
    cr_assert_gt(ok, 1000);
}

/* Each bug planted on purpose is found within a few seeds. */
Test(sim, planted_bugs)
{
    static const enum store_bug bugs[] = {STORE_BUG_EARLY_FREE, STORE_BUG_LOST_RELEASE,
                                          STORE_BUG_LOST_FREE};

    for (int i = 0; i < 3; i++) {
        bool found = false;
        for (uint64_t seed = 1; seed <= 20 && !found; seed++) {
            run(&world, seed, 1500, false, bugs[i]);
            found = world.failed[0] != '\0';
            sim_fini(&world);
        }
        cr_assert(found, "planted bug %d was not found", (int)bugs[i]);
    }
}
