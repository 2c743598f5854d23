/*
 * The supervisor: starts the GCS (on the head) and the raylet, restarts them when they die, starts
 * workers and entrypoints on the raylet's order, reaps every process of the node, and ends them
 * all.
 *
 *     struct supervisor *s;
 *     r = supervisor_new(loop, &config, &s, e);   // starts the first children
 *     r = loop_run(loop);                         // until supervisor_stop has ended them all
 *     supervisor_free(s);
 *
 * What it guarantees (docs/design/supervisor.md):
 *   - when a raylet dies, its workers are killed and reaped before the next raylet starts; the next
 *     one is told the dead one's node id, so that its restart is proof of death;
 *   - entrypoints live through it, and their ends are kept until the GCS has them stored;
 *   - after supervisor_stop no descendant of this process is left, whatever session it made.
 *
 * Ownership: the config is borrowed and must outlive the supervisor.
 * Threads: the loop's owner, which must be the process's main thread (parent-death signals).
 * Failure: a child that does not start is logged and tried again with back-off (100 ms to 5 s).
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "raia/error.h"

struct agent_config {
    char *node_name;              /* unique in the cluster */
    char *session_dir;            /* absolute; exists */
    bool head;                    /* this node hosts the GCS */
    char *gcs_address;            /* HOST:PORT; on the head, found out from gcs.json */
    int64_t port;                 /* of the GCS; 0: any */
    char *dashboard_host;         /* the REST API's address */
    int64_t dashboard_port;       /* 0: any */
    char *node_ip;                /* how other nodes reach this one */
    double num_cpus;              /* < 0: what the cgroup gives */
    uint64_t memory;              /* bytes; 0: what the cgroup gives */
    uint64_t object_store_memory; /* bytes; 0: 30 % of memory */
    char *resources;              /* JSON object, or empty */
    char *labels;                 /* JSON object, or empty */
    char *tls_dir;                /* empty: plaintext on loopback */
    char *token_file;             /* empty: no token */
    char *storage;                /* memory or sqlite */
    int64_t metrics_port;         /* of the raylet's HTTP server; 0: none */
    char *log_level;              /* for this process and its daemons */
    bool log_stderr;              /* logs and outputs of the daemons go to standard error, too */
};

struct supervisor;

int supervisor_new(struct loop *l, const struct agent_config *c, struct supervisor **ret_s,
                   struct raia_error *e);

/* Ends everything in order (raylet, entrypoints, GCS, whatever is left), then stops the loop. */
void supervisor_stop(struct supervisor *s);

/* True when it stopped because the node cannot run (logged): the process exits with 1. */
bool supervisor_failed(const struct supervisor *s);

/* Takes NULL. */
void supervisor_free(struct supervisor *s);

#endif
