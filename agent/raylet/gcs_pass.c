/*
 * The GCS for processes: their requests by number, and the publications that they asked for.
 */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "raylet/raylet.h"

#define SUBSCRIPTIONS_MAX 65536 /* of one process */
#define REQUEST_MS        60000

/* ---- requests */

static const char *const verbs[] = {
    [GCS_KV_PUT] = "KvPut",
    [GCS_KV_GET] = "KvGet",
    [GCS_KV_DEL] = "KvDel",
    [GCS_KV_KEYS] = "KvKeys",
    [GCS_LIST_NODES] = "ListNodes",
    [GCS_REGISTER_ACTOR] = "RegisterActor",
    [GCS_GET_ACTOR] = "GetActor",
    [GCS_LIST_ACTORS] = "ListActors",
    [GCS_KILL_ACTOR] = "KillActorByUser",
    [GCS_ACTOR_OUT_OF_SCOPE] = "ActorOutOfScope",
    [GCS_GET_JOB] = "GetJob",
};

struct pass {
    struct raylet *r;
    uint32_t client;
    uint16_t method;
    uint64_t tag;
};

static void reply(struct session *s, uint16_t method, uint64_t tag, int status, const void *data,
                  size_t size)
{
    struct rec_status head = {.status = status};

    session_send(s, REC_GCS_REPLY, method, tag, &head, sizeof head, data, size);
}

static void on_reply(void *arg, int status, const void *data, size_t size,
                     const struct raia_error *e)
{
    struct pass *p = arg;
    struct session *s = session_client(p->r, p->client);

    if (s && status < 0)
        reply(s, p->method, p->tag, status, e->text, strlen(e->text));
    else if (s)
        reply(s, p->method, p->tag, 0, data, size);
    mem_free(p);
}

int gcs_pass_request(struct session *s, uint64_t tag, uint16_t flags, const void *data, size_t size)
{
    struct pass *p;
    uint16_t method;

    if (size < sizeof method)
        return -RAIA_ERR_PROTOCOL;
    memcpy(&method, data, sizeof method);
    if (method >= sizeof verbs / sizeof verbs[0] || !verbs[method] || (flags && flags != method))
        return -RAIA_ERR_PROTOCOL;
    p = mem_new(struct pass);
    if (p) {
        *p = (struct pass){.r = s->r, .client = s->client, .method = method, .tag = tag};
        if (gcs_call_packed(s->r, verbs[method], (const uint8_t *)data + sizeof method,
                            size - sizeof method, REQUEST_MS, on_reply, p) == 0)
            return 0;
        mem_free(p);
    }
    reply(s, method, tag, -RAIA_ERR_NOMEM, NULL, 0);
    return 0;
}

/* ---- subscriptions: one to the GCS for each channel and key, however many processes have it */

/* Those of all processes; few enough to look through. */
struct subscriber {
    struct list link; /* in `subscribers` */
    struct session *s;
    Raia__Gcs__Channel channel;
    uint32_t key_size;
    uint8_t key[16];
};

static struct list subscribers = {&subscribers, &subscribers};

static bool same(const struct subscriber *a, const struct subscriber *b)
{
    return a->channel == b->channel && a->key_size == b->key_size && !memcmp(a->key, b->key, 16);
}

static void tell_gcs(struct raylet *r, const struct subscriber *u, bool off)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__Subscribe m = RAIA__GCS__SUBSCRIBE__INIT;

    m.channel = u->channel;
    m.key = (ProtobufCBinaryData){u->key_size, (uint8_t *)u->key};
    m.off = off;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_SUBSCRIBE;
    up.subscribe = &m;
    gcs_session_send(r, &up);
}

/* Channels that the raylet needs itself stay subscribed. */
static bool is_own(const struct subscriber *u)
{
    return u->key_size == 0 && (u->channel == RAIA__GCS__CHANNEL__CHANNEL_NODE ||
                                u->channel == RAIA__GCS__CHANNEL__CHANNEL_RESOURCES);
}

static void subscriber_drop(struct subscriber *u)
{
    struct subscriber *other;
    struct raylet *r = u->s->r;
    bool last = !is_own(u);

    list_del(&u->link);
    u->s->subscribed--;
    LIST_FOREACH (other, &subscribers, link)
        if (same(other, u))
            last = false;
    if (last)
        tell_gcs(r, u, true);
    mem_free(u);
}

