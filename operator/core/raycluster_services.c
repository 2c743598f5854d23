/* A RayCluster's services: made, kept as the spec wants them, and deleted when it does not. */
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

/* A head service under another name than it has now: pods that were made before the one that there is
 * now reach the head by it. */
static bool still_used(struct rc_pass *x, const struct seen_object *old)
{
    const struct seen_object *now = rc_find__(&x->s->of[SEEN_SERVICES], x->service);

    if (!rc_is(rc_label__(old->tree, RAY_LABEL_NODE_TYPE), "head"))
        return false;
    for (size_t i = 0; i < x->n_pods; i++)
        if (!now || x->pods[i].created_ms <= rc_created_ms__(now->tree))
            return true;
    return !now;
}

/* Those that we have made, and the spec does not want any more. Whatever else has this owner and this
 * label is somebody else's doing, and stays. */
static void drop_unwanted(struct rc_pass *x, const char *hosts, const char *serve)
{
    const struct seen_list *all = &x->s->of[SEEN_SERVICES];

    for (size_t i = 0; i < all->n && x->r == 0; i++) {
        const struct seen_object *o = &all->at[i];
        const char *name = o->meta->name;
        bool wanted = rc_is(x->service, name) || rc_is(hosts, name) || rc_is(serve, name);

        if (wanted || o->meta->deleting || !rc_annotation__(o->tree, SERVICE_ANNOTATION) ||
            still_used(x, o))
            continue;
        rc_ok__(x,
                plan_delete(x->p, STAGE_LAST, &kube_services, o->meta->ns, name, o->meta->uid, -1));
        rc_ok__(x, plan_event(x->p, KUBE_NORMAL, "DeletedService",
                              "service %s is not wanted any more", name));
    }
}

void rc_keep_services__(struct rc_pass *x)
{
    char hosts[SERVICE_NAME_SIZE], serve[SERVICE_NAME_SIZE];
    bool has_hosts = service_has_hosts(x->c), has_serve = service_has_serve(x->c);

    keep(x, x->service, service_head);
    service_hosts_name(x->c, hosts);
    if (has_hosts)
        keep(x, hosts, service_hosts);
    service_serve_name(x->c, serve);
    if (has_serve)
        keep(x, serve, service_serve);
    drop_unwanted(x, has_hosts ? hosts : NULL, has_serve ? serve : NULL);
}
