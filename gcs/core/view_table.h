/*
 * Resource views: what each node last reported, for scheduling and for the others' scheduling. Not
 * stored. Reports are kept (the newest version wins) and published together at the next flush, so
 * that a busy node costs one item each tick, not one a report.
 *
 * Pure; threads: the owner's. Failure: -NOMEM, -INVALID; a report out of order is ignored.
 */
#ifndef CORE_VIEW_TABLE_H
#define CORE_VIEW_TABLE_H

#include "base/hash.h"
#include "core/pubsub.h"

struct view {
    struct node_id id;               /* key */
    Raia__Gcs__ResourceReport *last; /* owned */
    bool dirty;                      /* not yet published */
    HASH_HANDLE hh;                  /* in views */
};

struct view_table {
    struct view *views; /* by node */
    bool dirty;         /* one of them is */
};

void view_table_fini(struct view_table *t);
struct view *view_table_find(struct view_table *t, const struct node_id *id);
/* Copies the report. *ret_changed: it was newer than what was there. */
int view_table_update(struct view_table *t, const struct node_id *id,
                      const Raia__Gcs__ResourceReport *report, bool *ret_changed);
void view_table_remove(struct view_table *t, const struct node_id *id);
/* Publishes what changed since the last time. */
void view_table_flush(struct view_table *t, struct pubsub *pubsub);

/* How much of a resource is in a list; 0 if it is not. */
int64_t resources_get(Raia__Resource *const *list, size_t n, const char *name);
/* All of `want` is in `have`. */
bool resources_fit(Raia__Resource *const *want, size_t n_want, Raia__Resource *const *have,
                   size_t n_have);
/* Takes `want` out of `have`, not below zero. */
void resources_take(Raia__Resource *const *want, size_t n_want, Raia__Resource **have,
                    size_t n_have);

#endif
