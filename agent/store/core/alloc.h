/*
 * The allocator of the object store: extents in segments, with all its bookkeeping outside of them.
 *
 * A segment is a numbered range of shared memory that one arena writes: a process's, or the
 * raylet's own for copies from other nodes. Segments are sparse: what counts against the capacity
 * is the memory that was touched ("resident", in granules of 64 KiB), not the room. So free space
 * never runs out by fragmentation: when no free extent fits, there is a new segment, and the free
 * memory of others is given back to the system for it (punched).
 *
 * Fresh pages cost ten times what used ones cost. Therefore: an extent that was just freed goes to
 * the arena's hot list as it is, and the next request of about its size gets it back; coalescing
 * happens when it leaves that list. Then good fit by size classes, from the low end. Empty segments
 * are kept for a while, and taken over by other arenas unless a living process can write to them.
 *
 *     store_alloc_init(&a, &config, &ops, arg);
 *     store_arena_init(&a, &arena, true);
 *     r = store_alloc_take(&a, &arena, size, now, &extent);   // -STORE_FULL, -NOMEM, -NO_FILES
 *     store_alloc_give(&a, extent, now);
 *     store_arena_move(&a, &arena, &raylets, now);   // its process died
 *     store_alloc_tick(&a, now);               // gives back what was idle for long
 *
 * Ownership: it owns extents and segments; arenas are the caller's, and must be empty (moved)
 * before they go. Threads: one owner. Failure: as said; nothing has changed then.
 */
#ifndef STORE_CORE_ALLOC_H
#define STORE_CORE_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"

#define STORE_GRANULE 65536u     /* bytes: in which residency is counted */
#define STORE_ALIGN   64u        /* of every extent */
#define STORE_PAGE    4096u      /* extents of at least STORE_GRANULE are whole pages */
#define STORE_HUGE    (2u << 20) /* those of at least this size start at a multiple of it */
#define STORE_BINS    512u       /* size classes: 8 to each power of two */
#define STORE_HOT_MAX 16u        /* extents in a hot list */

struct store_segment;
struct store_alloc;

enum store_extent_state { STORE_EXTENT_FREE, STORE_EXTENT_HOT, STORE_EXTENT_USED };

struct store_extent {
    struct list by_address;        /* in segment->extents */
    struct list bin;               /* FREE: in a bin of the arena; HOT: in its hot list */
    struct store_segment *segment; /* where it lies */
    uint64_t offset;               /* bytes, in the segment */
    uint64_t size;                 /* bytes; a multiple of STORE_ALIGN */
    enum store_extent_state state; /* what it is */
    bool punched;                  /* FREE: no whole granule of it is resident */
};

/* Who writes to some segments: all its free extents. */
struct store_arena {
    struct list link;              /* in alloc->arenas */
    struct list segments;          /* struct store_segment.link */
    struct list hot;               /* recently freed extents, newest first */
    uint32_t nhot;                 /* their number */
    bool exclusive;                /* a living process can write here: nobody else may */
    uint64_t map[STORE_BINS / 64]; /* which bins are not empty */
    struct list bins[STORE_BINS];  /* free extents by size class */
};

struct store_segment {
    HASH_HANDLE hh;            /* alloc->segments, by number */
    uint32_t number;           /* never used twice */
    uint32_t used;             /* extents in use */
    uint64_t size;             /* bytes */
    uint64_t resident;         /* bytes touched */
    struct store_arena *arena; /* who writes to it */
    struct list link;          /* in arena->segments */
    struct list empty;         /* in alloc->empty while used is 0 */
    struct list extents;       /* all of it, by address */
    struct list mappings;      /* for the user: who has its descriptor */
    int64_t emptied;           /* when `used` became 0, ns */
    uint64_t *warm;            /* a bit for each granule: resident */
};

/* What it asks of the world. */
struct store_alloc_ops {
    /* Makes the memory. 0, -NOMEM, -NO_FILES. */
    int (*create)(void *arg, struct store_segment *s);
    /* Gives it all back; who has it mapped is to be told. */
    void (*destroy)(void *arg, struct store_segment *s);
    /* The segment goes over to another arena: the others are to unmap it. */
    void (*adopt)(void *arg, struct store_segment *s);
    /* Gives the pages of this range back to the system. */
    void (*punch)(void *arg, struct store_segment *s, uint64_t offset, uint64_t size);
};

struct store_alloc_config {
    uint64_t capacity;      /* bytes resident, at most */
    uint64_t segment_bytes; /* an ordinary segment */
    uint64_t reserve_bytes; /* warm memory kept in empty segments, for a while */
    uint32_t max_segments;  /* open at a time */
    int64_t giveback_ns;    /* an empty segment over the reserve goes after this */
    int64_t reserve_ns;     /* any empty one goes after this */
};

struct store_alloc {
    struct store_alloc_config c;
    const struct store_alloc_ops *ops;
    void *arg;                      /* of the ops */
    struct store_segment *segments; /* hash by number */
    struct list arenas;             /* all */
    struct list empty;              /* segments without extents in use, oldest first */
    uint64_t used;                  /* bytes of extents in use */
    uint64_t resident;              /* bytes */
    uint64_t empty_resident;        /* bytes of those in empty segments */
    uint32_t nsegments;             /* open */
    uint32_t last_number;           /* of a segment */
};

void store_alloc_init(struct store_alloc *a, const struct store_alloc_config *c,
                      const struct store_alloc_ops *ops, void *arg);
/* Frees all bookkeeping, without calling the ops. */
void store_alloc_fini(struct store_alloc *a);

void store_arena_init(struct store_alloc *a, struct store_arena *arena, bool exclusive);
/* All segments of `from` become those of `to`; `from` is done with, and may go. */
void store_arena_move(struct store_alloc *a, struct store_arena *from, struct store_arena *to,
                      int64_t now);
/* Takes an arena without segments out of the allocator. */
void store_arena_fini(struct store_arena *arena);
static inline bool store_arena_idle(const struct store_arena *arena)
{
    return list_empty(&arena->segments);
}

/* The bytes that an object of `size` bytes occupies; 0: too large to tell. */
uint64_t store_alloc_rounded(uint64_t size);

int store_alloc_take(struct store_alloc *a, struct store_arena *arena, uint64_t size, int64_t now,
                     struct store_extent **ret_extent);
void store_alloc_give(struct store_alloc *a, struct store_extent *x, int64_t now);

/* Gives back empty segments by the policy. Returns when to call again; CLOCK_NEVER: not before
 * something is freed. */
int64_t store_alloc_tick(struct store_alloc *a, int64_t now);
int64_t store_alloc_deadline(const struct store_alloc *a);

/* Test support: whether all the books agree; prints nothing, returns the line that failed, or 0. */
int store_alloc_check(const struct store_alloc *a);

#endif
