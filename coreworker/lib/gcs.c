/* Questions to the raylet and, through it, to the GCS: by tag, each answered once. */
#include <string.h>

#include "lib/runtime.h"

void question_fini(struct question *q)
{
    mem_free(q->text);
    mem_free(q->data);
    q->text = NULL;
    q->data = NULL;
}

int gcs_ask(struct runtime *rt, struct question *q, uint16_t method, const void *packed, size_t n)
{
    _cleanup_(mem_freep) uint8_t *m = mem_alloc(2 + n);
    int r;

    if (!m)
        return -RAIA_ERR_NOMEM;
    memcpy(m, &method, 2);
    if (n)
        memcpy(m + 2, packed, n);
    q->tag = rt->next_tag++;
    q->done = false;
    if (2 + n <= RECORD_PAYLOAD_MAX) {
        void *to;

        /* The flags carry the method too. */
        r = list_empty(&rt->raylet->outbox)
                ? link_begin(rt, rt->raylet, REC_GCS_REQUEST, method, q->tag, 2 + n, &to)
                : -RAIA_ERR_LIMIT;
        if (r == 0)
            memcpy(to, m, 2 + n);
        else if (r == -RAIA_ERR_LIMIT)
            r = session_send(rt, REC_GCS_REQUEST, method, q->tag, m, 2 + n);
    } else {
        r = session_send(rt, REC_GCS_REQUEST, method, q->tag, m, 2 + n);
    }
    if (r == 0)
        list_add_tail(&rt->questions, &q->link);
    return r;
}

static void keep_answer(struct runtime *rt, struct question *q, uint16_t type, int status,
                        const uint8_t *data, size_t size)
{
    const struct rec_status *s = (const struct rec_status *)(const void *)data;

    (void)type;
    q->done = true;
    q->status = status;
    if (status == 0 && size < sizeof(*s))
        q->status = -RAIA_ERR_PROTOCOL;
    if (q->status == 0)
        q->status = s->status;
    if (status == 0 && size > sizeof(*s)) {
        if (q->status < 0) {
            q->text = mem_strndup((const char *)(s + 1), size - sizeof(*s));
        } else {
            q->size = size - sizeof(*s);
            q->data = mem_dup(s + 1, q->size);
            if (!q->data)
                q->status = -RAIA_ERR_NOMEM;
        }
    }
    rt_wake(rt, NULL);
}

int gcs_call(struct runtime *rt, struct question *q, uint16_t method, const void *packed, size_t n)
{
    int64_t deadline = clock_deadline_ms(RT_GCS_MS);
    struct waiter w;
    int r;

    *q = (struct question){.answer = keep_answer};
    r = gcs_ask(rt, q, method, packed, n);
    if (r < 0)
        return last_set(-r, "the request could not be sent to the raylet");
    waiter_init(&w, NULL);
    while (!q->done && r == 0)
        if (rt_wait(rt, &w, deadline) < 0 && !q->done && clock_now_ns() >= deadline)
            r = -RAIA_ERR_TIMEOUT;
    waiter_fini(&w);
    if (!q->done) {
        list_del(&q->link);
        return last_set(RAIA_ERR_TIMEOUT, "the GCS did not answer within %d s", RT_GCS_MS / 1000);
    }
    if (q->status < 0)
        last_set(-q->status, "%s", q->text ? q->text : raia_strerror(q->status));
    return q->status;
}

int question_reply(struct question *q, const ProtobufCMessageDescriptor *type, void *ret_reply)
{
    int r = proto_unpack(type, q->data, q->size, ret_reply);

    question_fini(q);
    return r < 0 ? last_set(-r, "%s",
                            r == -RAIA_ERR_NOMEM ? "out of memory"
                                                 : "the GCS's answer cannot be read")
                 : 0;
}

void gcs_replied(struct runtime *rt, uint16_t type, uint64_t tag, const uint8_t *data, size_t size)
{
    struct question *q, *next;

    LIST_FOREACH_SAFE (q, next, &rt->questions, link) {
        if (q->tag != tag)
            continue;
        list_del(&q->link);
        q->answer(rt, q, type, 0, data, size);
        return;
    }
    /* Nobody waits for it any more: a copy that came in vain is given back. */
    if (type == REC_STORE_GOT) {
        const struct rec_store_at *m = (const struct rec_store_at *)(const void *)data;
        struct rec_object o = {0};

        memcpy(o.object, m->object, 28);
        if (m->status == 0)
            link_send(rt, rt->raylet, REC_STORE_RELEASE, 0, &o, sizeof(o), false);
    }
}

void questions_fail(struct runtime *rt)
{
    struct list *l;

    while ((l = list_pop(&rt->questions))) {
        struct question *q = container_of(l, struct question, link);

        q->answer(rt, q, 0, -RAIA_ERR_UNAVAILABLE, NULL, 0);
    }
}
