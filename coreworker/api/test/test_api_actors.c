/* The public functions against a real node: actors. See session.h for how it runs. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

struct counter {
    int64_t n;
    raia_ref *kept; /* what somebody asked to keep */
};

static int counter_new(raia_call *c)
{
    struct counter *s = calloc(1, sizeof(*s));

    if (raia_arg_count(c) > 0 && raia_arg_int(c, 0, &s->n) < 0) {
        free(s);
        return raia_fail(c, "a counter starts with an integer");
    }
    return raia_set_self(c, s);
}
RAIA_ACTOR(Counter, counter_new, free)

static int counter_add(raia_call *c)
{
    struct counter *s = raia_self(c);
    int64_t by = 0;

    raia_arg_int(c, 0, &by);
    return raia_return_int(c, s->n += by);
}
RAIA_METHOD(counter_add)

/* Appends one digit: shows the order of calls. */
static int counter_check(raia_call *c)
{
    struct counter *s = raia_self(c);
    int64_t wanted;

    if (raia_arg_int(c, 0, &wanted) < 0 || wanted != s->n)
        return raia_fail(c, "out of order: %ld, not %ld", (long)wanted, (long)s->n);
    s->n++;
    return 0;
}
RAIA_METHOD(counter_check)

/* counter_again(self, times): calls itself that often more, one after the other, never waiting. */
static int counter_again(raia_call *c)
{
    struct counter *s = raia_self(c);
    raia_actor *self = raia_arg_actor(c, 0);
    int64_t times = 0;

    if (!self || raia_arg_int(c, 1, &times) < 0)
        return raia_fail(c, "a handle and a number");
    s->n++;
    if (times > 0)
        raia_release(raia_actor_call(self, counter_again, raia_handle(self), raia_int(times - 1)));
    raia_actor_release(self);
    return raia_last_error()->code == RAIA_ERR_WORKER_CRASHED ? raia_fail(c, "no way") : 0;
}
RAIA_METHOD(counter_again)

static int counter_die(raia_call *c)
{
    (void)c;
    kill(getpid(), SIGKILL);
    return 0;
}
RAIA_METHOD(counter_die)

static int counter_die_first(raia_call *c)
{
    if (!raia_was_restarted(c))
        kill(getpid(), SIGKILL);
    return raia_return_int(c, 77);
}
RAIA_METHOD(counter_die_first)

static int counter_leave(raia_call *c)
{
    return raia_actor_exit(c);
}
RAIA_METHOD(counter_leave)

static int counter_keep(raia_call *c)
{
    struct counter *s = raia_self(c);

    s->kept = raia_arg_ref(c, 0, 0);
    return s->kept ? 0 : raia_fail(c, "keep what?");
}
RAIA_METHOD(counter_keep)

static int counter_kept(raia_call *c)
{
    struct counter *s = raia_self(c);
    int64_t x;

    if (raia_get_int(s->kept, &x, 30000) < 0)
        return raia_fail(c, "the kept object");
    return raia_return_int(c, x);
}
RAIA_METHOD(counter_kept)

static int slow(raia_call *c)
{
    int64_t ms = 0;

    raia_arg_int(c, 0, &ms);
    usleep((useconds_t)ms * 1000);
    return raia_return_int(c, ms);
}
RAIA_METHOD(slow)

static void *answer_later(void *arg)
{
    usleep(50000);
    raia_complete(arg, raia_str("later"));
    return NULL;
}

static int deferred(raia_call *c)
{
    raia_pending *p = raia_defer(c);
    pthread_t t;

    if (!p || pthread_create(&t, NULL, answer_later, p) != 0)
        return raia_fail(c, "no thread");
    pthread_detach(t);
    return 0;
}
RAIA_METHOD(deferred)

/* A task that calls an actor whose handle it was given. */
static int calls_it(raia_call *c)
{
    raia_actor *a = raia_arg_actor(c, 0);
    raia_ref *r = raia_actor_call(a, counter_add, raia_int(5));
    int64_t x;
    int n = raia_get_int(r, &x, 30000);

    raia_release(r);
    raia_actor_release(a);
    return n < 0 ? raia_fail(c, "the call") : raia_return_int(c, x);
}
RAIA_TASK(calls_it)

static void expect(raia_ref *r, int64_t wanted)
{
    int64_t got = -1;

    cr_assert(raia_get_int(r, &got, 60000) == 0, "%s", raia_last_error()->text);
    cr_assert_eq(got, wanted);
    raia_release(r);
}

static void expect_error(raia_ref *r, int code)
{
    int n = raia_get_done(r, 60000);

    cr_assert_eq(n, -code, "%d: %s", n, raia_last_error()->text);
    raia_release(r);
}

/* State stays between calls, and calls start in the order in which they were made. */
Test(actors, order, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(counter_new, raia_int(0));
    raia_ref *refs[2000];

    for (int i = 0; i < 2000; i++)
        refs[i] = raia_actor_call(a, counter_check, raia_int(i));
    for (int i = 0; i < 2000; i++) {
        cr_assert(raia_get_done(refs[i], 60000) == 0, "%s", raia_last_error()->text);
        raia_release(refs[i]);
    }
    expect(raia_actor_call(a, counter_add, raia_int(1)), 2001);
    raia_actor_release(a);
}

