/* Actors: processes with state. Four counters, each counting on its own. */
#include <stdio.h>
#include <stdlib.h>

#include <raia/raia.h>

static int counter_new(raia_call *c)
{
    int64_t *n = calloc(1, sizeof *n);
    return n ? raia_set_self(c, n) : raia_fail(c, "out of memory");
}

static int counter_increment(raia_call *c)
{
    int64_t *n = raia_self(c);
    return raia_return_int(c, ++*n);
}

static int counter_read(raia_call *c)
{
    int64_t *n = raia_self(c);
    return raia_return_int(c, *n);
}

RAIA_ACTOR(Counter, counter_new, free)
RAIA_METHOD(counter_increment)
RAIA_METHOD(counter_read)

int main(void)
{
    raia_actor *counters[4];
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    for (int i = 0; i < 4; i++)
        counters[i] = raia_actor_create(counter_new);

    /* Calls of one caller to one actor run in the order in which they were made. */
    for (int i = 0; i < 4; i++)
        for (int k = 0; k <= i; k++)
            raia_release(raia_actor_call(counters[i], counter_increment));

    for (int i = 0; i < 4; i++) {
        int64_t n;
        raia_ref *r = raia_actor_call(counters[i], counter_read);
        if (raia_get_int(r, &n, RAIA_FOREVER) < 0)
            return raia_perror("read");
        printf("counter %d: %ld\n", i, (long)n);
        raia_release(r);
        raia_actor_release(counters[i]); /* the last handle: the actor ends */
    }
    raia_shutdown();
    return 0;
}
