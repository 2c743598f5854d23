/* The public functions against a real node: tasks and objects. See session.h for how it runs. */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

static int add(raia_call *c)
{
    int64_t a, b;

    if (raia_arg_int(c, 0, &a) < 0 || raia_arg_int(c, 1, &b) < 0)
        return raia_fail(c, "add wants two integers");
    return raia_return_int(c, a + b);
}
RAIA_TASK(add)

static int fails(raia_call *c)
{
    return raia_fail(c, "on purpose");
}
RAIA_TASK(fails)

static int returns_code(raia_call *c)
{
    (void)c;
    return -RAIA_ERR_LIMIT;
}
RAIA_TASK(returns_code)

/* Dies at its first `n` attempts. */
static int dies(raia_call *c)
{
    int64_t n;

    if (raia_arg_int(c, 0, &n) < 0)
        return raia_fail(c, "how often?");
    if (raia_attempt(c) < (unsigned)n)
        kill(getpid(), SIGKILL);
    return raia_return_int(c, raia_attempt(c));
}
RAIA_TASK(dies)

static int fails_at_first(raia_call *c)
{
    return raia_attempt(c) == 0 ? raia_fail(c, "not yet") : raia_return_int(c, 1);
}
RAIA_TASK(fails_at_first)

static int big(raia_call *c)
{
    int64_t n;
    raia_buffer *b;

    if (raia_arg_int(c, 0, &n) < 0)
        return raia_fail(c, "how big?");
    b = raia_create((size_t)n);
    if (!b)
        return raia_fail(c, "no memory");
    memset(raia_buffer_data(b), 7, (size_t)n);
    return raia_return_buffer(c, 0, b, RAIA_RAW);
}
RAIA_TASK(big)

static int echo(raia_call *c)
{
    struct raia_view v;

    if (raia_arg(c, 0, &v) < 0)
        return raia_fail(c, "echo what?");
    return raia_return(c, raia_encoded(v.format, v.data, v.size));
}
RAIA_TASK(echo)

static int size_of(raia_call *c)
{
    size_t n = 0;

    if (!raia_arg_bytes(c, 0, &n))
        return raia_fail(c, "bytes?");
    return raia_return_int(c, (int64_t)n);
}
RAIA_TASK(size_of)

static int three(raia_call *c)
{
    for (int i = 0; i < 3; i++)
        if (raia_return_at(c, (size_t)i, raia_int(i * 10)) < 0)
            return raia_fail(c, "return");
    return 0;
}
RAIA_TASK(three)

/* Puts n objects and returns references to them. */
static int makes_refs(raia_call *c)
{
    int64_t n;
    raia_ref **refs;
    int r;

    if (raia_arg_int(c, 0, &n) < 0 || !(refs = calloc((size_t)n, sizeof(raia_ref *))))
        return raia_fail(c, "how many?");
    for (int64_t i = 0; i < n; i++)
        refs[i] = raia_put(raia_int(i));
    r = raia_return(c, raia_refs(refs, (size_t)n));
    raia_release_all(refs, (size_t)n);
    free(refs);
    return r;
}
RAIA_TASK(makes_refs)

/* Gets the references inside its argument, here, and sums. */
static int sums_refs(raia_call *c)
{
    struct raia_view v;
    int64_t sum = 0, x;

    if (raia_arg(c, 0, &v) < 0)
        return raia_fail(c, "a list");
    for (uint32_t i = 0; i < v.refs; i++) {
        raia_ref *r = raia_view_ref(&v, i);

        if (!r || raia_get_int(r, &x, 30000) < 0)
            return raia_fail(c, "reference %u", i);
        sum += x;
        raia_release(r);
    }
    return raia_return_int(c, sum);
}
RAIA_TASK(sums_refs)

static int fib(raia_call *c)
{
    int64_t n, a, b;
    raia_ref *x, *y;

    if (raia_arg_int(c, 0, &n) < 0)
        return raia_fail(c, "fib of what?");
    if (n < 2)
        return raia_return_int(c, n);
    x = raia_submit(fib, raia_int(n - 1));
    y = raia_submit(fib, raia_int(n - 2));
    if (raia_get_int(x, &a, 60000) < 0 || raia_get_int(y, &b, 60000) < 0)
        return raia_fail(c, "a part of it");
    raia_release(x);
    raia_release(y);
    return raia_return_int(c, a + b);
}
RAIA_TASK(fib)

