/*
 * Out of memory in the control socket: in the daemon and in who asks.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/test/each_alloc.h"
#include "control/control.h"

#define WAIT_MS 60000

static char dir[] = "/tmp/raia-test-control-memory-XXXXXX", path[80];
static struct metrics *metrics;

static void setup(void)
{
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/ctl", dir);
    cr_assert_eq(metrics_new(&metrics), 0);
}

static void teardown(void)
{
    metrics_free(metrics);
    cr_assert_eq(rmdir(dir), 0, "the socket is gone");
}
TestSuite(control_memory, .init = setup, .fini = teardown, .timeout = 100);

static int on_status(void *arg, const struct json *request, struct json *reply,
                     struct raia_error *e)
{
    (void)arg, (void)request, (void)e;
    return json_set_int(reply, "answer", 42);
}

static int open_server(struct control_server **ret)
{
    struct raia_error e = {0};
    int r = control_server_new(path, NULL, ret, &e);
    return r < 0 ? r : control_add_builtins(*ret, "test", metrics, on_status, NULL);
}

static int ask(const char *text)
{
    struct json *request = NULL, *reply = NULL;
    struct raia_error e = {0};
    int r = json_parse(text, strlen(text), NULL, &request, &e);
    if (r == 0)
        r = control_call(path, request, WAIT_MS, &reply, &e);
    if (r == 0 && !json_get(reply, "ok"))
        r = -RAIA_ERR_PROTOCOL;
    json_free(request);
    json_free(reply);
    return r;
}

static const char *const lines[] = {
    "{\"cmd\":\"help\"}",    "{\"cmd\":\"status\"}", "{\"cmd\":\"log-level\",\"spec\":\"info\"}",
    "{\"cmd\":\"metrics\"}", "{\"cmd\":\"fault\"}",  "{\"cmd\":\"nope\"}",
};

/* An answer that could not be made is NULL, or says so. */
static int step_answer(void *arg)
{
    struct control_server *s = NULL;
    size_t len;
    int r = open_server(&s);

    (void)arg;
    for (size_t i = 0; r == 0 && i < sizeof lines / sizeof *lines; i++) {
        char *text = control_answer(s, lines[i], strlen(lines[i]), &len);
        if (!text || strstr(text, "memory") || strstr(text, "\"code\":2,"))
            r = -RAIA_ERR_NOMEM;
        else
            cr_assert(strstr(text, i < 5 ? "\"ok\":true" : "no command"), "%s", text);
        mem_free(text);
    }
    control_server_free(s);
    return r;
}

/* Requests that are answered without a socket. */
Test(control_memory, answers)
{
    cr_assert_geq(each_alloc(step_answer, NULL), 20);
}

struct asker {
    atomic_bool done; /* it has its answers */
    int codes[2];     /* of its calls */
};

static void *run_asker(void *arg)
{
    struct asker *a = arg;
    for (int i = 0; i < 2; i++)
        a->codes[i] = ask(lines[i]);
    atomic_store(&a->done, true);
    return NULL;
}

/* The server's memory fails, not that of who asks: it is answered or turned away, not left. */
static int step_server(void *arg)
{
    struct control_server *s = NULL;
    struct asker a = {.codes = {0}};
    pthread_t thread;
    int r = open_server(&s);

    (void)arg;
    if (r == 0) {
        cr_assert_eq(pthread_create(&thread, NULL, run_asker, &a), 0);
        while (!atomic_load(&a.done)) {
            struct pollfd p = {.fd = control_server_fd(s), .events = POLLIN};
            poll(&p, 1, 10);
            control_server_step(s);
        }
        pthread_join(thread, NULL);
        for (int i = 0; i < 2; i++) {
            cr_assert_neq(a.codes[i], -RAIA_ERR_TIMEOUT, "request %d was never answered", i);
            r = a.codes[i] < 0 ? -RAIA_ERR_NOMEM : r;
        }
    }
    control_server_free(s);
    return r;
}

/* Requests over the socket, when the daemon has no memory. */
Test(control_memory, server)
{
    cr_assert_geq(each_alloc(step_server, NULL), 20);
}

static atomic_bool stop;

static void *serve(void *arg)
{
    while (!atomic_load(&stop)) {
        struct pollfd p = {.fd = control_server_fd(arg), .events = POLLIN};
        poll(&p, 1, 10);
        control_server_step(arg);
    }
    return NULL;
}

static int step_call(void *arg)
{
    (void)arg;
    return ask(lines[1]);
}

/* And when who asks has none. */
Test(control_memory, call)
{
    struct control_server *s = NULL;
    pthread_t thread;
    cr_assert_eq(open_server(&s), 0);
    cr_assert_eq(pthread_create(&thread, NULL, serve, s), 0);
    cr_assert_geq(each_alloc(step_call, NULL), 5);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    control_server_free(s);
}
