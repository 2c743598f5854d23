/*
 * Placement: where each unit of demand goes, what is asked back, and the accounts of it all.
 */
#include <stdio.h>
#include <string.h>

#include "core/sched_impl.h"

void sched_config_default(struct sched_config *c, const struct res_set *total)
{
    int64_t cpus = (res_set_get(total, RES_CPU) + RES_UNIT - 1) / RES_UNIT;
    uint32_t n = cpus < 1 ? 1 : cpus > 1024 ? 1024 : (uint32_t)cpus;

    *c = (struct sched_config){
        .pool = {.idle_max = n,
                 .starting_max = n,
                 .workers_max = n * 8 < 64 ? 64 : n * 8,
                 .start_tries = 3,
                 .idle_ms = 1000,
                 .start_ms = 60000},
        .total = *total,
        .reclaim_ns = INT64_C(5000000),
        .infeasible_ns = INT64_C(1000000000),
    };
}

struct sched *sched_new(const struct sched_config *config, const struct sched_ops *ops, void *arg)
{
    struct sched *s = mem_new(struct sched);

    if (!s)
        return NULL;
    s->config = *config;
    s->ops = ops;
    s->arg = arg;
    s->next_lease = 1;
    s->next_request = 1;
    list_init(&s->classes);
    list_init(&s->lease_list);
    list_init(&s->events);
    list_init(&s->reservations);
    ledger_init(&s->ledger, &config->total);
    s->pool = pool_new(&config->pool, &sched_pool_ops, s);
    if (!s->pool) {
        mem_free(s);
        return NULL;
    }
    return s;
}

void sched_free(struct sched *s)
{
    if (!s)
        return;
    for (struct list *l; (l = list_pop(&s->events));)
        mem_free(container_of(l, struct pool_event, link));
    sched_reserve_free(s);
    for (struct client *c = s->clients, *cn; c; c = cn) {
        cn = c->hh.next;
        for (struct asker *a = c->askers, *an; a; a = an) {
            an = a->hh.next;
            HASH_DEL(c->askers, a);
            mem_free(a);
        }
        HASH_DEL(s->clients, c);
        mem_free(c);
    }
    for (struct lease *l = s->leases, *n; l; l = n) {
        n = l->hh.next;
        HASH_DEL(s->leases, l);
        mem_free(l);
    }
    for (struct remote *r = s->remotes, *n; r; r = n) {
        n = r->hh.next;
        HASH_DEL(s->remotes, r);
        mem_free(r);
    }
    for (struct request *q = s->requests, *n; q; q = n) {
        n = q->hh.next;
        HASH_DEL(s->requests, q);
        mem_free(q);
    }
    for (struct wk *w = s->workers, *n; w; w = n) {
        n = w->hh.next;
        HASH_DEL(s->workers, w);
        mem_free(w);
    }
    for (struct list *l; (l = list_pop(&s->classes));)
        mem_free(container_of(l, struct klass, link));
    pool_free(s->pool);
    cluster_done(&s->cluster);
    mem_free(s->peer);
    mem_free(s);
}

struct klass *sched_klass(struct sched *s, const struct sched_shape *shape)
{
    struct klass *k;

    LIST_FOREACH (k, &s->classes, link)
        if (!memcmp(k->shape.job, shape->job, 4) && k->shape.spread == shape->spread &&
            res_set_equal(&k->shape.need, &shape->need)) {
            k->refs++;
            return k;
        }
    if (s->nclasses >= SCHED_CLASSES_MAX)
        return NULL;
    k = mem_new(struct klass);
    if (!k)
        return NULL;
    k->shape = *shape;
    k->refs = 1;
    list_init(&k->waiting);
    list_add_tail(&s->classes, &k->link);
    s->nclasses++;
    return k;
}

void sched_klass_unref(struct sched *s, struct klass *k)
{
    if (--k->refs)
        return;
    list_del(&k->link);
    s->nclasses--;
    mem_free(k);
}

/* ---- leases */

struct lease *sched_lease_new(struct sched *s, enum lease_kind kind, struct klass *k,
                              const struct res_set *take)
{
    struct lease *l;

    if (s->waiting_worker >= SCHED_WAIT_MAX || !ledger_fits(&s->ledger, take))
        return NULL;
    l = mem_new(struct lease);
    if (!l)
        return NULL;
    l->id = s->next_lease++;
    l->kind = kind;
    l->klass = k;
    l->node = CLUSTER_NONE;
    l->held = *take;
    if (HASH_PUT(s->leases, id, l) < 0) {
        mem_free(l);
        return NULL;
    }
    ledger_take(&s->ledger, take);
    k->refs++;
    list_add_tail(&s->lease_list, &l->link);
    s->waiting_worker++;
    s->stats.leases++;
    return l;
}

