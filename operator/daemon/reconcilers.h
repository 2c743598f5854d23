/*
 * All reconcilers that there are.
 *
 *     r = reconcilers_new(&config, &all, e);
 *     controller_options.reconcilers = all.all ...
 *     reconcilers_done(&all);                       // after controller_free
 *
 * Ownership: the struct is the caller's, zeroed first; config must outlive it. Threads: one.
 * Failure: -NOMEM; then reconcilers_done all the same.
 */
#ifndef DAEMON_RECONCILERS_H
#define DAEMON_RECONCILERS_H

#include "core/config.h"
#include "core/reconciler.h"

struct reconcilers {
    struct reconciler *all[2]; /* of RayClusters, of RayJobs */
    size_t n;                  /* how many */
};

int reconcilers_new(const struct operator_config *config, struct reconcilers *ret,
                    struct raia_error *e);
void reconcilers_done(struct reconcilers *all); /* accepts a zeroed one */

#endif
