/*
 * The core in a simulated cluster: a control store on a storage that loses what was not yet durable,
 * raylets that keep sessions, heartbeats and actors, all of which die, are cut off and come back.
 *
 * What must hold in every run:
 *   - an actor never has two incarnations alive at one time;
 *   - an acknowledged job id is never given to another job, nor does its job get another;
 *   - once the faults stop, every acknowledged actor that should live does, where the table says and
 *     nowhere else, and every acknowledged kill has killed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sim.h"
#include "test/world.h"

#define MS       CLOCK_NS_PER_MS
#define RAYLETS  3
#define ACTORS   6
#define JOBS     90
#define FAULTS_S 60
#define CALM_S   60

struct cluster;

/* What the sim's messages carry before the packed protobuf. */
struct head {
    uint32_t kind;   /* enum kind */
    uint32_t method; /* REQUEST: index in the descriptor */
    uint64_t tag;    /* REQUEST, REPLY */
    int32_t status;  /* REPLY: 0, or a code */
    uint32_t pad;    /* 0 */
};
enum kind { REQUEST, REPLY, UP, DOWN };

struct hosted {
    bool alive;           /* it runs */
    uint64_t incarnation; /* which */
    uint8_t worker;       /* its process */
};

struct raylet {
    struct cluster *cluster;      /* of which */
    struct sim_node *sim;         /* in the sim */
    int index;                    /* 0: the head */
    uint8_t id[16];               /* this life's node id */
    uint8_t replaces[16];         /* the life before, if its supervisor saw it die */
    bool has_replaces;            /* it did */
    bool registered;              /* the reply came */
    bool session;                 /* hello was sent on this connection */
    int64_t answered_ns;          /* when the last answered heartbeat was sent */
    int64_t lease_ns;             /* from RegisterNode's reply */
    int64_t beat_ns;              /* when the heartbeat in flight was sent */
    uint64_t version;             /* of resource reports */
    struct hosted actors[ACTORS]; /* by number */
};

struct store {
    struct storage *inner;   /* what is durable */
    struct storage *storage; /* in front of it */
    struct gcs_core *core;   /* NULL while dead */
    struct gcs_effects fx;   /* of the core */
    struct sim_node *sim;    /* in the sim */
};

/* What the client (on the head) knows. */
struct cluster {
    struct sim *sim;                /* the run */
    struct store gcs;               /* the control store */
    struct raylet raylets[RAYLETS]; /* the nodes */
    uint64_t lives;                 /* node ids given out */
    uint32_t job_of[JOBS];          /* acknowledged id by token; 0: none */
    bool made[ACTORS];              /* registration acknowledged */
    bool killed[ACTORS];            /* kill acknowledged */
    bool kill_asked[ACTORS];        /* a kill was sent: either may be */
    bool calm;                      /* no more faults */
    uint32_t job;                   /* of the actors; 0: not yet known */
    int driver;                     /* the token of that job: a new one after each end */
};

static void raylet_begin(struct raylet *r);

static ProtobufCBinaryData actor_id(int n)
{
    return world_bytes((uint8_t)(100 + n));
}

static struct gcs_now now_of(struct cluster *c)
{
    int64_t ms = sim_now(c->sim) / MS + 1000;

    return (struct gcs_now){.mono_ms = ms, .unix_ms = ms + 1700000000000};
}

static void post(struct sim_node *from, struct sim_node *to, struct head head, const void *data,
                 size_t size)
{
    _cleanup_(mem_freep) uint8_t *message = mem_alloc(sizeof head + size);

    memcpy(message, &head, sizeof head);
    if (size)
        memcpy(message + sizeof head, data, size);
    sim_send(from, to, message, sizeof head + size);
}

/* ---- the control store ---- */

static struct raylet *raylet_of(struct cluster *c, const uint8_t *node)
{
    for (int i = 0; i < RAYLETS; i++) {
        if (memcmp(c->raylets[i].id, node, 16) == 0)
            return &c->raylets[i];
    }
    return NULL;
}

