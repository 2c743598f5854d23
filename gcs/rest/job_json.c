/* Ray's job API in JSON: what is asked, and JobDetails. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"
#include "core/submission_table.h"
#include "rest/rest_impl.h"

#define ENV_VARS_MAX 10000

/* ---- JobDetails ---- */

static void set_text(struct json *o, const char *key, const char *text)
{
    if (text && *text)
        (void)json_set_str(o, key, text);
    else
        (void)json_set_null(o, key);
}

void rest_host_of(const char *address, char *buf, size_t size)
{
    const char *colon = strrchr(address, ':');
    int n = (int)(colon ? (size_t)(colon - address) : strlen(address));

    if (address[0] == '[' && n >= 2)
        (void)snprintf(buf, size, "%.*s", n - 2, address + 1);
    else
        (void)snprintf(buf, size, "%.*s", n, address);
}

static struct json *driver_info(struct gcs_core *core, const Raia__Gcs__Job *job)
{
    struct json *o = json_new_object();
    const Raia__Gcs__Node *node =
        job->driver ? gcs_core_find_node(core, job->driver->node_id) : NULL;
    char hex[33], host[256] = "";

    if (node)
        rest_host_of(node->address, host, sizeof host);
    (void)json_set_str(o, "id", rest_hex(job->job_id, hex));
    (void)json_set_str(o, "node_ip_address", host);
    /* Ray's is text. */
    (void)snprintf(hex, sizeof hex, "%d", job->driver_pid);
    (void)json_set_str(o, "pid", hex);
    return o;
}

/* A stored JSON text as a tree; an empty object if it is none. */
static struct json *stored_json(const char *text)
{
    struct json *root = NULL;

    if (!text || !*text || json_parse(text, strlen(text), NULL, &root, NULL) < 0)
        return json_new_object();
    return root;
}

static void set_time(struct json *o, const char *key, int64_t unix_ms)
{
    if (unix_ms)
        (void)json_set_int(o, key, unix_ms);
    else
        (void)json_set_null(o, key);
}

static void set_submission(struct json *o, const Raia__Storage__Submission *s)
{
    (void)json_set_str(o, "submission_id", s->submission_id);
    (void)json_set_str(o, "status", submission_status_name(s->status));
    (void)json_set_str(o, "entrypoint", s->entrypoint);
    set_text(o, "message", s->message);
    set_text(o, "error_type", s->error_type);
    set_time(o, "start_time", s->start_unix_ms);
    set_time(o, "end_time", s->end_unix_ms);
    (void)json_set(o, "metadata", stored_json(s->metadata_json));
    (void)json_set(o, "runtime_env", stored_json(s->runtime_env_json));
    if (s->has_exit)
        (void)json_set_int(o, "driver_exit_code", s->exit_status);
    else
        (void)json_set_null(o, "driver_exit_code");
}

static void set_driver(struct json *o, const Raia__Gcs__Job *job)
{
    (void)json_set_null(o, "submission_id");
    (void)json_set_str(o, "status", job->dead ? "SUCCEEDED" : "RUNNING");
    (void)json_set_str(o, "entrypoint", job->entrypoint);
    (void)json_set_null(o, "message");
    (void)json_set_null(o, "error_type");
    set_time(o, "start_time", job->start_unix_ms);
    set_time(o, "end_time", job->end_unix_ms);
    (void)json_set(o, "metadata", json_new_object());
    (void)json_set(o, "runtime_env", json_new_object());
    (void)json_set_null(o, "driver_exit_code");
}

