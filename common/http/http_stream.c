/*
 * Answers written piece by piece. The stream is shared by the handler, until it ends it, and
 * libmicrohttpd's response.
 */
#include <string.h>

#include "http/http_server_impl.h"

#define BLOCK_BYTES (16 << 10)

struct http_stream {
    struct http_exchange *x; /* whose answer it is; NULL: its connection is gone */
    char *data;              /* ring of max bytes */
    size_t at;               /* first byte */
    size_t len;              /* bytes queued */
    size_t max;              /* most of them */
    unsigned refs;           /* the handler's and the response's */
    bool ended;              /* the handler is done */
    bool full;               /* a write was refused: tell when there is room */
    http_room_fn on_room;    /* may be NULL */
    void *arg;               /* handed to on_room */
};

static void unref(void *p)
{
    struct http_stream *st = p;
    if (--st->refs > 0)
        return;
    mem_free(st->data);
    mem_free(st);
}

static void tell(struct http_stream *st)
{
    if (!st->ended && st->on_room)
        st->on_room(st, st->arg);
}

void http_stream_gone__(struct http_stream *st)
{
    st->x = NULL;
    st->refs++; /* the handler may end it from on_room */
    tell(st);
    unref(st);
}

/* libmicrohttpd wants bytes. */
static ssize_t give(void *p, uint64_t pos, char *buf, size_t max)
{
    struct http_stream *st = p;
    (void)pos;
    if (st->len == 0 && st->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (st->len == 0) {
        if (!st->x)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        MHD_suspend_connection(st->x->conn);
        st->x->suspended = true;
        return 0;
    }
    size_t n = st->len < max ? st->len : max, first = st->max - st->at;
    first = first < n ? first : n;
    memcpy(buf, st->data + st->at, first);
    memcpy(buf + first, st->data, n - first);
    st->at = (st->at + n) % st->max;
    st->len -= n;
    if (st->full) {
        st->full = false;
        tell(st);
    }
    return (ssize_t)n;
}

static void resume(struct http_stream *st)
{
    if (!st->x || !st->x->conn || !st->x->suspended)
        return;
    st->x->suspended = false;
    MHD_resume_connection(st->x->conn);
    if (st->x->s)
        http_server_wake__(st->x->s, 0); /* this may not come from a step */
}

struct http_stream *http_answer_stream(struct http_exchange *x, int status, const char *type,
                                       size_t max_queue, http_room_fn on_room, void *arg)
{
    struct http_stream *st = mem_new(struct http_stream);
    if (st && (st->data = mem_alloc(max_queue ? max_queue : 1))) {
        st->max = max_queue ? max_queue : 1;
        st->refs = 2;
        st->on_room = on_room;
        st->arg = arg;
        struct MHD_Response *r =
            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, give, st, unref);
        if (r) {
            MHD_add_response_header(r, "Content-Type", type);
            if (x->conn && !x->late) {
                st->x = x;
                x->stream = st;
            }
            http_exchange_finish__(x, status, r);
            return st;
        }
    }
    if (st)
        mem_free(st->data);
    mem_free(st);
    http_exchange_finish__(x, 503, NULL);
    return NULL;
}

int http_stream_write(struct http_stream *st, const void *data, size_t len)
{
    if (!st->x)
        return -RAIA_ERR_CANCELED;
    if (len > st->max - st->len) {
        st->full = true;
        return -RAIA_ERR_LIMIT;
    }
    size_t end = (st->at + st->len) % st->max, first = st->max - end;
    first = first < len ? first : len;
    memcpy(st->data + end, data, first);
    memcpy(st->data, (const char *)data + first, len - first);
    st->len += len;
    resume(st);
    return 0;
}

size_t http_stream_room(const struct http_stream *st)
{
    return st->max - st->len;
}

void http_stream_end(struct http_stream *st)
{
    st->ended = true;
    resume(st);
    unref(st);
}
