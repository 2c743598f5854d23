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
#endif

void *pool_alloc_slow(struct pool *p, size_t size)
{
    void *m;

    if (size == 0)
        return NULL;
#ifdef POOL_PLAIN
    m = mem_alloc(size);
#else
    m = size > POOL_MAX ? mem_alloc(size) : carve(p, (pool_class(size) + 1) * (size_t)32);
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
    mem_free(m);
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

    for (; p->slabs; p->slabs = next) {
        next = p->slabs->next;
        mem_free(p->slabs);
    }
    *p = (struct pool){0};
}
