/*
 * WebSocket (RFC 6455): connections of the server, and a blocking client.
 *
 * Server: a GET route whose handler calls http_ws_accept(x, ...) instead of answering.
 *
 *     struct http_ws *ws = http_ws_accept(x, &events, tail, e);
 *     r = http_ws_send(ws, line, len);          // -LIMIT: the queue is full, wait for on_room
 *     http_ws_close(ws, 1000, "end of log");    // sends what is queued first
 *
 * Client:
 *     r = ws_connect("ws://127.0.0.1:8265/api/jobs/x/logs/tail", token, 5000, &c, e);
 *     while ((r = ws_receive(c, 60000, &text, &len, e)) == 0)   // -SHUTDOWN: closed in order
 *         fwrite(text, 1, len, stdout);
 *     ws_free(c);
 *
 * Ownership: a server connection is the server's: valid from accept until on_close, which fires
 * exactly once (also when the server is freed) and never inside http_ws_send. Bytes are copied. A
 * received message lives until the next call. Threads: owner thread; a client one at a time.
 * Limits: messages from peers 64 KiB (server) and 1 MiB (client), queue max_ws_queue; pings are
 * answered by both sides; a server pings and drops peers that do not answer.
 */
#ifndef HTTP_HTTP_WS_H
#define HTTP_HTTP_WS_H

#include "http/http_server.h"

struct http_ws;

/* What happens on a connection; each may be NULL. */
struct http_ws_events {
    void (*on_message)(struct http_ws *ws, const char *data, size_t len, void *arg);
    void (*on_room)(struct http_ws *ws, void *arg); /* the queue drained after a -LIMIT */
    void (*on_close)(struct http_ws *ws, int code, void *arg); /* ws is gone when it returns */
};

/* Answers with 101. `events` must outlive the connection. NULL if the request is no WebSocket
 * handshake (400 or 426 was answered) or on failure (503); x is gone either way. Messages sent at
 * once are queued behind the handshake. */
struct http_ws *http_ws_accept(struct http_exchange *x, const struct http_ws_events *events,
                               void *arg);
/* Queues one text message. -LIMIT (it does not fit the queue), -SHUTDOWN (closing), -NOMEM. */
int http_ws_send(struct http_ws *ws, const char *text, size_t len);
size_t http_ws_queued(const struct http_ws *ws); /* bytes not yet taken by the kernel */
/* Sends a close frame after what is queued; on_close follows, at the latest after 5 s. */
void http_ws_close(struct http_ws *ws, int code, const char *reason);

/* -- client ----------------------------------------------------------------------------------- */

struct ws_client;
/* ws://HOST:PORT/PATH or http://...; wss is -UNSUPPORTED. bearer may be NULL. */
int ws_connect(const char *url, const char *bearer, int timeout_ms, struct ws_client **ret_client,
               struct raia_error *e);
/* The next message. -TIMEOUT (try again), -SHUTDOWN (the server closed with 1000 or 1001),
 * -UNAVAILABLE (it broke off), -PROTOCOL. */
int ws_receive(struct ws_client *c, int timeout_ms, const char **ret_data, size_t *ret_len,
               struct raia_error *e);
int ws_send(struct ws_client *c, const char *text, size_t len, int timeout_ms,
            struct raia_error *e);
int ws_fd(const struct ws_client *c); /* to poll with others; ws_receive(c, 0, ...) then */
void ws_free(struct ws_client *c);    /* accepts NULL; tells the server */
void ws_freep(void *p);

#endif
