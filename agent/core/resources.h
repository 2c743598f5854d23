/*
 * Resources: named quantities in fixed point, sets of them, and the ledger of a node.
 *
 * A quantity is an int64 in units of 1/10000, so that 0.3 + 0.3 + 0.4 is 1. Names are interned
 * once (res_name_id), and then compared by number; "CPU" is always RES_CPU and "memory" RES_MEMORY.
 *
 *     struct res_names *names = res_names_new();
 *     struct res_set need = {0};
 *     res_set_add(&need, RES_CPU, 1 * RES_UNIT);
 *     if (ledger_take(&node, &need)) ...
 *     ledger_give(&node, &need);
 *
 * The ledger keeps, for each resource, what there is in all, what is available and what is in use,
 * each on its own account, so that ledger_check can find a leak: available + in use = total,
 * always. Available may be below zero for a while: a worker that was blocked gets its CPU back at
 * once.
 *
 * Ownership: sets and ledgers are plain values. Threads: one at a time. Failure: -LIMIT for more
 * than RES_SET_MAX resources in a set or RES_NAMES_MAX names; -INVALID for a quantity below zero.
 */
#ifndef CORE_RESOURCES_H
#define CORE_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RES_UNIT      INT64_C(10000) /* one whole of a resource */
#define RES_MAX       (INT64_C(1) << 56)
#define RES_SET_MAX   16  /* resources in a set */
#define RES_NAMES_MAX 256 /* names that a node knows */
#define RES_NAME_SIZE 64  /* longest name, with its end mark */

enum { RES_CPU = 0, RES_MEMORY = 1 };

struct res_names; /* the names that were interned */

struct res_names *res_names_new(void); /* NULL: out of memory */
void res_names_free(struct res_names *n);
/* The number of a name, making one if need be. -LIMIT, -INVALID (empty or too long). */
int res_name_id(struct res_names *n, const char *name, size_t len, uint16_t *ret_id);
/* The name of a number; never NULL. */
const char *res_name(const struct res_names *n, uint16_t id);

struct res_item {
    int64_t quantity; /* 1/10000 */
    uint16_t name;    /* res_name_id */
};

/* Sorted by name, no zeros, no name twice. A zeroed one is empty. */
struct res_set {
    uint32_t n;
    struct res_item item[RES_SET_MAX];
};

/* Adds to the quantity of a name. */
int res_set_add(struct res_set *s, uint16_t name, int64_t quantity);
int64_t res_set_get(const struct res_set *s, uint16_t name);
bool res_set_equal(const struct res_set *a, const struct res_set *b);
/* Each of `need` is in `have`. */
bool res_set_fits(const struct res_set *have, const struct res_set *need);
/* a += b and a -= b, where what falls to zero or below is left out. */
int res_set_plus(struct res_set *a, const struct res_set *b);
void res_set_minus(struct res_set *a, const struct res_set *b);
/* The highest share of a resource of `total` that is not in `available`, in 1/10000 (0..10000);
 * what is not in `total` does not count. */
int64_t res_utilisation(const struct res_set *total, const struct res_set *available);

/* What one node has. */
struct ledger {
    struct res_set total;           /* fixed at the start */
    int64_t available[RES_SET_MAX]; /* of total.item[i]; may be negative: see above */
    int64_t in_use[RES_SET_MAX];    /* of total.item[i] */
    uint64_t version;               /* rises with each change */
};

void ledger_init(struct ledger *l, const struct res_set *total);
bool ledger_fits(const struct ledger *l, const struct res_set *need);
/* The node could meet it when nothing else ran. */
bool ledger_feasible(const struct ledger *l, const struct res_set *need);
/* Takes it if it fits. */
bool ledger_take(struct ledger *l, const struct res_set *need);
/* Takes it even if available falls below zero. It must be feasible. */
void ledger_force(struct ledger *l, const struct res_set *need);
void ledger_give(struct ledger *l, const struct res_set *held);
/* What is available, without what is zero or below. */
void ledger_available(const struct ledger *l, struct res_set *ret_set);
/* The invariant, and that in_use is what `held` (the sum over all holders) says. */
bool ledger_check(const struct ledger *l, const struct res_set *held);

#endif
