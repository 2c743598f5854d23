/*
 * The two lanes of a process: its socket, and its ring with the doorbell of the raylet.
 */
#define LOG_MODULE "raylet.session"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/unix.h"
#include "raylet/frame.h"
#include "raylet/raylet.h"
#include "raylet/session_out.h"

#define READ_SIZE  (64u << 10)
#define BELLS_TURN 64 /* rings looked into before the loop goes on */

/* ---- the socket */

static void hello_message(struct session *s, const void *payload, size_t size)
{
    int fds[FRAME_FDS_MAX];
    size_t n = frame_reader_fds(s->in, fds);
    Raia__Agent__Hello *m;
    int r = proto_unpack(&raia__agent__hello__descriptor, payload, size, &m);

    if (r < 0) {
        for (size_t i = 0; i < n; i++)
            close(fds[i]);
        session_end(s, r == -RAIA_ERR_NOMEM ? "out of memory for its hello"
                                            : "its hello cannot be read");
        return;
    }
    s->state = SESSION_HELLO;
    session_hello(s, m, fds, n);
    proto_free(m);
}

static void messages(struct session *s)
{
    struct record_head h;
    const void *payload;
    int got = 0;

    while (s->state != SESSION_CLOSED && !s->end_why &&
           (got = frame_reader_next(s->in, &h, &payload)) > 0) {
        if (s->state == SESSION_NEW && h.type == REC_HELLO)
            hello_message(s, payload, h.size - sizeof h);
        else if (s->state != SESSION_LIVE || dispatch_record(s, &h, payload, h.size - sizeof h) < 0)
            session_end(s, "it sent a message that makes no sense");
    }
    if (got < 0)
        session_end(s, "it sent a message of an impossible size");
}

void session_io_readable(struct session *s)
{
    static uint8_t data[READ_SIZE]; /* the loop's thread alone reads */

    for (int i = 0; i < 16; i++) {
        int fds[FRAME_FDS_MAX];
        size_t size = 0, n_fds = 0;
        int got = unix_recv(s->sock, data, sizeof data, &size, fds, FRAME_FDS_MAX, &n_fds, 0);
        if (got == -RAIA_ERR_TIMEOUT)
            return;
        if (got < 0 || size == 0) {
            loop_fd_set(s->watch, 0);
            session_end(s, "it closed its socket");
            return;
        }
        if (frame_reader_add(s->in, data, size, fds, n_fds) < 0) {
            session_end(s, "it sent what cannot be taken");
            return;
        }
        messages(s);
        if (s->end_why || s->state == SESSION_CLOSED || size < sizeof data)
            return;
    }
}

