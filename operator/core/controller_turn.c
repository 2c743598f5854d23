/*
 * When keys have their turn: all is seen that was waited for, and we lead.
 */
#include <string.h>

#include "base/clock.h"
#include "core/controller_impl.h"

#define STALE_LOOK_NS (1 * CLOCK_NS_PER_S) /* between looks at whether our write is seen */

void controller_pump_soon__(struct controller *c, int64_t due)
{
    if (c->running && (!timer_is_set(&c->timer.timer) || c->timer.timer.due > due))
        kube_timer_set(c->o.client, &c->timer, due);
}

static bool met(struct controller *c, struct item *it, int64_t now)
{
    int64_t wait = 0;
    for (size_t i = 0; i < c->n_sources; i++) {
        if (kube_expect_met(c->sources[i].expected, it->uid, now))
            continue;
        int64_t due = kube_expect_deadline(c->sources[i].expected, it->uid);
        wait = due > wait ? due : wait;
    }
    if (wait)
        (void)kube_queue_add_at(c->queue, it->uid, wait, now);
    return !wait;
}

/* Does the store still show the object as it was before we wrote to it. */
static bool stale(struct controller *c, struct item *it, const struct kube_object *o, int64_t now)
{
    bool old = false;
    for (unsigned i = 0; i < it->n_stale; i++)
        old |= strcmp(it->stale[i], o->resource_version) == 0;
    if (old && now < it->stale_until && !OPERATOR_PLANTED(OPERATOR_PLANT_NO_STALE)) {
        (void)kube_queue_add_at(c->queue, it->uid, now + STALE_LOOK_NS, now);
        return true;
    }
    while (it->n_stale)
        mem_free(it->stale[--it->n_stale]);
    return false;
}

static void turn(struct controller *c, const char *uid, int64_t now)
{
    struct item *it = controller_item__(c, uid);
    const struct kube_object *o =
        it ? kube_store_get(kube_informer_store(it->source->inf), it->ns, it->name) : NULL;
    if (!o || strcmp(o->uid, uid) != 0) {
        kube_queue_forget(c->queue, uid);
        kube_queue_done(c->queue, uid, now);
    } else if (it->run || !met(c, it, now) || stale(c, it, o, now)) {
        kube_queue_done(c->queue, uid, now);
    } else {
        controller_run__(it, o);
    }
}

/* Objects whose item could not be made. */
static void rescan(struct controller *c)
{
    for (size_t i = 0; i < c->n_sources; i++) {
        struct source *s = &c->sources[i];
        if (!s->r)
            continue;
        KUBE_STORE_FOREACH(o, kube_informer_store(s->inf))
        {
            struct item *it = controller_item__(c, o->uid);
            it = it ? it : controller_item_new__(s, o);
            if (!it || controller_item_watch__(it, o) < 0)
                return; /* and again in a second */
        }
    }
    controller_add_all__(c);
}

void controller_on_timer__(struct kube_timer *t)
{
    struct controller *c = container_of(t, struct controller, timer);
    int64_t now = controller_now__(c);
    if (!controller_synced(c) || !controller_leads__(c))
        return; /* on_sync, controller_wake */
    controller_calls_pump__(c);
    if (c->rescan)
        rescan(c);
    controller_haste__(c, now);
    for (const char *uid; controller_leads__(c) && (uid = kube_queue_get(c->queue, now));)
        turn(c, uid, now);
    int64_t next = kube_queue_next(c->queue, now), look = controller_lags__(c, now);
    if (look < next)
        next = look;
    if (c->rescan && next > now + CLOCK_NS_PER_S)
        next = now + CLOCK_NS_PER_S;
    if (next != CLOCK_NEVER)
        controller_pump_soon__(c, next > now ? next : now + 1);
}
