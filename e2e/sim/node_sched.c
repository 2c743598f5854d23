/* What a raylet's scheduler does to the world: words to processes and other nodes, and workers. */
#include <string.h>

#include "base/mem.h"
#include "sim/node_impl.h"

/* ---- the scheduler's effects */

static void on_grant(void *arg, uint64_t client, uint32_t number, uint64_t lease,
                     const uint8_t node[16], const uint8_t worker[16])
{
    struct node *n = arg;
    struct session *s = session_by_client(n, client), *other;
    struct rec_lease rec = {.lease = lease, .number = number};

    if (!s)
        return;
    memcpy(rec.worker.node, node, 16);
    memcpy(rec.worker.worker, worker, 16);
    session_send(s, REC_LEASE, 0, 0, &rec, sizeof rec);
    if (n->c->plant != PLANT_DOUBLE_GRANT)
        return;
    LIST_FOREACH (other, &n->sessions, link)
        if (other != s && !other->worker) {
            session_send(other, REC_LEASE, 0, 0, &rec, sizeof rec);
            return;
        }
}

static void on_reclaim(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16])
{
    struct session *s = session_by_client(arg, client);

    if (s)
        session_send(s, REC_LEASE_RECLAIM, 0, lease, node, 16);
}

static void on_lost(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16],
                    const uint8_t worker[16], int status, int exit_status, const char *text)
{
    struct session *s = session_by_client(arg, client);
    struct rec_lease_lost rec = {.lease = lease, .status = status, .exit_status = exit_status};

    (void)text;
    if (!s)
        return;
    memcpy(rec.worker.node, node, 16);
    memcpy(rec.worker.worker, worker, 16);
    session_send(s, REC_LEASE_LOST, 0, 0, &rec, sizeof rec);
}

static void on_failed(void *arg, uint64_t client, uint32_t number, int status, const char *text)
{
    struct session *s = session_by_client(arg, client);
    struct rec_demand_failed rec = {.number = number, .status = status};

    (void)text;
    if (s)
        session_send(s, REC_DEMAND_FAILED, 0, 0, &rec, sizeof rec);
}

void hosted_tell(struct node *n, const struct hosted *h, enum gcs_word_type type, uint32_t state,
                 const struct record_address *address, int status)
{
    struct gcs_word w = {
        .type = type, .incarnation = h->incarnation, .state = state, .status = status};

    memcpy(w.actor, h->actor, 16);
    if (address)
        w.address = *address;
    node_say(n, &w);
}

void hosted_event(struct node *n, const struct hosted *h, uint32_t state,
                  const struct record_address *address, int status)
{
    hosted_tell(n, h, WORD_ACTOR_EVENT, state, address, status);
}

void hosted_end(struct node *n, struct hosted *h, int status)
{
    hosted_event(n, h, ACTOR_DEAD, NULL, status);
    list_del(&h->link);
    mem_free(h);
}

static void on_taken(void *arg, uint64_t tag, uint64_t lease, uint64_t worker, int status,
                     const char *text)
{
    struct node *n = arg;
    struct hosted *h, *next;

    (void)text;
    LIST_FOREACH_SAFE (h, next, &n->actors, link) {
        struct session *s = worker ? session_by_worker(n, worker) : NULL;
        struct gcs_word w = {.type = WORD_ACTOR_CREATE, .incarnation = h->incarnation};

        if (h->tag != tag)
            continue;
        if (!s) { /* no worker: placed elsewhere */
            hosted_end(n, h, status ? status : -RAIA_ERR_LIMIT);
            return;
        }
        h->lease = lease;
        h->worker = worker;
        memcpy(w.actor, h->actor, 16);
        session_send(s, REC_ACTOR_CREATE, 0, 0, &w, sizeof w);
        return;
    }
}

static void hop_to(struct node *n, int slot, const struct hop *h)
{
    /* What is lost is mended by the break of the link. */
    node_hop(n, sched_node_id(n->sched, slot), h, NULL, 0);
}

