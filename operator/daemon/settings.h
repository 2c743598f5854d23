/* The settings of raia-operator (base/settings.h): flags, environment, defaults. Flags that KubeRay
 * has, too, mean the same. */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "base/settings.h"

struct operator_settings {
    char *kubeconfig;       /* a file; empty: $KUBECONFIG, the pod's own, ~/.kube/config */
    char *context;          /* of it; empty: its current one */
    char *metrics_addr;     /* HOST:PORT; "0": none */
    char *health_addr;      /* HOST:PORT; "0": none */
    char *watch_namespace;  /* joined by ','; empty: all */
    bool leader_election;   /* act only while holding the Lease */
    char *leader_namespace; /* of the Lease; empty: our own */
    int64_t concurrency;    /* objects handled at one time */
    bool kube_proxy;        /* reach heads through the API server */
    int64_t qps;            /* requests a second; 0: no limit */
    int64_t burst;          /* requests at once after a rest */
    char *raia_image;       /* of the init container */
    char *raia_pull_policy; /* of that image */
    char *cluster_domain;   /* of services */
    bool probes;            /* for containers that have none */
    bool tls;               /* between nodes */
    bool tokens;            /* for clusters that say nothing */
    int64_t node_lost;      /* ns */
    int64_t backoff_max;    /* ns */
    int64_t restarts_max;   /* of a container */
    char *log_level;        /* log_configure's text */
    char *fault;            /* fault_configure's text */
};

extern const struct settings_table operator_settings;

#endif
