/*
 * Memory given to a process ahead of need, so that a put costs no round trip: an extent of a size
 * that it used just now, when it has none such, and only while there is plenty.
 */
#include "store/core/state.h"

#define GRANTS_MAX 16u /* of one process */

static bool plenty(const struct store_core *core, uint64_t size)
{
    return list_empty(&core->creates) && list_empty(&core->memory_waiters) &&
           core->alloc.used + size <= core->c.capacity / 4 * 3;
}

void store_grant_offer__(struct store_core *core, struct store_client *client, uint64_t size)
{
    struct rec_store_grant r = {0};
    struct store_grant *g;

    size = store_alloc_rounded(size);
    if (!client->takes_grants || client->closed || client->ngrants >= GRANTS_MAX ||
        size > core->c.grant_bytes / 4 || client->granted + size > core->c.grant_bytes ||
        !plenty(core, size))
        return;
    LIST_FOREACH (g, &client->grants, link)
        if (g->extent->size >= size && g->extent->size <= 2 * size)
            return;
    g = mem_new(struct store_grant);
    if (!g)
        return;
    list_init(&g->link);
    if (store_alloc_take(&core->alloc, &client->arena, size, core->now, &g->extent) < 0) {
        mem_free(g);
        return;
    }
    if (store_map__(core, client, g->extent->segment) < 0) {
        store_give__(core, g->extent);
        mem_free(g);
        return;
    }
    g->number = ++core->last_grant;
    list_add_tail(&client->grants, &g->link);
    client->ngrants++;
    client->granted += g->extent->size;
    client->reclaiming = false;
    r.segment = g->extent->segment->number;
    r.offset = g->extent->offset;
    r.size = g->extent->size;
    core->ops->send(core->arg, client->number, REC_STORE_GRANT, g->number, &r, sizeof r);
}

struct store_grant *store_grant_find__(struct store_client *client, uint64_t number)
{
    struct store_grant *g;

    LIST_FOREACH (g, &client->grants, link)
        if (g->number == number)
            return g;
    return NULL;
}

struct store_extent *store_grant_use__(struct store_client *client, struct store_grant *grant)
{
    struct store_extent *x = grant->extent;

    list_del(&grant->link);
    client->ngrants--;
    client->granted -= x->size;
    mem_free(grant);
    return x;
}

void store_grants_drop__(struct store_core *core, struct store_client *client)
{
    struct store_grant *g, *next;

    LIST_FOREACH_SAFE (g, next, &client->grants, link)
        store_give__(core, store_grant_use__(client, g));
}

void store_grants_reclaim__(struct store_core *core)
{
    struct store_client *c, *next;

    HASH_FOREACH (core->clients, c, next) {
        if (!c->ngrants || c->reclaiming || c->closed)
            continue;
        c->reclaiming = true;
        core->ops->send(core->arg, c->number, REC_STORE_GRANT_RECLAIM, 0, NULL, 0);
    }
}
