/*
 * Reading and showing the settings of a table.
 */
#include "base/settings.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

/* Longest name of a setting. */
#define NAME_MAX_ 64
#define HELP_MAX  (64u << 10)

union value {
    bool b;
    int64_t i; /* also durations, ns */
    uint64_t u;
    double d;
};

static int value_parse(enum setting_type type, const char *text, union value *ret_v)
{
    switch (type) {
    case SETTING_TYPE_BOOL:
        return str_to_bool(text, &ret_v->b);
    case SETTING_TYPE_INT:
        return str_to_i64(text, &ret_v->i);
    case SETTING_TYPE_SIZE:
        return str_to_size(text, &ret_v->u);
    case SETTING_TYPE_DURATION:
        return str_to_duration(text, &ret_v->i);
    case SETTING_TYPE_DOUBLE:
        return str_to_double(text, &ret_v->d);
    case SETTING_TYPE_STRING:
        break;
    }
    return -RAIA_ERR_INTERNAL;
}

static bool value_less(enum setting_type type, const union value *a, const union value *b)
{
    switch (type) {
    case SETTING_TYPE_INT:
    case SETTING_TYPE_DURATION:
        return a->i < b->i;
    case SETTING_TYPE_SIZE:
        return a->u < b->u;
    case SETTING_TYPE_DOUBLE:
        return a->d < b->d;
    case SETTING_TYPE_BOOL:
    case SETTING_TYPE_STRING:
        break;
    }
    return false;
}

static const char *type_name(enum setting_type type)
{
    static const char *const names[] = {
        [SETTING_TYPE_BOOL] = "bool",     [SETTING_TYPE_INT] = "integer",
        [SETTING_TYPE_SIZE] = "size",     [SETTING_TYPE_DURATION] = "duration",
        [SETTING_TYPE_DOUBLE] = "number", [SETTING_TYPE_STRING] = "string",
    };
    return names[type];
}

static const char *type_form(enum setting_type type)
{
    static const char *const forms[] = {
        [SETTING_TYPE_BOOL] = "true or false",
        [SETTING_TYPE_INT] = "a whole number",
        [SETTING_TYPE_SIZE] = "a size such as 64MiB",
        [SETTING_TYPE_DURATION] = "a duration such as 500ms or 2s",
        [SETTING_TYPE_DOUBLE] = "a number",
        [SETTING_TYPE_STRING] = "a text",
    };
    return forms[type];
}

/* "1 to 5", "at least 1", "at most 5", "". */
static const char *range_text(const struct setting *s, char *to, size_t size)
{
    to[0] = '\0';
    if (s->min && s->max)
        snprintf(to, size, "%s to %s", s->min, s->max);
    else if (s->min || s->max)
        snprintf(to, size, "at %s %s", s->min ? "least" : "most", s->min ? s->min : s->max);
    return to;
}

static int set_string(const char *value, char **to, const char *what, struct raia_error *e)
{
    char *copy = mem_strdup(value);

    if (!copy)
        return err_set(e, RAIA_ERR_NOMEM, "%s: out of memory", what);
    mem_free(*to);
    *to = copy;
    return 0;
}

static void store(const struct setting *s, const union value *v, void *to)
{
    char *at = (char *)to + s->offset;

    switch (s->type) {
    case SETTING_TYPE_BOOL:
        memcpy(at, &v->b, sizeof v->b);
        break;
    case SETTING_TYPE_INT:
    case SETTING_TYPE_DURATION:
        memcpy(at, &v->i, sizeof v->i);
        break;
    case SETTING_TYPE_SIZE:
        memcpy(at, &v->u, sizeof v->u);
        break;
    case SETTING_TYPE_DOUBLE:
        memcpy(at, &v->d, sizeof v->d);
        break;
    case SETTING_TYPE_STRING:
        break;
    }
}

static int set(const struct setting *s, void *to, const char *value, const char *what,
               struct raia_error *e)
{
    union value v, bound;
    char range[128];
    bool bad, out = false;

