/*
 * Out of memory, in the clients and in the server: an error or an answer, nothing lost, no wait
 * without end.
 */
#include "base/test/each_alloc.h"
#include "http_fixture.h"

static void on_text(struct http_exchange *x, void *arg)
{
    (void)arg;
    if (http_answer_header(x, "X-More", "1") < 0)
        http_answer_error(x, 503, "no memory for %s", "a header");
    else
        http_answer_text(x, 200, http_param(x, "id"));
}

static void on_json(struct http_exchange *x, void *arg)
{
    struct json *root = NULL;

    (void)arg;
    if (http_body_json(x, &root) == 0)
        http_answer_json(x, 200, root);
}

static void on_stream(struct http_exchange *x, void *arg)
{
    struct http_stream *st = http_answer_stream(x, 200, "text/plain", 1000, NULL, NULL);

    (void)arg;
    if (!st)
        return;
    (void)http_stream_write(st, "piece", 5);
    (void)http_stream_write(st, "piece", 5);
    http_stream_end(st);
}

static void on_message(struct http_ws *ws, const char *data, size_t len, void *arg)
{
    (void)arg;
    if (http_ws_send(ws, data, len) < 0)
        http_ws_close(ws, 1011, "out of memory");
}

static const struct http_ws_events events = {on_message, NULL, NULL};

static void on_ws(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_ws_accept(x, &events, NULL);
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/text/{id}", .handle = on_text},
    {.method = "POST", .pattern = "/json", .handle = on_json},
    {.method = "GET", .pattern = "/stream", .handle = on_stream},
    {.method = "GET", .pattern = "/ws", .handle = on_ws},
};
#define ROUTES (sizeof routes / sizeof *routes)

static struct fixture f;

/* 0, or the code; another status than 200 is an answer without memory. */
static int get(const char *base, const char *path, const char *body, struct raia_error *e)
{
    char url[160];
    _cleanup_(http_reply_done) struct http_reply rp = {0};
    struct http_header more = {"X-A", "b"};
    struct http_request rq = {.url = url,
                              .bearer = TOKEN,
                              .headers = &more,
                              .n_headers = 1,
                              .body = body,
                              .body_len = body ? strlen(body) : 0,
                              .timeout_ms = WAIT_MS};
    snprintf(url, sizeof url, "%s%s", base, path);
    int r = http_do(&rq, &rp, e);
    return r < 0 ? r : rp.status == 200 && rp.body_len > 0 ? 0 : -RAIA_ERR_NOMEM;
}

static int step_do(void *arg)
{
    struct raia_error e = {0};
    char *s = http_escape("a b");
    (void)arg;
    if (!s)
        return -RAIA_ERR_NOMEM;
    mem_free(s);
    int r = get(f.url, "/text/a", NULL, &e);
    return r < 0 ? r : get(f.url, "/json", "{\"a\":[1,2]}", &e);
}

static int call_code;
static bool call_done;

static void on_done(struct http_call *call, const struct http_reply *reply,
                    const struct raia_error *error, void *arg)
{
    (void)call, (void)arg;
    call_code = error->code ? -error->code : reply->status;
    call_done = true;
}

static int step_calls(void *arg)
{
    struct http_client *c = NULL;
    struct http_call call = {0};
    struct raia_error e = {0};
    char url[160];
    (void)arg;
    snprintf(url, sizeof url, "%s/stream", f.url);
    struct http_request rq = {.url = url, .bearer = TOKEN, .timeout_ms = WAIT_MS};
    int r = http_client_new(0, &c, &e);
    if (r < 0)
        return r;
    call_done = false;
    r = http_client_start(c, &call, &rq, on_done, NULL, &e);
    while (r == 0 && !call_done) {
        struct pollfd p = {.fd = http_client_fd(c), .events = POLLIN};
        cr_assert_gt(poll(&p, 1, WAIT_MS), 0, "nothing happens");
        http_client_step(c);
    }
    http_client_free(c);
    return r < 0 ? r : call_code == 200 ? 0 : call_code;
}

static int talk(const char *ws_url, struct raia_error *e)
{
    char url[160];
    struct ws_client *c = NULL;
    const char *data;
    size_t len;
    snprintf(url, sizeof url, "%s/ws", ws_url);
    int r = ws_connect(url, TOKEN, WAIT_MS, &c, e);
    if (r == 0)
        r = ws_send(c, "hello", 5, WAIT_MS, e);
    if (r == 0)
        r = ws_receive(c, WAIT_MS, &data, &len, e);
    ws_free(c);
    return r;
}

static int step_ws(void *arg)
{
    struct raia_error e = {0};
    (void)arg;
    return talk(f.ws_url, &e);
}

/* The clients: requests one at a time, calls on a loop, WebSockets. */
Test(http_memory, clients, .timeout = 100)
{
    fixture_start(&f, routes, ROUTES, (struct http_server_options){0});
    cr_assert_geq(each_alloc(step_do, NULL), 5);
    cr_assert_geq(each_alloc(step_calls, NULL), 4);
    cr_assert_geq(each_alloc(step_ws, NULL), 2);
    fixture_end(&f);
}

/* What the other thread asks, with memory; any answer but silence will do. */
struct asker {
    char url[64];    /* http:// */
    char ws_url[64]; /* ws:// */
    atomic_int all;  /* 1: everything was answered as it should be; -1: not; 0: not yet */
    bool waited;     /* something ran out of time */
};

static void *ask_all(void *arg)
{
    struct asker *a = arg;
    struct raia_error e = {0};
    int codes[4] = {get(a->url, "/text/a%20b?q=1&q=2", NULL, &e),
                    get(a->url, "/json", "{\"a\":[1,2]}", &e), get(a->url, "/stream", NULL, &e),
                    talk(a->ws_url, &e)};
    bool good = true;
    for (int i = 0; i < 4; i++) {
        good = good && codes[i] == 0;
        a->waited = a->waited || codes[i] == -RAIA_ERR_TIMEOUT;
    }
    atomic_store(&a->all, good ? 1 : -1);
    return NULL;
}

static int step_server(void *arg)
{
    struct http_server_options o = {.token = TOKEN};
    struct http_server *s = NULL;
    struct asker a = {.all = 0};
    struct raia_error e = {0};
    pthread_t thread;
    (void)arg;
    int r = http_server_new(&o, routes, ROUTES, NULL, &s, &e);
    if (r < 0)
        return r;
    snprintf(a.url, sizeof a.url, "http://127.0.0.1:%u", http_server_port(s));
    snprintf(a.ws_url, sizeof a.ws_url, "ws://127.0.0.1:%u", http_server_port(s));
    cr_assert_eq(pthread_create(&thread, NULL, ask_all, &a), 0);
    while (atomic_load(&a.all) == 0) {
        struct pollfd p = {.fd = http_server_fd(s), .events = POLLIN};
        poll(&p, 1, 10);
        http_server_step(s);
    }
    pthread_join(thread, NULL);
    http_server_free(s);
    cr_assert_not(a.waited, "a request was never answered");
    return atomic_load(&a.all) == 1 ? 0 : -RAIA_ERR_NOMEM;
}

/* The server, in all that it does for a request, a body, a stream, a WebSocket. */
Test(http_memory, server, .timeout = 100)
{
    cr_assert_geq(each_alloc(step_server, NULL), 10);
}
