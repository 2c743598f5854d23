/*
 * The pair to the supervisor: one protobuf message a packet (proto/agent.proto). When it closes,
 * the supervisor is gone, and this process ends too.
 */
#define LOG_MODULE "raylet.supervisor"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "raylet/raylet.h"

#define PACKET_MAX (256u << 10)
#define QUEUE_MAX  (64u << 20) /* bytes that may wait to be sent */

struct packet {
    struct list link;
    size_t size;
    uint8_t data[];
};

struct sup_link {
    int fd;
    struct loop_fd *watch;
    struct list out; /* packets that the socket had no room for */
    size_t out_bytes;
    bool greeted; /* Survivors has come */
    uint8_t in[PACKET_MAX];
};

static void on_exited(struct raylet *r, const Raia__Agent__Exited *m)
{
    char why[96];

    if (m->id >= ENTRYPOINT_ID_FIRST || *m->submission_id) {
        entrypoints_exited(r, m);
        return;
    }
    if (m->signaled)
        snprintf(why, sizeof why, "was killed by signal %d (%s)", m->status - 128,
                 strsignal(m->status - 128));
    else
        snprintf(why, sizeof why, "exited with status %d", m->status);
    workers_exited(r, m->id, m->status, why);
}

static void on_spawn_failed(struct raylet *r, const Raia__Agent__SpawnFailed *m)
{
    char why[RAIA_ERROR_TEXT_MAX];

    if (m->id >= ENTRYPOINT_ID_FIRST) {
        entrypoints_failed(r, m->id, m->error);
        return;
    }
    snprintf(why, sizeof why, "could not be started: %s", m->error ? m->error->text : "?");
    workers_exited(r, m->id, -1, why);
}

static void on_message(struct raylet *r, const Raia__Agent__SupervisorUp *m)
{
    switch (m->body_case) {
    case RAIA__AGENT__SUPERVISOR_UP__BODY_SPAWNED:
        if (m->spawned->id >= ENTRYPOINT_ID_FIRST)
            entrypoints_spawned(r, m->spawned->id, m->spawned->pid);
        else
            workers_spawned(r, m->spawned->id, m->spawned->pid);
        return;
    case RAIA__AGENT__SUPERVISOR_UP__BODY_SPAWN_FAILED:
        on_spawn_failed(r, m->spawn_failed);
        return;
    case RAIA__AGENT__SUPERVISOR_UP__BODY_EXITED:
        on_exited(r, m->exited);
        return;
    case RAIA__AGENT__SUPERVISOR_UP__BODY_SURVIVORS:
        entrypoints_survivors(r, m->survivors);
        if (!r->sup->greeted)
            gcs_register(r, m->survivors->dead_node_id.data, m->survivors->dead_node_id.len);
        r->sup->greeted = true;
        return;
    default:
        log_warn_rl("the supervisor said something unknown", "body=%d", (int)m->body_case);
    }
}

