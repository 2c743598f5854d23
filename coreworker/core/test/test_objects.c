/*
 * Objects and borrowers: several processes in one, whose messages are delivered in order between
 * each two and in any order else, while references are made, sent on, released, and processes die.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/prng.h"
#include "core/chain.h"
#include "core/object.h"

#define PROCESSES 4
#define QUEUE     4096
#define HELD      8

struct letter {
    enum wire_type type; /* WIRE_VALUE: a reference on its way */
    struct wire_object m;
};

struct queue {
    struct letter letters[QUEUE];
    unsigned head, tail;
};

struct node {
    struct world *w;
    unsigned i;
    bool dead;
    struct pool pool;
    struct objects t;
    raia_ref *held[HELD]; /* handles */
    uint64_t counter;
    unsigned stored_freed;
};

struct world {
    struct node nodes[PROCESSES];
    struct queue queues[PROCESSES][PROCESSES]; /* from, to */
};

static unsigned index_of(const struct process *p)
{
    return p->address.worker[0] - 1u;
}

static struct record_address address_of(unsigned i)
{
    struct record_address a = {.node = {1}};

    a.worker[0] = (uint8_t)(i + 1);
    return a;
}

static void post(struct node *from, unsigned to, enum wire_type type, const struct wire_object *m)
{
    struct queue *q = &from->w->queues[from->i][to];
    struct record_address a = address_of(to);
    struct process *p = objects_process(&from->t, &a);

    /* The first use of a new link. */
    if (objects_must_resync(p))
        objects_resync(&from->t, p);
    if (from->dead || from->w->nodes[to].dead)
        return;
    cr_assert_lt(q->tail - q->head, QUEUE);
    q->letters[q->tail++ % QUEUE] = (struct letter){.type = type, .m = *m};
}

static void on_ready(void *ctx, struct raia_ref *o, struct dep *d)
{
    struct node *n = ctx;
    struct wire_object m = {.count = 1};

    /* Registered: whoever forwarded it may let go. */
    cr_assert_eq(d->kind, DEP_REGISTERED);
    object_name(&n->t, o, &m.ref);
    post(n, index_of(d->who), WIRE_REF_DONE, &m);
}

static void on_wake(void *ctx, struct raia_ref *o)
{
    (void)ctx;
    (void)o;
}

static void on_send(void *ctx, struct process *to, enum wire_type type, const struct wire_object *m)
{
    post(ctx, index_of(to), type, m);
}

static void on_free_stored(void *ctx, struct raia_ref *o)
{
    (void)o;
    ((struct node *)ctx)->stored_freed++;
}

static void on_unpin(void *ctx, struct raia_ref *o)
{
    (void)ctx;
    (void)o;
}

static const struct objects_ops ops = {.ready = on_ready,
                                       .wake = on_wake,
                                       .send = on_send,
                                       .free_stored = on_free_stored,
                                       .unpin = on_unpin,
                                       .actor_out = on_unpin};

static void world_init(struct world *w)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        struct node *n = &w->nodes[i];
        struct record_address self = address_of(i);

        n->w = w;
        n->i = i;
        objects_init(&n->t, &n->pool, &self, &ops, n);
    }
}

static struct process *process_of(struct node *n, unsigned i)
{
    struct record_address a = address_of(i);
    struct process *p = objects_process(&n->t, &a);

    p->link = n; /* all are connected: it will be told of its death */
    return p;
}

static raia_ref **free_slot(struct node *n)
{
    for (unsigned i = 0; i < HELD; i++)
        if (!n->held[i])
            return &n->held[i];
    return NULL;
}

/* A reference that arrives becomes a handle, or is dropped at once. */
static void arrive(struct node *n, unsigned from, const struct wire_ref *r)
{
    raia_ref *o = objects_receive(&n->t, r, process_of(n, from), true), **slot = free_slot(n);

    cr_assert_not_null(o);
    if (slot) {
        o->handles++;
        *slot = o;
    }
    object_unhold(&n->t, o);
}

