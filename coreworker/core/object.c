/*
 * The life of objects: made, given a value, waited for, freed. Who else holds them is in borrow.c.
 */
#include "core/object.h"

#include <string.h>

#include "base/err.h"
#include "core/object_private.h"

/* What an object that lost its value for want of memory says. */
static const struct blob out_of_memory = {.count = 1u << 30, .format = RAIA_ERROR_FORMAT};

static uint32_t bucket(const struct objects *t, const uint8_t worker[16], uint64_t counter,
                       uint32_t index)
{
    uint64_t w;

    memcpy(&w, worker, sizeof(w));
    return (uint32_t)hash_u64(w ^ hash_u64(counter ^ (uint64_t)index << 40)) & (t->table_size - 1);
}

static const uint8_t *worker_of(const struct objects *t, const struct raia_ref *o)
{
    return o->owner ? o->owner->address.worker : t->self.worker;
}

void objects_init(struct objects *t, struct pool *pool, const struct record_address *self,
                  const struct objects_ops *ops, void *ctx)
{
    *t = (struct objects){.pool = pool,
                          .refs = pool,
                          .self = *self,
                          .ops = ops,
                          .ctx = ctx,
                          .epoch = t->epoch + 1,
                          .blob_bytes = t->blob_bytes};
}

void objects_fini(struct objects *t)
{
    struct raia_ref **table = STEAL(t->table);
    uint32_t size = t->table_size;
    struct process *p, *next;

    /* From here on nothing is told to anybody. */
    t->ops = NULL;
    t->table_size = t->table_count = 0;
    for (uint32_t i = 0; i < size; i++)
        for (struct raia_ref *o = table[i]; o; o = o->hash_next)
            object_hold(o);
    HASH_FOREACH (t->processes, p, next) {
        struct borrow *b, *bnext;
        struct forward *f, *fnext;

        LIST_FOREACH_SAFE (b, bnext, &p->borrowed, in_process)
            pool_free(t->pool, b, sizeof(*b));
        LIST_FOREACH_SAFE (f, fnext, &p->forwards, in_process) {
            HASH_DEL(t->forwards, f);
            object_unhold(t, f->object);
            pool_free(t->pool, f, sizeof(*f));
        }
        forward_drop_all__(t, &p->notes);
        forward_drop_all__(t, &p->claims);
        forward_drop_all__(t, &p->asked);
    }
    for (uint32_t i = 0; i < size; i++) {
        struct raia_ref *o, *after;

        for (o = table[i]; o; o = after) {
            after = o->hash_next;
            o->flags &= (uint8_t)~OBJECT_EXPORTED;
            o->hash_next = NULL;
            object_unhold(t, o);
        }
    }
    HASH_FOREACH (t->processes, p, next) {
        HASH_DEL(t->processes, p);
        mem_free(p);
    }
    mem_free(table);
    *t = (struct objects){.epoch = t->epoch,
                          .pool = t->pool,
                          .refs = t->refs,
                          .count = t->count,
                          .blob_bytes = t->blob_bytes};
}

struct raia_ref *object_new(struct objects *t, uint64_t counter, uint32_t index)
{
    struct raia_ref *o = pool_alloc(t->refs, sizeof(*o));

    if (!o)
        return NULL;
    memset(o, 0, sizeof(*o));
    o->magic = OBJECT_MAGIC;
    o->counter = counter;
    o->index = index;
    o->epoch = t->epoch;
    t->count++;
    return o;
}

/* ---- the table by id */

static int table_grow(struct objects *t)
{
    uint32_t old_size = t->table_size, size = old_size ? old_size * 2 : 256;
    struct raia_ref **old = t->table, **table = mem_calloc(size, sizeof(struct raia_ref *));

    if (!table)
        return old ? 0 : -RAIA_ERR_NOMEM;
    t->table = table;
    t->table_size = size;
    for (uint32_t i = 0; i < old_size; i++) {
        struct raia_ref *o, *next;

        for (o = old[i]; o; o = next) {
            uint32_t b = bucket(t, worker_of(t, o), o->counter, o->index);

            next = o->hash_next;
            o->hash_next = table[b];
            table[b] = o;
        }
    }
    mem_free(old);
    return 0;
}

int object_publish__(struct objects *t, struct raia_ref *o)
{
    uint32_t b;

    if (o->flags & OBJECT_EXPORTED)
        return 0;
    if (t->table_count >= t->table_size && table_grow(t) < 0)
        return -RAIA_ERR_NOMEM;
    b = bucket(t, worker_of(t, o), o->counter, o->index);
    o->hash_next = t->table[b];
    t->table[b] = o;
    t->table_count++;
    o->flags |= OBJECT_EXPORTED;
    return 0;
}

