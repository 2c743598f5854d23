/*
 * Peers: ring pairs between processes of this node, channels to processes of others.
 *
 * A channel has an end at each node; the raylets of both keep its credit: a process may send as
 * much as the other node's raylet has room for, and that one gives credit back as its process's ring
 * takes what came.
 */
#define LOG_MODULE "raylet.peers"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "raylet/link_records.h"
#include "raylet/raylet.h"

#define CHANNEL_CREDIT (256u << 10) /* bytes under way on one channel, each way */
#define CHANNELS_MAX   4096         /* of one process */

/* This node's end of a channel. */
struct channel {
    uint32_t number; /* the process's; hash key; unique in its life */
    uint64_t tag;    /* of the OPEN that made it */
    bool open;       /* both sides know */
    uint32_t mine;   /* this raylet's number on the link; hash key there */
    uint32_t yours;  /* the other's */
    uint8_t node[16];
    struct record_address peer;
    struct session *s;
    int64_t credit;   /* that the process has left */
    uint64_t allowed; /* that the other side has left: what it may still send */
    uint64_t taken;   /* not yet given back */
    HASH_HANDLE hh;
    HASH_HANDLE by_mine;
};

static struct channel *all_channels; /* of the process, by `mine` */
static uint32_t next_mine = 1;

static void tell_closed(struct session *s, uint64_t tag, uint32_t number, int status,
                        const struct record_address *peer)
{
    struct rec_peer_closed rec = {.number = number, .status = status, .peer = *peer};

    session_send(s, REC_PEER_CLOSED, 0, tag, &rec, sizeof rec, NULL, 0);
}

/* ---- pairs */

static uint32_t next_serial = 1;

static struct session *session_of(struct pairs *p)
{
    return container_of(p, struct session, pairs);
}

static void send_pair(struct session *s, const struct session *other, uint32_t number, uint32_t bit,
                      unsigned role, uint64_t tag, int pair)
{
    Raia__Agent__PeerPair m = RAIA__AGENT__PEER_PAIR__INIT;
    Raia__Address address = RAIA__ADDRESS__INIT;
    int fds[3] = {pair, other->page_fd, other->bell_fd};

    address.node_id = (ProtobufCBinaryData){16, s->r->node.bytes};
    address.worker_id = (ProtobufCBinaryData){16, (uint8_t *)other->id.bytes};
    m.number = number;
    m.peer_bit = bit;
    m.role = role;
    m.peer = &address;
    m.tag = tag;
    m.peer_pid = other->pid;
    m.serial = pairs_end(&s->pairs, number)->serial;
    session_send_pb(s, REC_PEER_PAIR, tag, &m.base, fds, pair < 0 ? 0 : 3);
}

