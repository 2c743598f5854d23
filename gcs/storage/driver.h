/*
 * What a storage driver implements, and what storage.c does for all of them: checks, the queue of
 * completed requests, the history of changes and the watches.
 *
 * A driver gets requests one by one (submit), applies them in that order, fills op->result,
 * revision and error, and gives each back with storage_complete__, in that order, from any thread.
 * Ownership: a driver embeds struct storage as its first member. Threads: as said.
 */
#ifndef STORAGE_DRIVER_H
#define STORAGE_DRIVER_H

#include <pthread.h>

#include "storage/storage.h"

struct storage_driver {
    const char *name;                                         /* for texts */
    struct storage_limits limits;                             /* largest transaction */
    void (*submit)(struct storage *s, struct storage_op *op); /* takes a request */
    void (*close)(struct storage *s,
                  struct storage_op **ret_q); /* ends; gives back what was queued */
};

/* One row of a snapshot, or one change of the history. */
struct storage_row {
    uint8_t *key;      /* owned; the value lies behind it */
    size_t key_size;   /* bytes */
    size_t value_size; /* bytes */
    uint64_t revision; /* that put it */
    bool deleted;      /* history: the row was removed */
};

struct storage_rows {
    struct storage_row *rows; /* owned */
    size_t n;                 /* how many */
    size_t cap;               /* room */
    size_t bytes;             /* of keys and values */
};

struct storage {
    const struct storage_driver *driver; /* what is behind it */
    int event;                           /* eventfd: something was completed */
    pthread_mutex_t lock;                /* guards done_head, done_tail */
    struct storage_op *done_head;        /* completed, callbacks not yet run */
    struct storage_op **done_tail;       /* its end */
    uint64_t revision;                   /* of the last transaction whose callback ran */
    struct storage_rows history;         /* the last changes, oldest first from history_at */
    size_t history_at;                   /* index of the oldest that is kept */
    uint64_t history_from;               /* changes of this revision and later are all kept */
    struct storage_watch *watches;       /* list */
};

/* Bytes of changes that are remembered for watches. */
#define STORAGE_HISTORY_BYTES (1u << 20)

#define STORAGE_TXN(op_)                                                                           \
    ((struct storage_txn *)(void *)((char *)(op_)-offsetof(struct storage_txn, op)))
#define STORAGE_SNAP(op_)                                                                          \
    ((struct storage_snapshot *)(void *)((char *)(op_)-offsetof(struct storage_snapshot, op)))

/* Prepares the base; revision is the latest one stored. */
int storage_init__(struct storage *s, const struct storage_driver *driver, uint64_t revision,
                   struct raia_error *e);
/* Any thread: op is finished. */
void storage_complete__(struct storage *s, struct storage_op *op);
/* Appends a copy. 0 or -NOMEM. */
int storage_rows_add__(struct storage_rows *rows, struct storage_bytes key,
                       struct storage_bytes value, uint64_t revision, bool deleted);
void storage_rows_fini__(struct storage_rows *rows);

static inline struct storage_bytes storage_row_key(const struct storage_row *row)
{
    return (struct storage_bytes){row->key, row->key_size};
}

static inline struct storage_bytes storage_row_value(const struct storage_row *row)
{
    return (struct storage_bytes){row->key + row->key_size, row->value_size};
}

#endif
