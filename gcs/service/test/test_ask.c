/* Asking nodes: every node has an outcome, in time, whatever it does. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "service/ask.h"

#define METHOD "/test/Ask"

static struct loop *loop;
static struct rpc_server *servers[2];
static struct rpc_request *held[64]; /* of the server that does not answer */
static size_t n_held;
static Raia__Gcs__Node nodes[64];
static uint8_t ids[64][16];
static char addresses[64][32];
static const Raia__Gcs__Node *list[64];

static void on_answer(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg;
    rpc_reply(q, data, size); /* an echo */
}

static void on_hold(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg;
    (void)data;
    (void)size;
    cr_assert_lt(n_held, 64);
    held[n_held++] = q;
}

static void serve(int i, const char *name, rpc_unary_fn fn)
{
    struct raia_error e;

    cr_assert_eq(rpc_server_new(loop, NULL, &servers[i], &e), 0);
    cr_assert_eq(rpc_server_unary(servers[i], METHOD, fn, NULL, NULL, &e), 0);
    cr_assert_eq(rpc_server_listen(servers[i], name, 0, NULL, &e), 0, "%s", e.text);
    cr_assert_eq(rpc_server_start(servers[i], &e), 0);
}

static void node(int i, const char *address)
{
    raia__gcs__node__init(&nodes[i]);
    ids[i][0] = (uint8_t)(i + 1);
    snprintf(addresses[i], sizeof addresses[i], "%s", address);
    nodes[i].node_id = (ProtobufCBinaryData){16, ids[i]};
    nodes[i].address = addresses[i];
    nodes[i].name = addresses[i];
    list[i] = &nodes[i];
}

static void begin(void)
{
    struct raia_error e;

    cr_assert_eq(loop_new(&loop, &e), 0);
    serve(0, "mem:good", on_answer);
    serve(1, "mem:silent", on_hold);
}

static void on_gone(void *arg)
{
    (*(int *)arg)++;
}

static void end(void)
{
    int gone = 0;

    for (size_t i = 0; i < n_held; i++)
        rpc_reply(held[i], NULL, 0);
    for (int i = 0; i < 2; i++)
        rpc_server_shutdown(servers[i], 10, on_gone, &gone);
    while (gone < 2)
        loop_run_once(loop, 100);
    while (loop_free(loop) == -RAIA_ERR_STATE)
        loop_run_once(loop, 10);
}

TestSuite(ask, .init = begin, .fini = end, .timeout = 60);

/* What came of a question. */
struct outcome {
    int done;     /* times it was called */
    size_t n;     /* nodes */
    int good;     /* with the echo */
    int timeouts; /* in time */
    int others;   /* failed in another way */
};

static void on_done(void *arg, struct ask_node *got, size_t n)
{
    struct outcome *o = arg;

    o->done++;
    o->n = n;
    for (size_t i = 0; i < n; i++) {
        if (got[i].status == 0 && got[i].size == 5 && memcmp(got[i].data, "hello", 5) == 0)
            o->good++;
        else if (got[i].status == -RAIA_ERR_TIMEOUT)
            o->timeouts++;
        else
            o->others++;
        cr_expect(got[i].status == 0 || got[i].error[0]);
    }
}

static int ask(struct asker *a, size_t n, uint32_t timeout_ms, struct outcome *o)
{
    const struct ask_question q = {.method = METHOD,
                                   .data = "hello",
                                   .size = 5,
                                   .timeout_ms = timeout_ms,
                                   .done = on_done,
                                   .arg = o};

    return asker_ask(a, &q, list, n, NULL);
}

/* Those that answer are heard although one is silent and one cannot be reached. */
Test(ask, some_answer)
{
    struct outcome o = {0};
    struct asker *a;

    node(0, "mem:good");
    node(1, "mem:silent");
    node(2, "mem:nobody");
    node(3, "mem:good");
    cr_assert_eq(asker_new(loop, NULL, &a, NULL), 0);
    cr_assert_eq(ask(a, 4, 300, &o), 0);
    cr_expect_eq(o.done, 0, "done was called from inside");
    while (!o.done)
        loop_run_once(loop, 100);
    cr_expect_eq(o.n, 4);
    cr_expect_eq(o.good, 2);
    cr_expect_eq(o.timeouts, 1);
    cr_expect_eq(o.others, 1);
    asker_free(a);
    cr_expect_eq(o.done, 1);
}

/* More nodes than are asked at one time are all asked; no node at all is answered too. */
Test(ask, many_and_none)
{
    struct outcome many = {0}, none = {0};
    struct asker *a;

    for (int i = 0; i < 64; i++)
        node(i, "mem:good");
    cr_assert_eq(asker_new(loop, NULL, &a, NULL), 0);
    cr_assert_eq(ask(a, 64, 30000, &many), 0);
    cr_assert_eq(ask(a, 0, 30000, &none), 0);
    while (!many.done || !none.done)
        loop_run_once(loop, 100);
    cr_expect_eq(many.good, 64);
    cr_expect_eq(none.n, 0);
    asker_free(a);
}

/* Silent nodes hold up those behind them no longer than the deadline for all. */
Test(ask, one_deadline_for_all)
{
    struct outcome o = {0};
    struct asker *a;

    for (int i = 0; i < 64; i++)
        node(i, i < 40 ? "mem:silent" : "mem:good");
    cr_assert_eq(asker_new(loop, NULL, &a, NULL), 0);
    cr_assert_eq(ask(a, 64, 300, &o), 0);
    while (!o.done)
        loop_run_once(loop, 100);
    cr_expect_eq(o.timeouts, 64); /* the first 32 use all the time up */
    cr_expect_eq(n_held, ASK_CALLS_MAX);
    asker_free(a);
}

/* Too many questions are refused; the end of the asker ends those under way, each once. */
Test(ask, limit_and_end)
{
    struct outcome o[ASKS_MAX + 1] = {0};
    struct asker *a;

    node(0, "mem:silent");
    cr_assert_eq(asker_new(loop, NULL, &a, NULL), 0);
    for (int i = 0; i < ASKS_MAX; i++)
        cr_assert_eq(ask(a, 1, 60000, &o[i]), 0);
    cr_expect_eq(ask(a, 1, 60000, &o[ASKS_MAX]), -RAIA_ERR_LIMIT);
    while (n_held < ASKS_MAX)
        loop_run_once(loop, 100);
    asker_free(a);
    for (int i = 0; i < ASKS_MAX; i++)
        cr_expect_eq(o[i].done, 1);
    cr_expect_eq(o[ASKS_MAX].done, 0);
}