struct json *rest_job_details(struct gcs_core *core, const Raia__Storage__Submission *s,
                              const Raia__Gcs__Job *job)
{
    struct json *o = json_new_object();
    const Raia__Gcs__Node *node = NULL;
    char hex[33], host[256], url[300];

    (void)json_set_str(o, "type", s ? "SUBMISSION" : "DRIVER");
    set_text(o, "job_id", job ? rest_hex(job->job_id, hex) : NULL);
    if (s)
        set_submission(o, s);
    else
        set_driver(o, job);
    if (job)
        (void)json_set(o, "driver_info", driver_info(core, job));
    else
        (void)json_set_null(o, "driver_info");
    if (s && s->node_id.len)
        node = gcs_core_find_node(core, s->node_id);
    else if (job && job->driver)
        node = gcs_core_find_node(core, job->driver->node_id);
    if (node) {
        rest_host_of(node->address, host, sizeof host);
        (void)snprintf(url, sizeof url, "http://%s", host);
        (void)json_set_str(o, "driver_agent_http_address", url);
        (void)json_set_str(o, "driver_node_id", rest_hex(node->node_id, hex));
    } else {
        (void)json_set_null(o, "driver_agent_http_address");
        (void)json_set_null(o, "driver_node_id");
    }
    return o;
}

struct all_jobs {
    struct gcs_core *core; /* where they are */
    struct json *list;     /* an array */
};

static void add_submission(void *arg, const Raia__Storage__Submission *s)
{
    struct all_jobs *a = arg;

    (void)json_append(a->list,
                      rest_job_details(a->core, s, gcs_core_job_of(a->core, s->submission_id)));
}

static void add_driver(void *arg, const Raia__Gcs__Job *job)
{
    struct all_jobs *a = arg;

    if (!job->submission_id[0] || !gcs_core_find_submission(a->core, job->submission_id))
        (void)json_append(a->list, rest_job_details(a->core, NULL, job));
}

struct json *rest_all_jobs(struct gcs_core *core)
{
    struct all_jobs a = {.core = core, .list = json_new_array()};

    gcs_core_each_submission(core, add_submission, &a);
    gcs_core_each_job(core, add_driver, &a);
    return a.list;
}

/* ---- what is asked ---- */

