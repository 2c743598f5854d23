/* The commit pipeline: write before reply before publish, one order, and what breaks it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "test/world.h"

static struct world w;

static void begin(void)
{
    world_init(&w, NULL);
}

static void end(void)
{
    world_fini(&w);
}

TestSuite(pipeline, .init = begin, .fini = end);

static void put(const char *key, const char *value, struct answer *a)
{
    Raia__Gcs__KvPutRequest m = RAIA__GCS__KV_PUT_REQUEST__INIT;

    m.ns = (char *)(uintptr_t) "n";
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    m.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)(uintptr_t)value};
    m.overwrite = true;
    world_start(&w, "KvPut", &m.base, a);
}

static void get(const char *key, struct answer *a)
{
    Raia__Gcs__KvGetRequest m = RAIA__GCS__KV_GET_REQUEST__INIT;

    m.ns = (char *)(uintptr_t) "n";
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    world_start(&w, "KvGet", &m.base, a);
}

static bool found(struct answer *a)
{
    Raia__Gcs__KvGetReply *reply =
        pb_unpack(&raia__gcs__kv_get_reply__descriptor, a->data, a->size);
    bool is = reply->found;

    pb_free(&reply->base);
    return is;
}

/* No reply before its write is durable; a read of what is not durable waits too. */
Test(pipeline, write_before_reply)
{
    struct answer a, b, c;

    get("k", &b);
    cr_assert(b.done && !found(&b), "a read with nothing under way is answered at once");
    answer_fini(&b);
    put("k", "v", &a);
    get("k", &b);
    cr_assert(!a.done && !b.done);
    lazy_flush(w.storage, 1);
    cr_assert(a.done && b.done && found(&b));
    answer_fini(&b);
    answer_fini(&a);
    put("l", "1", &a);
    put("m", "1", &b);
    get("m", &c);
    lazy_flush(w.storage, 1);
    cr_assert(a.done && !b.done && !c.done, "in order");
    lazy_flush(w.storage, 1);
    cr_assert(b.done && c.done);
    answer_fini(&a);
    answer_fini(&b);
    answer_fini(&c);
}

/* What was not durable at a crash is gone, and nobody was told of it. */
Test(pipeline, crash_loses_only_unacknowledged)
{
    struct answer a, b;

    put("k", "v", &a);
    lazy_flush(w.storage, 1);
    put("l", "v", &b);
    cr_assert(a.done && !b.done);
    world_crash(&w);
    cr_assert(b.done && b.e.code == RAIA_ERR_SHUTDOWN);
    answer_fini(&a);
    answer_fini(&b);
    get("k", &a);
    get("l", &b);
    cr_assert(found(&a) && !found(&b));
    answer_fini(&a);
    answer_fini(&b);
}

/* No publication before its write is durable. */
Test(pipeline, write_before_publish)
{
    Raia__Gcs__UnregisterNodeRequest m = RAIA__GCS__UNREGISTER_NODE_REQUEST__INIT;
    struct answer a;

    world_node(&w, 1, true, 1);
    world_node(&w, 2, false, 1);
    world_subscribe(&w, 1, RAIA__GCS__CHANNEL__CHANNEL_NODE, (ProtobufCBinaryData){0});
    world_forget(&w);
    m.node_id = world_bytes(2);
    world_start(&w, "UnregisterNode", &m.base, &a);
    cr_assert_eq(w.n_sent, 0);
    lazy_flush(w.storage, SIZE_MAX);
    cr_assert(a.done);
    cr_assert(world_sent(&w, world_id(1), RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION, 0));
    answer_fini(&a);
}

/* A failed write breaks it: all who wait are answered, the owner is told, nothing more is taken. */
Test(pipeline, failed_write)
{
    struct answer a, b, c;

    put("k", "v", &a);
    put("l", "v", &b);
    lazy_fail(w.storage, RAIA_ERR_DISK_FULL);
    lazy_flush(w.storage, 1);
    cr_assert_eq(w.broken.code, RAIA_ERR_DISK_FULL);
    cr_assert(a.done && a.e.code == RAIA_ERR_UNAVAILABLE && a.e.maybe_executed);
    cr_assert(b.done && b.e.code == RAIA_ERR_UNAVAILABLE);
    put("m", "v", &c);
    cr_assert(c.done && c.e.code == RAIA_ERR_UNAVAILABLE);
    lazy_flush(w.storage, SIZE_MAX);
    world_crash(&w);
    get("k", &c);
    cr_assert(!found(&c));
    answer_fini(&c);
}

/* A commit larger than the driver's transaction is stored in parts, and answered after the last. */
Test(pipeline, large_commit)
{
    Raia__Gcs__KvDelRequest m = RAIA__GCS__KV_DEL_REQUEST__INIT;
    struct answer a;
    char key[16];

    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "p%d", i);
        put(key, "v", &a);
        lazy_flush(w.storage, SIZE_MAX);
        answer_fini(&a);
    }
    m.ns = (char *)(uintptr_t) "n";
    m.key = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "p"};
    m.by_prefix = true;
    world_start(&w, "KvDel", &m.base, &a);
    cr_assert_eq(lazy_waiting(w.storage), 3, "16 operations each");
    lazy_flush(w.storage, 2);
    cr_assert(!a.done);
    lazy_flush(w.storage, 1);
    cr_assert(a.done);
    answer_fini(&a);
    world_crash(&w);
    get("p7", &a);
    cr_assert(!found(&a));
    answer_fini(&a);
}

/* Too many commits waiting: requests are refused, and taken again later. */
Test(pipeline, overload)
{
    struct gcs_config config = {.max_commits = 3};
    struct answer a[4];

    world_fini(&w);
    world_init(&w, &config);
    for (int i = 0; i < 4; i++)
        put("k", "v", &a[i]);
    cr_assert(!a[2].done && a[3].done && a[3].e.code == RAIA_ERR_UNAVAILABLE);
    lazy_flush(w.storage, SIZE_MAX);
    for (int i = 0; i < 4; i++)
        answer_fini(&a[i]);
    put("k", "v", &a[0]);
    lazy_flush(w.storage, SIZE_MAX);
    cr_assert(a[0].done && a[0].e.code == 0);
    answer_fini(&a[0]);
}
