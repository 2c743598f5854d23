/*
 * Streams over gRPC: batches are started under the stream's lock, by the owner or by the queue's
 * thread, which keeps both queues moving without waiting for the owner.
 *
 * A stream is closed when the call is over (status at the client, close at the server) and every
 * batch has come back. Only then is the call let go, on the owner's thread.
 */
#include <stdio.h>

#include "rpc/grpc_impl.h"

static struct grpc_stream *gs_of(struct rpc_stream *st)
{
    return LOOP_OF(st, struct grpc_stream, st);
}

/* Locked. False: nothing was started and no tag will come. */
static bool start(struct grpc_stream *gs, const grpc_op *ops, size_t n, struct rpc_tag *tag)
{
    RPC_TSAN_RELEASE(tag);
    if (grpc_call_start_batch(gs->call, ops, n, tag, NULL) != GRPC_CALL_OK)
        return false;
    gs->tags++;
    return true;
}

static void check_closed(struct grpc_stream *gs)
{
    if (gs->over && gs->tags == 0 && !gs->st.closed) {
        gs->st.closed = true;
        rpc_stream_notify(&gs->st);
    }
}

/* Something that cannot fail did: the call ends with an internal error. Locked. */
static void broken(struct grpc_stream *gs, const char *what)
{
    struct rpc_stream *st = &gs->st;
    if (!st->cancelled) {
        err_set(&st->err, RAIA_ERR_INTERNAL, "rpc: %s", what);
        st->err.maybe_executed = !st->server;
    }
    st->cancelled = true;
    gs->send_broken = true;
    rpc_queue_clear(&st->out);
    grpc_call_cancel_with_status(gs->call, GRPC_STATUS_INTERNAL, what, NULL);
}

/* ---- sending ---- */

static size_t ops_meta(struct grpc_stream *gs, grpc_op *op)
{
    if (gs->meta_sent)
        return 0;
    op->op = GRPC_OP_SEND_INITIAL_METADATA;
    if (gs->has_auth) {
        op->data.send_initial_metadata.count = 1;
        op->data.send_initial_metadata.metadata = &gs->auth;
    }
    if (!gs->st.server && gs->wait_for_ready)
        op->flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                    GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    return 1;
}

static size_t ops_end(struct grpc_stream *gs, grpc_op *op, grpc_slice *text)
{
    struct rpc_stream *st = &gs->st;
    if (!st->server) {
        op->op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
        return 1;
    }
    op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op->data.send_status_from_server.status = (grpc_status_code)rpc_status_from_code(st->err.code);
    if (st->err.code) {
        char trail[RPC_ERROR_TRAIL_MAX];
        rpc_error_encode(&st->err, trail);
        gs->trail.key = grpc_slice_from_static_string(RPC_ERROR_KEY);
        gs->trail.value = grpc_slice_from_copied_string(trail);
        gs->has_trail = true;
        op->data.send_status_from_server.trailing_metadata_count = 1;
        op->data.send_status_from_server.trailing_metadata = &gs->trail;
        *text = grpc_slice_from_copied_string(st->err.text);
        op->data.send_status_from_server.status_details = text;
    }
    return 1;
}

static void grpc_pump_out(struct rpc_stream *st)
{
    struct grpc_stream *gs = gs_of(st);
    if (!gs->call || gs->sending || gs->send_broken || gs->over || gs->end_sent || st->closed)
        return;
    grpc_op ops[3];
    grpc_slice text = grpc_empty_slice();
    memset(ops, 0, sizeof ops);
    size_t n = ops_meta(gs, ops);
    bool meta = n > 0, end = false;
    struct rpc_msg *m = rpc_queue_pop(&st->out);
    if (m) {
        gs->send_buf = rpc_buffer_from_msg(m);
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n].flags = st->out.first ? GRPC_WRITE_BUFFER_HINT : 0;
        ops[n++].data.send_message.send_message = gs->send_buf;
    }
    if (st->end && !st->out.first) {
        end = true;
        n += ops_end(gs, &ops[n], &text);
    }
    if (n == 0)
        return;
    gs->meta_sent = gs->meta_sent || meta;
    gs->end_sent = end;
    gs->sending = start(gs, ops, n, &gs->tag_send);
    grpc_slice_unref(text);
    if (!gs->sending) {
        grpc_byte_buffer_destroy(STEAL(gs->send_buf));
        broken(gs, "a message could not be sent");
    }
}

