/*
 * Fuzzes both ends of a ring against a peer that writes anything anywhere: the input is a list of
 * moves, some of which scribble on the shared region, with more input as the bytes.
 *
 * Every byte of every payload is read: AddressSanitizer sees the slightest step out of the region.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ring.h"

#define DATA 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. */
struct input {
    const uint8_t *at; /* next byte */
    size_t left;       /* bytes */
};

static uint64_t take(struct input *in, size_t n)
{
    uint64_t v = 0;

    n = n < in->left ? n : in->left;
    memcpy(&v, in->at, n);
    in->at += n;
    in->left -= n;
    return v;
}

static void check(int ok)
{
    if (!ok)
        abort();
}

static void read_some(struct ring_rx *r)
{
    struct ring_header h;
    const void *p;
    unsigned n = 0;

    while (ring_peek(r, &h, &p) > 0) {
        uint8_t sum = 0;
        for (uint32_t i = 0; i < ring_payload_size(&h); i++)
            sum ^= ((const volatile uint8_t *)p)[i];
        (void)sum;
        check(ring_payload_size(&h) <= ring_payload_max(DATA));
        check((const uint8_t *)p >= r->data && h.type <= RING_TYPE_MAX);
        check((const uint8_t *)p + ring_payload_size(&h) <= r->data + DATA);
        ring_consume(r);
        check(++n <= DATA / 16); /* no more than a ring holds can be there at once */
    }
}

static void write_some(struct ring_tx *t, size_t n, int commit)
{
    void *p;

    if (ring_reserve(t, 1, 2, 3, n, &p) == 0) {
        check((uint8_t *)p >= t->data && (uint8_t *)p + n <= t->data + DATA);
        memset(p, 0x5a, n);
        ring_trim(t, n / 2);
    }
    if (commit)
        ring_commit(t, false);
    check(ring_room(t) <= DATA);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    size_t len = RING_PAIR_SIZE(DATA);
    uint8_t *mem = aligned_alloc(128, len);
    struct ring_pair a, b;

    if (!mem)
        return 0;
    memset(mem, 0, len);
    check(ring_pair_init(mem, len, DATA) == 0);
    check(ring_pair_attach(&a, mem, len, 0, NULL) == 0);
    check(ring_pair_attach(&b, mem, len, 1, NULL) == 0);
    for (int moves = 0; in.left && moves < 256; moves++) {
        uint8_t move = (uint8_t)take(&in, 1);
        uint64_t v;
        size_t where, n;
        switch (move % 7) {
        case 0: /* honest */
            write_some(&a.tx, take(&in, 1), move & 8);
            break;
        case 1:
            read_some(&b.rx);
            break;
        case 2:
            write_some(&b.tx, take(&in, 1), move & 8);
            break;
        case 3: /* an index or a flag: every control word is a multiple of 128 from the start */
            where = 128 * (take(&in, 1) % 8) + (move & 8 ? 4 : 0);
            v = take(&in, move & 16 ? 2 : 8);
            memcpy(mem + where, &v, 8);
            break;
        case 4: /* a header */
            where = RING_CTL_BYTES + 8 * (take(&in, 1) % (DATA / 8));
            v = take(&in, 8);
            memcpy(mem + where, &v, 8);
            break;
        case 5: /* a lot of it */
            where = RING_CTL_BYTES + 8 * (take(&in, 1) % (DATA / 8));
            n = in.left < len - where ? in.left : len - where;
            memcpy(mem + where, in.at, n);
            break;
        case 6: /* the region, as one who attaches sees it */
            where = take(&in, 1) % 16;
            mem[where] = (uint8_t)take(&in, 1);
            ring_pair_attach(&a, mem, len, 0, NULL);
            break;
        }
    }
    read_some(&b.rx);
    read_some(&a.rx);
    ring_pair_peer_died(&b);
    read_some(&b.rx);
    ring_pair_close(&a);
    free(mem);
    return 0;
}
