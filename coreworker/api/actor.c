/* Actors, from outside: create, call, find, kill. */
#include <string.h>

#include "api/api.h"

int api_check_actor(const raia_actor *a)
{
    if (!a || a->magic != ACTOR_MAGIC || a->handles == 0)
        return last_set(RAIA_ERR_INVALID, "the actor handle is NULL or was released: did the call "
                                          "that made it fail?");
    if (a->gone)
        return last_set(RAIA_ERR_SHUTDOWN, "the actor handle is of a session that was shut down");
    return 0;
}

raia_actor *raia_actor_create_array(const struct raia_actor_options *options, raia_fn *constructor,
                                    const struct raia_value *args, size_t count)
{
    struct function *f = constructor ? function_of(constructor) : NULL;
    raia_actor *a = NULL;
    struct runtime *rt;

    if (!f || !f->is_class) {
        last_set(RAIA_ERR_NOT_FOUND,
                 "the function is not a registered constructor: add RAIA_ACTOR(Class, it, free)");
        return NULL;
    }
    rt = rt_enter();
    if (!rt)
        return NULL;
    if (actor_create(rt, options, f, args, count, &a) < 0)
        a = NULL;
    rt_stir(rt);
    rt_leave(rt);
    return a;
}

/* Room for one more call, by waiting or by refusing. */
static int admit(struct runtime *rt, raia_actor *a)
{
    bool told = false;
    struct waiter w;

    if (a->max_pending <= 0 || (int64_t)a->caller.pending < a->max_pending)
        return 0;
    if (!rt->poller)
        rt_drain(rt);
    waiter_init(&w, NULL);
    while ((int64_t)a->caller.pending >= a->max_pending && a->block_when_full && !rt->dead) {
        rt_blocked(rt, &told);
        rt_wait(rt, &w, clock_deadline_ms(20));
    }
    rt_unblocked(rt, &told);
    waiter_fini(&w);
    if (rt->dead)
        return last_set_error(&rt->death);
    if ((int64_t)a->caller.pending >= a->max_pending)
        return last_set(RAIA_ERR_PENDING_CALLS,
                        "%lld calls to this actor are pending: wait for some first",
                        (long long)a->max_pending);
    return 0;
}

static raia_ref *call(raia_actor *a, const struct raia_options *options, struct function *f,
                      const struct raia_value *args, size_t count)
{
    struct runtime *rt = rt_enter();
    raia_ref *r = NULL;

    if (!rt)
        return NULL;
    if (api_check_actor(a) == 0 && admit(rt, a) == 0 &&
        submit_task(rt, f, a, options, args, count, &r) < 0)
        r = NULL;
    rt_stir(rt);
    rt_leave(rt);
    return r;
}

raia_ref *raia_actor_call_array(raia_actor *a, const struct raia_options *options, raia_fn *method,
                                const struct raia_value *args, size_t count)
{
    struct function *f = method ? function_of(method) : NULL;

    if (!f || f->is_class) {
        last_set(RAIA_ERR_NOT_FOUND,
                 "the function is not a registered method: add RAIA_METHOD(it)");
        return NULL;
    }
    return call(a, options, f, args, count);
}

raia_ref *raia_actor_call_named(raia_actor *a, const struct raia_options *options,
                                const char *method, const struct raia_value *args, size_t count)
{
    struct runtime *rt = rt_enter();
    struct function *f;

    if (!rt)
        return NULL;
    f = method && *method ? function_intern(method, strlen(method)) : NULL;
    rt_leave(rt);
    if (!f) {
        last_set(RAIA_ERR_INVALID, "a method's name has 1 to %u bytes", WIRE_NAME_MAX);
        return NULL;
    }
    return call(a, options, f, args, count);
}

void raia_actor_release(raia_actor *a)
{
    struct runtime *rt = a ? rt_enter_release() : NULL;

    if (!rt)
        return;
    if (a->magic == ACTOR_MAGIC && a->handles) {
        if (!a->gone)
            actor_release(rt, a);
        else if (--a->handles == 0)
            mem_free(a);
    }
    rt_leave(rt);
}

raia_actor *raia_actor_dup(raia_actor *a)
{
    struct runtime *rt = rt_enter_release();

    if (!rt) {
        api_forked();
        return NULL;
    }
    if (a && a->magic == ACTOR_MAGIC && a->handles) {
        a->handles++;
    } else {
        last_set(RAIA_ERR_INVALID, "dup: the actor handle is NULL or was released");
        a = NULL;
    }
    rt_leave(rt);
    return a;
}

raia_actor *raia_actor_find(const char *name, const char *ns)
{
    struct runtime *rt = rt_enter();
    raia_actor *a = NULL;

    if (!rt)
        return NULL;
    if (!name || !*name)
        last_set(RAIA_ERR_INVALID, "find: an actor's name is needed");
    else if (actor_find(rt, name, ns, &a) < 0)
        a = NULL;
    rt_leave(rt);
    return a;
}

int raia_actor_kill(raia_actor *a, bool no_restart)
{
    struct runtime *rt = rt_enter();
    int r;

    if (!rt)
        return -raia_last_error()->code;
    r = api_check_actor(a);
    if (r == 0)
        r = actor_kill(rt, a, no_restart);
    rt_leave(rt);
    return r;
}

int raia_actor_wait(raia_actor *a, int64_t timeout_ms)
{
    struct runtime *rt = rt_enter();
    int64_t deadline = api_deadline(timeout_ms);
    struct waiter w;
    bool told = false;
    int r;

    if (!rt)
        return -raia_last_error()->code;
    r = api_check_actor(a);
    if (r == 0 && !rt->poller)
        rt_drain(rt);
    waiter_init(&w, NULL);
    while (r == 0 && a->caller.state != CALLER_CONNECTED && a->caller.state != CALLER_CONNECTING &&
           a->caller.state != CALLER_RESTING) {
        if (a->caller.state == CALLER_DEAD)
            r = last_set_error(&a->caller.death);
        else if (rt->dead)
            r = last_set_error(&rt->death);
        else if (deadline == 0 || clock_now_ns() >= deadline)
            r = last_set(RAIA_ERR_TIMEOUT, "timed out: the actor does not run yet");
        if (r < 0)
            break;
        rt_blocked(rt, &told);
        rt_wait(rt, &w, deadline);
    }
    rt_unblocked(rt, &told);
    waiter_fini(&w);
    rt_leave(rt);
    return r;
}

struct raia_id raia_actor_id(const raia_actor *a)
{
    struct raia_id id = {{0}};

    if (a && a->magic == ACTOR_MAGIC)
        memcpy(id.b, a->id, 16);
    return id;
}
