/*
 * The session stream to the GCS. It is opened anew whenever it ends; its first message tells all
 * that runs here, so that nothing depends on a message before having arrived.
 */
#define LOG_MODULE "raylet.gcs"
#include <string.h>

#include "store/store.h"
#include "base/err.h"
#include "base/hash64.h"
#include "base/log.h"
#include "raylet/gcs_impl.h"

#define REOPEN_MS 200
#define LIST_MS   10000 /* for the list of nodes */
#define REPORT_MS 100   /* at most one report in this time */
#define UP_MAX    (1u << 20)

void gcs_session_send(struct raylet *r, const Raia__Gcs__SessionUp *m)
{
    struct gcs *g = r->gcs;
    size_t size = raia__gcs__session_up__get_packed_size(m);
    _cleanup_(mem_freep) uint8_t *data = NULL;

    if (!g || !g->session || size > UP_MAX)
        return;
    data = mem_alloc(size + 1);
    if (!data)
        return;
    raia__gcs__session_up__pack(m, data);
    /* What cannot be sent makes the stream useless: hello will tell it. */
    if (rpc_stream_send(g->session, data, size) == -RAIA_ERR_LIMIT)
        rpc_stream_cancel(g->session);
}

/* ---- what comes down */

static void on_listed(void *arg, int status, const void *data, size_t size,
                      const struct raia_error *e)
{
    struct raylet *r = arg;
    Raia__Gcs__ListNodesReply *m;

    (void)e;
    if (status < 0 || proto_unpack(&raia__gcs__list_nodes_reply__descriptor, data, size, &m) < 0) {
        if (r->gcs->session)
            rpc_stream_cancel(r->gcs->session); /* again, with the next one */
        return;
    }
    for (size_t i = 0; i < m->n_nodes; i++)
        nodes_gone(r, m->nodes[i]);
    proto_free(m);
    raylet_touch(r);
}

/* What a subscription is answered with names those who live. Who died while there was no session is
 * asked for, and only now: an earlier answer could be older than the subscription. */
static void list_dead(struct raylet *r)
{
    Raia__Gcs__ListNodesRequest m = RAIA__GCS__LIST_NODES_REQUEST__INIT;

    if (r->gcs->listed)
        return;
    m.include_dead = true;
    m.limit = UINT32_MAX;
    r->gcs->listed = gcs_call(r, "ListNodes", &m.base, LIST_MS, on_listed, r) == 0;
}

static void on_publication(struct raylet *r, const Raia__Gcs__Publication *p)
{
    if (p->n_nodes)
        list_dead(r);
    if (p->resync)
        nodes_only(r, p->nodes, p->n_nodes);
    for (size_t i = 0; i < p->n_nodes; i++)
        nodes_changed(r, p->nodes[i]);
    for (size_t i = 0; i < p->n_resources; i++)
        nodes_resources(r, p->resources[i]);
    gcs_pass_publication(r, p);
    raylet_touch(r);
}

static void on_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct raylet *r = arg;
    Raia__Gcs__SessionDown *m;
    int got = proto_unpack(&raia__gcs__session_down__descriptor, data, size, &m);

    if (got < 0) {
        /* The next session begins with all of it. */
        log_warn_rl("a message of the control store cannot be read", "bytes=%zu error=%s", size,
                    LOG_Q(raia_strerror(got)));
        rpc_stream_cancel(st);
        return;
    }
    switch (m->body_case) {
    case RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION:
        on_publication(r, m->publication);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_START_ENTRYPOINT:
        entrypoints_start(r, m->start_entrypoint);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_STOP_ENTRYPOINT:
        entrypoints_stop(r, m->stop_entrypoint->submission_id, m->stop_entrypoint->attempt);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_ENTRYPOINT_ACK:
        entrypoints_ack(r, m->entrypoint_ack->submission_id, m->entrypoint_ack->attempt);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_CREATE_ACTOR:
        if (m->create_actor->actor)
            actors_create(r, m->create_actor->actor);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_KILL_ACTOR:
        actors_kill(r, m->kill_actor);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED:
        if (m->job_ended->job_id.len == 4)
            job_ended(r, m->job_ended->job_id.data);
        break;
    default:
        log_warn_rl("the control store said something unknown", "body=%d", (int)m->body_case);
    }
    proto_free(m);
}

