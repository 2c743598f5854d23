/*
 * Streams, over both transports.
 */
#include "fixture.h"

TestSuite(stream, .timeout = 110);

/* One end of a stream as the tests see it. */
struct end {
    struct rpc_stream *st;  /* NULL once closed */
    struct fix *f;          /* the fixture */
    int opened;             /* streams that came (server) */
    int messages;           /* received */
    size_t bytes;           /* received */
    int bad;                /* messages out of order */
    int writable;           /* notices */
    int half;               /* half-closes */
    int closed;             /* closes */
    struct raia_error e;    /* of the close; code 0: success */
    bool echo;              /* send back what comes */
    uint32_t pending[4096]; /* server: numbers still to echo */
    int n_pending;          /* how many */
    bool half_pending;      /* server: finish once all is echoed */
    uint32_t to_send, next; /* client: how many to send, the next one */
    int released;           /* borrowed messages let go */
};

static void end_flush(struct end *n)
{
    int i = 0;
    while (i < n->n_pending && rpc_stream_send(n->st, &n->pending[i], 4) == 0)
        i++;
    memmove(n->pending, n->pending + i, (size_t)(n->n_pending - i) * 4);
    n->n_pending -= i;
    if (n->n_pending == 0) {
        rpc_stream_resume(n->st);
        if (n->half_pending)
            rpc_stream_finish(n->st, NULL);
    } else {
        rpc_stream_pause(n->st);
    }
}

static void on_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct end *n = arg;
    uint32_t number = 0;
    if (size >= 4)
        memcpy(&number, data, 4);
    n->bad += number != (uint32_t)n->messages;
    n->messages++;
    n->bytes += size;
    if (n->echo) {
        cr_assert_lt(n->n_pending, 4096);
        n->pending[n->n_pending++] = number;
        end_flush(n);
    }
    (void)st;
}

static void feed(struct end *n)
{
    while (n->next < n->to_send && rpc_stream_send(n->st, &n->next, 4) == 0)
        n->next++;
    if (n->next == n->to_send && n->to_send)
        rpc_stream_half_close(n->st);
}

static void on_writable(void *arg, struct rpc_stream *st)
{
    struct end *n = arg;
    (void)st;
    n->writable++;
    if (n->echo)
        end_flush(n);
    else
        feed(n);
}

static void on_half_close(void *arg, struct rpc_stream *st)
{
    struct end *n = arg;
    n->half++;
    if (n->echo && n->n_pending)
        n->half_pending = true;
    else if (n->echo)
        rpc_stream_finish(st, NULL);
}

static void on_close(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    struct end *n = arg;
    cr_assert_eq(n->st, st);
    n->st = NULL;
    n->closed++;
    if (err)
        n->e = *err;
}

static const struct rpc_stream_cbs cbs = {on_message, on_writable, on_half_close, on_close};

static int serve_stream(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    struct end *n = arg;
    if (n->opened == -1)
        return err_set(e, RAIA_ERR_STATE, "not today");
    cr_assert_str_eq(rpc_stream_method(st), STREAM);
    n->opened++;
    n->st = st;
    rpc_stream_bind(st, &cbs, n);
    return 0;
}

static void setup(struct fix *f, const char *host, struct end *client, struct end *server,
                  const struct rpc_server_opts *so, const struct rpc_channel_opts *co)
{
    struct raia_error e = {0};
    fix_listen(f, host, so);
    cr_assert_eq(rpc_server_stream(f->server, STREAM, serve_stream, server, NULL, &e), 0);
    cr_assert_eq(rpc_server_unary(f->server, ECHO, serve_echo, NULL, NULL, &e), 0);
    fix_connect(f, co);
    cr_assert_eq(rpc_stream_open(f->ch, STREAM, 0, &cbs, client, &client->st, &e), 0, "%s", e.text);
}

/* 100 000 messages there and back through small outboxes: all arrive, in order, and both ends close
 * well. */
