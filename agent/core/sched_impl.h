/*
 * What the files of the scheduler share: sched.c (placement), sched_client.c (askers),
 * sched_worker.c (the pool's side), sched_node.c (other nodes). Private to them.
 */
#ifndef CORE_SCHED_IMPL_H
#define CORE_SCHED_IMPL_H

#include "base/hash.h"
#include "base/list.h"
#include "core/sched.h"

#define SCHED_TEXT 256

/* Bugs that the simulation plants to see that it finds them; never there in a real build. */
enum sched_plant {
    PLANT_LEAK = 1,     /* another node's lease that broke does not give its resources back */
    PLANT_DOUBLE_GRANT, /* a worker whose holder was cut off is used again */
    PLANT_LOST_DEMAND,  /* what was asked of a node that was lost still counts as coming */
    PLANT_MISSED_DEATH, /* a worker's death is not told to its owner */
};
#ifdef SCHED_PLANT
extern enum sched_plant sched_planted;
#define PLANTED(bug) (sched_planted == (bug))
#else
#define PLANTED(bug) 0
#endif

struct client;

/* What several askers have in common. */
struct klass {
    struct sched_shape shape;
    uint32_t refs;           /* askers, leases and requests */
    uint64_t want;           /* sum of the askers' */
    uint32_t pending_local;  /* leases that wait for a worker, for any of the askers */
    uint32_t pending_remote; /* asked of other nodes, not answered */
    bool stuck;              /* in this round nothing more can be placed */
    bool infeasible;         /* no node could ever meet it ... */
    int64_t infeasible_at;   /* ... since then, ns */
    struct list waiting;     /* askers that want, the next one first */
    struct list link;        /* all classes, in turn */
};

/* One class of one client. */
struct asker {
    uint32_t number; /* the client's name for it; the hash key */
    bool has_prefer;
    bool told; /* that it is infeasible */
    uint8_t prefer[16];
    struct client *client;
    struct klass *klass;
    uint32_t want;       /* more leases, now */
    uint32_t held;       /* leases, remote ones included */
    uint64_t sent;       /* grants since ever */
    int64_t claim_until; /* a lease was asked back for it: no other one before this, ns */
    struct list wait;    /* in klass->waiting while want > 0 */
    HASH_HANDLE hh;      /* in client->askers */
};

#define SCHED_CLAIM_FACTOR                                                                         \
    10 /* a lease asked back may take so many reclaim_ns until another one is */

struct client {
    uint64_t id; /* the hash key */
    uint8_t job[4];
    struct asker *askers;
    HASH_HANDLE hh;
};

enum lease_kind { LEASE_CLASS, LEASE_NODE, LEASE_ACTOR };

/* On a worker of this node. */
struct lease {
    uint64_t id;          /* the hash key */
    enum lease_kind kind; /* for the askers of a class, for a node, for an actor */
    struct klass *klass;
    struct asker *asker; /* CLASS, once granted */
    int node;            /* NODE: its slot */
    uint32_t request;    /* NODE: its number there */
    uint64_t tag;        /* ACTOR: the caller's */
    struct res_set hold; /* ACTOR: what it keeps once it has a worker */
    struct res_set held; /* taken from the ledger for it */
    int64_t lent;        /* CPU given back while its worker is blocked */
    uint64_t worker;     /* 0: waits for one */
    int64_t since;       /* granted, ns */
    bool reclaimed;      /* it was asked back */
    struct list link;    /* all leases */
    HASH_HANDLE hh;
};

struct remote_key {
    uint64_t lease;
    uint64_t node; /* slot */
};

/* On another node's worker, for an asker here. */
struct remote {
    struct remote_key key;
    struct asker *asker;
    uint8_t worker[16];
    int64_t since; /* ns */
    bool reclaimed;
    HASH_HANDLE hh;
};

/* Asked of another node. */
struct request {
    uint32_t number; /* the hash key */
    uint32_t left;   /* not answered yet */
    int node;
    struct klass *klass;
    HASH_HANDLE hh;
};

/* A worker process of the pool. */
struct wk {
    uint64_t number; /* the hash key */
    uint8_t id[16];  /* zero until it is ready */
    struct lease *lease;
    HASH_HANDLE hh;
};

/* What is kept of another node, by its slot. */
struct peer {
    uint32_t held; /* leases that it holds here */
    bool rejected; /* something it asked for did not fit */
    struct res_set rejected_need;
    uint32_t asking; /* being collected: how many of `asking_class` to ask for */
    struct klass *asking_class;
};

/* What the pool said, until it is safe to act on it. */
struct pool_event {
    struct list link;
    uint64_t lease;
    uint64_t worker; /* 0: failed */
    int status;
    char text[SCHED_TEXT];
};

/* Held without a worker, or waiting to be. */
struct reservation {
    struct list link; /* sched.reservations, in the order of asking */
    uint64_t tag;     /* the caller's */
    struct res_set need;
    bool held;           /* taken from the ledger */
    int64_t claim_until; /* a lease was asked back for it: not again before, ns */
};

struct sched {
    struct sched_config config;
    const struct sched_ops *ops;
    void *arg;
    struct ledger ledger;
    struct pool *pool;
    struct cluster cluster;
    struct peer *peer; /* by slot */
    int peers;         /* allocated */
    struct client *clients;
    struct list classes;
    struct lease *leases;
    struct list lease_list;
    struct remote *remotes;
    struct request *requests;
    struct wk *workers;
    struct list events; /* struct pool_event */
    struct list reservations;
    uint32_t nclasses;
    uint32_t next_request;
    uint64_t next_lease;
    uint32_t waiting_worker; /* leases without a worker */
    int64_t now;             /* of the call that is under way */
    struct sched_stats stats;
};

extern const struct pool_ops sched_pool_ops;

/* sched.c */
void sched_settle(struct sched *s, int64_t now);
struct klass *sched_klass(struct sched *s, const struct sched_shape *shape); /* takes a reference */
void sched_klass_unref(struct sched *s, struct klass *k);
struct lease *sched_lease_new(struct sched *s, enum lease_kind kind, struct klass *k,
                              const struct res_set *take);
/* Ends it: resources back, worker back (broken: stopped). The worker may be gone already. */
void sched_lease_end(struct sched *s, struct lease *l, bool broken);
void sched_grant(struct sched *s, struct asker *a, uint64_t lease, const uint8_t node[16],
                 const uint8_t worker[16]);
void sched_fail_klass(struct sched *s, struct klass *k, int status, const char *text);
/* Asks one lease back for someone who holds `held` and needs `need`. */
bool sched_reclaim_one(struct sched *s, const struct res_set *need, const struct asker *waiter,
                       int node, uint32_t held);

/* sched_reserve.c */
void sched_reserve_waiting(struct sched *s);
int64_t sched_reserve_reclaim(struct sched *s); /* when to be called again */
void sched_reserve_sum(const struct sched *s, struct res_set *held);
void sched_reserve_list(const struct sched *s,
                        void (*fn)(void *arg, const struct sched_shape *shape, uint64_t count,
                                   bool infeasible),
                        void *arg);
void sched_reserve_free(struct sched *s);

/* sched_client.c */
void sched_asker_want(struct asker *a, uint32_t want);

/* sched_worker.c */
struct wk *sched_wk(struct sched *s, uint64_t number);
void sched_events(struct sched *s);

/* sched_node.c */
int sched_request(struct sched *s, int node, struct klass *k, uint32_t count);
void sched_remote_end(struct sched *s, struct remote *r);
void sched_give_room(struct sched *s);

#endif
