/*
 * Links between nodes: dialling, the choice between two streams, and their end.
 */
#define LOG_MODULE "raylet.link"
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "link/link_impl.h"

static void flush_all(struct loop_hook *h)
{
    struct links *k = LOOP_OF(h, struct links, flush);

    for (struct link *l = k->table, *next; l; l = next) {
        next = l->hh.next;
        if (l->up && l->out.size)
            link_conn_flush(l);
        if (l->up && l->refused)
            link_conn_room(l);
    }
}

int links_new(struct loop *loop, struct rpc_server *server, const struct rpc_tls *tls,
              const uint8_t node[16], const struct links_ops *ops, void *arg,
              struct links **ret_links, struct raia_error *e)
{
    struct links *k = mem_new(struct links);
    int r;

    if (!k)
        return err_set(e, RAIA_ERR_NOMEM, "the links");
    k->loop = loop;
    k->tls = tls;
    k->ops = ops;
    k->arg = arg;
    memcpy(k->node, node, 16);
    list_init(&k->conns);
    r = rpc_server_stream(server, LINK_METHOD, link_accept_stream, k, NULL, e);
    if (r < 0) {
        mem_free(k);
        return r;
    }
    loop_hook_add(loop, &k->flush, flush_all);
    *ret_links = k;
    return 0;
}

struct link *link_find(struct links *k, const uint8_t node[16])
{
    uint8_t key[16];

    memcpy(key, node, 16);
    return HASH_GET(k->table, node, &key);
}

static void on_broken(struct loop_task *t)
{
    struct link *l = LOOP_OF(t, struct link, broken);

    if (!l->tell)
        return;
    l->tell = false;
    l->links->ops->on_broken(l->links->arg, l->node, l->why);
}

struct link *link_get(struct links *k, const uint8_t node[16])
{
    struct link *l = link_find(k, node);

    if (l)
        return l;
    l = mem_new(struct link);
    if (!l)
        return NULL;
    l->links = k;
    memcpy(l->node, node, 16);
    l->broken.fn = on_broken;
    buf_init(&l->out, LINK_QUEUE_MAX);
    if (HASH_PUT(k->table, node, l) < 0) {
        mem_free(l);
        return NULL;
    }
    return l;
}

static void on_closed(void *arg)
{
    struct links *k = arg;

    k->closing--;
}

static void channel_close(struct link *l)
{
    if (!l->channel)
        return;
    l->links->closing++;
    rpc_channel_close(STEAL(l->channel), on_closed, l->links);
}

static void link_forget(struct link *l)
{
    if (l->conn)
        link_conn_detach(l->conn);
    channel_close(l);
    HASH_DEL(l->links->table, l);
    buf_fini(&l->out);
    mem_free(l->address);
    mem_free(l);
}

/* A queued notice must not outlive its link. */
struct grave {
    struct loop_task task;
    struct link *link;
};

static void bury(struct loop_task *t)
{
    struct grave *g = LOOP_OF(t, struct grave, task);

    buf_fini(&g->link->out);
    mem_free(g->link->address);
    mem_free(g->link);
    mem_free(g);
}

static void no_notice(struct loop_task *t)
{
    (void)t;
}

void links_drop(struct links *k, const uint8_t node[16])
{
    struct link *l = link_find(k, node);
    struct grave *g;

    if (!l)
        return;
    if (!atomic_load(&l->broken.pending)) {
        link_forget(l);
        return;
    }
    l->broken.fn = no_notice;
    if (l->conn)
        link_conn_detach(l->conn);
    channel_close(l);
    HASH_DEL(k->table, l);
    g = mem_new(struct grave);
    if (!g)
        return; /* without memory it stays */
    g->link = l;
    g->task.fn = bury;
    loop_post(k->loop, &g->task);
}

void links_free(struct links *k)
{
    if (!k)
        return;
    k->ended = true;
    loop_hook_remove(&k->flush);
    while (k->table) {
        uint8_t node[16];
        memcpy(node, k->table->node, 16);
        links_drop(k, node);
    }
    for (int i = 0; i < 1000 && (k->closing || !list_empty(&k->conns)); i++)
        loop_run_once(k->loop, 100);
    mem_free(k);
}

int links_address(struct links *k, const uint8_t node[16], const char *address)
{
    struct link *l = link_get(k, node);
    char *copy;

    if (!l)
        return -RAIA_ERR_NOMEM;
    if (l->address && !strcmp(l->address, address))
        return 0;
    copy = mem_strdup(address);
    if (!copy)
        return -RAIA_ERR_NOMEM;
    mem_free(l->address);
    l->address = copy;
    return 0;
}

void link_down(struct link *l, const char *why)
{
    if (l->conn) {
        link_conn_detach(l->conn);
        l->conn = NULL;
    }
    l->up = false;
    buf_fini(&l->out);
    buf_init(&l->out, LINK_QUEUE_MAX);
    snprintf(l->why, sizeof l->why, "%s", why);
    if (l->links->ended)
        return;
    l->tell = true;
    loop_post(l->links->loop, &l->broken);
}

