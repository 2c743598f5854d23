/*
 * The test's process.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/unix.h"

struct client_record {
    struct list link;
    struct record_head head;
    uint8_t data[];
};

static void *map(int fd, size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* Exactly `size` bytes; descriptors of the first of them. */
static int recv_all(int sock, void *to, size_t size, int *fds, size_t max, size_t *ret_n,
                    int64_t deadline)
{
    size_t at = 0;

    while (at < size) {
        size_t n = 0, n_fds = 0;
        int r = unix_recv(sock, (uint8_t *)to + at, size - at, &n, fds + *ret_n, max - *ret_n,
                          &n_fds, deadline);
        if (r < 0)
            return r;
        if (n == 0)
            return -RAIA_ERR_UNAVAILABLE;
        *ret_n += n_fds;
        at += n;
    }
    return 0;
}

/* One message; *ret_data is mem_free'd. */
static int message(struct client *c, struct record_head *h, void **ret_data, int *fds,
                   size_t *n_fds, int64_t deadline)
{
    int r;

    *n_fds = 0;
    r = recv_all(c->sock, h, sizeof *h, fds, 8, n_fds, deadline);
    if (r < 0)
        return r;
    *ret_data = mem_alloc(h->size - sizeof *h + 1);
    return recv_all(c->sock, *ret_data, h->size - sizeof *h, fds, 8, n_fds, deadline);
}

int client_send_socket(struct client *c, uint16_t type, uint64_t tag, const void *data, size_t size)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + size), .type = type, .tag = tag};
    int r = unix_send(c->sock, &h, sizeof h, NULL, 0, clock_deadline_ms(5000));

    return r < 0 || !size ? r : unix_send(c->sock, data, size, NULL, 0, clock_deadline_ms(5000));
}

static int take_rings(struct client *c, const int *fds, uint32_t bit)
{
    struct doorbell_peer bell;

    c->page = map(fds[0], DOORBELL_PAGE_BYTES);
    c->mem = map(fds[1], RING_PAIR_BYTES);
    c->raylet_page = map(fds[2], DOORBELL_PAGE_BYTES);
    c->raylet_bell = fds[3];
    c->bell = fds[4];
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    if (!c->page || !c->mem || !c->raylet_page)
        return -RAIA_ERR_NOMEM;
    doorbell_open(&c->door, c->page, c->bell);
    bell = (struct doorbell_peer){.page = c->raylet_page, .eventfd = c->raylet_bell, .bit = bit};
    return ring_pair_attach(&c->ring, c->mem, RING_PAIR_BYTES, 1, &bell);
}

static int hello(struct client *c, const char *token, int exe_fd, char *const *argv,
                 uint64_t table_hash, char *text, size_t room)
{
    Raia__Agent__Hello m = RAIA__AGENT__HELLO__INIT;
    Raia__Agent__HelloReply *reply;
    struct record_head h = {.type = REC_HELLO};
    _cleanup_(mem_freep) void *data = NULL;
    uint8_t packed[4096];
    int fds[8], r;
    size_t n_fds;

    m.protocol = RECORD_PROTOCOL;
    m.kind = token ? RAIA__AGENT__PROCESS_KIND__PROCESS_WORKER
                   : RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER;
    m.pid = getpid();
    m.spawn_token = (char *)(token ? token : "");
    m.program = "test";
    m.argv = (char **)(uintptr_t)argv;
    while (argv && argv[m.n_argv])
        m.n_argv++;
    m.table_hash = table_hash;
    h.size = (uint32_t)(sizeof h + raia__agent__hello__get_packed_size(&m));
    memcpy(packed, &h, sizeof h);
    raia__agent__hello__pack(&m, packed + sizeof h);
    r = unix_send(c->sock, packed, h.size, &exe_fd, token ? 0 : 1, clock_deadline_ms(5000));
    if (r == 0)
        r = message(c, &h, &data, fds, &n_fds, clock_deadline_ms(60000));
    if (r < 0 || h.type != REC_HELLO_REPLY)
        return -RAIA_ERR_PROTOCOL;
    reply = raia__agent__hello_reply__unpack(NULL, h.size - sizeof h, data);
    if (!reply)
        return -RAIA_ERR_PROTOCOL;
    if (reply->error && reply->error->code) {
        snprintf(text, room, "%s", reply->error->text);
        r = -reply->error->code;
    } else if (n_fds != 5 || reply->node_id.len != 16) {
        r = -RAIA_ERR_PROTOCOL;
    } else {
        memcpy(c->node, reply->node_id.data, 16);
        memcpy(c->worker, reply->worker_id.data, 16);
        memcpy(c->job, reply->job_id.data, 4);
        r = take_rings(c, fds, reply->raylet_bit);
    }
    raia__agent__hello_reply__free_unpacked(reply, NULL);
    return r;
}

