/*
 * raia list KIND, raia get KIND ID, raia summary KIND: what the cluster has, as its state API tells it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "http/http_client.h"

#define LIMIT_MAX 10000 /* rows the state API gives at one time (Ray's) */

static const struct table_column node_columns[] = {
    {"NODE_ID", "node_id"},       {"NAME", "node_name"},
    {"STATE", "state"},           {"ADDRESS", "node_ip"},
    {"HEAD", "is_head_node"},     {"RESOURCES", "resources_total"},
    {"MESSAGE", "state_message"}, {NULL, NULL}};
static const struct table_column actor_columns[] = {
    {"ACTOR_ID", "actor_id"}, {"CLASS", "class_name"}, {"STATE", "state"}, {"NAME", "name"},
    {"NODE", "node_name"},    {"PID", "pid"},          {"JOB", "job_id"},  {NULL, NULL}};
static const struct table_column task_columns[] = {
    {"TASK_ID", "task_id"},     {"NAME", "name"},      {"STATE", "state"},
    {"TYPE", "type"},           {"NODE", "node_name"}, {"PID", "worker_pid"},
    {"SINCE", "start_time_ms"}, {"JOB", "job_id"},     {NULL, NULL}};
static const struct table_column object_columns[] = {{"OBJECT_ID", "object_id"},
                                                     {"SIZE", "object_size"},
                                                     {"TASK", "task_status"},
                                                     {"REFERENCE", "reference_type"},
                                                     {"NODE", "node_name"},
                                                     {"COPIES", "ncopies"},
                                                     {"PINS", "pins"},
                                                     {"OWNER", "type"},
                                                     {"PID", "pid"},
                                                     {"JOB", "job_id"},
                                                     {NULL, NULL}};
static const struct table_column job_columns[] = {{"SUBMISSION_ID", "submission_id"},
                                                  {"JOB", "job_id"},
                                                  {"STATUS", "status"},
                                                  {"TYPE", "type"},
                                                  {"START", "start_time"},
                                                  {"END", "end_time"},
                                                  {"ENTRYPOINT", "entrypoint"},
                                                  {NULL, NULL}};
static const struct table_column worker_columns[] = {
    {"WORKER_ID", "worker_id"}, {"ALIVE", "is_alive"}, {"TYPE", "worker_type"},
    {"STATE", "state"},         {"NODE", "node_name"}, {"PID", "pid"},
    {"ACTOR_ID", "actor_id"},   {"JOB", "job_id"},     {NULL, NULL}};

static const struct kind {
    const char *name;                   /* of the verb and of the API */
    const char *id;                     /* the field that names a row */
    const struct table_column *columns; /* for people */
} kinds[] = {
    {"nodes", "node_id", node_columns},     {"actors", "actor_id", actor_columns},
    {"tasks", "task_id", task_columns},     {"objects", "object_id", object_columns},
    {"jobs", "submission_id", job_columns}, {"workers", "worker_id", worker_columns},
};

#define FILTERS_MAX 16

struct options {
    const char *cluster;              /* NULL: the newest */
    const char *filters[FILTERS_MAX]; /* KEY=VALUE, KEY!=VALUE */
    unsigned n_filters;               /* of them */
    bool json;                        /* --format json */
    long limit;                       /* rows */
};

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"cluster", required_argument, NULL, 'c'}, {"address", required_argument, NULL, 'c'},
        {"detail", no_argument, NULL, 'd'},        {"timeout", required_argument, NULL, 'd'},
        {"format", required_argument, NULL, 'f'},  {"filter", required_argument, NULL, 'F'},
        {"limit", required_argument, NULL, 'l'},   {NULL, 0, NULL, 0}};
    o->limit = 100;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        char *end = NULL;
        if (c == 'd')
            continue; /* Ray's */
        if (c == 'c')
            o->cluster = optarg;
        else if (c == 'f' && (!strcmp(optarg, "json") || !strcmp(optarg, "table")))
            o->json = !strcmp(optarg, "json");
        else if (c == 'F' && strchr(optarg, '=') && o->n_filters < FILTERS_MAX)
            o->filters[o->n_filters++] = optarg;
        else if (c == 'l')
            o->limit = strtol(optarg, &end, 10);
        else
            return -1;
        if ((end && *end) || o->limit < 1 || o->limit > LIMIT_MAX)
            return -1;
    }
    return 0;
}

static const struct kind *find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    fprintf(stderr, "raia: there is no kind '%s': nodes, actors, tasks, objects, jobs, workers\n",
            name);
    return NULL;
}

