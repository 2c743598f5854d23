/* Values, and how they go between owners and borrowers, as coreworker/lib's encode.c and reply.c do
 * it. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "sim/proc.h"

/* ---- values */

struct blob *value_blob(struct proc *p, const uint8_t worker[16], uint64_t counter, uint32_t index,
                        struct raia_ref **inner, unsigned n)
{
    struct blob *b = blob_new(&p->objects, RAIA_RAW, sizeof(struct value), n);
    struct value v = {.counter = counter, .index = index, .nrefs = n};

    if (!b) {
        sim_fail(p->c->sim, "out of memory");
        return NULL;
    }
    memcpy(v.worker, worker, 16);
    memcpy(b->data, &v, sizeof(v));
    for (unsigned i = 0; i < n; i++) {
        b->inner[i] = inner[i];
        object_hold(inner[i]);
    }
    return b;
}

struct raia_ref *value_put(struct proc *p, struct raia_ref **inner, unsigned n)
{
    struct raia_ref *o = object_new(&p->objects, ++p->counter, 0);

    if (!o)
        return NULL;
    o->handles = 1;
    object_set_value(&p->objects, o, value_blob(p, p->self.worker, o->counter, o->index, inner, n));
    return o;
}

static void item_stored(struct proc *p, struct process *from, const struct wire_item *item,
                        struct raia_ref *o)
{
    const struct wire_stored *s = (const struct wire_stored *)(const void *)item->data;
    uint32_t n = item->head->nrefs;
    struct raia_ref **inner = mem_calloc(n + 1, sizeof(*inner));

    for (uint32_t i = 0; inner && i < n; i++)
        inner[i] = objects_receive(&p->objects, &item->refs[i], from, true);
    if (!inner || object_set_stored(&p->objects, o, s->size, s->node, inner, n) < 0)
        sim_fail(p->c->sim, "out of memory, or a value that comes twice");
}

void value_take(struct proc *p, struct process *from, const struct wire_item *item,
                struct raia_ref *o)
{
    uint32_t n = item->head->nrefs;
    struct blob *b;

    if (item->head->kind == WIRE_STORED) {
        item_stored(p, from, item, o);
        return;
    }
    b = blob_new(&p->objects, item->head->format, item->head->size, n);
    if (!b)
        return;
    memcpy(b->data, item->data, item->head->size);
    for (uint32_t i = 0; i < n; i++) {
        b->inner[i] = objects_receive(&p->objects, &item->refs[i], from, true);
        if (p->c->plant == PLANT_EARLY_FREE && item->refs[i].flags & WIRE_GRANTED) {
            struct wire_object m = {.ref = item->refs[i], .count = 1};

            proc_objects_ops.send(p, from, WIRE_UNBORROW, &m);
        }
    }
    object_set_value(&p->objects, o, b);
}

/* ---- the objects' effects */

static void say_object(void *ctx, struct process *to, enum wire_type type,
                       const struct wire_object *m)
{
    struct proc *p = ctx;
    struct plink *l = p->mute ? NULL : plink_to(p, to);

    if (l)
        plink_send(p, l, (uint16_t)type, 0, m, sizeof(*m));
}

static void answer_query(struct proc *p, struct raia_ref *o, struct process *to)
{
    struct plink *l = to->dead || p->mute ? NULL : plink_to(p, to);
    bool large = o->state == OBJECT_STORED;
    const struct blob *b = o->value;
    struct wire_stored stored = {0};
    struct wire_object name = {0};
    struct wire_ref *refs;
    uint8_t *m, *out;
    size_t need = sizeof(name) +
                  (large ? wire_entry_size(sizeof(stored), 0) : wire_entry_size(b->size, b->nrefs));

    if (!l)
        return;
    m = mem_alloc(need);
    if (!m) {
        sim_fail(p->c->sim, "out of memory");
        return;
    }
    object_name(&p->objects, o, &name.ref);
    memcpy(m, &name, sizeof(name));
    if (large) {
        object_name(&p->objects, o, &stored.object);
        stored.size = o->more->size;
        memcpy(stored.node, o->more->node, 16);
        wire_entry_begin(m + sizeof(name), WIRE_STORED, RAIA_RAW, sizeof(stored), 0, &out, &refs);
        memcpy(out, &stored, sizeof(stored));
    } else {
        wire_entry_begin(m + sizeof(name), WIRE_INLINE, b->format, b->size, b->nrefs, &out, &refs);
        memcpy(out, b->data, b->size);
    }
    for (size_t i = 0; !large && i < b->nrefs; i++)
        object_export(&p->objects, b->inner[i], to, true, &refs[i]);
    plink_send(p, l, WIRE_VALUE, 0, m, need);
    mem_free(m);
}

