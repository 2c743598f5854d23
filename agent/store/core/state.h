/*
 * The state of the store core, and what its files have of each other. Who is where:
 *
 *     objects.c  the table; pins; evicting, freeing and forgetting objects
 *     create.c   CREATE, SEAL, ABORT, the queue of those that wait for memory
 *     gets.c     GET, RELEASE, and answering those who wait
 *     doubts.c   results that their owners may never have heard of
 *     clients.c  processes, what they have mapped, owners, jobs
 *     peers.c    other nodes: outboxes, links that break, nodes that die
 *     pulls.c    fetching an object from another node
 *     serves.c   sending one to another node
 *     tombs.c    what is remembered of objects that are gone
 *     records.c  records of processes, checked and decoded
 *     links.c    the same for records of other stores
 *     core.c     making, stepping, timers, statistics
 *
 * Every entry point ends with store_run__, which gives memory that became free to those who wait.
 */
#ifndef STORE_CORE_STATE_H
#define STORE_CORE_STATE_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/list.h"
#include "store/core/alloc.h"
#include "store/core/store_core.h"
#include "store/core/timers.h"

enum store_timer_kind {
    STORE_TIMER_CREATE, /* struct store_create: its deadline */
    STORE_TIMER_GET,    /* struct store_get: its deadline */
    STORE_TIMER_SETTLE, /* struct store_object: said to be here, has not come */
    STORE_TIMER_PULL,   /* struct store_pull: no progress, or time to try again */
    STORE_TIMER_SERVE,  /* struct store_serve: nothing heard for long */
    STORE_TIMER_DOUBT,  /* struct store_core: ask owners again */
    STORE_TIMER_PEER,   /* struct store_peer: send the unacknowledged again */
};

enum store_object_state {
    STORE_ABSENT,   /* not here; some wait for it */
    STORE_CREATING, /* a process writes it, or waits for memory to */
    STORE_SEALED,   /* here */
};

enum store_source_state { STORE_SOURCE_OK, STORE_SOURCE_EMPTY, STORE_SOURCE_DEAD };

/* A node that may have an object. */
struct store_source {
    struct node_id node;
    enum store_source_state state; /* EMPTY: says it has not got it */
    uint32_t tries;                /* asked in vain */
};

struct store_object {
    HASH_HANDLE hh; /* core->objects */
    struct object_id id;
    struct job_id job;             /* of who made it, or first asked for it here */
    enum store_object_state state; /* see there */
    bool primary;                  /* SEALED: made here; not to be evicted */
    bool freed;                    /* goes when the last reader releases it */
    bool soft;                     /* a copy that goes as soon as nobody reads it */
    uint64_t size;                 /* bytes; 0 while ABSENT and not known */
    struct store_extent *extent;   /* where; NULL: no memory yet */
    struct store_create *create;   /* CREATING: who and how */
    struct record_address owner;   /* zero: not known */
    struct list owned;             /* in store_owner.objects */
    struct list pins;              /* struct store_pin: readers (and the creator) */
    uint32_t npins;                /* their counts, flowing serves, and chunks under way */
    struct list lru;               /* core->evictable */
    struct list gets;              /* struct store_get that wait */
    struct list serves;            /* struct store_serve of it */
    struct store_source *sources;  /* where it may be had */
    uint32_t nsources;             /* of them; at most STORE_NODES_MAX */
    struct store_pull *pull;       /* ABSENT: it is being fetched */
    struct node_id *forwards;      /* nodes that had copies from here */
    uint32_t nforwards;            /* of them */
    bool copied;                   /* a copy: `source` counts it in its forward list */
    struct node_id source;         /* where the copy came from */
    struct store_timer settle;     /* see STORE_TIMER_SETTLE */
    uint32_t maker;     /* SEALED by that client for another process; 0: not, or it was taken */
    struct list doubts; /* core->doubts: whether it was taken */
};

/* The reads of one object by one process. */
struct store_pin {
    struct list of_object;       /* object->pins */
    struct list of_client;       /* client->pins */
    struct store_object *object; /* what */
    struct store_client *client; /* who */
    uint32_t count;              /* RELEASEs to come */
};

