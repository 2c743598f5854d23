/*
 * Reading `ray start`'s flags (flags.h).
 */
#include "pod/flags.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define IGNORED_MAX 128
#define NAME_MAX_   64

char *pod_unquote(const char *value)
{
    size_t n = strlen(value), to = 0;
    char quote = value[0];
    char *out = mem_strdup(value);

    if (!out || n < 2 || (quote != '"' && quote != '\'') || value[n - 1] != quote)
        return out;
    for (size_t i = 1; i + 1 < n; i++) {
        if (value[i] == '\\' && quote == '"' && i + 2 < n && strchr("\"\\$`", value[i + 1]))
            i++;
        else if (value[i] == quote) { /* "a""b": not one word in quotes */
            memcpy(out, value, n + 1);
            return out;
        }
        out[to++] = value[i];
    }
    out[to] = '\0';
    return out;
}

static int wrong(struct raia_error *e, const char *name, const char *value, const char *expected)
{
    return err_set(e, RAIA_ERR_INVALID, "--%s '%s': expected %s", name, value, expected);
}

/* ---- one reader for each kind of value */

static int read_text(struct pod_flags *f, char **to, const char *name, const char *value,
                     struct raia_error *e)
{
    char *copy = mem_strdup(value);

    (void)f;
    if (!copy)
        return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    mem_free(*to);
    *to = copy;
    return 0;
}

static int read_port(int64_t *to, const char *name, const char *value, struct raia_error *e)
{
    uint64_t port;

    if (str_to_u64(value, &port) < 0 || port > 65535)
        return wrong(e, name, value, "a port, 0 to 65535");
    *to = (int64_t)port;
    return 0;
}

static int read_number(double *to, const char *name, const char *value, struct raia_error *e)
{
    double v;

    if (str_to_double(value, &v) < 0 || v < 0 || v > 1e9)
        return wrong(e, name, value, "a number of 0 or more");
    *to = v;
    return 0;
}

static int read_bytes(uint64_t *to, const char *name, const char *value, struct raia_error *e)
{
    double v;

    if (str_to_size(value, to) == 0)
        return 0;
    if (str_to_double(value, &v) < 0 || v < 0 || v > 1e18)
        return wrong(e, name, value, "bytes, or a size such as 2Gi");
    *to = (uint64_t)v;
    return 0;
}

static int read_resources(struct pod_flags *f, const char *name, const char *value,
                          struct raia_error *e)
{
    _cleanup_(json_freep) struct json *o = NULL;

    if (json_parse(value, strlen(value), NULL, &o, NULL) < 0 || !json_is(o, JSON_OBJECT))
        return wrong(e, name, value, "a JSON object of name: number");
    JSON_FOREACH(it, o)
    {
        double v;
        if (json_double(it, &v) < 0 || v < 0 || v > 1e12)
            return wrong(e, name, value, "a JSON object of name: number");
        if (json_set_double(f->resources, json_key(it), v) < 0)
            return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    }
    return 0;
}

/* "a=b,c=d" */
static int read_label_list(struct pod_flags *f, const char *name, const char *value,
                           struct raia_error *e)
{
    for (const char *p = value; *p;) {
        size_t n = strcspn(p, ","), k = strcspn(p, "=");
        _cleanup_(mem_freep) char *key = k < n && k ? mem_strndup(p, k) : NULL;
        _cleanup_(mem_freep) char *text = key ? mem_strndup(p + k + 1, n - k - 1) : NULL;
        if (k >= n || !k)
            return wrong(e, name, value, "name=value, separated by commas, or a JSON object");
        if (!text || json_set_str(f->labels, key, text) < 0)
            return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
        p += n + (p[n] == ',');
    }
    return 0;
}

static int read_labels(struct pod_flags *f, const char *name, const char *value,
                       struct raia_error *e)
{
    _cleanup_(json_freep) struct json *o = NULL;

    if (value[0] != '{')
        return read_label_list(f, name, value, e);
    if (json_parse(value, strlen(value), NULL, &o, NULL) < 0 || !json_is(o, JSON_OBJECT))
        return wrong(e, name, value, "a JSON object of name: text");
    JSON_FOREACH(it, o)
    {
        if (!json_str(it))
            return wrong(e, name, value, "a JSON object of name: text");
        if (json_set_str(f->labels, json_key(it), json_str(it)) < 0)
            return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    }
    return 0;
}

/* ---- flags */

/* Flags of Ray without a value: what follows them is the next flag. */
static const char *const switches[] = {
    "head",
    "block",
    "no-monitor",
    "enable-resource-isolation",
    "no-redirect-output",
    "disable-usage-stats",
    "plasma-store-socket",
    "autoscaling",
};

static bool is_switch(const char *name)
{
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (!strcmp(name, switches[i]))
            return true;
    return false;
}

