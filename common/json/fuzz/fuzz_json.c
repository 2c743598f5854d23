/*
 * Any bytes: the reader accepts or refuses them, and what it accepted prints to text that reads
 * back to an equal tree.
 */
#include <stdlib.h>

#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_limits limits = {.max_bytes = 1 << 16, .max_nodes = 2000};
    struct raia_error e = {0};
    struct json *a = NULL, *b = NULL;
    if (json_parse((const char *)data, size, &limits, &a, &e) < 0) {
        if (!e.code || !e.text[0])
            abort();
        return 0;
    }
    size_t len = 0;
    char *text = json_print(a, size & 1 ? JSON_PRETTY : JSON_COMPACT, &len);
    if (!text || json_parse(text, len, NULL, &b, &e) < 0 || !json_equal(a, b))
        abort();
    mem_free(text);
    json_free(a);
    json_free(b);
    return 0;
}