static bool deliver(struct world *w, unsigned from, unsigned to)
{
    struct queue *q = &w->queues[from][to];
    struct node *n = &w->nodes[to];
    struct letter *l;

    if (q->head == q->tail || n->dead)
        return false;
    l = &q->letters[q->head++ % QUEUE];
    if (l->type == WIRE_VALUE)
        arrive(n, from, &l->m.ref);
    else
        objects_message(&n->t, process_of(n, from), l->type, &l->m);
    return true;
}

static void make(struct node *n)
{
    raia_ref **slot = free_slot(n), *o;

    if (!slot)
        return;
    o = object_new(&n->t, ++n->counter, 0);
    o->handles = 1;
    object_set_value(&n->t, o, blob_new(&n->t, RAIA_RAW, 4, 0));
    *slot = o;
}

static void send_on(struct node *n, raia_ref *o, unsigned to)
{
    struct wire_object m = {.count = 1};

    if (n->w->nodes[to].dead) /* to itself, too: its own actor may be called */
        return;
    cr_assert_eq(object_export(&n->t, o, process_of(n, to), true, &m.ref), 0);
    post(n, to, WIRE_VALUE, &m);
}

static void release(struct node *n, unsigned slot)
{
    object_release(&n->t, n->held[slot]);
    n->held[slot] = NULL;
}

/* A handle to something whose owner lives and never freed it must find it there. */
static void check(struct world *w)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        struct node *n = &w->nodes[i];

        for (unsigned k = 0; k < HELD && !n->dead; k++) {
            raia_ref *o = n->held[k];
            unsigned owner = o && o->owner ? index_of(o->owner) : 0;

            if (!o || !o->owner || o->state == OBJECT_HERE || w->nodes[owner].dead)
                continue;
            cr_assert_not_null(
                objects_find(&w->nodes[owner].t, o->owner->address.worker, o->counter, o->index),
                "freed while process %u holds it", i);
        }
    }
}

static void die(struct world *w, unsigned i)
{
    struct raia_error e;

    err_set(&e, RAIA_ERR_WORKER_CRASHED, "killed");
    w->nodes[i].dead = true;
    for (unsigned k = 0; k < PROCESSES; k++) {
        /* What it had sent still comes; then its death. */
        while (deliver(w, i, k))
            ;
        w->queues[k][i].head = w->queues[k][i].tail;
        if (k != i && !w->nodes[k].dead)
            objects_process_died(&w->nodes[k].t, process_of(&w->nodes[k], i), &e);
    }
}

/* The link between two breaks: what was under way on it is lost, each in its direction from some
 * point on. Both notice, and open another. */
static void cut(struct world *w, struct prng *p, unsigned a, unsigned b)
{
    unsigned ends[2] = {a, b};

    if (a == b || w->nodes[a].dead || w->nodes[b].dead)
        return;
    for (unsigned i = 0; i < 2; i++)
        for (uint64_t some = prng_below(p, 4); some > 0; some--)
            deliver(w, ends[i], ends[1 - i]);
    w->queues[a][b].head = w->queues[a][b].tail;
    w->queues[b][a].head = w->queues[b][a].tail;
    for (unsigned i = 0; i < 2; i++) {
        struct node *n = &w->nodes[ends[i]];
        struct process *other = process_of(n, ends[1 - i]);

        if (objects_link_broke(&n->t, other) && objects_must_resync(other))
            objects_resync(&n->t, other);
    }
}

static void settle(struct world *w)
{
    bool any = true;

    while (any) {
        any = false;
        for (unsigned f = 0; f < PROCESSES; f++)
            for (unsigned t = 0; t < PROCESSES; t++)
                any |= deliver(w, f, t);
    }
}

