/*
 * The program under the name of `ray`: Ray's verbs, where they differ from ours. What `ray start` does
 * in a pod is raia-pod's.
 *
 * Threads: one. Failure: the exit status, as verb.h says.
 */
#ifndef CLI_RAY_H
#define CLI_RAY_H

#include <stdbool.h>

/* argv as main's. False: the verb is as ours. */
bool ray_run(int argc, char **argv, int *ret_status);

#endif