/* Adds "&filter_keys=KEY&filter_predicates=P&filter_values=VALUE". */
static int put_filter(struct buf *path, const char *filter)
{
    const char *eq = strchr(filter, '=');
    bool unequal = eq > filter && eq[-1] == '!';
    _cleanup_(mem_freep) char *name = mem_strndup(filter, (size_t)(eq - filter) - unequal);
    _cleanup_(mem_freep) char *key = name ? http_escape(name) : NULL;
    _cleanup_(mem_freep) char *value = http_escape(eq + 1);
    return key && value ? buf_printf(path, "&filter_keys=%s&filter_predicates=%s&filter_values=%s",
                                     key, unequal ? "%21%3D" : "%3D", value)
                        : -RAIA_ERR_NOMEM;
}

/* Rows name nodes by id: people read names. Nodes that are not known keep their id's beginning. */
static void name_nodes(struct json *rows, const struct json *nodes)
{
    JSON_FOREACH(row, rows)
    {
        const char *id = json_str(json_get(row, "node_id"));
        char text[64] = "";
        if (!id || json_get(row, "node_name"))
            continue;
        snprintf(text, sizeof text, "%.8s", id);
        JSON_FOREACH(node, nodes)
        {
            const char *its = json_str(json_get(node, "node_id"));
            const char *name = json_str(json_get(node, "node_name"));
            if (its && name && *name && !strcmp(its, id))
                snprintf(text, sizeof text, "%s", name);
        }
        (void)json_set_str(row, "node_name", text);
    }
}

/* For people: names of nodes, and how many copies there are. */
static void embellish(const struct state_cluster *c, struct json *rows)
{
    _cleanup_(json_freep) struct json *reply = NULL;
    struct raia_error e = {0};
    if (api_call(c, "GET", "/api/v0/nodes?limit=10000", NULL, &reply, &e) == 0)
        name_nodes(rows, json_at(reply, "data.result.result"));
    JSON_FOREACH(row, rows)
    {
        const struct json *copies = json_get(row, "copies");
        if (copies)
            (void)json_set_int(row, "ncopies", (int64_t)json_size(copies));
    }
}

/* path: after "/api/v0/KIND". */
static int fetch(const struct options *o, const struct kind *k, const char *path, long limit,
                 struct json **ret_reply, struct raia_error *e)
{
    struct state_cluster c = {0};
    struct buf b;
    buf_init(&b, 16384);
    buf_printf(&b, "/api/v0/%s%s?limit=%ld&detail=1", k->name, path, limit);
    int r = state_open(o->cluster, &c, e);
    for (unsigned i = 0; r == 0 && i < o->n_filters; i++)
        if (put_filter(&b, o->filters[i]) < 0)
            r = err_set(e, RAIA_ERR_INVALID, "the filters are too long");
    const char *text = buf_cstr(&b);
    if (r == 0)
        r = text ? api_call(&c, "GET", text, NULL, ret_reply, e)
                 : err_set(e, RAIA_ERR_NOMEM, "list %s", k->name);
    if (r == 0 && !*path && !o->json)
        embellish(&c, json_at(*ret_reply, "data.result.result"));
    buf_fini(&b);
    state_cluster_done(&c);
    return r;
}

/* What is missing, on standard error. */
static void warn(const char *verb, const struct json *reply, long limit)
{
    const char *warning = json_str(json_at(reply, "data.result.partial_failure_warning"));
    int64_t matched = 0, total = 0, seen = 0;
    if (warning && *warning)
        fprintf(stderr, "raia %s: not all of it: %s\n", verb, warning);
    (void)json_int(json_at(reply, "data.result.num_filtered"), &matched);
    (void)json_int(json_at(reply, "data.result.total"), &total);
    (void)json_int(json_at(reply, "data.result.num_after_truncation"), &seen);
    if (total > seen)
        fprintf(stderr,
                "raia %s: %lld of about %lld were looked at: a process tells of at most %d\n", verb,
                (long long)seen, (long long)total, LIMIT_MAX);
    if (limit && matched > limit)
        fprintf(stderr, "raia %s: %ld of %lld rows; --limit shows more\n", verb, limit,
                (long long)matched);
}

static int run_list(int argc, char **argv)
{
    struct options o = {0};
    struct raia_error e = {0};
    if (parse(argc, argv, &o) < 0 || argc - optind != 1)
        return verb_usage(&verb_list);
    const struct kind *k = find(argv[optind]);
    if (!k)
        return 2;
    _cleanup_(json_freep) struct json *reply = NULL;
    if (fetch(&o, k, "", o.limit, &reply, &e) < 0)
        return verb_fail("list", &e);
    warn("list", reply, o.limit);
    return table_print(stdout, json_at(reply, "data.result.result"), k->columns, o.json) < 0;
}

