/*
 * Large values: made in the store of the process's node, fetched into it, read and let go, as
 * coreworker/lib's store.c does it. Bytes are stamps that follow from the object's id.
 */
#include <string.h>

#include "base/err.h"
#include "base/hash64.h"
#include "base/mem.h"
#include "sim/proc.h"

/* What was asked of the store. */
struct question {
    struct list link; /* proc.questions */
    uint64_t tag;
    struct raia_ref *o;    /* GET: what; held */
    struct making *making; /* CREATE: for whom */
};

/* Where an object lies; object_more.mapped points to it. In the cluster's arena. */
struct place {
    uint32_t segment;
    uint64_t offset, size; /* bytes */
};

static void large_id(const struct proc *p, const struct raia_ref *o, uint8_t to[28])
{
    rec_object_id(to, o->owner ? o->owner->address.worker : p->self.worker, o->counter, o->index);
}

static uint64_t stamp(const uint8_t id[28], uint64_t i)
{
    return hash_bytes(id, 28) + i * UINT64_C(0x9e3779b97f4a7c15);
}

static void say_object(struct proc *p, uint16_t type, const struct raia_ref *o, uint32_t flags)
{
    struct rec_object m = {.flags = flags};

    large_id(p, o, m.object);
    proc_say(p, type, &m, sizeof(m));
}

/* A record with a tag, which its answer will have. */
static uint64_t ask(struct proc *p, uint16_t type, const void *data, size_t size)
{
    uint64_t tag = ++p->next_tag;

    if (!p->mute)
        lane_send(p->up, type, 0, tag, data, size);
    return tag;
}

/* ---- reading */

void large_look(const struct proc *p, const struct raia_ref *o)
{
    const struct place *x = (const struct place *)(const void *)o->more->mapped;
    const uint64_t *at;
    uint8_t id[28];

    if (!p->alive || !node_alive(p->node))
        return;
    large_id(p, o, id);
    at = node_memory(p->node, x->segment, x->offset, x->size);
    for (uint64_t i = 0; at && i < x->size / WORLD_STAMP; i++)
        if (at[i] != stamp(id, i))
            at = NULL;
    if (!at)
        sim_fail(p->c->sim, "object %02x%02x/%llu: %02x%02x reads other bytes, or none", id[0],
                 id[1], (unsigned long long)o->counter, p->self.worker[0], p->self.worker[1]);
}

static bool mapped(const struct proc *p, uint32_t segment)
{
    return segment < PROC_SEGMENTS && p->segments[segment];
}

static void came(struct proc *p, struct raia_ref *o, const struct rec_store_at *m, size_t size)
{
    struct raia_error e;
    int status = m->status;
    struct place *x;

    o->more->fetching = false;
    if (status == 0) {
        x = world_alloc(p->c, sizeof(*x));
        if (!x)
            return;
        *x = (struct place){.segment = m->segment, .offset = m->offset, .size = m->size};
        if (!mapped(p, m->segment) || m->size != o->more->size)
            sim_fail(
                p->c->sim,
                "object %02x%02x/%llu came with %llu bytes, not %llu, in segment %u, mapped %d",
                m->object[0], m->object[1], (unsigned long long)o->counter,
                (unsigned long long)m->size, (unsigned long long)o->more->size, m->segment,
                mapped(p, m->segment));
        o->more->mapped = (const uint8_t *)x;
        o->more->pins = 0;
        large_look(p, o);
        p->c->fetched++;
    } else {
        err_set(&e, -status, "%.*s", (int)(size - sizeof(*m)), (const char *)(m + 1));
        if (p->c->plant == PLANT_FULL_STAYS && o->state == OBJECT_STORED)
            object_set_error(&p->objects, o, &e);
        else
            object_fetch_failed(&p->objects, o, &e);
    }
    if (o->flags & OBJECT_WAITED) {
        o->flags &= (uint8_t)~OBJECT_WAITED;
        act_woken(p, o);
    }
    call_object_came(p, o);
    object_unhold(&p->objects, o);
}

