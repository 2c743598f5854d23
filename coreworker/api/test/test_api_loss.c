/* The public functions when things are lost: memory, and the node's raylet. See session.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "session.h"

#define MOST 400 /* allocations that one step may make */

static int twice(raia_call *c)
{
    int64_t x;

    return raia_arg_int(c, 0, &x) < 0 ? raia_fail(c, "an integer") : raia_return_int(c, 2 * x);
}
RAIA_TASK(twice)

static int waits(raia_call *c)
{
    for (int i = 0; i < 2000 && !raia_canceled(c); i++)
        usleep(10000);
    return 0;
}
RAIA_TASK(waits)

static int thing_new(raia_call *c)
{
    return raia_set_self(c, c);
}
RAIA_ACTOR(Thing, thing_new, NULL)

static int step_put(void)
{
    raia_ref *a = raia_put(raia_str("text")), *b;

    if (!a)
        return -1;
    b = raia_put(raia_with_refs(raia_bytes("x", 1), &a, 1));
    raia_release(a);
    raia_release(b);
    return b ? 0 : -1;
}

static int step_submit(void)
{
    raia_ref *a = raia_put(raia_int(4)), *r, *many[3] = {0};
    int64_t x;
    int n;

    r = raia_submit_opt(RAIA_OPTIONS(.name = "named"), twice, raia_value_of(a));
    raia_release(a);
    if (!r)
        return -1;
    n = raia_get_int(r, &x, 30000);
    raia_release(r);
    if (n < 0 ||
        !raia_submit_opt(RAIA_OPTIONS(.num_returns = 3, .returns = many), twice, raia_int(1)))
        return -1;
    raia_wait(many, 3, 3, 30000, NULL);
    raia_release_all(many, 3);
    return x == 8 ? 0 : -1;
}

static int step_large(void)
{
    raia_buffer *b = raia_create(300000);
    raia_ref *r = b ? raia_seal(b, RAIA_RAW) : NULL;
    struct raia_view v;
    int n = r ? raia_get(r, &v, 30000) : -1;

    if (n == 0)
        raia_view_release(&v);
    raia_release(r);
    return n;
}

static int step_actor(void)
{
    raia_actor *a = raia_actor_create(thing_new, raia_int(1));
    raia_ref *r = raia_actor_call(a, twice, raia_int(1));
    int n = r ? raia_get_done(r, 30000) : -1;

    raia_release(r);
    raia_actor_release(a);
    return n;
}

static int step_values(void)
{
    struct raia_node *nodes = NULL;
    size_t n;
    void *v = NULL;
    int r = raia_nodes(&nodes, &n);

    free(nodes);
    if (r == 0)
        r = raia_kv_put("n", "k", "v", 1, true);
    if (r == 0)
        r = raia_kv_get("n", "k", &v, NULL);
    free(v);
    return r;
}

/* Whichever allocation fails, the call fails or succeeds, and the next one works as ever. */
Test(loss, memory, .init = session_begin, .fini = session_end)
{
    static int (*const steps[])(void) = {step_put, step_submit, step_large, step_actor,
                                         step_values};

    for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
        unsigned failed = 0;
        uint64_t n, made = 1;

        for (n = 1; n <= MOST && made >= n; n++) {
            mem_fail_nth(n);
            failed += steps[s]() < 0;
            made = mem_fail_count();
            mem_fail_nth(0);
        }
        cr_assert_lt(n, MOST);
        cr_assert_eq(steps[s](), 0, "step %zu after %u failures: %s", s, failed,
                     raia_last_error()->text);
    }
}

static pid_t raylet(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct ucred who = {0};
    socklen_t n = sizeof(who);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s/raylet.sock", getenv("RAIA_ADDRESS"));
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n);
    close(fd);
    return who.pid;
}

/* The raylet dies: every wait ends at once with an error that says so; a new session works as soon
 * as there is a new raylet. */
Test(loss, raylet, .init = session_begin, .fini = session_end)
{
    raia_ref *r = raia_submit(waits);
    int64_t x;
    int n = -1;

    cr_assert_eq(raia_get_int(r, &x, 200), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(kill(raylet(), SIGKILL), 0);
    cr_assert_eq(raia_get_int(r, &x, 60000), -RAIA_ERR_UNAVAILABLE, "%s", raia_last_error()->text);
    cr_assert(strstr(raia_last_error()->text, "raylet"), "%s", raia_last_error()->text);
    cr_assert_null(raia_submit(twice, raia_int(1)));
    cr_assert_eq(raia_last_error()->code, RAIA_ERR_UNAVAILABLE);
    raia_release(r);
    raia_shutdown();
    for (int i = 0; i < 300 && n < 0; i++) {
        n = raia_init(NULL);
        if (n < 0)
            usleep(100000);
    }
    cr_assert_eq(n, 0, "%s", raia_last_error()->text);
    r = raia_submit(twice, raia_int(21));
    cr_assert(raia_get_int(r, &x, 60000) == 0 && x == 42, "%s", raia_last_error()->text);
    raia_release(r);
}

static int harmless(raia_call *c)
{
    return raia_return_int(c, 1);
}
RAIA_TASK(harmless)

static int deadly(raia_call *c)
{
    (void)c;
    kill(getpid(), SIGKILL);
    return 0;
}
RAIA_TASK(deadly)

/* Tasks that kill their workers cost only themselves: those that stood behind or before them, on the
 * same workers, keep their one retry, however many workers die. */
Test(loss, others_pay_nothing, .init = session_begin, .fini = session_end)
{
    enum { N = 160, DEADLY = 40 };
    static raia_ref *refs[N], *dead[DEADLY];

    for (int i = 0; i < 100; i++)
        raia_release(raia_submit(harmless));
    for (int i = 0, d = 0; i < N; i++) {
        refs[i] = raia_submit_opt(RAIA_OPTIONS(.max_retries = 1), harmless);
        if (i % (N / DEADLY) == N / DEADLY - 1)
            dead[d++] = raia_submit_opt(RAIA_OPTIONS(.max_retries = 2), deadly);
    }
    for (int i = 0; i < N; i++)
        cr_assert_eq(raia_get_done(refs[i], 120000), 0, "%d: %s", i, raia_last_error()->text);
    for (int i = 0; i < DEADLY; i++) {
        cr_assert_eq(raia_get_done(dead[i], 120000), -RAIA_ERR_WORKER_CRASHED);
        cr_assert(raia_last_error()->maybe_executed);
    }
    raia_release_all(refs, N);
    raia_release_all(dead, DEADLY);
}
