/*
 * Any bytes as frames: the reader gives the same messages whether they come at once or one by one,
 * and none beyond its limit.
 */
#include <stdlib.h>
#include <string.h>

#include "http/ws_frame.h"

struct seen {
    uint64_t hash;
    size_t n;
    int end;
};

static struct seen read_all(const char *data, size_t size, size_t piece, bool masked)
{
    struct seen s = {0};
    struct ws_reader r;
    ws_reader_init(&r, masked, 1000);
    while (size > 0 && s.end == 0) {
        size_t len = piece < size ? piece : size, left = len;
        const char *at = data;
        struct ws_message m;
        while ((s.end = ws_reader_next(&r, &at, &left, &m)) > 0) {
            if (m.len > 1000 || m.data[m.len] != '\0')
                abort();
            s.n++;
            for (size_t i = 0; i < m.len; i++)
                s.hash = s.hash * 31 + (unsigned char)m.data[i] + m.op;
        }
        if (s.end == 0 && left != 0)
            abort();
        data += len;
        size -= len;
    }
    ws_reader_done(&r);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool masked = data[0] & 1;
    const char *bytes = (const char *)data + 1;
    struct seen a = read_all(bytes, size - 1, size, masked),
                b = read_all(bytes, size - 1, 1, masked);
    if (a.hash != b.hash || a.n != b.n || a.end != b.end)
        abort();
    return 0;
}