struct client *client_connect(const char *path, const char *token, int exe_fd, char *const *argv,
                              uint64_t table_hash, char *text, size_t room)
{
    struct client *c = mem_new(struct client);
    struct raia_error e = {0};
    int r;

    c->sock = -1;
    c->bell = c->raylet_bell = -1;
    list_init(&c->got);
    snprintf(text, room, "no reply");
    r = unix_connect(path, SOCK_STREAM, clock_deadline_ms(5000), &c->sock, &e);
    if (r < 0)
        snprintf(text, room, "%s", e.text);
    else
        r = hello(c, token, exe_fd, argv, table_hash, text, room);
    if (r < 0) {
        client_free(c);
        return NULL;
    }
    return c;
}

void client_free(struct client *c)
{
    struct list *at;

    if (!c)
        return;
    while ((at = list_pop(&c->got)))
        mem_free(container_of(at, struct client_record, link));
    for (int i = 0; i < CLIENT_PEERS; i++)
        if (c->peer[i].used) {
            munmap(c->peer[i].mem, RING_PAIR_BYTES);
            munmap(c->peer[i].page, DOORBELL_PAGE_BYTES);
            close(c->peer[i].bell);
        }
    if (c->page)
        munmap(c->page, DOORBELL_PAGE_BYTES);
    if (c->mem)
        munmap(c->mem, RING_PAIR_BYTES);
    if (c->raylet_page)
        munmap(c->raylet_page, DOORBELL_PAGE_BYTES);
    if (c->sock >= 0)
        close(c->sock);
    if (c->bell >= 0)
        close(c->bell);
    if (c->raylet_bell >= 0)
        close(c->raylet_bell);
    mem_free(c);
}

static void keep(struct client *c, const struct record_head *h, const void *data, size_t size)
{
    struct client_record *r = mem_alloc(sizeof *r + size);

    r->head = *h;
    r->head.size = (uint32_t)(sizeof *h + size);
    memcpy(r->data, data, size);
    list_add_tail(&c->got, &r->link);
}

static void on_pair(struct client *c, const void *data, size_t size, int *fds, size_t n_fds)
{
    Raia__Agent__PeerPair *m = raia__agent__peer_pair__unpack(NULL, size, data);
    struct doorbell_peer bell;
    struct client_peer *p;

    if (m && n_fds == 3 && m->number < CLIENT_PEERS) {
        p = &c->peer[m->number];
        p->mem = map(fds[0], RING_PAIR_BYTES);
        p->page = map(fds[1], DOORBELL_PAGE_BYTES);
        p->bell = fds[2];
        memcpy(p->who.node, m->peer->node_id.data, 16);
        memcpy(p->who.worker, m->peer->worker_id.data, 16);
        bell = (struct doorbell_peer){.page = p->page, .eventfd = p->bell, .bit = m->peer_bit};
        p->used = ring_pair_attach(&p->ring, p->mem, RING_PAIR_BYTES, m->role, &bell) == 0;
        close(fds[0]);
        close(fds[1]);
    }
    if (m)
        raia__agent__peer_pair__free_unpacked(m, NULL);
}

static void on_closed(struct client *c, const void *data, size_t size)
{
    struct rec_peer_closed rec;

    if (size < sizeof rec)
        return;
    memcpy(&rec, data, sizeof rec);
    if (rec.number && rec.number < CLIENT_PEERS && c->peer[rec.number].used) {
        struct client_peer *p = &c->peer[rec.number];
        p->used = false;
        munmap(p->mem, RING_PAIR_BYTES);
        munmap(p->page, DOORBELL_PAGE_BYTES);
        close(p->bell);
    }
}

static int read_message(struct client *c)
{
    _cleanup_(mem_freep) void *data = NULL;
    struct record_head h;
    int fds[8];
    size_t n_fds;
    int r = message(c, &h, &data, fds, &n_fds, clock_deadline_ms(20000));

    if (r < 0)
        return r;
    if (h.type == REC_PEER_PAIR) {
        on_pair(c, data, h.size - sizeof h, fds, n_fds);
    } else if (h.type == REC_SEGMENT) {
        /* the descriptor's number takes the place of its flags */
        h.flags = (uint16_t)fds[0];
    }
    keep(c, &h, data, h.size - sizeof h);
    return 0;
}

/* Takes what the raylet sent. */
static void drain(struct client *c)
{
    struct ring_header h;
    const void *payload;
    int r;

    while ((r = ring_peek(&c->ring.rx, &h, &payload)) > 0) {
        struct record_head head = {.type = h.type, .flags = h.flags, .tag = h.tag};
        bool ready = h.type == REC_SOCKET_READY;
        if (!ready)
            keep(c, &head, payload, ring_payload_size(&h));
        if (h.type == REC_PEER_CLOSED)
            on_closed(c, payload, ring_payload_size(&h));
        ring_consume(&c->ring.rx);
        if (ready && read_message(c) < 0)
            c->broken = true;
    }
    if (r < 0)
        c->broken = true;
}

static int give(struct list *at, struct record_head *ret_head, void *to, size_t room,
                size_t *ret_size)
{
    struct client_record *r = container_of(at, struct client_record, link);
    size_t size = r->head.size - sizeof r->head;

    if (ret_head)
        *ret_head = r->head;
    if (ret_size)
        *ret_size = size;
    if (to)
        memcpy(to, r->data, size < room ? size : room);
    list_del(&r->link);
    mem_free(r);
    return 0;
}

