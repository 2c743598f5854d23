/*
 * The RayCluster reconciler's insides, shared by its files.
 *
 * One pass looks at one RayCluster: raycluster.c makes it, the functions of the other files read it
 * and add to its plan and its status. A failure (out of memory) stays in pass.r and makes all that
 * follows do nothing.
 */
#ifndef OPERATOR_RAYCLUSTER_IMPL_H
#define OPERATOR_RAYCLUSTER_IMPL_H

#include <string.h>

#include "api/raycluster.h"
#include "base/hash.h"
#include "core/pod.h"
#include "core/raycluster.h"
#include "core/raycluster_plants.h"
#include "core/service.h"

/* -- what outlives a pass ---------------------------------------------------------------------- */

/* The back-off of one group: how often its pods have failed lately. */
struct rc_backoff {
    HASH_HANDLE hh;
    char *group;       /* its name */
    unsigned failures; /* in a row */
    int64_t last;      /* ns: of the latest one */
    int64_t held;      /* pods that are not replaced before `due` */
    int64_t due;       /* ns */
};

/* A node of its pods; between passes only those that are not ready. */
struct rc_node {
    HASH_HANDLE hh;
    char *name;       /* of it */
    char *transition; /* the time at which it changed last, as the server tells it */
    bool down;        /* not ready, or not known (any more) */
    int64_t since;    /* ns: when that was first seen */
    uint64_t pass;    /* in which it was looked at */
};

/* Something that serves the cluster, and is nobody's: it is not seen. */
struct rc_found {
    HASH_HANDLE hh;
    char key[]; /* "secrets/demo" */
};
#define RC_FOUND_MAX 32 /* of them: more, and all are forgotten */

struct rc_memory {
    struct rc_backoff *groups; /* by name */
    struct rc_node *nodes;     /* by name */
    uint64_t pass;             /* counts them */
    struct secret_ca *ca;      /* whose secrets are being written, or will be; NULL */
    char ca_id[20];            /* of it: SECRET_ANNOTATION_ID */
    int64_t ca_due;            /* ns: it signs from then on; 0: it is not trusted by all yet */
    bool ca_spreads;           /* it is being trusted, and signs nothing yet */
    int64_t ca_wait;           /* ns: what was applied must be seen by then */
    unsigned salt;             /* of pod names: more each time that one was taken */
    struct rc_found *found;    /* by key */
};

/* -- a pass ------------------------------------------------------------------------------------ */

enum rc_fate {
    RC_FINE,     /* stays */
    RC_GOING,    /* is being deleted */
    RC_ENDED,    /* all its containers, or the one that counts */
    RC_CRASHING, /* restarted in place too often */
    RC_LOST      /* with its node */
};

struct rc_pod {
    const struct seen_object *seen; /* as it is */
    const char *name;               /* metadata.name */
    const struct ray_group *group;  /* NULL: not in the spec any more */
    bool head;                      /* by its label */
    bool running;                   /* phase */
    bool ready;                     /* running, and the condition Ready */
    enum rc_fate fate;              /* what has become of it */
    bool going;                     /* is being deleted, lost or not */
    bool stale;                     /* of another spec: its hash differs */
    bool dropped;                   /* its deletion is in the plan */
    int64_t created_ms;             /* since the epoch */
    int64_t replica;                /* of a group with several hosts; -1 */
    int64_t host;                   /* in it; -1 */
};

/* A pod that the plan makes. */
struct rc_name {
    HASH_HANDLE hh;
    char name[POD_NAME_SIZE];
};

struct raycluster {
    struct reconciler base;     /* as the controller knows it */
    struct secret_maker *maker; /* of keys */
};

#define RC_CREATED_SIZE 512
struct rc_pass {
    struct raycluster *self;
    const struct seen *s;
    const struct ray_cluster *c;     /* NULL: it cannot be read */
    struct rc_memory *memory;        /* its */
    struct plan *p;                  /* what is to be done */
    struct rc_pod *pods;             /* of head and workers */
    size_t n_pods;                   /* how many */
    struct rc_name *made;            /* by name */
    struct json *conditions;         /* the new ones */
    char service[SERVICE_NAME_SIZE]; /* of the head: its name */
    char hash[RAY_HASH_SIZE];        /* of the spec */
    struct pod_site site;            /* of its pods */
    const struct ray_group *failed;  /* whose pod made the last plan fail; NULL */
    bool failed_create;              /* and that was its creation */
    char created[RC_CREATED_SIZE];   /* which pods the plan makes: for an event */
    bool created_head;               /* a head among them */
    bool foreign;                    /* KubeRay has made its pods */
    bool refused;                    /* a template cannot be used: no more pods of it */
    int r;                           /* 0, or what has gone wrong */
    struct raia_error *e;            /* for it */
};

