/*
 * Requests and watches under way in a simulation.
 */
#include "kube/sim/faulty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/sim/model_impl.h"

#define EPOCH_MS INT64_C(1790000000000) /* what the server's clock says at the beginning */

struct faulty {
    struct kube_transport base;       /* first */
    struct sim *sim;                  /* time and chance */
    struct kube_model *model;         /* the server */
    const struct kube_faults *faults; /* as they are now */
    struct list flights;              /* under way */
    struct kube_client *client;       /* to be stepped; NULL: none */
    struct sim_event *step;           /* when */
};

struct flight {
    struct list link;                    /* in the transport */
    struct faulty *t;                    /* whose */
    struct kube_exchange *x;             /* to be told; NULL: nobody is left */
    struct kube_request rq;              /* with copies of its texts */
    char *method, *target, *type, *body; /* those */
    struct sim_event *event;             /* what happens next; NULL: nothing */
    int64_t due;                         /* when */
    int64_t last_byte;                   /* when a watch got something */
    struct kube_model_watch *w;          /* a watch that is open */
    struct kube_model_answer a;          /* the reply that is under way */
    struct raia_error error;             /* the end that is under way */
    int retry_after_s;                   /* of the reply */
    bool dead;                           /* half-open: nothing comes any more */
    bool canceled;                       /* by its owner */
};

static void rearm(struct faulty *t);

static bool chance_of(const struct faulty *t, double p)
{
    return prng_chance(sim_prng(t->sim), p);
}

static void free_flight(struct flight *f)
{
    list_del(&f->link);
    if (f->event)
        sim_cancel(f->t->sim, f->event);
    kube_model_watch_free(f->w);
    kube_model_answer_done(&f->a);
    mem_free(f->method);
    mem_free(f->target);
    mem_free(f->type);
    mem_free(f->body);
    mem_free(f);
}

static void at(struct flight *f, int64_t delay, sim_fn fn)
{
    if (f->event)
        sim_cancel(f->t->sim, f->event);
    f->event = NULL; /* a simulation that has failed sets nothing */
    f->due = sim_now(f->t->sim) + delay;
    sim_after(f->t->sim, NULL, delay, fn, f, &f->event);
}

static void on_finish(void *arg)
{
    struct flight *f = arg;
    struct kube_exchange *x = f->x;
    f->event = NULL;
    if (x) {
        bool failed = f->error.code != 0;
        struct kube_reply rp = {.status = failed ? 0 : f->a.status,
                                .body = failed ? NULL : f->a.body,
                                .body_len = !failed && f->a.body ? strlen(f->a.body) : 0,
                                .retry_after_s = f->retry_after_s};
        x->impl = NULL;
        f->x = NULL;
        x->done(x, &rp, &f->error);
    }
    struct faulty *t = f->t;
    free_flight(f);
    rearm(t);
}

static void fail(struct flight *f, int64_t delay, int code, const char *text)
{
    if (!f->error.code)
        err_set(&f->error, code, "%s", text);
    at(f, delay, on_finish);
}

static int64_t latency(struct faulty *t)
{
    if (chance_of(t, t->faults->slow))
        return prng_range(sim_prng(t->sim), 1, 20) * CLOCK_NS_PER_S;
    return prng_range(sim_prng(t->sim), 200, 5000) * CLOCK_NS_PER_US;
}

/* Gives a piece of a watch to its owner, cut anywhere; false if that ended it. */
static bool give(struct flight *f, const char *text, size_t len)
{
    struct prng *p = sim_prng(f->t->sim);
    while (len && f->x && !f->canceled) {
        size_t n = prng_chance(p, 0.5) ? len : 1 + prng_below(p, len);
        int r = f->x->data(f->x, text, n);
        if (r < 0) {
            fail(f, 1, -r, "the receiver ended it");
            return false;
        }
        text += n;
        len -= n;
    }
    f->last_byte = sim_now(f->t->sim);
    rearm(f->t);
    return f->x && !f->canceled;
}

static void on_watch(void *arg);

