/*
 * Answers: values and errors into the objects that wait for them; and the submitter's, callers' and
 * objects' effects on the world.
 */
#include <stdio.h>
#include <string.h>

#include "lib/runtime.h"

#define LOCAL_BYTES (UINT64_C(1) << 20) /* arguments of so much are worth going to where they are */

static const char *task_name(const struct task *t)
{
    return t->name ? t->name : t->function->name;
}

void task_complete_error(struct runtime *rt, struct task *t, const struct chain *c)
{
    uint8_t bytes[CHAIN_BYTES_MAX];
    size_t n = chain_encode(c, bytes, sizeof(bytes));

    for (unsigned i = 0; i < t->nreturns; i++) {
        raia_ref *o = task_return(t, i);
        struct blob *b = blob_new(&rt->objects, RAIA_ERROR_FORMAT, n, 0);

        if (b) {
            memcpy(b->data, bytes, n);
            object_set_value(&rt->objects, o, b);
        } else {
            object_set_error(&rt->objects, o, &c->links[0]);
        }
    }
}

void task_failed(struct runtime *rt, struct task *t, const struct raia_error *e)
{
    struct chain c = {.n = 1};

    c.links[0] = *e;
    err_wrap(&c.links[0], "%s '%s'", t->actor ? "call" : "task", task_name(t));
    c.links[0].retryable = e->retryable;
    c.links[0].maybe_executed = e->maybe_executed;
    task_complete_error(rt, t, &c);
    task_free(rt, t);
}

/* The chain of a failed answer; what it lacks is made up for. */
static void reply_chain(const struct wire_reply *h, const uint8_t *data, size_t size,
                        struct chain *c)
{
    struct wire_item item;
    size_t at = 0;

    if (h->nreturns == 1 && wire_entry_parse(data, size, &at, &item) == 0 &&
        item.head->format == RAIA_ERROR_FORMAT) {
        chain_decode(c, item.data, item.head->size);
    } else {
        chain_init(c);
        c->n = 1;
        err_set(&c->links[0], h->status > 0 ? RAIA_ERR_PROTOCOL : -h->status, "%s",
                raia_strerror(h->status));
    }
}

void task_replied(struct runtime *rt, struct link *l, struct task *t, const struct wire_reply *h,
                  const uint8_t *data, size_t size)
{
    struct wire_item item;
    struct chain c;
    size_t at = 0;
    int r = 0;

    if (t->flags & TASK_CANCELED && h->status != 0) {
        struct raia_error e;

        err_set(&e, t->flags & TASK_TIMED_OUT ? RAIA_ERR_TIMEOUT : RAIA_ERR_CANCELED,
                t->flags & TASK_TIMED_OUT ? "its deadline passed" : "it was canceled");
        task_failed(rt, t, &e);
        return;
    }
    if (h->status < 0) {
        if (t->flags & TASK_RETRY_ERRORS && h->status == -RAIA_ERR_TASK_FAILED &&
            (t->actor ? caller_retry(&t->actor->caller, t) : submitter_retry(&rt->submitter, t))) {
            if (!t->actor)
                submitter_pump(&rt->submitter, t->class);
            return;
        }
        reply_chain(h, data, size, &c);
        task_complete_error(rt, t, &c);
        task_free(rt, t);
        return;
    }
    for (unsigned i = 0; i < t->nreturns && r == 0; i++) {
        r = i < h->nreturns ? wire_entry_parse(data, size, &at, &item) : -RAIA_ERR_PROTOCOL;
        if (r == 0)
            r = item_into_object(rt, l->process, &item, task_return(t, i));
    }
    if (r < 0) {
        struct raia_error e;

        err_set(&e, -r, "its answer could not be taken: %s", raia_strerror(r));
        task_failed(rt, t, &e);
        return;
    }
    task_free(rt, t);
}

/* ---- deadlines */

struct expired {
    struct task *list[64];
    unsigned n;
    int64_t now;
    int64_t next;
};

static void look_at_deadline(void *arg, struct task *t)
{
    struct expired *x = arg;

    if (t->flags & TASK_TIMED_OUT)
        return;
    if (t->deadline > x->now) {
        if (t->deadline < x->next)
            x->next = t->deadline;
    } else if (x->n < 64) {
        x->list[x->n++] = t;
    } else {
        x->next = x->now;
    }
}

