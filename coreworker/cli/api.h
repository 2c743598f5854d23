/*
 * The REST API of a cluster, as its command line asks it: one JSON request, one JSON reply.
 *
 * Ownership: replies are the caller's (json_free). Threads: one at a time.
 * Failure: the server's own message, with the URL; -UNAVAILABLE when nobody answers.
 */
#ifndef CLI_API_H
#define CLI_API_H

#include "cli/state.h"
#include "json/json.h"

/* path begins with "/api/". body may be NULL. *ret_reply may be NULL if not wanted; it becomes NULL
 * for an empty reply. */
int api_call(const struct state_cluster *c, const char *method, const char *path,
             const struct json *body, struct json **ret_reply, struct raia_error *e);

/* PUTs `size` bytes of a file. */
int api_upload(const struct state_cluster *c, const char *path, int fd, size_t size,
               struct raia_error *e);

/* How many nodes are alive, from /api/v0/nodes. */
int api_alive_nodes(const struct state_cluster *c, size_t *ret_n, struct raia_error *e);

#endif
