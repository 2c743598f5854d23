/*
 * A cluster of one's own: `raia start --head` as a child, which ends when this program does.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/runtime.h"

extern char **environ;

/*
 * The program `raia` that belongs to this library: ../bin/raia as seen from where the library (or
 * the program that it is linked into) lies, which is right in a build folder and once installed;
 * beside it; else the one in PATH.
 */
static const char *raia_program(char *path, size_t size)
{
    static const char *const where[] = {"../bin/raia", "raia", "../raia"};
    char real[PATH_MAX], *slash;
    Dl_info self;

    if (dladdr((void *)(uintptr_t)raia_program, &self) == 0 || !self.dli_fname ||
        !realpath(strchr(self.dli_fname, '/') ? self.dli_fname : "/proc/self/exe", real))
        return "raia";
    slash = strrchr(real, '/');
    for (unsigned i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        snprintf(path, size, "%.*s/%s", (int)(slash - real), real, where[i]);
        if (access(path, X_OK) == 0)
            return path;
    }
    return "raia";
}

#define START_MS 60000 /* for the head to be ready */

/* What it says on success is for people; its errors are for whoever started this program. `quiet`
 * hides these too. */
static int run(char *const argv[], bool quiet, int64_t deadline)
{
    posix_spawn_file_actions_t files;
    int status;
    pid_t pid;
    int r = posix_spawn_file_actions_init(&files);

    if (r == 0) {
        posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        if (quiet)
            posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        r = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&files);
    }
    if (r != 0)
        return -err_from_errno(r);
    for (;;) {
        pid_t w = waitpid(pid, &status, WNOHANG);

        if (w == pid)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -RAIA_ERR_UNAVAILABLE;
        if (w < 0 && errno != EINTR)
            return -RAIA_ERR_UNAVAILABLE;
        if (clock_now_ns() >= deadline) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -RAIA_ERR_TIMEOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

int cluster_start(const struct raia_config *config, char *path, size_t size, pid_t *ret_pid,
                  char *name, size_t name_size, struct raia_error *e)
{
    char cpus[32], store[32], owner[16], program[PATH_MAX + 16], *argv[18];
    int n = 0, r;

    snprintf(name, name_size, "own-%d-%llx", (int)getpid(), (unsigned long long)clock_unix_ms());
    argv[n++] = (char *)(uintptr_t)raia_program(program, sizeof(program));
    argv[n++] = (char *)(uintptr_t) "start";
    argv[n++] = (char *)(uintptr_t) "--head";
    argv[n++] = (char *)(uintptr_t) "--name";
    argv[n++] = name;
    snprintf(owner, sizeof(owner), "%d", (int)getpid());
    argv[n++] = (char *)(uintptr_t) "--owner"; /* killed, it takes the cluster along */
    argv[n++] = owner;
    argv[n++] = (char *)(uintptr_t) "--port";
    argv[n++] = (char *)(uintptr_t) "0";
    argv[n++] = (char *)(uintptr_t) "--dashboard-port";
    argv[n++] = (char *)(uintptr_t) "0";
    if (config && config->num_cpus > 0) {
        snprintf(cpus, sizeof(cpus), "%g", config->num_cpus);
        argv[n++] = (char *)(uintptr_t) "--num-cpus";
        argv[n++] = cpus;
    }
    if (config && config->object_store_bytes > 0) {
        snprintf(store, sizeof(store), "%lld", (long long)config->object_store_bytes);
        argv[n++] = (char *)(uintptr_t) "--object-store-memory";
        argv[n++] = store;
    }
    argv[n] = NULL;
    r = run(argv, false, clock_deadline_ms(START_MS));
    if (r < 0)
        return err_set(e, -r,
                       "no RAIA_ADDRESS is set, and a cluster could not be started with "
                       "`raia start --head`: is the program `raia` beside libraia "
                       "(../bin) or in PATH?");
    *ret_pid = getpid();
    return session_address(name, path, size, e);
}

void cluster_stop(struct runtime *rt)
{
    char program[PATH_MAX + 16];
    char *argv[] = {(char *)(uintptr_t)raia_program(program, sizeof(program)),
                    (char *)(uintptr_t) "down", (char *)(uintptr_t) "--purge", rt->cluster_name,
                    NULL};

    if (!rt->cluster_pid)
        return;
    rt->cluster_pid = 0;
    run(argv, true, clock_deadline_ms(START_MS));
}
