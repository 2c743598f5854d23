/*
 * Hash tables: uthash, with our memory and our errors. The only place that includes uthash.h.
 *
 *     struct node { struct node_id id; HASH_HANDLE hh; };
 *     struct node *nodes = NULL;                         // the table: NULL when empty
 *     r = HASH_PUT(nodes, id, node);                     // 0 or -NOMEM
 *     struct node *n = HASH_GET(nodes, id, &wanted_id);  // NULL if it is not there
 *     HASH_FOREACH (nodes, n, next) { HASH_DEL(nodes, n); free it }
 *
 * Keys of HASH_PUT are members of fixed size without padding: byte arrays, ids, integers. Those of
 * HASH_PUT_STR are strings that stay where they are while the item is in the table. A key may be
 * put only once at a time (HASH_GET first), and may not change while it is in. The _HH forms name
 * the handle, for items in several tables. Iteration is in order of insertion.
 *
 * Ownership: the table owns its buckets only, which go with the last item (or all at once:
 * HASH_CLEAR). Threads: the table's owner. Failure: HASH_PUT alone, which then has changed nothing.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/hash64.h"
#include "base/mem.h"
#include "raia/error.h"

#ifdef UTHASH_H
#error "include base/hash.h, not uthash.h"
#endif

#define HASH_NONFATAL_OOM         1
#define uthash_malloc(size)       mem_alloc(size)
#define uthash_free(ptr, size)    mem_free(ptr)
#define HASH_FUNCTION(k, n, hash) (hash) = (unsigned)hash_bytes((k), (n))
#include <uthash.h>

#define HASH_HANDLE UT_hash_handle

#define HASH_PUT_KEY__(hh, head, key, size, e)                                                     \
    ({                                                                                             \
        __typeof__(e) put__ = (e);                                                                 \
        HASH_ADD_KEYPTR(hh, head, key, size, put__);                                               \
        put__->hh.tbl ? 0 : -RAIA_ERR_NOMEM;                                                       \
    })

#define HASH_PUT_HH(hh, head, field, e) HASH_PUT_KEY__(hh, head, &put__->field, sizeof(e)->field, e)
#define HASH_PUT(head, field, e)        HASH_PUT_HH(hh, head, field, e)

#define HASH_GET_HH(hh, head, field, key_ptr)                                                      \
    ({                                                                                             \
        __typeof__(head) got__;                                                                    \
        const __typeof__(*(key_ptr)) *key__ = (key_ptr);                                           \
        _Static_assert(sizeof((head)->field) == sizeof *key__, "the key has another type");        \
        HASH_FIND(hh, head, key__, sizeof *key__, got__);                                          \
        got__;                                                                                     \
    })
#define HASH_GET(head, field, key_ptr) HASH_GET_HH(hh, head, field, key_ptr)

#define HASH_PUT_STR_HH(hh, head, field, e)                                                        \
    HASH_PUT_KEY__(hh, head, put__->field, strlen(put__->field), e)
#define HASH_PUT_STR(head, field, e) HASH_PUT_STR_HH(hh, head, field, e)

#define HASH_GET_STR_HH(hh, head, str)                                                             \
    ({                                                                                             \
        __typeof__(head) got__;                                                                    \
        const char *key__ = (str);                                                                 \
        HASH_FIND(hh, head, key__, strlen(key__), got__);                                          \
        got__;                                                                                     \
    })
#define HASH_GET_STR(head, str) HASH_GET_STR_HH(hh, head, str)

/* HASH_DEL(head, e), uthash's own, removes an item that is in the table. */
#define HASH_DEL_HH(hh, head, e) HASH_DELETE(hh, head, e)

#define HASH_SIZE(head)                      HASH_COUNT(head)
#define HASH_FOREACH(head, pos, next)        HASH_ITER(hh, head, pos, next)
#define HASH_FOREACH_HH(hh, head, pos, next) HASH_ITER(hh, head, pos, next)

#endif
