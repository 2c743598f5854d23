/*
 * What happens to leases: granted, opened, idle, reclaimed, lost; stealing from slow workers.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/submitter_private.h"

void lease_free__(struct submitter *s, struct lease *l)
{
    s->leases[l->slot] = NULL;
    list_del(&l->in_class);
    list_del(&l->opening);
    l->class->nleases--;
    window_fini(&l->window);
    mem_free(l);
}

static void give_back(struct submitter *s, struct lease *l, bool broken)
{
    s->ops->give_back(s->ctx, l, broken);
    lease_free__(s, l);
}

void submitter_granted(struct submitter *s, const struct rec_lease *r)
{
    struct sched_class *c =
        r->number && r->number <= s->nclasses ? s->classes[r->number - 1] : NULL;
    struct lease *l = NULL, gone;
    uint32_t slot = 0;

    while (slot < s->leases_end && s->leases[slot])
        slot++;
    if (c && slot < SUBMITTER_LEASES && !s->closed)
        l = mem_new(struct lease);
    if (c) {
        c->granted_seen++;
        if (c->stated)
            c->stated--;
    }
    if (!l) {
        /* No use or no memory for it: straight back. */
        gone = (struct lease){.id = r->lease, .worker = r->worker};
        s->ops->give_back(s->ctx, &gone, false);
        /* Without any other the tasks would wait for ever. */
        if (c && !s->closed && slot < SUBMITTER_LEASES)
            submitter_pump(s, c);
        return;
    }
    l->id = r->lease;
    l->worker = r->worker;
    l->class = c;
    l->slot = slot;
    l->state = LEASE_OPENING;
    l->progress = s->now;
    window_init(&l->window);
    s->leases[slot] = l;
    if (slot == s->leases_end)
        s->leases_end++;
    list_add_tail(&c->leases, &l->in_class);
    c->nleases++;
    s->ops->open(s->ctx, l);
}

void submitter_opened(struct submitter *s, struct lease *l, void *link)
{
    l->link = link;
    if (l->state == LEASE_OPENING)
        l->state = LEASE_OPEN;
    l->idle_since = s->now ? s->now : 1;
    submitter_pump(s, l->class);
    lease_settle__(s, l);
}

void submitter_open_failed(struct submitter *s, struct lease *l)
{
    struct sched_class *c = l->class;

    give_back(s, l, true);
    submitter_pump(s, c);
}

void lease_settle__(struct submitter *s, struct lease *l)
{
    if (l->state == LEASE_DRAINING && l->window.count == 0) {
        struct sched_class *c = l->class;

        give_back(s, l, false);
        submitter_pump(s, c);
        return;
    }
    /* What a draining one has given back waits for other workers now. */
    if (l->class->queued)
        submitter_pump(s, l->class);
    if (l->window.count == 0 && !l->idle_since)
        l->idle_since = s->now ? s->now : 1;
}

void submitter_room(struct submitter *s, const void *link)
{
    for (uint32_t i = 0; i < s->leases_end; i++) {
        struct lease *l = s->leases[i];

        if (!l || l->link != link || !l->full)
            continue;
        l->full = false;
        submitter_pump(s, l->class);
    }
}

static struct lease *find(struct submitter *s, uint64_t id, const uint8_t node[16])
{
    for (uint32_t i = 0; i < s->leases_end; i++) {
        struct lease *l = s->leases[i];

        if (l && l->id == id && memcmp(l->worker.node, node, 16) == 0)
            return l;
    }
    return NULL;
}

void submitter_reclaim(struct submitter *s, uint64_t lease, const uint8_t node[16])
{
    struct lease *l = NULL;

    /* The record has the number alone; it is this node's unless another one is meant. */
    if (node)
        l = find(s, lease, node);
    for (uint32_t i = 0; !node && !l && i < s->leases_end; i++)
        if (s->leases[i] && s->leases[i]->id == lease)
            l = s->leases[i];
    if (!l)
        return;
    if (l->state == LEASE_OPEN && l->window.count > 1)
        s->ops->steal(s->ctx, l, (uint32_t)l->window.count);
    if (l->state == LEASE_OPENING) {
        l->state = LEASE_DRAINING;
        return;
    }
    l->state = LEASE_DRAINING;
    lease_settle__(s, l);
}

