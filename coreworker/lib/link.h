/*
 * Links: the ways to other processes and to the raylet. link.c sends, drain.c receives, rest.c gives
 * back the idle ones, route.c knows who is to hear of what has come.
 *
 * Ownership: said at each member. Threads: who holds the token (lib/runtime.h).
 */
#ifndef LIB_LINK_H
#define LIB_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/ring.h"
#include "core/wire.h"
#include "lib/registry.h"
#include "proto/record.h"

struct process;
struct runtime;

enum link_kind {
    LINK_OPENING,
    LINK_PAIR,
    LINK_RESTING, /* a pair that we offered to give back: nothing is sent until the answer */
    LINK_CHANNEL,
    LINK_CLOSED,
};

struct out_message {
    struct list link; /* link.outbox */
    uint64_t tag;
    uint16_t type;
    bool begun;    /* pieces of it have gone */
    uint32_t size; /* bytes of data */
    uint32_t sent; /* those of them that have gone */
    uint8_t data[];
};

/* The bit of the link of a process to itself: the raylet gives out those below. */
#define LINK_SELF_BIT RECORD_PAIRS_MAX

struct link {
    uint8_t kind;            /* enum link_kind */
    bool dirty;              /* reserved, not committed; in rt.dirty */
    bool was_full;           /* somebody found no room */
    bool raylet;             /* pair 0: speaks proto/record.h, not core/wire.h */
    uint32_t number;         /* of the pair or channel */
    uint32_t serial;         /* PAIR: of the pair, for the raylet */
    uint64_t open_tag;       /* OPENING: of the request */
    struct process *process; /* NULL: the raylet */
    struct ring_pair pair;   /* PAIR */
    uint64_t quiet_at;       /* PAIR: bytes that had gone over it, at quiet_since */
    int64_t quiet_since;     /* PAIR, ns: as far as is known */
    unsigned refused;        /* PAIR: times that the other one needed it */
    void *memory;            /* PAIR: the mapped region */
    size_t memory_size;      /* bytes */
    void *page;              /* PAIR: the peer's process page, mapped */
    int bell;                /* PAIR: the peer's eventfd, or -1 */
    uint64_t credit;         /* CHANNEL: bytes that may be sent */
    struct list outbox;      /* struct out_message */
    size_t outbox_bytes;     /* of it */
    struct buf partial;      /* message whose pieces are coming */
    uint16_t partial_type;   /* 0: none */
    uint64_t partial_tag;
    uint8_t arena_told;            /* how far the peer is with our arena: arena.c */
    struct arena_view *arena_view; /* the peer's arena; NULL: not told of any; owned */
    struct function **theirs;      /* by their number - 1: what they call functions; owned */
    uint32_t ntheirs;
    uint64_t *told;       /* bits: which of our numbers they know; owned */
    uint32_t ntold;       /* words */
    struct list leases;   /* lease.opening: wait for it to open */
    struct list callers;  /* raia_actor.on_link: use it, or wait for it to open */
    struct list hosted;   /* struct caller_seat: callers of our actors, behind it */
    struct list in_dirty; /* rt.dirty */
    HASH_HANDLE hh;       /* rt.channels, by number */
};

static inline bool link_is_pair(const struct link *l)
{
    return l->kind == LINK_PAIR || l->kind == LINK_RESTING;
}

/* Room for one record in the ring or channel itself, whatever waits in the outbox. -LIMIT: none now. */
int link_reserve(struct runtime *rt, struct link *l, uint16_t type, uint16_t flags, uint64_t tag,
                 size_t size, void **ret_payload);
/* Room for one record that fits a piece, to be written before link_commit. -LIMIT: none now, or
 * others wait before it. */
int link_begin(struct runtime *rt, struct link *l, uint16_t type, uint16_t flags, uint64_t tag,
               size_t size, void **ret_payload);
/* Publishes what was begun. */
void link_commit(struct runtime *rt, struct link *l, bool urgent);
/* Sends in any case: what finds no room waits in the outbox. -LIMIT: the outbox is full. */
int link_send(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag, const void *data,
              size_t size, bool urgent);
/* Sends what waits; true if nothing is left. */
bool link_flush(struct runtime *rt, struct link *l);
/* Commits all that is reserved. */
void rt_flush(struct runtime *rt);
/* Makes links again that could not be made before. */
void links_tick(struct runtime *rt);
/* The link to a process, opened if need be (LINK_OPENING then). NULL: out of memory, or dead. */
struct link *link_to(struct runtime *rt, struct process *p);
struct link *link_new(struct runtime *rt, struct process *p);
/* Ends it: everybody concerned is told. status: as in struct rec_peer_closed. */
void link_closed(struct runtime *rt, struct link *l, int status);
void link_free(struct runtime *rt, struct link *l);
/* Makes the function's number known there; 0 or -NOMEM. */
int link_tell_function(struct runtime *rt, struct link *l, struct function *f);
/* Idle pairs: rest.c. A pair is there; when it is time; what the other one says. */
void rest_opened(struct runtime *rt, struct link *l);
void rest_tick(struct runtime *rt, int64_t now);
void rest_received(struct runtime *rt, struct link *l, enum wire_type type);
/* Takes what has come on all rings. */
void rt_drain(struct runtime *rt);

/* A record from the raylet, and a message from a process; both private, aligned copies. */
void route_raylet(struct runtime *rt, uint16_t type, uint16_t flags, uint64_t tag,
                  const uint8_t *data, size_t size);
void route_message(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag,
                   const uint8_t *data, size_t size);

#endif
