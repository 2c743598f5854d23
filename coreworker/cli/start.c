/*
 * raia start, raia stop: this machine as the head of a cluster, or as one more node of it.
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/cluster.h"
#include "cli/join.h"
#include "cli/plan_make.h"
#include "cli/process.h"
#include "cli/quantity.h"
#include "cli/verb.h"
#include "crypto/crypto.h"

#define HEAD_NAME "local" /* the cluster's name, unless --name says another */
#define JOIN_MS   60000   /* for a node to be there */
#define LOOK_MS   50

struct options {
    bool head, block;
    uint64_t owner;                  /* process that it ends with; 0: none */
    const char *address;             /* HOST:PORT or a join file */
    const char *join_file;           /* with HOST:PORT */
    const char *name;                /* of the state folder */
    const char *node_ip;             /* where others reach this machine */
    const char *dashboard_host;      /* where the API listens */
    uint64_t port, dashboard_port;   /* of the head */
    struct manifest_group resources; /* of this node */
};

static int wrong(struct raia_error *e, const char *flag, const char *value, const char *expected)
{
    return err_set(e, RAIA_ERR_INVALID, "--%s '%s': expected %s", flag, value, expected);
}

/* NAME=QUANTITY pairs of a JSON object, or texts. */
static int parse_object(const char *flag, const char *value, bool quantities, struct json *to,
                        struct raia_error *e)
{
    _cleanup_(json_freep) struct json *o = NULL;
    if (json_parse(value, strlen(value), NULL, &o, NULL) < 0 || !json_is(o, JSON_OBJECT))
        return wrong(e, flag, value, "a JSON object");
    JSON_FOREACH(it, o)
    {
        double v;
        int r;
        if (quantities && (quantity_of(it, &v) < 0 || v < 0))
            return wrong(e, flag, value, "a JSON object of name: quantity");
        if (!quantities && !json_str(it))
            return wrong(e, flag, value, "a JSON object of name: text");
        r = quantities ? json_set_double(to, json_key(it), v)
                       : json_set_str(to, json_key(it), json_str(it));
        if (r < 0)
            return err_set(e, RAIA_ERR_NOMEM, "--%s", flag);
    }
    return 0;
}

static int parse_quantity(const char *flag, const char *value, struct manifest_group *g,
                          struct raia_error *e)
{
    double v;
    if (quantity_parse(value, &v) < 0 || v < 0 || v > 1e15)
        return wrong(e, flag, value, "a quantity such as 2 or 1Gi");
    if (!strcmp(flag, "num-cpus"))
        g->num_cpus = v;
    else if (!strcmp(flag, "memory"))
        g->memory = (int64_t)v;
    else if (!strcmp(flag, "object-store-memory"))
        g->object_store_memory = (int64_t)v;
    else if (json_set_double(g->resources, "GPU", v) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "--%s", flag);
    return 0;
}

static int parse_one(struct options *o, const char *flag, const char *value, struct raia_error *e)
{
    struct {
        const char *flag;
        const char **to;
    } texts[] = {{"address", &o->address},
                 {"join-file", &o->join_file},
                 {"name", &o->name},
                 {"node-ip-address", &o->node_ip},
                 {"dashboard-host", &o->dashboard_host}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!strcmp(flag, texts[i].flag)) {
            *texts[i].to = value;
            return *value ? 0 : wrong(e, flag, value, "a text");
        }
    }
    if (!strcmp(flag, "head"))
        o->head = true;
    else if (!strcmp(flag, "block"))
        o->block = true;
    else if (!strcmp(flag, "resources"))
        return parse_object(flag, value, true, o->resources.resources, e);
    else if (!strcmp(flag, "labels"))
        return parse_object(flag, value, false, o->resources.labels, e);
    else if (!strcmp(flag, "owner"))
        return str_to_u64(value, &o->owner) < 0 || o->owner < 2 || o->owner > INT32_MAX
                   ? wrong(e, flag, value, "the process id of the caller")
                   : 0;
    else if (!strcmp(flag, "port") || !strcmp(flag, "dashboard-port")) {
        uint64_t *to = flag[0] == 'p' ? &o->port : &o->dashboard_port;
        if (str_to_u64(value, to) < 0 || *to > 65535)
            return wrong(e, flag, value, "a port, 0 to 65535 (0: any)");
    } else {
        return parse_quantity(flag, value, &o->resources, e);
    }
    return 0;
}

