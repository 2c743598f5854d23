/*
 * The scheduler of a node: who runs what where. It holds the node's resources, its worker pool, the
 * leases on its workers, what its processes ask for, and what was asked of other nodes.
 *
 * Words. A *client* is a process of this node (by a number that the caller chooses). An *asker* is
 * one class of a client: a level `want`, as proto/record.h says. A *class* is what askers with the
 * same resources, strategy and job have in common: their grants come from one stock. A *lease* is
 * the right to use a worker of this node; a *remote lease* one that another node granted to a
 * client here. A *request* asks another node for up to n leases of a class; the other node answers
 * each of the n at once or when a worker is up: granted, or rejected with its view.
 *
 *     sched_client(s, client, job);
 *     sched_class(s, client, number, &need, spread);
 *     sched_demand(s, now, client, number, want, seen, prefer);   -> ops->grant for each
 *     sched_return(s, now, client, node, lease, broken);
 *
 * Each unit of demand is placed at once where the policy says (core/cluster.h); what fits nowhere
 * waits here until something changes. Grants of a class go to its askers in turn. When somebody
 * waits and others hold more than it does, one lease at a time is asked back (ops->reclaim). A
 * worker that is blocked lends its CPU; it gets it back at once when it goes on.
 *
 * Placed elsewhere and rejected (the view was stale): the view is mended from the answer, and the
 * demand placed anew. The link to a node, or the node, is lost: its requests are placed anew, its
 * remote leases are lost (ops->lost), the leases that it held here end, and their workers with
 * them.
 *
 * Pure: effects go through sched_ops, called from inside the functions below; they must not call
 * back. Times are monotonic ns; call sched_tick when it said, and after any call that returned.
 * Ownership: everything given is copied. Threads: one at a time. Failure: -INVALID for what a
 * client must not say (a protocol error of its), -NOMEM, -LIMIT.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "core/cluster.h"
#include "core/pool.h"

#define SCHED_CLASSES_MAX 4096 /* per client, and in all */
#define SCHED_WAIT_MAX    64   /* leases that wait for a worker at a time */

struct sched;

/* A class as it travels: what another node must know to grant it. */
struct sched_shape {
    struct res_set need; /* what one lease holds */
    uint8_t job[4];
    bool spread; /* the strategy */
};

/* Who executes. */
struct sched_worker {
    uint64_t number; /* of the pool, here; 0 for another node's */
    uint8_t id[16];  /* worker id */
};

struct sched_ops {
    /* To clients. */
    void (*grant)(void *arg, uint64_t client, uint32_t number, uint64_t lease,
                  const uint8_t node[16], const uint8_t worker[16]);
    void (*reclaim)(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16]);
    void (*lost)(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16],
                 const uint8_t worker[16], int status, int exit_status, const char *text);
    void (*failed)(void *arg, uint64_t client, uint32_t number, int status, const char *text);
    /* To actors' keeper: the lease asked for by sched_take is ready, or not (worker 0). */
    void (*taken)(void *arg, uint64_t tag, uint64_t lease, uint64_t worker, int status,
                  const char *text);
    /* To entrypoints: what sched_reserve asked for is theirs. */
    void (*reserved)(void *arg, uint64_t tag);
    /* To other nodes. */
    void (*ask)(void *arg, int node, uint32_t request, uint32_t count,
                const struct sched_shape *shape);
    void (*answer_grant)(void *arg, int node, uint32_t request, uint64_t lease,
                         const uint8_t worker[16]);
    void (*answer_reject)(void *arg, int node, uint32_t request, uint32_t count, int status,
                          const char *text);
    void (*return_to)(void *arg, int node, uint64_t lease, bool broken);
    void (*reclaim_from)(void *arg, int node, uint64_t lease);
    void (*lost_at)(void *arg, int node, uint64_t lease, int status, int exit_status,
                    const char *text);
    /* There is room again for a node that was rejected: tell it our view. */
    void (*room)(void *arg, int node);
    /* To the supervisor: as pool_ops. */
    void (*spawn)(void *arg, uint64_t worker, const uint8_t job[4]);
    void (*stop)(void *arg, uint64_t worker, bool force, const char *why);
};

struct sched_config {
    struct pool_config pool;
    struct res_set total;    /* of this node */
    uint8_t node[16];        /* its id */
    struct res_names *names; /* for texts; the caller's, may be NULL */
    int64_t reclaim_ns;      /* a lease is left alone for this long */
    int64_t infeasible_ns;   /* what no node could ever meet is told after this long */
};

/* The defaults, for a node with these resources. */
void sched_config_default(struct sched_config *c, const struct res_set *total);
/* NULL: out of memory. */
struct sched *sched_new(const struct sched_config *config, const struct sched_ops *ops, void *arg);
void sched_free(struct sched *s);

/* ---- clients */

/* A process that may ask; -EXISTS. */
int sched_client(struct sched *s, uint64_t client, const uint8_t job[4]);
/* It is gone: its demand ends, and so do its leases (their workers may be at work for it: they are
 * not reused). */
void sched_client_gone(struct sched *s, int64_t now, uint64_t client);
int sched_class(struct sched *s, uint64_t client, uint32_t number, const struct res_set *need,
                bool spread);
