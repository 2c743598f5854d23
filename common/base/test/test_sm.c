/* Tests of base/sm.h. */
#include <criterion/criterion.h>

#include "base/list.h"
#include "base/sm.h"
#include "raia/error.h"

enum { PENDING, GRANTED, ENDED };

struct lease {
    struct sm sm;
    int worker; /* 0: none */
};

static bool lease_invariant(const struct sm *sm, unsigned from)
{
    const struct lease *l = container_of(sm, struct lease, sm);

    return (sm->state == GRANTED) == (l->worker != 0) && from != sm->state;
}

static const struct sm_state states[] = {
    [PENDING] = {"pending", SM_TO(GRANTED) | SM_TO(ENDED)},
    [GRANTED] = {"granted", SM_TO(ENDED)},
    [ENDED] = {"ended", 0},
};
static const struct sm_table table = SM_TABLE("lease", states, lease_invariant);

/* Moves of the table are made; others are refused, counted, and change nothing. */
Test(sm, moves)
{
    struct sm_stats stats = {0};
    struct lease l = {.worker = 7};

    sm_init(&l.sm, &table, PENDING, &stats);
    cr_assert_str_eq(sm_name(&l.sm), "pending");
    cr_assert(sm_can(&l.sm, GRANTED));
    cr_assert_eq(sm_move(&l.sm, GRANTED), 0);
    cr_assert_eq(sm_move(&l.sm, PENDING), -RAIA_ERR_STATE);
    cr_assert_eq(sm_move(&l.sm, 99), -RAIA_ERR_STATE);
    cr_assert_eq(l.sm.state, GRANTED);
    cr_assert_eq(sm_move(&l.sm, ENDED), -RAIA_ERR_INTERNAL);
    cr_assert_eq(l.sm.state, GRANTED);
    l.worker = 0;
    cr_assert_eq(sm_move(&l.sm, ENDED), 0);
    cr_assert(stats.moves == 2 && stats.bad == 2 && stats.broken == 1);
    cr_assert_str_eq(sm_state_name(&table, 99), "invalid");
}

/* A table is found wrong if it leads nowhere, or has a state that nothing leads to. */
Test(sm, table_check)
{
    static const struct sm_state outside[] = {{"a", SM_TO(1)}, {"b", SM_TO(2)}};
    static const struct sm_state island[] = {{"a", 0}, {"b", SM_TO(0)}};
    static const struct sm_state nameless[] = {{"a", SM_TO(1)}, {NULL, 0}};
    const struct sm_table bad[] = {SM_TABLE("x", outside, NULL), SM_TABLE("x", island, NULL),
                                   SM_TABLE("x", nameless, NULL)};

    cr_assert(sm_table_valid(&table, PENDING));
    cr_assert(!sm_table_valid(&table, ENDED));
    for (int i = 0; i < 3; i++)
        cr_assert(!sm_table_valid(&bad[i], 0), "%d", i);
}
