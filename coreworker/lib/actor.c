/*
 * Handles to actors: made, found, told by the GCS where the actor runs; the caller core's effects.
 */
#include <string.h>

#include "gcs.pb-c.h"
#include "lib/actor.h"

void id_hex(const uint8_t *bytes, unsigned n, char *to)
{
    static const char hex[] = "0123456789abcdef";

    for (unsigned i = 0; i < n; i++) {
        to[2 * i] = hex[bytes[i] >> 4];
        to[2 * i + 1] = hex[bytes[i] & 15];
    }
    to[2 * n] = 0;
}

static void subscribe(struct runtime *rt, raia_actor *a, bool on)
{
    Raia__Gcs__Subscribe m = RAIA__GCS__SUBSCRIBE__INIT;
    uint8_t packed[64];

    if (a->subscribed == on || rt->dead)
        return;
    a->subscribed = on;
    m.channel = RAIA__GCS__CHANNEL__CHANNEL_ACTOR;
    m.key = (ProtobufCBinaryData){16, a->id};
    m.off = !on;
    link_send(rt, rt->raylet, REC_SUBSCRIBE, 0, packed, raia__gcs__subscribe__pack(&m, packed),
              false);
}

raia_actor *actor_new(struct runtime *rt, const uint8_t id[16])
{
    raia_actor *a = mem_new(raia_actor), **slots;
    uint32_t slot = rt->free_slot;

    if (!a)
        return NULL;
    while (slot < rt->nslots && rt->slots[slot])
        slot++;
    if (slot == rt->nslots) {
        uint32_t n = rt->nslots ? rt->nslots * 2 : 16;

        slots = mem_realloc(rt->slots, n * sizeof(raia_actor *));
        if (!slots) {
            mem_free(a);
            return NULL;
        }
        memset(slots + rt->nslots, 0, (n - rt->nslots) * sizeof(raia_actor *));
        rt->slots = slots;
        rt->nslots = n;
    }
    a->magic = ACTOR_MAGIC;
    a->handles = 1;
    memcpy(a->id, id, 16);
    caller_init(&a->caller, &rt_caller_ops, rt);
    if (HASH_PUT(rt->actors, id, a) < 0) {
        mem_free(a);
        return NULL;
    }
    rt->slots[slot] = a;
    rt->free_slot = slot + 1;
    a->slot = slot + 1;
    return a;
}

raia_actor *actor_by_id(struct runtime *rt, const uint8_t id[16])
{
    raia_actor *a;

    HASH_FIND(hh, rt->actors, id, 16, a);
    return a;
}

/* All but the handle itself. */
static void actor_empty(struct runtime *rt, raia_actor *a)
{
    raia_ref *scope = STEAL(a->scope);

    list_del(&a->on_link);
    list_del(&a->ask.link);
    if (scope)
        object_unhold(&rt->objects, scope);
    task_free(rt, STEAL(a->creation));
    HASH_DEL(rt->actors, a);
    caller_fini(&a->caller);
    question_fini(&a->ask);
    mem_free(STEAL(a->name));
    mem_free(STEAL(a->options));
}

/* Nobody uses it: no handle, no call under way. */
static void actor_free(struct runtime *rt, raia_actor *a)
{
    subscribe(rt, a, false);
    rt->slots[a->slot - 1] = NULL;
    if (a->slot - 1 < rt->free_slot)
        rt->free_slot = a->slot - 1;
    actor_empty(rt, a);
    a->magic = 0;
    mem_free(a);
}

void actor_check(struct runtime *rt, raia_actor *a)
{
    if (a->handles == 0 && a->calls == 0 && !list_linked(&a->unused))
        list_add_tail(&rt->unused_actors, &a->unused);
}

void actors_sweep(struct runtime *rt)
{
    struct list *l;

    while ((l = list_pop(&rt->unused_actors))) {
        raia_actor *a = container_of(l, raia_actor, unused);

        /* One that is being registered is kept until the answer has come. */
        if (a->handles == 0 && a->calls == 0 && !list_linked(&a->ask.link) &&
            (a->registered || !a->mine || a->caller.state == CALLER_DEAD))
            actor_free(rt, a);
    }
}

void actor_release(struct runtime *rt, raia_actor *a)
{
    if (--a->handles == 0)
        actor_check(rt, a);
}

