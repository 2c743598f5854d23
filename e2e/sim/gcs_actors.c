/* The actors of a run: registered as a driver would, and killed in the end. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/gcs_impl.h"

#define AGAIN_NS (400 * CLOCK_NS_PER_MS) /* what was asked and not answered is asked again */

#define BYTES16(p) ((ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)(p)})

struct gactor *gcs_actor(struct gcs *g, const uint8_t *id)
{
    for (unsigned i = 0; i < g->n_actors; i++)
        if (!memcmp(g->actors[i].id, id, 16))
            return &g->actors[i];
    return NULL;
}

uint64_t gcs_told(struct gcs *g, const uint8_t *actor, uint64_t incarnation)
{
    struct gactor *a = gcs_actor(g, actor);

    if (g->c->plant != PLANT_SAME_INCARNATION || !a || !incarnation)
        return incarnation;
    a->placed = (int64_t)incarnation;
    return 1;
}

uint64_t gcs_meant(struct gcs *g, const uint8_t *actor, uint64_t incarnation)
{
    struct gactor *a = gcs_actor(g, actor);

    return g->c->plant != PLANT_SAME_INCARNATION || !a ? incarnation : (uint64_t)a->placed;
}

void gcs_add_actor(struct gcs *g, const uint8_t actor[16], unsigned restarts)
{
    struct gactor *a = &g->actors[g->n_actors++];

    *a = (struct gactor){.restarts = restarts};
    memcpy(a->id, actor, 16);
}

void gcs_kill_actors(struct gcs *g)
{
    g->kill = true;
}

/* ---- asking */

static void on_job(struct gcs *g, struct member *m, const uint8_t *id, bool good, const void *data,
                   size_t size)
{
    _cleanup_(pb_freep) Raia__Gcs__AddJobReply *reply =
        good ? pb_unpack(&raia__gcs__add_job_reply__descriptor, data, size) : NULL;

    (void)m, (void)id;
    g->asked = 0;
    if (reply && reply->job_id.len == 4)
        memcpy(g->job, reply->job_id.data, 4);
}

static void ask_job(struct gcs *g)
{
    Raia__Gcs__AddJobRequest q = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__Job job = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;
    uint8_t token[16] = {++g->token}, worker[16] = {7};

    for (unsigned i = 0; i < g->n; i++) {
        if (!g->members[i].open)
            continue;
        driver.node_id = BYTES16(node_id(g->members[i].node));
        driver.worker_id = BYTES16(worker);
        job.driver = &driver;
        q.job = &job;
        q.token = BYTES16(token);
        g->asked = world_now(g->c);
        gcs_ask(g, &g->members[i], "AddJob", &q.base, NULL, on_job);
        return;
    }
}

static void on_made(struct gcs *g, struct member *m, const uint8_t *id, bool good, const void *data,
                    size_t size)
{
    struct gactor *a = gcs_actor(g, id);

    (void)m, (void)data, (void)size;
    a->asked = 0;
    a->made = good;
    if (!good)
        memset(g->job, 0, 4); /* it has ended, with its driver's node */
}

static void make(struct gcs *g, struct gactor *a)
{
    Raia__Gcs__RegisterActorRequest q = RAIA__GCS__REGISTER_ACTOR_REQUEST__INIT;
    Raia__Gcs__ActorSpec spec = RAIA__GCS__ACTOR_SPEC__INIT;
    Raia__Resource cpu = RAIA__RESOURCE__INIT, *list = &cpu;

    cpu.name = (char *)(uintptr_t) "CPU";
    cpu.quantity = 10000;
    spec.actor_id = BYTES16(a->id);
    spec.job_id = (ProtobufCBinaryData){4, g->job};
    spec.class_name = (char *)(uintptr_t) "Actor";
    spec.detached = true;
    spec.max_restarts = a->restarts;
    if (a->id[0] & 1) {
        spec.placement = &list;
        spec.n_placement = 1;
    }
    q.spec = &spec;
    a->asked = world_now(g->c);
    gcs_ask(g, NULL, "RegisterActor", &q.base, a->id, on_made);
}

