/* Pods made of templates: see pod.h. */
#include "core/pod_impl.h"

#include <stdio.h>
#include <string.h>

#include "api/quantity.h"
#include "base/err.h"
#include "core/inject.h"
#include "core/secret.h"
#include "core/start.h"

#define WORKER_PATIENCE 86400 /* probes of a second each, until there is a head */

static int nomem(struct raia_error *e)
{
    return err_set(e, RAIA_ERR_NOMEM, "a pod");
}

char *pod_head_host(const struct pod_site *s)
{
    return mem_printf("%s.%s.svc.%s", s->service, s->cluster->ns, s->config->cluster_domain);
}

bool pod_has_ended(const struct json *pod)
{
    const char *phase = json_str(json_get(json_get(pod, "status"), "phase"));

    return phase && (strcmp(phase, "Failed") == 0 || strcmp(phase, "Succeeded") == 0);
}

/* -- the GCS' volume --------------------------------------------------------------------------- */

bool pod_has_storage(const struct ray_cluster *c)
{
    const struct json *o = json_get(c->spec.node, "gcsFaultToleranceOptions");
    const char *backend = json_str(json_get(o, "backend")),
               *redis = json_str(json_get(o, "redisAddress"));

    if (!json_is(o, JSON_OBJECT))
        return false;
    return !redis || !redis[0] || json_is(json_get(o, "storage"), JSON_OBJECT) ||
           (backend && strcmp(backend, "rocksdb") == 0);
}

void pod_storage_claim(const struct ray_cluster *c, char *buf, size_t size)
{
    if (c->spec.ft.claim)
        snprintf(buf, size, "%s", c->spec.ft.claim);
    else
        snprintf(buf, size, "%s-gcs-pvc", c->name);
}

/* Its files must be writable by whatever user the image has: a group of the pod's own owns them. */
static int share_storage(struct json *spec)
{
    struct json *context = inject_object(spec, "securityContext");
    int r = context ? 0 : -RAIA_ERR_NOMEM;

    if (r < 0 || json_get(context, "fsGroup"))
        return r;
    r = json_set_int(context, "fsGroup", 65532);
    return r == 0 && !json_get(context, "fsGroupChangePolicy")
               ? json_set_str(context, "fsGroupChangePolicy", "OnRootMismatch")
               : r;
}

static int add_storage(struct pod_work *w, struct raia_error *e)
{
    const struct ray_cluster *c = w->site->cluster;
    _cleanup_(json_freep) struct json *source = json_new_object();
    struct json *claim = inject_object(source, "persistentVolumeClaim");
    char name[256];

    pod_storage_claim(c, name, sizeof name);
    if (!claim || json_set_str(claim, "claimName", name) < 0 || share_storage(w->spec) < 0)
        return nomem(e);
    int r = inject_volume(w->spec, POD_STORAGE, STEAL(source), e);
    if (r == 0)
        r = inject_mount(w->container, POD_STORAGE, POD_STORAGE_DIR, false, e);
    if (r < 0 || !c->spec.ft.sub_path)
        return r;
    struct json *mount =
        inject_find(json_get(w->container, "volumeMounts"), "mountPath", POD_STORAGE_DIR);
    return json_set_str(mount, "subPath", c->spec.ft.sub_path) < 0 ? nomem(e) : 0;
}

/* -- shared memory ----------------------------------------------------------------------------- */

/* /dev/shm as large as the container's memory, as users of KubeRay have it. */
static int add_shared_memory(struct pod_work *w, struct raia_error *e)
{
    const struct json *resources = json_get(w->container, "resources");
    const struct json *size = json_get(json_get(resources, "limits"), "memory");

    if (ray_group_param(w->group, "plasma-directory") ||
        inject_find(json_get(w->container, "volumeMounts"), "mountPath", "/dev/shm") ||
        inject_find(json_get(w->spec, "volumes"), "name", "shared-mem"))
        return 0;
    if (!size)
        size = json_get(json_get(resources, "requests"), "memory");
    _cleanup_(json_freep) struct json *source = json_new_object();
    struct json *dir = inject_object(source, "emptyDir");
    if (!dir || json_set_str(dir, "medium", "Memory") < 0 ||
        (size && json_set(dir, "sizeLimit", json_copy(size)) < 0))
        return nomem(e);
    int r = inject_volume(w->spec, "shared-mem", STEAL(source), e);
    return r == 0 ? inject_mount(w->container, "shared-mem", "/dev/shm", false, e) : r;
}

/* -- ports and probes -------------------------------------------------------------------------- */

