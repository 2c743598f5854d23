/*
 * What the daemons are told (command.h).
 */
#include "supervisor/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "supervisor/child.h"

extern char **environ;

#define ARGS_MAX 48

/* Variables that say something of this process or of another cluster, not of the children. */
static const char *const not_inherited[] = {
    "RAIA_ADDRESS",     "RAIA_API_SERVER",      "RAIA_SUBMISSION_ID", "RAIA_RAYLET_SOCKET",
    "RAIA_SPAWN_TOKEN", "RAIA_JOB_CONFIG_JSON", "RAIA_SESSION_DIR",   "RAIA_NODE_NAME",
};

static int env_add(struct command_env *env, char *var)
{
    char **vars = var ? mem_realloc(env->vars, (env->n + 2) * sizeof *vars) : NULL;
    if (!vars) {
        mem_free(var);
        return -RAIA_ERR_NOMEM;
    }
    env->vars = vars;
    vars[env->n++] = var;
    vars[env->n] = NULL;
    return 0;
}

int command_env_set(struct command_env *env, const char *name, const char *value)
{
    size_t len = strlen(name);
    if (len == 0 || strchr(name, '='))
        return -RAIA_ERR_INVALID;
    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->vars[i], name, len) || env->vars[i][len] != '=')
            continue;
        char *var = mem_printf("%s=%s", name, value);
        if (!var)
            return -RAIA_ERR_NOMEM;
        mem_free(env->vars[i]);
        env->vars[i] = var;
        return 0;
    }
    return env_add(env, mem_printf("%s=%s", name, value));
}

void command_env_done(struct command_env *env)
{
    for (size_t i = 0; i < env->n; i++)
        mem_free(env->vars[i]);
    mem_free(env->vars);
    *env = (struct command_env){0};
}

int command_env_copy(const struct command_env *from, struct command_env *ret_env)
{
    _cleanup_(command_env_done) struct command_env to = {0};
    for (size_t i = 0; i < from->n; i++) {
        int r = env_add(&to, mem_strdup(from->vars[i]));
        if (r < 0)
            return r;
    }
    *ret_env = to;
    to = (struct command_env){0};
    return 0;
}

/* "FIRST:REST", or whichever of the two there is. */
static int set_path(struct command_env *env, const char *name, const char *first, const char *rest)
{
    _cleanup_(mem_freep) char *v =
        mem_printf("%s%s%s", first ? first : "", first && rest ? ":" : "", rest ? rest : "");
    return v ? command_env_set(env, name, v) : -RAIA_ERR_NOMEM;
}

/*
 * So that entrypoints find the command line and the programs that lie beside it, and that jobs'
 * programs find libraia where Raia was not installed in the system's own folders. What the user set
 * comes first for libraries.
 */
static int add_paths(struct command_env *env)
{
    char bin[3072];
    const char *path = getenv("PATH"), *libraries = getenv("LD_LIBRARY_PATH");
    if (!child_program_path("", bin, sizeof bin))
        return 0;
    bin[strlen(bin) - 1] = 0;
    int r = set_path(env, "PATH", bin, path && *path ? path : "/usr/bin:/bin");
    /* In a bundle lib/ is the daemons' own: a program of another libc must not find it. */
    _cleanup_(mem_freep) char *user = mem_printf("%s/../lib/user", bin);
    _cleanup_(mem_freep) char *lib =
        user && access(user, F_OK) == 0
            ? mem_strdup(user)
            : mem_printf("%s/../lib:%s/../lib/" RAIA_LIBRARY_FOLDER, bin, bin);
    if (r < 0 || !lib)
        return r < 0 ? r : -RAIA_ERR_NOMEM;
    return set_path(env, "LD_LIBRARY_PATH", libraries && *libraries ? libraries : NULL, lib);
}

int command_env_base(const struct agent_config *c, struct command_env *ret_env,
                     struct raia_error *e)
{
    _cleanup_(command_env_done) struct command_env to = {0};
    int r = 0;
    for (char **v = environ; r == 0 && *v; v++) {
        bool skip = false;
        for (size_t i = 0; i < sizeof not_inherited / sizeof *not_inherited; i++) {
            size_t len = strlen(not_inherited[i]);
            skip |= !strncmp(*v, not_inherited[i], len) && (*v)[len] == '=';
        }
        if (!skip)
            r = env_add(&to, mem_strdup(*v));
    }
    if (r == 0)
        r = command_env_set(&to, "RAIA_SESSION_DIR", c->session_dir);
    if (r == 0)
        r = command_env_set(&to, "RAIA_NODE_NAME", c->node_name);
    if (r == 0)
        r = add_paths(&to);
    if (r < 0)
        return err_set(e, -r, "the environment of the node's processes");
    *ret_env = to;
    to = (struct command_env){0};
    return 0;
}

