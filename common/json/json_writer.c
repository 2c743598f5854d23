/*
 * The writer: JSON text piece by piece, and the printing of trees on top of it.
 */
#include "json/json_writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_node.h"

#define FLUSH_BYTES ((size_t)16 << 10)

void json_writer_init(struct json_writer *w, enum json_style style, size_t max_bytes)
{
    *w = (struct json_writer){.style = style, .max_bytes = max_bytes};
}

void json_writer_stream(struct json_writer *w, json_sink sink, void *arg)
{
    w->sink = sink;
    w->sink_arg = arg;
}

void json_writer_done(void *p)
{
    struct json_writer *w = p;
    mem_free(STEAL(w->buf));
    w->len = w->cap = 0;
    if (!w->error)
        w->error = -RAIA_ERR_STATE;
}

int json_writer_error(const struct json_writer *w)
{
    return w->error;
}

static void fail(struct json_writer *w, int code)
{
    if (!w->error)
        w->error = -code;
}

static void flush(struct json_writer *w)
{
    if (w->error || w->len == 0)
        return;
    int r = w->sink(w->sink_arg, w->buf, w->len);
    if (r < 0)
        w->error = r;
    w->total += w->len;
    w->len = 0;
}

/* Appends bytes; one more is always kept for the end mark. */
static void put(struct json_writer *w, const char *s, size_t n)
{
    if (w->error)
        return;
    if (n > w->max_bytes || w->total + w->len > w->max_bytes - n) {
        fail(w, RAIA_ERR_LIMIT);
        return;
    }
    if (w->len + n + 1 > w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 256;
        while (cap < w->len + n + 1)
            cap *= 2;
        char *p = mem_realloc(w->buf, cap);
        if (!p) {
            fail(w, RAIA_ERR_NOMEM);
            return;
        }
        w->buf = p;
        w->cap = cap;
    }
    memcpy(w->buf + w->len, s, n);
    w->len += n;
    if (w->sink && w->len >= FLUSH_BYTES)
        flush(w);
}

static void new_line(struct json_writer *w, unsigned level)
{
    static const char spaces[] = "                                ";
    put(w, "\n", 1);
    for (unsigned n = level * 2; n > 0;) {
        unsigned part = n < sizeof spaces - 1 ? n : (unsigned)(sizeof spaces - 1);
        put(w, spaces, part);
        n -= part;
    }
}

static uint64_t top_bit(const struct json_writer *w)
{
    return w->depth ? UINT64_C(1) << (w->depth - 1) : 0;
}

/* What stands before a child of the innermost array or object. */
static void separate(struct json_writer *w)
{
    if (w->not_empty & top_bit(w))
        put(w, ",", 1);
    w->not_empty |= top_bit(w);
    if (w->style == JSON_PRETTY && w->depth)
        new_line(w, w->depth);
}

/* Is a value due here; writes what stands before it. */
static bool begin_value(struct json_writer *w)
{
    if (w->error)
        return false;
    if (w->complete || ((w->is_object & top_bit(w)) && !w->after_key)) {
        fail(w, RAIA_ERR_STATE);
        return false;
    }
    if (!w->after_key)
        separate(w);
    w->after_key = false;
    return !w->error;
}

static void end_value(struct json_writer *w)
{
    if (w->depth == 0)
        w->complete = true;
}

static void put_value(struct json_writer *w, const char *s, size_t n)
{
    if (!begin_value(w))
        return;
    put(w, s, n);
    end_value(w);
}

static void open_level(struct json_writer *w, bool object)
{
    if (!begin_value(w))
        return;
    if (w->depth == JSON_DEPTH_MAX) {
        fail(w, RAIA_ERR_LIMIT);
        return;
    }
    put(w, object ? "{" : "[", 1);
    w->depth++;
    w->not_empty &= ~top_bit(w);
    w->is_object &= ~top_bit(w);
    if (object)
        w->is_object |= top_bit(w);
}

void jw_object(struct json_writer *w)
{
    open_level(w, true);
}

void jw_array(struct json_writer *w)
{
    open_level(w, false);
}

void jw_end(struct json_writer *w)
{
    if (w->error)
        return;
    if (w->depth == 0 || w->after_key) {
        fail(w, RAIA_ERR_STATE);
        return;
    }
    bool object = w->is_object & top_bit(w);
    if (w->style == JSON_PRETTY && (w->not_empty & top_bit(w)))
        new_line(w, w->depth - 1);
    put(w, object ? "}" : "]", 1);
    w->depth--;
    end_value(w);
}

