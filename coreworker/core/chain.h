/*
 * An error with its causes, as bytes: the value of a failed object (format RAIA_ERROR_FORMAT).
 *
 * Each link is i32 code, u8 bits (1 retryable, 2 maybe executed), u8 0, u16 length, text; the first
 * is what the getter sees, each next one the cause of the one before.
 *
 *     struct chain c;
 *     chain_init(&c);
 *     chain_push(&c, &error);                       // a new outermost link
 *     n = chain_encode(&c, bytes, sizeof(bytes));   // CHAIN_BYTES_MAX is always enough
 *     chain_decode(&c, bytes, n);                   // never fails: what is malformed is cut off
 *
 * Ownership: plain values. Threads: any. Failure: none; over CHAIN_MAX links the innermost are
 * lost.
 */
#ifndef CORE_CHAIN_H
#define CORE_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

#define CHAIN_MAX       6u
#define CHAIN_BYTES_MAX (CHAIN_MAX * (8u + RAIA_ERROR_TEXT_MAX))

struct chain {
    unsigned n;                         /* links */
    struct raia_error links[CHAIN_MAX]; /* outermost first */
};

void chain_init(struct chain *c);
/* Puts a new outermost link before the others. */
void chain_push(struct chain *c, const struct raia_error *e);
/* Adds a link behind the others: the cause of all. */
void chain_add_cause(struct chain *c, const struct raia_error *e);
/* Bytes written; links that do not fit are left out. */
size_t chain_encode(const struct chain *c, void *to, size_t max);
void chain_decode(struct chain *c, const void *data, size_t size);

#endif
