/*
 * Requests: their order, their limit, and the waits that the server asks for.
 */
#include "kube/client.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/client_impl.h"

/* Longest wait that a Retry-After makes us keep, for all requests. */
#define HOLD_MAX_NS (30 * CLOCK_NS_PER_S)

struct kube_client {
    struct kube_transport *transport; /* not ours */
    struct kube_client_options o;     /* with the defaults in */
    struct list waiting;              /* calls, in order */
    struct list running;              /* calls that are with the transport */
    struct list ended;                /* calls to be told so from the next step */
    struct timers timers;             /* of all that lives on this client */
    size_t n_timers;                  /* attached */
    struct kube_timer hold;           /* no request is started before it fires */
    struct kube_timer soon;           /* fires at once: ended is not empty */
    double tokens;                    /* requests that may be started now, under o.qps */
    int64_t filled;                   /* when that was right */
    bool closing;                     /* refuses calls */
    struct kube_client_stats stats;   /* counters */
};

static void pump(struct kube_client *c);
static void on_done(struct kube_exchange *x, const struct kube_reply *rp,
                    const struct raia_error *error);

static void on_hold(struct kube_timer *t)
{
    pump(container_of(t, struct kube_client, hold));
}

static void on_soon(struct kube_timer *t);

int kube_client_new(struct kube_transport *t, const struct kube_client_options *options,
                    struct kube_client **ret_c, struct raia_error *e)
{
    struct kube_client *c = mem_new(struct kube_client);
    if (!c)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a Kubernetes client");
    c->transport = t;
    if (options)
        c->o = *options;
    c->o.max_in_flight = c->o.max_in_flight ? c->o.max_in_flight : 24;
    c->o.max_waiting = c->o.max_waiting ? c->o.max_waiting : 20000;
    c->o.retries = c->o.retries ? c->o.retries : 5;
    c->o.max_reply = c->o.max_reply ? c->o.max_reply : (size_t)16 << 20;
    c->o.burst = c->o.burst > 0 ? c->o.burst : c->o.qps;
    c->o.burst = c->o.burst > 1 ? c->o.burst : 1;
    c->tokens = c->o.burst;
    c->filled = kube_client_now(c);
    list_init(&c->waiting);
    list_init(&c->running);
    list_init(&c->ended);
    timers_init(&c->timers);
    if (kube_timer_attach(c, &c->hold, on_hold) < 0 ||
        kube_timer_attach(c, &c->soon, on_soon) < 0) {
        timers_fini(&c->timers);
        mem_free(c);
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a Kubernetes client");
    }
    *ret_c = c;
    return 0;
}

struct kube_transport *kube_client_transport(const struct kube_client *c)
{
    return c->transport;
}

int64_t kube_client_now(const struct kube_client *c)
{
    return c->transport->ops->now(c->transport);
}

void kube_client_get_stats(const struct kube_client *c, struct kube_client_stats *ret)
{
    *ret = c->stats;
}

/* -- timers ---------------------------------------------------------------------------------- */

int kube_timer_attach(struct kube_client *c, struct kube_timer *t, kube_timer_fn fn)
{
    if (t->attached)
        return 0;
    int r = timers_reserve(&c->timers, c->n_timers + 1);
    if (r < 0)
        return r;
    c->n_timers++;
    *t = (struct kube_timer){.fn = fn, .attached = true};
    return 0;
}

void kube_timer_set(struct kube_client *c, struct kube_timer *t, int64_t due)
{
    (void)timers_set(&c->timers, &t->timer, due); /* room was reserved */
}

void kube_timer_stop(struct kube_client *c, struct kube_timer *t)
{
    timers_cancel(&c->timers, &t->timer);
}

void kube_timer_detach(struct kube_client *c, struct kube_timer *t)
{
    if (!t->attached)
        return;
    timers_cancel(&c->timers, &t->timer);
    t->attached = false;
    c->n_timers--;
}

int64_t kube_client_next(const struct kube_client *c)
{
    return timers_next(&c->timers);
}

