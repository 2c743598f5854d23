/* A driver or worker: its life, its links, and where messages go. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "sim/proc.h"

struct out_item {
    struct list link;
    uint16_t type;
    uint64_t tag;
    size_t size;
    _Alignas(16) uint8_t data[];
};

static void from_raylet(void *to, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                        size_t size);

bool proc_alive(const struct proc *p)
{
    return p->alive;
}

bool proc_is_driver(const struct proc *p)
{
    return p->driver;
}

const struct record_address *proc_address(const struct proc *p)
{
    return &p->self;
}

struct node *proc_node(const struct proc *p)
{
    return p->node;
}

uint64_t proc_client(const struct proc *p)
{
    return p->client;
}

struct lane *proc_up(const struct proc *p)
{
    return p->up;
}

struct lane *proc_down(const struct proc *p)
{
    return p->down;
}

struct lane *proc_pair(const struct proc *p, uint32_t conn)
{
    struct pair_lane *k;

    LIST_FOREACH (k, &p->pairs, link)
        if (k->conn == conn)
            return k->lane;
    return NULL;
}

struct proc *proc_by_id(struct world *c, const uint8_t worker[16])
{
    for (unsigned i = 0; i < c->n_procs; i++)
        if (!memcmp(c->procs[i]->self.worker, worker, 16))
            return c->procs[i];
    return NULL;
}

/* ---- sending */

void proc_say(struct proc *p, uint16_t type, const void *data, size_t size)
{
    if (!p->mute)
        lane_send(p->up, type, 0, 0, data, size);
}

static void put(struct proc *p, struct plink *l, uint16_t type, uint64_t tag, const void *data,
                size_t size)
{
    struct record_head *h;
    uint8_t *m;

    if (!l->channel) {
        lane_send(proc_pair(p, l->conn), type, l->conn, tag, data, size);
        return;
    }
    m = mem_alloc(sizeof(*h) + size);
    if (!m) {
        sim_fail(p->c->sim, "out of memory");
        return;
    }
    h = (struct record_head *)(void *)m;
    *h = (struct record_head){.size = (uint32_t)(sizeof(*h) + size), .type = type, .tag = tag};
    if (size)
        memcpy(m + sizeof(*h), data, size);
    lane_send(p->up, REC_CHANNEL_DATA, l->conn, 0, m, sizeof(*h) + size);
    mem_free(m);
}

void plink_send(struct proc *p, struct plink *l, uint16_t type, uint64_t tag, const void *data,
                size_t size)
{
    struct out_item *o;

    if (p->mute || l->state == PLINK_CLOSED)
        return;
    if (l->state == PLINK_OPEN) {
        put(p, l, type, tag, data, size);
        return;
    }
    o = mem_alloc(sizeof(*o) + size);
    if (!o) {
        sim_fail(p->c->sim, "out of memory");
        return;
    }
    o->type = type;
    o->tag = tag;
    o->size = size;
    if (size)
        memcpy(o->data, data, size);
    list_add_tail(&l->outbox, &o->link);
}

static struct plink *plink_new(struct proc *p, struct process *q)
{
    struct plink *l = mem_new(struct plink);

    if (!l) {
        sim_fail(p->c->sim, "out of memory");
        return NULL;
    }
    l->process = q;
    list_init(&l->outbox);
    list_init(&l->leases);
    list_init(&l->callers);
    list_add_tail(&p->links, &l->in_proc);
    return l;
}

struct plink *plink_to(struct proc *p, struct process *q)
{
    struct plink *l = q->link;

    if (l || q->dead || p->mute)
        return l;
    l = plink_new(p, q);
    if (!l)
        return NULL;
    l->tag = ++p->next_tag;
    q->link = l;
    lane_send(p->up, REC_PEER_OPEN, 0, l->tag, &q->address, sizeof(q->address));
    if (objects_must_resync(q))
        objects_resync(&p->objects, q);
    return l;
}

static void drop_outbox(struct plink *l)
{
    struct list *i;

    while ((i = list_pop(&l->outbox)))
        mem_free(container_of(i, struct out_item, link));
}