static void on_reopen(struct loop_timer *t)
{
    gcs_session_start(LOOP_OF(t, struct gcs, reopen)->r);
}

static void on_close(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    struct raylet *r = arg;

    (void)st;
    r->gcs->session = NULL;
    log_warn_rl("the session with the control store ended", "error=%s",
                LOG_Q(err ? err->text : "it was closed"));
    if (!r->stopping)
        loop_timer_start(r->loop, &r->gcs->reopen, REOPEN_MS, 0, on_reopen);
}

static const struct rpc_stream_cbs cbs = {.on_message = on_message, .on_close = on_close};

/* ---- hello */

static void send_hello(struct raylet *r)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__SessionHello m = RAIA__GCS__SESSION_HELLO__INIT;
    size_t njobs = HASH_SIZE(r->jobs), nentry = HASH_SIZE(r->entrypoints), n = 0;
    _cleanup_(mem_freep) ProtobufCBinaryData *jobs = mem_calloc(njobs + 1, sizeof *jobs);
    _cleanup_(mem_freep) ProtobufCBinaryData *drivers = mem_calloc(njobs + 1, sizeof *drivers);
    _cleanup_(mem_freep) Raia__Gcs__EntrypointEvent *events =
        mem_calloc(nentry + 1, sizeof *events);
    _cleanup_(mem_freep) Raia__Gcs__EntrypointEvent **list = mem_calloc(nentry + 1, sizeof *list);
    _cleanup_(mem_freep) Raia__Error *errors = mem_calloc(nentry + 1, sizeof *errors);
    Raia__Gcs__ActorEvent **actors = NULL;
    size_t nactors = 0;

    if (!jobs || !drivers || !events || !list || !errors ||
        actors_events(r, &actors, &nactors) < 0) {
        rpc_stream_cancel(r->gcs->session); /* tried again */
        return;
    }
    for (struct job *j = r->jobs; j; j = j->hh.next) {
        if (!j->ended)
            jobs[m.n_jobs++] = (ProtobufCBinaryData){4, j->id};
        if (j->driver)
            drivers[m.n_driver_jobs++] = (ProtobufCBinaryData){4, j->id};
    }
    for (struct entrypoint *p = r->entrypoints; p; p = p->hh.next) {
        if (p->waiting) /* if it is asked for again, entrypoints_start knows it */
            continue;
        entrypoint_event(r, p, &events[n], &errors[n]);
        list[n] = &events[n];
        n++;
    }
    m.node_id = (ProtobufCBinaryData){16, r->node.bytes};
    m.jobs = jobs;
    m.driver_jobs = drivers;
    m.entrypoints = list;
    m.n_entrypoints = n;
    m.actors = actors;
    m.n_actors = nactors;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_HELLO;
    up.hello = &m;
    gcs_session_send(r, &up);
    actors_events_free(actors, nactors);
}

static void subscribe(struct raylet *r, Raia__Gcs__Channel channel)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__Subscribe m = RAIA__GCS__SUBSCRIBE__INIT;

    m.channel = channel;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_SUBSCRIBE;
    up.subscribe = &m;
    gcs_session_send(r, &up);
}

void gcs_session_start(struct raylet *r)
{
    struct gcs *g = r->gcs;
    struct raia_error e;

    if (g->session || r->stopping)
        return;
    if (rpc_stream_open(g->channel, "/raia.gcs.Gcs/Session", 0, &cbs, r, &g->session, &e) < 0) {
        g->session = NULL;
        loop_timer_start(r->loop, &g->reopen, REOPEN_MS, 0, on_reopen);
        return;
    }
    g->listed = false;
    send_hello(r);
    if (!g->session)
        return;
    subscribe(r, RAIA__GCS__CHANNEL__CHANNEL_NODE);
    subscribe(r, RAIA__GCS__CHANNEL__CHANNEL_RESOURCES);
    gcs_pass_resubscribe(r);
    jobs_finish(r);
    g->reported_version = 0;
    gcs_report(r);
}

void gcs_session_free(struct raylet *r)
{
    struct gcs *g = r->gcs;

    loop_timer_stop(&g->reopen);
    loop_timer_stop(&g->report);
    if (g->session)
        rpc_stream_cancel(g->session);
}

