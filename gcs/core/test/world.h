/*
 * For tests of the core: a storage that makes writes durable only when told, and a core on it whose
 * effects are recorded.
 *
 *     struct world w;
 *     world_init(&w, NULL);
 *     reply = world_call(&w, "AddJob", &m.base);    // flushes until it is answered
 *     world_crash(&w);                              // what was not flushed is lost; loads again
 *     world_fini(&w);
 */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include "core/core.h"
#include "core/pb.h"
#include "storage/storage.h"
#include "test/lazy.h"

struct sent {
    struct node_id node;          /* to whom */
    Raia__Gcs__SessionDown *down; /* owned */
};

struct world {
    struct storage *inner;    /* memory: survives crashes */
    struct storage *storage;  /* lazy, in front of it */
    struct gcs_config config; /* of every life */
    struct gcs_effects fx;    /* recorded below */
    struct gcs_core *core;    /* of this life */
    struct gcs_now now;       /* the time, moved by the test */
    struct sent *sent;        /* what was sent, oldest first */
    size_t n_sent;            /* how many */
    size_t cap_sent;          /* room */
    bool full;                /* sessions take nothing now */
    size_t disconnects;       /* sessions broken off */
    struct raia_error broken; /* the core's */
    struct raia_error error;  /* of the last failed call */
};

/* config may be NULL. */
void world_init(struct world *w, const struct gcs_config *config);
void world_fini(struct world *w);
void world_crash(struct world *w);
void world_forget(struct world *w); /* what was sent */

/* An answer to come; zeroed before. */
struct answer {
    struct gcs_waiter waiter; /* first */
    bool done;                /* it came */
    struct raia_error e;      /* code 0: success */
    uint8_t *data;            /* owned */
    size_t size;              /* bytes */
};
void answer_init(struct answer *a);
void answer_fini(struct answer *a);

void world_start(struct world *w, const char *method, const ProtobufCMessage *m, struct answer *a);
/* The unpacked reply (pb_free), or NULL: w->error. */
void *world_call(struct world *w, const char *method, const ProtobufCMessage *m);

/* The n-th (from 0) message of this kind sent to this node (NULL: any); NULL: none. */
Raia__Gcs__SessionDown *world_sent(struct world *w, const uint8_t *node,
                                   Raia__Gcs__SessionDown__BodyCase kind, size_t n);

/* 16 bytes of it. */
const uint8_t *world_id(uint8_t byte);
ProtobufCBinaryData world_bytes(uint8_t byte);
/* Registers node `byte` with CPUs of its own, opens its session, subscribes it to nothing, and
 * reports its resources. */
void world_node(struct world *w, uint8_t byte, bool head, int cpus);
int world_hello(struct world *w, uint8_t byte, Raia__Gcs__ActorEvent **actors, size_t n);
void world_report(struct world *w, uint8_t byte, uint64_t version, int cpus);
void world_up(struct world *w, uint8_t byte, const Raia__Gcs__SessionUp *up);
void world_subscribe(struct world *w, uint8_t byte, Raia__Gcs__Channel channel,
                     ProtobufCBinaryData key);
/* Adds a job with its driver on that node; its id. */
uint32_t world_job(struct world *w, uint8_t node, uint8_t token);
ProtobufCBinaryData world_job_id(uint32_t number);

#endif
