/* A raylet of the simulated cluster: registration, heartbeats, fencing, session, actors. */
#include <string.h>

#include "base/mem.h"
#include "test/sim_cluster.h"

void sim_request(struct raylet *r, const char *method, const ProtobufCMessage *m, uint64_t tag)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(m, &size);
    uint32_t i = 0;

    while (strcmp(raia__gcs__gcs__descriptor.methods[i].name, method) != 0)
        i++;
    sim_post(r->sim, r->cluster->gcs.sim, (struct head){.kind = REQUEST, .method = i, .tag = tag},
             data, size);
}

static void send_up(struct raylet *r, const Raia__Gcs__SessionUp *up)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(&up->base, &size);

    if (r->session)
        sim_post(r->sim, r->cluster->gcs.sim, (struct head){.kind = UP}, data, size);
}

static void fill_event(struct raylet *r, int n, Raia__Gcs__ActorEventKind kind,
                       uint64_t incarnation, Raia__Address *address, Raia__Gcs__ActorEvent *event)
{
    raia__address__init(address);
    raia__gcs__actor_event__init(event);
    address->node_id = PB_BYTES(r->id);
    address->worker_id = world_bytes(r->actors[n].worker);
    event->actor_id = sim_actor_id(n);
    event->incarnation = incarnation;
    event->kind = kind;
    event->address = address;
}

void sim_tell_actor(struct raylet *r, int n, Raia__Gcs__ActorEventKind kind, uint64_t incarnation)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__ActorEvent event;
    Raia__Address address;

    fill_event(r, n, kind, incarnation, &address, &event);
    up.body_case = RAIA__GCS__SESSION_UP__BODY_ACTOR;
    up.actor = &event;
    send_up(r, &up);
}

static void send_hello(struct raylet *r)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__SessionHello hello = RAIA__GCS__SESSION_HELLO__INIT;
    Raia__Gcs__ResourceReport report = RAIA__GCS__RESOURCE_REPORT__INIT;
    Raia__Resource cpu = RAIA__RESOURCE__INIT, *list = &cpu;
    Raia__Gcs__ActorEvent events[ACTORS], *pointers[ACTORS];
    Raia__Address addresses[ACTORS];
    ProtobufCBinaryData job = world_job_id(r->cluster->job);

    r->session = true;
    hello.node_id = PB_BYTES(r->id);
    hello.actors = pointers;
    for (int i = 0; i < ACTORS; i++) {
        if (!r->actors[i].alive)
            continue;
        fill_event(r, i, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE, r->actors[i].incarnation,
                   &addresses[i], &events[i]);
        pointers[hello.n_actors++] = &events[i];
    }
    hello.driver_jobs = &job;
    hello.n_driver_jobs = r->cluster->job ? 1 : 0;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_HELLO;
    up.hello = &hello;
    send_up(r, &up);
    cpu.name = (char *)(uintptr_t) "CPU";
    cpu.quantity = 100 * 10000;
    report.version = ++r->version;
    report.total = report.available = &list;
    report.n_total = report.n_available = 1;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_RESOURCES;
    up.resources = &report;
    send_up(r, &up);
}

static void register_self(struct raylet *r)
{
    Raia__Gcs__RegisterNodeRequest m = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Node node = RAIA__GCS__NODE__INIT;

    node.node_id = PB_BYTES(r->id);
    node.address = (char *)(uintptr_t) "a:1";
    node.is_head = r->index == 0;
    m.node = &node;
    if (r->has_replaces)
        m.replaces = PB_BYTES(r->replaces);
    sim_request(r, "RegisterNode", &m.base, TAG_REGISTER);
}

/* Its actors are gone; it is another node from now on. */
static void new_life(struct raylet *r, bool supervisor_saw)
{
    struct cluster *c = r->cluster;

    memset(r->actors, 0, sizeof r->actors);
    memcpy(r->replaces, r->id, 16);
    r->has_replaces = supervisor_saw && c->lives > RAYLETS;
    c->lives++;
    memset(r->id, 0, 16);
    memcpy(r->id, &c->lives, sizeof c->lives);
    r->registered = r->session = false;
    r->lease_ns = 3000 * MS;
    r->answered_ns = sim_now(c->sim);
}

static void beat(void *arg)
{
    struct raylet *r = arg;
    Raia__Gcs__HeartbeatRequest m = RAIA__GCS__HEARTBEAT_REQUEST__INIT;

    if (sim_now(r->cluster->sim) - r->answered_ns >= r->lease_ns)
        new_life(r, true); /* fenced: its supervisor has killed all it ran */
    if (!r->registered) {
        r->beat_ns = sim_now(r->cluster->sim);
        register_self(r);
    } else {
        if (!r->session)
            send_hello(r);
        r->beat_ns = sim_now(r->cluster->sim);
        m.node_id = PB_BYTES(r->id);
        sim_request(r, "Heartbeat", &m.base, TAG_BEAT);
    }
    sim_after(r->cluster->sim, r->sim, 300 * MS, beat, r, NULL);
}

