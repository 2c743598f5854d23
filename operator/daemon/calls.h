/*
 * Calls to heads over HTTP: directly by their service's name, or through the API server's proxy.
 *
 *     r = calls_new(loop, transport_or_null, "cluster.local", &calls, e);
 *     controller_options.calls = calls_of(calls);
 *     calls_free(calls);                    // after controller_free
 *
 * Replies are kept up to 1 MiB. Tokens are sent and never told. Ownership: the caller's. Threads:
 * the loop's. Failure: as of http_client.h; a call that cannot be made is answered with why.
 */
#ifndef DAEMON_CALLS_H
#define DAEMON_CALLS_H

#include "core/controller.h"
#include "kube/transport.h"
#include "loop/loop.h"

struct calls;

/* proxy: the API server's transport, when calls go through it; NULL: directly. */
int calls_new(struct loop *l, struct kube_transport *proxy, struct calls **ret_c,
              struct raia_error *e);
void calls_free(struct calls *c); /* accepts NULL */
struct controller_calls *calls_of(struct calls *c);

/* "http://NAME.NS.svc.DOMAIN:PORT/path?query" as the proxy's path; mem_free. NULL: not such a URL,
 * or no memory. */
char *calls_proxy_path(const char *url);

#endif
