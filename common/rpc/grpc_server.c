/*
 * The gRPC side of a server: ports, credentials, the slots in which calls are awaited, shutdown.
 *
 * gRPC is started at the first address that needs it; a server of mem: names alone never does. All
 * methods come through the catch-all, so that an unknown one is answered at once.
 */
#include "rpc/grpc_impl.h"

#define SLOTS 64u /* calls awaited at a time */

struct rpc_grpc_server {
    struct rpc_server *s;           /* whose */
    char *ca, *cert, *key;          /* PEM; NULL: plaintext, or `path` */
    char *path;                     /* folder of the certificates, or NULL */
    struct rpc_tls_dir *dir;        /* the same, followed; with `server` */
    int keepalive_ms;               /* as in the options */
    grpc_server *server;            /* NULL: nothing listened on */
    unsigned slots;                 /* awaiting a call */
    struct loop_timer refill;       /* no slot is left, for want of memory */
    struct rpc_tag tag_shutdown;    /* all is over */
    struct loop_task shutdown_task; /* the same, on the loop; the core is referenced */
};

static void grpc_server_fini(struct rpc_grpc_server *g)
{
    mem_free(g->ca);
    mem_free(g->cert);
    mem_free(g->key);
    mem_free(g->path);
    mem_free(g);
}

int rpc_grpc_server_new(struct rpc_server *s, const struct rpc_server_opts *o, struct raia_error *e)
{
    struct rpc_grpc_server *g = mem_new(struct rpc_grpc_server);
    if (!g)
        return err_set(e, RAIA_ERR_NOMEM, "rpc server: out of memory");
    g->s = s;
    g->keepalive_ms = (int)(o->keepalive_ms ? o->keepalive_ms : RPC_KEEPALIVE_DEFAULT_MS);
    if (o->tls && o->tls->dir) {
        g->path = mem_strdup(o->tls->dir);
        if (!g->path) {
            grpc_server_fini(g);
            return err_set(e, RAIA_ERR_NOMEM, "rpc server: out of memory");
        }
        s->g = g;
        return 0;
    }
    if (o->tls && (!o->tls->ca_pem || !o->tls->cert_pem || !o->tls->key_pem)) {
        grpc_server_fini(g);
        return err_set(e, RAIA_ERR_INVALID, "rpc server: TLS needs a CA, a certificate and a key");
    }
    if (o->tls) {
        g->ca = mem_strdup(o->tls->ca_pem);
        g->cert = mem_strdup(o->tls->cert_pem);
        g->key = mem_strdup(o->tls->key_pem);
        if (!g->ca || !g->cert || !g->key) {
            grpc_server_fini(g);
            return err_set(e, RAIA_ERR_NOMEM, "rpc server: out of memory");
        }
    }
    s->g = g;
    return 0;
}

static grpc_arg arg_int(const char *key, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static int create(struct rpc_grpc_server *g, struct raia_error *e)
{
    const struct rpc_server *s = g->s;
    int r = rpc_engine_ref(e);
    if (r < 0)
        return r;
    if (g->path && (r = rpc_tls_dir_get(g->path, &g->dir, e)) < 0) {
        rpc_engine_unref();
        return r;
    }
    grpc_arg args[] = {
        arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)s->core.max_message),
        arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        arg_int(GRPC_ARG_ALLOW_REUSEPORT, 0),
        arg_int(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)(s->max_active + s->max_streams)),
        arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, g->keepalive_ms),
        arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, g->keepalive_ms),
        arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        arg_int(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 500),
    };
    grpc_channel_args list = {.num_args = sizeof args / sizeof args[0], .args = args};
    g->server = grpc_server_create(&list, NULL);
    grpc_server_register_completion_queue(g->server, rpc_engine_cq(), NULL);
    return 0;
}

