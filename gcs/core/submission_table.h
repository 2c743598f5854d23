/*
 * The submissions: entrypoints given to the job API, run by the supervisor of the head node.
 *
 *     PENDING -> RUNNING -> SUCCEEDED | FAILED | STOPPED        (or from PENDING at once)
 *
 * A submission is stored, then acknowledged, then sent to the head's raylet as StartEntrypoint. A
 * command may be lost with its session: nothing is concluded from having sent it. The next hello of
 * the head says all that its supervisor knows, and the table compares:
 *   not known there, PENDING     the command was lost: it is sent again (same attempt)
 *   not known there, RUNNING     its supervisor died, and it with it: FAILED
 *   known, a stop was asked for  StopEntrypoint is sent again
 *   known there, unknown here    stopped, or, if ended, acknowledged so that it is forgotten
 * Attempts have numbers that are never used again, so that an old word about an id that was deleted
 * and submitted anew is recognised.
 *
 * Ended submissions are remembered, the newest max_ended of them.
 * Changes go into the commit that is passed in. Pure; threads: the owner's.
 */
#ifndef CORE_SUBMISSION_TABLE_H
#define CORE_SUBMISSION_TABLE_H

#include "base/hash.h"
#include "base/list.h"
#include "core/pipeline.h"
#include "storage.pb-c.h"

#define SUBMISSION_ID_MAX 256

struct submission {
    char *id;                       /* key; points into row */
    Raia__Storage__Submission *row; /* owned */
    bool sent;                      /* StartEntrypoint was sent in the session that is open now */
    struct list link;               /* in live or ended */
    HASH_HANDLE hh;                 /* in table */
};

struct submission_table {
    struct submission *table; /* by id */
    struct list live;         /* PENDING and RUNNING, oldest first */
    struct list ended;        /* in order of end */
    size_t n_live;            /* how many */
    size_t n_ended;           /* how many */
    size_t max_live;          /* submissions beyond it are refused */
    size_t max_ended;         /* remembered */
    uint64_t changes;         /* grows with every change of any of them */
};

void submission_table_init(struct submission_table *t);
void submission_table_fini(struct submission_table *t);
/* A stored row; takes it over, on failure too. */
int submission_table_load(struct submission_table *t, Raia__Storage__Submission *row);

struct submission *submission_table_find(struct submission_table *t, const char *id);
bool submission_ended(const struct submission *s);
const char *submission_status_name(Raia__Storage__SubmissionStatus status); /* Ray's word */

/* Makes one out of what was asked (id, entrypoint, metadata, runtime_env); head: the raylet whose
 * session is open, or NULL. -INVALID, -EXISTS, -LIMIT. */
int submission_table_create(struct submission_table *t, struct gcs_now now,
                            const Raia__Storage__Submission *asked, uint32_t attempt,
                            const struct node_id *head, struct commit *c, struct submission **ret_s,
                            struct raia_error *e);
/* False: it has ended already. */
bool submission_table_stop(struct submission_table *t, struct gcs_now now, struct submission *s,
                           const struct node_id *head, struct commit *c);
/* -STATE: it has not ended. */
int submission_table_delete(struct submission_table *t, struct submission *s, struct commit *c,
                            struct raia_error *e);

/* The head's raylet said hello: see above. */
void submission_table_hello(struct submission_table *t, struct gcs_now now,
                            const struct node_id *head, Raia__Gcs__EntrypointEvent *const *events,
                            size_t n, struct commit *c);
/* The head's raylet told of one. */
void submission_table_event(struct submission_table *t, struct gcs_now now,
                            const struct node_id *head, const Raia__Gcs__EntrypointEvent *event,
                            struct commit *c);
/* The head's session ended. */
void submission_table_head_lost(struct submission_table *t);

#endif