BOTH(stream, echo_100k)
{
    static struct end client, server;
    struct fix f = {0};
    struct rpc_server_opts so = {.outbox = 4096};
    struct rpc_channel_opts co = {.outbox = 4096};
    client = (struct end){.to_send = 100000};
    server = (struct end){.echo = true};
    setup(&f, host, &client, &server, &so, &co);
    feed(&client);
    cr_assert_lt(client.next, client.to_send);
    UNTIL(&f, client.closed, 1);
    cr_assert_eq(client.e.code, 0, "%s", client.e.text);
    cr_assert_eq(client.messages, 100000);
    cr_assert_eq(client.bad + server.bad, 0);
    cr_assert_gt(client.writable, 0);
    UNTIL(&f, server.closed, 1);
    cr_assert_eq(server.e.code, 0, "%s", server.e.text);
    cr_assert_eq(server.half, 1);
    fix_end(&f);
}

/* A paused reader stops the writer in a bounded space; when it goes on everything arrives. */
BOTH(stream, back_pressure)
{
    static struct end client, server;
    static char big[100000];
    struct fix f = {0};
    struct rpc_channel_opts co = {.outbox = 1 << 20};
    client = (struct end){0};
    server = (struct end){0};
    setup(&f, host, &client, &server, NULL, &co);
    UNTIL(&f, server.opened, 1);
    rpc_stream_pause(server.st);
    uint32_t sent = 0;
    for (int idle = 0; idle < 10;) {
        memcpy(big, &sent, 4);
        int r = rpc_stream_send(client.st, big, sizeof big);
        cr_assert(r == 0 || r == -RAIA_ERR_LIMIT);
        if (r == 0) {
            sent++;
            idle = 0;
        } else {
            loop_run_once(f.loop, 20);
            idle++;
        }
        cr_assert_lt(sent, 400, "40 MB lie about somewhere");
    }
    cr_assert_eq(server.messages, 0);
    cr_assert_leq(rpc_stream_outbox(client.st), 1 << 20);
    rpc_stream_resume(server.st);
    UNTIL(&f, server.messages, (int)sent);
    cr_assert_eq(server.bad, 0);
    UNTIL(&f, client.writable, 1);
    rpc_stream_finish(server.st, NULL);
    UNTIL(&f, client.closed, 1);
    cr_assert_eq(client.e.code, 0);
    fix_end(&f);
}

/* What the server sent before it finished with an error is delivered, then the error, word for
 * word. */
BOTH(stream, finish_with_error)
{
    struct fix f = {0};
    struct end client = {0}, server = {0};
    struct raia_error err;
    setup(&f, host, &client, &server, NULL, NULL);
    UNTIL(&f, server.opened, 1);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(rpc_stream_send(server.st, &i, 4), 0);
    err_set(&err, RAIA_ERR_WRONG_LEADER, "ask 10.0.0.3");
    rpc_stream_finish(server.st, &err);
    cr_assert_eq(rpc_stream_send(server.st, "late", 4), -RAIA_ERR_STATE);
    UNTIL(&f, client.closed, 1);
    cr_assert_eq(client.messages, 100);
    cr_assert_eq(client.bad, 0);
    cr_assert_eq(client.e.code, RAIA_ERR_WRONG_LEADER);
    cr_assert(client.e.retryable);
    cr_assert(strstr(client.e.text, "ask 10.0.0.3"));
    UNTIL(&f, server.closed, 1);
    fix_end(&f);
}

/* A server may refuse a stream; the client learns why. */
BOTH(stream, refused)
{
    struct fix f = {0};
    struct end client = {0}, server = {.opened = -1};
    setup(&f, host, &client, &server, NULL, NULL);
    UNTIL(&f, client.closed, 1);
    cr_assert_eq(client.e.code, RAIA_ERR_STATE, "%s", client.e.text);
    cr_assert(strstr(client.e.text, "not today"));
    fix_end(&f);
}

