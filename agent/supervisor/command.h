/*
 * The command lines and environments of the daemons that the supervisor starts
 * (docs/design/node.md).
 *
 * Ownership: a command_env owns its strings; command_env_done frees them and takes a zeroed one.
 * Threads: the supervisor's. Failure: -NOMEM; -IO when a program cannot be started.
 */
#ifndef SUPERVISOR_COMMAND_H
#define SUPERVISOR_COMMAND_H

#include <stddef.h>
#include <sys/types.h>

#include "raia/error.h"
#include "supervisor/supervisor.h"

struct command_env {
    char **vars; /* "NAME=VALUE" each, NULL at the end */
    size_t n;    /* without the end */
};

/* What this process was given, less what is meant for it alone, plus what every child is told. */
int command_env_base(const struct agent_config *c, struct command_env *ret_env,
                     struct raia_error *e);
int command_env_copy(const struct command_env *from, struct command_env *ret_env);
int command_env_set(struct command_env *env, const char *name, const char *value);
void command_env_done(struct command_env *env);

struct gcs_ports {
    int port;           /* of the rpc server; 0: not known yet */
    int dashboard_port; /* of the REST API */
};

/* Reads gcs.json; fails unless it was written by `pid`. */
int command_read_gcs_ports(const struct agent_config *c, pid_t pid, struct gcs_ports *ret_ports);

/* Ports that were bound before are asked for again. */
int command_start_gcs(const struct agent_config *c, const struct command_env *env,
                      const struct gcs_ports *ports, pid_t *ret_pid, struct raia_error *e);

/* fd becomes the raylet's descriptor 3. */
int command_start_raylet(const struct agent_config *c, const struct command_env *env,
                         const struct gcs_ports *ports, int fd, pid_t *ret_pid,
                         struct raia_error *e);

#endif
