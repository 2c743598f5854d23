/*
 * Extents: taking, giving, cutting and joining them. Segments and residency: segments.c.
 */
#include "store/core/alloc.h"
#include "store/core/alloc_internal.h"

#include "base/clock.h"

#define SCAN_OWN  32u /* extents looked at in the class of the size asked for */
#define SCAN_NEXT 4u  /* and in each larger one: nearly always the first fits */

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

uint64_t store_alloc_rounded(uint64_t size)
{
    if (size > UINT64_C(1) << 56)
        return 0;
    if (size < STORE_ALIGN)
        return STORE_ALIGN;
    return round_up(size, size >= STORE_GRANULE ? STORE_PAGE : STORE_ALIGN);
}

static uint64_t alignment_of(uint64_t size)
{
    return size >= STORE_HUGE ? STORE_HUGE : size >= STORE_GRANULE ? STORE_PAGE : STORE_ALIGN;
}

/* The class of a size: its highest bit and the three below. Rising with the size. */
static unsigned bin_of(uint64_t size)
{
    unsigned high = 63u - (unsigned)__builtin_clzll(size);

    return high * 8 + (unsigned)((size >> (high - 3)) & 7);
}

void store_bin_add__(struct store_extent *x)
{
    struct store_arena *arena = x->segment->arena;
    unsigned b = bin_of(x->size);

    x->state = STORE_EXTENT_FREE;
    list_add_head(&arena->bins[b], &x->bin);
    arena->map[b / 64] |= UINT64_C(1) << (b % 64);
}

void store_bin_remove__(struct store_extent *x)
{
    struct store_arena *arena = x->segment->arena;
    unsigned b = bin_of(x->size);

    list_del(&x->bin);
    if (list_empty(&arena->bins[b]))
        arena->map[b / 64] &= ~(UINT64_C(1) << (b % 64));
}

static struct store_extent *neighbour(struct store_extent *x, bool after)
{
    struct list *l = after ? x->by_address.next : x->by_address.prev;

    return l == &x->segment->extents ? NULL : container_of(l, struct store_extent, by_address);
}

/* Puts a free extent into its bin, joined with the free ones beside it. */
static void coalesce(struct store_extent *x)
{
    struct store_extent *other;

    if ((other = neighbour(x, true)) && other->state == STORE_EXTENT_FREE) {
        store_bin_remove__(other);
        list_del(&other->by_address);
        x->size += other->size;
        mem_free(other);
    }
    if ((other = neighbour(x, false)) && other->state == STORE_EXTENT_FREE) {
        store_bin_remove__(other);
        list_del(&x->by_address);
        other->size += x->size;
        mem_free(x);
        x = other;
    }
    x->punched = false;
    store_bin_add__(x);
}

static void cool(struct store_extent *x)
{
    list_del(&x->bin);
    x->segment->arena->nhot--;
    coalesce(x);
}

void store_arena_cool__(struct store_arena *arena, const struct store_segment *only)
{
    struct store_extent *x, *next;

    /* Joining frees neighbours that are FREE, never ones that are hot: `next` stays valid. */
    LIST_FOREACH_SAFE (x, next, &arena->hot, bin)
        if (!only || x->segment == only)
            cool(x);
}

/* Where in x an object of `size` could start; UINT64_MAX: it does not fit. */
static uint64_t place(const struct store_extent *x, uint64_t size, uint64_t align)
{
    uint64_t at = round_up(x->offset, align), end = x->offset + x->size;

    return at < end && end - at >= size ? at : UINT64_MAX;
}

static struct store_extent *find_in_bin(struct store_arena *arena, unsigned b, unsigned scan,
                                        uint64_t size, uint64_t align)
{
    struct store_extent *x, *best = NULL;

    LIST_FOREACH (x, &arena->bins[b], bin) {
        if (!scan--)
            break;
        if (place(x, size, align) != UINT64_MAX && (!best || x->size < best->size))
            best = x;
        if (best && best->size == size)
            break;
    }
    return best;
}

static struct store_extent *find_free(struct store_arena *arena, uint64_t size, uint64_t align)
{
    struct store_extent *x;
    unsigned first = bin_of(size);

    for (unsigned w = first / 64; w < STORE_BINS / 64; w++) {
        uint64_t bits = arena->map[w];
        if (w == first / 64)
            bits &= ~UINT64_C(0) << (first % 64);
        for (; bits; bits &= bits - 1) {
            unsigned b = w * 64 + (unsigned)__builtin_ctzll(bits);
            x = find_in_bin(arena, b, b == first ? SCAN_OWN : SCAN_NEXT, size, align);
            if (x)
                return x;
        }
    }
    return NULL;
}

/* The newest hot extent that is not much larger than asked for. */
static struct store_extent *find_hot(struct store_arena *arena, uint64_t size)
{
    struct store_extent *x;

