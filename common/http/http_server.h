/*
 * An HTTP/1.1 server on the owner's loop. The only code that includes libmicrohttpd.
 *
 *     static const struct http_route routes[] = {
 *         {.method = "GET", .pattern = "/healthz", .handle = on_healthz, .open = true},
 *         {.method = "GET", .pattern = "/api/jobs/{id}/logs", .handle = on_logs},
 *         {.method = "PUT", .pattern = "/api/packages/{proto}/{name}", .max_body = 1 << 30,
 *          .on_body = pkg_write, .handle = on_package},
 *     };
 *     struct http_server_options o = {.bind = "127.0.0.1", .port = 0, .token = token};
 *     r = http_server_new(&o, routes, 3, gcs, &srv, e);
 *     port = http_server_port(srv);
 *     -- when http_server_fd(srv) is readable: http_server_step(srv)
 *
 *     static void on_logs(struct http_exchange *x, void *arg)
 *     {
 *         const char *id = http_param(x, "id");      // percent-decoded
 *         ...
 *         http_answer_json(x, 200, reply);           // now, or later: keep x and answer then
 *     }
 *
 * A handler must answer its exchange exactly once, now or later, by one of the http_answer_*
 * functions (http_ws_accept is one, see http_ws.h). Until then x stays valid; afterwards it is
 * gone. If the client left, the time ran out (504 was sent) or the server stopped, the answer is
 * dropped: handlers need no notice, but http_closed(x) tells, so that work can be saved.
 *
 * A route's path is literal segments and {name} segments; {name...} at the end takes the rest of
 * the path. Literal beats {name} at the same place. A path without its final '/' matches the
 * pattern with it, and the other way round. HEAD is answered by GET routes.
 * Without a token option every route is open. Else a request needs "Authorization: Bearer T" or
 * "X-Ray-Authorization: Bearer T"; there is no token in URLs. Errors (400 401 403 404 405 413 503
 * 504)
 * are {"error": "..."} in JSON.
 * Ownership: routes and their strings must outlive the server; options are copied.
 * Threads: owner thread only. Failure: -EXISTS if the port is taken, with a text that says so.
 */
#ifndef HTTP_HTTP_SERVER_H
#define HTTP_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json.h"
#include "raia/error.h"

struct http_server;
struct http_exchange; /* one request, and its answer to be */

typedef void (*http_handle_fn)(struct http_exchange *x, void *arg);
/* Takes a piece of a request's body as it arrives, before `handle`; it may http_set_user(x). A
 * negative code ends the request: 413 for -LIMIT, 507 for -DISK_FULL, else 400; then handle is
 * not called. */
typedef int (*http_upload_fn)(struct http_exchange *x, const void *data, size_t len, void *arg);

/* What is served where. */
struct http_route {
    const char *method;     /* GET, PUT, ... */
    const char *pattern;    /* "/api/jobs/{id}" */
    http_handle_fn handle;  /* called when the request is complete */
    http_upload_fn on_body; /* NULL: the body is kept for http_body() */
    size_t max_body;        /* bytes; 0: the server's default */
    bool open;              /* needs no token */
};

/* Zero members mean the default. */
struct http_server_options {
    const char *bind;         /* IPv4 or IPv6 address; default 127.0.0.1; 0.0.0.0 or ::: any */
    uint16_t port;            /* 0: any free one */
    const char *token;        /* NULL: every route is open */
    unsigned max_connections; /* default 256; further ones are closed at once */
    size_t max_body;          /* bytes of a request's body; default 1 MiB */
    int idle_timeout_ms;      /* without traffic, a connection is closed; default 60,000 */
    int answer_timeout_ms;    /* a handler that takes longer is answered for, 504; default 60,000 */
    size_t max_ws_queue;      /* bytes queued for a slow WebSocket client; default 1 MiB */
    int ws_ping_ms;           /* between pings; default 20,000; two unanswered: closed */
};

int http_server_new(const struct http_server_options *options, const struct http_route *routes,
                    size_t n_routes, void *arg, struct http_server **ret_server,
                    struct raia_error *e);
