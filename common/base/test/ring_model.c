/* The machine of the interleaving test (manual: ring_model.h). */
#include "base/test/ring_model.h"

#include <stddef.h>
#include <string.h>
#include <ucontext.h>

#define STACK_BYTES 65536
#define BUFFER_MAX  16   /* stores in a thread's buffer */
#define STEPS_MAX   4000 /* of one run: more is a livelock */
#define EVENTFDS    4
#define ACTIONS_MAX (MODEL_THREADS * (1 + BUFFER_MAX))
#define NOBODY      (-1)

/* A store on its way to memory. */
struct pending {
    void *p;       /* where to */
    uint64_t v;    /* what */
    unsigned size; /* bytes: 4 or 8 */
    bool in_order; /* not before those that are older */
};

enum thread_state { THREAD_RUNS, THREAD_SLEEPS, THREAD_DONE };

struct thread {
    ucontext_t context;                /* where it stands */
    enum thread_state state;           /* what it does */
    const void *sleeps_on;             /* the futex or eventfd counter */
    struct pending buffer[BUFFER_MAX]; /* its stores, oldest first */
    unsigned stores;                   /* how many */
    unsigned steps;                    /* that it has made */
};

/* One choice: run a thread, or let one of its stores reach memory. */
struct action {
    int thread; /* whose */
    int store;  /* index into its buffer; -1: run it */
    int cost;   /* of the budget */
};

/* A point of the search tree. */
struct choice {
    uint8_t chosen;  /* index of the action taken */
    uint8_t options; /* how many there were */
};

static struct {
    struct thread threads[MODEL_THREADS];
    ucontext_t main;             /* the explorer */
    int current;                 /* NOBODY: the explorer */
    const struct scenario *s;    /* what runs */
    const struct mutant *mutant; /* NULL: none */
    const char *error;           /* of this run */
    unsigned steps;              /* of this run */
    unsigned kill_at;            /* thread 0 dies when it has made so many steps; 0: never */
    bool random;                 /* choices are random, not from the tree */
    uint64_t seed;               /* of the random choices */
    unsigned p_switch, p_drain;  /* 1 in so many steps does it */
    struct choice tree[STEPS_MAX];
    unsigned depth;  /* in the tree */
    unsigned known;  /* choices of the tree that are prescribed */
    unsigned budget; /* deviations left in this run */
    unsigned events[EVENTFDS];
} model;

static char stacks[MODEL_THREADS][STACK_BYTES];

static uint64_t random_next(void)
{
    model.seed ^= model.seed << 13;
    model.seed ^= model.seed >> 7;
    model.seed ^= model.seed << 17;
    return model.seed;
}

/* ---- memory ---- */

static uint64_t memory_get(const void *p, unsigned size)
{
    uint32_t v4;
    uint64_t v8;

    if (size == 4)
        return memcpy(&v4, p, 4), v4;
    return memcpy(&v8, p, 8), v8;
}

static void memory_set(void *p, unsigned size, uint64_t v)
{
    uint32_t v4 = (uint32_t)v;

    if (size == 4)
        memcpy(p, &v4, 4);
    else
        memcpy(p, &v, 8);
}

static void drain_one(struct thread *t, unsigned i)
{
    memory_set(t->buffer[i].p, t->buffer[i].size, t->buffer[i].v);
    memmove(t->buffer + i, t->buffer + i + 1, (--t->stores - i) * sizeof t->buffer[0]);
}

static void drain_all(struct thread *t)
{
    while (t->stores)
        drain_one(t, 0);
}

static bool may_drain(const struct thread *t, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (t->buffer[i].in_order || t->buffer[k].p == t->buffer[i].p)
            return false;
    return true;
}

/* ---- the scheduler ---- */

/* All that can happen next; the first is what happens if nobody deviates. */
static unsigned actions_list(struct action *ret)
{
    struct action later[ACTIONS_MAX];
    unsigned n = 0, m = 0;
    int c = model.current;
    struct thread *cur = &model.threads[c];
    bool runs = cur->state == THREAD_RUNS;

    if (cur->stores)
        ret[n++] = (struct action){c, 0, 0};
    if (runs)
        ret[n++] = (struct action){c, -1, cur->stores ? 1 : 0};
    for (int i = 0; i < MODEL_THREADS; i++)
        if (i != c && model.threads[i].state == THREAD_RUNS)
            ret[n++] = (struct action){i, -1, runs || cur->stores ? 1 : 0};
    for (int i = 0; i < MODEL_THREADS; i++)
        for (unsigned k = i == c; k < model.threads[i].stores; k++)
            if (may_drain(&model.threads[i], k))
                later[m++] = (struct action){i, (int)k, 1};
    if (n == 0 && m)
        later[0].cost = 0; /* nothing else is left to do */
    memcpy(ret + n, later, m * sizeof later[0]);
    return n + m;
}

