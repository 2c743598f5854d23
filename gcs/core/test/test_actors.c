/* The actor table and its scheduler, through the core. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "test/world.h"

static struct world w;
static uint32_t job;

static void begin(void)
{
    struct gcs_config config = {.max_dead_actors = 2, .max_actors = 5};

    world_init(&w, &config);
    world_node(&w, 1, true, 2);
    job = world_job(&w, 1, 50);
}

static void end(void)
{
    world_fini(&w);
}

TestSuite(actors, .init = begin, .fini = end);

#define PENDING     RAIA__GCS__ACTOR_STATE__ACTOR_PENDING
#define ALIVE       RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE
#define RESTARTING  RAIA__GCS__ACTOR_STATE__ACTOR_RESTARTING
#define DEAD        RAIA__GCS__ACTOR_STATE__ACTOR_DEAD
#define DOWN_CREATE RAIA__GCS__SESSION_DOWN__BODY_CREATE_ACTOR
#define DOWN_KILL   RAIA__GCS__SESSION_DOWN__BODY_KILL_ACTOR
#define EVENT_ALIVE RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE
#define EVENT_DIED  RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED

/* Options of an actor; zeroed: plain. */
struct wish {
    const char *name;   /* NULL: none */
    int64_t restarts;   /* max_restarts */
    bool detached;      /* outlives job and owner */
    int cpus;           /* it holds */
    uint8_t owner;      /* worker; 0: 200 */
    bool get_if_exists; /* of a name */
};

static Raia__Gcs__RegisterActorReply *make(uint8_t id, struct wish wish)
{
    Raia__Gcs__RegisterActorRequest m = RAIA__GCS__REGISTER_ACTOR_REQUEST__INIT;
    Raia__Gcs__ActorSpec spec = RAIA__GCS__ACTOR_SPEC__INIT;
    Raia__Address owner = RAIA__ADDRESS__INIT;
    Raia__Resource cpu = RAIA__RESOURCE__INIT, *list = &cpu;

    cpu.name = (char *)(uintptr_t) "CPU";
    cpu.quantity = wish.cpus * 10000;
    owner.node_id = world_bytes(1);
    owner.worker_id = world_bytes(wish.owner ? wish.owner : 200);
    spec.actor_id = world_bytes(id);
    spec.job_id = world_job_id(job);
    spec.class_name = (char *)(uintptr_t) "Counter";
    spec.name = (char *)(uintptr_t)(wish.name ? wish.name : "");
    spec.max_restarts = wish.restarts;
    spec.detached = wish.detached;
    spec.owner = &owner;
    spec.resources = &list;
    spec.n_resources = 1;
    spec.creation = (ProtobufCBinaryData){4, (uint8_t *)(uintptr_t) "args"};
    m.spec = &spec;
    m.get_if_exists = wish.get_if_exists;
    return world_call(&w, "RegisterActor", &m.base);
}

static void make_ok(uint8_t id, struct wish wish)
{
    Raia__Gcs__RegisterActorReply *reply = make(id, wish);

    cr_assert(reply, "%s", w.error.text);
    cr_assert_eq(reply->actor->spec->creation.len, 0, "arguments go to the raylet only");
    pb_free(&reply->base);
}

static Raia__Gcs__Actor look_copy;
static Raia__Gcs__Actor *look(uint8_t id)
{
    static Raia__Gcs__GetActorReply *last;
    Raia__Gcs__GetActorRequest m = RAIA__GCS__GET_ACTOR_REQUEST__INIT;

    if (last)
        pb_free(&last->base);
    m.actor_id = world_bytes(id);
    last = world_call(&w, "GetActor", &m.base);
    if (!last->found)
        return NULL;
    look_copy = *last->actor;
    return &look_copy;
}

static void event_error(uint8_t node, uint8_t id, uint64_t incarnation,
                        Raia__Gcs__ActorEventKind kind, uint8_t worker, int code)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__ActorEvent m = RAIA__GCS__ACTOR_EVENT__INIT;
    Raia__Address address = RAIA__ADDRESS__INIT;
    Raia__Error error = RAIA__ERROR__INIT;

    error.code = code;
    error.text = (char *)(uintptr_t) "why";
    m.error = code ? &error : NULL;
    address.node_id = world_bytes(node);
    address.worker_id = world_bytes(worker);
    m.actor_id = world_bytes(id);
    m.incarnation = incarnation;
    m.kind = kind;
    m.address = &address;
    m.pid = 42;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_ACTOR;
    up.actor = &m;
    world_up(&w, node, &up);
}

