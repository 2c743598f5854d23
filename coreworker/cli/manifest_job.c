/*
 * Jobs in manifests (manifest_reader.h).
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/manifest_reader.h"

#define SUBMISSION_ID_MAX 100 /* bytes; retries append to it */

/* Texts only: env_vars and metadata. */
static int check_texts(struct manifest_reader *rd, const char *path, const struct json *object,
                       const char *within)
{
    char what[MANIFEST_PATH_MAX];
    snprintf(what, sizeof what, "%sexpected an object of texts (put the values in quotes)", within);
    if (object && !json_is(object, JSON_NULL) && !json_is(object, JSON_OBJECT))
        return manifest_wrong(rd, path, what);
    JSON_FOREACH(it, object)
    if (!json_str(it))
        return manifest_wrong(rd, path, what);
    return 0;
}

static int read_runtime_env(struct manifest_reader *rd, struct manifest_job *j)
{
    static const char *const path = "spec.runtimeEnvYAML";
    const char *text;
    if (json_opt_str(rd->root, path, "", &text, rd->e) < 0)
        return manifest_blame(rd, path);
    if (!text || !text[strspn(text, " \t\r\n")]) {
        j->runtime_env = json_new_object();
        return j->runtime_env ? 0 : manifest_nomem(rd);
    }
    if (yaml_load_one(text, strlen(text), path, NULL, &j->runtime_env, rd->e) < 0)
        return manifest_blame(rd, path);
    if (!json_is(j->runtime_env, JSON_OBJECT))
        return manifest_wrong(rd, path, "expected YAML of an object, such as 'env_vars: {A: b}'");
    JSON_FOREACH(it, j->runtime_env)
    {
        char what[MANIFEST_PATH_MAX];
        if (!strcmp(json_key(it), "env_vars") || !strcmp(json_key(it), "working_dir") ||
            !strcmp(json_key(it), "excludes"))
            continue;
        snprintf(what, sizeof what, "runtimeEnvYAML.%s", json_key(it));
        int r = manifest_ignore(rd, what);
        if (r < 0)
            return r;
    }
    struct json *dir = json_get(j->runtime_env, "working_dir");
    if (dir && !json_str(dir))
        return manifest_wrong(rd, path, "working_dir: expected a text");
    return check_texts(rd, path, json_get(j->runtime_env, "env_vars"), "env_vars: ");
}

static int read_job_cluster(struct manifest_reader *rd, struct manifest_job *j)
{
    struct json *spec, *selector;
    int r =
        manifest_get_node(rd, "spec", "rayClusterSpec", JSON_OBJECT, "expected an object", &spec);
    if (r == 0)
        r = manifest_get_node(rd, "spec", "clusterSelector", JSON_OBJECT, "expected an object",
                              &selector);
    if (r < 0)
        return r;
    if ((spec != NULL) == (selector != NULL))
        return manifest_wrong(rd, "spec", "expected one of rayClusterSpec and clusterSelector");
    const char *name = spec ? j->name : json_str(json_get(selector, "ray.io/cluster"));
    if (!name || !manifest_good_name(name))
        return manifest_wrong(rd, "spec.clusterSelector", "expected 'ray.io/cluster: NAME'");
    j->own_cluster = spec != NULL;
    if (!(j->cluster = mem_strdup(name)))
        return manifest_nomem(rd);
    return spec ? manifest_read_cluster(rd, "spec.rayClusterSpec", name) : 0;
}

/* entrypointNumCpus and its sisters, under the names that the job API has for them. */
static int read_submit_resources(struct manifest_reader *rd, struct manifest_job *j)
{
    static const struct {
        const char *field, *rest;
    } map[] = {{"spec.entrypointNumCpus", "entrypoint_num_cpus"},
               {"spec.entrypointNumGpus", "entrypoint_num_gpus"}};
    if (!(j->submit_resources = json_new_object()))
        return manifest_nomem(rd);
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        struct json *n = json_at(rd->root, map[i].field);
        double v;
        if (!n)
            continue;
        if (manifest_quantity(rd, map[i].field, n, &v) < 0)
            return -rd->e->code;
        if (json_set_double(j->submit_resources, map[i].rest, v) < 0)
            return manifest_nomem(rd);
    }
    static const char *const path = "spec.entrypointResources";
    struct json *text = json_at(rd->root, path), *tree = NULL;
    if (!text)
        return 0;
    int r = json_str(text) ? json_parse(json_str(text), strlen(json_str(text)), NULL, &tree, NULL)
                           : -RAIA_ERR_INVALID;
    if (r == -RAIA_ERR_NOMEM)
        return manifest_nomem(rd);
    if (r < 0 || !json_is(tree, JSON_OBJECT)) {
        json_free(tree);
        return manifest_wrong(rd, path, "expected a JSON object, as a text");
    }
    return json_set(j->submit_resources, "entrypoint_resources", tree) < 0 ? manifest_nomem(rd) : 0;
}

