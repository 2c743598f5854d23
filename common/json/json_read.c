/*
 * The reader: strict JSON text into a tree.
 *
 * cJSON's own parser is not used: it takes trailing text, control characters and odd numbers,
 * stops strings at \u0000, rounds integers and gives no reason with its errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "json/json_node.h"

/* A text being read. */
struct reader {
    const char *text;        /* all of it */
    const char *end;         /* behind its last byte */
    const char *at;          /* next byte */
    char *scratch;           /* the string being decoded */
    size_t scratch_cap;      /* bytes allocated */
    size_t nodes_left;       /* values that may still come */
    unsigned depth;          /* open arrays and objects */
    unsigned max_depth;      /* most of them */
    bool repair;             /* json_limits.repair */
    const char *skip;        /* of json_limits */
    const struct json *keep; /* json_limits.keep, as far as it is about the value that is read */
    struct raia_error *err;  /* may be NULL */
};

/* What a byte may be: most of a text is plain, and is walked over by looking up just this. */
enum {
    IN_STRING = 1, /* plain inside a string: printable ASCII, but for '"' and '\\' */
    BETWEEN = 2    /* neither a bracket nor a '"' */
};
#define BOTH (IN_STRING | BETWEEN)
static const unsigned char plain[256] = {
    [0 ... 0x1f] = BETWEEN, [' ' ... '!'] = BOTH, ['#' ... 'Z'] = BOTH, ['['] = IN_STRING,
    ['\\'] = BETWEEN,       [']'] = IN_STRING,    ['^' ... 'z'] = BOTH, ['{'] = IN_STRING,
    ['|'] = BOTH,           ['}'] = IN_STRING,    ['~'] = BOTH,         [0x7f ... 0xff] = BETWEEN,
};

static const char *walk(const char *at, const char *end, unsigned char kind)
{
    while (at < end && plain[(unsigned char)*at] & kind)
        at++;
    return at;
}

static int fail_at(struct reader *r, const char *at, int code, const char *what)
{
    unsigned line = 1, column = 1;
    for (const char *c = r->text; c < at; c++) {
        if (*c == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*c & 0xc0) != 0x80) {
            column++;
        }
    }
    return err_set(r->err, code, "%u:%u: %s", line, column, what);
}

static int fail(struct reader *r, const char *what)
{
    return fail_at(r, r->at, RAIA_ERR_PROTOCOL, r->at < r->end ? what : "unexpected end of text");
}

