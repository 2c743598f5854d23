/*
 * RayCluster and RayJob manifests, read for one machine: what `raia up` needs of them, checked.
 *
 *     r = manifest_load("job.yaml", &m, e);     // "job.yaml:12:7: spec.backoffLimit: expected ..."
 *     ... m->clusters, m->jobs, m->ignored
 *     manifest_free(m);
 *
 * Documents of other kinds are passed over (and named in `ignored`). A field that the resource does
 * not have is an error; one that has no meaning on one machine is named in `ignored`, once.
 *
 * Ownership: a manifest owns all that it holds. Threads: one at a time.
 * Failure: nothing is kept; the error names file, line, column, field and what was expected.
 */
#ifndef CLI_MANIFEST_H
#define CLI_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json.h"
#include "raia/error.h"

#define MANIFEST_NODES_MAX 256       /* of one cluster on one machine, head included */
#define MANIFEST_BYTES_MAX (4 << 20) /* of text */

/* The head, or one worker group. */
struct manifest_group {
    char *name;                  /* "head" or groupName */
    int64_t replicas;            /* nodes: replicas within min..max, times numOfHosts */
    double num_cpus;             /* -1: not said */
    int64_t memory;              /* bytes; 0: not said */
    int64_t object_store_memory; /* bytes; 0: not said */
    struct json *resources;      /* object of name: quantity; gpus are "GPU" */
    struct json *labels;         /* object of name: value */
};

struct manifest_cluster {
    char *name;                    /* of a RayJob's own cluster: the job's name */
    struct manifest_group *groups; /* the head first */
    size_t ngroups;
    bool suspend; /* do not start it */
};

struct manifest_job {
    char *name;
    char *entrypoint;              /* for sh -c; NULL for InteractiveMode */
    char *submission_id;           /* spec.jobId, or NULL */
    char *cluster;                 /* name of the cluster that it runs on */
    bool own_cluster;              /* the cluster is this job's (rayClusterSpec) */
    int64_t backoff_limit;         /* retries after a failure */
    int64_t active_deadline_s;     /* 0: none */
    int64_t ttl_after_finished_s;  /* before the cluster is taken down */
    bool shutdown_after_finished;  /* take the cluster down when the job has ended */
    bool suspend;                  /* do not run it */
    struct json *runtime_env;      /* object; never NULL */
    struct json *metadata;         /* object; never NULL */
    struct json *submit_resources; /* object: what is passed on of entrypointNumCpus, ... */
};

struct manifest {
    struct manifest_cluster *clusters;
    size_t nclusters;
    struct manifest_job *jobs;
    size_t njobs;
    struct json *ignored; /* array of strings: fields and kinds without meaning here, each once */
};

/* "-" is standard input. */
int manifest_load(const char *path, struct manifest **ret_m, struct raia_error *e);
/* The same from a text; `name` is for messages. */
int manifest_parse(const char *text, size_t len, const char *name, struct manifest **ret_m,
                   struct raia_error *e);
void manifest_free(struct manifest *m); /* takes NULL */
void manifest_freep(void *p);           /* for _cleanup_ */

#endif
