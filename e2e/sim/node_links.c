/* A raylet's other sides: the other nodes, and the word of the control store. */
#include <string.h>

#include "base/mem.h"
#include "sim/node_impl.h"

#define NODE_AVOID_NS (100 * CLOCK_NS_PER_MS) /* after a break nothing is placed there */

/* ---- other nodes */

void node_learn(struct node *n, const uint8_t id[16])
{
    struct node *other = node_by_id(n->c, id);
    struct peer *p;

    if (!other || other == n || node_peer(n, id))
        return;
    p = &n->peers[n->n_peers++];
    *p = (struct peer){.node = other};
    memcpy(p->id, id, 16);
    list_init(&p->outbox);
}

struct again {
    struct node *n;
    struct peer *p;
};

static void link_again(void *ctx)
{
    struct again *x = ctx;

    x->p->avoided = false;
    if (x->p->dead)
        return;
    sched_node_avoid(x->n->sched, world_now(x->n->c), x->p->id, false);
    node_settle(x->n);
}

/* What is sent next goes over a new connection, if there is a way. */
static void link_down(struct node *n, struct peer *p, bool dead)
{
    struct again *x;

    p->dead = p->dead || dead;
    channel_node_lost(n, p->id, dead ? -RAIA_ERR_NODE_DIED : -RAIA_ERR_UNAVAILABLE);
    sched_node_avoid(n->sched, world_now(n->c), p->id, true);
    sched_node_lost(n->sched, world_now(n->c), p->id, dead);
    node_store_link_broken(n, p, dead);
    if (!dead && !p->avoided) {
        x = world_alloc(n->c, sizeof(*x));
        if (!x)
            return;
        *x = (struct again){.n = n, .p = p};
        p->avoided = true;
        sim_after(n->c->sim, n->sn, NODE_AVOID_NS, link_again, x, NULL);
    }
    node_settle(n);
}

static void lease_hop(struct node *n, int slot, const struct hop *h)
{
    struct res_set set = node_cpus(h->cpus);
    struct sched_shape shape = {.need = set, .spread = h->spread};
    int64_t now = world_now(n->c);
    const uint8_t *id = sched_node_id(n->sched, slot);

    switch (h->type) {
    case HOP_ASK:
        memcpy(shape.job, h->job, 4);
        sched_asked(n->sched, now, slot, h->request, h->count, &shape);
        break;
    case HOP_GRANT:
        sched_granted(n->sched, now, slot, h->request, h->lease, h->worker);
        break;
    case HOP_REJECT:
        sched_node_view(n->sched, now, id, h->version, NULL, &set);
        sched_rejected(n->sched, now, slot, h->request, h->count, h->status, "rejected");
        break;
    case HOP_RETURN:
        if (n->c->plant == PLANT_LEAKED_RESOURCE)
            break;
        sched_returned(n->sched, now, slot, h->lease, h->broken);
        break;
    case HOP_RECLAIM:
        sched_reclaimed(n->sched, now, slot, h->lease);
        break;
    case HOP_LOST:
        sched_lost(n->sched, now, slot, h->lease, h->status, 137, "killed");
        break;
    case HOP_ROOM:
        sched_node_view(n->sched, now, id, h->version, NULL, &set);
        break;
    default:
        break;
    }
}

static void from_node(struct node *n, struct peer *p, const void *data, size_t size)
{
    static const struct res_set nothing;
    const struct hop *h = data;
    int slot;

    if (p->dead)
        return;
    if (sched_node_find(n->sched, p->id) < 0) /* before the control store has told of it */
        sched_node_view(n->sched, world_now(n->c), p->id, 0, NULL, &nothing);
    if (h->type >= HOP_CH_OPEN) {
        channel_hop(n, p->id, h, (const uint8_t *)data + sizeof(*h), size - sizeof(*h));
        return;
    }
    if (h->type == HOP_STORE || h->type == HOP_OWNER_GONE) {
        node_store_hop(n, p->id, h, h + 1, size - sizeof(*h));
        node_settle(n);
        return;
    }
    slot = sched_node_find(n->sched, p->id);
    if (slot >= 0)
        lease_hop(n, slot, h);
    node_settle(n);
}

