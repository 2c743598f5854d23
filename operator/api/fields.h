/*
 * Every field of a RayCluster's and a RayJob's spec, and what the operator does with it: the table
 * behind the condition RaiaUnsupportedFields, docs/kuberay.md and the check of the schemas.
 *
 * Paths are from the spec; "[]" stands for any item, and a path covers all that lies under it.
 * Threads: any; constant. Failure: none.
 */
#ifndef API_FIELDS_H
#define API_FIELDS_H

#include "api/report.h"
#include "json/json.h"

enum api_support {
    API_HONOURED, /* it means what it means to KubeRay; or what `note` says */
    API_IGNORED,  /* told in the condition; `note` says what happens in its place */
    API_REFUSED   /* ignoring it would be dangerous: nothing is made of the object */
};

struct api_field {
    const char *path;         /* "workerGroupSpecs[].replicas" */
    enum api_support support; /* what is done with it */
    const char *note;         /* one line for people */
};

extern const struct api_field ray_cluster_fields[]; /* of RayClusterSpec; a NULL path ends it */
extern const struct api_field ray_job_fields[]; /* of RayJobSpec, rayClusterSpec as one; likewise */

/* The fields of `spec` that are set (to something else than null and false) and not honoured.
 * `base`: where spec lies. */
void api_fields_unsupported(const struct api_field *table, const struct json *spec,
                            const char *base, struct api_report *ret_ignored,
                            struct api_report *ret_refused);

#endif
