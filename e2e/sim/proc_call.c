/* Calls that come to a process: parsed, queued, run one at a time, answered, given back; as
 * coreworker/lib's call.c and execute.c do it. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/chain.h"
#include "sim/proc.h"

void call_free(struct proc *p, struct call *c)
{
    list_del(&c->link);
    for (unsigned i = 0; i < c->head.nargs; i++) {
        struct call_arg *a = &c->args[i];

        for (uint32_t k = 0; a->inner && k < a->item.head->nrefs; k++)
            object_unhold(&p->objects, a->inner[k]);
        mem_free(a->inner);
        if (a->stored) {
            list_del(&a->waiting);
            if (a->pinned)
                large_unpin(p, a->stored);
            object_unhold(&p->objects, a->stored);
        }
    }
    if (c->stored)
        object_unhold(&p->objects, c->stored);
    blob_unref(&p->objects, c->result);
    mem_free(c->args);
    mem_free(c->message);
    mem_free(c);
}

/* What is in a store must be here before the function runs. */
static void gather(struct proc *p, struct call *c, struct call_arg *a)
{
    const struct wire_stored *s = (const struct wire_stored *)(const void *)a->item.data;
    struct raia_ref *o = a->stored = objects_receive(&p->objects, &s->object, c->caller, false);

    if (!o)
        return;
    if (o->state == OBJECT_PENDING)
        object_set_stored(&p->objects, o, s->size, s->node, NULL, 0);
    if (o->state != OBJECT_STORED)
        return;
    if (o->more->mapped) {
        large_pin(o);
        a->pinned = true;
        return;
    }
    c->fetches++;
    a->call = c;
    list_add_tail(&o->more->readers, &a->waiting);
    large_fetch(p, o);
}

void call_object_came(struct proc *p, struct raia_ref *o)
{
    struct chain why;
    struct list *l;

    while (o->more && (l = list_pop(&o->more->readers))) {
        struct call_arg *a = container_of(l, struct call_arg, waiting);

        if (o->more->mapped) {
            large_pin(o);
            a->pinned = true;
        } else if (o->state == OBJECT_STORED && a->call->status == 0) {
            chain_decode(&why, o->more->refusal->data, o->more->refusal->size);
            a->call->status = -why.links[0].code;
        }
        a->call->fetches--;
    }
    (void)p;
}

static bool parse(struct proc *p, struct call *c)
{
    size_t at = 0;

    for (unsigned i = 0; i < c->head.nargs; i++) {
        struct call_arg *a = &c->args[i];

        if (wire_entry_parse(c->message, c->size, &at, &a->item) < 0)
            return false;
        list_init(&a->waiting);
        if (a->item.head->kind == WIRE_STORED)
            gather(p, c, a);
        if (i == 0)
            memcpy(&c->prog, a->item.data, sizeof(c->prog));
        if (!a->item.head->nrefs)
            continue;
        a->inner = mem_calloc(a->item.head->nrefs, sizeof(*a->inner));
        for (uint32_t k = 0; a->inner && k < a->item.head->nrefs; k++)
            a->inner[k] = objects_receive(&p->objects, &a->item.refs[k], c->caller, false);
    }
    return true;
}

void call_received(struct proc *p, struct plink *l, uint64_t tag, struct seat *seat,
                   const void *data, size_t size)
{
    struct call *c = mem_new(struct call);

    if (!c) {
        sim_fail(p->c->sim, "out of memory");
        return;
    }
    memcpy(&c->head, data, sizeof(c->head));
    c->from = l;
    c->caller = l->process;
    c->tag = tag;
    c->seat = seat;
    c->size = size - sizeof(c->head);
    c->message = mem_alloc(c->size);
    c->args = mem_calloc(c->head.nargs, sizeof(*c->args));
    memcpy(c->message, (const uint8_t *)data + sizeof(c->head), c->size);
    if (!parse(p, c))
        sim_fail(p->c->sim, "a call that cannot be read");
    list_add_tail(&p->ready, &c->link);
}

