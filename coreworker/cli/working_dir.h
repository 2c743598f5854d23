/*
 * The local working_dir of a job, made known to the cluster: it is packed, and uploaded unless a
 * package of the same contents is there already, as Ray's command line does.
 *
 * Ownership: nothing is kept. Threads: one at a time; blocks on the disk and the network.
 * Failure: -NOT_FOUND, -LIMIT (512 MiB packed), -INVALID, what api_call fails with.
 */
#ifndef CLI_WORKING_DIR_H
#define CLI_WORKING_DIR_H

#include "cli/state.h"
#include "json/json.h"

/* If runtime_env (may be NULL) has a working_dir that is a path (of a folder, or of a zip file),
 * puts the URI of its package there; the paths that its "excludes" name are left out. */
int working_dir_upload(const struct state_cluster *c, struct json *runtime_env,
                       struct raia_error *e);

#endif
