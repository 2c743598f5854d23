/*
 * Whole clusters of schedulers under virtual time: random demand, worker kills, node kills, broken
 * links, late and lost messages. After each step every node's accounts agree; no worker is ever
 * held by two; in the end all work is done and all resources are free. Seeded: a seed that fails is
 * printed. SCHED_SIM_SEEDS and SCHED_SIM_SEED choose others. Planted bugs must be found.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sim.h"
#include "sched_world.h"

enum sched_plant sched_planted;

/* ---- nodes */

static void node_start(struct sim_node *n)
{
    struct sched_config c;
    struct res_set total = {0};

    memset(n->cli, 0, sizeof n->cli);
    memset(n->linkdown, 0, sizeof n->linkdown);
    for (int i = 0; i < NODES; i++)
        w->node[i].linkdown[index_of(n)] = false;
    res_set_add(&total, RES_CPU, RES_UNIT * prng_range(&w->p, 1, 4));
    sched_config_default(&c, &total);
    c.pool.start_tries = 1000000; /* starts fail here by chance, not by their job's fault */
    memset(n->id, 0, 16);
    n->id[0] = ++w->next_id;
    memcpy(c.node, n->id, 16);
    n->s = sched_new(&c, &sim_ops, n);
    n->up = true;
    n->life++;
    n->ver_sent = 0;
    n->tick_at = INT64_MAX;
    later(n, EV_TICK, 0, 1);
    for (int i = 0; i < CLIENTS; i++) {
        static const uint8_t job[4] = {0, 0, 0, 1};
        struct cli *cl = &n->cli[i];
        cl->id = (uint64_t)n->id[0] * CLIENTS * 16 + (uint64_t)i;
        cl->id -= cl->id % CLIENTS;
        cl->id += (uint64_t)i;
        sched_client(n->s, cl->id, job);
        for (uint32_t k = 0; k < CLASSES; k++) {
            struct res_set need = need_of(k);
            sched_class(n->s, cl->id, k + 1, &need, prng_chance(&w->p, 0.3));
            cl->todo[k] = prng_chance(&w->p, 0.6) ? (uint32_t)prng_below(&w->p, 40) : 0;
            if (cl->todo[k])
                state_demand(n, cl, k);
        }
    }
}

static void node_kill(int i)
{
    struct sim_node *n = &w->node[i];

    for (int c = 0; c < CLIENTS; c++)
        for (int k = 0; k < HELD_MAX; k++)
            if (n->cli[c].held[k].used)
                unhold(n->cli[c].held[k].worker); /* it cannot use it any more */
    sched_free(n->s);
    n->s = NULL;
    n->up = false;
    for (int k = 0; k < NODES; k++)
        if (k != i && w->node[k].up) {
            struct event e = {.at = w->now + delay(1000, 200000),
                              .what = EV_NODE_DEAD,
                              .node = k,
                              .life = w->node[k].life};
            memcpy(e.where, n->id, 16);
            push(e);
        }
}

static void link_break(int a, int b)
{
    struct sim_node *x = &w->node[a], *y = &w->node[b];

    if (!x->up || !y->up || x->linkdown[b])
        return;
    w->epoch[a][b]++;
    w->epoch[b][a]++;
    x->linkdown[b] = y->linkdown[a] = true;
    push((struct event){.at = w->now + delay(10, 50000),
                        .what = EV_LINK_DOWN,
                        .node = a,
                        .life = x->life,
                        .from = b,
                        .flife = y->life});
    push((struct event){.at = w->now + delay(10, 50000),
                        .what = EV_LINK_DOWN,
                        .node = b,
                        .life = y->life,
                        .from = a,
                        .flife = x->life});
    push((struct event){.at = w->now + 60 * MS + delay(10, 400000),
                        .what = EV_LINK_UP,
                        .node = a,
                        .life = x->life,
                        .from = b,
                        .flife = y->life});
}

static void chaos(void)
{
    int a = (int)prng_below(&w->p, NODES), b = (int)prng_below(&w->p, NODES);
    struct sim_node *n = &w->node[a];

    switch (prng_below(&w->p, 6)) {
    case 0:
    case 1: /* a worker dies */
        if (n->up && n->s->workers) {
            uint64_t k = prng_below(&w->p, HASH_SIZE(n->s->workers));
            struct wk *v = n->s->workers;
            while (k--)
                v = v->hh.next;
            later(n, EV_EXIT, v->number, 0);
        }
        break;
    case 2:
        if (a != b)
            link_break(a, b);
        break;
    case 3:
        if (n->up && prng_chance(&w->p, 0.3))
            node_kill(a);
        else if (!n->up)
            node_start(n);
        break;
    default: /* a worker blocks, and goes on later */
        if (n->up && n->s->workers) {
            uint64_t number = n->s->workers->number;
            later(n, EV_BLOCK, number << 1 | 1, 0);
            later(n, EV_BLOCK, number << 1, delay(1000, 50000));
        }
        break;
    }
    if (w->now < CHAOS_UNTIL)
        push((struct event){.at = w->now + delay(5000, 60000), .what = EV_CHAOS, .node = -1});
}

