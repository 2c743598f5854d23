/* Actor calls: one caller or several, one actor or several, in turn or many at a time. */
#include <stdlib.h>

#include "bench/bench.h"

#define BATCH        1000u
#define CALLS        5000u
#define CALLERS      4u
#define THREADS      16
#define ARG_CALLS    1000u
#define HELD_OBJECTS 100000u
#define HELD_ACTORS  50u

/* ------------------------------------------------------------------ classes */

static int actor_new(raia_call *c)
{
    (void)c;
    return 0;
}
RAIA_ACTOR(Actor, actor_new, NULL)

/* A caller: the actors that it was given. */
struct client {
    raia_actor *servers[BENCH_ACTORS];
    size_t count;
};

static void client_free(void *self)
{
    struct client *cl = self;

    for (size_t i = 0; cl && i < cl->count; i++)
        raia_actor_release(cl->servers[i]);
    free(cl);
}

static int client_new(raia_call *c)
{
    struct client *cl = calloc(1, sizeof *cl);

    if (!cl)
        return raia_fail(c, "out of memory");
    raia_set_self(c, cl);
    for (; cl->count < raia_arg_count(c) && cl->count < BENCH_ACTORS; cl->count++)
        if (!(cl->servers[cl->count] = raia_arg_actor(c, cl->count)))
            return raia_fail(c, "an argument is not an actor");
    return 0;
}
RAIA_ACTOR(Client, client_new, client_free)

/* Calls `n` times in all, actor after actor in blocks of `block`, with `arg` if there is one;
 * gets all. */
static int call_and_get(raia_call *c, raia_actor *const *servers, size_t count, size_t n,
                        size_t block, raia_ref *arg)
{
    raia_ref **refs = calloc(n + 1, sizeof *refs);
    struct raia_view *views = calloc(n + 1, sizeof *views);
    int r = refs && views && count ? 0 : raia_fail(c, "out of memory");

    for (size_t i = 0; i < n && r == 0; i++) {
        raia_actor *s = servers[i / block % count];
        refs[i] = arg ? raia_actor_call(s, small_value, raia_value_of(arg))
                      : raia_actor_call(s, small_value);
        if (!refs[i])
            r = raia_fail(c, "call");
    }
    if (r == 0 && raia_get_all(refs, n, views, RAIA_FOREVER) < 0)
        r = raia_fail(c, "get");
    for (size_t i = 0; i < n && r == 0; i++)
        raia_view_release(&views[i]);
    if (refs)
        raia_release_all(refs, n);
    free(refs);
    free(views);
    return r;
}

/* n calls of each of its actors. */
static int client_batch(raia_call *c)
{
    struct client *cl = raia_self(c);
    int64_t n = 0;

    if (raia_arg_int(c, 0, &n) < 0 || n <= 0)
        return raia_fail(c, "how many?");
    return call_and_get(c, cl->servers, cl->count, (size_t)n * cl->count, (size_t)n, NULL);
}
RAIA_METHOD(client_batch)

/* The same, each call with a reference to one object of its own. */
static int client_batch_arg(raia_call *c)
{
    struct client *cl = raia_self(c);
    int64_t n = 0;

    if (raia_arg_int(c, 0, &n) < 0 || n <= 0)
        return raia_fail(c, "how many?");
    raia_ref *x = raia_put(raia_int(0));
    if (!x)
        return raia_fail(c, "put");
    int r = call_and_get(c, cl->servers, cl->count, (size_t)n * cl->count, (size_t)n, x);
    raia_release(x);
    return r;
}
RAIA_METHOD(client_batch_arg)

/* A task: n calls, in turn to each of the actors that follow in the arguments. */
static int work(raia_call *c)
{
    raia_actor *servers[BENCH_ACTORS];
    size_t count = 0;
    int64_t n = 0;
    int r = 0;

    if (raia_arg_int(c, 0, &n) < 0 || n <= 0)
        return raia_fail(c, "how many?");
    for (; count + 1 < raia_arg_count(c) && count < BENCH_ACTORS; count++)
        if (!(servers[count] = raia_arg_actor(c, count + 1))) {
            r = raia_fail(c, "an argument is not an actor");
            break;
        }
    if (r == 0)
        r = call_and_get(c, servers, count, (size_t)n, 1, NULL);
    while (count > 0)
        raia_actor_release(servers[--count]);
    return r;
}
RAIA_TASK(work)

/* ------------------------------------------------------------------ one actor */

static raia_actor *actor_open(int max_concurrency)
{
    return raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.num_cpus = RAIA_NONE, .max_concurrency = max_concurrency), actor_new);
}

static int one_open(struct bench *b)
{
    b->actors[0] = actor_open(0);
    return b->actors[0] ? 0 : -raia_last_error()->code;
}

static int concurrent_open(struct bench *b)
{
    b->actors[0] = actor_open(THREADS);
    return b->actors[0] ? 0 : -raia_last_error()->code;
}

