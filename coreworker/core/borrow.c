/*
 * Who else holds objects: borrowers of ours, owners of what we borrow, forwards under way. All of
 * it is counts of grants, so that the order of messages from different processes does not matter;
 * only the death of a process takes its counts away.
 */
#include <string.h>

#include "base/err.h"
#include "core/object_private.h"

struct process *objects_find_process(struct objects *t, const uint8_t worker[16])
{
    struct process *p;

    HASH_FIND(hh, t->processes, worker, 16, p);
    return p;
}

struct process *objects_process(struct objects *t, const struct record_address *address)
{
    struct process *p = objects_find_process(t, address->worker);

    if (p)
        return p;
    p = mem_new(struct process);
    if (!p)
        return NULL;
    p->address = *address;
    list_init(&p->owned);
    list_init(&p->borrowed);
    list_init(&p->forwards);
    list_init(&p->notes);
    list_init(&p->claims);
    list_init(&p->asked);
    if (HASH_PUT_KEY__(hh, t->processes, p->address.worker, 16, p) < 0) {
        mem_free(p);
        return NULL;
    }
    return p;
}

struct borrow *borrow_find__(struct raia_ref *o, const struct process *by)
{
    const struct list *here, *there;

    if (!o->more)
        return NULL;
    /* Along both lists at once, until the shorter one ends: an object may have many borrowers, and a
     * process may borrow many objects. */
    here = o->more->borrowers.next;
    there = by->borrowed.next;
    for (; here != &o->more->borrowers && there != &by->borrowed;
         here = here->next, there = there->next) {
        struct borrow *b = container_of(here, struct borrow, in_object);

        if (b->by == by)
            return b;
        b = container_of(there, struct borrow, in_process);
        if (b->object == o)
            return b;
    }
    return NULL;
}

static int grant(struct objects *t, struct raia_ref *o, struct process *to)
{
    struct object_more *m = object_more(t, o);
    struct borrow *b;

    if (!m)
        return -RAIA_ERR_NOMEM;
    b = borrow_find__(o, to);
    if (!b) {
        b = pool_alloc(t->pool, sizeof(*b));
        if (!b)
            return -RAIA_ERR_NOMEM;
        *b = (struct borrow){.by = to, .object = o, .epoch = to->epoch};
        list_add_tail(&m->borrowers, &b->in_object);
        list_add_tail(&to->borrowed, &b->in_process);
    }
    if (b->epoch != to->epoch) {
        b->epoch = to->epoch;
        b->fresh = 0;
    }
    b->count++;
    b->fresh++;
    return 0;
}

void borrow_drop__(struct objects *t, struct borrow *b)
{
    struct raia_ref *o = b->object;

    list_del(&b->in_object);
    list_del(&b->in_process);
    pool_free(t->pool, b, sizeof(*b));
    object_check__(t, o);
}

/* Grants of an object of ours come back. */
static void give_back(struct objects *t, struct raia_ref *o, const struct process *by,
                      uint64_t count)
{
    struct borrow *b = borrow_find__(o, by);

    if (!b)
        return;
    b->count -= count < b->count ? count : b->count;
    if (b->count == 0)
        borrow_drop__(t, b);
}

#define FORWARD_KEY (sizeof(struct raia_ref *) + sizeof(struct process *))

static struct forward *find_forward(struct objects *t, struct raia_ref *o, struct process *to)
{
    struct forward key = {.object = o, .to = to}, *f;

    HASH_FIND(hh, t->forwards, &key.object, FORWARD_KEY, f);
    return f;
}

/* It has it, or is dead: our hold is not needed any more. */
static void drop_forward(struct objects *t, struct forward *f)
{
    struct raia_ref *o = f->object;

    forward_note__(t, o, f->to, false);
    HASH_DEL(t->forwards, f);
    list_del(&f->in_process);
    pool_free(t->pool, f, sizeof(*f));
    object_unhold(t, o);
}

int object_export(struct objects *t, struct raia_ref *o, struct process *to, bool forward,
                  struct wire_ref *ret)
{
    struct forward *f;
    int r = object_publish__(t, o);

