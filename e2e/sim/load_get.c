/* Gets of user programs: their values are checked; some are given up, and what found no room is got
 * again later. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/chain.h"
#include "sim/proc.h"

void act_unblock(struct act *a)
{
    if (!a->told)
        return;
    a->told = false;
    if (--a->p->blocked == 0 && !a->p->host)
        proc_say(a->p, REC_UNBLOCKED, NULL, 0);
}

static void check_value(struct act *a, struct raia_ref *o)
{
    const uint8_t *owner = o->owner ? o->owner->address.worker : a->p->self.worker;
    struct chain c;
    struct value v;

    if (object_is_error(o)) {
        chain_decode(&c, o->value->data, o->value->size);
        oracle_error(a->p->c, &c.links[0], owner, o->index ? "a result" : "a put value");
        /* No room on a node is no property of what was in a store. */
        if (c.links[0].code == RAIA_ERR_STORE_FULL && o->more && o->more->size)
            sim_fail(a->p->c->sim, "object %02x%02x/%llu found no room once, and is lost for it",
                     owner[0], owner[1], (unsigned long long)o->counter);
        return;
    }
    if (o->value->size != sizeof(v)) {
        sim_fail(a->p->c->sim, "a value of %u bytes", o->value->size);
        return;
    }
    memcpy(&v, o->value->data, sizeof(v));
    if (memcmp(v.worker, owner, 16) || v.counter != o->counter || v.index != o->index ||
        v.nrefs != o->value->nrefs)
        sim_fail(a->p->c->sim, "the value of object %llu is that of %llu",
                 (unsigned long long)o->counter, (unsigned long long)v.counter);
    act_adopt_some(a, o->value->inner, o->value->nrefs);
}

/* A large value is read, for a while. */
static void view(struct act *a, struct raia_ref *o)
{
    large_look(a->p, o);
    large_pin(o);
    if (a->n_views == ACT_VIEWS)
        large_unpin(a->p, a->views[--a->n_views]);
    a->views[a->n_views++] = o;
    if (o->more->ninner)
        act_adopt_some(a, o->more->inner, o->more->ninner);
}

#define TRIES 5

/* There is no room for it here: it makes some, and tries again. */
static void refused(struct act *a)
{
    struct raia_ref *o = STEAL(a->wait);
    struct chain c;

    act_unblock(a);
    chain_decode(&c, o->more->refusal->data, o->more->refusal->size);
    oracle_error(a->p->c, &c.links[0], o->owner ? o->owner->address.worker : a->p->self.worker,
                 "a get");
    a->p->c->refused++;
    while (a->n_views)
        large_unpin(a->p, a->views[--a->n_views]);
    if (++a->tries < TRIES) {
        a->again = o;
        return;
    }
    a->tries = 0;
    object_unhold(&a->p->objects, o);
}

/* True: it need not wait any more. */
bool act_get_done(struct act *a)
{
    struct raia_ref *o = a->wait;

    if (!object_ready(o))
        return false;
    if (o->state == OBJECT_STORED && !o->more->mapped && o->more->refusals != a->seen) {
        refused(a);
        return true;
    }
    if (o->state == OBJECT_STORED && !o->more->mapped) {
        o->flags |= OBJECT_WAITED;
        large_fetch(a->p, o);
        return false;
    }
    a->wait = NULL;
    act_unblock(a);
    if (a->tries && o->state == OBJECT_STORED)
        a->p->c->again++;
    a->tries = 0;
    if (o->state == OBJECT_STORED)
        view(a, o);
    else
        check_value(a, o);
    object_unhold(&a->p->objects, o);
    return true;
}

struct time_up {
    struct act *a;
    uint64_t waits;
};

static void time_up(void *ctx)
{
    struct time_up *x = ctx;

    act_give_up(x->a, x->waits);
}

/* Some gets have a deadline. */
static void set_deadline(struct act *a)
{
    struct time_up *x = prng_chance(a->p->c->prng, 0.15) ? world_alloc(a->p->c, sizeof(*x)) : NULL;

    if (!x)
        return;
    *x = (struct time_up){.a = a, .waits = a->waits};
    sim_after(a->p->c->sim, node_sim(a->p->node),
              prng_range(a->p->c->prng, 10, 600000) * CLOCK_NS_PER_US, time_up, x, NULL);
}

void act_give_up(struct act *a, uint64_t waits)
{
    struct raia_ref *o = a->wait;

    if (a->gone || !a->p->alive || !o || (waits && a->waits != waits))
        return;
    a->wait = NULL;
    a->tries = 0;
    a->p->c->given_up++;
    act_unblock(a);
    object_unhold(&a->p->objects, o);
    act_later(a, 1);
}

void act_get(struct act *a, struct raia_ref *o)
{
    object_hold(o);
    a->wait = o;
    a->waits++;
    a->seen = o->more ? o->more->refusals : 0;
    if (act_get_done(a))
        return;
    set_deadline(a);
    o->flags |= OBJECT_WAITED;
    value_query(a->p, o);
    if (!a->call || a->told)
        return;
    a->told = true;
    if (a->p->blocked++ > 0 || a->p->host)
        return;
    call_give_back_all(a->p);
    proc_say(a->p, REC_BLOCKED, NULL, 0);
}

void act_woken(struct proc *p, const struct raia_ref *o)
{
    struct act *a;

    LIST_FOREACH (a, &p->acts, link)
        if (a->wait == o)
            act_later(a, 1);
}

/* What found no room before. */
void act_get_again(struct act *a)
{
    struct raia_ref *o = STEAL(a->again);

    a->rested = false;
    act_get(a, o);
    object_unhold(&a->p->objects, o);
    if (!a->wait)
        act_later(a, prng_range(a->p->c->prng, 1, 100));
}
