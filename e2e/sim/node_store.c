/*
 * A raylet's object store: the real core, with memory that is made of stamps, and its way to
 * processes and other nodes. The glue of agent/raylet's objects.c and agent/store's store.c.
 *
 * Memory: one stamp for each 64 KiB; sizes are multiples of it. A chunk that travels is the stamps
 * of its bytes, read from the segment when it leaves, as a socket would.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/node_impl.h"
#include "store/core/store_core.h"

#define STAMP_GONE  UINT64_C(0xdddddddddddddddd) /* memory that was given back */
#define OUTBOX_MAX  6                            /* records that wait for a link with chunks */
#define RECORDS_MAX (STORE_LINK_HEAD_MAX + STORE_CHUNK_MAX / WORLD_STAMP * 8)

struct segment {
    struct list link; /* node_store.segments */
    uint32_t number;
    uint64_t size; /* bytes */
    uint64_t stamps[];
};

/* What waits for the link to a node; its first one is a chunk. */
struct outgoing {
    struct list link; /* peer.outbox */
    struct hop hop;
    struct store_send *send;       /* a chunk; NULL: a record, with data */
    uint32_t segment;              /* of the chunk */
    uint64_t offset;               /* in the segment */
    struct store_link_chunk chunk; /* head */
    size_t size;                   /* of data, bytes */
    uint8_t data[];
};

struct node_store {
    struct node *n;
    struct store_core *core;
    struct list segments;
    int64_t tick_at; /* when a tick is due, ns */
    uint64_t full;   /* times that it said STORE_FULL */
};

static struct segment *segment_find(const struct node_store *t, uint32_t number)
{
    struct segment *s;

    LIST_FOREACH (s, &t->segments, link)
        if (s->number == number)
            return s;
    return NULL;
}

uint64_t *node_memory(const struct node *n, uint32_t segment, uint64_t offset, uint64_t size)
{
    struct segment *s = segment_find(n->store, segment);

    if (!s || offset > s->size || size > s->size - offset || offset % WORLD_STAMP)
        return NULL;
    return s->stamps + offset / WORLD_STAMP;
}

/* ---- what the core asks for */

static int on_segment_create(void *arg, uint32_t number, uint64_t size)
{
    struct node_store *t = arg;
    size_t n = (size + WORLD_STAMP - 1) / WORLD_STAMP;
    struct segment *s = mem_zalloc(sizeof(*s) + n * sizeof(uint64_t));

    if (!s)
        return -RAIA_ERR_NOMEM;
    s->number = number;
    s->size = size;
    list_add_tail(&t->segments, &s->link);
    return 0;
}

static void on_segment_destroy(void *arg, uint32_t number)
{
    struct segment *s = segment_find(arg, number);

    list_del(&s->link);
    mem_free(s);
}

static void on_segment_punch(void *arg, uint32_t number, uint64_t offset, uint64_t size)
{
    struct segment *s = segment_find(arg, number);

    for (uint64_t at = offset; at < offset + size && at < s->size; at += WORLD_STAMP)
        s->stamps[at / WORLD_STAMP] = STAMP_GONE;
}

static int on_segment_write(void *arg, uint32_t number, uint64_t offset, const void *data,
                            size_t size)
{
    struct node_store *t = arg;
    uint64_t *to = node_memory(t->n, number, offset, size);

    if (!to) {
        sim_fail(t->n->c->sim, "a chunk is written where there is no memory");
        return -RAIA_ERR_INTERNAL;
    }
    memcpy(to, data, size / WORLD_STAMP * sizeof(*to));
    return 0;
}

static int on_segment_share(void *arg, uint32_t client, uint32_t segment, uint64_t size,
                            bool writable)
{
    struct node_store *t = arg;
    struct session *s = session_by_client(t->n, client);
    struct rec_segment rec = {.segment = segment, .reserved = writable};

    (void)size;
    if (s)
        session_send(s, REC_SEGMENT, 0, 0, &rec, sizeof rec);
    return 0;
}

/* Said to be full only when it is. */
static void check_full(struct node_store *t, const struct rec_store_at *at)
{
    struct store_stats st;

    t->full++;
    store_core_stats(t->core, &st);
    if (st.pinned + WORLD_LARGE_MAX <= st.capacity)
        sim_fail(t->n->c->sim,
                 "node %02x: said to be full (object %02x%02x), with %llu bytes pinned of %llu",
                 t->n->id[0], at->object[0], at->object[1], (unsigned long long)st.pinned,
                 (unsigned long long)st.capacity);
}

