/*
 * Paths: "spec.groups[0].labels["ray.io/x"]", from path to node and back, and the getters whose
 * errors name them.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "json/json.h"

/* One component of a path. */
struct step {
    const char *start; /* first byte of a key, after the quote if quoted */
    size_t len;        /* bytes of it, escapes included */
    bool quoted;       /* \ escapes the byte after it */
    bool is_index;     /* [N] */
    size_t index;      /* N */
};

/* Reads the component at *p and moves on. 1: there is one; 0: the end; -1: malformed. */
static int next_step(const char **p, struct step *s)
{
    const char *c = *p;
    memset(s, 0, sizeof *s);
    if (!*c)
        return 0;
    if (c[0] == '[' && c[1] == '"') {
        s->start = c += 2;
        s->quoted = true;
        while (*c && *c != '"')
            c += *c == '\\' && c[1] ? 2 : 1;
        s->len = (size_t)(c - s->start);
        if (c[0] != '"' || c[1] != ']')
            return -1;
        c += 2;
    } else if (c[0] == '[') {
        s->is_index = true;
        size_t n = strspn(++c, "0123456789");
        if (n == 0 || n > 9 || c[n] != ']')
            return -1;
        for (; *c != ']'; c++)
            s->index = s->index * 10 + (size_t)(*c - '0');
        c++;
    } else {
        s->start = c;
        s->len = strcspn(c, ".[");
        if (s->len == 0)
            return -1;
        c += s->len;
    }
    if (*c == '.') {
        c++;
        if (!*c || *c == '[')
            return -1;
    } else if (*c && *c != '[') {
        return -1;
    }
    *p = c;
    return 1;
}

static bool key_is(const struct step *s, const char *key)
{
    if (!s->quoted)
        return strncmp(s->start, key, s->len) == 0 && key[s->len] == '\0';
    for (size_t i = 0; i < s->len; i++, key++) {
        if (s->start[i] == '\\' && i + 1 < s->len)
            i++;
        if (*key != s->start[i])
            return false;
    }
    return *key == '\0';
}

static struct json *child_at(const struct json *n, const struct step *s)
{
    if (s->is_index)
        return json_item(n, s->index);
    if (!json_is(n, JSON_OBJECT))
        return NULL;
    JSON_FOREACH(it, n)
    if (key_is(s, json_key(it)))
        return it;
    return NULL;
}

struct json *json_at(const struct json *root, const char *path)
{
    struct step s;
    int more = 0;
    while (root && (more = next_step(&path, &s)) > 0)
        root = child_at(root, &s);
    return more < 0 ? NULL : (struct json *)root;
}

struct json *json_at_nearest(const struct json *root, const char *path)
{
    struct step s;
    const struct json *at = root;
    while (at && next_step(&path, &s) > 0) {
        const struct json *child = child_at(at, &s);
        if (!child)
            break;
        at = child;
    }
    return (struct json *)at;
}

/* -- from node to path ------------------------------------------------------------------------ */

static size_t put_key(char *buf, size_t size, size_t at, const char *key)
{
    char quoted[256];
    const char *sep = at ? "." : "";
    int n;
    if (*key && !strpbrk(key, ".[]\"\\")) {
        n = snprintf(buf + at, size - at, "%s%s", sep, key);
    } else {
        size_t q = 0;
        for (; *key && q + 3 < sizeof quoted; key++) {
            if (*key == '"' || *key == '\\')
                quoted[q++] = '\\';
            quoted[q++] = *key;
        }
        quoted[q] = '\0';
        n = snprintf(buf + at, size - at, "[\"%s\"]", quoted);
    }
    return at + (size_t)n < size ? at + (size_t)n : size - 1;
}

static bool search(const struct json *at, const struct json *node, char *buf, size_t size,
                   size_t len)
{
    buf[len] = '\0';
    if (at == node)
        return true;
    size_t i = 0;
    JSON_FOREACH(it, at)
    {
        size_t l;
        if (json_key(it)) {
            l = put_key(buf, size, len, json_key(it));
        } else {
            int n = snprintf(buf + len, size - len, "[%zu]", i);
            l = len + (size_t)n < size ? len + (size_t)n : size - 1;
        }
        if (search(it, node, buf, size, l))
            return true;
        i++;
    }
    return false;
}

bool json_path_of(const struct json *root, const struct json *node, char *buf, size_t size)
{
    if (!root || !node || size == 0)
        return false;
    bool found = search(root, node, buf, size, 0);
    if (!found)
        buf[0] = '\0';
    return found;
}

/* -- values by path --------------------------------------------------------------------------- */

static const char *shown(const char *path)
{
    return *path ? path : "the top value";
}

static int wrong_type(struct raia_error *e, const char *path, const char *want,
                      const struct json *found)
{
    return err_set(e, RAIA_ERR_INVALID, "%s: expected %s, found %s", shown(path), want,
                   json_type_name(json_type(found)));
}

