/*
 * Messages to and from gRPC's byte buffers: nothing is copied on the way out; on the way in only
 * what is small (it would pin a whole read buffer) or lies in pieces.
 */
#include "rpc/grpc_impl.h"

#define COPY_BELOW 4096u

/* A message whose bytes lie in a slice of gRPC's. */
struct slice_msg {
    struct rpc_msg m; /* must be first */
    grpc_slice slice; /* owned */
};

static void on_sent(void *arg)
{
    RPC_TSAN_ACQUIRE(arg);
    rpc_msg_free(arg);
}

grpc_byte_buffer *rpc_buffer_from_msg(struct rpc_msg *m)
{
    if (m->size == 0) {
        rpc_msg_free(m);
        grpc_slice none = grpc_empty_slice();
        return grpc_raw_byte_buffer_create(&none, 1);
    }
    RPC_TSAN_RELEASE(m);
    grpc_slice s = grpc_slice_new_with_user_data((void *)(uintptr_t)m->data, m->size, on_sent, m);
    grpc_byte_buffer *bb = grpc_raw_byte_buffer_create(&s, 1);
    grpc_slice_unref(s);
    return bb;
}

static void free_slice(struct rpc_msg *m)
{
    grpc_slice_unref(((struct slice_msg *)m)->slice);
    mem_free(m);
}

static struct rpc_msg *keep_slice(grpc_slice s)
{
    struct slice_msg *sm = mem_new(struct slice_msg);
    if (!sm)
        return NULL;
    sm->slice = grpc_slice_ref(s);
    sm->m.data = GRPC_SLICE_START_PTR(sm->slice);
    sm->m.size = GRPC_SLICE_LENGTH(sm->slice);
    sm->m.free_fn = free_slice;
    return &sm->m;
}

struct rpc_msg *rpc_msg_from_buffer(grpc_byte_buffer *bb)
{
    grpc_byte_buffer_reader reader;
    size_t size = grpc_byte_buffer_length(bb), at = 0;
    struct rpc_msg *m = NULL;

    if (!grpc_byte_buffer_reader_init(&reader, bb)) {
        grpc_byte_buffer_destroy(bb);
        return NULL;
    }
    grpc_slice *s;
    while (grpc_byte_buffer_reader_peek(&reader, &s)) {
        size_t n = GRPC_SLICE_LENGTH(*s);
        if (!m && n == size && size >= COPY_BELOW) {
            m = keep_slice(*s);
            break;
        }
        if (!m && !(m = rpc_msg_copy(NULL, size)))
            break;
        if (n > size - at)
            n = size - at;
        memcpy((char *)(uintptr_t)m->data + at, GRPC_SLICE_START_PTR(*s), n);
        at += n;
    }
    if (!m && size == 0)
        m = rpc_msg_copy(NULL, 0);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(bb);
    return m;
}