static void run(uint64_t seed, bool deaths, bool cuts)
{
    struct world *w = calloc(1, sizeof(*w));
    struct prng p;

    prng_seed(&p, seed);
    world_init(w);
    for (unsigned step = 0; step < 1500; step++) {
        struct node *n = &w->nodes[prng_below(&p, PROCESSES)];
        unsigned slot = (unsigned)prng_below(&p, HELD), to = (unsigned)prng_below(&p, PROCESSES);

        switch (n->dead ? 9 : prng_below(&p, 9)) {
        case 0:
            make(n);
            break;
        case 1:
        case 2:
            if (n->held[slot])
                send_on(n, n->held[slot], to);
            break;
        case 3:
            if (n->held[slot])
                release(n, slot);
            break;
        default:
            deliver(w, (unsigned)prng_below(&p, PROCESSES), to);
        }
        if (cuts && prng_below(&p, 50) == 0)
            cut(w, &p, (unsigned)prng_below(&p, PROCESSES), (unsigned)prng_below(&p, PROCESSES));
        if (deaths && step == 1000)
            die(w, (unsigned)prng_below(&p, PROCESSES));
        check(w);
    }
    settle(w);
    check(w);
    for (unsigned i = 0; i < PROCESSES; i++)
        for (unsigned k = 0; k < HELD; k++)
            if (w->nodes[i].held[k] && !w->nodes[i].dead)
                release(&w->nodes[i], k);
    settle(w);
    for (unsigned i = 0; i < PROCESSES; i++)
        if (!w->nodes[i].dead)
            cr_assert_eq(w->nodes[i].t.count, 0, "seed %lu: process %u keeps %lu objects",
                         (unsigned long)seed, i, (unsigned long)w->nodes[i].t.count);
    for (unsigned i = 0; i < PROCESSES; i++) {
        for (unsigned k = 0; k < HELD; k++)
            if (w->nodes[i].held[k] && w->nodes[i].dead)
                release(&w->nodes[i], k);
        objects_fini(&w->nodes[i].t);
        pool_fini(&w->nodes[i].pool);
    }
    free(w);
}

/* Nothing is freed while anybody holds it, and everything is freed when nobody does. */
Test(objects, borrowing)
{
    for (uint64_t seed = 1; seed <= 400; seed++)
        run(seed, false, false);
}

/* The same when a process dies in the middle. */
Test(objects, borrowing_with_deaths)
{
    for (uint64_t seed = 1; seed <= 400; seed++)
        run(seed, true, false);
}

/* The same when links between processes that live break, and what was under way is lost: nothing is
 * freed early for it, and no count is left over. */
Test(objects, borrowing_with_cuts)
{
    for (uint64_t seed = 1; seed <= 400; seed++)
        run(seed, false, true);
}

/* Both. */
Test(objects, borrowing_with_cuts_and_deaths)
{
    for (uint64_t seed = 1; seed <= 400; seed++)
        run(seed, true, true);
}

/* Values inside values are freed without recursion, however deep. */
Test(objects, deep_chain)
{
    struct world *w = calloc(1, sizeof(*w));
    struct node *n = &w->nodes[0];
    raia_ref *o = NULL;

    world_init(w);
    for (int i = 0; i < 200000; i++) {
        raia_ref *next = object_new(&n->t, ++n->counter, 0);
        struct blob *b = blob_new(&n->t, RAIA_RAW, 0, o ? 1 : 0);

        next->handles = 1;
        if (o) {
            b->inner[0] = o;
            object_hold(o);
            object_release(&n->t, o);
        }
        object_set_value(&n->t, next, b);
        o = next;
    }
    cr_assert_eq(n->t.count, 200000);
    object_release(&n->t, o);
    cr_assert_eq(n->t.count, 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        objects_fini(&w->nodes[i].t);
        pool_fini(&w->nodes[i].pool);
    }
    free(w);
}

/* An object in a store that becomes an error (it could not be fetched) is given up there: nobody can
 * get to it any more. That of another owner is not: it is not ours to free. */
