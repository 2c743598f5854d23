/*
 * Sending objects to other nodes: offers, chunks as far as credit and the link allow, one chunk of
 * each pull in turn.
 */
#include <string.h>

#include "store/core/state.h"

#define IDLE_FACTOR                                                                                \
    3 /* of pull_timeout_ms: a puller that says nothing for so long is forgotten                   \
       */

static void tell_failed(struct store_core *core, struct store_peer *p, uint64_t number, int status)
{
    struct store_link_failed r = {.pull = number, .status = status};

    (void)store_peer_send__(core, p, STORE_LINK_PULL_FAILED, &r, sizeof r, NULL, 0);
}

static void heard(struct store_core *core, struct store_serve *serve)
{
    (void)store_timer_set(
        &core->timers, &serve->timer,
        clock_add_ms(core->now, (int64_t)core->c.memory_wait_ms +
                                    (int64_t)core->c.pull_timeout_ms * IDLE_FACTOR));
}

void store_serve_end__(struct store_core *core, struct store_serve *serve, int status)
{
    struct store_object *o = serve->object;
    struct store_peer *p = serve->peer;
    bool flowing = serve->flowing;

    if (core->bug == STORE_BUG_LEAKED_PIN && serve->at < o->size)
        flowing = false;
    if (status < 0) {
        tell_failed(core, p, serve->number, status);
        if (flowing)
            store_forward_remove__(o, &p->node);
    }
    HASH_DEL(p->serves, serve);
    p->nserves--;
    list_del(&serve->of_object);
    list_del(&serve->ready);
    store_timer_clear(&core->timers, &serve->timer);
    mem_free(serve);
    if (flowing)
        store_unkeep__(core, o);
}

void store_serves_end__(struct store_core *core, struct store_object *o, int status)
{
    struct store_serve *serve;

    while ((serve = LIST_FIRST(&o->serves, struct store_serve, of_object)))
        store_serve_end__(core, serve, status);
}

static void offer(struct store_core *core, struct store_serve *serve)
{
    struct store_link_offer r = {.pull = serve->number, .size = serve->object->size};

    serve->offered = true;
    heard(core, serve);
    (void)store_peer_send__(core, serve->peer, STORE_LINK_OFFER, &r, sizeof r, NULL, 0);
}

void store_serves_offer__(struct store_core *core, struct store_object *o)
{
    struct store_serve *serve;

    LIST_FOREACH (serve, &o->serves, of_object)
        if (!serve->offered)
            offer(core, serve);
}

/* The object to serve, or why not. */
static int find(struct store_core *core, const struct object_id *id,
                struct store_object **ret_object)
{
    struct store_object *o = store_object_find__(core, id);
    const struct job_id nobody = {{0}};

    if (o ? o->freed : store_tomb__(core, id))
        return -RAIA_ERR_OBJECT_LOST;
    if (o && o->state == STORE_ABSENT && o->pull)
        return -RAIA_ERR_NOT_FOUND; /* two that wait for each other would wait for ever */
    if (!o) /* it may be under way: sealed by a process whose ring was not read yet */
        o = store_object_new__(core, id, &nobody, NULL);
    if (!o)
        return -RAIA_ERR_LIMIT;
    *ret_object = o;
    return 0;
}

void store_serve_pull__(struct store_core *core, struct store_peer *peer,
                        const struct store_link_pull *r)
{
    struct store_serve *serve = HASH_GET(peer->serves, number, &r->pull);
    struct store_object *o;
    struct object_id id;
    int status;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    if (serve)
        return;
    status = peer->nserves >= core->c.max_serving ? -RAIA_ERR_LIMIT : find(core, &id, &o);
    if (status < 0) {
        tell_failed(core, peer, r->pull, status);
        return;
    }
    store_keep__(core, o);
    serve = mem_new(struct store_serve);
    if (serve) {
        serve->number = r->pull;
        serve->peer = peer;
        serve->object = o;
        serve->timer.kind = STORE_TIMER_SERVE;
        list_init(&serve->ready);
        if (HASH_PUT(peer->serves, number, serve) < 0)
            mem_free(STEAL(serve));
    }
    if (!serve) {
        tell_failed(core, peer, r->pull, -RAIA_ERR_LIMIT);
    } else {
        peer->nserves++;
        list_add_tail(&o->serves, &serve->of_object);
        heard(core, serve);
        if (o->state == STORE_SEALED)
            offer(core, serve);
        else
            store_object_seek__(core, o);
    }
    store_unkeep__(core, o);
}

