/*
 * The object store of a node, as the raylet embeds it: shared-memory segments, the objects in them,
 * and their way to and from other nodes. docs/design/object-store.md says how it works;
 * proto/record.h what processes say to it, store/link_records.h what stores say to each other.
 *
 *     struct store_config c;
 *     store_config_default(&c, node_id, capacity);
 *     r = store_new(&c, &host, &s, &e);           // host: the raylet's callbacks, below
 *
 *     store_client_add(s, client, &address, job);                 // a process said HELLO
 *     r = store_handle_record(s, now, client, &head, payload);    // REC_STORE_*; < 0: break the
 * client store_client_closed(s, now, client);                        // its socket closed, it may
 * live store_client_gone(s, now, client);                          // its pidfd fired: it is dead
 *
 *     r = store_handle_link_record(s, now, node, type, head, n, data, len); // < 0: break the link
 *     store_link_writable(s, now, node);          // after link_send gave -LIMIT: there is room now
 *     store_link_broken(s, now, node);            // the link to a node ended; it may come again
 *     store_node_gone(s, now, node);              // the node is dead for good
 *     store_owner_gone(s, now, &address);         // a process anywhere died: what it owned goes
 *     store_job_gone(s, now, job);                // the job ended
 *
 *     timer at store_next_deadline(s): store_tick(s, now);
 *
 * Before store_client_gone hand over what is left in the dead process's ring: it may have sealed.
 *
 * Links: FIFO; they end as a pair, after a delivered prefix. Each side hears store_link_broken
 * before anything that the other said over the next link: a new link from a node ends the old one
 * first. What the store sends from within store_link_broken on goes over the next link.
 *
 * Ownership: the store owns its segments; the caller owns what it passes in, which is copied where
 * it is kept. Data given to link_send stays valid and unchanged until its release callback, which
 * must come exactly once for each send that was accepted, also when the link ends, and before
 * store_free.
 * Threads: one owner thread; callbacks come on it, out of the calls above. They must not call back
 * into the store (but store_stats), the release callback excepted when it comes later, from the
 * loop. Failure: out of memory and misuse by processes become statuses in answers, or
 * -RAIA_ERR_PROTOCOL.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"
#include "raia/error.h"

struct store;

struct store_config {
    uint8_t node[16];         /* this node's id */
    uint64_t capacity;        /* bytes of real memory that segments may hold */
    uint64_t segment_bytes;   /* size of an ordinary segment; 64 MiB */
    uint64_t reserve_bytes;   /* warm memory kept in empty segments; capacity / 8 */
    uint32_t max_segments;    /* descriptors held; 1024 */
    uint32_t max_objects;     /* entries in the table; 1 Mi */
    uint32_t max_tombstones;  /* freed or evicted objects remembered; 64 Ki */
    uint32_t max_waiting;     /* CREATEs and GETs waiting, of one process; 64 Ki */
    uint32_t max_serving;     /* pulls served to one node at a time; 1024 */
    uint64_t pull_window;     /* bytes under way from one node; 8 MiB */
    uint32_t pull_timeout_ms; /* without progress: ask another node; 10 s */
    uint32_t pull_tries;      /* times a silent node is asked before it counts as failed; 3 */
    uint32_t memory_wait_ms;  /* a pull waits this long for memory, then STORE_FULL; 30 s */
    uint32_t settle_ms;       /* an object said to be here may still be on its way; 1 s */
    uint32_t giveback_ms;     /* empty segments over the reserve go after this; 2 s */
    uint32_t reserve_ms;      /* the reserve itself goes after this without use; 60 s */
    bool isolate_jobs;        /* refuse GETs across jobs (-PERMISSION); else shared read-only */
};

/* Ray's defaults, where it has them; `capacity` in bytes. */
void store_config_default(struct store_config *c, const uint8_t node[16], uint64_t capacity);

typedef void (*store_release_fn)(void *arg);

/* What the store asks of the raylet. */
struct store_host {
    void *arg; /* first argument of each */

