/*
 * Manifests made wrong on purpose (mutations.h).
 */
#include "mutations.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char mutations_good[] =                             /* the numbers are lines */
    "apiVersion: ray.io/v1\n"                             /* 1 */
    "kind: RayCluster\n"                                  /* 2 */
    "metadata:\n"                                         /* 3 */
    "  name: full\n"                                      /* 4 */
    "spec:\n"                                             /* 5 */
    "  rayVersion: '2.60.0'\n"                            /* 6 */
    "  headGroupSpec:\n"                                  /* 7 */
    "    rayStartParams:\n"                               /* 8 */
    "      num-cpus: '2'\n"                               /* 9 */
    "      resources: '{\"head\": 1}'\n"                  /* 10 */
    "    template:\n"                                     /* 11 */
    "      spec:\n"                                       /* 12 */
    "        containers:\n"                               /* 13 */
    "          - name: ray-head\n"                        /* 14 */
    "            resources:\n"                            /* 15 */
    "              limits:\n"                             /* 16 */
    "                cpu: 2\n"                            /* 17 */
    "                memory: 2Gi\n"                       /* 18 */
    "  workerGroupSpecs:\n"                               /* 19 */
    "    - groupName: small\n"                            /* 20 */
    "      replicas: 2\n"                                 /* 21 */
    "      minReplicas: 1\n"                              /* 22 */
    "      maxReplicas: 3\n"                              /* 23 */
    "      numOfHosts: 1\n"                               /* 24 */
    "      suspend: false\n"                              /* 25 */
    "      labels: {zone: a}\n"                           /* 26 */
    "      rayStartParams: {num-gpus: '1'}\n"             /* 27 */
    "      template: {spec: {containers: [{name: w}]}}\n" /* 28 */
    "---\n"                                               /* 29 */
    "apiVersion: ray.io/v1\n"                             /* 30 */
    "kind: RayJob\n"                                      /* 31 */
    "metadata:\n"                                         /* 32 */
    "  name: job\n"                                       /* 33 */
    "spec:\n"                                             /* 34 */
    "  entrypoint: echo hello\n"                          /* 35 */
    "  clusterSelector: {ray.io/cluster: full}\n"         /* 36 */
    "  backoffLimit: 1\n"                                 /* 37 */
    "  activeDeadlineSeconds: 60\n"                       /* 38 */
    "  ttlSecondsAfterFinished: 0\n"                      /* 39 */
    "  shutdownAfterJobFinishes: false\n"                 /* 40 */
    "  entrypointNumCpus: 1\n"                            /* 41 */
    "  entrypointResources: '{\"x\": 1}'\n"               /* 42 */
    "  submissionMode: HTTPMode\n"                        /* 43 */
    "  jobId: my-id\n"                                    /* 44 */
    "  metadata: {owner: me}\n"                           /* 45 */
    "  runtimeEnvYAML: |\n"                               /* 46 */
    "    env_vars: {A: b}\n";                             /* 47 */

#define SPELL "there is no such field"

