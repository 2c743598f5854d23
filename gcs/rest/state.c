/* Ray's state API: GET /api/v0/KIND and /api/v0/KIND/summarize, from what this process knows:
 * nodes, actors, jobs. What raylets are asked for is in state_remote.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "rest/rest_impl.h"
#include "rest/state_impl.h"

/* Quantities are in these parts of a unit. */
#define RESOURCE_UNIT 10000.0

static void set_hex(struct json *o, const char *key, ProtobufCBinaryData bytes)
{
    char hex[33];

    if (bytes.len)
        (void)json_set_str(o, key, rest_hex(bytes, hex));
    else
        (void)json_set_null(o, key);
}

static struct json *resources(Raia__Resource *const *list, size_t n)
{
    struct json *o = json_new_object();

    for (size_t i = 0; i < n; i++)
        (void)json_set_double(o, list[i]->name, (double)list[i]->quantity / RESOURCE_UNIT);
    return o;
}

static void add_node(void *arg, const Raia__Gcs__Node *node)
{
    struct json *o = json_new_object(), *labels = json_new_object();
    char ip[256];

    rest_host_of(node->address, ip, sizeof ip);
    for (size_t i = 0; i < node->n_labels; i++)
        (void)json_set_str(labels, node->labels[i]->name, node->labels[i]->value);
    set_hex(o, "node_id", node->node_id);
    (void)json_set_str(o, "node_ip", ip);
    (void)json_set_bool(o, "is_head_node", node->is_head);
    (void)json_set_str(o, "state",
                       node->state == RAIA__GCS__NODE_STATE__NODE_DEAD ? "DEAD" : "ALIVE");
    (void)json_set_str(o, "state_message", node->state_message);
    (void)json_set_str(o, "node_name", node->name);
    (void)json_set(o, "resources_total", resources(node->total, node->n_total));
    (void)json_set(o, "resources_available", resources(node->available, node->n_available));
    (void)json_set(o, "labels", labels);
    (void)json_set_int(o, "start_time_ms", node->start_unix_ms);
    (void)json_set_int(o, "end_time_ms", node->end_unix_ms);
    (void)json_set_str(o, "address", node->address);
    (void)json_set_str(o, "hostname", node->hostname);
    (void)json_set_int(o, "raylet_pid", node->raylet_pid);
    (void)json_set_int(o, "supervisor_pid", node->supervisor_pid);
    (void)json_set(o, "object_store_capacity", json_new_uint(node->store_capacity));
    (void)json_set(o, "object_store_used", json_new_uint(node->store_used));
    listing_row(arg, o);
}

static const char *actor_state(const Raia__Gcs__Actor *actor)
{
    switch (actor->state) {
    case RAIA__GCS__ACTOR_STATE__ACTOR_PENDING:
        return "PENDING_CREATION";
    case RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE:
        return "ALIVE";
    case RAIA__GCS__ACTOR_STATE__ACTOR_RESTARTING:
        return "RESTARTING";
    default:
        return "DEAD";
    }
}

static void add_actor(void *arg, const Raia__Gcs__Actor *actor)
{
    const Raia__Gcs__ActorSpec *spec = actor->spec;
    struct json *o = json_new_object();

    set_hex(o, "actor_id", spec->actor_id);
    (void)json_set_str(o, "class_name", spec->class_name);
    (void)json_set_str(o, "state", actor_state(actor));
    set_hex(o, "job_id", spec->job_id);
    (void)json_set_str(o, "name", spec->name);
    set_hex(o, "node_id", actor->address->node_id);
    (void)json_set_int(o, "pid", actor->pid);
    (void)json_set_str(o, "ray_namespace", spec->ns);
    set_hex(o, "worker_id", actor->address->worker_id);
    (void)json_set_bool(o, "is_detached", spec->detached);
    (void)json_set(o, "num_restarts", json_new_uint(actor->restarts));
    (void)json_set(o, "required_resources", resources(spec->resources, spec->n_resources));
    if (actor->death) { /* Ray's is an object too */
        struct json *cause = json_new_object();

        (void)json_set_str(cause, "error_message", actor->death->text);
        (void)json_set(o, "death_cause", cause);
    } else {
        (void)json_set_null(o, "death_cause");
    }
    (void)json_set_int(o, "start_time_ms", actor->start_unix_ms);
    (void)json_set_int(o, "end_time_ms", actor->end_unix_ms);
    listing_row(arg, o);
}