/* The client cancels: both ends close once with CANCELED, and nothing more can be sent. */
BOTH(stream, cancel_by_client)
{
    struct fix f = {0};
    struct end client = {0}, server = {0};
    setup(&f, host, &client, &server, NULL, NULL);
    UNTIL(&f, server.opened, 1);
    struct rpc_stream *st = client.st;
    rpc_stream_cancel(st);
    cr_assert_eq(client.closed, 0);
    cr_assert_eq(rpc_stream_send(st, "x", 1), -RAIA_ERR_UNAVAILABLE);
    UNTIL(&f, client.closed, 1);
    UNTIL(&f, server.closed, 1);
    cr_assert_eq(client.e.code, RAIA_ERR_CANCELED);
    cr_assert_eq(server.e.code, RAIA_ERR_CANCELED);
    cr_assert_eq(server.half, 0);
    fix_end(&f);
    cr_assert_eq(client.closed, 1);
    cr_assert_eq(server.closed, 1);
}

/* The server cancels: the client sees it as the loss of the server. */
BOTH(stream, cancel_by_server)
{
    struct fix f = {0};
    struct end client = {0}, server = {0};
    setup(&f, host, &client, &server, NULL, NULL);
    UNTIL(&f, server.opened, 1);
    rpc_stream_cancel(server.st);
    UNTIL(&f, client.closed, 1);
    UNTIL(&f, server.closed, 1);
    cr_assert_eq(client.e.code, RAIA_ERR_UNAVAILABLE, "%s", client.e.text);
    cr_assert_eq(server.e.code, RAIA_ERR_CANCELED);
    fix_end(&f);
}

/* The server goes away in mid-stream, even with a paused reader at the client: both ends close,
 * promptly. */
BOTH(stream, server_shutdown)
{
    for (int paused = 0; paused < 2; paused++) {
        struct fix f = {0};
        struct end client = {0}, server = {0};
        setup(&f, host, &client, &server, NULL, NULL);
        UNTIL(&f, server.opened, 1);
        for (uint32_t i = 0; i < 10; i++)
            cr_assert_eq(rpc_stream_send(server.st, &i, 4), 0);
        if (paused)
            rpc_stream_pause(client.st);
        else
            UNTIL(&f, client.messages, 10);
        fix_stop_server(&f, 10);
        cr_assert_eq(server.closed, 1);
        UNTIL(&f, client.closed, 1);
        cr_assert_eq(client.e.code, RAIA_ERR_UNAVAILABLE, "%s", client.e.text);
        fix_end(&f);
    }
}

/* A stream's own deadline ends it. */
BOTH(stream, deadline)
{
    struct fix f = {0};
    struct end client = {0}, server = {0};
    struct raia_error e = {0};
    struct result res;
    fix_listen(&f, host, NULL);
    cr_assert_eq(rpc_server_stream(f.server, STREAM, serve_stream, &server, NULL, &e), 0);
    cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_echo, NULL, NULL, &e), 0);
    fix_connect(&f, NULL);
    call_wait(&f, &res, ECHO, "", 0, 0);
    cr_assert_eq(rpc_stream_open(f.ch, STREAM, 300, &cbs, &client, &client.st, &e), 0);
    UNTIL(&f, client.closed, 1);
    cr_assert_eq(client.e.code, RAIA_ERR_TIMEOUT, "%s", client.e.text);
    UNTIL(&f, server.closed, 1);
    cr_assert_eq(server.e.code, RAIA_ERR_CANCELED);
    fix_end(&f);
}

/* Closing the channel with a stream in use closes the stream; opening another one is refused. */
BOTH(stream, channel_closed)
{
    struct fix f = {0};
    struct end client = {0}, server = {0};
    setup(&f, host, &client, &server, NULL, NULL);
    UNTIL(&f, server.opened, 1);
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert_eq(rpc_stream_send(client.st, &i, 4), 0);
    fix_close_channel(&f);
    cr_assert_eq(client.closed, 1);
    cr_assert_eq(client.e.code, RAIA_ERR_CANCELED);
    UNTIL(&f, server.closed, 1);
    cr_assert_eq(server.bad, 0);
    fix_end(&f);
}

static void on_release(void *arg)
{
    ((struct end *)arg)->released++;
}

/* Borrowed bytes arrive whole and are each released once, before the channel is gone, also when
 * cancelled. */
