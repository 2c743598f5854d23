/* Tests of base/buf.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "raia/error.h"

/* What is put is read back in order, and the layout is little-endian. */
Test(buf, round_trip)
{
    struct buf b;
    struct reader r;
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    const char *s;
    size_t n;

    buf_init(&b, 1000);
    buf_put_u8(&b, 1);
    buf_put_u16(&b, 0x0203);
    buf_put_u32(&b, 0x04050607);
    buf_put_u64(&b, UINT64_C(0x08090a0b0c0d0e0f));
    buf_put_str(&b, "name");
    buf_put_str(&b, NULL);
    buf_printf(&b, "%d!", 42);
    cr_assert_eq(b.err, 0);
    cr_assert_eq(memcmp(b.data, "\1\3\2\7\6\5\4\x0f", 8), 0);
    cr_assert_str_eq(buf_cstr(&b) + b.size - 3, "42!");

    reader_init(&r, b.data, b.size);
    cr_assert_eq(reader_u8(&r, &v8), 0);
    cr_assert_eq(reader_u16(&r, &v16), 0);
    cr_assert_eq(reader_u32(&r, &v32), 0);
    cr_assert_eq(reader_u64(&r, &v64), 0);
    cr_assert(v8 == 1 && v16 == 0x0203 && v32 == 0x04050607);
    cr_assert_eq(v64, UINT64_C(0x08090a0b0c0d0e0f));
    cr_assert_eq(reader_str(&r, 4, &s, &n), 0);
    cr_assert(n == 4 && !memcmp(s, "name", 4));
    cr_assert_eq(reader_str(&r, 4, &s, &n), 0);
    cr_assert_eq(n, 0);
    cr_assert_eq(reader_left(&r), 3);
    cr_assert_eq(reader_done(&r), -RAIA_ERR_PROTOCOL);
    buf_fini(&b);
}

/* Not a byte goes in beyond the maximum, a failing put adds nothing, and the failure sticks. */
Test(buf, limit)
{
    struct buf b;

    buf_init(&b, 100);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(buf_put_u8(&b, (uint8_t)i), 0);
    cr_assert_leq(b.cap, 101);
    cr_assert_not_null(buf_cstr(&b));
    cr_assert_eq(buf_put_u8(&b, 0), -RAIA_ERR_LIMIT);
    cr_assert_eq(b.size, 100);
    buf_truncate(&b, 50);
    cr_assert_eq(buf_put_u8(&b, 0), -RAIA_ERR_LIMIT);
    cr_assert_null(buf_steal(&b, NULL));
    buf_reset(&b);
    cr_assert_eq(buf_printf(&b, "%0101d", 1), -RAIA_ERR_LIMIT);
    buf_reset(&b);
    cr_assert_eq(buf_put_blob(&b, "x", SIZE_MAX), -RAIA_ERR_LIMIT);
    buf_reset(&b);
    cr_assert_eq(buf_put_blob(&b, b.data, 97), -RAIA_ERR_LIMIT);
    cr_assert_eq(b.size, 0);
    buf_fini(&b);
}

/* A stolen buffer is terminated, and its place is taken by an empty one. */
Test(buf, steal)
{
    struct buf b;
    size_t n;

    buf_init(&b, 10);
    buf_put_text(&b, "abc");
    char *s = buf_steal(&b, &n);
    cr_assert_str_eq(s, "abc");
    cr_assert_eq(n, 3);
    mem_free(s);
    cr_assert_eq(b.size, 0);
    s = buf_steal(&b, &n);
    cr_assert_str_eq(s, "");
    mem_free(s);
    buf_put_u32(&b, 0);
    buf_set_u32(&b, 0, 0x01020304);
    buf_set_u32(&b, 1, 0xffffffff);
    cr_assert_eq(memcmp(b.data, "\4\3\2\1", 4), 0);
    buf_fini(&b);
}

/* Whichever allocation fails, the put says so, the bytes before it are whole, and nothing leaks. */
Test(buf, nth_allocation_fails)
{
    for (uint64_t n = 1;; n++) {
        struct buf b;
        size_t good = 0;
        buf_init(&b, 1 << 20);
        mem_fail_nth(n);
        while (good < 5000 && buf_put_u8(&b, (uint8_t)good) == 0)
            good++;
        bool reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        cr_assert_eq(b.size, good);
        cr_assert_eq(b.err, reached ? -RAIA_ERR_NOMEM : 0);
        for (size_t i = 0; i < good; i++)
            cr_assert_eq(b.data[i], (uint8_t)i);
        buf_fini(&b);
        if (!reached)
            break;
        cr_assert_lt(n, 100);
    }
}

/* Truncated, oversized and NUL-carrying input is refused at every length, and the error sticks. */
Test(reader, hostile)
{
    struct buf b;
    const char *s = NULL;
    size_t n = 77;
    uint32_t v = 5;

    buf_init(&b, 100);
    buf_put_str(&b, "hello");
    for (size_t cut = 0; cut < b.size; cut++) {
        struct reader r;
        reader_init(&r, b.data, cut);
        cr_assert_eq(reader_str(&r, 100, &s, &n), -RAIA_ERR_PROTOCOL);
        cr_assert_null(s);
        cr_assert_eq(n, 77);
        cr_assert_eq(reader_u32(&r, &v), -RAIA_ERR_PROTOCOL);
        cr_assert_eq(reader_left(&r), 0);
        cr_assert_eq(v, 5);
    }
    struct reader r;
    reader_init(&r, b.data, b.size);
    cr_assert_eq(reader_str(&r, 4, &s, &n), -RAIA_ERR_PROTOCOL);
    b.data[6] = 0;
    reader_init(&r, b.data, b.size);
    cr_assert_eq(reader_str(&r, 100, &s, &n), -RAIA_ERR_PROTOCOL);
    b.data[0] = b.data[1] = b.data[2] = b.data[3] = 0xff;
    reader_init(&r, b.data, b.size);
    cr_assert_eq(reader_str(&r, SIZE_MAX, &s, &n), -RAIA_ERR_PROTOCOL);
    reader_init(&r, NULL, 0);
    cr_assert_eq(reader_done(&r), 0);
    buf_fini(&b);
}
