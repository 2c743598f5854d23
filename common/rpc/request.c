/*
 * Unary requests as their handler sees them: a thin coat over the server's end of a stream, which
 * stays until it was replied to, even if the transport is long done with it.
 */
#include <stdarg.h>
#include <stdio.h>

#include "rpc/rpc_impl.h"

static struct rpc_stream *stream_of(const struct rpc_request *q)
{
    return LOOP_OF(q, struct rpc_stream, q);
}

static void request_message(struct rpc_stream *st, struct rpc_msg *m)
{
    struct rpc_request *q = &st->q;
    if (q->used) { /* one is all that a unary call has */
        rpc_msg_free(m);
        return;
    }
    q->msg = m;
    q->used = true;
    q->open = true;
    st->method->unary(st->method->arg, q, m->data, m->size);
}

static void request_half_closed(struct rpc_stream *st)
{
    if (st->q.used)
        return;
    struct raia_error e;
    err_set(&e, RAIA_ERR_PROTOCOL, "%s: the call came without a request", st->method_name);
    rpc_stream_put(st, NULL, true, &e);
}

static void request_writable(struct rpc_stream *st)
{
    (void)st;
}

static void request_closed(struct rpc_stream *st, const struct raia_error *err)
{
    (void)err;
    void (*fn)(void *) = st->q.on_cancel;
    if (!st->q.open || !fn)
        return;
    st->q.on_cancel = NULL;
    fn(st->q.on_cancel_arg);
}

const struct rpc_user rpc_user_request = {request_message, request_half_closed, request_writable,
                                          request_closed};

/* Ends the request; msg NULL: with err. */
static void reply(struct rpc_request *q, struct rpc_msg *msg, const struct raia_error *err)
{
    struct rpc_stream *st = stream_of(q);
    bool detached = st->detached;

    q->open = false;
    q->on_cancel = NULL;
    rpc_msg_free(STEAL(q->msg));
    if (!detached) {
        rpc_stream_put(st, msg, true, err);
        return;
    }
    rpc_msg_free(msg);
    rpc_server_left(st);
    st->wire->free(st);
}

void rpc_reply(struct rpc_request *q, const void *data, size_t size)
{
    struct rpc_msg *m = rpc_msg_copy(data, size);
    if (m) {
        reply(q, m, NULL);
        return;
    }
    struct raia_error e;
    err_set(&e, RAIA_ERR_NOMEM, "%s: out of memory for a reply of %zu bytes", rpc_request_method(q),
            size);
    e.maybe_executed = true;
    reply(q, NULL, &e);
}

void rpc_reply_error(struct rpc_request *q, int code, const char *fmt, ...)
{
    struct raia_error e;
    char text[RAIA_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (code < 0)
        code = -code;
    err_set(&e, code ? code : RAIA_ERR_INTERNAL, "%s", text);
    reply(q, NULL, &e);
}

void rpc_reply_failure(struct rpc_request *q, const struct raia_error *err)
{
    if (err && err->code)
        reply(q, NULL, err);
    else
        rpc_reply_error(q, RAIA_ERR_INTERNAL, "%s: failed without saying why",
                        rpc_request_method(q));
}

const struct rpc_peer *rpc_request_peer(const struct rpc_request *q)
{
    return &stream_of(q)->peer;
}

const char *rpc_request_method(const struct rpc_request *q)
{
    return rpc_stream_method(stream_of(q));
}

uint64_t rpc_request_time_left_ms(const struct rpc_request *q)
{
    struct rpc_stream *st = stream_of(q);
    if (st->deadline_ms == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now = loop_now_ms(st->loop);
    return st->deadline_ms > now ? st->deadline_ms - now : 0;
}

bool rpc_request_cancelled(const struct rpc_request *q)
{
    return stream_of(q)->detached || stream_of(q)->deaf;
}

void rpc_request_on_cancel(struct rpc_request *q, void (*fn)(void *arg), void *arg)
{
    q->on_cancel = fn;
    q->on_cancel_arg = arg;
}

bool rpc_peer_is(const struct rpc_peer *p, const char *name)
{
    for (size_t i = 0; i < p->n_sans; i++)
        if (!strcmp(p->sans[i], name))
            return true;
    return p->common_name && !strcmp(p->common_name, name);
}
