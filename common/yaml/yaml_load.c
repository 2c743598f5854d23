/*
 * Loading: libyaml's events into JSON trees, with anchors, aliases, merge keys and limits.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/err.h"
#include "yaml/yaml_docs.h"
#include "yaml/yaml_scalar.h"

#define ANCHORS_MAX 1000    /* of one document */
#define MERGE_WORK  4000000 /* key comparisons for merge keys, of all documents */

/* A node that has a name. */
struct anchor {
    char *name;              /* without '&' */
    const struct json *node; /* NULL: not finished, so it cannot be used inside itself */
};

/* A load in progress. */
struct loader {
    yaml_parser_t parser;   /* libyaml's */
    const char *text;       /* what it reads */
    size_t len;             /* bytes of text */
    struct yaml_docs *docs; /* result so far */
    struct anchor *anchors; /* of the current document */
    size_t n_anchors;       /* how many */
    size_t nodes_left;      /* nodes that may still come, copies by aliases included */
    size_t merge_left;      /* work that merge keys may still cause */
    unsigned max_depth;     /* of nesting */
    struct raia_error *err; /* may be NULL */
};

static struct yaml_place place(yaml_mark_t m)
{
    return (struct yaml_place){(unsigned)m.line + 1, (unsigned)m.column + 1};
}