/* A memory file with a pair in it; negative: failed. */
static int pair_make(void)
{
    void *mem;
    int fd, r = memfd_make("raia-pair", RING_PAIR_BYTES, FD_SEAL_SIZE, &fd);

    if (r < 0)
        return r;
    mem = mmap(NULL, RING_PAIR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mem == MAP_FAILED) {
        close(fd);
        return -RAIA_ERR_NOMEM;
    }
    r = ring_pair_init(mem, RING_PAIR_BYTES, RING_DATA_BYTES);
    munmap(mem, RING_PAIR_BYTES);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

static void open_pair(struct session *s, uint64_t tag, struct session *other,
                      const struct record_address *to)
{
    uint32_t there, here = pairs_find(&s->pairs, &other->pairs);
    int fd;

    if (here) {
        there = pairs_end(&s->pairs, here)->there;
        send_pair(s, other, here, there, 0, tag, -1); /* it has the descriptors */
        return;
    }
    s->pairs.max = other->pairs.max = RECORD_PAIRS_MAX;
    here = pairs_add(&s->pairs, &other->pairs, next_serial, &there);
    fd = here ? pair_make() : -RAIA_ERR_LIMIT;
    if (fd < 0) {
        if (here)
            pairs_drop(&s->pairs, here);
        tell_closed(s, tag, 0, fd, to);
        return;
    }
    if (++next_serial == 0)
        next_serial = 1;
    send_pair(other, s, there, here, 1, 0, fd);
    send_pair(s, other, here, there, 0, tag, fd);
    close(fd);
}

/* Takes a pair apart; the other side is told, if it has not given it back. */
static void pair_close(struct session *s, uint32_t number, int status)
{
    struct pair_end end = *pairs_end(&s->pairs, number);
    bool given = pairs_end(end.other, end.there)->given;
    struct record_address me;

    raylet_address(s->r, s->id.bytes, &me);
    pairs_drop(&s->pairs, number);
    if (!given)
        tell_closed(session_of(end.other), 0, end.there, status, &me);
}

/* ---- channels */

static struct channel *channel_new(struct session *s, const uint8_t node[16],
                                   const struct record_address *peer)
{
    struct channel *c;

    if (HASH_SIZE(s->channels) >= CHANNELS_MAX)
        return NULL;
    c = mem_new(struct channel);
    if (!c)
        return NULL;
    c->number = s->next_channel++;
    c->mine = next_mine++;
    c->s = s;
    c->allowed = CHANNEL_CREDIT;
    c->peer = *peer;
    memcpy(c->node, node, 16);
    if (HASH_PUT(s->channels, number, c) < 0) {
        mem_free(c);
        return NULL;
    }
    if (HASH_PUT_HH(by_mine, all_channels, mine, c) < 0) {
        HASH_DEL(s->channels, c);
        mem_free(c);
        return NULL;
    }
    return c;
}

static void channel_free(struct channel *c)
{
    HASH_DEL(c->s->channels, c);
    HASH_DEL_HH(by_mine, all_channels, c);
    mem_free(c);
}

static int link_send(struct raylet *r, const uint8_t node[16], uint16_t type, struct buf *b)
{
    int got = b->err ? b->err : nodes_send(r, node, type, NULL, 0, b->data, b->size, NULL, NULL);

    buf_fini(b);
    return got;
}

/* The process is told, the other node is not. */
static void channel_drop(struct channel *c, int status)
{
    tell_closed(c->s, c->open ? 0 : c->tag, c->open ? c->number : 0, status, &c->peer);
    channel_free(c);
}

/* The other node is told, the process is not. */
static void channel_close(struct channel *c, int status)
{
    struct raylet *r = c->s->r;
    uint8_t node[16];
    struct buf b;

    memcpy(node, c->node, 16);
    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, c->yours);
    buf_put_u32(&b, (uint32_t)status);
    if (!c->open)
        buf_fini(&b); /* it does not know it yet: it is told when it answers */
    else if (link_send(r, node, LINK_CH_CLOSED, &b) < 0)
        nodes_break(r, node, "the end of a channel could not be sent");
    channel_free(c);
}

static void open_channel(struct session *s, uint64_t tag, const struct record_address *to)
{
    struct channel *c = NULL, *next;
    struct record_address me;
    struct buf b;
    int got;

    if (nodes_dead(s->r, to->node)) {
        tell_closed(s, tag, 0, -RAIA_ERR_NODE_DIED, to);
        return;
    }
    HASH_FOREACH (s->channels, c, next)
        if (!memcmp(&c->peer, to, sizeof *to)) { /* the peer was first */
            struct rec_channel rec = {.channel = c->number, .credit = 0, .peer = *to};
            session_send(s, REC_CHANNEL_OPENED, 0, tag, &rec, sizeof rec, NULL, 0);
            return;
        }
    c = channel_new(s, to->node, to);
    if (!c) {
        tell_closed(s, tag, 0, -RAIA_ERR_LIMIT, to);
        return;
    }
    c->tag = tag;
    raylet_address(s->r, s->id.bytes, &me);
    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, c->mine);
    buf_put_bytes(&b, &me, sizeof me);
    buf_put_bytes(&b, to, sizeof *to);
    buf_put_u64(&b, CHANNEL_CREDIT);
    got = link_send(s->r, to->node, LINK_CH_OPEN, &b);
    if (got < 0)
        channel_drop(c, -RAIA_ERR_UNAVAILABLE);
}

static void tell_opened(struct channel *c, uint64_t tag)
{
    struct rec_channel rec = {.channel = c->number, .credit = (uint64_t)c->credit, .peer = c->peer};

    session_send(c->s, REC_CHANNEL_OPENED, 0, tag, &rec, sizeof rec, NULL, 0);
}

/* ---- from processes */

int peers_open(struct session *s, uint64_t tag, const struct record_address *to)
{
    struct session *other;

    if (memcmp(to->node, s->r->node.bytes, 16)) {
        open_channel(s, tag, to);
        return 0;
    }
    other = session_find(s->r, to->worker);
    if (!other || other->state != SESSION_LIVE || other == s)
        tell_closed(s, tag, 0, -RAIA_ERR_WORKER_CRASHED, to);
    else
        open_pair(s, tag, other, to);
    return 0;
}

