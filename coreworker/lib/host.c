/*
 * The actor that lives in this process: its constructor, the callers' seats, its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gcs.pb-c.h"
#include "lib/runtime.h"

#define CONCURRENCY_MAX 1000u
#define EXIT_FLUSH_MS   1000 /* for what still waits in outboxes */

struct host {
    uint8_t id[16];
    uint64_t incarnation;
    struct function *class;
    void *self; /* what the constructor set */
    bool alive; /* the constructor has succeeded */
    bool exiting;
    unsigned threads; /* that run calls; 0: the thread of raia_init does */
    unsigned concurrency;
    struct list seats; /* struct seat */
};

/* One caller of the actor. */
struct seat {
    struct list in_host;
    struct list in_link; /* link.hosted; unlinked: the link is gone */
    struct link *link;   /* NULL: gone */
    struct process *caller;
    uint32_t slot; /* what the caller calls the actor */
    struct receiver receiver;
};

static void send_event(struct runtime *rt, Raia__Gcs__ActorEventKind kind,
                       const struct raia_error *e, bool intended)
{
    Raia__Gcs__ActorEvent m = RAIA__GCS__ACTOR_EVENT__INIT;
    Raia__Address address = RAIA__ADDRESS__INIT;
    Raia__Error error = RAIA__ERROR__INIT;
    uint8_t packed[2048];

    m.actor_id = (ProtobufCBinaryData){16, rt->host->id};
    m.incarnation = rt->host->incarnation;
    m.kind = kind;
    m.pid = (int32_t)rt->pid;
    m.intended = intended;
    address.node_id = (ProtobufCBinaryData){16, rt->self.node};
    address.worker_id = (ProtobufCBinaryData){16, rt->self.worker};
    m.address = &address;
    if (e) {
        error.code = e->code;
        error.text = (char *)(uintptr_t)e->text;
        m.error = &error;
    }
    if (raia__gcs__actor_event__get_packed_size(&m) <= sizeof(packed))
        link_send(rt, rt->raylet, REC_ACTOR_EVENT, 0, packed,
                  raia__gcs__actor_event__pack(&m, packed), true);
}

bool host_takes_calls(struct runtime *rt)
{
    return !rt->host || rt->host->threads == 0;
}

void host_work(struct runtime *rt)
{
    if (rt->host && rt->host->threads)
        pthread_cond_signal(&rt->work);
}

static void *serve(void *arg)
{
    struct runtime *rt = arg;
    struct raia_call *c;

    pthread_mutex_lock(&rt->token);
    for (;;) {
        c = rt->dead ? NULL : call_next(rt);
        if (!c) {
            rt_flush(rt);
            pthread_cond_wait(&rt->work, &rt->token);
            continue;
        }
        rt->now = clock_now_ns();
        call_run(rt, c);
        rt_flush(rt);
    }
    return NULL;
}

static void start_threads(struct runtime *rt)
{
    pthread_attr_t attr;
    pthread_t t;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    while (rt->host->threads < rt->host->concurrency && pthread_create(&t, &attr, serve, rt) == 0)
        rt->host->threads++;
    pthread_attr_destroy(&attr);
}

/* It is told of its actor once. If memory has run out, its end is what the raylet hears of. */
static void worker_gives_up(struct runtime *rt)
{
    rt->leave = true;
    rt_wake(rt, NULL);
}

