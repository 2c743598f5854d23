/*
 * Leader election by one Lease (coordination.k8s.io/v1): at most one operator acts.
 *
 *     struct kube_lease_options o = {.ns = "raia-system", .name = "raia-operator",
 *                                    .identity = pod_and_its_uid,     .on_change = on_leader};
 *     r = kube_lease_new(client, &o, &lease, e);
 *     kube_lease_start(lease);
 *     if (!kube_lease_held(lease)) return;         // before each write
 *     kube_lease_stop(lease);                      // gives it up, so that the next need not wait
 *
 * Another's lease counts as given up when it has not changed for its duration by our own clock:
 * clocks of machines are not compared. Every write carries the resourceVersion that it saw, so that
 * of two only one succeeds. A holder that could not renew for renew_s steps down (held is false from
 * that very time on, without any callback being needed), which is before another may take over
 * (duration_s). Fields are as client-go writes them.
 * Ownership: the options' texts must outlive it. Threads: the client's. Failure: -NOMEM.
 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "kube/client.h"

struct kube_lease;

/* Zero members mean the default. */
struct kube_lease_options {
    const char *ns;       /* of the Lease */
    const char *name;     /* of the Lease */
    const char *identity; /* who we are: unique among all that may lead. A Lease that names it is
                           * taken at once, so whoever starts again may only come with the same one
                           * when the process before it is surely dead */
    int duration_s;       /* others wait so long; default 15 */
    int renew_s;          /* we step down after that; default 10 */
    int retry_ms;         /* between attempts and renewals; default 2,000, with jitter */
    uint64_t seed;        /* of the jitter */
    /* Leading, or no longer; may be NULL. */
    void (*on_change)(void *arg, bool leading);
    void (*on_trouble)(void *arg, const struct kube_error *error); /* may be NULL */
    void *arg;                                                     /* handed to both */
};

int kube_lease_new(struct kube_client *c, const struct kube_lease_options *options,
                   struct kube_lease **ret_l, struct raia_error *e);
void kube_lease_start(struct kube_lease *l);
/* Steps down and releases. */
void kube_lease_stop(struct kube_lease *l);
bool kube_lease_idle(const struct kube_lease *l); /* stopped, and the release is through */
void kube_lease_free(struct kube_lease *l);       /* accepts NULL */
bool kube_lease_held(const struct kube_lease *l);
const char *kube_lease_holder(const struct kube_lease *l); /* as seen last; NULL: not known */

#endif
