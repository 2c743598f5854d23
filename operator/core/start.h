/*
 * The parameters with which a Raia node of a pod is started, in the spelling of `ray start`.
 *
 *     struct json *params = NULL;
 *     r = start_params(group, "demo-head-svc.default.svc.cluster.local", &params, e);
 *     char *line = start_line(params, group->is_head);  // "/opt/raia/bin/ray start --head --block ..."
 *     r = start_argv(params, group->is_head, &args);    // ["--head", "--num-cpus=2"], for raia-pod
 *
 * Derived as KubeRay does it: from the group's rayStartParams, its resources and labels, and the Ray
 * container's limits. Ownership: results are the caller's. Threads: any. Failure: -NOMEM.
 */
#ifndef OPERATOR_START_H
#define OPERATOR_START_H

#include "api/raycluster.h"
#include "json/json.h"

#define START_GCS_PORT       6379
#define START_DASHBOARD_PORT 8265
#define START_METRICS_PORT   8080
#define START_CLIENT_PORT    10001
#define START_SERVE_PORT     8000

/* An object of texts. gcs_host: the head, for workers. */
int start_params(const struct ray_group *g, const char *gcs_host, struct json **ret_params);

/* For a shell; mem_free. NULL: no memory. */
char *start_line(const struct json *params, bool head);

/* For an execution without a shell: what a shell would make of the values, with $NAME as the $(NAME)
 * that Kubernetes expands. -UNSUPPORTED: one of them needs a real shell. */
int start_argv(const struct json *params, bool head, struct json **ret_args);

/* A port that a parameter may change. */
int64_t start_port(const struct ray_group *g, const char *param, int64_t def);

#endif
