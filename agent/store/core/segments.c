/*
 * Segments: making, keeping warm, taking over and giving back; and which of their memory is real.
 */
#include "store/core/alloc.h"
#include "store/core/alloc_internal.h"

#include "base/clock.h"

static uint64_t granules(const struct store_segment *s)
{
    return (s->size + STORE_GRANULE - 1) / STORE_GRANULE;
}

static bool warm_get(const struct store_segment *s, uint64_t g)
{
    return s->warm[g / 64] >> (g % 64) & 1;
}

void store_alloc_init(struct store_alloc *a, const struct store_alloc_config *c,
                      const struct store_alloc_ops *ops, void *arg)
{
    *a = (struct store_alloc){.c = *c, .ops = ops, .arg = arg};
    list_init(&a->arenas);
    list_init(&a->empty);
}

static void segment_delete(struct store_alloc *a, struct store_segment *s)
{
    struct store_extent *x, *next;

    HASH_DEL(a->segments, s);
    list_del(&s->link);
    list_del(&s->empty);
    LIST_FOREACH_SAFE (x, next, &s->extents, by_address)
        mem_free(x);
    mem_free(s->warm);
    mem_free(s);
}

void store_alloc_fini(struct store_alloc *a)
{
    struct store_segment *s, *next;

    HASH_FOREACH (a->segments, s, next)
        segment_delete(a, s);
}

void store_arena_init(struct store_alloc *a, struct store_arena *arena, bool exclusive)
{
    *arena = (struct store_arena){.exclusive = exclusive};
    list_init(&arena->segments);
    list_init(&arena->hot);
    for (unsigned i = 0; i < STORE_BINS; i++)
        list_init(&arena->bins[i]);
    list_add_tail(&a->arenas, &arena->link);
}

void store_arena_fini(struct store_arena *arena)
{
    if (arena->link.next)
        list_del(&arena->link);
}

/* Moves a segment with all its extents to another arena. Its hot extents must have cooled. */
static void segment_move(struct store_segment *s, struct store_arena *to)
{
    struct store_extent *x;

    LIST_FOREACH (x, &s->extents, by_address)
        if (x->state == STORE_EXTENT_FREE)
            store_bin_remove__(x);
    list_del(&s->link);
    s->arena = to;
    list_add_tail(&to->segments, &s->link);
    LIST_FOREACH (x, &s->extents, by_address)
        if (x->state == STORE_EXTENT_FREE)
            store_bin_add__(x);
}

void store_arena_move(struct store_alloc *a, struct store_arena *from, struct store_arena *to,
                      int64_t now)
{
    struct store_segment *s, *next;

    (void)a;
    (void)now;
    store_arena_cool__(from, NULL);
    LIST_FOREACH_SAFE (s, next, &from->segments, link)
        segment_move(s, to);
    store_arena_fini(from);
}

static void segment_drop(struct store_alloc *a, struct store_segment *s)
{
    struct store_extent *x;

    store_arena_cool__(s->arena, s);
    LIST_FOREACH (x, &s->extents, by_address)
        store_bin_remove__(x);
    a->resident -= s->resident;
    a->empty_resident -= s->resident;
    a->nsegments--;
    a->ops->destroy(a->arg, s);
    segment_delete(a, s);
}

void store_segment_use__(struct store_alloc *a, struct store_segment *s)
{
    if (s->used++ == 0) {
        list_del(&s->empty);
        a->empty_resident -= s->resident;
    }
}

void store_segment_unuse__(struct store_alloc *a, struct store_segment *s, int64_t now)
{
    if (--s->used)
        return;
    s->emptied = now;
    list_add_tail(&a->empty, &s->empty);
    a->empty_resident += s->resident;
}

void store_resident_mark__(struct store_alloc *a, struct store_segment *s, uint64_t at, uint64_t n)
{
    for (uint64_t g = at / STORE_GRANULE; g <= (at + n - 1) / STORE_GRANULE; g++) {
        if (warm_get(s, g))
            continue;
        s->warm[g / 64] |= UINT64_C(1) << (g % 64);
        s->resident += STORE_GRANULE;
        a->resident += STORE_GRANULE;
    }
}

