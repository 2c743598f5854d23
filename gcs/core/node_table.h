/*
 * The nodes: who registered, who is heard, who is dead.
 *
 * A node is alive from its registration until it says goodbye, its supervisor says that it died, or
 * nothing was heard of it for lease_ms + grace_ms. It fences itself (kills what it runs) when no
 * heartbeat was answered for lease_ms, counted from when it sent the last answered one; so when the
 * table declares it dead, nothing runs there any more. A dead node id never comes back.
 * After a restart of the control store every node that was alive has a new lease.
 *
 * Changes go into the commit that is passed in. Pure; threads: the owner's.
 */
#ifndef CORE_NODE_TABLE_H
#define CORE_NODE_TABLE_H

#include "base/hash.h"
#include "base/list.h"
#include "core/pipeline.h"
#include "gcs.pb-c.h"

struct node_entry {
    struct node_id id;    /* key */
    Raia__Gcs__Node *row; /* owned; with what is reported */
    int64_t heard_ms;     /* mono: registration, heartbeat or load */
    size_t actors;        /* placed on it; the actor table's */
    struct list link;     /* dead: in nodes.dead, oldest first; alive: in nodes.alive */
    HASH_HANDLE hh;       /* in nodes.table */
};

struct node_table {
    struct node_entry *table; /* by id */
    struct list alive;        /* in order of registration */
    struct list dead;         /* in order of death */
    size_t n_alive;           /* how many */
    size_t n_dead;            /* how many */
    size_t max_alive;         /* registrations beyond it are refused */
    size_t max_dead;          /* remembered; older ones are forgotten */
    int64_t lease_ms;         /* see above */
    int64_t grace_ms;         /* see above */
};

void node_table_init(struct node_table *t);
void node_table_fini(struct node_table *t);
/* A stored row; takes it over, on failure too. */
int node_table_load(struct node_table *t, struct gcs_now now, Raia__Gcs__Node *row);

struct node_entry *node_table_find(struct node_table *t, const struct node_id *id);
struct node_entry *node_table_find_alive(struct node_table *t, const struct node_id *id);
/* The head's raylet: of several (one is dying), the newest. NULL: none is alive. */
struct node_entry *node_table_head(struct node_table *t);

/* -INVALID, -STATE (this id is dead), -LIMIT. Registering again is fine. */
int node_table_register(struct node_table *t, struct gcs_now now, const Raia__Gcs__Node *node,
                        struct commit *c, struct node_entry **ret_entry, struct raia_error *e);
/* False: unknown or dead. */
bool node_table_heartbeat(struct node_table *t, struct gcs_now now, const struct node_id *id);
/* One whose lease is over, or NULL. */
struct node_entry *node_table_expired(struct node_table *t, struct gcs_now now);
/* It is dead. Its entry stays valid until the next death. */
void node_table_die(struct node_table *t, struct gcs_now now, struct node_entry *entry,
                    const char *why, struct commit *c);

#endif
