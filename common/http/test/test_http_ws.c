/*
 * WebSocket: the client and the server against each other.
 */
#include <time.h>

#include "http_fixture.h"

static atomic_int closes, close_code;
static struct http_ws *flood;
static atomic_int sent, refused;

static void on_message(struct http_ws *ws, const char *data, size_t len, void *arg)
{
    (void)arg;
    if (len == 4 && memcmp(data, "quit", 4) == 0)
        http_ws_close(ws, 1000, "bye");
    else
        http_ws_send(ws, data, len);
}

static void on_close(struct http_ws *ws, int code, void *arg)
{
    (void)arg;
    flood = flood == ws ? NULL : flood;
    atomic_store(&close_code, code);
    atomic_fetch_add(&closes, 1);
}

static void fill(struct http_ws *ws)
{
    static char block[1000];
    memset(block, 'x', sizeof block);
    while (atomic_load(&sent) < 5000) {
        if (http_ws_send(ws, block, sizeof block) < 0) {
            atomic_fetch_add(&refused, 1);
            return;
        }
        atomic_fetch_add(&sent, 1);
    }
    http_ws_close(ws, 1000, NULL);
}

static void on_room(struct http_ws *ws, void *arg)
{
    (void)arg;
    fill(ws);
}

static const struct http_ws_events events = {on_message, on_room, on_close};

static void on_tail(struct http_exchange *x, void *arg)
{
    (void)arg;
    struct http_ws *ws = http_ws_accept(x, &events, NULL);
    if (ws)
        http_ws_send(ws, "welcome", 7);
}

static void on_flood(struct http_exchange *x, void *arg)
{
    (void)arg;
    flood = http_ws_accept(x, &events, NULL);
    if (flood)
        fill(flood);
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/tail", .handle = on_tail},
    {.method = "GET", .pattern = "/flood", .handle = on_flood},
};
static struct fixture f;

static void setup(void)
{
    fixture_start(&f, routes, 2, (struct http_server_options){.max_ws_queue = 16 << 10});
}

static void teardown(void)
{
    fixture_end(&f);
}
TestSuite(http_ws, .init = setup, .fini = teardown, .timeout = 100);

static struct ws_client *open_at(const char *path)
{
    char url[128];
    struct ws_client *c = NULL;
    struct raia_error e = {0};
    snprintf(url, sizeof url, "%s%s", f.ws_url, path);
    int r = ws_connect(url, TOKEN, WAIT_MS, &c, &e);
    cr_assert_eq(r, 0, "%s", e.text);
    return c;
}

/* Messages of both sides arrive, in order and whole, and a close ends both in order. */
Test(http_ws, talk)
{
    struct ws_client *c = open_at("/tail");
    const char *data = NULL;
    size_t len = 0;
    struct raia_error e = {0};
    cr_assert_eq(ws_receive(c, WAIT_MS, &data, &len, &e), 0, "%s", e.text);
    cr_assert_str_eq(data, "welcome");
    char *big = mem_zalloc(10001);
    memset(big, 'b', 10000);
    cr_assert_eq(ws_send(c, big, 10000, WAIT_MS, NULL), 0);
    cr_assert_eq(ws_receive(c, WAIT_MS, &data, &len, &e), 0, "%s", e.text);
    cr_assert_eq(len, 10000);
    cr_assert_str_eq(data, big);
    cr_assert_eq(ws_receive(c, 10, &data, &len, &e), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(ws_send(c, "quit", 4, WAIT_MS, NULL), 0);
    cr_assert_eq(ws_receive(c, WAIT_MS, &data, &len, &e), -RAIA_ERR_SHUTDOWN, "%s", e.text);
    ws_free(c);
    mem_free(big);
    for (int i = 0; i < 6000 && atomic_load(&closes) == 0; i++)
        poll(NULL, 0, 10);
    cr_assert_eq(atomic_load(&closes), 1);
    cr_assert_eq(atomic_load(&close_code), 1000);
}

/* A slow reader fills the queue, the server waits for room, and nothing is lost. */
Test(http_ws, back_pressure)
{
    struct ws_client *c = open_at("/flood");
    const char *data;
    size_t len, total = 0;
    time_t begun = time(NULL);
    struct raia_error e = {0};
    int r;
    while ((r = ws_receive(c, WAIT_MS, &data, &len, &e)) == 0)
        total += len;
    cr_assert_eq(r, -RAIA_ERR_SHUTDOWN, "%s", e.text);
    cr_assert_eq(total, 5000000);
    cr_assert_gt(atomic_load(&refused), 0);
    cr_assert_lt(time(NULL) - begun, 15, "no ping had to wake it");
    ws_free(c);
}

/* A client that vanishes, and a server that stops, both end the connection exactly once. */
Test(http_ws, ends)
{
    struct ws_client *a = open_at("/tail"), *b = open_at("/tail");
    ws_free(a);
    for (int i = 0; i < 6000 && atomic_load(&closes) == 0; i++)
        poll(NULL, 0, 10);
    cr_assert_eq(atomic_load(&closes), 1);
    fixture_halt(&f);
    http_server_free(STEAL(f.s));
    cr_assert_eq(atomic_load(&closes), 2);
    const char *data;
    size_t len;
    struct raia_error e = {0};
    int r;
    while ((r = ws_receive(b, WAIT_MS, &data, &len, &e)) == 0)
        ;
    cr_assert_eq(r, -RAIA_ERR_SHUTDOWN, "%d %s", r, e.text);
    ws_free(b);
    setup(); /* for teardown */
}

/* No token, no such path, no handshake, TLS: each is refused with its reason. */
Test(http_ws, refusals)
{
    char url[128];
    struct ws_client *c = NULL;
    struct raia_error e = {0};
    struct http_reply rp = {0};
    snprintf(url, sizeof url, "%s/tail", f.ws_url);
    cr_assert_eq(ws_connect(url, NULL, WAIT_MS, &c, &e), -RAIA_ERR_PERMISSION, "%s", e.text);
    snprintf(url, sizeof url, "%s/nothing", f.ws_url);
    cr_assert_eq(ws_connect(url, TOKEN, WAIT_MS, &c, &e), -RAIA_ERR_NOT_FOUND, "%s", e.text);
    cr_assert_eq(ws_connect("wss://x/", TOKEN, WAIT_MS, &c, &e), -RAIA_ERR_UNSUPPORTED);
    cr_assert_eq(ws_connect("ws://:1/", TOKEN, WAIT_MS, &c, &e), -RAIA_ERR_INVALID);
    cr_assert_eq(ws_connect("ftp://x/", TOKEN, WAIT_MS, &c, &e), -RAIA_ERR_INVALID);
    cr_assert_null(c);
    cr_assert_eq(ask(&f, "GET", "/tail", NULL, &rp), 426);
    http_reply_done(&rp);
}
