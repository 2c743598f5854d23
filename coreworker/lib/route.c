/* Records to those whom they concern: from the raylet, and from other processes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/drain.h"

#define FUNCTIONS_MAX 65536u /* that one peer may name */

/* Checks that a record is at least its struct. */
#define AS(type, data, size)                                                                       \
    ((size) >= sizeof(type) ? (const type *)(const void *)(data) : (const type *)NULL)

static void text_after(const uint8_t *data, size_t size, size_t head, char to[256])
{
    size_t n = size - head < 255 ? size - head : 255;

    memcpy(to, data + head, n);
    to[n] = 0;
}

static void on_lease_lost(struct runtime *rt, const uint8_t *data, size_t size)
{
    const struct rec_lease_lost *m = AS(struct rec_lease_lost, data, size);
    struct raia_error e;
    struct process *p;
    char text[256];

    if (!m)
        return;
    text_after(data, size, sizeof(*m), text);
    drain_before_loss(rt, m->worker.worker);
    submitter_lost(&rt->submitter, m, text);
    p = objects_find_process(&rt->objects, m->worker.worker);
    if (p) {
        err_set(&e, m->status < 0 ? -m->status : RAIA_ERR_WORKER_CRASHED, "%s", text);
        objects_process_died(&rt->objects, p, &e);
    }
}

/* "(word_count pid=7, node=n1) line" */
static void on_log(struct runtime *rt, const uint8_t *data, size_t size)
{
    const struct rec_log *m = AS(struct rec_log, data, size);
    char node[9];
    uint16_t len;

    if (!m || rt->quiet || size < sizeof(*m) + 2)
        return;
    memcpy(&len, data + sizeof(*m), 2);
    if (len > size - sizeof(*m) - 2)
        return;
    for (int i = 0; i < 4; i++)
        snprintf(node + 2 * i, 3, "%02x", m->from.node[i]);
    fprintf(stderr, "(%.*s pid=%d, node=%s) %.*s\n", (int)len, (const char *)data + sizeof(*m) + 2,
            m->pid, node, (int)(size - sizeof(*m) - 2 - len),
            (const char *)data + sizeof(*m) + 2 + len);
}

static void on_channel(struct runtime *rt, uint64_t tag, const struct rec_channel *m)
{
    struct link *l;

    if (HASH_GET(rt->channels, number, &m->channel))
        return;
    l = drain_link_for(rt, tag, &m->peer);
    if (!l)
        return;
    l->number = m->channel;
    l->credit = m->credit;
    l->kind = LINK_CHANNEL;
    if (HASH_PUT(rt->channels, number, l) < 0) {
        l->kind = LINK_OPENING;
        link_closed(rt, l, -RAIA_ERR_UNAVAILABLE);
        return;
    }
    drain_link_opened(rt, l);
}

static void on_exit_record(struct runtime *rt, const struct rec_exit *m)
{
    rt->leave = true;
    if (m->force)
        _exit(0);
    rt_wake(rt, NULL);
}

static void on_lease_record(struct runtime *rt, uint16_t type, uint64_t tag, const uint8_t *data,
                            size_t size)
{
    const struct rec_lease *lease = AS(struct rec_lease, data, size);
    const struct rec_demand_failed *f = AS(struct rec_demand_failed, data, size);
    char text[256];

    if (type == REC_LEASE && lease) {
        submitter_granted(&rt->submitter, lease);
    } else if (type == REC_LEASE_RECLAIM) {
        submitter_reclaim(&rt->submitter, tag, NULL);
    } else if (type == REC_DEMAND_FAILED && f) {
        text_after(data, size, sizeof(*f), text);
        if (f->status == -RAIA_ERR_UNSCHEDULABLE && !rt->quiet && !rt->warned) {
            rt->warned = true;
            fprintf(stderr, "raia: warning: tasks wait for resources that no node has: %s\n", text);
        }
        submitter_demand_failed(&rt->submitter, f, text);
    }
}

void route_raylet(struct runtime *rt, uint16_t type, uint16_t flags, uint64_t tag,
                  const uint8_t *data, size_t size)
{
    const void *m;

    (void)flags;
    switch (type) {
    case REC_SOCKET_READY:
        session_read(rt);
        break;
    case REC_CHANNEL_DATA:
        drain_channel_data(rt, tag, data, size);
        break;
    case REC_CHANNEL_CREDIT:
        if ((m = AS(struct rec_credit, data, size)))
            drain_channel_credit(rt, tag, ((const struct rec_credit *)m)->bytes);
        break;
    case REC_CHANNEL_OPENED:
        if ((m = AS(struct rec_channel, data, size)))
            on_channel(rt, tag, m);
        break;
    case REC_PEER_CLOSED:
        if ((m = AS(struct rec_peer_closed, data, size)))
            drain_peer_closed(rt, tag, m);
        break;
    case REC_LEASE:
    case REC_LEASE_RECLAIM:
    case REC_DEMAND_FAILED:
        on_lease_record(rt, type, tag, data, size);
        break;
    case REC_LEASE_LOST:
        on_lease_lost(rt, data, size);
        break;
    case REC_STORE_CREATED:
    case REC_STORE_GOT:
    case REC_STORE_LOST:
    case REC_STORE_STRAY:
    case REC_SEGMENT_GONE:
        store_record(rt, type, tag, data, size);
        break;
    case REC_GCS_REPLY:
        gcs_replied(rt, type, tag, data, size);
        break;
    case REC_GCS_PUBLICATION:
        actor_publication(rt, data, size);
        break;
    case REC_ACTOR_CREATE:
        host_create(rt, data, size);
        break;
    case REC_ACTOR_KILL:
        host_kill(rt, data, size);
        break;
    case REC_LIST:
        if ((m = AS(struct rec_list, data, size)))
            listing_asked(rt, tag, m);
        break;
    case REC_LOG:
        on_log(rt, data, size);
        break;
    case REC_EXIT:
        if ((m = AS(struct rec_exit, data, size)))
            on_exit_record(rt, m);
        break;
    default:
        break;
    }
}

