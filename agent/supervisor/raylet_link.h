/*
 * The supervisor's end of the socket pair to its raylet: SupervisorDown comes in, SupervisorUp goes
 * out, one protobuf message a packet (proto/agent.proto).
 *
 * Ownership: the link owns its descriptor and what waits to be sent. The message given to a
 * callback is valid during it. Threads: the loop's owner. Failure: a raylet that does not read
 * (more than RAYLET_LINK_MAX messages wait), that hangs up or that sends what cannot be parsed gets
 * `on_broken`, once, from the loop; the owner then kills it.
 */
#ifndef SUPERVISOR_RAYLET_LINK_H
#define SUPERVISOR_RAYLET_LINK_H

#include "agent.pb-c.h"
#include "loop/loop.h"
#include "raia/error.h"

#define RAYLET_LINK_MAX        16384     /* messages that may wait to be sent */
#define RAYLET_LINK_PACKET_MAX (1 << 18) /* bytes of one message */

struct raylet_link;

struct raylet_link_ops {
    void (*on_message)(void *arg, const Raia__Agent__SupervisorDown *m);
    void (*on_broken)(void *arg, const char *why);
};

/* Makes the pair; *ret_peer_fd is the raylet's end (CLOEXEC), to be closed once it was spawned. */
int raylet_link_new(struct loop *l, const struct raylet_link_ops *ops, void *arg,
                    struct raylet_link **ret_link, int *ret_peer_fd, struct raia_error *e);

/* Queues a message; it is packed at once. */
int raylet_link_send(struct raylet_link *k, const Raia__Agent__SupervisorUp *m);

/* Takes NULL. Not from within a callback. No callback comes afterwards. */
void raylet_link_free(struct raylet_link *k);

#endif
