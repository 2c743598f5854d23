/* Ray's state API: GET /api/v0/nodes, actors, jobs, workers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "rest/rest_impl.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000
#define FILTERS_MAX   16
/* Quantities are in these parts of a unit. */
#define RESOURCE_UNIT 10000.0

/* A condition that rows must meet. */
struct filter {
    const char *key;   /* of a member */
    const char *value; /* what it must be, or not be */
    bool not ;         /* "!=" */
};

/* A listing being made. */
struct listing {
    struct gcs_core *core;              /* where from */
    struct json *rows;                  /* those that match, at most limit */
    size_t limit;                       /* the most rows */
    size_t total;                       /* all there are */
    size_t matched;                     /* those that match */
    struct filter filters[FILTERS_MAX]; /* all of them must hold */
    size_t n_filters;                   /* how many */
};

/* The text of a member, as filters compare it. */
static bool member_equals(const struct json *row, const char *key, const char *value)
{
    const struct json *member = json_get(row, key);
    char number[64];

    if (json_is(member, JSON_STRING))
        return strcasecmp(json_str(member), value) == 0;
    if (json_is(member, JSON_BOOL))
        return strcasecmp(json_true(member) ? "true" : "false", value) == 0;
    if (json_number_text(member, number, sizeof number) == 0)
        return strcmp(number, value) == 0;
    return strcasecmp(value, "none") == 0 || strcasecmp(value, "null") == 0;
}

/* Takes the row over. */
static void add_row(struct listing *l, struct json *row)
{
    l->total++;
    for (size_t i = 0; i < l->n_filters; i++) {
        const struct filter *f = &l->filters[i];

        if (member_equals(row, f->key, f->value) == f->not ) {
            json_free(row);
            return;
        }
    }
    l->matched++;
    if (l->matched > l->limit)
        json_free(row);
    else
        (void)json_append(l->rows, row);
}

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
    add_row(arg, o);
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
    } else
        (void)json_set_null(o, "death_cause");
    (void)json_set_int(o, "start_time_ms", actor->start_unix_ms);
    (void)json_set_int(o, "end_time_ms", actor->end_unix_ms);
    add_row(arg, o);
}

static struct json *worker(struct gcs_core *core, const char *type, bool alive,
                           const Raia__Address *address, int32_t pid)
{
    const Raia__Gcs__Node *node = gcs_core_find_node(core, address->node_id);
    struct json *o = json_new_object();
    char ip[256];

    rest_host_of(node ? node->address : "", ip, sizeof ip);
    set_hex(o, "worker_id", address->worker_id);
    (void)json_set_bool(o, "is_alive", alive);
    (void)json_set_str(o, "worker_type", type);
    (void)json_set_null(o, "exit_type");
    set_hex(o, "node_id", address->node_id);
    (void)json_set_str(o, "ip", ip);
    (void)json_set_int(o, "pid", pid);
    return o;
}

static void add_driver(void *arg, const Raia__Gcs__Job *job)
{
    struct listing *l = arg;

    if (job->driver && job->driver->worker_id.len)
        add_row(arg, worker(l->core, "DRIVER", !job->dead, job->driver, job->driver_pid));
}

static void add_actor_worker(void *arg, const Raia__Gcs__Actor *actor)
{
    struct listing *l = arg;

    if (actor->state == RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE)
        add_row(arg, worker(l->core, "WORKER", true, actor->address, actor->pid));
}

static void add_jobs(struct listing *l)
{
    struct json *all = rest_all_jobs(l->core);

    JSON_FOREACH(job, all)
    add_row(l, json_copy(job));
    json_free(all);
}

/* -NOT_FOUND: no such listing. */
static int fill(struct listing *l, const char *what, const char **ret_warning)
{
    *ret_warning = NULL;
    if (strcmp(what, "nodes") == 0) {
        gcs_core_each_node(l->core, add_node, l);
    } else if (strcmp(what, "actors") == 0) {
        gcs_core_each_actor(l->core, add_actor, l);
    } else if (strcmp(what, "jobs") == 0) {
        add_jobs(l);
    } else if (strcmp(what, "workers") == 0) {
        gcs_core_each_job(l->core, add_driver, l);
        gcs_core_each_actor(l->core, add_actor_worker, l);
        *ret_warning = "Workers that host no actor are known to their nodes only.";
    } else {
        return -RAIA_ERR_NOT_FOUND;
    }
    return 0;
}