/* A CREATE, until SEAL or ABORT. */
struct store_create {
    struct list link;            /* core->creates (waiting) or client->writing */
    struct store_client *client; /* who */
    struct store_object *object; /* what */
    uint64_t tag;                /* of the record */
    struct store_timer timer;    /* deadline, while waiting */
};

/* A GET that waits. */
struct store_get {
    struct list of_object;       /* object->gets */
    struct list of_client;       /* client->gets */
    struct store_object *object; /* what */
    struct store_client *client; /* who */
    uint64_t tag;                /* of the record */
    uint32_t priority;           /* 0 first */
    struct store_timer timer;    /* deadline */
};

struct store_mapping {
    struct list of_segment;        /* segment->mappings */
    struct list of_client;         /* client->mappings */
    struct store_segment *segment; /* what */
    struct store_client *client;   /* who has its descriptor */
    bool writable;                 /* which */
};

struct store_client {
    HASH_HANDLE hh;                /* core->clients */
    uint32_t number;               /* the raylet's */
    struct record_address address; /* node and worker id */
    struct job_id job;             /* its job */
    bool closed;                   /* nothing can be sent to it */
    struct store_arena arena;      /* what it can write to */
    struct list pins;              /* struct store_pin */
    struct list gets;              /* struct store_get */
    struct list writing;           /* struct store_create with memory */
    struct list mappings;          /* struct store_mapping */
    uint32_t waiting;              /* GETs and CREATEs that wait */
};

/* The raylet's own segments, for one job. */
struct store_job {
    HASH_HANDLE hh;           /* core->jobs */
    struct job_id id;         /* which */
    struct store_arena arena; /* copies, and what dead processes left */
};

struct store_owner {
    HASH_HANDLE hh; /* core->owners */
    struct worker_id id;
    struct node_id node; /* where it lives */
    struct list objects; /* struct store_object.owned */
};

/* A control record that the link could not take yet. */
struct store_out {
    struct list link;                  /* peer->outbox, unacked or resend */
    uint16_t type;                     /* enum store_link_type */
    bool acked;                        /* FREE that is kept until FREED */
    uint32_t head_size;                /* bytes */
    uint32_t data_size;                /* bytes */
    uint8_t head[STORE_LINK_HEAD_MAX]; /* copy */
    uint8_t data[];                    /* copy */
};

struct store_peer {
    HASH_HANDLE hh; /* core->peers */
    struct node_id node;
    bool blocked;               /* the link's outbox is full */
    bool unreachable;           /* a send said so; dealt with in store_run__ */
    struct list to_run;         /* core->unreachable */
    struct list outbox;         /* struct store_out that wait */
    uint32_t noutbox;           /* of them */
    struct list unacked;        /* struct store_out: FREEs sent and not acknowledged */
    uint32_t nunacked;          /* of them */
    struct list resend;         /* struct store_out: FREEs that a link took with it */
    uint32_t nresend;           /* of them */
    bool ask;                   /* the link ended: do its processes that own objects here live? */
    uint32_t acks;              /* FREEs received and not acknowledged */
    struct list to_ack;         /* core->to_ack */
    struct store_serve *serves; /* hash by pull number */
    uint32_t nserves;           /* of them */
    struct list ready;          /* struct store_serve with credit, in turn */
    struct list pulls;          /* struct store_pull that ask it */
    struct list starved;        /* struct store_pull.starving: flowing, want credit */
    uint64_t in_flight;         /* bytes of credit given and not arrived */
    uint32_t nflowing;          /* pulls that flow */
    struct store_timer again;   /* see STORE_TIMER_PEER */
};

enum store_pull_state {
    PULL_IDLE,    /* waits to try again */
    PULL_ASKING,  /* PULL sent */
    PULL_MEMORY,  /* offered; waits for memory */
    PULL_FLOWING, /* chunks come */
};

