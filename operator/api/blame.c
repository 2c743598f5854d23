/*
 * From a path in what was made back to one in the object's spec.
 */
#include "api/blame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the walk has come, in what was made, in the template, and in the text of the answer. */
struct walk {
    const struct json *made; /* NULL: not known */
    const struct json *ours; /* the same place in the template; NULL: there is none */
    char *buf;               /* the path so far */
    size_t size;             /* bytes of buf */
    size_t len;              /* of them used */
};

static void put(struct walk *w, const char *before, const char *text, const char *after)
{
    int n = snprintf(w->buf + w->len, w->size - w->len, "%s%s%s", before, text, after);

    if (n > 0)
        w->len += (size_t)n < w->size - w->len ? (size_t)n : w->size - w->len - 1;
}

/* What items of a list are told apart by. */
static const char *const keys[] = {"name", "mountPath", "containerPort", "ip", "devicePath"};

/* Are two items of a list the same one. */
static bool is_same(const struct json *a, const struct json *b)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct json *x = json_get(a, keys[i]), *y = json_get(b, keys[i]);

        if (x && y)
            return json_equal(x, y);
    }
    return json_equal(a, b);
}

/* Steps into item `index`; false if the template has no such one. */
static bool step_item(struct walk *w, size_t index)
{
    const struct json *item = json_item(w->made, index), *found = NULL;
    size_t i = 0;
    char text[24];

    if (!w->made) {
        found = json_item(w->ours, index);
        i = index;
    } else if (item) {
        JSON_FOREACH(candidate, w->ours)
        {
            if (is_same(candidate, item)) {
                found = candidate;
                break;
            }
            i++;
        }
    }
    if (!found)
        return false;
    snprintf(text, sizeof text, "%zu", i);
    put(w, "[", text, "]");
    w->made = item;
    w->ours = found;
    return true;
}

/* The next step of a path: "key", "[3]" or "[key]"; what follows it; its text in `to`. */
static const char *next_step(const char *p, char *to, size_t size, bool *ret_bracket)
{
    size_t n;

    *ret_bracket = *p == '[';
    if (*ret_bracket) {
        n = strcspn(++p, "]");
        snprintf(to, size, "%.*s", (int)(n < size ? n : size - 1), p);
        p += n + (p[n] == ']');
    } else {
        n = strcspn(p, ".[");
        snprintf(to, size, "%.*s", (int)(n < size ? n : size - 1), p);
        p += n;
    }
    return p + (*p == '.');
}

/* false: what was asked for has no place in the template. Where only the last step has none (a
 * missing member, say), it is told with the rest of its path. */
static bool walk(struct walk *w, const char *field)
{
    char step[160];
    bool bracket;

    while (*field) {
        char *end;
        unsigned long index;

        field = next_step(field, step, sizeof step, &bracket);
        index = strtoul(step, &end, 10);
        if (bracket && step[0] && !*end && (json_is(w->ours, JSON_ARRAY) || !w->ours)) {
            if (!step_item(w, index))
                return false;
            continue;
        }
        if (bracket) {
            put(w, "[", step, "]");
        } else if (json_get(w->made, step) && !json_get(w->ours, step) &&
                   !json_is(w->ours, JSON_NULL) && w->made) {
            return false; /* the operator's own */
        } else {
            put(w, ".", step, "");
        }
        w->made = json_get(w->made, step);
        w->ours = json_get(w->ours, step);
    }
    return true;
}

/* field without the prefix and its dot; NULL if it lies elsewhere. */
static const char *inside(const char *field, const char *prefix)
{
    size_t n = strlen(prefix);

    if (strncmp(field, prefix, n) != 0 || (n > 0 && field[n] && field[n] != '.'))
        return NULL;
    return field + n + (n > 0 && field[n] == '.');
}

void blame_path(const struct json *template_node, const char *template_path,
                const struct json *made, const char *made_prefix, const char *field, char *buf,
                size_t size)
{
    const char *rest = inside(field, made_prefix);
    struct walk w = {made ? json_at(made, made_prefix) : NULL, template_node, buf, size, 0};

    buf[0] = 0;
    put(&w, "", template_path, "");
    if (rest && walk(&w, rest))
        return;
    w.len = 0;
    put(&w, "", template_path, "");
    if (field[0])
        put(&w, " (", field, ", added by the operator)");
}

/* What is to be blamed, for a cause or a text of the server. */
struct defendant {
    const struct json *template_node; /* what it was made of */
    const char *path;                 /* where that lies */
    const struct json *made;          /* or NULL */
    const char *prefix;               /* of the pod in what was made */
};

static void tell(const struct defendant *d, const char *field, const char *what,
                 struct api_report *ret)
{
    char where[API_PATH_MAX];

    blame_path(d->template_node, d->path, d->made, d->prefix, field, where, sizeof where);
    api_report_add(ret, where, "%s", what);
}

/* Copies what lies between `begin` and the next `end` in the text; NULL: not there. Returns what
 * follows. */
static const char *between(const char *text, const char *begin, const char *end, char *buf,
                           size_t size)
{
    const char *from = strstr(text, begin), *to;

    if (!from)
        return NULL;
    from += strlen(begin);
    to = strstr(from, end);
    if (!to || (size_t)(to - from) >= size)
        return NULL;
    memcpy(buf, from, (size_t)(to - from));
    buf[to - from] = 0;
    return to + strlen(end);
}

/* An object that the server could not even read has no causes; what it could not read is in its
 * text: strict decoding error: unknown field "spec.containers[0].imag", or json: cannot unmarshal
 * string into Go struct field Container.spec.containers.ports of type []v1.ContainerPort. */
static bool blame_text(const struct defendant *d, const char *text, struct api_report *ret)
{
    char field[160], found[32], wanted[64], what[128];
    const char *rest = text, *dot;
    bool any = false;

    while ((rest = between(rest, "unknown field \"", "\"", field, sizeof field))) {
        tell(d, field, "unknown field", ret);
        any = true;
    }
    rest = between(text, "cannot unmarshal ", " into Go struct field ", found, sizeof found);
    if (!rest)
        return any;
    rest = between(rest, "", " of type ", field, sizeof field);
    dot = rest ? strchr(field, '.') : NULL;
    if (!dot)
        return any;
    snprintf(wanted, sizeof wanted, "%.*s", (int)strcspn(rest, " ;,"), rest);
    snprintf(what, sizeof what, "expected %s, found %s", wanted, found);
    tell(d, dot + 1, what, ret);
    return true;
}

static void blame(const struct json *template_node, const char *path, const struct json *made,
                  const char *prefix, const struct kube_error *why, struct api_report *ret)
{
    struct defendant d = {template_node, path, made, prefix};

    for (unsigned i = 0; i < why->n_causes; i++)
        tell(&d, why->causes[i].field, why->causes[i].message, ret);
    if (why->n_causes == 0 && !blame_text(&d, why->base.text, ret))
        api_report_add(ret, path, "%s", why->base.text);
}

void blame_group(const struct ray_group *g, const struct json *pod, const struct kube_error *why,
                 struct api_report *ret)
{
    char path[96];

    snprintf(path, sizeof path, "%s.template", g->path);
    blame(g->pod_template, path, pod, "", why, ret);
}

void blame_submitter(const struct ray_job *j, const struct json *job, const struct kube_error *why,
                     struct api_report *ret)
{
    blame(j->submitter, "spec.submitterPodTemplate", job, "spec.template", why, ret);
}
