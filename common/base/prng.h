/*
 * A seeded pseudo-random generator: for simulations, jitter and sampling; never for secrets.
 *
 * xoshiro256** seeded through splitmix64, both by David Blackman and Sebastiano Vigna (public
 * domain, https://prng.di.unimi.it/). The same seed gives the same numbers on every machine.
 *
 * Threads: one at a time. Failure: none.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t s[4]; /* the state; never all zero */
};

void prng_seed(struct prng *p, uint64_t seed);
uint64_t prng_next(struct prng *p);
/* 0 .. n-1, each as likely; 0 if n is 0. */
uint64_t prng_below(struct prng *p, uint64_t n);
/* lo .. hi, both included; lo if hi < lo. */
int64_t prng_range(struct prng *p, int64_t lo, int64_t hi);
/* [0, 1). */
double prng_double(struct prng *p);
/* True with this probability. */
bool prng_chance(struct prng *p, double probability);
void prng_fill(struct prng *p, void *to, size_t size);

/*
 * The wait before retry `attempt` (0 is the first): doubles from base_ms up to max_ms, and the
 * upper half of it is random, so that those who failed together do not come back together.
 */
int64_t prng_backoff_ms(struct prng *p, unsigned attempt, int64_t base_ms, int64_t max_ms);

#endif
