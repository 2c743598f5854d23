/*
 * Out of memory in the core: a request whose n-th allocation fails is answered, with NOMEM or with
 * what says that the process starts again, and never as malformed; then the same request works, at
 * once or after that start.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "test/world.h"

#define TEXT(t) ((char *)(uintptr_t)(t))

static struct world w;

static int call(const char *method, const void *data, size_t size, uint64_t n, bool *ret_reached)
{
    const ProtobufCServiceDescriptor *s = &raia__gcs__gcs__descriptor;
    struct answer a;
    unsigned i = 0;
    int code;

    while (i < s->n_methods && strcmp(s->methods[i].name, method) != 0)
        i++;
    answer_init(&a);
    mem_fail_nth(n);
    gcs_core_call(w.core, w.now, i, data, size, &a.waiter);
    *ret_reached = n && mem_fail_count() >= n;
    mem_fail_nth(0);
    lazy_flush(w.storage, SIZE_MAX);
    cr_assert(a.done, "%s: never answered", method);
    code = a.e.code;
    answer_fini(&a);
    return code;
}

/* How often it failed. */
static unsigned each(const char *method, const ProtobufCMessage *m)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(m, &size);
    unsigned failed = 0;
    bool reached = true, never;

    for (uint64_t n = 1; reached; n++) {
        world_init(&w, NULL);
        world_node(&w, 1, true, 4);
        world_job(&w, 1, 7);
        int code = call(method, data, size, n, &reached);

        cr_assert(code == 0 || code == RAIA_ERR_NOMEM || code == RAIA_ERR_UNAVAILABLE,
                  "%s, allocation %u: %s", method, (unsigned)n, raia_strerror(code));
        cr_assert(code == 0 || reached);
        failed += code != 0;
        if (w.broken.code)
            world_crash(&w);
        cr_assert_eq(call(method, data, size, 0, &never), 0, "%s, after allocation %u", method,
                     (unsigned)n);
        world_fini(&w);
    }
    cr_expect_gt(failed, 0, "%s", method);
    return failed;
}

/* The key-value store. */
Test(core_memory, kv)
{
    Raia__Gcs__KvPutRequest put = RAIA__GCS__KV_PUT_REQUEST__INIT;
    Raia__Gcs__KvGetRequest get = RAIA__GCS__KV_GET_REQUEST__INIT;
    Raia__Gcs__KvDelRequest del = RAIA__GCS__KV_DEL_REQUEST__INIT;
    Raia__Gcs__KvKeysRequest keys = RAIA__GCS__KV_KEYS_REQUEST__INIT;

    put.ns = get.ns = del.ns = keys.ns = TEXT("n");
    put.key = get.key = del.key = put.value = (ProtobufCBinaryData){3, (uint8_t *)TEXT("key")};
    put.overwrite = true;
    cr_expect_geq(each("KvPut", &put.base), 6);
    cr_expect_geq(each("KvGet", &get.base), 3);
    cr_expect_geq(each("KvDel", &del.base), 3);
    cr_expect_geq(each("KvKeys", &keys.base), 3);
}

/* Nodes and jobs. */
Test(core_memory, nodes_and_jobs)
{
    Raia__Gcs__RegisterNodeRequest node = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__HeartbeatRequest beat = RAIA__GCS__HEARTBEAT_REQUEST__INIT;
    Raia__Gcs__ListNodesRequest nodes = RAIA__GCS__LIST_NODES_REQUEST__INIT;
    Raia__Gcs__AddJobRequest job = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__ListJobsRequest jobs = RAIA__GCS__LIST_JOBS_REQUEST__INIT;
    Raia__Gcs__Node one = RAIA__GCS__NODE__INIT;
    Raia__Gcs__Job of = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;

    one.node_id = world_bytes(2);
    one.name = TEXT("node 2");
    one.address = TEXT("h:1");
    node.node = &one;
    beat.node_id = world_bytes(1);
    driver.node_id = world_bytes(1);
    driver.worker_id = world_bytes(200);
    of.driver = &driver;
    job.job = &of;
    job.token = world_bytes(9);
    cr_expect_geq(each("RegisterNode", &node.base), 10);
    cr_expect_geq(each("Heartbeat", &beat.base), 3);
    cr_expect_geq(each("ListNodes", &nodes.base), 3);
    cr_expect_geq(each("AddJob", &job.base), 6);
    cr_expect_geq(each("ListJobs", &jobs.base), 3);
}