static int no_memory(struct reader *r)
{
    return err_set(r->err, RAIA_ERR_NOMEM, "out of memory while reading JSON");
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static int hex4(const char *s, const char *end, unsigned *ret_v)
{
    unsigned v = 0;
    if (end - s < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)s[i];
        unsigned char low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (unsigned)(c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (unsigned)(low - 'a' + 10);
        else
            return -1;
    }
    *ret_v = v;
    return 0;
}

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Decodes the escape at r->at (a backslash) into out; moves on. */
static int escape(struct reader *r, char *out, size_t *len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *start = r->at++;
    if (r->at >= r->end)
        return fail(r, "");
    const char *simple = *r->at ? strchr(from, *r->at) : NULL;
    if (simple) {
        out[(*len)++] = to[simple - from];
        r->at++;
        return 0;
    }
    unsigned c, low;
    if (*r->at != 'u' || hex4(r->at + 1, r->end, &c) < 0)
        return fail_at(r, start, RAIA_ERR_PROTOCOL, "unknown escape in a string");
    r->at += 5;
    if (c >= 0xd800 && c < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' &&
        hex4(r->at + 2, r->end, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        r->at += 6;
    }
    if (r->repair && (c == 0 || (c >= 0xd800 && c < 0xe000)))
        c = 0xfffd;
    if (c >= 0xd800 && c < 0xe000)
        return fail_at(r, start, RAIA_ERR_PROTOCOL, "half a surrogate pair in a string");
    if (c == 0)
        return fail_at(r, start, RAIA_ERR_PROTOCOL, "\\u0000 in a string is not supported");
    *len += put_utf8(out + *len, c);
    return 0;
}

static int scratch_room(struct reader *r, size_t need)
{
    if (need <= r->scratch_cap)
        return 0;
    size_t cap = need < 256 ? 256 : need;
    char *p = mem_realloc(r->scratch, cap);
    if (!p)
        return no_memory(r);
    r->scratch = p;
    r->scratch_cap = cap;
    return 0;
}

/* Decodes the string at r->at (a quote) into r->scratch. */
static int read_string(struct reader *r)
{
    const char *open = r->at++;
    const char *close = walk(r->at, r->end, IN_STRING);
    bool simple = close < r->end && *close == '"';
    while (close < r->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= r->end)
        return fail_at(r, open, RAIA_ERR_PROTOCOL, "a string that does not end");
    size_t len = simple ? (size_t)(close - r->at) : 0;
    int e = scratch_room(r, (size_t)(close - r->at) + 1); /* decoding never grows */
    if (e < 0)
        return e;
    if (simple) {
        memcpy(r->scratch, r->at, len);
        r->at = close;
    }
    while (r->at < close) {
        unsigned char c = (unsigned char)*r->at;
        if (c == '\\') {
            e = escape(r, r->scratch, &len);
            if (e < 0)
                return e;
            continue;
        }
        const char *from = r->at; /* what is plain goes over in one piece */
        r->at = walk(r->at, close, IN_STRING);
        if (r->at > from) {
            memcpy(r->scratch + len, from, (size_t)(r->at - from));
            len += (size_t)(r->at - from);
            continue;
        }
        if (c < 0x20)
            return fail(r, "a control character in a string; write it as \\u00XX");
        size_t n = json_utf8__((const unsigned char *)r->at, (const unsigned char *)close);
        if (n == 0)
            return fail(r, "a byte that is not UTF-8 in a string");
        memcpy(r->scratch + len, r->at, n);
        len += n;
        r->at += n;
    }
    r->scratch[len] = '\0';
    r->at = close + 1;
    return 0;
}

static int read_value(struct reader *r, struct json **ret_node);

/* Moves on behind the array or object at r->at, whatever it has. */
static int pass_over(struct reader *r)
{
    const char *open = r->at;
    size_t depth = 0;
    for (; (r->at = walk(r->at, r->end, BETWEEN)) < r->end; r->at++) {
        char c = *r->at;
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (--depth == 0) {
                r->at++;
                return 0;
            }
        } else {
            for (r->at++; (r->at = walk(r->at, r->end, IN_STRING)) < r->end && *r->at != '"';
                 r->at++)
                if (*r->at == '\\' && r->end - r->at > 1)
                    r->at++;
            if (r->at == r->end)
                break;
        }
    }
    return fail_at(r, open, RAIA_ERR_PROTOCOL, "unexpected end of text");
}

/* Reads a value that nobody wants. */
static int pass_value(struct reader *r)
{
    struct json *value = NULL;
    if (r->at < r->end && (*r->at == '{' || *r->at == '['))
        return pass_over(r);
    if (r->at < r->end && *r->at == '"')
        return read_string(r);
    int e = read_value(r, &value);
    json_free(value);
    return e;
}

/* Whether the member with the key in r->scratch, whose value is at r->at, is passed over; if not,
 * *ret_keep is what of it is wanted. */
static bool is_passed(const struct reader *r, const struct json **ret_keep)
{
    *ret_keep = NULL;
    if (r->skip && r->at < r->end && (*r->at == '{' || *r->at == '[') &&
        strcmp(r->scratch, r->skip) == 0)
        return true;
    if (!json_is(r->keep, JSON_OBJECT))
        return false;
    *ret_keep = json_get(r->keep, r->scratch);
    return !*ret_keep;
}

static int read_member(struct reader *r, struct json *object)
{
    skip_space(r);
    if (r->at >= r->end || *r->at != '"')
        return fail(r, "expected a key in double quotes");
    int e = read_string(r);
    if (e < 0)
        return e;
    skip_space(r);
    if (r->at >= r->end || *r->at != ':')
        return fail(r, "expected ':' after a key");
    r->at++;
    skip_space(r);
    const struct json *keep = r->keep, *sub;
    if (is_passed(r, &sub))
        return pass_value(r);
    _cleanup_(mem_freep) char *key = mem_strdup(r->scratch);
    if (!key)
        return no_memory(r);
    struct json *value = NULL;
    r->keep = sub;
    e = read_value(r, &value);
    r->keep = keep;
    if (e < 0)
        return e;
    json_link__(object, STEAL(key), value);
    return 0;
}

/* Reads the children of an array or object; r->at is at its bracket. */
static int read_children(struct reader *r, struct json *parent, char close)
{
    const char *open = r->at;
    if (++r->depth > r->max_depth)
        return fail_at(r, r->at, RAIA_ERR_LIMIT, "nested too deeply");
    r->at++;
    skip_space(r);
    if (r->at < r->end && *r->at == close) {
        r->at++;
        r->depth--;
        return 0;
    }
    for (;;) {
        struct json *item = NULL;
        int e = close == '}' ? read_member(r, parent) : read_value(r, &item);
        if (e < 0)
            return e;
        if (item)
            json_link__(parent, NULL, item);
        skip_space(r);
        if (r->at >= r->end || (*r->at != ',' && *r->at != close))
            return fail(r, close == '}' ? "expected ',' or '}' after a member"
                                        : "expected ',' or ']' after an item");
        if (*r->at++ == close)
            break;
    }
    r->depth--;
    bool nomem = false;
    const struct json *twice = close == '}' ? json_duplicate(parent, &nomem) : NULL;
    if (nomem)
        return no_memory(r);
    if (!twice || r->repair)
        return 0;
    char what[160];
    snprintf(what, sizeof what, "the object that begins here has the key \"%.64s\" twice",
             json_key(twice));
    return fail_at(r, open, RAIA_ERR_PROTOCOL, what);
}

static int read_number(struct reader *r, struct json **ret_node)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at && strchr("+-.0123456789eE", *r->at))
        r->at++;
    size_t len = (size_t)(r->at - start);
    if (!json_is_number__(start, len))
        return fail_at(r, start, RAIA_ERR_PROTOCOL, "malformed number");
    if (len > 1024)
        return fail_at(r, start, RAIA_ERR_LIMIT, "a number of more than 1024 digits");
    *ret_node = json_number__(start, len);
    return *ret_node ? 0 : no_memory(r);
}

