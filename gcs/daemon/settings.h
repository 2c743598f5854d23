/* The settings of raia-gcs (base/settings.h): flags, environment, defaults. */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "base/settings.h"

struct gcs_settings {
    char *host;                    /* rpc: address to listen on */
    int64_t port;                  /* rpc: port; 0: any */
    char *dashboard_host;          /* REST API: address */
    int64_t dashboard_port;        /* REST API: port; 0: any */
    char *session_dir;             /* the head's session folder */
    char *storage;                 /* memory, sqlite */
    char *storage_path;            /* of sqlite; empty: SESSION_DIR/gcs.db */
    char *tls_dir;                 /* ca.pem, node.pem, node.key; empty: no TLS, loopback only */
    char *token_file;              /* bearer token of the REST API; empty: none */
    char *log_level;               /* log_configure's text */
    bool log_stderr;               /* the log goes to standard error, too */
    int64_t heartbeat;             /* ns */
    int64_t lease;                 /* ns */
    int64_t lease_grace;           /* ns */
    int64_t max_nodes;             /* alive */
    int64_t max_dead_nodes;        /* remembered */
    int64_t max_jobs;              /* drivers */
    int64_t max_dead_jobs;         /* remembered */
    int64_t max_submissions;       /* pending or running */
    int64_t max_ended_submissions; /* remembered */
    int64_t max_actors;            /* not dead */
    int64_t max_dead_actors;       /* remembered */
    uint64_t kv_bytes;             /* of all pairs */
    uint64_t package_bytes;        /* of one package */
    uint64_t packages_bytes;       /* of all packages */
    int64_t packages_fresh;        /* ns; used so lately: kept */
    char *fault;                   /* fault_configure's text */
};

extern const struct settings_table gcs_settings;

#endif
