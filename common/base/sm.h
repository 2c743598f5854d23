/*
 * State machines as tables: which states there are, and which may follow which.
 *
 *     enum { LEASE_PENDING, LEASE_GRANTED, LEASE_ENDED };
 *     static const struct sm_state lease_states[] = {
 *         [LEASE_PENDING] = {"pending", SM_TO(LEASE_GRANTED) | SM_TO(LEASE_ENDED)},
 *         [LEASE_GRANTED] = {"granted", SM_TO(LEASE_ENDED)},
 *         [LEASE_ENDED] = {"ended", 0},
 *     };
 *     static const struct sm_table lease_table = SM_TABLE("lease", lease_states, lease_invariant);
 *
 *     sm_init(&lease->sm, &lease_table, LEASE_PENDING, &core->sm_stats);
 *     r = sm_move(&lease->sm, LEASE_GRANTED);      // -STATE: not allowed; nothing has changed
 *
 * The invariant (may be NULL) is asked after each move, with the new state set; container_of finds
 * the object. If it says false the state goes back and sm_move gives -INTERNAL. Nothing ever
 * aborts: bad moves are counted, and the caller fails the one object that they belong to.
 *
 * Ownership: a machine is a value in its object; tables are static. Threads: the object's owner;
 * stats may be shared. Failure: sm_move.
 */
#ifndef BASE_SM_H
#define BASE_SM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SM_STATES_MAX 64
#define SM_TO(state)  (UINT64_C(1) << (state))

struct sm;
typedef bool (*sm_invariant_fn)(const struct sm *sm, unsigned from);

struct sm_state {
    const char *name; /* lower case, for logs and listings */
    uint64_t to;      /* SM_TO of each state that may follow */
};

struct sm_table {
    const char *kind;              /* of what these are the states */
    const struct sm_state *states; /* indexed by state */
    unsigned n;                    /* of them, at most SM_STATES_MAX */
    sm_invariant_fn invariant;     /* may be NULL */
};
#define SM_TABLE(kind_name, array, invariant_fn)                                                   \
    {                                                                                              \
        .kind = (kind_name), .states = (array), .n = sizeof(array) / sizeof((array)[0]),           \
        .invariant = (invariant_fn)                                                                \
    }

/* Shared by the machines of a core; show them as metrics. */
struct sm_stats {
    _Atomic uint64_t moves;  /* good ones */
    _Atomic uint64_t bad;    /* not allowed by the table */
    _Atomic uint64_t broken; /* invariants that did not hold */
};

struct sm {
    const struct sm_table *table;
    struct sm_stats *stats; /* may be NULL */
    unsigned state;         /* index in the table; read it, move with sm_move */
};

void sm_init(struct sm *sm, const struct sm_table *table, unsigned state, struct sm_stats *stats);
int sm_move(struct sm *sm, unsigned to);
/* Whether sm_move would be allowed by the table. */
bool sm_can(const struct sm *sm, unsigned to);
/* The name of a state; "invalid" for one that is not in the table. */
const char *sm_state_name(const struct sm_table *table, unsigned state);
static inline const char *sm_name(const struct sm *sm)
{
    return sm_state_name(sm->table, sm->state);
}

/* For tests: every state has a name, leads only to states there are, and is reached from `first`.
 */
bool sm_table_valid(const struct sm_table *table, unsigned first);

#endif