static void answer(struct proc *p, struct call *c, const void *data, size_t size)
{
    if (c->seat)
        seat_answer(p, c->seat, c->tag, data, size);
    else if (c->from)
        plink_send(p, c->from, WIRE_REPLY, c->tag, data, size);
}

static void answer_status(struct proc *p, struct call *c, int status, uint16_t flags)
{
    struct wire_reply h = {
        .status = status, .nreturns = 1, .flags = flags, .slot = c->head.slot, .exec_us = 1};
    struct raia_error e;
    struct blob *b;
    struct wire_ref *refs;
    uint8_t *m, *out;
    size_t need;

    err_set(&e, status < 0 ? -status : RAIA_ERR_CANCELED, "said by the worker");
    b = blob_new_error(&p->objects, &e);
    need = sizeof(h) + wire_entry_size(b->size, 0);
    m = mem_alloc(need);
    memcpy(m, &h, sizeof(h));
    wire_entry_begin(m + sizeof(h), WIRE_INLINE, RAIA_ERROR_FORMAT, b->size, 0, &out, &refs);
    memcpy(out, b->data, b->size);
    answer(p, c, m, need);
    mem_free(m);
    blob_unref(&p->objects, b);
}

static void call_answer(struct proc *p, struct call *c)
{
    int64_t us = (world_now(p->c) - c->began_at) / CLOCK_NS_PER_US;
    struct wire_reply h = {.nreturns = 1, .slot = c->head.slot, .exec_us = (uint32_t)us};
    const struct blob *b = c->result;
    struct wire_stored stored = {0};
    struct raia_ref **inner;
    struct wire_ref *refs;
    const void *data;
    uint8_t *m, *out;
    uint32_t nrefs, size;
    size_t need;

    if (c->status == 0 && c->canceled)
        c->status = -RAIA_ERR_CANCELED;
    if (c->stored && (c->status < 0 || (!c->from && !c->seat)))
        large_doubt(p, c->stored);
    if (!c->from && !c->seat) {
        call_free(p, c);
        return;
    }
    if (c->status < 0) {
        answer_status(p, c, c->status, 0);
        call_free(p, c);
        return;
    }
    if (c->stored) {
        stored.size = c->stored->more->size;
        memcpy(stored.node, c->stored->more->node, 16);
        data = &stored;
        inner = c->stored->more->inner;
        nrefs = c->stored->more->ninner;
        size = sizeof(stored);
    } else {
        data = b->data;
        inner = b->inner;
        nrefs = b->nrefs;
        size = b->size;
    }
    need = sizeof(h) + wire_entry_size(size, nrefs);
    m = mem_alloc(need);
    memcpy(m, &h, sizeof(h));
    wire_entry_begin(m + sizeof(h), c->stored ? WIRE_STORED : WIRE_INLINE, RAIA_RAW, size, nrefs,
                     &out, &refs);
    memcpy(out, data, size);
    for (uint32_t i = 0; i < nrefs; i++)
        object_export(&p->objects, inner[i], c->caller, true, &refs[i]);
    answer(p, c, m, need);
    mem_free(m);
    call_free(p, c);
}

/* Borrowed references that came with it and stay here after it: their owners must count us
 * first. */
static void register_kept(struct proc *p, struct call *c)
{
    for (unsigned i = 0; i < c->head.nargs; i++) {
        struct call_arg *a = &c->args[i];

        for (uint32_t k = 0; a->inner && k < a->item.head->nrefs; k++) {
            struct raia_ref *o = a->inner[k];
            bool wait = false;

            if (o->owner && (o->handles || o->holds > 1) &&
                object_register(&p->objects, o, c, &wait) == 0 && wait)
                c->waits++;
        }
    }
}

/* Who waited for a grant: a call, or a process that forwarded the reference. */
void call_registered(struct proc *p, struct raia_ref *o, void *who)
{
    struct wire_object m = {.count = 1};
    struct process *q, *next;

    HASH_FOREACH (p->objects.processes, q, next)
        if (q == who) {
            object_name(&p->objects, o, &m.ref);
            proc_objects_ops.send(p, q, WIRE_REF_DONE, &m);
            return;
        }
    if (--((struct call *)who)->waits == 0)
        call_answer(p, who);
}