static int add_metrics_port(struct pod_work *w)
{
    struct json *ports = inject_array(w->container, "ports");
    int64_t number = start_port(w->group, "metrics-export-port", START_METRICS_PORT), have;

    if (!ports)
        return -RAIA_ERR_NOMEM;
    if (inject_find(ports, "name", "metrics"))
        return 0;
    JSON_FOREACH(port, ports) /* the same one twice is refused */
    if (json_int(json_get(port, "containerPort"), &have) == 0 && have == number)
        return 0;
    _cleanup_(json_freep) struct json *port = json_new_object();
    int r = json_set_str(port, "name", "metrics");
    if (r == 0)
        r = json_set_int(port, "containerPort", number);
    return r == 0 ? json_append(ports, STEAL(port)) : r;
}

static int add_probe(struct pod_work *w, const char *name, const char *path, int64_t period_s,
                     int64_t failures)
{
    bool head = w->group->is_head;
    int64_t port = head ? start_port(w->group, "dashboard-port", START_DASHBOARD_PORT)
                        : start_port(w->group, "metrics-export-port", START_METRICS_PORT);
    _cleanup_(json_freep) struct json *probe = json_new_object();
    struct json *get = inject_object(probe, "httpGet");
    int r = json_set_str(get, "path", path);

    if (r == 0)
        r = json_set_int(get, "port", port);
    if (r == 0)
        r = json_set_int(probe, "periodSeconds", period_s);
    if (r == 0)
        r = json_set_int(probe, "timeoutSeconds", head ? 5 : 2);
    if (r == 0)
        r = json_set_int(probe, "failureThreshold", failures);
    return r == 0 ? json_set(w->container, name, STEAL(probe)) : r;
}

/* KubeRay's periods and patience; what it waits at the start, the startup probe finds out. A worker
 * that waits for its head, at the start or later, is alive. */
static int add_probes(struct pod_work *w)
{
    bool liveness = json_get(w->container, "livenessProbe") != NULL;
    bool readiness = json_get(w->container, "readinessProbe") != NULL;
    int r = 0;

    if (!liveness && !readiness && !json_get(w->container, "startupProbe"))
        r = add_probe(w, "startupProbe", "/healthz", 1, w->group->is_head ? 600 : WORKER_PATIENCE);
    if (r == 0 && !liveness)
        r = add_probe(w, "livenessProbe", w->group->is_head ? "/healthz" : "/livez", 5, 120);
    if (r == 0 && !readiness)
        r = add_probe(w, "readinessProbe", "/healthz", 5, 10);
    return r;
}

/* -- the pod ----------------------------------------------------------------------------------- */

/* What the user's command must see: variables before the command, files before all. */
static int fill(struct pod_work *w, struct raia_error *e)
{
    const struct pod_site *s = w->site;
    const struct ray_cluster *c = s->cluster;
    int r = inject_raia(w->spec, s->config, e);

    if (r == 0)
        r = inject_mount(w->container, INJECT_VOLUME, INJECT_DIR, true, e);
    if (r == 0 && w->group->is_head && pod_has_storage(c))
        r = add_storage(w, e);
    if (r == 0 && s->config->tls) {
        char secret[256];
        secret_tls_name(c, w->group->is_head, secret, sizeof secret);
        r = inject_tls(w->spec, w->container, secret, e);
    }
    if (r == 0)
        r = add_shared_memory(w, e);
    if (r < 0)
        return r;
    if (add_metrics_port(w) < 0 || pod_set_env__(w) < 0 || pod_set_command__(w) < 0 ||
        (s->config->probes && add_probes(w) < 0))
        return nomem(e);
    if (!json_get(w->container, "terminationMessagePolicy") &&
        json_set_str(w->container, "terminationMessagePolicy", "FallbackToLogsOnError") < 0)
        return nomem(e);
    return 0;
}

int pod_build(const struct pod_site *s, const struct ray_group *g, const struct pod_place *at,
              struct json **ret_pod, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *pod = json_copy(g->pod_template);
    _cleanup_(mem_freep) char *host = pod_head_host(s);
    _cleanup_(json_freep) struct json *params = NULL;

    if (!pod || !host || start_params(g, host, &params) < 0)
        return nomem(e);
    _cleanup_(mem_freep) char *line = start_line(params, g->is_head);
    struct json *spec = json_get(pod, "spec");
    struct pod_work w = {.site = s,
                         .group = g,
                         .spec = spec,
                         .container = json_item(json_get(spec, "containers"), 0),
                         .host = host,
                         .params = params,
                         .line = line};
    if (!line)
        return nomem(e);
    if (!w.container)
        return err_set(e, RAIA_ERR_INVALID, "spec.containers: expected at least one");
    if (json_set_str(pod, "apiVersion", "v1") < 0 || json_set_str(pod, "kind", "Pod") < 0 ||
        pod_set_metadata__(pod, s, g, at) < 0)
        return nomem(e);
    w.overwrite = ray_is_true(json_at(pod, "metadata.annotations"), RAY_ANNOTATION_OVERWRITE);
    int r = fill(&w, e);
    if (r == 0)
        *ret_pod = STEAL(pod);
    return r;
}
