/*
 * Clusters that this machine has no state folder of: known by the address of their API, as in pods and
 * behind port-forwards.
 *
 * Addresses: "http://HOST:PORT", "https://...", or HOST:PORT; the GCS's port (6379), which Ray's
 * RAY_ADDRESS names, stands for the API's (8265). The token comes from RAY_AUTH_TOKEN, the file
 * RAY_AUTH_TOKEN_PATH, the session folder of this pod, or ~/.ray/auth_token, as with Ray; without any,
 * none is sent.
 *
 * Ownership: as state.h. Threads: one at a time. Failure: -INVALID for what is no address.
 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <stdbool.h>

#include "cli/state.h"

/* Whether a cluster's "name" is such an address: names have no ':'. */
bool remote_is_address(const char *name);
/* The address that the environment names (RAY_API_SERVER_ADDRESS, RAIA_API_SERVER,
 * RAY_DASHBOARD_ADDRESS, RAY_ADDRESS); NULL: none. */
const char *remote_from_env(void);
int remote_open(const char *address, struct state_cluster *ret_c, struct raia_error *e);

#endif
