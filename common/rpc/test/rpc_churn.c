/*
 * Client and server on loops and threads of their own, over each transport: seeded random calls and
 * streams that are answered, delayed, refused, cancelled from either side and cut off by deadlines,
 * by the server's shutdown and by the channel's close. Checks that every callback comes exactly once
 * and that nothing is left. A plain program, so that it runs under ThreadSanitizer too.
 *
 *     rpc_churn [FIRST_SEED [SEEDS]]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#define METHOD "/raia.test.v1.Churn/Call"
#define STREAM "/raia.test.v1.Churn/Stream"

enum { CALLS = 200, STREAMS = 20, ROUNDS = 3000 };

static unsigned long long seed;

static unsigned draw(unsigned long long *state, unsigned n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33) % n;
}

static void fail(const char *what)
{
    fprintf(stderr, "rpc_churn: seed %llu: %s\n", seed, what);
    abort();
}

/* ---- the server's thread ---- */

static struct loop *server_loop;
static struct rpc_server *server;
static unsigned long long server_state;
static atomic_int open_requests, open_streams;

struct later {
    struct loop_timer timer; /* answers it */
    struct rpc_request *q;   /* the request */
};

static void answer(struct rpc_request *q)
{
    static const char data[5000];
    atomic_fetch_sub(&open_requests, 1);
    if (draw(&server_state, 4) == 0)
        rpc_reply_error(q, RAIA_ERR_STATE, "by chance");
    else
        rpc_reply(q, data, draw(&server_state, sizeof data));
}

static void on_later(struct loop_timer *t)
{
    struct later *l = LOOP_OF(t, struct later, timer);
    answer(l->q);
    free(l);
}

static void serve(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg, (void)data, (void)size;
    atomic_fetch_add(&open_requests, 1);
    if (draw(&server_state, 2)) {
        answer(q);
        return;
    }
    struct later *l = calloc(1, sizeof *l);
    l->q = q;
    loop_timer_start(server_loop, &l->timer, draw(&server_state, 6), 0, on_later);
}

static void server_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    (void)arg;
    switch (draw(&server_state, 40)) {
    case 0:
        rpc_stream_cancel(st);
        break;
    case 1:
        rpc_stream_finish(st, NULL);
        break;
    default:
        (void)rpc_stream_send(st, data, size);
    }
}

static void server_close(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    (void)arg, (void)st, (void)err;
    atomic_fetch_sub(&open_streams, 1);
}

static int serve_stream(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    static const struct rpc_stream_cbs cbs = {.on_message = server_message,
                                              .on_close = server_close};
    (void)arg;
    if (draw(&server_state, 10) == 0)
        return err_set(e, RAIA_ERR_STATE, "refused by chance");
    atomic_fetch_add(&open_streams, 1);
    rpc_stream_bind(st, &cbs, NULL);
    return 0;
}

static void *server_main(void *arg)
{
    (void)arg;
    loop_run(server_loop);
    /* Answers to requests that outlived the shutdown are still to come. */
    while (atomic_load(&open_requests))
        loop_run_once(server_loop, 100);
    return NULL;
}

static void on_server_gone(void *arg)
{
    loop_stop(arg);
}

static void stop_server(struct loop_task *t)
{
    (void)t;
    rpc_server_shutdown(server, 3, on_server_gone, server_loop);
}

/* ---- the client's thread ---- */

static struct loop *client_loop;
static struct rpc_channel *ch;
static unsigned long long client_state;
static struct rpc_call calls[CALLS];
static int started, ended, good, released, borrowed;

struct client_stream {
    struct rpc_stream *st; /* NULL: closed */
};
static struct client_stream streams[STREAMS];

static void on_reply(struct rpc_call *c, int r, const void *data, size_t size,
                     const struct raia_error *e)
{
    (void)c, (void)size;
    ended++;
    good += r == 0;
    if ((r == 0) != (data != NULL) || (r < 0) != (e != NULL) || (e && e->code != -r))
        fail("a reply with neither or both of data and error");
}

static void client_close(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    struct client_stream *s = arg;
    (void)err;
    if (s->st != st)
        fail("a stream closed twice");
    s->st = NULL;
    ended++;
}

