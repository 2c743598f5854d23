/* A RayCluster's certificates: made, completed, and replaced before they end. See secret.h. */
#include "core/raycluster_impl.h"

#include <string.h>

#include "base/clock.h"
#include "kube/wall_time.h"

#define STAGE_KEYS 0
#define STAGE_CA   1                     /* where nodes have certificates of the one before */
#define SEEN_BY_NS (60 * CLOCK_NS_PER_S) /* what was applied is seen by then, or written again */
#define DAY_NS     (86400 * CLOCK_NS_PER_S)

/* What is there of the three secrets. */
struct keys {
    const struct seen_object *ca;      /* NULL: not there */
    const struct seen_object *leaf[2]; /* of workers, of the head */
};

static const char *id_of(const struct seen_object *o)
{
    const char *id = o ? rc_annotation__(o->tree, SECRET_ANNOTATION_ID) : NULL;

    return id ? id : "";
}

static struct keys look(struct rc_pass *x)
{
    const struct seen_list *l = &x->s->of[SEEN_SECRETS];
    struct keys k;
    char name[256];

    secret_ca_name(x->c, name, sizeof name);
    k.ca = rc_find__(l, name);
    for (int head = 0; head < 2; head++) {
        secret_tls_name(x->c, head, name, sizeof name);
        k.leaf[head] = rc_find__(l, name);
    }
    return k;
}

static bool all_of(const struct keys *k, const char *id)
{
    return id[0] && strcmp(id_of(k->ca), id) == 0 && strcmp(id_of(k->leaf[0]), id) == 0 &&
           strcmp(id_of(k->leaf[1]), id) == 0;
}

static bool are_there(const struct keys *k)
{
    return k->ca && k->leaf[0] && k->leaf[1];
}

/* Authorities that may have signed what nodes have now; each once. mem_free; NULL in *ret: none. */
static void trusted(struct rc_pass *x, const struct keys *k, char **ret_pem)
{
    const char *pem[] = {
        k->ca ? rc_annotation__(k->ca->tree, SECRET_ANNOTATION_CA) : NULL,
        k->leaf[0] ? rc_annotation__(k->leaf[0]->tree, SECRET_ANNOTATION_NEXT) : NULL,
        k->leaf[1] ? rc_annotation__(k->leaf[1]->tree, SECRET_ANNOTATION_NEXT) : NULL};
    char *all = NULL;

    for (size_t i = 0; i < sizeof pem / sizeof *pem; i++) {
        if (!pem[i] || (all && strstr(all, pem[i])))
            continue;
        char *more = mem_printf("%s%s", all ? all : "", pem[i]);
        mem_free(all);
        if (!rc_ok__(x, more ? 0 : -RAIA_ERR_NOMEM))
            return;
        all = more;
    }
    *ret_pem = all;
}

static void forget_ca(struct rc_pass *x)
{
    x->self->maker->ca_free(x->self->maker, STEAL(x->memory->ca));
    x->memory->ca_id[0] = 0;
    x->memory->ca_wait = 0;
    x->memory->ca_spreads = false;
}

static void new_ca(struct rc_pass *x)
{
    char name[256];

    secret_ca_name(x->c, name, sizeof name);
    rc_ok__(x, x->self->maker->ca(x->self->maker, name, x->s->wall_ns / CLOCK_NS_PER_S,
                                  SECRET_CA_DAYS * INT64_C(86400), &x->memory->ca, x->e));
    x->memory->ca_wait = 0;
}

/* One that differs is created, or written over. Takes `object` over. */
static void write_one(struct rc_pass *x, unsigned stage, const struct seen_object *there,
                      struct json **object, bool *applied)
{
    const char *id =
        json_str(json_get(json_at(*object, "metadata.annotations"), SECRET_ANNOTATION_ID));

    if (!id || strcmp(id_of(there), id) == 0)
        return;
    *applied |= there != NULL;
    rc_ok__(x, there ? plan_apply(x->p, stage, &kube_secrets, STEAL(*object))
                     : plan_create(x->p, stage, &kube_secrets, STEAL(*object)));
}

/* Makes all three those of the authority in memory: where there are pods its own last, so that the one
 * before it is known as long as it is the one of some certificate. */
