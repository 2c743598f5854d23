/*
 * Links: one bidirectional stream between each two nodes that have something to say, over which
 * raylets and their stores send each other binary records, many to a message.
 *
 *     r = links_new(loop, server, tls, node, &ops, arg, &links, e);   // before rpc_server_start
 *     links_address(links, other, "10.0.0.7:41234");                  // where it is
 *     r = links_send(links, other, type, head, n, data, len, release, ra);
 *
 * A link is dialled by the first who sends; what is sent meanwhile waits. If both dial at a time,
 * the stream of the node with the smaller id stays. Each stream begins with a hello that says who
 * is there. Records arrive in order, or not at all: a link that ends loses what was under way, each
 * side is told once (on_broken), and the next send dials anew.
 *
 * Ownership: data given with a release function stays the caller's until that is called, exactly
 * once if the send was accepted. Threads: the loop's owner; callbacks come from the loop, but for
 * on_broken, which links_drop does not call. Callbacks may call links_send.
 * Failure: links_send: -LIMIT: more than LINK_OUTBOX bytes wait (only for sends with a release
 * function; on_writable tells when there is room); -UNAVAILABLE: no address is known, or the wait
 * is over LINK_QUEUE_MAX (the link is then broken).
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "rpc/rpc.h"

#define LINK_PROTOCOL  1u
#define LINK_OUTBOX    (8u << 20)   /* bytes waiting, beyond which large sends are refused */
#define LINK_QUEUE_MAX (256u << 20) /* bytes waiting, beyond which a link is broken */
#define LINK_TYPE_MAX  0xfffeu

struct links;

struct links_ops {
    void (*on_up)(void *arg, const uint8_t node[16]);
    /* A record. Negative: it makes no sense, and the link is broken. */
    int (*on_record)(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                     size_t head_size, const void *data, size_t data_size);
    void (*on_writable)(void *arg, const uint8_t node[16]);
    void (*on_broken)(void *arg, const uint8_t node[16], const char *why);
};

int links_new(struct loop *loop, struct rpc_server *server, const struct rpc_tls *tls,
              const uint8_t node[16], const struct links_ops *ops, void *arg,
              struct links **ret_links, struct raia_error *e);
/* Closes all; the loop is run until they are. No callbacks but releases. Accepts NULL. */
void links_free(struct links *k);
/* Where a node is; known until links_drop. */
int links_address(struct links *k, const uint8_t node[16], const char *address);
int links_send(struct links *k, const uint8_t node[16], uint16_t type, const void *head,
               size_t head_size, const void *data, size_t data_size, void (*release)(void *arg),
               void *release_arg);
/* Ends the link; on_broken comes from the loop. It can be dialled again. */
void links_break(struct links *k, const uint8_t node[16], const char *why);
/* The node is dead: its link ends, and is forgotten. on_broken is not called. */
void links_drop(struct links *k, const uint8_t node[16]);

bool links_is_up(struct links *k, const uint8_t node[16]);

struct links_stats {
    uint32_t known; /* nodes */
    uint32_t up;    /* links */
    uint64_t records_out, records_in;
    uint64_t bytes_out, bytes_in;
};
void links_stats(const struct links *k, struct links_stats *ret_stats);

#endif
