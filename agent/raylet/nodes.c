/*
 * Other nodes: who they are, what goes to them and comes from them, and their end.
 */
#define LOG_MODULE "raylet.nodes"
#include <stdio.h>
#include <string.h>

#include "store/link_records.h"
#include "base/err.h"
#include "base/log.h"
#include "link/link.h"
#include "raylet/link_records.h"
#include "raylet/raylet.h"

#define AVOID_MS   1000 /* nothing is placed on a node for this long after its link broke */
#define DEAD_NODES 4096 /* remembered, so that what points to them fails at once */

struct node {
    uint8_t id[16]; /* hash key */
    struct raylet *r;
    bool dead;
    struct loop_timer again; /* it may be tried again */
    HASH_HANDLE hh;
};

static struct node *nodes;

static struct node *node_find(const uint8_t id[16])
{
    uint8_t key[16];

    memcpy(key, id, 16);
    return HASH_GET(nodes, id, &key);
}

static struct node *node_get(struct raylet *r, const uint8_t id[16])
{
    struct node *n = node_find(id);

    if (n)
        return n;
    n = mem_new(struct node);
    if (!n)
        return NULL;
    memcpy(n->id, id, 16);
    n->r = r;
    if (HASH_PUT(nodes, id, n) < 0) {
        mem_free(n);
        return NULL;
    }
    return n;
}

static void node_free(struct node *n)
{
    loop_timer_stop(&n->again);
    HASH_DEL(nodes, n);
    mem_free(n);
}

bool nodes_dead(struct raylet *r, const uint8_t id[16])
{
    struct node *n = node_find(id);

    (void)r;
    return n && n->dead;
}

/* Everything that points to a node that is dead ends. */
static void node_died(struct raylet *r, const uint8_t id[16])
{
    struct node *n = node_get(r, id);
    uint8_t key[16];

    memcpy(key, id, 16);
    if (!n || n->dead)
        return;
    n->dead = true;
    loop_timer_stop(&n->again);
    log_info("a node died", "node=%02x%02x%02x%02x", key[0], key[1], key[2], key[3]);
    links_drop(r->links, key);
    peers_node_lost(r, key, -RAIA_ERR_NODE_DIED);
    sched_node_lost(r->sched, raylet_now(r), key, true);
    objects_node_gone(r, key);
    if (HASH_SIZE(nodes) > DEAD_NODES)
        for (struct node *old = nodes, *next; old; old = next) {
            next = old->hh.next;
            if (old->dead && old != n) {
                node_free(old);
                break;
            }
        }
    raylet_touch(r);
}

/* ---- from the GCS */

void nodes_changed(struct raylet *r, const Raia__Gcs__Node *m)
{
    struct res_set total, available;

    if (m->node_id.len != 16 || !memcmp(m->node_id.data, r->node.bytes, 16))
        return;
    if (m->state == RAIA__GCS__NODE_STATE__NODE_DEAD) {
        node_died(r, m->node_id.data);
        return;
    }
    if (nodes_dead(r, m->node_id.data) || !node_get(r, m->node_id.data) ||
        links_address(r->links, m->node_id.data, m->address) < 0 ||
        leases_resources(r, m->total, m->n_total, &total) < 0 ||
        leases_resources(r, m->available, m->n_available, &available) < 0)
        return;
    if (sched_node_find(r->sched, m->node_id.data) < 0 || m->n_available)
        sched_node_view(r->sched, raylet_now(r), m->node_id.data, 0, &total,
                        m->n_available ? &available : &total);
    if (m->state == RAIA__GCS__NODE_STATE__NODE_DRAINING)
        sched_node_avoid(r->sched, raylet_now(r), m->node_id.data, true);
    raylet_touch(r);
}

void nodes_gone(struct raylet *r, const Raia__Gcs__Node *m)
{
    if (m->state == RAIA__GCS__NODE_STATE__NODE_DEAD && m->node_id.len == 16 &&
        node_find(m->node_id.data))
        node_died(r, m->node_id.data);
}

void nodes_resources(struct raylet *r, const Raia__Gcs__ResourceReport *m)
{
    struct res_set total, available;

    if (m->node_id.len != 16 || nodes_dead(r, m->node_id.data) || !node_find(m->node_id.data) ||
        leases_resources(r, m->total, m->n_total, &total) < 0 ||
        leases_resources(r, m->available, m->n_available, &available) < 0)
        return;
    sched_node_view(r->sched, raylet_now(r), m->node_id.data, m->version,
                    m->n_total ? &total : NULL, &available);
    raylet_touch(r);
}

void nodes_only(struct raylet *r, Raia__Gcs__Node **list, size_t n)
{
    struct node *k, *next;

    if (n == 0)
        return; /* a resync of something else */
    HASH_FOREACH (nodes, k, next) {
        bool there = k->dead;
        for (size_t i = 0; i < n && !there; i++)
            there = list[i]->node_id.len == 16 && !memcmp(list[i]->node_id.data, k->id, 16);
        if (!there)
            node_died(r, k->id);
    }
}

