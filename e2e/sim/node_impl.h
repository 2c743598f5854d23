/* What node.c, node_links.c, node_sched.c and channel.c share: a raylet of the simulation. */
#ifndef SIM_NODE_IMPL_H
#define SIM_NODE_IMPL_H

#include "core/sched.h"
#include "sim/world.h"
#include "sim/trunk.h"

/* A process of the node. */
struct session {
    struct list link; /* node.sessions */
    struct node *n;
    struct proc *p;
    uint64_t client;
    uint64_t worker; /* number of the pool; 0: a driver */
    uint8_t job[4];
    struct list ends; /* struct pair_end */
    struct list channels;
};

/* One end of a ring pair. */
struct pair_end {
    struct list link; /* session.ends */
    struct session *other;
    uint32_t conn;
};

/* This node's end of a channel. */
struct channel {
    struct list link; /* session.channels */
    struct session *s;
    uint64_t tag;  /* of the OPEN that made it */
    bool open;     /* both sides know */
    uint32_t mine; /* number here, and the process's */
    uint32_t yours;
    struct record_address peer;
};

/* Another node, as this one sees it. */
struct peer {
    struct node *node; /* who */
    uint8_t id[16];
    bool dead;          /* the control store says so */
    bool avoided;       /* the link broke a moment ago */
    struct list outbox; /* struct outgoing: what waits behind a chunk, that one first */
    uint32_t links;     /* that there were */
    bool blocked;       /* the store waits until there is room in the outbox */
};

/* An actor that this node was told to run. */
struct hosted {
    struct list link; /* node.actors */
    uint8_t actor[16];
    uint64_t incarnation;
    uint64_t tag; /* of sched_take */
    uint64_t lease;
    uint64_t worker;               /* pool number; 0: not yet */
    bool up;                       /* it said that it runs */
    struct record_address address; /* then: where */
};

/* A job that this node has heard of. */
struct node_job {
    uint8_t id[4];
    bool ended;
    struct proc *driver; /* here; NULL: elsewhere, or gone */
    bool finishing;      /* it is gone, and the control store may not know it */
};

struct node {
    struct world *c;
    struct sim_node *sn;
    uint8_t id[16];
    int64_t cpus; /* 1/10000 */
    struct sched *sched;
    struct node_store *store;
    bool alive;
    int64_t tick_at;                /* when a tick is due, ns */
    uint64_t version_sent;          /* of the view */
    bool report_due;                /* a timer to report runs */
    int64_t heard;                  /* of the control store, ns */
    struct trunk trunk;             /* to it */
    uint32_t session;               /* with it: how many there were */
    uint8_t replaces[16];           /* 0: none */
    uint8_t wanted[ACTORS_MAX][16]; /* whose state its processes want to hear */
    unsigned n_wanted;
    struct node_job jobs[JOBS_MAX];
    unsigned n_jobs;
    uint8_t coming[DRIVERS_MAX][16]; /* drivers whose jobs were asked for: tokens */
    unsigned n_coming;
    struct list sessions;
    struct list actors;
    uint64_t next_client;
    uint32_t next_conn;
    uint64_t next_tag;
    struct peer peers[NODES_MAX];
    unsigned n_peers;
};

enum hop_type {
    HOP_ASK = 1,
    HOP_GRANT,
    HOP_REJECT,
    HOP_RETURN,
    HOP_RECLAIM,
    HOP_LOST,
    HOP_ROOM,
    HOP_STORE,      /* request: type, count: bytes of head; head, then stamps */
    HOP_OWNER_GONE, /* from */
    HOP_CH_OPEN,
    HOP_CH_OPENED,
    HOP_CH_CLOSED,
    HOP_CH_DATA, /* then the record */
};

/* What nodes say to each other. */
struct hop {
    uint32_t type; /* enum hop_type */
    int32_t status;
    uint32_t request, count;
    uint64_t lease;
    uint64_t version; /* of cpus */
    int64_t cpus;     /* ASK: needed; REJECT, ROOM: available; 1/10000 */
    uint32_t mine, yours;
    uint8_t worker[16];
    uint8_t spread;
    uint8_t broken;
    uint8_t job[4]; /* ASK */
    uint8_t reserved[2];
    struct record_address from, to;
};

