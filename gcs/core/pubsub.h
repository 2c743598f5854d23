/*
 * Publish and subscribe: what each raylet's session wants to hear, and what waits for it.
 *
 * A subscriber is a session, named by its node id. What is published to it is gathered and sent as
 * one Publication when pubsub_flush is called, or when its stream has room again. While it cannot
 * take more, up to max_items wait; beyond that all of them are dropped, nothing more is gathered,
 * and the subscriber is told with `resync` and the present state as soon as it reads again:
 * pubsub_next_lost names those that need one.
 * Commands (pubsub_send) are not publications: if one does not fit, the session is broken off, and
 * its next hello reconciles.
 *
 * Ownership: items are counted; subscribers are owned here. Threads: the owner's.
 * Failure: -NOMEM loses a subscriber's session, never the state; -LIMIT: too many keys.
 */
#ifndef CORE_PUBSUB_H
#define CORE_PUBSUB_H

#include "base/hash.h"
#include "core/effects.h"
#include "gcs.pb-c.h"

#define PUBSUB_CHANNELS 6 /* of enum Channel */
#define PUBSUB_KEY_MAX  16

/* One thing to tell, shared by those who are told. */
struct pub_item {
    unsigned refs;               /* owners */
    Raia__Gcs__Channel channel;  /* what kind */
    uint8_t key[PUBSUB_KEY_MAX]; /* what it is about */
    size_t key_size;             /* bytes of it */
    ProtobufCMessage *message;   /* Node, ResourceReport, Actor, ...; owned */
};

/* Takes the message over, on failure too (NULL: out of memory, or message NULL). */
struct pub_item *pub_item_new(Raia__Gcs__Channel channel, const void *key, size_t key_size,
                              void *message);
struct pub_item *pub_item_ref(struct pub_item *item);
void pub_item_unref(struct pub_item *item); /* accepts NULL */

struct pub_key {
    uint8_t bytes[PUBSUB_KEY_MAX]; /* the id, zero-filled */
    HASH_HANDLE hh;                /* in its channel's table */
};

struct subscriber {
    struct node_id node;                   /* whose session */
    bool all[PUBSUB_CHANNELS];             /* wants everything of this channel */
    struct pub_key *keys[PUBSUB_CHANNELS]; /* else these */
    size_t n_keys;                         /* in all tables */
    struct pub_item **items;               /* what waits, oldest first */
    size_t n_items;                        /* how many */
    size_t cap;                            /* room */
    uint64_t sequence;                     /* of the last Publication sent */
    bool blocked;                          /* its stream is full */
    bool lost;      /* items were dropped: nothing is gathered till a resync */
    bool resyncing; /* the state for it is on its way through the pipeline */
    bool resync;    /* the next Publication is one */
    HASH_HANDLE hh; /* in pubsub */
};

struct pubsub {
    struct subscriber *subscribers; /* table by node */
    const struct gcs_effects *fx;   /* where to send */
    size_t max_items;               /* that wait for one subscriber */
    size_t max_keys;                /* that one subscriber may name */
    uint64_t published;             /* items given to subscribers, ever */
    uint64_t dropped;               /* items dropped, ever */
    bool dirty;                     /* something waits to be flushed */
};

void pubsub_init(struct pubsub *p, const struct gcs_effects *fx, size_t max_items, size_t max_keys);
void pubsub_fini(struct pubsub *p);

/* A session begins (anew: what it wanted and what waited is forgotten) or ends. */
int pubsub_open(struct pubsub *p, const struct node_id *node);
void pubsub_close(struct pubsub *p, const struct node_id *node);
struct subscriber *pubsub_find(struct pubsub *p, const struct node_id *node);
/* Key size 0: all of the channel. */
int pubsub_subscribe(struct pubsub *p, struct subscriber *s, Raia__Gcs__Channel channel,
                     const void *key, size_t key_size, bool off);

/* Gives the item to all who want it. */
void pubsub_publish(struct pubsub *p, struct pub_item *item);
/* Gives state to one: after a Subscribe, or as its resync. */
void pubsub_give_state(struct pubsub *p, const struct node_id *node, struct pub_item *const *items,
                       size_t n, bool resync);
/* Sends what was gathered. */
void pubsub_flush(struct pubsub *p);
/* A full stream has room. */
void pubsub_room(struct pubsub *p, const struct node_id *node);
/* One that needs a resync and can take it, or NULL; it is then marked as resyncing. */
struct subscriber *pubsub_next_lost(struct pubsub *p);

/* A command, a packed SessionDown, to one session (if it is open), or to all (node NULL). */
void pubsub_send(struct pubsub *p, const struct node_id *node, const void *data, size_t size);

#endif
