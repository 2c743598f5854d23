/*
 * Unary calls, over both transports.
 */
#include "fixture.h"

TestSuite(unary, .timeout = 100);

static void setup_echo(struct fix *f, const char *host, const struct rpc_channel_opts *co)
{
    struct raia_error e = {0};
    fix_listen(f, host, NULL);
    cr_assert_eq(rpc_server_unary(f->server, ECHO, serve_echo, NULL, NULL, &e), 0, "%s", e.text);
    fix_connect(f, co);
}

/* Replies carry the bytes of the request: empty, small, and far larger than any buffer. */
BOTH(unary, echo)
{
    struct fix f = {0};
    struct result res;
    setup_echo(&f, host, NULL);
    cr_assert_eq(call_wait(&f, &res, ECHO, "hello", 5, 0), 0, "%s", res.e.text);
    cr_assert_eq(res.size, 5);
    cr_assert_arr_eq(res.data, "hello", 5);
    cr_assert_eq(call_wait(&f, &res, ECHO, NULL, 0, 0), 0, "%s", res.e.text);
    cr_assert_eq(res.size, 0);
    size_t big = 5u << 20;
    char *p = mem_alloc(big);
    memset(p, 'x', big);
    cr_assert_eq(call_wait(&f, &res, ECHO, p, big, 0), 0, "%s", res.e.text);
    cr_assert_eq(res.size, big);
    mem_free(p);
    fix_end(&f);
}

static void serve_fail(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg, (void)size;
    int code = *(const unsigned char *)data;
    if (code == 200) {
        struct raia_error err;
        err_set(&err, RAIA_ERR_IO, "half done");
        err.retryable = true;
        err.maybe_executed = true;
        rpc_reply_failure(q, &err);
        return;
    }
    rpc_reply_error(q, -code, "failed with %d: 100%% \xc3\xa4", code);
}

/* Every error code arrives as it was replied, with its text and bits. */
BOTH(unary, errors)
{
    struct fix f = {0};
    struct result res;
    struct raia_error e = {0}, want;
    fix_listen(&f, host, NULL);
    cr_assert_eq(rpc_server_unary(f.server, FAIL, serve_fail, NULL, NULL, &e), 0);
    fix_connect(&f, NULL);
    for (unsigned char code = 1; code <= RAIA_ERR_MAX; code++) {
        cr_assert_eq(call_wait(&f, &res, FAIL, &code, 1, 0), -code, "%d: %s", code, res.e.text);
        err_set(&want, code, "%s", "");
        cr_assert_eq(res.e.code, code);
        cr_assert_eq(res.e.retryable, want.retryable);
        cr_assert_not(res.e.maybe_executed);
        char text[64];
        snprintf(text, sizeof text, "failed with %d: 100%% \xc3\xa4", code);
        cr_assert(strstr(res.e.text, text), "%s", res.e.text);
        cr_assert(strstr(res.e.text, FAIL), "%s", res.e.text);
    }
    unsigned char special = 200;
    cr_assert_eq(call_wait(&f, &res, FAIL, &special, 1, 0), -RAIA_ERR_IO);
    cr_assert(res.e.retryable);
    cr_assert(res.e.maybe_executed);
    fix_end(&f);
}

/* An unknown method is refused at once, long before the deadline. */
BOTH(unary, unknown_method)
{
    struct fix f = {0};
    struct result res;
    setup_echo(&f, host, NULL);
    uint64_t t0 = loop_now_ms(f.loop);
    cr_assert_eq(call_wait(&f, &res, "/raia.test.v1.Test/None", "x", 1, 600000),
                 -RAIA_ERR_UNSUPPORTED);
    cr_assert_lt(loop_now_ms(f.loop) - t0, PATIENCE_MS);
    cr_assert(strstr(res.e.text, "None"));
    cr_assert_not(res.e.maybe_executed);
    fix_end(&f);
}

/* A request and a reply beyond the receiver's limit fail with LIMIT, and the channel lives on. */
BOTH(unary, too_large)
{
    struct fix f = {0};
    struct result res;
    struct raia_error e = {0};
    static char data[300000];
    struct rpc_server_opts so = {.max_message = 200000};
    struct rpc_channel_opts co = {.max_message = 100000};
    fix_listen(&f, host, &so);
    cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_echo, NULL, NULL, &e), 0);
    fix_connect(&f, &co);
    cr_assert_eq(call_wait(&f, &res, ECHO, data, 90000, 0), 0, "%s", res.e.text);
    cr_assert_eq(call_wait(&f, &res, ECHO, data, 300000, 0), -RAIA_ERR_LIMIT, "%s", res.e.text);
    cr_assert_eq(call_wait(&f, &res, ECHO, data, 150000, 0), -RAIA_ERR_LIMIT, "%s", res.e.text);
    cr_assert_eq(call_wait(&f, &res, ECHO, data, 100, 0), 0, "%s", res.e.text);
    fix_end(&f);
}

