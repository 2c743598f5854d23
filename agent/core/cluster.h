/*
 * The cluster as one raylet sees it: the other nodes, what they have, and which one to ask.
 *
 * The view is always somewhat old: reports come through the GCS within about 100 ms, and with each
 * answer of a raylet that was asked. What was asked for and not answered yet counts as taken, so
 * that a burst does not go to one node. A newer version wins over an older one, however it came.
 *
 * The policy (cluster_pick). Hybrid: among the nodes where the need fits now, those that are used
 * to less than one half (by their most used resource) are all as good, and this node is the best of
 * them; beyond one half the least used wins. Equals are taken in turn. Spread: all that fit in
 * turn.
 *
 * Threads: one at a time. Failure: -NOMEM; -LIMIT for more than CLUSTER_NODES_MAX nodes.
 */
#ifndef CORE_CLUSTER_H
#define CORE_CLUSTER_H

#include "core/resources.h"

#define CLUSTER_NODES_MAX      1024
#define CLUSTER_SPREAD_PERCENT 50 /* Ray's scheduler_spread_threshold */
#define CLUSTER_HERE           (-1)
#define CLUSTER_NONE           (-2)

/* A node but this one. */
struct cluster_node {
    uint8_t id[16];
    bool used;                /* the slot holds a node that is alive */
    bool avoid;               /* it drains, or the link to it is down: nothing new goes there */
    struct res_set total;     /* what it has */
    struct res_set available; /* as it said last */
    struct res_set asked;     /* asked for, not answered yet */
    uint64_t version;         /* of `available` */
};

struct cluster {
    struct cluster_node *node; /* slots */
    int n;                     /* slots in use or free */
    int turn;                  /* where the next search among equals begins */
};

void cluster_done(struct cluster *c);
/* The slot of a node, or CLUSTER_NONE. */
int cluster_find(const struct cluster *c, const uint8_t id[16]);
/* Adds a node, or finds it; the slot is its number as long as it lives. */
int cluster_add(struct cluster *c, const uint8_t id[16], int *ret_slot);
void cluster_remove(struct cluster *c, int slot);
/* News of what a node has; true if it was new. total may be NULL: as before. */
bool cluster_update(struct cluster *c, int slot, uint64_t version, const struct res_set *total,
                    const struct res_set *available);
/* What was taken there is given back: it has room again, though it has not said so yet. */
void cluster_returned(struct cluster *c, int slot, const struct res_set *need);
/* Does it fit there by what is known? */
bool cluster_fits(const struct cluster *c, int slot, const struct res_set *need);
/* Some node but this one could meet it if it were empty. */
bool cluster_feasible(const struct cluster *c, const struct res_set *need);

/* Where to place one: CLUSTER_HERE, a slot, or CLUSTER_NONE. prefer: a slot, HERE or NONE. */
int cluster_pick(struct cluster *c, const struct ledger *here, const struct res_set *need,
                 bool spread, int prefer);

#endif
