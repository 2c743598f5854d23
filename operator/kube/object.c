/*
 * Objects cut down to what is wanted, packed into one allocation.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "json/json_writer.h"
#include "kube/store_impl.h"

/* Most bytes of one object's text: etcd's largest value is 1.5 MiB. */
#define TEXT_MAX (16 << 20)

static int keep_path(struct json *keep, const char *path)
{
    for (;;) {
        const char *dot = strchr(path, '.');
        _cleanup_(mem_freep) char *key = mem_strndup(path, dot ? (size_t)(dot - path) : SIZE_MAX);
        if (!key)
            return -RAIA_ERR_NOMEM;
        struct json *child = json_get(keep, key);
        if (json_true(child))
            return 0; /* all of it is kept already */
        if (!dot)
            return json_set_bool(keep, key, true);
        if (!child) {
            int r = json_set(keep, key, json_new_object());
            if (r < 0)
                return r;
            child = json_get(keep, key);
        }
        keep = child;
        path = dot + 1;
    }
}

/* A tree of `always` (up to a NULL), and of the paths with `prefix` before each. */
static int keep_new(const char *const *always, const char *prefix, const char *const *paths,
                    size_t n, struct json **ret_keep)
{
    if (n == 0) {
        *ret_keep = NULL;
        return 0;
    }
    _cleanup_(json_freep) struct json *keep = json_new_object();
    int r = keep ? 0 : -RAIA_ERR_NOMEM;
    for (; r == 0 && *always; always++)
        r = keep_path(keep, *always);
    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_(mem_freep) char *path = mem_printf("%s%s", prefix, paths[i]);
        r = path ? keep_path(keep, path) : -RAIA_ERR_NOMEM;
    }
    if (r == 0)
        *ret_keep = STEAL(keep);
    return r;
}

int kube_keep_new__(const char *const *paths, size_t n, struct json **ret_keep)
{
    static const char *const always[] = {"metadata.name", "metadata.namespace", "metadata.uid",
                                         NULL};
    return keep_new(always, "", paths, n, ret_keep);
}

int kube_keep_event__(const char *const *paths, size_t n, struct json **ret_keep)
{
    /* Of an ERROR the object is a Status, whose "status" is a word. */
    static const char *const always[] = {"type",           "object.kind", "object.metadata",
                                         "object.reason",  "object.code", "object.message",
                                         "object.details", NULL};
    return keep_new(always, "object.", paths, n, ret_keep);
}

static bool never_kept(const char *key, unsigned depth, bool in_metadata)
{
    if (depth == 0)
        return strcmp(key, "apiVersion") == 0 || strcmp(key, "kind") == 0;
    return depth == 1 && in_metadata &&
           (strcmp(key, "resourceVersion") == 0 || strcmp(key, "managedFields") == 0);
}

/* Writes what is kept of n; keep NULL or true: all. */
static void write_kept(struct json_writer *w, const struct json *n, const struct json *keep,
                       unsigned depth, bool in_metadata)
{
    bool all = !json_is(keep, JSON_OBJECT);
    if (all && depth > 1) {
        jw_tree(w, n);
        return;
    }
    if (json_is(n, JSON_ARRAY)) {
        jw_array(w);
        JSON_FOREACH(item, n)
        write_kept(w, item, keep, depth, false);
        jw_end(w);
    } else if (json_is(n, JSON_OBJECT)) {
        jw_object(w);
        JSON_FOREACH(m, n)
        {
            const char *key = json_key(m);
            const struct json *sub = all ? NULL : json_get(keep, key);
            if ((!all && !sub) || never_kept(key, depth, in_metadata))
                continue;
            jw_key(w, key);
            write_kept(w, m, sub, depth + 1, depth == 0 && strcmp(key, "metadata") == 0);
        }
        jw_end(w);
    } else {
        jw_tree(w, n);
    }
}

static const char *owner_of(const struct json *meta)
{
    const struct json *first = NULL;
    JSON_FOREACH(o, json_get(meta, "ownerReferences"))
    {
        if (json_true(json_get(o, "controller")))
            return json_str(json_get(o, "uid"));
        if (!first)
            first = o;
    }
    return json_str(json_get(first, "uid"));
}

/* Copies a text to *at, which moves on. */
static const char *place(char **at, const char *text)
{
    if (!text)
        return NULL;
    size_t n = strlen(text) + 1;
    char *to = *at;
    memcpy(to, text, n);
    *at += n;
    return to;
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* The bucket for a value of index i, made if need be. NULL value: none. */
static int find_bucket(struct kube_store *s, size_t i, const char *ns, const char *value,
                       struct kube_bucket **ret_b)
{
    if (!value)
        return 0;
    const struct kube_index *index = &s->options.indexes[i];
    _cleanup_(mem_freep) char *text = NULL;
    if (index->kind == KUBE_BY_LABEL && ns)
        value = text = mem_printf("%s/%s", ns, value);
    struct kube_bucket *b = value ? HASH_GET_STR(s->indexes[i], value) : NULL;
    if (!b && value) {
        size_t n = strlen(value) + 1;
        b = mem_zalloc(sizeof *b + n);
        if (b) {
            memcpy(b->value, value, n);
            list_init(&b->objects);
            if (HASH_PUT_STR(s->indexes[i], value, b) < 0) {
                mem_free(b);
                b = NULL;
            }
        }
    }
    *ret_b = b;
    return b ? 0 : -RAIA_ERR_NOMEM;
}

static void drop_if_empty(struct kube_store *s, size_t i, struct kube_bucket *b)
{
    if (b && list_empty(&b->objects)) {
        HASH_DEL(s->indexes[i], b);
        mem_free(b);
    }
}

int kube_index_find__(struct kube_store *s, struct kube_object *o, const struct json *object)
{
    const struct json *meta = json_get(object, "metadata");
    struct kube_bucket *b[KUBE_INDEXES_MAX] = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->options.n_indexes; i++) {
        const struct kube_index *index = &s->options.indexes[i];
        const char *value = index->kind == KUBE_BY_OWNER
                                ? o->owner_uid
                                : json_str(json_get(json_get(meta, "labels"), index->label));
        r = find_bucket(s, i, o->ns, value, &b[i]);
    }
    for (size_t i = 0; i < s->options.n_indexes; i++) {
        if (r < 0)
            drop_if_empty(s, i, b[i]);
        else
            o->links[i].bucket = b[i];
    }
    return r;
}

