/* Names, labels, annotations and owner of pods: see pod.h. */
#include "core/pod_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash64.h"
#include "core/inject.h"

#define PREFIX_MAX 50 /* of a name, before "-worker-xxxxx" */
#define SUFFIX     5

/* -- names ------------------------------------------------------------------------------------- */

/* Five characters as Kubernetes would draw them: no vowels, so no words. */
static void suffix(const char *seed, char ret[SUFFIX + 1])
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    uint64_t h = hash_bytes(seed, strlen(seed));

    for (size_t i = 0; i < SUFFIX; i++, h /= sizeof letters - 1)
        ret[i] = letters[h % (sizeof letters - 1)];
    ret[SUFFIX] = 0;
}

static void seeded(const struct ray_cluster *c, const struct ray_group *g, const char *slot,
                   unsigned salt, char ret[SUFFIX + 1])
{
    char seed[512];

    snprintf(seed, sizeof seed, "%s/%s/%s/%u", c->uid, g->name, slot, salt);
    suffix(seed, ret);
}

void pod_prefix(const struct ray_cluster *c, const struct ray_group *g, char ret[POD_NAME_SIZE])
{
    char stem[PREFIX_MAX + 1];

    if (g->is_head)
        snprintf(stem, sizeof stem, "%s", c->name);
    else
        snprintf(stem, sizeof stem, "%s-%s", c->name, g->name);
    snprintf(ret, POD_NAME_SIZE, "%s-%s-", stem, g->is_head ? "head" : "worker");
    for (char *p = ret; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

void pod_name(const struct ray_cluster *c, const struct ray_group *g, const char *slot,
              unsigned salt, char ret[POD_NAME_SIZE])
{
    char end[SUFFIX + 1];

    pod_prefix(c, g, ret);
    seeded(c, g, slot, salt, end);
    size_t n = strlen(ret);
    snprintf(ret + n, POD_NAME_SIZE - n, "%s", end);
}

void pod_replica_name(const struct ray_cluster *c, const struct ray_group *g, int64_t replica,
                      char ret[POD_NAME_SIZE])
{
    char end[SUFFIX + 1], slot[32];

    snprintf(slot, sizeof slot, "replica-%lld", (long long)replica);
    seeded(c, g, slot, 0, end);
    snprintf(ret, POD_NAME_SIZE, "%.56s-%s", g->name, end);
}

/* -- owner ------------------------------------------------------------------------------------- */

int pod_set_owner(struct json *metadata, const struct ray_cluster *c)
{
    _cleanup_(json_freep) struct json *list = json_new_array();
    _cleanup_(json_freep) struct json *ref = json_new_object();
    int r = json_set_str(ref, "apiVersion", RAY_VERSION);

    if (r == 0)
        r = json_set_str(ref, "kind", "RayCluster");
    if (r == 0)
        r = json_set_str(ref, "name", c->name);
    if (r == 0)
        r = json_set_str(ref, "uid", c->uid);
    if (r == 0)
        r = json_set_bool(ref, "controller", true);
    if (r == 0)
        r = json_set_bool(ref, "blockOwnerDeletion", true);
    if (r == 0)
        r = json_append(list, STEAL(ref));
    return r == 0 ? json_set(metadata, "ownerReferences", STEAL(list)) : r;
}

/* -- labels and annotations -------------------------------------------------------------------- */

/* Ours that the user may not change, then the group's, the template's, and ours that the user may. */
static int set_labels(struct json *labels, const struct pod_site *s, const struct ray_group *g,
                      const struct pod_place *at)
{
    const struct ray_cluster *c = s->cluster;
    char identifier[POD_NAME_SIZE], replica[24], host[24];
    const struct {
        const char *key, *value;
        bool force;
    } all[] = {
        {RAY_LABEL_CLUSTER, c->name, true},
        {RAY_LABEL_NODE_TYPE, g->is_head ? "head" : "worker", true},
        {RAY_LABEL_GROUP, g->name, true},
        {RAY_LABEL_IS_NODE, "yes", false},
        {RAY_LABEL_IDENTIFIER, identifier, false},
        {RAY_LABEL_APP, "kuberay", false},
        {RAY_LABEL_CREATED_BY, POD_CREATED_BY, false},
        {RAY_LABEL_SERVE, ray_is_true(c->annotations, POD_SERVE) ? "true" : NULL, true},
        {RAY_LABEL_REPLICA_NAME, at->replica >= 0 ? at->replica_name : NULL, true},
        {RAY_LABEL_REPLICA_INDEX, at->replica >= 0 ? replica : NULL, true},
        {RAY_LABEL_HOST_INDEX, at->replica >= 0 ? host : NULL, true},
    };
    int r = 0;

    JSON_FOREACH(label, g->labels)
    if (r == 0 && json_str(label))
        r = json_set_str(labels, json_key(label), json_str(label));
    snprintf(identifier, sizeof identifier, "%.56s-%s", c->name, g->is_head ? "head" : "worker");
    snprintf(replica, sizeof replica, "%lld", (long long)at->replica);
    snprintf(host, sizeof host, "%lld", (long long)at->host);
    for (size_t i = 0; i < sizeof all / sizeof *all && r == 0; i++)
        if (all[i].value && (all[i].force || !json_get(labels, all[i].key)))
            r = json_set_str(labels, all[i].key, all[i].value);
    return r;
}

static int set_annotations(struct json *annotations, const struct pod_site *s)
{
    const struct ray_cluster *c = s->cluster;
    /* As KubeRay: told by the cluster, seen on its pods. */
    static const char *const handed_on[] = {RAY_ANNOTATION_OVERWRITE, RAY_ANNOTATION_FT,
                                            RAY_ANNOTATION_STORAGE_NS};
    int r = json_set_str(annotations, POD_ANNOTATION, s->config->version);

    if (r == 0 && s->hash)
        r = json_set_str(annotations, RAY_ANNOTATION_HASH, s->hash);
    for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on && r == 0; i++) {
        const char *v = json_str(json_get(c->annotations, handed_on[i]));
        if (v && !json_get(annotations, handed_on[i]))
            r = json_set_str(annotations, handed_on[i], v);
    }
    return r;
}

int pod_set_metadata__(struct json *pod, const struct pod_site *s, const struct ray_group *g,
                       const struct pod_place *at)
{
    struct json *meta = inject_object(pod, "metadata");
    struct json *labels = inject_object(meta, "labels");
    struct json *annotations = inject_object(meta, "annotations");

    if (!labels || !annotations)
        return -RAIA_ERR_NOMEM;
    json_free(json_detach(meta, "generateName"));
    int r = json_set_str(meta, "name", at->name);
    if (r == 0)
        r = json_set_str(meta, "namespace", s->cluster->ns);
    if (r == 0)
        r = set_labels(labels, s, g, at);
    if (r == 0)
        r = set_annotations(annotations, s);
    return r == 0 ? pod_set_owner(meta, s->cluster) : r;
}
