/* Objects: put, get, wait, create in place. */
#include <string.h>

#include "api/api.h"
#include "core/msgpack.h"

#define BUFFER_MAGIC 0x42554646u

int api_check_ref(struct runtime *rt, const raia_ref *r)
{
    if (!r || r->magic != OBJECT_MAGIC || r->handles == 0)
        return last_set(RAIA_ERR_INVALID, "the reference is NULL or was released: did the call "
                                          "that made it fail?");
    if (r->epoch != rt->objects.epoch)
        return last_set(RAIA_ERR_SHUTDOWN, "the reference is of a session that has been shut down");
    return 0;
}

int api_forked(void)
{
    return last_set(RAIA_ERR_FORKED, "this process is a forked child of one that uses Raia: "
                                     "only exec or _exit from here");
}

int64_t api_deadline(int64_t timeout_ms)
{
    return timeout_ms == 0 ? 0 : clock_deadline_ms(timeout_ms);
}

raia_ref *raia_put(struct raia_value v)
{
    struct runtime *rt = rt_enter();
    raia_ref *o = NULL;
    struct flat f;

    if (!rt)
        return NULL;
    if (value_flatten(rt, &v, &f) == 0) {
        if (f.held) {
            f.held->handles++;
            o = f.held;
        } else {
            if (f.one)
                f.refs = &f.one;
            if (flat_put(rt, &f, &o) < 0)
                o = NULL;
        }
    }
    rt_leave(rt);
    return o;
}

raia_ref *raia_ref_dup(raia_ref *r)
{
    struct runtime *rt = rt_enter_release();

    if (!rt) {
        api_forked();
        return NULL;
    }
    if (r && r->magic == OBJECT_MAGIC && r->handles) {
        r->handles++;
    } else {
        last_set(RAIA_ERR_INVALID, "dup: the reference is NULL or was released");
        r = NULL;
    }
    rt_leave(rt);
    return r;
}

static void release(struct runtime *rt, raia_ref *r)
{
    if (r && r->magic == OBJECT_MAGIC && r->handles)
        object_release(&rt->objects, r);
}

/* The last handle of an ended session takes the memory with it. */
static void leave_release(struct runtime *rt)
{
    if (!rt->raylet)
        rt_pools_fini(rt);
    rt_leave(rt);
}

void raia_release(raia_ref *r)
{
    struct runtime *rt = r ? rt_enter_release() : NULL;

    if (!rt)
        return;
    release(rt, r);
    leave_release(rt);
}

void raia_release_all(raia_ref **refs, size_t count)
{
    struct runtime *rt = refs ? rt_enter_release() : NULL;

    if (!rt)
        return;
    for (size_t i = 0; i < count; i++) {
        release(rt, refs[i]);
        refs[i] = NULL;
    }
    leave_release(rt);
}

/* There is a value, but not here: why not. */
static int refused(const raia_ref *o)
{
    struct chain c;

    chain_decode(&c, o->more->refusal->data, o->more->refusal->size);
    return last_set_chain(&c);
}

static int timed_out(struct runtime *rt, int r, size_t i, size_t count)
{
    if (rt->dead)
        return last_set_error(&rt->death);
    if (r == -RAIA_ERR_TIMEOUT)
        return last_set(RAIA_ERR_TIMEOUT,
                        "timed out: object %zu of %zu is not ready (its task goes on)", i + 1,
                        count);
    return last_set(-r, "waiting for object %zu of %zu: %s", i + 1, count, raia_strerror(r));
}

int raia_get_all(raia_ref *const *refs, size_t count, struct raia_view *ret, int64_t timeout_ms)
{
    struct runtime *rt = rt_enter();
    int64_t deadline;
    size_t i;
    int r = 0;

    if (!rt)
        return -raia_last_error()->code;
    if ((count && !refs) || (count && !ret))
        r = last_set(RAIA_ERR_INVALID, "a list of %zu references and a place for as many views",
                     count);
    for (i = 0; i < count && r == 0; i++)
        r = api_check_ref(rt, refs[i]);
    deadline = api_deadline(timeout_ms);
    for (i = 0; i < count && r == 0; i++) {
        r = rt_wait_object(rt, refs[i], true, deadline);
        /* A view at once: a copy that is here now may go when nobody reads it. */
        r = r < 0   ? timed_out(rt, r, i, count)
            : r > 0 ? refused(refs[i])
                    : api_view(rt, refs[i], &ret[i]);
    }
    rt_leave(rt);
    if (r < 0)
        for (size_t k = 0; i > 0 && k < i - 1; k++)
            raia_view_release(&ret[k]);
    return r;
}

