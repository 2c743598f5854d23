/*
 * Packages: files by content hash, in one folder. Code of jobs, and their working folders.
 *
 *     r = package_writer_new(p, sha256, size, mode, &w, e);   // sha256 NULL, size -1: not known
 *     r = package_writer_add(w, data, len, e);                // any number of times
 *     r = package_writer_finish(w, e);                        // blocks on the disk: any thread
 *     package_writer_free(w);                                 // removes what was not finished
 *
 * A package appears under its name (its SHA-256 in hex) only when it is whole, is what its name
 * says, and is on the disk. Leftovers of a crash are removed by packages_open.
 *
 * When all together would pass the limit, those go that were used (written, read, asked for) least
 * recently, but none that a job uses (packages_guard) and none used within fresh_ms: it may have been
 * uploaded for a job that is about to be submitted. A file's time of modification is when it was
 * used last, so that a restart forgets nothing.
 *
 * Ownership: the writer owns its temporary file. Threads: the owner's, but for
 * package_writer_finish. Failure: -LIMIT (too large, or all together are), -INVALID (it is not what
 * was announced), -DISK_FULL, -IO.
 */
#ifndef SERVICE_PACKAGES_H
#define SERVICE_PACKAGES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "crypto/crypto.h"
#include "raia/error.h"

struct packages {
    char *dir;                                     /* owned */
    uint64_t max_one;                              /* bytes of one package */
    uint64_t max_all;                              /* bytes of all */
    uint64_t bytes;                                /* of all, those being written included */
    uint64_t counter;                              /* names of temporary files */
    int64_t fresh_ms;                              /* used so lately: kept */
    bool (*in_use)(void *arg, const char *sha256); /* NULL: all are */
    void *arg;                                     /* of in_use */
    pthread_mutex_t lock;                          /* a file is put there, or removed */
};

struct package_writer {
    struct packages *packages;           /* where */
    struct crypto_sha256 *hash;          /* of what was added */
    char *path;                          /* of the temporary file; owned */
    int fd;                              /* open, or -1 */
    mode_t mode;                         /* of the file to be */
    char sha256[CRYPTO_SHA256_HEX_SIZE]; /* expected; after finish: what it is */
    bool has_sha256;                     /* one is expected */
    int64_t size;                        /* expected bytes; -1: not known */
    uint64_t written;                    /* bytes added */
    bool finished;                       /* it is there */
};

int packages_open(struct packages *p, const char *dir, uint64_t max_one, uint64_t max_all,
                  struct raia_error *e);
void packages_close(struct packages *p); /* accepts a zeroed one */
/* Who says what may go; before, nothing does. */
void packages_guard(struct packages *p, bool (*in_use)(void *arg, const char *sha256), void *arg,
                    int64_t fresh_ms);
/* It is used now. False: it is not there. */
bool packages_touch(struct packages *p, const char *sha256);
/* 64 lower-case hex digits? */
bool package_name_ok(const char *sha256);
/* Opens one to be read: a descriptor, or -NOT_FOUND. */
int packages_read(struct packages *p, const char *sha256, uint64_t *ret_size, mode_t *ret_mode);

int package_writer_new(struct packages *p, const char *sha256, int64_t size, mode_t mode,
                       struct package_writer **ret_w, struct raia_error *e);
int package_writer_add(struct package_writer *w, const void *data, size_t len,
                       struct raia_error *e);
int package_writer_finish(struct package_writer *w, struct raia_error *e);
void package_writer_free(struct package_writer *w); /* accepts NULL */

#endif
