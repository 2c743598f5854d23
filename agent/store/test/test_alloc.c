/* Tests of store/core/alloc.h, against a model that knows only which bytes are taken. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/prng.h"
#include "store/core/alloc.h"

#define MIB (UINT64_C(1) << 20)

struct world {
    struct store_alloc a;
    uint64_t created;   /* segments ever */
    uint64_t destroyed; /* of them */
    uint64_t punched;   /* bytes ever */
    bool refuse;        /* no more descriptors */
};

static int on_create(void *arg, struct store_segment *s)
{
    struct world *w = arg;

    (void)s;
    if (w->refuse)
        return -RAIA_ERR_NO_FILES;
    w->created++;
    return 0;
}

static void on_destroy(void *arg, struct store_segment *s)
{
    struct world *w = arg;

    cr_assert_eq(s->used, 0);
    w->destroyed++;
}

static void on_adopt(void *arg, struct store_segment *s)
{
    (void)arg;
    cr_assert_eq(s->used, 0);
}

static void on_punch(void *arg, struct store_segment *s, uint64_t offset, uint64_t size)
{
    struct world *w = arg;
    struct store_extent *x;

    w->punched += size;
    LIST_FOREACH (x, &s->extents, by_address)
        if (x->state == STORE_EXTENT_USED)
            cr_assert(x->offset + x->size <= offset || x->offset >= offset + size,
                      "punched what is in use");
}

static const struct store_alloc_ops ops = {on_create, on_destroy, on_adopt, on_punch};

static void world_init(struct world *w, uint64_t capacity)
{
    struct store_alloc_config c = {.capacity = capacity,
                                   .segment_bytes = 64 * MIB,
                                   .reserve_bytes = capacity / 8,
                                   .max_segments = 64,
                                   .giveback_ns = 2 * CLOCK_NS_PER_S,
                                   .reserve_ns = 60 * CLOCK_NS_PER_S};

    memset(w, 0, sizeof *w);
    store_alloc_init(&w->a, &c, &ops, w);
}

/* What was freed last comes back first, at the same place, also when its size differs a little. */
Test(alloc, last_in_first_out)
{
    struct world w;
    struct store_arena arena;
    struct store_extent *x[4], *again;
    uint64_t at;

    world_init(&w, 512 * MIB);
    store_arena_init(&w.a, &arena, true);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(store_alloc_take(&w.a, &arena, MIB, 0, &x[i]), 0);
    at = x[1]->offset;
    store_alloc_give(&w.a, x[3], 0);
    store_alloc_give(&w.a, x[1], 0);
    cr_assert_eq(store_alloc_take(&w.a, &arena, MIB - 50000, 0, &again), 0);
    cr_assert_eq(again->offset, at);
    cr_assert_eq(w.created, 1);
    cr_assert_eq(store_alloc_check(&w.a), 0);
    store_alloc_fini(&w.a);
}

/* Alignment: 64 bytes for small, pages for middle, 2 MiB for large ones; sizes that no memory has
 * are refused. */
Test(alloc, alignment_and_limits)
{
    struct world w;
    struct store_arena arena;
    struct store_extent *x;

    world_init(&w, 256 * MIB);
    store_arena_init(&w.a, &arena, true);
    cr_assert_eq(store_alloc_take(&w.a, &arena, 0, 0, &x), 0);
    cr_assert_eq(x->size, 64);
    cr_assert_eq(store_alloc_take(&w.a, &arena, 100, 0, &x), 0);
    cr_assert_eq(x->size, 128);
    cr_assert_eq(store_alloc_take(&w.a, &arena, 100000, 0, &x), 0);
    cr_assert_eq(x->offset % 4096, 0);
    cr_assert_eq(store_alloc_take(&w.a, &arena, 5 * MIB, 0, &x), 0);
    cr_assert_eq(x->offset % (2 * MIB), 0);
    cr_assert_eq(store_alloc_take(&w.a, &arena, 200 * MIB, 0, &x), 0);
    cr_assert_eq(x->segment->size, 200 * MIB);
    cr_assert_eq(store_alloc_take(&w.a, &arena, 257 * MIB, 0, &x), -RAIA_ERR_STORE_FULL);
    cr_assert_eq(store_alloc_take(&w.a, &arena, UINT64_MAX, 0, &x), -RAIA_ERR_STORE_FULL);
    cr_assert_eq(store_alloc_take(&w.a, &arena, UINT64_MAX / 2, 0, &x), -RAIA_ERR_STORE_FULL);
    cr_assert_eq(store_alloc_check(&w.a), 0);
    store_alloc_fini(&w.a);
}

/* The whole capacity can be used by one object after it was used by many small ones of another
 * process: free memory elsewhere is given back, not counted twice. */
Test(alloc, memory_moves_between_arenas)
{
    struct world w;
    struct store_arena a, b;
    struct store_extent *x[64], *big, *keep;

    world_init(&w, 64 * MIB);
    store_arena_init(&w.a, &a, true);
    store_arena_init(&w.a, &b, true);
    for (int i = 0; i < 64; i++)
        cr_assert_eq(store_alloc_take(&w.a, &a, MIB, 0, &x[i]), 0);
    cr_assert_eq(store_alloc_take(&w.a, &b, 64, 0, &keep), -RAIA_ERR_STORE_FULL);
    for (int i = 0; i < 64; i++)
        if (i != 7)
            store_alloc_give(&w.a, x[i], 0);
    cr_assert_eq(store_alloc_take(&w.a, &b, 63 * MIB, 0, &big), 0);
    cr_assert_eq(store_alloc_take(&w.a, &b, 64, 0, &keep), -RAIA_ERR_STORE_FULL);
    cr_assert_eq(w.a.resident, 64 * MIB);
    cr_assert_eq(store_alloc_check(&w.a), 0);
    store_alloc_fini(&w.a);
}

