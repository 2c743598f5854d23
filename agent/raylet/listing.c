/*
 * What runs and lies on this node, for who asks: raia.raylet.Raylet, ListTasks, ListObjects,
 * ListWorkers. Tasks and owned objects are known to the processes only: each is asked with
 * REC_LIST, and what has answered REC_LISTED within the time makes the reply; the others are named
 * in it. Nothing is kept or sent while nobody asks. docs/design/state-api.md.
 */
#define LOG_MODULE "raylet.listing"
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "raylet.pb-c.h"
#include "raylet/raylet.h"
#include "store/store.h"

#define LISTINGS_MAX 8           /* of each kind under way; further ones are refused */
#define BYTES_MAX    (14u << 20) /* of a reply; the rpc takes 16 MiB */
#define WAIT_MS      1000        /* for processes, unless the asker says */
#define WAIT_MS_MAX  30000

/* A process that was asked. */
struct asked {
    uint32_t client;     /* the session's number, never reused */
    bool done;           /* it answered, or is gone */
    struct worker_id id; /* its own */
    int32_t pid;
    bool driver;
};

struct listing {
    struct list link; /* raylet.listings */
    struct raylet *r;
    struct rpc_request *q;
    uint64_t tag;     /* of the REC_LISTs */
    uint32_t what;    /* enum rec_list_what */
    uint32_t limit;   /* rows of each process, and of the store */
    uint32_t stored;  /* rows of the store so far */
    uint32_t n;       /* entries of asked */
    uint32_t waiting; /* of those not done */
    uint64_t total;   /* rows there are */
    bool full;        /* BYTES_MAX was met */
    struct buf out;   /* packed replies, one behind the other */
    struct loop_timer timer;
    struct asked asked[];
};

static ProtobufCBinaryData bytes(const void *data, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data};
}

static bool put_bytes(struct listing *l, const void *data, size_t size)
{
    if (l->out.size + size > BYTES_MAX || buf_put_bytes(&l->out, data, size) < 0)
        l->full = true;
    return !l->full;
}

static void put(struct listing *l, const ProtobufCMessage *m)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *at;

    if (l->out.size + size > BYTES_MAX || buf_grow(&l->out, size, &at) < 0)
        l->full = true;
    else
        protobuf_c_message_pack(m, at);
}

/* ---- the end of a listing */

/* The number of rows, and who did not answer. */
static void put_end(struct listing *l)
{
    Raia__Raylet__ListTasksReply tasks = RAIA__RAYLET__LIST_TASKS_REPLY__INIT;
    Raia__Raylet__ListObjectsReply objects = RAIA__RAYLET__LIST_OBJECTS_REPLY__INIT;

    for (uint32_t i = 0; i < l->n; i++) {
        Raia__Raylet__Silent s = RAIA__RAYLET__SILENT__INIT, *one = &s;

        if (l->asked[i].done)
            continue;
        s.worker_id = bytes(l->asked[i].id.bytes, 16);
        s.pid = l->asked[i].pid;
        s.driver = l->asked[i].driver;
        s.why = (char *)(uintptr_t) "it did not answer in time";
        tasks.silent = objects.silent = &one;
        tasks.n_silent = objects.n_silent = 1;
        put(l, l->what == LIST_TASKS ? &tasks.base : &objects.base);
        tasks.n_silent = objects.n_silent = 0;
    }
    tasks.total = objects.total = l->total;
    put(l, l->what == LIST_TASKS ? &tasks.base : &objects.base);
}

static void listing_free(struct listing *l)
{
    loop_timer_stop(&l->timer);
    list_del(&l->link);
    buf_fini(&l->out);
    mem_free(l);
}

static void finish(struct listing *l)
{
    put_end(l);
    if (l->out.err)
        rpc_reply_error(l->q, RAIA_ERR_NOMEM, "the raylet is out of memory");
    else
        rpc_reply(l->q, l->out.data, l->out.size);
    listing_free(l);
}

static void on_time(struct loop_timer *t)
{
    finish(LOOP_OF(t, struct listing, timer));
}

void listings_free(struct raylet *r)
{
    struct listing *l, *next;

    LIST_FOREACH_SAFE (l, next, &r->listings, link) {
        rpc_reply_error(l->q, RAIA_ERR_UNAVAILABLE, "the raylet ends");
        listing_free(l);
    }
}

/* ---- processes */

static struct asked *asked_find(struct listing *l, const struct session *s)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->asked[i].client == s->client && !l->asked[i].done)
            return &l->asked[i];
    return NULL;
}

