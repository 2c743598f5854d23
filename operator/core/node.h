/*
 * Whether a node is there and ready, as the server tells it.
 *
 *     r = node_down(s->nodes, name, &down, since, e);
 *     if (r == 0 && down) ... not ready since then: compare `since` with that of the last look
 *
 * `since` is the server's clock: it tells one transition from the next, and no more.
 *
 * Threads: any. Failure: -NOMEM.
 */
#ifndef OPERATOR_NODE_H
#define OPERATOR_NODE_H

#include "kube/store.h"

#define NODE_SINCE_SIZE 40

/* down: it is not ready, or nobody knows it (since is "none" then; it may be too new for us). A node
 * of which nobody says whether it is ready is not down. */
int node_down(const struct kube_store *nodes, const char *name, bool *ret_down,
              char ret_since[NODE_SINCE_SIZE], struct raia_error *e);

#endif
