/*
 * The controller: sees what the API server has, asks reconcilers for plans, and carries them out.
 * Pure over a kube_client; the daemon gives it a real one, a simulation (sim/) a model server.
 *
 *     struct reconciler *all[] = {raycluster_reconciler(&config), rayjob_reconciler(&config)};
 *     struct controller_options o = {.client = client, .reconcilers = all, .n_reconcilers = 2,
 *                                    .recorder = rec, .calls = calls, .leading = held, .arg = op};
 *     r = controller_new(&o, &ctl, e);
 *     controller_start(ctl);               // when leading has begun
 *     controller_wake(ctl);                // when leading has ended
 *     controller_stop(ctl);
 *     -- step the client until controller_idle(ctl)
 *     controller_free(ctl);
 *
 * A key is an object's uid. It is handled when all kinds are synced, we lead, what was created and
 * deleted for it is seen (expectations), and the store shows the last write to the object itself.
 * Then: `seen` -> plan -> metadata, stages, status.
 * - Creations: a name made of generateName is made here, so that one of unknown outcome can be
 *   waited for. A name that exists already is looked at: ours, or nobody's, is as good as created;
 *   another controller's is a failure (AlreadyExists).
 * - Writes of the object's own metadata and status carry the resourceVersion that was seen, so that
 *   nothing is decided on an old object; a conflict is no failure, only another try. Nothing is
 *   sent that changes nothing.
 * - A PLAN_CALL is begun in its stage, and nothing waits for it; its answer comes to `answered`.
 * - A failure counts after what else was under way in its stage; the status is written still.
 *   Whatever fails comes again after a back-off from 5 ms to backoff_max_ns.
 * - While the API server is busy (requests take more than 50 ms of late), changes of pods are looked
 *   at together (up to 2 s), and a status that is not PLAN_NOW waits: CONTROLLER_SOON_NS or
 *   CONTROLLER_LATER_NS at most, or until the server is not busy any more.
 * - When leading ends, what is under way is cancelled, and no plan goes on. For another term there
 *   must be another controller: what one has seen while it waited may be old when its turn comes.
 *
 * Bounds: `parallel` keys at a time, 32 actions of one plan, 1,000 calls and 10,000 that wait (beyond,
 * they are answered with an error); requests have 30 s.
 * Ownership: what the options point to must outlive it. Threads: the client's. Failure: -NOMEM.
 */
#ifndef OPERATOR_CONTROLLER_H
#define OPERATOR_CONTROLLER_H

#include "core/reconciler.h"
#include "kube/informer.h"

struct controller;

#define CONTROLLER_SOON_NS  INT64_C(2000000000)  /* PLAN_SOON waits no longer */
#define CONTROLLER_LATER_NS INT64_C(10000000000) /* PLAN_LATER */

/* ---- calls to heads ---- */

struct controller_calls;
struct controller_call;

/* One request to a head; all texts live until it is done. */
struct controller_call {
    const char *ns;     /* of the cluster */
    const char *method; /* "GET", ... */
    const char *url;    /* http://NAME.NS.svc.DOMAIN:PORT/path */
    const char *body;   /* JSON; NULL: none */
    const char *token;  /* for Authorization: Bearer; NULL: none. Never to be logged */
    int timeout_ms;     /* of all of it */
    /* http_status 0: none came, `error` says why. At most once, never from start or cancel. */
    void (*done)(struct controller_call *x, int http_status, const char *body, size_t body_len,
                 const char *error);
    void *impl; /* the implementation's */
};

struct controller_calls {
    int (*start)(struct controller_calls *c, struct controller_call *x, struct raia_error *e);
    /* done comes soon. */
    void (*cancel)(struct controller_calls *c, struct controller_call *x);
};

/* ---- the controller ---- */

/* Zero members mean the default. */
struct controller_options {
    struct kube_client *client;      /* asks, and gives the time */
    struct reconciler **reconcilers; /* at most 8, each of another kind */
    size_t n_reconcilers;            /* how many */
    const char *const *namespaces;   /* that are watched */
    size_t n_namespaces;             /* 0: all; at most 64 */
    struct kube_recorder *recorder;  /* for events; NULL: none are sent */
    struct controller_calls *calls;  /* for PLAN_CALL; NULL: each is answered with an error */
    unsigned parallel;               /* keys handled at one time; default 32 */
    int64_t backoff_max_ns;          /* default 5 minutes */
    int64_t
        expect_ns; /* until what is not seen is given up, longer than idle_ms; default 5 minutes */
    int idle_ms;   /* of watches; default as of the informer */
    uint64_t seed; /* of names and jitter */
    bool (*leading)(void *arg); /* may we write now; NULL: always */
    /* A key failed, or an informer has trouble (ns and name NULL); may be NULL. */
    void (*on_trouble)(void *arg, const struct kube_resource *resource, const char *ns,
                       const char *name, const char *text);
    void *arg; /* handed to both */
};

int controller_new(const struct controller_options *o, struct controller **ret_c,
                   struct raia_error *e);
void controller_start(struct controller *c); /* informers begin */
/* To be called when leading has ended. */
void controller_wake(struct controller *c);
void controller_stop(struct controller *c);
bool controller_idle(const struct controller *c);
void controller_free(struct controller *c); /* stopped and idle; accepts NULL */
/* All kinds have been seen once. */
bool controller_synced(const struct controller *c);

struct controller_stats {
    uint64_t reconciles;        /* plans made */
    uint64_t failures;          /* keys that will come again */
    uint64_t conflicts;         /* of them: the object had changed */
    uint64_t writes;            /* requests that change something, events apart */
    uint64_t calls;             /* to heads */
    uint64_t held;              /* plans whose status was left for later */
    int64_t plan_ns;            /* time in reconcilers; by the client's clock */
    uint64_t informer_failures; /* lists and watches that failed */
    size_t objects;             /* that have reconcilers */
    size_t stored;              /* objects in stores */
    size_t stored_bytes;        /* of them */
    size_t ready;               /* keys that wait for their turn */
    size_t running;             /* keys being handled */
    size_t later;               /* keys that wait for a time */
};
void controller_get_stats(const struct controller *c, struct controller_stats *ret);

/* Each object of a reconciler's kind, as it is known now: for metrics. */
typedef void (*controller_object_fn)(void *arg, const struct kube_object *o);
void controller_each(const struct controller *c, const struct kube_resource *resource,
                     controller_object_fn fn, void *arg);

#endif