static void on_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct node_store *t = arg;
    struct session *s = session_by_client(t->n, client);
    const struct rec_store_at *at = payload;

    if ((type == REC_STORE_CREATED || type == REC_STORE_GOT) && at->status == -RAIA_ERR_STORE_FULL)
        check_full(t, at);
    if (s)
        session_send(s, type, 0, tag, payload, size);
}

static int on_link_send(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                        size_t head_size, const void *data, size_t data_size)
{
    struct node_store *t = arg;
    struct hop h = {.type = HOP_STORE, .request = type, .count = (uint32_t)head_size};

    (void)data;
    if (data_size)
        sim_fail(t->n->c->sim, "a control record of the store has data");
    return node_hop(t->n, node, &h, head, head_size);
}

static int outgoing_add(struct peer *p, const struct outgoing *o, const void *data)
{
    struct outgoing *copy = mem_alloc(sizeof(*copy) + o->size);

    if (!copy)
        return -RAIA_ERR_NOMEM;
    *copy = *o;
    if (o->size)
        memcpy(copy->data, data, o->size);
    list_init(&copy->link);
    list_add_tail(&p->outbox, &copy->link);
    return 0;
}

struct leaving {
    struct node *n;
    struct peer *p;
    uint32_t link; /* peer.links then */
};

static void leave(void *ctx);

static void leave_later(struct node *n, struct peer *p)
{
    struct leaving *x = world_alloc(n->c, sizeof(*x));

    if (!x)
        return;
    *x = (struct leaving){.n = n, .p = p, .link = p->links};
    sim_after(n->c->sim, n->sn, prng_range(n->c->prng, 100, 15000) * CLOCK_NS_PER_US, leave, x,
              NULL);
}

bool node_outbox_add(struct peer *p, const struct hop *h, const void *data, size_t size)
{
    struct outgoing o = {.hop = *h, .size = size};

    return !list_empty(&p->outbox) && outgoing_add(p, &o, data) == 0;
}

static int on_link_send_chunk(void *arg, const uint8_t node[16],
                              const struct store_link_chunk *head, uint32_t segment,
                              uint64_t offset, struct store_send *send)
{
    struct node_store *t = arg;
    struct peer *p = node_peer(t->n, node);
    struct outgoing o = {
        .hop = {.type = HOP_STORE, .request = STORE_LINK_CHUNK, .count = sizeof(*head)},
        .send = send,
        .segment = segment,
        .offset = offset,
        .chunk = *head};
    bool first;
    int r;

    if (!p || p->dead)
        return -RAIA_ERR_UNAVAILABLE;
    if (list_count(&p->outbox) >= OUTBOX_MAX) {
        p->blocked = true;
        return -RAIA_ERR_LIMIT;
    }
    first = list_empty(&p->outbox);
    r = outgoing_add(p, &o, NULL);
    if (r == 0 && first)
        leave_later(t->n, p);
    return r;
}

static const struct store_core_ops ops = {.segment_create = on_segment_create,
                                          .segment_destroy = on_segment_destroy,
                                          .segment_punch = on_segment_punch,
                                          .segment_write = on_segment_write,
                                          .segment_share = on_segment_share,
                                          .send = on_send,
                                          .link_send = on_link_send,
                                          .link_send_chunk = on_link_send_chunk};

/* ---- links */

/* A chunk goes onto the wire, and the records behind it, up to the next chunk. */
static void put_out(struct node *n, struct peer *p, struct outgoing *o)
{
    uint8_t m[RECORDS_MAX];
    size_t stamps = o->chunk.size / WORLD_STAMP * sizeof(uint64_t);
    const uint64_t *from;

    if (!o->send) {
        node_hop_now(n, p, &o->hop, o->data, o->size);
        return;
    }
    from = node_memory(n, o->segment, o->offset, o->chunk.size);
    if (!from || o->chunk.size % WORLD_STAMP) {
        sim_fail(n->c->sim, "a chunk is sent from where there is no memory");
        return;
    }
    memcpy(m, &o->chunk, sizeof o->chunk);
    memcpy(m + sizeof o->chunk, from, stamps);
    node_hop_now(n, p, &o->hop, m, sizeof o->chunk + stamps);
}

