/*
 * What surroundings an entrypoint hands on to the drivers that it starts: as text in
 * RAIA_JOB_CONFIG_JSON, which raia_init sends back in its hello.
 */
#include <string.h>

#include "base/err.h"
#include "json/json.h"
#include "raylet/raylet.h"

char *runtime_env_print(const Raia__RuntimeEnv *given, const char *metadata_json)
{
    _cleanup_(json_freep) struct json *root = json_new_object();
    struct json *env = json_new_object(), *vars = json_new_object(), *metadata = NULL;
    size_t len;

    for (size_t i = 0; given && i < given->n_env_vars; i++)
        json_set_str(vars, given->env_vars[i]->name, given->env_vars[i]->value);
    json_set(env, "env_vars", vars);
    if (given && *given->working_dir)
        json_set_str(env, "working_dir", given->working_dir);
    json_set(root, "runtime_env", env);
    if (*metadata_json)
        (void)json_parse(metadata_json, strlen(metadata_json), NULL, &metadata, NULL);
    json_set(root, "metadata", metadata ? metadata : json_new_object());
    return json_print(root, JSON_COMPACT, &len);
}

static bool has(const Raia__RuntimeEnv *env, const char *name)
{
    for (size_t i = 0; env && i < env->n_env_vars; i++) {
        if (!strcmp(env->env_vars[i]->name, name))
            return true;
    }
    return false;
}

/* The variables of both: the driver's own come first, and win. */
static int join(const Raia__RuntimeEnv *own, const struct json *vars, struct runtime_env_sum *sum)
{
    size_t n_own = own ? own->n_env_vars : 0, max = n_own + json_size(vars), n = n_own;

    sum->vars = mem_calloc(max + 1, sizeof *sum->vars);
    sum->list = mem_calloc(max + 1, sizeof *sum->list);
    if (!sum->vars || !sum->list)
        return -RAIA_ERR_NOMEM;
    for (size_t i = 0; i < n_own; i++)
        sum->list[i] = own->env_vars[i];
    JSON_FOREACH(item, vars)
    {
        if (!json_str(item) || has(own, json_key(item)))
            continue;
        raia__env_var__init(&sum->vars[n]);
        sum->vars[n].name = (char *)(uintptr_t)json_key(item);
        sum->vars[n].value = (char *)(uintptr_t)json_str(item);
        sum->list[n] = &sum->vars[n];
        n++;
    }
    sum->env.env_vars = sum->list;
    sum->env.n_env_vars = n;
    return 0;
}

int runtime_env_inherit(const Raia__RuntimeEnv *own, const char *config_json,
                        struct runtime_env_sum *ret_sum, struct raia_error *e)
{
    const char *dir;

    memset(ret_sum, 0, sizeof *ret_sum);
    raia__runtime_env__init(&ret_sum->env);
    if (json_parse(config_json, strlen(config_json), NULL, &ret_sum->root, e) < 0)
        return err_wrap(e, "RAIA_JOB_CONFIG_JSON in the driver's environment");
    if (join(own, json_at(ret_sum->root, "runtime_env.env_vars"), ret_sum) < 0) {
        runtime_env_sum_done(ret_sum);
        return err_set(e, RAIA_ERR_NOMEM, "the runtime environment");
    }
    dir = json_str(json_at(ret_sum->root, "runtime_env.working_dir"));
    if (own && *own->working_dir)
        ret_sum->env.working_dir = own->working_dir;
    else if (dir)
        ret_sum->env.working_dir = (char *)(uintptr_t)dir;
    return 0;
}

void runtime_env_sum_done(struct runtime_env_sum *sum)
{
    json_free(sum->root);
    mem_free(sum->vars);
    mem_free(sum->list);
}
