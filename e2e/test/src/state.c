/*
 * A driver with something to be listed: tasks that run, and wait, on both nodes; actors; objects,
 * small and large. Says "ready" when the first tasks run, and waits until its input ends.
 *
 *   state N    N tasks of nap, of 1 CPU each
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <raia/raia.h>

#define NAPS_MAX 100
#define LARGE    (4u << 20)

static int nap(raia_call *c)
{
    while (!raia_canceled(c))
        usleep(20000);
    return raia_return_int(c, 1);
}
RAIA_TASK(nap)

static int inner(raia_call *c)
{
    return nap(c);
}
RAIA_TASK(inner)

static int outer(raia_call *c)
{
    raia_ref *r = raia_submit(inner);
    int64_t v = 0;

    (void)raia_get_int(r, &v, RAIA_FOREVER);
    raia_release(r);
    return raia_return_int(c, v);
}
RAIA_TASK(outer)

static int after(raia_call *c)
{
    return raia_return_int(c, 2);
}
RAIA_TASK(after)

static int fails(raia_call *c)
{
    return raia_fail(c, "on purpose");
}
RAIA_TASK(fails)

static int keeper_new(raia_call *c)
{
    return raia_set_self(c, malloc(1));
}

static int keeper_is_there(raia_call *c)
{
    return raia_return_int(c, 1);
}

static int keeper_hold(raia_call *c)
{
    return nap(c);
}
RAIA_ACTOR(Keeper, keeper_new, free)
RAIA_METHOD(keeper_is_there)
RAIA_METHOD(keeper_hold)

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 1;
    raia_ref *naps[NAPS_MAX], *late, *wrong, *small, *large, *there, *held, *next, *nested;
    raia_actor *keeper;
    raia_buffer *b;
    int64_t v;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    if (n < 1 || n > NAPS_MAX)
        return 2;
    keeper = raia_actor_create(keeper_new);
    there = raia_actor_call(keeper, keeper_is_there); /* its place is found by a CPU that is free */
    (void)raia_get_int(there, &v, RAIA_FOREVER);
    raia_release(there);
    held = raia_actor_call(keeper, keeper_hold);
    next = raia_actor_call(keeper, keeper_hold);
    wrong = raia_submit(fails);
    (void)raia_get_int(wrong, &v, RAIA_FOREVER);
    nested = raia_submit(outer);
    for (int i = 0; i < n; i++)
        naps[i] = raia_submit(nap);
    late = raia_submit(after, raia_value_of(naps[0]));
    small = raia_put(raia_int(5));
    b = raia_create(LARGE);
    if (!b)
        return raia_perror("create");
    large = raia_seal(b, RAIA_RAW);
    puts("ready");
    fflush(stdout);
    (void)getchar();
    for (int i = 0; i < n; i++)
        (void)raia_cancel(naps[i], true, false);
    (void)raia_cancel(nested, false, true);
    (void)raia_cancel(held, false, false);
    (void)raia_cancel(next, false, false);
    raia_release_all(naps, n);
    raia_release(nested);
    raia_release(late);
    raia_release(wrong);
    raia_release(small);
    raia_release(large);
    raia_release(held);
    raia_release(next);
    raia_actor_release(keeper);
    raia_shutdown();
    return 0;
}
