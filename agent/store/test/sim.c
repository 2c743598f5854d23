/* Stores, links and processes of sim.h. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash64.h"

static void fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct sim *s, const char *fmt, ...)
{
    va_list ap;

    if (s->failed[0])
        return;
    va_start(ap, fmt);
    vsnprintf(s->failed, sizeof s->failed, fmt, ap);
    va_end(ap);
}

int sim_slot(const struct sim_held held[SIM_HELD], int object)
{
    for (int i = 0; i < SIM_HELD; i++)
        if (held[i].object == object)
            return i;
    return -1;
}

static struct sim_segment *find_segment(struct sim_node *n, uint32_t number)
{
    for (int i = 0; i < SIM_SEGMENTS; i++)
        if (n->segments[i].number == number)
            return &n->segments[i];
    return NULL;
}

/* What is in an object at a place; `mark` is the object's, from its id. */
static uint8_t mark_of(const struct sim_object *o)
{
    return (uint8_t)(hash_bytes(o->id, sizeof o->id) >> 13);
}

static uint8_t pattern(uint8_t mark, uint64_t at)
{
    return mark ^ (uint8_t)(at * 31 + (at >> 8));
}

static void look(struct sim *s, const struct sim_client *c, const struct sim_held *h)
{
    const struct sim_object *o = &s->objects[h->object];
    struct sim_segment *seg = find_segment(&s->nodes[c->node], h->segment);
    uint8_t mark;

    if (!seg || h->offset + h->size > seg->size) {
        fail(s, "client %u reads object %d where there is no memory", c->number, h->object);
        return;
    }
    mark = mark_of(o);
    for (uint64_t at = 0; at < h->size; at += 1 + h->size / 97)
        if (seg->mem[h->offset + at] != pattern(mark, at)) {
            fail(s, "client %u: object %d was overwritten at %lu", c->number, h->object,
                 (unsigned long)at);
            return;
        }
}

static void write_object(struct sim *s, const struct sim_client *c, const struct sim_held *h)
{
    struct sim_object *o = &s->objects[h->object];
    struct sim_segment *seg = find_segment(&s->nodes[c->node], h->segment);
    uint8_t mark = mark_of(o);

    if (!seg || h->offset + h->size > seg->size)
        fail(s, "object %d is to be written where there is no memory", h->object);
    else
        for (uint64_t at = 0; at < h->size; at++)
            seg->mem[h->offset + at] = pattern(mark, at);
}

/* ---- what the cores ask for */

static int on_segment_create(void *arg, uint32_t segment, uint64_t size)
{
    struct sim_node *n = arg;
    struct sim_segment *seg = find_segment(n, 0);

    if (!seg)
        return -RAIA_ERR_NO_FILES;
    *seg = (struct sim_segment){segment, size, calloc(1, size)};
    return 0;
}

static void on_segment_destroy(void *arg, uint32_t segment)
{
    struct sim_segment *seg = find_segment(arg, segment);

    free(seg->mem);
    *seg = (struct sim_segment){0};
}

static void on_segment_punch(void *arg, uint32_t segment, uint64_t offset, uint64_t size)
{
    struct sim_segment *seg = find_segment(arg, segment);

    if (offset + size > seg->size)
        size = seg->size - offset;
    memset(seg->mem + offset, 0xdd, size);
}

static int on_segment_write(void *arg, uint32_t segment, uint64_t offset, const void *data,
                            size_t size)
{
    struct sim_segment *seg = find_segment(arg, segment);

    memcpy(seg->mem + offset, data, size);
    return 0;
}

static struct sim_client *client_of(struct sim_node *n, uint32_t number)
{
    return &n->sim->clients[number - 1];
}

static int on_segment_share(void *arg, uint32_t client, uint32_t segment, uint64_t size,
                            bool writable)
{
    struct sim_node *n = arg;
    struct sim_client *c = client_of(n, client);

    (void)size;
    if (c->mapped[segment])
        fail(n->sim, "segment %u was sent twice to client %u", segment, client);
    c->mapped[segment] = true;
    c->writable[segment] = writable;
    return 0;
}

static void hold(struct sim *s, struct sim_held held[SIM_HELD], const struct rec_store_at *at,
                 int object, uint64_t tag)
{
    int slot = sim_slot(held, -1);

    if (slot < 0)
        fail(s, "the model has no room for what it holds");
    else
        held[slot] = (struct sim_held){object, at->segment, at->offset, at->size, tag};
}

