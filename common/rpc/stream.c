/*
 * Streams between transport and owner: the two bounded queues, the events, and the public calls.
 *
 * Transport threads change the fields marked "locked" and post st->task; stream_run then tells the
 * owner, with no lock held, in this order: messages, half-close, writable, close.
 */
#include "rpc/rpc_impl.h"

static void stream_run(struct loop_task *t);

static void lock(struct rpc_stream *st)
{
    pthread_mutex_lock(st->lock);
}

static void unlock(struct rpc_stream *st)
{
    pthread_mutex_unlock(st->lock);
}

void rpc_stream_init(struct rpc_stream *st, const struct rpc_wire *wire, struct rpc_core *core,
                     char *name)
{
    st->wire = wire;
    st->core = core;
    st->loop = core->loop;
    pthread_mutex_init(&st->own, NULL);
    st->lock = &st->own;
    st->task.fn = stream_run;
    st->method_name = name;
    st->deadline_ms = UINT64_MAX;
    rpc_core_ref(core);
    st->next = core->streams;
    if (st->next)
        st->next->pprev = &st->next;
    st->pprev = &core->streams;
    core->streams = st;
}

static void leave_core(struct rpc_stream *st)
{
    *st->pprev = st->next;
    if (st->next)
        st->next->pprev = st->pprev;
    rpc_core_unref(st->core);
    st->core = NULL;
}

void rpc_stream_abandon(struct rpc_stream *st)
{
    leave_core(st);
    st->wire->free(st);
}

void rpc_stream_fini(struct rpc_stream *st)
{
    rpc_queue_clear(&st->out);
    rpc_queue_clear(&st->in);
    rpc_queue_clear(&st->ready);
    rpc_msg_free(st->reply);
    rpc_msg_free(st->q.msg);
    pthread_mutex_destroy(&st->own);
    mem_free(st->method_name);
    mem_free((char *)(uintptr_t)st->peer.address);
    mem_free((char *)(uintptr_t)st->peer.common_name);
    for (size_t i = 0; i < st->peer.n_sans; i++)
        mem_free((char *)(uintptr_t)st->peer.sans[i]);
    mem_free((void *)(uintptr_t)st->peer.sans);
}

void rpc_stream_notify(struct rpc_stream *st)
{
    loop_post(st->loop, &st->task);
}

bool rpc_stream_wants_input(const struct rpc_stream *st)
{
    return !st->peer_end && !st->closed && st->in.bytes < RPC_WINDOW_BYTES &&
           st->in.count < RPC_WINDOW_COUNT;
}

bool rpc_stream_receive(struct rpc_stream *st, struct rpc_msg *m)
{
    if (st->cancelled || st->closed) {
        rpc_msg_free(m);
        return true;
    }
    if (m->size > st->core->max_message)
        return false;
    rpc_queue_push(&st->in, m);
    rpc_stream_notify(st);
    return true;
}

void rpc_stream_sent(struct rpc_stream *st)
{
    if (st->want_writable && st->out.bytes <= st->core->outbox / 2) {
        st->want_writable = false;
        st->writable = true;
        rpc_stream_notify(st);
    }
}

/* The last thing that happens: tells the owner, lets the call go, frees unless a request is open.
 */
static void stream_close(struct rpc_stream *st)
{
    struct raia_error err = st->err;
    rpc_queue_clear(&st->ready);
    rpc_queue_clear(&st->in);
    rpc_queue_clear(&st->out);
    st->wire->close(st);
    st->user->closed(st, err.code ? &err : NULL);
    if (st->server)
        rpc_server_left(st);
    leave_core(st);
    st->detached = true;
    if (!st->q.open)
        st->wire->free(st);
}

static void stream_run(struct loop_task *t)
{
    struct rpc_stream *st = LOOP_OF(t, struct rpc_stream, task);

    if (!st->user)
        rpc_server_accept(st);
    lock(st);
    if (!st->paused || st->cancelled) {
        rpc_queue_move(&st->ready, &st->in);
        st->wire->pump_in(st);
    }
    bool half = st->half_closed && !st->in.first, writable = st->writable && !st->cancelled;
    bool closed = st->closed, failed = st->err.code != 0;
    st->writable = false;
    unlock(st);

    struct rpc_msg *m;
    while (!st->deaf && !st->paused && (m = rpc_queue_pop(&st->ready)))
        st->user->message(st, m);
    if (st->deaf)
        rpc_queue_clear(&st->ready);
    if (half && !st->deaf && !st->ready.first && !st->told_half && !(closed && failed)) {
        st->told_half = true;
        st->user->half_closed(st);
    }
    if (writable && !closed && !st->deaf)
        st->user->writable(st);
    if (!closed || atomic_load(&st->task.pending))
        return;
    if (st->paused && !failed && (st->ready.first || st->in.first))
        return; /* a good end waits for the owner to read on */
    stream_close(st);
}