    if (r < 0)
        return r;
    object_name(t, o, ret);
    if (!o->owner) {
        r = to->dead ? 0 : grant(t, o, to);
        ret->flags = WIRE_GRANTED;
        return r;
    }
    if (!forward || to->dead)
        return 0;
    f = find_forward(t, o, to);
    if (f) {
        f->count++;
        return 0;
    }
    f = pool_alloc(t->pool, sizeof(*f));
    if (!f)
        return -RAIA_ERR_NOMEM;
    *f = (struct forward){.object = o, .to = to, .count = 1};
    if (HASH_PUT_KEY__(hh, t->forwards, &f->object, FORWARD_KEY, f) < 0) {
        pool_free(t->pool, f, sizeof(*f));
        return -RAIA_ERR_NOMEM;
    }
    object_hold(o);
    list_add_tail(&to->forwards, &f->in_process);
    forward_note__(t, o, to, true);
    return 0;
}

static void say(struct objects *t, struct process *to, enum wire_type type,
                const struct wire_ref *ref, uint32_t count)
{
    struct wire_object m = {.ref = *ref, .count = count};

    m.ref.flags = 0;
    t->ops->send(t->ctx, to, type, &m);
}

static void owner_died_error(const struct process *p, const struct raia_error *why,
                             struct raia_error *ret)
{
    char worker[33], node[33];

    for (int i = 0; i < 16; i++) {
        static const char hex[] = "0123456789abcdef";

        worker[2 * i] = hex[p->address.worker[i] >> 4];
        worker[2 * i + 1] = hex[p->address.worker[i] & 15];
        node[2 * i] = hex[p->address.node[i] >> 4];
        node[2 * i + 1] = hex[p->address.node[i] & 15];
    }
    worker[32] = node[32] = 0;
    err_set(
        ret, RAIA_ERR_OWNER_DIED,
        "the object's owner, worker %.12s on node %.12s, is dead (%s): its objects went with it",
        worker, node, why && why->text[0] ? why->text : "it ended");
}

struct raia_ref *objects_receive(struct objects *t, const struct wire_ref *r, struct process *from,
                                 bool tell_from)
{
    struct raia_ref *o = objects_find(t, r->worker, r->counter, r->index);
    bool mine = memcmp(r->worker, t->self.worker, 16) == 0;
    struct record_address owner;
    struct raia_error e;

    if (!o) {
        o = object_new(t, r->counter, r->index);
        if (!o)
            return NULL;
        memcpy(owner.worker, r->worker, 16);
        memcpy(owner.node, r->node, 16);
        if (mine) {
            /* A name that we gave out once, of something that is gone: an error, not a crash. */
            err_set(&e, RAIA_ERR_OBJECT_LOST,
                    "the object was freed: a reference came back too late");
            object_hold(o);
            object_set_error(t, o, &e);
            o->holds--;
        } else {
            o->owner = objects_process(t, &owner);
            if (!o->owner || object_publish__(t, o) < 0) {
                object_check__(t, o);
                return NULL;
            }
            list_add_tail(&o->owner->owned, &o->by_owner);
            if (o->owner->dead) {
                owner_died_error(o->owner, NULL, &e);
                object_hold(o);
                object_set_error(t, o, &e);
                o->holds--;
            }
        }
    }
    object_hold(o);
    if (r->flags & WIRE_GRANTED && o->owner) {
        o->grants++;
        o->flags |= OBJECT_REGISTERED;
    } else if (r->flags & WIRE_GRANTED && from) {
        give_back(t, o, from, 1); /* ours: we have sent it to ourselves */
    } else if (!(r->flags & WIRE_GRANTED) && tell_from && from) {
        bool wait = false;

        /* `from` keeps its hold until the owner counts us. */
        if (o->owner && object_register(t, o, from, &wait) < 0)
            wait = false;
        if (!wait)
            say(t, from, WIRE_REF_DONE, r, 1);
    }
    return o;
}

