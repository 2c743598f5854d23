/* Steps of a driver: see memory.h. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static int twice(raia_call *c)
{
    int64_t x;

    return raia_arg_int(c, 0, &x) < 0 ? raia_fail(c, "an integer") : raia_return_int(c, 2 * x);
}
RAIA_TASK(twice)

static int echoes(raia_call *c)
{
    struct raia_view v;

    if (raia_arg(c, 0, &v) < 0)
        return raia_fail(c, "what?");
    return raia_return(c, raia_encoded(v.format, v.data, v.size));
}
RAIA_TASK(echoes)

static int nothing(raia_call *c)
{
    (void)c;
    return 0;
}

static int thing_new(raia_call *c)
{
    return raia_set_self(c, c);
}
RAIA_ACTOR(Thing, thing_new, NULL)

#define LONG 30000 /* ms: a wait that ends much sooner */

static const struct raia_error none;
static char text[RAIA_ID_TEXT];

STEP_VOID(raia_initialized)
STEP_VOID(raia_version)
STEP_VOID(raia_last_error)
STEP_VOID(raia_error_cause, &none)
STEP_VOID(raia_nil)
STEP_VOID(raia_bool, true)
STEP_VOID(raia_int, 1)
STEP_VOID(raia_double, 1.5)
STEP_VOID(raia_str, "text")
STEP_VOID(raia_strn, "text", 2)
STEP_VOID(raia_bytes, "text", 4)
STEP_VOID(raia_encoded, RAIA_PRIVATE, "text", 4)
STEP_VOID(raia_value_of, NULL)
STEP_VOID(raia_refs, NULL, 0)
STEP_VOID(raia_with_refs, raia_int(1), NULL, 0)
STEP_VOID(raia_handle, NULL)
STEP_VOID(raia_id_text, &(struct raia_id){{0}}, text)
STEP_VOID(raia_node_id)
STEP_VOID(raia_worker_id)
STEP_VOID(raia_job_id)
STEP_VOID(raia_perror, "expected here")

static int step_put(raia_call *c)
{
    raia_ref *a = ARMED(raia_put(raia_str("text"))), *b;

    (void)c;
    if (!a)
        return -1;
    b = ARMED(raia_put(raia_with_refs(raia_bytes("x", 1), &a, 1)));
    raia_release(a);
    raia_release(b);
    return b ? 0 : -1;
}

static int step_put_large(raia_call *c)
{
    static char large[300000];
    raia_ref *r = ARMED(raia_put(raia_bytes(large, sizeof(large))));

    (void)c;
    raia_release(r);
    return r ? 0 : -1;
}

static int step_ref_dup(raia_call *c)
{
    raia_ref *a = raia_put(raia_int(1)), *b = a ? ARMED(raia_ref_dup(a)) : NULL;

    (void)c;
    ARMED_VOID(raia_release(b));
    ARMED_VOID(raia_release(a));
    return b ? 0 : -1;
}

static int step_release_all(raia_call *c)
{
    raia_ref *refs[3] = {raia_put(raia_int(1)), raia_submit(twice, raia_int(2)), NULL};

    (void)c;
    ARMED_VOID(raia_release_all(refs, 3));
    return refs[0] || refs[1] ? -1 : 0;
}

static int step_get(raia_call *c)
{
    raia_ref *r = raia_submit(twice, raia_int(3));
    struct raia_view v;
    int64_t x = 0;
    int n = r ? ARMED(raia_get(r, &v, LONG)) : -1;

    (void)c;
    if (n == 0) {
        n = ARMED(raia_view_int(&v, &x));
        ARMED_VOID(raia_view_release(&v));
    }
    raia_release(r);
    return n < 0 ? n : x == 6 ? 0 : -1;
}

static int step_get_large(raia_call *c)
{
    static char large[300000];
    raia_ref *a = raia_put(raia_bytes(large, sizeof(large)));
    raia_ref *r = raia_submit(echoes, raia_value_of(a));
    struct raia_view v;
    int n = r ? ARMED(raia_get(r, &v, LONG)) : -1;

    (void)c;
    if (n == 0) {
        n = v.size == sizeof(large) ? 0 : -1;
        ARMED_VOID(raia_view_release(&v));
    }
    raia_release(a);
    raia_release(r);
    return n;
}

