/*
 * Rings: reserving, publishing, reading and freeing records in shared memory (manual: ring.h).
 *
 * Each side keeps its own index to itself and only publishes it; the other's index is read into a
 * cache when the cached one is used up, checked, and never read again for the same decision. So the
 * line with the head moves once for each commit, and the one with the tail once for each quarter of
 * the ring.
 *
 * Orders. The records are written before the head that covers them (RELEASE would do), and the head
 * before the look at the doorbell's bit, which needs SEQ_CST: see doorbell.c. Room is the same with
 * the roles changed: the producer stores `want`, then loads the tail; the consumer stores the tail,
 * then loads `want`.
 */
#include "base/ring.h"

#include <stdalign.h>
#include <string.h>

#include "base/ring_atomic.h"
#include "raia/error.h"

#define RING_MAGIC    0x52414952u /* "RIAR" */
#define RING_VERSION  1u
#define RING_TYPE_PAD 0xffffu /* fills the end of the data; only its first 8 bytes exist */

/* How a side stands: `state` in the region. */
enum { RING_OPEN, RING_CLOSED, RING_BROKEN };

/* 128: x86 fetches lines in pairs. */
struct ring_shm_ring {
    alignas(128) uint64_t head; /* written by the producer: end of what can be read, in bytes */
    alignas(128) uint64_t tail; /* written by the consumer: end of what is free again, in bytes */
    alignas(128) uint32_t want; /* 1: the producer waits for room; cleared by who rings for it */
};

struct ring_shm {
    uint32_t magic;                 /* RING_MAGIC */
    uint32_t version;               /* RING_VERSION: of this layout */
    uint32_t data_bytes;            /* of each direction */
    alignas(128) uint32_t state[2]; /* how each role stands: RING_OPEN, ...; hardly ever written */
    struct ring_shm_ring ring[2];   /* written by role 0; written by role 1 */
};
_Static_assert(sizeof(struct ring_shm) <= RING_CTL_BYTES, "the control block is too small");
_Static_assert(sizeof(struct ring_header) == RING_HEADER_BYTES, "the layout of the header");

uint32_t ring_payload_max(uint32_t data_bytes)
{
    uint32_t quarter = data_bytes / 4 - RING_HEADER_BYTES;

    return quarter < RING_PAYLOAD_MAX ? quarter : RING_PAYLOAD_MAX;
}

static bool data_bytes_ok(uint32_t n)
{
    return n >= RING_DATA_MIN && n <= RING_DATA_MAX && (n & (n - 1)) == 0;
}

int ring_pair_init(void *mem, size_t len, uint32_t data_bytes)
{
    struct ring_shm *shm = mem;

    if (!data_bytes_ok(data_bytes) || len != RING_PAIR_SIZE((size_t)data_bytes))
        return -RAIA_ERR_INVALID;
    memset(shm, 0, sizeof *shm);
    shm->version = RING_VERSION;
    shm->data_bytes = data_bytes;
    RA_STORE(&shm->magic, RING_MAGIC, RELEASE);
    return 0;
}

int ring_pair_attach(struct ring_pair *p, void *mem, size_t len, unsigned role,
                     const struct doorbell_peer *peer)
{
    static const struct doorbell_peer nobody = {.eventfd = -1};
    struct ring_shm *shm = mem;

    if (role > 1)
        return -RAIA_ERR_INVALID;
    if (len < RING_PAIR_SIZE(RING_DATA_MIN) || RA_LOAD(&shm->magic, ACQUIRE) != RING_MAGIC)
        return -RAIA_ERR_PROTOCOL;
    if (RA_LOAD(&shm->version, RELAXED) != RING_VERSION)
        return -RAIA_ERR_VERSION;
    uint32_t size = RA_LOAD(&shm->data_bytes, RELAXED);
    if (!data_bytes_ok(size) || len != RING_PAIR_SIZE((size_t)size))
        return -RAIA_ERR_PROTOCOL;

    uint8_t *data = (uint8_t *)mem + RING_CTL_BYTES;
    *p = (struct ring_pair){
        .tx = {.ctl = &shm->ring[role],
               .data = data + (size_t)role * size,
               .my_state = &shm->state[role],
               .peer_state = &shm->state[!role],
               .size = size,
               .bell = peer ? *peer : nobody},
        .rx = {.ctl = &shm->ring[!role],
               .data = data + (size_t)!role * size,
               .my_state = &shm->state[role],
               .peer_state = &shm->state[!role],
               .size = size,
               .bell = peer ? *peer : nobody},
    };
    return 0;
}

/* ---- the end of a pair ---- */

static int error_of_state(uint32_t state)
{
    return state == RING_CLOSED ? -RAIA_ERR_SHUTDOWN : -RAIA_ERR_UNAVAILABLE;
}

