/*
 * Out of memory, in the clients (libcurl included) and in the server: an error or an answer, nothing
 * lost, no wait without end.
 */
#include <microhttpd.h>
#include <time.h>
#include <unistd.h>

#include "base/test/each_alloc.h"
#include "crypto/crypto.h"
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

/* What goes up and comes back by other ways: a name to be looked up, a file, no body, a stream taken
 * as it comes. */
static int take(void *arg, const void *data, size_t len)
{
    (void)data;
    *(size_t *)arg += len;
    return 0;
}

static int by_name(const char *method, const char *path, bool fresh, int body_fd, size_t *ret_taken)
{
    char url[160];
    _cleanup_(http_reply_done) struct http_reply rp = {0};
    struct raia_error e = {0};
    struct http_request rq = {.method = method,
                              .url = url,
                              .bearer = TOKEN,
                              .fresh = fresh,
                              .body_from_fd = body_fd >= 0,
                              .body_fd = body_fd,
                              .body_len = body_fd >= 0 ? 8 : 0,
                              .on_body = ret_taken ? take : NULL,
                              .on_body_arg = ret_taken,
                              .timeout_ms = WAIT_MS};
    snprintf(url, sizeof url, "http://localhost:%s%s", strrchr(f.url, ':') + 1, path);
    int r = http_do(&rq, &rp, &e);
    return r < 0 ? r : rp.status == 200 ? 0 : -RAIA_ERR_PROTOCOL;
}

static int step_ways(void *arg)
{
    FILE *file = arg;
    size_t taken = 0;
    cr_assert_eq(lseek(fileno(file), 0, SEEK_SET), 0);
    int r = by_name(NULL, "/stream", true, -1, &taken);
    if (r == 0)
        cr_assert_eq(taken, 10);
    if (r == 0)
        r = by_name("POST", "/json", false, fileno(file), NULL);
    return r;
}

/* Calls of one client at a time, then again: whichever allocation failed, each has ended, with a
 * reply or NOMEM, and what begins later works. */
#define CALLS 4

struct ended {
    struct http_call call; /* first */
    bool done;             /* it ended */
    int code;              /* its status, or negative */
};

static void on_ended(struct http_call *call, const struct http_reply *reply,
                     const struct raia_error *error, void *arg)
{
    struct ended *x = (struct ended *)(void *)call;
    (void)arg;
    cr_assert_not(x->done);
    x->done = true;
    x->code = error->code ? -error->code : reply->status;
}

static void all_at_once(struct http_client *c, int codes[CALLS])
{
    static const char *const paths[CALLS] = {"/text/a", "/stream", "/json", "/text/b"};
    struct ended calls[CALLS] = {0};
    for (int i = 0; i < CALLS; i++) {
        char url[160];
        struct raia_error e = {0};
        struct http_request rq = {.url = url, .bearer = TOKEN, .timeout_ms = WAIT_MS};
        snprintf(url, sizeof url, "%s%s", f.url, paths[i]);
        if (i == 2) {
            rq.body = "{\"a\":[1,2]}";
            rq.body_len = strlen(rq.body);
        }
        codes[i] = http_client_start(c, &calls[i].call, &rq, on_ended, NULL, &e);
        calls[i].done = codes[i] < 0;
        calls[i].code = codes[i];
    }
    for (int i = 0; i < CALLS; i++) {
        while (!calls[i].done) {
            struct pollfd p = {.fd = http_client_fd(c), .events = POLLIN};
            cr_assert_gt(poll(&p, 1, WAIT_MS), 0, "nothing happens");
            http_client_step(c);
        }
        codes[i] = calls[i].code;
    }
}

