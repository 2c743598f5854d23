/* Tests of base/ring.h: one process holds both sides of a pair. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/ring.h"
#include "raia/error.h"

/* A pair with both its handles, and a small ring, so that everything wraps soon. */
struct both {
    void *mem;             /* the region */
    size_t len;            /* its size */
    struct ring_pair a, b; /* role 0, role 1 */
};

static void both_open(struct both *t, uint32_t data)
{
    t->len = RING_PAIR_SIZE(data);
    t->mem = aligned_alloc(4096, (t->len + 4095) / 4096 * 4096);
    cr_assert_not_null(t->mem);
    cr_assert_eq(ring_pair_init(t->mem, t->len, data), 0);
    cr_assert_eq(ring_pair_attach(&t->a, t->mem, t->len, 0, NULL), 0);
    cr_assert_eq(ring_pair_attach(&t->b, t->mem, t->len, 1, NULL), 0);
}

/* Reserves a record of n bytes, all of them the low byte of tag. */
static int put(struct ring_tx *t, uint64_t tag, size_t n)
{
    void *p;
    int r = ring_reserve(t, (uint16_t)(tag % 1000), (uint16_t)tag, tag, n, &p);

    if (r == 0)
        memset(p, (int)(uint8_t)tag, n);
    return r;
}

/* Reads the next record, which must be the one that put() made. */
static void get(struct ring_rx *r, uint64_t tag, size_t n)
{
    struct ring_header h;
    const void *p;

    cr_assert_eq(ring_peek(r, &h, &p), 1);
    cr_assert_eq(h.tag, tag);
    cr_assert_eq(h.type, tag % 1000);
    cr_assert_eq(h.flags, (uint16_t)tag);
    cr_assert_eq(ring_payload_size(&h), n);
    cr_assert_eq((uintptr_t)p % 8, 0);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(((const uint8_t *)p)[i], (uint8_t)tag);
    ring_consume(r);
}

static int peek(struct ring_rx *r)
{
    struct ring_header h;
    const void *p;

    return ring_peek(r, &h, &p);
}

