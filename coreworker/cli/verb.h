/*
 * The verbs of `raia`. A verb gets its own arguments (argv[0] is the verb) and returns the exit
 * status.
 *
 * Exit status: 0 done; 1 it failed; 2 the command line is wrong; 130 interrupted.
 */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include <stdbool.h>

#include "raia/error.h"

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;   /* one line, after "raia " */
    const char *summary; /* one line, for the list of verbs */
    const char *help;    /* options and examples; printed by `raia help VERB` */
};

extern const struct verb verb_up, verb_down, verb_start, verb_stop, verb_status, verb_job,
    verb_list, verb_get, verb_summary, verb_logs, verb_bench;

/* Whether `raia start` made the cluster with this state folder; `raia stop` ends it. */
bool start_made(const char *dir);

/* Prints "raia VERB: error" and returns 1. */
int verb_fail(const char *verb, const struct raia_error *e);
/* Says how the verb is called, on stderr, and returns 2. */
int verb_usage(const struct verb *v);

#endif
