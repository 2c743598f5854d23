/*
 * Leases: what clients ask of the scheduler, and what it answers.
 */
#define LOG_MODULE "raylet.leases"
#include <string.h>

#include "base/log.h"
#include "raylet/link_records.h"
#include "raylet/raylet.h"
#include "raylet/records.h"

/* ---- from clients */

int leases_class(struct session *s, const void *data, size_t size)
{
    struct records_class c;
    int r = records_class(data, size, s->r->names, &c);

    return r < 0 ? r : sched_class(s->r->sched, s->client, c.number, &c.need, c.spread);
}

int leases_demand(struct session *s, const void *data, size_t size)
{
    struct records_demand d;
    int r = records_demand(data, size, &d);

    if (r == 0)
        r = sched_demand(s->r->sched, raylet_now(s->r), s->client, d.d.number, d.d.want,
                         d.d.granted_seen, d.has_prefer ? d.prefer : NULL);
    raylet_touch(s->r);
    return r;
}

int leases_return(struct session *s, const void *data, size_t size)
{
    struct rec_lease_return rec;

    if (records_fixed(data, size, &rec, sizeof rec) < 0)
        return -RAIA_ERR_PROTOCOL;
    sched_return(s->r->sched, raylet_now(s->r), s->client, rec.node, rec.lease, rec.broken != 0);
    raylet_touch(s->r);
    return 0;
}

int leases_resources(struct raylet *r, Raia__Resource **list, size_t n, struct res_set *ret_set)
{
    struct res_set set = {0};

    for (size_t i = 0; i < n; i++) {
        uint16_t id;
        int got = res_name_id(r->names, list[i]->name, strlen(list[i]->name), &id);
        if (got == 0)
            got = res_set_add(&set, id, list[i]->quantity);
        if (got < 0)
            return got;
    }
    *ret_set = set;
    return 0;
}

/* ---- to clients */

static void on_grant(void *arg, uint64_t client, uint32_t number, uint64_t lease,
                     const uint8_t node[16], const uint8_t worker[16])
{
    struct session *s = session_client(arg, client);
    struct rec_lease rec = {.lease = lease, .number = number};

    if (!s)
        return;
    memcpy(rec.worker.node, node, 16);
    memcpy(rec.worker.worker, worker, 16);
    session_send(s, REC_LEASE, 0, 0, &rec, sizeof rec, NULL, 0);
}

static void on_reclaim(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16])
{
    struct session *s = session_client(arg, client);

    if (s)
        session_send(s, REC_LEASE_RECLAIM, 0, lease, node, 16, NULL, 0);
}

static void on_lost(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16],
                    const uint8_t worker[16], int status, int exit_status, const char *text)
{
    struct session *s = session_client(arg, client);
    struct rec_lease_lost rec = {.lease = lease, .status = status, .exit_status = exit_status};

    if (!s)
        return;
    memcpy(rec.worker.node, node, 16);
    memcpy(rec.worker.worker, worker, 16);
    session_send(s, REC_LEASE_LOST, 0, 0, &rec, sizeof rec, text, strlen(text));
}

static void on_failed(void *arg, uint64_t client, uint32_t number, int status, const char *text)
{
    struct session *s = session_client(arg, client);
    struct rec_demand_failed rec = {.number = number, .status = status};

    if (status != -RAIA_ERR_CANCELED)
        log_warn_rl("demand cannot be met", "error=%s", LOG_Q(text));
    if (s)
        session_send(s, REC_DEMAND_FAILED, 0, 0, &rec, sizeof rec, text, strlen(text));
}

static void on_taken(void *arg, uint64_t tag, uint64_t lease, uint64_t worker, int status,
                     const char *text)
{
    actors_taken(arg, tag, lease, worker, status, text);
}

/* ---- to other nodes */

/* A view that fits a record: what is available, by name. */
static int put_resources(struct raylet *r, const struct res_set *set, struct buf *b)
{
    buf_put_u32(b, set->n);
    for (uint32_t i = 0; i < set->n; i++) {
        buf_put_u64(b, (uint64_t)set->item[i].quantity);
        buf_put_str(b, res_name(r->names, set->item[i].name));
    }
    return b->err;
}

