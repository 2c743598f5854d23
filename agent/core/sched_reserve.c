/*
 * What is set aside without a worker: the resources of entrypoints. Those that wait come before
 * leases, in their order; each has a lease asked back for it now and then.
 */
#include "core/sched_impl.h"

static struct reservation *find(const struct sched *s, uint64_t tag)
{
    struct reservation *v;

    LIST_FOREACH (v, &s->reservations, link)
        if (v->tag == tag)
            return v;
    return NULL;
}

int sched_reserve(struct sched *s, int64_t now, uint64_t tag, const struct res_set *need,
                  bool force)
{
    struct reservation *v;

    if (find(s, tag))
        return -RAIA_ERR_EXISTS;
    v = mem_new(struct reservation);
    if (!v)
        return -RAIA_ERR_NOMEM;
    v->tag = tag;
    v->need = *need;
    v->held = force;
    if (force)
        ledger_force(&s->ledger, need);
    list_add_tail(&s->reservations, &v->link);
    sched_settle(s, now);
    return 0;
}

void sched_unreserve(struct sched *s, int64_t now, uint64_t tag)
{
    struct reservation *v = find(s, tag);

    if (!v)
        return;
    if (v->held)
        ledger_give(&s->ledger, &v->need);
    list_del(&v->link);
    mem_free(v);
    sched_settle(s, now);
}

void sched_reserve_waiting(struct sched *s)
{
    struct reservation *v;

    LIST_FOREACH (v, &s->reservations, link) {
        if (v->held || !ledger_take(&s->ledger, &v->need))
            continue;
        v->held = true;
        s->ops->reserved(s->arg, v->tag);
    }
}

int64_t sched_reserve_reclaim(struct sched *s)
{
    struct reservation *v;
    int64_t next = INT64_MAX;

    LIST_FOREACH (v, &s->reservations, link) {
        if (v->held || !ledger_feasible(&s->ledger, &v->need))
            continue;
        if (v->claim_until <= s->now && sched_reclaim_one(s, &v->need, NULL, CLUSTER_NONE, 0))
            v->claim_until = s->now + SCHED_CLAIM_FACTOR * s->config.reclaim_ns;
        next = s->now + s->config.reclaim_ns;
    }
    return next;
}

void sched_reserve_sum(const struct sched *s, struct res_set *held)
{
    const struct reservation *v;

    LIST_FOREACH (v, &s->reservations, link)
        if (v->held)
            (void)res_set_plus(held, &v->need);
}

void sched_reserve_list(const struct sched *s,
                        void (*fn)(void *arg, const struct sched_shape *shape, uint64_t count,
                                   bool infeasible),
                        void *arg)
{
    const struct reservation *v;

    LIST_FOREACH (v, &s->reservations, link)
        if (!v->held) {
            struct sched_shape shape = {.need = v->need};

            fn(arg, &shape, 1, !ledger_feasible(&s->ledger, &v->need));
        }
}

void sched_reserve_free(struct sched *s)
{
    struct list *l;

    while ((l = list_pop(&s->reservations)))
        mem_free(container_of(l, struct reservation, link));
}