static void on_send(struct rpc_tag *t, bool ok)
{
    struct grpc_stream *gs = LOOP_OF(t, struct grpc_stream, tag_send);
    struct rpc_stream *st = &gs->st;
    pthread_mutex_lock(st->lock);
    gs->tags--;
    gs->sending = false;
    grpc_byte_buffer_destroy(STEAL(gs->send_buf));
    if (ok) {
        rpc_stream_sent(st);
        grpc_pump_out(st);
    } else {
        gs->send_broken = true;
        rpc_queue_clear(&st->out);
    }
    check_closed(gs);
    pthread_mutex_unlock(st->lock);
}

/* ---- receiving ---- */

static void grpc_pump_in(struct rpc_stream *st)
{
    struct grpc_stream *gs = gs_of(st);
    if (!gs->call || gs->reading || gs->over || (st->unary && !st->server) ||
        !rpc_stream_wants_input(st))
        return;
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &gs->recv_buf;
    gs->reading = start(gs, &op, 1, &gs->tag_recv);
    if (!gs->reading)
        broken(gs, "a message could not be received");
}

static void on_recv(struct rpc_tag *t, bool ok)
{
    struct grpc_stream *gs = LOOP_OF(t, struct grpc_stream, tag_recv);
    struct rpc_stream *st = &gs->st;
    grpc_byte_buffer *bb = STEAL(gs->recv_buf);
    struct rpc_msg *m = bb ? rpc_msg_from_buffer(bb) : NULL;
    pthread_mutex_lock(st->lock);
    gs->tags--;
    gs->reading = false;
    if (!bb) {
        st->peer_end = true;
        st->half_closed = ok && !gs->over;
        rpc_stream_notify(st);
    } else if (!m) {
        broken(gs, "out of memory for a message");
    } else if (!rpc_stream_receive(st, m)) {
        rpc_msg_free(m); /* gRPC has the same limit and lets nothing larger through */
    } else {
        grpc_pump_in(st);
    }
    check_closed(gs);
    pthread_mutex_unlock(st->lock);
}

static void on_meta(struct rpc_tag *t, bool ok)
{
    (void)ok;
    struct grpc_stream *gs = LOOP_OF(t, struct grpc_stream, tag_meta);
    pthread_mutex_lock(gs->st.lock);
    gs->tags--;
    check_closed(gs);
    pthread_mutex_unlock(gs->st.lock);
}

/* ---- the end ---- */

static void decode_status(struct grpc_stream *gs)
{
    const char *trail = NULL;
    size_t trail_size = 0;
    for (size_t i = 0; i < gs->trail_in.count; i++)
        if (grpc_slice_str_cmp(gs->trail_in.metadata[i].key, RPC_ERROR_KEY) == 0) {
            trail = (const char *)GRPC_SLICE_START_PTR(gs->trail_in.metadata[i].value);
            trail_size = GRPC_SLICE_LENGTH(gs->trail_in.metadata[i].value);
        }
    rpc_error_decode(&gs->st.err, (int)gs->status,
                     (const char *)GRPC_SLICE_START_PTR(gs->status_text),
                     GRPC_SLICE_LENGTH(gs->status_text), trail, trail_size);
}

static void on_status(struct rpc_tag *t, bool ok)
{
    (void)ok; /* the status says it all */
    struct grpc_stream *gs = LOOP_OF(t, struct grpc_stream, tag_status);
    struct rpc_stream *st = &gs->st;
    grpc_byte_buffer *bb = st->unary && !st->server ? STEAL(gs->recv_buf) : NULL;
    struct rpc_msg *m = bb ? rpc_msg_from_buffer(bb) : NULL;
    pthread_mutex_lock(st->lock);
    gs->tags--;
    gs->over = true;
    if (m && !rpc_stream_receive(st, m))
        rpc_msg_free(m);
    if (!st->server && !st->cancelled)
        decode_status(gs);
    if (st->server && !st->cancelled && gs->cancelled && !gs->end_sent)
        err_set(&st->err, RAIA_ERR_CANCELED, "the client cancelled the call, or was lost");
    if (bb && !m && !st->err.code)
        err_set(&st->err, RAIA_ERR_NOMEM, "out of memory for the reply");
    rpc_queue_clear(&st->out);
    if (st->unary && !st->server)
        grpc_byte_buffer_destroy(STEAL(gs->send_buf));
    check_closed(gs);
    pthread_mutex_unlock(st->lock);
}

static void grpc_cancel(struct rpc_stream *st, int code, const char *text)
{
    struct grpc_stream *gs = gs_of(st);
    gs->send_broken = true;
    if (gs->call)
        grpc_call_cancel_with_status(gs->call, (grpc_status_code)rpc_status_from_code(code), text,
                                     NULL);
}

static void grpc_close(struct rpc_stream *st)
{
    struct grpc_stream *gs = gs_of(st);
    if (gs->call)
        grpc_call_unref(STEAL(gs->call));
}

