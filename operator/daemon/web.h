/*
 * The operator's two servers: /metrics, and /healthz with /readyz.
 *
 *     struct web_options o = {.metrics_addr = ":8080", .health_addr = ":8082", ...};
 *     r = web_new(loop, &o, &web, e);
 *
 * /healthz is 200 as long as the loop turns; /readyz 200 or 503 as `ready` says. Ownership: the
 * caller's; free before the loop. Threads: the loop's. Failure: a port that is taken, named.
 */
#ifndef DAEMON_WEB_H
#define DAEMON_WEB_H

#include "base/buf.h"
#include "loop/loop.h"

struct web;

struct web_options {
    const char *metrics_addr;                  /* "HOST:PORT", ":PORT"; "0": no server */
    const char *health_addr;                   /* the same */
    void (*metrics)(void *arg, struct buf *b); /* the text */
    const char *(*not_ready)(void *arg);       /* why; NULL: it is ready */
    void *arg;                                 /* handed to both */
};

int web_new(struct loop *l, const struct web_options *o, struct web **ret_w, struct raia_error *e);
void web_free(struct web *w); /* accepts NULL */
/* The ports that are listened on; 0: none. */
void web_ports(const struct web *w, unsigned *ret_metrics, unsigned *ret_health);
/* "HOST:PORT" taken to pieces; *ret_on false for "0". host is cut to its size. -INVALID. */
int web_address(const char *text, char *host, size_t size, unsigned *ret_port, bool *ret_on,
                struct raia_error *e);

#endif
