/*
 * Paths of requests.
 */
#include "kube/resource.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

const struct kube_resource kube_pods = {NULL, "v1", "pods", "Pod", false};
const struct kube_resource kube_services = {NULL, "v1", "services", "Service", false};
const struct kube_resource kube_secrets = {NULL, "v1", "secrets", "Secret", false};
const struct kube_resource kube_config_maps = {NULL, "v1", "configmaps", "ConfigMap", false};
const struct kube_resource kube_nodes = {NULL, "v1", "nodes", "Node", true};
const struct kube_resource kube_events = {NULL, "v1", "events", "Event", false};
const struct kube_resource kube_jobs = {"batch", "v1", "jobs", "Job", false};
const struct kube_resource kube_leases = {"coordination.k8s.io", "v1", "leases", "Lease", false};
const struct kube_resource kube_pvcs = {NULL, "v1", "persistentvolumeclaims",
                                        "PersistentVolumeClaim", false};
const struct kube_resource kube_crds = {"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                        "CustomResourceDefinition", true};

/* Percent-encodes all but what RFC 3986 calls unreserved. */
static void put_escaped(struct buf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c))
            buf_put_u8(b, c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static void put_segment(struct buf *b, const char *text)
{
    buf_put_u8(b, '/');
    put_escaped(b, text);
}

char *kube_path(const struct kube_target *t)
{
    const struct kube_resource *r = t->resource;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_put_text(&b, r->group && r->group[0] ? "/apis" : "/api");
    if (r->group && r->group[0])
        put_segment(&b, r->group);
    put_segment(&b, r->version);
    if (t->ns && !r->cluster_scoped) {
        buf_put_text(&b, "/namespaces");
        put_segment(&b, t->ns);
    }
    put_segment(&b, r->plural);
    if (t->name)
        put_segment(&b, t->name);
    if (t->subresource)
        put_segment(&b, t->subresource);
    char mark = '?';
    for (size_t i = 0; i < t->n_params; i++) {
        if (!t->params[i].value)
            continue;
        buf_put_u8(&b, (uint8_t)mark);
        put_escaped(&b, t->params[i].name);
        buf_put_u8(&b, '=');
        put_escaped(&b, t->params[i].value);
        mark = '&';
    }
    char *path = buf_steal(&b, NULL);
    buf_fini(&b);
    return path;
}

char *kube_api_version(const struct kube_resource *r)
{
    if (r->group && r->group[0])
        return mem_printf("%s/%s", r->group, r->version);
    return mem_strdup(r->version);
}
