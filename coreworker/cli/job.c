/*
 * raia job submit|status|logs|stop|list|delete: jobs by hand.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/cluster.h"
#include "cli/job_attach.h"
#include "cli/job_run.h"
#include "cli/shell.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "http/http_client.h"
#include "yaml/yaml_load.h"

struct options {
    const char *cluster;       /* NULL: the newest */
    const char *submission_id; /* NULL: the cluster chooses */
    const char *runtime_env;   /* JSON text, or NULL */
    const char *env_file;      /* the same as a YAML file, or NULL */
    const char *numbers[3];    /* CPUs, GPUs, bytes of memory that the entrypoint takes, or NULL */
    const char *resources;     /* JSON text: others that it takes, or NULL */
    const char *working_dir;   /* or NULL */
    const char *metadata;      /* JSON text, or NULL */
    bool no_wait, follow, json, attach;
};

static int parse(int argc, char **argv, struct options *o)
{
    enum {
        CLUSTER,
        ID,
        ENV,
        ENV_FILE,
        DIR,
        META,
        CPUS,
        GPUS,
        MEMORY,
        RESOURCES,
        NO_WAIT,
        FOLLOW,
        FORMAT,
        ATTACH,
        RAYS
    };
    static const struct option options[] = {
        {"cluster", required_argument, NULL, CLUSTER},
        {"address", required_argument, NULL, CLUSTER},
        {"job-id", required_argument, NULL, ID},
        {"runtime-env", required_argument, NULL, ENV_FILE},
        {"entrypoint-num-cpus", required_argument, NULL, CPUS},
        {"entrypoint-num-gpus", required_argument, NULL, GPUS},
        {"entrypoint-memory", required_argument, NULL, MEMORY},
        {"entrypoint-resources", required_argument, NULL, RESOURCES},
        {"verify", required_argument, NULL, RAYS},
        {"headers", required_argument, NULL, RAYS},
        {"log-style", required_argument, NULL, RAYS},
        {"log-color", required_argument, NULL, RAYS},
        {"verbose", no_argument, NULL, RAYS},
        {"submission-id", required_argument, NULL, ID},
        {"runtime-env-json", required_argument, NULL, ENV},
        {"working-dir", required_argument, NULL, DIR},
        {"metadata-json", required_argument, NULL, META},
        {"no-wait", no_argument, NULL, NO_WAIT},
        {"follow", no_argument, NULL, FOLLOW},
        {"attach", no_argument, NULL, ATTACH},
        {"format", required_argument, NULL, FORMAT},
        {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "+fv", options, NULL)) != -1;) {
        switch (c) {
        case CLUSTER:
            o->cluster = optarg;
            break;
        case ID:
            o->submission_id = optarg;
            break;
        case ENV:
            o->runtime_env = optarg;
            break;
        case ENV_FILE:
            o->env_file = optarg;
            break;
        case CPUS:
        case GPUS:
        case MEMORY:
            o->numbers[c - CPUS] = optarg;
            break;
        case RESOURCES:
            o->resources = optarg;
            break;
        case RAYS: /* known, and of no meaning here */
        case 'v':
            break;
        case DIR:
            o->working_dir = optarg;
            break;
        case META:
            o->metadata = optarg;
            break;
        case NO_WAIT:
            o->no_wait = true;
            break;
        case ATTACH:
            o->attach = true;
            break;
        case 'f':
        case FOLLOW:
            o->follow = true;
            break;
        case FORMAT:
            if (strcmp(optarg, "json") && strcmp(optarg, "table"))
                return -1;
            o->json = !strcmp(optarg, "json");
            break;
        default:
            return -1;
        }
    }
    return 0;
}

static int parse_object(const char *flag, const char *text, struct json **ret, struct raia_error *e)
{
    if (!text) {
        *ret = json_new_object();
        return *ret ? 0 : err_set(e, RAIA_ERR_NOMEM, "%s", flag);
    }
    int r = json_parse(text, strlen(text), NULL, ret, e);
    if (r < 0)
        return err_wrap(e, "%s", flag);
    return json_is(*ret, JSON_OBJECT)
               ? 0
               : err_set(e, RAIA_ERR_INVALID, "%s: expected an object", flag);
}

/* --runtime-env: a file in YAML. */
static int load_env(const char *path, struct json **ret, struct raia_error *e)
{
    struct yaml_docs *docs = NULL;
    int r = yaml_load_file(path, NULL, &docs, e);
    if (r < 0)
        return err_wrap(e, "--runtime-env");
    *ret = yaml_count(docs) ? yaml_take(docs, 0) : json_new_object();
    yaml_free(docs);
    if (*ret && json_is(*ret, JSON_OBJECT))
        return 0;
    return err_set(e, RAIA_ERR_INVALID, "--runtime-env '%s': expected an object", path);
}

