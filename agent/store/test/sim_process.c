/* What processes of sim.h do, and what must be true in the end. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "sim_impl.h"

/* ---- processes */

static void send_up(struct sim *s, int client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + size), .type = type, .tag = tag};

    if (store_core_record(core_of(s, client), s->now, s->clients[client].number, &h, payload) < 0)
        sim_fail__(s, "client %d: record %u is refused", client, type);
}

static int new_object(struct sim *s, int client, int owner, uint64_t size)
{
    struct sim_object *o = &s->objects[s->nobjects];

    if (s->nobjects == SIM_OBJECTS)
        return -1;
    prng_fill(&s->rng, o->id, sizeof o->id);
    o->size = size;
    o->node = s->clients[client].node;
    o->owner = owner;
    o->state = SIM_CREATING;
    return s->nobjects++;
}

static uint64_t new_tag(struct sim *s, int client, int object, bool get)
{
    s->tags[s->ntags] = (struct sim_tag){.client = client,
                                         .object = object,
                                         .get = get,
                                         .sealed = s->objects[object].state == SIM_SEALED};
    return s->ntags++;
}

int sim_create(struct sim *s, int client, int owner, uint64_t size, uint32_t deadline_ms)
{
    struct rec_store_create r = {.size = size, .deadline_ms = deadline_ms};
    int object;

    if (s->ntags >= SIM_TAGS || (object = new_object(s, client, owner, size)) < 0)
        return -1;
    memcpy(r.object, s->objects[object].id, 28);
    r.owner = s->clients[owner].address;
    send_up(s, client, REC_STORE_CREATE, new_tag(s, client, object, false), &r, sizeof r);
    return object;
}

void sim_seal(struct sim *s, int client, int slot, bool release)
{
    struct sim_client *c = &s->clients[client];
    struct sim_held *h = &c->writes[slot];
    struct rec_object r = {.flags = release ? REC_OBJECT_RELEASE : 0};
    int object = h->object;

    sim_look__(s, c, h);
    if (!release)
        c->reads[sim_slot(c->reads, -1)] = *h;
    h->object = -1;
    memcpy(r.object, s->objects[object].id, 28);
    if (s->objects[object].state == SIM_CREATING)
        s->objects[object].state = SIM_SEALED;
    send_up(s, client, REC_STORE_SEAL, 0, &r, sizeof r);
}

void sim_abort(struct sim *s, int client, int slot)
{
    struct sim_held *h = &s->clients[client].writes[slot];
    struct rec_object r = {.flags = 0};

    memcpy(r.object, s->objects[h->object].id, 28);
    s->objects[h->object].state = SIM_NEVER;
    h->object = -1;
    send_up(s, client, REC_STORE_ABORT, 0, &r, sizeof r);
}

uint64_t sim_get(struct sim *s, int client, int object, const int *nodes, uint32_t deadline_ms,
                 uint32_t priority)
{
    struct {
        struct rec_store_get r;
        uint8_t nodes[8][16];
    } g = {.r = {.deadline_ms = deadline_ms, .priority = priority}};
    uint64_t tag;

    if (s->ntags >= SIM_TAGS)
        return UINT64_MAX;
    tag = new_tag(s, client, object, true);
    memcpy(g.r.object, s->objects[object].id, 28);
    g.r.owner = s->clients[s->objects[object].owner].address;
    for (; nodes[g.r.nnodes] >= 0; g.r.nnodes++)
        memcpy(g.nodes[g.r.nnodes], s->nodes[nodes[g.r.nnodes]].id, 16);
    send_up(s, client, REC_STORE_GET, tag, &g, sizeof g.r + g.r.nnodes * 16);
    return tag;
}

void sim_get_cancel(struct sim *s, uint64_t tag)
{
    if (s->clients[s->tags[tag].client].alive)
        send_up(s, s->tags[tag].client, REC_STORE_GET_CANCEL, tag, NULL, 0);
}

void sim_release(struct sim *s, int client, int slot)
{
    struct sim_client *c = &s->clients[client];
    struct rec_object r = {.flags = 0};

    sim_look__(s, c, &c->reads[slot]);
    memcpy(r.object, s->objects[c->reads[slot].object].id, 28);
    c->reads[slot].object = -1;
    send_up(s, client, REC_STORE_RELEASE, 0, &r, sizeof r);
}

