/* The rpc server of the control store: unary methods by descriptor, and its life. */
#include "service/service.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/service_impl.h"

#define SERVICE_NAME "raia.gcs.Gcs"

/* Open streams: a session for each node, and packages on their way. */
#define STREAMS_MAX  8192
#define PACKAGES_MAX 64
/* How long calls in flight may still take when the process leaves. */
#define STOP_GRACE_MS 500

struct gcs_now service_now(void)
{
    return (struct gcs_now){.mono_ms = clock_now_ns() / CLOCK_NS_PER_MS,
                            .unix_ms = clock_unix_ms()};
}

/* A unary call that the core answers. */
struct unary {
    struct gcs_waiter waiter; /* first */
    struct rpc_request *q;    /* to be answered */
};

static void on_answer(struct gcs_waiter *w, const struct raia_error *e, const void *data,
                      size_t size)
{
    struct unary *u = (struct unary *)(void *)w;

    if (e)
        rpc_reply_failure(u->q, e);
    else
        rpc_reply(u->q, data, size);
    mem_free(u);
}

static void on_unary(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    struct unary_method *m = arg;
    struct unary *u;

    if (m->service->stopping) {
        rpc_reply_error(q, RAIA_ERR_UNAVAILABLE, "the control store is shutting down");
        return;
    }
    u = mem_new(struct unary);
    if (!u) {
        rpc_reply_error(q, RAIA_ERR_NOMEM, "the control store is out of memory");
        return;
    }
    u->waiter.done = on_answer;
    u->q = q;
    gcs_core_call(m->service->core, service_now(), m->index, data, size, &u->waiter);
}

static void on_broken(void *arg, const struct raia_error *e)
{
    struct service *s = arg;

    s->options.broken(s->options.arg, e);
}

static void on_tick(struct loop_timer *t)
{
    struct service *s = LOOP_OF(t, struct service, tick);

    gcs_core_tick(s->core, service_now());
}

int service_new(const struct service_options *options, struct service **ret_s, struct raia_error *e)
{
    struct service *s = mem_new(struct service);

    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "gcs service");
    s->options = *options;
    s->effects = (struct gcs_effects){
        .send = session_send__, .disconnect = session_disconnect__, .broken = on_broken, .arg = s};
    *ret_s = s;
    return 0;
}

const struct gcs_effects *service_effects(struct service *s)
{
    return &s->effects;
}

static int add_methods(struct service *s, struct raia_error *e)
{
    const ProtobufCServiceDescriptor *d = &raia__gcs__gcs__descriptor;
    const struct rpc_method_opts few = {.max_active = PACKAGES_MAX};
    char name[128];
    int r;

    s->methods = mem_calloc(d->n_methods, sizeof *s->methods);
    if (!s->methods)
        return err_set(e, RAIA_ERR_NOMEM, "gcs service");
    for (unsigned i = 0; i < d->n_methods; i++) {
        s->methods[i] = (struct unary_method){.service = s, .index = i};
        (void)snprintf(name, sizeof name, "/%s/%s", d->name, d->methods[i].name);
        r = rpc_server_unary(s->server, name, on_unary, &s->methods[i], NULL, e);
        if (r < 0)
            return r;
    }
    r = rpc_server_stream(s->server, "/" SERVICE_NAME "/Session", session_open__, s, NULL, e);
    if (r == 0)
        r = rpc_server_stream(s->server, "/" SERVICE_NAME "/PutPackage", package_put_open__, s,
                              &few, e);
    if (r == 0)
        r = rpc_server_stream(s->server, "/" SERVICE_NAME "/GetPackage", package_get_open__, s,
                              &few, e);
    return r;
}

int service_start(struct service *s, struct gcs_core *core, uint16_t *ret_port,
                  struct raia_error *e)
{
    struct rpc_server_opts opts = {.tls = s->options.tls, .max_streams = STREAMS_MAX};
    int r;

    s->core = core;
    r = rpc_server_new(s->options.loop, &opts, &s->server, e);
    if (r == 0)
        r = add_methods(s, e);
    if (r == 0)
        r = rpc_server_listen(s->server, s->options.host, s->options.port, ret_port, e);
    if (r == 0)
        r = rpc_server_start(s->server, e);
    if (r == 0)
        loop_timer_start(s->options.loop, &s->tick, GCS_TICK_MS, GCS_TICK_MS, on_tick);
    return r;
}

static void on_gone(void *arg)
{
    struct service *s = arg;

    s->server = NULL;
    if (s->stopped)
        s->stopped(s->stopped_arg);
}

void service_stop(struct service *s, void (*done)(void *arg), void *arg)
{
    s->stopping = true;
    s->stopped = done;
    s->stopped_arg = arg;
    loop_timer_stop(&s->tick);
    if (s->server)
        rpc_server_shutdown(s->server, STOP_GRACE_MS, on_gone, s);
    else
        on_gone(s);
}

void service_free(struct service *s)
{
    if (!s)
        return;
    mem_free(s->methods);
    mem_free(s);
}
