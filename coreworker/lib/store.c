/*
 * Large values: in segments of the node's store that are mapped here, once each and whole.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "lib/runtime.h"

void store_id(const struct runtime *rt, const raia_ref *o, uint8_t to[28])
{
    const uint8_t *worker = o->owner ? o->owner->address.worker : rt->self.worker;

    if (o->more && o->more->aliased)
        memcpy(to, o->more->store_id, 28);
    else
        rec_object_id(to, worker, o->counter, o->index);
}

int store_init(struct runtime *rt)
{
    rt->spare_segment = mem_new(struct segment);
    return rt->spare_segment ? 0 : -RAIA_ERR_NOMEM;
}

static struct segment *segment_find(struct runtime *rt, uint32_t number)
{
    struct segment *s = HASH_GET(rt->segments, number, &number);

    if (s)
        return s;
    LIST_FOREACH (s, &rt->loose_segments, loose)
        if (s->number == number)
            return s;
    return NULL;
}

/* The raylet sends a segment once: for want of memory none is lost. */
int store_segment_came(struct runtime *rt, const uint8_t *data, size_t size, int fd)
{
    Raia__Agent__Segment *m = NULL;
    struct proto_room room;
    struct segment *s;
    int r = proto_unpack_in(&room, &raia__agent__segment__descriptor, data, size, &m);

    if (r < 0)
        goto out;
    r = -RAIA_ERR_PROTOCOL;
    if (fd < 0)
        goto out;
    if (segment_find(rt, m->segment))
        goto out;
    s = mem_new(struct segment);
    if (!s)
        s = STEAL(rt->spare_segment);
    r = -RAIA_ERR_NOMEM;
    if (!s)
        goto out;
    list_init(&s->loose);
    s->number = m->segment;
    s->size = m->size;
    s->writable = m->writable;
    s->base = mmap(NULL, s->size, PROT_READ | (s->writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    if (s->base == MAP_FAILED) {
        r = -err_from_errno(errno);
        mem_free(s);
        goto out;
    }
    madvise(s->base, s->size, MADV_DONTFORK);
    madvise(s->base, s->size, MADV_HUGEPAGE);
    r = 0;
    if (HASH_PUT(rt->segments, number, s) < 0)
        list_add_tail(&rt->loose_segments, &s->loose);
out:
    if (!rt->spare_segment)
        rt->spare_segment = mem_new(struct segment);
    proto_free_in(&room, m);
    return r;
}

static void segment_free(struct runtime *rt, struct segment *s)
{
    if (list_empty(&s->loose))
        HASH_DEL(rt->segments, s);
    list_del(&s->loose);
    munmap(s->base, s->size);
    mem_free(s);
}

int store_alias(struct runtime *rt, raia_ref *o, const uint8_t id[28])
{
    struct object_more *m = object_more(&rt->objects, o);
    uint8_t own[28];

    if (!m)
        return -RAIA_ERR_NOMEM;
    m->aliased = false;
    store_id(rt, o, own);
    m->aliased = memcmp(own, id, 28) != 0;
    memcpy(m->store_id, id, 28);
    return 0;
}

uint8_t *store_at(struct runtime *rt, const struct rec_store_at *m)
{
    struct segment *s = segment_find(rt, m->segment);

    if (!s || m->offset > s->size || m->size > s->size - m->offset)
        return NULL;
    return s->base + m->offset;
}

static void say_object(struct runtime *rt, uint16_t type, const raia_ref *o, uint32_t flags)
{
    struct rec_object m = {.flags = flags};

    if (rt->dead)
        return;
    store_id(rt, o, m.object);
    link_send(rt, rt->raylet, type, 0, &m, sizeof(m), false);
}

/* ---- create */

struct creation {
    struct question q;
    uint8_t *base; /* the answer */
};

static void created(struct runtime *rt, struct question *q, uint16_t type, int status,
                    const uint8_t *data, size_t size)
{
    struct creation *c = container_of(q, struct creation, q);
    const struct rec_store_at *m = (const struct rec_store_at *)(const void *)data;

    (void)type;
    q->done = true;
    q->status = status;
    if (status == 0 && size >= sizeof(*m)) {
        q->status = m->status;
        if (m->status == 0) {
            c->base = store_at(rt, m);
            if (!c->base)
                q->status = -RAIA_ERR_PROTOCOL;
        } else if (size > sizeof(*m)) {
            q->text = mem_strndup((const char *)(m + 1), size - sizeof(*m));
        }
    }
}

int store_create(struct runtime *rt, raia_ref *o, uint8_t format, size_t size, size_t nrefs,
                 uint8_t **ret_base)
{
    struct rec_store_create m = {.size = stored_bytes(size, nrefs), .deadline_ms = RT_CREATE_MS};
    struct creation c = {.q.answer = created};
    struct stored_head *h;
    struct waiter w;
    int r;

    if (nrefs > UINT32_MAX || m.size < size)
        return last_set(RAIA_ERR_LIMIT, "a value of %zu bytes is too large", size);
    store_id(rt, o, m.object);
    m.owner = o->owner ? o->owner->address : rt->self;
    c.q.tag = rt->next_tag++;
    r = link_send(rt, rt->raylet, REC_STORE_CREATE, c.q.tag, &m, sizeof(m), false);
    if (r < 0)
        return last_set(-r, "the object store cannot be reached");
    list_add_tail(&rt->questions, &c.q.link);
    waiter_init(&w, NULL);
    /* The raylet keeps the deadline; its own death ends the wait too. */
    while (!c.q.done)
        rt_wait(rt, &w, CLOCK_NEVER);
    waiter_fini(&w);
    r = c.q.status;
    if (r == -RAIA_ERR_EXISTS && o->owner)
        /* An attempt before this one made it: the same value, by the same id. */
        return r;
    if (r < 0) {
        last_set(-r, "node %s: no room for %zu bytes in the object store: %s", rt->node_name, size,
                 c.q.text ? c.q.text : raia_strerror(r));
        mem_free(c.q.text);
        return r;
    }
    h = (struct stored_head *)(void *)c.base;
    *h = (struct stored_head){
        .magic = STORED_MAGIC, .format = format, .size = size, .nrefs = (uint32_t)nrefs};
    c.base[STORED_HEAD + size] = 0;
    *ret_base = c.base;
    return 0;
}

int store_seal(struct runtime *rt, raia_ref *o, size_t bytes, raia_ref **inner, uint32_t ninner)
{
    if (!object_more(&rt->objects, o)) {
        store_abort(rt, o);
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    }
    say_object(rt, REC_STORE_SEAL, o, REC_OBJECT_RELEASE);
    return object_set_stored(&rt->objects, o, bytes, rt->self.node, inner, ninner);
}

void store_abort(struct runtime *rt, raia_ref *o)
{
    say_object(rt, REC_STORE_ABORT, o, 0);
}

/* ---- get */

static void got(struct runtime *rt, struct question *q, uint16_t type, int status,
                const uint8_t *data, size_t size)
{
    const struct rec_store_at *m = (const struct rec_store_at *)(const void *)data;
    const struct stored_head *h;
    raia_ref *o = q->arg;
    struct raia_error e;
    uint8_t *base = NULL;

    (void)type;
    mem_free(q);
    o->more->fetching = false;
    if (status == 0 && size >= sizeof(*m))
        status = m->status;
    if (status == 0) {
        base = store_at(rt, m);
        h = (const struct stored_head *)(const void *)base;
        if (!base || m->size < STORED_HEAD || h->magic != STORED_MAGIC || h->size > m->size ||
            stored_bytes(h->size, h->nrefs) > m->size) {
            status = -RAIA_ERR_PROTOCOL;
            say_object(rt, REC_STORE_RELEASE, o, 0);
        }
    }
    if (status == 0) {
        o->more->mapped = base;
        o->more->pins = 0;
    } else {
        err_set(&e, -status, "an object of %llu bytes could not be brought to node %s: %.*s",
                (unsigned long long)o->more->size, rt->node_name,
                size > sizeof(*m) ? (int)(size - sizeof(*m)) : (int)strlen(raia_strerror(status)),
                size > sizeof(*m) ? (const char *)(m + 1) : raia_strerror(status));
        object_fetch_failed(&rt->objects, o, &e);
    }
    if (o->flags & OBJECT_WAITED) {
        o->flags &= (uint8_t)~OBJECT_WAITED;
        rt_wake(rt, o);
    }
    rt->objects.ready_count++;
    call_object_came(rt, o);
    object_unhold(&rt->objects, o);
}

int store_fetch(struct runtime *rt, raia_ref *o)
{
    struct {
        struct rec_store_get get;
        uint8_t node[16];
    } m = {.get = {.nnodes = 1, .deadline_ms = UINT32_MAX}};
    struct question *q;
    int r;

    if (o->more->fetching || o->more->mapped)
        return 0;
    q = mem_new(struct question);
    if (!q)
        return -RAIA_ERR_NOMEM;
    q->answer = got;
    q->arg = o;
    q->tag = rt->next_tag++;
    store_id(rt, o, m.get.object);
    m.get.owner = o->owner ? o->owner->address : rt->self;
    memcpy(m.node, o->more->node, 16);
    r = link_send(rt, rt->raylet, REC_STORE_GET, q->tag, &m, sizeof(m), false);
    if (r < 0) {
        mem_free(q);
        return r;
    }
    object_hold(o);
    o->more->fetching = true;
    list_add_tail(&rt->questions, &q->link);
    return 0;
}

void store_pin(raia_ref *o)
{
    o->more->pins++;
    object_hold(o);
}

void store_unpin(struct runtime *rt, raia_ref *o)
{
    if (o->more && --o->more->pins == 0 && o->more->mapped) {
        o->more->mapped = NULL;
        if (o->epoch == rt->objects.epoch && rt->raylet)
            say_object(rt, REC_STORE_RELEASE, o, 0);
    }
    object_unhold(&rt->objects, o);
}

void store_unread(struct runtime *rt, raia_ref *o)
{
    o->more->mapped = NULL;
    say_object(rt, REC_STORE_RELEASE, o, 0);
}

void store_free(struct runtime *rt, raia_ref *o)
{
    struct {
        struct rec_store_free free;
        uint8_t node[16];
    } m = {.free = {.nnodes = 1}};

    if (rt->dead)
        return;
    store_id(rt, o, m.free.object);
    memcpy(m.node, o->more->node, 16);
    link_send(rt, rt->raylet, REC_STORE_FREE, 0, &m, sizeof(m), false);
}

static void lost(struct runtime *rt, const struct rec_store_lost *m)
{
    raia_ref *o = objects_find_stored(&rt->objects, m->object);
    struct raia_error e;

    if (!o || o->state != OBJECT_STORED || memcmp(o->more->node, m->node, 16) != 0 ||
        o->more->mapped)
        return;
    err_set(&e, RAIA_ERR_OBJECT_LOST, "the only copy of an object of %llu bytes went with its node",
            (unsigned long long)o->more->size);
    object_set_error(&rt->objects, o, &e);
}

void store_give(struct runtime *rt, const raia_ref *o, const struct record_address *owner)
{
    struct rec_store_give m = {.owner = *owner};

    if (rt->dead)
        return;
    store_id(rt, o, m.object);
    link_send(rt, rt->raylet, REC_STORE_GIVE, 0, &m, sizeof(m), false);
}

void store_doubt(struct runtime *rt, const raia_ref *o)
{
    say_object(rt, REC_STORE_DOUBT, o, 0);
}

void store_refuse(struct runtime *rt, const struct wire_stored *s)
{
    struct rec_store_stray m = {.flags = 0};

    if (rt->dead)
        return;
    memcpy(m.object, s->store_id, sizeof(m.object));
    memcpy(m.node, s->node, sizeof(m.node));
    link_send(rt, rt->raylet, REC_STORE_STRAY_IS, 0, &m, sizeof(m), false);
}

/* Is that copy the value of our object? Not to be said while the task may still end with it. */
static void stray(struct runtime *rt, const struct rec_store_stray *asked)
{
    struct rec_store_stray m = *asked;
    uint64_t counter = rec_object_counter(m.object);
    raia_ref *o = objects_find_stored(&rt->objects, m.object);
    uint8_t id[28] = {0};
    raia_actor *a, *next;

    if (o && o->state == OBJECT_STORED)
        store_id(rt, o, id);
    m.flags = 0;
    if (memcmp(id, m.object, sizeof(id)) == 0 && memcmp(o->more->node, m.node, 16) == 0) {
        m.flags = REC_STRAY_TAKEN;
    } else {
        if (submitter_has(&rt->submitter, counter))
            return; /* it asks again */
        HASH_FOREACH (rt->actors, a, next)
            if (caller_has(&a->caller, counter))
                return;
    }
    link_send(rt, rt->raylet, REC_STORE_STRAY_IS, 0, &m, sizeof(m), false);
}

void store_record(struct runtime *rt, uint16_t type, uint64_t tag, const uint8_t *data, size_t size)
{
    if (type == REC_STORE_CREATED || type == REC_STORE_GOT) {
        if (size >= sizeof(struct rec_store_at))
            gcs_replied(rt, type, tag, data, size);
    } else if (type == REC_STORE_LOST && size >= sizeof(struct rec_store_lost)) {
        lost(rt, (const struct rec_store_lost *)(const void *)data);
    } else if (type == REC_STORE_STRAY && size >= sizeof(struct rec_store_stray)) {
        stray(rt, (const struct rec_store_stray *)(const void *)data);
    } else if (type == REC_SEGMENT_GONE && size >= sizeof(struct rec_segment)) {
        const struct rec_segment *m = (const struct rec_segment *)(const void *)data;
        struct segment *s = segment_find(rt, m->segment);

        if (s)
            segment_free(rt, s);
    }
}

void store_fini(struct runtime *rt)
{
    struct segment *s, *next;

    HASH_FOREACH (rt->segments, s, next)
        segment_free(rt, s);
    LIST_FOREACH_SAFE (s, next, &rt->loose_segments, loose)
        segment_free(rt, s);
    mem_free(STEAL(rt->spare_segment));
}