int64_t tasks_check_deadlines(struct runtime *rt, int64_t now)
{
    const struct wire_cancel how = {.timeout = 1};
    struct expired x = {.now = now, .next = CLOCK_NEVER};
    raia_actor *a, *anext;
    struct raia_error e;

    if (rt->submitter.with_deadline)
        submitter_each(&rt->submitter, look_at_deadline, &x);
    HASH_FOREACH (rt->actors, a, anext)
        if (a->caller.with_deadline)
            caller_each(&a->caller, look_at_deadline, &x);
    for (unsigned i = 0; i < x.n; i++) {
        struct task *t = x.list[i];

        if (t->state == TASK_SENT) {
            /* Getters are told now; the worker is asked to stop. */
            struct chain c = {.n = 1};

            err_set(&c.links[0], RAIA_ERR_TIMEOUT, "task '%s': its deadline passed while it ran",
                    task_name(t));
            c.links[0].maybe_executed = true;
            task_complete_error(rt, t, &c);
        }
        if (t->actor)
            caller_cancel(&t->actor->caller, t, &how);
        else
            submitter_cancel(&rt->submitter, t, &how);
    }
    (void)e;
    return x.next;
}

/* ---- the submitter's effects */

static void define_class(void *ctx, struct sched_class *c)
{
    struct runtime *rt = ctx;
    uint8_t bytes[RECORD_PAYLOAD_MAX] = {0};
    struct rec_class *m = (struct rec_class *)(void *)bytes;
    size_t at = sizeof(*m);

    m->number = c->number;
    m->nresources = c->nresources;
    m->strategy = c->strategy;
    for (unsigned i = 0; i < c->nresources; i++) {
        uint16_t len = (uint16_t)strlen(c->resources[i].name);

        memcpy(bytes + at, &c->resources[i].quantity, 8);
        memcpy(bytes + at + 8, &len, 2);
        memcpy(bytes + at + 10, c->resources[i].name, len);
        at += wire_pad(10u + len);
    }
    link_send(rt, rt->raylet, REC_CLASS, 0, bytes, at, false);
}

static void demand(void *ctx, struct sched_class *c, uint32_t want)
{
    const struct rec_demand m = {
        .number = c->number, .want = want, .granted_seen = c->granted_seen};
    struct runtime *rt = ctx;
    uint8_t bytes[sizeof(m) + 16];
    size_t size = sizeof(m);

    memcpy(bytes, &m, sizeof(m));
    if (want && submitter_prefers(c, LOCAL_BYTES, bytes + size))
        size += 16;
    link_send(rt, rt->raylet, REC_DEMAND, 0, bytes, size, false);
}

static void lease_open(void *ctx, struct lease *l)
{
    struct runtime *rt = ctx;
    struct process *p = objects_process(&rt->objects, &l->worker);
    struct link *link = p ? link_to(rt, p) : NULL;

    if (!link)
        submitter_open_failed(&rt->submitter, l);
    else if (link->kind == LINK_OPENING)
        list_add_tail(&link->leases, &l->opening);
    else
        submitter_opened(&rt->submitter, l, link);
}

static int lease_push(void *ctx, struct lease *l, struct task *t, uint64_t tag)
{
    return task_send(ctx, l->link, t, WIRE_TASK, tag, 0, 0);
}

static void lease_give_back(void *ctx, struct lease *l, bool broken)
{
    struct rec_lease_return m = {.lease = l->id, .broken = broken};
    struct runtime *rt = ctx;

    memcpy(m.node, l->worker.node, 16);
    if (!rt->dead)
        link_send(rt, rt->raylet, REC_LEASE_RETURN, 0, &m, sizeof(m), false);
}

static void lease_steal(void *ctx, struct lease *l, uint32_t count)
{
    struct wire_steal m = {.count = count};

    if (l->link)
        link_send(ctx, l->link, WIRE_STEAL, 0, &m, sizeof(m), true);
}

static void lease_cancel(void *ctx, struct lease *l, uint64_t tag, const struct wire_cancel *how)
{
    if (l->link)
        link_send(ctx, l->link, WIRE_CANCEL, tag, how, sizeof(*how), true);
}

static bool lease_begun(void *ctx, const struct lease *l, uint64_t tag, enum board_state *ret)
{
    const struct runtime *rt = ctx;
    const struct link *link = l->link;

    if (!link || !link->page)
        return false;
    *ret = board_state(rt_board(link->page), caller_key(rt->self.worker), tag);
    return true;
}

static void failed(void *ctx, struct task *t, const struct raia_error *e)
{
    task_failed(ctx, t, e);
}

const struct submitter_ops rt_submitter_ops = {.define_class = define_class,
                                               .demand = demand,
                                               .open = lease_open,
                                               .push = lease_push,
                                               .give_back = lease_give_back,
                                               .steal = lease_steal,
                                               .cancel = lease_cancel,
                                               .begun = lease_begun,

                                               .failed = failed};

/* ---- the objects' effects */

static void answer_query(struct runtime *rt, raia_ref *o, struct process *to, uint64_t tag);

