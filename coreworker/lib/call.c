/*
 * Calls that came to this process: parsed, their arguments gathered, queued; cancelled, given back.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/runtime.h"

_Thread_local struct raia_call *current_call;

static void drop_arguments(struct runtime *rt, struct raia_call *c)
{
    for (unsigned i = 0; i < c->head.nargs; i++) {
        struct call_arg *a = &c->args[i];

        for (uint32_t k = 0; a->inner && k < a->item.head->nrefs; k++)
            if (a->inner[k])
                object_unhold(&rt->objects, a->inner[k]);
        mem_free(a->inner);
        if (a->stored) {
            list_del(&a->waiting);
            if (a->pinned)
                store_unpin(rt, a->stored);
            object_unhold(&rt->objects, a->stored);
        }
        *a = (struct call_arg){0};
    }
    c->head.nargs = 0;
}

void call_free(struct runtime *rt, struct raia_call *c)
{
    if (!c)
        return;
    list_del(&c->link);
    drop_arguments(rt, c);
    for (unsigned i = 0; i < c->head.nreturns; i++) {
        blob_unref(&rt->objects, c->returns[i].blob);
        if (c->returns[i].stored)
            object_unhold(&rt->objects, c->returns[i].stored);
    }
    mem_free(c->error);
    c->magic = 0;
    pool_free(&rt->pool, c, c->block);
}

/* What is in the store must be here before the function runs. */
static int gather(struct runtime *rt, struct raia_call *c, struct call_arg *a)
{
    const struct wire_stored *s = (const struct wire_stored *)(const void *)a->item.data;
    int r;

    a->stored = objects_receive(&rt->objects, &s->object, c->caller, false);
    if (!a->stored)
        return -RAIA_ERR_NOMEM;
    if (a->stored->state == OBJECT_PENDING) {
        r = store_alias(rt, a->stored, s->store_id);
        if (r < 0)
            return r;
        r = object_set_stored(&rt->objects, a->stored, s->size, s->node, NULL, 0);
        if (r < 0)
            return r;
    }
    if (a->stored->state != OBJECT_STORED)
        return 0;
    if (a->stored->more->mapped) {
        store_pin(a->stored);
        a->pinned = true;
        return 0;
    }
    c->waits++;
    a->call = c;
    list_add_tail(&a->stored->more->readers, &a->waiting);
    return store_fetch(rt, a->stored);
}

static int parse_args(struct runtime *rt, struct raia_call *c)
{
    size_t at = 0;
    int r = 0;
    unsigned n = c->head.nargs;

    /* Counted as they are parsed, so that only those are dropped again. */
    c->head.nargs = 0;
    for (unsigned i = 0; i < n && r == 0; i++) {
        struct call_arg *a = &c->args[i];

        r = wire_entry_parse(c->message, c->message_size, &at, &a->item);
        if (r < 0)
            break;
        c->head.nargs++;
        if (a->item.head->kind == WIRE_STORED)
            r = gather(rt, c, a);
        if (r == 0 && a->item.head->nrefs) {
            a->inner = mem_calloc(a->item.head->nrefs, sizeof(raia_ref *));
            if (!a->inner)
                return -RAIA_ERR_NOMEM;
            for (uint32_t k = 0; k < a->item.head->nrefs; k++) {
                a->inner[k] = objects_receive(&rt->objects, &a->item.refs[k], c->caller, false);
                if (!a->inner[k])
                    return -RAIA_ERR_NOMEM;
            }
        }
    }
    return r;
}

struct raia_call *call_new(struct runtime *rt, struct process *from, const struct wire_task *head,
                           const uint8_t *entries, size_t size)
{
    size_t args = head->nargs * sizeof(struct call_arg);
    size_t returns = head->nreturns * sizeof(struct call_return);
    size_t block = sizeof(struct raia_call) + args + returns + wire_pad(size);
    struct raia_call *c;

    if (head->nargs > WIRE_ENTRIES_MAX || head->nreturns > WIRE_ENTRIES_MAX)
        return NULL;
    c = pool_alloc(&rt->pool, block);
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c) + args + returns);
    c->magic = CALL_MAGIC;
    c->block = block;
    c->caller = from;
    c->head = *head;
    c->args = (struct call_arg *)(c + 1);
    c->returns = (struct call_return *)(void *)((uint8_t *)c->args + args);
    c->message = (uint8_t *)c->returns + returns;
    c->message_size = size;
    c->number = ++rt->call_number;
    c->deadline = head->deadline_ms ? clock_deadline_ms(head->deadline_ms) : CLOCK_NEVER;
    if (size)
        memcpy(c->message, entries, size);
    if (parse_args(rt, c) < 0) {
        call_free(rt, c);
        return NULL;
    }
    return c;
}

void call_queue(struct runtime *rt, struct raia_call *c)
{
    list_add_tail(&rt->ready, &c->link);
    if (rt->worker)
        host_work(rt);
}

