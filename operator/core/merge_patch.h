/*
 * JSON merge patches (RFC 7386) between trees: the least that must be sent.
 *
 *     r = merge_patch_between(old_status, new_status, &patch);   // patch NULL: nothing to do
 *     bool nothing = merge_patch_is_idle(metadata, patch);
 *
 * Members that are null count as absent. Ownership: results are the caller's. Threads: any.
 * Failure: -NOMEM.
 */
#ifndef OPERATOR_MERGE_PATCH_H
#define OPERATOR_MERGE_PATCH_H

#include "json/json.h"

/* Objects, or NULL for an empty one. */
int merge_patch_between(const struct json *old, const struct json *wanted, struct json **ret_patch);
/* Would it change nothing. */
bool merge_patch_is_idle(const struct json *object, const struct json *patch);

#endif
