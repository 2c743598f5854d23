/*
 * The server's WebSocket connections: handshake, queue, pings, close.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http_server_impl.h"

#define MESSAGE_MAX  (64 << 10) /* from a client */
#define CONTROL_ROOM 256        /* queued beyond max_ws_queue: control frames */
#define CLOSE_MS     5000
#define READ_BYTES   4096

static void mark_dead(struct http_ws *ws, int code)
{
    if (ws->dead)
        return;
    ws->dead = true;
    ws->close_code = ws->close_code ? ws->close_code : code;
    http_server_wake__(ws->s, 0);
}

/* A send was refused, and now there is room again. */
static bool has_room(const struct http_ws *ws)
{
    return ws->full && ws->fd >= 0 && !ws->dead && !ws->closing &&
           ws->out_len - ws->out_at <= ws->s->opt.max_ws_queue / 2;
}

static void flush(struct http_ws *ws)
{
    if (ws->fd < 0 || ws->dead)
        return;
    while (ws->out_at < ws->out_len) {
        ssize_t n = send(ws->fd, ws->out + ws->out_at, ws->out_len - ws->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            mark_dead(ws, 1006);
            return;
        }
        ws->out_at += (size_t)n;
    }
    if (ws->out_at == ws->out_len)
        ws->out_at = ws->out_len = 0;
    if (has_room(ws)) /* on_room is called from the end of a step, whoever flushed */
        http_server_wake__(ws->s, 0);
    struct epoll_event ev = {.events = EPOLLIN | (ws->out_len ? EPOLLOUT : 0u), .data.ptr = ws};
    epoll_ctl(ws->s->epoll_fd, EPOLL_CTL_MOD, ws->fd, &ev);
}

static int queue(struct http_ws *ws, enum ws_op op, const char *data, size_t len, size_t room)
{
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_frame_head(head, op, len, NULL), used = ws->out_len - ws->out_at;
    if (len > room || used + n > room - len)
        return -RAIA_ERR_LIMIT;
    if (ws->out_at > 0 && ws->out_len + n + len > ws->out_cap) {
        memmove(ws->out, ws->out + ws->out_at, used);
        ws->out_at = 0;
        ws->out_len = used;
    }
    if (used + n + len > ws->out_cap) {
        size_t cap = ws->out_cap ? ws->out_cap * 2 : 1024;
        while (cap < used + n + len)
            cap *= 2;
        char *p = mem_realloc(ws->out, cap);
        if (!p)
            return -RAIA_ERR_NOMEM;
        ws->out = p;
        ws->out_cap = cap;
    }
    memcpy(ws->out + ws->out_len, head, n);
    if (len)
        memcpy(ws->out + ws->out_len + n, data, len);
    ws->out_len += n + len;
    flush(ws);
    return 0;
}

static int queue_control(struct http_ws *ws, enum ws_op op, const char *data, size_t len)
{
    return queue(ws, op, data, len, ws->s->opt.max_ws_queue + CONTROL_ROOM);
}

int http_ws_send(struct http_ws *ws, const char *text, size_t len)
{
    if (ws->closing || ws->dead)
        return -RAIA_ERR_SHUTDOWN;
    int r = queue(ws, WS_TEXT, text, len, ws->s->opt.max_ws_queue);
    ws->full = ws->full || r == -RAIA_ERR_LIMIT;
    return r;
}

size_t http_ws_queued(const struct http_ws *ws)
{
    return ws->out_len - ws->out_at;
}

void http_ws_close(struct http_ws *ws, int code, const char *reason)
{
    char data[125];
    if (ws->closing || ws->dead)
        return;
    size_t len = reason ? strnlen(reason, sizeof data - 2) : 0;
    data[0] = (char)(code >> 8);
    data[1] = (char)code;
    if (len)
        memcpy(data + 2, reason, len);
    ws->closing = true;
    ws->close_code = code;
    ws->close_by_ms = http_now_ms__() + CLOSE_MS;
    http_server_wake__(ws->s, CLOSE_MS);
    if (queue_control(ws, WS_CLOSE, data, len + 2) < 0)
        mark_dead(ws, code);
}

static void on_message(struct http_ws *ws, const struct ws_message *m)
{
    switch (m->op) {
    case WS_PING:
        if (!ws->closing && queue_control(ws, WS_PONG, m->data, m->len) < 0)
            mark_dead(ws, 1006); /* it pings faster than it reads */
        return;
    case WS_PONG:
        ws->pings = 0;
        return;
    case WS_CLOSE:
        http_ws_close(ws, m->close_code == 1005 ? 1000 : m->close_code, NULL);
        mark_dead(ws, m->close_code);
        return;
    default:
        if (!ws->closing && ws->events->on_message)
            ws->events->on_message(ws, m->data, m->len, ws->arg);
        return;
    }
}

static void feed(struct http_ws *ws, const char *data, size_t len)
{
    struct ws_message m;
    int r = 0;
    while (!ws->dead && (r = ws_reader_next(&ws->reader, &data, &len, &m)) > 0)
        on_message(ws, &m);
    if (r < 0) {
        http_ws_close(ws, ws_reader_close_code(&ws->reader), NULL);
        mark_dead(ws, ws_reader_close_code(&ws->reader));
    }
}

