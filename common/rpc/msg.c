/*
 * Messages: bytes with an owner, and queues of them.
 */
#include "rpc/rpc_impl.h"

/* A message whose bytes belong to the caller of rpc_stream_send_ref. */
struct borrowed {
    struct rpc_msg m;           /* must be first */
    struct loop_task task;      /* runs release on the loop */
    struct rpc_core *core;      /* referenced */
    void (*release)(void *arg); /* the caller's */
    void *arg;                  /* for it */
};

static void free_copy(struct rpc_msg *m)
{
    mem_free(m);
}

struct rpc_msg *rpc_msg_copy(const void *data, size_t size)
{
    struct rpc_msg *m = size <= SIZE_MAX - sizeof *m ? mem_alloc(sizeof *m + size) : NULL;
    if (!m)
        return NULL;
    *m = (struct rpc_msg){.data = m + 1, .size = size, .free_fn = free_copy};
    if (data && size)
        memcpy(m + 1, data, size);
    return m;
}

static void on_release(struct loop_task *t)
{
    struct borrowed *b = LOOP_OF(t, struct borrowed, task);
    b->release(b->arg);
    rpc_core_unref(b->core);
    mem_free(b);
}

static void free_borrowed(struct rpc_msg *m)
{
    struct borrowed *b = (struct borrowed *)m;
    loop_post(b->core->loop, &b->task);
}

struct rpc_msg *rpc_msg_borrow(struct rpc_core *core, const void *data, size_t size,
                               void (*release)(void *arg), void *arg)
{
    struct borrowed *b = mem_new(struct borrowed);
    if (!b)
        return NULL;
    b->m = (struct rpc_msg){.data = data, .size = size, .free_fn = free_borrowed};
    b->task.fn = on_release;
    b->core = core;
    b->release = release;
    b->arg = arg;
    rpc_core_ref(core);
    return &b->m;
}

void rpc_msg_unborrow(struct rpc_msg *m)
{
    struct borrowed *b = (struct borrowed *)m;
    rpc_core_unref(b->core);
    mem_free(b);
}

void rpc_msg_free(struct rpc_msg *m)
{
    if (m)
        m->free_fn(m);
}

void rpc_queue_push(struct rpc_queue *q, struct rpc_msg *m)
{
    m->next = NULL;
    if (q->first)
        q->last->next = m;
    else
        q->first = m;
    q->last = m;
    q->bytes += m->size;
    q->count++;
}

struct rpc_msg *rpc_queue_pop(struct rpc_queue *q)
{
    struct rpc_msg *m = q->first;
    if (!m)
        return NULL;
    q->first = m->next;
    q->bytes -= m->size;
    q->count--;
    m->next = NULL;
    return m;
}

void rpc_queue_move(struct rpc_queue *to, struct rpc_queue *from)
{
    if (!from->first)
        return;
    if (to->first)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    to->bytes += from->bytes;
    to->count += from->count;
    *from = (struct rpc_queue){0};
}

void rpc_queue_clear(struct rpc_queue *q)
{
    for (struct rpc_msg *m; (m = rpc_queue_pop(q));)
        rpc_msg_free(m);
}
