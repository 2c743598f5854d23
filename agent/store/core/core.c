/*
 * The store core as a whole: making it, timers, memory for those who wait, statistics.
 */
#include <stdio.h>
#include <string.h>

#include "store/core/state.h"

static int on_create(void *arg, struct store_segment *s)
{
    struct store_core *core = arg;

    return core->ops->segment_create(core->arg, s->number, s->size);
}

static void on_destroy(void *arg, struct store_segment *s)
{
    struct store_core *core = arg;

    store_unmap_all__(core, s, NULL);
    core->ops->segment_destroy(core->arg, s->number);
}

static void on_adopt(void *arg, struct store_segment *s)
{
    store_unmap_all__(arg, s, NULL);
}

static void on_punch(void *arg, struct store_segment *s, uint64_t offset, uint64_t size)
{
    struct store_core *core = arg;

    core->ops->segment_punch(core->arg, s->number, offset, size);
}

static const struct store_alloc_ops alloc_ops = {on_create, on_destroy, on_adopt, on_punch};

int store_core_new(const struct store_config *c, const struct store_core_ops *ops, void *arg,
                   struct store_core **ret_core)
{
    struct store_core *core = mem_new(struct store_core);
    struct store_alloc_config a = {.capacity = c->capacity / STORE_GRANULE * STORE_GRANULE,
                                   .segment_bytes = (c->segment_bytes + STORE_GRANULE - 1) /
                                                    STORE_GRANULE * STORE_GRANULE,
                                   .reserve_bytes = c->reserve_bytes,
                                   .max_segments = c->max_segments,
                                   .giveback_ns = c->giveback_ms * CLOCK_NS_PER_MS,
                                   .reserve_ns = c->reserve_ms * CLOCK_NS_PER_MS};

    if (!core)
        return -RAIA_ERR_NOMEM;
    core->c = *c;
    core->c.capacity = a.capacity;
    core->ops = ops;
    core->arg = arg;
    memcpy(core->node.bytes, c->node, sizeof core->node.bytes);
    store_alloc_init(&core->alloc, &a, &alloc_ops, core);
    store_arena_init(&core->alloc, &core->orphans.arena, false);
    list_init(&core->tomb_age);
    list_init(&core->dead_age);
    list_init(&core->evictable);
    list_init(&core->creates);
    list_init(&core->memory_waiters);
    list_init(&core->unreachable);
    list_init(&core->to_ack);
    list_init(&core->sends);
    list_init(&core->doubts);
    core->doubt.kind = STORE_TIMER_DOUBT;
    *ret_core = core;
    return 0;
}

static void free_object(struct store_object *o)
{
    struct store_pin *pin, *next_pin;
    struct store_get *get, *next_get;

    LIST_FOREACH_SAFE (pin, next_pin, &o->pins, of_object)
        mem_free(pin);
    LIST_FOREACH_SAFE (get, next_get, &o->gets, of_object)
        mem_free(get);
    mem_free(o->create);
    mem_free(o->pull);
    mem_free(o->sources);
    mem_free(o->forwards);
    mem_free(o);
}

static void free_clients(struct store_core *core)
{
    struct store_client *c, *next;
    struct store_mapping *m, *next_m;

    HASH_FOREACH (core->clients, c, next) {
        LIST_FOREACH_SAFE (m, next_m, &c->mappings, of_client)
            mem_free(m);
        HASH_DEL(core->clients, c);
        mem_free(c);
    }
}

