/* The view of other nodes and the policy. */
#include "core/cluster.h"

#include <criterion/criterion.h>

static struct res_set cpus(int64_t n)
{
    struct res_set s = {0};

    res_set_add(&s, RES_CPU, n * RES_UNIT);
    return s;
}

static int add(struct cluster *c, uint8_t name, int64_t total, int64_t available, uint64_t version)
{
    uint8_t id[16] = {name};
    struct res_set t = cpus(total), a = cpus(available);
    int slot;

    cr_assert_eq(cluster_add(c, id, &slot), 0);
    cluster_update(c, slot, version, &t, &a);
    return slot;
}

/* Hybrid packs here to one half, then goes where there is most room, then fills what is left. */
Test(cluster, hybrid)
{
    struct cluster c = {0};
    struct res_set total = cpus(4), one = cpus(1), big = cpus(9);
    struct ledger here;
    int other;

    ledger_init(&here, &total);
    other = add(&c, 1, 4, 4, 1);
    cr_assert_eq(cluster_pick(&c, &here, &one, false, CLUSTER_NONE), CLUSTER_HERE);
    ledger_take(&here, &one);
    cr_assert_eq(cluster_pick(&c, &here, &one, false, CLUSTER_NONE), CLUSTER_HERE);
    ledger_take(&here, &one);
    cr_assert_eq(cluster_pick(&c, &here, &one, false, CLUSTER_NONE), other);
    res_set_plus(&c.node[other].asked, &one);
    res_set_plus(&c.node[other].asked, &one);
    res_set_plus(&c.node[other].asked, &one);
    cr_assert_eq(cluster_pick(&c, &here, &one, false, CLUSTER_NONE), CLUSTER_HERE);
    cr_assert_eq(cluster_pick(&c, &here, &big, false, CLUSTER_NONE), CLUSTER_NONE);
    cr_assert_not(cluster_feasible(&c, &big));
    cluster_done(&c);
}

/* Spread uses every node once before any twice; a preferred node comes first while it has room. */
Test(cluster, spread_and_prefer)
{
    struct cluster c = {0};
    struct res_set total = cpus(4), one = cpus(1);
    struct ledger here;
    int a, b, got[3] = {0};

    ledger_init(&here, &total);
    a = add(&c, 1, 4, 4, 1);
    b = add(&c, 2, 4, 4, 1);
    for (int i = 0; i < 6; i++)
        got[cluster_pick(&c, &here, &one, true, CLUSTER_NONE) + 1]++;
    cr_assert(got[0] == 2 && got[1] == 2 && got[2] == 2);
    cr_assert_eq(cluster_pick(&c, &here, &one, false, b), b);
    c.node[b].avoid = true;
    cr_assert_eq(cluster_pick(&c, &here, &one, false, b), CLUSTER_HERE);
    (void)a;
    cluster_done(&c);
}

/* An old view never replaces a newer one, and a slot is used again after its node died. */
Test(cluster, versions_and_slots)
{
    struct cluster c = {0};
    struct res_set one = cpus(1);
    int a = add(&c, 1, 4, 4, 7), b = add(&c, 2, 4, 4, 1);
    uint8_t id[16] = {1};

    cr_assert_not(cluster_update(&c, a, 6, NULL, &one));
    cr_assert_eq(res_set_get(&c.node[a].available, RES_CPU), 4 * RES_UNIT);
    cr_assert(cluster_update(&c, a, 8, NULL, &one));
    cr_assert_eq(res_set_get(&c.node[a].available, RES_CPU), RES_UNIT);
    cluster_remove(&c, a);
    cr_assert_eq(cluster_find(&c, id), CLUSTER_NONE);
    cr_assert_eq(add(&c, 3, 4, 4, 1), a);
    cr_assert_neq(a, b);
    cluster_done(&c);
}
