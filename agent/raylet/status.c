/*
 * The control socket: what this raylet is doing.
 */
#include <string.h>

#include "base/err.h"
#include "control/control.h"
#include "link/link.h"
#include "raylet/raylet.h"
#include "store/store.h"

static double units(int64_t quantity)
{
    return (double)quantity / (double)RES_UNIT;
}

static void put_resources(struct raylet *r, struct json *to)
{
    const struct ledger *l = sched_ledger(r->sched);
    struct json *all = json_new_object();

    for (uint32_t i = 0; i < l->total.n; i++) {
        struct json *one = json_new_object();
        json_set_double(one, "total", units(l->total.item[i].quantity));
        json_set_double(one, "available", units(l->available[i]));
        json_set_double(one, "in_use", units(l->in_use[i]));
        json_set(all, res_name(r->names, l->total.item[i].name), one);
    }
    json_set(to, "resources", all);
    json_set_bool(to, "consistent", sched_check(r->sched));
}

static void put_sched(struct raylet *r, struct json *to)
{
    struct sched_stats s;
    struct pool_stats p;
    struct json *leases = json_new_object(), *workers = json_new_object();

    sched_stats(r->sched, &s);
    pool_stats(sched_pool(r->sched), &p);
    json_set_int(leases, "granted_here", s.leases);
    json_set_int(leases, "held_elsewhere", s.remote_leases);
    json_set_int(leases, "asked_elsewhere", s.requested);
    json_set_int(leases, "wanted", (int64_t)s.want);
    json_set_int(leases, "grants_total", (int64_t)s.grants);
    json_set_int(leases, "spillbacks_total", (int64_t)s.spillbacks);
    json_set_int(leases, "rejects_total", (int64_t)s.rejects);
    json_set_int(leases, "reclaims_total", (int64_t)s.reclaims);
    json_set(to, "leases", leases);
    json_set_int(workers, "starting", p.starting);
    json_set_int(workers, "idle", p.idle);
    json_set_int(workers, "leased", p.leased);
    json_set_int(workers, "blocked", p.blocked);
    json_set_int(workers, "stopping", p.stopping);
    json_set_int(workers, "started_total", (int64_t)p.started);
    json_set_int(workers, "start_failures_total", (int64_t)p.failures);
    json_set(to, "workers", workers);
}

/* Where put_waiting puts a class. */
struct waiting {
    struct raylet *r;
    struct json *list;
};

static void put_waiting(void *arg, const struct sched_shape *shape, uint64_t count, bool infeasible)
{
    const struct waiting *w = arg;
    struct json *one = json_new_object(), *need = json_new_object();
    char job[9];

    id_to_text__(shape->job, 4, job);
    for (uint32_t i = 0; i < shape->need.n; i++)
        json_set_double(need, res_name(w->r->names, shape->need.item[i].name),
                        units(shape->need.item[i].quantity));
    json_set_str(one, "job_id", job);
    json_set(one, "resources", need);
    json_set_int(one, "count", (int64_t)count);
    json_set_bool(one, "infeasible", infeasible);
    json_append(w->list, one);
}

static void put_store(struct raylet *r, struct json *to)
{
    struct store_stats s;
    struct json *o = json_new_object();

    objects_stats(r, &s);
    json_set_int(o, "capacity", (int64_t)s.capacity);
    json_set_int(o, "used", (int64_t)s.used);
    json_set_int(o, "resident", (int64_t)s.resident);
    json_set_int(o, "pinned", (int64_t)s.pinned);
    json_set_int(o, "primary", (int64_t)s.primary);
    json_set_int(o, "objects", s.objects);
    json_set_int(o, "unsealed", s.unsealed);
    json_set_int(o, "pulls", s.pulls);
    json_set_int(o, "evicted_total", (int64_t)s.evicted);
    json_set_int(o, "bytes_in_total", (int64_t)s.bytes_in);
    json_set_int(o, "bytes_out_total", (int64_t)s.bytes_out);
    json_set(to, "store", o);
}

static int on_status(void *arg, const struct json *request, struct json *reply,
                     struct raia_error *e)
{
    struct raylet *r = arg;
    struct links_stats links;
    struct json *l = json_new_object();
    struct waiting waiting = {.r = r, .list = json_new_array()};
    int64_t ends = 0;

    (void)request;
    (void)e;
    nodes_stats(r, &links);
    json_set_str(reply, "node_id", r->node_text);
    json_set_str(reply, "node_name", r->config.node_name);
    json_set_str(reply, "address", r->address);
    json_set_bool(reply, "registered", gcs_registered(r));
    json_set_int(reply, "processes", HASH_SIZE(r->by_worker));
    for (const struct session *s = r->by_worker; s; s = s->hh.next)
        ends += s->pairs.count;
    json_set_int(reply, "pairs", ends / 2);
    json_set_int(reply, "records_total", (int64_t)r->nrecords);
    put_resources(r, reply);
    put_sched(r, reply);
    sched_waiting(r->sched, put_waiting, &waiting);
    json_set(reply, "waiting", waiting.list);
    put_store(r, reply);
    json_set_int(l, "known", links.known);
    json_set_int(l, "up", links.up);
    json_set_int(l, "bytes_in_total", (int64_t)links.bytes_in);
    json_set_int(l, "bytes_out_total", (int64_t)links.bytes_out);
    return json_set(reply, "links", l);
}

const char *status_worker_state(const struct raylet *r, const struct worker *w)
{
    static const char *const names[] = {"starting", "idle", "leased", "stopping"};
    enum pool_state state;
    uint8_t job[4];

    return pool_worker(sched_pool(r->sched), w->number, &state, job) ? names[state] : "gone";
}

/* Worker processes and what they run. */
static int on_workers(void *arg, const struct json *request, struct json *reply,
                      struct raia_error *e)
{
    struct raylet *r = arg;
    struct json *list = json_new_array();

    (void)request;
    (void)e;
    for (const struct worker *w = r->workers; w; w = w->hh.next) {
        struct json *one = json_new_object();
        char id[WORKER_ID_TEXT_MAX], job[9];
        worker_id_to_text(&w->id, id);
        id_to_text__(w->job, 4, job);
        json_set_str(one, "worker_id", id);
        json_set_str(one, "job_id", job);
        json_set_int(one, "pid", w->pid);
        json_set_str(one, "state", status_worker_state(r, w));
        json_set_str(one, "running", w->running);
        json_set_bool(one, "actor", w->actor != NULL);
        if (json_append(list, one) < 0)
            break;
    }
    return json_set(reply, "workers", list);
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct raylet *r = arg;

    (void)fd;
    (void)events;
    control_server_step(r->control);
}

int status_new(struct raylet *r, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/raylet.ctl", r->config.session_dir);
    int got;

    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "the control socket");
    got = control_server_new(path, NULL, &r->control, e);
    if (got == 0)
        got = control_add_builtins(r->control, "raia-raylet", NULL, on_status, r);
    if (got == 0)
        got = control_add(r->control, "workers", "workers: the worker processes of this node",
                          on_workers, r);
    if (got < 0)
        return err_wrap(e, "the control socket");
    return loop_fd_new(r->loop, control_server_fd(r->control), LOOP_READ, on_readable, r,
                       &r->control_watch, e);
}

void status_free(struct raylet *r)
{
    loop_fd_free(r->control_watch);
    r->control_watch = NULL;
    control_server_free(r->control);
    r->control = NULL;
}