/* One sendmsg; the number of bytes, or negative. */
static ssize_t frame_send(struct session *s, struct frame_out *o)
{
    struct iovec iov = {.iov_base = o->data + o->sent, .iov_len = o->size - o->sent};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(SESSION_FDS_MAX * sizeof(int))];
    } control;
    ssize_t n;

    if (o->sent == 0 && o->n_fds) {
        struct cmsghdr *c;
        memset(&control, 0, sizeof control);
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(o->n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(o->n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), o->fds, o->n_fds * sizeof(int));
    }
    do
        n = sendmsg(s->sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

void session_io_writable(struct session *s)
{
    while (!list_empty(&s->out)) {
        struct frame_out *o = container_of(s->out.next, struct frame_out, link);
        ssize_t n = frame_send(s, o);
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
            break;
        if (n < 0) {
            loop_fd_set(s->watch, 0);
            session_end(s, "it closed its socket");
            return;
        }
        o->sent += (size_t)n;
        if (o->sent < o->size)
            continue;
        list_del(&o->link);
        s->out_bytes -= o->size;
        frame_out_free(o);
    }
    loop_fd_set(s->watch, LOOP_READ | (list_empty(&s->out) ? 0u : (unsigned)LOOP_WRITE));
}

/* ---- the ring */

int session_make_rings(struct session *s, struct raia_error *e)
{
    struct doorbell_peer bell = {.eventfd = -1, .bit = 0};
    int pair = -1, r;

    r = memfd_make("raia-page", DOORBELL_PAGE_BYTES, FD_SEAL_SIZE, &s->page_fd);
    if (r == 0)
        r = memfd_make("raia-pair", RING_PAIR_BYTES, FD_SEAL_SIZE, &pair);
    if (r == 0)
        r = eventfd_make(&s->bell_fd);
    if (r < 0) {
        if (pair >= 0)
            close(pair);
        return err_set(e, -r, "make the rings of a process");
    }
    s->page = mmap(NULL, DOORBELL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->page_fd, 0);
    s->pair_mem = mmap(NULL, RING_PAIR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, pair, 0);
    if (s->page == MAP_FAILED)
        s->page = NULL;
    if (s->pair_mem == MAP_FAILED)
        s->pair_mem = NULL;
    if (!s->page || !s->pair_mem) {
        close(pair);
        return err_errno(e, errno, "map the rings of a process");
    }
    doorbell_page_init(s->page, 0);
    bell.page = s->page;
    bell.eventfd = s->bell_fd;
    r = ring_pair_init(s->pair_mem, RING_PAIR_BYTES, RING_DATA_BYTES);
    if (r == 0)
        r = ring_pair_attach(&s->ring, s->pair_mem, RING_PAIR_BYTES, 0, &bell);
    if (r < 0) {
        close(pair);
        return err_set(e, -r, "attach the ring of a process");
    }
    s->ring_open = true;
    return pair;
}

void session_io_dirty(struct session *s)
{
    if (!list_linked(&s->dirty_link))
        list_add_tail(&s->r->dirty, &s->dirty_link);
}

void session_io_flush(struct session *s)
{
    while (!list_empty(&s->wait)) {
        struct record_out *o = container_of(s->wait.next, struct record_out, link);
        void *at;
        if (ring_reserve(&s->ring.tx, o->type, o->flags, o->tag, o->size, &at) < 0)
            return; /* it rings when there is room, or is gone */
        memcpy(at, o->payload, o->size);
        session_io_dirty(s);
        list_del(&o->link);
        s->wait_bytes -= o->size + sizeof *o;
        if (o->type == REC_CHANNEL_DATA)
            peers_taken(s, (uint32_t)o->tag, o->size);
        mem_free(o);
    }
}

void session_io_drain(struct session *s)
{
    static uint64_t copy[(RECORD_PAYLOAD_MAX + 7) / 8];
    struct ring_header h;
    const void *payload;
    unsigned n = 0;
    int got = 0;

    while (s->ring_open && s->state == SESSION_LIVE && n++ < SESSION_BATCH &&
           (got = ring_peek(&s->ring.rx, &h, &payload)) > 0) {
        struct record_head head = {.size = h.size, .type = h.type, .flags = h.flags, .tag = h.tag};
        uint32_t size = ring_payload_size(&h);
        memcpy(copy, payload, size);
        ring_consume(&s->ring.rx);
        s->r->nrecords++;
        if (dispatch_record(s, &head, copy, size) < 0) {
            ring_pair_break(&s->ring);
            session_end(s, "it sent a record that makes no sense");
            return;
        }
    }
    if (got < 0 && !s->end_why)
        session_end(s, got == -RAIA_ERR_SHUTDOWN ? "it left" : "its ring is broken");
    if (got > 0)
        doorbell_mark(&s->r->bell, s->bit);
}

void session_io_bells(struct raylet *r)
{
    unsigned bit, n = 0;

    while (n++ < BELLS_TURN && doorbell_take(&r->bell, &bit)) {
        struct session *s = bit <= SESSIONS_MAX ? r->sessions[bit] : NULL;
        if (!s || s->state != SESSION_LIVE)
            continue;
        session_io_flush(s);
        session_io_drain(s);
    }
    if (doorbell_pending(&r->bell))
        loop_post(r->loop, &r->drain_task);
}

void session_before_sleep(struct loop_hook *h)
{
    struct raylet *r = LOOP_OF(h, struct raylet, before_sleep);
    struct list *at;

    while ((at = list_pop(&r->dirty))) {
        struct session *s = container_of(at, struct session, dirty_link);
        ring_commit(&s->ring.tx, false);
    }
    if (r->asleep)
        return;
    if (doorbell_prepare_wait(&r->bell))
        r->asleep = true;
    else
        loop_post(r->loop, &r->drain_task);
}

void session_io_done(struct session *s)
{
    struct list *at;

    while ((at = list_pop(&s->wait)))
        mem_free(container_of(at, struct record_out, link));
    while ((at = list_pop(&s->out)))
        frame_out_free(container_of(at, struct frame_out, link));
    list_del(&s->dirty_link);
    s->ring_open = false;
}
