/*
 * The hash of what a RayCluster's pods are made of.
 *
 * SHA-256 over a copy of the spec, without what changes no pod, as compact JSON with sorted keys.
 * The values must stay what they are from one version of the operator to the next: a change would
 * make all pods of all clusters anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/raycluster.h"
#include "base/mem.h"
#include "crypto/crypto.h"

static const char *const spec_without[] = {"suspend", "managedBy", "upgradeStrategy"};
static const char *const group_without[] = {"replicas", "minReplicas",   "maxReplicas",
                                            "suspend",  "scaleStrategy", "idleTimeoutSeconds",
                                            "priority"};

static int by_key(const void *a, const void *b)
{
    return strcmp(json_key(*(const struct json *const *)a),
                  json_key(*(const struct json *const *)b));
}

static int add(struct crypto_sha256 *h, const char *text)
{
    return crypto_sha256_add(h, text, strlen(text));
}

static int add_tree(struct crypto_sha256 *h, const struct json *n);

static bool is_left_out(const struct json *member, const char *const *without, size_t n)
{
    if (json_is(member, JSON_NULL)) /* the same as absent */
        return true;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(json_key(member), without[i]) == 0)
            return true;
    }
    return false;
}

static int add_text(struct crypto_sha256 *h, const char *text)
{
    char len[24];

    snprintf(len, sizeof len, "%zu:", strlen(text));
    int r = add(h, len);
    return r < 0 ? r : add(h, text);
}

/* The members in order of their keys. `workers`: those of workerGroupSpecs are groups. */
static int add_object(struct crypto_sha256 *h, const struct json *n, const char *const *without,
                      size_t n_without, bool workers)
{
    _cleanup_(mem_freep) const struct json **members = NULL;
    size_t count = 0, size = json_size(n);
    int r;

    members = mem_calloc(size > 0 ? size : 1, sizeof *members);
    if (!members)
        return -RAIA_ERR_NOMEM;
    JSON_FOREACH(item, n)
    {
        if (!is_left_out(item, without, n_without))
            members[count++] = item;
    }
    qsort(members, count, sizeof *members, by_key);
    r = add(h, "{");
    for (size_t i = 0; i < count && r == 0; i++) {
        r = add_text(h, json_key(members[i]));
        if (r < 0)
            return r;
        if (!workers || strcmp(json_key(members[i]), "workerGroupSpecs") != 0) {
            r = add_tree(h, members[i]);
            continue;
        }
        r = add(h, "[");
        JSON_FOREACH(group, members[i])
        {
            if (r == 0)
                r = add_object(h, group, group_without,
                               sizeof group_without / sizeof group_without[0], false);
        }
        if (r == 0)
            r = add(h, "]");
    }
    return r < 0 ? r : add(h, "}");
}

static int add_tree(struct crypto_sha256 *h, const struct json *n)
{
    _cleanup_(mem_freep) char *text = NULL;
    int r;

    if (json_is(n, JSON_OBJECT))
        return add_object(h, n, NULL, 0, false);
    if (json_is(n, JSON_ARRAY)) {
        r = add(h, "[");
        JSON_FOREACH(item, n)
        {
            if (r == 0)
                r = add_tree(h, item);
        }
        return r < 0 ? r : add(h, "]");
    }
    text = json_print(n, JSON_COMPACT, NULL);
    return text ? add_text(h, text) : -RAIA_ERR_NOMEM;
}

int ray_cluster_hash(const struct ray_cluster_spec *s, char ret[RAY_HASH_SIZE])
{
    _cleanup_(crypto_sha256_freep) struct crypto_sha256 *h = crypto_sha256_new();
    uint8_t digest[CRYPTO_SHA256_SIZE];
    int r;

    if (!h)
        return -RAIA_ERR_NOMEM;
    r = add_object(h, s->node, spec_without, sizeof spec_without / sizeof spec_without[0], true);
    if (r == 0)
        r = crypto_sha256_end(h, digest);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
