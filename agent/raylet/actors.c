/*
 * Actors on this node: a worker leased to each, told to become it, and its end told to the GCS.
 */
#define LOG_MODULE "raylet.actors"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "raylet/raylet.h"

#define KILL_GRACE_MS 500

static struct actor *find(struct raylet *r, const uint8_t id[16])
{
    struct actor_id key;

    memcpy(key.bytes, id, 16);
    return HASH_GET(r->actors, id, (uint8_t(*)[16]) & key.bytes);
}

static void actor_free(struct raylet *r, struct actor *a)
{
    HASH_DEL(r->actors, a);
    if (a->worker)
        a->worker->actor = NULL;
    proto_free(a->spec);
    mem_free(a);
}

void actors_free(struct raylet *r)
{
    struct actor *a, *next;

    HASH_FOREACH (r->actors, a, next)
        actor_free(r, a);
}

/* Tells the GCS; code 0: no error. */
static void tell(struct raylet *r, const uint8_t id[16], uint64_t incarnation,
                 Raia__Gcs__ActorEventKind kind, const struct worker *w, int code, const char *text,
                 bool intended)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__ActorEvent m = RAIA__GCS__ACTOR_EVENT__INIT;
    Raia__Address address = RAIA__ADDRESS__INIT;
    Raia__Error error = RAIA__ERROR__INIT;

    m.actor_id = (ProtobufCBinaryData){16, (uint8_t *)id};
    m.incarnation = incarnation;
    m.kind = kind;
    address.node_id = (ProtobufCBinaryData){16, r->node.bytes};
    if (w) {
        address.worker_id = (ProtobufCBinaryData){16, (uint8_t *)w->id.bytes};
        m.address = &address;
        m.pid = w->pid;
    }
    if (code) {
        error.code = code < 0 ? -code : code;
        error.text = (char *)text;
        m.error = &error;
    }
    m.intended = intended;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_ACTOR;
    up.actor = &m;
    gcs_session_send(r, &up);
}

void actors_create(struct raylet *r, const Raia__Gcs__Actor *m)
{
    const Raia__Gcs__ActorSpec *spec = m->spec;
    static uint64_t next_tag = 1;
    struct res_set place = {0}, hold = {0};
    struct actor *a;
    int got;

    if (!spec || spec->actor_id.len != 16 || spec->job_id.len != 4)
        return;
    a = find(r, spec->actor_id.data);
    if (a && a->incarnation >= m->incarnation) {
        if (a->alive && a->incarnation == m->incarnation) /* said again after a break */
            tell(r, a->id, a->incarnation, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE,
                 a->worker, 0, NULL, false);
        return;
    }
    a = mem_new(struct actor);
    if (a)
        a->spec = proto_copy(&m->base);
    if (!a || !a->spec) {
        mem_free(a);
        tell(r, spec->actor_id.data, m->incarnation,
             RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED, NULL, RAIA_ERR_NOMEM,
             "out of memory", false);
        return;
    }
    memcpy(a->id, spec->actor_id.data, 16);
    a->incarnation = m->incarnation;
    a->tag = next_tag++;
    got = HASH_PUT(r->actors, id, a);
    if (got < 0) {
        proto_free(a->spec);
        mem_free(a);
        return;
    }
    if (spec->detached) {
        struct job *j = job_get(r, spec->job_id.data);
        if (j)
            j->keep = true;
    }
    got = leases_resources(r, spec->resources, spec->n_resources, &hold);
    if (got == 0)
        got = leases_resources(r, spec->placement, spec->n_placement, &place);
    if (got == 0)
        got = sched_take(r->sched, raylet_now(r), spec->job_id.data, &place, &hold, a->tag);
    if (got < 0) {
        tell(r, a->id, a->incarnation, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED, NULL, got,
             "the node has no room for it now", false);
        actor_free(r, a);
    }
    raylet_touch(r);
}

