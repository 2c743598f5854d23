/* The real raia-gcs: what it acknowledged survives kill -9, and it ends in order. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "test/client.h"

static struct gcs_process p;
static struct gcs_client c;

static void begin(void)
{
    gcs_process_start(&p, NULL);
    gcs_client_open(&c, p.port);
}

static void end(void)
{
    gcs_client_close(&c);
    gcs_process_done(&p);
}

TestSuite(process, .init = begin, .fini = end, .timeout = 240);

static void restart(const char *const *more)
{
    gcs_client_close(&c);
    gcs_process_kill(&p);
    gcs_process_start(&p, more);
    gcs_client_open(&c, p.port);
}

static uint32_t add_job(uint8_t token, uint8_t node)
{
    Raia__Gcs__AddJobRequest m = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__Job job = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;
    Raia__Gcs__AddJobReply *reply;
    uint32_t id;

    driver.node_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)gcs_id(node)};
    driver.worker_id = driver.node_id;
    job.driver = &driver;
    m.job = &job;
    m.token = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)gcs_id(token)};
    reply = gcs_client_call(&c, "AddJob", &m.base);
    cr_assert(reply, "%s", c.error.text);
    cr_assert_eq(reply->job_id.len, 4);
    id = (uint32_t)reply->job_id.data[3] | (uint32_t)reply->job_id.data[2] << 8;
    pb_free(&reply->base);
    return id;
}

static bool kv_put(const char *key, const char *value)
{
    Raia__Gcs__KvPutRequest m = RAIA__GCS__KV_PUT_REQUEST__INIT;
    Raia__Gcs__KvPutReply *reply;

    m.ns = (char *)(uintptr_t) "test";
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    m.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)(uintptr_t)value};
    m.overwrite = true;
    reply = gcs_client_call(&c, "KvPut", &m.base);
    if (!reply)
        return false;
    pb_free(&reply->base);
    return true;
}

static bool kv_is(const char *key, const char *value)
{
    Raia__Gcs__KvGetRequest m = RAIA__GCS__KV_GET_REQUEST__INIT;
    Raia__Gcs__KvGetReply *reply;
    bool is;

    m.ns = (char *)(uintptr_t) "test";
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    reply = gcs_client_call(&c, "KvGet", &m.base);
    cr_assert(reply, "%s", c.error.text);
    is = value ? reply->found && pb_bytes_equal(reply->value, value, strlen(value)) : !reply->found;
    pb_free(&reply->base);
    return is;
}

static size_t count_nodes(bool dead)
{
    Raia__Gcs__ListNodesRequest m = RAIA__GCS__LIST_NODES_REQUEST__INIT;
    Raia__Gcs__ListNodesReply *reply;
    size_t n;

    m.include_dead = dead;
    reply = gcs_client_call(&c, "ListNodes", &m.base);
    cr_assert(reply, "%s", c.error.text);
    n = reply->n_nodes;
    pb_free(&reply->base);
    return n;
}

/* Nodes, jobs and pairs that were acknowledged are there after kill -9; ids go on; tokens are known. */
Test(process, acknowledged_survives_kill)
{
    gcs_client_register(&c, 1, true, NULL);
    gcs_client_register(&c, 2, false, NULL);
    cr_assert_eq(add_job(7, 1), 1);
    cr_assert_eq(add_job(8, 2), 2);
    cr_assert(kv_put("k", "v1"));
    cr_assert(kv_put("k", "v2"));
    restart(NULL);
    cr_assert_eq(count_nodes(false), 2);
    cr_assert(kv_is("k", "v2"));
    cr_assert_eq(add_job(7, 1), 1, "the token of job 1 is known");
    cr_assert_eq(add_job(9, 1), 3, "ids go on");
    gcs_client_register(&c, 3, true, (const char *)gcs_id(1));
    cr_assert_eq(count_nodes(false), 2, "node 3 replaced node 1");
    cr_assert_eq(count_nodes(true), 3);
}

/* A crash between write and reply loses nothing: the write is there, and asking again is harmless. */
Test(process, crash_before_reply)
{
    const char *const fault[] = {"--fault=gcs.commit.before_reply=crash,after=2", NULL};

    restart(fault); /* hits: the start's own commit, then the registration */
    gcs_client_register(&c, 1, true, NULL);
    gcs_client_close(&c);
    gcs_client_open(&c, p.port);
    cr_assert(!kv_put("k", "v"), "no reply comes");
    cr_assert_eq(WEXITSTATUS(gcs_process_wait(&p)), FAULT_EXIT_STATUS);
    gcs_client_close(&c);
    gcs_process_start(&p, NULL);
    gcs_client_open(&c, p.port);
    cr_assert(kv_is("k", "v"), "it was written before the reply");
}