struct store_pull {
    HASH_HANDLE hh;              /* core->pulls, by number; in it from ASKING on */
    uint64_t number;             /* of this try */
    enum store_pull_state state; /* see there */
    struct store_object *object; /* what */
    struct store_peer *peer;     /* who is asked; NULL while IDLE */
    struct list of_peer;         /* peer->pulls */
    struct list starving;        /* peer->starved */
    struct list memory;          /* core->memory_waiters */
    bool started;                /* the CREDIT that says where to start was sent */
    uint64_t received;           /* bytes in the extent */
    uint64_t credited;           /* offset up to which it was asked for */
    uint32_t next_source;        /* where to go on looking */
    struct store_timer timer;    /* see STORE_TIMER_PULL */
};

struct store_serve {
    HASH_HANDLE hh;              /* peer->serves */
    uint64_t number;             /* the puller's */
    struct store_peer *peer;     /* who pulls */
    struct store_object *object; /* what */
    struct list of_object;       /* object->serves */
    struct list ready;           /* peer->ready */
    bool offered;                /* OFFER was sent: the object is here */
    bool flowing;                /* CREDIT came: it pins the object */
    uint64_t at;                 /* next byte to send */
    uint64_t credit;             /* offset up to which may be sent */
    struct store_timer timer;    /* see STORE_TIMER_SERVE */
};

struct store_send {
    struct list link;            /* core->sends */
    struct store_object *object; /* what it reads: one of its npins */
    struct store_core *core;     /* whose */
};

struct store_tomb {
    HASH_HANDLE hh; /* core->tombs */
    struct object_id id;
    struct list age; /* core->tomb_age, oldest first */
};

struct store_dead {
    HASH_HANDLE hh;      /* core->dead_owners */
    struct worker_id id; /* of a process, or a node */
    struct list age;     /* core->dead_age */
};
#define STORE_DEAD_MAX     4096u
#define STORE_OUTBOX_MAX   65536u
#define STORE_FORWARDS_MAX 1024u

struct store_core {
    struct store_config c;
    const struct store_core_ops *ops;
    void *arg; /* of the ops */
    struct node_id node;
    int64_t now; /* of the call under way */
    struct store_alloc alloc;
    struct store_timers timers;
    struct store_object *objects;
    struct store_client *clients;
    struct store_job *jobs;
    struct store_owner *owners;
    struct store_peer *peers;
    struct store_pull *pulls;
    struct store_tomb *tombs;
    struct store_dead *dead_owners;
    struct list tomb_age;       /* oldest first */
    struct list dead_age;       /* oldest first */
    struct list evictable;      /* unpinned copies, least recently used first */
    struct list creates;        /* struct store_create that wait for memory */
    struct list memory_waiters; /* struct store_pull, by priority, then age */
    struct list unreachable;    /* struct store_peer.to_run */
    struct list to_ack;         /* struct store_peer.to_ack */
    struct list doubts;         /* struct store_object.doubts */
    struct store_timer doubt;   /* see STORE_TIMER_DOUBT */
    struct list sends;          /* chunks under way */
    struct store_job orphans;   /* arena of dead processes, when there was no memory for a job's */
    uint64_t evictable_bytes;   /* of their extents */
    uint64_t last_pull;         /* number */
    bool memory_freed;          /* since those who wait were looked at */
    bool running;               /* in store_run__ */
    enum store_bug bug;         /* planted, by tests */
    struct store_stats totals;  /* the counters that only rise, and waiting_* */
};

/* core.c */
void store_run__(struct store_core *core);
/* Memory for an object: evicts copies if that helps. -STORE_FULL, -NOMEM, -NO_FILES. */
int store_take__(struct store_core *core, struct store_arena *arena, uint64_t size,
                 struct store_extent **ret_extent);
void store_give__(struct store_core *core, struct store_extent *x);
/* "store of 100 MiB: 90 MiB in use, 80 MiB pinned; ..." */
void store_full_text__(const struct store_core *core, uint64_t size, char *text, size_t room);

/* objects.c */
struct store_object *store_object_find__(struct store_core *core, const struct object_id *id);
struct store_object *store_object_new__(struct store_core *core, const struct object_id *id,
                                        const struct job_id *job,
                                        const struct record_address *owner);
