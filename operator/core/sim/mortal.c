/*
 * The transport of an operator that dies.
 */
#include <string.h>

#include "base/err.h"
#include "core/sim/opsim_impl.h"

/* An exchange, on its way through. */
struct relay {
    struct list link;            /* in the transport, or among the orphans */
    struct kube_exchange inner;  /* with the server's transport */
    struct kube_exchange *outer; /* NULL: nobody is left to be told */
    struct mortal *m;            /* NULL: an orphan */
    bool under_way;              /* inner is */
    bool write;                  /* it is no GET */
    bool canceled;               /* by its owner */
};

static struct mortal *of(struct kube_transport *t)
{
    return (struct mortal *)t; /* base comes first */
}

static void free_relay(struct relay *r)
{
    list_del(&r->link);
    mem_free(r);
}

static void on_done(struct kube_exchange *x, const struct kube_reply *rp,
                    const struct raia_error *error)
{
    struct relay *r = container_of(x, struct relay, inner);
    struct kube_exchange *outer = r->outer;
    struct mortal *m = r->m;
    r->under_way = false;
    if (outer && m && m->dead)
        return; /* the dead hear nothing */
    free_relay(r);
    if (!outer)
        return;
    outer->impl = NULL;
    outer->done(outer, rp, error);
    mortal_rearm__(m);
}

static int on_data(struct kube_exchange *x, const char *data, size_t len)
{
    struct relay *r = container_of(x, struct relay, inner);
    if (!r->outer || !r->m || r->m->dead)
        return 0;
    int res = r->outer->data(r->outer, data, len);
    mortal_rearm__(r->m);
    return res;
}

static int start(struct kube_transport *base, struct kube_exchange *x,
                 const struct kube_request *rq, struct raia_error *e)
{
    struct mortal *m = of(base);
    struct relay *r = mem_new(struct relay);
    if (!r)
        abort();
    r->outer = x;
    r->m = m;
    r->write = strcmp(rq->method, "GET") != 0;
    x->impl = r;
    list_add_tail(&m->relays, &r->link);
    if (!m->dead && r->write && m->die_at && m->writes >= m->die_at) {
        mortal_die__(m);
        opsim_dies__(m->w);
    }
    if (m->dead)
        return 0;
    m->writes += r->write;
    r->under_way = true;
    r->inner = (struct kube_exchange){.done = on_done, .data = x->data ? on_data : NULL};
    int res = m->inner->ops->start(m->inner, &r->inner, rq, e);
    if (res < 0) {
        x->impl = NULL;
        free_relay(r);
    }
    mortal_rearm__(m);
    return res;
}

static void cancel(struct kube_transport *base, struct kube_exchange *x)
{
    struct mortal *m = of(base);
    struct relay *r = x->impl;
    if (!r)
        return;
    r->canceled = true;
    if (!m->dead)
        m->inner->ops->cancel(m->inner, &r->inner);
}

static int64_t now(struct kube_transport *base)
{
    struct mortal *m = of(base);
    return m->inner->ops->now(m->inner);
}

static int64_t unix_ms(struct kube_transport *base)
{
    struct mortal *m = of(base);
    return m->inner->ops->unix_ms(m->inner);
}

static void free_nothing(struct kube_transport *base)
{
    (void)base; /* a part of its life */
}

static const struct kube_transport_ops ops = {start, cancel, now, unix_ms, free_nothing};

void mortal_init__(struct mortal *m, struct opsim *w)
{
    m->base.ops = &ops;
    m->w = w;
    m->inner = w->wire;
    list_init(&m->relays);
}

void mortal_die__(struct mortal *m)
{
    struct relay *r, *next;
    if (m->dead)
        return;
    m->dead = true;
    LIST_FOREACH_SAFE (r, next, &m->relays, link)
        if (r->under_way && !r->write) /* its connections end; what it wrote is on its way */
            m->inner->ops->cancel(m->inner, &r->inner);
}

void mortal_flush__(struct mortal *m)
{
    struct raia_error e = {0};
    struct relay *r, *next;
    const struct kube_reply none = {0};
    err_set(&e, RAIA_ERR_CANCELED, "canceled");
    LIST_FOREACH_SAFE (r, next, &m->relays, link) {
        struct kube_exchange *outer = r->outer;
        if (!r->canceled)
            continue;
        list_del(&r->link);
        r->outer = NULL;
        r->m = NULL;
        if (r->under_way)
            list_add_tail(&m->w->orphans, &r->link);
        else
            mem_free(r);
        outer->impl = NULL;
        outer->done(outer, &none, &e);
        next = LIST_FIRST(&m->relays, struct relay, link); /* others may have come or gone */
        if (!next)
            break;
    }
}

void mortal_done__(struct mortal *m)
{
    m->client = NULL;
    if (m->step)
        sim_cancel(m->w->s, m->step);
    m->step = NULL;
}

void mortal_bury_orphans__(struct opsim *w)
{
    struct relay *r, *next;
    LIST_FOREACH_SAFE (r, next, &w->orphans, link)
        free_relay(r);
}

/* ---- driving ---- */

static void on_step(void *arg)
{
    struct mortal *m = arg;
    m->step = NULL;
    if (m->client && !m->dead)
        kube_client_step(m->client);
    mortal_rearm__(m);
}

void mortal_rearm__(struct mortal *m)
{
    struct sim *s = m->w->s;
    if (m->step)
        sim_cancel(s, m->step);
    m->step = NULL;
    if (!m->client || m->dead)
        return;
    int64_t next = kube_client_next(m->client), time = sim_now(s);
    if (next != CLOCK_NEVER)
        sim_after(s, NULL, next <= time ? 0 : next - time, on_step, m, &m->step);
}

void mortal_drive__(struct mortal *m, struct kube_client *c)
{
    m->client = c;
    mortal_rearm__(m);
}
