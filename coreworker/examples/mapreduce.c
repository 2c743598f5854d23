/* Map and reduce: estimates pi from many random points, in batches, and adds up the batches. */
#include <stdio.h>

#include <raia/raia.h>

#define BATCHES 20
#define POINTS  200000

/* How many of POINTS random points of the unit square lie in the quarter circle. */
static int sample(raia_call *c)
{
    int64_t seed, inside = 0;
    if (raia_arg_int(c, 0, &seed) < 0)
        return raia_fail(c, "sample wants a seed");
    uint64_t s = (uint64_t)seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < POINTS; i++) {
        double xy[2];
        for (int k = 0; k < 2; k++) {
            s ^= s << 13; /* xorshift64, Marsaglia 2003 */
            s ^= s >> 7;
            s ^= s << 17;
            xy[k] = (double)(s >> 11) / 9007199254740992.0;
        }
        inside += xy[0] * xy[0] + xy[1] * xy[1] < 1;
    }
    return raia_return_int(c, inside);
}
RAIA_TASK(sample)

static int sum(raia_call *c)
{
    int64_t total = 0, v;
    for (size_t i = 0; i < raia_arg_count(c); i++) {
        if (raia_arg_int(c, i, &v) < 0)
            return raia_fail(c, "sum wants integers");
        total += v;
    }
    return raia_return_int(c, total);
}
RAIA_TASK(sum)

int main(void)
{
    raia_ref *parts[BATCHES];
    struct raia_value args[BATCHES];
    int64_t inside;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    for (int i = 0; i < BATCHES; i++) {
        parts[i] = raia_submit(sample, raia_int(i + 1));
        args[i] = raia_value_of(parts[i]);
    }
    raia_ref *total = raia_submit_array(NULL, sum, args, BATCHES);
    if (raia_get_int(total, &inside, RAIA_FOREVER) < 0)
        return raia_perror("sum");
    printf("pi is about %.2f\n", 4.0 * (double)inside / ((double)BATCHES * POINTS));
    raia_release_all(parts, BATCHES);
    raia_release(total);
    raia_shutdown();
    return 0;
}