static void crash_error(struct raia_error *e, const struct lease *l, int status, const char *text)
{
    char worker[13];

    for (int i = 0; i < 6; i++)
        snprintf(worker + 2 * i, 3, "%02x", l->worker.worker[i]);
    err_set(e, status < 0 ? -status : RAIA_ERR_WORKER_CRASHED, "worker %s: %s", worker,
            text && *text ? text : "it ended while it ran this");
    e->retryable = true;
    e->maybe_executed = true;
}

/* Marks what its worker had begun, as long as the worker's board can be read. */
static void ask_board(struct submitter *s, struct lease *l)
{
    uint64_t before = l->window.next;
    enum board_state state;
    struct task *t;

    if (l->known || !l->link || !s->ops->begun)
        return;
    l->known = true;
    while (l->known && (t = window_last_before(&l->window, before))) {
        before = t->sequence;
        t->flags &= (uint8_t) ~(TASK_BEGUN | TASK_RUNNING);
        l->known = s->ops->begun(s->ctx, l, submitter_tag(l, t->sequence), &state);
        if (l->known && state != BOARD_NOT_BEGUN)
            t->flags |= state == BOARD_RUNNING ? TASK_BEGUN | TASK_RUNNING : TASK_BEGUN;
    }
}

/* Whether the task was at work when its worker died, and whether it may have run at all. */
static void fate(const struct lease *l, const struct task *t, const struct task *oldest, bool cut,
                 bool *ret_running, bool *ret_begun)
{
    if (l->known) {
        *ret_running = t->flags & TASK_RUNNING;
        *ret_begun = t->flags & TASK_BEGUN;
    } else {
        *ret_running = t == oldest;
        *ret_begun = t == oldest || cut;
    }
}

/*
 * The worker of this lease is gone. `cut`: not all that it said has come (its node died, or the link
 * broke), so that those behind the oldest one may have begun, too: only those that may run twice
 * are run again.
 */
static void lose(struct submitter *s, struct lease *l, int status, const char *text, bool cut)
{
    struct sched_class *c = l->class;
    struct task *t, *oldest = window_first(&l->window);
    uint64_t before = l->window.next;
    bool running, begun;
    struct raia_error e;

    if (!cut)
        ask_board(s, l);
    crash_error(&e, l, status, text);
    /* From the youngest to the oldest, each to the front of the queue: the order stays. */
    while ((t = window_last_before(&l->window, before))) {
        bool again = t->flags & TASK_FOREVER || t->retries > 0;

        fate(l, t, oldest, cut, &running, &begun);
        before = t->sequence;
        window_take(&l->window, t->sequence);
        t->flags &= (uint8_t) ~(TASK_BEGUN | TASK_RUNNING);
        if (t->flags & TASK_CANCELED) {
            submitter_fail__(s, t, t->flags & TASK_TIMED_OUT ? RAIA_ERR_TIMEOUT : RAIA_ERR_CANCELED,
                             running ? "it was stopped with its worker" : "it had not begun");
        } else if (!running && (again || !begun)) {
            submitter_again__(t);
        } else if (again) {
            t->retries--;
            t->attempt++;
            submitter_again__(t);
        } else {
            submitter_fail_with__(s, t, &e);
        }
    }
    lease_free__(s, l);
    submitter_pump(s, c);
}

void submitter_lost(struct submitter *s, const struct rec_lease_lost *r, const char *text)
{
    struct lease *l = find(s, r->lease, r->worker.node);

    if (l)
        lose(s, l, r->status, text, l->cut || r->status == -RAIA_ERR_NODE_DIED);
}