/* -UNAVAILABLE: there is no link now. */
int node_hop(struct node *n, const uint8_t node[16], const struct hop *h, const void *data,
             size_t size);
/* The same, overtaking what waits behind a chunk. */
void node_hop_now(struct node *n, struct peer *p, const struct hop *h, const void *data,
                  size_t size);
struct peer *node_peer(struct node *n, const uint8_t id[16]);
struct session *node_session_of(struct node *n, const uint8_t worker[16]);
void session_send(struct session *s, uint16_t type, uint32_t conn, uint64_t tag, const void *data,
                  size_t size);

extern const uint8_t node_actors_job[4]; /* that of all actors: it does not end */
struct session *session_by_client(struct node *n, uint64_t client);
struct session *session_by_worker(struct node *n, uint64_t worker);
struct res_set node_cpus(int64_t quantity);

/* A word of the present session. */
void node_say(struct node *n, struct gcs_word *w);
/* A session with the control store begins: all that it must know. */
void node_hello(struct node *n);

/* node_links.c */
extern const struct sim_node_ops node_sim_ops;
void node_learn(struct node *n, const uint8_t id[16]);

/* node_sched.c */
extern const struct sched_ops node_sched_ops;
/* worker 0: a driver. */
struct session *session_new(struct node *n, uint64_t worker, const uint8_t job[4]);
/* What is available, and since when. */
void node_put_view(struct node *n, struct hop *h);
void hosted_tell(struct node *n, const struct hosted *h, enum gcs_word_type type, uint32_t state,
                 const struct record_address *address, int status);
void hosted_event(struct node *n, const struct hosted *h, uint32_t state,
                  const struct record_address *address, int status);
/* It is not here any more. */
void hosted_end(struct node *n, struct hosted *h, int status);

/* node_jobs.c */
struct node_job *node_job_get(struct node *n, const uint8_t id[4]);
bool node_job_over(struct node *n, const uint8_t id[4]);
/* Its processes and objects here go. */
void node_job_ended(struct node *n, const uint8_t id[4]);
/* The control store has given a number to the job of a driver: that begins. */
void node_job_added(struct node *n, const struct gcs_word *w);
void node_driver_left(struct node *n, const uint8_t id[4]);
/* Words that come before a HELLO: the jobs that it believes to go on. */
void node_jobs_hello(struct node *n);
/* And after it: those whose drivers have gone here. */
void node_jobs_finish(struct node *n);
void node_job_finished(struct node *n, const uint8_t id[4]);
/* No worker lives longer than its job. */
bool node_jobs_idle(const struct node *n);

/* node_store.c */
void node_store_job_gone(struct node *n, const uint8_t job[4]);
int node_store_new(struct node *n);
void node_store_free(struct node *n);
void node_store_settle(struct node *n);
void node_store_session(struct session *s);
void node_store_session_end(struct session *s);
/* < 0: the core refuses it. */
int node_store_record(struct session *s, uint16_t type, uint64_t tag, const void *data,
                      size_t size);
void node_store_hop(struct node *n, const uint8_t node[16], const struct hop *h, const void *data,
                    size_t size);
void node_store_link_broken(struct node *n, struct peer *p, bool dead);
bool node_store_idle(const struct node *n);
void node_store_show(const struct node *n);
/* A chunk waits for the link to p: so does this. False: there is none. */
bool node_outbox_add(struct peer *p, const struct hop *h, const void *data, size_t size);

/* channel.c */
void channel_peer_open(struct session *s, uint64_t tag, const struct record_address *to);
void channel_up(struct session *s, uint32_t conn, const void *data, size_t size);
void channel_hop(struct node *n, const uint8_t node[16], const struct hop *h, const void *data,
                 size_t size);
void channel_gone(struct session *s, int status);
void channel_node_lost(struct node *n, const uint8_t node[16], int status);

#endif