/* Gives back the whole granules of a free extent, up to `need` bytes; returns how many. */
static uint64_t punch_extent(struct store_alloc *a, struct store_extent *x, uint64_t need)
{
    struct store_segment *s = x->segment;
    uint64_t g = (x->offset + STORE_GRANULE - 1) / STORE_GRANULE,
             end = (x->offset + x->size) / STORE_GRANULE, got = 0;

    if (x->offset + x->size == s->size)
        end = granules(s);
    /* From the high end: the low one is used first. */
    while (end > g && got < need) {
        uint64_t run = end;
        while (run > g && got < need && warm_get(s, run - 1)) {
            run--;
            s->warm[run / 64] &= ~(UINT64_C(1) << (run % 64));
            got += STORE_GRANULE;
        }
        if (run < end)
            a->ops->punch(a->arg, s, run * STORE_GRANULE, (end - run) * STORE_GRANULE);
        end = run < end ? run : end - 1;
    }
    if (end <= g)
        x->punched = true;
    s->resident -= got;
    a->resident -= got;
    if (!s->used)
        a->empty_resident -= got;
    return got;
}

/* Makes `need` bytes of free memory unreal, leaving alone segment `keep`'s range [at, at + n). */
static void give_back(struct store_alloc *a, uint64_t need, const struct store_segment *keep)
{
    struct store_segment *s, *next;
    struct store_arena *arena;
    struct store_extent *x;
    uint64_t got = 0;

    LIST_FOREACH_SAFE (s, next, &a->empty, empty) {
        if (got >= need)
            return;
        if (s == keep)
            continue;
        got += s->resident;
        segment_drop(a, s);
    }
    LIST_FOREACH (arena, &a->arenas, link) {
        LIST_FOREACH (s, &arena->segments, link) {
            if (s == keep)
                continue;
            store_arena_cool__(arena, s);
        }
        for (unsigned b = STORE_BINS; b-- > 0;)
            LIST_FOREACH (x, &arena->bins[b], bin) {
                if (got >= need)
                    return;
                if (!x->punched && x->segment != keep)
                    got += punch_extent(a, x, need - got);
            }
    }
}

static uint64_t cold_bytes(const struct store_segment *s, uint64_t at, uint64_t n)
{
    uint64_t cold = 0;

    for (uint64_t g = at / STORE_GRANULE; g <= (at + n - 1) / STORE_GRANULE; g++)
        cold += warm_get(s, g) ? 0 : STORE_GRANULE;
    return cold;
}

/* The same within the segment itself, outside of the range that is to be used. */
static void give_back_around(struct store_alloc *a, struct store_segment *s, uint64_t at,
                             uint64_t n, uint64_t need)
{
    struct store_extent *x;
    uint64_t got = 0;

    LIST_FOREACH (x, &s->extents, by_address) {
        if (got >= need)
            return;
        if (x->state != STORE_EXTENT_FREE || x->punched)
            continue;
        if (x->offset + x->size <= at || x->offset >= at + n) {
            got += punch_extent(a, x, need - got);
            continue;
        }
        /* The extent that the range is cut from: what lies behind and before it. */
        struct store_extent part = *x;
        part.offset = at + n;
        part.size = x->offset + x->size - part.offset;
        got += part.size ? punch_extent(a, &part, need - got) : 0;
        part.offset = x->offset;
        part.size = at - x->offset;
        if (got < need && part.size)
            got += punch_extent(a, &part, need - got);
    }
}

int store_resident_room__(struct store_alloc *a, struct store_segment *s, uint64_t at, uint64_t n)
{
    uint64_t want = a->resident + cold_bytes(s, at, n);

    if (want <= a->c.capacity)
        return 0;
    give_back(a, want - a->c.capacity, s);
    want = a->resident + cold_bytes(s, at, n);
    if (want > a->c.capacity)
        give_back_around(a, s, at, n, want - a->c.capacity);
    return a->resident + cold_bytes(s, at, n) <= a->c.capacity ? 0 : -RAIA_ERR_STORE_FULL;
}

/* An empty segment that fits and that nobody living can write to; the warmest. */
static struct store_segment *find_empty(struct store_alloc *a, uint64_t n)
{
    struct store_segment *s, *best = NULL;

    LIST_FOREACH (s, &a->empty, empty)
        if (!s->arena->exclusive && s->size >= n && (!best || s->resident > best->resident))
            best = s;
    return best;
}

