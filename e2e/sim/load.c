/* What user programs do: random things, from the seed. Drivers and functions are the same kind of
 * program: they submit, get, put, pass references on, release, call actors, cancel. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/chain.h"
#include "sim/proc.h"

static struct prng *dice(struct act *a)
{
    return a->p->c->prng;
}

static void act_step(void *ctx);

void act_later(struct act *a, int64_t us)
{
    if (a->due)
        return;
    a->due = true;
    sim_after(a->p->c->sim, node_sim(a->p->node), us * CLOCK_NS_PER_US, act_step, a, NULL);
}

static void adopt(struct act *a, struct raia_ref *o)
{
    if (a->n == ACT_HANDLES || !o)
        return;
    o->handles++;
    a->handles[a->n++] = o;
}

/* The references that came inside of a value. */
void act_adopt_some(struct act *a, struct raia_ref **inner, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (prng_chance(dice(a), 0.7))
            adopt(a, inner[i]);
}

/* Has its value already, wherever it is. */
static bool settled(struct proc *p, const struct raia_ref *o)
{
    struct proc *owner = o->owner ? proc_by_id(p->c, o->owner->address.worker) : NULL;

    if (owner && owner->alive)
        o = objects_find(&owner->objects, owner->self.worker, o->counter, o->index);
    return o && object_ready(o);
}

struct act *act_new(struct proc *p, struct call *c, unsigned steps, unsigned depth)
{
    struct act *a = world_alloc(p->c, sizeof(*a));

    if (!a)
        return NULL;
    a->p = p;
    a->call = c;
    a->steps = steps;
    a->depth = depth;
    list_add_tail(&p->acts, &a->link);
    for (unsigned i = 0; c && i < c->head.nargs; i++) {
        const struct call_arg *arg = &c->args[i];

        if (arg->stored)
            large_look(p, arg->stored);
        else if (i > 0 && i < c->head.nargs - 1u &&
                 (arg->item.head->format != RAIA_RAW ||
                  arg->item.head->size != sizeof(struct value)))
            sim_fail(p->c->sim, "an argument is not a value");
        if (arg->inner)
            act_adopt_some(a, arg->inner, arg->item.head->nrefs);
    }
    /* One that is not settled might wait for this one. */
    if (c && p->n_kept && prng_chance(dice(a), 0.5)) {
        struct raia_ref *o = p->kept[prng_below(dice(a), p->n_kept)];

        if (settled(p, o))
            adopt(a, o);
    }
    return a;
}

void act_end(struct act *a)
{
    a->gone = true;
    if (a->wait)
        object_unhold(&a->p->objects, a->wait);
    a->wait = NULL;
    if (a->again)
        object_unhold(&a->p->objects, a->again);
    a->again = NULL;
    act_unblock(a);
    large_unmade(a);
    while (a->n_views)
        large_unpin(a->p, a->views[--a->n_views]);
    while (a->n)
        object_release(&a->p->objects, a->handles[--a->n]);
    list_del(&a->link);
    if (a->p->running == a)
        a->p->running = NULL;
}

/* ---- doing */

static struct raia_ref *any(struct act *a)
{
    return a->n ? a->handles[prng_below(dice(a), a->n)] : NULL;
}

static unsigned some(struct act *a, struct raia_ref **to, unsigned max)
{
    unsigned n = a->n ? (unsigned)prng_below(dice(a), max + 1) : 0;

    for (unsigned i = 0; i < n; i++)
        to[i] = any(a);
    return n;
}

/* Some that are settled. (A value with a reference to one that is still being made may become part
 * of a ring of values, which counting never frees.) */
static unsigned some_settled(struct act *a, struct raia_ref **to, unsigned max)
{
    unsigned n = some(a, to, max), k = 0;

    for (unsigned i = 0; i < n; i++)
        if (settled(a->p, to[i]))
            to[k++] = to[i];
    return k;
}

static void let_go(struct act *a)
{
    unsigned i = a->n ? (unsigned)prng_below(dice(a), a->n) : 0;

    if (!a->n)
        return;
    object_release(&a->p->objects, a->handles[i]);
    a->handles[i] = a->handles[--a->n];
}

static void keep(struct act *a, struct raia_ref *o)
{
    if (!o)
        return;
    if (a->n == ACT_HANDLES)
        let_go(a);
    a->handles[a->n++] = o;
}

static struct prog program(struct act *a)
{
    struct prng *r = dice(a);
    struct prog g = {.depth = a->depth ? a->depth - 1 : 0,
                     .run_us = (uint32_t)(prng_chance(r, 0.6) ? prng_range(r, 5, 300)
                                                              : prng_range(r, 300, 20000)),
                     .fails = prng_chance(r, 0.05)};