__attribute__((format(printf, 4, 5))) static int fail(struct loader *l, struct yaml_place at,
                                                      int code, const char *fmt, ...)
{
    char text[RAIA_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(l->err, code, "%s:%u:%u: %s", l->docs->name, at.line, at.column, text);
}

static int no_memory(struct loader *l)
{
    return err_set(l->err, RAIA_ERR_NOMEM, "%s: out of memory while reading YAML", l->docs->name);
}

static int too_large(struct loader *l, struct yaml_place at)
{
    return fail(l, at, RAIA_ERR_LIMIT, "too many values (aliases count as what they stand for)");
}

static int too_deep(struct loader *l, struct yaml_place at)
{
    return fail(l, at, RAIA_ERR_LIMIT, "nested more than %u levels deep", l->max_depth);
}

/* The reader tells the byte it could not read, not its line: it reads ahead of the parser. */
static struct yaml_place place_of_byte(const struct loader *l, size_t offset)
{
    struct yaml_place at = {1, 1};
    for (size_t i = 0; i < offset && i < l->len; i++) {
        if (l->text[i] == '\n')
            at = (struct yaml_place){at.line + 1, 1};
        else
            at.column += ((unsigned char)l->text[i] & 0xc0) != 0x80;
    }
    return at;
}

static int next_event(struct loader *l, yaml_event_t *ret_event)
{
    if (yaml_parser_parse(&l->parser, ret_event))
        return 0;
    const yaml_parser_t *p = &l->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(l);
    yaml_mark_t m = p->problem_mark;
    if (p->error == YAML_READER_ERROR)
        return fail(l, place_of_byte(l, p->problem_offset), RAIA_ERR_PROTOCOL, "%s",
                    p->problem ? p->problem : "unreadable");
    return fail(l, place(m), RAIA_ERR_PROTOCOL, "%s%s%s", p->problem ? p->problem : "bad YAML",
                p->context ? ", " : "", p->context ? p->context : "");
}

/* -- anchors ---------------------------------------------------------------------------------- */

static void forget_anchors(struct loader *l)
{
    for (size_t i = 0; i < l->n_anchors; i++)
        mem_free(l->anchors[i].name);
    mem_free(STEAL(l->anchors));
    l->n_anchors = 0;
}

/* Opens an anchor; *ret_i is its index, or SIZE_MAX if name is NULL. */
static int open_anchor(struct loader *l, const yaml_char_t *name, struct yaml_place at,
                       size_t *ret_i)
{
    *ret_i = SIZE_MAX;
    if (!name)
        return 0;
    if (l->n_anchors == ANCHORS_MAX)
        return fail(l, at, RAIA_ERR_LIMIT, "more than %d anchors", ANCHORS_MAX);
    struct anchor *p = mem_realloc(l->anchors, (l->n_anchors + 1) * sizeof *p);
    if (!p)
        return no_memory(l);
    l->anchors = p;
    char *copy = mem_strdup((const char *)name);
    if (!copy)
        return no_memory(l);
    p[l->n_anchors] = (struct anchor){.name = copy};
    *ret_i = l->n_anchors++;
    return 0;
}

static void close_anchor(struct loader *l, size_t i, const struct json *node)
{
    if (i != SIZE_MAX)
        l->anchors[i].node = node;
}

/* Counts a tree's nodes, up to `most`, and its height. */
static size_t measure(const struct json *n, size_t most, unsigned level, unsigned *height)
{
    size_t count = 1;
    if (level > *height)
        *height = level;
    JSON_FOREACH(it, n)
    {
        if (count > most)
            break;
        count += measure(it, most - count, level + 1, height);
    }
    return count;
}

/* A copy's nodes stand where their originals stand: that is where a fault is mended. */
static int note_copies(struct loader *l, const struct json *from, const struct json *to)
{
    const struct json *original = json_first(from);
    JSON_FOREACH(it, to)
    {
        struct yaml_place at = {1, 1};
        (void)yaml_place_of(l->docs, original, &at); /* every loaded node has one */
        if (yaml_docs_note__(l->docs, it, at) < 0)
            return no_memory(l);
        int r = note_copies(l, original, it);
        if (r < 0)
            return r;
        original = json_next(original);
    }
    return 0;
}

/* A copy of a loaded tree, as a value at `at`, that counts against the limits. */
static int copy_node(struct loader *l, const struct json *from, struct yaml_place at,
                     unsigned depth, struct json **ret_node)
{
    unsigned height = 0;
    size_t count = measure(from, l->nodes_left, 0, &height);
    if (count > l->nodes_left)
        return too_large(l, at);
    if (depth + height > l->max_depth)
        return too_deep(l, at);
    l->nodes_left -= count;
    _cleanup_(json_freep) struct json *copy = json_copy(from);
    if (!copy || yaml_docs_note__(l->docs, copy, at) < 0)
        return no_memory(l);
    int r = note_copies(l, from, copy);
    if (r == 0)
        *ret_node = STEAL(copy);
    return r;
}

static int load_node(struct loader *l, yaml_event_t *ev, unsigned depth, struct json **ret_node);

static int load_alias(struct loader *l, yaml_event_t *ev, unsigned depth, struct json **ret_node)
{
    const char *name = (const char *)ev->data.alias.anchor;
    struct yaml_place at = place(ev->start_mark);
    for (size_t i = l->n_anchors; i-- > 0;) {
        if (strcmp(l->anchors[i].name, name) != 0)
            continue;
        if (!l->anchors[i].node)
            return fail(l, at, RAIA_ERR_PROTOCOL, "alias '*%.64s' is inside its own anchor", name);
        return copy_node(l, l->anchors[i].node, at, depth, ret_node);
    }
    return fail(l, at, RAIA_ERR_PROTOCOL, "alias '*%.64s' has no anchor", name);
}

/* -- scalars ---------------------------------------------------------------------------------- */

static bool tag_is(const yaml_char_t *tag, const char *want)
{
    return tag && strcmp((const char *)tag, want) == 0;
}

static int plain_scalar(struct loader *l, const char *text, struct yaml_place at,
                        struct json **ret_node)
{
    if (yaml_scalar_kind(text) == YAML_NOT_FINITE)
        return fail(l, at, RAIA_ERR_PROTOCOL, "%.64s is no number that JSON can hold", text);
    *ret_node = yaml_scalar_node(text);
    return *ret_node ? 0 : no_memory(l);
}

static int tagged_scalar(struct loader *l, const char *tag, const char *text, struct yaml_place at,
                         struct json **ret_node)
{
    enum yaml_kind k = yaml_scalar_kind(text);
    bool fits = (strcmp(tag, YAML_INT_TAG) == 0 && k == YAML_NUMBER) ||
                (strcmp(tag, YAML_FLOAT_TAG) == 0 && k == YAML_NUMBER) ||
                (strcmp(tag, YAML_BOOL_TAG) == 0 && (k == YAML_TRUE || k == YAML_FALSE)) ||
                (strcmp(tag, YAML_NULL_TAG) == 0 && k == YAML_NULL);
    if (!fits)
        return fail(l, at, RAIA_ERR_PROTOCOL, "tag '%.64s' is not supported here", tag);
    return plain_scalar(l, text, at, ret_node);
}

static int load_scalar(struct loader *l, yaml_event_t *ev, struct json **ret_node)
{
    const char *text = (const char *)ev->data.scalar.value;
    const yaml_char_t *tag = ev->data.scalar.tag;
    struct yaml_place at = place(ev->start_mark);
    if (memchr(text, '\0', ev->data.scalar.length))
        return fail(l, at, RAIA_ERR_PROTOCOL, "a NUL character in text is not supported");
    /* A lone "!" is plain_implicit too, quoted or not. */
    bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && ev->data.scalar.plain_implicit)
        return plain_scalar(l, text, at, ret_node);
    if (!ev->data.scalar.quoted_implicit && tag && !tag_is(tag, "!") && !tag_is(tag, YAML_STR_TAG))
        return tagged_scalar(l, (const char *)tag, text, at, ret_node);
    *ret_node = json_new_str(text);
    return *ret_node ? 0 : no_memory(l);
}

