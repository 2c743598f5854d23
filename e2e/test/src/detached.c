/*
 * Detached actors that count, for clusters that lose their head: each run of this program is a job that finds
 * the actor of a name, or makes it, and lets it count one further.
 *
 *   detached NAME [RESOURCE]   prints "NAME COUNT RESTARTED": a state that was lost counts from 1 again, in
 *                              an actor that knows of it (RESTARTED 1) or in another one (0). RESOURCE: what
 *                              a node must have one of to be the actor's; else a CPU, to begin on
 */
#include <stdio.h>
#include <stdlib.h>

#include <raia/raia.h>

#define WAIT_MS 120000

static int counter_new(raia_call *c)
{
    int64_t *v = calloc(1, sizeof *v);

    return v ? raia_set_self(c, v) : raia_fail(c, "out of memory");
}

/* Returns the count, and in its lowest bit whether the actor has died before. */
static int counter_next(raia_call *c)
{
    int64_t *v = raia_self(c);

    return raia_return_int(c, ++*v * 2 + raia_was_restarted(c));
}

RAIA_ACTOR(Counter, counter_new, free)
RAIA_METHOD(counter_next)

int main(int argc, char **argv)
{
    struct raia_resource needs = {.quantity = 1};
    raia_actor *counter;
    raia_ref *r;
    int64_t v;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: detached NAME [RESOURCE]\n");
        return 2;
    }
    needs.name = argc == 3 ? argv[2] : NULL;
    counter = raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.name = argv[1], .ns = "counters", .get_if_exists = true,
                           .detached = true, .resources = &needs,
                           .resource_count = needs.name ? 1 : 0,
                           .num_cpus = needs.name ? RAIA_NONE : 0, .max_restarts = RAIA_FOREVER),
        counter_new);
    if (!counter)
        return raia_perror("the actor");
    r = raia_actor_call_opt(counter, NULL, counter_next);
    if (raia_get_int(r, &v, WAIT_MS) < 0)
        return raia_perror("count");
    printf("%s %lld %d\n", argv[1], (long long)v / 2, (int)(v % 2));
    raia_release(r);
    raia_actor_release(counter);
    raia_shutdown();
    return 0;
}
