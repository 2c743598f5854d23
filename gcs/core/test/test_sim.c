/*
 * The core in a simulated cluster: a control store on a storage that loses what was not yet durable,
 * raylets that keep sessions, heartbeats and actors, all of which die, are cut off and come back.
 *
 * What must hold in every run:
 *   - an actor never has two incarnations alive at one time;
 *   - an acknowledged job id is never given to another job, nor does its job get another;
 *   - once the faults stop, every acknowledged actor that should live does, where the table says and
 *     nowhere else, and every acknowledged kill has killed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "test/sim_cluster.h"

static void gcs_revive(void *arg)
{
    struct cluster *c = arg;

    sim_revive(c->gcs.sim, c);
    sim_gcs_begin(c);
}

static void raylet_revive(void *arg)
{
    struct raylet *r = arg;

    sim_revive(r->sim, r);
    sim_raylet_begin(r);
}

/* ---- the client, and the faults ---- */

static void ask_job(struct cluster *c, int n)
{
    struct raylet *r = &c->raylets[0];
    Raia__Gcs__AddJobRequest m = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__Job job = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;

    driver.node_id = PB_BYTES(r->id);
    driver.worker_id = world_bytes(200);
    job.driver = &driver;
    m.job = &job;
    m.token = world_bytes((uint8_t)(n + 1)); /* below 100 */
    sim_request(r, "AddJob", &m.base, TAG_JOB | (unsigned)n);
}

static void ask_actor(struct cluster *c, int n)
{
    Raia__Gcs__RegisterActorRequest m = RAIA__GCS__REGISTER_ACTOR_REQUEST__INIT;
    Raia__Gcs__ActorSpec spec = RAIA__GCS__ACTOR_SPEC__INIT;

    spec.actor_id = sim_actor_id(n);
    spec.job_id = world_job_id(c->job);
    spec.detached = true; /* outlives nodes and jobs: what is checked is placing */
    spec.max_restarts = -1;
    m.spec = &spec;
    sim_request(&c->raylets[0], "RegisterActor", &m.base, TAG_ACTOR | (unsigned)n);
}

static void ask_kill(struct cluster *c, int n)
{
    Raia__Gcs__KillActorRequest m = RAIA__GCS__KILL_ACTOR_REQUEST__INIT;

    c->kill_asked[n] = true;
    m.actor_id = sim_actor_id(n);
    m.no_restart = true;
    sim_request(&c->raylets[0], "KillActorByUser", &m.base, TAG_KILL | (unsigned)n);
}

static void client(void *arg)
{
    struct cluster *c = arg;
    struct prng *p = sim_prng(c->sim);
    int n = (int)prng_below(p, ACTORS);

    if (sim_node_alive(c->raylets[0].sim) && c->raylets[0].registered) {
        ask_job(c, prng_chance(p, 0.5) ? c->driver : (int)prng_below(p, (uint64_t)c->driver + 1));
        if (c->job && !c->made[n])
            ask_actor(c, n);
        else if (c->made[n] && n < 2 && (c->calm || prng_chance(p, 0.1)))
            ask_kill(c, n);
    }
    sim_after(c->sim, NULL, prng_range(p, 50 * MS, 800 * MS), client, c, NULL);
}

