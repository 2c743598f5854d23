/*
 * The gRPC side of a channel: credentials, arguments, connectivity.
 */
#include "rpc/grpc_impl.h"

static grpc_arg arg_int(const char *key, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

int rpc_grpc_channel_new(struct rpc_channel *ch, const struct rpc_channel_opts *o,
                         struct raia_error *e)
{
    struct rpc_grpc_channel *g = mem_new(struct rpc_grpc_channel);
    if (!g)
        return err_set(e, RAIA_ERR_NOMEM, "rpc to %s: out of memory", ch->target);
    int r = rpc_engine_ref(e);
    if (r < 0) {
        mem_free(g);
        return r;
    }
    int keepalive = (int)(o->keepalive_ms ? o->keepalive_ms : RPC_KEEPALIVE_DEFAULT_MS);
    grpc_arg args[] = {
        arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)ch->core.max_message),
        arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive),
        arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive),
        arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        arg_int(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100),
        arg_int(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000), /* in effect the connect timeout */
        arg_int(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000),
        arg_int(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000), /* 30 s: a moved peer */
        arg_int(GRPC_ARG_ENABLE_RETRIES, 0),            /* who may repeat a call knows it better */
        arg_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0),         /* nodes are reached directly */
        arg_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1), /* no back-off shared between channels */
        arg_int(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        {.type = GRPC_ARG_STRING,
         .key = (char *)(uintptr_t)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
         .value.string = (char *)(uintptr_t)o->tls_name},
    };
    grpc_channel_args list = {.num_args = sizeof args / sizeof args[0] - (o->tls_name ? 0 : 1),
                              .args = args};
    if (o->tls && o->tls->dir && (r = rpc_tls_dir_get(o->tls->dir, &g->dir, e)) < 0) {
        mem_free(g);
        rpc_engine_unref();
        return r;
    }
    grpc_channel_credentials *creds = rpc_tls_channel(o->tls, g->dir);
    if (creds) {
        g->channel = grpc_channel_create(ch->target, creds, &list);
        grpc_channel_credentials_release(creds);
    }
    if (!g->channel) {
        rpc_tls_dir_put(g->dir);
        mem_free(g);
        rpc_engine_unref();
        return err_set(e, RAIA_ERR_INVALID,
                       "rpc to %s: the target or the TLS material cannot be used", ch->target);
    }
    g->ch = ch;
    g->last = GRPC_CHANNEL_IDLE;
    ch->g = g;
    return 0;
}

static enum rpc_state state_of(grpc_connectivity_state s)
{
    switch (s) {
    case GRPC_CHANNEL_CONNECTING:
        return RPC_CONNECTING;
    case GRPC_CHANNEL_READY:
        return RPC_READY;
    case GRPC_CHANNEL_TRANSIENT_FAILURE:
    case GRPC_CHANNEL_SHUTDOWN:
        return RPC_FAILED;
    default:
        return RPC_IDLE;
    }
}

static grpc_connectivity_state check(const struct rpc_grpc_channel *g, bool connect)
{
    return g->channel ? grpc_channel_check_connectivity_state(g->channel, connect)
                      : GRPC_CHANNEL_SHUTDOWN;
}

enum rpc_state rpc_grpc_channel_state(const struct rpc_channel *ch)
{
    return state_of(check(ch->g, false));
}

void rpc_grpc_channel_connect(struct rpc_channel *ch)
{
    grpc_channel_reset_connect_backoff(ch->g->channel);
    (void)check(ch->g, true);
}

static void on_watch(struct rpc_tag *t, bool ok)
{
    (void)ok;
    struct rpc_grpc_channel *g = LOOP_OF(t, struct rpc_grpc_channel, tag_watch);
    loop_post(g->ch->core.loop, &g->task);
}

static void watch_again(struct rpc_grpc_channel *g)
{
    RPC_TSAN_RELEASE(&g->tag_watch);
    grpc_channel_watch_connectivity_state(g->channel, g->last, gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                          rpc_engine_cq(), &g->tag_watch);
}

static void on_change(struct loop_task *t)
{
    struct rpc_grpc_channel *g = LOOP_OF(t, struct rpc_grpc_channel, task);
    struct rpc_channel *ch = g->ch;
    grpc_connectivity_state now = check(g, false);
    bool changed = now != g->last;
    g->last = now;
    if (changed && ch->on_state)
        ch->on_state(ch->on_state_arg, state_of(now));
    if (ch->on_state && !ch->closing) {
        watch_again(g);
        return;
    }
    g->watching = false;
    rpc_core_unref(&ch->core);
}

void rpc_grpc_channel_watch(struct rpc_channel *ch)
{
    struct rpc_grpc_channel *g = ch->g;
    if (g->watching)
        return;
    g->watching = true;
    g->tag_watch.fn = on_watch;
    g->task.fn = on_change;
    g->last = check(g, false);
    rpc_core_ref(&ch->core);
    watch_again(g);
}

void rpc_grpc_channel_close(struct rpc_channel *ch)
{
    /* Ends the watch as well; calls hold what they need. */
    grpc_channel_destroy(STEAL(ch->g->channel));
}

void rpc_grpc_channel_free(struct rpc_channel *ch)
{
    if (!ch->g)
        return;
    if (ch->g->channel)
        grpc_channel_destroy(ch->g->channel);
    rpc_tls_dir_put(ch->g->dir);
    mem_free(STEAL(ch->g));
    rpc_engine_unref();
}