static void leave(void *ctx)
{
    struct leaving *x = ctx;
    struct node *n = x->n;
    struct peer *p = x->p;
    struct outgoing *o;
    struct list done;

    if (p->dead || p->links != x->link)
        return;
    list_init(&done);
    do {
        o = LIST_FIRST(&p->outbox, struct outgoing, link);
        list_del(&o->link);
        put_out(n, p, o);
        list_add_tail(&done, &o->link);
        o = LIST_FIRST(&p->outbox, struct outgoing, link);
    } while (o && !o->send);
    if (o)
        leave_later(n, p);
    if (n->c->partitions && !n->c->quiet && prng_chance(n->c->prng, 0.2)) {
        n->c->breaks++;
        sim_break(n->sn, p->node->sn);
    }
    while ((o = LIST_FIRST(&done, struct outgoing, link))) {
        list_del(&o->link);
        if (o->send)
            store_core_sent(o->send);
        mem_free(o);
    }
    if (p->blocked && list_count(&p->outbox) <= OUTBOX_MAX / 2) {
        p->blocked = false;
        store_core_link_writable(n->store->core, world_now(n->c), p->id);
    }
    node_settle(n);
}

/* What had not left does not leave. */
static void outbox_drop(struct peer *p, bool sent)
{
    struct list *l;

    p->links++;
    p->blocked = false;
    while ((l = list_pop(&p->outbox))) {
        struct outgoing *o = container_of(l, struct outgoing, link);

        if (sent && o->send)
            store_core_sent(o->send);
        mem_free(o);
    }
}

void node_store_link_broken(struct node *n, struct peer *p, bool dead)
{
    int64_t now = world_now(n->c);

    outbox_drop(p, true);
    if (!dead)
        store_core_link_broken(n->store->core, now, p->id);
    else
        store_core_node_gone(n->store->core, now, p->id);
}

void node_store_hop(struct node *n, const uint8_t node[16], const struct hop *h, const void *data,
                    size_t size)
{
    const struct store_link_chunk *chunk = data;
    bool is_chunk = h->request == STORE_LINK_CHUNK;
    int r;

    if (h->type == HOP_OWNER_GONE) {
        store_core_owner_gone(n->store->core, world_now(n->c), &h->from);
        return;
    }
    /* The core hands the bytes on, unread: they are stamps. */
    (void)size;
    r = store_core_link_record(n->store->core, world_now(n->c), node, (uint16_t)h->request, data,
                               h->count, is_chunk ? chunk + 1 : NULL, is_chunk ? chunk->size : 0);
    if (r < 0)
        sim_fail(n->c->sim, "node %02x: record %x of another store is refused", n->id[0],
                 h->request);
}

/* ---- processes */

int node_store_record(struct session *s, uint16_t type, uint64_t tag, const void *data, size_t size)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + size), .type = type, .tag = tag};

    return store_core_record(s->n->store->core, world_now(s->n->c), (uint32_t)s->client, &h, data);
}

void node_store_session(struct session *s)
{
    if (store_core_client_add(s->n->store->core, (uint32_t)s->client, proc_address(s->p), s->job) <
        0)
        sim_fail(s->n->c->sim, "out of memory");
}

void node_store_job_gone(struct node *n, const uint8_t job[4])
{
    store_core_job_gone(n->store->core, world_now(n->c), job);
}

struct last_word {
    struct node *n;
    uint32_t client;
};

static void client_gone(void *ctx)
{
    struct last_word *x = ctx;

    store_core_client_gone(x->n->store->core, world_now(x->n->c), x->client);
    node_settle(x->n);
}

void node_store_session_end(struct session *s)
{
    struct node *n = s->n;
    struct hop h = {.type = HOP_OWNER_GONE, .from = *proc_address(s->p)};
    struct last_word *x = world_alloc(n->c, sizeof(*x));

    if (!x)
        return;
    *x = (struct last_word){.n = n, .client = (uint32_t)s->client};
    if (prng_chance(n->c->prng, 0.5)) {
        store_core_client_gone(n->store->core, world_now(n->c), x->client);
    } else { /* its socket closes first */
        store_core_client_closed(n->store->core, world_now(n->c), x->client);
        sim_after(n->c->sim, n->sn, prng_range(n->c->prng, 1, 5000) * CLOCK_NS_PER_US, client_gone,
                  x, NULL);
    }
    store_core_owner_gone(n->store->core, world_now(n->c), &h.from);
    for (unsigned i = 0; i < n->n_peers; i++)
        node_hop(n, n->peers[i].id, &h, NULL, 0);
}

