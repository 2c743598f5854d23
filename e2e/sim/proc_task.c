/* Tasks and calls from submission to answer, as coreworker/lib's submit.c and reply.c do it. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/chain.h"
#include "sim/proc.h"

/* ---- submission */

static void task_free(struct proc *p, struct task *t)
{
    struct raia_ref *o = t->returns.one;

    for (uint32_t i = 0; i < t->nheld; i++) {
        if (t->waits && !object_ready(t->held[i]))
            object_remove_deps(&p->objects, t->held[i], DEP_TASK, t);
        object_unhold(&p->objects, t->held[i]);
    }
    mem_free(t->held);
    if (o) {
        o->task = NULL;
        object_unhold(&p->objects, o);
    }
    pool_free(&p->pool, t->spec, t->spec_size);
    p->tasks--;
    pool_free(&p->pool, t, sizeof(*t));
}

/* The program, then one entry of held kind for each dep, then one with the inner references. */
static bool encode(struct proc *p, struct task *t, const struct prog *prog, struct raia_ref **deps,
                   unsigned ndeps, struct raia_ref **inner, unsigned ninner)
{
    size_t size = wire_entry_size(sizeof(*prog), 0) + ndeps * wire_entry_size(0, 0) +
                  wire_entry_size(0, ninner);
    struct wire_ref *refs;
    uint8_t *data, *at;

    t->held = mem_calloc(ndeps + ninner + 1, sizeof(*t->held));
    t->spec = pool_alloc(&p->pool, size);
    if (!t->held || !t->spec)
        return false;
    t->spec_size = (uint32_t)size;
    t->spec_held = true;
    t->nargs = (uint16_t)(ndeps + 2);
    at = t->spec;
    wire_entry_begin(at, WIRE_INLINE, RAIA_RAW, sizeof(*prog), 0, &data, &refs);
    memcpy(data, prog, sizeof(*prog));
    at += wire_entry_size(sizeof(*prog), 0);
    for (unsigned i = 0; i < ndeps; i++) {
        wire_entry_begin(at, WIRE_HELD, 0, 0, 0, &data, &refs);
        at += wire_entry_size(0, 0);
        object_hold(deps[i]);
        t->held[t->nheld++] = deps[i];
    }
    wire_entry_begin(at, WIRE_INLINE, RAIA_RAW, 0, ninner, &data, &refs);
    for (unsigned i = 0; i < ninner; i++) {
        object_name(&p->objects, inner[i], &refs[i]);
        object_hold(inner[i]);
        t->held[t->nheld++] = inner[i];
    }
    return true;
}

static unsigned ndeps_of(const struct task *t)
{
    return t->nargs - 2u;
}

static struct raia_ref *failed_argument(struct task *t)
{
    for (unsigned i = 0; i < ndeps_of(t); i++)
        if (object_is_error(t->held[i]))
            return t->held[i];
    return NULL;
}

static void set_error(struct proc *p, struct task *t, const uint8_t *bytes, size_t n)
{
    struct blob *b = blob_new(&p->objects, RAIA_ERROR_FORMAT, n, 0);

    if (!b)
        return;
    memcpy(b->data, bytes, n);
    object_set_value(&p->objects, t->returns.one, b);
}

static void fail_by_argument(struct proc *p, struct task *t, struct raia_ref *o)
{
    set_error(p, t, o->value->data, o->value->size);
    task_free(p, t);
}

void task_failed(struct proc *p, struct task *t, const struct raia_error *e)
{
    object_set_value(&p->objects, t->returns.one, blob_new_error(&p->objects, e));
    task_free(p, t);
}

void task_argument_ready(struct proc *p, struct task *t)
{
    struct raia_ref *bad;

    if (--t->waits > 0)
        return;
    bad = failed_argument(t);
    if (t->actor) {
        struct caller *k = &((struct pactor *)(void *)t->actor)->caller;

        if (bad) {
            caller_drop(k, t);
            fail_by_argument(p, t, bad);
        } else {
            caller_ready(k, t);
        }
    } else if (bad) {
        submitter_drop(&p->submitter, t);
        fail_by_argument(p, t, bad);
    } else {
        submitter_ready(&p->submitter, t);
    }
}

