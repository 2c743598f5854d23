/* Services and the volume claim: see service.h. */
#include "core/service.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/inject.h"
#include "core/pod.h"
#include "core/start.h"

#define ENABLE_SERVE "ray.io/enable-serve-service"

/* -- names ------------------------------------------------------------------------------------- */

void service_head_name(const struct ray_cluster *c, char ret[SERVICE_NAME_SIZE])
{
    const char *own = json_str(json_at(c->spec.service, "metadata.name"));

    if (own && own[0])
        snprintf(ret, SERVICE_NAME_SIZE, "%s", own);
    else
        snprintf(ret, SERVICE_NAME_SIZE, "%s-head-svc", c->name);
}

void service_serve_name(const struct ray_cluster *c, char ret[SERVICE_NAME_SIZE])
{
    snprintf(ret, SERVICE_NAME_SIZE, "%s-serve-svc", c->name);
}

void service_hosts_name(const struct ray_cluster *c, char ret[SERVICE_NAME_SIZE])
{
    snprintf(ret, SERVICE_NAME_SIZE, "%s-headless", c->name);
}

/* -- parts ------------------------------------------------------------------------------------- */

/* An object of this kind, in the cluster's namespace and its own; `from` is copied, or NULL. */
static struct json *new_object(const struct ray_cluster *c, const struct json *from,
                               const char *kind, const char *name, bool owned)
{
    _cleanup_(json_freep) struct json *o = from ? json_copy(from) : json_new_object();
    struct json *meta = inject_object(o, "metadata"), *labels = inject_object(meta, "labels");

    if (!labels || json_set_str(o, "apiVersion", "v1") < 0 || json_set_str(o, "kind", kind) < 0 ||
        json_set_str(meta, "name", name) < 0 || json_set_str(meta, "namespace", c->ns) < 0 ||
        json_set_str(labels, RAY_LABEL_CLUSTER, c->name) < 0 ||
        json_set_str(labels, RAY_LABEL_CREATED_BY, POD_CREATED_BY) < 0 ||
        (owned && pod_set_owner(meta, c) < 0))
        return NULL;
    json_free(json_detach(o, "status"));
    return STEAL(o);
}

static int add_port(struct json *ports, const char *name, int64_t number)
{
    _cleanup_(json_freep) struct json *port = NULL;

    JSON_FOREACH(have, ports)
    {
        const char *n = json_str(json_get(have, "name"));
        int64_t v = 0;
        if ((n && strcmp(n, name) == 0) ||
            (json_int(json_get(have, "port"), &v) == 0 && v == number))
            return 0;
    }
    port = json_new_object();
    int r = json_set_str(port, "name", name);
    if (r == 0)
        r = json_set_int(port, "port", number);
    if (r == 0)
        r = json_set_int(port, "targetPort", number);
    if (r == 0)
        r = json_set_str(port, "protocol", "TCP");
    if (r == 0)
        r = json_set_str(port, "appProtocol", "tcp");
    return r == 0 ? json_append(ports, STEAL(port)) : r;
}

/* Those of the head's Ray container, by name; KubeRay's where it has none. */
static int add_head_ports(const struct ray_cluster *c, struct json *ports)
{
    static const struct {
        const char *name;
        int64_t number;
    } usual[] = {{"client", START_CLIENT_PORT},
                 {"gcs-server", START_GCS_PORT},
                 {"dashboard", START_DASHBOARD_PORT},
                 {"metrics", START_METRICS_PORT},
                 {"serve", START_SERVE_PORT}};
    const struct ray_group *head = &c->spec.head;
    const struct json *own = json_get(head->container, "ports");
    int r = ports ? 0 : -RAIA_ERR_NOMEM;

    JSON_FOREACH(port, own)
    {
        const char *name = json_str(json_get(port, "name"));
        char unnamed[32];
        int64_t number;
        if (r < 0 || json_int(json_get(port, "containerPort"), &number) < 0)
            continue;
        snprintf(unnamed, sizeof unnamed, "%lld-port", (long long)number);
        r = add_port(ports, name && name[0] ? name : unnamed, number);
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual && r == 0 && !json_first(own); i++)
        r = add_port(ports, usual[i].name, usual[i].number);
    return r == 0 ? add_port(ports, "metrics",
                             start_port(head, "metrics-export-port", START_METRICS_PORT))
                  : r;
}

static int merge_texts(struct json *into, const struct json *from)
{
    int r = into ? 0 : -RAIA_ERR_NOMEM;

    JSON_FOREACH(item, from)
    if (r == 0)
        r = json_set(into, json_key(item), json_copy(item));
    return r;
}

/* -- the head's -------------------------------------------------------------------------------- */

static int head_metadata(const struct ray_cluster *c, struct json *meta)
{
    struct json *labels = inject_object(meta, "labels");
    char identifier[SERVICE_NAME_SIZE];
    int r = json_set_str(labels, RAY_LABEL_NODE_TYPE, "head");

    snprintf(identifier, sizeof identifier, "%.56s-head", c->name);
    if (r == 0)
        r = json_set_str(labels, RAY_LABEL_IDENTIFIER, identifier);
    if (r == 0)
        r = json_set_str(labels, RAY_LABEL_APP, "kuberay");
    if (r == 0 && json_size(c->spec.service_annotations) > 0)
        r = merge_texts(inject_object(meta, "annotations"), c->spec.service_annotations);
    return r;
}

