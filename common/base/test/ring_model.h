/*
 * The machine of the interleaving test: up to MODEL_THREADS threads, run one step at a time in an
 * order that the test chooses, on memory with store buffers.
 *
 * Every operation of base/ring_atomic.h is a step. A store that is not SEQ_CST goes into the buffer
 * of its thread and reaches memory later, at a moment of its own: in order (x86, TSO), or, for
 * RELAXED ones, in any order (PSO), so that a RELEASE that is missing shows, too. Loads see the own
 * buffer first. SEQ_CST stores, read-modify-write and system calls empty the buffer, as on x86.
 * Loads are never reordered: a missing ACQUIRE does not show (ThreadSanitizer looks for those).
 *
 * model_explore runs a scenario in many orders: all those within `budget` deviations from running
 * one thread as long as it can with its stores drained at once, then `randoms` random ones. It
 * stops at the first failure: a model_fail, all threads asleep (a lost wake-up), or endless
 * running.
 */
#ifndef BASE_TEST_RING_MODEL_H
#define BASE_TEST_RING_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_THREADS 3

enum model_op { MODEL_XCHG, MODEL_OR, MODEL_AND, MODEL_CAS };

/* What a planted bug does to one operation. */
enum mutant_kind {
    MUTANT_RELAXED,       /* the store is RELAXED */
    MUTANT_RELEASE,       /* the store is RELEASE */
    MUTANT_SKIP,          /* a load gives 0; a write or a wake-up does not happen */
    MUTANT_SPLIT,         /* the read-modify-write is a load and then a store */
    MUTANT_NOTIFIED_BUSY, /* a load that finds DOORBELL_NOTIFIED gives DOORBELL_BUSY */
};

/* A planted bug: where it is and what it does. */
struct mutant {
    const char *name;      /* for people */
    const char *func;      /* the function that it is in */
    const char *expr;      /* the operand, as it is written there; NULL: a wake-up */
    enum mutant_kind kind; /* what happens */
};

/* A scenario: its threads and what is done before and after them. */
struct scenario {
    const char *name;                    /* for people */
    void (*setup)(void);                 /* outside the model: stores are immediate */
    void (*thread[MODEL_THREADS])(void); /* NULL: none */
    bool kill;                           /* thread 0 is killed at every one of its steps in turn */
};

/* What model_explore found. */
struct model_result {
    uint64_t bounded;  /* orders tried within the budget */
    uint64_t randoms;  /* random orders tried */
    const char *error; /* NULL: none */
};

struct model_result model_explore(const struct scenario *s, const struct mutant *m, unsigned budget,
                                  uint64_t max_bounded, uint64_t randoms);

/* Ends this run: the scenario went wrong. */
void model_fail(const char *text);

uint64_t model_load(const void *p, unsigned size, const char *func, const char *expr);
void model_store(void *p, unsigned size, uint64_t v, int order, const char *func, const char *expr);
/* Gives the value that was there. */
uint64_t model_rmw(void *p, unsigned size, enum model_op op, uint64_t v, uint64_t from,
                   const char *func, const char *expr);
void model_pause(void);
bool model_futex_wait(uint32_t *p, uint32_t v);
void model_futex_wake(uint32_t *p, const char *func);
void model_eventfd_write(int fd);
void model_eventfd_clear(int fd);
void model_eventfd_wait(int fd);

#endif