int peers_close(struct session *s, const struct rec_peer_close *rec)
{
    const struct pair_end *end = pairs_end(&s->pairs, rec->number);
    struct channel *c;

    if (rec->flags & REC_PEER_AGREED)
        pairs_give(&s->pairs, rec->number, rec->serial);
    else if (end && end->serial == rec->serial)
        pair_close(s, rec->number, 0);
    else if (!rec->serial && (c = HASH_GET(s->channels, number, &rec->number)))
        channel_close(c, 0);
    return 0; /* else the peer has closed it meanwhile */
}

int peers_data(struct session *s, uint32_t channel, const void *data, size_t size)
{
    struct channel *c = HASH_GET(s->channels, number, &channel);
    uint32_t yours;
    uint8_t node[16];
    int got;

    if (!c)
        return 0; /* closed meanwhile */
    if (!c->open)
        return -RAIA_ERR_PROTOCOL;
    c->credit -= (int64_t)size;
    yours = c->yours;
    memcpy(node, c->node, 16);
    if (c->credit < 0) {
        channel_close(c, -RAIA_ERR_PROTOCOL);
        return -RAIA_ERR_PROTOCOL;
    }
    got = nodes_send(s->r, node, LINK_CH_DATA, &yours, sizeof yours, data, size, NULL, NULL);
    if (got == -RAIA_ERR_LIMIT)
        nodes_break(s->r, node, "its outbox is full in spite of credits");
    return 0; /* no link: its end closes the channel */
}

void peers_gone(struct session *s, int status)
{
    struct channel *c, *next;

    for (uint32_t i = 1; i < s->pairs.room; i++)
        if (pairs_end(&s->pairs, i))
            pair_close(s, i, status);
    HASH_FOREACH (s->channels, c, next)
        channel_close(c, status);
}

void peers_taken(struct session *s, uint32_t channel, size_t bytes)
{
    struct channel *c = HASH_GET(s->channels, number, &channel);
    struct buf b;

    if (!c)
        return;
    c->taken += bytes;
    if (c->taken < CHANNEL_CREDIT / 4)
        return;
    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, c->yours);
    buf_put_u64(&b, c->taken);
    if (link_send(s->r, c->node, LINK_CH_CREDIT, &b) < 0)
        return; /* no link: its end closes the channel; full: with what is taken next */
    c->allowed += c->taken;
    c->taken = 0;
}

void peers_node_lost(struct raylet *r, const uint8_t node[16], int status)
{
    struct channel *c, *next;

    (void)r;
    HASH_FOREACH_HH(by_mine, all_channels, c, next)
    if (!memcmp(c->node, node, 16))
        channel_drop(c, status);
}

/* ---- from the link */

static struct channel *channel_of(uint32_t mine, const uint8_t node[16])
{
    struct channel *c = HASH_GET_HH(by_mine, all_channels, mine, &mine);

    return c && !memcmp(c->node, node, 16) ? c : NULL;
}

static void refuse(struct raylet *r, const uint8_t node[16], uint32_t theirs, int status)
{
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, theirs);
    buf_put_u32(&b, (uint32_t)status);
    if (link_send(r, node, LINK_CH_CLOSED, &b) < 0)
        nodes_break(r, node, "a channel could not be refused");
}

/* A channel to this peer that was asked for here and is not open yet. */
static struct channel *channel_crossing(struct session *s, const struct record_address *peer)
{
    struct channel *c, *next;

    HASH_FOREACH (s->channels, c, next)
        if (!c->open && !memcmp(&c->peer, peer, sizeof *peer))
            return c;
    return NULL;
}

