/*
 * Running a scenario with many seeds, and telling how to run the one that failed again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sim.h"
#include "base/sim_impl.h"
#include "base/str.h"

/* A number from the environment. True: there is one. */
static bool env_number(const char *name, uint64_t *ret_v)
{
    const char *text = getenv(name);

    if (!text || !*text)
        return false;
    if (str_to_u64(text, ret_v) < 0) {
        fprintf(stderr, "%s='%s': want a number\n", name, text);
        exit(2);
    }
    return true;
}

uint64_t sim_seeds_wanted(const char *variable, uint64_t ordinary)
{
    uint64_t n = ordinary, times = 1;

    if (env_number(variable, &n) || !env_number("RAIA_SIM_TIMES", &times))
        return n;
    return __builtin_mul_overflow(n, times, &n) ? UINT64_MAX : n;
}

int sim_seeds(const char *name, uint64_t first, uint64_t n, sim_scenario_fn scenario, void *ctx)
{
    uint64_t trace = 0;

    if (n > 1)
        n = sim_seeds_wanted("RAIA_SIM_SEEDS", n);
    if (env_number("RAIA_SIM_SEED", &first))
        n = 1;
    env_number("RAIA_SIM_TRACE", &trace);
    for (uint64_t seed = first; n--; seed++) {
        struct sim *s = NULL;
        int r = sim_new(seed, &s);
        if (r == 0) {
            s->trace = trace != 0;
            r = scenario(s, ctx);
        }
        if (r != 0 || sim_failed(s)) {
            fprintf(stderr,
                    "simulation '%s' failed with seed %" PRIu64 " at %.6f ms: %s\n"
                    "run it again: RAIA_SIM_SEED=%" PRIu64 " (RAIA_SIM_TRACE=1 shows events)\n",
                    name, seed, s ? (double)sim_now(s) / 1e6 : 0.0,
                    !s              ? "out of memory"
                    : sim_failed(s) ? sim_failed(s)
                                    : "the scenario returned an error",
                    seed);
            sim_free(s);
            return -RAIA_ERR_INTERNAL;
        }
        sim_free(s);
    }
    return 0;
}
