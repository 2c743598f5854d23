/*
 * What raia-agent is told (plan.h).
 */
#include "pod/plan.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"

#define GCS_PORT       6379
#define DASHBOARD_PORT 8265
#define METRICS_PORT   8080

/* The value of a variable; NULL when it is empty or not there. */
static const char *get(char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (; *env; env++)
        if (!strncmp(*env, name, n) && (*env)[n] == '=')
            return (*env)[n + 1] ? *env + n + 1 : NULL;
    return NULL;
}

/* ---- the environment */

/* Kubernetes tells of services in variables: one that is called "raia" makes RAIA_PORT=tcp://...,
 * which is no setting of ours. What every daemon would take as its own is given by flags. */
static bool drop(const char *var)
{
    static const char *const names[] = {
        "RAIA_GCS_ADDRESS=", "RAIA_NODE_IP=", "RAIA_TLS_DIR=", "RAIA_HEAD="};
    const char *value = strchr(var, '=');

    if (strncmp(var, "RAIA_", 5) || !value)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_starts_with(var, names[i]))
            return true;
    return str_starts_with(value, "=tcp://") || str_starts_with(value, "=udp://") ||
           str_starts_with(value, "=sctp://");
}

static int make_env(struct pod_plan *p, char *const *env)
{
    size_t n = 0, to = 0;

    while (env[n])
        n++;
    p->env = mem_calloc(n + 1, sizeof *p->env);
    if (!p->env)
        return -RAIA_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (!drop(env[i]) && !(p->env[to++] = mem_strdup(env[i])))
            return -RAIA_ERR_NOMEM;
    return 0;
}

/* ---- the command line */

static int put(struct pod_plan *p, char *word)
{
    if (!word || p->argc + 1 >= POD_ARGS_MAX) {
        mem_free(word);
        return -RAIA_ERR_NOMEM;
    }
    p->argv[p->argc++] = word;
    return 0;
}

static int put_text(struct pod_plan *p, const char *name, const char *value)
{
    return value && *value ? put(p, mem_printf("--%s=%s", name, value)) : 0;
}

static int put_json(struct pod_plan *p, const char *name, const struct json *o)
{
    _cleanup_(mem_freep) char *text = json_size(o) ? json_print(o, JSON_COMPACT, NULL) : NULL;

    return json_size(o) ? put(p, text ? mem_printf("--%s=%s", name, text) : NULL) : 0;
}

static int put_int(struct pod_plan *p, const char *name, int64_t given, int64_t otherwise)
{
    return put(p, mem_printf("--%s=%lld", name, (long long)(given < 0 ? otherwise : given)));
}

/* Where the GCS is: HOST:PORT. */
static int gcs_address(const struct pod_flags *f, char *const *env, char **ret,
                       struct raia_error *e)
{
    const char *a = f->address ? f->address : get(env, "RAIA_GCS_ADDRESS");
    const char *host = get(env, "FQ_RAY_IP"), *port = get(env, "RAY_PORT");

    if (!a)
        a = get(env, "RAY_ADDRESS");
    if (!a && host)
        *ret = mem_printf("%s:%s", host, port ? port : "6379");
    else if (a && !strchr(a, ':'))
        *ret = mem_printf("%s:%s", a, port ? port : "6379");
    else if (a)
        *ret = mem_strdup(a);
    else
        return err_set(e, RAIA_ERR_INVALID,
                       "a worker must be told where its head is: --address=HOST:6379, or "
                       "RAIA_GCS_ADDRESS in the environment (--head makes a head)");
    return *ret ? 0 : err_set(e, RAIA_ERR_NOMEM, "the head's address");
}

static int put_head(struct pod_plan *p, const struct pod_flags *f, const char *ip)
{
    const char *host = f->dashboard_host ? f->dashboard_host : "0.0.0.0";
    int r = put(p, mem_strdup("--head"));

    if (strchr(ip, ':') && !strcmp(host, "0.0.0.0"))
        host = "::";
    if (r == 0)
        r = put_int(p, "port", f->port, GCS_PORT);
    if (r == 0)
        r = put_text(p, "dashboard-host", host);
    if (r == 0)
        r = put_int(p, "dashboard-port", f->dashboard_port, DASHBOARD_PORT);
    if (r == 0 && !p->open)
        r = put_text(p, "token-file", p->token_file);
    return r;
}

static int put_resources(struct pod_plan *p, const struct pod_flags *f)
{
    char number[STR_NUMBER_MAX];
    int r = 0;

    if (f->num_cpus >= 0)
        r = put_text(p, "num-cpus", str_from_double(f->num_cpus, number));
    if (r == 0 && f->memory)
        r = put(p, mem_printf("--memory=%llu", (unsigned long long)f->memory));
    if (r == 0 && f->object_store_memory)
        r = put(p, mem_printf("--object-store-memory=%llu",
                              (unsigned long long)f->object_store_memory));
    if (r == 0)
        r = put_json(p, "resources", f->resources);
    return r == 0 ? put_json(p, "labels", f->labels) : r;
}

