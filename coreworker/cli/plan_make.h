/*
 * From a manifest's cluster to the keeper's plan (agent/keeper/keeper.h): which raia-agents, with
 * which options, in which folders.
 *
 * Ownership: the tree is the caller's. Threads: any. Failure: -NOMEM.
 */
#ifndef CLI_PLAN_MAKE_H
#define CLI_PLAN_MAKE_H

#include "cli/manifest.h"
#include "json/json.h"

#define PLAN_NODE_IP "127.0.0.1"

/* dir: the cluster's state folder. port, dashboard_port: 0 lets the GCS choose. */
int plan_make(const struct manifest_cluster *c, const char *dir, int port, int dashboard_port,
              struct json **ret_plan, struct raia_error *e);

/* One node more, in plan.nodes. The ports are the head's. */
int plan_add_node(struct json *nodes, const struct manifest_group *g, const char *name, bool head,
                  const char *dir, int port, int dashboard_port);

#endif
