/*
 * A driver whose script kills things: it does one step for each line of its input, and says on its
 * output how it went.
 *
 * Steps are named in `steps`, with the resource that says where a new actor is to be.
 */
#include <raia/raia.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONG_MS 60000

/* ---- a counter that knows where it is */

static int counter_new(raia_call *c)
{
    int64_t *n = calloc(1, sizeof(*n));

    return n ? raia_set_self(c, n) : raia_fail(c, "out of memory");
}
static int counter_add(raia_call *c)
{
    int64_t *n = raia_self(c);

    return raia_return_int(c, ++*n);
}
static int counter_pid(raia_call *c)
{
    return raia_return_int(c, raia_was_restarted(c) ? -(int64_t)getpid() : getpid());
}
static int counter_sleep(raia_call *c)
{
    sleep(600);
    return raia_return_int(c, 1);
}
RAIA_ACTOR(Counter, counter_new, free)
RAIA_METHOD(counter_add)
RAIA_METHOD(counter_pid)
RAIA_METHOD(counter_sleep)

/* Owns an object and gives its reference out; sleeps, so that it can be killed. */
static int owner_new(raia_call *c)
{
    return raia_set_self(c, calloc(1, 1));
}
static int owner_lend(raia_call *c)
{
    raia_ref *r = raia_submit(counter_sleep);

    return raia_return(c, raia_refs(&r, 1));
}
static int owner_put(raia_call *c)
{
    char *big = calloc(1, 1 << 20);
    raia_ref *r = raia_put(raia_bytes(big, 1 << 20));

    free(big);
    return raia_return(c, raia_refs(&r, 1));
}
RAIA_ACTOR(Owner, owner_new, free)
RAIA_METHOD(owner_lend)
RAIA_METHOD(owner_put)

static int sleeps(raia_call *c)
{
    sleep(600);
    return raia_return_int(c, getpid());
}
RAIA_TASK(sleeps)

/* ---- the driver */

static raia_actor *actor;
static atomic_bool calling;
static atomic_llong calls;
static atomic_int call_errors;

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static raia_actor *create(const struct raia_actor_options *o, const char *where)
{
    struct raia_resource r = {where, 0.001};
    struct raia_actor_options with = *o;

    if (where) {
        with.resources = &r;
        with.resource_count = 1;
    }
    return raia_actor_create_opt(&with, counter_new);
}

static int64_t ask(raia_actor *a, raia_fn *method)
{
    raia_ref *r = raia_actor_call(a, method);
    int64_t v = 0;
    int e = raia_get_int(r, &v, LONG_MS);

    raia_release(r);
    return e < 0 ? 0 : v;
}

/* The process of the actor. */
static void step_pid(void)
{
    printf("pid %lld\n", (long long)ask(actor, counter_pid));
}

/* New ones, by where they are to be: "near" or "far". */
static void step_restartable(const char *where)
{
    raia_actor_release(actor);
    actor = create(RAIA_ACTOR_OPTIONS(.max_restarts = 3, .max_task_retries = RAIA_FOREVER), where);
    step_pid();
}

static void step_mortal(const char *where)
{
    raia_actor_release(actor);
    actor = create(RAIA_ACTOR_OPTIONS(.max_restarts = 0), where);
    step_pid();
}

static void step_detached(const char *where)
{
    raia_actor *a =
        create(RAIA_ACTOR_OPTIONS(.name = "stays", .ns = "e2e", .detached = true), where);

    printf("pid %lld\n", (long long)ask(a, counter_pid));
    raia_actor_release(a);
}

static void step_find(const char *unused)
{
    raia_actor *a = raia_actor_find("stays", "e2e");

    (void)unused;
    printf("pid %lld\n", a ? (long long)ask(a, counter_pid) : 0);
    raia_actor_release(a);
}

static void step_end_detached(const char *unused)
{
    raia_actor *a = raia_actor_find("stays", "e2e");

    (void)unused;
    printf("kill %d\n", a ? raia_actor_kill(a, true) : -1);
    raia_actor_release(a);
}

static void *caller(void *arg)
{
    raia_actor *a = arg;

    while (atomic_load(&calling)) {
        if (ask(a, counter_add) > 0)
            calls++;
        else if (call_errors++ == 0)
            fprintf(stderr, "a call failed: %s\n", raia_last_error()->text);
    }
    return NULL;
}

/* Calls go on in the background. */
static pthread_t thread;
static void step_calls(const char *unused)
{
    (void)unused;
    atomic_store(&calling, true);
    pthread_create(&thread, NULL, caller, actor);
    puts("calling");
}

