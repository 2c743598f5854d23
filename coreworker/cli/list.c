/*
 * raia list KIND, raia get KIND ID: what the cluster has, as its state API tells it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/table.h"
#include "cli/verb.h"

#define LIMIT_MAX 10000 /* rows the state API gives at one time (Ray's) */

static const struct table_column node_columns[] = {
    {"NODE_ID", "node_id"},       {"NAME", "node_name"},
    {"STATE", "state"},           {"ADDRESS", "node_ip"},
    {"HEAD", "is_head_node"},     {"RESOURCES", "resources_total"},
    {"MESSAGE", "state_message"}, {NULL, NULL}};
static const struct table_column actor_columns[] = {
    {"ACTOR_ID", "actor_id"}, {"CLASS", "class_name"}, {"STATE", "state"}, {"NAME", "name"},
    {"NODE_ID", "node_id"},   {"PID", "pid"},          {"JOB", "job_id"},  {NULL, NULL}};
static const struct table_column task_columns[] = {
    {"TASK_ID", "task_id"}, {"NAME", "name"},  {"STATE", "state"}, {"NODE_ID", "node_id"},
    {"PID", "worker_pid"},  {"JOB", "job_id"}, {NULL, NULL}};
static const struct table_column object_columns[] = {
    {"OBJECT_ID", "object_id"}, {"SIZE", "object_size"}, {"REFERENCE", "reference_type"},
    {"NODE_ID", "node_id"},     {"PID", "pid"},          {NULL, NULL}};
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
    {"NODE_ID", "node_id"},     {"PID", "pid"},        {NULL, NULL}};

static const struct kind {
    const char *name;                   /* of the verb and of the API */
    const char *id;                     /* the field that names a row */
    const struct table_column *columns; /* for people */
} kinds[] = {
    {"nodes", "node_id", node_columns},     {"actors", "actor_id", actor_columns},
    {"tasks", "task_id", task_columns},     {"objects", "object_id", object_columns},
    {"jobs", "submission_id", job_columns}, {"workers", "worker_id", worker_columns},
};

struct options {
    const char *cluster; /* NULL: the newest */
    bool json;           /* --format json */
    long limit;          /* rows */
};

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {{"cluster", required_argument, NULL, 'c'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"limit", required_argument, NULL, 'l'},
                                            {NULL, 0, NULL, 0}};
    o->limit = 100;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        char *end = NULL;
        if (c == 'c')
            o->cluster = optarg;
        else if (c == 'f' && (!strcmp(optarg, "json") || !strcmp(optarg, "table")))
            o->json = !strcmp(optarg, "json");
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

static int fetch(const struct options *o, const struct kind *k, long limit, struct json **ret_reply,
                 struct raia_error *e)
{
    struct state_cluster c = {0};
    int r = state_open(o->cluster, &c, e);
    _cleanup_(mem_freep) char *path = mem_printf("/api/v0/%s?limit=%ld&detail=1", k->name, limit);
    if (r == 0)
        r = path ? api_call(&c, "GET", path, NULL, ret_reply, e)
                 : err_set(e, RAIA_ERR_NOMEM, "list %s", k->name);
    state_cluster_done(&c);
    return r;
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
    if (fetch(&o, k, o.limit, &reply, &e) < 0)
        return verb_fail("list", &e);
    const char *warning = json_str(json_at(reply, "data.result.partial_failure_warning"));
    if (warning && *warning)
        fprintf(stderr, "raia list: %s\n", warning);
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
    if (fetch(&o, k, LIMIT_MAX, &reply, &e) < 0)
        return verb_fail("get", &e);
    const char *id = argv[optind + 1];
    JSON_FOREACH(row, json_at(reply, "data.result.result"))
    {
        const char *mine = json_str(json_get(row, k->id));
        if (mine && !strncmp(mine, id, strlen(id)) && *id)
            return table_print_one(stdout, row, o.json) < 0;
    }
    err_set(&e, RAIA_ERR_NOT_FOUND, "no %s with %s '%s...'", k->name, k->id, id);
    return verb_fail("get", &e);
}

#define OPTIONS_HELP                                                                               \
    "  --cluster NAME      of this machine; the newest that runs otherwise\n"                      \
    "  --format FORMAT     table (for people) or json (an array)\n"

const struct verb verb_list = {
    .name = "list",
    .run = run_list,
    .usage = "list nodes|actors|tasks|objects|jobs|workers [--format json] [--limit N]",
    .summary = "list what the cluster has",
    .help = OPTIONS_HELP "  --limit N           at most so many rows (100; up to 10000)\n",
};

const struct verb verb_get = {
    .name = "get",
    .run = run_get,
    .usage = "get nodes|actors|tasks|objects|jobs|workers ID [--format json]",
    .summary = "show one of them, by the beginning of its id",
    .help = OPTIONS_HELP,
};
