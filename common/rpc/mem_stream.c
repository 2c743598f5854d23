/*
 * Streams inside the process: a send moves the message from this end's queue to the other's, under
 * the lock that both share, and tells the other's loop. Deterministic when both are on one loop.
 */
#include "rpc/mem_impl.h"

#define PEER_GONE "the client cancelled the call, or was lost"

static struct mem_end *end_of(struct rpc_stream *st)
{
    return LOOP_OF(st, struct mem_end, st);
}

static struct mem_end *other(struct rpc_stream *st)
{
    struct mem_pair *p = end_of(st)->pair;
    return st->server ? p->client : p->server;
}

void rpc_mem_pair_unref(struct mem_pair *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

/* Ends one end; its own cancellation, if there was one, keeps its say. */
static void end_closed(struct mem_end *end, int code, const char *text)
{
    struct rpc_stream *st = end ? &end->st : NULL;
    if (!st || st->closed)
        return;
    if (!st->cancelled) {
        err_set(&st->err, code, "%s", text);
        st->err.maybe_executed = !st->server;
    }
    st->peer_end = true;
    st->closed = true;
    rpc_queue_clear(&st->out);
    rpc_stream_notify(st);
}

/* Breaks both: the client is told why, the server that the client is gone. */
static void pair_break(struct mem_pair *p, int code, const char *text)
{
    end_closed(p->client, code, text);
    end_closed(p->server, RAIA_ERR_CANCELED, PEER_GONE);
}

/* The server has sent all: both ends are closed with its outcome. */
static void pair_finish(struct mem_pair *p)
{
    struct rpc_stream *server = &p->server->st;
    if (p->client && !p->client->st.closed) {
        struct rpc_stream *client = &p->client->st;
        client->err = server->err;
        client->peer_end = client->closed = true;
        rpc_queue_clear(&client->out);
        rpc_stream_notify(client);
    }
    server->closed = true;
    rpc_stream_notify(server);
}

static void mem_pump_out(struct rpc_stream *st)
{
    struct mem_end *peer = other(st);
    if (st->closed || !peer || peer->st.closed)
        return;
    while (st->out.first && rpc_stream_wants_input(&peer->st)) {
        struct rpc_msg *m = rpc_queue_pop(&st->out);
        if (!rpc_stream_receive(&peer->st, m)) {
            rpc_msg_free(m);
            pair_break(end_of(st)->pair, RAIA_ERR_LIMIT,
                       "a message is larger than its receiver allows");
            return;
        }
        rpc_stream_sent(st);
    }
    if (!st->end || st->out.first)
        return;
    if (st->server) {
        pair_finish(end_of(st)->pair);
    } else if (!peer->st.peer_end) {
        peer->st.peer_end = peer->st.half_closed = true;
        rpc_stream_notify(&peer->st);
    }
}

static void mem_pump_in(struct rpc_stream *st)
{
    struct mem_end *peer = other(st);
    if (peer)
        mem_pump_out(&peer->st);
}

static void mem_cancel(struct rpc_stream *st, int code, const char *text)
{
    pair_break(end_of(st)->pair, code, text);
}

static void mem_close(struct rpc_stream *st)
{
    struct mem_end *end = end_of(st);
    loop_timer_stop(&end->deadline);
    if (!st->server)
        rpc_mem_leave(end->pair);
    pthread_mutex_lock(&end->pair->lock);
    if (st->server)
        end->pair->server = NULL;
    else
        end->pair->client = NULL;
    pthread_mutex_unlock(&end->pair->lock);
}

static void mem_stream_free(struct rpc_stream *st)
{
    struct mem_pair *p = end_of(st)->pair;
    rpc_stream_fini(st);
    mem_free(end_of(st));
    rpc_mem_pair_unref(p);
}

const struct rpc_wire rpc_mem_wire = {mem_pump_out, mem_pump_in, mem_cancel, mem_close,
                                      mem_stream_free};

static void on_deadline(struct loop_timer *t)
{
    struct mem_end *end = LOOP_OF(t, struct mem_end, deadline);
    rpc_stream_abort(&end->st, RAIA_ERR_TIMEOUT, "no answer before the deadline");
}

struct rpc_stream *rpc_mem_open(struct rpc_channel *ch, char *method, uint64_t deadline_ms,
                                bool unary, struct rpc_msg *m)
{
    struct mem_pair *p = mem_new(struct mem_pair);
    struct mem_end *end = mem_new(struct mem_end);
    const char *why = NULL;

    if (!p || !end) {
        mem_free(p);
        mem_free(end);
        mem_free(method);
        rpc_msg_free(m);
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    atomic_store(&p->refs, 1);
    p->client = end;
    end->pair = p;
    struct rpc_stream *st = &end->st;
    rpc_stream_init(st, &rpc_mem_wire, &ch->core, method);
    st->lock = &p->lock;
    st->unary = unary;
    st->deadline_ms = deadline_ms;
    if (m)
        rpc_queue_push(&st->out, m);
    st->end = unary;
    rpc_mem_want(ch);
    int r = rpc_mem_connect(ch->mem_name, p, ch->wait_for_ready, &why);
    if (r < 0) {
        pthread_mutex_lock(&p->lock);
        end_closed(end, -r, why);
        st->err.maybe_executed = false;
        pthread_mutex_unlock(&p->lock);
        return st;
    }
    if (deadline_ms != UINT64_MAX) {
        uint64_t now = loop_now_ms(st->loop);
        loop_timer_start(st->loop, &end->deadline, deadline_ms > now ? deadline_ms - now : 0, 0,
                         on_deadline);
    }
    return st;
}
