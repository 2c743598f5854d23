/*
 * The blocking WebSocket client, over a socket of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "crypto/crypto.h"
#include "http/http_client.h"
#include "http/http_server_impl.h"

#define MESSAGE_MAX   (1 << 20)
#define HANDSHAKE_MAX 8192

struct ws_client {
    int fd;                  /* non-blocking socket */
    struct ws_reader reader; /* what comes */
    char buf[HANDSHAKE_MAX]; /* bytes read and not yet fed */
    const char *at;          /* first of them */
    size_t len;              /* how many */
    bool closed;             /* a close frame was sent or answered */
};

/* Waits for events. 0, -TIMEOUT or -IO. */
static int wait_for(int fd, short events, uint64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = http_now_ms__();
        int n = poll(&p, 1, deadline > now ? (int)(deadline - now) : 0);
        if (n > 0)
            return 0;
        if (n == 0)
            return -RAIA_ERR_TIMEOUT;
        if (errno != EINTR)
            return -RAIA_ERR_IO;
    }
}

static int send_all(int fd, const char *data, size_t len, uint64_t deadline)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            int r = wait_for(fd, POLLOUT, deadline);
            if (r < 0)
                return r;
            continue;
        }
        if (n < 0)
            return -RAIA_ERR_UNAVAILABLE;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Splits ws://HOST[:PORT]/PATH. */
static int split(const char *url, char host[256], char port[8], const char **ret_path,
                 struct raia_error *e)
{
    if (strncasecmp(url, "wss:", 4) == 0 || strncasecmp(url, "https:", 6) == 0)
        return err_set(e, RAIA_ERR_UNSUPPORTED, "'%.200s': WebSocket over TLS is not supported",
                       url);
    const char *h = strncasecmp(url, "ws://", 5) == 0     ? url + 5
                    : strncasecmp(url, "http://", 7) == 0 ? url + 7
                                                          : NULL;
    size_t n = h ? strcspn(h, "/?") : 0;
    const char *bracket = h && *h == '[' ? memchr(h, ']', n) : NULL;
    const char *colon =
        h ? memrchr(bracket ? bracket : h, ':', bracket ? n - (size_t)(bracket - h) : n) : NULL;
    const char *name = bracket ? h + 1 : h;
    size_t name_len = bracket ? (size_t)(bracket - h) - 1 : colon ? (size_t)(colon - h) : n;
    size_t port_len = colon ? n - (size_t)(colon - h) - 1 : 0;
    if (!h || name_len == 0 || name_len > 255 || port_len > 5 || (colon && port_len == 0) ||
        strpbrk(url, "\r\n "))
        return err_set(e, RAIA_ERR_INVALID, "'%.200s' is no ws:// URL", url);
    snprintf(host, 256, "%.*s", (int)name_len, name);
    snprintf(port, 8, "%.*s", colon ? (int)port_len : 2, colon ? colon + 1 : "80");
    *ret_path = h[n] == '/' ? h + n : "/";
    return 0;
}

static int connect_to(const char *host, const char *port, uint64_t deadline, int *ret_fd,
                      struct raia_error *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
    int r = getaddrinfo(host, port, &hints, &list), sys = ECONNREFUSED;
    if (r != 0)
        return err_set(e, RAIA_ERR_UNAVAILABLE, "look up '%s': %s", host, gai_strerror(r));
    for (struct addrinfo *a = list; a; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t len = sizeof sys;
        if (fd < 0) {
            sys = errno;
            continue;
        }
        sys = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
        if (sys == EINPROGRESS && wait_for(fd, POLLOUT, deadline) < 0)
            sys = ETIMEDOUT;
        else if (sys == EINPROGRESS)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len);
        if (sys == 0) {
            freeaddrinfo(list);
            *ret_fd = fd;
            return 0;
        }
        close(fd);
    }
    freeaddrinfo(list);
    return err_set(e, sys == ETIMEDOUT ? RAIA_ERR_TIMEOUT : RAIA_ERR_UNAVAILABLE,
                   "connect to %s port %s: %s", host, port, strerror(sys));
}