static void from_node(struct sim_node *n, const struct event *e)
{
    struct sim_node *f = &w->node[e->from];
    static const struct res_set nothing;
    int slot;

    if (!f->up || f->life != e->flife)
        return;
    slot = sched_node_find(n->s, f->id);
    if (slot < 0) { /* its link says hello before the GCS has told of it */
        sched_node_view(n->s, w->now, f->id, 0, NULL, &nothing);
        slot = sched_node_find(n->s, f->id);
    }
    if (slot < 0 || e->epoch != w->epoch[e->from][e->node])
        return;
    switch (e->what) {
    case EV_ASK:
        sched_asked(n->s, w->now, slot, (uint32_t)e->a, (uint32_t)e->b, &e->shape);
        return;
    case EV_AGRANT:
        sched_granted(n->s, w->now, slot, (uint32_t)e->a, e->b, e->worker);
        return;
    case EV_AREJECT:
        sched_node_view(n->s, w->now, f->id, e->c, NULL, &e->view);
        sched_rejected(n->s, w->now, slot, (uint32_t)e->a, (uint32_t)e->b, 0, "");
        return;
    case EV_ROOM:
        sched_node_view(n->s, w->now, f->id, e->c, NULL, &e->view);
        return;
    case EV_RETURN_TO:
        sched_returned(n->s, w->now, slot, e->b, e->a);
        return;
    case EV_RECLAIM_FROM:
        sched_reclaimed(n->s, w->now, slot, e->b);
        return;
    default:
        sched_lost(n->s, w->now, slot, e->b, -RAIA_ERR_WORKER_CRASHED, -1, "died");
    }
}

static void publish(struct sim_node *n)
{
    const struct ledger *l = sched_ledger(n->s);

    if (l->version == n->ver_sent)
        return;
    n->ver_sent = l->version;
    for (int i = 0; i < NODES; i++) {
        struct event e = view_event(n, EV_VIEW);
        if (i == index_of(n) || !w->node[i].up)
            continue;
        e.at = w->now + delay(500, 150000); /* through the GCS: late, and not in order */
        e.node = i;
        e.life = w->node[i].life;
        e.from = index_of(n);
        e.flife = n->life;
        push(e);
    }
}

static void link_up(struct sim_node *n, const struct event *e)
{
    struct sim_node *f = &w->node[e->from];

    n->linkdown[e->from] = f->linkdown[e->node] = false;
    sched_node_avoid(n->s, w->now, f->id, false);
    sched_node_avoid(f->s, w->now, n->id, false);
}

static void node_event(struct sim_node *n, const struct event *e)
{
    struct sim_node *f = &w->node[e->from];
    bool same = f->up && f->life == e->flife;
    uint8_t id[16] = {n->id[0], (uint8_t)e->a, (uint8_t)(e->a >> 8), 1};

    switch (e->what) {
    case EV_READY:
        sched_worker_ready(n->s, w->now, e->a, id);
        return;
    case EV_EXIT:
        sched_worker_exited(n->s, w->now, e->a, 137, "killed");
        return;
    case EV_BLOCK:
        sched_worker_blocked(n->s, w->now, e->a >> 1, e->a & 1);
        return;
    case EV_DEMAND:
        if (sched_demand(n->s, w->now, n->cli[e->from].id, (uint32_t)e->c + 1, (uint32_t)e->a, e->b,
                         NULL) < 0)
            fail("a demand was refused");
        return;
    case EV_RETURN:
        sched_return(n->s, w->now, n->cli[e->from].id, e->where, e->b, false);
        return;
    case EV_VIEW:
        if (same)
            sched_node_view(n->s, w->now, f->id, e->c, &sched_ledger(f->s)->total, &e->view);
        return;
    case EV_LINK_DOWN:
        if (same) {
            sched_node_avoid(n->s, w->now, f->id, n->linkdown[e->from]);
            sched_node_lost(n->s, w->now, f->id, false);
        }
        return;
    case EV_LINK_UP:
        if (same)
            link_up(n, e);
        return;
    case EV_NODE_DEAD:
        sched_node_lost(n->s, w->now, e->where, true);
        return;
    case EV_GRANT:
    case EV_RUN_END:
    case EV_RECLAIM:
    case EV_LOST:
        client_event(n, e);
        return;
    case EV_TICK:
        return;
    default:
        from_node(n, e);
    }
}

static bool all_done(void)
{
    for (int i = 0; i < NODES; i++) {
        struct sched_stats stats;
        struct sim_node *n = &w->node[i];
        if (!n->up)
            continue;
        for (int c = 0; c < CLIENTS; c++)
            for (int k = 0; k < CLASSES; k++)
                if (n->cli[c].todo[k] || n->cli[c].count[k])
                    return false;
        sched_stats(n->s, &stats);
        if (stats.leases || stats.remote_leases || stats.want || stats.requested)
            return false;
        for (uint32_t k = 0; k < sched_ledger(n->s)->total.n; k++)
            if (sched_ledger(n->s)->available[k] != sched_ledger(n->s)->total.item[k].quantity)
                return false;
    }
    return true;
}

