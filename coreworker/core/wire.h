/*
 * What processes say to each other: records in a ring pair or a channel (proto/record.h, "Peers").
 *
 * Each record has the 16-byte header {size, type, flags, tag} of the rings. A payload over
 * WIRE_PIECE_MAX is cut: every piece but the last has WIRE_MORE in its flags; pieces of one message
 * follow each other, and the type and tag of the first are those of the message. At most
 * WIRE_MESSAGE_MAX bytes in all.
 *
 * Messages about calls hold ENTRIES: arguments or return values, each a struct wire_entry, then its
 * bytes, filled to 8, then its references (struct wire_ref). Everything is little-endian, naturally
 * aligned, reserved fields zero. A receiver copies a message before it parses it, and an entry is
 * taken only if wire_entry_parse accepts it.
 *
 * References. `flags` WIRE_GRANTED: the sender owns the object, and has counted the receiver as a
 * borrower, once for each such record; the receiver owes it a WIRE_UNBORROW of that count, later or
 * at once. Without it the sender is itself a borrower: it keeps its own hold until the receiver has
 * registered with the owner (WIRE_BORROW, WIRE_BORROWED) and says WIRE_REF_DONE, or has answered
 * the call. Counts make order between different senders irrelevant.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

#define WIRE_PIECE_MAX   8000u /* payload of one record; fits a ring, and a channel's wrapping */
#define WIRE_MESSAGE_MAX (64u << 20) /* payload of one message */
#define WIRE_ENTRIES_MAX 10000u      /* arguments, or return values, of one call */
#define WIRE_MORE        0x8000u /* flag of every type: the message goes on in the next record */
#define WIRE_EXTENT                                                                                \
    0x4000u /* flag of every type: the record is a struct wire_extent, which tells where it lies */
#define WIRE_NAME_MAX 256u /* bytes of a function's name */

enum wire_type {
    WIRE_FUNCTION =
        1,         /* struct wire_function + name: what a number stands for, before its first use */
    WIRE_TASK = 2, /* tag: sequence of this sender; struct wire_task + entries */
    WIRE_REPLY = 3,  /* tag: the task's; struct wire_reply + entries */
    WIRE_CANCEL = 4, /* tag: the task's; struct wire_cancel */
    WIRE_STEAL = 5,  /* struct wire_steal: give back tasks that have not begun (as replies) */

    WIRE_ACTOR_HELLO = 10, /* tag: slot; struct wire_actor_hello: calls to that actor will follow */
    WIRE_ACTOR_WELCOME = 11, /* tag: slot; struct wire_actor_welcome */
    WIRE_CALL = 12,          /* tag: sequence of the call; struct wire_task, slot set, + entries */
    WIRE_CALL_REPLY = 13,    /* tag: the call's; struct wire_reply, slot set, + entries */
    WIRE_CALL_CANCEL = 14,   /* tag: the call's; struct wire_cancel, slot set */

    WIRE_QUERY = 20, /* tag: chosen by the asker; struct wire_object: its value, when it is there */
    WIRE_VALUE = 21, /* tag: the query's; one entry */
    WIRE_BORROW = 22,   /* struct wire_object: count me as a borrower, once more */
    WIRE_BORROWED = 23, /* struct wire_object, count 1: granted; 0: it is gone */
    WIRE_UNBORROW = 24, /* struct wire_object: `count` grants less */
    WIRE_REF_DONE =
        25, /* struct wire_object: registered: the forwarder may let go, `count` times */
    WIRE_OBJECT_CANCEL = 26, /* struct wire_object, flags: cancel the task that makes it */
    /* after a break (core/forward.c), each struct wire_object */
    WIRE_RESYNC = 27,     /* to the owner: I have `count` grants of it */
    WIRE_RESYNC_END = 28, /* and none of any other; no ref */
    WIRE_FORWARDED = 29,  /* from a forwarder: as if the reference came once more */
    /* the same; counter and index name an object of the owner, worker and node a third process */
    WIRE_NOTE = 30,    /* to the owner: count 1: I forward it to that one; 0: that one has it */
    WIRE_CLAIM = 31,   /* from the owner: that forwarder died: register it, if you have it */
    WIRE_CLAIMED = 32, /* to the owner: done */
    /* about the ring pair itself, without payload: lib/rest.c */
    WIRE_REST = 33,     /* from the smaller worker id: nothing is under way here: give it back? */
    WIRE_REST_YES = 34, /* the last record of the pair */
    WIRE_REST_NO = 35,
    /* about the sender's arena: lib/arena.h; the tag counts the sender's arenas */
    WIRE_ARENA = 36,       /* u8[28]: the id of the object; read it */
    WIRE_ARENA_READY = 37, /* messages may lie in it */
    WIRE_ARENA_GONE = 38,  /* none will any more */
};

/* A message in the sender's arena. */
struct wire_extent {
    uint32_t slot;
    uint32_t size; /* bytes of the message */
};

struct wire_function {
    uint32_t number; /* chosen by the sender, from 1 */
    uint32_t is_class;
    /* then the name */
};

