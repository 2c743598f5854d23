/*
 * The operator at work: its loop, what is on it, and its orderly end.
 *
 *     r = operator_run(&settings, &e);      // until SIGTERM or SIGINT, or the lease is lost
 *
 * It listens for probes at once; waits for the resource definitions (schema.h); asks for the Lease;
 * and only then begins to watch and to act: who waits for the Lease keeps nothing, so that nothing
 * is decided on what was seen long ago. Who loses it ends with an error, to be started anew.
 *
 * Ends: no new writes, what is under way is waited for or cancelled, the Lease is given up; within
 * 8 s. Ownership: settings must outlive it. Threads: the caller's, which becomes the loop's.
 * Failure: with a text: the address, the credentials, a port.
 */
#ifndef DAEMON_OPERATOR_H
#define DAEMON_OPERATOR_H

#include "daemon/settings.h"

int operator_run(const struct operator_settings *s, struct raia_error *e);

#endif