void sim_free_object(struct sim *s, int object)
{
    struct sim_object *o = &s->objects[object];
    struct {
        struct rec_store_free r;
        uint8_t node[16];
    } f = {.r = {.nnodes = 0}};

    memcpy(f.r.object, o->id, 28);
    if (o->node != s->clients[o->owner].node) {
        f.r.nnodes = 1;
        memcpy(f.node, s->nodes[o->node].id, 16);
    }
    o->state = SIM_FREED;
    send_up(s, o->owner, REC_STORE_FREE, 0, &f, sizeof f.r + f.r.nnodes * 16);
}

void sim_check(struct sim *s)
{
    for (int i = 0; i < s->nnodes; i++) {
        int line = s->nodes[i].alive ? store_core_check(s->nodes[i].core) : 0;
        if (line)
            sim_fail__(s, "the books of node %d do not agree: line %d", i, line);
    }
}

/* ---- the end */

static void settle_clients(struct sim *s)
{
    for (int i = 0; i < s->nclients; i++) {
        struct sim_client *c = &s->clients[i];
        for (int k = 0; k < SIM_HELD && c->alive; k++) {
            if (c->writes[k].object >= 0)
                sim_seal(s, i, k, true);
            if (c->reads[k].object >= 0)
                sim_release(s, i, k);
        }
    }
}

static void run_for(struct sim *s, int64_t ns)
{
    int64_t end = s->now + ns;

    while (s->now < end && !s->failed[0]) {
        int64_t next = end;
        sim_deliver_all(s);
        settle_clients(s);
        for (int i = 0; i < s->nnodes; i++)
            if (s->nodes[i].alive && store_core_next_deadline(s->nodes[i].core) < next)
                next = store_core_next_deadline(s->nodes[i].core);
        sim_tick(s, next > s->now ? next : s->now + 1);
    }
    sim_deliver_all(s);
    settle_clients(s);
}

static void show_leak(void *arg, const struct store_object_info *info)
{
    struct sim *s = arg;
    size_t n = strlen(s->failed);

    for (int i = 0; i < s->nobjects; i++)
        if (memcmp(s->objects[i].id, info->object, sizeof info->object) == 0)
            snprintf(s->failed + n, sizeof s->failed - n,
                     "; object %d made on node %d by an owner on %d, state %d, %u pins, %s", i,
                     s->objects[i].node, s->clients[s->objects[i].owner].node, s->objects[i].state,
                     info->pins, info->primary ? "primary" : "copy");
}

static void fail_leak(struct sim *s, int node, const struct store_stats *st)
{
    if (s->failed[0])
        return;
    sim_fail__(s, "node %d: %lu bytes of %u objects leaked; %u pulls, %u serves", node,
               (unsigned long)(st->used), st->objects, st->pulls, st->serving);
    store_core_list(s->nodes[node].core, show_leak, s);
}

void sim_finish(struct sim *s)
{
    struct store_stats st;

    run_for(s, 200 * CLOCK_NS_PER_S);
    for (uint64_t t = 0; t < s->ntags; t++)
        if (!s->tags[t].answered)
            sim_fail__(s, "tag %lu (object %d, %s) has no answer", (unsigned long)t,
                       s->tags[t].object, s->tags[t].get ? "GET" : "CREATE");
    for (int i = 0; i < s->nobjects; i++)
        if (s->objects[i].state == SIM_SEALED && s->clients[s->objects[i].owner].alive)
            sim_free_object(s, i);
    run_for(s, 5 * CLOCK_NS_PER_S);
    sim_check(s);
    for (int i = 0; i < s->nnodes; i++) {
        if (!s->nodes[i].alive)
            continue;
        store_core_stats(s->nodes[i].core, &st);
        s->evicted += st.evicted;
        if (st.used || st.objects || st.pulls || st.serving || st.unsealed)
            fail_leak(s, i, &st);
    }
    for (int i = 0; i < s->nclients; i++)
        sim_client_kill(s, i);
    run_for(s, 100 * CLOCK_NS_PER_S);
    for (int i = 0; i < s->nnodes; i++) {
        store_core_stats(s->nodes[i].core, &st);
        if (s->nodes[i].alive && (st.resident || st.segments))
            sim_fail__(s, "node %d: %u segments were not given back", i, st.segments);
    }
}