void store_core_free(struct store_core *core)
{
    struct store_segment *s, *next_s;
    struct store_object *o, *next_o;
    struct store_peer *p, *next_p;
    struct store_owner *w, *next_w;
    struct store_job *j, *next_j;
    struct store_tomb *t, *next_t;
    struct store_dead *d, *next_d;
    struct store_send *send, *next_send;

    if (!core)
        return;
    store_timers_fini(&core->timers); /* first: timers live in what goes below */
    HASH_FOREACH (core->alloc.segments, s, next_s)
        core->ops->segment_destroy(core->arg, s->number);
    store_alloc_fini(&core->alloc);
    free_clients(core);
    HASH_CLEAR(hh, core->pulls); /* the pulls themselves go with their objects */
    HASH_FOREACH (core->peers, p, next_p) {
        struct store_serve *serve, *next;
        HASH_FOREACH (p->serves, serve, next) {
            HASH_DEL(p->serves, serve);
            mem_free(serve);
        }
        store_peer_delete__(core, p);
    }
    HASH_FOREACH (core->objects, o, next_o) {
        HASH_DEL(core->objects, o);
        free_object(o);
    }
    HASH_FOREACH (core->owners, w, next_w) {
        HASH_DEL(core->owners, w);
        mem_free(w);
    }
    HASH_FOREACH (core->jobs, j, next_j) {
        HASH_DEL(core->jobs, j);
        mem_free(j);
    }
    HASH_FOREACH (core->tombs, t, next_t) {
        HASH_DEL(core->tombs, t);
        mem_free(t);
    }
    HASH_FOREACH (core->dead_owners, d, next_d) {
        HASH_DEL(core->dead_owners, d);
        mem_free(d);
    }
    LIST_FOREACH_SAFE (send, next_send, &core->sends, link)
        mem_free(send);
    mem_free(core);
}

int store_take__(struct store_core *core, struct store_arena *arena, uint64_t size,
                 struct store_extent **ret_extent)
{
    uint64_t n = store_alloc_rounded(size);
    int r;

    /* Nothing is evicted for what would not fit anyway. */
    if (core->alloc.used - core->evictable_bytes + n > core->c.capacity)
        return -RAIA_ERR_STORE_FULL;
    while ((r = store_alloc_take(&core->alloc, arena, size, core->now, ret_extent)) ==
           -RAIA_ERR_STORE_FULL) {
        struct store_object *o = LIST_FIRST(&core->evictable, struct store_object, lru);
        if (!o)
            return r;
        store_evict__(core, o);
    }
    return r;
}

void store_give__(struct store_core *core, struct store_extent *x)
{
    store_alloc_give(&core->alloc, x, core->now);
    core->memory_freed = true;
}

void store_full_text__(const struct store_core *core, uint64_t size, char *text, size_t room)
{
    const uint64_t mib = 1 << 20;
    uint64_t used = core->alloc.used;
    int n = snprintf(text, room,
                     "object store full: %.1f MiB wanted, capacity %.1f MiB, in use %.1f MiB, of "
                     "that %.1f MiB cannot be evicted; ",
                     (double)size / mib, (double)core->c.capacity / mib, (double)used / mib,
                     (double)(used - core->evictable_bytes) / mib);

    if (n > 0 && (size_t)n < room)
        snprintf(text + n, room - (size_t)n, "%s",
                 size > core->c.capacity
                     ? "make the object smaller, or give the node a larger --object-store-memory"
                     : "drop references to objects, or give the node a larger "
                       "--object-store-memory");
}

/* Memory that became free goes first to CREATEs, in their order, then to pulls by priority. */
void store_run__(struct store_core *core)
{
    if (core->running)
        return;
    core->running = true;
    do {
        while (core->memory_freed) {
            core->memory_freed = false;
            store_creates_run__(core);
            store_pulls_memory__(core);
        }
        store_peers_run__(core);
    } while (core->memory_freed);
    core->running = false;
}

static void settle_expired(struct store_core *core, struct store_object *o)
{
    store_keep__(core, o);
    store_serves_end__(core, o, -RAIA_ERR_NOT_FOUND);
    for (uint32_t i = 0; i < o->nsources; i++)
        if (node_id_equal(&o->sources[i].node, &core->node))
            o->sources[i].state = STORE_SOURCE_EMPTY;
    store_object_seek__(core, o);
    store_unkeep__(core, o);
}

/* Jobs that have no segments any more; they come back when they need one. */
static void drop_idle_jobs(struct store_core *core)
{
    struct store_job *job, *next;

    HASH_FOREACH (core->jobs, job, next)
        if (store_arena_idle(&job->arena)) {
            store_arena_fini(&job->arena);
            HASH_DEL(core->jobs, job);
            mem_free(job);
        }
}

#define TIMER_OF(type, member) container_of(t, type, member)