struct raia_ref *task_submit(struct proc *p, struct pactor *actor, const struct prog *prog,
                             struct sched_class *class, int retries, struct raia_ref **deps,
                             unsigned ndeps, struct raia_ref **inner, unsigned ninner)
{
    struct task *t = pool_alloc(&p->pool, sizeof(*t));
    struct task_name name = {.counter = ++p->counter};
    struct raia_ref *o, *bad;

    if (!t)
        return NULL;
    memset(t, 0, sizeof(*t));
    p->tasks++;
    p->c->tasks++;
    t->counter = name.counter;
    t->actor = (struct raia_actor *)(void *)actor;
    t->class = class;
    t->retries = retries;
    t->deadline = CLOCK_NEVER;
    memcpy(name.worker, p->self.worker, 16);
    oracle_task(p->c, &name, retries);
    o = object_new(&p->objects, t->counter, 1);
    if (!o || !encode(p, t, prog, deps, ndeps, inner, ninner)) {
        sim_fail(p->c->sim, "out of memory");
        return NULL;
    }
    t->nreturns = 1;
    t->returns.one = o;
    o->task = t;
    o->holds = 1;
    o->handles = 1;
    for (unsigned i = 0; i < ndeps; i++)
        if (!object_ready(deps[i])) {
            object_add_dep(&p->objects, deps[i], DEP_TASK, t, 0);
            t->waits++;
            value_query(p, deps[i]);
        }
    bad = t->waits ? NULL : failed_argument(t);
    if (bad) {
        fail_by_argument(p, t, bad);
    } else if (actor) {
        caller_add(&actor->caller, t);
        caller_pump(&actor->caller);
    } else {
        submitter_add(&p->submitter, t);
        if (t->waits == 0)
            submitter_pump(&p->submitter, class);
    }
    return o;
}

/* ---- sending */

static size_t write_spec(struct proc *p, struct task *t, struct process *to, uint8_t *at)
{
    size_t from = 0, size = 0;
    uint32_t held = 0;

    while (from < t->spec_size) {
        const struct wire_entry *e = (const struct wire_entry *)(const void *)(t->spec + from);
        const uint8_t *data = (const uint8_t *)(e + 1);
        struct raia_ref **inner = &t->held[held];
        uint32_t n = e->size, nrefs = e->nrefs;
        uint8_t kind = WIRE_INLINE, *out;
        struct wire_stored stored;
        struct wire_ref *refs;

        from += wire_entry_size(e->kind == WIRE_HELD ? 0 : e->size, nrefs);
        held += e->kind == WIRE_HELD ? 1 : nrefs;
        if (e->kind == WIRE_HELD && inner[0]->state == OBJECT_STORED) {
            const struct raia_ref *o = inner[0];

            kind = WIRE_STORED;
            stored = (struct wire_stored){.size = o->more->size};
            memcpy(stored.node, o->more->node, 16);
            if (at)
                object_export(&p->objects, inner[0], to, false, &stored.object);
            data = (const uint8_t *)&stored;
            n = sizeof(stored);
            nrefs = 0;
        } else if (e->kind == WIRE_HELD) {
            const struct blob *b = inner[0]->value;

            data = b->data;
            n = b->size;
            nrefs = b->nrefs;
            inner = b->inner;
        }
        if (at) {
            wire_entry_begin(at + size, kind, RAIA_RAW, n, nrefs, &out, &refs);
            if (n)
                memcpy(out, data, n);
            for (uint32_t i = 0; i < nrefs; i++)
                object_export(&p->objects, inner[i], to, false, &refs[i]);
        }
        size += wire_entry_size(n, nrefs);
    }
    return size;
}

int task_send(struct proc *p, struct plink *l, struct task *t, uint16_t type, uint64_t tag,
              uint32_t slot, uint64_t acked)
{
    struct raia_ref *bad = failed_argument(t);
    struct wire_task h = {.counter = t->counter,
                          .function = 1,
                          .nargs = t->nargs,
                          .nreturns = t->nreturns,
                          .attempt = t->attempt,
                          .slot = slot,
                          .acked = acked};
    size_t size;
    struct chain c;
    uint8_t *m;

    /* It was there, but its owner has died since. */
    if (bad) {
        chain_decode(&c, bad->value->data, bad->value->size);
        return -c.links[0].code;
    }
    size = write_spec(p, t, l->process, NULL);
    m = mem_alloc(sizeof(h) + size);
    if (!m) {
        sim_fail(p->c->sim, "out of memory");
        return -RAIA_ERR_NOMEM;
    }
    if (t->retries <= 0)
        h.flags |= WIRE_TASK_NO_RETRY;
    memcpy(m, &h, sizeof(h));
    write_spec(p, t, l->process, m + sizeof(h));
    plink_send(p, l, type, tag, m, sizeof(h) + size);
    mem_free(m);
    return 0;
}

