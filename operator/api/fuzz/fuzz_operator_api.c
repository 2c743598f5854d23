/*
 * Any JSON or YAML as a RayCluster and a RayJob: understood, or refused with a reason; whatever is
 * understood can be checked, hashed and blamed, and its counts stay in their bounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/blame.h"
#include "yaml/yaml_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void bounds(const struct ray_cluster_spec *s)
{
    char hash[RAY_HASH_SIZE];
    struct kube_error why = {.n_causes = 2};
    struct api_report bad = {0};

    if (s->desired_workers < 0 || s->desired_workers > INT32_MAX || s->max_workers > INT32_MAX)
        abort();
    for (size_t i = 0; i < s->n_workers; i++) {
        const struct ray_group *g = &s->workers[i];

        if (g->desired < 0 || g->desired > INT32_MAX || g->hosts < 1)
            abort();
        snprintf(why.causes[0].field, sizeof why.causes[0].field, "%s",
                 "spec.containers[0].env[1].value");
        snprintf(why.causes[1].field, sizeof why.causes[1].field, "%s", "metadata.labels[a]");
        blame_group(g, s->head.pod_template, &why, &bad);
    }
    if (ray_cluster_hash(s, hash) < 0 || strlen(hash) != RAY_HASH_SIZE - 1)
        abort();
}

static void told(const struct api_report *r)
{
    if (r->n > 0 && strncmp(r->path, "spec", 4) != 0 && strncmp(r->path, "metadata", 8) != 0)
        abort();
    if ((r->n > 0) != (r->text[0] != 0) || r->shown > r->n || strlen(r->text) >= API_REPORT_MAX)
        abort();
}

static void as_cluster(const struct json *tree)
{
    struct api_report bad = {0}, ignored = {0}, refused = {0};
    struct raia_error e = {0};
    struct ray_cluster *c = NULL;
    int r = ray_cluster_read(tree, &c, &e);

    if (r < 0 && (!e.code || !e.text[0] || c))
        abort();
    if (r < 0)
        return;
    ray_cluster_check(c, &bad);
    ray_cluster_unsupported(c, false, &ignored, &refused);
    told(&bad);
    told(&ignored);
    told(&refused);
    bounds(&c->spec);
    ray_cluster_free(c);
}

static void as_job(const struct json *tree)
{
    struct api_report bad = {0}, ignored = {0}, refused = {0};
    struct raia_error e = {0};
    struct ray_job *j = NULL;
    int r = ray_job_read(tree, &j, &e);

    if (r < 0 && (!e.code || !e.text[0] || j))
        abort();
    if (r < 0)
        return;
    ray_job_check(j, &bad);
    ray_job_unsupported(j, true, &ignored, &refused);
    told(&bad);
    told(&ignored);
    told(&refused);
    if (j->has_cluster)
        bounds(&j->cluster);
    ray_job_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *tree = NULL;

    if (yaml_load_one((const char *)data, size, "fuzz", NULL, &tree, NULL) < 0)
        return 0;
    as_cluster(tree);
    as_job(tree);
    json_free(tree);
    return 0;
}
