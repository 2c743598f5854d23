/*
 * Children: starting programs through raia-shim, and ending them with all that they started.
 *
 *     struct child_spec s = {.argv = argv, .stdout_path = "logs/gcs.log"};
 *     r = child_start(&s, &pid, e);
 *     ...
 *     child_signal(pid, SIGTERM);       // the child's whole session group
 *
 * Ownership: the spec is read during the call only.
 * Threads: the supervisor's only thread. The parent-death signal follows the thread that starts a
 * child, so that thread must live as long as the process.
 * Failure: -IO with the program's name; a program that is missing shows as exit status 127.
 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "raia/error.h"

struct child_spec {
    char *const *argv;       /* program and arguments, NULL at the end */
    char *const *env;        /* the whole environment, NULL at the end */
    const char *cwd;         /* NULL: the supervisor's */
    const char *stdout_path; /* appended to; NULL: /dev/null */
    const char *stderr_path; /* NULL: where stdout goes */
    bool keep_output;        /* 1 and 2 stay the supervisor's; the paths are not used */
    int fd3;                 /* becomes descriptor 3 of the child; -1: none */
};

int child_start(const struct child_spec *s, pid_t *ret_pid, struct raia_error *e);

/* Signals the group that the child leads, or the child alone if it has no group yet. */
void child_signal(pid_t pid, int signo);

/* Signals what is left of the group that a reaped child led. */
void child_signal_group(pid_t pid, int signo);

/* One reaped child: the status as a shell gives it (code, or 128 + signal). False: none is left to
 * reap. */
bool child_reap(pid_t *ret_pid, int *ret_status, bool *ret_signaled);

/* Sends `signo` to every direct child of this process but those in `except` (n of them). Returns
 * how many. */
size_t child_signal_all(int signo, const pid_t *except, size_t n);

/* The folder that this program lies in; its sister programs lie there too. False if it cannot be
 * known. */
bool child_program_path(const char *name, char *buf, size_t size);

#endif
