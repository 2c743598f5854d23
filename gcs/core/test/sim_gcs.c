/* The control store of the simulated cluster. */
#include <string.h>

#include "base/mem.h"
#include "test/sim_cluster.h"

ProtobufCBinaryData sim_actor_id(int n)
{
    return world_bytes((uint8_t)(100 + n));
}

struct gcs_now sim_time(struct cluster *c)
{
    int64_t ms = sim_now(c->sim) / MS + 1000;

    return (struct gcs_now){.mono_ms = ms, .unix_ms = ms + 1700000000000};
}

void sim_post(struct sim_node *from, struct sim_node *to, struct head head, const void *data,
              size_t size)
{
    _cleanup_(mem_freep) uint8_t *message = mem_alloc(sizeof head + size);

    memcpy(message, &head, sizeof head);
    if (size)
        memcpy(message + sizeof head, data, size);
    sim_send(from, to, message, sizeof head + size);
}

static struct raylet *raylet_of(struct cluster *c, const uint8_t *node)
{
    for (int i = 0; i < RAYLETS; i++) {
        if (memcmp(c->raylets[i].id, node, 16) == 0)
            return &c->raylets[i];
    }
    return NULL;
}

static int gcs_send(void *arg, const struct node_id *node, const void *data, size_t size)
{
    struct cluster *c = arg;
    struct raylet *r = raylet_of(c, node->bytes);

    if (!r)
        return -RAIA_ERR_NOT_FOUND;
    if (prng_chance(sim_prng(c->sim), c->calm ? 0 : 0.01))
        return -RAIA_ERR_LIMIT;
    sim_post(c->gcs.sim, r->sim, (struct head){.kind = DOWN}, data, size);
    return 0;
}

static void gcs_disconnect(void *arg, const struct node_id *node)
{
    struct cluster *c = arg;
    struct raylet *r = raylet_of(c, node->bytes);

    if (r)
        sim_break(c->gcs.sim, r->sim);
}

static void gcs_broken(void *arg, const struct raia_error *e)
{
    sim_fail(((struct cluster *)arg)->sim, "the core broke: %s", e->text);
}

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision);

struct loading {
    struct storage_snapshot snap; /* first */
    struct cluster *c;            /* whose */
};

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision)
{
    struct cluster *c = ((struct loading *)(void *)snap)->c;
    struct raia_error e = {0};

    (void)revision;
    if (gcs_core_load(c->gcs.core, sim_time(c), key, value, &e) < 0)
        sim_fail(c->sim, "load: %s", e.text);
}

static void on_rows(struct storage_snapshot *snap, int r, uint64_t revision,
                    const struct raia_error *e)
{
    (void)snap;
    (void)r;
    (void)revision;
    (void)e;
}

static void gcs_flush(void *arg)
{
    struct cluster *c = arg;
    struct prng *p = sim_prng(c->sim);

    lazy_flush(c->gcs.storage, prng_below(p, 4));
    sim_after(c->sim, c->gcs.sim, prng_range(p, 100000, 5 * MS), gcs_flush, c, NULL);
}

static void gcs_tick(void *arg)
{
    struct cluster *c = arg;

    gcs_core_tick(c->gcs.core, sim_time(c));
    sim_after(c->sim, c->gcs.sim, GCS_TICK_MS * MS, gcs_tick, c, NULL);
}

void sim_gcs_begin(struct cluster *c)
{
    struct loading loading = {.snap = {.row = on_row, .done = on_rows}, .c = c};
    struct gcs_config config = {.lease_ms = 3000, .grace_ms = 500, .heartbeat_ms = 500};

    c->gcs.fx = (struct gcs_effects){
        .send = gcs_send, .disconnect = gcs_disconnect, .broken = gcs_broken, .arg = c};
    if (lazy_open(c->gcs.inner, &c->gcs.storage) < 0 ||
        gcs_core_new(&config, c->gcs.storage, &c->gcs.fx, &c->gcs.core, NULL) < 0) {
        sim_fail(c->sim, "out of memory");
        return;
    }
    storage_read(c->gcs.inner, &loading.snap);
    storage_step(c->gcs.inner);
    (void)gcs_core_start(c->gcs.core, sim_time(c), "c1", NULL);
    gcs_flush(c);
    gcs_tick(c);
}

void sim_gcs_end(struct cluster *c)
{
    struct gcs_core *core = STEAL(c->gcs.core);

    storage_free(c->gcs.storage);
    gcs_core_free(core);
}

struct waiting {
    struct gcs_waiter waiter; /* first */
    struct cluster *c;        /* whose */
    struct sim_node *peer;    /* who asked */
    uint64_t tag;             /* of the request */
};

static void on_answer(struct gcs_waiter *w, const struct raia_error *e, const void *data,
                      size_t size)
{
    struct waiting *x = (struct waiting *)(void *)w;

    if (x->c->gcs.core) /* else it died with the request */
        sim_post(x->c->gcs.sim, x->peer,
                 (struct head){.kind = REPLY, .tag = x->tag, .status = e ? e->code : 0}, data,
                 e ? 0 : size);
    mem_free(x);
}

static void gcs_message(void *ctx, struct sim_node *from, const void *data, size_t size)
{
    struct cluster *c = ctx;
    const uint8_t *body = (const uint8_t *)data + sizeof(struct head);
    struct raylet *r = sim_node_ctx(from);
    struct waiting *x;
    struct head head;
    _cleanup_(pb_freep) Raia__Gcs__SessionUp *up = NULL;
    struct node_id node;
    int result;

    memcpy(&head, data, sizeof head);
    size -= sizeof head;
    if (head.kind == REQUEST) {
        x = mem_new(struct waiting);
        x->waiter.done = on_answer;
        x->c = c;
        x->peer = from;
        x->tag = head.tag;
        gcs_core_call(c->gcs.core, sim_time(c), head.method, body, size, &x->waiter);
        return;
    }
    up = pb_unpack(&raia__gcs__session_up__descriptor, body, size);
    if (!r || !up)
        return;
    memcpy(node.bytes, r->id, 16);
    if (up->body_case == RAIA__GCS__SESSION_UP__BODY_HELLO)
        result = gcs_core_session_hello(c->gcs.core, sim_time(c), up->hello, NULL);
    else
        result = gcs_core_session_message(c->gcs.core, sim_time(c), &node, up, NULL);
    if (result < 0) {
        gcs_core_session_closed(c->gcs.core, &node);
        sim_break(c->gcs.sim, from);
    }
}

static void gcs_peer_broken(void *ctx, struct sim_node *peer)
{
    struct cluster *c = ctx;
    struct raylet *r = sim_node_ctx(peer);
    struct node_id node;

    memcpy(node.bytes, r->id, 16);
    gcs_core_session_closed(c->gcs.core, &node);
}

const struct sim_node_ops sim_gcs_ops = {.message = gcs_message, .broken = gcs_peer_broken};
