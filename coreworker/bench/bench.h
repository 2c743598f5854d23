/*
 * raia-bench: Ray's microbenchmark (names and bodies of `ray microbenchmark`), on Raia's public C
 * API, and what the machine itself can do, measured in the same run.
 *
 * A case is a struct bench_case: `open` prepares, `step` is one iteration, which timing.h calls
 * again and again, `close` gives back whatever `open` took, also after a failure half-way. Cases
 * that do not repeat have `once` in place of `step`. main.c runs those that were asked for, in the
 * order of their groups, one file a group.
 *
 * Every function returns 0 or a negative code, with raia_last_error() set if it came from Raia.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <raia/raia.h>

#define BENCH_REFS   10000u /* references that a step may hold at one time */
#define BENCH_ACTORS 64u    /* actors of one side; Ray has 32 on its 64 cores */

/* What a case measured. */
struct bench_result {
    double per_second; /* mean of the rounds: iterations x multiplier, or GB */
    double sd;         /* population standard deviation of the rounds */
    double seconds;    /* cases that do not repeat: how long it took; else 0 */
    double peak_mib;   /* cases that look at memory: highest resident size of the driver; else 0 */
};

/* One run: what was asked for, and what the case at hand has open. */
struct bench {
    bool quick;       /* everything small: to see that it works, not how fast */
    unsigned servers; /* actors of 1:n and n:n: half the CPUs, at least 1 */
    unsigned cpus;    /* CPUs that this process may use */

    raia_ref *object;                   /* one object */
    raia_ref *refs[BENCH_REFS];         /* one step's */
    struct raia_view views[BENCH_REFS]; /* one step's */
    raia_actor *actors[BENCH_ACTORS];   /* those that are called */
    raia_actor *clients[BENCH_ACTORS];  /* those that call them */
    raia_ref **held;                    /* objects that are only held */
    size_t held_count;                  /* entries of held */
    uint8_t *memory;                    /* bytes to be put */
    uint8_t *memory2;                   /* bytes to be copied to */
    size_t memory_bytes;                /* of each */
    void *local;                        /* private to cases of the machine */
};

struct bench_case {
    const char *name;
    const char *unit; /* what is counted; for people */
    bool machine;     /* a limit of the machine: needs no cluster */
    int (*open)(struct bench *b);
    int (*step)(struct bench *b);
    void (*close)(struct bench *b);
    /* What one step counts for; NULL: 1. */
    double (*weight)(const struct bench *b);
    int (*once)(struct bench *b, struct bench_result *ret);
};

struct bench_group {
    const struct bench_case *cases;
    size_t count;
};

extern const struct bench_group bench_objects, bench_tasks, bench_actors, bench_machine;

/* `full`, or a hundredth of it (at least 1) when all is to be small. */
size_t bench_size(const struct bench *b, size_t full);

/* A task or method of every group: returns the bytes "ok" whatever it is given. */
raia_fn small_value;

/* Gets all of b->refs[0..n) at once, drops the values and gives the references back. */
int bench_get_all(struct bench *b, size_t n);
/* Waits for r, drops its value and gives r back; NULL is the failure of what returned it. */
int bench_finish(raia_ref *r);
/* Gives back everything in `b` that cases of the cluster open. */
void bench_release(struct bench *b);

#endif
