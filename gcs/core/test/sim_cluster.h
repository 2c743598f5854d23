/*
 * A simulated cluster for test_sim.c: its control store (sim_gcs.c) and its raylets (sim_raylet.c).
 * All of it belongs to the scenario's stack frame. Threads: one.
 */
#ifndef TEST_SIM_CLUSTER_H
#define TEST_SIM_CLUSTER_H

#include "base/clock.h"
#include "base/sim.h"
#include "test/world.h"

#define MS       CLOCK_NS_PER_MS
#define RAYLETS  3
#define ACTORS   6
#define JOBS     90
#define FAULTS_S 60
#define CALM_S   60

struct cluster;

/* What the sim's messages carry before the packed protobuf. */
struct head {
    uint32_t kind;   /* enum kind */
    uint32_t method; /* REQUEST: index in the descriptor */
    uint64_t tag;    /* REQUEST, REPLY */
    int32_t status;  /* REPLY: 0, or a code */
    uint32_t pad;    /* 0 */
};
enum kind { REQUEST, REPLY, UP, DOWN };

struct hosted {
    bool alive;           /* it runs */
    uint64_t incarnation; /* which */
    uint8_t worker;       /* its process */
};

struct raylet {
    struct cluster *cluster;      /* of which */
    struct sim_node *sim;         /* in the sim */
    int index;                    /* 0: the head */
    uint8_t id[16];               /* this life's node id */
    uint8_t replaces[16];         /* the life before, if its supervisor saw it die */
    bool has_replaces;            /* it did */
    bool registered;              /* the reply came */
    bool session;                 /* hello was sent on this connection */
    int64_t answered_ns;          /* when the last answered heartbeat was sent */
    int64_t lease_ns;             /* from RegisterNode's reply */
    int64_t beat_ns;              /* when the heartbeat in flight was sent */
    uint64_t version;             /* of resource reports */
    struct hosted actors[ACTORS]; /* by number */
};

struct store {
    struct storage *inner;   /* what is durable */
    struct storage *storage; /* in front of it */
    struct gcs_core *core;   /* NULL while dead */
    struct gcs_effects fx;   /* of the core */
    struct sim_node *sim;    /* in the sim */
};

/* What the client (on the head) knows. */
struct cluster {
    struct sim *sim;                /* the run */
    struct store gcs;               /* the control store */
    struct raylet raylets[RAYLETS]; /* the nodes */
    uint64_t lives;                 /* node ids given out */
    uint32_t job_of[JOBS];          /* acknowledged id by token; 0: none */
    bool made[ACTORS];              /* registration acknowledged */
    bool killed[ACTORS];            /* kill acknowledged */
    bool kill_asked[ACTORS];        /* a kill was sent: either may be */
    bool calm;                      /* no more faults */
    uint32_t job;                   /* of the actors; 0: not yet known */
    int driver;                     /* the token of that job: a new one after each end */
};

/* Tags: what a reply is to; the low byte is a number. */
enum tag {
    TAG_REGISTER = 0x100,
    TAG_BEAT = 0x200,
    TAG_JOB = 0x300,
    TAG_ACTOR = 0x400,
    TAG_KILL = 0x500
};

/* 16 bytes of actor n. */
ProtobufCBinaryData sim_actor_id(int n);
struct gcs_now sim_time(struct cluster *c);
/* Sends a head and what follows it. */
void sim_post(struct sim_node *from, struct sim_node *to, struct head head, const void *data,
              size_t size);

extern const struct sim_node_ops sim_gcs_ops;
void sim_gcs_begin(struct cluster *c); /* loads what is stored, and serves */
void sim_gcs_end(struct cluster *c);   /* what was not durable is lost */

extern const struct sim_node_ops sim_raylet_ops;
void sim_raylet_begin(struct raylet *r);
/* A unary call to the control store. */
void sim_request(struct raylet *r, const char *method, const ProtobufCMessage *m, uint64_t tag);
void sim_tell_actor(struct raylet *r, int n, Raia__Gcs__ActorEventKind kind, uint64_t incarnation);

#endif
