/*
 * The jobs: drivers that connected. AddJob with a token that was seen gives the job that it made.
 * Ended jobs are remembered, the newest max_dead of them.
 *
 * Changes go into the commit that is passed in. Pure; threads: the owner's.
 */
#ifndef CORE_JOB_TABLE_H
#define CORE_JOB_TABLE_H

#include "base/hash.h"
#include "base/list.h"
#include "core/pipeline.h"
#include "storage.pb-c.h"

#define JOB_TOKEN_SIZE 16

struct job_entry {
    struct job_id id;              /* key */
    uint8_t token[JOB_TOKEN_SIZE]; /* key of by_token */
    Raia__Storage__JobRow *row;    /* owned; row->job is set */
    struct list link;              /* in alive or dead */
    HASH_HANDLE hh;                /* in table */
    HASH_HANDLE by_token;          /* in by_token */
};

struct job_table {
    struct job_entry *table;    /* by id */
    struct job_entry *by_token; /* by token */
    struct list alive;          /* in order of start */
    struct list dead;           /* in order of end */
    size_t n_alive;             /* how many */
    size_t n_dead;              /* how many */
    size_t max_alive;           /* AddJob beyond it is refused */
    size_t max_dead;            /* remembered */
};

void job_table_init(struct job_table *t);
void job_table_fini(struct job_table *t);
/* A stored row; takes it over, on failure too. */
int job_table_load(struct job_table *t, Raia__Storage__JobRow *row);

struct job_entry *job_table_find(struct job_table *t, const struct job_id *id);
/* The newest driver of a submission, or NULL. */
struct job_entry *job_table_of_submission(struct job_table *t, const char *submission_id);
/* number: for a new job. *ret_new: it was used. */
int job_table_add(struct job_table *t, struct gcs_now now, const Raia__Gcs__Job *job,
                  ProtobufCBinaryData token, uint32_t number, struct commit *c,
                  struct job_entry **ret_entry, bool *ret_new, struct raia_error *e);
/* It ended: stored, published, and said to every session. The entry lives until the next one. */
void job_table_finish(struct job_table *t, struct gcs_now now, struct job_entry *entry,
                      struct commit *c);
/* JobEnded to one session. */
void job_table_say_ended(const struct job_id *id, const struct node_id *node, struct commit *c);

#endif
