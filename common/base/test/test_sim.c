/* Tests of base/sim.h. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sim.h"

#define MS CLOCK_NS_PER_MS

/* A node that notes what it gets: for each peer, the numbers since the last break. */
struct note {
    struct sim_node *node;
    int last;             /* number got last on this connection; 0: none */
    int got;              /* messages in all */
    int breaks;           /* in all */
    int next;             /* number to be sent next on this connection */
    struct sim_node *out; /* peer */
    const char *wrong;    /* what must not happen */
};

static void on_message(void *ctx, struct sim_node *from, const void *data, size_t size)
{
    struct note *n = ctx;
    int number;

    (void)from;
    if (size != sizeof number)
        n->wrong = "size";
    memcpy(&number, data, sizeof number);
    if (number != n->last + 1)
        n->wrong = "a gap, or out of order";
    n->last = number;
    n->got++;
}

static void on_broken(void *ctx, struct sim_node *peer)
{
    struct note *n = ctx;

    if (peer != n->out)
        n->wrong = "another peer";
    n->last = 0;
    n->next = 1;
    n->breaks++;
}

static const struct sim_node_ops ops = {.message = on_message, .broken = on_broken};

static void send_next(struct note *n)
{
    sim_send(n->node, n->out, &n->next, sizeof n->next);
    n->next++;
}

static void make_pair(struct sim *s, struct note *a, struct note *b)
{
    *a = (struct note){.next = 1};
    *b = (struct note){.next = 1};
    a->node = sim_node_add(s, "a", &ops, a);
    b->node = sim_node_add(s, "b", &ops, b);
    a->out = b->node;
    b->out = a->node;
}

/* What is sent arrives whole, in order, later than it was sent, and time is only as far as it went.
 */
Test(sim, delivery)
{
    struct sim *s;
    struct note a, b;

    cr_assert_eq(sim_new(1, &s), 0);
    make_pair(s, &a, &b);
    for (int i = 0; i < 100; i++)
        send_next(&a);
    cr_assert_eq(b.got, 0);
    cr_assert(sim_run(s, 10 * MS));
    cr_assert_eq(b.got, 100);
    cr_assert_null(b.wrong);
    cr_assert_eq(sim_now(s), 10 * MS);
    cr_assert_eq(sim_next(s), CLOCK_NEVER);
    sim_free(s);
}

static struct note chaos_a, chaos_b;

/* Sends, breaks, partitions, heals, kills and revives at random; then lets all calm down. */
static int chaos(struct sim *s, void *ctx)
{
    struct note *a = &chaos_a, *b = &chaos_b;

    make_pair(s, a, b);
    for (int step = 0; step < 300; step++) {
        struct note *n = prng_chance(sim_prng(s), 0.5) ? a : b;
        switch (prng_below(sim_prng(s), 16)) {
        case 0:
            sim_break(a->node, b->node);
            break;
        case 1:
            sim_partition(a->node, b->node);
            break;
        case 2:
            sim_heal_all(s);
            break;
        case 3:
            sim_kill(n->node);
            break;
        case 4:
            if (!sim_node_alive(n->node)) {
                n->last = 0;
                n->next = 1;
                sim_revive(n->node, n);
            }
            break;
        default:
            if (sim_node_alive(n->node))
                send_next(n);
        }
        SIM_CHECK(s, sim_run(s, sim_now(s) + prng_range(sim_prng(s), 0, MS)), "run");
        SIM_CHECK(s, !a->wrong && !b->wrong, "a: %s, b: %s", a->wrong ? a->wrong : "right",
                  b->wrong ? b->wrong : "right");
    }
    sim_heal_all(s);
    for (int i = 0; i < 2; i++) {
        struct note *n = i ? b : a;
        if (!sim_node_alive(n->node)) {
            n->last = 0;
            n->next = 1;
            sim_revive(n->node, n);
        }
    }
    sim_run(s, sim_now(s) + 10 * MS);
    int before = b->got;
    send_next(a);
    sim_run(s, sim_now(s) + 10 * MS);
    SIM_CHECK(s, b->got == before + 1, "the link does not work after all has healed");
    *(uint64_t *)ctx = sim_digest(s);
    return 0;
}

/* Whatever breaks, each side gets prefixes in order, hears of each break, and the link comes back.
 */
Test(sim, prefixes_under_chaos)
{
    uint64_t digest;

    unsetenv("RAIA_SIM_SEED");
    cr_assert_eq(sim_seeds("chaos", 1, 500, chaos, &digest), 0);
}

/* The same seed is the same run, another one is another. */
Test(sim, deterministic)
{
    uint64_t first, again, other;

    unsetenv("RAIA_SIM_SEED");
    cr_assert_eq(sim_seeds("chaos", 7, 1, chaos, &first), 0);
    cr_assert_eq(sim_seeds("chaos", 7, 1, chaos, &again), 0);
    cr_assert_eq(sim_seeds("chaos", 8, 1, chaos, &other), 0);
    cr_assert_eq(first, again);
    cr_assert_neq(first, other);
}

