/*
 * Calls of one caller to one actor, as the actor's process sees them: each is run once. A pure
 * core.
 *
 * Sequence numbers come in order on a link. After a reconnect the caller sends again what it has
 * not seen answered: a number below `next` was received before, and is dropped; its answer, if it
 * has been given, is kept until the caller has acknowledged it, and is sent again.
 *
 * Bound: RECEIVER_KEEP_BYTES of answers for one caller; past it the oldest are forgotten, and a
 * caller that reconnects for one of them is told that the outcome is not known.
 *
 * Ownership: the receiver owns the answers that it keeps. Threads: one at a time.
 */
#ifndef CORE_RECEIVER_H
#define CORE_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define RECEIVER_KEEP_BYTES (8u << 20)

struct kept_reply {
    struct list link; /* receiver.kept, in order of answering */
    uint64_t sequence;
    size_t size;    /* bytes */
    uint8_t data[]; /* payload of the answer */
};

struct receiver {
    uint64_t next;     /* sequence of the next new call */
    struct list kept;  /* struct kept_reply */
    size_t kept_bytes; /* of them */
    bool keep;         /* the link can break while both live (a channel) */
};

enum receiver_verdict {
    RECEIVER_RUN,  /* new: run it */
    RECEIVER_DROP, /* received before */
    RECEIVER_GAP,  /* one before it is missing: the link is out of order, break it */
};

void receiver_init(struct receiver *r, bool keep);
void receiver_fini(struct receiver *r);
/* A caller connects: its first call will be `first` or later. What to tell it as `next`. */
uint64_t receiver_hello(struct receiver *r, uint64_t first);
enum receiver_verdict receiver_call(struct receiver *r, uint64_t sequence, uint64_t acked);
/* An answer goes out: keeps a copy if need be. -NOMEM: it is not kept. */
int receiver_answered(struct receiver *r, uint64_t sequence, const void *data, size_t size);
/* After a reconnect: the kept answers, in order; cursor starts as NULL. */
const struct kept_reply *receiver_next_kept(const struct receiver *r, const struct kept_reply *k);

#endif
