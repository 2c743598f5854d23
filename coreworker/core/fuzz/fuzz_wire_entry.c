/* Entries of messages from arbitrary bytes: parsed as a call's arguments are, and read. */
#include <stdlib.h>
#include <string.h>

#include "core/chain.h"
#include "core/msgpack.h"
#include "core/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = aligned_alloc(16, (size + 16) & ~(size_t)15);
    struct wire_item item;
    struct chain c;
    size_t at = 0, n;
    uint64_t sum = 0;
    const char *s;
    int64_t i;
    double d;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    while (wire_entry_parse(copy, size, &at, &item) == 0) {
        for (uint32_t k = 0; k <= item.head->size; k++)
            sum += item.data[k];
        for (uint32_t k = 0; k < item.head->nrefs; k++)
            sum += item.refs[k].index;
        sum += (uint64_t)msgpack_get_int(item.data, item.head->size, &i);
        sum += (uint64_t)msgpack_get_double(item.data, item.head->size, &d);
        if (msgpack_get_str(item.data, item.head->size, &s, &n) == 0)
            sum += n ? (uint8_t)s[n - 1] : 0;
        chain_decode(&c, item.data, item.head->size);
    }
    free(copy);
    return sum == 42 ? 0 : 0;
}
