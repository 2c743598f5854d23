/*
 * Good manifests: what is made of them. The bad ones are in test_manifest_mutated.c.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "cli/manifest.h"
#include "cli/manifest_fields.h"

static struct manifest *parse(const char *text)
{
    struct manifest *m = NULL;
    struct raia_error e = {0};
    cr_assert(manifest_parse(text, strlen(text), "t", &m, &e) == 0, "%s", e.text);
    return m;
}

static double amount(const struct json *o, const char *key)
{
    double v = -1;
    (void)json_double(json_get(o, key), &v);
    return v;
}

static bool ignores(const struct manifest *m, const char *what)
{
    size_t n = 0;
    JSON_FOREACH(it, m->ignored)
    n += !strcmp(json_str(it), what);
    cr_assert(n <= 1, "'%s' is listed %zu times", what, n);
    return n == 1;
}

#define HEAD      "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: c}\nspec:\n"
#define TEMPLATE  "template: {spec: {containers: [{name: x}]}}"
#define HEAD_SPEC "  headGroupSpec: {rayStartParams: {}, " TEMPLATE "}\n"

/* Limits of the first container become the node's resources; CPUs are rounded up. */
Test(manifest, limits)
{
    struct manifest *m =
        parse(HEAD "  headGroupSpec:\n    rayStartParams: {}\n    template:\n      spec:\n"
                   "        containers:\n"
                   "          - resources:\n"
                   "              requests: {cpu: 500m, memory: 1Gi, nvidia.com/gpu: 2}\n"
                   "              limits: {cpu: 1500m, memory: 2Gi, ephemeral-storage: 5Gi}\n"
                   "          - resources: {limits: {cpu: 64}}\n");
    const struct manifest_group *g = m->clusters[0].groups;
    cr_assert(m->nclusters == 1 && m->njobs == 0 && m->clusters[0].ngroups == 1);
    cr_assert_str_eq(m->clusters[0].name, "c");
    cr_assert_str_eq(g->name, "head");
    cr_assert(g->replicas == 1 && g->num_cpus == 2 && g->memory == INT64_C(2) << 30);
    cr_assert(amount(g->resources, "GPU") == 2 && json_size(g->resources) == 1);
    cr_assert(g->object_store_memory == 0);
    manifest_free(m);
}

/* Start parameters win over limits, and `resources` and `labels` over those. */
Test(manifest, start_params)
{
    struct manifest *m =
        parse(HEAD "  headGroupSpec:\n"
                   "    rayStartParams: {num-cpus: '0', num-gpus: '1', memory: '1000', "
                   "object-store-memory: 200M,\n"
                   "      resources: '{\"a\": 1, \"CPU\": 5}', block: 'true'}\n"
                   "    resources: {b: '2'}\n"
                   "    labels: {zone: z1}\n"
                   "    template: {spec: {containers: [{resources: {limits: {cpu: 8}}}]}}\n");
    const struct manifest_group *g = m->clusters[0].groups;
    cr_assert(g->num_cpus == 5 && g->memory == 1000 && g->object_store_memory == 200000000);
    cr_assert(amount(g->resources, "a") == 1 && amount(g->resources, "b") == 2);
    cr_assert(amount(g->resources, "GPU") == 1);
    cr_assert_str_eq(json_str(json_get(g->labels, "zone")), "z1");
    cr_assert(ignores(m, "rayStartParams.block"));
    manifest_free(m);
}

