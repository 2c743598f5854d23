/*
 * What the operator was told by its flags, and its cores read. Plain data; see daemon/settings.c for
 * the flags. Ownership: texts are the daemon's, for as long as it runs.
 */
#ifndef OPERATOR_CONFIG_H
#define OPERATOR_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct operator_config {
    const char *raia_image;       /* of the init container that lays Raia into pods */
    const char *raia_pull_policy; /* of that image: "IfNotPresent", ... */
    const char *cluster_domain;   /* "cluster.local" */
    const char *version;          /* of the operator */
    bool probes;                  /* give Ray containers probes where the template has none */
    bool tls;                     /* mutual TLS between the nodes of each cluster */
    bool tokens;                  /* a token for each cluster whose authOptions say nothing */
    int64_t node_lost_ns;         /* NotReady for that long: its pods are replaced; 30 s */
    int64_t backoff_max_ns;       /* between replacements of a pod that keeps failing; 5 minutes */
    unsigned restarts_max;        /* of a container, then its pod is replaced; 5 */
    bool kube_proxy;              /* reach heads through the API server's service proxy */
};

#endif
