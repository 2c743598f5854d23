/*
 * Sifting up and down, keeping each node's place.
 */
#include "base/heap.h"

#include "base/mem.h"
#include "raia/error.h"

void heap_init(struct heap *h, heap_before_fn before)
{
    *h = (struct heap){.before = before};
}

void heap_fini(struct heap *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->nodes[i]->place = 0;
    mem_free(h->nodes);
    *h = (struct heap){.before = h->before};
}

int heap_reserve(struct heap *h, size_t n)
{
    struct heap_node **nodes;
    size_t size;

    if (n <= h->cap)
        return 0;
    if (__builtin_mul_overflow(n, sizeof(struct heap_node *), &size))
        return -RAIA_ERR_NOMEM;
    nodes = mem_realloc(h->nodes, size);
    if (!nodes)
        return -RAIA_ERR_NOMEM;
    h->nodes = nodes;
    h->cap = n;
    return 0;
}

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->nodes[i] = node;
    node->place = i + 1;
}

/* Both move the hole at i to where node belongs. */
static void sift_up(struct heap *h, size_t i, struct heap_node *node)
{
    while (i > 0 && h->before(node, h->nodes[(i - 1) / 2])) {
        put(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, node);
}

static void sift_down(struct heap *h, size_t i, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < h->n && h->before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (child >= h->n || !h->before(h->nodes[child], node))
            break;
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, node);
}

int heap_insert(struct heap *h, struct heap_node *node)
{
    if (h->n == h->cap) {
        int r = heap_reserve(h, h->cap ? h->cap * 2 : 16);
        if (r < 0)
            return r;
    }
    h->n++;
    sift_up(h, h->n - 1, node);
    return 0;
}

void heap_moved(struct heap *h, struct heap_node *node)
{
    size_t i = node->place - 1;

    if (i > 0 && h->before(node, h->nodes[(i - 1) / 2]))
        sift_up(h, i, node);
    else
        sift_down(h, i, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    struct heap_node *last;
    size_t i = node->place - 1;

    if (node->place == 0)
        return;
    node->place = 0;
    last = h->nodes[--h->n];
    if (last == node)
        return;
    put(h, i, last);
    heap_moved(h, last);
}
