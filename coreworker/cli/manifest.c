/*
 * Reading manifests (manifest.h): documents to clusters and jobs.
 */
#include "cli/manifest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/manifest_fields.h"
#include "cli/quantity.h"
#include "yaml/yaml_load.h"

#define PATH_MAX_BYTES 256
#define NAME_MAX_BYTES 63 /* of a Kubernetes label, which names become */

/* Where the reader is. */
struct reader {
    struct yaml_docs *docs; /* all documents of the file */
    size_t doc;             /* index of the one being read */
    struct json *root;      /* its tree */
    struct manifest *m;     /* what is filled */
    struct raia_error *e;   /* for the first failure */
};

static void group_done(struct manifest_group *g)
{
    mem_free(g->name);
    json_free(g->resources);
    json_free(g->labels);
}

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->nclusters; i++) {
        for (size_t j = 0; j < m->clusters[i].ngroups; j++)
            group_done(&m->clusters[i].groups[j]);
        mem_free(m->clusters[i].groups);
        mem_free(m->clusters[i].name);
    }
    for (size_t i = 0; i < m->njobs; i++) {
        struct manifest_job *j = &m->jobs[i];
        mem_free(j->name);
        mem_free(j->entrypoint);
        mem_free(j->submission_id);
        mem_free(j->cluster);
        json_free(j->runtime_env);
        json_free(j->metadata);
        json_free(j->submit_resources);
    }
    mem_free(m->clusters);
    mem_free(m->jobs);
    json_free(m->ignored);
    mem_free(m);
}

void manifest_freep(void *p)
{
    manifest_free(*(struct manifest **)p);
}

/* Ends with "FILE:LINE:COLUMN: PATH: what". */
static int wrong(struct reader *rd, const char *path, const char *what)
{
    err_set(rd->e, RAIA_ERR_INVALID, "%s: %s", path, what);
    return yaml_blame(rd->docs, rd->doc, path, rd->e);
}

static int blame(struct reader *rd, const char *path)
{
    return yaml_blame(rd->docs, rd->doc, path, rd->e);
}

static int ignore(struct reader *rd, const char *what)
{
    JSON_FOREACH(it, rd->m->ignored)
    if (!strcmp(json_str(it), what))
        return 0;
    if (json_append_str(rd->m->ignored, what) < 0)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    return 0;
}

