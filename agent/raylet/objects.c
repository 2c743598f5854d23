/*
 * The object store's host: its way to processes, to other nodes, and its time.
 */
#define LOG_MODULE "raylet.objects"
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "raylet/raylet.h"
#include "store/store.h"

#define REPORT_MS 500 /* the GCS learns within this of memory taken or given back */

struct objects {
    struct raylet *r;
    struct store *store;
    struct store_host host;
    struct loop_timer tick;
    struct loop_timer report;
};

static void on_tick(struct loop_timer *t);

static void on_report(struct loop_timer *t)
{
    gcs_report(LOOP_OF(t, struct objects, report)->r);
}

/* After each call: when does it want to be called again? */
static void again(struct raylet *r)
{
    struct objects *o = r->objects;
    int64_t now = raylet_now(r), due = store_next_deadline(o->store);

    if (!loop_timer_active(&o->report))
        loop_timer_start(r->loop, &o->report, REPORT_MS, 0, on_report);
    if (due == CLOCK_NEVER)
        loop_timer_stop(&o->tick);
    else
        loop_timer_start(r->loop, &o->tick,
                         due > now ? (uint64_t)(due - now + 999999) / 1000000 : 0, 0, on_tick);
}

static void on_tick(struct loop_timer *t)
{
    struct objects *o = LOOP_OF(t, struct objects, tick);

    store_tick(o->store, raylet_now(o->r));
    again(o->r);
}

static void host_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                      size_t size)
{
    struct objects *o = arg;
    struct session *s = session_client(o->r, client);

    if (s)
        session_send(s, type, 0, tag, payload, size, NULL, 0);
}

static void host_send_segment(void *arg, uint32_t client, uint32_t segment, uint64_t size,
                              bool writable, int fd)
{
    struct objects *o = arg;
    struct session *s = session_client(o->r, client);
    Raia__Agent__Segment m = RAIA__AGENT__SEGMENT__INIT;

    if (!s)
        return;
    m.segment = segment;
    m.size = size;
    m.writable = writable;
    session_send_pb(s, REC_SEGMENT, 0, &m.base, &fd, 1);
}

static int host_link_send(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                          size_t head_size, const void *data, size_t data_size,
                          store_release_fn release, void *release_arg)
{
    struct objects *o = arg;

    return nodes_send(o->r, node, type, head, head_size, data, data_size, release, release_arg);
}

int objects_new(struct raylet *r, struct raia_error *e)
{
    struct objects *o = mem_new(struct objects);
    struct store_config c;
    int got;

    if (!o)
        return err_set(e, RAIA_ERR_NOMEM, "the object store");
    o->r = r;
    o->host = (struct store_host){.arg = o,
                                  .send = host_send,
                                  .send_segment = host_send_segment,
                                  .link_send = host_link_send};
    store_config_default(&c, r->node.bytes, r->store_capacity);
    got = store_new(&c, &o->host, &o->store, e);
    if (got < 0) {
        mem_free(o);
        return got;
    }
    r->objects = o;
    return 0;
}

void objects_free(struct raylet *r)
{
    struct objects *o = r->objects;

    if (!o)
        return;
    loop_timer_stop(&o->tick);
    loop_timer_stop(&o->report);
    store_free(o->store);
    mem_free(o);
    r->objects = NULL;
}

int objects_session(struct session *s)
{
    struct record_address me;

    raylet_address(s->r, s->id.bytes, &me);
    return store_client_add(s->r->objects->store, s->client, &me, s->job);
}

void objects_session_closed(struct session *s, bool dead)
{
    struct store *store = s->r->objects->store;

    if (dead)
        store_client_gone(store, raylet_now(s->r), s->client);
    else
        store_client_closed(store, raylet_now(s->r), s->client);
    again(s->r);
}

void objects_client_gone(struct raylet *r, uint32_t client)
{
    store_client_gone(r->objects->store, raylet_now(r), client);
    again(r);
}

int objects_record(struct session *s, const struct record_head *h, const void *payload)
{
    int got = store_handle_record(s->r->objects->store, raylet_now(s->r), s->client, h, payload);

    again(s->r);
    return got;
}

int objects_link_record(struct raylet *r, const uint8_t node[16], uint16_t type, const void *head,
                        size_t head_size, const void *data, size_t data_size)
{
    int got = store_handle_link_record(r->objects->store, raylet_now(r), node, type, head,
                                       head_size, data, data_size);

    again(r);
    return got;
}

void objects_link_writable(struct raylet *r, const uint8_t node[16])
{
    store_link_writable(r->objects->store, raylet_now(r), node);
    again(r);
}

void objects_link_broken(struct raylet *r, const uint8_t node[16])
{
    store_link_broken(r->objects->store, raylet_now(r), node);
    again(r);
}

void objects_node_gone(struct raylet *r, const uint8_t node[16])
{
    store_node_gone(r->objects->store, raylet_now(r), node);
    again(r);
}

void objects_owner_gone(struct raylet *r, const struct record_address *owner)
{
    store_owner_gone(r->objects->store, raylet_now(r), owner);
    again(r);
}

void objects_job_gone(struct raylet *r, const uint8_t job[4])
{
    store_job_gone(r->objects->store, raylet_now(r), job);
    again(r);
}

void objects_stats(const struct raylet *r, struct store_stats *ret_stats)
{
    store_stats(r->objects->store, ret_stats);
}

void objects_list(const struct raylet *r, void (*f)(void *arg, const struct store_object_info *o),
                  void *arg)
{
    store_list(r->objects->store, f, arg);
}
