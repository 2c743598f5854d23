/*
 * Fetching an object from another node: which node to ask, memory for it, credit for its chunks.
 *
 * One pull at a time for an object, whoever wants it. What came stays when another node is asked:
 * an object is immutable. The bytes under way from one node are bounded (pull_window) and shared by
 * the pulls that flow from there.
 */
#include <string.h>

#include "store/core/state.h"

#define BACKOFF_MS     50
#define BACKOFF_MS_MAX 2000
#define AGAIN_FACTOR   4u /* a link may break so much oftener than a node may be silent */

static void kick_starved(struct store_core *core, struct store_peer *p);

/* Takes it away from the node that it asks. */
static void detach(struct store_core *core, struct store_pull *pull, bool cancel)
{
    struct store_peer *p = pull->peer;
    struct store_link_pull r = {.pull = pull->number};

    if (!p)
        return;
    HASH_DEL(core->pulls, pull);
    list_del(&pull->of_peer);
    list_del(&pull->starving);
    list_del(&pull->memory);
    store_timer_clear(&core->timers, &pull->timer);
    pull->peer = NULL;
    if (pull->state == PULL_FLOWING) {
        p->nflowing--;
        /* peer_lost has set in_flight to 0. */
        p->in_flight -= pull->credited - pull->received < p->in_flight
                            ? pull->credited - pull->received
                            : p->in_flight;
    }
    pull->state = PULL_IDLE;
    if (cancel) {
        memcpy(r.object, pull->object->id.bytes, sizeof r.object);
        (void)store_peer_send__(core, p, STORE_LINK_PULL_CANCEL, &r, sizeof r, NULL, 0);
    }
    if (!p->unreachable)
        kick_starved(core, p);
}

void store_pull_end__(struct store_core *core, struct store_pull *pull)
{
    detach(core, pull, true);
    store_timer_clear(&core->timers, &pull->timer);
    pull->object->pull = NULL;
    mem_free(pull);
}

/* Asks the next node that may have it; there being none, the object is lost to those who wait. */
static void ask_next(struct store_core *core, struct store_pull *pull)
{
    struct store_object *o = pull->object;
    struct store_link_pull r = {0};

    memcpy(r.object, o->id.bytes, sizeof r.object);
    for (uint32_t i = 0; i < o->nsources; i++) {
        uint32_t at = (pull->next_source + i) % o->nsources;
        struct store_source *s = &o->sources[at];
        struct store_peer *p;

        if (s->state != STORE_SOURCE_OK || node_id_equal(&s->node, &core->node))
            continue;
        p = store_peer_get__(core, &s->node);
        pull->number = r.pull = core->last_pull + 1;
        if (!p || HASH_PUT(core->pulls, number, pull) < 0)
            break;
        core->last_pull++;
        pull->next_source = at;
        pull->state = PULL_ASKING;
        pull->peer = p;
        pull->started = false;
        pull->credited = pull->received;
        list_add_tail(&p->pulls, &pull->of_peer);
        if (store_peer_send__(core, p, STORE_LINK_PULL, &r, sizeof r, NULL, 0) == 0 &&
            store_timer_set(&core->timers, &pull->timer,
                            clock_add_ms(core->now, core->c.pull_timeout_ms)) == 0)
            return;
        s->state = STORE_SOURCE_DEAD;
        detach(core, pull, false);
    }
    store_pull_end__(core, pull);
    store_keep__(core, o);
    for (uint32_t i = 0; i < o->nsources; i++) /* out of memory: none is asked */
        if (o->sources[i].state == STORE_SOURCE_OK &&
            !node_id_equal(&o->sources[i].node, &core->node))
            o->sources[i].state = STORE_SOURCE_EMPTY;
    store_object_seek__(core, o);
    store_unkeep__(core, o);
}

void store_pull_start__(struct store_core *core, struct store_object *o)
{
    struct store_pull *pull = mem_new(struct store_pull);

    if (!pull) {
        store_gets_fail__(core, o, -RAIA_ERR_NOMEM, "no memory to fetch the object");
        return;
    }
    pull->object = o;
    pull->timer.kind = STORE_TIMER_PULL;
    list_init(&pull->of_peer);
    list_init(&pull->starving);
    list_init(&pull->memory);
    o->pull = pull;
    store_keep__(core, o);
    ask_next(core, pull);
    store_unkeep__(core, o);
}

static uint32_t others(const struct store_core *core, const struct store_object *o,
                       const struct store_source *but)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < o->nsources; i++)
        n += &o->sources[i] != but && o->sources[i].state == STORE_SOURCE_OK &&
             !node_id_equal(&o->sources[i].node, &core->node);
    return n;
}

void store_pull_failed__(struct store_core *core, struct store_pull *pull,
                         enum store_source_state state, bool again)
{
    struct store_object *o = pull->object;
    struct store_source *s = &o->sources[pull->next_source];
    int64_t ms = BACKOFF_MS;