/* Somebody depends on the other: it must be known whether it lives. */
static void reconnect(void *ctx)
{
    struct {
        struct proc *p;
        struct process *q;
    } *x = ctx;

    if (!x->p->alive || x->q->dead)
        return;
    value_ask_again(x->p, x->q);
    proc_settle(x->p);
}

void plink_closed(struct proc *p, struct plink *l, int status)
{
    bool died = status == -RAIA_ERR_WORKER_CRASHED || status == -RAIA_ERR_NODE_DIED;
    struct process *q = l->process;
    bool settle;
    struct raia_error e;
    struct call *c;
    struct list *i;

    if (l->state == PLINK_CLOSED)
        return;
    l->state = PLINK_CLOSED;
    drop_outbox(l);
    if (q->link == l)
        q->link = NULL;
    settle = !died && objects_link_broke(&p->objects, q);
    LIST_FOREACH (c, &p->ready, link)
        if (c->from == l)
            c->from = NULL;
    LIST_FOREACH (c, &p->answering, link)
        if (c->from == l)
            c->from = NULL;
    if (p->running && p->running->call->from == l)
        p->running->call->from = NULL;
    host_link_closed(p, l);
    while ((i = list_pop(&l->leases)))
        submitter_open_failed(&p->submitter, container_of(i, struct lease, opening));
    submitter_link_broke(&p->submitter, l, status);
    while ((i = list_pop(&l->callers)))
        pactor_link_broke(container_of(i, struct pactor, on_link), died);
    if (died) {
        err_set(&e, -status, "%s", raia_strerror(status));
        objects_process_died(&p->objects, q, &e);
    } else if (settle) {
        struct {
            struct proc *p;
            struct process *q;
        } *x = world_alloc(p->c, sizeof(*x));

        if (!x)
            return;
        x->p = p;
        x->q = q;
        sim_after(p->c->sim, node_sim(p->node), prng_range(p->c->prng, 5, 60) * CLOCK_NS_PER_MS,
                  reconnect, x, NULL);
    }
}

/* ---- receiving */

static void route(struct proc *p, struct plink *l, uint16_t type, uint64_t tag, const void *data,
                  size_t size)
{
    const struct wire_steal *steal = data;

    switch (type) {
    case WIRE_TASK:
        call_received(p, l, tag, NULL, data, size);
        if (p->c->plant == PLANT_DUPLICATE_RUN && prng_chance(p->c->prng, 0.05))
            call_received(p, l, tag, NULL, data, size);
        break;
    case WIRE_REPLY:
        task_on_reply(p, l, tag, data, size);
        break;
    case WIRE_CANCEL:
        call_canceled(p, l, tag, NULL);
        break;
    case WIRE_STEAL:
        call_give_back(p, l, steal->count);
        break;
    case WIRE_ACTOR_HELLO:
    case WIRE_ACTOR_WELCOME:
    case WIRE_CALL:
    case WIRE_CALL_REPLY:
    case WIRE_CALL_CANCEL:
        pactor_message(p, l, type, tag, data, size);
        break;
    default:
        task_object_message(p, l, type, data, size);
        break;
    }
}

static struct plink *by_conn(struct proc *p, uint32_t conn)
{
    struct plink *l;

    LIST_FOREACH (l, &p->links, in_proc)
        if (l->state == PLINK_OPEN && l->conn == conn)
            return l;
    return NULL;
}

static void from_pair(void *to, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                      size_t size)
{
    struct proc *p = to;
    struct plink *l;

    if (!p->alive)
        return;
    l = by_conn(p, conn);
    if (!l) { /* it is told of the pair before it looks at it */
        lane_drain(p->down);
        l = by_conn(p, conn);
    }
    if (!l)
        return;
    route(p, l, type, tag, data, size);
    proc_settle(p);
}

void proc_add_pair(struct proc *p, uint32_t conn, struct proc *other)
{
    struct pair_lane *k = world_alloc(p->c, sizeof(*k));

    if (!k)
        return;
    k->conn = conn;
    k->lane = lane_new(p->c, node_sim(p->node), from_pair, other);
    list_add_tail(&p->pairs, &k->link);
}

