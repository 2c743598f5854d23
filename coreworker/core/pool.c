/* The slow paths of the pool: a new slab, and what is too large for one. */
#include "core/pool.h"

#include "base/mem.h"

#ifndef POOL_PLAIN
static void *carve(struct pool *p, size_t size)
{
    struct pool_slab *slab;
    void *m;

    if (p->left < size) {
        slab = mem_alloc(POOL_SLAB_BYTES);
        if (!slab)
            return NULL;
        slab->next = p->slabs;
        p->slabs = slab;
        p->next = (uint8_t *)(slab + 1);
        p->left = POOL_SLAB_BYTES - sizeof(*slab);
    }
    m = p->next;
    p->next += size;
    p->left -= size;
    return m;
}

static bool is_large(size_t size)
{
    return size >= POOL_LARGE_MIN && size <= POOL_LARGE_MAX;
}

static unsigned large_class(size_t size)
{
    return (unsigned)((size + POOL_LARGE_STEP - 1) / POOL_LARGE_STEP) - 1;
}

static size_t large_bytes(unsigned class)
{
    return (class + 1) * (size_t)POOL_LARGE_STEP;
}

static void *large_alloc(struct pool *p, unsigned class)
{
    struct pool_item *m = p->large[class];

    if (!m)
        return mem_alloc(large_bytes(class));
    p->large[class] = m->next;
    p->kept -= large_bytes(class);
    return m;
}

static void large_free(struct pool *p, void *m, unsigned class)
{
    struct pool_item *item = m;

    if (p->kept + large_bytes(class) > POOL_KEPT_MAX) {
        mem_free(m);
        return;
    }
    item->next = p->large[class];
    p->large[class] = item;
    p->kept += large_bytes(class);
}
#endif

void *pool_alloc_slow(struct pool *p, size_t size)
{
    void *m;

    if (size == 0)
        return NULL;
#ifdef POOL_PLAIN
    m = mem_alloc(size);
#else
    if (size <= POOL_MAX)
        m = carve(p, (pool_class(size) + 1) * (size_t)32);
    else
        m = is_large(size) ? large_alloc(p, large_class(size)) : mem_alloc(size);
#endif
    if (m)
        p->in_use += size;
    return m;
}

void pool_free_slow(struct pool *p, void *m, size_t size)
{
    if (!m)
        return;
    p->in_use -= size;
#ifndef POOL_PLAIN
    if (is_large(size)) {
        large_free(p, m, large_class(size));
        return;
    }
#endif
    mem_free(m);
}

void pool_trim(struct pool *p)
{
    struct pool_item *next;

    for (unsigned i = 0; p->kept && i < POOL_LARGE_CLASSES; i++)
        for (; p->large[i]; p->large[i] = next) {
            next = p->large[i]->next;
            mem_free(p->large[i]);
        }
    p->kept = 0;
}

void pool_each(struct pool *p, size_t size, bool (*fn)(void *arg, void *item), void *arg)
{
    size_t step = (pool_class(size) + 1) * (size_t)32;

    for (struct pool_slab *slab = p->slabs; slab; slab = slab->next) {
        uint8_t *at = (uint8_t *)(slab + 1);
        /* The newest one is not carved to its end yet. */
        uint8_t *end = slab == p->slabs ? p->next : (uint8_t *)slab + POOL_SLAB_BYTES;

        for (; at + step <= end; at += step)
            if (!fn(arg, at))
                return;
    }
}

void pool_fini(struct pool *p)
{
    struct pool_slab *next;

    pool_trim(p);
    for (; p->slabs; p->slabs = next) {
        next = p->slabs->next;
        mem_free(p->slabs);
    }
    *p = (struct pool){0};
}
