/*
 * What waits to go down to a process. Private to session.c and session_io.c.
 *
 * Limits: beyond SESSION_WAIT_MAX bytes of records or SESSION_OUT_MAX of messages the process does
 * not read, and its session ends.
 */
#ifndef RAYLET_SESSION_OUT_H
#define RAYLET_SESSION_OUT_H

#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"

#define SESSION_WAIT_MAX (64u << 20) /* bytes of records that the ring had no room for */
#define SESSION_OUT_MAX  (64u << 20) /* bytes of messages that the socket had no room for */
#define SESSION_FDS_MAX  5

struct record_out {
    struct list link;
    uint32_t size; /* of payload */
    uint16_t type;
    uint16_t flags;
    uint64_t tag;
    uint8_t payload[];
};

struct frame_out {
    struct list link;
    size_t size; /* of data */
    size_t sent; /* of them, on their way */
    size_t n_fds;
    int fds[SESSION_FDS_MAX]; /* duplicates, ours; go with the first byte */
    uint8_t data[];
};

static inline void frame_out_free(struct frame_out *o)
{
    for (size_t i = 0; i < o->n_fds; i++)
        close(o->fds[i]);
    mem_free(o);
}

#endif