/* Forgets it with its memory; nobody may wait for it or read it. */
void store_object_remove__(struct store_core *core, struct store_object *o);
/* Removes it if nothing keeps it: nobody waits, reads, makes or pulls it, and it is not here. */
void store_object_settle__(struct store_core *core, struct store_object *o);
int store_pin__(struct store_core *core, struct store_client *client, struct store_object *o);
/* One read less of this process; false: it had none. */
bool store_unpin__(struct store_core *core, struct store_client *client, struct store_object *o);
void store_pin_remove__(struct store_core *core, struct store_pin *pin);
void store_keep__(struct store_core *core, struct store_object *o);   /* npins + 1 */
void store_unkeep__(struct store_core *core, struct store_object *o); /* npins - 1; may remove it */
/* It is here now. */
void store_object_sealed__(struct store_core *core, struct store_object *o);
void store_evict__(struct store_core *core, struct store_object *o);
/* The end of an object: hard, as its owner says. `status` for who waits. */
void store_object_free__(struct store_core *core, struct store_object *o, int status,
                         const char *text);
/* A copy whose end nobody will tell. */
void store_object_soften__(struct store_core *core, struct store_object *o);
int store_forward_add__(struct store_object *o, const struct node_id *node);
void store_forward_remove__(struct store_object *o, const struct node_id *node);
int store_object_own__(struct store_core *core, struct store_object *o,
                       const struct record_address *owner);

/* create.c */
int store_create__(struct store_core *core, struct store_client *client, uint64_t tag,
                   const struct rec_store_create *r);
int store_seal__(struct store_core *core, struct store_client *client, const struct rec_object *r);
int store_abort__(struct store_core *core, struct store_client *client, const struct rec_object *r);
void store_create_end__(struct store_core *core, struct store_create *create);
void store_create_expired__(struct store_core *core, struct store_create *create);
void store_creates_run__(struct store_core *core);
/* Undoes what the process was making. */
void store_create_drop__(struct store_core *core, struct store_create *create);

/* gets.c */
int store_get__(struct store_core *core, struct store_client *client, uint64_t tag,
                const struct rec_store_get *r, const struct node_id *nodes);
void store_get_cancel__(struct store_core *core, struct store_client *client, uint64_t tag);
int store_release__(struct store_core *core, struct store_client *client,
                    const struct rec_object *r);
void store_get_drop__(struct store_core *core, struct store_get *get);
void store_get_expired__(struct store_core *core, struct store_get *get);
/* Answers all who wait for it. */
void store_gets_answer__(struct store_core *core, struct store_object *o);
void store_gets_fail__(struct store_core *core, struct store_object *o, int status,
                       const char *text);
/* CREATED and GOT, successful. */
void store_send_at__(struct store_core *core, struct store_client *client, uint16_t type,
                     uint64_t tag, struct store_object *o);
void store_send_failed__(struct store_core *core, struct store_client *client, uint16_t type,
                         uint64_t tag, const struct object_id *id, int status, const char *text);
/* Goes on looking for an object that is not here and that some want. */
void store_object_seek__(struct store_core *core, struct store_object *o);

void store_object_disown__(struct store_core *core, struct store_object *o);

/* doubts.c */
/* Its owner is to be asked whether it took it. */
void store_doubt__(struct store_core *core, struct store_object *o);
void store_doubts_again__(struct store_core *core);
/* All that this process made; all whose owners are on that node. */
void store_doubts_maker__(struct store_core *core, const struct store_client *maker);
void store_doubts_node__(struct store_core *core, const struct node_id *node);
void store_doubt_over__(struct store_core *core, struct store_object *o, bool taken);
/* False: there is no such process here. */
bool store_tell_stray__(struct store_core *core, const struct object_id *id,
                        const struct record_address *owner, const struct node_id *node);
int store_stray_answer__(struct store_core *core, const struct store_client *client,
                         const struct rec_store_stray *r);