    if (s->type == SETTING_TYPE_STRING)
        return set_string(value, (char **)(void *)((char *)to + s->offset), what, e);
    bad = value_parse(s->type, value, &v) < 0;
    if (!bad && s->min) {
        if (value_parse(s->type, s->min, &bound) < 0)
            return err_set(e, RAIA_ERR_INTERNAL, "the table of settings: bound of '%s'", s->name);
        out = value_less(s->type, &v, &bound);
    }
    if (!bad && !out && s->max) {
        if (value_parse(s->type, s->max, &bound) < 0)
            return err_set(e, RAIA_ERR_INTERNAL, "the table of settings: bound of '%s'", s->name);
        out = value_less(s->type, &bound, &v);
    }
    if (bad || out) {
        range_text(s, range, sizeof range);
        return err_set(e, RAIA_ERR_INVALID, "%s: '%s' is not accepted: want %s%s%s", what, value,
                       type_form(s->type), range[0] ? ", " : "", range);
    }
    store(s, &v, to);
    return 0;
}

static const struct setting *find(const struct settings_table *t, const char *name, size_t size)
{
    for (size_t i = 0; i < t->n; i++)
        if (strlen(t->list[i].name) == size && !memcmp(t->list[i].name, name, size))
            return &t->list[i];
    return NULL;
}

