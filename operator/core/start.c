/* Parameters of `ray start`: see start.h. */
#include "core/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/quantity.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "core/inject.h"

#define TEXT_MAX ((size_t)1 << 20) /* of one parameter, or all of them */

/* -- deriving ---------------------------------------------------------------------------------- */

static int set_missing(struct json *params, const char *key, const char *value)
{
    return json_get(params, key) ? 0 : json_set_str(params, key, value);
}

static int set_number(struct json *params, const char *key, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    return set_missing(params, key, text);
}

static int64_t whole(int64_t milli)
{
    return milli / 1000 + (milli % 1000 > 0);
}

/* One of the container's limits, or requests; 0: none. */
static int64_t amount(const struct ray_group *g, const char *kind, const char *name)
{
    int64_t milli = 0;
    const struct json *of = json_get(json_get(g->container, "resources"), kind);

    return quantity_read(json_get(of, name), &milli) == 0 ? milli : 0;
}

/* What accelerators are called as resources of a node. */
static const char *accelerator(const char *limit)
{
    if (strcmp(limit, "google.com/tpu") == 0)
        return "TPU";
    return strcmp(limit, "aws.amazon.com/neuroncore") == 0 ? "neuron_cores" : NULL;
}

static int from_limits(struct json *params, const struct ray_group *g)
{
    const struct json *limits = json_get(json_get(g->container, "resources"), "limits");
    int64_t cpu = amount(g, "limits", "cpu"), memory = amount(g, "limits", "memory");
    int r = 0;

    if (cpu == 0)
        cpu = amount(g, "requests", "cpu");
    if (cpu > 0)
        r = set_number(params, "num-cpus", whole(cpu));
    if (r == 0 && memory > 0)
        r = set_number(params, "memory", whole(memory));
    const char *gpu = NULL; /* the first by name */
    JSON_FOREACH(limit, limits)
    if (str_ends_with(json_key(limit), "gpu") && (!gpu || strcmp(json_key(limit), gpu) < 0) &&
        amount(g, "limits", json_key(limit)) > 0)
        gpu = json_key(limit);
    if (r == 0 && gpu)
        r = set_number(params, "num-gpus", whole(amount(g, "limits", gpu)));
    JSON_FOREACH(limit, limits)
    {
        int64_t n = whole(amount(g, "limits", json_key(limit)));
        char text[64];
        if (r < 0 || n == 0 || !accelerator(json_key(limit)))
            continue;
        snprintf(text, sizeof text, "'{\"%s\":%lld}'", accelerator(json_key(limit)), (long long)n);
        r = set_missing(params, "resources", text);
    }
    return r;
}

/* The group's `resources`: {"CPU": "4", "memory": "8Gi", "custom": "2"}. */
static int from_resources(struct json *params, const struct ray_group *g)
{
    static const struct {
        const char *name, *param;
    } known[] = {{"CPU", "num-cpus"}, {"GPU", "num-gpus"}, {"memory", "memory"}};
    _cleanup_(json_freep) struct json *custom = json_new_object();
    int r = custom ? 0 : -RAIA_ERR_NOMEM;

    JSON_FOREACH(item, g->resources)
    {
        int64_t milli = 0;
        const char *param = NULL;
        if (quantity_read(item, &milli) < 0)
            continue; /* the check has told it */
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strcasecmp(json_key(item), known[i].name) == 0)
                param = known[i].param;
        if (r == 0)
            r = param ? set_number(params, param, whole(milli))
                      : json_set_double(custom, json_key(item), (double)milli / 1000);
    }
    if (r < 0 || json_size(custom) == 0)
        return r;
    _cleanup_(mem_freep) char *text = json_print(custom, JSON_COMPACT, NULL);
    _cleanup_(mem_freep) char *quoted = text ? mem_printf("'%s'", text) : NULL;
    return quoted ? json_set_str(params, "resources", quoted) : -RAIA_ERR_NOMEM;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(json_key(*(const struct json *const *)a),
                  json_key(*(const struct json *const *)b));
}

/* The members of an object in order of keys; mem_free. */
static const struct json **sorted(const struct json *object, size_t *ret_n)
{
    size_t n = json_size(object), i = 0;
    const struct json **list = mem_calloc(n + 1, sizeof *list);

    if (!list)
        return NULL;
    JSON_FOREACH(item, object)
    list[i++] = item;
    qsort(list, n, sizeof *list, by_key);
    *ret_n = n;
    return list;
}

static int from_labels(struct json *params, const struct ray_group *g)
{
    _cleanup_(buf_fini) struct buf text;
    size_t n = 0;

    buf_init(&text, TEXT_MAX);
    if (json_size(g->labels) == 0)
        return 0;
    _cleanup_(mem_freep) const struct json **list = sorted(g->labels, &n);
    if (!list)
        return -RAIA_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s=%s", i > 0 ? "," : "", json_key(list[i]),
                   json_str(list[i]) ? json_str(list[i]) : "");
    return buf_cstr(&text) ? json_set_str(params, "labels", buf_cstr(&text)) : -RAIA_ERR_NOMEM;
}

