/*
 * The simulated world of test_sched_sim.c: nodes with a scheduler each, clients with work to do, and
 * one queue of events under virtual time. sched_world.c has the queue, the schedulers' effects and
 * the clients; test_sched_sim.c the nodes, what befalls them, and the runs.
 *
 * Threads: one. Failure: `world->bad` says what went wrong first.
 */
#ifndef TEST_SCHED_WORLD_H
#define TEST_SCHED_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "core/sched_impl.h"

#define MS          INT64_C(1000000)
#define NODES       5
#define CLIENTS     3 /* on each node */
#define CLASSES     2
#define HELD_MAX    64
#define CHAOS_UNTIL (4000 * MS)
#define GIVE_UP     (240000 * MS)

enum ev {
    EV_READY,
    EV_EXIT,
    EV_DEMAND,
    EV_RUN_END,
    EV_GRANT,
    EV_RECLAIM,
    EV_LOST,
    EV_ASK,
    EV_AGRANT,
    EV_AREJECT,
    EV_RETURN,
    EV_RETURN_TO,
    EV_RECLAIM_FROM,
    EV_LOST_AT,
    EV_ROOM,
    EV_VIEW,
    EV_LINK_DOWN,
    EV_LINK_UP,
    EV_NODE_DEAD,
    EV_CHAOS,
    EV_BLOCK,
    EV_TICK,
};

struct event {
    int64_t at;
    uint64_t seq;
    enum ev what;
    int node;      /* whom it concerns: index */
    uint32_t life; /* of that node */
    int from;      /* sender: index */
    uint32_t flife;
    uint32_t epoch;   /* of the link */
    uint64_t a, b, c; /* by what */
    uint8_t worker[16];
    uint8_t where[16];
    struct sched_shape shape;
    struct res_set view;
};

struct held {
    bool used, last;
    uint64_t lease;
    uint8_t node[16], worker[16];
    uint32_t cls;
};

struct cli {
    uint64_t id;
    uint32_t todo[CLASSES];
    uint64_t seen[CLASSES];
    uint32_t count[CLASSES];
    uint32_t ended; /* units done */
    struct held held[HELD_MAX];
};

struct sim_node {
    bool up;
    uint32_t life;
    uint8_t id[16];
    struct sched *s;
    struct cli cli[CLIENTS];
    uint64_t ver_sent;
    bool linkdown[NODES];
    uint32_t epoch[NODES]; /* of the link, as this side counts */
    int64_t tick_at;
};

struct world {
    struct prng p;
    int64_t now;
    struct event *heap;
    size_t n, cap;
    uint64_t seq;
    int64_t fifo[NODES][NODES];
    int64_t cfifo[NODES][CLIENTS];
    uint32_t epoch[NODES][NODES];
    struct sim_node node[NODES];
    uint8_t next_id;
    const char *bad;
    /* who holds which worker: by worker id bytes {node id, number} */
    struct holder {
        uint8_t worker[16];
        uint64_t client;
    } holder[8192];
    int nholders;
    uint64_t events;
};

extern struct world *w; /* of the run that is under way */
extern const struct sched_ops sim_ops;

void fail(const char *why);
void push(struct event e);
struct event pop(void);
int64_t delay(int64_t lo_us, int64_t hi_us); /* ns, at random */
int index_of(const struct sim_node *n);
int index_by_id(const uint8_t *id);
/* Something happens at this node after a while. */
void later(struct sim_node *n, enum ev what, uint64_t a, int64_t ns);
struct event view_event(struct sim_node *n, enum ev what);

struct res_set need_of(uint32_t cls);
void state_demand(struct sim_node *n, struct cli *c, uint32_t cls);
void unhold(const uint8_t *worker);
void client_event(struct sim_node *n, const struct event *e);

#endif
