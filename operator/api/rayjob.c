/*
 * Reading a RayJob's tree into its view.
 */
#include "api/rayjob.h"

#include <stdio.h>
#include <string.h>

#include "api/pick.h"
#include "base/err.h"
#include "base/mem.h"
#include "yaml/yaml_load.h"

#define RULES_MAX 100

static const char *const modes[] = {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode",
                                    NULL};
static const char *const deletions[] = {"DeleteNone", "DeleteWorkers", "DeleteCluster",
                                        "DeleteSelf", NULL};

const char *ray_job_mode_name(enum ray_job_mode mode)
{
    return modes[mode];
}

const char *ray_deletion_name(enum ray_deletion d)
{
    return deletions[d];
}

/* -- deletionStrategy ---------------------------------------------------------------------------- */

static int read_policy(const struct json *o, const char *path, struct ray_deletion_rule *rule,
                       struct raia_error *e)
{
    unsigned policy = sizeof deletions; /* none */
    int r = pick_enum__(o, path, "policy", deletions, &policy, e);

    if (r == 0 && policy == sizeof deletions)
        r = err_set(e, RAIA_ERR_INVALID,
                    "%s.policy: expected one of DeleteNone, DeleteWorkers, "
                    "DeleteCluster, DeleteSelf, found nothing",
                    path);
    rule->policy = (enum ray_deletion)policy;
    return r;
}

static int read_rule(const struct json *o, const char *path, struct ray_deletion_rule *rule,
                     struct raia_error *e)
{
    static const char *const jobs[] = {"SUCCEEDED", "FAILED", NULL};
    static const char *const deployments[] = {"Failed", NULL};
    const struct json *condition = NULL;
    unsigned job = 2, deployment = 1;
    char path_c[128];
    int r = 0;

    if (!json_is(o, JSON_OBJECT))
        r = err_set(e, RAIA_ERR_INVALID, "%s: expected an object, found %s", path,
                    json_type_name(json_type(o)));
    if (r == 0)
        r = read_policy(o, path, rule, e);
    if (r == 0)
        r = pick_node__(o, path, "condition", JSON_OBJECT, &condition, e);
    snprintf(path_c, sizeof path_c, "%s.condition", path);
    if (r == 0)
        r = pick_enum__(condition, path_c, "jobStatus", jobs, &job, e);
    if (r == 0)
        r = pick_enum__(condition, path_c, "jobDeploymentStatus", deployments, &deployment, e);
    if (r == 0)
        r = pick_int__(condition, path_c, "ttlSeconds", &rule->ttl_s, e);
    if (r == 0 && (job < 2) == (deployment < 1))
        r = err_set(e, RAIA_ERR_INVALID,
                    "%s: expected exactly one of jobStatus and jobDeploymentStatus", path_c);
    rule->when = job == 0   ? RAY_WHEN_SUCCEEDED
                 : job == 1 ? RAY_WHEN_FAILED
                            : RAY_WHEN_DEPLOYMENT_FAILED;
    return r;
}

static int read_rules(const struct json *list, struct ray_job *j, struct raia_error *e)
{
    size_t n = json_size(list);
    char path[64];
    int r;

    if (n == 0 || n > RULES_MAX)
        return err_set(e, RAIA_ERR_INVALID,
                       "spec.deletionStrategy.deletionRules: expected 1 to %d rules, found %zu",
                       RULES_MAX, n);
    j->rules = mem_calloc(n, sizeof *j->rules);
    if (!j->rules)
        return err_set(e, RAIA_ERR_NOMEM, "no memory for %zu deletion rules", n);
    JSON_FOREACH(o, list)
    {
        snprintf(path, sizeof path, "spec.deletionStrategy.deletionRules[%zu]", j->n_rules);
        r = read_rule(o, path, &j->rules[j->n_rules], e);
        if (r < 0)
            return r;
        j->n_rules++;
    }
    return 0;
}

static int read_legacy(const struct json *success, const struct json *failure, struct ray_job *j,
                       struct raia_error *e)
{
    int r;

    if (!success || !failure)
        return err_set(e, RAIA_ERR_INVALID,
                       "spec.deletionStrategy: expected both onSuccess and onFailure, or "
                       "deletionRules");
    j->rules = mem_calloc(2, sizeof *j->rules);
    if (!j->rules)
        return err_set(e, RAIA_ERR_NOMEM, "no memory for deletion rules");
    j->legacy_strategy = true;
    r = read_policy(success, "spec.deletionStrategy.onSuccess", &j->rules[0], e);
    if (r == 0)
        r = read_policy(failure, "spec.deletionStrategy.onFailure", &j->rules[1], e);
    if (r < 0)
        return r;
    j->rules[0].when = RAY_WHEN_SUCCEEDED;
    j->rules[1].when = RAY_WHEN_FAILED;
    j->n_rules = 2;
    return 0;
}

