/*
 * Suspending: said in the status before the first pod is deleted, and done to its end even if
 * `suspend` is taken back, so that a queue (Kueue) never sees half a cluster. Its end is said before
 * the first pod is made.
 */
#include "api/conditions.h"
#include "core/raycluster_impl.h"

bool rc_suspend__(struct rc_pass *x)
{
    const struct json *old = json_get(x->c->status, "conditions");

    if (conditions_true(old, RAY_COND_SUSPENDING)) {
        rc_delete_all__(x);
        if (x->n_pods > 0 && !RAYCLUSTER_PLANTED(RAYCLUSTER_PLANT_SUSPEND_EARLY))
            return true;
        conditions_remove(x->conditions, RAY_COND_SUSPENDING);
        rc_set__(x, RAY_COND_SUSPENDED, true, RAY_COND_SUSPENDED, "all pods are deleted");
        rc_ok__(x, plan_event(x->p, KUBE_NORMAL, "Suspended", "all pods are deleted"));
        return true;
    }
    if (conditions_true(old, RAY_COND_SUSPENDED)) {
        if (x->c->spec.suspend) {
            rc_delete_all__(x);
            return true;
        }
        conditions_remove(x->conditions, RAY_COND_SUSPENDED);
        return true; /* pods come when that is said */
    }
    if (!x->c->spec.suspend)
        return false;
    conditions_remove(x->conditions, RAY_COND_PROVISIONED);
    rc_set__(x, RAY_COND_SUSPENDING, true, RAY_COND_SUSPENDING, "pods will be deleted");
    return true;
}
