/*
 * Links: how records go to the raylet and to other processes. A link is a ring pair or a channel
 * through the raylet; what finds no room waits, in order, in the link's outbox.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/arena.h"

#define MEND_NS (100 * CLOCK_NS_PER_MS) /* before a link that could not be made is tried again */

struct link *link_new(struct runtime *rt, struct process *p)
{
    struct link *l = mem_new(struct link);

    (void)rt;
    if (!l)
        return NULL;
    l->process = p;
    l->bell = -1;
    list_init(&l->outbox);
    list_init(&l->leases);
    list_init(&l->callers);
    list_init(&l->hosted);
    buf_init(&l->partial, WIRE_MESSAGE_MAX);
    return l;
}

static void out_free(struct runtime *rt, struct link *l, struct out_message *o)
{
    l->outbox_bytes -= o->size;
    list_del(&o->link);
    pool_free(&rt->pool, o, sizeof(*o) + o->size);
}

void link_free(struct runtime *rt, struct link *l)
{
    struct out_message *o;

    if (!l)
        return;
    while ((o = LIST_FIRST(&l->outbox, struct out_message, link)))
        out_free(rt, l, o);
    list_del(&l->in_dirty);
    arena_link_over(rt, l, true);
    buf_fini(&l->partial);
    if (l->memory)
        munmap(l->memory, l->memory_size);
    if (l->page)
        munmap(l->page, DOORBELL_PAGE_BYTES);
    if (l->bell >= 0)
        close(l->bell);
    mem_free(l->theirs);
    mem_free(l->told);
    mem_free(l);
}

static void mark_dirty(struct runtime *rt, struct link *l)
{
    if (l->dirty)
        return;
    l->dirty = true;
    list_add_tail(&rt->dirty, &l->in_dirty);
}

int link_reserve(struct runtime *rt, struct link *l, uint16_t type, uint16_t flags, uint64_t tag,
                 size_t size, void **ret_payload)
{
    struct record_head *inner;
    void *p;
    int r;

    if (l->kind == LINK_PAIR) {
        r = ring_reserve(&l->pair.tx, type, flags, tag, size, ret_payload);
        if (r == 0)
            mark_dirty(rt, l);
        return r;
    }
    if (l->kind != LINK_CHANNEL)
        return l->kind == LINK_OPENING || l->kind == LINK_RESTING ? -RAIA_ERR_LIMIT
                                                                  : -RAIA_ERR_UNAVAILABLE;
    if (l->credit < sizeof(*inner) + size || !list_empty(&rt->raylet->outbox))
        return -RAIA_ERR_LIMIT;
    r = ring_reserve(&rt->raylet->pair.tx, REC_CHANNEL_DATA, 0, l->number, sizeof(*inner) + size,
                     &p);
    if (r < 0)
        return r;
    l->credit -= sizeof(*inner) + size;
    inner = p;
    *inner = (struct record_head){
        .size = (uint32_t)(sizeof(*inner) + size), .type = type, .flags = flags, .tag = tag};
    *ret_payload = inner + 1;
    mark_dirty(rt, rt->raylet);
    return 0;
}

int link_begin(struct runtime *rt, struct link *l, uint16_t type, uint16_t flags, uint64_t tag,
               size_t size, void **ret_payload)
{
    int r = list_empty(&l->outbox) ? link_reserve(rt, l, type, flags, tag, size, ret_payload)
                                   : -RAIA_ERR_LIMIT;

    if (r == -RAIA_ERR_LIMIT)
        l->was_full = true;
    return r;
}

void link_commit(struct runtime *rt, struct link *l, bool urgent)
{
    if (l->kind == LINK_CHANNEL)
        l = rt->raylet;
    if (!l->dirty)
        return;
    l->dirty = false;
    list_del(&l->in_dirty);
    ring_commit(&l->pair.tx, urgent);
}

void rt_flush(struct runtime *rt)
{
    struct list *d;

    while ((d = list_first(&rt->dirty)))
        link_commit(rt, container_of(d, struct link, in_dirty), false);
}

/* What is left of a message waits. begun: pieces of it have gone. */
static int post(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag, const void *data,
                size_t size, bool begun)
{
    struct out_message *o;

    if (l->outbox_bytes + size > RT_OUTBOX_MAX)
        return -RAIA_ERR_LIMIT;
    o = pool_alloc(&rt->pool, sizeof(*o) + size);
    if (!o)
        return -RAIA_ERR_NOMEM;
    o->type = type;
    o->begun = begun;
    o->tag = tag;
    o->size = (uint32_t)size;
    o->sent = 0;
    if (size)
        memcpy(o->data, data, size);
    list_add_tail(&l->outbox, &o->link);
    l->outbox_bytes += size;
    return 0;
}

