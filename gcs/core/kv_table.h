/*
 * Key-value pairs in namespaces. Values up to KV_VALUE_MAX; the bytes of all together are bounded.
 *
 * Changes go into the commit that is passed in. Pure; threads: the owner's.
 * Failure: -INVALID, -LIMIT, -NOMEM, with a text.
 */
#ifndef CORE_KV_TABLE_H
#define CORE_KV_TABLE_H

#include "base/hash.h"
#include "core/pipeline.h"

#define KV_VALUE_MAX (1u << 20)
#define KV_KEY_MAX   4096u

struct kv_entry {
    uint8_t *key;      /* namespace, 0, key, then the value: one block, owned */
    size_t key_size;   /* bytes of namespace, 0 and key */
    size_t ns_size;    /* bytes of the namespace */
    size_t value_size; /* bytes behind the key */
    HASH_HANDLE hh;    /* in table */
};

struct kv_table {
    struct kv_entry *table; /* by namespace and key */
    size_t bytes;           /* of all keys and values */
    size_t max_bytes;       /* of them; puts beyond it are refused */
};

void kv_table_fini(struct kv_table *t);
/* A stored row: key is NAMESPACE 0 KEY. */
int kv_table_load(struct kv_table *t, const void *key, size_t key_size, const void *value,
                  size_t size);

int kv_table_put(struct kv_table *t, const char *ns, ProtobufCBinaryData key,
                 ProtobufCBinaryData value, bool overwrite, struct commit *c, bool *ret_added,
                 struct raia_error *e);
/* False: not there. *ret_value points into the table. */
bool kv_table_get(struct kv_table *t, const char *ns, ProtobufCBinaryData key,
                  ProtobufCBinaryData *ret_value);
uint64_t kv_table_delete(struct kv_table *t, const char *ns, ProtobufCBinaryData key,
                         bool by_prefix, struct commit *c);
/* Keys that begin so, into `keys` (room for limit, pointing into the table); the count. */
size_t kv_table_keys(struct kv_table *t, const char *ns, ProtobufCBinaryData prefix,
                     ProtobufCBinaryData *keys, size_t limit, bool *ret_truncated);

#endif
