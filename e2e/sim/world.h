/*
 * A whole cluster in one process, under virtual time (base/sim.h): nodes that run the real
 * scheduler and worker pool, processes that run the real ownership, submission and actor cores, a
 * control store. The parts' glue (agent/raylet, coreworker/lib, gcs/service) is done again here, as
 * thin as can be: one file for each part.
 *
 *     node*.c     a raylet: agent/core, agent/store, sessions, links to other nodes; channel.c
 *     proc*.c     a driver or worker: coreworker/core
 *     gcs.c       the control store
 *     lane.c      rings: queues inside a node that outlive their writer
 *     load*.c     what user programs do: random, seeded
 *     fault.c     kills, partitions
 *     oracle.c    what must hold, whatever happens
 *
 * The cores of different parts have headers of the same names ("core/pool.h"), so each adapter sees
 * one part only; this header is what they have in common, and includes no core.
 *
 * A node and its processes are one node of the simulation; messages between nodes are sim_send's,
 * those within a node go through lanes. Ownership: the cluster owns all; everything is freed with
 * it. Threads: one.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/sim.h"
#include "proto/record.h"
#include "raia/error.h"

#define NODES_MAX   12  /* that ever were, in one run */
#define PROCS_MAX   600 /* that ever were, in one run */
#define ACTORS_MAX  8
#define JOBS_MAX    16 /* that ever were, in one run: drivers', and those that were asked for actors */
#define DRIVERS_MAX 3

/* Memory of stores is made of stamps, one for so many bytes. */
#define WORLD_STAMP     65536u
#define WORLD_LARGE_MAX (40 * WORLD_STAMP) /* bytes of the largest value */

/* Bugs that are planted to see whether the oracles find them. */
enum plant {
    PLANT_NONE,
    PLANT_EARLY_FREE,        /* what is borrowed is given back when it comes */
    PLANT_LOST_BORROW,       /* a BORROW is answered, but not counted */
    PLANT_DOUBLE_GRANT,      /* a lease is told to two clients of a node */
    PLANT_LEAKED_RESOURCE,   /* leases that are returned are forgotten on their way */
    PLANT_REORDERED_CALL,    /* two calls to an actor change places before they start */
    PLANT_DUPLICATE_RUN,     /* a task arrives twice */
    PLANT_MISSED_DEATH,      /* the death of a worker is not told to its peers */
    PLANT_STALE_INCARNATION, /* an actor is placed anew though the old one may live */
    PLANT_SAME_INCARNATION,  /* an incarnation that does not rise */
    PLANT_NO_REPLACES,       /* a node that replaces a dead one: nobody hears of it */
    PLANT_JOB_STAYS,         /* a node does nothing about the end of a job of another node */
    PLANT_FINISH_ONCE, /* the control store is told once that a driver is gone, heard or not */
    PLANT_FULL_STAYS,  /* an object that found no room on one node counts as lost */
    /* in the core of the store */
    PLANT_STORE_EARLY_FREE,   /* memory goes back while it is read */
    PLANT_STORE_LOST_RELEASE, /* a read is never over */
    PLANT_STORE_LOST_FREE,    /* copies are not told of the end */
    PLANT_STORE_COPY_STAYS,   /* a copy counts as primary when its source is lost */
    PLANT_STORE_NO_RETRY,     /* a pull whose source failed is not tried again */
    PLANT_STORE_LEAKED_PIN,   /* a transfer that is broken off goes on pinning */
    PLANT_STORE_DEAD_OWNER,   /* objects whose owner died with its node, or unheard, stay */
    PLANT_STORE_STRAYS,       /* nobody asks whether a result was taken */
    PLANT_MAX,
};
const char *plant_name(enum plant p);

/* What happened to large values in all runs of this process. */
struct world_totals {
    uint64_t read;     /* times that one came to a process */
    uint64_t pulled;   /* bytes between nodes */
    uint64_t evicted;  /* copies */
    uint64_t full;     /* times that a store said STORE_FULL */
    uint64_t refused;  /* gets that ended with that */
    uint64_t again;    /* of these, objects that the same program could read later */
    uint64_t given_up; /* gets whose time was up, or whose call was canceled */
    uint64_t strays;   /* results that their owners did not take */
};
const struct world_totals *world_totals(void);

struct node; /* node.c */
struct proc; /* proc.h */
struct gcs;  /* gcs.c */
struct oracle;

