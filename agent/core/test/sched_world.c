/*
 * The world (sched_world.h): its queue, what schedulers do to it, and its clients.
 */
#include "sched_world.h"

#include <stdlib.h>
#include <string.h>

struct world *w;

void fail(const char *why)
{
    if (!w->bad)
        w->bad = why;
}

void push(struct event e)
{
    size_t i;

    e.seq = w->seq++;
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 256;
        w->heap = realloc(w->heap, w->cap * sizeof e);
    }
    for (i = w->n++; i > 0; i = (i - 1) / 2) {
        struct event *up = &w->heap[(i - 1) / 2];
        if (up->at < e.at || (up->at == e.at && up->seq < e.seq))
            break;
        w->heap[i] = *up;
    }
    w->heap[i] = e;
}

struct event pop(void)
{
    struct event top = w->heap[0], last = w->heap[--w->n];
    size_t i = 0;

    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= w->n)
            break;
        if (k + 1 < w->n &&
            (w->heap[k + 1].at < w->heap[k].at ||
             (w->heap[k + 1].at == w->heap[k].at && w->heap[k + 1].seq < w->heap[k].seq)))
            k++;
        if (last.at < w->heap[k].at || (last.at == w->heap[k].at && last.seq < w->heap[k].seq))
            break;
        w->heap[i] = w->heap[k];
        i = k;
    }
    w->heap[i] = last;
    return top;
}

int64_t delay(int64_t lo_us, int64_t hi_us)
{
    return prng_range(&w->p, lo_us, hi_us) * 1000;
}

static struct sim_node *me(void *arg)
{
    return arg;
}

int index_of(const struct sim_node *n)
{
    return (int)(n - w->node);
}

int index_by_id(const uint8_t *id)
{
    for (int i = 0; i < NODES; i++)
        if (w->node[i].up && !memcmp(w->node[i].id, id, 16))
            return i;
    return -1;
}

/* To a client of this node: in order, a little later. */
static void to_client(struct sim_node *n, uint64_t client, struct event e)
{
    int i = index_of(n), c = (int)(client % CLIENTS);
    int64_t at = w->now + delay(5, 300);

    if (at < w->cfifo[i][c])
        at = w->cfifo[i][c];
    w->cfifo[i][c] = at;
    e.at = at;
    e.node = i;
    e.life = n->life;
    e.from = c;
    push(e);
}

/* Over the link: in order, lost if it breaks meanwhile. */
static void to_node(struct sim_node *n, int slot, struct event e)
{
    int i = index_of(n), to = index_by_id(sched_node_id(n->s, slot));
    int64_t at;

    if (to < 0)
        return;
    if (n->linkdown[to]) { /* dialling fails */
        push((struct event){.at = w->now + delay(10, 2000),
                            .what = EV_LINK_DOWN,
                            .node = i,
                            .life = n->life,
                            .from = to,
                            .flife = w->node[to].life});
        return;
    }
    at = w->now + delay(50, 2000);
    if (at < w->fifo[i][to])
        at = w->fifo[i][to];
    w->fifo[i][to] = at;
    e.at = at;
    e.node = to;
    e.life = w->node[to].life;
    e.from = i;
    e.flife = n->life;
    e.epoch = w->epoch[i][to];
    push(e);
}

/* ---- the scheduler's effects */

static void on_grant(void *arg, uint64_t client, uint32_t number, uint64_t lease,
                     const uint8_t node[16], const uint8_t worker[16])
{
    struct event e = {.what = EV_GRANT, .a = number - 1, .b = lease};

    memcpy(e.where, node, 16);
    memcpy(e.worker, worker, 16);
    to_client(me(arg), client, e);
}

static void on_reclaim(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16])
{
    struct event e = {.what = EV_RECLAIM, .b = lease};

    memcpy(e.where, node, 16);
    to_client(me(arg), client, e);
}