void http_ws_ready__(struct http_ws *ws, uint32_t events)
{
    char buf[READ_BYTES];
    if (ws->dead)
        return;
    if (events & EPOLLOUT)
        flush(ws);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || ws->dead)
        return;
    ssize_t n = recv(ws->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0)
        feed(ws, buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        mark_dead(ws, 1006);
}

uint64_t http_ws_tend__(struct http_server *s, uint64_t now)
{
    uint64_t due = UINT64_MAX;
    for (struct http_ws *ws = s->sockets, *next; ws; ws = next) {
        next = ws->next;
        if (has_room(ws)) {
            ws->full = false;
            if (ws->events->on_room)
                ws->events->on_room(ws, ws->arg);
        }
        bool drained = ws->closing && ws->fd >= 0 && http_ws_queued(ws) == 0;
        if (drained) /* the peer sees the close frame, then the end */
            shutdown(ws->fd, SHUT_WR);
        if (ws->closing && ws->close_by_ms <= now)
            ws->dead = true;
        if (!ws->dead && !ws->closing && ws->fd >= 0 && ws->next_ping_ms <= now) {
            ws->next_ping_ms = now + (uint64_t)s->opt.ws_ping_ms;
            if (ws->pings++ >= 2 || queue_control(ws, WS_PING, NULL, 0) < 0) {
                s->stats.ws_dropped++;
                mark_dead(ws, 1006);
            }
        }
        if (ws->dead) {
            http_ws_gone__(ws, ws->close_code);
            continue;
        }
        uint64_t t = ws->closing ? ws->close_by_ms : ws->fd >= 0 ? ws->next_ping_ms : UINT64_MAX;
        due = t < due ? t : due;
    }
    return due;
}

/* Out of everything, and told to its owner. */
void http_ws_gone__(struct http_ws *ws, int code)
{
    struct http_server *s = ws->s;
    *(ws->prev ? &ws->prev->next : &s->sockets) = ws->next;
    if (ws->next)
        ws->next->prev = ws->prev;
    s->stats.ws_now--;
    if (ws->x)
        ws->x->ws = NULL;
    if (ws->fd >= 0) {
        if (!ws->closing)
            http_ws_close(ws, code == 1006 || code == 1005 ? 1000 : code, NULL);
        epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, ws->fd, NULL);
        MHD_upgrade_action(ws->urh, MHD_UPGRADE_ACTION_CLOSE);
    }
    ws->dead = true; /* sends from on_close fail */
    if (ws->events->on_close)
        ws->events->on_close(ws, code, ws->arg);
    ws_reader_done(&ws->reader);
    mem_free(ws->out);
    mem_free(ws);
}

static void on_upgrade(void *cls, struct MHD_Connection *conn, void *state, const char *extra,
                       size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
    struct http_exchange *x = state;
    struct http_ws *ws = x ? x->ws : NULL;
    (void)cls, (void)conn;
    if (!ws) { /* its owner's server is being freed */
        MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
        return;
    }
    x->ws = NULL;
    ws->x = NULL;
    ws->urh = urh;
    ws->fd = fd;
    ws->next_ping_ms = http_now_ms__() + (uint64_t)ws->s->opt.ws_ping_ms;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = ws};
    if (epoll_ctl(ws->s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        mark_dead(ws, 1011);
        return;
    }
    flush(ws);
    feed(ws, extra, extra_len);
}

/* Is `word` one of the comma-separated words of a header. */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    while (list && *list) {
        list += strspn(list, ", \t");
        size_t n = strcspn(list, ", \t");
        if (n == len && strncasecmp(list, word, n) == 0)
            return true;
        list += n;
    }
    return false;
}

struct http_ws *http_ws_accept(struct http_exchange *x, const struct http_ws_events *events,
                               void *arg)
{
    const char *key = http_header_of(x, "Sec-WebSocket-Key");
    const char *version = http_header_of(x, "Sec-WebSocket-Version");
    char accept[29];
    if (!has_word(http_header_of(x, "Connection"), "Upgrade") ||
        !has_word(http_header_of(x, "Upgrade"), "websocket") || !version ||
        strcmp(version, "13") != 0) {
        http_answer_header(x, "Sec-WebSocket-Version", "13");
        http_answer_error(x, 426, "this path speaks WebSocket, version 13");
        return NULL;
    }
    if (!key || ws_accept_key(key, accept) < 0) {
        http_answer_error(x, 400, "malformed Sec-WebSocket-Key");
        return NULL;
    }
    struct http_ws *ws = x->late || !x->conn ? NULL : mem_new(struct http_ws);
    struct MHD_Response *r = ws ? MHD_create_response_for_upgrade(on_upgrade, NULL) : NULL;
    if (!r || MHD_add_response_header(r, "Upgrade", "websocket") != MHD_YES ||
        MHD_add_response_header(r, "Sec-WebSocket-Accept", accept) != MHD_YES) {
        if (r)
            MHD_destroy_response(r);
        mem_free(ws);
        http_exchange_finish__(x, 503, NULL);
        return NULL;
    }
    struct http_server *s = x->s;
    *ws = (struct http_ws){.s = s, .x = x, .events = events, .arg = arg, .fd = -1};
    ws_reader_init(&ws->reader, true, MESSAGE_MAX);
    ws->next = s->sockets;
    if (s->sockets)
        s->sockets->prev = ws;
    s->sockets = ws;
    s->stats.ws_now++;
    x->ws = ws;
    http_exchange_finish__(x, 101, r);
    return ws;
}