static void setup_hold(struct fix *f, const char *host, struct held *h,
                       const struct rpc_server_opts *so, const struct rpc_method_opts *mo,
                       const struct rpc_channel_opts *co)
{
    struct raia_error e = {0};
    fix_listen(f, host, so);
    cr_assert_eq(rpc_server_unary(f->server, HOLD, serve_hold, h, mo, &e), 0);
    cr_assert_eq(rpc_server_unary(f->server, ECHO, serve_echo, NULL, NULL, &e), 0);
    fix_connect(f, co);
}

/* A call that is not answered ends at its deadline, and its handler is told; the late reply is
 * harmless. */
BOTH(unary, deadline)
{
    struct fix f = {0};
    struct held h = {0};
    struct result res;
    setup_hold(&f, host, &h, NULL, NULL, NULL);
    call_wait(&f, &res, ECHO, "", 0, 0); /* connected: the deadline is for the handler alone */
    cr_assert_eq(call_wait(&f, &res, HOLD, "x", 1, 300), -RAIA_ERR_TIMEOUT, "%s", res.e.text);
    cr_assert(res.e.maybe_executed);
    UNTIL(&f, h.n, 1);
    UNTIL(&f, h.cancelled, 1);
    cr_assert(rpc_request_cancelled(h.q[0]));
    cr_assert_leq(rpc_request_time_left_ms(h.q[0]), 300);
    rpc_reply(h.q[0], "late", 4);
    cr_assert_eq(call_wait(&f, &res, ECHO, "on", 2, 0), 0, "%s", res.e.text);
    fix_end(&f);
}

/* The client cancels: its callback gets CANCELED once, the handler is told once. */
BOTH(unary, cancel)
{
    struct fix f = {0};
    struct held h = {0};
    struct result res = {0};
    setup_hold(&f, host, &h, NULL, NULL, NULL);
    rpc_call(f.ch, &res.call, HOLD, "x", 1, 0, on_result);
    UNTIL(&f, h.n, 1);
    cr_assert(rpc_call_active(&res.call));
    cr_assert_not(rpc_request_cancelled(h.q[0]));
    cr_assert_gt(rpc_request_time_left_ms(h.q[0]), 0);
    rpc_call_cancel(&res.call);
    rpc_call_cancel(&res.call);
    cr_assert_eq(res.done, 0);
    UNTIL(&f, res.done, 1);
    cr_assert_eq(res.r, -RAIA_ERR_CANCELED);
    cr_assert_not(rpc_call_active(&res.call));
    rpc_call_cancel(&res.call);
    UNTIL(&f, h.cancelled, 1);
    rpc_reply_error(h.q[0], RAIA_ERR_INTERNAL, "nobody listens");
    fix_end(&f);
    cr_assert_eq(res.done, 1);
    cr_assert_eq(h.cancelled, 1);
}

/* Calls beyond those in flight wait; those beyond the queue fail at once; cancelling a waiting one
 * ends it. */
BOTH(unary, queueing)
{
    struct fix f = {0};
    struct held h = {0};
    static struct result res[8];
    memset(res, 0, sizeof res);
    struct rpc_channel_opts co = {.max_in_flight = 2, .max_queued = 3};
    setup_hold(&f, host, &h, NULL, NULL, &co);
    for (int i = 0; i < 8; i++)
        rpc_call(f.ch, &res[i].call, HOLD, "x", 1, i == 4 ? 200 : 0, on_result);
    for (int i = 5; i < 8; i++) {
        UNTIL(&f, res[i].done, 1);
        cr_assert_eq(res[i].r, -RAIA_ERR_LIMIT);
        cr_assert_not(res[i].e.maybe_executed);
    }
    rpc_call_cancel(&res[2].call);
    UNTIL(&f, res[2].done, 1);
    cr_assert_eq(res[2].r, -RAIA_ERR_CANCELED);
    cr_assert_not(res[2].e.maybe_executed);
    UNTIL(&f, res[4].done, 1);
    cr_assert_eq(res[4].r, -RAIA_ERR_TIMEOUT);
    cr_assert_not(res[4].e.maybe_executed);
    UNTIL(&f, h.n, 2);
    rpc_reply(h.q[0], "a", 1);
    UNTIL(&f, h.n, 3);
    rpc_reply(h.q[1], "b", 1);
    rpc_reply(h.q[2], "c", 1);
    UNTIL(&f, res[0].done, 1);
    UNTIL(&f, res[1].done, 1);
    UNTIL(&f, res[3].done, 1);
    cr_assert_eq(res[0].r | res[1].r | res[3].r, 0);
    fix_end(&f);
}

