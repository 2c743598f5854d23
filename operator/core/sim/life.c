/*
 * One life of an operator: its client, controller and calls.
 */
#include <string.h>

#include "base/err.h"
#include "core/sim/opsim_impl.h"

#define EXPECT_NS  (150 * CLOCK_NS_PER_S) /* as with real times: longer than a dead watch lives */
#define BACKOFF_NS (5 * CLOCK_NS_PER_S)
#define IDLE_MS    70000

/* A call to a head, under way. */
struct sim_call {
    struct list link;          /* in the life */
    struct life *l;            /* whose */
    struct controller_call *x; /* to be answered */
    struct sim_event *event;   /* the answer */
    bool canceled;             /* by its owner */
};

static void free_call(struct sim_call *k)
{
    list_del(&k->link);
    if (k->event)
        sim_cancel(k->l->w->s, k->event);
    mem_free(k);
}

static void on_call(void *arg)
{
    struct sim_call *k = arg;
    struct life *l = k->l;
    struct opsim *w = l->w;
    struct controller_call *x = k->x;
    _cleanup_(mem_freep) char *body = NULL;
    bool canceled = k->canceled;
    k->event = NULL;
    int status = 0;
    if (!canceled && !prng_chance(sim_prng(w->s), w->faults.lost))
        status = w->o->call ? w->o->call(w, x, &body) : 404;
    if (prng_chance(sim_prng(w->s), w->faults.unknown)) /* done, but nobody hears of it */
        status = 0;
    free_call(k);
    x->done(x, status, status ? body : NULL, status && body ? strlen(body) : 0,
            status ? NULL : "no answer");
    mortal_rearm__(&l->t);
}

static int start(struct controller_calls *c, struct controller_call *x, struct raia_error *e)
{
    struct life *l = (struct life *)c; /* calls come first */
    struct sim_call *k = mem_new(struct sim_call);
    (void)e;
    if (!k)
        abort();
    k->l = l;
    k->x = x;
    x->impl = k;
    list_add_tail(&l->sim_calls, &k->link);
    if (!l->t.dead)
        sim_after(l->w->s, NULL, prng_range(sim_prng(l->w->s), 1, 200) * CLOCK_NS_PER_MS, on_call,
                  k, &k->event);
    return 0;
}

static void cancel(struct controller_calls *c, struct controller_call *x)
{
    struct life *l = (struct life *)c;
    struct sim_call *k = x->impl;
    k->canceled = true;
    if (k->event)
        sim_cancel(l->w->s, k->event);
    k->event = NULL;
    if (!l->t.dead)
        sim_after(l->w->s, NULL, 1, on_call, k, &k->event);
}

static bool leading(void *arg)
{
    return ((struct life *)arg)->leads;
}

struct life *life_new__(struct opsim *w, bool leads, unsigned die_at)
{
    struct life *l = mem_new(struct life);
    struct prng *p = sim_prng(w->s);
    if (!l)
        abort();
    l->calls.start = start;
    l->calls.cancel = cancel;
    l->w = w;
    l->leads = leads;
    list_init(&l->sim_calls);
    mortal_init__(&l->t, w);
    l->t.die_at = die_at;
    if (kube_client_new(&l->t.base, NULL, &l->client, NULL) < 0)
        abort();
    struct controller_options o = {.client = l->client,
                                   .reconcilers = (struct reconciler **)w->o->reconcilers,
                                   .n_reconcilers = w->o->n_reconcilers,
                                   .calls = &l->calls,
                                   .backoff_max_ns = BACKOFF_NS,
                                   .expect_ns = EXPECT_NS,
                                   .idle_ms = IDLE_MS,
                                   .seed = prng_next(p),
                                   .leading = leading,
                                   .arg = l};
    struct raia_error e = {0};
    if (controller_new(&o, &l->ctl, &e) < 0)
        abort();
    controller_start(l->ctl);
    mortal_drive__(&l->t, l->client);
    return l;
}

void life_lead__(struct life *l, bool leads)
{
    l->leads = leads;
    controller_wake(l->ctl);
    mortal_rearm__(&l->t);
}

void life_end__(struct life *l)
{
    struct controller_stats stats;
    struct sim_call *k;
    if (!l)
        return;
    mortal_die__(&l->t);
    controller_stop(l->ctl);
    kube_client_close(l->client);
    while (!controller_idle(l->ctl) || !kube_client_idle(l->client)) {
        mortal_flush__(&l->t);
        while ((k = LIST_FIRST(&l->sim_calls, struct sim_call, link))) {
            struct controller_call *x = k->x;
            free_call(k);
            x->done(x, 0, NULL, 0, "canceled");
        }
        kube_client_step(l->client);
    }
    controller_get_stats(l->ctl, &stats);
    l->w->conflicts += stats.conflicts;
    controller_free(l->ctl);
    kube_client_free(l->client);
    mortal_done__(&l->t);
    mem_free(l);
}
