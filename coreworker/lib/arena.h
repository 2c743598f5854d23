/*
 * The arena: where messages lie that are too large for a ring and too small for an object of their
 * own. It is one object of the node's store, sealed at once and written on by the process that made
 * it; a peer of the same node that reads it once (WIRE_ARENA, WIRE_ARENA_READY) then finds the bytes
 * of a message in one of its slots, and in the ring only a struct wire_extent that says which.
 *
 *     if (arena_send(rt, l, type, tag, data, size) < 0)
 *         ... in pieces
 *
 * A slot is free again when its record has been consumed: the reader copies the message out first,
 * then gives the ring's room back. So there are no acknowledgements and no wake-ups for them.
 *
 * Made when a message over ARENA_MIN is first sent over a pair; given back after ARENA_IDLE_NS
 * without use. Until it is there, and whenever something is in the way (no memory, all slots taken,
 * a peer on another node), messages go in pieces. Those that wait in the outbox go through it when
 * their turn comes.
 *
 * Death. The writer's: the raylet frees the object when nobody reads it any more, and the reader's
 * view lives as long as its link, so what was sent can still be read. The reader's: its slots are
 * free. A link that breaks while both live: the whole arena is left to those who read it, and the
 * next message makes another.
 *
 * Ownership: the runtime's, and one view for each link. Threads: who holds the token.
 */
#ifndef LIB_ARENA_H
#define LIB_ARENA_H

#include "lib/runtime.h"

#define ARENA_MIN        WIRE_PIECE_MAX /* bytes of a message; shorter ones are one record */
#define ARENA_SLOT_BYTES (104u << 10)   /* RT_INLINE_MAX and what stands before and behind */
#define ARENA_SLOTS      16u
#define ARENA_IDLE_NS    (10 * CLOCK_NS_PER_S)

/* A free slot to write a message of `size` bytes in, which is then sent from there (link_send) or
 * forgotten; NULL: write it elsewhere. Good until the next one is asked for. */
uint8_t *arena_lend(struct runtime *rt, struct link *l, size_t size);
/* Sends a message through the arena; -LIMIT: it has to go in pieces. */
int arena_send(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag, const void *data,
               size_t size);
/* WIRE_ARENA, _READY, _GONE. */
void arena_received(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag,
                    const uint8_t *data, size_t size);
/* A private copy of the message that a record with WIRE_EXTENT stands for: arena_done. Call it
 * before ring_consume. -PROTOCOL: there is no such message; -NOMEM. */
int arena_read(struct runtime *rt, const struct link *l, const void *record, size_t record_size,
               uint8_t **ret_data, size_t *ret_size);
/* Gives the copy back: it is kept for the next one, as fresh pages cost more than the copying. */
void arena_done(struct runtime *rt, uint8_t *data);
/* The link is over, or about to get another pair. died: its process cannot read any more. */
void arena_link_over(struct runtime *rt, struct link *l, bool died);
/* Gives the arena back when it is time; sets rt->next_arena. */
void arena_tick(struct runtime *rt, int64_t now);
void arena_fini(struct runtime *rt);

#endif
