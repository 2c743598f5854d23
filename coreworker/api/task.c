/* Registering, submitting, cancelling. */
#include <string.h>

#include "api/api.h"

/* Workers are the program as it was at raia_init: what comes later they would not know. */
static int registration(const char *name, raia_fn *fn, bool is_class, void (*destructor)(void *))
{
    struct runtime *rt = rt_enter_release();
    int r;

    if (!rt)
        return api_forked();
    r = rt->raylet ? last_set(RAIA_ERR_STATE, "register '%s': before raia_init only",
                              name ? name : "(null)")
                   : function_register(name, fn, is_class, destructor);
    rt_leave(rt);
    return r;
}

int raia_register(const char *name, raia_fn *fn)
{
    return registration(name, fn, false, NULL);
}

int raia_register_class(const char *name, raia_fn *constructor, void (*destructor)(void *self))
{
    return registration(name, constructor, true, destructor);
}

/* Room for one more task, by waiting or by refusing. */
static int admit(struct runtime *rt)
{
    bool told = false;
    struct waiter w;

    if ((int64_t)rt->tasks < rt->max_pending_tasks)
        return 0;
    if (!rt->poller)
        rt_drain(rt);
    waiter_init(&w, NULL);
    while ((int64_t)rt->tasks >= rt->max_pending_tasks && rt->block_when_full && !rt->dead) {
        rt_blocked(rt, &told);
        rt_wait(rt, &w, clock_deadline_ms(20));
    }
    rt_unblocked(rt, &told);
    waiter_fini(&w);
    if (rt->dead)
        return last_set_error(&rt->death);
    if ((int64_t)rt->tasks >= rt->max_pending_tasks)
        return last_set(RAIA_ERR_PENDING_CALLS, "%lld tasks are pending: wait for some first",
                        (long long)rt->max_pending_tasks);
    return 0;
}

static raia_ref *submit(struct function *f, const struct raia_options *options,
                        const struct raia_value *args, size_t count)
{
    struct runtime *rt = rt_enter();
    raia_ref *r = NULL;

    if (!rt)
        return NULL;
    if (admit(rt) < 0 || submit_task(rt, f, NULL, options, args, count, &r) < 0)
        r = NULL;
    rt_stir(rt);
    rt_leave(rt);
    return r;
}

raia_ref *raia_submit_array(const struct raia_options *options, raia_fn *fn,
                            const struct raia_value *args, size_t count)
{
    struct function *f = fn ? function_of(fn) : NULL;

    if (!f || f->is_class) {
        last_set(RAIA_ERR_NOT_FOUND, "the function is not registered as a task: add RAIA_TASK(it)");
        return NULL;
    }
    return submit(f, options, args, count);
}

raia_ref *raia_submit_named(const struct raia_options *options, const char *name,
                            const struct raia_value *args, size_t count)
{
    struct runtime *rt = rt_enter();
    struct function *f;

    if (!rt)
        return NULL;
    f = name && *name ? function_intern(name, strlen(name)) : NULL;
    rt_leave(rt);
    if (!f) {
        last_set(RAIA_ERR_INVALID, "a task's name has 1 to %u bytes", WIRE_NAME_MAX);
        return NULL;
    }
    return submit(f, options, args, count);
}

void object_cancel(struct runtime *rt, raia_ref *o, bool force, bool recursive)
{
    const struct wire_cancel how = {.force = force, .recursive = recursive};
    struct task *t = o->task;

    if (!t || o->state != OBJECT_PENDING)
        return;
    if (t->actor)
        caller_cancel(&t->actor->caller, t, &how);
    else
        submitter_cancel(&rt->submitter, t, &how);
}

int raia_cancel(raia_ref *r, bool force, bool recursive)
{
    struct runtime *rt = rt_enter();
    struct wire_object m = {.flags = (force ? 1u : 0) | (recursive ? 2u : 0)};
    struct link *l;
    int n;

    if (!rt)
        return -raia_last_error()->code;
    n = api_check_ref(rt, r);
    if (n == 0 && r->owner) {
        l = link_to(rt, r->owner);
        object_name(&rt->objects, r, &m.ref);
        if (l)
            link_send(rt, l, WIRE_OBJECT_CANCEL, 0, &m, sizeof(m), true);
    } else if (n == 0) {
        if (r->task && r->task->actor && force)
            n = last_set(RAIA_ERR_INVALID,
                         "a method call cannot be cancelled by force: use raia_actor_kill");
        else
            object_cancel(rt, r, force, recursive);
    }
    rt_leave(rt);
    return n;
}
