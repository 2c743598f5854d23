/* Steps inside tasks and methods: see memory.h. Their call has these arguments. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum {
    ARG_TABLE,
    ARG_INT,
    ARG_DOUBLE,
    ARG_BOOL,
    ARG_STR,
    ARG_BYTES,
    ARG_REFS,
    ARG_ACTOR,
    ARG_OBJECT
};

STEP_VOID(raia_arg_count, c)
STEP_VOID(raia_canceled, c)
STEP_VOID(raia_attempt, c)
STEP_VOID(raia_was_restarted, c)
STEP_VOID(raia_current_actor_id, c)
STEP_VOID(raia_self, c)
STEP_INT(raia_return, c, raia_str("text"))
STEP_INT(raia_return_int, c, 1)

static int step_args(raia_call *c)
{
    struct raia_view v;
    int64_t i;
    double d;
    bool b;
    size_t n;
    int r = ARMED(raia_arg(c, ARG_OBJECT, &v));

    if (r == 0)
        r = ARMED(raia_arg_int(c, ARG_INT, &i));
    if (r == 0)
        r = ARMED(raia_arg_double(c, ARG_DOUBLE, &d));
    if (r == 0)
        r = ARMED(raia_arg_bool(c, ARG_BOOL, &b));
    if (r == 0 && (!ARMED(raia_arg_str(c, ARG_STR)) || !ARMED(raia_arg_bytes(c, ARG_BYTES, &n))))
        r = -1;
    return r;
}

static int step_arg_ref(raia_call *c)
{
    raia_ref *r = ARMED(raia_arg_ref(c, ARG_REFS, 0));
    int64_t x;
    int n = r ? raia_get_int(r, &x, 30000) : -1;

    raia_release(r);
    return n;
}

static int step_arg_actor(raia_call *c)
{
    raia_actor *a = ARMED(raia_arg_actor(c, ARG_ACTOR));

    raia_actor_release(a);
    return a ? 0 : -1;
}

static int step_return_at(raia_call *c)
{
    static char large[300000];
    int r = ARMED(raia_return_at(c, 0, raia_bytes(large, sizeof(large))));

    return r < 0 ? r : ARMED(raia_return_at(c, 0, raia_int(1)));
}

static int step_return_refs(raia_call *c)
{
    raia_ref *a = raia_put(raia_int(1));
    int r = ARMED(raia_return_at(c, 0, raia_refs(&a, 1)));

    raia_release(a);
    return r;
}

static int step_return_buffer(raia_call *c)
{
    raia_buffer *b = raia_create(300000);

    return b ? ARMED(raia_return_buffer(c, 0, b, RAIA_RAW)) : -1;
}

const struct memory_step memory_worker[] = {
    {"raia_arg_count", step_raia_arg_count},
    {"raia_canceled", step_raia_canceled},
    {"raia_attempt", step_raia_attempt},
    {"raia_arg", step_args},
    {"raia_arg_int", step_args},
    {"raia_arg_double", step_args},
    {"raia_arg_bool", step_args},
    {"raia_arg_str", step_args},
    {"raia_arg_bytes", step_args},
    {"raia_arg_ref", step_arg_ref},
    {"raia_arg_actor", step_arg_actor},
    {"raia_return", step_raia_return},
    {"raia_return_int", step_raia_return_int},
    {"raia_return_at", step_return_at},
    {"raia_return_at", step_return_refs},
    {"raia_return_buffer", step_return_buffer},
};
const size_t memory_worker_count = sizeof(memory_worker) / sizeof(memory_worker[0]);

const struct memory_step memory_method[] = {
    {"raia_self", step_raia_self},
    {"raia_was_restarted", step_raia_was_restarted},
    {"raia_current_actor_id", step_raia_current_actor_id},
};
const size_t memory_method_count = sizeof(memory_method) / sizeof(memory_method[0]);

/* Runs the table that its first argument names: nil, or what went wrong. */
static int memory_runs(raia_call *c)
{
    const char *which = raia_arg_str(c, ARG_TABLE), *wrong;

    if (which && strcmp(which, "worker") == 0)
        wrong = memory_table(memory_worker, memory_worker_count, c);
    else
        wrong = memory_table(memory_method, memory_method_count, c);
    return raia_return(c, wrong ? raia_str(wrong) : raia_str("good"));
}
RAIA_TASK(memory_runs)