/* SIGTERM: it ends with status 0, soon, with a client connected; the state is kept. */
Test(process, term)
{
    gcs_client_register(&c, 1, true, NULL);
    cr_assert(kv_put("a", "b"));
    cr_assert_eq(gcs_process_term(&p), 0);
    gcs_client_close(&c);
    gcs_process_start(&p, NULL);
    gcs_client_open(&c, p.port);
    cr_assert(kv_is("a", "b"));
}

static void subscribe(Raia__Gcs__Channel channel)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__Subscribe m = RAIA__GCS__SUBSCRIBE__INIT;

    m.channel = channel;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_SUBSCRIBE;
    up.subscribe = &m;
    gcs_client_up(&c, &up);
}

static void hello(uint8_t node)
{
    Raia__Gcs__SessionHello m = RAIA__GCS__SESSION_HELLO__INIT;

    m.node_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)gcs_id(node)};
    gcs_client_hello(&c, &m);
}

/* A session hears of nodes that are there, of those that join, and of ended jobs. */
Test(process, session)
{
    Raia__Gcs__FinishJobRequest finish = RAIA__GCS__FINISH_JOB_REQUEST__INIT;
    Raia__Gcs__SessionDown *down;
    uint8_t job[4] = {0, 0, 0, 1};
    Raia__Gcs__Empty *empty;

    gcs_client_register(&c, 1, true, NULL);
    hello(1);
    subscribe(RAIA__GCS__CHANNEL__CHANNEL_NODE);
    down = gcs_client_down(&c, RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION, 0);
    cr_assert_eq(down->publication->n_nodes, 1);
    gcs_client_register(&c, 2, false, NULL);
    down = gcs_client_down(&c, RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION, 1);
    cr_assert_eq(down->publication->n_nodes, 1);
    cr_assert(pb_bytes_equal(down->publication->nodes[0]->node_id, gcs_id(2), 16));
    cr_assert_eq(add_job(5, 1), 1);
    finish.job_id = PB_BYTES(job);
    empty = gcs_client_call(&c, "FinishJob", &finish.base);
    cr_assert(empty);
    pb_free(&empty->base);
    down = gcs_client_down(&c, RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED, 0);
    cr_assert(pb_bytes_equal(down->job_ended->job_id, job, 4));
}

/* A node that nobody registered gets no session. */
Test(process, session_of_unknown_node)
{
    hello(9);
    while (!c.session_ended)
        (void)loop_run_once(c.loop, 100);
    cr_assert_eq(c.error.code, RAIA_ERR_STATE);
}

/* A node that sends no heartbeat is declared dead after its lease, and is told so. */
Test(process, lease)
{
    const char *const quick[] = {"--lease=300ms", "--lease-grace=100ms", NULL};
    Raia__Gcs__HeartbeatRequest m = RAIA__GCS__HEARTBEAT_REQUEST__INIT;
    Raia__Gcs__HeartbeatReply *reply;

    restart(quick);
    gcs_client_register(&c, 1, true, NULL);
    while (count_nodes(false) == 1)
        (void)loop_run_once(c.loop, 50);
    m.node_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)gcs_id(1)};
    reply = gcs_client_call(&c, "Heartbeat", &m.base);
    cr_assert(reply && reply->unknown);
    pb_free(&reply->base);
}

/* ---- packages ---- */

struct transfer {
    struct rpc_stream *st;               /* NULL: closed */
    bool closed;                         /* it is */
    bool failed;                         /* with an error */
    bool status;                         /* a status came */
    bool exists;                         /* it said so */
    bool end;                            /* the end came */
    size_t size;                         /* bytes that came */
    char sha256[CRYPTO_SHA256_HEX_SIZE]; /* of them */
    struct crypto_sha256 *hash;          /* being made */
};