/* How many calls were made since the last question, in a second, and how many ever failed. */
static void step_more(const char *unused)
{
    long long before = atomic_load(&calls);

    (void)unused;
    for (int i = 0; i < 300 && atomic_load(&calls) < before + 20; i++)
        usleep(100000);
    printf("more %lld failed %d\n", atomic_load(&calls) - before, atomic_load(&call_errors));
}

static void step_stop(const char *unused)
{
    (void)unused;
    atomic_store(&calling, false);
    pthread_join(thread, NULL);
    printf("stopped, failed %d\n", atomic_load(&call_errors));
}

/* A call that is under way when its actor is killed. */
static raia_ref *pending;
static void step_under_way(const char *unused)
{
    (void)unused;
    raia_release(pending);
    pending = raia_actor_call(actor, counter_sleep);
    puts("under way");
}

static void step_result(const char *unused)
{
    int64_t began = now_ms();
    int r = raia_get_done(pending, LONG_MS);

    (void)unused;
    fprintf(stderr, "result: %s\n", raia_last_error()->text);
    printf("result %d %s after %lld ms\n", -r, r < 0 ? raia_strerror(r) : "",
           (long long)(now_ms() - began));
}

/* A borrowed reference, its value not there yet, or there and large. */
static raia_actor *owner;
static raia_ref *borrowed, *borrowed_large;
static raia_ref *borrow(raia_fn *method)
{
    raia_ref *r = raia_actor_call(owner, method), *inner = NULL;
    struct raia_view v;

    if (raia_get(r, &v, LONG_MS) == 0) {
        inner = raia_view_ref(&v, 0);
        raia_view_release(&v);
    }
    raia_release(r);
    return inner;
}

static int owner_pid(raia_call *c)
{
    return raia_return_int(c, getpid());
}
RAIA_METHOD(owner_pid)

static void step_borrow(const char *where)
{
    struct raia_resource r = {where, 0.001};

    owner = raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.resources = &r, .resource_count = where ? 1 : 0), owner_new);
    borrowed = borrow(owner_lend);
    borrowed_large = borrow(owner_put);
    printf("pid %lld\n", borrowed && borrowed_large ? (long long)ask(owner, owner_pid) : 0);
}

static void step_borrowed(const char *unused)
{
    int64_t began = now_ms();
    struct raia_view v;
    int r = raia_get_done(borrowed, LONG_MS), large;

    (void)unused;
    fprintf(stderr, "borrowed: %s\n", raia_last_error()->text);
    large = raia_get(borrowed_large, &v, LONG_MS);
    if (large == 0)
        raia_view_release(&v);
    else
        fprintf(stderr, "borrowed, large: %s\n", raia_last_error()->text);
    printf("borrowed %s, %s after %lld ms\n", raia_strerror(r), raia_strerror(large),
           (long long)(now_ms() - began));
    raia_release(borrowed);
    raia_release(borrowed_large);
    raia_actor_release(owner);
}

/* Tasks that are under way when this process is killed. */
static void step_tasks(const char *unused)
{
    (void)unused;
    for (int i = 0; i < 8; i++)
        raia_submit_opt(RAIA_OPTIONS(.num_cpus = 0.25), sleeps);
    puts("submitted");
}

static const struct {
    const char *name;
    void (*fn)(const char *where);
} steps[] = {{"restartable", step_restartable},
             {"mortal", step_mortal},
             {"detached", step_detached},
             {"find", step_find},
             {"end-detached", step_end_detached},
             {"calls", step_calls},
             {"more", step_more},
             {"stop", step_stop},
             {"under-way", step_under_way},
             {"result", step_result},
             {"borrow", step_borrow},
             {"borrowed", step_borrowed},
             {"tasks", step_tasks}};

int main(void)
{
    char line[128], *where;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin)) {
        size_t i = 0;

        line[strcspn(line, "\n")] = 0;
        where = strchr(line, ' ');
        if (where)
            *where++ = 0;
        if (strcmp(line, "pid") == 0) {
            step_pid();
            continue;
        }
        while (i < sizeof(steps) / sizeof(steps[0]) && strcmp(steps[i].name, line) != 0)
            i++;
        if (i == sizeof(steps) / sizeof(steps[0]))
            return fprintf(stderr, "no step '%s'\n", line);
        steps[i].fn(where);
    }
    raia_actor_release(actor);
    raia_release(pending);
    raia_shutdown();
    return 0;
}