/* -- mappings --------------------------------------------------------------------------------- */

/* A key as text: Kubernetes' tools turn numbers and booleans into it, and take no others. */
static int load_key(struct loader *l, yaml_event_t *ev, char **ret_key)
{
    struct yaml_place at = place(ev->start_mark);
    if (ev->type != YAML_SCALAR_EVENT)
        return fail(l, at, RAIA_ERR_PROTOCOL, "a key must be a plain or quoted text");
    if (ev->data.scalar.anchor)
        return fail(l, at, RAIA_ERR_PROTOCOL, "an anchor on a key is not supported");
    _cleanup_(json_freep) struct json *n = NULL;
    int r = load_scalar(l, ev, &n);
    if (r < 0)
        return r;
    if (json_is(n, JSON_NULL))
        return fail(l, at, RAIA_ERR_PROTOCOL, "a key must not be null");
    *ret_key =
        json_is(n, JSON_STRING) ? mem_strdup(json_str(n)) : json_print(n, JSON_COMPACT, NULL);
    return *ret_key ? 0 : no_memory(l);
}

static bool is_merge_key(const yaml_event_t *ev)
{
    return ev->type == YAML_SCALAR_EVENT && ev->data.scalar.plain_implicit &&
           ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)ev->data.scalar.value, "<<") == 0;
}

/* Adds the members of `from` that `object` does not have. */
static int merge_one(struct loader *l, struct json *object, const struct json *from,
                     struct yaml_place at, unsigned depth)
{
    if (!json_is(from, JSON_OBJECT))
        return fail(l, at, RAIA_ERR_PROTOCOL, "'<<' takes a mapping or a list of mappings");
    size_t work = (json_size(object) + json_size(from)) * (json_size(from) + 1);
    if (work > l->merge_left)
        return too_large(l, at);
    l->merge_left -= work;
    JSON_FOREACH(it, from)
    {
        if (json_get(object, json_key(it)))
            continue;
        struct json *copy = NULL;
        struct yaml_place original = at;
        (void)yaml_place_of(l->docs, it, &original);
        int r = copy_node(l, it, original, depth + 1, &copy);
        if (r < 0)
            return r;
        if (json_add(object, json_key(it), copy) < 0)
            return no_memory(l);
    }
    return 0;
}

