/*
 * Reading a RayCluster's tree into its view.
 */
#include "api/raycluster.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/pick.h"
#include "base/err.h"
#include "base/mem.h"

/* -- groups ----------------------------------------------------------------------------------- */

/* What head and workers have in common. */
static int read_group(const struct json *node, struct ray_group *g, struct raia_error *e)
{
    const struct json *spec = NULL, *containers = NULL;
    char path[128];
    int r;

    g->node = node;
    r = pick_node__(node, g->path, "template", JSON_OBJECT, &g->pod_template, e);
    if (r == 0)
        r = pick_map__(node, g->path, "rayStartParams", &g->params, e);
    if (r == 0)
        r = pick_map__(node, g->path, "labels", &g->labels, e);
    if (r == 0)
        r = pick_map__(node, g->path, "resources", &g->resources, e);
    snprintf(path, sizeof path, "%s.template", g->path);
    if (r == 0)
        r = pick_node__(g->pod_template, path, "spec", JSON_OBJECT, &spec, e);
    snprintf(path, sizeof path, "%s.template.spec", g->path);
    if (r == 0)
        r = pick_node__(spec, path, "containers", JSON_ARRAY, &containers, e);
    if (r < 0)
        return r;
    JSON_FOREACH(c, containers)
    {
        if (!json_is(c, JSON_OBJECT))
            return err_set(e, RAIA_ERR_INVALID, "%s.containers: expected objects, found %s", path,
                           json_type_name(json_type(c)));
    }
    g->container = json_first(containers);
    return 0;
}

static int read_head(const struct json *spec, struct ray_cluster_spec *s, struct raia_error *e)
{
    struct ray_group *g = &s->head;
    const struct json *node = NULL;
    int r;

    g->is_head = true;
    g->name = RAY_HEAD_GROUP;
    g->replicas = g->min = g->max = g->hosts = g->desired_replicas = g->desired = 1;
    snprintf(g->path, sizeof g->path, "%s.headGroupSpec", s->path);
    r = pick_node__(spec, s->path, "headGroupSpec", JSON_OBJECT, &node, e);
    if (r == 0 && !node)
        r = err_set(e, RAIA_ERR_INVALID, "%s: expected an object, found nothing", g->path);
    if (r == 0)
        r = read_group(node, g, e);
    if (r == 0)
        r = pick_str__(node, g->path, "serviceType", &s->service_type, e);
    if (r == 0)
        r = pick_node__(node, g->path, "headService", JSON_OBJECT, &s->service, e);
    if (r == 0)
        r = pick_bool__(node, g->path, "enableIngress", &s->ingress, e);
    if (r == 0)
        r = pick_node__(node, g->path, "ingressOptions", JSON_OBJECT, &s->ingress_options, e);
    if (r == 0 && s->service_type && !s->service_type[0])
        s->service_type = NULL;
    return r;
}

static int read_to_delete(const struct json *node, struct ray_group *g, struct raia_error *e)
{
    const struct json *strategy = NULL;
    char path[96];
    int r;

    snprintf(path, sizeof path, "%s.scaleStrategy", g->path);
    r = pick_node__(node, g->path, "scaleStrategy", JSON_OBJECT, &strategy, e);
    if (r == 0)
        r = pick_node__(strategy, path, "workersToDelete", JSON_ARRAY, &g->to_delete, e);
    if (r < 0)
        return r;
    JSON_FOREACH(name, g->to_delete)
    {
        if (!json_is(name, JSON_STRING))
            return err_set(e, RAIA_ERR_INVALID,
                           "%s.workersToDelete: expected names of pods, found %s", path,
                           json_type_name(json_type(name)));
    }
    return 0;
}

/* Cut at INT32_MAX, so that sums over all groups stay small. */
static int64_t pods_of(int64_t replicas, int64_t hosts)
{
    int64_t n = replicas > 0 ? replicas * hosts : 0;

    return n < INT32_MAX ? n : INT32_MAX;
}

