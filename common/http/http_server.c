/*
 * The server: listening, the daemon behind it, authentication, and the way of a request to its
 * handler.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "crypto/crypto.h"
#include "http/http_server_impl.h"

#define EVENTS_MAX    32
#define ROUNDS_MAX    8         /* of libmicrohttpd in one step */
#define OVERRUN_BYTES (1 << 20) /* read beyond a body's limit, so that the 413 can be read */

uint64_t http_now_ms__(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void http_server_wake__(struct http_server *s, uint64_t ms)
{
    struct itimerspec now, t = {0};
    t.it_value.tv_sec = (time_t)(ms / 1000);
    t.it_value.tv_nsec = (long)(ms % 1000) * 1000000 + (ms == 0);
    if (timerfd_gettime(s->timer_fd, &now) == 0 && (now.it_value.tv_sec || now.it_value.tv_nsec)) {
        uint64_t left =
            (uint64_t)now.it_value.tv_sec * 1000 + (uint64_t)now.it_value.tv_nsec / 1000000;
        if (left <= ms && ms > 0)
            return;
    }
    timerfd_settime(s->timer_fd, 0, &t, NULL);
}

/* -- requests --------------------------------------------------------------------------------- */

static const char *bearer(struct MHD_Connection *conn, const char *header)
{
    const char *v = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, header);
    return v && strncasecmp(v, "Bearer ", 7) == 0 ? v + 7 : NULL;
}

static bool authorized(const struct http_exchange *x)
{
    const char *token = x->s->opt.token;
    if (!token || (x->route && x->route->open))
        return true;
    return crypto_equal(bearer(x->conn, "Authorization"), token) ||
           crypto_equal(bearer(x->conn, "X-Ray-Authorization"), token);
}

/* As Ray's: 401 for no token, 403 for a wrong one. */
static bool has_credentials(const struct http_exchange *x)
{
    return MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, "Authorization") ||
           MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, "X-Ray-Authorization");
}

static enum MHD_Result refuse(struct http_exchange *x, int status, const char *text)
{
    struct MHD_Response *r = http_error_response__(text);
    if (!r)
        return MHD_NO;
    if (status == 401)
        MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    x->s->stats.refused++;
    x->phase = HTTP_ANSWERED;
    enum MHD_Result ok = MHD_queue_response(x->conn, (unsigned)status, r);
    MHD_destroy_response(r);
    return ok;
}

/* The headers are there. */
static enum MHD_Result begin(struct http_exchange *x, const char *method)
{
    bool other = false;
    if (x->target_error)
        return refuse(x, x->target_error == -RAIA_ERR_LIMIT ? 414 : 400, "malformed path or query");
    x->route =
        http_route_find(x->s->routes, x->s->n_routes, method, &x->target, &x->params, &other);
    if (!authorized(x))
        return has_credentials(x)
                   ? refuse(x, 403, "the token is wrong: send the cluster's own")
                   : refuse(x, 401, "a token is required: send 'Authorization: Bearer TOKEN'");
    if (!x->route)
        return other ? refuse(x, 405, "this path does not take this method")
                     : refuse(x, 404, "there is nothing at this path");
    x->max_body = x->route->max_body ? x->route->max_body : x->s->opt.max_body;
    const char *length = http_header_of(x, "Content-Length");
    if (length && strtoull(length, NULL, 10) > x->max_body)
        return refuse(x, 413, "the body is too large");
    x->phase = HTTP_READING;
    return MHD_YES;
}

static int keep(struct http_exchange *x, const char *data, size_t len)
{
    size_t need = x->body_len + len + 1;
    if (need > x->body_cap) {
        size_t cap = x->body_cap ? x->body_cap * 2 : 1024;
        while (cap < need)
            cap *= 2;
        char *p = mem_realloc(x->body, cap);
        if (!p)
            return -RAIA_ERR_NOMEM;
        x->body = p;
        x->body_cap = cap;
    }
    memcpy(x->body + x->body_len, data, len);
    x->body[x->body_len + len] = '\0';
    return 0;
}

/* A piece of the body. After a fault the rest is read and forgotten, within bounds. */
static enum MHD_Result upload(struct http_exchange *x, const char *data, size_t len)
{
    if (x->phase == HTTP_READING && !x->upload_error) {
        int r = len > x->max_body - x->body_len ? -RAIA_ERR_LIMIT
                : x->route->on_body             ? x->route->on_body(x, data, len, x->s->arg)
                                                : keep(x, data, len);
        x->upload_error = r == 0                     ? 0
                          : r == -RAIA_ERR_LIMIT     ? 413
                          : r == -RAIA_ERR_DISK_FULL ? 507
                          : r == -RAIA_ERR_NOMEM     ? 503
                                                     : 400;
    }
    x->body_len += len;
    return x->body_len > x->max_body + OVERRUN_BYTES ? MHD_NO : MHD_YES;
}

