/*
 * What a controller did and has not yet seen in its informers' stores. Until it has, counting
 * objects there would count wrong, and make or delete too many. Pure: `now` comes in.
 *
 *     if (!kube_expect_met(x, "default/cluster", now))
 *         return;                                      // an event, or the time-out, comes
 *     kube_expect_create(x, "default/cluster", "pod-1", now);   // before the request is sent
 *     -- the request failed for good:      kube_expect_created(x, "default/cluster", "pod-1")
 *     -- the informer shows pod-1 added:   the same
 *     kube_expect_delete(x, "default/cluster", uid, now);       // ids: name to create, uid to delete
 *
 * An id counts once, whatever is told twice or too late. What is not seen in time (5 minutes) is
 * given up: the store is then the truth. A complete relist that began after an expectation was set
 * settles it too, if its request was acknowledged by then (kube_expect_acked, and
 * kube_expect_settle in the informer's on_sync).
 *
 * Ownership: texts are copied. Threads: the owner's. Failure: -NOMEM, and then the request must not
 * be sent.
 */
#ifndef KUBE_EXPECTATIONS_H
#define KUBE_EXPECTATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_expect;

/* timeout_ns 0: 5 minutes. */
int kube_expect_new(int64_t timeout_ns, struct kube_expect **ret_x);
void kube_expect_free(struct kube_expect *x); /* accepts NULL */

int kube_expect_create(struct kube_expect *x, const char *key, const char *name, int64_t now);
int kube_expect_delete(struct kube_expect *x, const char *key, const char *uid, int64_t now);
/* Seen, or failed. Unknown ones are fine. */
void kube_expect_created(struct kube_expect *x, const char *key, const char *name);
void kube_expect_deleted(struct kube_expect *x, const char *key, const char *uid);
/* The request succeeded; id: the name or the uid. */
void kube_expect_acked(struct kube_expect *x, const char *key, const char *id, int64_t now);
/* Nothing is outstanding (or all of it is too old). */
bool kube_expect_met(struct kube_expect *x, const char *key, int64_t now);
/* When those of a key are given up; CLOCK_NEVER if it has none. */
int64_t kube_expect_deadline(const struct kube_expect *x, const char *key);
/* The controlled object is gone. */
void kube_expect_drop(struct kube_expect *x, const char *key);
/* A relist that began then is complete: what was acknowledged before is in it, or gone again. */
void kube_expect_settle(struct kube_expect *x, int64_t began);
size_t kube_expect_count(const struct kube_expect *x); /* keys with something outstanding */

#endif
