/* The key-value table. */
#include "core/kv_table.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define TABLE "kv/"

static void entry_free(struct kv_table *t, struct kv_entry *entry)
{
    HASH_DEL(t->table, entry);
    t->bytes -= entry->key_size + entry->value_size;
    mem_free(entry->key);
    mem_free(entry);
}

void kv_table_fini(struct kv_table *t)
{
    struct kv_entry *entry, *next;

    HASH_FOREACH (t->table, entry, next)
        entry_free(t, entry);
}

static struct kv_entry *find(struct kv_table *t, const void *key, size_t size)
{
    struct kv_entry *entry;

    HASH_FIND(hh, t->table, key, size, entry);
    return entry;
}

static int set(struct kv_table *t, const uint8_t *key, size_t key_size, const void *value,
               size_t size)
{
    struct kv_entry *entry = mem_new(struct kv_entry), *old = find(t, key, key_size);
    uint8_t *block = mem_alloc(key_size + size + 1);

    if (!entry || !block) {
        mem_free(entry);
        mem_free(block);
        return -RAIA_ERR_NOMEM;
    }
    memcpy(block, key, key_size);
    if (size)
        memcpy(block + key_size, value, size);
    *entry = (struct kv_entry){.key = block,
                               .key_size = key_size,
                               .ns_size = (size_t)((uint8_t *)memchr(block, 0, key_size) - block),
                               .value_size = size};
    if (old)
        entry_free(t, old);
    HASH_ADD_KEYPTR(hh, t->table, entry->key, entry->key_size, entry);
    if (!entry->hh.tbl) {
        mem_free(entry);
        mem_free(block);
        return -RAIA_ERR_NOMEM;
    }
    t->bytes += key_size + size;
    return 0;
}

int kv_table_load(struct kv_table *t, const void *key, size_t key_size, const void *value,
                  size_t size)
{
    if (key_size == 0 || !memchr(key, 0, key_size))
        return -RAIA_ERR_PROTOCOL;
    return set(t, key, key_size, value, size);
}

/* NAMESPACE 0 KEY, mem_free; NULL when memory runs out. */
static uint8_t *full_key(const char *ns, ProtobufCBinaryData key, size_t *ret_size)
{
    size_t ns_size = strlen(ns);
    uint8_t *full = mem_alloc(ns_size + 1 + key.len);

    if (!full)
        return NULL;
    memcpy(full, ns, ns_size + 1);
    if (key.len)
        memcpy(full + ns_size + 1, key.data, key.len);
    *ret_size = ns_size + 1 + key.len;
    return full;
}

int kv_table_put(struct kv_table *t, const char *ns, ProtobufCBinaryData key,
                 ProtobufCBinaryData value, bool overwrite, struct commit *c, bool *ret_added,
                 struct raia_error *e)
{
    _cleanup_(mem_freep) uint8_t *full = NULL;
    struct kv_entry *old;
    size_t size = 0;

    if (key.len == 0 || key.len + strlen(ns) > KV_KEY_MAX)
        return err_set(e, RAIA_ERR_INVALID,
                       "kv put: a key has 1 to %u bytes, its namespace "
                       "included",
                       KV_KEY_MAX);
    if (value.len > KV_VALUE_MAX)
        return err_set(e, RAIA_ERR_LIMIT, "kv put: a value of %zu bytes; the most is %u", value.len,
                       KV_VALUE_MAX);
    full = full_key(ns, key, &size);
    if (!full)
        return err_set(e, RAIA_ERR_NOMEM, "kv put");
    old = find(t, full, size);
    *ret_added = !old;
    if (old && !overwrite)
        return 0;
    if (t->bytes - (old ? old->key_size + old->value_size : 0) + size + value.len > t->max_bytes)
        return err_set(e, RAIA_ERR_LIMIT,
                       "kv put: all pairs together may have %zu bytes; delete "
                       "some",
                       t->max_bytes);
    if (set(t, full, size, value.data, value.len) < 0) {
        commit_fail(c, RAIA_ERR_NOMEM); /* the old value may be gone */
        return err_set(e, RAIA_ERR_NOMEM, "kv put");
    }
    commit_put(c, TABLE, full, size, value.data, value.len);
    return 0;
}

bool kv_table_get(struct kv_table *t, const char *ns, ProtobufCBinaryData key,
                  ProtobufCBinaryData *ret_value)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *full = full_key(ns, key, &size);
    struct kv_entry *entry = full ? find(t, full, size) : NULL;

    if (!entry)
        return false;
    *ret_value = (ProtobufCBinaryData){entry->value_size, entry->key + entry->key_size};
    return true;
}

static bool begins(const struct kv_entry *entry, const char *ns, ProtobufCBinaryData prefix)
{
    return entry->ns_size == strlen(ns) && memcmp(entry->key, ns, entry->ns_size) == 0 &&
           entry->key_size - entry->ns_size - 1 >= prefix.len &&
           (prefix.len == 0 ||
            memcmp(entry->key + entry->ns_size + 1, prefix.data, prefix.len) == 0);
}

uint64_t kv_table_delete(struct kv_table *t, const char *ns, ProtobufCBinaryData key,
                         bool by_prefix, struct commit *c)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *full = by_prefix ? NULL : full_key(ns, key, &size);
    struct kv_entry *entry, *next;
    uint64_t deleted = 0;

    if (!by_prefix) {
        entry = full ? find(t, full, size) : NULL;
        if (!full)
            commit_fail(c, RAIA_ERR_NOMEM);
        if (!entry)
            return 0;
        commit_delete(c, TABLE, full, size);
        entry_free(t, entry);
        return 1;
    }
    HASH_FOREACH (t->table, entry, next) {
        if (!begins(entry, ns, key))
            continue;
        commit_delete(c, TABLE, entry->key, entry->key_size);
        entry_free(t, entry);
        deleted++;
    }
    return deleted;
}

size_t kv_table_keys(struct kv_table *t, const char *ns, ProtobufCBinaryData prefix,
                     ProtobufCBinaryData *keys, size_t limit, bool *ret_truncated)
{
    struct kv_entry *entry, *next;
    size_t n = 0;

    *ret_truncated = false;
    HASH_FOREACH (t->table, entry, next) {
        if (!begins(entry, ns, prefix))
            continue;
        if (n == limit) {
            *ret_truncated = true;
            break;
        }
        keys[n++] = (ProtobufCBinaryData){entry->key_size - entry->ns_size - 1,
                                          entry->key + entry->ns_size + 1};
    }
    return n;
}