static void on_release(void *arg)
{
    (void)arg;
    released++;
}

static void use_stream(struct client_stream *s)
{
    static const struct rpc_stream_cbs cbs = {.on_close = client_close};
    static const char data[3000];
    struct raia_error e;
    if (!s->st) {
        uint64_t limit = draw(&client_state, 3) ? 0 : 1 + draw(&client_state, 20);
        if (rpc_stream_open(ch, STREAM, limit, &cbs, s, &s->st, &e) < 0)
            fail(e.text);
        started++;
        return;
    }
    switch (draw(&client_state, 30)) {
    case 0:
        rpc_stream_cancel(s->st);
        break;
    case 1:
        rpc_stream_half_close(s->st);
        break;
    case 2:
        rpc_stream_pause(s->st);
        break;
    case 3:
        rpc_stream_resume(s->st);
        break;
    case 4:
        borrowed += rpc_stream_send_ref(s->st, data, sizeof data, on_release, NULL) == 0;
        break;
    default:
        (void)rpc_stream_send(s->st, data, draw(&client_state, sizeof data));
    }
}

static void step(void)
{
    static const char data[3000];
    struct rpc_call *c = &calls[draw(&client_state, CALLS)];
    if (!rpc_call_active(c)) {
        uint64_t limit = draw(&client_state, 3) ? 0 : 1 + draw(&client_state, 8);
        rpc_call(ch, c, METHOD, data, draw(&client_state, sizeof data), limit, on_reply);
        started++;
    } else if (draw(&client_state, 4) == 0) {
        rpc_call_cancel(c);
    }
    use_stream(&streams[draw(&client_state, STREAMS)]);
    if (draw(&client_state, 8) == 0)
        loop_run_once(client_loop, draw(&client_state, 3));
}

static void on_channel_gone(void *arg)
{
    loop_stop(arg);
}

static void churn(const char *host)
{
    struct raia_error e = {0};
    char target[64];
    uint16_t port = 0;
    pthread_t th;
    started = ended = good = released = borrowed = 0;
    server_state = seed;
    client_state = seed + 1;
    if (loop_new(&client_loop, &e) < 0 || loop_new(&server_loop, &e) < 0 ||
        rpc_server_new(server_loop, NULL, &server, &e) < 0 ||
        rpc_server_unary(server, METHOD, serve, NULL, NULL, &e) < 0 ||
        rpc_server_stream(server, STREAM, serve_stream, NULL, NULL, &e) < 0 ||
        rpc_server_listen(server, host, 0, &port, &e) < 0 || rpc_server_start(server, &e) < 0)
        fail(e.text);
    if (port)
        snprintf(target, sizeof target, "%s:%u", host, port);
    else
        snprintf(target, sizeof target, "%s", host);
    if (rpc_channel_new(client_loop, target, NULL, &ch, &e) < 0)
        fail(e.text);
    if (pthread_create(&th, NULL, server_main, NULL) != 0)
        fail("no thread");
    struct loop_task stop = {.fn = stop_server};
    for (int i = 0; i < ROUNDS; i++) {
        step();
        if (i == ROUNDS - 300)
            loop_post(server_loop, &stop);
    }
    rpc_channel_close(ch, on_channel_gone, client_loop);
    loop_run(client_loop);
    pthread_join(th, NULL);
    if (started != ended)
        fail("a callback is missing, or one too many");
    if (released != borrowed)
        fail("borrowed bytes were not released, or twice");
    if (atomic_load(&open_streams))
        fail("a stream of the server was not closed");
    if (loop_free(client_loop) < 0 || loop_free(server_loop) < 0)
        fail("something is left on a loop");
    printf("%s: %d calls and streams, %d good replies, %d borrowed\n", host, started, good,
           borrowed);
}

int main(int argc, char **argv)
{
    unsigned long long first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 3;
    alarm(argc > 2 ? 3600 : 100);
    for (seed = first; seed < first + n; seed++) {
        churn("mem:churn");
        churn("127.0.0.1");
    }
    return 0;
}
