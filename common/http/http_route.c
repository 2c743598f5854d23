/*
 * Targets, patterns and the choice of a route. Pure.
 */
#include "http/http_route.h"

#include <string.h>

#include "base/mem.h"

static int hex(char c)
{
    char low = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Decodes in place. NUL and control characters are refused, so that what is decoded can go into
 * texts, logs and file names. */
static int decode(char *s, bool plus)
{
    char *out = s;
    for (; *s; s++) {
        char c = *s;
        if (c == '%') {
            int high = hex(s[1]), low = high < 0 ? -1 : hex(s[2]);
            if (low < 0)
                return -RAIA_ERR_PROTOCOL;
            c = (char)(high << 4 | low);
            s += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return -RAIA_ERR_PROTOCOL;
        *out++ = c;
    }
    *out = '\0';
    return 0;
}

static int parse_query(struct http_target *t, char *q)
{
    for (char *next; q && *q; q = next) {
        next = strchr(q, '&');
        if (next)
            *next++ = '\0';
        if (!*q)
            continue;
        if (t->n_query == HTTP_QUERY_MAX)
            return -RAIA_ERR_LIMIT;
        char *value = strchr(q, '=');
        if (value)
            *value++ = '\0';
        else
            value = q + strlen(q);
        if (decode(q, true) < 0 || decode(value, true) < 0)
            return -RAIA_ERR_PROTOCOL;
        t->names[t->n_query] = q;
        t->values[t->n_query++] = value;
    }
    return 0;
}

/* Splits `work`, a copy of the raw path `raw`, at its slashes. */
static int parse_path(struct http_target *t, const char *raw, char *work)
{
    for (char *s = work + 1, *next; s; s = next) {
        next = strchr(s, '/');
        if (next)
            *next++ = '\0';
        if (!*s && !next)
            break; /* the final slash */
        if (t->n_segments == HTTP_SEGMENTS_MAX)
            return -RAIA_ERR_LIMIT;
        t->rest[t->n_segments] = raw + (s - work);
        if (decode(s, false) < 0 || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
            return -RAIA_ERR_PROTOCOL;
        t->segments[t->n_segments++] = s;
    }
    return 0;
}

int http_target_parse(const char *target, struct http_target *ret_target)
{
    size_t len = strlen(target);
    if (len > HTTP_TARGET_MAX)
        return -RAIA_ERR_LIMIT;
    if (target[0] != '/')
        return -RAIA_ERR_PROTOCOL;
    _cleanup_(http_target_done) struct http_target t = {.text = mem_alloc(2 * (len + 1))};
    if (!t.text)
        return -RAIA_ERR_NOMEM;
    memcpy(t.text, target, len + 1);
    t.text[strcspn(t.text, "#")] = '\0';
    char *query = strchr(t.text, '?'), *work = t.text + len + 1;
    if (query)
        *query++ = '\0';
    t.path = t.text;
    memcpy(work, t.text, strlen(t.text) + 1); /* no longer than the target */
    int r = parse_path(&t, t.text, work);
    if (r == 0)
        r = parse_query(&t, query);
    if (r < 0)
        return r;
    *ret_target = t;
    t.text = NULL;
    return 0;
}

void http_target_done(void *target)
{
    struct http_target *t = target;
    mem_free(STEAL(t->text));
}

const char *http_target_query(const struct http_target *t, const char *name, size_t i)
{
    for (size_t k = 0; k < t->n_query; k++)
        if (strcmp(t->names[k], name) == 0 && i-- == 0)
            return t->values[k];
    return NULL;
}

/* One segment of a pattern. */
struct part {
    const char *text; /* its literal text, or the name */
    size_t len;       /* bytes of it */
    bool is_param;    /* {name} */
    bool is_rest;     /* {name...} */
};

/* The segment at *p ("/..."), moving on. false: the end, or the final slash. */
static bool next_part(const char **p, struct part *part)
{
    const char *s = *p;
    if (s[0] != '/' || !s[1])
        return false;
    size_t n = strcspn(++s, "/");
    *p = s + n;
    *part = (struct part){.text = s, .len = n};
    if (n >= 2 && s[0] == '{' && s[n - 1] == '}') {
        part->is_param = true;
        part->text++;
        part->len -= 2;
        if (part->len > 3 && memcmp(s + n - 4, "...", 3) == 0) {
            part->is_rest = true;
            part->len -= 3;
        }
    }
    return true;
}

int http_pattern_check(const char *pattern)
{
    struct part part;
    size_t params = 0, parts = 0;
    if (!pattern || pattern[0] != '/')
        return -RAIA_ERR_INVALID;
    while (next_part(&pattern, &part)) {
        params += part.is_param;
        if (part.len == 0 || ++parts > HTTP_SEGMENTS_MAX || params > HTTP_PARAMS_MAX ||
            (part.is_rest && *pattern) || (!part.is_param && memchr(part.text, '{', part.len)))
            return -RAIA_ERR_INVALID;
    }
    return 0;
}

bool http_pattern_match(const char *pattern, const struct http_target *t,
                        struct http_params *ret_params)
{
    struct http_params found = {.n = 0};
    struct part part;
    size_t i = 0;
    for (; next_part(&pattern, &part); i++) {
        if (i >= t->n_segments)
            return false;
        if (!part.is_param) {
            if (strlen(t->segments[i]) != part.len ||
                memcmp(t->segments[i], part.text, part.len) != 0)
                return false;
            continue;
        }
        if (!*t->segments[i] || found.n == HTTP_PARAMS_MAX)
            return false;
        found.names[found.n] = part.text;
        found.name_lens[found.n] = part.len;
        found.values[found.n++] = part.is_rest ? t->rest[i] : t->segments[i];
        if (part.is_rest) {
            i = t->n_segments;
            break;
        }
    }
    if (i != t->n_segments)
        return false;
    *ret_params = found;
    return true;
}

const char *http_params_get(const struct http_params *p, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < p->n; i++)
        if (p->name_lens[i] == len && memcmp(p->names[i], name, len) == 0)
            return p->values[i];
    return NULL;
}

/* Does a beat b: at the first segment where they differ in kind, a literal beats {name}, and that
 * beats {name...}. */
static bool more_exact(const char *a, const char *b)
{
    struct part pa, pb;
    while (next_part(&a, &pa) && next_part(&b, &pb)) {
        int ka = pa.is_param + pa.is_rest, kb = pb.is_param + pb.is_rest;
        if (ka != kb)
            return ka < kb;
    }
    return false;
}

const struct http_route *http_route_find(const struct http_route *routes, size_t n,
                                         const char *method, const struct http_target *t,
                                         struct http_params *ret_params, bool *ret_other_method)
{
    const struct http_route *best = NULL;
    bool other = false;
    for (size_t i = 0; i < n; i++) {
        struct http_params found;
        if (!http_pattern_match(routes[i].pattern, t, &found))
            continue;
        bool same = strcmp(routes[i].method, method) == 0 ||
                    (strcmp(method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0);
        if (!same) {
            other = true;
        } else if (!best || more_exact(routes[i].pattern, best->pattern)) {
            best = &routes[i];
            *ret_params = found;
        }
    }
    *ret_other_method = other && !best;
    return best;
}