static void on_answer(struct sim *s, struct sim_client *c, uint64_t tag,
                      const struct rec_store_at *at)
{
    struct sim_tag *t = &s->tags[tag];
    struct sim_object *o = &s->objects[t->object];

    if (t->answered || &s->clients[t->client] != c)
        fail(s, "tag %lu is answered twice, or to another", (unsigned long)tag);
    t->answered = true;
    t->status = at->status;
    if (memcmp(at->object, o->id, sizeof o->id) != 0)
        fail(s, "the answer is about another object");
    if (at->status < 0) {
        if (!t->get)
            o->state = SIM_NEVER;
        else if (!s->faults && t->sealed && o->state == SIM_SEALED &&
                 at->status != -RAIA_ERR_TIMEOUT && at->status != -RAIA_ERR_STORE_FULL &&
                 at->status != -RAIA_ERR_CANCELED)
            fail(s, "object %d is there, but GET says %d", t->object, at->status);
        return;
    }
    if (at->size != o->size || !c->mapped[at->segment] || (!t->get && !c->writable[at->segment]))
        fail(s, "object %d: wrong size, or the segment is not mapped", t->object);
    hold(s, t->get ? c->reads : c->writes, at, t->object, tag);
    if (t->get) {
        s->gets_ok++;
        look(s, c, &(struct sim_held){t->object, at->segment, at->offset, at->size, tag});
    } else {
        write_object(s, c, &(struct sim_held){t->object, at->segment, at->offset, at->size, tag});
    }
}

static void on_gone(struct sim *s, struct sim_client *c, uint32_t segment)
{
    if (!c->mapped[segment])
        fail(s, "segment %u goes, but client %u has not got it", segment, c->number);
    c->mapped[segment] = false;
    for (int i = 0; i < SIM_HELD; i++)
        if ((c->reads[i].object >= 0 && c->reads[i].segment == segment) ||
            (c->writes[i].object >= 0 && c->writes[i].segment == segment))
            fail(s, "segment %u goes while client %u uses it", segment, c->number);
}

static void on_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct sim_node *n = arg;
    struct sim_client *c = client_of(n, client);
    struct rec_store_at at = {.size = 0};
    struct rec_segment gone;

    if (c->closed || !c->alive)
        fail(n->sim, "a record for client %u, which is closed", client);
    switch (type) {
    case REC_STORE_CREATED:
    case REC_STORE_GOT:
        memcpy(&at, payload, size < sizeof at ? size : sizeof at);
        on_answer(n->sim, c, tag, &at);
        break;
    case REC_SEGMENT_GONE:
        memcpy(&gone, payload, sizeof gone);
        on_gone(n->sim, c, gone.segment);
        break;
    case REC_STORE_LOST:
        break;
    default:
        fail(n->sim, "unknown record %u", type);
    }
}

static int find_node(struct sim *s, const uint8_t id[16])
{
    for (int i = 0; i < s->nnodes; i++)
        if (memcmp(s->nodes[i].id, id, 16) == 0)
            return i;
    return -1;
}

static int enqueue(struct sim_node *n, const uint8_t node[16], uint16_t type, const void *head,
                   size_t head_size, const uint8_t *data, size_t data_size, struct store_send *send)
{
    struct sim *s = n->sim;
    int to = find_node(s, node);
    struct sim_message *m;
    struct sim_link *l;

    if (to < 0 || !s->nodes[to].alive)
        return -RAIA_ERR_UNAVAILABLE;
    l = &s->links[n->index][to];
    if (l->n >= s->link_max) {
        l->blocked = true;
        return -RAIA_ERR_LIMIT;
    }
    m = calloc(1, sizeof *m);
    m->type = type;
    memcpy(m->head, head, head_size);
    m->head_size = head_size;
    m->data = data;
    m->data_size = data_size;
    m->send = send;
    list_add_tail(&l->queue, &m->link);
    l->n++;
    return 0;
}

static int on_link_send(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                        size_t head_size, const void *data, size_t data_size)
{
    struct sim_node *n = arg;

    (void)data;
    if (data_size)
        fail(n->sim, "control records have no data");
    return enqueue(n, node, type, head, head_size, NULL, 0, NULL);
}

