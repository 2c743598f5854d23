/*
 * A growing byte buffer with a maximum size, and a bounds-checked reader of the same layout.
 *
 *     struct buf b;
 *     buf_init(&b, 1 << 20);
 *     buf_put_u32(&b, version);
 *     buf_put_str(&b, name);               // u32 length, then the bytes
 *     if (b.err) ...                       // errors stick: one check at the end is enough
 *     buf_fini(&b);
 *
 *     struct reader r;
 *     reader_init(&r, data, size);
 *     reader_u32(&r, &version);
 *     reader_str(&r, 255, &name, &name_size);
 *     return reader_done(&r);              // -PROTOCOL if anything was missing or is left over
 *
 * Integers are little-endian. A call that fails appends nothing.
 *
 * Ownership: the buffer owns data; buf_steal hands it over; what a reader gives out points into the
 * bytes it reads. Threads: one at a time.
 * Failure: -LIMIT beyond the maximum, -NOMEM, -PROTOCOL from the reader; all of them stick.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* NULL until the first byte */
    size_t size;   /* bytes put */
    size_t cap;    /* bytes allocated */
    size_t max;    /* bytes that it may ever hold */
    int err;       /* the first failure (negative code); all puts fail with it until reset */
};

void buf_init(struct buf *b, size_t max);
/* Frees the bytes; b is then empty and usable again. Accepts a zeroed struct. */
void buf_fini(struct buf *b);
/* Forgets bytes and error, keeps the memory. */
void buf_reset(struct buf *b);
/* Cuts it back to `size` bytes, at most what it holds. */
void buf_truncate(struct buf *b, size_t size);

/* Appends n bytes to be written by the caller, at *ret_at, valid until the next call. */
int buf_grow(struct buf *b, size_t n, uint8_t **ret_at);
int buf_put_bytes(struct buf *b, const void *data, size_t size);
int buf_put_u8(struct buf *b, uint8_t v);
int buf_put_u16(struct buf *b, uint16_t v);
int buf_put_u32(struct buf *b, uint32_t v);
int buf_put_u64(struct buf *b, uint64_t v);
/* u32 length and the bytes, as reader_blob and reader_str read it; s NULL counts as "". */
int buf_put_blob(struct buf *b, const void *data, size_t size);
int buf_put_str(struct buf *b, const char *s);
/* Text, without a length or an end mark. */
int buf_put_text(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Overwrites a u32 at an offset below size - 3: for lengths known later. */
void buf_set_u32(struct buf *b, size_t at, uint32_t v);

/* The bytes as a C string (an end mark is put behind them, not counted). NULL if that fails. */
const char *buf_cstr(struct buf *b);
/* Hands the bytes over (mem_free), with an end mark behind them; NULL on failure or a sticky error.
 */
char *buf_steal(struct buf *b, size_t *ret_size);

struct reader {
    const uint8_t *p;   /* next byte */
    const uint8_t *end; /* behind the last one */
    int err;            /* the first failure; all reads fail with it */
};

void reader_init(struct reader *r, const void *data, size_t size);
size_t reader_left(const struct reader *r);
int reader_u8(struct reader *r, uint8_t *ret_v);
int reader_u16(struct reader *r, uint16_t *ret_v);
int reader_u32(struct reader *r, uint32_t *ret_v);
int reader_u64(struct reader *r, uint64_t *ret_v);
/* Exactly `size` bytes, in place or copied. */
int reader_bytes(struct reader *r, size_t size, const uint8_t **ret_data);
int reader_copy(struct reader *r, void *to, size_t size);
/* u32 length and bytes; a length over max is -PROTOCOL. */
int reader_blob(struct reader *r, size_t max, const uint8_t **ret_data, size_t *ret_size);
/* The same for text: a byte 0 in it is -PROTOCOL. Not terminated. */
int reader_str(struct reader *r, size_t max, const char **ret_text, size_t *ret_size);
/* 0 if all went well and nothing is left. */
int reader_done(struct reader *r);

#endif
