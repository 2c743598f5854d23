/* Tests of base/fault.h. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"

static int place(void)
{
    return FAULT("test.place");
}

static int other_place(void)
{
    return FAULT("test.other");
}

static int same_place_again(void)
{
    return FAULT("test.place");
}

/* A point that is not armed does nothing; an armed one fails as often as it was told to. */
Test(fault, error)
{
    struct raia_error e;

    cr_assert_eq(place(), 0);
    cr_assert_eq(fault_configure("test.place=error:UNAVAILABLE,after=2,times=3", &e), 0);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(i % 2 ? place() : same_place_again(),
                     i >= 2 && i < 5 ? -RAIA_ERR_UNAVAILABLE : 0);
        cr_assert_eq(other_place(), 0);
    }
    cr_assert_eq(fault_configure("test.place=error:IO;test.other=error:LIMIT", &e), 0);
    cr_assert_eq(place(), -RAIA_ERR_IO);
    cr_assert_eq(fault_configure("test.place=off;", &e), 0);
    cr_assert_eq(place(), 0);
    cr_assert_eq(other_place(), -RAIA_ERR_LIMIT);
    fault_disarm_all();
    cr_assert_eq(other_place(), 0);
}

/* The same seed gives the same hits, and about as many as the probability says. */
Test(fault, probability)
{
    char runs[2][401] = {{0}};

    for (int run = 0; run < 2; run++) {
        cr_assert_eq(fault_configure("test.place=error:IO,p=0.25,seed=7", NULL), 0);
        for (int i = 0; i < 400; i++)
            runs[run][i] = place() < 0 ? 'x' : '.';
    }
    cr_assert_str_eq(runs[0], runs[1]);
    int n = 0;
    for (int i = 0; i < 400; i++)
        n += runs[0][i] == 'x';
    cr_assert(n > 50 && n < 150, "%d", n);
}

/* A crash ends the process at once with a status of its own. */
Test(fault, crash, .exit_code = FAULT_EXIT_STATUS)
{
    cr_assert_eq(fault_configure("test.place=crash", NULL), 0);
    place();
    cr_assert_fail("the process goes on");
}

/* A delay takes as long as it says and gives no error. */
Test(fault, delay)
{
    int64_t until = clock_deadline_ms(5);

    cr_assert_eq(fault_configure("test.place=delay:5ms", NULL), 0);
    cr_assert_eq(place(), 0);
    cr_assert(clock_expired(until, clock_now_ns()));
}

/* Unknown points and malformed texts are refused, and the error names them. */
Test(fault, bad_texts)
{
    struct raia_error e;
    const char *bad[] = {"test.place",
                         "test.place=",
                         "test.place=explode",
                         "test.place=error:",
                         "test.place=error:NONE",
                         "test.place=delay:5",
                         "test.place=crash,p=2",
                         "test.place=crash,when=1",
                         "test.place=crash,after=x",
                         "test.place=delay:0"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(fault_configure(bad[i], &e), -RAIA_ERR_INVALID, "%s", bad[i]);
        cr_assert(strstr(e.text, "'test.place'"), "%s", e.text);
    }
    cr_assert_eq(fault_configure("test.nowhere=crash", &e), -RAIA_ERR_NOT_FOUND);
    cr_assert(strstr(e.text, "test.nowhere"));
    cr_assert_eq(place(), 0);
}

static void collect(void *ctx, const char *name, bool armed, uint64_t hits, uint64_t fired)
{
    char *text = ctx;

    sprintf(text + strlen(text), "%s %d %d %d;", name, armed, (int)hits, (int)fired);
}

/* The list has each point of the program once, with its counts. */
Test(fault, list)
{
    char text[256] = "";

    fault_configure("test.place=error:IO,after=1", NULL);
    place();
    same_place_again();
    fault_list(collect, text);
    cr_assert(strstr(text, "test.place 1 2 1;"), "%s", text);
    cr_assert(strstr(text, "test.other 0 0 0;"), "%s", text);
    cr_assert_eq(strlen(text), strlen("test.place 1 2 1;test.other 0 0 0;"));
}