/* The value of a header in a NUL-terminated head of lines ended by \r\n. */
static bool header_is(const char *head, const char *name, const char *want)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        line += n + 1;
        line += strspn(line, " \t");
        return strncmp(line, want, strlen(want)) == 0 && strcspn(line, "\r") == strlen(want);
    }
    return false;
}

/* Reads the answer's head; what follows it stays in c->buf. */
static int read_head(struct ws_client *c, char head[HANDSHAKE_MAX], uint64_t deadline,
                     struct raia_error *e)
{
    size_t len = 0;
    for (;;) {
        int r = wait_for(c->fd, POLLIN, deadline);
        if (r < 0)
            return err_set(e, -r, "the server did not answer the WebSocket handshake");
        ssize_t n = recv(c->fd, head + len, HANDSHAKE_MAX - 1 - len, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return err_set(e, RAIA_ERR_UNAVAILABLE,
                           "the server closed the connection in the WebSocket handshake");
        len += (size_t)n;
        head[len] = '\0';
        char *end = strstr(head, "\r\n\r\n");
        if (end) {
            size_t rest = len - (size_t)(end + 4 - head);
            if (rest > sizeof c->buf)
                return err_set(e, RAIA_ERR_PROTOCOL, "malformed WebSocket handshake");
            memcpy(c->buf, end + 4, rest);
            c->at = c->buf;
            c->len = rest;
            end[2] = '\0';
            return 0;
        }
        if (len == HANDSHAKE_MAX - 1)
            return err_set(e, RAIA_ERR_LIMIT, "the WebSocket handshake's answer is too large");
    }
}

static int handshake(struct ws_client *c, const char *host, const char *port, const char *path,
                     const char *bearer, uint64_t deadline, struct raia_error *e)
{
    uint8_t raw[16];
    char accept[29], head[HANDSHAKE_MAX];
    _cleanup_(mem_freep) char *key =
        crypto_random(raw, sizeof raw) == 0 ? crypto_base64_encode(raw, sizeof raw) : NULL;
    bool v6 = strchr(host, ':') != NULL;
    _cleanup_(mem_freep) char *text =
        key ? mem_printf("GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: %s\r\n%s%s%s\r\n",
                         path, v6 ? "[" : "", host, v6 ? "]" : "", port, key,
                         bearer ? "Authorization: Bearer " : "", bearer ? bearer : "",
                         bearer ? "\r\n" : "")
            : NULL;
    if (!text || ws_accept_key(key, accept) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a WebSocket");
    if (bearer && strpbrk(bearer, "\r\n"))
        return err_set(e, RAIA_ERR_INVALID, "a token must not have line breaks");
    int r = send_all(c->fd, text, strlen(text), deadline);
    if (r < 0)
        return err_set(e, -r, "send the WebSocket handshake");
    r = read_head(c, head, deadline, e);
    if (r < 0)
        return r;
    int status = strncmp(head, "HTTP/1.1 ", 9) == 0 ? (int)strtol(head + 9, NULL, 10) : 0;
    if (status != 101) {
        int code = http_status_code(status);
        return err_set(e, code ? code : RAIA_ERR_PROTOCOL,
                       "the server refused the WebSocket: HTTP status %d", status);
    }
    if (!header_is(head, "Sec-WebSocket-Accept", accept))
        return err_set(e, RAIA_ERR_PROTOCOL, "the server's WebSocket handshake is wrong");
    return 0;
}

int ws_connect(const char *url, const char *bearer, int timeout_ms, struct ws_client **ret_client,
               struct raia_error *e)
{
    char host[256], port[8];
    const char *path = "/";
    uint64_t deadline = http_now_ms__() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    int r = split(url, host, port, &path, e);
    if (r < 0)
        return r;
    _cleanup_(ws_freep) struct ws_client *c = mem_new(struct ws_client);
    if (!c)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a WebSocket");
    c->fd = -1;
    c->closed = true; /* nothing to say until the handshake is done */
    ws_reader_init(&c->reader, false, MESSAGE_MAX);
    r = connect_to(host, port, deadline, &c->fd, e);
    if (r == 0)
        r = handshake(c, host, port, path, bearer, deadline, e);
    if (r < 0)
        return r;
    c->closed = false;
    *ret_client = STEAL(c);
    return 0;
}

static int send_frame(struct ws_client *c, enum ws_op op, const char *data, size_t len,
                      uint64_t deadline)
{
    uint8_t mask[4];
    char *frame = mem_alloc(WS_HEAD_MAX + len);
    if (!frame || crypto_random(mask, sizeof mask) < 0) {
        mem_free(frame);
        return -RAIA_ERR_NOMEM;
    }
    size_t n = ws_frame_head((uint8_t *)frame, op, len, mask);
    if (len)
        memcpy(frame + n, data, len);
    ws_frame_mask(frame + n, len, mask);
    int r = send_all(c->fd, frame, n + len, deadline);
    mem_free(frame);
    return r;
}

int ws_send(struct ws_client *c, const char *text, size_t len, int timeout_ms, struct raia_error *e)
{
    int r = send_frame(c, WS_TEXT, text, len, http_now_ms__() + (uint64_t)timeout_ms);
    return r < 0 ? err_set(e, -r, "send on a WebSocket: %s", raia_strerror(r)) : 0;
}

/* Answers control frames. 1: a data message; 0: go on; negative: the end. */
static int on_frame(struct ws_client *c, const struct ws_message *m, struct raia_error *e)
{
    uint64_t soon = http_now_ms__() + 1000;
    if (m->op == WS_PING) {
        int r = send_frame(c, WS_PONG, m->data, m->len, soon);
        return r < 0 ? err_set(e, RAIA_ERR_UNAVAILABLE, "the WebSocket broke off") : 0;
    }
    if (m->op != WS_CLOSE)
        return m->op == WS_TEXT || m->op == WS_BINARY;
    if (!c->closed)
        (void)send_frame(c, WS_CLOSE, "\x03\xe8", 2, soon); /* the peer may be gone: no matter */
    c->closed = true;
    if (m->close_code == 1000 || m->close_code == 1001 || m->close_code == 1005)
        return err_set(e, RAIA_ERR_SHUTDOWN, "the server closed the WebSocket");
    return err_set(e, RAIA_ERR_UNAVAILABLE, "the server closed the WebSocket: %d %.100s",
                   m->close_code, m->data);
}

int ws_receive(struct ws_client *c, int timeout_ms, const char **ret_data, size_t *ret_len,
               struct raia_error *e)
{
    uint64_t deadline = http_now_ms__() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    for (;;) {
        struct ws_message m;
        int r = ws_reader_next(&c->reader, &c->at, &c->len, &m);
        if (r < 0)
            return err_set(e, -r, "malformed or too large WebSocket message");
        if (r > 0) {
            r = on_frame(c, &m, e);
            if (r > 0) {
                *ret_data = m.data;
                *ret_len = m.len;
                return 0;
            }
            if (r < 0)
                return r;
            continue;
        }
        ssize_t n = recv(c->fd, c->buf, sizeof c->buf, 0);
        if (n > 0) {
            c->at = c->buf;
            c->len = (size_t)n;
            continue;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return err_set(e, RAIA_ERR_UNAVAILABLE, "the WebSocket broke off");
        r = wait_for(c->fd, POLLIN, deadline);
        if (r < 0)
            return err_set(e, -r, "no message on the WebSocket in %d ms", timeout_ms);
    }
}

int ws_fd(const struct ws_client *c)
{
    return c->fd;
}

void ws_free(struct ws_client *c)
{
    if (!c)
        return;
    if (c->fd >= 0 && !c->closed) /* tells the server, if there is room at once */
        (void)send_frame(c, WS_CLOSE, "\x03\xe8", 2, 0);
    ws_reader_done(&c->reader);
    fd_closep(&c->fd);
    mem_free(c);
}

void ws_freep(void *p)
{
    ws_free(*(struct ws_client **)p);
}
