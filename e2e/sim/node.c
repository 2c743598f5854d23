/* A raylet: the scheduler with its sessions, its links to other nodes, its word from the control
 * store. The glue of agent/raylet, done again. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/node_impl.h"

#define NODE_BEAT_NS  (200 * CLOCK_NS_PER_MS)
#define NODE_FENCE_NS (1500 * CLOCK_NS_PER_MS) /* unheard by the control store: dead */

const uint8_t node_actors_job[4] = {255, 0, 0, 1};

struct sim_node *node_sim(const struct node *n)
{
    return n->sn;
}

const uint8_t *node_id(const struct node *n)
{
    return n->id;
}

bool node_alive(const struct node *n)
{
    return n->alive;
}

struct node *node_by_id(struct world *c, const uint8_t id[16])
{
    for (unsigned i = 0; i < c->n_nodes; i++)
        if (!memcmp(c->nodes[i]->id, id, 16))
            return c->nodes[i];
    return NULL;
}

struct peer *node_peer(struct node *n, const uint8_t id[16])
{
    for (unsigned i = 0; i < n->n_peers; i++)
        if (!memcmp(n->peers[i].id, id, 16))
            return &n->peers[i];
    return NULL;
}

struct session *session_by_client(struct node *n, uint64_t client)
{
    struct session *s;

    LIST_FOREACH (s, &n->sessions, link)
        if (s->client == client)
            return s;
    return NULL;
}

struct session *session_by_worker(struct node *n, uint64_t worker)
{
    struct session *s;

    LIST_FOREACH (s, &n->sessions, link)
        if (s->worker == worker)
            return s;
    return NULL;
}

struct session *node_session_of(struct node *n, const uint8_t worker[16])
{
    struct session *s;

    LIST_FOREACH (s, &n->sessions, link)
        if (!memcmp(proc_address(s->p)->worker, worker, 16))
            return s;
    return NULL;
}

void session_send(struct session *s, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                  size_t size)
{
    lane_send(proc_down(s->p), type, conn, tag, data, size);
}

void node_hop_now(struct node *n, struct peer *p, const struct hop *h, const void *data,
                  size_t size)
{
    uint8_t *m = mem_alloc(sizeof(*h) + size);

    if (!m) {
        sim_fail(n->c->sim, "out of memory");
        return;
    }
    memcpy(m, h, sizeof(*h));
    if (size)
        memcpy(m + sizeof(*h), data, size);
    sim_send(n->sn, p->node->sn, m, sizeof(*h) + size);
    mem_free(m);
}

int node_hop(struct node *n, const uint8_t node[16], const struct hop *h, const void *data,
             size_t size)
{
    struct peer *p = node_peer(n, node);

    if (!p || p->dead)
        return -RAIA_ERR_UNAVAILABLE;
    if (!node_outbox_add(p, h, data, size))
        node_hop_now(n, p, h, data, size);
    return 0;
}

struct res_set node_cpus(int64_t quantity)
{
    struct res_set s = {0};

    if (quantity > 0)
        res_set_add(&s, RES_CPU, quantity);
    return s;
}

/* ---- time */

static void on_tick(void *ctx)
{
    struct node *n = ctx;

    if (world_now(n->c) >= n->tick_at)
        n->tick_at = CLOCK_NEVER;
    node_settle(n);
}

static void report(void *ctx)
{
    struct node *n = ctx;
    struct gcs_word w = {.type = WORD_VIEW};
    struct hop view = {0};

    n->report_due = false;
    node_put_view(n, &view);
    w.version = n->version_sent = view.version;
    w.cpus = view.cpus;
    w.total = n->cpus;
    node_say(n, &w);
}

void node_say(struct node *n, struct gcs_word *w)
{
    w->session = n->session;
    memcpy(w->node, n->id, 16);
    trunk_send(&n->trunk, w);
}

void node_hello(struct node *n)
{
    struct gcs_word w = {.type = WORD_HELLO, .total = n->cpus};
    struct hop view = {0};
    struct hosted *h;

    n->session++;
    LIST_FOREACH (h, &n->actors, link)
        if (h->up)
            hosted_tell(n, h, WORD_HOSTED, ACTOR_ALIVE, &h->address, 0);
    node_jobs_hello(n);
    node_put_view(n, &view);
    w.version = n->version_sent = view.version;
    w.cpus = view.cpus;
    memcpy(w.replaces, n->replaces, 16);
    node_say(n, &w);
    if (n->c->plant != PLANT_FINISH_ONCE)
        node_jobs_finish(n);
    for (unsigned i = 0; i < n->n_wanted; i++) {
        w = (struct gcs_word){.type = WORD_ACTOR_STATE};
        memcpy(w.actor, n->wanted[i], 16);
        node_say(n, &w);
    }
}