static void grpc_free(struct rpc_stream *st)
{
    struct grpc_stream *gs = gs_of(st);
    rpc_stream_fini(st);
    if (gs->has_auth) {
        grpc_slice_unref(gs->auth.key);
        grpc_slice_unref(gs->auth.value);
    }
    if (gs->has_trail)
        grpc_slice_unref(gs->trail.value);
    grpc_metadata_array_destroy(&gs->meta_in);
    grpc_metadata_array_destroy(&gs->trail_in);
    grpc_call_details_destroy(&gs->details);
    grpc_slice_unref(gs->status_text);
    mem_free(gs);
    rpc_engine_unref();
}

static const struct rpc_wire grpc_wire = {grpc_pump_out, grpc_pump_in, grpc_cancel, grpc_close,
                                          grpc_free};

bool rpc_stream_is_grpc(const struct rpc_stream *st)
{
    return st->wire == &grpc_wire;
}

struct grpc_stream *rpc_grpc_stream_new(struct rpc_core *core, char *method)
{
    struct grpc_stream *gs = mem_new(struct grpc_stream);
    if (!gs)
        return NULL;
    if (rpc_engine_ref(NULL) < 0) {
        mem_free(gs);
        return NULL;
    }
    rpc_stream_init(&gs->st, &grpc_wire, core, method);
    gs->tag_send.fn = on_send;
    gs->tag_recv.fn = on_recv;
    gs->tag_meta.fn = on_meta;
    gs->tag_status.fn = on_status;
    grpc_metadata_array_init(&gs->meta_in);
    grpc_metadata_array_init(&gs->trail_in);
    grpc_call_details_init(&gs->details);
    gs->status_text = grpc_empty_slice();
    return gs;
}

/* ---- the client's start ---- */

static void op_status(struct grpc_stream *gs, grpc_op *op)
{
    op->op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op->data.recv_status_on_client.trailing_metadata = &gs->trail_in;
    op->data.recv_status_on_client.status = &gs->status;
    op->data.recv_status_on_client.status_details = &gs->status_text;
}

static void op_meta_in(struct grpc_stream *gs, grpc_op *op)
{
    op->op = GRPC_OP_RECV_INITIAL_METADATA;
    op->data.recv_initial_metadata.recv_initial_metadata = &gs->meta_in;
}

/* The whole of a unary call in one batch. */
static bool start_unary(struct grpc_stream *gs, struct rpc_msg *m)
{
    grpc_op ops[6];
    memset(ops, 0, sizeof ops);
    size_t n = ops_meta(gs, ops);
    gs->send_buf = rpc_buffer_from_msg(m);
    ops[n].op = GRPC_OP_SEND_MESSAGE;
    ops[n++].data.send_message.send_message = gs->send_buf;
    ops[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    op_meta_in(gs, &ops[n++]);
    ops[n].op = GRPC_OP_RECV_MESSAGE;
    ops[n++].data.recv_message.recv_message = &gs->recv_buf;
    op_status(gs, &ops[n++]);
    gs->meta_sent = gs->end_sent = true;
    return start(gs, ops, n, &gs->tag_status);
}

static bool start_stream(struct grpc_stream *gs)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op_status(gs, &op);
    if (!start(gs, &op, 1, &gs->tag_status))
        return false;
    memset(&op, 0, sizeof op);
    op_meta_in(gs, &op);
    if (!start(gs, &op, 1, &gs->tag_meta)) {
        broken(gs, "a stream could not be opened");
        return true; /* the status will end it */
    }
    grpc_pump_out(&gs->st);
    grpc_pump_in(&gs->st);
    return true;
}

struct rpc_stream *rpc_grpc_open(struct rpc_channel *ch, char *method, uint64_t deadline_ms,
                                 bool unary, struct rpc_msg *m)
{
    struct grpc_stream *gs = rpc_grpc_stream_new(&ch->core, method);
    if (!gs) {
        mem_free(method);
        rpc_msg_free(m);
        return NULL;
    }
    struct rpc_stream *st = &gs->st;
    st->unary = unary;
    st->deadline_ms = deadline_ms;
    gs->wait_for_ready = ch->wait_for_ready;
    if (ch->authorization) {
        gs->auth.key = grpc_slice_from_static_string("authorization");
        gs->auth.value = grpc_slice_from_copied_string(ch->authorization);
        gs->has_auth = true;
    }
    uint64_t now = loop_now_ms(st->loop);
    uint64_t left =
        deadline_ms == UINT64_MAX ? UINT64_MAX : (deadline_ms > now ? deadline_ms - now : 0);
    grpc_slice name = grpc_slice_from_copied_string(method);
    gs->call = grpc_channel_create_call(ch->g->channel, NULL, 0, rpc_engine_cq(), name, NULL,
                                        rpc_timespec_after_ms(left), NULL);
    grpc_slice_unref(name);
    pthread_mutex_lock(st->lock);
    bool ok = unary ? start_unary(gs, m) : start_stream(gs);
    if (!ok) {
        grpc_byte_buffer_destroy(STEAL(gs->send_buf));
        err_set(&st->err, RAIA_ERR_INTERNAL, "rpc: the call could not be started");
        gs->over = true;
        check_closed(gs);
    }
    pthread_mutex_unlock(st->lock);
    return st;
}

