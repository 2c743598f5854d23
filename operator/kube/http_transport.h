/*
 * The real transport: HTTP/1.1 over libcurl with a connection for each exchange in flight (so that
 * a stuck watch takes nothing else down), and what drives a client on a loop.
 *
 *     r = kube_http_new(loop, &cfg, 64, &transport, e);
 *     r = kube_client_new(transport, NULL, &client, e);
 *     kube_driver_start(&driver, loop, client);        // steps the client when it is due
 *     ...
 *     kube_driver_stop(&driver);
 *
 * While the server is busy, answers and events are looked at together (pace.h). A hook of the loop that
 * was added after the transport had better start no exchange: it would wait for the loop's next turn.
 *
 * Ownership: the config must outlive the transport; the loop both. Threads: the loop's.
 * Failure: -NOMEM, descriptors; credentials that cannot be read fail the exchange.
 */
#ifndef KUBE_HTTP_TRANSPORT_H
#define KUBE_HTTP_TRANSPORT_H

#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "loop/loop.h"

/* max_exchanges: in flight, watches included; 0: 64. Free with kube_transport_free. */
int kube_http_new(struct loop *l, const struct kube_config *cfg, unsigned max_exchanges,
                  struct kube_transport **ret_t, struct raia_error *e);

struct kube_driver {
    struct loop *loop;          /* where it runs */
    struct kube_client *client; /* what it steps */
    struct loop_timer timer;    /* set to the client's next */
    struct loop_hook hook;      /* sets it, before each sleep */
    int64_t set_for;            /* what the timer is set for */
};
void kube_driver_start(struct kube_driver *d, struct loop *l, struct kube_client *c);
void kube_driver_stop(struct kube_driver *d);

#endif
