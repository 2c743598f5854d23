/*
 * Failures on purpose: chaos rules, a server killed in mid-stream, allocations that fail.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(chaos, .timeout = 110);

static int served;
static void serve_count(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg;
    served++;
    rpc_reply(q, data, size);
}

static void setup(struct fix *f, const char *host)
{
    struct raia_error e = {0};
    served = 0;
    fix_listen(f, host, NULL);
    cr_assert_eq(rpc_server_unary(f->server, ECHO, serve_count, NULL, NULL, &e), 0);
    cr_assert_eq(rpc_server_unary(f->server, FAIL, serve_count, NULL, NULL, &e), 0);
    fix_connect(f, NULL);
}

/* A dropped request never reaches the handler; a dropped reply does; the count limits both; other
 * methods go unharmed. */
BOTH(chaos, drops)
{
    struct fix f = {0};
    struct result res;
    struct raia_error e = {0};
    setup(&f, host);
    uint64_t before = rpc_chaos_count();
    cr_assert_eq(rpc_chaos_set("Echo=2:100:0", 1, &e), 0, "%s", e.text);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), -RAIA_ERR_UNAVAILABLE);
    cr_assert_not(res.e.maybe_executed);
    cr_assert_eq(call_wait(&f, &res, FAIL, "x", 1, 0), 0);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(served, 1);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), 0);
    cr_assert_eq(rpc_chaos_count() - before, 2);

    cr_assert_eq(rpc_chaos_set(ECHO "=1:0:100", 1, &e), 0, "%s", e.text);
    served = 0;
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), -RAIA_ERR_UNAVAILABLE);
    cr_assert(res.e.maybe_executed);
    cr_assert_eq(served, 1);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), 0);

    cr_assert_eq(rpc_chaos_set("*=-1:100:0,Echo=0:0:0", 1, &e), 0, "%s", e.text);
    cr_assert_eq(call_wait(&f, &res, FAIL, "x", 1, 0), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), 0);
    rpc_chaos_clear();
    cr_assert_eq(call_wait(&f, &res, FAIL, "x", 1, 0), 0);
    fix_end(&f);
}

/* A delay holds the request back, but not beyond its deadline, and can be cancelled. */
BOTH(chaos, delay)
{
    struct fix f = {0};
    struct result res;
    struct raia_error e = {0};
    setup(&f, host);
    cr_assert_eq(rpc_chaos_set("Echo=-1:0:0:50", 0, &e), 0);
    uint64_t t0 = loop_now_ms(f.loop);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), 0);
    cr_assert_geq(loop_now_ms(f.loop) - t0, 50);
    cr_assert_eq(rpc_chaos_add("Echo", -1, 0, 0, 3600000, &e), 0);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 50), -RAIA_ERR_TIMEOUT);
    memset(&res, 0, sizeof res);
    rpc_call(f.ch, &res.call, ECHO, "x", 1, 0, on_result);
    rpc_call_cancel(&res.call);
    UNTIL(&f, res.done, 1);
    cr_assert_eq(res.r, -RAIA_ERR_CANCELED);
    rpc_chaos_clear();
    fix_end(&f);
}

/* The same seed gives the same failures, about as many as asked for. */
Test(chaos, seeded)
{
    char runs[2][201] = {{0}};
    struct raia_error e = {0};
    struct fix f = {0};
    struct result res;
    setup(&f, "mem:seeded");
    for (int run = 0; run < 2; run++) {
        cr_assert_eq(rpc_chaos_set("Echo=-1:20:20", 42, &e), 0);
        for (int i = 0; i < 200; i++)
            runs[run][i] = call_wait(&f, &res, ECHO, "x", 1, 0) == 0 ? '.' : 'x';
    }
    cr_assert_str_eq(runs[0], runs[1]);
    int failed = 0;
    for (int i = 0; i < 200; i++)
        failed += runs[0][i] == 'x';
    cr_assert(failed > 30 && failed < 130, "%d of 200 failed, 72 expected", failed);
    rpc_chaos_clear();
    fix_end(&f);
}

