/*
 * What raia-raylet is told: one table, from which come its flags, its environment and its help
 * (base/settings.h).
 */
#ifndef RAYLET_SETTINGS_H
#define RAYLET_SETTINGS_H

#include "base/settings.h"

struct raylet_config {
    char *node_name;              /* the supervisor's, the same across raylets */
    char *session_dir;            /* absolute */
    char *node_ip;                /* at which other nodes reach this one */
    char *gcs_address;            /* HOST:PORT */
    char *api_server;             /* http://..., passed to entrypoints */
    char *resources;              /* JSON object: custom resources */
    char *labels;                 /* JSON object */
    char *tls_dir;                /* empty: plaintext on loopback */
    char *log_level;              /* log_configure */
    bool log_stderr;              /* the log goes to standard error, too */
    int64_t metrics_port;         /* of the HTTP server; 0: none */
    bool head;                    /* hosts entrypoints */
    int64_t supervisor_fd;        /* descriptor of the pair with the supervisor */
    double num_cpus;              /* -1: what the cgroup allows */
    uint64_t memory;              /* bytes; 0: what the cgroup allows */
    uint64_t object_store_memory; /* bytes; 0: 30 % of memory */
    int64_t max_workers;          /* 0: by the number of CPUs */
    int64_t worker_start_ns;      /* a worker that has not said hello by then is killed */
    int64_t idle_worker_ns;       /* idle workers beyond the number of CPUs stay this long */
    int64_t idle_pair_ns;         /* ring pairs not used for so long are given back; 0: never */
    bool prestart;                /* start workers when a driver connects */
    bool forward_logs;            /* workers' output goes to their driver */
    uint64_t code_cache_bytes;    /* of code/, as far as nobody uses it; 0: no limit */
    uint64_t inline_max;          /* bytes; values up to this stay with their owner */
    uint64_t owner_bytes_max;     /* bytes of small values in one process */
};

extern const struct settings_table raylet_settings;

#endif