static void event(uint8_t node, uint8_t id, uint64_t incarnation, Raia__Gcs__ActorEventKind kind,
                  uint8_t worker)
{
    event_error(node, id, incarnation, kind, worker, 0);
}

static void tick(void)
{
    w.now.mono_ms += 300;
    gcs_core_tick(w.core, w.now);
    lazy_flush(w.storage, SIZE_MAX);
}

static void unregister(uint8_t node)
{
    Raia__Gcs__UnregisterNodeRequest m = RAIA__GCS__UNREGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Empty *reply;

    m.node_id = world_bytes(node);
    reply = world_call(&w, "UnregisterNode", &m.base);
    pb_free(&reply->base);
}

static void kill_actor(uint8_t id, bool no_restart)
{
    Raia__Gcs__KillActorRequest m = RAIA__GCS__KILL_ACTOR_REQUEST__INIT;
    Raia__Gcs__Empty *reply;

    m.actor_id = world_bytes(id);
    m.no_restart = no_restart;
    reply = world_call(&w, "KillActorByUser", &m.base);
    cr_assert(reply);
    pb_free(&reply->base);
}

/* Registered, created with its arguments, alive, published. */
Test(actors, lives)
{
    Raia__Gcs__SessionDown *down;

    world_subscribe(&w, 1, RAIA__GCS__CHANNEL__CHANNEL_ACTOR, world_bytes(100));
    make_ok(100, (struct wish){.name = "n"});
    down = world_sent(&w, world_id(1), DOWN_CREATE, 0);
    cr_assert(down && down->create_actor->actor->incarnation == 1);
    cr_assert(pb_bytes_equal(down->create_actor->actor->spec->creation, "args", 4));
    cr_assert_eq(look(100)->state, PENDING);
    event(1, 100, 1, EVENT_ALIVE, 201);
    cr_assert_eq(look(100)->state, ALIVE);
    cr_assert(pb_bytes_equal(look(100)->address->worker_id, world_id(201), 16));
    down = world_sent(&w, world_id(1), RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION, 1);
    cr_assert(down && down->publication->actors[0]->state == ALIVE);
    make_ok(100, (struct wish){.name = "n"}); /* the same request again */
    world_crash(&w);
    cr_assert_eq(look(100)->state, ALIVE);
}

/* A name is taken once, found, given on by get_if_exists, and free after death. */
Test(actors, names)
{
    Raia__Gcs__RegisterActorReply *reply;
    Raia__Gcs__GetActorRequest m = RAIA__GCS__GET_ACTOR_REQUEST__INIT;
    Raia__Gcs__GetActorReply *got;

    make_ok(100, (struct wish){.name = "n"});
    cr_assert_null(make(101, (struct wish){.name = "n"}));
    cr_assert_eq(w.error.code, RAIA_ERR_EXISTS);
    reply = make(101, (struct wish){.name = "n", .get_if_exists = true});
    cr_assert(reply->existed && pb_bytes_equal(reply->actor->spec->actor_id, world_id(100), 16));
    pb_free(&reply->base);
    world_crash(&w);
    m.name = (char *)(uintptr_t) "n";
    got = world_call(&w, "GetActor", &m.base);
    cr_assert(got->found);
    pb_free(&got->base);
    kill_actor(100, true);
    got = world_call(&w, "GetActor", &m.base);
    cr_assert(!got->found);
    pb_free(&got->base);
    make_ok(101, (struct wish){.name = "n"});
}

/* Restarts up to max_restarts, each with a new incarnation; old words are not believed. */
Test(actors, restarts)
{
    make_ok(100, (struct wish){.restarts = 1});
    event(1, 100, 1, EVENT_ALIVE, 201);
    event(1, 100, 1, EVENT_DIED, 201);
    cr_assert_eq(look(100)->state, RESTARTING);
    cr_assert_eq(look(100)->incarnation, 2);
    cr_assert_eq(look(100)->restarts, 1);
    event(1, 100, 1, EVENT_DIED, 201); /* again: the old incarnation */
    event(1, 100, 1, EVENT_ALIVE, 201);
    cr_assert_eq(look(100)->state, RESTARTING);
    cr_assert(world_sent(&w, world_id(1), DOWN_KILL, 0), "the stale one is to be killed");
    event(1, 100, 2, EVENT_ALIVE, 202);
    cr_assert_eq(look(100)->state, ALIVE);
    event(1, 100, 2, EVENT_DIED, 202);
    cr_assert_eq(look(100)->state, DEAD);
}

