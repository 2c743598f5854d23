/*
 * When processes or links between them end: forwards whose forwarder dies, and counts that must
 * agree again after a break.
 *
 * A forwarder tells the owner to whom it is about to forward (NOTE), before it does, and when the
 * receiver has registered (NOTE of count 0). If it dies in between, the owner keeps the object and
 * asks the receiver (CLAIM); that one answers (CLAIMED) once it has taken all that the forwarder had
 * sent, and after it has registered what came with it.
 *
 * After a break each side sends again what the other cannot know: a borrower how many grants it has
 * of each object (RESYNC, then RESYNC_END: of the others it has none), a forwarder its notes and what
 * it has forwarded (FORWARDED: answered as when it was forwarded), an owner its claims. What an owner
 * has granted since the break is on its way, and counts in any case (borrow.fresh).
 */
#include <string.h>

#include "core/object_private.h"

static struct record_address third_of(const struct wire_object *m)
{
    struct record_address a;

    memcpy(a.worker, m->ref.worker, 16);
    memcpy(a.node, m->ref.node, 16);
    return a;
}

/* About an object of `to` or of ours: that owner is understood; the ref names a third process. */
static void say_third(struct objects *t, struct process *to, enum wire_type type, uint64_t counter,
                      uint32_t index, const struct process *third, uint32_t count)
{
    struct wire_object m = {.ref = {.counter = counter, .index = index}, .count = count};

    memcpy(m.ref.worker, third->address.worker, 16);
    memcpy(m.ref.node, third->address.node, 16);
    t->ops->send(t->ctx, to, type, &m);
}

static struct third *third_add(struct objects *t, struct list *list, struct raia_ref *o,
                               struct process *other)
{
    struct third *n = pool_alloc(t->pool, sizeof(*n));

    if (!n)
        return NULL;
    *n = (struct third){.object = o, .other = other};
    if (o)
        object_hold(o);
    list_add_tail(list, &n->in_process);
    return n;
}

static void third_drop(struct objects *t, struct third *n)
{
    struct raia_ref *o = n->object;

    list_del(&n->in_process);
    pool_free(t->pool, n, sizeof(*n));
    if (o)
        object_unhold(t, o);
}

void forward_drop_all__(struct objects *t, struct list *thirds)
{
    struct list *l;

    while ((l = list_first(thirds)))
        third_drop(t, container_of(l, struct third, in_process));
}

void forward_note__(struct objects *t, struct raia_ref *o, struct process *to, bool begins)
{
    if (o->owner && o->owner != to && !o->owner->dead && t->ops)
        say_third(t, o->owner, WIRE_NOTE, o->counter, o->index, to, begins);
}

/* ---- the owner */

static struct third *find(struct list *list, const struct raia_ref *o, const struct process *other)
{
    struct third *n;

    LIST_FOREACH (n, list, in_process)
        if (n->object == o && n->other == other)
            return n;
    return NULL;
}

static void on_note(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(t, t->self.worker, m->ref.counter, m->ref.index);
    struct record_address address = third_of(m);
    struct process *to = objects_process(t, &address);
    struct third *n = o && to ? find(&from->notes, o, to) : NULL;

    if (!o || !to || from->dead)
        return;
    if (m->count && !n)
        n = third_add(t, &from->notes, o, to);
    if (m->count && n)
        n->epoch = from->epoch;
    else if (n)
        third_drop(t, n);
}

void forward_died__(struct objects *t, struct process *p)
{
    struct list *l;

    /* What it may have forwarded to those that live is kept for them until they have answered. */
    while ((l = list_first(&p->notes))) {
        struct third *n = container_of(l, struct third, in_process);
        struct process *to = n->other;

        if (to->dead || memcmp(to->address.worker, t->self.worker, 16) == 0) {
            third_drop(t, n);
            continue;
        }
        list_del(l);
        n->other = p;
        list_add_tail(&to->claims, &n->in_process);
        say_third(t, to, WIRE_CLAIM, n->object->counter, n->object->index, p, 1);
    }
    forward_drop_all__(t, &p->claims);
    forward_answer__(t, p);
}

static void on_claimed(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(t, t->self.worker, m->ref.counter, m->ref.index);
    struct process *forwarder = objects_find_process(t, m->ref.worker);
    struct third *n = o && forwarder ? find(&from->claims, o, forwarder) : NULL;

    if (n)
        third_drop(t, n);
}

/* ---- the receiver */

static void answer(struct objects *t, struct process *owner, uint64_t counter, uint32_t index,
                   const struct process *forwarder)
{
    struct raia_ref *o = objects_find(t, owner->address.worker, counter, index);
    struct wire_object m = {.count = 1};

    if (owner->dead)
        return;
    if (o && !(o->flags & OBJECT_REGISTERED)) {
        o->flags |= OBJECT_REGISTERED | OBJECT_BORROWING;
        object_name(t, o, &m.ref);
        t->ops->send(t->ctx, owner, WIRE_BORROW, &m);
    }
    say_third(t, owner, WIRE_CLAIMED, counter, index, forwarder, 1);
}

