/* What a function does with the call that it is given. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"

#define KEEPS_OBJECT 1u
#define KEEPS_ARG    2u

static int check(const raia_call *c)
{
    if (!c || c->magic != CALL_MAGIC)
        return last_set(RAIA_ERR_INVALID, "the call is NULL or has ended");
    return 0;
}

size_t raia_arg_count(const raia_call *c)
{
    return c && c->magic == CALL_MAGIC ? c->head.nargs : 0;
}

int raia_arg(raia_call *c, size_t i, struct raia_view *ret)
{
    const struct stored_head *h;
    struct call_arg *a;

    if (check(c) < 0)
        return -RAIA_ERR_INVALID;
    if (i >= c->head.nargs || !ret)
        return last_set(RAIA_ERR_INVALID, "there is no argument %zu: the caller gave %u", i,
                        c->head.nargs);
    a = &c->args[i];
    *ret = (struct raia_view){.data = a->item.data,
                              .size = a->item.head->size,
                              .format = a->item.head->format,
                              .refs = a->item.head->nrefs,
                              .private__ = (void *)((uintptr_t)a | KEEPS_ARG)};
    if (a->stored) {
        /* The object is pinned until the call ends: the view needs no release. */
        h = (const struct stored_head *)(const void *)a->stored->more->mapped;
        ret->data = a->stored->more->mapped + STORED_HEAD;
        ret->size = h->size;
        ret->format = h->format;
        ret->refs = h->nrefs;
        ret->private__ = (void *)((uintptr_t)a->stored | KEEPS_OBJECT);
    }
    return 0;
}

int raia_arg_int(raia_call *c, size_t i, int64_t *ret)
{
    struct raia_view v;
    int r = raia_arg(c, i, &v);

    return r < 0 ? r : raia_view_int(&v, ret);
}

int raia_arg_double(raia_call *c, size_t i, double *ret)
{
    struct raia_view v;
    int r = raia_arg(c, i, &v);

    return r < 0 ? r : raia_view_double(&v, ret);
}

int raia_arg_bool(raia_call *c, size_t i, bool *ret)
{
    struct raia_view v;
    int r = raia_arg(c, i, &v);

    return r < 0 ? r : raia_view_bool(&v, ret);
}

const char *raia_arg_str(raia_call *c, size_t i)
{
    struct raia_view v;

    return raia_arg(c, i, &v) < 0 ? NULL : raia_view_str(&v, NULL);
}

const void *raia_arg_bytes(raia_call *c, size_t i, size_t *ret_size)
{
    struct raia_view v;

    if (raia_arg(c, i, &v) < 0)
        return NULL;
    if (ret_size)
        *ret_size = v.size;
    return v.data;
}

raia_ref *raia_arg_ref(raia_call *c, size_t i, size_t k)
{
    struct raia_view v;

    return raia_arg(c, i, &v) < 0 ? NULL : raia_view_ref(&v, k);
}

raia_actor *raia_arg_actor(raia_call *c, size_t i)
{
    struct raia_view v;

    return raia_arg(c, i, &v) < 0 ? NULL : raia_view_actor(&v);
}

/* ---- returning */

/* A value into a return slot. The token is held. */
static int set_return(struct runtime *rt, raia_call *c, size_t i, const struct raia_value *v)
{
    struct call_return *to = &c->returns[i];
    raia_ref *o = NULL;
    struct blob *b = NULL;
    struct flat f;
    int r = value_flatten(rt, v, &f);

    if (r < 0)
        return r;
    if (f.one)
        f.refs = &f.one;
    if (f.held)
        return last_set(RAIA_ERR_INVALID, "raia_value_of is for arguments: return the value "
                                          "itself, or raia_refs for a reference");
    if (f.head_size + f.body_size + f.nrefs * sizeof(struct wire_ref) <=
        (c->head.flags & WIRE_TASK_STORE ? RT_TINY_MAX : RT_INLINE_MAX)) {
        b = flat_blob(rt, &f);
        if (!b)
            return last_set(RAIA_ERR_NOMEM, "out of memory");
    } else {
        r = return_store(rt, c, (unsigned)i, &f, &o);
        if (r < 0)
            return r;
    }
    blob_unref(&rt->objects, to->blob);
    if (to->stored)
        object_unhold(&rt->objects, to->stored);
    *to = (struct call_return){.blob = b, .stored = o};
    return 0;
}

int raia_return_at(raia_call *c, size_t i, struct raia_value v)
{
    struct runtime *rt;
    int r = check(c);

    if (r < 0)
        return r;
    if (c->constructor && i == 0)
        return 0;
    if (i >= c->head.nreturns)
        return last_set(RAIA_ERR_INVALID, "there is no return value %zu: the caller wants %u", i,
                        c->head.nreturns);
    rt = rt_enter();
    if (!rt)
        return -raia_last_error()->code;
    r = set_return(rt, c, i, &v);
    rt_leave(rt);
    return r;
}

