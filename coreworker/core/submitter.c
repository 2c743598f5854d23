/*
 * Tasks to workers: queueing, pushing, demand. What happens to leases from outside is in leases.c.
 */
#include "core/submitter.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/submitter_private.h"

int submitter_init(struct submitter *s, const struct submitter_ops *ops, void *ctx)
{
    *s = (struct submitter){.ops = ops, .ctx = ctx};
    list_init(&s->waiting);
    s->leases = mem_calloc(SUBMITTER_LEASES, sizeof(struct lease *));
    return s->leases ? 0 : -RAIA_ERR_NOMEM;
}

void submitter_fini(struct submitter *s)
{
    for (uint32_t i = 0; i < s->leases_end; i++)
        if (s->leases[i])
            lease_free__(s, s->leases[i]);
    for (uint32_t i = 0; i < s->nclasses; i++)
        mem_free(s->classes[i]);
    mem_free(s->classes);
    mem_free(s->leases);
    *s = (struct submitter){0};
}

struct sched_class *submitter_class(struct submitter *s, uint16_t strategy,
                                    const struct sched_resource *resources, unsigned n)
{
    struct sched_class *c, **all;

    if (n > SUBMITTER_RESOURCES)
        return NULL;
    for (uint32_t i = 0; i < s->nclasses; i++) {
        unsigned k;

        c = s->classes[i];
        if (c->strategy != strategy || c->nresources != n)
            continue;
        for (k = 0; k < n; k++)
            if (c->resources[k].quantity != resources[k].quantity ||
                strcmp(c->resources[k].name, resources[k].name) != 0)
                break;
        if (k == n)
            return c;
    }
    c = mem_new(struct sched_class);
    all = c ? mem_realloc(s->classes, (s->nclasses + 1) * sizeof(*all)) : NULL;
    if (!all) {
        mem_free(c);
        return NULL;
    }
    s->classes = all;
    all[s->nclasses++] = c;
    c->number = s->nclasses;
    c->strategy = strategy;
    c->nresources = (uint16_t)n;
    memcpy(c->resources, resources, n * sizeof(*resources));
    list_init(&c->queue);
    list_init(&c->leases);
    return c;
}

/* How many tasks may stand in front of one worker: short ones more than long ones, and no more than
 * what experience there is. */
static uint32_t depth(const struct sched_class *c)
{
    uint64_t d = SUBMITTER_AHEAD_US * 16u / (c->mean_us + 16);

    if (d > c->answers * 2)
        d = c->answers * 2;
    if (d > SUBMITTER_DEPTH_MAX)
        d = SUBMITTER_DEPTH_MAX;
    return d ? (uint32_t)d : 1;
}

/* A fair share, so that the first lease does not take what the others could begin at once; and
 * whether one has nothing to do. */
static uint32_t share(const struct sched_class *c, bool *ret_idle)
{
    uint64_t in_flight = 0, all;
    const struct lease *l;
    uint32_t open = 0;
    bool idle = false;

    LIST_FOREACH (l, &c->leases, in_class) {
        in_flight += l->window.count;
        open += l->state != LEASE_DRAINING;
        idle |= l->state == LEASE_OPEN && l->window.count == 0;
    }
    *ret_idle = idle;
    all = c->queued + in_flight;
    return open ? (uint32_t)((all + open - 1) / open) : 1;
}

static int push(struct submitter *s, struct lease *l, struct task *t)
{
    int r;

    r = window_put(&l->window, t);
    if (r < 0)
        return r;
    t->sequence = l->window.next - 1;
    t->lease = l;
    t->state = TASK_SENT;
    r = s->ops->push(s->ctx, l, t, submitter_tag(l, t->sequence));
    if (r < 0) {
        /* Not sent: as if it had never been put there. */
        window_take(&l->window, t->sequence);
        t->lease = NULL;
        t->state = TASK_QUEUED;
        if (r == -RAIA_ERR_LIMIT)
            l->full = true;
        return r;
    }
    if (l->window.count == 1)
        l->progress = s->now;
    l->idle_since = 0;
    return 0;
}