/* Notes a failure; true as long as there is none. */
bool rc_ok__(struct rc_pass *x, int r);

/* Is the text there, and that one? */
static inline bool rc_is(const char *text, const char *that)
{
    return text && strcmp(text, that) == 0;
}

/* raycluster_seen.c: fills pods; plans to look again when a node's time is up. */
void rc_see__(struct rc_pass *x);
/* Has KubeRay made one of them, or one of this cluster's name? Its name; NULL: none. */
const char *rc_kuberay_pod__(const struct seen *s);
/* What made the last plan fail: fills failed, failed_create. */
void rc_see_failure__(struct rc_pass *x);
const char *rc_label__(const struct json *tree, const char *key);
const char *rc_annotation__(const struct json *tree, const char *key);
/* When it was made: ms since the epoch; 0: it does not say. */
int64_t rc_created_ms__(const struct json *tree);
/* One of a seen list; NULL: not there. */
const struct seen_object *rc_find__(const struct seen_list *l, const char *name);

/* raycluster_nodes.c: has it not been ready for as long as a node may be? If not yet, plans to look
 * again in time. */
bool rc_node_lost__(struct rc_pass *x, const char *name);
/* Forgets those that nobody asked for in this pass, and those that are well. */
void rc_nodes_seen__(struct rc_pass *x);
void rc_forget_nodes__(struct rc_node **all);

/* raycluster_things.c: services, secrets and the claim that are missing. */
void rc_make_things__(struct rc_pass *x);
/* Is it to be made: neither seen nor found (below). */
bool rc_lacks__(struct rc_pass *x, enum seen_kind kind, const struct kube_resource *r,
                const char *name);
/* Something of that name is nobody's, and serves. */
void rc_found__(struct rc_memory *m, const struct kube_resource *kind, const char *name);
void rc_forget_found__(struct rc_memory *m);
/* raycluster_services.c */
void rc_keep_services__(struct rc_pass *x);
/* raycluster_keys.c: the secrets of TLS. */
void rc_make_keys__(struct rc_pass *x);

/* raycluster_pods.c */
void rc_delete_pod__(struct rc_pass *x, struct rc_pod *pod);
void rc_delete_all__(struct rc_pass *x);
void rc_make_pods__(struct rc_pass *x);
/* The plan makes n of the group: for the event. */
void rc_note_created__(struct rc_pass *x, const struct ray_group *g, unsigned n);
/* raycluster_hosts.c: a group whose replicas have several hosts. */
void rc_make_hosts__(struct rc_pass *x, const struct ray_group *g);
/* A new pod of a group. slot NULL: the next free one. */
void rc_create_pod__(struct rc_pass *x, const struct ray_group *g, const char *slot,
                     struct pod_place *at);
/* How many of `missing` pods may be made now, for the group's back-off. */
int64_t rc_allowed__(struct rc_pass *x, const struct ray_group *g, int64_t missing);
/* n pods of the group have failed, and will be replaced. */
void rc_count_failures__(struct rc_pass *x, const struct ray_group *g, int64_t n);

/* raycluster_suspend.c: true if there shall be no pods now. */
bool rc_suspend__(struct rc_pass *x);

/* raycluster_status.c */
void rc_set__(struct rc_pass *x, const char *type, bool value, const char *reason,
              const char *message);
/* RaiaAccepted, with an event when it has changed. */
void rc_accepted__(struct rc_pass *x, bool value, const char *reason, const char *message);
/* What the last plan's failure means to people: conditions and an event. */
void rc_tell_failure__(struct rc_pass *x);
/* Of the pods as they were seen. */
void rc_status__(struct rc_pass *x);
/* Of a cluster that is not accepted: what its pods do is told all the same. */
void rc_status_refused__(struct rc_pass *x);
/* No more than the conditions. */
void rc_status_conditions__(struct rc_pass *x);

/* raycluster_haste.c: may a new status wait while the API server is busy? */
enum plan_haste rc_haste__(const struct json *old, const struct json *status, int64_t desired);

/* raycluster_pending.c: the condition that tells why pods wait. */
void rc_tell_pending__(struct rc_pass *x);
/* status.reason: what the conditions have to complain of, in a word. */
void rc_tell_reason__(struct rc_pass *x, struct json *status);
#define RC_WORDS_SIZE 512
/* The reason that a container gives for not being ready; why the pod has no node. NULL: none. Of a
 * container that has ended, or is about to be started again, the message is the last line of what
 * it said (in buf), not for how long the kubelet waits. */
const char *rc_waiting__(const struct json *pod, char buf[RC_WORDS_SIZE], const char **ret_message);
const char *rc_unplaced__(const struct json *pod, const char **ret_message);

#endif
