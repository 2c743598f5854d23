/*
 * Messages of the socket's lane.
 */
#include "raylet/frame.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "raia/error.h"

struct frame_reader {
    struct buf in;          /* bytes that came */
    size_t taken;           /* of them, given out */
    uint32_t max;           /* largest payload */
    int fds[FRAME_FDS_MAX]; /* that came and were not taken */
    size_t n_fds;
};

struct frame_reader *frame_reader_new(void)
{
    struct frame_reader *f = mem_new(struct frame_reader);

    if (!f)
        return NULL;
    buf_init(&f->in, 2 * (size_t)RECORD_SOCKET_MAX + 4096);
    f->max = FRAME_HELLO_MAX;
    return f;
}

static void fds_close(struct frame_reader *f)
{
    while (f->n_fds)
        close(f->fds[--f->n_fds]);
}

void frame_reader_free(struct frame_reader *f)
{
    if (!f)
        return;
    fds_close(f);
    buf_fini(&f->in);
    mem_free(f);
}

void frame_reader_limit(struct frame_reader *f, uint32_t max)
{
    f->max = max;
}

int frame_reader_add(struct frame_reader *f, const void *data, size_t size, const int *fds,
                     size_t n_fds)
{
    int r = 0;

    for (size_t i = 0; i < n_fds; i++)
        if (f->n_fds < FRAME_FDS_MAX) {
            f->fds[f->n_fds++] = fds[i];
        } else {
            close(fds[i]);
            r = -RAIA_ERR_PROTOCOL;
        }
    if (r < 0)
        return r;
    if (f->taken == f->in.size) {
        /* Nothing is kept of a large message that has passed. */
        if (f->in.cap > (64u << 10))
            buf_fini(&f->in);
        else
            buf_reset(&f->in);
        f->taken = 0;
    } else if (f->taken) {
        memmove(f->in.data, f->in.data + f->taken, f->in.size - f->taken);
        buf_truncate(&f->in, f->in.size - f->taken);
        f->taken = 0;
    }
    return buf_put_bytes(&f->in, data, size);
}

int frame_reader_next(struct frame_reader *f, struct record_head *ret_head,
                      const void **ret_payload)
{
    size_t left = f->in.size - f->taken;
    struct record_head h;

    if (left < sizeof h)
        return 0;
    memcpy(&h, f->in.data + f->taken, sizeof h);
    if (h.size < sizeof h)
        return -RAIA_ERR_PROTOCOL;
    if (h.size - sizeof h > f->max)
        return -RAIA_ERR_LIMIT;
    if (left < h.size)
        return 0;
    *ret_head = h;
    *ret_payload = f->in.data + f->taken + sizeof h;
    f->taken += h.size;
    return 1;
}

size_t frame_reader_fds(struct frame_reader *f, int fds[FRAME_FDS_MAX])
{
    size_t n = f->n_fds;

    memcpy(fds, f->fds, n * sizeof fds[0]);
    f->n_fds = 0;
    return n;
}