/* Requests beyond a method's limit are refused as retryable, and admitted again when one is done.
 */
BOTH(unary, method_limit)
{
    struct fix f = {0};
    struct held h = {0};
    struct result a = {0}, b;
    struct rpc_method_opts mo = {.max_active = 1};
    setup_hold(&f, host, &h, NULL, &mo, NULL);
    rpc_call(f.ch, &a.call, HOLD, "x", 1, 0, on_result);
    UNTIL(&f, h.n, 1);
    cr_assert_eq(call_wait(&f, &b, HOLD, "x", 1, 0), -RAIA_ERR_LIMIT);
    cr_assert(b.e.retryable);
    cr_assert_not(b.e.maybe_executed);
    rpc_reply(h.q[0], "", 0);
    UNTIL(&f, a.done, 1);
    struct result c = {0};
    rpc_call(f.ch, &c.call, HOLD, "x", 1, 0, on_result);
    UNTIL(&f, h.n, 2);
    rpc_reply(h.q[1], "", 0);
    UNTIL(&f, c.done, 1);
    cr_assert_eq(c.r, 0);
    fix_end(&f);
}

/* The token is checked; the wrong one and none are refused. */
BOTH(unary, token)
{
    const char *tokens[] = {"secret", "secreT", "secret2", "", NULL};
    for (unsigned i = 0; i < 5; i++) {
        struct fix f = {0};
        struct result res;
        struct raia_error e = {0};
        struct rpc_server_opts so = {.token = "secret"};
        struct rpc_channel_opts co = {.token = tokens[i]};
        fix_listen(&f, host, &so);
        cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_echo, NULL, NULL, &e), 0);
        fix_connect(&f, &co);
        cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), i == 0 ? 0 : -RAIA_ERR_PERMISSION);
        cr_assert_not(strstr(res.e.text, "secret"));
        fix_end(&f);
    }
}

/* Nobody listens: the call fails as not executed. */
BOTH(unary, no_server)
{
    struct fix f = {0};
    struct result res;
    struct raia_error e = {0};
    fix_listen(&f, host, NULL);
    cr_assert_eq(rpc_server_start(f.server, &e), 0);
    fix_stop_server(&f, 0);
    fix_connect(&f, NULL);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), -RAIA_ERR_UNAVAILABLE, "%s", res.e.text);
    cr_assert(res.e.retryable);
    cr_assert_not(res.e.maybe_executed, "%s", res.e.text);
    fix_end(&f);
}

/* A graceful shutdown waits for the reply; new calls are refused meanwhile. */
BOTH(unary, graceful_shutdown)
{
    struct fix f = {0};
    struct held h = {0};
    struct result a = {0}, b;
    setup_hold(&f, host, &h, NULL, NULL, NULL);
    rpc_call(f.ch, &a.call, HOLD, "x", 1, 0, on_result);
    UNTIL(&f, h.n, 1);
    rpc_server_shutdown(f.server, PATIENCE_MS, fix_set__, &f.server_gone);
    cr_assert_eq(call_wait(&f, &b, ECHO, "x", 1, 0), -RAIA_ERR_UNAVAILABLE, "%s", b.e.text);
    cr_assert_not(f.server_gone);
    rpc_reply(h.q[0], "bye", 3);
    UNTIL(&f, a.done, 1);
    cr_assert_eq(a.r, 0, "%s", a.e.text);
    fix_wait__(&f, &f.server_gone);
    cr_assert(f.server_gone);
    f.server = NULL;
    fix_end(&f);
}

/* When the grace is over calls in flight are cancelled; the shutdown does not wait for their
 * handlers, and their replies may come after the server is gone. */
