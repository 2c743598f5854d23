/*
 * The pool's side of the scheduler: workers come, get leases, block, and die; actors' leases.
 */
#include <stdio.h>
#include <string.h>

#include "core/sched_impl.h"

struct wk *sched_wk(struct sched *s, uint64_t number)
{
    return HASH_GET(s->workers, number, &number);
}

/* ---- what the pool says; acted on by sched_events */

static void event_add(struct sched *s, uint64_t lease, uint64_t worker, int status,
                      const char *text)
{
    struct pool_event *e = mem_new(struct pool_event);

    /* Without memory the lease stays as it is: its worker is found when that exits or the lease
     * ends with its client. */
    if (!e)
        return;
    e->lease = lease;
    e->worker = worker;
    e->status = status;
    snprintf(e->text, sizeof e->text, "%s", text);
    list_add_tail(&s->events, &e->link);
}

static void on_assign(void *arg, uint64_t request, uint64_t worker)
{
    event_add(arg, request, worker, 0, "");
}

static void on_fail(void *arg, uint64_t request, int status, const char *text)
{
    event_add(arg, request, 0, status, text);
}

static void on_spawn(void *arg, uint64_t worker, const uint8_t job[4])
{
    struct sched *s = arg;
    struct wk *w = mem_new(struct wk);

    if (w) {
        w->number = worker;
        if (HASH_PUT(s->workers, number, w) < 0)
            mem_free(w);
    }
    s->ops->spawn(s->arg, worker, job);
}

static void on_stop(void *arg, uint64_t worker, bool force, const char *why)
{
    struct sched *s = arg;

    s->ops->stop(s->arg, worker, force, why);
}

const struct pool_ops sched_pool_ops = {
    .spawn = on_spawn, .stop = on_stop, .assign = on_assign, .fail = on_fail};

/* A worker for a lease that waited. */
static void assigned(struct sched *s, struct lease *l, struct wk *w)
{
    l->worker = w->number;
    l->since = s->now;
    w->lease = l;
    s->waiting_worker--;
    if (l->kind == LEASE_NODE) {
        s->ops->answer_grant(s->arg, l->node, l->request, l->id, w->id);
        return;
    }
    if (l->kind == LEASE_ACTOR) {
        ledger_give(&s->ledger, &l->held);
        l->held = l->hold;
        ledger_force(&s->ledger, &l->held);
        s->ops->taken(s->arg, l->tag, l->id, w->number, 0, "");
        return;
    }
    l->klass->pending_local--;
    l->asker = LIST_FIRST(&l->klass->waiting, struct asker, wait);
    if (l->asker)
        sched_grant(s, l->asker, l->id, s->config.node, w->id);
    else
        sched_lease_end(s, l, false); /* nobody wants it any more */
}

static void failed(struct sched *s, struct lease *l, int status, const char *text)
{
    struct klass *k = l->klass;
    enum lease_kind kind = l->kind;
    int node = l->node;
    uint32_t request = l->request;
    uint64_t tag = l->tag, id = l->id;

    k->refs++;
    sched_lease_end(s, l, false);
    if (kind == LEASE_NODE)
        s->ops->answer_reject(s->arg, node, request, 1, status, text);
    else if (kind == LEASE_ACTOR)
        s->ops->taken(s->arg, tag, id, 0, status, text);
    else
        sched_fail_klass(s, k, status, text);
    sched_klass_unref(s, k);
}

void sched_events(struct sched *s)
{
    struct list *at;

    while ((at = list_pop(&s->events))) {
        struct pool_event *e = container_of(at, struct pool_event, link);
        struct lease *l = HASH_GET(s->leases, id, &e->lease);
        struct wk *w = e->worker ? sched_wk(s, e->worker) : NULL;
        if (l && w)
            assigned(s, l, w);
        else if (l)
            failed(s, l, e->status ? e->status : -RAIA_ERR_NOMEM, e->text);
        else if (e->worker)
            pool_release(s->pool, s->now, e->worker, false);
        mem_free(e);
    }
}

/* ---- workers */

int sched_worker_ready(struct sched *s, int64_t now, uint64_t worker, const uint8_t id[16])
{
    struct wk *w = sched_wk(s, worker);
    int r;

    if (!w)
        return -RAIA_ERR_NOT_FOUND;
    s->now = now;
    memcpy(w->id, id, 16);
    r = pool_ready(s->pool, now, worker);
    sched_settle(s, now);
    return r;
}