static int on_link_send_chunk(void *arg, const uint8_t node[16],
                              const struct store_link_chunk *head, uint32_t segment,
                              uint64_t offset, struct store_send *send)
{
    struct sim_segment *seg = find_segment(arg, segment);

    return enqueue(arg, node, STORE_LINK_CHUNK, head, sizeof *head, seg->mem + offset, head->size,
                   send);
}

static const struct store_core_ops ops = {
    .segment_create = on_segment_create,
    .segment_destroy = on_segment_destroy,
    .segment_punch = on_segment_punch,
    .segment_write = on_segment_write,
    .segment_share = on_segment_share,
    .send = on_send,
    .link_send = on_link_send,
    .link_send_chunk = on_link_send_chunk,
};

/* ---- the world */

void sim_init(struct sim *s, uint64_t seed, int nodes, uint64_t capacity)
{
    memset(s, 0, sizeof *s);
    prng_seed(&s->rng, seed);
    s->now = CLOCK_NS_PER_S;
    s->link_max = 8;
    s->nnodes = nodes;
    for (int i = 0; i < nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        struct store_config c;
        n->sim = s;
        n->index = i;
        n->alive = true;
        prng_fill(&s->rng, n->id, sizeof n->id);
        store_config_default(&c, n->id, capacity);
        c.segment_bytes = 1 << 20;
        c.max_segments = SIM_SEGMENTS - 2;
        c.max_tombstones = 64;
        c.max_serving = 16;
        c.pull_window = STORE_CHUNK_MAX;
        if (store_core_new(&c, &ops, n, &n->core) < 0)
            abort();
    }
    for (int a = 0; a < SIM_NODES; a++)
        for (int b = 0; b < SIM_NODES; b++)
            list_init(&s->links[a][b].queue);
}

static void drop_messages(struct sim *s, int a, int b)
{
    struct sim_link *l = &s->links[a][b];
    struct list *first;

    while ((first = list_pop(&l->queue))) {
        struct sim_message *m = container_of(first, struct sim_message, link);
        if (m->send && s->nodes[a].alive)
            store_core_sent(m->send);
        free(m);
    }
    l->n = 0;
    l->blocked = false;
}

void sim_fini(struct sim *s)
{
    for (int i = 0; i < s->nnodes; i++)
        for (int k = 0; k < s->nnodes; k++)
            drop_messages(s, i, k);
    for (int i = 0; i < s->nnodes; i++)
        store_core_free(s->nodes[i].core);
}

int sim_client_add(struct sim *s, int node)
{
    int i = s->nclients;
    struct sim_client *c = &s->clients[i];

    if (i == SIM_CLIENTS || !s->nodes[node].alive)
        return -1;
    s->nclients++;
    c->number = (uint32_t)i + 1;
    c->node = node;
    c->alive = true;
    c->job[3] = 1;
    memcpy(c->address.node, s->nodes[node].id, 16);
    prng_fill(&s->rng, c->address.worker, 16);
    for (int k = 0; k < SIM_HELD; k++)
        c->reads[k].object = c->writes[k].object = -1;
    if (store_core_client_add(s->nodes[node].core, c->number, &c->address, c->job) < 0)
        abort();
    return i;
}

static struct store_core *core_of(struct sim *s, int client)
{
    return s->nodes[s->clients[client].node].core;
}

static void send_up(struct sim *s, int client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + size), .type = type, .tag = tag};

    if (store_core_record(core_of(s, client), s->now, s->clients[client].number, &h, payload) < 0)
        fail(s, "client %d: record %u is refused", client, type);
}

static void forget_client(struct sim *s, int client)
{
    s->clients[client].alive = false;
    for (uint64_t t = 0; t < s->ntags; t++)
        if (s->tags[t].client == client)
            s->tags[t].answered = true; /* nobody is there to be answered */
    for (int i = 0; i < s->nobjects; i++)
        if (s->objects[i].state == SIM_CREATING && sim_slot(s->clients[client].writes, i) >= 0)
            s->objects[i].state = SIM_NEVER;
}

