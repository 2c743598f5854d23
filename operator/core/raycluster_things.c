/* Secrets and the volume claim that a RayCluster lacks; labels of secrets that are there. */
#include "core/raycluster_impl.h"

#include <stdio.h>
#include <string.h>

#define STAGE_THINGS   0
#define STAGE_LAST     2 /* what no pod waits for */
#define FOUND_KEY_SIZE 320

/* Takes `object` over. */
static void make(struct rc_pass *x, int r, const struct kube_resource *kind, struct json *object)
{
    if (rc_ok__(x, r))
        rc_ok__(x, plan_create(x->p, STAGE_THINGS, kind, object));
    else
        json_free(object);
}

/* -- what is nobody's -------------------------------------------------------------------------- */

static void key_of(char key[FOUND_KEY_SIZE], const struct kube_resource *kind, const char *name)
{
    snprintf(key, FOUND_KEY_SIZE, "%s/%s", kind->plural, name);
}

void rc_found__(struct rc_memory *m, const struct kube_resource *kind, const char *name)
{
    char key[FOUND_KEY_SIZE];

    key_of(key, kind, name);
    if (HASH_GET_STR(m->found, key))
        return;
    if (HASH_SIZE(m->found) >= RC_FOUND_MAX)
        rc_forget_found__(m);
    struct rc_found *f = mem_alloc(sizeof *f + strlen(key) + 1);
    if (f)
        memcpy(f->key, key, strlen(key) + 1);
    if (f && HASH_PUT_STR(m->found, key, f) < 0)
        mem_free(f); /* then it is asked for, and found, again */
}

void rc_forget_found__(struct rc_memory *m)
{
    struct rc_found *f, *next;

    HASH_FOREACH (m->found, f, next) {
        HASH_DEL(m->found, f);
        mem_free(f);
    }
}

/* Is a head there? Then so is what it needed, if it is not ours to see. */
static bool has_head(const struct rc_pass *x)
{
    for (size_t i = 0; i < x->n_pods; i++)
        if (x->pods[i].head)
            return true;
    return false;
}

/* Is it to be made: it is not there. Something of that name that nobody owns serves as well, unseen:
 * once found it is asked for again only before a head is made, as it may have been deleted. */
bool rc_lacks__(struct rc_pass *x, enum seen_kind kind, const struct kube_resource *r,
                const char *name)
{
    char key[FOUND_KEY_SIZE];

    if (x->r < 0 || rc_find__(&x->s->of[kind], name))
        return false;
    key_of(key, r, name);
    return !HASH_GET_STR(x->memory->found, key) || (!has_head(x) && !x->s->failure);
}

/* -- things ------------------------------------------------------------------------------------ */

/* The labels of a secret that is there; its contents nobody reads again. */
static void keep_labels(struct rc_pass *x, const char *name)
{
    const struct seen_object *have = rc_find__(&x->s->of[SEEN_SECRETS], name);
    struct json *patch = NULL;

    if (!have || have->meta->deleting || !rc_ok__(x, secret_relabel(x->c, have->tree, &patch)) ||
        !patch)
        return;
    rc_ok__(x, plan_patch(x->p, STAGE_LAST, &kube_secrets, have->meta->ns, name, patch));
}

static void keep_secrets(struct rc_pass *x)
{
    char name[256];
    bool made = false;
    const char *token = secret_token_name(x->c, x->self->base.config, &made);

    if (made)
        keep_labels(x, token);
    if (!x->self->base.config->tls)
        return;
    secret_ca_name(x->c, name, sizeof name);
    keep_labels(x, name);
    for (int head = 0; head < 2; head++) {
        secret_tls_name(x->c, head, name, sizeof name);
        keep_labels(x, name);
    }
}

static void make_token(struct rc_pass *x)
{
    struct json *o = NULL;
    bool made = false;
    const char *name = secret_token_name(x->c, x->self->base.config, &made);

    if (!made || !rc_lacks__(x, SEEN_SECRETS, &kube_secrets, name))
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
        !rc_lacks__(x, SEEN_PVCS, &kube_pvcs, name))
        return;
    int r = service_storage(x->c, &o);
    make(x, r, &kube_pvcs, o);
}

void rc_make_things__(struct rc_pass *x)
{
    make_token(x);
    rc_make_keys__(x);
    keep_secrets(x);
    rc_keep_services__(x);
    make_claim(x);
}