static void chaos(void *arg)
{
    struct cluster *c = arg;
    struct prng *p = sim_prng(c->sim);
    struct raylet *r = &c->raylets[prng_below(p, RAYLETS)];
    int n = (int)prng_below(p, ACTORS);

    if (c->calm)
        return;
    switch (prng_below(p, 7)) {
    case 0:
        if (!c->gcs.core)
            break;
        sim_kill(c->gcs.sim);
        sim_gcs_end(c);
        sim_after(c->sim, NULL, prng_range(p, 10 * MS, 5000 * MS), gcs_revive, c, NULL);
        break;
    case 1:
        if (!sim_node_alive(r->sim))
            break;
        sim_kill(r->sim);
        memset(r->actors, 0, sizeof r->actors);
        sim_after(c->sim, NULL, prng_range(p, 10 * MS, 5000 * MS), raylet_revive, r, NULL);
        break;
    case 2:
        sim_break(c->gcs.sim, r->sim);
        break;
    case 3:
        sim_isolate(r->sim);
        break;
    case 4:
        sim_heal_all(c->sim);
        break;
    case 5: /* a word about an incarnation that is long gone */
        if (r->actors[n].alive && r->actors[n].incarnation > 1)
            sim_tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED,
                           r->actors[n].incarnation - 1);
        break;
    default:
        if (r->actors[n].alive) {
            r->actors[n].alive = false;
            sim_tell_actor(r, n, RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED,
                           r->actors[n].incarnation);
        }
    }
    sim_after(c->sim, NULL, prng_range(p, 50 * MS, 2000 * MS), chaos, c, NULL);
}

struct seen {
    int state[ACTORS];            /* enum ActorState; -1: not there */
    uint64_t incarnation[ACTORS]; /* of it */
};

static void see_actor(void *arg, const Raia__Gcs__Actor *actor)
{
    struct seen *seen = arg;
    int n = actor->spec->actor_id.data[0] - 100;

    seen->state[n] = (int)actor->state;
    seen->incarnation[n] = actor->incarnation;
}

static int verdict(struct cluster *c)
{
    struct seen seen;

    memset(seen.state, -1, sizeof seen.state);
    gcs_core_each_actor(c->gcs.core, see_actor, &seen);
    for (int n = 0; n < ACTORS; n++) {
        int running = 0;

        for (int i = 0; i < RAYLETS; i++) {
            struct hosted *h = &c->raylets[i].actors[n];

            if (!h->alive)
                continue;
            running++;
            SIM_CHECK(c->sim, h->incarnation == seen.incarnation[n],
                      "actor %d runs as %d, the table says %d", n, (int)h->incarnation,
                      (int)seen.incarnation[n]);
        }
        SIM_CHECK(c->sim, c->made[n], "actor %d was never made", n);
        if (n < 2)
            SIM_CHECK(
                c->sim,
                c->killed[n] && running == 0 && seen.state[n] == RAIA__GCS__ACTOR_STATE__ACTOR_DEAD,
                "actor %d was killed, but is in state %d, %d running", n, seen.state[n], running);
        else
            SIM_CHECK(c->sim, running == 1 && seen.state[n] == RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE,
                      "actor %d is in state %d, %d running", n, seen.state[n], running);
    }
    return 0;
}

static int scenario(struct sim *s, void *ctx)
{
    struct cluster c = {.sim = s};
    char name[16];
    int r = -1;

    (void)ctx;
    if (storage_open_memory(&c.gcs.inner, NULL) < 0)
        return -1;
    c.gcs.sim = sim_node_add(s, "gcs", &sim_gcs_ops, &c);
    for (int i = 0; i < RAYLETS; i++) {
        snprintf(name, sizeof name, "raylet-%d", i);
        c.raylets[i].cluster = &c;
        c.raylets[i].index = i;
        c.raylets[i].sim = sim_node_add(s, name, &sim_raylet_ops, &c.raylets[i]);
    }
    sim_gcs_begin(&c);
    for (int i = 0; i < RAYLETS; i++)
        sim_raylet_begin(&c.raylets[i]);
    client(&c);
    chaos(&c);
    if (sim_run(s, FAULTS_S * CLOCK_NS_PER_S)) {
        c.calm = true;
        sim_heal_all(s);
        if (sim_run(s, (FAULTS_S + CALM_S) * CLOCK_NS_PER_S))
            r = c.gcs.core ? verdict(&c) : -1;
    }
    if (c.gcs.core)
        sim_gcs_end(&c);
    storage_free(c.gcs.inner);
    return r;
}

/* Clusters under faults keep what they acknowledged, and no actor ever lives twice. */
Test(sim, cluster, .timeout = 240)
{
    cr_assert_eq(sim_seeds("gcs", 1, 150, scenario, NULL), 0);
}
