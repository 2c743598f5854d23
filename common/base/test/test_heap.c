/* Tests of base/heap.h and base/timers.h. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/timers.h"
#include "raia/error.h"

/* Under random setting, moving, cancelling and popping, a thousand timers agree with a plain scan.
 */
Test(timers, against_a_model)
{
    enum { N = 200 };
    static struct timer timers[N];
    struct timers t;
    struct prng p;
    int64_t now = 0;

    prng_seed(&p, 11);
    timers_init(&t);
    for (int step = 0; step < 20000; step++) {
        struct timer *x = &timers[prng_below(&p, N)], *first = NULL;
        uint64_t what = prng_below(&p, 10);
        if (what < 5) {
            cr_assert_eq(timers_set(&t, x, now + (int64_t)prng_below(&p, 50)), 0);
        } else if (what < 6) {
            timers_cancel(&t, x);
            cr_assert(!timer_is_set(x));
        } else {
            now += (int64_t)prng_below(&p, 3);
        }
        for (int i = 0; i < N; i++)
            if (timer_is_set(&timers[i]) &&
                (!first || timers[i].due < first->due ||
                 (timers[i].due == first->due && timers[i].seq < first->seq)))
                first = &timers[i];
        cr_assert_eq(timers_next(&t), first ? first->due : CLOCK_NEVER);
        if (first && first->due > now)
            first = NULL;
        cr_assert_eq(timers_pop(&t, now), first);
    }
    timers_fini(&t);
    for (int i = 0; i < N; i++)
        cr_assert(!timer_is_set(&timers[i]));
}

/* Timers of one time come in the order in which they were set. */
Test(timers, ties)
{
    struct timer a = {.kind = 1}, b = {.kind = 2}, c = {.kind = 3};
    struct timers t;

    timers_init(&t);
    timers_set(&t, &a, 5);
    timers_set(&t, &b, 5);
    timers_set(&t, &c, 5);
    timers_set(&t, &a, 5);
    cr_assert_null(timers_pop(&t, 4));
    cr_assert_eq(timers_pop(&t, 5)->kind, 2);
    cr_assert_eq(timers_pop(&t, 5)->kind, 3);
    cr_assert_eq(timers_pop(&t, 5)->kind, 1);
    cr_assert_eq(timers_next(&t), CLOCK_NEVER);
    timers_fini(&t);
}

/* Out of memory leaves the timer unset; what was reserved cannot fail. */
Test(timers, out_of_memory)
{
    static struct timer timers[100];
    struct timers t;

    timers_init(&t);
    mem_fail_nth(1);
    cr_assert_eq(timers_set(&t, &timers[0], 1), -RAIA_ERR_NOMEM);
    cr_assert(!timer_is_set(&timers[0]));
    cr_assert_eq(timers_reserve(&t, 100), 0);
    mem_fail_nth(1);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(timers_set(&t, &timers[i], i), 0);
    cr_assert_eq(mem_fail_count(), 0);
    mem_fail_nth(0);
    cr_assert_eq(timers_reserve(&t, SIZE_MAX), -RAIA_ERR_NOMEM);
    timers_fini(&t);
}