int object_register(struct objects *t, struct raia_ref *o, void *who, bool *ret_wait)
{
    struct wire_ref name;
    int r;

    if (!o->owner || o->owner->dead ||
        (o->flags & OBJECT_REGISTERED && !(o->flags & OBJECT_BORROWING))) {
        *ret_wait = false;
        return 0;
    }
    r = object_add_dep(t, o, DEP_REGISTERED, who, 0);
    if (r < 0)
        return r;
    *ret_wait = true;
    if (o->flags & OBJECT_BORROWING)
        return 0;
    o->flags |= OBJECT_REGISTERED | OBJECT_BORROWING;
    object_name(t, o, &name);
    say(t, o->owner, WIRE_BORROW, &name, 1);
    return 0;
}

static void on_borrow(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(t, m->ref.worker, m->ref.counter, m->ref.index);
    bool there = o && !o->owner && !from->dead && grant(t, o, from) == 0;

    say(t, from, WIRE_BORROWED, &m->ref, there);
}

static void on_borrowed(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(t, m->ref.worker, m->ref.counter, m->ref.index);
    struct raia_error e;

    if (!o || o->owner != from || !(o->flags & OBJECT_BORROWING)) {
        /* Asked for twice (before and after a break): back with it. */
        if (m->count)
            say(t, from, WIRE_UNBORROW, &m->ref, m->count);
        return;
    }
    o->flags &= (uint8_t)~OBJECT_BORROWING;
    o->grants += m->count;
    object_hold(o);
    if (m->count == 0) {
        err_set(&e, RAIA_ERR_OBJECT_LOST, "the object was freed before it could be borrowed");
        object_set_error(t, o, &e);
    }
    object_fire__(t, o, true);
    object_unhold(t, o);
}

static void on_unborrow(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(t, m->ref.worker, m->ref.counter, m->ref.index);

    if (o && !o->owner)
        give_back(t, o, from, m->count);
}

static void on_ref_done(struct objects *t, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(t, m->ref.worker, m->ref.counter, m->ref.index);
    struct forward *f = o ? find_forward(t, o, from) : NULL;

    if (!f)
        return;
    f->count -= m->count < f->count ? m->count : f->count;
    if (f->count == 0)
        drop_forward(t, f);
}

void objects_message(struct objects *t, struct process *from, enum wire_type type,
                     const struct wire_object *m)
{
    switch (type) {
    case WIRE_BORROW:
        on_borrow(t, from, m);
        break;
    case WIRE_BORROWED:
        on_borrowed(t, from, m);
        break;
    case WIRE_UNBORROW:
        on_unborrow(t, from, m);
        break;
    case WIRE_REF_DONE:
        on_ref_done(t, from, m);
        break;
    default:
        forward_message__(t, from, type, m);
        break;
    }
}

void objects_process_died(struct objects *t, struct process *p, const struct raia_error *why)
{
    struct raia_ref *o;
    struct list dead, *l;
    struct raia_error e;

    if (p->dead)
        return;
    p->dead = true;
    owner_died_error(p, why, &e);
    /* Before its borrows go: what it was forwarding is kept. */
    forward_died__(t, p);
    while ((l = list_first(&p->borrowed)))
        borrow_drop__(t, container_of(l, struct borrow, in_process));
    while ((l = list_first(&p->forwards)))
        drop_forward(t, container_of(l, struct forward, in_process));
    /* Hold them all first: what fires may free others, or make new ones. */
    list_init(&dead);
    list_splice_tail(&dead, &p->owned);
    LIST_FOREACH (o, &dead, by_owner)
        object_hold(o);
    while ((l = list_pop(&dead))) {
        o = container_of(l, struct raia_ref, by_owner);
        list_add_tail(&p->owned, l);
        o->grants = 0;
        object_set_error(t, o, &e);
        if (o->flags & OBJECT_BORROWING) {
            o->flags &= (uint8_t)~OBJECT_BORROWING;
            object_fire__(t, o, true);
        }
        object_unhold(t, o);
    }
}