static int spins(raia_call *c)
{
    for (int i = 0; i < 3000 && !raia_canceled(c); i++)
        usleep(10000);
    return raia_canceled(c) ? raia_fail(c, "canceled") : raia_return_int(c, 1);
}
RAIA_TASK(spins)

static int sleeps(raia_call *c)
{
    int64_t ms = 0;

    raia_arg_int(c, 0, &ms);
    usleep((useconds_t)ms * 1000);
    return raia_return_int(c, ms);
}
RAIA_TASK(sleeps)

static void expect(raia_ref *r, int64_t wanted)
{
    int64_t got = -1;

    cr_assert(raia_get_int(r, &got, 60000) == 0, "%s", raia_last_error()->text);
    cr_assert_eq(got, wanted);
    raia_release(r);
}

static void expect_error(raia_ref *r, int code)
{
    int64_t got;

    cr_assert_eq(raia_get_int(r, &got, 60000), -code, "%s", raia_last_error()->text);
    raia_release(r);
}

/* Values go to a task and come back; references are resolved, also chains of them. */
Test(tasks, values_and_chains, .init = session_begin, .fini = session_end)
{
    raia_ref *r = raia_submit(add, raia_int(1), raia_int(2)), *next;

    for (int i = 0; i < 200; i++) {
        next = raia_submit(add, raia_value_of(r), raia_int(1));
        raia_release(r);
        r = next;
    }
    expect(r, 203);
}

/* A thousand tasks at once all come back, in any order of getting. */
Test(tasks, many, .init = session_begin, .fini = session_end)
{
    raia_ref *refs[1000];

    for (int i = 0; i < 1000; i++)
        refs[i] = raia_submit(add, raia_int(i), raia_int(i));
    for (int i = 999; i >= 0; i--)
        expect(refs[i], 2 * i);
}

/* An error of user code reaches the getter with its cause; tasks that depend on it fail too. */
Test(tasks, errors_and_causes, .init = session_begin, .fini = session_end)
{
    raia_ref *r = raia_submit(fails), *then = raia_submit(add, raia_value_of(r), raia_int(1));
    const struct raia_error *e;
    int64_t x;

    cr_assert_eq(raia_get_int(r, &x, 60000), -RAIA_ERR_TASK_FAILED);
    e = raia_last_error();
    cr_assert(strstr(e->text, "fails") && strstr(e->text, "pid"), "%s", e->text);
    e = raia_error_cause(e);
    cr_assert(e && strcmp(e->text, "on purpose") == 0);
    cr_assert_eq(raia_get_int(then, &x, 60000), -RAIA_ERR_TASK_FAILED);
    cr_assert(strstr(raia_last_error()->text, "argument"), "%s", raia_last_error()->text);
    raia_release(r);
    raia_release(then);
    expect_error(raia_submit(returns_code), RAIA_ERR_TASK_FAILED);
    expect_error(raia_submit_named(NULL, "nobody_has_this", NULL, 0), RAIA_ERR_TASK_FAILED);
}

/* A worker that dies costs its task a retry; without retries the task fails, maybe executed. */
Test(tasks, retries, .init = session_begin, .fini = session_end)
{
    raia_ref *r;
    int64_t x;

    expect(raia_submit(dies, raia_int(2)), 2);
    r = raia_submit_opt(RAIA_OPTIONS(.max_retries = RAIA_NONE), dies, raia_int(1));
    cr_assert_eq(raia_get_int(r, &x, 60000), -RAIA_ERR_WORKER_CRASHED, "%s",
                 raia_last_error()->text);
    cr_assert(raia_last_error()->maybe_executed);
    raia_release(r);
    expect_error(raia_submit_opt(RAIA_OPTIONS(.max_retries = 1), dies, raia_int(5)),
                 RAIA_ERR_WORKER_CRASHED);
    expect(raia_submit_opt(RAIA_OPTIONS(.retry_errors = true), fails_at_first), 1);
    expect_error(raia_submit(fails_at_first), RAIA_ERR_TASK_FAILED);
}

/* Several return values; each is an object of its own. */
Test(tasks, several_returns, .init = session_begin, .fini = session_end)
{
    raia_ref *refs[3];

    cr_assert(raia_submit_opt(RAIA_OPTIONS(.num_returns = 3, .returns = refs), three));
    for (int i = 0; i < 3; i++)
        expect(refs[i], i * 10);
}

