/* Messages between the two sizes: in slots of a shared object (arena.h). */
#include "lib/arena.h"

#include <string.h>

#define COUNTER  UINT64_MAX /* of an arena's object id; its index tells one from the next */
#define RETRY_NS (1 * CLOCK_NS_PER_S) /* before it is tried again, when the store has no room */

enum arena_state { ARENA_NONE, ARENA_MAKING, ARENA_READY };

struct arena {
    enum arena_state state;
    uint32_t generation;  /* of the one that is there, or is being made */
    struct question make; /* REC_STORE_CREATE */
    uint8_t *base;        /* READY: ARENA_SLOTS x ARENA_SLOT_BYTES, writable */
    int64_t used_at;      /* ns */
    int64_t retry_at;     /* ns: not to be made before */
    unsigned lent;        /* the slot that arena_lend gave; ARENA_SLOTS: none */
    struct {
        struct link *link; /* whose message lies there; NULL: free */
        uint64_t end;      /* where its record ends in the link's ring */
    } slots[ARENA_SLOTS];
};

/* Another process's arena, as one link reads it. */
struct arena_view {
    struct question ask; /* REC_STORE_GET */
    struct link *link;   /* NULL: it is over */
    bool asking;         /* the answer is to come */
    uint8_t object[28];
    uint32_t generation;
    const uint8_t *base; /* NULL: not (yet) to be had */
};

enum arena_told { TOLD_NOTHING, TOLD, TOLD_READY }; /* link.arena_told */

static void own_id(const struct runtime *rt, uint8_t to[28])
{
    uint64_t counter = COUNTER;

    memcpy(to, rt->self.worker, 16);
    memcpy(to + 16, &counter, 8);
    for (int i = 0; i < 4; i++)
        to[24 + i] = (uint8_t)(rt->arena->generation >> (24 - 8 * i));
}

static void say_store(struct runtime *rt, uint16_t type, const uint8_t id[28])
{
    struct rec_object m = {0};

    if (rt->dead || !rt->raylet)
        return;
    memcpy(m.object, id, 28);
    link_send(rt, rt->raylet, type, 0, &m, sizeof(m), false);
}

/* ---- ours */

static void made(struct runtime *rt, struct question *q, uint16_t type, int status,
                 const uint8_t *data, size_t size)
{
    struct arena *a = container_of(q, struct arena, make);
    const struct rec_store_at *m = (const struct rec_store_at *)(const void *)data;
    uint8_t id[28];

    (void)type;
    if (status == 0)
        status = size < sizeof(*m) ? -RAIA_ERR_PROTOCOL : m->status;
    a->base = status == 0 ? store_at(rt, m) : NULL;
    a->state = a->base ? ARENA_READY : ARENA_NONE;
    if (!a->base) {
        a->retry_at = rt->now + RETRY_NS;
        return;
    }
    /* Others may read it from now on; we write and read on until we RELEASE it. */
    own_id(rt, id);
    say_store(rt, REC_STORE_SEAL, id);
    a->used_at = rt->now;
    a->lent = ARENA_SLOTS;
    if (rt->next_arena == CLOCK_NEVER) {
        rt->next_arena = rt->now + ARENA_IDLE_NS;
        rt_stir(rt);
    }
}

static void make(struct runtime *rt)
{
    struct rec_store_create m = {.size = (uint64_t)ARENA_SLOTS * ARENA_SLOT_BYTES,
                                 .owner = rt->self};
    struct arena *a = rt->arena;

    if (!a) {
        a = rt->arena = mem_new(struct arena);
        if (!a)
            return;
        list_init(&a->make.link);
    }
    if (a->state != ARENA_NONE || rt->now < a->retry_at)
        return;
    a->generation++;
    own_id(rt, m.object);
    a->make.answer = made;
    a->make.tag = rt->next_tag++;
    if (link_send(rt, rt->raylet, REC_STORE_CREATE, a->make.tag, &m, sizeof(m), false) < 0)
        return;
    a->state = ARENA_MAKING;
    list_add_tail(&rt->questions, &a->make.link);
}