/* An empty segment is kept warm, taken over by another arena once its process is dead, and given
 * back after a while. */
Test(alloc, empty_segments)
{
    struct world w;
    struct store_arena a, raylets, b;
    struct store_extent *x;
    uint32_t number;

    world_init(&w, 512 * MIB);
    store_arena_init(&w.a, &a, true);
    store_arena_init(&w.a, &raylets, false);
    store_arena_init(&w.a, &b, true);
    cr_assert_eq(store_alloc_take(&w.a, &a, MIB, 0, &x), 0);
    number = x->segment->number;
    store_alloc_give(&w.a, x, 0);
    store_arena_move(&w.a, &a, &raylets, 0);
    cr_assert_eq(store_alloc_take(&w.a, &b, MIB, 0, &x), 0);
    cr_assert_eq(x->segment->number, number);
    cr_assert_eq(w.created, 1);
    store_alloc_give(&w.a, x, CLOCK_NS_PER_S);
    cr_assert_eq(store_alloc_tick(&w.a, 60 * CLOCK_NS_PER_S), 61 * CLOCK_NS_PER_S);
    cr_assert_eq(w.destroyed, 0);
    cr_assert_eq(store_alloc_tick(&w.a, 61 * CLOCK_NS_PER_S), CLOCK_NEVER);
    cr_assert_eq(w.destroyed, 1);
    cr_assert_eq(w.a.resident, 0);
    w.refuse = true;
    cr_assert_eq(store_alloc_take(&w.a, &b, MIB, 0, &x), -RAIA_ERR_NO_FILES);
    cr_assert_eq(store_alloc_check(&w.a), 0);
    store_alloc_fini(&w.a);
}

struct model {
    struct store_extent *x[512]; /* in use */
    uint32_t n;                  /* of them */
    uint64_t used;               /* bytes */
};

static uint64_t random_size(struct prng *rng)
{
    static const uint64_t most[] = {200, 5000, 150000, 3 * MIB, 20 * MIB};

    return prng_below(rng, most[prng_below(rng, 5)]);
}

static void random_step(struct world *w, struct model *m, struct store_arena arenas[3],
                        struct prng *rng, int64_t now)
{
    if (m->n < 512 && prng_below(rng, 100) < 55) {
        uint64_t size = random_size(rng);
        struct store_extent *x;
        int r = store_alloc_take(&w->a, &arenas[prng_below(rng, 3)], size, now, &x);
        if (r < 0) {
            cr_assert_eq(r, -RAIA_ERR_STORE_FULL);
            /* Refused only when granules, at most two partly used for each extent, are all taken.
             */
            cr_assert_gt(m->used + size + (m->n + 2) * 2 * STORE_GRANULE, w->a.c.capacity);
            return;
        }
        cr_assert_geq(x->size, size);
        m->x[m->n++] = x;
        m->used += x->size;
    } else if (m->n) {
        uint32_t i = (uint32_t)prng_below(rng, m->n);
        struct store_extent *x = m->x[i];
        m->used -= x->size;
        m->x[i] = m->x[--m->n];
        store_alloc_give(&w->a, x, now);
    }
}

/* Thousands of random steps over three arenas in little memory: the books agree after each (no two
 * extents overlap, residency is within the capacity), refusals are justified, nothing is left. */
Test(alloc, property)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world w;
        struct model m = {.n = 0};
        struct store_arena arenas[3];
        struct prng rng;
        int64_t now = 0;

        prng_seed(&rng, seed);
        world_init(&w, (16 + 16 * seed) * MIB);
        for (int i = 0; i < 3; i++)
            store_arena_init(&w.a, &arenas[i], i != 0);
        for (int step = 0; step < 1500; step++) {
            int line;
            now += (int64_t)prng_below(&rng, 100) * CLOCK_NS_PER_MS;
            random_step(&w, &m, arenas, &rng, now);
            if (prng_below(&rng, 50) == 0)
                store_alloc_tick(&w.a, now);
            if (prng_below(&rng, 200) == 0) {
                store_arena_move(&w.a, &arenas[2], &arenas[0], now);
                store_arena_init(&w.a, &arenas[2], true);
            }
            line = store_alloc_check(&w.a);
            cr_assert_eq(line, 0, "seed %lu step %d: segments.c:%d", (unsigned long)seed, step,
                         line);
            cr_assert_eq(w.a.used, m.used);
        }
        while (m.n)
            store_alloc_give(&w.a, m.x[--m.n], now);
        cr_assert_eq(store_alloc_tick(&w.a, now + 61 * CLOCK_NS_PER_S), CLOCK_NEVER);
        cr_assert_eq(w.a.used, 0);
        cr_assert_eq(w.a.resident, 0);
        cr_assert_eq(w.created, w.destroyed);
        store_alloc_fini(&w.a);
    }
}
