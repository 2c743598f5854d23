/*
 * What a worker has begun: written by it into its process page (base/doorbell.h, DOORBELL_SPARE),
 * and read by its owners when it has died, so that only the tasks that it had begun cost anything.
 *
 *     board_begin(b, caller, tag);       // the worker, before it runs the task with that tag
 *                                        // and sends its answers every BOARD_ENTRIES / 2 tasks
 *     board_state(b, self, tag);         // an owner, when the worker is dead and all that it sent
 *                                        // has been read: of a task that was not answered
 *
 * A tag is the task's on its link; `caller` the first 8 bytes of the owner's worker id. The last
 * entry is the task that was running: a worker runs one at a time (actors have no board).
 * Trust: a mad worker can lie about its own tasks. Threads: one writer, any readers.
 */
#ifndef CORE_BOARD_H
#define CORE_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#define BOARD_ENTRIES 64u

struct board_entry {
    _Atomic uint64_t caller; /* see above */
    _Atomic uint64_t tag;
};

struct board {
    _Atomic uint64_t count;                    /* tasks begun since the worker was started */
    struct board_entry entries[BOARD_ENTRIES]; /* by number % BOARD_ENTRIES */
};

enum board_state {
    BOARD_NOT_BEGUN,
    BOARD_BEGUN,   /* and ended */
    BOARD_RUNNING, /* the last one */
};

static inline void board_begin(struct board *b, uint64_t caller, uint64_t tag)
{
    uint64_t n = atomic_load_explicit(&b->count, memory_order_relaxed);
    struct board_entry *e = &b->entries[n % BOARD_ENTRIES];

    atomic_store_explicit(&e->caller, caller, memory_order_relaxed);
    atomic_store_explicit(&e->tag, tag, memory_order_relaxed);
    atomic_store_explicit(&b->count, n + 1, memory_order_release);
}

static inline enum board_state board_state(struct board *b, uint64_t caller, uint64_t tag)
{
    uint64_t n = atomic_load_explicit(&b->count, memory_order_acquire);

    for (uint64_t k = 1; k <= BOARD_ENTRIES && k <= n; k++) {
        struct board_entry *e = &b->entries[(n - k) % BOARD_ENTRIES];

        if (atomic_load_explicit(&e->caller, memory_order_relaxed) == caller &&
            atomic_load_explicit(&e->tag, memory_order_relaxed) == tag)
            return k == 1 ? BOARD_RUNNING : BOARD_BEGUN;
    }
    return BOARD_NOT_BEGUN;
}

#endif