static void on_function(struct link *l, const uint8_t *data, size_t size)
{
    const struct wire_function *m = AS(struct wire_function, data, size);
    struct function **all;

    if (!m || m->number == 0 || m->number > FUNCTIONS_MAX)
        return;
    if (m->number > l->ntheirs) {
        all = mem_realloc(l->theirs, m->number * sizeof(struct function *));
        if (!all)
            return;
        memset(all + l->ntheirs, 0, (m->number - l->ntheirs) * sizeof(struct function *));
        l->theirs = all;
        l->ntheirs = m->number;
    }
    l->theirs[m->number - 1] = function_intern((const char *)(m + 1), size - sizeof(*m));
}

static void on_reply(struct runtime *rt, struct link *l, uint64_t tag, const uint8_t *data,
                     size_t size)
{
    const struct wire_reply *m = AS(struct wire_reply, data, size);
    struct task *t;

    if (!m)
        return;
    t = submitter_replied(&rt->submitter, l, tag, m->flags & WIRE_REPLY_NOT_STARTED, m->exec_us);
    if (t)
        task_replied(rt, l, t, m, data + sizeof(*m), size - sizeof(*m));
}

static void on_call(struct runtime *rt, struct link *l, uint64_t tag, const uint8_t *data,
                    size_t size)
{
    const struct wire_task *m = AS(struct wire_task, data, size);
    struct seat *s = m ? host_seat(rt, l, m->slot) : NULL;
    bool broken = false;

    if (!s)
        return;
    if (seat_accept(s, tag, m->acked, &broken))
        call_received(rt, l, tag, s, data, size);
    else if (broken)
        link_closed(rt, l, -RAIA_ERR_UNAVAILABLE);
}

static void on_call_reply(struct runtime *rt, struct link *l, uint64_t tag, const uint8_t *data,
                          size_t size)
{
    const struct wire_reply *m = AS(struct wire_reply, data, size);
    raia_actor *a = m && m->slot && m->slot <= rt->nslots ? rt->slots[m->slot - 1] : NULL;
    struct task *t = a && a->link == l ? caller_replied(&a->caller, tag) : NULL;

    if (t)
        task_replied(rt, l, t, m, data + sizeof(*m), size - sizeof(*m));
}

static void on_object(struct runtime *rt, struct link *l, uint16_t type, const uint8_t *data,
                      size_t size)
{
    const struct wire_object *m = AS(struct wire_object, data, size);
    raia_ref *o;

    if (!m)
        return;
    if (type == WIRE_QUERY) {
        query_received(rt, l->process, m);
    } else if (type == WIRE_OBJECT_CANCEL) {
        o = objects_find(&rt->objects, m->ref.worker, m->ref.counter, m->ref.index);
        if (o && !o->owner)
            object_cancel(rt, o, m->flags & 1, (m->flags & 2) != 0);
    } else {
        objects_message(&rt->objects, l->process, (enum wire_type)type, m);
    }
}

static void on_cancel(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag,
                      const uint8_t *data, size_t size)
{
    const struct wire_cancel *m = AS(struct wire_cancel, data, size);

    if (m && type == WIRE_CANCEL)
        call_canceled(rt, l, tag, NULL, m);
    else if (m && host_seat(rt, l, m->slot))
        call_canceled(rt, l, tag, host_seat(rt, l, m->slot), m);
}

void route_message(struct runtime *rt, struct link *l, uint16_t type, uint64_t tag,
                   const uint8_t *data, size_t size)
{
    const void *m;

    switch (type) {
    case WIRE_FUNCTION:
        on_function(l, data, size);
        break;
    case WIRE_TASK:
        call_received(rt, l, tag, NULL, data, size);
        break;
    case WIRE_REPLY:
        on_reply(rt, l, tag, data, size);
        break;
    case WIRE_CANCEL:
    case WIRE_CALL_CANCEL:
        on_cancel(rt, l, type, tag, data, size);
        break;
    case WIRE_STEAL:
        if ((m = AS(struct wire_steal, data, size)))
            call_give_back(rt, l, ((const struct wire_steal *)m)->count);
        break;
    case WIRE_ACTOR_HELLO:
        if ((m = AS(struct wire_actor_hello, data, size)))
            host_hello(rt, l, tag, m);
        break;
    case WIRE_ACTOR_WELCOME:
        if ((m = AS(struct wire_actor_welcome, data, size)))
            actor_welcomed(rt, l, tag, m);
        break;
    case WIRE_CALL:
        on_call(rt, l, tag, data, size);
        break;
    case WIRE_CALL_REPLY:
        on_call_reply(rt, l, tag, data, size);
        break;
    case WIRE_REST:
    case WIRE_REST_YES:
    case WIRE_REST_NO:
        rest_received(rt, l, (enum wire_type)type);
        break;
    case WIRE_ARENA:
    case WIRE_ARENA_READY:
    case WIRE_ARENA_GONE:
        arena_received(rt, l, type, tag, data, size);
        break;
    case WIRE_VALUE:
        value_received(rt, l->process, data, size);
        break;
    default:
        on_object(rt, l, type, data, size);
        break;
    }
}
