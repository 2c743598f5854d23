/*
 * Unix sockets, blocking with deadlines, and descriptors sent through them.
 *
 * type is SOCK_STREAM or SOCK_SEQPACKET. All sockets made here are CLOEXEC and non-blocking, so
 * that a deadline of 0 means "only what is possible at once", and event loops can use them as they
 * are. Deadlines are points of clock_now_ns(), CLOCK_NEVER for none.
 *
 * Ownership: descriptors given out are the caller's; those sent stay the caller's.
 * Threads: any; one at a time for each direction of a socket.
 * Failure: -TIMEOUT at the deadline; -UNAVAILABLE when the other side is gone; others as errno.
 */
#ifndef BASE_UNIX_H
#define BASE_UNIX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "raia/error.h"

/* Descriptors in one message. */
#define UNIX_FDS_MAX 16

/*
 * Listens at path, with this mode from the first moment (less the umask). The socket of a dead
 * process is replaced (two who do that at one time need a lock of theirs); -EXISTS if somebody
 * answers there. Paths over 107 bytes are -INVALID.
 */
int unix_listen(const char *path, int type, mode_t mode, int backlog, int *ret_fd,
                struct raia_error *e);
/* -NOT_FOUND: no socket there; -UNAVAILABLE: nobody listens. */
int unix_connect(const char *path, int type, int64_t deadline, int *ret_fd, struct raia_error *e);
int unix_accept(int listener, int64_t deadline, int *ret_fd);
int unix_pair(int type, int ret_fds[2]);

/* Who connected or listens. */
struct unix_peer {
    pid_t pid; /* at the time of connecting; 0 if in a foreign pid namespace */
    uid_t uid;
    gid_t gid;
};
int unix_peer(int fd, struct unix_peer *ret_peer);

/*
 * Sends size > 0 bytes, with n_fds descriptors attached to the first of them. On a stream a failure
 * may come after a part was sent: the connection is then of no use. A packet goes whole or not.
 */
int unix_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds,
              int64_t deadline);

/*
 * Receives one packet, or what a stream has, up to size bytes; *ret_size 0: the other side is done.
 * Descriptors (CLOEXEC) go to fds, their number to *ret_n_fds. More than max_fds of them is
 * -PROTOCOL, a packet larger than size -LIMIT, no free descriptor here -NO_FILES: in all these
 * cases every descriptor that came is closed. fds and ret_n_fds may be NULL if max_fds is 0.
 */
int unix_recv(int fd, void *to, size_t size, size_t *ret_size, int *fds, size_t max_fds,
              size_t *ret_n_fds, int64_t deadline);

#endif
