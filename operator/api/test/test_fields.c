/*
 * The table of fields: what it tells of an object, and that schemas and documents agree with it.
 */
#include "objects.h"

#include <stdio.h>

#include "api/fields.h"

/* Fields that are set are told with their place; false, 0 and null are not set. */
Test(fields, unsupported)
{
    struct json *tree = tree_of(cluster_yaml);
    struct api_report ignored = {0}, refused = {0};
    struct ray_cluster *c = cluster_of(tree);
    ray_cluster_unsupported(c, true, &ignored, &refused);
    cr_assert_eq(ignored.n + refused.n, 0, "%s %s", ignored.text, refused.text);
    ray_cluster_free(c);
    put(tree, "spec.enableInTreeAutoscaling", "false");
    put(tree, "spec.networkPolicy", "null");
    put(tree, "spec.workerGroupSpecs[0].priority", "0");
    put(tree, "spec.workerGroupSpecs[1].idleTimeoutSeconds", "60");
    put(tree, "spec.gcsFaultToleranceOptions", "{redisAddress: 'r:6379'}");
    put(tree, "spec.tlsOptions", "{enabled: true}");
    c = cluster_of(tree);
    ray_cluster_unsupported(c, true, &ignored, &refused);
    cr_assert_str_eq(ignored.text,
                     "spec.gcsFaultToleranceOptions.redisAddress: the tables of the GCS lie on a "
                     "volume, not in Redis; spec.workerGroupSpecs[1].idleTimeoutSeconds: there is "
                     "no autoscaler yet; replicas decides");
    cr_assert_eq(refused.n, 0, "%s", refused.text);
    ray_cluster_unsupported(c, false, &ignored, &refused);
    cr_assert_str_eq(refused.text, "spec.tlsOptions.enabled: the operator was started without TLS");
    ray_cluster_free(c);
    json_free(tree);
}

/* What would be dangerous to ignore is refused, an empty object too: it has a meaning. */
Test(fields, refused)
{
    struct json *tree = tree_of(job_yaml);
    put(tree, "spec.rayClusterSpec.networkPolicy", "{}");
    put(tree, "spec.schedule", "'@daily'");
    struct ray_job *j = job_of(tree);
    struct api_report ignored = {0}, refused = {0};
    ray_job_unsupported(j, true, &ignored, &refused);
    cr_assert_str_eq(ignored.text, "spec.schedule: the job runs once");
    cr_assert_str_eq(refused.path, "spec.rayClusterSpec.networkPolicy");
    ray_job_free(j);
    json_free(tree);
}

/* -- the schemas ------------------------------------------------------------------------------- */

static struct json *spec_schema(const char *file)
{
    struct raia_error e = {0};
    struct yaml_docs *docs = NULL;
    char path[512];
    snprintf(path, sizeof path, "%s/crds/%s", SOURCE_DIR, file);
    cr_assert_eq(yaml_load_file(path, NULL, &docs, &e), 0, "%s", e.text);
    struct json *crd = yaml_take(docs, 0);
    yaml_free(docs);
    const char *version =
        json_str(json_at(crd, "metadata.annotations[\"" RAY_SCHEMA_ANNOTATION "\"]"));
    cr_assert(version && atoi(version) == RAY_SCHEMA_VERSION, "schema version of %s", file);
    struct json *spec =
        json_copy(json_at(crd, "spec.versions[0].schema.openAPIV3Schema.properties.spec"));
    cr_assert_not_null(spec);
    json_free(crd);
    return spec;
}

/* The schema of a field of the table; NULL: none. */
static const struct json *schema_at(const struct json *schema, const char *path)
{
    while (schema && *path) {
        char key[64];
        if (strncmp(path, "[]", 2) == 0) {
            schema = json_get(schema, "items");
            path += 2 + (path[2] == '.');
            continue;
        }
        size_t n = strcspn(path, ".[");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        schema = json_get(json_get(schema, "properties"), key);
        path += n + (path[n] == '.');
    }
    return schema;
}

/* Is a path of the schema, or one above it, in the table. */
static bool is_covered(const struct api_field *table, const char *path)
{
    for (; table->path; table++) {
        size_t n = strlen(table->path);
        if (strncmp(path, table->path, n) == 0 && (!path[n] || path[n] == '.' || path[n] == '['))
            return true;
    }
    return false;
}

static bool leads_on(const struct api_field *table, const char *path)
{
    size_t n = strlen(path);
    for (; table->path; table++) {
        if (strncmp(table->path, path, n) == 0 && (table->path[n] == '.' || table->path[n] == '['))
            return true;
    }
    return false;
}

static void all_covered(const struct api_field *table, const struct json *schema, const char *path)
{
    char sub[256];
    if (path[0] && is_covered(table, path))
        return;
    if (path[0])
        cr_assert(leads_on(table, path), "%s is in the schema and not in the table", path);
    JSON_FOREACH(p, json_get(schema, "properties"))
    {
        snprintf(sub, sizeof sub, "%s%s%s", path, path[0] ? "." : "", json_key(p));
        all_covered(table, p, sub);
    }
    if (json_get(schema, "items")) {
        snprintf(sub, sizeof sub, "%s[]", path);
        all_covered(table, json_get(schema, "items"), sub);
    }
}

static void same_fields(const struct api_field *table, const struct json *schema)
{
    for (const struct api_field *f = table; f->path; f++)
        cr_assert_not_null(schema_at(schema, f->path), "%s is in no schema", f->path);
    all_covered(table, schema, "");
}

/* The schemas have the fields of the table and no other, and the version that the operator wants. */
Test(fields, schemas)
{
    struct json *cluster = spec_schema("ray.io_rayclusters.yaml");
    struct json *job = spec_schema("ray.io_rayjobs.yaml");
    same_fields(ray_cluster_fields, cluster);
    same_fields(ray_job_fields, job);
    same_fields(ray_cluster_fields, json_at(job, "properties.rayClusterSpec"));
    json_free(cluster);
    json_free(job);
}

/* -- the document -------------------------------------------------------------------------------- */

static void in_document(const struct api_field *table, const char *text)
{
    static const char *const words[] = {"honoured", "ignored, with a condition", "refused"};
    for (; table->path; table++) {
        char line[512];
        snprintf(line, sizeof line, "\n| `%s` | %s | %s |\n", table->path, words[table->support],
                 table->note);
        cr_expect(strstr(text, line), "docs/kuberay.md lacks this line:%s", line);
    }
}

/* docs/kuberay.md has a line for every field, and it says what the table says. */
Test(fields, document)
{
    FILE *f = fopen(SOURCE_DIR "/docs/kuberay.md", "re");
    static char text[65536];
    cr_assert_not_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    cr_assert(n > 0 && n < sizeof text - 1);
    in_document(ray_cluster_fields, text);
    in_document(ray_job_fields, text);
}