int command_read_gcs_ports(const struct agent_config *c, pid_t pid, struct gcs_ports *ret_ports)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/gcs.json", c->session_dir);
    _cleanup_(json_freep) struct json *root = NULL;
    int64_t of = 0, port = 0, dashboard = 0;
    int r = path ? json_load(path, NULL, &root, NULL) : -RAIA_ERR_NOMEM;
    if (r < 0)
        return r;
    (void)json_opt_int(root, "pid", 0, &of, NULL);
    (void)json_opt_int(root, "port", 0, &port, NULL);
    (void)json_opt_int(root, "dashboard_port", 0, &dashboard, NULL);
    if (of != pid || port <= 0 || port > 65535 || dashboard < 0 || dashboard > 65535)
        return -RAIA_ERR_NOT_FOUND;
    *ret_ports = (struct gcs_ports){.port = (int)port, .dashboard_port = (int)dashboard};
    return 0;
}

/* A command line under construction; the first failure sticks. */
struct args {
    char *v[ARGS_MAX]; /* owned; NULL at the end */
    size_t n;          /* without the end */
    int r;             /* 0 or the failure */
};

static void args_done(struct args *a)
{
    for (size_t i = 0; i < a->n; i++)
        mem_free(a->v[i]);
}

static void put(struct args *a, char *word)
{
    if (a->r == 0 && word && a->n + 1 < ARGS_MAX) {
        a->v[a->n++] = word;
        return;
    }
    mem_free(word);
    if (a->r == 0)
        a->r = -RAIA_ERR_NOMEM;
}

static void put_option(struct args *a, const char *name, const char *value)
{
    if (value && *value)
        put(a, mem_printf("--%s=%s", name, value));
}

static int start(const struct agent_config *c, struct args *a, const struct command_env *env,
                 const char *log, int fd, pid_t *ret_pid, struct raia_error *e)
{
    _cleanup_(mem_freep) char *out = mem_printf("%s/logs/%s", c->session_dir, log);
    if (a->r < 0 || !out)
        return err_set(e, RAIA_ERR_NOMEM, "the command line of a daemon");
    struct child_spec s = {.argv = a->v,
                           .env = env->vars,
                           .cwd = c->session_dir,
                           .stdout_path = out,
                           .keep_output = c->log_stderr,
                           .fd3 = fd};
    if (c->log_stderr)
        put(a, mem_strdup("--log-stderr"));
    if (a->r < 0)
        return err_set(e, RAIA_ERR_NOMEM, "the command line of a daemon");
    return child_start(&s, ret_pid, e);
}

static char *program(const char *name)
{
    char path[4096];
    return child_program_path(name, path, sizeof path) ? mem_strdup(path) : NULL;
}

/* All addresses: none that could be called. */
static bool is_any(const char *host)
{
    return !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
}

int command_start_gcs(const struct agent_config *c, const struct command_env *env,
                      const struct gcs_ports *ports, pid_t *ret_pid, struct raia_error *e)
{
    _cleanup_(args_done) struct args a = {0};
    put(&a, program("raia-gcs"));
    put_option(&a, "session-dir", c->session_dir);
    put_option(&a, "host", c->node_ip);
    put(&a, mem_printf("--port=%d", ports->port ? ports->port : (int)c->port));
    put_option(&a, "dashboard-host", c->dashboard_host);
    put(&a, mem_printf("--dashboard-port=%d",
                       ports->dashboard_port ? ports->dashboard_port : (int)c->dashboard_port));
    put_option(&a, "storage", c->storage);
    put_option(&a, "tls-dir", c->tls_dir);
    put_option(&a, "token-file", c->token_file);
    put_option(&a, "log-level", c->log_level);
    return start(c, &a, env, "gcs.out", -1, ret_pid, e);
}

int command_start_raylet(const struct agent_config *c, const struct command_env *env,
                         const struct gcs_ports *ports, int fd, pid_t *ret_pid,
                         struct raia_error *e)
{
    _cleanup_(args_done) struct args a = {0};
    put(&a, program("raia-raylet"));
    put_option(&a, "node-name", c->node_name);
    put_option(&a, "session-dir", c->session_dir);
    put_option(&a, "node-ip", c->node_ip);
    if (c->head)
        put(&a,
            mem_printf(strchr(c->node_ip, ':') ? "--gcs-address=[%s]:%d" : "--gcs-address=%s:%d",
                       c->node_ip, ports->port));
    else
        put_option(&a, "gcs-address", c->gcs_address);
    if (c->head)
        put(&a, mem_strdup("--head"));
    if (ports->dashboard_port)
        put(&a, mem_printf("--api-server=http://%s:%d",
                           is_any(c->dashboard_host) ? c->node_ip : c->dashboard_host,
                           ports->dashboard_port));
    if (c->metrics_port)
        put(&a, mem_printf("--metrics-port=%d", (int)c->metrics_port));
    put(&a, mem_strdup("--supervisor-fd=3"));
    if (c->num_cpus >= 0)
        put(&a, mem_printf("--num-cpus=%g", c->num_cpus));
    if (c->memory > 0)
        put(&a, mem_printf("--memory=%llu", (unsigned long long)c->memory));
    if (c->object_store_memory > 0)
        put(&a,
            mem_printf("--object-store-memory=%llu", (unsigned long long)c->object_store_memory));
    put_option(&a, "resources", c->resources);
    put_option(&a, "labels", c->labels);
    put_option(&a, "tls-dir", c->tls_dir);
    put_option(&a, "log-level", c->log_level);
    return start(c, &a, env, "raylet.out", fd, ret_pid, e);
}