static void asked_done(struct listing *l, struct asked *a)
{
    a->done = true;
    if (--l->waiting == 0)
        loop_timer_start(l->r->loop, &l->timer, 0, 0, on_time);
}

/* It is what it says, and says how many rows there are. */
static int check(uint32_t what, const void *data, size_t size, uint64_t *ret_total)
{
    const ProtobufCMessageDescriptor *d = what == LIST_TASKS
                                              ? &raia__raylet__list_tasks_reply__descriptor
                                              : &raia__raylet__list_objects_reply__descriptor;
    ProtobufCMessage *m;
    int r = proto_unpack(d, data, size, &m);

    if (r < 0)
        return r;
    *ret_total = what == LIST_TASKS
                     ? ((const Raia__Raylet__ListTasksReply *)(const void *)m)->total
                     : ((const Raia__Raylet__ListObjectsReply *)(const void *)m)->total;
    proto_free(m);
    return 0;
}

int listing_answered(struct session *s, uint64_t tag, const void *data, size_t size)
{
    struct listing *l;
    struct asked *a;
    uint64_t total;
    int r;

    LIST_FOREACH (l, &s->r->listings, link) {
        if (l->tag != tag)
            continue;
        a = asked_find(l, s);
        if (!a)
            return -RAIA_ERR_PROTOCOL;
        r = check(l->what, data, size, &total);
        if (r < 0)
            return r == -RAIA_ERR_NOMEM ? 0 : r; /* without memory: as if it had not answered */
        l->total += total;
        if (!l->full)
            put_bytes(l, data, size);
        asked_done(l, a);
        return 0;
    }
    return 0; /* too late */
}

void listing_gone(struct session *s)
{
    struct listing *l;
    struct asked *a;

    LIST_FOREACH (l, &s->r->listings, link)
        if ((a = asked_find(l, s)))
            asked_done(l, a);
}

/* Only daemons of the cluster may ask; false: refused. */
static bool admit(const struct raylet *r, struct rpc_request *q)
{
    if (!*r->config.tls_dir || rpc_peer_is(rpc_request_peer(q), TLS_NAME))
        return true;
    rpc_reply_error(q, RAIA_ERR_PERMISSION, "only daemons of the cluster may ask this");
    return false;
}

static struct listing *listing_new(struct raylet *r, struct rpc_request *q, uint32_t what,
                                   const void *data, size_t size)
{
    uint32_t n = HASH_COUNT(r->by_worker), wait = WAIT_MS;
    Raia__Raylet__ListRequest *m = NULL;
    struct listing *l;
    bool bad;

    if (!admit(r, q))
        return NULL;
    bad =
        proto_unpack(&raia__raylet__list_request__descriptor, data, size, &m) == -RAIA_ERR_PROTOCOL;
    l = m ? mem_alloc(sizeof *l + n * sizeof l->asked[0]) : NULL;
    if (!l) {
        rpc_reply_error(q, bad ? RAIA_ERR_INVALID : RAIA_ERR_NOMEM, "%s",
                        bad ? "the request cannot be read" : "the raylet is out of memory");
        proto_free(m);
        return NULL;
    }
    *l = (struct listing){.r = r, .q = q, .what = what, .tag = ++r->next_listing};
    l->limit = m->limit && m->limit < LIST_ROWS_MAX ? m->limit : LIST_ROWS_MAX;
    if (m->timeout_ms)
        wait = m->timeout_ms < WAIT_MS_MAX ? m->timeout_ms : WAIT_MS_MAX;
    proto_free(m);
    buf_init(&l->out, BYTES_MAX + (1u << 20));
    list_add_tail(&r->listings, &l->link);
    loop_timer_start(r->loop, &l->timer, wait, 0, on_time);
    return l;
}

static void ask_all(struct listing *l)
{
    const struct rec_list m = {.what = l->what, .limit = l->limit};
    struct session *s, *next;

    HASH_FOREACH (l->r->by_worker, s, next) {
        struct asked *a = &l->asked[l->n];

        if (s->state != SESSION_LIVE)
            continue;
        *a = (struct asked){.client = s->client, .id = s->id, .pid = s->pid};
        a->driver = s->kind == RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER;
        l->n++;
        l->waiting++;
        session_send(s, REC_LIST, 0, l->tag, &m, sizeof m, NULL, 0);
        /* A process at work in its own code is woken too: the library's thread answers. */
        if (s->ring_open)
            ring_commit(&s->ring.tx, true);
    }
    if (l->waiting == 0)
        loop_timer_start(l->r->loop, &l->timer, 0, 0, on_time);
}

static void on_tasks(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    struct listing *l = listing_new(arg, q, LIST_TASKS, data, size);

    if (l)
        ask_all(l);
}

