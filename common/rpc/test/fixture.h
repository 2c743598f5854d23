/*
 * A server, a channel and a loop, over either transport, for the tests of this folder. BOTH(suite,
 * name) makes two tests of one body.
 */
#ifndef RPC_TEST_FIXTURE_H
#define RPC_TEST_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#define BOTH(suite, name)                                                                          \
    static void suite##_##name(const char *host);                                                  \
    Test(suite, name##_mem)                                                                        \
    {                                                                                              \
        suite##_##name("mem:test");                                                                \
    }                                                                                              \
    Test(suite, name##_grpc)                                                                       \
    {                                                                                              \
        suite##_##name("127.0.0.1");                                                               \
    }                                                                                              \
    static void suite##_##name(const char *host)

/* Generous: the machine may be busy. Only a failure takes this long. */
#define PATIENCE_MS 30000u

struct fix {
    struct loop *loop;         /* of both */
    struct rpc_server *server; /* NULL once gone */
    struct rpc_channel *ch;    /* NULL once gone */
    char target[64];           /* where server listens */
    bool server_gone;          /* shutdown's done was called */
    bool channel_gone;         /* close's done was called */
};

static inline bool fix_until__(struct fix *f, const volatile int *value, int want)
{
    uint64_t end = loop_now_ms(f->loop) + PATIENCE_MS;
    while (*value < want && loop_now_ms(f->loop) < end)
        loop_run_once(f->loop, 100);
    return *value >= want;
}

#define UNTIL(f, value, want)                                                                      \
    cr_assert(fix_until__(f, &(value), want), #value " stayed at %d", value)

static inline void fix_listen(struct fix *f, const char *host, const struct rpc_server_opts *so)
{
    struct raia_error e = {0};
    cr_assert_eq(loop_new(&f->loop, &e), 0, "%s", e.text);
    cr_assert_eq(rpc_server_new(f->loop, so, &f->server, &e), 0, "%s", e.text);
    uint16_t port = 0;
    cr_assert_eq(rpc_server_listen(f->server, host, 0, &port, &e), 0, "%s", e.text);
    if (port)
        snprintf(f->target, sizeof f->target, "%s:%u", host, port);
    else
        snprintf(f->target, sizeof f->target, "%s", host);
}

static inline void fix_connect(struct fix *f, const struct rpc_channel_opts *co)
{
    struct raia_error e = {0};
    if (f->server)
        cr_assert_eq(rpc_server_start(f->server, &e), 0, "%s", e.text);
    cr_assert_eq(rpc_channel_new(f->loop, f->target, co, &f->ch, &e), 0, "%s", e.text);
}

static inline void fix_set__(void *arg)
{
    *(bool *)arg = true;
}

static inline void fix_wait__(struct fix *f, const bool *flag)
{
    uint64_t end = loop_now_ms(f->loop) + PATIENCE_MS;
    while (!*flag && loop_now_ms(f->loop) < end)
        loop_run_once(f->loop, 100);
}

static inline void fix_stop_server(struct fix *f, uint32_t grace_ms)
{
    rpc_server_shutdown(f->server, grace_ms, fix_set__, &f->server_gone);
    fix_wait__(f, &f->server_gone);
    cr_assert(f->server_gone, "the server's shutdown hangs");
    f->server = NULL;
}

static inline void fix_close_channel(struct fix *f)
{
    rpc_channel_close(f->ch, fix_set__, &f->channel_gone);
    fix_wait__(f, &f->channel_gone);
    cr_assert(f->channel_gone, "the channel's close hangs");
    f->ch = NULL;
}

/* Nothing may be left: the loop says so. */
static inline void fix_end(struct fix *f)
{
    if (f->ch)
        fix_close_channel(f);
    if (f->server)
        fix_stop_server(f, 0);
    cr_assert_eq(loop_free(f->loop), 0, "something is left on the loop");
}

/* A call and what came of it. */
struct result {
    struct rpc_call call; /* the call */
    int done;             /* callbacks */
    int r;                /* as given */
    struct raia_error e;  /* as given */
    size_t size;          /* of the reply */
    char data[128];       /* its beginning */
};

static inline void on_result(struct rpc_call *c, int r, const void *data, size_t size,
                             const struct raia_error *e)
{
    struct result *res = LOOP_OF(c, struct result, call);
    res->done++;
    res->r = r;
    res->size = size;
    if (e)
        res->e = *e;
    if (data)
        memcpy(res->data, data, size < sizeof res->data ? size : sizeof res->data);
}

/* Calls and waits for the outcome. */
static inline int call_wait(struct fix *f, struct result *res, const char *method, const void *data,
                            size_t size, uint64_t timeout_ms)
{
    memset(res, 0, sizeof *res);
    rpc_call(f->ch, &res->call, method, data, size, timeout_ms, on_result);
    cr_assert_eq(res->done, 0, "a callback came from inside rpc_call");
    UNTIL(f, res->done, 1);
    cr_assert_eq(res->done, 1);
    return res->r;
}

#define ECHO   "/raia.test.v1.Test/Echo"
#define FAIL   "/raia.test.v1.Test/Fail"
#define HOLD   "/raia.test.v1.Test/Hold"
#define STREAM "/raia.test.v1.Test/Stream"

static inline void serve_echo(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg;
    rpc_reply(q, data, size);
}

/* Keeps requests until the test says. */
struct held {
    struct rpc_request *q[256]; /* oldest first */
    int n;                      /* how many came */
    int cancelled;              /* notices */
};

static inline void on_held_cancel(void *arg)
{
    ((struct held *)arg)->cancelled++;
}

static inline void serve_hold(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    struct held *h = arg;
    (void)data, (void)size;
    cr_assert_lt(h->n, 256);
    h->q[h->n++] = q;
    rpc_request_on_cancel(q, on_held_cancel, h);
}

#endif
