/* Running a call and answering it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/arena.h"

void call_fail(struct raia_call *c, const struct raia_error *e, bool with_last)
{
    struct chain last;

    if (!c->error) {
        c->error = mem_new(struct chain);
        if (!c->error) {
            c->status = -e->code;
            return;
        }
    }
    chain_init(c->error);
    if (with_last) {
        last_get_chain(&last);
        for (unsigned i = 0; i < last.n; i++)
            chain_add_cause(c->error, &last.links[i]);
    }
    chain_push(c->error, e);
    c->status = -RAIA_ERR_TASK_FAILED;
}

static void name_of(const struct raia_call *c, char *to, size_t size)
{
    snprintf(to, size, "%s", c->function ? c->function->name : "?");
}

/* What every getter will see on top: which function, where. */
static void head_error(struct runtime *rt, struct raia_call *c, int code)
{
    char name[WIRE_NAME_MAX + 1];
    struct raia_error e;

    name_of(c, name, sizeof(name));
    if (!c->error)
        c->error = mem_new(struct chain);
    if (!c->error)
        return;
    err_set(&e, code, "%s '%s' failed on node %s, pid %d", c->seat ? "method" : "task", name,
            rt->node_name, (int)rt->pid);
    chain_push(c->error, &e);
}

/* Borrowed references that came with it and stay here after it: their owners must count us first.
 */
static void register_kept(struct runtime *rt, struct raia_call *c)
{
    for (unsigned i = 0; i < c->head.nargs; i++) {
        const struct call_arg *a = &c->args[i];

        for (uint32_t k = 0; a->inner && k < a->item.head->nrefs; k++) {
            raia_ref *o = a->inner[k];
            bool wait = false;

            if (o->owner && (o->handles || o->holds > 1) &&
                object_register(&rt->objects, o, c, &wait) == 0 && wait)
                c->waits++;
        }
    }
}

void object_registered(struct runtime *rt, raia_ref *o, void *who)
{
    struct raia_call *c = who;
    struct process *p = who;
    struct wire_object m = {.count = 1};

    if (c->magic == CALL_MAGIC) {
        if (--c->waits == 0)
            call_answer(rt, c);
        return;
    }
    /* A process that forwarded it: it may let go now. */
    object_name(&rt->objects, o, &m.ref);
    rt_objects_ops.send(rt, p, WIRE_REF_DONE, &m);
}

static size_t return_size(const struct call_return *v)
{
    if (v->blob)
        return wire_entry_size(v->blob->size, v->blob->nrefs);
    if (v->stored)
        return wire_entry_size(sizeof(struct wire_stored), v->stored->more->ninner);
    return wire_entry_size(1, 0);
}

