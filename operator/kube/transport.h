/*
 * How requests reach an API server: the one interface between this client and the world. It also
 * gives the time, so that all of the client runs in a simulation.
 *
 * Implementations: http_transport.h (libcurl on a loop); sim/recorded.h (fixtures); sim/faulty.h
 * with sim/model_server.h (a seeded simulation).
 *
 * Ownership: an exchange is its owner's struct, which must stay until done, as must the request's
 * body (its other texts may go when start returns). done fires exactly once for each start that
 * returned 0, also after cancel, never from start or cancel. data may be called before, with pieces
 * of the body of a 2xx answer. Both may start other exchanges; done may free its own.
 * Threads: the owner's. Failure: as of http_client.h.
 */
#ifndef KUBE_TRANSPORT_H
#define KUBE_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

struct kube_exchange;

/* Zero members mean the default. */
struct kube_request {
    const char *method;       /* "GET", ... */
    const char *target;       /* path and query, from '/' on */
    const char *content_type; /* of the body; default application/json */
    const char *accept;       /* of the reply; default application/json; must outlive start */
    const char *header_name;  /* one more header; NULL: none */
    const char *header_value; /* its value */
    const char *body;         /* NULL: none */
    size_t body_len;          /* bytes of it */
    int timeout_ms;           /* of the whole exchange; default 30,000; -1: none */
    int idle_timeout_ms;      /* without a byte; 0: none */
    size_t max_reply;         /* bytes of a reply that is kept; default 16 MiB */
};

struct kube_reply {
    int status;        /* HTTP status */
    const char *body;  /* readable until done returns; NULL: none, or given to data */
    size_t body_len;   /* bytes of it */
    int retry_after_s; /* 0: not told */
};

/* Takes a piece of a 2xx body; a negative code ends the exchange with it. */
typedef int (*kube_data_fn)(struct kube_exchange *x, const char *data, size_t len);
/* error->code is 0 if an answer came, whatever its status. */
typedef void (*kube_done_fn)(struct kube_exchange *x, const struct kube_reply *reply,
                             const struct raia_error *error);

struct kube_exchange {
    kube_done_fn done; /* set by its owner */
    kube_data_fn data; /* set by its owner; NULL: the body is kept for done */
    void *impl;        /* the transport's; NULL when not in flight */
};

struct kube_transport;
struct kube_transport_ops {
    int (*start)(struct kube_transport *t, struct kube_exchange *x, const struct kube_request *rq,
                 struct raia_error *e);
    /* Without effect on one that is not in flight. */
    void (*cancel)(struct kube_transport *t, struct kube_exchange *x);
    int64_t (*now)(struct kube_transport *t);     /* ns; monotonic */
    int64_t (*unix_ms)(struct kube_transport *t); /* wall clock, for objects that tell the time */
    void (*free)(struct kube_transport *t);       /* nothing is in flight */
};

struct kube_transport {
    const struct kube_transport_ops *ops; /* the implementation, whose struct begins with this */
};

/* Accepts NULL. */
static inline void kube_transport_free(struct kube_transport *t)
{
    if (t)
        t->ops->free(t);
}

#endif
