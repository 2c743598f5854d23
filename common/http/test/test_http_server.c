/*
 * The server as clients see it: routes, tokens, bodies, late answers, streams, files.
 */
#include <stdlib.h>
#include <unistd.h>

#include "http_fixture.h"

static struct http_exchange *held;
static size_t uploaded;

static void on_echo(struct http_exchange *x, void *arg)
{
    (void)arg;
    struct json *o = json_new_object();
    size_t len;
    const char *body = http_body(x, &len);
    json_set_str(o, "path", http_path(x));
    json_set_str(o, "id", http_param(x, "id"));
    json_set_str(o, "q", http_query(x, "q"));
    json_set(o, "body", json_new_strn(body, len));
    http_answer_header(x, "X-Extra", "1");
    http_answer_json(x, 200, o);
}

static void on_hold(struct http_exchange *x, void *arg)
{
    (void)arg;
    held = x;
}

static void on_release(struct http_exchange *x, void *arg)
{
    (void)arg;
    if (held)
        http_answer_text(STEAL(held), 200, "late");
    http_answer_text(x, 200, "released");
}

static void on_json(struct http_exchange *x, void *arg)
{
    struct json *root = NULL;
    (void)arg;
    if (http_body_json(x, &root) == 0)
        http_answer_json(x, 201, root);
}

static int on_piece(struct http_exchange *x, const void *data, size_t len, void *arg)
{
    (void)arg;
    http_set_user(x, &uploaded, NULL);
    uploaded += len;
    return ((const char *)data)[0] == '!' ? -RAIA_ERR_DISK_FULL : 0;
}

static void on_upload(struct http_exchange *x, void *arg)
{
    (void)arg;
    cr_assert_eq(http_user(x), &uploaded);
    http_answer_error(x, 200, "%zu bytes", uploaded);
}

/* A stream of 100,000 lines through a queue that holds far fewer. */
static int lines_left;
static void more_lines(struct http_stream *st, void *arg)
{
    (void)arg;
    while (lines_left > 0) {
        int r = http_stream_write(st, "0123456789\n", 11);
        if (r == -RAIA_ERR_LIMIT)
            return;
        lines_left = r < 0 ? 0 : lines_left - 1;
    }
    http_stream_end(st);
}

static void on_stream(struct http_exchange *x, void *arg)
{
    (void)arg;
    lines_left = 100000;
    struct http_stream *st = http_answer_stream(x, 200, "text/plain", 1000, more_lines, NULL);
    if (st)
        more_lines(st, NULL);
}

static void on_file(struct http_exchange *x, void *arg)
{
    (void)arg;
    char path[] = "/tmp/raia-test-http-XXXXXX";
    int fd = mkostemp(path, 02000000);
    unlink(path);
    if (write(fd, "0123456789", 10) != 10)
        http_answer_error(x, 500, "write");
    else
        http_answer_file(x, 200, "application/octet-stream", fd, 2, 5);
}

static void on_fail(struct http_exchange *x, void *arg)
{
    (void)arg;
    struct raia_error e = {.code = RAIA_ERR_NOT_FOUND, .text = "no job 'x'; try 'list'"};
    http_answer_failure(x, &e);
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/healthz", .handle = on_echo, .open = true},
    {.method = "GET", .pattern = "/echo/{id}", .handle = on_echo},
    {.method = "POST", .pattern = "/echo/{id}", .handle = on_echo, .max_body = 100},
    {.method = "GET", .pattern = "/hold", .handle = on_hold},
    {.method = "GET", .pattern = "/release", .handle = on_release},
    {.method = "POST", .pattern = "/json", .handle = on_json},
    {.method = "PUT",
     .pattern = "/upload",
     .handle = on_upload,
     .on_body = on_piece,
     .max_body = 8 << 20},
    {.method = "GET", .pattern = "/stream", .handle = on_stream},
    {.method = "GET", .pattern = "/file", .handle = on_file},
    {.method = "GET", .pattern = "/fail", .handle = on_fail},
};
static struct fixture f;
static struct http_reply rp;

