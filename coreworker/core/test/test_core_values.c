/* Bytes: MessagePack scalars, chains of errors, entries of messages, the pool, windows. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/chain.h"
#include "core/msgpack.h"
#include "core/pool.h"
#include "core/receiver.h"
#include "core/window.h"
#include "core/wire.h"

/* Integers of every width come back, in the shortest form, also as doubles. */
Test(msgpack, integers)
{
    static const struct {
        int64_t v;
        size_t size;
    } cases[] = {{0, 1},
                 {127, 1},
                 {128, 2},
                 {255, 2},
                 {256, 3},
                 {65535, 3},
                 {65536, 5},
                 {4294967295, 5},
                 {4294967296, 9},
                 {INT64_MAX, 9},
                 {-1, 1},
                 {-32, 1},
                 {-33, 2},
                 {-128, 2},
                 {-129, 3},
                 {-32768, 3},
                 {-32769, 5},
                 {INT32_MIN, 5},
                 {(int64_t)INT32_MIN - 1, 9},
                 {INT64_MIN, 9}};
    uint8_t b[MSGPACK_SCALAR_MAX];
    int64_t back;
    double d;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t n = msgpack_put_int(b, cases[i].v);

        cr_assert_eq(n, cases[i].size);
        cr_assert_eq(msgpack_get_int(b, n, &back), 0);
        cr_assert_eq(back, cases[i].v);
        cr_assert_eq(msgpack_get_double(b, n, &d), 0);
        cr_assert_eq(d, (double)cases[i].v);
        cr_assert_lt(msgpack_get_int(b, n - 1, &back), 0);
        cr_assert_lt(msgpack_get_int(b, n + 1, &back), 0);
    }
}

/* Doubles are integers only if they have no fraction and fit; strings know their length. */
Test(msgpack, doubles_and_strings)
{
    uint8_t b[300];
    const char *s;
    int64_t i;
    double d;
    size_t n = msgpack_put_double(b, 2.5), len;

    cr_assert_eq(msgpack_get_double(b, n, &d), 0);
    cr_assert_eq(d, 2.5);
    cr_assert_eq(msgpack_get_int(b, n, &i), -RAIA_ERR_INVALID);
    n = msgpack_put_double(b, -3.0);
    cr_assert_eq(msgpack_get_int(b, n, &i), 0);
    cr_assert_eq(i, -3);
    n = msgpack_put_double(b, 1e300);
    cr_assert_eq(msgpack_get_int(b, n, &i), -RAIA_ERR_INVALID);
    for (size_t size = 0; size < 290; size += 29) {
        n = msgpack_put_str_head(b, size);
        cr_assert_eq(msgpack_get_str(b, n + size, &s, &len), 0);
        cr_assert(len == size && s == (char *)b + n);
        cr_assert_lt(msgpack_get_str(b, n + size + 1, &s, &len), 0);
    }
    cr_assert_eq(msgpack_get_str(b, 0, &s, &len), -RAIA_ERR_INVALID);
}

/* A chain survives its encoding; malformed bytes give an error, not a crash. */
Test(chain, round_trip)
{
    uint8_t bytes[CHAIN_BYTES_MAX];
    struct chain c, back;
    struct raia_error e;
    size_t n;

    chain_init(&c);
    for (int i = 1; i <= 8; i++) {
        err_set(&e, RAIA_ERR_TASK_FAILED, "level %d", i);
        e.maybe_executed = i == 8;
        chain_push(&c, &e);
    }
    cr_assert_eq(c.n, CHAIN_MAX);
    n = chain_encode(&c, bytes, sizeof(bytes));
    chain_decode(&back, bytes, n);
    cr_assert_eq(back.n, CHAIN_MAX);
    cr_assert_str_eq(back.links[0].text, "level 8");
    cr_assert(back.links[0].maybe_executed && !back.links[1].maybe_executed);
    for (size_t cut = 0; cut < n; cut++) {
        chain_decode(&back, bytes, cut);
        cr_assert_geq(back.n, 1);
    }
    memset(bytes, 0xff, sizeof(bytes));
    chain_decode(&back, bytes, sizeof(bytes));
    cr_assert(back.n == 1 && back.links[0].code == RAIA_ERR_INTERNAL);
}