static void transfer_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct transfer *x = arg;
    _cleanup_(pb_freep) Raia__Gcs__PackageDown *down =
        pb_unpack(&raia__gcs__package_down__descriptor, data, size);

    (void)st;
    cr_assert(down);
    switch (down->body_case) {
    case RAIA__GCS__PACKAGE_DOWN__BODY_STATUS:
        x->status = true;
        x->exists = down->status->exists;
        break;
    case RAIA__GCS__PACKAGE_DOWN__BODY_CHUNK:
        x->size += down->chunk.len;
        cr_assert_eq(crypto_sha256_add(x->hash, down->chunk.data, down->chunk.len), 0);
        break;
    default:
        x->end = true;
    }
}

static void transfer_close(void *arg, struct rpc_stream *st, const struct raia_error *e)
{
    struct transfer *x = arg;

    (void)st;
    x->closed = true;
    x->failed = e != NULL;
    x->st = NULL;
}

static const struct rpc_stream_cbs transfer_callbacks = {.on_message = transfer_message,
                                                         .on_close = transfer_close};

static void send_up(struct transfer *x, const Raia__Gcs__PackageUp *up)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(&up->base, &size);

    while (x->st && rpc_stream_send(x->st, data, size) == -RAIA_ERR_LIMIT)
        (void)loop_run_once(c.loop, 100);
}

static void transfer_begin(struct transfer *x, const char *method, const char *sha256, size_t size)
{
    Raia__Gcs__PackageUp up = RAIA__GCS__PACKAGE_UP__INIT;
    Raia__Gcs__PackageHeader h = RAIA__GCS__PACKAGE_HEADER__INIT;

    *x = (struct transfer){.hash = crypto_sha256_new()};
    cr_assert_eq(rpc_stream_open(c.ch, method, 60000, &transfer_callbacks, x, &x->st, NULL), 0);
    h.sha256 = (char *)(uintptr_t)sha256;
    h.size = size;
    h.mode = 0755;
    up.body_case = RAIA__GCS__PACKAGE_UP__BODY_HEADER;
    up.header = &h;
    send_up(x, &up);
}

static void transfer_finish(struct transfer *x)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];

    while (!x->closed)
        (void)loop_run_once(c.loop, 100);
    cr_assert_eq(crypto_sha256_end(x->hash, digest), 0);
    crypto_hex(digest, sizeof digest, x->sha256);
    crypto_sha256_free(x->hash);
}

static void put(struct transfer *x, const char *sha256, uint8_t *bytes, size_t size)
{
    Raia__Gcs__PackageUp up = RAIA__GCS__PACKAGE_UP__INIT;

    transfer_begin(x, "/raia.gcs.Gcs/PutPackage", sha256, size);
    for (size_t at = 0; at < size; at += 256 << 10) {
        size_t n = size - at < 256 << 10 ? size - at : 256 << 10;

        up.body_case = RAIA__GCS__PACKAGE_UP__BODY_CHUNK;
        up.chunk = (ProtobufCBinaryData){n, bytes + at};
        send_up(x, &up);
    }
    up.body_case = RAIA__GCS__PACKAGE_UP__BODY_END;
    up.end = true;
    send_up(x, &up);
    transfer_finish(x);
}

/* A package that was put is got back whole, also after kill -9; a wrong one is not kept. */
Test(process, packages)
{
    enum { SIZE = 9 * 1000 * 1000 + 3 };
    uint8_t *bytes = mem_alloc(SIZE), digest[CRYPTO_SHA256_SIZE];
    char sha256[CRYPTO_SHA256_HEX_SIZE];
    struct transfer x;

    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    cr_assert_eq(crypto_sha256(bytes, SIZE, digest), 0);
    crypto_hex(digest, sizeof digest, sha256);
    bytes[5] ^= 1;
    put(&x, sha256, bytes, SIZE);
    cr_assert(x.failed, "what does not fit its name is refused");
    bytes[5] ^= 1;
    transfer_begin(&x, "/raia.gcs.Gcs/GetPackage", sha256, 0);
    transfer_finish(&x);
    cr_assert(x.status && !x.exists && !x.failed);
    put(&x, sha256, bytes, SIZE);
    cr_assert(x.status && x.exists && !x.failed);
    restart(NULL);
    transfer_begin(&x, "/raia.gcs.Gcs/GetPackage", sha256, 0);
    transfer_finish(&x);
    cr_assert(x.status && x.exists && x.end && !x.failed);
    cr_assert_eq(x.size, SIZE);
    cr_assert_str_eq(x.sha256, sha256);
    put(&x, "../../../etc/passwd", bytes, 10);
    cr_assert(x.failed, "a name is a digest");
    mem_free(bytes);
}