static int gcs_send(void *arg, const struct node_id *node, const void *data, size_t size)
{
    struct cluster *c = arg;
    struct raylet *r = raylet_of(c, node->bytes);

    if (!r)
        return -RAIA_ERR_NOT_FOUND;
    if (prng_chance(sim_prng(c->sim), c->calm ? 0 : 0.01))
        return -RAIA_ERR_LIMIT;
    post(c->gcs.sim, r->sim, (struct head){.kind = DOWN}, data, size);
    return 0;
}

static void gcs_disconnect(void *arg, const struct node_id *node)
{
    struct cluster *c = arg;
    struct raylet *r = raylet_of(c, node->bytes);

    if (r)
        sim_break(c->gcs.sim, r->sim);
}

static void gcs_broken(void *arg, const struct raia_error *e)
{
    sim_fail(((struct cluster *)arg)->sim, "the core broke: %s", e->text);
}

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision);

struct loading {
    struct storage_snapshot snap; /* first */
    struct cluster *c;            /* whose */
};

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision)
{
    struct cluster *c = ((struct loading *)(void *)snap)->c;
    struct raia_error e = {0};

    (void)revision;
    if (gcs_core_load(c->gcs.core, now_of(c), key, value, &e) < 0)
        sim_fail(c->sim, "load: %s", e.text);
}

static void on_rows(struct storage_snapshot *snap, int r, uint64_t revision,
                    const struct raia_error *e)
{
    (void)snap;
    (void)r;
    (void)revision;
    (void)e;
}

static void gcs_flush(void *arg)
{
    struct cluster *c = arg;
    struct prng *p = sim_prng(c->sim);

    lazy_flush(c->gcs.storage, prng_below(p, 4));
    sim_after(c->sim, c->gcs.sim, prng_range(p, 100000, 5 * MS), gcs_flush, c, NULL);
}

static void gcs_tick(void *arg)
{
    struct cluster *c = arg;

    gcs_core_tick(c->gcs.core, now_of(c));
    sim_after(c->sim, c->gcs.sim, GCS_TICK_MS * MS, gcs_tick, c, NULL);
}

static void gcs_begin(struct cluster *c)
{
    struct loading loading = {.snap = {.row = on_row, .done = on_rows}, .c = c};
    struct gcs_config config = {.lease_ms = 3000, .grace_ms = 500, .heartbeat_ms = 500};

    c->gcs.fx = (struct gcs_effects){
        .send = gcs_send, .disconnect = gcs_disconnect, .broken = gcs_broken, .arg = c};
    if (lazy_open(c->gcs.inner, &c->gcs.storage) < 0 ||
        gcs_core_new(&config, c->gcs.storage, &c->gcs.fx, &c->gcs.core, NULL) < 0) {
        sim_fail(c->sim, "out of memory");
        return;
    }
    storage_read(c->gcs.inner, &loading.snap);
    storage_step(c->gcs.inner);
    (void)gcs_core_start(c->gcs.core, now_of(c), "c1", NULL);
    gcs_flush(c);
    gcs_tick(c);
}

static void gcs_end(struct cluster *c)
{
    struct gcs_core *core = STEAL(c->gcs.core);

    storage_free(c->gcs.storage);
    gcs_core_free(core);
}

static void gcs_revive(void *arg)
{
    struct cluster *c = arg;

    sim_revive(c->gcs.sim, c);
    gcs_begin(c);
}

struct waiting {
    struct gcs_waiter waiter; /* first */
    struct cluster *c;        /* whose */
    struct sim_node *peer;    /* who asked */
    uint64_t tag;             /* of the request */
};

static void on_answer(struct gcs_waiter *w, const struct raia_error *e, const void *data,
                      size_t size)
{
    struct waiting *x = (struct waiting *)(void *)w;

    if (x->c->gcs.core) /* else it died with the request */
        post(x->c->gcs.sim, x->peer,
             (struct head){.kind = REPLY, .tag = x->tag, .status = e ? e->code : 0}, data,
             e ? 0 : size);
    mem_free(x);
}

