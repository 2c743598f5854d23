/* Values: from what the user gave to bytes, objects, and back. */
#include <string.h>

#include "core/msgpack.h"
#include "lib/runtime.h"

#define REFS_MAX (16u << 20) /* references inside one value */

static int flatten_scalar(const struct raia_value *v, struct flat *f)
{
    f->format = RAIA_MSGPACK;
    switch (v->kind) {
    case RAIA_KIND_NIL__:
        f->head_size = msgpack_put_nil(f->head);
        return 0;
    case RAIA_KIND_BOOL__:
        f->head_size = msgpack_put_bool(f->head, v->u.integer != 0);
        return 0;
    case RAIA_KIND_INT__:
        f->head_size = msgpack_put_int(f->head, v->u.integer);
        return 0;
    case RAIA_KIND_DOUBLE__:
        f->head_size = msgpack_put_double(f->head, v->u.real);
        return 0;
    case RAIA_KIND_STR__:
        if (v->size > UINT32_MAX)
            return last_set(RAIA_ERR_LIMIT, "a string of %zu bytes is too long: use raia_bytes",
                            v->size);
        f->head_size = msgpack_put_str_head(f->head, v->size);
        f->body = v->u.data;
        f->body_size = v->size;
        return 0;
    default:
        return last_set(RAIA_ERR_INVALID,
                        "a value of an unknown kind (%d): use raia_int, "
                        "raia_str and so on to make one",
                        (int)v->kind);
    }
}

static int check_ref(const struct runtime *rt, const raia_ref *r)
{
    if (r && r->magic == OBJECT_MAGIC && r->epoch != rt->objects.epoch)
        return last_set(RAIA_ERR_SHUTDOWN,
                        "a value has a reference of a session that has been shut down");
    if (!r || r->magic != OBJECT_MAGIC)
        return last_set(RAIA_ERR_INVALID, "a value has a reference that is NULL or was released: "
                                          "did the call that made it fail?");
    return 0;
}

int value_flatten(struct runtime *rt, const struct raia_value *v, struct flat *f)
{
    if (v->refs_count > REFS_MAX)
        return last_set(RAIA_ERR_LIMIT, "a value of %zu references: at most %u", v->refs_count,
                        REFS_MAX);
    *f = (struct flat){.refs = v->refs, .nrefs = v->refs_count};
    for (size_t i = 0; i < v->refs_count; i++)
        if (check_ref(rt, v->refs[i]) < 0)
            return -raia_last_error()->code;
    switch (v->kind) {
    case RAIA_KIND_BYTES__:
        if ((v->size && !v->u.data) || v->format >= RAIA_ERROR_FORMAT)
            return last_set(RAIA_ERR_INVALID, "a value of %zu bytes at %p, format %u", v->size,
                            v->u.data, v->format);
        f->format = (uint8_t)v->format;
        f->body = v->u.data;
        f->body_size = v->size;
        return 0;
    case RAIA_KIND_REF__:
        f->held = v->u.ref;
        return check_ref(rt, v->u.ref);
    case RAIA_KIND_ACTOR__:
        if (!v->u.actor || v->u.actor->magic != ACTOR_MAGIC)
            return last_set(RAIA_ERR_INVALID, "a value has an actor handle that is NULL or was "
                                              "released");
        if (v->u.actor->gone)
            return last_set(RAIA_ERR_SHUTDOWN,
                            "a value has an actor handle of a session that was shut down");
        actor_pack(v->u.actor, f->actor);
        f->format = RAIA_PRIVATE;
        f->body = f->actor;
        f->body_size = ACTOR_BYTES;
        f->one = v->u.actor->scope;
        if (f->one) {
            f->refs = &f->one;
            f->nrefs = 1;
        }
        return 0;
    default:
        return flatten_scalar(v, f);
    }
}

void flat_write(const struct flat *f, uint8_t *to)
{
    if (f->head_size)
        memcpy(to, f->head, f->head_size);
    if (f->body_size)
        memcpy(to + f->head_size, f->body, f->body_size);
}

struct blob *flat_blob(struct runtime *rt, const struct flat *f)
{
    struct blob *b =
        blob_new(&rt->objects, f->format, f->head_size + f->body_size, (uint32_t)f->nrefs);

    if (!b)
        return NULL;
    flat_write(f, b->data);
    for (size_t i = 0; i < f->nrefs; i++) {
        b->inner[i] = f->refs[i];
        object_hold(f->refs[i]);
    }
    return b;
}

/* A pending object of our own, with one handle. */
static raia_ref *new_object(struct runtime *rt)
{
    raia_ref *o = object_new(&rt->objects, ++rt->counter, 0);

    if (!o)
        last_set(RAIA_ERR_NOMEM, "out of memory");
    else
        o->handles = 1;
    return o;
}

/* What an object would have held, had there been memory for it. */
static int drop_inner(struct runtime *rt, raia_ref **inner, size_t n, int r)
{
    for (size_t i = 0; i < n; i++)
        object_unhold(&rt->objects, inner[i]);
    mem_free(inner);
    return r;
}