void kube_client_step(struct kube_client *c)
{
    int64_t now = kube_client_now(c);
    for (struct timer *t; (t = timers_pop(&c->timers, now));) {
        struct kube_timer *k = container_of(t, struct kube_timer, timer);
        k->fn(k);
    }
}

/* -- calls ----------------------------------------------------------------------------------- */

static void call_done(struct kube_call *call, struct json *object, const struct kube_error *error)
{
    struct kube_client *c = call->client;
    list_del(&call->link);
    mem_free(STEAL(call->path));
    mem_free(STEAL(call->body));
    mem_free(STEAL(call->why));
    call->client = NULL;
    c->stats.failed += error->base.code != 0;
    call->done(call, object, error, call->arg);
}

/* Its callback comes from the next step: a call never ends from inside kube_ask or kube_cancel. */
static void end_soon(struct kube_call *call)
{
    struct kube_client *c = call->client;
    list_del(&call->link);
    list_add_tail(&c->ended, &call->link);
    kube_timer_set(c, &c->soon, kube_client_now(c));
}

static void on_soon(struct kube_timer *t)
{
    struct kube_client *c = container_of(t, struct kube_client, soon);
    for (struct kube_call *call; (call = LIST_FIRST(&c->ended, struct kube_call, link));) {
        struct kube_error error;
        struct raia_error why;
        int code = call->failure ? call->failure : RAIA_ERR_CANCELED;
        err_set(&why, code, "%s %.200s: %s", call->method, call->path,
                call->why ? call->why : raia_strerror(code));
        (void)kube_error_from_transport(&why, &error);
        call_done(call, NULL, &error);
    }
}

static int start(struct kube_client *c, struct kube_call *call, struct raia_error *e)
{
    struct kube_request rq = {.method = call->method,
                              .target = call->path,
                              .content_type = call->content_type,
                              .accept = call->accept,
                              .body = call->body,
                              .body_len = call->body_len,
                              .timeout_ms = call->timeout_ms,
                              .max_reply = c->o.max_reply};
    call->x = (struct kube_exchange){.done = on_done};
    return c->transport->ops->start(c->transport, &call->x, &rq, e);
}

/* May one more be started now; if not, the hold ends when it may. */
static bool allowed(struct kube_client *c)
{
    int64_t now = kube_client_now(c);
    if (c->o.qps <= 0)
        return true;
    c->tokens += (double)(now - c->filled) / 1e9 * c->o.qps;
    c->tokens = c->tokens < c->o.burst ? c->tokens : c->o.burst;
    c->filled = now;
    if (c->tokens >= 1)
        return true;
    kube_timer_set(c, &c->hold, now + (int64_t)((1 - c->tokens) / c->o.qps * 1e9) + 1);
    return false;
}

static void pump(struct kube_client *c)
{
    while (c->stats.in_flight < c->o.max_in_flight && !list_empty(&c->waiting) &&
           !timer_is_set(&c->hold.timer) && allowed(c)) {
        struct kube_call *call = LIST_FIRST(&c->waiting, struct kube_call, link);
        struct raia_error why = {0};
        int r = start(c, call, &why);
        if (r == -RAIA_ERR_LIMIT && c->stats.in_flight)
            return;                 /* the transport is full: when one ends */
        if (r == -RAIA_ERR_LIMIT) { /* of others' exchanges, whose end nobody tells us */
            kube_timer_set(c, &c->hold, kube_client_now(c) + 50 * CLOCK_NS_PER_MS);
            return;
        }
        c->stats.waiting--;
        if (r < 0) {
            call->failure = -r;
            call->why = mem_strdup(why.text); /* NULL: the code alone will do */
            end_soon(call);
            continue;
        }
        c->tokens -= c->o.qps > 0;
        c->stats.started++;
        c->stats.in_flight++;
        call->in_flight = true;
        call->attempts++;
        list_del(&call->link);
        list_add_tail(&c->running, &call->link);
    }
}

