/*
 * Conditions of a status: an array of {type, status, reason, message, observedGeneration,
 * lastTransitionTime}, in the tree that is being built.
 *
 *     struct json *list = conditions_of(old_status);       // a copy, or a new one; NULL: no memory
 *     r = conditions_set(list, RAY_COND_HEAD_READY, CONDITION_TRUE, RAY_REASON_HEAD_READY, "",
 *                        generation, seen->wall_ns);
 *     conditions_remove(list, RAY_COND_REPLICA_FAILURE);
 *     r = json_set(status, "conditions", STEAL(list));
 *
 * The transition time changes only when the status does; a condition that says the same again stays
 * as it is, so that nothing is written. Threads: the tree's. Failure: -NOMEM.
 */
#ifndef API_CONDITIONS_H
#define API_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"

enum condition { CONDITION_FALSE, CONDITION_TRUE, CONDITION_UNKNOWN };

/* A copy of status.conditions; empty if there are none (status may be NULL). NULL: no memory. */
struct json *conditions_of(const struct json *status);

int conditions_set(struct json *list, const char *type, enum condition value, const char *reason,
                   const char *message, int64_t generation, int64_t wall_ns);
void conditions_remove(struct json *list, const char *type); /* if it is there */

const struct json *conditions_get(const struct json *list, const char *type); /* NULL: not there */
bool conditions_true(const struct json *list, const char *type);              /* false: not there */
const char *conditions_reason(const struct json *list, const char *type);     /* "": not there */

#endif
