/*
 * Starting child processes, with exactly the descriptors, folder and environment that are named.
 *
 *     struct proc_fd fds[] = {{.from = log_fd, .to = 1}, {.from = log_fd, .to = 2}};
 *     struct proc_spec s = {.argv = argv, .fds = fds, .n_fds = 2, .cwd = dir};
 *     r = proc_spawn(&s, &child, e);
 *
 * posix_spawn, never fork: it is safe with threads and costs the same in a large process. The child
 * starts with an empty signal mask and default handlers. Descriptors above the highest
 * one named are closed in the child even if some code forgot CLOEXEC (from glibc 2.34 on).
 *
 * Ownership: the spec is only read; the pidfd is the caller's, who must also reap the child
 * (proc_wait or waitid). Threads: any.
 * Failure: the error names the program; one that cannot be executed is reported here, not by the
 * child's exit status.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "raia/error.h"

struct proc_fd {
    int from; /* the parent's descriptor; -1: /dev/null */
    int to;   /* its number in the child */
};

struct proc_spec {
    const char *const *argv;   /* argv[0] is the program; ends with NULL */
    const char *const *env;    /* ends with NULL; NULL: the parent's environment */
    const char *cwd;           /* NULL: the parent's */
    const struct proc_fd *fds; /* what the child gets besides 0, 1, 2, or in their place */
    size_t n_fds;              /* at most PROC_FDS_MAX */
    bool use_path;             /* look argv[0] up in PATH if it has no '/' */
    bool new_session;          /* setsid */
    bool new_group;            /* a process group of its own */
};

#define PROC_FDS_MAX 32

struct proc_child {
    pid_t pid;
    int pidfd; /* readable when the child has ended */
};

int proc_spawn(const struct proc_spec *spec, struct proc_child *ret_child, struct raia_error *e);

/*
 * Waits for the child and reaps it; *ret_status is as waitpid gives it. Closes the pidfd and sets
 * it to -1. -TIMEOUT at the deadline (a point of clock_now_ns(); 0: only look): it is then still
 * there.
 */
int proc_wait(struct proc_child *child, int64_t deadline, int *ret_status);
/* SIGKILL and reap; for cleaning up. Does nothing to a child that was reaped or never started. */
void proc_kill(struct proc_child *child);

/* The path of a program that lies in the folder of this one; mem_free. NULL on failure. */
char *proc_beside(const char *name, struct raia_error *e);

/*
 * A copy of an environment (NULL: this process's) with changes, each "NAME=VALUE" or "NAME" (remove
 * it); the last change of a name counts. NULL: out of memory. Free with proc_env_free.
 */
char **proc_env_change(const char *const *env, const char *const *changes);
void proc_env_free(char **env);

#endif
