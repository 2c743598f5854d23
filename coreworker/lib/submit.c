/*
 * Tasks and calls, from what the user asked for to the record that is sent.
 */
#include <math.h>
#include <string.h>

#include "lib/arena.h"

void task_free(struct runtime *rt, struct task *t)
{
    raia_actor *actor;

    if (!t)
        return;
    for (uint32_t i = 0; i < t->nheld; i++) {
        if (!t->held[i])
            continue;
        if (t->waits && !object_ready(t->held[i]))
            object_remove_deps(&rt->objects, t->held[i], DEP_TASK, t);
        object_unhold(&rt->objects, t->held[i]);
    }
    mem_free(t->held);
    for (unsigned i = 0; i < t->nreturns; i++) {
        raia_ref *o = t->nreturns == 1  ? t->returns.one
                      : t->returns.many ? t->returns.many[i]
                                        : NULL;

        if (!o)
            continue;
        o->task = NULL;
        object_unhold(&rt->objects, o);
    }
    if (t->nreturns > 1)
        mem_free(t->returns.many);
    if (t->spec)
        pool_free(&rt->pool, t->spec, t->spec_size);
    mem_free((char *)(uintptr_t)t->name);
    if (!(t->flags & TASK_CREATION))
        rt->tasks--;
    actor = t->flags & TASK_CREATION ? NULL : t->actor;
    pool_free(&rt->pool, t, sizeof(*t));
    if (actor && --actor->calls == 0)
        actor_check(rt, actor);
}

/* ---- sending */

int task_send(struct runtime *rt, struct link *l, struct task *t, uint16_t type, uint64_t tag,
              uint32_t slot, uint64_t acked)
{
    struct wire_task h = {.counter = t->counter,
                          .function = t->function->number,
                          .nargs = t->nargs,
                          .nreturns = t->nreturns,
                          .attempt = t->attempt,
                          .slot = slot,
                          .acked = acked};
    uint8_t *large, *own = NULL;
    void *to;
    size_t size;
    int r;

    if (l->kind == LINK_CLOSED)
        return -RAIA_ERR_UNAVAILABLE;
    if (!list_empty(&l->outbox)) {
        l->was_full = true;
        return -RAIA_ERR_LIMIT;
    }
    if (t->retries <= 0 && !(t->flags & TASK_FOREVER))
        h.flags |= WIRE_TASK_NO_RETRY;
    if (rt->objects.blob_bytes >= rt->owner_bytes_max)
        h.flags |= WIRE_TASK_STORE;
    r = link_tell_function(rt, l, t->function);
    if (r == 0)
        r = task_write_spec(rt, t, l->process, NULL, &size);
    if (r < 0)
        return r;
    if (sizeof(h) + size <= WIRE_PIECE_MAX) {
        r = link_begin(rt, l, type, 0, tag, sizeof(h) + size, &to);
        if (r < 0)
            return r;
        memcpy(to, &h, sizeof(h));
        return task_write_spec(rt, t, l->process, (uint8_t *)to + sizeof(h), &size);
    }
    large = arena_lend(rt, l, sizeof(h) + size);
    if (!large)
        large = own = pool_alloc(&rt->pool, sizeof(h) + size);
    if (!large)
        return -RAIA_ERR_NOMEM;
    memcpy(large, &h, sizeof(h));
    r = task_write_spec(rt, t, l->process, large + sizeof(h), &size);
    if (r == 0)
        r = link_send(rt, l, type, tag, large, sizeof(h) + size, false);
    pool_free(&rt->pool, own, sizeof(h) + size);
    return r;
}

/* ---- submission */

static int64_t fixed(double v)
{
    return (int64_t)llround(v * 10000);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sched_resource *)a)->name,
                  ((const struct sched_resource *)b)->name);
}

int sched_resources(double num_cpus, double default_cpus, const struct raia_resource *more,
                    size_t nmore, struct sched_resource *to, unsigned *ret_n)
{
    unsigned n = 0;
    double cpus = num_cpus == 0 ? default_cpus : num_cpus == RAIA_NONE ? 0 : num_cpus;

    if (!(cpus >= 0 && cpus < 1e9) || nmore >= SUBMITTER_RESOURCES || (nmore && !more))
        return last_set(RAIA_ERR_INVALID, "num_cpus %g with %zu more resources (at most %u)", cpus,
                        nmore, SUBMITTER_RESOURCES - 1);
    if (cpus > 0) {
        to[n] = (struct sched_resource){.quantity = fixed(cpus)};
        memcpy(to[n++].name, "CPU", 4);
    }
    for (size_t i = 0; i < nmore; i++) {
        const char *name = more[i].name;

        if (!name || !*name || strlen(name) >= sizeof(to->name) || strcmp(name, "CPU") == 0 ||
            !(more[i].quantity >= 0 && more[i].quantity < 1e12))
            return last_set(RAIA_ERR_INVALID,
                            "resource '%s' = %g: a name of 1 to %zu bytes other "
                            "than CPU, and a quantity that is not negative",
                            name ? name : "(null)", more[i].quantity, sizeof(to->name) - 1);
        if (more[i].quantity == 0)
            continue;
        to[n] = (struct sched_resource){.quantity = fixed(more[i].quantity)};
        memcpy(to[n++].name, name, strlen(name) + 1);
    }
    qsort(to, n, sizeof(*to), by_name);
    *ret_n = n;
    return 0;
}

