/*
 * A deterministic simulation: virtual time, one seed, nodes that send each other messages over
 * links that delay, break and are partitioned, and nodes that die and come back. (Library raia_sim:
 * for tests; it prints. Nothing of it is in the products.)
 *
 *     static const struct sim_node_ops ops = {.message = on_message, .broken = on_broken};
 *     static int scenario(struct sim *s, void *ctx)
 *     {
 *         struct sim_node *a = sim_node_add(s, "a", &ops, &core_a), *b = ...;
 *         sim_after(s, a, 100 * CLOCK_NS_PER_MS, on_tick, &core_a, NULL);
 *         sim_send(a, b, data, size);
 *         sim_run(s, 10 * CLOCK_NS_PER_S);
 *         SIM_CHECK(s, core_b.got == 1, "b got %d", core_b.got);
 *         return 0;
 *     }
 *     cr_assert_eq(sim_seeds("actors", 1, 1000, scenario, NULL), 0);
 *
 * sim_seeds prints the seed that failed, what failed, and how to run it again:
 * RAIA_SIM_SEED=<seed> runs only that one, RAIA_SIM_SEEDS=<n> that many; RAIA_SIM_TRACE=1 prints
 * every event. Everything random must come from sim_prng, and every time from sim_now: then the
 * same seed gives the same run, event for event (sim_digest tells).
 *
 * Links are as Raia's: between two nodes a pair of queues, first in first out; a message arrives
 * after a random delay, or not at all; when a link breaks, each side gets a prefix of what the
 * other sent, then `broken`, and then (messages sent after the sender's own `broken`) a new
 * connection. What a node sends between the break and its own `broken` is lost. A link breaks by a
 * partition, by the death of a node, or by sim_break. Sending to a dead or partitioned node ends in
 * `broken` again.
 *
 * A killed node gets no calls, and its timers are gone; its peers are told after a random delay.
 * The owner of its state rebuilds it after sim_revive.
 *
 * Ownership: the sim owns nodes, events and copies of messages. Threads: one. Failure: what a run
 * cannot do (out of memory, over a limit) fails the sim: sim_failed; functions then do nothing.
 */
#ifndef BASE_SIM_H
#define BASE_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "raia/error.h"

#define SIM_NODES_MAX  256
#define SIM_EVENTS_MAX 1000000 /* pending at one time */

struct sim;
struct sim_node;
struct sim_event;

typedef void (*sim_fn)(void *ctx);

struct sim_node_ops {
    /* A message, readable until it returns. */
    void (*message)(void *ctx, struct sim_node *from, const void *data, size_t size);
    /* The link to peer broke; may be NULL. */
    void (*broken)(void *ctx, struct sim_node *peer);
};

int sim_new(uint64_t seed, struct sim **ret_s);
/* Accepts NULL. */
void sim_free(struct sim *s);

int64_t sim_now(const struct sim *s); /* ns since the beginning */
uint64_t sim_seed(const struct sim *s);
struct prng *sim_prng(struct sim *s);
/* A hash of all events so far: two runs of one seed are the same if it is. */
uint64_t sim_digest(const struct sim *s);

/* Bounds of the delay of a message and of the news of a break: 50 us to 2 ms unless set. */
void sim_set_delay(struct sim *s, int64_t min_ns, int64_t max_ns);

/* ---- nodes ---- */

/* NULL: the sim has failed. The name is copied. */
struct sim_node *sim_node_add(struct sim *s, const char *name, const struct sim_node_ops *ops,
                              void *ctx);
const char *sim_node_name(const struct sim_node *n);
void *sim_node_ctx(const struct sim_node *n);
bool sim_node_alive(const struct sim_node *n);
struct sim *sim_node_sim(const struct sim_node *n);
/* Nothing happens to a node that is dead, or alive, already. */
void sim_kill(struct sim_node *n);
/* Alive again, with a new context and nothing left of the old life. */
void sim_revive(struct sim_node *n, void *ctx);

/* ---- links ---- */

/* Copies the bytes. A dead node sends nothing. A node may send to itself: such a link never breaks.
 */
void sim_send(struct sim_node *from, struct sim_node *to, const void *data, size_t size);
/* Breaks the link between two nodes, once. */
void sim_break(struct sim_node *a, struct sim_node *b);
/* Breaks it, and nothing passes until sim_heal. */
void sim_partition(struct sim_node *a, struct sim_node *b);
void sim_heal(struct sim_node *a, struct sim_node *b);
/* One node from all others. */
void sim_isolate(struct sim_node *n);
void sim_heal_all(struct sim *s);

/* ---- time ---- */

/*
 * Calls fn(ctx) after delay_ns, if the node (NULL: none) still lives the same life then. ret_event
 * may be NULL; it is good for sim_cancel until fn is called or the node dies.
 */
void sim_after(struct sim *s, struct sim_node *n, int64_t delay_ns, sim_fn fn, void *ctx,
               struct sim_event **ret_event);
void sim_cancel(struct sim *s, struct sim_event *event);

/* One event; false if there was none, or the sim has failed. */
bool sim_step(struct sim *s);
/* All events up to a time, which is then now. False if the sim has failed. */
bool sim_run(struct sim *s, int64_t until_ns);
/* Until done(ctx), or a time. True if it is done. */
bool sim_run_until(struct sim *s, bool (*done)(void *ctx), void *ctx, int64_t until_ns);
/* When the next event is due; CLOCK_NEVER if there is none. */
int64_t sim_next(const struct sim *s);

/* ---- verdict ---- */

/* Fails the run; the first text counts. */
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NULL, or why. */
const char *sim_failed(const struct sim *s);

/* In a scenario: fails and returns. (Test frameworks' asserts would not tell the seed.) */
#define SIM_CHECK(s, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            sim_fail((s), __VA_ARGS__);                                                            \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

/* 0, or not: then sim_fail may have said why. */
typedef int (*sim_scenario_fn)(struct sim *s, void *ctx);
/* How many seeds a test runs: what that variable of the environment says, else the ordinary number
 * times RAIA_SIM_TIMES (1; `make check`: 10). */
uint64_t sim_seeds_wanted(const char *variable, uint64_t ordinary);
/*
 * Runs a scenario with n seeds from `first` on; if it is more than one, as many as
 * sim_seeds_wanted("RAIA_SIM_SEEDS", n) says. 0 if all passed; else -INTERNAL after the first one
 * that did not, and a report on stderr.
 */
int sim_seeds(const char *name, uint64_t first, uint64_t n, sim_scenario_fn scenario, void *ctx);

#endif
