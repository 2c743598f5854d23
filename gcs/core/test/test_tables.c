/* Nodes, jobs, key-value and publications, through the core. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "test/world.h"

static struct world w;

static void begin(void)
{
    struct gcs_config config = {.max_dead_nodes = 2,
                                .max_dead_jobs = 2,
                                .kv_bytes = 1000,
                                .max_queue = 4,
                                .lease_ms = 10000,
                                .grace_ms = 2000,
                                .max_nodes = 3};

    world_init(&w, &config);
}

static void end(void)
{
    world_fini(&w);
}

TestSuite(tables, .init = begin, .fini = end);

static size_t nodes(bool dead)
{
    Raia__Gcs__ListNodesRequest m = RAIA__GCS__LIST_NODES_REQUEST__INIT;
    Raia__Gcs__ListNodesReply *reply;
    size_t n;

    m.include_dead = dead;
    reply = world_call(&w, "ListNodes", &m.base);
    n = reply->n_nodes;
    pb_free(&reply->base);
    return n;
}

static bool heartbeat(uint8_t node)
{
    Raia__Gcs__HeartbeatRequest m = RAIA__GCS__HEARTBEAT_REQUEST__INIT;
    Raia__Gcs__HeartbeatReply *reply;
    bool known;

    m.node_id = world_bytes(node);
    reply = world_call(&w, "Heartbeat", &m.base);
    known = !reply->unknown;
    pb_free(&reply->base);
    return known;
}

static void tick(int64_t ms)
{
    w.now.mono_ms += ms;
    w.now.unix_ms += ms;
    gcs_core_tick(w.core, w.now);
    lazy_flush(w.storage, SIZE_MAX);
}

/* A node lives as long as it is heard within lease and grace, and a dead one never comes back. */
Test(tables, lease)
{
    Raia__Gcs__RegisterNodeRequest m = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Node node = RAIA__GCS__NODE__INIT;

    world_node(&w, 1, true, 1);
    world_node(&w, 2, false, 1);
    tick(11999);
    cr_assert(heartbeat(1));
    tick(1);
    cr_assert_eq(nodes(false), 1);
    cr_assert_eq(w.disconnects, 1);
    cr_assert(heartbeat(1) && !heartbeat(2) && !heartbeat(9));
    node.node_id = world_bytes(2);
    node.address = (char *)(uintptr_t) "a:1";
    m.node = &node;
    cr_assert_null(world_call(&w, "RegisterNode", &m.base));
    cr_assert_eq(w.error.code, RAIA_ERR_STATE);
    cr_assert_eq(world_hello(&w, 2, NULL, 0), -RAIA_ERR_STATE);
}

/* A restart of the control store gives every node a new lease, and forgets no death. */
Test(tables, lease_after_restart)
{
    world_node(&w, 1, true, 1);
    world_node(&w, 2, false, 1);
    tick(11999);
    cr_assert(heartbeat(1));
    world_crash(&w);
    tick(11999);
    cr_assert_eq(nodes(false), 2);
    cr_assert(heartbeat(1));
    tick(1);
    cr_assert_eq(nodes(false), 1);
    world_crash(&w);
    cr_assert_eq(nodes(false), 1);
    cr_assert_eq(nodes(true), 2);
}

/* Dead nodes are remembered up to the limit, also in storage; living ones are bounded. */
Test(tables, bounded_nodes)
{
    Raia__Gcs__UnregisterNodeRequest m = RAIA__GCS__UNREGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__RegisterNodeRequest reg = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Node node = RAIA__GCS__NODE__INIT;

    for (uint8_t i = 1; i <= 5; i++) {
        Raia__Gcs__Empty *reply;

        world_node(&w, i, false, 1);
        m.node_id = world_bytes(i);
        reply = world_call(&w, "UnregisterNode", &m.base);
        pb_free(&reply->base);
    }
    cr_assert_eq(nodes(true), 2);
    world_crash(&w);
    cr_assert_eq(nodes(true), 2);
    for (uint8_t i = 11; i <= 13; i++)
        world_node(&w, i, false, 1);
    node.node_id = world_bytes(14);
    node.address = (char *)(uintptr_t) "a:1";
    reg.node = &node;
    cr_assert_null(world_call(&w, "RegisterNode", &reg.base));
    cr_assert_eq(w.error.code, RAIA_ERR_LIMIT);
    node.address = (char *)(uintptr_t) "";
    node.node_id.len = 3;
    cr_assert_null(world_call(&w, "RegisterNode", &reg.base));
    cr_assert_eq(w.error.code, RAIA_ERR_INVALID);
}

