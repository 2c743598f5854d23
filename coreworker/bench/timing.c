/* Timing: the warm-up and the rounds of Ray's timeit. */
#include "bench/timing.h"

#include <math.h>

#include "base/clock.h"
#include "bench/bench.h"

double timing_now(void)
{
    return (double)clock_now_ns() / 1e9;
}

/* Calls it until `seconds` have passed, looking at the clock after every `run` steps. */
static int repeat(int (*step)(struct bench *b), struct bench *b, double seconds, unsigned long run,
                  unsigned long *ret_count, double *ret_took)
{
    double start = timing_now(), now = start;
    unsigned long count = 0;

    while (now - start < seconds) {
        for (unsigned long i = 0; i < run; i++) {
            int r = step(b);
            if (r < 0)
                return r;
        }
        count += run;
        now = timing_now();
    }
    *ret_count = count;
    *ret_took = now - start;
    return 0;
}

int timing_run(const struct timing *t, int (*step)(struct bench *b), struct bench *b, double weight,
               struct bench_result *ret)
{
    double rate[TIMING_ROUNDS_MAX], took, sum = 0, squares = 0;
    unsigned long warm = 0, count;

    int r = repeat(step, b, t->warm_up_s, 1, &warm, &took);
    if (r < 0)
        return r;
    for (int i = 0; i < t->rounds; i++) {
        r = repeat(step, b, t->round_s, warm / 10 + 1, &count, &took);
        if (r < 0)
            return r;
        rate[i] = weight * (double)count / took;
        sum += rate[i];
    }
    double mean = sum / t->rounds;
    for (int i = 0; i < t->rounds; i++)
        squares += (rate[i] - mean) * (rate[i] - mean);
    *ret = (struct bench_result){.per_second = mean, .sd = sqrt(squares / t->rounds)};
    return 0;
}