static struct action choose_random(const struct action *a, unsigned n)
{
    unsigned drains = 0, switches = 0;

    for (unsigned i = 0; i < n; i++) {
        drains += a[i].store >= 0;
        switches += a[i].store < 0;
    }
    bool drain = drains && (!switches || random_next() % model.p_drain == 0);
    bool stay = !drain && model.threads[model.current].state == THREAD_RUNS &&
                random_next() % model.p_switch != 0;
    unsigned pick = (unsigned)(random_next() % (drain ? drains : switches));
    for (unsigned i = 0; i < n; i++) {
        if ((a[i].store >= 0) != drain)
            continue;
        if (stay ? a[i].thread == model.current : pick-- == 0)
            return a[i];
    }
    return a[0];
}

static struct action choose_bounded(const struct action *a, unsigned n)
{
    struct action affordable[ACTIONS_MAX];
    unsigned m = 0;
    struct choice *c = &model.tree[model.depth];

    for (unsigned i = 0; i < n; i++)
        if ((unsigned)a[i].cost <= model.budget)
            affordable[m++] = a[i];
    if (model.depth >= model.known)
        c->chosen = 0;
    c->options = (uint8_t)m;
    model.depth++;
    model.budget -= (unsigned)affordable[c->chosen].cost;
    return affordable[c->chosen];
}

static void switch_to_main(void)
{
    int c = model.current;

    model.current = NOBODY;
    swapcontext(&model.threads[c].context, &model.main);
}

void model_fail(const char *text)
{
    model.error = text;
    switch_to_main();
}

/* Lets others run; comes back when it is the turn of this thread. */
static void step(void)
{
    int self = model.current;

    if (self == NOBODY)
        return;
    struct thread *me = &model.threads[self];
    if (++me->steps == model.kill_at && self == 0)
        me->state = THREAD_DONE;
    for (;;) {
        struct action all[ACTIONS_MAX];
        unsigned n = actions_list(all);
        if (n == 0)
            switch_to_main(); /* for good */
        if (++model.steps >= STEPS_MAX)
            model_fail("it runs for ever");
        struct action a = model.random ? choose_random(all, n) : choose_bounded(all, n);
        if (a.store >= 0) {
            drain_one(&model.threads[a.thread], (unsigned)a.store);
            continue;
        }
        model.current = a.thread;
        if (a.thread != self)
            swapcontext(&me->context, &model.threads[a.thread].context);
        return;
    }
}

static void thread_main(int i)
{
    model.s->thread[i]();
    model.threads[i].state = THREAD_DONE;
    step();
    __builtin_unreachable();
}

/* ---- the operations ---- */

static bool mutated(enum mutant_kind kind, const char *func, const char *expr)
{
    const struct mutant *m = model.mutant;

    return m && model.current != NOBODY && m->kind == kind && strcmp(m->func, func) == 0 &&
           (expr ? m->expr && strcmp(m->expr, expr) == 0 : !m->expr);
}

static uint64_t see(const void *p, unsigned size)
{
    if (model.current != NOBODY) {
        const struct thread *t = &model.threads[model.current];
        for (unsigned i = t->stores; i-- > 0;)
            if (t->buffer[i].p == p)
                return t->buffer[i].v;
    }
    return memory_get(p, size);
}

uint64_t model_load(const void *p, unsigned size, const char *func, const char *expr)
{
    step();
    if (mutated(MUTANT_SKIP, func, expr))
        return 0;
    uint64_t v = see(p, size);
    return v == 3 && mutated(MUTANT_NOTIFIED_BUSY, func, expr) ? 0 : v;
}

void model_store(void *p, unsigned size, uint64_t v, int order, const char *func, const char *expr)
{
    step();
    if (mutated(MUTANT_SKIP, func, expr))
        return;
    if (mutated(MUTANT_RELAXED, func, expr))
        order = __ATOMIC_RELAXED;
    if (mutated(MUTANT_RELEASE, func, expr))
        order = __ATOMIC_RELEASE;
    if (model.current == NOBODY) {
        memory_set(p, size, v);
        return;
    }
    struct thread *t = &model.threads[model.current];
    if (order == __ATOMIC_SEQ_CST) {
        drain_all(t);
        memory_set(p, size, v);
        return;
    }
    if (t->stores == BUFFER_MAX)
        drain_one(t, 0);
    t->buffer[t->stores++] = (struct pending){p, v, size, order == __ATOMIC_RELEASE};
}

