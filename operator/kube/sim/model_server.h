/*
 * A model of an API server, in memory: what reconcilers are simulated against. (Library
 * raia_kube_sim: for tests.) Pure; faulty.h puts it behind a transport.
 *
 * It has: get, paged lists (a page's continue expires with compaction), watches from a
 * resourceVersion with bookmarks and with initial events, create (generateName too), update, apply
 * (members merged, lists replaced; fields that a manager no longer sets stay), merge patch, the
 * status subresource, delete with preconditions and finalizers, removal of orphans by owner uid,
 * optimistic locking, generation, label selectors (k, k=v, joined by ','). Writes that change
 * nothing are none. resourceVersions are opaque on purpose: their numbers have no order.
 *
 *     kube_model_new(&m);
 *     kube_model_handle(m, &request, &answer);
 *     kube_model_answer_done(&answer);
 *
 * Threads: one. Failure: out of memory ends the test program.
 */
#ifndef KUBE_SIM_MODEL_SERVER_H
#define KUBE_SIM_MODEL_SERVER_H

#include "json/json.h"
#include "kube/transport.h"

struct kube_model;
struct kube_model_watch;

struct kube_model_answer {
    int status;                     /* of HTTP */
    char *body;                     /* mem_free */
    struct kube_model_watch *watch; /* a watch was opened: events come from it */
};
void kube_model_answer_done(struct kube_model_answer *a);

void kube_model_new(struct kube_model **ret_m);
void kube_model_free(struct kube_model *m);
/* unix_ms: what the server's clock says. */
void kube_model_handle(struct kube_model *m, const struct kube_request *rq, int64_t unix_ms,
                       struct kube_model_answer *ret);
/* The next line of a watch ("{...}\n", mem_free), or NULL: nothing new. *ret_expired: the events
 * that it needs are compacted; the line then is the ERROR event that ends it. */
char *kube_model_watch_next(struct kube_model_watch *w, bool *ret_expired);
/* A bookmark at the present. */
char *kube_model_watch_bookmark(struct kube_model_watch *w);
void kube_model_watch_free(struct kube_model_watch *w);
/* Called after each write. */
void kube_model_on_write(struct kube_model *m, void (*fn)(void *arg), void *arg);

/* Forgets all events so far: 410 for watches and continues that need them. */
void kube_model_compact(struct kube_model *m);
/* Removes objects all of whose owners are gone; how many. */
unsigned kube_model_collect(struct kube_model *m);

/* For a test to look at: collection is the path of all of a kind ("/api/v1/pods"). */
const struct json *kube_model_get(const struct kube_model *m, const char *collection,
                                  const char *ns, const char *name);
unsigned kube_model_count(const struct kube_model *m, const char *collection);
typedef void (*kube_model_fn)(void *arg, const char *ns, const char *name,
                              const struct json *object);
void kube_model_each(const struct kube_model *m, const char *collection, kube_model_fn fn,
                     void *arg);
/* Writes that changed something, so far. */
uint64_t kube_model_writes(const struct kube_model *m);

#endif
