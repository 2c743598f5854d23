/*
 * The socket: clients, their lines, their replies.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/unix.h"
#include "control/control_impl.h"

#define EVENTS_MAX 32

int control_server_new(const char *path, const struct control_options *options,
                       struct control_server **ret_server, struct raia_error *e)
{
    struct control_server *s = mem_new(struct control_server);
    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a control socket");
    s->listen_fd = s->epoll_fd = -1;
    s->started_ns = clock_now_ns();
    s->opt = options ? *options : (struct control_options){0};
    s->opt.max_clients = s->opt.max_clients ? s->opt.max_clients : 16;
    s->opt.max_line = s->opt.max_line ? s->opt.max_line : (size_t)64 << 10;
    s->opt.max_unread = s->opt.max_unread ? s->opt.max_unread : (size_t)4 << 20;
    char *copy = mem_strdup(path);
    int r = copy ? unix_listen(path, SOCK_STREAM, 0600, 16, &s->listen_fd, e)
                 : err_set(e, RAIA_ERR_NOMEM, "out of memory for a control socket");
    if (r < 0) {
        mem_free(copy);
        control_server_free(s);
        return r;
    }
    s->path = copy; /* from here on it is ours to remove */
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev) < 0) {
        r = err_errno(e, errno, "watch the control socket '%s'", path);
        control_server_free(s);
        return r;
    }
    *ret_server = s;
    return 0;
}

static void free_client(struct control_client *c)
{
    close(c->fd);
    mem_free(c->in);
    mem_free(c->out);
    mem_free(c);
}

void control_server_free(struct control_server *s)
{
    if (!s)
        return;
    for (struct control_client *c = s->clients, *next; c; c = next) {
        next = c->next;
        free_client(c);
    }
    for (struct control_command *c = s->commands, *next; c; c = next) {
        next = c->next;
        mem_free(c->name);
        mem_free(c->help);
        mem_free(c);
    }
    fd_closep(&s->listen_fd);
    fd_closep(&s->epoll_fd);
    if (s->path)
        unlink(s->path);
    mem_free(s->path);
    mem_free(s);
}

int control_server_fd(const struct control_server *s)
{
    return s->epoll_fd;
}

/* Stops or starts listening, so that further clients wait in the backlog. */
static void set_full(struct control_server *s, bool full)
{
    struct epoll_event ev = {.events = full ? 0 : EPOLLIN, .data.ptr = s};
    if (s->full != full && epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listen_fd, &ev) == 0)
        s->full = full;
}

static void admit(struct control_server *s)
{
    struct unix_peer peer;
    int fd = -1;
    if (s->full || unix_accept(s->listen_fd, 0, &fd) < 0)
        return;
    struct control_client *c = NULL;
    if (unix_peer(fd, &peer) == 0 && (peer.uid == geteuid() || peer.uid == 0))
        c = mem_new(struct control_client);
    char *in = c ? mem_alloc(s->opt.max_line) : NULL;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (!in || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        mem_free(in);
        mem_free(c);
        close(fd);
        return;
    }
    c->fd = fd;
    c->in = in;
    c->next = s->clients;
    s->clients = c;
    if (++s->n_clients == s->opt.max_clients)
        set_full(s, true);
}

static void send_out(struct control_client *c)
{
    while (c->out_len > 0) {
        ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            c->dead = c->dead || errno != EAGAIN;
            return;
        }
        c->out_len -= (size_t)n;
        memmove(c->out, c->out + n, c->out_len);
    }
}

static void answer(struct control_server *s, struct control_client *c, const char *line, size_t len)
{
    size_t n = 0;
    _cleanup_(mem_freep) char *text = control_answer(s, line, len, &n);
    if (text && c->out_len + n + 1 > c->out_cap) {
        char *p = mem_realloc(c->out, c->out_len + n + 1);
        if (p) {
            c->out = p;
            c->out_cap = c->out_len + n + 1;
        }
    }
    if (!text || c->out_len + n + 1 > c->out_cap) {
        c->dead = true; /* out of memory: the client sees the end */
        return;
    }
    memcpy(c->out + c->out_len, text, n);
    c->out_len += n;
    c->out[c->out_len++] = '\n';
}

/* Answers the whole lines that are there, while the client reads what it gets. */
static void answer_lines(struct control_server *s, struct control_client *c)
{
    size_t at = 0;
    while (!c->dead && c->out_len < s->opt.max_unread) {
        char *end = memchr(c->in + at, '\n', c->in_len - at);
        if (!end)
            break;
        answer(s, c, c->in + at, (size_t)(end - c->in) - at);
        at = (size_t)(end - c->in) + 1;
        send_out(c);
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
    if (c->in_len == s->opt.max_line && !memchr(c->in, '\n', c->in_len))
        c->dead = true; /* a line without end */
}

static void serve(struct control_server *s, struct control_client *c)
{
    send_out(c);
    answer_lines(s, c); /* those that waited for room */
    size_t room = s->opt.max_line - c->in_len;
    if (!c->dead && !c->eof && room > 0 && c->out_len < s->opt.max_unread) {
        ssize_t n = recv(c->fd, c->in + c->in_len, room, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            c->dead = true;
        c->eof = n == 0;
        c->in_len += n > 0 ? (size_t)n : 0;
        answer_lines(s, c);
    }
    if (c->eof && c->out_len == 0 && !memchr(c->in, '\n', c->in_len))
        c->dead = true; /* all is answered and sent */
    bool read = !c->eof && c->out_len < s->opt.max_unread;
    struct epoll_event ev = {.events = (read ? EPOLLIN : 0u) | (c->out_len ? EPOLLOUT : 0u),
                             .data.ptr = c};
    epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

void control_server_step(struct control_server *s)
{
    struct epoll_event ev[EVENTS_MAX];
    int n = epoll_wait(s->epoll_fd, ev, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.ptr == s)
            admit(s);
        else
            serve(s, ev[i].data.ptr);
    }
    for (struct control_client **at = &s->clients; *at;) {
        struct control_client *c = *at;
        if (!c->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free_client(c);
        s->n_clients--;
        set_full(s, false);
    }
}