/* Sleeps until something rings, or a little. */
static void nap(struct client *c, int64_t deadline)
{
    unsigned bit;
    int64_t now = clock_now_ns();

    while (doorbell_take(&c->door, &bit))
        ;
    drain(c);
    if (c->broken || now > deadline)
        return;
    (void)doorbell_await(&c->door, now + 50 * CLOCK_NS_PER_MS);
}

int client_wait(struct client *c, uint16_t type, int ms, struct record_head *ret_head, void *to,
                size_t room, size_t *ret_size)
{
    int64_t deadline = clock_deadline_ms(ms);

    for (;;) {
        struct client_record *r;
        drain(c);
        LIST_FOREACH (r, &c->got, link)
            if (r->head.type == type)
                return give(&r->link, ret_head, to, room, ret_size);
        if (c->broken)
            return -RAIA_ERR_UNAVAILABLE;
        if (clock_expired(deadline, clock_now_ns()))
            return -RAIA_ERR_TIMEOUT;
        nap(c, deadline);
        if (recv(c->sock, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) == 0 && list_empty(&c->got))
            c->broken = true;
    }
}

static int put(struct ring_tx *tx, uint16_t type, uint64_t tag, const void *data, size_t size)
{
    int64_t deadline = clock_deadline_ms(20000);
    void *at;
    int r;

    while ((r = ring_reserve(tx, type, 0, tag, size, &at)) == -RAIA_ERR_LIMIT &&
           !clock_expired(deadline, clock_now_ns()))
        usleep(100);
    if (r < 0)
        return r;
    if (size)
        memcpy(at, data, size);
    ring_commit(tx, false);
    return 0;
}

int client_send(struct client *c, uint16_t type, uint64_t tag, const void *data, size_t size)
{
    return put(&c->ring.tx, type, tag, data, size);
}

int client_peer_send(struct client *c, uint32_t number, uint16_t type, uint64_t tag,
                     const void *data, size_t size)
{
    return put(&c->peer[number].ring.tx, type, tag, data, size);
}

int client_peer_wait(struct client *c, uint32_t number, int ms, struct record_head *ret_head,
                     void *to, size_t room, size_t *ret_size)
{
    int64_t deadline = clock_deadline_ms(ms);

    for (;;) {
        struct ring_header h;
        const void *payload;
        int r = c->peer[number].used ? ring_peek(&c->peer[number].ring.rx, &h, &payload)
                                     : -RAIA_ERR_UNAVAILABLE;
        if (r < 0)
            return r;
        if (r > 0) {
            size_t size = ring_payload_size(&h);
            *ret_head = (struct record_head){.type = h.type, .flags = h.flags, .tag = h.tag};
            memcpy(to, payload, size < room ? size : room);
            *ret_size = size;
            ring_consume(&c->peer[number].ring.rx);
            return 0;
        }
        if (c->broken || clock_expired(deadline, clock_now_ns()))
            return -RAIA_ERR_TIMEOUT;
        nap(c, deadline);
    }
}

uint32_t client_peer_open(struct client *c, const struct record_address *who, int ms)
{
    for (uint32_t i = 1; i < CLIENT_PEERS; i++)
        if (c->peer[i].used && !memcmp(&c->peer[i].who, who, sizeof *who))
            return i;
    if (client_send(c, REC_PEER_OPEN, 77, who, sizeof *who) < 0 ||
        client_wait(c, REC_PEER_PAIR, ms, NULL, NULL, 0, NULL) < 0)
        return 0;
    for (uint32_t i = 1; i < CLIENT_PEERS; i++)
        if (c->peer[i].used && !memcmp(&c->peer[i].who, who, sizeof *who))
            return i;
    return 0;
}

int client_class(struct client *c, uint32_t number, const char *const *names,
                 const int64_t *quantities, unsigned n, uint16_t strategy)
{
    uint8_t data[1024] = {0};
    struct rec_class head = {.number = number, .nresources = (uint16_t)n, .strategy = strategy};
    size_t at = sizeof head;

    memcpy(data, &head, sizeof head);
    for (unsigned i = 0; i < n; i++) {
        uint16_t len = (uint16_t)strlen(names[i]);
        memcpy(data + at, &quantities[i], 8);
        memcpy(data + at + 8, &len, 2);
        memcpy(data + at + 10, names[i], len);
        at += (10u + len + 7) / 8 * 8;
    }
    return client_send(c, REC_CLASS, 0, data, at);
}

int client_demand(struct client *c, uint32_t number, uint32_t want, uint64_t seen)
{
    struct rec_demand d = {.number = number, .want = want, .granted_seen = seen};

    return client_send(c, REC_DEMAND, 0, &d, sizeof d);
}

int client_return(struct client *c, const struct rec_lease *l, bool broken)
{
    struct rec_lease_return rec = {.lease = l->lease, .broken = broken};

    memcpy(rec.node, l->worker.node, 16);
    return client_send(c, REC_LEASE_RETURN, 0, &rec, sizeof rec);
}