static int step_get_all(raia_call *c)
{
    raia_ref *refs[2] = {raia_put(raia_int(1)), raia_submit(twice, raia_int(2))};
    struct raia_view v[2];
    int n = ARMED(raia_get_all(refs, 2, v, LONG));

    (void)c;
    for (int i = 0; n == 0 && i < 2; i++)
        raia_view_release(&v[i]);
    raia_release_all(refs, 2);
    return n;
}

static int step_get_int(raia_call *c)
{
    raia_ref *r = raia_submit(twice, raia_int(3));
    int64_t x = 0;
    int n = ARMED(raia_get_int(r, &x, LONG));

    (void)c;
    raia_release(r);
    return n < 0 ? n : x == 6 ? 0 : -1;
}

static int step_get_double(raia_call *c)
{
    raia_ref *r = raia_submit(echoes, raia_double(1.5));
    double x = 0;
    int n = ARMED(raia_get_double(r, &x, LONG));

    (void)c;
    raia_release(r);
    return n < 0 ? n : x > 1.4 && x < 1.6 ? 0 : -1;
}

static int step_get_bool(raia_call *c)
{
    raia_ref *r = raia_submit(echoes, raia_bool(true));
    bool x = false;
    int n = ARMED(raia_get_bool(r, &x, LONG));

    (void)c;
    raia_release(r);
    return n < 0 ? n : x ? 0 : -1;
}

static int step_get_str(raia_call *c)
{
    raia_ref *r = raia_submit(echoes, raia_str("text"));
    char *s = ARMED(raia_get_str(r, LONG));
    int n = s && strcmp(s, "text") == 0 ? 0 : -1;

    (void)c;
    free(s);
    raia_release(r);
    return n;
}

static int step_get_done(raia_call *c)
{
    raia_ref *r = raia_submit(twice, raia_int(1));
    int n = ARMED(raia_get_done(r, LONG));

    (void)c;
    raia_release(r);
    return n;
}

static int step_wait(raia_call *c)
{
    raia_ref *refs[2] = {raia_submit(twice, raia_int(1)), raia_put(raia_int(2))};
    bool ready[2];
    int n = ARMED(raia_wait(refs, 2, 2, LONG, ready));

    (void)c;
    if (n >= 0)
        n = n == 2 ? 0 : raia_get_done(refs[0], 0);
    raia_release_all(refs, 2);
    return n;
}

/* What a view gives out. */
static int step_view(raia_call *c)
{
    raia_ref *a = raia_put(raia_int(7)), *inner = NULL, *holder = raia_put(raia_refs(&a, 1));
    raia_actor *actor = raia_actor_create(thing_new), *again = NULL;
    raia_ref *handle = raia_put(raia_handle(actor)), *scalar = raia_put(raia_double(2));
    struct raia_view v = {0}, h = {0}, s = {0};
    double d = 0;
    int n = -1;

    (void)c;
    if (raia_get(holder, &v, LONG) == 0 && raia_get(handle, &h, LONG) == 0 &&
        raia_get(scalar, &s, LONG) == 0) {
        inner = ARMED(raia_view_ref(&v, 0));
        again = ARMED(raia_view_actor(&h));
        n = ARMED(raia_view_double(&s, &d));
    }
    ARMED_VOID(raia_view_release(&v));
    ARMED_VOID(raia_view_release(&h));
    ARMED_VOID(raia_view_release(&s));
    raia_release(a);
    raia_release(inner);
    raia_release(holder);
    raia_release(handle);
    raia_release(scalar);
    ARMED_VOID(raia_actor_release(again));
    ARMED_VOID(raia_actor_release(actor));
    return n == 0 && inner && again ? 0 : -1;
}

static int step_view_text(raia_call *c)
{
    raia_ref *a = raia_put(raia_str("text")), *b = raia_put(raia_bool(true));
    struct raia_view v = {0}, w = {0};
    bool x = false;
    int n = -1;

    (void)c;
    if (raia_get(a, &v, LONG) == 0 && raia_get(b, &w, LONG) == 0)
        n = ARMED(raia_view_str(&v, NULL)) ? ARMED(raia_view_bool(&w, &x)) : -1;
    raia_view_release(&v);
    raia_view_release(&w);
    raia_release(a);
    raia_release(b);
    return n;
}

