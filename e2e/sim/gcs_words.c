/* Between the words that nodes of the simulation speak and the messages of the control store. */
#include <string.h>

#include "base/mem.h"
#include "sim/gcs_impl.h"

#define BYTES16(p) ((ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)(p)})

/* ---- down */

static void say(struct member *m, struct gcs_word *w)
{
    w->session = m->session;
    trunk_send(&m->trunk, w);
}

static int64_t cpus_of(Raia__Resource *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->name, "CPU") == 0)
            return list[i]->quantity;
    return 0;
}

static void say_node(struct gcs *g, struct member *m, const Raia__Gcs__Node *n)
{
    struct member *of = n->node_id.len == 16 ? gcs_member(g, n->node_id.data) : NULL;
    struct gcs_word w = {.type = WORD_ALIVE};

    if (!of)
        return;
    if (n->state != RAIA__GCS__NODE_STATE__NODE_DEAD) {
        w.version = of->hello.version;
        w.cpus = of->hello.cpus;
        w.total = of->hello.total;
    } else {
        w.type = WORD_DEAD;
    }
    memcpy(w.node, n->node_id.data, 16);
    say(m, &w);
}

static void say_view(struct gcs *g, struct member *m, const Raia__Gcs__ResourceReport *r)
{
    struct member *of = r->node_id.len == 16 ? gcs_member(g, r->node_id.data) : NULL;
    struct gcs_word w = {.type = WORD_VIEW, .version = r->version};

    if (!of)
        return;
    w.cpus = cpus_of(r->available, r->n_available);
    w.total = of->hello.total;
    memcpy(w.node, r->node_id.data, 16);
    say(m, &w);
}

static void say_actor(struct gcs *g, struct member *m, const Raia__Gcs__Actor *a,
                      enum gcs_word_type type)
{
    struct gcs_word w = {.type = type, .state = (uint32_t)a->state};

    if (!a->spec || a->spec->actor_id.len != 16)
        return;
    memcpy(w.actor, a->spec->actor_id.data, 16);
    w.incarnation = gcs_told(g, w.actor, a->incarnation);
    if (a->address && a->address->node_id.len == 16)
        memcpy(w.address.node, a->address->node_id.data, 16);
    if (a->address && a->address->worker_id.len == 16)
        memcpy(w.address.worker, a->address->worker_id.data, 16);
    say(m, &w);
}

static void on_nodes(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                     const void *data, size_t size)
{
    _cleanup_(pb_freep) Raia__Gcs__ListNodesReply *reply =
        good ? pb_unpack(&raia__gcs__list_nodes_reply__descriptor, data, size) : NULL;

    (void)id;
    for (size_t i = 0; reply && m->open && i < reply->n_nodes; i++)
        if (reply->nodes[i]->state == RAIA__GCS__NODE_STATE__NODE_DEAD)
            say_node(g, m, reply->nodes[i]);
}

/* The state that a subscription gives has only those who live: who died while there was no session
 * is asked for, once the subscription counts, as the raylet does. */
static void ask_nodes(void *ctx)
{
    Raia__Gcs__ListNodesRequest q = RAIA__GCS__LIST_NODES_REQUEST__INIT;
    struct member *m = ctx;

    q.include_dead = true;
    if (m->open && m->g->core)
        gcs_ask(m->g, m, "ListNodes", &q.base, NULL, on_nodes);
}

int gcs_down(struct gcs *g, struct member *m, const Raia__Gcs__SessionDown *down)
{
    const Raia__Gcs__Publication *p = down->publication;
    struct gcs_word kill = {.type = WORD_ACTOR_KILL}, ended = {.type = WORD_JOB_ENDED};

    switch (down->body_case) {
    case RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION:
        if (p->resync)
            sim_fail(g->c->sim, "the control store dropped publications");
        for (size_t i = 0; i < p->n_nodes; i++)
            say_node(g, m, p->nodes[i]);
        if (p->n_nodes && !m->listed) {
            m->listed = true;
            sim_after(g->c->sim, g->sn, 0, ask_nodes, m, NULL); /* not from within the core */
        }
        for (size_t i = 0; i < p->n_resources; i++)
            say_view(g, m, p->resources[i]);
        for (size_t i = 0; i < p->n_actors; i++)
            say_actor(g, m, p->actors[i], WORD_ACTOR_STATE);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_CREATE_ACTOR:
        say_actor(g, m, down->create_actor->actor, WORD_ACTOR_CREATE);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_KILL_ACTOR:
        memcpy(kill.actor, down->kill_actor->actor_id.data, 16);
        kill.incarnation = gcs_told(g, kill.actor, down->kill_actor->incarnation);
        say(m, &kill);
        break;
    case RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED:
        memcpy(ended.job, down->job_ended->job_id.data, 4);
        say(m, &ended);
        break;
    default:
        break;
    }
    return 0;
}

/* ---- jobs */

