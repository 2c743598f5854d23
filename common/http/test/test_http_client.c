/*
 * The clients: what becomes of failures, limits, streams, and calls on a loop.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_fixture.h"

static struct http_exchange *held;

static void on_hello(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_answer_text(x, 200, "hello");
}

static void on_hold(struct http_exchange *x, void *arg)
{
    (void)arg;
    if (held)
        http_answer_text(held, 200, "");
    held = x;
}

static void on_busy(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_answer_header(x, "Retry-After", "7");
    http_answer_text(x, 429, "later");
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/busy", .handle = on_busy},
    {.method = "GET", .pattern = "/hello", .handle = on_hello},
    {.method = "POST", .pattern = "/hello", .handle = on_hello},
    {.method = "GET", .pattern = "/hold", .handle = on_hold},
};
static struct fixture f;

static void setup(void)
{
    fixture_start(&f, routes, sizeof routes / sizeof *routes, (struct http_server_options){0});
}

static void teardown(void)
{
    fixture_end(&f);
    if (held)
        http_answer_text(STEAL(held), 200, "");
}
TestSuite(http_client, .init = setup, .fini = teardown, .timeout = 100);

static int get(const char *path, struct http_request rq, struct raia_error *e)
{
    char url[128];
    snprintf(url, sizeof url, "%s%s", f.url, path);
    _cleanup_(http_reply_done) struct http_reply rp = {0};
    rq.url = url;
    rq.bearer = rq.bearer ? rq.bearer : TOKEN;
    int r = http_do(&rq, &rp, e);
    return r < 0 ? r : rp.status;
}

/* Each way to fail has its code, and a text that names the request but no token. */
Test(http_client, faults)
{
    struct raia_error e = {0};
    struct http_reply rp = {0};
    cr_assert_eq(get("/hold", (struct http_request){.timeout_ms = 50}, &e), -RAIA_ERR_TIMEOUT);
    cr_assert_not_null(strstr(e.text, "/hold"), "%s", e.text);
    cr_assert_eq(get("/hello", (struct http_request){.max_reply = 4}, &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(get("/hello", (struct http_request){.max_reply = 5}, &e), 200);
    cr_assert_eq(get("/hello", (struct http_request){.bearer = "a\r\nb"}, &e), -RAIA_ERR_INVALID);
    cr_assert_null(strstr(e.text, "a\r\nb"));
    struct http_request rq = {.url = "file:///etc/passwd"};
    cr_assert_eq(http_do(&rq, &rp, &e), -RAIA_ERR_INVALID);
    rq.url = NULL;
    cr_assert_eq(http_do(&rq, &rp, &e), -RAIA_ERR_INVALID);
    char url[128];
    fixture_halt(&f);
    snprintf(url, sizeof url, "%s/", f.url);
    http_server_free(STEAL(f.s));
    rq.url = url;
    cr_assert_eq(http_do(&rq, &rp, &e), -RAIA_ERR_UNAVAILABLE, "%s", e.text);
    setup();
}

static int count(void *arg, const void *data, size_t len)
{
    (void)data;
    *(size_t *)arg += len;
    return len == 5 ? 0 : -RAIA_ERR_STATE;
}

static int stop(void *arg, const void *data, size_t len)
{
    (void)arg, (void)data, (void)len;
    return -RAIA_ERR_DISK_FULL;
}

/* A body may go to a function, which may end the request; a body may come from a descriptor. */
Test(http_client, functions)
{
    size_t n = 0;
    struct raia_error e = {0};
    cr_assert_eq(get("/hello", (struct http_request){.on_body = count, .on_body_arg = &n}, &e),
                 200);
    cr_assert_eq(n, 5);
    cr_assert_eq(get("/hello", (struct http_request){.on_body = stop}, &e), -RAIA_ERR_DISK_FULL);
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "body", 4), 4);
    cr_assert_eq(get("/hello",
                     (struct http_request){
                         .method = "POST", .body_from_fd = true, .body_fd = fds[0], .body_len = 4},
                     &e),
                 200, "%s", e.text);
    close(fds[0]);
    close(fds[1]);
}

static int done_codes[8], n_done;