/* ---- time, life */

static void on_tick(void *ctx)
{
    struct node *n = ctx;

    if (world_now(n->c) >= n->store->tick_at)
        n->store->tick_at = CLOCK_NEVER;
    if (store_core_next_deadline(n->store->core) <= world_now(n->c))
        store_core_tick(n->store->core, world_now(n->c));
    node_settle(n);
}

void node_store_settle(struct node *n)
{
    struct node_store *t = n->store;
    int64_t now = world_now(n->c), next = store_core_next_deadline(t->core);

    if (next <= now)
        next = now + 1;
    if (next < t->tick_at) {
        t->tick_at = next;
        sim_after(n->c->sim, n->sn, next - now, on_tick, n, NULL);
    }
}

/* In the order of PLANT_STORE_*. */
static const enum store_bug bugs[] = {
    STORE_BUG_EARLY_FREE, STORE_BUG_LOST_RELEASE, STORE_BUG_LOST_FREE,  STORE_BUG_COPY_STAYS,
    STORE_BUG_NO_RETRY,   STORE_BUG_LEAKED_PIN,   STORE_BUG_DEAD_OWNER, STORE_BUG_STRAYS};

int node_store_new(struct node *n)
{
    struct node_store *t = mem_new(struct node_store);
    struct store_config c;

    if (!t)
        return -RAIA_ERR_NOMEM;
    t->n = n;
    t->tick_at = CLOCK_NEVER;
    list_init(&t->segments);
    store_config_default(&c, n->id, (uint64_t)prng_range(n->c->prng, 4, 24) << 20);
    c.segment_bytes = 2 << 20;
    c.pull_window = (uint64_t)prng_range(n->c->prng, 1, 3) << 20;
    c.pull_timeout_ms = 1000;
    c.memory_wait_ms = 500;
    c.settle_ms = 300;
    c.reserve_ms = 5000;
    if (store_core_new(&c, &ops, t, &t->core) < 0) {
        mem_free(t);
        return -RAIA_ERR_NOMEM;
    }
    if (n->c->plant >= PLANT_STORE_EARLY_FREE)
        store_core_plant(t->core, bugs[n->c->plant - PLANT_STORE_EARLY_FREE]);
    n->store = t;
    return 0;
}

void node_store_free(struct node *n)
{
    if (!n->store)
        return;
    store_core_free(n->store->core);
    for (unsigned i = 0; i < n->n_peers; i++)
        outbox_drop(&n->peers[i], false);
    mem_free(n->store);
}

void node_store_check(const struct node *n)
{
    int line = store_core_check(n->store->core);

    if (line)
        sim_fail(n->c->sim, "node %02x: the books of its store do not agree: line %d", n->id[0],
                 line);
}

bool node_store_idle(const struct node *n)
{
    struct store_stats st;

    store_core_stats(n->store->core, &st);
    return !st.used && !st.objects && !st.unsealed && !st.waiting_create && !st.waiting_get &&
           !st.pulls && !st.serving;
}

void node_store_totals(const struct node *n, struct world_totals *to)
{
    struct store_stats st;

    store_core_stats(n->store->core, &st);
    to->pulled += st.bytes_in;
    to->evicted += st.evicted;
    to->full += n->store->full;
}

static void show_object(void *arg, const struct store_object_info *o)
{
    (void)arg;
    fprintf(stderr, "    object %02x%02x/%llu.%u: %llu bytes, %u pins, sealed %d primary %d\n",
            o->object[0], o->object[1], (unsigned long long)rec_object_counter(o->object),
            rec_object_index(o->object), (unsigned long long)o->size, o->pins, o->sealed,
            o->primary);
}

void node_store_show(const struct node *n)
{
    struct store_stats st;

    store_core_stats(n->store->core, &st);
    fprintf(stderr,
            "  store: %llu of %llu bytes, %llu pinned; %u objects, %u unsealed, waiting %u creates "
            "%u gets, %u pulls, %u serves\n",
            (unsigned long long)st.used, (unsigned long long)st.capacity,
            (unsigned long long)st.pinned, st.objects, st.unsealed, st.waiting_create,
            st.waiting_get, st.pulls, st.serving);
    store_core_list(n->store->core, show_object, NULL);
}
