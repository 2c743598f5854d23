/*
 * Moving along the table.
 */
#include "base/sm.h"

#include <stddef.h>

#include "raia/error.h"

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

void sm_init(struct sm *sm, const struct sm_table *table, unsigned state, struct sm_stats *stats)
{
    *sm = (struct sm){.table = table, .stats = stats, .state = state};
}

bool sm_can(const struct sm *sm, unsigned to)
{
    return sm->state < sm->table->n && to < sm->table->n &&
           (sm->table->states[sm->state].to & SM_TO(to));
}

int sm_move(struct sm *sm, unsigned to)
{
    unsigned from = sm->state;

    if (!sm_can(sm, to)) {
        if (sm->stats)
            count(&sm->stats->bad);
        return -RAIA_ERR_STATE;
    }
    sm->state = to;
    if (sm->table->invariant && !sm->table->invariant(sm, from)) {
        sm->state = from;
        if (sm->stats)
            count(&sm->stats->broken);
        return -RAIA_ERR_INTERNAL;
    }
    if (sm->stats)
        count(&sm->stats->moves);
    return 0;
}

const char *sm_state_name(const struct sm_table *table, unsigned state)
{
    return state < table->n ? table->states[state].name : "invalid";
}

bool sm_table_valid(const struct sm_table *table, unsigned first)
{
    uint64_t all, reached, before;

    if (table->n == 0 || table->n > SM_STATES_MAX || first >= table->n)
        return false;
    all = table->n == 64 ? UINT64_MAX : SM_TO(table->n) - 1;
    for (unsigned i = 0; i < table->n; i++)
        if (!table->states[i].name || (table->states[i].to & ~all))
            return false;
    reached = SM_TO(first);
    do {
        before = reached;
        for (unsigned i = 0; i < table->n; i++)
            if (reached & SM_TO(i))
                reached |= table->states[i].to;
    } while (reached != before);
    return reached == all;
}