/* Values of all sizes, around the limits of a record, of the inline limit, and in the store. */
Test(objects, sizes, .init = session_begin, .fini = session_end)
{
    static const size_t sizes[] = {0, 1, 7900, 8000, 8192, 20000, 70000, 102300, 102500, 3000000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        uint8_t *p = malloc(sizes[i] + 1);
        raia_ref *put, *back, *len;
        struct raia_view v;

        memset(p, (int)i + 1, sizes[i]);
        put = raia_put(raia_bytes(p, sizes[i]));
        back = raia_submit(echo, raia_value_of(put));
        len = raia_submit(size_of, raia_bytes(p, sizes[i]));
        cr_assert(raia_get(back, &v, 60000) == 0, "%zu: %s", sizes[i], raia_last_error()->text);
        cr_assert_eq(v.size, sizes[i]);
        cr_assert(memcmp(v.data, p, v.size) == 0);
        raia_view_release(&v);
        expect(len, (int64_t)sizes[i]);
        raia_release(put);
        raia_release(back);
        free(p);
    }
}

/* An object made in place in a task comes here without a copy, and can be an argument again. */
Test(objects, in_place, .init = session_begin, .fini = session_end)
{
    raia_ref *r = raia_submit(big, raia_int(5000000));
    struct raia_view v;

    cr_assert(raia_get(r, &v, 60000) == 0, "%s", raia_last_error()->text);
    cr_assert_eq(v.size, 5000000);
    cr_assert_eq(((const uint8_t *)v.data)[4999999], 7);
    expect(raia_submit(size_of, raia_value_of(r)), 5000000);
    raia_view_release(&v);
    raia_release(r);
}

/* References travel inside values, in both directions, and what they name lives as long as they do.
 */
Test(objects, references_inside, .init = session_begin, .fini = session_end)
{
    raia_ref *list = raia_submit(makes_refs, raia_int(100)), *inner[100], *mine[10];
    struct raia_view v;
    int64_t x;

    cr_assert(raia_get(list, &v, 60000) == 0, "%s", raia_last_error()->text);
    cr_assert_eq(v.refs, 100);
    for (uint32_t i = 0; i < 100; i++)
        inner[i] = raia_view_ref(&v, i);
    raia_view_release(&v);
    raia_release(list);
    for (int i = 0; i < 100; i++) {
        cr_assert(raia_get_int(inner[i], &x, 60000) == 0, "%s", raia_last_error()->text);
        cr_assert_eq(x, i);
    }
    /* On to a third process: it gets them from their owner. */
    expect(raia_submit(sums_refs, raia_refs(inner, 100)), 4950);
    raia_release_all(inner, 100);
    for (int i = 0; i < 10; i++)
        mine[i] = raia_put(raia_int(i));
    list = raia_submit(sums_refs, raia_refs(mine, 10));
    raia_release_all(mine, 10);
    expect(list, 45);
}

/* Ten thousand references in one value, which is too large to be sent inline. */
Test(objects, ten_thousand_references, .init = session_begin, .fini = session_end)
{
    raia_ref *list = raia_submit(makes_refs, raia_int(10000)), *one;
    struct raia_view v;
    int64_t x;

    cr_assert(raia_get(list, &v, 60000) == 0, "%s", raia_last_error()->text);
    cr_assert_eq(v.refs, 10000);
    one = raia_view_ref(&v, 9999);
    cr_assert(raia_get_int(one, &x, 60000) == 0, "%s", raia_last_error()->text);
    cr_assert_eq(x, 9999);
    raia_release(one);
    expect(raia_submit(sums_refs, raia_value_of(list)), 49995000);
    raia_view_release(&v);
    raia_release(list);
}

/* When the owner of an object dies, getting it fails, and says so. */
Test(objects, owner_dies, .init = session_begin, .fini = session_end)
{
    raia_ref *list = raia_submit(makes_refs, raia_int(1)), *inner;
    struct raia_view v;
    int64_t x;

    cr_assert(raia_get(list, &v, 60000) == 0);
    inner = raia_view_ref(&v, 0);
    raia_view_release(&v);
    /* Whichever worker it is. */
    for (int i = 0; i < 4; i++)
        raia_release(raia_submit_opt(RAIA_OPTIONS(.max_retries = RAIA_NONE, .num_cpus = 0.5), dies,
                                     raia_int(1)));
    for (int i = 0; i < 100; i++) {
        raia_ref *kill_it =
            raia_submit_opt(RAIA_OPTIONS(.max_retries = RAIA_NONE), dies, raia_int(1));

        raia_get_done(kill_it, 60000);
        raia_release(kill_it);
        raia_release(list);
        list = raia_ref_dup(inner);
        if (raia_get_int(inner, &x, 60000) == -RAIA_ERR_OWNER_DIED)
            break;
    }
    cr_assert_eq(raia_get_int(inner, &x, 60000), -RAIA_ERR_OWNER_DIED, "%s",
                 raia_last_error()->text);
    raia_release(inner);
    raia_release(list);
}

