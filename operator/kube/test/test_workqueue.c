/*
 * The work queue and the expectations.
 */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kube/expectations.h"
#include "kube/workqueue.h"
#include "raia/error.h"

#define MS CLOCK_NS_PER_MS

static struct kube_queue *queue(struct kube_queue_options o)
{
    struct kube_queue *q = NULL;
    cr_assert_eq(kube_queue_new(&o, &q), 0);
    return q;
}

/* Keys come in order, once each; one added while it is handled comes again, after its done. */
Test(workqueue, once)
{
    struct kube_queue *q = queue((struct kube_queue_options){0});
    kube_queue_add(q, "a", 0);
    kube_queue_add(q, "b", 0);
    kube_queue_add(q, "a", 0);
    cr_assert_eq(kube_queue_ready(q), 2);
    cr_assert_eq(kube_queue_next(q, 5), 5);
    cr_assert_str_eq(kube_queue_get(q, 0), "a");
    kube_queue_add(q, "a", 0);
    cr_assert_str_eq(kube_queue_get(q, 0), "b");
    cr_assert_null(kube_queue_get(q, 0), "never twice at the same time");
    kube_queue_done(q, "b", 0);
    cr_assert_null(kube_queue_get(q, 0));
    kube_queue_done(q, "a", 0);
    cr_assert_str_eq(kube_queue_get(q, 0), "a");
    kube_queue_done(q, "a", 0);
    kube_queue_done(q, "a", 0);
    kube_queue_done(q, "unknown", 0);
    cr_assert_null(kube_queue_get(q, 0));
    cr_assert_eq(kube_queue_next(q, 0), CLOCK_NEVER);
    kube_queue_free(q);
}

/* A key's failures double its wait up to the most; forgetting begins anew; an event comes sooner.
 */
Test(workqueue, backoff)
{
    struct kube_queue *q =
        queue((struct kube_queue_options){.base_ns = 10 * MS, .max_ns = 50 * MS});
    static const int64_t waits[] = {10 * MS, 20 * MS, 40 * MS, 50 * MS, 50 * MS};
    int64_t now = 0;
    kube_queue_add(q, "a", now);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_str_eq(kube_queue_get(q, now), "a");
        kube_queue_retry(q, "a", now);
        kube_queue_done(q, "a", now);
        cr_assert_eq(kube_queue_next(q, now), now + waits[i]);
        cr_assert_eq(kube_queue_later(q), 1);
        cr_assert_null(kube_queue_get(q, now + waits[i] - 1));
        now += waits[i];
    }
    cr_assert_eq(kube_queue_failures(q, "a"), 5);
    kube_queue_add(q, "a", now - 1);
    cr_assert_str_eq(kube_queue_get(q, now - 1), "a", "an event does not wait");
    kube_queue_forget(q, "a");
    kube_queue_done(q, "a", now);
    cr_assert_null(kube_queue_get(q, now + CLOCK_NS_PER_S));
    cr_assert_eq(kube_queue_failures(q, "a"), 0);
    kube_queue_add_at(q, "a", now + 30, now);
    kube_queue_add_at(q, "a", now + 20, now);
    kube_queue_add_at(q, "a", now + 90, now);
    cr_assert_eq(kube_queue_next(q, now), now + 20);
    cr_assert_str_eq(kube_queue_get(q, now + 20), "a");
    kube_queue_add_at(q, "b", now + 90, now);
    kube_queue_free(q); /* with one that is handled, and one that waits */
}

/* After its burst a queue gives out so many a second; no more than `parallel` at a time; and no
 * more keys than it may hold. */
Test(workqueue, limits)
{
    struct kube_queue *q = queue((struct kube_queue_options){.rate = 10, .burst = 2});
    const char *const keys[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++)
        kube_queue_add(q, keys[i], 0);
    cr_assert_not_null(kube_queue_get(q, 0));
    cr_assert_not_null(kube_queue_get(q, 0));
    cr_assert_null(kube_queue_get(q, 0));
    int64_t next = kube_queue_next(q, 0);
    cr_assert(next >= 100 * MS && next < 101 * MS, "%ld", (long)next);
    cr_assert_null(kube_queue_get(q, 99 * MS));
    cr_assert_str_eq(kube_queue_get(q, next), "c");
    kube_queue_free(q);
    q = queue((struct kube_queue_options){.parallel = 1, .max_keys = 2});
    kube_queue_add(q, "a", 0);
    kube_queue_add(q, "b", 0);
    cr_assert_eq(kube_queue_add(q, "c", 0), -RAIA_ERR_LIMIT);
    cr_assert_str_eq(kube_queue_get(q, 0), "a");
    cr_assert_null(kube_queue_get(q, 0));
    cr_assert_eq(kube_queue_next(q, 0), CLOCK_NEVER);
    kube_queue_done(q, "a", 0);
    cr_assert_str_eq(kube_queue_get(q, 0), "b");
    cr_assert_eq(kube_queue_add(q, "c", 0), 0, "those of which nothing is known any more are gone");
    kube_queue_free(q);
}

/* What was done counts as outstanding until it is seen, once for each id. */
Test(expectations, seen)
{
    struct kube_expect *x = NULL;
    cr_assert_eq(kube_expect_new(100, &x), 0);
    cr_assert(kube_expect_met(x, "k", 0));
    cr_assert_eq(kube_expect_deadline(x, "k"), CLOCK_NEVER);
    kube_expect_create(x, "k", "p1", 0);
    kube_expect_create(x, "k", "p2", 10);
    kube_expect_delete(x, "k", "p1", 10);
    cr_assert_not(kube_expect_met(x, "k", 20));
    cr_assert(kube_expect_met(x, "other", 20));
    kube_expect_created(x, "k", "p1");
    kube_expect_created(x, "k", "p1");
    kube_expect_created(x, "k", "never");
    kube_expect_created(x, "none", "p1");
    cr_assert_not(kube_expect_met(x, "k", 20));
    kube_expect_created(x, "k", "p2");
    cr_assert_not(kube_expect_met(x, "k", 20), "the deletion is another thing");
    cr_assert_eq(kube_expect_deadline(x, "k"), 110);
    kube_expect_deleted(x, "k", "p1");
    cr_assert(kube_expect_met(x, "k", 20));
    cr_assert_eq(kube_expect_count(x), 0);
    kube_expect_free(x);
}

/* What is not seen in time is given up; a relist settles what was acknowledged before it began. */
Test(expectations, given_up)
{
    struct kube_expect *x = NULL;
    cr_assert_eq(kube_expect_new(100, &x), 0);
    kube_expect_create(x, "k", "p1", 0);
    kube_expect_create(x, "k", "p2", 50);
    cr_assert_not(kube_expect_met(x, "k", 149));
    cr_assert(kube_expect_met(x, "k", 150));
    kube_expect_create(x, "k", "p1", 200);
    kube_expect_create(x, "l", "p3", 200);
    kube_expect_acked(x, "k", "p1", 210);
    kube_expect_settle(x, 210);
    cr_assert_not(kube_expect_met(x, "k", 211), "it may have begun in the same moment");
    kube_expect_settle(x, 211);
    cr_assert(kube_expect_met(x, "k", 211));
    cr_assert_not(kube_expect_met(x, "l", 211), "its request may still be under way");
    kube_expect_drop(x, "l");
    kube_expect_drop(x, "l");
    cr_assert(kube_expect_met(x, "l", 211));
    kube_expect_create(x, "m", "p", 0);
    kube_expect_free(x);
}
