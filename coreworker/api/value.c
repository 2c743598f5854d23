/* Making values, and reading views. */
#include <string.h>

#include "api/api.h"
#include "core/msgpack.h"

struct raia_value raia_nil(void)
{
    return (struct raia_value){.kind = RAIA_KIND_NIL__};
}

struct raia_value raia_bool(bool v)
{
    return (struct raia_value){.kind = RAIA_KIND_BOOL__, .u.integer = v};
}

struct raia_value raia_int(int64_t v)
{
    return (struct raia_value){.kind = RAIA_KIND_INT__, .u.integer = v};
}

struct raia_value raia_double(double v)
{
    return (struct raia_value){.kind = RAIA_KIND_DOUBLE__, .u.real = v};
}

struct raia_value raia_strn(const char *s, size_t size)
{
    if (!s)
        return raia_nil();
    return (struct raia_value){.kind = RAIA_KIND_STR__, .size = size, .u.data = s};
}

struct raia_value raia_str(const char *s)
{
    return raia_strn(s, s ? strlen(s) : 0);
}

struct raia_value raia_encoded(uint32_t format, const void *data, size_t size)
{
    return (struct raia_value){
        .kind = RAIA_KIND_BYTES__, .format = format, .size = size, .u.data = data};
}

struct raia_value raia_bytes(const void *data, size_t size)
{
    return raia_encoded(RAIA_RAW, data, size);
}

struct raia_value raia_value_of(raia_ref *r)
{
    return (struct raia_value){.kind = RAIA_KIND_REF__, .u.ref = r};
}

struct raia_value raia_with_refs(struct raia_value v, raia_ref *const *refs, size_t count)
{
    v.refs = refs;
    v.refs_count = refs ? count : 0;
    return v;
}

struct raia_value raia_refs(raia_ref *const *refs, size_t count)
{
    /* Without a list the kind says that something is wrong. */
    return count && !refs ? (struct raia_value){.kind = RAIA_KIND_NONE__}
                          : raia_with_refs(raia_bytes(NULL, 0), refs, count);
}

struct raia_value raia_handle(raia_actor *a)
{
    return (struct raia_value){.kind = RAIA_KIND_ACTOR__, .u.actor = a};
}

/* ---- reading */

static int wrong(const char *wanted, int r)
{
    return last_set(-r, "the value is not %s", wanted);
}

static bool packed(const struct raia_view *v)
{
    return v && v->data && v->format == RAIA_MSGPACK;
}

int raia_view_int(const struct raia_view *v, int64_t *ret)
{
    int r = packed(v) && ret ? msgpack_get_int(v->data, v->size, ret) : -RAIA_ERR_INVALID;

    return r < 0 ? wrong("an integer", r) : 0;
}

int raia_view_double(const struct raia_view *v, double *ret)
{
    int r = packed(v) && ret ? msgpack_get_double(v->data, v->size, ret) : -RAIA_ERR_INVALID;

    return r < 0 ? wrong("a number", r) : 0;
}

int raia_view_bool(const struct raia_view *v, bool *ret)
{
    int r = packed(v) && ret ? msgpack_get_bool(v->data, v->size, ret) : -RAIA_ERR_INVALID;

    return r < 0 ? wrong("a boolean", r) : 0;
}

const char *raia_view_str(const struct raia_view *v, size_t *ret_size)
{
    const char *s;
    size_t n;
    int r = packed(v) ? msgpack_get_str(v->data, v->size, &s, &n) : -RAIA_ERR_INVALID;

    if (r < 0) {
        wrong("a string", r);
        return NULL;
    }
    if (ret_size)
        *ret_size = n;
    return s;
}

/* What a view keeps: a blob or a pinned object, by the lowest bit; or a call's argument. */
#define KEEPS_OBJECT 1u
#define KEEPS_ARG    2u