static void gcs_message(void *ctx, struct sim_node *from, const void *data, size_t size)
{
    struct cluster *c = ctx;
    const uint8_t *body = (const uint8_t *)data + sizeof(struct head);
    struct raylet *r = sim_node_ctx(from);
    struct waiting *x;
    struct head head;
    _cleanup_(pb_freep) Raia__Gcs__SessionUp *up = NULL;
    struct node_id node;
    int result;

    memcpy(&head, data, sizeof head);
    size -= sizeof head;
    if (head.kind == REQUEST) {
        x = mem_new(struct waiting);
        x->waiter.done = on_answer;
        x->c = c;
        x->peer = from;
        x->tag = head.tag;
        gcs_core_call(c->gcs.core, now_of(c), head.method, body, size, &x->waiter);
        return;
    }
    up = pb_unpack(&raia__gcs__session_up__descriptor, body, size);
    if (!r || !up)
        return;
    memcpy(node.bytes, r->id, 16);
    if (up->body_case == RAIA__GCS__SESSION_UP__BODY_HELLO)
        result = gcs_core_session_hello(c->gcs.core, now_of(c), up->hello, NULL);
    else
        result = gcs_core_session_message(c->gcs.core, now_of(c), &node, up, NULL);
    if (result < 0) {
        gcs_core_session_closed(c->gcs.core, &node);
        sim_break(c->gcs.sim, from);
    }
}

static void gcs_peer_broken(void *ctx, struct sim_node *peer)
{
    struct cluster *c = ctx;
    struct raylet *r = sim_node_ctx(peer);
    struct node_id node;

    memcpy(node.bytes, r->id, 16);
    gcs_core_session_closed(c->gcs.core, &node);
}

static const struct sim_node_ops gcs_ops = {.message = gcs_message, .broken = gcs_peer_broken};

/* ---- a raylet ---- */

static void request(struct raylet *r, const char *method, const ProtobufCMessage *m, uint64_t tag)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(m, &size);
    uint32_t i = 0;

    while (strcmp(raia__gcs__gcs__descriptor.methods[i].name, method) != 0)
        i++;
    post(r->sim, r->cluster->gcs.sim, (struct head){.kind = REQUEST, .method = i, .tag = tag}, data,
         size);
}

/* Tags: what a reply is to; the low byte is a number. */
enum tag {
    TAG_REGISTER = 0x100,
    TAG_BEAT = 0x200,
    TAG_JOB = 0x300,
    TAG_ACTOR = 0x400,
    TAG_KILL = 0x500
};

static void send_up(struct raylet *r, const Raia__Gcs__SessionUp *up)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(&up->base, &size);

    if (r->session)
        post(r->sim, r->cluster->gcs.sim, (struct head){.kind = UP}, data, size);
}

static void fill_event(struct raylet *r, int n, Raia__Gcs__ActorEventKind kind,
                       uint64_t incarnation, Raia__Address *address, Raia__Gcs__ActorEvent *event)
{
    raia__address__init(address);
    raia__gcs__actor_event__init(event);
    address->node_id = PB_BYTES(r->id);
    address->worker_id = world_bytes(r->actors[n].worker);
    event->actor_id = actor_id(n);
    event->incarnation = incarnation;
    event->kind = kind;
    event->address = address;
}

static void tell_actor(struct raylet *r, int n, Raia__Gcs__ActorEventKind kind,
                       uint64_t incarnation)
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
    request(r, "RegisterNode", &m.base, TAG_REGISTER);
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
        request(r, "Heartbeat", &m.base, TAG_BEAT);
    }
    sim_after(r->cluster->sim, r->sim, 300 * MS, beat, r, NULL);
}

static void raylet_begin(struct raylet *r)
{
    new_life(r, prng_chance(sim_prng(r->cluster->sim), 0.7));
    beat(r);
}

static void raylet_revive(void *arg)
{
    struct raylet *r = arg;

    sim_revive(r->sim, r);
    raylet_begin(r);
}

