/* The public functions when the node's raylet, or workers, are lost. See session.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "session.h"

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
