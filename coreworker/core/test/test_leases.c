/* What becomes of tasks when the worker that they were sent to is lost. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "core/submitter.h"

static struct lease *opened;
static int link_a; /* its address is the link */
static unsigned given_back, failures, uncertain, wanted;

static void define_class(void *ctx, struct sched_class *c)
{
    (void)ctx;
    (void)c;
}

static void demand(void *ctx, struct sched_class *c, uint32_t want)
{
    (void)ctx;
    (void)c;
    wanted = want;
}

static void open_lease(void *ctx, struct lease *l)
{
    (void)ctx;
    opened = l;
}

static int push(void *ctx, struct lease *l, struct task *t, uint64_t tag)
{
    (void)ctx;
    (void)l;
    (void)t;
    (void)tag;
    return 0;
}

static void give_back(void *ctx, struct lease *l, bool broken)
{
    (void)ctx;
    (void)l;
    given_back += broken;
}

static void steal(void *ctx, struct lease *l, uint32_t count)
{
    (void)ctx;
    (void)l;
    cr_assert_eq(count, 2);
}

static void failed(void *ctx, struct task *t, const struct raia_error *e)
{
    (void)ctx;
    (void)t;
    failures++;
    uncertain += e->maybe_executed;
}

static const struct submitter_ops ops = {.define_class = define_class,
                                         .demand = demand,
                                         .open = open_lease,
                                         .push = push,
                                         .give_back = give_back,
                                         .steal = steal,
                                         .failed = failed};

/* A worker with the first of three tasks before it answered, and the other two sent: `retries` of
 * the last two. */
static void three_sent(struct submitter *s, struct task t[3], int retries)
{
    struct sched_resource cpu = {.name = "CPU", .quantity = 10000};
    struct rec_lease grant = {.lease = 7, .number = 1};
    struct sched_class *c;

    given_back = failures = uncertain = wanted = 0;
    cr_assert_eq(submitter_init(s, &ops, NULL), 0);
    c = submitter_class(s, 0, &cpu, 1);
    memset(t, 0, 3 * sizeof(*t));
    for (int i = 0; i < 3; i++) {
        t[i].class = c;
        t[i].deadline = CLOCK_NEVER;
        t[i].retries = retries;
    }
    submitter_tick(s, 1);
    submitter_add(s, &t[0]);
    submitter_granted(s, &grant);
    submitter_opened(s, opened, &link_a);
    cr_assert_eq(t[0].state, TASK_SENT);
    cr_assert_eq(submitter_replied(s, &link_a, submitter_tag(opened, t[0].sequence), false, 1),
                 &t[0]);
    submitter_add(s, &t[1]);
    submitter_add(s, &t[2]);
    submitter_pump(s, c);
    cr_assert_eq(t[1].state, TASK_SENT);
    cr_assert_eq(t[2].state, TASK_SENT);
}

/* The worker died: only the oldest task was running; the one behind it is run elsewhere. */
Test(leases, death_costs_the_oldest)
{
    struct rec_lease_lost lost = {.lease = 7, .status = -RAIA_ERR_WORKER_CRASHED};
    struct submitter s;
    struct task t[3];

    three_sent(&s, t, 0);
    submitter_lost(&s, &lost, "killed");
    cr_assert_eq(failures, 1);
    cr_assert_eq(t[2].state, TASK_QUEUED);
    submitter_fail_all(&s, &(struct raia_error){.code = RAIA_ERR_SHUTDOWN});
    submitter_fini(&s);
}

