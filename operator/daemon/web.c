/*
 * Two small HTTP servers.
 */
#include "daemon/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/http_server.h"

#define METRICS_MAX     ((size_t)64 << 20)
#define CONNECTIONS_MAX 64

struct listener {
    struct http_server *server; /* NULL: none */
    struct loop_fd *watch;      /* of its descriptor */
};

struct web {
    struct web_options o;    /* as given */
    struct listener metrics; /* /metrics */
    struct listener health;  /* /healthz, /readyz */
};

static void on_metrics(struct http_exchange *x, void *arg)
{
    struct web *w = arg;
    struct buf b;
    size_t len = 0;
    buf_init(&b, METRICS_MAX);
    w->o.metrics(w->o.arg, &b);
    char *text = buf_steal(&b, &len);
    buf_fini(&b);
    http_answer_take(x, 200, "text/plain; version=0.0.4", text, len);
}

static void on_healthz(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_answer_text(x, 200, "ok");
}

static void on_readyz(struct http_exchange *x, void *arg)
{
    struct web *w = arg;
    const char *why = w->o.not_ready(w->o.arg);
    http_answer_text(x, why ? 503 : 200, why ? why : "ok");
}

static const struct http_route metrics_routes[] = {
    {.method = "GET", .pattern = "/metrics", .handle = on_metrics, .open = true}};
static const struct http_route health_routes[] = {
    {.method = "GET", .pattern = "/healthz", .handle = on_healthz, .open = true},
    {.method = "GET", .pattern = "/readyz", .handle = on_readyz, .open = true}};

int web_address(const char *text, char *host, size_t size, unsigned *ret_port, bool *ret_on,
                struct raia_error *e)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    *ret_on = strcmp(text, "0") != 0 && text[0];
    if (!*ret_on)
        return 0;
    if (!colon || end == colon + 1 || *end || port > 65535)
        return err_set(e, RAIA_ERR_INVALID, "'%.100s' is no address: HOST:PORT, :PORT, or 0", text);
    size_t n = (size_t)(colon - text);
    if (n >= 2 && text[0] == '[' && colon[-1] == ']') { /* an IPv6 address */
        text++;
        n -= 2;
    }
    snprintf(host, size, "%.*s", (int)n, n ? text : "0.0.0.0");
    if (!n)
        snprintf(host, size, "0.0.0.0");
    *ret_port = (unsigned)port;
    return 0;
}

static void on_ready(void *arg, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    http_server_step(arg);
}

static int listen_on(struct loop *l, struct web *w, const char *address, struct listener *ret,
                     const struct http_route *routes, size_t n, struct raia_error *e)
{
    char host[256];
    unsigned port = 0;
    bool on = false;
    int r = web_address(address, host, sizeof host, &port, &on, e);
    if (r < 0 || !on)
        return r;
    struct http_server_options o = {
        .bind = host, .port = (uint16_t)port, .max_connections = CONNECTIONS_MAX};
    r = http_server_new(&o, routes, n, w, &ret->server, e);
    if (r == 0)
        r = loop_fd_new(l, http_server_fd(ret->server), LOOP_READ, on_ready, ret->server,
                        &ret->watch, e);
    return r;
}

int web_new(struct loop *l, const struct web_options *o, struct web **ret_w, struct raia_error *e)
{
    struct web *w = mem_new(struct web);
    if (!w)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for the servers");
    w->o = *o;
    int r = listen_on(l, w, o->metrics_addr, &w->metrics, metrics_routes, 1, e);
    if (r < 0)
        err_wrap(e, "--metrics-addr");
    if (r == 0 && (r = listen_on(l, w, o->health_addr, &w->health, health_routes, 2, e)) < 0)
        err_wrap(e, "--health-probe-bind-address");
    if (r < 0)
        web_free(w);
    else
        *ret_w = w;
    return r;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    loop_fd_free(w->metrics.watch);
    loop_fd_free(w->health.watch);
    http_server_free(w->metrics.server);
    http_server_free(w->health.server);
    mem_free(w);
}

void web_ports(const struct web *w, unsigned *ret_metrics, unsigned *ret_health)
{
    *ret_metrics = w->metrics.server ? http_server_port(w->metrics.server) : 0;
    *ret_health = w->health.server ? http_server_port(w->health.server) : 0;
}
