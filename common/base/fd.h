/*
 * Small tools for descriptors: waiting with a deadline, eventfds, pidfds, sealed memory files.
 *
 * Ownership: descriptors given out are the caller's and CLOEXEC. Threads: any.
 * Failure: codes as err_from_errno gives them.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "raia/error.h"

enum fd_event { FD_READABLE, FD_WRITABLE };

/*
 * Waits until fd is ready (or broken: the next call on it tells). -TIMEOUT at the deadline, a point
 * of clock_now_ns(). Goes on after signals.
 */
int fd_wait(int fd, enum fd_event event, int64_t deadline);
int fd_set_nonblock(int fd, bool on);
/* A second descriptor of the same memory file, not writable: to be given to those who only read. */
int fd_reopen_readonly(int fd, int *ret_fd);

/*
 * A lock on the file at `path`, made if need be (mode 0600), until the descriptor is closed or the
 * process ends. A record lock, not flock: it tells who holds it, and asking does not take it. Fails if
 * somebody else holds it, or the file cannot be had.
 */
int fd_lock(const char *path, int *ret_fd, struct raia_error *e);
/* The process that holds such a lock; 0: none but perhaps this one, or no such file. Not for one's
 * own locks: to close any descriptor of the file lets go of them. */
pid_t fd_lock_holder(const char *path);

/* A non-blocking eventfd of value 0: a doorbell. */
int eventfd_make(int *ret_fd);
/* Makes it readable. Never blocks: a bell that rings already stays so. */
void eventfd_ring(int fd);
/* Makes it unreadable; the number of rings since the last time. */
uint64_t eventfd_drain(int fd);

/* Becomes readable when the process ends. -NOT_FOUND: there is no such process. */
int pidfd_of(pid_t pid, int *ret_fd);
/* Sends a signal to just that process, even if its pid has been given to another. */
int pidfd_kill(int pidfd, int signal);

/*
 * A memory file of exactly this size. FD_SEAL_SIZE forbids shrinking and growing (and further
 * sealing), so that no mapping of it can fault.
 */
#define FD_SEAL_SIZE 1u
int memfd_make(const char *name, size_t size, unsigned seals, int *ret_fd);
/* 0 if fd is a memory file of at least `size` bytes whose size is sealed; else -PROTOCOL. */
int memfd_check(int fd, size_t size);

#endif
