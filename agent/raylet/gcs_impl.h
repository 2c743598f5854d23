/*
 * The client of the GCS: what gcs.c and gcs_session.c share. Private to them.
 */
#ifndef RAYLET_GCS_IMPL_H
#define RAYLET_GCS_IMPL_H

#include "raylet/raylet.h"

struct gcs {
    struct raylet *r;
    struct rpc_channel *channel;
    bool registered;
    uint8_t replaces[16]; /* the raylet before this one */
    size_t replaces_size; /* 16, or 0: none */
    uint64_t lease_ms;
    uint32_t heartbeat_ms;
    struct loop_timer beat;  /* the next heartbeat, or try to register */
    struct loop_timer lease; /* fires when it has run out */
    struct rpc_call heartbeat;
    uint64_t sequence; /* of heartbeats */
    uint64_t sent_ms;  /* when the last one was sent */

    /* gcs_session.c */
    struct rpc_stream *session; /* NULL: down */
    bool listed;                /* since it began, who is dead was asked for */
    struct loop_timer reopen;
    struct loop_timer report;  /* the next resource report */
    uint64_t reported_version; /* of the ledger */
    uint64_t reported_waiting; /* what waited then: a digest */
    uint64_t reported_used;    /* bytes of the store in use, as told */
    uint64_t reported_ms;      /* when */
};

int gcs_resources(struct raylet *r, const struct res_set *set, Raia__Resource ***ret_list);

#endif
