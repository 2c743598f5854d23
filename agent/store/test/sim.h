/*
 * Several stores in one process, joined by fake links, with fake processes: for tests.
 *
 * A link keeps the order of what goes from one node to another, holds a few records, and breaks
 * after any prefix. Processes remember what they were given and look at its bytes. What goes wrong
 * is kept in sim->failed (the first of it), so that tests of planted bugs can expect it.
 */
#ifndef STORE_TEST_SIM_H
#define STORE_TEST_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/prng.h"
#include "store/core/store_core.h"

#define SIM_NODES    6
#define SIM_CLIENTS  48
#define SIM_OBJECTS  600
#define SIM_TAGS     6000
#define SIM_SEGMENTS 64
#define SIM_HELD     64

struct sim_segment {
    uint32_t number; /* 0: none */
    uint64_t size;   /* bytes */
    uint8_t *mem;    /* its bytes */
};

struct sim_node {
    struct sim *sim;
    int index;
    bool alive;
    uint8_t id[16];
    struct store_core *core;
    struct sim_segment segments[SIM_SEGMENTS];
};

struct sim_message {
    struct list link;
    uint16_t type;
    uint8_t head[STORE_LINK_HEAD_MAX];
    size_t head_size, data_size;
    const uint8_t *data;     /* in a segment */
    struct store_send *send; /* to be given back */
};

struct sim_link {
    struct list queue; /* struct sim_message */
    uint32_t n;        /* of them */
    bool blocked;      /* it said LIMIT */
};

/* Bytes that a process was given: an object that it reads or writes. */
struct sim_held {
    int object; /* index; -1: free slot */
    uint32_t segment;
    uint64_t offset, size, tag;
};

struct sim_client {
    uint32_t number;
    int node;
    bool alive, closed;
    struct record_address address;
    uint8_t job[4];
    bool mapped[4096], writable[4096]; /* by segment number */
    struct sim_held reads[SIM_HELD], writes[SIM_HELD];
};

enum sim_object_state { SIM_NEW, SIM_CREATING, SIM_SEALED, SIM_FREED, SIM_NEVER };

struct sim_object {
    uint8_t id[28];
    uint64_t size;
    int node;  /* where it was made */
    int owner; /* client */
    enum sim_object_state state;
    bool written; /* the pattern is there */
};

struct sim_tag {
    int client, object;
    bool get;      /* else a CREATE */
    bool sealed;   /* the object was there when it was asked for */
    bool answered; /* once */
    int status;    /* the answer */
};

struct sim {
    struct prng rng;
    int64_t now;
    bool faults;       /* links break, processes and nodes die */
    uint32_t link_max; /* records that a link holds */
    struct sim_node nodes[SIM_NODES];
    struct sim_link links[SIM_NODES][SIM_NODES];
    struct sim_client clients[SIM_CLIENTS];
    struct sim_object objects[SIM_OBJECTS];
    struct sim_tag tags[SIM_TAGS];
    int nnodes, nclients, nobjects;
    uint64_t ntags, gets_ok, evicted, strays;
    enum store_bug bug; /* planted in every node */
    char failed[256];   /* what went wrong; "": nothing */
};

void sim_init(struct sim *s, uint64_t seed, int nodes, uint64_t capacity);
void sim_fini(struct sim *s);
int sim_client_add(struct sim *s, int node);
void sim_client_kill(struct sim *s, int client);
void sim_node_kill(struct sim *s, int node);
void sim_link_break(struct sim *s, int a, int b);
/* Delivers one record from a to b; false: there was none. */
bool sim_deliver(struct sim *s, int a, int b);
void sim_deliver_all(struct sim *s);
void sim_tick(struct sim *s, int64_t now);
/* -1: no more room in the model. */
int sim_create(struct sim *s, int client, int owner, uint64_t size, uint32_t deadline_ms);
void sim_seal(struct sim *s, int client, int slot, bool release);
void sim_abort(struct sim *s, int client, int slot);
/* Its tag. `nodes`: indices, ended by -1. */
uint64_t sim_get(struct sim *s, int client, int object, const int *nodes, uint32_t deadline_ms,
                 uint32_t priority);
void sim_get_cancel(struct sim *s, uint64_t tag);
void sim_release(struct sim *s, int client, int slot);
void sim_free_object(struct sim *s, int object);
void sim_check(struct sim *s);
/* Runs until nothing moves, then frees everything, and looks whether all memory came back. */
void sim_finish(struct sim *s);
/* The slot in which the process holds the object; -1. */
int sim_slot(const struct sim_held held[SIM_HELD], int object);

#endif