BOTH(unary, hard_shutdown)
{
    struct fix f = {0};
    struct held h = {0};
    static struct result res[50];
    memset(res, 0, sizeof res);
    setup_hold(&f, host, &h, NULL, NULL, NULL);
    for (int i = 0; i < 50; i++)
        rpc_call(f.ch, &res[i].call, HOLD, "x", 1, 0, on_result);
    UNTIL(&f, h.n, 50);
    fix_stop_server(&f, 20);
    for (int i = 0; i < 50; i++) {
        UNTIL(&f, res[i].done, 1);
        cr_assert_eq(res[i].r, -RAIA_ERR_UNAVAILABLE, "%s", res[i].e.text);
        cr_assert(res[i].e.maybe_executed);
    }
    cr_assert_eq(h.cancelled, 50);
    for (int i = 0; i < 50; i++) {
        cr_assert(rpc_request_cancelled(h.q[i]));
        rpc_reply(h.q[i], "late", 4);
    }
    fix_end(&f);
}

/* Closing the channel ends calls on the wire and calls that wait, each once. */
BOTH(unary, close_with_calls)
{
    struct fix f = {0};
    struct held h = {0};
    static struct result res[20];
    memset(res, 0, sizeof res);
    struct rpc_channel_opts co = {.max_in_flight = 5};
    setup_hold(&f, host, &h, NULL, NULL, &co);
    for (int i = 0; i < 20; i++)
        rpc_call(f.ch, &res[i].call, HOLD, "x", 1, 0, on_result);
    UNTIL(&f, h.n, 5);
    fix_close_channel(&f);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(res[i].done, 1);
        cr_assert_eq(res[i].r, -RAIA_ERR_CANCELED, "%s", res[i].e.text);
    }
    UNTIL(&f, h.cancelled, 5);
    for (int i = 0; i < 5; i++)
        rpc_reply(h.q[i], NULL, 0);
    fix_end(&f);
}

/* Many calls at once all come back, in flight within the bound. */
BOTH(unary, many)
{
    enum { N = 3000 };
    struct fix f = {0};
    static struct result res[N];
    memset(res, 0, sizeof res);
    setup_echo(&f, host, NULL);
    for (int i = 0; i < N; i++)
        rpc_call(f.ch, &res[i].call, ECHO, &i, sizeof i, 0, on_result);
    for (int i = 0; i < N; i++) {
        int got;
        UNTIL(&f, res[i].done, 1);
        cr_assert_eq(res[i].r, 0, "%s", res[i].e.text);
        memcpy(&got, res[i].data, sizeof got);
        cr_assert_eq(got, i);
    }
    fix_end(&f);
}

/* Misuse is refused with a message: bad names, twice the same, a taken port, plaintext to
 * elsewhere. */
BOTH(unary, misuse)
{
    struct fix f = {0};
    struct raia_error e = {0};
    struct rpc_channel *ch;
    struct rpc_server *other;
    fix_listen(&f, host, NULL);
    cr_assert_eq(rpc_server_unary(f.server, "Echo", serve_echo, NULL, NULL, &e), -RAIA_ERR_INVALID);
    cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_echo, NULL, NULL, &e), 0);
    cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_echo, NULL, NULL, &e), -RAIA_ERR_EXISTS);
    cr_assert_eq(rpc_server_listen(f.server, "0.0.0.0", 0, NULL, &e), -RAIA_ERR_PERMISSION);
    cr_assert_eq(rpc_channel_new(f.loop, "10.0.0.1:1", NULL, &ch, &e), -RAIA_ERR_PERMISSION);
    cr_assert_eq(rpc_channel_new(f.loop, "localhost.example.org:1", NULL, &ch, &e),
                 -RAIA_ERR_PERMISSION);
    cr_assert_eq(rpc_channel_new(f.loop, "nonsense", NULL, &ch, &e), -RAIA_ERR_INVALID);
    fix_connect(&f, NULL);
    cr_assert_eq(rpc_server_unary(f.server, FAIL, serve_echo, NULL, NULL, &e), -RAIA_ERR_STATE);
    cr_assert_eq(rpc_server_new(f.loop, NULL, &other, &e), 0);
    uint16_t port = strncmp(host, "mem:", 4) ? (uint16_t)atoi(strrchr(f.target, ':') + 1) : 0;
    cr_assert_eq(rpc_server_listen(other, host, port, NULL, &e), -RAIA_ERR_EXISTS);
    cr_assert(strlen(e.text) > 10);
    bool gone = false;
    rpc_server_shutdown(other, 0, fix_set__, &gone);
    fix_wait__(&f, &gone);
    cr_assert(gone);
    fix_end(&f);
}

