/*
 * Plans: order of stages, ownership on failure.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/plan.h"
#include "raia/error.h"

static struct json *named(const char *name)
{
    struct json *o = json_new_object(), *meta = json_new_object();
    json_set_str(meta, "name", name);
    json_set_str(meta, "namespace", "n");
    json_set(o, "metadata", meta);
    return o;
}

/* Actions come in order of stages, and in the order of their making within one. */
Test(plan, stages)
{
    static const char *const wanted[] = {"a", "b", "c", "d", "e"};
    struct plan *p = plan_new();
    cr_assert_eq(plan_create(p, 1, &kube_pods, named("c")), 0);
    cr_assert_eq(plan_create(p, 0, &kube_services, named("a")), 0);
    cr_assert_eq(plan_delete(p, 1, &kube_pods, "n", "d", "u", 3), 0);
    cr_assert_eq(plan_patch(p, 0, &kube_pods, "n", "b", json_new_object()), 0);
    cr_assert_eq(plan_apply(p, 1000, &kube_pods, named("e")), 0);
    unsigned i = 0;
    struct plan_action *a;
    LIST_FOREACH (a, &p->actions, link) {
        cr_assert_str_eq(a->name, wanted[i]);
        cr_assert_str_eq(a->ns, "n");
        i++;
    }
    cr_assert_eq(i, 5);
    cr_assert_eq(container_of(p->actions.prev, struct plan_action, link)->stage, PLAN_STAGES - 1);
    plan_free(p);
}

/* The earliest time to look again counts, and the last status. */
Test(plan, last_words)
{
    struct plan *p = plan_new();
    cr_assert_eq(p->again, CLOCK_NEVER);
    plan_again(p, 30);
    plan_again(p, 10);
    plan_again(p, 20);
    cr_assert_eq(p->again, 10);
    cr_assert_eq(plan_status(p, named("x")), 0);
    cr_assert_eq(plan_status(p, named("y")), 0);
    cr_assert_str_eq(json_str(json_at(p->status, "metadata.name")), "y");
    cr_assert_eq(plan_event(p, KUBE_WARNING, "Bad", "%d pods", 3), 0);
    cr_assert_str_eq(LIST_FIRST(&p->events, struct plan_event, link)->text, "3 pods");
    cr_assert_eq(plan_metadata(p, NULL), -RAIA_ERR_NOMEM);
    plan_free(p);
}

/* Whatever allocation fails, nothing leaks (under the sanitizers) and the failure is told. */
Test(plan, no_memory)
{
    for (uint64_t n = 1; n < 40; n++) {
        struct json *o = named("a");
        struct plan *p = plan_new();
        mem_fail_nth(n);
        int r = plan_create(p, 0, &kube_pods, o);
        if (r == 0)
            r = plan_delete(p, 0, &kube_pods, "n", "b", "u", -1);
        if (r == 0)
            r = plan_call(p, 0, 1, "n", "GET", "http://x/", "{}", "secret", 1000);
        if (r == 0)
            r = plan_event(p, KUBE_NORMAL, "Made", "x");
        bool failed = mem_fail_count() >= n;
        mem_fail_nth(0);
        cr_assert_eq(r, failed ? -RAIA_ERR_NOMEM : 0);
        plan_free(p);
    }
    plan_free(NULL);
}
