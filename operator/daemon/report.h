/*
 * The operator's numbers for Prometheus (text format 0.0.4): KubeRay's names where they mean the
 * same, made when they are asked for from what the controller knows.
 *
 * Threads: the controller's. Failure: sticks to the buffer.
 */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include "base/buf.h"
#include "core/controller.h"

struct report {
    const struct controller *ctl;     /* NULL: it does not act */
    const struct kube_client *client; /* of requests */
    const struct kube_recorder *rec;  /* of events; NULL */
    bool leading;                     /* holds the lease */
};

void report_put(const struct report *r, struct buf *b);
/* The lines of one object, as an example of its kind: for tests. */
void report_put_cluster(struct buf *b, const struct kube_object *o, const struct json *tree);
void report_put_job(struct buf *b, const struct kube_object *o, const struct json *tree);

#endif
