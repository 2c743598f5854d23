/*
 * What the files of the links share: link.c (links, dialling), link_conn.c (streams, records).
 */
#ifndef LINK_LINK_IMPL_H
#define LINK_LINK_IMPL_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "link/link.h"

#define LINK_METHOD     "/raia.agent.Raylet/Link"
#define LINK_TYPE_HELLO 0xffffu
#define LINK_FOLLOWS    1u           /* flags: the data is the next message, whole */
#define LINK_BATCH      (128u << 10) /* bytes put into one message */

/* Before each record. */
struct link_head {
    uint32_t head_size;
    uint16_t type;
    uint16_t flags;
    uint32_t data_size;
    uint32_t reserved;
};

struct link_hello {
    uint32_t protocol;
    uint32_t reserved;
    uint8_t node[16];
};

/* One stream. It may outlive its link, until its on_close. */
struct conn {
    struct links *links;
    struct link *link; /* NULL: not known yet, or no longer of use */
    struct rpc_stream *stream;
    bool dialled;         /* by this node */
    bool hello;           /* the other's hello has come */
    bool full;            /* a message was refused: on_writable is to come */
    uint8_t *follow_head; /* of a record whose data is the next message */
    struct link_head follow;
    struct list all; /* in links.conns */
};

/* What is known of a node. */
struct link {
    struct links *links;
    uint8_t node[16]; /* hash key */
    char *address;
    struct rpc_channel *channel; /* NULL: never dialled */
    struct conn *conn;           /* dialled or up; NULL: idle */
    bool up;
    bool refused;            /* a large send: the user is to be told when there is room */
    struct buf out;          /* records not yet given to the stream */
    bool tell;               /* the user is to be told that it broke */
    struct loop_task broken; /* does that */
    char why[160];
    HASH_HANDLE hh;
};

struct links {
    struct loop *loop;
    const struct rpc_tls *tls;
    const struct links_ops *ops;
    void *arg;
    uint8_t node[16];
    struct link *table;
    struct list conns;
    struct loop_hook flush;
    uint32_t closing; /* channels */
    bool ended;
    struct links_stats stats;
};

extern const struct rpc_stream_cbs link_conn_cbs;

/* link.c */
struct link *link_find(struct links *k, const uint8_t node[16]);
struct link *link_get(struct links *k, const uint8_t node[16]);
/* The stream ended, or is to end: the link is idle, the user is told. */
void link_down(struct link *l, const char *why);
/* The other's hello on a stream that it dialled: takes it, or not. */
void link_accept(struct conn *c, const uint8_t node[16]);
void link_is_up(struct link *l);

/* link_conn.c */
int link_accept_stream(void *arg, struct rpc_stream *st, struct raia_error *e);
struct conn *link_conn_new(struct links *k);
void link_conn_detach(struct conn *c); /* its link has no more use for it: it is cancelled */
int link_conn_hello(struct conn *c);
void link_conn_flush(struct link *l);
void link_conn_room(struct link *l); /* tells the user if there is room again */
int link_put(struct link *l, uint16_t type, uint16_t flags, const void *head, size_t head_size,
             const void *data, size_t data_size);

#endif
