/* The core's insides, shared by its files: the tables, and what involves several of them. */
#ifndef CORE_CORE_IMPL_H
#define CORE_CORE_IMPL_H

#include "core/actor_table.h"
#include "core/core.h"
#include "core/job_table.h"
#include "core/kv_table.h"
#include "core/node_table.h"
#include "core/pb.h"
#include "core/pipeline.h"
#include "core/submission_table.h"
#include "core/view_table.h"

/* Deaths of workers that late subscribers are still told of. */
#define WORKER_DEATHS_MAX 1024

struct gcs_core {
    struct gcs_config config;                          /* defaults filled in */
    struct gcs_effects fx;                             /* copied */
    struct pubsub pubsub;                              /* sessions and what they want */
    struct pipeline pipeline;                          /* commits */
    struct node_table nodes;                           /* tables */
    struct view_table views;                           /* tables */
    struct job_table jobs;                             /* tables */
    struct submission_table submissions;               /* tables */
    struct kv_table kv;                                /* tables */
    struct actor_table actors;                         /* tables */
    Raia__Storage__Meta *meta;                         /* owned; NULL before load or start */
    struct pub_item *worker_deaths[WORKER_DEATHS_MAX]; /* ring of the last ones */
    size_t n_worker_deaths;                            /* ever */
    bool started;                                      /* gcs_core_start was called */
};

/* The raylet of the head, if its session is open; else NULL. */
const struct node_id *core_head_session(struct gcs_core *core);
/* A node is dead: it, its jobs, its actors. */
void core_node_dies(struct gcs_core *core, struct gcs_now now, struct node_entry *entry,
                    const char *why, struct commit *c);
/* A driver is gone: the job ends, its actors with it. */
void core_job_ends(struct gcs_core *core, struct gcs_now now, struct job_entry *job,
                   struct commit *c);
/* The next number of the meta row's counters. */
uint32_t core_next(struct gcs_core *core, uint32_t *counter, struct commit *c);
/* The present state of what one subscription names, into the commit. */
void core_state(struct gcs_core *core, Raia__Gcs__Channel channel, const void *key, size_t key_size,
                struct commit *c);
/* Sessions that lost publications get their state. */
void core_resync(struct gcs_core *core);

#endif