int gcs_pass_subscribe(struct session *s, const void *data, size_t size)
{
    Raia__Gcs__Subscribe *m;
    struct proto_room room;
    struct subscriber want = {.s = s}, *u, *next;
    int r = proto_unpack_in(&room, &raia__gcs__subscribe__descriptor, data, size, &m);

    if (r < 0)
        return r;
    if (m->key.len > sizeof want.key || m->channel < 0 ||
        m->channel > RAIA__GCS__CHANNEL__CHANNEL_ERROR) {
        proto_free_in(&room, m);
        return -RAIA_ERR_PROTOCOL;
    }
    want.channel = m->channel;
    want.key_size = (uint32_t)m->key.len;
    if (m->key.len)
        memcpy(want.key, m->key.data, m->key.len);
    if (m->off) {
        LIST_FOREACH_SAFE (u, next, &subscribers, link)
            if (u->s == s && same(u, &want))
                subscriber_drop(u);
    } else if (s->subscribed < SUBSCRIPTIONS_MAX && (u = mem_new(struct subscriber))) {
        *u = want;
        list_add_tail(&subscribers, &u->link);
        s->subscribed++;
        /* Asked again even if another has it: the answer is the present state. */
        tell_gcs(s->r, u, false);
    }
    proto_free_in(&room, m);
    return 0;
}

void gcs_pass_gone(struct session *s)
{
    struct subscriber *u, *next;

    LIST_FOREACH_SAFE (u, next, &subscribers, link)
        if (u->s == s)
            subscriber_drop(u);
}

void gcs_pass_resubscribe(struct raylet *r)
{
    struct subscriber *u;

    LIST_FOREACH (u, &subscribers, link)
        if (!is_own(u))
            tell_gcs(r, u, false);
}

/* Does a subscription name this id? */
static bool wants(const struct session *s, Raia__Gcs__Channel channel, ProtobufCBinaryData id)
{
    const struct subscriber *u;

    LIST_FOREACH (u, &subscribers, link)
        if (u->s == s && u->channel == channel &&
            (u->key_size == 0 || (u->key_size == id.len && !memcmp(u->key, id.data, id.len))))
            return true;
    return false;
}

/* Keeps of a list what the session wants; pointers only. */
#define KEEP(list, n_list, channel, id)                                                            \
    do {                                                                                           \
        out.list = mem_calloc(p->n_list + 1, sizeof *out.list);                                    \
        for (size_t i = 0; out.list && i < p->n_list; i++)                                         \
            if (wants(s, channel, id))                                                             \
                out.list[out.n_list++] = p->list[i];                                               \
        any |= out.n_list > 0;                                                                     \
    } while (0)

static const ProtobufCBinaryData no_id;

static void publish(struct session *s, const Raia__Gcs__Publication *p)
{
    Raia__Gcs__Publication out = RAIA__GCS__PUBLICATION__INIT;
    bool any = p->resync;
    size_t size;
    _cleanup_(mem_freep) uint8_t *data = NULL;

    KEEP(nodes, n_nodes, RAIA__GCS__CHANNEL__CHANNEL_NODE, p->nodes[i]->node_id);
    KEEP(actors, n_actors, RAIA__GCS__CHANNEL__CHANNEL_ACTOR,
         p->actors[i]->spec ? p->actors[i]->spec->actor_id : no_id);
    KEEP(workers, n_workers, RAIA__GCS__CHANNEL__CHANNEL_WORKER,
         p->workers[i]->address ? p->workers[i]->address->worker_id : no_id);
    KEEP(jobs, n_jobs, RAIA__GCS__CHANNEL__CHANNEL_JOB, p->jobs[i]->job_id);
    KEEP(errors, n_errors, RAIA__GCS__CHANNEL__CHANNEL_ERROR, p->errors[i]->job_id);
    out.sequence = p->sequence;
    out.resync = p->resync;
    if (any) {
        size = raia__gcs__publication__get_packed_size(&out);
        data = mem_alloc(size + 1);
        if (data) {
            raia__gcs__publication__pack(&out, data);
            session_send(s, REC_GCS_PUBLICATION, 0, 0, data, size, NULL, 0);
        }
    }
    mem_free(out.nodes);
    mem_free(out.actors);
    mem_free(out.workers);
    mem_free(out.jobs);
    mem_free(out.errors);
}

void gcs_pass_publication(struct raylet *r, const Raia__Gcs__Publication *p)
{
    for (struct session *s = r->by_worker; s; s = s->hh.next)
        if (s->subscribed && s->state == SESSION_LIVE)
            publish(s, p);
}
