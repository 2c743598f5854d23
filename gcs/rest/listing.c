/* Listings and summaries: see listing.h. */
#include "rest/listing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define WARNINGS_MAX 10
#define WARNING_MAX  4096 /* bytes of all of them */
#define MIB          1048576.0

int listing_init(struct listing *l, const char *limit, struct raia_error *e)
{
    unsigned long n = LISTING_LIMIT_DEFAULT;
    char *end = NULL;

    *l = (struct listing){0};
    buf_init(&l->warning, WARNING_MAX);
    if (limit) {
        n = strtoul(limit, &end, 10);
        if (*limit < '0' || *limit > '9' || *end || n == 0 || n > LISTING_LIMIT_MAX)
            return err_set(e, RAIA_ERR_INVALID, "limit must be a number from 1 to %d",
                           LISTING_LIMIT_MAX);
    }
    l->limit = n;
    l->rows = json_new_array();
    l->failed = !l->rows;
    return 0;
}

int listing_summarize(struct listing *l, const char *what, struct raia_error *e)
{
    static const char *const all[] = {"tasks", "actors", "objects"};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(what, all[i]) == 0)
            l->summary = all[i];
    if (!l->summary)
        return err_set(e, RAIA_ERR_NOT_FOUND,
                       "no summary of '%.60s'; there are tasks, actors, objects", what);
    l->groups = json_new_object();
    l->failed = l->failed || !l->groups;
    return 0;
}

int listing_filter(struct listing *l, const char *key, const char *predicate, const char *value,
                   struct raia_error *e)
{
    struct listing_filter *f = &l->filters[l->n_filters];

    if (l->n_filters == LISTING_FILTERS_MAX)
        return err_set(e, RAIA_ERR_INVALID, "at most %d filters", LISTING_FILTERS_MAX);
    if (!value)
        return err_set(e, RAIA_ERR_INVALID, "filter_keys '%.60s' without filter_values", key);
    if (predicate && strcmp(predicate, "=") != 0 && strcmp(predicate, "!=") != 0)
        return err_set(e, RAIA_ERR_INVALID, "filter_predicates must be = or !=, not '%.20s'",
                       predicate);
    f->key = mem_strdup(key);
    f->value = mem_strdup(value);
    f->unequal = predicate && predicate[0] == '!';
    l->n_filters++;
    if (!f->key || !f->value)
        return err_set(e, RAIA_ERR_NOMEM, "filters");
    return 0;
}

/* The text of a member, as filters compare it. */
static bool member_equals(const struct json *row, const char *key, const char *value)
{
    const struct json *member = json_get(row, key);
    char number[64];

    if (json_is(member, JSON_STRING))
        return strcasecmp(json_str(member), value) == 0;
    if (json_is(member, JSON_BOOL))
        return strcasecmp(json_true(member) ? "true" : "false", value) == 0;
    if (json_number_text(member, number, sizeof number) == 0)
        return strcmp(number, value) == 0;
    return strcasecmp(value, "none") == 0 || strcasecmp(value, "null") == 0;
}

static bool matches(const struct listing *l, const struct json *row)
{
    for (size_t i = 0; i < l->n_filters; i++)
        if (member_equals(row, l->filters[i].key, l->filters[i].value) == l->filters[i].unequal)
            return false;
    return true;
}

/* ---- summaries ---- */

static void count(struct listing *l, struct json *in, const char *key, int64_t more)
{
    int64_t n = 0;

    (void)json_int(json_get(in, key), &n);
    if (json_set_int(in, key, n + more) < 0)
        l->failed = true;
}

/* The object of that name in another, made if need be. NULL: out of memory. */
static struct json *child(struct listing *l, struct json *in, const char *key)
{
    struct json *o = json_get(in, key);

    if (!o) {
        o = json_new_object();
        if (json_set(in, key, o) < 0)
            o = NULL;
    }
    if (!o)
        l->failed = true;
    return o;
}

static const char *text_of(const struct json *row, const char *key, const char *none)
{
    const char *text = json_str(json_get(row, key));

    return text && *text ? text : none;
}

/* The group of that name; what is beyond the limit is one group. */
static struct json *group(struct listing *l, const char *name)
{
    if (!json_get(l->groups, name)) {
        if (l->n_groups >= LISTING_GROUPS_MAX)
            name = "(others)";
        l->n_groups += !json_get(l->groups, name);
    }
    return child(l, l->groups, name);
}

static void sum_task(struct listing *l, const struct json *row)
{
    static const char *const types[] = {"NORMAL_TASK", "ACTOR_TASK", "ACTOR_CREATION_TASK"};
    const char *name = text_of(row, "func_or_class_name", "?"), *type = text_of(row, "type", "?");
    struct json *g = group(l, name), *states = g ? child(l, g, "state_counts") : NULL;

    if (!states)
        return;
    for (size_t i = 0; i < 3; i++)
        l->task_counts[i] += strcmp(type, types[i]) == 0;
    if (json_set_str(g, "func_or_class_name", name) < 0 || json_set_str(g, "type", type) < 0)
        l->failed = true;
    count(l, states, text_of(row, "state", "NIL"), 1);
}