static int read_query(struct http_exchange *x, struct listing *l, struct raia_error *e)
{
    const char *limit = http_query(x, "limit");
    char *end = NULL;
    unsigned long n = LIMIT_DEFAULT;

    if (limit) {
        n = strtoul(limit, &end, 10);
        if (!*limit || *end || n == 0 || n > LIMIT_MAX)
            return err_set(e, RAIA_ERR_INVALID, "limit must be a number from 1 to %d", LIMIT_MAX);
    }
    l->limit = n;
    for (size_t i = 0; http_query_at(x, "filter_keys", i); i++) {
        const char *predicate = http_query_at(x, "filter_predicates", i);
        struct filter *f = &l->filters[i];

        if (i == FILTERS_MAX)
            return err_set(e, RAIA_ERR_INVALID, "more than %d filters", FILTERS_MAX);
        f->key = http_query_at(x, "filter_keys", i);
        f->value = http_query_at(x, "filter_values", i);
        if (!f->value)
            return err_set(e, RAIA_ERR_INVALID, "filter_keys without filter_values");
        if (predicate && strcmp(predicate, "=") != 0 && strcmp(predicate, "!=") != 0)
            return err_set(e, RAIA_ERR_INVALID, "filter_predicates must be = or !=");
        f->not = predicate && predicate[0] == '!';
        l->n_filters++;
    }
    return 0;
}

/* Ray's envelope: {"result", "msg", "data": {"result": {...}}}. Takes rows over. */
static struct json *envelope(struct listing *l, const char *warning)
{
    struct json *root = json_new_object(), *data = json_new_object(), *inner = json_new_object();

    (void)json_set(inner, "total", json_new_uint(l->total));
    (void)json_set(inner, "num_after_truncation", json_new_uint(l->total));
    (void)json_set(inner, "num_filtered", json_new_uint(l->matched));
    (void)json_set(inner, "result", l->rows);
    (void)json_set_str(inner, "partial_failure_warning", warning ? warning : "");
    (void)json_set(inner, "warnings", json_new_null());
    (void)json_set(data, "result", inner);
    (void)json_set_bool(root, "result", true);
    (void)json_set_str(root, "msg", "");
    if (json_set(root, "data", data) < 0) {
        json_free(root);
        return NULL;
    }
    return root;
}

/* Ray's envelope around a reason, which its command line prints. */
static void answer_refusal(struct http_exchange *x, int status, const char *why)
{
    struct json *root = json_new_object();

    (void)json_set_bool(root, "result", false);
    (void)json_set_str(root, "msg", why);
    (void)json_set_str(root, "error", why);
    if (json_set(root, "data", json_new_object()) < 0) {
        json_free(root);
        root = NULL;
    }
    http_answer_json(x, status, root);
}

/* Summaries, which Ray's command line asks for too. */
void rest_state_summary(struct http_exchange *x, void *arg)
{
    (void)arg;
    answer_refusal(x, 404, "Raia has no summaries here; list nodes, actors, jobs, workers");
}

void rest_state_list(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    struct listing l = {.core = rest->options.core};
    const char *what = http_param(x, "what"), *warning;
    struct raia_error e = {0};

    if (read_query(x, &l, &e) < 0) {
        answer_refusal(x, 400, e.text);
        return;
    }
    l.rows = json_new_array();
    if (fill(&l, what, &warning) < 0) {
        json_free(l.rows);
        (void)err_set(&e, RAIA_ERR_NOT_FOUND,
                      "Raia has no listing of '%.60s' here; there are nodes, actors, jobs, workers",
                      what);
        answer_refusal(x, 404, e.text);
        return;
    }
    rest_answer_state(rest, x, envelope(&l, warning));
}