static void write_all(struct rc_pass *x, const struct keys *k)
{
    _cleanup_(secret_set_done) struct secret_set set = {0};
    _cleanup_(mem_freep) char *trust = NULL;
    bool applied = false;

    if (x->memory->ca_wait && x->s->now < x->memory->ca_wait && !x->s->failure) {
        plan_again(x->p, x->memory->ca_wait);
        return;
    }
    trusted(x, k, &trust);
    if (x->r < 0 ||
        !rc_ok__(x, secret_tls(x->c, x->self->base.config, x->service, x->self->maker,
                               x->memory->ca, trust, x->s->wall_ns / CLOCK_NS_PER_S, &set, x->e)))
        return;
    const char *id =
        json_str(json_get(json_at(set.ca, "metadata.annotations"), SECRET_ANNOTATION_ID));
    strncpy(x->memory->ca_id, id ? id : "", sizeof x->memory->ca_id - 1);
    write_one(x, STAGE_KEYS, k->leaf[0], &set.leaf[0], &applied);
    write_one(x, STAGE_KEYS, k->leaf[1], &set.leaf[1], &applied);
    write_one(x, k->ca && x->n_pods > 0 ? STAGE_CA : STAGE_KEYS, k->ca, &set.ca, &applied);
    if (applied) {
        x->memory->ca_wait = x->s->now + SEEN_BY_NS;
        plan_again(x->p, x->memory->ca_wait);
    }
}

/* What was written last to one of the cluster's secrets was not taken. */
static bool was_refused(const struct rc_pass *x)
{
    return x->s->failure && x->s->failed && strncmp(x->s->failed, "Secret ", 7) == 0;
}

/* The next authority: first it is trusted, then it signs. If the certificates have ended already (we
 * were away for long) nobody trusts anybody, and there is nothing to wait for. */
static void rotate(struct rc_pass *x, const struct keys *k, bool ended)
{
    _cleanup_(mem_freep) char *trust = NULL;
    bool fresh = !x->memory->ca;

    if (fresh || was_refused(x)) {
        if (fresh)
            new_ca(x);
        trusted(x, k, &trust);
        x->memory->ca_spreads = true;
        for (int head = 0; head < 2 && x->r == 0; head++) {
            struct json *patch = NULL;
            if (!rc_ok__(x, secret_trust(x->self->maker, x->memory->ca, trust, &patch, x->e)))
                break;
            rc_ok__(x, plan_patch(x->p, STAGE_KEYS, &kube_secrets, x->c->ns,
                                  k->leaf[head]->meta->name, patch));
        }
        if (fresh)
            rc_ok__(x, plan_event(x->p, KUBE_NORMAL, "RotatingCertificates",
                                  "the nodes get new certificates, of a new authority"));
        x->memory->ca_due = 0; /* it counts from when that is written: from the next pass */
        plan_again(x->p, x->s->now);
        return;
    }
    if (!x->memory->ca_due)
        x->memory->ca_due = x->s->now + (ended ? 0 : SECRET_SPREAD_NS);
    if (x->s->now < x->memory->ca_due) {
        plan_again(x->p, x->memory->ca_due);
        return;
    }
    x->memory->ca_spreads = false;
    write_all(x, k);
}

void rc_make_keys__(struct rc_pass *x)
{
    struct keys k = look(x);
    int64_t ends_ms = 0;

    if (x->r < 0 || !x->self->base.config->tls)
        return;
    bool whole = all_of(&k, id_of(k.ca)), ours = x->memory->ca && !x->memory->ca_spreads;
    if (!whole && are_there(&k) && !ours && x->n_pods > 0) {
        rotate(x, &k, false); /* who was writing them has died */
        return;
    }
    if (!whole) {
        if (!x->memory->ca)
            new_ca(x);
        x->memory->ca_spreads = false;
        if (x->r == 0)
            write_all(x, &k);
        return;
    }
    if (x->memory->ca && strcmp(id_of(k.ca), x->memory->ca_id) == 0)
        forget_ca(x); /* it is in use now */
    const char *ends = rc_annotation__(k.leaf[1]->tree, SECRET_ANNOTATION_ENDS);
    if (!ends || kube_wall_time_read(ends, &ends_ms) < 0)
        ends_ms = 0;
    int64_t valid = ends_ms * CLOCK_NS_PER_MS - x->s->wall_ns;
    int64_t left = valid - SECRET_RENEW_DAYS * DAY_NS;
    if (left <= 0)
        rotate(x, &k, valid <= 0);
    else
        plan_again(x->p, x->s->now + left);
}
