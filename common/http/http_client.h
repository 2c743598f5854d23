/*
 * HTTP requests: one at a time and blocking (for command-line tools), or many at once on an event
 * loop (for daemons). The only code that includes libcurl.
 *
 * Blocking:
 *     struct http_request rq = {.method = "GET", .url = url, .bearer = token};
 *     _cleanup_(http_reply_done) struct http_reply rp = {0};
 *     r = http_do(&rq, &rp, e);               // < 0: no answer; else look at rp.status
 *     if (r == 0 && rp.status != 200)
 *         r = http_reply_error(&rp, e);       // a code and a text that stand for the status
 *
 * On a loop:
 *     r = http_client_new(&client, e);
 *     -- when http_client_fd(client) is readable: http_client_step(client)
 *     r = http_client_start(client, &call, &rq, on_done, arg, e);
 *
 * Redirects are not followed. A proxy from the environment is not used (cluster addresses).
 * Ownership: all of a request's texts may go when http_do or http_client_start returns, except
 * `body`, which must live until the reply. A call is its owner's struct, which must stay until
 * on_done, which fires exactly once, from http_client_step or http_client_flush, also after
 * http_client_cancel; never from http_client_start. Threads: http_do any; a client and its calls one
 * (its owner's).
 * Failure: -UNAVAILABLE (no connection), -TIMEOUT, -LIMIT (the reply is too large), -CANCELED,
 * -PERMISSION (TLS), -PROTOCOL, -INVALID (bad URL), -NOMEM, or what on_body returned.
 *
 * libcurl allocates through base/mem.h. When it has no memory for a socket it no longer knows who
 * waits for it: then all calls of that client end with -NOMEM, and its connections are closed; those
 * that are started later go over new ones. A name that its resolver's own thread has no memory for is
 * -UNAVAILABLE. nghttp2 and libmicrohttpd allocate by themselves (http_curl.c).
 */
#ifndef HTTP_HTTP_CLIENT_H
#define HTTP_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

/* One header line, without ": " and line end. */
struct http_header {
    const char *name;  /* as sent */
    const char *value; /* no line breaks */
};

/* Takes a piece of the reply's body; 0, or a negative code that ends the request with it. */
typedef int (*http_body_fn)(void *arg, const void *data, size_t len);

/* What to ask. Zero members mean the default. */
struct http_request {
    const char *method;                /* default GET, or POST with a body */
    const char *url;                   /* http:// or https:// */
    const struct http_header *headers; /* more header lines; may be NULL */
    size_t n_headers;                  /* how many */
    const char *bearer;                /* sent as "Authorization: Bearer ..."; NULL: none */
    const void *body;                  /* NULL: none, unless body_fd is set */
    size_t body_len;                   /* bytes of body, or to be read from body_fd */
    bool body_from_fd;                 /* the body is body_len bytes read from body_fd */
    int body_fd;                       /* read from its offset; not closed */
    const char *content_type;          /* of the body; default application/json */
    const char *ca_file;               /* PEM file that https servers must chain to; NULL: system */
    const char *cert_file;             /* own PEM certificate for mutual TLS; NULL: none */
    const char *key_file;              /* its private key */
    const char *ca_pem;                /* the three as PEM texts, instead of files; may be NULL */
    const char *cert_pem;              /* goes with key_pem */
    const char *key_pem;               /* wiped by nobody here: its owner does */
    bool insecure;                     /* the server's certificate is not checked at all */
    bool http1;                        /* HTTP/1.1: no other exchange on the same connection */
    bool fresh;                        /* the name is looked up now, and no connection of before is
                                          used: who had that name may have been replaced */
    int connect_timeout_ms;            /* default 5,000 */
    int timeout_ms;                    /* of the whole exchange; default 30,000; -1: none */
    int idle_timeout_ms;               /* no byte for so long; 0: none (rounded up to seconds) */
    size_t max_reply;                  /* bytes of reply kept; default 16 MiB */
    http_body_fn on_body;              /* a 2xx body goes here instead of being kept; may be NULL */
    void *on_body_arg;                 /* handed to on_body */
};

/* What came back. */
struct http_reply {
    int status;         /* HTTP status; 0: none came */
    char *body;         /* NUL-terminated; NULL if empty or given to on_body */
    size_t body_len;    /* bytes of body */
    char *content_type; /* NULL if not told */
    int retry_after_s;  /* the header Retry-After, in seconds from now; 0: none */
};
void http_reply_done(void *reply); /* frees what it holds; usable with _cleanup_ */
/* Fills e with a code and text for a status that is no success: the body's own message if it is
 * {"error": ...} or short text. Returns the negative code. */
int http_reply_error(const struct http_reply *reply, struct raia_error *e);
/* The error code (positive) that stands for an HTTP status; 0 for 2xx. */
int http_status_code(int status);

/* Asks and waits. 0 if any reply came, whatever its status. */
int http_do(const struct http_request *request, struct http_reply *ret_reply, struct raia_error *e);

/* -- on a loop ------------------------------------------------------------------------------- */

struct http_client;
struct http_call;

/* The end of a call: error->code is 0 if a reply came. The reply is the callee's to read until it
 * returns; it may free the call, and start others. */
typedef void (*http_done_fn)(struct http_call *call, const struct http_reply *reply,
                             const struct raia_error *error, void *arg);

/* A request in flight; owned by the caller, members private. */
struct http_call {
    struct http_client *client; /* while in flight */
    void *impl;                 /* the transfer; NULL when not in flight */
    http_done_fn done;          /* fires once */
    void *arg;                  /* handed to done */
};

/* At most max_calls in flight (0: 64); further ones are refused with -LIMIT. */
int http_client_new(unsigned max_calls, struct http_client **ret_client, struct raia_error *e);
/* Cancels what is in flight (their callbacks fire from here). Accepts NULL. */
void http_client_free(struct http_client *c);
/* An epoll descriptor: readable when there is work. */
int http_client_fd(const struct http_client *c);
/* Does what is due, never blocks, fires callbacks. */
void http_client_step(struct http_client *c);
/*
 * For an owner that calls it each time before it sleeps (loop_hook_add), and then always: what is due
 * now is done now, callbacks included, and the descriptor's timer is set for later things alone. That
 * saves the descriptor's part in each start: four system calls and a wake-up.
 */
void http_client_flush(struct http_client *c);

int http_client_start(struct http_client *c, struct http_call *call,
                      const struct http_request *request, http_done_fn done, void *arg,
                      struct raia_error *e);
/* Its callback fires with -CANCELED from the next step. Without effect if not in flight. */
void http_client_cancel(struct http_call *call);

/* Percent-encodes one path segment or query value. mem_free; NULL when memory runs out. */
char *http_escape(const char *text);

#endif
