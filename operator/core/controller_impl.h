/*
 * Private to core/: the controller's state. controller.c: life and informers; controller_item.c:
 * keys; controller_wake.c: which changes wake them; controller_turn.c: when they have their turn;
 * controller_seen.c: what a reconciler is shown; controller_run.c: carries a plan out;
 * controller_action.c: one action of it; controller_haste.c: what waits while the API server is
 * busy; controller_call.c: calls to heads.
 */
#ifndef OPERATOR_CONTROLLER_IMPL_H
#define OPERATOR_CONTROLLER_IMPL_H

#include "base/hash.h"
#include "base/prng.h"
#include "core/controller.h"
#include "core/fields.h"
#include "core/plants.h"
#include "kube/expectations.h"
#include "kube/pace.h"
#include "kube/workqueue.h"

#define RECONCILERS_MAX 8
#define NAMESPACES_MAX  64
#define INDEX_OWNER     0 /* of every store */
#define INDEX_CLUSTER   1 /* of pods: ray.io/cluster */

/* What is watched of one kind in one namespace. */
struct source {
    struct controller *c;         /* whose */
    const struct fields *fields;  /* the kind */
    int kind;                     /* enum seen_kind; -1: none of them */
    struct reconciler *r;         /* of these objects; NULL: none */
    const char *ns;               /* NULL: all */
    struct kube_informer *inf;    /* keeps it */
    struct kube_expect *expected; /* created and deleted, and not yet seen in it */
    char *selector;               /* of the informer; NULL: none */
};

/* RayJobs that look at one RayCluster which is not theirs. */
struct watch {
    HASH_HANDLE hh;    /* by key */
    struct list items; /* never empty */
    char key[];        /* "namespace/name" of the cluster */
};

/* An object with a reconciler: a key. */
struct item {
    HASH_HANDLE hh;             /* by uid */
    struct controller *c;       /* whose */
    struct source *source;      /* where it is seen */
    char *uid, *ns, *name;      /* of the object; ns NULL: cluster-scoped */
    void *memory;               /* the reconciler's */
    struct run *run;            /* the plan under way; NULL: none */
    struct kube_error *failure; /* of the last plan; NULL: none */
    char *failed;               /* what failed; NULL */
    struct list calls;          /* struct call_op, under way */
    struct watch *watch;        /* the cluster that it looks at; NULL: none */
    struct list watch_link;     /* in it */
    char *stale[2];             /* versions of the object older than our last write to it */
    unsigned n_stale;           /* how many */
    int64_t stale_until;        /* then they are no reason to wait any more */
    bool lags;                  /* its status differs from what was written, and waits */
    int64_t lag_since;          /* ns: for so long */
    struct list lag_link;       /* in lagging */
    unsigned holds;             /* somebody looks at it: not to be freed */
    bool gone;                  /* the object is; freed when nothing is under way */
};

struct controller {
    struct controller_options o;        /* with the defaults in */
    struct source *sources;             /* all kinds in all namespaces */
    size_t n_sources;                   /* how many */
    struct fields own[RECONCILERS_MAX]; /* of kinds that only their reconcilers want */
    struct kube_informer *nodes;        /* of the whole cluster */
    struct source nodes_source;         /* its callbacks' */
    struct item *items;                 /* by uid */
    struct watch *watches;              /* by cluster */
    struct kube_queue *queue;           /* uids */
    struct kube_timer timer;            /* of the queue */
    struct prng prng;                   /* names, jitter */
    struct list dying;                  /* items that are gone, by watch_link */
    struct list calls_waiting;          /* struct call_op */
    unsigned calls_running;             /* begun */
    unsigned n_calls_waiting;           /* of the list */
    unsigned runs;                      /* plans under way */
    bool running;                       /* between start and stop */
    bool rescan;                        /* a key was lost for want of memory: add all */
    struct kube_pace pace;              /* of our writes, from when they were wanted */
    struct list lagging;                /* items whose status waits, by lag_link */
    struct controller_stats stats;      /* counters */
};

/* -- controller.c -- */
int64_t controller_now__(const struct controller *c);
bool controller_leads__(const struct controller *c);
struct source *controller_source__(struct controller *c, const struct kube_resource *r,
                                   const char *ns);
void controller_trouble__(struct controller *c, const struct item *it, const char *text);

/* -- controller_item.c -- */
struct item *controller_item__(struct controller *c, const char *uid); /* NULL: none */
struct item *controller_item_new__(struct source *s,
                                   const struct kube_object *o); /* NULL: -NOMEM */
/* Which cluster a RayJob looks at may change with its status. */
int controller_item_watch__(struct item *it, const struct kube_object *o);
void controller_item_cancel__(struct item *it); /* all that is under way */
void controller_item_gone__(struct item *it);   /* its object is */
/* Nothing of it is under way, perhaps: then a gone one is freed. */
void controller_release__(struct item *it);
void controller_items_free__(struct controller *c);