/* For whoever looks into a seed that failed. */
static void show(void)
{
    for (int i = 0; i < NODES; i++) {
        struct sim_node *n = &w->node[i];
        struct sched_stats st;
        struct pool_stats ps;
        if (!n->up)
            continue;
        sched_stats(n->s, &st);
        pool_stats(sched_pool(n->s), &ps);
        fprintf(
            stderr,
            "node %d id %d total %lld available %lld leases %u remote %u want %llu requested %u; "
            "workers %u+%u+%u+%u waiting %u\n",
            i, n->id[0], (long long)sched_ledger(n->s)->total.item[0].quantity,
            (long long)sched_ledger(n->s)->available[0], st.leases, st.remote_leases,
            (unsigned long long)st.want, st.requested, ps.starting, ps.idle, ps.leased, ps.stopping,
            ps.waiting);
        for (struct request *q = n->s->requests; q; q = q->hh.next)
            fprintf(stderr, "    request %u: %u left at node id %d, up %d avoid %d\n", q->number,
                    q->left, sched_node_id(n->s, q->node)[0],
                    index_by_id(sched_node_id(n->s, q->node)), n->s->cluster.node[q->node].avoid);
        for (int c = 0; c < CLIENTS; c++)
            for (int k = 0; k < CLASSES; k++)
                fprintf(stderr, "    client %d class %d todo %u holds %u\n", c, k,
                        n->cli[c].todo[k], n->cli[c].count[k]);
    }
}

/* Runs a seed; NULL, or what went wrong. */
static const char *run(uint64_t seed)
{
    const char *bad;

    w = calloc(1, sizeof *w);
    prng_seed(&w->p, seed);
    for (int i = 0; i < NODES; i++)
        node_start(&w->node[i]);
    push((struct event){.at = 20 * MS, .what = EV_CHAOS, .node = -1});
    while (w->n && !w->bad) {
        struct event e = pop();
        struct sim_node *n;
        int64_t next;
        w->now = e.at;
        if (w->now > GIVE_UP) {
            fail("work was never done, or something was never given back");
            break;
        }
        if (e.node < 0) {
            chaos();
            continue;
        }
        n = &w->node[e.node];
        if (!n->up || n->life != e.life)
            continue;
        if (e.what == EV_TICK && e.at >= n->tick_at)
            n->tick_at = INT64_MAX;
        node_event(n, &e);
        next = sched_tick(n->s, w->now);
        if (next <= w->now)
            fail("a tick asks for itself");
        if (next < n->tick_at) {
            n->tick_at = next;
            push((struct event){.at = next, .what = EV_TICK, .node = e.node, .life = n->life});
        }
        publish(n);
        if (!sched_check(n->s))
            fail("the accounts of a node do not agree");
        if (++w->events % 64 == 0 && w->now > CHAOS_UNTIL && all_done())
            break;
    }
    if (!w->bad && !all_done())
        fail("all is quiet, but work is left, or something was not given back");
    if (w->bad && getenv("SCHED_SIM_SHOW"))
        show();
    bad = w->bad;
    for (int i = 0; i < NODES; i++)
        sched_free(w->node[i].s);
    free(w->heap);
    free(w);
    return bad;
}

static uint64_t env_number(const char *name, uint64_t fallback)
{
    const char *s = getenv(name);

    return s ? strtoull(s, NULL, 10) : fallback;
}

/* Clusters that suffer kills, breaks and delays do all their work, keep their accounts, and never
 * grant a worker twice. */
Test(sched_sim, seeds)
{
    uint64_t first = env_number("SCHED_SIM_SEED", 1), n = sim_seeds_wanted("SCHED_SIM_SEEDS", 1000);

    sched_planted = 0;
    for (uint64_t seed = first; seed < first + n; seed++) {
        const char *bad = run(seed);
        cr_assert_null(bad, "seed %llu: %s (SCHED_SIM_SEED=%llu SCHED_SIM_SEEDS=1 runs it again)",
                       (unsigned long long)seed, bad, (unsigned long long)seed);
    }
}

/* Each planted bug is found within fifty seeds. */
Test(sched_sim, planted)
{
    static const char *const names[] = {"", "leak", "double grant", "lost demand", "missed death"};

    for (int bug = PLANT_LEAK; bug <= PLANT_MISSED_DEATH; bug++) {
        const char *bad = NULL;
        sched_planted = (enum sched_plant)bug;
        for (uint64_t seed = 1; seed <= 50 && !bad; seed++)
            bad = run(seed);
        cr_assert_not_null(bad, "planted bug not found: %s", names[bug]);
    }
    sched_planted = 0;
}
