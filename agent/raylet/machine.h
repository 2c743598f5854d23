/*
 * What this machine (or the cgroup that we are in) has: CPUs and memory.
 *
 * Threads: any. Failure: none: what cannot be found out is taken from the machine as a whole.
 */
#ifndef RAYLET_MACHINE_H
#define RAYLET_MACHINE_H

#include <stdint.h>

/* CPUs that this process may use, 1/10000: the affinity, and the cgroup's quota. At least 1. */
int64_t machine_cpus(void);
/* Bytes that it may use. */
uint64_t machine_memory(void);

/* The path of a cgroup in the text of /proc/self/cgroup: of a controller of version 1, or (NULL) of
 * version 2; "/" when it does not say. mem_free. */
char *machine_cgroup(const char *text, const char *controller);

#endif