void sched_lease_end(struct sched *s, struct lease *l, bool broken)
{
    struct wk *w = l->worker ? sched_wk(s, l->worker) : NULL;

    if (!PLANTED(PLANT_LEAK) || l->kind != LEASE_NODE || !broken)
        ledger_give(&s->ledger, &l->held);
    if (!l->worker) {
        s->waiting_worker--;
        if (l->kind == LEASE_CLASS)
            l->klass->pending_local--;
        pool_cancel(s->pool, l->id);
    }
    if (l->asker)
        l->asker->held--;
    if (l->kind == LEASE_NODE)
        s->peer[l->node].held--;
    if (w) {
        w->lease = NULL;
        pool_release(s->pool, s->now, w->number, broken && !PLANTED(PLANT_DOUBLE_GRANT));
    }
    HASH_DEL(s->leases, l);
    list_del(&l->link);
    s->stats.leases--;
    sched_klass_unref(s, l->klass);
    mem_free(l);
}

void sched_grant(struct sched *s, struct asker *a, uint64_t lease, const uint8_t node[16],
                 const uint8_t worker[16])
{
    a->sent++;
    a->held++;
    a->claim_until = 0;
    s->stats.grants++;
    sched_asker_want(a, a->want - 1);
    if (a->want) { /* the next one's turn */
        list_del(&a->wait);
        list_add_tail(&a->klass->waiting, &a->wait);
    }
    s->ops->grant(s->arg, a->client->id, a->number, lease, node, worker);
}

void sched_fail_klass(struct sched *s, struct klass *k, int status, const char *text)
{
    struct asker *a, *next;

    LIST_FOREACH_SAFE (a, next, &k->waiting, wait) {
        sched_asker_want(a, 0);
        s->ops->failed(s->arg, a->client->id, a->number, status, text);
    }
}

/* ---- placing */

static uint64_t unplaced(const struct klass *k)
{
    uint64_t pending = (uint64_t)k->pending_local + k->pending_remote;

    return k->want > pending ? k->want - pending : 0;
}

static int prefer_of(const struct sched *s, const struct klass *k)
{
    const struct asker *a = container_of(k->waiting.next, struct asker, wait);

    if (list_empty(&k->waiting) || !a->has_prefer)
        return CLUSTER_NONE;
    if (!memcmp(a->prefer, s->config.node, 16))
        return CLUSTER_HERE;
    return cluster_find(&s->cluster, a->prefer);
}

static bool place_here(struct sched *s, struct klass *k)
{
    struct lease *l = sched_lease_new(s, LEASE_CLASS, k, &k->shape.need);

    if (!l)
        return false;
    k->pending_local++;
    if (pool_want(s->pool, s->now, k->shape.job, l->id) < 0) {
        sched_lease_end(s, l, false);
        return false;
    }
    return true;
}

/* Sends what was collected for a node. */
static void flush_asking(struct sched *s, int node)
{
    struct peer *p = &s->peer[node];
    struct klass *k = p->asking_class;

    if (!p->asking)
        return;
    if (sched_request(s, node, k, p->asking) < 0) {
        for (uint32_t i = 0; i < p->asking; i++)
            res_set_minus(&s->cluster.node[node].asked, &k->shape.need);
        k->pending_remote -= p->asking;
        k->stuck = true;
    }
    p->asking = 0;
    p->asking_class = NULL;
}

static bool place_there(struct sched *s, struct klass *k, int node)
{
    struct peer *p = &s->peer[node];

    if (k->pending_remote >= 10 && k->pending_remote >= (uint32_t)s->cluster.n)
        return false;
    if (res_set_plus(&s->cluster.node[node].asked, &k->shape.need) < 0)
        return false;
    if (p->asking_class != k)
        flush_asking(s, node);
    p->asking_class = k;
    p->asking++;
    k->pending_remote++;
    return true;
}

/* One unit of a class. */
static bool place_one(struct sched *s, struct klass *k)
{
    int where =
        cluster_pick(&s->cluster, &s->ledger, &k->shape.need, k->shape.spread, prefer_of(s, k));

    if (where == CLUSTER_HERE)
        return place_here(s, k);
    return where >= 0 && place_there(s, k, where);
}

/* Demand that was taken back: leases that still wait for a worker are not needed. */
static void trim(struct sched *s, struct klass *k)
{
    struct lease *l;
    struct list *at = s->lease_list.prev;

    while (k->pending_local && k->pending_local + (uint64_t)k->pending_remote > k->want &&
           at != &s->lease_list) {
        l = container_of(at, struct lease, link);
        at = at->prev;
        if (l->klass == k && l->kind == LEASE_CLASS && !l->worker && pool_cancel(s->pool, l->id)) {
            k->refs++; /* `k` outlives its last lease here */
            sched_lease_end(s, l, false);
            k->refs--;
        }
    }
}