void sim_client_kill(struct sim *s, int client)
{
    struct sim_client *c = &s->clients[client];

    if (!c->alive)
        return;
    if (prng_chance(&s->rng, 0.5))
        store_core_client_closed(core_of(s, client), s->now, c->number);
    c->closed = true;
    for (int i = 0; i < SIM_HELD; i++)
        if (c->reads[i].object >= 0)
            look(s, c, &c->reads[i]);
    forget_client(s, client);
    store_core_client_gone(core_of(s, client), s->now, c->number);
    for (int i = 0; i < s->nnodes; i++)
        if (s->nodes[i].alive)
            store_core_owner_gone(s->nodes[i].core, s->now, &c->address);
    for (int i = 0; i < s->nobjects; i++)
        if (s->objects[i].owner == client && s->objects[i].state != SIM_CREATING)
            s->objects[i].state = SIM_FREED;
}

void sim_node_kill(struct sim *s, int node)
{
    struct sim_node *n = &s->nodes[node];

    for (int i = 0; i < s->nnodes; i++) {
        drop_messages(s, node, i);
        drop_messages(s, i, node);
    }
    n->alive = false;
    for (int i = 0; i < s->nclients; i++)
        if (s->clients[i].node == node && s->clients[i].alive)
            forget_client(s, i);
    for (int i = 0; i < s->nobjects; i++)
        if (s->clients[s->objects[i].owner].node == node || s->objects[i].node == node)
            s->objects[i].state = SIM_FREED;
    for (int i = 0; i < s->nnodes; i++) {
        if (!s->nodes[i].alive)
            continue;
        store_core_link_broken(s->nodes[i].core, s->now, n->id);
        store_core_node_gone(s->nodes[i].core, s->now, n->id);
        for (int k = 0; k < s->nclients; k++)
            if (s->clients[k].node == node)
                store_core_owner_gone(s->nodes[i].core, s->now, &s->clients[k].address);
    }
}

void sim_link_break(struct sim *s, int a, int b)
{
    while (prng_chance(&s->rng, 0.5) && sim_deliver(s, a, b))
        ;
    while (prng_chance(&s->rng, 0.5) && sim_deliver(s, b, a))
        ;
    drop_messages(s, a, b);
    drop_messages(s, b, a);
    store_core_link_broken(s->nodes[a].core, s->now, s->nodes[b].id);
    /* What a says from now on goes over a new link, and reaches b after it learned of the end. */
    store_core_link_broken(s->nodes[b].core, s->now, s->nodes[a].id);
}

bool sim_deliver(struct sim *s, int a, int b)
{
    struct sim_link *l = &s->links[a][b];
    struct list *first = list_pop(&l->queue);
    struct sim_message *m;

    if (!first)
        return false;
    m = container_of(first, struct sim_message, link);
    l->n--;
    if (store_core_link_record(s->nodes[b].core, s->now, s->nodes[a].id, m->type, m->head,
                               m->head_size, m->data, m->data_size) < 0)
        fail(s, "link record 0x%x is refused", m->type);
    if (m->send)
        store_core_sent(m->send);
    free(m);
    if (l->blocked && l->n <= s->link_max / 2) {
        l->blocked = false;
        store_core_link_writable(s->nodes[a].core, s->now, s->nodes[b].id);
    }
    return true;
}

void sim_deliver_all(struct sim *s)
{
    bool more = true;

    while (more && !s->failed[0]) {
        more = false;
        for (int a = 0; a < s->nnodes; a++)
            for (int b = 0; b < s->nnodes; b++)
                while (sim_deliver(s, a, b))
                    more = true;
    }
}

void sim_tick(struct sim *s, int64_t now)
{
    s->now = now;
    for (int i = 0; i < s->nnodes; i++)
        if (s->nodes[i].alive && store_core_next_deadline(s->nodes[i].core) <= now)
            store_core_tick(s->nodes[i].core, now);
}

/* ---- processes */

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

    look(s, c, h);
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

    look(s, c, &c->reads[slot]);
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
            fail(s, "the books of node %d do not agree: line %d", i, line);
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
    fail(s, "node %d: %lu bytes of %u objects leaked; %u pulls, %u serves", node,
         (unsigned long)(st->used), st->objects, st->pulls, st->serving);
    store_core_list(s->nodes[node].core, show_leak, s);
}

void sim_finish(struct sim *s)
{
    struct store_stats st;

    run_for(s, 200 * CLOCK_NS_PER_S);
    for (uint64_t t = 0; t < s->ntags; t++)
        if (!s->tags[t].answered)
            fail(s, "tag %lu (object %d, %s) has no answer", (unsigned long)t, s->tags[t].object,
                 s->tags[t].get ? "GET" : "CREATE");
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
            fail(s, "node %d: %u segments were not given back", i, st.segments);
    }
}
