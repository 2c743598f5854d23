/*
 * The keeper's plan, as read from plan.json (keeper.h).
 *
 * Ownership: a plan owns its strings. Threads: any. Failure: -INVALID with the file and the path of
 * the field; -NOT_FOUND.
 */
#ifndef KEEPER_PLAN_H
#define KEEPER_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "raia/error.h"

struct plan_node {
    char *name;  /* unique */
    bool head;   /* the first node, or none (then argv says where the GCS is) */
    char **argv; /* options of raia-agent, NULL at the end */
    size_t argc; /* without the end */
};

struct plan {
    struct plan_node *nodes;
    size_t n;
};

int plan_load(const char *path, struct plan *ret_plan, struct raia_error *e);
void plan_done(struct plan *p); /* takes a zeroed one */

#endif
