/*
 * raia-keeper STATE_DIR: see keeper.h. Started by `raia up`; holds a lock on STATE_DIR/keeper.pid
 * as long as it lives, so that others can tell whether it does without trusting a pid.
 */
#define LOG_MODULE "keeper"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "keeper/keeper.h"

static void on_stop(void *arg, int signo)
{
    struct keeper **k = arg;
    log_info("stopping", "signal=%d", signo);
    if (*k)
        keeper_stop(*k);
}

/* Returns the locked descriptor, or -1 after saying why. `raia` asks who holds the lock. */
static int take_lock(const char *state_dir)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/keeper.pid", state_dir);
    _cleanup_(fd_closep) int fd = -1;
    struct raia_error e = {0};
    if (!path || fd_lock(path, &fd, &e) < 0) {
        log_error("cannot lock keeper.pid: is this cluster running already?", "folder=%s error=%s",
                  LOG_Q(state_dir), LOG_Q(e.text));
        return -1;
    }
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        return -1;
    return STEAL_FD(fd);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3 || argv[1][0] != '/' || (argc == 3 && strcmp(argv[2], "3"))) {
        fprintf(stderr, "usage: raia-keeper STATE_DIR [3] (absolute; `raia up` calls it; 3: the "
                        "pidfd of a process that it ends with)\n");
        return 2;
    }
    if (argc == 3)
        (void)fcntl(3, F_SETFD, FD_CLOEXEC);
    struct raia_error e = {0};
    struct loop *loop = NULL;
    struct keeper *k = NULL;
    struct loop_signal *term = NULL, *intr = NULL;
    int lock = take_lock(argv[1]);
    if (lock < 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int r = loop_new(&loop, &e);
    if (r == 0)
        r = loop_signal_new(loop, SIGTERM, on_stop, &k, &term, &e);
    if (r == 0)
        r = loop_signal_new(loop, SIGINT, on_stop, &k, &intr, &e);
    if (r == 0)
        r = keeper_new(loop, argv[1], &k, &e);
    if (r == 0 && argc == 3)
        r = keeper_follow(k, 3, &e);
    if (r < 0)
        log_error("cannot start", "error=%s", LOG_Q(e.text));
    else
        (void)loop_run(loop);
    bool failed = r < 0 || keeper_failed(k), orphaned = k && keeper_orphaned(k);
    keeper_free(k);
    loop_signal_free(term);
    loop_signal_free(intr);
    if (loop)
        (void)loop_free(loop);
    log_info("ended", "status=%d", failed);
    if (orphaned) /* as if its program had ended it */
        (void)io_remove_tree(argv[1], NULL);
    return failed;
}
