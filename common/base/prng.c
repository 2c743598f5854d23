/*
 * xoshiro256** and splitmix64, and the usual draws from them.
 */
#include "base/prng.h"

#include <string.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void prng_seed(struct prng *p, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        p->s[i] = splitmix64(&seed);
}

uint64_t prng_next(struct prng *p)
{
    uint64_t result = rotl(p->s[1] * 5, 7) * 9, t = p->s[1] << 17;

    p->s[2] ^= p->s[0];
    p->s[3] ^= p->s[1];
    p->s[1] ^= p->s[2];
    p->s[0] ^= p->s[3];
    p->s[2] ^= t;
    p->s[3] = rotl(p->s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *p, uint64_t n)
{
    uint64_t v, skip;

    if (n == 0)
        return 0;
    skip = (0 - n) % n; /* the first 2^64 mod n values would favour the small results */
    do
        v = prng_next(p);
    while (v < skip);
    return v % n;
}

int64_t prng_range(struct prng *p, int64_t lo, int64_t hi)
{
    uint64_t span = (uint64_t)hi - (uint64_t)lo + 1;

    if (hi <= lo)
        return lo;
    return (int64_t)((uint64_t)lo + (span ? prng_below(p, span) : prng_next(p)));
}

double prng_double(struct prng *p)
{
    return (double)(prng_next(p) >> 11) * 0x1.0p-53;
}

bool prng_chance(struct prng *p, double probability)
{
    return prng_double(p) < probability;
}

void prng_fill(struct prng *p, void *to, size_t size)
{
    uint8_t *at = to;

    while (size) {
        uint64_t v = prng_next(p);
        size_t n = size < sizeof v ? size : sizeof v;
        memcpy(at, &v, n);
        at += n;
        size -= n;
    }
}

int64_t prng_backoff_ms(struct prng *p, unsigned attempt, int64_t base_ms, int64_t max_ms)
{
    int64_t wait = base_ms > 0 ? base_ms : 1;

    while (attempt-- && wait < max_ms)
        wait = wait > INT64_MAX / 2 ? INT64_MAX : wait * 2;
    if (wait > max_ms)
        wait = max_ms > 0 ? max_ms : 1;
    return prng_range(p, wait / 2 + wait % 2, wait);
}