static int on_ch_open(struct raylet *r, const uint8_t node[16], struct reader *in)
{
    struct record_address from, to;
    struct session *s;
    struct channel *c;
    uint32_t theirs = 0;
    uint64_t credit = 0;
    struct buf b;

    reader_u32(in, &theirs);
    reader_copy(in, &from, sizeof from);
    reader_copy(in, &to, sizeof to);
    reader_u64(in, &credit);
    if (reader_done(in) < 0 || memcmp(from.node, node, 16) || credit > (64u << 20))
        return -RAIA_ERR_PROTOCOL;
    s = session_find(r, to.worker);
    if (!s || s->state != SESSION_LIVE || memcmp(to.node, r->node.bytes, 16)) {
        refuse(r, node, theirs, -RAIA_ERR_WORKER_CRASHED);
        return 0;
    }
    c = channel_crossing(s, &from);
    if (c && memcmp(from.worker, s->id.bytes, 16) > 0)
        return 0; /* both asked: the smaller one's stands, and that is ours */
    if (!c)
        c = channel_new(s, node, &from);
    if (!c) {
        refuse(r, node, theirs, -RAIA_ERR_LIMIT);
        return 0;
    }
    c->yours = theirs;
    c->open = true;
    c->credit = (int64_t)credit;
    tell_opened(c, c->tag);
    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, c->yours);
    buf_put_u32(&b, c->mine);
    buf_put_u64(&b, CHANNEL_CREDIT);
    if (link_send(r, node, LINK_CH_OPENED, &b) < 0)
        nodes_break(r, node, "a channel could not be answered");
    return 0;
}

static int on_ch_opened(struct raylet *r, const uint8_t node[16], struct reader *in)
{
    uint32_t mine = 0, yours = 0;
    uint64_t credit = 0;
    struct channel *c;

    reader_u32(in, &mine);
    reader_u32(in, &yours);
    reader_u64(in, &credit);
    if (reader_done(in) < 0 || credit > (64u << 20))
        return -RAIA_ERR_PROTOCOL;
    c = channel_of(mine, node);
    if (!c) {
        refuse(r, node, yours, -RAIA_ERR_WORKER_CRASHED); /* who asked has gone meanwhile */
        return 0;
    }
    if (c->open)
        return -RAIA_ERR_PROTOCOL;
    c->open = true;
    c->yours = yours;
    c->credit = (int64_t)credit;
    tell_opened(c, c->tag);
    return 0;
}

static int on_ch_data(struct raylet *r, const uint8_t node[16], const void *data, size_t size)
{
    struct channel *c;
    struct session *s;
    uint32_t mine, number;
    bool waits;

    (void)r;
    if (size < sizeof mine || size - sizeof mine > RECORD_PAYLOAD_MAX)
        return -RAIA_ERR_PROTOCOL;
    memcpy(&mine, data, sizeof mine);
    c = channel_of(mine, node);
    if (!c)
        return 0; /* closed meanwhile */
    size -= sizeof mine;
    if (!c->open || size > c->allowed)
        return -RAIA_ERR_PROTOCOL;
    c->allowed -= size;
    s = c->s;
    number = c->number;
    session_send(s, REC_CHANNEL_DATA, 0, number, (const uint8_t *)data + sizeof mine, size, NULL,
                 0);
    waits = !list_empty(&s->wait);
    if (!waits) /* else when the ring takes it */
        peers_taken(s, number, size);
    return 0;
}

int peers_link_record(struct raylet *r, const uint8_t node[16], uint16_t type, const void *data,
                      size_t size)
{
    struct channel *c;
    struct reader in;
    uint32_t mine = 0, status = 0;
    uint64_t bytes = 0;

    reader_init(&in, data, size);
    switch (type) {
    case LINK_CH_OPEN:
        return on_ch_open(r, node, &in);
    case LINK_CH_OPENED:
        return on_ch_opened(r, node, &in);
    case LINK_CH_DATA:
        return on_ch_data(r, node, data, size);
    case LINK_CH_CLOSED:
        reader_u32(&in, &mine);
        reader_u32(&in, &status);
        if (reader_done(&in) < 0)
            return -RAIA_ERR_PROTOCOL;
        c = channel_of(mine, node);
        if (c)
            channel_drop(c, (int32_t)status);
        return 0;
    case LINK_CH_CREDIT:
        reader_u32(&in, &mine);
        reader_u64(&in, &bytes);
        if (reader_done(&in) < 0 || bytes > (64u << 20))
            return -RAIA_ERR_PROTOCOL;
        c = channel_of(mine, node);
        if (c && c->open) {
            struct rec_credit rec = {.bytes = bytes};
            c->credit += (int64_t)bytes;
            session_send(c->s, REC_CHANNEL_CREDIT, 0, c->number, &rec, sizeof rec, NULL, 0);
        }
        return 0;
    default:
        return -RAIA_ERR_PROTOCOL;
    }
}
