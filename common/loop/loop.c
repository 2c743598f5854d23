/*
 * The life of a loop, the queue of posted tasks and the hooks. Timers are in timer.c, descriptors
 * and signals in watch.c, the pool in work.c.
 */
#include "loop/loop_impl.h"

#include <time.h>

#include "base/err.h"
#include "base/mem.h"

uint64_t loop_now_ns(const struct loop *l)
{
    (void)l;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t loop_now_ms(const struct loop *l)
{
    return loop_now_ns(l) / 1000000u;
}

/* Takes the whole queue at once and runs it oldest first; what is posted meanwhile waits its turn.
 */
static void tasks_run(struct loop *l)
{
    struct loop_task *t = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire);
    struct loop_task *first = NULL;
    while (t) {
        struct loop_task *next = t->next;
        t->next = first;
        first = t;
        t = next;
    }
    while (first) {
        t = first;
        first = t->next;
        /* From here on t may be posted again, so its link is no longer ours to read. */
        atomic_exchange_explicit(&t->pending, false, memory_order_acq_rel);
        l->ran++;
        t->fn(t);
    }
}

bool loop_post(struct loop *l, struct loop_task *t)
{
    if (atomic_exchange_explicit(&t->pending, true, memory_order_acq_rel))
        return false;
    struct loop_task *head = atomic_load_explicit(&l->posted, memory_order_relaxed);
    do
        t->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->posted, &head, t, memory_order_release,
                                                  memory_order_relaxed));
    /* Only who finds the queue empty wakes the owner, which takes all of it. */
    if (!head)
        uv_async_send(&l->wake);
    return true;
}

static void on_wake(uv_async_t *h)
{
    struct loop *l = h->data;
    tasks_run(l);
    if (atomic_load(&l->stop))
        uv_stop(&l->uv);
}

static void on_timer(uv_timer_t *h)
{
    loop_timers_run(h->data);
}

static void hooks_run(struct loop *l)
{
    struct loop_hook *first = l->hooks;
    for (struct loop_hook *h = first; h;) {
        struct loop_hook *next = h->next;
        bool last = next == first;
        h->fn(h);
        if (last)
            break;
        if (l->hooks != first) { /* the first one took itself out */
            first = l->hooks;
        }
        h = next;
    }
}

static void on_prepare(uv_prepare_t *p)
{
    struct loop *l = p->data;
    hooks_run(l);
    uint64_t due = loop_timers_next(l);
    if (due == UINT64_MAX) {
        uv_timer_stop(&l->timer);
        return;
    }
    /* The library counts from its own idea of now, which is older than ours. */
    uv_update_time(&l->uv);
    uint64_t now = loop_now_ms(l);
    uv_timer_start(&l->timer, on_timer, due > now ? due - now : 0, 0);
}

void loop_hook_add(struct loop *l, struct loop_hook *h, loop_hook_fn fn)
{
    h->fn = fn;
    if (h->loop)
        return;
    h->loop = l;
    if (!l->hooks) {
        l->hooks = h->next = h->prev = h;
        return;
    }
    h->next = l->hooks;
    h->prev = l->hooks->prev;
    h->prev->next = h;
    h->next->prev = h;
}

void loop_hook_remove(struct loop_hook *h)
{
    struct loop *l = h->loop;
    if (!l)
        return;
    if (h->next == h) {
        l->hooks = NULL;
    } else {
        h->next->prev = h->prev;
        h->prev->next = h->next;
        if (l->hooks == h)
            l->hooks = h->next;
    }
    h->loop = NULL;
}

int loop_new(struct loop **ret_l, struct raia_error *e)
{
    _cleanup_(mem_freep) struct loop *l = mem_new(struct loop);
    if (!l)
        return err_set(e, RAIA_ERR_NOMEM, "event loop: out of memory");
    int r = uv_loop_init(&l->uv);
    if (r < 0)
        return err_errno(e, -r, "event loop: cannot start");
    r = uv_async_init(&l->uv, &l->wake, on_wake);
    if (r < 0) {
        uv_loop_close(&l->uv);
        return err_errno(e, -r, "event loop: cannot make the wake-up descriptor");
    }
    uv_prepare_init(&l->uv, &l->prepare);
    uv_prepare_start(&l->prepare, on_prepare);
    uv_timer_init(&l->uv, &l->timer);
    l->wake.data = l->prepare.data = l->timer.data = l;
    atomic_store(&l->owner, pthread_self());
    *ret_l = STEAL(l);
    return 0;
}

int loop_free(struct loop *l)
{
    if (!l)
        return 0;
    tasks_run(l);
    if (l->timers || l->watchers || l->works || l->hooks || atomic_load(&l->holds) ||
        atomic_load(&l->posted))
        return -RAIA_ERR_STATE;
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0)
        ;
    if (uv_loop_close(&l->uv) < 0)
        return -RAIA_ERR_INTERNAL;
    mem_free(l);
    return 0;
}

int loop_run(struct loop *l)
{
    atomic_store(&l->owner, pthread_self());
    while (!atomic_exchange(&l->stop, false))
        uv_run(&l->uv, UV_RUN_DEFAULT);
    return 0;
}

static void on_waited(struct loop_timer *t)
{
    t->loop = NULL;
}

bool loop_run_once(struct loop *l, uint32_t max_wait_ms)
{
    atomic_store(&l->owner, pthread_self());
    uint64_t ran = l->ran;
    struct loop_timer wait = {0};
    if (max_wait_ms)
        loop_timer_start(l, &wait, max_wait_ms, 0, on_waited);
    uv_run(&l->uv, max_wait_ms ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    ran += max_wait_ms && !loop_timer_active(&wait);
    loop_timer_stop(&wait);
    return l->ran != ran;
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    uv_async_send(&l->wake);
}

bool loop_is_owner(const struct loop *l)
{
    return pthread_equal(atomic_load(&((struct loop *)(uintptr_t)l)->owner), pthread_self());
}

void loop_hold(struct loop *l)
{
    atomic_fetch_add(&l->holds, 1);
}

void loop_release(struct loop *l)
{
    atomic_fetch_sub(&l->holds, 1);
}