/* The ways in which people quote rayStartParams.resources all mean the same. */
Test(manifest, resources_quoted_for_shells)
{
    static const char *const ways[] = {
        "'{\"a\": 1}'",                       /* plain */
        "\"{\\\"a\\\": 1}\"",                 /* plain, in YAML's double quotes */
        "'\"{\\\"a\\\": 1}\"'",               /* in double quotes for a shell */
        "\"'{\\\"a\\\": 1}'\"",               /* in single quotes for a shell */
        "\"\\\"{\\\\\\\"a\\\\\\\": 1}\\\"\"", /* KubeRay's own: quoted twice */
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 HEAD "  headGroupSpec:\n    rayStartParams: {resources: %s}\n    " TEMPLATE "\n",
                 ways[i]);
        struct manifest *m = parse(text);
        cr_assert(amount(m->clusters[0].groups[0].resources, "a") == 1, "%s", ways[i]);
        manifest_free(m);
    }
}

/* replicas within min..max, times hosts; a suspended group has none. */
Test(manifest, replicas)
{
    static const struct {
        const char *fields;
        int64_t nodes;
    } cases[] = {{"replicas: 3", 3},
                 {"minReplicas: 2", 2},
                 {"replicas: 1, minReplicas: 2", 2},
                 {"replicas: 9, maxReplicas: 4", 4},
                 {"replicas: 2, numOfHosts: 4", 8},
                 {"replicas: 2, suspend: true", 0},
                 {"replicas: null", 0},
                 {"maxReplicas: 3", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 HEAD HEAD_SPEC "  workerGroupSpecs:\n  - {groupName: w, %s, " TEMPLATE "}\n",
                 cases[i].fields);
        struct manifest *m = parse(text);
        cr_assert(m->clusters[0].ngroups == 2);
        cr_assert(m->clusters[0].groups[1].replicas == cases[i].nodes, "%s: %lld", cases[i].fields,
                  (long long)m->clusters[0].groups[1].replicas);
        manifest_free(m);
    }
}

/* A RayJob brings its own cluster, named as the job; everything it says is kept. */
Test(manifest, job)
{
    struct manifest *m = parse("apiVersion: ray.io/v1\nkind: RayJob\nmetadata: {name: j}\n"
                               "spec:\n"
                               "  entrypoint: count --all\n"
                               "  jobId: id-1\n"
                               "  backoffLimit: 3\n"
                               "  activeDeadlineSeconds: 9\n"
                               "  ttlSecondsAfterFinished: 5\n"
                               "  shutdownAfterJobFinishes: true\n"
                               "  entrypointNumCpus: 0.5\n"
                               "  entrypointNumGpus: 1\n"
                               "  entrypointResources: '{\"a\": 2}'\n"
                               "  metadata: {owner: me}\n"
                               "  submitterPodTemplate: {}\n"
                               "  runtimeEnvYAML: |\n"
                               "    env_vars: {A: \"1\"}\n"
                               "    working_dir: /tmp\n"
                               "    pip: [requests]\n"
                               "  rayClusterSpec:\n  " HEAD_SPEC);
    cr_assert(m->njobs == 1 && m->nclusters == 1);
    const struct manifest_job *j = m->jobs;
    cr_assert_str_eq(j->name, "j");
    cr_assert_str_eq(j->entrypoint, "count --all");
    cr_assert_str_eq(j->submission_id, "id-1");
    cr_assert_str_eq(j->cluster, "j");
    cr_assert_str_eq(m->clusters[0].name, "j");
    cr_assert(j->own_cluster && j->shutdown_after_finished && !j->suspend);
    cr_assert(j->backoff_limit == 3 && j->active_deadline_s == 9 && j->ttl_after_finished_s == 5);
    cr_assert(amount(j->submit_resources, "entrypoint_num_cpus") == 0.5);
    cr_assert(amount(j->submit_resources, "entrypoint_num_gpus") == 1);
    cr_assert(amount(json_get(j->submit_resources, "entrypoint_resources"), "a") == 2);
    cr_assert_str_eq(json_str(json_get(j->metadata, "owner")), "me");
    cr_assert_str_eq(json_str(json_at(j->runtime_env, "env_vars.A")), "1");
    cr_assert_str_eq(json_str(json_get(j->runtime_env, "working_dir")), "/tmp");
    cr_assert(ignores(m, "submitterPodTemplate") && ignores(m, "runtimeEnvYAML.pip"));
    manifest_free(m);
}