static int states[5];
static void on_state(void *arg, enum rpc_state st)
{
    (void)arg;
    states[st]++;
}

/* A watcher hears of the connection, of its loss, and of a failed attempt. */
BOTH(unary, states)
{
    struct fix f = {0};
    setup_echo(&f, host, NULL);
    cr_assert_eq(rpc_channel_state(f.ch), RPC_IDLE);
    rpc_channel_on_state(f.ch, on_state, NULL);
    rpc_channel_connect(f.ch);
    UNTIL(&f, states[RPC_READY], 1);
    cr_assert_eq(rpc_channel_state(f.ch), RPC_READY);
    fix_stop_server(&f, 0);
    /* Only a channel that has heard of the loss tries again when it is told to. */
    for (int i = 0; i < 3000 && rpc_channel_state(f.ch) == RPC_READY; i++)
        loop_run_once(f.loop, 10);
    rpc_channel_connect(f.ch);
    UNTIL(&f, states[RPC_FAILED], 1);
    cr_assert_eq(states[RPC_READY], 1);
    fix_end(&f);
}

/* With wait_for_ready calls wait for a server that comes later, or for their deadline. */
BOTH(unary, wait_for_ready)
{
    struct fix f = {0};
    struct raia_error e = {0};
    struct result res = {0}, late = {0}, gone = {0};
    struct rpc_channel_opts co = {.wait_for_ready = true};
    fix_listen(&f, host, NULL);
    uint16_t port = strncmp(host, "mem:", 4) ? (uint16_t)atoi(strrchr(f.target, ':') + 1) : 0;
    cr_assert_eq(rpc_server_start(f.server, &e), 0);
    fix_stop_server(&f, 0);
    fix_connect(&f, &co);
    rpc_channel_on_state(f.ch, on_state, NULL);
    rpc_call(f.ch, &res.call, ECHO, "x", 1, 60000, on_result);
    rpc_call(f.ch, &late.call, ECHO, "x", 1, 100, on_result);
    rpc_call(f.ch, &gone.call, ECHO, "x", 1, 60000, on_result);
    UNTIL(&f, states[RPC_FAILED], 1);
    UNTIL(&f, late.done, 1);
    cr_assert_eq(late.r, -RAIA_ERR_TIMEOUT);
    rpc_call_cancel(&gone.call);
    UNTIL(&f, gone.done, 1);
    cr_assert_eq(gone.r, -RAIA_ERR_CANCELED);
    cr_assert_eq(res.done, 0);
    cr_assert_eq(rpc_server_new(f.loop, NULL, &f.server, &e), 0);
    cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_echo, NULL, NULL, &e), 0);
    cr_assert_eq(rpc_server_listen(f.server, host, port, NULL, &e), 0, "%s", e.text);
    cr_assert_eq(rpc_server_start(f.server, &e), 0);
    UNTIL(&f, res.done, 1);
    cr_assert_eq(res.r, 0, "%s", res.e.text);
    f.server_gone = false;
    fix_end(&f);
}

static void close_in_callback(struct rpc_call *c, int r, const void *data, size_t size,
                              const struct raia_error *e)
{
    struct result *res = LOOP_OF(c, struct result, call);
    struct fix *f = *(struct fix **)res->data;
    rpc_channel_close(f->ch, fix_set__, &f->channel_gone);
    rpc_server_shutdown(f->server, 0, fix_set__, &f->server_gone);
    res->done++;
    res->r = r;
    (void)data, (void)size, (void)e;
}

/* A callback may close the channel and shut the server down that it came from. */
BOTH(unary, close_inside_callback)
{
    struct fix f = {0};
    struct result res = {0}, other = {0};
    struct fix *self = &f;
    setup_echo(&f, host, NULL);
    memcpy(res.data, &self, sizeof self);
    rpc_call(f.ch, &res.call, ECHO, "x", 1, 0, close_in_callback);
    rpc_call(f.ch, &other.call, ECHO, "x", 1, 0, on_result);
    UNTIL(&f, res.done, 1);
    cr_assert_eq(res.r, 0);
    fix_wait__(&f, &f.channel_gone);
    fix_wait__(&f, &f.server_gone);
    cr_assert(f.channel_gone && f.server_gone);
    cr_assert_eq(other.done, 1);
    f.ch = NULL;
    f.server = NULL;
    fix_end(&f);
}
