/* The RayCluster reconciler's pass: see raycluster.h. */
#include "core/raycluster_impl.h"

#include <stdio.h>

#include "api/conditions.h"
#include "base/err.h"
#include "core/fields.h"

bool rc_ok__(struct rc_pass *x, int r)
{
    if (r < 0 && x->r == 0) {
        x->r = r;
        if (r == -RAIA_ERR_NOMEM)
            err_set(x->e, RAIA_ERR_NOMEM, "out of memory for a plan");
    }
    return x->r == 0;
}

/* -- memory ------------------------------------------------------------------------------------ */

static void forget(struct reconciler *r, void *memory)
{
    struct raycluster *self = container_of(r, struct raycluster, base);
    struct rc_memory *m = memory;
    struct rc_backoff *b, *next_b;

    if (!m)
        return;
    HASH_FOREACH (m->groups, b, next_b) {
        HASH_DEL(m->groups, b);
        mem_free(b->group);
        mem_free(b);
    }
    rc_forget_nodes__(&m->nodes);
    rc_forget_found__(m);
    self->maker->ca_free(self->maker, m->ca);
    mem_free(m);
}

static void found(struct reconciler *r, void **memory, const struct kube_resource *kind,
                  const char *name)
{
    (void)r;
    if (*memory)
        rc_found__(*memory, kind, name);
}

static void pass_done(struct rc_pass *x)
{
    struct rc_name *name, *next;

    HASH_FOREACH (x->made, name, next) {
        HASH_DEL(x->made, name);
        mem_free(name);
    }
    mem_free(x->pods);
    json_free(x->conditions);
}

/* -- whether ----------------------------------------------------------------------------------- */

/* Is it ours to do, and can it be done? Says so in the status if not. */
static bool accept(struct rc_pass *x)
{
    struct api_report bad = {0}, ignored = {0}, refused = {0};
    const char *foreign = rc_kuberay_pod__(x->s);

    if (foreign) {
        char text[API_REPORT_MAX];
        snprintf(text, sizeof text,
                 "pod %s was made by KubeRay: the cluster is left as it is; delete it and apply it "
                 "anew to have it run by Raia",
                 foreign);
        rc_accepted__(x, false, RAIA_REASON_FOREIGN_PODS, text);
        x->foreign = true;
        return false;
    }
    ray_cluster_check(x->c, &bad);
    ray_cluster_unsupported(x->c, x->self->base.config->tls, &ignored, &refused);
    if (ignored.n > 0)
        rc_set__(x, RAIA_COND_UNSUPPORTED, true, RAIA_REASON_IGNORED, ignored.text);
    else
        conditions_remove(x->conditions, RAIA_COND_UNSUPPORTED);
    if (bad.n == 0 && refused.n == 0) {
        /* A refusal by the server stays until it is over: True in between would be a transition. */
        if (!x->s->failure || !conditions_get(x->conditions, RAIA_COND_ACCEPTED))
            rc_set__(x, RAIA_COND_ACCEPTED, true, RAIA_REASON_ACCEPTED, "");
        return true;
    }
    rc_accepted__(x, false, bad.n > 0 ? RAIA_REASON_INVALID : RAIA_REASON_REFUSED,
                  bad.n > 0 ? bad.text : refused.text);
    return false;
}

static void prepare(struct rc_pass *x)
{
    bool made;

    service_head_name(x->c, x->service);
    rc_ok__(x, ray_cluster_hash(&x->c->spec, x->hash));
    x->site =
        (struct pod_site){.cluster = x->c,
                          .config = x->self->base.config,
                          .service = x->service,
                          .token_secret = secret_token_name(x->c, x->self->base.config, &made),
                          .hash = x->hash};
}

/* -- the pass ---------------------------------------------------------------------------------- */

static void reconcile(struct rc_pass *x)
{
    bool accepted = accept(x);

    if (x->foreign) {
        rc_status_conditions__(x);
        return;
    }
    prepare(x);
    rc_see__(x);
    if (!accepted) {
        rc_status_refused__(x);
        return;
    }
    rc_see_failure__(x);
    if (x->r < 0)
        return;
    if (!rc_suspend__(x)) {
        rc_tell_failure__(x);
        rc_make_things__(x);
        rc_make_pods__(x);
    }
    if (x->r == 0)
        rc_status__(x);
}

static int plan_it(struct reconciler *r, const struct seen *s, void **memory, struct plan *p,
                   struct raia_error *e)
{
    struct raia_error why = {0};
    _cleanup_(ray_cluster_freep) struct ray_cluster *c = NULL;
    _cleanup_(pass_done) struct rc_pass x = {
        .self = container_of(r, struct raycluster, base), .s = s, .p = p, .e = e};

    if (s->meta->deleting)
        return 0; /* what belongs to it goes with it */
    if (!*memory)
        *memory = mem_new(struct rc_memory);
    x.memory = *memory;
    x.conditions = conditions_of(json_get(s->tree, "status"));
    if (!x.memory || !x.conditions)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a plan");
    int res = ray_cluster_read(s->tree, &c, &why);
    if (res == -RAIA_ERR_NOMEM)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a plan");
    if (res < 0) {
        rc_accepted__(&x, false, RAIA_REASON_INVALID, why.text);
        rc_see__(&x);
        rc_status_refused__(&x);
        return x.r;
    }
    x.c = c;
    if (c->spec.managed)
        reconcile(&x);
    return x.r;
}

struct reconciler *raycluster_reconciler(const struct operator_config *config,
                                         struct secret_maker *maker)
{
    struct raycluster *self = mem_new(struct raycluster);

    if (!self)
        return NULL;
    self->maker = maker;
    self->base = (struct reconciler){.resource = &ray_clusters,
                                     .wants = 1u << SEEN_PODS | 1u << SEEN_SERVICES |
                                              1u << SEEN_SECRETS | 1u << SEEN_PVCS,
                                     .plan = plan_it,
                                     .found = found,
                                     .forget = forget,
                                     .config = config};
    return &self->base;
}

void raycluster_free(struct reconciler *r)
{
    if (r)
        mem_free(container_of(r, struct raycluster, base));
}
