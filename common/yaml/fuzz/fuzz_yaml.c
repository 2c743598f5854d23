/*
 * Any bytes: the loader accepts or refuses them within its limits, and every node it made has a
 * place and prints as JSON that reads back equal.
 */
#include <stdlib.h>

#include "yaml/yaml_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void places(const struct yaml_docs *d, const struct json *n)
{
    struct yaml_place at;
    if (yaml_place_of(d, n, &at) < 0 || at.line == 0 || at.column == 0)
        abort();
    JSON_FOREACH(it, n)
    places(d, it);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_limits limits = {.max_bytes = 1 << 14, .max_nodes = 2000, .max_documents = 8};
    struct raia_error e = {0};
    struct yaml_docs *docs = NULL;
    if (yaml_load((const char *)data, size, "fuzz", &limits, &docs, &e) < 0) {
        if (!e.code || !e.text[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < yaml_count(docs); i++) {
        places(docs, yaml_doc(docs, i));
        size_t len = 0;
        char *text = json_print(yaml_doc(docs, i), JSON_COMPACT, &len);
        struct json *back = NULL;
        if (!text || json_parse(text, len, NULL, &back, &e) < 0 ||
            !json_equal(back, yaml_doc(docs, i)))
            abort();
        json_free(back);
        mem_free(text);
    }
    yaml_free(docs);
    return 0;
}
