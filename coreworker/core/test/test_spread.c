/* Long tasks spread over all workers that there are, whatever was learnt from short ones before. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "core/submitter.h"

#define WORKERS 8
#define TASKS   40
#define MS      INT64_C(1000000)

/* A worker: what it was sent, in order; it runs the first. */
struct worker {
    struct lease *lease;
    uint64_t tags[TASKS];
    unsigned n;
    unsigned asked; /* to give back so many */
};

static struct worker workers[WORKERS];
static unsigned nworkers, ngranted, want;

static void define_class(void *ctx, struct sched_class *c)
{
    (void)ctx;
    (void)c;
}

static void demand(void *ctx, struct sched_class *c, uint32_t n)
{
    (void)ctx;
    (void)c;
    want = n;
}

static struct worker *of(const struct lease *l)
{
    return &workers[l->id];
}

static void open_lease(void *ctx, struct lease *l)
{
    of(l)->lease = l;
    submitter_opened(ctx, l, of(l));
}

static int push(void *ctx, struct lease *l, struct task *t, uint64_t tag)
{
    (void)ctx;
    (void)t;
    of(l)->tags[of(l)->n++] = tag;
    return 0;
}

static void give_back(void *ctx, struct lease *l, bool broken)
{
    (void)ctx;
    cr_assert_not(broken);
    cr_assert_eq(of(l)->n, 0);
    of(l)->lease = NULL;
    ngranted--;
}

static void steal(void *ctx, struct lease *l, uint32_t count)
{
    (void)ctx;
    of(l)->asked += count;
}

static void failed(void *ctx, struct task *t, const struct raia_error *e)
{
    (void)ctx;
    (void)t;
    (void)e;
    cr_assert(false, "no task fails");
}

static const struct submitter_ops ops = {.define_class = define_class,
                                         .demand = demand,
                                         .open = open_lease,
                                         .push = push,
                                         .give_back = give_back,
                                         .steal = steal,
                                         .failed = failed};

/* What the raylet and the workers do in a millisecond; `end`: tasks end in it. */
static void step(struct submitter *s, bool end)
{
    for (unsigned i = 0; i < nworkers; i++) {
        struct worker *w = &workers[i];

        if (!w->lease && want) {
            struct rec_lease grant = {.lease = i, .number = 1};

            want--;
            ngranted++;
            submitter_granted(s, &grant);
        }
        for (; w->asked && w->n > 1; w->asked--) {
            uint64_t tag = w->tags[--w->n];

            cr_assert_null(submitter_replied(s, w, tag, true, 0));
        }
        w->asked = 0;
        while (end && w->n) {
            uint64_t tag = w->tags[0];

            memmove(w->tags, w->tags + 1, --w->n * sizeof tag);
            submitter_replied(s, w, tag, false, 10);
        }
    }
    submitter_tick(s, s->now + MS);
}

static void add(struct submitter *s, struct sched_class *c, struct task *t)
{
    *t = (struct task){.class = c, .deadline = CLOCK_NEVER};
    submitter_add(s, t);
    submitter_pump(s, c);
}

static unsigned busy(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < nworkers; i++)
        n += workers[i].n > 0;
    return n;
}

static void spread(unsigned of_workers, unsigned tasks, unsigned before)
{
    static const struct sched_resource cpu = {.name = "CPU", .quantity = 10000};
    static struct task t[TASKS];
    struct submitter s;
    struct sched_class *c;
    unsigned most = tasks < of_workers ? tasks : of_workers;

    memset(workers, 0, sizeof workers);
    nworkers = of_workers;
    ngranted = want = 0;
    cr_assert_eq(submitter_init(&s, &ops, &s), 0);
    s.now = MS;
    c = submitter_class(&s, 0, &cpu, 1);
    for (unsigned i = 0; i < before; i++) {
        add(&s, c, &t[0]);
        while (s.pending)
            step(&s, true);
    }
    for (unsigned i = 0; i < tasks; i++)
        add(&s, c, &t[i]);
    for (unsigned i = 0; i < 200; i++)
        step(&s, false);
    cr_assert_eq(busy(), most, "%u of %u workers run %u tasks, after %u short ones", busy(),
                 of_workers, tasks, before);
    while (s.pending)
        step(&s, true);
    for (unsigned i = 0; i < 40; i++)
        step(&s, true);
    cr_assert_eq(ngranted, 0, "leases are kept");
    submitter_fini(&s);
}

/* Whether the tasks before were none, few or many, every worker gets one of the long tasks within
 * 200 ms, and nothing is held at the end. */
Test(spread, long_tasks)
{
    for (unsigned n = 1; n <= WORKERS; n++)
        for (unsigned tasks = 1; tasks <= 2 * n + 3; tasks++)
            for (unsigned before = 0; before <= 30; before += before < 3 ? 1 : 9)
                spread(n, tasks, before);
}
