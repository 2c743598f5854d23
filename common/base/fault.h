/*
 * Named places where a test, or a person at the control socket, can make things go wrong.
 *
 *     r = FAULT("gcs.commit.before_reply");     // 0, or the code of an armed error
 *     if (r < 0)
 *         return r;
 *     (void)FAULT("raylet.spill.after_rename"); // where only crash and delay make sense
 *
 * All points are compiled in. One that is not armed costs a relaxed load while none is.
 * Names are "part.thing.place"; fault_list tells those of the program.
 *
 * A point is armed by a text (fault_configure), several of them separated by ';':
 *     NAME=off | NAME=crash | NAME=error:CODE | NAME=delay:DURATION
 * with conditions appended: ",after=N" (the first N hits do nothing), ",times=N" (then it fires N
 * times and no more), ",p=0.1,seed=7" (fires with this probability; the same seed, the same hits).
 *     gcs.commit.before_reply=crash,after=3;rpc.send=error:UNAVAILABLE,p=0.01,seed=42
 *
 * Threads: any. Failure: fault_arm and fault_configure, as said there.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "raia/error.h"

/* Exit status of a process that a fault crashed. */
#define FAULT_EXIT_STATUS 86
/* Points armed at one time; the longest name. */
#define FAULT_ARMED_MAX 32
#define FAULT_NAME_MAX  64

enum fault_action {
    FAULT_CRASH, /* _exit(FAULT_EXIT_STATUS), at once: no buffer is written, no handler runs */
    FAULT_ERROR, /* FAULT() gives -code */
    FAULT_DELAY, /* the thread sleeps, then FAULT() gives 0 */
};

struct fault_spec {
    enum fault_action action;
    int code;           /* of FAULT_ERROR: an enum raia_err, positive */
    int64_t delay_ns;   /* of FAULT_DELAY */
    uint64_t after;     /* hits that do nothing first */
    uint64_t times;     /* how often it fires; 0: for ever */
    double probability; /* of firing, once after and times allow it; 0 counts as 1 */
    uint64_t seed;      /* of the draws */
};

/*
 * Arms a point, in place of how it was armed. -NOT_FOUND: the program has no point of that name;
 * -LIMIT: FAULT_ARMED_MAX are armed; -INVALID.
 */
int fault_arm(const char *name, const struct fault_spec *spec, struct raia_error *e);
/* Does nothing if it is not armed. */
void fault_disarm(const char *name);
void fault_disarm_all(void);
/* Applies a text as above, up to the first part that is wrong. */
int fault_configure(const char *text, struct raia_error *e);

/* Tells each point of the program once: hits and firings since it was armed, 0 if it is not. */
typedef void (*fault_list_fn)(void *ctx, const char *name, bool armed, uint64_t hits,
                              uint64_t fired);
void fault_list(fault_list_fn fn, void *ctx);

extern atomic_uint fault_armed__; /* points armed now */
int fault_hit__(const char *name);

/* Each use leaves its name in a section of the program, which is how fault_list knows it. */
#define FAULT(name)                                                                                \
    ({                                                                                             \
        static const char *const fault_name__ __attribute__((section("raia_faults"), used)) =      \
            "" name;                                                                               \
        atomic_load_explicit(&fault_armed__, memory_order_relaxed) ? fault_hit__(fault_name__)     \
                                                                   : 0;                            \
    })

#endif