void sched_worker_exited(struct sched *s, int64_t now, uint64_t worker, int exit_status,
                         const char *why)
{
    struct wk *w = sched_wk(s, worker);
    struct lease *l;

    s->now = now;
    sched_events(s);
    l = w ? w->lease : NULL;
    if (l && l->kind == LEASE_NODE)
        s->ops->lost_at(s->arg, l->node, l->id, -RAIA_ERR_WORKER_CRASHED, exit_status, why);
    else if (l && l->asker && !PLANTED(PLANT_MISSED_DEATH))
        s->ops->lost(s->arg, l->asker->client->id, l->id, s->config.node, w->id,
                     -RAIA_ERR_WORKER_CRASHED, exit_status, why);
    if (l) {
        w->lease = NULL;
        l->worker = UINT64_MAX; /* has one, but it is not to be released */
        sched_lease_end(s, l, true);
    }
    if (w) {
        HASH_DEL(s->workers, w);
        mem_free(w);
    }
    pool_exited(s->pool, now, worker, why);
    sched_settle(s, now);
}

void sched_worker_blocked(struct sched *s, int64_t now, uint64_t worker, bool blocked)
{
    struct wk *w = sched_wk(s, worker);
    struct lease *l = w ? w->lease : NULL;
    struct res_set cpu = {0};

    if (!l)
        return;
    s->now = now;
    if (blocked && !l->lent) {
        l->lent = res_set_get(&l->held, RES_CPU);
        res_set_add(&cpu, RES_CPU, l->lent);
        res_set_minus(&l->held, &cpu);
        ledger_give(&s->ledger, &cpu);
    } else if (!blocked && l->lent) {
        res_set_add(&cpu, RES_CPU, l->lent);
        res_set_plus(&l->held, &cpu);
        ledger_force(&s->ledger, &cpu);
        l->lent = 0;
    }
    pool_blocked(s->pool, now, worker, blocked);
    sched_settle(s, now);
}

void sched_worker_keep(struct sched *s, uint64_t worker)
{
    pool_keep(s->pool, worker);
}

void sched_prestart(struct sched *s, int64_t now, const uint8_t job[4], uint32_t count)
{
    s->now = now;
    pool_prestart(s->pool, now, job, count);
    sched_settle(s, now);
}

void sched_job_ended(struct sched *s, int64_t now, const uint8_t job[4])
{
    struct klass *k;
    struct asker *a, *next;

    s->now = now;
    LIST_FOREACH (k, &s->classes, link)
        if (!memcmp(k->shape.job, job, 4))
            LIST_FOREACH_SAFE (a, next, &k->waiting, wait)
                sched_asker_want(a, 0);
    pool_job_ended(s->pool, now, job);
    sched_settle(s, now);
}

uint64_t sched_worker_lease(struct sched *s, uint64_t worker)
{
    struct wk *w = sched_wk(s, worker);

    return w && w->lease ? w->lease->id : 0;
}

/* ---- actors */

int sched_take(struct sched *s, int64_t now, const uint8_t job[4], const struct res_set *place,
               const struct res_set *hold, uint64_t tag)
{
    struct sched_shape shape = {.need = *place};
    struct klass *k;
    struct lease *l;
    int r;

    /* What it holds while it runs is never more than what it was placed with. */
    for (uint32_t i = 0; i < hold->n; i++) {
        int64_t more = hold->item[i].quantity - res_set_get(&shape.need, hold->item[i].name);
        if (more > 0 && res_set_add(&shape.need, hold->item[i].name, more) < 0)
            return -RAIA_ERR_INVALID;
    }
    memcpy(shape.job, job, 4);
    k = sched_klass(s, &shape);
    if (!k)
        return -RAIA_ERR_LIMIT;
    s->now = now;
    l = sched_lease_new(s, LEASE_ACTOR, k, &shape.need);
    sched_klass_unref(s, k);
    if (!l)
        return -RAIA_ERR_LIMIT;
    l->tag = tag;
    l->hold = *hold;
    r = pool_want(s->pool, now, job, l->id);
    if (r < 0)
        sched_lease_end(s, l, false);
    sched_settle(s, now);
    return r;
}

void sched_drop(struct sched *s, int64_t now, uint64_t lease, bool broken)
{
    struct lease *l = HASH_GET(s->leases, id, &lease);

    s->now = now;
    if (l && l->kind == LEASE_ACTOR)
        sched_lease_end(s, l, broken);
    sched_settle(s, now);
}