/* Malformed rules are refused with a text that shows the rule, and leave what was armed. */
Test(chaos, malformed)
{
    static const char *const bad[] = {"Echo",           "Echo=",
                                      "=1:2:3",         "Echo=1:2",
                                      "Echo=1:101:0",   "Echo=1:0:101",
                                      "Echo=-2:0:0",    "Echo=1:2:3x",
                                      "Echo=1:-1:0",    "Echo=1:2:3:-4",
                                      "A=1:2:3,B",      "Echo=a:b:c",
                                      "Echo=1:2:3:4:5", "Echo=99999999999999999999:1:1"};
    struct raia_error e = {0};
    struct fix f = {0};
    struct result res;
    setup(&f, "mem:malformed");
    cr_assert_eq(rpc_chaos_set("Echo=-1:100:0", 1, &e), 0);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(rpc_chaos_set(bad[i], 1, &e), -RAIA_ERR_INVALID, "'%s' was taken", bad[i]);
        cr_assert(strstr(e.text, "chaos rule"));
    }
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), -RAIA_ERR_UNAVAILABLE);
    setenv("RAIA_TESTING_RPC_FAILURE", "nonsense", 1);
    cr_assert_eq(rpc_chaos_from_env(&e), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "RAIA_TESTING_RPC_FAILURE"));
    setenv("RAIA_TESTING_RPC_FAILURE", "Echo=0:0:0", 1);
    cr_assert_eq(rpc_chaos_from_env(&e), 0);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), 0);
    rpc_chaos_clear();
    fix_end(&f);
}

/* ---- a server that is killed ---- */

static int serve_any(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    static const struct rpc_stream_cbs quiet;
    (void)arg, (void)e;
    rpc_stream_bind(st, &quiet, NULL);
    for (uint32_t i = 0; i < 10; i++)
        rpc_stream_send(st, &i, 4);
    return 0;
}

static struct held held;

static void child_serve(int out)
{
    struct fix f = {0};
    struct raia_error e = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fix_listen(&f, "127.0.0.1", NULL);
    if (rpc_server_stream(f.server, STREAM, serve_any, NULL, NULL, &e) < 0 ||
        rpc_server_unary(f.server, HOLD, serve_hold, &held, NULL, &e) < 0 ||
        rpc_server_start(f.server, &e) < 0 || write(out, f.target, sizeof f.target) < 0)
        _exit(1);
    loop_run(f.loop);
}

static int messages, closed;
static struct raia_error close_error;

static void count_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    (void)arg, (void)st, (void)data, (void)size;
    messages++;
}

static void note_close(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    (void)arg, (void)st;
    closed++;
    if (err)
        close_error = *err;
}

/* kill -9 of the server in mid-stream and mid-call: both end with UNAVAILABLE at once, maybe
 * executed. */
Test(chaos, server_killed)
{
    static const struct rpc_stream_cbs cbs = {count_message, NULL, NULL, note_close};
    struct fix f = {0};
    struct raia_error e = {0};
    struct result res = {0};
    struct rpc_stream *st;
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    pid_t pid = fork(); /* gRPC has not been started in this process yet */
    if (pid == 0)
        child_serve(fds[1]);
    cr_assert_eq(read(fds[0], f.target, sizeof f.target), (ssize_t)sizeof f.target);
    cr_assert_eq(loop_new(&f.loop, &e), 0);
    fix_connect(&f, NULL);
    cr_assert_eq(rpc_stream_open(f.ch, STREAM, 0, &cbs, NULL, &st, &e), 0);
    rpc_call(f.ch, &res.call, HOLD, "x", 1, 600000, on_result);
    UNTIL(&f, messages, 10);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    UNTIL(&f, closed, 1);
    cr_assert_eq(close_error.code, RAIA_ERR_UNAVAILABLE, "%s", close_error.text);
    UNTIL(&f, res.done, 1);
    cr_assert_eq(res.r, -RAIA_ERR_UNAVAILABLE);
    cr_assert(res.e.maybe_executed);
    fix_end(&f);
    close(fds[0]);
    close(fds[1]);
}

/* A server that hangs (its machine gone, say) is noticed by keep-alive, long before the call's
 * deadline. */
Test(chaos, server_silent)
{
    struct fix f = {0};
    struct raia_error e = {0};
    struct result res = {0};
    struct rpc_stream *st;
    static const struct rpc_stream_cbs cbs = {count_message, NULL, NULL, note_close};
    struct rpc_channel_opts co = {.keepalive_ms = 1000};
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    pid_t pid = fork(); /* gRPC has not been started in this process yet */
    if (pid == 0)
        child_serve(fds[1]);
    cr_assert_eq(read(fds[0], f.target, sizeof f.target), (ssize_t)sizeof f.target);
    cr_assert_eq(loop_new(&f.loop, &e), 0);
    fix_connect(&f, &co);
    cr_assert_eq(rpc_stream_open(f.ch, STREAM, 0, &cbs, NULL, &st, &e), 0);
    UNTIL(&f, messages, 10);
    kill(pid, SIGSTOP);
    rpc_call(f.ch, &res.call, HOLD, "x", 1, 600000, on_result);
    UNTIL(&f, res.done, 1);
    UNTIL(&f, closed, 1);
    cr_assert_eq(res.r, -RAIA_ERR_UNAVAILABLE, "%s", res.e.text);
    cr_assert_eq(close_error.code, RAIA_ERR_UNAVAILABLE, "%s", close_error.text);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fix_end(&f);
    close(fds[0]);
    close(fds[1]);
}

