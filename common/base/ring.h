/*
 * Rings: how the processes of a node send each other records through shared memory.
 *
 * A ring is a queue of bytes with one producer and one consumer. A ring_pair is two of them in one
 * memory region: role 0 writes the first and reads the second, role 1 the other way round. After a
 * commit the consumer's doorbell (base/doorbell.h) is rung, so that a process can sleep on all its
 * pairs at once. docs/design/rings.md says why it is as it is.
 *
 * A record is a 16-byte header {size, type, flags, tag} and at most RING_PAYLOAD_MAX bytes, aligned
 * to 8 and never cut in two by the end of the ring. The order is first in, first out.
 *
 *     // the one who makes the pair: a zeroed MAP_SHARED region, its descriptor sent to the peer
 *     ring_pair_init(mem, RING_PAIR_BYTES, RING_DATA_BYTES);
 *     // both: `peer` is how to ring the other: its page, and the bit that it gave to this pair
 *     r = ring_pair_attach(&p, mem, RING_PAIR_BYTES, role, &peer);
 *
 *     // producer: several reserves, one commit (one publication, at most one wake-up)
 *     r = ring_reserve(&p.tx, TYPE_CALL, 0, seq, n, &payload);   // -LIMIT: full, see below
 *     if (r == 0) {
 *         memcpy(payload, args, n);
 *         ring_commit(&p.tx, false);
 *     }
 *
 *     // consumer: when doorbell_take gave the bit of this pair, read until it is empty
 *     while ((r = ring_peek(&p.rx, &h, &payload)) > 0) {
 *         ...copy out what is needed, then check it...
 *         ring_consume(&p.rx);
 *     }
 *     if (r < 0)
 *         ...no record will ever come again: drop the pair...
 *     // who stops before it is empty calls doorbell_mark for the bit, to be reminded
 *
 * Full. ring_reserve gives -RAIA_ERR_LIMIT and leaves a mark; when the consumer has freed a quarter
 * of the ring or more, it rings the producer's doorbell with the bit of this pair: then try again.
 * Commit what is reserved before waiting, and never wait without draining the rings that one
 * reads: the peer may be waiting for exactly that.
 *
 * Trust. The peer is not trusted: what it writes can break the pair, never the process. Headers are
 * copied, then checked; one that is wrong gives -RAIA_ERR_PROTOCOL, now and ever after, and tells
 * the peer. The PAYLOAD POINTER IS SHARED MEMORY that a mad peer may still scribble on: copy out
 * first, check the copy, and read nothing twice. The same holds for strings: bound them by h.size.
 *
 * End. ring_pair_close is the orderly one: the peer reads all that was committed, then gets
 * -RAIA_ERR_SHUTDOWN. ring_pair_break, a protocol error and a dead peer (ring_pair_peer_died) give
 * -RAIA_ERR_UNAVAILABLE in its place, also after what was committed. Sending fails at once in each
 * case, with the same codes. A pair never comes back: make a new one.
 *
 * Ownership: the caller owns the region and the handles; handles hold no resources, need no
 * destructor and may be moved. Unmap the region when both handles are no longer used.
 * Threads: `tx` belongs to one thread at a time, `rx` to one thread at a time; these may be two
 * threads. ring_pair_close, _break and _peer_died need both.
 * Failure: nothing here allocates, blocks or makes a system call, but for the wake-up.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/doorbell.h"

#define RING_DATA_BYTES 65536u /* of one direction, by default */
#define RING_DATA_MIN   256u   /* the smallest ring (tests use small ones) */
#define RING_DATA_MAX   (1u << 26)
#define RING_PAYLOAD_MAX                                                                           \
    8192u                    /* longest payload of a record; less if it is over 1/4 of the ring    \
                              */
#define RING_CTL_BYTES 4096u /* what stands before the data in a region */

/* The size of the region of a pair, for `data` bytes each way: a power of two. */
#define RING_PAIR_SIZE(data) (RING_CTL_BYTES + 2u * (data))
#define RING_PAIR_BYTES      RING_PAIR_SIZE(RING_DATA_BYTES)

/* Types are the users' to define, below this one. */
#define RING_TYPE_MAX 0xfffeu

/* What stands before the payload of each record; also its layout in memory. */
struct ring_header {
    uint32_t size;  /* of header and payload together, in bytes, without the alignment */
    uint16_t type;  /* what the record is: 0 .. RING_TYPE_MAX */
    uint16_t flags; /* the users' */
    uint64_t tag;   /* the users': a sequence number, a request id */
};
#define RING_HEADER_BYTES 16u

/* The length of the payload, of a header that ring_peek gave. */
static inline uint32_t ring_payload_size(const struct ring_header *h)
{
    return h->size - RING_HEADER_BYTES;
}

struct ring_shm;      /* a region; private */
struct ring_shm_ring; /* the indices of one direction; private */

