/*
 * The memory of segments: sealed memfds, mapped here only while something is read from them.
 *
 * The raylet writes with pwrite: into fresh memory that is twice as fast as through a mapping
 * (no page faults), and it keeps the memory out of the raylet's own page tables.
 *
 * Ownership: struct store_memory owns descriptors and mappings. Threads: one owner.
 */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct store_memory_segment; /* one; private */

struct store_memory {
    struct store_memory_segment *segments; /* hash by number */
};

/* 0, -NO_FILES, -NOMEM. */
int store_memory_create(struct store_memory *m, uint32_t segment, uint64_t size);
/* Gives its pages back at once, whoever still has it mapped. */
void store_memory_destroy(struct store_memory *m, uint32_t segment);
void store_memory_punch(struct store_memory *m, uint32_t segment, uint64_t offset, uint64_t size);
int store_memory_write(struct store_memory *m, uint32_t segment, uint64_t offset, const void *data,
                       size_t size);
/* Its bytes, for reading, until the segment is destroyed; NULL: out of memory, or out of range. */
const void *store_memory_read(struct store_memory *m, uint32_t segment, uint64_t offset,
                              size_t size);
/* The descriptor itself, which stays ours. -NOT_FOUND. */
int store_memory_fd(struct store_memory *m, uint32_t segment);
/* A new descriptor that cannot write, and cannot be made to; the caller closes it. */
int store_memory_read_only(struct store_memory *m, uint32_t segment, int *ret_fd);
void store_memory_fini(struct store_memory *m);

#endif