/* A constructor that fails makes every call fail with its words. */
/* An actor that was given its own handle calls itself, and all those calls are run. */
Test(actors, calls_itself, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(counter_new);
    raia_ref *r = raia_actor_call(a, counter_again, raia_handle(a), raia_int(2000));
    int64_t n = 0;

    cr_assert_eq(raia_get_done(r, 60000), 0, "%s", raia_last_error()->text);
    raia_release(r);
    for (int i = 0; i < 100000 && n < 2001; i++) {
        r = raia_actor_call(a, counter_add, raia_int(0));
        cr_assert_eq(raia_get_int(r, &n, 60000), 0, "%s", raia_last_error()->text);
        raia_release(r);
    }
    cr_assert_eq(n, 2001);
    raia_actor_release(a);
}

Test(actors, constructor_fails, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(counter_new, raia_str("x"));
    raia_ref *r = raia_actor_call(a, counter_add, raia_int(1));

    cr_assert_eq(raia_get_done(r, 60000), -RAIA_ERR_ACTOR_DIED, "%s", raia_last_error()->text);
    cr_assert(strstr(raia_last_error()->text, "starts with an integer"), "%s",
              raia_last_error()->text);
    raia_release(r);
    raia_actor_release(a);
}

/* A dead actor without restarts is dead for all calls, also later ones. */
Test(actors, death, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(counter_new);

    expect(raia_actor_call(a, counter_add, raia_int(1)), 1);
    expect_error(raia_actor_call(a, counter_die), RAIA_ERR_ACTOR_DIED);
    expect_error(raia_actor_call(a, counter_add, raia_int(1)), RAIA_ERR_ACTOR_DIED);
    raia_actor_release(a);
}

/* An actor with restarts comes back with fresh state; calls with retries are made again. */
Test(actors, restart, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.max_restarts = 2), counter_new);
    raia_actor *b = raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.max_restarts = 2, .max_task_retries = 2), counter_new);

    expect(raia_actor_call(a, counter_add, raia_int(3)), 3);
    expect_error(raia_actor_call(a, counter_die), RAIA_ERR_ACTOR_UNAVAILABLE);
    expect(raia_actor_call(a, counter_add, raia_int(1)), 1);
    expect(raia_actor_call(b, counter_die_first), 77);
    expect(raia_actor_call(b, counter_add, raia_int(1)), 1);
    raia_actor_release(a);
    raia_actor_release(b);
}

/* Names are unique; get_if_exists finds; kill frees the name. */
Test(actors, named, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.name = "one"), counter_new), *b;

    cr_assert_not_null(a, "%s", raia_last_error()->text);
    cr_assert_null(raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.name = "one"), counter_new));
    cr_assert_eq(raia_last_error()->code, RAIA_ERR_EXISTS, "%s", raia_last_error()->text);
    b = raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.name = "one", .get_if_exists = true),
                              counter_new);
    cr_assert_not_null(b, "%s", raia_last_error()->text);
    expect(raia_actor_call(b, counter_add, raia_int(4)), 4);
    raia_actor_release(b);
    b = raia_actor_find("one", NULL);
    cr_assert_not_null(b, "%s", raia_last_error()->text);
    expect(raia_actor_call(b, counter_add, raia_int(4)), 8);
    cr_assert_eq(raia_actor_kill(a, true), 0, "%s", raia_last_error()->text);
    expect_error(raia_actor_call(a, counter_add, raia_int(1)), RAIA_ERR_ACTOR_DIED);
    cr_assert_null(raia_actor_find("nobody", NULL));
    cr_assert_eq(raia_last_error()->code, RAIA_ERR_NOT_FOUND);
    raia_actor_release(a);
    raia_actor_release(b);
}

/* An actor can be killed as soon as it is made, whatever is known of it by then; also before the
 * constructor has its arguments, in no time. What is called ends. */
Test(actors, killed_at_once, .init = session_begin, .fini = session_end)
{
    raia_actor *a, *first = raia_actor_create(counter_new);
    raia_ref *late;

    for (int i = 0; i < 50; i++) {
        a = raia_actor_create(counter_new);
        cr_assert_eq(raia_actor_kill(a, true), 0, "%d: %s", i, raia_last_error()->text);
        expect_error(raia_actor_call(a, counter_add, raia_int(1)), RAIA_ERR_ACTOR_DIED);
        raia_actor_release(a);
    }
    late = raia_actor_call(first, slow, raia_int(500));
    a = raia_actor_create(counter_new, raia_value_of(late));
    cr_assert_eq(raia_actor_kill(a, true), 0, "%s", raia_last_error()->text);
    expect_error(raia_actor_call(a, counter_add, raia_int(1)), RAIA_ERR_ACTOR_DIED);
    raia_release(late);
    raia_actor_release(a);
    raia_actor_release(first);
}

