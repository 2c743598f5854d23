/*
 * Events (core v1) about objects, for people: kubectl describe shows them. Never in the way: a
 * queue of bounded length, repeated ones counted in the one that is there, and no object more than
 * a burst of 25 and then one each 5 minutes.
 *
 *     r = kube_recorder_new(client, "raia-operator", "raia-operator-abc", &rec, e);
 *     kube_recorder_event(rec, &about, KUBE_WARNING, "CreatePodFailed", "pod %s: %s", ...);
 *
 * The same type, reason and text about the same object within 10 minutes is one event whose count
 * grows; the server is told of it at most each 10 s. What does not fit is dropped and counted.
 * Ownership: texts are copied. Threads: the client's. Failure: none that anyone must handle.
 */
#ifndef KUBE_RECORDER_H
#define KUBE_RECORDER_H

#include "kube/client.h"

struct kube_recorder;

enum kube_severity { KUBE_NORMAL, KUBE_WARNING };

/* What an event is about. */
struct kube_about {
    const struct kube_resource *resource; /* its kind */
    const char *ns;                       /* NULL: cluster-scoped; the event is in "default" */
    const char *name;                     /* of the object */
    const char *uid;                      /* of the object */
    const char *resource_version;         /* may be NULL */
};

/* component and host: who says so. */
int kube_recorder_new(struct kube_client *c, const char *component, const char *host,
                      struct kube_recorder **ret_r, struct raia_error *e);
/* Ends; what waits is dropped. Idle once nothing is in flight. */
void kube_recorder_stop(struct kube_recorder *r);
bool kube_recorder_idle(const struct kube_recorder *r);
void kube_recorder_free(struct kube_recorder *r); /* stopped and idle; accepts NULL */

void kube_recorder_event(struct kube_recorder *r, const struct kube_about *about,
                         enum kube_severity severity, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

struct kube_recorder_stats {
    uint64_t sent;    /* requests */
    uint64_t merged;  /* events counted in another one */
    uint64_t dropped; /* by the limits, or refused by the server */
};
void kube_recorder_get_stats(const struct kube_recorder *r, struct kube_recorder_stats *ret);

#endif