int start_params(const struct ray_group *g, const char *gcs_host, struct json **ret_params)
{
    _cleanup_(json_freep) struct json *p =
        json_is(g->params, JSON_OBJECT) ? json_copy(g->params) : json_new_object();
    int r = p ? from_resources(p, g) : -RAIA_ERR_NOMEM;

    if (r == 0)
        r = from_labels(p, g);
    if (r == 0)
        r = set_missing(p, "block", "true");
    if (r == 0 && g->is_head)
        r = set_missing(p, "dashboard-host", "0.0.0.0");
    if (r == 0)
        r = set_number(p, "metrics-export-port", START_METRICS_PORT);
    if (r == 0)
        r = set_number(p, "dashboard-agent-listen-port", 52365);
    if (r == 0 && !g->is_head) {
        _cleanup_(mem_freep) char *address = mem_printf("%s:%d", gcs_host, START_GCS_PORT);
        r = address ? set_missing(p, "address", address) : -RAIA_ERR_NOMEM;
    }
    if (r == 0)
        r = from_limits(p, g);
    if (r == 0)
        *ret_params = STEAL(p);
    return r;
}

int64_t start_port(const struct ray_group *g, const char *param, int64_t def)
{
    const char *text = ray_group_param(g, param);
    int64_t port;

    return text && str_to_i64(text, &port) == 0 && port > 0 && port < 65536 ? port : def;
}

/* -- writing ----------------------------------------------------------------------------------- */

/* "true" and "false" are flags' presence, but for the few that take them as a value. */
static bool is_flag(const char *key, const char *value, bool *ret_on)
{
    if (strcmp(key, "log-color") == 0 || strcmp(key, "include-dashboard") == 0)
        return false;
    *ret_on = strcasecmp(value, "true") == 0;
    return *ret_on || strcasecmp(value, "false") == 0;
}

char *start_line(const struct json *params, bool head)
{
    _cleanup_(buf_fini) struct buf line;
    size_t n = 0;
    _cleanup_(mem_freep) const struct json **list = sorted(params, &n);

    buf_init(&line, TEXT_MAX);
    if (!list)
        return NULL;
    buf_printf(&line, INJECT_RAY " start%s", head ? " --head" : "");
    for (size_t i = 0; i < n; i++) {
        const char *key = json_key(list[i]), *value = json_str(list[i]);
        bool on = false;
        if (!value)
            continue;
        if (!is_flag(key, value, &on))
            buf_printf(&line, " --%s=%s", key, value);
        else if (on)
            buf_printf(&line, " --%s", key);
    }
    return buf_steal(&line, NULL);
}

/* "$NAME" or "${NAME}" at s: writes "$(NAME)". Yields the bytes read; 0: it is something else. */
static size_t variable(const char *s, struct buf *out)
{
    static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    bool braced = s[1] == '{';
    size_t n = strspn(s + 1 + braced, name), len = 1 + (size_t)braced + n + braced;

    if (n == 0 || (s[1 + braced] >= '0' && s[1 + braced] <= '9') || (braced && s[len - 1] != '}'))
        return 0;
    buf_printf(out, "$(%.*s)", (int)n, s + 1 + braced);
    return len;
}

/* One character that means itself: Kubernetes would take "$(" for a variable, and "$$" for "$". */
static void literal(char c, struct buf *out)
{
    if (c == '$')
        buf_put_u8(out, '$');
    buf_put_u8(out, (uint8_t)c);
}

/* What a shell makes of a word. false: more than quotes and variables. */
static bool unquote(const char *s, struct buf *out)
{
    char quote = 0;

    while (*s) {
        if (quote ? *s == quote : *s == '\'' || *s == '"') {
            quote = quote ? 0 : *s;
            s++;
        } else if (quote == '\'') {
            literal(*s++, out);
        } else if (*s == '\\' && s[1]) {
            if (quote && !strchr("$`\"\\\n", s[1]))
                literal('\\', out);
            literal(s[1], out);
            s += 2;
        } else if (*s == '$') {
            size_t n = variable(s, out);
            if (n == 0)
                return false;
            s += n;
        } else if (*s == '`' || (!quote && strchr(" \t\n|&;<>()*?[~#", *s))) {
            return false;
        } else {
            literal(*s++, out);
        }
    }
    return quote == 0;
}

static int add_arg(struct json *args, const char *key, const char *value)
{
    _cleanup_(buf_fini) struct buf arg;
    bool on = false;

    buf_init(&arg, TEXT_MAX);
    if (is_flag(key, value, &on)) {
        if (!on)
            return 0;
        buf_printf(&arg, "--%s", key);
    } else {
        buf_printf(&arg, "--%s=", key);
        if (!unquote(value, &arg))
            return -RAIA_ERR_UNSUPPORTED;
    }
    return buf_cstr(&arg) ? json_append_str(args, buf_cstr(&arg)) : -RAIA_ERR_NOMEM;
}

int start_argv(const struct json *params, bool head, struct json **ret_args)
{
    _cleanup_(json_freep) struct json *args = json_new_array();
    size_t n = 0;
    _cleanup_(mem_freep) const struct json **list = sorted(params, &n);
    int r = list ? 0 : -RAIA_ERR_NOMEM;

    if (r == 0 && head)
        r = json_append_str(args, "--head");
    for (size_t i = 0; i < n && r == 0; i++)
        if (json_str(list[i]) && strcmp(json_key(list[i]), "block") != 0)
            r = add_arg(args, json_key(list[i]), json_str(list[i]));
    if (r == 0)
        *ret_args = STEAL(args);
    return r;
}
