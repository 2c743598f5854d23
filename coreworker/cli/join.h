/*
 * Join files: what a machine needs to join the cluster of a head that `raia start --head` started:
 * addresses, the CA's certificate, the leaf that the cluster's daemons use, and the API's token.
 * Whoever has the file has the cluster: its mode is 0600, and it travels over safe ways only.
 *
 * Threads: any. Failure: errors name the file.
 */
#ifndef CLI_JOIN_H
#define CLI_JOIN_H

#include "cli/state.h"

/* Writes DIR/join.json of a head's state folder; *ret_path: mem_free. */
int join_write(const struct state_cluster *c, char **ret_path, struct raia_error *e);

/* Makes a state folder out of a join file: token, tls/ and cluster.json. gcs_address: in place of
 * the file's, or NULL. *ret_address is the GCS's: mem_free. */
int join_read(const char *path, const char *gcs_address, const char *name, const char *dir,
              char **ret_address, struct raia_error *e);

#endif
