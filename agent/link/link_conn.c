/*
 * The streams of links: records to messages and back.
 */
#define LOG_MODULE "raylet.link"
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "link/link_impl.h"

#define HEAD_MAX (1u << 20)

struct conn *link_conn_new(struct links *k)
{
    struct conn *c = mem_new(struct conn);

    if (!c)
        return NULL;
    c->links = k;
    list_add_tail(&k->conns, &c->all);
    return c;
}

void link_conn_detach(struct conn *c)
{
    if (c->link && c->link->conn == c)
        c->link->conn = NULL;
    c->link = NULL;
    if (c->stream)
        rpc_stream_cancel(c->stream);
}

static void put_head(struct link_head *h, uint16_t type, uint16_t flags, size_t head_size,
                     size_t data_size)
{
    *h = (struct link_head){.head_size = (uint32_t)head_size,
                            .type = type,
                            .flags = flags,
                            .data_size = (uint32_t)data_size};
}

int link_conn_hello(struct conn *c)
{
    struct {
        struct link_head head;
        struct link_hello hello;
    } m;

    put_head(&m.head, LINK_TYPE_HELLO, 0, sizeof m.hello, 0);
    m.hello = (struct link_hello){.protocol = LINK_PROTOCOL};
    memcpy(m.hello.node, c->links->node, 16);
    return rpc_stream_send(c->stream, &m, sizeof m);
}

int link_put(struct link *l, uint16_t type, uint16_t flags, const void *head, size_t head_size,
             const void *data, size_t data_size)
{
    struct link_head h;

    put_head(&h, type, flags, head_size, data_size);
    if (l->out.size + sizeof h + head_size + data_size > LINK_QUEUE_MAX)
        return -RAIA_ERR_LIMIT;
    buf_put_bytes(&l->out, &h, sizeof h);
    if (head_size)
        buf_put_bytes(&l->out, head, head_size);
    if (data_size && !(flags & LINK_FOLLOWS))
        buf_put_bytes(&l->out, data, data_size);
    if (l->up && l->out.size >= LINK_BATCH && !l->out.err && !l->conn->full)
        link_conn_flush(l);
    return l->out.err;
}

void link_conn_flush(struct link *l)
{
    int r;

    if (!l->up || !l->out.size || l->conn->full)
        return;
    r = rpc_stream_send(l->conn->stream, l->out.data, l->out.size);
    if (r == -RAIA_ERR_LIMIT) {
        l->conn->full = true;
        return;
    }
    if (r < 0) {
        link_down(l, "its stream broke");
        return;
    }
    l->links->stats.bytes_out += l->out.size;
    if (l->out.cap > (1u << 20)) {
        buf_fini(&l->out);
        buf_init(&l->out, LINK_QUEUE_MAX);
    } else {
        buf_reset(&l->out);
    }
}

static void on_writable(void *arg, struct rpc_stream *st)
{
    struct conn *c = arg;
    struct link *l = c->link;

    (void)st;
    c->full = false;
    if (!l)
        return;
    link_conn_flush(l);
}

void link_conn_room(struct link *l)
{
    if (l->out.size + rpc_stream_outbox(l->conn->stream) > LINK_OUTBOX / 2)
        return;
    l->refused = false;
    l->links->ops->on_writable(l->links->arg, l->node);
}

/* ---- what comes */

static int on_hello(struct conn *c, const void *head, size_t size)
{
    struct link_hello hello;

    if (c->hello || size != sizeof hello)
        return -RAIA_ERR_PROTOCOL;
    memcpy(&hello, head, sizeof hello);
    if (hello.protocol != LINK_PROTOCOL)
        return -RAIA_ERR_VERSION;
    c->hello = true;
    if (!c->dialled)
        link_accept(c, hello.node);
    else if (!c->link || memcmp(hello.node, c->link->node, 16))
        return -RAIA_ERR_PROTOCOL; /* another raylet has this address now */
    else
        link_is_up(c->link);
    return 0;
}

static int deliver(struct conn *c, const struct link_head *h, const void *head, const void *data)
{
    if (h->type == LINK_TYPE_HELLO)
        return h->data_size ? -RAIA_ERR_PROTOCOL : on_hello(c, head, h->head_size);
    if (!c->hello)
        return -RAIA_ERR_PROTOCOL;
    if (!c->link)
        return 0;
    c->links->stats.records_in++;
    return c->links->ops->on_record(c->links->arg, c->link->node, h->type, head, h->head_size, data,
                                    h->data_size);
}

static int message(struct conn *c, const uint8_t *p, size_t size)
{
    c->links->stats.bytes_in += size;
    if (c->follow_head) {
        _cleanup_(mem_freep) uint8_t *head = STEAL(c->follow_head);
        return size == c->follow.data_size ? deliver(c, &c->follow, head, p) : -RAIA_ERR_PROTOCOL;
    }
    while (size) {
        struct link_head h;
        size_t need;
        int r;
        if (size < sizeof h)
            return -RAIA_ERR_PROTOCOL;
        memcpy(&h, p, sizeof h);
        need = sizeof h + (size_t)h.head_size + (h.flags & LINK_FOLLOWS ? 0 : h.data_size);
        if (h.head_size > HEAD_MAX || need > size || (h.flags & ~LINK_FOLLOWS))
            return -RAIA_ERR_PROTOCOL;
        if (h.flags & LINK_FOLLOWS) {
            c->follow = h;
            c->follow_head = mem_dup(p + sizeof h, h.head_size ? h.head_size : 1);
            if (need != size || !c->follow_head)
                return -RAIA_ERR_PROTOCOL;
            return 0;
        }
        r = deliver(c, &h, p + sizeof h, h.data_size ? p + sizeof h + h.head_size : NULL);
        if (r < 0)
            return r;
        p += need;
        size -= need;
    }
    return 0;
}

static void on_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct conn *c = arg;
    int r = c->links->ended ? 0 : message(c, data, size);

    (void)st;
    if (r < 0) {
        log_warn_rl("a link is broken by what came over it", "error=%s", raia_strerror(r));
        if (c->link)
            link_down(c->link, "the other node sent what makes no sense");
        else
            link_conn_detach(c);
    }
}

static void on_half_close(void *arg, struct rpc_stream *st)
{
    (void)arg;
    rpc_stream_cancel(st);
}

static void on_close(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    struct conn *c = arg;
    struct link *l = c->link;

    (void)st;
    c->stream = NULL;
    if (l && l->conn == c) {
        l->conn = NULL;
        link_down(l, err ? err->text : "the other node closed it");
    }
    list_del(&c->all);
    mem_free(c->follow_head);
    mem_free(c);
}

const struct rpc_stream_cbs link_conn_cbs = {.on_message = on_message,
                                             .on_writable = on_writable,
                                             .on_half_close = on_half_close,
                                             .on_close = on_close};

int link_accept_stream(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    struct links *k = arg;
    const struct rpc_peer *peer = rpc_stream_peer(st);
    struct conn *c;

    if (k->ended)
        return err_set(e, RAIA_ERR_SHUTDOWN, "this node ends");
    if (k->tls && !rpc_peer_is(peer, "raia-node"))
        return err_set(e, RAIA_ERR_PERMISSION, "only nodes of the cluster may link");
    c = link_conn_new(k);
    if (!c)
        return err_set(e, RAIA_ERR_NOMEM, "accept a link");
    c->stream = st;
    rpc_stream_bind(st, &link_conn_cbs, c);
    return 0;
}