static void put_view(struct raylet *r, struct buf *b)
{
    struct res_set available;

    ledger_available(sched_ledger(r->sched), &available);
    buf_put_u64(b, sched_ledger(r->sched)->version);
    put_resources(r, &available, b);
}

static void send_buf(struct raylet *r, int node, uint16_t type, struct buf *b)
{
    uint8_t id[16];

    memcpy(id, sched_node_id(r->sched, node), 16);
    /* A record that cannot be sent: the link is full or gone. Leases may not be lost: break it. */
    if (b->err || nodes_send(r, id, type, NULL, 0, b->data, b->size, NULL, NULL) < 0)
        nodes_break(r, id, "a record about leases could not be sent");
    buf_fini(b);
}

static void on_ask(void *arg, int node, uint32_t request, uint32_t count,
                   const struct sched_shape *shape)
{
    struct raylet *r = arg;
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, request);
    buf_put_u32(&b, count);
    buf_put_bytes(&b, shape->job, 4);
    buf_put_u8(&b, shape->spread);
    put_resources(r, &shape->need, &b);
    send_buf(r, node, LINK_ASK, &b);
}

static void on_answer_grant(void *arg, int node, uint32_t request, uint64_t lease,
                            const uint8_t worker[16])
{
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, request);
    buf_put_u64(&b, lease);
    buf_put_bytes(&b, worker, 16);
    send_buf(arg, node, LINK_GRANT, &b);
}

static void on_answer_reject(void *arg, int node, uint32_t request, uint32_t count, int status,
                             const char *text)
{
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u32(&b, request);
    buf_put_u32(&b, count);
    buf_put_u32(&b, (uint32_t)status);
    buf_put_str(&b, text);
    put_view(arg, &b);
    send_buf(arg, node, LINK_REJECT, &b);
}

static void on_return_to(void *arg, int node, uint64_t lease, bool broken)
{
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u64(&b, lease);
    buf_put_u8(&b, broken);
    send_buf(arg, node, LINK_RETURN, &b);
}

static void on_reclaim_from(void *arg, int node, uint64_t lease)
{
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u64(&b, lease);
    send_buf(arg, node, LINK_RECLAIM, &b);
}

static void on_lost_at(void *arg, int node, uint64_t lease, int status, int exit_status,
                       const char *text)
{
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    buf_put_u64(&b, lease);
    buf_put_u32(&b, (uint32_t)status);
    buf_put_u32(&b, (uint32_t)exit_status);
    buf_put_str(&b, text);
    send_buf(arg, node, LINK_LOST, &b);
}

static void on_room(void *arg, int node)
{
    struct buf b;

    buf_init(&b, LINK_RECORD_MAX);
    put_view(arg, &b);
    send_buf(arg, node, LINK_ROOM, &b);
}

/* ---- from other nodes */

static int get_resources(struct raylet *r, struct reader *in, struct res_set *ret_set)
{
    struct res_set set = {0};
    uint32_t n = 0;

    reader_u32(in, &n);
    if (in->err || n > RES_SET_MAX)
        return -RAIA_ERR_PROTOCOL;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t quantity = 0;
        const char *name = NULL;
        size_t len = 0;
        uint16_t id;
        reader_u64(in, &quantity);
        if (reader_str(in, RES_NAME_SIZE - 1, &name, &len) < 0 || quantity > (uint64_t)RES_MAX ||
            res_name_id(r->names, name, len, &id) < 0 ||
            res_set_add(&set, id, (int64_t)quantity) < 0)
            return -RAIA_ERR_PROTOCOL;
    }
    *ret_set = set;
    return 0;
}

/* The view at the end of a record. */
static int get_view(struct raylet *r, const uint8_t node[16], struct reader *in)
{
    struct res_set available;
    uint64_t version = 0;

    reader_u64(in, &version);
    if (get_resources(r, in, &available) < 0 || reader_done(in) < 0)
        return -RAIA_ERR_PROTOCOL;
    return sched_node_view(r->sched, raylet_now(r), node, version, NULL, &available);
}

