/* A RayCluster's certificates: made, completed, and replaced before they end. See secret.h. */
#include "core/raycluster_impl.h"

#include <string.h>

#include "base/clock.h"
#include "kube/wall_time.h"

#define STAGE_KEYS 0
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

static void forget_ca(struct rc_pass *x)
{
    x->self->maker->ca_free(x->self->maker, STEAL(x->memory->ca));
    x->memory->ca_id[0] = 0;
    x->memory->ca_wait = 0;
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
static void write_one(struct rc_pass *x, const struct seen_object *there, struct json **object,
                      bool *applied)
{
    const char *id =
        json_str(json_get(json_at(*object, "metadata.annotations"), SECRET_ANNOTATION_ID));

    if (!id || strcmp(id_of(there), id) == 0)
        return;
    *applied |= there != NULL;
    rc_ok__(x, there ? plan_apply(x->p, STAGE_KEYS, &kube_secrets, STEAL(*object))
                     : plan_create(x->p, STAGE_KEYS, &kube_secrets, STEAL(*object)));
}

/* Makes all three those of the authority in memory. */
static void write_all(struct rc_pass *x, const struct keys *k)
{
    _cleanup_(secret_set_done) struct secret_set set = {0};
    const char *trust = k->ca ? rc_annotation__(k->ca->tree, SECRET_ANNOTATION_CA) : NULL;
    bool applied = false;

    if (x->memory->ca_wait && x->s->now < x->memory->ca_wait && !x->s->failure) {
        plan_again(x->p, x->memory->ca_wait);
        return;
    }
    if (x->memory->ca_id[0] && strcmp(id_of(k->ca), x->memory->ca_id) == 0)
        trust = NULL; /* it is its own; who trusted the one before it does so still */
    if (!rc_ok__(x, secret_tls(x->c, x->self->base.config, x->service, x->self->maker,
                               x->memory->ca, trust, x->s->wall_ns / CLOCK_NS_PER_S, &set, x->e)))
        return;
    const char *id =
        json_str(json_get(json_at(set.ca, "metadata.annotations"), SECRET_ANNOTATION_ID));
    strncpy(x->memory->ca_id, id ? id : "", sizeof x->memory->ca_id - 1);
    write_one(x, k->ca, &set.ca, &applied);
    write_one(x, k->leaf[0], &set.leaf[0], &applied);
    write_one(x, k->leaf[1], &set.leaf[1], &applied);
    if (applied) {
        x->memory->ca_wait = x->s->now + SEEN_BY_NS;
        plan_again(x->p, x->memory->ca_wait);
    }
}

/* The next authority: first it is trusted, then it signs. */
static void rotate(struct rc_pass *x, const struct keys *k)
{
    const char *trust = rc_annotation__(k->ca->tree, SECRET_ANNOTATION_CA);

    if (x->memory->ca && x->s->now >= x->memory->ca_due) {
        write_all(x, k);
        return;
    }
    if (!x->memory->ca) {
        new_ca(x);
        for (int head = 0; head < 2 && x->r == 0; head++) {
            struct json *patch = NULL;
            if (!rc_ok__(x, secret_trust(x->self->maker, x->memory->ca, trust, &patch, x->e)))
                break;
            rc_ok__(x, plan_patch(x->p, STAGE_KEYS, &kube_secrets, x->c->ns,
                                  k->leaf[head]->meta->name, patch));
        }
        x->memory->ca_due = x->s->now + SECRET_SPREAD_NS;
        rc_ok__(x, plan_event(x->p, KUBE_NORMAL, "RotatingCertificates",
                              "the nodes get new certificates, of a new authority"));
    }
    plan_again(x->p, x->memory->ca_due);
}

void rc_make_keys__(struct rc_pass *x)
{
    struct keys k = look(x);
    int64_t ends_ms = 0;

    if (x->r < 0 || !x->self->base.config->tls)
        return;
    if (!all_of(&k, id_of(k.ca))) {
        if (!x->memory->ca)
            new_ca(x);
        if (x->r == 0)
            write_all(x, &k);
        return;
    }
    if (x->memory->ca && strcmp(id_of(k.ca), x->memory->ca_id) == 0)
        forget_ca(x); /* it is in use now */
    const char *ends = rc_annotation__(k.leaf[1]->tree, SECRET_ANNOTATION_ENDS);
    if (!ends || kube_wall_time_read(ends, &ends_ms) < 0)
        ends_ms = 0;
    int64_t left = ends_ms * CLOCK_NS_PER_MS - SECRET_RENEW_DAYS * DAY_NS - x->s->wall_ns;
    if (left <= 0)
        rotate(x, &k);
    else
        plan_again(x->p, x->s->now + left);
}