void actors_taken(struct raylet *r, uint64_t tag, uint64_t lease, uint64_t worker, int status,
                  const char *text)
{
    struct actor *a, *next;
    Raia__Gcs__CreateActor m = RAIA__GCS__CREATE_ACTOR__INIT;

    HASH_FOREACH (r->actors, a, next)
        if (a->tag == tag)
            break;
    if (!a)
        return; /* not wanted any more: its lease ends with its worker */
    a->lease = lease;
    a->worker = worker ? worker_find(r, worker) : NULL;
    if (!a->worker || !a->worker->session) {
        int code = status ? status : -RAIA_ERR_WORKER_CRASHED;
        tell(r, a->id, a->incarnation, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED, NULL,
             code, *text ? text : "its worker died", false);
        a->worker = NULL;
        actor_free(r, a);
        return;
    }
    a->worker->actor = a;
    if (a->spec->spec->detached)
        sched_worker_keep(r->sched, worker);
    if (a->killed) {
        sup_signal(r, a->worker->number, SIGKILL, false, 0);
        return;
    }
    m.actor = a->spec;
    session_send_pb(a->worker->session, REC_ACTOR_CREATE, 0, &m.base, NULL, 0);
}

void actors_kill(struct raylet *r, const Raia__Gcs__KillActor *m)
{
    struct actor *a = m->actor_id.len == 16 ? find(r, m->actor_id.data) : NULL;

    if (!a || a->incarnation != m->incarnation) {
        if (m->actor_id.len == 16 && !a)
            tell(r, m->actor_id.data, m->incarnation, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED,
                 NULL, RAIA_ERR_ACTOR_DIED, "it is not on this node", true);
        return;
    }
    a->killed = true;
    err_set(&a->reason, m->reason && m->reason->code ? m->reason->code : RAIA_ERR_ACTOR_DIED, "%s",
            m->reason ? m->reason->text : "it was killed");
    if (!a->worker)
        return; /* when its worker comes */
    if (a->worker->session)
        session_send_pb(a->worker->session, REC_ACTOR_KILL, 0, &m->base, NULL, 0);
    a->worker->stopping = true;
    a->worker->stop_why = "its actor was killed";
    sup_signal(r, a->worker->number, SIGCONT, false, KILL_GRACE_MS);
}

int actors_event(struct session *s, const void *data, size_t size)
{
    Raia__Gcs__ActorEvent *m = NULL;
    struct proto_room room;
    struct actor *a = s->worker ? s->worker->actor : NULL;
    int got = proto_unpack_in(&room, &raia__gcs__actor_event__descriptor, data, size, &m);

    if (got == 0 && m->actor_id.len != 16)
        got = -RAIA_ERR_PROTOCOL;
    if (got == 0 && a && !memcmp(a->id, m->actor_id.data, 16) && a->incarnation == m->incarnation) {
        const char *text = m->error ? m->error->text : "";
        int code = m->error ? m->error->code : 0;
        tell(s->r, a->id, a->incarnation, m->kind, s->worker, code, text, m->intended);
        if (m->kind == RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE)
            a->alive = true;
        else
            actor_free(s->r, a); /* it leaves: its worker's end gives the lease back */
    }
    proto_free_in(&room, m);
    return got;
}

void actors_worker_exited(struct raylet *r, struct worker *w, int status, const char *why)
{
    struct actor *a = w->actor;

    (void)status;
    if (!a)
        return;
    tell(r, a->id, a->incarnation, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED, w,
         a->killed ? a->reason.code : RAIA_ERR_ACTOR_DIED, a->killed ? a->reason.text : why,
         a->killed);
    actor_free(r, a);
}

int actors_events(struct raylet *r, Raia__Gcs__ActorEvent ***ret_list, size_t *ret_n)
{
    size_t n = HASH_SIZE(r->actors), k = 0;
    Raia__Gcs__ActorEvent **list = mem_calloc(n + 1, sizeof *list);

    if (!list)
        return -RAIA_ERR_NOMEM;
    for (struct actor *a = r->actors; a; a = a->hh.next) {
        /* One block: the message and its address. */
        struct block {
            Raia__Gcs__ActorEvent m;
            Raia__Address address;
        } *b = a->alive ? mem_new(struct block) : NULL;
        if (!b)
            continue;
        raia__gcs__actor_event__init(&b->m);
        raia__address__init(&b->address);
        b->m.actor_id = (ProtobufCBinaryData){16, a->id};
        b->m.incarnation = a->incarnation;
        b->m.kind = RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE;
        b->address.node_id = (ProtobufCBinaryData){16, r->node.bytes};
        b->address.worker_id = (ProtobufCBinaryData){16, a->worker->id.bytes};
        b->m.address = &b->address;
        b->m.pid = a->worker->pid;
        list[k++] = &b->m;
    }
    *ret_list = list;
    *ret_n = k;
    return 0;
}

void actors_events_free(Raia__Gcs__ActorEvent **list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        mem_free(list[i]);
    mem_free(list);
}
