/*
 * Running a job on a cluster: submit, follow its log, see how it ended. What `raia up` does for
 * each RayJob, and `raia job submit` for one.
 *
 * Ownership: as the callers'. Threads: one at a time; blocks. SIGINT (cluster.h) ends it with
 * -CANCELED and leaves the job running. Failure: a job that failed is no error here: see the
 * result.
 */
#ifndef CLI_JOB_RUN_H
#define CLI_JOB_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/state.h"
#include "json/json.h"

#define JOB_ID_MAX 128 /* bytes of a submission id, with its end mark */

struct job_result {
    char submission_id[JOB_ID_MAX]; /* of the last attempt */
    char status[16];                /* SUCCEEDED, FAILED, STOPPED */
    char message[512];              /* the cluster's, of the end */
    int exit_status;                /* of the entrypoint; 1 if it has none and did not succeed */
    bool python;                    /* the entrypoint is a Python program */
};

/* POSTs a submission: body as Ray's job API has it. A local working_dir is uploaded first, and
 * named in body by its URI (working_dir.h). */
int job_submit(const struct state_cluster *c, struct json *body, char ret_id[JOB_ID_MAX],
               struct raia_error *e);

/* Asks for the status; ended: it will not change any more. */
int job_status(const struct state_cluster *c, const char *id, struct job_result *ret_result,
               bool *ret_ended, struct raia_error *e);

/* Writes the job's log to `out` as it grows, until it has ended or deadline_ms (unix time; 0: none)
 * passes: -TIMEOUT. Goes on across restarts of the GCS. */
int job_follow(const struct state_cluster *c, const char *id, int64_t deadline_ms, FILE *out,
               struct job_result *ret_result, struct raia_error *e);

/* A line of help for people whose entrypoint cannot run here: a Python program. */
void job_hint(FILE *out, const char *entrypoint);

#endif