static void on_message(void *ctx, struct sim_node *from, const void *data, size_t size)
{
    struct node *n = ctx, *other = sim_node_ctx(from);
    struct peer *p;

    if (from == gcs_sim(n->c->gcs)) {
        const struct trunk_word *w = data;

        if (trunk_receive(&n->trunk, w))
            node_from_gcs(n, &w->word);
        return;
    }
    node_learn(n, other->id);
    p = node_peer(n, other->id);
    if (p)
        from_node(n, p, data, size);
}

static void on_broken(void *ctx, struct sim_node *from)
{
    struct node *n = ctx, *other = sim_node_ctx(from);
    struct peer *p;

    if (from == gcs_sim(n->c->gcs)) {
        trunk_broke(&n->trunk);
        node_hello(n);
        return;
    }
    p = node_peer(n, other->id);
    if (p && !p->dead)
        link_down(n, p, false);
}

const struct sim_node_ops node_sim_ops = {.message = on_message, .broken = on_broken};

/* ---- the control store */

static void create_actor(struct node *n, const struct gcs_word *w)
{
    struct res_set hold = node_cpus(w->cpus), place = node_cpus(w->cpus ? w->cpus : RES_UNIT);
    struct hosted *h;

    LIST_FOREACH (h, &n->actors, link)
        if (!memcmp(h->actor, w->actor, 16) && h->incarnation == w->incarnation) {
            if (h->up) /* asked for twice is once */
                hosted_event(n, h, ACTOR_ALIVE, &h->address, 0);
            return;
        }
    h = mem_new(struct hosted);
    if (!h) {
        sim_fail(n->c->sim, "out of memory");
        return;
    }
    memcpy(h->actor, w->actor, 16);
    h->incarnation = w->incarnation;
    h->tag = ++n->next_tag;
    list_add_tail(&n->actors, &h->link);
    if (sched_take(n->sched, world_now(n->c), node_actors_job, &place, &hold, h->tag) < 0)
        hosted_end(n, h, -RAIA_ERR_LIMIT);
}

static void kill_actor(struct node *n, const struct gcs_word *w)
{
    struct hosted *h;
    struct session *s;

    LIST_FOREACH (h, &n->actors, link)
        if (!memcmp(h->actor, w->actor, 16) && h->incarnation == w->incarnation) {
            s = h->worker ? session_by_worker(n, h->worker) : NULL;
            if (s)
                proc_kill(s->p);
            return;
        }
}

void node_from_gcs(struct node *n, const struct gcs_word *w)
{
    int64_t now = world_now(n->c);
    struct res_set total = node_cpus(w->total), available = node_cpus(w->cpus);
    struct session *s;
    struct peer *p;

    if (w->type > WORD_SESSION && w->session != n->session)
        return;
    switch (w->type) {
    case WORD_FENCE:
        node_kill(n);
        return;
    case WORD_RESET:
        if (w->session == n->session)
            node_hello(n);
        break;
    case WORD_ALIVE:
    case WORD_VIEW:
        if (!memcmp(w->node, n->id, 16))
            break;
        node_learn(n, w->node);
        p = node_peer(n, w->node);
        if (p && p->dead)
            break;
        sched_node_view(n->sched, now, w->node, w->version, &total, &available);
        break;
    case WORD_DEAD:
        if (!memcmp(w->node, n->id, 16)) { /* fenced, or to be */
            node_kill(n);
            return;
        }
        node_learn(n, w->node);
        p = node_peer(n, w->node);
        if (p && !p->dead)
            link_down(n, p, true);
        break;
    case WORD_BEATEN:
        n->heard = now;
        break;
    case WORD_JOB_ADDED:
        node_job_added(n, w);
        break;
    case WORD_JOB_FINISHED:
        node_job_finished(n, w->job);
        break;
    case WORD_JOB_ENDED:
        node_job_ended(n, w->job);
        break;
    case WORD_ACTOR_CREATE:
        create_actor(n, w);
        break;
    case WORD_ACTOR_KILL:
        kill_actor(n, w);
        break;
    case WORD_ACTOR_STATE:
        LIST_FOREACH (s, &n->sessions, link)
            session_send(s, REC_GCS_PUBLICATION, 0, 0, w, sizeof *w);
        break;
    default:
        break;
    }
    node_settle(n);
}
