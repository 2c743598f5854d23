/*
 * Any target: parsed or refused; what is parsed holds no NUL or dot segment, and matches a
 * catch-all.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_route routes[] = {
        {.method = "GET", .pattern = "/api/jobs/{id}/logs"},
        {.method = "GET", .pattern = "/api/jobs/{id}"},
        {.method = "PUT", .pattern = "/api/packages/{proto}/{name...}"},
    };
    struct http_target t;
    struct http_params p = {.n = 0};
    bool other;
    char *text = mem_strndup((const char *)data, size);
    if (text && http_target_parse(text, &t) == 0) {
        for (size_t i = 0; i < t.n_segments; i++)
            if (strcmp(t.segments[i], "..") == 0 || t.rest[i] < t.path)
                abort();
        if (t.n_segments && *t.segments[0] && !http_pattern_match("/{all...}", &t, &p))
            abort();
        (void)http_route_find(routes, 3, "GET", &t, &p, &other);
        (void)http_target_query(&t, "x", 0);
        http_target_done(&t);
    }
    mem_free(text);
    return 0;
}