static int make_argv(struct pod_plan *p, const struct pod_flags *f, char *const *env,
                     const struct pod_facts *facts, struct raia_error *e)
{
    const char *name = f->node_name ? f->node_name : get(env, "RAIA_NODE_NAME");
    const char *ip = f->node_ip ? f->node_ip : get(env, "RAIA_NODE_IP");
    _cleanup_(mem_freep) char *gcs = NULL;
    int r = f->head ? 0 : gcs_address(f, env, &gcs, e);

    if (r < 0)
        return r;
    name = name ? name : facts->hostname;
    ip = ip ? ip : facts->ip;
    if (!p->tls_dir && !f->head)
        return err_set(e, RAIA_ERR_INVALID,
                       "RAIA_TLS_DIR is not set: without certificates a node talks to itself only, "
                       "and cannot join %s",
                       gcs);
    if (!p->tls_dir || !ip)
        ip = "127.0.0.1"; /* a head alone */
    r = put(p, mem_strdup(facts->agent));
    if (r == 0)
        r = put_text(p, "node-name", name);
    if (r == 0)
        r = put_text(p, "session-dir", p->session_dir);
    if (r == 0)
        r = put_text(p, "node-ip", ip);
    if (r == 0)
        r = f->head ? put_head(p, f, ip) : put_text(p, "gcs-address", gcs);
    if (r == 0)
        r = put_resources(p, f);
    if (r == 0)
        r = put_text(p, "tls-dir", p->tls_dir);
    if (r == 0)
        r = put_int(p, "metrics-port", f->metrics_port, METRICS_PORT);
    if (r == 0)
        r = put(p, mem_strdup("--log-stderr"));
    return r < 0 ? err_set(e, -r, "the command line of raia-agent") : 0;
}

/* ---- the rest */

static int make_auth(struct pod_plan *p, char *const *env, struct raia_error *e)
{
    const char *mode = get(env, "RAY_AUTH_MODE"), *token = get(env, "RAY_AUTH_TOKEN");

    if (mode && strcmp(mode, "token") && strcmp(mode, "disabled"))
        return err_set(e, RAIA_ERR_INVALID, "RAY_AUTH_MODE '%s': expected token or disabled", mode);
    p->open = mode && !strcmp(mode, "disabled");
    if (p->open || !token)
        return 0;
    if (token[strspn(token,
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=")])
        return err_set(e, RAIA_ERR_INVALID,
                       "RAY_AUTH_TOKEN has characters that cannot stand in a header");
    p->token = mem_strdup(token);
    return p->token ? 0 : err_set(e, RAIA_ERR_NOMEM, "the token");
}

static int make_paths(struct pod_plan *p, const struct pod_flags *f, char *const *env,
                      struct raia_error *e)
{
    const char *dir = get(env, "RAIA_SESSION_DIR"), *tls = get(env, "RAIA_TLS_DIR");
    const char *storage = get(env, "RAIA_STORAGE_PATH");

    if (!dir)
        dir = POD_SESSION_DIR;
    if (dir[0] != '/')
        return err_set(e, RAIA_ERR_INVALID, "RAIA_SESSION_DIR '%s': expected an absolute path",
                       dir);
    if (storage && storage[0] != '/')
        return err_set(e, RAIA_ERR_INVALID, "RAIA_STORAGE_PATH '%s': expected an absolute path",
                       storage);
    p->session_dir = mem_strdup(dir);
    p->token_file = mem_printf("%s/token", dir);
    p->tls_dir = mem_strdup(tls);
    if (f->head && storage)
        p->storage_dir = mem_strndup(storage, (size_t)(strrchr(storage, '/') - storage) + 1);
    if (!p->session_dir || !p->token_file || (tls && !p->tls_dir) ||
        (f->head && storage && !p->storage_dir))
        return err_set(e, RAIA_ERR_NOMEM, "the paths");
    return 0;
}

/* Ray's own label of a node's group. */
static int add_group(const struct pod_flags *f, char *const *env, struct raia_error *e)
{
    const char *group = get(env, "RAY_NODE_TYPE_NAME");

    if (!group || json_get(f->labels, "ray.io/node-group"))
        return 0;
    return json_set_str(f->labels, "ray.io/node-group", group) < 0
               ? err_set(e, RAIA_ERR_NOMEM, "the labels")
               : 0;
}

int pod_plan_make(const struct pod_flags *f, char *const *env, const struct pod_facts *facts,
                  struct pod_plan *ret_p, struct raia_error *e)
{
    struct pod_plan p = {0};
    int r = make_paths(&p, f, env, e);

    if (r == 0)
        r = make_auth(&p, env, e);
    if (r == 0)
        r = add_group(f, env, e);
    if (r == 0)
        r = make_argv(&p, f, env, facts, e);
    if (r == 0 && (r = make_env(&p, env)) < 0)
        err_set(e, -r, "the environment");
    if (r < 0) {
        pod_plan_done(&p);
        return r;
    }
    *ret_p = p;
    return 0;
}

void pod_plan_done(struct pod_plan *p)
{
    mem_free(p->session_dir);
    mem_free(p->token_file);
    if (p->token)
        crypto_wipe(p->token, strlen(p->token));
    mem_free(p->token);
    mem_free(p->tls_dir);
    mem_free(p->storage_dir);
    for (size_t i = 0; i < p->argc; i++)
        mem_free(p->argv[i]);
    for (size_t i = 0; p->env && p->env[i]; i++)
        mem_free(p->env[i]);
    mem_free(p->env);
    *p = (struct pod_plan){0};
}