void actor_scope_out(struct runtime *rt, raia_ref *scope)
{
    Raia__Gcs__ActorOutOfScopeRequest m = RAIA__GCS__ACTOR_OUT_OF_SCOPE_REQUEST__INIT;
    struct question *q;
    uint8_t packed[64];

    if (rt->dead)
        return;
    q = mem_new(struct question);
    if (!q)
        return;
    q->answer = actor_answer_ignored;
    if (!scope->more) {
        mem_free(q);
        return;
    }
    m.actor_id = (ProtobufCBinaryData){16, scope->more->actor};
    if (gcs_ask(rt, q, GCS_ACTOR_OUT_OF_SCOPE, packed,
                raia__gcs__actor_out_of_scope_request__pack(&m, packed)) < 0)
        mem_free(q);
}

void actor_answer_ignored(struct runtime *rt, struct question *q, uint16_t type, int status,
                          const uint8_t *data, size_t size)
{
    (void)rt;
    (void)type;
    (void)status;
    (void)data;
    (void)size;
    mem_free(q);
}

/* ---- handles in values */

struct packed_actor {
    uint8_t id[16];
    int32_t max_task_retries;
    uint32_t reserved[3];
};
_Static_assert(sizeof(struct packed_actor) == ACTOR_BYTES, "layout");

void actor_pack(const raia_actor *a, uint8_t to[ACTOR_BYTES])
{
    struct packed_actor p = {.max_task_retries = a->max_task_retries};

    memcpy(p.id, a->id, 16);
    memcpy(to, &p, sizeof(p));
}

raia_actor *actor_unpack(struct runtime *rt, const uint8_t *data, size_t size, raia_ref *scope)
{
    struct packed_actor p;
    raia_actor *a;

    if (size != sizeof(p)) {
        last_set(RAIA_ERR_INVALID, "the value is not an actor handle");
        return NULL;
    }
    memcpy(&p, data, sizeof(p));
    a = actor_by_id(rt, p.id);
    if (a) {
        a->handles++;
        return a;
    }
    a = actor_new(rt, p.id);
    if (!a) {
        last_set(RAIA_ERR_NOMEM, "out of memory");
        return NULL;
    }
    a->max_task_retries = p.max_task_retries;
    a->registered = true;
    a->scope = scope;
    if (scope)
        object_hold(scope);
    subscribe(rt, a, true);
    return a;
}

/* ---- what the GCS says */

static void death_of(const Raia__Gcs__Actor *m, struct raia_error *e)
{
    char id[9];

    id_hex(m->spec->actor_id.data, 4, id);
    err_set(e, RAIA_ERR_ACTOR_DIED, "actor %s%s%s (%s) is dead: %s",
            m->spec->class_name ? m->spec->class_name : "?",
            m->spec->name && m->spec->name[0] ? " " : "", m->spec->name ? m->spec->name : "", id,
            m->death && m->death->text && m->death->text[0] ? m->death->text : "it ended");
}

static void actor_state(struct runtime *rt, raia_actor *a, const Raia__Gcs__Actor *m)
{
    struct record_address address;
    struct raia_error e;

    switch (m->state) {
    case RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE:
        if (!m->address || m->address->node_id.len != 16 || m->address->worker_id.len != 16)
            break;
        memcpy(address.node, m->address->node_id.data, 16);
        memcpy(address.worker, m->address->worker_id.data, 16);
        caller_alive(&a->caller, m->incarnation, &address);
        break;
    case RAIA__GCS__ACTOR_STATE__ACTOR_RESTARTING:
        death_of(m, &e);
        caller_restarting(&a->caller, m->incarnation, &e);
        break;
    case RAIA__GCS__ACTOR_STATE__ACTOR_DEAD:
        death_of(m, &e);
        caller_dead(&a->caller, &e);
        break;
    default:
        break;
    }
    rt_wake(rt, NULL);
}

void actor_publication(struct runtime *rt, const uint8_t *data, size_t size)
{
    Raia__Gcs__Publication *m;
    struct proto_room room;
    struct raia_error e;
    raia_actor *a;
    int r = proto_unpack_in(&room, &raia__gcs__publication__descriptor, data, size, &m);

    if (r == -RAIA_ERR_NOMEM) {
        /* It comes once: callers would wait without end for what it says. */
        err_set(&e, RAIA_ERR_NOMEM, "out of memory for news of actors");
        rt_die(rt, &e);
    }
    if (r < 0)
        return;
    for (size_t i = 0; i < m->n_actors; i++) {
        const Raia__Gcs__Actor *one = m->actors[i];

        if (!one->spec || one->spec->actor_id.len != 16)
            continue;
        a = actor_by_id(rt, one->spec->actor_id.data);
        if (!a)
            continue;
        a->handles++;
        actor_state(rt, a, one);
        actor_release(rt, a);
    }
    proto_free_in(&room, m);
}