BOTH(stream, borrowed_bytes)
{
    static char chunk[256 * 1024];
    struct fix f = {0};
    struct end client = {0}, server = {0};
    struct rpc_channel_opts co = {.outbox = 16 << 20};
    setup(&f, host, &client, &server, NULL, &co);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(rpc_stream_send_ref(client.st, chunk, sizeof chunk, on_release, &client), 0);
    UNTIL(&f, server.messages, 8);
    UNTIL(&f, client.released, 8);
    cr_assert_eq(server.bytes, 8 * sizeof chunk);
    rpc_stream_pause(server.st);
    int sent = 0;
    while (rpc_stream_send_ref(client.st, chunk, sizeof chunk, on_release, &client) == 0)
        sent++;
    rpc_stream_cancel(client.st);
    fix_close_channel(&f);
    cr_assert_eq(client.released, 8 + sent);
    UNTIL(&f, server.closed, 1);
    fix_end(&f);
    cr_assert_eq(client.released, 8 + sent);
}

/* Half-close alone: the server sees it once and may go on sending. */
BOTH(stream, half_close)
{
    struct fix f = {0};
    struct end client = {0}, server = {0};
    setup(&f, host, &client, &server, NULL, NULL);
    cr_assert_eq(rpc_stream_send(client.st, &(uint32_t){0}, 4), 0);
    rpc_stream_half_close(client.st);
    cr_assert_eq(rpc_stream_send(client.st, "x", 1), -RAIA_ERR_STATE);
    UNTIL(&f, server.half, 1);
    cr_assert_eq(server.messages, 1);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(rpc_stream_send(server.st, &i, 4), 0);
    UNTIL(&f, client.messages, 3);
    cr_assert_eq(client.closed, 0);
    rpc_stream_finish(server.st, NULL);
    UNTIL(&f, client.closed, 1);
    cr_assert_eq(client.e.code, 0, "%s", client.e.text);
    UNTIL(&f, server.closed, 1);
    cr_assert_eq(server.half, 1);
    fix_end(&f);
}

/* Streams beyond the server's limit are refused as retryable. */
BOTH(stream, limit)
{
    struct fix f = {0};
    struct end client = {0}, server = {0}, second = {0};
    struct raia_error e = {0};
    struct rpc_server_opts so = {.max_streams = 1, .max_active = 10};
    setup(&f, host, &client, &server, &so, NULL);
    UNTIL(&f, server.opened, 1);
    cr_assert_eq(rpc_stream_open(f.ch, STREAM, 0, &cbs, &second, &second.st, &e), 0);
    UNTIL(&f, second.closed, 1);
    cr_assert_eq(second.e.code, RAIA_ERR_LIMIT, "%s", second.e.text);
    cr_assert_not(second.e.maybe_executed);
    fix_end(&f);
}

/* A message beyond the receiver's limit breaks the stream with LIMIT at the client. */
BOTH(stream, too_large)
{
    static char data[20000];
    struct fix f = {0};
    struct end client = {0}, server = {0};
    struct rpc_server_opts so = {.max_message = 10000};
    setup(&f, host, &client, &server, &so, NULL);
    cr_assert_eq(rpc_stream_send(client.st, data, sizeof data), 0);
    UNTIL(&f, client.closed, 1);
    cr_assert_eq(client.e.code, RAIA_ERR_LIMIT, "%s", client.e.text);
    UNTIL(&f, server.closed, 1);
    fix_end(&f);
}

/* A good end waits for a paused reader; closing the channel ends that wait. */
BOTH(stream, close_while_paused)
{
    struct fix f = {0};
    struct end client = {0}, server = {0};
    struct result res;
    setup(&f, host, &client, &server, NULL, NULL);
    UNTIL(&f, server.opened, 1);
    rpc_stream_pause(client.st);
    cr_assert_eq(rpc_stream_send(server.st, &(uint32_t){0}, 4), 0);
    rpc_stream_finish(server.st, NULL);
    UNTIL(&f, server.closed, 1);
    cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 0), 0);
    cr_assert_eq(client.closed, 0);
    fix_close_channel(&f);
    cr_assert_eq(client.closed, 1);
    cr_assert_eq(client.messages, 0);
    cr_assert_eq(client.e.code, RAIA_ERR_CANCELED);
    fix_end(&f);
}