/* A watch at work: the faults of this moment; false if they ended it. */
static bool misbehave(struct flight *f)
{
    struct faulty *t = f->t;
    const struct kube_faults *k = t->faults;
    if (chance_of(t, k->cut)) {
        static const char half[] = "{\"type\":\"MODIFIED\",\"object\":{\"metad";
        if (chance_of(t, 0.5) && !give(f, half, sizeof half - 1))
            return false;
        fail(f, 1, RAIA_ERR_UNAVAILABLE, "connection reset");
        return false;
    }
    if (chance_of(t, k->garbled)) {
        static const char bad[] = "{\"type\":\"ADDED\",\"obj\n";
        return give(f, bad, sizeof bad - 1);
    }
    if (chance_of(t, k->large)) {
        char block[4096];
        memset(block, 'x', sizeof block);
        for (int i = 0; i < 4096; i++)
            if (!give(f, block, sizeof block))
                return false;
    }
    if (chance_of(t, k->gone)) {
        static const char gone[] =
            "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
            "\"reason\":\"Gone\",\"message\":\"too old\"}}\n";
        return give(f, gone, sizeof gone - 1);
    }
    if (chance_of(t, k->ended)) {
        at(f, 1, on_finish);
        return false;
    }
    f->dead = f->dead || chance_of(t, k->half_open);
    return true;
}

static bool idle_too_long(struct flight *f)
{
    int64_t idle = f->rq.idle_timeout_ms * CLOCK_NS_PER_MS;
    if (idle <= 0 || sim_now(f->t->sim) - f->last_byte < idle)
        return false;
    fail(f, 1, RAIA_ERR_TIMEOUT, "no byte for too long");
    return true;
}

static void on_watch(void *arg)
{
    struct flight *f = arg;
    struct faulty *t = f->t;
    bool some = false, expired = false;
    f->event = NULL;
    if (!f->x || f->canceled || idle_too_long(f))
        return;
    while (!f->dead) {
        _cleanup_(mem_freep) char *line = kube_model_watch_next(f->w, &expired);
        if (!line)
            break;
        some = true;
        if (!give(f, line, strlen(line)) || f->event)
            return;
        if (expired) {
            at(f, 1, on_finish);
            return;
        }
        if (chance_of(t, t->faults->twice) && !give(f, line, strlen(line)))
            return;
        if (!misbehave(f))
            return;
    }
    if (!some && !f->dead) {
        _cleanup_(mem_freep) char *line = kube_model_watch_bookmark(f->w);
        if (line && !give(f, line, strlen(line)))
            return;
        if (!misbehave(f))
            return;
    }
    at(f, prng_range(sim_prng(t->sim), 20, 60) * CLOCK_NS_PER_S, on_watch);
}

static void on_write(void *arg)
{
    struct faulty *t = arg;
    struct flight *f;
    LIST_FOREACH (f, &t->flights, link) {
        int64_t delay = latency(t);
        if (f->w && f->x && !f->error.code && f->due > sim_now(t->sim) + delay && !f->dead)
            at(f, delay, on_watch);
    }
}

static void on_arrival(void *arg)
{
    struct flight *f = arg;
    struct faulty *t = f->t;
    const struct kube_faults *k = t->faults;
    f->event = NULL;
    if (chance_of(t, k->busy)) {
        model_fail__(&f->a, 429, "TooManyRequests", "later");
        f->retry_after_s = 1;
    } else if (chance_of(t, k->error)) {
        bool internal = chance_of(t, 0.5);
        model_fail__(&f->a, internal ? 500 : 503, internal ? "InternalError" : "ServiceUnavailable",
                     "it is not well");
    } else if (k->no_streaming && strstr(f->target, "sendInitialEvents")) {
        model_fail__(&f->a, 422, "Invalid", "sendInitialEvents: Forbidden");
    } else {
        kube_model_handle(t->model, &f->rq, EPOCH_MS + sim_now(t->sim) / 1000000, &f->a);
    }
    if (f->a.watch) {
        f->w = STEAL(f->a.watch);
        f->last_byte = sim_now(t->sim);
        at(f, latency(t), on_watch);
        return;
    }
    if (chance_of(t, k->unknown))
        fail(f, latency(t), RAIA_ERR_UNAVAILABLE, "connection reset before the reply");
    else
        at(f, latency(t), on_finish);
}

