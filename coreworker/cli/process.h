/*
 * Processes of a cluster: finding programs, ending them, and sweeping up what was left behind.
 *
 * Threads: one at a time. Failure: as said.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "raia/error.h"

/* The path of a program that lies beside this one. mem_free. */
char *process_program(const char *name, struct raia_error *e);

/* SIGTERM, and SIGKILL if it is still there after grace_ms; returns when it is gone (or, after
 * SIGKILL, when it does not go: false). It need not be a child. pid <= 1: does nothing. */
bool process_end(pid_t pid, int grace_ms);

/*
 * SIGKILL to every process of this user that belongs to a node of the cluster in `dir`: its command
 * line has --session-dir under dir, or its environment RAIA_SESSION_DIR. Nobody else adopts what
 * the kill -9 of a keeper and a supervisor leaves behind. Spares this process and those above it.
 * Returns how many there were.
 */
size_t process_sweep(const char *dir);

#endif