/* ---- objects */

static void put_object(void *arg, const struct store_object_info *o)
{
    struct listing *l = arg;
    Raia__Raylet__ListObjectsReply one = RAIA__RAYLET__LIST_OBJECTS_REPLY__INIT;
    Raia__Raylet__Object m = RAIA__RAYLET__OBJECT__INIT, *rows = &m;
    Raia__Address owner = RAIA__ADDRESS__INIT;
    static const struct record_address unknown;

    l->total++;
    if (l->stored == l->limit || l->full)
        return;
    l->stored++;
    m.object_id = bytes(o->object, 28);
    m.in_store = true;
    m.job_id = bytes(o->job, 4);
    m.size = o->size;
    m.pins = o->pins;
    m.sealed = o->sealed;
    m.primary = o->primary;
    if (memcmp(&o->owner, &unknown, sizeof unknown) != 0) {
        owner.node_id = bytes(o->owner.node, 16);
        owner.worker_id = bytes(o->owner.worker, 16);
        m.owner = &owner;
    }
    one.objects = &rows;
    one.n_objects = 1;
    put(l, &one.base);
}

static void on_objects(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    struct raylet *r = arg;
    struct listing *l = listing_new(r, q, LIST_OBJECTS, data, size);

    if (!l)
        return;
    objects_list(r, put_object, l);
    ask_all(l);
}

/* ---- workers */

static void put_worker(struct buf *b, Raia__Raylet__Worker *m)
{
    Raia__Raylet__ListWorkersReply one = RAIA__RAYLET__LIST_WORKERS_REPLY__INIT;
    uint8_t *at;

    one.workers = &m;
    one.n_workers = 1;
    if (buf_grow(b, protobuf_c_message_get_packed_size(&one.base), &at) == 0)
        protobuf_c_message_pack(&one.base, at);
}

static void put_workers(struct raylet *r, struct buf *b)
{
    for (const struct worker *w = r->workers; w; w = w->hh.next) {
        Raia__Raylet__Worker m = RAIA__RAYLET__WORKER__INIT;

        m.worker_id = bytes(w->id.bytes, 16);
        m.pid = w->pid;
        m.job_id = bytes(w->job, 4);
        m.state = (char *)(uintptr_t)status_worker_state(r, w);
        m.registered = w->registered;
        if (w->actor)
            m.actor_id = bytes(w->actor->id, 16);
        put_worker(b, &m);
    }
    for (const struct session *s = r->by_worker; s; s = s->hh.next) {
        Raia__Raylet__Worker m = RAIA__RAYLET__WORKER__INIT;

        if (s->kind != RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER || s->state != SESSION_LIVE)
            continue;
        m.worker_id = bytes(s->id.bytes, 16);
        m.driver = m.registered = true;
        m.pid = s->pid;
        m.job_id = bytes(s->job, 4);
        m.state = (char *)(uintptr_t) "connected";
        put_worker(b, &m);
    }
}

/* Processes are few (SESSIONS_MAX): all of them, whatever the limit. */
static void on_workers(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    Raia__Raylet__ListWorkersReply end = RAIA__RAYLET__LIST_WORKERS_REPLY__INIT;
    struct raylet *r = arg;
    uint8_t *at;
    struct buf b;

    (void)data;
    (void)size;
    if (!admit(r, q))
        return;
    buf_init(&b, BYTES_MAX);
    put_workers(r, &b);
    end.total = HASH_COUNT(r->workers);
    for (const struct session *s = r->by_worker; s; s = s->hh.next)
        end.total +=
            s->kind == RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER && s->state == SESSION_LIVE;
    if (buf_grow(&b, protobuf_c_message_get_packed_size(&end.base), &at) == 0)
        protobuf_c_message_pack(&end.base, at);
    if (b.err)
        rpc_reply_error(q, RAIA_ERR_NOMEM, "the raylet is out of memory");
    else
        rpc_reply(q, b.data, b.size);
    buf_fini(&b);
}

int listing_serve(struct raylet *r, struct raia_error *e)
{
    const struct rpc_method_opts few = {.max_active = LISTINGS_MAX};
    int got = rpc_server_unary(r->server, "/raia.raylet.Raylet/ListTasks", on_tasks, r, &few, e);

    if (got == 0)
        got =
            rpc_server_unary(r->server, "/raia.raylet.Raylet/ListObjects", on_objects, r, &few, e);
    if (got == 0)
        got =
            rpc_server_unary(r->server, "/raia.raylet.Raylet/ListWorkers", on_workers, r, &few, e);
    return got;
}
