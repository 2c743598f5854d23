/*
 * The work queue: a list of keys that are ready, and a heap of those that wait for their time.
 */
#include "kube/workqueue.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/timers.h"
#include "kube/plants.h"

struct item {
    HASH_HANDLE hh;     /* by key */
    struct list link;   /* in ready */
    struct timer later; /* set: to be added then */
    unsigned failures;  /* since it was forgotten */
    bool running;       /* given out, not done */
    bool again;         /* added while it was running */
    char key[];         /* what it is */
};

struct kube_queue {
    struct kube_queue_options o; /* with the defaults in */
    struct item *items;          /* all that are known */
    struct list ready;           /* to be given out, in order */
    struct timers later;         /* those that wait */
    size_t n_ready;              /* of them */
    size_t n_running;            /* given out */
    size_t n_later;              /* timers set */
    double tokens;               /* that may be given out now */
    int64_t filled;              /* when tokens was right */
};

int kube_queue_new(const struct kube_queue_options *options, struct kube_queue **ret_q)
{
    struct kube_queue *q = mem_new(struct kube_queue);
    if (!q)
        return -RAIA_ERR_NOMEM;
    if (options)
        q->o = *options;
    q->o.base_ns = q->o.base_ns ? q->o.base_ns : 5 * CLOCK_NS_PER_MS;
    q->o.max_ns = q->o.max_ns ? q->o.max_ns : 300 * CLOCK_NS_PER_S;
    q->o.max_keys = q->o.max_keys ? q->o.max_keys : 200000;
    q->o.burst = q->o.burst > 0 ? q->o.burst : q->o.rate;
    if (q->o.burst < 1)
        q->o.burst = 1;
    q->tokens = q->o.burst;
    list_init(&q->ready);
    timers_init(&q->later);
    *ret_q = q;
    return 0;
}

void kube_queue_free(struct kube_queue *q)
{
    if (!q)
        return;
    struct item *i, *next;
    timers_fini(&q->later); /* first: it touches the items that it holds */
    HASH_FOREACH (q->items, i, next) {
        HASH_DEL(q->items, i);
        mem_free(i);
    }
    mem_free(q);
}

static struct item *find(const struct kube_queue *q, const char *key)
{
    struct item *items = q->items;
    return HASH_GET_STR(items, key);
}

static int need(struct kube_queue *q, const char *key, struct item **ret_i)
{
    struct item *i = find(q, key);
    if (!i) {
        if (HASH_SIZE(q->items) >= q->o.max_keys)
            return -RAIA_ERR_LIMIT;
        size_t n = strlen(key) + 1;
        i = mem_zalloc(sizeof *i + n);
        if (!i)
            return -RAIA_ERR_NOMEM;
        memcpy(i->key, key, n);
        /* Room for its timer: setting it cannot fail then. */
        if (timers_reserve(&q->later, HASH_SIZE(q->items) + 1) < 0 ||
            HASH_PUT_STR(q->items, key, i) < 0) {
            mem_free(i);
            return -RAIA_ERR_NOMEM;
        }
    }
    *ret_i = i;
    return 0;
}

/* One of which nothing is known any more goes. */
static void drop_if_idle(struct kube_queue *q, struct item *i)
{
    if (i->running || i->failures || list_linked(&i->link) || timer_is_set(&i->later))
        return;
    HASH_DEL(q->items, i);
    mem_free(i);
}

static void stop_later(struct kube_queue *q, struct item *i)
{
    if (timer_is_set(&i->later)) {
        timers_cancel(&q->later, &i->later);
        q->n_later--;
    }
}

static void make_ready(struct kube_queue *q, struct item *i)
{
    stop_later(q, i);
    if (i->running) {
        i->again = !KUBE_PLANTED(KUBE_PLANT_LOST_KEY);
    } else if (!list_linked(&i->link)) {
        list_add_tail(&q->ready, &i->link);
        q->n_ready++;
    }
}

int kube_queue_add(struct kube_queue *q, const char *key, int64_t now)
{
    struct item *i;
    (void)now;
    int r = need(q, key, &i);
    if (r == 0)
        make_ready(q, i);
    return r;
}

int kube_queue_add_at(struct kube_queue *q, const char *key, int64_t due, int64_t now)
{
    struct item *i;
    int r = need(q, key, &i);
    if (r < 0)
        return r;
    if (due <= now) {
        make_ready(q, i);
    } else if (list_linked(&i->link) || i->again) {
        return 0; /* sooner than that */
    } else if (!timer_is_set(&i->later) || i->later.due > due) {
        q->n_later += !timer_is_set(&i->later);
        (void)timers_set(&q->later, &i->later, due); /* room was reserved */
    }
    return 0;
}

int kube_queue_retry(struct kube_queue *q, const char *key, int64_t now)
{
    struct item *i;
    int r = need(q, key, &i);
    if (r < 0)
        return r;
    int64_t wait = q->o.base_ns;
    for (unsigned n = 0; n < i->failures && wait < q->o.max_ns; n++)
        wait *= 2;
    i->failures++;
    return kube_queue_add_at(q, key, now + (wait < q->o.max_ns ? wait : q->o.max_ns), now);
}

static void refill(struct kube_queue *q, int64_t now)
{
    if (now > q->filled) {
        q->tokens += (double)(now - q->filled) / 1e9 * q->o.rate;
        if (q->tokens > q->o.burst)
            q->tokens = q->o.burst;
    }
    q->filled = now;
}

const char *kube_queue_get(struct kube_queue *q, int64_t now)
{
    for (struct timer *t; (t = timers_pop(&q->later, now));) {
        q->n_later--;
        make_ready(q, container_of(t, struct item, later));
    }
    refill(q, now);
    if (list_empty(&q->ready) || (q->o.parallel && q->n_running >= q->o.parallel) ||
        (q->o.rate > 0 && q->tokens < 1))
        return NULL;
    struct item *i = container_of(list_pop(&q->ready), struct item, link);
    q->tokens -= q->o.rate > 0;
    q->n_ready--;
    q->n_running++;
    i->running = true;
    i->again = false;
    return i->key;
}

void kube_queue_done(struct kube_queue *q, const char *key, int64_t now)
{
    struct item *i = find(q, key);
    (void)now;
    if (!i || !i->running)
        return;
    i->running = false;
    q->n_running--;
    if (i->again) {
        i->again = false;
        make_ready(q, i);
    }
    drop_if_idle(q, i);
}

void kube_queue_forget(struct kube_queue *q, const char *key)
{
    struct item *i = find(q, key);
    if (i) {
        i->failures = 0;
        drop_if_idle(q, i);
    }
}

unsigned kube_queue_failures(const struct kube_queue *q, const char *key)
{
    const struct item *i = find(q, key);
    return i ? i->failures : 0;
}

int64_t kube_queue_next(const struct kube_queue *q, int64_t now)
{
    int64_t next = timers_next(&q->later);
    if (!list_empty((struct list *)&q->ready) &&
        !(q->o.parallel && q->n_running >= q->o.parallel)) {
        double left = q->o.rate > 0 ? 1 - q->tokens : 0;
        int64_t at = left > 0 ? q->filled + (int64_t)(left / q->o.rate * 1e9) + 1 : now;
        if (at < next)
            next = at;
    }
    return next;
}

size_t kube_queue_ready(const struct kube_queue *q)
{
    return q->n_ready;
}

size_t kube_queue_running(const struct kube_queue *q)
{
    return q->n_running;
}

size_t kube_queue_later(const struct kube_queue *q)
{
    return q->n_later;
}