/* Applies what '<<' gave, after the mapping's own keys, which win. The first of a list wins. */
static int apply_merge(struct loader *l, struct json *object, const struct json *merge,
                       struct yaml_place at, unsigned depth)
{
    if (!merge)
        return 0;
    if (!json_is(merge, JSON_ARRAY))
        return merge_one(l, object, merge, at, depth);
    JSON_FOREACH(it, merge)
    {
        int r = merge_one(l, object, it, at, depth);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Loads one member whose key is `ev`. `*merge` takes what a '<<' key gives. */
static int load_member(struct loader *l, yaml_event_t *ev, struct json *object, struct json **merge,
                       unsigned depth)
{
    struct yaml_place at = place(ev->start_mark);
    bool merging = is_merge_key(ev);
    _cleanup_(mem_freep) char *key = NULL;
    int r = 0;
    if (merging && *merge)
        return fail(l, at, RAIA_ERR_PROTOCOL, "the key \"<<\" is there twice");
    if (!merging)
        r = load_key(l, ev, &key);
    if (r < 0)
        return r;
    yaml_event_t value;
    r = next_event(l, &value);
    if (r < 0)
        return r;
    struct json *child = NULL;
    r = load_node(l, &value, depth + 1, &child);
    yaml_event_delete(&value);
    if (r < 0)
        return r;
    if (merging) {
        *merge = child;
        if (json_append(l->docs->scrap, child) < 0) {
            *merge = NULL;
            return no_memory(l);
        }
        return 0;
    }
    if (yaml_docs_note__(l->docs, child, at) < 0) {
        json_free(child);
        return no_memory(l);
    }
    return json_add(object, key, child) < 0 ? no_memory(l) : 0;
}

static int load_mapping(struct loader *l, struct json *object, struct yaml_place at, unsigned depth)
{
    struct json *merge = NULL;
    for (;;) {
        yaml_event_t ev;
        int r = next_event(l, &ev);
        if (r < 0)
            return r;
        bool end = ev.type == YAML_MAPPING_END_EVENT;
        if (!end)
            r = load_member(l, &ev, object, &merge, depth);
        yaml_event_delete(&ev);
        if (r < 0)
            return r;
        if (end)
            break;
    }
    bool nomem = false;
    const struct json *twice = json_duplicate(object, &nomem);
    if (nomem)
        return no_memory(l);
    if (twice) {
        (void)yaml_place_of(l->docs, twice, &at);
        return fail(l, at, RAIA_ERR_PROTOCOL, "the key \"%.64s\" is there twice", json_key(twice));
    }
    return apply_merge(l, object, merge, at, depth);
}

static int load_sequence(struct loader *l, struct json *array, unsigned depth)
{
    for (;;) {
        yaml_event_t ev;
        int r = next_event(l, &ev);
        if (r < 0)
            return r;
        bool end = ev.type == YAML_SEQUENCE_END_EVENT;
        struct json *item = NULL;
        if (!end)
            r = load_node(l, &ev, depth + 1, &item);
        yaml_event_delete(&ev);
        if (r < 0 || end)
            return r;
        if (json_append(array, item) < 0)
            return no_memory(l);
    }
}

/* Loads a mapping or sequence. */
static int load_collection(struct loader *l, yaml_event_t *ev, unsigned depth,
                           struct json **ret_node)
{
    bool map = ev->type == YAML_MAPPING_START_EVENT;
    struct yaml_place at = place(ev->start_mark);
    const yaml_char_t *tag = map ? ev->data.mapping_start.tag : ev->data.sequence_start.tag;
    if (tag && !tag_is(tag, map ? YAML_MAP_TAG : YAML_SEQ_TAG) && !tag_is(tag, "!"))
        return fail(l, at, RAIA_ERR_PROTOCOL, "tag '%.64s' is not supported here",
                    (const char *)tag);
    if (depth >= l->max_depth)
        return too_deep(l, at);
    size_t anchor;
    int r = open_anchor(l, map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor, at,
                        &anchor);
    if (r < 0)
        return r;
    _cleanup_(json_freep) struct json *n = map ? json_new_object() : json_new_array();
    if (!n || yaml_docs_note__(l->docs, n, at) < 0)
        return no_memory(l);
    r = map ? load_mapping(l, n, at, depth) : load_sequence(l, n, depth);
    if (r < 0)
        return r;
    close_anchor(l, anchor, n);
    *ret_node = STEAL(n);
    return 0;
}

/* Loads the node that begins with `ev`. */
static int load_node(struct loader *l, yaml_event_t *ev, unsigned depth, struct json **ret_node)
{
    struct yaml_place at = place(ev->start_mark);
    if (ev->type == YAML_ALIAS_EVENT)
        return load_alias(l, ev, depth, ret_node);
    if (l->nodes_left == 0)
        return too_large(l, at);
    l->nodes_left--;
    if (ev->type != YAML_SCALAR_EVENT)
        return load_collection(l, ev, depth, ret_node);
    size_t anchor;
    int r = open_anchor(l, ev->data.scalar.anchor, at, &anchor);
    if (r < 0)
        return r;
    _cleanup_(json_freep) struct json *n = NULL;
    r = load_scalar(l, ev, &n);
    if (r < 0)
        return r;
    if (yaml_docs_note__(l->docs, n, at) < 0)
        return no_memory(l);
    close_anchor(l, anchor, n);
    *ret_node = STEAL(n);
    return 0;
}

/* -- documents -------------------------------------------------------------------------------- */

/* Loads the document whose first node begins with `ev`. */
static int load_document(struct loader *l, yaml_event_t *ev, size_t max_documents)
{
    struct json *root = NULL;
    int r = load_node(l, ev, 0, &root);
    forget_anchors(l);
    if (r < 0)
        return r;
    if (json_is(root, JSON_NULL)) /* nothing between two "---" */
        return json_append(l->docs->scrap, root) < 0 ? no_memory(l) : 0;
    if (l->docs->n_roots == max_documents) {
        json_free(root);
        return fail(l, place(ev->start_mark), RAIA_ERR_LIMIT, "more than %zu documents",
                    max_documents);
    }
    return yaml_docs_add__(l->docs, root) < 0 ? no_memory(l) : 0;
}

static int load_stream(struct loader *l, size_t max_documents)
{
    for (;;) {
        yaml_event_t ev;
        int r = next_event(l, &ev);
        if (r < 0)
            return r;
        yaml_event_type_t type = ev.type;
        if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
            type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT)
            r = load_document(l, &ev, max_documents);
        yaml_event_delete(&ev);
        if (r < 0 || type == YAML_STREAM_END_EVENT)
            return r;
    }
}

static size_t max_bytes(const struct yaml_limits *m)
{
    return m && m->max_bytes ? m->max_bytes : (size_t)4 << 20;
}

int yaml_load(const char *text, size_t len, const char *name, const struct yaml_limits *m,
              struct yaml_docs **ret_docs, struct raia_error *e)
{
    if (len > max_bytes(m))
        return err_set(e, RAIA_ERR_LIMIT, "%s: %zu bytes of YAML where at most %zu are taken", name,
                       len, max_bytes(m));
    _cleanup_(yaml_freep) struct yaml_docs *docs = mem_new(struct yaml_docs);
    if (!docs || !(docs->name = mem_strdup(name)) || !(docs->scrap = json_new_array()))
        return err_set(e, RAIA_ERR_NOMEM, "%s: out of memory while reading YAML", name);
    struct loader l = {
        .docs = docs,
        .text = text,
        .len = len,
        .nodes_left = m && m->max_nodes ? m->max_nodes : 200000,
        .merge_left = MERGE_WORK,
        .max_depth =
            m && m->max_depth && m->max_depth < JSON_DEPTH_MAX ? m->max_depth : JSON_DEPTH_MAX,
        .err = e,
    };
    if (!yaml_parser_initialize(&l.parser))
        return no_memory(&l);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
    int r = load_stream(&l, m && m->max_documents ? m->max_documents : 256);
    yaml_parser_delete(&l.parser);
    forget_anchors(&l);
    if (r == 0)
        *ret_docs = STEAL(docs);
    return r;
}

int yaml_load_one(const char *text, size_t len, const char *name, const struct yaml_limits *m,
                  struct json **ret_root, struct raia_error *e)
{
    _cleanup_(yaml_freep) struct yaml_docs *docs = NULL;
    int r = yaml_load(text, len, name, m, &docs, e);
    if (r < 0)
        return r;
    if (yaml_count(docs) != 1)
        return err_set(e, RAIA_ERR_INVALID, "%s: one document expected, found %zu", name,
                       yaml_count(docs));
    *ret_root = yaml_take(docs, 0);
    return 0;
}
