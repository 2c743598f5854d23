/*
 * Calls to heads: one HTTP exchange each.
 */
#define LOG_MODULE "operator.calls"
#include "daemon/calls.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "http/http_client.h"

#define MAX_REPLY          (1u << 20)
#define MAX_CALLS          1000
#define CONNECT_TIMEOUT_MS 5000

struct calls {
    struct controller_calls ops;  /* first: what the controller sees */
    struct http_client *http;     /* ours */
    struct loop_fd *watch;        /* of its descriptor */
    struct kube_transport *proxy; /* NULL: directly */
};

/* One under way. */
struct head_call {
    struct controller_call *x;    /* whose */
    struct calls *calls;          /* where */
    struct http_call call;        /* directly, or */
    struct kube_exchange through; /* through the API server */
    char *bearer;                 /* of the header; wiped */
    int64_t began;                /* ns, monotonic */
};

static void free_call(struct head_call *h)
{
    if (h->bearer)
        explicit_bzero(h->bearer, strlen(h->bearer));
    mem_free(h->bearer);
    mem_free(h);
}

static void finish(struct head_call *h, int status, const char *body, size_t len,
                   const struct raia_error *error)
{
    struct controller_call *x = h->x;
    char text[RAIA_ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", error->text);
    log_debug("a head has answered", "method=%s url=%s status=%d ms=%lld error=%s", x->method,
              LOG_Q(x->url), status, (long long)((clock_now_ns() - h->began) / CLOCK_NS_PER_MS),
              LOG_Q(text));
    x->impl = NULL;
    bool failed = error->code != 0;
    free_call(h);
    x->done(x, failed ? 0 : status,
            failed ? NULL
            : body ? body
                   : "",
            failed ? 0 : len, failed ? text : NULL);
}

static void on_done(struct http_call *call, const struct http_reply *rp,
                    const struct raia_error *error, void *arg)
{
    (void)call;
    finish(arg, rp->status, rp->body, rp->body_len, error);
}

static void on_through(struct kube_exchange *x, const struct kube_reply *rp,
                       const struct raia_error *error)
{
    finish(container_of(x, struct head_call, through), rp->status, rp->body, rp->body_len, error);
}

char *calls_proxy_path(const char *url)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *name = url + sizeof scheme - 1, *path = name + strcspn(name, "/");
    const char *dot = memchr(name, '.', (size_t)(path - name));
    const char *colon = memchr(name, ':', (size_t)(path - name));
    const char *end = dot ? memchr(dot + 1, '.', (size_t)(path - dot - 1)) : NULL;
    if (!dot || !end || !colon || end > colon || dot == name || end == dot + 1 ||
        strncmp(end, ".svc", 4) != 0)
        return NULL;
    return mem_printf("/api/v1/namespaces/%.*s/services/%.*s:%.*s/proxy%s", (int)(end - dot - 1),
                      dot + 1, (int)(dot - name), name, (int)(path - colon - 1), colon + 1,
                      path[0] ? path : "/");
}

static int start_through(struct calls *c, struct head_call *h, struct raia_error *e)
{
    const struct controller_call *x = h->x;
    _cleanup_(mem_freep) char *path = calls_proxy_path(x->url);
    if (!path)
        return err_set(e, RAIA_ERR_INVALID, "'%.200s' cannot be reached through the API server",
                       x->url);
    if (x->token && !(h->bearer = mem_printf("Bearer %s", x->token)))
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a call");
    /* Authorization is ours, for the API server: the head reads the other one. */
    struct kube_request rq = {.method = x->method,
                              .target = path,
                              .header_name = x->token ? "X-Ray-Authorization" : NULL,
                              .header_value = h->bearer,
                              .body = x->body,
                              .body_len = x->body ? strlen(x->body) : 0,
                              .timeout_ms = x->timeout_ms,
                              .max_reply = MAX_REPLY};
    h->through.done = on_through;
    return c->proxy->ops->start(c->proxy, &h->through, &rq, e);
}

static int start_direct(struct calls *c, struct head_call *h, struct raia_error *e)
{
    const struct controller_call *x = h->x;
    struct http_request rq = {.method = x->method,
                              .url = x->url,
                              .bearer = x->token,
                              .body = x->body,
                              .body_len = x->body ? strlen(x->body) : 0,
                              .fresh =
                                  true, /* a service's name stays when its head is another pod */
                              .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                              .timeout_ms = x->timeout_ms,
                              .max_reply = MAX_REPLY};
    return http_client_start(c->http, &h->call, &rq, on_done, h, e);
}

static int start(struct controller_calls *ops, struct controller_call *x, struct raia_error *e)
{
    struct calls *c = (struct calls *)ops; /* ops come first */
    struct head_call *h = mem_new(struct head_call);
    if (!h)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a call");
    h->x = x;
    h->calls = c;
    h->began = clock_now_ns();
    int r = c->proxy ? start_through(c, h, e) : start_direct(c, h, e);
    if (r < 0)
        free_call(h);
    else
        x->impl = h;
    return r;
}

static void cancel(struct controller_calls *ops, struct controller_call *x)
{
    struct calls *c = (struct calls *)ops;
    struct head_call *h = x->impl;
    if (!h)
        return;
    if (c->proxy)
        c->proxy->ops->cancel(c->proxy, &h->through);
    else
        http_client_cancel(&h->call);
}

static void on_ready(void *arg, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    http_client_step(((struct calls *)arg)->http);
}

int calls_new(struct loop *l, struct kube_transport *proxy, struct calls **ret_c,
              struct raia_error *e)
{
    struct calls *c = mem_new(struct calls);
    if (!c)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for calls to heads");
    c->ops.start = start;
    c->ops.cancel = cancel;
    c->proxy = proxy;
    int r = http_client_new(MAX_CALLS, &c->http, e);
    if (r == 0)
        r = loop_fd_new(l, http_client_fd(c->http), LOOP_READ, on_ready, c, &c->watch, e);
    if (r < 0)
        calls_free(c);
    else
        *ret_c = c;
    return r;
}

void calls_free(struct calls *c)
{
    if (!c)
        return;
    loop_fd_free(c->watch);
    http_client_free(c->http);
    mem_free(c);
}

struct controller_calls *calls_of(struct calls *c)
{
    return &c->ops;
}
