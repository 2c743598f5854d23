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
#include "json/json.h"

/*
 * Starts it and waits until all its nodes are there. If it runs already with the same nodes, it is
 * used as it is (*ret_reused); with others: -EXISTS.
 */
int cluster_up(const struct manifest_cluster *c, struct state_cluster *ret_c, bool *ret_reused,
               struct raia_error *e);

/* The ports that users know. */
#define CLUSTER_GCS_PORT       6379
#define CLUSTER_DASHBOARD_PORT 8265

bool cluster_port_free(const char *host, int port);

/* The steps of which cluster_up is made, for `raia start`. cluster_clear removes a folder that an
 * earlier run left. cluster_start writes the plan and starts its keeper, a child of this process.
 * cluster_start_head also makes the secrets, waits until all nodes of the plan are there, and takes
 * everything down again if they do not come. */
int cluster_clear(const char *dir, struct raia_error *e);
int cluster_start(const char *dir, const struct json *plan, pid_t *ret_keeper,
                  struct raia_error *e);
int cluster_start_head(const char *name, const char *dir, const struct json *plan, const char *host,
                       const char *api_host, struct state_cluster *ret_c, struct raia_error *e);

/* Ends it: no process and no shared memory is left, the logs stay; purge removes all. Fine if it
 * does not run; -NOT_FOUND if there is no trace of it. */
int cluster_down(const char *name, bool purge, struct raia_error *e);
/* The same from within a job's controller, which is spared: its lock is the file `own`. */
int cluster_down_from(const char *name, const char *own, struct raia_error *e);

/* Set by SIGINT and SIGTERM once cluster_catch_signals was called. */
extern volatile int cluster_interrupted;
void cluster_catch_signals(void);

#endif
