/*
 * The event queue, the nodes and their lives. Links are in sim_link.c.
 */
#include "base/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash64.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/sim_impl.h"

static bool event_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct sim_event *x = container_of(a, struct sim_event, node);
    const struct sim_event *y = container_of(b, struct sim_event, node);

    return x->time != y->time ? x->time < y->time : x->seq < y->seq;
}

int sim_new(uint64_t seed, struct sim **ret_s)
{
    struct sim *s = mem_new(struct sim);

    if (!s)
        return -RAIA_ERR_NOMEM;
    s->seed = seed;
    prng_seed(&s->prng, seed);
    heap_init(&s->events, event_before);
    s->delay_min = 50 * CLOCK_NS_PER_US;
    s->delay_max = 2 * CLOCK_NS_PER_MS;
    *ret_s = s;
    return 0;
}

void sim_free(struct sim *s)
{
    struct heap_node *n;

    if (!s)
        return;
    while ((n = heap_min(&s->events))) {
        heap_remove(&s->events, n);
        mem_free(container_of(n, struct sim_event, node));
    }
    heap_fini(&s->events);
    for (unsigned i = 0; i < s->n_nodes; i++) {
        mem_free(s->nodes[i]->sides);
        mem_free(s->nodes[i]->name);
        mem_free(s->nodes[i]);
    }
    mem_free(s->why);
    mem_free(s);
}

int64_t sim_now(const struct sim *s)
{
    return s->now;
}

uint64_t sim_seed(const struct sim *s)
{
    return s->seed;
}

struct prng *sim_prng(struct sim *s)
{
    return &s->prng;
}

uint64_t sim_digest(const struct sim *s)
{
    return s->digest;
}

void sim_set_delay(struct sim *s, int64_t min_ns, int64_t max_ns)
{
    s->delay_min = min_ns;
    s->delay_max = max_ns;
}

int64_t sim_delay__(struct sim *s)
{
    return prng_range(&s->prng, s->delay_min, s->delay_max);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
    struct raia_error e;
    va_list ap;

    if (s->failed)
        return;
    s->failed = true;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof e.text, fmt, ap);
    va_end(ap);
    s->why = mem_strdup(e.text);
}

const char *sim_failed(const struct sim *s)
{
    return !s->failed ? NULL : s->why ? s->why : "out of memory";
}

struct sim_event *sim_event_add__(struct sim *s, int64_t time, size_t payload)
{
    struct sim_event *e;

    if (s->failed)
        return NULL;
    if (s->events.n >= SIM_EVENTS_MAX) {
        sim_fail(s, "more than %d events are pending", SIM_EVENTS_MAX);
        return NULL;
    }
    e = mem_zalloc(sizeof *e + payload);
    if (!e || time < s->now)
        goto failed;
    e->time = time;
    e->seq = ++s->seq;
    e->size = payload;
    if (heap_insert(&s->events, &e->node) < 0)
        goto failed;
    return e;
failed:
    sim_fail(s, "%s", e && time < s->now ? "an event in the past" : "out of memory");
    mem_free(e);
    return NULL;
}

void sim_trace__(struct sim *s, const char *what, const struct sim_node *from,
                 const struct sim_node *to, uint64_t detail)
{
    uint64_t words[5] = {s->digest, (uint64_t)s->now, from ? from->index + 1 : 0,
                         to ? to->index + 1 : 0, detail};

    s->digest = hash_bytes(words, sizeof words) ^ hash_bytes(what, strlen(what));
    if (s->trace)
        fprintf(stderr, "%12.6f ms %-8s %s -> %s %" PRIx64 "\n",
                (double)s->now / (double)CLOCK_NS_PER_MS, what, from ? from->name : "-",
                to ? to->name : "-", detail);
}