const struct mutation mutations[] = {
    /* Fields that are not there, or are there by another name. */
    {"no apiVersion", "apiVersion: ray.io/v1\nkind: RayCluster", "kind: RayCluster", 1,
     "apiVersion"},
    {"no kind", "kind: RayCluster\n", "", 1, "kind"},
    {"no name", "  name: full\n", "  labels: {}\n", 3, "metadata.name"},
    {"no metadata", "metadata:\n  name: full\n", "", 1, "metadata.name"},
    {"spec misspelt", "spec:\n  rayVersion", "sepc:\n  rayVersion", 1, "spec: is required"},
    {"head misspelt", "headGroupSpec", "headGroupSpecs", 7, SPELL},
    {"no head", "  headGroupSpec:\n", "  autoscalerOptions:\n", 5, "headGroupSpec: is required"},
    {"no template", "      template: {spec: {containers: [{name: w}]}}\n", "", 20,
     "template.spec.containers: expected a list"},
    {"no containers", "[{name: w}]", "[]", 28, "at least one container"},
    {"containers misspelt", "containers: [{name: w}]", "container: [{name: w}]", 28,
     "at least one container"},
    {"replicas misspelt", "      replicas", "      replica", 21, SPELL},
    {"case of a field", "groupName", "groupname", 20, SPELL},
    {"no groupName", "    - groupName: small\n      replicas", "    - replicas", 20, "groupName"},
    {"a field of pods", "  rayVersion: '2.60.0'", "  containers: []", 6, SPELL},
    {"no entrypoint", "  entrypoint: echo hello\n", "", 34, "spec.entrypoint: is required"},
    {"empty entrypoint", "echo hello", "'  '", 35, "spec.entrypoint: is required"},
    {"no cluster", "  clusterSelector: {ray.io/cluster: full}\n", "", 34,
     "one of rayClusterSpec and clusterSelector"},
    {"selects nothing", "{ray.io/cluster: full}", "{ray.io/clusters: full}", 36,
     "expected 'ray.io/cluster: NAME'"},
    {"selects a path", "{ray.io/cluster: full}", "{ray.io/cluster: ../x}", 36,
     "expected 'ray.io/cluster: NAME'"},
    {"job field misspelt", "backoffLimit", "backOffLimit", 37, SPELL},
    /* Values of the wrong type. */
    {"document is a list",
     "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata:\n  name: full\nspec:", "- a\n---\nspec:",
     1, "expected an object"},
    {"kind is a number", "kind: RayCluster", "kind: 7", 2, "kind: expected a string"},
    {"name is a list", "name: full", "name: [full]", 4, "metadata.name: expected a string"},
    {"spec is a text", NULL,
     "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: a}\nspec: x\n", 4,
     "spec: expected an object"},
    {"replicas is a text", "replicas: 2", "replicas: two", 21, "replicas: expected"},
    {"replicas is a fraction", "replicas: 2", "replicas: 1.5", 21, "replicas: expected"},
    {"suspend is a text", "suspend: false", "suspend: maybe", 25, "suspend: expected"},
    {"start parameter is a number", "num-cpus: '2'", "num-cpus: 2", 9,
     "expected a text (put the value in quotes)"},
    {"start parameters are a list", "rayStartParams: {num-gpus: '1'}", "rayStartParams: [a]", 27,
     "rayStartParams: expected an object"},
    {"limits are a list",
     "              limits:\n                cpu: 2\n                memory: 2Gi",
     "              limits: [cpu]", 16, "limits: expected an object"},
    {"workers are an object", "    - groupName: small\n      replicas: 2\n", "      a: {}\n", 19,
     "workerGroupSpecs: expected a list"},
    {"label is a number", "{zone: a}", "{zone: 1}", 26, "expected a text"},
    {"metadata is a list", "{owner: me}", "[me]", 45, "spec.metadata: expected an object"},
    {"metadata has a number", "{owner: me}", "{owner: 1}", 45, "spec.metadata: expected"},
    {"env_vars has a number", "{A: b}", "{A: 1}", 46, "env_vars: expected an object of texts"},
    {"env_vars is a list", "{A: b}", "[A]", 46, "env_vars: expected an object of texts"},
    {"runtime env is broken", "env_vars: {A: b}", "env_vars: {A: b", 46, "spec.runtimeEnvYAML:"},
    {"runtime env is a text", "env_vars: {A: b}", "hello", 46, "expected YAML of an object"},
    /* Values that cannot be. */
    {"version", "apiVersion: ray.io/v1\nkind: RayCluster",
     "apiVersion: ray.io/v3\nkind: RayCluster", 1, "expected ray.io/v1"},
    {"name with capitals", "name: full", "name: Full", 4, "expected up to 63"},
    {"name with a slash", "name: full", "name: ../../etc", 4, "expected up to 63"},
    {"name too long", "name: full",
     "name: "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     4, "expected up to 63"},
    {"group name with a slash", "groupName: small", "groupName: a/b", 20, "groupName: expected"},
    {"group called head", "groupName: small", "groupName: head", 20, "groupName: expected"},
    {"negative replicas", "replicas: 2", "replicas: -2", 21, "expected 0 to"},
    {"no hosts", "numOfHosts: 1", "numOfHosts: 0", 24, "expected 1 to"},
    {"more than fits", "replicas: 2", "replicas: 99999999999999999999", 21, "replicas"},
    {"too many nodes", "      replicas: 2\n      minReplicas: 1\n      maxReplicas: 3\n",
     "      replicas: 1000\n", 21, "more than 256 nodes"},
    {"max below min", "maxReplicas: 3", "maxReplicas: 0", 23, "less than minReplicas"},
    {"cpu is no quantity", "cpu: 2", "cpu: two", 17, "expected a quantity"},
    {"memory below zero", "memory: 2Gi", "memory: -2Gi", 18, "expected a quantity"},
    {"memory beyond all", "memory: 2Gi", "memory: 999E", 18, "expected a quantity"},
    {"resources are no JSON", "'{\"head\": 1}'", "'{head: 1}'", 10, "expected a JSON object"},
    {"resources are negative", "'{\"head\": 1}'", "'{\"head\": -1}'", 10, "expected a quantity"},
    {"deadline of 0", "activeDeadlineSeconds: 60", "activeDeadlineSeconds: 0", 38,
     "expected a positive number"},
    {"negative deadline", "activeDeadlineSeconds: 60", "activeDeadlineSeconds: -5", 38,
     "expected 0 to"},
    {"negative retries", "backoffLimit: 1", "backoffLimit: -1", 37, "expected 0 to"},
    {"submission mode", "HTTPMode", "HttpMode", 43, "expected K8sJobMode"},
    {"job id with a slash", "jobId: my-id", "jobId: my/id", 44, "spec.jobId"},
    {"entrypoint resources", "'{\"x\": 1}'", "'[1]'", 42, "expected a JSON object"},
    {"two clusters of one name", "kind: RayJob\nmetadata:\n  name: job",
     "kind: RayCluster\nmetadata:\n  name: full", 0, "spec."},
    /* What is no YAML, or no manifest. */
    {"empty", NULL, "", 1, "expected a RayCluster or a RayJob"},
    {"a comment", NULL, "# nothing\n", 1, "expected a RayCluster or a RayJob"},
    {"another kind", NULL, "apiVersion: v1\nkind: ConfigMap\n", 1, "expected a RayCluster"},
    {"tabs", "    rayStartParams:\n", "\trayStartParams:\n", 8, ""},
    {"unclosed brace", "{zone: a}", "{zone: a", 0, ""},
    {"unclosed quote", "'2.60.0'", "'2.60.0", 0, ""},
    {"bad indentation", "  name: full\n", "  name: full\n   x: y\n", 5, ""},
    {"a key twice", "  name: full\n", "  name: full\n  name: again\n", 5, ""},
    {"unknown alias", "name: full", "name: *nothing", 4, ""},
    {"a tag of Python", "name: full", "name: !!python/object:os.system x", 4, ""},
    {"not UTF-8", "name: full", "name: \xff\xfe", 0, ""},
    {"a control character", "name: full", "name: \x01", 0, ""},
};

