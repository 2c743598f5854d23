/*
 * For tests of the RayCluster reconciler: specs, and readers of the status.
 */
#ifndef TEST_RAYCLUSTER_SPECS_H
#define TEST_RAYCLUSTER_SPECS_H

#include "raycluster_world.h"

#define GROUP(name, replicas, more)                                                                \
    "- {groupName: " name ", replicas: " replicas ", minReplicas: 0, maxReplicas: 9, " more        \
    "rayStartParams: {}, template: {spec: {containers: [{name: r, image: i, resources: "           \
    "{requests: {cpu: 2, memory: 1Gi}}}]}}}\n"
#define HEAD                                                                                       \
    "headGroupSpec: {template: {spec: {containers: [{name: r, image: i, resources: "               \
    "{requests: {cpu: 500m, memory: 1Gi}}}]}}}\n"
#define TWO HEAD "workerGroupSpecs:\n" GROUP("a", "2", "") GROUP("b", "1", "")

static inline int64_t number(struct world *w, const char *path)
{
    int64_t v = -1;

    (void)json_int(json_at(w->cluster, path), &v);
    return v;
}

static inline const char *text(struct world *w, const char *path)
{
    const char *v = json_str(json_at(w->cluster, path));

    return v ? v : "";
}

#endif