/* A process wants to hear of an actor: so does the node, from now on. */
static void want(struct node *n, const struct gcs_word *asked)
{
    struct gcs_word w = *asked;
    unsigned i = 0;

    while (i < n->n_wanted && memcmp(n->wanted[i], w.actor, 16))
        i++;
    if (i == n->n_wanted && i < ACTORS_MAX)
        memcpy(n->wanted[n->n_wanted++], w.actor, 16);
    node_say(n, &w);
}

void node_settle(struct node *n)
{
    int64_t now = world_now(n->c), next;

    if (!n->alive)
        return;
    next = sched_tick(n->sched, now);
    if (next <= now)
        sim_fail(n->c->sim, "node %02x: a tick asks for itself", n->id[0]);
    if (next < n->tick_at) {
        n->tick_at = next;
        sim_after(n->c->sim, n->sn, next - now, on_tick, n, NULL);
    }
    node_store_settle(n);
    if (!sched_check(n->sched))
        sim_fail(n->c->sim, "node %02x: the accounts do not agree", n->id[0]);
    if (sched_ledger(n->sched)->version != n->version_sent && !n->report_due) {
        n->report_due = true;
        sim_after(n->c->sim, n->sn, prng_range(n->c->prng, 1, 100) * CLOCK_NS_PER_MS, report, n,
                  NULL);
    }
}

static void beat(void *ctx)
{
    struct node *n = ctx;
    struct gcs_word w = {.type = WORD_BEAT};

    if (world_now(n->c) - n->heard > NODE_FENCE_NS) {
        node_kill(n); /* nobody knows whether it is taken for dead: it is, then */
        return;
    }
    node_say(n, &w);
    sim_after(n->c->sim, n->sn, NODE_BEAT_NS, beat, n, NULL);
}

/* ---- from processes */

static void client_record(struct session *s, uint16_t type, const void *data)
{
    struct node *n = s->n;
    int64_t now = world_now(n->c);
    const struct rec_demand *d = data;
    const struct rec_lease_return *back = data;
    const struct rec_class *k = data;
    struct res_set need;
    int64_t quantity;

    switch (type) {
    case REC_CLASS:
        memcpy(&quantity, k + 1, sizeof quantity);
        need = node_cpus(quantity);
        sched_class(n->sched, s->client, k->number, &need, k->strategy == 1);
        break;
    case REC_DEMAND:
        if (sched_demand(n->sched, now, s->client, d->number, d->want, d->granted_seen, NULL) < 0)
            sim_fail(n->c->sim, "node %02x: a demand was refused", n->id[0]);
        break;
    case REC_LEASE_RETURN:
        if (n->c->plant == PLANT_LEAKED_RESOURCE && prng_chance(n->c->prng, 0.1))
            break;
        sched_return(n->sched, now, s->client, back->node, back->lease, back->broken != 0);
        break;
    case REC_BLOCKED:
    case REC_UNBLOCKED:
        if (s->worker)
            sched_worker_blocked(n->sched, now, s->worker, type == REC_BLOCKED);
        break;
    default:
        break;
    }
}

static void actor_said(struct session *s, const struct gcs_word *w)
{
    struct hosted *h;

    LIST_FOREACH (h, &s->n->actors, link)
        if (h->worker == s->worker && !memcmp(h->actor, w->actor, 16) &&
            h->incarnation == w->incarnation) {
            h->up = w->state == ACTOR_ALIVE;
            h->address = *proc_address(s->p);
            hosted_event(s->n, h, w->state, proc_address(s->p), w->status);
            return;
        }
}