int raia_get(raia_ref *r, struct raia_view *ret, int64_t timeout_ms)
{
    struct runtime *rt = rt_enter();
    int n;

    if (!rt)
        return -raia_last_error()->code;
    n = ret ? api_check_ref(rt, r) : last_set(RAIA_ERR_INVALID, "get: no place for the view");
    if (n == 0) {
        n = rt_wait_object(rt, r, true, api_deadline(timeout_ms));
        n = n < 0 ? timed_out(rt, n, 0, 1) : n > 0 ? refused(r) : api_view(rt, r, ret);
    }
    rt_leave(rt);
    return n;
}

int raia_get_int(raia_ref *r, int64_t *ret, int64_t timeout_ms)
{
    struct raia_view v;
    int n = raia_get(r, &v, timeout_ms);

    if (n == 0) {
        n = raia_view_int(&v, ret);
        raia_view_release(&v);
    }
    return n;
}

int raia_get_double(raia_ref *r, double *ret, int64_t timeout_ms)
{
    struct raia_view v;
    int n = raia_get(r, &v, timeout_ms);

    if (n == 0) {
        n = raia_view_double(&v, ret);
        raia_view_release(&v);
    }
    return n;
}

int raia_get_bool(raia_ref *r, bool *ret, int64_t timeout_ms)
{
    struct raia_view v;
    int n = raia_get(r, &v, timeout_ms);

    if (n == 0) {
        n = raia_view_bool(&v, ret);
        raia_view_release(&v);
    }
    return n;
}

char *raia_get_str(raia_ref *r, int64_t timeout_ms)
{
    struct raia_view v;
    const char *s;
    char *copy = NULL;
    size_t n;

    if (raia_get(r, &v, timeout_ms) < 0)
        return NULL;
    s = raia_view_str(&v, &n);
    if (s) {
        copy = mem_alloc(n + 1);
        if (copy) {
            memcpy(copy, s, n);
            copy[n] = 0;
        } else {
            last_set(RAIA_ERR_NOMEM, "out of memory");
        }
    }
    raia_view_release(&v);
    return copy;
}

int raia_get_done(raia_ref *r, int64_t timeout_ms)
{
    struct runtime *rt = rt_enter();
    struct chain c;
    int n;

    if (!rt)
        return -raia_last_error()->code;
    n = api_check_ref(rt, r);
    if (n == 0) {
        n = rt_wait_object(rt, r, false, api_deadline(timeout_ms));
        if (n < 0) {
            n = timed_out(rt, n, 0, 1);
        } else if (object_is_error(r)) {
            chain_decode(&c, r->value->data, r->value->size);
            n = last_set_chain(&c);
        }
    }
    rt_leave(rt);
    return n;
}

/* ---- wait */

static size_t count_ready(struct runtime *rt, raia_ref *const *refs, size_t count, size_t enough)
{
    size_t n = 0;

    for (size_t i = 0; i < count && n < enough; i++) {
        if (object_ready(refs[i])) {
            n++;
        } else {
            refs[i]->flags |= OBJECT_WAITED;
            if (refs[i]->owner)
                rt_query(rt, refs[i]);
        }
    }
    return n;
}

static size_t mark_ready(raia_ref *const *refs, size_t count, size_t enough, bool *ret_ready)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        bool ready = n < enough && object_ready(refs[i]);

        n += ready;
        if (ret_ready)
            ret_ready[i] = ready;
    }
    return n;
}

static int wait_some(struct runtime *rt, raia_ref *const *refs, size_t count, size_t enough,
                     int64_t deadline)
{
    struct waiter w;
    bool told = false;
    size_t n = count_ready(rt, refs, count, enough);
    uint64_t seen = rt->objects.ready_count;
    int r = 0;

    if (n < enough && !rt->poller) {
        rt_drain(rt);
        n = count_ready(rt, refs, count, enough);
    }
    if (n >= enough)
        return 0;
    waiter_init(&w, NULL);
    for (size_t i = 0; i < count; i++)
        object_hold(refs[i]);
    while (n < enough) {
        if (rt->dead) {
            r = last_set_error(&rt->death);
            break;
        }
        if (deadline == 0 || clock_now_ns() >= deadline)
            break;
        rt_blocked(rt, &told);
        rt_wait(rt, &w, deadline);
        if (seen != rt->objects.ready_count) {
            seen = rt->objects.ready_count;
            n = count_ready(rt, refs, count, enough);
        }
    }
    rt_unblocked(rt, &told);
    waiter_fini(&w);
    for (size_t i = 0; i < count; i++)
        object_unhold(&rt->objects, refs[i]);
    return r;
}

