/*
 * Vyukov's bounded queue, and the hand-shake of going to sleep.
 */
#include "base/mpsc.h"

#include <stdint.h>

#include "base/mem.h"
#include "raia/error.h"

#define CAPACITY_MAX ((size_t)1 << 24)

/*
 * turn == position: free for the put of that position; position + 1: holds its pointer;
 * position + capacity: taken, which is free for the put one round later.
 */
struct mpsc_cell {
    atomic_size_t turn;
    void *p;
};

int mpsc_init(struct mpsc *q, size_t capacity, mpsc_wake_fn wake, void *wake_ctx)
{
    struct mpsc_cell *cells;

    if (capacity < 2 || capacity > CAPACITY_MAX || (capacity & (capacity - 1)))
        return -RAIA_ERR_INVALID;
    cells = mem_calloc(capacity, sizeof *cells);
    if (!cells)
        return -RAIA_ERR_NOMEM;
    for (size_t i = 0; i < capacity; i++)
        atomic_init(&cells[i].turn, i);
    q->cells = cells;
    q->mask = capacity - 1;
    q->wake = wake;
    q->wake_ctx = wake_ctx;
    q->head = 0;
    atomic_init(&q->tail, 0);
    atomic_init(&q->sleeping, false);
    atomic_init(&q->rejected, 0);
    return 0;
}

void mpsc_fini(struct mpsc *q)
{
    mem_free(STEAL(q->cells));
}

int mpsc_put(struct mpsc *q, void *p)
{
    size_t at = atomic_load_explicit(&q->tail, memory_order_relaxed);
    struct mpsc_cell *cell;

    for (;;) {
        size_t turn;
        cell = &q->cells[at & q->mask];
        /* Acquire: the owner is done with the cell before we write into it. */
        turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == at) {
            if (atomic_compare_exchange_weak_explicit(&q->tail, &at, at + 1, memory_order_relaxed,
                                                      memory_order_relaxed))
                break;
        } else if ((intptr_t)(turn - at) < 0) {
            atomic_fetch_add_explicit(&q->rejected, 1, memory_order_relaxed);
            return -RAIA_ERR_LIMIT;
        } else {
            at = atomic_load_explicit(&q->tail, memory_order_relaxed);
        }
    }
    cell->p = p;
    /*
     * Both sequentially consistent, as are their counterparts in mpsc_prepare_sleep: either we see
     * that the owner sleeps, or it sees the pointer.
     */
    atomic_store(&cell->turn, at + 1);
    if (atomic_load(&q->sleeping) && atomic_exchange(&q->sleeping, false) && q->wake)
        q->wake(q->wake_ctx);
    return 0;
}

void *mpsc_take(struct mpsc *q)
{
    struct mpsc_cell *cell = &q->cells[q->head & q->mask];
    void *p;

    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != q->head + 1)
        return NULL;
    p = cell->p;
    atomic_store_explicit(&cell->turn, q->head + q->mask + 1, memory_order_release);
    q->head++;
    return p;
}

bool mpsc_prepare_sleep(struct mpsc *q)
{
    atomic_store(&q->sleeping, true);
    if (atomic_load(&q->cells[q->head & q->mask].turn) != q->head + 1)
        return true;
    atomic_store(&q->sleeping, false);
    return false;
}