/* -- controller_wake.c -- */
void controller_add__(struct controller *c, const char *uid);
void controller_add_all__(struct controller *c);
void controller_on_child__(void *arg, enum kube_change change, const struct kube_object *old,
                           const struct kube_object *now);
void controller_on_node__(void *arg, enum kube_change change, const struct kube_object *old,
                          const struct kube_object *now);
void controller_on_sync__(void *arg, int64_t began);
void controller_on_trouble__(void *arg, const struct kube_error *error);

/* -- controller_turn.c -- */
void controller_pump_soon__(struct controller *c, int64_t due);
void controller_on_timer__(struct kube_timer *t);

/* -- controller_haste.c -- */
void controller_note_answer__(struct controller *c, int64_t began); /* of a request begun then */
int64_t controller_pods_wait__(const struct controller *c);         /* before a look at them, ns */
/* The status differs: 0: it is to be written now; else when, at the latest. */
int64_t controller_status_due__(struct item *it, enum plan_haste haste);
void controller_status_current__(struct item *it);
int64_t controller_lags__(const struct controller *c, int64_t now); /* when to look; or NEVER */
void controller_haste__(struct controller *c, int64_t now);         /* the look */

/* -- controller_seen.c: `keep` owns what the seen points to -- */
struct seen_room {
    struct json **trees;         /* all that were parsed */
    size_t n, cap;               /* of them */
    struct seen_object *objects; /* the lists, one after the other */
    size_t n_objects, cap_objects;
};
int controller_see__(struct item *it, const struct kube_object *o, struct seen *ret_s,
                     struct seen_room *room, struct raia_error *e);
void controller_see_done__(struct seen_room *room);
/* The cluster that a RayJob looks at: a name in `tree`, or NULL. */
const char *controller_cluster_of__(const struct json *tree);
bool controller_maybe_head__(const struct kube_object *pod);

/* -- controller_run.c -- */
enum run_phase { RUN_METADATA, RUN_STAGES, RUN_STATUS, RUN_END };

struct run {
    struct item *it;          /* whose */
    struct plan *plan;        /* what is to be done */
    struct list *next;        /* the next action's link, or the list's head */
    unsigned stage;           /* that is under way */
    enum run_phase phase;     /* how far it is */
    bool asked;               /* this phase's own write is under way, or through */
    struct list ops;          /* struct op, under way */
    unsigned n_ops;           /* how many */
    char *version;            /* the object's, for the next write to it */
    struct json *metadata;    /* the patch; NULL: nothing changes */
    struct json *status;      /* the patch; NULL: nothing changes */
    struct json *hope;        /* the patch when all has succeeded */
    bool conflict;            /* the object had changed */
    bool cut;                 /* leading has ended, or the object is gone */
    struct kube_error *error; /* the first failure; NULL: none */
    char *failed;             /* of what */
};

/* A key whose time has come: begins a run. 0: it is under way; else it ended at once. */
void controller_run__(struct item *it, const struct kube_object *o);
void controller_run_cut__(struct run *r);
void controller_run_step__(struct run *r);
void controller_run_fail__(struct run *r, const struct kube_error *error, const char *kind,
                           const char *name);

/* -- controller_action.c -- */
/* A request of a run under way. */
struct op {
    struct list link;        /* in the run */
    struct run *run;         /* whose */
    struct plan_action *a;   /* NULL: the object's own metadata or status */
    struct kube_call call;   /* the request */
    struct kube_timer retry; /* of one of unknown outcome */
    struct source *source;   /* where its effect will be seen; NULL: nowhere */
    char *id;                /* the expectation; NULL: none */
    unsigned attempts;       /* so far */
    int64_t began;           /* the request was asked, ns */
    bool looking;            /* the request is a GET of what exists already */
    bool made_name;          /* by us, from generateName */
};
int controller_action__(struct run *r, struct plan_action *a);
/* A write to the object itself (subresource NULL or "status"); takes nothing over. */
int controller_write__(struct run *r, const char *subresource, const char *member,
                       const struct json *patch);
void controller_op_cancel__(struct op *op);

/* -- controller_call.c -- */
struct call_op {
    struct list link;                                /* in the item */
    struct list wait;                                /* in calls_waiting */
    struct item *it;                                 /* whose */
    uint64_t tag;                                    /* of the plan */
    struct controller_call x;                        /* with the daemon */
    char *ns, *method, *url, *body, *token, *secret; /* copies */
    struct kube_call get;                            /* of the secret */
    bool begun;                                      /* counts in calls_running */
    bool with_daemon;                                /* x is */
};
int controller_call_start__(struct item *it, const struct plan_action *a);
/* Begins those that wait, as many as may. */
void controller_calls_pump__(struct controller *c);
void controller_call_cancel__(struct call_op *op);

#endif