static int ignore(struct pod_flags *f, const char *name, struct raia_error *e)
{
    char **more;

    for (size_t i = 0; i < f->n_ignored; i++)
        if (!strcmp(f->ignored[i], name))
            return 0;
    if (f->n_ignored == IGNORED_MAX)
        return 0;
    more = mem_realloc(f->ignored, (f->n_ignored + 1) * sizeof *more);
    if (!more)
        return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    f->ignored = more;
    more[f->n_ignored] = mem_strdup(name);
    if (!more[f->n_ignored])
        return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    f->n_ignored++;
    return 0;
}

static int read_one(struct pod_flags *f, const char *name, const char *value, struct raia_error *e)
{
    struct {
        const char *name;
        char **to;
    } texts[] = {{"address", &f->address},
                 {"node-ip-address", &f->node_ip},
                 {"node-name", &f->node_name},
                 {"dashboard-host", &f->dashboard_host}};
    struct {
        const char *name;
        int64_t *to;
    } ports[] = {{"port", &f->port},
                 {"dashboard-port", &f->dashboard_port},
                 {"metrics-export-port", &f->metrics_port}};
    double gpus = 0;
    int r;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(name, texts[i].name))
            return read_text(f, texts[i].to, name, value, e);
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
        if (!strcmp(name, ports[i].name))
            return read_port(ports[i].to, name, value, e);
    if (!strcmp(name, "num-cpus"))
        return read_number(&f->num_cpus, name, value, e);
    if (!strcmp(name, "memory"))
        return read_bytes(&f->memory, name, value, e);
    if (!strcmp(name, "object-store-memory"))
        return read_bytes(&f->object_store_memory, name, value, e);
    if (!strcmp(name, "resources"))
        return read_resources(f, name, value, e);
    if (!strcmp(name, "labels"))
        return read_labels(f, name, value, e);
    if (strcmp(name, "num-gpus"))
        return ignore(f, name, e);
    r = read_number(&gpus, name, value, e);
    if (r == 0 && gpus > 0 && json_set_double(f->resources, "GPU", gpus) < 0)
        r = err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    return r;
}

static int read_switch(struct pod_flags *f, const char *name, const char *value,
                       struct raia_error *e)
{
    bool on = true;

    if (value && str_to_bool(value, &on) < 0)
        return wrong(e, name, value, "true or false");
    if (!strcmp(name, "head"))
        f->head = on;
    else if (!strcmp(name, "block"))
        f->block = on;
    else
        return ignore(f, name, e);
    return 0;
}

/* Its name, with '-' for '_'; false: too long. */
static bool flag_name(const char *word, char name[NAME_MAX_])
{
    size_t n = strcspn(word, "=");

    if (n == 0 || n >= NAME_MAX_)
        return false;
    for (size_t i = 0; i < n; i++)
        name[i] = word[i] == '_' ? '-' : word[i];
    name[n] = '\0';
    return true;
}

static int read_flag(struct pod_flags *f, int argc, char *const *argv, int *at,
                     struct raia_error *e)
{
    char name[NAME_MAX_];
    const char *word = argv[*at], *equals = strchr(word, '=');
    _cleanup_(mem_freep) char *value = NULL;

    if (strncmp(word, "--", 2) || !flag_name(word + 2, name))
        return err_set(e, RAIA_ERR_INVALID, "'%.60s': expected a flag of `ray start`, --name=value",
                       word);
    if (equals && !(value = pod_unquote(equals + 1)))
        return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    if (is_switch(name))
        return read_switch(f, name, value, e);
    if (!equals) {
        if (*at + 1 >= argc || !strncmp(argv[*at + 1], "--", 2))
            /* One that we do not know may have none. */
            return read_one(f, name, "", e);
        value = pod_unquote(argv[++*at]);
        if (!value)
            return err_set(e, RAIA_ERR_NOMEM, "--%s", name);
    }
    return read_one(f, name, value, e);
}

int pod_flags_read(struct pod_flags *f, int argc, char *const *argv, struct raia_error *e)
{
    int r = 0;

    f->port = f->dashboard_port = f->metrics_port = -1;
    f->num_cpus = -1;
    f->resources = json_new_object();
    f->labels = json_new_object();
    if (!f->resources || !f->labels)
        return err_set(e, RAIA_ERR_NOMEM, "the command line");
    for (int i = 1; i < argc && r == 0; i++)
        r = read_flag(f, argc, argv, &i, e);
    if (r == 0 && f->head && f->address)
        r = err_set(e, RAIA_ERR_INVALID, "--head and --address: a node is one or the other");
    return r;
}

void pod_flags_done(struct pod_flags *f)
{
    mem_free(f->address);
    mem_free(f->node_ip);
    mem_free(f->node_name);
    mem_free(f->dashboard_host);
    json_free(f->resources);
    json_free(f->labels);
    for (size_t i = 0; i < f->n_ignored; i++)
        mem_free(f->ignored[i]);
    mem_free(f->ignored);
    *f = (struct pod_flags){0};
}
