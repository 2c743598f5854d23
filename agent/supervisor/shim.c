/*
 * raia-shim: what every child of a supervisor passes through on its way to its own program.
 *
 *     raia-shim PARENT_PID PROGRAM [ARG ...]
 *
 * posix_spawn cannot ask for a parent-death signal; this does, checks that the parent did not die
 * in between, starts a session of its own (so that the child's whole group can be signalled, and a
 * Ctrl-C at a terminal does not reach it), and becomes the program. It is small on purpose: libc
 * only.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: raia-shim PARENT_PID PROGRAM [ARG ...]\n");
        return 2;
    }
    long parent = strtol(argv[1], NULL, 10);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        return 1;
    (void)setsid(); /* fails only for a group leader, which a fresh child is not */

    /* The supervisor blocks or ignores signals for its own sake; its children start clean. */
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < 32; s++)
        (void)signal(s, SIG_DFL);

    execvp(argv[2], argv + 2);
    int e = errno;
    fprintf(stderr, "raia-shim: cannot run '%s': %s\n", argv[2], strerror(e));
    return e == ENOENT ? 127 : 126;
}
