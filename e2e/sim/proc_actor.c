/* Calls to actors, and being one: callers that connect, seats that receive. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "sim/proc.h"

/* ---- callers */

static void hello(struct pactor *a)
{
    struct wire_actor_hello m = {.incarnation = a->caller.incarnation,
                                 .next = a->caller.window.base};

    memcpy(m.actor, a->actor, 16);
    plink_send(a->p, a->plink, WIRE_ACTOR_HELLO, a->slot, &m, sizeof(m));
}

static void on_connect(void *ctx, struct caller *c, uint64_t first)
{
    struct pactor *a = ctx;
    struct process *q = objects_process(&a->p->objects, &c->address);
    struct plink *l = q ? plink_to(a->p, q) : NULL;

    (void)first;
    if (a->plink) {
        list_del(&a->on_link);
        a->plink = NULL;
    }
    if (!l) { /* known to be dead: the control store will say what follows */
        caller_broke(c, true);
        return;
    }
    a->plink = l;
    list_add_tail(&l->callers, &a->on_link);
    if (l->state == PLINK_OPEN)
        hello(a);
}

static int on_push(void *ctx, struct caller *c, struct task *t)
{
    struct pactor *a = ctx;

    if (!a->plink || a->plink->state != PLINK_OPEN)
        return -RAIA_ERR_UNAVAILABLE;
    return task_send(a->p, a->plink, t, WIRE_CALL, t->sequence, a->slot, caller_acked(c));
}

static void on_cancel(void *ctx, struct caller *c, struct task *t, const struct wire_cancel *how)
{
    struct pactor *a = ctx;
    struct wire_cancel m = *how;

    (void)c;
    m.slot = a->slot;
    if (a->plink)
        plink_send(a->p, a->plink, WIRE_CALL_CANCEL, t->sequence, &m, sizeof(m));
}

static void on_failed(void *ctx, struct task *t, const struct raia_error *e)
{
    struct pactor *a = ctx;

    task_failed(a->p, t, e);
}

static const struct caller_ops ops = {
    .connect = on_connect, .push = on_push, .cancel = on_cancel, .failed = on_failed};

static void ask_state(struct pactor *a)
{
    struct gcs_word w = {.type = WORD_ACTOR_STATE};

    memcpy(w.actor, a->actor, 16);
    proc_say(a->p, REC_GCS_REQUEST, &w, sizeof(w));
}

struct pactor *pactor_new(struct proc *p, const uint8_t actor[16])
{
    struct pactor *a;

    LIST_FOREACH (a, &p->actors, link)
        if (!memcmp(a->actor, actor, 16))
            return a;
    a = mem_new(struct pactor);
    if (!a) {
        sim_fail(p->c->sim, "out of memory");
        return NULL;
    }
    a->p = p;
    memcpy(a->actor, actor, 16);
    a->slot = ++p->next_slot;
    caller_init(&a->caller, &ops, a);
    list_add_tail(&p->actors, &a->link);
    ask_state(a);
    return a;
}

void pactor_free(struct pactor *a)
{
    struct raia_error e;

    err_set(&e, RAIA_ERR_SHUTDOWN, "it ended");
    caller_fail_all(&a->caller, &e);
    caller_fini(&a->caller);
    list_del(&a->on_link);
    list_del(&a->link);
    mem_free(a);
}

void pactor_state(struct proc *p, const struct gcs_word *w)
{
    struct raia_error e;
    struct pactor *a;

    LIST_FOREACH (a, &p->actors, link) {
        if (memcmp(a->actor, w->actor, 16))
            continue;
        err_set(&e, RAIA_ERR_ACTOR_DIED, "the actor is dead");
        if (w->state == ACTOR_ALIVE)
            caller_alive(&a->caller, w->incarnation, &w->address);
        else if (w->state == ACTOR_RESTARTING)
            caller_restarting(&a->caller, w->incarnation, &e);
        else if (w->state == ACTOR_DEAD)
            caller_dead(&a->caller, &e);
        return;
    }
}

void pactor_link_opened(struct pactor *a)
{
    hello(a);
}

struct again {
    struct proc *p;
    uint32_t slot;
};

static struct pactor *by_slot(struct proc *p, uint64_t slot)
{
    struct pactor *a;

    LIST_FOREACH (a, &p->actors, link)
        if (a->slot == slot)
            return a;
    return NULL;
}

static void try_again(void *ctx)
{
    struct again *x = ctx;
    struct pactor *a = x->p->alive ? by_slot(x->p, x->slot) : NULL;

    if (!a)
        return;
    a->retrying = false;
    if (a->caller.state != CALLER_LOST)
        return;
    ask_state(a);
    if (a->caller.incarnation) {
        struct record_address address = a->caller.address;

        caller_alive(&a->caller, a->caller.incarnation, &address);
    }
    proc_settle(x->p);
}

void pactor_link_broke(struct pactor *a, bool died)
{
    struct again *x;

    a->plink = NULL;
    caller_broke(&a->caller, died);
    if (died || a->retrying)
        return;
    x = world_alloc(a->p->c, sizeof(*x));
    if (!x)
        return;
    *x = (struct again){.p = a->p, .slot = a->slot};
    a->retrying = true;
    sim_after(a->p->c->sim, node_sim(a->p->node), 50 * CLOCK_NS_PER_MS, try_again, x, NULL);
}