/* Runs an actor here, unless it does already. */
static void create(struct raylet *r, const Raia__Gcs__CreateActor *m)
{
    struct cluster *c = r->cluster;
    int n = m->actor->spec->actor_id.data[0] - 100;
    struct hosted *h = &r->actors[n];

    if (h->alive && h->incarnation == m->actor->incarnation) {
        tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE, h->incarnation);
        return;
    }
    if (prng_chance(sim_prng(c->sim), c->calm ? 0 : 0.1)) {
        tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED, m->actor->incarnation);
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
    tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE, h->incarnation);
}

static void kill_here(struct raylet *r, const Raia__Gcs__KillActor *m)
{
    int n = m->actor_id.data[0] - 100;

    if (!r->actors[n].alive || r->actors[n].incarnation != m->incarnation)
        return;
    r->actors[n].alive = false;
    tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED, m->incarnation);
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

static const struct sim_node_ops raylet_ops = {.message = raylet_message,
                                               .broken = raylet_peer_broken};

/* ---- the client, and the faults ---- */

static void ask_job(struct cluster *c, int n)
{
    struct raylet *r = &c->raylets[0];
    Raia__Gcs__AddJobRequest m = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__Job job = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;

    driver.node_id = PB_BYTES(r->id);
    driver.worker_id = world_bytes(200);
    job.driver = &driver;
    m.job = &job;
    m.token = world_bytes((uint8_t)(n + 1)); /* below 100 */
    request(r, "AddJob", &m.base, TAG_JOB | (unsigned)n);
}

static void ask_actor(struct cluster *c, int n)
{
    Raia__Gcs__RegisterActorRequest m = RAIA__GCS__REGISTER_ACTOR_REQUEST__INIT;
    Raia__Gcs__ActorSpec spec = RAIA__GCS__ACTOR_SPEC__INIT;

    spec.actor_id = actor_id(n);
    spec.job_id = world_job_id(c->job);
    spec.detached = true; /* outlives nodes and jobs: what is checked is placing */
    spec.max_restarts = -1;
    m.spec = &spec;
    request(&c->raylets[0], "RegisterActor", &m.base, TAG_ACTOR | (unsigned)n);
}

static void ask_kill(struct cluster *c, int n)
{
    Raia__Gcs__KillActorRequest m = RAIA__GCS__KILL_ACTOR_REQUEST__INIT;

    c->kill_asked[n] = true;
    m.actor_id = actor_id(n);
    m.no_restart = true;
    request(&c->raylets[0], "KillActorByUser", &m.base, TAG_KILL | (unsigned)n);
}

static void client(void *arg)
{
    struct cluster *c = arg;
    struct prng *p = sim_prng(c->sim);
    int n = (int)prng_below(p, ACTORS);

    if (sim_node_alive(c->raylets[0].sim) && c->raylets[0].registered) {
        ask_job(c, prng_chance(p, 0.5) ? c->driver : (int)prng_below(p, (uint64_t)c->driver + 1));
        if (c->job && !c->made[n])
            ask_actor(c, n);
        else if (c->made[n] && n < 2 && (c->calm || prng_chance(p, 0.1)))
            ask_kill(c, n);
    }
    sim_after(c->sim, NULL, prng_range(p, 50 * MS, 800 * MS), client, c, NULL);
}