/* What is left in the ring of a pair whose writer is gone. */
static void drain_pair(struct proc *p, const struct plink *l)
{
    struct proc *other = proc_by_id(p->c, l->process->address.worker);

    if (!l->channel && l->state == PLINK_OPEN && other)
        lane_drain(proc_pair(other, l->conn));
}

static void opened(struct proc *p, uint32_t conn, bool channel, const struct record_address *peer)
{
    struct process *q = objects_process(&p->objects, peer);
    struct plink *l = q ? q->link : NULL;
    struct pactor *a, *anext;
    struct list *i;

    if (!q || by_conn(p, conn))
        return;
    if (!l || l->state != PLINK_OPENING) {
        l = plink_new(p, q);
        if (l && !q->link) {
            q->link = l;
            if (objects_must_resync(q))
                objects_resync(&p->objects, q);
        }
    }
    if (!l)
        return;
    l->conn = conn;
    l->channel = channel;
    l->state = PLINK_OPEN;
    while ((i = list_pop(&l->outbox))) {
        struct out_item *o = container_of(i, struct out_item, link);

        put(p, l, o->type, o->tag, o->data, o->size);
        mem_free(o);
    }
    while ((i = list_pop(&l->leases)))
        submitter_opened(&p->submitter, container_of(i, struct lease, opening), l);
    LIST_FOREACH_SAFE (a, anext, &l->callers, on_link)
        pactor_link_opened(a);
}

static void peer_closed(struct proc *p, uint64_t tag, const struct rec_peer_closed *m)
{
    struct plink *l;

    if (m->number == 0) {
        LIST_FOREACH (l, &p->links, in_proc)
            if (l->state == PLINK_OPENING && l->tag == tag) {
                plink_closed(p, l, m->status);
                return;
            }
        return;
    }
    l = by_conn(p, m->number);
    if (!l)
        return;
    drain_pair(p, l);
    plink_closed(p, l, m->status);
}

static void lease_lost(struct proc *p, const struct rec_lease_lost *m)
{
    struct process *q = objects_find_process(&p->objects, m->worker.worker);
    struct raia_error e;

    if (q && q->link)
        drain_pair(p, q->link);
    oracle_returned(p->c, m->worker.worker, p);
    submitter_lost(&p->submitter, m, "killed");
    q = objects_find_process(&p->objects, m->worker.worker);
    if (q) {
        err_set(&e, -m->status, "lost");
        objects_process_died(&p->objects, q, &e);
    }
}

static void channel_data(struct proc *p, uint32_t conn, const void *data)
{
    const struct record_head *h = data;
    struct plink *l = by_conn(p, conn);

    if (l)
        route(p, l, h->type, h->tag, h + 1, h->size - sizeof(*h));
}

static void from_raylet(void *to, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                        size_t size)
{
    struct proc *p = to;
    const struct rec_demand_failed *f = data;
    const struct rec_lease *lease = data;

    if (!p->alive)
        return;
    switch (type) {
    case REC_PEER_PAIR:
    case REC_CHANNEL_OPENED:
        opened(p, conn, type == REC_CHANNEL_OPENED, data);
        break;
    case REC_PEER_CLOSED:
        peer_closed(p, tag, data);
        break;
    case REC_CHANNEL_DATA:
        channel_data(p, conn, data);
        break;
    case REC_LEASE:
        oracle_granted(p->c, lease->worker.worker, p);
        submitter_granted(&p->submitter, lease);
        break;
    case REC_LEASE_RECLAIM:
        submitter_reclaim(&p->submitter, tag, NULL);
        break;
    case REC_LEASE_LOST:
        lease_lost(p, data);
        break;
    case REC_DEMAND_FAILED:
        submitter_demand_failed(&p->submitter, f, "demand failed");
        break;
    case REC_GCS_PUBLICATION:
        pactor_state(p, data);
        break;
    case REC_ACTOR_CREATE:
        host_create(p, data);
        break;
    default:
        large_record(p, type, tag, data, size);
        break;
    }
    proc_settle(p);
}

/* ---- life */

static void on_tick(void *ctx)
{
    struct proc *p = ctx;

    if (!p->alive)
        return;
    if (world_now(p->c) >= p->tick_at)
        p->tick_at = CLOCK_NEVER;
    proc_settle(p);
}