/* As many pieces of a message as there is room for, from *sent on; 0: all of them. */
static int send_pieces(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag,
                       const uint8_t *data, uint32_t size, uint32_t *sent)
{
    do {
        uint32_t n = size - *sent;
        uint16_t flags = 0;
        void *to;
        int r;

        if (!l->raylet && n > WIRE_PIECE_MAX) {
            n = WIRE_PIECE_MAX;
            flags = WIRE_MORE;
        }
        r = link_reserve(rt, l, type, flags, tag, n, &to);
        if (r < 0)
            return r;
        if (n)
            memcpy(to, data + *sent, n);
        *sent += n;
    } while (*sent < size);
    return 0;
}

int link_send(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag, const void *data,
              size_t size, bool urgent)
{
    const uint8_t *bytes = data;
    uint32_t sent = 0;
    int r = -RAIA_ERR_LIMIT;

    if (l->kind == LINK_CLOSED)
        return -RAIA_ERR_UNAVAILABLE;
    if (list_empty(&l->outbox)) {
        r = arena_send(rt, l, type, tag, data, size);
        if (r < 0)
            r = send_pieces(rt, l, type, tag, bytes, (uint32_t)size, &sent);
    }
    if (r == -RAIA_ERR_LIMIT)
        r = post(rt, l, type, tag, sent ? bytes + sent : bytes, size - sent, sent > 0);
    if (r == 0 && urgent)
        link_commit(rt, l, true);
    return r;
}

bool link_flush(struct runtime *rt, struct link *l)
{
    struct out_message *o;

    while ((o = LIST_FIRST(&l->outbox, struct out_message, link))) {
        if (o->begun || arena_send(rt, l, o->type, o->tag, o->data, o->size) < 0) {
            int r = send_pieces(rt, l, o->type, o->tag, o->data, o->size, &o->sent);

            o->begun |= o->sent > 0;
            if (r < 0)
                return false;
        }
        out_free(rt, l, o);
    }
    return true;
}

/*
 * An actor may call itself, and a worker may be given the lease that it asked for: what this process
 * says to itself goes through one ring of a pair in private memory, in the order and with the limits
 * of any other. The raylet knows nothing of it.
 */
