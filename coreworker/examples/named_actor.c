/* A named actor: whoever knows the name can find it, here or in another task; a detached one outlives
 * the job that made it, until it is killed. */
#include <stdio.h>
#include <stdlib.h>

#include <raia/raia.h>

static int store_new(raia_call *c)
{
    int64_t *v = calloc(1, sizeof *v);
    return v ? raia_set_self(c, v) : raia_fail(c, "out of memory");
}

static int store_set(raia_call *c)
{
    int64_t *v = raia_self(c);
    return raia_arg_int(c, 0, v);
}

static int store_get(raia_call *c)
{
    int64_t *v = raia_self(c);
    return raia_return_int(c, *v);
}

RAIA_ACTOR(Store, store_new, free)
RAIA_METHOD(store_set)
RAIA_METHOD(store_get)

/* A task that was given no handle: it finds the actor by its name. */
static int remember(raia_call *c)
{
    raia_actor *a = raia_actor_find("the-store", NULL);
    if (!a)
        return raia_fail(c, "there is no store");
    raia_ref *r = raia_actor_call(a, store_set, raia_int(42));
    int status = raia_get_done(r, RAIA_FOREVER);
    raia_release(r);
    raia_actor_release(a);
    return status;
}
RAIA_TASK(remember)

int main(void)
{
    int64_t v;
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    raia_actor *a = raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.name = "the-store", .get_if_exists = true, .detached = true),
        store_new);
    if (!a)
        return raia_perror("create");
    raia_ref *done = raia_submit(remember);
    if (raia_get_done(done, RAIA_FOREVER) < 0)
        return raia_perror("remember");
    raia_ref *r = raia_actor_call(a, store_get);
    if (raia_get_int(r, &v, RAIA_FOREVER) < 0)
        return raia_perror("get");
    printf("the store holds %ld\n", (long)v);
    raia_actor_kill(a, true); /* detached: it would live on */
    raia_release(done);
    raia_release(r);
    raia_actor_release(a);
    raia_shutdown();
    return 0;
}