static unsigned calls_failing(void)
{
    unsigned failed = 0;
    bool reached = true;
    for (uint64_t n = 1; reached; n++) {
        struct http_client *c = NULL;
        struct raia_error e = {0};
        int codes[CALLS];
        cr_assert_eq(http_client_new(0, &c, &e), 0);
        mem_fail_nth(n);
        all_at_once(c, codes);
        reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        for (int i = 0; i < CALLS; i++) {
            cr_assert(codes[i] == 200 || codes[i] == -RAIA_ERR_NOMEM, "allocation %u, call %d: %d",
                      (unsigned)n, i, codes[i]);
            failed += codes[i] < 0;
        }
        all_at_once(c, codes);
        for (int i = 0; i < CALLS; i++)
            cr_assert_eq(codes[i], 200, "after allocation %u, call %d: %d", (unsigned)n, i,
                         codes[i]);
        http_client_free(c);
    }
    return failed;
}

/* The clients: requests one at a time, calls on a loop, WebSockets. */
Test(http_memory, clients, .timeout = 100)
{
    fixture_start(&f, routes, ROUTES, (struct http_server_options){0});
    FILE *file = tmpfile();
    cr_assert(file && fputs("{\"a\": 1}", file) >= 0 && fflush(file) == 0);
    cr_assert_geq(each_alloc(step_do, NULL), 50);
    cr_assert_geq(each_alloc(step_calls, NULL), 50);
    cr_assert_geq(each_alloc(step_ways, file), 50);
    cr_assert_geq(calls_failing(), 100);
    fclose(file);
    cr_assert_geq(each_alloc(step_ws, NULL), 2);
    fixture_end(&f);
}

/* A server that speaks TLS, on a thread of its own. */
static enum MHD_Result on_tls(void *arg, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    struct MHD_Response *rp =
        MHD_create_response_from_buffer(5, (void *)(uintptr_t) "hello", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result r = MHD_queue_response(c, MHD_HTTP_OK, rp);
    (void)arg, (void)url, (void)method, (void)version, (void)data, (void)size, (void)state;
    MHD_destroy_response(rp);
    return r;
}

struct tls {
    char url[64];            /* https://127.0.0.1:PORT/ */
    struct crypto_pem trust; /* the authority */
    struct crypto_pem leaf;  /* of the server, and of the client */
};

static int step_tls(void *arg)
{
    struct tls *tls = arg;
    _cleanup_(http_reply_done) struct http_reply rp = {0};
    struct raia_error e = {0};
    struct http_request rq = {.url = tls->url,
                              .ca_pem = tls->trust.cert,
                              .cert_pem = tls->leaf.cert,
                              .key_pem = tls->leaf.key,
                              .timeout_ms = WAIT_MS};
    int r = http_do(&rq, &rp, &e);
    cr_assert(r < 0 || rp.status == 200);
    return r;
}

/* Requests over TLS, with a certificate of their own; OpenSSL's allocations do not fail. */
Test(http_memory, tls, .timeout = 100)
{
    static const char *const sans[] = {"dns:localhost", "ip:127.0.0.1"};
    struct crypto_leaf leaf = {
        .cn = "a", .sans = sans, .n_sans = 2, .valid_s = 3600, .client = true, .server = true};
    struct tls tls = {.url = ""};
    struct crypto_ca *ca = NULL;
    struct raia_error e = {0};
    cr_assert_eq(crypto_ca_new("test", time(NULL), 100000, &ca, &e), 0, "%s", e.text);
    cr_assert_eq(crypto_ca_pem(ca, &tls.trust, &e), 0);
    cr_assert_eq(crypto_issue(ca, &leaf, time(NULL), &tls.leaf, &e), 0, "%s", e.text);
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_TLS | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_tls, NULL,
                         MHD_OPTION_HTTPS_MEM_KEY, tls.leaf.key, MHD_OPTION_HTTPS_MEM_CERT,
                         tls.leaf.cert, MHD_OPTION_END);
    cr_assert_not_null(d);
    snprintf(tls.url, sizeof tls.url, "https://127.0.0.1:%u/",
             MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
    cr_assert_geq(each_alloc(step_tls, &tls), 40);
    MHD_stop_daemon(d);
    crypto_pem_done(&tls.trust);
    crypto_pem_done(&tls.leaf);
    crypto_ca_free(ca);
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
