/*
 * The controller of a RayJob: a process in the background that submits the job, again while
 * backoffLimit allows, stops it at its deadline, and takes its cluster down afterwards if the
 * manifest says so; whether or not anybody follows. `raia up` starts one for each job and then only
 * watches what it writes. One that is killed is started again by the keeper (keeper/controllers.h),
 * reads what it had written, and goes on: it chooses its submissions' ids itself, and writes each
 * down before it submits, so that none is made twice.
 *
 * In the cluster's state folder, under jobs/: NAME.spec.json (what to run), NAME.state.json (how it
 * stands, replaced atomically), NAME.pid (locked while the controller lives), NAME.log.
 *
 * Threads: one at a time. Failure: errors name the job, and the log that has more.
 */
#ifndef CLI_CONTROLLER_H
#define CLI_CONTROLLER_H

#include <sys/types.h>

#include "cli/job_run.h"
#include "cli/manifest.h"
#include "cli/state.h"

#define CONTROLLER_PAST_MAX 32 /* attempts that are remembered, besides the last */

/* How a job stands. */
struct controller_state {
    bool ended;             /* no more attempts will come; `last` tells how it ended */
    int64_t attempt;        /* the one that runs or ran last, from 1; 0: none yet */
    struct job_result last; /* of this attempt; while it runs, its submission_id alone */
    struct job_result past[CONTROLLER_PAST_MAX]; /* of those before it, the newest last */
    size_t n_past;                               /* how many are remembered */
    bool done;           /* ended, and its cluster is down if it was to go down: nothing is left */
    char id[JOB_ID_MAX]; /* what submission ids begin with: chosen once */
    int64_t begun;       /* the attempt that is being submitted, or was submitted last */
    int64_t deadline_ms; /* unix time; 0: none */
    int64_t ended_ms;    /* unix time; 0: not ended */
};

/* Starts a controller in a session of its own. Returns once it has begun; *ret_pid is a child of
 * this process. -EXISTS if one runs for that job. */
int controller_start(const struct state_cluster *c, const struct manifest_job *j, pid_t *ret_pid,
                     struct raia_error *e);

/* What DIR/jobs/NAME.state.json says. */
int controller_look(const char *dir, const char *name, struct controller_state *ret_s,
                    struct raia_error *e);

/* Ends all controllers of a cluster but the one whose lock is the file `own` (NULL: none). */
void controller_end_all(const char *dir, const char *own);

/* The controller itself: `raia job-controller DIR NAME`. Returns the exit status. */
int controller_run(int argc, char **argv);

#endif