/* Packs a text in its place where that pays; returns its bytes then. */
static size_t pack(struct kube_store *s, char **text, size_t len,
                   const struct kube_packer **ret_packer)
{
    size_t room = len - len / 8;
    char *to = s->packer ? mem_alloc(room) : NULL; /* out of memory: then it stays as it is */
    size_t n = to ? kube_pack(s->packer, *text, len, to, room) : 0;
    if (!n) {
        mem_free(to);
        return len;
    }
    mem_free(*text);
    *text = to;
    *ret_packer = s->packer;
    return n;
}

int kube_object_pack__(struct kube_store *s, const struct json *object, struct kube_object **ret_o,
                       struct raia_error *e)
{
    const struct json *meta = json_get(object, "metadata");
    const char *name = json_str(json_get(meta, "name")),
               *ns = json_str(json_get(meta, "namespace"));
    const char *uid = json_str(json_get(meta, "uid")), *owner = owner_of(meta);
    const char *version = json_str(json_get(meta, "resourceVersion"));
    if (!name || !name[0])
        return err_set(e, RAIA_ERR_INVALID, "an object of the API server has no name");
    uid = uid ? uid : "";
    version = version ? version : "";
    _cleanup_(json_writer_done) struct json_writer w;
    json_writer_init(&w, JSON_COMPACT, TEXT_MAX);
    write_kept(&w, object, s->keep, 0, false);
    size_t text_len = 0;
    _cleanup_(mem_freep) char *text = json_writer_take(&w, &text_len);
    if (!text)
        return err_set(e, json_writer_error(&w) ? -json_writer_error(&w) : RAIA_ERR_NOMEM,
                       "object '%.253s' cannot be kept", name);
    const struct kube_packer *packer = NULL;
    size_t packed_len = pack(s, &text, text_len, &packer);
    size_t key_len = (ns ? strlen(ns) + 1 : 0) + strlen(name), n = s->options.n_indexes;
    struct kube_object *o =
        mem_zalloc(sizeof *o + n * sizeof *o->links + key_len + 1 + size_of(ns) + size_of(uid) +
                   size_of(owner) + size_of(version) + packed_len);
    if (!o)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an object");
    char *at = (char *)(o->links + n);
    o->key = at;
    at += snprintf(at, key_len + 1, "%s%s%s", ns ? ns : "", ns ? "/" : "", name) + 1;
    o->name = o->key + (key_len - strlen(name));
    o->ns = place(&at, ns);
    o->uid = place(&at, uid);
    o->owner_uid = place(&at, owner);
    o->resource_version = place(&at, version);
    memcpy(at, text, packed_len);
    o->packed = at;
    o->packed_len = packed_len;
    o->packer = packer;
    o->text_len = text_len;
    o->deleting = json_str(json_get(meta, "deletionTimestamp")) != NULL;
    (void)json_int(json_get(meta, "generation"), &o->generation); /* not all kinds have one */
    *ret_o = o;
    return 0;
}

void kube_index_add__(struct kube_store *s, struct kube_object *o)
{
    for (size_t i = 0; i < s->options.n_indexes; i++)
        if (o->links[i].bucket)
            list_add_tail(&o->links[i].bucket->objects, &o->links[i].link);
}

void kube_index_del__(struct kube_store *s, struct kube_object *o)
{
    for (size_t i = 0; i < s->options.n_indexes; i++) {
        list_del(&o->links[i].link);
        drop_if_empty(s, i, o->links[i].bucket);
        o->links[i].bucket = NULL;
    }
}

static const struct kube_object *object_of(const struct list *link, const struct kube_bucket *b,
                                           unsigned i)
{
    if (link == &b->objects)
        return NULL;
    const char *at = (const char *)link - offsetof(struct kube_index_link, link);
    return (const struct kube_object *)(const void *)(at - offsetof(struct kube_object, links) -
                                                      i * sizeof(struct kube_index_link));
}

const struct kube_object *kube_index_first(const struct kube_store *s, unsigned i, const char *ns,
                                           const char *value)
{
    char text[512]; /* a namespace, '/' and a label's value (63 bytes), or a uid */
    if (i >= s->options.n_indexes)
        return NULL;
    snprintf(text, sizeof text, "%s%s%s", ns ? ns : "", ns ? "/" : "", value);
    struct kube_bucket *buckets = s->indexes[i];
    const struct kube_bucket *b = HASH_GET_STR(buckets, text);
    return b ? object_of(b->objects.next, b, i) : NULL;
}

const struct kube_object *kube_index_next(const struct kube_object *o, unsigned i)
{
    return object_of(o->links[i].link.next, o->links[i].bucket, i);
}
