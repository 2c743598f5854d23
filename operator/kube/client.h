/*
 * Requests to an API server: get, create, delete, apply, patch, list; one struct says what.
 *
 *     struct kube_client *c = NULL;
 *     r = kube_client_new(transport, NULL, &c, e);
 *
 *     struct kube_ask ask = {.verb = KUBE_APPLY, .target = {&kube_pods, "default", "a"},
 *                            .object = pod, .field_manager = "raia", .force = true};
 *     r = kube_ask(c, &x->call, &ask, on_applied, x, e);
 *
 *     static void on_applied(struct kube_call *call, struct json *object,
 *                            const struct kube_error *error, void *arg)
 *     {
 *         if (error->reason == KUBE_CONFLICT) ...
 *     }
 *
 * At most max_in_flight requests run at a time, further ones wait in order. After a 429 or 503 with
 * Retry-After none is started until then; the one that was refused is asked again by the client
 * itself, up to `retries` times: nothing has been done when a server says so. Every other failure
 * is the caller's, who usually has a work queue (workqueue.h).
 *
 * Time: whoever owns the client calls kube_client_step at kube_client_next (kube_driver in
 * http_transport.h does on a loop); timers of informers, leases and recorders are in it too.
 *
 * Ownership: the client does not own its transport, which must outlive it. A call is its owner's
 * struct until its callback, which fires exactly once, also after kube_cancel and
 * kube_client_free; never from kube_ask or kube_cancel. What the ask points to may go when kube_ask
 * returns. The reply's tree is the client's; copy what is to stay.
 * Threads: the owner's. Failure: kube_ask: -NOMEM, -LIMIT (max_waiting), -INVALID, -SHUTDOWN.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "base/list.h"
#include "base/timers.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/transport.h"

struct kube_client;
struct kube_call;

/* Zero members mean the default. */
struct kube_client_options {
    unsigned max_in_flight; /* default 24 */
    unsigned max_waiting;   /* calls that wait their turn; default 20,000 */
    unsigned retries;       /* of requests refused with Retry-After; default 5 */
    size_t max_reply;       /* bytes; default 16 MiB */
    double qps;             /* requests started a second; 0: no limit */
    double burst;           /* started at once after a rest; default qps */
};

int kube_client_new(struct kube_transport *t, const struct kube_client_options *options,
                    struct kube_client **ret_c, struct raia_error *e);
/* Ends what is in flight or waits (callbacks fire from here, or from the transport's next step: so
 * step it until kube_client_idle, then free). Accepts NULL. */
void kube_client_close(struct kube_client *c);
bool kube_client_idle(const struct kube_client *c);
/* Closed and idle, or nothing was ever asked. Accepts NULL. */
void kube_client_free(struct kube_client *c);

int64_t kube_client_next(const struct kube_client *c); /* ns; CLOCK_NEVER: nothing is due */
void kube_client_step(struct kube_client *c);
int64_t kube_client_now(const struct kube_client *c);
struct kube_transport *kube_client_transport(const struct kube_client *c);

/* For metrics. */
struct kube_client_stats {
    uint64_t started;   /* requests handed to the transport, retries included */
    uint64_t throttled; /* of them answered 429 or 503 with Retry-After */
    uint64_t failed;    /* calls that ended with an error */
    unsigned in_flight; /* now */
    unsigned waiting;   /* now */
};
void kube_client_get_stats(const struct kube_client *c, struct kube_client_stats *ret);

/* -- requests -------------------------------------------------------------------------------- */

enum kube_verb {
    KUBE_GET,    /* target.name NULL: a list, in one piece (small ones: see informer.h) */
    KUBE_CREATE, /* object */
    KUBE_UPDATE, /* object, with its resourceVersion: only for kinds that offer nothing better */
    KUBE_DELETE, /* uid, resource_version, propagation, grace_s */
    KUBE_APPLY,  /* object (server-side apply), field_manager, force */
    KUBE_PATCH   /* object (JSON merge patch), field_manager */
};

/* What is wanted. Zero members mean: not said. */
struct kube_ask {
    enum kube_verb verb;
    struct kube_target target;    /* subresource "status" for status writes */
    const struct json *object;    /* apiVersion and kind are added where they are missing */
    const char *field_manager;    /* who owns the fields that are set */
    bool force;                   /* apply: take fields from other managers */
    const char *uid;              /* delete: only this incarnation */
    const char *resource_version; /* delete: only this version */
    const char *propagation;      /* delete: "Background", "Foreground", "Orphan" */
    bool has_grace;               /* delete: grace_s counts */
    int64_t grace_s;              /* delete: seconds */
    int timeout_ms;               /* default 30,000 */
    bool no_reply;                /* what is sent back is of no use: it is not even read */
    bool metadata_reply;          /* of what is sent back after a write the metadata will do */
};

/* error->reason is KUBE_OK, and object what was sent back (NULL if nothing), its managedFields
 * apart; or why not. */
typedef void (*kube_call_fn)(struct kube_call *call, struct json *object,
                             const struct kube_error *error, void *arg);

/* A request under way; owned by the caller, zeroed before its first use; members are private. */
struct kube_call {
    struct kube_exchange x;     /* with the transport */
    struct list link;           /* in the client's waiting or running list */
    struct kube_client *client; /* NULL: not under way */
    kube_call_fn done;          /* fires once */
    void *arg;                  /* handed to done */
    const char *method;         /* of HTTP */
    const char *content_type;   /* of the body */
    const char *accept;         /* of the reply; NULL: JSON */
    char *path;                 /* path and query */
    char *body;                 /* NULL: none */
    size_t body_len;            /* bytes of it */
    int timeout_ms;             /* of one attempt */
    unsigned attempts;          /* so far */
    int failure;                /* why it could not be started; 0: it could */
    char *why;                  /* the text of that */
    bool no_reply;              /* nobody wants the object that is sent back */
    bool in_flight;             /* with the transport */
    bool canceled;              /* the owner wants no answer */
};

int kube_ask(struct kube_client *c, struct kube_call *call, const struct kube_ask *ask,
             kube_call_fn done, void *arg, struct raia_error *e);
/* A GET of any path ("/version", "/openapi/v3"). */
int kube_ask_path(struct kube_client *c, struct kube_call *call, const char *path,
                  kube_call_fn done, void *arg, struct raia_error *e);
void kube_cancel(struct kube_call *call);
bool kube_call_active(const struct kube_call *call);

/* -- for what lives on a client: informers, leases, recorders --------------------------------- */

struct kube_timer;
typedef void (*kube_timer_fn)(struct kube_timer *t);
struct kube_timer {
    struct timer timer; /* in the client's set */
    kube_timer_fn fn;   /* called from kube_client_step */
    bool attached;      /* room was reserved for it */
};
/* Once per timer, before the others. -NOMEM. */
int kube_timer_attach(struct kube_client *c, struct kube_timer *t, kube_timer_fn fn);
void kube_timer_set(struct kube_client *c, struct kube_timer *t, int64_t due);
void kube_timer_stop(struct kube_client *c, struct kube_timer *t);
void kube_timer_detach(struct kube_client *c, struct kube_timer *t);

#endif