    if (a->depth > 1 || prng_chance(r, 0.3))
        g.steps = (uint32_t)prng_below(r, 9);
    return g;
}

static struct sched_class *class_of(struct act *a)
{
    static const int64_t quantity[3] = {10000, 5000, 20000};
    struct proc *p = a->p;
    unsigned i = prng_chance(dice(a), 0.7) ? 0 : (unsigned)prng_below(dice(a), 3);
    struct sched_resource cpu = {.name = "CPU", .quantity = quantity[i]};

    if (i == 2) /* more than one would ask for: let it be the spread one */
        cpu.quantity = 10000;
    if (!p->classes[i])
        p->classes[i] = submitter_class(&p->submitter, i == 2, &cpu, 1);
    return p->classes[i];
}

static void submit(struct act *a)
{
    static const int retries[4] = {0, 0, 1, 3};
    struct raia_ref *deps[2], *inner[3];
    unsigned nd = prng_chance(dice(a), 0.5) ? some(a, deps, 2) : 0;
    unsigned ni = prng_chance(dice(a), 0.5) ? some(a, inner, 3) : 0;
    unsigned burst = prng_chance(dice(a), 0.2) ? (unsigned)prng_range(dice(a), 5, 20) : 1;

    if (a->p->c->tasks >= a->p->c->tasks_max)
        return;
    /* Many of one kind: they stand in front of workers. */
    for (unsigned i = 0; i < burst; i++) {
        struct prog g = program(a);

        keep(a, task_submit(a->p, NULL, &g, class_of(a), retries[prng_below(dice(a), 4)], deps,
                            burst > 1 ? 0 : nd, inner, burst > 1 ? 0 : ni));
    }
}

static void call_actor(struct act *a)
{
    struct world *c = a->p->c;
    struct raia_ref *deps[1], *inner[2];
    unsigned nd = prng_chance(dice(a), 0.3) ? some(a, deps, 1) : 0;
    unsigned ni = prng_chance(dice(a), 0.3) ? some(a, inner, 2) : 0;
    unsigned burst = (unsigned)prng_range(dice(a), 1, 4);
    const uint8_t *id;
    struct pactor *k;

    if (!c->n_actors || c->tasks >= c->tasks_max)
        return;
    id = c->actors[prng_below(dice(a), c->n_actors)];
    k = pactor_new(a->p, id);
    for (unsigned i = 0; k && i < burst; i++) {
        struct prog g = program(a);

        g.steps = 0; /* a method that waits for others may wait for itself */
        g.run_us = g.run_us % 500 + 5;
        g.number = ++k->calls;
        keep(a, task_submit(a->p, k, &g, NULL, prng_chance(dice(a), 0.3) ? 2 : 0, deps, i ? 0 : nd,
                            inner, i ? 0 : ni));
    }
}

static void cancel(struct act *a)
{
    const struct wire_cancel how = {0};
    struct raia_ref *o = any(a);

    if (!o || o->owner || !o->task)
        return;
    if (o->task->actor)
        caller_cancel(&((struct pactor *)(void *)o->task->actor)->caller, o->task, &how);
    else
        submitter_cancel(&a->p->submitter, o->task, &how);
}

/* Some references stay in the process after the call, as in a global variable or an actor. */
static void leave_behind(struct act *a)
{
    struct proc *p = a->p;

    while (a->n && p->n_kept < PROC_KEPT && prng_chance(dice(a), 0.3))
        p->kept[p->n_kept++] = a->handles[--a->n];
    if (p->n_kept && prng_chance(dice(a), 0.4))
        object_release(&p->objects, p->kept[--p->n_kept]);
}

void load_release(struct proc *p)
{
    while (p->alive && p->n_kept)
        object_release(&p->objects, p->kept[--p->n_kept]);
}

static uint64_t large_size(struct prng *p)
{
    unsigned most = prng_chance(p, 0.65) ? 8 : WORLD_LARGE_MAX / WORLD_STAMP;

    return (uint64_t)prng_range(p, 1, most) * WORLD_STAMP;
}

static void put(struct act *a)
{
    struct raia_ref *inner[3], *o;
    unsigned n = some_settled(a, inner, 3);

    if (!a->p->c->large || prng_chance(dice(a), 0.5)) {
        keep(a, value_put(a->p, inner, n));
        return;
    }
    o = object_new(&a->p->objects, ++a->p->counter, 0);
    if (!o)
        return;
    o->handles = 1;
    large_make(a, o, large_size(dice(a)), inner, n);
}

