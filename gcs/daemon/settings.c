/* The settings table of raia-gcs. */
#include "daemon/settings.h"

#define S struct gcs_settings

/* clang-format off */
static const struct setting list[] = {
    SETTING_STRING(S, host, "host", "127.0.0.1",
                   "Address on which raylets are served. Beyond loopback --tls-dir is needed."),
    SETTING_INT(S, port, "port", "6379", "0", "65535", NULL, "Its port; 0: any free one."),
    SETTING_STRING(S, dashboard_host, "dashboard-host", "127.0.0.1",
                   "Address of the REST API."),
    SETTING_INT(S, dashboard_port, "dashboard-port", "8265", "0", "65535", NULL,
                "Its port; 0: any free one."),
    SETTING_STRING(S, session_dir, "session-dir", "", "The head's session folder. Required."),
    SETTING_STRING(S, storage, "storage", "sqlite",
                   "Where state is kept: sqlite (a file), or memory (a restart loses it)."),
    SETTING_STRING(S, storage_path, "storage-path", "",
                   "File of the sqlite storage; uploaded packages lie beside it, in FILE.packages. "
                   "Empty: gcs.db and packages in the session folder."),
    SETTING_STRING(S, tls_dir, "tls-dir", "",
                   "Folder of ca.pem, node.pem and node.key; empty: no TLS, loopback only."),
    SETTING_STRING(S, token_file, "token-file", "",
                   "File of the token that every request to the REST API but GET /healthz must "
                   "carry; empty: none."),
    SETTING_STRING(S, log_level, "log-level", "info",
                   "A level, and overrides for modules: info,gcs.rest=debug."),
    SETTING_BOOL(S, log_stderr, "log-stderr", "false", "Write the log to standard error, too."),
    SETTING_DURATION(S, heartbeat, "heartbeat", "3s", "10ms", "1h",
                     "How often raylets say that they live."),
    SETTING_DURATION(S, lease, "lease", "15s", "50ms", "1h",
                     "A raylet whose heartbeats are not answered for so long fences itself."),
    SETTING_DURATION(S, lease_grace, "lease-grace", "5s", "10ms", "1h",
                     "After its lease a node has so long to fence itself, then it counts as dead."),
    SETTING_INT(S, max_nodes, "max-nodes", "4096", "1", "100000", NULL, "Nodes alive."),
    SETTING_INT(S, max_dead_nodes, "max-dead-nodes", "1000", "1", "1000000", NULL,
                "Dead nodes that are remembered."),
    SETTING_INT(S, max_jobs, "max-jobs", "10000", "1", "1000000", NULL, "Drivers connected."),
    SETTING_INT(S, max_dead_jobs, "max-dead-jobs", "1000", "1", "1000000", NULL,
                "Ended drivers that are remembered."),
    SETTING_INT(S, max_submissions, "max-submissions", "1000", "1", "1000000", NULL,
                "Submitted jobs that are pending or running."),
    SETTING_INT(S, max_ended_submissions, "max-ended-submissions", "1000", "1", "1000000", NULL,
                "Submitted jobs that have ended and are remembered."),
    SETTING_INT(S, max_actors, "max-actors", "100000", "1", "10000000", NULL, "Actors alive."),
    SETTING_INT(S, max_dead_actors, "max-dead-actors", "10000", "1", "10000000", NULL,
                "Dead actors that are remembered."),
    SETTING_SIZE(S, kv_bytes, "kv-bytes", "256MiB", "1MiB", "64GiB",
                 "Bytes of all key-value pairs together."),
    SETTING_SIZE(S, package_bytes, "package-bytes", "2GiB", "1MiB", NULL,
                 "Bytes of one package (code or working_dir)."),
    SETTING_SIZE(S, packages_bytes, "packages-bytes", "20GiB", "1MiB", NULL,
                 "Bytes of all packages together; over it those that no job uses go, least recently "
                 "used first."),
    SETTING_DURATION(S, packages_fresh, "packages-fresh", "600s", "0ms", "1000h",
                     "A package used so lately stays: its job may be about to come."),
    SETTING_STRING(S, fault, "fault", "", "Fault points to arm, for tests: NAME=ACTION;..."),
};
/* clang-format on */

const struct settings_table gcs_settings = SETTINGS_TABLE("raia-gcs", list);