static void on_done(struct http_call *call, const struct http_reply *reply,
                    const struct raia_error *error, void *arg)
{
    cr_assert_null(call->impl);
    done_codes[*(int *)arg] = error->code ? -error->code : reply->status;
    n_done++;
}

static bool flushed; /* the client's owner flushes it before it sleeps */

static void run_until(struct http_client *c, int n)
{
    for (;;) {
        if (flushed)
            http_client_flush(c);
        if (n_done >= n)
            break;
        struct pollfd p = {.fd = http_client_fd(c), .events = POLLIN};
        cr_assert_gt(poll(&p, 1, WAIT_MS), 0, "nothing happened");
        http_client_step(c);
    }
}

static void end_once_each(void)
{
    struct http_client *c = NULL;
    struct http_call calls[4];
    int ids[] = {0, 1, 2, 3};
    char hello[128], hold[128];
    struct raia_error e = {0};
    snprintf(hello, sizeof hello, "%s/hello", f.url);
    snprintf(hold, sizeof hold, "%s/hold", f.url);
    struct http_request quick = {.url = hello, .bearer = TOKEN, .timeout_ms = WAIT_MS};
    struct http_request slow = {.url = hold, .bearer = TOKEN, .timeout_ms = WAIT_MS};
    cr_assert_eq(http_client_new(3, &c, &e), 0, "%s", e.text);
    cr_assert_eq(http_client_start(c, &calls[0], &quick, on_done, &ids[0], &e), 0);
    cr_assert_eq(http_client_start(c, &calls[1], &slow, on_done, &ids[1], &e), 0);
    slow.timeout_ms = 50;
    cr_assert_eq(http_client_start(c, &calls[2], &slow, on_done, &ids[2], &e), 0);
    cr_assert_eq(http_client_start(c, &calls[3], &quick, on_done, &ids[3], &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(n_done, 0, "never from start");
    http_client_cancel(&calls[1]);
    cr_assert_eq(n_done, 0, "never from cancel");
    run_until(c, 3);
    cr_assert_eq(done_codes[0], 200);
    cr_assert_eq(done_codes[1], -RAIA_ERR_CANCELED);
    cr_assert_eq(done_codes[2], -RAIA_ERR_TIMEOUT);
    http_client_cancel(&calls[1]); /* not in flight: nothing */
    cr_assert_eq(http_client_start(c, &calls[3], &slow, on_done, &ids[3], &e), 0);
    http_client_free(c);
    cr_assert_eq(n_done, 4);
    cr_assert_eq(done_codes[3], -RAIA_ERR_CANCELED);
}

/* Calls on a loop end once each: with their reply, their error, or their cancellation. */
Test(http_client, calls)
{
    end_once_each();
}

/* The same if their owner flushes before it sleeps. */
Test(http_client, calls_flushed)
{
    flushed = true;
    end_once_each();
}

/* A flush sends what was started, with nothing for the descriptor to tell; what is started after it
 * waits for the next one. */
Test(http_client, flush_sends)
{
    struct http_client *c = NULL;
    struct http_call call;
    int id = 0;
    char hold[128];
    snprintf(hold, sizeof hold, "%s/hold", f.url);
    struct http_request rq = {.url = hold, .bearer = TOKEN, .timeout_ms = 50};
    struct pollfd p = {.events = POLLIN};
    cr_assert_eq(http_client_new(3, &c, NULL), 0);
    p.fd = http_client_fd(c);
    http_client_flush(c);
    cr_assert_eq(http_client_start(c, &call, &rq, on_done, &id, NULL), 0);
    cr_assert_eq(poll(&p, 1, 50), 0, "no timer runs");
    flushed = true;
    run_until(c, 1); /* begun by the flush, and its time runs from there */
    cr_assert_eq(done_codes[0], -RAIA_ERR_TIMEOUT);
    http_client_free(c);
}

struct follow_up {
    struct http_client *client; /* where */
    struct http_call call;      /* the other one */
    struct http_request rq;     /* what it asks */
    int id;                     /* of on_done */
    int started;                /* what start returned */
};

static int start_another(void *arg, const void *data, size_t len)
{
    struct follow_up *x = arg;
    (void)data, (void)len;
    x->started = http_client_start(x->client, &x->call, &x->rq, on_done, &x->id, NULL);
    return 0;
}

/* What takes a body may start another call. */
Test(http_client, from_body)
{
    struct follow_up x = {.id = 1, .started = 1};
    struct http_call call;
    int id = 0;
    char hello[128];
    snprintf(hello, sizeof hello, "%s/hello", f.url);
    x.rq = (struct http_request){.url = hello, .bearer = TOKEN, .timeout_ms = WAIT_MS};
    struct http_request rq = x.rq;
    rq.on_body = start_another;
    rq.on_body_arg = &x;
    cr_assert_eq(http_client_new(3, &x.client, NULL), 0);
    cr_assert_eq(http_client_start(x.client, &call, &rq, on_done, &id, NULL), 0);
    run_until(x.client, 2);
    cr_assert_eq(x.started, 0);
    cr_assert_eq(done_codes[0], 200);
    cr_assert_eq(done_codes[1], 200);
    http_client_free(x.client);
}

/* A peer that would go on with a connection for ever. */
struct peer {
    int listener, conns[4];
    unsigned n, answers;
};

static void peer_step(struct peer *p)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char text[4096];
    int fd = p->n < 4 ? accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    if (fd >= 0)
        p->conns[p->n++] = fd;
    for (unsigned i = 0; i < p->n; i++)
        if (recv(p->conns[i], text, sizeof text, MSG_DONTWAIT) > 0) /* GETs come in one piece */
            p->answers += send(p->conns[i], reply, sizeof reply - 1, MSG_NOSIGNAL) > 0;
}

static void on_fresh(struct http_call *call, const struct http_reply *rp,
                     const struct raia_error *e, void *arg)
{
    (void)call, (void)e;
    *(int *)arg = rp ? rp->status : -1;
}

/* Two requests one after the other share a connection, unless they want a fresh one. */
Test(http_client, fresh)
{
    for (int fresh = 0; fresh < 2; fresh++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof at;
        struct peer p = {.listener =
                             socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        cr_assert(bind(p.listener, (struct sockaddr *)&at, size) == 0 &&
                  listen(p.listener, 4) == 0 &&
                  getsockname(p.listener, (struct sockaddr *)&at, &size) == 0);
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(at.sin_port));
        struct http_request rq = {.url = url, .fresh = fresh};
        struct http_client *client = NULL;
        cr_assert_eq(http_client_new(4, &client, NULL), 0);
        for (int i = 0; i < 2; i++) {
            struct http_call call;
            int status = 0;
            cr_assert_eq(http_client_start(client, &call, &rq, on_fresh, &status, NULL), 0);
            while (status == 0) {
                struct pollfd w = {.fd = http_client_fd(client), .events = POLLIN};
                poll(&w, 1, 5);
                http_client_step(client);
                peer_step(&p);
            }
            cr_assert_eq(status, 200);
        }
        cr_assert_eq(p.answers, 2);
        cr_assert_eq(p.n, fresh ? 2 : 1);
        http_client_free(client);
        for (unsigned i = 0; i < p.n; i++)
            close(p.conns[i]);
        close(p.listener);
    }
}

/* Texts in URLs are percent-encoded. */
Test(http_client, escape)
{
    char *s = http_escape("a b/c?\xc3\xa9~");
    cr_assert_str_eq(s, "a%20b%2Fc%3F%C3%A9~");
    mem_free(s);
}

/* A reply tells after how long to ask again, if the server did; PEM texts that are none are
 * refused as such. */
Test(http_client, retry_after)
{
    char url[128];
    _cleanup_(http_reply_done) struct http_reply rp = {0}, hello = {0};
    struct raia_error e = {0};
    snprintf(url, sizeof url, "%s/busy", f.url);
    struct http_request rq = {.url = url, .bearer = TOKEN, .http1 = true, .ca_pem = "none"};
    cr_assert_eq(http_do(&rq, &rp, &e), 0, "%s", e.text);
    cr_assert_eq(rp.status, 429);
    cr_assert_eq(rp.retry_after_s, 7);
    snprintf(url, sizeof url, "%s/hello", f.url);
    cr_assert_eq(http_do(&rq, &hello, &e), 0, "%s", e.text);
    cr_assert_eq(hello.retry_after_s, 0);
    snprintf(url, sizeof url, "https%s/hello", f.url + 4);
    cr_assert_lt(http_do(&rq, &rp, &e), 0);
}