/* A detached actor outlives its job. */
Test(actors, detached, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.name = "stays", .ns = "shared", .detached = true), counter_new);

    cr_assert_not_null(a, "%s", raia_last_error()->text);
    expect(raia_actor_call(a, counter_add, raia_int(6)), 6);
    raia_actor_release(a);
    raia_shutdown();
    session_begin();
    a = raia_actor_find("stays", "shared");
    cr_assert_not_null(a, "%s", raia_last_error()->text);
    expect(raia_actor_call(a, counter_add, raia_int(1)), 7);
    cr_assert_eq(raia_actor_kill(a, true), 0);
    raia_actor_release(a);
}

/* A handle can be passed on; references that an actor keeps stay valid after the call. */
Test(actors, handles_and_references, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(counter_new);
    raia_ref *kept = raia_put(raia_int(99)), *r;

    expect(raia_submit(calls_it, raia_handle(a)), 5);
    r = raia_actor_call(a, counter_keep, raia_refs(&kept, 1));
    raia_release(kept);
    cr_assert(raia_get_done(r, 60000) == 0, "%s", raia_last_error()->text);
    raia_release(r);
    expect(raia_actor_call(a, counter_kept), 99);
    raia_actor_release(a);
}

/* Answers given later, from another thread; graceful exit answers first. */
Test(actors, deferred_and_exit, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(counter_new);
    raia_ref *r = raia_actor_call(a, deferred);
    char *s = raia_get_str(r, 60000);

    cr_assert(s && strcmp(s, "later") == 0, "%s", raia_last_error()->text);
    free(s);
    raia_release(r);
    r = raia_actor_call(a, counter_leave);
    cr_assert(raia_get_done(r, 60000) == 0, "%s", raia_last_error()->text);
    raia_release(r);
    expect_error(raia_actor_call(a, counter_add, raia_int(1)), RAIA_ERR_ACTOR_DIED);
    raia_actor_release(a);
}

/* max_concurrency lets methods run side by side. */
Test(actors, concurrency, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.max_concurrency = 8), counter_new);
    raia_ref *refs[8];

    cr_assert_eq(raia_actor_wait(a, 60000), 0, "%s", raia_last_error()->text);
    for (int i = 0; i < 8; i++)
        refs[i] = raia_actor_call(a, slow, raia_int(1000));
    cr_assert_eq(raia_wait(refs, 8, 8, 6000, NULL), 8);
    raia_release_all(refs, 8);
    raia_actor_release(a);
}

/* A limit of pending calls refuses, or waits. */
Test(actors, pending_limit, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.max_pending_calls = 2), counter_new);
    raia_actor *b = raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.max_pending_calls = 2, .block_when_full = true), counter_new);
    raia_ref *refs[2] = {raia_actor_call(a, slow, raia_int(300)),
                         raia_actor_call(a, slow, raia_int(1))};

    cr_assert_null(raia_actor_call(a, slow, raia_int(1)));
    cr_assert_eq(raia_last_error()->code, RAIA_ERR_PENDING_CALLS);
    cr_assert_eq(raia_wait(refs, 2, 2, 60000, NULL), 2);
    raia_release_all(refs, 2);
    for (int i = 0; i < 10; i++) {
        raia_ref *r = raia_actor_call(b, counter_add, raia_int(1));

        cr_assert_not_null(r, "%s", raia_last_error()->text);
        raia_release(r);
    }
    expect(raia_actor_call(b, counter_add, raia_int(1)), 11);
    raia_actor_release(a);
    raia_actor_release(b);
}

/* Where am I: the cluster's nodes, ids, and its small durable values. */
Test(cluster, nodes_and_values, .init = session_begin, .fini = session_end)
{
    struct raia_node *nodes = NULL;
    char text[RAIA_ID_TEXT];
    struct raia_id id = raia_node_id();
    size_t n = 0, size = 0;
    void *value = NULL;
    double cpus = 0;
    int here = 0;

    cr_assert_eq(raia_nodes(&nodes, &n), 0, "%s", raia_last_error()->text);
    for (size_t i = 0; i < n; i++) {
        cr_assert(nodes[i].alive && nodes[i].resource_count >= 1);
        cpus += nodes[i].cpus;
        here += memcmp(&nodes[i].id, &id, sizeof(id)) == 0;
    }
    cr_assert(cpus == 4 && here == 1);
    cr_assert_eq(strlen(raia_id_text(&id, text)), 32);
    cr_assert(raia_job_id() > 0);
    free(nodes);
    cr_assert_eq(raia_kv_put("t", "k", "v1", 2, true), 0, "%s", raia_last_error()->text);
    cr_assert_eq(raia_kv_put("t", "k", "v2", 2, false), -RAIA_ERR_EXISTS);
    cr_assert_eq(raia_kv_get("t", "k", &value, &size), 0, "%s", raia_last_error()->text);
    cr_assert(size == 2 && strcmp(value, "v1") == 0);
    free(value);
    cr_assert_eq(raia_kv_del("t", "k"), 0);
    cr_assert_eq(raia_kv_get("t", "k", &value, &size), -RAIA_ERR_NOT_FOUND);
}
