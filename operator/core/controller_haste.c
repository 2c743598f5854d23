/*
 * How busy the API server is, and what waits while it is: looks at pods, and statuses that tell of
 * progress. A status that waits is written when its time is up, when the server is not busy any more,
 * or with the next change that does not wait; nothing of it is kept, for each plan makes it anew.
 */
#include "core/controller_impl.h"

#include "base/clock.h"

#define LOOK_NS      (500 * CLOCK_NS_PER_MS)
#define LOOK_MAX     32 /* statuses that are let go at a time when it is calm again */
#define PODS_ANSWERS 10 /* so many times what a request takes */
#define PODS_NS      (50 * CLOCK_NS_PER_MS)
#define PODS_MAX_NS  (2 * CLOCK_NS_PER_S)

static const struct {
    int64_t answers; /* so many times what a request takes */
    int64_t max_ns;  /* and no longer */
} waits[] = {[PLAN_SOON] = {10, CONTROLLER_SOON_NS}, [PLAN_LATER] = {50, CONTROLLER_LATER_NS}};

void controller_note_answer__(struct controller *c, int64_t began)
{
    kube_pace_note(&c->pace, began, controller_now__(c));
}

int64_t controller_pods_wait__(const struct controller *c)
{
    int64_t wait = PODS_ANSWERS * kube_pace_answer(&c->pace, controller_now__(c));
    return wait < PODS_NS ? PODS_NS : wait > PODS_MAX_NS ? PODS_MAX_NS : wait;
}

/* ---- statuses that wait ---- */

int64_t controller_status_due__(struct item *it, enum plan_haste haste)
{
    struct controller *c = it->c;
    int64_t now = controller_now__(c), wait = 0;
    if (haste != PLAN_NOW)
        wait = waits[haste].answers * kube_pace_answer(&c->pace, now);
    if (haste != PLAN_NOW && wait > waits[haste].max_ns)
        wait = waits[haste].max_ns;
    int64_t since = it->lags ? it->lag_since : now;
    if (now >= since + wait) {
        controller_status_current__(it);
        return 0;
    }
    if (OPERATOR_PLANTED(OPERATOR_PLANT_FORGET_STATUS))
        return CLOCK_NEVER;
    it->lags = true;
    it->lag_since = since;
    if (!list_linked(&it->lag_link))
        list_add_tail(&c->lagging, &it->lag_link);
    c->stats.held++;
    return since + wait;
}

void controller_status_current__(struct item *it)
{
    it->lags = false;
    list_del(&it->lag_link);
}

int64_t controller_lags__(const struct controller *c, int64_t now)
{
    return list_empty(&c->lagging) ? CLOCK_NEVER : now + LOOK_NS;
}

void controller_haste__(struct controller *c, int64_t now)
{
    struct item *it;
    for (int i = 0; i < LOOK_MAX && kube_pace_answer(&c->pace, now) == 0 &&
                    (it = LIST_FIRST(&c->lagging, struct item, lag_link));
         i++) {
        list_del(&it->lag_link); /* it comes back if it has to wait after all */
        controller_add__(c, it->uid);
    }
}
