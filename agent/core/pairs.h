/*
 * The ring pairs of a node's processes, by number: who shares one with whom, and when a number may be
 * used again. A pure core.
 *
 * Each process has numbers of its own for its pairs (the bits of its doorbell page), from 1. A pair
 * that its two processes have agreed to give back is free when BOTH have said so: until then the
 * number of neither is used again, as the other may still read from it. Meanwhile they may share a
 * new one.
 *
 * Serial. What a process says of a pair may cross the word that the pair is gone, and its number be
 * another pair's by the time it is read. So each pair has a serial, which the process repeats.
 *
 * Ownership: the table of a process owns its ends. Threads: one. Failure: 0 where a number is
 * returned.
 */
#ifndef CORE_PAIRS_H
#define CORE_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

/* One process's pairs. All zero: none. */
struct pairs {
    struct pair_end **ends; /* by number; owned */
    uint32_t room;          /* entries of ends */
    uint32_t count;         /* pairs, those half given back too */
    uint32_t max;           /* numbers are below; set by the user before the first use */
};

/* One process's end of a pair. */
struct pair_end {
    struct pairs *other; /* the other process's table */
    uint32_t there;      /* the other's number for the pair */
    uint32_t serial;     /* of the pair; the same at both ends */
    bool given;          /* this side has given it back, as agreed */
};

/* A new pair of two processes: the number at `a`, and at `b`. 0: no number or no memory left. */
uint32_t pairs_add(struct pairs *a, struct pairs *b, uint32_t serial, uint32_t *ret_b);
/* The number at `a` of the pair with `b` that neither has given back; 0: none. */
uint32_t pairs_find(const struct pairs *a, const struct pairs *b);
/* The end with that number; NULL: none. */
const struct pair_end *pairs_end(const struct pairs *a, uint32_t number);
/*
 * `a` gives it back, as agreed with the other. True if the pair is gone now; false: the other has
 * not said so yet, or it was gone before (another serial).
 */
bool pairs_give(struct pairs *a, uint32_t number, uint32_t serial);
/* Takes the pair apart, whoever has given it back. It must exist. */
void pairs_drop(struct pairs *a, uint32_t number);
/* Frees an empty table. */
void pairs_fini(struct pairs *a);

#endif
