/*
 * posix_spawn with a map of descriptors.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"

/*
 * What is given to the child under number `to` may stand where another one is to go. So all sources
 * are first copied above the highest target; the copies are closed after the spawn.
 */
struct fd_map {
    int copies[PROC_FDS_MAX]; /* CLOEXEC */
    size_t n;                 /* of them */
};

static void fd_map_close(struct fd_map *map)
{
    for (size_t i = 0; i < map->n; i++)
        close(map->copies[i]);
}

static int fd_map_fill(struct fd_map *map, const struct proc_spec *spec,
                       posix_spawn_file_actions_t *actions)
{
    int above = 2;

    for (size_t i = 0; i < spec->n_fds; i++)
        if (spec->fds[i].to > above)
            above = spec->fds[i].to;
    for (size_t i = 0; i < spec->n_fds; i++) {
        int from = spec->fds[i].from, copy, sys;
        _cleanup_(fd_closep) int null = -1;

        if (from < 0)
            from = null = open("/dev/null", O_RDWR | O_CLOEXEC);
        copy = from < 0 ? -1 : fcntl(from, F_DUPFD_CLOEXEC, above + 1);
        if (copy < 0)
            return errno;
        map->copies[map->n++] = copy;
        sys = posix_spawn_file_actions_adddup2(actions, copy, spec->fds[i].to);
        if (sys)
            return sys;
    }
#if __GLIBC_PREREQ(2, 34)
    /* What other code of this process left open without CLOEXEC is not for the child. */
    return posix_spawn_file_actions_addclosefrom_np(actions, above + 1);
#else
    return 0;
#endif
}

static int set_attributes(posix_spawnattr_t *attr, const struct proc_spec *spec)
{
    sigset_t none, all;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;

    sigemptyset(&none);
    sigfillset(&all);
    if (spec->new_session)
        flags |= POSIX_SPAWN_SETSID;
    if (spec->new_group)
        flags |= POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setsigmask(attr, &none);
    posix_spawnattr_setsigdefault(attr, &all);
    posix_spawnattr_setpgroup(attr, 0);
    return posix_spawnattr_setflags(attr, flags);
}

static int spawn(const struct proc_spec *spec, posix_spawn_file_actions_t *actions,
                 posix_spawnattr_t *attr, pid_t *ret_pid)
{
    struct fd_map map = {.n = 0};
    char *const *argv = (char *const *)(uintptr_t)spec->argv;
    char *const *env = spec->env ? (char *const *)(uintptr_t)spec->env : environ;
    int sys = set_attributes(attr, spec);

    if (!sys && spec->cwd)
        sys = posix_spawn_file_actions_addchdir_np(actions, spec->cwd);
    if (!sys)
        sys = fd_map_fill(&map, spec, actions);
    if (!sys)
        sys = spec->use_path ? posix_spawnp(ret_pid, argv[0], actions, attr, argv, env)
                             : posix_spawn(ret_pid, argv[0], actions, attr, argv, env);
    fd_map_close(&map);
    return sys;
}

int proc_spawn(const struct proc_spec *spec, struct proc_child *ret_child, struct raia_error *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    struct proc_child child = {.pidfd = -1};
    int sys, r;

    if (!spec->argv || !spec->argv[0] || spec->n_fds > PROC_FDS_MAX)
        return err_set(e, RAIA_ERR_INVALID, "start a process: no program, or over %d descriptors",
                       PROC_FDS_MAX);
    sys = posix_spawn_file_actions_init(&actions);
    if (sys)
        return err_errno(e, sys, "start '%s'", spec->argv[0]);
    sys = posix_spawnattr_init(&attr);
    if (!sys) {
        sys = spawn(spec, &actions, &attr, &child.pid);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (sys)
        return err_errno(e, sys, "start '%s'%s%s", spec->argv[0], spec->cwd ? " in " : "",
                         spec->cwd ? spec->cwd : "");
    r = pidfd_of(child.pid, &child.pidfd);
    if (r < 0) {
        /* Unwatched children are lost ones. */
        kill(child.pid, SIGKILL);
        while (waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return err_set(e, -r, "start '%s': no descriptor to watch it: %s", spec->argv[0],
                       raia_strerror(r));
    }
    *ret_child = child;
    return 0;
}

int proc_wait(struct proc_child *child, int64_t deadline, int *ret_status)
{
    int r, status;
    pid_t pid;

    if (child->pidfd < 0)
        return -RAIA_ERR_STATE;
    r = fd_wait(child->pidfd, FD_READABLE, deadline);
    if (r < 0)
        return r;
    do
        pid = waitpid(child->pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    if (pid < 0)
        return -err_from_errno(errno);
    close(STEAL_FD(child->pidfd));
    if (ret_status)
        *ret_status = status;
    return 0;
}

void proc_kill(struct proc_child *child)
{
    if (child->pid <= 0 || child->pidfd < 0)
        return;
    (void)pidfd_kill(child->pidfd, SIGKILL); /* it may have ended: all the same */
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(STEAL_FD(child->pidfd));
}

static size_t name_size(const char *var)
{
    return strcspn(var, "=");
}

static bool same_name(const char *a, const char *b)
{
    size_t n = name_size(a);

    return n == name_size(b) && !memcmp(a, b, n);
}

static size_t env_count(const char *const *env)
{
    size_t n = 0;

    while (env && env[n])
        n++;
    return n;
}

/* Whether some of the texts is about the same variable. */
static bool mentioned(const char *const *texts, const char *var)
{
    for (; texts && *texts; texts++)
        if (same_name(*texts, var))
            return true;
    return false;
}

char **proc_env_change(const char *const *env, const char *const *changes)
{
    char **copy;
    size_t n = 0;

    if (!env)
        env = (const char *const *)environ;
    copy = mem_calloc(env_count(env) + env_count(changes) + 1, sizeof *copy);
    if (!copy)
        return NULL;
    for (; env && *env; env++) {
        if (mentioned(changes, *env))
            continue;
        copy[n] = mem_strdup(*env);
        if (!copy[n++])
            goto failed;
    }
    for (; changes && *changes; changes++) {
        if (mentioned(changes + 1, *changes) || !strchr(*changes, '='))
            continue;
        copy[n] = mem_strdup(*changes);
        if (!copy[n++])
            goto failed;
    }
    return copy;
failed:
    proc_env_free(copy);
    return NULL;
}

void proc_env_free(char **env)
{
    for (char **p = env; p && *p; p++)
        mem_free(*p);
    mem_free(env);
}

char *proc_beside(const char *name, struct raia_error *e)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *path, *slash;

    if (n <= 0) {
        err_errno(e, errno, "find the folder of this program");
        return NULL;
    }
    self[n] = '\0';
    slash = strrchr(self, '/');
    path = mem_printf("%.*s/%s", slash ? (int)(slash - self) : 0, self, name);
    if (!path)
        err_set(e, RAIA_ERR_NOMEM, "the path of the program '%s'", name);
    return path;
}
