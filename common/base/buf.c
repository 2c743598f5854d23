/*
 * Growing by doubling up to the maximum; errors stick in the struct.
 */
#include "base/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "raia/error.h"

#define BUF_FIRST_CAP 64

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->size = 0;
    b->err = 0;
}

void buf_truncate(struct buf *b, size_t size)
{
    if (size < b->size)
        b->size = size;
}

/* Makes room for n more bytes and one for an end mark, which max does not count. */
static int buf_room(struct buf *b, size_t n)
{
    size_t want, cap;
    uint8_t *data;

    if (b->err)
        return b->err;
    if (n > b->max - b->size)
        return b->err = -RAIA_ERR_LIMIT;
    if (__builtin_add_overflow(b->size, n + 1, &want) || want == 0)
        return b->err = -RAIA_ERR_LIMIT;
    if (want <= b->cap)
        return 0;
    cap = b->cap > SIZE_MAX / 2 ? want : b->cap * 2;
    if (cap < BUF_FIRST_CAP)
        cap = BUF_FIRST_CAP;
    if (cap > b->max)
        cap = b->max < SIZE_MAX ? b->max + 1 : b->max;
    if (cap < want)
        cap = want;
    data = mem_realloc(b->data, cap);
    if (!data)
        return b->err = -RAIA_ERR_NOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_grow(struct buf *b, size_t n, uint8_t **ret_at)
{
    int r = buf_room(b, n);

    if (r < 0)
        return r;
    *ret_at = b->data + b->size;
    b->size += n;
    return 0;
}

int buf_put_bytes(struct buf *b, const void *data, size_t size)
{
    uint8_t *at;
    int r = buf_grow(b, size, &at);

    if (r == 0 && size)
        memcpy(at, data, size);
    return r;
}

int buf_put_u8(struct buf *b, uint8_t v)
{
    return buf_put_bytes(b, &v, sizeof v);
}

int buf_put_u16(struct buf *b, uint16_t v)
{
    v = htole16(v);
    return buf_put_bytes(b, &v, sizeof v);
}

int buf_put_u32(struct buf *b, uint32_t v)
{
    v = htole32(v);
    return buf_put_bytes(b, &v, sizeof v);
}

int buf_put_u64(struct buf *b, uint64_t v)
{
    v = htole64(v);
    return buf_put_bytes(b, &v, sizeof v);
}

int buf_put_blob(struct buf *b, const void *data, size_t size)
{
    uint8_t *at;
    uint32_t n = htole32((uint32_t)size);
    int r;

    if (size > UINT32_MAX - sizeof n)
        return b->err ? b->err : (b->err = -RAIA_ERR_LIMIT);
    r = buf_grow(b, sizeof n + size, &at);
    if (r < 0)
        return r;
    memcpy(at, &n, sizeof n);
    if (size)
        memcpy(at + sizeof n, data, size);
    return 0;
}

int buf_put_str(struct buf *b, const char *s)
{
    return buf_put_blob(b, s, s ? strlen(s) : 0);
}

int buf_put_text(struct buf *b, const char *s)
{
    return buf_put_bytes(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int n, r;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        r = b->err ? b->err : (b->err = -RAIA_ERR_INVALID);
    else
        r = buf_room(b, (size_t)n);
    if (r == 0) {
        vsnprintf((char *)b->data + b->size, (size_t)n + 1, fmt, again);
        b->size += (size_t)n;
    }
    va_end(again);
    va_end(ap);
    return r;
}

void buf_set_u32(struct buf *b, size_t at, uint32_t v)
{
    v = htole32(v);
    if (at <= b->size && b->size - at >= sizeof v)
        memcpy(b->data + at, &v, sizeof v);
}

const char *buf_cstr(struct buf *b)
{
    if (buf_room(b, 0) < 0)
        return NULL;
    b->data[b->size] = '\0';
    return (const char *)b->data;
}

char *buf_steal(struct buf *b, size_t *ret_size)
{
    char *data;

    if (!buf_cstr(b))
        return NULL;
    data = (char *)b->data;
    if (ret_size)
        *ret_size = b->size;
    *b = (struct buf){.max = b->max};
    return data;
}

void reader_init(struct reader *r, const void *data, size_t size)
{
    r->p = data;
    r->end = size ? r->p + size : r->p;
    r->err = 0;
}

size_t reader_left(const struct reader *r)
{
    return r->err ? 0 : (size_t)(r->end - r->p);
}

int reader_bytes(struct reader *r, size_t size, const uint8_t **ret_data)
{
    if (r->err)
        return r->err;
    if (size > (size_t)(r->end - r->p))
        return r->err = -RAIA_ERR_PROTOCOL;
    *ret_data = r->p;
    if (size)
        r->p += size;
    return 0;
}

int reader_copy(struct reader *r, void *to, size_t size)
{
    const uint8_t *from;
    int err = reader_bytes(r, size, &from);

    if (err == 0 && size)
        memcpy(to, from, size);
    return err;
}

int reader_u8(struct reader *r, uint8_t *ret_v)
{
    return reader_copy(r, ret_v, sizeof *ret_v);
}

int reader_u16(struct reader *r, uint16_t *ret_v)
{
    uint16_t v;
    int err = reader_copy(r, &v, sizeof v);

    if (err == 0)
        *ret_v = le16toh(v);
    return err;
}

int reader_u32(struct reader *r, uint32_t *ret_v)
{
    uint32_t v;
    int err = reader_copy(r, &v, sizeof v);

    if (err == 0)
        *ret_v = le32toh(v);
    return err;
}

int reader_u64(struct reader *r, uint64_t *ret_v)
{
    uint64_t v;
    int err = reader_copy(r, &v, sizeof v);

    if (err == 0)
        *ret_v = le64toh(v);
    return err;
}

int reader_blob(struct reader *r, size_t max, const uint8_t **ret_data, size_t *ret_size)
{
    uint32_t n;
    const uint8_t *data;
    int err = reader_u32(r, &n);

    if (err)
        return err;
    if (n > max)
        return r->err = -RAIA_ERR_PROTOCOL;
    err = reader_bytes(r, n, &data);
    if (err)
        return err;
    *ret_data = data;
    *ret_size = n;
    return 0;
}

int reader_str(struct reader *r, size_t max, const char **ret_text, size_t *ret_size)
{
    const uint8_t *data;
    size_t n;
    int err = reader_blob(r, max, &data, &n);

    if (err)
        return err;
    if (n && memchr(data, 0, n))
        return r->err = -RAIA_ERR_PROTOCOL;
    *ret_text = (const char *)data;
    *ret_size = n;
    return 0;
}

int reader_done(struct reader *r)
{
    if (!r->err && r->p != r->end)
        r->err = -RAIA_ERR_PROTOCOL;
    return r->err;
}