static void unpublish(struct objects *t, struct raia_ref *o)
{
    struct raia_ref **at;

    if (!(o->flags & OBJECT_EXPORTED) || o->epoch != t->epoch || !t->table)
        return;
    at = &t->table[bucket(t, worker_of(t, o), o->counter, o->index)];
    while (*at != o)
        at = &(*at)->hash_next;
    *at = o->hash_next;
    o->hash_next = NULL;
    t->table_count--;
    o->flags &= (uint8_t)~OBJECT_EXPORTED;
}

struct raia_ref *objects_find(struct objects *t, const uint8_t worker[16], uint64_t counter,
                              uint32_t index)
{
    struct raia_ref *o;

    if (!t->table_size)
        return NULL;
    for (o = t->table[bucket(t, worker, counter, index)]; o; o = o->hash_next)
        if (o->counter == counter && o->index == index && memcmp(worker_of(t, o), worker, 16) == 0)
            return o;
    return NULL;
}

struct raia_ref *objects_find_stored(struct objects *t, const uint8_t id[28])
{
    return objects_find(t, id, rec_object_counter(id), rec_object_index(id));
}

void object_name(const struct objects *t, const struct raia_ref *o, struct wire_ref *ret)
{
    const struct record_address *a = o->owner ? &o->owner->address : &t->self;

    *ret = (struct wire_ref){.counter = o->counter, .index = o->index};
    memcpy(ret->worker, a->worker, 16);
    memcpy(ret->node, a->node, 16);
}

/* ---- the end */

static bool current(const struct objects *t, const struct raia_ref *o)
{
    return o->epoch == t->epoch && t->ops;
}

static bool counted(const struct objects *t, const struct raia_ref *o)
{
    return o->handles || o->holds ||
           (current(t, o) &&
            ((o->more && !list_empty(&o->more->borrowers)) || o->flags & OBJECT_BORROWING));
}

static void unref_error(struct objects *t, struct blob *b)
{
    if (b != &out_of_memory)
        blob_unref(t, b);
}

static void unref_value(struct objects *t, struct raia_ref *o)
{
    unref_error(t, STEAL(o->value));
}

static void object_free(struct objects *t, struct raia_ref *o)
{
    struct dep *d, *next;

    if (!current(t, o))
        goto memory;
    unpublish(t, o);
    list_del(&o->by_owner);
    if (o->owner && o->grants && !o->owner->dead) {
        struct wire_object m = {.count = o->grants};

        object_name(t, o, &m.ref);
        t->ops->send(t->ctx, o->owner, WIRE_UNBORROW, &m);
    }
    if (!o->owner && o->flags & OBJECT_ACTOR)
        t->ops->actor_out(t->ctx, o);
    if (o->more && o->more->mapped)
        t->ops->unpin(t->ctx, o);
    if (!o->owner && o->state == OBJECT_STORED)
        t->ops->free_stored(t->ctx, o);
memory:
    for (d = o->deps; d; d = next) {
        next = d->next;
        pool_free(t->pool, d, sizeof(*d));
    }
    unref_value(t, o);
    if (o->more) {
        for (uint32_t i = 0; i < o->more->ninner; i++)
            if (o->more->inner[i])
                object_unhold(t, o->more->inner[i]);
        mem_free(o->more->inner);
        unref_error(t, o->more->refusal);
        pool_free(t->pool, o->more, sizeof(*o->more));
    }
    o->magic = 0;
    t->count--;
    pool_free(t->refs, o, sizeof(*o));
}

/* Frees what nothing counts; values inside values become a list here, not a recursion. */
void object_check__(struct objects *t, struct raia_ref *o)
{
    if (counted(t, o))
        return;
    unpublish(t, o);
    /* One that is being freed is not counted again: its magic says so. */
    if (o->magic != OBJECT_MAGIC)
        return;
    o->magic = ~OBJECT_MAGIC;
    o->hash_next = t->dying;
    t->dying = o;
    if (t->collecting)
        return;
    t->collecting = true;
    while (t->dying) {
        o = t->dying;
        t->dying = o->hash_next;
        o->hash_next = NULL;
        object_free(t, o);
    }
    t->collecting = false;
}

void object_unhold(struct objects *t, struct raia_ref *o)
{
    if (--o->holds == 0)
        object_check__(t, o);
}

void object_release(struct objects *t, struct raia_ref *o)
{
    if (--o->handles == 0)
        object_check__(t, o);
}

/* ---- values */

