/*
 * Files and trees: whole reads and writes, atomic replacement, folders.
 *
 * Text of the errors names the path. Everything opened is CLOEXEC.
 *
 * Ownership: as said at each function. Threads: any. Failure: codes as err_from_errno gives them;
 * -LIMIT for a file larger than allowed. These block on the disk: not for event loops.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "raia/error.h"

/*
 * Reads until n bytes or the end of the file; *ret_n is how many came. Goes on after EINTR.
 * Descriptors are expected to block.
 */
int io_read_full(int fd, void *to, size_t n, size_t *ret_n);
/* Writes all n bytes. A broken pipe is -UNAVAILABLE if SIGPIPE is ignored. */
int io_write_full(int fd, const void *data, size_t n);

/*
 * Reads a whole file (also one of /proc, whose size says 0) of at most max bytes. *ret_data is the
 * caller's (mem_free) and has an end mark behind its last byte; ret_size may be NULL.
 */
int io_read_file(const char *path, size_t max, char **ret_data, size_t *ret_size,
                 struct raia_error *e);

/* fsync the file before it takes its name, and its folder after. */
#define IO_SYNC 1u
/* Fail with -EXISTS if the path is there (atomic). */
#define IO_NEW 2u
/*
 * Writes a file under another name and renames it: readers see the old or the new, never half. The
 * mode is set regardless of the umask.
 */
int io_write_file(const char *path, const void *data, size_t size, mode_t mode, unsigned flags,
                  struct raia_error *e);

/* Where the state of this user's clusters is kept: RAIA_STATE_DIR if that is set, else /tmp/raia-UID.
 * Only the name, as it is set; cut at size. */
void io_state_root(char *path, size_t size);

/* Makes a folder and those above it that are missing, all with this mode (less the umask). */
int io_mkdir_p(const char *path, mode_t mode, struct raia_error *e);

/* Deepest folder that io_remove_tree goes into: it holds one descriptor for each level. */
#define IO_TREE_DEPTH_MAX 200
/*
 * Removes a file or a tree. Symbolic links are removed, never followed (but for those in the
 * parents of path); other file systems mounted in it are left alone and are an error. A path that
 * is not there is no error. Goes on after a failure and reports the first one.
 */
int io_remove_tree(const char *path, struct raia_error *e);

#endif