const size_t mutations_n = sizeof mutations / sizeof *mutations;

char *mutations_apply(size_t i, size_t *ret_len)
{
    const struct mutation *m = &mutations[i];
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_len);
    if (!m->find) {
        fputs(m->put, f);
    } else {
        const char *at = strstr(mutations_good, m->find);
        if (at)
            fprintf(f, "%.*s%s%s", (int)(at - mutations_good), mutations_good, m->put,
                    at + strlen(m->find));
    }
    fclose(f);
    return text;
}

char *mutations_special(size_t i, size_t *ret_len, const char **ret_what)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_len);
    uint32_t seed = 12345;
    switch (i) {
    case 0:
        *ret_what = "100,000 nested lists";
        for (int k = 0; k < 100000; k++)
            fputc('[', f);
        break;
    case 1:
        *ret_what = "10,000 nested objects";
        for (int k = 0; k < 10000; k++)
            fprintf(f, "%*sa:\n", k % 1000, "");
        break;
    case 2:
        *ret_what = "a billion laughs";
        fprintf(f, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for (int k = 1; k < 10; k++) {
            fprintf(f, "a%d: &a%d [", k, k);
            for (int n = 0; n < 10; n++)
                fprintf(f, "*a%d,", k - 1);
            fprintf(f, "]\n");
        }
        break;
    case 3:
        *ret_what = "bytes";
        for (int k = 0; k < 4096; k++)
            fputc((int)((seed = seed * 1664525u + 1013904223u) >> 24), f);
        break;
    case 4:
        *ret_what = "zeros";
        for (int k = 0; k < 4096; k++)
            fputc(0, f);
        break;
    case 5:
        *ret_what = "cut in the middle of a word";
        fprintf(f, "%.*s", (int)(strstr(mutations_good, "GroupSpec") - mutations_good),
                mutations_good);
        break;
    case 6:
        *ret_what = "a program";
        fputs("\x7f"
              "ELF\x02\x01\x01",
              f);
        break;
    case 7:
        *ret_what = "more than 4 MiB";
        for (int k = 0; k < 500000; k++)
            fputs("# 23456789\n", f);
        break;
    case 8:
        *ret_what = "300 documents";
        for (int k = 0; k < 300; k++)
            fputs("---\na: b\n", f);
        break;
    default:
        fclose(f);
        free(text);
        return NULL;
    }
    fclose(f);
    return text;
}