static int start(struct kube_transport *base, struct kube_exchange *x,
                 const struct kube_request *rq, struct raia_error *e)
{
    struct faulty *t = (struct faulty *)base;
    struct flight *f = MODEL_NEED(mem_new(struct flight));
    (void)e;
    f->t = t;
    f->x = x;
    f->rq = *rq;
    f->rq.method = f->method = mem_strdup(rq->method);
    f->rq.target = f->target = mem_strdup(rq->target);
    f->rq.content_type = f->type = mem_strdup(rq->content_type);
    f->rq.body = f->body = rq->body ? mem_strndup(rq->body, rq->body_len) : NULL;
    list_add_tail(&t->flights, &f->link);
    x->impl = f;
    if (chance_of(t, t->faults->lost))
        fail(f, latency(t), RAIA_ERR_UNAVAILABLE, "connection refused");
    else
        at(f, latency(t), on_arrival);
    rearm(t);
    return 0;
}

static void on_canceled(void *arg)
{
    on_finish(arg);
}

static void cancel(struct kube_transport *base, struct kube_exchange *x)
{
    struct flight *f = x->impl;
    (void)base;
    if (!f || f->canceled)
        return;
    f->canceled = true;
    f->error = (struct raia_error){0};
    err_set(&f->error, RAIA_ERR_CANCELED, "canceled");
    at(f, 1, on_canceled);
}

static int64_t now(struct kube_transport *base)
{
    return sim_now(((struct faulty *)base)->sim);
}

static int64_t unix_ms(struct kube_transport *base)
{
    return EPOCH_MS + sim_now(((struct faulty *)base)->sim) / 1000000;
}

static void free_faulty(struct kube_transport *base)
{
    struct faulty *t = (struct faulty *)base;
    struct flight *f, *next;
    LIST_FOREACH_SAFE (f, next, &t->flights, link)
        free_flight(f);
    if (t->step)
        sim_cancel(t->sim, t->step);
    kube_model_on_write(t->model, NULL, NULL);
    mem_free(t);
}

static const struct kube_transport_ops ops = {start, cancel, now, unix_ms, free_faulty};

struct kube_transport *kube_faulty_new(struct sim *s, struct kube_model *m,
                                       const struct kube_faults *faults)
{
    struct faulty *t = MODEL_NEED(mem_new(struct faulty));
    t->base.ops = &ops;
    t->sim = s;
    t->model = m;
    t->faults = faults;
    list_init(&t->flights);
    kube_model_on_write(m, on_write, t);
    return &t->base;
}

void kube_faulty_kill(struct kube_transport *base)
{
    struct faulty *t = (struct faulty *)base;
    struct flight *f;
    LIST_FOREACH (f, &t->flights, link)
        f->x = NULL;
    t->client = NULL;
}

/* ---- driving a client ---- */

static void on_step(void *arg)
{
    struct faulty *t = arg;
    t->step = NULL;
    if (t->client)
        kube_client_step(t->client);
    rearm(t);
}

/* To the client's next timer; a timer that was set without us is seen within a second. */
static void rearm(struct faulty *t)
{
    if (!t->client)
        return;
    int64_t next = kube_client_next(t->client), time = sim_now(t->sim);
    int64_t delay = next <= time ? 0 : next - time;
    if (delay > CLOCK_NS_PER_S)
        delay = CLOCK_NS_PER_S;
    if (t->step)
        sim_cancel(t->sim, t->step);
    t->step = NULL;
    sim_after(t->sim, NULL, delay, on_step, t, &t->step);
}

void kube_faulty_drive(struct kube_transport *base, struct kube_client *c)
{
    struct faulty *t = (struct faulty *)base;
    t->client = c;
    rearm(t);
}