/* A value that was made in place is the caller's: it outlives the worker that made it. */
Test(objects, maker_dies, .init = session_begin, .fini = session_end)
{
    raia_ref *made = raia_submit(big, raia_int(1 << 20));
    struct raia_view v;

    cr_assert(raia_get_done(made, 60000) == 0);
    for (int i = 0; i < 20; i++) {
        raia_ref *kill_it =
            raia_submit_opt(RAIA_OPTIONS(.max_retries = RAIA_NONE), dies, raia_int(1));

        raia_get_done(kill_it, 60000);
        raia_release(kill_it);
    }
    cr_assert_eq(raia_get(made, &v, 60000), 0, "%s", raia_last_error()->text);
    cr_assert_eq(v.size, 1 << 20);
    raia_view_release(&v);
    raia_release(made);
}

/* Tasks that wait for tasks do not starve each other. */
Test(tasks, nested, .init = session_begin, .fini = session_end)
{
    expect(raia_submit(fib, raia_int(9)), 34);
}

/* wait returns when enough are ready, and marks the first of them in order of the list. */
Test(tasks, wait, .init = session_begin, .fini = session_end)
{
    raia_ref *refs[3] = {raia_submit(sleeps, raia_int(2000)), raia_put(raia_int(1)),
                         raia_submit(add, raia_int(1), raia_int(1))};
    bool ready[3];

    cr_assert_eq(raia_wait(refs, 3, 2, 60000, ready), 2);
    cr_assert(!ready[0] && ready[1] && ready[2]);
    cr_assert_eq(raia_wait(refs, 1, 1, 0, ready), 0);
    cr_assert_eq(raia_wait(refs, 3, 3, 60000, NULL), 3);
    cr_assert_eq(raia_wait(refs, 3, 4, 0, NULL), -RAIA_ERR_INVALID);
    raia_release_all(refs, 3);
}

/* Cancel: of a queued task, of a running one that looks, of one that does not (by force). */
Test(tasks, cancel, .init = session_begin, .fini = session_end)
{
    raia_ref *busy[4], *queued, *forced;
    int64_t x;

    for (int i = 0; i < 4; i++)
        busy[i] = raia_submit(spins);
    queued = raia_submit(add, raia_int(1), raia_int(1));
    usleep(200000);
    cr_assert_eq(raia_cancel(queued, false, true), 0);
    expect_error(queued, RAIA_ERR_CANCELED);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(raia_cancel(busy[i], false, true), 0);
        expect_error(busy[i], RAIA_ERR_CANCELED);
    }
    forced = raia_submit(sleeps, raia_int(50000));
    cr_assert_eq(raia_get_int(forced, &x, 300), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(raia_cancel(forced, true, true), 0);
    expect_error(forced, RAIA_ERR_CANCELED);
}

/* A deadline ends a task for its getters, started or not. */
Test(tasks, deadline, .init = session_begin, .fini = session_end)
{
    expect_error(raia_submit_opt(RAIA_OPTIONS(.deadline_ms = 200), sleeps, raia_int(1500)),
                 RAIA_ERR_TIMEOUT);
    expect_error(raia_submit_opt(RAIA_OPTIONS(.deadline_ms = 200,
                                              .resources = &(struct raia_resource){"none", 1},
                                              .resource_count = 1),
                                 sleeps, raia_int(0)),
                 RAIA_ERR_TIMEOUT);
}

static void *hammer(void *arg)
{
    int64_t base = (int64_t)(intptr_t)arg;

    for (int64_t i = 0; i < 500; i++) {
        raia_ref *r = raia_submit(add, raia_int(base), raia_int(i));
        int64_t x = 0;

        if (raia_get_int(r, &x, 60000) < 0 || x != base + i)
            return (void *)1;
        raia_release(r);
    }
    return NULL;
}