/* Several documents; other kinds are passed over and named; a selector names the cluster. */
Test(manifest, documents)
{
    struct manifest *m =
        parse("apiVersion: v1\nkind: ConfigMap\ndata: {x: y}\n---\n" HEAD HEAD_SPEC "---\n---\n"
              "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: s}\n---\n"
              "apiVersion: ray.io/v1alpha1\nkind: RayJob\nmetadata: {generateName: j-}\n"
              "spec: {entrypoint: x, clusterSelector: {ray.io/cluster: c}, suspend: true}\n---\n"
              "apiVersion: v1\nkind: ConfigMap\n");
    cr_assert(m->nclusters == 1 && m->njobs == 1);
    cr_assert_str_eq(m->jobs[0].name, "j-1");
    cr_assert_str_eq(m->jobs[0].cluster, "c");
    cr_assert(!m->jobs[0].own_cluster && m->jobs[0].suspend);
    cr_assert(json_size(m->jobs[0].runtime_env) == 0 && json_size(m->jobs[0].metadata) == 0);
    cr_assert(ignores(m, "kind ConfigMap") && ignores(m, "kind RayService"));
    manifest_free(m);
}

/* JSON is as good as YAML. */
Test(manifest, json)
{
    struct manifest *m = parse(
        "{\"apiVersion\": \"ray.io/v1\", \"kind\": \"RayCluster\", \"metadata\": {\"name\": \"c\"},"
        " \"spec\": {\"headGroupSpec\": {\"rayStartParams\": {\"num-cpus\": \"3\"},"
        " \"template\": {\"spec\": {\"containers\": [{\"name\": \"h\"}]}}}}}");
    cr_assert(m->nclusters == 1 && m->clusters[0].groups[0].num_cpus == 3);
    manifest_free(m);
}

/* An interactive job has no entrypoint to run: its user submits by hand. */
Test(manifest, interactive)
{
    struct manifest *m =
        parse("apiVersion: ray.io/v1\nkind: RayJob\nmetadata: {name: j}\n"
              "spec:\n  submissionMode: InteractiveMode\n  rayClusterSpec:\n  " HEAD_SPEC);
    cr_assert(m->njobs == 1 && !m->jobs[0].entrypoint);
    manifest_free(m);
}

/* A job whose submitter pod runs a command of its own has none for us; an empty jobId is none. */
Test(manifest, submitter_with_a_command)
{
    struct manifest *m = parse("apiVersion: ray.io/v1\nkind: RayJob\nmetadata: {name: j}\nspec:\n"
                               "  jobId: ''\n  submitterPodTemplate: {spec: {}}\n"
                               "  rayClusterSpec:\n  " HEAD_SPEC);
    cr_assert(m->njobs == 1 && !m->jobs[0].entrypoint && !m->jobs[0].submission_id);
    manifest_free(m);
}

/* What has no meaning on one machine is listed once, however often it is there. */
Test(manifest, ignored_once)
{
    struct manifest *m =
        parse(HEAD "  rayVersion: '2'\n  enableInTreeAutoscaling: true\n" HEAD_SPEC
                   "  workerGroupSpecs:\n"
                   "  - {groupName: a, replicas: 1, idleTimeoutSeconds: 1, " TEMPLATE "}\n"
                   "  - {groupName: b, replicas: 1, idleTimeoutSeconds: 1, " TEMPLATE "}\n"
                   "---\napiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: d}\nspec:\n"
                   "  rayVersion: '2'\n" HEAD_SPEC);
    cr_assert(ignores(m, "rayVersion") && ignores(m, "enableInTreeAutoscaling") &&
              ignores(m, "idleTimeoutSeconds"));
    manifest_free(m);
}

