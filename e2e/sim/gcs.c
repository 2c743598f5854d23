/* The control store of the simulation: the real core, its storage, its process, the glue of
 * gcs/service. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/gcs_impl.h"
#include "test/lazy.h"

#define DOWN_MAX_MS 300 /* a process that died is back after that, at the latest */

struct sim_node *gcs_sim(const struct gcs *g)
{
    return g->sn;
}

struct gcs_now gcs_time(const struct gcs *g)
{
    int64_t ms = world_now(g->c) / CLOCK_NS_PER_MS + 1000;

    return (struct gcs_now){.mono_ms = ms, .unix_ms = ms + INT64_C(1700000000000)};
}

struct member *gcs_member(struct gcs *g, const uint8_t *id)
{
    for (unsigned i = 0; i < g->n; i++)
        if (!memcmp(node_id(g->members[i].node), id, 16))
            return &g->members[i];
    return NULL;
}

/* ---- requests */

struct asked {
    struct gcs_waiter waiter; /* first */
    struct gcs *g;
    struct gcs_core *core; /* who is asked: it may die first */
    struct member *m;
    uint8_t id[16];
    gcs_answer_fn fn;
    bool good;
    uint8_t *data;
    size_t size;
};

/* Not from within the core. */
static void answered(void *ctx)
{
    struct asked *a = ctx;

    if (a->core == a->g->core)
        a->fn(a->g, a->m, a->id, a->good, a->data, a->size);
}

static void on_answer(struct gcs_waiter *w, const struct raia_error *e, const void *data,
                      size_t size)
{
    struct asked *a = (struct asked *)(void *)w;

    a->good = !e;
    a->size = size;
    if (!a->g->core)
        return; /* it died with it */
    if (!e && size) {
        a->data = world_alloc(a->g->c, size);
        if (a->data)
            memcpy(a->data, data, size);
    }
    sim_after(a->g->c->sim, a->g->sn, 0, answered, a, NULL);
}

void gcs_ask(struct gcs *g, struct member *m, const char *method, const ProtobufCMessage *q,
             const uint8_t *id, gcs_answer_fn fn)
{
    struct asked *a = world_alloc(g->c, sizeof(*a)); /* few, and small */
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(q, &size);
    unsigned i = 0;

    if (!a || !data) {
        sim_fail(g->c->sim, "out of memory");
        return;
    }
    while (strcmp(raia__gcs__gcs__descriptor.methods[i].name, method) != 0)
        i++;
    a->waiter.done = on_answer;
    a->g = g;
    a->core = g->core;
    a->m = m;
    a->fn = fn;
    if (id)
        memcpy(a->id, id, 16);
    gcs_core_call(g->core, gcs_time(g), i, data, size, &a->waiter);
}

/* ---- what the core does */

static int on_send(void *arg, const struct node_id *node, const void *data, size_t size)
{
    struct gcs *g = arg;
    struct member *m = gcs_member(g, node->bytes);
    _cleanup_(pb_freep) Raia__Gcs__SessionDown *down =
        pb_unpack(&raia__gcs__session_down__descriptor, data, size);

    if (!m || !m->open || !down)
        return -RAIA_ERR_NOT_FOUND;
    return gcs_down(g, m, down);
}

static void reset(struct member *m)
{
    struct gcs_word w = {.type = WORD_RESET, .session = m->session};

    m->open = false;
    trunk_send(&m->trunk, &w);
}

static void on_disconnect(void *arg, const struct node_id *node)
{
    struct member *m = gcs_member(arg, node->bytes);

    if (m && m->open)
        reset(m);
}

static void on_core_broken(void *arg, const struct raia_error *e)
{
    sim_fail(((struct gcs *)arg)->c->sim, "the control store broke: %s", e->text);
}

/* ---- its process */

struct loading {
    struct storage_snapshot snap; /* first */
    struct gcs *g;
};

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision)
{
    struct gcs *g = ((struct loading *)(void *)snap)->g;
    struct raia_error e = {0};

    (void)revision;
    if (gcs_core_load(g->core, gcs_time(g), key, value, &e) < 0)
        sim_fail(g->c->sim, "the control store does not load: %s", e.text);
}

static void on_rows(struct storage_snapshot *snap, int r, uint64_t revision,
                    const struct raia_error *e)
{
    (void)snap, (void)revision, (void)e;
    if (r < 0)
        sim_fail(((struct loading *)(void *)snap)->g->c->sim, "the rows cannot be read");
}