static int task_options(struct runtime *rt, struct task *t, raia_actor *actor,
                        const struct raia_options *o)
{
    static const struct raia_options defaults = {.struct_size = sizeof(struct raia_options)};
    struct sched_resource resources[SUBMITTER_RESOURCES];
    unsigned n;
    int r, retries;

    if (!o)
        o = &defaults;
    if (o->struct_size != sizeof(*o))
        return last_set(RAIA_ERR_INVALID, "raia_options.struct_size is %zu: use RAIA_OPTIONS()",
                        o->struct_size);
    if (o->num_returns < 0 || o->num_returns > (int)WIRE_ENTRIES_MAX ||
        (o->num_returns > 1 && !o->returns))
        return last_set(RAIA_ERR_INVALID,
                        "num_returns %d: 1 to %u, with an array `returns` for "
                        "more than one",
                        o->num_returns, WIRE_ENTRIES_MAX);
    retries = o->max_retries ? o->max_retries : actor ? actor->max_task_retries : 3;
    t->retries = retries == RAIA_NONE ? 0 : retries;
    if (retries == RAIA_FOREVER)
        t->flags |= TASK_FOREVER;
    if (o->retry_errors)
        t->flags |= TASK_RETRY_ERRORS;
    t->deadline = o->deadline_ms > 0 ? clock_deadline_ms(o->deadline_ms) : CLOCK_NEVER;
    if (o->name) {
        t->name = mem_strndup(o->name, 255);
        if (!t->name)
            return last_set(RAIA_ERR_NOMEM, "out of memory");
    }
    if (actor)
        return 0;
    if (o->strategy != RAIA_SCHEDULE_DEFAULT && o->strategy != RAIA_SCHEDULE_SPREAD)
        return last_set(RAIA_ERR_INVALID, "strategy %d: there is no such", (int)o->strategy);
    /* What most tasks ask for needs no search. */
    if (o->num_cpus == 0 && o->resource_count == 0 && o->strategy == RAIA_SCHEDULE_DEFAULT &&
        rt->default_class) {
        t->class = rt->default_class;
        return 0;
    }
    r = sched_resources(o->num_cpus, 1, o->resources, o->resource_count, resources, &n);
    if (r < 0)
        return r;
    t->class = submitter_class(&rt->submitter, (uint16_t)o->strategy, resources, n);
    if (!t->class)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    if (o->num_cpus == 0 && o->resource_count == 0 && o->strategy == RAIA_SCHEDULE_DEFAULT)
        rt->default_class = t->class;
    return 0;
}

