/*
 * The store: objects by key, and the removals that a relist shows.
 */
#include "kube/store_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "json/json_writer.h"

#define PACK_AFTER 64 /* puts */

int kube_store_new(const struct kube_store_options *o, kube_change_fn on_change, void *arg,
                   struct kube_store **ret_s, struct raia_error *e)
{
    if (o->n_indexes > KUBE_INDEXES_MAX)
        return err_set(e, RAIA_ERR_INVALID, "a store has at most %d indexes", KUBE_INDEXES_MAX);
    struct kube_store *s = mem_new(struct kube_store);
    int r = s ? kube_keep_new__(o->keep, o->n_keep, &s->keep) : -RAIA_ERR_NOMEM;
    if (r < 0) {
        mem_free(s);
        return err_set(e, -r, "make a store of objects: %s", raia_strerror(r));
    }
    s->options = *o;
    s->on_change = on_change;
    s->arg = arg;
    *ret_s = s;
    return 0;
}

static void unlink_object(struct kube_store *s, struct kube_object *o)
{
    HASH_DEL(s->objects, o);
    kube_index_del__(s, o);
    s->bytes -= sizeof *o + o->packed_len;
}

void kube_store_free(struct kube_store *s)
{
    if (!s)
        return;
    struct kube_object *o, *next;
    HASH_FOREACH (s->objects, o, next) {
        unlink_object(s, o);
        mem_free(o);
    }
    json_free(s->keep);
    kube_packer_free(s->packer);
    mem_free(s);
}

size_t kube_store_size(const struct kube_store *s)
{
    return HASH_SIZE(s->objects);
}

size_t kube_store_bytes(const struct kube_store *s)
{
    return s->bytes;
}

const struct kube_object *kube_store_get_key(const struct kube_store *s, const char *key)
{
    struct kube_object *objects = s->objects;
    return HASH_GET_STR(objects, key);
}

const struct kube_object *kube_store_get(const struct kube_store *s, const char *ns,
                                         const char *name)
{
    char key[512]; /* a namespace has 63 bytes at most, a name 253 */
    int n = snprintf(key, sizeof key, "%s%s%s", ns ? ns : "", ns ? "/" : "", name);
    return n > 0 && (size_t)n < sizeof key ? kube_store_get_key(s, key) : NULL;
}

const struct kube_object *kube_store_first(const struct kube_store *s)
{
    return s->objects;
}

const struct kube_object *kube_store_next(const struct kube_object *o)
{
    return o->hh.next;
}

char *kube_object_text(const struct kube_object *o)
{
    char *text = mem_alloc(o->text_len + 1);
    if (!text)
        return NULL;
    if (!o->packer) {
        memcpy(text, o->packed, o->text_len);
    } else if (!kube_unpack(o->packer, o->packed, o->packed_len, text, o->text_len)) {
        mem_free(text); /* cannot be: nobody but us writes it */
        return NULL;
    }
    text[o->text_len] = '\0';
    return text;
}

int kube_object_tree(const struct kube_object *o, struct json **ret_tree, struct raia_error *e)
{
    struct json_limits limits = {.repair = true};
    _cleanup_(mem_freep) char *text = kube_object_text(o);
    if (!text)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for object '%s'", o->key);
    int r = json_parse(text, o->text_len, &limits, ret_tree, e);
    return r < 0 ? err_wrap(e, "object '%s'", o->key) : 0;
}

static void tell(struct kube_store *s, enum kube_change c, const struct kube_object *old,
                 const struct kube_object *now)
{
    if (s->on_change)
        s->on_change(s->arg, c, old, now);
}

static int insert(struct kube_store *s, struct kube_object *o, const struct json *object)
{
    o->round = s->round;
    int r = kube_index_find__(s, o, object);
    if (r < 0)
        return r;
    kube_index_add__(s, o);
    r = HASH_PUT_STR(s->objects, key, o);
    if (r < 0)
        kube_index_del__(s, o);
    else
        s->bytes += sizeof *o + o->packed_len;
    return r;
}