void submitter_link_broke(struct submitter *s, const void *link, int status)
{
    for (uint32_t i = 0; i < s->leases_end; i++) {
        struct lease *l = s->leases[i];

        if (!l || l->link != link)
            continue;
        if (status == -RAIA_ERR_UNAVAILABLE || status == 0) {
            s->ops->give_back(s->ctx, l, true);
            lose(s, l, -RAIA_ERR_WORKER_CRASHED, "the connection to it broke", true);
        } else {
            if (status != -RAIA_ERR_NODE_DIED)
                ask_board(s, l);
            l->link = NULL;
            l->full = true;
            l->cut = status == -RAIA_ERR_NODE_DIED;
            l->dead_since = s->now ? s->now : 1;
        }
    }
}

void submitter_demand_failed(struct submitter *s, const struct rec_demand_failed *r,
                             const char *text)
{
    struct sched_class *c =
        r->number && r->number <= s->nclasses ? s->classes[r->number - 1] : NULL;
    struct raia_error e;
    struct list failed, *l;

    /* UNSCHEDULABLE is a warning: a node may still come. */
    if (!c || r->status == -RAIA_ERR_UNSCHEDULABLE)
        return;
    err_set(&e, -r->status, "%s", text && *text ? text : raia_strerror(r->status));
    list_init(&failed);
    list_splice_tail(&failed, &c->queue);
    c->queued = 0;
    c->stated = 0;
    while ((l = list_pop(&failed)))
        submitter_fail_with__(s, container_of(l, struct task, link), &e);
}

/* A worker that answers slowly while others have nothing to do gives back half. */
static void steal(struct submitter *s, struct sched_class *c)
{
    struct lease *l, *victim = NULL;
    bool idle = false;

    if (c->queued)
        return;
    LIST_FOREACH (l, &c->leases, in_class) {
        if (l->state == LEASE_OPEN && l->window.count == 0)
            idle = true;
        else if (l->window.count > 1 && !l->stealing &&
                 s->now - l->progress >= SUBMITTER_STEAL_NS &&
                 (!victim || l->window.count > victim->window.count))
            victim = l;
    }
    if (!victim)
        return;
    if (idle) {
        victim->stealing = true;
        s->ops->steal(s->ctx, victim, (uint32_t)((victim->window.count + 1) / 2));
    } else if (c->stated == 0) {
        /* Nobody is idle: another worker could take them. */
        c->stated = 1;
        s->ops->demand(s->ctx, c, 1);
    }
}

int64_t submitter_tick(struct submitter *s, int64_t now)
{
    int64_t next = CLOCK_NEVER;

    s->now = now;
    for (uint32_t i = 0; i < s->leases_end; i++) {
        struct lease *l = s->leases[i];

        if (l && l->dead_since) {
            if (now - l->dead_since >= SUBMITTER_LOST_NS)
                lose(s, l, -RAIA_ERR_WORKER_CRASHED, NULL, l->cut);
            else if (l->dead_since + SUBMITTER_LOST_NS < next)
                next = l->dead_since + SUBMITTER_LOST_NS;
            continue;
        }
        if (!l || l->state != LEASE_OPEN)
            continue;
        if (l->window.count == 0 && l->idle_since) {
            int64_t end = l->idle_since + SUBMITTER_LINGER_NS;

            if (now >= end) {
                give_back(s, l, false);
                continue;
            }
            if (end < next)
                next = end;
        } else if (l->window.count > 1) {
            int64_t at =
                (now - l->progress < SUBMITTER_STEAL_NS ? l->progress : now) + SUBMITTER_STEAL_NS;

            if (at < next)
                next = at;
        }
    }
    for (uint32_t i = 0; i < s->nclasses; i++)
        if (!s->closed)
            steal(s, s->classes[i]);
    while (s->leases_end && !s->leases[s->leases_end - 1])
        s->leases_end--;
    return next;
}
