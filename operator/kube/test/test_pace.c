/* Tests of kube/pace.c. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "kube/pace.h"

#define MS CLOCK_NS_PER_MS

static int64_t answers(struct kube_pace *p, int64_t now, int64_t ms, int n)
{
    for (int i = 0; i < n; i++) {
        kube_pace_note(p, now, now + ms * MS);
        now += ms * MS;
    }
    return now;
}

/* A server that answers within 50 ms is not busy: nothing waits, nothing is gathered. */
Test(kube_pace, calm)
{
    struct kube_pace p = {0};
    cr_assert_eq(kube_pace_answer(&p, 5 * MS), 0);
    cr_assert_eq(kube_pace_gather_ms(&p, 5 * MS), 0);
    int64_t now = answers(&p, 1000 * MS, 45, 200);
    cr_assert_eq(kube_pace_answer(&p, now), 0);
    cr_assert_eq(kube_pace_gather_ms(&p, now), 0);
}

/* One slow answer among fast ones changes nothing; many do. */
Test(kube_pace, one_slow_answer)
{
    struct kube_pace p = {0};
    int64_t now = answers(&p, 1000 * MS, 10, 100);
    now = answers(&p, now, 400, 1);
    cr_assert_eq(kube_pace_answer(&p, now), 0);
    now = answers(&p, now, 400, 60);
    cr_assert(kube_pace_answer(&p, now) > 350 * MS);
}

/* A busy server's answers are gathered for an eighth of their time, for 20 ms at most. */
Test(kube_pace, gathers_an_eighth)
{
    struct kube_pace p = {0};
    int64_t now = answers(&p, 1000 * MS, 120, 300);
    cr_assert(kube_pace_gather_ms(&p, now) == 14 || kube_pace_gather_ms(&p, now) == 15);
    now = answers(&p, now, 4000, 300);
    cr_assert_eq(kube_pace_gather_ms(&p, now), 20);
}

/* Without answers what was measured fades: a server that has stopped being busy is calm at once. */
Test(kube_pace, fades)
{
    struct kube_pace p = {0};
    int64_t now = answers(&p, 1000 * MS, 160, 300);
    cr_assert(kube_pace_answer(&p, now + 900 * MS) > 150 * MS);
    cr_assert(kube_pace_answer(&p, now + 1100 * MS) < 85 * MS);
    cr_assert_eq(kube_pace_answer(&p, now + 2100 * MS), 0);
    cr_assert_eq(kube_pace_answer(&p, now + 3600 * 1000 * MS), 0);
}
