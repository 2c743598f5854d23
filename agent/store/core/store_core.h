/*
 * The pure core of the object store: objects, who reads them, and their way between nodes. It takes
 * `now` and records, and answers through struct store_core_ops; it touches no memory of objects, no
 * clock, file or socket. store/store.h is the same for the raylet, with real memory; what each call
 * means is said there.
 *
 *     r = store_core_new(&config, &ops, arg, &core);
 *     r = store_core_record(core, now, client, &head, payload);
 *
 * Threads: one owner. Ops may not call back, but for store_core_sent, later.
 */
#ifndef STORE_CORE_STORE_CORE_H
#define STORE_CORE_STORE_CORE_H

#include "store/link_records.h"
#include "store/store.h"

struct store_core;
struct store_segment;
struct store_send; /* one chunk under way; private */

struct store_core_ops {
    /* The memory of segments; see store/core/alloc.h. */
    int (*segment_create)(void *arg, uint32_t segment, uint64_t size);
    void (*segment_destroy)(void *arg, uint32_t segment);
    void (*segment_punch)(void *arg, uint32_t segment, uint64_t offset, uint64_t size);
    /* Bytes that came from another node. 0; else the pull fails. */
    int (*segment_write)(void *arg, uint32_t segment, uint64_t offset, const void *data,
                         size_t size);
    /* REC_SEGMENT. 0, -NO_FILES, -NOMEM. */
    int (*segment_share)(void *arg, uint32_t client, uint32_t segment, uint64_t size,
                         bool writable);
    /* As in struct store_host. */
    void (*send)(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                 size_t size);
    int (*link_send)(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                     size_t head_size, const void *data, size_t data_size);
    /* A chunk out of a segment; if accepted, store_core_sent(send) must follow, once, later. */
    int (*link_send_chunk)(void *arg, const uint8_t node[16], const struct store_link_chunk *head,
                           uint32_t segment, uint64_t offset, struct store_send *send);
};

int store_core_new(const struct store_config *c, const struct store_core_ops *ops, void *arg,
                   struct store_core **ret_core);
/* Calls segment_destroy for what is open; sends nothing. */
void store_core_free(struct store_core *core);

int store_core_client_add(struct store_core *core, uint32_t client,
                          const struct record_address *address, const uint8_t job[4]);
void store_core_client_closed(struct store_core *core, int64_t now, uint32_t client);
void store_core_client_gone(struct store_core *core, int64_t now, uint32_t client);

int store_core_record(struct store_core *core, int64_t now, uint32_t client,
                      const struct record_head *head, const void *payload);
int store_core_link_record(struct store_core *core, int64_t now, const uint8_t node[16],
                           uint16_t type, const void *head, size_t head_size, const void *data,
                           size_t data_size);
void store_core_sent(struct store_send *send);
void store_core_link_writable(struct store_core *core, int64_t now, const uint8_t node[16]);
void store_core_link_broken(struct store_core *core, int64_t now, const uint8_t node[16]);
void store_core_node_gone(struct store_core *core, int64_t now, const uint8_t node[16]);
void store_core_owner_gone(struct store_core *core, int64_t now,
                           const struct record_address *owner);
void store_core_job_gone(struct store_core *core, int64_t now, const uint8_t job[4]);

int64_t store_core_next_deadline(const struct store_core *core);
void store_core_tick(struct store_core *core, int64_t now);

void store_core_stats(const struct store_core *core, struct store_stats *ret_stats);
void store_core_list(const struct store_core *core,
                     void (*f)(void *arg, const struct store_object_info *o), void *arg);

/* Test support: whether all books agree; 0, or the line that says what does not. */
int store_core_check(const struct store_core *core);

/* Test support: bugs to be planted, for simulations to find. */
enum store_bug {
    STORE_BUG_NONE,
    STORE_BUG_EARLY_FREE,   /* memory goes back while it is read */
    STORE_BUG_LOST_RELEASE, /* a read is never over */
    STORE_BUG_LOST_FREE,    /* copies are not told of the end */
    STORE_BUG_COPY_STAYS,   /* a copy counts as primary when its node died or its link broke */
    STORE_BUG_NO_RETRY,     /* a pull whose source failed asks nobody else, and not again */
    STORE_BUG_LEAKED_PIN,   /* a transfer that is broken off goes on pinning its object */
    STORE_BUG_DEAD_OWNER,   /* nobody asks whether an owner lives */
    STORE_BUG_STRAYS        /* nobody asks whether a result was taken */
};
void store_core_plant(struct store_core *core, enum store_bug bug);

#endif
