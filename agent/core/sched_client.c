/*
 * Clients: the processes of this node, the classes that they define, and what they ask for.
 */
#include <string.h>

#include "core/sched_impl.h"

static struct client *client_find(struct sched *s, uint64_t id)
{
    return HASH_GET(s->clients, id, &id);
}

int sched_client(struct sched *s, uint64_t client, const uint8_t job[4])
{
    struct client *c;

    if (client_find(s, client))
        return -RAIA_ERR_EXISTS;
    c = mem_new(struct client);
    if (!c)
        return -RAIA_ERR_NOMEM;
    c->id = client;
    memcpy(c->job, job, 4);
    if (HASH_PUT(s->clients, id, c) < 0) {
        mem_free(c);
        return -RAIA_ERR_NOMEM;
    }
    return 0;
}

void sched_asker_want(struct asker *a, uint32_t want)
{
    struct klass *k = a->klass;

    k->want = k->want - a->want + want;
    if (want && !a->want)
        list_add_tail(&k->waiting, &a->wait);
    if (!want && a->want) {
        list_del(&a->wait);
        a->told = false;
    }
    a->want = want;
}

int sched_class(struct sched *s, uint64_t client, uint32_t number, const struct res_set *need,
                bool spread)
{
    struct client *c = client_find(s, client);
    struct sched_shape shape = {.need = *need, .spread = spread};
    struct asker *a;

    if (!c || HASH_GET(c->askers, number, &number))
        return -RAIA_ERR_INVALID;
    if (HASH_SIZE(c->askers) >= SCHED_CLASSES_MAX)
        return -RAIA_ERR_LIMIT;
    memcpy(shape.job, c->job, 4);
    a = mem_new(struct asker);
    if (!a)
        return -RAIA_ERR_NOMEM;
    a->number = number;
    a->client = c;
    a->klass = sched_klass(s, &shape);
    if (!a->klass) {
        mem_free(a);
        return -RAIA_ERR_LIMIT;
    }
    if (HASH_PUT(c->askers, number, a) < 0) {
        sched_klass_unref(s, a->klass);
        mem_free(a);
        return -RAIA_ERR_NOMEM;
    }
    return 0;
}

int sched_demand(struct sched *s, int64_t now, uint64_t client, uint32_t number, uint32_t want,
                 uint64_t seen, const uint8_t *prefer)
{
    struct client *c = client_find(s, client);
    struct asker *a = c ? HASH_GET(c->askers, number, &number) : NULL;
    uint64_t under_way;

    if (!a || seen > a->sent)
        return -RAIA_ERR_INVALID;
    /* Grants that it had not received when it said so are part of what it wants. */
    under_way = a->sent - seen;
    sched_asker_want(a, want > under_way ? (uint32_t)(want - under_way) : 0);
    a->has_prefer = prefer != NULL;
    if (prefer)
        memcpy(a->prefer, prefer, 16);
    sched_settle(s, now);
    return 0;
}

void sched_return(struct sched *s, int64_t now, uint64_t client, const uint8_t node[16],
                  uint64_t lease, bool broken)
{
    s->now = now;
    if (!memcmp(node, s->config.node, 16)) {
        struct lease *l = HASH_GET(s->leases, id, &lease);
        if (!l || !l->asker || l->asker->client->id != client)
            return;
        sched_lease_end(s, l, broken);
    } else {
        struct remote_key key = {.lease = lease};
        int slot = cluster_find(&s->cluster, node);
        struct remote *r;
        if (slot < 0)
            return;
        key.node = (uint64_t)slot;
        r = HASH_GET(s->remotes, key, &key);
        if (!r || r->asker->client->id != client)
            return;
        sched_remote_end(s, r);
        s->ops->return_to(s->arg, slot, lease, broken);
    }
    sched_settle(s, now);
}

void sched_client_gone(struct sched *s, int64_t now, uint64_t client)
{
    struct client *c = client_find(s, client);
    struct lease *l, *next;
    struct remote *r, *rnext;
    struct asker *a, *anext;

    if (!c)
        return;
    s->now = now;
    HASH_FOREACH (c->askers, a, anext)
        sched_asker_want(a, 0);
    LIST_FOREACH_SAFE (l, next, &s->lease_list, link)
        if (l->asker && l->asker->client == c)
            sched_lease_end(s, l, true);
    HASH_FOREACH (s->remotes, r, rnext) {
        int node = (int)r->key.node;
        uint64_t lease = r->key.lease;
        if (r->asker->client != c)
            continue;
        sched_remote_end(s, r);
        s->ops->return_to(s->arg, node, lease, true);
    }
    HASH_FOREACH (c->askers, a, anext) {
        HASH_DEL(c->askers, a);
        sched_klass_unref(s, a->klass);
        mem_free(a);
    }
    HASH_DEL(s->clients, c);
    mem_free(c);
    sched_settle(s, now);
}