Test(objects, stored_then_lost)
{
    struct world *w = calloc(1, sizeof(*w));
    struct node *n = &w->nodes[0];
    struct wire_ref r = {.counter = 7, .flags = WIRE_GRANTED};
    struct process *q;
    raia_ref *mine, *theirs;
    struct raia_error e = {.code = RAIA_ERR_OBJECT_LOST};

    world_init(w);
    q = process_of(n, 1);
    memcpy(r.worker, q->address.worker, 16);
    memcpy(r.node, q->address.node, 16);
    mine = object_new(&n->t, ++n->counter, 0);
    mine->handles = 1;
    theirs = objects_receive(&n->t, &r, q, true);
    cr_assert_eq(object_set_stored(&n->t, mine, 100, q->address.node, NULL, 0), 0);
    cr_assert_eq(object_set_stored(&n->t, theirs, 100, q->address.node, NULL, 0), 0);
    object_fetch_failed(&n->t, theirs, &e);
    cr_assert(object_is_error(theirs));
    cr_assert_eq(n->stored_freed, 0);
    object_fetch_failed(&n->t, mine, &e);
    cr_assert(object_is_error(mine));
    cr_assert_eq(n->stored_freed, 1);
    object_unhold(&n->t, theirs);
    object_release(&n->t, mine);
    cr_assert_eq(n->stored_freed, 1);
    for (unsigned i = 0; i < PROCESSES; i++) {
        objects_fini(&w->nodes[i].t);
        pool_fini(&w->nodes[i].pool);
    }
    free(w);
}

/* An object that cannot be brought here for want of room is unharmed, its owner's as well as a
 * borrower's: it keeps its place in the store, each refusal is counted and says why, and memory of all
 * of them comes back with the object. */
Test(objects, stored_but_no_room_here)
{
    struct world *w = calloc(1, sizeof(*w));
    struct node *n = &w->nodes[0];
    struct wire_ref r = {.counter = 7, .flags = WIRE_GRANTED};
    struct raia_error full = {.code = RAIA_ERR_STORE_FULL, .text = "no room for it"},
                      late = {.code = RAIA_ERR_OBJECT_LOST};
    struct process *q;
    raia_ref *both[2];
    struct chain c;

    world_init(w);
    q = process_of(n, 1);
    memcpy(r.worker, q->address.worker, 16);
    memcpy(r.node, q->address.node, 16);
    both[0] = object_new(&n->t, ++n->counter, 0);
    object_hold(both[0]);
    both[1] = objects_receive(&n->t, &r, q, true);
    for (int i = 0; i < 2; i++) {
        raia_ref *o = both[i];

        object_fetch_failed(&n->t, o, &full);
        cr_assert_eq(o->state, OBJECT_PENDING, "nobody can have fetched it yet");
        cr_assert_eq(object_set_stored(&n->t, o, 100, q->address.node, NULL, 0), 0);
        cr_assert_eq(o->more->refusals, 0);
        for (uint32_t k = 1; k <= 3; k++) {
            object_fetch_failed(&n->t, o, &full);
            cr_assert_eq(o->state, OBJECT_STORED);
            cr_assert_eq(o->more->refusals, k);
            chain_decode(&c, o->more->refusal->data, o->more->refusal->size);
            cr_assert_eq(c.links[0].code, RAIA_ERR_STORE_FULL);
            cr_assert_str_eq(c.links[0].text, full.text);
        }
        cr_assert_eq(memcmp(o->more->node, q->address.node, 16), 0);
    }
    cr_assert_eq(n->stored_freed, 0);
    object_fetch_failed(&n->t, both[1], &late);
    cr_assert(object_is_error(both[1]), "lost later all the same");
    object_unhold(&n->t, both[1]);
    object_unhold(&n->t, both[0]);
    cr_assert_eq(n->stored_freed, 1);
    cr_assert_eq(n->t.blob_bytes, 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        objects_fini(&w->nodes[i].t);
        pool_fini(&w->nodes[i].pool);
    }
    free(w);
}

/* What a store calls an object is its owner, counter and index in this order, and finds that object and
 * no other once it is stored. */
