/* Whole clusters under faults, seed after seed. RAIA_SIM_SEEDS=N runs that many, RAIA_SIM_SEED=K
 * that one; RAIA_SIM_SHOW=1 shows who waits for what when one fails, RAIA_SIM_TRACE=1 each event. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/world.h"

#define SEEDS 1000

int main(void)
{
    const struct world_totals *t = world_totals();

    if (sim_seeds("cluster", 1, SEEDS, world_run, NULL) < 0)
        return 1;
    printf(
        "large values: read %llu times, %llu MiB between nodes, %llu evicted, %llu times no room, "
        "%llu results not taken\n",
        (unsigned long long)t->read, (unsigned long long)t->pulled >> 20,
        (unsigned long long)t->evicted, (unsigned long long)t->full, (unsigned long long)t->strays);
    printf("gets: %llu found no room, %llu of them had it later; %llu given up\n",
           (unsigned long long)t->refused, (unsigned long long)t->again,
           (unsigned long long)t->given_up);
    if (getenv("RAIA_SIM_SEED"))
        printf("seed %s, all good\n", getenv("RAIA_SIM_SEED"));
    else
        printf("%lu seeds, all good\n", (unsigned long)sim_seeds_wanted("RAIA_SIM_SEEDS", SEEDS));
    return 0;
}
