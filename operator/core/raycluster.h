/*
 * The RayCluster reconciler: from a RayCluster to its services, secrets, volume claim and pods, and
 * its status.
 *
 *     struct reconciler *r = raycluster_reconciler(&config, maker);
 *     ... controller_options.reconcilers ...
 *     raycluster_free(r);                            // after controller_free
 *
 * One pass: what belongs to the cluster is seen (raycluster_seen.c); secrets, services and the claim
 * that are missing are made (stage 0), then pods of all groups side by side (stage 1: made, replaced,
 * deleted; raycluster_pods.c), then the status says what was seen (raycluster_status.c). What it keeps
 * in memory, and may lose, is the back-off of groups whose pods fail, and an authority that is about
 * to replace the cluster's.
 *
 * Rules: there is one head, and the next one is made when the one before it is gone. A head that has
 * no volume takes the cluster's tables with it; workers then register with the next one. Pods that
 * KubeRay made are never touched.
 * Threads: one. Failure: NULL: no memory.
 */
#ifndef OPERATOR_RAYCLUSTER_H
#define OPERATOR_RAYCLUSTER_H

#include "core/reconciler.h"
#include "core/secret.h"

#define RAYCLUSTER_BACKOFF_NS INT64_C(1000000000) /* before the second replacement; doubles */

/* Both must outlive it. */
struct reconciler *raycluster_reconciler(const struct operator_config *config,
                                         struct secret_maker *maker);
void raycluster_free(struct reconciler *r); /* accepts NULL */

#endif