static void on_killed(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                      const void *data, size_t size)
{
    (void)g, (void)m, (void)id, (void)good, (void)data, (void)size;
}

static void kill_for_good(struct gcs *g, struct gactor *a)
{
    Raia__Gcs__KillActorRequest q = RAIA__GCS__KILL_ACTOR_REQUEST__INIT;

    q.actor_id = BYTES16(a->id);
    q.no_restart = true;
    a->asked = world_now(g->c);
    gcs_ask(g, NULL, "KillActorByUser", &q.base, a->id, on_killed);
}

/* ---- looking */

struct look {
    const uint8_t *id;
    bool found, dead;
    uint64_t incarnation;
    uint8_t node[16]; /* where it is alive; 0: nowhere */
};

static void on_look(void *arg, const Raia__Gcs__Actor *row)
{
    struct look *l = arg;

    if (memcmp(row->spec->actor_id.data, l->id, 16))
        return;
    l->found = true;
    l->dead = row->state == RAIA__GCS__ACTOR_STATE__ACTOR_DEAD;
    l->incarnation = row->incarnation;
    if (row->state == RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE && row->address->node_id.len == 16)
        memcpy(l->node, row->address->node_id.data, 16);
}

static struct look look(struct gcs *g, const struct gactor *a)
{
    struct look l = {.id = a->id};

    if (g->core)
        gcs_core_each_actor(g->core, on_look, &l);
    return l;
}

/* The planted bug: what was not heard of for a moment is taken for dead. */
static void suspect(struct gcs *g, const struct gactor *a, const struct look *l)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    Raia__Gcs__ActorEvent event = RAIA__GCS__ACTOR_EVENT__INIT;
    struct member *m = gcs_member(g, l->node);
    struct node_id id;

    if (!m || !m->open || !prng_chance(g->c->prng, 0.1))
        return;
    memcpy(id.bytes, l->node, 16);
    event.actor_id = BYTES16(a->id);
    event.incarnation = l->incarnation;
    event.kind = RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED;
    up.body_case = RAIA__GCS__SESSION_UP__BODY_ACTOR;
    up.actor = &event;
    (void)gcs_core_session_message(g->core, gcs_time(g), &id, &up, NULL);
}

void gcs_actors_tick(struct gcs *g)
{
    static const uint8_t none[4];
    int64_t now = world_now(g->c);

    if (g->n_actors && !memcmp(g->job, none, 4)) {
        if (!g->asked || now - g->asked > AGAIN_NS)
            ask_job(g);
        return;
    }
    for (unsigned i = 0; i < g->n_actors; i++) {
        struct gactor *a = &g->actors[i];
        struct look l = look(g, a);

        if (g->c->plant == PLANT_STALE_INCARNATION)
            suspect(g, a, &l);
        if (a->asked && now - a->asked < AGAIN_NS)
            continue;
        if (!l.found)
            make(g, a);
        else if (g->kill && !l.dead)
            kill_for_good(g, a);
    }
}

bool gcs_idle(const struct gcs *g)
{
    bool nodes = false;

    if (!g->core)
        return false;
    for (unsigned i = 0; i < g->n; i++)
        nodes = nodes || node_alive(g->members[i].node);
    for (unsigned i = 0; i < g->n_actors; i++) {
        struct look l = look((struct gcs *)(uintptr_t)g, &g->actors[i]);

        if (l.found ? !l.dead : nodes) /* without nodes nobody can make it */
            return false;
    }
    return true;
}

void gcs_show(const struct gcs *g)
{
    for (unsigned i = 0; i < g->n_actors; i++) {
        struct look l = look((struct gcs *)(uintptr_t)g, &g->actors[i]);

        fprintf(stderr, "actor %u: found %d dead %d incarnation %llu at %02x\n", i, l.found, l.dead,
                (unsigned long long)l.incarnation, l.node[0]);
    }
    for (unsigned i = 0; i < g->n; i++)
        fprintf(stderr, "member %02x: session %u open %d\n", node_id(g->members[i].node)[0],
                g->members[i].session, g->members[i].open);
}