static void welcomed(struct proc *p, struct plink *l, uint64_t slot,
                     const struct wire_actor_welcome *m)
{
    struct pactor *a = by_slot(p, slot);

    if (!a || a->plink != l || a->caller.incarnation != m->incarnation)
        return;
    if (m->status == 0) {
        caller_welcome(&a->caller, m->next);
        return;
    }
    /* Not that incarnation: the control store will say which. */
    list_del(&a->on_link);
    pactor_link_broke(a, false);
}

static void replied(struct proc *p, struct plink *l, uint64_t tag, const void *data, size_t size)
{
    const struct wire_reply *h = data;
    struct pactor *a = by_slot(p, h->slot);
    struct task *t = a && a->plink == l ? caller_replied(&a->caller, tag) : NULL;

    if (t)
        task_replied(p, l, t, data, size);
}

/* ---- the actor */

void host_create(struct proc *p, const struct gcs_word *w)
{
    struct gcs_word said = *w;

    oracle_actor_begins(p->c, w->actor, w->incarnation, p);
    p->host = true;
    memcpy(p->actor, w->actor, 16);
    p->incarnation = w->incarnation;
    said.state = ACTOR_ALIVE;
    proc_say(p, REC_ACTOR_EVENT, &said, sizeof(said));
}

static struct seat *seat_of(struct proc *p, const struct plink *l, uint32_t slot)
{
    struct seat *s;

    LIST_FOREACH (s, &p->seats, link)
        if (s->from == l && s->slot == slot)
            return s;
    return NULL;
}

static struct seat *seat_new(struct proc *p, struct process *caller)
{
    struct seat *s;

    LIST_FOREACH (s, &p->seats, link)
        if (s->caller == caller)
            return s;
    s = mem_new(struct seat);
    if (!s) {
        sim_fail(p->c->sim, "out of memory");
        return NULL;
    }
    s->caller = caller;
    receiver_init(&s->receiver, true);
    list_add_tail(&p->seats, &s->link);
    return s;
}

static void hello_received(struct proc *p, struct plink *l, uint64_t slot,
                           const struct wire_actor_hello *m)
{
    struct wire_actor_welcome w = {.incarnation = m->incarnation};
    const struct kept_reply *k = NULL;
    struct seat *s;

    memcpy(w.actor, m->actor, 16);
    if (!p->host || memcmp(p->actor, m->actor, 16))
        w.status = -RAIA_ERR_NOT_FOUND;
    else if (p->incarnation != m->incarnation)
        w.status = -RAIA_ERR_STATE;
    if (w.status) {
        plink_send(p, l, WIRE_ACTOR_WELCOME, slot, &w, sizeof(w));
        return;
    }
    s = seat_new(p, l->process);
    if (!s)
        return;
    s->from = l;
    s->slot = (uint32_t)slot;
    w.next = receiver_hello(&s->receiver, m->next);
    plink_send(p, l, WIRE_ACTOR_WELCOME, slot, &w, sizeof(w));
    while ((k = receiver_next_kept(&s->receiver, k)))
        plink_send(p, l, WIRE_CALL_REPLY, k->sequence, k->data, k->size);
}

static void call_in(struct proc *p, struct plink *l, uint64_t tag, const void *data, size_t size)
{
    const struct wire_task *m = data;
    struct seat *s = seat_of(p, l, m->slot);

    if (!s)
        return;
    switch (receiver_call(&s->receiver, tag, m->acked)) {
    case RECEIVER_RUN:
        call_received(p, l, tag, s, data, size);
        break;
    case RECEIVER_DROP:
        break;
    case RECEIVER_GAP:
        sim_fail(p->c->sim, "a call to an actor is missing before %llu", (unsigned long long)tag);
        break;
    }
}

void seat_answer(struct proc *p, struct seat *s, uint64_t tag, const void *data, size_t size)
{
    struct wire_reply *h;

    if (receiver_answered(&s->receiver, tag, data, size) < 0)
        sim_fail(p->c->sim, "out of memory");
    if (!s->from)
        return;
    h = mem_alloc(size);
    if (!h)
        return;
    memcpy(h, data, size);
    h->slot = s->slot;
    plink_send(p, s->from, WIRE_CALL_REPLY, tag, h, size);
    mem_free(h);
}

void host_link_closed(struct proc *p, struct plink *l)
{
    struct seat *s;

    LIST_FOREACH (s, &p->seats, link)
        if (s->from == l)
            s->from = NULL;
}

void pactor_message(struct proc *p, struct plink *l, uint16_t type, uint64_t tag, const void *data,
                    size_t size)
{
    const struct wire_cancel *how = data;

    switch (type) {
    case WIRE_ACTOR_HELLO:
        hello_received(p, l, tag, data);
        break;
    case WIRE_ACTOR_WELCOME:
        welcomed(p, l, tag, data);
        break;
    case WIRE_CALL:
        call_in(p, l, tag, data, size);
        break;
    case WIRE_CALL_REPLY:
        replied(p, l, tag, data, size);
        break;
    case WIRE_CALL_CANCEL:
        if (seat_of(p, l, how->slot))
            call_canceled(p, l, tag, seat_of(p, l, how->slot));
        break;
    default:
        break;
    }
}
