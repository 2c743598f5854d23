/* The submitter against a made-up world: leases are granted by hand, pushes are written down. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/submitter.h"

struct world {
    struct submitter s;
    uint64_t tags[4096]; /* of pushes, in order */
    struct task *pushed[4096];
    unsigned npushed;
    uint32_t want;     /* last demand */
    unsigned returned; /* leases given back */
    unsigned steals;
    unsigned failed;
    int failed_code;
    unsigned room; /* pushes that still find room */
};

static void define_class(void *ctx, struct sched_class *c)
{
    (void)ctx;
    (void)c;
}

static void demand(void *ctx, struct sched_class *c, uint32_t want)
{
    (void)c;
    ((struct world *)ctx)->want = want;
}

static void open_lease(void *ctx, struct lease *l)
{
    struct world *w = ctx;

    submitter_opened(&w->s, l, (void *)(uintptr_t)(l->id + 1000));
}

static int push(void *ctx, struct lease *l, struct task *t, uint64_t tag)
{
    struct world *w = ctx;

    (void)l;
    if (w->room == 0)
        return -RAIA_ERR_LIMIT;
    w->room--;
    w->tags[w->npushed] = tag;
    w->pushed[w->npushed++] = t;
    return 0;
}

static void give_back(void *ctx, struct lease *l, bool broken)
{
    (void)l;
    (void)broken;
    ((struct world *)ctx)->returned++;
}

static void steal(void *ctx, struct lease *l, uint32_t count)
{
    (void)l;
    (void)count;
    ((struct world *)ctx)->steals++;
}

static void cancel(void *ctx, struct lease *l, uint64_t tag, const struct wire_cancel *how)
{
    (void)ctx;
    (void)l;
    (void)tag;
    (void)how;
}

static void failed(void *ctx, struct task *t, const struct raia_error *e)
{
    struct world *w = ctx;

    w->failed++;
    w->failed_code = e->code;
    free(t);
}

static const struct submitter_ops ops = {.define_class = define_class,
                                         .demand = demand,
                                         .open = open_lease,
                                         .push = push,
                                         .give_back = give_back,
                                         .steal = steal,
                                         .cancel = cancel,
                                         .failed = failed};

static struct sched_class *begin(struct world *w)
{
    static const struct sched_resource cpu = {"CPU", 10000};

    memset(w, 0, sizeof(*w));
    w->room = 4096;
    cr_assert_eq(submitter_init(&w->s, &ops, w), 0);
    w->s.now = 1;
    return submitter_class(&w->s, 0, &cpu, 1);
}

static struct task *add(struct world *w, struct sched_class *c, int retries)
{
    struct task *t = calloc(1, sizeof(*t));

    t->class = c;
    t->retries = retries;
    t->deadline = CLOCK_NEVER;
    submitter_add(&w->s, t);
    return t;
}

static void grant(struct world *w, struct sched_class *c, uint64_t id)
{
    struct rec_lease m = {.lease = id, .number = c->number};

    m.worker.worker[0] = (uint8_t)id;
    submitter_granted(&w->s, &m);
}

static bool reply(struct world *w, unsigned i, uint64_t lease, bool not_started)
{
    struct task *t =
        submitter_replied(&w->s, (void *)(uintptr_t)(lease + 1000), w->tags[i], not_started, 1);

    free(t);
    return t != NULL;
}

static void end(struct world *w)
{
    struct raia_error e;

    err_set(&e, RAIA_ERR_SHUTDOWN, "end");
    submitter_fail_all(&w->s, &e);
    submitter_fini(&w->s);
}

/* The same shape is the same class; demand is stated and met; answers come out once. */
Test(submitter, one_task)
{
    static const struct sched_resource cpu = {"CPU", 10000}, gpu = {"gpu", 10000};
    struct world w;
    struct sched_class *c = begin(&w);

    cr_assert_eq(submitter_class(&w.s, 0, &cpu, 1), c);
    cr_assert_neq(submitter_class(&w.s, 0, &gpu, 1), c);
    cr_assert_neq(submitter_class(&w.s, 1, &cpu, 1), c);
    add(&w, c, 3);
    submitter_pump(&w.s, c);
    cr_assert(w.want == 1 && w.npushed == 0);
    grant(&w, c, 1);
    cr_assert_eq(w.npushed, 1);
    cr_assert(!reply(&w, 0, 2, false), "another link answered");
    cr_assert(reply(&w, 0, 1, false));
    cr_assert(!reply(&w, 0, 1, false), "answered twice");
    cr_assert_eq(w.s.pending, 0);
    end(&w);
}

/* Tasks turn out short: more of them are put in front of a worker; an idle lease goes back. */
Test(submitter, pipelines_and_lingers)
{
    struct world w;
    struct sched_class *c = begin(&w);
    unsigned i = 0;

    for (int k = 0; k < 1000; k++)
        add(&w, c, 3);
    submitter_pump(&w.s, c);
    grant(&w, c, 1);
    cr_assert_eq(w.npushed, 1, "nothing is known of these tasks yet");
    while (i < w.npushed)
        cr_assert(reply(&w, i++, 1, false));
    cr_assert_eq(i, 1000);
    cr_assert_eq(w.s.pending, 0);
    submitter_tick(&w.s, 2);
    cr_assert_eq(w.returned, 0);
    submitter_tick(&w.s, 2 + 2 * SUBMITTER_LINGER_NS);
    cr_assert_eq(w.returned, 1);
    end(&w);
}