/* Left to those who read it. */
static void give_up(struct runtime *rt)
{
    struct arena *a = rt->arena;
    struct {
        struct rec_store_free free;
        uint8_t node[16];
    } m = {.free = {.nnodes = 1}};

    for (unsigned i = 1; i < DOORBELL_BITS; i++) {
        struct link *l = rt->pairs[i];

        if (!l || l->raylet || l->arena_told == TOLD_NOTHING)
            continue;
        l->arena_told = TOLD_NOTHING;
        link_send(rt, l, WIRE_ARENA_GONE, a->generation, NULL, 0, false);
    }
    memset(a->slots, 0, sizeof(a->slots));
    a->state = ARENA_NONE;
    a->base = NULL;
    own_id(rt, m.free.object);
    memcpy(m.node, rt->self.node, 16);
    say_store(rt, REC_STORE_RELEASE, m.free.object);
    if (!rt->dead && rt->raylet)
        link_send(rt, rt->raylet, REC_STORE_FREE, 0, &m, sizeof(m), false);
}

static bool slot_free(struct arena *a, unsigned i)
{
    struct link *l = a->slots[i].link;

    if (!l)
        return true;
    (void)ring_room(&l->pair.tx);
    if (l->pair.tx.tail_seen < a->slots[i].end)
        return false;
    a->slots[i].link = NULL;
    return true;
}

static bool tell(struct runtime *rt, struct link *l)
{
    uint8_t id[28];

    if (l->arena_told == TOLD_NOTHING) {
        own_id(rt, id);
        if (link_send(rt, l, WIRE_ARENA, rt->arena->generation, id, sizeof(id), false) == 0)
            l->arena_told = TOLD;
    }
    return l->arena_told == TOLD_READY;
}

/* Messages of that size can go through the arena to that peer now. */
static bool usable(struct runtime *rt, struct link *l, size_t size)
{
    struct arena *a = rt->arena;

    if (size <= ARENA_MIN || size > ARENA_SLOT_BYTES || l->kind != LINK_PAIR || l->raylet ||
        l->number == LINK_SELF_BIT)
        return false;
    if (!a || a->state != ARENA_READY) {
        make(rt);
        return false;
    }
    a->used_at = rt->now;
    return tell(rt, l);
}

/* The first one, so that a few are used again and again, and stay in the processor's caches. */
static unsigned free_slot(struct arena *a)
{
    unsigned i = 0;

    while (i < ARENA_SLOTS && !slot_free(a, i))
        i++;
    return i;
}

static uint8_t *slot_at(struct arena *a, unsigned i)
{
    return a->base + (size_t)i * ARENA_SLOT_BYTES;
}

uint8_t *arena_lend(struct runtime *rt, struct link *l, size_t size)
{
    struct arena *a;

    if (!list_empty(&l->outbox) || !usable(rt, l, size))
        return NULL;
    a = rt->arena;
    a->lent = free_slot(a);
    return a->lent < ARENA_SLOTS ? slot_at(a, a->lent) : NULL;
}

int arena_send(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag, const void *data,
               size_t size)
{
    struct arena *a;
    struct wire_extent x = {.size = (uint32_t)size};
    unsigned i;
    bool there;
    void *to;

    if (!usable(rt, l, size))
        return -RAIA_ERR_LIMIT;
    a = rt->arena;
    there = a->lent < ARENA_SLOTS && data == slot_at(a, a->lent);
    i = there ? a->lent : free_slot(a);
    x.slot = i;
    if (i == ARENA_SLOTS || link_reserve(rt, l, type, WIRE_EXTENT, tag, sizeof(x), &to) < 0)
        return -RAIA_ERR_LIMIT;
    if (!there)
        memcpy(slot_at(a, i), data, size);
    a->lent = ARENA_SLOTS;
    memcpy(to, &x, sizeof(x));
    a->slots[i].link = l;
    a->slots[i].end = l->pair.tx.head;
    /* It is read while the next one is written. */
    link_commit(rt, l, false);
    return 0;
}

/* ---- theirs */

static void view_drop(struct runtime *rt, struct arena_view *v)
{
    if (!v)
        return;
    v->link = NULL;
    if (v->asking)
        return; /* freed with the answer */
    if (v->base)
        say_store(rt, REC_STORE_RELEASE, v->object);
    mem_free(v);
    mem_free(STEAL(rt->arena_scratch)); /* other views make another */
}

static void got(struct runtime *rt, struct question *q, uint16_t type, int status,
                const uint8_t *data, size_t size)
{
    struct arena_view *v = container_of(q, struct arena_view, ask);
    const struct rec_store_at *m = (const struct rec_store_at *)(const void *)data;

    (void)type;
    v->asking = false;
    if (status == 0 && size >= sizeof(*m) && m->status == 0) {
        v->base = store_at(rt, m);
        if (v->base && m->size < (uint64_t)ARENA_SLOTS * ARENA_SLOT_BYTES) {
            say_store(rt, REC_STORE_RELEASE, v->object);
            v->base = NULL;
        }
    }
    if (!v->link)
        view_drop(rt, v);
    else if (v->base)
        link_send(rt, v->link, WIRE_ARENA_READY, v->generation, NULL, 0, false);
}

