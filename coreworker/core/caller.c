/* Calls to one actor: see caller.h. */
#include "core/caller.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"

void caller_init(struct caller *c, const struct caller_ops *ops, void *ctx)
{
    *c = (struct caller){.ops = ops, .ctx = ctx};
    list_init(&c->queue);
    list_init(&c->limbo);
    window_init(&c->window);
}

void caller_fini(struct caller *c)
{
    window_fini(&c->window);
}

static void fail(struct caller *c, struct task *t, const struct raia_error *e)
{
    c->pending--;
    if (t->deadline != CLOCK_NEVER)
        c->with_deadline--;
    t->state = TASK_DONE;
    c->ops->failed(c->ctx, t, e);
}

static void fail_code(struct caller *c, struct task *t, int code, const char *text)
{
    struct raia_error e;

    err_set(&e, code, "%s", text);
    fail(c, t, &e);
}

static void drop_from_queue(struct caller *c, struct task *t)
{
    list_del(&t->link);
    c->queued--;
}

static void queue_first(struct caller *c, struct task *t)
{
    t->state = TASK_QUEUED;
    list_add_head(&c->queue, &t->link);
    c->queued++;
}

void caller_add(struct caller *c, struct task *t)
{
    c->pending++;
    if (t->deadline != CLOCK_NEVER)
        c->with_deadline++;
    if (c->state == CALLER_DEAD) {
        fail(c, t, &c->death);
        return;
    }
    t->state = TASK_QUEUED;
    list_add_tail(&c->queue, &t->link);
    c->queued++;
}

void caller_drop(struct caller *c, struct task *t)
{
    drop_from_queue(c, t);
    c->pending--;
    if (t->deadline != CLOCK_NEVER)
        c->with_deadline--;
    t->state = TASK_DONE;
    caller_pump(c);
}

void caller_ready(struct caller *c, struct task *t)
{
    if (LIST_FIRST(&c->queue, struct task, link) == t)
        caller_pump(c);
}

static bool push(struct caller *c, struct task *t)
{
    int r = window_put(&c->window, t);

    if (r == 0) {
        t->sequence = c->window.next - 1;
        t->state = TASK_SENT;
        r = c->ops->push(c->ctx, c, t);
        if (r == 0)
            return true;
        /* Not sent: its number is the next one's. */
        window_take(&c->window, t->sequence);
        c->window.next--;
        if (c->window.base > c->window.next)
            c->window.base = c->window.next;
    }
    if (r == -RAIA_ERR_LIMIT || r == -RAIA_ERR_UNAVAILABLE || r == -RAIA_ERR_SHUTDOWN) {
        c->full = true;
        queue_first(c, t);
        return false;
    }
    fail_code(c, t, -r, "the call could not be sent");
    return true;
}

static void connect(struct caller *c)
{
    c->state = CALLER_CONNECTING;
    c->full = false;
    c->ops->connect(c->ctx, c, c->window.base);
}

void caller_rest(struct caller *c)
{
    if (caller_idle(c))
        c->state = CALLER_RESTING;
}

void caller_pump(struct caller *c)
{
    struct task *t;

    if (c->state == CALLER_RESTING && c->queued) {
        connect(c);
        return;
    }
    while (c->state == CALLER_CONNECTED && !c->full &&
           (t = LIST_FIRST(&c->queue, struct task, link)) && t->waits == 0) {
        drop_from_queue(c, t);
        if (!push(c, t))
            return;
    }
}

void caller_room(struct caller *c)
{
    c->full = false;
    caller_pump(c);
}

void caller_alive(struct caller *c, uint64_t incarnation, const struct record_address *address)
{
    struct list *l;

    if (c->state == CALLER_DEAD || incarnation < c->incarnation ||
        (incarnation == c->incarnation &&
         (c->state == CALLER_CONNECTING || c->state == CALLER_CONNECTED ||
          c->state == CALLER_RESTING)))
        return;
    if (incarnation > c->incarnation) {
        /* What was sent to the one before and not answered is settled now. */
        caller_broke(c, true);
        while ((l = list_pop(&c->limbo))) {
            struct task *t = container_of(l, struct task, link);
            struct raia_error e;

            err_set(&e, RAIA_ERR_ACTOR_UNAVAILABLE,
                    "the actor died while this call was under way, and has been restarted");
            e.maybe_executed = true;
            fail(c, t, &e);
        }
    }
    c->incarnation = incarnation;
    c->address = *address;
    connect(c);
}

static void settle_limbo(struct caller *c, const struct raia_error *e)
{
    struct list *l;

    while ((l = list_pop(&c->limbo))) {
        struct raia_error mine = *e;

        mine.maybe_executed = true;
        fail(c, container_of(l, struct task, link), &mine);
    }
}

void caller_restarting(struct caller *c, uint64_t incarnation, const struct raia_error *why)
{
    struct raia_error e;

    if (c->state == CALLER_DEAD || incarnation < c->incarnation)
        return;
    if (c->state != CALLER_PENDING)
        caller_broke(c, true);
    c->state = CALLER_PENDING;
    err_set(&e, RAIA_ERR_ACTOR_UNAVAILABLE, "the actor is being restarted (%s)",
            why && why->text[0] ? why->text : "its process died");
    settle_limbo(c, &e);
}

