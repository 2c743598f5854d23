/*
 * Descriptors: poll, eventfd, pidfd, memfd.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

int fd_wait(int fd, enum fd_event event, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = event == FD_READABLE ? POLLIN : POLLOUT};

    for (;;) {
        int64_t now = deadline == 0 ? 0 : clock_now_ns();
        int r = poll(&p, 1, clock_left_ms(deadline, now));
        if (r > 0)
            return p.revents & POLLNVAL ? -RAIA_ERR_INTERNAL : 0;
        if (r < 0 && errno != EINTR)
            return -err_from_errno(errno);
        if (r == 0 && (deadline == 0 || clock_expired(deadline, clock_now_ns())))
            return -RAIA_ERR_TIMEOUT;
    }
}

int fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
        return -err_from_errno(errno);
    return 0;
}

int fd_reopen_readonly(int fd, int *ret_fd)
{
    char path[64];
    int again;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0)
        return -err_from_errno(errno);
    *ret_fd = again;
    return 0;
}

int fd_lock(const char *path, int *ret_fd, struct raia_error *e)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    _cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || fcntl(fd, F_SETLK, &l) < 0)
        return err_errno(e, errno, "lock '%s'", path);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

pid_t fd_lock_holder(const char *path)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    _cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CLOEXEC);

    return fd < 0 || fcntl(fd, F_GETLK, &l) < 0 || l.l_type == F_UNLCK ? 0 : l.l_pid;
}

int eventfd_make(int *ret_fd)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -err_from_errno(errno);
    *ret_fd = fd;
    return 0;
}

void eventfd_ring(int fd)
{
    uint64_t one = 1;

    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

uint64_t eventfd_drain(int fd)
{
    uint64_t count = 0;

    while (read(fd, &count, sizeof count) < 0)
        if (errno != EINTR)
            return 0;
    return count;
}

int pidfd_of(pid_t pid, int *ret_fd)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0)
        return -err_from_errno(errno);
    *ret_fd = (int)fd;
    return 0;
}

int pidfd_kill(int pidfd, int signal)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0)
        return -err_from_errno(errno);
    return 0;
}

int memfd_make(const char *name, size_t size, unsigned seals, int *ret_fd)
{
    _cleanup_(fd_closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -err_from_errno(errno);
    if (size > INT64_MAX)
        return -RAIA_ERR_LIMIT;
    if (ftruncate(fd, (off_t)size) < 0)
        return -err_from_errno(errno);
    if ((seals & FD_SEAL_SIZE) && fcntl(fd, F_ADD_SEALS, SIZE_SEALS | F_SEAL_SEAL) < 0)
        return -err_from_errno(errno);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

int memfd_check(int fd, size_t size)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS || fstat(fd, &st) < 0 ||
        (uintmax_t)st.st_size < size)
        return -RAIA_ERR_PROTOCOL;
    return 0;
}
