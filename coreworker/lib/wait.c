/*
 * Waiting: one thread polls the doorbell for all; see runtime.h. Also what a worker tells its
 * raylet when it sleeps in the middle of a task.
 */
#include <string.h>

#include "lib/runtime.h"

void waiter_init(struct waiter *w, const raia_ref *target)
{
    *w = (struct waiter){.target = target};
}

void waiter_fini(struct waiter *w)
{
    if (w->cond_ready)
        pthread_cond_destroy(&w->cond);
}

static int wait_behind(struct runtime *rt, struct waiter *w, int64_t deadline)
{
    struct timespec until = clock_timespec(deadline);
    pthread_condattr_t attr;
    int r = 0;

    if (!w->cond_ready) {
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&w->cond, &attr);
        pthread_condattr_destroy(&attr);
        w->cond_ready = true;
    }
    w->woken = false;
    list_add_tail(&rt->waiters, &w->link);
    rt->inside++;
    while (!w->woken && r == 0) {
        if (deadline == CLOCK_NEVER)
            r = pthread_cond_wait(&w->cond, &rt->token);
        else
            r = pthread_cond_timedwait(&w->cond, &rt->token, &until);
    }
    list_del(&w->link);
    rt->inside--;
    return r ? -RAIA_ERR_TIMEOUT : 0;
}

int rt_wait(struct runtime *rt, struct waiter *w, int64_t deadline)
{
    int64_t until = deadline < rt->next_tick ? deadline : rt->next_tick;

    actors_sweep(rt);
    rt_flush(rt);
    if (rt->poller)
        return wait_behind(rt, w, deadline);
    rt->poller = true;
    rt->inside++;
    pthread_mutex_unlock(&rt->token);
    doorbell_await(&rt->bell, until);
    pthread_mutex_lock(&rt->token);
    rt->poller = false;
    rt->inside--;
    rt->now = rt->submitter.now = clock_now_ns();
    if (!rt->dead)
        rt_drain(rt);
    if (rt->now >= rt->next_tick)
        rt_tick(rt, rt->now);
    return rt->now >= deadline ? -RAIA_ERR_TIMEOUT : 0;
}

void rt_wake(struct runtime *rt, const raia_ref *o)
{
    struct waiter *w;

    LIST_FOREACH (w, &rt->waiters, link) {
        if (o && w->target && w->target != o)
            continue;
        w->woken = true;
        pthread_cond_signal(&w->cond);
    }
    if (rt->poller && rt->page)
        doorbell_kick(&rt->bell);
}

void rt_blocked(struct runtime *rt, bool *io_told)
{
    struct raia_call *c;

    if (!rt->worker || *io_told || !current_call)
        return;
    *io_told = true;
    if (rt->blocked++ > 0 || rt->host)
        return;
    /* What has not begun may run elsewhere meanwhile: this thread may wait for it. */
    while ((c = LIST_FIRST(&rt->ready, struct raia_call, link)) && !c->seat) {
        struct wire_reply reply = {.flags = WIRE_REPLY_NOT_STARTED};

        list_del(&c->link);
        if (c->from)
            link_send(rt, c->from, WIRE_REPLY, c->tag, &reply, sizeof(reply), false);
        call_free(rt, c);
    }
    link_send(rt, rt->raylet, REC_BLOCKED, 0, NULL, 0, false);
}

void rt_unblocked(struct runtime *rt, bool *io_told)
{
    if (!*io_told)
        return;
    *io_told = false;
    if (--rt->blocked == 0 && !rt->host && !rt->dead)
        link_send(rt, rt->raylet, REC_UNBLOCKED, 0, NULL, 0, false);
}

/* Asks for the value of a borrowed object, once. */
int rt_query(struct runtime *rt, raia_ref *o)
{
    struct wire_object m = {0};
    struct link *l;

    if (o->flags & OBJECT_QUERIED || !o->owner)
        return 0;
    l = link_to(rt, o->owner);
    if (!l)
        return -RAIA_ERR_NOMEM;
    o->flags |= OBJECT_QUERIED;
    object_name(&rt->objects, o, &m.ref);
    return link_send(rt, l, WIRE_QUERY, 0, &m, sizeof(m), true);
}

#define STEP_DONE    1
#define STEP_REFUSED 2

/* What is still to be done for the object to be readable; 0: to wait. `seen` were its refusals when
 * the wait began. */
static int object_step(struct runtime *rt, raia_ref *o, bool fetch, uint32_t seen)
{
    if (o->state == OBJECT_PENDING) {
        o->flags |= OBJECT_WAITED;
        return rt_query(rt, o);
    }
    if (o->state == OBJECT_HERE || !fetch || o->more->mapped)
        return STEP_DONE;
    if (o->more->refusals != seen)
        return STEP_REFUSED;
    o->flags |= OBJECT_WAITED;
    return store_fetch(rt, o);
}

int rt_wait_object(struct runtime *rt, raia_ref *o, bool fetch, int64_t deadline)
{
    uint32_t seen = o->more ? o->more->refusals : 0;
    struct waiter w;
    bool told = false;
    int r;

    r = object_step(rt, o, fetch, seen);
    if (r)
        return r < 0 ? r : 0;
    waiter_init(&w, o);
    object_hold(o);
    if (!rt->poller)
        rt_drain(rt);
    while ((r = object_step(rt, o, fetch, seen)) == 0) {
        if (rt->dead || rt->closing) {
            r = -rt->death.code;
            break;
        }
        if (deadline == 0 || clock_now_ns() >= deadline) {
            r = -RAIA_ERR_TIMEOUT;
            break;
        }
        rt_blocked(rt, &told);
        rt_wait(rt, &w, deadline);
    }
    rt_unblocked(rt, &told);
    waiter_fini(&w);
    object_unhold(&rt->objects, o);
    return r == STEP_DONE ? 0 : r == STEP_REFUSED ? 1 : r;
}
