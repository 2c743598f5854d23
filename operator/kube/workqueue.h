/*
 * The queue between informers and a reconciler: keys, each at most once, never handled twice at the
 * same time, with back-off for those that failed. Pure: `now` comes in.
 *
 *     kube_queue_add(q, "default/a", now);                    // from informer callbacks
 *     while ((key = kube_queue_get(q, now))) {                // now it is being handled
 *         r = reconcile(key);                                 // may go on after this returns
 *         if (r < 0)
 *             kube_queue_retry(q, key, now);                  // later, by its number of failures
 *         else
 *             kube_queue_forget(q, key);                      // failures are forgotten
 *         kube_queue_done(q, key, now);                       // in any case, last
 *     }
 *     wait until kube_queue_next(q, now)
 *
 * A key added while it is handled comes again after its done: no change is lost. Adding one that
 * waits for a retry brings it forward; its back-off is not shortened for the next failure. Gets are
 * limited to `rate` a second after a burst (bound on what a storm costs the API server).
 *
 * Ownership: keys are copied; the one given out is good until its done. Threads: the owner's.
 * Failure: -NOMEM; -LIMIT beyond max_keys, which drops the key: have a limit over the number of
 * objects, and relist on -LIMIT.
 */
#ifndef KUBE_WORKQUEUE_H
#define KUBE_WORKQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_queue;

/* Zero members mean the default. */
struct kube_queue_options {
    int64_t base_ns;   /* wait after the first failure; default 5 ms; doubles */
    int64_t max_ns;    /* longest wait; default 5 minutes */
    double rate;       /* keys a second given out; 0: no limit */
    double burst;      /* given out at once after idling; default `rate` */
    size_t max_keys;   /* default 200,000 */
    unsigned parallel; /* keys handled at the same time; 0: no limit */
};

int kube_queue_new(const struct kube_queue_options *options, struct kube_queue **ret_q);
void kube_queue_free(struct kube_queue *q); /* accepts NULL */

int kube_queue_add(struct kube_queue *q, const char *key, int64_t now);
/* Not before `due`; an earlier one that is set already stays. */
int kube_queue_add_at(struct kube_queue *q, const char *key, int64_t due, int64_t now);
/* Counts a failure, and adds it after its back-off. */
int kube_queue_retry(struct kube_queue *q, const char *key, int64_t now);
/* The next key to be handled, in order; NULL: none now. */
const char *kube_queue_get(struct kube_queue *q, int64_t now);
void kube_queue_done(struct kube_queue *q, const char *key, int64_t now);
void kube_queue_forget(struct kube_queue *q, const char *key);
unsigned kube_queue_failures(const struct kube_queue *q, const char *key);

/* When kube_queue_get may have something: now, later, or CLOCK_NEVER. */
int64_t kube_queue_next(const struct kube_queue *q, int64_t now);
size_t kube_queue_ready(const struct kube_queue *q);   /* waiting to be given out */
size_t kube_queue_running(const struct kube_queue *q); /* given out and not done */
size_t kube_queue_later(const struct kube_queue *q);   /* waiting for their time */

#endif
