/*
 * The RayCluster of an attempt, and RAYJOB-head-svc, the service by which users reach whichever
 * cluster the job has.
 */
#include <stdio.h>
#include <string.h>

#include "api/conditions.h"
#include "base/err.h"
#include "core/fields.h"
#include "core/inject.h"
#include "core/rayjob_impl.h"
#include "core/rayjob_object.h"
#include "core/secret.h"
#include "core/service.h"

#define DASHBOARD_PORT 8265
#define LAST_APPLIED   "kubectl.kubernetes.io/last-applied-configuration"

static void check(struct rayjob_pass *x, int r, const char *what)
{
    if (r < 0 && x->r == 0)
        x->r = err_set(x->e, -r, "RayJob '%s': its %s", x->job->name, what);
}

/* -- what is seen -------------------------------------------------------------------------------- */

void rayjob_find_cluster(struct rayjob_pass *x)
{
    const struct seen_list *all = &x->s->of[SEEN_CLUSTERS];
    const char *name = rayjob_get(x, "rayClusterName");

    if (x->job->selected) {
        if (x->s->selected.meta && strcmp(x->s->selected.meta->name, name) == 0)
            x->cluster = &x->s->selected;
    } else {
        for (size_t i = 0; i < all->n; i++) {
            if (strcmp(all->at[i].meta->name, name) == 0)
                x->cluster = &all->at[i];
        }
    }
    if (x->cluster && ray_cluster_read(x->cluster->tree, &x->view, x->e) == -RAIA_ERR_NOMEM)
        x->r = -RAIA_ERR_NOMEM;
}

bool rayjob_cluster_ready(const struct rayjob_pass *x)
{
    const char *state = x->view ? json_str(json_get(x->view->status, "state")) : NULL;

    return state && strcmp(state, RAY_STATE_READY) == 0 && !x->cluster->meta->deleting;
}

bool rayjob_head_gone(const struct rayjob_pass *x)
{
    const struct json *list = x->view ? json_get(x->view->status, "conditions") : NULL;

    return x->view && !conditions_true(list, RAY_COND_HEAD_READY) &&
           strcmp(conditions_reason(list, RAY_COND_HEAD_READY), RAY_REASON_HEAD_NOT_FOUND) == 0;
}

void rayjob_drop_strays(struct rayjob_pass *x)
{
    const struct seen_list *all = &x->s->of[SEEN_CLUSTERS];
    const char *name = rayjob_get(x, "rayClusterName");

    for (size_t i = 0; i < all->n && x->r == 0; i++) {
        const struct kube_object *o = all->at[i].meta;

        if (strcmp(o->name, name) != 0 && !o->deleting)
            check(x, plan_delete(x->p, 0, &ray_clusters, o->ns, o->name, o->uid, -1), "plan");
    }
}

/* -- how it is reached ----------------------------------------------------------------------------- */

static int64_t port_of(const struct json *container)
{
    const struct json *port = inject_find(json_get(container, "ports"), "name", "dashboard");
    int64_t n = DASHBOARD_PORT;

    return json_int(json_get(port, "containerPort"), &n) == 0 && n > 0 ? n : DASHBOARD_PORT;
}

char *rayjob_address(const struct rayjob_pass *x, const struct ray_cluster *c)
{
    char name[SERVICE_NAME_SIZE];

    service_head_name(c, name);
    return mem_printf("%s.%s.svc.%s:%lld", name, x->job->ns, x->config->cluster_domain,
                      (long long)port_of(c->spec.head.container));
}

const char *rayjob_token_secret(const struct rayjob_pass *x, const struct ray_cluster *c)
{
    bool made;

    return secret_token_name(c, x->config, &made);
}

/* -- what is made ----------------------------------------------------------------------------------- */

int rayjob_object(const struct rayjob_pass *x, const char *api_version, const char *kind,
                  const char *name, struct json **ret_object, struct json **ret_labels)
{
    _cleanup_(json_freep) struct json *o = json_new_object();
    struct json *meta, *labels, *ref = json_new_object(), *refs = json_new_array();
    int r = json_set_str(o, "apiVersion", api_version);

    r = r < 0 ? r : json_set_str(o, "kind", kind);
    meta = inject_object(o, "metadata");
    labels = inject_object(meta, "labels");
    r = r < 0 ? r : json_set_str(meta, "name", name);
    r = r < 0 ? r : json_set_str(meta, "namespace", x->job->ns);
    r = r < 0 ? r : json_set_str(labels, RAY_LABEL_FROM_NAME, x->job->name);
    r = r < 0 ? r : json_set_str(labels, RAY_LABEL_FROM_CRD, "RayJob");
    r = r < 0 ? r : json_set_str(ref, "apiVersion", RAY_VERSION);
    r = r < 0 ? r : json_set_str(ref, "kind", "RayJob");
    r = r < 0 ? r : json_set_str(ref, "name", x->job->name);
    r = r < 0 ? r : json_set_str(ref, "uid", x->job->uid);
    r = r < 0 ? r : json_set_bool(ref, "controller", true);
    r = r < 0 ? r : json_set_bool(ref, "blockOwnerDeletion", true);
    if (r < 0 || !refs) {
        json_free(ref);
        json_free(refs);
        return -RAIA_ERR_NOMEM;
    }
    if ((r = json_append(refs, ref)) < 0) {
        json_free(refs);
        return r;
    }
    if ((r = json_set(meta, "ownerReferences", refs)) < 0)
        return r;
    *ret_labels = labels;
    *ret_object = STEAL(o);
    return 0;
}