static int write_return(struct runtime *rt, struct raia_call *c, const struct call_return *v,
                        uint8_t *to)
{
    struct wire_stored s = {0};
    struct wire_ref *refs;
    raia_ref **inner = NULL;
    uint32_t n = 0;
    uint8_t *data;

    if (v->blob) {
        n = v->blob->nrefs;
        inner = v->blob->inner;
        wire_entry_begin(to, WIRE_INLINE, v->blob->format, v->blob->size, n, &data, &refs);
        memcpy(data, v->blob->data, v->blob->size);
    } else if (v->stored) {
        n = v->stored->more->ninner;
        inner = v->stored->more->inner;
        s.size = v->stored->more->size;
        memcpy(s.node, v->stored->more->node, 16);
        store_id(rt, v->stored, s.store_id);
        wire_entry_begin(to, WIRE_STORED, RAIA_RAW, sizeof(s), n, &data, &refs);
        memcpy(data, &s, sizeof(s));
    } else {
        wire_entry_begin(to, WIRE_INLINE, RAIA_MSGPACK, 1, 0, &data, &refs);
        data[0] = 0xc0;
    }
    for (uint32_t i = 0; i < n; i++) {
        int r = object_export(&rt->objects, inner[i], c->caller, true, &refs[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

int return_store(struct runtime *rt, struct raia_call *c, unsigned i, const struct flat *f,
                 raia_ref **ret)
{
    raia_ref *o = object_new(&rt->objects, c->head.counter, i + 1);
    int r;

    if (!o)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    /* The caller's object, made here: nobody but the answer knows it by this struct. */
    o->owner = c->caller;
    object_hold(o);
    r = flat_store(rt, f, o);
    if (r < 0)
        object_unhold(&rt->objects, o);
    else
        *ret = o;
    return r;
}

int return_object(struct raia_call *c, unsigned i, raia_ref *o)
{
    struct runtime *rt = rt_enter();
    struct call_return *to = &c->returns[i];

    if (!rt)
        return -raia_last_error()->code;
    /* From now on the caller's: it will free it, by the id that it has in the store. */
    store_give(rt, o, &c->caller->address);
    store_id(rt, o, o->more->store_id);
    o->more->aliased = true;
    object_give(&rt->objects, o, c->caller);
    object_hold(o);
    blob_unref(&rt->objects, to->blob);
    if (to->stored)
        object_unhold(&rt->objects, to->stored);
    *to = (struct call_return){.stored = o};
    rt_leave(rt);
    return 0;
}

static void send_answer(struct runtime *rt, struct raia_call *c, const void *data, size_t size)
{
    if (c->seat)
        seat_answer(rt, c->seat, c, data, size);
    else if (c->from)
        link_send(rt, c->from, WIRE_REPLY, c->tag, data, size, false);
}

static void answer_error(struct runtime *rt, struct raia_call *c, struct wire_reply *h)
{
    _Alignas(8) uint8_t m[sizeof(*h) + sizeof(struct wire_entry) + CHAIN_BYTES_MAX + 16];
    uint8_t bytes[CHAIN_BYTES_MAX], *data;
    struct wire_ref *refs;
    size_t n = 0;

    if (c->error)
        n = chain_encode(c->error, bytes, sizeof(bytes));
    h->nreturns = 1;
    memcpy(m, h, sizeof(*h));
    wire_entry_begin(m + sizeof(*h), WIRE_INLINE, RAIA_ERROR_FORMAT, n, 0, &data, &refs);
    memcpy(data, bytes, n);
    send_answer(rt, c, m, sizeof(*h) + wire_entry_size(n, 0));
}

static int answer_values(struct runtime *rt, struct raia_call *c, struct wire_reply *h)
{
    _Alignas(16) uint8_t small[1024];
    struct link *l = c->seat ? seat_link(c->seat) : c->from;
    uint8_t *m = small, *own = NULL;
    size_t size = sizeof(*h), at = sizeof(*h);
    int r = 0;

    for (unsigned i = 0; i < c->head.nreturns; i++)
        size += return_size(&c->returns[i]);
    if (size > sizeof(small)) {
        m = l ? arena_lend(rt, l, size) : NULL;
        if (!m)
            m = own = pool_alloc(&rt->pool, size);
        if (!m)
            return -RAIA_ERR_NOMEM;
    }
    h->nreturns = c->head.nreturns;
    memcpy(m, h, sizeof(*h));
    for (unsigned i = 0; i < c->head.nreturns && r == 0; i++) {
        r = write_return(rt, c, &c->returns[i], m + at);
        at += return_size(&c->returns[i]);
    }
    if (r == 0)
        send_answer(rt, c, m, size);
    pool_free(&rt->pool, own, size);
    return r;
}

void call_answer(struct runtime *rt, struct raia_call *c)
{
    struct wire_reply h = {.status = c->status, .slot = c->head.slot};
    int64_t us = (rt->now - c->began) / CLOCK_NS_PER_US;
    bool exit_after = c->exit_after;

    h.exec_us = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    if (c->constructor) {
        host_constructed(rt, c);
        return;
    }
    if (c->status == 0 && atomic_load(&c->canceled))
        h.status = c->status = c->timed_out ? -RAIA_ERR_TIMEOUT : -RAIA_ERR_CANCELED;
    for (unsigned i = 0; i < c->head.nreturns; i++)
        if (c->returns[i].stored && (c->status < 0 || !(c->from || c->seat)))
            store_doubt(rt, c->returns[i].stored);
    if (c->from || c->seat) {
        if (c->status < 0) {
            head_error(rt, c, -c->status);
            answer_error(rt, c, &h);
        } else if (answer_values(rt, c, &h) < 0) {
            h.status = c->status = -RAIA_ERR_NOMEM;
            answer_error(rt, c, &h);
        }
    }
    call_free(rt, c);
    if (exit_after) {
        rt_flush(rt);
        host_exit(rt, true, "it asked to exit");
    }
}

/* The function's word, together with what it left as the thread's last error. */
static void take_result(struct raia_call *c, int r)
{
    struct raia_error e;

    if (r >= 0 || c->status < 0)
        return;
    if (raia_last_error()->code == -r) {
        struct chain last;

        last_get_chain(&last);
        c->error = c->error ? c->error : mem_new(struct chain);
        if (c->error)
            *c->error = last;
        c->status = -RAIA_ERR_TASK_FAILED;
        return;
    }
    err_set(&e, r >= -RAIA_ERR_MAX ? -r : RAIA_ERR_TASK_FAILED, "the function returned %d: %s", r,
            raia_strerror(r));
    call_fail(c, &e, false);
}

static bool runnable(struct raia_call *c)
{
    struct raia_error e;

    if (!c->function || !c->function->fn) {
        err_set(&e, RAIA_ERR_NOT_FOUND, "function '%s' is not registered in this program",
                c->function ? c->function->name : "?");
        call_fail(c, &e, false);
        return false;
    }
    if (c->status < 0)
        return false; /* an argument could not be brought here */
    for (unsigned i = 0; i < c->head.nargs; i++) {
        const raia_ref *o = c->args[i].stored;

        if (!o || c->args[i].pinned)
            continue;
        c->error = mem_new(struct chain);
        c->status = -RAIA_ERR_OBJECT_LOST;
        if (c->error && object_is_error(o))
            chain_decode(c->error, o->value->data, o->value->size);
        return false;
    }
    return true;
}

#define REPORT_NS INT64_C(100000000) /* what runs shorter is not reported */

static void report(struct runtime *rt, const struct raia_call *c)
{
    uint8_t bytes[sizeof(struct rec_running) + WIRE_NAME_MAX] = {0};
    struct rec_running *m = (struct rec_running *)(void *)bytes;
    size_t n = 0;

    memcpy(m->job, rt->job, 4);
    if (c) {
        memcpy(m->task, c->caller->address.worker, 16);
        for (int i = 0; i < 8; i++)
            m->task[16 + i] = (uint8_t)(c->head.counter >> (56 - 8 * i));
        n = c->function ? strlen(c->function->name) : 0;
        memcpy(m + 1, c->function ? c->function->name : "", n);
    }
    link_send(rt, rt->raylet, REC_RUNNING, 0, bytes, sizeof(*m) + n, false);
}

void call_report(struct runtime *rt, int64_t now)
{
    const struct raia_call *c = LIST_FIRST(&rt->running, struct raia_call, link);

    if (!c || rt->reported || now - c->began < REPORT_NS)
        return;
    rt->reported = c->number;
    report(rt, c);
}

void call_report_end(struct runtime *rt, const struct raia_call *c)
{
    if (rt->reported != c->number)
        return;
    rt->reported = 0;
    report(rt, NULL);
}

void call_run(struct runtime *rt, struct raia_call *c)
{
    struct raia_call *outer = current_call;
    int r = 0;

    list_add_tail(&rt->running, &c->link);
    c->began = rt->now;
    c->started = true;
    if (!c->seat && !c->constructor && rt->worker)
        board_begin(rt_board(rt->page), caller_key(c->caller->address.worker), c->tag);
    rt_stir(rt);
    if (runnable(c)) {
        current_call = c;
        pthread_mutex_unlock(&rt->token);
        last_clear();
        r = c->function->fn(c);
        pthread_mutex_lock(&rt->token);
        current_call = outer;
        take_result(c, r);
    }
    rt->now = clock_now_ns();
    c->finished = true;
    call_report_end(rt, c);
    if (c->deferred && !c->completed && c->status == 0)
        return;
    call_finish(rt, c);
}

/* Everything is known: answer as soon as nothing of it depends on others. */
void call_finish(struct runtime *rt, struct raia_call *c)
{
    c->waits = 1;
    register_kept(rt, c);
    if (--c->waits == 0)
        call_answer(rt, c);
}