    LIST_FOREACH (x, &arena->hot, bin)
        if (x->size >= size && x->size - size <= size / 8)
            return x;
    return NULL;
}

static struct store_extent *find_any(struct store_arena *arena, uint64_t size)
{
    struct store_extent *x = find_free(arena, size, alignment_of(size));

    return x || size < STORE_HUGE ? x : find_free(arena, size, STORE_PAGE);
}

static struct store_extent *new_extent(struct store_segment *s, uint64_t offset, uint64_t size)
{
    struct store_extent *x = mem_new(struct store_extent);

    if (!x)
        return NULL;
    x->segment = s;
    x->offset = offset;
    x->size = size;
    list_init(&x->bin);
    return x;
}

struct store_extent *store_extent_whole__(struct store_segment *s)
{
    struct store_extent *x = new_extent(s, 0, s->size);

    if (x) {
        list_add_tail(&s->extents, &x->by_address);
        store_bin_add__(x);
    }
    return x;
}

static void take_from_list(struct store_extent *x)
{
    if (x->state == STORE_EXTENT_HOT) {
        list_del(&x->bin);
        x->segment->arena->nhot--;
    } else {
        store_bin_remove__(x);
    }
}

/* Cuts [at, at + size) out of the free extent x, which leaves its list. What is before and after
 * goes to the bins; too little after it stays with it, so that an extent keeps its size over many
 * uses. */
static int carve(struct store_extent *x, uint64_t at, uint64_t size)
{
    struct store_extent *before = NULL, *after = NULL;
    uint64_t rest = x->offset + x->size - at - size;
    bool hot = x->state == STORE_EXTENT_HOT;

    if (rest && (hot ? rest < STORE_GRANULE : rest < STORE_PAGE && rest <= size / 8))
        rest = 0;
    if (at > x->offset && !(before = new_extent(x->segment, x->offset, at - x->offset)))
        return -RAIA_ERR_NOMEM;
    if (rest && !(after = new_extent(x->segment, x->offset + x->size - rest, rest))) {
        mem_free(before);
        return -RAIA_ERR_NOMEM;
    }
    take_from_list(x);
    x->size -= at - x->offset + rest;
    x->offset = at;
    x->state = STORE_EXTENT_USED;
    if (before) {
        before->punched = x->punched;
        list_add_before(&x->by_address, &before->by_address);
        store_bin_add__(before);
    }
    if (after) {
        after->punched = x->punched;
        list_add_head(&x->by_address, &after->by_address); /* right behind x */
        if (hot)
            coalesce(after);
        else
            store_bin_add__(after);
    }
    x->punched = false;
    return 0;
}

/* One try: finds a place, sees that it may be real memory, cuts it out. */
static int take_once(struct store_alloc *a, struct store_arena *arena, uint64_t n, int64_t now,
                     struct store_extent **ret_extent)
{
    struct store_extent *x = find_hot(arena, n);
    uint64_t at;
    int r;

    if (!x && !(x = find_any(arena, n))) {
        store_arena_cool__(arena, NULL);
        x = find_any(arena, n);
    }
    if (!x) {
        r = store_segment_for__(a, arena, n, now);
        if (r < 0)
            return r;
        x = find_any(arena, n);
        if (!x)
            return -RAIA_ERR_INTERNAL;
    }
    at = x->state == STORE_EXTENT_HOT ? x->offset : place(x, n, alignment_of(n));
    if (at == UINT64_MAX)
        at = place(x, n, STORE_PAGE);
    r = store_resident_room__(a, x->segment, at, n);
    if (r == 0)
        r = carve(x, at, n);
    if (r == 0)
        *ret_extent = x;
    return r;
}

int store_alloc_take(struct store_alloc *a, struct store_arena *arena, uint64_t size, int64_t now,
                     struct store_extent **ret_extent)
{
    uint64_t n = store_alloc_rounded(size);
    struct store_extent *x;
    int r;

    if (!n || n > a->c.capacity)
        return -RAIA_ERR_STORE_FULL;
    r = take_once(a, arena, n, now, &x);
    if (r == -RAIA_ERR_STORE_FULL && arena->nhot) {
        store_arena_cool__(arena, NULL); /* what is hot could not be given back */
        r = take_once(a, arena, n, now, &x);
    }
    if (r < 0)
        return r;
    store_segment_use__(a, x->segment);
    store_resident_mark__(a, x->segment, x->offset, x->size);
    a->used += x->size;
    *ret_extent = x;
    return 0;
}

void store_alloc_give(struct store_alloc *a, struct store_extent *x, int64_t now)
{
    struct store_arena *arena = x->segment->arena;
    struct store_segment *s = x->segment;

    a->used -= x->size;
    x->state = STORE_EXTENT_HOT;
    list_add_head(&arena->hot, &x->bin);
    if (++arena->nhot > STORE_HOT_MAX)
        cool(container_of(arena->hot.prev, struct store_extent, bin));
    store_segment_unuse__(a, s, now);
}
