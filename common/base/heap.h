/*
 * A binary min-heap of nodes embedded in the caller's structs, each of which knows its place, so
 * that any of them can be removed or moved.
 *
 *     struct heap h;
 *     heap_init(&h, by_due);                   // by_due(a, b): a comes before b
 *     r = heap_insert(&h, &job->node);
 *     job = container_of(heap_min(&h), struct job, node);
 *     heap_remove(&h, &job->node);
 *
 * Ownership: the heap owns its array only. Threads: its owner. Failure: insert and reserve: -NOMEM.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    size_t place; /* index + 1 in the array; 0: in no heap */
};

typedef bool (*heap_before_fn)(const struct heap_node *a, const struct heap_node *b);

struct heap {
    struct heap_node **nodes; /* the array; parent of i is (i - 1) / 2 */
    size_t n;                 /* nodes in it */
    size_t cap;               /* room of the array */
    heap_before_fn before;    /* the order */
};

void heap_init(struct heap *h, heap_before_fn before);
/* Frees the array; the nodes are in no heap then. */
void heap_fini(struct heap *h);
/* Room for n nodes in all: up to there heap_insert cannot fail. */
int heap_reserve(struct heap *h, size_t n);
/* The node is zeroed, or was removed. */
int heap_insert(struct heap *h, struct heap_node *node);
/* Does nothing to a node that is in no heap. */
void heap_remove(struct heap *h, struct heap_node *node);
/* To be called after the order of a node in the heap has changed. */
void heap_moved(struct heap *h, struct heap_node *node);

/* The first one; NULL if the heap is empty. */
static inline struct heap_node *heap_min(const struct heap *h)
{
    return h->n ? h->nodes[0] : NULL;
}

static inline bool heap_linked(const struct heap_node *node)
{
    return node->place != 0;
}

#endif
