/*
 * The flags of raia-pod, in the spelling of `ray start`, as KubeRay's manifests write them: with '-' or
 * '_', "--flag value" or "--flag=value", and values that may still carry the quotes that a shell would
 * have taken off ("{\"a\": 2}").
 *
 *     struct pod_flags f = {0};
 *     r = pod_flags_read(&f, argc, argv, e);
 *     for (size_t i = 0; i < f.n_ignored; i++) ... f.ignored[i]
 *     pod_flags_done(&f);
 *
 * Flags of Ray that mean nothing here are collected, each name once, and not obeyed: a manifest that
 * Ray takes is taken here. Values of those that are known are checked.
 *
 * Ownership: the struct owns what it points to. Threads: any. Failure: -INVALID with the flag, its
 * value and what is expected; -NOMEM.
 */
#ifndef POD_FLAGS_H
#define POD_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json.h"

struct pod_flags {
    bool head;                    /* --head */
    bool block;                   /* --block */
    char *address;                /* --address, HOST:PORT; NULL: not given */
    char *node_ip;                /* --node-ip-address; NULL: not given */
    char *node_name;              /* --node-name; NULL: not given */
    char *dashboard_host;         /* --dashboard-host; NULL: not given */
    int64_t port;                 /* --port; -1: not given */
    int64_t dashboard_port;       /* --dashboard-port; -1: not given */
    int64_t metrics_port;         /* --metrics-export-port; -1: not given */
    double num_cpus;              /* --num-cpus; -1: not given */
    uint64_t memory;              /* --memory, bytes; 0: not given */
    uint64_t object_store_memory; /* --object-store-memory, bytes; 0: not given */
    struct json *resources;       /* --resources, and --num-gpus as GPU; NULL: none */
    struct json *labels;          /* --labels, also written as a=b,c=d; NULL: none */
    char **ignored;               /* names of flags that are not obeyed, without dashes */
    size_t n_ignored;             /* of them */
};

/* f is zeroed. argv[0] is the program. */
int pod_flags_read(struct pod_flags *f, int argc, char *const *argv, struct raia_error *e);
void pod_flags_done(struct pod_flags *f); /* accepts a zeroed one, and one half read */

/* Takes off one layer of a shell's quotes, if the whole value is in them. mem_free; NULL: no memory. */
char *pod_unquote(const char *value);

#endif
