/* What alloc.c (extents) and segments.c (segments, residency) have of each other. */
#ifndef STORE_CORE_ALLOC_INTERNAL_H
#define STORE_CORE_ALLOC_INTERNAL_H

#include "store/core/alloc.h"

/* alloc.c */
void store_bin_add__(struct store_extent *x);
void store_bin_remove__(struct store_extent *x);
/* Empties the hot list (of one segment only, if it is given) into the bins. */
void store_arena_cool__(struct store_arena *arena, const struct store_segment *only);
/* The one free extent of a new segment; NULL: no memory. */
struct store_extent *store_extent_whole__(struct store_segment *s);

/* segments.c */
/* Gives the arena a segment in which n bytes are free in one piece: an empty one, or a new one. */
int store_segment_for__(struct store_alloc *a, struct store_arena *arena, uint64_t n, int64_t now);
/* Sees that the range may become resident: gives back free memory elsewhere if need be. */
int store_resident_room__(struct store_alloc *a, struct store_segment *s, uint64_t at, uint64_t n);
void store_resident_mark__(struct store_alloc *a, struct store_segment *s, uint64_t at, uint64_t n);
/* An extent of it is in use, or no longer. */
void store_segment_use__(struct store_alloc *a, struct store_segment *s);
void store_segment_unuse__(struct store_alloc *a, struct store_segment *s, int64_t now);

#endif