void node_from_proc(void *proc, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                    size_t size)
{
    struct node *n = proc_node(proc);
    struct session *s = n->alive ? session_by_client(n, proc_client(proc)) : NULL;

    if (!s)
        return;
    switch (type) {
    case REC_PEER_OPEN:
        channel_peer_open(s, tag, data);
        break;
    case REC_CHANNEL_DATA:
        channel_up(s, conn, data, size);
        break;
    case REC_GCS_REQUEST:
        want(n, data);
        break;
    case REC_ACTOR_EVENT:
        actor_said(s, data);
        break;
    default:
        if (type < REC_STORE_CREATE || type > REC_STORE_GIVE)
            client_record(s, type, data);
        else if (node_store_record(s, type, tag, data, size) < 0)
            sim_fail(n->c->sim, "node %02x: a record %u to the store is refused", n->id[0], type);
        break;
    }
    node_settle(n);
}

/* ---- life */

struct node *node_new(struct world *c, unsigned cpus, const struct node *replaces)
{
    struct node *n = mem_new(struct node);
    struct sched_config config;
    struct res_set total = node_cpus(cpus * RES_UNIT);
    char name[16];

    if (!n)
        return NULL;
    n->c = c;
    n->cpus = cpus * RES_UNIT;
    n->alive = true;
    n->tick_at = CLOCK_NEVER;
    n->next_conn = 1;
    n->heard = world_now(c);
    list_init(&n->sessions);
    list_init(&n->actors);
    prng_fill(c->prng, n->id, 16);
    n->id[0] = (uint8_t)(c->n_nodes + 1);
    snprintf(name, sizeof name, "node%u", c->n_nodes);
    sched_config_default(&config, &total);
    config.pool.start_tries =
        6; /* starts fail here by chance; those of jobs that have ended, always */
    memcpy(config.node, n->id, 16);
    n->sn = sim_node_add(c->sim, name, &node_sim_ops, n);
    n->sched = sched_new(&config, &node_sched_ops, n);
    c->nodes[c->n_nodes++] = n;
    if (!n->sn || !n->sched || node_store_new(n) < 0) {
        sim_fail(c->sim, "out of memory");
        return n;
    }
    trunk_init(&n->trunk, c, n->sn, gcs_sim(c->gcs));
    if (replaces)
        memcpy(n->replaces, replaces->id, 16);
    node_hello(n);
    sim_after(c->sim, n->sn, NODE_BEAT_NS, beat, n, NULL);
    node_settle(n);
    return n;
}

void node_kill(struct node *n)
{
    struct session *s;

    if (!n->alive)
        return;
    n->alive = false;
    sim_kill(n->sn);
    LIST_FOREACH (s, &n->sessions, link)
        proc_kill(s->p);
}

void node_free(struct node *n)
{
    struct list *l, *k;

    while ((l = list_pop(&n->sessions))) {
        struct session *s = container_of(l, struct session, link);

        while ((k = list_pop(&s->ends)))
            mem_free(container_of(k, struct pair_end, link));
        while ((k = list_pop(&s->channels)))
            mem_free(container_of(k, struct channel, link));
        mem_free(s);
    }
    while ((l = list_pop(&n->actors)))
        mem_free(container_of(l, struct hosted, link));
    trunk_fini(&n->trunk);
    node_store_free(n);
    sched_free(n->sched);
    mem_free(n);
}

bool node_idle(const struct node *n)
{
    const struct ledger *l = sched_ledger(n->sched);
    struct sched_stats st;

    sched_stats(n->sched, &st);
    if (st.leases || st.remote_leases || st.want || st.requested)
        return false;
    if (!node_store_idle(n) || !node_jobs_idle(n))
        return false;
    for (uint32_t i = 0; i < l->total.n; i++)
        if (l->available[i] != l->total.item[i].quantity || l->in_use[i])
            return false;
    return true;
}

void node_show(const struct node *n)
{
    struct sched_stats st;
    struct pool_stats ps;

    sched_stats(n->sched, &st);
    pool_stats(sched_pool(n->sched), &ps);
    fprintf(stderr,
            "node %02x alive %d cpus %lld available %lld leases %u remote %u want %llu requested "
            "%u; workers: starting %u idle %u leased %u blocked %u stopping %u waiting %u\n",
            n->id[0], n->alive, (long long)n->cpus, (long long)sched_ledger(n->sched)->available[0],
            st.leases, st.remote_leases, (unsigned long long)st.want, st.requested, ps.starting,
            ps.idle, ps.leased, ps.blocked, ps.stopping, ps.waiting);
    node_store_show(n);
    for (unsigned i = 0; i < n->n_peers; i++)
        fprintf(stderr, "  to %02x: avoided %d dead %d\n", n->peers[i].id[0], n->peers[i].avoided,
                n->peers[i].dead);
}
