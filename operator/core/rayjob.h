/*
 * The RayJob reconciler: from a RayJob to a RayCluster, a submission, and its end.
 * docs/design/rayjob.md shows its state machine, which is KubeRay's.
 *
 *     struct reconciler *r = rayjob_reconciler(&config);
 *     ... controller_options.reconcilers ...
 *     mem_free(r);                                 // after controller_free
 *
 * What it must not lose is in the object's status, written before anything is done for it: the names
 * of the cluster and of the submission are those of the attempt, so what is made twice is there once.
 * The state of the Ray job comes from the head's job API (rayjob_rest.c), by a request that the head
 * answers when there is news, or after a while; a head that does not know such requests is asked
 * each RAYJOB_POLL_NS.
 *
 * Threads: one. Failure: NULL: no memory.
 */
#ifndef OPERATOR_RAYJOB_H
#define OPERATOR_RAYJOB_H

#include "core/reconciler.h"

#define RAYJOB_FINALIZER "ray.io/rayjob-finalizer"
#define RAYJOB_SUBMITTER "ray-job-submitter" /* the container that submits */

/* How long it waits, ns. */
#define RAYJOB_S         INT64_C(1000000000)
#define RAYJOB_POLL_NS   (3 * RAYJOB_S)   /* between requests that bring no news */
#define RAYJOB_HEAD_NS   (5 * RAYJOB_S)   /* the head is lost, the submitter has not ended */
#define RAYJOB_DONE_NS   (30 * RAYJOB_S)  /* the submitter has ended, the Ray job has not */
#define RAYJOB_GRACE_NS  (300 * RAYJOB_S) /* the Ray job has ended, the submitter has not */
#define RAYJOB_SILENT_NS (300 * RAYJOB_S) /* the head does not answer */

/* Memory is the caller's: mem_free. config must outlive it. */
struct reconciler *rayjob_reconciler(const struct operator_config *config);

#endif