static void place(struct sched *s)
{
    struct klass *k;
    bool any;

    LIST_FOREACH (k, &s->classes, link) {
        k->stuck = false;
        trim(s, k);
    }
    do {
        any = false;
        LIST_FOREACH (k, &s->classes, link) {
            if (k->stuck || !unplaced(k))
                continue;
            k->stuck = !place_one(s, k);
            any |= !k->stuck;
        }
        /* Whoever was first is last in the next round. */
        if (any && !list_empty(&s->classes)) {
            struct list *first = list_pop(&s->classes);
            list_add_tail(&s->classes, first);
        }
    } while (any);
    for (int i = 0; i < s->cluster.n; i++)
        flush_asking(s, i);
}

/* ---- asking back */

/* Would its resources help someone who cannot get `need` here? */
static bool would_help(const struct sched *s, const struct lease *l, const struct res_set *need)
{
    for (uint32_t i = 0; i < need->n; i++) {
        struct res_set one = {.n = 1, .item = {need->item[i]}};
        if (!ledger_fits(&s->ledger, &one) && res_set_get(&l->held, need->item[i].name) > 0)
            return true;
    }
    return false;
}

static bool holds_more(uint32_t theirs, uint32_t ours)
{
    return theirs > 0 && (ours == 0 || theirs >= ours + 2);
}

/* A lease of this node that can be asked back for someone who holds `held`. */
static struct lease *victim_here(struct sched *s, const struct res_set *need,
                                 const struct asker *waiter, int node, uint32_t held)
{
    struct lease *l, *best = NULL;
    uint32_t most = 0;

    if (!ledger_feasible(&s->ledger, need))
        return NULL;
    LIST_FOREACH (l, &s->lease_list, link) {
        uint32_t theirs;
        if (l->kind == LEASE_ACTOR || !l->worker || l->reclaimed || l->lent ||
            l->since + s->config.reclaim_ns > s->now || !would_help(s, l, need))
            continue;
        if (l->kind == LEASE_NODE ? l->node == node : l->asker == waiter)
            continue;
        theirs = l->kind == LEASE_NODE ? s->peer[l->node].held : l->asker->held;
        if (holds_more(theirs, held) && theirs > most) {
            most = theirs;
            best = l;
        }
    }
    return best;
}

bool sched_reclaim_one(struct sched *s, const struct res_set *need, const struct asker *waiter,
                       int node, uint32_t held)
{
    struct lease *l = victim_here(s, need, waiter, node, held);

    if (l) {
        l->reclaimed = true;
        s->stats.reclaims++;
        if (l->kind == LEASE_NODE)
            s->ops->reclaim_from(s->arg, l->node, l->id);
        else
            s->ops->reclaim(s->arg, l->asker->client->id, l->id, s->config.node);
        return true;
    }
    if (!waiter)
        return false;
    for (struct remote *r = s->remotes; r; r = r->hh.next) {
        const struct cluster_node *n = &s->cluster.node[r->key.node];
        if (r->reclaimed || r->asker == waiter || r->since + s->config.reclaim_ns > s->now ||
            !holds_more(r->asker->held, held) || !res_set_fits(&n->total, need))
            continue;
        r->reclaimed = true;
        s->stats.reclaims++;
        s->ops->reclaim(s->arg, r->asker->client->id, r->key.lease, n->id);
        return true;
    }
    return false;
}

/* Each asker that has less than its share gets one lease asked back for it at a time. */
static void reclaim(struct sched *s)
{
    struct klass *k;
    struct asker *a;

    LIST_FOREACH (k, &s->classes, link) {
        if (!unplaced(k))
            continue;
        LIST_FOREACH (a, &k->waiting, wait)
            if (a->claim_until <= s->now &&
                sched_reclaim_one(s, &k->shape.need, a, CLUSTER_NONE, a->held))
                a->claim_until = s->now + SCHED_CLAIM_FACTOR * s->config.reclaim_ns;
    }
}

/* ---- what no node could ever meet */

static void infeasible_text(const struct sched *s, const struct res_set *need,
                            char text[SCHED_TEXT])
{
    int n = snprintf(text, SCHED_TEXT, "no node of the cluster has");

    for (uint32_t i = 0; i < need->n && n < SCHED_TEXT - 96; i++)
        n += snprintf(text + n, (size_t)(SCHED_TEXT - n), "%s %g %s", i ? "," : "",
                      (double)need->item[i].quantity / (double)RES_UNIT,
                      s->config.names ? res_name(s->config.names, need->item[i].name) : "?");
    snprintf(text + n, (size_t)(SCHED_TEXT - n), "; it waits until one joins");
}

