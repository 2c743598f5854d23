/*
 * Other nodes: what is asked of them and what they ask.
 */
#include <string.h>

#include "core/sched_impl.h"

#define ASK_MAX 1024 /* leases in one request */

int sched_node_find(const struct sched *s, const uint8_t id[16])
{
    return cluster_find(&s->cluster, id);
}

const uint8_t *sched_node_id(const struct sched *s, int node)
{
    return s->cluster.node[node].id;
}

/* Makes room in `peer` for this slot. */
static int peer_room(struct sched *s, int slot)
{
    struct peer *new;

    if (slot < s->peers)
        return 0;
    new = mem_realloc(s->peer, (size_t)(slot + 1) * sizeof *new);
    if (!new)
        return -RAIA_ERR_NOMEM;
    memset(new + s->peers, 0, (size_t)(slot + 1 - s->peers) * sizeof *new);
    s->peer = new;
    s->peers = slot + 1;
    return 0;
}

int sched_node_view(struct sched *s, int64_t now, const uint8_t id[16], uint64_t version,
                    const struct res_set *total, const struct res_set *available)
{
    int slot, r;

    if (!memcmp(id, s->config.node, 16))
        return 0;
    r = peer_room(s, s->cluster.n); /* before: a node has its peer, always */
    if (r < 0)
        return r;
    r = cluster_add(&s->cluster, id, &slot);
    if (r < 0)
        return r;
    if (cluster_update(&s->cluster, slot, version, total, available))
        sched_settle(s, now);
    return 0;
}

void sched_node_avoid(struct sched *s, int64_t now, const uint8_t id[16], bool avoid)
{
    int slot = cluster_find(&s->cluster, id);

    if (slot < 0 || s->cluster.node[slot].avoid == avoid)
        return;
    s->cluster.node[slot].avoid = avoid;
    sched_settle(s, now);
}

/* ---- asking */

int sched_request(struct sched *s, int node, struct klass *k, uint32_t count)
{
    struct request *q = mem_new(struct request);

    if (!q)
        return -RAIA_ERR_NOMEM;
    q->number = s->next_request++;
    q->left = count;
    q->node = node;
    q->klass = k;
    if (HASH_PUT(s->requests, number, q) < 0) {
        mem_free(q);
        return -RAIA_ERR_NOMEM;
    }
    k->refs++;
    s->stats.spillbacks += count;
    s->ops->ask(s->arg, node, q->number, count, &k->shape);
    return 0;
}

/* `count` of a request are answered. */
static void request_answered(struct sched *s, struct request *q, uint32_t count)
{
    q->left -= count;
    q->klass->pending_remote -= count;
    for (uint32_t i = 0; i < count; i++)
        res_set_minus(&s->cluster.node[q->node].asked, &q->klass->shape.need);
    if (q->left)
        return;
    HASH_DEL(s->requests, q);
    sched_klass_unref(s, q->klass);
    mem_free(q);
}

void sched_remote_end(struct sched *s, struct remote *r)
{
    /* Else it would count as full until its next word, which comes through the control store. */
    cluster_returned(&s->cluster, (int)r->key.node, &r->asker->klass->shape.need);
    r->asker->held--;
    HASH_DEL(s->remotes, r);
    mem_free(r);
}

void sched_granted(struct sched *s, int64_t now, int node, uint32_t request, uint64_t lease,
                   const uint8_t worker[16])
{
    struct request *q = HASH_GET(s->requests, number, &request);
    struct remote_key key = {.lease = lease, .node = (uint64_t)node};
    struct asker *a;
    struct remote *r;

    if (!q || q->node != node || HASH_GET(s->remotes, key, &key))
        return;
    s->now = now;
    a = LIST_FIRST(&q->klass->waiting, struct asker, wait);
    /* What it said last does not know of this lease yet. */
    res_set_minus(&s->cluster.node[node].available, &q->klass->shape.need);
    request_answered(s, q, 1);
    r = a ? mem_new(struct remote) : NULL;
    if (r) {
        r->key = key;
        r->asker = a;
        r->since = now;
        memcpy(r->worker, worker, 16);
    }
    if (!r || HASH_PUT(s->remotes, key, r) < 0) {
        mem_free(r);
        s->ops->return_to(s->arg, node, lease, false);
    } else {
        sched_grant(s, a, lease, s->cluster.node[node].id, worker);
    }
    sched_settle(s, now);
}