void rpc_stream_put(struct rpc_stream *st, struct rpc_msg *m, bool end,
                    const struct raia_error *err)
{
    lock(st);
    if (st->end || st->closed || st->cancelled) {
        unlock(st);
        rpc_msg_free(m);
        return;
    }
    if (m)
        rpc_queue_push(&st->out, m);
    if (end) {
        st->end = true;
        if (err)
            st->err = *err;
    }
    st->wire->pump_out(st);
    unlock(st);
}

void rpc_stream_abort(struct rpc_stream *st, int code, const char *text)
{
    lock(st);
    /* A closed one is about to be told so, unless it waits for its paused owner to read on. */
    bool waits = st->closed && st->paused && !st->err.code;
    if (!st->cancelled && !st->slot && (!st->closed || waits)) {
        st->cancelled = true;
        st->deaf = true;
        err_set(&st->err, code, "%s", text);
        st->err.maybe_executed = !st->server;
        rpc_queue_clear(&st->out);
        rpc_queue_clear(&st->in);
        /* A client whose stream the server drops did not cancel anything. */
        if (!st->closed)
            st->wire->cancel(
                st, st->server && code == RAIA_ERR_CANCELED ? RAIA_ERR_UNAVAILABLE : code, text);
        rpc_stream_notify(st);
    }
    unlock(st);
}

/* ---- a stream that never was ---- */

static void dead_nothing(struct rpc_stream *st)
{
    (void)st;
}

static void dead_cancel(struct rpc_stream *st, int code, const char *text)
{
    (void)st, (void)code, (void)text;
}

static void dead_free(struct rpc_stream *st)
{
    rpc_stream_fini(st);
    mem_free(st);
}

static const struct rpc_wire dead_wire = {dead_nothing, dead_nothing, dead_cancel, dead_nothing,
                                          dead_free};

struct rpc_stream *rpc_stream_dead(struct rpc_core *core, int code, const char *text)
{
    struct rpc_stream *st = mem_new(struct rpc_stream);
    if (!st)
        return NULL;
    rpc_stream_init(st, &dead_wire, core, NULL);
    st->closed = true;
    err_set(&st->err, code, "%s", text);
    rpc_stream_notify(st);
    return st;
}

/* ---- the public face ---- */

static void public_message(struct rpc_stream *st, struct rpc_msg *m)
{
    if (!st->server && rpc_chaos_draw_stream(st->method_name, true))
        rpc_stream_abort(st, RAIA_ERR_UNAVAILABLE, "chaos: a reply was dropped on purpose");
    else if (st->cbs->on_message)
        st->cbs->on_message(st->arg, st, m->data, m->size);
    rpc_msg_free(m);
}

static void public_half_closed(struct rpc_stream *st)
{
    if (!st->server)
        return; /* the server's end of sending is its status, which on_close tells */
    if (st->cbs->on_half_close)
        st->cbs->on_half_close(st->arg, st);
    else
        rpc_stream_finish(st, NULL);
}

static void public_writable(struct rpc_stream *st)
{
    if (st->cbs->on_writable)
        st->cbs->on_writable(st->arg, st);
}

static void public_closed(struct rpc_stream *st, const struct raia_error *err)
{
    if (st->cbs->on_close)
        st->cbs->on_close(st->arg, st, err);
}

const struct rpc_user rpc_user_public = {public_message, public_half_closed, public_writable,
                                         public_closed};

static void drop_message(struct rpc_stream *st, struct rpc_msg *m)
{
    (void)st;
    rpc_msg_free(m);
}

static void drop_closed(struct rpc_stream *st, const struct raia_error *err)
{
    (void)st, (void)err;
}

const struct rpc_user rpc_user_drop = {drop_message, dead_nothing, dead_nothing, drop_closed};

void rpc_stream_bind(struct rpc_stream *st, const struct rpc_stream_cbs *cbs, void *arg)
{
    st->cbs = cbs;
    st->arg = arg;
}