void host_create(struct runtime *rt, const uint8_t *data, size_t size)
{
    Raia__Gcs__CreateActor *m = NULL;
    int r = proto_unpack(&raia__gcs__create_actor__descriptor, data, size, &m);
    const Raia__Gcs__ActorSpec *spec = m && m->actor ? m->actor->spec : NULL;
    struct record_address owner;
    struct wire_task head;
    struct raia_call *c = NULL;
    struct process *p = NULL;
    struct raia_error e;

    if (r == -RAIA_ERR_NOMEM) {
        worker_gives_up(rt);
        return;
    }
    if (!spec || rt->host || spec->actor_id.len != 16 || spec->creation.len < sizeof(head))
        goto out;
    rt->host = mem_new(struct host);
    if (!rt->host) {
        worker_gives_up(rt);
        goto out;
    }
    list_init(&rt->host->seats);
    memcpy(rt->host->id, spec->actor_id.data, 16);
    rt->host->incarnation = m->actor->incarnation;
    rt->host->class = function_named(spec->class_name, strlen(spec->class_name));
    rt->host->concurrency =
        spec->max_concurrency > CONCURRENCY_MAX ? CONCURRENCY_MAX : spec->max_concurrency;
    if (spec->owner && spec->owner->node_id.len == 16 && spec->owner->worker_id.len == 16) {
        memcpy(owner.node, spec->owner->node_id.data, 16);
        memcpy(owner.worker, spec->owner->worker_id.data, 16);
        p = objects_process(&rt->objects, &owner);
    }
    memcpy(&head, spec->creation.data, sizeof(head));
    head.attempt = (uint32_t)(m->actor->restarts);
    head.nreturns = 1;
    if (p)
        c = call_new(rt, p, &head, spec->creation.data + sizeof(head),
                     spec->creation.len - sizeof(head));
    if (c) {
        c->constructor = true;
        c->function = rt->host->class;
        call_queue(rt, c);
    } else {
        err_set(&e, RAIA_ERR_PROTOCOL, "the constructor's arguments cannot be read");
        send_event(rt, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_CREATE_FAILED, &e, false);
    }
out:
    proto_free(m);
}

void host_constructed(struct runtime *rt, struct raia_call *c)
{
    struct raia_error e;

    if (c->status < 0) {
        err_set(&e, RAIA_ERR_ACTOR_DIED, "the constructor of %s failed on node %s, pid %d: %s",
                rt->host->class ? rt->host->class->name : "an actor", rt->node_name, (int)rt->pid,
                c->error && c->error->n ? c->error->links[0].text : raia_strerror(c->status));
        send_event(rt, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_CREATE_FAILED, &e, false);
        call_free(rt, c);
        rt->leave = true;
        host_fini(rt);
        rt_wake(rt, NULL);
        return;
    }
    rt->host->self = c->self;
    rt->host->alive = true;
    call_free(rt, c);
    if (rt->host->concurrency > 1)
        start_threads(rt);
    send_event(rt, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE, NULL, false);
}

void *host_self(struct runtime *rt)
{
    return rt->host ? rt->host->self : NULL;
}

const uint8_t *host_id(struct runtime *rt)
{
    return rt->host ? rt->host->id : NULL;
}

uint64_t host_incarnation(struct runtime *rt)
{
    return rt->host ? rt->host->incarnation : 0;
}

/* ---- seats */

struct seat *host_seat(struct runtime *rt, struct link *l, uint32_t slot)
{
    struct seat *s;

    (void)rt;
    LIST_FOREACH (s, &l->hosted, in_link)
        if (s->slot == slot)
            return s;
    return NULL;
}

static struct seat *seat_of(struct host *h, struct process *caller)
{
    struct seat *s;

    LIST_FOREACH (s, &h->seats, in_host)
        if (s->caller == caller)
            return s;
    s = mem_new(struct seat);
    if (!s)
        return NULL;
    s->caller = caller;
    receiver_init(&s->receiver, false);
    list_add_tail(&h->seats, &s->in_host);
    return s;
}

void host_hello(struct runtime *rt, struct link *l, uint64_t slot, const struct wire_actor_hello *m)
{
    struct wire_actor_welcome w = {0};
    const struct kept_reply *k = NULL;
    struct host *h = rt->host;
    struct seat *s;

    memcpy(w.actor, m->actor, 16);
    w.incarnation = h ? h->incarnation : 0;
    if (!h || memcmp(h->id, m->actor, 16) != 0)
        w.status = -RAIA_ERR_NOT_FOUND;
    else if (h->incarnation != m->incarnation || h->exiting)
        w.status = -RAIA_ERR_STATE;
    s = w.status ? NULL : seat_of(h, l->process);
    if (!w.status && !s)
        w.status = -RAIA_ERR_NOMEM;
    if (s) {
        s->slot = (uint32_t)slot;
        s->receiver.keep = l->kind == LINK_CHANNEL;
        if (s->link)
            list_del(&s->in_link);
        s->link = l;
        list_add_tail(&l->hosted, &s->in_link);
        w.next = receiver_hello(&s->receiver, m->next);
    }
    link_send(rt, l, WIRE_ACTOR_WELCOME, slot, &w, sizeof(w), false);
    while (s && (k = receiver_next_kept(&s->receiver, k)))
        link_send(rt, l, WIRE_CALL_REPLY, k->sequence, k->data, k->size, false);
}

