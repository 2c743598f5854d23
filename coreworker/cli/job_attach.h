/*
 * Submitting for somebody else, as a submitter pod does (raia job submit --attach): may be done any
 * number of times, by any number of processes, and the job runs once.
 *
 * Waits for the head as long as it takes, submits body (with its submission_id) unless that is there
 * already, follows the log, and returns what the process exits with: the job's own status; 130 when
 * it was interrupted (the job goes on); JOB_EXIT_UNKNOWN when the head went silent: another try may
 * tell; 1 when the head refuses, or has lost a job that it had, and for a job's own status that is
 * among JOB_EXIT_LOST.
 *
 * Ownership: the caller's. Threads: one at a time; blocks; SIGINT and SIGTERM end it.
 */
#ifndef CLI_JOB_ATTACH_H
#define CLI_JOB_ATTACH_H

#include "cli/state.h"
#include "json/json.h"

#define JOB_EXIT_UNKNOWN     75 /* EX_TEMPFAIL */
#define JOB_EXIT_INTERRUPTED 130
/* With these a submitter is lost, not its job, and another one may tell: ours, those of containers
 * that a signal ended (128 + its number; 128 by the runtime), and 255, which is what a container has
 * whose node was booted again. The operator's Jobs have the same list. */
#define JOB_EXIT_LOST JOB_EXIT_UNKNOWN, 128, JOB_EXIT_INTERRUPTED, 134, 137, 139, 143, 255

struct job_result;

int job_attach(const struct state_cluster *c, struct json *body, const char *id,
               struct job_result *ret_result, struct raia_error *e);

#endif