/* ---- the server's start ---- */

static char *string_of(grpc_slice s)
{
    return mem_strndup((const char *)GRPC_SLICE_START_PTR(s), GRPC_SLICE_LENGTH(s));
}

/* Names from the verified certificate; false: out of memory. */
static bool read_identity(struct grpc_stream *gs)
{
    struct rpc_peer *peer = &gs->st.peer;
    bool ok = true;
    grpc_auth_context *ctx = grpc_call_auth_context(gs->call);
    if (!ctx)
        return true;
    const grpc_auth_property *p;
    grpc_auth_property_iterator it =
        grpc_auth_context_find_properties_by_name(ctx, GRPC_X509_CN_PROPERTY_NAME);
    if ((p = grpc_auth_property_iterator_next(&it)))
        ok = (peer->common_name = mem_strndup(p->value, p->value_length)) != NULL;
    size_t n = 0;
    it = grpc_auth_context_find_properties_by_name(ctx, GRPC_X509_SAN_PROPERTY_NAME);
    while (grpc_auth_property_iterator_next(&it))
        n++;
    const char **sans = n && ok ? mem_calloc(n + 1, sizeof *sans) : NULL;
    ok = ok && (n == 0 || sans);
    peer->sans = sans;
    it = grpc_auth_context_find_properties_by_name(ctx, GRPC_X509_SAN_PROPERTY_NAME);
    while (ok && (p = grpc_auth_property_iterator_next(&it))) {
        sans[peer->n_sans] = mem_strndup(p->value, p->value_length);
        ok = sans[peer->n_sans] != NULL;
        peer->n_sans += ok;
    }
    grpc_auth_context_release(ctx);
    return ok;
}

static bool read_call(struct grpc_stream *gs)
{
    struct rpc_stream *st = &gs->st;
    const struct rpc_server *s = LOOP_OF(st->core, struct rpc_server, core);
    gpr_timespec end = gpr_convert_clock_type(gs->details.deadline, GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(end, gpr_inf_future(GPR_CLOCK_MONOTONIC)) != 0) {
        int64_t left = gpr_time_to_millis(gpr_time_sub(end, gpr_now(GPR_CLOCK_MONOTONIC)));
        st->deadline_ms = loop_now_ms(st->loop) + (left > 0 ? (uint64_t)left : 0);
    }
    for (size_t i = 0; i < gs->meta_in.count && !st->authorized; i++)
        if (grpc_slice_str_cmp(gs->meta_in.metadata[i].key, "authorization") == 0) {
            grpc_slice v = gs->meta_in.metadata[i].value;
            st->authorized = rpc_server_authorize(s, (const char *)GRPC_SLICE_START_PTR(v),
                                                  GRPC_SLICE_LENGTH(v));
        }
    st->authorized = st->authorized || rpc_server_authorize(s, NULL, 0);
    char *peer = grpc_call_get_peer(gs->call);
    st->peer.address = mem_strdup(peer ? peer : "");
    gpr_free(peer);
    st->method_name = string_of(gs->details.method);
    return st->peer.address && st->method_name && read_identity(gs);
}

void rpc_grpc_stream_accepted(struct grpc_stream *gs)
{
    struct rpc_stream *st = &gs->st;
    bool ok = read_call(gs);
    pthread_mutex_lock(st->lock);
    st->slot = false;
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &gs->cancelled;
    if (!start(gs, &op, 1, &gs->tag_status)) {
        gs->over = true;
        ok = false;
    }
    if (ok) {
        grpc_pump_in(st);
    } else {
        st->refused = true;
        broken(gs, "the server is out of memory");
        check_closed(gs);
    }
    rpc_stream_notify(st);
    pthread_mutex_unlock(st->lock);
}

void rpc_grpc_stream_void(struct grpc_stream *gs)
{
    struct rpc_stream *st = &gs->st;
    pthread_mutex_lock(st->lock);
    st->slot = false;
    st->user = &rpc_user_drop;
    gs->over = true;
    check_closed(gs);
    pthread_mutex_unlock(st->lock);
}
