/* Sessions: the stream that each raylet keeps, and what the core sends to it. */
#define LOG_MODULE "gcs.session"
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/pb.h"
#include "service/service_impl.h"

static struct session *find(struct service *s, const struct node_id *node)
{
    return HASH_GET(s->sessions, node, node);
}

static void forget(struct session *x)
{
    if (!x->open)
        return;
    HASH_DEL(x->service->sessions, x);
    x->open = false;
}

int session_send__(void *arg, const struct node_id *node, const void *data, size_t size)
{
    struct session *x = find(arg, node);

    return x && x->st ? rpc_stream_send(x->st, data, size) : -RAIA_ERR_NOT_FOUND;
}

void session_disconnect__(void *arg, const struct node_id *node)
{
    struct session *x = find(arg, node);

    if (!x)
        return;
    forget(x);
    rpc_stream_cancel(x->st);
}

/* Ends a stream from this side: what comes from it is ignored from now on. */
static void refuse(struct session *x, const struct raia_error *e)
{
    struct node_id node = x->node;
    bool open = x->open;

    log_warn("session refused", "peer=%s error=%s", rpc_stream_peer(x->st)->address,
             LOG_Q(e->text));
    forget(x);
    if (open && !x->service->stopping)
        gcs_core_session_closed(x->service->core, &node);
    rpc_stream_finish(x->st, e);
    x->st = NULL;
}

static void hello(struct session *x, const Raia__Gcs__SessionHello *m)
{
    struct service *s = x->service;
    struct session *old;
    struct raia_error e = {0};
    char text[NODE_ID_TEXT_MAX];

    if (node_id_from_bytes(m->node_id.data, m->node_id.len, &x->node) < 0) {
        (void)err_set(&e, RAIA_ERR_INVALID, "session: hello without a node id");
        refuse(x, &e);
        return;
    }
    old = find(s, &x->node);
    if (old) { /* its raylet came back before the old stream's end was noticed */
        forget(old);
        rpc_stream_cancel(old->st);
    }
    if (HASH_PUT(s->sessions, node, x) < 0) {
        (void)err_set(&e, RAIA_ERR_NOMEM, "session");
        refuse(x, &e);
        return;
    }
    x->open = true;
    if (gcs_core_session_hello(s->core, service_now(), m, &e) < 0) {
        refuse(x, &e);
        return;
    }
    log_info("session open", "node=%s peer=%s", node_id_to_text(&x->node, text),
             x->st ? rpc_stream_peer(x->st)->address : "gone");
}

static void on_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct session *x = arg;
    _cleanup_(pb_freep) Raia__Gcs__SessionUp *up = NULL;
    struct raia_error e = {0};

    if (!x->st || x->service->stopping)
        return;
    if (proto_unpack(&raia__gcs__session_up__descriptor, data, size, &up) == -RAIA_ERR_NOMEM) {
        (void)err_set(&e, RAIA_ERR_NOMEM, "session: out of memory");
        refuse(x, &e);
        return;
    }
    if (!up || (x->open ? up->body_case == RAIA__GCS__SESSION_UP__BODY_HELLO
                        : up->body_case != RAIA__GCS__SESSION_UP__BODY_HELLO)) {
        (void)err_set(&e, RAIA_ERR_PROTOCOL, "session: %s",
                      up ? "one hello must come first" : "malformed message");
        refuse(x, &e);
        return;
    }
    (void)st;
    if (up->body_case == RAIA__GCS__SESSION_UP__BODY_HELLO)
        hello(x, up->hello);
    else if (gcs_core_session_message(x->service->core, service_now(), &x->node, up, &e) < 0)
        refuse(x, &e);
}

static void on_writable(void *arg, struct rpc_stream *st)
{
    struct session *x = arg;

    (void)st;
    if (x->open && !x->service->stopping)
        gcs_core_session_room(x->service->core, &x->node);
}

static void on_half_close(void *arg, struct rpc_stream *st)
{
    (void)arg;
    rpc_stream_finish(st, NULL);
}

static void on_close(void *arg, struct rpc_stream *st, const struct raia_error *e)
{
    struct session *x = arg;
    struct service *s = x->service;
    char text[NODE_ID_TEXT_MAX];

    (void)st;
    if (x->open) {
        log_info("session closed", "node=%s reason=%s", node_id_to_text(&x->node, text),
                 LOG_Q(e ? e->text : "it ended"));
        forget(x);
        if (!s->stopping)
            gcs_core_session_closed(s->core, &x->node);
    }
    mem_free(x);
}

static const struct rpc_stream_cbs callbacks = {
    .on_message = on_message,
    .on_writable = on_writable,
    .on_half_close = on_half_close,
    .on_close = on_close,
};

int session_open__(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    struct service *s = arg;
    struct session *x;

    if (s->stopping)
        return err_set(e, RAIA_ERR_UNAVAILABLE, "the control store is shutting down");
    x = mem_new(struct session);
    if (!x)
        return err_set(e, RAIA_ERR_NOMEM, "session");
    x->service = s;
    x->st = st;
    rpc_stream_bind(st, &callbacks, x);
    return 0;
}
