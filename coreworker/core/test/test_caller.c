/* Calls to an actor against a made-up actor: what is sent, in which order, and what fails how. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/caller.h"

struct world {
    struct caller c;
    struct task *pushed[256];
    unsigned npushed;
    unsigned connects;
    unsigned failed;
    struct raia_error last; /* of the last failure */
};

static void connect_actor(void *ctx, struct caller *c, uint64_t first)
{
    (void)c;
    (void)first;
    ((struct world *)ctx)->connects++;
}

static int push(void *ctx, struct caller *c, struct task *t)
{
    struct world *w = ctx;

    (void)c;
    w->pushed[w->npushed++] = t;
    return 0;
}

static void cancel(void *ctx, struct caller *c, struct task *t, const struct wire_cancel *how)
{
    (void)ctx;
    (void)c;
    (void)t;
    (void)how;
}

static void failed(void *ctx, struct task *t, const struct raia_error *e)
{
    struct world *w = ctx;

    w->failed++;
    w->last = *e;
    free(t);
}

static const struct caller_ops ops = {
    .connect = connect_actor, .push = push, .cancel = cancel, .failed = failed};
static const struct record_address somewhere = {.worker = {1}};

static void begin(struct world *w)
{
    memset(w, 0, sizeof(*w));
    caller_init(&w->c, &ops, w);
}

static struct task *add(struct world *w, int retries, unsigned waits)
{
    struct task *t = calloc(1, sizeof(*t));

    t->retries = retries;
    t->waits = (uint16_t)waits;
    t->deadline = CLOCK_NEVER;
    caller_add(&w->c, t);
    caller_pump(&w->c);
    return t;
}

static void end(struct world *w)
{
    struct raia_error e;

    err_set(&e, RAIA_ERR_SHUTDOWN, "end");
    caller_fail_all(&w->c, &e);
    cr_assert_eq(w->c.pending, 0);
    caller_fini(&w->c);
}

/* Calls wait for the address, then for their arguments, and start in the order of submission. */
Test(caller, order)
{
    struct world w;
    struct task *a, *b;

    begin(&w);
    a = add(&w, 0, 1);
    b = add(&w, 0, 0);
    cr_assert_eq(w.connects, 0);
    caller_alive(&w.c, 1, &somewhere);
    caller_alive(&w.c, 1, &somewhere);
    cr_assert_eq(w.connects, 1);
    caller_welcome(&w.c, 1);
    cr_assert_eq(w.npushed, 0, "the first one's arguments are not there");
    a->waits = 0;
    caller_ready(&w.c, a);
    cr_assert(w.npushed == 2 && w.pushed[0] == a && w.pushed[1] == b);
    cr_assert_eq(caller_replied(&w.c, a->sequence), a);
    cr_assert_null(caller_replied(&w.c, a->sequence));
    free(a);
    end(&w);
}

/* The process dies: calls with retries go to the next incarnation in order; the others fail when
 * the GCS has said what follows, as maybe executed. */
Test(caller, restart)
{
    struct world w;
    struct task *once, *again, *later;

    begin(&w);
    caller_alive(&w.c, 1, &somewhere);
    caller_welcome(&w.c, 1);
    once = add(&w, 0, 0);
    again = add(&w, 1, 0);
    cr_assert(w.pushed[0] == once && w.pushed[1] == again);
    caller_broke(&w.c, true);
    cr_assert_eq(w.failed, 0);
    later = add(&w, 0, 0);
    caller_restarting(&w.c, 1, NULL);
    cr_assert(w.failed == 1 && w.last.code == RAIA_ERR_ACTOR_UNAVAILABLE && w.last.maybe_executed);
    caller_alive(&w.c, 2, &somewhere);
    caller_welcome(&w.c, w.c.window.base);
    cr_assert(w.npushed == 4 && w.pushed[2] == again && w.pushed[3] == later);
    cr_assert_eq(again->attempt, 1);
    end(&w);
}

/* An old incarnation's news changes nothing. */
Test(caller, stale_incarnation)
{
    struct world w;

    begin(&w);
    caller_alive(&w.c, 5, &somewhere);
    caller_welcome(&w.c, 1);
    caller_alive(&w.c, 4, &somewhere);
    caller_restarting(&w.c, 4, NULL);
    cr_assert(w.connects == 1 && w.c.state == CALLER_CONNECTED);
    end(&w);
}

/* Only the link broke: what the actor has received is not sent again, the rest is, with the numbers
 * that it expects. */
