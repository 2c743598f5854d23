/*
 * Any bytes as a manifest: accepted, and then sound, or refused with a text that names the source.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/manifest.h"
#include "cli/plan_make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct manifest *m)
{
    for (size_t i = 0; i < m->nclusters; i++) {
        const struct manifest_cluster *c = &m->clusters[i];
        struct json *plan = NULL;
        size_t nodes = 0;
        for (size_t j = 0; j < c->ngroups; j++)
            nodes += (size_t)c->groups[j].replicas;
        if (c->ngroups == 0 || strcmp(c->groups[0].name, "head") || nodes < 1 ||
            nodes > MANIFEST_NODES_MAX)
            abort();
        if (plan_make(c, "/x", 0, 0, &plan, NULL) < 0 ||
            json_size(json_get(plan, "nodes")) != nodes)
            abort();
        json_free(plan);
    }
    for (size_t i = 0; i < m->njobs; i++)
        if (!m->jobs[i].cluster || !m->jobs[i].runtime_env || !m->jobs[i].metadata ||
            !json_is(m->jobs[i].runtime_env, JSON_OBJECT) || m->jobs[i].backoff_limit < 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest *m = NULL;
    struct raia_error e = {0};
    if (size > 1u << 16)
        return 0;
    if (manifest_parse((const char *)data, size, "fuzz", &m, &e) == 0)
        check(m);
    else if (!e.code || !strstr(e.text, "fuzz"))
        abort();
    manifest_free(m);
    return 0;
}