/* Fills one lease from its class's queue. */
static void fill(struct submitter *s, struct lease *l, uint32_t limit)
{
    struct sched_class *c = l->class;
    struct task *t;

    while (l->state == LEASE_OPEN && !l->full && l->window.count < limit &&
           (t = LIST_FIRST(&c->queue, struct task, link))) {
        int r;

        list_del(&t->link);
        c->queued--;
        r = push(s, l, t);
        if (r == 0)
            continue;
        if (r == -RAIA_ERR_LIMIT || r == -RAIA_ERR_UNAVAILABLE || r == -RAIA_ERR_SHUTDOWN) {
            list_add_head(&c->queue, &t->link);
            c->queued++;
            return;
        }
        submitter_fail__(s, t, -r, "the task could not be sent");
    }
}

static void state_demand(struct submitter *s, struct sched_class *c)
{
    uint64_t want = c->queued;
    uint32_t d = depth(c);

    if (d > 1)
        want = (want + d - 1) / d;
    if (want > SUBMITTER_WANT_MAX)
        want = SUBMITTER_WANT_MAX;
    /* Leases that are being opened will take some. */
    if (want == c->stated ||
        (want && c->stated && want < 2 * (uint64_t)c->stated && 2 * want > c->stated))
        return;
    if (!c->defined) {
        c->defined = true;
        s->ops->define_class(s->ctx, c);
    }
    c->stated = (uint32_t)want;
    s->ops->demand(s->ctx, c, c->stated);
}

static void fill_all(struct submitter *s, struct sched_class *c, uint32_t limit)
{
    struct lease *l, *next;

    LIST_FOREACH_SAFE (l, next, &c->leases, in_class) {
        if (!c->queued)
            break;
        fill(s, l, limit);
    }
}

void submitter_pump(struct submitter *s, struct sched_class *c)
{
    struct lease *l, *next;
    uint32_t limit, fair;
    bool idle;

    if (s->closed)
        return;
    if (c->queued) {
        limit = depth(c);
        if (limit > 1) {
            fair = share(c, &idle);
            limit = limit < fair ? limit : fair;
            /* First those with nothing to do: else what was stolen for them goes back to where it
             * was. */
            if (idle && limit > 1)
                fill_all(s, c, 1);
        }
        fill_all(s, c, limit);
    }
    state_demand(s, c);
    if (!c->queued)
        LIST_FOREACH_SAFE (l, next, &c->leases, in_class)
            if (l->window.count == 0 && l->state == LEASE_OPEN && !l->idle_since)
                l->idle_since = s->now ? s->now : 1;
}

static void enqueue(struct task *t, bool first)
{
    t->state = TASK_QUEUED;
    t->lease = NULL;
    if (first)
        list_add_head(&t->class->queue, &t->link);
    else
        list_add_tail(&t->class->queue, &t->link);
    t->class->queued++;
}

void submitter_add(struct submitter *s, struct task *t)
{
    s->pending++;
    if (t->deadline != CLOCK_NEVER)
        s->with_deadline++;
    if (t->waits) {
        t->state = TASK_WAITS_DEPS;
        list_add_tail(&s->waiting, &t->link);
    } else {
        enqueue(t, false);
    }
}

void submitter_ready(struct submitter *s, struct task *t)
{
    list_del(&t->link);
    enqueue(t, false);
    submitter_pump(s, t->class);
}

static void forget(struct submitter *s, struct task *t)
{
    s->pending--;
    if (t->deadline != CLOCK_NEVER)
        s->with_deadline--;
    t->lease = NULL;
    t->state = TASK_DONE;
}

void submitter_drop(struct submitter *s, struct task *t)
{
    list_del(&t->link);
    forget(s, t);
}

void submitter_fail_with__(struct submitter *s, struct task *t, const struct raia_error *e)
{
    forget(s, t);
    s->ops->failed(s->ctx, t, e);
}

void submitter_fail__(struct submitter *s, struct task *t, int code, const char *text)
{
    struct raia_error e;

    err_set(&e, code, "%s", text);
    submitter_fail_with__(s, t, &e);
}

/* Back into the queue, at its front. */
void submitter_again__(struct task *t)
{
    enqueue(t, true);
}

static void learn(struct sched_class *c, uint32_t exec_us)
{
    uint64_t us = exec_us > 1000000u ? 1000000u : exec_us;

    c->answers++;
    if (us * 16 > c->mean_us)
        c->mean_us += (us * 16 - c->mean_us) / 4;
    else
        c->mean_us -= (c->mean_us - us * 16) / 16;
}

