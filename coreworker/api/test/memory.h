/*
 * Whichever allocation of a public function fails, the function fails or succeeds, the process goes
 * on, and the next call works as ever: a table of steps, one or more for each public function.
 *
 *     static int step_put(raia_call *c)
 *     {
 *         raia_ref *r = ARMED(raia_put(raia_str("text")));       // made ready and cleaned up outside
 *
 *         (void)c;
 *         raia_release(r);
 *         return r ? 0 : -1;
 *     }
 *     ... {"raia_put", step_put},
 *
 * memory_table runs each step with its first, second, ... allocation failing, until it makes no more.
 * The tables of driver and worker are in memory_driver.c and memory_worker.c; test_api_memory.c runs
 * them. Threads: one.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include "base/mem.h"
#include "raia/raia.h"

#define MEMORY_MOST 1000 /* allocations that one step may make */

struct memory_step {
    const char *function;     /* of raia.h */
    int (*step)(raia_call *); /* 0, or negative: it failed */
};

extern uint64_t memory_armed; /* this allocation of the armed call fails; 0: none */
extern uint64_t memory_made;  /* how many the step's armed calls have made, at least */

#define ARMED_VOID(call)                                                                           \
    do {                                                                                           \
        mem_fail_nth(memory_armed);                                                                \
        call;                                                                                      \
        memory_made = mem_fail_count() > memory_made ? mem_fail_count() : memory_made;             \
        mem_fail_nth(0);                                                                           \
    } while (0)
#define ARMED(call)                                                                                \
    ({                                                                                             \
        __typeof__(call) armed__;                                                                  \
        ARMED_VOID(armed__ = (call));                                                              \
        armed__;                                                                                   \
    })
/* Steps that are one call and cannot fail, or whose failure is an answer below 0. */
#define STEP_VOID(fn, ...)                                                                         \
    static int step_##fn(raia_call *c)                                                             \
    {                                                                                              \
        (void)c;                                                                                   \
        ARMED_VOID((void)fn(__VA_ARGS__));                                                         \
        return 0;                                                                                  \
    }
#define STEP_INT(fn, ...)                                                                          \
    static int step_##fn(raia_call *c)                                                             \
    {                                                                                              \
        (void)c;                                                                                   \
        return ARMED(fn(__VA_ARGS__));                                                             \
    }

/* NULL, or what went wrong: valid until the next call. */
const char *memory_table(const struct memory_step *steps, size_t n, raia_call *c);

extern const struct memory_step memory_driver[], memory_worker[], memory_method[], memory_ends[];
extern const size_t memory_driver_count, memory_worker_count, memory_method_count,
    memory_ends_count;

#endif