static bool job_dead(uint32_t id)
{
    Raia__Gcs__GetJobRequest m = RAIA__GCS__GET_JOB_REQUEST__INIT;
    Raia__Gcs__GetJobReply *reply;
    bool dead;

    m.job_id = world_job_id(id);
    reply = world_call(&w, "GetJob", &m.base);
    dead = !reply->found || reply->job->dead;
    pb_free(&reply->base);
    return dead;
}

/* AddJob is idempotent by token, also over a crash; ids are never given twice. */
Test(tables, jobs)
{
    world_node(&w, 1, true, 1);
    cr_assert_eq(world_job(&w, 1, 50), 1);
    cr_assert_eq(world_job(&w, 1, 50), 1);
    cr_assert_eq(world_job(&w, 1, 51), 2);
    world_crash(&w);
    cr_assert_eq(world_job(&w, 1, 51), 2);
    cr_assert_eq(world_job(&w, 1, 52), 3);
    cr_assert(!job_dead(1));
}

/* The death of a driver's node ends its job, and every session hears of it. */
Test(tables, job_dies_with_node)
{
    Raia__Gcs__UnregisterNodeRequest m = RAIA__GCS__UNREGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Empty *reply;
    uint32_t job;

    world_node(&w, 1, true, 1);
    world_node(&w, 2, false, 1);
    job = world_job(&w, 2, 50);
    m.node_id = world_bytes(2);
    reply = world_call(&w, "UnregisterNode", &m.base);
    pb_free(&reply->base);
    cr_assert(job_dead(job));
    cr_assert(world_sent(&w, world_id(1), RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED, 0));
}

/* A hello without a driver that is no longer young ends its job; a young one may be on its way. A
 * hello with objects of an ended job is told so. */
Test(tables, hello_reconciles_jobs)
{
    Raia__Gcs__SessionHello m = RAIA__GCS__SESSION_HELLO__INIT;
    ProtobufCBinaryData jobs[2];
    uint32_t job;

    world_node(&w, 1, true, 1);
    job = world_job(&w, 1, 50);
    cr_assert_eq(world_hello(&w, 1, NULL, 0), 0);
    cr_assert(!job_dead(job));
    w.now.unix_ms += 60000;
    m.node_id = world_bytes(1);
    m.driver_jobs = jobs;
    m.n_driver_jobs = 1;
    jobs[0] = world_job_id(job);
    cr_assert_eq(gcs_core_session_hello(w.core, w.now, &m, NULL), 0);
    lazy_flush(w.storage, SIZE_MAX);
    cr_assert(!job_dead(job));
    cr_assert_eq(world_hello(&w, 1, NULL, 0), 0);
    cr_assert(job_dead(job));
    world_forget(&w);
    m.n_driver_jobs = 0;
    m.jobs = jobs;
    m.n_jobs = 2;
    jobs[1] = world_job_id(77);
    cr_assert_eq(gcs_core_session_hello(w.core, w.now, &m, NULL), 0);
    lazy_flush(w.storage, SIZE_MAX);
    cr_assert(world_sent(&w, world_id(1), RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED, 1));
}