static void pair_end(struct ring_pair *p, uint32_t state)
{
    /* What is said first stands: a broken pair is not closed in order any more. */
    if (RA_LOAD(p->tx.my_state, RELAXED) == RING_OPEN)
        RA_STORE(p->tx.my_state, state, SEQ_CST);
    ring_abort(&p->tx);
    p->rx.current = 0;
    if (!p->tx.error)
        p->tx.error = error_of_state(state);
    if (!p->rx.error)
        p->rx.error = error_of_state(state);
    doorbell_ring(&p->tx.bell, false);
}

void ring_pair_close(struct ring_pair *p)
{
    pair_end(p, RING_CLOSED);
}

void ring_pair_break(struct ring_pair *p)
{
    pair_end(p, RING_BROKEN);
}

void ring_pair_peer_died(struct ring_pair *p)
{
    ring_abort(&p->tx);
    if (!p->tx.error)
        p->tx.error = -RAIA_ERR_UNAVAILABLE;
    p->rx.peer_died = true;
}

/* ---- sending ---- */

static int tx_fail(struct ring_tx *t, int error)
{
    if (error == -RAIA_ERR_PROTOCOL) {
        RA_STORE(t->my_state, RING_BROKEN, SEQ_CST);
        doorbell_ring(&t->bell, false);
    }
    t->error = error;
    return error;
}

static inline uint64_t record_bytes(size_t payload_size)
{
    return (payload_size + RING_HEADER_BYTES + 7) & ~UINT64_C(7);
}

static int tx_read_tail(struct ring_tx *t)
{
    uint64_t tail = RA_LOAD(&t->ctl->tail, SEQ_CST);

    /* It only goes forward, and never past what was published. */
    if (tail - t->tail_seen > t->published - t->tail_seen || tail % 8 != 0)
        return tx_fail(t, -RAIA_ERR_PROTOCOL);
    t->tail_seen = tail;
    return 0;
}

static inline bool tx_fits(const struct ring_tx *t, uint64_t bytes)
{
    return t->head + bytes - t->tail_seen <= t->size;
}

/* The cached tail leaves too little room: looks at the real one, and leaves a mark if it must. */
static int tx_make_room(struct ring_tx *t, uint64_t bytes)
{
    int r = tx_read_tail(t);
    if (r < 0 || tx_fits(t, bytes))
        return r;
    RA_STORE(&t->ctl->want, 1, SEQ_CST);
    r = tx_read_tail(t);
    if (r < 0)
        return r;
    if (!tx_fits(t, bytes))
        return -RAIA_ERR_LIMIT;
    RA_STORE(&t->ctl->want, 0, RELAXED); /* too late or not, the worst is a needless ring */
    return 0;
}

static inline void tx_put(struct ring_tx *t, uint64_t at, uint64_t word)
{
    RA_STORE((uint64_t *)(void *)(t->data + (at & (t->size - 1))), word, RELAXED);
}

static inline uint64_t header_word(uint64_t size, uint64_t type, uint64_t flags)
{
    return size | type << 32 | flags << 48;
}

int ring_reserve(struct ring_tx *t, uint16_t type, uint16_t flags, uint64_t tag,
                 size_t payload_size, void **ret_payload)
{
    if (t->error)
        return t->error;
    if (payload_size > ring_payload_max(t->size) || type > RING_TYPE_MAX)
        return -RAIA_ERR_INVALID;
    uint32_t state = RA_LOAD(t->peer_state, ACQUIRE);
    if (state == RING_OPEN)
        state = RA_LOAD(t->my_state, RELAXED);
    if (state != RING_OPEN)
        return tx_fail(t, error_of_state(state));

    uint64_t bytes = record_bytes(payload_size);
    uint64_t to_end = t->size - (t->head & (t->size - 1));
    uint64_t pad = bytes > to_end ? to_end : 0;
    if (!tx_fits(t, pad + bytes)) {
        int r = tx_make_room(t, pad + bytes);
        if (r < 0)
            return r;
    }
    if (pad)
        tx_put(t, t->head, header_word(pad, RING_TYPE_PAD, 0));
    t->last = t->head + pad;
    t->head = t->last + bytes;
    tx_put(t, t->last, header_word(payload_size + RING_HEADER_BYTES, type, flags));
    tx_put(t, t->last + 8, tag);
    *ret_payload = t->data + (t->last & (t->size - 1)) + RING_HEADER_BYTES;
    return 0;
}

int ring_trim(struct ring_tx *t, size_t payload_size)
{
    if (t->head == t->published)
        return -RAIA_ERR_STATE;
    if (payload_size > RING_PAYLOAD_MAX || record_bytes(payload_size) > t->head - t->last)
        return -RAIA_ERR_INVALID;
    uint64_t *first = (uint64_t *)(void *)(t->data + (t->last & (t->size - 1)));
    uint64_t rest = RA_LOAD(first, RELAXED) & ~(uint64_t)UINT32_MAX;
    RA_STORE(first, rest | (payload_size + RING_HEADER_BYTES), RELAXED);
    t->head = t->last + record_bytes(payload_size);
    return 0;
}

