/*
 * The in-memory transport, shared by mem_stream.c and mem_server.c only.
 */
#ifndef RPC_MEM_IMPL_H
#define RPC_MEM_IMPL_H

#include "rpc/rpc_impl.h"

/* One end of a stream; both ends share the pair's lock. */
struct mem_end {
    struct rpc_stream st;       /* must be first */
    struct mem_pair *pair;      /* referenced */
    struct loop_timer deadline; /* client: the call's */
};

struct mem_pair {
    pthread_mutex_t lock;   /* guards both streams' locked fields and the pointers below */
    atomic_uint refs;       /* each end, and the list that it is in */
    struct mem_end *client; /* NULL: gone */
    struct mem_end *server; /* NULL: not accepted yet, or gone */
    struct mem_pair *next;  /* the listener's backlog, or those that wait for one */
    char *name;             /* waiting for a server of that name; NULL: not waiting */
};

extern const struct rpc_wire rpc_mem_wire;

void rpc_mem_pair_unref(struct mem_pair *p);
/* Hands a pair to the server that listens at `name`, or with `wait` keeps it until there is one;
 * takes a reference if it succeeds; -UNAVAILABLE or -NOMEM. Any thread. */
int rpc_mem_connect(const char *name, struct mem_pair *p, bool wait, const char **ret_why);
/* The client does not wait any longer. */
void rpc_mem_leave(struct mem_pair *p);

#endif