/* flags of struct wire_task */
#define WIRE_TASK_NO_RETRY                                                                         \
    1u /* must not run twice: answers before it are sent before it begins                          \
        */

/* the sender keeps as many small values as it may: answers of more than a KiB go into the store */
#define WIRE_TASK_STORE 2u

struct wire_task {
    uint64_t counter;     /* of the task id; the rest of it is the sender's worker id */
    uint32_t function;    /* number */
    uint16_t nargs;       /* entries that follow */
    uint16_t nreturns;    /* entries of the answer */
    uint32_t flags;       /* WIRE_TASK_* */
    uint32_t attempt;     /* 0: the first */
    uint32_t deadline_ms; /* from now; 0: none */
    uint32_t slot;        /* calls: of the actor, from WIRE_ACTOR_HELLO */
    uint64_t acked;       /* calls: the sender has seen all answers below this sequence */
};

/* flags of struct wire_reply */
#define WIRE_REPLY_NOT_STARTED 1u /* it was given back, unstarted: run it elsewhere */

struct wire_reply {
    int32_t status;    /* 0, or -RAIA_ERR_*: then one entry, of format error, stands for all */
    uint16_t nreturns; /* entries that follow */
    uint16_t flags;    /* WIRE_REPLY_* */
    uint32_t exec_us;  /* how long it ran */
    uint32_t slot;     /* calls */
};

struct wire_cancel {
    uint32_t slot;
    uint8_t force;
    uint8_t recursive;
    uint8_t timeout; /* the deadline is the reason */
    uint8_t reserved;
};

struct wire_steal {
    uint32_t count; /* at most that many, the last ones first */
    uint32_t reserved;
};

struct wire_actor_hello {
    uint8_t actor[16];
    uint64_t incarnation; /* that the caller means */
    uint64_t next;        /* sequence of the first call that it has not had answered */
};

struct wire_actor_welcome {
    uint8_t actor[16];
    uint64_t incarnation;
    uint64_t next;  /* sequence of the first call that was not received; answers to those before it
                     * follow if they were not acknowledged */
    int32_t status; /* 0; -STATE: not this incarnation (any more); -NOT_FOUND: not this actor */
    uint32_t reserved;
};

/* An object, as it is referred to. */
struct wire_ref {
    uint8_t worker[16]; /* of the owner: with counter and index, the object's id */
    uint64_t counter;
    uint32_t index;
    uint32_t flags;   /* WIRE_GRANTED */
    uint8_t node[16]; /* of the owner */
};
#define WIRE_GRANTED 1u

struct wire_object {
    struct wire_ref ref;
    uint32_t count;
    uint32_t flags; /* WIRE_OBJECT_CANCEL: 1 force, 2 recursive */
};

enum wire_kind {
    WIRE_INLINE = 0, /* the bytes are the value */
    WIRE_STORED = 1, /* the bytes are a struct wire_stored: the value is in a store */
    WIRE_HELD = 2,   /* in memory only: the value of the size-th held object of the task */
};

struct wire_entry {
    uint32_t size;  /* bytes that follow, not counting the fill to 8 */
    uint8_t kind;   /* enum wire_kind */
    uint8_t format; /* enum raia_format */
    uint16_t reserved;
    uint32_t nrefs; /* struct wire_ref that follow the bytes */
    uint32_t reserved2;
};

struct wire_stored {
    struct wire_ref object;
    uint64_t size;        /* bytes in the store, head included */
    uint8_t node[16];     /* where its primary copy is */
    uint8_t store_id[28]; /* what the stores call it: the object's id, or that of another one
                           * that became it */
    uint32_t reserved;
};

/* An entry as it was found. */
struct wire_item {
    const struct wire_entry *head;
    const uint8_t *data;         /* head->size bytes */
    const struct wire_ref *refs; /* head->nrefs */
};

static inline size_t wire_pad(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

/* Bytes of an entry; one more than `size` is kept for an end mark behind the data. */
static inline size_t wire_entry_size(size_t size, size_t nrefs)
{
    return sizeof(struct wire_entry) + wire_pad(size + 1) + nrefs * sizeof(struct wire_ref);
}

/*
 * Writes the head of an entry at `to` (aligned to 8, wire_entry_size bytes, the fill is zeroed),
 * and gives where its bytes and references go.
 */
void wire_entry_begin(void *to, uint8_t kind, uint8_t format, size_t size, size_t nrefs,
                      uint8_t **ret_data, struct wire_ref **ret_refs);
/*
 * The entry at *at of a message of `size` bytes at `base` (aligned to 8, private memory); moves *at
 * behind it. -PROTOCOL if it does not fit or is not well formed.
 */
int wire_entry_parse(const uint8_t *base, size_t size, size_t *at, struct wire_item *ret);

_Static_assert(sizeof(struct wire_task) == 40, "layout");
_Static_assert(sizeof(struct wire_reply) == 16, "layout");
_Static_assert(sizeof(struct wire_ref) == 48, "layout");
_Static_assert(sizeof(struct wire_entry) == 16, "layout");
_Static_assert(sizeof(struct wire_stored) == 104, "layout");
_Static_assert(sizeof(struct wire_object) == 56, "layout");

#endif