/* The death of a node moves an actor; it is not counted if it had never lived. */
Test(actors, node_death)
{
    world_node(&w, 2, false, 8);
    make_ok(100, (struct wish){.cpus = 3});
    make_ok(101, (struct wish){.cpus = 3, .restarts = -1});
    cr_assert(pb_bytes_equal(look(100)->address->node_id, world_id(2), 16), "only node 2 has 3");
    event(2, 101, 1, EVENT_ALIVE, 201);
    world_node(&w, 3, false, 8);
    unregister(2);
    cr_assert_eq(look(100)->state, PENDING);
    cr_assert_eq(look(100)->restarts, 0);
    cr_assert(pb_bytes_equal(look(100)->address->node_id, world_id(3), 16));
    cr_assert_eq(look(101)->state, RESTARTING);
    cr_assert_eq(look(101)->restarts, 1);
    cr_assert_eq(look(101)->incarnation, 2);
}

/* No room: it waits, its job is told once if no node could ever do, and it starts when one can. */
Test(actors, waits_for_resources)
{
    world_subscribe(&w, 1, RAIA__GCS__CHANNEL__CHANNEL_ERROR, (ProtobufCBinaryData){0});
    make_ok(100, (struct wish){.cpus = 2});
    make_ok(101, (struct wish){.cpus = 2});
    make_ok(102, (struct wish){.cpus = 9});
    cr_assert_eq(look(100)->incarnation, 1);
    cr_assert_eq(look(101)->incarnation, 0);
    tick();
    tick();
    cr_assert(!world_sent(&w, NULL, DOWN_CREATE, 1));
    world_report(&w, 1, 2, 2);
    tick();
    cr_assert_eq(look(101)->incarnation, 1);
    world_node(&w, 2, false, 9);
    tick();
    cr_assert_eq(look(102)->incarnation, 1);
}

/* A raylet that refuses gets it again later, as a new incarnation; a failed constructor is final. */
Test(actors, refused)
{
    make_ok(100, (struct wish){.restarts = 5});
    event(1, 100, 1, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED, 0);
    cr_assert_eq(look(100)->address->node_id.len, 0);
    gcs_core_tick(w.core, w.now);
    lazy_flush(w.storage, SIZE_MAX);
    cr_assert_eq(look(100)->incarnation, 1, "not at once");
    tick();
    cr_assert_eq(look(100)->incarnation, 2);
    event(1, 100, 2, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_CREATE_FAILED, 0);
    cr_assert_eq(look(100)->state, DEAD);
}

/* A program that does not start is not tried for ever: each refusal for that costs a restart. */
Test(actors, program_does_not_start)
{
    make_ok(100, (struct wish){.restarts = 1});
    event_error(1, 100, 1, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED, 0,
                RAIA_ERR_RUNTIME_ENV);
    cr_assert_eq(look(100)->incarnation, 2);
    event_error(1, 100, 2, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED, 0,
                RAIA_ERR_RUNTIME_ENV);
    cr_assert_eq(look(100)->state, DEAD);
    cr_assert_eq(look(100)->death->code, RAIA_ERR_RUNTIME_ENV);
}