/* The node at path, or NULL if it or something above it is absent or null. A thing above it that
 * cannot have such a child is an error, so that "spec: hello" is not taken for an empty spec. */
static int find(const struct json *root, const char *path, const struct json **ret_node,
                struct raia_error *e)
{
    const char *p = path;
    struct step s;
    int more;
    while (root) {
        const char *before = p;
        more = next_step(&p, &s);
        if (more < 0)
            return err_set(e, RAIA_ERR_INVALID, "malformed path '%s'", path);
        if (more == 0)
            break;
        enum json_type want = s.is_index ? JSON_ARRAY : JSON_OBJECT;
        if (!json_is(root, want) && !json_is(root, JSON_NULL)) {
            size_t n = (size_t)(before - path);
            while (n > 0 && path[n - 1] == '.')
                n--;
            return err_set(e, RAIA_ERR_INVALID, "%.*s: expected %s, found %s", n ? (int)n : 13,
                           n ? path : "the top value", json_type_name(want),
                           json_type_name(json_type(root)));
        }
        root = child_at(root, &s);
    }
    *ret_node = json_is(root, JSON_NULL) ? NULL : root;
    return 0;
}

static int need(const struct json *root, const char *path, const char *want,
                const struct json **ret_node, struct raia_error *e)
{
    const struct json *n = NULL;
    int r = find(root, path, &n, e);
    if (r < 0)
        return r;
    if (!n)
        return err_set(e, RAIA_ERR_NOT_FOUND, "%s: missing; %s is required", shown(path), want);
    *ret_node = n;
    return 0;
}

static int to_str(const struct json *n, const char *path, const char **ret_v, struct raia_error *e)
{
    if (!json_str(n))
        return wrong_type(e, path, "a string", n);
    *ret_v = json_str(n);
    return 0;
}

static int to_int(const struct json *n, const char *path, int64_t *ret_v, struct raia_error *e)
{
    int r = json_int(n, ret_v);
    if (r == -RAIA_ERR_LIMIT)
        return err_set(e, RAIA_ERR_LIMIT, "%s: the number does not fit 64 bits", shown(path));
    if (r < 0 && json_is(n, JSON_NUMBER))
        return err_set(e, RAIA_ERR_INVALID, "%s: expected an integer, found a fraction",
                       shown(path));
    return r < 0 ? wrong_type(e, path, "an integer", n) : 0;
}

static int to_double(const struct json *n, const char *path, double *ret_v, struct raia_error *e)
{
    return json_double(n, ret_v) < 0 ? wrong_type(e, path, "a number", n) : 0;
}

static int to_bool(const struct json *n, const char *path, bool *ret_v, struct raia_error *e)
{
    return json_bool(n, ret_v) < 0 ? wrong_type(e, path, "a boolean", n) : 0;
}

#define GETTERS(suffix, ctype, want)                                                               \
    int json_get_##suffix(const struct json *root, const char *path, ctype *ret_v,                 \
                          struct raia_error *e)                                                    \
    {                                                                                              \
        const struct json *n = NULL;                                                               \
        int r = need(root, path, want, &n, e);                                                     \
        return r < 0 ? r : to_##suffix(n, path, ret_v, e);                                         \
    }                                                                                              \
    int json_opt_##suffix(const struct json *root, const char *path, ctype def, ctype *ret_v,      \
                          struct raia_error *e)                                                    \
    {                                                                                              \
        const struct json *n = NULL;                                                               \
        int r = find(root, path, &n, e);                                                           \
        if (r < 0)                                                                                 \
            return r;                                                                              \
        if (n)                                                                                     \
            return to_##suffix(n, path, ret_v, e);                                                 \
        *ret_v = def;                                                                              \
        return 0;                                                                                  \
    }
typedef const char *text;
GETTERS(str, text, "a string")
GETTERS(int, int64_t, "an integer")
GETTERS(double, double, "a number")
GETTERS(bool, bool, "a boolean")

int json_get_node(const struct json *root, const char *path, enum json_type t,
                  struct json **ret_node, struct raia_error *e)
{
    const struct json *n = NULL;
    int r = need(root, path, json_type_name(t), &n, e);
    if (r < 0)
        return r;
    if (!json_is(n, t))
        return wrong_type(e, path, json_type_name(t), n);
    *ret_node = (struct json *)n;
    return 0;
}

int json_opt_node(const struct json *root, const char *path, enum json_type t,
                  struct json **ret_node, struct raia_error *e)
{
    const struct json *n = NULL;
    int r = find(root, path, &n, e);
    if (r < 0)
        return r;
    if (n && !json_is(n, t))
        return wrong_type(e, path, json_type_name(t), n);
    *ret_node = (struct json *)n;
    return 0;
}
