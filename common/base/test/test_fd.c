/* Tests of base/fd.h and base/futex.h. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/futex.h"

/* A doorbell is readable from the first ring until it is drained, and counts the rings. */
Test(fd, eventfd)
{
    int fd;

    cr_assert_eq(eventfd_make(&fd), 0);
    cr_assert_eq(eventfd_drain(fd), 0);
    cr_assert_eq(fd_wait(fd, FD_READABLE, 0), -RAIA_ERR_TIMEOUT);
    eventfd_ring(fd);
    eventfd_ring(fd);
    cr_assert_eq(fd_wait(fd, FD_READABLE, CLOCK_NEVER), 0);
    cr_assert_eq(eventfd_drain(fd), 2);
    int64_t deadline = clock_deadline_ms(10);
    cr_assert_eq(fd_wait(fd, FD_READABLE, deadline), -RAIA_ERR_TIMEOUT);
    cr_assert(clock_expired(deadline, clock_now_ns()));
    close(fd);
    cr_assert_eq(fd_wait(fd, FD_READABLE, 0), -RAIA_ERR_INTERNAL);
}

/* A sealed memory file keeps its size, passes the check, and can be given out read-only. */
Test(fd, memfd)
{
    int fd, ro, loose;

    cr_assert_eq(memfd_make("test", 4096, FD_SEAL_SIZE, &fd), 0);
    cr_assert_eq(ftruncate(fd, 0), -1);
    cr_assert_eq(ftruncate(fd, 8192), -1);
    cr_assert_eq(memfd_check(fd, 4096), 0);
    cr_assert_eq(memfd_check(fd, 4097), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(fd_reopen_readonly(fd, &ro), 0);
    cr_assert_eq(write(ro, "x", 1), -1);
    cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), MAP_FAILED);
    cr_assert_neq(fcntl(ro, F_GETFD) & FD_CLOEXEC, 0);
    cr_assert_eq(memfd_make("test", 4096, 0, &loose), 0);
    cr_assert_eq(memfd_check(loose, 1), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(memfd_check(STDERR_FILENO, 0), -RAIA_ERR_PROTOCOL);
}

/* Blocking and non-blocking can be told apart after each change. */
Test(fd, nonblock)
{
    int fd;

    cr_assert_eq(eventfd_make(&fd), 0);
    cr_assert_eq(fd_set_nonblock(fd, false), 0);
    cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    cr_assert_eq(fd_set_nonblock(fd, true), 0);
    cr_assert_neq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    cr_assert_eq(fd_set_nonblock(-1, true), -RAIA_ERR_INTERNAL);
}

/* A pidfd of a process that lives is not readable; there is none for one that does not. */
Test(fd, pidfd)
{
    int fd;

    cr_assert_eq(pidfd_of(getpid(), &fd), 0);
    cr_assert_eq(fd_wait(fd, FD_READABLE, 0), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(pidfd_kill(fd, 0), 0);
    cr_assert_lt(pidfd_of(0x3ffffffe, &fd), 0);
}

static _Atomic uint32_t word;

static void *waker(void *arg)
{
    (void)arg;
    atomic_store(&word, 1);
    futex_wake_all(&word);
    return NULL;
}

/* A futex wait ends by a wake, at once if the word has changed, and else at its deadline. */
Test(futex, wait)
{
    pthread_t thread;
    int64_t deadline = clock_deadline_ms(10);

    cr_assert_eq(futex_wait(&word, 7, CLOCK_NEVER), 0);
    int r;
    do
        r = futex_wait(&word, 0, deadline);
    while (r == 0);
    cr_assert_eq(r, -RAIA_ERR_TIMEOUT);
    cr_assert(clock_expired(deadline, clock_now_ns()));
    cr_assert_eq(futex_wait(&word, 0, -1), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(futex_wake(&word, 1), 0);
    cr_assert_eq(pthread_create(&thread, NULL, waker, NULL), 0);
    while (atomic_load(&word) == 0)
        cr_assert_eq(futex_wait(&word, 0, clock_deadline_ms(60000)), 0);
    pthread_join(thread, NULL);
}

/* A lock is one process's at a time, who asks learns whose, and its end lets go of it. */
Test(fd, lock)
{
    char path[] = "/tmp/raia-test-lock-XXXXXX", x;
    int fd = mkstemp(path), ready[2], status;
    struct raia_error e = {0};
    pid_t pid;

    cr_assert_geq(fd, 0);
    close(fd);
    cr_expect_eq(fd_lock_holder(path), 0);
    cr_assert_eq(pipe(ready), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (fd_lock(path, &fd, NULL) < 0)
            _exit(1);
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &x, 1), 1, "the child has no lock");
    close(ready[0]);
    cr_expect_eq(fd_lock_holder(path), pid);
    cr_expect_lt(fd_lock(path, &fd, &e), 0);
    cr_expect(strstr(e.text, path), "%s", e.text);
    cr_assert(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    cr_expect_eq(fd_lock_holder(path), 0);
    cr_assert_eq(fd_lock(path, &fd, &e), 0, "%s", e.text);
    close(fd);
    unlink(path);
    cr_expect_eq(fd_lock_holder(path), 0);
    cr_expect_lt(fd_lock("/nonexistent/lock", &fd, &e), 0);
}
