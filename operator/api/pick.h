/*
 * Private to api/: members of an object with their type checked; errors name the path from the
 * object's root.
 *
 * Absent and null leave *ret_v as it is. Failure: -INVALID, "BASE.KEY: expected a string, found a
 * number"; -LIMIT for numbers out of range.
 */
#ifndef API_PICK_H
#define API_PICK_H

#include "json/json.h"

int pick_str__(const struct json *o, const char *base, const char *key, const char **ret_v,
               struct raia_error *e);
int pick_bool__(const struct json *o, const char *base, const char *key, bool *ret_v,
                struct raia_error *e);
/* INT32_MIN to INT32_MAX, as in Kubernetes' own types. */
int pick_int__(const struct json *o, const char *base, const char *key, int64_t *ret_v,
               struct raia_error *e);
int pick_double__(const struct json *o, const char *base, const char *key, double *ret_v,
                  struct raia_error *e);
int pick_node__(const struct json *o, const char *base, const char *key, enum json_type t,
                const struct json **ret_v, struct raia_error *e);
/* An object, all of whose values are texts. */
int pick_map__(const struct json *o, const char *base, const char *key, const struct json **ret_v,
               struct raia_error *e);
/* One of `names` (ended by NULL): its number. Absent, null and "" leave *ret_v. */
int pick_enum__(const struct json *o, const char *base, const char *key, const char *const *names,
                unsigned *ret_v, struct raia_error *e);

/* What of metadata both kinds read. */
struct pick_meta {
    const char *ns;                 /* "" if absent */
    const char *name;               /* never NULL after success */
    const char *uid;                /* "" if absent */
    int64_t generation;             /* 0 if absent */
    bool deleting;                  /* deletionTimestamp is there */
    const struct json *labels;      /* or NULL */
    const struct json *annotations; /* or NULL */
};
int pick_meta__(const struct json *tree, struct pick_meta *ret_m, struct raia_error *e);

#endif
