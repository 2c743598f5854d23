/* A core whose surroundings are a test. */
#include "test/world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int on_send(void *arg, const struct node_id *node, const void *data, size_t size)
{
    struct world *w = arg;

    if (w->full)
        return -RAIA_ERR_LIMIT;
    if (w->n_sent == w->cap_sent) {
        w->cap_sent = w->cap_sent ? w->cap_sent * 2 : 16;
        w->sent = realloc(w->sent, w->cap_sent * sizeof *w->sent); /* never made to fail */
    }
    w->sent[w->n_sent].node = *node;
    w->sent[w->n_sent].down = raia__gcs__session_down__unpack(NULL, size, data); /* nor this */
    w->n_sent++;
    return 0;
}

static void on_disconnect(void *arg, const struct node_id *node)
{
    struct world *w = arg;

    (void)node;
    w->disconnects++;
}

static void on_broken(void *arg, const struct raia_error *e)
{
    ((struct world *)arg)->broken = *e;
}

struct loading {
    struct storage_snapshot snap; /* first */
    struct world *w;              /* whose */
};

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision)
{
    struct world *w = ((struct loading *)(void *)snap)->w;
    struct raia_error e = {0};

    (void)revision;
    cr_assert_eq(gcs_core_load(w->core, w->now, key, value, &e), 0, "%s", e.text);
}

static void on_rows(struct storage_snapshot *snap, int r, uint64_t revision,
                    const struct raia_error *e)
{
    (void)snap;
    (void)revision;
    (void)e;
    cr_assert_eq(r, 0);
}

static void live(struct world *w)
{
    struct loading loading = {.snap = {.row = on_row, .done = on_rows}, .w = w};
    struct raia_error e = {0};

    cr_assert_eq(lazy_open(w->inner, &w->storage), 0);
    cr_assert_eq(gcs_core_new(&w->config, w->storage, &w->fx, &w->core, &e), 0, "%s", e.text);
    storage_read(w->inner, &loading.snap);
    storage_step(w->inner);
    cr_assert_eq(gcs_core_start(w->core, w->now, "c1", &e), 0, "%s", e.text);
    lazy_flush(w->storage, SIZE_MAX);
}

void world_init(struct world *w, const struct gcs_config *config)
{
    *w = (struct world){.now = {.mono_ms = 1000000, .unix_ms = 1700000000000}};
    if (config)
        w->config = *config;
    w->fx = (struct gcs_effects){
        .send = on_send, .disconnect = on_disconnect, .broken = on_broken, .arg = w};
    cr_assert_eq(storage_open_memory(&w->inner, NULL), 0);
    live(w);
}

void world_forget(struct world *w)
{
    for (size_t i = 0; i < w->n_sent; i++)
        pb_free(&w->sent[i].down->base);
    w->n_sent = 0;
}

static void die(struct world *w)
{
    storage_free(w->storage);
    gcs_core_free(w->core);
}

void world_crash(struct world *w)
{
    die(w);
    world_forget(w);
    w->full = false;
    w->broken.code = 0;
    live(w);
}

void world_fini(struct world *w)
{
    die(w);
    world_forget(w);
    mem_free(w->sent);
    storage_free(w->inner);
}

static void on_answer(struct gcs_waiter *waiter, const struct raia_error *e, const void *data,
                      size_t size)
{
    struct answer *a = (struct answer *)(void *)waiter;

    cr_assert(!a->done, "answered once");
    a->done = true;
    if (e) {
        a->e = *e;
        return;
    }
    a->data = malloc(size + 1); /* never made to fail */
    if (size)
        memcpy(a->data, data, size);
    a->size = size;
}

void answer_init(struct answer *a)
{
    *a = (struct answer){.waiter.done = on_answer};
}

void answer_fini(struct answer *a)
{
    mem_free(a->data);
}

static unsigned method_of(const char *name)
{
    for (unsigned i = 0; i < raia__gcs__gcs__descriptor.n_methods; i++) {
        if (strcmp(raia__gcs__gcs__descriptor.methods[i].name, name) == 0)
            return i;
    }
    cr_assert_fail("no method %s", name);
    return 0;
}

void world_start(struct world *w, const char *method, const ProtobufCMessage *m, struct answer *a)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(m, &size);

    answer_init(a);
    gcs_core_call(w->core, w->now, method_of(method), data, size, &a->waiter);
}