static int step_create(raia_call *c)
{
    raia_buffer *b = ARMED(raia_create(300000));
    raia_ref *r;

    (void)c;
    if (!b)
        return -1;
    if (!ARMED(raia_buffer_data(b)) || ARMED(raia_buffer_size(b)) != 300000)
        abort();
    r = ARMED(raia_seal(b, RAIA_RAW));
    ARMED_VOID(raia_release(r));
    return r ? 0 : -1;
}

static int step_abort(raia_call *c)
{
    raia_buffer *b = raia_create(300000);

    (void)c;
    ARMED_VOID(raia_buffer_abort(b));
    return b ? 0 : -1;
}

static int step_submit(raia_call *c)
{
    raia_ref *a = raia_put(raia_int(4)), *r, *many[3] = {0};
    int64_t x;
    int n;

    (void)c;
    r = ARMED(raia_submit_opt(RAIA_OPTIONS(.name = "named", .num_cpus = 0.5, .deadline_ms = LONG),
                              twice, raia_value_of(a)));
    raia_release(a);
    if (!r)
        return -1;
    n = raia_get_int(r, &x, LONG);
    raia_release(r);
    if (n < 0 || !ARMED(raia_submit_opt(RAIA_OPTIONS(.num_returns = 3, .returns = many), twice,
                                        raia_int(1))))
        return -1;
    raia_wait(many, 3, 3, LONG, NULL);
    raia_release_all(many, 3);
    return x == 8 ? 0 : -1;
}

static int step_submit_large(raia_call *c)
{
    static char large[300000];
    raia_ref *r = ARMED(raia_submit(echoes, raia_bytes(large, sizeof(large))));
    int n = r ? raia_get_done(r, LONG) : -1;

    (void)c;
    raia_release(r);
    return n;
}

static int step_submit_named(raia_call *c)
{
    struct raia_value v = raia_int(4);
    raia_ref *r = ARMED(raia_submit_named(NULL, "twice", &v, 1));
    int n = r ? raia_get_done(r, LONG) : -1;

    (void)c;
    raia_release(r);
    return n;
}

static int step_cancel(raia_call *c)
{
    raia_ref *r = raia_submit(twice, raia_int(1));
    int n = ARMED(raia_cancel(r, false, true));

    (void)c;
    raia_wait(&r, 1, 1, LONG, NULL);
    raia_release(r);
    return n;
}

/* After raia_init it is refused, in words that take memory or not. */
static int step_register(raia_call *c)
{
    (void)c;
    ARMED_VOID(raia_register("twice", twice));
    ARMED_VOID(raia_register("unknown", nothing));
    ARMED_VOID(raia_register_class("Unknown", nothing, NULL));
    return 0;
}

static int step_actor(raia_call *c)
{
    raia_actor *a = ARMED(raia_actor_create(thing_new, raia_int(1)));
    raia_ref *r = a ? ARMED(raia_actor_call(a, twice, raia_int(1))) : NULL;
    int n = r ? raia_get_done(r, LONG) : -1;

    (void)c;
    raia_release(r);
    ARMED_VOID(raia_actor_release(a));
    return n;
}

static int step_actor_uses(raia_call *c)
{
    static raia_actor *kept; /* one for all rounds, as long as the session lasts */
    struct raia_value v = raia_int(4);
    raia_actor *b;
    raia_ref *r;
    int n;

    (void)c;
    if (!kept)
        kept = raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.name = "kept", .ns = "n"), thing_new);
    n = ARMED(raia_actor_wait(kept, LONG));
    (void)ARMED(raia_actor_id(kept));
    b = ARMED(raia_actor_dup(kept));
    r = ARMED(raia_actor_call_named(kept, NULL, "twice", &v, 1));
    if (!b || !r)
        n = -1;
    else if (n == 0)
        n = raia_get_done(r, LONG);
    raia_release(r);
    raia_actor_release(b);
    b = ARMED(raia_actor_find("kept", "n"));
    raia_actor_release(b);
    return b ? n : -1;
}