static void on_lost(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16],
                    const uint8_t worker[16], int status, int exit_status, const char *text)
{
    struct event e = {.what = EV_LOST, .b = lease};

    (void)status;
    (void)exit_status;
    (void)text;
    memcpy(e.where, node, 16);
    memcpy(e.worker, worker, 16);
    to_client(me(arg), client, e);
}

static void on_failed(void *arg, uint64_t client, uint32_t number, int status, const char *text)
{
    (void)arg;
    (void)client;
    (void)number;
    (void)text;
    if (status != -RAIA_ERR_UNSCHEDULABLE)
        fail("a demand failed that could have been met");
}

static void on_taken(void *arg, uint64_t tag, uint64_t lease, uint64_t worker, int status,
                     const char *text)
{
    (void)arg;
    (void)tag;
    (void)lease;
    (void)worker;
    (void)status;
    (void)text;
}

static void on_ask(void *arg, int node, uint32_t request, uint32_t count,
                   const struct sched_shape *shape)
{
    to_node(me(arg), node,
            (struct event){.what = EV_ASK, .a = request, .b = count, .shape = *shape});
}

static void on_answer_grant(void *arg, int node, uint32_t request, uint64_t lease,
                            const uint8_t worker[16])
{
    struct event e = {.what = EV_AGRANT, .a = request, .b = lease};

    memcpy(e.worker, worker, 16);
    to_node(me(arg), node, e);
}

struct event view_event(struct sim_node *n, enum ev what)
{
    struct event e = {.what = what, .c = sched_ledger(n->s)->version};

    ledger_available(sched_ledger(n->s), &e.view);
    return e;
}

static void on_answer_reject(void *arg, int node, uint32_t request, uint32_t count, int status,
                             const char *text)
{
    struct event e = view_event(me(arg), EV_AREJECT);

    (void)status;
    (void)text;
    e.a = request;
    e.b = count;
    to_node(me(arg), node, e);
}

static void on_return_to(void *arg, int node, uint64_t lease, bool broken)
{
    to_node(me(arg), node, (struct event){.what = EV_RETURN_TO, .a = broken, .b = lease});
}

static void on_reclaim_from(void *arg, int node, uint64_t lease)
{
    to_node(me(arg), node, (struct event){.what = EV_RECLAIM_FROM, .b = lease});
}

static void on_lost_at(void *arg, int node, uint64_t lease, int status, int exit_status,
                       const char *text)
{
    (void)status;
    (void)exit_status;
    (void)text;
    to_node(me(arg), node, (struct event){.what = EV_LOST_AT, .b = lease});
}

static void on_room(void *arg, int node)
{
    to_node(me(arg), node, view_event(me(arg), EV_ROOM));
}

void later(struct sim_node *n, enum ev what, uint64_t a, int64_t ns)
{
    push((struct event){
        .at = w->now + ns, .what = what, .node = index_of(n), .life = n->life, .a = a});
}

static void on_spawn(void *arg, uint64_t worker, const uint8_t job[4])
{
    struct sim_node *n = me(arg);

    (void)job;
    if (w->now < CHAOS_UNTIL && prng_chance(&w->p, 0.02))
        later(n, EV_EXIT, worker, delay(100, 20000));
    else
        later(n, EV_READY, worker, delay(500, 30000));
}

static void on_stop(void *arg, uint64_t worker, bool force, const char *why)
{
    (void)force;
    (void)why;
    later(me(arg), EV_EXIT, worker, delay(10, 3000));
}

