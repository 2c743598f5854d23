/*
 * Memory in size classes, for what comes and goes with every call: tasks, objects, specs, values.
 *
 *     struct pool p = {0};
 *     void *m = pool_alloc(&p, size);        // not zeroed, aligned to 16
 *     pool_free(&p, m, size);                // with the same size
 *     pool_trim(&p);                         // now and then: what is kept goes back to the system
 *     pool_fini(&p);                         // frees the slabs: everything must have been freed
 *
 * Sizes up to POOL_MAX come from slabs of 64 KiB and go back to a free list. Those of the messages
 * and values between POOL_LARGE_MIN and POOL_LARGE_MAX are kept too, the last one first, up to
 * POOL_KEPT_MAX bytes of them: malloc would give their pages back to the system each time, and to
 * touch fresh ones costs more than to copy a message. The others are mem_alloc's. Under
 * AddressSanitizer every size is, so that a use after free is found.
 *
 * Ownership: the pool owns the slabs. Threads: one at a time. Failure: NULL.
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_MAX        1024u /* bytes: the largest size that a slab serves */
#define POOL_CLASSES    32u   /* of 32 bytes more each, to POOL_MAX */
#define POOL_SLAB_BYTES 65536u

#define POOL_LARGE_MIN     8192u       /* bytes: the smallest size that is kept over POOL_MAX */
#define POOL_LARGE_MAX     131072u     /* and the largest */
#define POOL_LARGE_STEP    1024u       /* between the classes of these */
#define POOL_KEPT_MAX      (16u << 20) /* bytes of these that are free and kept */
#define POOL_LARGE_CLASSES (POOL_LARGE_MAX / POOL_LARGE_STEP)

struct pool_item {
    struct pool_item *next; /* free list */
};

struct pool_slab {
    struct pool_slab *next; /* all of them, to free them at the end */
    uint64_t pad;           /* keeps what follows aligned to 16 */
};

struct pool {
    struct pool_item *free[POOL_CLASSES];        /* by size class */
    struct pool_item *large[POOL_LARGE_CLASSES]; /* free, by size class; owned */
    size_t kept;                                 /* bytes of large */
    struct pool_slab *slabs;                     /* owned */
    uint8_t *next;                               /* unused bytes of the newest slab */
    size_t left;                                 /* how many */
    size_t in_use; /* bytes given out and not given back, as asked for */
};

void *pool_alloc_slow(struct pool *p, size_t size);
void pool_free_slow(struct pool *p, void *m, size_t size);
/* Gives back what is kept of the large sizes. */
void pool_trim(struct pool *p);
void pool_fini(struct pool *p);
/*
 * Calls fn for each item of a pool that serves one size only, free ones too: what is in use must
 * tell by itself (a free one begins with a pointer). fn returns false to end. Under AddressSanitizer
 * there are no slabs, and nothing is found.
 */
void pool_each(struct pool *p, size_t size, bool (*fn)(void *arg, void *item), void *arg);

#if defined(__SANITIZE_ADDRESS__)
#define POOL_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_PLAIN 1
#endif
#endif

static inline unsigned pool_class(size_t size)
{
    return (unsigned)((size + 31) / 32) - 1;
}

static inline void *pool_alloc(struct pool *p, size_t size)
{
#ifndef POOL_PLAIN
    if (size - 1 < POOL_MAX) {
        struct pool_item *m = p->free[pool_class(size)];

        if (m) {
            p->free[pool_class(size)] = m->next;
            p->in_use += size;
            return m;
        }
    }
#endif
    return pool_alloc_slow(p, size);
}

static inline void pool_free(struct pool *p, void *m, size_t size)
{
#ifndef POOL_PLAIN
    if (m && size - 1 < POOL_MAX) {
        struct pool_item *item = m;

        item->next = p->free[pool_class(size)];
        p->free[pool_class(size)] = item;
        p->in_use -= size;
        return;
    }
#endif
    pool_free_slow(p, m, size);
}

#endif
