/* What gcs.c, gcs_words.c and gcs_actors.c share: the control store of the simulation, which is the
 * real core (gcs/core) on a storage that loses what was not yet made durable. */
#ifndef SIM_GCS_IMPL_H
#define SIM_GCS_IMPL_H

#include "core/core.h"
#include "core/pb.h"
#include "sim/trunk.h"
#include "sim/world.h"

struct member {
    struct gcs *g;
    struct node *node;
    struct trunk trunk;
    bool open;                          /* it has a session */
    bool listed;                        /* the session's node asked who is dead */
    uint32_t session;                   /* its number, of the node's count */
    struct gcs_word hello;              /* the last one; its view is the last one known */
    struct gcs_word hosted[ACTORS_MAX]; /* that came for the next HELLO */
    unsigned n_hosted;
    struct gcs_word jobs[JOBS_MAX]; /* that came for the next HELLO */
    unsigned n_jobs;
    uint8_t early[ACTORS_MAX][16]; /* asked for before it was registered */
    unsigned n_early;
};

struct gactor {
    uint8_t id[16];
    unsigned restarts;
    bool made;      /* its registration was answered */
    int64_t asked;  /* when it was last asked for, or to be killed; ns */
    int64_t placed; /* for the plants: the incarnation that was told of last */
};

struct gcs {
    struct world *c;
    struct sim_node *sn;
    struct storage *inner;   /* survives crashes */
    struct storage *storage; /* in front of it; NULL while down */
    struct gcs_core *core;   /* NULL while down */
    struct gcs_effects fx;
    struct member members[NODES_MAX];
    unsigned n;
    struct gactor actors[ACTORS_MAX];
    unsigned n_actors;
    uint8_t job[4]; /* of the actors; 0: not yet */
    uint8_t token;  /* of that job: another one for each try */
    int64_t asked;  /* for it, ns */
    bool kill;      /* all actors */
};

/* An answer to come; freed when it has come. `id`: of a gactor. */
typedef void (*gcs_answer_fn)(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                              const void *data, size_t size);

struct gcs_now gcs_time(const struct gcs *g);
struct member *gcs_member(struct gcs *g, const uint8_t *id);
/* A unary request. */
void gcs_ask(struct gcs *g, struct member *m, const char *method, const ProtobufCMessage *q,
             const uint8_t *id, gcs_answer_fn fn);

/* gcs_words.c: between words and messages */
int gcs_down(struct gcs *g, struct member *m, const Raia__Gcs__SessionDown *down);
void gcs_up(struct gcs *g, struct member *m, const struct gcs_word *w);
/* The core is told of a node's session. */
void gcs_open(struct gcs *g, struct member *m);

/* gcs_actors.c */
void gcs_actors_tick(struct gcs *g);
struct gactor *gcs_actor(struct gcs *g, const uint8_t *id);
/* As it is told to nodes, and back. */
uint64_t gcs_told(struct gcs *g, const uint8_t *actor, uint64_t incarnation);
uint64_t gcs_meant(struct gcs *g, const uint8_t *actor, uint64_t incarnation);

#endif