/* Only whole regions of a sane size are prepared and attached to. */
Test(ring, init_and_attach)
{
    struct both t;

    both_open(&t, 4096);
    struct ring_pair before = t.a;
    cr_assert_eq(ring_pair_init(t.mem, t.len, 4095), -RAIA_ERR_INVALID);
    cr_assert_eq(ring_pair_init(t.mem, t.len, 8192), -RAIA_ERR_INVALID);
    cr_assert_eq(ring_pair_init(t.mem, RING_PAIR_SIZE(128), 128), -RAIA_ERR_INVALID);
    cr_assert_eq(ring_pair_attach(&t.a, t.mem, t.len, 2, NULL), -RAIA_ERR_INVALID);
    cr_assert_eq(ring_pair_attach(&t.a, t.mem, t.len - 1, 0, NULL), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(ring_pair_attach(&t.a, t.mem, 100, 0, NULL), -RAIA_ERR_PROTOCOL);
    ((uint32_t *)t.mem)[1]++;
    cr_assert_eq(ring_pair_attach(&t.a, t.mem, t.len, 0, NULL), -RAIA_ERR_VERSION);
    ((uint32_t *)t.mem)[0]++;
    cr_assert_eq(ring_pair_attach(&t.a, t.mem, t.len, 0, NULL), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(memcmp(&before, &t.a, sizeof before), 0);
    free(t.mem);
}

/* Records go both ways, each role reading what the other wrote. */
Test(ring, both_roles)
{
    struct both t;

    both_open(&t, RING_DATA_BYTES);
    cr_assert_eq(t.len, RING_PAIR_BYTES);
    for (uint64_t i = 0; i < 2000; i++) {
        cr_assert_eq(put(&t.a.tx, i, i % 300), 0);
        ring_commit(&t.a.tx, false);
        cr_assert_eq(put(&t.b.tx, i + 7, i % 200), 0);
        ring_commit(&t.b.tx, true);
        get(&t.b.rx, i, i % 300);
        get(&t.a.rx, i + 7, i % 200);
        cr_assert_eq(peek(&t.a.rx), 0);
        cr_assert_eq(peek(&t.b.rx), 0);
    }
    free(t.mem);
}

/* Nothing is seen before commit, and one commit shows the whole batch; abort drops it. */
Test(ring, batch)
{
    struct both t;

    both_open(&t, 4096);
    cr_assert(!ring_uncommitted(&t.a.tx));
    for (uint64_t i = 0; i < 5; i++)
        cr_assert_eq(put(&t.a.tx, i, 10), 0);
    cr_assert(ring_uncommitted(&t.a.tx));
    cr_assert(!ring_readable(&t.b.rx));
    cr_assert_eq(peek(&t.b.rx), 0);
    ring_commit(&t.a.tx, false);
    cr_assert(ring_readable(&t.b.rx));
    cr_assert_eq(put(&t.a.tx, 99, 10), 0);
    ring_abort(&t.a.tx);
    ring_commit(&t.a.tx, false);
    for (uint64_t i = 0; i < 5; i++) {
        cr_assert_eq(peek(&t.b.rx), 1); /* peeking twice changes nothing */
        get(&t.b.rx, i, 10);
    }
    cr_assert_eq(peek(&t.b.rx), 0);
    free(t.mem);
}

/* The last reserved record can be made shorter, and only shorter, until it is committed. */
Test(ring, trim)
{
    struct both t;

    both_open(&t, 4096);
    cr_assert_eq(ring_trim(&t.a.tx, 0), -RAIA_ERR_STATE);
    for (uint64_t i = 0; i < 500; i++) {
        cr_assert_eq(put(&t.a.tx, i, 500), 0);
        cr_assert_eq(ring_trim(&t.a.tx, 600), -RAIA_ERR_INVALID);
        cr_assert_eq(ring_trim(&t.a.tx, i % 501), 0);
        ring_commit(&t.a.tx, false);
        get(&t.b.rx, i, i % 501);
    }
    cr_assert_eq(ring_trim(&t.a.tx, 0), -RAIA_ERR_STATE);
    free(t.mem);
}

/* Payloads over the limit and types that are not the users' are refused; the largest one fits. */
Test(ring, limits)
{
    struct both t;
    void *p;

    both_open(&t, RING_DATA_BYTES);
    cr_assert_eq(ring_payload_max(RING_DATA_BYTES), RING_PAYLOAD_MAX);
    cr_assert_eq(put(&t.a.tx, 1, RING_PAYLOAD_MAX + 1), -RAIA_ERR_INVALID);
    cr_assert_eq(ring_reserve(&t.a.tx, 1, 0, 0, SIZE_MAX, &p), -RAIA_ERR_INVALID);
    cr_assert_eq(ring_reserve(&t.a.tx, RING_TYPE_MAX + 1, 0, 0, 0, &p), -RAIA_ERR_INVALID);
    for (uint64_t i = 0; i < 100; i++) {
        cr_assert_eq(put(&t.a.tx, i, RING_PAYLOAD_MAX), 0);
        ring_commit(&t.a.tx, false);
        get(&t.b.rx, i, RING_PAYLOAD_MAX);
    }
    free(t.mem);
}

/* Whatever the size and the place, records come out whole: all sizes over all offsets of a ring. */
Test(ring, wrap_and_pad)
{
    static const uint32_t data[] = {256, 512, 1024};

    for (size_t d = 0; d < sizeof data / sizeof data[0]; d++) {
        struct both t;
        both_open(&t, data[d]);
        uint32_t max = ring_payload_max(data[d]);
        uint64_t tag = 0;
        for (uint32_t shift = 0; shift < data[d] / 8; shift++) {
            for (uint32_t n = 0; n <= max; n++) {
                cr_assert_eq(put(&t.a.tx, tag, n), 0, "an emptied ring has room for any record");
                ring_commit(&t.a.tx, false);
                get(&t.b.rx, tag++, n);
            }
            cr_assert_eq(put(&t.a.tx, tag, 0), 0);
            ring_commit(&t.a.tx, false);
            get(&t.b.rx, tag++, 0);
        }
        free(t.mem);
    }
}

/* A full ring says so, loses nothing, and takes as much again when it was emptied. */
Test(ring, full)
{
    struct both t;
    uint64_t in = 0, out = 0, first = 0;

    both_open(&t, 4096);
    for (int round = 0; round < 50; round++) {
        uint64_t n = 0;
        int r;
        while ((r = put(&t.a.tx, in, 100 + (size_t)round)) == 0) {
            ring_commit(&t.a.tx, false);
            in++;
            n++;
        }
        cr_assert_eq(r, -RAIA_ERR_LIMIT);
        cr_assert_lt(ring_room(&t.a.tx), 400);
        if (round == 0)
            first = n;
        cr_assert_geq(n + 16, first);
        while (out < in)
            get(&t.b.rx, out++, 100 + (size_t)round);
        cr_assert_eq(peek(&t.b.rx), 0);
    }
    cr_assert_geq(first, 4096 / 120);
    free(t.mem);
}

/* The producer's doorbell is rung once a quarter is free, not for the first records, nor if
 * unasked. */
Test(ring, want_room)
{
    struct both t;
    struct doorbell bell;
    _Alignas(4096) static uint8_t page[DOORBELL_PAGE_BYTES];
    struct doorbell_peer peer = {.page = (void *)page, .eventfd = -1, .bit = 70};
    unsigned bit;
    uint64_t in = 0, out = 0;

    both_open(&t, 4096);
    doorbell_page_init(page, 0);
    doorbell_open(&bell, page, -1);
    cr_assert_eq(ring_pair_attach(&t.b, t.mem, t.len, 1, &peer), 0);
    while (put(&t.a.tx, in, 112) == 0)
        in++;
    ring_commit(&t.a.tx, false);
    cr_assert_eq(in, 32);
    while (out < 7) {
        get(&t.b.rx, out++, 112);
        ring_release(&t.b.rx);
        cr_assert(!doorbell_pending(&bell));
    }
    get(&t.b.rx, out++, 112);
    ring_release(&t.b.rx);
    cr_assert(doorbell_take(&bell, &bit));
    cr_assert_eq(bit, 70);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(put(&t.a.tx, in++, 112), 0);
    ring_commit(&t.a.tx, false);
    while (out < in)
        get(&t.b.rx, out++, 112);
    cr_assert(!doorbell_pending(&bell), "nobody asked a second time");
    free(t.mem);
}

/* An orderly end: the peer reads what was committed, then SHUTDOWN; sending fails on both sides. */
Test(ring, closed)
{
    struct both t;

    both_open(&t, 4096);
    cr_assert_eq(put(&t.a.tx, 1, 5), 0);
    ring_commit(&t.a.tx, false);
    cr_assert_eq(put(&t.a.tx, 2, 5), 0); /* never committed */
    ring_pair_close(&t.a);
    cr_assert_eq(put(&t.a.tx, 3, 5), -RAIA_ERR_SHUTDOWN);
    cr_assert_eq(peek(&t.a.rx), -RAIA_ERR_SHUTDOWN);
    cr_assert_eq(put(&t.b.tx, 3, 5), -RAIA_ERR_SHUTDOWN);
    get(&t.b.rx, 1, 5);
    cr_assert_eq(peek(&t.b.rx), -RAIA_ERR_SHUTDOWN);
    cr_assert_eq(peek(&t.b.rx), -RAIA_ERR_SHUTDOWN);
    cr_assert(ring_readable(&t.b.rx));
    free(t.mem);
}

/* A break, and a death that someone else tells of: the same, but UNAVAILABLE. */
Test(ring, broken_and_died)
{
    struct both t;

    both_open(&t, 4096);
    cr_assert_eq(put(&t.a.tx, 1, 5), 0);
    ring_commit(&t.a.tx, false);
    ring_pair_break(&t.a);
    ring_pair_close(&t.a); /* too late to be orderly */
    get(&t.b.rx, 1, 5);
    cr_assert_eq(peek(&t.b.rx), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(put(&t.b.tx, 3, 5), -RAIA_ERR_UNAVAILABLE);
    free(t.mem);

    both_open(&t, 4096);
    cr_assert_eq(put(&t.a.tx, 1, 5), 0);
    ring_commit(&t.a.tx, false);
    ring_pair_peer_died(&t.b);
    cr_assert_eq(put(&t.b.tx, 3, 5), -RAIA_ERR_UNAVAILABLE);
    get(&t.b.rx, 1, 5);
    cr_assert_eq(peek(&t.b.rx), -RAIA_ERR_UNAVAILABLE);
    free(t.mem);
}

/* One way to write nonsense: `word` at `offset` of the data that role 0 writes, `head` published.
 */
struct nonsense {
    const char *what; /* for the message */
    uint64_t word;    /* the first 8 bytes of a header */
    uint32_t offset;  /* where it stands, and how much was read before */
    uint64_t head;    /* what the producer says */
};

#define HEADER(size, type) ((uint64_t)(size) | (uint64_t)(type) << 32)

/* Wrong headers and heads break the pair: PROTOCOL for the reader, UNAVAILABLE for the writer. */
Test(ring, broken_headers)
{
    static const struct nonsense cases[] = {
        {"no size", HEADER(0, 1), 0, 64},
        {"shorter than itself", HEADER(15, 1), 0, 64},
        {"past the head", HEADER(65, 1), 0, 64},
        {"too long", HEADER(2000, 1), 0, 4096},
        {"huge", HEADER(0xffffffff, 1), 0, 4096},
        {"past the end", HEADER(128, 1), 4032, 4160},
        {"pad that is too short", HEADER(8, 0xffff), 4032, 4160},
        {"pad of nothing", HEADER(0, 0xffff), 4032, 4160},
        {"pad past the end", HEADER(72, 0xffff), 4032, 4160},
        {"pad past the head", HEADER(64, 0xffff), 4032, 4080},
        {"head that is not aligned", HEADER(16, 1), 0, 20},
        {"head too far", HEADER(16, 1), 0, 4104},
        {"head that goes back", HEADER(16, 1), 64, 32},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct nonsense *c = &cases[i];
        struct both t;
        both_open(&t, 4096);
        for (uint32_t n = 0; n < c->offset; n += 64) {
            cr_assert_eq(put(&t.a.tx, n, 48), 0);
            ring_commit(&t.a.tx, false);
            get(&t.b.rx, n, 48);
        }
        memcpy(t.a.tx.data + c->offset, &c->word, 8);
        memcpy(t.a.tx.ctl, &c->head, 8);
        cr_assert_eq(peek(&t.b.rx), -RAIA_ERR_PROTOCOL, "%s", c->what);
        cr_assert_eq(peek(&t.b.rx), -RAIA_ERR_PROTOCOL, "%s", c->what);
        cr_assert_eq(put(&t.b.tx, 1, 8), -RAIA_ERR_UNAVAILABLE, "%s", c->what);
        cr_assert_eq(put(&t.a.tx, 1, 8), -RAIA_ERR_UNAVAILABLE, "%s", c->what);
        cr_assert_eq(peek(&t.a.rx), -RAIA_ERR_UNAVAILABLE, "%s", c->what);
        free(t.mem);
    }
}

/* A tail that goes back, ahead or off the grid is found by the producer. */
Test(ring, broken_tails)
{
    static const uint64_t tails[] = {1024 - 8, 4096 + 1024 + 8, 1025, 0, UINT64_MAX};

    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        struct both t;
        both_open(&t, 4096);
        for (uint32_t n = 0; n < 1024; n += 64) {
            cr_assert_eq(put(&t.a.tx, n, 48), 0);
            ring_commit(&t.a.tx, false);
            get(&t.b.rx, n, 48);
        }
        cr_assert_eq(ring_room(&t.a.tx), 4096);
        while (put(&t.a.tx, 1, 48) == 0)
            ring_commit(&t.a.tx, false);
        memcpy((uint8_t *)t.a.tx.ctl + 128, &tails[i], 8);
        cr_assert_eq(put(&t.a.tx, 1, 48), -RAIA_ERR_PROTOCOL);
        cr_assert_eq(put(&t.a.tx, 1, 48), -RAIA_ERR_PROTOCOL);
        cr_assert_eq(ring_room(&t.a.tx), 0);
        cr_assert_eq(put(&t.b.tx, 1, 48), -RAIA_ERR_UNAVAILABLE);
        free(t.mem);
    }
}
