/*
 * The transport over libcurl, and what drives a client on a loop.
 */
#include "kube/http_transport.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/http_client.h"
#include "kube/credentials.h"
#include "kube/pace.h"

struct http_transport {
    struct kube_transport base;          /* first: what others see */
    const struct kube_config *cfg;       /* not ours */
    struct kube_credentials credentials; /* of cfg, as they are now */
    struct http_client *http;            /* ours */
    struct loop *loop;                   /* not ours */
    struct loop_fd *watch;               /* of its descriptor */
    struct loop_hook flush;              /* what was started goes out */
    struct loop_timer gather;            /* until it fires, what comes is left where it is */
    struct kube_pace pace;               /* of exchanges, but for watches */
};

/* One exchange's transfer. */
struct transfer {
    struct http_call call;    /* libcurl's */
    struct kube_exchange *x;  /* whose */
    struct http_transport *t; /* where */
    int64_t began;            /* ns */
};

static struct http_transport *of(struct kube_transport *t)
{
    return (struct http_transport *)t; /* base comes first */
}

static int on_body(void *arg, const void *data, size_t len)
{
    struct transfer *f = arg;
    return f->x->data(f->x, data, len);
}

static void on_done(struct http_call *call, const struct http_reply *rp,
                    const struct raia_error *error, void *arg)
{
    struct transfer *f = arg;
    struct kube_exchange *x = f->x;
    struct kube_reply reply = {.status = rp->status,
                               .body = rp->body,
                               .body_len = rp->body_len,
                               .retry_after_s = rp->retry_after_s};
    (void)call;
    if (!x->data && rp->status)
        kube_pace_note(&f->t->pace, f->began, clock_now_ns());
    if (rp->status == 401) /* the token may have been replaced: look at once */
        kube_credentials_stale(&f->t->credentials);
    mem_free(f);
    x->impl = NULL;
    x->done(x, &reply, error);
}

static int start(struct kube_transport *base, struct kube_exchange *x,
                 const struct kube_request *rq, struct raia_error *e)
{
    struct http_transport *t = of(base);
    struct kube_credential_texts secrets = {0};
    int r = kube_credentials_get(&t->credentials, clock_now_ns(), &secrets, e);
    if (r < 0)
        return r;
    _cleanup_(mem_freep) char *url = mem_printf("%s%s", t->cfg->server, rq->target);
    _cleanup_(mem_freep) struct transfer *f = mem_new(struct transfer);
    if (!url || !f)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a request to the API server");
    struct http_header headers[] = {{"Accept", rq->accept ? rq->accept : "application/json"},
                                    {rq->header_name, rq->header_value}};
    struct http_request h = {
        .method = rq->method,
        .url = url,
        .headers = headers,
        .n_headers = rq->header_name ? 2 : 1,
        .bearer = secrets.token,
        .body = rq->body,
        .body_len = rq->body_len,
        .content_type = rq->content_type,
        .ca_pem = secrets.ca,
        .cert_pem = secrets.cert,
        .key_pem = secrets.key,
        .insecure = t->cfg->insecure,
        .http1 = true,
        .timeout_ms = rq->timeout_ms,
        .idle_timeout_ms = rq->idle_timeout_ms,
        .max_reply = rq->max_reply,
        .on_body = x->data ? on_body : NULL,
        .on_body_arg = f,
    };
    f->x = x;
    f->t = t;
    f->began = clock_now_ns();
    r = http_client_start(t->http, &f->call, &h, on_done, f, e);
    if (r == 0)
        x->impl = STEAL(f);
    return r;
}

static void cancel(struct kube_transport *base, struct kube_exchange *x)
{
    struct transfer *f = x->impl;
    (void)base;
    if (f)
        http_client_cancel(&f->call);
}

static int64_t now(struct kube_transport *base)
{
    (void)base;
    return clock_now_ns();
}

static int64_t unix_ms(struct kube_transport *base)
{
    (void)base;
    return clock_unix_ms();
}

static void free_transport(struct kube_transport *base)
{
    struct http_transport *t = of(base);
    loop_timer_stop(&t->gather);
    loop_hook_remove(&t->flush);
    loop_fd_free(t->watch);
    http_client_free(t->http);
    kube_credentials_done(&t->credentials);
    mem_free(t);
}

static const struct kube_transport_ops ops = {start, cancel, now, unix_ms, free_transport};

static void before_sleep(struct loop_hook *h)
{
    http_client_flush(LOOP_OF(h, struct http_transport, flush)->http);
}

static void on_gathered(struct loop_timer *timer)
{
    (void)loop_fd_set(LOOP_OF(timer, struct http_transport, gather)->watch, LOOP_READ);
}

static void on_ready(void *arg, int fd, unsigned events)
{
    struct http_transport *t = arg;
    (void)fd;
    (void)events;
    http_client_step(t->http);
    unsigned ms = kube_pace_gather_ms(&t->pace, clock_now_ns());
    if (ms && loop_fd_set(t->watch, 0) == 0)
        loop_timer_start(t->loop, &t->gather, ms, 0, on_gathered);
}

int kube_http_new(struct loop *l, const struct kube_config *cfg, unsigned max_exchanges,
                  struct kube_transport **ret_t, struct raia_error *e)
{
    struct http_transport *t = mem_new(struct http_transport);
    if (!t)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a Kubernetes client");
    t->base.ops = &ops;
    t->cfg = cfg;
    t->loop = l;
    kube_credentials_init(&t->credentials, cfg);
    int r = http_client_new(max_exchanges, &t->http, e);
    if (r == 0)
        r = loop_fd_new(l, http_client_fd(t->http), LOOP_READ, on_ready, t, &t->watch, e);
    if (r < 0) {
        free_transport(&t->base);
        return r;
    }
    loop_hook_add(l, &t->flush, before_sleep);
    *ret_t = &t->base;
    return 0;
}

/* -- the driver ------------------------------------------------------------------------------ */

static void on_due(struct loop_timer *timer)
{
    struct kube_driver *d = LOOP_OF(timer, struct kube_driver, timer);
    d->set_for = CLOCK_NEVER;
    kube_client_step(d->client);
}

static void before_driver_sleeps(struct loop_hook *h)
{
    struct kube_driver *d = LOOP_OF(h, struct kube_driver, hook);
    int64_t next = kube_client_next(d->client);
    if (next == d->set_for)
        return;
    d->set_for = next;
    if (next == CLOCK_NEVER)
        loop_timer_stop(&d->timer);
    else
        loop_timer_start(d->loop, &d->timer, (uint64_t)clock_left_ms(next, clock_now_ns()), 0,
                         on_due);
}

void kube_driver_start(struct kube_driver *d, struct loop *l, struct kube_client *c)
{
    *d = (struct kube_driver){.loop = l, .client = c, .set_for = CLOCK_NEVER};
    loop_hook_add(l, &d->hook, before_driver_sleeps);
}

void kube_driver_stop(struct kube_driver *d)
{
    loop_timer_stop(&d->timer);
    loop_hook_remove(&d->hook);
}
