/*
 * From a manifest's cluster to the options of its agents.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/manifest.h"
#include "cli/plan_make.h"

static struct json *plan_of(const char *text, int port, int dashboard)
{
    struct manifest *m = NULL;
    struct raia_error e = {0};
    struct json *plan = NULL;
    cr_assert(manifest_parse(text, strlen(text), "t", &m, &e) == 0, "%s", e.text);
    cr_assert(plan_make(&m->clusters[0], "/state/c", port, dashboard, &plan, &e) == 0, "%s",
              e.text);
    manifest_free(m);
    return plan;
}

static bool has(const struct json *node, const char *option)
{
    JSON_FOREACH(it, json_get(node, "argv"))
    if (!strcmp(json_str(it), option))
        return true;
    return false;
}

static bool has_any(const struct json *node, const char *prefix)
{
    JSON_FOREACH(it, json_get(node, "argv"))
    if (!strncmp(json_str(it), prefix, strlen(prefix)))
        return true;
    return false;
}

#define CLUSTER                                                                                    \
    "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: c}\nspec:\n"                        \
    "  headGroupSpec: {rayStartParams: {num-cpus: '0.5', memory: 1Gi, object-store-memory: 1Mi,\n" \
    "    resources: '{\"a\": 1}'}, labels: {zone: z}, template: {spec: {containers: [{}]}}}\n"     \
    "  workerGroupSpecs:\n"                                                                        \
    "  - {groupName: w, replicas: 2, template: {spec: {containers: [{}]}}}\n"

/* The head comes first and gets the ports; each replica is a node with a folder of its own. */
Test(plan_make, nodes)
{
    struct json *plan = plan_of(CLUSTER, 6379, 8265), *nodes = json_get(plan, "nodes");
    cr_assert_str_eq(json_str(json_get(plan, "cluster")), "c");
    cr_assert_eq(json_size(nodes), 3);
    struct json *head = json_item(nodes, 0), *w1 = json_item(nodes, 2);
    cr_assert_str_eq(json_str(json_get(head, "name")), "head");
    cr_assert(json_true(json_get(head, "head")) && has(head, "--head"));
    cr_assert(has(head, "--port=6379") && has(head, "--dashboard-port=8265"));
    cr_assert(has(head, "--session-dir=/state/c/nodes/head") &&
              has(head, "--tls-dir=/state/c/tls"));
    cr_assert(has(head, "--token-file=/state/c/token"));
    cr_assert_str_eq(json_str(json_get(w1, "name")), "w-1");
    cr_assert(!json_true(json_get(w1, "head")) && !has(w1, "--head") && !has_any(w1, "--port"));
    cr_assert(has(w1, "--session-dir=/state/c/nodes/w-1") && has(w1, "--node-name=w-1"));
    json_free(plan);
}

/* What the manifest says of a node is passed on; what it does not say is left to the agent. */
Test(plan_make, resources)
{
    struct json *plan = plan_of(CLUSTER, 0, 0), *nodes = json_get(plan, "nodes");
    struct json *head = json_item(nodes, 0), *worker = json_item(nodes, 1);
    cr_assert(has(head, "--num-cpus=0.5") && has(head, "--memory=1073741824"));
    cr_assert(has(head, "--object-store-memory=1048576") && has(head, "--resources={\"a\":1}"));
    cr_assert(has(head, "--labels={\"zone\":\"z\"}"));
    cr_assert(!has_any(worker, "--num-cpus") && !has_any(worker, "--memory") &&
              !has_any(worker, "--resources") && !has_any(worker, "--labels"));
    json_free(plan);
}

/* Each allocation may fail: -NOMEM, and nothing is left behind (LeakSanitizer). */
Test(plan_make, no_memory, .timeout = 60)
{
    struct manifest *m = NULL;
    cr_assert(manifest_parse(CLUSTER, strlen(CLUSTER), "t", &m, NULL) == 0);
    for (uint64_t nth = 1;; nth++) {
        struct json *plan = NULL;
        mem_fail_nth(nth);
        int r = plan_make(&m->clusters[0], "/state/c", 1, 2, &plan, NULL);
        bool failed = mem_fail_count() >= nth;
        mem_fail_nth(0);
        cr_assert(r == 0 || (r == -RAIA_ERR_NOMEM && !plan));
        json_free(plan);
        if (!failed)
            break;
    }
    manifest_free(m);
}