/* What the entrypoint takes for itself. */
static int put_needs(const struct options *o, struct json *b, struct raia_error *e)
{
    static const char *const names[] = {"entrypoint_num_cpus", "entrypoint_num_gpus",
                                        "entrypoint_memory"};
    static const char *const flags[] = {"num-cpus", "num-gpus", "memory"};
    struct json *more = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof names / sizeof *names; i++) {
        double v;
        if (o->numbers[i] && (str_to_double(o->numbers[i], &v) < 0 || v < 0))
            return err_set(e, RAIA_ERR_INVALID, "--entrypoint-%s '%s': expected a number", flags[i],
                           o->numbers[i]);
        if (o->numbers[i])
            r = json_set_double(b, names[i], v);
    }
    if (r == 0 && o->resources) {
        r = parse_object("--entrypoint-resources", o->resources, &more, e);
        if (r < 0) {
            json_free(more);
            return r;
        }
        r = json_set(b, "entrypoint_resources", more);
    }
    return r < 0 ? err_set(e, RAIA_ERR_NOMEM, "the submission") : 0;
}

static int submission(const struct options *o, const char *entrypoint, struct json **ret_body,
                      struct raia_error *e)
{
    _cleanup_(json_freep) struct json *b = json_new_object();
    struct json *env = NULL, *meta = NULL;
    int r = b ? json_set_str(b, "entrypoint", entrypoint) : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = o->env_file && !o->runtime_env
                ? load_env(o->env_file, &env, e)
                : parse_object("--runtime-env-json", o->runtime_env, &env, e);
    if (b && r < 0) {
        json_free(env);
        return r;
    }
    if (r == 0 && o->working_dir) {
        _cleanup_(mem_freep) char *path = realpath(o->working_dir, NULL);
        if (!path) {
            json_free(env);
            return err_set(e, RAIA_ERR_NOT_FOUND, "--working-dir '%s': there is no such folder",
                           o->working_dir);
        }
        r = json_set_str(env, "working_dir", path);
    }
    if (r == 0)
        r = json_set(b, "runtime_env", env);
    if (r == 0 && (r = parse_object("--metadata-json", o->metadata, &meta, e)) < 0) {
        json_free(meta);
        return r;
    }
    if (r == 0)
        r = json_set(b, "metadata", meta);
    if (r == 0 && o->submission_id)
        r = json_set_str(b, "submission_id", o->submission_id);
    if (r == 0 && (r = put_needs(o, b, e)) < 0)
        return r;
    if (r < 0)
        return err_set(e, RAIA_ERR_NOMEM, "the submission");
    *ret_body = STEAL(b);
    return 0;
}

static int end(const struct job_result *res)
{
    bool good = !strcmp(res->status, "SUCCEEDED");
    fprintf(stderr, "job %s: %s%s%s\n", res->submission_id, res->status, good ? "" : ": ",
            good ? "" : res->message);
    if (!good && res->python)
        job_hint(stderr, "python");
    return res->exit_status;
}

static int follow(const struct state_cluster *c, const char *id, struct raia_error *e)
{
    struct job_result res = {0};
    cluster_catch_signals();
    int r = job_follow(c, id, 0, stdout, &res, e);
    if (r == -RAIA_ERR_CANCELED) {
        fprintf(stderr, "\ninterrupted; the job goes on: raia job logs --follow %s\n", id);
        return JOB_EXIT_INTERRUPTED;
    }
    return r < 0 ? verb_fail("job", e) : end(&res);
}

static int attach(const struct state_cluster *c, struct json *body, const char *id,
                  struct raia_error *e)
{
    struct job_result res = {0};
    if (!id) {
        err_set(e, RAIA_ERR_INVALID, "--attach needs --submission-id, by which the job is known");
        return verb_fail("job", e);
    }
    int status = job_attach(c, body, id, &res, e);
    if (e->code)
        (void)verb_fail("job", e);
    return *res.status && !e->code ? end(&res) : status;
}

static int submit(const struct state_cluster *c, const struct options *o, int n, char **words,
                  struct raia_error *e)
{
    _cleanup_(json_freep) struct json *body = NULL;
    _cleanup_(mem_freep) char *entrypoint = shell_line(n, words);
    char id[JOB_ID_MAX];
    if (!entrypoint)
        err_set(e, RAIA_ERR_NOMEM, "the command line");
    if (!entrypoint || submission(o, entrypoint, &body, e) < 0)
        return verb_fail("job", e);
    if (o->attach)
        return attach(c, body, o->submission_id, e);
    if (job_submit(c, body, id, e) < 0)
        return verb_fail("job", e);
    fprintf(stderr, "submitted as %s\n", id);
    if (o->no_wait)
        return printf("%s\n", id) < 0;
    return follow(c, id, e);
}