static void setup(void)
{
    fixture_start(&f, routes, sizeof routes / sizeof *routes,
                  (struct http_server_options){.answer_timeout_ms = 300000});
}

static void teardown(void)
{
    fixture_end(&f);
    if (held) /* an answer after the server's end is dropped */
        http_answer_text(STEAL(held), 200, "too late");
    http_reply_done(&rp);
}
TestSuite(http_server, .init = setup, .fini = teardown, .timeout = 100);

/* Parameters, queries and bodies reach the handler decoded; its answer reaches the client. */
Test(http_server, echo)
{
    cr_assert_eq(ask(&f, "GET", "/echo/a%2Fb%20c?q=1%262", NULL, &rp), 200);
    cr_assert_str_eq(rp.body, "{\"path\":\"/echo/a%2Fb%20c\",\"id\":\"a/b c\",\"q\":\"1&2\","
                              "\"body\":\"\"}");
    cr_assert_str_eq(rp.content_type, "application/json");
    cr_assert_eq(ask(&f, "POST", "/echo/x", "hello", &rp), 200);
    cr_assert_not_null(strstr(rp.body, "\"body\":\"hello\""));
    cr_assert_eq(ask(&f, "HEAD", "/echo/x", NULL, &rp), 200);
    cr_assert_eq(rp.body_len, 0);
}