int service_head(const struct ray_cluster *c, struct json **ret_service)
{
    const char *own_type = json_str(json_at(c->spec.service, "spec.type"));
    const char *type = own_type && own_type[0] ? own_type : c->spec.service_type;
    char name[SERVICE_NAME_SIZE];

    service_head_name(c, name);
    _cleanup_(json_freep) struct json *s = new_object(c, c->spec.service, "Service", name, true);
    struct json *spec = inject_object(s, "spec"), *selector = inject_object(spec, "selector");
    int r = s ? head_metadata(c, json_get(s, "metadata")) : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = json_set_str(selector, RAY_LABEL_CLUSTER, c->name);
    if (r == 0)
        r = json_set_str(selector, RAY_LABEL_NODE_TYPE, "head");
    if (r == 0)
        r = add_head_ports(c, inject_array(spec, "ports"));
    if (r == 0)
        r = json_set_str(spec, "type", type && type[0] ? type : "ClusterIP");
    /* Headless: the head's name is its pod's address, with no proxy between. */
    bool headless = !c->spec.service && (!type || !type[0] || strcmp(type, "ClusterIP") == 0);
    if (r == 0 && headless)
        r = json_set_str(spec, "clusterIP", "None");
    if (r == 0 && !json_get(spec, "publishNotReadyAddresses"))
        r = json_set_bool(spec, "publishNotReadyAddresses", true);
    if (r == 0)
        r = service_remember(s);
    if (r == 0)
        *ret_service = STEAL(s);
    return r;
}

/* -- others ------------------------------------------------------------------------------------ */

bool service_has_serve(const struct ray_cluster *c)
{
    return ray_is_true(c->annotations, ENABLE_SERVE);
}

static bool is_serve_port(const struct json *port)
{
    const char *name = json_str(json_get(port, "name"));

    return name && (strcmp(name, "serve") == 0 || str_starts_with(name, "serve-"));
}

int service_serve(const struct ray_cluster *c, struct json **ret_service)
{
    char name[SERVICE_NAME_SIZE];
    int64_t number;

    service_serve_name(c, name);
    _cleanup_(json_freep) struct json *s = new_object(c, NULL, "Service", name, true);
    struct json *spec = inject_object(s, "spec"), *selector = inject_object(spec, "selector");
    struct json *ports = inject_array(spec, "ports");
    int r = json_set_str(selector, RAY_LABEL_CLUSTER, c->name);
    if (r == 0)
        r = json_set_str(selector, RAY_LABEL_SERVE, "true");
    if (r == 0)
        r = json_set_str(json_at(s, "metadata.labels"), RAY_LABEL_SERVE, name);
    JSON_FOREACH(port, json_get(c->spec.head.container, "ports"))
    if (r == 0 && is_serve_port(port) && json_int(json_get(port, "containerPort"), &number) == 0)
        r = add_port(ports, json_str(json_get(port, "name")), number);
    if (r == 0 && !json_first(ports))
        r = add_port(ports, "serve", START_SERVE_PORT);
    if (r == 0)
        r = json_set_str(spec, "type", "ClusterIP");
    if (r == 0)
        r = service_remember(s);
    if (r == 0)
        *ret_service = STEAL(s);
    return r;
}

bool service_has_hosts(const struct ray_cluster *c)
{
    for (size_t i = 0; i < c->spec.n_workers; i++)
        if (c->spec.workers[i].hosts > 1)
            return true;
    return false;
}

int service_hosts(const struct ray_cluster *c, struct json **ret_service)
{
    char name[SERVICE_NAME_SIZE];

    service_hosts_name(c, name);
    _cleanup_(json_freep) struct json *s = new_object(c, NULL, "Service", name, true);
    struct json *spec = inject_object(s, "spec"), *selector = inject_object(spec, "selector");
    int r = json_set_str(selector, RAY_LABEL_CLUSTER, c->name);
    if (r == 0)
        r = json_set_str(selector, RAY_LABEL_NODE_TYPE, "worker");
    if (r == 0)
        r = json_set_str(json_at(s, "metadata.labels"), "ray.io/headless-worker-svc", name);
    if (r == 0)
        r = json_set_str(spec, "clusterIP", "None");
    if (r == 0)
        r = json_set_str(spec, "type", "ClusterIP");
    if (r == 0)
        r = json_set_bool(spec, "publishNotReadyAddresses", true);
    if (r == 0)
        r = service_remember(s);
    if (r == 0)
        *ret_service = STEAL(s);
    return r;
}

int service_storage(const struct ray_cluster *c, struct json **ret_claim)
{
    const struct ray_fault_tolerance *ft = &c->spec.ft;
    char name[SERVICE_NAME_SIZE];

    pod_storage_claim(c, name, sizeof name);
    _cleanup_(json_freep) struct json *claim =
        new_object(c, NULL, "PersistentVolumeClaim", name, !ft->retain);
    struct json *spec = inject_object(claim, "spec");
    struct json *requests = inject_object(inject_object(spec, "resources"), "requests");
    int r = ft->size ? json_set(requests, "storage", json_copy(ft->size))
                     : json_set_str(requests, "storage", "1Gi");
    if (r == 0 && ft->access_modes)
        r = json_set(spec, "accessModes", json_copy(ft->access_modes));
    else if (r == 0)
        r = json_append_str(inject_array(spec, "accessModes"), "ReadWriteOnce");
    if (r == 0 && ft->storage_class)
        r = json_set_str(spec, "storageClassName", ft->storage_class);
    if (r == 0)
        *ret_claim = STEAL(claim);
    return r;
}
