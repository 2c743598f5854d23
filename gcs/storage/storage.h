/*
 * Storage: ordered, durable transactions over rows of bytes, asynchronously. What the control store
 * keeps in; it knows nothing of what the rows mean.
 *
 *     r = storage_open_sqlite(path, &s, e);               // or storage_open_memory(&s, e)
 *     -- when storage_fd(s) is readable: storage_step(s)  // all callbacks come from there
 *
 *     struct storage_put put = {.key = {"job/1", 5}, .value = {row, row_size}};
 *     me->txn = (struct storage_txn){.puts = &put, .n_puts = 1, .done = on_stored};
 *     storage_commit(s, &me->txn);
 *
 * A transaction is applied whole or not at all, if all of its compares hold. Each one that changes
 * something gets the next revision (1, 2, ...); a row remembers the revision that put it last.
 * Transactions are applied and completed in the order in which they were committed. A success means
 * durable: it survives a kill of the process and a loss of power, as far as the driver can (the
 * memory driver cannot). After a failure other than a compare (-STATE) nothing is known about later
 * transactions under way: the owner stops and loads again.
 *
 * Reading: a snapshot gives all rows with a prefix as of one revision R; a watch from R + 1 then
 * gives each later change in order. A watch that asks for what is no longer remembered fails with
 * -NOT_FOUND, and the reader takes a new snapshot.
 *
 * Drivers hold no logic of the control store: one contract test runs over all of them.
 *
 * Ownership: the request structs are the caller's and stay put, with the bytes that they point to,
 * until their callback, which fires exactly once (from storage_step, or with -CANCELED from
 * storage_free). Threads: the owner's; drivers may have threads of their own.
 * Whichever allocation fails, SQLite's own included, a request succeeded, or failed with -NOMEM and
 * nothing of it is there when the storage is opened again.
 * Failure: -STATE (a compare failed), -LIMIT (larger than storage_limits), -INVALID (a key twice),
 * -DISK_FULL, -IO, -NOMEM, -CANCELED.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

struct storage;

/* Bytes of the caller. */
struct storage_bytes {
    const void *data; /* may be NULL if size is 0 */
    size_t size;      /* bytes */
};

enum storage_compare_kind {
    STORAGE_AT_REVISION, /* the row exists and was put last by `revision` */
    STORAGE_ABSENT,      /* there is no such row */
    /* A row written by this leader's election stands (the etcd driver's fence): as AT_REVISION, but
     * of the election key. Drivers with one writer treat it as always true. */
    STORAGE_EPOCH,
};

struct storage_compare {
    struct storage_bytes key;       /* of the row */
    enum storage_compare_kind kind; /* what must hold */
    uint64_t revision;              /* for AT_REVISION and EPOCH */
};

struct storage_put {
    struct storage_bytes key;   /* of the row; not empty */
    struct storage_bytes value; /* may be empty */
};

struct storage_txn;
/* r: 0 (revision: what it got; for one without changes: the latest) or negative, with e. */
typedef void (*storage_txn_fn)(struct storage_txn *txn, int r, uint64_t revision,
                               const struct raia_error *e);

/* What drivers and storage.c keep in a request. */
struct storage_op {
    struct storage_op *next; /* queue */
    bool is_snapshot;        /* the kind of request that this is a part of */
    int result;              /* 0 or negative */
    uint64_t revision;       /* the result */
    struct raia_error error; /* when result is negative */
};

struct storage_txn {
    const struct storage_compare *compares; /* all must hold */
    size_t n_compares;                      /* how many */
    const struct storage_put *puts;         /* rows to write */
    size_t n_puts;                          /* how many */
    const struct storage_bytes *deletes; /* keys to remove; those that are not there are skipped */
    size_t n_deletes;                    /* how many */
    storage_txn_fn done;                 /* fires once */
    struct storage_op op;                /* private */
};

struct storage_snapshot;
typedef void (*storage_row_fn)(struct storage_snapshot *snap, struct storage_bytes key,
                               struct storage_bytes value, uint64_t revision);
typedef void (*storage_snapshot_fn)(struct storage_snapshot *snap, int r, uint64_t revision,
                                    const struct raia_error *e);

struct storage_snapshot {
    struct storage_bytes prefix; /* rows whose key begins so; empty: all */
    storage_row_fn row;        /* for each row, in order of key; the bytes live until it returns */
    storage_snapshot_fn done;  /* fires once, after the rows */
    struct storage_op op;      /* private */
    struct storage_rows *rows; /* private: what was read */
};

struct storage_watch;
/* A change: value NULL for a deleted row. All changes of one transaction come in one step. */
typedef void (*storage_event_fn)(struct storage_watch *w, uint64_t revision,
                                 struct storage_bytes key, const struct storage_bytes *value);

struct storage_watch {
    struct storage_bytes prefix; /* rows whose key begins so; the bytes stay the caller's */
    storage_event_fn event;      /* called from storage_step */
    struct storage_watch *next;  /* private */
    uint64_t from;               /* private: the first revision still wanted */
};

/* The largest transaction that a driver takes. */
struct storage_limits {
    size_t max_ops;   /* puts and deletes together */
    size_t max_bytes; /* of their keys and values */
};

/* Rows in the memory of this process; nothing survives it. */
int storage_open_memory(struct storage **ret_s, struct raia_error *e);
/*
 * Rows in an SQLite file, made if need be; one process at a time (-EXISTS: another one has it).
 * Transactions that wait together share one write to the disk.
 */
int storage_open_sqlite(const char *path, struct storage **ret_s, struct raia_error *e);
/* Finishes what is under way, fails what is queued with -CANCELED, closes. Accepts NULL. */
void storage_free(struct storage *s);

struct storage_limits storage_limits(const struct storage *s);
/* Readable when storage_step has something to do. */
int storage_fd(const struct storage *s);
/* Runs the callbacks that are due; never blocks. */
void storage_step(struct storage *s);

void storage_commit(struct storage *s, struct storage_txn *txn);
void storage_read(struct storage *s, struct storage_snapshot *snap);
/* Events of revisions >= from. -NOT_FOUND: older than what is remembered. */
int storage_watch_start(struct storage *s, struct storage_watch *w, uint64_t from);
void storage_watch_stop(struct storage *s, struct storage_watch *w); /* no event after this */

#endif