    detach(core, pull, false);
    if (core->bug == STORE_BUG_NO_RETRY)
        return;
    s->tries++;
    if (state != STORE_SOURCE_OK)
        s->state = state;
    else if (s->tries >= core->c.pull_tries * (again ? AGAIN_FACTOR : 1))
        s->state = STORE_SOURCE_EMPTY;
    if (again && s->state == STORE_SOURCE_OK && !others(core, o, s)) {
        for (uint32_t i = 1; i < s->tries && ms < BACKOFF_MS_MAX; i++)
            ms *= 2;
        if (store_timer_set(&core->timers, &pull->timer, clock_add_ms(core->now, ms)) == 0)
            return;
    }
    pull->next_source++;
    ask_next(core, pull);
}

static void fail_for_all(struct store_core *core, struct store_pull *pull, int status,
                         const char *text)
{
    struct store_object *o = pull->object;

    store_keep__(core, o);
    store_pull_end__(core, pull);
    store_gets_fail__(core, o, status, text);
    mem_free(STEAL(o->sources));
    o->nsources = 0;
    if (o->extent)
        store_give__(core, STEAL(o->extent));
    store_unkeep__(core, o);
}

void store_pull_expired__(struct store_core *core, struct store_pull *pull)
{
    char text[RAIA_ERROR_TEXT_MAX];

    if (pull->state == PULL_IDLE) {
        ask_next(core, pull);
    } else if (pull->state == PULL_MEMORY) {
        store_full_text__(core, pull->object->size, text, sizeof text);
        fail_for_all(core, pull, -RAIA_ERR_STORE_FULL, text);
    } else {
        struct store_link_pull r = {.pull = pull->number};
        memcpy(r.object, pull->object->id.bytes, sizeof r.object);
        (void)store_peer_send__(core, pull->peer, STORE_LINK_PULL_CANCEL, &r, sizeof r, NULL, 0);
        store_pull_failed__(core, pull, STORE_SOURCE_OK, false);
    }
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Asks for more of it, as far as its share of the window goes. */
static void credit(struct store_core *core, struct store_pull *pull)
{
    struct store_peer *p = pull->peer;
    struct store_object *o = pull->object;
    uint64_t left = o->size - pull->credited, outstanding = pull->credited - pull->received,
             share = core->c.pull_window / p->nflowing, want, room;
    struct store_link_credit r = {.pull = pull->number};

    if (share < STORE_CHUNK_MAX)
        share = STORE_CHUNK_MAX;
    if (pull->started && (!left || outstanding > share / 2))
        return;
    want = min_u64(left, share - outstanding);
    room = p->in_flight < core->c.pull_window ? core->c.pull_window - p->in_flight : 0;
    if (room < min_u64(want, STORE_CHUNK_MAX)) {
        if (!list_linked(&pull->starving))
            list_add_tail(&p->starved, &pull->starving);
        if (!outstanding) /* it waits for us, not for the node */
            store_timer_clear(&core->timers, &pull->timer);
        return;
    }
    list_del(&pull->starving);
    memcpy(r.object, o->id.bytes, sizeof r.object);
    r.bytes = min_u64(want, room);
    if (!pull->started) {
        r.flags = STORE_CREDIT_START;
        r.offset = pull->received;
    }
    pull->started = true;
    pull->credited += r.bytes;
    p->in_flight += r.bytes;
    (void)store_timer_set(&core->timers, &pull->timer,
                          clock_add_ms(core->now, core->c.pull_timeout_ms));
    /* If it is lost, the timer finds out. */
    (void)store_peer_send__(core, p, STORE_LINK_CREDIT, &r, sizeof r, NULL, 0);
}

static void kick_starved(struct store_core *core, struct store_peer *p)
{
    struct store_pull *pull;

    while (p->in_flight < core->c.pull_window &&
           (pull = LIST_FIRST(&p->starved, struct store_pull, starving))) {
        list_del(&pull->starving);
        credit(core, pull);
        if (list_linked(&pull->starving))
            return;
    }
}

static void finish(struct store_core *core, struct store_pull *pull)
{
    struct store_object *o = pull->object;

    o->copied = true;
    o->source = pull->peer->node;
    detach(core, pull, false);
    o->pull = NULL;
    mem_free(pull);
    store_object_sealed__(core, o);
}

static void flow(struct store_core *core, struct store_pull *pull)
{
    list_del(&pull->memory);
    pull->state = PULL_FLOWING;
    pull->peer->nflowing++;
    credit(core, pull);
    if (pull->received == pull->object->size)
        finish(core, pull); /* nothing, or all of it, had come */
}

uint32_t store_pull_priority__(const struct store_object *o)
{
    const struct store_get *get;

    if (list_empty(&o->gets))
        return UINT32_MAX;
    get = container_of(o->gets.next, struct store_get, of_object);
    return get->priority;
}

/* Memory for it, now. -STORE_FULL: it has to wait. */
static int admit(struct store_core *core, struct store_pull *pull)
{
    struct store_object *o = pull->object;
    struct store_job *job = store_job_get__(core, &o->job);
    int r;

    if (!job)
        return -RAIA_ERR_NOMEM;
    r = store_take__(core, &job->arena, o->size, &o->extent);
    if (r == 0)
        flow(core, pull);
    return r;
}

static void wait_memory(struct store_core *core, struct store_pull *pull)
{
    struct store_pull *other;
    uint32_t priority = store_pull_priority__(pull->object);

    pull->state = PULL_MEMORY;
    LIST_FOREACH (other, &core->memory_waiters, memory)
        if (store_pull_priority__(other->object) > priority)
            break;
    list_add_before(&other->memory, &pull->memory);
    (void)store_timer_set(&core->timers, &pull->timer,
                          clock_add_ms(core->now, core->c.memory_wait_ms));
}

void store_pulls_memory__(struct store_core *core)
{
    struct store_pull *pull;

    while (list_empty(&core->creates) &&
           (pull = LIST_FIRST(&core->memory_waiters, struct store_pull, memory))) {
        int r = admit(core, pull);

        if (r == -RAIA_ERR_STORE_FULL)
            return;
        if (r < 0)
            fail_for_all(core, pull, r, "no memory to fetch the object");
    }
}

static struct store_pull *find(struct store_core *core, const struct store_peer *peer,
                               uint64_t number)
{
    struct store_pull *pull = HASH_GET(core->pulls, number, &number);

    return pull && pull->peer == peer ? pull : NULL;
}

int store_pull_offer__(struct store_core *core, struct store_peer *peer,
                       const struct store_link_offer *r)
{
    struct store_pull *pull = find(core, peer, r->pull);
    char text[RAIA_ERROR_TEXT_MAX];
    struct store_object *o;
    int status = -RAIA_ERR_STORE_FULL;

    if (!pull)
        return 0;
    if (pull->state != PULL_ASKING)
        return -RAIA_ERR_PROTOCOL;
    o = pull->object;
    if (o->extent && o->size != r->size) {
        store_pull_failed__(core, pull, STORE_SOURCE_EMPTY, false);
        return -RAIA_ERR_PROTOCOL;
    }
    o->size = r->size;
    if (!store_alloc_rounded(r->size) || store_alloc_rounded(r->size) > core->c.capacity) {
        store_full_text__(core, r->size, text, sizeof text);
        fail_for_all(core, pull, status, text);
        return 0;
    }
    if (o->extent) {
        flow(core, pull);
        return 0;
    }
    if (list_empty(&core->creates) && list_empty(&core->memory_waiters))
        status = admit(core, pull);
    if (status == -RAIA_ERR_STORE_FULL)
        wait_memory(core, pull);
    else if (status < 0)
        fail_for_all(core, pull, status, "no memory to fetch the object");
    return 0;
}

int store_pull_chunk__(struct store_core *core, struct store_peer *peer,
                       const struct store_link_chunk *r, const void *data)
{
    struct store_pull *pull = find(core, peer, r->pull);
    struct store_object *o;
    int status;

    if (!pull)
        return 0;
    o = pull->object;
    if (pull->state != PULL_FLOWING || r->offset != pull->received ||
        r->size > pull->credited - pull->received)
        return -RAIA_ERR_PROTOCOL;
    status = core->ops->segment_write(core->arg, o->extent->segment->number,
                                      o->extent->offset + r->offset, data, r->size);
    if (status < 0) {
        fail_for_all(core, pull, status, "the memory of the object could not be written");
        return 0;
    }
    pull->received += r->size;
    peer->in_flight -= r->size;
    core->totals.bytes_in += r->size;
    o->sources[pull->next_source].tries = 0;
    if (pull->received == o->size) {
        finish(core, pull);
        return 0;
    }
    (void)store_timer_set(&core->timers, &pull->timer,
                          clock_add_ms(core->now, core->c.pull_timeout_ms));
    credit(core, pull);
    kick_starved(core, peer);
    return 0;
}

void store_pull_refused__(struct store_core *core, struct store_peer *peer,
                          const struct store_link_failed *r)
{
    struct store_pull *pull = find(core, peer, r->pull);

    if (!pull)
        return;
    if (r->status == -RAIA_ERR_OBJECT_LOST) {
        struct store_object *o = pull->object;
        store_keep__(core, o);
        detach(core, pull, false);
        fail_for_all(core, pull, -RAIA_ERR_OBJECT_LOST, "the object was freed by its owner");
        store_unkeep__(core, o);
    } else {
        bool again = r->status == -RAIA_ERR_LIMIT;
        store_pull_failed__(core, pull, again ? STORE_SOURCE_OK : STORE_SOURCE_EMPTY, again);
    }
}
