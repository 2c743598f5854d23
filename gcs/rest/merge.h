/*
 * What raylets told, made one: rows of tasks and objects that several processes know are joined by
 * their ids, and become the rows of Ray's state API.
 *
 *     struct merge *m = merge_new();
 *     r = merge_tasks(m, reply, size, &node);            // once for each node; keeps what it needs
 *     merge_each_task(m, fn, arg);                       // rows, each json_free'd by fn
 *     merge_free(m);
 *
 * A task is known to its owner (what it waits for, where it was sent) and to the worker that has it
 * (running, since when): the worker's word on its state stands. An object is known to its owner
 * (size, who refers to it) and to the stores that hold copies.
 *
 * Pure. Ownership: the replies' bytes are the caller's, and may go after the call.
 * Threads: one at a time. Failure: -PROTOCOL: a reply that cannot be read; -NOMEM; -LIMIT beyond
 * MERGE_ROWS_MAX rows: what was there before stays.
 */
#ifndef REST_MERGE_H
#define REST_MERGE_H

#include "base/ids.h"
#include "json/json.h"
#include "raylet.pb-c.h"

#define MERGE_ROWS_MAX 200000u /* of one listing, all nodes together */

struct merge;

/* What a reply says of itself. */
struct merge_told {
    uint64_t cut;                  /* rows there are beyond those that came */
    Raia__Raylet__Silent **silent; /* processes that did not answer; live as long as the merge */
    size_t n_silent;               /* how many */
};

struct merge *merge_new(void);    /* NULL: out of memory */
void merge_free(struct merge *m); /* accepts NULL */
int merge_tasks(struct merge *m, const struct node_id *node, const void *data, size_t size,
                struct merge_told *ret_told);
int merge_objects(struct merge *m, const struct node_id *node, const void *data, size_t size,
                  struct merge_told *ret_told);

/* fn takes the row over; NULL: out of memory. */
typedef void (*merge_row_fn)(void *arg, struct json *row);
void merge_each_task(struct merge *m, merge_row_fn fn, void *arg);
void merge_each_object(struct merge *m, merge_row_fn fn, void *arg);
/* A worker as it stands in a ListWorkersReply. */
struct json *merge_worker_row(const Raia__Raylet__Worker *w, const struct node_id *node,
                              const char *ip);

#endif