int api_view(struct runtime *rt, raia_ref *r, struct raia_view *ret)
{
    const struct stored_head *h;
    struct chain c;

    (void)rt;
    if (r->state == OBJECT_HERE) {
        if (r->value->format == RAIA_ERROR_FORMAT) {
            chain_decode(&c, r->value->data, r->value->size);
            return last_set_chain(&c);
        }
        r->value->count++;
        *ret = (struct raia_view){.data = r->value->data,
                                  .size = r->value->size,
                                  .format = r->value->format,
                                  .refs = r->value->nrefs,
                                  .private__ = r->value};
        return 0;
    }
    h = (const struct stored_head *)(const void *)r->more->mapped;
    store_pin(r);
    *ret = (struct raia_view){.data = r->more->mapped + STORED_HEAD,
                              .size = h->size,
                              .format = h->format,
                              .refs = h->nrefs,
                              .private__ = (void *)((uintptr_t)r | KEEPS_OBJECT)};
    return 0;
}

void raia_view_release(struct raia_view *v)
{
    uintptr_t p = v ? (uintptr_t)v->private__ : 0;
    struct runtime *rt;

    if (!v)
        return;
    *v = (struct raia_view){0};
    if (!(p & ~(uintptr_t)3) || p & KEEPS_ARG)
        return;
    rt = rt_enter_release();
    if (!rt)
        return;
    if (p & KEEPS_OBJECT)
        store_unpin(rt, (raia_ref *)(p & ~(uintptr_t)3));
    else
        blob_unref(&rt->objects, (struct blob *)p);
    rt_leave(rt);
}

/* The references of an object that others own and that was read from the store: made when first
 * asked for. They are held by the outer one, and registered with their owners at once. */
static raia_ref **stored_refs(struct runtime *rt, raia_ref *o)
{
    const struct stored_head *h = (const struct stored_head *)(const void *)o->more->mapped;
    const struct wire_ref *refs;
    raia_ref **inner;

    if (o->more->inner)
        return o->more->inner;
    refs = (const struct wire_ref *)(const void *)(o->more->mapped + STORED_HEAD +
                                                   wire_pad(h->size + 1));
    inner = mem_calloc(h->nrefs, sizeof(raia_ref *));
    if (!inner)
        return NULL;
    for (uint32_t i = 0; i < h->nrefs; i++) {
        struct wire_ref one = refs[i];
        bool wait;

        one.flags = 0;
        inner[i] = objects_receive(&rt->objects, &one, NULL, false);
        if (!inner[i] || object_register(&rt->objects, inner[i], NULL, &wait) < 0) {
            while (i-- > 0)
                object_unhold(&rt->objects, inner[i]);
            mem_free(inner);
            return NULL;
        }
    }
    o->more->inner = inner;
    o->more->ninner = h->nrefs;
    return inner;
}

static raia_ref *view_ref(struct runtime *rt, const struct raia_view *v, size_t i)
{
    uintptr_t p = (uintptr_t)v->private__;
    raia_ref **inner, *o;

    if (p & KEEPS_OBJECT)
        inner = stored_refs(rt, (raia_ref *)(p & ~(uintptr_t)3));
    else if (p & KEEPS_ARG)
        inner = ((struct call_arg *)(p & ~(uintptr_t)3))->inner;
    else
        inner = ((struct blob *)p)->inner;
    if (!inner || !inner[i]) {
        last_set(RAIA_ERR_NOMEM, "out of memory");
        return NULL;
    }
    o = inner[i];
    o->handles++;
    return o;
}

raia_ref *raia_view_ref(const struct raia_view *v, size_t i)
{
    struct runtime *rt;
    raia_ref *o;

    if (!v || i >= v->refs || !v->private__) {
        last_set(RAIA_ERR_INVALID, "the value holds %u references: there is no number %zu",
                 v ? v->refs : 0, i);
        return NULL;
    }
    rt = rt_enter();
    if (!rt)
        return NULL;
    o = view_ref(rt, v, i);
    rt_leave(rt);
    return o;
}

raia_actor *raia_view_actor(const struct raia_view *v)
{
    raia_ref *scope = NULL;
    struct runtime *rt;
    raia_actor *a = NULL;

    if (!v || !v->data || v->format != RAIA_PRIVATE || v->size != ACTOR_BYTES) {
        last_set(RAIA_ERR_INVALID, "the value is not an actor handle");
        return NULL;
    }
    rt = rt_enter();
    if (!rt)
        return NULL;
    if (v->refs)
        scope = view_ref(rt, v, 0);
    if (scope || !v->refs)
        a = actor_unpack(rt, v->data, v->size, scope);
    if (scope)
        object_release(&rt->objects, scope);
    rt_leave(rt);
    return a;
}
