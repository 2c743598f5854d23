/*
 * Processes at the socket: accepting them, what goes down to them, and their end.
 */
#define LOG_MODULE "raylet.session"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/unix.h"
#include "raylet/frame.h"
#include "raylet/raylet.h"
#include "raylet/session_out.h"

#define HANGUP_GRACE_MS 1000  /* a worker that hung up has this long to end by itself */
#define HELLO_MS        20000 /* a process that connected has this long to say hello */

/* A process whose session ended while it lived: what it maps is not used again until it is dead. */
struct lingerer {
    struct list link;
    struct raylet *r;
    uint32_t client;
    int pidfd;
    struct loop_fd *watch;
};

static struct list lingering = {&lingering, &lingering};

static void linger_free(struct lingerer *g)
{
    list_del(&g->link);
    loop_fd_free(g->watch);
    close(g->pidfd);
    mem_free(g);
}

static void on_linger(void *arg, int fd, unsigned events)
{
    struct lingerer *g = arg;

    (void)fd;
    (void)events;
    objects_client_gone(g->r, g->client);
    linger_free(g);
}

static void linger_new(struct session *s)
{
    struct lingerer *g = mem_new(struct lingerer);
    struct raia_error e;

    if (!g)
        return; /* its memory stays pinned */
    g->r = s->r;
    g->client = s->client;
    loop_fd_free(STEAL(s->pid_watch));
    g->pidfd = STEAL_FD(s->pidfd);
    list_add_tail(&lingering, &g->link);
    if (loop_fd_new(s->r->loop, g->pidfd, LOOP_READ, on_linger, g, &g->watch, &e) < 0)
        linger_free(g);
}

/* While many are at the door the others wait in the socket's queue: what is open here then is bounded
 * by what was let in, and a worker always finds room. */
void session_known(struct session *s)
{
    struct raylet *r = s->r;

    if (!s->stranger)
        return;
    s->stranger = false;
    loop_timer_stop(&s->hello_timer);
    if (r->nstrangers-- == STRANGERS_MAX && r->listen_watch)
        loop_fd_set(r->listen_watch, LOOP_READ);
}

static void on_no_hello(struct loop_timer *t)
{
    session_end(LOOP_OF(t, struct session, hello_timer), "it did not say who it is");
}

static void session_free(struct session *s)
{
    struct raylet *r = s->r;

    session_known(s);
    if (s->driver)
        r->ndrivers--;
    if (s->id.bytes[0] | s->id.bytes[1] | s->id.bytes[2] | s->id.bytes[3])
        if (session_find(r, s->id.bytes) == s)
            HASH_DEL(r->by_worker, s);
    session_io_done(s);
    session_hello_drop(s);
    loop_fd_free(s->watch);
    loop_fd_free(s->pid_watch);
    if (s->sock >= 0)
        close(s->sock);
    if (s->pidfd >= 0)
        close(s->pidfd);
    if (s->page)
        munmap(s->page, DOORBELL_PAGE_BYTES);
    if (s->pair_mem)
        munmap(s->pair_mem, RING_PAIR_BYTES);
    if (s->page_fd >= 0)
        close(s->page_fd);
    if (s->bell_fd >= 0)
        close(s->bell_fd);
    frame_reader_free(s->in);
    if (r->sessions[s->bit] == s) {
        r->sessions[s->bit] = NULL;
        r->nsessions--;
    }
    pairs_fini(&s->pairs);
    mem_free(s);
}

/* Tells every part that the process is gone, or gone for us. */
static void session_close(struct session *s, bool dead)
{
    struct raylet *r = s->r;
    bool was_live = s->state == SESSION_LIVE;
    struct record_address me;

    if (s->state == SESSION_CLOSED)
        return;
    s->state = SESSION_CLOSED;
    raylet_address(r, s->id.bytes, &me);
    loop_fd_set(s->watch, 0);
    if (!was_live)
        return;
    s->was_live = true;
    s->dead = dead;
    log_info("process ended", "kind=%s pid=%d why=%s",
             s->kind == RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER ? "driver" : "worker", s->pid,
             LOG_Q(s->end_why));
    if (s->ring_open)
        ring_pair_peer_died(&s->ring);
    peers_gone(s, -RAIA_ERR_WORKER_CRASHED);
    gcs_pass_gone(s);
    listing_gone(s);
    objects_session_closed(s, dead);
    objects_owner_gone(r, &me);
    nodes_owner_gone(r, &me);
    sched_client_gone(r->sched, raylet_now(r), s->client);
    if (s->worker) {
        s->worker->session = NULL;
        /* A worker that hung up is dead, or of no use: most are dead, and how is told soon. */
        if (!s->worker->exited && !s->worker->stopping)
            sup_signal(r, s->worker->number, SIGCONT, false, HANGUP_GRACE_MS);
        s->worker = NULL;
    } else {
        struct job *j = job_find(r, s->job);
        if (j && j->driver == s)
            j->driver = NULL;
        job_finish(r, s->job);
        /* Its processes need not wait for the GCS to say so. */
        job_ended(r, s->job);
    }
    raylet_touch(r);
}

