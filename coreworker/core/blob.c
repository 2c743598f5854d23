/* Small values: bytes with a count, and the references inside. */
#include <string.h>

#include "core/chain.h"
#include "core/object.h"

static size_t blob_bytes(const struct blob *b)
{
    return sizeof(*b) + b->size + 1;
}

struct blob *blob_new(struct objects *t, uint8_t format, size_t size, uint32_t nrefs)
{
    struct blob *b;

    if (size > WIRE_MESSAGE_MAX)
        return NULL;
    b = pool_alloc(t->pool, sizeof(*b) + size + 1);
    if (!b)
        return NULL;
    *b = (struct blob){.count = 1, .size = (uint32_t)size, .nrefs = nrefs, .format = format};
    b->data[size] = 0;
    if (nrefs) {
        b->inner = mem_calloc(nrefs, sizeof(*b->inner));
        if (!b->inner) {
            pool_free(t->pool, b, blob_bytes(b));
            return NULL;
        }
    }
    t->blob_bytes += blob_bytes(b);
    return b;
}

struct blob *blob_new_error(struct objects *t, const struct raia_error *e)
{
    uint8_t bytes[CHAIN_BYTES_MAX];
    struct chain c = {.n = 1};
    struct blob *b;
    size_t n;

    c.links[0] = *e;
    n = chain_encode(&c, bytes, sizeof(bytes));
    b = blob_new(t, RAIA_ERROR_FORMAT, n, 0);
    if (b)
        memcpy(b->data, bytes, n);
    return b;
}

void blob_unref(struct objects *t, struct blob *b)
{
    if (!b || --b->count > 0)
        return;
    for (uint32_t i = 0; i < b->nrefs; i++)
        if (b->inner[i])
            object_unhold(t, b->inner[i]);
    mem_free(b->inner);
    t->blob_bytes -= blob_bytes(b);
    pool_free(t->pool, b, blob_bytes(b));
}