void caller_dead(struct caller *c, const struct raia_error *why)
{
    struct list *l;

    if (c->state == CALLER_DEAD)
        return;
    caller_broke(c, true);
    c->state = CALLER_DEAD;
    if (why && why->code)
        c->death = *why;
    else
        err_set(&c->death, RAIA_ERR_ACTOR_DIED, "the actor is dead");
    c->death.maybe_executed = false;
    settle_limbo(c, &c->death);
    while ((l = list_first(&c->queue))) {
        struct task *t = container_of(l, struct task, link);

        drop_from_queue(c, t);
        fail(c, t, &c->death);
    }
}

void caller_welcome(struct caller *c, uint64_t next)
{
    struct task *t;
    uint64_t before = c->window.next;

    if (c->state != CALLER_CONNECTING)
        return;
    /* What it has not received goes back to the front of the queue, in order. */
    while ((t = window_last_before(&c->window, before)) && t->sequence >= next) {
        before = t->sequence;
        window_take(&c->window, t->sequence);
        queue_first(c, t);
    }
    /* Numbers go on where the receiver expects them; those behind it were never seen. */
    if (next < c->window.next) {
        c->window.next = next;
        if (c->window.base > next)
            c->window.base = next;
    } else if (c->window.count == 0) {
        c->window.next = c->window.base = next;
    }
    c->state = CALLER_CONNECTED;
    c->full = false;
    caller_pump(c);
}

void caller_broke(struct caller *c, bool died)
{
    struct task *t;
    uint64_t before = c->window.next;
    bool again;

    if (c->state == CALLER_DEAD)
        return;
    if (!died) {
        /* The window stays: the WELCOME of the next connection says what became of it. */
        if (c->state == CALLER_CONNECTED || c->state == CALLER_CONNECTING)
            c->state = CALLER_LOST;
        return;
    }
    while ((t = window_last_before(&c->window, before))) {
        before = t->sequence;
        window_take(&c->window, t->sequence);
        again = (t->flags & TASK_FOREVER || t->retries > 0) && !(t->flags & TASK_CANCELED);
        if (again) {
            t->retries--;
            t->attempt++;
            queue_first(c, t);
        } else {
            t->state = TASK_LIMBO;
            list_add_head(&c->limbo, &t->link);
        }
    }
    if (c->state == CALLER_CONNECTED || c->state == CALLER_CONNECTING || c->state == CALLER_RESTING)
        c->state = CALLER_LOST;
}

struct task *caller_replied(struct caller *c, uint64_t sequence)
{
    struct task *t = window_take(&c->window, sequence);

    if (!t)
        return NULL;
    c->pending--;
    if (t->deadline != CLOCK_NEVER)
        c->with_deadline--;
    t->state = TASK_DONE;
    return t;
}

bool caller_retry(struct caller *c, struct task *t)
{
    if (c->state == CALLER_DEAD || t->flags & TASK_CANCELED ||
        (!(t->flags & TASK_FOREVER) && t->retries <= 0))
        return false;
    t->retries--;
    t->attempt++;
    caller_add(c, t);
    caller_pump(c);
    return true;
}

void caller_cancel(struct caller *c, struct task *t, const struct wire_cancel *how)
{
    int code = how->timeout ? RAIA_ERR_TIMEOUT : RAIA_ERR_CANCELED;

    t->flags |= TASK_CANCELED;
    if (how->timeout)
        t->flags |= TASK_TIMED_OUT;
    if (t->state == TASK_QUEUED) {
        drop_from_queue(c, t);
        fail_code(c, t, code, "the call had not begun");
        caller_pump(c);
    } else if (t->state == TASK_SENT && c->state == CALLER_CONNECTED) {
        c->ops->cancel(c->ctx, c, t, how);
    }
}

void caller_each(struct caller *c, void (*fn)(void *arg, struct task *t), void *arg)
{
    struct task *t, *next;

    LIST_FOREACH_SAFE (t, next, &c->queue, link)
        fn(arg, t);
    for (uint64_t k = c->window.base; k < c->window.next; k++)
        if ((t = window_get(&c->window, k)))
            fn(arg, t);
}

bool caller_has(struct caller *c, uint64_t counter)
{
    struct task_search x = {.counter = counter};

    caller_each(c, task_search__, &x);
    return x.found;
}

void caller_fail_all(struct caller *c, const struct raia_error *e)
{
    struct task *t;
    struct list *l;

    /* First of all: the end of one call may be that of another behind it, which waits for it. What
     * stood behind that one would be sent now. */
    if (c->state != CALLER_DEAD) {
        c->state = CALLER_DEAD;
        c->death = *e;
        c->death.maybe_executed = false;
    }
    while ((t = window_first(&c->window))) {
        window_take(&c->window, t->sequence);
        fail(c, t, e);
    }
    while ((l = list_pop(&c->limbo)))
        fail(c, container_of(l, struct task, link), e);
    while ((l = list_first(&c->queue))) {
        t = container_of(l, struct task, link);
        drop_from_queue(c, t);
        fail(c, t, e);
    }
}