const struct sched_ops sim_ops = {
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

/* ---- clients: each unit of work holds a lease for a while */

struct res_set need_of(uint32_t cls)
{
    struct res_set s = {0};

    res_set_add(&s, RES_CPU, cls ? RES_UNIT : RES_UNIT / 2);
    return s;
}

void state_demand(struct sim_node *n, struct cli *c, uint32_t cls)
{
    uint32_t want = c->todo[cls] > c->count[cls] ? c->todo[cls] - c->count[cls] : 0;
    struct event e = {.what = EV_DEMAND, .a = want, .b = c->seen[cls], .c = cls};

    e.at = w->now + delay(5, 200);
    /* Up is in order as well: one lane for the demands and returns of a client. */
    if (e.at < w->cfifo[index_of(n)][c->id % CLIENTS])
        e.at = w->cfifo[index_of(n)][c->id % CLIENTS];
    w->cfifo[index_of(n)][c->id % CLIENTS] = e.at;
    e.node = index_of(n);
    e.life = n->life;
    e.from = (int)(c->id % CLIENTS);
    push(e);
}

static struct holder *holder_of(const uint8_t *worker)
{
    for (int i = 0; i < w->nholders; i++)
        if (!memcmp(w->holder[i].worker, worker, 16))
            return &w->holder[i];
    return NULL;
}

static void hold(const uint8_t *worker, uint64_t client)
{
    struct holder *h = holder_of(worker);

    if (h && h->client)
        fail("a worker is held twice");
    if (!h && w->nholders < 8192) {
        h = &w->holder[w->nholders++];
        memcpy(h->worker, worker, 16);
    }
    if (h)
        h->client = client;
}

void unhold(const uint8_t *worker)
{
    struct holder *h = holder_of(worker);

    if (h)
        h->client = 0;
}

static struct held *held_find(struct cli *c, const struct event *e)
{
    for (int i = 0; i < HELD_MAX; i++)
        if (c->held[i].used && c->held[i].lease == e->b && !memcmp(c->held[i].node, e->where, 16))
            return &c->held[i];
    return NULL;
}

static void give_back(struct sim_node *n, struct cli *c, struct held *h)
{
    struct event e = {.what = EV_RETURN, .b = h->lease, .from = (int)(c->id % CLIENTS)};

    memcpy(e.where, h->node, 16);
    unhold(h->worker);
    c->count[h->cls]--;
    h->used = false;
    e.at = w->now + delay(5, 200);
    e.node = index_of(n);
    e.life = n->life;
    push(e);
}

static void run_on(struct sim_node *n, struct cli *c, struct held *h)
{
    struct event e = {.what = EV_RUN_END, .b = h->lease, .from = (int)(c->id % CLIENTS)};

    memcpy(e.where, h->node, 16);
    e.at = w->now + delay(200, 40000);
    e.node = index_of(n);
    e.life = n->life;
    push(e);
}

static bool worker_alive(const struct held *h)
{
    int i = index_by_id(h->node);

    return i >= 0 && sched_wk(w->node[i].s, h->worker[1] | (uint64_t)h->worker[2] << 8);
}

void client_event(struct sim_node *n, const struct event *e)
{
    struct cli *c = &n->cli[e->from];
    struct held *h;

    switch (e->what) {
    case EV_GRANT:
        for (h = c->held; h < c->held + HELD_MAX && h->used; h++)
            ;
        if (h == c->held + HELD_MAX) {
            fail("more grants than were asked for");
            return;
        }
        *h = (struct held){.used = true, .lease = e->b, .cls = (uint32_t)e->a};
        memcpy(h->node, e->where, 16);
        memcpy(h->worker, e->worker, 16);
        hold(e->worker, c->id);
        c->seen[h->cls]++;
        c->count[h->cls]++;
        if (c->todo[h->cls])
            run_on(n, c, h);
        else
            give_back(n, c, h);
        return;
    case EV_RUN_END:
        h = held_find(c, e);
        if (!h || !worker_alive(h)) /* a dead worker's result never comes */
            return;
        if (c->todo[h->cls])
            c->todo[h->cls]--;
        c->ended++;
        if (c->todo[h->cls] && !h->last) {
            run_on(n, c, h);
        } else {
            uint32_t cls = h->cls;
            give_back(n, c, h);
            state_demand(n, c, cls);
        }
        return;
    case EV_RECLAIM:
        h = held_find(c, e);
        if (h)
            h->last = true;
        return;
    case EV_LOST:
        h = held_find(c, e);
        if (h) {
            unhold(h->worker);
            c->count[h->cls]--;
            h->used = false;
            state_demand(n, c, h->cls);
        }
        return;
    default:
        return;
    }
}