int raia_return(raia_call *c, struct raia_value v)
{
    return raia_return_at(c, 0, v);
}

int raia_return_int(raia_call *c, int64_t v)
{
    return raia_return_at(c, 0, raia_int(v));
}

int raia_return_buffer(raia_call *c, size_t i, raia_buffer *b, uint32_t format)
{
    raia_ref *o;
    int r;

    if (check(c) < 0 || i >= c->head.nreturns) {
        raia_buffer_abort(b);
        return last_set(RAIA_ERR_INVALID, "there is no return value %zu", i);
    }
    /* It stays under the id that it was made with: the return value refers to it. */
    o = raia_seal(b, format);
    if (!o)
        return -raia_last_error()->code;
    r = return_object(c, (unsigned)i, o);
    raia_release(o);
    return r;
}

int raia_fail(raia_call *c, const char *fmt, ...)
{
    char text[RAIA_ERROR_TEXT_MAX];
    struct raia_error e;
    va_list args;

    if (check(c) < 0)
        return -RAIA_ERR_INVALID;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt ? fmt : "failed", args);
    va_end(args);
    err_set(&e, RAIA_ERR_TASK_FAILED, "%s", text);
    call_fail(c, &e, raia_last_error()->code != 0);
    return -RAIA_ERR_TASK_FAILED;
}

bool raia_canceled(const raia_call *c)
{
    return c && c->magic == CALL_MAGIC && atomic_load(&((raia_call *)(uintptr_t)c)->canceled);
}

/* ---- answering later */

struct raia_pending {
    raia_call *call;
};

raia_pending *raia_defer(raia_call *c)
{
    raia_pending *p;

    if (check(c) < 0)
        return NULL;
    if (c->deferred || c->constructor) {
        last_set(RAIA_ERR_STATE, "the call was deferred already, or is a constructor");
        return NULL;
    }
    p = mem_new(struct raia_pending);
    if (!p) {
        last_set(RAIA_ERR_NOMEM, "out of memory");
        return NULL;
    }
    p->call = c;
    c->deferred = true;
    return p;
}

static int complete(raia_pending *p, const struct raia_value *v, const struct raia_error *e)
{
    struct runtime *rt;
    raia_call *c;
    int r = 0;

    if (!p)
        return last_set(RAIA_ERR_INVALID, "the pending call is NULL");
    rt = rt_enter();
    c = p->call;
    mem_free(p);
    if (!rt)
        return -raia_last_error()->code;
    if (v && !e) {
        r = c->head.nreturns ? set_return(rt, c, 0, v) : 0;
        if (r < 0)
            call_fail(c, raia_last_error(), false);
    } else {
        call_fail(c, e, false);
    }
    c->completed = true;
    rt->now = clock_now_ns();
    if (c->finished)
        call_finish(rt, c);
    rt_leave(rt);
    return r;
}

int raia_complete(raia_pending *p, struct raia_value v)
{
    return complete(p, &v, NULL);
}

int raia_complete_error(raia_pending *p, const char *fmt, ...)
{
    char text[RAIA_ERROR_TEXT_MAX];
    struct raia_error e;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt ? fmt : "failed", args);
    va_end(args);
    err_set(&e, RAIA_ERR_TASK_FAILED, "%s", text);
    return complete(p, NULL, &e);
}

/* ---- actors, from within */

int raia_set_self(raia_call *c, void *self)
{
    if (check(c) < 0)
        return -RAIA_ERR_INVALID;
    if (!c->constructor)
        return last_set(RAIA_ERR_STATE, "raia_set_self is for constructors");
    c->self = self;
    return 0;
}

void *raia_self(const raia_call *c)
{
    if (!c || c->magic != CALL_MAGIC)
        return NULL;
    return c->constructor ? c->self : c->seat ? host_self(the_runtime) : NULL;
}

int raia_actor_exit(raia_call *c)
{
    if (check(c) < 0)
        return -RAIA_ERR_INVALID;
    if (!c->seat)
        return last_set(RAIA_ERR_STATE, "raia_actor_exit is for methods");
    c->exit_after = true;
    return 0;
}

struct raia_id raia_current_actor_id(const raia_call *c)
{
    struct raia_id id = {{0}};

    if (c && c->magic == CALL_MAGIC && (c->seat || c->constructor) && host_id(the_runtime))
        memcpy(id.b, host_id(the_runtime), 16);
    return id;
}

bool raia_was_restarted(const raia_call *c)
{
    return c && c->magic == CALL_MAGIC && host_incarnation(the_runtime) > 1;
}

unsigned raia_attempt(const raia_call *c)
{
    return c && c->magic == CALL_MAGIC ? c->head.attempt : 0;
}