static int dial(struct link *l)
{
    struct links *k = l->links;
    struct raia_error e = {0};
    struct rpc_channel_opts opts = {.tls = k->tls,
                                    .tls_name = k->tls ? "raia-node" : NULL,
                                    .max_message = 32u << 20,
                                    .outbox = 64u << 20};

    if (!l->address)
        return -RAIA_ERR_UNAVAILABLE;
    if (!l->channel && rpc_channel_new(k->loop, l->address, &opts, &l->channel, &e) < 0) {
        log_warn_rl("a node has an address that is of no use", "address=%s error=%s", l->address,
                    LOG_Q(e.text));
        return -RAIA_ERR_UNAVAILABLE;
    }
    l->conn = link_conn_new(k);
    if (!l->conn)
        return -RAIA_ERR_NOMEM;
    l->conn->link = l;
    l->conn->dialled = true;
    rpc_channel_connect(l->channel);
    if (rpc_stream_open(l->channel, LINK_METHOD, 0, &link_conn_cbs, l->conn, &l->conn->stream, &e) <
        0) {
        list_del(&l->conn->all);
        mem_free(STEAL(l->conn));
        return -RAIA_ERR_UNAVAILABLE;
    }
    return link_conn_hello(l->conn);
}

int links_send(struct links *k, const uint8_t node[16], uint16_t type, const void *head,
               size_t head_size, const void *data, size_t data_size, void (*release)(void *arg),
               void *release_arg)
{
    struct link *l = link_find(k, node);
    int r;

    if (!l || k->ended || l->tell)
        return -RAIA_ERR_UNAVAILABLE;
    if (!l->conn && (r = dial(l)) < 0) {
        link_down(l, "it cannot be dialled");
        return -RAIA_ERR_UNAVAILABLE;
    }
    if (release && (!l->up || l->out.size + rpc_stream_outbox(l->conn->stream) > LINK_OUTBOX)) {
        l->refused = true;
        return -RAIA_ERR_LIMIT;
    }
    r = link_put(l, type, release ? LINK_FOLLOWS : 0, head, head_size, data, data_size);
    if (r < 0) {
        link_down(l, "too much waits to be sent");
        return -RAIA_ERR_UNAVAILABLE;
    }
    k->stats.records_out++;
    if (!release)
        return 0;
    link_conn_flush(l);
    if (!l->up || l->out.size)
        return -RAIA_ERR_UNAVAILABLE; /* broken just now */
    r = rpc_stream_send_ref(l->conn->stream, data, data_size, release, release_arg);
    if (r < 0) {
        link_down(l, "a large record could not be sent");
        return -RAIA_ERR_UNAVAILABLE;
    }
    k->stats.bytes_out += data_size;
    return 0;
}

void links_break(struct links *k, const uint8_t node[16], const char *why)
{
    struct link *l = link_find(k, node);

    if (l && l->conn)
        link_down(l, why);
}

void link_is_up(struct link *l)
{
    l->up = true;
    log_info("link is up", "address=%s dialled=%d", l->address ? l->address : "?",
             l->conn->dialled);
    l->links->ops->on_up(l->links->arg, l->node);
    if (l->up)
        link_conn_flush(l);
}

void link_accept(struct conn *c, const uint8_t node[16])
{
    struct link *l = link_get(c->links, node);

    if (!l || !memcmp(node, c->links->node, 16)) {
        link_conn_detach(c);
        return;
    }
    if (l->conn && !l->up && memcmp(node, c->links->node, 16) > 0) {
        link_conn_detach(c); /* both dialled: the smaller one's stays, and that is ours */
        return;
    }
    if (l->conn && l->up)
        link_down(l, "the other side dialled again"); /* it has lost the old one */
    else if (l->conn)
        link_conn_detach(l->conn); /* ours gives way; what waits goes over theirs */
    if (l->tell && !l->links->ended)
        on_broken(
            &l->broken); /* what went over the old one is lost: said before the new one is up */
    l = link_find(c->links, node);
    if (!l) { /* dropped by the callback */
        link_conn_detach(c);
        return;
    }
    l->conn = c;
    c->link = l;
    if (link_conn_hello(c) < 0)
        link_down(l, "it hung up");
    else
        link_is_up(l);
}

bool links_is_up(struct links *k, const uint8_t node[16])
{
    struct link *l = link_find(k, node);

    return l && l->up;
}

void links_stats(const struct links *k, struct links_stats *ret_stats)
{
    *ret_stats = k->stats;
    ret_stats->known = HASH_SIZE(k->table);
    ret_stats->up = 0;
    for (const struct link *l = k->table; l; l = l->hh.next)
        ret_stats->up += l->up;
}