static const struct option flags[] = {{"head", no_argument, NULL, 'x'},
                                      {"block", no_argument, NULL, 'x'},
                                      {"address", required_argument, NULL, 'x'},
                                      {"join-file", required_argument, NULL, 'x'},
                                      {"name", required_argument, NULL, 'x'},
                                      {"node-ip-address", required_argument, NULL, 'x'},
                                      {"port", required_argument, NULL, 'x'},
                                      {"dashboard-host", required_argument, NULL, 'x'},
                                      {"dashboard-port", required_argument, NULL, 'x'},
                                      {"num-cpus", required_argument, NULL, 'x'},
                                      {"num-gpus", required_argument, NULL, 'x'},
                                      {"memory", required_argument, NULL, 'x'},
                                      {"object-store-memory", required_argument, NULL, 'x'},
                                      {"resources", required_argument, NULL, 'x'},
                                      {"labels", required_argument, NULL, 'x'},
                                      {"owner", required_argument, NULL, 'x'},
                                      {NULL, 0, NULL, 0}};

/* A plan of one node; `more` is an option that only this node has (later ones win). */
static int make_plan(const struct options *o, const char *node, const char *dir, const char *more,
                     struct json **ret_plan, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *plan = json_new_object();
    struct json *nodes = json_new_array();
    int r = json_set(plan, "nodes", nodes); /* takes it in any case */
    if (r == 0)
        r = json_set_bool(plan, "start", true); /* `raia stop` ends it */
    if (r == 0 && o->owner)
        r = json_set_int(plan, "owner", (int64_t)o->owner);
    if (r == 0)
        r = plan_add_node(nodes, &o->resources, node, o->head, dir, (int)o->port,
                          (int)o->dashboard_port);
    struct json *argv = json_get(json_first(nodes), "argv");
    _cleanup_(mem_freep) char *ip = mem_printf("--node-ip=%s", o->node_ip);
    if (r == 0)
        r = ip ? json_append_str(argv, ip) : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = more ? json_append_str(argv, more) : -RAIA_ERR_NOMEM;
    if (r < 0)
        return err_set(e, RAIA_ERR_NOMEM, "the plan of this node");
    *ret_plan = STEAL(plan);
    return 0;
}

/* An empty state folder of that name, which must not be in use. */
static int make_dir(const char *name, char **ret_dir, struct raia_error *e)
{
    _cleanup_(mem_freep) char *dir = NULL;
    int r = state_dir(name, &dir, e);
    if (r == 0 && state_alive(dir, NULL))
        r = err_set(e, RAIA_ERR_EXISTS,
                    "'%s' runs on this machine already: `raia stop` ends it, --name takes another "
                    "name",
                    name);
    if (r == 0)
        (void)process_sweep(dir);
    if (r == 0)
        r = cluster_clear(dir, e);
    if (r == 0)
        r = io_mkdir_p(dir, 0700, e);
    if (r == 0)
        *ret_dir = STEAL(dir);
    return r;
}

static int check_port(const char *host, uint64_t port, const char *flag, struct raia_error *e)
{
    return !port || cluster_port_free(host, (int)port)
               ? 0
               : err_set(e, RAIA_ERR_EXISTS,
                         "cannot listen on %s:%llu (is the port taken?); choose another with --%s",
                         host, (unsigned long long)port, flag);
}

static int start_head(const struct options *o, char **ret_dir, struct raia_error *e)
{
    const char *name = o->name ? o->name : HEAD_NAME;
    _cleanup_(json_freep) struct json *plan = NULL;
    _cleanup_(mem_freep) char *dir = NULL;
    _cleanup_(mem_freep) char *join = NULL;
    _cleanup_(state_cluster_done) struct state_cluster c = {0};
    const char *dashboard = o->dashboard_host ? o->dashboard_host : o->node_ip;
    _cleanup_(mem_freep) char *host = mem_printf("--dashboard-host=%s", dashboard);
    int r = check_port(o->node_ip, o->port, "port", e);
    if (r == 0)
        r = check_port(dashboard, o->dashboard_port, "dashboard-port", e);
    if (r == 0)
        r = make_dir(name, &dir, e);
    if (r == 0)
        r = make_plan(o, "head", dir, host, &plan, e);
    if (r == 0) /* 0.0.0.0 is every address: also the one that others know */
        r = cluster_start_head(name, dir, plan, o->node_ip,
                               strcmp(dashboard, "0.0.0.0") ? dashboard : o->node_ip, &c, e);
    if (r == 0)
        r = join_write(&c, &join, e);
    if (r < 0)
        return r;
    printf("the head is up: GCS %s, API %s\n\n"
           "To join another machine, copy the join file there (it holds keys: keep it to "
           "yourself) and run\n"
           "  raia start --address join.json --node-ip-address ITS_ADDRESS\n"
           "The join file: %s\n\n"
           "  raia status %s     what it has\n"
           "  raia stop%*s      ends it\n",
           c.gcs_address, c.api_url, join, name, (int)strlen(name) + 2, "");
    *ret_dir = STEAL(dir);
    return 0;
}