/* Where rows of drivers go. */
struct drivers {
    struct gcs_core *core; /* knows the nodes */
    struct listing *l;     /* takes the rows */
};

/* Drivers that have ended: their nodes know nothing of them any more. */
static void add_dead_driver(void *arg, const Raia__Gcs__Job *job)
{
    const struct drivers *d = arg;
    const Raia__Gcs__Node *node;
    struct json *o;
    char ip[256];

    if (!job->dead || !job->driver || !job->driver->worker_id.len)
        return;
    o = json_new_object();
    node = gcs_core_find_node(d->core, job->driver->node_id);
    rest_host_of(node ? node->address : "", ip, sizeof ip);
    set_hex(o, "worker_id", job->driver->worker_id);
    (void)json_set_bool(o, "is_alive", false);
    (void)json_set_str(o, "worker_type", "DRIVER");
    (void)json_set_null(o, "exit_type");
    set_hex(o, "node_id", job->driver->node_id);
    (void)json_set_str(o, "ip", ip);
    (void)json_set_int(o, "pid", job->driver_pid);
    set_hex(o, "job_id", job->job_id);
    (void)json_set_null(o, "actor_id");
    (void)json_set_str(o, "state", "dead");
    listing_row(d->l, o);
}

void state_dead_drivers(struct rest *rest, struct listing *l)
{
    struct drivers d = {.core = rest->options.core, .l = l};

    gcs_core_each_job(rest->options.core, add_dead_driver, &d);
}

static void add_jobs(struct rest *rest, struct listing *l)
{
    struct json *all = rest_all_jobs(rest->options.core);

    JSON_FOREACH(job, all)
    listing_row(l, json_copy(job));
    json_free(all);
}

/* -NOT_FOUND: no such listing, or one that only raylets can fill. */
static int fill(struct rest *rest, struct listing *l, const char *what)
{
    if (strcmp(what, "nodes") == 0)
        gcs_core_each_node(rest->options.core, add_node, l);
    else if (strcmp(what, "actors") == 0)
        gcs_core_each_actor(rest->options.core, add_actor, l);
    else if (strcmp(what, "jobs") == 0)
        add_jobs(rest, l);
    else
        return -RAIA_ERR_NOT_FOUND;
    return 0;
}

static int read_query(struct http_exchange *x, struct listing *l, struct raia_error *e)
{
    const char *key;
    int r = listing_init(l, http_query(x, "limit"), e);

    for (size_t i = 0; r == 0 && (key = http_query_at(x, "filter_keys", i)); i++)
        r = listing_filter(l, key, http_query_at(x, "filter_predicates", i),
                           http_query_at(x, "filter_values", i), e);
    return r;
}

void state_refuse(struct http_exchange *x, const struct raia_error *e)
{
    struct json *root = json_new_object();

    (void)json_set_bool(root, "result", false);
    (void)json_set_str(root, "msg", e->text);
    (void)json_set_str(root, "error", e->text);
    if (json_set(root, "data", json_new_object()) < 0) {
        json_free(root);
        root = NULL;
    }
    http_answer_json(x,
                     e->code == RAIA_ERR_NOT_FOUND ? 404
                     : e->code == RAIA_ERR_LIMIT   ? 429
                     : e->code == RAIA_ERR_INVALID ? 400
                                                   : 503,
                     root);
}

static void answer(struct http_exchange *x, struct rest *rest, bool summarize)
{
    _cleanup_(listing_fini) struct listing l = {0};
    const char *what = http_param(x, "what");
    struct raia_error e = {0};
    int r = read_query(x, &l, &e);

    if (r == 0 && summarize)
        r = listing_summarize(&l, what, &e);
    if (r < 0) {
        state_refuse(x, &e);
    } else if (fill(rest, &l, what) == 0) {
        rest_answer_state(rest, x, listing_done(&l));
    } else if (state_ask(rest, x, what, &l) < 0) {
        (void)err_set(&e, RAIA_ERR_NOT_FOUND,
                      "Raia has no listing of '%.60s' here; there are nodes, actors, jobs, "
                      "workers, tasks, objects",
                      what);
        state_refuse(x, &e);
    }
}

void rest_state_list(struct http_exchange *x, void *arg)
{
    answer(x, arg, false);
}

void rest_state_summary(struct http_exchange *x, void *arg)
{
    answer(x, arg, true);
}