Test(objects, found_by_what_the_store_calls_it)
{
    static const uint8_t tail[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct world *w = calloc(1, sizeof(*w));
    struct node *n = &w->nodes[2];
    uint8_t id[28];
    raia_ref *o;

    world_init(w);
    o = object_new(&n->t, UINT64_C(0x0102030405060708), 0x090a0b0c);
    o->handles = 1;
    rec_object_id(id, n->t.self.worker, o->counter, o->index);
    cr_assert_eq(memcmp(id, n->t.self.worker, 16), 0);
    cr_assert_eq(memcmp(id + 16, tail, 12), 0);
    cr_assert_eq(rec_object_counter(id), o->counter);
    cr_assert_eq(rec_object_index(id), o->index);
    cr_assert_null(objects_find_stored(&n->t, id), "no store has it");
    cr_assert_eq(object_set_stored(&n->t, o, 100, n->t.self.node, NULL, 0), 0);
    cr_assert_eq(objects_find_stored(&n->t, id), o);
    for (unsigned i = 0; i < sizeof(id); i++) {
        id[i] ^= 0x80;
        cr_assert_null(objects_find_stored(&n->t, id), "another id in byte %u", i);
        id[i] ^= 0x80;
    }
    object_release(&n->t, o);
    cr_assert_null(objects_find_stored(&n->t, id), "it is freed");
    for (unsigned i = 0; i < PROCESSES; i++) {
        objects_fini(&w->nodes[i].t);
        pool_fini(&w->nodes[i].pool);
    }
    free(w);
}

struct found {
    unsigned in_use; /* items with the mark */
    unsigned places; /* all */
};

static bool look(void *arg, void *item)
{
    struct found *f = arg;
    uint32_t mark;

    memcpy(&mark, item, sizeof(mark));
    f->in_use += mark == OBJECT_MAGIC;
    return ++f->places < 5000;
}

/* A pool of one size is walked: all that is in use is found, what was freed is not, over several
 * slabs, and only as far as is asked for. */
Test(pool, each)
{
    struct pool p = {0};
    struct found f = {0};
    static uint32_t *items[2000];

    pool_each(&p, 100, look, &f);
    cr_expect_eq(f.places, 0);
    for (unsigned i = 0; i < 2000; i++) {
        items[i] = pool_alloc(&p, 100);
        cr_assert(items[i]);
        *items[i] = OBJECT_MAGIC;
    }
    for (unsigned i = 0; i < 2000; i += 2) {
        *items[i] = 0;
        pool_free(&p, items[i], 100);
    }
    pool_each(&p, 100, look, &f);
#ifndef POOL_PLAIN
    cr_expect_eq(f.in_use, 1000);
    cr_expect_geq(f.places, 2000);
    f = (struct found){.places = 4990};
    pool_each(&p, 100, look, &f);
    cr_expect_eq(f.places, 5000);
#else
    cr_expect_eq(f.places, 0);
#endif
    for (unsigned i = 1; i < 2000; i += 2)
        pool_free(&p, items[i], 100);
    pool_fini(&p);
}

/* Sizes of messages are kept when they are given back, the last one first, up to a limit, and go
 * back to the system when the pool is told so. */
Test(pool, large)
{
    struct pool p = {0};
    void *a, *b, *many[POOL_KEPT_MAX / POOL_LARGE_MAX + 8];
    size_t n = sizeof(many) / sizeof(*many);

    a = pool_alloc(&p, 100000);
    b = pool_alloc(&p, 100000);
    cr_assert(a && b && a != b);
    pool_free(&p, a, 100000);
    pool_free(&p, b, 100000);
    cr_expect_eq(p.in_use, 0);
#ifndef POOL_PLAIN
    cr_expect_geq(p.kept, 200000u);
    cr_expect_eq(pool_alloc(&p, 99999), b, "the last one first");
    cr_expect_eq(pool_alloc(&p, 100000), a);
    cr_expect_eq(p.kept, 0);
    pool_free(&p, b, 99999);
    pool_free(&p, a, 100000);
#endif
    for (size_t i = 0; i < n; i++) {
        many[i] = pool_alloc(&p, POOL_LARGE_MAX);
        cr_assert_not_null(many[i]);
        memset(many[i], (int)i, POOL_LARGE_MAX);
    }
    for (size_t i = 0; i < n; i++)
        pool_free(&p, many[i], POOL_LARGE_MAX);
    cr_expect_leq(p.kept, (size_t)POOL_KEPT_MAX);
    cr_expect_eq(p.in_use, 0);
    pool_trim(&p);
    cr_expect_eq(p.kept, 0);
    pool_fini(&p);
}