void ring_commit(struct ring_tx *t, bool urgent)
{
    if (t->head == t->published)
        return;
    t->published = t->head;
    RA_STORE(&t->ctl->head, t->head, SEQ_CST);
    doorbell_ring(&t->bell, urgent);
}

void ring_abort(struct ring_tx *t)
{
    t->head = t->published;
}

bool ring_uncommitted(const struct ring_tx *t)
{
    return t->head != t->published;
}

size_t ring_room(struct ring_tx *t)
{
    if (t->error || tx_read_tail(t) < 0)
        return 0;
    return t->size - (t->head - t->tail_seen);
}

/* ---- receiving ---- */

static int rx_fail(struct ring_rx *r, int error)
{
    if (error == -RAIA_ERR_PROTOCOL) {
        RA_STORE(r->my_state, RING_BROKEN, SEQ_CST);
        doorbell_ring(&r->bell, false);
    }
    r->error = error;
    return error;
}

/* Reads the head: 1: there are records; 0: none now; negative: none, for ever. */
static int rx_read_head(struct ring_rx *r)
{
    bool ended = false;
    uint32_t state = RING_OPEN;

    for (;;) {
        uint64_t head = RA_LOAD(&r->ctl->head, SEQ_CST);
        if (head != r->tail) {
            if (head - r->tail > r->size || head - r->tail < r->head_seen - r->tail || head % 8)
                return rx_fail(r, -RAIA_ERR_PROTOCOL);
            r->head_seen = head;
            return 1;
        }
        if (ended)
            return rx_fail(r, r->peer_died ? -RAIA_ERR_UNAVAILABLE : error_of_state(state));
        state = RA_LOAD(r->peer_state, ACQUIRE);
        if (state == RING_OPEN && RA_LOAD(r->my_state, RELAXED) != RING_OPEN)
            state = RING_BROKEN; /* our sending end found the peer mad */
        ended = state != RING_OPEN || r->peer_died;
        if (!ended)
            return 0;
        /* It ended after its last commit: look once more. */
    }
}

static inline uint64_t rx_get(const struct ring_rx *r, uint64_t at)
{
    return RA_LOAD((const uint64_t *)(const void *)(r->data + (at & (r->size - 1))), RELAXED);
}

int ring_peek(struct ring_rx *r, struct ring_header *ret_header, const void **ret_payload)
{
    if (r->error)
        return r->error;
    for (;;) {
        if (r->tail == r->head_seen) {
            int n = rx_read_head(r);
            if (n <= 0)
                return n;
        }
        uint32_t offset = (uint32_t)r->tail & (r->size - 1);
        uint64_t readable = r->head_seen - r->tail;
        uint64_t word = rx_get(r, r->tail);
        struct ring_header h = {.size = (uint32_t)word,
                                .type = (uint16_t)(word >> 32),
                                .flags = (uint16_t)(word >> 48)};
        if (h.type == RING_TYPE_PAD) {
            if (h.size != r->size - offset || h.size > readable)
                return rx_fail(r, -RAIA_ERR_PROTOCOL);
            r->tail += h.size;
            continue;
        }
        if (h.size < RING_HEADER_BYTES || h.size - RING_HEADER_BYTES > ring_payload_max(r->size))
            return rx_fail(r, -RAIA_ERR_PROTOCOL);
        uint64_t bytes = record_bytes(h.size - RING_HEADER_BYTES);
        if (bytes > readable || bytes > r->size - offset)
            return rx_fail(r, -RAIA_ERR_PROTOCOL);
        h.tag = rx_get(r, r->tail + 8);
        r->current = (uint32_t)bytes;
        *ret_header = h;
        *ret_payload = r->data + offset + RING_HEADER_BYTES;
        return 1;
    }
}

void ring_consume(struct ring_rx *r)
{
    r->tail += r->current;
    r->current = 0;
    if (r->tail - r->released >= r->size / 4)
        ring_release(r);
}

void ring_release(struct ring_rx *r)
{
    if (r->tail == r->released || r->error)
        return;
    r->released = r->tail;
    RA_STORE(&r->ctl->tail, r->tail, SEQ_CST);
    /* A producer that waits is woken once for a quarter of the ring, not for each record. */
    if (RA_LOAD(&r->ctl->want, SEQ_CST) && r->size - (r->head_seen - r->tail) >= r->size / 4 &&
        RA_XCHG(&r->ctl->want, 0))
        doorbell_ring(&r->bell, false);
}

bool ring_readable(struct ring_rx *r)
{
    return r->error || r->tail != r->head_seen || rx_read_head(r) != 0;
}
