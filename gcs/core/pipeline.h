/*
 * The commit pipeline: write before reply before publish, in one order.
 *
 * A handler changes the tables in memory at once (they are speculative: ahead of storage) and puts
 * what it changed, and what is to be said about it, into a commit:
 *
 *     struct commit *c = pipeline_begin(p);
 *     commit_put_message(c, "job/", id, 4, &row.base);
 *     commit_reply(c, waiter, &reply.base);
 *     commit_publish(c, RAIA__GCS__CHANNEL__CHANNEL_JOB, id, 4, pb_copy(&job.base));
 *     pipeline_submit(p, c);
 *
 * Once it and everything before it is durable, the replies go out, then the commands and
 * publications. A commit without rows (a read) waits in the same line, so that nobody is told what
 * a crash could still undo; when nothing is under way it is answered at once. A commit larger than
 * the driver's largest transaction is stored in several, in order: handlers that need atomicity
 * stay below 128 rows and 1 MiB.
 *
 * Failure: a write that fails, or a commit that could not be built for want of memory, leaves the
 * tables ahead of storage for good: the pipeline breaks. All who wait are answered -UNAVAILABLE,
 * and effects->broken is called once: the process leaves and loads again.
 * Fault points: gcs.commit.before_reply, gcs.commit.before_publish.
 *
 * Ownership: pipeline_submit takes the commit over. Errors inside a commit stick until then, so the
 * commit_* functions return nothing. c may be NULL (out of memory). Threads: the owner's.
 */
#ifndef CORE_PIPELINE_H
#define CORE_PIPELINE_H

#include <stdbool.h>

#include "base/list.h"
#include "core/effects.h"
#include "core/pubsub.h"
#include "storage/storage.h"

struct commit;

struct pipeline {
    struct storage *storage;      /* where to */
    const struct gcs_effects *fx; /* told when it breaks */
    struct pubsub *pubsub;        /* told what follows */
    struct list line;             /* commits not yet carried out, oldest first */
    size_t length;                /* how many */
    size_t max_length;            /* pipeline_full beyond it */
    uint64_t committed;           /* carried out, ever */
    bool running;                 /* actions are being run */
    bool broken;                  /* see above */
    struct raia_error why;        /* when broken */
};

void pipeline_init(struct pipeline *p, struct storage *storage, const struct gcs_effects *fx,
                   struct pubsub *pubsub, size_t max_length);
/* Answers all who wait with -SHUTDOWN. The storage must have been freed before. */
void pipeline_fini(struct pipeline *p);
/* Too many commits wait for storage: refuse requests. */
bool pipeline_full(const struct pipeline *p);

struct commit *pipeline_begin(struct pipeline *p);
void pipeline_submit(struct pipeline *p, struct commit *c);

/* Rows: the key is `table` followed by the id. The last word on a key wins. */
void commit_put(struct commit *c, const char *table, const void *id, size_t id_size,
                const void *value, size_t size);
void commit_put_message(struct commit *c, const char *table, const void *id, size_t id_size,
                        const ProtobufCMessage *row);
void commit_delete(struct commit *c, const char *table, const void *id, size_t id_size);
/* The state that goes with it could not be built: the pipeline will break. */
void commit_fail(struct commit *c, int code);

/* What follows. Messages are packed or copied at once. */
void commit_reply(struct commit *c, struct gcs_waiter *w, const ProtobufCMessage *reply);
void commit_reply_bytes(struct commit *c, struct gcs_waiter *w, const void *data, size_t size);
void commit_reply_error(struct commit *c, struct gcs_waiter *w, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A command to a raylet's session; node NULL: to all. */
void commit_send(struct commit *c, const struct node_id *node, Raia__Gcs__SessionDown *down);
/* Takes the message over; NULL counts as out of memory. */
void commit_publish(struct commit *c, Raia__Gcs__Channel channel, const void *key, size_t key_size,
                    void *message);
/* Adds an item to the state for one subscriber; commit_state_to says for whom. Takes it over. */
void commit_state(struct commit *c, struct pub_item *item);
void commit_state_to(struct commit *c, const struct node_id *node, bool resync);

#endif
