/*
 * The state folders of this user's clusters on this machine (docs/design/node.md):
 * /tmp/raia-UID/CLUSTER.
 *
 * Ownership: a state_cluster owns its strings. Threads: one at a time.
 * Failure: errors name the folder, and the command that helps.
 */
#ifndef CLI_STATE_H
#define CLI_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "raia/error.h"

/* A cluster, as cluster.json tells it. */
struct state_cluster {
    char *name;
    char *dir;          /* its state folder */
    char *api_url;      /* "http://127.0.0.1:8265" */
    char *gcs_address;  /* HOST:PORT */
    char *token;        /* read from its file; never printed */
    int64_t created_ms; /* unix time */
};

void state_cluster_done(struct state_cluster *c);

/* The root of this user's state (RAIA_STATE_DIR, or /tmp/raia-UID), made if missing. Refuses a
 * folder that others could have planted (another owner, writable by others). mem_free. */
int state_root(char **ret_dir, struct raia_error *e);
/* ROOT/name, not made. */
int state_dir(const char *name, char **ret_dir, struct raia_error *e);

/* Whether the cluster's keeper lives: it holds the lock on DIR/keeper.pid. */
bool state_alive(const char *dir, int *ret_pid);

/* The cluster of that name, or at that address (remote.h); NULL: the one that RAIA_CLUSTER or
 * RAIA_ADDRESS names (a name, a folder, "unix:SOCKET"), or the one whose API the environment names,
 * else the newest that runs. -NOT_FOUND says what to do. */
int state_open(const char *name, struct state_cluster *ret_c, struct raia_error *e);
/* The same for a state folder, whether it runs or not. */
int state_load(const char *dir, const char *name, struct state_cluster *ret_c,
               struct raia_error *e);

/* Where a head can be reached. */
struct state_address {
    const char *host;     /* of the GCS */
    int port;             /* of the GCS */
    const char *api_host; /* of the API */
    int dashboard_port;   /* of the API */
};

/* Writes cluster.json (from what the head wrote into gcs.json). */
int state_publish(const char *dir, const char *name, const struct state_address *a,
                  struct raia_error *e);

/* Makes token and tls/ (one CA, one leaf) unless they are there. */
int state_make_secrets(const char *dir, const char *node_ip, struct raia_error *e);

/* Names of all clusters with a state folder, running or not, NULL-terminated; each and the array:
 * mem_free. */
int state_list(char ***ret_names, struct raia_error *e);
void state_list_free(char **names);

#endif
