/*
 * Tests of what waits while the API server is busy (core/controller_haste.c), by a clock of their own.
 */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "core/controller_impl.h"

static int64_t clock_ns = 1000 * CLOCK_NS_PER_S;

static int64_t now(struct kube_transport *t)
{
    (void)t;
    return clock_ns;
}

static const struct kube_transport_ops ops = {.now = now};
static struct kube_transport transport = {.ops = &ops};
static struct controller c;
static struct item it;

static void set_up(void)
{
    static const struct kube_queue_options q = {0};
    cr_assert_eq(kube_client_new(&transport, NULL, &c.o.client, NULL), 0);
    cr_assert_eq(kube_queue_new(&q, &c.queue), 0);
    list_init(&c.lagging);
    list_init(&it.lag_link);
    it.c = &c;
    it.uid = "uid-1";
}

static void tear_down(void)
{
    kube_queue_free(c.queue);
    kube_client_free(c.o.client);
}

/* Requests that take so long are answered, one after the other. */
static void answers(int64_t ms, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        controller_note_answer__(&c, clock_ns - ms * CLOCK_NS_PER_MS);
}

/* With a server that answers in 30 ms no status waits, and pods are looked at after 50 ms. */
Test(controller_haste, calm, .init = set_up, .fini = tear_down)
{
    answers(30, 200);
    for (int h = PLAN_NOW; h <= PLAN_LATER; h++)
        cr_assert_eq(controller_status_due__(&it, (enum plan_haste)h), 0);
    cr_assert_eq(controller_pods_wait__(&c), 50 * CLOCK_NS_PER_MS);
    cr_assert_eq(controller_lags__(&c, clock_ns), CLOCK_NEVER);
}

/* With a busy one what people act upon does not wait, progress does so for ten answers, numbers for
 * fifty: 10 s at most, from when it was first known, whatever comes in between. */
Test(controller_haste, busy, .init = set_up, .fini = tear_down)
{
    answers(120, 400);
    int64_t begin = clock_ns, soon = controller_status_due__(&it, PLAN_SOON) - begin;
    cr_assert(soon > 1100 * CLOCK_NS_PER_MS && soon <= 1200 * CLOCK_NS_PER_MS, "%lld ns",
              (long long)soon);
    cr_assert_eq(controller_status_due__(&it, PLAN_NOW), 0);
    answers(1000, 400);
    for (int64_t ms = 0; ms < 10000; ms += 500) {
        cr_assert_eq(controller_status_due__(&it, PLAN_LATER) - begin, CONTROLLER_LATER_NS,
                     "after %lld ms", (long long)ms);
        clock_ns += 500 * CLOCK_NS_PER_MS;
        answers(1000, 20);
    }
    cr_assert_eq(controller_status_due__(&it, PLAN_LATER), 0);
    cr_assert_eq(controller_status_due__(&it, PLAN_LATER) - clock_ns, CONTROLLER_LATER_NS,
                 "what was written does not count for what differs next");
    cr_assert_eq(c.stats.held, 22);
}

/* What waits is let go when the server is not busy any more, and when nobody has asked it for long. */
Test(controller_haste, calm_again, .init = set_up, .fini = tear_down)
{
    answers(400, 400);
    cr_assert_neq(controller_status_due__(&it, PLAN_LATER), 0);
    controller_haste__(&c, clock_ns);
    cr_assert_eq(kube_queue_ready(c.queue), 0);
    cr_assert_leq(controller_lags__(&c, clock_ns), clock_ns + CLOCK_NS_PER_S);
    clock_ns += 4 * CLOCK_NS_PER_S;
    controller_haste__(&c, clock_ns);
    cr_assert_eq(kube_queue_ready(c.queue), 1);
    cr_assert_eq(controller_status_due__(&it, PLAN_LATER), 0);
    cr_assert_eq(controller_lags__(&c, clock_ns), CLOCK_NEVER);
}