static void object_is_ready(void *ctx, struct raia_ref *o, struct dep *d)
{
    struct runtime *rt = ctx;

    switch (d->kind) {
    case DEP_TASK:
        task_argument_ready(rt, d->who);
        break;
    case DEP_QUERY:
        answer_query(rt, o, d->who, d->tag);
        break;
    case DEP_REGISTERED:
        object_registered(rt, o, d->who);
        break;
    }
}

static void object_wake(void *ctx, struct raia_ref *o)
{
    rt_wake(ctx, o);
}

static void object_say(void *ctx, struct process *to, enum wire_type type,
                       const struct wire_object *m)
{
    struct runtime *rt = ctx;
    struct link *l = rt->dead ? NULL : link_to(rt, to);

    if (l)
        link_send(rt, l, (uint16_t)type, 0, m, sizeof(*m),
                  type != WIRE_UNBORROW && type != WIRE_NOTE);
    /* The owner must know of a forward before the receiver has it. */
    if (l && type == WIRE_NOTE && m->count)
        link_commit(rt, l, false);
}

static void object_free_stored(void *ctx, struct raia_ref *o)
{
    store_free(ctx, o);
}

static void object_unpin(void *ctx, struct raia_ref *o)
{
    store_unread(ctx, o);
}

static void object_actor_out(void *ctx, struct raia_ref *o)
{
    actor_scope_out(ctx, o);
}

const struct objects_ops rt_objects_ops = {.ready = object_is_ready,
                                           .wake = object_wake,
                                           .send = object_say,
                                           .free_stored = object_free_stored,
                                           .unpin = object_unpin,
                                           .actor_out = object_actor_out};

/* The value of an object, to a process that borrows it. */
static void answer_query(struct runtime *rt, raia_ref *o, struct process *to, uint64_t tag)
{
    struct wire_object name = {0};
    size_t size, nrefs = 0, need;
    _cleanup_(mem_freep) uint8_t *m = NULL;
    struct link *l = to->dead ? NULL : link_to(rt, to);
    struct wire_stored stored = {0};
    const void *data = &stored;
    uint8_t kind = WIRE_STORED, format = RAIA_RAW, *out;
    struct wire_ref *refs;

    (void)tag;
    if (!l)
        return;
    if (o->state == OBJECT_HERE) {
        kind = WIRE_INLINE;
        format = o->value->format;
        data = o->value->data;
        size = o->value->size;
        nrefs = o->value->nrefs;
    } else {
        object_name(&rt->objects, o, &stored.object);
        stored.size = o->more->size;
        memcpy(stored.node, o->more->node, 16);
        store_id(rt, o, stored.store_id);
        size = sizeof(stored);
    }
    need = sizeof(name) + wire_entry_size(size, nrefs);
    m = mem_alloc(need);
    if (!m)
        return;
    object_name(&rt->objects, o, &name.ref);
    memcpy(m, &name, sizeof(name));
    wire_entry_begin(m + sizeof(name), kind, format, size, nrefs, &out, &refs);
    memcpy(out, data, size);
    for (size_t i = 0; i < nrefs; i++)
        if (object_export(&rt->objects, o->value->inner[i], to, true, &refs[i]) < 0)
            return;
    link_send(rt, l, WIRE_VALUE, 0, m, need, true);
}

void query_received(struct runtime *rt, struct process *from, const struct wire_object *m)
{
    raia_ref *o = objects_find(&rt->objects, m->ref.worker, m->ref.counter, m->ref.index);
    struct raia_error e;

    if (o && !o->owner && object_ready(o)) {
        answer_query(rt, o, from, 0);
    } else if (o && !o->owner) {
        object_add_dep(&rt->objects, o, DEP_QUERY, from, 0);
    } else {
        struct wire_ref name = m->ref;

        /* Not known: an object made for the answer alone. */
        err_set(&e, RAIA_ERR_OBJECT_LOST, "the object was freed by its owner");
        o = object_new(&rt->objects, name.counter, name.index);
        if (!o)
            return;
        object_hold(o);
        object_set_error(&rt->objects, o, &e);
        answer_query(rt, o, from, 0);
        object_unhold(&rt->objects, o);
    }
}

void value_received(struct runtime *rt, struct process *from, const uint8_t *data, size_t size)
{
    const struct wire_object *m = (const struct wire_object *)(const void *)data;
    struct wire_item item;
    size_t at = sizeof(*m);
    raia_ref *o;

    if (size < sizeof(*m) || wire_entry_parse(data, size, &at, &item) < 0)
        return;
    o = objects_find(&rt->objects, m->ref.worker, m->ref.counter, m->ref.index);
    /* Nobody needs it any more, or it has come before: its references go straight back. */
    if (!o || o->owner != from || o->state != OBJECT_PENDING)
        item_drop(rt, from, &item);
    else
        item_into_object(rt, from, &item, o);
}