static void chaos(void *arg)
{
    struct cluster *c = arg;
    struct prng *p = sim_prng(c->sim);
    struct raylet *r = &c->raylets[prng_below(p, RAYLETS)];
    int n = (int)prng_below(p, ACTORS);

    if (c->calm)
        return;
    switch (prng_below(p, 7)) {
    case 0:
        if (!c->gcs.core)
            break;
        sim_kill(c->gcs.sim);
        gcs_end(c);
        sim_after(c->sim, NULL, prng_range(p, 10 * MS, 5000 * MS), gcs_revive, c, NULL);
        break;
    case 1:
        if (!sim_node_alive(r->sim))
            break;
        sim_kill(r->sim);
        memset(r->actors, 0, sizeof r->actors);
        sim_after(c->sim, NULL, prng_range(p, 10 * MS, 5000 * MS), raylet_revive, r, NULL);
        break;
    case 2:
        sim_break(c->gcs.sim, r->sim);
        break;
    case 3:
        sim_isolate(r->sim);
        break;
    case 4:
        sim_heal_all(c->sim);
        break;
    case 5: /* a word about an incarnation that is long gone */
        if (r->actors[n].alive && r->actors[n].incarnation > 1)
            tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED,
                       r->actors[n].incarnation - 1);
        break;
    default:
        if (r->actors[n].alive) {
            r->actors[n].alive = false;
            tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED,
                       r->actors[n].incarnation);
        }
    }
    sim_after(c->sim, NULL, prng_range(p, 50 * MS, 2000 * MS), chaos, c, NULL);
}

struct seen {
    int state[ACTORS];            /* enum ActorState; -1: not there */
    uint64_t incarnation[ACTORS]; /* of it */
};

static void see_actor(void *arg, const Raia__Gcs__Actor *actor)
{
    struct seen *seen = arg;
    int n = actor->spec->actor_id.data[0] - 100;

    seen->state[n] = (int)actor->state;
    seen->incarnation[n] = actor->incarnation;
}

static int verdict(struct cluster *c)
{
    struct seen seen;

    memset(seen.state, -1, sizeof seen.state);
    gcs_core_each_actor(c->gcs.core, see_actor, &seen);
    for (int n = 0; n < ACTORS; n++) {
        int running = 0;

        for (int i = 0; i < RAYLETS; i++) {
            struct hosted *h = &c->raylets[i].actors[n];

            if (!h->alive)
                continue;
            running++;
            SIM_CHECK(c->sim, h->incarnation == seen.incarnation[n],
                      "actor %d runs as %d, the table says %d", n, (int)h->incarnation,
                      (int)seen.incarnation[n]);
        }
        SIM_CHECK(c->sim, c->made[n], "actor %d was never made", n);
        if (n < 2)
            SIM_CHECK(
                c->sim,
                c->killed[n] && running == 0 && seen.state[n] == RAIA__GCS__ACTOR_STATE__ACTOR_DEAD,
                "actor %d was killed, but is in state %d, %d running", n, seen.state[n], running);
        else
            SIM_CHECK(c->sim, running == 1 && seen.state[n] == RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE,
                      "actor %d is in state %d, %d running", n, seen.state[n], running);
    }
    return 0;
}

static int scenario(struct sim *s, void *ctx)
{
    struct cluster c = {.sim = s};
    char name[16];
    int r = -1;

    (void)ctx;
    if (storage_open_memory(&c.gcs.inner, NULL) < 0)
        return -1;
    c.gcs.sim = sim_node_add(s, "gcs", &gcs_ops, &c);
    for (int i = 0; i < RAYLETS; i++) {
        snprintf(name, sizeof name, "raylet-%d", i);
        c.raylets[i].cluster = &c;
        c.raylets[i].index = i;
        c.raylets[i].sim = sim_node_add(s, name, &raylet_ops, &c.raylets[i]);
    }
    gcs_begin(&c);
    for (int i = 0; i < RAYLETS; i++)
        raylet_begin(&c.raylets[i]);
    client(&c);
    chaos(&c);
    if (sim_run(s, FAULTS_S * CLOCK_NS_PER_S)) {
        c.calm = true;
        sim_heal_all(s);
        if (sim_run(s, (FAULTS_S + CALM_S) * CLOCK_NS_PER_S))
            r = c.gcs.core ? verdict(&c) : -1;
    }
    if (c.gcs.core)
        gcs_end(&c);
    storage_free(c.gcs.inner);
    return r;
}

/* Clusters under faults keep what they acknowledged, and no actor ever lives twice. */
Test(sim, cluster, .timeout = 240)
{
    cr_assert_eq(sim_seeds("gcs", 1, 150, scenario, NULL), 0);
}
