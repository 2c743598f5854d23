/*
 * Channels, whatever the transport: their life, and opening streams on them.
 */
#include "rpc/rpc_impl.h"

static void channel_free(struct rpc_channel *ch)
{
    rpc_grpc_channel_free(ch);
    mem_free(ch->target);
    mem_free(ch->authorization);
    mem_free(ch);
}

static void channel_gone(struct rpc_core *c)
{
    struct rpc_channel *ch = LOOP_OF(c, struct rpc_channel, core);
    void (*done)(void *) = ch->done;
    void *arg = ch->done_arg;
    channel_free(ch);
    if (done)
        done(arg);
}

int rpc_channel_new(struct loop *loop, const char *target, const struct rpc_channel_opts *opts,
                    struct rpc_channel **ret_ch, struct raia_error *e)
{
    static const struct rpc_channel_opts none;
    const struct rpc_channel_opts *o = opts ? opts : &none;
    bool mem = strncmp(target, "mem:", 4) == 0;

    if (!mem && strncmp(target, "unix:", 5) != 0 && !strchr(target, ':'))
        return err_set(e, RAIA_ERR_INVALID,
                       "rpc target '%s': want HOST:PORT, unix:/PATH or mem:NAME", target);
    if (!o->tls && !rpc_is_local(target))
        return err_set(e, RAIA_ERR_PERMISSION,
                       "rpc target '%s': without TLS only this machine can be called", target);
    struct rpc_channel *ch = mem_new(struct rpc_channel);
    if (!ch)
        return err_set(e, RAIA_ERR_NOMEM, "rpc to %s: out of memory", target);
    ch->core.max_message = o->max_message ? o->max_message : RPC_MAX_MESSAGE_DEFAULT;
    ch->core.outbox = o->outbox ? o->outbox : RPC_OUTBOX_DEFAULT;
    ch->max_in_flight = o->max_in_flight ? o->max_in_flight : 64;
    ch->max_queued = o->max_queued ? o->max_queued : 10000;
    ch->max_queued_bytes = o->max_queued_bytes ? o->max_queued_bytes : 64u << 20;
    ch->wait_for_ready = o->wait_for_ready;
    ch->waiting_last = &ch->waiting;
    ch->target = mem_strdup(target);
    if (o->token)
        ch->authorization = mem_printf("Bearer %s", o->token);
    int r = 0;
    if (!ch->target || (o->token && !ch->authorization))
        r = err_set(e, RAIA_ERR_NOMEM, "rpc to %s: out of memory", target);
    else if (mem)
        ch->mem_name = ch->target + 4;
    else
        r = rpc_grpc_channel_new(ch, o, e);
    if (r < 0) {
        channel_free(ch);
        return r;
    }
    rpc_core_init(&ch->core, loop, channel_gone);
    *ret_ch = ch;
    return 0;
}

void rpc_channel_close(struct rpc_channel *ch, void (*done)(void *arg), void *arg)
{
    if (ch->closing)
        return;
    ch->closing = true;
    ch->done = done;
    ch->done_arg = arg;
    ch->on_state = NULL;
    rpc_calls_fail_all(ch);
    rpc_core_cancel_all(&ch->core, RAIA_ERR_CANCELED, "the channel was closed");
    if (ch->g)
        rpc_grpc_channel_close(ch);
    else
        rpc_mem_unwatch(ch);
    rpc_core_unref(&ch->core);
}

struct rpc_stream *rpc_channel_open(struct rpc_channel *ch, const char *method,
                                    uint64_t deadline_ms, bool unary, struct rpc_msg *m)
{
    char *name = mem_strdup(method);
    if (!name) {
        rpc_msg_free(m);
        return NULL;
    }
    struct rpc_stream *st = ch->mem_name ? rpc_mem_open(ch, name, deadline_ms, unary, m)
                                         : rpc_grpc_open(ch, name, deadline_ms, unary, m);
    if (st && !st->peer.address)
        st->peer.address = mem_strdup(ch->target); /* for messages only: may be missing */
    return st;
}

void rpc_channel_connect(struct rpc_channel *ch)
{
    if (ch->closing)
        return;
    if (ch->g)
        rpc_grpc_channel_connect(ch);
    else
        rpc_mem_want(ch);
}

enum rpc_state rpc_channel_state(const struct rpc_channel *ch)
{
    return ch->g ? rpc_grpc_channel_state(ch) : rpc_mem_state(ch);
}

void rpc_channel_on_state(struct rpc_channel *ch, void (*fn)(void *arg, enum rpc_state st),
                          void *arg)
{
    if (ch->closing)
        return;
    ch->on_state = fn;
    ch->on_state_arg = arg;
    if (fn && ch->g)
        rpc_grpc_channel_watch(ch);
    else if (fn)
        rpc_mem_watch(ch);
}