/* "-" is standard input, up to a limit. */
Test(manifest, standard_input)
{
    struct manifest *m = NULL;
    struct raia_error e = {0};
    char path[] = "/tmp/raia-test-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && unlink(path) == 0);
    cr_assert(write(fd, HEAD HEAD_SPEC, strlen(HEAD HEAD_SPEC)) > 0);
    cr_assert(lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    cr_assert(manifest_load("-", &m, &e) == 0, "%s", e.text);
    manifest_free(m);
    m = NULL;
    cr_assert(ftruncate(fd, MANIFEST_BYTES_MAX + 1) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    cr_assert(manifest_load("-", &m, &e) == -RAIA_ERR_LIMIT && !m);
    cr_assert(strstr(e.text, "standard input"));
    close(fd);
}

/* A file that is not there, or is a folder, is named. */
Test(manifest, files)
{
    struct manifest *m = NULL;
    struct raia_error e = {0};
    cr_assert(manifest_load("/nonexistent/x.yaml", &m, &e) == -RAIA_ERR_NOT_FOUND && !m);
    cr_assert(strstr(e.text, "/nonexistent/x.yaml"));
    cr_assert(manifest_load("/tmp", &m, &e) < 0 && !m);
    cr_assert(strstr(e.text, "/tmp"));
}

/* Each allocation may fail: then there is an error, and nothing is left behind (LeakSanitizer). */
Test(manifest, no_memory, .timeout = 60)
{
    static const char text[] =
        HEAD "  headGroupSpec: {rayStartParams: {resources: '{\"a\":1}'}, labels: {x: y}, " TEMPLATE
             "}\n  workerGroupSpecs:\n  - {groupName: w, replicas: 1, " TEMPLATE "}\n---\n"
             "apiVersion: ray.io/v1\nkind: RayJob\nmetadata: {name: j}\nspec: {entrypoint: x, "
             "jobId: i, clusterSelector: {ray.io/cluster: c}, runtimeEnvYAML: 'env_vars: {A: b}', "
             "metadata: {o: m}, entrypointNumCpus: 1}\n";
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        struct manifest *m = NULL;
        struct raia_error e = {0};
        mem_fail_nth(nth);
        int r = manifest_parse(text, strlen(text), "t", &m, &e);
        bool failed = mem_fail_count() >= nth;
        mem_fail_nth(0);
        manifest_free(m);
        if (!failed)
            break;
        failures += r < 0;
        cr_assert(r == 0 || r == -RAIA_ERR_NOMEM, "allocation %llu: %s", (unsigned long long)nth,
                  e.text);
    }
    cr_assert_gt(failures, 10);
}

/* The section of the documentation that begins with this heading. */
static char *section(const char *text, const char *heading)
{
    const char *at = strstr(text, heading);
    cr_assert_not_null(at, "%s", heading);
    const char *end = strstr(at + 3, "\n## ");
    return mem_strndup(at, end ? (size_t)(end - at) : strlen(at));
}

/* docs/manifests.md has a line for every field, which tells whether it is honoured. */
Test(manifest, documented)
{
    static const struct {
        const char *heading;
        const struct manifest_field *fields;
    } sections[] = {{"## RayCluster: spec", manifest_cluster_fields},
                    {"## headGroupSpec", manifest_head_fields},
                    {"## workerGroupSpecs[]", manifest_worker_fields},
                    {"## RayJob: spec", manifest_job_fields}};
    char *text = NULL;
    cr_assert(io_read_file(RAIA_DOCS "/manifests.md", 1 << 20, &text, NULL, NULL) == 0);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        char *part = section(text, sections[i].heading);
        for (const struct manifest_field *f = sections[i].fields; f->name; f++) {
            char line[128];
            snprintf(line, sizeof line, "\n| `%s` | %s", f->name, f->used ? "honoured" : "ignored");
            cr_assert(strstr(part, line), "%s: no line '%s'", sections[i].heading, line + 1);
        }
        mem_free(part);
    }
    mem_free(text);
}
