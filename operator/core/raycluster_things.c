/* Services, secrets and the volume claim that a RayCluster lacks. */
#include "core/raycluster_impl.h"

#define STAGE_THINGS 0

/* Takes `object` over. */
static void make(struct rc_pass *x, int r, const struct kube_resource *kind, struct json *object)
{
    if (rc_ok__(x, r))
        rc_ok__(x, plan_create(x->p, STAGE_THINGS, kind, object));
    else
        json_free(object);
}

static bool lacks(struct rc_pass *x, enum seen_kind kind, const char *name)
{
    return x->r == 0 && !rc_find__(&x->s->of[kind], name);
}

typedef int (*service_fn)(const struct ray_cluster *c, struct json **ret_service);

static void make_service(struct rc_pass *x, const char *name, service_fn build)
{
    struct json *o = NULL;

    if (!lacks(x, SEEN_SERVICES, name))
        return;
    int r = build(x->c, &o);
    make(x, r, &kube_services, o);
}

static void make_services(struct rc_pass *x)
{
    char name[SERVICE_NAME_SIZE];

    make_service(x, x->service, service_head);
    service_hosts_name(x->c, name);
    if (service_has_hosts(x->c))
        make_service(x, name, service_hosts);
    service_serve_name(x->c, name);
    if (service_has_serve(x->c))
        make_service(x, name, service_serve);
}

/* Is a head there? Then so is what it needed, if it is not ours to see. */
static bool has_head(const struct rc_pass *x)
{
    for (size_t i = 0; i < x->n_pods; i++)
        if (x->pods[i].head)
            return true;
    return false;
}

/* A Secret or claim of that name that somebody else has made serves as well, unseen: so what was never
 * seen is asked for once, and again before each head. */
static bool ask_again(struct rc_pass *x, enum seen_kind kind, const char *name, bool *tried)
{
    if (!lacks(x, kind, name)) {
        *tried = false;
        return false;
    }
    if (*tried && !x->s->failure && has_head(x))
        return false;
    *tried = true;
    return true;
}

static void make_token(struct rc_pass *x)
{
    struct json *o = NULL;
    bool made = false;
    const char *name = secret_token_name(x->c, x->self->base.config, &made);

    if (!made || !ask_again(x, SEEN_SECRETS, name, &x->memory->token_tried))
        return;
    int r = secret_token(x->c, x->self->maker, &o, x->e);
    make(x, r, &kube_secrets, o);
}

static void make_claim(struct rc_pass *x)
{
    char name[SERVICE_NAME_SIZE];
    struct json *o = NULL;

    pod_storage_claim(x->c, name, sizeof name);
    if (!pod_has_storage(x->c) || x->c->spec.ft.claim ||
        !ask_again(x, SEEN_PVCS, name, &x->memory->storage_tried))
        return;
    int r = service_storage(x->c, &o);
    make(x, r, &kube_pvcs, o);
}

void rc_make_things__(struct rc_pass *x)
{
    make_token(x);
    rc_make_keys__(x);
    make_services(x);
    make_claim(x);
}
