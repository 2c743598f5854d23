/*
 * The daemon raia-gcs: storage, core, rpc service, REST API and control socket on one loop.
 *
 *     r = daemon_run(&settings, e);       // until SIGTERM or SIGINT; then 0
 *
 * It binds, writes gcs.json into the session folder, and serves. When its core breaks (a write to
 * storage failed) it returns that error: whoever started it starts it again, and it goes on from
 * what is stored. Threads: the caller's; once in a process.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/settings.h"
#include "raia/error.h"

int daemon_run(const struct gcs_settings *settings, struct raia_error *e);

#endif