static int read_strategy(const struct json *spec, struct ray_job *j, struct raia_error *e)
{
    const struct json *o = NULL, *success = NULL, *failure = NULL, *rules = NULL;
    int r = pick_node__(spec, "spec", "deletionStrategy", JSON_OBJECT, &o, e);

    if (r < 0 || !o)
        return r;
    j->has_strategy = true;
    r = pick_node__(o, "spec.deletionStrategy", "onSuccess", JSON_OBJECT, &success, e);
    if (r == 0)
        r = pick_node__(o, "spec.deletionStrategy", "onFailure", JSON_OBJECT, &failure, e);
    if (r == 0)
        r = pick_node__(o, "spec.deletionStrategy", "deletionRules", JSON_ARRAY, &rules, e);
    if (r < 0)
        return r;
    if (rules && (success || failure))
        return err_set(e, RAIA_ERR_INVALID,
                       "spec.deletionStrategy: expected only one of deletionRules and "
                       "onSuccess/onFailure");
    return rules ? read_rules(rules, j, e) : read_legacy(success, failure, j, e);
}

/* -- texts that hold a tree ------------------------------------------------------------------------ */

/* Reads it as YAML (JSON is YAML); a text without a value is none. Only memory is a failure here. */
static int read_text(const char *text, const char *what, struct json **ret_tree, char *bad,
                     size_t size)
{
    _cleanup_(yaml_freep) struct yaml_docs *docs = NULL;
    const struct json *tree;
    struct raia_error e = {0};
    int r;

    if (!text)
        return 0;
    r = yaml_load(text, strlen(text), what, NULL, &docs, &e);
    if (r == -RAIA_ERR_NOMEM)
        return r;
    if (r < 0) {
        snprintf(bad, size, "%s", e.text);
        return 0;
    }
    tree = yaml_doc(docs, 0);
    if (yaml_count(docs) > 1)
        snprintf(bad, size, "found %zu documents", yaml_count(docs));
    else if (json_is(tree, JSON_OBJECT))
        *ret_tree = yaml_take(docs, 0);
    else if (tree && !json_is(tree, JSON_NULL))
        snprintf(bad, size, "found %s", json_type_name(json_type(tree)));
    return 0;
}

/* -- the object ------------------------------------------------------------------------------------ */

static int read_entry(const struct json *spec, struct ray_job *j, struct raia_error *e)
{
    int r;

    j->entrypoint = "";
    r = pick_str__(spec, "spec", "entrypoint", &j->entrypoint, e);
    if (r == 0)
        r = pick_str__(spec, "spec", "jobId", &j->job_id, e);
    if (r == 0)
        r = pick_map__(spec, "spec", "metadata", &j->metadata, e);
    if (r == 0)
        r = pick_str__(spec, "spec", "runtimeEnvYAML", &j->runtime_env_yaml, e);
    if (r == 0)
        r = pick_double__(spec, "spec", "entrypointNumCpus", &j->num_cpus, e);
    if (r == 0)
        r = pick_double__(spec, "spec", "entrypointNumGpus", &j->num_gpus, e);
    if (r == 0)
        r = pick_str__(spec, "spec", "entrypointResources", &j->resources_text, e);
    if (r == 0 && (read_text(j->runtime_env_yaml, "runtimeEnvYAML", &j->runtime_env,
                             j->runtime_env_bad, sizeof j->runtime_env_bad) < 0 ||
                   read_text(j->resources_text, "entrypointResources", &j->resources,
                             j->resources_bad, sizeof j->resources_bad) < 0))
        r = err_set(e, RAIA_ERR_NOMEM, "no memory for RayJob '%s'", j->name);
    if (j->job_id && !j->job_id[0])
        j->job_id = NULL;
    return r;
}