static int on_link_ask(struct raylet *r, int slot, struct reader *in)
{
    struct sched_shape shape = {0};
    uint32_t request = 0, count = 0;
    uint8_t spread = 0;

    reader_u32(in, &request);
    reader_u32(in, &count);
    reader_copy(in, shape.job, 4);
    reader_u8(in, &spread);
    if (get_resources(r, in, &shape.need) < 0 || reader_done(in) < 0)
        return -RAIA_ERR_PROTOCOL;
    shape.spread = spread != 0;
    sched_asked(r->sched, raylet_now(r), slot, request, count, &shape);
    return 0;
}

static int on_link_reject(struct raylet *r, const uint8_t node[16], int slot, struct reader *in)
{
    uint32_t request = 0, count = 0, status = 0;
    const char *text = NULL;
    size_t len = 0;
    char copy[RAIA_ERROR_TEXT_MAX];

    reader_u32(in, &request);
    reader_u32(in, &count);
    reader_u32(in, &status);
    if (reader_str(in, sizeof copy - 1, &text, &len) < 0)
        return -RAIA_ERR_PROTOCOL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (get_view(r, node, in) < 0)
        return -RAIA_ERR_PROTOCOL;
    sched_rejected(r->sched, raylet_now(r), slot, request, count, (int32_t)status, copy);
    return 0;
}

static int on_link_lost(struct raylet *r, int slot, struct reader *in)
{
    uint64_t lease = 0;
    uint32_t status = 0, exit_status = 0;
    const char *text = NULL;
    size_t len = 0;
    char copy[RAIA_ERROR_TEXT_MAX];

    reader_u64(in, &lease);
    reader_u32(in, &status);
    reader_u32(in, &exit_status);
    if (reader_str(in, sizeof copy - 1, &text, &len) < 0 || reader_done(in) < 0)
        return -RAIA_ERR_PROTOCOL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    sched_lost(r->sched, raylet_now(r), slot, lease, (int32_t)status, (int32_t)exit_status, copy);
    return 0;
}

int leases_link_record(struct raylet *r, const uint8_t node[16], uint16_t type, const void *data,
                       size_t size)
{
    int slot = sched_node_find(r->sched, node);
    int64_t now = raylet_now(r);
    struct reader in;
    uint64_t lease = 0;
    uint32_t request = 0;
    uint8_t worker[16], broken = 0;

    if (slot < 0)
        return 0;
    reader_init(&in, data, size);
    raylet_touch(r);
    switch (type) {
    case LINK_ASK:
        return on_link_ask(r, slot, &in);
    case LINK_GRANT:
        reader_u32(&in, &request);
        reader_u64(&in, &lease);
        reader_copy(&in, worker, 16);
        if (reader_done(&in) < 0)
            return -RAIA_ERR_PROTOCOL;
        sched_granted(r->sched, now, slot, request, lease, worker);
        return 0;
    case LINK_REJECT:
        return on_link_reject(r, node, slot, &in);
    case LINK_RETURN:
        reader_u64(&in, &lease);
        reader_u8(&in, &broken);
        if (reader_done(&in) < 0)
            return -RAIA_ERR_PROTOCOL;
        sched_returned(r->sched, now, slot, lease, broken != 0);
        return 0;
    case LINK_RECLAIM:
        reader_u64(&in, &lease);
        if (reader_done(&in) < 0)
            return -RAIA_ERR_PROTOCOL;
        sched_reclaimed(r->sched, now, slot, lease);
        return 0;
    case LINK_LOST:
        return on_link_lost(r, slot, &in);
    case LINK_ROOM:
        return get_view(r, node, &in);
    default:
        return -RAIA_ERR_PROTOCOL;
    }
}

/* ---- to the pool's other half, workers.c */

const struct sched_ops leases_ops = {
    .grant = on_grant,
    .reclaim = on_reclaim,
    .lost = on_lost,
    .failed = on_failed,
    .taken = on_taken,
    .reserved = entrypoints_reserved,
    .ask = on_ask,
    .answer_grant = on_answer_grant,
    .answer_reject = on_answer_reject,
    .return_to = on_return_to,
    .reclaim_from = on_reclaim_from,
    .lost_at = on_lost_at,
    .room = on_room,
    .spawn = workers_spawn,
    .stop = workers_stop,
};
