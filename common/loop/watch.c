/*
 * Descriptor and signal watchers. The library closes its handles in its own time, so that a freed
 * watcher lives on, silent, until the close callback frees it.
 */
#include "loop/loop_impl.h"

#include "base/err.h"
#include "base/mem.h"

struct loop_fd {
    uv_poll_t uv;    /* the handle; its data points here */
    struct loop *l;  /* where it lives */
    loop_fd_fn fn;   /* the owner's callback */
    void *arg;       /* for fn */
    int fd;          /* what is watched, the owner's */
    unsigned events; /* what is asked for; 0: paused */
};

struct loop_signal {
    uv_signal_t uv;    /* the handle; its data points here */
    struct loop *l;    /* where it lives */
    loop_signal_fn fn; /* the owner's callback */
    void *arg;         /* for fn */
};

static void on_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

static void on_poll(uv_poll_t *h, int status, int ev)
{
    struct loop_fd *w = h->data;
    unsigned events = ((ev & UV_READABLE) ? LOOP_READ : 0) | ((ev & UV_WRITABLE) ? LOOP_WRITE : 0) |
                      ((ev & UV_DISCONNECT) ? LOOP_HANGUP : 0);
    if (status < 0)
        events = w->events;
    w->l->ran++;
    w->fn(w->arg, w->fd, events);
}

int loop_fd_set(struct loop_fd *w, unsigned events)
{
    int ev = ((events & LOOP_READ) ? UV_READABLE : 0) | ((events & LOOP_WRITE) ? UV_WRITABLE : 0) |
             ((events & LOOP_HANGUP) ? UV_DISCONNECT : 0);
    w->events = events;
    int r = ev ? uv_poll_start(&w->uv, ev, on_poll) : uv_poll_stop(&w->uv);
    return r < 0 ? -err_from_errno(-r) : 0;
}

int loop_fd_new(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *arg,
                struct loop_fd **ret_w, struct raia_error *e)
{
    struct loop_fd *w = mem_new(struct loop_fd);
    if (!w)
        return err_set(e, RAIA_ERR_NOMEM, "event loop: out of memory for a descriptor watcher");
    int r = uv_poll_init(&l->uv, &w->uv, fd);
    if (r < 0) {
        mem_free(w);
        return err_errno(e, -r, "event loop: descriptor %d cannot be watched", fd);
    }
    w->uv.data = w;
    w->l = l;
    w->fn = fn;
    w->arg = arg;
    w->fd = fd;
    l->watchers++;
    r = loop_fd_set(w, events);
    if (r < 0) {
        loop_fd_free(w);
        return err_set(e, -r, "event loop: descriptor %d cannot be watched", fd);
    }
    *ret_w = w;
    return 0;
}

void loop_fd_free(struct loop_fd *w)
{
    if (!w)
        return;
    w->l->watchers--;
    uv_close((uv_handle_t *)&w->uv, on_closed);
}

static void on_signal(uv_signal_t *h, int signum)
{
    struct loop_signal *w = h->data;
    w->l->ran++;
    w->fn(w->arg, signum);
}

int loop_signal_new(struct loop *l, int signum, loop_signal_fn fn, void *arg,
                    struct loop_signal **ret_w, struct raia_error *e)
{
    struct loop_signal *w = mem_new(struct loop_signal);
    if (!w)
        return err_set(e, RAIA_ERR_NOMEM, "event loop: out of memory for a signal watcher");
    int r = uv_signal_init(&l->uv, &w->uv);
    if (r < 0) {
        mem_free(w);
        return err_errno(e, -r, "event loop: signal %d cannot be watched", signum);
    }
    w->uv.data = w;
    w->l = l;
    w->fn = fn;
    w->arg = arg;
    l->watchers++;
    r = uv_signal_start(&w->uv, on_signal, signum);
    if (r < 0) {
        loop_signal_free(w);
        return err_errno(e, -r, "event loop: signal %d cannot be watched", signum);
    }
    *ret_w = w;
    return 0;
}

void loop_signal_free(struct loop_signal *w)
{
    if (!w)
        return;
    w->l->watchers--;
    uv_close((uv_handle_t *)&w->uv, on_closed);
}