static int make_returns(struct runtime *rt, struct task *t, unsigned n, raia_ref **ret)
{
    t->nreturns = (uint16_t)n;
    if (n > 1) {
        t->returns.many = mem_calloc(n, sizeof(raia_ref *));
        if (!t->returns.many) {
            t->nreturns = 0;
            return -RAIA_ERR_NOMEM;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        raia_ref *o = object_new(&rt->objects, t->counter, i + 1);

        if (!o)
            return -RAIA_ERR_NOMEM;
        o->task = t;
        o->holds = 1;
        if (n == 1)
            t->returns.one = o;
        else
            t->returns.many[i] = o;
    }
    for (unsigned i = 0; i < n; i++) {
        ret[i] = task_return(t, i);
        ret[i]->handles = 1;
    }
    return 0;
}

/* Waits for what it depends on, if anything; fails at once with what has failed. */
int task_watch(struct runtime *rt, struct task *t)
{
    size_t from = 0;
    uint32_t held = 0;

    if (!t->spec_held)
        return 0;
    while (from < t->spec_size) {
        const struct wire_entry *e = (const struct wire_entry *)(const void *)(t->spec + from);
        raia_ref *o = e->kind == WIRE_HELD ? t->held[held] : NULL;

        from += e->kind == WIRE_HELD ? wire_entry_size(0, 0) : wire_entry_size(e->size, e->nrefs);
        held += e->kind == WIRE_HELD ? 1 : e->nrefs;
        if (!o || object_ready(o))
            continue;
        if (object_add_dep(&rt->objects, o, DEP_TASK, t, 0) < 0)
            return -RAIA_ERR_NOMEM;
        t->waits++;
        rt_query(rt, o);
    }
    return 0;
}

static raia_ref *failed_argument(struct task *t)
{
    size_t from = 0;
    uint32_t held = 0;

    while (t->spec_held && from < t->spec_size) {
        const struct wire_entry *e = (const struct wire_entry *)(const void *)(t->spec + from);

        if (e->kind == WIRE_HELD && object_is_error(t->held[held]))
            return t->held[held];
        from += e->kind == WIRE_HELD ? wire_entry_size(0, 0) : wire_entry_size(e->size, e->nrefs);
        held += e->kind == WIRE_HELD ? 1 : e->nrefs;
    }
    return NULL;
}

/* An argument has failed, and so has the task: what it says is the cause. */
static void fail_by_argument(struct runtime *rt, struct task *t, raia_ref *o)
{
    struct chain c;
    struct raia_error e;
    int code;

    chain_decode(&c, o->value->data, o->value->size);
    code = c.links[0].code;
    err_set(&e, code, "task '%s' was not run: an argument of it failed",
            t->name ? t->name : t->function->name);
    chain_push(&c, &e);
    task_complete_error(rt, t, &c);
    task_free(rt, t);
}

/* Values that stay with their owner travel inside the call: all of them must fit one message. */
static bool arguments_fit(struct runtime *rt, struct task *t, size_t *ret_size)
{
    size_t size = t->spec_size;

    if (t->spec_held && (uint64_t)t->nargs * RT_INLINE_MAX > WIRE_MESSAGE_MAX / 2)
        (void)task_write_spec(rt, t, NULL, NULL, &size);
    *ret_size = size;
    return size + sizeof(struct wire_task) <= WIRE_MESSAGE_MAX;
}

static void fail_by_size(struct runtime *rt, struct task *t, size_t size)
{
    struct raia_error e;
    struct chain c;

    chain_init(&c);
    err_set(&e, RAIA_ERR_LIMIT,
            "task '%s' was not run: its arguments take %zu bytes in all, at most %u are possible: "
            "pass fewer at one time, or larger ones (those over %u bytes are passed by name)",
            t->name ? t->name : t->function->name, size, WIRE_MESSAGE_MAX, RT_INLINE_MAX);
    chain_push(&c, &e);
    task_complete_error(rt, t, &c);
    task_free(rt, t);
}

void task_creation_ready(struct runtime *rt, struct task *t)
{
    raia_ref *bad = failed_argument(t);
    struct chain c;

    if (!bad) {
        actor_creation_ready(rt, t->actor);
        return;
    }
    chain_decode(&c, bad->value->data, bad->value->size);
    actor_argument_failed(rt, t->actor, &c.links[0]);
}

void task_argument_ready(struct runtime *rt, struct task *t)
{
    raia_ref *bad;
    size_t size;

    if (--t->waits > 0)
        return;
    if (t->flags & TASK_CREATION) {
        task_creation_ready(rt, t);
        return;
    }
    bad = failed_argument(t);
    if (!bad && arguments_fit(rt, t, &size)) {
        if (t->actor)
            caller_ready(&t->actor->caller, t);
        else
            submitter_ready(&rt->submitter, t);
        return;
    }
    if (t->actor)
        caller_drop(&t->actor->caller, t);
    else
        submitter_drop(&rt->submitter, t);
    if (bad)
        fail_by_argument(rt, t, bad);
    else
        fail_by_size(rt, t, size);
}

static void dispatch(struct runtime *rt, struct task *t)
{
    raia_actor *actor = t->actor;
    raia_ref *bad = t->waits ? NULL : failed_argument(t);
    size_t size;

    if (bad) {
        fail_by_argument(rt, t, bad);
    } else if (t->waits == 0 && !arguments_fit(rt, t, &size)) {
        fail_by_size(rt, t, size);
    } else if (actor) {
        /* It may have failed, and be gone, on return. */
        caller_add(&actor->caller, t);
        caller_pump(&actor->caller);
    } else {
        submitter_add(&rt->submitter, t);
        if (t->waits == 0)
            submitter_pump(&rt->submitter, t->class);
    }
}

int submit_task(struct runtime *rt, struct function *f, raia_actor *actor,
                const struct raia_options *options, const struct raia_value *args, size_t count,
                raia_ref **ret)
{
    unsigned n = options && options->struct_size == sizeof(*options) && options->num_returns > 1
                     ? (unsigned)options->num_returns
                     : 1;
    struct task *t = pool_alloc(&rt->pool, sizeof(*t));
    raia_ref *one = NULL, **refs = n > 1 ? options->returns : &one;
    int r;

    if (!t)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    memset(t, 0, sizeof(*t));
    rt->tasks++;
    t->counter = ++rt->counter;
    t->function = f;
    t->actor = actor;
    if (actor)
        actor->calls++;
    t->deadline = CLOCK_NEVER;
    t->parent = current_call ? current_call->number : 0;
    r = task_options(rt, t, actor, options);
    if (r == 0)
        r = task_encode(rt, t, args, count);
    if (r == 0) {
        r = make_returns(rt, t, n, refs);
        if (r == 0)
            r = task_watch(rt, t);
        if (r < 0)
            last_set(RAIA_ERR_NOMEM, "out of memory");
    }
    if (r < 0) {
        for (unsigned i = 0; i < n && i < t->nreturns && refs && refs[i]; i++)
            refs[i]->handles = 0;
        task_free(rt, t);
        return r;
    }
    if (t->deadline < rt->next_deadline)
        rt->next_deadline = t->deadline;
    if (t->deadline < rt->next_tick)
        rt->next_tick = t->deadline;
    dispatch(rt, t);
    if (++rt->submits % 32 == 0 && !rt->poller)
        rt_drain(rt);
    *ret = refs[0];
    return 0;
}