int settings_defaults(const struct settings_table *t, void *to, struct raia_error *e)
{
    for (size_t i = 0; i < t->n; i++) {
        int r = set(&t->list[i], to, t->list[i].def, t->list[i].name, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int settings_set(const struct settings_table *t, void *to, const char *name, const char *value,
                 const char *what, struct raia_error *e)
{
    const struct setting *s = find(t, name, strlen(name));

    if (!s)
        return err_set(e, RAIA_ERR_NOT_FOUND, "%s: there is no such setting", what);
    return set(s, to, value, what, e);
}

/* "object-store" -> "RAIA_OBJECT_STORE". */
static void env_name(const struct setting *s, char to[NAME_MAX_])
{
    size_t n = (size_t)snprintf(to, NAME_MAX_, "RAIA_%s", s->name);

    for (size_t i = 0; i < n && i < NAME_MAX_ - 1; i++)
        to[i] = to[i] == '-' ? '_' : (char)toupper((unsigned char)to[i]);
}

int settings_from_env(const struct settings_table *t, void *to, const char *const *env,
                      struct raia_error *e)
{
    if (!env)
        env = (const char *const *)environ;
    for (size_t i = 0; i < t->n; i++) {
        char name[NAME_MAX_];
        size_t n;

        env_name(&t->list[i], name);
        n = strlen(name);
        for (const char *const *var = env; var && *var; var++) {
            int r;
            if (strncmp(*var, name, n) || (*var)[n] != '=')
                continue;
            r = set(&t->list[i], to, *var + n + 1, name, e);
            if (r < 0)
                return r;
            break;
        }
    }
    return 0;
}

int settings_from_args(const struct settings_table *t, void *to, int argc, char *const *argv,
                       int *ret_rest, bool *ret_help, struct raia_error *e)
{
    int i;
    bool help = false;

    for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *flag = argv[i], *value;
        size_t n = strcspn(flag, "=");
        const struct setting *s;
        char what[NAME_MAX_ + 2];
        int r;

        if (!strcmp(flag, "--")) {
            i++;
            break;
        }
        if (!strcmp(flag, "--help") || !strcmp(flag, "-h")) {
            help = true;
            break;
        }
        s = !strncmp(flag, "--", 2) ? find(t, flag + 2, n - 2) : NULL;
        if (!s)
            return err_set(e, RAIA_ERR_INVALID, "%.*s: there is no such flag (see --help)", (int)n,
                           flag);
        snprintf(what, sizeof what, "--%s", s->name);
        if (flag[n])
            value = flag + n + 1;
        else if (s->type == SETTING_TYPE_BOOL)
            value = "true";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return err_set(e, RAIA_ERR_INVALID, "%s: its value is missing: want %s", what,
                           type_form(s->type));
        r = set(s, to, value, what, e);
        if (r < 0)
            return r;
    }
    *ret_rest = i;
    *ret_help = help;
    return 0;
}

void settings_fini(const struct settings_table *t, void *to)
{
    for (size_t i = 0; to && i < t->n; i++)
        if (t->list[i].type == SETTING_TYPE_STRING) {
            char **at = (char **)(void *)((char *)to + t->list[i].offset);
            mem_free(STEAL(*at));
        }
}

int settings_put_value(const struct setting *s, const void *from, struct buf *b)
{
    const char *at = (const char *)from + s->offset;
    union value v = {.u = 0};
    char text[STR_NUMBER_MAX];
    const char *string;

    switch (s->type) {
    case SETTING_TYPE_BOOL:
        memcpy(&v.b, at, sizeof v.b);
        return buf_put_text(b, v.b ? "true" : "false");
    case SETTING_TYPE_INT:
        memcpy(&v.i, at, sizeof v.i);
        return buf_printf(b, "%" PRId64, v.i);
    case SETTING_TYPE_DURATION:
        memcpy(&v.i, at, sizeof v.i);
        return buf_put_text(b, str_from_duration(v.i, text));
    case SETTING_TYPE_SIZE:
        memcpy(&v.u, at, sizeof v.u);
        return buf_put_text(b, str_from_size(v.u, text));
    case SETTING_TYPE_DOUBLE:
        memcpy(&v.d, at, sizeof v.d);
        return buf_put_text(b, str_from_double(v.d, text));
    case SETTING_TYPE_STRING:
        memcpy(&string, at, sizeof string);
        return buf_put_text(b, string ? string : "");
    }
    return -RAIA_ERR_INTERNAL;
}

int settings_put_help(const struct settings_table *t, struct buf *b)
{
    char range[128], name[NAME_MAX_];

    for (size_t i = 0; i < t->n; i++) {
        const struct setting *s = &t->list[i];
        env_name(s, name);
        range_text(s, range, sizeof range);
        buf_printf(b, "\n  --%s%s%s", s->name, s->type == SETTING_TYPE_BOOL ? "" : " ",
                   s->type == SETTING_TYPE_BOOL ? "" : type_name(s->type));
        buf_printf(b, "\n      %s\n      default %s%s%s%s%s; environment %s\n", s->doc,
                   s->def[0] ? s->def : "(empty)", s->unit ? " " : "", s->unit ? s->unit : "",
                   range[0] ? "; accepted: " : "", range, name);
    }
    return b->err;
}

int settings_put_markdown(const struct settings_table *t, struct buf *b)
{
    char range[128];

    buf_put_text(b, "| flag | type | default | accepted | what it does |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < t->n; i++) {
        const struct setting *s = &t->list[i];
        range_text(s, range, sizeof range);
        buf_printf(b, "| `--%s` | %s%s%s | %s%s%s | %s | ", s->name, type_name(s->type),
                   s->unit ? ", " : "", s->unit ? s->unit : "", s->def[0] ? "`" : "", s->def,
                   s->def[0] ? "`" : "", range);
        for (const char *p = s->doc; *p; p++) {
            if (*p == '|')
                buf_put_u8(b, '\\');
            buf_put_u8(b, (uint8_t)*p);
        }
        buf_put_text(b, " |\n");
    }
    return b->err;
}

int settings_read(const struct settings_table *t, void *to, int argc, char *const *argv,
                  bool *ret_help, struct raia_error *e)
{
    int rest = argc, r = settings_defaults(t, to, e);

    if (r == 0)
        r = settings_from_env(t, to, NULL, e);
    if (r == 0)
        r = settings_from_args(t, to, argc, argv, &rest, ret_help, e);
    if (r == 0 && !*ret_help && rest < argc)
        r = err_set(e, RAIA_ERR_INVALID, "'%s' is not a flag", argv[rest]);
    return r;
}

int settings_print_help(const struct settings_table *t, const char *about)
{
    struct buf b;
    int r;

    buf_init(&b, HELP_MAX);
    r = settings_put_help(t, &b);
    if (r == 0)
        printf("%s\n%.*s", about, (int)b.size, (const char *)b.data);
    buf_fini(&b);
    return r == 0 ? 0 : 1;
}