/* Chaos breaks streams too: when they are opened, or at a message received. */
BOTH(chaos, streams)
{
    static const struct rpc_stream_cbs cbs = {count_message, NULL, NULL, note_close};
    for (int reply = 0; reply < 2; reply++) {
        struct fix f = {0};
        struct raia_error e = {0};
        struct rpc_stream *st;
        messages = closed = 0;
        fix_listen(&f, host, NULL);
        cr_assert_eq(rpc_server_stream(f.server, STREAM, serve_any, NULL, NULL, &e), 0);
        fix_connect(&f, NULL);
        cr_assert_eq(rpc_chaos_set(reply ? "Stream=1:0:100" : "Stream=1:100:0", 1, &e), 0);
        cr_assert_eq(rpc_stream_open(f.ch, STREAM, 0, &cbs, NULL, &st, &e), 0);
        UNTIL(&f, closed, 1);
        cr_assert_eq(close_error.code, RAIA_ERR_UNAVAILABLE);
        cr_assert(strstr(close_error.text, "chaos"));
        cr_assert_eq(messages, 0);
        cr_assert_eq(rpc_stream_open(f.ch, STREAM, 0, &cbs, NULL, &st, &e), 0);
        UNTIL(&f, messages, 10);
        fix_end(&f);
    }
}

/* ---- out of memory ---- */

#define REFUSE "/raia.test.v1.Test/Refuse"

static void on_gone(void *arg)
{
    (void)arg;
}

static void serve_refusal(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg, (void)data, (void)size;
    rpc_request_on_cancel(q, on_gone, NULL);
    rpc_reply_error(q, -RAIA_ERR_STATE, "not %s", "now");
}

/* Whatever allocation of the client's and server's thread fails in a round of set-up, call, stream
 * and shutdown: errors come back, every callback is called, nothing leaks and nothing hangs. */
BOTH(chaos, out_of_memory)
{
    static const struct rpc_stream_cbs cbs = {count_message, NULL, NULL, note_close};
    static const struct rpc_server_opts so = {.token = "secret"};
    static const struct rpc_channel_opts co = {.token = "secret"};
    bool reached = true;
    int rounds = 0, errors = 0;
    for (uint64_t n = 1; reached && n < 200; n++, rounds++) {
        struct fix f = {0};
        struct raia_error e = {0};
        struct result res = {0};
        struct rpc_stream *st = NULL;
        uint16_t port = 0;
        int opened = 0;
        closed = messages = 0;
        cr_assert_eq(loop_new(&f.loop, &e), 0);
        struct result refused = {0};
        mem_fail_nth(n);
        bool ok = rpc_server_new(f.loop, &so, &f.server, &e) == 0 &&
                  rpc_server_unary(f.server, REFUSE, serve_refusal, NULL, NULL, &e) == 0 &&
                  rpc_server_unary(f.server, ECHO, serve_count, NULL, NULL, &e) == 0 &&
                  rpc_server_stream(f.server, STREAM, serve_any, NULL, NULL, &e) == 0 &&
                  rpc_server_listen(f.server, host, 0, &port, &e) == 0 &&
                  rpc_server_start(f.server, &e) == 0;
        snprintf(f.target, sizeof f.target, port ? "%s:%u" : "%s", host, port);
        ok = ok && rpc_channel_new(f.loop, f.target, &co, &f.ch, &e) == 0;
        if (ok) {
            rpc_call(f.ch, &res.call, ECHO, "x", 1, 0, on_result);
            UNTIL(&f, res.done, 1);
            rpc_call(f.ch, &refused.call, REFUSE, "x", 1, PATIENCE_MS, on_result);
            UNTIL(&f, refused.done, 1);
            errors += refused.r == -RAIA_ERR_NOMEM;
            cr_assert(refused.r == -RAIA_ERR_STATE || refused.r == -RAIA_ERR_NOMEM, "%d: %s",
                      refused.r, refused.e.text);
            errors += res.r < 0;
            cr_assert(res.r == 0 || res.r == -RAIA_ERR_NOMEM, "%d: %s", res.r, res.e.text);
            opened = rpc_stream_open(f.ch, STREAM, 0, &cbs, NULL, &st, &e) == 0;
            if (opened) {
                (void)rpc_stream_send(st, "abc", 3);
                rpc_stream_half_close(st);
                UNTIL(&f, closed, 1);
            }
        } else {
            cr_assert_eq(e.code, RAIA_ERR_NOMEM, "%s", e.text);
            errors++;
        }
        reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        fix_end(&f);
        cr_assert_eq(closed, opened);
    }
    cr_assert_gt(errors, 8);
    cr_assert_lt(rounds, 199);
}