void large_fetch(struct proc *p, struct raia_ref *o)
{
    struct {
        struct rec_store_get get;
        uint8_t node[16];
    } m = {.get = {.nnodes = 1, .deadline_ms = UINT32_MAX}};
    struct question *q;

    if (o->more->fetching || o->more->mapped)
        return;
    q = mem_new(struct question);
    if (!q) {
        sim_fail(p->c->sim, "out of memory");
        return;
    }
    large_id(p, o, m.get.object);
    m.get.owner = o->owner ? o->owner->address : p->self;
    memcpy(m.node, o->more->node, 16);
    q->o = o;
    q->tag = ask(p, REC_STORE_GET, &m, sizeof(m));
    object_hold(o);
    o->more->fetching = true;
    list_add_tail(&p->questions, &q->link);
}

void large_pin(struct raia_ref *o)
{
    o->more->pins++;
    object_hold(o);
}

void large_unpin(struct proc *p, struct raia_ref *o)
{
    if (o->more->mapped)
        large_look(p, o);
    if (--o->more->pins == 0 && o->more->mapped) {
        o->more->mapped = NULL;
        say_object(p, REC_STORE_RELEASE, o, 0);
    }
    object_unhold(&p->objects, o);
}

void large_unread(struct proc *p, struct raia_ref *o)
{
    large_look(p, o);
    o->more->mapped = NULL;
    say_object(p, REC_STORE_RELEASE, o, 0);
}

void large_free(struct proc *p, struct raia_ref *o)
{
    struct {
        struct rec_store_free free;
        uint8_t node[16];
    } m = {.free = {.nnodes = 1}};

    large_id(p, o, m.free.object);
    memcpy(m.node, o->more->node, 16);
    proc_say(p, REC_STORE_FREE, &m, sizeof(m));
}

/* ---- making */

void large_make(struct act *a, struct raia_ref *o, uint64_t size, struct raia_ref **inner,
                unsigned n)
{
    struct rec_store_create m = {.size = size, .deadline_ms = 200};
    struct question *q = mem_new(struct question);
    struct making *k = &a->making;
    struct proc *p = a->p;

    if (!q) {
        sim_fail(p->c->sim, "out of memory");
        return;
    }
    *k = (struct making){.act = a, .state = MAKING_ASKED, .o = o, .size = size};
    for (unsigned i = 0; i < n; i++) {
        k->inner[k->n++] = inner[i];
        object_hold(inner[i]);
    }
    large_id(p, o, m.object);
    m.owner = o->owner ? o->owner->address : p->self;
    q->making = k;
    q->tag = ask(p, REC_STORE_CREATE, &m, sizeof(m));
    list_add_tail(&p->questions, &q->link);
}

static void created(struct proc *p, struct making *k, const struct rec_store_at *m)
{
    uint64_t *at;
    uint8_t id[28];

    k->status = m->status;
    k->state = m->status == 0 ? MAKING_GIVEN : MAKING_FAILED;
    if (m->status == 0) {
        large_id(p, k->o, id);
        at = mapped(p, m->segment) ? node_memory(p->node, m->segment, m->offset, k->size) : NULL;
        if (!at || m->size != k->size)
            sim_fail(p->c->sim, "memory for an object is not there, or not mapped");
        for (uint64_t i = 0; at && i < k->size / WORLD_STAMP; i++)
            at[i] = stamp(id, i);
    }
    act_later(k->act, prng_range(p->c->prng, 1, 3000));
}

static void forget_inner(struct proc *p, struct making *k)
{
    while (k->n)
        object_unhold(&p->objects, k->inner[--k->n]);
}

/* Its inner references go over to the object. */
static void set_stored(struct proc *p, struct making *k)
{
    struct raia_ref **inner = mem_calloc(k->n + 1, sizeof(*inner));

    memcpy(inner, k->inner, k->n * sizeof(*inner));
    if (object_set_stored(&p->objects, k->o, k->size, p->self.node, inner, k->n) < 0)
        sim_fail(p->c->sim, "an object that is made has a value");
    k->n = 0;
}