static int segment_new(struct store_alloc *a, struct store_arena *arena, uint64_t size, int64_t now)
{
    struct store_segment *s = mem_new(struct store_segment);
    int r = -RAIA_ERR_NOMEM;

    if (!s)
        return r;
    s->number = a->last_number + 1;
    s->size = size;
    s->arena = arena;
    s->emptied = now;
    list_init(&s->extents);
    list_init(&s->mappings);
    s->warm = mem_calloc((granules(s) + 63) / 64, sizeof *s->warm);
    if (!s->warm || HASH_PUT(a->segments, number, s) < 0) {
        mem_free(s->warm);
        mem_free(s);
        return r;
    }
    list_add_tail(&arena->segments, &s->link);
    if (!store_extent_whole__(s) || (r = a->ops->create(a->arg, s)) < 0) {
        struct store_extent *x = LIST_FIRST(&s->extents, struct store_extent, by_address);
        if (x)
            store_bin_remove__(x);
        segment_delete(a, s);
        return r;
    }
    a->last_number++;
    a->nsegments++;
    list_add_tail(&a->empty, &s->empty);
    return 0;
}

int store_segment_for__(struct store_alloc *a, struct store_arena *arena, uint64_t n, int64_t now)
{
    struct store_segment *s = find_empty(a, n), *old;
    uint64_t size = a->c.segment_bytes;

    if (s) {
        store_arena_cool__(s->arena, s);
        segment_move(s, arena);
        a->ops->adopt(a->arg, s);
        return 0;
    }
    if (a->nsegments >= a->c.max_segments) {
        old = LIST_FIRST(&a->empty, struct store_segment, empty);
        if (!old)
            return -RAIA_ERR_STORE_FULL;
        segment_drop(a, old);
    }
    if (size < n)
        size = (n + STORE_HUGE - 1) & ~(uint64_t)(STORE_HUGE - 1);
    return segment_new(a, arena, size, now);
}

int64_t store_alloc_deadline(const struct store_alloc *a)
{
    const struct store_segment *s;

    if (list_empty(&a->empty))
        return CLOCK_NEVER;
    s = container_of(a->empty.next, struct store_segment, empty);
    return clock_add_ns(s->emptied, a->empty_resident > a->c.reserve_bytes ? a->c.giveback_ns
                                                                           : a->c.reserve_ns);
}

int64_t store_alloc_tick(struct store_alloc *a, int64_t now)
{
    while (clock_expired(store_alloc_deadline(a), now))
        segment_drop(a, LIST_FIRST(&a->empty, struct store_segment, empty));
    return store_alloc_deadline(a);
}

#define CHECK(what)                                                                                \
    if (!(what))                                                                                   \
    return __LINE__

static int segment_check(const struct store_segment *s, uint64_t *ret_used)
{
    const struct store_extent *x;
    uint64_t at = 0, resident = 0;
    uint32_t used = 0;
    bool was_free = false;

    LIST_FOREACH (x, &s->extents, by_address) {
        CHECK(x->segment == s && x->offset == at && x->size && x->offset % STORE_ALIGN == 0);
        CHECK(!(was_free && x->state == STORE_EXTENT_FREE));
        was_free = x->state == STORE_EXTENT_FREE;
        at += x->size;
        if (x->state == STORE_EXTENT_USED) {
            CHECK(cold_bytes(s, x->offset, x->size) == 0);
            used++;
            *ret_used += x->size;
        }
    }
    CHECK(at == s->size && used == s->used);
    CHECK(list_linked(&s->empty) == (used == 0));
    for (uint64_t g = 0; g < granules(s); g++)
        resident += warm_get(s, g) ? STORE_GRANULE : 0;
    CHECK(resident == s->resident);
    return 0;
}

int store_alloc_check(const struct store_alloc *a)
{
    const struct store_segment *s, *next;
    uint64_t used = 0, resident = 0, empty = 0;
    uint32_t n = 0;

    HASH_FOREACH (a->segments, s, next) {
        int r = segment_check(s, &used);
        CHECK(r == 0);
        resident += s->resident;
        empty += s->used ? 0 : s->resident;
        n++;
    }
    CHECK(used == a->used && resident == a->resident && empty == a->empty_resident);
    CHECK(n == a->nsegments && n <= a->c.max_segments && resident <= a->c.capacity);
    return 0;
}
