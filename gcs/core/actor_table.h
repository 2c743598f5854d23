/*
 * The actors, and where they run.
 *
 *     PENDING -> ALIVE -> RESTARTING -> ALIVE ... -> DEAD
 *
 * An actor is registered (durable), then placed: a node is chosen from the resource views, the
 * choice and its incarnation are stored, then that node's raylet gets CreateActor. The raylet
 * answers with ALIVE, CREATE_FAILED (its constructor failed: DEAD), REJECTED (no room after all:
 * placed again) or DIED. A command lost with its session is sent again after the next hello of that
 * raylet; what a hello shows that should not run is killed; what should run and is missing died.
 *
 * At most one incarnation lives: an actor is placed anew only when its raylet said that it is gone,
 * or its node is dead (it has then fenced itself or its supervisor has killed what it ran).
 *
 * A restart is counted against max_restarts when the actor or its node died; not when its node died
 * before it was first alive. Actors that are not detached die with their owner and their job.
 * Names are freed by death. Dead actors are remembered, the newest max_dead of them, without the
 * arguments of their constructors.
 *
 * Changes go into the commit that is passed in. Pure; threads: the owner's.
 */
#ifndef CORE_ACTOR_TABLE_H
#define CORE_ACTOR_TABLE_H

#include "base/hash.h"
#include "base/list.h"
#include "core/node_table.h"
#include "core/pipeline.h"
#include "core/view_table.h"

#define ACTOR_CREATION_MAX (1u << 20)
#define ACTOR_NAME_MAX     1024u

struct actor_entry {
    struct actor_id id;        /* key */
    Raia__Gcs__Actor *row;     /* owned; spec and address are set */
    char *name;                /* key of by_name: NAMESPACE / NAME; owned; NULL: not named */
    struct list link;          /* in waiting, placed or dead */
    int64_t retry_ms;          /* mono: in waiting: not before */
    uint64_t kill_incarnation; /* this one was to be killed, to be restarted; 0: none */
    uint64_t seen;             /* the hello that named it last */
    bool warned;               /* its job was told that no node has such resources */
    HASH_HANDLE hh;            /* in table */
    HASH_HANDLE by_name;       /* in by_name, while not dead */
};

struct actor_table {
    struct actor_entry *table;   /* by id */
    struct actor_entry *by_name; /* by namespace and name */
    struct list waiting;         /* to be placed, oldest first */
    struct list placed;          /* on a node: being created or alive */
    struct list dead;            /* in order of death */
    size_t counts[4];            /* by enum ActorState */
    size_t max_live;             /* registrations beyond it are refused */
    size_t max_dead;             /* remembered */
    bool dirty;                  /* something changed that may let a waiting one be placed */
    uint64_t hellos;             /* how many there were */
    struct node_table *nodes;    /* where to place */
    struct view_table *views;    /* what they have */
    struct pubsub *pubsub;       /* which of them are connected */
};

void actor_table_init(struct actor_table *t, struct node_table *nodes, struct view_table *views,
                      struct pubsub *pubsub);
void actor_table_fini(struct actor_table *t);
/* A stored row; takes it over, on failure too. */
int actor_table_load(struct actor_table *t, Raia__Gcs__Actor *row);
/* After loading: what a crash left half done is finished. */
void actor_table_start(struct actor_table *t, struct gcs_now now, struct commit *c);

struct actor_entry *actor_table_find(struct actor_table *t, const struct actor_id *id);
struct actor_entry *actor_table_find_name(struct actor_table *t, const char *ns, const char *name);
/* What others get to see: the row without the arguments of the constructor; borrowed. */
void actor_view(const struct actor_entry *entry, Raia__Gcs__Actor *ret_actor,
                Raia__Gcs__ActorSpec *ret_spec);

/* -INVALID, -EXISTS (the name is taken), -STATE (job_dead), -LIMIT. */
int actor_table_register(struct actor_table *t, struct gcs_now now,
                         const Raia__Gcs__ActorSpec *spec, bool get_if_exists, bool job_dead,
                         struct commit *c, struct actor_entry **ret_entry, bool *ret_existed,
                         struct raia_error *e);
void actor_table_kill(struct actor_table *t, struct gcs_now now, struct actor_entry *entry,
                      bool no_restart, const char *why, struct commit *c);

/* What raylets tell, and what follows from other tables. */
void actor_table_hello(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                       Raia__Gcs__ActorEvent *const *events, size_t n, struct commit *c);
void actor_table_event(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                       const Raia__Gcs__ActorEvent *event, struct commit *c);
void actor_table_worker_died(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                             const struct worker_id *worker, const Raia__Gcs__WorkerDeath *death,
                             struct commit *c);
void actor_table_node_died(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                           const char *why, struct commit *c);
void actor_table_job_ended(struct actor_table *t, struct gcs_now now, const struct job_id *job,
                           struct commit *c);
void actor_table_resources_changed(struct actor_table *t);

/* Placing those that wait: if something changed or a retry is due. */
bool actor_table_wants_schedule(const struct actor_table *t, struct gcs_now now);
void actor_table_schedule(struct actor_table *t, struct gcs_now now, struct commit *c);
/* The present state of one (key), or of all. */
void actor_table_state(struct actor_table *t, const void *key, size_t key_size, struct commit *c);

/* ---- between the files of the table ---- */

/* Tries to place one that waits. */
void actor_place__(struct actor_table *t, struct gcs_now now, struct actor_entry *entry,
                   struct commit *c);
void actor_send_create__(struct actor_entry *entry, struct commit *c);
void actor_store__(struct actor_entry *entry, struct commit *c);
void actor_publish__(struct actor_entry *entry, struct commit *c);
/* One more (or less) is on the node of its address, if it has one. */
void actor_count__(struct actor_table *t, const struct actor_entry *entry, int change);
void actor_trim__(struct actor_table *t, struct commit *c);

#endif
