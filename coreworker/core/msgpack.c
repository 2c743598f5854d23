/* MessagePack scalars, by the format's own table (big-endian, shortest form). */
#include "core/msgpack.h"

#include <string.h>

#include "raia/error.h"

static size_t put_be(uint8_t *to, uint8_t code, uint64_t v, size_t bytes)
{
    to[0] = code;
    for (size_t i = 0; i < bytes; i++)
        to[1 + i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    return 1 + bytes;
}

static uint64_t get_be(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;

    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

size_t msgpack_put_nil(uint8_t *to)
{
    to[0] = 0xc0;
    return 1;
}

size_t msgpack_put_bool(uint8_t *to, bool v)
{
    to[0] = v ? 0xc3 : 0xc2;
    return 1;
}

size_t msgpack_put_int(uint8_t *to, int64_t v)
{
    if (v >= 0) {
        if (v < 128)
            return put_be(to, (uint8_t)v, 0, 0);
        if (v <= UINT8_MAX)
            return put_be(to, 0xcc, (uint64_t)v, 1);
        if (v <= UINT16_MAX)
            return put_be(to, 0xcd, (uint64_t)v, 2);
        if (v <= UINT32_MAX)
            return put_be(to, 0xce, (uint64_t)v, 4);
        return put_be(to, 0xcf, (uint64_t)v, 8);
    }
    if (v >= -32)
        return put_be(to, (uint8_t)(int8_t)v, 0, 0);
    if (v >= INT8_MIN)
        return put_be(to, 0xd0, (uint64_t)v, 1);
    if (v >= INT16_MIN)
        return put_be(to, 0xd1, (uint64_t)v, 2);
    if (v >= INT32_MIN)
        return put_be(to, 0xd2, (uint64_t)v, 4);
    return put_be(to, 0xd3, (uint64_t)v, 8);
}

size_t msgpack_put_double(uint8_t *to, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return put_be(to, 0xcb, bits, 8);
}

size_t msgpack_put_str_head(uint8_t *to, size_t size)
{
    if (size < 32)
        return put_be(to, (uint8_t)(0xa0 | size), 0, 0);
    if (size <= UINT8_MAX)
        return put_be(to, 0xd9, size, 1);
    if (size <= UINT16_MAX)
        return put_be(to, 0xda, size, 2);
    return put_be(to, 0xdb, size, 4);
}

int msgpack_get_bool(const uint8_t *p, size_t size, bool *ret)
{
    if (size != 1 || (p[0] != 0xc2 && p[0] != 0xc3))
        return -RAIA_ERR_INVALID;
    *ret = p[0] == 0xc3;
    return 0;
}

/* The integer of a code from 0xcc to 0xd3: its width is 1, 2, 4, 8, then the same signed. */
static int get_wide(const uint8_t *p, size_t size, int64_t *ret)
{
    size_t bytes = (size_t)1 << ((p[0] - 0xcc) & 3);
    uint64_t v;

    if (size != 1 + bytes)
        return -RAIA_ERR_PROTOCOL;
    v = get_be(p + 1, bytes);
    if (p[0] >= 0xd0)
        *ret = (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
    else if (v > INT64_MAX)
        return -RAIA_ERR_INVALID;
    else
        *ret = (int64_t)v;
    return 0;
}

/* 0xca and 0xcb. */
static int get_float(const uint8_t *p, size_t size, double *ret)
{
    uint64_t bits;
    uint32_t bits32;
    float f;

    if (p[0] == 0xca) {
        if (size != 5)
            return -RAIA_ERR_PROTOCOL;
        bits32 = (uint32_t)get_be(p + 1, 4);
        memcpy(&f, &bits32, sizeof(f));
        *ret = (double)f;
        return 0;
    }
    if (size != 9)
        return -RAIA_ERR_PROTOCOL;
    bits = get_be(p + 1, 8);
    memcpy(ret, &bits, sizeof(bits));
    return 0;
}

int msgpack_get_int(const uint8_t *p, size_t size, int64_t *ret)
{
    double d;
    int r;

    if (size == 0)
        return -RAIA_ERR_INVALID;
    if (p[0] < 0x80 || p[0] >= 0xe0) {
        if (size != 1)
            return -RAIA_ERR_PROTOCOL;
        *ret = (int8_t)p[0];
        return 0;
    }
    if (p[0] >= 0xcc && p[0] <= 0xd3)
        return get_wide(p, size, ret);
    if (p[0] != 0xca && p[0] != 0xcb)
        return -RAIA_ERR_INVALID;
    r = get_float(p, size, &d);
    if (r < 0)
        return r;
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || (double)(int64_t)d != d)
        return -RAIA_ERR_INVALID;
    *ret = (int64_t)d;
    return 0;
}

int msgpack_get_double(const uint8_t *p, size_t size, double *ret)
{
    int64_t i;
    int r;

    if (size == 0)
        return -RAIA_ERR_INVALID;
    if (p[0] == 0xca || p[0] == 0xcb)
        return get_float(p, size, ret);
    r = msgpack_get_int(p, size, &i);
    if (r < 0)
        return r;
    *ret = (double)i;
    return 0;
}

int msgpack_get_str(const uint8_t *p, size_t size, const char **ret, size_t *ret_size)
{
    size_t head, len;

    if (size == 0)
        return -RAIA_ERR_INVALID;
    if ((p[0] & 0xe0) == 0xa0) {
        head = 1;
        len = p[0] & 0x1f;
    } else if (p[0] >= 0xd9 && p[0] <= 0xdb) {
        head = 1 + ((size_t)1 << (p[0] - 0xd9));
        if (size < head)
            return -RAIA_ERR_PROTOCOL;
        len = get_be(p + 1, head - 1);
    } else {
        return -RAIA_ERR_INVALID;
    }
    if (size - head != len)
        return -RAIA_ERR_PROTOCOL;
    *ret = (const char *)p + head;
    *ret_size = len;
    return 0;
}