/* The user's own labels or annotations, without overwriting what is there. */
static int copy_texts(struct json *to, const struct json *from)
{
    JSON_FOREACH(it, from)
    {
        const char *key = json_key(it), *text = json_str(it);

        if (!text || !strcmp(key, LAST_APPLIED) || json_get(to, key))
            continue;
        int r = json_set_str(to, key, text);
        if (r < 0)
            return r;
    }
    return 0;
}

static int make_cluster(const struct rayjob_pass *x, const char *name, struct json **ret_object)
{
    const struct ray_job *job = x->job;
    _cleanup_(json_freep) struct json *o = NULL;
    struct json *labels, *notes, *spec = json_copy(job->cluster.node);
    int r = rayjob_object(x, RAY_VERSION, "RayCluster", name, &o, &labels);

    if (r < 0 || !spec) {
        json_free(spec);
        return -RAIA_ERR_NOMEM;
    }
    notes = inject_object(json_get(o, "metadata"), "annotations");
    if ((r = json_set(o, "spec", spec)) < 0 ||
        (r = json_set_str(labels, RAY_LABEL_SUBMISSION, ray_job_mode_name(job->mode))) < 0)
        return r;
    if (job->mode == RAY_JOB_SIDECAR) {
        struct json *template_node = json_at(spec, "headGroupSpec.template");

        if ((r = json_set_str(notes, RAY_ANNOTATION_NO_HEAD_AGAIN, "true")) < 0 ||
            (r = json_set_str(json_get(template_node, "spec"), "restartPolicy", "Never")) < 0 ||
            (r = rayjob_sidecar(x, name, template_node, x->e)) < 0)
            return r;
    }
    if ((r = copy_texts(labels, job->labels)) < 0 || (r = copy_texts(notes, job->annotations)) < 0)
        return r;
    *ret_object = STEAL(o);
    return 0;
}

void rayjob_create_cluster(struct rayjob_pass *x)
{
    struct json *o = NULL;

    if (x->r < 0)
        return;
    check(x, make_cluster(x, rayjob_get(x, "rayClusterName"), &o), "RayCluster");
    if (x->r == 0)
        check(x, plan_create(x->p, 0, &ray_clusters, o), "plan");
    x->m->made_cluster = true;
}

/* -- the service ------------------------------------------------------------------------------------- */

/* As the cluster's own, under the name of the RayJob. */
static int make_service(const struct rayjob_pass *x, const char *name, struct json **ret_object)
{
    char identifier[RAYJOB_ID_MAX];
    _cleanup_(json_freep) struct json *o = NULL, *like = NULL;
    struct json *labels, *spec;
    int r = rayjob_object(x, "v1", "Service", name, &o, &labels);

    if (r < 0 || (r = service_head(x->view, &like)) < 0)
        return r;
    spec = json_detach(like, "spec");
    (void)snprintf(identifier, sizeof identifier, "%s-head", x->job->name);
    if ((r = json_set(o, "spec", spec)) < 0 ||
        (r = json_set_str(labels, RAY_LABEL_NODE_TYPE, "head")) < 0 ||
        (r = json_set_str(labels, RAY_LABEL_IDENTIFIER, identifier)) < 0 ||
        (r = json_set_str(labels, RAY_LABEL_CLUSTER, x->view->name)) < 0)
        return r;
    *ret_object = STEAL(o);
    return 0;
}

void rayjob_service(struct rayjob_pass *x)
{
    const struct seen_list *all = &x->s->of[SEEN_SERVICES];
    const struct seen_object *have = NULL;
    char name[RAYJOB_ID_MAX];
    const char *selects = NULL;
    struct json *o = NULL;

    if (x->job->selected || !x->view || x->r < 0)
        return;
    (void)snprintf(name, sizeof name, "%s-head-svc", x->job->name);
    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->at[i].meta->name, name) == 0)
            have = &all->at[i];
    }
    if (have)
        selects = json_str(json_get(json_at(have->tree, "spec.selector"), RAY_LABEL_CLUSTER));
    if (selects && strcmp(selects, x->view->name) == 0)
        return;
    check(x, make_service(x, name, &o), "service");
    if (x->r == 0)
        check(x,
              have ? plan_apply(x->p, 0, &kube_services, o)
                   : plan_create(x->p, 0, &kube_services, o),
              "plan");
}