static void remove_object(struct kube_store *s, struct kube_object *o)
{
    unlink_object(s, o);
    tell(s, KUBE_REMOVED, o, NULL);
    mem_free(o);
}

static bool same_text(const struct kube_object *a, const struct kube_object *b)
{
    if (a->text_len != b->text_len)
        return false;
    if (a->packer == b->packer) /* the same text, packed by the same, is the same */
        return a->packed_len == b->packed_len && memcmp(a->packed, b->packed, a->packed_len) == 0;
    _cleanup_(mem_freep) char *x = kube_object_text(a), *y = kube_object_text(b);
    return x && y && strcmp(x, y) == 0;
}

static bool same(const struct kube_object *a, const struct kube_object *b)
{
    return same_text(a, b) && a->generation == b->generation && a->deleting == b->deleting &&
           (a->owner_uid ? b->owner_uid && strcmp(a->owner_uid, b->owner_uid) == 0 : !b->owner_uid);
}

/* Puts `now` in the place of `old`. Both are in for a moment, so that a failure changes nothing. */
static int replace(struct kube_store *s, struct kube_object *old, struct kube_object *now,
                   const struct json *object)
{
    int r = insert(s, now, object);
    if (r == 0)
        unlink_object(s, old);
    return r;
}

/* Once there are many objects, what comes is packed by the model of the longest so far, which has
 * seen most of what there may be in one. */
static void find_model(struct kube_store *s)
{
    const struct kube_object *longest = NULL;
    if (s->packer || s->puts++ < PACK_AFTER)
        return;
    s->puts = 0; /* should there be no memory, another time */
    KUBE_STORE_FOREACH(o, s)
    longest = !longest || o->text_len > longest->text_len ? o : longest;
    if (longest)
        s->packer = kube_packer_new(longest->packed, longest->packed_len);
}

int kube_store_put(struct kube_store *s, const struct json *object, struct raia_error *e)
{
    struct kube_object *now = NULL;
    find_model(s);
    int r = kube_object_pack__(s, object, &now, e);
    if (r < 0)
        return r;
    struct kube_object *old = HASH_GET_STR(s->objects, now->key);
    if (old && strcmp(old->uid, now->uid) != 0) {
        remove_object(s, old);
        old = NULL;
    }
    if (!old) {
        r = insert(s, now, object);
        if (r < 0) {
            mem_free(now);
            return err_set(e, -r, "out of memory for an object");
        }
        tell(s, KUBE_ADDED, NULL, now);
        return 0;
    }
    bool equal = same(old, now);
    r = replace(s, old, now, object);
    if (r < 0) {
        mem_free(now);
        return err_set(e, -r, "out of memory for an object");
    }
    if (!equal)
        tell(s, KUBE_CHANGED, old, now);
    mem_free(old);
    return 0;
}

int kube_store_remove(struct kube_store *s, const struct json *object, struct raia_error *e)
{
    const struct json *meta = json_get(object, "metadata");
    const char *name = json_str(json_get(meta, "name"));
    const char *ns = json_str(json_get(meta, "namespace"));
    const char *uid = json_str(json_get(meta, "uid"));
    if (!name)
        return err_set(e, RAIA_ERR_INVALID, "an object has no name");
    struct kube_object *o = (struct kube_object *)kube_store_get(s, ns, name);
    if (o && (!uid || strcmp(o->uid, uid) == 0))
        remove_object(s, o);
    return 0;
}

void kube_store_begin(struct kube_store *s)
{
    s->round++;
}

void kube_store_sweep(struct kube_store *s)
{
    if (KUBE_PLANTED(KUBE_PLANT_NO_SWEEP))
        return;
    struct kube_object *o, *next;
    HASH_FOREACH (s->objects, o, next)
        if (o->round != s->round)
            remove_object(s, o);
}
