/* Tests of base/err.h, base/mem.h and base/clock.h. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

/* Every code has a text of its own, found under either sign. */
Test(err, texts)
{
    for (int i = 1; i <= RAIA_ERR_MAX; i++) {
        cr_assert_not_null(raia_strerror(i));
        cr_assert_str_eq(raia_strerror(i), raia_strerror(-i));
        cr_assert_str_neq(raia_strerror(i), "unknown error");
        for (int j = 1; j < i; j++)
            cr_assert_str_neq(raia_strerror(i), raia_strerror(j));
    }
    cr_assert_str_eq(raia_strerror(0), "no error");
    cr_assert_str_eq(raia_strerror(99), "unknown error");
    cr_assert_str_eq(raia_strerror(-2147483647 - 1), "unknown error");
}

/* err_set fills all fields, forgets the old ones and keeps errno. */
Test(err, set)
{
    struct raia_error e = {.maybe_executed = true};

    errno = EDOM;
    cr_assert_eq(err_set(&e, RAIA_ERR_TIMEOUT, "asked %d times", 3), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(errno, EDOM);
    cr_assert_eq(e.code, RAIA_ERR_TIMEOUT);
    cr_assert(e.retryable);
    cr_assert(!e.maybe_executed);
    cr_assert_str_eq(e.text, "asked 3 times");
    cr_assert_eq(err_set(&e, -RAIA_ERR_EXISTS, "%s!", e.text), -RAIA_ERR_EXISTS);
    cr_assert(!e.retryable);
    cr_assert_str_eq(e.text, "asked 3 times!");
    cr_assert_eq(err_set(NULL, RAIA_ERR_IO, "x"), -RAIA_ERR_IO);
    cr_assert_eq(err_set(&e, 4711, "x"), -RAIA_ERR_INTERNAL);
    err_clear(&e);
    cr_assert_eq(e.code, 0);
}

/* errno values become codes, and their text is added. */
Test(err, from_errno)
{
    struct raia_error e;

    cr_assert_eq(err_errno(&e, ENOENT, "open '%s'", "/x"), -RAIA_ERR_NOT_FOUND);
    cr_assert_str_eq(e.text, "open '/x': No such file or directory");
    cr_assert_eq(err_from_errno(EMFILE), RAIA_ERR_NO_FILES);
    cr_assert_eq(err_from_errno(ENOSPC), RAIA_ERR_DISK_FULL);
    cr_assert_eq(err_from_errno(ECONNREFUSED), RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(err_from_errno(123456), RAIA_ERR_IO);
}

/* Wrapping puts context before, keeps the code, and cuts whole characters at the limit. */
Test(err, wrap_and_cut)
{
    struct raia_error e;
    char longer[RAIA_ERROR_TEXT_MAX + 100] = "";

    err_set(&e, RAIA_ERR_LIMIT, "full");
    cr_assert_eq(err_wrap(&e, "cluster '%s'", "a"), -RAIA_ERR_LIMIT);
    cr_assert_str_eq(e.text, "cluster 'a': full");
    cr_assert_eq(err_wrap(NULL, "x"), -RAIA_ERR_INTERNAL);
    for (size_t i = 0; i + 3 < sizeof longer; i += 2)
        memcpy(longer + i, "\xc3\xa4", 3);
    err_set(&e, RAIA_ERR_LIMIT, "%s", longer);
    cr_assert_eq(strlen(e.text), RAIA_ERROR_TEXT_MAX - 2, "%zu", strlen(e.text));
    cr_assert_eq(e.text[strlen(e.text) - 1], '\xa4');
}

/* The n-th allocation, and no other, fails; the count tells how many there were. */
Test(mem, nth_failure)
{
    mem_fail_nth(2);
    void *a = mem_alloc(0), *b = mem_zalloc(8);
    char *c = mem_printf("%d", 12);
    cr_assert_not_null(a);
    cr_assert_null(b);
    cr_assert_str_eq(c, "12");
    cr_assert_eq(mem_fail_count(), 3);
    mem_fail_nth(1);
    cr_assert_null(mem_realloc(a, 100));
    mem_fail_nth(0);
    a = mem_realloc(a, 100);
    cr_assert_not_null(a);
    mem_free(a);
    mem_free(c);
}

/* Overflow gives NULL; NULL strings stay NULL; copies are bounded. */
Test(mem, edges)
{
    cr_assert_null(mem_calloc(SIZE_MAX / 2, 3));
    cr_assert_null(mem_strdup(NULL));
    cr_assert_null(mem_strndup(NULL, 1));
    _cleanup_(mem_freep) char *s = mem_strndup("abc", 2);
    cr_assert_str_eq(s, "ab");
    char *t = STEAL(s);
    cr_assert_null(s);
    mem_free(t);
}

/* An owner of a descriptor closes it, and a stolen one is left open. */
Test(mem, descriptors)
{
    int kept, closed;
    {
        _cleanup_(fd_closep) int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
        _cleanup_(fd_closep) int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
        closed = a;
        kept = STEAL_FD(b);
        cr_assert_eq(b, -1);
    }
    cr_assert_eq(fcntl(closed, F_GETFD), -1);
    cr_assert_neq(fcntl(kept, F_GETFD), -1);
    fd_closep(&kept);
}

/* Deadlines: never, past, rounding up, and no overflow at the ends of the range. */
Test(clock, deadlines)
{
    int64_t now = clock_now_ns();

    cr_assert_geq(clock_now_ns(), now);
    cr_assert_eq(clock_left_ms(CLOCK_NEVER, now), -1);
    cr_assert_eq(clock_left_ms(now - 1, now), 0);
    cr_assert_eq(clock_left_ms(now + 1, now), 1);
    cr_assert_eq(clock_left_ms(now + CLOCK_NS_PER_MS, now), 1);
    cr_assert_eq(clock_left_ms(INT64_MAX - 1, 0), INT_MAX);
    cr_assert_eq(clock_left_ns(INT64_MAX - 1, INT64_MIN), INT64_MAX);
    cr_assert_eq(clock_add_ms(now, INT64_MAX), CLOCK_NEVER);
    cr_assert_eq(clock_add_ms(now, -1), CLOCK_NEVER);
    cr_assert_eq(clock_add_ms(now, 2), now + 2 * CLOCK_NS_PER_MS);
    cr_assert(clock_expired(now, now));
    cr_assert(!clock_expired(CLOCK_NEVER, now));
    cr_assert_eq(clock_timespec(1500000000).tv_sec, 1);
    cr_assert_eq(clock_timespec(1500000000).tv_nsec, 500000000);
    cr_assert_gt(clock_unix_ms(), INT64_C(1600000000000));
}