/* What runs: entrypoint, submissionMode, jobId. */
static int read_command(struct manifest_reader *rd, struct manifest_job *j)
{
    static const char *const modes[] = {"K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"};
    _cleanup_(mem_freep) char *mode = NULL;
    int r = manifest_get_text(rd, "spec", "entrypoint", &j->entrypoint);
    if (r == 0)
        r = manifest_get_text(rd, "spec", "submissionMode", &mode);
    if (r == 0)
        r = manifest_get_text(rd, "spec", "jobId", &j->submission_id);
    if (r < 0)
        return r;
    size_t known = mode ? 0 : 1; /* without one it is not interactive */
    while (mode && known < 4 && strcmp(mode, modes[known]))
        known++;
    if (known == 4)
        return manifest_wrong(rd, "spec.submissionMode",
                              "expected K8sJobMode, HTTPMode, SidecarMode or InteractiveMode");
    if (j->submission_id && !*j->submission_id)
        mem_free(STEAL(j->submission_id)); /* as if it were not there */
    if (j->submission_id &&
        (strlen(j->submission_id) > SUBMISSION_ID_MAX || strpbrk(j->submission_id, "/ \t\r\n")))
        return manifest_wrong(rd, "spec.jobId", "expected up to 100 bytes without '/' and blanks");
    if (known == 3) {
        mem_free(STEAL(j->entrypoint)); /* the user submits by hand */
        return manifest_ignore(rd,
                               "submissionMode: InteractiveMode (submit with `raia job submit`)");
    }
    if (!j->entrypoint && json_at(rd->root, "spec.submitterPodTemplate"))
        return manifest_ignore(
            rd, "the command in submitterPodTemplate (submit with `raia job submit`)");
    return j->entrypoint && j->entrypoint[strspn(j->entrypoint, " \t\r\n")]
               ? 0
               : manifest_wrong(rd, "spec.entrypoint",
                                "is required: the command that the job runs");
}

/* How it ends: retries, deadlines, and what comes after. */
static int read_limits(struct manifest_reader *rd, struct manifest_job *j)
{
    int r = manifest_get_int(rd, "spec", "backoffLimit", 0, 0, &j->backoff_limit);
    if (r == 0)
        r = manifest_get_int(rd, "spec", "activeDeadlineSeconds", 0, 0, &j->active_deadline_s);
    if (r == 0 && !j->active_deadline_s && json_at(rd->root, "spec.activeDeadlineSeconds"))
        r = manifest_wrong(rd, "spec.activeDeadlineSeconds",
                           "expected a positive number of seconds");
    if (r == 0)
        r = manifest_get_int(rd, "spec", "ttlSecondsAfterFinished", 0, 0, &j->ttl_after_finished_s);
    if (r == 0)
        r = manifest_get_bool(rd, "spec", "shutdownAfterJobFinishes", &j->shutdown_after_finished);
    return r == 0 ? manifest_get_bool(rd, "spec", "suspend", &j->suspend) : r;
}

int manifest_read_job(struct manifest_reader *rd, const char *name)
{
    struct manifest_job *more = mem_realloc(rd->m->jobs, (rd->m->njobs + 1) * sizeof *more);
    if (!more)
        return manifest_nomem(rd);
    rd->m->jobs = more;
    struct manifest_job *j = &more[rd->m->njobs++];
    *j = (struct manifest_job){.name = mem_strdup(name)};
    if (!j->name)
        return manifest_nomem(rd);
    struct json *metadata = json_at(rd->root, "spec.metadata");
    int r = manifest_check_fields(rd, "spec", manifest_job_fields);
    if (r == 0)
        r = read_command(rd, j);
    if (r == 0)
        r = read_limits(rd, j);
    if (r == 0)
        r = read_runtime_env(rd, j);
    if (r == 0)
        r = read_submit_resources(rd, j);
    if (r == 0)
        r = check_texts(rd, "spec.metadata", metadata, "");
    if (r < 0)
        return r;
    j->metadata = json_is(metadata, JSON_OBJECT) ? json_copy(metadata) : json_new_object();
    return j->metadata ? read_job_cluster(rd, j) : manifest_nomem(rd);
}