static void put_string(struct json_writer *w, const char *v, size_t len)
{
    static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const unsigned char *s = (const unsigned char *)v, *end = s + len, *from = s;
    put(w, "\"", 1);
    while (s < end) {
        if (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\') {
            s++;
            continue;
        }
        size_t n = json_utf8__(s, end);
        if (n > 1 || (n == 1 && *s >= 0x20 && *s != '"' && *s != '\\')) {
            s += n;
            continue;
        }
        put(w, (const char *)from, (size_t)(s - from));
        char esc[8] = "\xef\xbf\xbd"; /* U+FFFD stands for a byte that is not UTF-8 */
        const char *p = n && *s ? strchr(special, *s) : NULL;
        if (p)
            snprintf(esc, sizeof esc, "\\%c", letter[p - special]);
        else if (n)
            snprintf(esc, sizeof esc, "\\u%04x", *s);
        put(w, esc, strlen(esc));
        from = ++s;
    }
    put(w, (const char *)from, (size_t)(s - from));
    put(w, "\"", 1);
}

void jw_key(struct json_writer *w, const char *key)
{
    if (w->error)
        return;
    if (!key || !(w->is_object & top_bit(w)) || w->after_key) {
        fail(w, RAIA_ERR_STATE);
        return;
    }
    separate(w);
    put_string(w, key, strlen(key));
    put(w, ": ", w->style == JSON_PRETTY ? 2 : 1);
    w->after_key = true;
}

void jw_strn(struct json_writer *w, const char *v, size_t len)
{
    if (!begin_value(w))
        return;
    put_string(w, v, len);
    end_value(w);
}

void jw_str(struct json_writer *w, const char *v)
{
    if (v)
        jw_strn(w, v, strlen(v));
    else
        jw_null(w);
}

void jw_int(struct json_writer *w, int64_t v)
{
    char buf[24];
    int n = snprintf(buf, sizeof buf, "%" PRId64, v);
    put_value(w, buf, (size_t)n);
}

void jw_uint(struct json_writer *w, uint64_t v)
{
    char buf[24];
    int n = snprintf(buf, sizeof buf, "%" PRIu64, v);
    put_value(w, buf, (size_t)n);
}

void jw_double(struct json_writer *w, double v)
{
    if (!isfinite(v)) {
        jw_null(w);
        return;
    }
    char buf[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    put_value(w, buf, strlen(buf));
}

void jw_bool(struct json_writer *w, bool v)
{
    put_value(w, v ? "true" : "false", v ? 4 : 5);
}

void jw_null(struct json_writer *w)
{
    put_value(w, "null", 4);
}

void jw_tree(struct json_writer *w, const struct json *n)
{
    const cJSON *c = json_c__(n);
    switch (json_type(n)) {
    case JSON_NULL:
        jw_null(w);
        return;
    case JSON_BOOL:
        jw_bool(w, json_true(n));
        return;
    case JSON_NUMBER:
        if ((c->type & 0xff) == cJSON_Number)
            jw_int(w, c->valueint);
        else
            put_value(w, c->valuestring, strlen(c->valuestring));
        return;
    case JSON_STRING:
        jw_str(w, json_str(n));
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    open_level(w, json_type(n) == JSON_OBJECT);
    JSON_FOREACH(it, n)
    {
        if (w->error)
            return;
        if (json_type(n) == JSON_OBJECT)
            jw_key(w, json_key(it));
        jw_tree(w, it);
    }
    jw_end(w);
}

void jw_kstr(struct json_writer *w, const char *key, const char *v)
{
    jw_key(w, key);
    jw_str(w, v);
}

void jw_kint(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

void jw_kdouble(struct json_writer *w, const char *key, double v)
{
    jw_key(w, key);
    jw_double(w, v);
}

void jw_kbool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

int json_writer_flush(struct json_writer *w)
{
    if (!w->error && !w->complete)
        fail(w, RAIA_ERR_STATE);
    if (w->sink)
        flush(w);
    return w->error;
}

char *json_writer_take(struct json_writer *w, size_t *ret_len)
{
    if (!w->error && (!w->complete || w->sink))
        fail(w, RAIA_ERR_STATE);
    if (w->error)
        return NULL;
    w->buf[w->len] = '\0'; /* put() keeps room */
    if (ret_len)
        *ret_len = w->len;
    w->len = w->cap = 0;
    return STEAL(w->buf);
}

char *json_print(const struct json *n, enum json_style style, size_t *ret_len)
{
    _cleanup_(json_writer_done) struct json_writer w;
    json_writer_init(&w, style, SIZE_MAX / 4);
    jw_tree(&w, n);
    return json_writer_take(&w, ret_len);
}
