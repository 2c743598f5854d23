/*
 * What is remembered of objects and owners that are gone: bounded, the oldest is forgotten first.
 * Forgetting is safe: a late question about a freed object is then answered "not found".
 */
#include <string.h>

#include "store/core/state.h"

static void tomb_delete(struct store_core *core, struct store_tomb *t)
{
    HASH_DEL(core->tombs, t);
    list_del(&t->age);
    mem_free(t);
}

void store_tomb_set__(struct store_core *core, const struct object_id *id)
{
    struct store_tomb *t = HASH_GET(core->tombs, id, id);

    if (!t) {
        while (core->tombs && HASH_SIZE(core->tombs) >= core->c.max_tombstones)
            tomb_delete(core, LIST_FIRST(&core->tomb_age, struct store_tomb, age));
        t = mem_new(struct store_tomb);
        if (!t)
            return; /* as if forgotten */
        t->id = *id;
        if (HASH_PUT(core->tombs, id, t) < 0) {
            mem_free(t);
            return;
        }
    } else {
        list_del(&t->age);
    }
    list_add_tail(&core->tomb_age, &t->age);
}

bool store_tomb__(struct store_core *core, const struct object_id *id)
{
    return HASH_GET(core->tombs, id, id) != NULL;
}

void store_tomb_clear__(struct store_core *core, const struct object_id *id)
{
    struct store_tomb *t = HASH_GET(core->tombs, id, id);

    if (t)
        tomb_delete(core, t);
}

void store_dead_set__(struct store_core *core, const struct worker_id *id)
{
    struct store_dead *d = HASH_GET(core->dead_owners, id, id);

    if (d)
        return;
    if (HASH_SIZE(core->dead_owners) >= STORE_DEAD_MAX) {
        d = LIST_FIRST(&core->dead_age, struct store_dead, age);
        HASH_DEL(core->dead_owners, d);
        list_del(&d->age);
    } else if (!(d = mem_new(struct store_dead))) {
        return;
    }
    d->id = *id;
    if (HASH_PUT(core->dead_owners, id, d) < 0)
        mem_free(d);
    else
        list_add_tail(&core->dead_age, &d->age);
}

/* Nodes are in it as well as processes: ids are random, and as long. */
bool store_dead__(struct store_core *core, const struct record_address *owner)
{
    struct worker_id id;

    memcpy(id.bytes, owner->worker, sizeof id.bytes);
    if (HASH_GET(core->dead_owners, id, &id))
        return true;
    memcpy(id.bytes, owner->node, sizeof id.bytes);
    return HASH_GET(core->dead_owners, id, &id) != NULL;
}
