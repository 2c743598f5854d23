/*
 * Values: from what the user gave to bytes, into an object of their owner (encode.c) or of the
 * node's store (store.c), and back.
 *
 * Ownership: said at each member. Threads: who holds the token (lib/runtime.h).
 */
#ifndef LIB_STORE_H
#define LIB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "core/object.h"
#include "core/wire.h"
#include "proto/record.h"
#include "raia/raia.h"

struct runtime;

/* ---- values: encode.c */

/* The bytes of a value, before they have a place. */
struct flat {
    uint8_t head[16];      /* MessagePack head, or the whole scalar */
    size_t head_size;      /* bytes */
    const void *body;      /* then these */
    size_t body_size;      /* bytes */
    uint8_t format;        /* enum raia_format */
    raia_ref *const *refs; /* inside */
    size_t nrefs;
    raia_ref *held;    /* the value is that of this object; all else is empty */
    raia_ref *one;     /* storage for refs of an actor handle */
    uint8_t actor[32]; /* storage for body of an actor handle */
};

int value_flatten(struct runtime *rt, const struct raia_value *v, struct flat *ret);
/* A blob of it; the references inside are held. */
struct blob *flat_blob(struct runtime *rt, const struct flat *f);
/* Puts its bytes at `to` (head_size + body_size). */
void flat_write(const struct flat *f, uint8_t *to);
/* Whether a new value of that size stays with its owner: small ones do, up to a limit for all. */
bool rt_keeps(const struct runtime *rt, size_t size);
/* An object of it: inline or in the store. */
int flat_put(struct runtime *rt, const struct flat *f, raia_ref **ret);
/* The same, always in the store. */
int flat_put_stored(struct runtime *rt, const struct flat *f, raia_ref **ret);
/* Puts it into the store, as that object. */
int flat_store(struct runtime *rt, const struct flat *f, raia_ref *o);
/* Gives back the references of an entry that nobody needs. */
void item_drop(struct runtime *rt, struct process *from, const struct wire_item *item);
/* Writes what a received entry is into an object; `from` sent it. */
int item_into_object(struct runtime *rt, struct process *from, const struct wire_item *item,
                     raia_ref *o);

/* ---- objects in the store: store.c */

struct segment {
    uint32_t number;
    bool writable;
    uint8_t *base;     /* mapped */
    size_t size;       /* bytes */
    HASH_HANDLE hh;    /* rt.segments */
    struct list loose; /* rt.loose_segments */
};

/* What stands before a value in the store; data follows at STORED_HEAD, then a zero byte, then, at
 * the next multiple of 8, nrefs struct wire_ref. */
#define STORED_HEAD  64u
#define STORED_MAGIC 0x31445453u
struct stored_head {
    uint32_t magic;
    uint8_t format; /* enum raia_format */
    uint8_t pad[3];
    uint64_t size; /* bytes of data */
    uint32_t nrefs;
    uint32_t reserved;
    uint8_t fill[40];
};

static inline size_t stored_bytes(size_t size, size_t nrefs)
{
    return STORED_HEAD + wire_pad(size + 1) + nrefs * sizeof(struct wire_ref);
}

struct raia_buffer {
    uint32_t magic;
    raia_ref *object; /* pending, one hold */
    uint8_t *base;    /* the extent */
    size_t size;      /* bytes of data */
    size_t nrefs;     /* room behind it */
    struct list link; /* rt.buffers */
};

int store_init(struct runtime *rt);
/* Where an answer says; NULL if that is nowhere. */
uint8_t *store_at(struct runtime *rt, const struct rec_store_at *m);
int store_segment_came(struct runtime *rt, const uint8_t *data, size_t size, int fd);
void store_record(struct runtime *rt, uint16_t type, uint64_t tag, const uint8_t *data,
                  size_t size);
/* What the stores call an object, and to say that it is something else than the object's id. */
void store_id(const struct runtime *rt, const raia_ref *o, uint8_t to[28]);
int store_alias(struct runtime *rt, raia_ref *o, const uint8_t id[28]);
/* Memory for a new object; waits. The head is written. */
int store_create(struct runtime *rt, raia_ref *o, uint8_t format, size_t size, size_t nrefs,
                 uint8_t **ret_base);
/* Immutable from now on; the object becomes STORED (inner is taken over). */
int store_seal(struct runtime *rt, raia_ref *o, size_t bytes, raia_ref **inner, uint32_t ninner);
void store_abort(struct runtime *rt, raia_ref *o);
/* Asks the raylet to bring the object here; object_more.mapped is set when it has. */
int store_fetch(struct runtime *rt, raia_ref *o);
/* One reader of a mapped object more, less. */
void store_pin(raia_ref *o);
void store_unpin(struct runtime *rt, raia_ref *o);
/* A copy that was fetched and has no reader goes back. */
void store_unread(struct runtime *rt, raia_ref *o);
void store_free(struct runtime *rt, raia_ref *o);
/* It is of that process from now on: the death of this one does not matter to it. */
void store_give(struct runtime *rt, const raia_ref *o, const struct record_address *owner);
/* A result that was made, but is not in the answer: its owner is asked what becomes of it. */
void store_doubt(struct runtime *rt, const raia_ref *o);
/* A result came whose task has ended otherwise. */
void store_refuse(struct runtime *rt, const struct wire_stored *s);
void store_fini(struct runtime *rt);

#endif
