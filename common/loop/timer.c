/*
 * Timers: a pairing heap of caller-owned structs, so that starting one cannot fail and stopping one
 * is immediate. loop.c asks for the next due time before each sleep.
 */
#include "loop/loop_impl.h"

static bool before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->seq < b->seq);
}

/* Makes one heap of two roots (their links outwards are void); either may be NULL. */
static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (before(b, a)) {
        struct loop_timer *t = a;
        a = b;
        b = t;
    }
    b->sib = a->child;
    if (b->sib)
        b->sib->pprev = &b->sib;
    b->pprev = &a->child;
    a->child = b;
    a->sib = NULL;
    return a;
}

/* Melds a list of siblings in pairs from the left, then the pairs from the right. */
static struct loop_timer *meld_list(struct loop_timer *t)
{
    struct loop_timer *pairs = NULL;
    while (t) {
        struct loop_timer *a = t, *b = t->sib;
        t = b ? b->sib : NULL;
        a->sib = NULL;
        if (b)
            b->sib = NULL;
        a = meld(a, b);
        a->sib = pairs;
        pairs = a;
    }
    struct loop_timer *root = NULL;
    while (pairs) {
        struct loop_timer *next = pairs->sib;
        pairs->sib = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void set_root(struct loop *l, struct loop_timer *t)
{
    l->timers = t;
    if (t) {
        t->sib = NULL;
        t->pprev = &l->timers;
    }
}

static void insert(struct loop *l, struct loop_timer *t)
{
    t->child = t->sib = NULL;
    set_root(l, meld(l->timers, t));
}

void loop_timer_stop(struct loop_timer *t)
{
    struct loop *l = t->loop;
    if (!l)
        return;
    struct loop_timer *rest = meld_list(t->child);
    if (l->timers == t) {
        set_root(l, rest);
    } else {
        *t->pprev = t->sib;
        if (t->sib)
            t->sib->pprev = t->pprev;
        set_root(l, meld(l->timers, rest));
    }
    t->child = t->sib = NULL;
    t->pprev = NULL;
    t->loop = NULL;
}

void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t delay_ms, uint32_t repeat_ms,
                      loop_timer_fn fn)
{
    loop_timer_stop(t);
    uint64_t now = loop_now_ms(l);
    t->fn = fn;
    t->loop = l;
    t->due_ms = delay_ms > UINT64_MAX / 2 - now ? UINT64_MAX / 2 : now + delay_ms;
    t->seq = ++l->timer_seq;
    t->repeat_ms = repeat_ms;
    insert(l, t);
}

bool loop_timer_active(const struct loop_timer *t)
{
    return t->loop != NULL;
}

uint64_t loop_timers_next(const struct loop *l)
{
    return l->timers ? l->timers->due_ms : UINT64_MAX;
}

void loop_timers_run(struct loop *l)
{
    uint64_t now = loop_now_ms(l), last = l->timer_seq;
    /* Timers started by these callbacks have a later number and wait for the next round, so that a
     * timer of 0 ms that starts itself cannot keep descriptors from being served. */
    for (struct loop_timer *t; (t = l->timers) && t->due_ms <= now && t->seq <= last;) {
        loop_timer_stop(t);
        if (t->repeat_ms)
            loop_timer_start(l, t, t->repeat_ms, t->repeat_ms, t->fn);
        l->ran++;
        t->fn(t);
    }
}