int rpc_stream_open(struct rpc_channel *ch, const char *method, uint64_t timeout_ms,
                    const struct rpc_stream_cbs *cbs, void *arg, struct rpc_stream **ret_st,
                    struct raia_error *e)
{
    if (ch->closing)
        return err_set(e, RAIA_ERR_SHUTDOWN, "%s to %s: the channel is closed", method, ch->target);
    uint64_t deadline = timeout_ms ? loop_now_ms(ch->core.loop) + timeout_ms : UINT64_MAX;
    struct rpc_stream *st;
    if (rpc_chaos_draw_stream(method, false))
        st = rpc_stream_dead(&ch->core, RAIA_ERR_UNAVAILABLE,
                             "chaos: the request was dropped on purpose");
    else
        st = rpc_channel_open(ch, method, deadline, false, NULL);
    if (!st)
        return err_set(e, RAIA_ERR_NOMEM, "%s to %s: out of memory", method, ch->target);
    st->user = &rpc_user_public;
    rpc_stream_bind(st, cbs, arg);
    *ret_st = st;
    return 0;
}

/* 0, or why nothing may be queued; size: of the next message. Locked. */
static int may_send(struct rpc_stream *st, size_t size)
{
    if (st->end)
        return -RAIA_ERR_STATE;
    if (st->closed || st->cancelled)
        return -RAIA_ERR_UNAVAILABLE;
    if (st->out.first &&
        size > st->core->outbox -
                   (st->out.bytes < st->core->outbox ? st->out.bytes : st->core->outbox)) {
        st->want_writable = true;
        return -RAIA_ERR_LIMIT;
    }
    return 0;
}

/* Queues m if the stream still takes it; only the owner queues, so that the limit still holds. */
static int enqueue(struct rpc_stream *st, struct rpc_msg *m)
{
    lock(st);
    int r = st->closed || st->cancelled ? -RAIA_ERR_UNAVAILABLE : 0;
    if (!r) {
        rpc_queue_push(&st->out, m);
        st->wire->pump_out(st);
    }
    unlock(st);
    return r;
}

static int check(struct rpc_stream *st, size_t size)
{
    lock(st);
    int r = may_send(st, size);
    unlock(st);
    return r;
}

int rpc_stream_send(struct rpc_stream *st, const void *data, size_t size)
{
    int r = check(st, size);
    if (r < 0)
        return r;
    struct rpc_msg *m = rpc_msg_copy(data, size);
    if (!m)
        return -RAIA_ERR_NOMEM;
    r = enqueue(st, m);
    if (r < 0)
        rpc_msg_free(m);
    return r;
}

int rpc_stream_send_ref(struct rpc_stream *st, const void *data, size_t size,
                        void (*release)(void *arg), void *arg)
{
    int r = check(st, size);
    if (r < 0)
        return r;
    struct rpc_msg *m = rpc_msg_borrow(st->core, data, size, release, arg);
    if (!m)
        return -RAIA_ERR_NOMEM;
    r = enqueue(st, m);
    if (r < 0)
        rpc_msg_unborrow(m);
    return r;
}

void rpc_stream_half_close(struct rpc_stream *st)
{
    if (!st->server)
        rpc_stream_put(st, NULL, true, NULL);
}

void rpc_stream_finish(struct rpc_stream *st, const struct raia_error *err)
{
    if (st->server)
        rpc_stream_put(st, NULL, true, err);
}

void rpc_stream_cancel(struct rpc_stream *st)
{
    rpc_stream_abort(st, RAIA_ERR_CANCELED,
                     st->server ? "the server cancelled the stream" : "the stream was cancelled");
}

void rpc_stream_pause(struct rpc_stream *st)
{
    st->paused = true;
}

void rpc_stream_resume(struct rpc_stream *st)
{
    if (!st->paused)
        return;
    st->paused = false;
    rpc_stream_notify(st);
}

size_t rpc_stream_outbox(const struct rpc_stream *st)
{
    pthread_mutex_lock(st->lock);
    size_t n = st->out.bytes;
    pthread_mutex_unlock(st->lock);
    return n;
}

const struct rpc_peer *rpc_stream_peer(const struct rpc_stream *st)
{
    return &st->peer;
}

const char *rpc_stream_method(const struct rpc_stream *st)
{
    return st->method_name ? st->method_name : "";
}
