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

char *rayjob_address(const struct operator_config *config, const char *ns, const char *cluster,
                     const struct ray_cluster_spec *spec)
{
    const char *named = json_str(json_at(spec->service, "metadata.name"));
    long long port = (long long)port_of(spec->head.container);

    if (named && *named)
        return mem_printf("%s.%s.svc.%s:%lld", named, ns, config->cluster_domain, port);
    return mem_printf("%s-head-svc.%s.svc.%s:%lld", cluster, ns, config->cluster_domain, port);
}

const char *rayjob_token_secret(const struct operator_config *config, const char *cluster,
                                const struct ray_cluster_spec *spec)
{
    if (spec->auth == RAY_AUTH_DISABLED || (spec->auth == RAY_AUTH_DEFAULT && !config->tokens))
        return NULL;
    return spec->auth_secret ? spec->auth_secret : cluster;
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

static int add_port(struct json *ports, const char *name, int64_t number)
{
    struct json *port = json_new_object();
    int r;

    if ((r = json_set_str(port, "name", name)) < 0 ||
        (r = json_set_int(port, "port", number)) < 0 ||
        (r = json_set_int(port, "targetPort", number)) < 0 ||
        (r = json_set_str(port, "protocol", "TCP")) < 0 ||
        (r = json_set_str(port, "appProtocol", "tcp")) < 0) {
        json_free(port);
        return r;
    }
    return json_append(ports, port);
}

/* As the cluster's own: the container's ports, or KubeRay's; and metrics. */
static int add_ports(struct json *spec, const struct json *container)
{
    static const struct {
        const char *name;
        int64_t number;
    } usual[] = {{"client", 10001}, {"gcs-server", 6379}, {"dashboard", 8265}, {"serve", 8000}};
    struct json *ports = inject_array(spec, "ports");
    bool metrics = false;
    int r = ports ? 0 : -RAIA_ERR_NOMEM;

    JSON_FOREACH(it, json_get(container, "ports"))
    {
        const char *name = json_str(json_get(it, "name"));
        char made[32];
        int64_t number;

        if (r < 0 || json_int(json_get(it, "containerPort"), &number) < 0)
            continue;
        (void)snprintf(made, sizeof made, "%lld-port", (long long)number);
        metrics |= name && strcmp(name, "metrics") == 0;
        r = add_port(ports, name ? name : made, number);
    }
    for (size_t i = 0;
         r == 0 && !json_first(json_get(container, "ports")) && i < sizeof usual / sizeof usual[0];
         i++)
        r = add_port(ports, usual[i].name, usual[i].number);
    return r < 0 || metrics ? r : add_port(ports, "metrics", 8080);
}

static int make_service(const struct rayjob_pass *x, const char *name, struct json **ret_object)
{
    const struct ray_cluster_spec *cluster = &x->view->spec;
    char identifier[RAYJOB_ID_MAX];
    _cleanup_(json_freep) struct json *o = NULL;
    struct json *labels, *spec, *selector;
    int r = rayjob_object(x, "v1", "Service", name, &o, &labels);

    if (r < 0)
        return r;
    spec = inject_object(o, "spec");
    selector = inject_object(spec, "selector");
    (void)snprintf(identifier, sizeof identifier, "%s-head", x->job->name);
    if ((r = json_set_str(labels, RAY_LABEL_NODE_TYPE, "head")) < 0 ||
        (r = json_set_str(labels, RAY_LABEL_IDENTIFIER, identifier)) < 0 ||
        (r = json_set_str(labels, RAY_LABEL_CLUSTER, x->view->name)) < 0 ||
        (r = json_set_str(selector, RAY_LABEL_CLUSTER, x->view->name)) < 0 ||
        (r = json_set_str(selector, RAY_LABEL_NODE_TYPE, "head")) < 0 ||
        (r = json_set_bool(spec, "publishNotReadyAddresses", true)) < 0 ||
        (r = cluster->service_type ? json_set_str(spec, "type", cluster->service_type)
                                   : json_set_str(spec, "clusterIP", "None")) < 0 ||
        (r = add_ports(spec, cluster->head.container)) < 0)
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