/* The link broke: answers may have been lost, so what must not run twice fails, all of it. */
Test(leases, break_fails_what_must_not_run_twice)
{
    struct submitter s;
    struct task t[3];

    three_sent(&s, t, 0);
    submitter_link_broke(&s, &link_a, -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(failures, 2);
    cr_assert_eq(uncertain, 2);
    cr_assert_eq(given_back, 1);
    submitter_fini(&s);
}

/* So it is when the node died, whichever word of it comes first. */
Test(leases, node_death_fails_what_must_not_run_twice)
{
    struct rec_lease_lost lost = {.lease = 7, .status = -RAIA_ERR_WORKER_CRASHED};
    struct submitter s;
    struct task t[3];

    three_sent(&s, t, 0);
    submitter_link_broke(&s, &link_a, -RAIA_ERR_NODE_DIED);
    cr_assert_eq(failures, 0);
    submitter_lost(&s, &lost, "killed");
    cr_assert_eq(failures, 2);
    cr_assert_eq(uncertain, 2);
    submitter_fini(&s);
}

/* What may run twice is run again; only the oldest pays with a retry. */
Test(leases, break_runs_again_what_may_run_twice)
{
    struct submitter s;
    struct task t[3];

    three_sent(&s, t, 2);
    submitter_link_broke(&s, &link_a, -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(failures, 0);
    cr_assert_eq(t[1].retries, 1);
    cr_assert_eq(t[2].retries, 2);
    cr_assert_eq(t[1].state, TASK_QUEUED);
    cr_assert_eq(t[2].state, TASK_QUEUED);
    submitter_fail_all(&s, &(struct raia_error){.code = RAIA_ERR_SHUTDOWN});
    submitter_fini(&s);
}

/* A worker is asked back while it runs one task; the other one, given back unstarted, is for another
 * worker: it is asked for at once. */
Test(leases, what_a_reclaimed_lease_gives_back_is_asked_for)
{
    struct submitter s;
    struct task t[3];

    three_sent(&s, t, 0);
    submitter_reclaim(&s, 7, NULL);
    cr_assert_eq(wanted, 0);
    cr_assert_null(submitter_replied(&s, &link_a, submitter_tag(opened, t[2].sequence), true, 0));
    cr_assert_eq(t[2].state, TASK_QUEUED);
    cr_assert_eq(wanted, 1);
    submitter_fail_all(&s, &(struct raia_error){.code = RAIA_ERR_SHUTDOWN});
    submitter_fini(&s);
}

static struct board board;

static bool begun(void *ctx, const struct lease *l, uint64_t tag, enum board_state *ret)
{
    (void)ctx;
    (void)l;
    *ret = board_state(&board, 1, tag);
    return true;
}

/* Three tasks were sent, the first one answered; the worker's board says that it had begun `last`
 * more (in the order given) when it died. */
static void die_with_board(struct submitter *s, struct task t[3], int retries, const int *order,
                           unsigned n)
{
    struct rec_lease_lost lost = {.lease = 7, .status = -RAIA_ERR_WORKER_CRASHED};
    struct submitter_ops with_board = ops;

    with_board.begun = begun;
    three_sent(s, t, retries);
    s->ops = &with_board;
    board = (struct board){0};
    for (unsigned i = 0; i < n; i++)
        board_begin(&board, 1, submitter_tag(opened, t[order[i]].sequence));
    submitter_lost(s, &lost, "killed");
    s->ops = &ops;
}

/* The board says that nothing had begun: nothing fails, and nothing costs a retry. */
Test(leases, what_had_not_begun_costs_nothing)
{
    struct submitter s;
    struct task t[3];

    die_with_board(&s, t, 0, NULL, 0);
    cr_assert_eq(failures, 0);
    cr_assert_eq(t[1].state, TASK_QUEUED);
    cr_assert_eq(t[2].state, TASK_QUEUED);
    submitter_fail_all(&s, &(struct raia_error){.code = RAIA_ERR_SHUTDOWN});
    submitter_fini(&s);
}

/* The oldest had ended and its answer was lost; the one behind it was running: that one pays. */
Test(leases, the_one_that_ran_pays)
{
    struct submitter s;
    struct task t[3];

    die_with_board(&s, t, 2, (const int[]){1, 2}, 2);
    cr_assert_eq(failures, 0);
    cr_assert_eq(t[1].retries, 2);
    cr_assert_eq(t[2].retries, 1);
    submitter_fail_all(&s, &(struct raia_error){.code = RAIA_ERR_SHUTDOWN});
    submitter_fini(&s);
}

/* What must not run twice fails if it had begun, wherever it stood, and only then. */
Test(leases, what_had_begun_fails)
{
    struct submitter s;
    struct task t[3];

    die_with_board(&s, t, 0, (const int[]){2}, 1);
    cr_assert_eq(failures, 1);
    cr_assert_eq(uncertain, 1);
    cr_assert_eq(t[1].state, TASK_QUEUED);
    submitter_fail_all(&s, &(struct raia_error){.code = RAIA_ERR_SHUTDOWN});
    submitter_fini(&s);
}