/* Actors: registered and placed in one write. */
Test(core_memory, actors)
{
    Raia__Gcs__RegisterActorRequest m = RAIA__GCS__REGISTER_ACTOR_REQUEST__INIT;
    Raia__Gcs__ListActorsRequest list = RAIA__GCS__LIST_ACTORS_REQUEST__INIT;
    Raia__Gcs__ActorSpec spec = RAIA__GCS__ACTOR_SPEC__INIT;
    Raia__Address owner = RAIA__ADDRESS__INIT;

    owner.node_id = world_bytes(1);
    owner.worker_id = world_bytes(200);
    spec.actor_id = world_bytes(50);
    spec.job_id = world_job_id(1);
    spec.class_name = TEXT("Counter");
    spec.name = TEXT("counter");
    spec.owner = &owner;
    m.spec = &spec;
    m.get_if_exists = true;
    cr_expect_geq(each("RegisterActor", &m.base), 10);
    cr_expect_geq(each("ListActors", &list.base), 3);
}

/* A message of a session, or (up NULL) the hello that begins one, whichever allocation fails: it is
 * taken, the session is broken, or the process starts again; then a new session takes it. */
static void each_up(const char *name, const Raia__Gcs__SessionUp *up, unsigned at_least)
{
    unsigned failed = 0;
    bool reached = true;

    for (uint64_t n = 1; reached; n++) {
        Raia__Gcs__SessionHello hello = RAIA__GCS__SESSION_HELLO__INIT;
        struct raia_error e = {0};
        struct node_id id;
        int r;

        world_init(&w, NULL);
        world_node(&w, 1, true, 4);
        world_job(&w, 1, 7);
        memcpy(id.bytes, world_id(1), 16);
        hello.node_id = world_bytes(1);
        mem_fail_nth(n);
        r = up ? gcs_core_session_message(w.core, w.now, &id, up, &e)
               : gcs_core_session_hello(w.core, w.now, &hello, &e);
        reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        lazy_flush(w.storage, SIZE_MAX);
        cr_assert(r == 0 || r == -RAIA_ERR_NOMEM || r == -RAIA_ERR_UNAVAILABLE,
                  "%s, allocation %u: %s", name, (unsigned)n, raia_strerror(r));
        cr_assert(reached || (r == 0 && !w.broken.code));
        failed += r < 0 || w.broken.code;
        if (w.broken.code)
            world_crash(&w);
        cr_assert_eq(world_hello(&w, 1, NULL, 0), 0, "%s, after allocation %u: %s", name,
                     (unsigned)n, w.error.text);
        if (up)
            world_up(&w, 1, up);
        world_fini(&w);
    }
    cr_expect_geq(failed, at_least, "%s", name);
}

/* What a raylet says in its session. */
Test(core_memory, sessions)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__Subscribe subscribe = RAIA__GCS__SUBSCRIBE__INIT;
    Raia__Gcs__WorkerDeath death = RAIA__GCS__WORKER_DEATH__INIT;
    Raia__Gcs__ResourceReport report = RAIA__GCS__RESOURCE_REPORT__INIT;
    Raia__Resource cpu = RAIA__RESOURCE__INIT, *list = &cpu;
    Raia__Address worker = RAIA__ADDRESS__INIT;

    each_up("hello", NULL, 1);
    up.body_case = RAIA__GCS__SESSION_UP__BODY_SUBSCRIBE;
    up.subscribe = &subscribe;
    subscribe.channel = RAIA__GCS__CHANNEL__CHANNEL_NODE;
    each_up("subscribe", &up, 1);
    worker.node_id = world_bytes(1);
    worker.worker_id = world_bytes(200);
    death.address = &worker;
    death.job_id = world_job_id(1);
    death.reason = TEXT("it died");
    up.body_case = RAIA__GCS__SESSION_UP__BODY_WORKER_DEATH;
    up.worker_death = &death;
    each_up("worker death", &up, 1);
    cpu.name = TEXT("CPU");
    cpu.quantity = 20000;
    report.node_id = world_bytes(1);
    report.version = 9;
    report.total = report.available = &list;
    report.n_total = report.n_available = 1;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_RESOURCES;
    up.resources = &report;
    each_up("resources", &up, 1);
}
