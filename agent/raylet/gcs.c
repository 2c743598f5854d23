/*
 * The GCS as its client: registering, heartbeats and the lease that they renew, calls.
 */
#define LOG_MODULE "raylet.gcs"
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "json/json.h"
#include "raylet/gcs_impl.h"

#define REGISTER_RETRY_MS 500

struct call {
    struct rpc_call call;
    struct raylet *r;
    gcs_fn fn;
    void *arg;
};

static void on_reply(struct rpc_call *c, int status, const void *data, size_t size,
                     const struct raia_error *e)
{
    struct call *k = LOOP_OF(c, struct call, call);

    if (k->fn)
        k->fn(k->arg, status, data, size, e);
    mem_free(k);
}

int gcs_call_packed(struct raylet *r, const char *verb, const void *data, size_t size,
                    uint32_t timeout_ms, gcs_fn fn, void *arg)
{
    struct call *k = mem_new(struct call);
    char method[96];

    if (!k)
        return -RAIA_ERR_NOMEM;
    k->r = r;
    k->fn = fn;
    k->arg = arg;
    snprintf(method, sizeof method, "/raia.gcs.Gcs/%s", verb);
    rpc_call(r->gcs->channel, &k->call, method, data, size, timeout_ms, on_reply);
    return 0;
}

int gcs_call(struct raylet *r, const char *verb, const ProtobufCMessage *m, uint32_t timeout_ms,
             gcs_fn fn, void *arg)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    _cleanup_(mem_freep) uint8_t *data = mem_alloc(size + 1);

    if (!data || !r->gcs)
        return -RAIA_ERR_NOMEM;
    protobuf_c_message_pack(m, data);
    return gcs_call_packed(r, verb, data, size, timeout_ms, fn, arg);
}

struct rpc_channel *gcs_channel(struct raylet *r)
{
    return r->gcs ? r->gcs->channel : NULL;
}

bool gcs_registered(const struct raylet *r)
{
    return r->gcs && r->gcs->registered;
}

/* ---- heartbeats */

static void on_lease(struct loop_timer *t)
{
    struct gcs *g = LOOP_OF(t, struct gcs, lease);

    raylet_fence(g->r, "the control store has not answered for longer than the lease");
}

static void renew(struct gcs *g, uint64_t sent_ms)
{
    uint64_t now = loop_now_ms(g->r->loop), until = sent_ms + g->lease_ms;

    /* The lease counts from when the heartbeat was sent: that is when the GCS may count from. */
    loop_timer_start(g->r->loop, &g->lease, until > now ? until - now : 0, 0, on_lease);
}

static void on_heartbeat(struct rpc_call *c, int status, const void *data, size_t size,
                         const struct raia_error *e)
{
    struct gcs *g = LOOP_OF(c, struct gcs, heartbeat);
    Raia__Gcs__HeartbeatReply *m = NULL;
    struct proto_room room;

    if (status < 0) {
        log_warn_rl("a heartbeat was not answered", "error=%s", LOG_Q(e->text));
        return;
    }
    (void)proto_unpack_in(&room, &raia__gcs__heartbeat_reply__descriptor, data, size, &m);
    if (m && m->unknown)
        raylet_fence(g->r, "the control store holds this node dead");
    else if (m)
        renew(g, g->sent_ms);
    proto_free_in(&room, m);
}

static void on_beat(struct loop_timer *t)
{
    struct gcs *g = LOOP_OF(t, struct gcs, beat);
    Raia__Gcs__HeartbeatRequest m = RAIA__GCS__HEARTBEAT_REQUEST__INIT;
    uint8_t packed[64];

    if (rpc_call_active(&g->heartbeat))
        return;
    m.node_id = (ProtobufCBinaryData){16, g->r->node.bytes};
    m.sequence = ++g->sequence;
    g->sent_ms = loop_now_ms(g->r->loop);
    rpc_call(g->channel, &g->heartbeat, "/raia.gcs.Gcs/Heartbeat", packed,
             raia__gcs__heartbeat_request__pack(&m, packed), g->heartbeat_ms * 2, on_heartbeat);
}

/* ---- registering */

static void on_register_retry(struct loop_timer *t);

static void on_registered(void *arg, int status, const void *data, size_t size,
                          const struct raia_error *e)
{
    struct raylet *r = arg;
    struct gcs *g = r->gcs;
    Raia__Gcs__RegisterNodeReply *m = NULL;
    int got = 0;

    if (status == 0)
        got = proto_unpack(&raia__gcs__register_node_reply__descriptor, data, size, &m);
    if (!m) {
        struct raia_error own = {0};
        /* The end that is refused sees a closed connection: what it can know is told. */
        (void)raylet_check_tls(r, &own);
        log_warn_rl("cannot register with the control store", "address=%s error=%s hint=%s",
                    r->config.gcs_address,
                    LOG_Q(e                        ? e->text
                          : got == -RAIA_ERR_NOMEM ? "out of memory for its reply"
                                                   : "its reply makes no sense"),
                    LOG_Q(own.code ? own.text : ""));
        rpc_channel_connect(g->channel); /* its name may mean another address now */
        loop_timer_start(r->loop, &g->beat, REGISTER_RETRY_MS, 0, on_register_retry);
        return;
    }
    g->lease_ms = m->lease_ms > 0 ? (uint64_t)m->lease_ms : 10000;
    g->heartbeat_ms = m->heartbeat_ms > 0 ? (uint32_t)m->heartbeat_ms : 1000;
    g->registered = true;
    for (size_t i = 0; i < m->n_nodes; i++)
        nodes_changed(r, m->nodes[i]);
    log_info("joined the cluster", "node=%s address=%s nodes=%zu", r->node_text, r->address,
             m->n_nodes);
    proto_free(m);
    renew(g, loop_now_ms(r->loop));
    loop_timer_start(r->loop, &g->beat, g->heartbeat_ms, g->heartbeat_ms, on_beat);
    gcs_session_start(r);
    session_hello_joined(r);
    sup_ready(r);
}

