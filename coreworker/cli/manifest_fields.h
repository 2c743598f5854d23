/*
 * Which fields the resources have, and which of them mean something on one machine.
 */
#ifndef CLI_MANIFEST_FIELDS_H
#define CLI_MANIFEST_FIELDS_H

#include <stdbool.h>

struct manifest_field {
    const char *name; /* NULL ends a table */
    bool used;        /* else it is listed as ignored when it is there */
};

extern const struct manifest_field manifest_cluster_fields[]; /* RayCluster.spec */
extern const struct manifest_field manifest_head_fields[];    /* headGroupSpec */
extern const struct manifest_field manifest_worker_fields[];  /* workerGroupSpecs[] */
extern const struct manifest_field manifest_job_fields[];     /* RayJob.spec */

#endif
