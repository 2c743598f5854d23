/*
 * A RayJob's JSON tree as a struct to read, with all defaults filled in. As raycluster.h:
 *
 *     struct ray_job *j = NULL;
 *     r = ray_job_read(seen->tree, &j, e);
 *     ray_job_check(j, &bad);                    // bad.n > 0: ValidationFailed
 *     ray_job_unsupported(j, config->tls, &ignored, &refused);
 *     ray_job_free(j);
 *
 * Ownership, threads, failure: as there; what was parsed out of texts (runtime_env) is the view's.
 */
#ifndef API_RAYJOB_H
#define API_RAYJOB_H

#include "api/raycluster.h"

enum ray_job_mode { RAY_JOB_K8S, RAY_JOB_HTTP, RAY_JOB_INTERACTIVE, RAY_JOB_SIDECAR };
const char *ray_job_mode_name(enum ray_job_mode mode); /* "K8sJobMode", ... */

/* In order of what they take away. */
enum ray_deletion { RAY_DELETE_NONE, RAY_DELETE_WORKERS, RAY_DELETE_CLUSTER, RAY_DELETE_SELF };
const char *ray_deletion_name(enum ray_deletion d); /* "DeleteNone", ... */

/* When a rule applies. */
enum ray_deletion_when {
    RAY_WHEN_SUCCEEDED,        /* jobStatus SUCCEEDED */
    RAY_WHEN_FAILED,           /* jobStatus FAILED */
    RAY_WHEN_DEPLOYMENT_FAILED /* jobDeploymentStatus Failed, whatever the job's */
};

struct ray_deletion_rule {
    enum ray_deletion policy;    /* what is deleted */
    enum ray_deletion_when when; /* in which end of the job */
    int64_t ttl_s;               /* that long after the end */
};

struct ray_job {
    const struct json *tree;        /* the whole object */
    const char *ns;                 /* metadata.namespace; "" if there is none */
    const char *name;               /* metadata.name; never NULL */
    const char *uid;                /* metadata.uid; "" if there is none */
    int64_t generation;             /* metadata.generation */
    bool deleting;                  /* metadata.deletionTimestamp is there */
    const struct json *labels;      /* metadata.labels */
    const struct json *annotations; /* metadata.annotations */
    const struct json *status;      /* status */

    const char *entrypoint;          /* "": none */
    const char *job_id;              /* jobId that the user chose; NULL: none */
    const struct json *metadata;     /* spec.metadata: an object of texts */
    const char *runtime_env_yaml;    /* runtimeEnvYAML as it is; NULL: none */
    struct json *runtime_env;        /* the same as a tree (an object); NULL: none, or bad */
    double num_cpus;                 /* entrypointNumCpus; 0: not said */
    double num_gpus;                 /* entrypointNumGpus; 0: not said */
    const char *resources_text;      /* entrypointResources as it is; NULL: none */
    struct json *resources;          /* the same as a tree (an object); NULL: none, or bad */
    enum ray_job_mode mode;          /* submissionMode */
    const struct json *submitter;    /* submitterPodTemplate */
    int64_t submitter_backoff_limit; /* submitterConfig.backoffLimit; 2 */

    bool has_cluster;                /* rayClusterSpec is there */
    struct ray_cluster_spec cluster; /* of it; all zero if there is none */
    const char *selected;            /* clusterSelector["ray.io/cluster"]; NULL: no selector */

    bool suspend;                    /* spec.suspend */
    const char *managed_by;          /* spec.managedBy; NULL: not said */
    bool managed;                    /* by us */
    int64_t backoff_limit;           /* retries, each with a new cluster; 0 */
    int64_t active_deadline_s;       /* activeDeadlineSeconds; 0: none */
    int64_t pre_running_deadline_s;  /* preRunningDeadlineSeconds; 0: none */
    bool shutdown;                   /* shutdownAfterJobFinishes */
    int64_t ttl_s;                   /* ttlSecondsAfterFinished; 0 */
    bool has_strategy;               /* deletionStrategy is there */
    bool legacy_strategy;            /* ... as onSuccess and onFailure */
    struct ray_deletion_rule *rules; /* deletionRules, or what onSuccess and onFailure mean: rules
                                        without TTL (their `shutdown` TTL is the caller's) */
    size_t n_rules;                  /* how many */

    char runtime_env_bad[192]; /* why runtime_env could not be read; "" */
    char resources_bad[192];   /* why resources could not be read; "" */
};

int ray_job_read(const struct json *tree, struct ray_job **ret_j, struct raia_error *e);
void ray_job_free(struct ray_job *j); /* accepts NULL */
void ray_job_freep(void *p);          /* for _cleanup_ */

/* Every rule that it breaks is added, those of its rayClusterSpec too. */
void ray_job_check(const struct ray_job *j, struct api_report *ret);

/* As ray_cluster_unsupported, for the job's fields and those of its rayClusterSpec. */
void ray_job_unsupported(const struct ray_job *j, bool tls, struct api_report *ret_ignored,
                         struct api_report *ret_refused);

#endif
