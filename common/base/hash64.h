/*
 * A fast 64-bit hash of bytes: for tables, never for security. The value is the same in all
 * processes of a machine, and is not for storing or sending.
 *
 * The mixing step (a 64x64 -> 128 bit product folded by xor) and its constants are those of wyhash
 * by Wang Yi (public domain).
 *
 * Threads: any. Failure: none.
 */
#ifndef BASE_HASH64_H
#define BASE_HASH64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix__(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_u64(uint64_t v)
{
    return hash_mix__(v ^ UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db));
}

static inline uint64_t hash_bytes(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t h = UINT64_C(0x8ebc6af09c88c6e3) ^ size, a, b;

    for (; size > 16; p += 16, size -= 16) {
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        h = hash_mix__(a ^ UINT64_C(0xa0761d6478bd642f), b ^ h);
    }
    if (size >= 8) {
        memcpy(&a, p, 8);
        memcpy(&b, p + size - 8, 8);
    } else {
        a = b = 0;
        memcpy(&a, p, size);
    }
    h = hash_mix__(a ^ UINT64_C(0xe7037ed1a0b428db), b ^ h);
    return hash_mix__(h ^ UINT64_C(0x589965cc75374cc3), UINT64_C(0xa0761d6478bd642f));
}

#endif
