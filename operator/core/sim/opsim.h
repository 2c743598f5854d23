/*
 * The operator in a simulation: its controller and reconcilers over a model API server, with faults,
 * a kubelet, a garbage collector, users, and its own death. (Library raia_operator_sim: for tests.)
 *
 * To put a reconciler in: a table of what is special about it, and a test that runs seeds.
 *
 *     static struct reconciler *const all[] = {&raycluster};
 *     static const struct opsim_options o = {
 *         .reconcilers = all, .n_reconcilers = 1,
 *         .outside = change_something,   // users: make, change, remove objects; kill pods
 *         .story = make_scale_remove,    // the same without chance, step by step
 *         .always = never_two_heads,     // after each write to the server
 *         .finally = as_many_as_wanted,  // when all has come to rest
 *     };
 *     cr_assert_eq(sim_seeds("raycluster", 1, opsim_seeds(200), opsim_chaos, (void *)&o), 0);
 *     cr_assert_eq(opsim_deaths("raycluster", &o), 0);
 *
 * opsim_chaos: one minute with `outside` at work and, by seed, lost, late, duplicated and reordered
 * events, conflicts, stale caches (half-open watches, compaction), deaths of the operator at any
 * write, and handovers to another one; then all goes well, and when everything has come to rest
 * `finally` looks, and nothing may be written any more. opsim_deaths plays the story without faults,
 * once to its end, and then with the operator dying right after its k-th write, for each k; the
 * others' writes to an object in between make conflicts.
 *
 * The kubelet: pods get a node (n1 to n3), an address, and become Running and ready after up to two
 * seconds; deleted ones are gone after up to three. Everything else (jobs that run, containers that
 * fail) is done by `outside`, `tick` and opsim_ask. Times: sim_now, and walls from 2026 on.
 * Checks use SIM_CHECK(opsim_sim(w), ...): then the seed is told and RAIA_SIM_SEED repeats it.
 *
 * Threads: one. Failure: out of memory ends the test program.
 */
#ifndef OPERATOR_SIM_OPSIM_H
#define OPERATOR_SIM_OPSIM_H

#include "core/controller.h"
#include "core/fields.h"
#include "kube/sim/faulty.h"

struct opsim;

struct opsim_options {
    struct reconciler *const *reconcilers; /* as for the controller */
    size_t n_reconcilers;                  /* how many */
    /* One thing that somebody else does, by chance; each 10 to 1,500 ms. May be NULL. */
    void (*outside)(struct opsim *w);
    /* A seed begins: what the scenario has itself is as at first, so that each seed is the same
     * whatever ran before it. May be NULL. */
    void (*begin)(void);
    /* The step-th thing that a user does; false: there is none any more. May be NULL. */
    bool (*story)(struct opsim *w, unsigned step);
    /* Each 500 ms, also when all is quiet: what other controllers do. May be NULL. */
    void (*tick)(struct opsim *w);
    /* 0, or SIM_CHECK has failed. May be NULL. */
    int (*always)(struct opsim *w);
    int (*finally)(struct opsim *w);
    /* A head's answer to a call: the HTTP status and a body (mem_free), or 0. NULL: 404. */
    int (*call)(struct opsim *w, const struct controller_call *x, char **ret_body);
    /* Statuses are written when all is quiet, too (polling reconcilers). */
    bool restless;
    void *arg; /* the test's: opsim_arg */
};

/* For sim_seeds: ctx is a struct opsim_options. */
int opsim_chaos(struct sim *s, void *options);
/* 0, or not, with a report on stderr. */
int opsim_deaths(const char *name, const struct opsim_options *o);
/* n, or what RAIA_OPERATOR_SEEDS says. */
uint64_t opsim_seeds(uint64_t n);

/* ---- for what the options call ---- */

struct sim *opsim_sim(struct opsim *w);
struct kube_model *opsim_model(struct opsim *w);
void *opsim_arg(struct opsim *w);
/* `outside` has stopped, and nothing goes wrong any more. */
bool opsim_quiet(struct opsim *w);
/* The wall clock of the server, ms. */
int64_t opsim_unix_ms(struct opsim *w);
/* Somebody else's request, which always arrives; PATCH is a JSON merge patch. The HTTP status. */
int opsim_ask(struct opsim *w, const char *method, const char *target, const char *body_format, ...)
    __attribute__((format(printf, 4, 5)));
/* Of the controller that lives (and leads); NULL: none does. */
struct controller *opsim_controller(struct opsim *w);
/* Conflicts that controllers have met so far. */
uint64_t opsim_conflicts(struct opsim *w);

#endif