static int read_word(struct reader *r, struct json **ret_node)
{
    size_t left = (size_t)(r->end - r->at);
    if (left >= 4 && memcmp(r->at, "true", 4) == 0) {
        r->at += 4;
        *ret_node = json_new_bool(true);
    } else if (left >= 5 && memcmp(r->at, "false", 5) == 0) {
        r->at += 5;
        *ret_node = json_new_bool(false);
    } else if (left >= 4 && memcmp(r->at, "null", 4) == 0) {
        r->at += 4;
        *ret_node = json_new_null();
    } else {
        return fail(r, "expected a value");
    }
    return *ret_node ? 0 : no_memory(r);
}

static int read_value(struct reader *r, struct json **ret_node)
{
    skip_space(r);
    if (r->at >= r->end)
        return fail(r, "");
    if (r->nodes_left-- == 0)
        return fail_at(r, r->at, RAIA_ERR_LIMIT, "too many values");
    char c = *r->at;
    int e;
    if ((c == '{' || c == '[') && r->repair && r->depth == r->max_depth) {
        e = pass_over(r);
        if (e == 0)
            *ret_node = json_new_str(JSON_TOO_DEEP);
        return e < 0 || *ret_node ? e : no_memory(r);
    }
    if (c == '{' || c == '[') {
        _cleanup_(json_freep) struct json *n = c == '{' ? json_new_object() : json_new_array();
        if (!n)
            return no_memory(r);
        e = read_children(r, n, c == '{' ? '}' : ']');
        if (e == 0)
            *ret_node = STEAL(n);
        return e;
    }
    if (c == '"') {
        e = read_string(r);
        if (e < 0)
            return e;
        *ret_node = json_new_str(r->scratch);
        return *ret_node ? 0 : no_memory(r);
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(r, ret_node);
    return read_word(r, ret_node);
}

static size_t max_bytes(const struct json_limits *l)
{
    return l && l->max_bytes ? l->max_bytes : (size_t)16 << 20;
}

int json_parse(const char *text, size_t len, const struct json_limits *l, struct json **ret_root,
               struct raia_error *e)
{
    if (len > max_bytes(l))
        return err_set(e, RAIA_ERR_LIMIT, "%zu bytes of JSON where at most %zu are taken", len,
                       max_bytes(l));
    struct reader r = {
        .text = text,
        .end = text + len,
        .at = text,
        .nodes_left = l && l->max_nodes ? l->max_nodes : 1000000,
        .skip = l ? l->skip : NULL,
        .keep = l ? l->keep : NULL,
        .max_depth =
            l && l->max_depth && l->max_depth < JSON_DEPTH_MAX ? l->max_depth : JSON_DEPTH_MAX,
        .repair = l && l->repair,
        .err = e,
    };
    _cleanup_(json_freep) struct json *root = NULL;
    int code = read_value(&r, &root);
    mem_free(r.scratch);
    if (code < 0)
        return code;
    skip_space(&r);
    if (r.at < r.end)
        return fail(&r, "text after the end of the value");
    *ret_root = STEAL(root);
    return 0;
}

int json_load(const char *path, const struct json_limits *l, struct json **ret_root,
              struct raia_error *e)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, RAIA_ERR_INVALID, "'%s' is not a regular file", path);
    if ((uint64_t)st.st_size > max_bytes(l))
        return err_set(e, RAIA_ERR_LIMIT, "'%s' is larger than %zu bytes", path, max_bytes(l));
    size_t len = 0, cap = (size_t)st.st_size + 1;
    _cleanup_(mem_freep) char *text = mem_alloc(cap);
    if (!text)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory while reading '%s'", path);
    while (len < cap) {
        ssize_t n = read(fd, text + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "read '%s'", path);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    int r = json_parse(text, len, l, ret_root, e);
    if (r < 0)
        (void)err_wrap(e, "%s", path); /* e may be NULL, and then it does not know the code */
    return r;
}