static int run_get(int argc, char **argv)
{
    struct options o = {0};
    struct raia_error e = {0};
    if (parse(argc, argv, &o) < 0 || argc - optind != 2)
        return verb_usage(&verb_get);
    const struct kind *k = find(argv[optind]);
    if (!k)
        return 2;
    _cleanup_(json_freep) struct json *reply = NULL;
    if (fetch(&o, k, "", LIMIT_MAX, &reply, &e) < 0)
        return verb_fail("get", &e);
    const char *id = argv[optind + 1];
    const struct json *found = NULL;
    JSON_FOREACH(row, json_at(reply, "data.result.result"))
    {
        const char *mine = json_str(json_get(row, k->id));
        if (!mine || strncmp(mine, id, strlen(id)) || !*id)
            continue;
        if (found) {
            err_set(&e, RAIA_ERR_INVALID, "several %s begin with '%s': give more of the id",
                    k->name, id);
            return verb_fail("get", &e);
        }
        found = row;
        if (!mine[strlen(id)])
            break; /* the whole id */
    }
    if (found)
        return table_print_one(stdout, found, o.json) < 0;
    warn("get", reply, 0);
    err_set(&e, RAIA_ERR_NOT_FOUND, "no %s with %s '%s...'", k->name, k->id, id);
    return verb_fail("get", &e);
}

/* ---- summary ---- */

static const struct table_column task_summary[] = {
    {"FUNCTION", "func_or_class_name"}, {"TYPE", "type"}, {"STATES", "state_counts"}, {NULL, NULL}};
static const struct table_column actor_summary[] = {
    {"CLASS", "class_name"}, {"STATES", "state_counts"}, {NULL, NULL}};
static const struct table_column object_summary[] = {{"OBJECTS", "total_objects"},
                                                     {"MIB", "total_size_mb"},
                                                     {"TASKS", "task_state_counts"},
                                                     {"REFERENCES", "ref_type_counts"},
                                                     {NULL, NULL}};

static int run_summary(int argc, char **argv)
{
    struct options o = {0};
    struct raia_error e = {0};
    if (parse(argc, argv, &o) < 0 || argc - optind != 1)
        return verb_usage(&verb_summary);
    const char *name = argv[optind];
    const struct table_column *columns = !strcmp(name, "tasks")     ? task_summary
                                         : !strcmp(name, "actors")  ? actor_summary
                                         : !strcmp(name, "objects") ? object_summary
                                                                    : NULL;
    if (!columns) {
        fprintf(stderr, "raia: there is no summary of '%s': tasks, actors, objects\n", name);
        return 2;
    }
    _cleanup_(json_freep) struct json *reply = NULL, *rows = json_new_array();
    if (fetch(&o, find(name), "/summarize", LIMIT_MAX, &reply, &e) < 0)
        return verb_fail("summary", &e);
    warn("summary", reply, 0);
    const struct json *all = json_at(reply, "data.result.result.node_id_to_summary.cluster");
    if (o.json)
        return table_print_one(stdout, all, true) < 0;
    JSON_FOREACH(row, json_get(all, "summary"))
    (void)json_append(rows, json_copy(row));
    return table_print(stdout, rows, columns, false) < 0;
}

#define OPTIONS_HELP                                                                               \
    "  --cluster NAME      of this machine; the newest that runs otherwise\n"                      \
    "  --address ADDRESS   of a cluster elsewhere: HOST:PORT of its API\n"                         \
    "  --format FORMAT     table (for people) or json (an array)\n"

const struct verb verb_list = {
    .name = "list",
    .run = run_list,
    .usage = "list nodes|actors|tasks|objects|jobs|workers [--filter KEY=VALUE] [--limit N]",
    .summary = "list what the cluster has",
    .help =
        "Tasks, objects and workers are asked of every node when this is called: what a node or a\n"
        "process did not tell in time is named on standard error, and the exit status is "
        "0.\n\n" OPTIONS_HELP
        "  --filter KEY=VALUE  only these; KEY!=VALUE only others; several: all must hold.\n"
        "                      KEY is a field as --format json shows it\n"
        "  --limit N           at most so many rows (100; up to 10000)\n\n"
        "For example:  raia list tasks --filter state=RUNNING --filter name!=nap\n",
};

const struct verb verb_get = {
    .name = "get",
    .run = run_get,
    .usage = "get nodes|actors|tasks|objects|jobs|workers ID [--format json]",
    .summary = "show one of them, by the beginning of its id",
    .help = OPTIONS_HELP,
};

const struct verb verb_summary = {
    .name = "summary",
    .run = run_summary,
    .usage = "summary tasks|actors|objects [--filter KEY=VALUE] [--format json]",
    .summary = "count tasks by function, actors by class, objects",
    .help = OPTIONS_HELP "  --filter KEY=VALUE  as in `raia list`\n",
};