/* An entry is found again with its data, end mark and references; any cut of it is refused. */
Test(wire, entries)
{
    _Alignas(8) uint8_t m[512];
    struct wire_ref *refs;
    struct wire_item item;
    uint8_t *data;
    size_t size = wire_entry_size(13, 2), at = 0;

    memset(m, 0xee, sizeof(m));
    wire_entry_begin(m, WIRE_INLINE, 1, 13, 2, &data, &refs);
    memcpy(data, "thirteen byte", 13);
    memset(refs, 0x11, 2 * sizeof(*refs));
    cr_assert_eq(wire_entry_parse(m, size, &at, &item), 0);
    cr_assert_eq(at, size);
    cr_assert(item.head->size == 13 && item.head->nrefs == 2 && item.data[13] == 0);
    cr_assert_eq(item.refs[1].index, 0x11111111);
    for (size_t cut = 0; cut < size; cut++) {
        at = 0;
        cr_assert_eq(wire_entry_parse(m, cut, &at, &item), -RAIA_ERR_PROTOCOL);
        cr_assert_eq(at, 0);
    }
    ((struct wire_entry *)(void *)m)->size = UINT32_MAX;
    at = 0;
    cr_assert_eq(wire_entry_parse(m, size, &at, &item), -RAIA_ERR_PROTOCOL);
}

/* What is taken out of a window by sequence is what was put in, in any order, while it grows. */
Test(window, any_order)
{
    struct window w;
    int items[500];

    window_init(&w);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(window_put(&w, &items[i]), 0);
    cr_assert_eq(window_take(&w, 0), NULL);
    cr_assert_eq(window_take(&w, 501), NULL);
    for (int i = 499; i > 0; i -= 2)
        cr_assert_eq(window_take(&w, (uint64_t)i + 1), &items[i]);
    cr_assert_eq(window_take(&w, 500), NULL);
    cr_assert_eq(window_first(&w), &items[0]);
    cr_assert_eq(window_last_before(&w, w.next), &items[498]);
    for (int i = 0; i < 500; i += 2)
        cr_assert_eq(window_take(&w, (uint64_t)i + 1), &items[i]);
    cr_assert(w.count == 0 && w.base == w.next && !window_first(&w));
    window_fini(&w);
}

/* Out of memory while a window grows loses nothing. */
Test(window, out_of_memory)
{
    struct window w;
    int item;

    window_init(&w);
    mem_fail_nth(1);
    cr_assert_eq(window_put(&w, &item), -RAIA_ERR_NOMEM);
    mem_fail_nth(0);
    cr_assert_eq(window_put(&w, &item), 0);
    cr_assert_eq(window_take(&w, 1), &item);
    window_fini(&w);
}

/* Each call runs once: repeats are dropped, gaps are noticed, kept answers go with acknowledgement.
 */
Test(receiver, once)
{
    const struct kept_reply *k = NULL;
    struct receiver r;
    unsigned n = 0;

    receiver_init(&r, true);
    cr_assert_eq(receiver_hello(&r, 5), 5);
    cr_assert_eq(receiver_call(&r, 5, 5), RECEIVER_RUN);
    cr_assert_eq(receiver_call(&r, 6, 5), RECEIVER_RUN);
    cr_assert_eq(receiver_call(&r, 8, 5), RECEIVER_GAP);
    cr_assert_eq(receiver_answered(&r, 6, "six", 3), 0);
    cr_assert_eq(receiver_answered(&r, 5, "five", 4), 0);
    cr_assert_eq(receiver_hello(&r, 5), 7);
    cr_assert_eq(receiver_call(&r, 6, 5), RECEIVER_DROP);
    while ((k = receiver_next_kept(&r, k)))
        n++;
    cr_assert_eq(n, 2);
    cr_assert_eq(receiver_call(&r, 7, 7), RECEIVER_RUN);
    cr_assert(!receiver_next_kept(&r, NULL) && r.kept_bytes == 0);
    receiver_fini(&r);
}
