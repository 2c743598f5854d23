/*
 * Unary calls at the client: caller-owned structs that wait their turn in the channel, go onto the
 * wire as a stream, and end with exactly one callback from the loop.
 */
#include "rpc/rpc_impl.h"

enum phase {
    CALL_IDLE,    /* not under way */
    CALL_DELAYED, /* held back by chaos; in ch->delayed */
    CALL_WAITING, /* in ch->waiting */
    CALL_WIRE,    /* c->st */
    CALL_FAILING, /* c->task will tell c->fail */
};

static void calls_start(struct rpc_channel *ch);

/* Unlinks from `waiting` or `delayed` and lets go of what waiting needed. */
static void leave_list(struct rpc_call *c)
{
    struct rpc_channel *ch = c->ch;
    if (c->phase == CALL_WAITING) {
        ch->queued--;
        ch->queued_bytes -= c->msg ? c->msg->size : 0;
        if (!c->next)
            ch->waiting_last = c->pprev;
    }
    *c->pprev = c->next;
    if (c->next)
        c->next->pprev = c->pprev;
    loop_timer_stop(&c->timer);
}

static void drop_request(struct rpc_call *c)
{
    rpc_msg_free(STEAL(c->msg));
    mem_free((char *)(uintptr_t)c->method);
    c->method = NULL;
}

static void call_end(struct rpc_call *c, int r, const struct rpc_msg *reply,
                     const struct raia_error *err)
{
    c->phase = CALL_IDLE;
    c->ch = NULL;
    c->fn(c, r, reply ? reply->data : NULL, reply ? reply->size : 0, err);
}

static void on_fail(struct loop_task *t)
{
    struct rpc_call *c = LOOP_OF(t, struct rpc_call, task);
    struct rpc_core *core = &c->ch->core;
    struct raia_error err;
    err_set(&err, c->fail, "%s to %s: %s", c->method ? c->method : "a call", c->ch->target,
            c->fail_text);
    drop_request(c);
    call_end(c, -err.code, NULL, &err);
    rpc_core_unref(core);
}

/* The failure of a call that never was on the wire; told later. */
static void call_fail(struct rpc_call *c, int code, const char *text)
{
    c->phase = CALL_FAILING;
    c->fail = code;
    c->fail_text = text;
    c->task.fn = on_fail;
    rpc_core_ref(&c->ch->core);
    loop_post(c->ch->core.loop, &c->task);
}

static void on_deadline(struct loop_timer *t)
{
    struct rpc_call *c = LOOP_OF(t, struct rpc_call, timer);
    leave_list(c);
    call_fail(c, RAIA_ERR_TIMEOUT, "timed out while waiting for its turn");
}

/* To the wire, or to the end of those that wait for it. */
static void call_enqueue(struct rpc_call *c)
{
    struct rpc_channel *ch = c->ch;
    uint64_t now = loop_now_ms(ch->core.loop);
    if (now >= c->deadline_ms) {
        call_fail(c, RAIA_ERR_TIMEOUT, "timed out before it was sent");
        return;
    }
    /* What goes out at once passes through the list as well, but is not held to its limits. */
    bool waits = ch->waiting || ch->in_flight >= ch->max_in_flight;
    if (waits &&
        (ch->queued >= ch->max_queued || c->msg->size > ch->max_queued_bytes - ch->queued_bytes)) {
        call_fail(c, RAIA_ERR_LIMIT, "too many calls wait for their turn");
        return;
    }
    c->phase = CALL_WAITING;
    c->next = NULL;
    c->pprev = ch->waiting_last;
    *ch->waiting_last = c;
    ch->waiting_last = &c->next;
    ch->queued++;
    ch->queued_bytes += c->msg->size;
    calls_start(ch);
    if (c->phase == CALL_WAITING)
        loop_timer_start(ch->core.loop, &c->timer, c->deadline_ms - now, 0, on_deadline);
}

static void on_delay_over(struct loop_timer *t)
{
    struct rpc_call *c = LOOP_OF(t, struct rpc_call, timer);
    leave_list(c);
    call_enqueue(c);
}