static void on_claim(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct record_address address = third_of(m);
    struct process *forwarder = objects_process(t, &address);
    struct third *n;

    if (!forwarder)
        return;
    /* What it had sent may still be in the ring: its end is told after that. */
    if (!forwarder->dead && forwarder->link) {
        n = third_add(t, &forwarder->asked, NULL, from);
        if (n) {
            n->counter = m->ref.counter;
            n->index = m->ref.index;
            return;
        }
    }
    answer(t, from, m->ref.counter, m->ref.index, forwarder);
}

void forward_answer__(struct objects *t, struct process *forwarder)
{
    struct list *l;

    while ((l = list_first(&forwarder->asked))) {
        struct third n = *container_of(l, struct third, in_process);

        third_drop(t, container_of(l, struct third, in_process));
        answer(t, n.other, n.counter, n.index, forwarder);
    }
}

/* ---- after a break */

bool objects_link_broke(struct objects *t, struct process *p)
{
    struct process *q, *next;
    struct raia_ref *o;

    p->epoch++;
    forward_answer__(t, p);
    /* Of what it forwarded before it will ask again: a REF_DONE too many would end a later forward. */
    HASH_FOREACH (t->processes, q, next)
        LIST_FOREACH (o, &q->owned, by_owner)
            if (o->flags & OBJECT_BORROWING)
                object_remove_deps(t, o, DEP_REGISTERED, p);
    return !list_empty(&p->owned) || !list_empty(&p->borrowed) || !list_empty(&p->forwards) ||
           !list_empty(&p->notes) || !list_empty(&p->claims);
}

static void say_named(struct objects *t, struct process *to, enum wire_type type,
                      const struct raia_ref *o, uint32_t count)
{
    struct wire_object m = {.count = count};

    object_name(t, o, &m.ref);
    t->ops->send(t->ctx, to, type, &m);
}

void objects_resync(struct objects *t, struct process *p)
{
    const struct wire_object end = {0};
    struct process *q, *qnext;
    struct raia_ref *o;
    struct forward *f;
    struct third *n;

    p->stated = p->epoch + 1;
    LIST_FOREACH (o, &p->owned, by_owner) {
        if (o->grants)
            say_named(t, p, WIRE_RESYNC, o, o->grants);
        if (o->flags & OBJECT_BORROWING)
            say_named(t, p, WIRE_BORROW, o, 1);
    }
    HASH_FOREACH (t->processes, q, qnext)
        LIST_FOREACH (f, &q->forwards, in_process)
            if (f->object->owner == p)
                forward_note__(t, f->object, q, true);
    t->ops->send(t->ctx, p, WIRE_RESYNC_END, &end);
    LIST_FOREACH (f, &p->forwards, in_process) {
        f->count = 1; /* answers to those before may be lost: this one is answered */
        say_named(t, p, WIRE_FORWARDED, f->object, 1);
    }
    LIST_FOREACH (n, &p->claims, in_process)
        say_third(t, p, WIRE_CLAIM, n->object->counter, n->object->index, n->other, 1);
}

/* What it was granted since the break. */
static uint64_t fresh(const struct borrow *b)
{
    return b->epoch == b->by->epoch ? b->fresh : 0;
}

static void on_resync(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(t, m->ref.worker, m->ref.counter, m->ref.index);
    struct borrow *b = o && !o->owner ? borrow_find__(o, from) : NULL;

    if (!b)
        return;
    b->count = m->count + fresh(b);
    b->seen = from->epoch + 1;
}

static void on_resync_end(struct objects *t, struct process *from)
{
    struct borrow *b, *bnext;
    struct third *n, *nnext;

    LIST_FOREACH_SAFE (b, bnext, &from->borrowed, in_process) {
        if (b->seen == from->epoch + 1)
            continue;
        b->count = fresh(b);
        if (b->count == 0)
            borrow_drop__(t, b);
    }
    LIST_FOREACH_SAFE (n, nnext, &from->notes, in_process)
        if (n->epoch != from->epoch)
            third_drop(t, n);
    /* It may count us where we have nothing to ask it for. */
    if (objects_must_resync(from))
        objects_resync(t, from);
}

void forward_message__(struct objects *t, struct process *from, enum wire_type type,
                       const struct wire_object *m)
{
    struct raia_ref *o;

    switch (type) {
    case WIRE_NOTE:
        on_note(t, from, m);
        break;
    case WIRE_CLAIM:
        on_claim(t, from, m);
        break;
    case WIRE_CLAIMED:
        on_claimed(t, from, m);
        break;
    case WIRE_FORWARDED:
        o = objects_receive(t, &m->ref, from, true);
        if (o)
            object_unhold(t, o);
        break;
    case WIRE_RESYNC:
        on_resync(t, from, m);
        break;
    case WIRE_RESYNC_END:
        on_resync_end(t, from);
        break;
    default:
        break;
    }
}
