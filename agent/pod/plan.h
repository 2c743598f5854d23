/*
 * From flags and environment to the command line of raia-agent (docs/design/pod.md has the table).
 *
 *     struct pod_plan p = {0};
 *     r = pod_plan_make(&flags, getenv_like, &facts, &p, e);
 *     ... p.argv, p.env
 *     pod_plan_done(&p);
 *
 * Pure: what it needs of the world is given. Ownership: the plan owns what it points to.
 * Threads: any. Failure: -INVALID with the flag or variable that is missing or wrong; -NOMEM.
 */
#ifndef POD_PLAN_H
#define POD_PLAN_H

#include "pod/flags.h"

#define POD_SESSION_DIR "/tmp/ray/session_latest"
#define POD_ARGS_MAX    32

/* What only the system knows. */
struct pod_facts {
    const char *hostname; /* the node's name, if nobody says another */
    const char *ip;       /* where it is reached, if nobody says another; NULL: not known */
    const char *agent;    /* path of raia-agent */
};

struct pod_plan {
    char *session_dir;        /* absolute */
    char *token_file;         /* in it; head only */
    char *token;              /* the API's; NULL: none was given */
    bool open;                /* the API needs no token: RAY_AUTH_MODE says so */
    char *tls_dir;            /* NULL: no TLS */
    char *storage_dir;        /* folder of RAIA_STORAGE_PATH; NULL: in the session folder */
    char *argv[POD_ARGS_MAX]; /* of raia-agent; ends with NULL */
    size_t argc;              /* of them */
    char **env;               /* its environment; ends with NULL */
};

/* environ: "NAME=VALUE", ends with NULL. */
int pod_plan_make(const struct pod_flags *f, char *const *environ, const struct pod_facts *facts,
                  struct pod_plan *ret_p, struct raia_error *e);
void pod_plan_done(struct pod_plan *p); /* accepts a zeroed one; wipes the token */

#endif