    /* Sends a record to a process, in order with all else that goes down to it. Must queue when the
     * ring is full (a process whose queue outgrows the raylet's limit is to be broken). */
    void (*send)(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                 size_t size);
    /* Sends REC_SEGMENT with `fd` (duplicate it if it must outlive the call). */
    void (*send_segment)(void *arg, uint32_t client, uint32_t segment, uint64_t size, bool writable,
                         int fd);
    /* Sends a record over the link to `node`, opening one if need be: 0: accepted, in order;
     * -LIMIT: the outbox is full, nothing was taken, store_link_writable will come;
     * -UNAVAILABLE: no such node, or no way to it. `head` is copied; `data` is not: release(ra) is
     * called when it is no longer read (release NULL: `data` is to be copied too). */
    int (*link_send)(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                     size_t head_size, const void *data, size_t data_size, store_release_fn release,
                     void *release_arg);
};

int store_new(const struct store_config *c, const struct store_host *host, struct store **ret_store,
              struct raia_error *e);
/* Closes all segments; sends nothing. */
void store_free(struct store *s);

/* `client` is a number chosen by the raylet, not used before. */
int store_client_add(struct store *s, uint32_t client, const struct record_address *address,
                     const uint8_t job[4]);
/* Nothing is sent to it any more; what it waits for is forgotten; what it reads or writes stays. */
void store_client_closed(struct store *s, int64_t now, uint32_t client);
/* Only with proof that the process is dead: its memory is used again. Implies _closed; its sealed
 * objects stay (see store_owner_gone). */
void store_client_gone(struct store *s, int64_t now, uint32_t client);

/* A REC_STORE_* that came up. 0; -PROTOCOL: malformed, or a type that is not the store's. */
int store_handle_record(struct store *s, int64_t now, uint32_t client,
                        const struct record_head *head, const void *payload);
/* A record of STORE_LINK_FIRST <= type < STORE_LINK_END. `head` is its fixed part and `data` what
 * follows; they may also come in one piece, with data NULL. 0; -PROTOCOL: malformed. */
int store_handle_link_record(struct store *s, int64_t now, const uint8_t node[16], uint16_t type,
                             const void *head, size_t head_size, const void *data,
                             size_t data_size);
void store_link_writable(struct store *s, int64_t now, const uint8_t node[16]);
void store_link_broken(struct store *s, int64_t now, const uint8_t node[16]);
void store_node_gone(struct store *s, int64_t now, const uint8_t node[16]);

/* GETs of what it owned fail with OWNER_DIED, from now on as well; copies here are freed. */
void store_owner_gone(struct store *s, int64_t now, const struct record_address *owner);
/* What was made by the job's processes and has no owner that lives is freed. Owners of the job die with
 * it, and what they own with them; what they made for another job is that one's. */
void store_job_gone(struct store *s, int64_t now, const uint8_t job[4]);

/* When store_tick is to be called next; CLOCK_NEVER: not until something else happens. Asked after
 * each call. */
int64_t store_next_deadline(const struct store *s);
void store_tick(struct store *s, int64_t now);

struct store_stats {
    uint64_t capacity;       /* bytes */
    uint64_t used;           /* bytes of extents in use: objects */
    uint64_t resident;       /* bytes of real memory in segments; used + warm reserve */
    uint64_t pinned;         /* bytes of `used` that cannot be evicted now */
    uint64_t primary;        /* bytes of sealed primary copies */
    uint32_t objects;        /* sealed here */
    uint32_t unsealed;       /* being written by a process */
    uint32_t segments;       /* open */
    uint32_t clients;        /* added and not gone */
    uint32_t waiting_create; /* for memory */
    uint32_t waiting_get;    /* for an object */
    uint32_t pulls;          /* under way or waiting for memory */
    uint32_t serving;        /* pulls of other nodes */
    uint64_t evicted;        /* copies dropped for memory, ever */
    uint64_t bytes_in;       /* from other nodes, ever */
    uint64_t bytes_out;      /* to other nodes, ever */
};
void store_stats(const struct store *s, struct store_stats *ret_stats);

/* For `raia list objects`: calls f for each object here, sealed or being made. */
struct store_object_info {
    uint8_t object[28];
    uint8_t job[4];
    uint64_t size;               /* bytes */
    uint32_t pins;               /* readers */
    bool sealed;                 /* false: being written or pulled */
    bool primary;                /* false: a copy, may be evicted */
    struct record_address owner; /* zero: not known */
};
void store_list(const struct store *s, void (*f)(void *arg, const struct store_object_info *o),
                void *arg);

#endif
