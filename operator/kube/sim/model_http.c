/*
 * The model behind HTTP: requests go to it as they came, and the lines of its watches go out as
 * streams.
 */
#include "kube/sim/model_http.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/http_client.h"
#include "http/http_server.h"

#define WATCHES      32
#define STREAM_BYTES (1u << 20) /* of a client that does not read */
#define STEP_MS      10

struct open_watch {
    struct http_stream *stream;     /* to the client; NULL: free */
    struct kube_model_watch *watch; /* of the model */
};

struct kube_model_http {
    struct kube_model *model;           /* answers */
    const char *token;                  /* asked for; NULL: none */
    struct http_server *server;         /* on a port of its own */
    struct open_watch watches[WATCHES]; /* under way */
};

static void close_watch(struct open_watch *w)
{
    if (w->stream)
        http_stream_end(w->stream);
    kube_model_watch_free(w->watch);
    *w = (struct open_watch){0};
}

static void open_watch(struct kube_model_http *h, struct http_exchange *x,
                       struct kube_model_watch *watch)
{
    for (size_t i = 0; i < WATCHES; i++)
        if (!h->watches[i].stream) {
            h->watches[i].watch = watch;
            h->watches[i].stream =
                http_answer_stream(x, 200, "application/json", STREAM_BYTES, NULL, NULL);
            return;
        }
    kube_model_watch_free(watch);
    http_answer_text(x, 500, "too many watches");
}

static void on_any(struct http_exchange *x, void *arg)
{
    static const char *const names[] = {"watch",    "resourceVersion", "sendInitialEvents",
                                        "continue", "limit",           "labelSelector"};
    struct kube_model_http *h = arg;
    char target[1024], bearer[256];
    size_t len = 0, n = (size_t)snprintf(target, sizeof target, "%s?x=1", http_path(x));
    const char *token = http_header_of(x, "Authorization"), *body;
    struct kube_model_answer a;
    snprintf(bearer, sizeof bearer, "Bearer %s", h->token ? h->token : "");
    if (h->token && (!token || strcmp(token, bearer) != 0)) {
        http_answer_text(x, 401, "Unauthorized");
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names && n < sizeof target; i++) {
        const char *v = http_query(x, names[i]);
        _cleanup_(mem_freep) char *coded = v ? http_escape(v) : NULL;
        if (coded)
            n += (size_t)snprintf(target + n, sizeof target - n, "&%s=%s", names[i], coded);
    }
    body = http_body(x, &len);
    struct kube_request rq = {.method = http_method(x),
                              .target = target,
                              .content_type = http_header_of(x, "Content-Type"),
                              .body = len ? body : NULL,
                              .body_len = len};
    kube_model_handle(h->model, &rq, clock_unix_ms(), &a);
    if (a.watch)
        open_watch(h, x, STEAL(a.watch));
    else
        http_answer(x, a.status, "application/json", a.body ? a.body : "",
                    a.body ? strlen(a.body) : 0);
    kube_model_answer_done(&a);
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/{rest...}", .handle = on_any, .open = true},
    {.method = "POST", .pattern = "/{rest...}", .handle = on_any, .open = true},
    {.method = "PATCH", .pattern = "/{rest...}", .handle = on_any, .open = true},
    {.method = "DELETE", .pattern = "/{rest...}", .handle = on_any, .open = true}};

void kube_model_http_new(struct kube_model *m, const char *token, struct kube_model_http **ret_h)
{
    struct kube_model_http *h = mem_new(struct kube_model_http);
    struct http_server_options o = {0};
    struct raia_error e = {0};
    if (h)
        *h = (struct kube_model_http){.model = m, .token = token};
    if (!h || http_server_new(&o, routes, sizeof routes / sizeof *routes, h, &h->server, &e) < 0) {
        fprintf(stderr, "the model's HTTP server: %s\n", h ? e.text : "out of memory");
        abort();
    }
    *ret_h = h;
}

void kube_model_http_free(struct kube_model_http *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < WATCHES; i++)
        close_watch(&h->watches[i]);
    http_server_free(h->server);
    mem_free(h);
}

unsigned kube_model_http_port(const struct kube_model_http *h)
{
    return http_server_port(h->server);
}

static void write_lines(struct open_watch *w)
{
    bool expired = false;
    int r = 0;
    for (char *line; r == 0 && !expired && (line = kube_model_watch_next(w->watch, &expired));) {
        r = http_stream_write(w->stream, line, strlen(line));
        mem_free(line);
    }
    if (r < 0 || expired)
        close_watch(w);
}

void kube_model_http_step(struct kube_model_http *h)
{
    struct pollfd p = {.fd = http_server_fd(h->server), .events = POLLIN};
    poll(&p, 1, STEP_MS);
    http_server_step(h->server);
    for (size_t i = 0; i < WATCHES; i++)
        if (h->watches[i].stream)
            write_lines(&h->watches[i]);
}
