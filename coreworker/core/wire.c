/* Entries of messages: writing and checking them. */
#include "core/wire.h"

#include <string.h>

#include "raia/error.h"

void wire_entry_begin(void *to, uint8_t kind, uint8_t format, size_t size, size_t nrefs,
                      uint8_t **ret_data, struct wire_ref **ret_refs)
{
    struct wire_entry *e = to;
    uint8_t *data = (uint8_t *)(e + 1);
    size_t padded = wire_pad(size + 1);

    *e = (struct wire_entry){
        .size = (uint32_t)size, .kind = kind, .format = format, .nrefs = (uint32_t)nrefs};
    /* The end mark and the fill, without touching what the caller is about to write. */
    memset(data + padded - 8, 0, 8);
    *ret_data = data;
    *ret_refs = (struct wire_ref *)(void *)(data + padded);
}

int wire_entry_parse(const uint8_t *base, size_t size, size_t *at, struct wire_item *ret)
{
    const struct wire_entry *e;
    size_t left, need;

    if (*at > size || size - *at < sizeof(*e))
        return -RAIA_ERR_PROTOCOL;
    left = size - *at - sizeof(*e);
    e = (const struct wire_entry *)(const void *)(base + *at);
    need = wire_pad((size_t)e->size + 1);
    if (e->kind > WIRE_STORED || need > left || base[*at + sizeof(*e) + e->size] != 0 ||
        e->nrefs > (left - need) / sizeof(struct wire_ref) ||
        (e->kind == WIRE_STORED && e->size != sizeof(struct wire_stored)))
        return -RAIA_ERR_PROTOCOL;
    ret->head = e;
    ret->data = (const uint8_t *)(e + 1);
    ret->refs = (const struct wire_ref *)(const void *)(ret->data + need);
    *at += sizeof(*e) + need + e->nrefs * sizeof(struct wire_ref);
    return 0;
}
