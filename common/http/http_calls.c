/*
 * The event-driven client: libcurl's multi interface behind one epoll descriptor, which holds its
 * sockets and a timer descriptor.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/http_transfer.h"

#define EVENTS_MAX 32
#define ROUNDS_MAX 16 /* of what libcurl wants at once, before others of the loop have their turn */

struct http_client {
    CURLM *multi;             /* libcurl's */
    int epoll_fd;             /* all of the below, and its sockets */
    int timer_fd;             /* when libcurl wants to be called, or before */
    int64_t due;              /* ns: when it wants to; 0: not */
    int64_t armed;            /* ns: for when timer_fd is set; 0: it is not */
    bool stepping;            /* http_client_step looks at `due` before it returns */
    bool flushed;             /* its owner calls http_client_flush before it sleeps */
    int wake_fd;              /* eventfd: a cancelled call is due */
    unsigned max_calls;       /* most in flight */
    unsigned n_calls;         /* in flight */
    struct http_call **calls; /* max_calls slots; NULL: free */
    bool any_canceled;        /* a slot's transfer has failure -CANCELED */
    bool any_new;             /* a slot's transfer is not with libcurl yet */
    bool broken;              /* libcurl's is of no use any more */
    bool closing;             /* refuses calls */
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct http_client *c = arg;
    struct epoll_event ev = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        curl_multi_assign(c->multi, fd, NULL);
        return 0;
    }
    ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 &&
        epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev) < 0)
        return -1;
    curl_multi_assign(c->multi, fd, c);
    return 0;
}

/* libcurl changes its mind several times for each request: the descriptor is only set for what is
 * earlier, and looks again when it fires too soon. */
static int arm(struct http_client *c)
{
    if (!c->due || (c->armed && c->armed <= c->due))
        return 0;
    struct itimerspec t = {
        .it_value = {.tv_sec = c->due / CLOCK_NS_PER_S, .tv_nsec = c->due % CLOCK_NS_PER_S}};
    c->armed = c->due;
    return timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct http_client *c = arg;
    (void)multi;
    c->due = ms < 0 ? 0 : clock_now_ns() + ms * CLOCK_NS_PER_MS;
    return c->stepping || c->flushed ? 0 : arm(c);
}

static void wake(struct http_client *c)
{
    uint64_t one = 1;
    (void)!write(c->wake_fd, &one, sizeof one);
}

static void act(struct http_client *c, int fd, int what)
{
    int running = 0;
    if (c->broken || curl_multi_socket_action(c->multi, fd, what, &running) == CURLM_OK)
        return;
    c->broken = true;
    wake(c);
}

/* Calls libcurl if it wants to be; false: it does not yet. */
static bool on_time(struct http_client *c)
{
    if (!c->due || c->due > clock_now_ns())
        return false;
    c->due = 0;
    act(c, CURL_SOCKET_TIMEOUT, 0);
    return true;
}

static bool watch(struct http_client *c, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    return fd >= 0 && epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static CURLM *multi_new(struct http_client *c)
{
    CURLM *m = http_curl_ready__() == 0 ? curl_multi_init() : NULL;
    if (m && (curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) ||
              curl_multi_setopt(m, CURLMOPT_SOCKETDATA, c) ||
              curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer) ||
              curl_multi_setopt(m, CURLMOPT_TIMERDATA, c))) {
        curl_multi_cleanup(m);
        m = NULL;
    }
    return m;
}

/*
 * Without memory for a socket's entry libcurl 7.88 forgets who waits for that socket, does not say
 * whose call it was, and divides by zero when the entry is used again. So all of its calls fail, its
 * connections go, and the next calls have a new one.
 */
static void renew(struct http_client *c)
{
    for (unsigned i = 0; i < c->max_calls; i++) {
        struct http_transfer *t = c->calls[i] ? c->calls[i]->impl : NULL;
        if (!t || t->is_new)
            continue;
        curl_multi_remove_handle(c->multi, t->easy);
        t->failure = t->failure ? t->failure : -RAIA_ERR_NOMEM;
        t->lost = c->any_canceled = true;
    }
    curl_multi_cleanup(c->multi);
    c->due = 0;
    c->multi = multi_new(c);
    c->broken = !c->multi;
}

int http_client_new(unsigned max_calls, struct http_client **ret_client, struct raia_error *e)
{
    struct http_client *c = mem_new(struct http_client);
    if (!c)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an HTTP client");
    c->max_calls = max_calls ? max_calls : 64;
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->calls = mem_calloc(c->max_calls, sizeof(struct http_call *));
    c->multi = multi_new(c);
    int sys = errno;
    if (!watch(c, c->timer_fd) || !watch(c, c->wake_fd) || !c->multi || !c->calls) {
        bool nomem = !c->calls || !c->multi;
        http_client_free(c);
        return nomem ? err_set(e, RAIA_ERR_NOMEM, "out of memory for an HTTP client")
                     : err_errno(e, sys, "make an HTTP client");
    }
    *ret_client = c;
    return 0;
}

int http_client_fd(const struct http_client *c)
{
    return c->epoll_fd;
}