/* A partition loses what is sent into it and both sides hear of it; after healing it passes. */
Test(sim, partition)
{
    struct sim *s;
    struct note a, b;

    cr_assert_eq(sim_new(3, &s), 0);
    make_pair(s, &a, &b);
    sim_isolate(a.node);
    send_next(&a);
    sim_run(s, 10 * MS);
    cr_assert_eq(b.got, 0);
    cr_assert(a.breaks == 1 && b.breaks == 1);
    send_next(&a);
    sim_run(s, 20 * MS);
    cr_assert(b.got == 0 && a.breaks == 2);
    sim_heal(a.node, b.node);
    send_next(&a);
    sim_run(s, 30 * MS);
    cr_assert_eq(b.got, 1);
    cr_assert_null(b.wrong);
    sim_free(s);
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

/* A dead node gets nothing, not even its timers; its peer is told; its new life begins clean. */
Test(sim, kill)
{
    struct sim *s;
    struct note a, b, reborn = {.next = 1};
    int timers = 0;

    cr_assert_eq(sim_new(4, &s), 0);
    make_pair(s, &a, &b);
    for (int i = 1; i <= 20; i++)
        sim_after(s, i % 2 ? b.node : a.node, i * MS, count, &timers, NULL);
    send_next(&a);
    sim_kill(b.node);
    sim_kill(b.node);
    cr_assert(!sim_node_alive(b.node));
    sim_run(s, 10 * MS);
    cr_assert(b.got == 0 && a.breaks == 1 && b.breaks == 0);
    reborn.node = b.node;
    reborn.out = a.node;
    sim_revive(b.node, &reborn);
    sim_send(b.node, a.node, &reborn.next, sizeof reborn.next);
    send_next(&a);
    sim_run(s, 30 * MS);
    cr_assert_eq(timers, 10);
    cr_assert(reborn.got == 1 && reborn.breaks == 0 && a.got == 1);
    cr_assert_null(a.wrong);
    sim_free(s);
}

/* Timers come at their time, in their order, unless cancelled. */
Test(sim, timers)
{
    struct sim *s;
    int a = 0, b = 0, c = 0;
    struct sim_event *event;

    cr_assert_eq(sim_new(5, &s), 0);
    sim_after(s, NULL, 2 * MS, count, &a, NULL);
    sim_after(s, NULL, 1 * MS, count, &b, NULL);
    sim_after(s, NULL, 1 * MS, count, &c, &event);
    sim_cancel(s, event);
    cr_assert(sim_step(s));
    cr_assert(a == 0 && b == 1 && sim_now(s) == MS);
    sim_run(s, 2 * MS);
    cr_assert(a == 1 && c == 0);
    cr_assert(!sim_step(s));
    sim_free(s);
}

static bool three(void *ctx)
{
    return *(int *)ctx == 3;
}

/* Running until something holds stops right there, or at the time given. */
Test(sim, run_until)
{
    struct sim *s;
    int n = 0;

    cr_assert_eq(sim_new(6, &s), 0);
    for (int i = 1; i <= 4; i++)
        sim_after(s, NULL, i * MS, count, &n, NULL);
    cr_assert(!sim_run_until(s, three, &n, 2 * MS));
    cr_assert_eq(n, 2);
    cr_assert(sim_run_until(s, three, &n, 100 * MS));
    cr_assert(n == 3 && sim_now(s) == 3 * MS);
    sim_free(s);
}

static int fails_at_seed_13(struct sim *s, void *ctx)
{
    ++*(int *)ctx;
    SIM_CHECK(s, sim_seed(s) != 13, "unlucky %d", 13);
    return 0;
}

/* The seed that fails ends the runs, is printed with its reason, and can be run alone. */
Test(sim, report)
{
    int runs = 0, p[2];
    char text[1024] = "";

    unsetenv("RAIA_SIM_SEED");
    cr_assert_eq(pipe(p), 0);
    int saved = dup(2);
    dup2(p[1], 2);
    int r = sim_seeds("lucky", 10, 100, fails_at_seed_13, &runs);
    setenv("RAIA_SIM_SEED", "14", 1);
    int r2 = sim_seeds("lucky", 10, 100, fails_at_seed_13, &runs);
    dup2(saved, 2);
    cr_assert_gt(read(p[0], text, sizeof text - 1), 0);
    cr_assert_eq(r, -RAIA_ERR_INTERNAL);
    cr_assert_eq(r2, 0);
    cr_assert_eq(runs, 5);
    cr_assert(strstr(text, "'lucky' failed with seed 13"), "%s", text);
    cr_assert(strstr(text, "unlucky 13") && strstr(text, "RAIA_SIM_SEED=13"));
}

/* A number of seeds is what its variable says, else the ordinary one as often as is asked for. */
Test(sim, wanted)
{
    unsetenv("RAIA_TEST_SEEDS");
    unsetenv("RAIA_SIM_TIMES");
    cr_expect_eq(sim_seeds_wanted("RAIA_TEST_SEEDS", 30), 30);
    setenv("RAIA_SIM_TIMES", "10", 1);
    cr_expect_eq(sim_seeds_wanted("RAIA_TEST_SEEDS", 30), 300);
    setenv("RAIA_TEST_SEEDS", "7", 1);
    cr_expect_eq(sim_seeds_wanted("RAIA_TEST_SEEDS", 30), 7);
}

/* Out of memory fails the run, whichever allocation it is, and nothing is lost or crashes. */
Test(sim, nth_allocation_fails)
{
    for (uint64_t n = 1;; n++) {
        struct sim *s = NULL;
        struct note a, b;
        mem_fail_nth(n);
        if (sim_new(1, &s) == 0) {
            make_pair(s, &a, &b);
            if (a.node && b.node)
                for (int i = 0; i < 50; i++)
                    send_next(&a);
            sim_run(s, 10 * MS);
        }
        bool reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        cr_assert_eq(!s || sim_failed(s), reached);
        sim_free(s);
        if (!reached)
            break;
    }
}
