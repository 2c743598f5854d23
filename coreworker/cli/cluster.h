/*
 * Bringing a cluster of local processes up and down.
 *
 * Ownership: as state.h. Threads: one at a time. Both block, with deadlines; SIGINT ends a wait
 * with -CANCELED. Failure: the error says why, and which log has more; a cluster that could not be
 * brought up is taken down again.
 */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli/manifest.h"
#include "cli/state.h"

/*
 * Starts it and waits until all its nodes are there. If it runs already with the same nodes, it is
 * used as it is (*ret_reused); with others: -EXISTS.
 */
int cluster_up(const struct manifest_cluster *c, struct state_cluster *ret_c, bool *ret_reused,
               struct raia_error *e);

/* Ends it: no process and no shared memory is left, the logs stay; purge removes all. Fine if it
 * does not run; -NOT_FOUND if there is no trace of it. */
int cluster_down(const char *name, bool purge, struct raia_error *e);
/* The same from within a job's controller, which is spared: its lock is the file `own`. */
int cluster_down_from(const char *name, const char *own, struct raia_error *e);

/* Set by SIGINT and SIGTERM once cluster_catch_signals was called. */
extern volatile int cluster_interrupted;
void cluster_catch_signals(void);

#endif