Test(caller, reconnect)
{
    struct world w;
    struct task *t[4];

    begin(&w);
    caller_alive(&w.c, 1, &somewhere);
    caller_welcome(&w.c, 1);
    for (int i = 0; i < 4; i++)
        t[i] = add(&w, 0, 0);
    caller_broke(&w.c, false);
    cr_assert_eq(w.c.state, CALLER_LOST);
    caller_alive(&w.c, 1, &somewhere);
    caller_welcome(&w.c, 3);
    cr_assert(w.npushed == 6 && w.pushed[4] == t[2] && w.pushed[5] == t[3]);
    cr_assert(t[2]->sequence == 3 && t[3]->sequence == 4);
    cr_assert_eq(w.failed, 0);
    end(&w);
}

/* A call is there by its counter while it is queued and while the actor has it; not once it is answered,
 * nor in limbo, where it will fail. */
Test(caller, has)
{
    struct world w;
    struct task *t;

    begin(&w);
    t = add(&w, 0, 0);
    t->counter = 1;
    cr_assert(caller_has(&w.c, 1), "queued");
    caller_alive(&w.c, 1, &somewhere);
    caller_welcome(&w.c, 1);
    cr_assert(w.npushed == 1 && caller_has(&w.c, 1), "sent");
    cr_assert_not(caller_has(&w.c, 2));
    cr_assert_eq(caller_replied(&w.c, t->sequence), t);
    cr_assert_not(caller_has(&w.c, 1), "answered");
    free(t);
    add(&w, 0, 0)->counter = 2;
    cr_assert(caller_has(&w.c, 2));
    caller_broke(&w.c, true);
    cr_assert(w.c.pending == 1 && !caller_has(&w.c, 2), "in limbo");
    end(&w);
}

/* Dead for good: what was sent may have run, what was not has not; later calls fail at once. */
Test(caller, death)
{
    struct raia_error why;
    struct world w;

    begin(&w);
    caller_alive(&w.c, 1, &somewhere);
    caller_welcome(&w.c, 1);
    add(&w, 0, 0);
    caller_broke(&w.c, true);
    err_set(&why, RAIA_ERR_ACTOR_DIED, "killed");
    caller_dead(&w.c, &why);
    cr_assert(w.failed == 1 && w.last.code == RAIA_ERR_ACTOR_DIED && w.last.maybe_executed);
    add(&w, 0, 0);
    cr_assert(w.failed == 2 && !w.last.maybe_executed);
    end(&w);
}

/* What fails because its argument did: the caller takes it back, as the runtime does. */
static void failed_chain(void *ctx, struct task *t, const struct raia_error *e)
{
    struct task *dependent = (struct task *)(void *)t->function;
    struct world *w = ctx;

    failed(w, t, e);
    if (!dependent)
        return;
    dependent->waits = 0;
    caller_drop(&w->c, dependent);
    failed(w, dependent, e);
}

/* Everything fails, and nothing more is sent: not even what one stood in front of whose argument is a
 * call that fails now. */
Test(caller, fail_all)
{
    static const struct caller_ops chain = {
        .connect = connect_actor, .push = push, .cancel = cancel, .failed = failed_chain};
    struct task *sent, *first, *waits;
    struct raia_error e;
    struct world w;

    begin(&w);
    w.c.ops = &chain;
    caller_alive(&w.c, 1, &somewhere);
    caller_welcome(&w.c, 1);
    sent = add(&w, 1, 0);
    first = add(&w, 0, 1);
    waits = add(&w, 0, 1);
    first->function = (struct function *)(void *)waits;
    add(&w, 1, 0);
    add(&w, 0, 0);
    cr_assert(w.npushed == 1 && w.pushed[0] == sent);
    err_set(&e, RAIA_ERR_SHUTDOWN, "end");
    caller_fail_all(&w.c, &e);
    cr_assert_eq(w.npushed, 1, "nothing is sent any more");
    cr_assert(w.failed == 5 && w.last.code == RAIA_ERR_SHUTDOWN);
    cr_assert(w.c.pending == 0 && w.c.window.count == 0);

    /* What the control store says later changes nothing; a call fails at once. */
    caller_alive(&w.c, 2, &somewhere);
    cr_assert_eq(w.connects, 1);
    add(&w, 0, 0);
    cr_assert(w.failed == 6 && w.last.code == RAIA_ERR_SHUTDOWN);
    caller_fini(&w.c);
}
