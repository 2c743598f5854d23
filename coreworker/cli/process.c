/*
 * Processes of a cluster (process.h).
 */
#include "cli/process.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"

#define KILLED_MS  10000     /* for a killed process to go */
#define PROC_BYTES (4 << 20) /* of a command line or environment */
#define SWEEPS     100       /* rounds; each kills what the one before did not see being started */

char *process_program(const char *name, struct raia_error *e)
{
    char *path = proc_beside(name, e);
    if (path && access(path, X_OK) < 0) {
        err_errno(e, errno, "the program '%s' is not installed beside this one", path);
        mem_free(STEAL(path));
    }
    return path;
}

/* Waits for a process that need not be a child; false: still there. A second Ctrl-C does not end
 * the wait: processes would be left behind. */
static bool gone_within(int pidfd, int ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int64_t until = clock_deadline_ms(ms);
    for (;;) {
        int n = poll(&p, 1, clock_left_ms(until, clock_now_ns()));
        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

bool process_end(pid_t pid, int grace_ms)
{
    _cleanup_(fd_closep) int fd = -1;
    if (pid <= 1 || pid == getpid() || pidfd_of(pid, &fd) < 0)
        return true;
    (void)pidfd_kill(fd, SIGTERM);
    bool gone = gone_within(fd, grace_ms);
    if (!gone) {
        (void)pidfd_kill(fd, SIGKILL);
        gone = gone_within(fd, KILLED_MS);
    }
    (void)waitpid(pid, NULL, WNOHANG); /* if it is a child */
    return gone;
}

/* Whether one of the texts in a list such as /proc/PID/environ begins with both parts. */
static bool list_has(const char *list, size_t size, const char *prefix, const char *dir)
{
    size_t n = strlen(prefix), m = strlen(dir);
    for (const char *p = list, *end = list + size; p < end; p += strnlen(p, (size_t)(end - p)) + 1)
        if (!strncmp(p, prefix, n) && !strncmp(p + n, dir, m) && p[n + m] == '/')
            return true;
    return false;
}

static bool belongs(pid_t pid, const char *dir)
{
    char path[64];
    _cleanup_(mem_freep) char *args = NULL;
    _cleanup_(mem_freep) char *env = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    if (io_read_file(path, PROC_BYTES, &args, &size, NULL) == 0 &&
        list_has(args, size, "--session-dir=", dir))
        return true;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    return io_read_file(path, PROC_BYTES, &env, &size, NULL) == 0 &&
           list_has(env, size, "RAIA_SESSION_DIR=", dir);
}

static pid_t parent_of(pid_t pid)
{
    char path[64];
    _cleanup_(mem_freep) char *text = NULL;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (io_read_file(path, PROC_BYTES, &text, NULL, NULL) < 0)
        return 0;
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    int parent = 0;
    return p && sscanf(p, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool above_us(pid_t pid)
{
    for (pid_t p = getpid(); p > 1; p = parent_of(p))
        if (p == pid)
            return true;
    return false;
}

static size_t sweep_once(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *it; d && (it = readdir(d));) {
        char *end, path[64];
        long pid = strtol(it->d_name, &end, 10);
        struct stat st;
        snprintf(path, sizeof path, "/proc/%ld", pid);
        if (*end || pid <= 1 || stat(path, &st) < 0 || st.st_uid != getuid() ||
            !belongs((pid_t)pid, dir) || above_us((pid_t)pid))
            continue;
        _cleanup_(fd_closep) int fd = -1;
        if (pidfd_of((pid_t)pid, &fd) < 0 || !belongs((pid_t)pid, dir))
            continue; /* it is gone, and the number may be another's */
        n++;
        (void)pidfd_kill(fd, SIGKILL);
        (void)gone_within(fd, KILLED_MS);
    }
    if (d)
        closedir(d);
    return n;
}

size_t process_sweep(const char *dir)
{
    size_t all = 0, n = 1;
    for (int i = 0; n && i < SWEEPS; i++)
        all += n = sweep_once(dir);
    return all;
}
