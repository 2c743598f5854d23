/* Tests of base/unix.h. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/unix.h"
#include "tmpdir.h"

TestSuite(unix_socket, .init = tmpdir_make, .fini = tmpdir_remove);

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A client reaches a listener, which knows who it is; the socket has its mode. */
Test(unix_socket, connect)
{
    struct raia_error e = {0};
    struct unix_peer peer;
    struct stat st;
    int l, c, s;
    char got[10];
    size_t n;

    cr_assert_eq(unix_listen(tmpdir_file("s"), SOCK_STREAM, 0600, 4, &l, &e), 0, "%s", e.text);
    cr_assert_eq(stat(tmpdir_file("s"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(unix_accept(l, 0, &s), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(unix_connect(tmpdir_file("s"), SOCK_STREAM, CLOCK_NEVER, &c, &e), 0);
    cr_assert_eq(unix_accept(l, clock_deadline_ms(10000), &s), 0);
    cr_assert_eq(unix_peer(s, &peer), 0);
    cr_assert_eq(peer.pid, getpid());
    cr_assert_eq(peer.uid, getuid());
    cr_assert_eq(unix_send(c, "hello", 5, NULL, 0, 0), 0);
    cr_assert_eq(unix_recv(s, got, sizeof got, &n, NULL, 0, NULL, 0), 0);
    cr_assert_eq(n, 5);
    cr_assert_eq(unix_recv(s, got, sizeof got, &n, NULL, 0, NULL, 0), -RAIA_ERR_TIMEOUT);
    close(c);
    cr_assert_eq(unix_recv(s, got, sizeof got, &n, NULL, 0, NULL, 0), 0);
    cr_assert_eq(n, 0);
    cr_assert_eq(unix_send(s, "x", 1, NULL, 0, 0), -RAIA_ERR_UNAVAILABLE);
}

/* The socket of the dead is replaced, that of the living is not, and other files never. */
Test(unix_socket, stale)
{
    struct raia_error e = {0};
    int l, l2;

    cr_assert_eq(unix_listen(tmpdir_file("s"), SOCK_SEQPACKET, 0600, 4, &l, &e), 0);
    cr_assert_eq(unix_listen(tmpdir_file("s"), SOCK_SEQPACKET, 0600, 4, &l2, &e), -RAIA_ERR_EXISTS);
    close(l);
    cr_assert_eq(unix_connect(tmpdir_file("s"), SOCK_SEQPACKET, 0, &l, &e), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(unix_listen(tmpdir_file("s"), SOCK_SEQPACKET, 0600, 4, &l2, &e), 0, "%s", e.text);
    cr_assert_eq(io_write_file(tmpdir_file("f"), "x", 1, 0600, 0, NULL), 0);
    cr_assert_eq(unix_listen(tmpdir_file("f"), SOCK_STREAM, 0600, 4, &l, &e), -RAIA_ERR_EXISTS);
    cr_assert_eq(access(tmpdir_file("f"), F_OK), 0);
    cr_assert_eq(unix_connect(tmpdir_file("none"), SOCK_STREAM, 0, &l, &e), -RAIA_ERR_NOT_FOUND);
}

/* A path too long is refused with a text that says how long it may be. */
Test(unix_socket, long_path)
{
    struct raia_error e;
    char path[300];
    int fd = -2;

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_assert_eq(unix_listen(path, SOCK_STREAM, 0600, 1, &fd, &e), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "107"));
    cr_assert_eq(unix_connect("", SOCK_STREAM, 0, &fd, &e), -RAIA_ERR_INVALID);
    cr_assert_eq(fd, -2);
}

/* A full backlog ends at the deadline, and a connection made meanwhile is still good. */
Test(unix_socket, full_backlog)
{
    struct raia_error e;
    int l, c, r = 0;

    cr_assert_eq(unix_listen(tmpdir_file("s"), SOCK_STREAM, 0600, 1, &l, &e), 0);
    for (int i = 0; i < 10 && r == 0; i++)
        r = unix_connect(tmpdir_file("s"), SOCK_STREAM, 0, &c, &e);
    cr_assert_eq(r, -RAIA_ERR_TIMEOUT);
    int64_t deadline = clock_deadline_ms(30);
    cr_assert_eq(unix_connect(tmpdir_file("s"), SOCK_STREAM, deadline, &c, &e), -RAIA_ERR_TIMEOUT);
    cr_assert(clock_expired(deadline, clock_now_ns()));
}

/* Descriptors arrive with their message, close on exec, and refer to the same file. */
Test(unix_socket, descriptors)
{
    int pair[2], p[2], got[2];
    char data[10];
    size_t n, n_fds;

    cr_assert_eq(unix_pair(SOCK_SEQPACKET, pair), 0);
    cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
    cr_assert_eq(unix_send(pair[0], "fds", 3, p, 2, 0), 0);
    cr_assert_eq(unix_recv(pair[1], data, sizeof data, &n, got, 2, &n_fds, 0), 0);
    cr_assert_eq(n, 3);
    cr_assert_eq(n_fds, 2);
    cr_assert_neq(fcntl(got[0], F_GETFD) & FD_CLOEXEC, 0);
    cr_assert_eq(write(p[1], "x", 1), 1);
    cr_assert_eq(read(got[0], data, 1), 1);
    cr_assert_eq(unix_send(pair[0], "", 0, NULL, 0, 0), -RAIA_ERR_INVALID);
}

/* Descriptors that are not wanted, or come with a packet too large, are closed, not leaked. */
Test(unix_socket, surplus_descriptors)
{
    int pair[2], many[UNIX_FDS_MAX], got[UNIX_FDS_MAX];
    char data[4];
    size_t n = 7, n_fds = 7;

    cr_assert_eq(unix_pair(SOCK_SEQPACKET, pair), 0);
    for (int i = 0; i < UNIX_FDS_MAX; i++)
        many[i] = pair[0];
    unsigned before = open_fds();
    cr_assert_eq(unix_send(pair[0], "x", 1, many, UNIX_FDS_MAX, 0), 0);
    cr_assert_eq(unix_recv(pair[1], data, sizeof data, &n, got, 1, &n_fds, 0), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(unix_send(pair[0], "x", 1, many, UNIX_FDS_MAX, 0), 0);
    cr_assert_eq(unix_recv(pair[1], data, sizeof data, &n, NULL, 0, NULL, 0), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(unix_send(pair[0], "too long", 8, many, 1, 0), 0);
    cr_assert_eq(unix_recv(pair[1], data, sizeof data, &n, got, 1, &n_fds, 0), -RAIA_ERR_LIMIT);
    cr_assert_eq(open_fds(), before);
    cr_assert_eq(n, 7);
    cr_assert_eq(n_fds, 7);
}

/* Out of descriptors is told as such. */
Test(unix_socket, no_free_descriptor)
{
    int pair[2], got[4];
    char data[4];
    size_t n, n_fds;
    struct rlimit limit;

    cr_assert_eq(unix_pair(SOCK_SEQPACKET, pair), 0);
    cr_assert_eq(unix_send(pair[0], "x", 1, (int[]){0, 0, 0, 0}, 4, 0), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(lowest);
    struct rlimit low = {.rlim_cur = (rlim_t)lowest + 1, .rlim_max = limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    int r = unix_recv(pair[1], data, sizeof data, &n, got, 4, &n_fds, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(r, -RAIA_ERR_NO_FILES);
}

/* Sending into a full socket waits until the deadline and no longer. */
Test(unix_socket, full_socket)
{
    int pair[2], r;
    static char data[4096];

    cr_assert_eq(unix_pair(SOCK_SEQPACKET, pair), 0);
    do
        r = unix_send(pair[0], data, sizeof data, NULL, 0, 0);
    while (r == 0);
    cr_assert_eq(r, -RAIA_ERR_TIMEOUT);
    int64_t deadline = clock_deadline_ms(20);
    cr_assert_eq(unix_send(pair[0], data, 1, NULL, 0, deadline), -RAIA_ERR_TIMEOUT);
    cr_assert(clock_expired(deadline, clock_now_ns()));
}