void store_core_tick(struct store_core *core, int64_t now)
{
    struct store_timer *t;

    core->now = now;
    while ((t = store_timer_expired(&core->timers, now)))
        switch ((enum store_timer_kind)t->kind) {
        case STORE_TIMER_CREATE:
            store_create_expired__(core, TIMER_OF(struct store_create, timer));
            break;
        case STORE_TIMER_GET:
            store_get_expired__(core, TIMER_OF(struct store_get, timer));
            break;
        case STORE_TIMER_SETTLE:
            settle_expired(core, TIMER_OF(struct store_object, settle));
            break;
        case STORE_TIMER_PULL:
            store_pull_expired__(core, TIMER_OF(struct store_pull, timer));
            break;
        case STORE_TIMER_SERVE: {
            struct store_object *o = TIMER_OF(struct store_serve, timer)->object;
            store_keep__(core, o);
            store_serve_end__(core, TIMER_OF(struct store_serve, timer), -RAIA_ERR_LIMIT);
            store_unkeep__(core, o);
            break;
        }
        case STORE_TIMER_DOUBT:
            store_doubts_again__(core);
            break;
        case STORE_TIMER_PEER:
            store_peer_again__(core, TIMER_OF(struct store_peer, again));
            break;
        }
    store_run__(core);
    store_alloc_tick(&core->alloc, now);
    drop_idle_jobs(core);
}

int64_t store_core_next_deadline(const struct store_core *core)
{
    int64_t a = store_timer_next(&core->timers), b = store_alloc_deadline(&core->alloc);

    return a < b ? a : b;
}

void store_core_stats(const struct store_core *core, struct store_stats *ret_stats)
{
    struct store_stats s = core->totals;
    const struct store_object *o, *next;
    const struct store_client *c, *next_c;
    const struct store_peer *p, *next_p;

    s.capacity = core->c.capacity;
    s.used = core->alloc.used;
    s.resident = core->alloc.resident;
    s.pinned = s.used - core->evictable_bytes;
    s.segments = core->alloc.nsegments;
    HASH_FOREACH (core->objects, o, next) {
        s.objects += o->state == STORE_SEALED;
        s.unsealed += o->state == STORE_CREATING && o->extent;
        s.primary += o->state == STORE_SEALED && o->primary ? o->size : 0;
        s.pulls += o->pull != NULL;
    }
    HASH_FOREACH (core->clients, c, next_c)
        s.clients++;
    HASH_FOREACH (core->peers, p, next_p)
        s.serving += p->nserves;
    *ret_stats = s;
}

void store_core_list(const struct store_core *core,
                     void (*f)(void *arg, const struct store_object_info *o), void *arg)
{
    const struct store_object *o, *next;
    const struct store_pin *pin;

    HASH_FOREACH (core->objects, o, next) {
        struct store_object_info info = {.size = o->size,
                                         .sealed = o->state == STORE_SEALED,
                                         .primary = o->primary,
                                         .owner = o->owner};
        if (!o->extent)
            continue;
        memcpy(info.object, o->id.bytes, sizeof info.object);
        memcpy(info.job, o->job.bytes, sizeof info.job);
        LIST_FOREACH (pin, &o->pins, of_object)
            info.pins += pin->count;
        f(arg, &info);
    }
}

#define CHECK(what)                                                                                \
    if (!(what))                                                                                   \
    return __LINE__

int store_core_check(const struct store_core *core)
{
    const struct store_object *o, *next;
    const struct store_pin *pin;
    uint64_t used = 0, evictable = 0;
    int r = store_alloc_check(&core->alloc);

    CHECK(r == 0);
    HASH_FOREACH (core->objects, o, next) {
        uint32_t pins = 0;
        LIST_FOREACH (pin, &o->pins, of_object)
            pins += pin->count;
        CHECK(pins <= o->npins);
        CHECK((o->state == STORE_SEALED) <= (o->extent != NULL));
        CHECK((o->state == STORE_CREATING) == (o->create != NULL));
        CHECK(!list_linked(&o->lru) || (o->npins == 0 && !o->primary && o->extent));
        used += o->extent ? o->extent->size : 0;
        evictable += list_linked(&o->lru) ? o->extent->size : 0;
    }
    CHECK(used == core->alloc.used);
    CHECK(evictable == core->evictable_bytes);
    return 0;
}

void store_core_plant(struct store_core *core, enum store_bug bug)
{
    core->bug = bug;
}
