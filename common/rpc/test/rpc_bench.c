/*
 * Rates of unary calls and streams, one JSON line a case: {"case", "per_second", ...}. Client and
 * server live on loops of their own, in two threads of one process.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "rpc/rpc.h"

#define METHOD "/raia.bench.v1.Bench/Echo"
#define STREAM "/raia.bench.v1.Bench/Stream"

enum { MAX_FLIGHT = 64 };

static struct loop *client_loop, *server_loop;
static struct rpc_server *server;
static struct rpc_channel *ch;
static char payload[1 << 20];

static void die(const struct raia_error *e)
{
    fprintf(stderr, "rpc_bench: %s\n", e->text);
    exit(1);
}

static void serve(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg;
    rpc_reply(q, data, size);
}

static void swallow(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    (void)arg, (void)st, (void)data, (void)size;
}

static int serve_stream(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    static const struct rpc_stream_cbs cbs = {.on_message = swallow};
    (void)arg, (void)e;
    rpc_stream_bind(st, &cbs, NULL);
    return 0;
}

static void *server_main(void *arg)
{
    (void)arg;
    loop_run(server_loop);
    return NULL;
}

static struct rpc_call calls[MAX_FLIGHT];
static unsigned to_start, to_end;

static void on_reply(struct rpc_call *c, int r, const void *data, size_t size,
                     const struct raia_error *e)
{
    (void)data, (void)size;
    if (r < 0)
        die(e);
    if (to_start) {
        to_start--;
        rpc_call(ch, c, METHOD, payload, 100, 0, on_reply);
    }
    if (--to_end == 0)
        loop_stop(client_loop);
}

static void report(const char *transport, const char *name, unsigned n, size_t size, uint64_t ns)
{
    double s = (double)ns / 1e9;
    printf("{\"case\": \"%s %s\", \"per_second\": %.0f, \"bytes\": %zu, \"mb_per_second\": %.1f, "
           "\"us_each\": %.1f}\n",
           transport, name, n / s, size, (double)size * n / s / 1e6, s * 1e6 / n);
    fflush(stdout);
}

static void bench_unary(const char *transport, unsigned flight, unsigned n)
{
    char name[32];
    uint64_t t0 = loop_now_ns(client_loop);
    to_start = n - flight;
    to_end = n;
    for (unsigned i = 0; i < flight; i++)
        rpc_call(ch, &calls[i], METHOD, payload, 100, 0, on_reply);
    loop_run(client_loop);
    snprintf(name, sizeof name, "unary x%u", flight);
    report(transport, name, n, 100, loop_now_ns(client_loop) - t0);
}

struct feed {
    unsigned left; /* messages to send */
    size_t size;   /* of each */
};

static void feed(void *arg, struct rpc_stream *st)
{
    struct feed *f = arg;
    while (f->left && rpc_stream_send(st, payload, f->size) == 0)
        f->left--;
    if (!f->left)
        rpc_stream_half_close(st);
}

static void on_stream_close(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    (void)arg, (void)st;
    if (err)
        die(err);
    loop_stop(client_loop);
}

static void bench_stream(const char *transport, size_t size, unsigned n)
{
    static const struct rpc_stream_cbs cbs = {.on_writable = feed, .on_close = on_stream_close};
    struct feed f = {.left = n, .size = size};
    struct raia_error e;
    struct rpc_stream *st;
    char name[32];
    uint64_t t0 = loop_now_ns(client_loop);
    if (rpc_stream_open(ch, STREAM, 0, &cbs, &f, &st, &e) < 0)
        die(&e);
    feed(&f, st);
    loop_run(client_loop);
    snprintf(name, sizeof name, "stream %zuB", size);
    report(transport, name, n, size, loop_now_ns(client_loop) - t0);
}

static void on_gone(void *arg)
{
    loop_stop(arg);
}

static void stop_server(struct loop_task *t)
{
    (void)t;
    rpc_server_shutdown(server, 0, on_gone, server_loop);
}

static void bench(const char *transport, const char *host, unsigned scale)
{
    struct raia_error e = {0};
    char target[64];
    uint16_t port = 0;
    pthread_t th;
    if (loop_new(&client_loop, &e) < 0 || loop_new(&server_loop, &e) < 0 ||
        rpc_server_new(server_loop, NULL, &server, &e) < 0 ||
        rpc_server_unary(server, METHOD, serve, NULL, NULL, &e) < 0 ||
        rpc_server_stream(server, STREAM, serve_stream, NULL, NULL, &e) < 0 ||
        rpc_server_listen(server, host, 0, &port, &e) < 0 || rpc_server_start(server, &e) < 0)
        die(&e);
    if (strncmp(host, "unix:", 5) != 0 && port)
        snprintf(target, sizeof target, "%s:%u", host, port);
    else
        snprintf(target, sizeof target, "%s", host);
    if (pthread_create(&th, NULL, server_main, NULL) != 0 ||
        rpc_channel_new(client_loop, target, NULL, &ch, &e) < 0)
        die(&e);
    bench_unary(transport, 1, 2000 * scale);
    bench_unary(transport, 16, 10000 * scale);
    bench_unary(transport, 64, 10000 * scale);
    bench_stream(transport, 100, 100000 * scale);
    bench_stream(transport, 10000, 20000 * scale);
    bench_stream(transport, sizeof payload, 200 * scale);
    struct loop_task stop = {.fn = stop_server};
    rpc_channel_close(ch, on_gone, client_loop);
    loop_run(client_loop);
    loop_post(server_loop, &stop);
    pthread_join(th, NULL);
    if (loop_free(client_loop) < 0 || loop_free(server_loop) < 0)
        fprintf(stderr, "rpc_bench: something was left on a loop\n");
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    memset(payload, 'x', sizeof payload);
    bench("mem", "mem:bench", scale ? scale : 1);
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/raia-rpc-bench-%d.sock", (int)getpid());
    bench("unix", path, scale ? scale : 1);
    bench("tcp", "127.0.0.1", scale ? scale : 1);
    return 0;
}
