/*
 * raia status: the cluster at a glance: its nodes, their resources, its jobs.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/table.h"
#include "cli/verb.h"

static int list_all(void)
{
    struct raia_error e = {0};
    char **names;
    if (state_list(&names, &e) < 0)
        return verb_fail("status", &e);
    for (size_t i = 0; names[i]; i++) {
        _cleanup_(mem_freep) char *dir = NULL;
        if (state_dir(names[i], &dir, NULL) == 0)
            printf("%-24s %s\n", names[i], state_alive(dir, NULL) ? "running" : "down (logs kept)");
    }
    state_list_free(names);
    return 0;
}

/* Adds up a resource map of all rows: {"CPU": 1.0, ...}. */
static void add_resources(struct json *sum, const struct json *from)
{
    JSON_FOREACH(it, from)
    {
        double v = 0, old = 0;
        if (json_double(it, &v) < 0)
            continue;
        (void)json_double(json_get(sum, json_key(it)), &old);
        (void)json_set_double(sum, json_key(it), old + v);
    }
}

static void print_amount(const char *name, double v)
{
    if (strstr(name, "memory"))
        printf("%.2f GiB", v / 1073741824.0);
    else
        printf("%g", v);
}

static int show(const struct state_cluster *c, bool json, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *nodes = NULL, *jobs = NULL;
    int r = api_call(c, "GET", "/api/v0/nodes?limit=10000&detail=1", NULL, &nodes, e);
    if (r == 0)
        r = api_call(c, "GET", "/api/jobs/", NULL, &jobs, e);
    if (r < 0)
        return r;
    struct json *rows = json_at(nodes, "data.result.result");
    if (json) {
        _cleanup_(json_freep) struct json *all = json_new_object();
        if (!all || json_set_str(all, "cluster", c->name) < 0 ||
            json_set_str(all, "api_url", c->api_url) < 0 ||
            json_set(all, "nodes", json_copy(rows)) < 0 ||
            json_set(all, "jobs", json_copy(jobs)) < 0)
            return err_set(e, RAIA_ERR_NOMEM, "status");
        return table_print_one(stdout, all, true);
    }
    static const struct table_column columns[] = {{"NODE", "node_name"},
                                                  {"STATE", "state"},
                                                  {"NODE_ID", "node_id"},
                                                  {"TOTAL", "resources_total"},
                                                  {"AVAILABLE", "resources_available"},
                                                  {NULL, NULL}};
    _cleanup_(json_freep) struct json *total = json_new_object(), *free = json_new_object();
    if (!total || !free)
        return err_set(e, RAIA_ERR_NOMEM, "status");
    printf("cluster %s, API %s, GCS %s\n\n", c->name, c->api_url, c->gcs_address);
    r = table_print(stdout, rows, columns, false);
    JSON_FOREACH(it, rows)
    {
        const char *state = json_str(json_get(it, "state"));
        if (!state || strcmp(state, "ALIVE"))
            continue;
        add_resources(total, json_get(it, "resources_total"));
        add_resources(free, json_get(it, "resources_available"));
    }
    printf("\nresources in use:\n");
    JSON_FOREACH(it, total)
    {
        double have = 0, left = 0;
        (void)json_double(it, &have);
        (void)json_double(json_get(free, json_key(it)), &left);
        printf("  ");
        print_amount(json_key(it), have - left);
        printf(" of ");
        print_amount(json_key(it), have);
        printf(" %s\n", json_key(it));
    }
    if (json_size(jobs)) {
        static const struct table_column job_columns[] = {{"JOB", "submission_id"},
                                                          {"STATUS", "status"},
                                                          {"ENTRYPOINT", "entrypoint"},
                                                          {NULL, NULL}};
        printf("\n");
        r = table_print(stdout, jobs, job_columns, false);
    }
    return r;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"cluster", required_argument, NULL, 'c'}, {"address", required_argument, NULL, 'c'},
        {"verbose", no_argument, NULL, 'v'},       {"format", required_argument, NULL, 'f'},
        {"all", no_argument, NULL, 'a'},           {NULL, 0, NULL, 0}};
    const char *name = NULL;
    bool json = false, all = false;
    for (int o; (o = getopt_long(argc, argv, "v", options, NULL)) != -1;) {
        if (o == 'v')
            continue; /* Ray's */
        if (o == 'c')
            name = optarg;
        else if (o == 'f' && (!strcmp(optarg, "json") || !strcmp(optarg, "table")))
            json = !strcmp(optarg, "json");
        else if (o == 'a')
            all = true;
        else
            return verb_usage(&verb_status);
    }
    if (argc - optind > 1)
        return verb_usage(&verb_status);
    if (all)
        return list_all();
    if (optind < argc)
        name = argv[optind];
    struct raia_error e = {0};
    struct state_cluster c = {0};
    int r = state_open(name, &c, &e);
    if (r == 0)
        r = show(&c, json, &e);
    state_cluster_done(&c);
    return r < 0 ? verb_fail("status", &e) : 0;
}

const struct verb verb_status = {
    .name = "status",
    .run = run,
    .usage = "status [NAME | --all] [--format json]",
    .summary = "the cluster at a glance",
    .help =
        "Shows the nodes, resources and jobs of the cluster NAME (the newest that runs "
        "otherwise).\n\n"
        "  --address ADDRESS of a cluster elsewhere: HOST:PORT of its API; the token comes from\n"
        "                    RAY_AUTH_TOKEN, or the file RAY_AUTH_TOKEN_PATH\n"
        "  --all             only list the clusters of this machine\n"
        "  --format FORMAT   table or json\n",
};
