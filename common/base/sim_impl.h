/*
 * What the files of the simulation share.
 */
#ifndef BASE_SIM_IMPL_H
#define BASE_SIM_IMPL_H

#include "base/heap.h"
#include "base/sim.h"

enum sim_event_kind { SIM_TIMER, SIM_MESSAGE, SIM_BROKEN };

struct sim_event {
    struct heap_node node; /* in sim->events, until it happens */
    int64_t time;          /* when it happens, ns */
    uint64_t seq;          /* order among equals */
    enum sim_event_kind kind;
    struct sim_node *from; /* message: sender; broken: the peer */
    struct sim_node *to;   /* who gets it; timer: whose it is, or NULL */
    uint64_t life;         /* of `to` when it was made (broken, timer) */
    uint64_t epoch;        /* the connection that a message was sent on, or that has begun */
    sim_fn fn;             /* of a timer */
    void *ctx;             /* for fn */
    size_t size;           /* bytes of data */
    unsigned char data[];  /* the message */
};

/* One node's side of its link to another. */
struct sim_side {
    uint64_t epoch; /* the connection that this node knows of */
    uint64_t told;  /* the one of which the last SIM_BROKEN under way tells; 0: none */
    int64_t
        last_arrival; /* time at which what was last sent to this node arrives: keeps the order */
    bool partitioned; /* kept equal on both sides */
};

struct sim_node {
    struct sim *sim;
    char *name;
    const struct sim_node_ops *ops;
    void *ctx; /* for ops; of this life */
    bool alive;
    uint64_t life;          /* deaths so far */
    unsigned index;         /* in sim->nodes */
    struct sim_side *sides; /* to each node, by its index */
};

struct sim {
    uint64_t seed;
    struct prng prng;
    int64_t now;                  /* ns */
    uint64_t seq;                 /* of the event made last */
    struct heap events;           /* of struct sim_event */
    int64_t delay_min, delay_max; /* ns */
    struct sim_node *nodes[SIM_NODES_MAX];
    unsigned n_nodes;
    uint64_t epochs[SIM_NODES_MAX]
                   [SIM_NODES_MAX]; /* of each pair, [lower][higher]: breaks so far */
    uint64_t digest;                /* of what has happened */
    bool trace;                     /* print events */
    bool failed;
    char *why; /* NULL: there was no memory for it */
};

/* A zeroed event in the queue; NULL: the sim has failed. */
struct sim_event *sim_event_add__(struct sim *s, int64_t time, size_t payload);
int64_t sim_delay__(struct sim *s);
void sim_trace__(struct sim *s, const char *what, const struct sim_node *from,
                 const struct sim_node *to, uint64_t detail);

/* Begins a new connection between two nodes and sends the living ones word of it. */
void sim_link_break__(struct sim_node *a, struct sim_node *b);
/* A node that begins a life knows the connections as they are. */
void sim_link_renew__(struct sim_node *n);
/* A message or the news of a break arrives. */
void sim_link_event__(struct sim_event *e);

#endif