/* A refusal with the wish to come later: nothing was done, so we come later. */
static bool again(struct kube_client *c, struct kube_call *call, const struct kube_error *error)
{
    if (error->retry_after_ms <= 0 || (error->http_status != 429 && error->http_status != 503))
        return false;
    int64_t wait = error->retry_after_ms * CLOCK_NS_PER_MS, now = kube_client_now(c);
    c->stats.throttled++;
    if (wait > HOLD_MAX_NS)
        wait = HOLD_MAX_NS;
    if (!timer_is_set(&c->hold.timer) || c->hold.timer.due < now + wait)
        kube_timer_set(c, &c->hold, now + wait);
    if (call->attempts > c->o.retries || call->canceled || c->closing)
        return false;
    list_del(&call->link);
    list_add_head(&c->waiting, &call->link); /* it was its turn */
    c->stats.waiting++;
    return true;
}

static void on_done(struct kube_exchange *x, const struct kube_reply *rp,
                    const struct raia_error *transport_error)
{
    struct kube_call *call = container_of(x, struct kube_call, x);
    struct kube_client *c = call->client;
    struct kube_error error = {0};
    _cleanup_(json_freep) struct json *object = NULL;
    struct raia_error e = {0};
    call->in_flight = false;
    c->stats.in_flight--;
    int r = transport_error->code
                ? kube_error_from_transport(transport_error, &error)
                : kube_error_from(rp->status, rp->body, rp->body_len, rp->retry_after_s, &error);
    if (call->canceled && r == 0) {
        err_set(&e, RAIA_ERR_CANCELED, "canceled");
        (void)kube_error_from_transport(&e, &error);
    } else if (r < 0 && again(c, call, &error)) {
        pump(c);
        return;
    } else if (r == 0 && rp->body_len && !call->no_reply) {
        struct json_limits limits = {
            .max_bytes = rp->body_len, .repair = true, .skip = "managedFields"};
        if (json_parse(rp->body, rp->body_len, &limits, &object, &e) < 0)
            (void)kube_error_from_transport(&e, &error);
    }
    if (error.base.code) /* the path says what it was about; it has no secrets */
        err_wrap(&error.base, "%s %.200s", call->method, call->path);
    call_done(call, object, &error);
    pump(c);
}

int kube_call_start__(struct kube_client *c, struct kube_call *call, kube_call_fn done, void *arg,
                      struct raia_error *e)
{
    int r = 0;
    if (!call->path)
        r = err_set(e, RAIA_ERR_NOMEM, "out of memory for a request to the API server");
    else if (c->closing)
        r = err_set(e, RAIA_ERR_SHUTDOWN, "the Kubernetes client is being shut down");
    else if (c->stats.waiting >= c->o.max_waiting)
        r = err_set(e, RAIA_ERR_LIMIT, "%u requests to the API server wait their turn",
                    c->stats.waiting);
    if (r < 0) {
        mem_free(STEAL(call->path));
        mem_free(STEAL(call->body));
        return r;
    }
    call->client = c;
    call->done = done;
    call->arg = arg;
    list_add_tail(&c->waiting, &call->link);
    c->stats.waiting++;
    pump(c);
    return 0;
}

bool kube_call_active(const struct kube_call *call)
{
    return call->client != NULL;
}

void kube_cancel(struct kube_call *call)
{
    if (!call->client || call->canceled)
        return;
    call->canceled = true;
    if (call->in_flight) {
        call->client->transport->ops->cancel(call->client->transport, &call->x);
    } else {
        call->client->stats.waiting--;
        end_soon(call);
    }
}

void kube_client_close(struct kube_client *c)
{
    struct kube_call *call, *next;
    if (!c)
        return;
    c->closing = true;
    LIST_FOREACH_SAFE (call, next, &c->waiting, link)
        kube_cancel(call);
    LIST_FOREACH_SAFE (call, next, &c->running, link)
        kube_cancel(call);
}

bool kube_client_idle(const struct kube_client *c)
{
    return list_count(&c->waiting) + list_count(&c->running) + list_count(&c->ended) == 0;
}

void kube_client_free(struct kube_client *c)
{
    if (!c)
        return;
    kube_timer_detach(c, &c->hold);
    kube_timer_detach(c, &c->soon);
    timers_fini(&c->timers);
    mem_free(c);
}