/* Takes a call out of flight and tells its owner. */
static void finish(struct http_client *c, struct http_call *call, CURLcode code)
{
    _cleanup_(http_transfer_freep__) struct http_transfer *t = call->impl;
    struct raia_error e = {0};
    (void)http_transfer_end__(t, code, &e);
    curl_multi_remove_handle(c->multi, t->easy);
    for (unsigned i = 0; i < c->max_calls; i++)
        if (c->calls[i] == call)
            c->calls[i] = NULL;
    c->n_calls--;
    call->impl = NULL;
    call->client = NULL;
    call->done(call, &t->reply, &e, call->arg);
}

/* Calls that were started from inside libcurl (from an on_body), which takes no others there. */
static void begin_new(struct http_client *c)
{
    if (!c->any_new)
        return;
    c->any_new = false;
    for (unsigned i = 0; i < c->max_calls; i++) {
        struct http_transfer *t = c->calls[i] ? c->calls[i]->impl : NULL;
        if (!t || !t->is_new)
            continue;
        t->is_new = false;
        if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK) {
            t->failure = -RAIA_ERR_NOMEM;
            c->any_canceled = true;
        }
    }
}

static void finish_canceled(struct http_client *c)
{
    if (!c->any_canceled)
        return;
    c->any_canceled = false;
    for (unsigned i = 0; i < c->max_calls; i++) {
        struct http_transfer *t = c->calls[i] ? c->calls[i]->impl : NULL;
        if (t && (t->lost || t->failure == -RAIA_ERR_CANCELED || t->failure == -RAIA_ERR_NOMEM))
            finish(c, c->calls[i], CURLE_OK);
    }
}

/* What libcurl has done with. */
static void finish_done(struct http_client *c)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
        struct http_transfer *t = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        for (unsigned i = 0; t && i < c->max_calls; i++) {
            if (c->calls[i] && c->calls[i]->impl == t) {
                finish(c, c->calls[i], code);
                break;
            }
        }
    }
}

/* What is due, and what comes of it; then the descriptor's timer for what comes later. */
static void settle(struct http_client *c)
{
    int rounds = 0;
    c->stepping = true;
    do {
        if (c->broken)
            renew(c);
        begin_new(c);
        finish_canceled(c);
        finish_done(c);
    } while (rounds++ < ROUNDS_MAX && on_time(c));
    c->stepping = false;
    (void)arm(c);
}

void http_client_flush(struct http_client *c)
{
    c->flushed = true;
    if (c->broken || c->any_new || c->any_canceled || (c->due && c->due <= clock_now_ns())) {
        http_curl_begin__();
        settle(c);
    } else {
        (void)arm(c);
    }
}

void http_client_step(struct http_client *c)
{
    struct epoll_event ev[EVENTS_MAX];
    c->stepping = true;
    http_curl_begin__();
    int n = epoll_wait(c->epoll_fd, ev, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        uint64_t times;
        if (ev[i].data.fd == c->wake_fd) {
            (void)!read(c->wake_fd, &times, sizeof times);
            continue;
        }
        if (ev[i].data.fd == c->timer_fd) {
            (void)!read(c->timer_fd, &times, sizeof times);
            c->armed = 0;
            continue;
        }
        int what = (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        act(c, ev[i].data.fd, what);
    }
    settle(c);
}

int http_client_start(struct http_client *c, struct http_call *call, const struct http_request *rq,
                      http_done_fn done, void *arg, struct raia_error *e)
{
    if (c->closing)
        return err_set(e, RAIA_ERR_SHUTDOWN, "the HTTP client is being shut down");
    if (c->n_calls == c->max_calls)
        return err_set(e, RAIA_ERR_LIMIT, "%u HTTP requests are in flight", c->n_calls);
    struct http_transfer *t = NULL;
    int r = http_transfer_new__(rq, &t, e);
    if (r < 0)
        return r;
    if (!c->multi && (c->multi = multi_new(c)))
        c->broken = false;
    CURLMcode added = curl_multi_add_handle(c->multi, t->easy);
    if (added == CURLM_RECURSIVE_API_CALL) {
        t->is_new = c->any_new = true;
        wake(c);
    } else if (added != CURLM_OK) {
        http_transfer_free__(t);
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an HTTP request");
    }
    *call = (struct http_call){.client = c, .impl = t, .done = done, .arg = arg};
    for (unsigned i = 0; i < c->max_calls; i++) {
        if (!c->calls[i]) {
            c->calls[i] = call;
            break;
        }
    }
    c->n_calls++;
    return 0;
}

void http_client_cancel(struct http_call *call)
{
    struct http_transfer *t = call->impl;
    if (!t)
        return;
    t->failure = -RAIA_ERR_CANCELED;
    call->client->any_canceled = true;
    wake(call->client);
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    c->closing = true;
    for (unsigned i = 0; c->calls && i < c->max_calls; i++) {
        if (!c->calls[i])
            continue;
        ((struct http_transfer *)c->calls[i]->impl)->failure = -RAIA_ERR_CANCELED;
        finish(c, c->calls[i], CURLE_OK);
    }
    curl_multi_cleanup(c->multi);
    fd_closep(&c->epoll_fd);
    fd_closep(&c->timer_fd);
    fd_closep(&c->wake_fd);
    mem_free(c->calls);
    mem_free(c);
}