/* Closes every connection; unanswered exchanges stay valid until answered. Accepts NULL. */
void http_server_free(struct http_server *s);
uint16_t http_server_port(const struct http_server *s);
/* An epoll descriptor: readable when there is work. */
int http_server_fd(const struct http_server *s);
/* Does what is due, never blocks, calls handlers. */
void http_server_step(struct http_server *s);

/* Numbers for metrics and tests. */
struct http_server_stats {
    uint64_t requests;   /* ever begun */
    uint64_t refused;    /* of them answered 401, 403, 404, 405, 413 or 400 by the server itself */
    uint64_t timeouts;   /* answered 504 for a late handler */
    unsigned open_now;   /* exchanges begun and not ended */
    unsigned ws_now;     /* WebSocket connections */
    uint64_t ws_dropped; /* closed for a full queue or missing pongs */
};
void http_server_get_stats(const struct http_server *s, struct http_server_stats *ret);

/* -- the request: strings live as long as x -------------------------------------------------- */

const char *http_method(const struct http_exchange *x);
const char *http_path(const struct http_exchange *x); /* as sent, not decoded, without query */
const char *http_param(const struct http_exchange *x, const char *name); /* of the pattern */
const char *http_query(const struct http_exchange *x, const char *name); /* decoded; NULL: none */
/* The i-th value of a name that is given more than once, from 0. */
const char *http_query_at(const struct http_exchange *x, const char *name, size_t i);
const char *http_header_of(const struct http_exchange *x, const char *name);
const char *http_body(const struct http_exchange *x,
                      size_t *ret_len); /* NUL-terminated; not NULL */
/* Parses the body; on failure answers 400 itself (x is gone then) and returns the code. */
int http_body_json(struct http_exchange *x, struct json **ret_root);
bool http_closed(const struct http_exchange *x); /* nobody will read the answer */
/* The handler's own state; `free_user` (may be NULL) is called when x goes, answered or not. */
void http_set_user(struct http_exchange *x, void *user, void (*free_user)(void *user));
void *http_user(const struct http_exchange *x);

/* -- the answer: each of these ends the handler's use of x ------------------------------------ */

/* A further header of the answer to come. -NOMEM, or -LIMIT beyond 16. */
int http_answer_header(struct http_exchange *x, const char *name, const char *value);
void http_answer(struct http_exchange *x, int status, const char *type, const void *body,
                 size_t len);
/* Takes over `body` (mem_*); a NULL body answers 503, out of memory. */
void http_answer_take(struct http_exchange *x, int status, const char *type, char *body,
                      size_t len);
void http_answer_text(struct http_exchange *x, int status, const char *text);
/* Prints and frees the tree; NULL answers 503. */
void http_answer_json(struct http_exchange *x, int status, struct json *root);
/* {"error": "..."} */
void http_answer_error(struct http_exchange *x, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The status that fits the error's code, with its text. */
void http_answer_failure(struct http_exchange *x, const struct raia_error *error);
/* `size` bytes of a file from `offset`; the descriptor is taken over. */
void http_answer_file(struct http_exchange *x, int status, const char *type, int fd,
                      uint64_t offset, uint64_t size);

/*
 * A body written piece by piece (chunked). The stream is the handler's until http_stream_end();
 * writes to one whose client has left return -CANCELED. on_room (may be NULL) is called from
 * http_server_step when a full stream has room again, or its client has left.
 */
struct http_stream;
typedef void (*http_room_fn)(struct http_stream *st, void *arg);
/* NULL when memory runs out (then 503 was answered). max_queue: bytes kept for a slow client. */
struct http_stream *http_answer_stream(struct http_exchange *x, int status, const char *type,
                                       size_t max_queue, http_room_fn on_room, void *arg);
/* All or nothing: -LIMIT when it does not fit the queue now; -CANCELED; -NOMEM. */
int http_stream_write(struct http_stream *st, const void *data, size_t len);
size_t http_stream_room(const struct http_stream *st); /* bytes that fit now */
void http_stream_end(struct http_stream *st);          /* st is gone; what is queued is sent */

#endif
