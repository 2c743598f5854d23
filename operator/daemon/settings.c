/* The settings table of raia-operator. */
#include "daemon/settings.h"

#define S struct operator_settings

/* clang-format off */
static const struct setting list[] = {
    SETTING_STRING(S, kubeconfig, "kubeconfig", "",
                   "The API server's address and credentials; empty: $KUBECONFIG, the pod's service "
                   "account, or ~/.kube/config."),
    SETTING_STRING(S, context, "context", "", "Of the kubeconfig; empty: its current one."),
    SETTING_STRING(S, metrics_addr, "metrics-addr", ":8080",
                   "Address of GET /metrics (Prometheus); 0: none."),
    SETTING_STRING(S, health_addr, "health-probe-bind-address", ":8082",
                   "Address of GET /healthz and /readyz; 0: none."),
    SETTING_STRING(S, watch_namespace, "watch-namespace", "",
                   "Namespaces to be watched, joined by ','; empty: all."),
    SETTING_BOOL(S, leader_election, "enable-leader-election", "true",
                 "Act only while holding the Lease raia-operator-leader."),
    SETTING_STRING(S, leader_namespace, "leader-election-namespace", "",
                   "Namespace of the Lease; empty: $POD_NAMESPACE, or the credentials' own."),
    SETTING_INT(S, concurrency, "reconcile-concurrency", "8", "1", "1000", NULL,
                "Objects that are handled at one time, on one thread."),
    SETTING_BOOL(S, kube_proxy, "use-kubernetes-proxy", "false",
                 "Reach heads through the API server's service proxy."),
    SETTING_INT(S, qps, "qps", "0", "0", "1000000", "requests/s",
                "Requests to the API server a second; 0: no limit but 24 at one time."),
    SETTING_INT(S, burst, "burst", "0", "0", "1000000", "requests",
                "Requests at once after a rest; 0: as many as --qps."),
    SETTING_STRING(S, raia_image, "raia-image", "raia.io/raia:dev",
                   "Image of the init container that lays Raia into pods."),
    SETTING_STRING(S, raia_pull_policy, "raia-pull-policy", "IfNotPresent",
                   "When that image is pulled."),
    SETTING_STRING(S, cluster_domain, "cluster-domain", "cluster.local", "Domain of services."),
    SETTING_BOOL(S, probes, "probes", "true",
                 "Give Ray containers probes where their template has none."),
    SETTING_BOOL(S, tls, "tls", "true", "Mutual TLS between the nodes of each cluster."),
    SETTING_BOOL(S, tokens, "tokens", "true",
                 "A token for each cluster whose authOptions say nothing."),
    SETTING_DURATION(S, node_lost, "node-lost", "30s", "1s", "1h",
                     "Pods of a node that was NotReady for so long are replaced."),
    SETTING_DURATION(S, backoff_max, "backoff-max", "5m", "1s", "1h",
                     "Longest wait between replacements of a pod that keeps failing."),
    SETTING_INT(S, restarts_max, "restarts-max", "5", "0", "1000", NULL,
                "Restarts of a container, then its pod is replaced."),
    SETTING_STRING(S, log_level, "log-level", "info",
                   "A level, and overrides for modules: info,operator.kube=debug."),
    SETTING_STRING(S, fault, "fault", "", "Fault points to arm, for tests: NAME=ACTION;..."),
};
/* clang-format on */

const struct settings_table operator_settings = SETTINGS_TABLE("raia-operator", list);