void sim_raylet_begin(struct raylet *r)
{
    new_life(r, prng_chance(sim_prng(r->cluster->sim), 0.7));
    beat(r);
}

/* Runs an actor here, unless it does already. */
static void create(struct raylet *r, const Raia__Gcs__CreateActor *m)
{
    struct cluster *c = r->cluster;
    int n = m->actor->spec->actor_id.data[0] - 100;
    struct hosted *h = &r->actors[n];

    if (h->alive && h->incarnation == m->actor->incarnation) {
        sim_tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE, h->incarnation);
        return;
    }
    if (prng_chance(sim_prng(c->sim), c->calm ? 0 : 0.1)) {
        sim_tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED,
                       m->actor->incarnation);
        return;
    }
    for (int i = 0; i < RAYLETS; i++) {
        if (c->raylets[i].actors[n].alive)
            sim_fail(c->sim, "actor %d: incarnation %d starts while %d lives", n,
                     (int)m->actor->incarnation, (int)c->raylets[i].actors[n].incarnation);
    }
    *h = (struct hosted){.alive = true,
                         .incarnation = m->actor->incarnation,
                         .worker = (uint8_t)(201 + prng_below(sim_prng(c->sim), 50))};
    sim_tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE, h->incarnation);
}

static void kill_here(struct raylet *r, const Raia__Gcs__KillActor *m)
{
    int n = m->actor_id.data[0] - 100;

    if (!r->actors[n].alive || r->actors[n].incarnation != m->incarnation)
        return;
    r->actors[n].alive = false;
    sim_tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED, m->incarnation);
}

static void on_reply(struct raylet *r, const struct head *head, const uint8_t *body, size_t size)
{
    struct cluster *c = r->cluster;
    uint32_t n = head->tag & 0xff, id;
    _cleanup_(pb_freep) ProtobufCMessage *m = NULL;

    switch (head->tag & 0xff00) {
    case TAG_REGISTER:
        r->registered = head->status == 0;
        if (r->registered)
            r->answered_ns = r->beat_ns;
        break;
    case TAG_BEAT:
        m = head->status ? NULL : pb_unpack(&raia__gcs__heartbeat_reply__descriptor, body, size);
        if (m && ((Raia__Gcs__HeartbeatReply *)m)->unknown)
            new_life(r, true);
        else if (m)
            r->answered_ns = r->beat_ns;
        break;
    case TAG_JOB:
        m = head->status ? NULL : pb_unpack(&raia__gcs__add_job_reply__descriptor, body, size);
        if (!m)
            break;
        id = (uint32_t)((Raia__Gcs__AddJobReply *)m)->job_id.data[2] << 8 |
             ((Raia__Gcs__AddJobReply *)m)->job_id.data[3];
        if (c->job_of[n] && c->job_of[n] != id)
            sim_fail(c->sim, "job %u has the ids %u and %u", n, c->job_of[n], id);
        for (uint32_t i = 0; i < JOBS; i++) {
            if (i != n && c->job_of[i] == id)
                sim_fail(c->sim, "jobs %u and %u have the id %u", n, i, id);
        }
        c->job_of[n] = id;
        c->job = c->job_of[c->driver];
        break;
    case TAG_ACTOR:
        if (head->status == RAIA_ERR_STATE && c->driver + 1 < JOBS) {
            c->driver++; /* the job has ended: its driver's node died */
            c->job = c->job_of[c->driver];
        }
        c->made[n] = c->made[n] || head->status == 0;
        break;
    case TAG_KILL:
        c->killed[n] = c->killed[n] || head->status == 0;
        break;
    default:
        break;
    }
}

static void raylet_message(void *ctx, struct sim_node *from, const void *data, size_t size)
{
    struct raylet *r = ctx;
    const uint8_t *body = (const uint8_t *)data + sizeof(struct head);
    _cleanup_(pb_freep) Raia__Gcs__SessionDown *down = NULL;
    struct head head;

    (void)from;
    memcpy(&head, data, sizeof head);
    size -= sizeof head;
    if (head.kind == REPLY) {
        on_reply(r, &head, body, size);
        return;
    }
    down = pb_unpack(&raia__gcs__session_down__descriptor, body, size);
    if (!r->session || !down)
        return; /* of a session that it has given up */
    if (down->body_case == RAIA__GCS__SESSION_DOWN__BODY_CREATE_ACTOR)
        create(r, down->create_actor);
    else if (down->body_case == RAIA__GCS__SESSION_DOWN__BODY_KILL_ACTOR)
        kill_here(r, down->kill_actor);
}

static void raylet_peer_broken(void *ctx, struct sim_node *peer)
{
    (void)peer;
    ((struct raylet *)ctx)->session = false;
}

const struct sim_node_ops sim_raylet_ops = {.message = raylet_message,
                                            .broken = raylet_peer_broken};