void *world_call(struct world *w, const char *method, const ProtobufCMessage *m)
{
    struct answer a;
    void *reply = NULL;

    world_start(w, method, m, &a);
    lazy_flush(w->storage, SIZE_MAX);
    cr_assert(a.done, "%s is answered", method);
    if (a.e.code)
        w->error = a.e;
    else
        reply =
            pb_unpack(raia__gcs__gcs__descriptor.methods[method_of(method)].output, a.data, a.size);
    answer_fini(&a);
    return reply;
}

Raia__Gcs__SessionDown *world_sent(struct world *w, const uint8_t *node,
                                   Raia__Gcs__SessionDown__BodyCase kind, size_t n)
{
    for (size_t i = 0; i < w->n_sent; i++) {
        if (w->sent[i].down->body_case == kind &&
            (!node || memcmp(w->sent[i].node.bytes, node, 16) == 0) && n-- == 0)
            return w->sent[i].down;
    }
    return NULL;
}

const uint8_t *world_id(uint8_t byte)
{
    static uint8_t ids[256][16];

    memset(ids[byte], byte, 16);
    return ids[byte];
}

ProtobufCBinaryData world_bytes(uint8_t byte)
{
    return (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)world_id(byte)};
}

void world_report(struct world *w, uint8_t byte, uint64_t version, int cpus)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__ResourceReport m = RAIA__GCS__RESOURCE_REPORT__INIT;
    Raia__Resource cpu = RAIA__RESOURCE__INIT, *list = &cpu;

    cpu.name = (char *)(uintptr_t) "CPU";
    cpu.quantity = cpus * 10000;
    m.version = version;
    m.total = m.available = &list;
    m.n_total = m.n_available = 1;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_RESOURCES;
    up.resources = &m;
    world_up(w, byte, &up);
}

void world_up(struct world *w, uint8_t byte, const Raia__Gcs__SessionUp *up)
{
    struct node_id id;
    struct raia_error e = {0};

    memcpy(id.bytes, world_id(byte), 16);
    cr_assert_eq(gcs_core_session_message(w->core, w->now, &id, up, &e), 0, "%s", e.text);
    lazy_flush(w->storage, SIZE_MAX);
}

int world_hello(struct world *w, uint8_t byte, Raia__Gcs__ActorEvent **actors, size_t n)
{
    Raia__Gcs__SessionHello m = RAIA__GCS__SESSION_HELLO__INIT;
    int r;

    m.node_id = world_bytes(byte);
    m.actors = actors;
    m.n_actors = n;
    r = gcs_core_session_hello(w->core, w->now, &m, &w->error);
    lazy_flush(w->storage, SIZE_MAX);
    return r;
}

void world_node(struct world *w, uint8_t byte, bool head, int cpus)
{
    Raia__Gcs__RegisterNodeRequest m = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Node node = RAIA__GCS__NODE__INIT;
    Raia__Gcs__RegisterNodeReply *reply;

    node.node_id = world_bytes(byte);
    node.address = (char *)(uintptr_t) "host:1";
    node.is_head = head;
    m.node = &node;
    reply = world_call(w, "RegisterNode", &m.base);
    cr_assert(reply, "%s", w->error.text);
    pb_free(&reply->base);
    cr_assert_eq(world_hello(w, byte, NULL, 0), 0, "%s", w->error.text);
    world_report(w, byte, 1, cpus);
}

void world_subscribe(struct world *w, uint8_t byte, Raia__Gcs__Channel channel,
                     ProtobufCBinaryData key)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__Subscribe m = RAIA__GCS__SUBSCRIBE__INIT;

    m.channel = channel;
    m.key = key;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_SUBSCRIBE;
    up.subscribe = &m;
    world_up(w, byte, &up);
}

ProtobufCBinaryData world_job_id(uint32_t number)
{
    static uint8_t ids[256][4];

    ids[number & 255][2] = (uint8_t)(number >> 8);
    ids[number & 255][3] = (uint8_t)number;
    return (ProtobufCBinaryData){4, ids[number & 255]};
}

uint32_t world_job(struct world *w, uint8_t node, uint8_t token)
{
    Raia__Gcs__AddJobRequest m = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__Job job = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;
    Raia__Gcs__AddJobReply *reply;
    uint32_t id;

    driver.node_id = world_bytes(node);
    driver.worker_id = world_bytes(200);
    job.driver = &driver;
    m.job = &job;
    m.token = world_bytes(token);
    reply = world_call(w, "AddJob", &m.base);
    cr_assert(reply, "%s", w->error.text);
    id = (uint32_t)reply->job_id.data[2] << 8 | reply->job_id.data[3];
    pb_free(&reply->base);
    return id;
}
