/*
 * An actor that outlives its job, for faults.sh: `detached set` makes it, gives it a number and ends;
 * `detached get` prints the number that it holds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <raia/raia.h>

#define NUMBER 4711

static int keeper_new(raia_call *c)
{
    int64_t *v = calloc(1, sizeof *v);
    return v ? raia_set_self(c, v) : raia_fail(c, "out of memory");
}

static int keeper_set(raia_call *c)
{
    int64_t *v = raia_self(c);
    return raia_arg_int(c, 0, v);
}

static int keeper_get(raia_call *c)
{
    int64_t *v = raia_self(c);
    return raia_return_int(c, *v);
}

RAIA_ACTOR(Keeper, keeper_new, free)
RAIA_METHOD(keeper_set)
RAIA_METHOD(keeper_get)

static int set(void)
{
    raia_actor *a = raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.name = "the-keeper", .detached = true), keeper_new);
    raia_ref *done = a ? raia_actor_call(a, keeper_set, raia_int(NUMBER)) : NULL;
    int r = done && raia_get_done(done, RAIA_FOREVER) == 0 ? 0 : raia_perror("set");

    raia_release(done);
    raia_actor_release(a);
    return r;
}

static int get(void)
{
    int64_t v;
    raia_actor *a = raia_actor_find("the-keeper", NULL);
    raia_ref *held = a ? raia_actor_call(a, keeper_get) : NULL;
    int r = held && raia_get_int(held, &v, RAIA_FOREVER) == 0 ? 0 : raia_perror("get");

    if (r == 0)
        printf("the keeper holds %ld\n", (long)v);
    raia_release(held);
    raia_actor_release(a);
    return r;
}

int main(int argc, char **argv)
{
    if (raia_init(NULL) < 0) /* in a worker, this does not return */
        return raia_perror("init");
    int r = argc == 2 && strcmp(argv[1], "set") == 0 ? set() : get();
    raia_shutdown();
    return r;
}