/* ---- what goes up */

void gcs_entrypoint(struct raylet *r, const struct entrypoint *p)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__EntrypointEvent m;
    Raia__Error error;

    entrypoint_event(r, p, &m, &error);
    up.body_case = RAIA__GCS__SESSION_UP__BODY_ENTRYPOINT;
    up.entrypoint = &m;
    gcs_session_send(r, &up);
}

void gcs_worker_death(struct raylet *r, const struct worker *w, int status, const char *why,
                      bool intended)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__WorkerDeath m = RAIA__GCS__WORKER_DEATH__INIT;
    Raia__Address address = RAIA__ADDRESS__INIT;

    address.node_id = (ProtobufCBinaryData){16, r->node.bytes};
    address.worker_id = (ProtobufCBinaryData){16, (uint8_t *)w->id.bytes};
    m.address = &address;
    m.job_id = (ProtobufCBinaryData){4, (uint8_t *)w->job};
    m.pid = w->pid;
    m.exit_status = status;
    m.reason = (char *)why;
    m.intended = intended;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_WORKER_DEATH;
    up.worker_death = &m;
    gcs_session_send(r, &up);
}

/* ---- reports */

struct demands {
    struct raylet *r;
    Raia__Gcs__Demand *list[64];
    size_t n;
    uint64_t digest;
};

static void add_demand(void *arg, const struct sched_shape *shape, uint64_t count, bool infeasible)
{
    struct demands *d = arg;
    Raia__Gcs__Demand *m;

    d->digest = d->digest * 31 + count + hash_bytes(&shape->need, sizeof shape->need);
    if (d->n == sizeof d->list / sizeof d->list[0])
        return;
    m = mem_new(Raia__Gcs__Demand);
    if (!m)
        return;
    raia__gcs__demand__init(m);
    if (gcs_resources(d->r, &shape->need, &m->shape) < 0) {
        mem_free(m);
        return;
    }
    m->n_shape = shape->need.n;
    m->count = count;
    m->infeasible = infeasible;
    d->list[d->n++] = m;
}

static void on_report(struct loop_timer *t)
{
    struct gcs *g = LOOP_OF(t, struct gcs, report);
    struct raylet *r = g->r;
    const struct ledger *l = sched_ledger(r->sched);
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__ResourceReport m = RAIA__GCS__RESOURCE_REPORT__INIT;
    struct res_set available;
    struct store_stats store = {0};
    _cleanup_(mem_freep) Raia__Resource **total = NULL, **left = NULL;
    struct demands d = {.r = r};

    sched_waiting(r->sched, add_demand, &d);
    ledger_available(l, &available);
    objects_stats(r, &store);
    if (l->version == g->reported_version &&
        (d.digest != g->reported_waiting || store.used != g->reported_used))
        sched_report_changed(r->sched);
    if (g->session && l->version != g->reported_version &&
        gcs_resources(r, &l->total, &total) == 0 && gcs_resources(r, &available, &left) == 0) {
        m.node_id = (ProtobufCBinaryData){16, r->node.bytes};
        m.version = l->version;
        m.total = total;
        m.n_total = l->total.n;
        m.available = left;
        m.n_available = available.n;
        m.demands = d.list;
        m.n_demands = d.n;
        m.store_used = store.used;
        m.store_capacity = r->store_capacity;
        m.num_workers = HASH_SIZE(r->workers);
        up.body_case = RAIA__GCS__SESSION_UP__BODY_RESOURCES;
        up.resources = &m;
        gcs_session_send(r, &up);
        g->reported_version = l->version;
        g->reported_waiting = d.digest;
        g->reported_used = store.used;
        g->reported_ms = loop_now_ms(r->loop);
    }
    for (size_t i = 0; i < d.n; i++) {
        mem_free(d.list[i]->shape);
        mem_free(d.list[i]);
    }
}

void gcs_report(struct raylet *r)
{
    struct gcs *g = r->gcs;
    uint64_t now, due;

    if (!g || !g->session || loop_timer_active(&g->report))
        return;
    now = loop_now_ms(r->loop);
    due = g->reported_ms + REPORT_MS;
    loop_timer_start(r->loop, &g->report, due > now ? due - now : 0, 0, on_report);
}