void call_received(struct runtime *rt, struct link *l, uint64_t tag, struct seat *seat,
                   const uint8_t *data, size_t size)
{
    struct wire_task head;
    struct raia_call *c;

    if (size < sizeof(head))
        return;
    memcpy(&head, data, sizeof(head));
    c = call_new(rt, l->process, &head, data + sizeof(head), size - sizeof(head));
    if (!c) {
        struct wire_reply reply = {.status = -RAIA_ERR_PROTOCOL, .slot = head.slot};

        link_send(rt, l, seat ? WIRE_CALL_REPLY : WIRE_REPLY, tag, &reply, sizeof(reply), false);
        return;
    }
    c->from = l;
    c->tag = tag;
    c->seat = seat;
    c->function =
        head.function && head.function <= l->ntheirs ? l->theirs[head.function - 1] : NULL;
    call_queue(rt, c);
}

struct raia_call *call_next(struct runtime *rt)
{
    struct raia_call *c, *d;

    LIST_FOREACH (c, &rt->ready, link) {
        bool behind = false;

        if (c->waits)
            continue;
        /* The calls of one caller to an actor begin in order, and tasks that must not run twice after
         * those that came before them: which have begun must be known. */
        if ((c->seat || c->head.flags & WIRE_TASK_NO_RETRY) && &c->link != rt->ready.next)
            LIST_FOREACH (d, &rt->ready, link) {
                if (d == c)
                    break;
                if (d->seat == c->seat && (c->seat || d->from == c->from)) {
                    behind = true;
                    break;
                }
            }
        if (behind)
            continue;
        list_del(&c->link);
        return c;
    }
    return NULL;
}

/* An argument has a value, but there is none of it here: the call fails for that, and the object is as
 * it was. */
static void refuse(struct raia_call *c, const raia_ref *o)
{
    struct chain why;

    if (c->status < 0)
        return;
    chain_decode(&why, o->more->refusal->data, o->more->refusal->size);
    c->status = -why.links[0].code;
    c->error = mem_new(struct chain);
    if (c->error)
        *c->error = why;
}

void call_object_came(struct runtime *rt, raia_ref *o)
{
    bool ready = false;
    struct list *l;

    while (o->more && (l = list_pop(&o->more->readers))) {
        struct call_arg *a = container_of(l, struct call_arg, waiting);

        if (o->more->mapped) {
            store_pin(o);
            a->pinned = true;
        } else if (o->state == OBJECT_STORED) {
            refuse(a->call, o);
        }
        a->call->waits--;
        ready = true;
    }
    if (ready && rt->worker)
        host_work(rt);
}

void call_canceled(struct runtime *rt, struct link *l, uint64_t tag, struct seat *seat,
                   const struct wire_cancel *how)
{
    struct wire_reply reply = {.status = -RAIA_ERR_CANCELED, .slot = how->slot};
    struct raia_call *c;

    LIST_FOREACH (c, &rt->ready, link)
        if (c->from == l && c->tag == tag && c->seat == seat) {
            if (seat)
                seat_answer(rt, seat, c, &reply, sizeof(reply));
            else
                link_send(rt, l, WIRE_REPLY, tag, &reply, sizeof(reply), false);
            call_free(rt, c);
            return;
        }
    LIST_FOREACH (c, &rt->running, link)
        if (c->from == l && c->tag == tag && c->seat == seat) {
            atomic_store(&c->canceled, true);
            c->timed_out = how->timeout;
            if (how->recursive)
                cancel_children(rt, c->number, how->force);
            if (how->force && !seat && !how->timeout) {
                rt_flush(rt);
                _exit(128 + 9);
            }
            return;
        }
}

void call_give_back(struct runtime *rt, struct link *l, uint32_t count)
{
    struct raia_call *c, *last;

    while (count-- > 0) {
        struct wire_reply reply = {.flags = WIRE_REPLY_NOT_STARTED};

        last = NULL;
        LIST_FOREACH (c, &rt->ready, link)
            if (c->from == l && !c->seat && !c->constructor)
                last = c;
        if (!last)
            break;
        link_send(rt, l, WIRE_REPLY, last->tag, &reply, sizeof(reply), false);
        call_free(rt, last);
    }
    rt_flush(rt);
}

struct children {
    uint64_t parent;
    struct task *list[256];
    unsigned n;
};

static void is_child(void *arg, struct task *t)
{
    struct children *x = arg;

    if (t->parent == x->parent && !(t->flags & TASK_CANCELED) && x->n < 256)
        x->list[x->n++] = t;
}

void cancel_children(struct runtime *rt, uint64_t number, bool force)
{
    const struct wire_cancel how = {.force = force, .recursive = 1};
    struct children x = {.parent = number};
    raia_actor *a, *next;

    submitter_each(&rt->submitter, is_child, &x);
    HASH_FOREACH (rt->actors, a, next)
        caller_each(&a->caller, is_child, &x);
    for (unsigned i = 0; i < x.n; i++) {
        if (x.list[i]->actor)
            caller_cancel(&x.list[i]->actor->caller, x.list[i], &how);
        else
            submitter_cancel(&rt->submitter, x.list[i], &how);
    }
}