static void on_ask(void *arg, int node, uint32_t request, uint32_t count,
                   const struct sched_shape *shape)
{
    struct hop h = {.type = HOP_ASK,
                    .request = request,
                    .count = count,
                    .spread = shape->spread,
                    .cpus = res_set_get(&shape->need, RES_CPU)};

    memcpy(h.job, shape->job, 4);
    hop_to(arg, node, &h);
}

static void on_answer_grant(void *arg, int node, uint32_t request, uint64_t lease,
                            const uint8_t worker[16])
{
    struct hop h = {.type = HOP_GRANT, .request = request, .lease = lease};

    memcpy(h.worker, worker, 16);
    hop_to(arg, node, &h);
}

void node_put_view(struct node *n, struct hop *h)
{
    struct res_set available;

    ledger_available(sched_ledger(n->sched), &available);
    h->version = sched_ledger(n->sched)->version;
    h->cpus = res_set_get(&available, RES_CPU);
}

static void on_answer_reject(void *arg, int node, uint32_t request, uint32_t count, int status,
                             const char *text)
{
    struct hop h = {.type = HOP_REJECT, .request = request, .count = count, .status = status};

    (void)text;
    node_put_view(arg, &h);
    hop_to(arg, node, &h);
}

static void on_return_to(void *arg, int node, uint64_t lease, bool broken)
{
    hop_to(arg, node, &(struct hop){.type = HOP_RETURN, .lease = lease, .broken = broken});
}

static void on_reclaim_from(void *arg, int node, uint64_t lease)
{
    hop_to(arg, node, &(struct hop){.type = HOP_RECLAIM, .lease = lease});
}

static void on_lost_at(void *arg, int node, uint64_t lease, int status, int exit_status,
                       const char *text)
{
    (void)exit_status;
    (void)text;
    hop_to(arg, node, &(struct hop){.type = HOP_LOST, .lease = lease, .status = status});
}

static void on_room(void *arg, int node)
{
    struct hop h = {.type = HOP_ROOM};

    node_put_view(arg, &h);
    hop_to(arg, node, &h);
}

/* ---- workers */

/* A worker's process, on its way from one state to the next. */
struct errand {
    struct node *n;
    uint64_t worker;
    bool force;
};

static void worker_later(struct node *n, uint64_t worker, bool force, int64_t ns, sim_fn fn)
{
    struct errand *x = world_alloc(n->c, sizeof *x);

    if (!x) {
        sim_fail(n->c->sim, "out of memory");
        return;
    }
    *x = (struct errand){.n = n, .worker = worker, .force = force};
    sim_after(n->c->sim, n->sn, ns, fn, x, NULL);
}

struct session *session_new(struct node *n, uint64_t worker, const uint8_t job[4])
{
    struct session *s = mem_new(struct session);

    if (!s || n->c->n_procs == PROCS_MAX) {
        mem_free(s);
        sim_fail(n->c->sim, "no room for more processes");
        return NULL;
    }
    s->n = n;
    s->client = ++n->next_client;
    s->worker = worker;
    memcpy(s->job, job, 4);
    list_init(&s->ends);
    list_init(&s->channels);
    s->p = proc_new(n->c, n, s->client, worker == 0);
    if (!s->p) {
        mem_free(s);
        sim_fail(n->c->sim, "out of memory");
        return NULL;
    }
    n->c->procs[n->c->n_procs++] = s->p;
    list_add_tail(&n->sessions, &s->link);
    sched_client(n->sched, s->client, job);
    node_store_session(s);
    return s;
}

static void worker_up(void *ctx)
{
    struct errand x = *(struct errand *)ctx;
    enum pool_state state;
    uint8_t j[4];
    struct session *s;

    if (!pool_worker(sched_pool(x.n->sched), x.worker, &state, j) || state != POOL_STARTING)
        return; /* stopped before it was up: its exit is on its way */
    s = session_new(x.n, x.worker, j);
    if (!s)
        return;
    sched_worker_ready(x.n->sched, world_now(x.n->c), x.worker, proc_address(s->p)->worker);
    node_settle(x.n);
}

