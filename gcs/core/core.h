/*
 * The control store's core: all tables, the commit pipeline, publish/subscribe. A state machine:
 * it takes requests, sessions' messages and ticks together with the time, and answers through
 * waiters and struct gcs_effects. No clock, socket, file or random source.
 *
 *     r = gcs_core_new(&config, storage, &effects, &core, e);
 *     -- for each row of a storage snapshot: gcs_core_load(core, now, key, value, e)
 *     r = gcs_core_start(core, now, fresh_cluster_id, e);     // then requests
 *     -- every GCS_TICK_MS: gcs_core_tick(core, now)
 *     gcs_core_free(core);                                    // after storage_free
 *
 * Ownership: the storage and the effects are the caller's. Threads: the owner's.
 * Failure: requests are answered with an error; what cannot be mended breaks the pipeline
 * (core/pipeline.h), and effects->broken is called.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "core/effects.h"
#include "gcs.pb-c.h"
#include "storage.pb-c.h"
#include "storage/storage.h"

struct gcs_core;

#define GCS_TICK_MS  100
#define GCS_PACKAGES "packages" /* namespace of the pairs URI = SHA-256 of its package */

/* Limits and times. Zero members mean the default. */
struct gcs_config {
    int64_t heartbeat_ms;   /* how often raylets say that they live; default 3,000 */
    int64_t lease_ms;       /* a raylet unheard for so long fences itself; default 15,000 */
    int64_t grace_ms;       /* and then has so long until it is declared dead; default 5,000 */
    size_t max_nodes;       /* alive; default 4,096 */
    size_t max_dead_nodes;  /* remembered; default 1,000 */
    size_t max_jobs;        /* drivers connected; default 10,000 */
    size_t max_dead_jobs;   /* remembered; default 1,000 */
    size_t max_submissions; /* pending or running; default 1,000 */
    size_t max_ended_submissions; /* remembered; default 1,000 */
    size_t max_actors;            /* not dead; default 100,000 */
    size_t max_dead_actors;       /* remembered; default 10,000 */
    size_t kv_bytes;              /* of all key-value pairs; default 256 MiB */
    size_t max_commits;           /* waiting for storage; default 10,000 */
    size_t max_queue;             /* publications waiting for one session; default 10,000 */
    size_t max_subscriptions;     /* keys of one session; default 100,000 */
};

int gcs_core_new(const struct gcs_config *config, struct storage *storage,
                 const struct gcs_effects *effects, struct gcs_core **ret_core,
                 struct raia_error *e);
void gcs_core_free(struct gcs_core *core); /* accepts NULL */

int gcs_core_load(struct gcs_core *core, struct gcs_now now, struct storage_bytes key,
                  struct storage_bytes value, struct raia_error *e);
/* cluster_id: hex, used if storage holds none. */
int gcs_core_start(struct gcs_core *core, struct gcs_now now, const char *cluster_id,
                   struct raia_error *e);
void gcs_core_tick(struct gcs_core *core, struct gcs_now now);

/* A unary rpc: `method` is the index in raia__gcs__gcs__descriptor. */
void gcs_core_call(struct gcs_core *core, struct gcs_now now, unsigned method, const void *data,
                   size_t size, struct gcs_waiter *w);

/* ---- sessions, by node id ---- */

/* The first message. -STATE: the node is unknown or dead: refuse the session. */
int gcs_core_session_hello(struct gcs_core *core, struct gcs_now now,
                           const Raia__Gcs__SessionHello *hello, struct raia_error *e);
/* Any later one. Negative: break the session. */
int gcs_core_session_message(struct gcs_core *core, struct gcs_now now, const struct node_id *node,
                             const Raia__Gcs__SessionUp *up, struct raia_error *e);
/* Its outbox has room after a send was refused. */
void gcs_core_session_room(struct gcs_core *core, const struct node_id *node);
void gcs_core_session_closed(struct gcs_core *core, const struct node_id *node);

/* ---- the job API ---- */

/* Answered with the packed Submission. */
void gcs_core_submit(struct gcs_core *core, struct gcs_now now,
                     const Raia__Storage__Submission *asked, struct gcs_waiter *w);
/* Both take a submission id or a job's id in hex. Answered with one byte: 1 stopped, 0 it had
 * ended; delete: 1. */
void gcs_core_stop_submission(struct gcs_core *core, struct gcs_now now, const char *id,
                              struct gcs_waiter *w);
void gcs_core_delete_submission(struct gcs_core *core, const char *id, struct gcs_waiter *w);

/* ---- reading: what is found is to be answered through gcs_core_answer, in line ---- */

/* Answers with these bytes once all that they may be based on is durable. */
void gcs_core_answer(struct gcs_core *core, struct gcs_waiter *w, const void *data, size_t size);

typedef void (*gcs_node_fn)(void *arg, const Raia__Gcs__Node *node);
typedef void (*gcs_job_fn)(void *arg, const Raia__Gcs__Job *job);
typedef void (*gcs_actor_fn)(void *arg, const Raia__Gcs__Actor *actor);
typedef void (*gcs_view_fn)(void *arg, const Raia__Gcs__ResourceReport *view);
typedef void (*gcs_submission_fn)(void *arg, const Raia__Storage__Submission *submission);
void gcs_core_each_node(struct gcs_core *core, gcs_node_fn fn, void *arg);
void gcs_core_each_job(struct gcs_core *core, gcs_job_fn fn, void *arg);
void gcs_core_each_actor(struct gcs_core *core, gcs_actor_fn fn, void *arg);
void gcs_core_each_view(struct gcs_core *core, gcs_view_fn fn, void *arg);
void gcs_core_each_submission(struct gcs_core *core, gcs_submission_fn fn, void *arg);
/* By submission id, or by the hex id of its driver. NULL: none. */
const Raia__Storage__Submission *gcs_core_find_submission(struct gcs_core *core, const char *id);
/* Grows with every change of any submission: what was read before may be told again. */
uint64_t gcs_core_submission_changes(const struct gcs_core *core);
/* The SHA-256, in hex, of the package that was uploaded under this URI; it has an end mark. False:
 * none was. */
bool gcs_core_package_of(struct gcs_core *core, const char *uri, char ret_sha256[65]);
/* Whether a job or submission that has not ended, or the job of an actor that is not dead, has that
 * package as its code or working_dir. */
bool gcs_core_uses_package(struct gcs_core *core, const char *sha256);
/* By hex id. */
const Raia__Gcs__Job *gcs_core_find_job(struct gcs_core *core, const char *id);
/* The newest driver of a submission. */
const Raia__Gcs__Job *gcs_core_job_of(struct gcs_core *core, const char *submission_id);
const Raia__Gcs__Node *gcs_core_find_node(struct gcs_core *core, ProtobufCBinaryData id);
const char *gcs_core_cluster_id(const struct gcs_core *core);

/* Numbers for metrics and status. */
struct gcs_stats {
    size_t nodes_alive, nodes_dead;             /* nodes */
    size_t jobs_alive, jobs_dead;               /* drivers */
    size_t submissions_live, submissions_ended; /* submissions */
    size_t actors[4];                           /* by enum ActorState */
    size_t kv_bytes;                            /* bytes of key-value pairs */
    size_t commits_waiting;                     /* commits under way */
    uint64_t commits;                           /* carried out, ever */
    uint64_t published, dropped;                /* publications, ever */
    size_t sessions;                            /* open */
};
void gcs_core_get_stats(const struct gcs_core *core, struct gcs_stats *ret);

#endif