static int step_actor_kill(raia_call *c)
{
    raia_actor *a = raia_actor_create(thing_new);
    int n = ARMED(raia_actor_kill(a, true));

    (void)c;
    raia_actor_release(a);
    return n;
}

static int step_actor_named(raia_call *c)
{
    raia_actor *a = ARMED(raia_actor_create_opt(
        RAIA_ACTOR_OPTIONS(.name = "named", .ns = "n", .get_if_exists = true), thing_new));

    (void)c;
    raia_actor_release(a);
    return a ? 0 : -1;
}

static int step_nodes(raia_call *c)
{
    struct raia_node *nodes = NULL;
    size_t n;
    int r = ARMED(raia_nodes(&nodes, &n));

    (void)c;
    free(nodes);
    return r;
}

static int step_kv(raia_call *c)
{
    void *v = NULL;
    int r = ARMED(raia_kv_put("n", "k", "v", 1, true));

    (void)c;
    if (r == 0)
        r = ARMED(raia_kv_get("n", "k", &v, NULL));
    free(v);
    return r < 0 ? r : ARMED(raia_kv_del("n", "k"));
}

const struct memory_step memory_driver[] = {
    {"raia_initialized", step_raia_initialized},
    {"raia_version", step_raia_version},
    {"raia_last_error", step_raia_last_error},
    {"raia_error_cause", step_raia_error_cause},
    {"raia_perror", step_raia_perror},
    {"raia_nil", step_raia_nil},
    {"raia_bool", step_raia_bool},
    {"raia_int", step_raia_int},
    {"raia_double", step_raia_double},
    {"raia_str", step_raia_str},
    {"raia_strn", step_raia_strn},
    {"raia_bytes", step_raia_bytes},
    {"raia_encoded", step_raia_encoded},
    {"raia_value_of", step_raia_value_of},
    {"raia_refs", step_raia_refs},
    {"raia_with_refs", step_raia_with_refs},
    {"raia_handle", step_raia_handle},
    {"raia_id_text", step_raia_id_text},
    {"raia_node_id", step_raia_node_id},
    {"raia_worker_id", step_raia_worker_id},
    {"raia_job_id", step_raia_job_id},
    {"raia_put", step_put},
    {"raia_put", step_put_large},
    {"raia_ref_dup", step_ref_dup},
    {"raia_release", step_ref_dup},
    {"raia_release_all", step_release_all},
    {"raia_get", step_get},
    {"raia_get", step_get_large},
    {"raia_get_all", step_get_all},
    {"raia_get_int", step_get_int},
    {"raia_get_double", step_get_double},
    {"raia_get_bool", step_get_bool},
    {"raia_get_str", step_get_str},
    {"raia_get_done", step_get_done},
    {"raia_wait", step_wait},
    {"raia_view_int", step_get},
    {"raia_view_release", step_view},
    {"raia_view_double", step_view},
    {"raia_view_ref", step_view},
    {"raia_view_actor", step_view},
    {"raia_view_bool", step_view_text},
    {"raia_view_str", step_view_text},
    {"raia_create", step_create},
    {"raia_buffer_data", step_create},
    {"raia_buffer_size", step_create},
    {"raia_seal", step_create},
    {"raia_buffer_abort", step_abort},
    {"raia_submit_array", step_submit},
    {"raia_submit_array", step_submit_large},
    {"raia_submit_named", step_submit_named},
    {"raia_cancel", step_cancel},
    {"raia_register", step_register},
    {"raia_register_class", step_register},
    {"raia_actor_create_array", step_actor},
    {"raia_actor_create_array", step_actor_named},
    {"raia_actor_call_array", step_actor},
    {"raia_actor_release", step_actor},
    {"raia_actor_wait", step_actor_uses},
    {"raia_actor_id", step_actor_uses},
    {"raia_actor_dup", step_actor_uses},
    {"raia_actor_call_named", step_actor_uses},
    {"raia_actor_find", step_actor_uses},
    {"raia_actor_kill", step_actor_kill},
    {"raia_nodes", step_nodes},
    {"raia_kv_put", step_kv},
    {"raia_kv_get", step_kv},
    {"raia_kv_del", step_kv},
};
const size_t memory_driver_count = sizeof(memory_driver) / sizeof(memory_driver[0]);