static void session_end(struct session *s)
{
    struct node *n = s->n;
    struct hosted *h, *next;
    int64_t now = world_now(n->c);

    lane_drain(proc_up(s->p));
    list_del(&s->link);
    node_store_session_end(s);
    LIST_FOREACH_SAFE (h, next, &n->actors, link)
        if (s->worker && h->worker == s->worker)
            hosted_end(n, h, -RAIA_ERR_ACTOR_DIED);
    if (prng_chance(n->c->prng, 0.5)) {
        channel_gone(s, -RAIA_ERR_WORKER_CRASHED);
        sched_client_gone(n->sched, now, s->client);
        if (s->worker)
            sched_worker_exited(n->sched, now, s->worker, 137, "killed");
    } else {
        if (s->worker)
            sched_worker_exited(n->sched, now, s->worker, 137, "killed");
        sched_client_gone(n->sched, now, s->client);
        channel_gone(s, -RAIA_ERR_WORKER_CRASHED);
    }
    if (!s->worker)
        node_driver_left(n, s->job);
    mem_free(s);
}

static void worker_exited(void *ctx)
{
    struct errand x = *(struct errand *)ctx;
    struct session *s = session_by_worker(x.n, x.worker);

    if (s)
        session_end(s);
    else
        sched_worker_exited(x.n->sched, world_now(x.n->c), x.worker, 137, "killed");
    node_settle(x.n);
}

static void driver_exited(void *ctx)
{
    struct errand x = *(struct errand *)ctx;
    struct session *s = session_by_client(x.n, x.worker);

    if (s)
        session_end(s);
    node_settle(x.n);
}

void node_proc_died(struct node *n, struct proc *p)
{
    struct session *s = session_by_client(n, proc_client(p));
    int64_t ns = prng_range(n->c->prng, 50, 20000) * CLOCK_NS_PER_US;

    if (!s || !n->alive)
        return;
    if (s->worker)
        worker_later(n, s->worker, true, ns, worker_exited);
    else
        worker_later(n, s->client, true, ns, driver_exited);
}

static void on_spawn(void *arg, uint64_t worker, const uint8_t of[4])
{
    struct node *n = arg;
    struct prng *r = n->c->prng;

    if (node_job_over(n, of) || (n->c->kills && !n->c->quiet && prng_chance(r, 0.02)))
        worker_later(n, worker, true, prng_range(r, 100, 20000) * CLOCK_NS_PER_US, worker_exited);
    else
        worker_later(n, worker, true, prng_range(r, 500, 30000) * CLOCK_NS_PER_US, worker_up);
}

static void stop_now(void *ctx)
{
    struct errand *x = ctx;
    struct session *s = session_by_worker(x->n, x->worker);

    if (!s) { /* not up yet */
        worker_exited(x);
    } else if (!x->force && proc_alive(s->p) && !proc_idle(s->p)) {
        /* It leaves when nobody needs it any more. */
        sim_after(x->n->c->sim, x->n->sn, 50 * CLOCK_NS_PER_MS, stop_now, x, NULL);
    } else {
        proc_kill(s->p); /* then node_proc_died, if it was alive */
    }
}

static void on_stop(void *arg, uint64_t worker, bool force, const char *why)
{
    struct node *n = arg;

    (void)why;
    worker_later(n, worker, force, prng_range(n->c->prng, 10, 3000) * CLOCK_NS_PER_US, stop_now);
}

const struct sched_ops node_sched_ops = {
    .grant = on_grant,
    .reclaim = on_reclaim,
    .lost = on_lost,
    .failed = on_failed,
    .taken = on_taken,
    .ask = on_ask,
    .answer_grant = on_answer_grant,
    .answer_reject = on_answer_reject,
    .return_to = on_return_to,
    .reclaim_from = on_reclaim_from,
    .lost_at = on_lost_at,
    .room = on_room,
    .spawn = on_spawn,
    .stop = on_stop,
};
