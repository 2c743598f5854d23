/*
 * A log file that is rotated by size: PATH, PATH.1 (the one before), ... PATH.N.
 *
 *     struct logfile *f;
 *     r = logfile_open(path, LOGFILE_SIZE_DEFAULT, LOGFILE_BACKUPS_DEFAULT, &f, e);
 *     log_set_sink(logfile_sink(f));
 *
 * Appends to what is there. A line is never split over two files. At most (backups + 1) * max_size
 * bytes are kept: lines that cannot be written, or for which no file can be rotated, are dropped
 * and counted, and writing goes on when it is possible again.
 *
 * Ownership: logfile_close frees it, after log_set_sink(NULL). Threads: any (a mutex); one process
 * for each file. Failure: open: as errno; writes: see above.
 */
#ifndef BASE_LOGFILE_H
#define BASE_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "raia/error.h"

/* Ray's: 100 MiB, 5 old files. */
#define LOGFILE_SIZE_DEFAULT    (UINT64_C(100) << 20)
#define LOGFILE_BACKUPS_DEFAULT 5u
#define LOGFILE_BACKUPS_MAX     1000u

struct logfile;

/* max_size at least LOG_LINE_MAX; backups 0: the file is emptied when full. Mode 0640. */
int logfile_open(const char *path, uint64_t max_size, unsigned backups, struct logfile **ret_f,
                 struct raia_error *e);
/* A daemon's log from now on: SESSION_DIR/logs/NAME (made if missing), rotated as Ray's; each line
 * goes to the descriptor `tee`, too (-1: none). At the end: log_set_sink(NULL), logfile_close. */
int logfile_begin(const char *session_dir, const char *name, int tee, struct logfile **ret_f,
                  struct raia_error *e);
/* Accepts NULL. */
void logfile_close(struct logfile *f);
/* Each line is written to the descriptor, too, which stays the caller's; -1: no longer. */
void logfile_tee(struct logfile *f, int fd);
/* One line or several, with their newlines. */
void logfile_write(struct logfile *f, const char *text, size_t size);
struct log_sink *logfile_sink(struct logfile *f);
/* Writes dropped since it was opened. */
uint64_t logfile_dropped(struct logfile *f);

#endif