uint64_t model_rmw(void *p, unsigned size, enum model_op op, uint64_t v, uint64_t from,
                   const char *func, const char *expr)
{
    step();
    if (model.current != NOBODY)
        drain_all(&model.threads[model.current]);
    uint64_t was = memory_get(p, size);
    if (mutated(MUTANT_SKIP, func, expr))
        return op == MODEL_CAS ? from : was;
    if (mutated(MUTANT_SPLIT, func, expr))
        step();
    uint64_t now = op == MODEL_XCHG  ? v
                   : op == MODEL_OR  ? was | v
                   : op == MODEL_AND ? was & v
                   : was == from     ? v
                                     : was;
    memory_set(p, size, now);
    return was;
}

void model_pause(void)
{
    step();
}

static void sleep_on(const void *p)
{
    struct thread *t = &model.threads[model.current];

    t->sleeps_on = p;
    t->state = THREAD_SLEEPS;
    step();
}

static void wake(const void *p)
{
    for (int i = 0; i < MODEL_THREADS; i++)
        if (model.threads[i].state == THREAD_SLEEPS && model.threads[i].sleeps_on == p)
            model.threads[i].state = THREAD_RUNS;
}

static void enter_kernel(void)
{
    step();
    drain_all(&model.threads[model.current]);
}

bool model_futex_wait(uint32_t *p, uint32_t v)
{
    enter_kernel();
    if (memory_get(p, 4) == v)
        sleep_on(p);
    return true;
}

void model_futex_wake(uint32_t *p, const char *func)
{
    enter_kernel();
    if (!mutated(MUTANT_SKIP, func, NULL))
        wake(p);
}

void model_eventfd_write(int fd)
{
    enter_kernel();
    model.events[fd]++;
    wake(&model.events[fd]);
}

void model_eventfd_clear(int fd)
{
    enter_kernel();
    model.events[fd] = 0;
}

void model_eventfd_wait(int fd)
{
    enter_kernel();
    if (!model.events[fd])
        sleep_on(&model.events[fd]);
}

/* ---- exploring ---- */

static void run_once(const struct scenario *s)
{
    model.current = NOBODY;
    model.error = NULL;
    model.steps = 0;
    model.depth = 0;
    memset(model.events, 0, sizeof model.events);
    s->setup();
    for (int i = 0; i < MODEL_THREADS; i++) {
        struct thread *t = &model.threads[i];
        t->stores = 0;
        t->steps = 0;
        t->state = s->thread[i] ? THREAD_RUNS : THREAD_DONE;
        if (!s->thread[i])
            continue;
        getcontext(&t->context);
        t->context.uc_stack.ss_sp = stacks[i];
        t->context.uc_stack.ss_size = STACK_BYTES;
        t->context.uc_link = NULL;
        makecontext(&t->context, (void (*)(void))thread_main, 1, i);
    }
    model.current = 0;
    swapcontext(&model.main, &model.threads[0].context);
    for (int i = 0; i < MODEL_THREADS && !model.error; i++)
        if (model.threads[i].state == THREAD_SLEEPS)
            model.error = "a lost wake-up: nobody is left to wake a sleeper";
}

/* The next path of the tree; false: that was all. */
static bool next_path(void)
{
    while (model.depth &&
           model.tree[model.depth - 1].chosen + 1 >= model.tree[model.depth - 1].options)
        model.depth--;
    if (!model.depth)
        return false;
    model.tree[model.depth - 1].chosen++;
    model.known = model.depth;
    return true;
}

static void explore_bounded(const struct scenario *s, unsigned budget, uint64_t max,
                            struct model_result *r)
{
    model.random = false;
    model.known = 0;
    do {
        model.budget = budget;
        run_once(s);
        r->bounded++;
        r->error = model.error;
    } while (!r->error && next_path() && --max);
}

struct model_result model_explore(const struct scenario *s, const struct mutant *m, unsigned budget,
                                  uint64_t max_bounded, uint64_t randoms)
{
    static const unsigned chances[] = {2, 4, 8, 32};
    struct model_result r = {0};

    model.s = s;
    model.mutant = m;
    for (model.kill_at = s->kill; !r.error; model.kill_at++) {
        explore_bounded(s, budget, max_bounded, &r);
        if (!s->kill || model.threads[0].steps < model.kill_at)
            break;
    }
    unsigned most = model.kill_at;
    model.random = true;
    for (uint64_t i = 0; i < randoms && !r.error; i++) {
        model.seed = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        random_next();
        model.p_switch = chances[random_next() % 4];
        model.p_drain = chances[random_next() % 4];
        model.kill_at = s->kill ? 1 + (unsigned)(random_next() % most) : 0;
        run_once(s);
        r.randoms++;
        r.error = model.error;
    }
    return r;
}