void call_finish(struct proc *p, struct call *c)
{
    p->running = NULL;
    c->waits = 1;
    register_kept(p, c);
    list_add_tail(&p->answering, &c->link);
    if (--c->waits == 0)
        call_answer(p, c);
}

/* An argument did not come: the function does not run. */
static bool runnable(struct call *c)
{
    struct chain why;

    if (c->status < 0)
        return false; /* there was no room for one */
    for (unsigned i = 0; i < c->head.nargs; i++) {
        const struct raia_ref *o = c->args[i].stored;

        if (!o || c->args[i].pinned)
            continue;
        c->status = -RAIA_ERR_OBJECT_LOST;
        if (object_is_error(o)) {
            chain_decode(&why, o->value->data, o->value->size);
            c->status = -why.links[0].code;
        }
        return false;
    }
    return true;
}

static void begin(struct proc *p, struct call *c)
{
    struct task_name name = {.counter = c->head.counter};
    struct act *a;

    memcpy(name.worker, c->caller->address.worker, 16);
    if (c->seat)
        oracle_call_begins(p->c, p->actor, p->incarnation, &name, c->prog.number, p);
    oracle_begins(p->c, &name, c->head.attempt, c->head.flags & WIRE_TASK_NO_RETRY, p);
    c->began = true;
    c->began_at = world_now(p->c);
    if (!runnable(c)) {
        call_finish(p, c);
        return;
    }
    a = act_new(p, c, c->prog.steps, c->prog.depth);
    p->running = a;
    if (a)
        act_later(a, c->prog.run_us);
}

/* The first one whose arguments are here, and that need not begin after one whose are not. */
static struct call *first_ready(struct proc *p)
{
    struct call *c, *d;

    LIST_FOREACH (c, &p->ready, link) {
        bool behind = false;

        if (c->fetches)
            continue;
        LIST_FOREACH (d, &p->ready, link) {
            if (d == c)
                break;
            if (d->seat == c->seat &&
                (c->seat || (c->head.flags & WIRE_TASK_NO_RETRY && d->from == c->from)))
                behind = true;
        }
        if (!behind)
            return c;
    }
    return NULL;
}

void call_next(struct proc *p)
{
    struct call *c, *second;

    if (!p->alive || p->running)
        return;
    c = first_ready(p);
    if (!c)
        return;
    if (p->c->plant == PLANT_REORDERED_CALL && c->seat && c->link.next != &p->ready) {
        second = container_of(c->link.next, struct call, link);
        if (second->seat == c->seat && !second->fetches)
            c = second;
    }
    list_del(&c->link);
    begin(p, c);
    call_next(p); /* if that one could not run */
}

static void not_started(struct proc *p, struct call *c)
{
    answer_status(p, c, 0, WIRE_REPLY_NOT_STARTED);
    call_free(p, c);
}

void call_give_back(struct proc *p, struct plink *l, uint32_t count)
{
    while (count-- > 0) {
        struct call *c, *last = NULL;

        LIST_FOREACH (c, &p->ready, link)
            if (c->from == l && !c->seat)
                last = c;
        if (!last)
            return;
        not_started(p, last);
    }
}

/* It is going to wait: what has not begun may run elsewhere. */
void call_give_back_all(struct proc *p)
{
    struct call *c;

    while ((c = LIST_FIRST(&p->ready, struct call, link)) && !c->seat)
        not_started(p, c);
}

void call_canceled(struct proc *p, struct plink *l, uint64_t tag, struct seat *seat)
{
    struct call *c;

    LIST_FOREACH (c, &p->ready, link)
        if (c->from == l && c->tag == tag && c->seat == seat) {
            answer_status(p, c, -RAIA_ERR_CANCELED, 0);
            call_free(p, c);
            return;
        }
    if (p->running && p->running->call->from == l && p->running->call->tag == tag &&
        p->running->call->seat == seat) {
        p->running->call->canceled = true;
        if (prng_chance(p->c->prng, 0.5)) /* one that looks whether it is canceled while it waits */
            act_give_up(p->running, 0);
    }
}
