/*
 * Words between a node and the control store, each delivered once and in order as long as both
 * live: sent again after a break until acknowledged (what sessions, request ids and the hello that
 * reconciles do in the real ones).
 *
 * Ownership: the trunk owns what is not acknowledged. Threads: one.
 */
#ifndef SIM_TRUNK_H
#define SIM_TRUNK_H

#include "sim/world.h"

struct trunk {
    struct world *c;
    struct sim_node *from, *to;
    struct list sent;  /* struct trunk_item: not acknowledged, oldest first */
    uint64_t next_out; /* sequence of the next word */
    uint64_t next_in;  /* sequence that is expected */
    bool again;        /* a timer to send all again runs */
};

/* What travels. */
struct trunk_word {
    uint64_t sequence; /* of word; 0: an acknowledgement alone */
    uint64_t acked;    /* all before it have come */
    struct gcs_word word;
};

void trunk_init(struct trunk *t, struct world *c, struct sim_node *from, struct sim_node *to);
void trunk_fini(struct trunk *t);
void trunk_send(struct trunk *t, const struct gcs_word *w);
/* True: the word is new and in order. */
bool trunk_receive(struct trunk *t, const struct trunk_word *w);
/* The link broke. */
void trunk_broke(struct trunk *t);

#endif
