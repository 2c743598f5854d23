/*
 * Timing as Ray's microbenchmark does it: call the step for a second to warm up and count; then
 * rounds (4), each calling it in runs of a tenth of that count until the round's time (2 s) is
 * over. The result is the mean and the population standard deviation of the rounds' rates.
 *
 *     struct timing t = {.warm_up_s = 1, .round_s = 2, .rounds = 4};
 *     r = timing_run(&t, step, arg, 1000, &result);
 */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

struct bench;
struct bench_result;

#define TIMING_ROUNDS_MAX 100

struct timing {
    double warm_up_s; /* seconds */
    double round_s;   /* seconds */
    int rounds;       /* 1..TIMING_ROUNDS_MAX */
};

/* `weight`: what one step counts for. Ends with the first step that fails, and returns its code;
 * *ret is set on success only. */
int timing_run(const struct timing *t, int (*step)(struct bench *b), struct bench *b, double weight,
               struct bench_result *ret);

/* Seconds of the monotonic clock. */
double timing_now(void);

#endif
