/* The service's insides, shared by its files. */
#ifndef SERVICE_SERVICE_IMPL_H
#define SERVICE_SERVICE_IMPL_H

#include "base/hash.h"
#include "base/list.h"
#include "service/service.h"

/* One raylet's stream. */
struct session {
    struct service *service; /* whose */
    struct rpc_stream *st;   /* NULL once closed */
    struct node_id node;     /* after hello */
    bool open;               /* hello was accepted; it is in service.sessions */
    HASH_HANDLE hh;          /* in service.sessions */
};

/* What a unary method's registration carries. */
struct unary_method {
    struct service *service; /* whose */
    unsigned index;          /* in the descriptor */
};

struct service {
    struct service_options options; /* copied; texts borrowed */
    struct gcs_effects effects;     /* given to the core */
    struct gcs_core *core;          /* from service_start */
    struct rpc_server *server;      /* NULL once it is gone */
    struct session *sessions;       /* by node, those that said hello */
    struct unary_method *methods;   /* one for each of the descriptor */
    struct loop_timer tick;         /* drives the core */
    bool stopping;                  /* the core is not called any more */
    void (*stopped)(void *arg);     /* service_stop's */
    void *stopped_arg;              /* handed to it */
};

int session_open__(void *arg, struct rpc_stream *st, struct raia_error *e);
int session_send__(void *arg, const struct node_id *node, const void *data, size_t size);
void session_disconnect__(void *arg, const struct node_id *node);
int package_put_open__(void *arg, struct rpc_stream *st, struct raia_error *e);
int package_get_open__(void *arg, struct rpc_stream *st, struct raia_error *e);

#endif