/* Unknown fields are errors; those without meaning here are noted. */
static int check_fields(struct reader *rd, const char *path, const struct manifest_field *fields)
{
    struct json *node = json_at(rd->root, path);
    if (!json_is(node, JSON_OBJECT))
        return wrong(rd, path, node ? "expected an object" : "is required");
    JSON_FOREACH(it, node)
    {
        const struct manifest_field *f = fields;
        while (f->name && strcmp(f->name, json_key(it)))
            f++;
        char at[PATH_MAX_BYTES];
        snprintf(at, sizeof at, "%s.%s", path, json_key(it));
        if (!f->name)
            return wrong(rd, at, "there is no such field (is the name spelt right?)");
        int r = f->used ? 0 : ignore(rd, f->name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int get_int(struct reader *rd, const char *base, const char *name, int64_t def, int64_t min,
                   int64_t *ret)
{
    char path[PATH_MAX_BYTES], what[96];
    snprintf(path, sizeof path, "%s.%s", base, name);
    if (json_opt_int(rd->root, path, def, ret, rd->e) < 0)
        return blame(rd, path);
    snprintf(what, sizeof what, "expected %lld to %d, found %lld", (long long)min, INT32_MAX,
             (long long)*ret);
    return *ret < min || *ret > INT32_MAX ? wrong(rd, path, what) : 0;
}

static int get_bool(struct reader *rd, const char *base, const char *name, bool *ret)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s.%s", base, name);
    return json_opt_bool(rd->root, path, false, ret, rd->e) < 0 ? blame(rd, path) : 0;
}

/* A copy of a text, or NULL if it is not there. */
static int get_text(struct reader *rd, const char *base, const char *name, char **ret)
{
    char path[PATH_MAX_BYTES];
    const char *v;
    snprintf(path, sizeof path, "%s.%s", base, name);
    if (json_opt_str(rd->root, path, NULL, &v, rd->e) < 0)
        return blame(rd, path);
    if (v && !(*ret = mem_strdup(v)))
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    return 0;
}

/* ---- groups */

static int set_number(struct reader *rd, struct json *object, const char *key, double v)
{
    return json_set_double(object, key, v) < 0
               ? err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest")
               : 0;
}

/* One resource by its name, wherever it was said. */
static int set_resource(struct reader *rd, struct manifest_group *g, const char *name, double v)
{
    if (!strcmp(name, "CPU"))
        g->num_cpus = v;
    else if (!strcmp(name, "memory"))
        g->memory = (int64_t)v;
    else
        return set_number(rd, g->resources, name, v);
    return 0;
}

static int read_quantity(struct reader *rd, const char *path, const struct json *n, double *ret)
{
    if (quantity_of(n, ret) < 0 || *ret < 0 || *ret > 1e15)
        return wrong(rd, path, "expected a quantity such as 2, 500m or 1Gi");
    return 0;
}

/* What the first container may use is what the node has, unless the start parameters say more. */
static int read_limits(struct reader *rd, const char *base, struct manifest_group *g)
{
    char path[PATH_MAX_BYTES], at[2 * PATH_MAX_BYTES];
    static const char *const kinds[] = {"requests", "limits"}; /* limits win */
    for (size_t k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s.template.spec.containers[0].resources.%s", base, kinds[k]);
        struct json *node = json_at(rd->root, path);
        if (node && !json_is(node, JSON_OBJECT) && !json_is(node, JSON_NULL))
            return wrong(rd, path, "expected an object of name: quantity");
        JSON_FOREACH(it, node)
        {
            const char *name = json_key(it);
            double v;
            snprintf(at, sizeof at, "%s.%s", path, name);
            int r = read_quantity(rd, strchr(name, '.') ? path : at, it, &v);
            if (r == 0 && !strcmp(name, "cpu"))
                g->num_cpus = ceil(v); /* as KubeRay rounds */
            else if (r == 0 && !strcmp(name, "memory"))
                g->memory = (int64_t)v;
            else if (r == 0 && !strcmp(name, "nvidia.com/gpu"))
                r = set_number(rd, g->resources, "GPU", v);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int read_map(struct reader *rd, const char *base, const char *name, struct manifest_group *g,
                    bool quantities)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s.%s", base, name);
    struct json *node = json_at(rd->root, path);
    if (node && !json_is(node, JSON_OBJECT) && !json_is(node, JSON_NULL))
        return wrong(rd, path, "expected an object");
    JSON_FOREACH(it, node)
    {
        double v = 0;
        int r = 0;
        if (quantities) {
            r = read_quantity(rd, path, it, &v);
            r = r < 0 ? r : set_resource(rd, g, json_key(it), v);
        } else if (!json_str(it)) {
            r = wrong(rd, path, "expected an object of texts");
        } else if (json_set_str(g->labels, json_key(it), json_str(it)) < 0) {
            r = err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* rayStartParams.resources is JSON within a text, often quoted once more for a shell. */
static int read_start_resources(struct reader *rd, const char *path, const char *text,
                                struct manifest_group *g)
{
    _cleanup_(mem_freep) char *plain = mem_alloc(strlen(text) + 1);
    _cleanup_(json_freep) struct json *tree = NULL;
    if (!plain)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    char *to = plain;
    size_t n = strlen(text);
    bool quoted = n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n - 1] == text[0];
    for (const char *p = text + quoted; p < text + n - quoted; p++) {
        if (quoted && text[0] == '"' && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        *to++ = *p;
    }
    *to = 0;
    if (json_parse(plain, (size_t)(to - plain), NULL, &tree, NULL) < 0 ||
        !json_is(tree, JSON_OBJECT))
        return wrong(rd, path, "expected a JSON object of name: quantity, as a text");
    JSON_FOREACH(it, tree)
    {
        double v;
        int r = read_quantity(rd, path, it, &v);
        if (r == 0)
            r = set_resource(rd, g, json_key(it), v);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_start_params(struct reader *rd, const char *base, struct manifest_group *g)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s.rayStartParams", base);
    struct json *node = json_at(rd->root, path);
    if (node && !json_is(node, JSON_OBJECT) && !json_is(node, JSON_NULL))
        return wrong(rd, path, "expected an object of texts");
    JSON_FOREACH(it, node)
    {
        const char *key = json_key(it), *text = json_str(it);
        char at[2 * PATH_MAX_BYTES];
        double v = 0;
        int r = 0;
        snprintf(at, sizeof at, "%s.%s", path, key);
        if (!text) {
            r = wrong(rd, at, "expected a text (put the value in quotes)");
        } else if (!strcmp(key, "resources")) {
            r = read_start_resources(rd, at, text, g);
        } else if (!strcmp(key, "num-cpus") || !strcmp(key, "num-gpus") || !strcmp(key, "memory") ||
                   !strcmp(key, "object-store-memory")) {
            r = read_quantity(rd, at, it, &v);
            if (r == 0 && !strcmp(key, "object-store-memory"))
                g->object_store_memory = (int64_t)v;
            else if (r == 0)
                r = set_resource(rd, g,
                                 !strcmp(key, "num-cpus")   ? "CPU"
                                 : !strcmp(key, "num-gpus") ? "GPU"
                                                            : "memory",
                                 v);
        } else {
            char what[PATH_MAX_BYTES];
            snprintf(what, sizeof what, "rayStartParams.%s", key);
            r = ignore(rd, what);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_group(struct reader *rd, const char *base, bool head, struct manifest_group *g)
{
    g->num_cpus = -1;
    g->resources = json_new_object();
    g->labels = json_new_object();
    if (!g->resources || !g->labels)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    int r = check_fields(rd, base, head ? manifest_head_fields : manifest_worker_fields);
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s.template.spec.containers", base);
    if (r == 0 && !json_size(json_at(rd->root, path)))
        r = wrong(rd, path, "expected a list with at least one container");
    if (r == 0)
        r = ignore(rd, "template (but the first container's resources)");
    if (r == 0)
        r = read_limits(rd, base, g);
    if (r == 0)
        r = read_start_params(rd, base, g);
    if (r == 0)
        r = read_map(rd, base, "resources", g, true);
    if (r == 0)
        r = read_map(rd, base, "labels", g, false);
    if (r < 0 || head) {
        g->replicas = 1;
        if (r == 0 && !(g->name = mem_strdup("head")))
            r = err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
        return r;
    }
    int64_t min, max, hosts;
    bool suspend;
    r = get_text(rd, base, "groupName", &g->name);
    snprintf(path, sizeof path, "%s.groupName", base);
    if (r == 0 && (!g->name || !*g->name || strchr(g->name, '/') || !strcmp(g->name, "head")))
        r = wrong(rd, path, "expected a name (not 'head', no '/')");
    if (r == 0)
        r = get_int(rd, base, "minReplicas", 0, 0, &min);
    if (r == 0)
        r = get_int(rd, base, "maxReplicas", INT32_MAX, 0, &max);
    if (r == 0)
        r = get_int(rd, base, "replicas", min, 0, &g->replicas);
    if (r == 0)
        r = get_int(rd, base, "numOfHosts", 1, 1, &hosts);
    if (r == 0)
        r = get_bool(rd, base, "suspend", &suspend);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%s.maxReplicas", base);
    if (max < min)
        return wrong(rd, path, "is less than minReplicas");
    g->replicas = g->replicas < min ? min : g->replicas > max ? max : g->replicas;
    g->replicas = suspend ? 0 : g->replicas * hosts;
    return 0;
}

/* ---- documents */

static int read_cluster(struct reader *rd, const char *base, const char *name)
{
    struct manifest_cluster *more =
        mem_realloc(rd->m->clusters, (rd->m->nclusters + 1) * sizeof *more);
    if (!more)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    rd->m->clusters = more;
    struct manifest_cluster *c = &more[rd->m->nclusters++];
    *c = (struct manifest_cluster){.name = mem_strdup(name)};
    int r = check_fields(rd, base, manifest_cluster_fields);
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s.workerGroupSpecs", base);
    struct json *workers = json_at(rd->root, path);
    if (r == 0 && workers && !json_is(workers, JSON_ARRAY) && !json_is(workers, JSON_NULL))
        r = wrong(rd, path, "expected a list");
    if (r < 0)
        return r;
    size_t n = json_size(workers);
    c->groups = mem_calloc(n + 1, sizeof *c->groups);
    if (!c->name || !c->groups)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    int64_t nodes = 0;
    for (size_t i = 0; r == 0 && i <= n; i++) {
        if (i == 0)
            snprintf(path, sizeof path, "%s.headGroupSpec", base);
        else
            snprintf(path, sizeof path, "%s.workerGroupSpecs[%zu]", base, i - 1);
        c->ngroups++;
        r = read_group(rd, path, i == 0, &c->groups[i]);
        nodes += c->groups[i].replicas;
        for (size_t j = 1; r == 0 && j < i; j++)
            if (!strcmp(c->groups[j].name, c->groups[i].name))
                r = wrong(rd, path, "its groupName is used twice");
        if (r == 0 && nodes > MANIFEST_NODES_MAX)
            r = wrong(rd, path, "more than 256 nodes on one machine: lower replicas");
    }
    return r == 0 ? get_bool(rd, base, "suspend", &c->suspend) : r;
}

static int read_runtime_env(struct reader *rd, struct manifest_job *j)
{
    static const char *const path = "spec.runtimeEnvYAML";
    const char *text;
    if (json_opt_str(rd->root, path, "", &text, rd->e) < 0)
        return blame(rd, path);
    if (!text || !text[strspn(text, " \t\r\n")]) {
        j->runtime_env = json_new_object();
        return j->runtime_env ? 0 : err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    }
    if (yaml_load_one(text, strlen(text), "runtimeEnvYAML", NULL, &j->runtime_env, rd->e) < 0)
        return blame(rd, path);
    if (!json_is(j->runtime_env, JSON_OBJECT))
        return wrong(rd, path, "expected YAML of an object, such as 'env_vars: {A: b}'");
    JSON_FOREACH(it, j->runtime_env)
    {
        char what[PATH_MAX_BYTES];
        if (!strcmp(json_key(it), "env_vars") || !strcmp(json_key(it), "working_dir"))
            continue;
        snprintf(what, sizeof what, "runtimeEnvYAML.%s", json_key(it));
        int r = ignore(rd, what);
        if (r < 0)
            return r;
    }
    JSON_FOREACH(it, json_get(j->runtime_env, "env_vars"))
    if (!json_str(it))
        return wrong(rd, path, "env_vars: expected texts (put the values in quotes)");
    return 0;
}

static int read_job_cluster(struct reader *rd, struct manifest_job *j)
{
    struct json *spec = json_at(rd->root, "spec.rayClusterSpec");
    struct json *selector = json_at(rd->root, "spec.clusterSelector");
    if ((spec != NULL) == (selector != NULL))
        return wrong(rd, "spec", "expected one of rayClusterSpec and clusterSelector");
    if (spec) {
        j->own_cluster = true;
        j->cluster = mem_strdup(j->name);
        return j->cluster ? read_cluster(rd, "spec.rayClusterSpec", j->name)
                          : err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    }
    const char *name = json_str(json_get(selector, "ray.io/cluster"));
    if (!name)
        return wrong(rd, "spec.clusterSelector", "expected 'ray.io/cluster: NAME'");
    j->cluster = mem_strdup(name);
    return j->cluster ? 0 : err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
}

static int read_submit_resources(struct reader *rd, struct manifest_job *j)
{
    static const struct {
        const char *field, *rest;
    } map[] = {{"spec.entrypointNumCpus", "entrypoint_num_cpus"},
               {"spec.entrypointNumGpus", "entrypoint_num_gpus"}};
    j->submit_resources = json_new_object();
    if (!j->submit_resources)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    for (size_t i = 0; i < 2; i++) {
        struct json *n = json_at(rd->root, map[i].field);
        double v;
        int r = n ? read_quantity(rd, map[i].field, n, &v) : 0;
        if (n && r == 0)
            r = set_number(rd, j->submit_resources, map[i].rest, v);
        if (r < 0)
            return r;
    }
    struct json *text = json_at(rd->root, "spec.entrypointResources"), *tree = NULL;
    if (!text)
        return 0;
    if (!json_str(text) ||
        json_parse(json_str(text), strlen(json_str(text)), NULL, &tree, NULL) < 0 ||
        !json_is(tree, JSON_OBJECT)) {
        json_free(tree);
        return wrong(rd, "spec.entrypointResources", "expected a JSON object, as a text");
    }
    return json_set(j->submit_resources, "entrypoint_resources", tree) < 0
               ? err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest")
               : 0;
}

static int read_job(struct reader *rd, const char *name)
{
    struct manifest_job *more = mem_realloc(rd->m->jobs, (rd->m->njobs + 1) * sizeof *more);
    if (!more)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    rd->m->jobs = more;
    struct manifest_job *j = &more[rd->m->njobs++];
    *j = (struct manifest_job){.name = mem_strdup(name)};
    if (!j->name)
        return err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    _cleanup_(mem_freep) char *mode = NULL;
    int r = check_fields(rd, "spec", manifest_job_fields);
    if (r == 0)
        r = get_text(rd, "spec", "entrypoint", &j->entrypoint);
    if (r == 0)
        r = get_text(rd, "spec", "submissionMode", &mode);
    bool interactive = mode && !strcmp(mode, "InteractiveMode");
    if (r == 0 && mode && !interactive && strcmp(mode, "K8sJobMode") && strcmp(mode, "HTTPMode") &&
        strcmp(mode, "SidecarMode"))
        r = wrong(rd, "spec.submissionMode",
                  "expected K8sJobMode, HTTPMode, SidecarMode or InteractiveMode");
    if (r == 0 && !interactive && (!j->entrypoint || !*j->entrypoint))
        r = wrong(rd, "spec.entrypoint", "is required: the command that the job runs");
    if (r == 0 && interactive) {
        mem_free(STEAL(j->entrypoint)); /* the user submits by hand */
        r = ignore(rd, "submissionMode: InteractiveMode (submit with `raia job submit`)");
    }
    if (r == 0)
        r = get_text(rd, "spec", "jobId", &j->submission_id);
    if (r == 0)
        r = get_int(rd, "spec", "backoffLimit", 0, 0, &j->backoff_limit);
    if (r == 0)
        r = get_int(rd, "spec", "activeDeadlineSeconds", 0, 0, &j->active_deadline_s);
    if (r == 0 && !j->active_deadline_s && json_at(rd->root, "spec.activeDeadlineSeconds"))
        r = wrong(rd, "spec.activeDeadlineSeconds", "expected a positive number of seconds");
    if (r == 0)
        r = get_int(rd, "spec", "ttlSecondsAfterFinished", 0, 0, &j->ttl_after_finished_s);
    if (r == 0)
        r = get_bool(rd, "spec", "shutdownAfterJobFinishes", &j->shutdown_after_finished);
    if (r == 0)
        r = get_bool(rd, "spec", "suspend", &j->suspend);
    if (r == 0)
        r = read_runtime_env(rd, j);
    if (r == 0)
        r = read_submit_resources(rd, j);
    struct json *metadata = json_at(rd->root, "spec.metadata");
    if (r == 0 && metadata && !json_is(metadata, JSON_OBJECT) && !json_is(metadata, JSON_NULL))
        r = wrong(rd, "spec.metadata", "expected an object of texts");
    JSON_FOREACH(it, r == 0 ? metadata : NULL)
    if (!json_str(it))
        return wrong(rd, "spec.metadata", "expected texts (put the values in quotes)");
    if (r == 0 &&
        !(j->metadata = json_is(metadata, JSON_OBJECT) ? json_copy(metadata) : json_new_object()))
        r = err_set(rd->e, RAIA_ERR_NOMEM, "reading the manifest");
    return r == 0 ? read_job_cluster(rd, j) : r;
}

static bool good_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > NAME_MAX_BYTES || name[0] == '-' || name[n - 1] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n && name[0] != '.';
}

static int read_document(struct reader *rd)
{
    const char *version, *kind, *name;
    if (!json_is(rd->root, JSON_OBJECT)) {
        err_set(rd->e, RAIA_ERR_INVALID, "expected an object with apiVersion and kind");
        return blame(rd, "");
    }
    if (json_get_str(rd->root, "apiVersion", &version, rd->e) < 0)
        return blame(rd, "apiVersion");
    if (json_get_str(rd->root, "kind", &kind, rd->e) < 0)
        return blame(rd, "kind");
    bool job = !strcmp(kind, "RayJob"), ours = job || !strcmp(kind, "RayCluster");
    if (!ours || strncmp(version, "ray.io/", 7)) {
        char what[PATH_MAX_BYTES];
        snprintf(what, sizeof what, "kind %s", kind);
        return ignore(rd, what);
    }
    if (strcmp(version, "ray.io/v1") && strcmp(version, "ray.io/v1alpha1"))
        return wrong(rd, "apiVersion", "expected ray.io/v1 or ray.io/v1alpha1");
    const char *where = "metadata.name";
    if (!json_at(rd->root, where) && json_at(rd->root, "metadata.generateName"))
        where = "metadata.generateName";
    if (json_get_str(rd->root, where, &name, rd->e) < 0)
        return blame(rd, where);
    char given[NAME_MAX_BYTES + 8];
    snprintf(given, sizeof given, "%s%s", name, strcmp(where, "metadata.name") ? "1" : "");
    if (strlen(name) > NAME_MAX_BYTES || !good_name(given))
        return wrong(rd, where, "expected up to 63 of a-z, 0-9, '-' and '.'");
    return job ? read_job(rd, given) : read_cluster(rd, "spec", given);
}

static int check_names(struct reader *rd)
{
    const struct manifest *m = rd->m;
    for (size_t i = 0; i < m->nclusters; i++)
        for (size_t j = 0; j < i; j++)
            if (!strcmp(m->clusters[i].name, m->clusters[j].name))
                return err_set(rd->e, RAIA_ERR_INVALID, "%s: two clusters are named '%s'",
                               yaml_name(rd->docs), m->clusters[i].name);
    if (m->nclusters + m->njobs == 0)
        return err_set(rd->e, RAIA_ERR_INVALID,
                       "%s: no RayCluster and no RayJob (apiVersion ray.io/v1) in it",
                       yaml_name(rd->docs));
    return 0;
}

int manifest_load(const char *path, struct manifest **ret_m, struct raia_error *e)
{
    struct raia_error local = {0};
    _cleanup_(yaml_freep) struct yaml_docs *docs = NULL;
    _cleanup_(manifest_freep) struct manifest *m = mem_new(struct manifest);
    if (!m || !(m->ignored = json_new_array()))
        return err_set(e, RAIA_ERR_NOMEM, "reading '%s'", path);
    struct reader rd = {.m = m, .e = e ? e : &local};
    int r = yaml_load_file(path, NULL, &docs, rd.e);
    rd.docs = docs;
    for (; r == 0 && rd.doc < yaml_count(docs); rd.doc++) {
        rd.root = yaml_doc(docs, rd.doc);
        r = read_document(&rd);
    }
    if (r == 0)
        r = check_names(&rd);
    if (r < 0)
        return r;
    *ret_m = STEAL(m);
    return 0;
}