void actor_adopt(struct runtime *rt, raia_actor *a, const Raia__Gcs__Actor *m)
{
    a->registered = true;
    if (m->spec)
        a->max_task_retries = (int)m->spec->max_task_retries;
    a->handles++;
    subscribe(rt, a, true);
    actor_state(rt, a, m);
    actor_release(rt, a);
}

/* ---- the caller core's effects */

static raia_actor *of(struct caller *c)
{
    return container_of(c, raia_actor, caller);
}

static void say_hello(struct runtime *rt, raia_actor *a)
{
    struct wire_actor_hello m = {.incarnation = a->caller.incarnation,
                                 .next = a->caller.window.base};

    memcpy(m.actor, a->id, 16);
    link_send(rt, a->link, WIRE_ACTOR_HELLO, a->slot, &m, sizeof(m), false);
}

static void connect_actor(void *ctx, struct caller *c, uint64_t first)
{
    struct runtime *rt = ctx;
    raia_actor *a = of(c);
    struct process *p = objects_process(&rt->objects, &c->address);
    struct link *l = p ? link_to(rt, p) : NULL;

    (void)first;
    a->reconnect = false;
    list_del(&a->on_link);
    a->link = l;
    if (!l) {
        caller_broke(c, p && p->dead);
        a->reconnect = !(p && p->dead);
        a->retry_at = rt->now + 100 * CLOCK_NS_PER_MS;
        rt->next_reconnect = rt->next_tick = rt->now;
        return;
    }
    list_add_tail(&l->callers, &a->on_link);
    if (l->kind != LINK_OPENING)
        say_hello(rt, a);
}

void actor_link_opened(struct runtime *rt, raia_actor *a, struct link *l)
{
    (void)l;
    say_hello(rt, a);
}

void actor_welcomed(struct runtime *rt, struct link *l, uint64_t slot,
                    const struct wire_actor_welcome *m)
{
    raia_actor *a = slot && slot <= rt->nslots ? rt->slots[slot - 1] : NULL;

    if (!a || a->link != l || memcmp(m->actor, a->id, 16) != 0)
        return;
    if (m->status == 0 && m->incarnation == a->caller.incarnation)
        caller_welcome(&a->caller, m->next);
    else
        /* Not there any more: what becomes of it the GCS will say. */
        caller_broke(&a->caller, true);
}

static int push_call(void *ctx, struct caller *c, struct task *t)
{
    const struct runtime *rt = ctx;
    raia_actor *a = of(c);

    /* A runtime that dies fails the calls of one actor after the other: the end of some must not send
     * those of the next. */
    if (!a->link || rt->dead)
        return -RAIA_ERR_UNAVAILABLE;
    return task_send(ctx, a->link, t, WIRE_CALL, t->sequence, a->slot, caller_acked(c));
}

static void cancel_call(void *ctx, struct caller *c, struct task *t, const struct wire_cancel *how)
{
    struct wire_cancel m = *how;

    m.slot = of(c)->slot;
    if (of(c)->link)
        link_send(ctx, of(c)->link, WIRE_CALL_CANCEL, t->sequence, &m, sizeof(m), true);
}

static void call_failed(void *ctx, struct task *t, const struct raia_error *e)
{
    task_failed(ctx, t, e);
}

const struct caller_ops rt_caller_ops = {
    .connect = connect_actor, .push = push_call, .cancel = cancel_call, .failed = call_failed};

int64_t actors_tick(struct runtime *rt, int64_t now)
{
    int64_t next = CLOCK_NEVER;
    raia_actor *a, *after;

    HASH_FOREACH (rt->actors, a, after) {
        if (!a->reconnect)
            continue;
        if (now >= a->retry_at)
            caller_alive(&a->caller, a->caller.incarnation, &a->caller.address);
        if (a->reconnect && a->retry_at < next)
            next = a->retry_at;
    }
    return next;
}

void actors_fini(struct runtime *rt)
{
    raia_actor *a, *next;

    HASH_FOREACH (rt->actors, a, next) {
        actor_empty(rt, a);
        list_del(&a->unused);
        a->link = NULL;
        a->gone = true;
        if (a->handles == 0)
            mem_free(a);
    }
    mem_free(rt->slots);
    rt->slots = NULL;
    rt->nslots = rt->free_slot = 0;
}