int store_serve_credit__(struct store_core *core, struct store_peer *peer,
                         const struct store_link_credit *r)
{
    struct store_serve *serve = HASH_GET(peer->serves, number, &r->pull);
    struct store_object *o;
    bool start = r->flags == STORE_CREDIT_START;
    int status;

    if (!serve)
        return 0;
    o = serve->object;
    if (!serve->offered || start == serve->flowing || r->flags & ~STORE_CREDIT_START)
        return -RAIA_ERR_PROTOCOL;
    if (start) {
        if (r->offset > o->size)
            return -RAIA_ERR_PROTOCOL;
        status = store_forward_add__(o, &peer->node);
        if (status < 0) {
            store_serve_end__(core, serve, -RAIA_ERR_LIMIT);
            return 0;
        }
        serve->flowing = true;
        serve->at = serve->credit = r->offset;
        store_keep__(core, o);
    }
    if (r->bytes > o->size - serve->credit)
        return -RAIA_ERR_PROTOCOL;
    serve->credit += r->bytes;
    heard(core, serve);
    if (serve->at == o->size)
        store_serve_end__(core, serve, 0);
    else if (serve->credit > serve->at && !list_linked(&serve->ready))
        list_add_tail(&peer->ready, &serve->ready);
    store_serve_pump__(core, peer);
    return 0;
}

void store_serve_cancel__(struct store_core *core, struct store_peer *peer,
                          const struct store_link_pull *r)
{
    struct store_serve *serve = HASH_GET(peer->serves, number, &r->pull);
    struct store_object *o;
    struct object_id id;

    memcpy(id.bytes, r->object, sizeof id.bytes);
    o = serve ? serve->object : store_object_find__(core, &id);
    if (!o)
        return;
    store_keep__(core, o);
    store_forward_remove__(o, &peer->node);
    if (serve)
        store_serve_end__(core, serve, 0);
    store_unkeep__(core, o);
}

/* One chunk of it. */
static int send_chunk(struct store_core *core, struct store_serve *serve)
{
    struct store_object *o = serve->object;
    struct store_send *send = mem_new(struct store_send);
    struct store_link_chunk r = {.pull = serve->number, .offset = serve->at};
    uint64_t n = serve->credit - serve->at;
    int status;

    if (!send)
        return -RAIA_ERR_NOMEM;
    r.size = n < STORE_CHUNK_MAX ? (uint32_t)n : STORE_CHUNK_MAX;
    send->object = o;
    send->core = core;
    status =
        core->ops->link_send_chunk(core->arg, serve->peer->node.bytes, &r,
                                   o->extent->segment->number, o->extent->offset + r.offset, send);
    if (status < 0) {
        mem_free(send);
        return status;
    }
    list_add_tail(&core->sends, &send->link);
    store_keep__(core, o);
    serve->at += r.size;
    core->totals.bytes_out += r.size;
    return 0;
}

void store_serve_pump__(struct store_core *core, struct store_peer *p)
{
    struct store_serve *serve;

    while (!p->blocked && !p->unreachable && list_empty(&p->outbox) &&
           (serve = LIST_FIRST(&p->ready, struct store_serve, ready))) {
        int status = send_chunk(core, serve);

        if (status == -RAIA_ERR_LIMIT) {
            p->blocked = true;
            return;
        }
        if (status < 0) {
            store_serve_end__(core, serve, -RAIA_ERR_LIMIT); /* it asks again, or elsewhere */
            continue;
        }
        list_del(&serve->ready);
        if (serve->at == serve->object->size)
            store_serve_end__(core, serve, 0);
        else if (serve->at < serve->credit)
            list_add_tail(&p->ready, &serve->ready); /* the others' turn */
    }
}

void store_core_sent(struct store_send *send)
{
    struct store_object *o = send->object;
    struct store_core *core = send->core;

    list_del(&send->link);
    mem_free(send);
    store_unkeep__(core, o);
    store_run__(core);
}