/* One request about one job; prints what comes back. */
static int ask(const struct state_cluster *c, const char *method, const char *id, const char *tail,
               struct json **ret_reply, struct raia_error *e)
{
    _cleanup_(mem_freep) char *name = http_escape(id);
    _cleanup_(mem_freep) char *path = name ? mem_printf("/api/jobs/%s%s", name, tail) : NULL;
    return path ? api_call(c, method, path, NULL, ret_reply, e)
                : err_set(e, RAIA_ERR_NOMEM, "job '%s'", id);
}

static int about_one(const struct state_cluster *c, const struct options *o, const char *what,
                     const char *id, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *reply = NULL;
    if (!strcmp(what, "status")) {
        if (ask(c, "GET", id, "", &reply, e) < 0)
            return verb_fail("job", e);
        return table_print_one(stdout, reply, o->json) < 0;
    }
    if (!strcmp(what, "logs")) {
        if (o->follow)
            return follow(c, id, e);
        if (ask(c, "GET", id, "/logs", &reply, e) < 0)
            return verb_fail("job", e);
        const char *logs = json_str(json_get(reply, "logs"));
        return fputs(logs ? logs : "", stdout) < 0;
    }
    bool stop = !strcmp(what, "stop");
    if (ask(c, stop ? "POST" : "DELETE", id, stop ? "/stop" : "", &reply, e) < 0)
        return verb_fail("job", e);
    bool done = json_true(json_get(reply, stop ? "stopped" : "deleted"));
    fprintf(stderr, "job %s: %s\n", id,
            stop   ? done ? "stopping" : "had ended already"
            : done ? "deleted"
                   : "not deleted");
    return 0;
}

static int list(const struct state_cluster *c, const struct options *o, struct raia_error *e)
{
    static const struct table_column columns[] = {{"SUBMISSION_ID", "submission_id"},
                                                  {"STATUS", "status"},
                                                  {"START", "start_time"},
                                                  {"END", "end_time"},
                                                  {"ENTRYPOINT", "entrypoint"},
                                                  {NULL, NULL}};
    _cleanup_(json_freep) struct json *reply = NULL;
    if (api_call(c, "GET", "/api/jobs/", NULL, &reply, e) < 0)
        return verb_fail("job", e);
    return table_print(stdout, reply, columns, o->json) < 0;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return verb_usage(&verb_job);
    const char *what = argv[1];
    struct options o = {0};
    int wrong = parse(argc - 1, argv + 1, &o), left = argc - 1 - optind;
    char **rest = argv + 1 + optind;
    bool submits = !strcmp(what, "submit"), lists = !strcmp(what, "list");
    bool one = !strcmp(what, "status") || !strcmp(what, "logs") || !strcmp(what, "stop") ||
               !strcmp(what, "delete");
    if (one && left > 1 && !wrong) { /* flags after the id are welcome too */
        optind = 0;
        char *id = rest[0];
        wrong = parse(left, rest, &o);
        left -= optind - 1;
        rest[0] = id;
    }
    if (wrong || !(submits || lists || one) || (submits && left < 1) || (one && left != 1) ||
        (lists && left))
        return verb_usage(&verb_job);
    struct raia_error e = {0};
    struct state_cluster c = {0};
    int status = state_open(o.cluster, &c, &e) < 0 ? verb_fail("job", &e)
                 : submits                         ? submit(&c, &o, left, rest, &e)
                 : lists                           ? list(&c, &o, &e)
                                                   : about_one(&c, &o, what, rest[0], &e);
    state_cluster_done(&c);
    return status;
}

const struct verb verb_job = {
    .name = "job",
    .run = run,
    .usage = "job submit [FLAG ...] [--] COMMAND [ARG ...] | status|logs|stop|delete ID | list",
    .summary = "submit jobs, and look after them",
    .help =
        "submit runs COMMAND on the head, follows its log, and returns its exit status.\n\n"
        "  --submission-id ID         chosen by you, unique\n"
        "  --working-dir DIR          its contents (or a zip file's) are where it runs, on "
        "every node\n"
        "  --runtime-env-json JSON    {\"env_vars\": {...}, \"working_dir\": ...}\n"
        "  --runtime-env FILE         the same, a file in YAML\n"
        "  --entrypoint-num-cpus N, --entrypoint-num-gpus N, --entrypoint-memory BYTES,\n"
        "  --entrypoint-resources JSON   what COMMAND takes for itself\n"
        "  --metadata-json JSON       kept with the job\n"
        "  --no-wait                  print the id and return\n"
        "  --attach                   with --submission-id: wait for the head, submit unless the\n"
        "                             job is there already, follow it; 75: the head went silent\n"
        "  -f, --follow               (logs) as the log grows, until the job ends\n"
        "  --cluster NAME             of this machine; the newest that runs otherwise\n"
        "  --address ADDRESS          of a cluster elsewhere: HOST:PORT of its API, or a URL; the\n"
        "                             token comes from RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH\n"
        "  --format FORMAT            table or json\n",
};
