/*
 * Lines of a watch into events.
 */
#include "kube/watch_stream.h"

#include <string.h>

#include "base/err.h"

void kube_stream_init(struct kube_stream *s, size_t max, const struct json *keep)
{
    s->max = max;
    s->keep = keep;
    buf_init(&s->line, max);
}

void kube_stream_done(struct kube_stream *s)
{
    buf_fini(&s->line);
}

static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};

static int on_line(const struct kube_stream *s, const char *line, size_t len, kube_event_fn fn,
                   void *arg, struct raia_error *e)
{
    while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (len == 0)
        return 0;
    _cleanup_(json_freep) struct json *root = NULL;
    struct json_limits limits = {
        .max_bytes = len, .repair = true, .skip = "managedFields", .keep = s->keep};
    int r = json_parse(line, len, &limits, &root, e);
    if (r == -RAIA_ERR_NOMEM)
        return r;
    if (r < 0)
        return err_set(e, RAIA_ERR_PROTOCOL, "a line of a watch is no JSON");
    const char *type = json_str(json_get(root, "type"));
    const struct json *object = json_get(root, "object");
    if (!type || !json_is(object, JSON_OBJECT))
        return err_set(e, RAIA_ERR_PROTOCOL, "a line of a watch is no event");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(type, names[i]) == 0)
            return fn(arg, (enum kube_event)i, object, e);
    return err_set(e, RAIA_ERR_PROTOCOL, "an event of a watch is of type '%.40s'", type);
}

static int keep(struct kube_stream *s, const char *data, size_t len, struct raia_error *e)
{
    int r = buf_put_bytes(&s->line, data, len);
    if (r == -RAIA_ERR_LIMIT)
        return err_set(e, RAIA_ERR_LIMIT, "an event of a watch is longer than %zu bytes", s->max);
    return r < 0 ? err_set(e, -r, "a line of a watch: %s", raia_strerror(r)) : 0;
}

int kube_stream_feed(struct kube_stream *s, const char *data, size_t len, kube_event_fn fn,
                     void *arg, struct raia_error *e)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        if (!end)
            return keep(s, data, n, e);
        int r;
        if (s->line.size) {
            r = keep(s, data, n, e);
            if (r == 0)
                r = on_line(s, (const char *)s->line.data, s->line.size, fn, arg, e);
            /* What one large event took is not kept for ever. */
            if (s->line.cap > 65536)
                buf_fini(&s->line);
            else
                buf_reset(&s->line);
        } else if (n > s->max) {
            r = err_set(e, RAIA_ERR_LIMIT, "an event of a watch is longer than %zu bytes", s->max);
        } else {
            r = on_line(s, data, n, fn, arg, e);
        }
        if (r < 0)
            return r;
        data += n + 1;
        len -= n + 1;
    }
    return 0;
}