static int read_limits(const struct json *spec, struct ray_job *j, struct raia_error *e)
{
    int r;

    j->active_deadline_s = j->pre_running_deadline_s = INT64_MAX; /* not there */
    r = pick_int__(spec, "spec", "backoffLimit", &j->backoff_limit, e);
    if (r == 0)
        r = pick_int__(spec, "spec", "activeDeadlineSeconds", &j->active_deadline_s, e);
    if (r == 0)
        r = pick_int__(spec, "spec", "preRunningDeadlineSeconds", &j->pre_running_deadline_s, e);
    if (r == 0)
        r = pick_int__(spec, "spec", "ttlSecondsAfterFinished", &j->ttl_s, e);
    if (r < 0)
        return r;
    if (j->active_deadline_s <= 0 || j->pre_running_deadline_s <= 0)
        return err_set(e, RAIA_ERR_INVALID, "spec.%s: expected 1 or more",
                       j->active_deadline_s <= 0 ? "activeDeadlineSeconds"
                                                 : "preRunningDeadlineSeconds");
    if (j->active_deadline_s == INT64_MAX)
        j->active_deadline_s = 0;
    if (j->pre_running_deadline_s == INT64_MAX)
        j->pre_running_deadline_s = 0;
    return 0;
}

static int read_mode(const struct json *spec, struct ray_job *j, struct raia_error *e)
{
    const struct json *config = NULL;
    unsigned mode = RAY_JOB_K8S;
    int r;

    j->submitter_backoff_limit = 2;
    r = pick_enum__(spec, "spec", "submissionMode", modes, &mode, e);
    if (r == 0)
        r = pick_node__(spec, "spec", "submitterPodTemplate", JSON_OBJECT, &j->submitter, e);
    if (r == 0)
        r = pick_node__(spec, "spec", "submitterConfig", JSON_OBJECT, &config, e);
    if (r == 0)
        r = pick_int__(config, "spec.submitterConfig", "backoffLimit", &j->submitter_backoff_limit,
                       e);
    if (r == 0)
        r = pick_bool__(spec, "spec", "suspend", &j->suspend, e);
    if (r == 0)
        r = pick_str__(spec, "spec", "managedBy", &j->managed_by, e);
    if (r == 0)
        r = pick_bool__(spec, "spec", "shutdownAfterJobFinishes", &j->shutdown, e);
    j->mode = (enum ray_job_mode)mode;
    j->managed = !j->managed_by || strcmp(j->managed_by, RAY_MANAGED_BY) == 0;
    return r;
}

static int read_cluster(const struct json *spec, struct ray_job *j, struct raia_error *e)
{
    const struct json *node = NULL, *selector = NULL;
    int r = pick_map__(spec, "spec", "clusterSelector", &selector, e);

    if (r == 0)
        r = pick_node__(spec, "spec", "rayClusterSpec", JSON_OBJECT, &node, e);
    if (r == 0 && node) {
        j->has_cluster = true;
        r = ray_cluster_spec_read(node, "spec.rayClusterSpec", &j->cluster, e);
    }
    if (json_first(selector)) {
        j->selected = json_str(json_get(selector, RAY_LABEL_CLUSTER));
        if (!j->selected)
            j->selected = "";
    }
    return r;
}

int ray_job_read(const struct json *tree, struct ray_job **ret_j, struct raia_error *e)
{
    _cleanup_(ray_job_freep) struct ray_job *j = NULL;
    const struct json *spec;
    struct pick_meta m;
    int r = pick_meta__(tree, &m, e);

    if (r < 0)
        return r;
    j = mem_new(struct ray_job);
    if (!j)
        return err_set(e, RAIA_ERR_NOMEM, "no memory for RayJob '%s'", m.name);
    j->tree = tree;
    j->ns = m.ns;
    j->name = m.name;
    j->uid = m.uid;
    j->generation = m.generation;
    j->deleting = m.deleting;
    j->labels = m.labels;
    j->annotations = m.annotations;
    j->status = json_get(tree, "status");
    spec = json_get(tree, "spec");
    if (!json_is(spec, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "spec: expected an object");
    r = read_mode(spec, j, e);
    if (r == 0)
        r = read_entry(spec, j, e);
    if (r == 0)
        r = read_limits(spec, j, e);
    if (r == 0)
        r = read_strategy(spec, j, e);
    if (r == 0)
        r = read_cluster(spec, j, e);
    if (r < 0)
        return r;
    *ret_j = STEAL(j);
    return 0;
}

void ray_job_free(struct ray_job *j)
{
    if (!j)
        return;
    ray_cluster_spec_done(&j->cluster);
    json_free(j->runtime_env);
    json_free(j->resources);
    mem_free(j->rules);
    mem_free(j);
}

void ray_job_freep(void *p)
{
    ray_job_free(*(struct ray_job **)p);
}