struct task *submitter_replied(struct submitter *s, const void *link, uint64_t tag,
                               bool not_started, uint32_t exec_us)
{
    uint64_t slot = tag >> 44;
    struct lease *l = slot < s->leases_end ? s->leases[slot] : NULL;
    struct task *t;

    if (!l || l->link != link)
        return NULL;
    t = window_take(&l->window, tag & ((UINT64_C(1) << 44) - 1));
    if (!t)
        return NULL;
    l->progress = s->now;
    l->stealing = false;
    if (not_started) {
        if (t->flags & TASK_CANCELED) {
            lease_settle__(s, l);
            submitter_fail__(s, t, t->flags & TASK_TIMED_OUT ? RAIA_ERR_TIMEOUT : RAIA_ERR_CANCELED,
                             "it had not begun");
            return NULL;
        }
        submitter_again__(t);
        lease_settle__(s, l);
        return NULL;
    }
    learn(l->class, exec_us);
    forget(s, t);
    lease_settle__(s, l);
    return t;
}

bool submitter_retry(struct submitter *s, struct task *t)
{
    if (t->flags & TASK_CANCELED || s->closed || (!(t->flags & TASK_FOREVER) && t->retries <= 0))
        return false;
    t->retries--;
    t->attempt++;
    s->pending++;
    if (t->deadline != CLOCK_NEVER)
        s->with_deadline++;
    enqueue(t, false);
    return true;
}

void submitter_cancel(struct submitter *s, struct task *t, const struct wire_cancel *how)
{
    struct sched_class *c = t->class;
    int code = how->timeout ? RAIA_ERR_TIMEOUT : RAIA_ERR_CANCELED;

    t->flags |= TASK_CANCELED;
    if (how->timeout)
        t->flags |= TASK_TIMED_OUT;
    switch (t->state) {
    case TASK_QUEUED:
        list_del(&t->link);
        c->queued--;
        submitter_fail__(s, t, code, "it had not begun");
        submitter_pump(s, c);
        break;
    case TASK_WAITS_DEPS:
        list_del(&t->link);
        submitter_fail__(s, t, code, "it was waiting for its arguments");
        break;
    case TASK_SENT:
        s->ops->cancel(s->ctx, t->lease, submitter_tag(t->lease, t->sequence), how);
        break;
    default:
        break;
    }
}

void submitter_each(struct submitter *s, void (*fn)(void *arg, struct task *t), void *arg)
{
    struct task *t, *next;

    LIST_FOREACH_SAFE (t, next, &s->waiting, link)
        fn(arg, t);
    for (uint32_t i = 0; i < s->nclasses; i++) {
        LIST_FOREACH_SAFE (t, next, &s->classes[i]->queue, link)
            fn(arg, t);
    }
    for (uint32_t i = 0; i < s->leases_end; i++) {
        struct window *w = s->leases[i] ? &s->leases[i]->window : NULL;

        for (uint64_t k = w ? w->base : 0; w && k < w->next; k++)
            if (w->slots[k & (w->size - 1)])
                fn(arg, w->slots[k & (w->size - 1)]);
    }
}

bool submitter_has(struct submitter *s, uint64_t counter)
{
    struct task_search x = {.counter = counter};

    submitter_each(s, task_search__, &x);
    return x.found;
}

void submitter_fail_all(struct submitter *s, const struct raia_error *e)
{
    struct list *l;

    s->closed = true;
    while ((l = list_pop(&s->waiting)))
        submitter_fail_with__(s, container_of(l, struct task, link), e);
    for (uint32_t i = 0; i < s->nclasses; i++) {
        struct sched_class *c = s->classes[i];

        while ((l = list_pop(&c->queue))) {
            c->queued--;
            submitter_fail_with__(s, container_of(l, struct task, link), e);
        }
    }
    for (uint32_t i = 0; i < s->leases_end; i++) {
        struct lease *lease = s->leases[i];
        struct task *t;

        while (lease && (t = window_first(&lease->window))) {
            window_take(&lease->window, t->sequence);
            submitter_fail_with__(s, t, e);
        }
    }
}