int flat_store(struct runtime *rt, const struct flat *f, raia_ref *o)
{
    size_t size = f->head_size + f->body_size;
    struct wire_ref *refs;
    raia_ref **inner = NULL;
    uint8_t *base;
    int r;

    if (f->nrefs) {
        inner = mem_calloc(f->nrefs, sizeof(raia_ref *));
        if (!inner)
            return last_set(RAIA_ERR_NOMEM, "out of memory");
    }
    r = store_create(rt, o, f->format, size, f->nrefs, &base);
    if (r < 0 && r != -RAIA_ERR_EXISTS) {
        mem_free(inner);
        return r;
    }
    for (size_t i = 0; i < f->nrefs; i++) {
        struct process nobody = {.dead = true}; /* names it for all, counting none */

        if (r == 0) {
            refs = (struct wire_ref *)(void *)(base + STORED_HEAD + wire_pad(size + 1));
            object_export(&rt->objects, f->refs[i], &nobody, false, &refs[i]);
            refs[i].flags = 0;
        }
        inner[i] = f->refs[i];
        object_hold(f->refs[i]);
    }
    if (r == -RAIA_ERR_EXISTS) {
        r = object_set_stored(&rt->objects, o, stored_bytes(size, f->nrefs), rt->self.node, inner,
                              (uint32_t)f->nrefs);
        return r < 0 ? drop_inner(rt, inner, f->nrefs, r) : 0;
    }
    /* The bytes may be many: they are written without the token. The segment must stay. */
    rt->inside++;
    pthread_mutex_unlock(&rt->token);
    flat_write(f, base + STORED_HEAD);
    pthread_mutex_lock(&rt->token);
    rt->inside--;
    r = store_seal(rt, o, stored_bytes(size, f->nrefs), inner, (uint32_t)f->nrefs);
    return r < 0 ? drop_inner(rt, inner, f->nrefs, r) : 0;
}

bool rt_keeps(const struct runtime *rt, size_t size)
{
    return size <= RT_TINY_MAX ||
           (size <= RT_INLINE_MAX && rt->objects.blob_bytes + size <= rt->owner_bytes_max);
}

static int put(struct runtime *rt, const struct flat *f, bool keep, raia_ref **ret)
{
    raia_ref *o = new_object(rt);
    struct blob *b;
    int r;

    if (!o)
        return -RAIA_ERR_NOMEM;
    if (keep) {
        b = flat_blob(rt, f);
        r = b ? 0 : last_set(RAIA_ERR_NOMEM, "out of memory");
        if (b)
            object_set_value(&rt->objects, o, b);
    } else {
        r = flat_store(rt, f, o);
    }
    if (r < 0)
        object_release(&rt->objects, o);
    else
        *ret = o;
    return r;
}

int flat_put(struct runtime *rt, const struct flat *f, raia_ref **ret)
{
    size_t size = f->head_size + f->body_size + f->nrefs * sizeof(struct wire_ref);

    return put(rt, f, rt_keeps(rt, size), ret);
}

int flat_put_stored(struct runtime *rt, const struct flat *f, raia_ref **ret)
{
    return put(rt, f, false, ret);
}

/* The references of a received entry, each held; NULL with *ret_n 0 if there are none. */
static int receive_refs(struct runtime *rt, struct process *from, const struct wire_item *item,
                        raia_ref **to)
{
    for (uint32_t i = 0; i < item->head->nrefs; i++) {
        to[i] = objects_receive(&rt->objects, &item->refs[i], from, true);
        if (!to[i])
            return -RAIA_ERR_NOMEM;
    }
    return 0;
}

void item_drop(struct runtime *rt, struct process *from, const struct wire_item *item)
{
    for (uint32_t i = 0; i < item->head->nrefs; i++) {
        raia_ref *o = objects_receive(&rt->objects, &item->refs[i], from, true);

        if (o)
            object_unhold(&rt->objects, o);
    }
}

int item_into_object(struct runtime *rt, struct process *from, const struct wire_item *item,
                     raia_ref *o)
{
    const struct wire_stored *s = (const struct wire_stored *)(const void *)item->data;
    uint32_t n = item->head->nrefs;
    raia_ref **inner = NULL;
    struct blob *b;
    int r;

    if (item->head->kind == WIRE_STORED) {
        if (n) {
            inner = mem_calloc(n, sizeof(raia_ref *));
            if (!inner || receive_refs(rt, from, item, inner) < 0) {
                mem_free(inner);
                return -RAIA_ERR_NOMEM;
            }
        }
        if (o->state != OBJECT_PENDING && !o->owner)
            store_refuse(rt, s);
        else if (store_alias(rt, o, s->store_id) < 0)
            return -RAIA_ERR_NOMEM;
        r = object_set_stored(&rt->objects, o, s->size, s->node, inner, n);
        if (r == 0)
            return 0;
        for (uint32_t i = 0; i < n; i++)
            object_unhold(&rt->objects, inner[i]);
        mem_free(inner);
        /* It had a value already: its deadline had passed. */
        return r == -RAIA_ERR_EXISTS ? 0 : r;
    }
    b = blob_new(&rt->objects, item->head->format, item->head->size, n);
    if (!b)
        return -RAIA_ERR_NOMEM;
    memcpy(b->data, item->data, item->head->size);
    if (n && receive_refs(rt, from, item, b->inner) < 0) {
        blob_unref(&rt->objects, b);
        return -RAIA_ERR_NOMEM;
    }
    object_set_value(&rt->objects, o, b);
    return 0;
}
