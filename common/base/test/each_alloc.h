/*
 * For tests: a step is run with its first, second, ... allocation failing, until it makes no more.
 *
 *     static int step_pack(void *arg)                 // 0, or negative: it failed; leaves nothing
 *     ...
 *     cr_assert_geq(each_alloc(step_pack, NULL), 3);  // it failed at least three times
 *
 * Each failure must be NOMEM, and the last run, in which nothing fails, must succeed. Allocations of
 * the calling thread are meant (each_alloc_anywhere: of all threads), with those of libraries that
 * go through base/mem.h.
 */
#ifndef BASE_TEST_EACH_ALLOC_H
#define BASE_TEST_EACH_ALLOC_H

#include <criterion/criterion.h>

#include "base/mem.h"
#include "raia/error.h"

#define EACH_ALLOC_MOST 2000

static inline unsigned each_alloc_by(void (*fail_nth)(uint64_t), uint64_t (*count)(void),
                                     int (*step)(void *arg), void *arg)
{
    unsigned failed = 0;
    uint64_t n, made;

    for (n = 1; n <= EACH_ALLOC_MOST; n++) {
        fail_nth(n);
        int r = step(arg);
        made = count();
        fail_nth(0);
        cr_assert(r == 0 || r == -RAIA_ERR_NOMEM, "allocation %u failed: %d, %s", (unsigned)n, r,
                  raia_strerror(r));
        failed += r < 0;
        if (made < n) {
            cr_assert_eq(r, 0, "with memory it fails with %d", r);
            return failed;
        }
    }
    cr_assert_fail("it allocates without end");
    return failed;
}

static inline unsigned each_alloc(int (*step)(void *arg), void *arg)
{
    return each_alloc_by(mem_fail_nth, mem_fail_count, step, arg);
}

static inline unsigned each_alloc_anywhere(int (*step)(void *arg), void *arg)
{
    return each_alloc_by(mem_fail_nth_anywhere, mem_fail_count_anywhere, step, arg);
}

#endif
