/*
 * Clusters in manifests (manifest_reader.h): the head and the worker groups, and what each node of
 * them has.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/manifest_reader.h"

/* One resource by its name, wherever it was said. */
static int set_resource(struct manifest_reader *rd, struct manifest_group *g, const char *name,
                        double v)
{
    if (!strcmp(name, "CPU"))
        g->num_cpus = v;
    else if (!strcmp(name, "memory"))
        g->memory = (int64_t)v;
    else if (json_set_double(g->resources, name, v) < 0)
        return manifest_nomem(rd);
    return 0;
}

/* What the first container may use is what the node has, unless the start parameters say more. */
static int read_limits(struct manifest_reader *rd, const char *base, struct manifest_group *g)
{
    static const char *const kinds[] = {"requests", "limits"}; /* limits win */
    char within[MANIFEST_PATH_MAX], path[MANIFEST_PATH_MAX], at[MANIFEST_PATH_MAX];
    snprintf(within, sizeof within, "%s.template.spec.containers[0].resources", base);
    for (size_t k = 0; k < 2; k++) {
        struct json *node;
        int r = manifest_get_node(rd, within, kinds[k], JSON_OBJECT,
                                  "expected an object of name: quantity", &node);
        manifest_path(path, within, kinds[k]);
        JSON_FOREACH(it, r == 0 ? node : NULL)
        {
            const char *name = json_key(it);
            double v;
            r = manifest_quantity(rd, manifest_path(at, path, name), it, &v);
            if (r == 0 && !strcmp(name, "cpu"))
                g->num_cpus = ceil(v); /* as KubeRay rounds */
            else if (r == 0 && !strcmp(name, "memory"))
                g->memory = (int64_t)v;
            else if (r == 0 && !strcmp(name, "nvidia.com/gpu"))
                r = set_resource(rd, g, "GPU", v);
            if (r < 0)
                return r;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_resources(struct manifest_reader *rd, const char *base, struct manifest_group *g)
{
    char path[MANIFEST_PATH_MAX], at[MANIFEST_PATH_MAX];
    struct json *node;
    int r = manifest_get_node(rd, base, "resources", JSON_OBJECT,
                              "expected an object of name: quantity", &node);
    manifest_path(path, base, "resources");
    JSON_FOREACH(it, r == 0 ? node : NULL)
    {
        double v;
        r = manifest_quantity(rd, manifest_path(at, path, json_key(it)), it, &v);
        if (r == 0)
            r = set_resource(rd, g, json_key(it), v);
        if (r < 0)
            return r;
    }
    return r;
}

static int read_labels(struct manifest_reader *rd, const char *base, struct manifest_group *g)
{
    char path[MANIFEST_PATH_MAX], at[MANIFEST_PATH_MAX];
    struct json *node;
    int r =
        manifest_get_node(rd, base, "labels", JSON_OBJECT, "expected an object of texts", &node);
    manifest_path(path, base, "labels");
    JSON_FOREACH(it, r == 0 ? node : NULL)
    {
        if (!json_str(it))
            return manifest_wrong(rd, manifest_path(at, path, json_key(it)),
                                  "expected a text (put the value in quotes)");
        if (json_set_str(g->labels, json_key(it), json_str(it)) < 0)
            return manifest_nomem(rd);
    }
    return r;
}

/* Undoes one level of a shell's quotes: '...' or "..." with \" and \\ in it. NULL: no memory. */
static char *unquote(const char *text)
{
    size_t n = strlen(text);
    char *plain = mem_alloc(n + 1), *to = plain;
    bool quoted = n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n - 1] == text[0];
    if (!plain)
        return NULL;
    for (const char *p = text + quoted, *end = text + n - quoted; p < end; p++) {
        if (quoted && text[0] == '"' && *p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
            p++;
        *to++ = *p;
    }
    *to = 0;
    return plain;
}

/* rayStartParams.resources is JSON within a text, often quoted once more for a shell. */
static int read_start_resources(struct manifest_reader *rd, const char *path, const char *text,
                                struct manifest_group *g)
{
    _cleanup_(mem_freep) char *plain = unquote(text);
    _cleanup_(json_freep) struct json *tree = NULL;
    if (!plain)
        return manifest_nomem(rd);
    int parsed = json_parse(plain, strlen(plain), NULL, &tree, NULL);
    if (parsed == -RAIA_ERR_NOMEM)
        return manifest_nomem(rd);
    if (parsed < 0 || !json_is(tree, JSON_OBJECT))
        return manifest_wrong(rd, path, "expected a JSON object of name: quantity, as a text");
    JSON_FOREACH(it, tree)
    {
        double v;
        int r = manifest_quantity(rd, path, it, &v);
        if (r == 0)
            r = set_resource(rd, g, json_key(it), v);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_start_param(struct manifest_reader *rd, const char *path, const struct json *it,
                            struct manifest_group *g)
{
    static const struct {
        const char *param, *resource; /* NULL: the object store's memory */
    } amounts[] = {{"num-cpus", "CPU"},
                   {"num-gpus", "GPU"},
                   {"memory", "memory"},
                   {"object-store-memory", NULL}};
    const char *key = json_key(it);
    double v;
    if (!json_str(it))
        return manifest_wrong(rd, path, "expected a text (put the value in quotes)");
    if (!strcmp(key, "resources"))
        return read_start_resources(rd, path, json_str(it), g);
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        if (strcmp(key, amounts[i].param))
            continue;
        int r = manifest_quantity(rd, path, it, &v);
        if (r == 0 && amounts[i].resource)
            r = set_resource(rd, g, amounts[i].resource, v);
        else if (r == 0)
            g->object_store_memory = (int64_t)v;
        return r;
    }
    char what[MANIFEST_PATH_MAX];
    snprintf(what, sizeof what, "rayStartParams.%s", key);
    return manifest_ignore(rd, what);
}

static int read_start_params(struct manifest_reader *rd, const char *base, struct manifest_group *g)
{
    char path[MANIFEST_PATH_MAX], at[MANIFEST_PATH_MAX];
    struct json *node;
    int r = manifest_get_node(rd, base, "rayStartParams", JSON_OBJECT,
                              "expected an object of texts", &node);
    manifest_path(path, base, "rayStartParams");
    JSON_FOREACH(it, r == 0 ? node : NULL)
    if ((r = read_start_param(rd, manifest_path(at, path, json_key(it)), it, g)) < 0)
        return r;
    return r;
}

/* How many nodes a worker group has. */
static int read_replicas(struct manifest_reader *rd, const char *base, struct manifest_group *g)
{
    int64_t min = 0, max = INT32_MAX, hosts = 1;
    bool suspend = false;
    char path[MANIFEST_PATH_MAX];
    int r = manifest_get_int(rd, base, "minReplicas", 0, 0, &min);
    if (r == 0)
        r = manifest_get_int(rd, base, "maxReplicas", INT32_MAX, 0, &max);
    if (r == 0 && max < min)
        r = manifest_wrong(rd, manifest_path(path, base, "maxReplicas"),
                           "is less than minReplicas");
    if (r == 0)
        r = manifest_get_int(rd, base, "replicas", min, 0, &g->replicas);
    if (r == 0)
        r = manifest_get_int(rd, base, "numOfHosts", 1, 1, &hosts);
    if (r == 0)
        r = manifest_get_bool(rd, base, "suspend", &suspend);
    if (r < 0)
        return r;
    g->replicas = g->replicas < min ? min : g->replicas > max ? max : g->replicas;
    g->replicas = suspend ? 0 : g->replicas * hosts;
    return 0;
}

/* It becomes part of the names of folders. */
static bool good_group_name(const char *name)
{
    return name && *name && strlen(name) <= MANIFEST_NAME_MAX && strcmp(name, "head") &&
           name[0] != '.' && !strpbrk(name, "/ \t\r\n");
}

static int read_group(struct manifest_reader *rd, const char *base, bool head,
                      struct manifest_group *g)
{
    char spec[MANIFEST_PATH_MAX], path[MANIFEST_PATH_MAX];
    struct json *containers = NULL;
    g->num_cpus = -1;
    g->replicas = 1;
    g->resources = json_new_object();
    g->labels = json_new_object();
    if (!g->resources || !g->labels)
        return manifest_nomem(rd);
    int r = manifest_check_fields(rd, base, head ? manifest_head_fields : manifest_worker_fields);
    snprintf(spec, sizeof spec, "%s.template.spec", base);
    if (r == 0)
        r = manifest_get_node(rd, spec, "containers", JSON_ARRAY, "expected a list", &containers);
    if (r == 0 && !json_size(containers))
        r = manifest_wrong(rd, manifest_path(path, spec, "containers"),
                           "expected a list with at least one container");
    if (r == 0)
        r = manifest_ignore(rd, "template (but the first container's resources)");
    if (r == 0)
        r = read_limits(rd, base, g);
    if (r == 0)
        r = read_start_params(rd, base, g);
    if (r == 0)
        r = read_resources(rd, base, g);
    if (r == 0)
        r = read_labels(rd, base, g);
    if (r == 0 && head)
        return (g->name = mem_strdup("head")) ? 0 : manifest_nomem(rd);
    if (r == 0)
        r = manifest_get_text(rd, base, "groupName", &g->name);
    if (r == 0 && !good_group_name(g->name))
        r = manifest_wrong(rd, manifest_path(path, base, "groupName"),
                           "expected a name: up to 63 bytes, not 'head', no '/' and no blanks");
    return r == 0 ? read_replicas(rd, base, g) : r;
}

static int add_group(struct manifest_reader *rd, const char *path, struct manifest_cluster *c,
                     int64_t *nodes)
{
    struct manifest_group *g = &c->groups[c->ngroups++];
    bool head = g == c->groups;
    char at[MANIFEST_PATH_MAX];
    int r = read_group(rd, path, head, g);
    if (r < 0)
        return r;
    *nodes += g->replicas;
    for (struct manifest_group *other = c->groups + 1; !head && other < g; other++)
        if (!strcmp(other->name, g->name))
            return manifest_wrong(rd, manifest_path(at, path, "groupName"),
                                  "another group has this name");
    if (*nodes > MANIFEST_NODES_MAX)
        return manifest_wrong(rd, manifest_path(at, path, "replicas"),
                              "more than 256 nodes on one machine: lower replicas");
    return 0;
}

int manifest_read_cluster(struct manifest_reader *rd, const char *base, const char *name)
{
    struct manifest_cluster *more =
        mem_realloc(rd->m->clusters, (rd->m->nclusters + 1) * sizeof *more);
    if (!more)
        return manifest_nomem(rd);
    rd->m->clusters = more;
    struct manifest_cluster *c = &more[rd->m->nclusters++];
    *c = (struct manifest_cluster){.name = mem_strdup(name)};
    struct json *workers = NULL;
    char path[MANIFEST_PATH_MAX];
    int r = manifest_check_fields(rd, base, manifest_cluster_fields);
    if (r == 0)
        r = manifest_get_node(rd, base, "workerGroupSpecs", JSON_ARRAY, "expected a list",
                              &workers);
    if (r == 0)
        r = manifest_get_bool(rd, base, "suspend", &c->suspend);
    if (r < 0)
        return r;
    size_t n = json_size(workers);
    if (n > MANIFEST_NODES_MAX)
        return manifest_wrong(rd, manifest_path(path, base, "workerGroupSpecs"),
                              "more than 256 groups on one machine");
    c->groups = mem_calloc(n + 1, sizeof *c->groups);
    if (!c->name || !c->groups)
        return manifest_nomem(rd);
    int64_t nodes = 0;
    r = add_group(rd, manifest_path(path, base, "headGroupSpec"), c, &nodes);
    for (size_t i = 0; r == 0 && i < n; i++) {
        snprintf(path, sizeof path, "%s.workerGroupSpecs[%zu]", base, i);
        r = add_group(rd, path, c, &nodes);
    }
    return r;
}
