/*
 * The control store's rpc service: raia.gcs.Gcs over common/rpc, and the effects of its core.
 *
 *     r = service_new(&options, &s, e);
 *     r = gcs_core_new(&config, storage, service_effects(s), &core, e);
 *     -- load and start the core
 *     r = service_start(s, core, &port, e);
 *     ...
 *     service_stop(s, on_gone, me);        // then, in on_gone: service_free(s)
 *
 * Ownership: the core and the loop are the caller's. Threads: the loop's owner.
 * Failure: -EXISTS: the port is taken.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "core/core.h"
#include "loop/loop.h"
#include "rpc/rpc.h"
#include "service/packages.h"

struct service;

struct service_options {
    struct loop *loop;         /* where it lives */
    const char *host;          /* address to listen on */
    uint16_t port;             /* 0: any free one */
    const struct rpc_tls *tls; /* NULL: plaintext, loopback only */
    struct packages *packages; /* where packages are; the caller's */
    /* The core broke: leave the process. */
    void (*broken)(void *arg, const struct raia_error *e);
    void *arg; /* handed to broken */
};

int service_new(const struct service_options *options, struct service **ret_s,
                struct raia_error *e);
const struct gcs_effects *service_effects(struct service *s);
int service_start(struct service *s, struct gcs_core *core, uint16_t *ret_port,
                  struct raia_error *e);
/* Ends all calls; then calls done. Nothing of the core is called after. */
void service_stop(struct service *s, void (*done)(void *arg), void *arg);
void service_free(struct service *s); /* accepts NULL */

/* The time, as the core wants it. */
struct gcs_now service_now(void);

#endif