/* Whether a node of that name is alive. */
static bool is_there(const struct state_cluster *c, const char *node, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *reply = NULL;
    if (api_call(c, "GET", "/api/v0/nodes?limit=10000&detail=1", NULL, &reply, e) < 0)
        return false;
    JSON_FOREACH(it, json_at(reply, "data.result.result"))
    {
        const char *name = json_str(json_get(it, "node_name"));
        const char *state = json_str(json_get(it, "state"));
        if (name && state && !strcmp(name, node) && !strcmp(state, "ALIVE"))
            return true;
    }
    return false;
}

/* Nothing is started for a token that the head refuses; whether it can be reached shows later. */
static int check_token(const char *dir, const char *name, struct raia_error *e)
{
    _cleanup_(state_cluster_done) struct state_cluster c = {0};
    struct raia_error refused = {0};
    int r = state_load(dir, name, &c, e);
    if (r == 0)
        (void)is_there(&c, name, &refused);
    if (refused.code == RAIA_ERR_PERMISSION)
        return err_set(e, RAIA_ERR_PERMISSION, "the head refuses the join file's token: %s",
                       refused.text);
    return r;
}

static int wait_joined(const char *name, pid_t keeper, struct raia_error *e)
{
    int64_t until = clock_deadline_ms(JOIN_MS);
    while (clock_now_ns() < until) {
        _cleanup_(state_cluster_done) struct state_cluster c = {0};
        if (cluster_interrupted)
            return err_set(e, RAIA_ERR_CANCELED, "interrupted");
        if (waitpid(keeper, NULL, WNOHANG) == keeper)
            return err_set(e, RAIA_ERR_UNAVAILABLE, "the node cannot run");
        if (state_open(name, &c, NULL) == 0 && is_there(&c, name, NULL))
            return 0;
        poll(NULL, 0, LOOK_MS);
    }
    return err_set(e, RAIA_ERR_TIMEOUT, "the head does not know this node after %d s",
                   JOIN_MS / 1000);
}

static int start_worker(const struct options *o, char **ret_dir, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *plan = NULL;
    _cleanup_(mem_freep) char *dir = NULL;
    _cleanup_(mem_freep) char *address = NULL;
    _cleanup_(mem_freep) char *name = NULL;
    unsigned id = 0;
    (void)crypto_random(&id, sizeof id);
    name = o->name ? mem_strdup(o->name) : mem_printf("node-%08x", id);
    bool is_file = access(o->address, F_OK) == 0;
    const char *file = o->join_file ? o->join_file : o->address;
    if (!name)
        return err_set(e, RAIA_ERR_NOMEM, "this node");
    if (!o->join_file && !is_file)
        return err_set(e, RAIA_ERR_NOT_FOUND,
                       "--address '%s': there is no such join file (with HOST:PORT, --join-file "
                       "says where it is)",
                       o->address);
    int r = make_dir(name, &dir, e);
    if (r < 0)
        return r;
    r = join_read(file, o->join_file ? o->address : NULL, name, dir, &address, e);
    _cleanup_(mem_freep) char *gcs = address ? mem_printf("--gcs-address=%s", address) : NULL;
    if (r == 0)
        r = check_token(dir, name, e);
    if (r == 0)
        r = make_plan(o, name, dir, gcs, &plan, e);
    pid_t keeper;
    if (r == 0)
        r = cluster_start(dir, plan, &keeper, e);
    if (r == 0)
        r = wait_joined(name, keeper, e);
    if (r < 0) {
        (void)cluster_down(name, false, NULL);
        return err_wrap(e, "joining (the logs are under %s)", dir);
    }
    printf("this machine has joined %s as '%s'; `raia stop` ends it\n", address, name);
    *ret_dir = STEAL(dir);
    return 0;
}

/* --block: until Ctrl-C, which ends it, or until it ends by itself. */
static int block(const char *dir, struct raia_error *e)
{
    fflush(stdout);
    while (!cluster_interrupted && state_alive(dir, NULL))
        poll(NULL, 0, LOOK_MS * 4);
    if (!cluster_interrupted) {
        err_set(e, RAIA_ERR_UNAVAILABLE, "it ended by itself: see the logs under %s/nodes", dir);
        return verb_fail("start", e);
    }
    return cluster_down(strrchr(dir, '/') + 1, false, e) < 0 ? verb_fail("start", e) : 0;
}