static void sum_actor(struct listing *l, const struct json *row)
{
    const char *name = text_of(row, "class_name", "?");
    struct json *g = group(l, name), *states = g ? child(l, g, "state_counts") : NULL;

    if (!states)
        return;
    if (json_set_str(g, "class_name", name) < 0)
        l->failed = true;
    count(l, states, text_of(row, "state", "NIL"), 1);
}

/* Ray sums objects up by the place that made them; here that is not known. */
static void sum_object(struct listing *l, const struct json *row)
{
    struct json *g = group(l, "disabled"), *states = g ? child(l, g, "task_state_counts") : NULL;
    struct json *kinds = g ? child(l, g, "ref_type_counts") : NULL;
    int64_t size = 0;

    if (!states || !kinds)
        return;
    if (json_int(json_get(row, "object_size"), &size) == 0 && size > 0)
        l->bytes += (uint64_t)size;
    count(l, g, "total_objects", 1);
    if (json_set_double(g, "total_size_mb", (double)l->bytes / MIB) < 0)
        l->failed = true;
    count(l, states, text_of(row, "task_status", "NIL"), 1);
    count(l, kinds, text_of(row, "reference_type", "UNKNOWN_STATUS"), 1);
}

static void sum(struct listing *l, const struct json *row)
{
    if (l->summary[0] == 't')
        sum_task(l, row);
    else if (l->summary[0] == 'a')
        sum_actor(l, row);
    else
        sum_object(l, row);
}

/* ---- rows ---- */

void listing_row(struct listing *l, struct json *row)
{
    l->total++;
    l->seen++;
    if (!row) {
        l->failed = true;
        return;
    }
    if (matches(l, row)) {
        l->matched++;
        if (l->summary) {
            sum(l, row);
        } else if (l->matched <= l->limit) {
            if (json_append(l->rows, row) < 0)
                l->failed = true;
            return;
        }
    }
    json_free(row);
}

void listing_cut(struct listing *l, uint64_t rows)
{
    l->total += rows;
}

void listing_warn(struct listing *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (l->warnings++ >= WARNINGS_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (l->warning.size + strlen(text) + 64 < WARNING_MAX)
        (void)buf_printf(&l->warning, "%s%s", l->warning.size ? " " : "", text);
}

/* ---- the envelope ---- */

/* What a summary says of the whole cluster. */
static struct json *summary(struct listing *l)
{
    struct json *all = json_new_object(), *cluster = json_new_object(), *root = json_new_object();
    const char *by = l->summary[0] == 't'   ? "func_name"
                     : l->summary[0] == 'a' ? "class"
                                            : "callsite";

    (void)json_set(cluster, "summary", STEAL(l->groups));
    if (l->summary[0] == 't') {
        (void)json_set(cluster, "total_tasks", json_new_uint(l->task_counts[0]));
        (void)json_set(cluster, "total_actor_tasks", json_new_uint(l->task_counts[1]));
        (void)json_set(cluster, "total_actor_scheduled", json_new_uint(l->task_counts[2]));
    } else if (l->summary[0] == 'a') {
        (void)json_set(cluster, "total_actors", json_new_uint(l->matched));
    } else {
        (void)json_set(cluster, "total_objects", json_new_uint(l->matched));
        (void)json_set_double(cluster, "total_size_mb", (double)l->bytes / MIB);
        (void)json_set_bool(cluster, "callsite_enabled", false);
    }
    (void)json_set_str(cluster, "summary_by", by);
    (void)json_set(all, "cluster", cluster);
    if (json_set(root, "node_id_to_summary", all) < 0) {
        json_free(root);
        return NULL;
    }
    return root;
}

struct json *listing_done(struct listing *l)
{
    struct json *root, *data, *inner;

    if (l->warnings > WARNINGS_MAX)
        (void)buf_printf(&l->warning, " And %u more.", l->warnings - WARNINGS_MAX);
    if (l->failed || l->warning.err)
        return NULL;
    root = json_new_object();
    data = json_new_object();
    inner = json_new_object();
    (void)json_set(inner, "total", json_new_uint(l->total));
    (void)json_set(inner, "num_after_truncation", json_new_uint(l->seen));
    (void)json_set(inner, "num_filtered", json_new_uint(l->matched));
    (void)json_set(inner, "result", l->summary ? summary(l) : STEAL(l->rows));
    (void)json_set_str(inner, "partial_failure_warning", buf_cstr(&l->warning));
    (void)json_set(inner, "warnings", json_new_null());
    (void)json_set(data, "result", inner);
    (void)json_set_bool(root, "result", true);
    (void)json_set_str(root, "msg", "");
    if (json_set(root, "data", data) < 0) {
        json_free(root);
        return NULL;
    }
    return root;
}

void listing_fini(struct listing *l)
{
    for (size_t i = 0; i < l->n_filters; i++) {
        mem_free(l->filters[i].key);
        mem_free(l->filters[i].value);
    }
    json_free(l->rows);
    json_free(l->groups);
    buf_fini(&l->warning);
}
