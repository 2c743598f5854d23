/* Fuzzes the body of POST /api/jobs/, and the mending of log bytes. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "core/pb.h"
#include "rest/rest_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Raia__Storage__Submission *s = NULL;
    struct json *root = NULL;
    char *copy = mem_dup(size ? data : (const uint8_t *)"", size + (size == 0));

    if (json_parse((const char *)data, size, NULL, &root, NULL) == 0 &&
        rest_parse_submission(root, "fresh", &s, NULL) == 0)
        pb_free(&s->base);
    json_free(root);
    if (copy && rest_utf8_whole(copy, size) <= size)
        rest_utf8_mend(copy, size);
    mem_free(copy);
    return 0;
}