struct world {
    struct sim *sim;
    struct prng *prng; /* the sim's */
    enum plant plant;
    bool partitions;               /* this run has link faults */
    bool kills;                    /* this run has deaths */
    bool large;                    /* this run has large values */
    bool leave;                    /* drivers leave when their program has ended */
    bool trace;                    /* what goes through lanes is printed */
    bool quiet;                    /* faults are over */
    bool closing;                  /* nothing is kept any more */
    struct gcs *gcs;               /* owned */
    struct node *nodes[NODES_MAX]; /* owned */
    unsigned n_nodes;
    struct proc *procs[PROCS_MAX]; /* owned */
    unsigned n_procs;
    struct list lanes;              /* struct lane; owned */
    struct oracle *oracle;          /* owned */
    struct list arena;              /* what lives as long as the cluster; owned */
    uint64_t tasks;                 /* submitted */
    uint64_t tasks_max;             /* no more than that, but what is under way */
    uint8_t actors[ACTORS_MAX][16]; /* ids */
    unsigned n_actors;
    struct {
        uint8_t id[4];
        struct proc *driver;
    } jobs[DRIVERS_MAX]; /* of drivers */
    unsigned n_jobs;
    uint64_t fetched;                  /* reads of large values, so far */
    uint64_t strays;                   /* results that their owners did not take, so far */
    uint64_t refused, again, given_up; /* as in world_totals, so far */
    unsigned deaths;                   /* of processes, so far */
    unsigned breaks;                   /* of links, so far */
};

/* A driver has begun a job, which is over when it is dead. */
void world_job(struct world *c, const uint8_t id[4], struct proc *driver);
bool world_job_over(const struct world *c, const uint8_t id[4]);

/* Zeroed memory that lives as long as the cluster. */
void *world_alloc(struct world *c, size_t size);

/* ---- lanes: first in, first out, within a node; what was written is read though the writer died */

struct lane;
typedef void (*lane_fn)(void *to, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                        size_t size);
struct lane *lane_new(struct world *c, struct sim_node *home, lane_fn fn, void *to);
void lane_send(struct lane *l, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
               size_t size);
/* Delivers all that was written, now. */
void lane_drain(struct lane *l);
void lanes_free(struct world *c);

/* ---- node.c */

/* replaces: a node that died, as its supervisor saw; NULL: none. */
struct node *node_new(struct world *c, unsigned cpus, const struct node *replaces);
void node_free(struct node *n);
void node_kill(struct node *n);
bool node_alive(const struct node *n);
struct sim_node *node_sim(const struct node *n);
const uint8_t *node_id(const struct node *n);
struct node *node_by_id(struct world *c, const uint8_t id[16]);
/* A driver on that node, as soon as the control store has a job for it. */
void node_add_driver(struct node *n);
bool node_awaits_driver(const struct node *n);
/* What a process puts into the ring to its raylet: a lane_fn whose `to` is the process. */
void node_from_proc(void *proc, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                    size_t size);
/* The supervisor saw it end. */
void node_proc_died(struct node *n, struct proc *p);
/* After any change: the accounts must agree. */
void node_settle(struct node *n);
/* All resources are free, and nothing is leased, asked or waiting. */
bool node_idle(const struct node *n);
/* What lies in a segment of the store, as stamps; NULL: there is no such memory. */
uint64_t *node_memory(const struct node *n, uint32_t segment, uint64_t offset, uint64_t size);
void node_store_check(const struct node *n);
void node_store_totals(const struct node *n, struct world_totals *to);
void node_show(const struct node *n);
/* From the control store. */
struct gcs_word;
void node_from_gcs(struct node *n, const struct gcs_word *w);

/* ---- proc.c */

struct proc *proc_new(struct world *c, struct node *n, uint64_t client, bool driver);
void proc_free(struct proc *p);
/* It dies now: what it had written stays. */
void proc_kill(struct proc *p);
bool proc_alive(const struct proc *p);
bool proc_is_driver(const struct proc *p);
const struct record_address *proc_address(const struct proc *p);
struct node *proc_node(const struct proc *p);
uint64_t proc_client(const struct proc *p);
struct lane *proc_up(const struct proc *p);   /* to the raylet */
struct lane *proc_down(const struct proc *p); /* from the raylet */
/* The lane of a ring pair, from p to the other end. */
struct lane *proc_pair(const struct proc *p, uint32_t conn);
/* Nothing is under way, and no object is left. */
bool proc_idle(const struct proc *p);
/* Checks what must hold inside; with `end`, that everything was given back too. */
void proc_check(const struct proc *p, bool end);
void proc_show(const struct proc *p);
struct proc *proc_by_id(struct world *c, const uint8_t worker[16]);
/* The other end of a new pair: makes the lane. */
void proc_add_pair(struct proc *p, uint32_t conn, struct proc *other);

/* ---- load.c */

/* The program of a driver: it creates some of the actors, and then does random things. */
void load_start(struct proc *p);
bool load_ended(const struct proc *p);
/* What functions left behind in their process is released. */
void load_release(struct proc *p);

/* ---- gcs.c */

