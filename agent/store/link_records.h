/*
 * What the stores of two nodes say to each other over the link (agent/link): records of a type, a
 * fixed head and, for chunks, data.
 *
 * A pull, seen from the node that wants the object (B) and one that has it (A):
 *
 *     B  PULL          do you have it?
 *     A  OFFER         yes, so many bytes            (or PULL_FAILED)
 *     B  CREDIT        has memory now: start at `offset`, send `bytes`; more of these follow
 *     A  CHUNK ...     in order, each at most STORE_CHUNK_MAX, until the credit or the object ends
 *     B  PULL_CANCEL   I stop (not wanted any more); only what is under way still comes
 *     A  PULL_FAILED   I stop: freed, or not here
 *
 * From the first CREDIT on A knows that B has (or will have) a copy, and keeps B in the object's
 * forward list until PULL_CANCEL, COPY_FREED or the end of the link. The pull number is chosen by
 * B, never used twice; records of a pull that is over are ignored.
 *
 *     FREE (hard)      nobody refers to the object any more: drop the copy, fail who waits for
 *                      it, pass it on to those who had copies from you
 *     FREE (soft)      your copy came from here, and nobody will tell you of its end: drop it
 *                      once no one reads it, pass on
 *     FREED            acknowledges FREEs with STORE_FREE_ACK, in order; what was not when the
 *                      link ended is sent again, until the node has it or is dead
 *     COPY_FREED       from B to A: my copy is gone; tell me nothing more of it
 *     LOST             to the owner's node: the primary copy is gone, tell the owner
 *     OWNER_ASK        to the owner's node, after a link ended: does this process live? I have
 *                      objects of it
 *     OWNER_GONE       it does not
 *     STRAY            to the owner's node: did it take that result? See REC_STORE_STRAY
 *     STRAY_IS         the owner's word
 *
 * When a link ends, each side forgets what the other has of it, and drops its own copies that came
 * over it as if told FREE (soft): so a record lost with the link never leaks memory.
 *
 * Layout: little-endian, natural alignment, reserved fields zero. All of it is checked on receipt;
 * what is malformed gives -RAIA_ERR_PROTOCOL (break the link).
 */
#ifndef STORE_LINK_RECORDS_H
#define STORE_LINK_RECORDS_H

#include <stdint.h>

/* The link's record types that belong to the store. */
enum store_link_type {
    STORE_LINK_FIRST = 0x100,
    STORE_LINK_PULL = 0x100, /* struct store_link_pull */
    STORE_LINK_OFFER,        /* struct store_link_offer */
    STORE_LINK_CREDIT,       /* struct store_link_credit */
    STORE_LINK_CHUNK,        /* struct store_link_chunk + data */
    STORE_LINK_PULL_FAILED,  /* struct store_link_failed */
    STORE_LINK_PULL_CANCEL,  /* struct store_link_pull */
    STORE_LINK_FREE,         /* struct store_link_free */
    STORE_LINK_COPY_FREED,   /* struct store_link_copy_freed */
    STORE_LINK_LOST,         /* struct store_link_lost */
    STORE_LINK_FREED,        /* struct store_link_freed */
    STORE_LINK_OWNER_ASK,    /* struct store_link_owner */
    STORE_LINK_OWNER_GONE,   /* struct store_link_owner */
    STORE_LINK_STRAY,        /* struct store_link_stray */
    STORE_LINK_STRAY_IS,     /* struct store_link_stray */
    STORE_LINK_END = 0x110,  /* one past the last that is the store's */
};

#define STORE_CHUNK_MAX     (1u << 20) /* bytes of data in a CHUNK */
#define STORE_LINK_HEAD_MAX 96u        /* longest head, bytes */

struct store_link_pull {
    uint8_t object[28];
    uint32_t flags; /* 0 */
    uint64_t pull;  /* number */
};

struct store_link_offer {
    uint64_t pull;
    uint64_t size; /* bytes of the object */
};

struct store_link_credit {
    uint8_t object[28];
    uint32_t flags; /* STORE_CREDIT_START: the first of this pull; `offset` counts */
    uint64_t pull;
    uint64_t offset; /* of the first byte wanted; 0 without START */
    uint64_t bytes;  /* more that may be sent */
};
#define STORE_CREDIT_START 1u

struct store_link_chunk {
    uint64_t pull;
    uint64_t offset; /* of its first byte, in the object */
    uint32_t size;   /* bytes of data */
    uint32_t reserved;
};

struct store_link_failed {
    uint64_t pull;
    int32_t status; /* -OBJECT_LOST: freed; -NOT_FOUND: not here; -LIMIT: too busy, try again */
    uint32_t reserved;
};

struct store_link_free {
    uint8_t object[28];
    uint32_t flags; /* STORE_FREE_* */
};
#define STORE_FREE_SOFT 1u
#define STORE_FREE_ACK  2u /* answer with FREED; never with SOFT */

struct store_link_freed {
    uint32_t count; /* FREEs with STORE_FREE_ACK that arrived since the last of these */
    uint32_t reserved;
};

struct store_link_copy_freed {
    uint8_t object[28];
    uint32_t flags; /* 0 */
};

struct store_link_lost {
    uint8_t object[28];
    int32_t status;    /* -RAIA_ERR_* */
    uint8_t owner[32]; /* struct record_address */
};

struct store_link_stray {
    uint8_t object[28];
    uint32_t flags;    /* STRAY_IS: REC_STRAY_TAKEN; STRAY: 0 */
    uint8_t owner[32]; /* struct record_address */
};

struct store_link_owner {
    uint8_t worker[16]; /* of the node that is asked, or answers */
};

_Static_assert(sizeof(struct store_link_pull) == 40, "layout");
_Static_assert(sizeof(struct store_link_credit) == 56, "layout");
_Static_assert(sizeof(struct store_link_chunk) == 24, "layout");
_Static_assert(sizeof(struct store_link_lost) == 64, "layout");

#endif