/* The sending end: private to one process; use the functions. */
struct ring_tx {
    struct ring_shm_ring *ctl;  /* the shared indices */
    uint8_t *data;              /* the shared bytes */
    uint32_t *my_state;         /* shared: how this side stands */
    const uint32_t *peer_state; /* shared: how the peer stands */
    uint64_t head;              /* where the next record goes; the truth, in bytes since ever */
    uint64_t published;         /* head, as the consumer knows it */
    uint64_t tail_seen;         /* tail, as last read: what lies before it is free */
    uint64_t last;              /* where the last reserved record starts */
    uint32_t size;              /* bytes of data; a power of two */
    int error;                  /* 0, or what ended it: sticky */
    struct doorbell_peer bell;  /* the consumer's doorbell */
};

/* The receiving end: private to one process; use the functions. */
struct ring_rx {
    struct ring_shm_ring *ctl;  /* the shared indices */
    const uint8_t *data;        /* the shared bytes */
    uint32_t *my_state;         /* shared: how this side stands */
    const uint32_t *peer_state; /* shared: how the peer stands */
    uint64_t tail;              /* where the next record is; the truth, in bytes since ever */
    uint64_t released;          /* tail, as the producer knows it */
    uint64_t head_seen;         /* head, as last read: what lies before it can be read */
    uint32_t size;              /* bytes of data; a power of two */
    uint32_t current;           /* bytes taken by the record that was peeked; 0: none */
    int error;                  /* 0, or what ended it: sticky */
    bool peer_died;             /* nothing will be added to what is there */
    struct doorbell_peer bell;  /* the producer's doorbell */
};

/* One process's handle of a pair. */
struct ring_pair {
    struct ring_tx tx; /* to the peer */
    struct ring_rx rx; /* from the peer */
};

/*
 * Prepares a region of RING_PAIR_SIZE(data_bytes) zeroed bytes, aligned to a page, before anyone
 * attaches. Fails with INVALID if data_bytes is not a power of two from RING_DATA_MIN to
 * RING_DATA_MAX, or len is not the size that belongs to it.
 */
int ring_pair_init(void *mem, size_t len, uint32_t data_bytes);

/*
 * Makes the handle of one side. `len` is the length of the caller's own mapping: the region must
 * say the same, else PROTOCOL. `role` is 0 or 1; each is attached once. `peer` (copied; NULL: no
 * one is rung, both sides poll) is how to ring the other side. *p is untouched on failure.
 */
int ring_pair_attach(struct ring_pair *p, void *mem, size_t len, unsigned role,
                     const struct doorbell_peer *peer);

/* Ends it, in order: see End above. What is reserved and not committed is dropped. */
void ring_pair_close(struct ring_pair *p);
/* Ends it because something is wrong: the peer gets UNAVAILABLE, as do all calls on p. */
void ring_pair_break(struct ring_pair *p);
/* The peer is known to be dead: what it committed can still be read, then UNAVAILABLE. */
void ring_pair_peer_died(struct ring_pair *p);

/*
 * Room for a record behind those reserved before it; the payload is to be written to *ret_payload
 * (8-byte aligned) before ring_commit. Fails with LIMIT (full: see above), INVALID (payload_size
 * over the limit, or a type that is not the users'), SHUTDOWN, UNAVAILABLE or PROTOCOL (over).
 */
int ring_reserve(struct ring_tx *t, uint16_t type, uint16_t flags, uint64_t tag,
                 size_t payload_size, void **ret_payload);
/* Makes the payload of the last reserved, uncommitted record shorter; longer is INVALID. */
int ring_trim(struct ring_tx *t, size_t payload_size);
/* Publishes all that is reserved and rings the consumer (urgent: see doorbell_ring). */
void ring_commit(struct ring_tx *t, bool urgent);
/* Drops all that is reserved and not committed. */
void ring_abort(struct ring_tx *t);
/* True if something is reserved and not committed. */
bool ring_uncommitted(const struct ring_tx *t);
/* Bytes free now, headers and padding included (the ring's size if empty); for credits. */
size_t ring_room(struct ring_tx *t);

/*
 * The next record: 1 with a checked copy of its header and the address of its payload, which is
 * valid until ring_consume; 0: none now; negative: none ever again (see End and Trust above).
 * Until ring_consume it gives the same record again.
 */
int ring_peek(struct ring_rx *r, struct ring_header *ret_header, const void **ret_payload);
/*
 * Done with the record that ring_peek gave. The room goes back to the producer in batches of a
 * quarter of the ring: an emptied ring always has room for any record, so there is no need to call
 * ring_release.
 */
void ring_consume(struct ring_rx *r);
/* Gives back now the room of all that was consumed. */
void ring_release(struct ring_rx *r);
/* True if ring_peek would not give 0. */
bool ring_readable(struct ring_rx *r);

/* The largest payload that a ring of this size takes. */
uint32_t ring_payload_max(uint32_t data_bytes);

#endif