static enum MHD_Result send_answer(struct http_exchange *x)
{
    enum MHD_Result ok = MHD_queue_response(x->conn, (unsigned)x->status, x->response);
    MHD_destroy_response(STEAL(x->response));
    x->phase = HTTP_ANSWERED;
    return ok;
}

/* The request is complete. */
static enum MHD_Result handle(struct http_exchange *x)
{
    if (x->upload_error)
        return refuse(x, x->upload_error,
                      x->upload_error == 413 ? "the body is too large" : "the body was refused");
    x->phase = HTTP_HANDLING;
    x->refs++;
    x->deadline_ms = http_now_ms__() + (uint64_t)x->s->opt.answer_timeout_ms;
    http_exchange_list__(x);
    x->route->handle(x, x->s->arg);
    if (x->response)
        return send_answer(x);
    MHD_suspend_connection(x->conn);
    x->suspended = true;
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **state)
{
    struct http_exchange *x = *state;
    (void)cls, (void)url, (void)version;
    if (!x)
        return MHD_NO; /* out of memory when it began: the connection is closed */
    x->conn = conn;
    if (x->phase == HTTP_NEW)
        return begin(x, method);
    if (*len > 0) {
        size_t n = *len;
        *len = 0;
        return upload(x, data, n);
    }
    if (x->phase == HTTP_READING)
        return handle(x);
    if (x->phase == HTTP_HANDLING && x->response)
        return send_answer(x);
    return MHD_YES;
}

static void *on_begin(void *cls, const char *uri, struct MHD_Connection *conn)
{
    struct http_server *s = cls;
    (void)conn;
    s->stats.requests++;
    return http_exchange_new__(s, uri);
}

static void on_end(void *cls, struct MHD_Connection *conn, void **state,
                   enum MHD_RequestTerminationCode why)
{
    struct http_exchange *x = *state;
    (void)cls, (void)conn, (void)why;
    *state = NULL;
    if (!x)
        return;
    x->conn = NULL;
    x->suspended = false;
    if (x->stream)
        http_stream_gone__(STEAL(x->stream));
    if (x->ws)
        http_ws_gone__(x->ws, 1006);
    http_exchange_unlist__(x);
    x->s->stats.open_now--;
    x->s = NULL; /* its handler may keep it longer than the server lives */
    http_exchange_unref__(x);
}

/* Targets are decoded by http_route.c, segment by segment: here "%2F" must stay what it is. */
static size_t keep_escapes(void *cls, struct MHD_Connection *conn, char *text)
{
    (void)cls, (void)conn;
    return strlen(text);
}

/* libmicrohttpd would print; what matters reaches the caller by other ways. */
static void no_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls, (void)fmt, (void)ap;
}

/* -- life ------------------------------------------------------------------------------------- */

static int listen_on(const struct http_server_options *o, int *ret_fd, uint16_t *ret_port,
                     struct raia_error *e)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t len = sizeof a.v4;
    int one = 1;
    if (inet_pton(AF_INET, o->bind, &a.v4.sin_addr) == 1) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(o->port);
    } else if (inet_pton(AF_INET6, o->bind, &a.v6.sin6_addr) == 1) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(o->port);
        len = sizeof a.v6;
    } else {
        return err_set(e, RAIA_ERR_INVALID, "'%s' is no IPv4 or IPv6 address", o->bind);
    }
    _cleanup_(fd_closep) int fd =
        socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, errno, "open a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &a.any, len) < 0 || listen(fd, 128) < 0) {
        if (errno == EADDRINUSE)
            return err_set(e, RAIA_ERR_EXISTS, "port %u on %s is taken; choose another", o->port,
                           o->bind);
        return err_errno(e, errno, "listen on %s port %u", o->bind, o->port);
    }
    if (getsockname(fd, &a.any, &len) < 0)
        return err_errno(e, errno, "getsockname");
    *ret_port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

static void set_defaults(struct http_server_options *o)
{
    o->bind = o->bind ? o->bind : "127.0.0.1";
    o->max_connections = o->max_connections ? o->max_connections : 256;
    o->max_body = o->max_body ? o->max_body : 1 << 20;
    o->idle_timeout_ms = o->idle_timeout_ms ? o->idle_timeout_ms : 60000;
    o->answer_timeout_ms = o->answer_timeout_ms ? o->answer_timeout_ms : 60000;
    o->max_ws_queue = o->max_ws_queue ? o->max_ws_queue : 1 << 20;
    o->ws_ping_ms = o->ws_ping_ms ? o->ws_ping_ms : 20000;
}

