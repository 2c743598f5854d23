/* Objects end with their owners, however these die and whoever hears of it; and results that nobody
 * took end, too. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "sim.h"

#define MIB (UINT64_C(1) << 20)

static struct sim world;

/* What the owner says of object 0, made on node 0. */
static void say(struct sim *s, int owner, uint32_t flags)
{
    struct rec_store_stray r = {.flags = flags};
    struct record_head h = {.size = sizeof h + sizeof r, .type = REC_STORE_STRAY_IS};

    memcpy(r.object, s->objects[0].id, sizeof r.object);
    memcpy(r.node, s->nodes[0].id, sizeof r.node);
    cr_assert_eq(store_core_record(s->nodes[s->clients[owner].node].core, s->now,
                                   s->clients[owner].number, &h, &r),
                 0);
    sim_deliver_all(s);
}

/* Node 0 makes an object whose owner lives on node 1. */
static void init(struct sim *s, int *ret_maker, int *ret_owner)
{
    sim_init(s, 1, 3, 8 * MIB);
    *ret_maker = sim_client_add(s, 0);
    *ret_owner = sim_client_add(s, 1);
}

static void make(struct sim *s, int maker, int owner)
{
    int object = sim_create(s, maker, owner, MIB, 0);

    sim_seal(s, maker, sim_slot(s->clients[maker].writes, object), true);
    cr_assert_str_empty(s->failed);
}

static struct store_stats stats(struct sim *s, int node)
{
    struct store_stats st;

    store_core_stats(s->nodes[node].core, &st);
    return st;
}

static void pass(struct sim *s, int64_t ms)
{
    for (int64_t end = s->now + ms * CLOCK_NS_PER_MS; s->now < end;) {
        sim_tick(s, s->now + 10 * CLOCK_NS_PER_MS);
        sim_deliver_all(s);
    }
}

/* With a node die the owners on it: what they own elsewhere goes. */
Test(owners, node_dies)
{
    int maker, owner;

    init(&world, &maker, &owner);
    make(&world, maker, owner);
    cr_assert_eq(stats(&world, 0).used, MIB);
    sim_node_kill(&world, 1);
    cr_assert_eq(stats(&world, 0).used, 0, "nobody frees it any more");
    sim_fini(&world);
}

/* What would belong to a process that is known to be dead, itself or its node, is not made. */
Test(owners, dead_before)
{
    int maker, owner, other;

    init(&world, &maker, &owner);
    other = sim_client_add(&world, 2);
    sim_client_kill(&world, owner);
    sim_node_kill(&world, 2);
    sim_create(&world, maker, owner, MIB, 0);
    cr_assert_eq(world.tags[0].status, -RAIA_ERR_OWNER_DIED);
    sim_create(&world, maker, other, MIB, 0);
    cr_assert_eq(world.tags[1].status, -RAIA_ERR_OWNER_DIED);
    cr_assert_eq(stats(&world, 0).used, 0);
    sim_fini(&world);
}

/* The word that the owner died went with a link: over the next one it is asked for, again and again
 * if links go on breaking; what lives is not touched. */
Test(owners, unheard)
{
    int maker, owner, other;

    init(&world, &maker, &owner);
    other = sim_client_add(&world, 1);
    make(&world, maker, owner);
    make(&world, maker, other);
    store_core_owner_gone(world.nodes[1].core, world.now, &world.clients[owner].address);
    store_core_client_gone(world.nodes[1].core, world.now, world.clients[owner].number);
    world.clients[owner].alive = false;
    pass(&world, 1000);
    cr_assert_eq(stats(&world, 0).used, 2 * MIB, "nobody has said anything");
    for (int i = 0; i < 3; i++)
        sim_link_break(&world, 0, 1);
    pass(&world, 1000);
    cr_assert_eq(stats(&world, 0).used, MIB);
    cr_assert_str_empty(world.failed);
    sim_fini(&world);
}

/* The maker died: the owner, on another node, is asked whether it took the result, again and again
 * until it says; what it did not take goes, and what it says unasked counts as well. */
Test(strays, maker_dies)
{
    int maker, owner;

    init(&world, &maker, &owner);
    make(&world, maker, owner);
    pass(&world, 20000);
    cr_assert_eq(world.strays, 0, "nobody doubts");
    sim_client_kill(&world, maker);
    pass(&world, 12000);
    cr_assert_geq(world.strays, 2);
    cr_assert_eq(stats(&world, 0).used, MIB, "its task may be tried again");
    say(&world, owner, 0);
    cr_assert_eq(stats(&world, 0).used, 0);
    sim_fini(&world);
}

/* The link to the owner ended: it is asked; what it took stays, is not asked for again, and no word
 * but FREE ends it. */
Test(strays, taken)
{
    int maker, owner;

    init(&world, &maker, &owner);
    make(&world, maker, owner);
    sim_link_break(&world, 0, 1);
    pass(&world, 1000);
    cr_assert_eq(world.strays, 1);
    say(&world, owner, REC_STRAY_TAKEN);
    sim_link_break(&world, 0, 1);
    pass(&world, 12000);
    cr_assert_eq(world.strays, 1);
    say(&world, owner, 0);
    cr_assert_eq(stats(&world, 0).used, MIB);
    sim_free_object(&world, 0);
    pass(&world, 1000);
    cr_assert_eq(stats(&world, 0).used, 0);
    sim_fini(&world);
}

/* Nobody but its owner says what becomes of an object. */
Test(strays, not_the_owner)
{
    int maker, owner, other;

    init(&world, &maker, &owner);
    other = sim_client_add(&world, 2);
    make(&world, maker, owner);
    say(&world, other, 0);
    say(&world, maker, 0);
    cr_assert_eq(stats(&world, 0).used, MIB);
    sim_fini(&world);
}

/* An object that was given to another process outlives the one that made it, and ends with that. */
Test(owners, given)
{
    struct rec_store_give r = {.flags = 0};
    struct record_head h = {.size = sizeof h + sizeof r, .type = REC_STORE_GIVE};
    int maker, owner;

    init(&world, &maker, &owner);
    make(&world, maker, maker);
    memcpy(r.object, world.objects[0].id, sizeof r.object);
    r.owner = world.clients[owner].address;
    cr_assert_eq(
        store_core_record(world.nodes[0].core, world.now, world.clients[maker].number, &h, &r), 0);
    sim_client_kill(&world, maker);
    cr_assert_eq(stats(&world, 0).used, MIB);
    sim_client_kill(&world, owner);
    cr_assert_eq(stats(&world, 0).used, 0);
    sim_fini(&world);
}