static void begin(void *ctx)
{
    struct gcs *g = ctx;
    struct gcs_config config = {.lease_ms = 1500, .grace_ms = 1500, .heartbeat_ms = 200};
    struct loading loading = {.snap = {.row = on_row, .done = on_rows}, .g = g};
    struct raia_error e = {0};

    if (lazy_open(g->inner, &g->storage) < 0 ||
        gcs_core_new(&config, g->storage, &g->fx, &g->core, &e) < 0) {
        sim_fail(g->c->sim, "out of memory");
        return;
    }
    storage_read(g->inner, &loading.snap);
    storage_step(g->inner);
    if (gcs_core_start(g->core, gcs_time(g), "c1", &e) < 0)
        sim_fail(g->c->sim, "the control store does not start: %s", e.text);
    for (unsigned i = 0; i < g->n; i++)
        reset(&g->members[i]);
}

static void end(struct gcs *g)
{
    struct gcs_core *core = STEAL(g->core);

    storage_free(STEAL(g->storage));
    gcs_core_free(core);
    for (unsigned i = 0; i < g->n; i++)
        g->members[i].open = false;
    for (unsigned i = 0; i < g->n_actors; i++)
        g->actors[i].asked = 0;
    g->asked = 0;
}

void gcs_crash(struct gcs *g)
{
    if (!g->core)
        return;
    end(g);
    sim_after(g->c->sim, g->sn, prng_range(g->c->prng, 1, DOWN_MAX_MS) * CLOCK_NS_PER_MS, begin, g,
              NULL);
}

static void flush(void *ctx)
{
    struct gcs *g = ctx;

    if (g->storage)
        lazy_flush(g->storage, prng_below(g->c->prng, 4));
    sim_after(g->c->sim, g->sn, prng_range(g->c->prng, 500000, 6 * CLOCK_NS_PER_MS), flush, g,
              NULL);
}

static void tick(void *ctx)
{
    struct gcs *g = ctx;

    if (g->core) {
        gcs_core_tick(g->core, gcs_time(g));
        gcs_actors_tick(g);
    }
    sim_after(g->c->sim, g->sn, GCS_TICK_MS * CLOCK_NS_PER_MS, tick, g, NULL);
}

/* ---- from nodes */

static struct member *member_of(struct gcs *g, struct node *n)
{
    struct member *m = gcs_member(g, node_id(n));

    if (m)
        return m;
    m = &g->members[g->n++];
    *m = (struct member){.g = g, .node = n};
    trunk_init(&m->trunk, g->c, g->sn, node_sim(n));
    return m;
}

static void on_beaten(struct gcs *g, struct member *m, const uint8_t *id, bool good,
                      const void *data, size_t size)
{
    _cleanup_(pb_freep) Raia__Gcs__HeartbeatReply *reply =
        good ? pb_unpack(&raia__gcs__heartbeat_reply__descriptor, data, size) : NULL;
    struct gcs_word w = {.type = WORD_BEATEN};

    (void)g, (void)id;
    if (!reply)
        return;
    if (reply->unknown && m->session)
        w.type = WORD_FENCE;
    trunk_send(&m->trunk, &w);
}

static void on_message(void *ctx, struct sim_node *from, const void *data, size_t size)
{
    struct gcs *g = ctx;
    struct member *m = member_of(g, sim_node_ctx(from));
    const struct trunk_word *w = data;
    Raia__Gcs__HeartbeatRequest beat = RAIA__GCS__HEARTBEAT_REQUEST__INIT;

    (void)size;
    if (!trunk_receive(&m->trunk, w) || !g->core)
        return;
    if (w->word.type != WORD_BEAT) {
        gcs_up(g, m, &w->word);
        return;
    }
    beat.node_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)node_id(m->node)};
    if (m->open) /* else its registration may still be under way */
        gcs_ask(g, m, "Heartbeat", &beat.base, NULL, on_beaten);
}

static void on_broken(void *ctx, struct sim_node *from)
{
    struct gcs *g = ctx;
    struct member *m = member_of(g, sim_node_ctx(from));
    struct node_id id;

    if (!node_alive(m->node))
        return;
    trunk_broke(&m->trunk);
    if (!g->core || !m->open)
        return;
    memcpy(id.bytes, node_id(m->node), 16);
    gcs_core_session_closed(g->core, &id);
    reset(m);
}

static const struct sim_node_ops sim_ops = {.message = on_message, .broken = on_broken};

struct gcs *gcs_new(struct world *c)
{
    struct gcs *g = mem_new(struct gcs);
    struct raia_error e;

    if (!g)
        return NULL;
    g->c = c;
    g->fx = (struct gcs_effects){
        .send = on_send, .disconnect = on_disconnect, .broken = on_core_broken, .arg = g};
    g->sn = sim_node_add(c->sim, "gcs", &sim_ops, g);
    if (storage_open_memory(&g->inner, &e) < 0) {
        sim_fail(c->sim, "out of memory");
        return g;
    }
    begin(g);
    flush(g);
    tick(g);
    return g;
}

void gcs_free(struct gcs *g)
{
    if (!g)
        return;
    if (g->core)
        end(g);
    storage_free(g->inner);
    for (unsigned i = 0; i < g->n; i++)
        trunk_fini(&g->members[i].trunk);
    mem_free(g);
}