void proc_settle(struct proc *p)
{
    int64_t now = world_now(p->c), next;

    if (!p->alive)
        return;
    call_next(p);
    next = submitter_tick(&p->submitter, now);
    if (next <= now)
        next = now + CLOCK_NS_PER_US;
    if (next < p->tick_at) {
        p->tick_at = next;
        sim_after(p->c->sim, node_sim(p->node), next - now, on_tick, p, NULL);
    }
}

struct proc *proc_new(struct world *c, struct node *n, uint64_t client, bool driver)
{
    struct proc *p = mem_new(struct proc);

    if (!p)
        return NULL;
    p->c = c;
    p->node = n;
    p->client = client;
    p->driver = driver;
    p->alive = true;
    p->tick_at = CLOCK_NEVER;
    memcpy(p->self.node, node_id(n), 16);
    prng_fill(c->prng, p->self.worker, 16);
    p->self.worker[0] = node_id(n)[0];
    p->self.worker[1] = (uint8_t)client;
    list_init(&p->pairs);
    list_init(&p->links);
    list_init(&p->ready);
    list_init(&p->answering);
    list_init(&p->acts);
    list_init(&p->actors);
    list_init(&p->seats);
    list_init(&p->questions);
    p->up = lane_new(c, node_sim(n), node_from_proc, p);
    p->down = lane_new(c, node_sim(n), from_raylet, p);
    objects_init(&p->objects, &p->pool, &p->self, &proc_objects_ops, p);
    if (submitter_init(&p->submitter, &proc_submitter_ops, p) < 0) {
        mem_free(p);
        return NULL;
    }
    return p;
}

/* Everything that it knew goes; its memory must be all back then. */
static void empty(struct proc *p)
{
    struct raia_error e;
    struct process *q, *qnext;
    struct list *l;

    err_set(&e, RAIA_ERR_SHUTDOWN, "it ended");
    p->mute = true;
    large_fini(p);
    while ((l = list_first(&p->acts))) {
        struct act *a = container_of(l, struct act, link);
        struct call *c = a->call;

        act_end(a);
        if (c)
            call_free(p, c);
    }
    p->running = NULL;
    while (p->n_kept)
        object_release(&p->objects, p->kept[--p->n_kept]);
    while ((l = list_first(&p->ready)))
        call_free(p, container_of(l, struct call, link));
    submitter_fail_all(&p->submitter, &e);
    while ((l = list_first(&p->actors)))
        pactor_free(container_of(l, struct pactor, link));
    HASH_FOREACH (p->objects.processes, q, qnext)
        objects_process_died(&p->objects, q, &e); /* and calls that waited for grants are done */
    while ((l = list_pop(&p->seats))) {
        struct seat *s = container_of(l, struct seat, link);

        receiver_fini(&s->receiver);
        mem_free(s);
    }
    if (p->c->trace && p->objects.count)
        proc_show_objects(p);
    if (p->objects.count || p->tasks || p->pool.in_use)
        sim_fail(p->c->sim,
                 "process %02x%02x: %llu objects, %u tasks, %zu bytes are never given back",
                 p->self.worker[0], p->self.worker[1], (unsigned long long)p->objects.count,
                 p->tasks, p->pool.in_use);
    submitter_fini(&p->submitter);
    while ((l = list_pop(&p->links))) {
        struct plink *k = container_of(l, struct plink, in_proc);

        drop_outbox(k);
        mem_free(k);
    }
    objects_fini(&p->objects);
    pool_fini(&p->pool);
}

void proc_kill(struct proc *p)
{
    if (!p->alive)
        return;
    p->alive = false;
    p->c->deaths++;
    empty(p);
    node_proc_died(p->node, p);
}

void proc_free(struct proc *p)
{
    if (p->alive) {
        p->alive = false;
        empty(p);
    }
    mem_free(p);
}

bool proc_idle(const struct proc *p)
{
    const struct plink *l;

    LIST_FOREACH (l, &p->links, in_proc)
        if (!list_empty(&l->outbox))
            return false;
    return !p->alive ||
           (p->objects.count == 0 && p->tasks == 0 && list_empty(&p->acts) &&
            list_empty(&p->ready) && list_empty(&p->answering) && p->submitter.pending == 0);
}