/* A worker dies: the first unanswered task pays, those behind it do not; order is kept. */
Test(submitter, worker_dies)
{
    struct rec_lease_lost lost = {.lease = 1, .status = -RAIA_ERR_WORKER_CRASHED};
    struct world w;
    struct sched_class *c = begin(&w);
    unsigned i, before;
    struct task *first, *second;

    for (int k = 0; k < 100; k++)
        add(&w, c, 1);
    submitter_pump(&w.s, c);
    grant(&w, c, 1);
    for (i = 0; i < 20; i++)
        reply(&w, i, 1, false);
    first = w.pushed[20];
    second = w.pushed[21];
    lost.worker.worker[0] = 1;
    submitter_lost(&w.s, &lost, "killed");
    cr_assert(first->retries == 0 && first->attempt == 1);
    cr_assert(second->retries == 1 && second->attempt == 0);
    before = w.npushed;
    grant(&w, c, 2);
    cr_assert(w.pushed[before] == first && w.pushed[before + 1] == second);
    /* Its second death: it has no retry left. */
    lost.lease = 2;
    lost.worker.worker[0] = 2;
    submitter_lost(&w.s, &lost, "killed");
    cr_assert(w.failed == 1 && w.failed_code == RAIA_ERR_WORKER_CRASHED);
    end(&w);
}

/* What a worker gives back unstarted is run elsewhere, at no cost. */
Test(submitter, given_back)
{
    struct world w;
    struct sched_class *c = begin(&w);
    struct task *t = add(&w, c, 1);

    submitter_pump(&w.s, c);
    grant(&w, c, 1);
    cr_assert(!reply(&w, 0, 1, true));
    cr_assert(w.npushed == 2 && w.pushed[1] == t && t->retries == 1 && t->attempt == 0);
    cr_assert(reply(&w, 1, 1, false));
    end(&w);
}

/* No room on the link: the task waits where it was, and goes when there is. */
Test(submitter, no_room)
{
    struct world w;
    struct sched_class *c = begin(&w);

    w.room = 0;
    add(&w, c, 1);
    submitter_pump(&w.s, c);
    grant(&w, c, 1);
    cr_assert_eq(w.npushed, 0);
    cr_assert_eq(c->queued, 1);
    w.room = 10;
    submitter_room(&w.s, (void *)(uintptr_t)1001);
    cr_assert_eq(w.npushed, 1);
    end(&w);
}

/* A queued task is canceled at once; a final refusal of demand fails what waits. */
Test(submitter, cancel_and_refusal)
{
    struct wire_cancel how = {0};
    struct rec_demand_failed refused = {.status = -RAIA_ERR_RUNTIME_ENV};
    struct world w;
    struct sched_class *c = begin(&w);
    struct task *t = add(&w, c, 1);

    submitter_cancel(&w.s, t, &how);
    cr_assert(w.failed == 1 && w.failed_code == RAIA_ERR_CANCELED && c->queued == 0);
    add(&w, c, 1);
    submitter_pump(&w.s, c);
    refused.number = c->number;
    submitter_demand_failed(&w.s, &refused, "no such folder");
    cr_assert(w.failed == 2 && w.failed_code == RAIA_ERR_RUNTIME_ENV);
    cr_assert_eq(w.s.pending, 0);
    end(&w);
}

/* A task is there by its counter while it waits for its arguments or a lease, and while a worker has
 * it; not once it is answered. */
Test(submitter, has)
{
    struct world w;
    struct sched_class *c = begin(&w);
    struct task *waits = calloc(1, sizeof(*waits));

    cr_assert_not(submitter_has(&w.s, 0));
    *waits = (struct task){.counter = 1, .class = c, .waits = 1, .deadline = CLOCK_NEVER};
    submitter_add(&w.s, waits);
    add(&w, c, 0)->counter = 2;
    add(&w, c, 0)->counter = 3;
    submitter_pump(&w.s, c);
    grant(&w, c, 1);
    cr_assert_eq(w.npushed, 1);
    for (uint64_t i = 1; i <= 3; i++)
        cr_assert(submitter_has(&w.s, i), "task %u", (unsigned)i);
    cr_assert_not(submitter_has(&w.s, 4));
    cr_assert(reply(&w, 0, 1, false));
    cr_assert_not(submitter_has(&w.s, 2));
    cr_assert(submitter_has(&w.s, 1) && submitter_has(&w.s, 3));
    end(&w);
}

/* A lease that is wanted back drains: nothing new is put there, and it goes when it is empty. */
Test(submitter, reclaim)
{
    struct world w;
    struct sched_class *c = begin(&w);

    add(&w, c, 1);
    submitter_pump(&w.s, c);
    grant(&w, c, 7);
    submitter_reclaim(&w.s, 7, NULL);
    cr_assert_eq(w.returned, 0);
    add(&w, c, 1);
    submitter_pump(&w.s, c);
    cr_assert_eq(w.npushed, 1);
    cr_assert(reply(&w, 0, 7, false));
    cr_assert_eq(w.returned, 1);
    end(&w);
}