struct object_more *object_more(struct objects *t, struct raia_ref *o)
{
    if (!o->more) {
        o->more = pool_alloc(t->pool, sizeof(*o->more));
        if (!o->more)
            return NULL;
        *o->more = (struct object_more){0};
        list_init(&o->more->borrowers);
        list_init(&o->more->readers);
    }
    return o->more;
}

int object_add_dep(struct objects *t, struct raia_ref *o, enum dep_kind kind, void *who,
                   uint64_t tag)
{
    struct dep *d = pool_alloc(t->pool, sizeof(*d));

    if (!d)
        return -RAIA_ERR_NOMEM;
    *d = (struct dep){.next = o->deps, .kind = kind, .who = who, .tag = tag};
    o->deps = d;
    return 0;
}

void object_remove_deps(struct objects *t, struct raia_ref *o, enum dep_kind kind, const void *who)
{
    struct dep **at = &o->deps, *d;

    while ((d = *at)) {
        if (d->kind == kind && d->who == who) {
            *at = d->next;
            pool_free(t->pool, d, sizeof(*d));
        } else {
            at = &d->next;
        }
    }
}

/* Fires the deps that wait for the value (or, `registered`, for the grant), oldest first. */
void object_fire__(struct objects *t, struct raia_ref *o, bool registered)
{
    struct dep **at = &o->deps, *d, *fire = NULL;

    while ((d = *at)) {
        if ((d->kind == DEP_REGISTERED) == registered) {
            *at = d->next;
            d->next = fire;
            fire = d;
        } else {
            at = &d->next;
        }
    }
    object_hold(o);
    while ((d = fire)) {
        fire = d->next;
        t->ops->ready(t->ctx, o, d);
        pool_free(t->pool, d, sizeof(*d));
    }
    if (!registered) {
        t->ready_count++;
        if (o->flags & OBJECT_WAITED) {
            o->flags &= (uint8_t)~OBJECT_WAITED;
            t->ops->wake(t->ctx, o);
        }
    }
    object_unhold(t, o);
}

void object_set_value(struct objects *t, struct raia_ref *o, struct blob *value)
{
    if (o->state != OBJECT_PENDING) {
        blob_unref(t, value);
        return;
    }
    o->value = value;
    o->state = OBJECT_HERE;
    if (o->deps || o->flags & OBJECT_WAITED)
        object_fire__(t, o, false);
    else
        t->ready_count++;
}

void object_give(struct objects *t, struct raia_ref *o, struct process *owner)
{
    unpublish(t, o);
    o->owner = owner;
}

int object_set_stored(struct objects *t, struct raia_ref *o, uint64_t size, const uint8_t node[16],
                      struct raia_ref **inner, uint32_t ninner)
{
    struct object_more *m = object_more(t, o);

    if (!m)
        return -RAIA_ERR_NOMEM;
    if (o->state != OBJECT_PENDING)
        return -RAIA_ERR_EXISTS;
    /* The store may ask for it by its id. */
    if (!o->owner && object_publish__(t, o) < 0)
        return -RAIA_ERR_NOMEM;
    m->size = size;
    memcpy(m->node, node, 16);
    m->inner = inner;
    m->ninner = ninner;
    o->state = OBJECT_STORED;
    object_fire__(t, o, false);
    return 0;
}

/* Without memory the error is there all the same, only without its text. */
static struct blob *new_error(struct objects *t, const struct raia_error *e)
{
    struct blob *b = blob_new_error(t, e);

    return b ? b : (struct blob *)(uintptr_t)&out_of_memory;
}

void object_set_error(struct objects *t, struct raia_ref *o, const struct raia_error *e)
{
    struct blob *b = new_error(t, e);
    bool pending = o->state == OBJECT_PENDING;

    /* Nobody can get to what the store has of it any more. */
    if (o->state == OBJECT_STORED && !o->owner)
        t->ops->free_stored(t->ctx, o);
    unref_value(t, o);
    o->value = b;
    o->state = OBJECT_HERE;
    if (pending || o->deps || o->flags & OBJECT_WAITED)
        object_fire__(t, o, false);
}

void object_fetch_failed(struct objects *t, struct raia_ref *o, const struct raia_error *e)
{
    struct object_more *m = o->more;

    if (o->state != OBJECT_STORED)
        return;
    if (e->code == RAIA_ERR_OBJECT_LOST || e->code == RAIA_ERR_NODE_DIED ||
        e->code == RAIA_ERR_OWNER_DIED) {
        object_set_error(t, o, e);
        return;
    }
    unref_error(t, m->refusal);
    m->refusal = new_error(t, e);
    m->refusals++;
}
