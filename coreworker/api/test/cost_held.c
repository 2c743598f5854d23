/*
 * What a call costs does not depend on what the process holds: the cost of synchronous and of
 * batched actor calls, and of tasks, with nothing held and then with 200,000 objects (values put,
 * and results of calls) and 1,000 handles to actors. Prints the numbers; fails if a call
 * costs more than twice what it did.
 *
 * Time is the CPU time of this process's thread, the least of several rounds: other processes of the
 * machine do not count. Run by with_cluster.sh; the program is also its own workers' program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "raia/raia.h"

#define OBJECTS 200000u /* held */
#define ACTORS  1000u   /* held; of a resource that no node has, so that none runs */
#define ROUNDS  9u
#define CALLS   2000u
#define BOUND   2.0 /* times what it cost with nothing held */
#define SLACK   400 /* ns; below it a ratio says nothing */

static int idle_new(raia_call *c)
{
    (void)c;
    return 0;
}
RAIA_ACTOR(Idle, idle_new, NULL)

static int answer(raia_call *c)
{
    return raia_return_int(c, 42);
}
RAIA_METHOD(answer)

static int task_answer(raia_call *c)
{
    return raia_return_int(c, 42);
}
RAIA_TASK(task_answer)

static raia_ref *refs[CALLS];

static int64_t cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, raia_last_error()->text);
    exit(1);
}

static void put_get(raia_actor *a)
{
    (void)a;
    for (unsigned i = 0; i < CALLS; i++) {
        raia_ref *r = raia_put(raia_int(i));
        int64_t v;

        must(r && raia_get_int(r, &v, 60000) == 0, "put");
        raia_release(r);
    }
}

static void sync_calls(raia_actor *a)
{
    for (unsigned i = 0; i < CALLS; i++) {
        raia_ref *r = raia_actor_call(a, answer);
        int64_t v;

        must(r && raia_get_int(r, &v, 60000) == 0 && v == 42, "call");
        raia_release(r);
    }
}

static void batched_calls(raia_actor *a)
{
    for (unsigned i = 0; i < CALLS; i++)
        must((refs[i] = raia_actor_call(a, answer)), "call");
    for (unsigned i = 0; i < CALLS; i++) {
        int64_t v;

        must(raia_get_int(refs[i], &v, 60000) == 0 && v == 42, "get");
    }
    raia_release_all(refs, CALLS);
}

static void tasks(raia_actor *a)
{
    (void)a;
    for (unsigned i = 0; i < CALLS; i++)
        must((refs[i] = raia_submit(task_answer)), "submit");
    for (unsigned i = 0; i < CALLS; i++) {
        int64_t v;

        must(raia_get_int(refs[i], &v, 60000) == 0 && v == 42, "get");
    }
    raia_release_all(refs, CALLS);
}

static const struct {
    const char *name;
    void (*run)(raia_actor *a);
} cases[] = {{"put and get", put_get},
             {"sync calls", sync_calls},
             {"batched calls", batched_calls},
             {"tasks", tasks}};
#define CASES (sizeof(cases) / sizeof(cases[0]))

/* ns a call, the least of all rounds. */
static void measure(raia_actor *a, double *ret)
{
    for (unsigned k = 0; k < CASES; k++) {
        ret[k] = 1e18;
        for (unsigned i = 0; i < ROUNDS; i++) {
            int64_t from = cpu_now();
            double ns;

            cases[k].run(a);
            ns = (double)(cpu_now() - from) / CALLS;
            if (ns < ret[k])
                ret[k] = ns;
        }
    }
}

int main(void)
{
    const struct raia_resource nowhere = {.name = "nowhere", .quantity = 1};
    double with[CASES], without[CASES], after[CASES];
    static raia_ref *held[OBJECTS];
    static raia_actor *actors[ACTORS];
    int status = 0;
    raia_actor *a;

    must(raia_init(NULL) == 0, "init");
    must((a = raia_actor_create(idle_new)), "actor");
    sync_calls(a);
    tasks(a);
    measure(a, without);
    for (unsigned i = 0; i < OBJECTS; i++)
        must((held[i] = i % 2 ? raia_put(raia_int(i)) : raia_actor_call(a, answer)), "hold");
    must(raia_wait(held, OBJECTS, OBJECTS, 120000, NULL) == OBJECTS, "wait");
    for (unsigned i = 0; i < ACTORS; i++)
        must((actors[i] = raia_actor_create_opt(
                  RAIA_ACTOR_OPTIONS(.resources = &nowhere, .resource_count = 1), idle_new)),
             "actor");
    measure(a, with);
    for (unsigned i = 0; i < ACTORS; i++)
        raia_actor_release(actors[i]);
    raia_release_all(held, OBJECTS);
    measure(a, after);
    for (unsigned k = 0; k < CASES; k++) {
        bool slow = with[k] > without[k] * BOUND && with[k] > without[k] + SLACK;

        printf("%-14s %6.0f ns with nothing held, %6.0f with %u objects and %u actors, %6.0f "
               "after%s\n",
               cases[k].name, without[k], with[k], OBJECTS, ACTORS, after[k],
               slow ? ": TOO SLOW" : "");
        status |= slow;
    }
    raia_actor_release(a);
    raia_shutdown();
    return status;
}