static void flush(struct raylet *r)
{
    struct sup_link *k = r->sup;

    while (!list_empty(&k->out)) {
        struct packet *p = container_of(k->out.next, struct packet, link);
        if (send(k->fd, p->data, p->size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            if (errno == EINTR)
                continue;
            break; /* full: again when writable; gone: the read side tells */
        }
        list_del(&p->link);
        k->out_bytes -= p->size;
        mem_free(p);
    }
    loop_fd_set(k->watch, LOOP_READ | (list_empty(&k->out) ? 0u : (unsigned)LOOP_WRITE));
}

static void on_ready(void *arg, int fd, unsigned events)
{
    struct raylet *r = arg;
    struct sup_link *k = r->sup;

    if (events & LOOP_WRITE)
        flush(r);
    for (int i = 0; i < 64 && !r->stopping; i++) {
        ssize_t n = recv(fd, k->in, sizeof k->in, MSG_DONTWAIT | MSG_TRUNC);
        Raia__Agent__SupervisorUp *m;
        struct proto_room room;
        int got;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        got = n > 0 && n <= (ssize_t)sizeof k->in
                  ? proto_unpack_in(&room, &raia__agent__supervisor_up__descriptor, k->in,
                                    (size_t)n, &m)
                  : -RAIA_ERR_UNAVAILABLE;
        if (got < 0) {
            loop_fd_set(k->watch, 0);
            raylet_stop(r, 1, got == -RAIA_ERR_NOMEM ? "out of memory" : "the supervisor is gone");
            return;
        }
        on_message(r, m);
        proto_free_in(&room, m);
    }
}

int sup_new(struct raylet *r, int fd, struct raia_error *e)
{
    struct sup_link *k;
    int got;

    if (fcntl(fd, F_GETFD) < 0)
        return err_errno(e, errno,
                         "descriptor %d is not open: raia-raylet is started by raia-agent", fd);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    k = mem_new(struct sup_link);
    if (!k)
        return err_set(e, RAIA_ERR_NOMEM, "the pair to the supervisor");
    k->fd = fd;
    list_init(&k->out);
    got = fd_set_nonblock(fd, true);
    got = got < 0 ? err_set(e, -got, "set up the pair to the supervisor")
                  : loop_fd_new(r->loop, fd, LOOP_READ, on_ready, r, &k->watch, e);
    if (got < 0) {
        mem_free(k);
        return got;
    }
    r->sup = k;
    return 0;
}

void sup_free(struct raylet *r)
{
    struct list *at;

    if (!r->sup)
        return;
    loop_fd_free(r->sup->watch);
    close(r->sup->fd);
    while ((at = list_pop(&r->sup->out)))
        mem_free(container_of(at, struct packet, link));
    mem_free(r->sup);
    r->sup = NULL;
}

static int sup_send(struct raylet *r, const Raia__Agent__SupervisorDown *m)
{
    size_t size = raia__agent__supervisor_down__get_packed_size(m);
    struct packet *p;

    if (!r->sup)
        return -RAIA_ERR_UNAVAILABLE;
    if (size > PACKET_MAX || r->sup->out_bytes + size > QUEUE_MAX)
        return -RAIA_ERR_LIMIT;
    p = mem_alloc(sizeof *p + size);
    if (!p)
        return -RAIA_ERR_NOMEM;
    p->size = size;
    raia__agent__supervisor_down__pack(m, p->data);
    list_add_tail(&r->sup->out, &p->link);
    r->sup->out_bytes += size;
    flush(r);
    return 0;
}

int sup_spawn(struct raylet *r, Raia__Agent__Spawn *m)
{
    Raia__Agent__SupervisorDown down = RAIA__AGENT__SUPERVISOR_DOWN__INIT;

    down.body_case = RAIA__AGENT__SUPERVISOR_DOWN__BODY_SPAWN;
    down.spawn = m;
    return sup_send(r, &down);
}

void sup_signal(struct raylet *r, uint64_t id, int signo, bool group, uint32_t kill_after_ms)
{
    Raia__Agent__SupervisorDown down = RAIA__AGENT__SUPERVISOR_DOWN__INIT;
    Raia__Agent__Signal m = RAIA__AGENT__SIGNAL__INIT;

    m.id = id;
    m.signo = signo;
    m.group = group;
    m.kill_after_ms = kill_after_ms;
    down.body_case = RAIA__AGENT__SUPERVISOR_DOWN__BODY_SIGNAL;
    down.signal = &m;
    if (sup_send(r, &down) < 0)
        log_warn_rl("a signal could not be ordered", "id=%llu", (unsigned long long)id);
}

void sup_ready(struct raylet *r)
{
    Raia__Agent__SupervisorDown down = RAIA__AGENT__SUPERVISOR_DOWN__INIT;
    Raia__Agent__Ready m = RAIA__AGENT__READY__INIT;

    m.node_id = (ProtobufCBinaryData){16, r->node.bytes};
    m.address = r->address;
    down.body_case = RAIA__AGENT__SUPERVISOR_DOWN__BODY_READY;
    down.ready = &m;
    (void)sup_send(r, &down);
}

void sup_fence(struct raylet *r, const char *why)
{
    Raia__Agent__SupervisorDown down = RAIA__AGENT__SUPERVISOR_DOWN__INIT;
    Raia__Agent__Fence m = RAIA__AGENT__FENCE__INIT;

    m.reason = (char *)why;
    down.body_case = RAIA__AGENT__SUPERVISOR_DOWN__BODY_FENCE;
    down.fence = &m;
    (void)sup_send(r, &down);
}

void sup_forget(struct raylet *r, const char *submission, uint32_t attempt)
{
    Raia__Agent__SupervisorDown down = RAIA__AGENT__SUPERVISOR_DOWN__INIT;
    Raia__Agent__Forget m = RAIA__AGENT__FORGET__INIT;

    m.submission_id = (char *)submission;
    m.attempt = attempt;
    down.body_case = RAIA__AGENT__SUPERVISOR_DOWN__BODY_FORGET;
    down.forget = &m;
    (void)sup_send(r, &down);
}