/* ---- answers */

void task_replied(struct proc *p, struct plink *l, struct task *t, const void *data, size_t size)
{
    const struct wire_reply *h = data;
    const uint8_t *entries = (const uint8_t *)(h + 1);
    struct wire_item item;
    struct raia_error e;
    size_t at = 0;

    if (t->flags & TASK_CANCELED && h->status != 0) {
        err_set(&e, RAIA_ERR_CANCELED, "it was canceled");
        task_failed(p, t, &e);
        return;
    }
    if (wire_entry_parse(entries, size - sizeof(*h), &at, &item) < 0) {
        sim_fail(p->c->sim, "an answer that cannot be read");
        task_free(p, t);
        return;
    }
    if (h->status < 0) {
        if (t->flags & TASK_RETRY_ERRORS && h->status == -RAIA_ERR_TASK_FAILED &&
            (t->actor ? caller_retry(&((struct pactor *)(void *)t->actor)->caller, t)
                      : submitter_retry(&p->submitter, t))) {
            if (!t->actor)
                submitter_pump(&p->submitter, t->class);
            return;
        }
        set_error(p, t, item.data, item.head->size);
    } else {
        value_take(p, l->process, &item, t->returns.one);
    }
    task_free(p, t);
}

void task_on_reply(struct proc *p, struct plink *l, uint64_t tag, const void *data, size_t size)
{
    const struct wire_reply *h = data;
    struct task *t =
        submitter_replied(&p->submitter, l, tag, h->flags & WIRE_REPLY_NOT_STARTED, h->exec_us);

    if (t)
        task_replied(p, l, t, data, size);
}

/* ---- the submitter's effects */

static void define_class(void *ctx, struct sched_class *c)
{
    struct {
        struct rec_class m;
        int64_t quantity;
    } m = {.m = {.number = c->number, .strategy = c->strategy}};

    m.quantity = c->nresources ? c->resources[0].quantity : 0;
    proc_say(ctx, REC_CLASS, &m, sizeof(m));
}

static void demand(void *ctx, struct sched_class *c, uint32_t want)
{
    struct rec_demand m = {.number = c->number, .want = want, .granted_seen = c->granted_seen};

    proc_say(ctx, REC_DEMAND, &m, sizeof(m));
}

static void lease_open(void *ctx, struct lease *l)
{
    struct proc *p = ctx;
    struct process *q = objects_process(&p->objects, &l->worker);
    struct plink *k = q ? plink_to(p, q) : NULL;

    if (!k)
        submitter_open_failed(&p->submitter, l);
    else if (k->state == PLINK_OPENING)
        list_add_tail(&k->leases, &l->opening);
    else
        submitter_opened(&p->submitter, l, k);
}

static int lease_push(void *ctx, struct lease *l, struct task *t, uint64_t tag)
{
    struct proc *p = ctx;
    struct plink *k = l->link;

    if (k->state == PLINK_CLOSED)
        return -RAIA_ERR_UNAVAILABLE;
    return task_send(p, k, t, WIRE_TASK, tag, 0, 0);
}

static void lease_give_back(void *ctx, struct lease *l, bool broken)
{
    struct rec_lease_return m = {.lease = l->id, .broken = broken};
    struct proc *p = ctx;

    memcpy(m.node, l->worker.node, 16);
    oracle_returned(p->c, l->worker.worker, p);
    proc_say(p, REC_LEASE_RETURN, &m, sizeof(m));
}

static void lease_steal(void *ctx, struct lease *l, uint32_t count)
{
    struct wire_steal m = {.count = count};

    if (l->link)
        plink_send(ctx, l->link, WIRE_STEAL, 0, &m, sizeof(m));
}

static void lease_cancel(void *ctx, struct lease *l, uint64_t tag, const struct wire_cancel *how)
{
    if (l->link)
        plink_send(ctx, l->link, WIRE_CANCEL, tag, how, sizeof(*how));
}

static void failed(void *ctx, struct task *t, const struct raia_error *e)
{
    task_failed(ctx, t, e);
}

const struct submitter_ops proc_submitter_ops = {.define_class = define_class,
                                                 .demand = demand,
                                                 .open = lease_open,
                                                 .push = lease_push,
                                                 .give_back = lease_give_back,
                                                 .steal = lease_steal,
                                                 .cancel = lease_cancel,
                                                 .failed = failed};