/* What it said before it went counts; a ring holds so many records at most. */
static void take_rest(struct session *s)
{
    for (unsigned n = 0; n < RING_DATA_BYTES / RING_HEADER_BYTES && s->state == SESSION_LIVE &&
                         s->ring_open && ring_readable(&s->ring.rx);
         n += SESSION_BATCH)
        session_io_drain(s);
}

static void on_end(struct loop_task *t)
{
    struct session *s = LOOP_OF(t, struct session, end_task);

    take_rest(s);
    session_close(s, false);
    if (!s->dead && s->was_live)
        linger_new(s);
    session_free(s);
}

void session_end(struct session *s, const char *why)
{
    if (!s->end_why)
        s->end_why = why;
    loop_post(s->r->loop, &s->end_task);
}

void session_dead(struct session *s, const char *why)
{
    if (!s->end_why)
        s->end_why = why;
    take_rest(s);
    session_close(s, true);
    if (s->was_live && !s->dead) { /* closed before */
        s->dead = true;
        objects_client_gone(s->r, s->client);
    }
    loop_post(s->r->loop, &s->end_task); /* freed there: a caller may still look at it */
}

static void on_pid(void *arg, int fd, unsigned events)
{
    struct session *s = arg;

    (void)fd;
    (void)events;
    loop_fd_set(s->pid_watch, 0);
    session_dead(s, "the process ended");
}

static void on_socket(void *arg, int fd, unsigned events)
{
    struct session *s = arg;

    (void)fd;
    if (s->state == SESSION_CLOSED)
        return;
    if (events & LOOP_WRITE)
        session_io_writable(s);
    if (events & (LOOP_READ | LOOP_HANGUP))
        session_io_readable(s);
}

static struct session *session_new(struct raylet *r, int fd, const struct unix_peer *peer)
{
    struct session *s = mem_new(struct session);
    struct raia_error e;
    static uint32_t generation = 0;

    if (!s)
        return NULL;
    s->r = r;
    s->sock = -1;
    s->pidfd = s->page_fd = s->bell_fd = -1;
    s->pid = peer->pid;
    s->next_channel = DOORBELL_BITS; /* never a pair's number */
    s->end_task.fn = on_end;
    list_init(&s->out);
    list_init(&s->wait);
    for (uint32_t i = 0; i < SESSIONS_MAX && !s->bit; i++) {
        uint32_t bit = 1 + (r->next_bit + i) % SESSIONS_MAX;
        if (!r->sessions[bit])
            s->bit = bit;
    }
    s->in = frame_reader_new();
    if (!s->bit || !s->in) {
        frame_reader_free(s->in);
        mem_free(s);
        return NULL;
    }
    r->next_bit = s->bit;
    s->client = ++generation << 12 | s->bit; /* found again by its bit */
    r->sessions[s->bit] = s;
    r->nsessions++;
    if (pidfd_of(peer->pid, &s->pidfd) < 0 ||
        loop_fd_new(r->loop, s->pidfd, LOOP_READ, on_pid, s, &s->pid_watch, &e) < 0 ||
        loop_fd_new(r->loop, fd, LOOP_READ, on_socket, s, &s->watch, &e) < 0) {
        session_free(s);
        return NULL;
    }
    s->sock = fd;
    s->stranger = true;
    loop_timer_start(r->loop, &s->hello_timer, HELLO_MS, 0, on_no_hello);
    if (++r->nstrangers == STRANGERS_MAX)
        loop_fd_set(r->listen_watch, 0);
    return s;
}

static void on_connect(void *arg, int fd, unsigned events)
{
    struct raylet *r = arg;

    (void)events;
    while (r->nstrangers < STRANGERS_MAX) {
        int conn;
        struct unix_peer peer;
        int got = unix_accept(fd, 0, &conn);
        if (got < 0) {
            if (got != -RAIA_ERR_TIMEOUT && got != -RAIA_ERR_UNAVAILABLE)
                log_warn_rl("cannot accept a process", "error=%s", raia_strerror(got));
            return;
        }
        if (unix_peer(conn, &peer) < 0 || (peer.uid != getuid() && peer.uid != 0)) {
            log_warn_rl("a process of another user was turned away", "uid=%d", (int)peer.uid);
            close(conn);
            continue;
        }
        if (r->stopping || r->nsessions >= SESSIONS_MAX || !session_new(r, conn, &peer)) {
            log_warn_rl("a process was turned away", "sessions=%u", r->nsessions);
            close(conn);
        }
    }
}

