/* One run: a cluster is made, its drivers work while things go wrong, then all must come to rest. */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FAULTS_NS (2 * CLOCK_NS_PER_S)   /* things go wrong until then */
#define REST_NS   (120 * CLOCK_NS_PER_S) /* and all is quiet at the latest then */

struct arena_block {
    struct list link;
    _Alignas(16) uint8_t data[];
};

void *world_alloc(struct world *c, size_t size)
{
    struct arena_block *b = mem_calloc(1, sizeof(*b) + size);

    if (!b) {
        sim_fail(c->sim, "out of memory");
        return NULL;
    }
    list_add_tail(&c->arena, &b->link);
    return b->data;
}

const char *plant_name(enum plant p)
{
    static const char *const names[PLANT_MAX] = {
        "nothing",           "early free",        "lost borrow",       "double grant",
        "leaked resource",   "reordered call",    "duplicate run",     "missed death",
        "stale incarnation", "same incarnation",  "replaces ignored",  "job stays",
        "job finished once", "full for ever",     "store: early free", "store: lost release",
        "store: lost free",  "store: copy stays", "store: no retry",   "store: leaked pin",
        "store: dead owner", "store: strays"};

    return names[p];
}

void world_job(struct world *c, const uint8_t id[4], struct proc *driver)
{
    memcpy(c->jobs[c->n_jobs].id, id, 4);
    c->jobs[c->n_jobs++].driver = driver;
}

bool world_job_over(const struct world *c, const uint8_t id[4])
{
    for (unsigned i = 0; i < c->n_jobs; i++)
        if (!memcmp(c->jobs[i].id, id, 4))
            return !proc_alive(c->jobs[i].driver);
    return false;
}

static struct world_totals totals;

const struct world_totals *world_totals(void)
{
    return &totals;
}

static void make(struct world *c)
{
    struct prng *r = c->prng;
    unsigned nodes = (unsigned)prng_range(r, 1, 4),
             drivers = (unsigned)prng_range(r, 1, DRIVERS_MAX);

    c->kills = prng_chance(r, 0.6);
    c->partitions = prng_chance(r, 0.4);
    c->large = prng_chance(r, 0.6);
    c->leave = prng_chance(r, 0.5);
    c->tasks_max = (uint64_t)prng_range(r, 50, 600);
    if (prng_chance(r, 0.3)) /* slow links */
        sim_set_delay(c->sim, CLOCK_NS_PER_MS, 20 * CLOCK_NS_PER_MS);
    c->gcs = gcs_new(c);
    for (unsigned i = 0; i < nodes; i++)
        node_new(c, (unsigned)prng_range(r, 1, 4), NULL);
    c->n_actors = (unsigned)prng_below(r, 4);
    for (unsigned i = 0; i < c->n_actors; i++) {
        prng_fill(r, c->actors[i], 16);
        gcs_add_actor(c->gcs, c->actors[i], (unsigned)prng_below(r, 4));
    }
    for (unsigned i = 0; i < drivers && !sim_failed(c->sim); i++)
        node_add_driver(c->nodes[prng_below(r, nodes)]);
    fault_start(c);
}

static bool drivers_ended(void *ctx)
{
    const struct world *c = ctx;

    for (unsigned i = 0; i < c->n_procs; i++)
        if (proc_is_driver(c->procs[i]) && !load_ended(c->procs[i]))
            return false;
    for (unsigned i = 0; i < c->n_nodes; i++)
        if (node_alive(c->nodes[i]) && node_awaits_driver(c->nodes[i]))
            return false;
    return true;
}

static bool at_rest(void *ctx)
{
    const struct world *c = ctx;

    if (!gcs_idle(c->gcs))
        return false;
    for (unsigned i = 0; i < c->n_procs; i++)
        if (!proc_idle(c->procs[i]))
            return false;
    for (unsigned i = 0; i < c->n_nodes; i++)
        if (node_alive(c->nodes[i]) && !node_idle(c->nodes[i]))
            return false;
    return true;
}

static void check(void *ctx)
{
    struct world *c = ctx;

    for (unsigned i = 0; i < c->n_procs; i++)
        proc_check(c->procs[i], false);
    for (unsigned i = 0; i < c->n_nodes; i++)
        if (node_alive(c->nodes[i]))
            node_store_check(c->nodes[i]);
    sim_after(c->sim, NULL, 3 * CLOCK_NS_PER_MS, check, c, NULL);
}

/* In steps, so that what is looked for is not looked for after each event. */
static bool run_until(struct world *c, bool (*done)(void *ctx), int64_t until)
{
    while (!done(c)) {
        int64_t next = sim_now(c->sim) + 20 * CLOCK_NS_PER_MS;

        if (sim_now(c->sim) >= until || !sim_run(c->sim, next))
            return false;
    }
    return true;
}

static void show(const struct world *c)
{
    fprintf(stderr,
            "at %lld ms: %u nodes, kills %d, partitions %d, %u deaths, %u breaks, %llu tasks\n",
            (long long)(sim_now(c->sim) / CLOCK_NS_PER_MS), c->n_nodes, c->kills, c->partitions,
            c->deaths, c->breaks, (unsigned long long)c->tasks);
    gcs_show(c->gcs);
    for (unsigned i = 0; i < c->n_nodes; i++)
        if (node_alive(c->nodes[i]))
            node_show(c->nodes[i]);
    for (unsigned i = 0; i < c->n_procs; i++)
        proc_show(c->procs[i]);
}

static void run(struct world *c)
{
    int64_t until;

    check(c);
    sim_run(c->sim, FAULTS_NS);
    fault_stop(c);
    until = sim_now(c->sim) + REST_NS;
    if (!run_until(c, drivers_ended, until)) {
        sim_fail(c->sim, "a driver hangs");
        return;
    }
    c->closing = true;
    for (unsigned i = 0; i < c->n_procs; i++)
        load_release(c->procs[i]);
    gcs_kill_actors(c->gcs);
    if (!run_until(c, at_rest, until))
        sim_fail(c->sim, "something is under way, or was not given back, when all should be quiet");
}

int world_run(struct sim *s, void *ctx)
{
    struct world *c = mem_new(struct world);
    const enum plant *plant = ctx;

    if (!c)
        return -1;
    c->sim = s;
    c->prng = sim_prng(s);
    c->trace = getenv("RAIA_SIM_TRACE") != NULL;
    c->plant = plant ? *plant : PLANT_NONE;
    list_init(&c->lanes);
    list_init(&c->arena);
    c->oracle = oracle_new(c);
    make(c);
    run(c);
    if (sim_failed(s) && getenv("RAIA_SIM_SHOW"))
        show(c);
    totals.read += c->fetched;
    totals.strays += c->strays;
    totals.refused += c->refused;
    totals.again += c->again;
    totals.given_up += c->given_up;
    for (unsigned i = 0; i < c->n_nodes; i++)
        node_store_totals(c->nodes[i], &totals);
    for (unsigned i = 0; i < c->n_procs; i++)
        proc_free(c->procs[i]);
    for (unsigned i = 0; i < c->n_nodes; i++)
        node_free(c->nodes[i]);
    gcs_free(c->gcs);
    lanes_free(c);
    while (!list_empty(&c->arena)) {
        struct list *l = list_pop(&c->arena);

        mem_free(container_of(l, struct arena_block, link));
    }
    oracle_free(c->oracle);
    mem_free(c);
    return sim_failed(s) ? -1 : 0;
}
