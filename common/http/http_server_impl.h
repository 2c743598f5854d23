/*
 * Private to http/: the server's state.
 *
 * Everything runs on the owner's thread: libmicrohttpd is used without threads of its own, its
 * epoll descriptor sits in the server's, beside the WebSocket connections and one timer.
 */
#ifndef HTTP_HTTP_SERVER_IMPL_H
#define HTTP_HTTP_SERVER_IMPL_H

#include <microhttpd.h>

#include "http/http_route.h"
#include "http/http_ws.h"
#include "http/ws_frame.h"

#define HTTP_HEADERS_MAX 16

struct http_server {
    struct http_server_options opt;  /* with defaults filled in; token is owned */
    const struct http_route *routes; /* the owner's */
    size_t n_routes;                 /* how many */
    void *arg;                       /* handed to handlers */
    struct MHD_Daemon *daemon;       /* libmicrohttpd's */
    int epoll_fd;                    /* what the owner watches */
    int timer_fd;                    /* when something is due */
    uint16_t port;                   /* listened on */
    struct http_exchange *waiting;   /* with a handler, oldest first */
    struct http_exchange *last;      /* the newest of them */
    struct http_ws *sockets;         /* WebSocket connections */
    struct http_server_stats stats;  /* numbers */
};

enum http_phase { HTTP_NEW, HTTP_READING, HTTP_HANDLING, HTTP_ANSWERED };

struct http_exchange {
    struct http_server *s;          /* NULL: the server is gone */
    struct MHD_Connection *conn;    /* NULL: the connection is gone */
    const struct http_route *route; /* NULL: none found */
    struct http_target target;      /* parsed */
    struct http_params params;      /* of the route */
    int target_error;               /* what parsing said */
    enum http_phase phase;          /* how far it is */
    bool suspended;                 /* libmicrohttpd waits for the answer */
    bool listed;                    /* in s->waiting */
    bool late;                      /* was answered for by the server */
    unsigned refs;                  /* libmicrohttpd's and the handler's */
    int upload_error;               /* a status to answer with when the body has ended; 0: none */
    char *body;                     /* what has come, with room for a NUL */
    size_t body_len;                /* bytes of it, or handed to on_body */
    size_t body_cap;                /* bytes allocated */
    size_t max_body;                /* most of it */
    uint64_t deadline_ms;           /* for the handler */
    struct MHD_Response *response;  /* the answer, once there */
    int status;                     /* of the answer */
    char *headers[HTTP_HEADERS_MAX][2]; /* more headers of the answer */
    size_t n_headers;                   /* how many */
    void *user;                         /* the handler's */
    void (*free_user)(void *);          /* frees it */
    struct http_stream *stream;         /* the answer is one; not owned */
    struct http_ws *ws;                 /* the answer is one, and not yet upgraded; not owned */
    struct http_exchange *prev, *next;  /* in s->waiting */
};

struct http_ws {
    struct http_server *s;                 /* its server */
    struct http_exchange *x;               /* until upgraded */
    const struct http_ws_events *events;   /* the owner's */
    void *arg;                             /* handed to them */
    struct MHD_UpgradeResponseHandle *urh; /* libmicrohttpd's; NULL: not yet upgraded */
    int fd;                                /* socket; -1: not yet upgraded */
    struct ws_reader reader;               /* what comes */
    char *out;                             /* what is to be sent */
    size_t out_at;                         /* first byte not sent */
    size_t out_len;                        /* end of it */
    size_t out_cap;                        /* bytes allocated */
    bool full;                             /* a send was refused: tell when there is room */
    bool closing;                          /* a close frame is queued: no more messages */
    bool dead;                             /* to be reaped by the next step */
    int close_code;                        /* for on_close */
    unsigned pings;                        /* sent and not answered */
    uint64_t next_ping_ms;                 /* when to ping */
    uint64_t close_by_ms;                  /* closing: give up then */
    struct http_ws *prev, *next;           /* in s->sockets */
};

uint64_t http_now_ms__(void);
/* Makes the descriptor readable in `ms` milliseconds or earlier. */
void http_server_wake__(struct http_server *s, uint64_t ms);

/* http_exchange.c */
struct http_exchange *http_exchange_new__(struct http_server *s, const char *uri);
void http_exchange_unref__(struct http_exchange *x);
/* Sets the answer and sends it; drops the handler's reference. `r` NULL: 503. */
void http_exchange_finish__(struct http_exchange *x, int status, struct MHD_Response *r);
struct MHD_Response *http_error_response__(const char *text);
void http_exchange_list__(struct http_exchange *x);
void http_exchange_unlist__(struct http_exchange *x);

/* http_stream.c: its connection has ended. */
void http_stream_gone__(struct http_stream *st);

/* http_ws.c */
void http_ws_ready__(struct http_ws *ws, uint32_t events);
uint64_t http_ws_tend__(struct http_server *s, uint64_t now_ms); /* the next time; reaps the dead */
void http_ws_gone__(struct http_ws *ws, int code);

#endif
