/*
 * Unix sockets and SCM_RIGHTS.
 */
#include "base/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"

/* The kernel's SCM_MAX_FD: as many as one message can carry, so that none is lost unseen. */
#define FDS_POSSIBLE 253

static int address(const char *path, struct sockaddr_un *ret_a, struct raia_error *e)
{
    size_t n = strlen(path);

    *ret_a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n == 0 || n >= sizeof ret_a->sun_path)
        return err_set(
            e, RAIA_ERR_INVALID,
            "socket path '%s' has %zu bytes, 1 to %zu are possible: use a shorter folder", path, n,
            sizeof ret_a->sun_path - 1);
    memcpy(ret_a->sun_path, path, n);
    return 0;
}

static int make_socket(int type, int *ret_fd, struct raia_error *e)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_errno(e, errno, "make a unix socket");
    *ret_fd = fd;
    return 0;
}

/* Removes the socket at the address if nobody listens there. True: binding is worth a second try.
 */
static bool remove_stale(const struct sockaddr_un *a, int type)
{
    _cleanup_(fd_closep) int fd = -1;
    struct stat st;

    if (lstat(a->sun_path, &st) < 0)
        return errno == ENOENT;
    if (!S_ISSOCK(st.st_mode) || make_socket(type, &fd, NULL) < 0)
        return false;
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno != ECONNREFUSED)
        return false;
    return unlink(a->sun_path) == 0 || errno == ENOENT;
}

int unix_listen(const char *path, int type, mode_t mode, int backlog, int *ret_fd,
                struct raia_error *e)
{
    _cleanup_(fd_closep) int fd = -1;
    struct sockaddr_un a;
    int r = address(path, &a, e);

    if (r == 0)
        r = make_socket(type, &fd, e);
    if (r < 0)
        return r;
    /* The file that bind makes gets the mode of the socket: there is no moment of a wider one. */
    if (fchmod(fd, mode) < 0)
        return err_errno(e, errno, "set the mode of socket '%s'", path);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 &&
        (errno != EADDRINUSE || !remove_stale(&a, type) ||
         bind(fd, (struct sockaddr *)&a, sizeof a) < 0)) {
        if (errno == EADDRINUSE || access(path, F_OK) == 0)
            return err_set(e, RAIA_ERR_EXISTS,
                           "socket '%s': another process listens there, or it is no socket", path);
        return err_errno(e, errno, "bind socket '%s'", path);
    }
    if (listen(fd, backlog) < 0)
        return err_errno(e, errno, "listen on '%s'", path);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

int unix_connect(const char *path, int type, int64_t deadline, int *ret_fd, struct raia_error *e)
{
    _cleanup_(fd_closep) int fd = -1;
    struct sockaddr_un a;
    int r = address(path, &a, e);

    if (r == 0)
        r = make_socket(type, &fd, e);
    if (r < 0)
        return r;
    while (r == 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int sys = errno;
        int64_t left = clock_left_ns(deadline, clock_now_ns());
        struct timeval limit = {.tv_sec = 3600};

        if (sys == EINTR)
            continue;
        if (sys != EAGAIN)
            return err_errno(e, sys, "connect to '%s'", path);
        if (left == 0)
            return err_set(e, RAIA_ERR_TIMEOUT, "connect to '%s': its backlog stays full", path);
        /* A full backlog can be waited for only by blocking, which the send timeout bounds. */
        if (left / CLOCK_NS_PER_S < 3600)
            limit = (struct timeval){.tv_sec = left / CLOCK_NS_PER_S,
                                     .tv_usec = left % CLOCK_NS_PER_S / 1000 + 1};
        if (limit.tv_usec > 999999)
            limit.tv_usec = 999999;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
            return err_errno(e, errno, "connect to '%s'", path);
        r = fd_set_nonblock(fd, false);
    }
    if (r == 0)
        r = fd_set_nonblock(fd, true);
    if (r < 0)
        return err_set(e, -r, "connect to '%s': %s", path, raia_strerror(r));
    *ret_fd = STEAL_FD(fd);
    return 0;
}

int unix_accept(int listener, int64_t deadline, int *ret_fd)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;
        if (fd >= 0) {
            *ret_fd = fd;
            return 0;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN)
            return -err_from_errno(errno);
        r = fd_wait(listener, FD_READABLE, deadline);
        if (r < 0)
            return r;
    }
}

int unix_pair(int type, int ret_fds[2])
{
    int fds[2];

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -err_from_errno(errno);
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return 0;
}

int unix_peer(int fd, struct unix_peer *ret_peer)
{
    struct ucred c;
    socklen_t n = sizeof c;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) < 0)
        return -err_from_errno(errno);
    *ret_peer = (struct unix_peer){.pid = c.pid, .uid = c.uid, .gid = c.gid};
    return 0;
}

union control {
    struct cmsghdr align; /* the buffer must be aligned as its header */
    char space[CMSG_SPACE(FDS_POSSIBLE * sizeof(int))];
};

int unix_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds, int64_t deadline)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (size == 0 || n_fds > UNIX_FDS_MAX)
        return -RAIA_ERR_INVALID;
    if (n_fds) {
        struct cmsghdr *c = &control.align;
        memset(&control, 0, CMSG_SPACE(n_fds * sizeof(int)));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    while (iov.iov_len) {
        ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            iov.iov_base = (char *)iov.iov_base + n;
            iov.iov_len -= (size_t)n;
            m.msg_control = NULL;
            m.msg_controllen = 0;
        } else if (n < 0 && errno == EAGAIN) {
            int r = fd_wait(fd, FD_WRITABLE, deadline);
            if (r < 0)
                return r;
        } else if (n < 0 && errno != EINTR) {
            return -err_from_errno(errno);
        }
    }
    return 0;
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* Takes the descriptors out of a message; those beyond what `all` holds cannot exist. */
static size_t take_fds(struct msghdr *m, int *all)
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < here && n < FDS_POSSIBLE; i++)
            memcpy(&all[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

int unix_recv(int fd, void *to, size_t size, size_t *ret_size, int *fds, size_t max_fds,
              size_t *ret_n_fds, int64_t deadline)
{
    union control control;
    struct iovec iov = {.iov_base = to, .iov_len = size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int all[FDS_POSSIBLE], r;
    size_t n_fds;
    ssize_t n;

    for (;;) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n >= 0)
            break;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -err_from_errno(errno);
        r = fd_wait(fd, FD_READABLE, deadline);
        if (r < 0)
            return r;
    }
    n_fds = take_fds(&m, all);
    r = m.msg_flags & MSG_CTRUNC  ? -RAIA_ERR_NO_FILES
        : m.msg_flags & MSG_TRUNC ? -RAIA_ERR_LIMIT
        : n_fds > max_fds         ? -RAIA_ERR_PROTOCOL
                                  : 0;
    if (r < 0) {
        close_all(all, n_fds);
        return r;
    }
    if (n_fds)
        memcpy(fds, all, n_fds * sizeof(int));
    if (ret_n_fds)
        *ret_n_fds = n_fds;
    *ret_size = (size_t)n;
    return 0;
}
