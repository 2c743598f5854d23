/* The control store of the simulation: membership, views, and where actors run. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/trunk.h"

#define LEASE_NS (3000 * CLOCK_NS_PER_MS) /* unheard for so long: dead; nodes fence before that */
#define TICK_NS  (100 * CLOCK_NS_PER_MS)

struct member {
    struct node *node;
    struct trunk trunk;
    bool alive;
    int64_t heard;        /* ns */
    struct gcs_word view; /* the last one */
};

struct actor_row {
    struct gcs_word state; /* as it is published */
    int32_t at;            /* member; -1: nowhere */
    int restarts;          /* left */
    bool killed;           /* never again */
    int64_t retry;         /* PENDING, RESTARTING: place it then, ns */
};

struct gcs {
    struct world *c;
    struct sim_node *sn;
    struct member members[NODES_MAX];
    unsigned n;
    struct actor_row actors[ACTORS_MAX];
    unsigned n_actors;
};

struct sim_node *gcs_sim(const struct gcs *g)
{
    return g->sn;
}

static void to_all(struct gcs *g, const struct gcs_word *w, const struct member *except)
{
    for (unsigned i = 0; i < g->n; i++)
        if (&g->members[i] != except && g->members[i].alive)
            trunk_send(&g->members[i].trunk, w);
}

/* ---- actors */

static void place(struct gcs *g, struct actor_row *a)
{
    struct gcs_word w = {.type = WORD_ACTOR_CREATE};
    unsigned first = (unsigned)prng_below(g->c->prng, g->n ? g->n : 1);

    a->retry = world_now(g->c) + prng_range(g->c->prng, 20, 100) * CLOCK_NS_PER_MS;
    for (unsigned i = 0; i < g->n; i++) {
        struct member *m = &g->members[(first + i) % g->n];

        if (!m->alive)
            continue;
        a->at = (int32_t)(m - g->members);
        a->state.incarnation++;
        w.incarnation = a->state.incarnation;
        memcpy(w.actor, a->state.actor, 16);
        trunk_send(&m->trunk, &w);
        return;
    }
}

/* The incarnation that was placed is no more. */
static void ended(struct gcs *g, struct actor_row *a, bool counts)
{
    a->at = -1;
    if (a->killed || (counts && a->restarts == 0)) {
        a->state.state = ACTOR_DEAD;
        to_all(g, &a->state, NULL);
        return;
    }
    if (counts)
        a->restarts--;
    a->retry = world_now(g->c) + prng_range(g->c->prng, 1, 50) * CLOCK_NS_PER_MS;
    if (a->state.state == ACTOR_PENDING)
        return;
    a->state.state = ACTOR_RESTARTING;
    to_all(g, &a->state, NULL);
}

static void actor_event(struct gcs *g, struct member *m, const struct gcs_word *w)
{
    for (unsigned i = 0; i < g->n_actors; i++) {
        struct actor_row *a = &g->actors[i];

        if (memcmp(a->state.actor, w->actor, 16) || a->at != m - g->members ||
            a->state.incarnation != w->incarnation)
            continue;
        if (w->state == ACTOR_ALIVE) {
            a->state.state = ACTOR_ALIVE;
            a->state.address = w->address;
            to_all(g, &a->state, NULL);
        } else {
            ended(g, a, w->status == -RAIA_ERR_ACTOR_DIED && a->state.state == ACTOR_ALIVE);
        }
    }
}

void gcs_add_actor(struct gcs *g, const uint8_t actor[16], unsigned restarts)
{
    struct actor_row *a = &g->actors[g->n_actors++];

    *a = (struct actor_row){.at = -1, .restarts = (int)restarts};
    a->state.type = WORD_ACTOR_STATE;
    a->state.state = ACTOR_PENDING;
    memcpy(a->state.actor, actor, 16);
}

void gcs_kill_actors(struct gcs *g)
{
    for (unsigned i = 0; i < g->n_actors; i++) {
        struct actor_row *a = &g->actors[i];
        struct gcs_word w = {.type = WORD_ACTOR_KILL, .incarnation = a->state.incarnation};

        a->killed = true;
        memcpy(w.actor, a->state.actor, 16);
        if (a->state.state == ACTOR_DEAD)
            continue;
        if (a->at < 0)
            ended(g, a, false);
        else if (a->state.state == ACTOR_ALIVE)
            trunk_send(&g->members[a->at].trunk, &w);
    }
}

static void actors_tick(struct gcs *g)
{
    int64_t now = world_now(g->c);

    for (unsigned i = 0; i < g->n_actors; i++) {
        struct actor_row *a = &g->actors[i];
        struct gcs_word w = {.type = WORD_ACTOR_KILL, .incarnation = a->state.incarnation};

        memcpy(w.actor, a->state.actor, 16);
        if (g->c->plant == PLANT_STALE_INCARNATION && a->at >= 0 && a->state.state == ACTOR_ALIVE &&
            now - g->members[a->at].heard > LEASE_NS / 8)
            ended(g, a, false); /* it is only unheard, it may live */
        if (a->at < 0 && a->state.state != ACTOR_DEAD && now >= a->retry)
            place(g, a);
        else if (a->at >= 0 && a->killed && a->state.state == ACTOR_ALIVE)
            trunk_send(&g->members[a->at].trunk, &w);
    }
}

