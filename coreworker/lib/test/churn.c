/*
 * libraia under ThreadSanitizer: eight threads of one driver submit, get, wait, put, call actors,
 * cancel and release, all at the same time, against a real node. Results are checked; a data race
 * ends the program. Run by with_cluster.sh; the program is also its own workers' program.
 *
 *     churn [SECONDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "raia/raia.h"

#define THREADS 8u
#define BATCH   20

static int twice(raia_call *c)
{
    int64_t x;

    return raia_arg_int(c, 0, &x) < 0 ? raia_fail(c, "an integer") : raia_return_int(c, 2 * x);
}
RAIA_TASK(twice)

static int naps(raia_call *c)
{
    for (int i = 0; i < 100 && !raia_canceled(c); i++)
        usleep(1000);
    return 0;
}
RAIA_TASK(naps)

static int adder_new(raia_call *c)
{
    return raia_set_self(c, calloc(1, sizeof(int64_t)));
}
RAIA_ACTOR(Adder, adder_new, free)

static int add(raia_call *c)
{
    return raia_return_int(c, ++*(int64_t *)raia_self(c));
}
RAIA_METHOD(add)

static raia_actor *shared;
static int64_t until; /* s, monotonic */

static int64_t seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, raia_last_error()->text);
    exit(1);
}

static void tasks(int64_t seed)
{
    raia_ref *refs[BATCH];
    bool ready[BATCH];
    int64_t x;

    for (int i = 0; i < BATCH; i++)
        must((refs[i] = raia_submit(twice, raia_int(seed + i))), "submit");
    must(raia_wait(refs, BATCH, 1, 60000, ready) == 1, "wait");
    for (int i = 0; i < BATCH; i++)
        must(raia_get_int(refs[i], &x, 60000) == 0 && x == 2 * (seed + i), "get");
    raia_release_all(refs, BATCH);
}

static void values(int64_t seed)
{
    static const char bytes[200000];
    raia_ref *small = raia_put(raia_int(seed)), *inner[1] = {small};
    raia_ref *outer = raia_put(raia_with_refs(raia_bytes(bytes, 100), inner, 1));
    raia_ref *large = raia_put(raia_bytes(bytes, sizeof(bytes)));
    raia_ref *r = small ? raia_submit(twice, raia_value_of(small)) : NULL;
    struct raia_view v;
    int64_t x;

    must(small && outer && large && r, "put");
    must(raia_get(large, &v, 60000) == 0 && v.size == sizeof(bytes), "get");
    raia_view_release(&v);
    must(raia_get_int(r, &x, 60000) == 0 && x == 2 * seed, "get");
    raia_release(raia_ref_dup(outer));
    raia_release(outer);
    raia_release(small);
    raia_release(large);
    raia_release(r);
}

static void calls(void)
{
    raia_ref *refs[BATCH];
    int64_t last = 0, x;

    for (int i = 0; i < BATCH; i++)
        must((refs[i] = raia_actor_call(shared, add)), "call");
    for (int i = 0; i < BATCH; i++) {
        must(raia_get_int(refs[i], &x, 60000) == 0 && x > last, "the order of calls");
        last = x;
    }
    raia_release_all(refs, BATCH);
}

static void cancels(void)
{
    raia_ref *r = raia_submit(naps);

    must(r && raia_cancel(r, false, false) == 0, "cancel");
    raia_get_done(r, 60000);
    raia_release(r);
}

static void *churn(void *arg)
{
    int64_t n = (int64_t)(intptr_t)arg * 1000000;

    while (seconds() < until) {
        tasks(n += BATCH);
        values(++n);
        calls();
        if (n % 3 == 0)
            cancels();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];

    must(raia_init(NULL) == 0, "init");
    must((shared = raia_actor_create(adder_new)), "actor");
    until = seconds() + (argc > 1 ? atoi(argv[1]) : 5);
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, churn, (void *)(intptr_t)(i + 1)) != 0)
            return 1;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    raia_actor_release(shared);
    raia_shutdown();
    return 0;
}
