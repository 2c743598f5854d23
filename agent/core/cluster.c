/*
 * The view of the other nodes and the choice among them.
 */
#include "core/cluster.h"

#include <string.h>

#include "base/mem.h"
#include "raia/error.h"

void cluster_done(struct cluster *c)
{
    mem_free(c->node);
    *c = (struct cluster){0};
}

int cluster_find(const struct cluster *c, const uint8_t id[16])
{
    for (int i = 0; i < c->n; i++)
        if (c->node[i].used && !memcmp(c->node[i].id, id, 16))
            return i;
    return CLUSTER_NONE;
}

int cluster_add(struct cluster *c, const uint8_t id[16], int *ret_slot)
{
    int i = cluster_find(c, id);

    if (i < 0) {
        for (i = 0; i < c->n && c->node[i].used; i++)
            ;
        if (i == c->n) {
            struct cluster_node *new;
            if (c->n == CLUSTER_NODES_MAX)
                return -RAIA_ERR_LIMIT;
            new = mem_realloc(c->node, (size_t)(c->n + 1) * sizeof *new);
            if (!new)
                return -RAIA_ERR_NOMEM;
            c->node = new;
            c->n++;
        }
        c->node[i] = (struct cluster_node){.used = true};
        memcpy(c->node[i].id, id, 16);
    }
    *ret_slot = i;
    return 0;
}

void cluster_remove(struct cluster *c, int slot)
{
    c->node[slot] = (struct cluster_node){0};
}

bool cluster_update(struct cluster *c, int slot, uint64_t version, const struct res_set *total,
                    const struct res_set *available)
{
    struct cluster_node *n = &c->node[slot];

    if (version < n->version)
        return false;
    n->version = version;
    if (total)
        n->total = *total;
    n->available = *available;
    return true;
}

void cluster_returned(struct cluster *c, int slot, const struct res_set *need)
{
    struct cluster_node *n = &c->node[slot];

    if (!n->used || res_set_plus(&n->available, need) < 0)
        return;
    /* Its own word may have come first: it has no more than all. */
    for (uint32_t i = 0; i < n->available.n; i++) {
        int64_t most = res_set_get(&n->total, n->available.item[i].name);

        if (n->available.item[i].quantity > most)
            n->available.item[i].quantity = most;
    }
}

bool cluster_fits(const struct cluster *c, int slot, const struct res_set *need)
{
    const struct cluster_node *n = &c->node[slot];

    if (!n->used || n->avoid)
        return false;
    for (uint32_t i = 0; i < need->n; i++) {
        uint16_t name = need->item[i].name;
        if (res_set_get(&n->available, name) - res_set_get(&n->asked, name) <
            need->item[i].quantity)
            return false;
    }
    return true;
}

bool cluster_feasible(const struct cluster *c, const struct res_set *need)
{
    for (int i = 0; i < c->n; i++)
        if (c->node[i].used && res_set_fits(&c->node[i].total, need))
            return true;
    return false;
}

/* Lower is better; 0 below the threshold. */
static int64_t score(const struct res_set *total, const struct res_set *available)
{
    int64_t u = res_utilisation(total, available);

    return u * 100 < CLUSTER_SPREAD_PERCENT * RES_UNIT ? 0 : u;
}

static int64_t node_score(const struct cluster_node *n)
{
    struct res_set left = n->available;

    res_set_minus(&left, &n->asked);
    return score(&n->total, &left);
}

static int pick_spread(struct cluster *c, const struct ledger *here, const struct res_set *need)
{
    /* Place c->n stands for this node. */
    for (int k = 0; k <= c->n; k++) {
        int i = (c->turn + k) % (c->n + 1);
        if (i == c->n ? ledger_fits(here, need) : cluster_fits(c, i, need)) {
            c->turn = i + 1;
            return i == c->n ? CLUSTER_HERE : i;
        }
    }
    return CLUSTER_NONE;
}

int cluster_pick(struct cluster *c, const struct ledger *here, const struct res_set *need,
                 bool spread, int prefer)
{
    int best = CLUSTER_NONE;
    int64_t best_score = INT64_MAX;

    if (prefer == CLUSTER_HERE && ledger_fits(here, need))
        return CLUSTER_HERE;
    if (prefer >= 0 && prefer < c->n && cluster_fits(c, prefer, need))
        return prefer;
    if (spread)
        return pick_spread(c, here, need);
    if (ledger_fits(here, need)) {
        struct res_set available;
        ledger_available(here, &available);
        best = CLUSTER_HERE;
        best_score = score(&here->total, &available);
        if (best_score == 0)
            return best;
    }
    for (int k = 0; k < c->n; k++) {
        int i = (c->turn + k) % c->n;
        int64_t s;
        if (!cluster_fits(c, i, need))
            continue;
        s = node_score(&c->node[i]);
        if (s < best_score) {
            best_score = s;
            best = i;
        }
    }
    if (best >= 0)
        c->turn = best + 1;
    return best;
}
