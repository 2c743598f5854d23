/*
 * The keeper of a cluster on one machine: what the kubelet is in pods. It starts one raia-agent for
 * each node of the plan, replaces those that die, and ends them all. It also starts controllers of
 * RayJobs again that were killed (controllers.h).
 *
 * The plan (`plan.json` in the cluster's state folder):
 *     {"nodes": [{"name": "head", "head": true, "argv": ["--node-name=head", ...]}, ...]}
 * argv is what raia-agent is given. The head comes first: once its gcs.json is there, the others
 * are started with its address added (--gcs-address), and a replaced head asks for the same ports
 * again. A plan without a head (`raia start --address`) says --gcs-address itself.
 *
 * Threads: one; the loop's owner, which must be the main thread (parent-death signals).
 * Failure: keeper_new fails on a plan that cannot be read, naming file and place.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <stdbool.h>

#include "loop/loop.h"
#include "raia/error.h"

#define KEEPER_NODES_MAX 1024 /* nodes of one plan */

struct keeper;

/* state_dir: the cluster's, absolute; copied. Starts the head. */
int keeper_new(struct loop *l, const char *state_dir, struct keeper **ret_k, struct raia_error *e);

/* Ends it as keeper_stop does when the process of this pidfd (taken over) ends. -NOMEM. */
int keeper_follow(struct keeper *k, int pidfd, struct raia_error *e);
/* True once that process has ended: the state folder is of no use to anybody. */
bool keeper_orphaned(const struct keeper *k);

/* Ends all nodes, then the loop. A second call skips the grace. */
void keeper_stop(struct keeper *k);

/* True when a node could not run at all (it is in the log): everything is ended, exit with 1. */
bool keeper_failed(const struct keeper *k);

/* Takes NULL. */
void keeper_free(struct keeper *k);

#endif