/* ---- links */

static void on_up(void *arg, const uint8_t id[16])
{
    static const struct res_set nothing;
    struct raylet *r = arg;
    struct node *n = node_get(r, id);

    if (!n || n->dead)
        return;
    /* Its link may come before the GCS has told of it. */
    if (sched_node_find(r->sched, id) < 0)
        sched_node_view(r->sched, raylet_now(r), id, 0, NULL, &nothing);
    loop_timer_stop(&n->again);
    sched_node_avoid(r->sched, raylet_now(r), id, false);
    raylet_touch(r);
}

static void on_again(struct loop_timer *t)
{
    struct node *n = LOOP_OF(t, struct node, again);

    sched_node_avoid(n->r->sched, raylet_now(n->r), n->id, false);
    raylet_touch(n->r);
}

static void on_broken(void *arg, const uint8_t id[16], const char *why)
{
    struct raylet *r = arg;
    struct node *n = node_find(id);
    uint8_t key[16];

    memcpy(key, id, 16);
    log_warn_rl("a link broke", "node=%02x%02x%02x%02x why=%s", key[0], key[1], key[2], key[3],
                LOG_Q(why));
    sched_node_avoid(r->sched, raylet_now(r), key, true);
    peers_node_lost(r, key, -RAIA_ERR_UNAVAILABLE);
    sched_node_lost(r->sched, raylet_now(r), key, false);
    objects_link_broken(r, key);
    if (n && !n->dead)
        loop_timer_start(r->loop, &n->again, AVOID_MS, 0, on_again);
    raylet_touch(r);
}

static void on_writable(void *arg, const uint8_t id[16])
{
    objects_link_writable(arg, id);
}

static int on_owner_gone(struct raylet *r, const uint8_t id[16], const void *data, size_t size)
{
    struct record_address owner;

    if (size != sizeof owner)
        return -RAIA_ERR_PROTOCOL;
    memcpy(&owner, data, sizeof owner);
    if (memcmp(owner.node, id, 16))
        return -RAIA_ERR_PROTOCOL;
    objects_owner_gone(r, &owner);
    return 0;
}

static int on_record(void *arg, const uint8_t id[16], uint16_t type, const void *head,
                     size_t head_size, const void *data, size_t data_size)
{
    struct raylet *r = arg;
    _cleanup_(mem_freep) uint8_t *joined = NULL;

    if (type >= STORE_LINK_FIRST && type < STORE_LINK_END)
        return objects_link_record(r, id, type, head, head_size, data, data_size);
    /* Ours come in one piece, head first. */
    if (head_size && data_size) {
        joined = mem_alloc(head_size + data_size);
        if (!joined)
            return -RAIA_ERR_NOMEM;
        memcpy(joined, head, head_size);
        memcpy(joined + head_size, data, data_size);
        data = joined;
        data_size += head_size;
    } else if (head_size) {
        data = head;
        data_size = head_size;
    }
    if (type >= LINK_CH_OPEN && type <= LINK_CH_CREDIT)
        return peers_link_record(r, id, type, data, data_size);
    if (type >= LINK_ASK && type <= LINK_ROOM)
        return leases_link_record(r, id, type, data, data_size);
    if (type == LINK_LOG)
        return logs_link_record(r, data, data_size);
    return type == LINK_OWNER_GONE ? on_owner_gone(r, id, data, data_size) : -RAIA_ERR_PROTOCOL;
}

static const struct links_ops ops = {
    .on_up = on_up, .on_record = on_record, .on_writable = on_writable, .on_broken = on_broken};

int nodes_new(struct raylet *r, const struct rpc_tls *tls, struct raia_error *e)
{
    return links_new(r->loop, r->server, tls, r->node.bytes, &ops, r, &r->links, e);
}

void nodes_free(struct raylet *r)
{
    links_free(r->links);
    r->links = NULL;
    while (nodes)
        node_free(nodes);
}

int nodes_send(struct raylet *r, const uint8_t node[16], uint16_t type, const void *head,
               size_t head_size, const void *data, size_t data_size, void (*release)(void *),
               void *release_arg)
{
    if (!r->links || nodes_dead(r, node))
        return -RAIA_ERR_UNAVAILABLE;
    return links_send(r->links, node, type, head, head_size, data, data_size, release, release_arg);
}

void nodes_break(struct raylet *r, const uint8_t node[16], const char *why)
{
    links_break(r->links, node, why);
}

void nodes_owner_gone(struct raylet *r, const struct record_address *owner)
{
    struct node *n, *next;

    HASH_FOREACH (nodes, n, next)
        if (!n->dead && links_is_up(r->links, n->id))
            (void)nodes_send(r, n->id, LINK_OWNER_GONE, owner, sizeof *owner, NULL, 0, NULL, NULL);
}

void nodes_stats(const struct raylet *r, struct links_stats *ret_stats)
{
    links_stats(r->links, ret_stats);
}