int session_listen(struct raylet *r, struct raia_error *e)
{
    int got = unix_listen(r->socket_path, SOCK_STREAM, 0600, 256, &r->listener, e);

    return got < 0
               ? got
               : loop_fd_new(r->loop, r->listener, LOOP_READ, on_connect, r, &r->listen_watch, e);
}

void session_shutdown(struct raylet *r)
{
    for (uint32_t i = 1; r->sessions && i <= SESSIONS_MAX; i++) {
        struct session *s = r->sessions[i];
        if (!s)
            continue;
        if (!s->end_why)
            s->end_why = "the raylet ends";
        peers_gone(s, -RAIA_ERR_UNAVAILABLE);
        gcs_pass_gone(s);
        session_free(s);
    }
    while (!list_empty(&lingering))
        linger_free(container_of(lingering.next, struct lingerer, link));
    loop_fd_free(r->listen_watch);
    r->listen_watch = NULL;
    if (r->listener >= 0) {
        close(r->listener);
        r->listener = -1;
        unlink(r->socket_path);
    }
}

struct session *session_find(struct raylet *r, const uint8_t worker[16])
{
    struct worker_id id;

    memcpy(id.bytes, worker, sizeof id.bytes);
    return HASH_GET(r->by_worker, id, &id);
}

struct session *session_client(struct raylet *r, uint64_t client)
{
    struct session *s = (client & 0xfff) <= SESSIONS_MAX ? r->sessions[client & 0xfff] : NULL;

    return s && s->client == client ? s : NULL;
}

/* ---- what goes down */

void session_send(struct session *s, uint16_t type, uint16_t flags, uint64_t tag, const void *head,
                  size_t head_size, const void *data, size_t data_size)
{
    size_t size = head_size + data_size;
    struct record_out *o;
    void *at;

    if (s->state != SESSION_LIVE)
        return;
    if (size > RECORD_PAYLOAD_MAX) {
        _cleanup_(mem_freep) uint8_t *all = mem_alloc(size);
        if (!all) {
            session_end(s, "out of memory");
            return;
        }
        memcpy(all, head, head_size);
        if (data_size)
            memcpy(all + head_size, data, data_size);
        session_send_message(s, type, tag, all, size, NULL, 0);
        return;
    }
    if (list_empty(&s->wait) && ring_reserve(&s->ring.tx, type, flags, tag, size, &at) == 0) {
        if (head_size)
            memcpy(at, head, head_size);
        if (data_size)
            memcpy((uint8_t *)at + head_size, data, data_size);
        session_io_dirty(s);
        return;
    }
    o = s->wait_bytes + size > SESSION_WAIT_MAX ? NULL : mem_alloc(sizeof *o + size);
    if (!o) {
        session_end(s, "it does not read what it is sent");
        return;
    }
    *o = (struct record_out){.size = (uint32_t)size, .type = type, .flags = flags, .tag = tag};
    if (head_size)
        memcpy(o->payload, head, head_size);
    if (data_size)
        memcpy(o->payload + head_size, data, data_size);
    list_add_tail(&s->wait, &o->link);
    s->wait_bytes += size + sizeof *o;
}

void session_send_message(struct session *s, uint16_t type, uint64_t tag, const void *data,
                          size_t size, const int *fds, size_t n_fds)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + size), .type = type, .tag = tag};
    struct frame_out *o;

    if (s->state == SESSION_CLOSED)
        return;
    o = size > RECORD_SOCKET_MAX || s->out_bytes + size > SESSION_OUT_MAX
            ? NULL
            : mem_alloc(sizeof *o + sizeof h + size);
    if (!o) {
        session_end(s, "it does not read its socket");
        return;
    }
    *o = (struct frame_out){.size = sizeof h + size};
    for (size_t i = 0; i < n_fds; i++) {
        o->fds[i] = dup(fds[i]);
        if (o->fds[i] >= 0) {
            o->n_fds++;
            continue;
        }
        frame_out_free(o);
        session_end(s, "out of file descriptors");
        return;
    }
    memcpy(o->data, &h, sizeof h);
    if (size)
        memcpy(o->data + sizeof h, data, size);
    list_add_tail(&s->out, &o->link);
    s->out_bytes += o->size;
    session_io_writable(s);
    if (type != REC_HELLO_REPLY)
        session_send(s, REC_SOCKET_READY, 0, 0, NULL, 0, NULL, 0);
}

void session_send_pb(struct session *s, uint16_t type, uint64_t tag, const ProtobufCMessage *m,
                     const int *fds, size_t n_fds)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    _cleanup_(mem_freep) uint8_t *data = mem_alloc(size ? size : 1);

    if (!data) {
        session_end(s, "out of memory");
        return;
    }
    protobuf_c_message_pack(m, data);
    session_send_message(s, type, tag, data, size, fds, n_fds);
}