static int start(struct http_server *s, int listener, struct raia_error *e)
{
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->epoll_fd < 0 || s->timer_fd < 0)
        return err_errno(e, errno, "make an HTTP server");
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        listener, MHD_OPTION_CONNECTION_LIMIT, s->opt.max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(s->opt.idle_timeout_ms + 999) / 1000,
        MHD_OPTION_URI_LOG_CALLBACK, on_begin, s, MHD_OPTION_NOTIFY_COMPLETED, on_end, s,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    if (!s->daemon)
        return err_set(e, RAIA_ERR_INTERNAL, "the HTTP server cannot start");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event mhd = {.events = EPOLLIN, .data.ptr = s};
    struct epoll_event timer = {.events = EPOLLIN, .data.ptr = &s->timer_fd};
    if (!info || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &mhd) < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->timer_fd, &timer) < 0)
        return err_errno(e, errno, "make an HTTP server");
    return 0;
}

int http_server_new(const struct http_server_options *options, const struct http_route *routes,
                    size_t n_routes, void *arg, struct http_server **ret_server,
                    struct raia_error *e)
{
    for (size_t i = 0; i < n_routes; i++)
        if (http_pattern_check(routes[i].pattern) < 0 || !routes[i].method || !routes[i].handle)
            return err_set(e, RAIA_ERR_INVALID, "route %zu ('%s') is malformed", i,
                           routes[i].pattern ? routes[i].pattern : "");
    struct http_server *s = mem_new(struct http_server);
    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an HTTP server");
    s->opt = *options;
    s->epoll_fd = s->timer_fd = -1;
    s->routes = routes;
    s->n_routes = n_routes;
    s->arg = arg;
    set_defaults(&s->opt);
    s->opt.token = mem_strdup(options->token);
    int listener = -1, r = 0;
    if (options->token && !s->opt.token)
        r = err_set(e, RAIA_ERR_NOMEM, "out of memory for an HTTP server");
    if (r == 0)
        r = listen_on(&s->opt, &listener, &s->port, e);
    if (r == 0)
        r = start(s, listener, e);
    if (r < 0) {
        if (!s->daemon)
            fd_closep(&listener);
        http_server_free(s);
        return r;
    }
    *ret_server = s;
    return 0;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    while (s->sockets)
        http_ws_gone__(s->sockets, 1001);
    for (struct http_exchange *x = s->waiting, *next; x; x = next) {
        next = x->next;
        if (x->suspended) /* a stopped daemon may have none */
            MHD_resume_connection(x->conn);
        x->suspended = false;
        http_exchange_unlist__(x);
    }
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    fd_closep(&s->epoll_fd);
    fd_closep(&s->timer_fd);
    mem_free((char *)s->opt.token);
    mem_free(s);
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

int http_server_fd(const struct http_server *s)
{
    return s->epoll_fd;
}

void http_server_get_stats(const struct http_server *s, struct http_server_stats *ret)
{
    *ret = s->stats;
}

/* Answers for handlers that take too long. All have the same time, so the oldest is due first. */
static uint64_t end_late(struct http_server *s, uint64_t now)
{
    while (s->waiting && s->waiting->deadline_ms <= now) {
        struct http_exchange *x = s->waiting;
        s->stats.timeouts++;
        x->late = true;
        x->refs++; /* finishing drops one, and the handler keeps its own */
        http_exchange_finish__(x, 504, http_error_response__("this took too long to answer"));
    }
    return s->waiting ? s->waiting->deadline_ms : UINT64_MAX;
}

void http_server_step(struct http_server *s)
{
    struct epoll_event ev[EVENTS_MAX];
    uint64_t times;
    MHD_UNSIGNED_LONG_LONG wait = 0;
    int n = epoll_wait(s->epoll_fd, ev, EVENTS_MAX, 0);
    (void)!read(s->timer_fd, &times, sizeof times);
    for (int i = 0; i < n; i++)
        if (ev[i].data.ptr != s && ev[i].data.ptr != &s->timer_fd)
            http_ws_ready__(ev[i].data.ptr, ev[i].events);
    enum MHD_Result timed = MHD_NO;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        MHD_run(s->daemon);
        timed = MHD_get_timeout(s->daemon, &wait);
        if (timed == MHD_NO || wait > 0)
            break;
    }
    uint64_t now = http_now_ms__(), late = end_late(s, now), ws = http_ws_tend__(s, now);
    uint64_t due = late < ws ? late : ws;
    uint64_t ms = due == UINT64_MAX ? UINT64_MAX : due > now ? due - now : 0;
    if (timed == MHD_YES && wait < ms)
        ms = wait;
    if (ms != UINT64_MAX)
        http_server_wake__(s, ms);
}