static void calls_start(struct rpc_channel *ch)
{
    for (struct rpc_call *c; ch->in_flight < ch->max_in_flight && (c = ch->waiting);) {
        leave_list(c);
        struct rpc_stream *st =
            rpc_channel_open(ch, c->method, c->deadline_ms, true, STEAL(c->msg));
        if (!st) {
            call_fail(c, RAIA_ERR_NOMEM, "out of memory");
            continue;
        }
        drop_request(c);
        ch->in_flight++;
        c->phase = CALL_WIRE;
        c->st = st;
        st->call = c;
        st->user = &rpc_user_call;
    }
}

static void call_message(struct rpc_stream *st, struct rpc_msg *m)
{
    if (st->reply)
        rpc_msg_free(m);
    else
        st->reply = m;
}

static void call_nothing(struct rpc_stream *st)
{
    (void)st;
}

static void call_closed(struct rpc_stream *st, const struct raia_error *err)
{
    struct rpc_channel *ch = LOOP_OF(st->core, struct rpc_channel, core);
    struct rpc_call *c = st->call;
    struct raia_error e = {0};

    c->st = NULL;
    if (err) {
        e = *err;
        err_wrap(&e, "%s to %s", st->method_name ? st->method_name : "a call", ch->target);
    } else if (!st->reply) {
        err_set(&e, RAIA_ERR_PROTOCOL, "%s to %s: success without a reply", st->method_name,
                ch->target);
        e.maybe_executed = true;
    } else if (c->drop_reply) {
        err_set(&e, RAIA_ERR_UNAVAILABLE, "%s to %s: chaos: the reply was dropped on purpose",
                st->method_name, ch->target);
        e.maybe_executed = true;
    }
    ch->in_flight--;
    calls_start(ch);
    call_end(c, -e.code, e.code ? NULL : st->reply, e.code ? &e : NULL);
}

const struct rpc_user rpc_user_call = {call_message, call_nothing, call_nothing, call_closed};

void rpc_call(struct rpc_channel *ch, struct rpc_call *c, const char *method, const void *data,
              size_t size, uint64_t timeout_ms, rpc_call_fn fn)
{
    *c = (struct rpc_call){.fn = fn, .ch = ch};
    if (!timeout_ms)
        timeout_ms = RPC_CALL_TIMEOUT_MS;
    uint64_t now = loop_now_ms(ch->core.loop);
    c->deadline_ms = timeout_ms > UINT64_MAX / 4 ? UINT64_MAX / 4 : now + timeout_ms;
    if (ch->closing) {
        call_fail(c, RAIA_ERR_SHUTDOWN, "the channel is closed");
        return;
    }
    struct rpc_chaos_fate fate = rpc_chaos_draw(method);
    c->method = mem_strdup(method);
    if (!fate.drop_request)
        c->msg = rpc_msg_copy(data, size);
    if (fate.drop_request) {
        call_fail(c, RAIA_ERR_UNAVAILABLE, "chaos: the request was dropped on purpose");
    } else if (!c->method || !c->msg) {
        call_fail(c, RAIA_ERR_NOMEM, "out of memory");
    } else if (fate.delay_ms) {
        c->drop_reply = fate.drop_reply;
        c->phase = CALL_DELAYED;
        c->next = ch->delayed;
        if (c->next)
            c->next->pprev = &c->next;
        c->pprev = &ch->delayed;
        ch->delayed = c;
        uint64_t delay = fate.delay_ms < timeout_ms ? fate.delay_ms : timeout_ms;
        loop_timer_start(ch->core.loop, &c->timer, delay, 0, on_delay_over);
    } else {
        c->drop_reply = fate.drop_reply;
        call_enqueue(c);
    }
}

void rpc_call_cancel(struct rpc_call *c)
{
    switch (c->phase) {
    case CALL_WIRE:
        rpc_stream_abort(c->st, RAIA_ERR_CANCELED, "the call was cancelled");
        break;
    case CALL_WAITING:
    case CALL_DELAYED:
        leave_list(c);
        call_fail(c, RAIA_ERR_CANCELED, "the call was cancelled before it was sent");
        break;
    default:
        break;
    }
}

bool rpc_call_active(const struct rpc_call *c)
{
    return c->phase != CALL_IDLE;
}

void rpc_calls_fail_all(struct rpc_channel *ch)
{
    struct rpc_call *c;
    while ((c = ch->delayed)) {
        leave_list(c);
        call_fail(c, RAIA_ERR_CANCELED, "the channel was closed");
    }
    while ((c = ch->waiting)) {
        leave_list(c);
        call_fail(c, RAIA_ERR_CANCELED, "the channel was closed");
    }
}
