/*
 * Members of an object with their type checked.
 */
#include "api/pick.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* The member, NULL if it is absent or null. */
static const struct json *member(const struct json *o, const char *key)
{
    const struct json *n = json_get(o, key);

    return json_is(n, JSON_NULL) ? NULL : n;
}

static int wrong(const struct json *n, const char *base, const char *key, const char *wanted,
                 struct raia_error *e)
{
    return err_set(e, RAIA_ERR_INVALID, "%s.%s: expected %s, found %s", base, key, wanted,
                   json_type_name(json_type(n)));
}

int pick_node__(const struct json *o, const char *base, const char *key, enum json_type t,
                const struct json **ret_v, struct raia_error *e)
{
    const struct json *n = member(o, key);

    if (!n)
        return 0;
    if (!json_is(n, t))
        return wrong(n, base, key, json_type_name(t), e);
    *ret_v = n;
    return 0;
}

int pick_str__(const struct json *o, const char *base, const char *key, const char **ret_v,
               struct raia_error *e)
{
    const struct json *n = NULL;
    int r = pick_node__(o, base, key, JSON_STRING, &n, e);

    if (n)
        *ret_v = json_str(n);
    return r;
}

int pick_bool__(const struct json *o, const char *base, const char *key, bool *ret_v,
                struct raia_error *e)
{
    const struct json *n = NULL;
    int r = pick_node__(o, base, key, JSON_BOOL, &n, e);

    if (n)
        *ret_v = json_true(n);
    return r;
}

int pick_int__(const struct json *o, const char *base, const char *key, int64_t *ret_v,
               struct raia_error *e)
{
    const struct json *n = member(o, key);
    int64_t v;
    int r;

    if (!n)
        return 0;
    r = json_int(n, &v);
    if (r == -RAIA_ERR_INVALID)
        return wrong(n, base, key, "an integer", e);
    if (r < 0 || v < INT32_MIN || v > INT32_MAX)
        return err_set(e, RAIA_ERR_LIMIT, "%s.%s: expected an integer from %d to %d", base, key,
                       INT32_MIN, INT32_MAX);
    *ret_v = v;
    return 0;
}

int pick_double__(const struct json *o, const char *base, const char *key, double *ret_v,
                  struct raia_error *e)
{
    const struct json *n = NULL;
    int r = pick_node__(o, base, key, JSON_NUMBER, &n, e);

    if (r == 0 && n && json_double(n, ret_v) < 0)
        return err_set(e, RAIA_ERR_LIMIT, "%s.%s: expected a smaller number", base, key);
    return r;
}

int pick_map__(const struct json *o, const char *base, const char *key, const struct json **ret_v,
               struct raia_error *e)
{
    const struct json *n = NULL;
    int r = pick_node__(o, base, key, JSON_OBJECT, &n, e);

    if (r < 0 || !n)
        return r;
    JSON_FOREACH(item, n)
    {
        if (!json_is(item, JSON_STRING))
            return err_set(e, RAIA_ERR_INVALID,
                           "%s.%s[\"%s\"]: expected a string, found %s: put it in quotes", base,
                           key, json_key(item), json_type_name(json_type(item)));
    }
    *ret_v = n;
    return 0;
}

int pick_enum__(const struct json *o, const char *base, const char *key, const char *const *names,
                unsigned *ret_v, struct raia_error *e)
{
    const char *text = NULL;
    char list[160] = "";
    size_t len = 0;
    int r = pick_str__(o, base, key, &text, e);

    if (r < 0 || !text || !text[0])
        return r;
    for (unsigned i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_v = i;
            return 0;
        }
        if (names[i][0] && len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len > 0 ? ", " : "",
                                    names[i]);
    }
    return err_set(e, RAIA_ERR_INVALID, "%s.%s: expected one of %s, found '%s'", base, key, list,
                   text);
}

int pick_meta__(const struct json *tree, struct pick_meta *ret_m, struct raia_error *e)
{
    struct pick_meta m = {.ns = "", .uid = ""};
    const struct json *meta = NULL;
    const char *deletion = NULL;
    int r;

    if (!json_is(tree, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "expected an object, found %s",
                       tree ? json_type_name(json_type(tree)) : "nothing");
    meta = json_get(tree, "metadata");
    r = json_is(meta, JSON_OBJECT) ? 0
                                   : err_set(e, RAIA_ERR_INVALID, "metadata: expected an object");
    if (r == 0)
        r = pick_str__(meta, "metadata", "name", &m.name, e);
    if (r == 0 && !m.name)
        r = err_set(e, RAIA_ERR_INVALID, "metadata.name: expected a name");
    if (r == 0)
        r = pick_str__(meta, "metadata", "namespace", &m.ns, e);
    if (r == 0)
        r = pick_str__(meta, "metadata", "uid", &m.uid, e);
    if (r == 0)
        r = pick_str__(meta, "metadata", "deletionTimestamp", &deletion, e);
    if (r == 0)
        r = pick_map__(meta, "metadata", "labels", &m.labels, e);
    if (r == 0)
        r = pick_map__(meta, "metadata", "annotations", &m.annotations, e);
    if (r < 0)
        return r;
    if (json_int(json_get(meta, "generation"), &m.generation) < 0)
        m.generation = 0;
    m.deleting = deletion != NULL;
    *ret_m = m;
    return 0;
}