/* Unknown paths, wrong methods, malformed paths and too large bodies get their status. */
Test(http_server, refusals)
{
    char *big = mem_alloc(2000001);
    memset(big, 'x', 2000000);
    big[2000000] = '\0';
    cr_assert_eq(ask(&f, "GET", "/nowhere", NULL, &rp), 404);
    cr_assert_not_null(strstr(rp.body, "{\"error\":"));
    cr_assert_eq(ask(&f, "DELETE", "/echo/x", NULL, &rp), 405);
    cr_assert_eq(ask(&f, "GET", "/echo/%00", NULL, &rp), 400);
    cr_assert_eq(ask(&f, "POST", "/echo/x", big, &rp), 413);
    big[101] = '\0';
    cr_assert_eq(ask(&f, "POST", "/echo/x", big, &rp), 413);
    big[100] = '\0';
    cr_assert_eq(ask(&f, "POST", "/echo/x", big, &rp), 200);
    cr_assert_eq(ask(&f, "GET", "/fail", NULL, &rp), 404);
    struct raia_error e = {0};
    cr_assert_eq(http_reply_error(&rp, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert_str_eq(e.text, "no job 'x'; try 'list'");
    mem_free(big);
}

static int with_header(const char *name, const char *value, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "%s%s", f.url, path);
    struct http_header h = {name, value};
    struct http_request rq = {
        .url = url, .headers = &h, .n_headers = name ? 1 : 0, .timeout_ms = WAIT_MS};
    http_reply_done(&rp);
    return http_do(&rq, &rp, NULL) < 0 ? -1 : rp.status;
}

/* Only open routes are served without the right token, and nothing is told of the others. */
Test(http_server, token)
{
    cr_assert_eq(with_header("Authorization", "Bearer " TOKEN, "/echo/x"), 200);
    cr_assert_eq(with_header("X-Ray-Authorization", "bearer " TOKEN, "/echo/x"), 200);
    cr_assert_eq(with_header(NULL, NULL, "/healthz"), 200);
    cr_assert_eq(with_header(NULL, NULL, "/echo/x"), 401);
    cr_assert_eq(with_header(NULL, NULL, "/nowhere"), 401);
    cr_assert_eq(with_header(NULL, NULL, "/echo/x?token=" TOKEN), 401);
    cr_assert_eq(with_header("Authorization", "Bearer " TOKEN "x", "/echo/x"), 403);
    cr_assert_eq(with_header("Authorization", "Bearer ", "/echo/x"), 403);
    cr_assert_eq(with_header("Authorization", "Basic " TOKEN, "/echo/x"), 403);
}

static void *ask_hold(void *arg)
{
    (void)arg;
    struct http_reply r = {0};
    int status = ask(&f, "GET", "/hold", NULL, &r);
    bool ok = status == 200 && strcmp(r.body, "late") == 0;
    http_reply_done(&r);
    return ok ? &f : NULL;
}

/* A handler may answer long after it returned, while others are served. */
Test(http_server, late_answer)
{
    pthread_t t;
    void *ok = NULL;
    pthread_create(&t, NULL, ask_hold, NULL);
    struct http_server_stats st = {0};
    do { /* until the request is held */
        cr_assert_eq(ask(&f, "GET", "/echo/x", NULL, &rp), 200);
        fixture_halt(&f);
        http_server_get_stats(f.s, &st);
        bool there = held != NULL;
        atomic_store(&f.stop, false);
        pthread_create(&f.thread, NULL, fixture_run, &f);
        if (there)
            break;
    } while (true);
    cr_assert_eq(ask(&f, "GET", "/release", NULL, &rp), 200);
    pthread_join(t, &ok);
    cr_assert_not_null(ok);
}

/* JSON bodies are parsed; what is malformed is answered with the place of the fault. */
Test(http_server, json)
{
    cr_assert_eq(ask(&f, "POST", "/json", "{\"a\":[1]}", &rp), 201);
    cr_assert_str_eq(rp.body, "{\"a\":[1]}");
    cr_assert_eq(ask(&f, "POST", "/json", "{\"a\":}", &rp), 400);
    cr_assert_not_null(strstr(rp.body, "1:6"));
}

/* Large uploads reach the handler in pieces, and may be refused by it. */
Test(http_server, upload)
{
    char *big = mem_alloc((4 << 20) + 1);
    memset(big, 'x', 4 << 20);
    big[4 << 20] = '\0';
    cr_assert_eq(ask(&f, "PUT", "/upload", big, &rp), 200);
    cr_assert_str_eq(rp.body, "{\"error\":\"4194304 bytes\"}");
    cr_assert_eq(ask(&f, "PUT", "/upload", "!no", &rp), 507);
    mem_free(big);
}

/* A stream larger than its queue arrives whole; a file's part too. */
Test(http_server, stream_and_file)
{
    cr_assert_eq(ask(&f, "GET", "/stream", NULL, &rp), 200);
    cr_assert_eq(rp.body_len, 1100000);
    cr_assert_eq(strncmp(rp.body + 1100000 - 11, "0123456789\n", 11), 0);
    cr_assert_eq(ask(&f, "GET", "/file", NULL, &rp), 200);
    cr_assert_str_eq(rp.body, "23456");
}

/* A handler that does not answer in time is answered for; its own answer is then dropped. */
Test(http_server_limits, answer_timeout)
{
    struct fixture g = {0};
    struct http_server_stats st;
    fixture_start(&g, routes, sizeof routes / sizeof *routes,
                  (struct http_server_options){.answer_timeout_ms = 20});
    cr_assert_eq(ask(&g, "GET", "/hold", NULL, &rp), 504);
    fixture_halt(&g);
    cr_assert(http_closed(held));
    http_answer_text(STEAL(held), 200, "too late");
    http_server_get_stats(g.s, &st);
    cr_assert_eq(st.timeouts, 1);
    http_server_free(g.s);
    http_reply_done(&rp);
}

/* A taken port and a malformed address or route are told. */
Test(http_server_limits, start_faults)
{
    struct http_server *a = NULL, *b = NULL;
    struct raia_error e = {0};
    struct http_server_options o = {0};
    cr_assert_eq(http_server_new(&o, routes, 1, NULL, &a, &e), 0, "%s", e.text);
    o.port = http_server_port(a);
    cr_assert_eq(http_server_new(&o, routes, 1, NULL, &b, &e), -RAIA_ERR_EXISTS);
    cr_assert_not_null(strstr(e.text, "taken"));
    o.bind = "localhost.";
    cr_assert_eq(http_server_new(&o, routes, 1, NULL, &b, &e), -RAIA_ERR_INVALID);
    struct http_route bad = {.method = "GET", .pattern = "x", .handle = on_echo};
    cr_assert_eq(http_server_new(&o, &bad, 1, NULL, &b, &e), -RAIA_ERR_INVALID);
    http_server_free(a);
    http_server_free(NULL);
}
