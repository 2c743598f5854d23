/*
 * The HTTP port of a node: /healthz (it has joined its cluster), /livez (this loop turns) and
 * /metrics, for kubelets and Prometheus. There is nothing secret in it: it needs no token.
 */
#include <string.h>

#include "base/err.h"
#include "http/http_server.h"
#include "link/link.h"
#include "raylet/raylet.h"
#include "store/store.h"

#define METRICS_MAX (256u << 10)

struct health {
    struct http_server *server;
    struct loop_fd *watch; /* its descriptor */
};

static void on_ready(struct http_exchange *x, void *arg)
{
    if (gcs_registered(arg))
        http_answer_text(x, 200, "success");
    else
        http_answer_text(x, 503, "this node has not joined its cluster (yet)");
}

static void on_live(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_answer_text(x, 200, "success");
}

/* ---- /metrics */

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    head(b, name, type, help);
    (void)buf_printf(b, "%s %llu\n", name, (unsigned long long)v);
}

static void put_state(struct buf *b, const char *name, const char *state, uint64_t v)
{
    (void)buf_printf(b, "%s{State=\"%s\"} %llu\n", name, state, (unsigned long long)v);
}

static void put_resources(const struct raylet *r, struct buf *b)
{
    const struct ledger *l = sched_ledger(r->sched);

    head(b, "ray_resources", "gauge", "Logical resources of this node.");
    for (uint32_t i = 0; i < l->total.n; i++) {
        const char *name = res_name(r->names, l->total.item[i].name);
        double left = (double)l->available[i] / (double)RES_UNIT;
        double all = (double)l->total.item[i].quantity / (double)RES_UNIT;
        if (strpbrk(name, "\"\\\n"))
            continue; /* a name that would need escapes */
        (void)buf_printf(b, "ray_resources{Name=\"%s\",State=\"USED\"} %.4f\n", name, all - left);
        (void)buf_printf(b, "ray_resources{Name=\"%s\",State=\"AVAILABLE\"} %.4f\n", name, left);
    }
}

static void put_sched(const struct raylet *r, struct buf *b)
{
    static const char workers[] = "raia_raylet_workers";
    struct sched_stats s;
    struct pool_stats p;

    sched_stats(r->sched, &s);
    pool_stats(sched_pool(r->sched), &p);
    put(b, "raia_raylet_registered", "gauge", "1: this node has joined its cluster.",
        gcs_registered(r));
    put(b, "raia_raylet_processes", "gauge", "Drivers and workers that are connected.",
        HASH_SIZE(r->by_worker));
    put(b, "raia_raylet_records_total", "counter", "Records taken from processes.", r->nrecords);
    put(b, "raia_raylet_leases", "gauge", "Leases granted on this node.", s.leases);
    put(b, "raia_raylet_leases_wanted", "gauge", "Leases that are waited for.", s.want);
    put(b, "raia_raylet_leases_obtained_total", "counter",
        "Leases, here or elsewhere, that processes of this node ever got.", s.grants);
    put(b, "raia_raylet_spillbacks_total", "counter", "Requests sent to another node.",
        s.spillbacks);
    head(b, workers, "gauge", "Worker processes.");
    put_state(b, workers, "STARTING", p.starting);
    put_state(b, workers, "IDLE", p.idle);
    put_state(b, workers, "LEASED", p.leased);
    put_state(b, workers, "BLOCKED", p.blocked);
    put_state(b, workers, "STOPPING", p.stopping);
    put(b, "raia_raylet_workers_started_total", "counter", "Worker processes ever started.",
        p.started);
    put(b, "raia_raylet_worker_start_failures_total", "counter", "Those that did not come up.",
        p.failures);
}

static void put_rest(const struct raylet *r, struct buf *b)
{
    static const char bytes[] = "raia_object_store_bytes";
    struct store_stats s;
    struct links_stats l;

    objects_stats(r, &s);
    nodes_stats(r, &l);
    head(b, bytes, "gauge", "Bytes of the object store.");
    put_state(b, bytes, "CAPACITY", s.capacity);
    put_state(b, bytes, "USED", s.used);
    put_state(b, bytes, "PINNED", s.pinned);
    put(b, "raia_object_store_objects", "gauge", "Objects in the store.", s.objects);
    put(b, "raia_object_store_evicted_total", "counter", "Objects evicted.", s.evicted);
    put(b, "raia_object_store_received_bytes_total", "counter", "Bytes of objects from nodes.",
        s.bytes_in);
    put(b, "raia_object_store_sent_bytes_total", "counter", "Bytes of objects to nodes.",
        s.bytes_out);
    put(b, "raia_links", "gauge", "Links to other nodes that are up.", l.up);
    put(b, "raia_link_received_bytes_total", "counter", "Bytes from other nodes.", l.bytes_in);
    put(b, "raia_link_sent_bytes_total", "counter", "Bytes to other nodes.", l.bytes_out);
}

static void on_metrics(struct http_exchange *x, void *arg)
{
    struct raylet *r = arg;
    struct buf b;
    size_t size;
    char *text;

    buf_init(&b, METRICS_MAX);
    put_resources(r, &b);
    put_sched(r, &b);
    put_rest(r, &b);
    text = buf_steal(&b, &size);
    buf_fini(&b);
    http_answer_take(x, 200, "text/plain; version=0.0.4", text, size);
}

/* ---- its life */

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/healthz", .handle = on_ready, .open = true},
    {.method = "GET", .pattern = "/livez", .handle = on_live, .open = true},
    {.method = "GET", .pattern = "/metrics", .handle = on_metrics, .open = true},
};

static void on_readable(void *arg, int fd, unsigned events)
{
    struct health *h = arg;

    (void)fd;
    (void)events;
    http_server_step(h->server);
}

int health_new(struct raylet *r, struct raia_error *e)
{
    /* Where the node is reached, and on loopback: port-forwards come from there. */
    bool loopback = !strncmp(r->config.node_ip, "127.", 4) || !strcmp(r->config.node_ip, "::1");
    const char *any = strchr(r->config.node_ip, ':') ? "::" : "0.0.0.0";
    struct http_server_options o = {.bind = loopback ? r->config.node_ip : any,
                                    .port = (uint16_t)r->config.metrics_port,
                                    .max_connections = 64,
                                    .max_body = 1024};
    struct health *h = mem_new(struct health);
    int got;

    if (!h)
        return err_set(e, RAIA_ERR_NOMEM, "the HTTP port");
    r->health = h;
    got = http_server_new(&o, routes, sizeof routes / sizeof *routes, r, &h->server, e);
    if (got < 0)
        return err_wrap(e, "--metrics-port");
    return loop_fd_new(r->loop, http_server_fd(h->server), LOOP_READ, on_readable, h, &h->watch, e);
}

void health_free(struct raylet *r)
{
    struct health *h = r->health;

    if (!h)
        return;
    loop_fd_free(h->watch);
    http_server_free(h->server);
    mem_free(h);
    r->health = NULL;
}
