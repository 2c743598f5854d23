/* A RayCluster's services: made, and kept as the spec wants them. */
#include "core/raycluster_impl.h"

#include <string.h>

#define STAGE_THINGS 0
#define STAGE_LAST   2 /* changes of what is there: a refusal shall not keep pods waiting */

typedef int (*service_fn)(const struct ray_cluster *c, struct json **ret_service);

static const char *address_of(const struct json *service)
{
    const char *ip = json_str(json_get(json_get(service, "spec"), "clusterIP"));

    return ip ? ip : "";
}

/* An address is given once, and a service without one never gets one: then it is made anew. */
static bool must_be_new(const struct json *have, const struct json *wanted)
{
    const char *old = address_of(have), *new = address_of(wanted);

    return new[0] ? old[0] && strcmp(old, new) != 0 : strcmp(old, "None") == 0;
}

static void make_anew(struct rc_pass *x, const struct seen_object *have)
{
    if (have->meta->deleting)
        return;
    rc_ok__(x, plan_delete(x->p, STAGE_LAST, &kube_services, have->meta->ns, have->meta->name,
                           have->meta->uid, -1));
    rc_ok__(x, plan_event(x->p, KUBE_NORMAL, "RecreatingService",
                          "service %s is made anew: what is asked of it cannot be changed",
                          have->meta->name));
}

static void change(struct rc_pass *x, const struct seen_object *have, const struct json *wanted)
{
    struct json *patch = NULL;

    if (service_is_current(have->tree, wanted) || RAYCLUSTER_PLANTED(RAYCLUSTER_PLANT_OLD_SERVICE))
        return;
    if (!rc_ok__(x, service_patch(have->tree, wanted, &patch)))
        return;
    rc_ok__(x,
            plan_patch(x->p, STAGE_LAST, &kube_services, have->meta->ns, have->meta->name, patch));
    rc_ok__(x, plan_event(x->p, KUBE_NORMAL, "UpdatedService", "service %s follows the spec",
                          have->meta->name));
}

static void keep(struct rc_pass *x, const char *name, service_fn build)
{
    const struct seen_object *have = rc_find__(&x->s->of[SEEN_SERVICES], name);
    _cleanup_(json_freep) struct json *wanted = NULL;

    if (!have && !rc_lacks__(x, SEEN_SERVICES, &kube_services, name))
        return;
    if (!rc_ok__(x, build(x->c, &wanted)))
        return;
    if (!have)
        rc_ok__(x, plan_create(x->p, STAGE_THINGS, &kube_services, STEAL(wanted)));
    else if (must_be_new(have->tree, wanted))
        make_anew(x, have);
    else
        change(x, have, wanted);
}

void rc_keep_services__(struct rc_pass *x)
{
    char name[SERVICE_NAME_SIZE];

    keep(x, x->service, service_head);
    service_hosts_name(x->c, name);
    if (service_has_hosts(x->c))
        keep(x, name, service_hosts);
    service_serve_name(x->c, name);
    if (service_has_serve(x->c))
        keep(x, name, service_serve);
}