int store_stray_link__(struct store_core *core, struct store_peer *peer, uint16_t type,
                       const struct store_link_stray *r);
/* GIVE. */
int store_made_over__(struct store_core *core, const struct store_client *client,
                      const struct rec_store_give *r);

/* clients.c */
struct store_client *store_client_find__(struct store_core *core, uint32_t number);
int store_map__(struct store_core *core, struct store_client *client, struct store_segment *s);
void store_unmap_all__(struct store_core *core, struct store_segment *s,
                       const struct store_client *but);
struct store_job *store_job_get__(struct store_core *core, const struct job_id *id);
void store_owner_gone__(struct store_core *core, const struct worker_id *id);
/* Those of that node, now and later. */
void store_owners_gone__(struct store_core *core, const struct node_id *node);
/* It is a process here. */
bool store_lives__(const struct store_core *core, const struct worker_id *id);
void store_lost__(struct store_core *core, const struct object_id *id,
                  const struct record_address *owner, int status, const struct node_id *node);

/* peers.c */
struct store_peer *store_peer_find__(struct store_core *core, const struct node_id *node);
struct store_peer *store_peer_get__(struct store_core *core, const struct node_id *node);
/* Forgets a peer with which there is nothing. */
void store_peer_settle__(struct store_core *core, struct store_peer *peer);
int store_peer_send__(struct store_core *core, struct store_peer *peer, uint16_t type,
                      const void *head, size_t head_size, const void *data, size_t data_size);
/* FREE that is sent again until the node has it or is dead. */
void store_peer_send_free__(struct store_core *core, const struct node_id *node,
                            const struct object_id *id);
void store_peer_send_soft__(struct store_core *core, const struct node_id *node,
                            const struct object_id *id, uint32_t flags);
void store_peer_freed__(struct store_core *core, struct store_peer *peer, uint32_t count);
void store_peer_again__(struct store_core *core, struct store_peer *peer);
void store_peers_run__(struct store_core *core);
void store_peer_delete__(struct store_core *core, struct store_peer *peer);

/* pulls.c */
void store_pull_start__(struct store_core *core, struct store_object *o);
/* Stops asking; keeps what came. The object lives on. */
void store_pull_end__(struct store_core *core, struct store_pull *pull);
void store_pull_expired__(struct store_core *core, struct store_pull *pull);
/* The node asked did not deliver: what to think of it, and whether to ask it `again` later. */
void store_pull_failed__(struct store_core *core, struct store_pull *pull,
                         enum store_source_state state, bool again);
int store_pull_offer__(struct store_core *core, struct store_peer *peer,
                       const struct store_link_offer *r);
int store_pull_chunk__(struct store_core *core, struct store_peer *peer,
                       const struct store_link_chunk *r, const void *data);
void store_pull_refused__(struct store_core *core, struct store_peer *peer,
                          const struct store_link_failed *r);
void store_pulls_memory__(struct store_core *core);
uint32_t store_pull_priority__(const struct store_object *o);

/* serves.c */
void store_serve_pull__(struct store_core *core, struct store_peer *peer,
                        const struct store_link_pull *r);
int store_serve_credit__(struct store_core *core, struct store_peer *peer,
                         const struct store_link_credit *r);
void store_serve_cancel__(struct store_core *core, struct store_peer *peer,
                          const struct store_link_pull *r);
/* Ends it; tells the puller if status < 0. */
void store_serve_end__(struct store_core *core, struct store_serve *serve, int status);
void store_serves_end__(struct store_core *core, struct store_object *o, int status);
void store_serves_offer__(struct store_core *core, struct store_object *o);
void store_serve_pump__(struct store_core *core, struct store_peer *peer);

/* tombs.c */
/* The owner said FREE. */
void store_tomb_set__(struct store_core *core, const struct object_id *id);
bool store_tomb__(struct store_core *core, const struct object_id *id);
void store_tomb_clear__(struct store_core *core, const struct object_id *id);
void store_dead_set__(struct store_core *core, const struct worker_id *id);
bool store_dead__(struct store_core *core, const struct record_address *owner);

#endif
