/*
 * The socket's lane of records (proto/record.h): from bytes and descriptors as they come, to whole
 * messages.
 *
 *     struct frame_reader *f = frame_reader_new();
 *     r = frame_reader_add(f, data, size, fds, n_fds);        // takes the descriptors over
 *     while ((r = frame_reader_next(f, &head, &payload)) > 0)
 *         ... payload is valid until the next call ...
 *     n = frame_reader_fds(f, fds, max);                       // of a REC_HELLO
 *
 * Descriptors come up with REC_HELLO alone; what else comes is closed.
 * Ownership: the reader owns its bytes and the descriptors that nobody took. Threads: one at a
 * time. Failure: -PROTOCOL: a size that cannot be, too many descriptors; -LIMIT: a message larger
 * than the limit; -NOMEM.
 */
#ifndef RAYLET_FRAME_H
#define RAYLET_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

#define FRAME_HELLO_MAX (256u << 10) /* bytes of a message before hello was accepted */
#define FRAME_FDS_MAX   4

struct frame_reader;

struct frame_reader *frame_reader_new(void); /* NULL: out of memory */
void frame_reader_free(struct frame_reader *f);
/* The largest payload from now on. At first: FRAME_HELLO_MAX. */
void frame_reader_limit(struct frame_reader *f, uint32_t max);
int frame_reader_add(struct frame_reader *f, const void *data, size_t size, const int *fds,
                     size_t n_fds);
/* 1, 0: not whole yet, or negative. */
int frame_reader_next(struct frame_reader *f, struct record_head *ret_head,
                      const void **ret_payload);
/* Hands the descriptors over that have come; at most FRAME_FDS_MAX. */
size_t frame_reader_fds(struct frame_reader *f, int fds[FRAME_FDS_MAX]);

#endif