enum gcs_word_type {
    WORD_BEAT,   /* node -> gcs */
    WORD_BEATEN, /* gcs -> node: heard */
    WORD_FENCE,  /* gcs -> node: it was taken for dead */
    WORD_RESET,  /* gcs -> node: the session is lost: begin another one */
    /* Of a session: those of an older one count no more. */
    WORD_SESSION,
    WORD_JOB_ADD,      /* node -> gcs: token: a driver wants a job */
    WORD_JOB_ADDED,    /* gcs -> node: token, job */
    WORD_JOB_ASK,      /* node -> gcs: job: does it go on? ENDED, if not */
    WORD_JOB_FINISH,   /* node -> gcs: job: its driver is gone */
    WORD_JOB_FINISHED, /* gcs -> node: job: it knows */
    WORD_JOB_ENDED,    /* gcs -> nodes: job */
    WORD_JOB_HERE,     /* node -> gcs, before HELLO: job, state: whether its driver is here */
    WORD_HOSTED,       /* node -> gcs, before HELLO: an actor that it hosts, as ACTOR_EVENT */
    WORD_HELLO,        /* node -> gcs: a session begins: node, view, replaces */
    WORD_VIEW,         /* both ways: node, view */
    WORD_ALIVE,        /* gcs -> nodes: node, view */
    WORD_DEAD,         /* gcs -> nodes: node */
    WORD_ACTOR_CREATE, /* gcs -> node: actor, incarnation */
    WORD_ACTOR_EVENT,  /* node -> gcs: actor, incarnation, address, status */
    WORD_ACTOR_STATE,  /* node -> gcs: actor: tell me; gcs -> nodes: state, incarnation, address */
    WORD_ACTOR_KILL,   /* gcs -> node: actor, incarnation */
};

enum actor_word { ACTOR_PENDING, ACTOR_ALIVE, ACTOR_RESTARTING, ACTOR_DEAD };

struct gcs_word {
    enum gcs_word_type type;
    uint32_t session; /* of the node: its sessions are counted */
    uint8_t node[16];
    uint8_t replaces[16]; /* HELLO: the node whose supervisor started this one; 0: none */
    uint8_t actor[16];
    uint8_t token[16]; /* of a driver that waits for its job */
    uint8_t job[4];
    uint64_t incarnation;
    struct record_address address;
    uint64_t version; /* of the view */
    int64_t cpus;     /* view: available, 1/10000 */
    int64_t total;    /* view: total, 1/10000 */
    int32_t status;
    uint32_t state; /* enum actor_word */
};

struct gcs *gcs_new(struct world *c);
void gcs_free(struct gcs *g);
struct sim_node *gcs_sim(const struct gcs *g);
bool gcs_idle(const struct gcs *g);
void gcs_show(const struct gcs *g);
/* Actors are created, and in the end killed for good. */
void gcs_add_actor(struct gcs *g, const uint8_t actor[16], unsigned restarts);
void gcs_kill_actors(struct gcs *g);
/* Its process dies, and starts again from what it had stored. */
void gcs_crash(struct gcs *g);

/* ---- fault.c */

void fault_start(struct world *c);
/* Heals everything, stops kills. */
void fault_stop(struct world *c);

/* ---- oracle.c: fails the simulation when something is not as it must be */

struct task_name {
    uint8_t worker[16];
    uint64_t counter;
};

struct oracle *oracle_new(struct world *c);
void oracle_free(struct oracle *o);
/* A task was submitted: may begin 1 + retries times. */
void oracle_task(struct world *c, const struct task_name *t, int retries);
/* A task begins. no_retry: it was sent as one that must not run twice. */
void oracle_begins(struct world *c, const struct task_name *t, unsigned attempt, bool no_retry,
                   const struct proc *where);
/* A call of a caller begins at an actor. `number` rises with each call of that caller. */
void oracle_call_begins(struct world *c, const uint8_t actor[16], uint64_t incarnation,
                        const struct task_name *t, uint64_t number, const struct proc *where);
/* An actor's constructor begins. */
void oracle_actor_begins(struct world *c, const uint8_t actor[16], uint64_t incarnation,
                         const struct proc *where);
/* A lease is held, or not any more. */
void oracle_granted(struct world *c, const uint8_t worker[16], const struct proc *holder);
void oracle_returned(struct world *c, const uint8_t worker[16], const struct proc *holder);
/* The connection of two processes broke though both may live: what was under way is lost. */
void oracle_broke(struct world *c, const uint8_t a[16], const uint8_t b[16]);
bool oracle_pair_broke(const struct world *c, const uint8_t a[16], const uint8_t b[16]);
/* A get ended with an error: is it true? */
void oracle_error(struct world *c, const struct raia_error *e, const uint8_t owner[16],
                  const char *what);

static inline int64_t world_now(const struct world *c)
{
    return sim_now(c->sim);
}

/* Runs one seed; sim_failed says what was wrong. A sim_scenario_fn; ctx: enum plant *. */
int world_run(struct sim *s, void *ctx);

#endif
