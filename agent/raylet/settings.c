/*
 * The table (settings.h).
 */
#include "raylet/settings.h"

#define C struct raylet_config

static const struct setting list[] = {
    SETTING_STRING(C, node_name, "node-name", "", "Name of this node, unique in the cluster."),
    SETTING_STRING(C, session_dir, "session-dir", "",
                   "Folder of this node's sockets, logs and files; absolute."),
    SETTING_STRING(C, node_ip, "node-ip", "127.0.0.1",
                   "Address at which other nodes reach this one."),
    SETTING_STRING(C, gcs_address, "gcs-address", "", "HOST:PORT of the GCS."),
    SETTING_STRING(C, api_server, "api-server", "", "URL of the REST API, told to entrypoints."),
    SETTING_STRING(C, resources, "resources", "",
                   "Custom resources, as a JSON object of name: quantity."),
    SETTING_STRING(C, labels, "labels", "", "Labels of the node, as a JSON object of name: value."),
    SETTING_STRING(
        C, tls_dir, "tls-dir", "",
        "Folder with ca.pem, node.pem and node.key; empty: plaintext, on loopback only."),
    SETTING_STRING(C, log_level, "log-level", "info",
                   "debug, info, warn or error; also MODULE=LEVEL, by comma."),
    SETTING_BOOL(C, log_stderr, "log-stderr", "false", "Write the log to standard error, too."),
    SETTING_INT(C, metrics_port, "metrics-port", "0", "0", "65535", NULL,
                "Port of /healthz, /livez and /metrics (HTTP, no token); 0: none."),
    SETTING_BOOL(C, head, "head", "false", "Host job entrypoints."),
    SETTING_INT(C, supervisor_fd, "supervisor-fd", "3", "0", "65535", NULL,
                "Descriptor of the socket pair with the supervisor."),
    SETTING_DOUBLE(C, num_cpus, "num-cpus", "-1", "-1", "100000", "CPUs",
                   "Logical CPUs; -1: what the cgroup allows."),
    SETTING_SIZE(C, memory, "memory", "0", NULL, NULL,
                 "Logical memory; 0: what the cgroup allows, less the object store."),
    SETTING_SIZE(C, object_store_memory, "object-store-memory", "0", NULL, NULL,
                 "Most memory of the object store; 0: 30 % of the node's memory."),
    SETTING_INT(C, max_workers, "max-workers", "0", "0", "4096", "processes",
                "Most worker processes; 0: 8 for each CPU, at least 64."),
    SETTING_DURATION(C, worker_start_ns, "worker-start-timeout", "60s", "10ms", "1h",
                     "A worker that has not registered by then is killed."),
    SETTING_DURATION(C, idle_worker_ns, "idle-worker-time", "1s", "0", "24h",
                     "How long idle workers beyond the number of CPUs are kept."),
    SETTING_DURATION(
        C, idle_pair_ns, "idle-pair-time", "30s", "0", "24h",
        "Two processes that do not use their ring pair for so long give it back; 0: never."),
    SETTING_BOOL(C, prestart, "prestart", "true", "Start workers when a driver connects."),
    SETTING_BOOL(C, forward_logs, "log-to-driver", "true",
                 "Forward the output of workers to their driver."),
    SETTING_SIZE(C, code_cache_bytes, "code-cache-size", "10GiB", "0", NULL,
                 "Executables and packages beyond this that no job uses are removed, the least "
                 "recently used first; 0: never."),
    SETTING_SIZE(C, inline_max, "max-inline-size", "100KiB", "0", "1MiB",
                 "Values up to this size stay with their owner."),
    SETTING_SIZE(C, owner_bytes_max, "owner-memory", "256MiB", "1MiB", NULL,
                 "Most memory for small values in one process."),
};

const struct settings_table raylet_settings = SETTINGS_TABLE("raia-raylet", list);