/* prefer: the id of a node, or NULL. */
int sched_demand(struct sched *s, int64_t now, uint64_t client, uint32_t number, uint32_t want,
                 uint64_t seen, const uint8_t *prefer);
/* Unknown leases are ignored: they may have been lost meanwhile. */
void sched_return(struct sched *s, int64_t now, uint64_t client, const uint8_t node[16],
                  uint64_t lease, bool broken);

/* ---- actors: a lease that only its worker's end, or sched_drop, gives back */

/* Takes `place` now if it fits here, and keeps `hold` of it once taken. -LIMIT: no room. */
int sched_take(struct sched *s, int64_t now, const uint8_t job[4], const struct res_set *place,
               const struct res_set *hold, uint64_t tag);
void sched_drop(struct sched *s, int64_t now, uint64_t lease, bool broken);

/* ---- entrypoints: resources of this node without a worker */

/* Holds `need` for `tag` as soon as it is free here (ops->reserved), before any lease that waits;
 * `force`: from now on, whatever is free, and nobody is told. -EXISTS, -NOMEM. */
int sched_reserve(struct sched *s, int64_t now, uint64_t tag, const struct res_set *need,
                  bool force);
/* It ended, or does not wait any more. Unknown ones are ignored. */
void sched_unreserve(struct sched *s, int64_t now, uint64_t tag);

/* ---- workers */

int sched_worker_ready(struct sched *s, int64_t now, uint64_t worker, const uint8_t id[16]);
void sched_worker_exited(struct sched *s, int64_t now, uint64_t worker, int exit_status,
                         const char *why);
void sched_worker_blocked(struct sched *s, int64_t now, uint64_t worker, bool blocked);
void sched_worker_keep(struct sched *s, uint64_t worker); /* as pool_keep */
void sched_prestart(struct sched *s, int64_t now, const uint8_t job[4], uint32_t count);
void sched_job_ended(struct sched *s, int64_t now, const uint8_t job[4]);

/* ---- other nodes */

/* News of a node, through the GCS or from itself; makes it known. total NULL: as before. */
int sched_node_view(struct sched *s, int64_t now, const uint8_t id[16], uint64_t version,
                    const struct res_set *total, const struct res_set *available);
/* Its slot, or CLUSTER_NONE; its id. */
int sched_node_find(const struct sched *s, const uint8_t id[16]);
const uint8_t *sched_node_id(const struct sched *s, int node);
/* Nothing new is placed there while `avoid` (it drains, or cannot be reached). */
void sched_node_avoid(struct sched *s, int64_t now, const uint8_t id[16], bool avoid);
/* The link to it broke (dead: the node is dead, and forgotten). */
void sched_node_lost(struct sched *s, int64_t now, const uint8_t id[16], bool dead);

/* What other nodes say. They may say anything: what makes no sense is ignored or refused. */
void sched_asked(struct sched *s, int64_t now, int node, uint32_t request, uint32_t count,
                 const struct sched_shape *shape);
void sched_granted(struct sched *s, int64_t now, int node, uint32_t request, uint64_t lease,
                   const uint8_t worker[16]);
void sched_rejected(struct sched *s, int64_t now, int node, uint32_t request, uint32_t count,
                    int status, const char *text);
void sched_returned(struct sched *s, int64_t now, int node, uint64_t lease, bool broken);
void sched_reclaimed(struct sched *s, int64_t now, int node, uint64_t lease);
void sched_lost(struct sched *s, int64_t now, int node, uint64_t lease, int status, int exit_status,
                const char *text);

/* ---- time and views */

/* Does what is due; when to call it again (ns; INT64_MAX: only when something happens). */
int64_t sched_tick(struct sched *s, int64_t now);

const struct ledger *sched_ledger(const struct sched *s);
/* What is reported along with the resources has changed: the report gets a version of its own. */
void sched_report_changed(struct sched *s);
const struct pool *sched_pool(const struct sched *s);
/* The lease of a worker: 0 if none. */
uint64_t sched_worker_lease(struct sched *s, uint64_t worker);

/* What waits, by shape, for reports: calls fn for each class that waits for more than it has asked
 * for elsewhere. */
void sched_waiting(const struct sched *s,
                   void (*fn)(void *arg, const struct sched_shape *shape, uint64_t count,
                              bool infeasible),
                   void *arg);

struct sched_stats {
    uint32_t clients;
    uint32_t leases;        /* on workers here, waiting for a worker included */
    uint32_t remote_leases; /* of clients here, elsewhere */
    uint32_t requested;     /* asked of other nodes, not answered */
    uint64_t want;          /* level of all askers */
    uint64_t grants;        /* since ever, to clients here */
    uint64_t spillbacks;    /* requests sent elsewhere, since ever, in leases */
    uint64_t rejects;       /* of those, rejected */
    uint64_t reclaims;      /* since ever */
};
void sched_stats(const struct sched *s, struct sched_stats *ret_stats);
/* Every account agrees: resources, workers, levels (invariant 7; for tests and `status`). */
bool sched_check(const struct sched *s);

#endif