/* The call that is measured, while many objects are held: it should cost the same. */
static int objects_held_open(struct bench *b)
{
    size_t n = bench_size(b, HELD_OBJECTS);

    b->held = calloc(n, sizeof *b->held);
    if (!b->held)
        return -RAIA_ERR_NOMEM;
    for (b->held_count = 0; b->held_count < n; b->held_count++)
        if (!(b->held[b->held_count] = raia_put(raia_int(0))))
            return -raia_last_error()->code;
    return one_open(b);
}

/* The same with many actors, all of them called once. */
static int actors_held_open(struct bench *b)
{
    size_t n = b->quick ? 2 : HELD_ACTORS;
    int r = 0;

    for (size_t i = 0; i < n; i++)
        if (!(b->actors[i] = actor_open(0)))
            return -raia_last_error()->code;
    for (size_t i = 0; i < n && r == 0; i++)
        r = bench_finish(raia_actor_call(b->actors[i], small_value));
    return r;
}

static int one_sync(struct bench *b)
{
    return bench_finish(raia_actor_call(b->actors[0], small_value));
}

static int one_async(struct bench *b)
{
    for (unsigned i = 0; i < BATCH; i++)
        b->refs[i] = raia_actor_call(b->actors[0], small_value);
    return bench_get_all(b, BATCH);
}

static double one_weight(const struct bench *b)
{
    (void)b;
    return BATCH;
}

/* ------------------------------------------------------------------ several */

static int servers_open(struct bench *b)
{
    for (unsigned i = 0; i < b->servers; i++)
        if (!(b->actors[i] = actor_open(0)))
            return -raia_last_error()->code;
    return 0;
}

static raia_actor *client_open(raia_actor *const *servers, unsigned count)
{
    struct raia_value args[BENCH_ACTORS];

    for (unsigned i = 0; i < count; i++)
        args[i] = raia_handle(servers[i]);
    return raia_actor_create_array(RAIA_ACTOR_OPTIONS(.num_cpus = RAIA_NONE), client_new, args,
                                   count);
}

static int one_to_n_open(struct bench *b)
{
    int r = servers_open(b);

    if (r == 0 && !(b->clients[0] = client_open(b->actors, b->servers)))
        r = -raia_last_error()->code;
    return r;
}

static int one_to_n(struct bench *b)
{
    int64_t n = (int64_t)bench_size(b, CALLS);

    return bench_finish(raia_actor_call(b->clients[0], client_batch, raia_int(n)));
}

static double one_to_n_weight(const struct bench *b)
{
    return (double)bench_size(b, CALLS) * b->servers;
}

static int n_to_n(struct bench *b)
{
    struct raia_value args[BENCH_ACTORS + 1];

    args[0] = raia_int((int64_t)bench_size(b, CALLS));
    for (unsigned i = 0; i < b->servers; i++)
        args[i + 1] = raia_handle(b->actors[i]);
    for (unsigned i = 0; i < CALLERS; i++)
        b->refs[i] = raia_submit_array(NULL, work, args, b->servers + 1);
    return bench_get_all(b, CALLERS);
}

static double n_to_n_weight(const struct bench *b)
{
    return (double)bench_size(b, CALLS) * CALLERS;
}

static int pairs_open(struct bench *b)
{
    int r = servers_open(b);

    for (unsigned i = 0; i < b->servers && r == 0; i++)
        if (!(b->clients[i] = client_open(&b->actors[i], 1)))
            r = -raia_last_error()->code;
    return r;
}

static int pairs(struct bench *b)
{
    int64_t n = (int64_t)bench_size(b, ARG_CALLS);

    for (unsigned i = 0; i < b->servers; i++)
        b->refs[i] = raia_actor_call(b->clients[i], client_batch_arg, raia_int(n));
    return bench_get_all(b, b->servers);
}

static double pairs_weight(const struct bench *b)
{
    return (double)bench_size(b, ARG_CALLS) * b->servers;
}

static const struct bench_case cases[] = {
    {.name = "1:1 actor calls sync", .unit = "calls", .open = one_open, .step = one_sync},
    {.name = "1:1 actor calls async, 100k objects held",
     .unit = "calls",
     .open = objects_held_open,
     .step = one_async,
     .weight = one_weight},
    {.name = "1:1 actor calls async, 50 actors held",
     .unit = "calls",
     .open = actors_held_open,
     .step = one_async,
     .weight = one_weight},
    {.name = "1:1 actor calls async",
     .unit = "calls",
     .open = one_open,
     .step = one_async,
     .weight = one_weight},
    {.name = "1:1 actor calls concurrent",
     .unit = "calls",
     .open = concurrent_open,
     .step = one_async,
     .weight = one_weight},
    {.name = "1:n actor calls async",
     .unit = "calls",
     .open = one_to_n_open,
     .step = one_to_n,
     .weight = one_to_n_weight},
    {.name = "n:n actor calls async",
     .unit = "calls",
     .open = servers_open,
     .step = n_to_n,
     .weight = n_to_n_weight},
    {.name = "n:n actor calls with arg async",
     .unit = "calls",
     .open = pairs_open,
     .step = pairs,
     .weight = pairs_weight},
};

const struct bench_group bench_actors = {cases, sizeof cases / sizeof *cases};