bool seat_accept(struct seat *s, uint64_t sequence, uint64_t acked, bool *ret_broken)
{
    enum receiver_verdict v = receiver_call(&s->receiver, sequence, acked);

    *ret_broken = v == RECEIVER_GAP;
    return v == RECEIVER_RUN;
}

struct link *seat_link(const struct seat *s)
{
    return s->link;
}

void seat_answer(struct runtime *rt, struct seat *s, struct raia_call *c, const void *data,
                 size_t size)
{
    /* The slot may have another number since the call came. */
    struct wire_reply h;

    receiver_answered(&s->receiver, c->tag, data, size);
    if (!s->link)
        return;
    memcpy(&h, data, sizeof(h));
    if (h.slot == s->slot)
        link_send(rt, s->link, WIRE_CALL_REPLY, c->tag, data, size, false);
}

void host_link_closed(struct runtime *rt, struct link *l)
{
    struct list *i;

    (void)rt;
    while ((i = list_pop(&l->hosted)))
        container_of(i, struct seat, in_link)->link = NULL;
}

/* ---- the end */

static void fail_waiting(struct runtime *rt, const char *why)
{
    struct raia_call *c, *next;
    struct raia_error e;

    err_set(&e, RAIA_ERR_ACTOR_DIED, "the actor ended before this call began: %s", why);
    LIST_FOREACH_SAFE (c, next, &rt->ready, link) {
        call_fail(c, &e, false);
        c->status = -RAIA_ERR_ACTOR_DIED;
        c->exit_after = false;
        call_answer(rt, c);
    }
}

static void flush_out(struct runtime *rt)
{
    int64_t deadline = clock_deadline_ms(EXIT_FLUSH_MS);
    struct waiter w;
    bool left = true;

    waiter_init(&w, NULL);
    while (left && clock_now_ns() < deadline) {
        left = !link_flush(rt, rt->raylet);
        for (unsigned i = 1; i < DOORBELL_BITS; i++)
            if (rt->pairs[i] && !link_flush(rt, rt->pairs[i]))
                left = true;
        rt_flush(rt);
        if (left)
            rt_wait(rt, &w, clock_deadline_ms(10));
    }
    waiter_fini(&w);
}

void host_exit(struct runtime *rt, bool intended, const char *why)
{
    struct raia_error e;

    err_set(&e, RAIA_ERR_ACTOR_DIED, "%s", why);
    if (rt->host) {
        rt->host->exiting = true;
        fail_waiting(rt, why);
        if (intended && rt->host->class && rt->host->class->destructor && rt->host->self) {
            pthread_mutex_unlock(&rt->token);
            rt->host->class->destructor(rt->host->self);
            pthread_mutex_lock(&rt->token);
        }
        send_event(rt, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED, &e, intended);
    }
    flush_out(rt);
    fflush(NULL);
    _exit(0);
}

void host_kill(struct runtime *rt, const uint8_t *data, size_t size)
{
    Raia__Gcs__KillActor *m = NULL;
    char why[256] = "it was killed";
    struct proto_room room;
    bool ours = proto_unpack_in(&room, &raia__gcs__kill_actor__descriptor, data, size, &m) == 0 &&
                rt->host && m->actor_id.len == 16 &&
                memcmp(m->actor_id.data, rt->host->id, 16) == 0 &&
                m->incarnation == rt->host->incarnation;

    if (m && m->reason && m->reason->text && m->reason->text[0])
        snprintf(why, sizeof(why), "%s", m->reason->text);
    proto_free_in(&room, m);
    if (ours)
        host_exit(rt, false, why);
}

void host_fini(struct runtime *rt)
{
    struct list *i;

    if (!rt->host)
        return;
    while ((i = list_pop(&rt->host->seats))) {
        struct seat *s = container_of(i, struct seat, in_host);

        list_del(&s->in_link);
        receiver_fini(&s->receiver);
        mem_free(s);
    }
    mem_free(rt->host);
    rt->host = NULL;
}
