/*
 * Starting, signalling and reaping processes (child.h).
 */
#include "supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/proc.h"

#define OUTPUT_MODE 0600

bool child_program_path(const char *name, char *buf, size_t size)
{
    struct raia_error e;
    _cleanup_(mem_freep) char *path = proc_beside(name, &e);
    int m = path ? snprintf(buf, size, "%s", path) : 0;
    return m > 0 && (size_t)m < size;
}

static int add_actions(posix_spawn_file_actions_t *a, const struct child_spec *s)
{
    int r = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);
    const char *out = s->stdout_path ? s->stdout_path : "/dev/null";
    if (!r && !s->keep_output)
        r = posix_spawn_file_actions_addopen(a, 1, out, O_WRONLY | O_CREAT | O_APPEND, OUTPUT_MODE);
    if (s->keep_output)
        ;
    else if (!r && s->stderr_path)
        r = posix_spawn_file_actions_addopen(a, 2, s->stderr_path, O_WRONLY | O_CREAT | O_APPEND,
                                             OUTPUT_MODE);
    else if (!r)
        r = posix_spawn_file_actions_adddup2(a, 1, 2);
    if (!r && s->fd3 >= 0)
        r = posix_spawn_file_actions_adddup2(a, s->fd3, 3);
    if (!r && s->cwd)
        r = posix_spawn_file_actions_addchdir_np(a, s->cwd);
    return r;
}

int child_start(const struct child_spec *s, pid_t *ret_pid, struct raia_error *e)
{
    char shim[4096], parent[16];
    if (!child_program_path("raia-shim", shim, sizeof shim))
        return err_set(e, RAIA_ERR_IO, "cannot tell which folder this program lies in (/proc?)");
    snprintf(parent, sizeof parent, "%d", (int)getpid());

    size_t n = 0;
    while (s->argv[n])
        n++;
    _cleanup_(mem_freep) char **argv = mem_calloc(n + 3, sizeof *argv);
    if (!argv)
        return err_set(e, RAIA_ERR_NOMEM, "start '%s'", s->argv[0]);
    argv[0] = shim;
    argv[1] = parent;
    memcpy(argv + 2, s->argv, n * sizeof *argv);

    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);
    if (r)
        return err_errno(e, r, "start '%s'", s->argv[0]);
    pid_t pid = -1;
    r = add_actions(&actions, s);
    if (!r)
        r = posix_spawn(&pid, shim, &actions, NULL, argv, s->env);
    posix_spawn_file_actions_destroy(&actions);
    if (r)
        return err_errno(e, r, "start '%s' (through '%s', output to '%s', in '%s')", s->argv[0],
                         shim, s->stdout_path ? s->stdout_path : "/dev/null",
                         s->cwd ? s->cwd : ".");
    *ret_pid = pid;
    return 0;
}

void child_signal(pid_t pid, int signo)
{
    if (pid <= 1)
        return;
    /* The group exists once the shim has made it; until then only the shim itself is there. */
    if (kill(-pid, signo) < 0)
        (void)kill(pid, signo);
}

void child_signal_group(pid_t pid, int signo)
{
    if (pid > 1)
        (void)kill(-pid, signo);
}

bool child_reap(pid_t *ret_pid, int *ret_status, bool *ret_signaled)
{
    int status;
    pid_t pid;
    do
        pid = waitpid(-1, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid <= 0)
        return false;
    *ret_pid = pid;
    *ret_signaled = WIFSIGNALED(status);
    *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

size_t child_signal_all(int signo, const pid_t *except, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    _cleanup_(file_closep) FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t count = 0;
    long pid;
    while (fscanf(f, "%ld", &pid) == 1) {
        bool skip = false;
        for (size_t i = 0; i < n; i++)
            skip |= except[i] == (pid_t)pid;
        if (skip)
            continue;
        child_signal((pid_t)pid, signo);
        count++;
    }
    return count;
}