struct sim_node *sim_node_add(struct sim *s, const char *name, const struct sim_node_ops *ops,
                              void *ctx)
{
    struct sim_node *n;

    if (s->failed)
        return NULL;
    if (s->n_nodes == SIM_NODES_MAX) {
        sim_fail(s, "more than %d nodes", SIM_NODES_MAX);
        return NULL;
    }
    n = mem_new(struct sim_node);
    if (n) {
        n->name = mem_strdup(name);
        n->sides = mem_calloc(SIM_NODES_MAX, sizeof *n->sides);
    }
    if (!n || !n->name || !n->sides) {
        sim_fail(s, "out of memory");
        if (n) {
            mem_free(n->name);
            mem_free(n->sides);
        }
        mem_free(n);
        return NULL;
    }
    n->sim = s;
    n->ops = ops;
    n->ctx = ctx;
    n->alive = true;
    n->index = s->n_nodes;
    s->nodes[s->n_nodes++] = n;
    return n;
}

const char *sim_node_name(const struct sim_node *n)
{
    return n->name;
}

void *sim_node_ctx(const struct sim_node *n)
{
    return n->ctx;
}

bool sim_node_alive(const struct sim_node *n)
{
    return n->alive;
}

struct sim *sim_node_sim(const struct sim_node *n)
{
    return n->sim;
}

void sim_kill(struct sim_node *n)
{
    struct sim *s = n->sim;

    if (!n->alive)
        return;
    sim_trace__(s, "kill", n, NULL, n->life);
    n->alive = false;
    n->life++;
    for (unsigned i = 0; i < s->n_nodes; i++)
        if (s->nodes[i] != n)
            sim_link_break__(n, s->nodes[i]);
}

void sim_revive(struct sim_node *n, void *ctx)
{
    if (n->alive)
        return;
    sim_trace__(n->sim, "revive", n, NULL, n->life);
    n->alive = true;
    n->ctx = ctx;
    sim_link_renew__(n);
}

void sim_after(struct sim *s, struct sim_node *n, int64_t delay_ns, sim_fn fn, void *ctx,
               struct sim_event **ret_event)
{
    struct sim_event *e;

    if (n && !n->alive)
        return;
    e = sim_event_add__(s, clock_add_ns(s->now, delay_ns), 0);
    if (!e)
        return;
    e->kind = SIM_TIMER;
    e->to = n;
    e->life = n ? n->life : 0;
    e->fn = fn;
    e->ctx = ctx;
    if (ret_event)
        *ret_event = e;
}

void sim_cancel(struct sim *s, struct sim_event *event)
{
    heap_remove(&s->events, &event->node);
    mem_free(event);
}

int64_t sim_next(const struct sim *s)
{
    struct heap_node *n = heap_min(&s->events);

    return n ? container_of(n, struct sim_event, node)->time : CLOCK_NEVER;
}

bool sim_step(struct sim *s)
{
    struct heap_node *n = heap_min(&s->events);
    _cleanup_(mem_freep) struct sim_event *e = NULL;

    if (!n || s->failed)
        return false;
    e = container_of(n, struct sim_event, node);
    heap_remove(&s->events, n);
    s->now = e->time;
    if (e->kind != SIM_TIMER) {
        sim_link_event__(e);
    } else if (!e->to || (e->to->alive && e->to->life == e->life)) {
        sim_trace__(s, "timer", NULL, e->to, e->seq);
        e->fn(e->ctx);
    }
    return !s->failed;
}

bool sim_run(struct sim *s, int64_t until_ns)
{
    while (!s->failed && sim_next(s) <= until_ns && sim_next(s) != CLOCK_NEVER)
        sim_step(s);
    if (!s->failed && until_ns > s->now && until_ns != CLOCK_NEVER)
        s->now = until_ns;
    return !s->failed;
}

bool sim_run_until(struct sim *s, bool (*done)(void *ctx), void *ctx, int64_t until_ns)
{
    while (!s->failed && !done(ctx)) {
        if (sim_next(s) > until_ns || !sim_step(s)) {
            sim_run(s, until_ns);
            break;
        }
    }
    return !s->failed && done(ctx);
}
