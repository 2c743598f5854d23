/*
 * Watching RayJobs that their controllers run: the job's log as it grows, its retries, its end.
 *
 * Threads: one at a time; blocks. SIGINT (cluster.h) ends the watching, never the job.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli/manifest.h"
#include "cli/state.h"

/* Prints the job's log on stdout and what happens to it on stderr, until it has ended; with
 * shutdownAfterJobFinishes and no ttl also until its cluster is down. Returns the exit status of
 * `raia up`: the entrypoint's, 130 when interrupted. */
int watch_job(const struct state_cluster *c, const struct manifest_job *j);

#endif