/* Resources as messages; one allocation, to be freed by the caller. */
int gcs_resources(struct raylet *r, const struct res_set *set, Raia__Resource ***ret_list)
{
    Raia__Resource **list = mem_alloc(set->n * (sizeof *list + sizeof **list) + 1);
    Raia__Resource *item = (Raia__Resource *)(void *)(list + set->n);

    if (!list)
        return -RAIA_ERR_NOMEM;
    for (uint32_t i = 0; i < set->n; i++) {
        raia__resource__init(&item[i]);
        item[i].name = (char *)res_name(r->names, set->item[i].name);
        item[i].quantity = set->item[i].quantity;
        list[i] = &item[i];
    }
    *ret_list = list;
    return 0;
}

#define LABELS_MAX 64

static void register_now(struct raylet *r)
{
    Raia__Gcs__RegisterNodeRequest m = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Node node = RAIA__GCS__NODE__INIT;
    Raia__EnvVar label[LABELS_MAX], *labels[LABELS_MAX];
    struct gcs *g = r->gcs;
    char hostname[256] = "";
    _cleanup_(mem_freep) Raia__Resource **total = NULL;
    _cleanup_(json_freep) struct json *json = NULL;
    size_t n = 0;

    gethostname(hostname, sizeof hostname - 1);
    if (*r->config.labels &&
        json_parse(r->config.labels, strlen(r->config.labels), NULL, &json, NULL) == 0)
        JSON_FOREACH(it, json)
    if (n < LABELS_MAX && json_str(it)) {
        raia__env_var__init(&label[n]);
        label[n].name = (char *)json_key(it);
        label[n].value = (char *)json_str(it);
        labels[n] = &label[n];
        n++;
    }
    node.node_id = (ProtobufCBinaryData){16, r->node.bytes};
    node.name = r->config.node_name;
    node.address = r->address;
    node.hostname = hostname;
    node.is_head = r->config.head;
    node.raylet_pid = (int32_t)getpid();
    node.supervisor_pid = (int32_t)getppid();
    node.labels = labels;
    node.n_labels = n;
    node.store_capacity = r->store_capacity;
    if (gcs_resources(r, &sched_ledger(r->sched)->total, &total) == 0) {
        node.total = node.available = total;
        node.n_total = node.n_available = sched_ledger(r->sched)->total.n;
    }
    m.node = &node;
    m.replaces = (ProtobufCBinaryData){g->replaces_size, g->replaces};
    if (!total || gcs_call(r, "RegisterNode", &m.base, 10000, on_registered, r) < 0)
        loop_timer_start(r->loop, &g->beat, REGISTER_RETRY_MS, 0, on_register_retry);
}

static void on_register_retry(struct loop_timer *t)
{
    register_now(LOOP_OF(t, struct gcs, beat)->r);
}

void gcs_register(struct raylet *r, const void *replaces, size_t replaces_size)
{
    struct gcs *g = r->gcs;

    g->replaces_size = replaces_size == 16 ? 16 : 0;
    if (g->replaces_size)
        memcpy(g->replaces, replaces, 16);
    register_now(r);
}

int gcs_new(struct raylet *r, const struct rpc_tls *tls, struct raia_error *e)
{
    /* The certificates of daemons name no host: all have one common name. */
    struct rpc_channel_opts opts = {
        .tls = tls, .tls_name = tls ? TLS_NAME : NULL, .wait_for_ready = true};
    struct gcs *g = mem_new(struct gcs);
    int got;

    if (!g)
        return err_set(e, RAIA_ERR_NOMEM, "the control store's client");
    g->r = r;
    got = rpc_channel_new(r->loop, r->config.gcs_address, &opts, &g->channel, e);
    if (got < 0) {
        mem_free(g);
        return err_wrap(e, "--gcs-address %s", r->config.gcs_address);
    }
    r->gcs = g;
    return 0;
}

static void on_closed(void *arg)
{
    bool *closed = arg;

    *closed = true;
}

void gcs_free(struct raylet *r)
{
    struct gcs *g = r->gcs;
    bool closed = false;

    if (!g)
        return;
    loop_timer_stop(&g->beat);
    loop_timer_stop(&g->lease);
    gcs_session_free(r);
    rpc_channel_close(g->channel, on_closed, &closed);
    while (!closed)
        loop_run_once(r->loop, 1000);
    loop_timer_stop(&g->beat); /* calls that were cut off may have started them */
    loop_timer_stop(&g->lease);
    loop_timer_stop(&g->reopen);
    loop_timer_stop(&g->report);
    mem_free(g);
    r->gcs = NULL;
}
