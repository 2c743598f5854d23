/* What the cores of sim.h ask for: memory, answers to processes, links; and what is in objects. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash64.h"
#include "sim_impl.h"

void sim_fail__(struct sim *s, const char *fmt, ...)
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

void sim_look__(struct sim *s, const struct sim_client *c, const struct sim_held *h)
{
    const struct sim_object *o = &s->objects[h->object];
    struct sim_segment *seg = find_segment(&s->nodes[c->node], h->segment);
    uint8_t mark;

    if (!seg || h->offset + h->size > seg->size) {
        sim_fail__(s, "client %u reads object %d where there is no memory", c->number, h->object);
        return;
    }
    mark = mark_of(o);
    for (uint64_t at = 0; at < h->size; at += 1 + h->size / 97)
        if (seg->mem[h->offset + at] != pattern(mark, at)) {
            sim_fail__(s, "client %u: object %d was overwritten at %lu", c->number, h->object,
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
        sim_fail__(s, "object %d is to be written where there is no memory", h->object);
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
        sim_fail__(n->sim, "segment %u was sent twice to client %u", segment, client);
    c->mapped[segment] = true;
    c->writable[segment] = writable;
    return 0;
}

static void hold(struct sim *s, struct sim_held held[SIM_HELD], const struct rec_store_at *at,
                 int object, uint64_t tag)
{
    int slot = sim_slot(held, -1);

    if (slot < 0)
        sim_fail__(s, "the model has no room for what it holds");
    else
        held[slot] = (struct sim_held){object, at->segment, at->offset, at->size, tag};
}

static void on_answer(struct sim *s, struct sim_client *c, uint64_t tag,
                      const struct rec_store_at *at)
{
    struct sim_tag *t = &s->tags[tag];
    struct sim_object *o = &s->objects[t->object];

    if (t->answered || &s->clients[t->client] != c)
        sim_fail__(s, "tag %lu is answered twice, or to another", (unsigned long)tag);
    t->answered = true;
    t->status = at->status;
    if (memcmp(at->object, o->id, sizeof o->id) != 0)
        sim_fail__(s, "the answer is about another object");
    if (at->status < 0) {
        if (!t->get)
            o->state = SIM_NEVER;
        else if (!s->faults && t->sealed && o->state == SIM_SEALED &&
                 at->status != -RAIA_ERR_TIMEOUT && at->status != -RAIA_ERR_STORE_FULL &&
                 at->status != -RAIA_ERR_CANCELED)
            sim_fail__(s, "object %d is there, but GET says %d", t->object, at->status);
        return;
    }
    if (at->size != o->size || !c->mapped[at->segment] || (!t->get && !c->writable[at->segment]))
        sim_fail__(s, "object %d: wrong size, or the segment is not mapped", t->object);
    hold(s, t->get ? c->reads : c->writes, at, t->object, tag);
    if (t->get) {
        s->gets_ok++;
        sim_look__(s, c, &(struct sim_held){t->object, at->segment, at->offset, at->size, tag});
    } else {
        write_object(s, c, &(struct sim_held){t->object, at->segment, at->offset, at->size, tag});
    }
}

static void on_gone(struct sim *s, struct sim_client *c, uint32_t segment)
{
    if (!c->mapped[segment])
        sim_fail__(s, "segment %u goes, but client %u has not got it", segment, c->number);
    c->mapped[segment] = false;
    for (int i = 0; i < SIM_HELD; i++)
        if ((c->reads[i].object >= 0 && c->reads[i].segment == segment) ||
            (c->writes[i].object >= 0 && c->writes[i].segment == segment))
            sim_fail__(s, "segment %u goes while client %u uses it", segment, c->number);
}

static void on_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct sim_node *n = arg;
    struct sim_client *c = client_of(n, client);
    struct rec_store_at at = {.size = 0};
    struct rec_segment gone;

    if (c->closed || !c->alive)
        sim_fail__(n->sim, "a record for client %u, which is closed", client);
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
    case REC_STORE_STRAY: /* it is asked again, later */
        n->sim->strays++;
        break;
    case REC_STORE_LOST:
        break;
    default:
        sim_fail__(n->sim, "unknown record %u", type);
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
        sim_fail__(n->sim, "control records have no data");
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

const struct store_core_ops sim_ops__ = {
    .segment_create = on_segment_create,
    .segment_destroy = on_segment_destroy,
    .segment_punch = on_segment_punch,
    .segment_write = on_segment_write,
    .segment_share = on_segment_share,
    .send = on_send,
    .link_send = on_link_send,
    .link_send_chunk = on_link_send_chunk,
};
