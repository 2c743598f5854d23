/*
 * MessagePack scalars: what a value of format RAIA_MSGPACK may be made of by raia_int and friends.
 *
 * Encoders write the shortest form to `to` (MSGPACK_SCALAR_MAX bytes; for strings only the head,
 * the bytes follow) and return its length. Decoders take one whole item and nothing behind it.
 *
 * Threads: any. Failure of decoders: -INVALID (another type, out of range), -PROTOCOL (cut off).
 */
#ifndef CORE_MSGPACK_H
#define CORE_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSGPACK_SCALAR_MAX 9u

size_t msgpack_put_nil(uint8_t *to);
size_t msgpack_put_bool(uint8_t *to, bool v);
size_t msgpack_put_int(uint8_t *to, int64_t v);
size_t msgpack_put_double(uint8_t *to, double v);
/* size is at most UINT32_MAX. */
size_t msgpack_put_str_head(uint8_t *to, size_t size);

int msgpack_get_bool(const uint8_t *p, size_t size, bool *ret);
int msgpack_get_int(const uint8_t *p, size_t size, int64_t *ret);
int msgpack_get_double(const uint8_t *p, size_t size, double *ret);
int msgpack_get_str(const uint8_t *p, size_t size, const char **ret, size_t *ret_size);

#endif
