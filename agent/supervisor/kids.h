/*
 * The children that a raylet ordered: workers, which die with their raylet, and entrypoints, which
 * outlive it and whose end is kept until it is forgotten.
 *
 * Ownership: the table owns its entries. Threads: the loop's owner. Failure: -NOMEM; -LIMIT beyond
 * KIDS_MAX.
 */
#ifndef SUPERVISOR_KIDS_H
#define SUPERVISOR_KIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

#define KIDS_MAX 16384 /* running children and ends not yet forgotten */

struct kid {
    struct list link;    /* in kids.all */
    uint64_t id;         /* the raylet's number for the spawn; 0: of an earlier raylet */
    pid_t pid;           /* 0 once reaped */
    bool entrypoint;     /* else a worker */
    bool exited;         /* an entrypoint that ended and is not forgotten */
    bool signaled;       /* it was ended by a signal */
    int status;          /* once exited: 0..255 or 128 + signal */
    uint32_t attempt;    /* of the submission */
    uint64_t kill_at_ms; /* SIGKILL its group then (loop_now_ms); 0: never */
    char *submission_id; /* of an entrypoint; else NULL */
};

struct kids {
    struct list all; /* struct kid */
    size_t count;    /* entries in all */
};

void kids_init(struct kids *k);
int kids_add(struct kids *k, uint64_t id, pid_t pid, const char *submission_id, uint32_t attempt,
             struct kid **ret_kid);
struct kid *kids_by_pid(struct kids *k, pid_t pid);
struct kid *kids_by_id(struct kids *k, uint64_t id);
struct kid *kids_by_submission(struct kids *k, const char *submission_id, uint32_t attempt);
void kids_remove(struct kids *k, struct kid *kid);
/* Running workers (entrypoints if asked). */
size_t kids_running(const struct kids *k, bool entrypoints);
void kids_clear(struct kids *k);

#endif
