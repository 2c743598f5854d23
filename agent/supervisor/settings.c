/*
 * The table (settings.h).
 */
#include "supervisor/settings.h"

#include "supervisor/supervisor.h"

#define C struct agent_config

static const struct setting list[] = {
    SETTING_STRING(C, node_name, "node-name", "", "Name of this node, unique in the cluster."),
    SETTING_STRING(C, session_dir, "session-dir", "",
                   "Folder of this node's sockets, logs and files; absolute; made if missing."),
    SETTING_BOOL(C, head, "head", "false", "Host the GCS, and run job entrypoints."),
    SETTING_STRING(C, gcs_address, "gcs-address", "",
                   "HOST:PORT of the GCS. Not with --head, which starts it."),
    SETTING_INT(C, port, "port", "6379", "0", "65535", NULL, "Port of the GCS; 0: any. Head only."),
    SETTING_STRING(C, dashboard_host, "dashboard-host", "127.0.0.1",
                   "Address that the REST API listens on. Head only."),
    SETTING_INT(C, dashboard_port, "dashboard-port", "8265", "0", "65535", NULL,
                "Port of the REST API; 0: any. Head only."),
    SETTING_STRING(C, node_ip, "node-ip", "127.0.0.1",
                   "Address at which other nodes reach this one."),
    SETTING_DOUBLE(C, num_cpus, "num-cpus", "-1", "-1", "100000", "CPUs",
                   "Logical CPUs; -1: what the cgroup allows."),
    SETTING_SIZE(C, memory, "memory", "0", NULL, NULL,
                 "Logical memory; 0: what the cgroup allows."),
    SETTING_SIZE(C, object_store_memory, "object-store-memory", "0", NULL, NULL,
                 "Most memory of the object store; 0: 30 % of the node's memory."),
    SETTING_STRING(C, resources, "resources", "",
                   "Custom resources, as a JSON object of name: quantity."),
    SETTING_STRING(C, labels, "labels", "", "Labels of the node, as a JSON object of name: value."),
    SETTING_STRING(
        C, tls_dir, "tls-dir", "",
        "Folder with ca.pem, node.pem and node.key; empty: plaintext, on loopback only."),
    SETTING_STRING(C, token_file, "token-file", "",
                   "File with the bearer token of the REST API. Head only."),
    SETTING_STRING(C, storage, "storage", "sqlite",
                   "Where the GCS keeps its tables: sqlite or memory. Head only."),
    SETTING_INT(C, metrics_port, "metrics-port", "0", "0", "65535", NULL,
                "Port of this node's health and metrics (HTTP, no token); 0: none."),
    SETTING_STRING(C, log_level, "log-level", "info", "debug, info, warn or error."),
    SETTING_BOOL(C, log_stderr, "log-stderr", "false",
                 "Write the daemons' logs to standard error, too, as containers like it."),
};

const struct settings_table agent_settings = SETTINGS_TABLE("raia-agent", list);