/* Kill: for good, or to be restarted; and what a job's end, an owner's death and scope do. */
Test(actors, kills)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__WorkerDeath death = RAIA__GCS__WORKER_DEATH__INIT;
    Raia__Address address = RAIA__ADDRESS__INIT;
    Raia__Gcs__FinishJobRequest finish = RAIA__GCS__FINISH_JOB_REQUEST__INIT;
    Raia__Gcs__Empty *reply;

    make_ok(100, (struct wish){.restarts = -1});
    event(1, 100, 1, EVENT_ALIVE, 201);
    kill_actor(100, false);
    cr_assert_eq(look(100)->state, ALIVE, "until its raylet says that it is gone");
    cr_assert_eq(world_sent(&w, world_id(1), DOWN_KILL, 0)->kill_actor->incarnation, 1);
    event(1, 100, 1, EVENT_DIED, 201);
    cr_assert_eq(look(100)->state, RESTARTING);
    kill_actor(100, true);
    cr_assert_eq(look(100)->state, DEAD);
    make_ok(101, (struct wish){.owner = 210});
    make_ok(102, (struct wish){.owner = 210, .detached = true});
    make_ok(103, (struct wish){.restarts = -1});
    address.node_id = world_bytes(1);
    address.worker_id = world_bytes(210);
    death.address = &address;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_WORKER_DEATH;
    up.worker_death = &death;
    world_up(&w, 1, &up);
    cr_assert_eq(look(101)->state, DEAD);
    cr_assert_eq(look(101)->death->code, RAIA_ERR_OWNER_DIED);
    cr_assert_eq(look(102)->state, PENDING);
    finish.job_id = world_job_id(job);
    reply = world_call(&w, "FinishJob", &finish.base);
    pb_free(&reply->base);
    cr_assert_eq(look(103)->state, DEAD);
    cr_assert_eq(look(102)->state, PENDING);
    tick();
    cr_assert_null(look(100), "only two dead ones are remembered");
    cr_assert(look(101) && look(103));
}

/* A hello: commands that were lost are sent again, what is missing died, what is too much is killed. */
Test(actors, hello_reconciles)
{
    Raia__Gcs__ActorEvent a = RAIA__GCS__ACTOR_EVENT__INIT, b = RAIA__GCS__ACTOR_EVENT__INIT;
    Raia__Gcs__ActorEvent *events[2] = {&a, &b};
    Raia__Address address = RAIA__ADDRESS__INIT;

    make_ok(100, (struct wish){0});
    make_ok(101, (struct wish){.restarts = 1});
    make_ok(102, (struct wish){0});
    event(1, 101, 1, EVENT_ALIVE, 201);
    event(1, 102, 1, EVENT_ALIVE, 202);
    world_crash(&w);
    address.node_id = world_bytes(1);
    address.worker_id = world_bytes(202);
    a.actor_id = world_bytes(102);
    a.incarnation = 1;
    a.kind = b.kind = EVENT_ALIVE;
    a.address = b.address = &address;
    b.actor_id = world_bytes(110);
    b.incarnation = 1;
    cr_assert_eq(world_hello(&w, 1, events, 2), 0);
    cr_assert_eq(look(102)->state, ALIVE);
    cr_assert(world_sent(&w, world_id(1), DOWN_CREATE, 0), "100 was perhaps never received");
    cr_assert_eq(look(100)->incarnation, 1);
    cr_assert_eq(look(101)->state, RESTARTING);
    cr_assert(pb_bytes_equal(world_sent(&w, world_id(1), DOWN_KILL, 0)->kill_actor->actor_id,
                             world_id(110), 16));
}

/* Actors that hold nothing spread by number over the nodes, also after a restart. */
Test(actors, spread)
{
    int on[3] = {0};

    world_node(&w, 2, false, 2);
    for (uint8_t i = 100; i < 104; i++) {
        make_ok(i, (struct wish){0});
        on[look(i)->address->node_id.data[0]]++;
        if (i == 101) {
            world_crash(&w);
            cr_assert_eq(world_hello(&w, 1, NULL, 0) | world_hello(&w, 2, NULL, 0), 0);
            world_report(&w, 1, 1, 2);
            world_report(&w, 2, 1, 2);
        }
    }
    cr_assert(on[1] == 2 && on[2] == 2);
}

/* What is wrong with a request is said; the number of living actors is bounded. */
Test(actors, refusals)
{
    for (uint8_t i = 100; i < 105; i++)
        make_ok(i, (struct wish){0});
    cr_assert_null(make(105, (struct wish){0}));
    cr_assert_eq(w.error.code, RAIA_ERR_LIMIT);
    cr_assert_null(make(0, (struct wish){0}));
    cr_assert_eq(w.error.code, RAIA_ERR_INVALID);
    job = 99;
    cr_assert_null(make(106, (struct wish){0}));
    cr_assert_eq(w.error.code, RAIA_ERR_INVALID);
}
