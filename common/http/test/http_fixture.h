/*
 * A server on a thread of its own, for tests that talk to it with the blocking client.
 */
#ifndef HTTP_TEST_HTTP_FIXTURE_H
#define HTTP_TEST_HTTP_FIXTURE_H

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_client.h"
#include "http/http_server.h"
#include "http/http_ws.h"

#define TOKEN   "secret-token"
#define WAIT_MS 60000

struct fixture {
    struct http_server *s; /* under test */
    pthread_t thread;      /* its owner */
    atomic_bool stop;      /* ends the thread */
    char url[64];          /* http://127.0.0.1:PORT */
    char ws_url[64];       /* ws://... */
    void (*tick)(void);    /* called in each round; may be NULL */
};

static inline void *fixture_run(void *arg)
{
    struct fixture *f = arg;
    while (!atomic_load(&f->stop)) {
        struct pollfd p = {.fd = http_server_fd(f->s), .events = POLLIN};
        poll(&p, 1, 10);
        http_server_step(f->s);
        if (f->tick)
            f->tick();
    }
    return NULL;
}

static inline void fixture_start(struct fixture *f, const struct http_route *routes, size_t n,
                                 struct http_server_options o)
{
    struct raia_error e = {0};
    o.token = TOKEN;
    int r = http_server_new(&o, routes, n, f, &f->s, &e);
    cr_assert_eq(r, 0, "%s", e.text);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", http_server_port(f->s));
    snprintf(f->ws_url, sizeof f->ws_url, "ws://127.0.0.1:%u", http_server_port(f->s));
    atomic_store(&f->stop, false);
    cr_assert_eq(pthread_create(&f->thread, NULL, fixture_run, f), 0);
}

/* The thread ends; the server stays, for the test to look at. */
static inline void fixture_halt(struct fixture *f)
{
    atomic_store(&f->stop, true);
    pthread_join(f->thread, NULL);
}

static inline void fixture_end(struct fixture *f)
{
    fixture_halt(f);
    http_server_free(f->s);
}

/* Asks with the token; the status, or the negative code. */
static inline int ask(const struct fixture *f, const char *method, const char *path,
                      const char *body, struct http_reply *reply)
{
    char url[512];
    snprintf(url, sizeof url, "%s%s", f->url, path);
    struct http_request rq = {.method = method,
                              .url = url,
                              .bearer = TOKEN,
                              .body = body,
                              .body_len = body ? strlen(body) : 0,
                              .timeout_ms = WAIT_MS};
    struct raia_error e = {0};
    http_reply_done(reply);
    int r = http_do(&rq, reply, &e);
    return r < 0 ? r : reply->status;
}

#endif