static int read_worker(const struct json *node, struct ray_group *g, struct raia_error *e)
{
    int r;

    if (!json_is(node, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "%s: expected an object, found %s", g->path,
                       json_type_name(json_type(node)));
    g->max = INT32_MAX;
    g->hosts = 1;
    r = pick_str__(node, g->path, "groupName", &g->name, e);
    if (r == 0 && !g->name)
        r = err_set(e, RAIA_ERR_INVALID, "%s.groupName: expected a name", g->path);
    if (r == 0)
        r = read_group(node, g, e);
    if (r == 0)
        r = pick_int__(node, g->path, "replicas", &g->replicas, e);
    if (r == 0)
        r = pick_int__(node, g->path, "minReplicas", &g->min, e);
    if (r == 0)
        r = pick_int__(node, g->path, "maxReplicas", &g->max, e);
    if (r == 0)
        r = pick_int__(node, g->path, "numOfHosts", &g->hosts, e);
    if (r == 0)
        r = pick_bool__(node, g->path, "suspend", &g->suspended, e);
    if (r == 0)
        r = read_to_delete(node, g, e);
    if (r < 0)
        return r;
    if (g->hosts < 1)
        g->hosts = 1;
    if (!g->suspended) {
        g->desired_replicas = g->replicas < g->max ? g->replicas : g->max;
        if (g->desired_replicas < g->min)
            g->desired_replicas = g->min;
        if (g->desired_replicas < 0)
            g->desired_replicas = 0;
    }
    g->desired = pods_of(g->desired_replicas, g->hosts);
    return 0;
}

static int read_workers(const struct json *spec, struct ray_cluster_spec *s, struct raia_error *e)
{
    const struct json *list = NULL;
    size_t n;
    int r = pick_node__(spec, s->path, "workerGroupSpecs", JSON_ARRAY, &list, e);

    if (r < 0 || !list)
        return r;
    n = json_size(list);
    if (n > RAY_GROUPS_MAX)
        return err_set(e, RAIA_ERR_LIMIT,
                       "%s.workerGroupSpecs: expected at most %d groups, found %zu", s->path,
                       RAY_GROUPS_MAX, n);
    s->workers = mem_calloc(n > 0 ? n : 1, sizeof *s->workers);
    if (!s->workers)
        return err_set(e, RAIA_ERR_NOMEM, "no memory for %zu worker groups", n);
    JSON_FOREACH(node, list)
    {
        struct ray_group *g = &s->workers[s->n_workers];

        snprintf(g->path, sizeof g->path, "%s.workerGroupSpecs[%zu]", s->path, s->n_workers++);
        r = read_worker(node, g, e);
        if (r < 0)
            return r;
        s->desired_workers += g->desired;
        s->min_workers += g->suspended ? 0 : pods_of(g->min, g->hosts);
        s->max_workers += g->suspended ? 0 : pods_of(g->max, g->hosts);
    }
    if (s->desired_workers > INT32_MAX)
        s->desired_workers = INT32_MAX;
    if (s->min_workers > INT32_MAX)
        s->min_workers = INT32_MAX;
    if (s->max_workers > INT32_MAX)
        s->max_workers = INT32_MAX;
    return 0;
}

/* -- options ---------------------------------------------------------------------------------- */

static int read_auth(const struct json *spec, struct ray_cluster_spec *s, struct raia_error *e)
{
    static const char *const modes[] = {"", "token", "disabled", NULL};
    const struct json *o = NULL;
    unsigned mode = RAY_AUTH_DEFAULT;
    char path[64];
    int r;

    snprintf(path, sizeof path, "%s.authOptions", s->path);
    r = pick_node__(spec, s->path, "authOptions", JSON_OBJECT, &o, e);
    if (r == 0)
        r = pick_enum__(o, path, "mode", modes, &mode, e);
    if (r == 0)
        r = pick_str__(o, path, "secretName", &s->auth_secret, e);
    if (r == 0)
        r = pick_bool__(o, path, "enableK8sTokenAuth", &s->auth_k8s, e);
    s->auth = (enum ray_auth)mode;
    if (s->auth_secret && !s->auth_secret[0])
        s->auth_secret = NULL;
    return r;
}

static int read_fault_tolerance(const struct json *spec, struct ray_cluster_spec *s,
                                struct raia_error *e)
{
    static const char *const policies[] = {"DeleteWithCluster", "Retain", NULL};
    const struct json *o = NULL, *storage = NULL;
    unsigned policy = 0;
    char path[96];
    int r;

    snprintf(path, sizeof path, "%s.gcsFaultToleranceOptions", s->path);
    r = pick_node__(spec, s->path, "gcsFaultToleranceOptions", JSON_OBJECT, &o, e);
    if (r < 0 || !o)
        return r;
    s->ft.on = true;
    r = pick_node__(o, path, "storage", JSON_OBJECT, &storage, e);
    if (r < 0 || !storage)
        return r;
    snprintf(path, sizeof path, "%s.gcsFaultToleranceOptions.storage", s->path);
    r = pick_str__(storage, path, "claimName", &s->ft.claim, e);
    if (r == 0)
        r = pick_str__(storage, path, "storageClassName", &s->ft.storage_class, e);
    if (r == 0)
        r = pick_node__(storage, path, "accessModes", JSON_ARRAY, &s->ft.access_modes, e);
    if (r == 0)
        r = pick_str__(storage, path, "subPath", &s->ft.sub_path, e);
    if (r == 0)
        r = pick_enum__(storage, path, "deletionPolicy", policies, &policy, e);
    s->ft.size = json_get(storage, "size");
    if (json_is(s->ft.size, JSON_NULL))
        s->ft.size = NULL;
    if (s->ft.claim && !s->ft.claim[0])
        s->ft.claim = NULL;
    s->ft.retain = policy == 1;
    return r;
}

static int read_rest(const struct json *spec, struct ray_cluster_spec *s, struct raia_error *e)
{
    static const char *const upgrades[] = {"None", "Recreate", NULL};
    const struct json *upgrade = NULL, *tls = NULL;
    unsigned type = 0;
    char path[64];
    int r;

    r = pick_str__(spec, s->path, "rayVersion", &s->ray_version, e);
    if (r == 0)
        r = pick_bool__(spec, s->path, "suspend", &s->suspend, e);
    if (r == 0)
        r = pick_str__(spec, s->path, "managedBy", &s->managed_by, e);
    if (r == 0)
        r = pick_bool__(spec, s->path, "enableInTreeAutoscaling", &s->autoscaling, e);
    if (r == 0)
        r = pick_map__(spec, s->path, "headServiceAnnotations", &s->service_annotations, e);
    if (r == 0)
        r = pick_node__(spec, s->path, "upgradeStrategy", JSON_OBJECT, &upgrade, e);
    snprintf(path, sizeof path, "%s.upgradeStrategy", s->path);
    if (r == 0)
        r = pick_enum__(upgrade, path, "type", upgrades, &type, e);
    if (r == 0)
        r = pick_node__(spec, s->path, "tlsOptions", JSON_OBJECT, &tls, e);
    snprintf(path, sizeof path, "%s.tlsOptions", s->path);
    if (r == 0)
        r = pick_bool__(tls, path, "enabled", &s->tls_wanted, e);
    s->recreate = type == 1;
    s->managed = !s->managed_by || strcmp(s->managed_by, RAY_MANAGED_BY) == 0;
    if (s->ray_version && !s->ray_version[0])
        s->ray_version = NULL;
    return r;
}

int ray_cluster_spec_read(const struct json *node, const char *path, struct ray_cluster_spec *ret,
                          struct raia_error *e)
{
    int r;

    *ret = (struct ray_cluster_spec){.node = node};
    snprintf(ret->path, sizeof ret->path, "%s", path);
    if (!json_is(node, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "%s: expected an object, found %s", path,
                       node ? json_type_name(json_type(node)) : "nothing");
    r = read_head(node, ret, e);
    if (r == 0)
        r = read_workers(node, ret, e);
    if (r == 0)
        r = read_auth(node, ret, e);
    if (r == 0)
        r = read_fault_tolerance(node, ret, e);
    if (r == 0)
        r = read_rest(node, ret, e);
    return r;
}

void ray_cluster_spec_done(struct ray_cluster_spec *s)
{
    mem_free(STEAL(s->workers));
    s->n_workers = 0;
}

/* -- the object -------------------------------------------------------------------------------- */

int ray_cluster_read(const struct json *tree, struct ray_cluster **ret_c, struct raia_error *e)
{
    _cleanup_(ray_cluster_freep) struct ray_cluster *c = NULL;
    const char *crd;
    struct pick_meta m;
    int r = pick_meta__(tree, &m, e);

    if (r < 0)
        return r;
    c = mem_new(struct ray_cluster);
    if (!c)
        return err_set(e, RAIA_ERR_NOMEM, "no memory for RayCluster '%s'", m.name);
    c->tree = tree;
    c->ns = m.ns;
    c->name = m.name;
    c->uid = m.uid;
    c->generation = m.generation;
    c->deleting = m.deleting;
    c->labels = m.labels;
    c->annotations = m.annotations;
    c->status = json_get(tree, "status");
    crd = json_str(json_get(m.labels, RAY_LABEL_FROM_CRD));
    c->of_job = crd && (strcmp(crd, "RayJob") == 0 || strcmp(crd, "RayService") == 0);
    r = ray_cluster_spec_read(json_get(tree, "spec"), "spec", &c->spec, e);
    if (r < 0)
        return r;
    c->spec.ft.on |= ray_is_true(c->annotations, RAY_ANNOTATION_FT);
    *ret_c = STEAL(c);
    return 0;
}

void ray_cluster_free(struct ray_cluster *c)
{
    if (!c)
        return;
    ray_cluster_spec_done(&c->spec);
    mem_free(c);
}

void ray_cluster_freep(void *p)
{
    ray_cluster_free(*(struct ray_cluster **)p);
}

/* -- small readers ------------------------------------------------------------------------------ */

const char *ray_group_param(const struct ray_group *g, const char *key)
{
    return json_str(json_get(g->params, key));
}

const struct ray_group *ray_cluster_group(const struct ray_cluster_spec *s, const char *name)
{
    if (strcmp(name, RAY_HEAD_GROUP) == 0)
        return &s->head;
    for (size_t i = 0; i < s->n_workers; i++) {
        if (strcmp(s->workers[i].name, name) == 0)
            return &s->workers[i];
    }
    return NULL;
}

bool ray_group_to_delete(const struct ray_group *g, const char *pod_name)
{
    JSON_FOREACH(item, g->to_delete)
    {
        if (strcmp(json_str(item), pod_name) == 0)
            return true;
    }
    return false;
}

const char *ray_group_env(const struct ray_group *g, const char *name)
{
    const char *value = NULL;

    JSON_FOREACH(item, json_get(g->container, "env"))
    {
        const char *key = json_str(json_get(item, "name"));

        if (key && strcmp(key, name) == 0) /* the last one counts */
            value = json_str(json_get(item, "value"));
    }
    return value;
}

bool ray_version_at_least(const char *version, unsigned major, unsigned minor)
{
    unsigned have[2] = {0, 0};

    if (!version)
        return false;
    for (int i = 0; i < 2; i++) {
        if (*version < '0' || *version > '9')
            return false;
        for (; *version >= '0' && *version <= '9'; version++) {
            if (have[i] > 1000000)
                return false;
            have[i] = have[i] * 10 + (unsigned)(*version - '0');
        }
        if (i == 0 && *version++ != '.')
            return false;
    }
    return have[0] > major || (have[0] == major && have[1] >= minor);
}

bool ray_is_true(const struct json *map, const char *key)
{
    const char *v = json_str(json_get(map, key));

    return v && strcasecmp(v, "true") == 0;
}
