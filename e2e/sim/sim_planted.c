/* A simulation is trusted once it has found bugs that were put there on purpose: each of them,
 * within a number of seeds. */
#include <stdio.h>

#include "sim/world.h"

#define SEEDS 400

static bool found(enum plant plant, uint64_t *ret_seed)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim *s = NULL;
        bool bad;

        if (sim_new(seed, &s) < 0)
            return false;
        bad = world_run(s, &plant) < 0;
        if (bad)
            printf("%s: seed %llu: %s\n", plant_name(plant), (unsigned long long)seed,
                   sim_failed(s));
        sim_free(s);
        *ret_seed = seed;
        if (bad)
            return true;
    }
    return false;
}

int main(void)
{
    int missed = 0;
    uint64_t seed = 0;

    for (int p = PLANT_NONE + 1; p < PLANT_MAX; p++)
        if (!found((enum plant)p, &seed)) {
            printf("%s: not found in %d seeds\n", plant_name((enum plant)p), SEEDS);
            missed++;
        }
    printf("%d planted bugs, %d found\n", PLANT_MAX - 1, PLANT_MAX - 1 - missed);
    return missed ? 1 : 0;
}
