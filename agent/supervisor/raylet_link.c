/*
 * The socket pair to the raylet (raylet_link.h).
 */
#include "supervisor/raylet_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "proto/message.h"

struct packet {
    struct list link; /* in raylet_link.out */
    size_t size;      /* bytes of data */
    uint8_t data[];   /* the packed message */
};

struct raylet_link {
    struct loop *loop;                 /* borrowed */
    const struct raylet_link_ops *ops; /* borrowed */
    void *arg;                         /* for ops */
    int fd;                            /* ours; -1 once broken */
    struct loop_fd *watch;             /* of fd */
    struct list out;                   /* packets that the socket had no room for */
    size_t waiting;                    /* packets in out */
    struct loop_task broken;           /* tells the owner, outside of its own call */
    const char *why;                   /* constant text; NULL: not broken */
    uint8_t *in;                       /* RAYLET_LINK_PACKET_MAX bytes */
};

static void tell_broken(struct loop_task *t)
{
    struct raylet_link *k = LOOP_OF(t, struct raylet_link, broken);
    if (k->ops)
        k->ops->on_broken(k->arg, k->why);
    else
        mem_free(k); /* freed between the break and this notice */
}

static void link_break(struct raylet_link *k, const char *why)
{
    if (k->why)
        return;
    k->why = why;
    loop_fd_set(k->watch, 0);
    loop_post(k->loop, &k->broken);
}

static void flush(struct raylet_link *k)
{
    while (!k->why && !list_empty(&k->out)) {
        struct packet *p = container_of(k->out.next, struct packet, link);
        if (send(k->fd, p->data, p->size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN && errno != ENOBUFS)
                link_break(k, "the raylet hung up");
            break;
        }
        list_del(&p->link);
        k->waiting--;
        mem_free(p);
    }
    if (!k->why)
        loop_fd_set(k->watch, LOOP_READ | (list_empty(&k->out) ? 0u : (unsigned)LOOP_WRITE));
}

static void receive(struct raylet_link *k)
{
    /* A bounded number a turn, so that one busy raylet does not hold up the reaping. */
    for (int i = 0; i < 64 && !k->why; i++) {
        ssize_t n = recv(k->fd, k->in, RAYLET_LINK_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            link_break(k, "the raylet hung up");
            return;
        }
        Raia__Agent__SupervisorDown *m;
        struct proto_room room;
        int r = n <= RAYLET_LINK_PACKET_MAX
                    ? proto_unpack_in(&room, &raia__agent__supervisor_down__descriptor, k->in,
                                      (size_t)n, &m)
                    : -RAIA_ERR_LIMIT;
        if (r < 0) {
            link_break(k, r == -RAIA_ERR_NOMEM ? "out of memory"
                                               : "the raylet sent what cannot be parsed");
            return;
        }
        k->ops->on_message(k->arg, m);
        proto_free_in(&room, m);
    }
}

static void on_ready(void *arg, int fd, unsigned events)
{
    struct raylet_link *k = arg;
    (void)fd;
    if (events & LOOP_WRITE)
        flush(k);
    if (events & (LOOP_READ | LOOP_HANGUP))
        receive(k);
}

int raylet_link_new(struct loop *l, const struct raylet_link_ops *ops, void *arg,
                    struct raylet_link **ret_link, int *ret_peer_fd, struct raia_error *e)
{
    struct raylet_link *k = mem_new(struct raylet_link);
    if (!k)
        return err_set(e, RAIA_ERR_NOMEM, "link to the raylet");
    k->fd = -1;
    k->loop = l;
    k->ops = ops;
    k->arg = arg;
    k->broken.fn = tell_broken;
    list_init(&k->out);

    int r, fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        r = err_errno(e, errno, "make the socket pair for the raylet");
        raylet_link_free(k);
        return r;
    }
    k->fd = fds[0];
    _cleanup_(fd_closep) int peer = fds[1];
    int room = 4 * RAYLET_LINK_PACKET_MAX;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    k->in = mem_alloc(RAYLET_LINK_PACKET_MAX);
    r = k->in ? loop_fd_new(l, k->fd, LOOP_READ, on_ready, k, &k->watch, e)
              : err_set(e, RAIA_ERR_NOMEM, "link to the raylet");
    if (r < 0) {
        raylet_link_free(k);
        return r;
    }
    *ret_link = k;
    *ret_peer_fd = STEAL_FD(peer);
    return 0;
}

int raylet_link_send(struct raylet_link *k, const Raia__Agent__SupervisorUp *m)
{
    if (k->why)
        return -RAIA_ERR_UNAVAILABLE;
    if (k->waiting >= RAYLET_LINK_MAX) {
        link_break(k, "the raylet does not read");
        return -RAIA_ERR_LIMIT;
    }
    size_t size = raia__agent__supervisor_up__get_packed_size(m);
    struct packet *p = size <= RAYLET_LINK_PACKET_MAX ? mem_alloc(sizeof *p + size) : NULL;
    if (!p)
        return size <= RAYLET_LINK_PACKET_MAX ? -RAIA_ERR_NOMEM : -RAIA_ERR_LIMIT;
    p->size = size;
    raia__agent__supervisor_up__pack(m, p->data);
    list_add_tail(&k->out, &p->link);
    k->waiting++;
    flush(k);
    return 0;
}

void raylet_link_free(struct raylet_link *k)
{
    if (!k)
        return;
    loop_fd_free(k->watch);
    fd_closep(&k->fd);
    struct packet *p, *next;
    LIST_FOREACH_SAFE (p, next, &k->out, link)
        mem_free(p);
    mem_free(k->in);
    if (atomic_load(&k->broken.pending)) {
        k->ops = NULL; /* tell_broken frees it */
        return;
    }
    mem_free(k);
}