static int open_loop(struct runtime *rt, struct link *l)
{
    struct doorbell_peer self = {.page = rt->page, .eventfd = -1, .bit = LINK_SELF_BIT};
    struct ring_pair out, in;
    int r;

    l->memory =
        mmap(NULL, RING_PAIR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (l->memory == MAP_FAILED) {
        l->memory = NULL;
        return -RAIA_ERR_NOMEM;
    }
    l->memory_size = RING_PAIR_BYTES;
    r = ring_pair_init(l->memory, RING_PAIR_BYTES, RING_DATA_BYTES);
    if (r == 0)
        r = ring_pair_attach(&out, l->memory, RING_PAIR_BYTES, 0, &self);
    if (r == 0)
        r = ring_pair_attach(&in, l->memory, RING_PAIR_BYTES, 1, &self);
    if (r < 0)
        return r;
    l->pair.tx = out.tx;
    l->pair.rx = in.rx;
    l->kind = LINK_PAIR;
    l->number = LINK_SELF_BIT;
    rt->pairs[LINK_SELF_BIT] = l;
    return 0;
}

struct link *link_to(struct runtime *rt, struct process *p)
{
    struct link *l = p->link;

    if (l || p->dead || rt->dead)
        return l;
    l = link_new(rt, p);
    if (!l)
        return NULL;
    if (memcmp(&p->address, &rt->self, sizeof(rt->self)) == 0) {
        if (open_loop(rt, l) < 0) {
            link_free(rt, l);
            return NULL;
        }
        p->link = l;
        return l;
    }
    l->kind = LINK_OPENING;
    l->open_tag = rt->next_tag++;
    p->link = l;
    list_add_tail(&rt->opening, &l->in_dirty);
    if (link_send(rt, rt->raylet, REC_PEER_OPEN, l->open_tag, &p->address, sizeof(p->address),
                  false) < 0) {
        list_del(&l->in_dirty);
        p->link = NULL;
        link_free(rt, l);
        return NULL;
    }
    if (objects_must_resync(p))
        objects_resync(&rt->objects, p);
    return l;
}

int link_tell_function(struct runtime *rt, struct link *l, struct function *f)
{
    uint32_t word = f->number / 64;
    struct wire_function *w;
    size_t n = strlen(f->name);
    uint64_t *told;
    uint8_t bytes[sizeof(*w) + WIRE_NAME_MAX];
    int r;

    if (word < l->ntold && l->told[word] & UINT64_C(1) << (f->number % 64))
        return 0;
    if (word >= l->ntold) {
        told = mem_realloc(l->told, (word + 1) * sizeof(*told));
        if (!told)
            return -RAIA_ERR_NOMEM;
        memset(told + l->ntold, 0, (word + 1 - l->ntold) * sizeof(*told));
        l->told = told;
        l->ntold = word + 1;
    }
    w = (struct wire_function *)(void *)bytes;
    *w = (struct wire_function){.number = f->number, .is_class = f->is_class};
    memcpy(w + 1, f->name, n);
    r = link_send(rt, l, WIRE_FUNCTION, 0, bytes, sizeof(*w) + n, false);
    if (r == 0)
        l->told[word] |= UINT64_C(1) << (f->number % 64);
    return r;
}

/* The link to a process that may live broke: on a new one counts are made to agree, and what was
 * asked is asked again. */
static void mend(struct runtime *rt, struct process *p)
{
    struct raia_ref *o;
    struct link *l = link_to(rt, p);

    if (!l)
        return;
    LIST_FOREACH (o, &p->owned, by_owner) {
        struct wire_object m = {.count = 1};

        if (!(o->flags & OBJECT_QUERIED) || o->state != OBJECT_PENDING)
            continue;
        object_name(&rt->objects, o, &m.ref);
        link_send(rt, l, WIRE_QUERY, 0, &m, sizeof(m), true);
    }
}

void links_tick(struct runtime *rt)
{
    struct process *p, *next;

    HASH_FOREACH (rt->objects.processes, p, next) {
        if (!p->mend)
            continue;
        p->mend = false;
        if (!p->dead)
            mend(rt, p);
    }
}

static void orphan_calls(struct list *calls, const struct link *l)
{
    struct raia_call *c;

    LIST_FOREACH (c, calls, link)
        if (c->from == l)
            c->from = NULL;
}

void link_closed(struct runtime *rt, struct link *l, int status)
{
    bool died = status == -RAIA_ERR_WORKER_CRASHED || status == -RAIA_ERR_NODE_DIED;
    bool opening = l->kind == LINK_OPENING;
    struct process *p = l->process;
    struct raia_error e;
    struct list *i;

    if (l->kind == LINK_CLOSED)
        return;
    if (link_is_pair(l) && l->number < DOORBELL_BITS && rt->pairs[l->number] == l)
        rt->pairs[l->number] = NULL;
    if (l->kind == LINK_CHANNEL)
        HASH_DEL(rt->channels, l);
    l->kind = LINK_CLOSED;
    arena_link_over(rt, l, died);
    list_del(&l->in_dirty);
    l->dirty = false;
    list_add_tail(&rt->closed, &l->in_dirty);
    if (p->link == l)
        p->link = NULL;
    /* First of all: what is sent from here on goes over another link. One that could not be made is
     * tried again after a while. */
    if (!died && objects_link_broke(&rt->objects, p)) {
        p->mend = opening;
        if (opening)
            rt->next_mend = rt->now + MEND_NS;
        else
            mend(rt, p);
        if (opening && rt->next_mend < rt->next_tick)
            rt->next_tick = rt->next_mend;
    }
    orphan_calls(&rt->ready, l);
    orphan_calls(&rt->running, l);
    host_link_closed(rt, l);
    while ((i = list_pop(&l->leases)))
        submitter_open_failed(&rt->submitter, container_of(i, struct lease, opening));
    submitter_link_broke(&rt->submitter, l, status);
    while ((i = list_pop(&l->callers))) {
        raia_actor *a = container_of(i, raia_actor, on_link);

        a->link = NULL;
        caller_broke(&a->caller, died);
        a->reconnect = !died;
        a->retry_at = rt->now + 100 * CLOCK_NS_PER_MS;
        rt->next_reconnect = rt->next_tick = rt->now;
    }
    if (died) {
        err_set(&e, -status, "%s", raia_strerror(status));
        objects_process_died(&rt->objects, p, &e);
    }
}