static void on_job_added(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                         const void *data, size_t size)
{
    _cleanup_(pb_freep) Raia__Gcs__AddJobReply *reply =
        good ? pb_unpack(&raia__gcs__add_job_reply__descriptor, data, size) : NULL;
    struct gcs_word w = {.type = WORD_JOB_ADDED};

    (void)g;
    if (!reply || reply->job_id.len != 4)
        return; /* it is asked again */
    memcpy(w.token, id, 16);
    memcpy(w.job, reply->job_id.data, 4);
    say(m, &w);
}

static void add_job(struct gcs *g, struct member *m, const struct gcs_word *w)
{
    Raia__Gcs__AddJobRequest q = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__Job job = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;

    driver.node_id = BYTES16(node_id(m->node));
    driver.worker_id = q.token = BYTES16(w->token);
    job.driver = &driver;
    q.job = &job;
    gcs_ask(g, m, "AddJob", &q.base, w->token, on_job_added);
}

static void on_job_finished(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                            const void *data, size_t size)
{
    struct gcs_word w = {.type = WORD_JOB_FINISHED};

    (void)g, (void)data, (void)size;
    if (!good)
        return;
    memcpy(w.job, id, 4);
    say(m, &w);
}

static void finish_job(struct gcs *g, struct member *m, const struct gcs_word *w)
{
    Raia__Gcs__FinishJobRequest q = RAIA__GCS__FINISH_JOB_REQUEST__INIT;
    uint8_t id[16] = {0};

    memcpy(id, w->job, 4);
    q.job_id = (ProtobufCBinaryData){4, id};
    gcs_ask(g, m, "FinishJob", &q.base, id, on_job_finished);
}

static void on_job_found(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                         const void *data, size_t size)
{
    _cleanup_(pb_freep) Raia__Gcs__GetJobReply *reply =
        good ? pb_unpack(&raia__gcs__get_job_reply__descriptor, data, size) : NULL;
    struct gcs_word w = {.type = WORD_JOB_ENDED};

    (void)g;
    if (!reply || (reply->found && !reply->job->dead))
        return;
    memcpy(w.job, id, 4);
    say(m, &w);
}

static void find_job(struct gcs *g, struct member *m, const struct gcs_word *w)
{
    Raia__Gcs__GetJobRequest q = RAIA__GCS__GET_JOB_REQUEST__INIT;
    uint8_t id[16] = {0};

    memcpy(id, w->job, 4);
    q.job_id = (ProtobufCBinaryData){4, id};
    gcs_ask(g, m, "GetJob", &q.base, id, on_job_found);
}

/* ---- up */

/* An actor's event, with what it points to. */
struct event {
    Raia__Gcs__ActorEvent event;
    Raia__Address address;
};

static void fill_event(struct gcs *g, struct event *x, const struct gcs_word *w)
{
    raia__gcs__actor_event__init(&x->event);
    raia__address__init(&x->address);
    x->address.node_id = BYTES16(w->node);
    x->address.worker_id = BYTES16(w->address.worker);
    x->event.actor_id = BYTES16(w->actor);
    x->event.incarnation = gcs_meant(g, w->actor, w->incarnation);
    x->event.address = &x->address;
    x->event.kind = w->state == ACTOR_ALIVE ? RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE
                    : w->status == -RAIA_ERR_ACTOR_DIED
                        ? RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED
                        : RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED;
}

static void message(struct gcs *g, struct member *m, const Raia__Gcs__SessionUp *up)
{
    struct gcs_word reset = {.type = WORD_RESET, .session = m->session};
    struct node_id id;

    memcpy(id.bytes, node_id(m->node), 16);
    if (!m->open || gcs_core_session_message(g->core, gcs_time(g), &id, up, NULL) == 0)
        return;
    gcs_core_session_closed(g->core, &id);
    m->open = false;
    trunk_send(&m->trunk, &reset);
}

static void subscribe(struct gcs *g, struct member *m, Raia__Gcs__Channel channel,
                      const uint8_t *key)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__Subscribe s = RAIA__GCS__SUBSCRIBE__INIT;

    s.channel = channel;
    if (key)
        s.key = BYTES16(key);
    up.body_case = RAIA__GCS__SESSION_UP__BODY_SUBSCRIBE;
    up.subscribe = &s;
    message(g, m, &up);
}

static void report(struct gcs *g, struct member *m)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__ResourceReport r = RAIA__GCS__RESOURCE_REPORT__INIT;
    Raia__Resource total = RAIA__RESOURCE__INIT, available = RAIA__RESOURCE__INIT;
    Raia__Resource *totals = &total, *availables = &available;

    total.name = available.name = (char *)(uintptr_t) "CPU";
    total.quantity = m->hello.total;
    available.quantity = m->hello.cpus;
    r.version = m->hello.version;
    r.total = &totals;
    r.available = &availables;
    r.n_total = r.n_available = 1;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_RESOURCES;
    up.resources = &r;
    message(g, m, &up);
}