static void object_is_ready(void *ctx, struct raia_ref *o, struct dep *d)
{
    switch (d->kind) {
    case DEP_TASK:
        task_argument_ready(ctx, d->who);
        break;
    case DEP_QUERY:
        answer_query(ctx, o, d->who);
        break;
    case DEP_REGISTERED:
        call_registered(ctx, o, d->who);
        break;
    }
}

static void object_wake(void *ctx, struct raia_ref *o)
{
    act_woken(ctx, o);
}

static void free_stored(void *ctx, struct raia_ref *o)
{
    large_free(ctx, o);
}

static void unpin(void *ctx, struct raia_ref *o)
{
    large_unread(ctx, o);
}

static void nothing(void *ctx, struct raia_ref *o)
{
    (void)ctx;
    (void)o;
}

const struct objects_ops proc_objects_ops = {.ready = object_is_ready,
                                             .wake = object_wake,
                                             .send = say_object,
                                             .free_stored = free_stored,
                                             .unpin = unpin,
                                             .actor_out = nothing};

void value_query(struct proc *p, struct raia_ref *o)
{
    struct wire_object m = {0};
    struct plink *l;

    if (o->flags & OBJECT_QUERIED || !o->owner)
        return;
    l = plink_to(p, o->owner);
    if (!l)
        return;
    o->flags |= OBJECT_QUERIED;
    object_name(&p->objects, o, &m.ref);
    plink_send(p, l, WIRE_QUERY, 0, &m, sizeof(m));
}

/* After a break: what was asked is asked again; who borrows from us, or holds for us, is looked
 * for, so that its death is noticed. */
void value_ask_again(struct proc *p, struct process *q)
{
    struct raia_ref *o;
    struct plink *l;

    l = plink_to(p, q); /* counts are made to agree first */
    LIST_FOREACH (o, &q->owned, by_owner) {
        struct wire_object m = {.count = 1};

        object_name(&p->objects, o, &m.ref);
        if (l && o->flags & OBJECT_QUERIED && o->state == OBJECT_PENDING)
            plink_send(p, l, WIRE_QUERY, 0, &m, sizeof(m));
    }
}

static void query_received(struct proc *p, struct process *from, const struct wire_object *m)
{
    struct raia_ref *o = objects_find(&p->objects, m->ref.worker, m->ref.counter, m->ref.index);
    struct raia_error e;

    if (o && !o->owner && object_ready(o)) {
        answer_query(p, o, from);
    } else if (o && !o->owner) {
        object_add_dep(&p->objects, o, DEP_QUERY, from, 0);
    } else {
        err_set(&e, RAIA_ERR_OBJECT_LOST, "the object was freed by its owner");
        o = object_new(&p->objects, m->ref.counter, m->ref.index);
        if (!o)
            return;
        object_hold(o);
        object_set_error(&p->objects, o, &e);
        answer_query(p, o, from);
        object_unhold(&p->objects, o);
    }
}

static void value_received(struct proc *p, struct process *from, const void *data, size_t size)
{
    const struct wire_object *m = data;
    struct wire_item item;
    size_t at = sizeof(*m);
    struct raia_ref *o = objects_find(&p->objects, m->ref.worker, m->ref.counter, m->ref.index);

    if (wire_entry_parse(data, size, &at, &item) < 0)
        return;
    /* Nobody needs it any more, or it has come before: its references go straight back. */
    if (!o || o->owner != from || o->state != OBJECT_PENDING) {
        for (uint32_t i = 0; i < item.head->nrefs; i++)
            object_unhold(&p->objects, objects_receive(&p->objects, &item.refs[i], from, true));
        return;
    }
    value_take(p, from, &item, o);
}

void task_object_message(struct proc *p, struct plink *l, uint16_t type, const void *data,
                         size_t size)
{
    const struct wire_object *m = data;

    if (type == WIRE_QUERY) {
        query_received(p, l->process, m);
    } else if (type == WIRE_VALUE) {
        value_received(p, l->process, data, size);
    } else if (type == WIRE_BORROW && p->c->plant == PLANT_LOST_BORROW) {
        struct plink *k = plink_to(p, l->process);
        struct wire_object yes = {.ref = m->ref, .count = 1};

        if (k)
            plink_send(p, k, WIRE_BORROWED, 0, &yes, sizeof(yes));
    } else {
        objects_message(&p->objects, l->process, (enum wire_type)type, m);
    }
}