/* Warns; returns when to look again. */
static int64_t infeasible(struct sched *s)
{
    struct klass *k;
    struct asker *a;
    int64_t next = INT64_MAX;

    LIST_FOREACH (k, &s->classes, link) {
        char text[SCHED_TEXT];
        if (!unplaced(k) || ledger_feasible(&s->ledger, &k->shape.need) ||
            cluster_feasible(&s->cluster, &k->shape.need)) {
            k->infeasible = false;
            continue;
        }
        if (!k->infeasible) {
            k->infeasible = true;
            k->infeasible_at = s->now;
        }
        if (k->infeasible_at + s->config.infeasible_ns > s->now) {
            if (k->infeasible_at + s->config.infeasible_ns < next)
                next = k->infeasible_at + s->config.infeasible_ns;
            continue;
        }
        infeasible_text(s, &k->shape.need, text);
        LIST_FOREACH (a, &k->waiting, wait) {
            if (a->told)
                continue;
            a->told = true;
            s->ops->failed(s->arg, a->client->id, a->number, -RAIA_ERR_UNSCHEDULABLE, text);
        }
    }
    return next;
}

void sched_settle(struct sched *s, int64_t now)
{
    s->now = now;
    do {
        sched_events(s);
        sched_reserve_waiting(s);
        place(s);
    } while (!list_empty(&s->events));
    sched_give_room(s);
}

int64_t sched_tick(struct sched *s, int64_t now)
{
    int64_t next, due;
    struct klass *k;

    s->now = now;
    next = pool_tick(s->pool, now);
    sched_settle(s, now);
    due = sched_reserve_reclaim(s);
    next = due < next ? due : next;
    reclaim(s);
    due = infeasible(s);
    next = due < next ? due : next;
    LIST_FOREACH (k, &s->classes, link)
        if (unplaced(k) && !k->infeasible && now + s->config.reclaim_ns < next)
            next = now + s->config.reclaim_ns;
    return next;
}

/* ---- views */

void sched_report_changed(struct sched *s)
{
    s->ledger.version++;
}

const struct ledger *sched_ledger(const struct sched *s)
{
    return &s->ledger;
}

const struct pool *sched_pool(const struct sched *s)
{
    return s->pool;
}

void sched_waiting(const struct sched *s,
                   void (*fn)(void *arg, const struct sched_shape *shape, uint64_t count,
                              bool infeasible),
                   void *arg)
{
    const struct klass *k;

    LIST_FOREACH (k, &s->classes, link)
        if (unplaced(k))
            fn(arg, &k->shape, unplaced(k), k->infeasible);
    sched_reserve_list(s, fn, arg);
}

void sched_stats(const struct sched *s, struct sched_stats *ret_stats)
{
    const struct klass *k;

    *ret_stats = s->stats;
    ret_stats->clients = HASH_SIZE(s->clients);
    ret_stats->remote_leases = HASH_SIZE(s->remotes);
    LIST_FOREACH (k, &s->classes, link) {
        ret_stats->want += k->want;
        ret_stats->requested += k->pending_remote;
    }
}

/* The askers' accounts against their class's. */
static bool check_askers(const struct sched *s, const struct klass *k)
{
    const struct asker *a;
    const struct lease *l;
    uint64_t want = 0, local = 0, remote = 0;

    LIST_FOREACH (a, &k->waiting, wait)
        want += a->want;
    LIST_FOREACH (l, &s->lease_list, link)
        local += l->klass == k && l->kind == LEASE_CLASS && !l->worker;
    for (const struct request *q = s->requests; q; q = q->hh.next)
        remote += q->klass == k ? q->left : 0;
    return want == k->want && local == k->pending_local && remote == k->pending_remote;
}

bool sched_check(const struct sched *s)
{
    struct res_set held = {0};
    const struct lease *l;
    const struct klass *k;
    uint32_t leased = 0, waiting = 0;
    struct pool_stats pool;

    LIST_FOREACH (l, &s->lease_list, link) {
        enum pool_state state;
        const struct wk *w;
        uint8_t job[4];
        if (res_set_plus(&held, &l->held) < 0)
            return false;
        if (!l->worker) {
            waiting++;
            continue;
        }
        HASH_FIND(hh, s->workers, &l->worker, sizeof l->worker, w);
        if (!w || w->lease != l) /* one lease a worker, one worker a lease */
            return false;
        /* One that is stopped (its job ended) keeps its lease until it is dead. */
        if (!pool_worker(s->pool, l->worker, &state, job) ||
            (state != POOL_LEASED && state != POOL_STOPPING))
            return false;
        leased += state == POOL_LEASED;
    }
    sched_reserve_sum(s, &held);
    pool_stats(s->pool, &pool);
    LIST_FOREACH (k, &s->classes, link)
        if (!check_askers(s, k))
            return false;
    return ledger_check(&s->ledger, &held) && pool_check(s->pool) && leased == pool.leased &&
           waiting == pool.waiting && waiting == s->waiting_worker;
}