/* What POST /api/jobs/ may say, and of which type. */
static const struct {
    const char *key;
    enum json_type type;
    enum json_type item; /* of an object's members; JSON_NULL: any */
} fields[] = {
    {"entrypoint", JSON_STRING, JSON_NULL},
    {"submission_id", JSON_STRING, JSON_NULL},
    {"job_id", JSON_STRING, JSON_NULL},
    {"runtime_env", JSON_OBJECT, JSON_NULL},
    {"metadata", JSON_OBJECT, JSON_STRING},
    {"entrypoint_num_cpus", JSON_NUMBER, JSON_NULL},
    {"entrypoint_num_gpus", JSON_NUMBER, JSON_NULL},
    {"entrypoint_memory", JSON_NUMBER, JSON_NULL},
    {"entrypoint_resources", JSON_OBJECT, JSON_NUMBER},
    {"entrypoint_label_selector", JSON_OBJECT, JSON_STRING},
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

static int check_field(const struct json *member, struct raia_error *e)
{
    const char *key = json_key(member);
    size_t i = 0;

    while (i < N_FIELDS && strcmp(fields[i].key, key) != 0)
        i++;
    if (i == N_FIELDS)
        return err_set(e, RAIA_ERR_INVALID,
                       "unknown field '%.100s'; known: entrypoint, submission_id, runtime_env, "
                       "metadata, entrypoint_num_cpus, entrypoint_num_gpus, entrypoint_memory, "
                       "entrypoint_resources, entrypoint_label_selector",
                       key);
    if (json_is(member, JSON_NULL))
        return 0; /* as if it were not there */
    if (!json_is(member, fields[i].type))
        return err_set(e, RAIA_ERR_INVALID, "field '%s' must be %s, but is %s", key,
                       json_type_name(fields[i].type), json_type_name(json_type(member)));
    if (fields[i].item == JSON_NULL)
        return 0;
    JSON_FOREACH(item, member)
    {
        if (!json_is(item, fields[i].item))
            return err_set(e, RAIA_ERR_INVALID, "field '%s': '%.100s' must be %s, but is %s", key,
                           json_key(item), json_type_name(fields[i].item),
                           json_type_name(json_type(item)));
    }
    return 0;
}

static int add_env_vars(const struct json *vars, Raia__RuntimeEnv *env, struct raia_error *e)
{
    size_t n = json_size(vars);

    if (!json_is(vars, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "runtime_env.env_vars must be an object of strings");
    if (n > ENV_VARS_MAX)
        return err_set(e, RAIA_ERR_INVALID, "runtime_env.env_vars has more than %d variables",
                       ENV_VARS_MAX);
    env->env_vars = mem_calloc(n + 1, sizeof *env->env_vars);
    if (!env->env_vars)
        return err_set(e, RAIA_ERR_NOMEM, "runtime_env");
    JSON_FOREACH(item, vars)
    {
        Raia__EnvVar *v;

        if (!json_is(item, JSON_STRING) || !*json_key(item) || strchr(json_key(item), '='))
            return err_set(e, RAIA_ERR_INVALID,
                           "runtime_env.env_vars: '%.100s' must be a name, and its value a string",
                           json_key(item));
        v = mem_alloc(sizeof *v);
        if (!v)
            return err_set(e, RAIA_ERR_NOMEM, "runtime_env");
        raia__env_var__init(v);
        env->env_vars[env->n_env_vars++] = v;
        if (pb_set_str(&v->name, json_key(item)) < 0 || pb_set_str(&v->value, json_str(item)) < 0)
            return err_set(e, RAIA_ERR_NOMEM, "runtime_env");
    }
    return 0;
}

/* Notes what was asked for and will not be done: the job's message and log tell it. */
static int ignore(Raia__RuntimeEnv *env, const char *prefix, const char *key)
{
    _cleanup_(mem_freep) char *all =
        mem_printf("%s%s%s%.100s", env->unsupported, *env->unsupported ? ", " : "", prefix, key);

    return all ? pb_set_str(&env->unsupported, all) : -RAIA_ERR_NOMEM;
}

static int add_runtime_env(const struct json *given, Raia__Storage__Submission *s,
                           struct raia_error *e)
{
    Raia__RuntimeEnv *env = s->runtime_env;
    _cleanup_(mem_freep) char *text = NULL;
    int r = 0;

    JSON_FOREACH(member, given)
    {
        const char *key = json_key(member);

        if (json_is(member, JSON_NULL) || key[0] == '_' || strcmp(key, "config") == 0 ||
            strcmp(key, "excludes") == 0)
            continue; /* Ray's own notes */
        if (strcmp(key, "env_vars") == 0) {
            r = add_env_vars(member, env, e);
        } else if (strcmp(key, "working_dir") == 0) {
            if (!json_is(member, JSON_STRING))
                r = err_set(e, RAIA_ERR_INVALID, "runtime_env.working_dir must be a string");
            else if (pb_set_str(&env->working_dir, json_str(member)) < 0)
                r = err_set(e, RAIA_ERR_NOMEM, "runtime_env");
        } else {
            if (ignore(env, "runtime_env.", key) < 0)
                r = err_set(e, RAIA_ERR_NOMEM, "runtime_env");
        }
        if (r < 0)
            return r;
    }
    text = json_print(given, JSON_COMPACT, NULL);
    if (!text || pb_set_str(&s->runtime_env_json, text) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "runtime_env");
    return 0;
}

#define RESOURCES_MAX 64
#define QUANTITY_MAX  1e12 /* 1/10000 of it still fits where resources are counted */

static int add_resource(Raia__Storage__Submission *s, const char *field, const char *name,
                        double quantity, struct raia_error *e)
{
    Raia__Resource *res;

    if (!(quantity >= 0 && quantity <= QUANTITY_MAX))
        return err_set(e, RAIA_ERR_INVALID, "field '%s': '%.100s' must be from 0 to %g", field,
                       name, QUANTITY_MAX);
    if (quantity == 0)
        return 0;
    if (s->n_resources == RESOURCES_MAX)
        return err_set(e, RAIA_ERR_INVALID, "field '%s': more than %d resources", field,
                       RESOURCES_MAX);
    res = mem_alloc(sizeof *res);
    if (!res)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    raia__resource__init(res);
    s->resources[s->n_resources++] = res;
    res->quantity = (int64_t)llround(quantity * 10000);
    return pb_set_str(&res->name, name) < 0 ? err_set(e, RAIA_ERR_NOMEM, "submit") : 0;
}

/* What the head sets aside for the entrypoint. */
static int add_resources(const struct json *root, Raia__Storage__Submission *s,
                         struct raia_error *e)
{
    static const char *const own[][2] = {{"entrypoint_num_cpus", "CPU"},
                                         {"entrypoint_num_gpus", "GPU"},
                                         {"entrypoint_memory", "memory"}};
    static const char field[] = "entrypoint_resources";
    const struct json *more = json_get(root, field);
    double number;
    int r = 0;

    s->resources = mem_calloc(RESOURCES_MAX, sizeof(Raia__Resource *));
    if (!s->resources)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    for (size_t i = 0; i < sizeof own / sizeof own[0] && r == 0; i++)
        if (json_double(json_get(root, own[i][0]), &number) == 0)
            r = add_resource(s, own[i][0], own[i][1], number, e);
    if (!json_is(more, JSON_OBJECT))
        return r;
    JSON_FOREACH(item, more)
    {
        const char *name = json_key(item);

        for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
            if (strcmp(name, own[i][1]) == 0)
                return err_set(e, RAIA_ERR_INVALID, "field '%s': '%s' has a field of its own, %s",
                               field, name, own[i][0]);
        if (r == 0 && (!*name || strlen(name) > 128))
            r = err_set(e, RAIA_ERR_INVALID, "field '%s': a name must have 1 to 128 bytes", field);
        if (r == 0 && json_double(item, &number) == 0)
            r = add_resource(s, field, name, number, e);
    }
    return r;
}

static int fill(const struct json *root, const char *fresh_id, Raia__Storage__Submission *s,
                struct raia_error *e)
{
    const struct json *metadata = json_get(root, "metadata"), *env = json_get(root, "runtime_env");
    const char *id = json_str(json_get(root, "submission_id"));
    const char *entrypoint = json_str(json_get(root, "entrypoint"));
    _cleanup_(mem_freep) char *text = NULL;
    int r;

    if (!entrypoint)
        return err_set(e, RAIA_ERR_INVALID, "field 'entrypoint' is missing: give a shell command");
    if (!id)
        id = json_str(json_get(root, "job_id"));
    if (json_is(metadata, JSON_OBJECT)) {
        text = json_print(metadata, JSON_COMPACT, NULL);
        if (!text || pb_set_str(&s->metadata_json, text) < 0)
            return err_set(e, RAIA_ERR_NOMEM, "submit");
    }
    if (pb_set_str(&s->submission_id, id ? id : fresh_id) < 0 ||
        pb_set_str(&s->entrypoint, entrypoint) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    s->runtime_env = mem_alloc(sizeof *s->runtime_env);
    if (!s->runtime_env)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    raia__runtime_env__init(s->runtime_env);
    if (json_size(json_get(root, "entrypoint_label_selector")) &&
        ignore(s->runtime_env, "", "entrypoint_label_selector") < 0)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    r = add_resources(root, s, e);
    if (r < 0)
        return r;
    return json_is(env, JSON_OBJECT) ? add_runtime_env(env, s, e) : 0;
}

int rest_parse_submission(const struct json *root, const char *fresh_id,
                          Raia__Storage__Submission **ret, struct raia_error *e)
{
    Raia__Storage__Submission *s;
    int r = 0;

    if (!json_is(root, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "the body must be a JSON object, but is %s",
                       json_type_name(json_type(root)));
    JSON_FOREACH(member, root)
    {
        r = check_field(member, e);
        if (r < 0)
            return r;
    }
    s = mem_alloc(sizeof *s);
    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    raia__storage__submission__init(s);
    r = fill(root, fresh_id, s, e);
    if (r < 0)
        pb_free(&s->base);
    else
        *ret = s;
    return r;
}
