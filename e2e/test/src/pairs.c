/*
 * Many peers that come and go idle.
 *
 *     pairs N MS    N actors, each called once; says "used" and waits for a line; calls them all
 *                   again, says "again" and waits; then, for some seconds, calls them, and has them
 *                   call each other, about as often as a pair takes to be idle (MS); says "stirred",
 *                   waits, and ends
 */
#include <raia/raia.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SOME 12 /* actors that are called at random times */

static int counter_new(raia_call *c)
{
    int64_t *n = calloc(1, sizeof(*n));

    return n ? raia_set_self(c, n) : raia_fail(c, "out of memory");
}
static int count(raia_call *c)
{
    int64_t *n = raia_self(c);

    return raia_return_int(c, ++*n);
}
/* Calls another actor, and returns what that one says. */
static int ask(raia_call *c)
{
    raia_actor *other = raia_arg_actor(c, 0);
    raia_ref *r = other ? raia_actor_call(other, count) : NULL;
    int64_t n;
    int got = r ? raia_get_int(r, &n, 60000) : -1;

    raia_release(r);
    raia_actor_release(other);
    return got < 0 ? raia_fail(c, "the other does not answer") : raia_return_int(c, n);
}
RAIA_ACTOR(Counter, counter_new, free)
RAIA_METHOD(count)
RAIA_METHOD(ask)

static raia_actor **actors;
static int64_t *counts;

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
    (void)getchar();
}

static void expect(raia_ref *r, int64_t n)
{
    int64_t x;

    if (raia_get_int(r, &x, 60000) < 0 || x != n) {
        raia_perror("count");
        fprintf(stderr, "%lld expected\n", (long long)n);
        exit(1);
    }
    raia_release(r);
}

static void call_all(int n)
{
    raia_ref **refs = calloc((size_t)n, sizeof(*refs));

    for (int i = 0; i < n; i++)
        refs[i] = raia_actor_call(actors[i], count);
    for (int i = 0; i < n; i++)
        expect(refs[i], ++counts[i]);
    free(refs);
}

static void stir(int ms)
{
    time_t end = time(NULL) + 6;
    raia_ref *refs[3];

    srand(1);
    while (time(NULL) < end) {
        int i = rand() % SOME, k = (i + 1 + rand() % (SOME - 1)) % SOME, burst = 1 + rand() % 2;

        for (int b = 0; b < burst; b++)
            refs[b] = raia_actor_call(actors[i], count);
        for (int b = 0; b < burst; b++)
            expect(refs[b], ++counts[i]);
        expect(raia_actor_call(actors[i], ask, raia_handle(actors[k])), ++counts[k]);
        usleep((useconds_t)(rand() % (ms * 200)));
    }
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 20, ms = argc > 2 ? atoi(argv[2]) : 100;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    actors = calloc((size_t)n, sizeof(raia_actor *));
    counts = calloc((size_t)n, sizeof(*counts));
    for (int i = 0; i < n; i++)
        actors[i] = raia_actor_create(counter_new);
    call_all(n);
    say("used");
    call_all(n);
    say("again");
    stir(ms);
    say("stirred");
    for (int i = 0; i < n; i++)
        raia_actor_release(actors[i]);
    raia_shutdown();
    return 0;
}