static void look_at(struct runtime *rt, struct link *l, uint64_t generation, const uint8_t *id)
{
    struct {
        struct rec_store_get get;
        uint8_t node[16];
    } m = {.get = {.nnodes = 1, .deadline_ms = RT_CREATE_MS}};
    struct arena_view *v;

    view_drop(rt, STEAL(l->arena_view));
    /* Only of the sender itself, and on this node. */
    if (memcmp(id, l->process->address.worker, 16) != 0 || l->kind != LINK_PAIR)
        return;
    v = mem_new(struct arena_view);
    if (!v)
        return;
    v->generation = (uint32_t)generation;
    memcpy(v->object, id, 28);
    memcpy(m.get.object, id, 28);
    memcpy(m.node, rt->self.node, 16);
    m.get.owner = l->process->address;
    v->ask.answer = got;
    v->ask.tag = rt->next_tag++;
    if (link_send(rt, rt->raylet, REC_STORE_GET, v->ask.tag, &m, sizeof(m), false) < 0) {
        mem_free(v);
        return;
    }
    v->asking = true;
    v->link = l;
    l->arena_view = v;
    list_add_tail(&rt->questions, &v->ask.link);
}

void arena_received(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag,
                    const uint8_t *data, size_t size)
{
    if (type == WIRE_ARENA && size >= 28)
        look_at(rt, l, tag, data);
    else if (type == WIRE_ARENA_GONE)
        view_drop(rt, STEAL(l->arena_view));
    else if (type == WIRE_ARENA_READY && l->arena_told == TOLD && tag == rt->arena->generation)
        l->arena_told = TOLD_READY;
}

int arena_read(struct runtime *rt, const struct link *l, const void *record, size_t record_size,
               uint8_t **ret_data, size_t *ret_size)
{
    struct wire_extent x; /* copied first: the peer can write to the ring */
    uint8_t *copy;

    if (!l->arena_view || !l->arena_view->base || record_size < sizeof(x))
        return -RAIA_ERR_PROTOCOL;
    memcpy(&x, record, sizeof(x));
    if (x.slot >= ARENA_SLOTS || x.size == 0 || x.size > ARENA_SLOT_BYTES)
        return -RAIA_ERR_PROTOCOL;
    copy = rt->arena_scratch ? STEAL(rt->arena_scratch) : mem_alloc(ARENA_SLOT_BYTES);
    if (!copy)
        return -RAIA_ERR_NOMEM;
    memcpy(copy, l->arena_view->base + (size_t)x.slot * ARENA_SLOT_BYTES, x.size);
    *ret_data = copy;
    *ret_size = x.size;
    return 0;
}

void arena_done(struct runtime *rt, uint8_t *data)
{
    mem_free(STEAL(rt->arena_scratch)); /* somebody read meanwhile */
    rt->arena_scratch = data;
}

/* ---- the end */

void arena_link_over(struct runtime *rt, struct link *l, bool died)
{
    struct arena *a = rt->arena;
    bool busy = false;

    view_drop(rt, STEAL(l->arena_view));
    l->arena_told = TOLD_NOTHING;
    for (unsigned i = 0; a && a->state == ARENA_READY && i < ARENA_SLOTS; i++)
        if (a->slots[i].link == l && !slot_free(a, i)) {
            a->slots[i].link = NULL;
            busy = !died;
        }
    if (busy)
        give_up(rt);
}

void arena_tick(struct runtime *rt, int64_t now)
{
    struct arena *a = rt->arena;

    rt->next_arena = CLOCK_NEVER;
    if (!a || a->state != ARENA_READY)
        return;
    for (unsigned i = 0; i < ARENA_SLOTS; i++)
        if (!slot_free(a, i))
            a->used_at = now;
    if (now - a->used_at < ARENA_IDLE_NS)
        rt->next_arena = a->used_at + ARENA_IDLE_NS;
    else
        give_up(rt);
    rt_flush(rt);
}

void arena_fini(struct runtime *rt)
{
    if (rt->arena)
        list_del(&rt->arena->make.link);
    mem_free(STEAL(rt->arena));
    mem_free(STEAL(rt->arena_scratch));
}
