/*
 * A listing of the state API in the making: rows are offered one by one, filtered, counted, cut at
 * the limit or counted by kind (summaries), and put into Ray's envelope.
 *
 *     r = listing_init(&l, limit_text, e);
 *     r = listing_filter(&l, key, predicate, value, e);      // several: all must hold
 *     listing_row(&l, row);                                  // takes it over
 *     listing_warn(&l, "node '%s' did not answer", name);
 *     root = listing_done(&l);                               // takes the rows
 *     listing_fini(&l);
 *
 * Pure. Ownership: texts are copied. Threads: one at a time.
 * Failure: -INVALID for a request that makes no sense; out of memory: listing_done gives NULL.
 */
#ifndef REST_LISTING_H
#define REST_LISTING_H

#include "base/buf.h"
#include "json/json.h"

#define LISTING_LIMIT_DEFAULT 100
#define LISTING_LIMIT_MAX     10000
#define LISTING_FILTERS_MAX   16
#define LISTING_GROUPS_MAX    1000 /* kinds in a summary */

struct listing_filter {
    char *key;    /* a member of rows; owned */
    char *value;  /* what it must be, or not be; owned */
    bool unequal; /* "!=" */
};

struct listing {
    struct json *rows;       /* those that match, at most limit; of a summary: NULL */
    struct json *groups;     /* of a summary: by name; else NULL */
    const char *summary;     /* "tasks", "actors", "objects"; NULL: a listing */
    size_t n_groups;         /* in groups */
    size_t limit;            /* the most rows */
    size_t total;            /* all there are */
    size_t seen;             /* of these, those that were offered */
    size_t matched;          /* those that match */
    uint64_t task_counts[3]; /* of a summary of tasks: by type */
    uint64_t bytes;          /* of a summary of objects */
    size_t n_filters;        /* in filters */
    struct listing_filter filters[LISTING_FILTERS_MAX];
    struct buf warning; /* partial_failure_warning */
    unsigned warnings;  /* in it */
    bool failed;        /* out of memory */
};

/* limit: a number as text, NULL: the default. */
int listing_init(struct listing *l, const char *limit, struct raia_error *e);
/* Rows are counted by kind instead. -NOT_FOUND: there is no such summary. */
int listing_summarize(struct listing *l, const char *what, struct raia_error *e);
/* predicate: "=" (also NULL) or "!=". */
int listing_filter(struct listing *l, const char *key, const char *predicate, const char *value,
                   struct raia_error *e);
/* Takes the row over; NULL: out of memory. */
void listing_row(struct listing *l, struct json *row);
/* Rows that exist and were not offered, because somebody's limit had cut them. */
void listing_cut(struct listing *l, uint64_t rows);
/* One sentence; after ten of them the others are only counted. */
void listing_warn(struct listing *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ray's reply: {"result", "msg", "data": {"result": {...}}}; NULL: out of memory. */
struct json *listing_done(struct listing *l);
void listing_fini(struct listing *l); /* accepts a zeroed one */

#endif