void gcs_open(struct gcs *g, struct member *m)
{
    Raia__Gcs__SessionHello hello = RAIA__GCS__SESSION_HELLO__INIT;
    struct event events[ACTORS_MAX];
    Raia__Gcs__ActorEvent *pointers[ACTORS_MAX];
    ProtobufCBinaryData jobs[JOBS_MAX], drivers[JOBS_MAX];
    struct gcs_word fence = {.type = WORD_FENCE};

    for (unsigned i = 0; i < m->n_jobs; i++) {
        jobs[hello.n_jobs++] = (ProtobufCBinaryData){4, m->jobs[i].job};
        if (m->jobs[i].state)
            drivers[hello.n_driver_jobs++] = (ProtobufCBinaryData){4, m->jobs[i].job};
    }
    hello.jobs = jobs;
    hello.driver_jobs = drivers;
    for (unsigned i = 0; i < m->n_hosted; i++) {
        fill_event(g, &events[i], &m->hosted[i]);
        pointers[i] = &events[i].event;
    }
    hello.node_id = BYTES16(node_id(m->node));
    hello.actors = pointers;
    hello.n_actors = m->n_hosted;
    m->n_hosted = m->n_jobs = 0;
    m->listed = false;
    m->open = true;
    if (gcs_core_session_hello(g->core, gcs_time(g), &hello, NULL) < 0) {
        m->open = false; /* it was declared dead meanwhile */
        trunk_send(&m->trunk, &fence);
        return;
    }
    subscribe(g, m, RAIA__GCS__CHANNEL__CHANNEL_NODE, NULL);
    subscribe(g, m, RAIA__GCS__CHANNEL__CHANNEL_RESOURCES, NULL);
    report(g, m);
    while (m->n_early)
        subscribe(g, m, RAIA__GCS__CHANNEL__CHANNEL_ACTOR, m->early[--m->n_early]);
}

static void on_registered(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                          const void *data, size_t size)
{
    struct gcs_word fence = {.type = WORD_FENCE};
    const uint8_t *replaces = m->hello.replaces;
    const Raia__Gcs__Node *old = gcs_core_find_node(g->core, BYTES16(replaces));

    (void)data, (void)size;
    if (!good) {
        trunk_send(&m->trunk, &fence);
        return;
    }
    if (old && old->state != RAIA__GCS__NODE_STATE__NODE_DEAD)
        sim_fail(g->c->sim, "node %02x was replaced, as its supervisor said, and counts as alive",
                 replaces[0]);
    if (m->session == id[0] + 256u * id[1])
        gcs_open(g, m);
}

static void on_hello(struct gcs *g, struct member *m, const struct gcs_word *w)
{
    Raia__Gcs__RegisterNodeRequest q = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Node node = RAIA__GCS__NODE__INIT;
    uint8_t session[16] = {(uint8_t)w->session, (uint8_t)(w->session >> 8)};
    static const uint8_t none[16];

    m->open = false;
    m->session = w->session;
    m->n_early = 0;
    m->hello = *w;
    if (gcs_core_find_node(g->core, BYTES16(w->node))) {
        gcs_open(g, m);
        return;
    }
    node.node_id = BYTES16(w->node);
    node.address = (char *)(uintptr_t) "a:1";
    q.node = &node;
    if (memcmp(w->replaces, none, 16) && g->c->plant != PLANT_NO_REPLACES)
        q.replaces = BYTES16(w->replaces);
    gcs_ask(g, m, "RegisterNode", &q.base, session, on_registered);
}

void gcs_up(struct gcs *g, struct member *m, const struct gcs_word *w)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    struct event x;

    if (w->type == WORD_HOSTED) {
        if (m->n_hosted && m->hosted[0].session != w->session)
            m->n_hosted = 0; /* of one that broke before its HELLO */
        if (m->n_hosted < ACTORS_MAX)
            m->hosted[m->n_hosted++] = *w;
        return;
    }
    if (w->type == WORD_JOB_HERE) {
        if (m->n_jobs && m->jobs[0].session != w->session)
            m->n_jobs = 0;
        if (m->n_jobs < JOBS_MAX)
            m->jobs[m->n_jobs++] = *w;
        return;
    }
    if (w->type == WORD_HELLO) {
        if (m->n_jobs && m->jobs[0].session != w->session)
            m->n_jobs = 0;
        if (m->n_hosted && m->hosted[0].session != w->session)
            m->n_hosted = 0;
        on_hello(g, m, w);
        return;
    }
    if (w->session != m->session)
        return; /* lost with its session */
    if (!m->open && w->type == WORD_ACTOR_STATE && m->n_early < ACTORS_MAX)
        memcpy(m->early[m->n_early++], w->actor, 16);
    switch (w->type) {
    case WORD_JOB_ADD:
        add_job(g, m, w);
        break;
    case WORD_JOB_ASK:
        find_job(g, m, w);
        break;
    case WORD_JOB_FINISH:
        finish_job(g, m, w);
        break;
    case WORD_VIEW:
        m->hello.version = w->version;
        m->hello.cpus = w->cpus;
        report(g, m);
        break;
    case WORD_ACTOR_EVENT:
        fill_event(g, &x, w);
        up.body_case = RAIA__GCS__SESSION_UP__BODY_ACTOR;
        up.actor = &x.event;
        message(g, m, &up);
        break;
    case WORD_ACTOR_STATE:
        subscribe(g, m, RAIA__GCS__CHANNEL__CHANNEL_ACTOR, w->actor);
        break;
    default:
        break;
    }
}