int rpc_grpc_listen(struct rpc_server *s, const char *addr, uint16_t *ret_port,
                    struct raia_error *e)
{
    struct rpc_grpc_server *g = s->g;
    if (!g->cert && !g->path && !rpc_is_local(addr))
        return err_set(e, RAIA_ERR_PERMISSION,
                       "listen on %s: without TLS only loopback addresses are allowed", addr);
    int r = g->server ? 0 : create(g, e);
    if (r < 0)
        return r;
    grpc_server_credentials *creds = rpc_tls_server(g->ca, g->cert, g->key, g->dir);
    int port = creds ? grpc_server_add_http2_port(g->server, addr, creds) : 0;
    if (creds)
        grpc_server_credentials_release(creds);
    if (port <= 0)
        return err_set(e, RAIA_ERR_EXISTS,
                       "listen on %s: the port is taken, the address is not this machine's, or the "
                       "TLS material cannot be used",
                       addr);
    if (ret_port)
        *ret_port = (uint16_t)port;
    return 0;
}

static void refill(struct rpc_grpc_server *g);

static void on_refill(struct loop_timer *t)
{
    refill(LOOP_OF(t, struct rpc_grpc_server, refill));
}

static void on_accept(struct rpc_tag *t, bool ok)
{
    struct grpc_stream *gs = LOOP_OF(t, struct grpc_stream, tag_meta);
    if (ok)
        rpc_grpc_stream_accepted(gs);
    else
        rpc_grpc_stream_void(gs);
}

static void refill(struct rpc_grpc_server *g)
{
    while (g->slots < SLOTS && !g->s->closing) {
        struct grpc_stream *gs = rpc_grpc_stream_new(&g->s->core, NULL);
        if (!gs) {
            if (g->slots == 0)
                loop_timer_start(g->s->core.loop, &g->refill, 50, 0, on_refill);
            return;
        }
        gs->st.server = true;
        gs->st.slot = true;
        gs->tag_meta.fn = on_accept;
        RPC_TSAN_RELEASE(&gs->tag_meta);
        if (grpc_server_request_call(g->server, &gs->call, &gs->details, &gs->meta_in,
                                     rpc_engine_cq(), rpc_engine_cq(),
                                     &gs->tag_meta) != GRPC_CALL_OK) {
            rpc_stream_abandon(&gs->st);
            return;
        }
        g->slots++;
    }
}

void rpc_grpc_slot_used(struct rpc_server *s)
{
    s->g->slots--;
    refill(s->g);
}

int rpc_grpc_start(struct rpc_server *s, struct raia_error *e)
{
    struct rpc_grpc_server *g = s->g;
    (void)e;
    if (!g->server)
        return 0;
    grpc_server_start(g->server);
    refill(g);
    return 0;
}

static void on_shutdown_task(struct loop_task *t)
{
    struct rpc_grpc_server *g = LOOP_OF(t, struct rpc_grpc_server, shutdown_task);
    rpc_core_unref(&g->s->core);
}

static void on_shutdown(struct rpc_tag *t, bool ok)
{
    (void)ok;
    struct rpc_grpc_server *g = LOOP_OF(t, struct rpc_grpc_server, tag_shutdown);
    loop_post(g->s->core.loop, &g->shutdown_task);
}

void rpc_grpc_shutdown(struct rpc_server *s)
{
    struct rpc_grpc_server *g = s->g;
    loop_timer_stop(&g->refill);
    if (!g->server)
        return;
    g->tag_shutdown.fn = on_shutdown;
    g->shutdown_task.fn = on_shutdown_task;
    rpc_core_ref(&s->core);
    RPC_TSAN_RELEASE(&g->tag_shutdown);
    grpc_server_shutdown_and_notify(g->server, rpc_engine_cq(), &g->tag_shutdown);
}

void rpc_grpc_cancel_all(struct rpc_server *s)
{
    if (s->g->server)
        grpc_server_cancel_all_calls(s->g->server);
}

void rpc_grpc_server_free(struct rpc_server *s)
{
    struct rpc_grpc_server *g = STEAL(s->g);
    if (!g)
        return;
    if (g->server) {
        grpc_server_destroy(g->server);
        rpc_tls_dir_put(g->dir);
        rpc_engine_unref();
    }
    grpc_server_fini(g);
}