/* Any thread may call at any time: four of them submit and wait side by side. */
Test(tasks, threads, .init = session_begin, .fini = session_end)
{
    pthread_t t[4];
    void *bad;

    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, hammer, (void *)(intptr_t)(i * 1000));
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &bad);
        cr_assert_null(bad);
    }
}

/* Misuse gives an error, never a crash. */
Test(misuse, errors, .init = session_begin, .fini = session_end)
{
    struct raia_view v = {0};
    struct raia_options bad = {0};
    raia_ref *r = raia_put(raia_str("text"));
    int64_t x;
    int status;
    pid_t pid;

    cr_assert_eq(raia_get(NULL, &v, 0), -RAIA_ERR_INVALID);
    cr_assert_eq(raia_get(r, NULL, 0), -RAIA_ERR_INVALID);
    cr_assert_eq(raia_get_int(r, &x, 0), -RAIA_ERR_INVALID);
    cr_assert_null(raia_submit_array(&bad, add, NULL, 0));
    cr_assert_null(raia_submit_array(NULL, NULL, NULL, 0));
    cr_assert_null(raia_submit(add, raia_value_of(NULL)));
    cr_assert_null(raia_submit(add, (struct raia_value){.kind = (enum raia_kind)77}));
    cr_assert_null(raia_submit_opt(RAIA_OPTIONS(.num_cpus = -1.5), add));
    cr_assert_null(raia_submit_opt(RAIA_OPTIONS(.num_returns = 2), add));
    cr_assert_null(raia_actor_call(NULL, add));
    cr_assert_null(raia_view_ref(&v, 0));
    cr_assert_null(raia_seal(NULL, 0));
    cr_assert_eq(raia_cancel(NULL, false, false), -RAIA_ERR_INVALID);
    cr_assert_eq(raia_init(NULL), -RAIA_ERR_STATE);
    cr_assert_eq(raia_fail(NULL, "x"), -RAIA_ERR_INVALID);
    raia_release(NULL);
    raia_view_release(NULL);
    raia_actor_release(NULL);
    raia_buffer_abort(NULL);
    pid = fork();
    if (pid == 0)
        _exit(raia_get_int(r, &x, 0) == -RAIA_ERR_FORKED && !raia_put(raia_int(1)) ? 0 : 1);
    waitpid(pid, &status, 0);
    cr_assert_eq(status, 0);
    raia_release(r);
}

/* Handles may be released after shutdown; everything else fails; a new session can begin. */
Test(misuse, after_shutdown, .init = session_begin, .fini = session_end)
{
    raia_ref *r = raia_put(raia_int(1)), *pending = raia_submit(sleeps, raia_int(5000));
    raia_ref *large = raia_submit(big, raia_int(200000));
    int64_t x;

    raia_get_done(large, 60000);
    raia_shutdown();
    cr_assert_eq(raia_get_int(r, &x, 0), -RAIA_ERR_SHUTDOWN);
    cr_assert_null(raia_submit(add, raia_int(1), raia_int(1)));
    raia_release(r);
    cr_assert_eq(raia_init(NULL), 0, "%s", raia_last_error()->text);
    cr_assert_eq(raia_get_int(pending, &x, 0), -RAIA_ERR_SHUTDOWN);
    expect(raia_submit(add, raia_int(20), raia_int(3)), 23);
    raia_release(pending);
    raia_release(large);
}

/* Past the limit of pending tasks a submission is refused at once, or waits, as was configured. A
 * config of a program built before block_when_full is taken as it is. */
Test(tasks, pending_limit)
{
    struct raia_config config = {.struct_size = offsetof(struct raia_config, block_when_full),
                                 .max_pending_tasks = 2,
                                 .block_when_full = true};
    raia_ref *r[3];

    cr_assert_eq(raia_init(&config), 0);
    r[0] = raia_submit(sleeps, raia_int(500));
    r[1] = raia_submit(sleeps, raia_int(500));
    cr_assert_null(raia_submit(sleeps, raia_int(0)));
    cr_assert_eq(raia_last_error()->code, RAIA_ERR_PENDING_CALLS);
    raia_release_all(r, 2);
    raia_shutdown();
    config.struct_size = sizeof(config);
    cr_assert_eq(raia_init(&config), 0);
    for (int i = 0; i < 20; i++) {
        raia_ref *one = raia_submit(sleeps, raia_int(5));

        cr_assert_not_null(one, "%s", raia_last_error()->text);
        raia_release(one);
    }
    raia_shutdown();
}
