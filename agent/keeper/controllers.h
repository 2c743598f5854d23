/*
 * The controllers of RayJobs that `raia up` leaves in the background (coreworker/cli/controller.h):
 * the keeper starts one again that was killed before its work was done.
 *
 * In STATE_DIR/jobs: NAME.state.json is what a controller has written last, {"done": true} at its
 * end; NAME.pid is locked by the one that lives. The folder is watched (inotify), and each living
 * controller by a pidfd. One that dies before it is done is started anew, `raia job-controller
 * STATE_DIR NAME`, with the back-off of any daemon; after CONTROLLERS_TRIES lives in a row that were
 * too short, it is given up.
 *
 * Those that were started here are children of the keeper, but not its nodes': who kills orphans
 * spares them (controllers_pids). They end by themselves when the keeper has gone.
 *
 * Ownership: the keeper's. Threads: its only one. Failure: controllers_new says what the kernel did
 * not allow; what goes wrong later is logged.
 */
#ifndef KEEPER_CONTROLLERS_H
#define KEEPER_CONTROLLERS_H

#include <stddef.h>
#include <sys/types.h>

#include "loop/loop.h"

#define CONTROLLERS_MAX   256 /* that are looked after in one cluster */
#define CONTROLLERS_TRIES 8

struct controllers;

/* state_dir: absolute; borrowed as long as it lives. Makes STATE_DIR/jobs. */
int controllers_new(struct loop *l, const char *state_dir, struct controllers **ret_c,
                    struct raia_error *e);
/* The children of this process that are controllers: at most CONTROLLERS_MAX. */
size_t controllers_pids(const struct controllers *c, pid_t *pids);
/* A child was reaped. */
void controllers_reaped(struct controllers *c, pid_t pid);
/* No more are started. */
void controllers_stop(struct controllers *c);
void controllers_free(struct controllers *c); /* takes NULL */

#endif