void sched_rejected(struct sched *s, int64_t now, int node, uint32_t request, uint32_t count,
                    int status, const char *text)
{
    struct request *q = HASH_GET(s->requests, number, &request);
    struct klass *k;

    if (!q || q->node != node || count == 0 || count > q->left)
        return;
    s->now = now;
    k = q->klass;
    k->refs++;
    s->stats.rejects += count;
    request_answered(s, q, count);
    if (status == -RAIA_ERR_RUNTIME_ENV || status == -RAIA_ERR_LIMIT)
        sched_fail_klass(s, k, status, text);
    /* It says that it has no room: believe it until it says something newer. */
    if (cluster_fits(&s->cluster, node, &k->shape.need))
        s->cluster.node[node].available = (struct res_set){0};
    sched_klass_unref(s, k);
    sched_settle(s, now);
}

void sched_reclaimed(struct sched *s, int64_t now, int node, uint64_t lease)
{
    struct remote_key key = {.lease = lease, .node = (uint64_t)node};
    struct remote *r = HASH_GET(s->remotes, key, &key);

    (void)now;
    if (!r || r->reclaimed)
        return;
    r->reclaimed = true;
    s->ops->reclaim(s->arg, r->asker->client->id, lease, s->cluster.node[node].id);
}

static void remote_lost(struct sched *s, struct remote *r, int status, int exit_status,
                        const char *text)
{
    uint64_t client = r->asker->client->id, lease = r->key.lease;
    const uint8_t *node = s->cluster.node[r->key.node].id;
    uint8_t worker[16];

    memcpy(worker, r->worker, 16);
    sched_remote_end(s, r);
    s->ops->lost(s->arg, client, lease, node, worker, status, exit_status, text);
}

void sched_lost(struct sched *s, int64_t now, int node, uint64_t lease, int status, int exit_status,
                const char *text)
{
    struct remote_key key = {.lease = lease, .node = (uint64_t)node};
    struct remote *r = HASH_GET(s->remotes, key, &key);

    if (!r)
        return;
    s->now = now;
    remote_lost(s, r, status, exit_status, text);
    sched_settle(s, now);
}

/* ---- being asked */

void sched_asked(struct sched *s, int64_t now, int node, uint32_t request, uint32_t count,
                 const struct sched_shape *shape)
{
    struct klass *k = sched_klass(s, shape);
    uint32_t left = count > ASK_MAX ? ASK_MAX : count;
    uint32_t refused = count - left;

    s->now = now;
    while (k && left) {
        struct lease *l = sched_lease_new(s, LEASE_NODE, k, &shape->need);
        if (!l)
            break;
        l->node = node;
        l->request = request;
        s->peer[node].held++;
        if (pool_want(s->pool, now, shape->job, l->id) < 0) {
            sched_lease_end(s, l, false);
            break;
        }
        left--;
    }
    refused += left;
    if (refused) {
        s->peer[node].rejected = true;
        s->peer[node].rejected_need = shape->need;
        s->ops->answer_reject(s->arg, node, request, refused, 0, "");
        sched_reclaim_one(s, &shape->need, NULL, node, s->peer[node].held);
    }
    if (k)
        sched_klass_unref(s, k);
    sched_settle(s, now);
}

void sched_returned(struct sched *s, int64_t now, int node, uint64_t lease, bool broken)
{
    struct lease *l = HASH_GET(s->leases, id, &lease);

    if (!l || l->kind != LEASE_NODE || l->node != node)
        return;
    s->now = now;
    sched_lease_end(s, l, broken);
    sched_settle(s, now);
}

void sched_give_room(struct sched *s)
{
    for (int i = 0; i < s->cluster.n; i++) {
        struct peer *p = &s->peer[i];
        if (!p->rejected || !s->cluster.node[i].used || !ledger_fits(&s->ledger, &p->rejected_need))
            continue;
        p->rejected = false;
        s->ops->room(s->arg, i);
    }
}

void sched_node_lost(struct sched *s, int64_t now, const uint8_t id[16], bool dead)
{
    int node = cluster_find(&s->cluster, id);
    struct request *q, *qnext;
    struct remote *r, *rnext;
    struct lease *l, *lnext;

    if (node < 0)
        return;
    s->now = now;
    sched_events(s); /* answers to it that are due go first */
    HASH_FOREACH (s->requests, q, qnext)
        if (q->node == node && !PLANTED(PLANT_LOST_DEMAND))
            request_answered(s, q, q->left);
    HASH_FOREACH (s->remotes, r, rnext)
        if ((int)r->key.node == node)
            remote_lost(s, r, dead ? -RAIA_ERR_NODE_DIED : -RAIA_ERR_WORKER_CRASHED, -1,
                        dead ? "its node died" : "the link to its node broke");
    LIST_FOREACH_SAFE (l, lnext, &s->lease_list, link)
        if (l->kind == LEASE_NODE && l->node == node)
            sched_lease_end(s, l, true);
    s->cluster.node[node].asked = (struct res_set){0};
    s->peer[node] = (struct peer){0};
    if (dead)
        cluster_remove(&s->cluster, node);
    sched_settle(s, now);
}
