/*
 * The REST API on the dashboard port: Ray's job API, Ray's state API, metrics, health.
 *
 *     r = rest_new(&options, &rest, e);         // serves from now on
 *     port = rest_port(rest);
 *     ...
 *     rest_free(rest);                          // before the core and the packages go
 *
 * What is read of the core's state is answered through its commit pipeline, so that nobody is told
 * what a crash could still undo. Errors of the job API are plain text with 400, 404, 429 or 500, as
 * Ray's are. Every request but GET /healthz needs the token, if there is one.
 *
 * Ownership: core, loop and packages are the caller's. Threads: the loop's owner.
 * Failure: -EXISTS: the port is taken.
 */
#ifndef REST_REST_H
#define REST_REST_H

#include "core/core.h"
#include "loop/loop.h"
#include "service/ask.h"
#include "service/packages.h"

struct rest;
struct metrics;

struct rest_options {
    struct loop *loop;         /* where it lives */
    struct gcs_core *core;     /* started */
    struct packages *packages; /* where packages are */
    struct asker *asker;       /* reaches the raylets; freed before rest */
    const char *host;          /* address to listen on */
    uint16_t port;             /* 0: any free one */
    const char *token;         /* NULL: every route is open */
    const char *session_dir;   /* the head's: logs/ is in it */
    size_t max_log;            /* bytes of a log that GET .../logs gives, its end; 0: 16 MiB */
};

int rest_new(const struct rest_options *options, struct rest **ret_rest, struct raia_error *e);
uint16_t rest_port(const struct rest *rest);
/* What /metrics shows, but for the resources; lives as long as rest. */
struct metrics *rest_registry(const struct rest *rest);
void rest_free(struct rest *rest); /* accepts NULL */

#endif