int large_made(struct act *a)
{
    struct making *k = &a->making;
    struct proc *p = a->p;
    int status = k->status;

    k->state = MAKING_NONE;
    if (status == -RAIA_ERR_EXISTS && k->o->owner) {
        set_stored(p, k); /* an attempt before this one made it: the same value */
        return 0;
    }
    if (status == 0 && prng_chance(p->c->prng, 0.05)) {
        say_object(p, REC_STORE_ABORT, k->o, 0);
        status = -RAIA_ERR_TASK_FAILED;
    }
    if (status < 0) {
        forget_inner(p, k);
        return status;
    }
    say_object(p, REC_STORE_SEAL, k->o, REC_OBJECT_RELEASE);
    set_stored(p, k);
    return 0;
}

/* Its program ends before it was made. */
void large_unmade(struct act *a)
{
    struct making *k = &a->making;

    if (k->state == MAKING_NONE)
        return;
    k->state = MAKING_NONE;
    forget_inner(a->p, k);
    if (k->o->owner)
        object_unhold(&a->p->objects, k->o);
    else
        object_release(&a->p->objects, k->o);
}

/* ---- records */

static void lost(struct proc *p, const struct rec_store_lost *m)
{
    struct raia_ref *o = objects_find_stored(&p->objects, m->object);
    struct raia_error e;

    if (!o || o->state != OBJECT_STORED || memcmp(o->more->node, m->node, 16) || o->more->mapped)
        return;
    err_set(&e, RAIA_ERR_OBJECT_LOST, "the only copy went with its node");
    object_set_error(&p->objects, o, &e);
}

void large_doubt(struct proc *p, const struct raia_ref *o)
{
    say_object(p, REC_STORE_DOUBT, o, 0);
}

static void stray(struct proc *p, const struct rec_store_stray *asked)
{
    struct rec_store_stray m = *asked;
    uint64_t counter = rec_object_counter(m.object);
    struct raia_ref *o = objects_find_stored(&p->objects, m.object);
    struct pactor *a;

    m.flags = 0;
    if (o && o->state == OBJECT_STORED && !memcmp(o->more->node, m.node, 16)) {
        m.flags = REC_STRAY_TAKEN;
    } else {
        if (submitter_has(&p->submitter, counter))
            return;
        LIST_FOREACH (a, &p->actors, link)
            if (caller_has(&a->caller, counter))
                return;
        p->c->strays++;
    }
    proc_say(p, REC_STORE_STRAY_IS, &m, sizeof(m));
}

static void gone(struct proc *p, uint32_t segment)
{
    if (!mapped(p, segment))
        sim_fail(p->c->sim, "segment %u goes, which is not mapped", segment);
    else
        p->segments[segment] = false;
}

static void answered(struct proc *p, uint64_t tag, const struct rec_store_at *m, size_t size)
{
    struct question *q;

    LIST_FOREACH (q, &p->questions, link) {
        struct raia_ref *o = q->o;
        struct making *k = q->making;

        if (q->tag != tag)
            continue;
        list_del(&q->link);
        mem_free(q);
        if (k)
            created(p, k, m);
        else
            came(p, o, m, size);
        return;
    }
    sim_fail(p->c->sim, "the store answers what was not asked, or answers twice");
}

void large_record(struct proc *p, uint16_t type, uint64_t tag, const void *data, size_t size)
{
    const struct rec_segment *s = data;

    switch (type) {
    case REC_SEGMENT:
        if (s->segment >= PROC_SEGMENTS || p->segments[s->segment])
            sim_fail(p->c->sim, "segment %u comes twice, or is one too many", s->segment);
        else
            p->segments[s->segment] = true;
        break;
    case REC_SEGMENT_GONE:
        gone(p, s->segment);
        break;
    case REC_STORE_CREATED:
    case REC_STORE_GOT:
        answered(p, tag, data, size);
        break;
    case REC_STORE_STRAY:
        stray(p, data);
        break;
    case REC_STORE_LOST:
        lost(p, data);
        break;
    default:
        break;
    }
}

void large_fini(struct proc *p)
{
    struct list *l;

    while ((l = list_pop(&p->questions))) {
        struct question *q = container_of(l, struct question, link);

        if (q->o)
            object_unhold(&p->objects, q->o);
        mem_free(q);
    }
}