/* A result that is large: the caller's object, made here. */
static bool large_result(struct act *a)
{
    struct call *c = a->call;
    struct raia_ref *inner[3], *o;
    struct prng same; /* for each attempt: what is there already counts as its value */
    uint64_t id;

    if (!c || c->status < 0 || c->canceled || c->prog.fails || !a->p->c->large ||
        prng_chance(dice(a), 0.4))
        return false;
    o = object_new(&a->p->objects, c->head.counter, 1);
    if (!o)
        return false;
    o->owner = c->caller;
    object_hold(o);
    memcpy(&id, c->caller->address.worker, sizeof(id));
    prng_seed(&same, id ^ c->head.counter);
    large_make(a, o, large_size(&same), inner, some_settled(a, inner, 3));
    return true;
}

static void finish(struct act *a);

/* The store gave memory, or did not. */
static void made(struct act *a)
{
    struct raia_ref *o = a->making.o;
    struct proc *p = a->p;
    int status = large_made(a);

    if (!o->owner) {
        if (status == 0)
            keep(a, o);
        else
            object_release(&p->objects, o);
        return;
    }
    if (status == 0)
        a->call->stored = o;
    else
        object_unhold(&p->objects, o);
    a->call->status = status;
    finish(a);
}

/* Its program has ended: so does the driver, and its job with it, whatever is under way. */
static void leave(void *ctx)
{
    struct proc *p = ctx;

    if (!p->alive || p->c->closing)
        return;
    /* The worst moment for the control store to be away. */
    if (p->c->kills && !p->c->quiet && prng_chance(p->c->prng, 0.3))
        gcs_crash(p->c->gcs);
    proc_kill(p);
}

static void finish(struct act *a)
{
    struct proc *p = a->p;
    struct call *c = a->call;
    struct raia_ref *inner[3];
    unsigned n;

    if (c && c->prog.fails)
        c->status = -RAIA_ERR_TASK_FAILED;
    if (c && !c->stored) {
        n = prng_chance(dice(a), 0.5) ? some_settled(a, inner, 3) : 0;
        c->result = value_blob(p, c->caller->address.worker, c->head.counter, 1, inner, n);
    }
    if (c && !p->c->closing)
        leave_behind(a);
    act_end(a);
    if (c)
        call_finish(p, c);
    else if (p->c->leave && !p->c->closing && prng_chance(dice(a), 0.7))
        sim_after(p->c->sim, node_sim(p->node), prng_range(dice(a), 1, 300000) * CLOCK_NS_PER_US,
                  leave, p, NULL);
}

static void one_thing(struct act *a)
{
    struct raia_ref *o;
    unsigned what = (unsigned)prng_below(dice(a), 100);

    if (what < 35 && a->depth)
        submit(a);
    else if (what < 55 && (o = any(a)))
        act_get(a, o);
    else if (what < 65)
        put(a);
    else if (what < 70 && a->n_views)
        large_unpin(a->p, a->views[--a->n_views]);
    else if (what < 80)
        let_go(a);
    else if (what < 92 && a->depth)
        call_actor(a);
    else if (what < 96)
        cancel(a);
}

static void act_step(void *ctx)
{
    struct act *a = ctx;
    struct proc *p = a->p;

    a->due = false;
    if (a->gone || !p->alive)
        return;
    if ((a->wait && !act_get_done(a)) || a->making.state == MAKING_ASKED)
        return;
    if (a->again && !a->rested) {
        a->rested = true;
        act_later(a, prng_range(dice(a), 1000, 500000));
        return;
    }
    if (a->making.state != MAKING_NONE) {
        bool result = a->making.o->owner;

        made(a);
        if (!result)
            act_later(a, prng_range(dice(a), 1, 100));
    } else if (a->again) {
        act_get_again(a);
    } else if (a->steps == 0 || (a->call && a->call->canceled)) {
        if (!large_result(a))
            finish(a);
    } else {
        a->steps--;
        one_thing(a);
        if (!a->wait && a->making.state == MAKING_NONE)
            act_later(a, prng_chance(dice(a), 0.5) ? prng_range(dice(a), 1, 100)
                                                   : prng_range(dice(a), 100, 20000));
    }
    proc_settle(p);
}

void load_start(struct proc *p)
{
    struct act *a = act_new(p, NULL, (unsigned)prng_range(p->c->prng, 30, 150), 3);

    if (a)
        act_later(a, prng_range(p->c->prng, 1, 50000));
}

bool load_ended(const struct proc *p)
{
    return !p->alive || list_empty(&p->acts);
}