static int put(const char *key, size_t size, bool overwrite, bool *ret_added)
{
    Raia__Gcs__KvPutRequest m = RAIA__GCS__KV_PUT_REQUEST__INIT;
    Raia__Gcs__KvPutReply *reply;

    m.ns = (char *)(uintptr_t) "n";
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    m.value = (ProtobufCBinaryData){size, mem_zalloc(size + 1)};
    m.overwrite = overwrite;
    reply = world_call(&w, "KvPut", &m.base);
    mem_free(m.value.data);
    if (!reply)
        return -w.error.code;
    *ret_added = reply->added;
    pb_free(&reply->base);
    return 0;
}

/* Pairs: overwrite or not, bounds on each and on all together, keys by prefix. */
Test(tables, kv)
{
    Raia__Gcs__KvKeysRequest m = RAIA__GCS__KV_KEYS_REQUEST__INIT;
    Raia__Gcs__KvKeysReply *reply;
    bool added;

    cr_assert(put("a1", 10, false, &added) == 0 && added);
    cr_assert(put("a1", 20, false, &added) == 0 && !added);
    cr_assert(put("a1", 20, true, &added) == 0 && !added);
    cr_assert(put("a2", 900, false, &added) == 0 && added);
    cr_assert_eq(put("a3", 100, false, &added), -RAIA_ERR_LIMIT);
    cr_assert_eq(put("", 1, false, &added), -RAIA_ERR_INVALID);
    cr_assert(put("a2", 100, true, &added) == 0);
    cr_assert(put("b", 100, false, &added) == 0);
    world_crash(&w);
    m.ns = (char *)(uintptr_t) "n";
    m.prefix = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "a"};
    reply = world_call(&w, "KvKeys", &m.base);
    cr_assert(reply->n_keys == 2 && !reply->truncated);
    pb_free(&reply->base);
    m.limit = 1;
    reply = world_call(&w, "KvKeys", &m.base);
    cr_assert(reply->n_keys == 1 && reply->truncated);
    pb_free(&reply->base);
}

/* A session that reads too slowly loses publications, is told so, and gets the whole state. */
Test(tables, slow_subscriber)
{
    Raia__Gcs__SessionDown *down;
    struct node_id id;

    world_node(&w, 1, true, 1);
    world_node(&w, 2, false, 1);
    world_subscribe(&w, 1, RAIA__GCS__CHANNEL__CHANNEL_RESOURCES, (ProtobufCBinaryData){0});
    world_forget(&w);
    w.full = true;
    for (uint64_t i = 2; i < 12; i++) {
        world_report(&w, 2, i, (int)i);
        tick(100);
    }
    w.full = false;
    memcpy(id.bytes, world_id(1), 16);
    gcs_core_session_room(w.core, &id);
    tick(100);
    down = world_sent(&w, world_id(1), RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION, 0);
    cr_assert(down && down->publication->resync);
    cr_assert_eq(down->publication->n_resources, 2);
    world_forget(&w);
    world_report(&w, 2, 50, 7);
    tick(100);
    down = world_sent(&w, world_id(1), RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION, 0);
    cr_assert(down && !down->publication->resync);
    cr_assert_eq(down->publication->resources[0]->available[0]->quantity, 70000);
}

/* Malformed requests and unknown methods are refused, and harm nothing. */
Test(tables, malformed)
{
    static const uint8_t junk[] = {0xff, 0xff, 0xff, 0xff, 0x01, 0x0a, 0xff};
    struct answer a;

    for (unsigned i = 0; i < raia__gcs__gcs__descriptor.n_methods; i++) {
        answer_init(&a);
        gcs_core_call(w.core, w.now, i, junk, sizeof junk, &a.waiter);
        cr_assert(a.done && a.e.code == RAIA_ERR_PROTOCOL);
        answer_init(&a);
        gcs_core_call(w.core, w.now, i, NULL, 0, &a.waiter);
        lazy_flush(w.storage, SIZE_MAX);
        cr_assert(a.done);
        answer_fini(&a);
    }
    answer_init(&a);
    gcs_core_call(w.core, w.now, 1000, NULL, 0, &a.waiter);
    cr_assert(a.done && a.e.code == RAIA_ERR_UNSUPPORTED);
}