/* ---- calls that such a step ends: the driver runs them once for each allocation */

enum { END_FAIL, END_DEFER, END_COMPLETE, END_COMPLETE_ERROR, END_EXIT };

static void tell_made(void)
{
    raia_kv_put("memory", "made", &memory_made, sizeof(memory_made), true);
}

/* Arguments: which of them, the allocation that fails. */
static int memory_ends_call(raia_call *c)
{
    int64_t which = -1, nth = 0;
    raia_pending *p = NULL;
    int r = 0;

    if (raia_arg_int(c, 0, &which) < 0 || raia_arg_int(c, 1, &nth) < 0)
        return raia_fail(c, "two integers");
    memory_armed = (uint64_t)nth;
    memory_made = 0;
    switch (which) {
    case END_FAIL:
        r = ARMED(raia_fail(c, "on %s", "purpose"));
        break;
    case END_DEFER:
        p = ARMED(raia_defer(c));
        tell_made();
        return p ? raia_complete(p, raia_int(1)) : raia_fail(c, "no memory to defer");
    case END_COMPLETE:
        p = raia_defer(c);
        (void)ARMED(raia_complete(p, raia_str("text")));
        break;
    case END_COMPLETE_ERROR:
        p = raia_defer(c);
        (void)ARMED(raia_complete_error(p, "on %s", "purpose"));
        break;
    default:
        r = ARMED(raia_actor_exit(c));
        break;
    }
    tell_made();
    return r;
}
RAIA_METHOD(memory_ends_call)

static int memory_ends_new(raia_call *c)
{
    int64_t nth = 0;
    int r;

    (void)raia_arg_int(c, 0, &nth);
    memory_armed = (uint64_t)nth;
    memory_made = 0;
    r = ARMED(raia_set_self(c, c));
    tell_made();
    return r < 0 ? raia_fail(c, "no memory for itself") : 0;
}
RAIA_ACTOR(MemoryEnds, memory_ends_new, NULL)

/* The call ended in time, with a value or with an error that it may have. */
static int ended(raia_ref *r, int may_be)
{
    struct raia_view v;
    int n = r ? raia_get(r, &v, 30000) : -1;
    uint64_t *made = NULL;

    if (n == 0)
        raia_view_release(&v);
    raia_release(r);
    if (raia_kv_get("memory", "made", (void **)&made, NULL) == 0)
        memory_made = *made;
    free(made);
    return n == 0 || n == -may_be ? 0 : n;
}

static int end_of(int64_t which, int may_be)
{
    return ended(raia_submit(memory_ends_call, raia_int(which), raia_int((int64_t)memory_armed)),
                 may_be);
}

static int step_fail(raia_call *c)
{
    (void)c;
    return end_of(END_FAIL, RAIA_ERR_TASK_FAILED);
}

static int step_defer(raia_call *c)
{
    (void)c;
    return end_of(END_DEFER, RAIA_ERR_TASK_FAILED);
}

static int step_complete(raia_call *c)
{
    (void)c;
    return end_of(END_COMPLETE, RAIA_ERR_TASK_FAILED);
}

static int step_complete_error(raia_call *c)
{
    (void)c;
    return end_of(END_COMPLETE_ERROR, RAIA_ERR_TASK_FAILED);
}

static int step_set_self(raia_call *c)
{
    raia_actor *a = raia_actor_create(memory_ends_new, raia_int((int64_t)memory_armed));
    int n = raia_actor_wait(a, 30000);

    (void)c;
    n = ended(
        raia_actor_call(a, memory_ends_call, raia_int(END_EXIT), raia_int((int64_t)memory_armed)),
        n < 0 ? -n : 0);
    raia_actor_release(a);
    return n;
}

const struct memory_step memory_ends[] = {
    {"raia_fail", step_fail},         {"raia_defer", step_defer},
    {"raia_complete", step_complete}, {"raia_complete_error", step_complete_error},
    {"raia_set_self", step_set_self}, {"raia_actor_exit", step_set_self},
};
const size_t memory_ends_count = sizeof(memory_ends) / sizeof(memory_ends[0]);