static int start(const struct options *o)
{
    struct raia_error e = {0};
    _cleanup_(mem_freep) char *dir = NULL;
    if (o->head == (o->address != NULL) || (o->join_file && !o->address))
        return verb_usage(&verb_start);
    cluster_catch_signals();
    int r = o->head ? start_head(o, &dir, &e) : start_worker(o, &dir, &e);
    if (r < 0)
        return verb_fail("start", &e);
    return o->block ? block(dir, &e) : 0;
}

static int run_start(int argc, char **argv)
{
    struct raia_error e = {0};
    struct options o = {.port = CLUSTER_GCS_PORT,
                        .dashboard_port = CLUSTER_DASHBOARD_PORT,
                        .node_ip = PLAN_NODE_IP,
                        .resources = {.num_cpus = -1, .replicas = 1}};
    int status = 0, r = 0, index;
    o.resources.resources = json_new_object();
    o.resources.labels = json_new_object();
    if (!o.resources.resources || !o.resources.labels)
        r = err_set(&e, RAIA_ERR_NOMEM, "the command line");
    for (int c; r == 0 && (c = getopt_long(argc, argv, "", flags, &index)) != -1;) {
        if (c == '?')
            status = verb_usage(&verb_start);
        else
            r = parse_one(&o, flags[index].name, optarg ? optarg : "", &e);
        if (status)
            break;
    }
    if (r < 0) {
        verb_fail("start", &e);
        status = 2;
    } else if (!status) {
        status = optind < argc ? verb_usage(&verb_start) : start(&o);
    }
    json_free(o.resources.resources);
    json_free(o.resources.labels);
    return status;
}

const struct verb verb_start = {
    .name = "start",
    .run = run_start,
    .usage = "start --head [FLAG ...] | start --address JOIN_FILE [FLAG ...]",
    .summary = "make this machine the head of a cluster, or a node of one",
    .help = "--head starts a cluster and writes a join file; --address joins it.\n\n"
            "  --head                     this machine is the head\n"
            "  --address ADDRESS          the head's join file, or HOST:PORT with\n"
            "  --join-file FILE\n"
            "  --node-ip-address ADDRESS  where other machines reach this one (127.0.0.1)\n"
            "  --port PORT                of the GCS (6379); fails if it is taken\n"
            "  --dashboard-host ADDRESS   where the API listens (the same); 0.0.0.0: everywhere\n"
            "  --dashboard-port PORT      of the API (8265); fails if it is taken\n"
            "  --num-cpus, --num-gpus, --memory, --object-store-memory QUANTITY\n"
            "  --resources, --labels JSON\n"
            "  --name NAME                of its folder and in `raia status` (local)\n"
            "  --owner PID                ends with this process, the caller, and leaves nothing\n"
            "  --block                    stay until Ctrl-C, which ends it\n",
};

/* ---- stop */

/* Whether `raia start` made the cluster. */
bool start_made(const char *dir)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/plan.json", dir);
    _cleanup_(json_freep) struct json *plan = NULL;
    return path && json_load(path, NULL, &plan, NULL) == 0 && json_true(json_get(plan, "start"));
}

static int run_stop(int argc, char **argv)
{
    struct raia_error e = {0};
    char **names;
    int status = 0;
    size_t n = 0;
    if (argc > 1) {
        (void)argv;
        return verb_usage(&verb_stop);
    }
    if (state_list(&names, &e) < 0)
        return verb_fail("stop", &e);
    for (size_t i = 0; names[i]; i++) {
        _cleanup_(mem_freep) char *dir = NULL;
        if (state_dir(names[i], &dir, NULL) < 0 || !state_alive(dir, NULL) || !start_made(dir))
            continue;
        n++;
        if (cluster_down(names[i], false, &e) < 0)
            status = verb_fail("stop", &e);
        else
            fprintf(stderr, "'%s' has ended; its logs stay under %s/nodes\n", names[i], dir);
    }
    state_list_free(names);
    if (n == 0)
        fprintf(stderr, "nothing that `raia start` started runs on this machine\n");
    return status;
}

const struct verb verb_stop = {
    .name = "stop",
    .run = run_stop,
    .usage = "stop",
    .summary = "end what `raia start` started on this machine",
    .help = "Ends every head and node that `raia start` started on this machine. What `raia up`\n"
            "started is ended by `raia down`.\n",
};
