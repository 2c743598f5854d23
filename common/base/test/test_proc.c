/* Tests of base/proc.h. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"

#define LONG_ENOUGH clock_deadline_ms(60000)

static size_t run_and_read(struct proc_spec *spec, int read_fd, int write_fd, char *out, size_t max)
{
    struct proc_child child;
    struct raia_error e = {0};
    size_t n;
    int status;

    cr_assert_eq(proc_spawn(spec, &child, &e), 0, "%s", e.text);
    close(write_fd);
    cr_assert_eq(io_read_full(read_fd, out, max - 1, &n), 0);
    out[n] = '\0';
    cr_assert_eq(proc_wait(&child, LONG_ENOUGH, &status), 0);
    cr_assert_eq(child.pidfd, -1);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    return n;
}

/* The child has the folder, the environment and the descriptors that were named, and no others. */
Test(proc, spawn)
{
    const char *argv[] = {"sh", "-c", "pwd; echo $A-$PATH_; ls /proc/self/fd", NULL};
    const char *env[] = {"A=b", NULL};
    int p[2];
    char out[256];

    cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
    struct proc_fd fds[] = {{.from = -1, .to = 0}, {.from = p[1], .to = 1}, {.from = -1, .to = 2}};
    struct proc_spec s = {
        .argv = argv, .env = env, .cwd = "/proc", .fds = fds, .n_fds = 3, .use_path = true};
    run_and_read(&s, p[0], p[1], out, sizeof out);
    cr_assert_str_eq(out, "/proc\nb-\n0\n1\n2\n3\n");
}

/* Descriptors may change places. */
Test(proc, swapped_descriptors)
{
    const char *argv[] = {
        "/bin/sh", "-c", "echo to-a >/proc/self/fd/$0; echo to-b >/proc/self/fd/$1",
        NULL,      NULL, NULL};
    int a[2], b[2];
    char out[64], na[16], nb[16];
    size_t n;

    cr_assert_eq(pipe2(a, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(b, O_CLOEXEC), 0);
    snprintf(na, sizeof na, "%d", b[1]);
    snprintf(nb, sizeof nb, "%d", a[1]);
    argv[3] = na;
    argv[4] = nb;
    struct proc_fd fds[] = {{.from = a[1], .to = b[1]}, {.from = b[1], .to = a[1]}};
    struct proc_spec s = {.argv = argv, .fds = fds, .n_fds = 2};
    run_and_read(&s, a[0], a[1], out, sizeof out);
    cr_assert_str_eq(out, "to-a\n");
    close(b[1]);
    cr_assert_eq(io_read_full(b[0], out, sizeof out, &n), 0);
    cr_assert(n == 5 && !memcmp(out, "to-b\n", 5));
}

/* A program that is not there, or a folder that is not, is an error of the call, with its name. */
Test(proc, cannot_start)
{
    const char *argv[] = {"/nonexistent/program", NULL}, *ok[] = {"/bin/true", NULL};
    struct proc_child child = {.pid = 77};
    struct raia_error e;
    struct proc_spec s = {.argv = argv};

    cr_assert_eq(proc_spawn(&s, &child, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert(strstr(e.text, "/nonexistent/program"), "%s", e.text);
    s = (struct proc_spec){.argv = ok, .cwd = "/nonexistent"};
    cr_assert_eq(proc_spawn(&s, &child, &e), -RAIA_ERR_NOT_FOUND);
    struct proc_fd bad = {.from = 9999, .to = 1};
    s = (struct proc_spec){.argv = ok, .fds = &bad, .n_fds = 1};
    cr_assert_lt(proc_spawn(&s, &child, &e), 0);
    cr_assert_eq(child.pid, 77);
}

/* Blocked and ignored signals of the parent are not the child's. */
Test(proc, signals)
{
    const char *argv[] = {"/bin/sh", "-c", "kill -TERM $$; kill -USR1 $$; exit 0", NULL};
    sigset_t all;
    struct proc_child child;
    struct proc_spec s = {.argv = argv, .new_session = true};
    int status;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGTERM, SIG_IGN);
    cr_assert_eq(proc_spawn(&s, &child, NULL), 0);
    cr_assert_eq(getsid(child.pid), child.pid);
    cr_assert_eq(proc_wait(&child, LONG_ENOUGH, &status), 0);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "%x", status);
}

/* Waiting respects its deadline; killing reaps; doing it again does nothing. */
Test(proc, kill)
{
    const char *argv[] = {"/bin/sleep", "600", NULL};
    struct proc_child child;
    struct proc_spec s = {.argv = argv, .new_group = true};
    int status = 5;

    cr_assert_eq(proc_spawn(&s, &child, NULL), 0);
    cr_assert_eq(getpgid(child.pid), child.pid);
    cr_assert_eq(proc_wait(&child, 0, &status), -RAIA_ERR_TIMEOUT);
    cr_assert_eq(status, 5);
    proc_kill(&child);
    cr_assert_eq(waitpid(child.pid, NULL, 0), -1);
    proc_kill(&child);
    cr_assert_eq(proc_wait(&child, 0, &status), -RAIA_ERR_STATE);
}

/* Changes set, replace and remove variables; the last change of a name counts. */
Test(proc, environment)
{
    const char *env[] = {"A=1", "AB=2", "C=3", NULL};
    const char *changes[] = {"A=x", "C", "D=4", "A=y", NULL};

    for (uint64_t nth = 1;; nth++) {
        mem_fail_nth(nth);
        char **got = proc_env_change(env, changes);
        bool reached = mem_fail_count() >= nth;
        mem_fail_nth(0);
        if (reached) {
            cr_assert_null(got);
            continue;
        }
        cr_assert_str_eq(got[0], "AB=2");
        cr_assert_str_eq(got[1], "D=4");
        cr_assert_str_eq(got[2], "A=y");
        cr_assert_null(got[3]);
        proc_env_free(got);
        break;
    }
    char **same = proc_env_change(NULL, NULL);
    for (int i = 0; environ[i]; i++)
        cr_assert_str_eq(same[i], environ[i]);
    proc_env_free(same);
}

/* The path of a program beside this one; out of memory is told. */
Test(proc, beside)
{
    struct raia_error e = {0};
    char self[4096], *path = proc_beside("other", &e);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    cr_assert(n > 0 && path, "%s", e.text);
    self[n] = '\0';
    strcpy(strrchr(self, '/') + 1, "other");
    cr_assert_str_eq(path, self);
    mem_free(path);
    mem_fail_nth(1);
    cr_assert_null(proc_beside("other", &e));
    mem_fail_nth(0);
    cr_assert_eq(e.code, RAIA_ERR_NOMEM);
}