int raia_wait(raia_ref *const *refs, size_t count, size_t num_ready, int64_t timeout_ms,
              bool *ret_ready)
{
    struct runtime *rt = rt_enter();
    int r = 0;

    if (!rt)
        return -raia_last_error()->code;
    if (count == 0 || !refs || num_ready == 0 || num_ready > count || count > INT32_MAX)
        r = last_set(RAIA_ERR_INVALID, "wait for %zu of %zu references", num_ready, count);
    for (size_t i = 0; i < count && r == 0; i++)
        r = api_check_ref(rt, refs[i]);
    if (r == 0)
        r = wait_some(rt, refs, count, num_ready, api_deadline(timeout_ms));
    if (r == 0)
        r = (int)mark_ready(refs, count, num_ready, ret_ready);
    rt_leave(rt);
    return r;
}

/* ---- in place */

raia_buffer *raia_create(size_t size)
{
    struct runtime *rt = rt_enter();
    raia_buffer *b;
    raia_ref *o = NULL;

    if (!rt)
        return NULL;
    b = mem_new(struct raia_buffer);
    if (b)
        o = object_new(&rt->objects, ++rt->counter, 0);
    if (!o) {
        mem_free(b);
        rt_leave(rt);
        last_set(RAIA_ERR_NOMEM, "out of memory");
        return NULL;
    }
    object_hold(o);
    b->magic = BUFFER_MAGIC;
    b->object = o;
    b->size = size;
    if (store_create(rt, o, RAIA_RAW, size, 0, &b->base) < 0) {
        object_unhold(&rt->objects, o);
        mem_free(b);
        b = NULL;
    }
    rt_leave(rt);
    return b;
}

void *raia_buffer_data(raia_buffer *b)
{
    if (b && b->magic == BUFFER_MAGIC)
        return b->base + STORED_HEAD;
    last_set(RAIA_ERR_INVALID, "the buffer is NULL or was sealed");
    return NULL;
}

size_t raia_buffer_size(const raia_buffer *b)
{
    return b && b->magic == BUFFER_MAGIC ? b->size : 0;
}

static void buffer_free(struct runtime *rt, raia_buffer *b)
{
    object_unhold(&rt->objects, b->object);
    b->magic = 0;
    mem_free(b);
}

raia_ref *raia_seal(raia_buffer *b, uint32_t format)
{
    struct runtime *rt;
    raia_ref *o = NULL;

    if (!b || b->magic != BUFFER_MAGIC || format >= RAIA_ERROR_FORMAT) {
        last_set(RAIA_ERR_INVALID, "seal: the buffer is NULL or was sealed, or format %u", format);
        raia_buffer_abort(b);
        return NULL;
    }
    rt = rt_enter();
    if (rt && b->object->epoch != rt->objects.epoch) {
        rt_leave(rt);
        rt = NULL;
        last_set(RAIA_ERR_SHUTDOWN, "the buffer is of a session that has been shut down");
    }
    if (!rt) {
        raia_buffer_abort(b);
        return NULL;
    }
    ((struct stored_head *)(void *)b->base)->format = (uint8_t)format;
    if (store_seal(rt, b->object, stored_bytes(b->size, 0), NULL, 0) < 0) {
        last_set(RAIA_ERR_NOMEM, "out of memory");
    } else {
        o = b->object;
        o->handles = 1;
    }
    buffer_free(rt, b);
    rt_leave(rt);
    return o;
}

void raia_buffer_abort(raia_buffer *b)
{
    struct runtime *rt = b && b->magic == BUFFER_MAGIC ? rt_enter_release() : NULL;

    if (!rt)
        return;
    if (rt->raylet && b->object->epoch == rt->objects.epoch)
        store_abort(rt, b->object);
    buffer_free(rt, b);
    leave_release(rt);
}