/* ---- members */

static void registered(struct gcs *g, struct member *m, const struct gcs_word *w)
{
    struct gcs_word alive;

    m->view = *w;
    alive = *w;
    alive.type = WORD_ALIVE;
    to_all(g, &alive, m);
    for (unsigned i = 0; i < g->n; i++) {
        alive = g->members[i].view;
        alive.type = WORD_ALIVE;
        if (&g->members[i] != m && g->members[i].alive && g->members[i].view.version)
            trunk_send(&m->trunk, &alive);
    }
    for (unsigned i = 0; i < g->n_actors; i++)
        trunk_send(&m->trunk, &g->actors[i].state);
}

static struct member *member_of(struct gcs *g, struct node *n)
{
    struct member *m;

    for (unsigned i = 0; i < g->n; i++)
        if (g->members[i].node == n)
            return &g->members[i];
    m = &g->members[g->n++];
    *m = (struct member){.node = n, .alive = true, .heard = world_now(g->c)};
    trunk_init(&m->trunk, g->c, g->sn, node_sim(n));
    return m;
}

static void tell_state(struct gcs *g, struct member *m, const uint8_t actor[16])
{
    for (unsigned i = 0; i < g->n_actors; i++)
        if (!memcmp(g->actors[i].state.actor, actor, 16))
            trunk_send(&m->trunk, &g->actors[i].state);
}

static void on_message(void *ctx, struct sim_node *from, const void *data, size_t size)
{
    struct gcs *g = ctx;
    struct member *m = member_of(g, sim_node_ctx(from));
    const struct trunk_word *w = data;
    struct gcs_word beaten = {.type = WORD_BEATEN}, dead = {.type = WORD_DEAD};

    (void)size;
    if (!trunk_receive(&m->trunk, w))
        return;
    if (!m->alive) { /* it was taken for dead, and must not go on */
        memcpy(dead.node, node_id(m->node), 16);
        trunk_send(&m->trunk, &dead);
        return;
    }
    m->heard = world_now(g->c);
    switch (w->word.type) {
    case WORD_REGISTER:
        registered(g, m, &w->word);
        break;
    case WORD_BEAT:
        trunk_send(&m->trunk, &beaten);
        break;
    case WORD_VIEW:
        m->view = w->word;
        to_all(g, &w->word, m);
        break;
    case WORD_ACTOR_EVENT:
        actor_event(g, m, &w->word);
        break;
    case WORD_ACTOR_STATE:
        tell_state(g, m, w->word.actor);
        break;
    default:
        break;
    }
}

static void on_broken(void *ctx, struct sim_node *from)
{
    struct gcs *g = ctx;
    struct member *m = member_of(g, sim_node_ctx(from));

    if (m->alive)
        trunk_broke(&m->trunk);
}

static const struct sim_node_ops sim_ops = {.message = on_message, .broken = on_broken};

static void tick(void *ctx)
{
    struct gcs *g = ctx;

    for (unsigned i = 0; i < g->n; i++) {
        struct member *m = &g->members[i];
        struct gcs_word w = {.type = WORD_DEAD};

        if (!m->alive || world_now(g->c) - m->heard <= LEASE_NS)
            continue;
        m->alive = false;
        memcpy(w.node, node_id(m->node), 16);
        to_all(g, &w, m);
        for (unsigned k = 0; k < g->n_actors; k++)
            if (g->actors[k].at == (int32_t)i)
                ended(g, &g->actors[k], g->actors[k].state.state == ACTOR_ALIVE);
    }
    actors_tick(g);
    sim_after(g->c->sim, g->sn, TICK_NS, tick, g, NULL);
}

struct gcs *gcs_new(struct world *c)
{
    struct gcs *g = mem_new(struct gcs);

    if (!g)
        return NULL;
    g->c = c;
    g->sn = sim_node_add(c->sim, "gcs", &sim_ops, g);
    sim_after(c->sim, g->sn, TICK_NS, tick, g, NULL);
    return g;
}

void gcs_free(struct gcs *g)
{
    if (!g)
        return;
    for (unsigned i = 0; i < g->n; i++)
        trunk_fini(&g->members[i].trunk);
    mem_free(g);
}

bool gcs_idle(const struct gcs *g)
{
    for (unsigned i = 0; i < g->n_actors; i++)
        if (g->actors[i].state.state != ACTOR_DEAD)
            return false;
    return true;
}

void gcs_show(const struct gcs *g)
{
    for (unsigned i = 0; i < g->n_actors; i++)
        fprintf(stderr, "actor %u: state %u incarnation %llu at %d killed %d\n", i,
                g->actors[i].state.state, (unsigned long long)g->actors[i].state.incarnation,
                g->actors[i].at, g->actors[i].killed);
}
